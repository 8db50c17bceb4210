# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit report as text, in each format: for programs, for spreadsheets, for CI, and for people. Pure functions, no I/O, no Ansible.

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
from xml.etree import ElementTree

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_html import html
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import (
    CHANGES,
    Change,
    Control,
    Finding,
    Organization,
    Report,
    ReportError,
    as_json,
    build,
    counted,
    lines_of,
    plural,
    references_in_words,
    shortened,
)

MARKDOWN_LIMIT = 60_000
"""Characters of the Markdown report: a comment on GitHub may have 65,536, and who posts it may want to add a line."""

HOME = "https://github.com/planasonix/ansible-collection-admin"
SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
SARIF_LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
SECURITY_SEVERITIES = {"low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
"""What GitHub's code scanning reads as low, medium, high and critical."""

UNREADABLE = "organization-unreadable"


def render(results: t.Any, form: str, meta: t.Any, previous: t.Any = None) -> str:
    """A report as text.

    :param results: As in :func:`build`, like ``meta`` and ``previous``.
    :param form: One of :data:`FORMATS`.
    :raises ReportError: if one of them is something else.
    """
    if not isinstance(form, str) or form not in FORMATS:
        raise ReportError(
            f"The format of a report must be one of {', '.join(sorted(FORMATS))}, not {form!r}."
        )
    return FORMATS[form](build(results, meta, previous))


def json_text(report: Report) -> str:
    """The report for programs, and for the next run to compare with."""
    return dump(as_json(report))


def dump(value: t.Any) -> str:
    """Return strict JSON for people and programs."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


# CSV


COLUMNS = (
    "organization",
    "control",
    "title",
    "severity",
    "status",
    "detail",
    "current",
    "expected",
    "remediable",
    "waiver_reason",
    "waiver_expires",
    "resource",
    "references",
    "time",
)


def csv_text(report: Report) -> str:
    """The report for spreadsheets: one line per organization and control, one for an organization of which nothing is known."""
    controls = {control.id: control for control in report.controls}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="")
    writer.writeheader()
    for organization in report.organizations:
        rows = [csv_row(controls[finding.control], finding) for finding in organization.findings]
        for row in rows or [{"status": organization.status, "detail": organization.message}]:
            told = {"organization": organization.name, **row, "time": report.iso_time}
            writer.writerow({name: harmless(text) for name, text in told.items()})
    return stream.getvalue()


def csv_row(control: Control, finding: Finding) -> dict[str, str]:
    """The fields of one finding."""
    return {
        "control": control.id,
        "title": control.title,
        "severity": finding.severity,
        "status": finding.status,
        "detail": finding.detail,
        "current": json.dumps(finding.current, sort_keys=True, ensure_ascii=False),
        "expected": json.dumps(finding.expected, sort_keys=True, ensure_ascii=False),
        "remediable": "yes" if finding.remediable else "no",
        "waiver_reason": finding.waiver.reason if finding.waiver else "",
        "waiver_expires": (finding.waiver.expires or "") if finding.waiver else "",
        "resource": control.resource,
        "references": references_in_words(control),
    }


FORMULA = re.compile(
    r"""(^|[;\t\r\n])(?=(?:[^\S\t\r\n]|")*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])"""
)
"""Where a spreadsheet may take the text after it for a formula.

Where a list separator is a semicolon or a tab, a spreadsheet begins a cell after it, even in quotes.
"""


def harmless(text: str) -> str:
    """A field that no spreadsheet takes for a formula."""
    return FORMULA.sub(lambda found: f"{found[0]}'", text)


# JUnit


def junit(report: Report) -> str:
    """The report for the test view of a CI: one suite per organization, one case per control."""
    controls = {control.id: control for control in report.controls}
    root = ElementTree.Element("testsuites", {"name": report.title})
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for organization in report.organizations:
        counts = counted(organization.findings)
        numbers = {
            "tests": len(organization.findings) or 1,
            "failures": counts["fail"],
            "errors": counts["error"] if organization.findings else 1,
            "skipped": counts["waived"] + counts["not_entitled"],
        }
        for name, number in numbers.items():
            totals[name] += number
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            {"name": organization.name, "timestamp": report.iso_time.rstrip("Z"), "time": "0"},
        )
        suite.attrib |= {name: str(number) for name, number in numbers.items()}
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in (
            ("profile", report.profile),
            ("collection_version", report.collection_version),
        ):
            ElementTree.SubElement(properties, "property", {"name": name, "value": value})
        for finding in organization.findings:
            junit_case(suite, organization, controls[finding.control], finding)
        if not organization.findings:
            case = ElementTree.SubElement(
                suite, "testcase", {"classname": organization.name, "name": "audit", "time": "0"}
            )
            ElementTree.SubElement(
                case, "error", {"message": organization.message, "type": "error"}
            ).text = organization.message
    root.attrib |= {name: str(number) for name, number in totals.items()}
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def junit_case(
    suite: ElementTree.Element, organization: Organization, control: Control, finding: Finding
) -> None:
    """Add the case of one finding."""
    name = control.id if control.title == control.id else f"{control.id}: {control.title}"
    case = ElementTree.SubElement(
        suite, "testcase", {"classname": organization.name, "name": name, "time": "0"}
    )
    if finding.fails:
        kind = "failure" if finding.status == "fail" else "error"
        problem = ElementTree.SubElement(
            case, kind, {"message": finding.detail or finding.status, "type": finding.severity}
        )
        problem.text = "\n".join(
            f"{head}: {text}"
            for head, text in (
                ("current", "; ".join(lines_of(finding.current))),
                ("expected", "; ".join(lines_of(finding.expected))),
                ("remediation", control.remediation),
                ("references", references_in_words(control)),
            )
            if text
        )
    elif finding.status in ("waived", "not_entitled"):
        ElementTree.SubElement(
            case, "skipped", {"message": finding.detail or finding.status.replace("_", " ")}
        )
    elif finding.status == "fixed":
        ElementTree.SubElement(case, "system-out").text = f"fixed: {finding.detail}"


# SARIF


def sarif(report: Report) -> str:
    """The report as SARIF 2.1.0: a rule per control, a result per control that fails, could not be read, or is waived."""
    rules = [sarif_rule(control) for control in report.controls]
    places = {control.id: place for place, control in enumerate(report.controls)}
    results = []
    for organization, finding in report.findings:
        if finding.fails or finding.status == "waived":
            results.append(sarif_result(organization, finding, places[finding.control]))
    silent = [organization for organization in report.organizations if not organization.findings]
    if silent:
        nothing = Control(
            UNREADABLE,
            "The organization could be audited",
            "high",
            rationale="Of an organization that could not be read nothing is known.",
        )
        rules.append(sarif_rule(nothing))
        results += [
            sarif_result(
                organization,
                Finding(UNREADABLE, "error", "high", detail=organization.message),
                len(report.controls),
            )
            for organization in silent
        ]
    driver: dict[str, t.Any] = {"name": "planasonix.admin", "informationUri": HOME, "rules": rules}
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


def sarif_rule(control: Control) -> dict[str, t.Any]:
    """The rule of a control."""
    references = references_in_words(control)
    aid = " ".join(
        filter(None, (control.remediation, references and f"Supports evidence for {references}."))
    )
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
            "references": {name: list(parts) for name, parts in control.references},
        },
    }


