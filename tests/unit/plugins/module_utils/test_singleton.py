# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that there are once: they differ in their tables alone, so one table tests them all."""

from __future__ import annotations

import json
import typing as t

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_log_retention,
    planasonix_profile,
    planasonix_session_timeout,
)

TIMEOUT, RETENTION, PROFILE = (
    planasonix_session_timeout.MODULE,
    planasonix_log_retention.MODULE,
    planasonix_profile.MODULE,
)
PATHS = {
    "session_timeout": "session-timeout",
    "log_retention": "settings/log-retention",
    "profile": "user/profile",
}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi().add_singletons()


# module, options, body of the PUT (None: no PUT), message
PLANS = [
    pytest.param(TIMEOUT, {}, None, "no change", id="timeout-nothing-given"),
    pytest.param(
        TIMEOUT,
        {"idle_timeout_minutes": 60, "extend_on_activity": True},
        None,
        "no change",
        id="timeout-as-it-is",
    ),
    pytest.param(
        TIMEOUT,
        {"idle_timeout_minutes": 30},
        {"idle_timeout_minutes": 30, "absolute_timeout_minutes": 1440, "extend_on_activity": True},
        "session_timeout: idle_timeout_minutes 60 -> 30",
        id="timeout-one-field",
    ),
    pytest.param(
        TIMEOUT,
        {"idle_timeout_minutes": 15, "absolute_timeout_minutes": 15, "extend_on_activity": False},
        {"idle_timeout_minutes": 15, "absolute_timeout_minutes": 15, "extend_on_activity": False},
        "session_timeout: absolute_timeout_minutes 1440 -> 15, extend_on_activity true -> false, idle_timeout_minutes 60 -> 15",
        id="timeout-all-fields",
    ),
    pytest.param(RETENTION, {"audit_logs_days": 365}, None, "no change", id="retention-as-it-is"),
    pytest.param(
        RETENTION,
        {"run_logs_days": 14, "audit_logs_days": 365},
        {"run_logs_days": 14, "audit_logs_days": 365, "diagnostic_artifacts_days": 7},
        "log_retention: run_logs_days 30 -> 14",
        id="retention",
    ),
    pytest.param(
        PROFILE,
        {"display_name": "Automation"},
        {"display_name": "Automation", "timezone": "Etc/UTC", "locale": "en-US"},
        'profile: display_name "Alex" -> "Automation"',
        id="profile",
    ),
    pytest.param(
        PROFILE,
        {"display_name": ""},
        {"display_name": "", "timezone": "Etc/UTC", "locale": "en-US"},
        'profile: display_name "Alex" -> ""',
        id="profile-made-empty",
    ),
]


@pytest.mark.parametrize(("module", "options", "body", "message"), PLANS)
def test_plan(api, module, options, body, message):
    name = module.manages.name
    untouched = {**api.objects[PATHS[name]]}
    result = perform_both(api, module, **options)
    assert (result["changed"], result["msg"]) == (body is not None, message)
    assert api.writes == ([] if body is None else [f"PUT /api/{PATHS[name]}"])
    assert api.bodies == ([] if body is None else [body])
    assert result[name] == {**untouched, **(body or {})}
    assert set(result["diff"]["before"]) == set(result["diff"]["after"]) == set(options)
    for change in result["plan"]["changes"]:
        assert change["after"] == body
        assert change["before"] == {field: untouched[field] for field in body}


@pytest.mark.parametrize(
    "module", [TIMEOUT, RETENTION, PROFILE], ids=lambda module: module.manages.name
)
def test_check_mode_returns_what_the_run_will(api, module):
    name = module.manages.name
    field = next(iter(module.options))
    options = {field: "new" if name == "profile" else 5}
    expected = perform(api, module, check_mode=True, **options)
    assert expected == perform(api, module, **options)


