# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of an audit: every format has every status, all text is inert, and no error passes."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time
import typing as t
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from unit.plugins.audits import build, merge, render, verdict
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.module_utils._controls import STATUSES
from ansible_collections.planasonix.admin.plugins.modules.planasonix_baseline import MODULE
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import FORMATS
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_markdown import MARKDOWN_LIMIT
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    ReportedWaiver,
    ReportError,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_results import (
    parse_time,
    read_waiver,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import describe_lines

META = {"time": "2027-03-01T12:00:00Z", "collection_version": "1.0.0", "profile": "strict"}
DEAD = "GET /api/organization/settings: the API answered 401."
EVIL = "<script>alert(1)</script>"


def control(
    identity: str, status: str = "pass", severity: str = "medium", **more: t.Any
) -> dict[str, t.Any]:
    return {
        "id": identity,
        "title": f"Title of {identity}",
        "severity": severity,
        "resource": "session_timeout",
        "require": {"idle_timeout_minutes": {"at_most": 30}},
        "expected": {"idle_timeout_minutes": {"at_most": 30}},
        "current": {"idle_timeout_minutes": 60 if status == "fail" else 15},
        "rationale": "Unattended screens are used by others.",
        "remediation": "Lower the idle timeout.",
        "references": {"nist_800_53": ["AC-12", "AC-2(5)"], "own": "7"},
        "status": status,
        "detail": "" if status == "pass" else f"detail of {identity}",
        "remediable": True,
        **more,
    }


def result(*controls: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "controls": list(controls),
        "msg": "baseline: some",
        "compliant": True,
        "summary": {},
        "changed": False,
    }


FLEET: dict[str, t.Any] = {
    "gamma": {"failed": True, "msg": DEAD},
    "alpha": result(
        control(
            "SES-1",
            "fail",
            "high",
            detail="idle_timeout_minutes is 60; expected at most 30",
            waiver={"reason": "moving (slowly) on", "expires": "2027-02-28", "expired": True},
            unremedied=["set protected_addresses"],
        ),
        control("SSO-1", "not_entitled", "critical"),
        control(
            "KEY-1",
            "waived",
            "medium",
            detail="waived until 2027-03-31: replaced (soon) in spring ('ci' (k1) never expires)",
            waiver={
                "reason": "replaced (soon) in spring",
                "expires": "2027-03-31",
                "expired": False,
            },
        ),
        control("LOG-1", "error", "low", current=None),
    ),
    "Beta": result(
        control("SES-1", "pass", "high"),
        control("SSO-1", "pass", "critical"),
        control("KEY-1", "fixed"),
        control("LOG-1", "pass", "low"),
    ),
    "delta": {},
}


def parsed(fleet: t.Any, previous: t.Any = None, **meta: t.Any) -> dict[str, t.Any]:
    found: dict[str, t.Any] = json.loads(render(fleet, "json", {**META, **meta}, previous))
    return found


class Page(HTMLParser):
    """Counts the tags of a page, collects its text, its ids and the places that it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] not in ("style", "script"):
            self.text += data


# The verdict.


@pytest.mark.parametrize(
    ("statuses", "fail_on", "failed", "msg"),
    [
        ([("pass", "low")], "low", False, "The organization complies: 1 control passes."),
        (
            [("pass", "low"), ("fixed", "low"), ("waived", "high")],
            "low",
            False,
            "The organization complies: 2 controls pass; 1 waived.",
        ),
        (
            [("pass", "low"), ("not_entitled", "high")],
            "low",
            False,
            "The organization complies: 1 control passes; 1 not entitled.",
        ),
        (
            [("fail", "low")],
            "low",
            True,
            "1 of 1 organization does not comply: 1 control fails (1 low).",
        ),
        (
            [("fail", "low")],
            "never",
            False,
            "1 of 1 organization does not comply: 1 control fails (1 low).",
        ),
        (
            [("fail", "low"), ("pass", "low")],
            "medium",
            False,
            "The organization complies at medium and above: 1 control passes, "
            "1 fails below medium (1 low).",
        ),
        (
            [("fail", "high"), ("pass", "low")],
            "critical",
            False,
            "The organization complies at critical: 1 control passes, "
            "1 fails below critical (1 high).",
        ),
        (
            [("fail", "medium"), ("pass", "low")],
            "medium",
            True,
            "1 of 1 organization does not comply: 1 control fails (1 medium).",
        ),
        (
            [("fail", "medium"), ("fail", "critical"), ("fail", "high"), ("pass", "low")],
            "high",
            True,
            "1 of 1 organization does not comply at high and above: "
            "2 controls fail (1 critical, 1 high), 1 fails below high (1 medium).",
        ),
        (
            [("error", "low"), ("pass", "low")],
            "critical",
            True,
            "1 of 1 organization does not comply: 1 control could not be read.",
        ),
        (
            [("error", "low"), ("pass", "low")],
            "never",
            False,
            "1 of 1 organization does not comply: 1 control could not be read.",
        ),
        (
            [("error", "low"), ("error", "low")],
            "critical",
            True,
            "1 of 1 organization does not comply: 1 organization could not be read.",
        ),
    ],
)
def test_the_verdict_counts_what_is_severe_enough_and_every_error(statuses, fail_on, failed, msg):
    fleet = {
        "one": result(
            *(
                control(f"C-{place}", status, severity)
                for place, (status, severity) in enumerate(statuses)
            )
        )
    }
    assert verdict(fleet, fail_on) == (failed, msg)


def test_the_verdict_over_a_fleet():
    assert verdict(FLEET, "medium") == (
        True,
        "3 of 4 organizations do not comply: 1 control fails (1 high), 1 could not be read, "
        "2 organizations could not be read at all; "
        "1 waived, 1 not entitled.",
    )
    assert verdict({"a": result(control("A")), "b": result(control("A"))}, "low") == (
        False,
        "All 2 organizations comply: 2 controls pass.",
    )


@pytest.mark.parametrize(
    "lost",
    [
        {},
        None,
        "",
        {"failed": True, "msg": DEAD},
        {"unreachable": True, "msg": "x"},
        {"skipped": True},
        result(),
        {"controls": "x"},
    ],
)
def test_an_organization_that_was_not_read_fails_unless_nothing_does(lost):
    fleet = {"good": result(control("A")), "lost": lost}
    assert verdict(fleet, "critical") == (
        True,
        "1 of 2 organizations does not comply: 1 organization could not be read.",
    )
    assert verdict(fleet, "never")[0] is False
    assert [one.status for one in build(fleet, META).organizations] == ["pass", "error"]


def test_an_audit_of_nothing_fails():
    assert verdict({}, "critical") == (True, "No organization was audited.")
    assert verdict({}, "never")[0] is False
    for form in FORMATS:
        assert render({}, form, META)


@pytest.mark.parametrize(
    "given", [{"id": "A", "status": "ok"}, {"id": "A"}, "A", None, {"id": "A", "status": ["pass"]}]
)
def test_a_verdict_that_nobody_knows_is_an_error(given):
    organization = build({"one": {"controls": [control("B"), given]}}, META).organizations[0]
    assert organization.findings[1].status == "error"
    assert verdict({"one": {"controls": [control("B"), given]}}, "critical")[0] is True


# What comes in.


@pytest.mark.parametrize(
    ("previous", "words"),
    [
        ({"format": "other"}, "previous is not a JSON report"),
        ("text", "previous is not a JSON report"),
        ({"format": "planasonix.admin.audit", "format_version": 99}, "format version 99"),
        ({"format": "planasonix.admin.audit", "format_version": 1}, "incomplete"),
        (
            {"format": "planasonix.admin.audit", "format_version": 1, "organizations": [{}]},
            "incomplete",
        ),
    ],
)
def test_an_earlier_report_that_is_none_is_refused_in_one_sentence(previous, words):
    with pytest.raises(ReportError, match=re.escape(words)):
        render({}, "json", META, previous)


@pytest.mark.parametrize("time", ["yesterday", "", None, 3, "2027-03-01T12:00:00Q"])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(ValueError):
        parse_time(time)


@pytest.mark.parametrize(
    "time",
    [
        "2027-03-01T12:00:00Z",
        "2027-03-01T13:00:00+01:00",
        "2027-03-01T12:00:00",
        "2027-03-01 12:00:00.123456",
    ],
)
def test_the_time_is_told_in_utc(time):
    assert parsed({}, time=time)["time"] == "2027-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            {"reason": " the (old) reason ", "expires": "2027-01-31", "expired": True},
            ReportedWaiver("the (old) reason", "2027-01-31", True),
        ),
        ({"reason": "odd ) one", "expires": None, "expired": False}, ReportedWaiver("odd ) one")),
        ({"reason": ""}, None),
        ("the reason", None),
        (None, None),
    ],
)
def test_a_waiver_is_read_from_the_result(value, found):
    assert read_waiver(value) == found


def shown(text: str, form: str) -> str:
    """What a reader sees of a report."""
    return re.sub(r"\\(.)", r"\1", text) if form == "markdown" else html.unescape(text)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("expires", [None, "2025-12-31"])
@pytest.mark.parametrize("reason", ["cannot renew :)", "(until (then", "no ) yes ("])
def test_names_and_reasons_come_out_whole(form, expires, reason):
    """Parentheses of a key's name or of a reason garbled each other when sentences were parsed."""
    api = FakeApi()
    api.add_key("CI (legacy", 1, scopes=["a"])
    controls = [{"id": "KEY", "resource": "api_keys", "require": {"must_expire": True}}]
    waiver = {"id": "KEY", "reason": reason} | ({"expires": expires} if expires else {})
    found = perform(api, MODULE, check_mode=True, controls=controls, waivers=[waiver])
    results = {"acme": found}
    report = build(results, META)
    assert [one.waiver.reason for one in report.waivers] == [reason]
    text = shown(render(results, form, META), form)
    assert reason in text
    assert "'CI (legacy'" in text or (form == "markdown" and not expires)
    again = merge({"a.json": render(results, "json", META)})
    assert shown(render(again.results, form, META), form) == text


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"a": {"at_least": 1, "at_most": 3}}, ["a: at least 1, at most 3"]),
        ({"a": {"b": True}, "c": None}, ["a.b: true", "c: not set"]),
        (
            {"entries": [{"cidr": "10.0.0.0/8", "label": "x"}]},
            ["entries: cidr: 10.0.0.0/8, label: x"],
        ),
        ({"a": {"one_of": ["x", "y"]}}, ["a: one of x, y"]),
        ([], ["none"]),
        (None, []),
        ("text", ["text"]),
    ],
)
def test_values_are_told_in_words(value, lines):
    assert describe_lines(value) == lines


