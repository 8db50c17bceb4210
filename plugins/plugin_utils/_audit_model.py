# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of a fleet as data: organizations, findings, the trend and the verdict. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SEVERITIES,
    STATUSES,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import (
    MOST_SEVERE_FIRST,
    count_noun,
    count_severities,
)

FORMAT = "planasonix.admin.audit"
FORMAT_VERSION = 1
"""Rises when an older version of the collection could not read the JSON report back."""

TITLE = "Planasonix compliance audit"
FAILING = ("fail", "error")
FAIL_ON = ("never", *SEVERITIES)
CHANGES = ("worse", "better", "new", "gone")
STATUS_ORDER = ("error", "fail", "waived", "not_entitled", "fixed", "pass")
"""The worst first."""

STANDARDS = {
    "nist_800_53": "NIST SP 800-53 r5",
    "cis_controls_v8_1": "CIS Controls v8.1",
    "soc2": "SOC 2",
    "iso_27001_2022": "ISO/IEC 27001:2022",
}
"""Titles of the standards that the profiles refer to; another one is shown by its key."""


class ReportError(ValueError):
    """Why there can be no report, in sentences for the user."""


@dataclass(frozen=True)
class ReportedWaiver:
    """The decision to accept a failing control.

    :param expires: The last day, in UTC, on which it holds; ``None``: no expiry date.
    """

    reason: str
    expires: str | None = None
    expired: bool = False


@dataclass(frozen=True)
class ReportedControl:
    """What a control requires, whichever organization it is about.

    :param references: Key of a standard, and its parts.
    """

    id: str
    title: str
    severity: str
    resource: str = ""
    rationale: str = ""
    remediation: str = ""
    require: t.Any = None
    references: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def heading(self) -> str:
        """The id, with the title if there is another one."""
        return self.id if self.title == self.id else f"{self.id}: {self.title}"

    @property
    def references_text(self) -> str:
        """The references in one line."""
        standards = [(STANDARDS.get(key, key), parts) for key, parts in self.references]
        return "; ".join(f"{standard}: {', '.join(parts)}" for standard, parts in standards)


@dataclass(frozen=True)
class Finding:
    """The status of one control in one organization.

    :param control: Id of the control.
    :param severity: As this organization's list of controls has it.
    :param unremedied: Why it is not remediated.
    :param previous: Its status in the earlier run; ``None`` if there was none.
    :param change: One of :data:`CHANGES`; ``None`` if it is neither better nor worse.
    """

    control: str
    status: str
    severity: str
    current: t.Any = None
    expected: t.Any = None
    detail: str = ""
    remediable: bool = False
    waiver: ReportedWaiver | None = None
    unremedied: tuple[str, ...] = ()
    previous: str | None = None
    change: str | None = None

    @property
    def fails(self) -> bool:
        """Return whether it counts against the organization."""
        return self.status in FAILING

    @property
    def rank(self) -> int:
        """Its place in a list, failures first."""
        return 0 if self.fails else STATUS_ORDER.index(self.status)

    def counts_at(self, threshold: str) -> bool:
        """Return whether it counts at a threshold. An error counts whatever its severity."""
        severe = SEVERITIES.index(self.severity) >= SEVERITIES.index(threshold)
        return self.status == "error" or (self.status == "fail" and severe)


