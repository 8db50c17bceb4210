# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that an organization or a user has exactly once: read by GET, replaced by PUT at the same path. They differ in their tables alone.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    describe,
    differences,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    require_field,
    show_state,
    unlike,
)

FieldTable = dict[str, dict[str, t.Any]]
"""Name of a field to its argument specification: an option and the field of the API have the same name."""


def singleton(
    name: str,
    path: str,
    fields: FieldTable,
    *,
    check: t.Callable[[Values], None] = lambda dummy_options: None,
    check_result: t.Callable[[Values], None] = lambda dummy_object: None,
) -> Resource:
    """The resource of one such object.

    :param name: Key under which modules return it, such as ``session_timeout``.
    :param path: Documented path of its GET and PUT.
    :param fields: What the PUT takes.
    :param check: Refuses options that contradict each other.
    :param check_result: Refuses the object that a change would make, before anything is written.
    """
    title = f"the {name.replace('_', ' ')}"

    def read(client: Client, dummy_options: Values) -> Values:
        return without(client.get(path, f"read {title}"), "updated_at")

    def plan(current: Values, options: Values) -> Plan:
        desired = {field: options[field] for field in fields if field in options}
        before = {field: require_field(current, field, title) for field in desired}
        after = {
            field: before[field] if same(before[field], value) else value
            for field, value in desired.items()
        }
        changes = differences(before, after)
        if not changes:
            return Plan(before, after, outcome=current)
        outcome = {**current, **after}
        # The documented PUT takes all fields; without one, a server that replaces the object would reset it.
        body = {field: require_field(outcome, field, title) for field in fields}
        check_result(outcome)
        return Plan(
            before,
            after,
            (Call("PUT", path, body, f"update {title}"),),
            outcome,
            describe(name, changes),
        )

    return Resource(name, read, plan, show_state, missed_in_body, check=check)


def missed_in_body(current: Values, plan: Plan, dummy_options: Values) -> list[str]:
    """What the PUT of a plan held and the API does not tell."""
    return unlike(current, plan.calls[0].body)


def check_minimum(options: Values, minimum: int, unit: str, *names: str) -> None:
    """Refuse numbers that are too small.

    :raises InvalidOption: with the first of them.
    """
    for name in names:
        if name in options and options[name] < minimum:
            raise InvalidOption(f"{name} must be at least {minimum} {unit}, not {options[name]}.")