# The formats.


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_input_gives_the_same_report(form):
    backwards = {name: FLEET[name] for name in reversed(FLEET)}
    turned = json.loads(json.dumps(FLEET, sort_keys=True))
    assert render(FLEET, form, META) == render(backwards, form, META) == render(turned, form, META)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_the_statuses_and_what_could_not_be_read(form):
    text = render(FLEET, form, META)
    for word in (
        "alpha",
        "gamma",
        "delta",
        "was not reached",
        "SES-1",
        "KEY-1",
        "replaced (soon) in spring",
    ):
        assert word in text
    if form not in ("csv", "json", "sarif"):
        assert "Planasonix compliance audit" in text


def test_json_holds_all_that_there_is():
    found = parsed(FLEET)
    assert (found["format"], found["format_version"], found["profile"], found["trend"]) == (
        "planasonix.admin.audit",
        1,
        "strict",
        None,
    )
    assert [one["name"] for one in found["organizations"]] == ["alpha", "Beta", "delta", "gamma"]
    assert [one["status"] for one in found["organizations"]] == ["fail", "pass", "error", "error"]
    assert found["summary"]["organizations"] == {"total": 4, "compliant": 1, "unreadable": 2}
    assert found["summary"]["controls"] == {
        "pass": 3,
        "fixed": 1,
        "waived": 1,
        "not_entitled": 1,
        "fail": 1,
        "error": 1,
    }
    assert set(found["summary"]["by_severity"]["high"]) == set(STATUSES)
    ses, _sso, key, log = found["organizations"][0]["controls"]
    assert ses["waiver"] == {
        "reason": "moving (slowly) on",
        "expires": "2027-02-28",
        "expired": True,
    }
    assert key["waiver"] == {
        "reason": "replaced (soon) in spring",
        "expires": "2027-03-31",
        "expired": False,
    }
    assert (ses["current"], ses["expected"]) == (
        {"idle_timeout_minutes": 60},
        {"idle_timeout_minutes": {"at_most": 30}},
    )
    assert log["current"] is None
    assert found["controls"][0]["references"] == {"nist_800_53": ["AC-12", "AC-2(5)"], "own": ["7"]}


