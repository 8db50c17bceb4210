# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A baseline: all controls of an organization, evaluated over one reading, and met by one plan.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.planasonix.admin.plugins.module_utils._bounds import nest
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    STATUSES,
    parse_waivers,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    PlanasonixError,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import check_filled
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    merge,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policies import (
    POLICIES,
    check_baseline,
    drop_waived,
    parse_controls,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Draft,
    Organization,
    Policy,
    Step,
    Verdict,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy_objects import select_values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    apply_and_confirm,
    return_state,
)
from ansible_collections.planasonix.admin.plugins.module_utils._rules import ChannelIsGone
from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import (
    snapshot_before_write,
)


@dataclass(frozen=True)
class Assessment:
    """All verdicts, and the steps that remediate what fails. Applying them changes the verdicts."""

    controls: tuple[Control, ...]
    verdicts: Mapping[str, Verdict]
    steps: tuple[Step, ...]

    def to_result(self) -> Values:
        """Return the keys of the result."""
        summary = dict.fromkeys(STATUSES, 0)
        for verdict in self.verdicts.values():
            summary[verdict.status] += 1
        controls = [
            {
                **control.declared,
                **self.verdicts[control.id].to_data(),
                "expected": control.declared["require"],
            }
            for control in self.controls
        ]
        counts = ", ".join(f"{count} {status}" for status, count in summary.items() if count)
        return {
            "controls": controls,
            "summary": summary,
            "compliant": not summary["fail"] and not summary["error"],
            "msg": f"baseline: {counts or 'no controls'}",
        }


# Reading.


def find_needed(controls: Iterable[Control]) -> list[str]:
    """Return the subsets to read: those of the controls, and those that they depend on."""
    names: set[str] = set()
    for control in controls:
        names |= {control.resource, *POLICIES[control.resource].needs(control)}
    return [name for name in POLICIES if name in names]


def read_organization(client: Client, options: Values) -> Organization:
    """Read each needed subset once.

    An error is noted, not raised. If it affects every request, no other subset is tried.
    """
    values: Values = {}
    errors: dict[str, ApiError] = {}
    hopeless: ApiError | None = None
    controls = parse_controls(options)
    for name in find_needed(controls):
        if hopeless is not None:
            errors[name] = hopeless
            continue
        try:
            values[name] = read_subset(client, name, controls)
        except ApiError as error:
            errors[name] = error
            if error.affects_every_request:
                hopeless = error
    return Organization(controls, values, errors, client.now())


def read_subset(client: Client, name: str, controls: Iterable[Control]) -> t.Any:
    """Read what the controls of a subset are evaluated over."""
    policy = POLICIES[name]
    if policy.read is None:
        return policy.read_facts(client, {})
    return policy.read(client, [control for control in controls if control.resource == name])


# Evaluating and planning.


def evaluate(control: Control, organization: Organization) -> Verdict:
    """Return the verdict on one control, before anything is written."""
    policy = POLICIES[control.resource]
    for name in (control.resource, *policy.needs(control)):
        if name in organization.errors:
            error = organization.errors[name]
            return Verdict("error", findings=(error.message,), remediable=policy.is_remediable)
    obstacle = policy.entitle(control, organization)
    if obstacle:
        current = select_values(control, organization.values[control.resource])
        return Verdict("not_entitled", current, (obstacle,))
    try:
        current, findings = policy.evaluate(control, organization)
    except ApiError as error:
        return Verdict("error", findings=(error.message,), remediable=policy.is_remediable)
    except InvalidOption as error:  # without a waiver, the plan says so
        return Verdict("fail", findings=(error.message,))
    return Verdict("fail" if findings else "pass", current, tuple(findings), policy.is_remediable)


def assess(organization: Organization, options: Values) -> Assessment:
    """Evaluate all controls, and plan what remediates those that fail and have no waiver."""
    controls = organization.controls
    waivers = parse_waivers(options.get("waivers", []), [control.id for control in controls])
    today = organization.now.date()
    verdicts = {control.id: evaluate(control, organization) for control in controls}
    active = [
        control
        for control in drop_waived(controls, waivers, today)
        if verdicts[control.id].status in ("pass", "fail")
    ]
    for control_id, waiver in waivers.items():
        verdicts[control_id].apply_waiver(waiver, today)
    draft = Draft(organization, options, verdicts, dict(organization.values))
    plan_all(draft, active)
    return Assessment(controls, verdicts, tuple(draft.steps))


