# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from unittest import mock

import pytest
import requests
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SUBSETS,
    choose_subsets,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_info import MODULE

ALL = list(SUBSETS)
ENDPOINTS = {
    "profile": "/api/user/profile",
    "mfa": "/api/user/mfa",
    "session_timeout": "/api/session-timeout",
    "preferences": "/api/user-preferences",
    "log_retention": "/api/settings/log-retention",
    "organization": "/api/organization",
    "limits": "/api/features/limits",
    "tier": "/api/tier",
}


PATHS = {
    **ENDPOINTS,
    "features": "/api/features",
    "settings": "/api/settings/all",
    "api_keys": "/api/user/api-keys",
    "notification_rules": "/api/notifications/rules",
    "ip_whitelist": "/api/settings/ip-whitelist",
}


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    for name, path in ENDPOINTS.items():
        api.objects[path.removeprefix("/api/")] = {
            "about": name,
            "updated_at": "2026-01-01T00:00:00Z",
        }
    api.objects["features"] = {"features": ["lineage", "sso"]}
    api.add_key("Deploy")
    api.add_entry("2001:DB8::/32", "x")
    api.add_channel("Alerts")
    api.rules = [
        {
            "id": "nrl_1",
            "name": "Failures",
            "channel_ids": ["nch_3", "nch_gone"],
            "updated_at": "x",
        },
        {"id": "nrl_2", "name": "Nobody"},
    ]
    return api


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        pytest.param(["all"], ALL, id="all"),
        pytest.param([], ALL, id="nothing"),
        pytest.param(["tier"], ["tier"], id="one"),
        pytest.param(["tier", "mfa"], ["mfa", "tier"], id="two"),
        pytest.param(["!mfa"], [name for name in ALL if name != "mfa"], id="all-but-one"),
        pytest.param(
            ["all", "!mfa"], [name for name in ALL if name != "mfa"], id="all-said-but-one"
        ),
        pytest.param(["!all", "tier"], ["tier"], id="one-alone"),
        pytest.param(["!all"], [], id="none"),
        pytest.param(["!all", "all", "tier"], ["tier"], id="not-all-wins"),
        pytest.param(["tier", "!tier"], [], id="excluded-wins"),
        pytest.param(["tier", "!mfa"], ["tier"], id="one-and-an-exclusion"),
    ],
)
def test_choose_subsets(choice, chosen):
    assert choose_subsets(choice) == chosen


def test_every_subset(api):
    result = perform(api, MODULE)
    facts = result["planasonix"]
    assert (list(facts), result["unavailable"], result["changed"], result["msg"]) == (
        ALL,
        {},
        False,
        "read 14 subsets",
    )
    for name in ENDPOINTS:
        # A preference may bear any name, that of a time too.
        assert facts[name] == {
            "about": name,
            **({"updated_at": "2026-01-01T00:00:00Z"} if name == "preferences" else {}),
        }
    assert facts["features"] == ["lineage", "sso"]
    assert facts["settings"] == {**api.settings, **api.more_settings}
    assert facts["api_keys"] == api.keys
    assert facts["notification_channels"] == api.channels
    assert facts["ip_whitelist"] == {
        "enabled": False,
        "applies_to": ["api", "ui"],
        "entries": [{**api.entries[0], "cidr": "2001:db8::/32"}],
    }
    assert facts["notification_rules"] == [
        {
            "id": "nrl_1",
            "name": "Failures",
            "channel_ids": ["nch_3", "nch_gone"],
            "channels": ["Alerts", "nch_gone"],
        },
        {"id": "nrl_2", "name": "Nobody", "channels": []},
    ]
    assert api.writes == [] and "diff" not in result
    # Each subset is read once, whoever else needs it.
    paths = [path for _method, path, _body in api.log]
    assert len(paths) == len(set(paths)) == 15


def test_rules_alone_do_not_tell_the_channels(api):
    assert list(perform(api, MODULE, gather_subset=["notification_rules"])["planasonix"]) == [
        "notification_rules"
    ]


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize("name", ALL)
def test_one_subset(api, name, check_mode):
    assert list(perform(api, MODULE, check_mode, gather_subset=[name])["planasonix"]) == [name]


@pytest.mark.parametrize(
    ("status", "on_forbidden", "skipped"),
    [
        (403, "skip", True),
        (404, "skip", True),
        (401, "skip", False),
        (500, "skip", False),
        (403, "fail", False),
        (404, "fail", False),
    ],
)
def test_on_forbidden(api, status, on_forbidden, skipped):
    api.fail("GET /api/user/mfa", f"{status} before")
    result = perform(api, MODULE, gather_subset=["mfa", "tier"], on_forbidden=on_forbidden)
    if skipped:
        assert (result["planasonix"], result["msg"]) == (
            {"tier": {"about": "tier"}},
            "read 1 subsets, unavailable: mfa",
        )
        assert result["unavailable"]["mfa"].keys() == {"status", "code", "msg"}
        assert (result["unavailable"]["mfa"]["status"], result["unavailable"]["mfa"]["code"]) == (
            status,
            "planned_fault",
        )
    else:
        assert (result["failed"], result["status"], result["path"]) == (
            True,
            status,
            "/api/user/mfa",
        )


