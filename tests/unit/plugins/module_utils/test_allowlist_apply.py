# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The allowlist at work: lost answers, servers that refuse a second entry, and the moment of switching on."""

from __future__ import annotations

import pytest
from unit.plugins.fake_api import FakeApi, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules.planasonix_ip_whitelist import MODULE

A, B = "203.0.113.0/24", "198.51.100.0/24"
POST, DELETE, TOGGLE = (
    "POST /api/settings/ip-whitelist",
    "DELETE /api/settings/ip-whitelist/*",
    "POST /api/settings/ip-whitelist/toggle",
)
STATUS = "GET /api/settings/ip-whitelist/status"
PROTECTED: dict = {"protected_addresses": ["203.0.113.7"]}


def listed(api: FakeApi) -> list[tuple]:
    return [(entry["cidr"], entry["label"]) for entry in api.entries]


def test_check_run_again():
    api = FakeApi()
    api.add_entry(B)
    task: dict = {
        "entries": [{"cidr": A, "label": "x"}],
        "purge": True,
        "enabled": True,
        **PROTECTED,
    }
    result = perform_both(api, MODULE, **task)
    assert (listed(api), api.enabled) == ([(A, "x")], True)
    assert result["ip_whitelist"] == {
        "enabled": True,
        "applies_to": ["api", "ui"],
        "entries": api.entries,
    }
    again = perform_both(FakeApi(), MODULE, entries=[])
    assert (again["changed"], again["msg"]) == (False, "no change")
    api.log.clear()
    assert (perform(api, MODULE, **task)["changed"], api.writes) == (False, [])


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        *(
            (POST, f"{kind} {when}")
            for kind in ("lost", "502", "503", "504")
            for when in ("before", "after")
        ),
        *((DELETE, f"{kind} {when}") for kind in ("lost", "502") for when in ("before", "after")),
        *((TOGGLE, f"{kind} {when}") for kind in ("lost", "502") for when in ("before", "after")),
        *(
            (pattern, kind)
            for pattern in (POST, DELETE, TOGGLE)
            for kind in ("refused", "429 before")
        ),
        (TOGGLE, "500 after"),
    ],
)
def test_lost_answers_are_settled(pattern, kind):
    api = FakeApi().fail(pattern, kind)
    api.add_entry(B)
    result = perform(
        api, MODULE, entries=[{"cidr": A, "label": "x"}], purge=True, enabled=True, **PROTECTED
    )
    assert not result.get("failed"), result["msg"]
    assert (listed(api), api.enabled) == ([(A, "x")], True)


@pytest.mark.parametrize(
    ("pattern", "kind", "words", "after"),
    [
        pytest.param(
            POST, "500 before", "add 203.0.113.0/24 to the IP allowlist", [(B, None)], id="add"
        ),
        pytest.param(
            DELETE, "403 before", "remove 198.51.100.0/24", [(B, None), (A, None)], id="remove"
        ),
        pytest.param(
            DELETE,
            "204 before",
            "198.51.100.0/24 is still listed",
            [(B, None), (A, None)],
            id="remove-without-effect",
        ),
        pytest.param(
            TOGGLE,
            "200 before",
            "be switched on, but shows it as still off",
            [(A, None)],
            id="switch-on-without-effect",
        ),
        pytest.param(
            TOGGLE,
            "403 before",
            "switch enforcement of the IP allowlist on",
            [(A, None)],
            id="switch-on",
        ),
    ],
)
def test_failures(pattern, kind, words, after):
    api = FakeApi().fail(pattern, kind)
    api.add_entry(B)
    result = perform(api, MODULE, entries=[{"cidr": A}], purge=True, enabled=True, **PROTECTED)
    assert result["failed"] and words in result["msg"]
    assert (listed(api), api.enabled and "switch" in words) == (after, False)


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize(
    ("enabled", "others", "options", "done"),
    [
        pytest.param(False, [], {}, True, id="off"),
        pytest.param(True, ["203.0.113.7/32"], PROTECTED, True, id="covered-by-another-entry"),
        pytest.param(
            True, ["203.0.113.0/25"], {"protected_addresses": [A]}, False, id="covered-in-part"
        ),
        pytest.param(True, [], PROTECTED, False, id="uncovered"),
        pytest.param(True, [], {"allow_lockout": True}, True, id="lockout-allowed"),
        pytest.param(True, [], {"enabled": False}, True, id="switched-off-first"),
        pytest.param(False, [], {"enabled": True, **PROTECTED}, True, id="switched-on-last"),
    ],
)
def test_second_entry_refused(status, enabled, others, options, done):
    api = FakeApi()
    api.refuse_second_entry, api.enabled = status, enabled
    api.add_entry(A, "x")
    for cidr in others:
        api.add_entry(cidr)
    before = listed(api)
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "y"}], **options)
    if done:
        assert not result.get("failed"), result["msg"]
        assert listed(api) == [*before[1:], (A, "y")]
        assert (
            perform(api, MODULE, entries=[{"cidr": A, "label": "y"}], **options)["changed"] is False
        )
    else:
        assert (
            result["failed"]
            and "would be locked out for a moment" in result["msg"]
            and "(duplicate_cidr)" in result["msg"]
        )
        assert (listed(api), api.writes, result["changed"], result["status"]) == (
            before,
            [POST],
            False,
            status,
        )


