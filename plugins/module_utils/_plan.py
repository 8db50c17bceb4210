# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans: what would be written, decided without writing or reading anything. Pure.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible

Values = dict[str, t.Any]
Equal = Callable[[str, t.Any, t.Any], bool]
"""Compares two values of a field, whose name comes first."""

UNSET: t.Final[t.Any] = ("unset",)
"""Stands for the value of a field that is not there. No JSON value is a tuple."""


@dataclass(frozen=True)
class Change:
    """One change of one object, as it is meant. It says nothing about HTTP, and has no secret.

    :param action: The verb of the API: ``create``, ``update``, ``delete``, ``regenerate``,
        ``enable``, ``disable`` or ``test``.
    :param resource: The subset of facts that the object belongs to, such as ``api_keys``.
    :param text: What messages call the change: ``remove 203.0.113.0/24 from the IP allowlist``.
    :param object: What people call the object, such as its name. Empty for an object that an
        organization or a user has exactly once.
    :param before: The object as it is, as the API shows it. Empty if it is created.
    :param after: The object as it will be. Empty if it is deleted.
    :param controls: Ids of the controls of a baseline that the change is for.
    """

    action: str
    resource: str
    text: str
    object: str = ""
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)
    controls: tuple[str, ...] = ()

    @property
    def is_write(self) -> bool:
        """Whether it changes the organization. A test notification does not."""
        return self.action != "test"

    def to_data(self) -> Values:
        """Return the change as a result lists it."""
        return {
            "resource": self.resource,
            "action": self.action,
            "object": self.object,
            "before": self.before,
            "after": self.after,
            "controls": list(self.controls),
        }


@dataclass(frozen=True)
class Plan:
    """What a task is about to do.

    All that it reports in check mode comes from here, so check mode cannot differ from a real run.

    :param before: What the module manages, as it is.
    :param after: The same, as it will be.
    :param changes: What is to be done, in this order.
    :param predicted: The object that the module returns, as it will be, without what only the
        server can assign.
    :param message: One line for people.
    :param result: Other keys of the result that do not depend on the server's answers.
    :param basis: What the plan was made from, for the read-back. It is not part of the result.
    """

    before: Values
    after: Values
    changes: tuple[Change, ...] = ()
    predicted: Values = field(default_factory=dict)
    message: str = "no change"
    result: Values = field(default_factory=dict)
    basis: t.Any = None

    def to_data(self) -> Values:
        """Return the plan as a result shows it."""
        return {"changes": [change.to_data() for change in self.changes]}

    @property
    def changed(self) -> bool:
        """Whether it changes the organization. Nothing else decides that."""
        return any(change.is_write for change in self.changes)


def same(current: t.Any, desired: t.Any) -> bool:
    """Return whether two JSON values are equal.

    Lists of scalars compare as sets, booleans and numbers apart, mappings key by key.
    """
    if isinstance(current, dict) and isinstance(desired, dict):
        return current.keys() == desired.keys() and all(
            same(current[key], desired[key]) for key in desired
        )
    if isinstance(current, list) and isinstance(desired, list):
        if any(isinstance(item, (dict, list)) for item in (*current, *desired)):
            return len(current) == len(desired) and all(
                same(one, other) for one, other in zip(current, desired, strict=True)
            )
        return {_tagged(item) for item in current} == {_tagged(item) for item in desired}
    return _tagged(current) == _tagged(desired)


def _tagged(value: t.Any) -> tuple[bool, t.Any]:
    """A value that does not equal a boolean unless it is one (in Python, ``True == 1``)."""
    return isinstance(value, bool), value


def merge(current: t.Any, desired: t.Any) -> t.Any:
    """Lay a desired mapping over the current one, key by key at every level.

    Any other desired value replaces the current one.
    """
    if isinstance(current, dict) and isinstance(desired, dict):
        return {
            **current,
            **{key: merge(current.get(key), value) for key, value in desired.items()},
        }
    return desired


def list_differences(before: Values, after: Values) -> list[str]:
    """Each field that differs, as text: ``idle_timeout_minutes 60 -> 30``."""
    texts: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, UNSET), after.get(name, UNSET)
        if isinstance(old, dict) and isinstance(new, dict):
            texts.extend(f"{name}.{text}" for text in list_differences(old, new))
        elif not same(old, new):
            texts.append(f"{name} {as_text(old)} -> {as_text(new)}")
    return texts


