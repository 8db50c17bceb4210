# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The allowlist with an API that shows it in another legal way, late, or without sense."""

from __future__ import annotations

import functools
import json
import typing as t
from collections.abc import Callable

import pytest
import requests
from unit.plugins.fake_api import FakeApi, Values, iso, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules.planasonix_baseline import (
    MODULE as BASELINE,
)
from ansible_collections.planasonix.admin.plugins.modules.planasonix_info import MODULE as INFO
from ansible_collections.planasonix.admin.plugins.modules.planasonix_ip_whitelist import MODULE

A, B, C = "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"
PATH = "/api/settings/ip-whitelist"
POST, DELETE, TOGGLE = f"POST {PATH}", f"DELETE {PATH}/*", f"POST {PATH}/toggle"
LIST, STATUS = f"GET {PATH}", f"GET {PATH}/status"
PROTECTED: Values = {"protected_addresses": ["203.0.113.7"]}
ENFORCED: Values = {"controls": [{"resource": "ip_whitelist", "require": {"enabled": True}}]}


class LateApi(FakeApi):
    """An API whose list and enforcement follow the writes later.

    :ivar lag: Seconds until the list shows a write.
    :ivar switch_lag: Seconds until enforcement follows its switch.
    """

    lag = 0.0
    switch_lag = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.history: list[tuple[float, list[Values]]] = []
        self.switches: list[tuple[float, bool]] = []

    def answer(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if not self.history:
            self.history.append((0, [dict(entry) for entry in self.entries]))
        while self.switches and self.switches[0][0] <= self.now:
            self.enabled = self.switches.pop(0)[1]
        if path[-1] == "toggle" and self.switch_lag:
            enabled = self.enabled
            status, _data = super().answer(method, path, body)
            if status == 200:
                self.switches.append((self.now + self.switch_lag, self.enabled))
                self.enabled = enabled
            return 202 if status == 200 else status, None
        answer = super().answer(method, path, body)
        if method == "GET" and path[-1] == "ip-whitelist" and answer[0] == 200:
            return 200, [rows for at, rows in self.history if at + self.lag <= self.now][-1]
        if method != "GET":
            self.history.append((self.now, [dict(entry) for entry in self.entries]))
        return answer


def listed(api: FakeApi) -> list[tuple[str, str | None]]:
    return [(entry["cidr"], entry.get("label")) for entry in api.entries]


def verdict(api: FakeApi, **require: t.Any) -> Values:
    """The verdict on a control of the allowlist, in check mode."""
    control = {"resource": "ip_whitelist", "require": require}
    result = perform(api, BASELINE, check_mode=True, controls=[control])
    return t.cast(Values, result["controls"][0])


# Enforcement, and what it is enforced on.


@pytest.mark.parametrize(
    ("value", "enabled"),
    [(True, True), (False, False), (1, True), (0, False), ("true", True), ("False", False)],
)
def test_spellings_of_a_boolean(value: t.Any, enabled: bool) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "enabled": value}, times=9)
    assert perform(api, MODULE, entries=[])["ip_whitelist"]["enabled"] is enabled
    assert verdict(api, enabled=True)["status"] == ("pass" if enabled else "fail")


@pytest.mark.parametrize(
    "value", ["disabled", "enabled", "off", "", None, [], {}, {"value": False}, 2, "yes"]
)
@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_no_boolean_is_an_error(value: t.Any, wanted: bool) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "enabled": value}, times=99)
    api.add_entry(A)
    result = perform(api, MODULE, enabled=wanted, entries=[], purge=True, **PROTECTED)
    assert result["failed"] and f"has {value!r} in the field 'enabled'" in result["msg"]
    found = verdict(api, enabled=wanted)
    assert found["status"] == "error" and "in the field 'enabled'" in found["detail"]
    assert perform(api, INFO, gather_subset=["!all", "ip_whitelist"])["failed"]
    assert (api.writes, api.entries != []) == ([], True)


@pytest.mark.parametrize(
    ("value", "told"), [(["api"], ["api"]), ([], []), ("api", ["api"]), (None, None)]
)
def test_what_it_applies_to(value: t.Any, told: t.Any) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "applies_to": value})
    assert perform(api, MODULE)["ip_whitelist"]["applies_to"] == told


@pytest.mark.parametrize("value", [{"api": True}, [1], True, 5])
def test_what_it_applies_to_has_a_shape(value: t.Any) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "applies_to": value})
    assert "in the field 'applies_to'" in perform(api, MODULE)["msg"]


# The number of entries.


