# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading back with patience, in the runner and in the baseline, and options that identify."""

from __future__ import annotations

import copy
import typing as t

import pytest
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import clean_options
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    CONFIRMATION_PAUSES,
    same_id,
)
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_log_retention,
    planasonix_notification_channel,
    planasonix_notification_rule,
    planasonix_preferences,
    planasonix_profile,
    planasonix_session_timeout,
    planasonix_settings,
)

BASELINE, TIMEOUT = planasonix_baseline.MODULE, planasonix_session_timeout.MODULE
CHANNEL, RULE = planasonix_notification_channel.MODULE, planasonix_notification_rule.MODULE
RETENTION, PROFILE = planasonix_log_retention.MODULE, planasonix_profile.MODULE
PREFERENCES, SETTINGS = planasonix_preferences.MODULE, planasonix_settings.MODULE

IDLE = {"idle_timeout_minutes": 30}
NEW_RULE = {"name": "New", "event": "dlq", "channels": ["Alerts"]}
WRITES = [
    pytest.param(TIMEOUT, IDLE, "session_timeout", IDLE, id="session_timeout"),
    pytest.param(
        RETENTION, {"run_logs_days": 1}, "log_retention", {"run_logs_days": 1}, id="log_retention"
    ),
    pytest.param(
        PROFILE, {"display_name": "New"}, "profile", {"display_name": "New"}, id="profile"
    ),
    pytest.param(
        PREFERENCES,
        {"preferences": {"digest": "daily", "new": 1}},
        "preferences",
        {"digest": "daily", "new": 1},
        id="preferences",
    ),
    pytest.param(SETTINGS, {"require_sso": True}, "settings", {"require_sso": True}, id="settings"),
    pytest.param(
        SETTINGS,
        {"extra": {"feature_flags": {"lineage_v2": False}}},
        "settings",
        {"feature_flags": {"lineage_v2": False}},
        id="flags",
    ),
    pytest.param(
        CHANNEL,
        {"name": "Alerts", "enabled": False},
        "notification_channels",
        {"present": [{"name": "Alerts", "enabled": False}]},
        id="channel-updated",
    ),
    pytest.param(
        CHANNEL,
        {"name": "New", "type": "slack"},
        "notification_channels",
        {"present": [{"name": "New", "type": "slack"}]},
        id="channel-created",
    ),
    pytest.param(
        CHANNEL,
        {"name": "Alerts", "state": "absent"},
        "notification_channels",
        {"present": [], "purge": True},
        id="channel-deleted",
    ),
    pytest.param(RULE, NEW_RULE, "notification_rules", {"present": [NEW_RULE]}, id="rule-created"),
]


class LateApi(FakeApi):
    """An organization whose reads show a write late.

    :ivar late_reads: How often each path still shows what was before the last write.
    :ivar late_seconds: How long it does.
    """

    def __init__(self, late_reads: int = 0, late_seconds: float = 0) -> None:
        super().__init__()
        self.late_reads = late_reads
        self.late_seconds = late_seconds
        self.written: float | None = None
        self.stale: FakeApi | None = None
        self.reads: dict[str, int] = {}
        self.add_singletons()
        self.add_channel("Alerts")
        self.objects["features"] = {"features": ["sso"]}

    def answer(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if method != "GET":
            self.stale = FakeApi()
            for name in ("settings", "more_settings", "channels", "rules", "objects"):
                setattr(self.stale, name, copy.deepcopy(getattr(self, name)))
            self.written, self.reads = self.now, {}
            return super().answer(method, path, body)
        key = "/".join(path)
        self.reads[key] = self.reads.get(key, 0) + 1
        if self.stale is not None and self.written is not None:
            if self.reads[key] <= self.late_reads:
                return self.stale.answer(method, path, body)
            if self.now < self.written + self.late_seconds:
                return self.stale.answer(method, path, body)
        return super().answer(method, path, body)


LATE = [{"late_reads": 1}, {"late_seconds": 1.5}, {"late_reads": 2, "late_seconds": 4}]


def control(resource: str, require: t.Any) -> dict[str, t.Any]:
    return {"resource": resource, "require": require}


@pytest.mark.parametrize("late", LATE, ids=["one-read", "1.5-seconds", "4-seconds"])
@pytest.mark.parametrize(("module", "options", "dummy_resource", "dummy_require"), WRITES)
def test_the_runner_waits_until_a_write_shows(module, options, dummy_resource, dummy_require, late):
    prompt, api = LateApi(), LateApi(**late)
    expected, result = perform(prompt, module, **options), perform(api, module, **options)
    assert result == expected
    assert (result["changed"], api.writes) == (True, prompt.writes)
    assert 0 < sum(api.pauses) <= sum(CONFIRMATION_PAUSES)
    assert not perform(api, module, **options)["changed"]


@pytest.mark.parametrize("late", LATE, ids=["one-read", "1.5-seconds", "4-seconds"])
@pytest.mark.parametrize(("dummy_module", "dummy_options", "resource", "require"), WRITES)
def test_the_baseline_waits_until_a_write_shows(
    dummy_module, dummy_options, resource, require, late
):
    prompt, api = LateApi(), LateApi(**late)
    controls = [control(resource, require)]
    expected = perform(prompt, BASELINE, controls=controls)
    result = perform(api, BASELINE, controls=controls)
    assert result == expected
    assert [one["status"] for one in result["controls"]] == ["fixed"]
    assert api.writes == prompt.writes


@pytest.mark.parametrize("late", LATE, ids=["one-read", "1.5-seconds", "4-seconds"])
def test_several_late_writes_are_one_run(late):
    api = LateApi(**late)
    controls = [
        control("session_timeout", IDLE),
        control("log_retention", {"run_logs_days": 1}),
        control("notification_channels", {"present": [{"name": "New", "type": "slack"}]}),
        control("notification_rules", {"present": [{**NEW_RULE, "channels": ["New"]}]}),
    ]
    result = perform(api, BASELINE, controls=controls)
    assert [one["status"] for one in result["controls"]] == ["fixed"] * 4
    assert len(api.writes) == len(set(api.writes)) == 4


@pytest.mark.parametrize("module", [TIMEOUT, BASELINE], ids=["runner", "baseline"])
@pytest.mark.parametrize("budget", [0, 0.5, 1, 120])
def test_pauses_are_bounded_by_the_budget_and_by_a_few_seconds(module, budget):
    api = LateApi(late_seconds=10_000)
    options = IDLE if module is TIMEOUT else {"controls": [control("session_timeout", IDLE)]}
    result = perform(api, module, retry_budget=budget, **options)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"] == (
        "The API accepted the change, but it shows no effect (idle_timeout_minutes 60 -> 30); "
        "look at it in the product before you run again. "
        "If the API limits the value or spells it differently, write it as the API does."
    )
    assert sum(api.pauses) <= min(budget, sum(CONFIRMATION_PAUSES)) < 6
    assert bool(api.pauses) is (budget > 0)
    assert api.pauses == sorted(api.pauses)
    assert api.writes == ["PUT /api/session-timeout"]