def as_text(value: t.Any) -> str:
    """Return a value as JSON, with control characters as escapes."""
    if value is UNSET:
        return "(unset)"
    return visible(json.dumps(value, sort_keys=True, ensure_ascii=False))


@dataclass(frozen=True)
class Mismatch:
    """A field that the API does not show as it was to be. Each value may be :data:`UNSET`.

    :param field: Its name, dotted inside mappings.
    :param before: Its value before the write.
    :param wanted: The value that was to be there.
    :param found: The value that was read back.
    """

    field: str
    before: t.Any
    wanted: t.Any
    found: t.Any

    def __str__(self) -> str:
        return f"{self.field} {as_text(self.found)} -> {as_text(self.wanted)}"


def equal_values(dummy_field: str, one: t.Any, other: t.Any) -> bool:
    """Compare two values, whatever the field."""
    return same(one, other)


def find_mismatches(
    found: Mapping[str, t.Any],
    wanted: Mapping[str, t.Any],
    before: Mapping[str, t.Any],
    equal: Equal = equal_values,
) -> list[Mismatch]:
    """Return the fields of ``wanted`` that were not found so.

    Keys that the API adds to a mapping do not count.
    """
    mismatches: list[Mismatch] = []
    for name in sorted(wanted):
        shown, value, old = (values.get(name, UNSET) for values in (found, wanted, before))
        if isinstance(shown, dict) and isinstance(value, dict):
            inner = find_mismatches(
                shown, value, old if isinstance(old, dict) else {}, _within(name, equal)
            )
            mismatches.extend(replace(one, field=f"{name}.{one.field}") for one in inner)
        elif shown is UNSET and value is None:
            continue  # many APIs leave out what is null
        elif shown is UNSET or not equal(name, shown, value):
            mismatches.append(Mismatch(name, old, value, shown))
    return mismatches


def _within(name: str, equal: Equal) -> Equal:
    """Return what compares the fields within a field."""
    return lambda inner, one, other: equal(f"{name}.{inner}", one, other)


def describe_mismatches(mismatches: Sequence[Mismatch | str]) -> str:
    """Say what reading back found: what has no effect, what is stored otherwise, what was to stay.

    :param mismatches: Fields, or texts about what is no field.
    """
    without_effect: list[str] = []
    stored: list[Mismatch] = []
    lost: list[str] = []
    changeable = False
    for one in mismatches:
        if isinstance(one, str):
            without_effect.append(one)
        elif same(one.before, one.wanted):
            was, now = as_text(one.before), as_text(one.found)
            lost.append(f"{one.field}, which was to stay: it was {was} and is {now}")
        elif one.found is UNSET or same(one.found, one.before):
            without_effect.append(str(one))
            changeable = changeable or (is_scalar(one.found) and is_scalar(one.wanted))
        else:
            stored.append(one)
    sentences: list[str] = []
    if lost:
        sentences.append(f"The API changed {'; '.join(lost)}.")
    if stored:
        shown = " and ".join(f"{one.field} as {as_text(one.found)}" for one in stored)
        asked = " and ".join(as_text(one.wanted) for one in stored)
        sentences.append(
            f"The API stores {shown}; the task asks for {asked}: write it as the API does."
        )
    if without_effect:
        sentences.append(
            "The API accepted the change, but it shows no effect "
            f"({', '.join(without_effect)}); look at it in the product before you run again."
        )
    if changeable:
        sentences.append(
            "If the API limits the value or spells it differently, write it as the API does."
        )
    return " ".join(sentences)


def is_scalar(value: t.Any) -> bool:
    """Return whether an API may store a value otherwise: it is a text or a number."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def describe(subject: str, changes: list[str]) -> str:
    """The human line of a plan: the subject and its changes, or ``no change``."""
    return f"{subject}: {', '.join(changes)}" if changes else "no change"


def without(values: Values, *names: str) -> Values:
    """The mapping without some keys."""
    return {name: value for name, value in values.items() if name not in names}


def collect_scalars(value: t.Any) -> set[str]:
    """All texts and numbers in a value, at any depth, as text."""
    if isinstance(value, dict):
        return set().union(*map(collect_scalars, value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*map(collect_scalars, value))
    return set() if value in (None, "") or isinstance(value, bool) else {str(value)}
