# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    describe,
    describe_mismatches,
    find_mismatches,
    list_differences,
    merge,
    same,
    without,
)


@pytest.mark.parametrize(
    ("current", "desired", "equal"),
    [
        pytest.param(1, 1, True, id="numbers"),
        pytest.param(1, 1.0, True, id="int-and-float"),
        pytest.param(1, 2, False, id="other-number"),
        pytest.param("1", 1, False, id="text-and-number"),
        pytest.param(True, 1, False, id="true-is-not-one"),
        pytest.param(0, False, False, id="zero-is-not-false"),
        pytest.param(None, False, False, id="null-is-not-false"),
        pytest.param(None, "", False, id="null-is-not-empty-text"),
        pytest.param(None, None, True, id="nulls"),
        pytest.param(["a", "b"], ["b", "a"], True, id="list-order"),
        pytest.param(["a", "a", "b"], ["b", "a"], True, id="list-repetition"),
        pytest.param(["a", "b"], ["a"], False, id="list-shrunk"),
        pytest.param(["a"], ["a", "b"], False, id="list-grown"),
        pytest.param([1], [True], False, id="list-one-and-true"),
        pytest.param([], [], True, id="empty-lists"),
        pytest.param([], None, False, id="empty-list-and-null"),
        pytest.param(["a"], "a", False, id="list-and-its-element"),
        pytest.param([{"a": 1}], [{"a": 1}], True, id="list-of-mappings"),
        pytest.param(
            [{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}], False, id="list-of-mappings-in-order"
        ),
        pytest.param([{"a": 1}], [{"a": 1}, {"a": 1}], False, id="list-of-mappings-grown"),
        pytest.param([["a", "b"]], [["b", "a"]], True, id="list-in-list"),
        pytest.param({"a": ["x", "y"]}, {"a": ["y", "x"]}, True, id="mapping-with-list"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, False, id="mapping-grown"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, False, id="mapping-shrunk"),
        pytest.param({"a": {"b": True}}, {"a": {"b": 1}}, False, id="nested-true-and-one"),
        pytest.param({}, [], False, id="mapping-and-list"),
    ],
)
def test_same(current, desired, equal):
    assert same(current, desired) is equal
    assert same(current=desired, desired=current) is equal


@pytest.mark.parametrize(
    ("current", "desired", "result"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="added"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="replaced"),
        pytest.param(
            {"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}, id="nested"
        ),
        pytest.param({"a": 1}, {}, {"a": 1}, id="empty-changes-nothing"),
        pytest.param({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}, id="mapping-over-scalar"),
        pytest.param({"a": {"b": 2}}, {"a": None}, {"a": None}, id="null-over-mapping"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="lists-are-not-merged"),
        pytest.param(None, {"a": 1}, {"a": 1}, id="nothing-there"),
    ],
)
def test_merged(current, desired, result):
    assert merge(current, desired) == result


def test_merged_leaves_its_arguments_alone():
    current, desired = {"a": {"b": 1}}, {"a": {"c": 2}}
    merge(current, desired)
    assert (current, desired) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    ("before", "after", "texts"),
    [
        pytest.param({"a": 60}, {"a": 30}, ["a 60 -> 30"], id="number"),
        pytest.param({"a": "x"}, {"a": "y"}, ['a "x" -> "y"'], id="text"),
        pytest.param({"a": False}, {"a": True}, ["a false -> true"], id="boolean"),
        pytest.param({"a": 1}, {"a": 1}, [], id="equal"),
        pytest.param({}, {"a": 1}, ["a (unset) -> 1"], id="added"),
        pytest.param({"a": 1}, {}, ["a 1 -> (unset)"], id="removed"),
        pytest.param({"b": 1, "a": 1}, {"b": 2, "a": 2}, ["a 1 -> 2", "b 1 -> 2"], id="by-name"),
        pytest.param({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, ["a.c 1 -> 2"], id="nested"),
        pytest.param({"a": ["x", "y"]}, {"a": ["y", "x"]}, [], id="list-order"),
        pytest.param(
            {"a": {"y": 1, "x": 2}}, {"a": 3}, ['a {"x": 2, "y": 1} -> 3'], id="mapping-to-scalar"
        ),
    ],
)
def test_differences(before, after, texts):
    assert list_differences(before, after) == texts


