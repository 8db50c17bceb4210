# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification rules: created or replaced by name, with their channels by name."""

from __future__ import annotations

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.module_utils._notifications import RULES_PATH
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Write
from ansible_collections.planasonix.admin.plugins.module_utils._rules import (
    Rules,
    plan_rule,
    request_rule,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_notification_rule import MODULE

POST = "POST /api/notifications/rules"
FULL = {
    "name": "Failures",
    "event": "pipeline.run.failed",
    "channels": ["Mail", "Chat"],
    "filters": {"pipeline_ids": ["a", "b"]},
    "enabled": True,
}


@pytest.fixture
def api() -> FakeApi:
    """Three channels, and a rule that sends to two of them."""
    api = FakeApi()
    mail, chat, api.spare = (api.add_channel(name) for name in ("Mail", "Chat", "Spare"))  # type: ignore[attr-defined]
    api.add_rule("Failures", [mail, chat], filters={"pipeline_ids": ["a", "b"], "threshold": 5})
    return api


# what is given beside the name, what changes in the body, message
CHANGES = [
    pytest.param(
        {"event": "dlq"}, {"event": "dlq"}, 'event "pipeline.run.failed" -> "dlq"', id="event"
    ),
    pytest.param({"enabled": False}, {"enabled": False}, "enabled true -> false", id="retired"),
    pytest.param(
        {"channels": ["Mail"]},
        {"channel_ids": ["nch_1"]},
        'channels ["Mail", "Chat"] -> ["Mail"]',
        id="fewer-channels",
    ),
    pytest.param(
        {"channels": []}, {"channel_ids": []}, 'channels ["Mail", "Chat"] -> []', id="no-channels"
    ),
    pytest.param(
        {"channels": ["Spare", "Chat", "Mail"]},
        {"channel_ids": ["nch_3", "nch_2", "nch_1"]},
        'channels ["Mail", "Chat"] -> ["Spare", "Chat", "Mail"]',
        id="more-channels",
    ),
    pytest.param(
        {"filters": {"pipeline_ids": ["a"]}},
        {"filters": {"pipeline_ids": ["a"]}},
        'filters.pipeline_ids ["a", "b"] -> ["a"], filters.threshold 5 -> (unset)',
        id="filters-replaced-whole",
    ),
    pytest.param(
        {"filters": {}},
        {"filters": {}},
        'filters.pipeline_ids ["a", "b"] -> (unset), filters.threshold 5 -> (unset)',
        id="no-filters",
    ),
]


@pytest.mark.parametrize("replacement", ["keep_id", "change_id"])
@pytest.mark.parametrize(("options", "changes", "message"), CHANGES)
def test_a_change_keeps_what_is_not_named(api, replacement, options, changes, message):
    api.rule_replacement = replacement
    old = dict(api.rules[0])
    expected = perform(api, MODULE, check_mode=True, name="Failures", **options)
    result = perform_both(api, MODULE, name="Failures", **options)
    assert (result["changed"], result["msg"]) == (True, f"notification rule 'Failures': {message}")
    assert api.bodies == [
        {
            **{name: old[name] for name in ("name", "event", "channel_ids", "filters", "enabled")},
            **changes,
        }
    ]
    assert expected["rule"] == {
        name: value for name, value in result["rule"].items() if name != "id"
    }
    assert (result["rule"]["id"] == old["id"]) is (replacement == "keep_id")
    again = perform(api, MODULE, name="Failures", **options)
    assert (again["changed"], again["rule"]) == (False, result["rule"])
    assert api.writes == [POST]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"channels": ["Chat", "Mail"]}, id="other-order"),
        pytest.param({"channels": ["nch_1", "Chat", "Mail"]}, id="ids-and-names"),
        pytest.param(
            {"filters": {"threshold": 5, "pipeline_ids": ["b", "a"]}}, id="filters-in-other-order"
        ),
        pytest.param({"event": "pipeline.run.failed", "enabled": True}, id="as-it-is"),
    ],
)
def test_nothing_to_change(api, options):
    result = perform_both(api, MODULE, name="Failures", **options)
    assert (result["changed"], result["msg"], api.writes) == (False, "no change", [])
    assert result["rule"] == {**api.rules[0], "channels": ["Mail", "Chat"]}
    assert result["diff"]["before"] == result["diff"]["after"]


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({}, {"filters": {}, "enabled": True}),
        ({"filters": {"a": 1}, "enabled": False}, {"filters": {"a": 1}, "enabled": False}),
    ],
    ids=["least", "all"],
)
def test_creation(api, more, sent):
    options = {"name": "New", "event": "dlq", "channels": ["Spare"], **more}
    expected = perform(api, MODULE, check_mode=True, **options)
    result = perform_both(api, MODULE, **options)
    assert api.bodies == [{"name": "New", "event": "dlq", "channel_ids": ["nch_3"], **sent}]
    assert (result["msg"], result["diff"]["before"]) == ("notification rule 'New': created", {})
    assert result["rule"] == {**expected["rule"], "id": result["rule"]["id"]}
    assert result["rule"]["channels"] == ["Spare"]
    assert not perform(api, MODULE, **options)["changed"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param(
            {"name": "New"},
            "does not exist; event and channels are needed to create it.",
            id="nothing-to-create-it-with",
        ),
        pytest.param(
            {"name": "New", "event": "dlq"},
            "does not exist; channels is needed to create it.",
            id="no-channels",
        ),
        pytest.param(
            {"name": "Failures", "channels": ["Pager"]},
            "has the name or id 'Pager'; there are: 'Chat', 'Mail', 'Spare'.",
            id="unknown-channel",
        ),
        pytest.param(
            {"name": "New", "event": "dlq", "channels": ["nch_9"]},
            "has the name or id 'nch_9'",
            id="unknown-id",
        ),
        pytest.param({"name": ""}, "name is empty", id="no-name"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_what_cannot_be_met_is_refused(api, options, complaint, check_mode):
    result = perform(api, MODULE, check_mode, **options)
    assert result["failed"]
    assert complaint in result["msg"]
    assert api.writes == []


def test_no_channels_at_all(api):
    api.channels.clear()
    assert "there are: none." in perform(api, MODULE, name="Failures", channels=["Mail"])["msg"]


def test_two_channels_of_one_name_are_told_apart_by_id(api):
    second = api.add_channel("Mail")
    result = perform(api, MODULE, name="Failures", channels=["Mail"])
    assert f"have the name or id 'Mail': nch_1, {second}; give the id of one" in result["msg"]
    assert perform(api, MODULE, name="Failures", channels=[second])["rule"]["channel_ids"] == [
        second
    ]


def test_the_id_of_a_channel_that_is_gone_may_stay(api):
    del api.channels[1]
    result = perform_both(api, MODULE, name="Failures", channels=["Mail", "nch_2"], enabled=False)
    assert result["rule"]["channels"] == ["Mail", "nch_2"]
    assert perform(api, MODULE, name="Failures", channels=["Mail"])["rule"]["channel_ids"] == [
        "nch_1"
    ]
    assert perform(api, MODULE, name="Failures", channels=["nch_2"])["failed"]


def test_several_rules_of_one_name(api):
    second = api.add_rule("Failures")
    result = perform(api, MODULE, name="Failures", enabled=False)
    assert (
        f"Several notification rules are named 'Failures': nrl_4, {second}; the API cannot remove a rule"
        in result["msg"]
    )
    assert api.writes == []


def test_an_old_rule_that_is_left_beside_the_new_one(api):
    api.rule_replacement = "leave_old"
    result = perform(api, MODULE, name="Failures", enabled=False)
    assert (result["failed"], result["changed"]) == (True, True)
    assert (
        "left the old notification rule 'Failures' beside the new one: nrl_4, nrl_5; it cannot remove one"
        in result["msg"]
    )


@pytest.mark.parametrize("field", ["event", "channel_ids", "enabled"])
def test_a_field_that_the_api_does_not_tell(api, field):
    del api.rules[0][field]
    options = FULL
    option = "channels" if field == "channel_ids" else field
    result = perform(api, MODULE, name="Failures", **{option: options[option]})
    assert f"lacks the field {field!r}" in result["msg"]
    assert api.writes == []


def test_a_change_that_was_not_applied(api):
    answer = api.answer
    api.answer = lambda method, path, body: (
        (201, {"id": "nrl_4", **body}) if method == "POST" else answer(method, path, body)
    )  # type: ignore[method-assign]
    result = perform(api, MODULE, name="Failures", enabled=False)
    assert "shows no effect (enabled true -> false)" in result["msg"]


def test_a_rule_that_was_not_made(api):
    answer = api.answer
    api.answer = lambda method, path, body: (
        (201, {"id": "nrl_9", **body}) if method == "POST" else answer(method, path, body)
    )  # type: ignore[method-assign]
    assert (
        "'New' is not listed" in perform(api, MODULE, name="New", event="dlq", channels=[])["msg"]
    )


@pytest.mark.parametrize("replacement", ["keep_id", "change_id"])
@pytest.mark.parametrize(
    ("kind", "posts"), [("lost before", 2), ("lost after", 1), ("503 after", 1), ("502 before", 2)]
)
@pytest.mark.parametrize(
    "options",
    [{"name": "Failures", "enabled": False}, {**FULL, "name": "New"}],
    ids=["replaced", "created"],
)
def test_a_lost_answer_is_settled_by_reading(api, replacement, kind, posts, options):
    api.rule_replacement = replacement
    api.fail(POST, kind)
    result = perform(api, MODULE, **options)
    assert (result.get("failed"), result["changed"]) == (None, True)
    assert api.writes == [POST] * posts
    assert [rule["enabled"] for rule in api.rules if rule["name"] == options["name"]] == [
        options["enabled"]
    ]


def test_a_rule_is_never_deleted(api):
    """The API documents no such call, also where a lost attempt left a double."""
    api.rule_replacement = "leave_old"
    api.fail(POST, "lost before")
    result = perform(api, MODULE, name="Failures", enabled=False)
    assert "beside the new one" in result["msg"]
    assert set(api.writes) == {POST}


@pytest.mark.parametrize("field", ["event", "channel_ids", "enabled"])
def test_a_field_that_the_api_does_not_tell_would_be_reset(api, field):
    del api.rules[0][field]
    given = {"enabled": False} if field != "enabled" else {"event": "dlq"}
    result = perform(api, MODULE, name="Failures", **given)
    assert f"lacks the field {field!r}" in result["msg"]
    assert api.writes == []


def test_a_field_that_was_sent_to_keep_it_and_was_not_kept_is_an_error(api):
    answer = api.answer
    api.answer = lambda method, path, body: answer(
        method, path, {**body, "filters": {}} if method == "POST" else body
    )  # type: ignore[method-assign]
    assert perform(api, MODULE, name="Failures", enabled=False)["msg"] == (
        'The API changed filters.pipeline_ids, which was to stay: it was ["a", "b"] and is '
        "(unset); filters.threshold, which was to stay: it was 5 and is (unset)."
    )


def test_lists_that_are_null_are_empty(api):
    api.rules[0] |= {"channel_ids": None, "filters": None}
    assert not perform_both(api, MODULE, name="Failures", channels=[], filters={})["changed"]


def test_a_server_that_never_answers(api):
    api.fail(POST, "lost before", times=99)
    result = perform(api, MODULE, name="Failures", enabled=False, retries=2)
    assert "gave no whole answer" in result["msg"]
    assert api.writes == [POST] * 3


RULE = {
    "id": "r",
    "name": "R",
    "event": "e",
    "channel_ids": ["c"],
    "filters": {},
    "enabled": True,
}
CHANNEL = {"id": "c", "name": "C"}


def test_the_plan_is_one_change_and_its_request_has_all_fields():
    known, options = Rules((RULE,), (CHANNEL,)), {"name": "R", "event": "f"}
    (change,) = plan_rule(known, options).changes
    shown = {"name": "R", "event": "e", "channels": ["C"], "filters": {}, "enabled": True}
    assert change.to_data() == {
        "resource": "notification_rules",
        "action": "update",
        "object": "R",
        "before": shown,
        "after": {**shown, "event": "f"},
        "controls": [],
    }
    assert request_rule(change, options, known) == Write(
        "POST",
        RULES_PATH,
        {"name": "R", "event": "f", "channel_ids": ["c"], "filters": {}, "enabled": True},
        "replace the notification rule 'R'",
    )


@pytest.mark.parametrize("rules", [(), (RULE,)], ids=["create", "update"])
def test_a_request_has_the_ids_of_channels_that_an_earlier_change_created(rules):
    planned = {"id": "not yet known", "name": "New"}
    options = {"name": "R", "event": "f", "channels": ["c", "New"]}
    (change,) = plan_rule(Rules(rules, (CHANNEL, planned)), options).changes
    assert change.after["channels"] == ["C", "New"]
    assert "not yet known" not in str(change)
    created = {**planned, "id": 7}
    request = request_rule(change, options, Rules(rules, (CHANNEL, created)))
    assert request.body["channel_ids"] == ["c", 7]
