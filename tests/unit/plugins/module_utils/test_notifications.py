# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels: what is compared and sent, what stays hidden, and what is refused."""

from __future__ import annotations

import json

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.module_utils._channel_writes import (
    CHANNEL,
    request_channel,
)
from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    Channels,
    check_channel_plan,
    plan_channel,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import RefusedPlan
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_masked
from ansible_collections.planasonix.admin.plugins.modules.planasonix_notification_channel import (
    MODULE,
)

POST, PUT, DELETE = (
    "POST /api/notifications/channels",
    "PUT /api/notifications/channels/nch_1",
    "DELETE /api/notifications/channels/nch_1",
)
HIDDEN = "****1234"


def organization(*channels: dict, rules: list | None = None) -> FakeApi:
    """An API with these channels, with the ids nch_1, nch_2, ..."""
    api = FakeApi()
    for channel in channels:
        api.add_channel(**{"name": "Alerts", **channel})
    api.rules = rules or []
    return api


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        pytest.param("***", True, id="asterisks"),
        pytest.param("https://hooks.example.com/****1234", True, id="asterisks-within"),
        pytest.param("\u2022\u2022\u2022", True, id="bullets"),
        pytest.param("**", True, id="two-asterisks"),
        pytest.param("*a*a*", False, id="asterisks-apart"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="null"),
        pytest.param(3, False, id="number"),
        pytest.param({"a": {"b": "xx***"}}, True, id="nested"),
        pytest.param(["a", ["***"]], True, id="list"),
        pytest.param({"***": "a"}, False, id="key"),
    ],
)
def test_is_masked(value, masked):
    assert is_masked(value) is masked


