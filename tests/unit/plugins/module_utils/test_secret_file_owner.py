# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file for one secret: what a task did not write, it does not replace."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from unit.plugins.fake_api import TOTP_SECRET, FakeApi, Killed, perform, perform_both
from unit.plugins.secret_files import IDENTITY, keep_key, keep_secret, note_of, owner_of, write_note

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import MODULE
from ansible_collections.planasonix.admin.plugins.modules.planasonix_mfa import MODULE as MFA

PATH = "/api/user/api-keys"
TASK: dict = {"name": "Deploy", "scopes": ["a:read"]}
OLD = {"name": "Deploy", "rotate_after_days": 5}
OVERWRITE = {"secret_file_overwrite": True}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deploy.key"


def another_organization() -> FakeApi:
    """An organization with ids of its own, and another API key."""
    api = FakeApi()
    api.number, api.api_key = 40, "plnx_live_anotherkey0000"
    return api


def refused(api: FakeApi, module, **task) -> str:
    """Run a task that is refused before anything is written, in check mode as well."""
    before = list(api.writes)
    expected = perform(api, module, check_mode=True, **task)
    result = perform(api, module, **task)
    assert result["failed"] and result["msg"] == expected["msg"]
    assert api.writes == before
    return result["msg"]


def test_the_record(file):
    api = FakeApi()
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    record = json.loads(owner_of(file).read_text())
    assert len(record.pop("sha256")) == 1
    assert record == {
        "kind": "api_key",
        "name": "Deploy",
        "id": result["api_key"]["id"],
        "created_at": result["api_key"]["created_at"],
        **IDENTITY,
    }
    assert stat.S_IMODE(owner_of(file).stat().st_mode) == 0o600
    assert file.read_text() not in owner_of(file).read_text()
    assert api.api_key not in owner_of(file).read_text()


@pytest.mark.parametrize("forked", [False, True], ids=["one-after-the-other", "read-before"])
def test_several_organizations_with_one_file(file, monkeypatch, forked):
    """The first one gets the file; each other makes no key, even if it read the file before."""
    first, second = FakeApi(), another_organization()
    task = {**TASK, "secret_file": str(file)}
    if forked:
        real, read = _secret_file.look, [_secret_file.look(str(file))]
        perform(first, MODULE, **task)
        with monkeypatch.context() as patch:
            patch.setattr(_secret_file, "look", lambda path: read.pop() if read else real(path))
            result = perform(second, MODULE, **task)
        assert result["failed"] and "Another run is writing a secret to" in result["msg"]
    else:
        perform(first, MODULE, **task)
        message = refused(second, MODULE, **task)
        assert "contains the secret of the API key 'Deploy' (key_1) of another" in message
        assert "secret_file_overwrite: true" in message
    assert (second.keys, second.writes) == ([], [])
    assert file.read_text() == first.secrets["key_1"]
    assert not note_of(file).exists()


def test_a_run_that_is_still_busy_with_the_file_of_another_organization(file):
    first, second = FakeApi(), another_organization()
    told = []

    def run_the_other() -> None:
        told.append(refused(second, MODULE, **TASK, secret_file=str(file)))

    first.observe = run_the_other
    perform(first, MODULE, **TASK, secret_file=str(file))
    assert len(told) == 1 and told[0].startswith(f"Another run has claimed {file}, ")
    assert second.keys == []