def test_other_refusals_of_a_new_label_change_nothing():
    api = FakeApi().fail(POST, "403 before")
    api.add_entry(A, "x")
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "y"}])
    assert (result["failed"], result["status"], listed(api)) == (True, 403, [(A, "x")])


@pytest.mark.parametrize(
    ("times", "after"),
    [(1, [(A, "x")]), (2, [])],
    ids=["old-label-put-back", "nothing-can-be-put-back"],
)
def test_second_entry_refused_and_then_the_first(times, after):
    api = FakeApi().fail(POST, "409 before").fail(POST, "500 before", times=times)
    api.add_entry(A, "x")
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "y"}])
    assert (result["failed"], result["changed"], listed(api)) == (True, True, after)
    assert A in result["msg"]


def test_refused_second_entries_are_replaced_one_at_a_time():
    api = FakeApi()
    api.refuse_second_entry, api.enabled = 409, True
    halves = ["203.0.113.0/25", "203.0.113.0/26"]
    for cidr in (*halves, B):
        api.add_entry(cidr, "x")
    perform(
        api,
        MODULE,
        entries=[{"cidr": cidr, "label": "y"} for cidr in halves],
        purge=True,
        protected_addresses=["203.0.113.7"],
    )
    assert listed(api) == [(cidr, "y") for cidr in halves]
    assert [write.split()[0] for write in api.writes] == [
        "POST",
        "POST",
        "DELETE",
        "POST",
        "DELETE",
        "POST",
        "DELETE",
    ]


@pytest.mark.parametrize(
    ("faults", "enabled", "words"),
    [
        pytest.param(
            [(STATUS, "403 before", 1, 1)],
            False,
            "Enforcement is now off again",
            id="switched-off-again",
        ),
        pytest.param(
            [(STATUS, "403 before", 1, 1), (TOGGLE, "403 before", 1, 1)],
            True,
            "Enforcement is STILL ON",
            id="cannot-be-switched-off",
        ),
        pytest.param(
            [(STATUS, "403 before", 1, 99)], False, "STILL ON", id="off-but-nobody-can-tell"
        ),
        pytest.param(
            [(STATUS, "403 before", 1, 1), (TOGGLE, "200 before", 1, 1)],
            True,
            "STILL ON",
            id="off-without-effect",
        ),
        pytest.param(
            [(STATUS, "500 before", 1, 1), (TOGGLE, "lost after", 1, 1)],
            False,
            "now off again",
            id="answer-of-off-lost",
        ),
        pytest.param(
            [(STATUS, "403 before", 1, 3)],
            False,
            "Enforcement is now off again",
            id="no-access-until-it-is-off",
        ),
        pytest.param(
            [(STATUS, "403 before", 1, 1), (TOGGLE, "500 after", 1, 1)],
            False,
            "Enforcement is now off again",
            id="off-in-spite-of-an-error",
        ),
    ],
)
def test_access_is_proved_after_switching_on(faults, enabled, words):
    api = FakeApi()
    api.add_entry(A)
    for pattern, kind, skip, times in faults:
        api.fail(pattern, kind, skip, times)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert (result["failed"], result["changed"], api.enabled) == (True, True, enabled)
    doubt = (
        "it could not be proved that this key has access"
        if faults[0][1].startswith("500")
        else "this key had no access"
    )
    assert words in result["msg"] and doubt in result["msg"]
    assert api.writes[:2] == [TOGGLE, TOGGLE] and api.bodies[:2] == [
        {"enabled": True},
        {"enabled": False},
    ]
    assert ("administrator at a listed address" in result["msg"]) is ("STILL ON" in words)


def test_a_host_that_locks_itself_out_is_told_so():
    api = FakeApi()
    api.address = "192.0.2.1"
    api.add_entry(A)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert (result["failed"], result["status"], result["code"], api.enabled) == (
        True,
        403,
        "ip_not_allowed",
        True,
    )
    assert "STILL ON" in result["msg"]


def test_still_on_is_not_said_of_what_was_never_switched_on():
    api = FakeApi().fail(TOGGLE, "401 before", times=9).fail(STATUS, "401 before", skip=1, times=9)
    api.add_entry(A)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert (result["failed"], result["status"], api.enabled) == (True, 401, False)
    assert "STILL ON" not in result["msg"]


def test_enforcement_is_not_left_in_doubt_when_the_host_cannot_be_reached():
    """Nothing was ever sent, so nothing was switched on."""
    api = FakeApi().fail(TOGGLE, "refused", times=99)
    api.add_entry(A)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert result["failed"] and "no connection" in result["msg"] and "STILL ON" not in result["msg"]
    assert set(api.writes) == {TOGGLE} and {body["enabled"] for body in api.bodies} == {True}


@pytest.mark.parametrize("enforced", [True, False])
def test_nothing_is_removed_before_the_additions_are_seen(enforced):
    """The API accepts an addition and does not list it: what covers the protected address must stay."""
    api = FakeApi().fail(POST, "200 before", times=99)
    api.add_entry("10.0.0.0/8")
    api.enabled = enforced
    result = perform(
        api,
        MODULE,
        entries=[{"cidr": "10.1.0.0/16"}],
        purge=True,
        enabled=True,
        protected_addresses=["10.1.2.3"],
    )
    assert result["failed"]
    assert (listed(api), api.enabled) == ([("10.0.0.0/8", None)], enforced)
