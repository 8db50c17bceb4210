# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of a fleet as a value: organizations, controls, findings, what changed since an earlier run, and the verdict. Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    OPERATORS,
    SEVERITIES,
    STATUSES,
)

FORMAT = "planasonix.admin.audit"
FORMAT_VERSION = 1
"""What the JSON report calls itself. The version rises when an older reader could not read a report back."""

TITLE = "Planasonix compliance audit"
FAILING = ("fail", "error")
FAIL_ON = ("never", *SEVERITIES)
MOST_SEVERE_FIRST = tuple(reversed(SEVERITIES))
CHANGES = ("worse", "better", "new", "gone")

STANDARDS = {
    "nist_800_53": "NIST SP 800-53 r5",
    "cis_controls_v8_1": "CIS Controls v8.1",
    "soc2": "SOC 2",
    "iso_27001_2022": "ISO/IEC 27001:2022",
}
"""How the standards are called that the profiles refer to; any other name is shown as it is given."""

# What XML cannot hold, halves of characters, and marks that make text read in another order than it is written.
UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

MAXIMUM_DEPTH = 110
"""The most mappings and lists inside each other; an answer of the API has 100, a report adds some."""
TOO_DEEP = "(nested too deeply)"
INTEGER_BITS = 64
"""What programs that read JSON expect of an integer at most."""


class ReportError(ValueError):
    """What a report cannot be made from, in one sentence for the user."""


@dataclass(frozen=True)
class Waiver:
    """The decision to live with a control that fails.

    :param expires: The last day, in UTC, on which it holds; ``None``: until it is taken away.
    :param expired: Whether that day is past.
    """

    reason: str
    expires: str | None = None
    expired: bool = False


@dataclass(frozen=True)
class Control:
    """What a control says, whichever organization it is about.

    :param references: Name of a standard, and its parts.
    """

    id: str
    title: str
    severity: str
    resource: str = ""
    rationale: str = ""
    remediation: str = ""
    require: t.Any = None
    references: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Finding:
    """The verdict on one control in one organization.

    :param control: Id of the control.
    :param severity: As this organization's list of controls has it.
    :param unremedied: Why it is not remediated.
    :param previous: Its status in the earlier run; ``None`` if there was none.
    :param change: One of :data:`CHANGES`; ``None`` if it is neither better nor worse, or there is nothing to compare with.
    """

    control: str
    status: str
    severity: str
    current: t.Any = None
    expected: t.Any = None
    detail: str = ""
    remediable: bool = False
    waiver: Waiver | None = None
    unremedied: tuple[str, ...] = ()
    previous: str | None = None
    change: str | None = None

    @property
    def fails(self) -> bool:
        """Whether it counts against the organization."""
        return self.status in FAILING


@dataclass(frozen=True)
class Organization:
    """One organization.

    :param name: Name of its host in the inventory.
    :param findings: In the order of the controls; none if the audit did not get as far.
    :param message: Why it could not be audited, or why the audit stopped; empty otherwise.
    :param change: As in :class:`Finding`, for the organization as a whole.
    """

    name: str
    findings: tuple[Finding, ...] = ()
    message: str = ""
    change: str | None = None

    @property
    def readable(self) -> bool:
        """Whether anything of it could be read."""
        return any(finding.status != "error" for finding in self.findings)

    @property
    def status(self) -> str:
        """``pass``, ``fail`` or ``error``, which is never folded into the others."""
        found = {finding.status for finding in self.findings}
        return (
            "error"
            if not self.readable
            else "fail"
            if "fail" in found
            else "error"
            if "error" in found
            else "pass"
        )

    @property
    def by_control(self) -> dict[str, Finding]:
        """The findings by the id of their control."""
        return {finding.control: finding for finding in self.findings}