def test_a_list_with_less_than_is_counted_is_no_list() -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "entry_count": 5}, times=99)
    api.add_entry(A)
    api.add_entry(B)
    words = "lists 2 IP allowlist entries and counts 5 (entry_count): the list may be incomplete."
    for check_mode in (True, False):
        result = perform(
            api, MODULE, check_mode, entries=[{"cidr": A}], purge=True, enabled=True, **PROTECTED
        )
        assert result["failed"] and words in result["msg"]
    found = verdict(api, entries=[{"cidr": C}])
    assert found["status"] == "error" and words in found["detail"]
    assert words in perform(api, INFO, gather_subset=["!all", "ip_whitelist"])["msg"]
    assert api.writes == []


def test_a_list_that_follows_its_count_is_awaited() -> None:
    api = FakeApi().fail(LIST, lambda data: data[:1], times=2)
    api.add_entry(A)
    api.add_entry(B)
    result = perform(api, MODULE, entries=[{"cidr": B}])
    assert (result["changed"], len(api.pauses)) == (False, 2)


@pytest.mark.parametrize("count", [None, 0, 1, "1", 1.0, "1.0"])
def test_a_count_that_contradicts_nothing(count: t.Any) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "entry_count": count})
    api.add_entry(A)
    assert perform(api, MODULE, entries=[{"cidr": A}])["changed"] is False
    assert api.pauses == []


@pytest.mark.parametrize("count", ["many", -1, 1.5, True, [1], "nan", "inf", 10**400])
def test_a_count_that_is_no_number(count: t.Any) -> None:
    api = FakeApi().fail(STATUS, lambda data: {**data, "entry_count": count})
    assert "in the field 'entry_count'" in perform(api, MODULE)["msg"]


# Entries that are listed and not in force.


INACTIVE: list[Values] = [
    {"active": False},
    {"enabled": False},
    {"enabled": "false"},
    {"status": "disabled"},
    {"state": "revoked"},
    {"expires_at": "2025-12-31T23:59:59Z"},
    {"deleted_at": "2025-12-31T00:00:00Z"},
]


@pytest.mark.parametrize("why", INACTIVE, ids=str)
def test_an_entry_that_is_not_in_force_counts_for_nothing(why: Values) -> None:
    api = FakeApi()
    api.entries = [{"id": 7, "cidr": A, "label": "Office", **why}]
    refused = perform(api, MODULE, enabled=True, **PROTECTED)
    assert refused["failed"] and "would lock out 203.0.113.7/32" in refused["msg"]
    assert f"Entries not in force do not count: {A}." in refused["msg"]
    assert perform(api, MODULE)["ip_whitelist"] == {
        "enabled": False,
        "applies_to": ["api", "ui"],
        "entries": [],
        "inactive_entries": api.entries,
    }
    found = verdict(api, entries=[{"cidr": A}])
    assert (found["status"], found["detail"]) == ("fail", f"{A} is listed, but not in force")
    # It is left alone, and is no reason for a control to fail either.
    for options in ({"purge": True, "entries": []}, {"state": "absent", "entries": [{"cidr": A}]}):
        assert perform(api, MODULE, **options)["changed"] is False
    assert verdict(api, forbid=[A])["status"] == "pass"
    assert api.writes == []
    task = {"entries": [{"cidr": A, "label": "Office"}], "enabled": True, **PROTECTED}
    assert perform_both(api, MODULE, **task)["changed"] is True
    assert (listed(api)[1:], api.enabled) == ([(A, "Office")], True)
    assert perform(api, MODULE, **task)["changed"] is False


def test_an_entry_that_will_expire_is_in_force() -> None:
    api = FakeApi()
    api.entries = [{"id": "e", "cidr": A, "active": True, "expires_at": iso(api.now + 3600)}]
    assert perform(api, MODULE, entries=[{"cidr": A}], enabled=True, **PROTECTED)["changed"]
    assert len(api.entries) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"status": "pending"},
        {"state": {"name": "disabled"}},
        {"is_enabled": False},
        {"disabled_at": "2026-01-01T00:00:00Z"},
        {"valid_until": "2020-01-01T00:00:00Z"},
        {"valid_from": "2099-01-01T00:00:00Z"},
        {"blocked": True},
    ],
    ids=str,
)
def test_an_entry_that_may_not_be_in_force_protects_nobody(more) -> None:
    api = FakeApi()
    api.entries = [{"id": "ipw_9", "cidr": A, **more}]
    assert perform(api, MODULE, enabled=True, **PROTECTED)["failed"]
    assert api.writes == []


def test_an_end_that_nobody_understands_is_an_error() -> None:
    api = FakeApi()
    api.entries = [{"id": "ipw_9", "cidr": A, "expires_at": "soon"}]
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert "'ipw_9'" in result["msg"] and "expires_at: 'soon'" in result["msg"]
    assert api.writes == []


