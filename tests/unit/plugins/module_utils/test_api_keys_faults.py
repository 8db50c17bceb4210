# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys where something goes wrong: lost answers, full disks and killed runs. No secret is lost, no key is orphaned."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from unit.plugins.fake_api import FakeApi, Killed, perform
from unit.plugins.secret_files import (
    IDENTITY,
    keep_key,
    keep_secret,
    note_of,
    owner_of,
    write_note,
)

from ansible_collections.planasonix.admin.plugins.module_utils import (
    _key_secrets,
    _resource,
    _runner,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import NotApplied
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import MODULE

PATH = "/api/user/api-keys"
CREATE, REGENERATE, DELETE = f"POST {PATH}", f"POST {PATH}/*/regenerate", f"DELETE {PATH}/*"
TASK: dict = {"name": "Deploy", "scopes": ["a:read"]}
PAUSES = 5
"""How often a run waits for a key that the API does not list."""
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The secret file; its folder holds nothing else."""
    return tmp_path / "deploy.key"


def one_known_key(api: FakeApi, secret: str) -> bool:
    """Whether there is one key, and this is its secret."""
    return [api.secrets[key["id"]] for key in api.keys] == [secret]


def break_calls(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    failure: BaseException,
    skip: int = 0,
    times: int = 1,
) -> None:
    """Let some calls of a function of ``os`` fail, before they do anything."""
    real, calls = getattr(os, name), [0]

    def broken(*arguments, **more):
        calls[0] += 1
        if skip < calls[0] <= skip + times:
            raise failure
        return real(*arguments, **more)

    monkeypatch.setattr(os, name, broken)


@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
@pytest.mark.parametrize(
    ("kind", "times"),
    [
        *(
            (f"{kind} {when}", times)
            for kind in ("lost", "502", "503", "504")
            for when in ("before", "after")
            for times in (1, 3)
        ),
        ("refused", 2),
        ("429 before", 2),
    ],
)
def test_creation_whose_answer_is_lost(api, file, kind, times, with_file):
    api.add_key("Deploy", 9)
    api.add_key("Other")
    api.fail(CREATE, kind, times=times)
    result = perform(
        api,
        MODULE,
        **{
            **TASK,
            "rotate_after_days": 5,
            "return_secret": True,
            **({"secret_file": str(file)} if with_file else {}),
        },
    )
    assert not result.get("failed"), result["msg"]
    assert [key["name"] for key in api.keys] == ["Other", "Deploy"]
    assert (
        api.secrets[api.keys[1]["id"]]
        == result["secret"]
        == (file.read_text() if with_file else result["secret"])
    )
    assert sorted(file.parent.iterdir()) == ([file, owner_of(file)] if with_file else [])
    # The API may list a key late, so that it is not there is no proof at once.
    lost = kind.endswith("before") and not kind.startswith("429")
    assert len(api.pauses) == (times * (1 + PAUSES) + PAUSES if lost else times)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("500 before", "look at the state", id="500"),
        pytest.param("500 after", "look at the state", id="500-after"),
        pytest.param("422 before", "answered 422", id="422"),
        pytest.param("200 before", "lacks the documented id and secret", id="no-data"),
        pytest.param(
            lambda data: {name: value for name, value in data.items() if name != "secret"},
            "lacks the documented id and secret",
            id="no-secret",
        ),
        pytest.param(
            lambda data: {**data, "secret": ""},
            "lacks the documented id and secret",
            id="empty-secret",
        ),
        pytest.param(
            lambda data: {name: value for name, value in data.items() if name != "id"},
            "lacks the documented id and secret",
            id="no-id",
        ),
        pytest.param(lambda data: [data], "lacks the documented id and secret", id="list"),
        pytest.param(
            lambda data: {**data, "scopes": ["all"]},
            "stores the scopes of the API key 'Deploy' as all; the task asks for a:read. "
            "The new key was deleted again.",
            id="other-scopes",
        ),
        pytest.param(
            lambda data: {**data, "name": "x"},
            "stores the name of the API key as 'x'; the task asks for 'Deploy'. The new",
            id="other-name",
        ),
        pytest.param(
            lambda data: {**data, "expires_at": None},
            "lets the API key 'Deploy' live for ever; the task asks for 30 days. The new key was",
            id="no-expiry",
        ),
    ],
)
def test_failed_creation_leaves_nothing_behind(api, file, kind, words):
    old = api.add_key("Deploy", 9)
    api.fail(CREATE, kind)
    result = perform(
        api, MODULE, **TASK, rotate_after_days=5, expires_in_days=30, secret_file=str(file)
    )
    assert result["failed"] and words in result["msg"] and "secret" not in result
    assert ([key["id"] for key in api.keys], list(file.parent.iterdir())) == ([old], [])


@pytest.mark.parametrize(
    "task", [TASK, {"name": "Other", "rotate": True}], ids=["create", "regenerate"]
)
@pytest.mark.parametrize("kind", ["refused", "403 before"])
def test_a_refusal_without_a_file_changes_nothing(api, kind, task):
    old = api.add_key("Other")
    result = perform(api.fail("POST *", kind, times=99), MODULE, **task)
    assert (result["failed"], result["changed"], [key["id"] for key in api.keys]) == (
        True,
        False,
        [old],
    )


@pytest.mark.parametrize("pattern", [f"GET {PATH}", DELETE], ids=["look", "delete"])
def test_a_clean_up_that_fails_is_done_by_the_next_run(api, file, pattern):
    api.fail(CREATE, "lost after").fail(pattern, "500 before", skip=int(pattern.startswith("GET")))
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert (result["failed"], result["status"], len(api.keys), note_of(file).exists()) == (
        True,
        500,
        1,
        True,
    )
    assert perform(api, MODULE, **TASK, secret_file=str(file))["changed"]
    assert one_known_key(api, file.read_text())


@pytest.mark.parametrize(("kind", "count"), [("lost before", 3), ("lost after", 3), ("refused", 3)])
def test_creation_that_never_gets_an_answer(api, file, kind, count):
    api.fail(CREATE, kind, times=99)
    result = perform(api, MODULE, **TASK, secret_file=str(file), retries=2)
    assert (result["failed"], api.writes.count(CREATE), api.keys, list(file.parent.iterdir())) == (
        True,
        count,
        [],
        [],
    )


def test_several_keys_that_a_lost_creation_could_have_made(api):
    api.fail(CREATE, "lost after")
    api.observe = lambda: api.log[-1][0] == "POST" and api.add_key("Deploy", scopes=["a:read"])
    result = perform(api, MODULE, **TASK)
    assert result["failed"] and "several new keys fit: key_1, key_2" in result["msg"]
    assert (len(api.keys), DELETE in api.writes) == (2, False)


@pytest.mark.parametrize(
    "other", [{"name": "Other"}, {"name": "Deploy", "scopes": ["b"]}], ids=["name", "scopes"]
)
def test_a_new_key_of_somebody_else_is_left_alone(api, other):
    api.fail(CREATE, "lost after")
    api.observe = lambda: api.log[-1][0] == "POST" and len(api.keys) == 1 and api.add_key(**other)
    perform(api, MODULE, **TASK)
    assert sorted(key["name"] for key in api.keys) == sorted(["Deploy", other["name"]])
    assert {**api.keys[0], **other} == api.keys[0]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        pytest.param(["lost before"], None, id="lost"),
        pytest.param(["lost after"], None, id="lost-after"),
        pytest.param(["502 after"], None, id="502-after"),
        pytest.param(["429 before", "refused"], None, id="not-sent"),
        pytest.param(
            ["lost after", "lost after"], "The old secret may be void: run again", id="lost-twice"
        ),
        pytest.param(["500 after"], "look at the state", id="500"),
        pytest.param(["403 before"], "lacks the needed scope", id="403"),
        pytest.param(
            [lambda data: {"id": data["id"]}],
            "lacks the documented secret, and the old one may be void",
            id="no-secret",
        ),
    ],
)
def test_regeneration(api, file, kinds, words):
    key_id = api.add_key("Deploy")
    keep_key(api, file, key_id)
    for kind in kinds:
        api.fail(REGENERATE, kind)
    result = perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))
    assert [key["id"] for key in api.keys] == [key_id]
    if words is None:
        assert not result.get("failed"), result["msg"]
    else:
        assert result["failed"] and words in result["msg"]
        # A run that is not asked to rotate mends what this one may have broken.
        again = perform(api, MODULE, name="Deploy", secret_file=str(file))
        assert again["changed"] is (words != "lacks the needed scope")
    assert one_known_key(api, file.read_text()) and not note_of(file).exists()


@pytest.mark.parametrize("second", ["refused", "403 before", "429 before"])
def test_regeneration_whose_answer_is_lost_and_that_is_then_refused(api, file, second):
    """The first attempt voided the old secret, so the next run must know."""
    api.fail(REGENERATE, "lost after").fail(REGENERATE, second, times=99)
    keep_key(api, file, api.add_key("Deploy"))
    assert perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file), retries=1)[
        "failed"
    ]
    api.faults.clear()
    perform(api, MODULE, name="Deploy", secret_file=str(file))
    assert one_known_key(api, file.read_text())


@pytest.mark.parametrize(
    "task", [{}, {"scopes": ["b"], "on_mismatch": "recreate"}], ids=["regenerate", "recreate"]
)
@pytest.mark.parametrize("kind", ["refused", "403 before"])
def test_mending_that_is_refused_is_done_by_the_run_after(api, file, kind, task):
    """A killed run voided the secret; the one that finds its note fails early, and the third must still know."""
    keep_key(api, file, api.add_key("Deploy"))
    api.fail(REGENERATE, "killed after")
    with pytest.raises(Killed):
        perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))
    api.fail("POST *", kind, times=99)
    assert perform(api, MODULE, name="Deploy", secret_file=str(file), retries=1, **task)["failed"]
    api.faults.clear()
    perform(api, MODULE, name="Deploy", secret_file=str(file))
    assert one_known_key(api, file.read_text())


@pytest.mark.parametrize("function", ["fsync", "link"])
@pytest.mark.parametrize(
    "task",
    [TASK, {"name": "Deploy", "rotate": True}, {"name": "Deploy", "rotate_after_days": 5}],
    ids=["create", "regenerate", "recreate"],
)
def test_no_room_for_the_note(api, file, monkeypatch, function, task):
    if task is not TASK:
        api.add_key("Deploy", 9)
    break_calls(monkeypatch, function, FULL)
    result = perform(api, MODULE, **task, secret_file=str(file))
    assert (result["failed"], result["changed"], api.writes, list(file.parent.iterdir())) == (
        True,
        False,
        [],
        [],
    )
    assert "could not be stored (No space left on device); nothing was changed" in result["msg"]


@pytest.mark.parametrize(
    ("function", "skip"), [("fsync", 1), ("fsync", 2), ("replace", 0), ("replace", 1)]
)
def test_no_room_for_the_secret_of_a_new_key(api, file, monkeypatch, function, skip):
    old = api.add_key("Deploy", 9)
    break_calls(monkeypatch, function, FULL, skip=skip)
    result = perform(api, MODULE, name="Deploy", rotate_after_days=5, secret_file=str(file))
    assert (
        result["failed"]
        and "(No space left on device). The new key was deleted again." in result["msg"]
        and "secret" not in result
    )
    assert ([key["id"] for key in api.keys], list(file.parent.iterdir())) == ([old], [])


def test_no_room_for_the_secret_of_a_new_key_that_cannot_be_deleted(api, file, monkeypatch):
    api.fail(DELETE, "403 before")
    break_calls(monkeypatch, "replace", FULL, skip=1)
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert (
        result["failed"]
        and "The new key key_1 could not be deleted again: delete it by hand" in result["msg"]
    )
    assert one_known_key(api, result["secret"])
    # The note is still there, so the next run replaces the key.
    perform(api, MODULE, **TASK, secret_file=str(file))
    assert one_known_key(api, file.read_text())


@pytest.mark.parametrize("return_secret", [True, False, None])
def test_no_room_for_a_regenerated_secret(api, file, monkeypatch, return_secret):
    api.add_key("Deploy")
    break_calls(monkeypatch, "fsync", FULL, skip=1)
    options = {} if return_secret is None else {"return_secret": return_secret}
    result = perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file), **options)
    assert result["failed"] and "this result carries" in result["msg"]
    assert one_known_key(api, result["secret"])


@pytest.mark.parametrize(
    ("listed", "told", "applied"),
    [
        pytest.param("plnx_live_old1", 14, False, id="other-prefix"),
        pytest.param("plnx_live_secr", 14, True, id="same-prefix"),
        pytest.param("plnx_live_", 14, True, id="prefix-of-all-keys"),
        pytest.param("plnx_live_****", 14, True, id="masked"),
        pytest.param(None, 14, True, id="not-listed"),
        pytest.param("plnx_live_old1", None, True, id="not-told"),
    ],
)
def test_a_regenerated_secret_that_is_not_in_force(api, file, listed, told, applied):
    """The list goes on showing the beginning of the old secret, although the answer told that of the new one."""
    api.add_key("Deploy", prefix=listed)
    api.fail(REGENERATE, lambda data: {**data, "prefix": told and data["secret"][:told]})
    result = perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))
    assert bool(result.get("failed")) is not applied
    if not applied:
        assert "its prefix is still plnx_live_old1" in result["msg"]


LATE: dict = {
    "name": "Deploy",
    "scopes": ["a:read"],
    "id": "key_late",
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": None,
}


def take_effect_late(api: FakeApi) -> None:
    """Let the first request, whose answer is lost, take effect only after it was looked for, and
    that patiently: all looks but the first read of the task find nothing."""
    wait, answer = api.sleep, api.answer
    api.fail(CREATE, "504 before")
    looked = [0]

    def slow(method, path, body):
        found = answer(method, path, body)
        if method == "GET" and path == ["user", "api-keys"]:
            looked[0] += 1
            if looked[0] == 1 + 1 + PAUSES:
                found = (200, list(found[1]))
                api.secrets["key_late"] = "nobody knows it"
                api.keys.append(dict(LATE))
        return found

    api.sleep, api.answer = wait, slow  # type: ignore[method-assign]


@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
@pytest.mark.parametrize("refusal", ["409 before", "403 before", "refused"])
def test_a_lost_creation_that_takes_effect_late_is_undone_although_the_next_is_refused(
    api, file, with_file, refusal
):
    take_effect_late(api)
    api.fail(CREATE, refusal, times=99)
    result = perform(
        api, MODULE, **TASK, retries=1, **({"secret_file": str(file)} if with_file else {})
    )
    assert result["failed"]
    assert (api.keys, note_of(file).exists()) == ([], False)


@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
@pytest.mark.parametrize("kind", ["403 before", "500 before"])
@pytest.mark.parametrize("pattern", [f"GET {PATH}", DELETE])
def test_a_clean_up_that_fails_does_not_cost_the_new_secret(api, file, with_file, pattern, kind):
    """Of the two keys one is good, and the message says that the other may be there."""
    take_effect_late(api)
    api.fail(pattern, kind, skip=2 + PAUSES if pattern.startswith("GET") else 0, times=99)
    result = perform(api, MODULE, **TASK, **({"secret_file": str(file)} if with_file else {}))
    assert (
        result["failed"]
        and "its secret is kept, but a key named 'Deploy' may be left" in result["msg"]
    )
    known = file.read_text() if with_file else result["secret"]
    assert known in [api.secrets[key["id"]] for key in api.keys]
    assert not note_of(file).exists()


@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
def test_a_key_that_could_not_be_looked_for_is_told(api, file, with_file):
    api.fail(CREATE, "504 after").fail(f"GET {PATH}", "500 before", skip=1, times=99)
    result = perform(api, MODULE, **TASK, **({"secret_file": str(file)} if with_file else {}))
    assert (
        result["failed"]
        and "a key named 'Deploy' may be left of a request whose answer was lost" in result["msg"]
    )
    if with_file:
        api.faults.clear()
        recover(api, {**TASK, "secret_file": str(file)}, file)


def test_scopes_that_the_answer_does_not_tell_are_read(api):
    api.fail(CREATE, lambda data: {**data, "scopes": None})
    assert not perform(api, MODULE, **TASK).get("failed")
    assert len(api.keys) == 1


def test_a_secret_is_told_although_the_old_key_cannot_be_deleted(api):
    api.add_key("Deploy", 9)
    api.fail(DELETE, "500 before")
    result = perform(api, MODULE, name="Deploy", rotate_after_days=5)
    assert (result["failed"], result["changed"], result["status"]) == (True, True, 500)
    assert result["secret"] == api.secrets[api.keys[1]["id"]]


TASKS: dict[str, tuple[float | None, dict]] = {
    "create": (None, TASK),
    "recreate": (9, {**TASK, "rotate_after_days": 5}),
    "recreate-old-one-stays": (9, {**TASK, "rotate_after_days": 5, "revoke_old": False}),
    "regenerate": (9, {"name": "Deploy", "rotate": True}),
}


def prepare(operation: str, file: Path) -> tuple[FakeApi, dict]:
    """An organization and a task that makes a secret; the file holds the secret of the key that exists."""
    api = FakeApi()
    days_old, task = TASKS[operation]
    if days_old is not None:
        keep_key(api, file, api.add_key("Deploy", days_old))
    return api, {**task, "secret_file": str(file)}


def recover(api: FakeApi, task: dict, file: Path) -> None:
    """Run again, without asking for a rotation; then the key has a known secret, and no other is forgotten."""
    task = {**task, "rotate": False}
    expected = perform(api, MODULE, check_mode=True, **task)
    result = perform(api, MODULE, **task)
    assert not result.get("failed"), result["msg"]
    assert (expected["changed"], expected["msg"]) == (result["changed"], result["msg"])
    key_id = result["api_key"]["id"]
    assert file.read_text() == api.secrets[key_id]
    assert [key["id"] for key in api.keys if key["id"] != key_id] == result["superseded"]
    assert not note_of(file).exists()
    assert perform(api, MODULE, **task)["changed"] is False


@pytest.mark.parametrize("operation", list(TASKS))
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_request(operation, when, file):
    api, task = prepare(operation, file)
    perform(api, MODULE, **task)
    for number in range(len(api.log)):
        for left in file.parent.iterdir():
            left.unlink()
        api, task = prepare(operation, file)
        api.fail("*", f"killed {when}", skip=number)
        with pytest.raises(Killed):
            perform(api, MODULE, **task)
        assert all(
            left.stat().st_mode & 0o777 == 0o600 for left in [note_of(file)] if left.exists()
        )
        recover(api, task, file)


WRITES = [
    (operation, function, skip)
    for operation in TASKS
    for function, skip in (
        ("fsync", 0),
        ("fsync", 1),
        ("fsync", 2),
        ("link", 0),
        ("replace", 0),
        ("replace", 1),
        ("unlink", 0),
        ("unlink", 1),
    )
]


@pytest.mark.parametrize(("operation", "function", "skip"), WRITES)
def test_killed_while_a_file_is_written(operation, function, skip, file, monkeypatch):
    api, task = prepare(operation, file)
    with monkeypatch.context() as patch:
        break_calls(patch, function, Killed(), skip)
        with pytest.raises(Killed):
            perform(api, MODULE, **task)
    recover(api, task, file)


def test_the_note(api, file):
    old = api.add_key("Deploy", 9)
    other = api.add_key("Other")
    api.fail(CREATE, "killed before")
    with pytest.raises(Killed):
        perform(api, MODULE, name="Deploy", rotate_after_days=5, secret_file=str(file))
    note = json.loads(note_of(file).read_text())
    assert note.pop("run")
    assert note == {
        "name": "Deploy",
        "operation": "recreate",
        "ids": [old, other],
        **IDENTITY,
    }
    assert [path.name for path in file.parent.iterdir()] == [note_of(file).name]


def test_check_mode_leaves_a_note_alone(api, file):
    write_note(file)
    api.add_key("Deploy")
    result = perform(api, MODULE, check_mode=True, **TASK, secret_file=str(file))
    assert result["msg"] == "API key 'Deploy': 1 left behind by an interrupted run deleted, created"
    assert (note_of(file).exists(), api.writes) == (True, [])


@pytest.mark.parametrize(
    ("note", "task", "words"),
    [
        pytest.param(
            '{"name": "Other", "operation": "create", "ids": []}',
            {},
            "belongs to the API key 'Other': run the task of that key first",
            id="of-another-key",
        ),
        pytest.param("{", {}, "cannot be read (JSONDecodeError)", id="broken"),
        pytest.param("[]", {}, "is not a note of this collection", id="list"),
        pytest.param(
            '{"name": "Deploy", "operation": "create"}',
            {},
            "is not a note of this collection",
            id="without-ids",
        ),
        pytest.param(
            '{"name": "Deploy", "operation": "create", "ids": "key_1"}',
            {},
            "is not a note of this collection",
            id="odd-ids",
        ),
    ],
)
def test_odd_notes(api, file, note, task, words):
    note_of(file).write_text(note)
    result = perform(api, MODULE, **TASK, **task, secret_file=str(file))
    assert (
        result["failed"] and words in result["msg"] and api.writes == [] and note_of(file).exists()
    )


@pytest.mark.parametrize("state", ["absent", "present"])
def test_an_orphan_that_is_addressed_by_its_id(api, file, state):
    """The interrupted run made the very key that the task names. Gone is gone; and one that is to stay is not deleted, or both runs say why not."""
    write_note(file)
    task = {"key_id": api.add_key("Deploy"), "state": state, "secret_file": str(file)}
    expected = perform(api, MODULE, check_mode=True, **task)
    result = perform(api, MODULE, **task)
    assert (result.get("failed"), result["msg"]) == (expected.get("failed"), expected["msg"])
    assert state == "present" or (result["changed"], api.keys) == (True, [])


@pytest.mark.parametrize("task", [{}, {"rotate_after_days": 5}], ids=["plain", "with-rotation"])
def test_a_missing_file_is_no_reason_for_a_new_key(api, file, task):
    api.add_key("Deploy", 1)
    result = perform(api, MODULE, **TASK, **task, secret_file=str(file))
    assert (result["changed"], "secret" in result, api.writes, file.exists()) == (
        False,
        False,
        [],
        False,
    )


def begin_another_run(api: FakeApi, file: Path) -> None:
    """Let another run note the same file as soon as this one has made its secret."""

    def note() -> None:
        api.observe = lambda: None
        note_of(file).write_text(
            json.dumps({"name": "Deploy", "operation": "create", "ids": [], "run": "elsewhere 1"})
        )

    api.observe = note


def test_another_run_that_began_meanwhile_gets_the_file(api, file):
    """One of two runs ends with a key and its secret in the file; this one takes its key back, and leaves the other's note alone."""
    begin_another_run(api, file)
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert (
        result["failed"]
        and "Another run began meanwhile" in result["msg"]
        and "deleted again" in result["msg"]
    )
    assert (api.keys, file.exists(), "secret" in result) == ([], False, False)
    assert json.loads(note_of(file).read_text())["run"] == "elsewhere 1"


def test_a_key_that_another_run_took_for_left_behind_is_gone(api, file):
    begin_another_run(api, file)
    api.fail(DELETE, "404 before")
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert result["failed"] and "deleted again" in result["msg"] and "by hand" not in result["msg"]


def test_a_secret_that_another_run_may_not_know_is_in_the_result(api, file):
    key_id = api.add_key("Deploy", 9)
    keep_secret(file, "the old one", id=key_id, created_at=api.keys[0]["created_at"])
    begin_another_run(api, file)
    result = perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))
    assert result["failed"] and result["secret"] == api.secrets[key_id]
    assert file.read_text() == "the old one"
    # Neither run stores a secret that the other may have made void; the next one makes another.
    assert json.loads(note_of(file).read_text())["run"] != "elsewhere 1"
    again = perform(api, MODULE, name="Deploy", secret_file=str(file))
    assert again["msg"] == "API key 'Deploy': regenerated again after an interrupted run"
    assert file.read_text() == api.secrets[key_id]


