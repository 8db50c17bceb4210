# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controls without an organization: what a requirement means, what meets it, what is nearest to it, what cannot hold together, and how long a waiver holds."""

from __future__ import annotations

import datetime
import itertools
import typing as t

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils._bounds import (
    Bound,
    Unmet,
    intersect_controls,
    parse_require,
)
from ansible_collections.planasonix.admin.plugins.module_utils._controls import parse_waivers
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

WHERE = "The control 'C-1'"
DAY = datetime.date(2026, 1, 1)


def bound(require: t.Any) -> Bound:
    """The bound of one field."""
    (found,) = parse_require({"field": require}, WHERE).values()
    return found


def meets(require: t.Any, value: t.Any) -> bool:
    return not bound(require).unmet(value)


@pytest.mark.parametrize(
    ("require", "value", "met"),
    [
        pytest.param(30, 30, True, id="equal"),
        pytest.param(30, 30.0, True, id="equal-float"),
        pytest.param(30, 31, False, id="not-equal"),
        pytest.param(30, "30", False, id="equal-text-is-no-number"),
        pytest.param(1, True, False, id="equal-true-is-not-one"),
        pytest.param(True, True, True, id="equal-boolean"),
        pytest.param(True, 1, False, id="equal-one-is-not-true"),
        pytest.param(False, 0, False, id="equal-zero-is-not-false"),
        pytest.param(False, None, False, id="equal-null-is-not-false"),
        pytest.param(None, None, True, id="equal-null"),
        pytest.param("", "", True, id="equal-empty-text"),
        pytest.param(["a", "b"], ["b", "a"], True, id="equal-list-in-another-order"),
        pytest.param(["a", "b"], ["b", "a", "a"], True, id="equal-list-as-set"),
        pytest.param(["a", "b"], ["a"], False, id="equal-list-lacks-one"),
        pytest.param(["a"], ["a", "b"], False, id="equal-list-has-one-more"),
        pytest.param([], [], True, id="equal-empty-list"),
        pytest.param([], ["a"], False, id="equal-empty-list-is-not-any-list"),
        pytest.param([{"a": 1}], [{"a": 1}], True, id="equal-list-of-mappings"),
        pytest.param([{"a": 1}], [{"a": 2}], False, id="not-equal-list-of-mappings"),
        pytest.param({"at_most": 30}, 30, True, id="at-most-the-bound"),
        pytest.param({"at_most": 30}, 29, True, id="at-most-below"),
        pytest.param({"at_most": 30}, 31, False, id="at-most-above"),
        pytest.param({"at_most": 30}, 30.5, False, id="at-most-a-little-above"),
        pytest.param({"at_most": 30}, True, False, id="at-most-boolean"),
        pytest.param({"at_most": 30}, "20", False, id="at-most-text"),
        pytest.param({"at_most": 30}, None, False, id="at-most-null"),
        pytest.param({"at_most": 30}, [20], False, id="at-most-list"),
        pytest.param({"at_most": "30"}, 30, True, id="at-most-templated"),
        pytest.param({"at_most": "30"}, 31, False, id="at-most-templated-above"),
        pytest.param({"at_most": "0.5"}, 0.5, True, id="at-most-templated-fraction"),
        pytest.param({"at_most": 0}, 0, True, id="at-most-zero"),
        pytest.param({"at_most": 0}, 1, False, id="at-most-zero-above"),
        pytest.param({"at_least": 365}, 365, True, id="at-least-the-bound"),
        pytest.param({"at_least": 365}, 366, True, id="at-least-above"),
        pytest.param({"at_least": 365}, 364, False, id="at-least-below"),
        pytest.param({"at_least": 0}, True, False, id="at-least-boolean"),
        pytest.param({"at_least": 0}, "5", False, id="at-least-text"),
        pytest.param({"at_least": 0}, None, False, id="at-least-null"),
        pytest.param({"at_least": "7"}, 7, True, id="at-least-templated"),
        pytest.param({"at_least": "7"}, 6, False, id="at-least-templated-below"),
        pytest.param({"at_least": 10, "at_most": 20}, 10, True, id="between-lower"),
        pytest.param({"at_least": 10, "at_most": 20}, 20, True, id="between-upper"),
        pytest.param({"at_least": 10, "at_most": 20}, 9, False, id="between-below"),
        pytest.param({"at_least": 10, "at_most": 20}, 21, False, id="between-above"),
        pytest.param({"one_of": ["eu", "us"]}, "us", True, id="one-of"),
        pytest.param({"one_of": ["eu", "us"]}, "cn", False, id="one-of-none"),
        pytest.param({"one_of": [1, 2]}, True, False, id="one-of-boolean"),
        pytest.param({"one_of": ["1"]}, 1, False, id="one-of-text"),
        pytest.param({"one_of": ["eu"]}, ["eu"], False, id="one-of-list"),
        pytest.param({"one_of": [None, "eu"]}, None, True, id="one-of-null"),
        pytest.param({"one_of": [["a", "b"]]}, ["b", "a"], True, id="one-of-lists"),
        pytest.param({"not_one_of": ["us", "cn"]}, "eu", True, id="not-one-of"),
        pytest.param({"not_one_of": ["us", "cn"]}, "cn", False, id="not-one-of-it-is"),
        pytest.param({"not_one_of": [1]}, True, True, id="not-one-of-boolean"),
        pytest.param({"not_one_of": [None]}, None, False, id="not-one-of-null"),
        pytest.param({"contains": ["a"]}, ["b", "a"], True, id="contains"),
        pytest.param({"contains": ["a", "c"]}, ["b", "a"], False, id="contains-all-of-them"),
        pytest.param({"contains": ["a"]}, [], False, id="contains-empty"),
        pytest.param({"contains": ["a"]}, "a", False, id="contains-text"),
        pytest.param({"contains": ["a"]}, "abc", False, id="contains-part-of-a-text"),
        pytest.param({"contains": ["a"]}, None, False, id="contains-null"),
        pytest.param({"contains": ["a"]}, {"a": 1}, False, id="contains-key"),
        pytest.param({"contains": [1]}, [True], False, id="contains-boolean"),
        pytest.param({"excludes": ["x"]}, ["a"], True, id="excludes"),
        pytest.param({"excludes": ["x"]}, [], True, id="excludes-empty"),
        pytest.param({"excludes": ["x", "y"]}, ["a", "y"], False, id="excludes-one-of-them"),
        pytest.param({"excludes": [1]}, [True], True, id="excludes-boolean"),
        pytest.param({"excludes": ["x"]}, "x", False, id="excludes-text-proves-nothing"),
        pytest.param({"excludes": ["x"]}, {"x": 1}, False, id="excludes-mapping-proves-nothing"),
        pytest.param(
            {"contains": ["a"], "excludes": ["x"]}, ["a"], True, id="contains-and-excludes"
        ),
        pytest.param(
            {"contains": ["a"], "excludes": ["x"]},
            ["a", "x"],
            False,
            id="contains-and-excludes-unwanted",
        ),
        pytest.param(
            {"contains": ["a"], "excludes": ["x"]}, ["b"], False, id="contains-and-excludes-lacking"
        ),
        pytest.param({"at_least": 1, "not_one_of": [5]}, 5, False, id="at-least-but-not"),
        pytest.param({"at_least": 1, "not_one_of": [5]}, 6, True, id="at-least-and-not"),
    ],
)
def test_what_meets_a_requirement(require, value, met):
    assert meets(require, value) is met
    assert all(text and isinstance(text, str) for text in bound(require).unmet(value))