def test_a_second_entry_beside_one_that_is_not_in_force_is_refused() -> None:
    api = FakeApi()
    api.refuse_second_entry = 409
    api.entries = [{"id": "ipw_9", "cidr": A, "active": False}]
    result = perform(api, MODULE, entries=[{"cidr": A}])
    assert (result["failed"], result["changed"], len(api.entries)) == (True, False, 1)
    assert f"{A} is listed and not in force (ipw_9): activate or delete" in result["msg"]


# One entry on two pages.


@pytest.mark.parametrize("id_type", [int, str])
def test_an_entry_on_two_pages_is_one(id_type: Callable[[str], t.Any]) -> None:
    api = FakeApi()
    api.entries = [{"id": str(number), "cidr": cidr} for number, cidr in enumerate((B, A, C))]
    api.enabled = True

    def repeat(rows: list[Values]) -> list[Values]:
        return [{**row, "id": id_type(row["id"])} for row in (*rows, *rows[:2])]

    api.fail(LIST, repeat, times=99)
    task: Values = {"entries": [{"cidr": A}], "protected_addresses": ["198.51.100.1"]}
    assert perform(api, MODULE, **task)["changed"] is False
    assert verdict(api, entries=[{"cidr": A}])["status"] == "pass"
    result = perform_both(api, MODULE, purge=True, entries=[{"cidr": A}], allow_lockout=True)
    assert result["msg"] == f"ip_whitelist: removed {B}, removed {C}"
    assert listed(api) == [(A, None)]


# Labels and networks in the server's spelling.


def store(api: FakeApi, field: str, change: Callable[[t.Any], t.Any]) -> None:
    """Let the API change a field of new entries."""

    def answer(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if method == "POST" and path[-1] == "ip-whitelist" and body.get(field) is not None:
            body = {**body, field: change(body[field])}
        return FakeApi.answer(api, method, path, body)

    api.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        pytest.param(" Office ", "Office", id="blanks"),
        pytest.param("Office", " Office", id="blanks-of-the-api"),
        pytest.param("Cafe\N{COMBINING ACUTE ACCENT}", "Caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        pytest.param("Caf\N{LATIN SMALL LETTER E WITH ACUTE}", "Cafe\N{COMBINING ACUTE ACCENT}"),
        pytest.param("  ", None, id="none"),
        pytest.param("", None, id="empty"),
    ],
)
def test_labels_are_compared_as_apis_store_them(asked: str, stored: str | None) -> None:
    api = FakeApi()
    api.add_entry(A, stored)
    assert perform(api, MODULE, entries=[{"cidr": A, "label": asked}])["changed"] is False
    assert verdict(api, entries=[{"cidr": A, "label": asked}])["status"] == "pass"
    api = FakeApi()
    store(api, "label", lambda label: stored)
    task: Values = {"entries": [{"cidr": A, "label": asked}]}
    assert perform(api, MODULE, **task)["changed"] is True
    assert (perform(api, MODULE, **task)["changed"], len(api.entries)) == (False, 1)


def note_absence(api: FakeApi, seen: list[bool]) -> None:
    """Note whether A is not listed."""
    seen.append(A not in [cidr for cidr, _label in listed(api)])


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("second", [0, 409])
def test_a_label_that_the_api_changes(second: int, enabled: bool) -> None:
    """The network stays listed at each moment, and the next run does no more than this one."""
    api = FakeApi()
    api.enabled, api.refuse_second_entry = enabled, second
    store(api, "label", str.lower)
    api.add_entry(A, "old")
    api.add_entry("203.0.113.7/32")
    for _number in range(2):
        uncovered: list[bool] = []
        api.observe = functools.partial(note_absence, api, uncovered)
        result = perform(api, MODULE, entries=[{"cidr": A, "label": "R&D"}], **PROTECTED)
        words = f"The API stores the label 'R&D' of {A} as 'r&d'. Write it in that way in the task."
        assert result["failed"] and words in result["msg"]
        assert sorted(cidr for cidr, _label in listed(api)) == sorted([A, "203.0.113.7/32"])
        assert second or (True not in uncovered and (A, "old") in listed(api))