@pytest.mark.parametrize(("budget", "confirmed"), [(120, True), (0, False)])
def test_a_server_error_while_reading_back_may_pass(budget, confirmed):
    api = LateApi().fail("GET *", "500 before", skip=1)
    result = perform(api, TIMEOUT, retry_budget=budget, **IDLE)
    assert (result.get("failed", False), result["changed"]) == (not confirmed, True)
    assert api.writes == ["PUT /api/session-timeout"]


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("module", [TIMEOUT, BASELINE], ids=["runner", "baseline"])
def test_what_was_written_and_cannot_be_read_back_is_told(module, status):
    api = LateApi().fail("GET /api/session-timeout", f"{status} before", skip=1, times=99)
    controls = [
        control("session_timeout", IDLE),
        control("log_retention", {"run_logs_days": 1}),
    ]
    result = perform(api, module, **(IDLE if module is TIMEOUT else {"controls": controls}))
    assert (result["failed"], result["changed"], result["status"]) == (True, True, status)
    assert result["msg"].startswith(
        "The change was made (session_timeout: idle_timeout_minutes 60 -> 30), "
        "but could not be confirmed: Could not read the session timeout: "
    )
    assert api.writes == ["PUT /api/session-timeout"]
    if module is BASELINE:
        written, waiting = result["controls"]
        assert (written["status"], waiting["status"]) == ("error", "error")
        assert "could not be confirmed" in written["detail"]
        assert waiting["detail"].endswith(
            "Not written, since the write before could not be confirmed"
        )
    assert bool(api.pauses) is (status == 500)  # a refusal stays


IDENTIFIED = {"name": " ci ", "scopes": ["a ", " b"], "config": {"x": " kept "}, "label": " x "}


def test_what_identifies_something_is_trimmed():
    assert clean_options(IDENTIFIED) == {
        "name": "ci",
        "scopes": ["a", "b"],
        "config": {"x": " kept "},
        "label": " x ",
    }
    assert clean_options({"name": "Cafe\u0301"}) == {"name": "Caf\u00e9"}
    assert clean_options({"scopes": [], "entries": [{"cidr": "x"}], "n": [1]}) == {
        "scopes": [],
        "entries": [{"cidr": "x"}],
        "n": [1],
    }


@pytest.mark.parametrize(
    ("options", "what"),
    [
        *(
            pytest.param({name: text}, name, id=f"{name}-{text!r}")
            for name in ("name", "key_id", "channel_id", "event", "type")
            for text in ("", " \t\n")
        ),
        pytest.param({"scopes": ["a", ""]}, "an element of scopes", id="element"),
        pytest.param({"channels": [" "]}, "an element of channels", id="blank-element"),
    ],
)
def test_what_is_empty_is_refused(options, what):
    with pytest.raises(InvalidOption) as caught:
        clean_options(options)
    assert caught.value.message == f"{what} is empty; is the variable that it comes from set?"


@pytest.mark.parametrize(
    "value", ["\ud83d", ["a", "\udfff"], {"a": {"b": ["\ud800"]}}, {"\udc00": 1}], ids=repr
)
def test_half_a_character_is_refused(value):
    with pytest.raises(InvalidOption, match="config contains half a character"):
        clean_options({"config": value})


@pytest.mark.parametrize(
    ("one", "other", "same"), [(43, "43", True), ("a", "a", True), (43, "44", False)]
)
def test_same_id(one, other, same):
    assert same_id(one, other) is same
