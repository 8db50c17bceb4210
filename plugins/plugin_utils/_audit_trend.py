# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison with an earlier audit. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    FAILING,
    AuditedOrganization,
    Report,
    ReportError,
    Trend,
    TrendChange,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import to_text


@dataclass(frozen=True)
class EarlierOrganization:
    """Organization of the earlier report, with the statuses by control ID."""

    readable: bool
    compliant: bool
    statuses: Mapping[str, str]


def read_earlier(previous: Mapping[str, t.Any]) -> dict[str, EarlierOrganization]:
    """Return the organizations of an earlier report.

    :param previous: The parsed JSON report.
    :raises ReportError: if it is incomplete.
    """
    organizations = {}
    try:
        for item in previous["organizations"]:
            statuses = {to_text(one["id"]): to_text(one["status"]) for one in item["controls"]}
            readable, compliant = bool(item["readable"]), bool(item["compliant"])
            organizations[to_text(item["name"])] = EarlierOrganization(
                readable, compliant, statuses
            )
    except (KeyError, TypeError):
        raise ReportError(
            "previous is an incomplete report: its organizations lack name, readable, compliant "
            "or controls."
        ) from None
    return organizations


def compare_report(report: Report, previous: Mapping[str, t.Any]) -> Report:
    """Return the report with the changes since an earlier report.

    :param previous: The parsed JSON report.
    :raises ReportError: if it is incomplete.
    """
    earlier = read_earlier(previous)
    organizations = []
    changes: list[TrendChange] = []
    for organization in report.organizations:
        compared, own = compare_organization(organization, earlier.get(organization.name))
        organizations.append(compared)
        changes += own
    gone = sorted(earlier.keys() - {organization.name for organization in organizations})
    for name in gone:
        before = "pass" if earlier[name].readable else "error"
        changes.append(TrendChange(name, None, "gone", before, None))
    trend = Trend(
        to_text(previous.get("time")),
        to_text(previous.get("profile")),
        sum(one.compliant for one in earlier.values()),
        len(earlier),
        tuple(changes),
    )
    return replace(report, organizations=tuple(organizations), trend=trend)


def compare_organization(
    organization: AuditedOrganization, earlier: EarlierOrganization | None
) -> tuple[AuditedOrganization, list[TrendChange]]:
    """Return an organization with its changes, and the changes."""
    name = organization.name
    if earlier is None:
        joined = TrendChange(name, None, "new", None, organization.status)
        return replace(organization, change="new"), [joined]
    if earlier.readable != organization.readable:
        kind, before, after = ("better", "error", "pass")
        if not organization.readable:
            kind, before, after = ("worse", "pass", "error")
        return replace(organization, change=kind), [TrendChange(name, None, kind, before, after)]
    if not earlier.readable:
        return organization, []
    findings = []
    changes = []
    for finding in organization.findings:
        previous = earlier.statuses.get(finding.control)
        change = classify_change(previous, finding.status)
        findings.append(replace(finding, previous=previous, change=change))
        if change:
            changes.append(TrendChange(name, finding.control, change, previous, finding.status))
    for control, status in earlier.statuses.items():
        if control not in organization.by_control:
            changes.append(TrendChange(name, control, "gone", status, None))
    return replace(organization, findings=tuple(findings)), changes


def classify_change(before: str | None, after: str) -> str | None:
    """Return the kind of a change of status.

    ``None`` for a change such as ``fail`` to ``error``, or ``pass`` to ``waived``.
    """
    if before is None:
        return "new"
    if (before in FAILING) == (after in FAILING):
        return None
    return "worse" if after in FAILING else "better"