@pytest.mark.parametrize(
    ("channel", "task", "calls"),
    [
        pytest.param(
            None,
            {"type": "email"},
            [(POST, {"type": "email", "name": "Alerts", "config": {}})],
            id="create",
        ),
        pytest.param(
            None,
            {"type": "email", "config": {"a": 1}},
            [(POST, {"type": "email", "name": "Alerts", "config": {"a": 1}})],
            id="create-config",
        ),
        pytest.param(
            None,
            {"type": "email", "config": {"a": 1}, "secret_config": {"k": "s"}},
            [(POST, {"type": "email", "name": "Alerts", "config": {"a": 1, "k": "s"}})],
            id="create-secrets",
        ),
        pytest.param(
            None,
            {"type": "email", "enabled": True},
            [(POST, {"type": "email", "name": "Alerts", "config": {}})],
            id="create-enabled",
        ),
        pytest.param(
            None,
            {"type": "email", "enabled": False},
            [
                (POST, {"type": "email", "name": "Alerts", "config": {}}),
                (PUT, {"name": "Alerts", "enabled": False}),
            ],
            id="create-disabled",
        ),
        pytest.param({}, {}, [], id="left-alone"),
        pytest.param({}, {"type": "slack", "enabled": True, "config": {}}, [], id="same"),
        pytest.param(
            {}, {"enabled": False}, [(PUT, {"name": "Alerts", "enabled": False})], id="disable"
        ),
        pytest.param(
            {},
            {"channel_id": "nch_1", "name": "New"},
            [(PUT, {"name": "New", "enabled": True})],
            id="rename",
        ),
        pytest.param({}, {"channel_id": "nch_1", "name": None}, [], id="by-id"),
        pytest.param(
            {"config": {"a": [1, 2]}}, {"config": {"a": [2, 1]}}, [], id="config-list-order"
        ),
        pytest.param(
            {"config": {"a": 1}}, {"config": {"b": None}}, [], id="config-null-is-missing"
        ),
        pytest.param(
            {"config": {"a": 1, "b": 2}}, {"config": {"a": 1}}, [], id="config-key-not-named"
        ),
        pytest.param(
            {"type": "email", "config": {"a": 1, "b": 2}},
            {"config": {"a": 3}},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": 3, "b": 2}})],
            id="config-merged",
        ),
        pytest.param(
            {"type": "email", "config": {"a": ["x", "y"]}},
            {"config": {"a": ["x"]}},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": ["x"]}})],
            id="config-list-shrunk",
        ),
        pytest.param(
            {"type": "email", "config": {"a": 1}},
            {"config": {"a": True}},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": True}})],
            id="config-true-is-not-one",
        ),
        pytest.param(
            {"config": {"k": HIDDEN}}, {"config": {"k": "open"}}, [], id="masked-is-not-compared"
        ),
        pytest.param(
            {"config": {"k": HIDDEN}},
            {"enabled": False},
            [(PUT, {"name": "Alerts", "enabled": False})],
            id="masked-is-not-sent-needlessly",
        ),
        pytest.param(
            {"config": {"a": 1, "k": HIDDEN}},
            {"config": {"a": 2}, "secret_config": {"k": "s"}},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": 2, "k": "s"}})],
            id="secret-over-masked",
        ),
        pytest.param(
            {"config": {"a": 1, "k": HIDDEN}},
            {"config": {"a": 2, "k": "open"}},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": 2, "k": "open"}})],
            id="config-over-masked",
        ),
        pytest.param(
            {"config": {"a": 1}},
            {"secret_config": {"k": "s"}},
            [],
            id="secret-lacking-in-the-answer",
        ),
        pytest.param(
            {"config": {"a": 1, "k": "old"}},
            {"secret_config": {"k": "new"}},
            [],
            id="secret-is-not-compared",
        ),
        pytest.param(
            {"config": {"a": 1}},
            {"secret_config": {"k": "s"}, "update_secrets": "always"},
            [(PUT, {"name": "Alerts", "enabled": True, "config": {"a": 1, "k": "s"}})],
            id="secrets-always",
        ),
        pytest.param(
            {"config": {"a": 1}}, {"update_secrets": "always"}, [], id="secrets-always-without-any"
        ),
        pytest.param({}, {"state": "absent"}, [(DELETE, None)], id="absent"),
        pytest.param(
            {},
            {"state": "absent", "channel_id": "nch_1", "name": None},
            [(DELETE, None)],
            id="absent-by-id",
        ),
        pytest.param({}, {"state": "absent", "name": "Other"}, [], id="absent-already"),
        pytest.param(
            {"config": {"a": 1}},
            {"type": "email", "replace": True, "config": {"b": 2}},
            [(DELETE, None), (POST, {"type": "email", "name": "Alerts", "config": {"b": 2}})],
            id="replace",
        ),
        pytest.param(
            {"enabled": False},
            {"type": "email", "replace": True},
            [
                (DELETE, None),
                (POST, {"type": "email", "name": "Alerts", "config": {}}),
                ("PUT /api/notifications/channels/nch_2", {"name": "Alerts", "enabled": False}),
            ],
            id="replace-keeps-disabled",
        ),
        pytest.param(
            {},
            {"type": "email", "replace": True, "channel_id": "nch_1", "name": "New"},
            [(DELETE, None), (POST, {"type": "email", "name": "New", "config": {}})],
            id="replace-renames",
        ),
        pytest.param({}, {"type": "slack", "replace": True}, [], id="replace-of-the-same-type"),
    ],
)
def test_calls(channel, task, calls):
    api = organization(*([] if channel is None else [channel]))
    task = {"name": "Alerts", **task}
    result = perform_both(
        api, MODULE, **{name: value for name, value in task.items() if value is not None}
    )
    assert list(zip(api.writes, api.bodies, strict=True)) == calls
    assert result["changed"] is bool(calls)
    assert (result["msg"].partition(":")[0] == "no change") is (not calls)


