# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys where everything goes well: which key is meant, when it is replaced, what is refused, what is returned."""

from __future__ import annotations

import datetime
import json

import pytest
from unit.plugins.fake_api import KEY, FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.module_utils._api_keys import (
    API_KEY,
    check_key_plan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError, RefusedPlan
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    Keys,
    find_by_name,
    find_own_keys,
    read_key_time,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_api_key import MODULE

PATH = "/api/user/api-keys"
READ = ["a:read"]
"""The scopes of a key that names none, and of the tasks."""


def organization(*keys: dict) -> FakeApi:
    """An API with these keys, with the ids key_1, key_2, ..."""
    api = FakeApi()
    for key in keys:
        api.add_key(**{"name": "Deploy", **key})
    return api


def calls(api: FakeApi) -> list[str]:
    """The writes, short: ``+`` with the body, ``-`` and ``regenerate`` with the id."""
    texts = []
    for method, path, body in api.log:
        if method == "DELETE":
            texts.append("-" + path.removeprefix(f"{PATH}/"))
        elif method == "POST" and path == PATH:
            texts.append(
                "+"
                + ",".join(body["scopes"])
                + (f" {body['expires_in_days']}d" if "expires_in_days" in body else "")
            )
        elif method == "POST":
            texts.append(path.removeprefix(f"{PATH}/").replace("/", " "))
    return texts


RECREATE = {"on_mismatch": "recreate"}


@pytest.mark.parametrize(
    ("keys", "task", "writes", "message", "superseded"),
    [
        pytest.param([], {"scopes": READ}, ["+a:read"], "created", [], id="create"),
        pytest.param(
            [],
            {"scopes": READ, "expires_in_days": 90},
            ["+a:read 90d"],
            "created",
            [],
            id="create-expiring",
        ),
        pytest.param([], {"scopes": []}, ["+"], "created", [], id="create-without-rights"),
        pytest.param(
            [{"name": "Other"}],
            {"scopes": READ},
            ["+a:read"],
            "created",
            [],
            id="create-beside-another",
        ),
        pytest.param([{}], {"scopes": READ}, [], None, [], id="same"),
        pytest.param([{}], {}, [], None, [], id="left-alone"),
        pytest.param([{}], {"expires_in_days": 5}, [], None, [], id="expiry-acts-at-creation-only"),
        pytest.param(
            [{"scopes": ["b", "a"]}],
            {"scopes": ["a", "b", "a"]},
            [],
            None,
            [],
            id="scopes-are-a-set",
        ),
        pytest.param(
            [{"scopes": ["a", "b"]}],
            {"scopes": ["a"], **RECREATE},
            ["+a", "-key_1"],
            "recreated (scopes a, b -> a)",
            [],
            id="scopes-shrunk",
        ),
        pytest.param(
            [{"scopes": ["a"]}],
            {"scopes": [], **RECREATE},
            ["+", "-key_1"],
            "recreated (scopes a -> none)",
            [],
            id="scopes-emptied",
        ),
        pytest.param(
            [{"days_old": 30}], {"rotate_after_days": 30}, [], None, [], id="as-old-as-allowed"
        ),
        pytest.param(
            [{"days_old": 30.01}],
            {"rotate_after_days": 30},
            ["+a:read", "-key_1"],
            "recreated (older than 30 days)",
            [],
            id="too-old",
        ),
        pytest.param(
            [{"days_left": 14.01}], {"renew_before_days": 14}, [], None, [], id="expires-later"
        ),
        pytest.param(
            [{"days_left": None}], {"renew_before_days": 14}, [], None, [], id="never-expires"
        ),
        pytest.param(
            [{"days_old": 76, "days_left": 14}],
            {"renew_before_days": 14},
            ["+a:read 90d", "-key_1"],
            "recreated (expires within 14 days)",
            [],
            id="expires-soon",
        ),
        pytest.param(
            [{"days_old": 90, "days_left": -5}],
            {"renew_before_days": 14},
            ["+a:read 85d", "-key_1"],
            "recreated",
            [],
            id="expired",
        ),
        pytest.param(
            [{"days_old": 9, "days_left": 1}],
            {"rotate_after_days": 5},
            ["+a:read 10d", "-key_1"],
            "recreated",
            [],
            id="lifetime-is-kept",
        ),
        pytest.param(
            [{"days_old": 9, "days_left": 1}],
            {"rotate_after_days": 5, "expires_in_days": 30},
            ["+a:read 30d", "-key_1"],
            "recreated",
            [],
            id="lifetime-given",
        ),
        pytest.param(
            [{"days_old": 9, "days_left": -8.9}],
            {"rotate_after_days": 5},
            ["+a:read 1d", "-key_1"],
            "recreated",
            [],
            id="lifetime-of-a-day-at-least",
        ),
        pytest.param(
            [{"days_old": 9}],
            {"rotate_after_days": 5, "revoke_old": False},
            ["+a:read"],
            "recreated",
            ["key_1"],
            id="old-one-stays",
        ),
        pytest.param(
            [{"days_old": 9}, {"days_old": 1}], {}, [], None, ["key_1"], id="newest-is-meant"
        ),
        pytest.param(
            [{"days_old": 1}, {"days_old": 9}, {"days_old": 5}],
            {},
            [],
            None,
            ["key_3", "key_2"],
            id="newest-is-meant-whatever-the-order",
        ),
        pytest.param(
            [{"days_old": 9}, {"days_old": 7}],
            {"rotate_after_days": 5},
            ["+a:read", "-key_2", "-key_1"],
            "recreated",
            [],
            id="recreate-revokes-all",
        ),
        pytest.param(
            [{"days_old": 9}, {"days_old": 7}],
            {"rotate_after_days": 5, "revoke_old": False},
            ["+a:read"],
            "recreated",
            ["key_2", "key_1"],
            id="recreate-revokes-none",
        ),
        pytest.param(
            [{"days_old": 9}, {"days_old": 7}, {"days_old": 8}],
            {"key_id": "key_3"},
            [],
            None,
            ["key_1"],
            id="older-than-the-one-by-id",
        ),
        pytest.param([{}], {"rotate": True}, ["key_1 regenerate"], "regenerated", [], id="rotate"),
        pytest.param(
            [],
            {"rotate": True, "scopes": READ},
            ["+a:read"],
            "created",
            [],
            id="rotate-what-is-not-there",
        ),
        pytest.param(
            [{"days_old": 9}],
            {"rotate": True, "rotate_after_days": 5},
            ["+a:read", "-key_1"],
            "recreated",
            [],
            id="recreate-before-rotate",
        ),
        pytest.param([{}], {"state": "absent"}, ["-key_1"], "deleted", None, id="absent"),
        pytest.param([], {"state": "absent"}, [], None, None, id="absent-already"),
        pytest.param(
            [{}, {}],
            {"state": "absent", "key_id": "key_2"},
            ["-key_2"],
            "deleted",
            None,
            id="absent-by-id",
        ),
        pytest.param(
            [{}], {"state": "absent", "key_id": "key_9"}, [], None, None, id="absent-already-by-id"
        ),
    ],
)
def test_calls(keys, task, writes, message, superseded):
    api = organization(*keys)
    result = perform_both(api, MODULE, name="Deploy", **task)
    assert calls(api) == writes
    assert result["changed"] is bool(writes)
    assert result["msg"].startswith(f"API key 'Deploy': {message}" if message else "no change")
    assert result.get("superseded") == superseded
    assert ("secret" in result) is any(write[0] != "-" for write in writes)
    if "secret" in result:
        assert result["secret"] == api.secrets[result["api_key"]["id"]]
    if not task.get("rotate"):
        api.log.clear()
        again = perform(api, MODULE, name="Deploy", **task)
        assert (again["changed"], calls(api), again["api_key"]) == (False, [], result["api_key"])


OWN = {"prefix": KEY[:12]}


@pytest.mark.parametrize(
    ("keys", "task", "message"),
    [
        pytest.param(
            [],
            {},
            "The API key 'Deploy' does not exist; scopes is needed to create it",
            id="no-scopes",
        ),
        pytest.param(
            [{"scopes": ["a", "b"]}],
            {"scopes": ["a"]},
            "has other scopes a, b -> a, and the API cannot change them; set on_mismatch: recreate",
            id="scopes",
        ),
        pytest.param([{}], {"key_id": "key_9"}, "No API key has the id 'key_9'", id="no-such-id"),
        pytest.param(
            [{}, {"name": "Other"}],
            {"key_id": "key_2"},
            "The API key 'key_2' is named 'Other', not 'Deploy'",
            id="other-name",
        ),
        pytest.param(
            [{"name": "Other"}],
            {"key_id": "key_1", "state": "absent"},
            "is named 'Other'",
            id="other-name-absent",
        ),
        pytest.param(
            [{}, {}],
            {"state": "absent"},
            "Several API keys are named 'Deploy': key_2, key_1; remove them one by one by key_id",
            id="two-of-one-name-absent",
        ),
        pytest.param(
            [OWN],
            {"state": "absent"},
            "that this task itself uses, so it is not deleted",
            id="own-absent",
        ),
        pytest.param([OWN], {"rotate": True}, "so it is not regenerated", id="own-rotate"),
        pytest.param(
            [{**OWN, "days_old": 9}],
            {"rotate_after_days": 5},
            "that this task itself uses",
            id="own-recreate",
        ),
        pytest.param(
            [{**OWN, "days_old": 9}],
            {"rotate_after_days": 5, "revoke_old": False},
            "that this task itself uses",
            id="own-recreate-old-one-stays",
        ),
        pytest.param(
            [{**OWN, "days_old": 9}, {"days_old": 7}],
            {"rotate_after_days": 5},
            "so it is not deleted",
            id="own-among-the-older",
        ),
        pytest.param(
            [{"days_old": 9, "days_left": 1}],
            {"renew_before_days": 10},
            "lives 10 days, so with this renew_before_days every run",
            id="renewed-by-every-run",
        ),
        pytest.param(
            [],
            {"scopes": READ, "renew_before_days": 5, "expires_in_days": 5},
            "must be less than expires_in_days",
            id="made-anew-by-every-run",
        ),
        pytest.param(
            [],
            {"scopes": READ, "expires_in_days": 0},
            "expires_in_days must be at least 1 day",
            id="expires-at-once",
        ),
        *(
            pytest.param(
                [{"days_left": 9}],
                {"scopes": READ, name: days},
                f"{name} must be at most 36500 days",
                id=f"{name}-{days}",
            )
            for name in ("expires_in_days", "rotate_after_days", "renew_before_days")
            for days in (36501, 10**12)
        ),
        pytest.param(
            [{}],
            {"rotate_after_days": 0},
            "rotate_after_days must be at least 1 day",
            id="rotate-after-0",
        ),
        pytest.param(
            [{}],
            {"renew_before_days": -1},
            "renew_before_days must be at least 1 day",
            id="renew-before-negative",
        ),
        pytest.param(
            [{}],
            {"return_secret": False},
            "return_secret: false needs secret_file",
            id="secret-nowhere",
        ),
        pytest.param(
            [{"created_at": None}, {"created_at": "yesterday"}],
            {},
            "no known time in created_at: 'yesterday'",
            id="odd-time",
        ),
    ],
)
def test_refusals(keys, task, message):
    for check_mode in (True, False):
        api = organization(*keys)
        result = perform(api, MODULE, check_mode, name="Deploy", **task)
        assert (result["failed"], result["changed"], api.writes) == (True, False, [])
        assert message in result["msg"]


@pytest.mark.parametrize(
    ("prefixes", "own"),
    [
        pytest.param([KEY[:12], "plnx_live_other"], {"key_0"}, id="long-prefix"),
        pytest.param([KEY, None], {"key_0"}, id="whole-key"),
        pytest.param([KEY[:11]], set(), id="short-prefix"),
        pytest.param([KEY[:12], KEY[:12]], set(), id="one-prefix-of-two-keys"),
        pytest.param([KEY[:12], KEY[:14]], {"key_0", "key_1"}, id="two-prefixes-that-fit"),
        pytest.param(["plnx_live_other"], set(), id="none"),
        pytest.param([None, ""], set(), id="no-prefixes"),
    ],
)
def test_own_keys(prefixes, own):
    keys = [
        {"id": f"key_{number}", "name": "x", "prefix": prefix}
        for number, prefix in enumerate(prefixes)
    ]
    assert find_own_keys([*keys, {"id": "key_9", "name": "x"}], KEY) == own


@pytest.mark.parametrize(
    ("seconds", "newest_first"),
    [
        pytest.param([1, 2, 3], [2, 1, 0], id="oldest-first"),
        pytest.param([3, 2, 1], [0, 1, 2], id="newest-first"),
        pytest.param([1, 2, 2], [2, 1, 0], id="oldest-first-with-a-tie"),
        pytest.param([2, 2, 1], [0, 1, 2], id="newest-first-with-a-tie"),
        pytest.param([1, 1], [1, 0], id="a-tie"),
        pytest.param([2, 1, 3], [2, 0, 1], id="no-order"),
    ],
)
def test_namesakes(seconds, newest_first):
    keys = [
        {"id": number, "name": "x", "created_at": f"2026-01-01T00:00:0{second}Z"}
        for number, second in enumerate(seconds)
    ]
    assert [key["id"] for key in find_by_name([*keys, {"id": 9, "name": "y"}], "x")] == newest_first


@pytest.mark.parametrize(
    ("text", "time"),
    [
        pytest.param("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00", id="z"),
        pytest.param("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00", id="no-zone"),
        pytest.param("2026-01-02 03:04:05+00:00", "2026-01-02T03:04:05+00:00", id="space"),
        pytest.param(
            "2026-01-02T03:04:05+0130", "2026-01-02T01:34:05+00:00", id="zone-without-colon"
        ),
        pytest.param("2026-01-02T03:04:05-01:30", "2026-01-02T04:34:05+00:00", id="zone"),
        pytest.param("2026-01-02T03:04:05.25Z", "2026-01-02T03:04:05.250000+00:00", id="fraction"),
        pytest.param(
            "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456+00:00", id="nanoseconds"
        ),
        pytest.param(None, None, id="null"),
        pytest.param("", None, id="empty"),
        pytest.param("0001-01-01T00:00:00Z", None, id="zero-time-of-go"),
        pytest.param(1767323045, "2026-01-02T03:04:05+00:00", id="epoch"),
        pytest.param("2026-01-02", "2026-01-02T00:00:00+00:00", id="date"),
        pytest.param("Fri, 02 Jan 2026 03:04:05 GMT", "2026-01-02T03:04:05+00:00", id="rfc-2822"),
    ],
)
def test_moment(text, time):
    assert read_key_time({"name": "x", "created_at": text}, "created_at") == (
        time and datetime.datetime.fromisoformat(time)
    )


@pytest.mark.parametrize("text", ["now", 12345, "2026-01", "2026-01-02T03:04:05 CET"])
def test_moment_that_is_none(text):
    with pytest.raises(ApiError, match="no known time in created_at"):
        read_key_time({"name": "x", "created_at": text}, "created_at")


@pytest.mark.parametrize(
    ("field", "task"),
    [
        pytest.param("name", {}, id="name"),
        pytest.param("id", {}, id="id"),
        pytest.param("scopes", {"scopes": READ}, id="scopes"),
        pytest.param("created_at", {"rotate_after_days": 5}, id="created_at"),
        pytest.param("expires_at", {"renew_before_days": 5}, id="expires_at"),
    ],
)
def test_missing_fields_are_errors(field, task):
    api = organization({"days_left": 1})
    del api.keys[0][field]
    result = perform(api, MODULE, name="Deploy", **task)
    assert result["failed"] and f"lacks the field '{field}'" in result["msg"] and api.writes == []


def test_a_key_id_is_confirmed():
    api = organization({}).fail(f"GET {PATH}/key_1", "404 before")
    result = perform(api, MODULE, key_id="key_1")
    assert (result["failed"], result["status"], result["path"]) == (True, 404, f"{PATH}/key_1")


def test_the_returned_key():
    api = organization()
    task: dict = {"name": "Deploy", "scopes": READ, "expires_in_days": 90}
    assert perform(api, MODULE, check_mode=True, **task)["api_key"] == {
        "name": "Deploy",
        "scopes": READ,
    }
    result = perform(api, MODULE, **task)
    assert result["api_key"] == api.keys[0]
    assert result["diff"] == {"before": {}, "after": task}
    assert perform(api, MODULE, name="Deploy", state="absent")["api_key"] == {}


@pytest.mark.parametrize(
    "options", [{"rotate": True}, {"rotate_after_days": 1}], ids=["regenerate", "recreate"]
)
def test_only_a_real_run_tells_a_secret(options):
    api = organization({"days_old": 9})
    assert "secret" not in perform(api, MODULE, check_mode=True, name="Deploy", **options)
    assert perform(api, MODULE, name="Deploy", **options)["secret"] in api.secrets.values()


def test_each_rotation_makes_a_new_secret_of_the_same_key():
    api = organization({})
    first, second = (perform(api, MODULE, name="Deploy", rotate=True) for _run in range(2))
    assert (
        first["changed"],
        second["changed"],
        first["api_key"]["id"],
        second["api_key"]["id"],
    ) == (True, True, "key_1", "key_1")
    assert first["secret"] != second["secret"] == api.secrets["key_1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda api: api.keys.pop(), "the new key is not listed", id="not-listed"),
        pytest.param(
            lambda api: api.keys[-1].update(scopes=["b"]), "its scopes are b", id="other-scopes"
        ),
    ],
)
def test_a_key_is_read_back_and_its_secret_still_told(change, words):
    api = organization()
    api.observe = lambda: change(api)
    result = perform(api, MODULE, name="Deploy", scopes=READ)
    assert result["failed"] and words in result["msg"]
    assert result["secret"] in api.secrets.values()


