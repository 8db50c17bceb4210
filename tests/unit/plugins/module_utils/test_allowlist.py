# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of the allowlist: what is written, in which order, and what is refused before any write."""

from __future__ import annotations

import pytest
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import (
    Allowlist,
    check_lockout,
    plan_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import ALLOWLIST
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    find_uncovered,
    parse_network,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Plan
from ansible_collections.planasonix.admin.plugins.modules.planasonix_ip_whitelist import MODULE

A, B, C = "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"


def allowlist(*entries: tuple, enabled: bool = False) -> Allowlist:
    """An allowlist of ``(cidr, label, day of creation)``, with the ids e0, e1, ..."""
    found = [
        {
            "id": f"e{number}",
            "cidr": entry[0],
            "label": entry[1] if len(entry) > 1 else None,
            "created_at": f"2026-01-{entry[2] if len(entry) > 2 else 1:02}T00:00:00Z",
        }
        for number, entry in enumerate(entries)
    ]
    return Allowlist(tuple(found), enabled, ["api", "ui"])


def plan(current: Allowlist, **options):
    options = {"state": "present", "purge": False, "allow_lockout": False, **options}
    ALLOWLIST.check(options)
    return ALLOWLIST.make_plan(current, options)


def short(changes) -> list[str]:
    """The requests of changes in a few characters: ``+cidr label``, ``-id``, ``on``, ``off``."""
    texts = []
    for call in [ALLOWLIST.request(change, {}) for change in changes]:
        if call.path.endswith("/toggle"):
            assert (call.method, call.repeatable) == ("POST", True)
            texts.append("on" if call.body["enabled"] else "off")
        elif call.method == "POST":
            assert (call.path, call.repeatable) == ("/api/settings/ip-whitelist", False)
            texts.append(
                " ".join(
                    [
                        "+" + call.body["cidr"],
                        *([call.body["label"]] if "label" in call.body else []),
                    ]
                )
            )
        else:
            assert (call.method, call.body) == ("DELETE", None)
            texts.append("-" + call.path.removeprefix("/api/settings/ip-whitelist/"))
    return texts


def entries(*cidrs: str, label: str | None = None) -> list[dict]:
    return [{"cidr": cidr, **({} if label is None else {"label": label})} for cidr in cidrs]


PROTECTED = {"protected_addresses": ["203.0.113.7"]}
ABSENT = {"state": "absent"}
ON, OFF = {"enabled": True}, {"enabled": False}
PURGE = {"purge": True}


@pytest.mark.parametrize(
    ("current", "options", "calls"),
    [
        pytest.param(allowlist(), {}, [], id="nothing"),
        pytest.param(allowlist(), {"entries": entries(A)}, ["+" + A], id="add"),
        pytest.param(
            allowlist(), {"entries": entries(A, label="x")}, [f"+{A} x"], id="add-labelled"
        ),
        pytest.param(allowlist((A,)), {"entries": entries(A)}, [], id="same"),
        pytest.param(allowlist((A, "x")), {"entries": entries(A)}, [], id="any-label"),
        pytest.param(allowlist((A, "x")), {"entries": entries(A, label="x")}, [], id="same-label"),
        pytest.param(
            allowlist((A, "x")),
            {"entries": entries(A, label="y")},
            [f"+{A} y", "-e0"],
            id="other-label",
        ),
        pytest.param(
            allowlist((A, "x")),
            {"entries": entries(A, label="")},
            [f"+{A} ", "-e0"],
            id="label-emptied",
        ),
        pytest.param(
            allowlist((A, None)),
            {"entries": entries(A, label="")},
            [],
            id="null-is-the-empty-label",
        ),
        pytest.param(allowlist((A,), (B,)), {"entries": []}, [], id="empty-changes-nothing"),
        pytest.param(
            allowlist((A,), (B,)), {"entries": [], **PURGE}, ["-e0", "-e1"], id="empty-with-purge"
        ),
        pytest.param(allowlist((A,), (B,)), {"entries": entries(A)}, [], id="no-purge"),
        pytest.param(allowlist((A,), (B,)), {"entries": entries(A), **PURGE}, ["-e1"], id="purge"),
        pytest.param(
            allowlist((A,)),
            {"entries": entries(B), **PURGE},
            ["+" + B, "-e0"],
            id="add-before-remove",
        ),
        pytest.param(
            allowlist((A, "x")),
            {"entries": [*entries(B), *entries(A, label="y")]},
            [f"+{A} y", "+" + B, "-e0"],
            id="new-labels-first",
        ),
        pytest.param(
            allowlist((A,)),
            {"entries": entries("203.0.113.7")},
            ["+203.0.113.7/32"],
            id="host-in-a-listed-network",
        ),
        pytest.param(
            allowlist(("2001:db8::/32",)),
            {"entries": entries("2001:0DB8:0:0::/32")},
            [],
            id="ipv6-spelling",
        ),
        pytest.param(
            allowlist(("2001:db8::1/128",)),
            {"entries": entries("2001:DB8:0:0:0:0:0:1")},
            [],
            id="ipv6-address",
        ),
        pytest.param(
            allowlist(("203.0.113.7/32",)),
            {"entries": entries("203.0.113.7")},
            [],
            id="ipv4-address",
        ),
        pytest.param(
            allowlist(), {"entries": entries("203.0.113.0/255.255.255.0")}, ["+" + A], id="netmask"
        ),
        pytest.param(
            allowlist(), {"entries": entries(A, A)}, ["+" + A], id="listed-twice-by-the-task"
        ),
        pytest.param(
            allowlist(),
            {"entries": [*entries(A), *entries(A, label="x")]},
            [f"+{A} x"],
            id="label-on-the-second",
        ),
        pytest.param(
            allowlist((A, "x", 1), (A, "x", 2)),
            {"entries": entries(A, label="x")},
            ["-e1"],
            id="double-oldest-stays",
        ),
        pytest.param(
            allowlist((A, "x", 2), (A, "x", 1)),
            {"entries": entries(A)},
            ["-e0"],
            id="double-oldest-stays-whatever-the-order",
        ),
        pytest.param(
            allowlist((A, "y", 1), (A, "x", 2), (A, "x", 3)),
            {"entries": entries(A, label="x")},
            ["-e0", "-e2"],
            id="double-oldest-of-the-label",
        ),
        pytest.param(
            allowlist((A, "y", 1), (A, "z", 2)),
            {"entries": entries(A, label="x")},
            [f"+{A} x", "-e0", "-e1"],
            id="double-without-the-label",
        ),
        pytest.param(
            allowlist((A, "x"), (A, "y"), (B,)),
            {**ABSENT, "entries": entries(A, label="z")},
            ["-e0", "-e1"],
            id="absent-whatever-label",
        ),
        pytest.param(allowlist((B,)), {**ABSENT, "entries": entries(A)}, [], id="absent-already"),
        pytest.param(
            allowlist((A,), enabled=True),
            {**ABSENT, **OFF, "entries": entries(A)},
            ["off", "-e0"],
            id="absent-and-off",
        ),
        pytest.param(allowlist((A,)), {**ON, **PROTECTED}, ["on"], id="on"),
        pytest.param(allowlist((A,), enabled=True), ON, [], id="on-already"),
        pytest.param(allowlist((A,), enabled=True), OFF, ["off"], id="off"),
        pytest.param(allowlist((A,)), OFF, [], id="off-already"),
        pytest.param(
            allowlist((B,)),
            {"entries": entries(A), **PURGE, **ON, **PROTECTED},
            ["+" + A, "-e0", "on"],
            id="on-last",
        ),
        pytest.param(
            allowlist((B,), enabled=True),
            {"entries": entries(A), **PURGE, **OFF},
            ["off", "+" + A, "-e0"],
            id="off-first",
        ),
        pytest.param(
            allowlist((A,), (B,), enabled=True),
            {"entries": entries(A), **PURGE, **PROTECTED},
            ["-e1"],
            id="remove-while-on",
        ),
        pytest.param(
            allowlist((A,), enabled=True),
            {"entries": entries(B)},
            ["+" + B],
            id="add-while-on-needs-no-protection",
        ),
        pytest.param(
            allowlist((A, "x"), enabled=True),
            {"entries": entries(A, label="y"), **PROTECTED},
            [f"+{A} y", "-e0"],
            id="label-while-on",
        ),
        pytest.param(allowlist(), {**ON, "allow_lockout": True}, ["on"], id="lockout-allowed"),
        pytest.param(
            allowlist((A,), enabled=True),
            {"entries": [], **PURGE, "allow_lockout": True},
            ["-e0"],
            id="removal-allowed",
        ),
        pytest.param(
            allowlist(("office",)),
            {"entries": [], **PURGE},
            ["-e0"],
            id="purge-of-what-is-no-network",
        ),
    ],
)
def test_calls(current, options, calls):
    planned = plan(current, **options)
    assert short(planned.changes) == calls
    assert planned.changed is bool(calls)
    assert (planned.message == "no change") is (not calls)
    assert (planned.before == planned.after) is (not calls)


@pytest.mark.parametrize(
    ("current", "options", "message"),
    [
        pytest.param(
            allowlist((A,)),
            ON,
            "could lock everyone out. Set protected_addresses to the addresses that must keep access",
            id="on-unnamed",
        ),
        pytest.param(
            allowlist((A,)),
            {**ON, "protected_addresses": []},
            "Set protected_addresses",
            id="on-empty",
        ),
        pytest.param(
            allowlist(),
            {**ON, **PROTECTED},
            "Enforcing the IP allowlist would lock out 203.0.113.7/32",
            id="on-empty-list",
        ),
        pytest.param(
            allowlist((B,)), {**ON, **PROTECTED}, "would lock out 203.0.113.7/32", id="on-uncovered"
        ),
        pytest.param(
            allowlist((A,)),
            {**ON, "protected_addresses": ["203.0.113.7", C, "::1"]},
            rf"would lock out {C}, ::1/128\.",
            id="on-some-uncovered",
        ),
        pytest.param(
            allowlist((A,), (B,)),
            {**ON, **PROTECTED, "entries": entries(B), **PURGE},
            "would lock out",
            id="on-and-purged",
        ),
        pytest.param(
            allowlist((A,), (B,), enabled=True),
            {"entries": entries(A), **PURGE},
            "Removing entries of the enforced .* Set protected_addresses",
            id="remove-unnamed",
        ),
        pytest.param(
            allowlist((A,), enabled=True),
            {"entries": entries(B), **PURGE, **PROTECTED},
            "would lock out 203.0.113.7/32",
            id="remove-covering",
        ),
        pytest.param(
            allowlist((A,), enabled=True),
            {**ABSENT, "entries": entries(A), **PROTECTED},
            "would lock out",
            id="absent-covering",
        ),
        pytest.param(
            allowlist((A, "x"), enabled=True),
            {"entries": entries(A, label="y")},
            "Set protected_addresses",
            id="label-unnamed",
        ),
        pytest.param(
            allowlist((A, "x", 1), (A, "x", 2), enabled=True),
            {"entries": entries(A)},
            "Set protected_addresses",
            id="double-unnamed",
        ),
        pytest.param(
            allowlist((B,), enabled=True),
            {"entries": [], **PURGE, **ON, "protected_addresses": ["::1"]},
            "would lock out ::1/128",
            id="ipv6",
        ),
        pytest.param(
            allowlist(("office",)),
            {**ON, **PROTECTED},
            "would lock out",
            id="what-is-no-network-covers-nothing",
        ),
    ],
)
def test_lockout_guard(current, options, message):
    with pytest.raises(RefusedPlan, match=message):
        plan(current, **options)


def test_a_plan_is_made_apart_from_its_guard():
    """The guard judges what a plan does, whoever made it."""
    current = allowlist((A, "x"), (B,), enabled=True)
    options = {"state": "present", "entries": entries(B), "purge": True, **PROTECTED}
    planned = plan_allowlist(current, options)
    with pytest.raises(RefusedPlan, match="Removing entries .* would lock out 203.0.113.7/32"):
        check_lockout(planned, current, options)
    harmless = Plan(planned.before, planned.before, changes=planned.changes)
    check_lockout(harmless, current, options)
    check_lockout(planned, current, {**options, "allow_lockout": True})
    check_lockout(planned, current, {**options, "protected_addresses": ["198.51.100.7"]})


def test_changes_have_the_object_before_and_after():
    current = allowlist((A, "x"), (B,))
    options = {"entries": entries(A, label="y"), **PURGE, **ON, **PROTECTED}
    changes = plan(current, **options).changes
    old, other = current.entries
    assert [change.to_data() for change in changes] == [
        {
            "resource": "ip_whitelist",
            "action": action,
            "object": cidr,
            "before": before,
            "after": after,
            "controls": [],
        }
        for action, cidr, before, after in [
            ("create", A, {}, {"cidr": A, "label": "y"}),
            ("delete", A, old, {}),
            ("delete", B, other, {}),
            ("enable", "", {"enabled": False}, {"enabled": True}),
        ]
    ]
    assert [change.text for change in changes] == [
        f"add {A} to the IP allowlist",
        f"remove {A} from the IP allowlist",
        f"remove {B} from the IP allowlist",
        "switch enforcement of the IP allowlist on",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"entries": entries("203.0.113.7/24")},
            r"host bits set; the network is 203\.0\.113\.0/24, the single address 203\.0\.113\.7",
            id="host-bits",
        ),
        pytest.param(
            {"entries": entries("2001:db8::1/32")},
            "the network is 2001:db8::/32",
            id="host-bits-ipv6",
        ),
        pytest.param(
            {"entries": entries("office")}, "entries: 'office' is not an IP address", id="word"
        ),
        pytest.param({"entries": entries("203.0.113.0/33")}, "is not an IP address", id="too-long"),
        pytest.param({"entries": entries("203.0.113")}, "is not an IP address", id="short"),
        pytest.param({"entries": entries("010.0.0.1")}, "is not an IP address", id="leading-zero"),
        pytest.param(
            {"entries": entries("")}, "empty; is the variable that it comes from set", id="empty"
        ),
        pytest.param(
            {"entries": entries(" ")}, "empty; is the variable that it comes from set", id="blank"
        ),
        pytest.param({"entries": entries("fe80::1%eth0")}, "has a zone", id="zone"),
        pytest.param({"entries": entries("fe80::1%eth0/64")}, "has a zone", id="zone-of-network"),
        pytest.param(
            {"protected_addresses": ["fe80::1%1"]},
            "protected_addresses: 'fe80::1%1' has a zone",
            id="protected-zone",
        ),
        pytest.param(
            {"protected_addresses": ["203.0.113.7/24"]},
            "protected_addresses: .* host bits",
            id="protected-host-bits",
        ),
        pytest.param(
            {"protected_addresses": ["me"]}, "protected_addresses: 'me'", id="protected-word"
        ),
        pytest.param(
            {"entries": [*entries(A, label="x"), *entries(A, label="y")]},
            "two labels, 'x' and 'y'",
            id="two-labels",
        ),
        pytest.param(
            {"entries": [*entries("::1", label="x"), *entries("0::1/128", label="")]},
            "two labels",
            id="two-labels-in-two-spellings",
        ),
        pytest.param(PURGE, "purge: true needs entries", id="purge-without-entries"),
        pytest.param(ABSENT, "state: absent needs entries", id="absent-without-entries"),
        pytest.param(
            {**ABSENT, **PURGE, "entries": entries(A)}, "use one of them", id="absent-and-purge"
        ),
        pytest.param(
            {**ABSENT, **ON, "entries": entries(A)},
            "cannot be combined with enabled: true",
            id="absent-and-on",
        ),
    ],
)
def test_invalid_options(options, message):
    api = FakeApi()
    result = perform(api, MODULE, **options)
    with pytest.raises(InvalidOption, match=message) as caught:
        plan(allowlist(), **options)
    assert (result["failed"], result["changed"], result["msg"], api.log) == (
        True,
        False,
        caught.value.message,
        [],
    )