def plan_all(draft: Draft, controls: Sequence[Control]) -> None:
    """Plan all controls that fail, in an order that never weakens the organization.

    Those that are met are planned along, since they may not be after another's step: a rule that
    names a channel which is replaced.
    """
    failing = {control.resource for control in controls if draft.fails(control)}
    areas: list[tuple[Policy, list[Control]]] = []
    for name in sorted(POLICIES, key=lambda name: POLICIES[name].order):
        own = [control for control in controls if control.resource == name]
        needed = {name}.union(*map(POLICIES[name].needs, own))
        if needed & failing:
            areas.append((POLICIES[name], own))
    for policy, own in areas:
        if policy.plan is not None:
            policy.plan(draft, own)
    for policy, own in areas:
        if policy.plan_removals is not None:
            policy.plan_removals(draft, own)


def plan_baseline(organization: Organization, options: Values) -> Plan:
    """Plan the whole organization. The result of check mode is the state that was found."""
    assessment = assess(organization, options)
    before: Values = {}
    after: Values = {}
    changes: list[Change] = []
    for step in assessment.steps:
        changes += [replace(change, controls=step.controls) for change in step.plan.changes]
        before = merge(before, nest({step.place: step.plan.before}))
        after = merge(after, nest({step.place: step.plan.after}))
    result = assessment.to_result()
    return Plan(
        before,
        after,
        message=result["msg"],
        result=without(result, "msg"),
        basis=assessment,
        changes=tuple(changes),
    )


# Applying.


def apply_baseline(
    client: Client, plan: Plan, dummy_organization: Organization, dummy_options: Values
) -> Applied:
    """Apply the steps one after the other, each read back before the next.

    A step that the API refuses for its own sake is left out. After any other failure no further
    step is tried.

    :raises PlanasonixError: with the verdicts, if a step fails.
    """
    assessment: Assessment = plan.basis
    is_changed = False
    is_refused = False
    for place, step in enumerate(assessment.steps):
        later = assessment.steps[place + 1 :]
        reason = "Not written, since the task stopped before it"
        try:
            # A rule may still use a channel that a refused step was to take out of it.
            current = renew(client, step) if step.is_foreseen or is_refused else step
            reason = "Not written, since an earlier write failed"
            if current.plan.changed:
                apply_and_confirm(
                    client, current.resource, current.plan, current.state, current.options
                )
        except (ChannelIsGone, RefusedPlan) as error:  # nothing was written
            is_refused = True
            note_refusal(assessment, step, error)
        except PlanasonixError as error:
            if error.is_unconfirmed:
                reason = "Not written, since the write before could not be confirmed"
            note_failure(assessment, step, later, error, reason)
            raise
        else:
            is_changed = True
            note_success(assessment, step, later)
    if not assessment.steps:
        return Applied()
    return Applied({**assessment.to_result(), "changed": is_changed})


def renew(client: Client, step: Step) -> Step:
    """Plan a step again, over what is read now."""
    state = step.resource.read(client, step.options)
    return replace(step, state=state, plan=step.resource.make_plan(state, step.options))


def find_failing(assessment: Assessment, step: Step) -> list[Verdict]:
    """Return the verdicts of the controls of a step that are not met."""
    verdicts = [assessment.verdicts[control_id] for control_id in step.controls]
    return [verdict for verdict in verdicts if verdict.status == "fail"]


def note_success(assessment: Assessment, step: Step, later: Sequence[Step]) -> None:
    """Note which controls are fixed: those that no later step is for."""
    pending = set().union(*(other.controls for other in later))
    for control_id in set(step.controls) - pending:
        verdict = assessment.verdicts[control_id]
        if verdict.status == "fail" and verdict.remediable:
            verdict.status = "fixed"


def note_refusal(assessment: Assessment, step: Step, error: PlanasonixError) -> None:
    """Note that the API refused a step for its own sake, so that others can follow."""
    for verdict in find_failing(assessment, step):
        verdict.remediable = False
        verdict.leave(error.message)


def note_failure(
    assessment: Assessment,
    step: Step,
    later: Sequence[Step],
    error: PlanasonixError,
    reason: str,
) -> None:
    """Note why the controls of a step, and those of later steps, are not met.

    :param reason: Why the later steps were not tried.
    """
    failed = find_failing(assessment, step)
    for other in later:
        for verdict in find_failing(assessment, other):
            verdict.status, verdict.failure = "error", reason
    for verdict in failed:
        verdict.status, verdict.failure = "error", error.message
    error.details = {**without(assessment.to_result(), "msg"), **error.details}


def check_options(options: Values) -> None:
    """Refuse options that cannot be used, before anything is read."""
    check_filled(options, "snapshot_file")
    check_baseline(options)


BASELINE = Resource(
    None,
    read_organization,
    plan_baseline,
    return_state,
    None,
    apply_baseline,
    check_options,
    prepare=snapshot_before_write,
)
