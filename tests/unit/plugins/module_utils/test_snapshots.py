# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The snapshot that a baseline writes before its first write."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from pathlib import Path

import pytest
import yaml
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.filter.export_controls import snapshot
from ansible_collections.planasonix.admin.plugins.module_utils import (
    _secret_file,
    _snapshots,
)
from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import EXPORTS
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_info,
)

SECRET = "https://hooks.example.com/5ecret"
SESSION = [
    {"resource": "session_timeout", "require": {"idle_timeout_minutes": {"at_most": 30}}},
]
EVIL = "{{ lookup('ansible.builtin.pipe', 'x') }}"


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi().add_singletons()
    api.objects["organization"] = {"id": "org_1", "name": "Acme", "slug": "acme"}
    mail = api.add_channel(EVIL, "email", config={"recipients": ["a@example.com"]})
    hook = api.add_channel("Hook", "webhook", config={"method": "POST", "url": SECRET})
    api.add_rule("Both", [mail, hook], filters={"a": [1]})
    api.add_entry("203.0.113.0/24", "Office")
    return api


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "snapshots" / "acme.yml"


def harden(
    api: FakeApi, path: Path, check_mode: bool = False, **options: t.Any
) -> dict[str, t.Any]:
    options = {"controls": SESSION, **options}
    return perform(api, planasonix_baseline.MODULE, check_mode, snapshot_file=str(path), **options)