@pytest.mark.parametrize(
    ("module", "options", "complaint"),
    [
        pytest.param(
            TIMEOUT,
            {"idle_timeout_minutes": 0},
            "idle_timeout_minutes must be at least 1 minute, not 0.",
            id="idle-0",
        ),
        pytest.param(
            TIMEOUT,
            {"absolute_timeout_minutes": -5},
            "absolute_timeout_minutes must be at least 1 minute, not -5.",
            id="absolute-negative",
        ),
        pytest.param(
            RETENTION,
            {"diagnostic_artifacts_days": 0},
            "diagnostic_artifacts_days must be at least 1 day, not 0.",
            id="retention-0",
        ),
        pytest.param(
            TIMEOUT,
            {"idle_timeout_minutes": 31, "absolute_timeout_minutes": 30},
            "would be 31 and absolute_timeout_minutes 30",
            id="both-given",
        ),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_options_that_cannot_be_used_are_refused_before_anything_is_read(
    api, module, options, complaint, check_mode
):
    result = perform(api, module, check_mode, **options)
    assert result["failed"]
    assert complaint in result["msg"]
    assert api.log == []


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        pytest.param({"idle_timeout_minutes": 1440}, True, id="idle-equal"),
        pytest.param({"idle_timeout_minutes": 1441}, False, id="idle-above"),
        pytest.param({"absolute_timeout_minutes": 60}, True, id="absolute-equal"),
        pytest.param({"absolute_timeout_minutes": 59}, False, id="absolute-below"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_idle_is_checked_against_the_merged_result(api, options, accepted, check_mode):
    result = perform(api, TIMEOUT, check_mode, **options)
    assert result.get("failed", False) is not accepted
    if not accepted:
        assert "idle may not exceed absolute" in result["msg"]
        assert api.writes == []


def test_a_field_that_the_api_does_not_tell_is_an_error_where_it_is_asked_for(api):
    del api.objects["settings/log-retention"]["audit_logs_days"]
    result = perform(api, RETENTION, audit_logs_days=365)
    assert "lacks the field 'audit_logs_days'" in result["msg"]
    assert api.writes == []


def test_a_field_that_the_api_does_not_tell_would_be_reset(api):
    del api.objects["settings/log-retention"]["audit_logs_days"]
    assert "lacks the field 'audit_logs_days'" in perform(api, RETENTION, run_logs_days=1)["msg"]
    assert api.writes == []


def test_a_change_that_cannot_be_confirmed_is_told(api):
    api.fail("GET *", "403 before", skip=1, times=9)
    result = perform(api, TIMEOUT, idle_timeout_minutes=30)
    assert (result["failed"], result["changed"], result["status"]) == (True, True, 403)
    assert result["msg"].startswith(
        "The change was made (session_timeout: idle_timeout_minutes 60 -> 30), but could not be confirmed: Could not read"
    )


def alter_put(api: FakeApi, alter: t.Callable[[t.Any], t.Any]) -> None:
    """Let the server store another body than the one that was sent."""
    answer = api.answer

    def answer_put(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        return answer(method, path, alter(body) if method == "PUT" else body)

    api.answer = answer_put  # type: ignore[method-assign]


def test_a_field_that_is_null_is_left_out(api):
    """A server that refuses null would make the module unusable."""
    api.objects["settings/log-retention"]["audit_logs_days"] = None
    assert perform_both(api, RETENTION, run_logs_days=1)["changed"]
    assert api.bodies == [{"run_logs_days": 1, "diagnostic_artifacts_days": 7}]
    assert api.objects["settings/log-retention"]["audit_logs_days"] is None


def test_a_null_field_that_the_server_fills_in_is_an_error(api):
    api.objects["settings/log-retention"]["audit_logs_days"] = None
    alter_put(api, lambda body: {"audit_logs_days": 90, **body})
    result = perform(api, RETENTION, run_logs_days=1)
    assert (result["failed"], result["changed"]) == (True, True)
    assert (
        "The API changed audit_logs_days, which was to stay: it was null and is 90."
        in (result["msg"])
    )


def test_a_field_that_was_sent_to_keep_it_and_was_not_kept_is_an_error(api):
    alter_put(api, lambda body: {**body, "extend_on_activity": False})
    assert (
        perform(api, TIMEOUT, idle_timeout_minutes=30)["msg"]
        == "The API changed extend_on_activity, which was to stay: it was true and is false."
    )


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("locale", "en_US", "en-US"),
        ("locale", "en-us", "en-US"),
        ("timezone", "UTC", "Etc/UTC"),
        ("timezone", "US/Pacific", "America/Los_Angeles"),
        ("timezone", " UTC ", "UTC"),
    ],
)
def test_a_field_that_is_kept_under_another_spelling_is_kept(api, field, old, new):
    api.objects["user/profile"][field] = old
    alter_put(api, lambda body: {**body, field: new})
    assert perform_both(api, PROFILE, display_name="Automation")["changed"]
    assert api.bodies[0][field] == old
    assert not perform(api, PROFILE, **{field: old})["changed"]
    assert not perform(api, PROFILE, **{field: new})["changed"]
    assert len(api.writes) == 1


HINT = "If the API limits the value or spells it differently, write it as the API does."


def test_each_run_says_that_the_api_may_limit_a_number(api):
    alter_put(api, lambda body: {**body, "run_logs_days": min(10, body["run_logs_days"])})
    first, second = (perform(api, RETENTION, run_logs_days=20) for _run in range(2))
    assert first["msg"] == (
        "The API stores run_logs_days as 10; the task asks for 20: write it as the API does."
    )
    assert second["failed"] and "no effect (run_logs_days 10 -> 20)" in second["msg"]
    assert second["msg"].endswith(f" {HINT}")


def test_a_boolean_without_effect_has_no_limit(api):
    alter_put(api, lambda body: {**body, "extend_on_activity": True})
    result = perform(api, TIMEOUT, extend_on_activity=False)
    assert "shows no effect (extend_on_activity true -> false)" in result["msg"]
    assert HINT not in result["msg"]


def test_a_value_that_is_stored_otherwise_is_told_with_both(api):
    alter_put(api, lambda body: {**body, "audit_logs_days": min(365, body["audit_logs_days"])})
    for _run in range(2):
        result = perform(api, RETENTION, audit_logs_days=30)
        assert not result.get("failed")
        result = perform(api, RETENTION, audit_logs_days=500)
        assert (result["failed"], result["changed"], result["msg"]) == (
            True,
            True,
            "The API stores audit_logs_days as 365; the task asks for 500: "
            "write it as the API does.",
        )


NUMBERS = [
    pytest.param("60", id="text"),
    pytest.param(60.0, id="float"),
    pytest.param("60.0", id="float-as-text"),
    pytest.param(" 60 ", id="blanks"),
]


@pytest.mark.parametrize("stored", NUMBERS)
def test_a_number_of_another_type_is_compared_and_never_rewritten(api, stored):
    api.objects["session-timeout"]["idle_timeout_minutes"] = stored
    result = perform_both(api, TIMEOUT, idle_timeout_minutes=60)
    assert (result["changed"], result["session_timeout"]["idle_timeout_minutes"]) == (False, stored)
    assert perform(api, TIMEOUT, absolute_timeout_minutes=720)["changed"]
    assert api.bodies[0]["idle_timeout_minutes"] == stored
    assert "idle may not exceed" in perform(api, TIMEOUT, absolute_timeout_minutes=59)["msg"]


@pytest.mark.parametrize(
    ("stored", "meant"), [("true", True), ("False", False), (1, True), (0, False)]
)
def test_a_boolean_of_another_type_is_compared_and_never_rewritten(api, stored, meant):
    api.objects["session-timeout"]["extend_on_activity"] = stored
    assert not perform_both(api, TIMEOUT, extend_on_activity=meant)["changed"]
    assert perform(api, TIMEOUT, idle_timeout_minutes=30)["changed"]
    assert repr(api.bodies[0]["extend_on_activity"]) == repr(stored)
    assert perform(api, TIMEOUT, extend_on_activity=not meant)["changed"]


@pytest.mark.parametrize(
    ("module", "field", "stored", "option", "said"),
    [
        pytest.param(TIMEOUT, "idle_timeout_minutes", [60], 30, "has [60] in", id="list"),
        pytest.param(TIMEOUT, "absolute_timeout_minutes", "soon", 60, 'has "soon" in', id="text"),
        pytest.param(TIMEOUT, "extend_on_activity", "perhaps", True, '"perhaps" in', id="no-bool"),
        pytest.param(RETENTION, "run_logs_days", True, 1, "has true in", id="bool"),
        pytest.param(RETENTION, "run_logs_days", 1.5, 1, "has 1.5 in", id="fraction"),
        pytest.param(PROFILE, "locale", {"a": 1}, "en", 'has {"a": 1} in', id="mapping"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_a_wrong_shape_is_one_sentence_that_names_the_field(
    api, module, field, stored, option, said, check_mode
):
    api.objects[PATHS[module.manages.name]][field] = stored
    result = perform(api, module, check_mode, **{field: option})
    assert result["failed"] and api.writes == []
    assert said in result["msg"] and f" in {field}, where " in result["msg"]
    assert "documented; check api_url" in result["msg"]


@pytest.mark.parametrize("value", [0, -1, None])
def test_what_may_mean_no_limit_is_neither_compared_nor_refused(api, value):
    api.objects["session-timeout"]["absolute_timeout_minutes"] = value
    result = perform_both(api, TIMEOUT, idle_timeout_minutes=30)
    assert (result["changed"], result["session_timeout"]["absolute_timeout_minutes"]) == (
        True,
        value,
    )
    assert api.bodies[0].get("absolute_timeout_minutes") == value
    assert result["warnings"] == [
        f"absolute_timeout_minutes is {json.dumps(value)}, which may mean no limit; "
        "idle_timeout_minutes was not compared with it."
    ]
    assert "warnings" not in perform(api, TIMEOUT, idle_timeout_minutes=30)


@pytest.mark.parametrize("value", [0, -1, None, "0", -1.0])
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize(
    ("module", "field"),
    [
        (RETENTION, "audit_logs_days"),
        (TIMEOUT, "absolute_timeout_minutes"),
        (TIMEOUT, "idle_timeout_minutes"),
    ],
)
def test_what_may_mean_no_limit_is_never_replaced(api, module, field, check_mode, value):
    stored = api.objects[PATHS[module.manages.name]]
    stored[field] = value
    result = perform(api, module, check_mode, **{field: 365})
    assert (result["failed"], result["changed"], api.writes) == (True, False, [])
    assert result["msg"] == (
        f"{field} is {json.dumps(value)}, which may mean no limit, so the task does not set it "
        "to 365. Set a limit in the product first, or leave out the option."
    )
    stored[field] = 300
    assert perform(api, module, check_mode, **{field: 365})["changed"]


def test_idle_cannot_be_set_where_the_api_does_not_tell_absolute(api):
    del api.objects["session-timeout"]["absolute_timeout_minutes"]
    result = perform(api, TIMEOUT, idle_timeout_minutes=30)
    assert "lacks the field 'absolute_timeout_minutes'" in result["msg"]
    assert api.writes == []


def test_a_field_that_was_not_applied_is_an_error(api):
    answer = api.answer
    api.answer = lambda method, path, body: (
        (200, body) if method == "PUT" else answer(method, path, body)
    )  # type: ignore[method-assign]
    result = perform(api, TIMEOUT, idle_timeout_minutes=30)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "shows no effect (idle_timeout_minutes 60 -> 30)" in result["msg"]


def test_a_lost_put_is_repeated(api):
    api.fail("PUT *", "lost after")
    assert perform(api, RETENTION, run_logs_days=1)["log_retention"]["run_logs_days"] == 1
    assert api.writes == ["PUT /api/settings/log-retention"] * 2