@dataclass(frozen=True)
class AuditedOrganization:
    """One organization.

    :param name: Name of its host in the inventory.
    :param findings: In the order of the controls; none if nothing was evaluated.
    :param message: Why it could not be audited, or why the audit stopped; empty otherwise.
    :param change: As in :class:`Finding`, for the organization as a whole.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    message: str = ""
    change: str | None = None

    @cached_property
    def readable(self) -> bool:
        """Whether anything of it could be read."""
        return any(finding.status != "error" for finding in self.findings)

    @cached_property
    def status(self) -> str:
        """``pass``, ``fail`` or ``error``, which is never folded into the others."""
        if not self.readable:
            return "error"
        found = {finding.status for finding in self.findings}
        return next((status for status in FAILING if status in found), "pass")

    @cached_property
    def by_control(self) -> dict[str, Finding]:
        """The findings by the id of their control."""
        return {finding.control: finding for finding in self.findings}

    def complies_at(self, threshold: str) -> bool:
        """Return whether it complies at a threshold."""
        return self.readable and not any(one.counts_at(threshold) for one in self.findings)


@dataclass(frozen=True)
class GrantedWaiver:
    """A waiver, with the organization and the control that it is for."""

    organization: str
    control: str
    waiver: ReportedWaiver

    @property
    def last_day(self) -> str:
        """Its last day, for sorting."""
        return self.waiver.expires or "9999"


@dataclass(frozen=True)
class TrendChange:
    """A difference from the earlier run.

    :param control: Id of the control; ``None`` if it is about the organization as a whole.
    :param change: One of :data:`CHANGES`.
    :param before: Status in the earlier run; ``None`` if it was not in it.
    :param after: Status now; ``None`` if it is gone.
    """

    organization: str
    control: str | None
    change: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ChangeGroup:
    """The same change in several organizations, by their names."""

    first: TrendChange
    organizations: tuple[str, ...]


@dataclass(frozen=True)
class Trend:
    """This run compared with an earlier one.

    :param time: When the earlier run was, as its report states.
    :param profile: Its profile.
    :param compliant: How many of its organizations complied.
    :param total: How many organizations it had.
    """

    time: str
    profile: str
    compliant: int
    total: int
    changes: tuple[TrendChange, ...]

    def count(self, change: str) -> int:
        """Return how many changes of one kind there are."""
        return sum(one.change == change for one in self.changes)

    @property
    def counts_text(self) -> str:
        """How many changes of each kind there are; empty if nothing changed."""
        return ", ".join(f"{self.count(kind)} {kind}" for kind in CHANGES if self.count(kind))

    def group(self, change: str) -> list[ChangeGroup]:
        """Return the changes of one kind, each once, with the names of the organizations."""
        groups: dict[tuple[str | None, ...], list[TrendChange]] = {}
        for one in self.changes:
            if one.change == change:
                groups.setdefault((one.control, one.before, one.after), []).append(one)
        return [
            ChangeGroup(found[0], tuple(one.organization for one in found))
            for found in groups.values()
        ]


@dataclass(frozen=True)
class FleetVerdict:
    """Whether a fleet complies.

    :param failed: Whether the play is to fail.
    :param msg: The reason in one line.
    :param causes: How many controls of each severity fail, and how many controls and organizations
        are unreadable; empty if the fleet complies.
    """

    failed: bool
    msg: str
    causes: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """One report over all organizations.

    :param time: When the audit was, in UTC.
    :param fail_on: The least severity that counts against an organization, or ``never``.
    :param controls: In the order of their first occurrence.
    :param organizations: By name.
    :param trend: ``None`` if there is no earlier run to compare with.
    """

    time: datetime.datetime
    collection_version: str
    profile: str
    fail_on: str
    controls: tuple[ReportedControl, ...]
    organizations: tuple[AuditedOrganization, ...]
    trend: Trend | None = None
    title: str = TITLE

    @property
    def iso_time(self) -> str:
        """The time as ISO 8601."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def display_time(self) -> str:
        """The time for readers."""
        return self.time.strftime("%Y-%m-%d %H:%M UTC")

    @cached_property
    def verdict(self) -> FleetVerdict:
        """The verdict at the report's own threshold."""
        return judge(self.organizations, self.fail_on)

    @property
    def compliant(self) -> int:
        """How many organizations meet every control."""
        return sum(organization.status == "pass" for organization in self.organizations)

    @property
    def complies(self) -> bool:
        """Whether there are organizations, and all of them meet every control."""
        return 0 < len(self.organizations) == self.compliant

    @cached_property
    def by_id(self) -> dict[str, ReportedControl]:
        """The controls by their id."""
        return {control.id: control for control in self.controls}

    @cached_property
    def findings(self) -> list[tuple[AuditedOrganization, Finding]]:
        """All findings, each with its organization."""
        found = []
        for organization in self.organizations:
            found += [(organization, finding) for finding in organization.findings]
        return found

    @property
    def failures(self) -> list[tuple[AuditedOrganization, Finding]]:
        """The findings that count against readable organizations, the most severe first."""
        found = [(one, finding) for one, finding in self.findings if finding.fails and one.readable]
        order = {control.id: place for place, control in enumerate(self.controls)}
        return sorted(
            found, key=lambda one: (MOST_SEVERE_FIRST.index(one[1].severity), order[one[1].control])
        )

    @property
    def unreadable(self) -> list[AuditedOrganization]:
        """The organizations of which nothing could be read."""
        return [organization for organization in self.organizations if not organization.readable]

    @property
    def waivers(self) -> list[GrantedWaiver]:
        """The waivers of the findings, the first to expire first."""
        found = []
        for organization, finding in self.findings:
            if finding.waiver:
                found.append(GrantedWaiver(organization.name, finding.control, finding.waiver))
        return sorted(found, key=lambda one: (one.last_day, one.organization, one.control))

    def count_by_severity(self) -> dict[str, dict[str, int]]:
        """Return how many findings of each severity have which status, the most severe first."""
        groups: dict[str, list[Finding]] = {severity: [] for severity in MOST_SEVERE_FIRST}
        for _organization, finding in self.findings:
            groups[finding.severity].append(finding)
        return {severity: count_statuses(found) for severity, found in groups.items()}