@pytest.mark.parametrize(
    ("channels", "task", "message"),
    [
        pytest.param([], {}, "does not exist; type is needed to create it", id="no-type"),
        pytest.param(
            [],
            {"channel_id": "nch_1"},
            "No notification channel has the id 'nch_1'",
            id="no-such-id",
        ),
        pytest.param(
            [{}, {}],
            {},
            "Several notification channels are named 'Alerts': nch_1, nch_2; address one by channel_id",
            id="two-of-one-name",
        ),
        pytest.param([{}, {}], {"state": "absent"}, "nch_1, nch_2", id="two-of-one-name-absent"),
        pytest.param(
            [{}, {"name": "New"}],
            {"channel_id": "nch_1", "name": "New"},
            "'New' is already the name of nch_2",
            id="name-taken",
        ),
        pytest.param(
            [{}],
            {"type": "email"},
            "is of type 'slack', not 'email', and the API cannot change it; set replace: true",
            id="type",
        ),
        pytest.param(
            [{}],
            {"config": {"k": 1}, "secret_config": {"k": 2}},
            "k: give each key in config or in secret_config",
            id="key-given-twice",
        ),
        pytest.param(
            [{}],
            {"config": {"token": HIDDEN}},
            "'Alerts' must not hold masked values (such as *** or [REDACTED]) in token: give",
            id="masked-config-given",
        ),
        pytest.param(
            [{}],
            {"secret_config": {"k": ["\u2022\u2022\u2022"]}},
            "must not hold masked values",
            id="masked-secret-given",
        ),
        pytest.param(
            [{"config": {"a": 1, "j": {"x": HIDDEN}, "k": HIDDEN, "l": HIDDEN}}],
            {"config": {"a": 2}, "secret_config": {"l": "s"}},
            "hides j.x, k; give j.x, k in secret_config",
            id="masked-to-be-sent",
        ),
        pytest.param(
            [{"config": {"k": HIDDEN, "l": HIDDEN}}],
            {"secret_config": {"k": "s"}, "update_secrets": "always"},
            "give l in secret_config",
            id="masked-to-be-sent-with-a-secret",
        ),
    ],
)
def test_refusals(channels, task, message):
    for check_mode in (True, False):
        api = organization(*channels)
        result = perform(api, MODULE, check_mode, **{"name": "Alerts", **task})
        assert (result["failed"], result["changed"], api.writes) == (True, False, [])
        assert message in result["msg"]


RULE = {
    "id": "nrl_1",
    "name": "Failures",
    "event": "pipeline.run.failed",
    "channel_ids": ["nch_1"],
    "filters": {},
    "enabled": True,
}


@pytest.mark.parametrize(
    "task", [{"state": "absent"}, {"type": "email", "replace": True}], ids=["absent", "replace"]
)
@pytest.mark.parametrize(
    ("rules", "users"),
    [
        pytest.param([RULE], "the enabled rules 'Failures' use it", id="enabled"),
        pytest.param(
            [RULE, {**RULE, "id": "nrl_2", "name": "More"}],
            "the enabled rules 'Failures', 'More' use it",
            id="two",
        ),
        pytest.param(
            [{name: value for name, value in RULE.items() if name != "enabled"}],
            "'Failures'",
            id="enabled-is-not-told",
        ),
        pytest.param([{**RULE, "enabled": False}], None, id="disabled"),
        pytest.param([{**RULE, "channel_ids": ["nch_2"]}], None, id="of-another-channel"),
        pytest.param([{**RULE, "channel_ids": None}], None, id="of-no-channel"),
    ],
)
def test_rules_in_use(task, rules, users):
    api = organization({}, rules=rules)
    result = perform(api, MODULE, name="Alerts", **task)
    if users:
        assert result["failed"] and users in result["msg"] and api.writes == []
    else:
        assert not result.get("failed"), result["msg"]


def test_rules_are_read_only_where_a_channel_would_go():
    api = organization({})
    perform(api, MODULE, name="Alerts", enabled=False)
    assert "/api/notifications/rules" not in [path for _method, path, _body in api.log]


@pytest.mark.parametrize(
    ("channel", "task", "sent"),
    [
        pytest.param({}, {"test": "never", "enabled": False}, False, id="never"),
        pytest.param({}, {"test": "on_change", "enabled": False}, True, id="on-change"),
        pytest.param({}, {"test": "on_change", "enabled": True}, False, id="on-change-unchanged"),
        pytest.param({}, {"test": "always", "enabled": True}, True, id="always"),
        pytest.param({}, {"test": "always", "state": "absent"}, False, id="absent"),
        pytest.param(None, {"test": "on_change", "type": "email"}, True, id="created"),
    ],
)
def test_test_notification(channel, task, sent):
    api = organization(*([] if channel is None else [channel]))
    changed = "enabled" in task and not task["enabled"] or "type" in task or "state" in task
    result = perform_both(api, MODULE, name="Alerts", **task)
    assert result["changed"] is changed
    assert (api.writes[-1:] == ["POST /api/notifications/channels/nch_1/test"]) is sent
    assert (result.get("delivery", {}).get("status") == "queued") is sent
    assert "delivery" not in perform(
        organization({}), MODULE, check_mode=True, name="Alerts", test="always"
    )


