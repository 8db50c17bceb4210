# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules.planasonix_settings import MODULE

FLAGS = {"lineage_v2": True, "git_integration": True}


@pytest.mark.parametrize(
    ("task", "body", "message"),
    [
        pytest.param({}, None, "no change", id="nothing"),
        pytest.param(
            {"default_timezone": "UTC", "require_sso": False, "data_residency": "us"},
            None,
            "no change",
            id="same",
        ),
        pytest.param(
            {"require_sso": True},
            {"require_sso": True},
            "settings: require_sso false -> true",
            id="one",
        ),
        pytest.param(
            {"require_sso": True, "default_timezone": "UTC"},
            {"require_sso": True},
            "settings: require_sso false -> true",
            id="what-differs",
        ),
        pytest.param(
            {"default_timezone": ""},
            {"default_timezone": ""},
            'settings: default_timezone "UTC" -> ""',
            id="made-empty",
        ),
        pytest.param({"extra": {}}, None, "no change", id="empty-extra"),
        pytest.param(
            {"extra": {"feature_flags": {}}}, None, "no change", id="empty-mapping-in-extra"
        ),
        pytest.param(
            {"extra": {"feature_flags": {"lineage_v2": True}}}, None, "no change", id="same-extra"
        ),
        pytest.param(
            {"extra": {"feature_flags": {"lineage_v2": False}}},
            {"feature_flags": {"lineage_v2": False, "git_integration": True}},
            "settings: feature_flags.lineage_v2 true -> false",
            id="extra-merged",
        ),
        pytest.param(
            {"extra": {"theme": "dark"}},
            {"theme": "dark"},
            'settings: theme (unset) -> "dark"',
            id="extra-not-listed",
        ),
        pytest.param(
            {"extra": {"feature_flags": {"lineage_v2": 1}}},
            {"feature_flags": {**FLAGS, "lineage_v2": 1}},
            "settings: feature_flags.lineage_v2 true -> 1",
            id="extra-one-is-not-true",
        ),
    ],
)
def test_calls(task, body, message):
    api = FakeApi()
    result = perform_both(api, MODULE, **task)
    assert (result["msg"], result["changed"]) == (message, body is not None)
    assert list(zip(api.writes, api.bodies, strict=True)) == (
        [] if body is None else [("POST /api/settings", body)]
    )
    api.log.clear()
    assert (perform(api, MODULE, **task)["changed"], api.writes) == (False, [])


@pytest.mark.parametrize(
    ("task", "paths"),
    [
        ({"require_sso": True}, {"/api/settings"}),
        ({"extra": {"theme": "dark"}}, {"/api/settings/all", "/api/settings"}),
    ],
    ids=["without-extra", "with-extra"],
)
def test_what_is_read(task, paths):
    api = FakeApi()
    result = perform(api, MODULE, **task)
    assert {path for _method, path, _body in api.log} == paths
    assert set(result["settings"]) == {
        "default_timezone",
        "require_sso",
        "data_residency",
        *(["feature_flags", "theme"] if "extra" in task else []),
    }


def test_diff_holds_what_the_task_names():
    result = perform_both(FakeApi(), MODULE, require_sso=True, data_residency="us")
    assert result["diff"] == {
        "before": {"require_sso": False, "data_residency": "us"},
        "after": {"require_sso": True, "data_residency": "us"},
    }
    assert result["settings"] == {
        "default_timezone": "UTC",
        "require_sso": True,
        "data_residency": "us",
    }


@pytest.mark.parametrize("name", ["default_timezone", "require_sso", "data_residency"])
def test_extra_holds_no_setting_that_has_an_option(name):
    api = FakeApi()
    result = perform(api, MODULE, extra={name: 1, "theme": 2})
    assert (result["failed"], result["msg"], api.log) == (
        True,
        f"extra must not hold {name}: use the option of that name.",
        [],
    )


@pytest.mark.parametrize(
    ("pattern", "kind", "task", "message"),
    [
        pytest.param(
            "GET *",
            lambda data: {"require_sso": False},
            {"data_residency": "eu"},
            "lacks the field 'data_residency'",
            id="missing-field",
        ),
        pytest.param(
            "POST *",
            "200 before",
            {"require_sso": True},
            "it shows no effect (require_sso false -> true)",
            id="without-effect",
        ),
        pytest.param(
            "POST *",
            "200 before",
            {"extra": {"theme": "dark"}},
            'it shows no effect (theme (unset) -> "dark")',
            id="extra-without-effect",
        ),
        pytest.param(
            "POST *",
            "422 before",
            {"default_timezone": "Mars"},
            "Could not update the settings: POST /api/settings answered 422 (planned_fault",
            id="refused",
        ),
        pytest.param(
            "POST *",
            "500 before",
            {"require_sso": True},
            "look at the state before you run again",
            id="500",
        ),
        pytest.param("GET *", "403 before", {}, "the key lacks the needed scope", id="forbidden"),
    ],
)
def test_failures(pattern, kind, task, message):
    result = perform(FakeApi().fail(pattern, kind, times=2), MODULE, **task)
    assert result["failed"] and message in result["msg"]


@pytest.mark.parametrize(
    "kind", ["lost before", "lost after", "502 before", "502 after", "429 before", "refused"]
)
def test_the_post_sets_a_state_and_is_repeated(kind):
    api = FakeApi().fail("POST *", kind)
    result = perform(api, MODULE, require_sso=True)
    assert (result["changed"], api.settings["require_sso"], len(api.writes)) == (True, True, 2)


def test_a_setting_made_null_is_told():
    result = perform_both(FakeApi(), MODULE, extra={"theme": None})
    assert (result["msg"] == "no change") is (not result["changed"])
