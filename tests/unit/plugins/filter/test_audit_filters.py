# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of an audit: what Ansible hands in, what it gets, and that the documentation tells the same."""

from __future__ import annotations

import datetime
import inspect
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.planasonix.admin.plugins.filter.audit_report import (
    FilterModule,
    audit_parts,
    audit_report,
    audit_results,
    audit_verdict,
    version,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import FORMATS
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import FAIL_ON

ROOT = Path(__file__).resolve().parents[4]
FILTERS = FilterModule().filters()
META = {"time": "2027-03-01T12:00:00Z", "profile": "strict"}
RESULTS: dict[str, t.Any] = {
    "alpha": {
        "controls": [
            {
                "id": "A",
                "status": "fail",
                "severity": "high",
                "require": {"x": 1},
                "expected": {"x": 1},
                "current": {"x": 2},
                "detail": "x is 2",
            }
        ]
    },
    "beta": {},
}


def documentation(name: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = yaml.safe_load(
        (ROOT / "plugins" / "filter" / f"{name}.yml").read_text(encoding="utf-8")
    )
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_values_of_ansible_are_values_like_any_other(form):
    tagged = audit_report(wrap_var(RESULTS), wrap_var(form), wrap_var(META), None)
    assert tagged == audit_report(RESULTS, form, META)
    assert tagged.__class__ is str


def test_the_earlier_report_may_come_from_ansible():
    previous = json.loads(audit_report({"alpha": {}}, "json", META))
    trend = json.loads(audit_report(RESULTS, "json", META, previous=wrap_var(previous)))["trend"]
    assert trend["counts"] == {"better": 1, "gone": 0, "new": 1, "worse": 0}


def test_a_time_may_be_one():
    meta = {**META, "time": datetime.datetime(2027, 3, 1, 12, tzinfo=datetime.timezone.utc)}
    assert json.loads(audit_report(RESULTS, "json", meta))["time"] == "2027-03-01T12:00:00Z"


def test_the_version_is_that_of_the_collection_unless_told():
    assert version() == yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert json.loads(audit_report({}, "json", META))["collection_version"] == version()
    assert (
        json.loads(audit_report({}, "json", {**META, "collection_version": "9.9.9"}))[
            "collection_version"
        ]
        == "9.9.9"
    )


@pytest.mark.parametrize("fail_on", FAIL_ON)
def test_the_verdict_is_a_mapping(fail_on):
    found = audit_verdict(wrap_var(RESULTS), wrap_var(fail_on))
    assert found["failed"] is (fail_on != "never")
    assert found["msg"].startswith(
        "1 of 2 organizations does not comply at critical"
        if fail_on == "critical"
        else "2 of 2 organizations do not comply:"
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: audit_report(RESULTS, "pdf", META),
            "audit_report: The format of a report must be one of",
        ),
        (lambda: audit_report("x", "json", META), "audit_report: The results must be a mapping"),
        (lambda: audit_report(RESULTS, "json", "now"), "audit_report: meta must be a mapping"),
        (
            lambda: audit_report(RESULTS, "json", META, {"a": 1}),
            "audit_report: previous is no JSON report of this collection",
        ),
        (lambda: audit_verdict(RESULTS, "some"), "audit_verdict: fail_on must be one of"),
        (lambda: audit_verdict(None, "low"), "audit_verdict: The results must be a mapping"),
        (
            lambda: audit_report("planasonix-audit-results:x", "json", META),
            "audit_report: The results must be a mapping",
        ),
        (lambda: audit_results(["/none.json"]), "audit_results: There is no report /none.json"),
        (lambda: audit_results([]), "audit_results: There is no report to merge"),
        (lambda: audit_results("x"), "audit_results: The input must be a mapping"),
    ],
)
def test_bad_input_is_an_error_of_the_filter(call, words):
    with pytest.raises(AnsibleFilterError, match=words):
        call()


def test_paths_of_reports_stand_for_their_results(tmp_path):
    paths = [str(tmp_path / name) for name in RESULTS]
    for path, (name, result) in zip(paths, RESULTS.items(), strict=True):
        Path(path).write_text(audit_report({name: result}, "json", META), encoding="utf-8")
    assert audit_parts(wrap_var(paths)) == {"problem": "", **META}
    for form in FORMATS:
        assert audit_report(
            audit_results(wrap_var(paths)), form, audit_parts(paths)
        ) == audit_report(RESULTS, form, META)
    assert audit_verdict(audit_results(paths), "high") == audit_verdict(RESULTS, "high")
    assert audit_parts([*paths, paths[0]])["problem"] == "", "one file is one report"
    assert audit_parts([*paths, str(tmp_path)]) == {
        "problem": f"The report {tmp_path} cannot be read: Is a directory.",
        "profile": "",
        "time": "",
    }
    assert audit_parts([*paths, "/none.json"])["problem"] == "There is no report /none.json."