@dataclass(frozen=True)
class Change:
    """What is not as it was in the earlier run.

    :param control: Id of the control; ``None`` if it is about the organization as a whole.
    :param change: One of :data:`CHANGES`.
    :param before: Status in the earlier run; ``None`` if it was not in it.
    :param after: Status now; ``None`` if it is not there any more.
    """

    organization: str
    control: str | None
    change: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Trend:
    """This run beside an earlier one.

    :param time: When the earlier run was, as it says.
    :param profile: Its profile.
    :param compliant: How many of its organizations complied.
    :param total: How many it had.
    """

    time: str
    profile: str
    compliant: int
    total: int
    changes: tuple[Change, ...]

    def count(self, change: str) -> int:
        """How many changes of one kind there are."""
        return sum(one.change == change for one in self.changes)

    def grouped(self, change: str) -> list[tuple[Change, tuple[str, ...]]]:
        """The changes of one kind, each once, with the names of the organizations."""
        groups: dict[tuple[str | None, str | None, str | None], list[Change]] = {}
        for one in self.changes:
            if one.change == change:
                groups.setdefault((one.control, one.before, one.after), []).append(one)
        return [
            (members[0], tuple(one.organization for one in members)) for members in groups.values()
        ]


@dataclass(frozen=True)
class Verdict:
    """Whether a fleet complies.

    :param failed: Whether the play is to fail.
    :param msg: The reason in one line.
    """

    failed: bool
    msg: str