def test_junit_has_a_suite_per_organization_and_a_case_per_control():
    root = ElementTree.fromstring(render(FLEET, "junit", META).encode())
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "10",
        "failures": "1",
        "errors": "3",
        "skipped": "2",
    }
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["alpha", "Beta", "delta", "gamma"]
    kinds = {
        case.get("name"): [child.tag for child in case] for case in suites["alpha"].iter("testcase")
    }
    assert kinds == {
        "SES-1: Title of SES-1": ["failure"],
        "SSO-1: Title of SSO-1": ["skipped"],
        "KEY-1: Title of KEY-1": ["skipped"],
        "LOG-1: Title of LOG-1": ["error"],
    }
    assert [child.tag for case in suites["Beta"].iter("testcase") for child in case] == [
        "system-out"
    ]
    failure = next(suites["alpha"].iter("failure"))
    assert "current: idle_timeout_minutes: 60" in (
        failure.text or ""
    ) and "NIST SP 800-53 r5: AC-12" in (failure.text or "")
    assert [error.get("message") for error in suites["gamma"].iter("error")] == [DEAD]


def test_csv_has_a_line_per_organization_and_control():
    rows = list(csv.DictReader(io.StringIO(render(FLEET, "csv", META))))
    assert [(row["organization"], row["control"], row["status"]) for row in rows] == [
        ("alpha", "SES-1", "fail"),
        ("alpha", "SSO-1", "not_entitled"),
        ("alpha", "KEY-1", "waived"),
        ("alpha", "LOG-1", "error"),
        ("Beta", "SES-1", "pass"),
        ("Beta", "SSO-1", "pass"),
        ("Beta", "KEY-1", "fixed"),
        ("Beta", "LOG-1", "pass"),
        ("delta", "", "error"),
        ("gamma", "", "error"),
    ]
    assert (rows[2]["waiver_reason"], rows[2]["waiver_expires"]) == (
        "replaced (soon) in spring",
        "2027-03-31",
    )
    assert rows[9]["detail"] == DEAD


