# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that there are once: they differ in their tables alone, so one table tests them all."""

from __future__ import annotations

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


def test_a_field_that_is_null_is_sent_as_it_is(api):
    """Left out, a server that replaces the object would fall back to a default."""
    api.objects["settings/log-retention"]["audit_logs_days"] = None
    assert perform_both(api, RETENTION, run_logs_days=1)["changed"]
    assert api.bodies == [
        {"run_logs_days": 1, "audit_logs_days": None, "diagnostic_artifacts_days": 7}
    ]


def test_a_field_that_was_sent_to_keep_it_and_was_not_kept_is_an_error(api):
    answer = api.answer

    def reset(method, path, body):
        return answer(
            method, path, {**body, "extend_on_activity": False} if method == "PUT" else body
        )

    api.answer = reset  # type: ignore[method-assign]
    assert (
        "shows no effect (extend_on_activity false -> true)"
        in perform(api, TIMEOUT, idle_timeout_minutes=30)["msg"]
    )


@pytest.mark.parametrize(
    ("absolute", "idle", "complaint"),
    [(None, 30, None), ("1440", 30, "no whole numbers of minutes: idle 30, absolute '1440'")],
    ids=["no-limit", "text"],
)
def test_an_absolute_timeout_that_is_no_number(api, absolute, idle, complaint):
    api.objects["session-timeout"]["absolute_timeout_minutes"] = absolute
    result = perform(api, TIMEOUT, idle_timeout_minutes=idle)
    assert (complaint is None) is not result.get("failed", False)
    assert complaint is None or complaint in result["msg"]


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