@dataclass(frozen=True)
class Report:
    """One report over all organizations.

    :param time: When the audit was, in UTC.
    :param fail_on: The least severity that counts against an organization.
    :param controls: In the order in which they were first met.
    :param organizations: By name.
    :param trend: ``None`` if there is no earlier run to compare with.
    """

    title: str
    time: datetime.datetime
    collection_version: str
    profile: str
    fail_on: str
    controls: tuple[Control, ...]
    organizations: tuple[Organization, ...]
    trend: Trend | None = None

    @property
    def iso_time(self) -> str:
        """The time as ISO 8601."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def verdict(self) -> Verdict:
        """The verdict at the report's own threshold."""
        return judge(self.organizations, self.fail_on)

    @property
    def findings(self) -> list[tuple[Organization, Finding]]:
        """All findings, each with its organization."""
        return [
            (organization, finding)
            for organization in self.organizations
            for finding in organization.findings
        ]

    @property
    def failures(self) -> list[tuple[Organization, Finding]]:
        """The findings that count against readable organizations, the most severe first."""
        found = [
            (organization, finding)
            for organization, finding in self.findings
            if finding.fails and organization.readable
        ]
        order = {control.id: place for place, control in enumerate(self.controls)}
        return sorted(
            found, key=lambda one: (MOST_SEVERE_FIRST.index(one[1].severity), order[one[1].control])
        )

    @property
    def unreadable(self) -> list[Organization]:
        """The organizations of which nothing could be read."""
        return [organization for organization in self.organizations if not organization.readable]

    @property
    def waivers(self) -> list[tuple[Organization, Finding, Waiver]]:
        """The waivers that the findings name, the first to expire first."""
        found = [
            (organization, finding, finding.waiver)
            for organization, finding in self.findings
            if finding.waiver
        ]
        return sorted(
            found, key=lambda one: (one[2].expires or "9999", one[0].name, one[1].control)
        )

    def by_severity(self) -> dict[str, dict[str, int]]:
        """How many findings of each severity have which status, the most severe first."""
        return {
            severity: counted(
                finding for _host, finding in self.findings if finding.severity == severity
            )
            for severity in MOST_SEVERE_FIRST
        }


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have which status."""
    counts = dict.fromkeys(STATUSES, 0)
    for finding in findings:
        counts[finding.status] += 1
    return counts


# From the results of the module to the report.


def build(results: t.Any, meta: t.Any, previous: t.Any = None) -> Report:
    """The report of a fleet.

    :param results: Name of a host to the result of ``planasonix_baseline`` there; without one the organization is an error, too.
    :param meta: ``time`` in ISO 8601, ``collection_version``, ``profile``, and optionally ``title`` and ``fail_on``.
    :param previous: The parsed JSON report of an earlier run.
    :raises ReportError: if one of them is something else.
    """
    if not isinstance(meta, Mapping):
        raise ReportError("meta must be a mapping with time, collection_version and profile.")
    fail_on = str(meta.get("fail_on") or SEVERITIES[0])
    check_fail_on(fail_on)
    organizations = organizations_of(results)
    report = Report(
        title=text_of(meta.get("title")) or TITLE,
        time=time_of(meta.get("time")),
        collection_version=text_of(meta.get("collection_version")),
        profile=text_of(meta.get("profile")),
        fail_on=fail_on,
        controls=controls_of(results, organizations),
        organizations=organizations,
    )
    return compared(report, previous) if previous else report


def time_of(value: t.Any) -> datetime.datetime:
    """A time in ISO 8601, in UTC; that is also meant where no zone is given.

    :raises ReportError: if it is none.
    """
    try:
        found = (
            value
            if isinstance(value, datetime.datetime)
            else datetime.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", str(value)))
        )
        if found.tzinfo is None:
            found = found.replace(tzinfo=datetime.timezone.utc)
        return found.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        raise ReportError(
            f"meta.time must be a time such as 2027-03-31T12:00:00Z, not {value!r}."
        ) from None


def clean(value: t.Any, depth: int = 0) -> t.Any:
    """Return a value that every format can contain, and that hides nothing from a reader.

    Names come first, all other keys are sorted. What JSON has no form for becomes text: numbers
    that are not finite or too large, and what is nested too deeply.

    :param depth: How many mappings and lists are around the value.
    """
    if isinstance(value, str):
        return UNWANTED.sub("\ufffd", value)
    if isinstance(value, (Mapping, list, tuple)) and depth >= MAXIMUM_DEPTH:
        return TOO_DEEP
    if isinstance(value, Mapping):
        items = [(clean(str(key)), clean(item, depth + 1)) for key, item in value.items()]
        return dict(sorted(items, key=lambda pair: (pair[0] != "name", pair[0])))
    if isinstance(value, (list, tuple)):
        return [clean(item, depth + 1) for item in value]
    if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
        return hex(value)  # Python refuses to write large numbers in decimal
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value if value is None or isinstance(value, (int, float)) else clean(str(value))


def text_of(value: t.Any) -> str:
    """A value as clean text; nothing is an empty one."""
    return "" if value is None else str(clean(value)).strip()


def organizations_of(results: t.Any) -> tuple[Organization, ...]:
    """The organizations, by name.

    :raises ReportError: if the results are no mapping.
    """
    if not isinstance(results, Mapping):
        raise ReportError(
            "The results must be a mapping of host names to results of planasonix_baseline."
        )
    return tuple(organization_of(name, result) for name, result in sort_results(results))


def sort_results(results: Mapping[str, t.Any]) -> list[tuple[str, t.Any]]:
    """Return the names of the organizations, in order, each with its result."""
    names = sorted(results, key=lambda name: (str(name).casefold(), str(name)))
    return [(text_of(name), results[name]) for name in names]


def organization_of(name: str, result: t.Any) -> Organization:
    """One organization, from the result of its host."""
    if not isinstance(result, Mapping) or not result:
        return Organization(name, message="was not reached")
    if not isinstance(result.get("controls"), list):
        return Organization(name, message=text_of(result.get("msg")) or "was not reached")
    findings: dict[str, Finding] = {}
    for given in result["controls"]:
        finding = finding_of(given)
        findings.setdefault(finding.control, finding)
    organization = Organization(
        name, tuple(findings.values()), text_of(result.get("msg")) if result.get("failed") else ""
    )
    if not findings:
        return replace(organization, message=organization.message or "no control was evaluated")
    if not organization.readable and not organization.message:
        return replace(
            organization,
            message="; ".join(dict.fromkeys(finding.detail for finding in findings.values())),
        )
    return organization


def identified(given: t.Any) -> str:
    """The id of a control."""
    return (
        text_of(given.get("id")) or text_of(given.get("resource"))
        if isinstance(given, Mapping)
        else ""
    ) or "unknown"


def severity_of(given: Mapping[str, t.Any]) -> str:
    """The severity of a control."""
    return given["severity"] if given.get("severity") in SEVERITIES else "medium"


def finding_of(given: t.Any) -> Finding:
    """One finding. A verdict that nobody knows is an error, since it is no pass."""
    if not isinstance(given, Mapping):
        return Finding(identified(given), "error", "medium", detail="the result holds no verdict")
    status, detail = given.get("status"), text_of(given.get("detail"))
    if status not in STATUSES:
        status, detail = "error", detail or "the result holds no verdict"
    return Finding(
        control=identified(given),
        status=str(status),
        severity=severity_of(given),
        current=clean(given.get("current")),
        expected=clean(given.get("expected", given.get("require"))),
        detail=detail,
        remediable=bool(given.get("remediable")),
        waiver=waiver_of(given.get("waiver")),
        unremedied=reasons_of(given.get("unremedied")),
    )


def waiver_of(given: t.Any) -> Waiver | None:
    """Return the waiver of a control, as the result gives it."""
    if not isinstance(given, Mapping) or not given.get("reason"):
        return None
    return Waiver(
        text_of(given["reason"]), text_of(given.get("expires")) or None, bool(given.get("expired"))
    )


def reasons_of(given: t.Any) -> tuple[str, ...]:
    """Return why a control is not remediated, as the result gives it."""
    return tuple(map(text_of, given)) if isinstance(given, (list, tuple)) else ()


def controls_of(
    results: Mapping[str, t.Any], organizations: Sequence[Organization]
) -> tuple[Control, ...]:
    """The controls, each as the first organization has it."""
    given: dict[str, Control] = {}
    for organization, (_name, result) in zip(organizations, sort_results(results), strict=True):
        for item in result["controls"] if organization.findings else ():
            given.setdefault(identified(item), control_of(item))
    return tuple(given.values())


def control_of(given: t.Any) -> Control:
    """What one control says."""
    if not isinstance(given, Mapping):
        return Control(identified(given), identified(given), "medium")
    references = clean(given.get("references"))
    return Control(
        id=identified(given),
        title=text_of(given.get("title")) or identified(given),
        severity=severity_of(given),
        resource=text_of(given.get("resource")),
        rationale=text_of(given.get("rationale")),
        remediation=text_of(given.get("remediation")),
        require=clean(given.get("require", given.get("expected"))),
        references=tuple((name, parts_of(parts)) for name, parts in sorted(references.items()))
        if isinstance(references, dict)
        else (),
    )


def parts_of(parts: t.Any) -> tuple[str, ...]:
    """The parts of a standard that a control names."""
    return tuple(text_of(part) for part in (parts if isinstance(parts, list) else [parts]))


# The trend.


def checked(given: t.Any, name: str, wanted: str, advice: str) -> Mapping[str, t.Any]:
    """A JSON report, as it was parsed, of a version that can be read back.

    :param name: What it is called, for the error.
    :param wanted: What to give instead of something else.
    :param advice: What to do with one of another version.
    :raises ReportError: if it is something else, or of another version.
    """
    if not isinstance(given, Mapping) or given.get("format") != FORMAT:
        raise ReportError(f"{name} is no JSON report of this collection: give {wanted}.")
    if given.get("format_version") != FORMAT_VERSION:
        raise ReportError(
            f"{name} has the format version {given.get('format_version')!r}, and this version of the collection reads {FORMAT_VERSION}: {advice}."
        )
    return given


def compared(report: Report, previous: t.Any) -> Report:
    """The report with what changed since an earlier one.

    :raises ReportError: if that is none.
    """
    checked(
        previous,
        "previous",
        "the parsed content of a planasonix-audit.json",
        "compare with a report that it wrote itself",
    )
    try:
        earlier = {
            text_of(organization["name"]): (
                bool(organization["readable"]),
                {text_of(one["id"]): text_of(one["status"]) for one in organization["controls"]},
            )
            for organization in previous["organizations"]
        }
        compliant = sum(
            bool(organization["compliant"]) for organization in previous["organizations"]
        )
    except (KeyError, TypeError):
        raise ReportError(
            "previous is an incomplete report: its organizations lack name, readable, compliant or controls."
        ) from None
    organizations = []
    changes: list[Change] = []
    for organization in report.organizations:
        found, own = compared_organization(organization, earlier.get(organization.name))
        organizations.append(found)
        changes += own
    names = {organization.name for organization in organizations}
    changes += [
        Change(name, None, "gone", "pass" if readable else "error", None)
        for name, (readable, _statuses) in sorted(earlier.items())
        if name not in names
    ]
    trend = Trend(
        text_of(previous.get("time")),
        text_of(previous.get("profile")),
        compliant,
        len(earlier),
        tuple(changes),
    )
    return replace(report, organizations=tuple(organizations), trend=trend)


def compared_organization(
    organization: Organization, earlier: tuple[bool, dict[str, str]] | None
) -> tuple[Organization, list[Change]]:
    """An organization beside its earlier state: whether it could be read, and its statuses by the id of the control."""
    if earlier is None:
        return replace(organization, change="new"), [
            Change(organization.name, None, "new", None, organization.status)
        ]
    readable, statuses = earlier
    if readable != organization.readable:
        change = "better" if organization.readable else "worse"
        before, after = ("error", "pass") if organization.readable else ("pass", "error")
        return replace(organization, change=change), [
            Change(organization.name, None, change, before, after)
        ]
    if not readable:
        return organization, []
    findings = tuple(
        replace(
            finding,
            previous=statuses.get(finding.control),
            change=change_of(statuses.get(finding.control), finding.status),
        )
        for finding in organization.findings
    )
    changes = [
        Change(organization.name, one.control, one.change, one.previous, one.status)
        for one in findings
        if one.change
    ]
    present = organization.by_control
    changes += [
        Change(organization.name, control, "gone", status, None)
        for control, status in statuses.items()
        if control not in present
    ]
    return replace(organization, findings=findings), changes


def change_of(before: str | None, after: str) -> str | None:
    """What a change of status means. Between ``fail`` and ``error``, or from ``pass`` to ``waived``, it is neither better nor worse."""
    if before is None:
        return "new"
    if (before in FAILING) == (after in FAILING):
        return None
    return "worse" if after in FAILING else "better"


# The verdict.


def verdict(results: t.Any, fail_on: str) -> tuple[bool, str]:
    """Whether the play is to fail, and the reason in one line.

    An error counts whatever its severity. An audit of nothing does, too.

    :param results: As in :func:`build`.
    :param fail_on: The least severity that counts; ``never``: nothing does.
    :raises ReportError: if one of them is something else.
    """
    check_fail_on(fail_on)
    found = judge(organizations_of(results), fail_on)
    return found.failed, found.msg


def check_fail_on(fail_on: t.Any) -> None:
    """Refuse a threshold that there is not.

    :raises ReportError: with those that there are.
    """
    if fail_on not in FAIL_ON:
        raise ReportError(f"fail_on must be one of {', '.join(FAIL_ON)}, not {fail_on!r}.")


def counts_against(finding: Finding, threshold: str) -> bool:
    """Whether a finding counts at a threshold."""
    return finding.status == "error" or (
        finding.status == "fail"
        and SEVERITIES.index(finding.severity) >= SEVERITIES.index(threshold)
    )


def complies(organization: Organization, threshold: str) -> bool:
    """Whether an organization complies at a threshold."""
    return organization.readable and not any(
        counts_against(finding, threshold) for finding in organization.findings
    )


def plural(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def severities_in_words(findings: Iterable[Finding]) -> str:
    """How many findings have which severity, in a sentence, the most severe first."""
    found = [finding.severity for finding in findings]
    return ", ".join(
        f"{found.count(severity)} {severity}" for severity in MOST_SEVERE_FIRST if severity in found
    )


def judge(organizations: Sequence[Organization], fail_on: str) -> Verdict:
    """The verdict over organizations."""
    threshold = SEVERITIES[0] if fail_on == "never" else fail_on
    if not organizations:
        return Verdict(fail_on != "never", "No organization was audited.")
    bad = [organization for organization in organizations if not complies(organization, threshold)]
    unreadable = [organization for organization in organizations if not organization.readable]
    findings = [
        finding
        for organization in organizations
        if organization.readable
        for finding in organization.findings
    ]
    failing = [finding for finding in findings if finding.status == "fail"]
    counting = [finding for finding in failing if counts_against(finding, threshold)]
    below = [finding for finding in failing if not counts_against(finding, threshold)]
    counts = counted(findings)
    parts = []
    if counting:
        parts.append(
            f"{plural(len(counting), 'control')} {'fails' if len(counting) == 1 else 'fail'} ({severities_in_words(counting)})"
        )
    if counts["error"]:
        parts.append(
            f"{counts['error'] if counting else plural(counts['error'], 'control')} could not be read"
        )
    if unreadable:
        parts.append(
            f"{plural(len(unreadable), 'organization')} could not be read{'' if counts['error'] == 0 else ' at all'}"
        )
    if not bad:
        parts.append(
            f"{plural(counts['pass'] + counts['fixed'], 'control')} {'passes' if counts['pass'] + counts['fixed'] == 1 else 'pass'}"
        )
    if below:
        parts.append(
            f"{len(below)} {'fails' if len(below) == 1 else 'fail'} below {threshold} ({severities_in_words(below)})"
        )
    rest = [
        f"{counts[status]} {words}"
        for status, words in (("waived", "waived"), ("not_entitled", "not entitled"))
        if counts[status]
    ]
    at = f" at {threshold}{'' if threshold == SEVERITIES[-1] else ' and above'}" if below else ""
    total = plural(len(organizations), "organization")
    if bad:
        head = f"{len(bad)} of {total} {'does' if len(bad) == 1 else 'do'} not comply{at}"
    else:
        head = (
            f"The organization complies{at}"
            if len(organizations) == 1
            else f"All {total} comply{at}"
        )
    return Verdict(
        bool(bad) and fail_on != "never",
        f"{head}: {', '.join(parts)}{'; ' if rest else ''}{', '.join(rest)}.",
    )


# Values as a reader likes them.


def lines_of(value: t.Any, name: str = "") -> list[str]:
    """A value, or what is required of one, as lines of text: one per field or object."""
    head = f"{name}: " if name else ""
    if isinstance(value, Mapping) and value:
        if set(value) <= set(OPERATORS):
            return [
                head
                + ", ".join(
                    f"{operator.replace('_', ' ')} {compact(operand)}"
                    for operator, operand in value.items()
                )
            ]
        return [
            line
            for key, item in value.items()
            for line in lines_of(item, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        return [head + compact(item) for item in value]
    return [] if value is None and not name else [head + compact(value)]


def compact(value: t.Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{key}: {compact(item)}" for key, item in value.items() if item is not None)
            or "nothing"
        )
    if isinstance(value, list):
        return ", ".join(map(compact, value)) or "none"
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)


def references_in_words(control: Control) -> str:
    """The references of a control in one line."""
    return "; ".join(
        f"{STANDARDS.get(name, name)}: {', '.join(parts)}" for name, parts in control.references
    )


def shortened(text: str, length: int) -> str:
    """A text that is no longer than so many characters."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}\u2026"


