# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies of objects: controls that bound the fields of what an organization has exactly once.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.planasonix.admin.plugins.module_utils._bounds import (
    Bound,
    Path,
    Unmet,
    intersect_controls,
    is_among,
    lookup,
    make_conflict,
    nest,
    parse_require,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._controls import convert, is_number
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._exports import (
    export_object,
    restore_object,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    NAMES,
    FieldTable,
    Kind,
    find_kind,
    is_unlimited,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text, merge
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Draft,
    Organization,
    Policy,
    Reader,
    Step,
    plan_greedily,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import (
    SETTINGS_FIELDS,
    settle_preferences,
)

Bounds = Mapping[Path, Bound]
Targets = dict[Path, t.Any]
"""Values to set, by their paths."""


@dataclass(frozen=True)
class Written:
    """How an object is written.

    :param fields: The fields that can be written; ``None``: any.
    :param to_options: Turns nested values into the options of the resource, given the state.
    :param adjust: Changes the values to set, where one field depends on another.
    """

    resource: Resource
    fields: FieldTable | None = None
    to_options: Callable[[Values, Values], Values] = lambda values, dummy_state: values
    adjust: Callable[[Targets, Bounds, Values], Targets] = lambda targets, *dummy: targets


def object_policy(
    name: str,
    read_facts: Reader,
    *,
    types: FieldTable | None = None,
    is_whole: bool = True,
    written: Written | None = None,
    order: int = 0,
    check: Callable[[Sequence[Control], Bounds], None] = lambda *dummy: None,
    **more: t.Any,
) -> Policy:
    """Return the policy of an object.

    :param name: Its subset of facts.
    :param types: Fields whose type is known, if these are not the written ones.
    :param is_whole: Whether the answer has all fields. Otherwise a missing one is not set.
    :param written: How it is written; ``None``: it is audited only.
    :param check: Refuses controls, given their common bounds.
    :param more: Other fields of the policy. What is written is also exported and restored, unless
        it is personal.
    """
    if written is not None:
        more["plan"] = partial(plan_object, name, written)
        types = types or written.fields
    if written is not None and not more.get("is_personal"):
        more = {"export": export_object, "restore": restore_object, **more}
    return Policy(
        read_facts,
        partial(parse_bounds, types or {}),
        partial(evaluate_bounds, is_whole),
        check=partial(check_bounds, check),
        order=order,
        **more,
    )


# Parsing and merging.


def parse_bounds(types: FieldTable, require: t.Any, where: str) -> tuple[Values, Bounds]:
    """Return the bounds of a control, with the types of the fields.

    Templates of Ansible give text for numbers and booleans.

    :raises InvalidOption: if a value has another type.
    """
    bounds = parse_require(require, where)
    for path, bound in bounds.items():
        if len(path) == 1 and path[0] in types:
            bounds[path] = convert_bound(bound, types[path[0]]["type"], f"{where}: {path[0]}")
    return {}, bounds


def convert_bound(bound: Bound, kind: str, place: str) -> Bound:
    """Return a bound with the type of its field.

    :raises InvalidOption: if a value has another type.
    """
    for limit in (bound.at_least, bound.at_most):
        if kind == "int" and limit is not None and limit != int(limit):
            raise InvalidOption(f"{place} takes whole numbers, not {as_text(limit)}.")

    def convert_all(values: Iterable[t.Any]) -> tuple[t.Any, ...]:
        return tuple(convert(value, kind, place) for value in values)

    return replace(
        bound,
        equals=convert_all(bound.equals),
        one_of=None if bound.one_of is None else convert_all(bound.one_of),
        not_one_of=convert_all(bound.not_one_of),
    )


def check_bounds(
    check: Callable[[Sequence[Control], Bounds], None], controls: Sequence[Control]
) -> None:
    """Refuse controls of one object that cannot all hold.

    :raises InvalidOption: with the ids of two controls.
    """
    check(controls, intersect_bounds(controls))


def intersect_bounds(controls: Iterable[Control]) -> Bounds:
    """Return the bounds of several controls as one.

    :raises InvalidOption: if two cannot both hold.
    """
    return intersect_controls((control.id, control.bounds) for control in controls)


# Evaluating.


def evaluate_bounds(
    is_whole: bool, control: Control, organization: Organization
) -> tuple[t.Any, list[str]]:
    """Return what the values are, and why they do not meet the bounds.

    :param is_whole: Whether the answer has all fields. Otherwise a missing one is not set.
    :raises ApiError: if the answer lacks a field.
    """
    value = organization.values[control.resource]
    texts = []
    for path, bound in control.bounds.items():
        found = read_path(control.resource, value, path)
        name = ".".join(path) or control.resource
        if not found and not is_whole:
            texts.append(f"{name} is not set")
            continue
        if not found:
            raise ApiError(
                f"The API's answer for the {control.resource.replace('_', ' ')} has no field "
                f"{name!r}; is it spelt right in the control?"
            )
        kind = find_kind(control.resource, path)
        check_comparable(found[0], bound, kind, name)
        for text in bound.unmet(found[0], kind.same):
            texts.append(f"{name} is {as_text(found[0])}; expected {text}")
    return select_values(control, value), texts


def select_values(control: Control, value: t.Any) -> t.Any:
    """Return the values that a control is about, nested as the control names them."""
    found = {path: lookup(value, path) for path in control.bounds}
    if () in found:
        return value
    return nest({path: one[0] for path, one in found.items() if one})


def read_path(resource: str, value: t.Any, path: Path) -> tuple[t.Any, ...]:
    """Return the value at a path of an object, read by its documented type.

    :returns: The value in a tuple of one, or an empty tuple if there is none.
    :raises ApiError: if it is of another type.
    """
    found = lookup(value, path)
    if not found:
        return ()
    subject = f"the {resource.replace('_', ' ')}"
    name = ".".join(path) or resource
    return (read_value(found[0], find_kind(resource, path), name, subject),)


def check_comparable(value: t.Any, bound: Bound, kind: Kind, name: str) -> None:
    """Refuse to compare what is documented otherwise, since the verdict could be false.

    :raises ApiError: if a number may mean no limit, or a list has objects for texts.
    """
    if kind.positive and is_unlimited(value) and not bound.names(value):
        raise ApiError(
            f"{name} is {as_text(value)}; the API documents numbers from 1 on, "
            "so it may mean no limit. It is neither compared nor changed: "
            "set it in the product, or allow it in one_of."
        )
    if bound.wants_list and has_objects(value) and not has_objects(bound.contains + bound.excludes):
        raise ApiError(
            f"{name} is a list of objects, where the control names plain values, "
            "so they cannot be compared; check api_url and the API's version."
        )


def has_objects(value: t.Any) -> bool:
    """Return whether it is a list with a mapping or a list in it."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(item, (dict, list)) for item in value
    )


# Planning.


def plan_object(name: str, written: Written, draft: Draft, controls: Sequence[Control]) -> None:
    """Plan the values that meet all controls and are nearest to what the object has."""
    state = draft.organization.values[name]
    bounds = intersect_bounds(controls)
    chosen: Targets = {}
    ids: list[str] = []
    steps: list[Step] = []

    def try_to_plan(control: Control) -> None:
        targets = chosen | choose_targets(control, bounds, state, written.fields)
        targets = written.adjust(targets, bounds, state)
        options = written.to_options(nest(targets), state)
        written.resource.check(options)
        plan = written.resource.make_plan(state, options)
        chosen.update(targets)
        ids.append(control.id)
        steps[:] = [Step(tuple(ids), written.resource, state, options, plan, (name,))]

    failing = [control for control in controls if draft.fails(control)]
    for control_id, reason in plan_greedily(failing, try_to_plan).items():
        draft.leave([control_id], reason)
    draft.steps += steps


def choose_targets(
    control: Control, bounds: Bounds, state: Values, fields: FieldTable | None
) -> Targets:
    """Return the values to set, so that a control is met.

    :raises Unmet: if one of them cannot be set.
    """
    targets: Targets = {}
    for path, bound in control.bounds.items():
        found = read_path(control.resource, state, path)
        value = found[0] if found else None
        equal = find_kind(control.resource, path).same
        if found and not bound.unmet(value, equal):
            continue
        if not path or (fields is not None and (len(path) > 1 or path[0] not in fields)):
            raise Unmet(f"the API cannot change {'.'.join(path) or control.resource}")
        target = bounds[path].nearest(value, equal)
        if not found and target is None and not bounds[path].equals:
            raise Unmet(f"nothing says what {'.'.join(path)} should be")
        if isinstance(target, Mapping) and merge(value, target) != target:
            raise Unmet(f"no write takes out what {'.'.join(path)} holds beside that")
        targets[path] = target
    return targets


# What is particular to one object.


IDLE: Path = ("idle_timeout_minutes",)
ABSOLUTE: Path = ("absolute_timeout_minutes",)


def check_session(controls: Sequence[Control], bounds: Bounds) -> None:
    """Refuse an idle timeout that must exceed the absolute one.

    :raises InvalidOption: with the ids of the controls.
    """
    idle = [control for control in controls if IDLE in control.bounds]
    absolute = [control for control in controls if ABSOLUTE in control.bounds]
    # Two controls by themselves say best what is wrong; otherwise it takes more of them.
    for one in idle:
        for other in absolute:
            check_idle_below(one.bounds[IDLE], other.bounds[ABSOLUTE], one.id, other.id)
    if idle and absolute:
        check_idle_below(bounds[IDLE], bounds[ABSOLUTE], idle[0].id, absolute[0].id)


def check_idle_below(idle: Bound, absolute: Bound, one: str, other: str) -> None:
    """Refuse a bound of the idle timeout that lies above the absolute one's.

    :raises InvalidOption: with the ids of the controls.
    """
    choices = [
        value
        for value in (*absolute.equals, *(absolute.one_of or ()))
        if is_number(value) and not absolute.unmet(value)
    ]
    largest = max(choices, default=absolute.at_most)
    if largest is None:
        return
    try:
        idle.intersect(Bound(at_most=largest))
    except InvalidOption as error:
        reason = f"idle may not exceed absolute ({error.message})"
        raise make_conflict(one, other, IDLE, reason) from None


def lower_idle(targets: Targets, bounds: Bounds, state: Values) -> Targets:
    """Lower the idle timeout along with the absolute one, unless a control forbids that."""
    (present,) = read_path("session_timeout", state, IDLE) or (None,)
    idle: t.Any = targets.get(IDLE, present)
    absolute: t.Any = targets.get(ABSOLUTE)
    if not (is_number(idle) and is_number(absolute)) or idle <= absolute:
        return targets
    try:
        bound = bounds.get(IDLE, Bound()).intersect(Bound(at_most=absolute))
        return targets | {IDLE: bound.nearest(idle)}
    except (InvalidOption, Unmet):
        return targets  # then the resource refuses it, and says why


def settings_options(values: Values, dummy_state: Values) -> Values:
    """Return settings as options: those without an option of their own are ``extra``."""
    named = {name: value for name, value in values.items() if name in SETTINGS_FIELDS}
    extra = {name: value for name, value in values.items() if name not in SETTINGS_FIELDS}
    return named | ({"extra": extra} if extra else {})


def preferences_options(values: Values, state: Values) -> Values:
    """Return preferences as options, each merged with what it is."""
    return {"preferences": {key: merge(state.get(key), value) for key, value in values.items()}}


def read_preferences(read: Reader, client: Client, controls: Sequence[Control]) -> Values:
    """Read the preferences, those that the list does not show as required by themselves."""
    preferences: Values = read(client, {})
    keys: dict[str, None] = {}
    for control in controls:
        for path, bound in control.bounds.items():
            found = lookup(preferences, path)
            if path and (not found or bound.unmet(found[0])):
                keys[path[0]] = None
    return settle_preferences(client, preferences, list(keys))


def requires_sso(control: Control) -> bool:
    """Return whether single sign-on must be in the organization's plan to meet a control."""
    bound = control.bounds.get(("require_sso",), Bound())
    return not bound.unmet(True) and bool(bound.unmet(False))


def need_features(control: Control) -> tuple[str, ...]:
    """Return the subset that says whether the organization's plan has single sign-on."""
    return ("features",) if requires_sso(control) else ()


def entitle_to_sso(control: Control, organization: Organization) -> str:
    """Return why the organization's plan cannot meet a control of the settings."""
    if not requires_sso(control) or is_among("sso", organization.values["features"], NAMES.same):
        return ""
    return "single sign-on is not among the features of the organization's plan"
