# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollbacks: the controls that restore a snapshot, and what they leave. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._exports import RollbackPlan
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._policies import POLICIES
from ansible_collections.planasonix.admin.plugins.module_utils._resource import same_id
from ansible_collections.planasonix.admin.plugins.module_utils._texts import unescape


def plan_rollback(snapshot: t.Any, facts: Values) -> RollbackPlan:
    """Return the way from the state of an organization to its snapshot.

    :param snapshot: A mapping with ``controls``, as :func:`_snapshots.take_snapshot` returns one.
    :param facts: What ``planasonix_info`` returns of the organization as it is. What it could not
        read is not among it; the baseline will say why.
    :raises InvalidOption: if it is not a snapshot of this organization.
    """
    plan = RollbackPlan()
    snapshot = unescape(snapshot)
    controls = parse_snapshot(snapshot)
    check_organization(snapshot.get("organization"), facts.get("organization"))
    # Channels before the rules that name them, also in a snapshot that was edited.
    for control in sorted(controls, key=is_about_rules):
        resource = control["resource"]
        restore = POLICIES[resource].restore if resource in facts else None
        if restore is not None:
            plan.controls += restore(control, facts, plan)
        elif control["require"]:
            plan.controls.append(control)
    return plan


def is_about_rules(control: Values) -> bool:
    """Return whether a control is about notification rules."""
    return bool(control["resource"] == "notification_rules")


def check_organization(taken: t.Any, found: t.Any) -> None:
    """Refuse the snapshot of another organization.

    A host may have come to mean another one, which would lose its channels and its allowlist.

    :param taken: ``organization`` of the snapshot, with ``id``. An export has none, and may be
        given to any organization.
    :param found: What ``planasonix_info`` returns as ``organization``.
    :raises InvalidOption: if both are known and differ.
    """
    both = [one if isinstance(one, Mapping) else {} for one in (taken, found)]
    ids = [one.get("id") for one in both]
    if None not in ids and not same_id(*ids):
        names = [
            f"{one.get('name') or one.get('slug') or 'an organization'} ({one['id']})"
            for one in both
        ]
        raise InvalidOption(
            f"it was taken of {names[0]}, and this is {names[1]}. Put the right file in its place, "
            "or remove organization from it to use it anyway."
        )


def parse_snapshot(snapshot: t.Any) -> list[Values]:
    """Return the controls of a snapshot.

    :raises InvalidOption: if it contains none.
    """
    controls = snapshot.get("controls") if isinstance(snapshot, Mapping) else None
    if not isinstance(controls, list) or not controls:
        raise InvalidOption(
            "it is no mapping with a list of controls, as planasonix.admin.harden and "
            "planasonix.admin.export write it."
        )
    for control in controls:
        check_control(control)
    return controls


def check_control(control: t.Any) -> None:
    """Refuse a control of a snapshot that was edited into something else.

    :raises InvalidOption: with the reason.
    """
    require = control.get("require") if isinstance(control, Mapping) else None
    if not isinstance(require, Mapping) or "resource" not in control:
        raise InvalidOption("each of its controls must have resource and require.")
    for name, key in (("entries", "cidr"), ("present", "name")):
        items = require.get(name, [])
        complete = isinstance(items, list) and all(
            isinstance(item, Mapping) and key in item for item in items
        )
        if not complete:
            raise InvalidOption(
                f"{name} of {control['resource']} must be a list of mappings that have {key}."
            )


def summarize_rollback(
    plan: RollbackPlan, result: Values, check_mode: bool
) -> dict[str, list[str]]:
    """Return what a rollback leaves: ``notes``, and ``left``, what should be restored and is not.

    :param result: What ``planasonix_baseline`` returned for the controls.
    :param check_mode: Whether it did so in check mode, where nothing is restored yet.
    """
    notes = []
    if plan.secrets:
        notes.append(
            "These secrets cannot be compared with the snapshot, so they stay as they are now: "
            f"{', '.join(plan.secrets)}."
        )
    left = list(plan.left)
    for control in result["controls"]:
        left += list_reasons(control, check_mode)
    return {"notes": notes + plan.notes, "left": list(dict.fromkeys(left))}


def list_reasons(control: Values, check_mode: bool) -> list[str]:
    """Return why a control does not hold after the baseline, or in check mode would not."""
    if control["status"] not in ("fail", "error", "not_entitled"):
        return []
    reasons: list[str] = control["unremedied"]
    if reasons or (check_mode and control["status"] == "fail" and control["remediable"]):
        return reasons
    return [control["detail"]]