@pytest.mark.parametrize(
    ("require", "value", "words"),
    [
        pytest.param(30, 60, ["30"], id="equal"),
        pytest.param({"at_most": 30}, 60, ["30", "most"], id="at-most"),
        pytest.param({"at_least": 90}, 60, ["90", "least"], id="at-least"),
        pytest.param({"one_of": ["eu", "ch"]}, "us", ["eu", "ch"], id="one-of"),
        pytest.param({"contains": ["totp", "webauthn"]}, [], ["totp", "webauthn"], id="contains"),
    ],
)
def test_the_reason_names_what_is_required(require, value, words):
    reason = "; ".join(bound(require).unmet(value))
    assert all(word in reason for word in words)


@pytest.mark.parametrize(
    ("require", "value", "named", "unnamed"),
    [
        pytest.param({"contains": ["left", "right"]}, ["left"], "right", "left", id="contains"),
        pytest.param({"excludes": ["left", "right"]}, ["left"], "left", "right", id="excludes"),
    ],
)
def test_the_reason_names_just_the_elements_in_question(require, value, named, unnamed):
    (reason,) = bound(require).unmet(value)
    assert named in reason and unnamed not in reason


@pytest.mark.parametrize(
    ("require", "paths"),
    [
        pytest.param({"a": 1}, {("a",)}, id="flat"),
        pytest.param({"a": 1, "b": {"at_most": 2}}, {("a",), ("b",)}, id="flat-and-bound"),
        pytest.param(
            {"a": {"b": {"c": True, "d": {"one_of": [1]}}}},
            {("a", "b", "c"), ("a", "b", "d")},
            id="nested",
        ),
        pytest.param(
            {"canvas.snap_to_grid": True}, {("canvas.snap_to_grid",)}, id="dots-are-no-nesting"
        ),
        pytest.param({"contains": ["sso"]}, {()}, id="the-whole"),
        pytest.param({"a": [{"at_most": 1}]}, {("a",)}, id="no-nesting-in-lists"),
        pytest.param(
            {"a": {"at_most": 3, "at_least": 1, "not_one_of": [2]}},
            {("a",)},
            id="several-operators",
        ),
    ],
)
def test_what_a_mapping_is(require, paths):
    assert set(parse_require(require, WHERE)) == paths