def test_failed_test_notification_follows_the_change():
    api = organization({}).fail("POST */test", "500 before")
    result = perform(api, MODULE, name="Alerts", enabled=False, test="always")
    assert (result["failed"], result["changed"], result["status"], api.channels[0]["enabled"]) == (
        True,
        True,
        500,
        False,
    )
    assert "send a test notification through the notification channel 'Alerts'" in result["msg"]


@pytest.mark.parametrize(
    "kind", [f"{kind} {when}" for kind in ("lost", "502", "504") for when in ("before", "after")]
)
def test_creation_whose_answer_is_lost(kind):
    api = organization({"name": "Other"}).fail(POST, kind)
    result = perform(api, MODULE, name="Alerts", type="email", enabled=False)
    assert not result.get("failed"), result["msg"]
    assert [(channel["name"], channel["enabled"]) for channel in api.channels] == [
        ("Other", True),
        ("Alerts", False),
    ]
    assert result["channel"]["id"] == api.channels[1]["id"]


def test_creation_that_never_gets_an_answer():
    api = organization().fail(POST, "lost before", times=99)
    result = perform(api, MODULE, name="Alerts", type="email", retries=2)
    assert (result["failed"], api.writes, api.channels) == (True, [POST] * 3, [])


@pytest.mark.parametrize(
    ("channel", "task", "pattern", "kind", "message"),
    [
        pytest.param(
            {},
            {"enabled": False},
            PUT,
            "200 before",
            "shows no effect (enabled true -> false)",
            id="enabled",
        ),
        pytest.param(
            {"type": "email", "config": {"a": 1}},
            {"config": {"a": 2}},
            PUT,
            "200 before",
            "config.a 1 -> 2",
            id="config",
        ),
        pytest.param(
            {},
            {"state": "absent"},
            DELETE,
            "204 before",
            "'Alerts' (nch_1) is still listed",
            id="absent",
        ),
        pytest.param(
            None,
            {"type": "email"},
            POST,
            "500 before",
            "create the notification channel 'Alerts'",
            id="create",
        ),
        pytest.param(
            {},
            {"type": "email", "replace": True},
            POST,
            "422 before",
            "The old channel is already deleted",
            id="replace",
        ),
        pytest.param(
            {},
            {"enabled": False},
            "GET */channels",
            lambda data: [{"id": "nch_1", "name": "Alerts", "type": "slack"}],
            "lacks the field 'enabled'",
            id="no-enabled",
        ),
        pytest.param(
            {},
            {"config": {"a": 1}},
            "GET */channels",
            lambda data: [{"id": "nch_1", "name": "Alerts", "type": "slack"}],
            "lacks the field 'config'",
            id="no-config",
        ),
        pytest.param(
            {},
            {},
            "GET */channels",
            lambda data: [{"id": "nch_1", "name": "Alerts"}],
            "lacks the field 'type'",
            id="no-type",
        ),
        pytest.param(
            {},
            {},
            "GET */channels",
            lambda data: [{"id": "nch_1"}],
            "lacks the field 'name'",
            id="no-name",
        ),
        pytest.param(
            {},
            {},
            "GET */channels",
            lambda data: [{"name": "Alerts"}],
            "lacks the field 'id'",
            id="no-id",
        ),
    ],
)
def test_failures(channel, task, pattern, kind, message):
    api = organization(*([] if channel is None else [channel])).fail(pattern, kind)
    result = perform(api, MODULE, name="Alerts", **task)
    assert result["failed"] and message in result["msg"]


def test_a_write_is_verified_by_the_list_as_far_as_it_can_be():
    """The server masks one key and drops another; both are secrets, so neither is missed."""

    def hide(channels):
        return [
            {**channel, "config": {"a": channel["config"].get("a"), "k": HIDDEN}}
            for channel in channels
        ]

    api = organization({"config": {"a": 1}}).fail("GET */channels", hide, times=9)
    result = perform(
        api, MODULE, name="Alerts", config={"a": 2}, secret_config={"k": "s1", "l": "s2"}
    )
    assert (result["changed"], api.channels[0]["config"]) == (True, {"a": 2, "k": "s1", "l": "s2"})
    assert result["channel"] == {
        "id": "nch_1",
        "type": "slack",
        "name": "Alerts",
        "enabled": True,
        "config": {"a": 2},
    }