def test_a_label_of_a_new_network_that_the_api_changes() -> None:
    api = FakeApi()
    store(api, "label", str.lower)
    api.add_entry(B)
    task: Values = {"entries": [{"cidr": A, "label": "R&D"}], "purge": True, "enabled": True}
    result = perform(api, MODULE, **task, **PROTECTED)
    assert result["failed"] and f"of {A} as 'r&d'" in result["msg"]
    assert (listed(api), api.enabled) == ([(B, None), (A, "r&d")], False)
    assert "Nothing else was removed from the IP allowlist or enforced." in result["msg"]


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        pytest.param("203.0.113.0/24", "203.0.113.9/24", id="host-bits"),
        pytest.param("203.0.113.7", "203.0.113.7", id="no-prefix"),
        pytest.param("203.0.113.0/24", "::ffff:203.0.113.0/120", id="mapped"),
        pytest.param("::FFFF:203.0.113.0/120", "203.0.113.0/24", id="unmapped"),
        pytest.param("203.0.113.0/24", "203.0.113.0-203.0.113.255", id="range"),
        pytest.param("203.0.113.0/24", " 203.0.113.0/255.255.255.0", id="netmask"),
        pytest.param("2001:db8::1", "2001:0DB8:0000::0001", id="ipv6"),
    ],
)
def test_networks_are_compared_as_networks(asked: str, stored: str) -> None:
    api = FakeApi()
    store(api, "cidr", lambda cidr: stored)
    task: Values = {"entries": [{"cidr": asked, "label": "x"}]}
    assert perform(api, MODULE, **task)["changed"] is True
    assert (perform(api, MODULE, **task)["changed"], len(api.entries)) == (False, 1)
    assert verdict(api, **task)["status"] == "pass"
    result = perform(api, MODULE, entries=[{"cidr": asked, "label": "y"}])
    assert not result.get("failed") and listed(api) == [(stored, "y")]
    assert perform(api, MODULE, state="absent", entries=[{"cidr": asked}])["changed"] is True
    assert api.entries == []


def test_a_mapped_network_covers_no_plain_address() -> None:
    """A server may let in one of the two spellings alone."""
    api = FakeApi()
    api.add_entry("::ffff:203.0.113.0/120")
    assert "would lock out" in perform(api, MODULE, enabled=True, **PROTECTED)["msg"]
    assert verdict(api, forbid=[A])["status"] == "fail"


# Answers of another shape.


class BareApi(FakeApi):
    """An API that answers writes with a body of another shape."""

    bare: bytes = b""

    def send(
        self, request: requests.PreparedRequest, *arguments: t.Any, **more: t.Any
    ) -> requests.Response:
        response = super().send(request, *arguments, **more)
        if request.method == "POST" and response.ok:
            response._content = self.bare
        return response


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"OK", b'"OK"', b"true", b'{"data": null}'])
def test_what_a_write_answers_does_not_matter(body: bytes) -> None:
    api = BareApi()
    api.bare = body
    api.add_entry(B)
    task: Values = {"entries": [{"cidr": A, "label": "x"}], "purge": True, **PROTECTED}
    result = perform_both(api, MODULE, enabled=True, **task)
    assert (result["changed"], listed(api), api.enabled) == (True, [(A, "x")], True)
    assert api.writes.count(POST) == 1
    result = perform(api, MODULE, enabled=False, entries=[{"cidr": A, "label": "y"}])
    assert (listed(api), api.enabled, result.get("failed")) == ([(A, "y")], False, None)


@pytest.mark.parametrize("body", [b"", b'{"error": "no"}'])
def test_a_write_without_effect_is_never_repeated(body: bytes) -> None:
    api = BareApi().fail(POST, "200 before", times=99)
    t.cast(BareApi, api).bare = body
    api.add_entry(B)
    result = perform(api, MODULE, entries=[{"cidr": A}], purge=True)
    words = f"The API accepted {A}, but does not show it yet. Nothing was removed"
    assert result["failed"] and words in result["msg"]
    assert (api.writes, listed(api)) == ([POST], [(B, None)])
    assert 4 < sum(api.pauses) < 8


# What is shown late.


@pytest.mark.parametrize("lag", [0.2, 1.5, 4])
@pytest.mark.parametrize("second", [0, 409])
def test_a_list_that_lags(second: int, lag: float) -> None:
    api = LateApi()
    api.lag, api.enabled, api.refuse_second_entry = lag, True, second
    api.add_entry(A, "old")
    api.add_entry(B)
    api.add_entry("203.0.113.7/32")
    task: Values = {
        "entries": [{"cidr": A, "label": "new"}, {"cidr": C}, {"cidr": "203.0.113.7"}],
        "purge": True,
        **PROTECTED,
    }
    result = perform_both(api, MODULE, **task)
    assert sorted(listed(api)) == sorted([(A, "new"), (C, None), ("203.0.113.7/32", None)])
    assert len(result["ip_whitelist"]["entries"]) == 3
    assert api.writes.count(POST) == (3 if second else 2)
    api.log.clear()
    assert (perform(api, MODULE, **task)["changed"], api.writes) == (False, [])


