# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documented fields and options: how values are read, and when two of them mean the same. Pure.

What is read here of an answer serves to compare, never to write: a value that stays is sent as the
API gave it.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import math
import re
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Equal,
    Values,
    as_text,
    same,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import HALF, normalize

FieldTable = dict[str, dict[str, t.Any]]
"""Argument specifications by the name of the field, which is also that of the option."""

LONGEST_QUOTE = 60
"""Characters of a value that a message quotes."""


@dataclass(frozen=True)
class Kind:
    """The documented type of a field.

    :param noun: What the documentation promises, for messages.
    :param read: Returns the value that is meant, or raises ValueError for another type.
    :param key: What values that mean the same have in common.
    :param positive: Whether only numbers from 1 on are documented.
    """

    noun: str
    read: Callable[[t.Any], t.Any]
    key: Callable[[t.Any], t.Any] = lambda value: value
    positive: bool = False

    def same(self, one: t.Any, other: t.Any) -> bool:
        """Return whether two values mean the same."""
        return same(self._to_key(one), self._to_key(other))

    def read_or_none(self, value: t.Any) -> t.Any:
        """Read a value; ``None`` if it is null, or of another type."""
        try:
            return self.read(value)
        except ValueError:
            return None

    def _to_key(self, value: t.Any) -> t.Any:
        try:
            return self.key(self.read(value))
        except ValueError:
            return self.key(value)


def read_anything(value: t.Any) -> t.Any:
    """Return the value as it is."""
    return value


