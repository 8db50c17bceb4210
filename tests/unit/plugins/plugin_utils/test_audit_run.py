# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module planasonix_audit: what it takes, which files it writes, and when it fails."""

from __future__ import annotations

import importlib
import json
import os
import re
import stat
import typing as t
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.utils.unsafe_proxy import wrap_var
from unit.plugins.audits import render

from ansible_collections.planasonix.admin.plugins.action.planasonix_audit import ActionModule
from ansible_collections.planasonix.admin.plugins.modules import planasonix_audit
from ansible_collections.planasonix.admin.plugins.plugin_utils import _audit_files
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import FORMATS
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    FAIL_ON,
    ReportError,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_run import (
    OPTIONS,
    Play,
    find_version,
    write_report,
)

ROOT = Path(__file__).resolve().parents[4]
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
MSG = (
    "2 of 2 organizations do not comply: 1 control fails (1 high), "
    "1 organization could not be read."
)
ALONE = Play(lambda: {}, is_only_batch=True, is_last_batch=True)


def run(folder: Path, play: Play = ALONE, **options: t.Any) -> dict[str, t.Any]:
    """Run a task on the results above, unless the options say otherwise."""
    validated = {name: option.get("default") for name, option in OPTIONS.items()}
    given = {"results": RESULTS} if "sources" not in options else {}
    arguments = {**validated, **given, "report_dir": str(folder), **options}
    return write_report(arguments, play, lambda path: Path(path).read_bytes())


def load(folder: Path) -> dict[str, t.Any]:
    found: dict[str, t.Any] = json.loads((folder / "planasonix-audit.json").read_bytes())
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Results.


def test_all_formats_are_written_of_one_report(tmp_path):
    result = run(tmp_path, profile="strict")
    assert list(result["files"]) == list(FORMATS)
    assert sorted(map(str, tmp_path.iterdir())) == sorted(result["files"].values())
    time = load(tmp_path)["time"]
    for form, path in result["files"].items():
        text = Path(path).read_bytes().decode()
        meta = {"time": time, "profile": "strict", "collection_version": find_version()}
        meta["fail_on"] = "medium"
        assert text == render(RESULTS, form, meta), form


def test_the_result_has_the_verdict_as_text_and_as_data(tmp_path):
    result = run(tmp_path)
    causes = {"high": 1, "unreadable_organizations": 1}
    assert (result["changed"], result["failed"], result["msg"]) == (False, True, MSG)
    assert result["verdict"] == {"failed": True, "msg": MSG, "causes": causes}
    assert result["summary"]["organizations"] == {"total": 2, "compliant": 0, "unreadable": 1}
    assert result["summary"]["controls"]["fail"] == 1


@pytest.mark.parametrize("fail_on", FAIL_ON)
def test_the_threshold_decides(tmp_path, fail_on):
    result = run(tmp_path, fail_on=fail_on)
    assert result["failed"] is result["verdict"]["failed"] is (fail_on != "never")
    assert load(tmp_path)["verdict"]["fail_on"] == fail_on
    below = {"unreadable_organizations": 1}
    assert result["verdict"]["causes"] == (below if fail_on == "critical" else {"high": 1, **below})


def test_an_audit_of_nothing_fails(tmp_path):
    assert run(tmp_path, results={})["verdict"] == {
        "failed": True,
        "msg": "No organization was audited.",
        "causes": {"nothing_audited": 1},
    }


def test_values_of_ansible_are_values_like_any_other(tmp_path):
    run(tmp_path / "plain")
    run(tmp_path / "tagged", results=wrap_var(RESULTS), profile=wrap_var("strict"))
    plain, tagged = load(tmp_path / "plain"), load(tmp_path / "tagged")
    assert {**tagged, "time": "", "profile": ""} == {**plain, "time": "", "profile": ""}
    assert tagged["profile"] == "strict"


def test_an_expected_organization_without_a_result_is_an_error(tmp_path):
    result = run(tmp_path, organizations=["beta", "gamma"])
    assert result["summary"]["organizations"]["total"] == 3
    assert load(tmp_path)["organizations"][-1]["message"] == "was not reached"