def test_a_deleted_entry_that_still_blocks_its_network_for_a_while() -> None:
    api = FakeApi().fail(POST, "409 before", times=3)
    api.add_entry(A, "old")
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "new"}])
    assert (listed(api), result.get("failed")) == ([(A, "new")], None)


def test_an_entry_that_is_gone_and_cannot_be_added_again_is_named() -> None:
    api = FakeApi().fail(POST, "409 before", times=99)
    api.add_entry(A, "old")
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "new"}])
    assert (result["failed"], listed(api)) == (True, [])
    assert f"{A} may be out of force: its entry was removed" in result["msg"]
    assert "Add the entry in the product." in result["msg"]


@pytest.mark.parametrize("lag", [0.2, 1.2, 4])
def test_enforcement_that_follows_later_is_awaited(lag: float) -> None:
    api = LateApi()
    api.switch_lag = lag
    api.add_entry(A)
    assert not perform_both(api, MODULE, enabled=True, **PROTECTED).get("failed")
    assert api.enabled is True
    removed_while_on: list[bool] = []
    api.observe = lambda: removed_while_on.append(api.enabled and not api.entries)
    perform(api, MODULE, enabled=False, entries=[], purge=True)
    assert (api.enabled, api.entries, True in removed_while_on) == (False, [], False)


def test_access_is_proved_while_enforcement_is_on() -> None:
    """Enforcement comes on a second after the switch, and only then the key has no access."""
    api = LateApi()
    api.switch_lag, api.address = 1.2, "192.0.2.1"
    api.add_entry(A)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert (result["failed"], result["status"], api.enabled) == (True, 403, True)
    assert "this key had no access" in result["msg"] and "Enforcement is STILL ON" in result["msg"]


@pytest.mark.parametrize("lag", [1.2, 60])
def test_enforcement_that_goes_off_again_later(lag: float) -> None:
    api = LateApi().fail(STATUS, "403 before", skip=1)
    t.cast(LateApi, api).switch_lag = lag
    api.enabled = False
    api.add_entry(A)
    result = perform(api, MODULE, enabled=True, **PROTECTED)
    assert result["failed"] and "Enforcement is now off again" in result["msg"]


@pytest.mark.parametrize("enabled", [True, False])
def test_enforcement_that_does_not_follow(enabled: bool) -> None:
    api = LateApi()
    api.switch_lag, api.enabled = 600, not enabled
    api.add_entry(A)
    api.add_entry(B)
    result = perform(
        api, MODULE, enabled=enabled, entries=[{"cidr": A}], purge=not enabled, **PROTECTED
    )
    shown = "on, but shows it as still off" if enabled else "off, but shows it as still on"
    assert result["failed"] and f"be switched {shown}" in result["msg"]
    assert ([cidr for cidr, _label in listed(api)], api.writes) == ([A, B], [TOGGLE])


# Removals.


def test_an_entry_that_is_gone_already() -> None:
    """A POST may replace the entry of its network under a new id."""
    api = FakeApi()
    old = api.add_entry(A, "old")
    api.fail(DELETE, "404 before")
    api.observe = lambda: api.entries.__setitem__(
        slice(None), [entry for entry in api.entries if entry["id"] != old]
    )
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "new"}])
    assert (listed(api), result.get("failed")) == ([(A, "new")], None)


def test_a_404_for_an_entry_that_is_still_listed_is_an_error() -> None:
    api = FakeApi().fail(DELETE, "404 before")
    api.add_entry(A)
    result = perform(api, MODULE, state="absent", entries=[{"cidr": A}])
    assert (result["failed"], result["status"], listed(api)) == (True, 404, [(A, None)])


@pytest.mark.parametrize(
    "options",
    [{"state": "absent", "entries": [{"cidr": B}]}, {"enabled": True}],
    ids=["remove", "enforce"],
)
def test_a_list_that_changed_since_it_was_planned_for(options: Values) -> None:
    """Another run removes what covers the protected address, after the plan was made."""
    api = FakeApi().fail(LIST, lambda rows: rows[1:], skip=1, times=99)
    api.add_entry(A)
    api.add_entry(B)
    api.enabled = not options.get("enabled", False)
    result = perform(api, MODULE, **options, **PROTECTED)
    words = "does not cover 203.0.113.7/32 as planned, since it changed meanwhile."
    assert result["failed"] and words in result["msg"]
    assert api.writes == []


# Forbidden networks.


def test_halves_of_the_internet_are_the_internet() -> None:
    api = FakeApi()
    halves = ["0.0.0.0/1", "128.0.0.0/1"]
    for cidr in (*halves, A):
        api.add_entry(cidr)
    found = verdict(api, forbid=["0.0.0.0/0"])
    assert (found["status"], found["detail"]) == (
        "fail",
        ". ".join(f"{cidr} is listed, which is not allowed" for cidr in halves),
    )
    control = {"resource": "ip_whitelist", "require": {"forbid": ["0.0.0.0/0"]}}
    result = perform(api, BASELINE, controls=[control])
    assert (result["controls"][0]["status"], listed(api)) == ("fixed", [(A, None)])


