# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nobody is locked out: whatever is listed, asked for, refused, lost or pretended, at every moment of every task.

What must hold is computed here by counting addresses, and owes nothing to the code under test.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import typing as t
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples
from unit.plugins.fake_api import FakeApi, Values, error, perform

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import (
    Allowlist,
    check_lockout,
    plan_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import ALLOWLIST
from ansible_collections.planasonix.admin.plugins.module_utils._errors import RefusedPlan
from ansible_collections.planasonix.admin.plugins.module_utils._networks import find_uncovered
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Change
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module
from ansible_collections.planasonix.admin.plugins.modules.planasonix_ip_whitelist import MODULE

TASK = Module(
    manages=ALLOWLIST, options={**MODULE.options, "forbid": {"type": "list", "elements": "str"}}
)
"""The module, with what a baseline asks of the allowlist beside."""

Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Entry: t.TypeAlias = "tuple[str, str | None, int]"
"""Network, label, and age in days"""


# Blocks of eight addresses, one of them of mapped addresses: many of the networks in them overlap, adjoin or contain each other.
BLOCKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/29", "2001:db8::/125", "::ffff:10.0.0.0/125")
)
ADDRESSES = frozenset(address for block in BLOCKS for address in block)
SMALL: list[Network] = [
    network for more in range(4) for block in BLOCKS for network in block.subnets(more)
]
"""Networks that hold no other addresses than those, the largest first"""
WIDE: list[Network] = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::/0", "::ffff:0:0/96")
]


@functools.cache
def spellings(network: Network) -> list[str]:
    """Ways to write a network."""
    address, length = network.network_address, network.prefixlen
    if isinstance(address, ipaddress.IPv4Address):
        texts = [str(network), f"{address}/{network.netmask}"]
    else:
        texts = [str(network), f"{address.exploded.upper()}/{length}"]
        if address.ipv4_mapped:
            texts += [
                f"::FFFF:{address.ipv4_mapped}/{length}",
                f"::ffff:{int(address) >> 16 & 0xFFFF:x}:{int(address) & 0xFFFF:x}/{length}",
            ]
    return texts + [text.split("/")[0] for text in texts if length == network.max_prefixlen]


@functools.cache
def network_of(text: str) -> Network:
    """The network that a text means, whether or not it has host bits set."""
    return ipaddress.ip_network(text, strict=False)


