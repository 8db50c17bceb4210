# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as JSON, CSV, JUnit and SARIF, and the list of all formats. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import typing as t
import urllib.parse
from dataclasses import dataclass
from xml.etree import ElementTree

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_markdown import (
    render_markdown,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    CHANGES,
    FORMAT,
    FORMAT_VERSION,
    AuditedOrganization,
    Finding,
    Report,
    ReportedControl,
    Trend,
    count_statuses,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_page import render_html
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import (
    describe_lines,
)

JsonObject = dict[str, t.Any]

HOME = "https://github.com/planasonix/ansible-collection-admin"
SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
SARIF_LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
SECURITY_SEVERITIES = {"low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
"""Scores that GitHub reads as low, medium, high and critical."""

UNREADABLE = ReportedControl(
    "organization-unreadable",
    "The organization could be audited",
    "high",
    rationale="Nothing is known about an organization that could not be read.",
)

# JSON


def render_json(report: Report) -> str:
    """Return the report as JSON, for programs and for the comparison by the next run."""
    return dump(report_to_json(report))


def dump(value: t.Any) -> str:
    """Return strict, readable JSON."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


def report_to_json(report: Report) -> JsonObject:
    """Return the whole report as JSON values."""
    verdict = report.verdict
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": report.title,
        "time": report.iso_time,
        "collection_version": report.collection_version,
        "profile": report.profile,
        "verdict": {"failed": verdict.failed, "msg": verdict.msg, "fail_on": report.fail_on},
        "summary": {**summarize(report), "by_severity": report.count_by_severity()},
        "controls": [
            {**vars(control), "references": references_to_json(control)}
            for control in report.controls
        ],
        "organizations": list(map(organization_to_json, report.organizations)),
        "trend": None if report.trend is None else trend_to_json(report.trend),
    }


def summarize(report: Report) -> JsonObject:
    """Return the numbers of organizations and findings, by status."""
    return {
        "organizations": {
            "total": len(report.organizations),
            "compliant": report.compliant,
            "unreadable": len(report.unreadable),
        },
        "controls": count_statuses(finding for _organization, finding in report.findings),
    }


def references_to_json(control: ReportedControl) -> dict[str, list[str]]:
    """Return the references of a control as JSON values."""
    return {standard: list(parts) for standard, parts in control.references}


def organization_to_json(organization: AuditedOrganization) -> JsonObject:
    """Return one organization as JSON values."""
    return {
        "name": organization.name,
        "status": organization.status,
        "readable": organization.readable,
        "compliant": organization.status == "pass",
        "message": organization.message,
        "change": organization.change,
        "summary": count_statuses(organization.findings),
        "controls": list(map(finding_to_json, organization.findings)),
    }


def finding_to_json(finding: Finding) -> JsonObject:
    """Return one finding as JSON values. Fields without a value are left out."""
    waiver = vars(finding.waiver) if finding.waiver else None
    fields = {**vars(finding), "waiver": waiver, "id": finding.control}
    del fields["control"]
    required = ("current", "expected")
    return {key: value for key, value in fields.items() if value is not None or key in required}


def trend_to_json(trend: Trend) -> JsonObject:
    """Return the trend as JSON values."""
    return {
        "previous": {
            "time": trend.time,
            "profile": trend.profile,
            "organizations": {"total": trend.total, "compliant": trend.compliant},
        },
        "counts": {change: trend.count(change) for change in CHANGES},
        "changes": [vars(change) for change in trend.changes],
    }


# CSV


COLUMNS = (
    *("organization", "control", "title", "severity", "status", "detail", "current", "expected"),
    *("remediable", "waiver_reason", "waiver_expires", "resource", "references", "time"),
)
ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
FORMULA = re.compile(
    r"""(^|[;\t\r\n])(?=(?:[^\S\t\r\n]|")*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])"""
)
"""Positions after which a spreadsheet may read a formula.

With a semicolon or tab as the list separator, a cell begins after it, even in quotes.
"""


def render_csv(report: Report) -> str:
    """Return the report for spreadsheets: one line per organization and control.

    An organization without findings has one line.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="")
    writer.writeheader()
    controls = {control.id: neutralize(control_to_csv(control)) for control in report.controls}
    for organization in report.organizations:
        head = neutralize({"organization": organization.name, "time": report.iso_time})
        for finding in organization.findings:
            row = neutralize(finding_to_csv(finding))
            writer.writerow({**head, **controls[finding.control], **row})
        if not organization.findings:
            row = {"status": organization.status, "detail": organization.message}
            writer.writerow({**head, **neutralize(row)})
    return stream.getvalue()


def control_to_csv(control: ReportedControl) -> dict[str, str]:
    """Return the fields of a control."""
    return {
        "control": control.id,
        "title": control.title,
        "resource": control.resource,
        "references": control.references_text,
    }


def finding_to_csv(finding: Finding) -> dict[str, str]:
    """Return the fields of one finding."""
    waiver = finding.waiver
    return {
        "severity": finding.severity,
        "status": finding.status,
        "detail": finding.detail,
        "current": ENCODER.encode(finding.current),
        "expected": ENCODER.encode(finding.expected),
        "remediable": "yes" if finding.remediable else "no",
        "waiver_reason": waiver.reason if waiver else "",
        "waiver_expires": (waiver.expires or "") if waiver else "",
    }


def neutralize(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields so that no spreadsheet reads a formula."""
    return {name: FORMULA.sub(lambda match: f"{match[0]}'", text) for name, text in fields.items()}


# JUnit


def render_junit(report: Report) -> str:
    """Return the report for the test view of a CI: a suite per organization, a case per control."""
    root = ElementTree.Element("testsuites", {"name": report.title})
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    about = {"profile": report.profile, "collection_version": report.collection_version}
    for organization in report.organizations:
        numbers = count_cases(organization)
        for name, number in numbers.items():
            totals[name] += number
        head = {"name": organization.name, "timestamp": report.iso_time.rstrip("Z"), "time": "0"}
        head |= {name: str(number) for name, number in numbers.items()}
        suite = ElementTree.SubElement(root, "testsuite", head)
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in about.items():
            ElementTree.SubElement(properties, "property", {"name": name, "value": value})
        for finding in organization.findings:
            control = report.by_id[finding.control]
            add_outcome(add_case(suite, organization, control.heading), control, finding)
        if not organization.findings:
            case = add_case(suite, organization, "audit")
            attributes = {"message": organization.message, "type": "error"}
            ElementTree.SubElement(case, "error", attributes).text = organization.message
    root.attrib |= {name: str(number) for name, number in totals.items()}
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def count_cases(organization: AuditedOrganization) -> dict[str, int]:
    """Return the numbers of a test suite."""
    counts = count_statuses(organization.findings)
    return {
        "tests": len(organization.findings) or 1,
        "failures": counts["fail"],
        "errors": counts["error"] if organization.findings else 1,
        "skipped": counts["waived"] + counts["not_entitled"],
    }


def add_case(
    suite: ElementTree.Element, organization: AuditedOrganization, name: str
) -> ElementTree.Element:
    """Add a test case to a suite, and return it."""
    attributes = {"classname": organization.name, "name": name, "time": "0"}
    return ElementTree.SubElement(suite, "testcase", attributes)


def add_outcome(case: ElementTree.Element, control: ReportedControl, finding: Finding) -> None:
    """Add the outcome to a test case, unless it passed."""
    if finding.fails:
        kind = "failure" if finding.status == "fail" else "error"
        attributes = {"message": finding.detail or finding.status, "type": finding.severity}
        texts = {
            "current": "; ".join(describe_lines(finding.current)),
            "expected": "; ".join(describe_lines(finding.expected)),
            "remediation": control.remediation,
            "references": control.references_text,
        }
        lines = [f"{head}: {text}" for head, text in texts.items() if text]
        ElementTree.SubElement(case, kind, attributes).text = "\n".join(lines)
    elif finding.status in ("waived", "not_entitled"):
        message = finding.detail or finding.status.replace("_", " ")
        ElementTree.SubElement(case, "skipped", {"message": message})
    elif finding.status == "fixed":
        ElementTree.SubElement(case, "system-out").text = f"fixed: {finding.detail}"


# SARIF


def render_sarif(report: Report) -> str:
    """Return the report as SARIF 2.1.0: a rule per control.

    A control that fails, could not be read, or is waived is a result.
    """
    rules = list(map(sarif_rule, report.controls))
    places = {control.id: place for place, control in enumerate(report.controls)}
    results = []
    for organization, finding in report.findings:
        if finding.fails or finding.status == "waived":
            results.append(sarif_result(organization, finding, places[finding.control]))
    silent = [organization for organization in report.organizations if not organization.findings]
    for organization in silent:
        finding = Finding(UNREADABLE.id, "error", UNREADABLE.severity, detail=organization.message)
        results.append(sarif_result(organization, finding, len(rules)))
    if silent:
        rules.append(sarif_rule(UNREADABLE))
    driver: JsonObject = {"name": "planasonix.admin", "informationUri": HOME, "rules": rules}
    if report.collection_version:
        driver["version"] = report.collection_version
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {"executionSuccessful": not report.unreadable, "endTimeUtc": report.iso_time}
        ],
        "automationDetails": {"id": f"planasonix-audit/{report.profile or 'controls'}/"},
        "results": results,
        "properties": {
            "profile": report.profile,
            "title": report.title,
            "verdict": report.verdict.msg,
        },
    }
    return dump({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def sarif_rule(control: ReportedControl) -> JsonObject:
    """Return the rule of a control."""
    references = control.references_text
    evidence = references and f"Supports evidence for {references}."
    aid = " ".join(filter(None, (control.remediation, evidence)))
    return {
        "id": control.id,
        "shortDescription": {"text": control.title},
        "fullDescription": {"text": control.rationale or control.title},
        "help": {"text": aid or control.rationale or control.title},
        "defaultConfiguration": {"level": SARIF_LEVELS[control.severity]},
        "properties": {
            "severity": control.severity,
            "security-severity": SECURITY_SEVERITIES[control.severity],
            "tags": ["security", *filter(None, [control.resource])],
            "references": references_to_json(control),
        },
    }


def sarif_result(organization: AuditedOrganization, finding: Finding, rule: int) -> JsonObject:
    """Return the result of one finding."""
    name = organization.name
    fingerprint = hashlib.sha256(f"{name}\0{finding.control}".encode()).hexdigest()
    result: JsonObject = {
        "ruleId": finding.control,
        "ruleIndex": rule,
        "level": "error" if finding.status == "error" else SARIF_LEVELS[finding.severity],
        "message": {"text": f"{name}: {finding.detail or finding.status}"},
        "locations": [sarif_location(name)],
        "partialFingerprints": {"organizationControl/v1": fingerprint},
        "properties": {
            "organization": name,
            "status": finding.status,
            "severity": finding.severity,
            "current": finding.current,
            "expected": finding.expected,
        },
    }
    if finding.status == "waived":
        result["suppressions"] = [sarif_suppression(finding)]
    return result


def sarif_location(name: str) -> JsonObject:
    """Return an organization as a location, and as a file, because some readers require one."""
    uri = f"organizations/{urllib.parse.quote(name, safe='')}"
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [{"name": name, "fullyQualifiedName": name, "kind": "organization"}],
    }


def sarif_suppression(finding: Finding) -> JsonObject:
    """Return the waiver of a finding."""
    waiver = finding.waiver
    justification = waiver.reason if waiver else finding.detail
    suppression = {"kind": "external", "status": "accepted", "justification": justification}
    if waiver and waiver.expires:
        return {**suppression, "properties": {"expires": waiver.expires}}
    return suppression


@dataclass(frozen=True)
class Format:
    """A format of the report.

    :param extension: The end of the file's name.
    """

    extension: str
    render: t.Callable[[Report], str]


FORMATS = {
    "html": Format("html", render_html),
    "json": Format("json", render_json),
    "junit": Format("xml", render_junit),
    "csv": Format("csv", render_csv),
    "markdown": Format("md", render_markdown),
    "sarif": Format("sarif", render_sarif),
}
