# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as APIs write them, and which listed objects are in force.

Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import email.utils
import re
import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values

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


GRANT_FIELDS = frozenset({"cidr", "scopes", "prefix"})
"""Fields that only an allowlist entry or an API key has."""
ENDS = ("revoked_at", "deleted_at", "archived_at", "removed_at")
ENDED = frozenset({"revoked", "deleted", "archived", "removed"})
EXPIRIES = ("expires_at", "valid_until", "valid_to", "not_after")
BEGINS = ("valid_from", "not_before", "starts_at", "active_from")
OFF_TIMES = ("disabled_at", "suspended_at", "deactivated_at", "blocked_at")
OFF = frozenset({"disabled", "inactive", "deactivated", "suspended", "off", "false", "no", "0"})
OFF_SWITCHES = ("disabled", "inactive", "deactivated", "suspended")
NOT_YET = ("pending", "blocked", "draft", "paused", "locked")
GOOD = frozenset(
    {
        *("active", "activated", "enabled", "inforce", "valid", "live", "ok", "approved", "on"),
        *("true", "yes", "1", "allowed", "applied", "current", "verified"),
    }
)
"""States of a grant that works, without separators."""
NO_STATE = NO_VALUE - {"0", "false"}
STATE_NAMES = ("name", "value", "state", "status", "code", "key", "id")
"""Fields with the state, in a state that is an object."""
MARGIN = datetime.timedelta(seconds=60)
"""How long a grant must still last to be relied on."""


def read_time(item: Values, name: str, subject: str) -> datetime.datetime | None:
    """Return a time of a listed object, in UTC; ``None`` if it means "never".

    :raises ApiError: if it is no known time.
    """
    value = item.get(name)
    if is_never(value):
        return None
    time = parse_time(value)
    if time is None:
        raise ApiError(f"The API's answer for {subject} has no known time in {name}: {value!r}.")
    return time


def is_in_force(item: Values, now: datetime.datetime) -> bool:
    """Return whether a listed object still counts: it is not revoked, deleted or expired.

    A grant (an API key or an allowlist entry) counts only if nothing speaks against it: its state
    is known to be good, it has begun, and it lasts for another minute.

    :raises ApiError: if a time or the state of a grant is not known.
    """
    if is_gone(item, now) or is_expired(item, now):
        return False
    return not is_grant(item) or is_reliable(item, now)


def is_grant(item: Values) -> bool:
    """Return whether an object is an API key or an allowlist entry."""
    return not GRANT_FIELDS.isdisjoint(item)


def is_reliable(item: Values, now: datetime.datetime) -> bool:
    """Return whether a grant that is neither gone nor expired is sure to work for a minute.

    :raises ApiError: if a time or the state is not known.
    """
    if is_expired(item, now + MARGIN) or any(item.get(name) is True for name in NOT_YET):
        return False
    begins = [_read_item_time(item, name) for name in BEGINS]
    if any(begin is not None and begin > now for begin in begins):
        return False
    return all(re.sub("[ _-]", "", state) in GOOD for state in _read_states(item))


def is_expired(item: Values, now: datetime.datetime) -> bool:
    """Return whether a listed object is past its end, such as ``expires_at``, or listed as expired.

    :raises ApiError: if a time is not known.
    """
    if "expired" in _read_states(item) or item.get("expired") is True:
        return True
    ends = [_read_item_time(item, name) for name in EXPIRIES]
    return any(end is not None and end <= now for end in ends)


def is_gone(item: Values, now: datetime.datetime) -> bool:
    """Return whether an object is listed although it was revoked, deleted or switched off.

    An API key or an allowlist entry that is switched off is gone. For a channel or a rule
    ``enabled: false`` is an ordinary setting, so those still count, unless they have another field
    that says that they are not active.

    :raises ApiError: if a time, or the state of a grant, is not known.
    """
    grant = is_grant(item)
    ends = [_read_item_time(item, name) for name in (*ENDS, *(OFF_TIMES if grant else ()))]
    if any(end is not None and end <= now for end in ends):
        return True
    states = _read_states(item)
    active = _read_words(item, "active", "is_active")
    if states & ENDED or any(item.get(name) is True for name in ENDED):
        return True
    if "enabled" in item and active & OFF:
        return True
    is_off = (states | active | _read_words(item, "enabled", "is_enabled")) & OFF
    return grant and (bool(is_off) or any(item.get(name) is True for name in OFF_SWITCHES))


def _read_item_time(item: Values, name: str) -> datetime.datetime | None:
    """Return a time of a listed object, as :func:`read_time`."""
    return read_time(item, name, _subject(item))


def _subject(item: Values) -> str:
    """Return what messages call a listed object."""
    return repr(item.get("name") or item.get("id"))


def _read_states(item: Values) -> set[str]:
    """Return the states of a listed object, as words in lower case.

    :raises ApiError: if that of a grant is neither a text, nor a switch, nor an object with one.
    """
    states = set()
    for name in ("state", "status"):
        value = item.get(name)
        if isinstance(value, dict):
            inner = (value[key] for key in STATE_NAMES if key in value)
            value = next(inner, value)
        text = str(value).strip().lower()
        if value in ([], {}) or text in NO_STATE:
            continue
        if isinstance(value, (str, bool)) or value in (0, 1):
            states.add(text)
        elif is_grant(item):
            raise ApiError(
                f"The API's answer for {_subject(item)} has no known status in {name}: "
                f"{item[name]!r}."
            )
    return states


def _read_words(item: Values, *names: str) -> set[str]:
    """Return the values of the fields that an object has, as words in lower case."""
    return {str(item[name]).lower() for name in names if name in item}