def test_a_mapping_in_a_list_is_a_value():
    assert meets([{"at_most": 1}], [{"at_most": 1}])
    assert not meets([{"at_most": 1}], [1])


@pytest.mark.parametrize(
    ("require", "words"),
    [
        pytest.param({"a": {"at_most": 30, "b": 1}}, ["a", "at_most", "b"], id="mixed"),
        pytest.param(
            {"a": {"b": {"contains": [1], "c": 1}}}, ["a.b", "contains", "c"], id="mixed-deep"
        ),
        pytest.param({"at_most": 30, "field": 1}, ["at_most", "field"], id="mixed-at-the-top"),
        pytest.param(
            {"a": {"at_most": 30, "at_msot": 1}}, ["at_most", "at_msot"], id="typing-error"
        ),
        pytest.param({"a": {"at_most": "thirty"}}, ["a", "at_most", "thirty"], id="at-most-word"),
        pytest.param({"a": {"at_most": True}}, ["a", "at_most"], id="at-most-boolean"),
        pytest.param({"a": {"at_most": None}}, ["a", "at_most"], id="at-most-null"),
        pytest.param({"a": {"at_most": ""}}, ["a", "at_most"], id="at-most-empty"),
        pytest.param({"a": {"at_least": [1]}}, ["a", "at_least"], id="at-least-list"),
        pytest.param({"a": {"at_least": {"b": 1}}}, ["a", "at_least"], id="at-least-mapping"),
        pytest.param({"a": {"at_most": "nan"}}, ["a", "at_most"], id="at-most-nan"),
        pytest.param({"a": {"at_least": "inf"}}, ["a", "at_least"], id="at-least-infinity"),
        pytest.param({"a": {"one_of": "eu"}}, ["a", "one_of"], id="one-of-text"),
        pytest.param({"a": {"one_of": []}}, ["a", "one_of"], id="one-of-nothing"),
        pytest.param({"a": {"not_one_of": "eu"}}, ["a", "not_one_of"], id="not-one-of-text"),
        pytest.param({"a": {"contains": "a"}}, ["a", "contains"], id="contains-text"),
        pytest.param({"a": {"excludes": {"b": 1}}}, ["a", "excludes"], id="excludes-mapping"),
        pytest.param({"a": {"contains": None}}, ["a", "contains"], id="contains-null"),
    ],
)
def test_requirements_that_cannot_be_understood(require, words):
    with pytest.raises(InvalidOption) as caught:
        parse_require(require, WHERE)
    assert all(word in caught.value.message for word in ["C-1", *words])