@pytest.mark.parametrize("depth", [150, 5_000])
def test_a_result_that_is_nested_too_deeply_costs_no_other_organization_the_report(tmp_path, depth):
    deep: t.Any = []
    for _level in range(depth):
        deep = [deep]
    finding = {**RESULTS["alpha"]["controls"][0], "current": deep}
    results = {**RESULTS, "deep": {"controls": [finding], "invocation": deep}}
    result = run(tmp_path, results=results)
    report = load(tmp_path)
    statuses = {one["name"]: one["status"] for one in report["organizations"]}
    expected = "fail" if depth == 150 else "error"
    assert statuses == {"alpha": "fail", "beta": "error", "deep": expected}
    assert "nested too deeply" in json.dumps(report)
    assert result["msg"].startswith("3 of 3 organizations do not comply")


def test_the_version_is_that_of_the_collection(tmp_path):
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    run(tmp_path)
    assert find_version() == load(tmp_path)["collection_version"] == version


# The play.


def test_the_results_are_by_default_those_of_the_play(tmp_path):
    play = Play(lambda: {"alpha": RESULTS["alpha"], "beta": None}, True, True)
    assert run(tmp_path, play, results=None)["msg"] == MSG


def test_a_play_that_registered_no_result_is_an_error(tmp_path):
    words = "No host of the play has the variable compliance_audit_result, so nothing was written. "
    with pytest.raises(ReportError, match=f"{words}Register the result of planasonix_baseline"):
        run(tmp_path / "new", Play(lambda: {"alpha": None, "beta": None}, True, True), results=None)
    assert not (tmp_path / "new").exists()


def test_under_serial_the_verdict_comes_with_the_last_batch(tmp_path):
    early = run(tmp_path, Play(lambda: RESULTS, False, False), results=None)
    assert (early["failed"], early["verdict"]["failed"]) == (False, True)
    assert early["msg"] == "The verdict comes with the last batch of hosts."
    assert load(tmp_path)["verdict"] == {"failed": True, "msg": MSG, "fail_on": "medium"}
    assert run(tmp_path, Play(lambda: RESULTS, False, True), results=None)["failed"]
    # Results that are given are complete.
    assert run(tmp_path, Play(lambda: {}, False, False))["failed"]


def test_under_serial_the_earlier_report_is_not_the_one_that_is_written(tmp_path):
    run(tmp_path)
    options = {"results": None, "previous": str(tmp_path / "planasonix-audit.json")}
    with pytest.raises(ReportError, match="must be another file than .*json. Copy it first"):
        run(tmp_path, Play(lambda: RESULTS, False, True), **options)
    assert run(tmp_path, Play(lambda: RESULTS, True, True), **options)["failed"]
    assert load(tmp_path)["trend"]["changes"] == []


# Earlier reports, and reports to merge.


