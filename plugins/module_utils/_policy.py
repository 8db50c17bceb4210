# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a baseline is made of: controls, what was read, verdicts, steps, and policies. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.module_utils._bounds import Bound, Path
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._controls import Waiver
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    PlanasonixError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._exports import RollbackPlan
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Plan, Values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible

Reader = Callable[[Client, Values], t.Any]
"""Reads a subset, given the subsets that were read before, so that none is read twice."""


@dataclass(frozen=True)
class Control:
    """One control.

    :param id: Its id; by default the name of the resource.
    :param resource: The subset of facts that it is about.
    :param declared: Its fields as the user wrote them, without secrets.
    :param require: What it requires of a list, such as ``{"purge": True}``.
    :param bounds: What it requires of the fields of an object.
    """

    id: str
    resource: str
    declared: Values
    require: Values = field(default_factory=dict)
    bounds: Mapping[Path, Bound] = field(default_factory=dict)


@dataclass(frozen=True)
class Organization:
    """What was read.

    :param controls: What it was read for.
    :param values: By subset: what its policy reads.
    :param errors: Why a subset could not be read.
    :param now: When it was read, in UTC.
    """

    controls: tuple[Control, ...]
    values: Values
    errors: Mapping[str, ApiError]
    now: datetime.datetime


@dataclass
class Verdict:
    """What became of a control.

    :param current: What the organization has.
    :param findings: Why the control is not met, or could not be evaluated.
    :param remediable: Whether the collection can meet it.
    :param unremedied: Why it is not remediated.
    :param waiver: With ``reason``, ``expires`` and ``expired``, as the result has it.
    :param failure: Why it could not be written.
    """

    status: str
    current: t.Any = None
    findings: tuple[str, ...] = ()
    remediable: bool = False
    unremedied: list[str] = field(default_factory=list)
    waiver: Values | None = None
    failure: str = ""

    def leave(self, reason: str) -> None:
        """Note why the control is not remediated."""
        if reason not in self.unremedied:
            self.unremedied.append(reason)

    def apply_waiver(self, waiver: Waiver, today: datetime.date) -> None:
        """Note the waiver, and apply it if it is active."""
        self.waiver = waiver.to_data(today)
        if waiver.is_active(today) and self.status in ("pass", "fail"):
            self.status = "waived"

    def to_data(self) -> Values:
        """Return the verdict as the result has it."""
        return {
            "status": self.status,
            "current": self.current,
            "detail": visible(self.describe()),
            "remediable": self.remediable,
            "unremedied": [visible(reason) for reason in self.unremedied],
            "waiver": self.waiver,
        }

    def describe(self) -> str:
        """Return the verdict in words, for people: no code reads them."""
        if self.waiver is not None and self.status == "waived":
            expires = self.waiver["expires"]
            until = f"until {expires}" if expires else "with no expiry date"
            findings = join_sentences(self.findings) or "it is met"
            return f"waived {until}: {self.waiver['reason']} ({findings})"
        sentences = list(self.findings)
        fails = self.status in ("fail", "fixed") or self.failure
        if self.waiver is not None and self.waiver["expired"] and fails:
            expires, reason = self.waiver["expires"], self.waiver["reason"]
            sentences.append(f"Its waiver expired on {expires} ({reason})")
        reasons = [reason for reason in self.unremedied if reason not in self.findings]
        if reasons:
            sentences.append(f"Not remediated: {join_sentences(reasons)}")
        return join_sentences([*sentences, *filter(None, [self.failure])])


def join_sentences(texts: Iterable[str]) -> str:
    """Join texts as sentences. Each but the last may lack its full stop."""
    *others, last = ["", *texts]
    return "".join(f"{text.removesuffix('.')}. " for text in others[1:]) + last


@dataclass(frozen=True)
class Step:
    """One resource's part of the plan.

    :param controls: Ids of the controls that it is for.
    :param options: As the resource takes them.
    :param place: Where it stands in the diff.
    :param is_foreseen: Whether it relies on what earlier steps make, such as the id of a channel,
        so that it is planned again over what is read when it is its turn.
    """

    controls: tuple[str, ...]
    resource: Resource
    state: t.Any
    options: Values
    plan: Plan
    place: tuple[str, ...]
    is_foreseen: bool = False


