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
"""Increases if an older version of the collection cannot read the JSON report."""

TITLE = "Planasonix compliance audit"
FAILING = ("fail", "error")
FAIL_ON = ("never", *SEVERITIES)
CHANGES = ("worse", "better", "new", "gone")
STATUS_ORDER = ("error", "fail", "waived", "not_entitled", "fixed", "pass")
"""Statuses from worst to best."""

STANDARDS = {
    "nist_800_53": "NIST SP 800-53 r5",
    "cis_controls_v8_1": "CIS Controls v8.1",
    "soc2": "SOC 2",
    "iso_27001_2022": "ISO/IEC 27001:2022",
}
"""Titles of the standards in the profiles; other standards are displayed by their key."""


class ReportError(ValueError):
    """Error without a report, in sentences for the user."""


@dataclass(frozen=True)
class ReportedWaiver:
    """The decision to accept a failing control.

    :param expires: Last day in UTC; ``None`` without an expiry date.
    """

    reason: str
    expires: str | None = None
    expired: bool = False


@dataclass(frozen=True)
class ReportedControl:
    """Control, independent of an organization.

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
        """ID, and the title if it differs."""
        return self.id if self.title == self.id else f"{self.id}: {self.title}"

    @property
    def references_text(self) -> str:
        """References in one line."""
        standards = [(STANDARDS.get(key, key), parts) for key, parts in self.references]
        return "; ".join(f"{standard}: {', '.join(parts)}" for standard, parts in standards)


@dataclass(frozen=True)
class Finding:
    """Status of a control in an organization.

    :param control: Id of the control.
    :param severity: Severity for this organization.
    :param unremedied: Reasons why it is not remediated.
    :param previous: Status in the earlier run; ``None`` without an earlier run.
    :param change: One of :data:`CHANGES`; ``None`` if neither better nor worse.
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
        """Sort key: failures first."""
        return 0 if self.fails else STATUS_ORDER.index(self.status)

    def counts_at(self, threshold: str) -> bool:
        """Return whether it counts at a threshold; an error counts at any severity."""
        severe = SEVERITIES.index(self.severity) >= SEVERITIES.index(threshold)
        return self.status == "error" or (self.status == "fail" and severe)