@pytest.mark.parametrize(
    ("require", "value", "nearest"),
    [
        pytest.param({"at_most": 30}, 60, 30, id="at-most"),
        pytest.param({"at_most": 30}, 15, 15, id="at-most-stricter"),
        pytest.param({"at_most": "30"}, 60, 30, id="at-most-templated"),
        pytest.param({"at_most": 30}, True, 30, id="at-most-from-a-boolean"),
        pytest.param({"at_most": 30}, None, 30, id="at-most-from-null"),
        pytest.param({"at_most": 30}, "60", 30, id="at-most-from-text"),
        pytest.param({"at_least": 365}, 30, 365, id="at-least"),
        pytest.param({"at_least": 365}, 400, 400, id="at-least-stricter"),
        pytest.param({"at_least": 365}, None, 365, id="at-least-from-null"),
        pytest.param({"at_least": 10, "at_most": 20}, 5, 10, id="both-from-below"),
        pytest.param({"at_least": 10, "at_most": 20}, 25, 20, id="both-from-above"),
        pytest.param({"at_least": 10, "at_most": 20}, 15, 15, id="both-met"),
        pytest.param({"at_least": 10, "at_most": 10}, 25, 10, id="both-the-same"),
        pytest.param({"one_of": ["eu", "ch"]}, "us", "eu", id="one-of-the-first"),
        pytest.param({"one_of": ["eu", "ch"]}, "ch", "ch", id="one-of-met"),
        pytest.param({"one_of": [30, 60], "at_least": 45}, 10, 60, id="one-of-the-first-that-fits"),
        pytest.param(
            {"one_of": ["eu", "ch"], "not_one_of": ["eu"]},
            "us",
            "ch",
            id="one-of-the-first-that-is-allowed",
        ),
        pytest.param({"contains": ["a", "b"]}, ["c", "a"], ["c", "a", "b"], id="contains-adds"),
        pytest.param({"contains": ["a"]}, None, ["a"], id="contains-from-null"),
        pytest.param({"excludes": ["x", "y"]}, ["x", "a", "z"], ["a", "z"], id="excludes-removes"),
        pytest.param({"excludes": ["x"]}, ["x"], [], id="excludes-the-last"),
        pytest.param(
            {"contains": ["a"], "excludes": ["x"]}, ["x", "c"], ["c", "a"], id="adds-and-removes"
        ),
        pytest.param({"contains": ["a"]}, ["a", "c", "b"], ["a", "c", "b"], id="contains-met"),
        pytest.param({"at_most": 30, "not_one_of": [0]}, 60, 30, id="with-not-one-of"),
        pytest.param(False, True, False, id="equal"),
        pytest.param(["a"], ["b"], ["a"], id="equal-list"),
        pytest.param(["a", "b"], ["b", "a"], ["b", "a"], id="equal-list-met-in-its-own-order"),
        pytest.param(None, 5, None, id="equal-null"),
        pytest.param({"not_one_of": ["us"]}, "eu", "eu", id="not-one-of-met"),
    ],
)
def test_the_nearest_value(require, value, nearest):
    found = bound(require).nearest(value)
    assert (found, type(found)) == (nearest, type(nearest))
    assert meets(require, found)
    assert bound(require).nearest(found) == found


def test_the_nearest_list_is_another_list():
    """What was read stays as it was read, for the diff."""
    value = ["x", "c"]
    bound({"contains": ["a"], "excludes": ["x"]}).nearest(value)
    assert value == ["x", "c"]


@pytest.mark.parametrize("value", ["us", "cn"])
def test_not_one_of_alone_names_no_value(value):
    with pytest.raises(Unmet):
        bound({"not_one_of": ["us", "cn"]}).nearest(value)


