# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of parts of a fleet: merged, they are exactly the report of the whole fleet."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from unit.plugins.audits import merge, meta_of, render, verdict

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import FORMATS
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    FAIL_ON,
    ReportError,
)

META = {"time": "2027-03-01T12:00:00Z", "collection_version": "1.0.0", "profile": "strict"}


def control(identity: str, status: str = "pass", **more: t.Any) -> dict[str, t.Any]:
    return {
        "id": identity,
        "title": f"Title of {identity}",
        "severity": "medium",
        "resource": "session_timeout",
        "require": {"idle": {"at_most": 30}, "absolute": 60},
        "expected": {"idle": {"at_most": 30}, "absolute": 60},
        "current": {
            "type": "x",
            "name": "y",
            "idle": 45,
            "list": [{"reasons": ["a"], "id": "k", "name": "n"}],
        },
        "rationale": "Why",
        "remediation": "How",
        "references": {"own": "7", "nist_800_53": ["AC-12"]},
        "status": status,
        "detail": f"detail of {identity}",
        "remediable": True,
        **more,
    }


FLEET: dict[str, t.Any] = {
    "alpha": {
        "controls": [
            control("B", "fail"),
            control(
                "A",
                "waived",
                waiver={"reason": "moving (on)", "expires": "2027-03-31", "expired": False},
            ),
            control("D", "error", current=None),
        ]
    },
    # A stricter version of a control, another severity, a control of its own, an expired waiver.
    "Beta": {
        "controls": [
            control("A", "fail", severity="critical", require={"idle": 1}, expected={"idle": 1}),
            control("C", "not_entitled", title=""),
        ]
    },
    "gamma": {
        "controls": [
            control(
                "C",
                "fail",
                waiver={"reason": "the (old) reason", "expires": "2027-01-31", "expired": True},
                unremedied=["no (other) value", "no write"],
            ),
            control("E", "fixed", waiver=None),
        ]
    },
    "delta": {"failed": True, "msg": "The API answered 401."},
    "epsilon": {},
    "zeta": {"controls": [control("A", "error", detail="no"), control("B", "error", detail="no")]},
    "eta": {
        "failed": True,
        "msg": "stopped",
        "controls": [
            control("A", "waived", waiver={"reason": "told", "expires": None, "expired": False}),
            {"id": "F", "status": "odd"},
            "G",
        ],
    },
    "theta": {"controls": []},
}


def part(*names: str, **meta: t.Any) -> str:
    return render(
        {name: FLEET[name] for name in names}, "json", {**META, "fail_on": "never", **meta}
    )


def parts(count: int) -> dict[str, str]:
    return {f"{place}.json": part(*list(FLEET)[place::count]) for place in range(count)}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3, len(FLEET)])
def test_merged_reports_are_the_report_of_the_whole(form, count):
    found = merge(parts(count))
    meta = meta_of(found, fail_on="high")
    for previous in (None, json.loads(part("alpha", "zeta", "theta"))):
        assert render(found.results, form, meta, previous) == render(
            FLEET, form, {**META, "fail_on": "high"}, previous
        )


@pytest.mark.parametrize("fail_on", FAIL_ON)
def test_the_verdict_is_that_of_the_whole(fail_on):
    assert verdict(merge(parts(3)).results, fail_on) == verdict(FLEET, fail_on)


def test_reports_that_were_merged_can_be_merged_again():
    reports = {
        name: part(name, profile=profile)
        for name, profile in (("alpha", "strict"), ("Beta", "foundation"), ("gamma", "strict"))
    }
    both = merge({name: reports[name] for name in ("alpha", "Beta")})
    assert both.origin.profile == "foundation, strict"
    again, once = (
        merge(
            {
                "both": render(both.results, "json", {**META, "profile": both.origin.profile}),
                "gamma": reports["gamma"],
            }
        ),
        merge(reports),
    )
    assert again.origin == once.origin
    assert render(again.results, "json", META) == render(once.results, "json", META)


def test_what_changed_since_an_earlier_run_is_not_taken_over():
    earlier = json.loads(part("alpha"))
    compared = render({"alpha": FLEET["alpha"], "delta": FLEET["delta"]}, "json", META, earlier)
    assert json.loads(compared)["trend"]
    assert json.loads(render(merge({"a": compared}).results, "json", META)) == json.loads(
        part("alpha", "delta", fail_on="low")
    )


def test_the_time_is_that_of_the_latest():
    assert (
        meta_of(merge({"a": part("alpha", time="2027-03-01T13:00:00Z"), "b": part("Beta")}))["time"]
        == "2027-03-01T13:00:00Z"
    )


def changed(**fields: t.Any) -> str:
    return json.dumps({**json.loads(part("alpha")), **fields})


ORGANIZATION = json.loads(part("alpha"))["organizations"][0]


@pytest.mark.parametrize(
    ("reports", "words"),
    [
        ({}, "There is no report to merge."),
        ({"x": ""}, "x is not a JSON report of this collection; expected a planasonix-audit.json."),
        ({"x": "{" * 100_000}, "x is not a JSON report"),
        ({"x": b"\xff\xfe\xfd"}, "x is not a JSON report"),
        ({"x": "[]"}, "x is not a JSON report"),
        ({"x": changed(format="other")}, "x is not a JSON report"),
        (
            {"x": changed(format_version=2)},
            "x has the format version 2, and this version of the collection reads 1: "
            "merge reports that it wrote itself.",
        ),
        ({"x": changed(time="then")}, "x is an incomplete report"),
        ({"x": changed(time=None)}, "x is an incomplete report"),
        ({"x": changed(controls=[])}, "x is an incomplete report"),
        ({"x": changed(controls="A")}, "x is an incomplete report"),
        ({"x": changed(organizations=None)}, "x is an incomplete report"),
        ({"x": changed(organizations=[{}])}, "x is an incomplete report"),
        ({"x": changed(organizations=["alpha"])}, "x is an incomplete report"),
        (
            {"x": changed(organizations=[{**ORGANIZATION, "controls": [{}]}])},
            "x is an incomplete report",
        ),
        (
            {"x": changed(organizations=[ORGANIZATION, ORGANIZATION])},
            "The organization alpha is twice in x, but may be in one report only.",
        ),
        (
            {"x": part("Beta", "alpha"), "y": part("alpha")},
            "The organization alpha is in x and in y, but may be in one report only.",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused_in_one_sentence(reports, words):
    with pytest.raises(ReportError, match=f"^{re.escape(words)}"):
        merge(reports)


def test_a_verdict_that_nobody_knows_is_an_error():
    report = changed(
        organizations=[
            {**ORGANIZATION, "controls": [{**ORGANIZATION["controls"][0], "status": "fine"}]}
        ]
    )
    assert verdict(merge({"x": report}).results, "critical")[0] is True