@pytest.mark.parametrize("depth", [150, 5_000])
def test_a_result_that_is_nested_too_deeply_costs_no_other_organization_the_report(depth):
    deep: t.Any = []
    for _level in range(depth):
        deep = [deep]
    finding = {**RESULTS["alpha"]["controls"][0], "current": deep}
    results = {**RESULTS, "deep": {"controls": [finding], "invocation": deep}}
    for given in (results, audit_results(results)):
        report = json.loads(audit_report(given, "json", META))
        statuses = {one["name"]: one["status"] for one in report["organizations"]}
        assert statuses == {
            "alpha": "fail",
            "beta": "error",
            "deep": "fail" if depth == 150 else "error",
        }
        assert "nested too deeply" in json.dumps(report)
        assert audit_verdict(given)["msg"].startswith("3 of 3 organizations do not comply")


def refuse_constant(name: str) -> t.NoReturn:
    """Refuse what Python reads as JSON and other programs do not."""
    raise ValueError(name)


@pytest.mark.parametrize(
    "odd", ["NaN", "-Infinity", "1e999", '"\\ud83d\\u0000"', "9" * 400, "[" * 150 + "]" * 150]
)
def test_parts_with_odd_values_are_merged(tmp_path, odd):
    """An earlier version wrote such JSON."""
    paths = [str(tmp_path / name) for name in ("odd", "beta")]
    text = audit_report({"alpha": RESULTS["alpha"]}, "json", META)
    assert text.count('"x": 2') == 1
    Path(paths[0]).write_text(text.replace('"x": 2', f'"x": {odd}'), encoding="utf-8")
    Path(paths[1]).write_text(audit_report({"beta": {}}, "json", META), encoding="utf-8")
    assert audit_parts(paths)["problem"] == ""
    packed = audit_results(paths)
    for form in FORMATS:
        audit_report(packed, form, META).encode("utf-8")
    for form in ("json", "sarif"):
        json.loads(audit_report(packed, form, META), parse_constant=refuse_constant)


def test_an_organization_that_must_be_there_and_is_not_is_an_error():
    expected = wrap_var(["beta", "gamma"])
    assert audit_report(audit_results(RESULTS, expected), "json", META) == audit_report(
        {**RESULTS, "gamma": {}}, "json", META
    )


@pytest.mark.parametrize("tag", [wrap_var, lambda value: value], ids=["tagged", "plain"])
def test_packed_results_are_results_like_any_other(tag):
    packed = audit_results(tag(RESULTS))
    assert packed.__class__ is str and re.fullmatch(
        r"planasonix-audit-results:[\w+/]+=*", packed
    ), "it is no template"
    assert [audit_report(tag(packed), form, META) for form in FORMATS] == [
        audit_report(RESULTS, form, META) for form in FORMATS
    ]
    assert audit_verdict(tag(packed), "low") == audit_verdict(RESULTS, "low")


@pytest.mark.parametrize("name", FILTERS)
def test_the_documentation_tells_the_parameters(name):
    told = documentation(name)["DOCUMENTATION"]
    _input, *parameters = inspect.signature(FILTERS[name]).parameters.values()
    assert told["name"] == name
    assert told.get("positional", "").split(", ") == (
        [parameter.name for parameter in parameters] or [""]
    )
    assert list(told["options"]) == ["_input", *(parameter.name for parameter in parameters)]
    for parameter in parameters:
        required = parameter.default is inspect.Parameter.empty
        assert told["options"][parameter.name].get("required", False) is required
        assert required or told["options"][parameter.name].get("default") == parameter.default


def test_the_documentation_tells_the_choices():
    options = documentation("audit_report")["DOCUMENTATION"]["options"]
    assert options["format"]["choices"] == list(FORMATS)
    assert options["meta"]["suboptions"]["fail_on"]["choices"] == list(FAIL_ON)
    assert documentation("audit_verdict")["DOCUMENTATION"]["options"]["fail_on"]["choices"] == list(
        FAIL_ON
    )


@pytest.mark.parametrize("name", FILTERS)
def test_the_examples_are_tasks_that_use_it(name):
    text = documentation(name)["EXAMPLES"]
    assert f"planasonix.admin.{name}" in text
    assert all("name" in task for task in yaml.safe_load(text))
