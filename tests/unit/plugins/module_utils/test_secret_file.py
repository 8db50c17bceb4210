# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where secrets are written: the file itself, its mode, its folder, and when."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from unit.plugins.fake_api import FakeApi, perform
from unit.plugins.secret_files import owner_of

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._secret_file import PendingNote
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import MODULE

TASK: dict = {"name": "Deploy", "scopes": ["a:read"]}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("old_mode", [None, 0o644], ids=["new", "over-a-readable-file"])
def test_readable_by_its_owner_alone_from_the_first_byte(tmp_path, monkeypatch, umask, old_mode):
    file = tmp_path / "key"
    if old_mode:
        file.write_text("old")
        file.chmod(old_mode)
    modes, real = [], os.fsync

    def look(handle: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        real(handle)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(umask)
    try:
        _secret_file.write(str(file), "schlüssel")
    finally:
        os.umask(before)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode), modes) == (
        "schlüssel".encode(),
        0o600,
        [0o600],
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o640, 0o640), (0o660, 0o660), (0o400, 0o600), (0o4750, 0o750), (0o644, 0o600)],
    ids=oct,
)
def test_a_former_file_keeps_its_group_and_mode(tmp_path, before, after):
    """Other processes of the group read the secret; one that everyone can read is closed."""
    file = tmp_path / "key"
    file.write_text("old")
    group = max([os.getegid(), *os.getgroups()]) if os.geteuid() else 4321
    os.chown(file, -1, group)
    file.chmod(before)
    _secret_file.write(str(file), "new")
    found = file.stat()
    assert (file.read_text(), oct(stat.S_IMODE(found.st_mode))) == ("new", oct(after))
    assert found.st_uid == os.geteuid()
    assert (found.st_gid == group) is (before != 0o644 or group == os.getegid())


def test_a_file_that_another_user_created_meanwhile_gives_no_access(tmp_path, monkeypatch):
    """In a folder such as /tmp, a user can create the file while the task waits for the API."""
    file, real = tmp_path / "key", os.lstat
    file.touch()
    file.chmod(0o660)

    def look(path: str) -> os.stat_result:
        values = list(real(path))
        values[4] = os.geteuid() + 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", look)
    _secret_file.write(str(file), "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)


def test_a_file_with_another_name_gives_no_access(tmp_path):
    """A user who may write to a file of this user can link it to where the secret goes."""
    file, other = tmp_path / "key", tmp_path / "other"
    other.touch()
    other.chmod(0o660)
    os.link(other, file)
    _secret_file.write(str(file), "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)
    assert other.read_text() == ""


def test_a_group_that_cannot_be_kept_gets_no_access(tmp_path, monkeypatch):
    def refuse(*dummy: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    file = tmp_path / "key"
    file.write_text("old")
    file.chmod(0o640)
    monkeypatch.setattr(os, "chown", refuse)
    _secret_file.write(str(file), "new")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(
    "failure", [OSError(28, "full"), KeyboardInterrupt()], ids=["full", "interrupted"]
)
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, function, failure):
    file = tmp_path / "key"
    file.write_text("old")

    def fail(*dummy: object) -> None:
        raise failure

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(failure)):
        _secret_file.write(str(file), "new")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("/etc/key", None, id="absolute"),
        pytest.param("key", "must be an absolute path, not 'key'", id="relative"),
        pytest.param("", "must be an absolute path", id="empty"),
        pytest.param("/etc/", "must name a file, not the folder", id="folder"),
        pytest.param("/etc/a\0b", "must not contain a NUL character", id="nul"),
    ],
)
def test_check_path(path, message):
    if message is None:
        _secret_file.check_path(path)
    else:
        with pytest.raises(InvalidOption, match=message):
            _secret_file.check_path(path)