@functools.cache
def addresses(network: str | Network) -> frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Those of all addresses here that lie in a network, found by trying each."""
    block = network_of(network) if isinstance(network, str) else network
    return frozenset(address for address in ADDRESSES if address in block)


def covered(protected: str | Network, networks: Iterable[str | Network]) -> bool:
    """Whether each address of a small network is in some listed network."""
    return addresses(protected) <= frozenset[t.Any]().union(*map(addresses, networks))


MAPPED: t.Any = ipaddress.ip_network("::ffff:0:0/96")
FAR = frozenset(
    ipaddress.ip_address(text)
    for text in ("10.255.255.255", "8.8.8.8", "2001:db8:ffff::1", "2001:4860::1")
)
"""Addresses by which the wide networks differ"""


@functools.cache
def counterpart(network: Network) -> Network | None:
    """An IPv4 network as IPv4-mapped, and the other way round."""
    if network.version == 4:
        return network_of(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    if network.prefixlen >= 96 and network.network_address in MAPPED:
        return network_of(
            f"{t.cast(t.Any, network.network_address).ipv4_mapped}/{network.prefixlen - 96}"
        )
    return None


@functools.cache
def opened(network: Network) -> frozenset[t.Any]:
    """What a network opens, IPv4-mapped addresses taken for the IPv4 ones."""
    other = counterpart(network)
    if network.version == 6 and other is not None:
        network = other
    return frozenset(address for address in ADDRESSES | FAR if address in network)


@dataclass(frozen=True)
class Manners:
    """How the API shows what it has.

    :param lag: Seconds until the list shows a write.
    :param switch_lag: Seconds until enforcement follows its switch.
    :param numeric: Whether ids are numbers.
    :param repeated: Whether the list has the first entry on two pages.
    :param idle: What makes entries inactive that are listed beside, one for each network here.
    """

    lag: float = 0
    switch_lag: float = 0
    numeric: bool = False
    repeated: bool = False
    idle: tuple[tuple[str, Values], ...] = ()


@dataclass(frozen=True)
class Situation:
    """An allowlist, a task, and the server that it meets.

    :param listed: The entries, in the order and the spelling in which the API lists them.
    :param task: Options of the task.
    :param second: What the server does with a second entry of a network: takes it (201), changes the one that it has (200), or refuses it with this status.
    """

    listed: tuple[Entry, ...]
    enforced: bool
    task: Values
    second: int = 201
    manners: Manners = Manners()

    @property
    def protected(self) -> list[str]:
        return self.task.get("protected_addresses", [])

    @property
    def ends_enforced(self) -> bool:
        return self.task.get("enabled", self.enforced)

    def asked(self) -> dict[Network, str | None]:
        """The networks of the task and their labels, ``None`` for any."""
        labels: dict[Network, str | None] = {}
        for entry in self.task.get("entries", []):
            network = network_of(entry["cidr"])
            labels[network] = entry.get("label", labels.get(network))
        return labels

    def goal(self) -> tuple[set[int], dict[Network, str | None]]:
        """Which entries are to stay, by number, and which networks with which labels are to come."""
        asked = self.asked()
        absent = self.task.get("state") == "absent"
        staying: set[int] = set()
        coming = {} if absent else dict(asked)
        others: dict[int, Network] = {}
        # The oldest first; of two that are equally old, the first.
        for number, (cidr, label, _age) in sorted(
            enumerate(self.listed), key=lambda item: -item[1][2]
        ):
            network = self.home(network_of(cidr))
            if network not in asked:
                others[number] = network
            elif network in coming and coming[network] in (None, label or ""):
                staying.add(number)
                del coming[network]
        if not self.task.get("purge"):
            staying |= others.keys() - self.forbidden(others)
        return staying, coming

    def home(self, network: Network) -> Network:
        """The network of the task that an entry stands for, in its own or the mapped spelling."""
        other = counterpart(network)
        asked = self.asked()
        if network in asked or other is None or other not in asked:
            return network
        # Of two spellings, the mapped one is another network, unless both are to go.
        both = other in self.networks() and self.task.get("state") != "absent"
        return network if both else other

    @property
    def respelled(self) -> bool:
        """Whether a network of the task is listed in the mapped spelling, or the reverse."""
        return any(self.home(network) != network for network in self.networks())

    def forbidden(self, others: dict[int, Network]) -> set[int]:
        """The entries that a forbidden network makes go, the largest first until it is closed."""
        gone: set[int] = set()
        for text in self.task.get("forbid", ()):
            target = opened(network_of(text))
            while True:
                left = {n: opened(one) for n, one in others.items() if n not in gone}
                if not target <= frozenset().union(*left.values(), *map(opened, self.asked())):
                    break
                near = {n: one for n, one in left.items() if one <= target or one >= target}
                widest = {
                    n for n, one in near.items() if not any(one < more for more in near.values())
                }
                if not widest:
                    break
                gone |= widest
        return gone

    def final(self) -> list[Network]:
        """The networks that are to be listed in the end."""
        staying, coming = self.goal()
        return [network_of(self.listed[number][0]) for number in staying] + list(coming)

    def refusal(self) -> str:
        """Why the task must be refused, in a word, or nothing."""
        staying, coming = self.goal()
        removes = len(staying) < len(self.listed)
        if (
            self.task.get("allow_lockout")
            or not self.ends_enforced
            or (self.enforced and not removes)
        ):
            return ""
        if not self.protected:
            return "unnamed"
        final = self.final()
        if not all(covered(network, final) for network in self.protected):
            return "lost"
        if self.enforced and self.second >= 400:
            for network in coming:
                others = [other for other in final if other != network]
                if network in self.networks() and not all(
                    covered(protected, others) for protected in self.protected
                ):
                    return "moment"
        return ""

    def networks(self) -> list[Network]:
        """The listed networks."""
        return [network_of(cidr) for cidr, _label, _age in self.listed]


Drawn = t.TypeVar("Drawn")


class Choices:
    """Choices out of bytes. Drawn one by one, they would hardly vary: most examples would be another with one choice copied from the next.

    Zero stands for the first option, and there is no end of zeros.
    """

    def __init__(self, source: bytes) -> None:
        self.source = itertools.chain(source, itertools.repeat(0))

    def one(self, options: Sequence[Drawn]) -> Drawn:
        return options[(next(self.source) * 256 + next(self.source)) % len(options)]

    def some(self, least: int, most: int, options: Sequence[Drawn]) -> list[Drawn]:
        return [self.one(options) for _number in range(self.one(range(least, most + 1)))]


def chosen(choose: Callable[[Choices], Drawn]) -> st.SearchStrategy[Drawn]:
    """What a function makes of choices."""
    return st.binary(min_size=160, max_size=160).map(lambda source: choose(Choices(source)))


LABELS = (None, "x", "y", "")
TEXTS = [text for network in SMALL + WIDE for text in spellings(network)]
SINGLES: list[tuple[str, ...]] = [(text,) for text in TEXTS]
HALVES: list[tuple[str, ...]] = [
    tuple(map(str, network.subnets()))
    for network in SMALL
    if network.prefixlen < network.max_prefixlen
]
"""Neighbours: what lies in both only both together cover"""


def some_entries(choices: Choices) -> tuple[Entry, ...]:
    """Some networks, some neighbours, and some networks that are listed twice."""
    entries: list[Entry] = []
    # An API may list a network in another way than it was given, also with host bits set.
    strange: list[tuple[str, ...]] = [("10.0.0.3/30",), ("2001:db8::5/127",)]
    kinds = [SINGLES, SINGLES, SINGLES, HALVES, HALVES, strange]
    for _number in range(choices.one([1, 2, 3])):
        entries += [
            (text, choices.one(LABELS), choices.one([0, 1, 2]))
            for text in choices.one(choices.one(kinds))
        ]
    if choices.one([False, False, True]):
        network = network_of(choices.one(entries)[0])
        entries.append(
            (choices.one(spellings(network)), choices.one(LABELS), choices.one([0, 1, 2]))
        )
    return tuple(entries)


OPTIONS: list[Values] = [
    {**how, **enabled, **allowed}
    for allowed in ({}, {}, {}, {}, {}, {"allow_lockout": True})
    for how in ({}, {}, {"purge": True}, {"purge": True}, {"forbid": True}, {"state": "absent"})
    for enabled in ({}, {}, {"enabled": True}, {"enabled": True}, {"enabled": False})
    if how.get("state") is None or not enabled.get("enabled")
]


def some_situation(choices: Choices) -> Situation:
    """A situation in which much of what a task asks for is listed already, and much of what it protects is covered."""
    listed = some_entries(choices)
    task = dict(choices.one(OPTIONS))
    labels: dict[Network, str | None] = {}
    entries: list[Values] = []
    for _number in range(choices.one([0, 1, 1, 2, 2, 3])):
        known = network_of(choices.one(listed)[0])
        asked = (choices.one(spellings(known)),)
        for text in choices.one([asked, asked, asked, choices.one(SINGLES), choices.one(HALVES)]):
            # Where a network is asked for twice, one label is enough.
            first = network_of(text) not in labels
            label = labels.setdefault(network_of(text), choices.one(LABELS))
            entries.append(
                {"cidr": text, "label": label} if first and label is not None else {"cidr": text}
            )
    task["entries"] = entries
    if "forbid" in task:
        task["forbid"] = [entry[0] for entry in choices.some(1, 2, listed)]
    near = choices.one(
        ["before", "anywhere"]
        if task.get("allow_lockout")
        else ["after", "after", "together", "together", "before", "anywhere", "nobody"]
    )
    if near != "nobody":
        staying, coming = Situation(listed, False, task).goal()
        cidrs = [
            entry[0] for number, entry in enumerate(listed) if near == "before" or number in staying
        ]
        covering = (
            BLOCKS
            if near == "anywhere"
            else [*map(network_of, cidrs), *(coming if near != "before" else ())]
        )
        within = [network for network in SMALL if covered(network, covering)] or SMALL
        if near == "together":
            within = [
                network
                for network in within
                if not any(covered(network, [one]) for one in covering)
            ] or within
        task["protected_addresses"] = [
            choices.one(spellings(network)) for network in choices.some(1, 2, within)
        ]
    # A second entry of a network is taken, changes the first, or is refused.
    return Situation(
        listed,
        choices.one([True, True, False]),
        task,
        choices.one([201, 201, 201, 200, 200, 400, 409, 422]),
        some_manners(choices, [*task["entries"], *({"cidr": entry[0]} for entry in listed)]),
    )


IDLE: list[Values] = [
    {"active": False},
    {"enabled": False},
    {"enabled": "false"},
    {"status": "disabled"},
    {"expires_at": "2025-12-31T23:59:59Z"},
    {"deleted_at": 1_760_000_000},
]


def some_manners(choices: Choices, entries: list[Values]) -> Manners:
    idle = choices.some(0, 2, entries) if choices.one([False, False, True]) else []
    return Manners(
        choices.one([0, 0, 0, 0.1, 1.5, 3]),
        choices.one([0, 0, 0.1, 1.5, 3]),
        choices.one([False, True]),
        choices.one([False, False, True]),
        tuple((entry["cidr"], choices.one(IDLE)) for entry in idle),
    )


class Server(FakeApi):
    """An API that treats second entries of a network as a situation says, and that pretends to do some writes.

    :ivar pretended: Numbers of the writes, from 0 on, that it answers as if it had done them.
    """

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        self.manners = situation.manners
        for cidr, label, age in situation.listed:
            self.add_entry(cidr, label, age)
        self.idle = [
            {"id": f"idle_{number}", "cidr": cidr, **why}
            for number, (cidr, why) in enumerate(self.manners.idle)
        ]
        self.enabled = situation.enforced
        self.second = situation.second
        self.pretended: frozenset[int] = frozenset()
        self.written = 0
        self.history = [(self.now, [dict(entry) for entry in self.entries])]
        self.switches: list[tuple[float, bool]] = []

    def _id(self, kind: str) -> t.Any:
        text = super()._id(kind)
        return self.number if self.manners.numeric else text

    def answer(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        self.settle()
        if method == "GET" and path[-1] == "ip-whitelist":
            return 200, self.shown()
        if method == "GET":
            status, data = super().answer(method, path, body)
            return status, {**data, "entry_count": len(self.entries) + len(self.idle)}
        before = [dict(entry) for entry in self.entries], self.enabled, list(self.switches)
        answer = self.write(method, path, body)
        if self.written in self.pretended:
            self.entries, self.enabled, self.switches = before
        self.written += 1
        self.history.append((self.now, [dict(entry) for entry in self.entries]))
        return answer

    def settle(self) -> None:
        """Let enforcement follow the switches whose time has come."""
        while self.switches and self.switches[0][0] <= self.now:
            self.enabled = self.switches.pop(0)[1]
            self.observe()

    def rest(self) -> None:
        """Let the time pass until all that was written is shown."""
        self.now += 10
        self.settle()

    def shown(self) -> list[Values]:
        """The list, as old as it may be."""
        shown = [
            entries
            for time, entries in self.history
            if time + self.manners.lag <= self.now or time == self.history[0][0]
        ][-1]
        return [*shown, *self.idle, *(shown[:1] if self.manners.repeated else [])]

    def write(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if path[-1] == "toggle":
            self.switches.append((self.now + self.manners.switch_lag, body["enabled"]))
            if not self.manners.switch_lag:
                self.enabled = self.switches.pop()[1]
            return 202, None
        if method == "DELETE":
            ids = [entry["id"] for entry in self.entries if str(entry["id"]) == path[-1]]
            return super().answer(method, [*path[:-1], *(ids or path[-1:])], body)
        twin = next(
            (
                entry
                for entry in self.entries
                if network_of(entry["cidr"]) == network_of(body["cidr"])
            ),
            None,
        )
        if twin is not None and self.second >= 400:
            return error(self.second, "duplicate_cidr")
        if twin is not None and self.second == 200:
            twin["label"] = body.get("label")
            return 200, dict(twin)
        return super().answer(method, path, body)

    @property
    def cidrs(self) -> list[str]:
        return [entry["cidr"] for entry in self.entries]

    def outcome(self) -> tuple[list[Values], bool]:
        return [dict(entry) for entry in self.entries], self.enabled


def watch(api: Server, situation: Situation, seen: Counter[str]) -> list[str]:
    """Look at each state that the run leads through; returns what will be found wrong. Raised at once, it would be handled by the code under test."""
    wrong: list[str] = []
    protected, allowed = situation.protected, bool(situation.task.get("allow_lockout"))
    old = {entry["id"] for entry in api.entries}
    outside = {network for network in protected if api.enabled and not covered(network, api.cidrs)}
    ids, enabled = set(old), api.enabled

    def look() -> None:
        nonlocal ids, enabled
        now = {entry["id"] for entry in api.entries}
        on, removed = api.enabled and not enabled, bool(api.enabled and (ids - now) & old)
        seen.update(
            name
            for name, happened in (
                ("switched on", on),
                ("switched off", enabled and not api.enabled),
                ("removed while on", removed),
            )
            if happened
        )
        ids, enabled = now, api.enabled
        if not api.enabled:
            return
        lost = {network for network in protected if not covered(network, api.cidrs)}
        if allowed:
            seen["locked out as allowed"] += bool(lost - outside)
            return
        if not lost <= outside:
            wrong.append(f"{sorted(lost)} locked out by {api.log[-1]}")
        elif (on or removed) and (lost or not protected):
            wrong.append(f"it was not sure that {protected} have access at {api.log[-1]}")
        if on or removed:
            seen["version 6 protected"] += any(":" in network for network in protected)
            seen["protected by neighbours alone"] += any(
                not any(covered(network, [cidr]) for cidr in api.cidrs) for network in protected
            )

    api.observe = look
    return wrong


def run(api: Server, situation: Situation, check_mode: bool = False) -> Values:
    """Run the task, with a log of its own."""
    api.rest()
    api.log.clear()
    return perform(api, TASK, check_mode=check_mode, **situation.task)


def check_run(api: Server, situation: Situation, seen: Counter[str]) -> None:
    """Run the task where nothing fails: check mode says whether it is refused, a refused one changes nothing, any other does all and nothing else."""
    before, refusal = api.outcome(), situation.refusal()
    seen[f"refused: {refusal}" if refusal else "done"] += 1
    planned = run(api, situation, check_mode=True)
    assert (api.writes, api.outcome()) == ([], before)
    wrong = watch(api, situation, seen)
    result = run(api, situation)
    assert not wrong, (wrong, api.log)
    assert bool(result.get("failed")) == bool(refusal), result["msg"]
    if refusal:
        if refusal == "moment" and situation.respelled:
            # Of a respelled network the server takes a second entry, before it refuses another.
            return
        assert (api.outcome(), result["changed"]) == (before, False)
        assert {
            "unnamed": "Set protected_addresses",
            "lost": "would lock out",
            "moment": "locked out for a moment",
        }[refusal] in result["msg"]
        if refusal == "moment":
            # Only the server can tell that it takes no second entry; that it was asked for one is all that happened.
            assert set(api.writes) == {"POST /api/settings/ip-whitelist"}
        else:
            assert (planned, api.writes) == (result, [])
        return
    assert {name: planned[name] for name in ("changed", "msg", "diff")} == {
        name: result[name] for name in ("changed", "msg", "diff")
    }
    check_goal(api, situation, before[0])
    assert result["changed"] == bool(api.writes) == (api.outcome() != before)
    seen["shown late while on"] += bool(api.enabled and situation.manners.lag > 1)
    seen["switched on late"] += api.enabled > situation.enforced + (
        situation.manners.switch_lag < 1
    )
    seen["a repeated entry while on"] += api.enabled and situation.manners.repeated
    if (
        situation.enforced
        and situation.ends_enforced
        and not situation.goal()[1].keys().isdisjoint(situation.networks())
    ):
        seen[
            {200: "changed in place while on", 201: "labelled while on"}.get(
                situation.second, "replaced while on"
            )
        ] += 1
    assert run(api, situation)["changed"] is False
    assert api.writes == []


def check_goal(api: Server, situation: Situation, before: list[Values]) -> None:
    """Check that the task did all that it was to do, and nothing else."""
    staying, coming = situation.goal()
    found = {entry["id"]: entry for entry in api.entries}
    kept = [before[number] for number in staying]
    assert [found.pop(entry["id"], None) for entry in kept] == kept
    new = [(network_of(entry["cidr"]), entry["label"]) for entry in found.values()]
    assert Counter(new) == Counter(coming.items())
    assert api.enabled is situation.ends_enforced


def check_varied(seen: Counter[str], *names: str) -> None:
    """Check that what matters did happen."""
    missing = [name for name in names if not seen[name]]
    assert not missing, f"the examples are not varied enough: {missing}, {seen}"


@examples(300)
@given(
    st.lists(
        st.sampled_from([text for network in SMALL for text in spellings(network)]), max_size=3
    ),
    st.lists(st.sampled_from(TEXTS), max_size=5),
)
def test_coverage_is_that_of_each_address(protected: list[str], cidrs: list[str]) -> None:
    assert [network_of(text) for text in find_uncovered(protected, cidrs)] == [
        network_of(text) for text in protected if not covered(text, cidrs)
    ]


def test_plans_are_refused_or_in_order():
    """Enforcement goes off before all else and on after all else, additions come before removals, and each is planned once."""
    seen: Counter[str] = Counter()

    @examples(500)
    @given(chosen(some_situation))
    def try_it(situation: Situation) -> None:
        entries = [
            {
                "id": number if situation.manners.numeric else f"{number}",
                "cidr": str(network_of(cidr)),
                "label": label,
                "created_at": f"2026-01-{9 - age:02}T00:00:00Z",
            }
            for number, (cidr, label, age) in enumerate(situation.listed)
        ]
        listed = (*entries, dict(entries[0])) if situation.manners.repeated else tuple(entries)
        # What a server refuses, no plan can know.
        refusal = replace(situation, second=201).refusal()
        seen[f"refused: {refusal}" if refusal else "planned"] += 1
        current = Allowlist(listed, situation.enforced, ["api"])
        options = {"state": "present", **situation.task}
        plan = plan_allowlist(current, options)
        try:
            check_lockout(plan, current, options)
        except RefusedPlan:
            assert refusal
            return
        assert not refusal
        steps = [step_of(change) for change in plan.changes]
        kinds = [kind for kind, _what in steps]
        assert kinds == sorted(kinds, key=["off", "add", "remove", "on"].index)
        staying, coming = situation.goal()
        toggles = (
            []
            if situation.enforced == situation.ends_enforced
            else [("on" if situation.ends_enforced else "off", None)]
        )
        removals = [
            ("remove", f"{number}") for number in range(len(entries)) if number not in staying
        ]
        assert Counter(steps) == Counter(
            [*toggles, *(("add", (network, label)) for network, label in coming.items()), *removals]
        )
        seen[" then ".join(dict.fromkeys(kinds))] += 1

    try_it()
    check_varied(
        seen,
        "planned",
        "refused: unnamed",
        "refused: lost",
        "add then remove",
        "off then add then remove",
        "add then remove then on",
    )


def step_of(change: Change) -> tuple[str, t.Any]:
    """A change of a plan in short."""
    if change.action == "delete":
        return "remove", str(change.before["id"])
    if change.action == "create":
        return "add", (network_of(change.after["cidr"]), change.after.get("label"))
    return {"enable": "on", "disable": "off"}[change.action], None


def test_a_task_is_done_or_refused():
    seen: Counter[str] = Counter()

    @examples(500)
    @given(chosen(some_situation))
    def try_it(situation: Situation) -> None:
        check_run(Server(situation), situation, seen)

    try_it()
    check_varied(
        seen,
        *(
            "done",
            "refused: unnamed",
            "refused: lost",
            "refused: moment",
            "switched on",
            "switched off",
            "removed while on",
            "locked out as allowed",
            "shown late while on",
            "switched on late",
            "a repeated entry while on",
        ),
        *(
            "labelled while on",
            "replaced while on",
            "changed in place while on",
            "version 6 protected",
            "protected by neighbours alone",
        ),
    )


def check_disturbed_run(
    situation: Situation, faults: Sequence[Failure], pretended: frozenset[int], seen: Counter[str]
) -> None:
    """Run the task where something fails, and look at each state on the way. Where nothing fails any more, the next run does the rest."""
    api = Server(situation)
    before, refusal = api.outcome(), situation.refusal()
    for fault in faults:
        api.fail(*fault)
    api.pretended = pretended
    wrong = watch(api, situation, seen)
    result = run(api, situation)
    api.rest()
    assert not wrong, (wrong, api.log)
    if refusal in ("unnamed", "lost"):
        assert (result["failed"], api.writes) == (True, [])
    if not result.get("failed"):
        check_networks(api, situation)
    if api.outcome() == before:
        return
    if sum(times for *_what, times in faults) + len(pretended) == 1:
        # What is taken away to be replaced is put back; only two failures can leave it away.
        assert set(situation.final()) & set(situation.networks()) <= set(
            map(network_of, api.cidrs)
        ), api.log
    seen["failed midway" if result.get("failed") else "done all the same"] += bool(
        result.get("failed") or pretended or api.pauses
    )
    seen["failed midway while on"] += bool(result.get("failed") and api.enabled)
    api.faults.clear()
    api.pretended = frozenset()
    # Old entries are as old as they were, and new ones are younger than all.
    ages = {
        entry["id"]: age
        for entry, (_cidr, _label, age) in zip(before[0], situation.listed, strict=True)
    }
    listed = tuple(
        (entry["cidr"], entry["label"], ages.get(entry["id"], -1)) for entry in api.entries
    )
    again = replace(situation, listed=listed, enforced=api.enabled)
    assert bool(again.refusal()) == bool(refusal)
    check_run(api, again, Counter())
    # By then a mapped spelling may stand beside the plain one, and count as another network; and
    # what is left of a forbidden network may not open it any more.
    if not refusal and not situation.respelled and "forbid" not in situation.task:
        check_networks(api, situation)


def check_networks(api: Server, situation: Situation) -> None:
    """Check that all is as the task wants it, whichever entries were removed and added again on the way."""
    assert Counter(map(network_of, api.cidrs)) == Counter(situation.final())
    labels = situation.goal()[1]
    assert all(
        labels.get(network_of(entry["cidr"])) in (None, entry["label"] or "")
        for entry in api.entries
    )
    assert api.enabled is situation.ends_enforced


Failure: t.TypeAlias = "tuple[str, str, int, int]"
"""What fails, how, after how many that go well, and how often"""
Disturbed: t.TypeAlias = "tuple[Situation, list[Failure], frozenset[int]]"
"""A situation, what fails in it, and the numbers of pretended writes"""

ANY_WRITE = "[PD]*"
WRITES = [ANY_WRITE, ANY_WRITE, "POST */ip-whitelist", "DELETE *", "POST */toggle"]
LOSSES = [f"{kind} {when}" for kind in ("lost", "500", "502") for when in ("before", "after")]
REFUSALS = ["403 before", "409 before", "422 before", "429 before"]


def some_faults(choices: Choices) -> list[Failure]:
    times = [1, 1, 2, 99]
    faults = [
        (
            choices.one(WRITES),
            choices.one(LOSSES * 2 + REFUSALS),
            choices.one(range(4)),
            choices.one(times),
        )
    ]
    if choices.one([False, True]):
        # The task begins with two reads; where those fail, nothing happens.
        faults.append(
            (
                "GET *",
                choices.one([*LOSSES, "403 before"]),
                choices.one([2, 3, 4]),
                choices.one(times),
            )
        )
    return faults


def with_faults(choices: Choices) -> Disturbed:
    return some_situation(choices), some_faults(choices), frozenset()


def with_pretended_writes(choices: Choices) -> Disturbed:
    situation = some_situation(choices)
    return (
        situation,
        choices.one([[], [], some_faults(choices)]),
        frozenset(choices.some(1, 2, range(5))),
    )


def test_nobody_is_locked_out_when_requests_fail():
    seen: Counter[str] = Counter()

    @examples(500)
    @given(chosen(with_faults))
    def try_it(disturbed: Disturbed) -> None:
        check_disturbed_run(*disturbed, seen)

    try_it()
    check_varied(
        seen,
        "done all the same",
        "failed midway",
        "failed midway while on",
        "switched on",
        "switched off",
        "removed while on",
    )


def test_nobody_is_locked_out_when_writes_are_pretended():
    """The API answers some of them as if it had done them: an addition that it does not list, enforcement that is not off."""
    seen: Counter[str] = Counter()

    @examples(350)
    @given(chosen(with_pretended_writes))
    def try_it(disturbed: Disturbed) -> None:
        check_disturbed_run(*disturbed, seen)

    try_it()
    check_varied(seen, "failed midway", "failed midway while on", "switched on", "removed while on")


OFFICE = (("10.0.0.0/29", None, 0),)
PROTECTED: Values = {"protected_addresses": ["10.0.0.1"]}
RELABEL: Values = {"entries": [{"cidr": "10.0.0.0/29", "label": "x"}], **PROTECTED}


@pytest.mark.parametrize(
    ("situation", "faults", "pretended"),
    [
        pytest.param(
            Situation(OFFICE, True, {"entries": [], "purge": True, "enabled": False, **PROTECTED}),
            [],
            {0},
            id="still-on",
        ),
        pytest.param(
            Situation(OFFICE, False, {**RELABEL, "enabled": True}, 409),
            [],
            {2},
            id="replacement-not-listed",
        ),
        pytest.param(
            Situation(OFFICE, False, RELABEL, 409),
            [("DELETE *", "500 after", 0, 1)],
            set(),
            id="removed-with-an-error-and-not-put-back",
        ),
        pytest.param(
            Situation((*OFFICE, ("::ffff:10.0.0.0/125", None, 0)), False, RELABEL, 409),
            [("DELETE *", "500 after", 0, 1)],
            set(),
            id="mapped-network-taken-for-it",
        ),
    ],
)
def test_what_was_found_once(situation, faults, pretended):
    check_disturbed_run(situation, faults, frozenset(pretended), Counter())