@pytest.mark.parametrize("cidr", ["*", "any", "0.0.0.0-255.255.255.254"])
def test_an_entry_that_nobody_can_read_may_be_a_forbidden_one(cidr: str) -> None:
    api = FakeApi()
    api.add_entry(cidr)
    found = verdict(api, forbid=["0.0.0.0/0"])
    assert (
        found["status"] == "error" and f"{cidr!r} (ipw_1), which is no network" in found["detail"]
    )


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["0.0.0.0/0"], "one requires 0.0.0.0/0, and the other forbids it"),
        (["0.0.0.0/1", "128.0.0.0/1"], "which opens 0.0.0.0/0, and the other forbids it"),
    ],
)
def test_controls_that_open_what_another_forbids(entries: list[str], words: str) -> None:
    controls = [
        {"id": "forbid", "resource": "ip_whitelist", "require": {"forbid": ["0.0.0.0/0"]}},
        {
            "id": "list",
            "resource": "ip_whitelist",
            "require": {"entries": [{"cidr": cidr} for cidr in entries]},
        },
    ]
    result = perform(FakeApi(), BASELINE, controls=controls)
    assert result["failed"] and words in result["msg"]


@pytest.mark.parametrize(("text", "status"), [("false", "fail"), ("true", "pass"), ("no", "fail")])
def test_booleans_of_a_control_given_as_text(text: str, status: str) -> None:
    api = FakeApi()
    api.enabled = True
    assert verdict(api, enabled=text)["status"] == status


# Empty options.


@pytest.mark.parametrize(
    "options",
    [
        {"protected_addresses": [""], "enabled": True},
        {"entries": [{"cidr": ""}]},
        {"entries": [{"cidr": " "}], "state": "absent"},
    ],
    ids=json.dumps,
)
def test_empty_addresses_ask_for_the_variable(options: Values) -> None:
    api = FakeApi()
    result = perform(api, MODULE, **options)
    assert result["failed"] and "is the variable that it comes from set?" in result["msg"]
    assert api.log == []


# New entries that are not put in force.


