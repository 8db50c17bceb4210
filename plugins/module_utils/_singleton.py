# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that an organization or a user has exactly once: read by GET, replaced by PUT at the same path. They differ in their tables alone.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    compare_fields,
    find_kind,
    read_value,
    unlimited_fields,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Mismatch,
    Plan,
    Values,
    as_text,
    describe,
    differences,
    find_mismatches,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    Write,
    require_field,
    return_state,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

FieldTable = dict[str, dict[str, t.Any]]
"""Name of a field to its argument specification: an option and the field of the API have the same name."""


def singleton(
    name: str,
    path: str,
    fields: FieldTable,
    *,
    check: t.Callable[[Values], None] = lambda dummy_options: None,
    check_result: t.Callable[[Values], list[str]] = lambda dummy_object: [],
) -> Resource:
    """The resource of one such object.

    :param name: Key under which modules return it, such as ``session_timeout``.
    :param path: Documented path of its GET and PUT.
    :param fields: What the PUT takes.
    :param check: Refuses options that contradict each other.
    :param check_result: Refuses the object that a change would make, before anything is written;
        returns warnings.
    """
    title = f"the {name.replace('_', ' ')}"
    equal = compare_fields(name)

    def read(client: Client, dummy_options: Values) -> Values:
        return without(client.get(path, f"read {title}"), "updated_at")

    def plan(current: Values, options: Values) -> Plan:
        desired = {field: options[field] for field in fields if field in options}
        before = {field: require_field(current, field, title) for field in desired}
        after = dict(before)
        for field, value in desired.items():
            read_value(before[field], find_kind(name, (field,)), field, title)
            if not equal(field, before[field], value):
                after[field] = value
        changes = differences(before, after)
        if not changes:
            return Plan(before, after, predicted=current)
        refuse_new_limits(name, before, after)
        predicted = {**current, **after}
        whole = {field: require_field(predicted, field, title) for field in fields}
        warnings = check_result(predicted)
        return Plan(
            before,
            after,
            predicted=predicted,
            message=describe(name, changes),
            result={"warnings": warnings} if warnings else {},
            changes=(Change("update", name, f"update {title}", before=before, after=whole),),
        )

    def request(change: Change, dummy_options: Values) -> Write:
        """Return the PUT with all fields: a server that replaces the object would reset others.

        What is null stays out: some servers refuse it, and reading back shows if it stayed null.
        """
        body = {field: value for field, value in change.after.items() if value is not None}
        return Write("PUT", path, body, change.text)

    def verify(current: Values, plan: Plan, dummy_options: Values) -> Sequence[Mismatch | str]:
        """Return what is not as the task asks for, and what was to stay and did not."""
        wanted = {field: plan.predicted[field] for field in fields if field in plan.predicted}
        return find_mismatches(current, wanted, {**wanted, **plan.before}, equal)

    return Resource(name, read, plan, return_state, verify, check=check, request=request)


def refuse_new_limits(name: str, before: Values, after: Values) -> None:
    """Refuse to replace what may mean no limit: a shorter retention deletes logs for good.

    :raises RefusedPlan: with the first such field.
    """
    for field in unlimited_fields(name, before):
        if after[field] != before[field]:
            raise RefusedPlan(
                f"{field} is {as_text(before[field])}, which may mean no limit, so the task does "
                f"not set it to {as_text(after[field])}. Set a limit in the product first, or "
                "leave out the option."
            )


def check_minimum(options: Values, minimum: int, unit: str, *names: str) -> None:
    """Refuse numbers that are too small.

    :raises InvalidOption: with the first of them.
    """
    for name in names:
        if name in options and options[name] < minimum:
            raise InvalidOption(f"{name} must be at least {minimum} {unit}, not {options[name]}.")
