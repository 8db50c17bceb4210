# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How documented fields are read, and which values mean the same."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    BOOLEAN,
    DOCUMENTED,
    IDENTIFYING,
    LOCALE,
    NAME,
    NAMES,
    NUMBER,
    TEXT,
    ZONE,
    ZONE_ALIASES,
    Kind,
    find_kind,
    find_unlimited,
    is_unlimited,
    read_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (NUMBER, 60, 60),
        (NUMBER, 60.0, 60),
        (NUMBER, "60", 60),
        (NUMBER, "60.0", 60),
        (NUMBER, "-1", -1),
        (NUMBER, 10**30, 10**30),
        (NUMBER, None, None),
        (BOOLEAN, True, True),
        (BOOLEAN, "true", True),
        (BOOLEAN, "FALSE", False),
        (BOOLEAN, 1, True),
        (BOOLEAN, 0, False),
        (BOOLEAN, "0", False),
        (BOOLEAN, None, None),
        (TEXT, "x", "x"),
        (TEXT, 42, "42"),
        (TEXT, None, None),
        (IDENTIFYING["id"], 43, "43"),
        (IDENTIFYING["id"], "43", "43"),
        (NAMES, ["a", "b"], ["a", "b"]),
        (NAMES, [], []),
        (NAMES, [{"name": "a", "enabled": True}, {"name": "b", "enabled": False}], ["a"]),
        (NAMES, [{"name": "a"}, "b"], ["a", "b"]),
        (NAMES, {"a": True, "b": "false", "c": 1}, ["a", "c"]),
        (NAMES, {}, []),
        (NAMES, None, None),
    ],
)
def test_read(kind, value, read):
    assert repr(kind.read(value)) == repr(read)


OTHER_TYPES: list[tuple[Kind, list[t.Any]]] = [
    (NUMBER, [True, "soon", "", "1.5", 1.5, [60], {"a": 1}, "9" * 5000]),
    (NUMBER, [float("inf"), float("nan"), "0x10", "1_000", "\u0663"]),
    (BOOLEAN, ["disabled", "yes", 2, -1, 0.5, 1.0, [], {}, ""]),
    (TEXT, [True, [], {}, ["x"], float("nan")]),
    (IDENTIFYING["id"], [None, "", True, 1.5, [], {"id": 1}]),
    (NAMES, ["sso", 1, True, [1], [None], [["a"]], [{}], [""]]),
    (NAMES, [{"a": "on"}, {"a": {}}, [{"name": "a", "enabled": "x"}]]),
    (NAMES, [{"a": None}, [{"name": 1}], [{"id": "sso"}]]),
]


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in OTHER_TYPES for value in values]
)
def test_another_type_is_an_error_that_names_the_field(kind, value):
    with pytest.raises(ApiError) as caught:
        read_value(value, kind, "field", "the thing")
    assert caught.value.message.startswith("The API's answer for the thing has ")
    assert f" in field, where {kind.noun} is documented; check api_url" in caught.value.message
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        (NUMBER, "60", 60.0, True),
        (NUMBER, "60", 61, False),
        (NUMBER, None, 0, False),
        (NUMBER, 1, True, False),
        (BOOLEAN, "true", True, True),
        (BOOLEAN, 0, False, True),
        (BOOLEAN, None, False, False),
        (BOOLEAN, "disabled", True, False),
        (ZONE, "UTC", "Etc/UTC", True),
        (ZONE, "Zulu", "Etc/UTC", True),
        (ZONE, "utc", "UTC", True),
        (ZONE, "UTC", "GMT", False),
        (ZONE, "UTC", "Europe/London", False),
        (ZONE, "US/Pacific", "America/Los_Angeles", True),
        (ZONE, "Europe/Kiev", "Europe/Kyiv", True),
        (ZONE, "Europe/Berlin", "Europe/Paris", False),
        (LOCALE, "en_us", "en-US", True),
        (LOCALE, "en", "en-US", False),
        (NAME, "Alex@Example.com", "alex@example.com", True),
        (TEXT, " Alex ", "Alex", True),
        (TEXT, "Cafe\u0301", "Caf\u00e9", True),
        (TEXT, "alex", "Alex", False),
        (TEXT, "eu", "eu-central-1", False),
        (NAMES, ["SSO", "a"], ["a", "sso"], True),
        (NAMES, "SSO", "sso", True),
        (NAMES, ["sso"], ["a"], False),
    ],
)
def test_values_that_mean_the_same(kind, one, other, same):
    assert kind.same(one, other) is kind.same(other, one) is same
    assert kind.same(one, one) and kind.same(other, other)


def test_each_alias_is_of_one_zone():
    names = [name for aliases in ZONE_ALIASES.values() for name in aliases]
    assert len({*names, *ZONE_ALIASES}) == len(names) + len(ZONE_ALIASES)


@examples(300)
@given(
    JSON, JSON, st.sampled_from([kind for kinds in DOCUMENTED.values() for kind in kinds.values()])
)
def test_any_value_can_be_compared_and_is_read_or_refused(one, other, kind):
    kind.same(one, other)
    try:
        read_value(one, kind, "field", "the thing")
    except ApiError as error:
        assert "\n" not in error.message


@pytest.mark.parametrize(
    ("resource", "path", "kind"),
    [
        ("features", (), NAMES),
        ("settings", ("require_sso",), BOOLEAN),
        ("settings", ("feature_flags", "x"), BOOLEAN),
        ("profile", ("timezone",), ZONE),
    ],
)
def test_find_kind(resource, path, kind):
    assert find_kind(resource, path) is kind
    unknown = find_kind(resource, ("never", "heard", "of"))
    assert unknown.read({"any": [1]}) == {"any": [1]}


def test_what_may_mean_no_limit():
    assert [value for value in (None, 0, -1, 1, 365) if is_unlimited(value)] == [None, 0, -1]
    assert find_unlimited(
        "log_retention",
        {"run_logs_days": "0", "audit_logs_days": 30, "diagnostic_artifacts_days": ["x"]},
    ) == ["run_logs_days"]