EVIL_CELLS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\uff1d1", "\r=1", '"=1']
SEPARATED_CELLS = [
    "x;=1",
    "x; +1",
    "x;-1;@SUM(A1)",
    'x;"=1"',
    'x";=1',
    "x\t=1",
    "x\r\n=1",
    "x;\uff1d1",
    "x;\t =1",
    "x\t\n=1",
]


def fields_of(text: str) -> list[str]:
    """Split CSV as programs do: as it is meant, and with another separator, with quotes or not."""
    fields = [field for row in csv.reader(io.StringIO(text, newline="")) for field in row]
    for separator in (";", "\t"):
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            lines = io.StringIO(text, newline="")
            for row in csv.reader(lines, delimiter=separator, quoting=quoting):
                fields += row
    return fields


@pytest.mark.parametrize("evil", EVIL_CELLS + SEPARATED_CELLS)
def test_no_field_of_csv_is_a_formula_with_another_separator(evil):
    finding = control(f"{evil}id", "fail", title=evil, detail=evil, current={"a": evil})
    text = render({f"{evil}host": result(finding)}, "csv", META)
    formulas = [field for field in fields_of(text) if re.match(r'[\s"]*[=+\-@\uff1d]', field)]
    assert formulas == []


@pytest.mark.parametrize("harmless", ["a = 1", "a-b@c", "x; y=1", "1;2", "mailto:a@b; c"])
def test_other_texts_are_in_csv_as_they_are(harmless):
    text = render({"alpha": result(control("A", "fail", detail=harmless))}, "csv", META)
    assert next(csv.DictReader(io.StringIO(text)))["detail"] == harmless