def sarif_result(organization: Organization, finding: Finding, rule: int) -> dict[str, t.Any]:
    """The result of one finding. Some readers refuse a place that is no file, so the organization is also given as one."""
    result: dict[str, t.Any] = {
        "ruleId": finding.control,
        "ruleIndex": rule,
        "level": "error" if finding.status == "error" else SARIF_LEVELS[finding.severity],
        "message": {"text": f"{organization.name}: {finding.detail or finding.status}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": f"organizations/{urllib.parse.quote(organization.name, safe='')}"
                    },
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {
                        "name": organization.name,
                        "fullyQualifiedName": organization.name,
                        "kind": "organization",
                    }
                ],
            }
        ],
        "partialFingerprints": {
            "organizationControl/v1": hashlib.sha256(
                f"{organization.name}\0{finding.control}".encode()
            ).hexdigest()
        },
        "properties": {
            "organization": organization.name,
            "status": finding.status,
            "severity": finding.severity,
            "current": finding.current,
            "expected": finding.expected,
        },
    }
    if finding.status == "waived":
        waiver = finding.waiver
        suppression: dict[str, t.Any] = {
            "kind": "external",
            "status": "accepted",
            "justification": waiver.reason if waiver else finding.detail,
        }
        if waiver and waiver.expires:
            suppression["properties"] = {"expires": waiver.expires}
        result["suppressions"] = [suppression]
    return result


# Markdown


