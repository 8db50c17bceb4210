# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report as one HTML page that needs no other file and no network.

The page stays small with hundreds of organizations: each requirement is in it once, and a cell of
the matrix is one word. A short script adds a filter and arrow keys. The content security policy of
the page blocks any other script. The template escapes all values.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import typing as t
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ansible_collections.planasonix.admin.plugins.module_utils._controls import STATUSES
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    CHANGES,
    STATUS_ORDER,
    AuditedOrganization,
    Finding,
    Report,
    ReportedControl,
    ReportedWaiver,
    TrendChange,
    count_statuses,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import (
    MOST_SEVERE_FIRST,
    count_noun,
    describe_lines,
    shorten,
)

FOLDER = Path(__file__).with_name("audit_page")

LOOKS = {"pass": "p", "fixed": "x", "waived": "w", "not_entitled": "n", "fail": "f", "error": "e"}
"""CSS classes of the statuses, in the order of the columns."""
WORDS = {**{status: status for status in LOOKS}, "not_entitled": "n/a"}
LEGEND = {
    "pass": "The control is met.",
    "fixed": "The control was not met, and was remediated in this run.",
    "waived": "The control may fail, for the reason and until the day of the waiver.",
    "not_entitled": "Not entitled: the organization's plan lacks the feature.",
    "fail": "The control is not met.",
    "error": "The control could not be read. An error never counts as a pass.",
}
CHANGE_HEADINGS = {"worse": "Worse ▼", "better": "Better ▲", "new": "New", "gone": "Gone"}
ORGANIZATION_CHANGES = {
    "new": "new",
    "better": "can be read again",
    "worse": "could be read last time",
}
MANY = 12
"""Maximum number of organizations that the page lists unfolded; ten times as many findings."""
LONGEST_DETAIL = 2000
LONGEST_LINE = 400
SOON = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Mood:
    """Color and word for the verdict."""

    look: str
    text: str


@dataclass(frozen=True)
class FindingRow:
    """Finding in the section of its control.

    :param place: Number of the organization.
    :param detail: Reason, and the requirement for this organization if it differs.
    """

    organization: str
    place: int
    finding: Finding
    detail: str


@dataclass(frozen=True)
class ControlSection:
    """Control with the organizations that do not meet it.

    :param counts: Counts by status, the worst first.
    :param open: Whether the section is unfolded at first.
    """

    control: ReportedControl
    place: int
    counts: list[tuple[str, int]]
    rows: list[FindingRow]
    failing: bool
    open: bool


@dataclass(frozen=True)
class ChangeRow:
    """Same change in several organizations."""

    heading: str
    severity: str | None
    statuses: str
    organizations: tuple[str, ...]

    @property
    def rank(self) -> int:
        """Sort key: changes of whole organizations first, then the most severe."""
        return -1 if self.severity is None else MOST_SEVERE_FIRST.index(self.severity)


@dataclass(frozen=True)
class ChangeTable:
    """Changes of one kind."""

    heading: str
    count: int
    rows: list[ChangeRow]

    @property
    def open(self) -> bool:
        """Whether the table is unfolded at first."""
        return self.count <= MANY * 5


@dataclass(frozen=True)
class Page:
    """Files of the page, read and compiled once per process."""

    template: Template
    style: str
    script: str

    @property
    def script_hash(self) -> str:
        """Hash of the script for the content security policy: of all text between its tags."""
        return base64.b64encode(hashlib.sha256(f"\n{self.script}".encode()).digest()).decode()