@dataclass
class Draft:
    """A plan in the making.

    :param organization: As it was read.
    :param options: Those of the task.
    :param verdicts: By the id of their control.
    :param values: By subset, as they will be after the steps so far.
    """

    organization: Organization
    options: Values
    verdicts: Mapping[str, Verdict]
    values: Values
    steps: list[Step] = field(default_factory=list)

    def fails(self, control: Control) -> bool:
        """Return whether a control is not met."""
        return self.verdicts[control.id].status == "fail"

    def leave(self, ids: Iterable[str], reason: str) -> None:
        """Note why controls are not remediated, and that the collection cannot meet them."""
        for control_id in ids:
            self.verdicts[control_id].remediable = False
            self.verdicts[control_id].leave(reason)

    def try_to_plan(
        self,
        resource: Resource,
        state: t.Any,
        options: Values,
        ids: tuple[str, ...],
        place: tuple[str, ...],
        is_foreseen: bool = False,
    ) -> Plan | None:
        """Plan a step for some controls, and add it if it changes something.

        :returns: The plan; ``None`` if there can be none, which is noted.
        """
        try:
            resource.check(options)
            plan = resource.make_plan(state, options)
        except PlanasonixError as error:
            self.leave(ids, error.message)
            return None
        if plan.result.get("not_compared"):
            for control_id in ids:
                self.verdicts[control_id].remediable = False
        if plan.changed:
            self.steps.append(Step(ids, resource, state, options, plan, place, is_foreseen))
        return plan


def plan_greedily(
    waiting: Sequence[Control], try_to_plan: Callable[[Control], None]
) -> dict[str, str]:
    """Plan one control after the other, again as long as that helps.

    What is refused by itself may be safe once another control is met.

    :param try_to_plan: Plans a control together with those before; it raises if that cannot be.
    :returns: The controls that remain, by id, each with the reason. The others are planned.
    """
    refusals: dict[str, str] = {}
    while waiting:
        refusals = {}
        for control in waiting:
            try:
                try_to_plan(control)
            except PlanasonixError as error:
                refusals[control.id] = error.message
        if len(refusals) == len(waiting):
            break
        waiting = [control for control in waiting if control.id in refusals]
    return refusals


@dataclass(frozen=True)
class Policy:
    """What is done with one subset of facts. All differences between subsets are declared here.

    :param read_facts: Reads it as ``planasonix_info`` returns it.
    :param parse: Returns what a control requires of a list, and its bounds. It gets ``require``,
        and a name for messages.
    :param evaluate: Returns what there is, and why that does not meet a control.
    :param read: Reads what is evaluated and planned over, given the controls. ``None``: the facts.
    :param needs: Other subsets that must be known to evaluate a control, or to write for it.
    :param entitle: Returns why the organization's plan cannot meet a control; empty if it can.
    :param censor: Returns what a control requires without its secrets.
    :param check: Refuses controls that cannot all hold, before anything is read.
    :param is_personal: Whether it belongs to the user behind the key, not to the organization, so
        that it is neither exported nor restored.
    :param order: Its place in the order of writes.
    :param plan: Plans what meets its controls. ``None``: they are audited only.
    :param plan_removals: Plans what must wait until all other steps are planned.
    :param to_facts: Turns what ``read`` returns into facts, given the facts before. ``None``: it
        returns facts.
    :param export: Turns its facts into what a control requires. ``None``: no snapshot has it.
    :param restore: Turns a control of a snapshot, given all facts, into the controls that restore
        it, and notes in the plan what they cannot restore.
    """

    read_facts: Reader
    parse: Callable[[t.Any, str], tuple[Values, Mapping[Path, Bound]]]
    evaluate: Callable[[Control, Organization], tuple[t.Any, list[str]]]
    read: Callable[[Client, Sequence[Control]], t.Any] | None = None
    needs: Callable[[Control], tuple[str, ...]] = lambda dummy_control: ()
    entitle: Callable[[Control, Organization], str] = lambda *dummy: ""
    censor: Callable[[t.Any], t.Any] = lambda require: require
    check: Callable[[Sequence[Control]], object] = lambda dummy_controls: None
    is_personal: bool = False
    order: int = 0
    plan: Callable[[Draft, Sequence[Control]], None] | None = None
    plan_removals: Callable[[Draft, Sequence[Control]], None] | None = None
    to_facts: Callable[[t.Any, Values], t.Any] | None = None
    export: Callable[[t.Any], Values] | None = None
    restore: Callable[[Values, Values, RollbackPlan], list[Values]] | None = None

    @property
    def is_remediable(self) -> bool:
        """Whether the collection can write what its controls are about."""
        return self.plan is not None
