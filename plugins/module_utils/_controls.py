# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controls: what a baseline requires, as bounds that can be evaluated, combined and met. Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import math
import re
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    PlanasonixError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._options import (
    clean_options,
    clean_text,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text, same

OPERATORS = ("at_least", "at_most", "one_of", "not_one_of", "contains", "excludes")
SEVERITIES = ("low", "medium", "high", "critical")
STATUSES = ("pass", "fixed", "waived", "not_entitled", "fail", "error")

Equality = Callable[[t.Any, t.Any], bool]
"""Whether two values of one field mean the same."""

Path = tuple[str, ...]
"""Where a value is, from the outermost key on."""


class Unmet(PlanasonixError):
    """No value that the collection could set meets a bound."""


@dataclass(frozen=True)
class Bound:
    """What one value must be: all that is given here.

    :param equals: The value itself, in a tuple of one; lists of scalars compare as sets.
    :param at_least: The smallest number.
    :param at_most: The largest number.
    :param one_of: The values that it may have; the first is the one to set.
    :param not_one_of: Values that it may not have.
    :param contains: Elements that a list must have.
    :param excludes: Elements that a list may not have.
    """

    equals: tuple[t.Any, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[t.Any, ...] | None = None
    not_one_of: tuple[t.Any, ...] = ()
    contains: tuple[t.Any, ...] = ()
    excludes: tuple[t.Any, ...] = ()

    def unmet(self, value: t.Any, equal: Equality = same) -> list[str]:
        """Why a value does not meet the bound, as texts; none if it does.

        :param equal: Whether two values of this field mean the same.
        """
        texts = [
            f"{as_text(wanted)} is required" for wanted in self.equals if not equal(value, wanted)
        ]
        if self.at_least is not None and not (is_number(value) and value >= self.at_least):
            texts.append(f"at least {as_text(self.at_least)} is required")
        if self.at_most is not None and not (is_number(value) and value <= self.at_most):
            texts.append(f"at most {as_text(self.at_most)} is allowed")
        if self.one_of is not None and not is_among(value, self.one_of, equal):
            texts.append(f"one of {as_text(list(self.one_of))} is required")
        if is_among(value, self.not_one_of, equal):
            texts.append("it is not allowed")
        if self.wants_list and not isinstance(value, list):
            return [*texts, "a list is required"]
        elements = value if isinstance(value, list) else []
        lacking = [element for element in self.contains if not is_among(element, elements, equal)]
        if lacking:
            texts.append(f"it lacks {listed(lacking)}")
        unwanted = [element for element in self.excludes if is_among(element, elements, equal)]
        if unwanted:
            texts.append(f"it holds {listed(unwanted)}, which is not allowed")
        return texts

    def names(self, value: t.Any) -> bool:
        """Whether it names a value itself, and not only a limit that the value is compared with."""
        return is_among(value, (*self.equals, *(self.one_of or ()), *self.not_one_of))

    @property
    def wants_list(self) -> bool:
        """Whether only a list can meet it."""
        return bool(self.contains or self.excludes)

    @property
    def wants_number(self) -> bool:
        """Whether only a number can meet it."""
        return self.at_least is not None or self.at_most is not None

    def both(self, other: Bound) -> Bound:
        """The bound that is met where this one and another are.

        :raises InvalidOption: if no value meets both.
        """
        merged = Bound(
            equals=self.equals or other.equals,
            at_least=max(
                (one for one in (self.at_least, other.at_least) if one is not None), default=None
            ),
            at_most=min(
                (one for one in (self.at_most, other.at_most) if one is not None), default=None
            ),
            one_of=self.one_of
            if other.one_of is None
            else other.one_of
            if self.one_of is None
            else in_both(self.one_of, other.one_of),
            not_one_of=self.not_one_of + other.not_one_of,
            contains=(
                *self.contains,
                *(element for element in other.contains if not is_among(element, self.contains)),
            ),
            excludes=(
                *self.excludes,
                *(element for element in other.excludes if not is_among(element, self.excludes)),
            ),
        )
        texts = [
            text
            for value in (*self.equals, *other.equals)
            for bound in (merged, self, other)
            for text in bound.unmet(value)
        ]
        if merged.wants_list and merged.wants_number:
            texts.append("one requires a list and the other a number")
        if (
            merged.at_least is not None
            and merged.at_most is not None
            and merged.at_least > merged.at_most
        ):
            texts.append(
                f"at least {as_text(merged.at_least)} and at most {as_text(merged.at_most)}"
            )
        if (
            merged.at_least is not None
            and merged.at_least == merged.at_most
            and is_among(merged.at_least, merged.not_one_of)
        ):
            texts.append(f"{as_text(merged.at_least)} is both required and not allowed")
        if merged.one_of is not None and not any(
            not merged.unmet(value) for value in merged.one_of
        ):
            texts.append("no value of one_of is left")
        torn = in_both(merged.contains, merged.excludes)
        if torn:
            texts.append(f"{listed(torn)} is both required and not allowed")
        if texts:
            raise InvalidOption("; ".join(dict.fromkeys(texts)))
        return merged

    def nearest(self, value: t.Any, equal: Equality = same) -> t.Any:
        """The value nearest to the given one that meets the bound; itself, if it does.

        :param equal: Whether two values of this field mean the same.
        :raises Unmet: if the bound says only what a value may not be.
        """
        if not self.unmet(value, equal):
            return value
        if self.equals:
            return self.equals[0]
        if self.one_of is not None:
            return next(choice for choice in self.one_of if not self.unmet(choice))
        if isinstance(value, dict) or (
            self.wants_list and not isinstance(value, (list, type(None)))
        ):
            raise Unmet(
                f"{as_text(value)} is neither a number nor a list, "
                "so no bound can be met by changing it"
            )
        target = value
        if self.wants_number:
            number = (
                target
                if is_number(target)
                else self.at_most
                if self.at_most is not None
                else self.at_least
            )
            if self.at_least is not None:
                number = max(t.cast(float, number), self.at_least)
            target = number if self.at_most is None else min(t.cast(float, number), self.at_most)
        if self.wants_list:
            elements = [
                element
                for element in (value if isinstance(value, list) else [])
                if not is_among(element, self.excludes, equal)
            ]
            target = elements + [
                element for element in self.contains if not is_among(element, elements, equal)
            ]
        if self.unmet(target, equal):
            raise Unmet(
                f"{as_text(value)} is not allowed, and nothing says what it should be instead"
            )
        return target


def is_number(value: t.Any) -> bool:
    """Whether it is a number; in Python a boolean is one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_among(value: t.Any, choices: Iterable[t.Any], equal: Equality = same) -> bool:
    """Whether a JSON value is one of some."""
    return any(equal(choice, value) for choice in choices)


def in_both(one: Sequence[t.Any], other: Sequence[t.Any]) -> tuple[t.Any, ...]:
    """The values of one list that the other has, too."""
    return tuple(value for value in one if is_among(value, other))


def listed(values: Iterable[t.Any]) -> str:
    """Values as a list in a sentence."""
    return ", ".join(map(as_text, values))


def parse_require(require: t.Any, where: str, path: Path = ()) -> dict[Path, Bound]:
    """The bounds of a requirement, by the path of the value that they are about.

    A mapping is a bound if and only if all its keys are operators; otherwise it nests. Anything else must be equal.

    :param where: What it belongs to, for messages.
    :raises InvalidOption: if operators and fields are mixed, or an operator has a value that it cannot have.
    """
    if not isinstance(require, Mapping) or not require:
        return {path: Bound(equals=(require,))}
    operators = [key for key in require if key in OPERATORS]
    if not operators:
        return {
            inner: bound
            for key, value in require.items()
            for inner, bound in parse_require(value, where, (*path, str(key))).items()
        }
    place = f"{where}: {'.'.join(path) or 'require'}"
    if len(operators) < len(require):
        fields = ", ".join(str(key) for key in require if key not in OPERATORS)
        raise InvalidOption(
            f"{place} mixes operators ({', '.join(operators)}) and fields ({fields}); a mapping holds one or the other."
        )
    bound = Bound(
        **{operator: operand(operator, value, place) for operator, value in require.items()}
    )
    try:
        return {path: bound.both(bound)}
    except InvalidOption as error:
        raise InvalidOption(f"{place} cannot hold: {error.message}.") from None


def operand(operator: str, value: t.Any, place: str) -> t.Any:
    """The value of an operator, as :class:`Bound` takes it.

    :raises InvalidOption: if it is of the wrong type.
    """
    if operator in ("at_least", "at_most"):
        number = as_number(value)
        if number is None:
            raise InvalidOption(f"{place}: {operator} must be a number, not {as_text(value)}.")
        return number
    if not isinstance(value, list) or not value:
        raise InvalidOption(
            f"{place}: {operator} must be a list with at least one value, not {as_text(value)}."
        )
    return tuple(value)


def as_number(value: t.Any) -> int | float | None:
    """The number that is meant: templates of Ansible give text for numbers."""
    number = value
    if isinstance(value, str):
        try:
            number = int(value) if re.fullmatch(r"[+-]?\d+", value.strip()) else float(value)
        except ValueError:
            return None
    return number if is_number(number) and math.isfinite(number) else None


def combine(bounds: Iterable[tuple[str, Mapping[Path, Bound]]]) -> dict[Path, Bound]:
    """The bounds of several controls of one resource as one.

    :param bounds: Id of a control, and its bounds.
    :raises InvalidOption: if two controls cannot both hold, with their ids.
    """
    combined: dict[Path, Bound] = {}
    known: list[tuple[str, Path, Bound]] = []
    for control_id, own in bounds:
        for path, bound in own.items():
            for other_id, other_path, other in known:
                if other_path == path:
                    meet(other_id, other, control_id, bound, path)
                elif other_path[: len(path)] == path or path[: len(other_path)] == other_path:
                    raise conflict(
                        other_id,
                        control_id,
                        path,
                        "one requires the whole and the other a part of it",
                    )
            known.append((control_id, path, bound))
            owner = next(other_id for other_id, other_path, _bound in known if other_path == path)
            combined[path] = (
                meet(owner, combined[path], control_id, bound, path) if path in combined else bound
            )
    return combined


def meet(one: str, its: Bound, other: str, bound: Bound, path: Path) -> Bound:
    """The bound that meets those of two controls.

    :raises InvalidOption: if there is none, with the ids of the controls.
    """
    try:
        return its.both(bound)
    except InvalidOption as error:
        raise conflict(one, other, path, error.message) from None


def conflict(one: str, other: str, path: Path, reason: str) -> InvalidOption:
    """The error for two controls that cannot both hold."""
    return InvalidOption(
        f"The controls {one!r} and {other!r} cannot both hold: {'.'.join(path) or 'require'}: {reason}."
    )


def at(value: t.Any, path: Path) -> tuple[t.Any, ...]:
    """The value at a path, in a tuple of one; an empty tuple if there is none."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return ()
        value = value[key]
    return (value,)


def nested(values: Mapping[Path, t.Any]) -> Values:
    """Values by path as nested mappings."""
    result: Values = {}
    for path, value in values.items():
        inner = result
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return result


@dataclass(frozen=True)
class Waiver:
    """The decision to live with a control that fails, for a time.

    :param reason: Why.
    :param expires: The last day, in UTC, on which it holds; ``None``: until it is taken away.
    """

    reason: str
    expires: datetime.date | None

    def holds(self, today: datetime.date) -> bool:
        """Whether it holds on a day."""
        return self.expires is None or today <= self.expires

    def to_data(self, today: datetime.date) -> Values:
        """Return the waiver as a result has it."""
        expires = None if self.expires is None else self.expires.isoformat()
        return {"reason": self.reason, "expires": expires, "expired": not self.holds(today)}


def parse_waivers(waivers: Iterable[Values], control_ids: Iterable[str]) -> dict[str, Waiver]:
    """The waivers by the id of their control.

    :raises InvalidOption: if one is for an unknown control or one that another waives, or its date is none.
    """
    known = set(control_ids)
    parsed: dict[str, Waiver] = {}
    for waiver in waivers:
        control_id = clean_text(waiver["id"], "waivers: an id")
        if control_id not in known:
            raise InvalidOption(
                f"waivers: no control has the id {control_id!r}; remove the waiver or correct its id."
            )
        if not waiver["reason"].strip():
            raise InvalidOption(
                f"waivers: the reason of {control_id!r} is empty; say why it is waived."
            )
        if control_id in parsed:
            raise InvalidOption(f"waivers: the control {control_id!r} is waived twice; keep one.")
        expires = waiver.get("expires")
        try:
            if expires is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(expires)):
                raise ValueError(expires)
            parsed[control_id] = Waiver(
                waiver["reason"],
                None if expires is None else datetime.date.fromisoformat(str(expires)),
            )
        except ValueError:
            raise InvalidOption(
                f"waivers: expires of {control_id!r} must be a date such as 2027-03-31, not {expires!r}."
            ) from None
    return parsed


CONVERSIONS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "list": (list,),
    "dict": (dict,),
}


def conform(values: t.Any, table: Mapping[str, Mapping[str, t.Any]], where: str) -> Values:
    """The values of an object inside a control, with the types of a field table.

    :param table: Name of a field to its specification, of which ``type`` and ``required`` count.
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
    converted = {
        name: typed(value, table[name]["type"], f"{where}: {name}")
        for name, value in values.items()
        if value is not None
    }
    return clean_options(converted, where)


def typed(value: t.Any, kind: str, where: str) -> t.Any:
    """A value with the type of an option: templates of Ansible give text for numbers and booleans.

    :raises InvalidOption: if it has another type.
    """
    if (
        kind == "bool"
        and isinstance(value, str)
        and value.lower() in ("true", "yes", "false", "no")
    ):
        return value.lower() in ("true", "yes")
    if kind == "int" and isinstance(value, str) and isinstance(as_number(value), int):
        return as_number(value)
    if kind == "str" and is_number(value):
        return str(value)
    if not isinstance(value, CONVERSIONS[kind]) or (kind == "int" and isinstance(value, bool)):
        raise InvalidOption(f"{where} must be of type {kind}, not {as_text(value)}.")
    return value
