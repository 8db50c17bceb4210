# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._texts import (
    escape,
    map_texts,
    visible,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._filters import filter_errors
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._exports import (
        RollbackPlan,
    )


def rollback_controls(snapshot: t.Any, facts: t.Any) -> list[dict[str, t.Any]]:
    """Return the controls that restore a snapshot."""
    plan = build_plan("rollback_controls", snapshot, facts)
    # Escaped, so that Ansible does not render it before the module reads it.
    return t.cast(list[dict[str, t.Any]], escape(plan.controls))


def rollback_report(
    snapshot: t.Any, facts: t.Any, result: t.Any, check_mode: t.Any = False
) -> dict[str, list[str]]:
    """Return sentences about what a rollback could not restore."""
    from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import (
        summarize_rollback,
    )

    name = "rollback_report"
    plan = build_plan(name, snapshot, facts)
    with filter_errors(name, f"{name}: the result is not what planasonix_baseline returns"):
        summary = summarize_rollback(plan, untag(result), bool(check_mode))
    return t.cast(dict[str, list[str]], map_texts(summary, visible))


def build_plan(name: str, snapshot: t.Any, facts: t.Any) -> RollbackPlan:
    """Return the plan of a rollback for the filter ``name``."""
    # Imported here, because Ansible loads all filters to find one.
    from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import (
        plan_rollback,
    )

    with filter_errors(
        f"{name}: the input is no snapshot of this organization: ",
        f"{name}: the facts are not what planasonix_info returns of an organization",
    ):
        return plan_rollback(untag(snapshot), untag(facts))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rollback_controls": rollback_controls, "rollback_report": rollback_report}