def test_what_a_killed_run_had_not_finished_is_removed(tmp_path):
    """Its own drafts alone: those of other files in the folder may be of runs that are alive."""
    mine, others = (
        ".planasonix-key-ab_12xyz",
        [
            ".planasonix-key-2-ab_12xyz",
            ".planasonix-key.pending-ab_12xyz",
            ".planasonix-key-ab_12xy",
            "key-ab_12xyz",
        ],
    )
    for name in (mine, *others):
        (tmp_path / name).write_text("secret")
    _secret_file.write(str(tmp_path / "key"), "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["key", *others])


def test_an_unfinished_file_that_cannot_be_removed_is_emptied(tmp_path, monkeypatch):
    def fail(*dummy: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(PermissionError):
        _secret_file.write(str(tmp_path / "key"), "secret")
    assert [path.read_text() for path in tmp_path.iterdir()] == [""]


def test_forget_a_note(tmp_path):
    path = str(tmp_path / "key")
    note = PendingNote(path)
    note.write({"name": "x", "operation": "create", "ids": []})
    assert PendingNote.find(path).content == {
        "name": "x",
        "operation": "create",
        "ids": [],
        "run": _secret_file.this_run(),
    }
    for _time in range(2):
        note.forget()
        assert PendingNote.find(path) == note


@pytest.mark.parametrize(
    ("found", "stays"),
    [(None, True), ({"name": "x", "operation": "create", "ids": [], "run": "elsewhere"}, False)],
    ids=["new", "found"],
)
def test_a_note_of_another_run_stays_unless_it_was_found(tmp_path, found, stays):
    note = {"name": "x", "operation": "create", "ids": [], "run": "elsewhere"}
    (tmp_path / "key.pending").write_text(json.dumps(note))
    PendingNote(str(tmp_path / "key"), content=found).forget()
    assert (tmp_path / "key.pending").exists() is stays


def test_a_run_is_a_process(monkeypatch):
    """The workers of Ansible are forked from one process, which may have made keys itself."""
    mine = _secret_file.this_run()
    assert mine == _secret_file.this_run()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert _secret_file.this_run() != mine


def no_folder(file: Path) -> str:
    return str(file.parent / "missing" / "key")


def in_a_file(file: Path) -> str:
    file.write_text("x")
    return str(file / "key")


def a_folder(file: Path) -> str:
    file.mkdir()
    return str(file)


def everyone_writes(file: Path) -> str:
    file.parent.chmod(0o777)
    return str(file)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_folder, "/missing does not exist"),
        (in_a_file, "key does not exist"),
        (a_folder, "key is a folder"),
        (everyone_writes, "every user can write to the folder"),
        (str, "is not writable"),
    ],
    ids=["no-folder", "in-a-file", "a-folder", "everyone-writes", "not-writable"],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize(
    ("task", "verb"),
    [
        (TASK, "made"),
        ({"name": "Deploy", "rotate": True}, "regenerated"),
        ({"name": "Deploy", "rotate_after_days": 5}, "made"),
    ],
    ids=["create", "regenerate", "recreate"],
)
def test_an_obstacle_is_found_before_anything_is_made(
    tmp_path, monkeypatch, make, words, check_mode, task, verb
):
    api = FakeApi()
    if task is not TASK:
        api.add_key("Deploy", 9)
    path = make(tmp_path / "key")
    if make is str:
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    before = sorted(tmp_path.rglob("*"))
    result = perform(api, MODULE, check_mode, **task, secret_file=path)
    assert result["failed"] and words in result["msg"] and f"is not {verb}" in result["msg"]
    assert (api.writes, sorted(tmp_path.rglob("*"))) == ([], before)