@pytest.mark.parametrize("operation", ["create", "recreate", "regenerate"])
def test_a_note_that_stays_is_told(operation, file, monkeypatch):
    """The secret is stored and no key deleted, but the next run would take this one for interrupted."""
    api, task = prepare(operation, file)
    break_calls(monkeypatch, "unlink", OSError(errno.EACCES, "Permission denied"), times=9)
    result = perform(api, MODULE, **task)
    assert (
        result["failed"]
        and f"{file}.pending could not be removed (Permission denied)" in result["msg"]
    )
    assert file.read_text() in api.secrets.values()


def test_revocations_that_were_interrupted_are_finished(api, file):
    old, unlisted = api.add_key("Deploy", 9), api.add_key("Other", 9)
    api.fail(DELETE, "killed before")
    task = {"name": "Deploy", "rotate_after_days": 5, "secret_file": str(file)}
    with pytest.raises(Killed):
        perform(api, MODULE, **task)
    note = json.loads(note_of(file).read_text())
    assert (note["revoke"], old in note["ids"], unlisted in note["ids"]) == ([old], True, True)
    refused = perform(api, MODULE, key_id=old, secret_file=str(file))
    assert refused["failed"] and "was about to be revoked by an interrupted run" in refused["msg"]
    assert (
        perform(api, MODULE, **task)["msg"]
        == "API key 'Deploy': 1 left behind by an interrupted run deleted"
    )
    assert [key["id"] for key in api.keys if key["id"] != unlisted] == [
        key["id"] for key in api.keys if api.secrets[key["id"]] == file.read_text()
    ]


@pytest.mark.parametrize("in_file", [False, True], ids=["in-the-result", "in-a-file"])
@pytest.mark.parametrize("failure", [NotApplied, RuntimeError], ids=["known", "unexpected"])
@pytest.mark.parametrize(
    ("module", "function"),
    [
        (_key_secrets, "find_stale_prefix"),
        (_resource, "confirm"),
        (_resource, "look_at"),
        (_runner, "make_printable"),
    ],
)
def test_a_failure_hands_over_the_secret_that_is_nowhere_else(
    api, file, monkeypatch, module, function, failure, in_file
):
    def fail(*dummy: object) -> None:
        raise failure("It shows no effect.")

    api.add_key("Deploy")
    monkeypatch.setattr(module, function, fail)
    options = {"secret_file": str(file)} if in_file else {}
    result = perform(api, MODULE, name="Deploy", rotate=True, **options)
    assert (result["failed"], result["changed"]) == (True, True)
    known = file.read_text() if in_file else result["secret"]
    assert one_known_key(api, known) and ("secret" in result) is not in_file
