# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys with an API that is legal, and not the one of the examples."""

from __future__ import annotations

import copy
import datetime
import json
import typing as t
from pathlib import Path

import pytest
from unit.plugins.fake_api import KEY, START, FakeApi, Killed, perform, perform_both
from unit.plugins.secret_files import keep_key, note_of, write_note

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    read_scopes,
    to_days,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import MODULE
from ansible_collections.planasonix.admin.plugins.modules.planasonix_info import MODULE as INFO

PATH = "/api/user/api-keys"
CREATE, DELETE = f"POST {PATH}", f"DELETE {PATH}/*"
TASK: dict = {"name": "Deploy", "scopes": ["a:read"]}
OLD: dict = {"name": "Deploy", "rotate_after_days": 5}
DAY = 86400
Answer = tuple[int, t.Any]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deploy.key"


def names(api: FakeApi) -> list[str]:
    return [key["name"] for key in api.keys]


def ids(api: FakeApi) -> list[t.Any]:
    return [key["id"] for key in api.keys]


def spoil(api: FakeApi, change: t.Callable[[dict], t.Any], made: bool = True) -> FakeApi:
    """Let the API show each key otherwise.

    :param made: Whether the answer to a creation shows it so, too.
    """
    answer = api.answer

    def spoiled(method: str, path: list[str], body: t.Any) -> Answer:
        status, data = answer(method, path, body)
        if path[:2] == ["user", "api-keys"] and status < 300:
            data = copy.deepcopy(data)
            if method == "GET":
                for key in data if isinstance(data, list) else [data]:
                    change(key)
            elif made and isinstance(data, dict):
                change(data)
        return status, data

    api.answer = spoiled  # type: ignore[method-assign]
    return api


def count_ids(api: FakeApi) -> FakeApi:
    """Let the API have numbers for ids."""
    answer = api.answer

    def numbered(method: str, path: list[str], body: t.Any) -> Answer:
        path = [f"key_{part}" if part.isdigit() else part for part in path]
        return answer(method, path, body)

    api.answer = numbered  # type: ignore[method-assign]

    def number(key: dict) -> None:
        key["id"] = int(key["id"].removeprefix("key_"))

    return spoil(api, number)


def show_late(api: FakeApi, seconds: float) -> FakeApi:
    """Let the list show each write only after a time."""
    answer, states = api.answer, [(0.0, copy.deepcopy(api.keys))]

    def late(method: str, path: list[str], body: t.Any) -> Answer:
        status, data = answer(method, path, body)
        if path[:2] == ["user", "api-keys"]:
            if method != "GET":
                states.append((api.now, copy.deepcopy(api.keys)))
            elif len(path) == 2:
                data = [keys for at, keys in states if at <= api.now - seconds or not at][-1]
        return status, data

    api.answer = late  # type: ignore[method-assign]
    return api


ENDED = [
    {"state": "revoked"},
    {"status": "DELETED"},
    {"revoked_at": "2025-12-31T00:00:00Z"},
    {"deleted_at": "2025-12-31T00:00:00Z"},
    {"revoked": True},
]
OFF: list[dict] = [
    {"active": False},
    {"state": "off"},
    {"status": "inactive"},
    {"enabled": 0},
    {"disabled": True},
    {"enabled": True, "is_active": False},
]


# Ids


@pytest.mark.parametrize("key_id", ["1", "key_1"])
def test_an_id_is_compared_by_its_spelling(api, key_id):
    api.add_key("Deploy", 9)
    if key_id == "1":
        count_ids(api)
    assert perform_both(api, MODULE, key_id=key_id)["changed"] is False
    result = perform_both(api, MODULE, key_id=key_id, state="absent")
    assert (result["changed"], api.keys) == (True, [])
    again = perform(api, MODULE, key_id=key_id, state="absent")
    assert (again["changed"], again["msg"]) == (
        False,
        f"no change: no API key has the id {key_id!r}",
    )


def test_numbers_for_ids_in_a_life_of_a_key(api, file):
    """Made, recreated with the old one kept, and that one revoked by what superseded lists."""
    count_ids(api)
    task = {**TASK, "secret_file": str(file)}
    first = perform_both(api, MODULE, **task)
    api.now += 9 * DAY
    api.log.clear()
    second = perform_both(api, MODULE, **task, rotate_after_days=5, revoke_old=False)
    assert second["superseded"] == [first["api_key"]["id"]] == [1]
    perform(api, MODULE, key_id=str(second["superseded"][0]), state="absent")
    assert ids(api) == ["key_2"]
    assert file.read_text() == api.secrets["key_2"]


