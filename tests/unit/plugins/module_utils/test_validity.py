# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How times of the API are read, and which listed objects count."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    same_id,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    is_expired,
    is_gone,
    is_in_force,
    is_never,
    parse_time,
)

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime.datetime(2025, 3, 27, 12, tzinfo=UTC)
DAY = datetime.datetime(2025, 3, 27, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2025-03-27T12:00:00Z", NOON),
        ("2025-03-27T12:00:00", NOON),
        ("2025-03-27 12:00:00", NOON),
        ("2025-03-27t12:00:00z", NOON),
        ("2025-03-27T12:00Z", NOON),
        ("2025-03-27T12:00", NOON),
        ("20250327T120000Z", NOON),
        ("20250327T1200Z", NOON),
        ("2025-03-27T12:00:00+00:00", NOON),
        ("2025-03-27T17:30:00+05:30", NOON),
        ("2025-03-27T17:30:00+0530", NOON),
        ("2025-03-27T07:00:00-05", NOON),
        ("2025-03-27 12:00:00 UTC", NOON),
        ("2025-03-27 12:00:00 +0000", NOON),
        (" 2025-03-27T12:00:00Z ", NOON),
        ("2025-03-27", DAY),
        ("20250327", DAY),
        ("2025-03-27T12:00:00.25Z", NOON.replace(microsecond=250_000)),
        ("2025-03-27T12:00:00,25Z", NOON.replace(microsecond=250_000)),
        ("2025-03-27T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
        ("2025-03-27T11:59:60Z", NOON - datetime.timedelta(seconds=1)),
        (SECONDS, NOON),
        (float(SECONDS), NOON),
        (SECONDS + 0.5, NOON + datetime.timedelta(seconds=0.5)),
        (SECONDS * 1000, NOON),
        (str(SECONDS), NOON),
        (str(SECONDS * 1000), NOON),
        ("Thu, 27 Mar 2025 12:00:00 GMT", NOON),
        ("Thu, 27 Mar 2025 13:00:00 +0100", NOON),
        ("27 Mar 2025 12:00:00 -0000", NOON),
    ],
)
def test_parse_time(value, time):
    assert parse_time(value) == time
    assert not is_never(value)


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "2025-13-01",
        "2025-02-30T00:00:00Z",
        "2025-03-27T25:00:00Z",
        "2025-03-27T12:00:61Z",
        "2025-03-27T12:00:00+25:00",
        "2025-0327",
        "2025",
        "03/27/2025",
        "32 Mar 2025 12:00:00 GMT",
        123456789,
        SECONDS * 1_000_000,
        True,
        float("nan"),
        float("inf"),
        "--",
        "unknown",
        [0],
        {"at": "2025-03-27"},
    ],
    ids=str,
)
def test_what_is_no_time(value):
    assert parse_time(value) is None
    assert not is_never(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "never",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:30",
        "0001-01-01 00:00:00 +0000",
        "0001-01-01",
        "0000-00-00 00:00:00",
        "1970-01-01T00:00:00Z",
        0,
        0.0,
        "0",
        -62135596800,
        False,
        "null",
        "None",
        "-",
        "N/A",
        " n/a ",
        "false",
        [],
        {},
    ],
    ids=str,
)
def test_what_means_never(value):
    assert parse_time(value) is None
    assert is_never(value)


KEY = {"id": "key_1", "name": "ci", "scopes": ["a:read"], "expires_at": None}
ENTRY = {"id": "ipw_1", "cidr": "203.0.113.0/24"}
CHANNEL = {"id": "nch_1", "type": "email", "name": "Mail", "enabled": True}
PAST, FUTURE = "2025-12-31T23:59:59Z", "2026-01-01T00:01:01Z"


@pytest.mark.parametrize("item", [KEY, ENTRY, CHANNEL], ids=["key", "entry", "channel"])
@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, True),
        ({"revoked_at": PAST}, False),
        ({"revoked_at": FUTURE}, True),
        ({"revoked_at": None}, True),
        ({"revoked_at": ""}, True),
        ({"revoked_at": "0001-01-01T00:00:00Z"}, True),
        ({"revoked_at": "n/a"}, True),
        ({"deleted_at": "null"}, True),
        ({"revoked_at": "-"}, True),
        ({"deleted_at": []}, True),
        ({"archived_at": {}}, True),
        ({"valid_until": PAST}, False),
        ({"valid_until": FUTURE}, True),
        ({"valid_until": "never"}, True),
        ({"status": {"name": "revoked"}}, False),
        ({"deleted_at": PAST}, False),
        ({"archived_at": PAST}, False),
        ({"state": "revoked"}, False),
        ({"state": "ACTIVE"}, True),
        ({"status": "Deleted"}, False),
        ({"status": "expired"}, False),
        ({"status": None}, True),
        ({"deleted": True}, False),
        ({"deleted": False}, True),
        ({"expires_at": PAST}, False),
        ({"expires_at": "2026-01-01T00:00:00Z"}, False),
        ({"expires_at": FUTURE}, True),
        ({"expires_at": "0001-01-01T00:00:00Z"}, True),
    ],
    ids=str,
)
def test_in_force(item, more, counts):
    assert is_in_force({**item, **more}, NOW) is counts


ENDS = ["revoked_at", "deleted_at", "archived_at", "removed_at"]