@pytest.mark.parametrize(
    ("channel", "task"),
    [
        pytest.param(None, {"type": "email", "config": {"a": 1}}, id="create"),
        pytest.param({"config": {"k": "old-5ecret", "a": 2}}, {"config": {"a": 1}}, id="update"),
        pytest.param(
            {"config": {"k": "old-5ecret", "a": 1}}, {"update_secrets": "always"}, id="always"
        ),
        pytest.param(
            {"config": {"k": "old-5ecret"}},
            {"type": "email", "replace": True, "config": {"a": 1}},
            id="replace",
        ),
        pytest.param({"config": {"k": "old-5ecret", "a": 1}}, {}, id="unchanged"),
        pytest.param({"config": {"k": "old-5ecret"}}, {"state": "absent"}, id="absent"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_no_secret_in_the_result(channel, task, check_mode):
    result = perform(
        organization(*([] if channel is None else [channel])),
        MODULE,
        check_mode,
        name="Alerts",
        secret_config={"k": "new-5ecret"},
        **task,
    )
    assert not result.get("failed"), result["msg"]
    assert "5ecret" not in json.dumps(result)


def test_secrets_sent_again_are_a_change_of_their_own():
    api = organization({"config": {"a": 1}})
    for _run in range(2):
        result = perform(
            api, MODULE, name="Alerts", secret_config={"k": "s"}, update_secrets="always"
        )
        assert (result["changed"], result["msg"]) == (
            True,
            "notification channel 'Alerts': secrets sent again",
        )
        assert result["diff"]["before"] == result["diff"]["after"]


def test_the_returned_channel_in_check_mode_lacks_only_what_the_server_assigns():
    task: dict = {
        "name": "Alerts",
        "type": "email",
        "enabled": True,
        "config": {"a": 1},
        "secret_config": {"k": "s"},
    }
    expected = perform(organization(), MODULE, check_mode=True, **task)["channel"]
    result = perform(organization(), MODULE, **task)["channel"]
    assert result == {**expected, "id": "nch_1"}
    assert perform(organization({}), MODULE, name="Alerts", state="absent")["channel"] == {}


def test_a_created_channel_is_found_where_the_answer_lacks_its_id():
    api = organization().fail(POST, lambda data: {})
    result = perform(api, MODULE, name="Alerts", type="email", enabled=False)
    assert not result.get("failed"), result["msg"]
    assert [(channel["name"], channel["enabled"]) for channel in api.channels] == [
        ("Alerts", False)
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"enabled": False}, None, id="update"),
        pytest.param(
            {
                "config": {"a": 2, "deep": {"x": 2}},
                "secret_config": {"deep": {"token": "new 5ecret"}, "url": "new 5ecret"},
            },
            {"a": 1, "deep": {"x": 1}},
            id="config",
        ),
        pytest.param({"state": "absent"}, None, id="absent"),
        pytest.param({"type": "email", "replace": True, "config": {"b": 1}}, {}, id="replaced"),
    ],
)
def test_the_diff_tells_no_key_of_the_config_that_the_task_does_not_name(options, told):
    """It could be a secret that the API does not hide."""
    api = organization({"config": {"a": 1, "deep": {"x": 1, "token": "5ecret"}, "url": "5ecret"}})
    result = perform_both(api, MODULE, name="Alerts", **options)
    assert "5ecret" not in str(result["diff"])
    assert result["diff"]["before"].get("config") == told


# Changes.

FOUND: dict = {
    "id": "nch_1",
    "type": "slack",
    "name": "Alerts",
    "enabled": True,
    "config": {"a": 1, "url": "old 5ecret", "room": "old 5ecret", "other": "old 5ecret"},
}
SHOWN = {"id": "nch_1", "type": "slack", "name": "Alerts", "enabled": True}
SECRETS = {"url": "new 5ecret", "room": "new 5ecret"}
KEYS = ["room", "url"]