def markdown(report: Report) -> str:
    """The report as a comment on a pull request. What would make it too long is counted instead."""
    verdict = report.verdict
    meets = all(organization.status == "pass" for organization in report.organizations) and bool(
        report.organizations
    )
    head = [
        f"## {'✅' if meets and not verdict.failed else '❌' if verdict.failed else '⚠️'} {escaped(report.title, 200)}",
        "",
        f"**{escaped(verdict.msg, 1000)}**",
        "",
        " · ".join(
            filter(
                None,
                (
                    report.time.strftime("%Y-%m-%d %H:%M UTC"),
                    report.profile and f"profile {escaped(report.profile, 100)}",
                    report.collection_version
                    and f"planasonix.admin {escaped(report.collection_version, 50)}",
                ),
            )
        ),
        "",
        "| Severity | Fail | Error | Waived | Not entitled | Pass |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for severity, counts in report.by_severity().items():
        numbers = (
            counts["fail"],
            counts["error"],
            counts["waived"],
            counts["not_entitled"],
            counts["pass"] + counts["fixed"],
        )
        if any(numbers):
            head.append(f"| {severity} | {' | '.join(map(str, numbers))} |")
    left = MARKDOWN_LIMIT - len("\n".join(head)) - 500  # the rest is for what is said of each table
    tables = [
        (
            "What could not be read",
            "| Organization | Why |\n|---|---|",
            unreadable_rows(report),
            "organization",
        ),
        (
            "What fails",
            "| Organization | Control | Severity | Status | Why |\n|---|---|---|---|---|",
            failure_rows(report),
            "finding",
        ),
        (
            "What changed",
            "| Change | Control | Status | Organizations |\n|---|---|---|---|",
            change_rows(report),
            "change",
        ),
        (
            "What is waived",
            "| Organization | Control | Expires | Reason |\n|---|---|---|---|",
            waiver_rows(report),
            "waiver",
        ),
    ]
    # Half of what is left for each table, so that a long one leaves room for those after it.
    for title, columns, rows, noun in tables:
        lines, left = table(title, columns, rows, noun, left)
        head += lines
    return "\n".join(head) + "\n"


def table(title: str, columns: str, rows: list[str], noun: str, left: int) -> tuple[list[str], int]:
    """The lines of a table in at most half of the characters that are left, and how many are left after it."""
    if not rows:
        return [], left
    lines = ["", f"### {title}", "", columns]
    budget = left // 2
    kept = 0
    for row in rows:
        budget -= len(row) + 1
        if budget < 0:
            break
        kept += 1
        lines.append(row)
    if kept < len(rows):
        lines += [
            "",
            f"… and {plural(len(rows) - kept, noun)} more, left out here; the other formats hold all.",
        ]
    return lines, left - sum(len(line) + 1 for line in lines)


def unreadable_rows(report: Report) -> list[str]:
    """The organizations that could not be read."""
    return [
        row(cell(organization.name), cell(organization.message))
        for organization in report.unreadable
    ]


def failure_rows(report: Report) -> list[str]:
    """The findings that count against organizations, the most severe first."""
    titles = {control.id: control.title for control in report.controls}
    return [
        row(
            cell(organization.name),
            cell(
                finding.control
                if titles[finding.control] == finding.control
                else f"{finding.control} {titles[finding.control]}"
            ),
            finding.severity,
            finding.status + (f" ({finding.change})" if finding.change in ("worse", "new") else ""),
            cell(finding.detail),
        )
        for organization, finding in report.failures
    ]


def change_rows(report: Report) -> list[str]:
    """What changed since the earlier run."""
    if report.trend is None:
        return []
    since = f"since {report.trend.time}"
    rows = [
        row(change, cell(one.control or "the organization"), states(one), cell(", ".join(names)))
        for change in CHANGES
        for one, names in report.trend.grouped(change)
    ]
    counts = ", ".join(
        f"{report.trend.count(change)} {change}" for change in CHANGES if report.trend.count(change)
    )
    return [row(f"**{counts or 'nothing'}**", cell(since), "", ""), *rows]


def states(change: Change) -> str:
    """The statuses of a change."""
    return f"{change.before or 'absent'} → {change.after or 'absent'}"


def waiver_rows(report: Report) -> list[str]:
    """The waivers, the first to expire first."""
    return [
        row(
            cell(organization.name),
            cell(finding.control),
            f"{waiver.expires or 'never'}{' (expired)' if waiver.expired else ''}",
            cell(waiver.reason),
        )
        for organization, finding, waiver in report.waivers
    ]


def row(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """A cell of a table."""
    return escaped(text, 240)


def escaped(text: str, length: int) -> str:
    """A text that Markdown shows as it is: no markup, no HTML, no line break, nobody mentioned."""
    told = re.sub(r"\s+", " ", shortened(text, length)).strip()
    told = told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    told = re.sub(r"([\\`*_{}\[\]|~!$])", r"\\\1", told)
    # A zero-width space keeps GitHub from calling a person or an issue.
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", told)


FORMATS: dict[str, t.Callable[[Report], str]] = {
    "html": html,
    "json": json_text,
    "junit": junit,
    "csv": csv_text,
    "markdown": markdown,
    "sarif": sarif,
}