@pytest.mark.parametrize("operation", ["create", "recreate", "regenerate"])
@pytest.mark.parametrize(
    ("content", "record", "words"),
    [
        pytest.param(
            "a file of the user", None, "something of which this module has no record", id="user"
        ),
        pytest.param(
            "a file of the user", {}, "something of which this module has no record", id="changed"
        ),
        pytest.param(None, {"name": "Other"}, "secret of the API key 'Other' (key_8)", id="name"),
        pytest.param(None, {"api_url": "https://b.example"}, "at https://b.example", id="url"),
        pytest.param(None, {"api_key": "of another"}, "of another organization", id="identity"),
        pytest.param(None, {"kind": "mfa"}, "the MFA secret of a user", id="mfa"),
    ],
)
def test_what_is_not_of_this_key_is_kept(file, operation, content, record, words):
    api = FakeApi()
    if operation != "create":
        api.add_key("Deploy", 9)
    task = {"create": TASK, "recreate": OLD, "regenerate": {"name": "Deploy", "rotate": True}}
    if record is not None:
        keep_secret(file, "the old secret", **{"id": "key_8", **record})
    if content is not None:
        file.write_text(content)
    text = file.read_text()
    message = refused(api, MODULE, **task[operation], secret_file=str(file))
    assert words in message and message.endswith("or set secret_file_overwrite: true once.")
    assert file.read_text() == text
    result = perform_both(api, MODULE, **task[operation], secret_file=str(file), **OVERWRITE)
    assert file.read_text() == api.secrets[result["api_key"]["id"]]
    # From now on it is the file of this key.
    assert perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))["changed"]


@pytest.mark.parametrize("end", ["", "\n"], ids=["exact", "line"])
@pytest.mark.parametrize("task", [OLD, {"name": "Deploy", "rotate": True}], ids=str)
def test_a_file_of_an_early_version_is_that_of_the_key_whose_prefix_it_has(file, task, end):
    """Version 1.0.0 wrote no record."""
    api = FakeApi()
    api.add_key("Deploy", 9, prefix="plnx_live_secret0001"[:14])
    file.write_text(f"plnx_live_secret0001{end}")
    assert perform_both(api, MODULE, **task, secret_file=str(file))["changed"]
    assert file.read_text() == api.secrets[api.keys[-1]["id"]]


@pytest.mark.parametrize(
    ("prefixes", "content"),
    [
        pytest.param(["plnx_live_se"], "a file of the user", id="other"),
        pytest.param(["plnx_live_s"], "plnx_live_secret0001", id="short"),
        pytest.param(["plnx_live_se", "plnx_live_se"], "plnx_live_secret0001", id="not-unique"),
        pytest.param(["plnx_live_no", "plnx_live_se"], "plnx_live_secret0002", id="of-another"),
    ],
)
def test_a_file_of_no_certain_key_is_kept(file, prefixes, content):
    api = FakeApi()
    for name, prefix in zip(("Deploy", "Other"), prefixes, strict=False):
        api.add_key(name, 9, prefix=prefix)
    file.write_text(content)
    message = refused(api, MODULE, **OLD, secret_file=str(file))
    assert "has no record (early versions wrote none)" in message
    assert "secret_file_overwrite: true once." in message
    assert file.read_text() == content


@pytest.mark.parametrize("content", [None, "", "\n"], ids=["missing", "empty", "blank"])
def test_an_empty_file_belongs_to_nobody(file, content):
    if content is not None:
        file.write_text(content)
    owner_of(file).write_text(json.dumps({"name": "Other", "sha256": []}))
    assert perform_both(FakeApi(), MODULE, **TASK, secret_file=str(file))["changed"]


def test_a_key_keeps_its_file_for_life(file):
    """Made, rotated by age, regenerated, deleted and made again, with another API key meanwhile."""
    api = FakeApi()
    task = {**TASK, "secret_file": str(file)}
    perform(api, MODULE, **task)
    api.now += 9 * 86400
    for step in ({"rotate_after_days": 5}, {"rotate": True}):
        assert perform(api, MODULE, **task, **step)["changed"]
    api.api_key = "plnx_live_rotatedkey000"
    assert perform(api, MODULE, **task, rotate=True)["changed"]
    perform(api, MODULE, name="Deploy", state="absent")
    api.log.clear()
    result = perform_both(api, MODULE, **task)
    assert file.read_text() == api.secrets[result["api_key"]["id"]]


def test_a_number_is_not_taken_for_the_key_of_another_organization(file):
    """Ids may be counted in each organization, so that both have a key 1."""
    api = another_organization()
    api.add_key("Deploy", 9, id=1)
    created = "2025-01-01T00:00:00Z"
    keep_secret(file, "a secret", id=1, created_at=created, api_key="of another key")
    assert "of another organization" in refused(api, MODULE, **OLD, secret_file=str(file))
    keep_secret(file, "s", id="1", created_at=api.keys[0]["created_at"], api_key="of another key")
    assert perform(api, MODULE, **OLD, secret_file=str(file))["changed"]