@pytest.mark.parametrize("operation", ["create", "recreate"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_numbers_for_ids_in_a_killed_run(api, file, operation, when):
    if operation == "recreate":
        keep_key(api, file, api.add_key("Deploy", 9))
        (owner,) = [path for path in file.parent.iterdir() if path.suffix == ".owner"]
        owner.write_text(owner.read_text().replace('"key_1"', "1"))
    count_ids(api).add_key("Other")
    task = {**TASK, "rotate_after_days": 5, "secret_file": str(file)}
    api.fail(DELETE if operation == "recreate" else CREATE, f"killed {when}")
    with pytest.raises(Killed):
        perform(api, MODULE, **task)
    assert not perform(api, MODULE, **task).get("failed")
    (key_id,) = (key["id"] for key in api.keys if key["name"] == "Deploy")
    assert file.read_text() == api.secrets[key_id]
    assert "Other" in names(api)


def test_a_number_for_the_id_of_the_own_key(api):
    count_ids(api).add_key("Own", prefix=KEY[:14])
    result = perform(api, MODULE, key_id="1", state="absent")
    assert result["failed"] and "is the one that this task itself uses" in result["msg"]


def test_a_number_for_the_id_of_a_key_whose_secret_is_lost(api):
    count_ids(api).add_key("Deploy", 9)
    api.fail(CREATE, "lost after")
    assert not perform(api, MODULE, **TASK, rotate_after_days=5).get("failed")
    assert ids(api) == ["key_3"]


# What is listed and not in force


@pytest.mark.parametrize("more", ENDED, ids=str)
def test_a_revoked_key_does_not_count(api, more):
    """A new one is made; no task deletes it again, and it is not superseded."""
    dead = api.add_key("Deploy", 9, **more)
    result = perform_both(api, MODULE, **TASK)
    assert result["msg"] == "API key 'Deploy': created"
    assert result["superseded"] == []
    api.log.clear()
    assert perform_both(api, MODULE, **TASK)["changed"] is False
    refused = perform(api, MODULE, key_id=dead)
    assert "No API key has the id 'key_1', or it is revoked" in refused["msg"]
    api.fail("GET /api/user/api-keys/*", "404 before", times=2)  # it may be listed and unknown
    result = perform_both(api, MODULE, key_id=dead, state="absent")
    assert result["msg"] == "no change: the API key 'key_1' is revoked or deleted"
    api.faults.clear()
    assert perform(api, MODULE, name="Deploy", state="absent")["changed"]
    assert perform_both(FakeApi(), MODULE, name="Deploy", state="absent")["changed"] is False


@pytest.mark.parametrize("more", OFF, ids=str)
@pytest.mark.parametrize("task", [{"name": "Deploy"}, {"key_id": "key_1"}], ids=str)
def test_a_key_that_is_switched_off_is_deleted(api, more, task):
    """Whoever switches it on again would have the key."""
    api.add_key("Deploy", 9, **more)
    result = perform_both(api, MODULE, **task, state="absent")
    assert (result["changed"], result["api_key"], api.keys) == (True, {}, [])


@pytest.mark.parametrize("more", OFF, ids=str)
def test_keys_that_are_switched_off_go_with_the_one_of_their_name(api, more):
    for days_old, fields in ((9, more), (8, {}), (7, more)):
        api.add_key("Deploy", days_old, **fields)
    kept = api.add_key("Other", 9, **more)
    assert perform_both(api, MODULE, name="Deploy", state="absent")["changed"]
    assert ids(api) == [kept]


@pytest.mark.parametrize("more", OFF, ids=str)
def test_a_key_that_is_switched_off_does_not_work(api, more):
    off = api.add_key("Deploy", 9, **more)
    assert perform_both(api, MODULE, **TASK)["msg"] == "API key 'Deploy': created"
    assert "is revoked or switched off" in perform(api, MODULE, key_id=off)["msg"]


def test_the_own_key_is_not_deleted_although_it_is_listed_as_off(api):
    api.add_key("Deploy", 9, prefix=KEY[:14], enabled=0)
    assert "this task itself uses" in perform(api, MODULE, name="Deploy", state="absent")["msg"]
    assert len(api.keys) == 1


@pytest.mark.parametrize("more", [*ENDED, *OFF], ids=str)
def test_an_api_that_keeps_deleted_keys_listed(api, more, file):
    answer = api.answer

    def revoke(method: str, path: list[str], body: t.Any) -> Answer:
        if method != "DELETE":
            return answer(method, path, body)
        for key in api.keys:
            if key["id"] == path[2]:
                key.update(more)
        return 204, None

    api.answer = revoke  # type: ignore[method-assign]
    if more in OFF:
        answer = forget_off_keys(api, answer, more)
    keep_key(api, file, api.add_key("Deploy", 9))
    task = {**OLD, "secret_file": str(file)}
    assert not perform_both(api, MODULE, **task).get("failed")
    api.log.clear()
    assert perform_both(api, MODULE, **task)["changed"] is False
    assert perform_both(api, MODULE, name="Deploy", state="absent")["changed"]
    api.log.clear()
    assert perform_both(api, MODULE, name="Deploy", state="absent")["msg"] == "no change"


def forget_off_keys(api: FakeApi, answer: t.Callable, off: dict) -> t.Callable:
    """Return an answer that knows no single key that is listed as off: it was deleted."""

    def forget(method: str, path: list[str], body: t.Any) -> Answer:
        for key in api.keys:
            if path[2:] == [key["id"]] and off.items() <= key.items():
                return 404, {"error": {"code": "not_found", "message": "No such key."}}
        return answer(method, path, body)

    return forget


EXPIRED = [{"days_left": -1}, {"state": "expired"}, {"status": "EXPIRED", "days_left": -1}]


@pytest.mark.parametrize("revoke_old", [True, False])
@pytest.mark.parametrize("more", EXPIRED, ids=str)
def test_an_expired_key_is_replaced(api, more, revoke_old):
    api.add_key("Deploy", 91, scopes=["b"], **more)
    task = {**TASK, "expires_in_days": 90, "revoke_old": revoke_old}
    result = perform_both(api, MODULE, **task)
    assert result["msg"] == "API key 'Deploy': recreated (expired)"
    assert api.keys[-1]["scopes"] == ["a:read"]
    assert ids(api) == (["key_2"] if revoke_old else ["key_1", "key_2"])
    assert result["superseded"] == ([] if revoke_old else ["key_1"])
    api.log.clear()
    again = perform_both(api, MODULE, **task)
    assert (again["changed"], again["superseded"]) == (False, result["superseded"])


def test_an_expired_key_does_not_hide_one_that_works(api):
    old, new = api.add_key("Deploy", 9), api.add_key("Deploy", 1, days_left=-0.5)
    result = perform_both(api, MODULE, **TASK)
    assert (result["changed"], result["api_key"]["id"], result["superseded"]) == (False, old, [new])


def test_an_expired_key_can_be_revoked(api):
    api.add_key("Deploy", 9, days_left=-1)
    assert perform_both(api, MODULE, name="Deploy", state="absent")["changed"]
    assert api.keys == []


# Late lists


@pytest.mark.parametrize("seconds", [0.3, 1.5, 4])
@pytest.mark.parametrize(
    "operation", ["create", "recreate", "regenerate", "absent", "absent by id"]
)
@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
def test_a_list_that_shows_writes_late(api, file, seconds, operation, with_file):
    options = {"secret_file": str(file)} if with_file else {}
    if operation != "create":
        keep_key(api, file, api.add_key("Deploy", 9))
    show_late(api, seconds)
    task = {
        "create": TASK,
        "recreate": OLD,
        "regenerate": {"name": "Deploy", "rotate": True},
        "absent": {"name": "Deploy", "state": "absent"},
        "absent by id": {"key_id": "key_1", "state": "absent"},
    }[operation]
    result = perform_both(api, MODULE, **task, **options)
    assert len(api.writes) == (2 if operation == "recreate" else 1)
    if not operation.startswith("absent"):
        secret = file.read_text() if with_file else result["secret"]
        assert [api.secrets[key["id"]] for key in api.keys] == [secret]


@pytest.mark.parametrize("kind", ["lost after", "500 after", "504 after"])
@pytest.mark.parametrize("seconds", [0.3, 1.5, 4])
def test_a_key_whose_secret_is_lost_is_found_although_it_is_listed_late(api, kind, seconds):
    show_late(api, seconds).fail(CREATE, kind)
    result = perform(api, MODULE, **TASK)
    if kind == "500 after":
        assert result["failed"] and "The key that it made was deleted again." in result["msg"]
        assert api.keys == []
    else:
        assert [api.secrets[key["id"]] for key in api.keys] == [result["secret"]]


def test_a_new_key_that_the_api_does_not_know_yet_is_deleted_again(api):
    """The first deletion answers 404, since the key is not everywhere yet."""
    api.fail(CREATE, lambda data: {**data, "scopes": ["all"]}).fail(DELETE, "404 before")
    show_late(api, 1)
    result = perform(api, MODULE, **TASK)
    assert "The new key was deleted again." in result["msg"]
    assert api.keys == []


@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
def test_a_new_key_that_is_never_listed_is_an_error_that_keeps_the_secret(api, file, with_file):
    show_late(api, 60)
    result = perform(api, MODULE, **TASK, **({"secret_file": str(file)} if with_file else {}))
    assert result["failed"] and "the new key is not listed" in result["msg"]
    secret = file.read_text() if with_file else result["secret"]
    assert [api.secrets[key["id"]] for key in api.keys] == [secret]


@pytest.mark.parametrize("more", [{}, {"retry_budget": 0}, {"retries": 0}], ids=str)
@pytest.mark.parametrize("operation", ["create", "recreate"])
@pytest.mark.parametrize("seconds", [8, 40])
def test_a_key_that_is_not_listed_yet_is_not_made_again(api, file, operation, seconds, more):
    if operation == "recreate":
        keep_key(api, file, api.add_key("Deploy", 9))
    show_late(api, seconds)
    task = {**TASK, "rotate_after_days": 5, "secret_file": str(file), **more}
    result = perform(api, MODULE, **task)
    assert result["failed"] and "the new key is not listed" in result["msg"]
    writes, made = list(api.writes), api.keys[-1]["id"]
    expected = perform(api, MODULE, check_mode=True, **task)
    result = perform(api, MODULE, **task)
    if seconds > 20 or more == {"retry_budget": 0}:
        assert result["failed"] and result["msg"] == expected["msg"] == (
            f"The API key '{made}' was made by an earlier run, and the API does not list it yet. "
            "No other key was made. Run again later."
        )
    else:
        assert (result["changed"], result["api_key"]["id"]) == (False, made)
    api.now += 60
    result = perform_again(api, task)
    assert (result["changed"], result["api_key"]["id"]) == (False, made)
    assert api.writes == writes
    assert [api.secrets[key["id"]] for key in api.keys] == [file.read_text()]


def perform_again(api: FakeApi, task: dict) -> dict:
    """Run a task that must not fail; returns its result."""
    result = perform(api, MODULE, **task)
    assert not result.get("failed"), result["msg"]
    return result


@pytest.mark.parametrize("ended", ["404 before", {"revoked_at": "2025-12-31T00:00:00Z"}], ids=str)
def test_a_recorded_key_that_is_gone_is_made_again(api, file, ended):
    task = {**TASK, "secret_file": str(file)}
    perform(api, MODULE, **task)
    [key] = api.keys
    api.keys.clear()
    if isinstance(ended, dict):
        answer = api.answer
        api.answer = (
            lambda method, path, body: (  # type: ignore[method-assign]
                (200, {**key, **ended})
                if (method, path[2:]) == ("GET", [key["id"]])
                else answer(method, path, body)
            )
        )
    assert perform_again(api, task)["msg"] == "API key 'Deploy': created"
    assert ids(api) == ["key_2"]


def test_a_key_that_may_not_read_a_recorded_key_goes_by_the_list(api, file):
    task = {**TASK, "secret_file": str(file)}
    perform(api, MODULE, **task)
    api.keys.clear()
    api.fail(f"GET {PATH}/*", "403 before", times=99)
    assert perform_again(api, task)["changed"]


def test_a_recorded_key_that_cannot_be_read_stops_the_task(api, file):
    task = {**TASK, "secret_file": str(file)}
    perform(api, MODULE, **task)
    api.keys.clear()
    api.fail(f"GET {PATH}/*", "500 before", times=99)
    assert "read the API key key_1" in perform(api, MODULE, **task)["msg"]
    assert api.keys == []


STILL = "The API may list it for a while longer; wait a minute before you run again."


@pytest.mark.parametrize("seconds", [0, 0.3, 1.5, 4])
@pytest.mark.parametrize("spoiled", [False, True], ids=["lost", "other-scopes"])
def test_a_key_that_was_deleted_again_is_not_taken_for_the_next(api, file, seconds, spoiled):
    """The task fails once the key is no longer listed."""
    show_late(api, seconds)
    if spoiled:
        api.fail(CREATE, lambda data: {**data, "scopes": ["all"]})
    else:
        api.fail(CREATE, "500 after")
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert result["failed"]
    assert "was deleted again." in result["msg"] and STILL not in result["msg"]
    assert api.keys == []
    assert perform_again(api, {**TASK, "secret_file": str(file)})["changed"]
    assert [api.secrets[key["id"]] for key in api.keys] == [file.read_text()]


def test_a_deleted_key_that_stays_listed_is_told(api):
    api.fail(CREATE, "500 after")
    answer = api.answer
    listed: list[dict[str, t.Any]] = []

    def keep_listed(method: str, path: list[str], body: t.Any) -> Answer:
        status, data = answer(method, path, body)
        if method == "GET" and len(path) == 2:
            listed.extend(key for key in api.keys if key not in listed)
            return 200, listed
        return status, data

    api.answer = keep_listed  # type: ignore[method-assign]
    result = perform(api, MODULE, **TASK)
    assert result["msg"].endswith(f"The key that it made was deleted again. {STILL}")


def test_a_key_that_was_deleted_again_is_not_waited_for_where_lists_are_prompt(api):
    api.fail(CREATE, lambda data: {**data, "scopes": ["all"]})
    assert "was deleted again" in perform(api, MODULE, **TASK)["msg"]
    assert api.pauses == []


def test_a_list_that_fails_once_after_a_creation_is_read_again(api):
    api.fail(f"GET {PATH}", "503 before", skip=1)
    result = perform(api, MODULE, **TASK)
    assert not result.get("failed"), result["msg"]
    assert result["secret"] == api.secrets["key_1"]


def test_an_old_key_that_is_gone_already_is_no_error(api):
    """Two lists may differ for a moment; reading back decides."""
    api.add_key("Deploy", 9)
    answer = api.answer

    def deleted_by_someone(method: str, path: list[str], body: t.Any) -> Answer:
        if method == "DELETE":
            api.keys = [key for key in api.keys if key["id"] != path[2]]
            return 404, {"code": "not_found", "message": "no"}
        return answer(method, path, body)

    api.answer = deleted_by_someone  # type: ignore[method-assign]
    assert not perform_both(api, MODULE, **OLD).get("failed")
    assert ids(api) == ["key_2"]


def test_an_api_that_does_not_let_a_key_be_read_by_its_id(api):
    api.add_key("Deploy")
    api.fail(f"GET {PATH}/*", "403 before", times=99)
    assert not perform(api, MODULE, key_id="key_1").get("failed")
    assert perform(api, MODULE, key_id="key_1", state="absent")["changed"]


# Answers


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        [],
        "made",
        True,
        {"secret": "s"},
        {"id": "key_2"},
        {"id": "key_2", "secret": None},
        {"id": "", "secret": "s"},
        {"key": {"id": "key_2", "secret": "s"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_file", [False, True], ids=["returned", "in-a-file"])
def test_an_answer_without_a_secret(api, file, answer, with_file):
    """The key that was made is found by reading, and deleted."""
    other = api.add_key("Other")
    show_late(api, 1).fail(CREATE, lambda data: answer)
    options = {"secret_file": str(file)} if with_file else {}
    result = perform(api, MODULE, **TASK, **options)
    assert "lacks the documented id and secret. The key that it made was del" in result["msg"]
    assert (ids(api), list(file.parent.iterdir())) == ([other], [])


def test_a_timeout_of_the_server_after_the_effect(api):
    """408 says nothing of what was done before."""
    api.fail(CREATE, "408 after")
    result = perform(api, MODULE, **TASK)
    assert [api.secrets[key["id"]] for key in api.keys] in ([], [result.get("secret")])


# Lifetimes


def iso(days: float) -> str:
    moment = datetime.datetime.fromtimestamp(START + days * DAY, datetime.timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")


def cap(api: FakeApi, days: float | None, made: bool = True) -> FakeApi:
    """Let new keys live for so many days, whatever is asked for."""
    expires = None if days is None else iso(days)
    return spoil(api, lambda key: key.update(expires_at=expires), made)


@pytest.mark.parametrize("told", [True, False], ids=["answer", "list"])
@pytest.mark.parametrize(
    ("days", "words"),
    [
        pytest.param(30, "live 30 days; the task asks for 365 days", id="shortened"),
        pytest.param(400, "live 400 days; the task asks for 365 days", id="longer"),
        pytest.param(None, "live for ever; the task asks for 365 days", id="never"),
        pytest.param(-700_000, "live", id="in-the-past"),
    ],
)
def test_a_lifetime_that_the_server_sets(api, file, days, words, told):
    old = api.add_key("Deploy", 9, expires_at=None)
    keep_key(api, file, old)
    cap(api, days, made=told)
    if not told:
        api.fail(CREATE, lambda data: {k: v for k, v in data.items() if k != "expires_at"})
    api.keys[0]["state"] = "fine"
    task = {**TASK, "rotate_after_days": 5, "expires_in_days": 365, "secret_file": str(file)}
    before = file.read_text()
    if days is not None:
        # Only the new key is capped.
        spoil(api, lambda key: key["id"] == old and key.update(expires_at=None), made=False)
    result = perform(api, MODULE, **task)
    assert result["failed"] and words in result["msg"]
    assert result["msg"].endswith("The new key was deleted again.")
    assert (ids(api), file.read_text(), note_of(file).exists()) == ([old], before, False)


@pytest.mark.parametrize(
    "days",
    [89.5, 89.999, 90, 90.00001, 90.6, 90.999],
    ids=["date", "ms", "exact", "ms-", "end", "e"],
)
def test_a_lifetime_that_is_rounded_to_a_day(api, days):
    cap(api, days)
    task = {**TASK, "expires_in_days": 90}
    assert perform_both(api, MODULE, **task)["changed"]


def test_a_renewal_that_every_run_would_repeat(api):
    cap(api, 30)
    result = perform(api, MODULE, **TASK, renew_before_days=60)
    assert (
        "lets the API key 'Deploy' live 30 days, so with renew_before_days: 60 every run would "
        "make a new one. The new key was deleted again."
    ) in result["msg"]
    assert api.keys == []


@pytest.mark.parametrize(
    ("days", "asked"),
    [(90, 90), (90.6, 90), (90.99, 90), (89.9999, 90), (0.4, 1), (1.5, 1), (14, 14)],
)
def test_a_successor_lives_as_long(api, days, asked):
    """An API that rounds up to the end of a day does not make them live longer and longer."""
    api.add_key("Deploy", 0, expires_at=iso(days))
    api.now += 0.3 * DAY
    for _run in range(3):
        api.log.clear()
        result = perform(
            api, MODULE, key_id=api.keys[-1]["id"], scopes=["b"], on_mismatch="recreate"
        )
        assert not result.get("failed"), result["msg"]
        assert api.bodies[0]["expires_in_days"] == asked
        api.keys[-1]["scopes"] = ["a:read"]
        end = datetime.datetime.fromtimestamp(api.now, datetime.timezone.utc)
        end += datetime.timedelta(days=asked)
        api.keys[-1]["expires_at"] = end.strftime("%Y-%m-%dT23:59:59Z")


def test_whole_days():
    assert [to_days(datetime.timedelta(days=days)) for days in (0.5, 1, 1.9, 1.9999)] == [
        0,
        1,
        1,
        2,
    ]


@pytest.mark.parametrize("never", ["0001-01-01T00:00:00Z", "", None, 0])
def test_a_zero_time_means_never(api, never):
    api.add_key("Deploy", 9, expires_at=never)
    assert perform_both(api, MODULE, name="Deploy", renew_before_days=14)["changed"] is False
    perform(api, MODULE, **OLD)
    assert api.bodies[0] == {"name": "Deploy", "scopes": ["a:read"]}


def test_times_that_give_no_lifetime(api):
    """Whatever was sent for them, the key would die at once."""
    api.add_key("Deploy", created_at="2026-05-01T00:00:00Z", expires_at="2026-04-01T00:00:00Z")
    result = perform(api, MODULE, name="Deploy", scopes=["b"], on_mismatch="recreate")
    assert "times that give no lifetime: created_at is '2026-05-01" in result["msg"]
    assert result["msg"].endswith("Give expires_in_days.")
    assert api.writes == []


@pytest.mark.parametrize(
    "spell",
    [
        int,
        lambda time: int(time * 1000),
        lambda time: str(int(time)),
        lambda time: datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime(
            "%a, %d %b %Y %H:%M:%S GMT"
        ),
        lambda time: datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime(
            "%Y-%m-%d %H:%M"
        ),
    ],
    ids=["epoch", "milliseconds", "epoch-text", "rfc-2822", "minutes"],
)
def test_times_in_other_spellings(api, spell):
    def change(key: dict) -> None:
        for name in ("created_at", "expires_at"):
            moment = datetime.datetime.fromisoformat(key[name].replace("Z", "+00:00"))
            key[name] = spell(moment.timestamp())

    spoil(api, change).add_key("Deploy", 80, days_left=10)
    assert perform(api, MODULE, name="Deploy", renew_before_days=9)["changed"] is False
    result = perform_both(api, MODULE, name="Deploy", renew_before_days=14)
    assert result["msg"] == "API key 'Deploy': recreated (expires within 14 days)"
    assert api.bodies[0]["expires_in_days"] == 90


@pytest.mark.parametrize("none", ["n/a", "null", "-", [], {}], ids=str)
@pytest.mark.parametrize("name", ["revoked_at", "deleted_at"])
def test_a_key_that_was_never_revoked(api, name, none):
    api.add_key("Deploy", 1, days_left=89, **{name: none})
    assert perform(api, MODULE, name="Deploy")["changed"] is False
    assert perform_both(api, MODULE, name="Deploy", state="absent")["changed"] is True
    assert api.keys == []


def test_a_key_of_which_nobody_knows_whether_it_was_revoked(api):
    api.add_key("Deploy", 1, days_left=89, revoked_at="yesterday")
    for state in ("present", "absent"):
        result = perform(api, MODULE, name="Deploy", state=state)
        assert "'Deploy' has no known time in revoked_at: 'yesterday'" in result["msg"]
    assert api.writes == []


def test_an_odd_time_of_another_key_is_no_obstacle(api):
    api.add_key("Other", created_at="soon", expires_at="late")
    assert perform_both(api, MODULE, **TASK)["changed"]
    result = perform(api, MODULE, name="Other")
    assert "no known time in expires_at: 'late'" in result["msg"]


# Scopes and names


@pytest.mark.parametrize(
    ("value", "scopes"),
    [
        (["a", "b"], ["a", "b"]),
        ([{"name": "a"}, {"scope": "b", "granted": True}], ["a", "b"]),
        ([{"id": "a", "label": "All"}], ["a"]),
        ([{"id": 7, "name": "a"}], ["a"]),
        ("a b", ["a", "b"]),
        ("a,b", ["a", "b"]),
        (" a, b ", ["a", "b"]),
        ("", []),
        ("a", ["a"]),
        ([], []),
    ],
    ids=str,
)
def test_scopes_of(value, scopes):
    assert read_scopes({"name": "x", "scopes": value}) == scopes


@pytest.mark.parametrize(
    "value", [[5], [None], [["a"]], [{"x": "a"}], {"a": True}, 5, True, [""]], ids=str
)
def test_scopes_of_no_known_shape(api, value):
    with pytest.raises(ApiError, match="'x' has no list of texts in scopes"):
        read_scopes({"name": "x", "scopes": value})
    api.add_key("Deploy", scopes=[])
    api.keys[0]["scopes"] = value
    result = perform(api, MODULE, name="Deploy", scopes=["a"])
    assert result["failed"] and "'Deploy' has no list of texts in scopes" in result["msg"]
    assert api.writes == []
    facts = perform(api, INFO, gather_subset=["api_keys"])
    assert facts["planasonix"]["api_keys"][0]["scopes"] == (value or [])


@pytest.mark.parametrize("value", [[{"name": "b"}, {"name": "a"}], "a b", "b,a"], ids=str)
def test_scopes_in_another_shape(api, value):
    spoil(api, lambda key: key.update(scopes=value))
    api.add_key("Deploy", 9)
    assert perform_both(api, MODULE, name="Deploy", scopes=["a", "b"])["changed"] is False
    perform(api, MODULE, **OLD)
    assert sorted(api.bodies[0]["scopes"]) == ["a", "b"]


@pytest.mark.parametrize("told", [True, False], ids=["answer", "list"])
def test_scopes_that_the_server_expands(api, file, told):
    if not told:
        api.fail(CREATE, lambda data: {**data, "scopes": None})
    spoil(api, lambda key: key.update(scopes=["c:read", "c:write"]), made=told)
    task = {"name": "Deploy", "scopes": ["c:*"], "secret_file": str(file)}
    result = perform(api, MODULE, **task)
    assert result["msg"] == (
        "The API stores the scopes of the API key 'Deploy' as c:read, c:write; the task asks for "
        "c:*. The new key was deleted again."
    )
    assert (api.keys, list(file.parent.iterdir())) == ([], [])


def test_scopes_that_the_server_sorts(api):
    spoil(api, lambda key: key["scopes"].sort())
    task = {"name": "Deploy", "scopes": ["b", "a"]}
    assert perform_both(api, MODULE, **task)["changed"]
    api.log.clear()
    assert perform_both(api, MODULE, **task)["changed"] is False


@pytest.mark.parametrize(
    ("stored", "left"), [(["a:read", "a:list"], 0), (["z"], 1)], ids=["more", "others"]
)
def test_a_lost_key_whose_scopes_the_server_changes(api, stored, left):
    """One that may be of this task is deleted, or named if that is not clear."""
    spoil(api, lambda key: key.update(scopes=stored)).fail(CREATE, "500 after")
    result = perform(api, MODULE, **TASK)
    assert (len(api.keys), result["failed"]) == (left, True)
    if left:
        assert "a new key of that name has other scopes: key_1" in result["msg"]


def test_a_key_without_a_name(api):
    """It is listed, no name means it, and it can be deleted by its id."""
    nameless = api.add_key("x", 9)
    api.keys[0]["name"] = None
    facts = perform(api, INFO, gather_subset=["api_keys"])
    assert facts["planasonix"]["api_keys"][0]["name"] is None
    assert perform_both(api, MODULE, **TASK)["msg"] == "API key 'Deploy': created"
    result = perform(api, MODULE, key_id=nameless, rotate_after_days=5)
    assert "API key 'key_1' has no name, so it cannot be replaced" in result["msg"]
    assert perform(api, MODULE, key_id=nameless, rotate=True)["changed"]
    assert perform(api, MODULE, key_id=nameless, state="absent")["changed"]
    assert names(api) == ["Deploy"]


@pytest.mark.parametrize("stored", [" Deploy\u00e9 ", "Deploye\u0301"], ids=["blanks", "nfd"])
def test_a_name_that_the_server_writes_otherwise(api, stored, file):
    task = {**TASK, "name": "Deploye\u0301 ", "secret_file": str(file)}
    spoil(api, lambda key: key.update(name=stored))
    assert perform_both(api, MODULE, **task)["changed"]
    api.log.clear()
    assert perform_both(api, MODULE, **task)["changed"] is False
    assert perform(api, MODULE, **task, rotate=True)["changed"]


def test_names_that_must_be_unique(api):
    api.add_key("Deploy", 9)
    api.fail(CREATE, "409 before")
    assert "If names must be unique" in perform(api, MODULE, **OLD)["msg"]


def test_a_regeneration_that_gives_another_id(api, file):
    key_id = api.add_key("Deploy", 9)
    keep_key(api, file, key_id)

    def renumber(data: dict) -> dict:
        api.keys[0]["id"], api.secrets["key_new"] = "key_new", data["secret"]
        return {**data, "id": "key_new"}

    api.fail(f"POST {PATH}/*/regenerate", renumber)
    result = perform(api, MODULE, key_id=key_id, rotate=True, secret_file=str(file))
    assert not result.get("failed"), result["msg"]
    assert result["api_key"]["id"] == "key_new"
    assert perform(api, MODULE, name="Deploy", rotate=True, secret_file=str(file))["changed"]


# Options


@pytest.mark.parametrize(
    "task",
    [
        {"name": "Deploy", "key_id": "", "state": "absent"},
        {"name": "", "scopes": ["a"]},
        {"name": "  ", "state": "absent"},
        {"name": "Deploy", "scopes": ""},
        {"name": "Deploy", "scopes": ["a", ""]},
        {"name": "Deploy", "scopes": "a,,b"},
    ],
    ids=str,
)
def test_an_empty_text_is_an_error(api, task):
    api.add_key("Deploy")
    result = perform(api, MODULE, **task)
    assert result["failed"] and "is the variable that it comes from set?" in result["msg"]
    assert api.log == []


def test_a_text_with_commas_is_a_list_of_scopes(api):
    perform(api, MODULE, name="Deploy", scopes="a, b")
    assert api.keys[0]["scopes"] == ["a", "b"]
    assert perform(api, MODULE, name="Deploy", scopes=["b", "a "])["changed"] is False


@pytest.mark.parametrize("revoke", ["key_1", 5, {"id": 1}], ids=str)
def test_an_odd_list_in_a_note(api, file, revoke):
    api.add_key("Deploy")
    write_note(file, revoke=revoke)
    result = perform(api, MODULE, **TASK, secret_file=str(file))
    assert "is not a note of this collection" in result["msg"]
    assert len(api.keys) == 1


def test_the_note_of_a_revocation_survives_until_it_is_done(api, file):
    """A run that finds it and cannot delete leaves it to the next one, also if it rotates."""
    old = api.add_key("Deploy", 9)
    keep_key(api, file, api.add_key("Deploy", 1))
    write_note(file, operation="recreate", ids=["key_1", "key_2"], revoke=[old])
    api.fail(DELETE, "500 before")
    task = {"name": "Deploy", "secret_file": str(file)}
    assert perform(api, MODULE, **task, rotate=True)["failed"]
    assert json.loads(note_of(file).read_text())["revoke"] == [old]
    assert perform(api, MODULE, **task)["changed"]
    assert (ids(api), note_of(file).exists()) == (["key_2"], False)