@pytest.mark.parametrize(
    ("actions", "changed"),
    [([], False), (["test"], False), (["update"], True), (["update", "test"], True)],
    ids=["none", "test-notification", "write", "write-and-test"],
)
def test_only_changes_decide_changed(actions, changed):
    changes = tuple(Change(action, "settings", "do it") for action in actions)
    assert Plan({"a": 1}, {"a": 2}, changes).changed is changed


@pytest.mark.parametrize(
    ("changes", "line"),
    [([], "no change"), (["a 1 -> 2", "b 1 -> 2"], "thing: a 1 -> 2, b 1 -> 2")],
    ids=["none", "some"],
)
def test_describe(changes, line):
    assert describe("thing", changes) == line


def test_without():
    assert without({"a": 1, "b": 2, "c": 3}, "a", "c", "d") == {"b": 2}


@pytest.mark.parametrize(
    ("found", "wanted", "before", "sentence"),
    [
        pytest.param({"a": 1, "more": 2}, {"a": 1}, {"a": 0}, "", id="as-wanted"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {}, "", id="the-api-adds-a-key"),
        pytest.param({}, {"a": None}, {"a": None}, "", id="null-left-out"),
        pytest.param(
            {"a": 0},
            {"a": 1},
            {"a": 0},
            "The API accepted the change, but it shows no effect (a 0 -> 1); "
            "look at it in the product before you run again. "
            "If the API limits the value or spells it differently, write it as the API does.",
            id="no-effect",
        ),
        pytest.param(
            {"a": "eu-central-1"},
            {"a": "eu"},
            {"a": "eu-central-1"},
            'The API accepted the change, but it shows no effect (a "eu-central-1" -> "eu"); '
            "look at it in the product before you run again. "
            "If the API limits the value or spells it differently, write it as the API does.",
            id="no-effect-or-another-spelling",
        ),
        pytest.param(
            {},
            {"a": 1},
            {},
            "The API accepted the change, but it shows no effect (a (unset) -> 1); "
            "look at it in the product before you run again.",
            id="not-created",
        ),
        pytest.param(
            {"a": {"b": 3}},
            {"a": {"b": 2}},
            {"a": {"b": 1}},
            "The API stores a.b as 3; the task asks for 2: write it as the API does.",
            id="stored-otherwise",
        ),
        pytest.param(
            {"a": 3, "b": "x"},
            {"a": 2, "b": "X"},
            {"a": 1},
            'The API stores a as 3 and b as "x"; the task asks for 2 and "X": '
            "write it as the API does.",
            id="two-stored-otherwise",
        ),
        pytest.param(
            {"a": {"b": 2}, "c": 5},
            {"a": {"b": 1, "d": 4}, "c": 3},
            {"a": {"b": 1, "d": 4}, "c": 3},
            "The API changed a.b, which was to stay: it was 1 and is 2; "
            "a.d, which was to stay: it was 4 and is (unset); "
            "c, which was to stay: it was 3 and is 5.",
            id="not-kept",
        ),
        pytest.param(
            {"a": 9, "b": 8, "c": 1},
            {"a": 1, "b": 2, "c": 3},
            {"a": 1, "b": 1, "c": 1},
            "The API changed a, which was to stay: it was 1 and is 9. "
            "The API stores b as 8; the task asks for 2: write it as the API does. "
            "The API accepted the change, but it shows no effect (c 1 -> 3); "
            "look at it in the product before you run again. "
            "If the API limits the value or spells it differently, write it as the API does.",
            id="all",
        ),
    ],
)
def test_what_reading_back_found_is_told_as_what_it_is(found, wanted, before, sentence):
    assert describe_mismatches(find_mismatches(found, wanted, before)) == sentence


def test_a_text_about_what_is_no_field_is_without_effect():
    assert "no effect ('x' is still listed)" in describe_mismatches(["'x' is still listed"])


def test_values_compare_as_the_field_does():
    def equal(name: str, one: object, other: object) -> bool:
        return name == "a" and str(one).lower() == str(other).lower()

    assert find_mismatches({"a": "X", "b": "X"}, {"a": "x", "b": "x"}, {}, equal) == [
        Mismatch("b", UNSET, "x", "X")
    ]
