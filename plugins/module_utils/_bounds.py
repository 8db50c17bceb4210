# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bounds: what one value must be, by which it is judged, changed and combined. Pure; no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    OPERATORS,
    as_number,
    is_number,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    PlanasonixError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text, same

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
        """Return what is expected of a value and is not so, such as ``at most 30``.

        :param equal: Whether two values of this field mean the same.
        """
        texts = [as_text(wanted) for wanted in self.equals if not equal(value, wanted)]
        if self.at_least is not None and not (is_number(value) and value >= self.at_least):
            texts.append(f"at least {as_text(self.at_least)}")
        if self.at_most is not None and not (is_number(value) and value <= self.at_most):
            texts.append(f"at most {as_text(self.at_most)}")
        if self.one_of is not None and not is_among(value, self.one_of, equal):
            texts.append(f"one of {as_text(list(self.one_of))}")
        if is_among(value, self.not_one_of, equal):
            texts.append(f"none of {as_text(list(self.not_one_of))}")
        if self.wants_list and not isinstance(value, list):
            return [*texts, "a list"]
        elements = value if isinstance(value, list) else []
        missing = [element for element in self.contains if not is_among(element, elements, equal)]
        if missing:
            texts.append(f"a list with {list_values(missing)}")
        unwanted = [element for element in self.excludes if is_among(element, elements, equal)]
        if unwanted:
            texts.append(f"a list without {list_values(unwanted)}")
        return texts

    def names(self, value: t.Any) -> bool:
        """Return whether it names a value itself, not only a limit to compare the value with."""
        return is_among(value, (*self.equals, *(self.one_of or ()), *self.not_one_of))

    @property
    def wants_list(self) -> bool:
        """Whether only a list can meet it."""
        return bool(self.contains or self.excludes)

    @property
    def wants_number(self) -> bool:
        """Whether only a number can meet it."""
        return self.at_least is not None or self.at_most is not None

    def intersect(self, other: Bound) -> Bound:
        """Return the bound that is met where this one and another are.

        :raises InvalidOption: if no value meets both.
        """
        both = Bound(
            equals=self.equals or other.equals,
            at_least=choose(max, self.at_least, other.at_least),
            at_most=choose(min, self.at_most, other.at_most),
            one_of=intersect_choices(self.one_of, other.one_of),
            not_one_of=self.not_one_of + other.not_one_of,
            contains=unite(self.contains, other.contains),
            excludes=unite(self.excludes, other.excludes),
        )
        texts: list[str] = []
        for value in (*self.equals, *other.equals):
            for bound in (both, self, other):
                texts += [f"{as_text(value)} and {text}" for text in bound.unmet(value)]
        texts += both.find_contradictions()
        if texts:
            raise InvalidOption("; ".join(dict.fromkeys(texts)))
        return both

    def find_contradictions(self) -> list[str]:
        """Return why no value can meet the bound, as far as it names no value itself."""
        texts = []
        low, high = self.at_least, self.at_most
        if self.wants_list and self.wants_number:
            texts.append("one requires a list and the other a number")
        if low is not None and high is not None and low > high:
            texts.append(f"at least {as_text(low)} and at most {as_text(high)}")
        if low is not None and low == high and is_among(low, self.not_one_of):
            texts.append(f"{as_text(low)} is both required and not allowed")
        if self.one_of is not None and not any(not self.unmet(value) for value in self.one_of):
            texts.append("no value of one_of is left")
        torn = [element for element in self.contains if is_among(element, self.excludes)]
        if torn:
            texts.append(f"{list_values(torn)} is both required and not allowed")
        return texts

    def nearest(self, value: t.Any, equal: Equality = same) -> t.Any:
        """Return the value nearest to the given one that meets the bound; itself, if it does.

        :param equal: Whether two values of this field mean the same.
        :raises Unmet: if the bound says only what a value may not be.
        """
        if not self.unmet(value, equal):
            return value
        if self.equals:
            return self.equals[0]
        if self.one_of is not None:
            return next(choice for choice in self.one_of if not self.unmet(choice))
        no_list = self.wants_list and not isinstance(value, (list, type(None)))
        if no_list or isinstance(value, dict):
            raise Unmet(
                f"{as_text(value)} is neither a number nor a list, "
                "so no bound can be met by changing it"
            )
        target = self.nearest_number(value) if self.wants_number else value
        if self.wants_list:
            target = self.nearest_list(value or [], equal)
        if self.unmet(target, equal):
            raise Unmet(
                f"{as_text(value)} is not allowed, and nothing says what it should be instead"
            )
        return target

    def nearest_number(self, value: t.Any) -> float:
        """Return the nearest number within the limits, for what is no number the largest."""
        limits = [limit for limit in (self.at_most, self.at_least) if limit is not None]
        number: float = value if is_number(value) else limits[0]
        if self.at_least is not None:
            number = max(number, self.at_least)
        return number if self.at_most is None else min(number, self.at_most)

    def nearest_list(self, value: list[t.Any], equal: Equality) -> list[t.Any]:
        """Return a list with the elements that it lacks, without those that are not allowed."""
        kept = [element for element in value if not is_among(element, self.excludes, equal)]
        return kept + [element for element in self.contains if not is_among(element, kept, equal)]


