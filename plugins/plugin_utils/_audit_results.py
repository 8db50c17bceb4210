# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a report from results of ``planasonix_baseline`` or JSON reports. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SEVERITIES,
    STATUSES,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    FORMAT,
    FORMAT_VERSION,
    AuditedOrganization,
    Finding,
    Report,
    ReportedControl,
    ReportedWaiver,
    ReportError,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import (
    clean,
    to_text,
)

JsonObject = Mapping[str, t.Any]
NOT_REACHED = "was not reached"
NO_STATUS = "the result contains no status"


@dataclass(frozen=True)
class Origin:
    """Origin of a report.

    :param time: Time of the audit in UTC.
    :param profile: Names of the profiles of the controls.
    """

    time: datetime.datetime
    profile: str
    collection_version: str = ""


def build_report(results: Mapping[str, t.Any], origin: Origin, fail_on: str) -> Report:
    """Return the report of a fleet.

    :param results: Results of ``planasonix_baseline`` by host name. An organization with a failed,
        empty or missing result is an error.
    """
    names = sorted(results, key=lambda name: (str(name).casefold(), str(name)))
    organizations = []
    controls: dict[str, ReportedControl] = {}
    for name in names:
        organization = read_organization(to_text(name), results[name])
        organizations.append(organization)
        # The first organization defines the control.
        for item in results[name]["controls"] if organization.findings else ():
            if read_id(item) not in controls:
                controls[read_id(item)] = read_control(item)
    return Report(
        time=origin.time,
        collection_version=origin.collection_version,
        profile=origin.profile,
        fail_on=fail_on,
        controls=tuple(controls.values()),
        organizations=tuple(organizations),
    )


def read_organization(name: str, result: t.Any) -> AuditedOrganization:
    """Return an organization from the result of its host."""
    if not isinstance(result, Mapping) or not isinstance(result.get("controls"), list):
        message = to_text(result.get("msg")) if isinstance(result, Mapping) else ""
        return AuditedOrganization(name, message=message or NOT_REACHED)
    findings: dict[str, Finding] = {}
    for item in result["controls"]:
        finding = read_finding(item)
        findings.setdefault(finding.control, finding)
    message = to_text(result.get("msg")) if result.get("failed") else ""
    if not findings:
        message = message or "no control was evaluated"
    elif all(finding.status == "error" for finding in findings.values()):
        details = dict.fromkeys(finding.detail for finding in findings.values())
        message = message or "; ".join(details)
    return AuditedOrganization(name, tuple(findings.values()), message)


def read_id(item: t.Any) -> str:
    """Return the id of a control."""
    if not isinstance(item, Mapping):
        return "unknown"
    return to_text(item.get("id")) or to_text(item.get("resource")) or "unknown"


def read_severity(item: JsonObject) -> str:
    """Return the severity of a control."""
    severity: str = item.get("severity", "medium")
    return severity if severity in SEVERITIES else "medium"


def read_finding(item: t.Any) -> Finding:
    """Return a finding; an unknown status is an error."""
    if not isinstance(item, Mapping):
        return Finding(read_id(item), "error", "medium", detail=NO_STATUS)
    status, detail = item.get("status"), to_text(item.get("detail"))
    if status not in STATUSES:
        status, detail = "error", detail or NO_STATUS
    return Finding(
        control=read_id(item),
        status=str(status),
        severity=read_severity(item),
        current=clean(item.get("current")),
        expected=clean(item.get("expected", item.get("require"))),
        detail=detail,
        remediable=bool(item.get("remediable")),
        waiver=read_waiver(item.get("waiver")),
        unremedied=read_texts(item.get("unremedied", ())),
    )


def read_waiver(item: t.Any) -> ReportedWaiver | None:
    """Return the waiver of a control."""
    if not isinstance(item, Mapping) or not item.get("reason"):
        return None
    expires = to_text(item.get("expires")) or None
    return ReportedWaiver(to_text(item["reason"]), expires, bool(item.get("expired")))


def read_control(item: t.Any) -> ReportedControl:
    """Return a control."""
    identity = read_id(item)
    if not isinstance(item, Mapping):
        return ReportedControl(identity, identity, "medium")
    references = clean(item.get("references"))
    standards = sorted(references.items()) if isinstance(references, dict) else ()
    return ReportedControl(
        id=identity,
        title=to_text(item.get("title")) or identity,
        severity=read_severity(item),
        resource=to_text(item.get("resource")),
        rationale=to_text(item.get("rationale")),
        remediation=to_text(item.get("remediation")),
        require=clean(item.get("require", item.get("expected"))),
        references=tuple((key, read_texts(parts)) for key, parts in standards),
    )