@pytest.mark.parametrize(
    ("protected", "cidrs", "lost"),
    [
        pytest.param(["203.0.113.7"], [A], [], id="address"),
        pytest.param(["203.0.113.7"], [B], ["203.0.113.7/32"], id="address-elsewhere"),
        pytest.param([A], [A], [], id="network"),
        pytest.param([A], ["203.0.113.0/25", "203.0.113.128/25"], [], id="two-neighbours"),
        pytest.param(
            [A],
            ["203.0.113.128/25", "203.0.113.0/26", "203.0.113.64/26"],
            [],
            id="three-neighbours",
        ),
        pytest.param([A], ["203.0.113.0/25", "203.0.113.128/26"], [A], id="gap"),
        pytest.param(
            ["2001:db8::/32"], ["2001:db8::/33", "2001:db8:8000::/33"], [], id="ipv6-neighbours"
        ),
        pytest.param(["0.0.0.0/0", "::/0"], ["0.0.0.0/0"], ["::/0"], id="versions-apart"),
        pytest.param(
            ["::ffff:203.0.113.7"], [A], ["::ffff:203.0.113.7/128"], id="mapped-address-is-ipv6"
        ),
        pytest.param([A], ["office", A], [], id="no-network-is-passed-over"),
        pytest.param([], [], [], id="nothing"),
    ],
)
def test_uncovered(protected, cidrs, lost):
    # Compared as networks: the text of a mapped address depends on the Python.
    assert [parse_network(text, "x") for text in find_uncovered(protected, cidrs)] == [
        parse_network(text, "x") for text in lost
    ]