def read(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_what_the_filter_makes_of_the_facts_and_is_there_before_the_first_write(api, path):
    found = perform(api, planasonix_info.MODULE, gather_subset=["organization", *EXPORTS])[
        "planasonix"
    ]
    expected = snapshot(found)
    seen: list[t.Any] = []
    api.observe = lambda: seen.append(read(path))
    api.log.clear()
    result = harden(api, path)
    assert seen == [expected]
    assert (result["snapshot_file"], result["snapshot_notes"]) == (str(path), [])
    assert expected["organization"]["id"] == "org_1"
    assert "ESCAPED:%7B%7B lookup(" in path.read_text(encoding="utf-8")
    assert SECRET not in str(result) and SECRET not in path.read_text(encoding="utf-8")
    paths = [mode(one) for one in (path, path.parent, path.parent.parent)]
    assert paths == [0o600, 0o700, 0o700]
    assert list(path.parent.iterdir()) == [path]


def test_check_mode_says_the_same_and_writes_nothing(api, path):
    result = harden(api, path, check_mode=True)
    assert (result["snapshot_file"], result["snapshot_notes"]) == (str(path), [])
    assert not path.parent.parent.exists()


def test_each_resource_is_read_once(api, path):
    harden(api, path)
    before_write = api.log[: next(n for n, entry in enumerate(api.log) if entry[0] != "GET")]
    reads = [entry[1] for entry in before_write]
    assert len(set(reads)) == len(reads) == 8  # two of the allowlist


def test_a_task_that_changes_nothing_reads_no_more_and_keeps_the_older_snapshot(api, path):
    harden(api, path)
    written = path.read_bytes()
    api.log.clear()
    result = harden(api, path)
    assert not result["changed"] and "snapshot_file" not in result
    assert [entry[1] for entry in api.log] == ["/api/session-timeout"]
    assert (path.read_bytes(), list(path.parent.iterdir())) == (written, [path])


@pytest.mark.parametrize("has_links", [True, False])
def test_an_older_snapshot_stays_beside_it_and_a_folder_keeps_its_mode(
    api, path, has_links, monkeypatch
):
    if not has_links:
        monkeypatch.setattr(os, "link", refuse_links)
    path.parent.mkdir(mode=0o705, parents=True)
    path.write_text("older", encoding="utf-8")
    path.chmod(0o640)
    harden(api, path)
    (older,) = set(path.parent.iterdir()) - {path}
    assert re.fullmatch(r"acme\.yml\.\d+\.[\d-]{10}@[\d:]{8}~", older.name)
    assert (older.read_text(encoding="utf-8"), mode(older), mode(path)) == ("older", 0o640, 0o600)
    assert mode(path.parent) == 0o705


def refuse_links(*dummy: t.Any, **dummy_options: t.Any) -> None:
    raise OSError(next(iter(_secret_file.NO_HARD_LINKS)), "no links here")


def block_by_link(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path.parent.parent / "elsewhere")


def block_by_folder(path: Path) -> None:
    path.mkdir(parents=True)


def block_by_parent(path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.write_text("", encoding="utf-8")


def block_by_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (block_by_link, "it is not a regular file"),
        (block_by_folder, "it is not a regular file"),
        (block_by_pipe, "it is not a regular file"),
        (block_by_parent, "snapshots is not a folder"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_what_cannot_be_written_stops_the_task_before_its_first_write(
    api, path, block, reason, check_mode
):
    block(path)
    before = sorted(path.parent.parent.rglob("*"))
    result = harden(api, path, check_mode)
    assert result["failed"] and not result["changed"] and api.writes == []
    assert reason in result["msg"] and "Nothing was changed" in result["msg"]
    assert sorted(path.parent.parent.rglob("*")) == before


@pytest.mark.parametrize("function", ["replace", "fsync", "mkdir"])
def test_a_disk_that_is_full_stops_the_task_and_leaves_no_draft(api, path, function, monkeypatch):
    path.parent.parent.mkdir()
    if function != "mkdir":
        path.parent.mkdir()
        path.write_text("older", encoding="utf-8")

    def fail(*dummy: t.Any, **dummy_options: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    result = harden(api, path)
    assert result["failed"] and api.writes == []
    assert "No space left on device" in result["msg"] and str(path) in result["msg"]
    assert list(path.parent.parent.rglob(".*")) == []
    if function != "mkdir":
        assert path.read_text(encoding="utf-8") == "older"


@pytest.mark.parametrize("status", [403, 404])
def test_what_the_key_may_not_read_is_left_out_and_noted(api, path, status):
    api.fail("GET /api/notifications/channels", f"{status} before", times=9)
    notes, real_notes = (
        harden(api, path, check_mode)["snapshot_notes"] for check_mode in (True, False)
    )
    assert notes == real_notes
    written = read(path)
    resources = [control["resource"] for control in written["controls"]]
    assert resources == ["settings", "session_timeout", "log_retention", "ip_whitelist"]
    assert [note.partition(":")[0] for note in notes] == [
        "Notification channels",
        "Notification rules",
    ]
    assert notes == written["notes"]


def test_what_a_control_is_about_and_the_key_may_not_read_is_not_written_to(api, path):
    api.fail("GET /api/settings/log-retention", "403 before", times=9)
    days = {"resource": "log_retention", "require": {"run_logs_days": 99}}
    result = harden(api, path, controls=[*SESSION, days])
    assert [control["status"] for control in result["controls"]] == ["fixed", "error"]
    assert api.writes == ["PUT /api/session-timeout"]
    (note,) = result["snapshot_notes"]
    assert note.startswith("Log retention: left out. Could not read the log retention")


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("GET /api/settings/log-retention", "500 before"),
        ("GET /api/organization", "401 before"),
        ("GET /api/session-timeout", "401 before"),
        ("GET /api/session-timeout", "refused"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_an_organization_that_cannot_be_read_is_not_changed(api, path, pattern, kind, check_mode):
    api.fail(pattern, kind, times=99)
    result = harden(api, path, check_mode)
    assert result["failed"] and api.writes == [] and not path.parent.exists()
    assert result["msg"].startswith("No snapshot can be taken, so nothing was changed. Could not ")


def test_a_snapshot_from_which_nothing_could_be_restored_is_none(api, path):
    for subset in ("settings/all", "settings/log-retention", "settings/ip-whitelist"):
        api.fail(f"GET /api/{subset}", "403 before", times=9)
    api.fail("GET /api/notifications/*", "403 before", times=9)
    api.objects["user/profile"]["locale"] = "xx"
    profile = {"resource": "profile", "require": {"locale": "en-US"}}
    api.fail("GET /api/session-timeout", "403 before", times=9)
    result = harden(api, path, controls=[profile])
    assert result["failed"] and api.writes == [] and not path.exists()
    assert "cannot be taken, since nothing could be restored from it" in result["msg"]


def test_an_empty_path_is_refused_before_anything_is_read(api):
    result = harden(api, t.cast(Path, ""))
    assert result["failed"] and api.log == []
    assert result["msg"] == "snapshot_file is empty; is the variable that it comes from set?"


TEXTS = [
    "a\x7f\x85\u2028\ufeff\U0001f600 \\ \"'",
    "yes",
    "0x1f",
    "- a: b # c",
    "",
    " x ",
    "2026-01-01",
]


@pytest.mark.parametrize("library", [yaml, None])
def test_a_file_means_what_was_read_with_and_without_pyyaml(library, monkeypatch):
    monkeypatch.setattr(_snapshots, "yaml", library)
    value = {text: [text, {"a": [1, 2.5, None, True, {}, []]}] for text in TEXTS}
    assert yaml.safe_load(_snapshots.to_text(value)) == value