def test_an_earlier_report_may_be_the_one_that_is_replaced(tmp_path):
    run(tmp_path, results={"alpha": {}})
    previous = str(tmp_path / "planasonix-audit.json")
    run(tmp_path, previous=previous)
    assert load(tmp_path)["trend"]["counts"] == {"better": 1, "gone": 0, "new": 1, "worse": 0}
    assert "Since the last audit" in (tmp_path / "planasonix-audit.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no report {path}."),
        ("{", "previous is not a JSON report of this collection"),
        ("[]", "previous is not a JSON report of this collection"),
    ],
)
def test_an_earlier_report_that_is_none_is_an_error(tmp_path, content, words):
    path = tmp_path / "earlier"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=re.escape(words.format(path=path))):
        run(tmp_path / "new", previous=str(path))
    assert not (tmp_path / "new").exists()


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder with two reports, each of one organization."""
    folder = tmp_path / "parts"
    for name, result in RESULTS.items():
        (folder / name).mkdir(parents=True)
        text = render({name: result}, "json", META)
        (folder / name / "planasonix-audit.json").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("pattern", ["{}/*/planasonix-audit.json", "{0}/alpha/*,{0}/beta/*.json"])
def test_reports_are_merged_by_path_and_by_pattern(parts, tmp_path, pattern):
    sources = pattern.format(parts).split(",")
    merged = run(tmp_path / "new", sources=[*sources, sources[0]])
    assert (merged["msg"], merged["failed"]) == (MSG, True)
    report = load(tmp_path / "new")
    assert {name: report[name] for name in META} == META
    # A path without a pattern means itself, whatever characters it has.
    odd = parts / "[1].json"
    (parts / "alpha" / "planasonix-audit.json").rename(odd)
    run(tmp_path / "odd", sources=[str(odd)])
    assert len(load(tmp_path / "odd")["organizations"]) == 1


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["{parts}/none/*.json"], "There is no report {parts}/none/*.json."),
        (["{parts}"], "The report {parts} cannot be read: Is a directory."),
        (["{parts}/alpha/*", "{parts}/x.json"], "There is no report {parts}/x.json."),
        ([], "There is no report to merge."),
        (
            ["{parts}/*/*.json", "{parts}/new/planasonix-audit.*"],
            "{parts}/new/planasonix-audit.json is one of the reports to merge and would be ",
        ),
    ],
)
def test_sources_that_cannot_be_merged_leave_no_file(parts, sources, words):
    (parts / "new").mkdir()
    own = parts / "new" / "planasonix-audit.json"
    own.write_text("x", encoding="utf-8")
    with pytest.raises(ReportError, match=re.escape(words.format(parts=parts))):
        run(parts / "new", sources=[source.format(parts=parts) for source in sources])
    assert [path.name for path in (parts / "new").iterdir()] == [own.name]
    assert own.read_text(encoding="utf-8") == "x"


def refuse_constant(name: str) -> t.NoReturn:
    """Refuse what Python reads as JSON and other programs do not."""
    raise ValueError(name)


@pytest.mark.parametrize(
    "odd", ["NaN", "-Infinity", "1e999", '"\\ud83d\\u0000"', "9" * 400, "[" * 150 + "]" * 150]
)
def test_parts_with_odd_values_are_merged(parts, tmp_path, odd):
    """An earlier version wrote such JSON."""
    path = parts / "alpha" / "planasonix-audit.json"
    text = path.read_text(encoding="utf-8")
    assert text.count('"x": 2') == 1
    path.write_text(text.replace('"x": 2', f'"x": {odd}'), encoding="utf-8")
    result = run(tmp_path / "new", sources=[f"{parts}/*/*.json"])
    assert result["msg"] == MSG
    for form in ("json", "sarif"):
        text = Path(result["files"][form]).read_text(encoding="utf-8")
        json.loads(text, parse_constant=refuse_constant)


# Files.


def test_only_created_folders_get_a_mode(tmp_path):
    os.chmod(tmp_path, 0o705)
    previous = os.umask(0o077)
    try:
        run(tmp_path / "a" / "b", formats=["json"])
    finally:
        os.umask(previous)
    assert [mode(tmp_path / name) for name in (".", "a", "a/b")] == [0o705, 0o750, 0o750]
    assert mode(tmp_path / "a" / "b" / "planasonix-audit.json") == 0o640
    os.chmod(tmp_path / "a" / "b", 0o700)
    run(tmp_path / "a" / "b", formats=["json"])
    assert mode(tmp_path / "a" / "b") == 0o700


@pytest.mark.parametrize("failing", ["write_draft", "replace"])
def test_a_report_that_cannot_be_written_leaves_whole_files(tmp_path, monkeypatch, failing):
    run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    calls = []

    def fail_late(*arguments: t.Any) -> t.Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    owner: t.Any = _audit_files if failing == "write_draft" else os
    original = getattr(owner, failing)
    monkeypatch.setattr(owner, failing, fail_late)
    with pytest.raises(ReportError, match="cannot be written: No space left on device. Make"):
        run(tmp_path, results={"other": {}})
    after = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys(), "no draft is left"
    assert (after == before) is (failing == "write_draft")
    json_file = tmp_path / "planasonix-audit.json"
    assert after[json_file] == before[json_file], "the JSON is the last"


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ReportError, match="/file cannot be written: File exists. Make the folder"):
        run(tmp_path / "file")


# The action.


def act(folder: Path, loader: t.Any = None, **arguments: t.Any) -> dict[str, t.Any]:
    """Run the action of a task in a play of two hosts."""
    task = SimpleNamespace(
        args={"report_dir": str(folder), **arguments},
        action="planasonix.admin.planasonix_audit",
        async_val=0,
        check_mode=True,
        diff=False,
        no_log=False,
    )
    shell = SimpleNamespace(tmpdir=None)
    wire = SimpleNamespace(_shell=shell, transport="local")
    loader = loader or DataLoader()
    parts: list[t.Any] = [task, wire, mock.Mock(), loader, mock.Mock(), mock.Mock()]
    action: t.Any = ActionModule(*parts)
    action._remove_tmp_path = mock.Mock()
    registered = {
        "alpha": {"compliance_audit_result": wrap_var(RESULTS["alpha"])},
        "beta": {},
    }
    variables = {
        "ansible_play_hosts_all": ["alpha", "beta"],
        "ansible_play_hosts": ["alpha"],
        "ansible_play_batch": ["alpha", "beta"],
        "hostvars": SimpleNamespace(raw_get=registered.__getitem__),
    }
    return t.cast(dict[str, t.Any], action.run(None, variables))


def test_the_action_reports_on_the_hosts_of_the_play_in_check_mode_too(tmp_path):
    result = act(tmp_path)
    assert (result["failed"], result["msg"]) == (True, MSG)
    assert result["_ansible_verbose_always"] is True, "the verdict is displayed if it is good, too"
    assert len(result["files"]) == len(FORMATS)
    assert [one["name"] for one in load(tmp_path)["organizations"]] == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"results": {}, "sources": ["x"]}, "mutually exclusive: results|sources"),
        ({"formats": ["pdf"]}, "value of formats must be one or more of: html, json"),
        ({"fail_on": "some"}, "value of fail_on must be one of: never, low"),
        ({"api_key": "x"}, "api_key. Supported parameters include: fail_on"),
        ({"results": ["a"]}, "'results' is of type"),
        ({"report_dir": ""}, "report_dir is empty; is the variable that it comes from set?"),
        ({"previous": ""}, "previous is empty; is the variable that it comes from set?"),
    ],
)
def test_wrong_options_are_an_error(tmp_path, arguments, words):
    result = act(tmp_path, **arguments)
    assert result["failed"] and words in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_names_of_files_and_organizations_control_no_terminal(tmp_path):
    for name in ("\x1b[31ma", "\x1b[31mb"):
        text = render({"x\x1b[2J": {}}, "json", META)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = act(tmp_path / "new", sources=[str(tmp_path / "*")])
    assert result["failed"] and "is in" in result["msg"] and "\x1b" not in result["msg"]


def test_an_encrypted_earlier_report_is_decrypted(tmp_path):
    path = tmp_path / "earlier.json"
    path.write_text("encrypted", encoding="utf-8")
    real = tmp_path / "decrypted"
    real.write_text(render({"alpha": {}}, "json", META), encoding="utf-8")
    loader = mock.Mock(get_real_file=mock.Mock(return_value=str(real)))
    assert act(tmp_path / "new", loader, previous=str(path))["msg"] == MSG
    loader.get_real_file.assert_called_once_with(str(path))


# The documentation.


def test_the_documentation_lists_the_options():
    options = yaml.safe_load(planasonix_audit.DOCUMENTATION)["options"]
    fields = ("type", "elements", "choices", "default", "required")
    assert {
        name: {field: option[field] for field in fields if field in option}
        for name, option in options.items()
    } == OPTIONS


def test_the_documentation_lists_the_results(tmp_path):
    returned = yaml.safe_load(planasonix_audit.RETURN)
    result = run(tmp_path)
    assert set(returned) == set(result) - {"changed", "failed"}
    assert set(returned["verdict"]["contains"]) == set(result["verdict"])
    assert set(returned["summary"]["sample"]) == set(result["summary"])
    assert set(returned["summary"]["sample"]["controls"]) == set(result["summary"]["controls"])


def test_the_examples_use_options_that_there_are():
    tasks = yaml.safe_load(planasonix_audit.EXAMPLES)
    calls = [task.get("planasonix.admin.planasonix_audit", {}) for task in tasks]
    assert set().union(*calls) <= set(OPTIONS) and len(list(filter(None, calls))) == 3


def test_the_page_is_found_where_the_collection_is_installed():
    """By the path of the code, since ansible-core 2.16 has no loader that reads other files."""
    page = importlib.import_module(
        "ansible_collections.planasonix.admin.plugins.plugin_utils._audit_page"
    )
    assert sorted(path.name for path in page.FOLDER.iterdir()) == [
        "page.css",
        "page.html.j2",
        "page.js",
    ]