def test_rules_are_unavailable_where_their_channels_are(api):
    api.fail("GET /api/notifications/channels", "403 before", times=9)
    result = perform(
        api,
        MODULE,
        gather_subset=["notification_rules", "notification_channels"],
        on_forbidden="skip",
    )
    assert (result["planasonix"], list(result["unavailable"])) == (
        {},
        ["notification_channels", "notification_rules"],
    )


SPOILED = [
    pytest.param("features", lambda data: {}, "lacks the field 'features'", id="features-missing"),
    pytest.param("features", lambda data: {"features": None}, "has null in features", id="null"),
    pytest.param(
        "features", lambda data: {"features": [{"id": 1}]}, "in features, where", id="features"
    ),
    pytest.param("profile", lambda data: [data], "not the documented object", id="profile-list"),
    pytest.param("settings", lambda data: "x", "not the documented object", id="settings-text"),
    pytest.param("api_keys", lambda data: {}, "not the documented list of objects", id="keys"),
    pytest.param(
        "notification_rules", lambda data: [{"name": "x"}], "lacks the field 'id'", id="rule"
    ),
    pytest.param(
        "notification_rules",
        lambda data: [{"id": "nrl_1", "name": "x", "revoked_at": "yesterday"}],
        "'x' has no known time in revoked_at: 'yesterday'",
        id="rule-revoked",
    ),
    pytest.param(
        "ip_whitelist",
        lambda data: [{**data[0], "status": 7}],
        "has no known status in status: 7",
        id="entry-status",
    ),
]


@pytest.mark.parametrize(("subset", "spoil", "words"), SPOILED)
def test_a_subset_of_another_shape_is_unavailable_and_others_are_read(api, subset, spoil, words):
    api.fail(f"GET {PATHS[subset]}", spoil, times=9)
    result = perform(api, MODULE, gather_subset=["all"], on_forbidden="skip")
    assert list(result["unavailable"]) == [subset]
    assert list(result["planasonix"]) == [name for name in ALL if name != subset]
    unavailable = result["unavailable"][subset]
    assert (unavailable["status"], unavailable["code"]) == (None, None)
    assert words in unavailable["msg"]
    result = perform(api, MODULE, gather_subset=["all"])
    assert result["failed"] and words in result["msg"]


def test_a_subset_without_json_is_unavailable(api):
    api.fail("GET /api/tier", "200 before")
    with mock.patch.object(api, "_break", lambda request, dummy: html_page(api, request)):
        result = perform(api, MODULE, gather_subset=["tier", "mfa"], on_forbidden="skip")
    assert (list(result["planasonix"]), list(result["unavailable"])) == (["mfa"], ["tier"])
    assert result["unavailable"]["tier"]["status"] == 200


def html_page(api: FakeApi, request: requests.PreparedRequest) -> requests.Response:
    response = api._respond(request, 200, {})
    response._content = b"<html>"
    return response


@pytest.mark.parametrize("kind", ["refused", "late before", "lost before"])
def test_a_subset_that_gets_no_answer_fails_the_task(api, kind):
    api.fail("GET /api/tier", kind, times=99)
    assert perform(api, MODULE, gather_subset=["tier"], on_forbidden="skip")["failed"]


@pytest.mark.parametrize(
    ("features", "names"),
    [
        (["SSO", "lineage"], ["SSO", "lineage"]),
        ([{"name": "sso", "enabled": True}, {"name": "x", "enabled": False}], ["sso"]),
        ({"sso": True, "x": False}, ["sso"]),
        ([], []),
    ],
)
def test_features_are_the_names_of_the_enabled_ones(api, features, names):
    api.objects["features"]["features"] = features
    assert perform(api, MODULE, gather_subset=["features"])["planasonix"]["features"] == names


@pytest.mark.parametrize("unnamed", [{"id": "sys_1", "name": None}, {"id": "sys_1"}])
def test_objects_without_a_name_are_listed(api, unnamed):
    api.keys.append(dict(unnamed))
    api.channels.append({**unnamed, "type": "system"})
    result = perform(
        api,
        MODULE,
        gather_subset=["api_keys", "notification_channels", "notification_rules"],
    )
    facts = result["planasonix"]
    assert facts["api_keys"] == api.keys
    assert facts["notification_channels"] == api.channels
    assert facts["notification_rules"][0]["channels"] == ["Alerts", "nch_gone"]