@pytest.mark.parametrize("separator", ["\t", "\n", '"\r', ";", " ", '"'])
def test_a_long_text_costs_no_report_in_csv(separator):
    """It took a minute, and four times that for a text of twice the length."""
    begin = time.monotonic()
    detail = f"x{separator * 50_000}x"
    text = render({"alpha": result(control("A", "fail", detail=detail))}, "csv", META)
    assert text.count(separator) >= 50_000
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("evil", EVIL_CELLS)
def test_no_field_of_csv_is_a_formula(evil):
    fleet = {
        f"{evil}host": result(
            control(f"{evil}id", "fail", title=evil, detail=evil, rationale=evil, current=-5)
        )
    }
    (row,) = csv.DictReader(io.StringIO(render(fleet, "csv", META), newline=""))
    assert [value for value in row.values() if re.match(r"\s*[=+\-@\uff1d]", value)] == []
    assert row["current"] == "'-5"


def test_sarif_has_a_rule_per_control_and_a_result_per_finding():
    log = json.loads(render(FLEET, "sarif", META))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [
        "SES-1",
        "SSO-1",
        "KEY-1",
        "LOG-1",
        "organization-unreadable",
    ]
    for rule in rules:
        assert (
            rule["shortDescription"]["text"]
            and rule["fullDescription"]["text"]
            and rule["help"]["text"]
        )
        assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
        assert float(rule["properties"]["security-severity"]) > 0
    found = run["results"]
    assert [(one["ruleId"], one["level"], "suppressions" in one) for one in found] == [
        ("SES-1", "error", False),
        ("KEY-1", "warning", True),
        ("LOG-1", "error", False),
        ("organization-unreadable", "error", False),
        ("organization-unreadable", "error", False),
    ]
    assert all(
        rules[one["ruleIndex"]]["id"] == one["ruleId"] and one["message"]["text"] for one in found
    )
    (place,) = found[0]["locations"]
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "alpha"
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "organizations/alpha"
    assert found[1]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "replaced (soon) in spring",
            "properties": {"expires": "2027-03-31"},
        }
    ]
    fingerprints = [one["partialFingerprints"]["organizationControl/v1"] for one in found]
    assert len(set(fingerprints)) == len(found)
    assert run["invocations"][0]["executionSuccessful"] is False


def test_the_uri_of_sarif_is_one_whatever_the_name():
    run = json.loads(render({"a b/<c>:é": result(control("A", "fail"))}, "sarif", META))["runs"][0]
    assert re.fullmatch(
        r"organizations/[A-Za-z0-9%._~-]+",
        run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
    )


def test_markdown_tells_the_verdict_and_what_fails():
    text = render(FLEET, "markdown", META)
    assert text.startswith(
        "## ❌ Planasonix compliance audit\n\n**3 of 4 organizations do not comply"
    )
    assert "| high | 1 | 0 | 0 | 0 | 1 |" in text
    assert "| alpha | SES-1 Title of SES-1 | high | fail |" in text
    assert "| alpha | LOG-1 Title of LOG-1 | low | error |" in text
    assert f"| gamma | {DEAD} |" in text
    assert "| alpha | SES-1 | 2027-02-28 (expired) |" in text
    assert render({"a": result(control("A"))}, "markdown", META).startswith("## ✅")
    assert render(
        {"a": result(control("A", "fail"))}, "markdown", {**META, "fail_on": "never"}
    ).startswith("## ⚠️")


def test_nothing_in_markdown_is_markup():
    evil = "a|b\n<img src=x> [x](http://x) *b* `c` @everyone #12 ~~d~~"
    text = render({"h|ost": result(control("A", "fail", detail=evil, title=""))}, "markdown", META)
    (line,) = [line for line in text.splitlines() if "everyone" in line]
    assert line == (
        "| h\\|ost | A | medium | fail | a\\|b &lt;img src=x&gt; \\[x\\](http://x) "
        "\\*b\\* \\`c\\` @\u200beveryone #\u200b12 \\~\\~d\\~\\~ |"
    )