@functools.cache
def load_page() -> Page:
    """Return the page, with a template that escapes all values."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template, style, script = (
        (FOLDER / name).read_text(encoding="utf-8")
        for name in ("page.html.j2", "page.css", "page.js")
    )
    return Page(environment.from_string(template), style, script)


def render_html(report: Report) -> str:
    """Return the report as a page."""
    text: str = load_page().template.render(
        report=report,
        page=load_page(),
        mood=choose_mood(report),
        looks=LOOKS,
        words=WORDS,
        legend=LEGEND,
        bar_order=STATUSES,
        line_break=Markup("<br>"),
        many=MANY,
        places={control.id: place for place, control in enumerate(report.controls, 1)},
        organization_changes=ORGANIZATION_CHANGES,
        change_tables=list_change_tables(report),
        control_sections=list_control_sections(report),
        count_noun=count_noun,
        cut_lines=cut_lines,
        shorten=shorten,
        rank_statuses=rank_statuses,
        describe_waiver=functools.partial(describe_waiver, today=report.time.date()),
    )
    return text


def choose_mood(report: Report) -> Mood:
    """Return the color and word for the verdict."""
    if report.verdict.failed:
        return Mood("bad", "✗ Does not comply")
    return Mood("good", "✓ Complies") if report.complies else Mood("mild", "! Tolerated")


def cut_lines(value: t.Any, limit: int) -> list[str]:
    """Return a value as at most ``limit`` lines, and a line with the number of the rest."""
    lines = describe_lines(value)
    rest = [f"… and {len(lines) - limit} more"] if len(lines) > limit else []
    return [*(shorten(line, LONGEST_LINE) for line in lines[:limit]), *rest]


def rank_statuses(findings: Iterable[Finding]) -> list[tuple[str, int]]:
    """Return the number of findings by status, the worst first."""
    counts = count_statuses(findings)
    return [(status, counts[status]) for status in STATUS_ORDER if counts[status]]


def list_control_sections(report: Report) -> list[ControlSection]:
    """Return the sections of the controls: failing controls first, by severity."""
    findings: dict[str, list[Finding]] = {control.id: [] for control in report.controls}
    rows: dict[str, list[FindingRow]] = {control.id: [] for control in report.controls}
    for place, organization in enumerate(report.organizations, 1):
        for finding in organization.findings:
            findings[finding.control].append(finding)
            # Counts only the others, to keep the page small.
            if organization.readable and finding.status != "pass":
                row = make_row(report.by_id[finding.control], organization, place, finding)
                rows[finding.control].append(row)
    few = sum(map(len, rows.values())) <= MANY * 10
    sections = []
    for place, control in enumerate(report.controls, 1):
        own = sorted(rows[control.id], key=lambda row: row.finding.rank)
        failing = any(row.finding.fails for row in own)
        counts = rank_statuses(findings[control.id])
        sections.append(ControlSection(control, place, counts, own, failing, failing and few))
    return sorted(
        sections,
        key=lambda section: (
            not section.failing,
            MOST_SEVERE_FIRST.index(section.control.severity),
        ),
    )


def make_row(
    control: ReportedControl, organization: AuditedOrganization, place: int, finding: Finding
) -> FindingRow:
    """Return the row of a finding."""
    detail = shorten(finding.detail, LONGEST_DETAIL)
    if finding.expected != control.require:
        detail += f" (required here: {'; '.join(describe_lines(finding.expected))})"
    return FindingRow(organization.name, place, finding, detail)


def describe_waiver(waiver: ReportedWaiver, today: datetime.date) -> str:
    """Return whether a waiver is active, with the number of days if it expires soon."""
    if waiver.expired:
        return "expired"
    try:
        rest = datetime.date.fromisoformat(waiver.expires or "") - today
    except ValueError:
        return "active"
    soon = datetime.timedelta(0) <= rest <= SOON
    return f"{count_noun(rest.days, 'day')} left" if soon else "active"


def list_change_tables(report: Report) -> list[ChangeTable]:
    """Return the changes by kind."""
    tables = []
    for kind in CHANGES:
        rows = []
        for group in report.trend.group(kind) if report.trend else ():
            identity = group.first.control
            control = report.by_id.get(identity or "")
            heading = control.heading if control else identity or "The organization as a whole"
            severity = control.severity if control else None
            rows.append(
                ChangeRow(heading, severity, describe_change(group.first), group.organizations)
            )
        if rows:
            count = sum(len(row.organizations) for row in rows)
            rows.sort(key=lambda row: row.rank)
            tables.append(ChangeTable(CHANGE_HEADINGS[kind], count, rows))
    return tables


def describe_change(change: TrendChange) -> str:
    """Return the statuses of a change."""
    if change.control is not None:
        before, after = (
            WORDS.get(status or "", "absent") for status in (change.before, change.after)
        )
        return f"{before} → {after}"
    read = {"pass": "was read", "fail": "was read", "error": "could not be read", None: "absent"}
    now = {**read, "pass": "could be read", "fail": "could be read"}
    return f"{read[change.before]} → {now[change.after]}"