def test_a_deletion_is_read_back():
    api = organization({}).fail(f"DELETE {PATH}/key_1", "204 before")
    result = perform(api, MODULE, name="Deploy", state="absent")
    assert result["failed"] and "'Deploy' (key_1) is still listed" in result["msg"]


def known_keys(api: FakeApi, own: str = "") -> Keys:
    """The state of the keys, of which one may be the task's own."""
    now = datetime.datetime.fromtimestamp(api.now, datetime.timezone.utc)
    return Keys(tuple(api.keys), frozenset({own}), now)


@pytest.mark.parametrize(
    ("options", "actions"),
    [
        ({"rotate": True}, [("regenerate", "key_2")]),
        (
            {"scopes": ["b"], "on_mismatch": "recreate"},
            [("create", None), ("delete", "key_2"), ("delete", "key_1")],
        ),
        ({"key_id": "key_1", "state": "absent"}, [("delete", "key_1")]),
        ({}, []),
    ],
    ids=["regenerate", "recreate", "delete", "kept"],
)
def test_a_plan_says_what_is_meant(options, actions):
    state = known_keys(organization({"days_old": 9}, {}))
    plan = API_KEY.plan(state, {"state": "present", "name": "Deploy", **options})
    assert [(one.action, one.before.get("id")) for one in plan.changes] == actions
    assert plan.changed is bool(actions)
    data = json.loads(json.dumps([change.to_data() for change in plan.changes]))
    assert all((one["resource"], one["object"]) == ("api_keys", "Deploy") for one in data)
    assert all(bool(one["after"]) is (one["action"] != "delete") for one in data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rotate": True}, "not regenerated"),
        ({"rotate_after_days": 1}, "not recreated"),
        ({"state": "absent"}, "not deleted"),
    ],
)
def test_the_own_key_is_a_question_to_the_plan(options, words):
    api = organization({"days_old": 9})
    plan = API_KEY.plan(known_keys(api), {"state": "present", "name": "Deploy", **options})
    check_key_plan(plan, known_keys(api, own="key_9"), options)
    with pytest.raises(RefusedPlan, match=f"so it is {words}; use another api_key for it"):
        check_key_plan(plan, known_keys(api, own="key_1"), options)