def test_html_needs_nothing_else_and_every_link_leads_somewhere():
    page = Page(render(FLEET, "html", META, previous=parsed(FLEET)))
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} - set(page.ids) == set()
    assert len(page.ids) == len(set(page.ids))
    assert {"img", "link", "iframe", "object", "form"} & set(page.tags) == set()
    assert page.tags.count("script") == 1 and page.tags.count("h1") == 1
    assert "scope" in page.attributes and not [
        name for name in page.attributes if name.startswith("on")
    ]


def test_html_tells_everything():
    text = render(FLEET, "html", META)
    page = Page(text)
    for words in (
        "2027-03-01 12:00 UTC",
        "planasonix.admin 1.0.0",
        "strict",
        "1 of 4 organizations meet every control",
        "Unattended screens are used by others.",
        "Lower the idle timeout.",
        "idle_timeout_minutes: at most 30",
        "NIST SP 800-53 r5: AC-12, AC-2(5); own: 7",
        "replaced (soon) in spring",
        "2027-03-31",
        "expired",
        DEAD,
        "supports evidence for",
    ):
        assert words in page.text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    assert "compliant" not in page.text.lower()
    # What a control says stands once, whatever the number of organizations.
    assert text.count("Unattended screens") == 4


def test_the_cells_of_the_matrix_have_colour_and_text():
    text = render(FLEET, "html", META)
    for cell in (
        "<td class=f><a href=#o1c1>fail</a>",
        "<td class=n><a href=#o1c2>n/a</a>",
        "<td class=w><a href=#o1c3>waived</a>",
        "<td class=p>pass",
    ):
        assert cell in text
    assert '<td class="e" colspan="4">error: was not reached' in text


def test_a_waiver_that_ends_soon_says_so():
    assert "30 days left" in render(FLEET, "html", META)
    assert "0 days left" in render(FLEET, "html", {**META, "time": "2027-03-31T23:59:00Z"})
    assert "active" in Page(render(FLEET, "html", {**META, "time": "2026-03-01T00:00:00Z"})).text


EVERYWHERE: dict[str, t.Any] = {
    f"host{EVIL}": result(
        control(
            f"id{EVIL}",
            "fail",
            title=EVIL,
            detail=EVIL,
            rationale=EVIL,
            remediation=EVIL,
            resource=EVIL,
            references={EVIL: [EVIL]},
            current={EVIL: EVIL},
            expected=EVIL,
        ),
        control(
            f"w{EVIL}",
            "waived",
            waiver={"reason": EVIL, "expires": "2027-03-31", "expired": False},
            unremedied=[EVIL],
        ),
    ),
    f"dead{EVIL}": {"failed": True, "msg": f"{EVIL}\"'><b>"},
}


def test_a_script_in_the_data_is_inert():
    meta = {"time": META["time"], "title": EVIL, "profile": EVIL, "collection_version": EVIL}
    previous = json.loads(render({f"old{EVIL}": result(control("A"))}, "json", meta))
    page = render(EVERYWHERE, "html", meta, previous)
    assert EVIL not in page and "<b>'" not in page
    assert Page(page).tags.count("script") == 1
    assert "alert(1)" in Page(page).text
    assert "<script" not in render(EVERYWHERE, "markdown", meta, previous)
    assert (
        len(list(ElementTree.fromstring(render(EVERYWHERE, "junit", meta).encode()).iter("script")))
        == 0
    )


@pytest.mark.parametrize("form", FORMATS)
def test_odd_characters_break_no_format(form):
    odd = "a\x00b\x1b[31m\ud800\u202ec\uffff\r\nd"
    text = render(
        {
            odd: result(
                control(odd, "fail", title=odd, detail=odd, current={odd: [odd, None, 1.5, True]})
            )
        },
        form,
        {**META, "title": odd},
    )
    text.encode("utf-8")
    assert not re.search("[\x00\x1b\u202e\uffff]", text)
    if form == "junit":
        ElementTree.fromstring(text.encode())