def count_statuses(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many findings have which status."""
    counts = dict.fromkeys(STATUSES, 0)
    for finding in findings:
        counts[finding.status] += 1
    return counts


# The verdict.


def judge(organizations: Sequence[AuditedOrganization], fail_on: str) -> FleetVerdict:
    """Return the verdict over organizations. An audit of no organization fails, too."""
    threshold = SEVERITIES[0] if fail_on == "never" else fail_on
    if not organizations:
        causes = {"nothing_audited": 1}
        return FleetVerdict(fail_on != "never", "No organization was audited.", causes)
    readable = [organization for organization in organizations if organization.readable]
    findings: list[Finding] = []
    for organization in readable:
        findings += organization.findings
    failing = [finding for finding in findings if finding.status == "fail"]
    counting = [finding.severity for finding in failing if finding.counts_at(threshold)]
    below = [finding.severity for finding in failing if not finding.counts_at(threshold)]
    counts = count_statuses(findings)
    unreadable = len(organizations) - len(readable)
    parts = describe_causes(counting, counts["error"], unreadable)
    if not parts:
        passing = counts["pass"] + counts["fixed"]
        parts.append(f"{count_noun(passing, 'control')} {'passes' if passing == 1 else 'pass'}")
    if below:
        verb = "fails" if len(below) == 1 else "fail"
        parts.append(f"{len(below)} {verb} below {threshold} ({count_severities(below)})")
    words = (("waived", "waived"), ("not_entitled", "not entitled"))
    rest = [f"{counts[status]} {word}" for status, word in words if counts[status]]
    failed = sum(not organization.complies_at(threshold) for organization in organizations)
    head = describe_total(failed, len(organizations), threshold if below else "")
    msg = f"{head}: {'; '.join(filter(None, (', '.join(parts), ', '.join(rest))))}."
    causes = {severity: counting.count(severity) for severity in MOST_SEVERE_FIRST}
    causes |= {"unreadable_controls": counts["error"], "unreadable_organizations": unreadable}
    causes = {cause: count for cause, count in causes.items() if count}
    return FleetVerdict(bool(failed) and fail_on != "never", msg, causes)


def describe_causes(severities: Sequence[str], errors: int, unreadable: int) -> list[str]:
    """Return why a fleet does not comply, in words.

    :param severities: Of the controls that fail, one for each finding.
    :param errors: How many controls of readable organizations could not be read.
    :param unreadable: How many organizations could not be read.
    """
    parts = []
    if severities:
        verb = "fails" if len(severities) == 1 else "fail"
        text = f"{count_noun(len(severities), 'control')} {verb}"
        parts.append(f"{text} ({count_severities(severities)})")
    if errors:
        parts.append(f"{errors if severities else count_noun(errors, 'control')} could not be read")
    if unreadable:
        end = " at all" if errors else ""
        parts.append(f"{count_noun(unreadable, 'organization')} could not be read{end}")
    return parts


def describe_total(failed: int, total: int, threshold: str) -> str:
    """Return how many organizations comply, in words.

    :param threshold: Empty if no control fails below it.
    """
    above = "" if threshold == SEVERITIES[-1] else " and above"
    at = f" at {threshold}{above}" if threshold else ""
    organizations = count_noun(total, "organization")
    if failed:
        return f"{failed} of {organizations} {'does' if failed == 1 else 'do'} not comply{at}"
    return f"The organization complies{at}" if total == 1 else f"All {organizations} comply{at}"