def read_texts(value: t.Any) -> tuple[str, ...]:
    """Return a list of texts; a single value becomes a list."""
    return tuple(map(to_text, value if isinstance(value, (list, tuple)) else [value]))


# Reading of JSON reports.


def check_report(report: t.Any, name: str, expected: str, advice: str) -> JsonObject:
    """Return a parsed JSON report that this version of the collection can read.

    :param name: What the report is called in the error.
    :param expected: What to give instead of something else.
    :param advice: What to do with a report of another version.
    :raises ReportError: if it is no report or has another version.
    """
    if not isinstance(report, Mapping) or report.get("format") != FORMAT:
        raise ReportError(f"{name} is not a JSON report of this collection; expected {expected}.")
    version = report.get("format_version")
    if version != FORMAT_VERSION:
        raise ReportError(
            f"{name} has the format version {version!r}, and this version of the collection "
            f"reads {FORMAT_VERSION}: {advice}."
        )
    return report


def parse_report(content: str | bytes, name: str, expected: str, advice: str) -> JsonObject:
    """Parse a JSON report; parameters and errors are those of :func:`check_report`."""
    try:
        report = json.loads(content)
    except (ValueError, RecursionError):
        report = None
    return check_report(report, name, expected, advice)


def parse_time(text: t.Any) -> datetime.datetime:
    """Return the time of a report, in UTC.

    :raises ValueError: if it is not an ISO 8601 time.
    """
    time = datetime.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", str(text)))
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    return time.astimezone(datetime.timezone.utc)


@dataclass(frozen=True)
class Part:
    """Content of a report: the results by organization."""

    results: list[tuple[str, dict[str, t.Any]]]
    profiles: set[str]
    time: datetime.datetime


def read_part(name: str, content: str | bytes) -> Part:
    """Return the content of a report.

    :param name: What the report is called in the error.
    :raises ReportError: if it is no report, has another version, or is incomplete.
    """
    advice = "merge reports that it wrote itself"
    report = parse_report(content, name, "a planasonix-audit.json", advice)
    try:
        controls = {control["id"]: control for control in report["controls"]}
        results = [
            (to_text(organization["name"]), restore_result(organization, controls))
            for organization in report["organizations"]
        ]
        # A merged report may name several profiles.
        profiles = set(filter(None, to_text(report["profile"]).split(", ")))
        return Part(results, profiles, parse_time(report["time"]))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise ReportError(
            f"{name} is an incomplete report: it lacks a part that a planasonix-audit.json has."
        ) from None


def restore_result(
    organization: JsonObject, controls: Mapping[str, JsonObject]
) -> dict[str, t.Any]:
    """Return the result of ``planasonix_baseline`` for an organization of a report.

    Where organizations have different versions of a control, a report shows the version of its
    first organization, by name. So does a report that is made of these results.
    """
    message = organization["message"]
    findings = [{**controls[finding["id"]], **finding} for finding in organization["controls"]]
    if not findings:
        return {"failed": True, "msg": message}
    return {"controls": findings, "failed": bool(message), "msg": message}


@dataclass(frozen=True)
class MergedReports:
    """Content of several reports, like that of one audit of all their organizations."""

    results: dict[str, dict[str, t.Any]]
    origin: Origin


def merge_reports(reports: Mapping[str, str | bytes], collection_version: str) -> MergedReports:
    """Return the merged content of reports, with the time of the latest report.

    :param reports: Names of JSON reports, for errors, and their content.
    :raises ReportError: without reports, or if one is unusable or two contain an organization.
    """
    if not reports:
        raise ReportError("There is no report to merge.")
    parts = {name: read_part(name, content) for name, content in reports.items()}
    results: dict[str, dict[str, t.Any]] = {}
    places: dict[str, str] = {}
    for name, part in parts.items():
        for organization, result in part.results:
            if organization in places:
                first = places[organization]
                where = f"twice in {name}" if first == name else f"in {first} and in {name}"
                raise ReportError(
                    f"The organization {organization} is {where}, but may be in one report only."
                )
            places[organization] = name
            results[organization] = result
    profiles = sorted(set().union(*(part.profiles for part in parts.values())))
    latest = max(part.time for part in parts.values()).replace(microsecond=0)
    return MergedReports(results, Origin(latest, ", ".join(profiles), collection_version))


def add_missing(results: Mapping[str, t.Any], organizations: Iterable[str]) -> dict[str, t.Any]:
    """Return the results, with an empty one for each missing organization."""
    return {**{to_text(name): {} for name in organizations}, **results}