@pytest.mark.parametrize(
    ("requirements", "value", "nearest"),
    [
        pytest.param([{"at_most": 60}, {"at_most": 30}], 90, 30, id="the-smaller-maximum"),
        pytest.param([{"at_least": 60}, {"at_least": 90}], 30, 90, id="the-larger-minimum"),
        pytest.param([{"at_least": 10}, {"at_most": 30}], 90, 30, id="a-range-from-above"),
        pytest.param([{"at_least": 10}, {"at_most": 30}], 5, 10, id="a-range-from-below"),
        pytest.param([{"at_least": 30}, {"at_most": 30}], 5, 30, id="a-range-of-one"),
        pytest.param([30, {"at_most": 30}], 90, 30, id="a-value-within-a-maximum"),
        pytest.param([30, 30], 90, 30, id="the-same-value"),
        pytest.param([["a", "b"], ["b", "a"]], ["c"], ["a", "b"], id="the-same-list"),
        pytest.param(["eu", {"one_of": ["us", "eu"]}], "cn", "eu", id="a-value-among-choices"),
        pytest.param(
            [{"one_of": ["us", "eu", "ch"]}, {"one_of": ["ch", "eu"]}],
            "cn",
            "eu",
            id="common-choices-in-the-order-of-the-first",
        ),
        pytest.param(
            [{"one_of": [30, 60, 90]}, {"at_least": 45}], 10, 60, id="choices-within-a-minimum"
        ),
        pytest.param(
            [{"one_of": ["us", "eu"]}, {"not_one_of": ["us"]}], "us", "eu", id="choices-without-one"
        ),
        pytest.param(
            [{"contains": ["a"]}, {"contains": ["b"]}], [], ["a", "b"], id="elements-of-both"
        ),
        pytest.param(
            [{"contains": ["a"]}, {"contains": ["a", "b"]}],
            [],
            ["a", "b"],
            id="an-element-of-both-once",
        ),
        pytest.param(
            [{"contains": ["a"]}, {"excludes": ["x"]}], ["x"], ["a"], id="elements-with-and-without"
        ),
        pytest.param(
            [["a", "b"], {"contains": ["a"]}], [], ["a", "b"], id="a-list-with-its-element"
        ),
        pytest.param(
            [["a", "b"], {"excludes": ["x"]}], ["x"], ["a", "b"], id="a-list-without-the-element"
        ),
        pytest.param([{"not_one_of": ["us"]}, {"not_one_of": ["cn"]}], "eu", "eu", id="neither"),
    ],
)
def test_several_controls_of_one_field(requirements, value, nearest):
    combined = intersect_controls(
        [
            (f"C-{number}", parse_require({"field": require}, WHERE))
            for number, require in enumerate(requirements)
        ]
    )[("field",)]
    assert combined.nearest(value) == nearest
    assert all(meets(require, nearest) for require in requirements)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_the_order_of_the_controls_does_not_matter(order):
    requirements = [{"at_most": 60}, {"at_most": 30}, {"at_least": 15}, {"not_one_of": [20]}]
    combined = intersect_controls(
        [(f"C-{number}", parse_require({"field": requirements[number]}, WHERE)) for number in order]
    )[("field",)]
    assert [combined.nearest(value) for value in (90, 30, 21, 5)] == [30, 30, 21, 15]


CONFLICTS = [
    pytest.param(30, 60, id="two-values"),
    pytest.param(True, 1, id="true-and-one"),
    pytest.param(["a"], ["a", "b"], id="two-lists"),
    pytest.param(60, {"at_most": 30}, id="a-value-above-the-maximum"),
    pytest.param(10, {"at_least": 30}, id="a-value-below-the-minimum"),
    pytest.param("us", {"one_of": ["eu", "ch"]}, id="a-value-that-is-no-choice"),
    pytest.param("us", {"not_one_of": ["us"]}, id="a-value-that-is-not-allowed"),
    pytest.param(["a"], {"contains": ["b"]}, id="a-list-that-lacks-an-element"),
    pytest.param(["a", "x"], {"excludes": ["x"]}, id="a-list-with-an-unwanted-element"),
    pytest.param({"at_least": 60}, {"at_most": 30}, id="an-empty-range"),
    pytest.param({"one_of": ["eu"]}, {"one_of": ["us", "ch"]}, id="no-common-choice"),
    pytest.param({"one_of": ["eu", "us"]}, {"not_one_of": ["us", "eu"]}, id="no-choice-is-allowed"),
    pytest.param({"one_of": [30, 60]}, {"at_most": 20}, id="no-choice-within-the-maximum"),
    pytest.param(
        {"one_of": [["a"], ["a", "b"]]}, {"excludes": ["a"]}, id="no-choice-without-the-element"
    ),
    pytest.param(
        {"contains": ["a", "b"]}, {"excludes": ["b"]}, id="an-element-wanted-and-unwanted"
    ),
    pytest.param({"at_least": 1}, {"contains": ["a"]}, id="a-number-and-a-list"),
    pytest.param(
        {"at_least": 30}, {"at_most": 30, "not_one_of": [30]}, id="the-only-number-is-not-allowed"
    ),
    pytest.param("weekly", {"hour": 5}, id="a-value-and-a-mapping"),
    pytest.param({"at_most": 5}, {"inner": {"at_most": 5}}, id="a-number-and-a-mapping"),
]