def refuse_constant(name: str) -> t.NoReturn:
    """Refuse what Python reads as JSON and other programs do not."""
    raise ValueError(name)


def nest(depth: int, inner: t.Any = None) -> t.Any:
    """Return lists and mappings inside each other."""
    for _level in range(depth):
        inner = {"a": [inner]}
    return inner


ODD_VALUES = [
    pytest.param(float("nan"), "NaN", id="nan"),
    pytest.param(float("inf"), "Infinity", id="infinity"),
    pytest.param(-float("inf"), "-Infinity", id="minus-infinity"),
    pytest.param(1 << 64, "0x10000000000000000", id="large"),
    pytest.param(1 << 20000, "0x1000000", id="larger-than-python-writes"),
    pytest.param(nest(150), "(nested too deeply)", id="deep"),
    pytest.param("\ud83d\x1b[2J\x00", "\ufffd\ufffd[2J\ufffd", id="odd-text"),
    pytest.param({"\ud83d": 1, float("nan"): 2}, "\ufffd", id="odd-keys"),
    pytest.param({1, 2}, "{1, 2}", id="set"),
]


@pytest.mark.parametrize(("odd", "shown"), ODD_VALUES)
@pytest.mark.parametrize("form", FORMATS)
def test_an_odd_value_costs_no_other_organization_the_report(form, odd, shown):
    fields = ("current", "expected", "require", "references", "title", "detail", "rationale")
    finding = {**control("ODD", "fail"), **dict.fromkeys(fields, odd)}
    waived = control("WAI", "fail", waiver={"reason": odd, "expires": odd})
    broken = control("BRO", severity=[odd], status={"a": odd}, resource=odd, remediation=odd)
    others = {name: FLEET[name] for name in ("alpha", "gamma")}
    fleet = {**others, "odd": result(finding, waived, broken), "no": {"controls": odd, "msg": odd}}
    text = render(fleet, form, META)
    text.encode("utf-8")
    for name in fleet:
        assert name in text
    if form in ("json", "sarif"):
        json.loads(text, parse_constant=refuse_constant)
        assert shown in text
    if form == "junit":
        ElementTree.fromstring(text.encode())


def test_names_of_organizations_that_look_the_same_mix_nothing_up():
    fleet = {"a\x00": result(control("A")), "a\x01": {"failed": True, "msg": DEAD}}
    assert [one["status"] for one in parsed(fleet)["organizations"]] == ["pass", "error"]


@pytest.mark.parametrize("field", ["name", "status", "id"])
@pytest.mark.parametrize("form", FORMATS)
def test_odd_text_of_an_earlier_report_breaks_no_format(form, field):
    previous = parsed({"alpha": result(control("A", "fail")), "beta": result(control("A"))})
    for organization in previous["organizations"]:
        place = organization if field == "name" else organization["controls"][0]
        place[field] += "\ud83d"
    render({"alpha": result(control("A"))}, form, META, previous).encode("utf-8")


# The trend.


BEFORE = parsed(
    {
        "both": result(
            control("A", "fail"),
            control("B"),
            control("C", "error"),
            control("D", "fail"),
            control("E"),
            control("F", "fail"),
            control("G"),
        ),
        "back": {"failed": True, "msg": DEAD},
        "lost": result(control("A")),
        "left": result(control("A")),
        "dead": {},
    },
    time="2027-02-01T00:00:00Z",
)
AFTER = {
    "both": result(
        control("A"),
        control("B", "fail"),
        control("C", "waived"),
        control("D", "error"),
        control("E", "waived"),
        control("F", "fail"),
        control("H"),
    ),
    "back": result(control("A")),
    "lost": result(control("A", "error")),
    "dead": {"failed": True, "msg": DEAD},
    "join": result(control("A", "fail")),
}