def start(api: FakeApi, **state: t.Any) -> None:
    """Let new entries of the API have more fields."""

    def answer(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        status, data = FakeApi.answer(api, method, path, body)
        if method == "POST" and path[-1] == "ip-whitelist" and status == 201:
            data.update(state)
        return status, data

    api.answer = answer  # type: ignore[method-assign]


@pytest.mark.parametrize("state", [{"active": False}, {"enabled": False}, {"status": "disabled"}])
def test_new_entries_that_start_inactive_do_not_add_up(state: Values) -> None:
    api = FakeApi()
    start(api, **state)
    api.add_entry("198.51.100.7/32")
    task: Values = {"entries": [{"cidr": A}, {"cidr": B}], "purge": True, "enabled": True}
    for _run in range(3):
        result = perform(api, MODULE, **task, **PROTECTED)
        assert (result["failed"], result["changed"], api.enabled) == (True, True, False)
        assert result["msg"] == (
            "The API lists new entries without putting them in force. Activate in the product: "
            f"{A} (ipw_2), {B} (ipw_3). Nothing else was removed from the IP allowlist or enforced."
        )
        assert [entry["id"] for entry in api.entries] == ["ipw_1", "ipw_2", "ipw_3"]
    for entry in api.entries:
        for name in state:
            entry.pop(name, None)
    assert perform(api, MODULE, **task, **PROTECTED)["ip_whitelist"]["enabled"] is True
    assert perform(api, MODULE, **task, **PROTECTED)["changed"] is False
    assert [entry["id"] for entry in api.entries] == ["ipw_2", "ipw_3"]


@pytest.mark.parametrize("answer", ["504 after", "lost after"])
def test_a_new_entry_that_starts_inactive_is_found_after_a_lost_answer(answer: str) -> None:
    api = FakeApi().fail(POST, answer)
    start(api, active=False)
    result = perform(api, MODULE, entries=[{"cidr": A}])
    assert result["failed"] and f"Activate in the product: {A} (ipw_1)." in result["msg"]
    assert (api.writes, len(api.entries)) == ([POST], 1)


def test_a_new_label_that_starts_inactive() -> None:
    api = FakeApi()
    start(api, active=False)
    api.enabled = True
    api.add_entry(A, "old")
    for _run in range(2):
        result = perform(api, MODULE, entries=[{"cidr": A, "label": "new"}], **PROTECTED)
        assert result["failed"] and f"Activate in the product: {A} (ipw_2)." in result["msg"]
        assert listed(api) == [(A, "old"), (A, "new")]


def test_a_new_label_that_replaces_the_old_one_and_starts_inactive() -> None:
    api = FakeApi()
    start(api, active=False)
    api.refuse_second_entry = 409
    api.add_entry(A, "old")
    result = perform(api, MODULE, entries=[{"cidr": A, "label": "new"}])
    assert result["failed"] and f"Activate in the product: {A} (ipw_2)." in result["msg"]
    assert (listed(api), api.writes.count(POST)) == ([(A, "new")], 2)


@pytest.mark.parametrize(
    "end",
    [{"expires_at": "2025-01-01T00:00:00Z"}, {"deleted_at": 1_760_000_000}, {"state": "revoked"}],
    ids=str,
)
def test_an_entry_that_has_ended_is_not_the_one_to_activate(end: Values) -> None:
    api = FakeApi()
    start(api, active=False)
    api.entries = [{"id": "old", "cidr": A, **end}]
    for _run in range(2):
        result = perform(api, MODULE, entries=[{"cidr": A}])
        assert f"Activate in the product: {A} (ipw_1)." in result["msg"]
        assert [entry["id"] for entry in api.entries] == ["old", "ipw_1"]


def test_a_new_entry_that_comes_into_force_later_is_awaited() -> None:
    api = FakeApi()
    start(api, active=False)
    sleep = api.sleep

    def activate(seconds: float) -> None:
        sleep(seconds)
        if sum(api.pauses) > 1:
            api.entries[0]["active"] = True

    api.sleep = activate  # type: ignore[method-assign]
    assert not perform(api, MODULE, entries=[{"cidr": A}]).get("failed")


@pytest.mark.parametrize("enabled", [False, True])
def test_a_new_entry_of_another_shape_ends_the_task_before_access_is_taken(enabled: bool) -> None:
    """Whether it is in force is not known, so nothing may depend on it."""
    api = FakeApi()
    start(api, expires_at="soon")
    api.enabled = enabled
    api.add_entry("203.0.113.7/32")
    task: Values = {"entries": [{"cidr": A}], "purge": True, "enabled": True}
    result = perform(api, MODULE, **task, **PROTECTED)
    assert result["failed"] and "no known time in expires_at: 'soon'" in result["msg"]
    assert (api.writes, api.enabled, len(api.entries)) == ([POST], enabled, 2)
    found = verdict(api, enabled=True)
    assert found["status"] == "error" and "in expires_at: 'soon'" in found["detail"]
    assert "expires_at" in perform(api, INFO, gather_subset=["!all", "ip_whitelist"])["msg"]
    hardened = perform(api, BASELINE, controls=ENFORCED["controls"])
    assert (hardened["controls"][0]["status"], api.writes) == ("error", [POST])


# A status that is counted from time to time.


def count_before(api: FakeApi, **more: t.Any) -> None:
    """Let the status keep the count that it has now."""
    more = {"entry_count": len(api.entries), **more}
    api.fail(STATUS, lambda data: {**data, **more}, times=99)


@pytest.mark.parametrize("more", [{}, {"last_evaluated_at": iso(FakeApi().now - 600)}])
def test_an_old_count_does_not_contradict_what_the_task_removed(more: Values) -> None:
    api = FakeApi()
    for cidr in (A, B, C):
        api.add_entry(cidr)
    api.enabled = True
    count_before(api, **more)
    result = perform_both(api, MODULE, entries=[{"cidr": A}], purge=True, **PROTECTED)
    assert (result["changed"], listed(api), api.pauses) == (True, [(A, None)], [])


def test_a_new_count_above_the_list_is_an_error_after_a_removal() -> None:
    api = FakeApi()
    api.add_entry(A)
    api.add_entry(B)
    count_before(api, last_evaluated_at=iso(api.now + 600))
    result = perform(api, MODULE, state="absent", entries=[{"cidr": B}])
    assert result["failed"] and "lists 1 IP allowlist entries and counts 2" in result["msg"]


def test_a_count_above_what_the_task_removed_is_an_error() -> None:
    api = FakeApi()
    for cidr in (A, B, C):
        api.add_entry(cidr)
    count_before(api)
    api.fail(LIST, lambda rows: rows[:1], skip=1, times=99)
    result = perform(api, MODULE, state="absent", entries=[{"cidr": C}])
    assert result["failed"] and "lists 1 IP allowlist entries and counts 3" in result["msg"]


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
def test_an_old_count_is_no_list_to_plan_from(check_mode: bool) -> None:
    """Deleted entries cannot be told from a list that is cut."""
    api = FakeApi()
    api.add_entry(A)
    time = iso(api.now - 600)
    api.fail(STATUS, lambda data: {**data, "entry_count": 2, "last_evaluated_at": time}, times=99)
    result = perform(api, MODULE, check_mode, entries=[{"cidr": A}], purge=True)
    assert result["msg"] == (
        "The API lists 1 IP allowlist entries and counts 2 (entry_count): the list may be "
        f"incomplete. The count may be as old as last_evaluated_at ({time}). If entries were "
        "deleted since, run again once it is newer; otherwise ask the vendor how the list is paged."
    )
    assert api.writes == []


# Entries of which it is not certain that they are in force.

SOON = iso(FakeApi().now + 30)
UNCERTAIN: list[tuple[Values, str]] = [
    ({"disabled_at": "2025-12-31T23:59:59Z"}, "off"),
    ({"is_enabled": False}, "off"),
    ({"status": {"name": "disabled"}}, "off"),
    ({"valid_until": "2025-12-31T23:59:59Z"}, "off"),
    ({"status": "pending"}, "unsettled"),
    ({"status": "effective soon"}, "unsettled"),
    ({"valid_from": "2026-02-01T00:00:00Z"}, "unsettled"),
    ({"expires_at": SOON}, "unsettled"),
    ({"status": ["active"]}, "unknown"),
    ({"valid_until": "soon"}, "unknown"),
    ({"disabled_at": {"by": "x"}}, "unknown"),
]


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize(("why", "kind"), UNCERTAIN, ids=str)
def test_only_what_is_surely_in_force_covers(why: Values, kind: str, check_mode: bool) -> None:
    tasks: list[Values] = [
        {"enabled": True},
        {"entries": [{"cidr": B}], "enabled": True},
        {"entries": [{"cidr": B}], "purge": True},
        {"entries": [{"cidr": C}], "state": "absent"},
    ]
    for number, task in enumerate(tasks):
        api = FakeApi()
        api.entries = [{"id": "odd", "cidr": A, **why}, {"id": "c", "cidr": C}]
        api.enabled = number > 1
        result = perform(api, MODULE, check_mode, **task, **PROTECTED)
        assert (result["failed"], result["changed"], api.writes) == (True, False, []), task
        words = repr(next(iter(why.values()))) if kind == "unknown" else "lock out 203.0.113.7/32"
        assert words in result["msg"]


@pytest.mark.parametrize(("why", "kind"), UNCERTAIN, ids=str)
def test_entries_that_are_not_surely_in_force_in_controls_and_facts(why: Values, kind: str) -> None:
    api = FakeApi()
    api.entries = [{"id": "odd", "cidr": A, **why}]
    result = perform(api, BASELINE, **ENFORCED, **PROTECTED)
    status = "error" if kind == "unknown" else "fail"
    assert (result["controls"][0]["status"], api.writes) == (status, [])
    facts = perform(api, INFO, gather_subset=["!all", "ip_whitelist"], on_forbidden="skip")
    assert ("ip_whitelist" in facts["unavailable"]) is (kind == "unknown")
    # What may let somebody in later is open.
    open_all = verdict(api, forbid=[A])["status"]
    assert open_all == {"off": "pass", "unsettled": "fail", "unknown": "error"}[kind]


@pytest.mark.parametrize("why", [why for why, kind in UNCERTAIN if kind == "unsettled"], ids=str)
def test_an_entry_that_may_come_into_force_is_removed_and_not_added_again(why: Values) -> None:
    for task in ({"state": "absent", "entries": [{"cidr": A}]}, {"purge": True, "entries": []}):
        api = FakeApi()
        api.entries = [{"id": "odd", "cidr": A, **why}]
        result = perform_both(api, MODULE, **task)
        assert (result["msg"], api.entries) == (f"ip_whitelist: removed {A}", [])
        assert perform(api, MODULE, **task)["changed"] is False
    api = FakeApi()
    api.entries = [{"id": "odd", "cidr": A, **why}]
    for check_mode in (True, False):
        result = perform(api, MODULE, check_mode, entries=[{"cidr": A}], purge=True)
        assert (
            result["failed"]
            and f"{A} is listed and not in force (odd): activate" in (result["msg"])
        )
    assert api.writes == []


def test_new_entries_that_are_pending_do_not_add_up() -> None:
    api = FakeApi()
    start(api, status="pending")
    for _run in range(3):
        result = perform(api, MODULE, entries=[{"cidr": A}])
        assert result["failed"] and f"{A} " in result["msg"] and "(ipw_1)" in result["msg"]
    assert (api.writes, len(api.entries)) == ([POST], 1)
