# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as Markdown, for a comment on a pull request. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    CHANGES,
    Report,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import (
    count_noun,
    shorten,
)

MARKDOWN_LIMIT = 60_000
"""Characters of the report. A comment on GitHub may have 65,536, so a line can be added."""
RESERVE = 500
"""Characters for the sentences about rows that are left out."""
TABLE_COLUMNS = ("fail", "error", "waived", "not_entitled", "pass")


@dataclass
class Table:
    """A table of the report.

    :param noun: What a row is about, to count the rows that are left out.
    """

    title: str
    noun: str
    columns: tuple[str, ...]
    rows: list[str] = field(default_factory=list)

    def add(self, *texts: str) -> None:
        """Add a row of texts, and escape them."""
        self.rows.append(to_row(*(escape_markdown(text, 240) for text in texts)))

    def to_lines(self, budget: int) -> list[str]:
        """Return as many rows as fit in a number of characters, and how many are left out."""
        if not self.rows:
            return []
        lines = ["", f"### {self.title}", "", to_row(*self.columns), "|---" * len(self.columns)]
        lines[-1] += "|"
        for number, row in enumerate(self.rows):
            budget -= len(row) + 1
            if budget < 0:
                rest = count_noun(len(self.rows) - number, self.noun)
                return [*lines, "", f"… and {rest} more, left out here; see the other formats."]
            lines.append(row)
        return lines


def render_markdown(report: Report) -> str:
    """Return the report as a comment on a pull request; long tables are cut, and counted."""
    lines = head_lines(report)
    budget = MARKDOWN_LIMIT - len("\n".join(lines)) - RESERVE
    for table in (
        list_unreadable(report),
        list_failures(report),
        list_changes(report),
        list_waivers(report),
    ):
        # Half of the rest for each table, so that a long one leaves room for those after it.
        found = table.to_lines(budget // 2)
        budget -= sum(len(line) + 1 for line in found)
        lines += found
    return "\n".join(lines) + "\n"


def head_lines(report: Report) -> list[str]:
    """Return the verdict, the origin of the report, and the counts by severity."""
    verdict = report.verdict
    mark = "✅" if report.complies else "⚠️"
    about = [report.display_time]
    if report.profile:
        about.append(f"profile {escape_markdown(report.profile, 100)}")
    if report.collection_version:
        about.append(f"planasonix.admin {escape_markdown(report.collection_version, 50)}")
    lines = [
        f"## {'❌' if verdict.failed else mark} {escape_markdown(report.title, 200)}",
        "",
        f"**{escape_markdown(verdict.msg, 1000)}**",
        "",
        " · ".join(about),
        "",
        "| Severity | Fail | Error | Waived | Not entitled | Pass |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for severity, counts in report.count_by_severity().items():
        passing = {**counts, "pass": counts["pass"] + counts["fixed"]}
        if any(counts.values()):
            lines.append(to_row(severity, *(str(passing[status]) for status in TABLE_COLUMNS)))
    return lines


def list_unreadable(report: Report) -> Table:
    """Return the organizations that could not be read."""
    table = Table("Organizations that could not be read", "organization", ("Organization", "Why"))
    for organization in report.unreadable:
        table.add(organization.name, organization.message)
    return table


def list_failures(report: Report) -> Table:
    """Return the findings that count against organizations, the most severe first."""
    columns = ("Organization", "Control", "Severity", "Status", "Why")
    table = Table("Failing controls", "finding", columns)
    for organization, finding in report.failures:
        control = report.by_id[finding.control]
        heading = control.id if control.title == control.id else f"{control.id} {control.title}"
        status = finding.status
        if finding.change in ("worse", "new"):
            status = f"{status} ({finding.change})"
        table.add(organization.name, heading, finding.severity, status, finding.detail)
    return table


def list_changes(report: Report) -> Table:
    """Return the changes since the earlier run."""
    table = Table("Changes", "change", ("Change", "Control", "Status", "Organizations"))
    trend = report.trend
    if trend is None:
        return table
    since = escape_markdown(f"since {trend.time}", 240)
    table.rows.append(to_row(f"**{trend.counts_text or 'nothing'}**", since, "", ""))
    for change in CHANGES:
        for group in trend.group(change):
            one = group.first
            statuses = f"{one.before or 'absent'} → {one.after or 'absent'}"
            control = one.control or "the organization"
            table.add(change, control, statuses, ", ".join(group.organizations))
    return table


def list_waivers(report: Report) -> Table:
    """Return the waivers by expiry date."""
    table = Table("Waivers", "waiver", ("Organization", "Control", "Expires", "Reason"))
    for one in report.waivers:
        expires = one.waiver.expires or "never"
        if one.waiver.expired:
            expires += " (expired)"
        table.add(one.organization, one.control, expires, one.waiver.reason)
    return table


def to_row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def escape_markdown(text: str, length: int) -> str:
    """Return a text without markup, line breaks and mentions in Markdown."""
    escaped = re.sub(r"\s+", " ", shorten(text, length)).strip()
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_{}\[\]|~!$])", r"\\\1", escaped)
    # A zero-width space keeps GitHub from linking a person or an issue.
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", escaped)