@pytest.mark.parametrize(
    ("channels", "options", "changes"),
    [
        pytest.param(
            [],
            {"type": "email", "enabled": False, "config": {"a": 2, "token": "5ecret"}},
            [
                (
                    "create",
                    {},
                    {
                        "type": "email",
                        "name": "Alerts",
                        "config": {"a": 2},
                        "secret_config": ["room", "token", "url"],
                    },
                ),
                ("disable", {}, {"name": "Alerts", "enabled": False}),
                ("test", {}, {}),
            ],
            id="create",
        ),
        pytest.param(
            [FOUND],
            {"enabled": False},
            [
                (
                    "update",
                    {"id": "nch_1", "name": "Alerts", "enabled": True},
                    {"name": "Alerts", "enabled": False},
                ),
                ("test", {}, {}),
            ],
            id="update",
        ),
        pytest.param(
            [FOUND],
            {"config": {"a": 2}},
            [
                (
                    "update",
                    {"id": "nch_1", "name": "Alerts", "enabled": True, "config": {"a": 1}},
                    {
                        "name": "Alerts",
                        "enabled": True,
                        "config": {"a": 2},
                        "secret_config": KEYS,
                    },
                ),
                ("test", {}, {}),
            ],
            id="update-config",
        ),
        pytest.param([FOUND], {"enabled": True}, [], id="nothing"),
        pytest.param([FOUND], {"state": "absent"}, [("delete", SHOWN, {})], id="delete"),
        pytest.param(
            [FOUND],
            {"type": "email", "replace": True},
            [
                ("delete", SHOWN, {}),
                (
                    "create",
                    {},
                    {"type": "email", "name": "Alerts", "config": {}, "secret_config": KEYS},
                ),
                ("test", {}, {}),
            ],
            id="replace",
        ),
    ],
)
def test_changes_say_what_is_meant_without_secrets(channels, options, changes):
    task = {"state": "present", "name": "Alerts", "test": "on_change", "secret_config": SECRETS}
    plan = plan_channel(Channels(tuple(channels)), {**task, **options})
    assert [(change.action, change.before, change.after) for change in plan.changes] == changes
    assert {change.resource for change in plan.changes} <= {"notification_channels"}
    assert {change.object for change in plan.changes} <= {"Alerts"}
    assert "5ecret" not in json.dumps([change.to_data() for change in plan.changes])
    assert "5ecret" not in repr(plan.changes)


def test_an_update_of_something_else_has_the_config_and_a_body_without_it():
    options = {"name": "Alerts", "state": "present", "enabled": False, "secret_config": SECRETS}
    (change,) = plan_channel(Channels((FOUND,)), options).changes
    request = request_channel(change, options, FOUND)
    body = {"name": "Alerts", "enabled": False}
    assert f"{request.method} {request.path}" == PUT
    assert request.body == {**body, "config": {**FOUND["config"], **SECRETS}}
    assert request.fallback == body
    del options["secret_config"]
    request = request_channel(change, options, FOUND)
    assert (request.body, request.fallback) == (body, None)


@pytest.mark.parametrize(
    ("options", "verb"),
    [
        ({"state": "absent"}, "deleted"),
        ({"state": "present", "type": "email", "replace": True}, "replaced"),
    ],
)
def test_whether_a_plan_is_safe_is_asked_apart(options, verb):
    options = {"name": "Alerts", **options}
    state = Channels((FOUND,), (RULE,))
    plan = plan_channel(state, options)
    assert plan.changes[0].action == "delete"
    with pytest.raises(RefusedPlan, match=f"'Alerts' cannot be {verb}: the enabled rules 'Fail"):
        check_channel_plan(plan, state, options)
    with pytest.raises(RefusedPlan):
        CHANNEL.make_plan(state, options)
    check_channel_plan(plan, Channels((FOUND,), ({**RULE, "enabled": False},)), options)


def test_rules_are_no_obstacle_to_an_update():
    options = {"name": "Alerts", "state": "present", "enabled": False}
    state = Channels((FOUND,), (RULE, {**RULE, "channel_ids": "of another shape"}))
    assert CHANNEL.make_plan(state, options).changed
