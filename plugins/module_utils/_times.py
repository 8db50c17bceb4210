# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as APIs write them. Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import re
import typing as t

ISO_TIME = re.compile(
    r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>[0-5]\d|60)(?:[.,](?P<part>\d+))?)?)?"
    r" ?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
RFC_TIME = re.compile(r"(?:[a-z]{3}, ?)?\d{1,2} [a-z]{3} \d{4} .*", re.IGNORECASE)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def parse_time(value: t.Any) -> datetime.datetime | None:
    """Read a time of the API, in UTC where it names no zone.

    Accepts ISO 8601 (also date only, minutes only and the basic form), RFC 2822, and the Unix
    time in seconds (10 digits) or milliseconds (13 digits), as a number or text.

    :returns: ``None`` for any other value, and for one that means "never" (see :func:`is_never`).
    """
    time = _read_time(value)
    return None if time is None or time <= EPOCH else time


NO_VALUE = frozenset({"", "0", "-", "n/a", "null", "none", "never", "false"})


def is_never(value: t.Any) -> bool:
    """Whether the value of a time means "never": no value, or the zero time of a language.

    The zero times are year 1 (Go, .NET), year 0 (MySQL) and the Unix time 0.
    """
    if value is None or value is False or value in ([], {}):
        return True
    if isinstance(value, (int, float)):
        return value is not True and value <= 0
    if not isinstance(value, str):
        return False
    text = value.strip().lower()
    if text in NO_VALUE or text.startswith("0000-"):
        return True
    time = _read_time(text)
    return time is not None and time <= EPOCH


def _read_time(value: t.Any) -> datetime.datetime | None:
    """Read a time in one of the accepted spellings, zero times included."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    try:
        if re.fullmatch(r"\d{10}(\.\d+)?", text):
            return EPOCH + datetime.timedelta(seconds=float(text))
        if re.fullmatch(r"\d{13}(\.\d+)?", text):
            return EPOCH + datetime.timedelta(milliseconds=float(text))
        if RFC_TIME.fullmatch(text):
            time = email.utils.parsedate_to_datetime(text)
            return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
        match = ISO_TIME.fullmatch(text)
        return _iso_time(match) if match else None
    except (ValueError, TypeError, OverflowError):
        return None


def _iso_time(match: re.Match[str]) -> datetime.datetime:
    """Build the time of a match of ``ISO_TIME``, as Python before 3.11 reads few of the forms.

    :raises ValueError: if there is no such time.
    """
    year, month, day, hour, minute, second = (
        int(match[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    microsecond = int((match["part"] or "0")[:6].ljust(6, "0"))
    zone = match["zone"] or "Z"
    offset = datetime.timedelta()
    if zone[0] in "+-":
        offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:].lstrip(":") or 0))
    return datetime.datetime(
        year,
        month,
        day,
        hour,
        minute,
        min(second, 59),  # a leap second
        microsecond,
        datetime.timezone(-offset if zone[0] == "-" else offset),
    )
