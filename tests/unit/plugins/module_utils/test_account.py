# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preferences and the password."""

from __future__ import annotations

import typing as t

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.module_utils._singletons import flatten_along
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_password,
    planasonix_preferences,
)

PREFERENCES, PASSWORD = planasonix_preferences.MODULE, planasonix_password.MODULE
PASSWORDS = {"current_password": "old password", "new_password": "new password"}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi().add_singletons()


@pytest.mark.parametrize(
    ("preferences", "written", "message"),
    [
        pytest.param({}, {}, "no change", id="nothing"),
        pytest.param({"digest": "weekly"}, {}, "no change", id="as-it-is"),
        pytest.param(
            {"digest": "daily"},
            {"digest": "daily"},
            'preferences: digest "weekly" -> "daily"',
            id="changed",
        ),
        pytest.param(
            {"digest": None}, {"digest": None}, 'preferences: digest "weekly" -> null', id="null"
        ),
        pytest.param(
            {"digest": ""}, {"digest": ""}, 'preferences: digest "weekly" -> ""', id="made-empty"
        ),
        pytest.param(
            {"canvas.snap_to_grid": 1},
            {"canvas.snap_to_grid": 1},
            "preferences: canvas.snap_to_grid true -> 1",
            id="true-is-not-one",
        ),
        pytest.param(
            {"new": {"a": [1, {"b": 2}]}},
            {"new": {"a": [1, {"b": 2}]}},
            'preferences: new (unset) -> {"a": [1, {"b": 2}]}',
            id="new-and-nested",
        ),
        pytest.param(
            {"digest": "daily", "canvas.snap_to_grid": True, "a/b c?": 1},
            {"digest": "daily", "a/b c?": 1},
            'preferences: a/b c? (unset) -> 1, digest "weekly" -> "daily"',
            id="several",
        ),
    ],
)
def test_plan(api, preferences, written, message):
    others = dict(api.objects["user-preferences"])
    result = perform_both(api, PREFERENCES, preferences=preferences)
    assert (result["changed"], result["msg"]) == (bool(written), message)
    assert result["preferences"] == {**others, **preferences}
    assert api.bodies == [{"value": value} for value in written.values()]
    assert len(api.writes) == len(written)
    assert not perform(api, PREFERENCES, preferences=preferences)["changed"]


def test_a_key_is_escaped(api):
    perform(api, PREFERENCES, preferences={"a/b c?": 1})
    assert api.writes == ["PUT /api/user-preferences/a%2Fb%20c%3F"]


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_a_key_that_no_path_can_hold_is_refused(api, key):
    result = perform(api, PREFERENCES, preferences={"good": 1, key: 2})
    assert result["msg"] == f"preferences: {key!r} cannot be the key of a preference; correct it."
    assert api.log == []


PREFERENCE_LISTS = {
    "nested": lambda stored: {
        "canvas": {"snap_to_grid": stored["canvas.snap_to_grid"]},
        "digest": stored["digest"],
    },
    "hidden": lambda stored: {"digest": stored["digest"]},
    "cached": lambda dummy_stored: {"canvas.snap_to_grid": True, "digest": "weekly"},
    "empty": lambda dummy_stored: {},
}
"""What the list shows of the stored preferences."""