def test_two_keys_of_one_name_do_not_share_a_file(file):
    api = FakeApi()
    older, newer = api.add_key("Deploy", 9), api.add_key("Deploy", 1)
    keep_key(api, file, newer)
    message = refused(api, MODULE, key_id=older, rotate=True, secret_file=str(file))
    assert f"secret of the API key 'Deploy' ({newer})" in message


def test_nothing_is_refused_where_no_secret_is_made(file):
    file.write_text("a file of the user")
    api = FakeApi()
    api.add_key("Deploy")
    for task in (TASK, {"name": "Deploy", "state": "absent"}):
        assert not perform(api, MODULE, **task, secret_file=str(file)).get("failed")


def test_a_run_that_began_meanwhile_is_noticed_before_the_creation(file, monkeypatch):
    """Two workers of one play: both found no file."""
    look = _secret_file.look

    def look_and_begin(path: str) -> _secret_file.Found:
        found = look(path)
        write_note(file, name="Another", run="of another worker")
        return found

    monkeypatch.setattr(_secret_file, "look", look_and_begin)
    api = FakeApi()
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert result["failed"] and "Another run is writing a secret to" in result["msg"]
    assert api.writes == []
    assert json.loads(note_of(file).read_text())["name"] == "Another"


def test_a_run_that_finished_meanwhile_keeps_its_keys(file, monkeypatch):
    """What looked like the note of a killed run was that of one that was still busy."""
    api = FakeApi()
    write_note(file)
    look = _secret_file.look

    def look_and_finish(path: str) -> _secret_file.Found:
        found = look(path)
        monkeypatch.setattr(_secret_file, "look", look)
        note_of(file).unlink()
        return found

    api.add_key("Deploy")
    monkeypatch.setattr(_secret_file, "look", look_and_finish)
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert result["failed"] and "or did so just now; this one changed nothing" in result["msg"]
    assert (api.writes, len(api.keys)) == ([], 1)


@pytest.mark.parametrize(
    "more", [{"api_key": "of another"}, {"api_url": "https://b.example"}], ids=["key", "url"]
)
def test_the_note_of_another_organization_deletes_no_keys(file, more):
    """A killed run of another organization knew none of the keys of this one."""
    write_note(file, **more)
    api = FakeApi()
    api.add_key("Deploy")
    message = refused(api, MODULE, **TASK, secret_file=str(file))
    assert message == (
        f"Another run has claimed {file}, with another api_key or api_url. Give each organization "
        f"a file of its own. If that run was killed, run its task again; {note_of(file)} is its "
        "note."
    )
    assert len(api.keys) == 1


def make_link(file: Path) -> str:
    target = file.with_name("target")
    target.write_text("secret")
    file.symlink_to(target)
    return "is a symbolic link"


def make_pipe(file: Path) -> str:
    os.mkfifo(file)
    return "is no regular file"


@pytest.mark.parametrize("make", [make_link, make_pipe], ids=["link", "pipe"])
@pytest.mark.parametrize("place", ["file", "note", "record"])
def test_only_regular_files_count(file, make, place):
    spoiled = {"file": file, "note": note_of(file), "record": owner_of(file)}[place]
    words = make(spoiled)
    api = FakeApi()
    api.add_key("Deploy", 9)
    for overwrite in (False, True):
        message = refused(
            api, MODULE, **OLD, secret_file=str(file), secret_file_overwrite=overwrite
        )
        assert f"{spoiled} {words}" in message
    assert spoiled.is_symlink() or stat.S_ISFIFO(spoiled.stat().st_mode)


@pytest.mark.parametrize("make", [make_link, make_pipe], ids=["link", "pipe"])
@pytest.mark.parametrize("place", ["file", "note", "record"])
def test_only_regular_files_count_for_an_enrollment(user, file, make, place):
    spoiled = {"file": file, "note": note_of(file), "record": owner_of(file)}[place]
    words = make(spoiled)
    message = refused(user, MFA, state="enabled", secret_file=str(file), **OVERWRITE)
    assert f"{spoiled} {words}" in message and user.writes == []


