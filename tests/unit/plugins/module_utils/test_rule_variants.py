# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification rules on APIs that replace the whole set, add filters, delay or normalize."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples
from unit.plugins.fake_api import FakeApi, Values, error, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules import planasonix_baseline
from ansible_collections.planasonix.admin.plugins.modules.planasonix_notification_rule import MODULE

POST = "POST /api/notifications/rules"
FIELDS = ("name", "event", "channel_ids", "filters", "enabled")
NEW = {"name": "New", "event": "dlq", "channels": ["Mail"]}


class VariantApi(FakeApi):
    """An API that understands and shows rules in its own way.

    :ivar meaning: What a POST replaces: the ``rule`` of its name, the whole ``set``, or the
        ``rule`` the first time and the set ``later``.
    :ivar harm: Called with the other rules after each POST.
    :ivar show: Makes of a stored rule what the list shows.
    :ivar store: Makes of a body what is stored.
    :ivar lag: For how many reads of the list a write does not show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meaning = "rule"
        self.harm: t.Callable[[list[Values]], None] = lambda others: None
        self.show: t.Callable[[Values], Values] = lambda rule: rule
        self.store: t.Callable[[Values], Values] = lambda body: body
        self.lag = 0
        self.stale: list[list[Values]] = []
        self.add_channel("Mail", "email")

    def answer(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if (method, path) == ("GET", ["notifications", "rules"]):
            rules = self.stale.pop(0) if self.stale else copy.deepcopy(self.rules)
            return 200, [self.show(rule) for rule in rules]
        return super().answer(method, path, body)

    def _rule(self, body: Values) -> tuple[int, t.Any]:
        before = copy.deepcopy(self.rules)
        body = self.store(body)
        if self.meaning == "set":
            self.rules[:] = [rule for rule in self.rules if rule["name"] == body["name"]]
        result = super()._rule(body)
        self.harm([rule for rule in self.rules if rule["name"] != body["name"]])
        self.stale = [before] * self.lag
        return result

    def stored(self, *names: str) -> list[Values]:
        """What is stored of some rules, without their ids."""
        return [
            {name: rule[name] for name in FIELDS} for rule in self.rules if rule["name"] in names
        ]


# Other rules.


def three_rules() -> VariantApi:
    api = VariantApi()
    for name in "ABC":
        api.add_rule(name, ["nch_1"], filters={"threshold": 5})
    return api


@pytest.mark.parametrize("task", [NEW, {"name": "A", "enabled": False}], ids=["new", "replaced"])
def test_a_write_that_replaces_the_set_is_an_error_with_all_that_is_lost(task):
    api = three_rules()
    before = {rule["name"]: rule for rule in copy.deepcopy(api.rules)}
    api.meaning = "set"
    result = perform(api, MODULE, **task)
    assert (result["failed"], result["changed"]) == (True, True)
    assert len(api.writes) == 2  # the task's own, and one try to restore
    there = {rule["name"] for rule in api.rules}
    lost = {rule["name"]: rule for rule in result["lost_rules"]}
    assert lost.keys() | there == {*before, task["name"]} and not lost.keys() & there
    assert all(lost[name] == before[name] for name in lost.keys() & before.keys() - {task["name"]})
    assert "this collection cannot manage them" in result["msg"]
    assert all(repr(name) in result["msg"] for name in (*lost, *there))


@pytest.mark.parametrize("task", [NEW, {"name": "A", "enabled": False}], ids=["new", "replaced"])
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda others: others[0].update(enabled=False), id="changed"),
        pytest.param(lambda others: others[0].update(filters={}), id="filters"),
        pytest.param(lambda others: others[-1].update(event="x"), id="event"),
        pytest.param(None, id="removed"),
    ],
)
def test_rules_that_a_write_harmed_once_are_restored(task, harm):
    api = three_rules()
    before = api.stored("B", "C")
    harms = [harm or (lambda others: api.rules.remove(others[0]))]
    api.harm = lambda others: (
        harms.pop()([r for r in others if r["name"] != "A"]) if harms else None
    )
    result = perform(api, MODULE, **task)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "also removed or changed other rules" in result["msg"]
    assert "They were restored." in result["msg"] and "lost_rules" not in result
    assert sorted(api.stored("B", "C"), key=json.dumps) == sorted(before, key=json.dumps)
    assert api.stored(task["name"])
    assert not perform(api, MODULE, **task).get("failed")


def test_rules_that_only_got_other_ids_or_times_are_not_lost():
    api = three_rules()

    def harm(others: list[Values]) -> None:
        for rule in others:
            rule.update(id=f"{rule['id']}x", last_triggered_at="2026-01-01T00:00:00Z")

    api.harm = harm
    assert perform(api, MODULE, **NEW)["changed"]


def test_a_nameless_rule_is_left_alone_and_missed():
    api = three_rules()
    api.rules[0]["name"] = None
    assert perform_both(api, MODULE, name="B", enabled=False)["changed"]
    assert perform(api, MODULE, name="B")["msg"] == "no change"
    api.harm = lambda others: api.rules.remove(next(one for one in others if one["name"] is None))
    result = perform(api, MODULE, **NEW)
    assert [rule["name"] for rule in result["lost_rules"]] == [None]


def test_rules_of_which_none_has_the_field_name_are_an_error():
    api = three_rules()
    for rule in api.rules:
        del rule["name"]
    assert "lacks the field 'name'" in perform(api, MODULE, **NEW)["msg"] and api.writes == []


def test_a_rule_that_cannot_be_restored_does_not_keep_the_next_from_it():
    api = three_rules()
    api.harm = lambda others: api.rules.__delitem__(slice(0, 2)) if len(api.writes) == 1 else None
    api.fail(POST, "500 before", skip=1)
    result = perform(api, MODULE, **NEW)
    assert [rule["name"] for rule in result["lost_rules"]] == ["A"]
    assert {rule["name"] for rule in api.rules} == {"B", "C", "New"}


def test_what_is_lost_is_reported_also_if_nothing_can_be_read_any_more():
    api = three_rules()
    api.meaning = "set"
    api.fail("GET */rules", "500 before", skip=6, times=99)
    result = perform(api, MODULE, retry_budget=4, **NEW)
    assert [rule["name"] for rule in result["lost_rules"]] == ["A", "B", "C"]


def test_a_lost_answer_does_not_hide_that_others_are_lost():
    api = three_rules()
    api.meaning = "set"
    api.fail(POST, "500 after")
    result = perform(api, MODULE, **NEW)
    assert [rule["name"] for rule in result["lost_rules"]] == ["A", "B", "C"]
    assert "Other rules are gone or changed: 'A', 'B', 'C'." in result["msg"]


def test_the_baseline_stops_at_the_first_rule_that_takes_others_away():
    api = three_rules()
    api.meaning = "set"
    require = {"present": [NEW, {**NEW, "name": "More"}]}
    result = perform(
        api,
        planasonix_baseline.MODULE,
        controls=[{"resource": "notification_rules", "require": require}],
    )
    assert result["failed"] and result["lost_rules"]
    assert "More" not in [body["name"] for body in api.bodies]


RULES = st.dictionaries(
    st.sampled_from(["A", "B", "C", "D"]),
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["x", "y"]),
            "enabled": st.booleans(),
            "filters": st.sampled_from([{}, {"threshold": 1}, {"pipeline_ids": ["p"]}]),
        }
    ),
    max_size=4,
)


@examples(60)
@given(
    rules=RULES,
    name=st.sampled_from(["A", "B", "E"]),
    meaning=st.sampled_from(["rule", "set"]),
    replacement=st.sampled_from(["keep_id", "change_id", "leave_old"]),
    enabled=st.booleans(),
)
def test_no_rule_is_lost_silently(rules, name, meaning, replacement, enabled):
    """Whatever a POST means: either all other rules are as before, or the task fails with them."""
    api = VariantApi()
    for one, values in rules.items():
        api.add_rule(one, ["nch_1"], **values)
    before = {rule["name"]: rule for rule in copy.deepcopy(api.rules)}
    api.meaning, api.rule_replacement = meaning, replacement
    result = perform(
        api, MODULE, name=name, event="z", channels=["Mail"], enabled=enabled, filters={}
    )
    lost = {rule["name"]: rule for rule in result.get("lost_rules", [])}
    for other, rule in before.items():
        if other != name:
            assert (other in lost) is not any(one["name"] == other for one in api.rules)
            assert lost.get(other, rule) == rule
            assert other in lost or api.stored(other) == [{name: rule[name] for name in FIELDS}]
            assert other not in lost or result["failed"]
    if not result.get("failed"):
        assert api.stored(name) == [
            {
                "name": name,
                "event": "z",
                "channel_ids": ["nch_1"],
                "filters": {},
                "enabled": enabled,
            }
        ]
        assert not perform(
            api, MODULE, name=name, event="z", channels=["Mail"], enabled=enabled, filters={}
        )["changed"]


# Filters.


def without_filters(rule: Values) -> Values:
    return {name: value for name, value in rule.items() if name != "filters"}


SHOWN = [
    pytest.param(lambda rule: rule, id="as-they-are"),
    pytest.param(
        lambda rule: rule if rule["filters"] else without_filters(rule), id="empty-is-left-out"
    ),
    pytest.param(lambda rule: {**rule, "filters": rule["filters"] or None}, id="empty-is-null"),
    pytest.param(lambda rule: {**rule, "filters": rule["filters"] or []}, id="empty-is-a-list"),
    pytest.param(
        lambda rule: {**rule, "filters": {"window_minutes": 5, **rule["filters"]}}, id="default"
    ),
    pytest.param(
        lambda rule: {**rule, "filters": {"severity": None, "pipeline_ids": [], **rule["filters"]}},
        id="nulls",
    ),
]


@pytest.mark.parametrize("show", SHOWN)
@pytest.mark.parametrize("filters", [None, {}, {"threshold": 100}], ids=["unset", "empty", "set"])
def test_filters_that_the_api_adds_or_leaves_out(show, filters):
    api = VariantApi()
    api.show = show
    task = {**NEW, **({} if filters is None else {"filters": filters})}
    assert perform_both(api, MODULE, **task)["changed"]
    assert not perform_both_again(api, task)["changed"]
    assert perform_both_again(api, {"name": "New", "enabled": False})["changed"]
    assert not perform_both_again(api, {**task, "enabled": False})["changed"]
    assert perform_both_again(api, {**task, "filters": {"threshold": 7}})["changed"]
    assert not perform_both_again(api, {**task, "filters": {"threshold": 7}})["changed"]
    assert perform_both_again(api, {**task, "filters": {}})["changed"]
    assert not perform_both_again(api, {**task, "filters": {}})["changed"]
    assert [body["filters"].get("threshold") for body in api.bodies[-1:]] == [None]


@pytest.mark.parametrize("show", SHOWN)
def test_a_control_about_a_rule_is_fixed_once(show):
    api = VariantApi()
    api.show = show
    controls = [
        {
            "id": name,
            "resource": "notification_rules",
            "require": {"present": [{**NEW, "name": name, "enabled": True}]},
        }
        for name in ("First", "Second")
    ]
    first = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert first["summary"]["fixed"] == 2, first["msg"]
    second = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert (second["changed"], second["summary"]["pass"]) == (False, 2)


def perform_both_again(api: FakeApi, task: Values) -> Values:
    """Run a task in both ways, with what was logged before forgotten once it is compared."""
    writes, api.log = api.log, []
    result = perform_both(api, MODULE, **task)
    api.log = [*writes, *api.log]
    return result


def test_filters_that_stay_although_no_task_names_them_are_told():
    api = VariantApi()
    api.add_rule("R", filters={"threshold": 1, "window_minutes": 5})
    result = perform_both(api, MODULE, name="R", filters={"threshold": 1})
    assert not result["changed"]
    assert result["msg"] == (
        "no change (filters has window_minutes 5, which the task does not name; it stays)"
    )
    task: dict = {"name": "R", "filters": {"threshold": 1, "window_minutes": None}}
    assert perform_both(api, MODULE, **task)["changed"]
    assert api.rules[0]["filters"] == {"threshold": 1}
    assert perform(api, MODULE, **task)["msg"] == "no change"


@pytest.mark.parametrize("left", [{"threshold": 9}, {"pipeline_ids": ["p"]}, {"teams": ["a"]}])
@pytest.mark.parametrize("filters", [{}, {"severity": "high"}])
def test_filters_that_somebody_set_are_taken_away(left, filters):
    api = VariantApi()
    api.add_rule("R", filters={**left, **filters})
    assert perform_both(api, MODULE, name="R", filters=filters)["changed"]
    assert api.rules[0]["filters"] == filters


def test_a_filter_that_the_api_does_not_take_away_is_an_error():
    api = VariantApi()
    api.add_rule("R", filters={"threshold": 9})
    api.store = lambda body: {**body, "filters": {"threshold": 9, **body["filters"]}}
    result = perform(api, MODULE, name="R", filters={})
    assert "shows no effect (filters.threshold 9 -> (unset))" in result["msg"]


@pytest.mark.parametrize(
    ("stored", "desired"),
    [
        ({"threshold": "100"}, {"threshold": 100}),
        ({"threshold": 100.0}, {"threshold": 100}),
        ({"match": [{"b": 1}, {"a": 1}]}, {"match": [{"a": 1}, {"b": 1}]}),
        ({"nested": {"a": 1, "default": 2}}, {"nested": {"a": 1}}),
    ],
)
def test_filters_in_another_spelling(stored, desired):
    api = VariantApi()
    api.add_rule("R", filters=stored)
    assert not perform_both(api, MODULE, name="R", filters=desired)["changed"]


def test_a_null_filter_is_not_echoed():
    api = VariantApi()
    api.add_rule("R", filters={"threshold": 1, "severity": None})
    assert perform_both(api, MODULE, name="R", enabled=False)["changed"]
    assert api.bodies[0]["filters"] == {"threshold": 1}


def test_filters_of_another_shape_are_named():
    api = VariantApi()
    api.add_rule("R", filters="severity=high")
    for options in ({"filters": {"a": 1}}, {"enabled": False}):
        result = perform(api, MODULE, name="R", **options)
        assert "'R' has filters that are no mapping" in result["msg"] and api.writes == []


# Ids, shapes and names.


def numbered() -> VariantApi:
    """Two channels whose ids are numbers, and a rule that names one by its text."""
    api = VariantApi()
    api.channels = [{"id": 46, "type": "email", "name": "Mail", "enabled": True, "config": {}}]
    api.add_channel("Chat", "email", id=47)
    api.add_rule("R", ["46"])
    return api


@pytest.mark.parametrize("ids", [["46"], [46], [{"id": 46}], [{"id": "46", "name": "Mail"}]])
def test_ids_compare_by_spelling_and_are_sent_as_the_channels_have_them(ids):
    api = numbered()
    api.rules[0]["channel_ids"] = ids
    assert not perform_both(api, MODULE, name="R", channels=["Mail"])["changed"]
    assert not perform_both(api, MODULE, name="R", channels=["46"])["changed"]
    result = perform_both(api, MODULE, name="R", enabled=False)
    assert api.bodies[0]["channel_ids"] == [46]
    assert result["rule"]["channels"] == ["Mail"]
    api.log.clear()
    assert perform_both(api, MODULE, name="R", channels=["47"])["changed"]
    assert api.bodies[0]["channel_ids"] == [47]


@pytest.mark.parametrize("ids", ["nch_1", {"id": "nch_1"}, [["nch_1"]], [None], [True]])
def test_channel_ids_of_another_shape_are_named(ids):
    api = VariantApi()
    api.add_rule("R")
    api.rules[0]["channel_ids"] = ids
    result = perform(api, MODULE, name="R", enabled=False)
    assert "'R' has no list of ids in channel_ids" in result["msg"] and api.writes == []
    assert not perform(api, MODULE, name="R")["changed"]


@pytest.mark.parametrize("enabled", ["true", 1, "1"])
def test_enabled_in_another_spelling(enabled):
    api = VariantApi()
    api.add_rule("R", enabled=enabled)
    assert perform(api, MODULE, name="R", event="other")["changed"]
    assert api.bodies[0]["enabled"] == enabled
    api.log.clear()
    assert not perform_both(api, MODULE, name="R", enabled=True)["changed"]
    assert perform_both(api, MODULE, name="R", enabled=False)["changed"]


@pytest.mark.parametrize(
    ("option", "value"), [("event", ""), ("name", " "), ("channels", ["Mail", ""])]
)
def test_an_empty_text_is_an_unset_variable(option, value):
    result = perform(VariantApi(), MODULE, **{**NEW, option: value})
    assert "is empty; is the variable that it comes from set?" in result["msg"]


@pytest.mark.parametrize("listed", ["Cafe\u0301", " Caf\u00e9 "])
def test_a_rule_is_replaced_under_the_name_that_the_api_has(listed):
    api = VariantApi()
    api.add_rule(listed)
    assert perform_both(api, MODULE, name="Caf\u00e9", enabled=False)["changed"]
    assert [rule["name"] for rule in api.rules] == [listed]


def test_a_name_that_the_api_changes_is_told():
    api = VariantApi()
    api.store = lambda body: {**body, "name": body["name"].lower()}
    result = perform(api, MODULE, **NEW)
    assert result["msg"] == (
        "The API stores the name of the notification rule 'New' as 'new'. The rule is there; "
        "write 'new' in the task."
    )


def test_an_event_that_the_api_changes_is_told_with_both_values():
    api = VariantApi()
    api.store = lambda body: {**body, "event": body["event"].upper()}
    message = perform(api, MODULE, **NEW)["msg"]
    assert message == (
        'The API stores event as "DLQ"; the task asks for "dlq": write it as the API does.'
    )


def test_a_field_that_a_new_rule_does_not_name_is_not_verified():
    api = VariantApi()
    api.store = lambda body: {**body, "enabled": False}
    assert perform(api, MODULE, **NEW)["changed"]
    assert "enabled" in perform(api, MODULE, **{**NEW, "enabled": True})["msg"]


# Late and marked.


@pytest.mark.parametrize("lag", [1, 2, 4])
@pytest.mark.parametrize("replacement", ["keep_id", "change_id"])
@pytest.mark.parametrize("task", [NEW, {"name": "A", "enabled": False}], ids=["new", "replaced"])
def test_a_list_that_lags_is_read_again(lag, replacement, task):
    api = three_rules()
    api.lag, api.rule_replacement = lag, replacement
    result = perform(api, MODULE, **task)
    assert (result.get("failed"), result["changed"], api.writes) == (None, True, [POST])
    assert sum(api.pauses) < 6


def test_an_old_rule_that_stays_a_while_is_waited_for():
    api = three_rules()
    api.rule_replacement = "leave_old"
    reads = []

    def show(rule: Values) -> Values:
        reads.append(rule)
        if len(reads) > 12:
            api.rules[:] = [one for one in api.rules if one["id"] != "nrl_2"]
        return rule

    api.show = show
    assert perform(api, MODULE, name="A", enabled=False)["changed"]


@pytest.mark.parametrize("mark", [{"deleted_at": "2025-01-01T00:00:00Z"}, {"state": "deleted"}])
def test_a_rule_that_is_marked_as_deleted_does_not_count(mark):
    api = VariantApi()
    api.add_rule("New", **mark)
    api.rule_replacement = "leave_old"
    assert "needed to create it" in perform(api, MODULE, name="New", enabled=False)["msg"]
    assert perform_both(api, MODULE, **NEW)["changed"]
    api.channels[0] |= mark
    assert "no notification channel has the name" in perform(api, MODULE, **NEW)["msg"]


# A channel that is gone.


def refusing_unknown(api: FakeApi) -> None:
    """Let the API refuse rules that name a channel which is gone."""
    answer = api.answer

    def checked(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        known = [channel["id"] for channel in api.channels]
        if method == "POST" and not set(body.get("channel_ids", [])) <= set(known):
            return error(422, "unknown_channel")
        return answer(method, path, body)

    api.answer = checked  # type: ignore[method-assign]


def test_a_rule_whose_channel_is_gone_is_refused_alone():
    api = VariantApi()
    for name, channel in (("A", "nch_1"), ("Gone", "nch_9"), ("Z", "nch_1")):
        api.add_rule(name, [channel])
    refusing_unknown(api)
    controls = [
        {
            "id": name,
            "resource": "notification_rules",
            "require": {"present": [{"name": name, "enabled": False}]},
        }
        for name in ("A", "Gone", "Z")
    ]
    result = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert not result.get("failed"), result["msg"]
    found = {control["id"]: control for control in result["controls"]}
    assert {name: control["status"] for name, control in found.items()} == {
        "A": "fixed",
        "Gone": "fail",
        "Z": "fixed",
    }
    assert "Not remediated: " in found["Gone"]["detail"]
    assert "nch_9, a channel that no longer exists: give channels" in found["Gone"]["detail"]
    assert (found["Gone"]["remediable"], result["compliant"]) == (False, False)
    assert "names nch_9" in perform(api, MODULE, name="Gone", enabled=False)["msg"]


def test_a_channel_that_a_refused_rule_still_uses_is_not_deleted():
    api = VariantApi()
    api.add_channel("Spare", "email", id="nch_spare")
    api.add_rule("Gone", ["nch_9", "nch_spare"])
    refusing_unknown(api)
    controls = [
        {
            "id": "C",
            "resource": "notification_channels",
            "require": {"present": [{"name": "Mail"}], "purge": True},
        },
        {
            "id": "R",
            "resource": "notification_rules",
            "require": {"present": [{"name": "Gone", "enabled": False}]},
        },
    ]
    result = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert not result.get("failed"), result["msg"]
    assert [control["status"] for control in result["controls"]] == ["fail", "fail"]
    assert [channel["name"] for channel in api.channels] == ["Mail", "Spare"]
    assert "'Gone' use it" in result["controls"][0]["detail"]