def list_preferences(api: FakeApi, show: t.Callable[[t.Any], t.Any]) -> None:
    answer = api.answer

    def answer_list(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if path == ["user-preferences"]:
            return 200, show(api.objects["user-preferences"])
        return answer(method, path, body)

    api.answer = answer_list  # type: ignore[method-assign]


@pytest.mark.parametrize("form", list(PREFERENCE_LISTS))
def test_what_the_list_does_not_show_is_read_by_itself(api, form):
    list_preferences(api, PREFERENCE_LISTS[form])
    same = {"canvas.snap_to_grid": True, "digest": "weekly"}
    assert not perform_both(api, PREFERENCES, preferences=same)["changed"]
    wanted = {"canvas.snap_to_grid": False, "digest": "weekly"}
    expected = perform(api, PREFERENCES, check_mode=True, preferences=wanted)
    result = perform_both(api, PREFERENCES, preferences=wanted)
    assert result["msg"] == "preferences: canvas.snap_to_grid true -> false"
    assert result["preferences"] == expected["preferences"] == wanted
    assert api.writes == ["PUT /api/user-preferences/canvas.snap_to_grid"]
    assert not perform(api, PREFERENCES, preferences=wanted)["changed"]
    assert len(api.writes) == 1


def test_only_what_differs_is_read_by_itself(api):
    api.objects["user-preferences"] |= {"other": 1}
    perform(api, PREFERENCES, check_mode=True, preferences={"digest": "daily", "other": 1})
    assert [path for _method, path, _body in api.log] == [
        "/api/user-preferences",
        "/api/user-preferences/digest",
    ]


def test_a_preference_that_cannot_be_read_by_itself_is_not_written(api):
    api.fail("GET /api/user-preferences/*", "403 before")
    result = perform(api, PREFERENCES, preferences={"digest": "daily"})
    assert (result["failed"], result["status"], api.writes) == (True, 403, [])


@pytest.mark.parametrize(
    ("listed", "key", "flat"),
    [
        pytest.param({"a": {"b": 1, "c": 2}}, "a.b", {"a.b": 1, "a.c": 2}, id="nested"),
        pytest.param({"a": {"b": {"c": 1}}}, "a.b.c", {"a.b.c": 1}, id="deeper"),
        pytest.param({"a": {"b": {"c": 1}}}, "a.b", {"a.b": {"c": 1}}, id="a-mapping"),
        pytest.param({"a": {"c": 1}}, "a.b", {"a": {"c": 1}}, id="another-preference"),
        pytest.param({"a": {"b": 1}, "a.b": 2}, "a.b", {"a": {"b": 1}, "a.b": 2}, id="both"),
        pytest.param({"a": 1}, "a.b", {"a": 1}, id="no-mapping"),
    ],
)
def test_flatten_along(listed, key, flat):
    assert flatten_along(listed, key) == flat


def test_a_preference_that_was_not_applied_is_an_error(api):
    answer = api.answer
    api.answer = lambda method, path, body: (
        (200, body) if method == "PUT" else answer(method, path, body)
    )  # type: ignore[method-assign]
    result = perform(api, PREFERENCES, preferences={"digest": "daily"})
    assert (result["failed"], result["changed"]) == (True, True)
    assert 'digest "weekly" -> "daily"' in result["msg"]


def test_password(api):
    result = perform_both(api, PASSWORD, **PASSWORDS)
    assert (result["changed"], result["msg"]) == (True, "password of a@example.com: changed")
    assert api.bodies == [PASSWORDS]
    assert api.password == "new password"
    assert not any(password in str(result) for password in PASSWORDS.values())
    assert set(result) == {"changed", "msg", "diff", "plan"}
    assert result["diff"]["before"] != result["diff"]["after"]


def test_equal_passwords_change_nothing(api):
    result = perform_both(api, PASSWORD, current_password="whatever", new_password="whatever")
    assert (result["changed"], result["msg"], api.writes) == (False, "no change", [])
    assert result["diff"]["before"] == result["diff"]["after"]


@pytest.mark.parametrize("name", list(PASSWORDS))
def test_an_empty_password_is_refused(api, name):
    result = perform(api, PASSWORD, **{**PASSWORDS, name: ""})
    assert result["msg"] == f"{name} is empty; is the variable that it comes from set?"
    assert api.log == []


def test_a_wrong_password_is_a_failure(api):
    result = perform(api, PASSWORD, **{**PASSWORDS, "current_password": "wrong"})
    assert (result["failed"], result["changed"], result["status"], result["code"]) == (
        True,
        False,
        422,
        "invalid_password",
    )


def test_check_mode_needs_a_good_key(api):
    api.fail("GET /api/user/profile", "401 before")
    assert perform(api, PASSWORD, check_mode=True, **PASSWORDS)["status"] == 401


@pytest.mark.parametrize("kind", ["lost before", "lost after", "503 before", "500 after"])
def test_a_lost_answer_is_told_and_nothing_is_sent_again(api, kind):
    """A second try could be refused since the first succeeded, and nothing tells the two apart."""
    api.fail("POST *", kind)
    result = perform(api, PASSWORD, **PASSWORDS)
    assert result["failed"]
    assert "may be in force or not: try to sign in with it" in result["msg"]
    assert api.writes == ["POST /api/user/password"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"message": "Changed"},
            "the answer to POST /api/user/password is not the documented one.",
        ),
        ({"id": 7}, "the answer to POST /api/user/password is not the documented one."),
        ([], "POST /api/user/password answered 200 without the documented JSON; check api_url."),
    ],
    ids=["message", "object", "list"],
)
def test_an_answer_of_another_shape_proves_no_new_password(api, body, says):
    respond = api._respond
    api._respond = lambda request, status, answer: (  # type: ignore[method-assign]
        respond(request, 200, body)
        if request.method == "POST"
        else respond(request, status, answer)
    )
    result = perform(api, PASSWORD, **PASSWORDS)
    assert (result["failed"], result["changed"]) == (True, False)
    assert says in result["msg"]
    assert "may be in force or not: try to sign in with it" in result["msg"]


def test_a_connection_that_never_came_about_is_tried_again(api):
    api.fail("POST *", "refused")
    assert perform(api, PASSWORD, **PASSWORDS)["changed"]
    assert api.password == "new password"


def test_a_new_preference_that_was_not_stored_is_an_error(api):
    answer = api.answer
    api.answer = lambda method, path, body: (
        (200, body) if method == "PUT" else answer(method, path, body)
    )  # type: ignore[method-assign]
    assert (
        "shows no effect (new (unset) -> 1)"
        in perform(api, PREFERENCES, preferences={"new": 1})["msg"]
    )


@pytest.mark.parametrize("status", [403, 404])
def test_a_password_is_changed_by_a_key_that_may_not_see_the_profile(api, status):
    api.fail("GET *", f"{status} before")
    assert perform(api, PASSWORD, **PASSWORDS)["msg"] == "password of the user: changed"