@pytest.mark.parametrize("swapped", [False, True], ids=["in-order", "swapped"])
@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_controls_that_cannot_both_hold(one, other, swapped):
    requirements = [("ONE-1", {"field": one}), ("TWO-2", {"field": other})]
    with pytest.raises(InvalidOption) as caught:
        intersect_controls(
            [
                (control_id, parse_require(require, WHERE))
                for control_id, require in (reversed(requirements) if swapped else requirements)
            ]
        )
    assert all(word in caught.value.message for word in ("ONE-1", "TWO-2", "field"))


@pytest.mark.parametrize(
    ("bystander", "one", "other"),
    [
        pytest.param({"at_least": 10}, {"at_most": 60}, {"at_least": 70}, id="maximum"),
        pytest.param({"at_most": 90}, {"at_least": 60}, {"at_most": 30}, id="minimum"),
        pytest.param({"contains": ["a"]}, {"excludes": ["b"]}, {"contains": ["b"]}, id="elements"),
        pytest.param({"not_one_of": ["cn"]}, {"one_of": ["eu"]}, {"one_of": ["us"]}, id="choices"),
        pytest.param({"at_least": 10}, 30, 60, id="values"),
    ],
)
def test_a_conflict_names_the_two_controls_that_are_in_conflict(bystander, one, other):
    """Not one that happens to be about the same field."""
    with pytest.raises(InvalidOption) as caught:
        intersect_controls(
            [
                (name, parse_require({"field": require}, WHERE))
                for name, require in (("BYSTANDER", bystander), ("ONE-1", one), ("TWO-2", other))
            ]
        )
    assert "ONE-1" in caught.value.message and "TWO-2" in caught.value.message
    assert "BYSTANDER" not in caught.value.message


def test_controls_of_different_fields_do_not_meet():
    combined = intersect_controls(
        [
            ("A", parse_require({"a": 1, "n": {"x": 1}}, WHERE)),
            ("B", parse_require({"b": 2, "n": {"y": 2}}, WHERE)),
        ]
    )
    assert {".".join(path): bound.equals for path, bound in combined.items()} == {
        "a": (1,),
        "b": (2,),
        "n.x": (1,),
        "n.y": (2,),
    }


@pytest.mark.parametrize(
    ("expires", "day", "holds"),
    [
        pytest.param("2026-01-01", DAY - datetime.timedelta(days=1), True, id="before"),
        pytest.param("2026-01-01", DAY, True, id="on-the-day"),
        pytest.param("2026-01-01", DAY + datetime.timedelta(days=1), False, id="after"),
        pytest.param("2025-12-31", DAY, False, id="over-the-turn-of-the-year"),
        pytest.param(None, DAY, True, id="without-an-end"),
    ],
)
def test_how_long_a_waiver_holds(expires, day, holds):
    waiver = {"id": "A", "reason": "legacy", **({} if expires is None else {"expires": expires})}
    assert parse_waivers([waiver], ["A", "B"])["A"].is_active(day) is holds


@pytest.mark.parametrize(
    ("waivers", "words"),
    [
        pytest.param([{"id": "Z", "reason": "r"}], ["'Z'"], id="unknown"),
        pytest.param([{"id": "a", "reason": "r"}], ["'a'"], id="in-another-case"),
        pytest.param(
            [{"id": "A", "reason": "r"}, {"id": "A", "reason": "s", "expires": "2027-01-01"}],
            ["'A'", "twice"],
            id="twice",
        ),
        *(
            pytest.param(
                [{"id": "A", "reason": "r", "expires": text}],
                ["'A'", "expires"],
                id=text or "empty",
            )
            for text in (
                "2027-02-30",
                "31.03.2027",
                "2027-3-1",
                "tomorrow",
                "2027",
                "",
                "2027-03-31T00:00:00Z",
                "20270331",
            )
        ),
    ],
)
def test_waivers_that_cannot_be_used(waivers, words):
    with pytest.raises(InvalidOption) as caught:
        parse_waivers(waivers, ["A", "B"])
    assert all(word in caught.value.message for word in words)