def choose(
    pick: Callable[[Iterable[float]], float], one: float | None, other: float | None
) -> float | None:
    """Return the stricter of two limits, of which each may be missing."""
    limits = [limit for limit in (one, other) if limit is not None]
    return pick(limits) if limits else None


def intersect_choices(
    one: tuple[t.Any, ...] | None, other: tuple[t.Any, ...] | None
) -> tuple[t.Any, ...] | None:
    """Return the common choices, in the order of the first; ``None`` means any value."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(value for value in one if is_among(value, other))


def unite(one: tuple[t.Any, ...], other: tuple[t.Any, ...]) -> tuple[t.Any, ...]:
    """Return the elements of two lists, each once."""
    return (*one, *(element for element in other if not is_among(element, one)))


def is_among(value: t.Any, choices: Iterable[t.Any], equal: Equality = same) -> bool:
    """Return whether a JSON value is one of some."""
    return any(equal(choice, value) for choice in choices)


def list_values(values: Iterable[t.Any]) -> str:
    """Return values as a list in a sentence."""
    return ", ".join(map(as_text, values))


def parse_require(require: t.Any, where: str, path: Path = ()) -> dict[Path, Bound]:
    """Return the bounds of a requirement, by the path of the value that they are about.

    A mapping is a bound if and only if all its keys are operators; otherwise it nests. Anything
    else must be equal.

    :param where: What it belongs to, for messages.
    :raises InvalidOption: if operators and fields are mixed, or an operator has a wrong value.
    """
    if not isinstance(require, Mapping) or not require:
        return {path: Bound(equals=(require,))}
    operators = [key for key in require if key in OPERATORS]
    if not operators:
        bounds: dict[Path, Bound] = {}
        for key, value in require.items():
            bounds |= parse_require(value, where, (*path, str(key)))
        return bounds
    place = f"{where}: {'.'.join(path) or 'require'}"
    if len(operators) < len(require):
        fields = ", ".join(str(key) for key in require if key not in OPERATORS)
        raise InvalidOption(
            f"{place} mixes operators ({', '.join(operators)}) and fields ({fields}); "
            "a mapping holds one or the other."
        )
    bound = Bound(**{name: parse_operand(name, value, place) for name, value in require.items()})
    try:
        return {path: bound.intersect(bound)}
    except InvalidOption as error:
        raise InvalidOption(f"{place} cannot hold: {error.message}.") from None


def parse_operand(operator: str, value: t.Any, place: str) -> t.Any:
    """Return the value of an operator, as :class:`Bound` has it.

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


def intersect_controls(
    bounds: Iterable[tuple[str, Mapping[Path, Bound]]],
) -> dict[Path, Bound]:
    """Return the bounds of several controls of one resource as one.

    :param bounds: Id of a control, and its bounds.
    :raises InvalidOption: if two controls cannot both hold, with their ids.
    """
    combined: dict[Path, Bound] = {}
    known: list[tuple[str, Path, Bound]] = []
    for control_id, own in bounds:
        for path, bound in own.items():
            first = ""
            for other_id, other_path, other in known:
                if other_path == path:
                    first = first or other_id
                    intersect_two(other_id, other, control_id, bound, path)
                elif is_prefix(other_path, path):
                    reason = "one requires the whole and the other a part of it"
                    raise make_conflict(other_id, control_id, path, reason)
            known.append((control_id, path, bound))
            if path in combined:
                bound = intersect_two(first, combined[path], control_id, bound, path)
            combined[path] = bound
    return combined


def is_prefix(one: Path, other: Path) -> bool:
    """Return whether one of two paths leads to a part of the other's value."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def intersect_two(one: str, its: Bound, other: str, bound: Bound, path: Path) -> Bound:
    """Return the bound that meets those of two controls.

    :raises InvalidOption: if there is none, with the ids of the controls.
    """
    try:
        return its.intersect(bound)
    except InvalidOption as error:
        raise make_conflict(one, other, path, error.message) from None


def make_conflict(one: str, other: str, path: Sequence[str], reason: str) -> InvalidOption:
    """Return the error for two controls that cannot both hold."""
    return InvalidOption(
        f"The controls {one!r} and {other!r} cannot both hold: "
        f"{'.'.join(path) or 'require'}: {reason}."
    )


def lookup(value: t.Any, path: Path) -> tuple[t.Any, ...]:
    """Return the value at a path, in a tuple of one; an empty tuple if there is none."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return ()
        value = value[key]
    return (value,)


def nest(values: Mapping[Path, t.Any]) -> Values:
    """Return values by path as nested mappings."""
    result: Values = {}
    for path, value in values.items():
        inner = result
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value
    return result