@dataclass(frozen=True)
class AuditedOrganization:
    """Organization of a report.

    :param name: Name of its host in the inventory.
    :param findings: In the order of the controls; empty if nothing was evaluated.
    :param message: Why it could not be audited, or why the audit stopped; empty otherwise.
    :param change: As in :class:`Finding`, for the organization as a whole.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    message: str = ""
    change: str | None = None

    @cached_property
    def readable(self) -> bool:
        """Whether a control of it could be read."""
        return any(finding.status != "error" for finding in self.findings)

    @cached_property
    def status(self) -> str:
        """``pass``, ``fail`` or ``error`` (unreadable, or no failure but an error)."""
        if not self.readable:
            return "error"
        statuses = {finding.status for finding in self.findings}
        return next((status for status in FAILING if status in statuses), "pass")

    @cached_property
    def by_control(self) -> dict[str, Finding]:
        """Findings by the ID of their control."""
        return {finding.control: finding for finding in self.findings}

    def complies_at(self, threshold: str) -> bool:
        """Return whether it complies at a threshold."""
        return self.readable and not any(finding.counts_at(threshold) for finding in self.findings)


@dataclass(frozen=True)
class GrantedWaiver:
    """Waiver with its organization and control."""

    organization: str
    control: str
    waiver: ReportedWaiver

    @property
    def last_day(self) -> str:
        """Last day, for sorting."""
        return self.waiver.expires or "9999"


@dataclass(frozen=True)
class TrendChange:
    """Difference from the earlier run.

    :param control: ID of the control; ``None`` for the whole organization.
    :param change: One of :data:`CHANGES`.
    :param before: Status in the earlier run; ``None`` if absent.
    :param after: Status now; ``None`` if absent.
    """

    organization: str
    control: str | None
    change: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ChangeGroup:
    """Same change in several organizations, by name."""

    first: TrendChange
    organizations: tuple[str, ...]


@dataclass(frozen=True)
class Trend:
    """Comparison with an earlier run.

    :param time: Time of the earlier run, from its report.
    :param profile: Profile of the earlier run.
    :param compliant: Number of its compliant organizations.
    :param total: Number of its organizations.
    """

    time: str
    profile: str
    compliant: int
    total: int
    changes: tuple[TrendChange, ...]

    def count(self, change: str) -> int:
        """Return the number of changes of one kind."""
        return sum(item.change == change for item in self.changes)

    @property
    def counts_text(self) -> str:
        """Number of changes by kind; empty if nothing changed."""
        return ", ".join(f"{self.count(kind)} {kind}" for kind in CHANGES if self.count(kind))

    def group(self, change: str) -> list[ChangeGroup]:
        """Return the distinct changes of one kind with their organizations."""
        groups: dict[tuple[str | None, ...], list[TrendChange]] = {}
        for item in self.changes:
            if item.change == change:
                groups.setdefault((item.control, item.before, item.after), []).append(item)
        return [
            ChangeGroup(items[0], tuple(item.organization for item in items))
            for items in groups.values()
        ]


@dataclass(frozen=True)
class FleetVerdict:
    """Verdict on a fleet.

    :param failed: Whether the play must fail.
    :param msg: The reason in one line.
    :param causes: Numbers of failing controls by severity, and of unreadable controls and
        organizations; empty if the fleet complies.
    """

    failed: bool
    msg: str
    causes: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """Report on all organizations.

    :param time: Time of the audit in UTC.
    :param fail_on: Lowest severity that counts against an organization, or ``never``.
    :param controls: In the order of their first occurrence.
    :param organizations: By name.
    :param trend: ``None`` without an earlier run.
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
        """Time as ISO 8601."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def display_time(self) -> str:
        """Time for readers."""
        return self.time.strftime("%Y-%m-%d %H:%M UTC")

    @cached_property
    def verdict(self) -> FleetVerdict:
        """Verdict at the threshold of the report."""
        return judge(self.organizations, self.fail_on)

    @property
    def compliant(self) -> int:
        """Number of organizations that meet every control."""
        return sum(organization.status == "pass" for organization in self.organizations)

    @property
    def complies(self) -> bool:
        """Whether there are organizations, and all of them meet every control."""
        return 0 < len(self.organizations) == self.compliant

    @cached_property
    def by_id(self) -> dict[str, ReportedControl]:
        """Controls by ID."""
        return {control.id: control for control in self.controls}

    @cached_property
    def findings(self) -> list[tuple[AuditedOrganization, Finding]]:
        """All findings, each with its organization."""
        pairs = []
        for organization in self.organizations:
            pairs += [(organization, finding) for finding in organization.findings]
        return pairs

    @property
    def failures(self) -> list[tuple[AuditedOrganization, Finding]]:
        """Findings that count against readable organizations, the most severe first."""
        failures = [pair for pair in self.findings if pair[1].fails and pair[0].readable]
        order = {control.id: place for place, control in enumerate(self.controls)}
        return sorted(
            failures,
            key=lambda pair: (MOST_SEVERE_FIRST.index(pair[1].severity), order[pair[1].control]),
        )

    @property
    def unreadable(self) -> list[AuditedOrganization]:
        """Organizations of which nothing could be read."""
        return [organization for organization in self.organizations if not organization.readable]

    @property
    def waivers(self) -> list[GrantedWaiver]:
        """Waivers of the findings, by expiry date."""
        waivers = []
        for organization, finding in self.findings:
            if finding.waiver:
                waivers.append(GrantedWaiver(organization.name, finding.control, finding.waiver))
        return sorted(waivers, key=lambda item: (item.last_day, item.organization, item.control))

    def count_by_severity(self) -> dict[str, dict[str, int]]:
        """Return the number of findings by severity and status, the most severe first."""
        groups: dict[str, list[Finding]] = {severity: [] for severity in MOST_SEVERE_FIRST}
        for _organization, finding in self.findings:
            groups[finding.severity].append(finding)
        return {severity: count_statuses(findings) for severity, findings in groups.items()}


def count_statuses(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of findings by status."""
    counts = dict.fromkeys(STATUSES, 0)
    for finding in findings:
        counts[finding.status] += 1
    return counts


# The verdict.


def judge(organizations: Sequence[AuditedOrganization], fail_on: str) -> FleetVerdict:
    """Return the verdict on organizations; an audit of no organization fails."""
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
    """Return the reasons why a fleet does not comply, as parts of a sentence.

    :param severities: Severity of each failing control.
    :param errors: Number of unreadable controls of readable organizations.
    :param unreadable: Number of unreadable organizations.
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
    """Return the number of organizations that comply, as a part of a sentence.

    :param threshold: Empty if no control fails below it.
    """
    above = "" if threshold == SEVERITIES[-1] else " and above"
    at = f" at {threshold}{above}" if threshold else ""
    organizations = count_noun(total, "organization")
    if failed:
        return f"{failed} of {organizations} {'does' if failed == 1 else 'do'} not comply{at}"
    return f"The organization complies{at}" if total == 1 else f"All {organizations} comply{at}"
