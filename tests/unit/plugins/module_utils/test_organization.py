# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

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


def alter_post(api: FakeApi, alter: t.Callable[[FakeApi, t.Any], None]) -> None:
    """Let the server do something else after it took the settings."""
    answer = api.answer

    def answer_post(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        answered = answer(method, path, body)
        if method == "POST":
            alter(api, body)
        return answered

    api.answer = answer_post  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("UTC", "Etc/UTC"), ("Etc/UTC", "UTC"), ("America/New_York", "US/Eastern"), ("UTC", " UTC")],
)
def test_another_name_of_the_time_zone_is_no_change(stored, asked):
    api = FakeApi()
    api.settings["default_timezone"] = stored
    assert not perform_both(api, MODULE, default_timezone=asked)["changed"]
    perform(api, MODULE, default_timezone=asked, require_sso=True)
    assert api.bodies == [{"require_sso": True}]


def test_a_server_that_stores_an_alias_is_no_failure():
    api = FakeApi()
    api.settings["default_timezone"] = "Europe/Paris"
    alter_post(api, lambda api, body: api.settings.update(default_timezone="Etc/UTC"))
    result = perform_both(api, MODULE, default_timezone="UTC")
    assert (result["changed"], result["settings"]["default_timezone"]) == (True, "Etc/UTC")
    assert not perform(api, MODULE, default_timezone="UTC")["changed"]


def test_a_value_that_is_stored_otherwise_is_told_in_each_run():
    api = FakeApi()
    alter_post(api, lambda api, body: api.settings.update(data_residency="eu-central-1"))
    first, second = (perform(api, MODULE, data_residency="eu") for _run in range(2))
    assert (first["failed"], first["msg"]) == (
        True,
        'The API stores data_residency as "eu-central-1"; the task asks for "eu": '
        "write it as the API does.",
    )
    assert second["failed"] and '"eu-central-1" -> "eu"' in second["msg"]


@pytest.mark.parametrize(("off", "on"), [(0, 1), ("false", "true"), ("False", "True")])
def test_flags_that_the_api_shows_as_numbers_or_texts(off, on):
    api = FakeApi()
    api.more_settings["feature_flags"] = {"lineage_v2": on, "git_integration": on}
    task = {"extra": {"feature_flags": {"lineage_v2": False}}}
    api.fail("GET /api/settings/all", lambda data: spoiled(data, off), skip=1, times=3)
    assert perform(api, MODULE, **task)["changed"]
    assert perform(api, MODULE, **task)["changed"] is False
    assert len(api.writes) == 1


def spoiled(settings, off):
    return {**settings, "feature_flags": {**settings["feature_flags"], "lineage_v2": off}}


FLAG = {"feature_flags": {"lineage_v2": False}}


@pytest.mark.parametrize(
    ("alter", "task", "sentence"),
    [
        pytest.param(
            lambda api, body: api.more_settings["feature_flags"].pop("git_integration"),
            {"extra": FLAG},
            "feature_flags.git_integration, which was to stay: it was true and is (unset).",
            id="flag-lost",
        ),
        pytest.param(
            lambda api, body: api.more_settings["feature_flags"].update(git_integration=False),
            {"extra": FLAG},
            "feature_flags.git_integration, which was to stay: it was true and is false.",
            id="flag-reset",
        ),
        pytest.param(
            lambda api, body: api.more_settings["feature_flags"].update(git_integration=False),
            {"extra": {"theme": "dark"}},
            "feature_flags.git_integration, which was to stay: it was true and is false.",
            id="flag-of-a-mapping-that-is-not-named",
        ),
        pytest.param(
            lambda api, body: api.settings.update(data_residency="eu"),
            {"require_sso": True},
            'data_residency, which was to stay: it was "us" and is "eu".',
            id="another-setting",
        ),
        pytest.param(
            lambda api, body: api.settings.update(require_sso=True),
            {"extra": FLAG},
            "require_sso, which was to stay: it was false and is true.",
            id="another-setting-beside-extra",
        ),
        pytest.param(
            lambda api, body: api.settings.update(default_timezone="Mars"),
            {"require_sso": True, "default_timezone": "UTC"},
            'default_timezone, which was to stay: it was "UTC" and is "Mars".',
            id="named-and-equal",
        ),
    ],
)
def test_what_was_to_stay_and_did_not_is_told_with_its_old_value(alter, task, sentence):
    api = FakeApi()
    alter_post(api, alter)
    result = perform(api, MODULE, **task)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"] == f"The API changed {sentence}"


@pytest.mark.parametrize("replaces", [True, False], ids=["replaces", "merges"])
def test_flags_are_kept_by_a_server_that_replaces_them_and_by_one_that_merges(replaces):
    api = FakeApi()

    def store(api: FakeApi, body: t.Any) -> None:
        api.more_settings["feature_flags"] = (
            body["feature_flags"] if replaces else {**FLAGS, **body["feature_flags"]}
        )

    alter_post(api, store)
    result = perform_both(api, MODULE, extra={"feature_flags": {"lineage_v2": False}})
    assert result["settings"]["feature_flags"] == {"lineage_v2": False, "git_integration": True}


def test_what_an_api_counts_by_itself_may_change():
    api = FakeApi()
    api.more_settings |= {"version": 5, "modified_by": "me", "last_saved_at": "x", "etag": "a"}
    alter_post(
        api, lambda api, body: api.more_settings.update(version=6, modified_by="you", etag="b")
    )
    assert perform_both(api, MODULE, extra=FLAG)["changed"]


def test_a_setting_that_the_partial_answer_lacks_is_read_from_all():
    api = FakeApi()
    answer = api.answer

    def answer_partially(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        status, data = answer(method, path, body)
        if (method, path) == ("GET", ["settings"]):
            data = {name: value for name, value in data.items() if name != "data_residency"}
        return status, data

    api.answer = answer_partially  # type: ignore[method-assign]
    assert perform_both(api, MODULE, data_residency="eu")["settings"]["data_residency"] == "eu"
    assert not perform(api, MODULE, data_residency="eu")["changed"]


@pytest.mark.parametrize(("stored", "meant"), [("true", True), (0, False)])
def test_a_boolean_of_another_type_is_compared(stored, meant):
    api = FakeApi()
    api.settings["require_sso"] = stored
    assert not perform_both(api, MODULE, require_sso=meant)["changed"]
    assert perform(api, MODULE, data_residency="eu")["changed"]
    assert api.bodies == [{"data_residency": "eu"}]


def test_a_wrong_shape_is_one_sentence_that_names_the_field():
    api = FakeApi()
    api.settings["require_sso"] = {"enabled": True}
    assert perform(api, MODULE, require_sso=True)["msg"] == (
        'The API\'s answer for the settings has {"enabled": true} in require_sso, '
        "where true or false is documented; check api_url and the API's version."
    )