@pytest.mark.parametrize("place", ["file", "note", "record"])
def test_files_of_another_user_do_not_count(file, monkeypatch, place):
    """A note that another user forged would make the task delete living keys."""
    spoiled = {"file": file, "note": note_of(file), "record": owner_of(file)}[place]
    write_note(file)
    keep_secret(file, "secret", id="key_1")
    for other in {file, note_of(file), owner_of(file)} - {spoiled}:
        other.unlink()
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    api = FakeApi()
    api.add_key("Deploy", 9)
    assert f"{spoiled} belongs to another user" in refused(
        api, MODULE, **OLD, secret_file=str(file)
    )


@pytest.mark.parametrize("task", [TASK, {"name": "Deploy", "state": "absent"}])
def test_a_note_that_another_user_brought_back_deletes_nothing(file, task):
    """It is a note of this user, of a run that created a key and is over."""
    api = FakeApi()
    older, living = api.add_key("Deploy"), api.add_key("Deploy")
    write_note(file, ids=[older])
    file.parent.chmod(0o777)
    message = refused(api, MODULE, **task, secret_file=str(file))
    assert f"every user can write to the folder {file.parent}" in message
    assert [key["id"] for key in api.keys] == [older, living]


def test_a_file_system_without_hard_links(file, monkeypatch):
    def refuse(*dummy: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    api = FakeApi()
    perform(api, MODULE, **TASK, secret_file=str(file))
    assert file.read_text() == api.secrets["key_1"]
    assert sorted(file.parent.iterdir()) == [file, owner_of(file)]
    note_of(file).touch()  # what a run leaves that is killed there; it did nothing yet
    assert perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))["changed"]
    assert not note_of(file).exists()


@pytest.fixture
def user() -> FakeApi:
    return FakeApi().add_singletons()


def enroll(api: FakeApi, file: Path, **options) -> dict:
    return perform(api, MFA, state="enabled", secret_file=str(file), **options)


def test_a_file_of_another_task_is_kept_by_an_enrollment(user, file):
    file.write_text("a file of the user")
    message = refused(user, MFA, state="enabled", secret_file=str(file))
    assert message.startswith("MFA is not enabled: ")
    assert "contains something of which this module has no record" in message
    assert file.read_text() == "a file of the user"
    assert enroll(user, file, **OVERWRITE)["changed"]
    assert json.loads(file.read_text())["secret"] == TOTP_SECRET


def test_two_users_with_one_file(user, file):
    assert enroll(user, file)["changed"]
    other = another_organization().add_singletons()
    message = refused(other, MFA, state="enabled", secret_file=str(file))
    assert "contains the MFA secret of a user" in message
    assert json.loads(file.read_text())["secret"] == TOTP_SECRET


def test_a_user_keeps_the_file(user, file):
    """Enabled, disabled by someone and enabled again; and after a killed enrollment."""
    assert enroll(user, file)["changed"]
    user.objects["user/mfa"] = {"enabled": False, "methods": [], "backup_codes_remaining": 0}
    user.fail("POST /api/user/mfa/verify", "killed before")
    with pytest.raises(Killed):
        enroll(user, file)
    assert note_of(file).exists()
    assert enroll(user, file)["changed"]
    assert sorted(file.parent.iterdir()) == [file, owner_of(file)]


def test_an_enrollment_and_a_key_do_not_share_a_file(user, file):
    assert enroll(user, file)["changed"]
    message = refused(user, MODULE, **TASK, secret_file=str(file))
    assert "contains the MFA secret of a user" in message


def test_the_note_of_a_key_stops_an_enrollment_and_the_other_way_round(user, file):
    write_note(file)
    message = refused(user, MFA, state="enabled", secret_file=str(file))
    assert "belongs to the API key 'Deploy'" in message
    write_note(file, name=None, operation="enroll")
    message = refused(user, MODULE, **TASK, secret_file=str(file))
    assert "belongs to an enrollment in MFA" in message