def read_number(value: t.Any) -> int | None:
    """Read a whole number: ``60``, ``60.0`` and ``"60"`` are one."""
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,15}(\.0+)?\s*", value):
        return int(value.partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError


def read_boolean(value: t.Any) -> bool | None:
    """Read a boolean: ``true``, ``"true"`` and ``1`` are one."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    if isinstance(value, (str, int)) and text in ("true", "false", "1", "0"):
        return text in ("true", "1")
    raise ValueError


def read_text(value: t.Any) -> str | None:
    """Read a text; a number is the text of its digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    raise ValueError


def read_id(value: t.Any) -> str:
    """Read an id as its spelling: some APIs count their objects."""
    if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
        return str(value)
    raise ValueError


def read_names(value: t.Any) -> list[str] | None:
    """Read a list of names.

    An object ``{name, enabled}`` in the list, or an entry ``name: enabled`` of a mapping, counts if
    it is enabled.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        value = [{"name": name, "enabled": enabled} for name, enabled in value.items()]
    if not isinstance(value, list):
        raise ValueError
    names: list[str] = []
    for item in value:
        name: t.Any = item
        enabled: bool | None = True
        if isinstance(item, Mapping):
            name, enabled = item.get("name"), read_boolean(item.get("enabled", True))
        if not isinstance(name, str) or not name or enabled is None:
            raise ValueError
        if enabled:
            names.append(name)
    return names


def normalize_name(name: t.Any) -> str | None:
    """Return a name as tasks write it: trimmed, with composed characters; ``None`` if none."""
    if isinstance(name, bool) or not isinstance(name, (str, int, float)):
        return None
    return normalize(str(name)) or None


def read_name(item: Values) -> str | None:
    """Return the name of a listed object, or ``None``; then no task can address it by name."""
    return normalize_name(item.get("name"))


def has_name(item: Values, name: t.Any) -> bool:
    """Return whether a listed object is the one that a task names."""
    wanted = normalize_name(name)
    return wanted is not None and read_name(item) == wanted


def key_of_text(value: t.Any) -> t.Any:
    """Return a text without outer blanks, and with composed characters."""
    return normalize(value) if isinstance(value, str) else value


def key_of_name(value: t.Any) -> t.Any:
    """Return a name, or each name of a list, without regard to case."""
    if isinstance(value, list):
        return [key_of_name(item) for item in value]
    return key_of_text(value).casefold() if isinstance(value, str) else value


def key_of_locale(value: t.Any) -> t.Any:
    """Return a locale in one spelling: ``en_us`` and ``en-US`` are one."""
    name = key_of_name(value)
    return name.replace("_", "-") if isinstance(name, str) else name


ZONE_ALIASES: dict[str, tuple[str, ...]] = {
    "UTC": ("Etc/UTC", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"),
    "GMT": ("Etc/GMT", "GMT0", "Etc/GMT0", "GMT+0", "GMT-0", "Greenwich", "Etc/Greenwich"),
    "America/Argentina/Buenos_Aires": ("America/Buenos_Aires",),
    "America/Indiana/Indianapolis": ("America/Indianapolis", "US/East-Indiana"),
    "America/Anchorage": ("US/Alaska",),
    "America/Chicago": ("US/Central",),
    "America/Denver": ("US/Mountain",),
    "America/Los_Angeles": ("US/Pacific",),
    "America/New_York": ("US/Eastern",),
    "America/Phoenix": ("US/Arizona",),
    "America/Sao_Paulo": ("Brazil/East",),
    "Asia/Ho_Chi_Minh": ("Asia/Saigon",),
    "Asia/Hong_Kong": ("Hongkong",),
    "Asia/Jerusalem": ("Asia/Tel_Aviv", "Israel"),
    "Asia/Kathmandu": ("Asia/Katmandu",),
    "Asia/Kolkata": ("Asia/Calcutta",),
    "Asia/Seoul": ("ROK",),
    "Asia/Shanghai": ("PRC",),
    "Asia/Singapore": ("Singapore",),
    "Asia/Tokyo": ("Japan",),
    "Asia/Yangon": ("Asia/Rangoon",),
    "Europe/Istanbul": ("Turkey", "Asia/Istanbul"),
    "Europe/Kyiv": ("Europe/Kiev",),
    "Europe/Lisbon": ("Portugal",),
    "Europe/London": ("GB",),
    "Europe/Warsaw": ("Poland",),
    "Pacific/Auckland": ("NZ",),
    "Pacific/Honolulu": ("US/Hawaii",),
}
"""Common names that the IANA time zone database links to one zone. Python has no such table."""

ZONES: dict[str, str] = {}
for zone, aliases in ZONE_ALIASES.items():
    ZONES |= dict.fromkeys(map(str.casefold, aliases), zone.casefold())


def key_of_zone(value: t.Any) -> t.Any:
    """Return a time zone under one of its names."""
    name = key_of_name(value)
    return ZONES.get(name, name) if isinstance(name, str) else name


ANYTHING = Kind("a value", read_anything)
BOOLEAN = Kind("true or false", read_boolean)
NUMBER = Kind("a whole number", read_number)
POSITIVE = Kind("a whole number", read_number, positive=True)
TEXT = Kind("a text", read_text, key_of_text)
NAME = Kind("a text", read_text, key_of_name)
NAMES = Kind("a list of names", read_names, key_of_name)
LOCALE = Kind("a text", read_text, key_of_locale)
ZONE = Kind("a text", read_text, key_of_zone)

IDENTIFYING = {"id": Kind("a text or a number", read_id), "name": TEXT, "type": TEXT}
"""Fields that identify an object of any list."""

DOCUMENTED: dict[str, dict[str, Kind]] = {
    "profile": {
        "id": TEXT,
        "email": NAME,
        "display_name": TEXT,
        "timezone": ZONE,
        "locale": LOCALE,
        "avatar_url": TEXT,
        "organization_id": TEXT,
        "roles": NAMES,
    },
    "mfa": {"enabled": BOOLEAN, "methods": NAMES, "backup_codes_remaining": NUMBER},
    "session_timeout": {
        "idle_timeout_minutes": POSITIVE,
        "absolute_timeout_minutes": POSITIVE,
        "extend_on_activity": BOOLEAN,
    },
    "settings": {"default_timezone": ZONE, "require_sso": BOOLEAN, "data_residency": TEXT},
    "log_retention": {
        "run_logs_days": POSITIVE,
        "audit_logs_days": POSITIVE,
        "diagnostic_artifacts_days": POSITIVE,
    },
    "organization": {
        "id": TEXT,
        "name": TEXT,
        "slug": TEXT,
        "plan": TEXT,
        "created_at": TEXT,
    },
    "limits": {
        "max_pipelines": POSITIVE,
        "max_connections": POSITIVE,
        "max_concurrent_runs": POSITIVE,
        "max_agent_count": POSITIVE,
    },
    "tier": {"tier": TEXT, "billing_period": TEXT, "renewal_date": TEXT},
}
"""By object, as the facts name it, and field."""


def find_kind(resource: str, path: tuple[str, ...]) -> Kind:
    """Return the kind of the value at a path of an object."""
    if resource == "features" and not path:
        return NAMES
    if resource == "settings" and path[:1] == ("feature_flags",) and len(path) == 2:
        return BOOLEAN
    return DOCUMENTED.get(resource, {}).get(path[0], ANYTHING) if len(path) == 1 else ANYTHING


def compare_fields(resource: str) -> Equal:
    """Return what compares two values of a field of an object."""
    return lambda name, one, other: find_kind(resource, (name,)).same(one, other)


def read_value(value: t.Any, kind: Kind, name: str, subject: str) -> t.Any:
    """Read a value of an answer.

    :param subject: The object, for messages: "the session timeout".
    :raises ApiError: if it is of another type than documented.
    """
    try:
        return kind.read(value)
    except ValueError:
        raise ApiError(
            f"The API's answer for {subject} has {quote_value(value)} in {name}, "
            f"where {kind.noun} is documented; check api_url and the API's version."
        ) from None


def quote_value(value: t.Any) -> str:
    """Return a value as JSON, shortened for a message."""
    text = as_text(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def is_unlimited(value: t.Any) -> bool:
    """Return whether a value may mean no limit, where numbers from 1 on are documented."""
    return value is None or value < 1


def find_unlimited(resource: str, values: Values) -> list[str]:
    """Return the fields of an object whose value may mean no limit."""
    found: list[str] = []
    for name, kind in DOCUMENTED[resource].items():
        if not kind.positive or name not in values:
            continue
        try:
            value = kind.read(values[name])
        except ValueError:
            continue
        if is_unlimited(value):
            found.append(name)
    return found


IDENTIFIERS = frozenset({"name", "key_id", "channel_id", "event", "type"})
"""Options that identify something, of any module: an empty text means an unset variable."""

MOST_DAYS = 36_500
"""Days, about a century, that an option may ask for at most. Times cannot be added without end."""


def clean_options(options: Values, where: str = "") -> Values:
    """Trim what identifies something, and each text of a list.

    :param where: What the options belong to, for messages.
    :raises InvalidOption: if one of them is empty, or no text.
    """
    place = f"{where}: " if where else ""
    cleaned = dict(options)
    for name, value in options.items():
        check_characters(value, f"{place}{name}")
        if name in IDENTIFIERS and isinstance(value, str):
            cleaned[name] = clean_text(value, f"{place}{name}")
        elif isinstance(value, list):
            cleaned[name] = [clean_element(item, f"{place}an element of {name}") for item in value]
    return cleaned


def clean_element(item: t.Any, what: str) -> t.Any:
    """Trim an element of a list option, if it is a text."""
    return clean_text(item, what) if isinstance(item, str) else item


def clean_text(text: str, what: str) -> str:
    """Trim a text, and compose its characters (NFC), as APIs store names.

    :raises InvalidOption: if nothing remains.
    """
    cleaned = normalize(text)
    if not cleaned:
        raise InvalidOption(f"{what} is empty; is the variable that it comes from set?")
    return cleaned


def check_characters(value: t.Any, what: str) -> None:
    """Refuse half a character (a lone surrogate), which no result and no file could hold.

    :raises InvalidOption: with the option.
    """
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        for item in value:
            check_characters(item, what)
    elif isinstance(value, str) and HALF.search(value):
        raise InvalidOption(
            f"{what} contains half a character (a lone surrogate); write the whole character."
        )


def check_filled(options: Values, *names: str) -> None:
    """Refuse texts that are empty, which usually come from a variable that is not set.

    :raises InvalidOption: with the first of them.
    """
    for name in names:
        if options.get(name) == "":
            raise InvalidOption(f"{name} is empty; is the variable that it comes from set?")