def as_json(report: Report) -> dict[str, t.Any]:
    """The whole report as JSON values, from which :func:`compared` reads it back."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": report.title,
        "time": report.iso_time,
        "collection_version": report.collection_version,
        "profile": report.profile,
        "verdict": {
            "failed": report.verdict.failed,
            "msg": report.verdict.msg,
            "fail_on": report.fail_on,
        },
        "summary": {
            "organizations": {
                "total": len(report.organizations),
                "compliant": sum(
                    organization.status == "pass" for organization in report.organizations
                ),
                "unreadable": len(report.unreadable),
            },
            "controls": counted(finding for _organization, finding in report.findings),
            "by_severity": report.by_severity(),
        },
        "controls": [
            {
                **vars(control),
                "references": {name: list(parts) for name, parts in control.references},
            }
            for control in report.controls
        ],
        "organizations": [
            {
                "name": organization.name,
                "status": organization.status,
                "readable": organization.readable,
                "compliant": organization.status == "pass",
                "message": organization.message,
                "change": organization.change,
                "summary": counted(organization.findings),
                "controls": [finding_as_json(finding) for finding in organization.findings],
            }
            for organization in report.organizations
        ],
        "trend": None if report.trend is None else trend_as_json(report.trend),
    }


def finding_as_json(finding: Finding) -> dict[str, t.Any]:
    """One finding as JSON values; what is not there is left out."""
    told = {**vars(finding), "waiver": None if finding.waiver is None else vars(finding.waiver)}
    told["id"] = told.pop("control")
    return {
        name: value
        for name, value in told.items()
        if value is not None or name in ("current", "expected")
    }


def trend_as_json(trend: Trend) -> dict[str, t.Any]:
    """The trend as JSON values."""
    return {
        "previous": {
            "time": trend.time,
            "profile": trend.profile,
            "organizations": {"total": trend.total, "compliant": trend.compliant},
        },
        "counts": {change: trend.count(change) for change in CHANGES},
        "changes": [vars(change) for change in trend.changes],
    }
