# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controls: their resources, words and waivers, and the types of what they require. Pure.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import math
import re
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    clean_options,
    clean_text,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text

OPERATORS = ("at_least", "at_most", "one_of", "not_one_of", "contains", "excludes")
SEVERITIES = ("low", "medium", "high", "critical")
STATUSES = ("pass", "fixed", "waived", "not_entitled", "fail", "error")

FieldTypes = Mapping[str, Mapping[str, t.Any]]
"""Name of a field to its specification, of which ``type`` and ``required`` count."""


@dataclass(frozen=True)
class Waiver:
    """The decision to live with a control that fails, for a time.

    :param reason: Why.
    :param expires: The last day, in UTC, on which it is active; ``None``: until it is removed.
    """

    reason: str
    expires: datetime.date | None

    def is_active(self, today: datetime.date) -> bool:
        """Return whether the control may fail on a day."""
        return self.expires is None or today <= self.expires

    def to_data(self, today: datetime.date) -> Values:
        """Return the waiver as a result has it."""
        expires = None if self.expires is None else self.expires.isoformat()
        return {"reason": self.reason, "expires": expires, "expired": not self.is_active(today)}


def parse_waivers(waivers: Iterable[Values], control_ids: Iterable[str]) -> dict[str, Waiver]:
    """Return the waivers by the id of their control.

    :raises InvalidOption: if a control is unknown or waived twice, or a waiver is incomplete.
    """
    known = set(control_ids)
    parsed: dict[str, Waiver] = {}
    for waiver in waivers:
        control_id = clean_text(waiver["id"], "waivers: an id")
        if control_id not in known:
            raise InvalidOption(
                f"waivers: no control has the id {control_id!r}; "
                "remove the waiver or correct its id."
            )
        if not waiver["reason"].strip():
            raise InvalidOption(
                f"waivers: the reason of {control_id!r} is empty; say why it is waived."
            )
        if control_id in parsed:
            raise InvalidOption(f"waivers: the control {control_id!r} is waived twice; keep one.")
        parsed[control_id] = Waiver(waiver["reason"], parse_expiry(waiver, control_id))
    return parsed


def parse_expiry(waiver: Values, control_id: str) -> datetime.date | None:
    """Return the last day of a waiver; ``None`` if it has none.

    :raises InvalidOption: if it is no date.
    """
    expires = waiver.get("expires")
    if expires is None:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(expires)):
            raise ValueError(expires)
        return datetime.date.fromisoformat(str(expires))
    except ValueError:
        raise InvalidOption(
            f"waivers: expires of {control_id!r} must be a date such as 2027-03-31, "
            f"not {expires!r}."
        ) from None


def conform_list(
    values: t.Any,
    table: FieldTypes,
    items: str,
    item_table: FieldTypes,
    where: str,
) -> Values:
    """Return what a control requires of a list, with the types of field tables.

    :param items: The field with the objects that are required.
    :param item_table: The fields of these objects.
    :raises InvalidOption: if something is unknown, missing or of another type, or ``purge`` would
        remove everything.
    """
    require = conform(values, table, where)
    if items in require:
        place = f"{where}: {items}"
        require[items] = [conform(item, item_table, place) for item in require[items]]
    if require.get("purge") and items not in require:
        raise InvalidOption(f"{where}: purge needs the list of what may stay.")
    return require


CONVERSIONS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "list": (list,),
    "dict": (dict,),
}


def conform(values: t.Any, table: FieldTypes, where: str) -> Values:
    """Return the values of an object inside a control, with the types of a field table.

    :param where: What it belongs to, for messages.
    :raises InvalidOption: if a field is unknown, missing or of another type.
    """
    if not isinstance(values, Mapping):
        raise InvalidOption(f"{where} must be a mapping, not {as_text(values)}.")
    unknown = sorted(set(values) - set(table))
    if unknown:
        raise InvalidOption(
            f"{where}: unknown {', '.join(unknown)}; there are {', '.join(sorted(table))}."
        )
    missing = [
        name
        for name, field in table.items()
        if field.get("required") and values.get(name) in (None, "")
    ]
    if missing:
        raise InvalidOption(f"{where} lacks {', '.join(missing)}.")
    converted: Values = {}
    for name, value in values.items():
        if value is not None:
            converted[name] = convert(value, table[name]["type"], f"{where}: {name}")
    return clean_options(converted, where)


def convert(value: t.Any, kind: str, where: str) -> t.Any:
    """Return a value with the type of an option.

    Templates of Ansible give text for numbers and booleans.

    :raises InvalidOption: if it has another type.
    """
    if isinstance(value, str):
        text = value.lower()
        if kind == "bool" and text in ("true", "yes", "false", "no"):
            return text in ("true", "yes")
        if kind == "int" and isinstance(as_number(value), int):
            return as_number(value)
    if kind == "str" and is_number(value):
        return str(value)
    if not isinstance(value, CONVERSIONS[kind]) or (kind == "int" and isinstance(value, bool)):
        raise InvalidOption(f"{where} must be of type {kind}, not {as_text(value)}.")
    return value


def as_number(value: t.Any) -> int | float | None:
    """Return the number that is meant: templates of Ansible give text for numbers."""
    number = value
    if isinstance(value, str):
        try:
            number = int(value) if re.fullmatch(r"[+-]?\d+", value.strip()) else float(value)
        except ValueError:
            return None
    return number if is_number(number) and math.isfinite(number) else None


def is_number(value: t.Any) -> bool:
    """Return whether it is a number; in Python a boolean is one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


SUBSETS = (
    "profile",
    "mfa",
    "api_keys",
    "session_timeout",
    "preferences",
    "settings",
    "ip_whitelist",
    "log_retention",
    "organization",
    "features",
    "limits",
    "tier",
    "notification_channels",
    "notification_rules",
)


def choose_subsets(gather_subset: t.Iterable[str]) -> list[str]:
    """Return the subsets that ``gather_subset`` means, in the order of ``SUBSETS``.

    Exclusions without anything else mean all but these. ``!all`` cancels the implied ``all``. An
    excluded subset wins.
    """
    choice = set(gather_subset)
    excluded = {name[1:] for name in choice if name.startswith("!")}
    included = {name for name in choice if not name.startswith("!")} or {"all"}
    if "all" in included and "all" not in excluded:
        included = set(SUBSETS)
    return [name for name in SUBSETS if name in included - excluded]