def test_the_texts_of_a_plan():
    current = allowlist((A, "x"), (B,))
    planned = plan(
        current,
        entries=[*entries(A, label="y"), *entries(C)],
        purge=True,
        enabled=True,
        **PROTECTED,
    )
    assert (
        planned.message
        == f"ip_whitelist: {A} labelled 'y', added {C}, removed {B}, enforcement off -> on"
    )
    assert planned.before == {"enabled": False, "entries": [{"cidr": B}, {"cidr": A, "label": "x"}]}
    assert planned.after == {"enabled": True, "entries": [{"cidr": C}, {"cidr": A, "label": "y"}]}
    assert planned.predicted == {
        "enabled": True,
        "applies_to": ["api", "ui"],
        "entries": [{"cidr": C}, {"cidr": A, "label": "y"}],
    }


def test_entries_are_told_by_address():
    current = allowlist(
        ("2001:db8::/32",),
        ("10.0.0.0/8",),
        ("9.0.0.0/8", "b"),
        ("9.0.0.0/8", "a"),
        ("office",),
        ("10.0.0.0/16",),
    )
    assert [(entry["cidr"], entry["label"]) for entry in current.to_result()["entries"]] == [
        ("office", None),
        ("9.0.0.0/8", "a"),
        ("9.0.0.0/8", "b"),
        ("10.0.0.0/8", None),
        ("10.0.0.0/16", None),
        ("2001:db8::/32", None),
    ]


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("office", "office"),
    ],
    ids=["host-bits", "address", "ipv6-spelling", "word"],
)
def test_what_the_api_lists_is_told_in_one_spelling(listed, told):
    api = FakeApi()
    api.entries = [{"id": "e0", "cidr": listed}]
    assert [entry["cidr"] for entry in perform(api, MODULE)["ip_whitelist"]["entries"]] == [told]


@pytest.mark.parametrize(
    ("pattern", "spoil", "message"),
    [
        pytest.param(
            "GET */ip-whitelist", lambda data: [{"cidr": A}], "lacks the field 'id'", id="id"
        ),
        pytest.param(
            "GET */ip-whitelist", lambda data: [{"id": "e"}], "lacks the field 'cidr'", id="cidr"
        ),
        pytest.param("GET */status", lambda data: {}, "lacks the field 'enabled'", id="enabled"),
    ],
)
def test_missing_fields_are_errors(pattern, spoil, message):
    api = FakeApi().fail(pattern, spoil)
    result = perform(api, MODULE, entries=entries(A))
    assert (result["failed"], api.writes) == (True, [])
    assert message in result["msg"]