@pytest.mark.parametrize("item", [KEY, ENTRY, CHANNEL], ids=["key", "entry", "channel"])
@pytest.mark.parametrize("value", ["yesterday", True, 5, [0], {"by": "x"}], ids=str)
@pytest.mark.parametrize("name", [*ENDS, "expires_at", "valid_until"])
def test_an_unknown_end_is_an_error(item, name, value):
    """Neither that the object is gone nor that it counts may be concluded."""
    subject = repr(item.get("name", item["id"]))
    text = f"The API's answer for {subject} has no known time in {name}: {value!r}."
    with pytest.raises(ApiError) as caught:
        is_in_force({**item, name: value}, NOW)
    assert caught.value.message == text
    assert caught.value.status is None and caught.value.answered


INACTIVE = [{"active": False}, {"is_active": 0}]
OFF = [
    {"enabled": False},
    {"enabled": "false"},
    {"status": "disabled"},
    {"state": "inactive"},
    {"disabled": True},
    {"disabled_at": PAST},
    {"suspended_at": PAST},
    {"is_enabled": False},
    {"status": {"name": "disabled"}},
    {"status": "false"},
    {"status": "0"},
    {"status": 0},
    {"state": {"value": "off", "since": PAST}},
    {"suspended": True},
]
DOUBTFUL = [
    {"status": "pending"},
    {"status": "blocked"},
    {"state": "Draft"},
    {"state": "whatever"},
    {"status": {"code": "awaiting_approval"}},
    {"pending": True},
    {"draft": True},
    {"valid_from": FUTURE},
    {"not_before": FUTURE},
    {"starts_at": FUTURE},
    {"expires_at": "2026-01-01T00:00:59Z"},
    {"valid_until": "2026-01-01T00:01:00Z"},
]
GOOD = [
    {"status": status}
    for status in (
        *("active", "Enabled", "in_force", "in-force", "valid", "live", "ok", "approved", "on"),
        *(True, 1, None, "", "n/a", {"name": "active"}, {}),
    )
]
GOOD += [
    {"state": "true", "status": "OK"},
    {"valid_from": PAST},
    {"valid_from": None, "disabled_at": None, "suspended_at": "-"},
    {"disabled_at": FUTURE},
    {"is_enabled": True, "pending": False},
    {"expires_at": FUTURE, "valid_until": FUTURE},
]


@pytest.mark.parametrize("more", [*OFF, *INACTIVE], ids=str)
def test_a_grant_that_is_off_does_not_count(more):
    assert not is_in_force({**KEY, **more}, NOW)
    assert not is_in_force({**ENTRY, **more}, NOW)


@pytest.mark.parametrize("more", OFF, ids=str)
def test_a_grant_that_is_off_is_gone(more):
    assert is_gone({**KEY, **more}, NOW)


@pytest.mark.parametrize("more", DOUBTFUL, ids=str)
def test_a_grant_that_may_not_be_in_force_does_not_cover_and_is_not_gone(more):
    """A key of unknown status may still open the door: it is no cover, and not ignored either."""
    for grant in (KEY, ENTRY):
        assert not is_in_force({**grant, **more}, NOW)
        assert not is_gone({**grant, **more}, NOW)
        assert not is_expired({**grant, **more}, NOW)
    assert is_in_force({**CHANNEL, **more}, NOW)


@pytest.mark.parametrize("more", GOOD, ids=str)
def test_a_grant_that_is_in_force(more):
    assert is_in_force({**KEY, **more}, NOW)
    assert is_in_force({**ENTRY, **more}, NOW)


@pytest.mark.parametrize("name", ["state", "status"])
@pytest.mark.parametrize(
    "value", [2, -5, 1.5, ["active"], {"since": PAST}, {"name": ["x"]}], ids=str
)
def test_a_status_of_an_unknown_shape_is_an_error(name, value):
    for grant in (KEY, ENTRY):
        with pytest.raises(ApiError) as caught:
            is_in_force({**grant, name: value}, NOW)
        subject = grant.get("name", grant["id"])
        assert caught.value.message == (
            f"The API's answer for {subject!r} has no known status in {name}: {value!r}."
        )
    assert is_in_force({**CHANNEL, name: value}, NOW)


@pytest.mark.parametrize("name", ["valid_from", "not_before", "starts_at", "disabled_at"])
def test_an_unknown_time_of_a_grant_is_an_error(name):
    with pytest.raises(ApiError, match=f"'ipw_1' has no known time in {name}: 'soon'"):
        is_in_force({**ENTRY, name: "soon"}, NOW)


@pytest.mark.parametrize("more", OFF, ids=str)
def test_a_channel_or_rule_that_is_off_counts(more):
    rule = {"id": "nrl_1", "name": "R", "event": "e", "channel_ids": []}
    assert is_in_force({**CHANNEL, **more}, NOW)
    assert is_in_force({**rule, **more}, NOW)


@pytest.mark.parametrize("more", INACTIVE, ids=str)
def test_a_channel_that_has_a_switch_and_is_not_active_does_not_count(more):
    assert not is_in_force({**CHANNEL, "enabled": True, **more}, NOW)
    assert is_in_force({"id": "nch_1", "type": "email", "name": "C", **more}, NOW)


def test_an_expiry_that_is_no_time_is_an_error():
    with pytest.raises(ApiError, match="'ci' has no known time in expires_at: 'soon'"):
        is_in_force({**KEY, "expires_at": "soon"}, NOW)


def test_ids_compare_by_spelling():
    assert same_id(43, "43") and same_id("key_1", "key_1")
    assert not same_id(43, "430") and not same_id("key_1", "KEY_1")