@pytest.mark.parametrize("place", ["own", "ancestor", "link", "target"])
def test_a_folder_of_another_user(tmp_path, monkeypatch, place):
    """Its owner could bring back a note that this module removed, or another whole folder."""
    folder, link = tmp_path / "a" / "b", tmp_path / "link"
    folder.mkdir(parents=True)
    link.symlink_to(folder)
    foreign = {"own": folder, "ancestor": tmp_path, "link": link, "target": tmp_path / "a"}[place]
    used = link if place in ("link", "target") else folder
    real = os.lstat

    def look(path: str, **options: bool) -> os.stat_result:
        values = list(real(path, **options))
        if str(path) == str(foreign):
            values[4] = os.geteuid() + 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "lstat", look)
    api = FakeApi()
    result = perform(api, MODULE, **TASK, secret_file=str(used / "key"))
    assert f"the folder {foreign} belongs to another user" in result["msg"]
    assert api.writes == []


def test_an_ancestor_that_everyone_can_write_to(tmp_path):
    """Another user could put a folder with a note of this user in the place of this one."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    tmp_path.chmod(0o777)
    link = tmp_path.with_name("link")
    link.symlink_to(folder)
    api = FakeApi()
    for used in (folder, link):
        result = perform(api, MODULE, **TASK, secret_file=str(used / "key"))
        assert f"every user can write to the folder {tmp_path}" in result["msg"]
    assert api.writes == []
    tmp_path.chmod(0o1777)
    assert perform(api, MODULE, **TASK, secret_file=str(link / "key"))["changed"]


def test_the_folder_for_temporary_files_can_be_used(tmp_path):
    tmp_path.chmod(0o1777)
    api = FakeApi()
    assert perform(api, MODULE, **TASK, secret_file=str(tmp_path / "key"))["changed"]


def test_a_device_is_not_replaced():
    api = FakeApi()
    result = perform(api, MODULE, **TASK, secret_file="/dev/null")
    assert result["failed"] and api.writes == []
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_an_obstacle_is_none_where_no_secret_is_made(tmp_path):
    api = FakeApi()
    api.add_key("Deploy")
    assert perform(api, MODULE, **TASK, secret_file=no_folder(tmp_path / "key"))["changed"] is False


@pytest.mark.parametrize(
    "task",
    [TASK, {"name": "Deploy", "rotate": True}, {"name": "Deploy", "rotate_after_days": 5}],
    ids=["create", "regenerate", "recreate"],
)
@pytest.mark.parametrize(
    ("options", "in_file", "returned"),
    [
        ({}, False, True),
        ({"return_secret": True}, False, True),
        ({}, True, False),
        ({"return_secret": True}, True, True),
        ({"return_secret": False}, True, False),
    ],
    ids=["default", "asked-for", "file", "file-and-asked-for", "file-and-not-asked-for"],
)
def test_where_the_secret_goes(tmp_path, task, options, in_file, returned):
    api, file = FakeApi(), tmp_path / "deploy.key"
    if task is not TASK:
        api.add_key("Deploy", 9)
    result = perform(
        api, MODULE, **{**task, **options, **({"secret_file": str(file)} if in_file else {})}
    )
    secret = api.secrets[result["api_key"]["id"]]
    assert result.get("secret") == (secret if returned else None)
    assert sorted(tmp_path.iterdir()) == ([file, owner_of(file)] if in_file else [])
    if in_file:
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (secret, 0o600)


def test_the_old_key_is_deleted_after_the_new_secret_is_stored(tmp_path):
    api, file = FakeApi(), tmp_path / "deploy.key"
    api.add_key("Deploy", 9)
    seen = []

    def look() -> None:
        seen.append(
            (api.log[-1][0], file.exists() and file.read_text() == api.secrets[api.keys[-1]["id"]])
        )

    api.observe = look
    perform(api, MODULE, name="Deploy", rotate_after_days=5, secret_file=str(file))
    assert seen == [("POST", False), ("DELETE", True)]


@pytest.mark.parametrize("path", ["key", "/tmp/", "/tmp/a\0b"])
def test_a_path_that_means_no_certain_file(path):
    api = FakeApi()
    result = perform(api, MODULE, **TASK, secret_file=path)
    assert result["failed"] and "secret_file must" in result["msg"] and not api.log