def test_the_trend_tells_better_worse_new_and_gone():
    trend = parsed(AFTER, BEFORE)["trend"]
    found = {
        (one["organization"], one["control"]): (one["change"], one["before"], one["after"])
        for one in trend["changes"]
    }
    assert found == {
        ("both", "A"): ("better", "fail", "pass"),
        ("both", "B"): ("worse", "pass", "fail"),
        ("both", "C"): ("better", "error", "waived"),
        ("both", "H"): ("new", None, "pass"),
        ("both", "G"): ("gone", "pass", None),
        ("back", None): ("better", "error", "pass"),
        ("lost", None): ("worse", "pass", "error"),
        ("join", None): ("new", None, "fail"),
        ("left", None): ("gone", "pass", None),
    }
    assert trend["counts"] == {"worse": 2, "better": 3, "new": 2, "gone": 2}
    assert trend["previous"] == {
        "time": "2027-02-01T00:00:00Z",
        "profile": "strict",
        "organizations": {"total": 5, "compliant": 2},
    }


def test_the_trend_is_read_by_people_too():
    page = render(AFTER, "html", META, BEFORE)
    assert '<td class="p up">pass' in page and '<td class="f down">' in page
    text = Page(page).text
    assert "2 of 5 complied then, 1 of 5 do now" in text
    assert "Changes: 2 worse, 3 better, 2 new, 2 gone." in text
    lines = render(AFTER, "markdown", META, BEFORE).splitlines()
    assert "| **2 worse, 3 better, 2 new, 2 gone** | since 2027-02-01T00:00:00Z |  |  |" in lines
    assert "| worse | B | pass → fail | both |" in lines
    assert "| gone | the organization | pass → absent | left |" in lines


def test_a_report_is_read_back_by_the_next_and_nothing_changed():
    for fleet in (FLEET, AFTER, EVERYWHERE):
        trend = parsed(fleet, parsed(fleet, parsed(fleet)))["trend"]
        assert trend["changes"] == []
    assert "Nothing changed." in render(FLEET, "html", META, parsed(FLEET))


@pytest.mark.parametrize("previous", [None, {}, ""])
def test_without_an_earlier_report_there_is_no_trend(previous):
    assert parsed(FLEET, previous)["trend"] is None
    assert "Since the last audit" not in render(FLEET, "html", META, previous)


# A large fleet.


@pytest.fixture(scope="module")
def large() -> dict[str, t.Any]:
    def status(host: int, number: int) -> str:
        return (
            "fail"
            if (host + number) % 5 == 0
            else "waived"
            if (host * number) % 41 == 7
            else "pass"
        )

    waiver = {"reason": "why it is as it is " * 5, "expires": None, "expired": False}

    def finding(host: int, number: int) -> dict[str, t.Any]:
        found = status(host, number)
        more = {"waiver": waiver} if found == "waived" else {}
        return control(f"PLX-{number:02d}", found, detail="why it is as it is " * 5, **more)

    return {
        f"organization-{host:03d}": {}
        if host % 30 == 29
        else result(*(finding(host, number) for number in range(20)))
        for host in range(120)
    }


def test_a_large_page_stays_small(large):
    text = render(large, "html", META, parsed(large))
    assert len(text.encode()) < 1_600_000
    assert text.count("Unattended screens") == 20
    page = Page(text)
    assert {link[1:] for link in page.links} - set(page.ids) == set()


def test_a_large_comment_fits_and_counts_what_it_left_out(large):
    gone = {"organization-000": result(*(control(f"OLD-{number}" * 20) for number in range(3000)))}
    text = render(large, "markdown", META, parsed(gone))
    assert len(text) <= MARKDOWN_LIMIT <= 65_536
    rows = sum(
        line.startswith("| organization-") and "| medium | fail" in line
        for line in text.splitlines()
    )
    fails = parsed(large)["summary"]["controls"]["fail"]
    assert f"… and {fails - rows} findings more, left out here" in text
    assert rows > 50
    assert "### Changes" in text and "### Waivers" in text


def test_a_long_verdict_and_long_names_fit_too():
    fleet = {f"{'n' * 500}{host}": {"failed": True, "msg": "|" * 5000} for host in range(500)}
    text = render(fleet, "markdown", {**META, "title": "*" * 5000, "profile": "_" * 5000})
    assert len(text) <= 65_536
