# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nobody is locked out: the allowlist is rebuilt under the feet of two who need it, while the API enforces it on them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from ansible_runs import Ansible
from simulator.process import Simulator

MODULE = "planasonix.admin.planasonix_ip_whitelist"
AUTOMATION, ADMINISTRATOR = "203.0.113.7", "2001:db8:40::7"
PROTECTED = [AUTOMATION, ADMINISTRATOR]
ENTRIES = [
    {"id": f"ipw_{number}", "cidr": cidr, "label": label, "created_at": "2026-01-01T00:00:00Z"}
    for number, (cidr, label) in enumerate(
        [("203.0.113.0/24", "Office"), ("2001:db8:40::/48", "VPN"), ("198.51.100.0/24", "Former")]
    )
]
STEPS: dict[str, dict[str, Any]] = {
    "enforced": {"enabled": True},
    "split": {
        "entries": [
            {"cidr": "203.0.113.0/25"},
            {"cidr": "203.0.113.128/25"},
            {"cidr": "2001:db8:40::/48"},
        ],
        "purge": True,
    },
    "labelled": {"entries": [{"cidr": "203.0.113.0/25", "label": "Automation"}]},
    "labelled_again": {
        "entries": [{"cidr": AUTOMATION}, {"cidr": "203.0.113.0/25", "label": "Machines"}]
    },
    "replaced": {
        "entries": [
            {"cidr": "203.0.113.0/28", "label": "Machines"},
            {"cidr": "2001:DB8:40:0::/64"},
        ],
        "purge": True,
    },
    "lockout": {"state": "absent", "entries": [{"cidr": "2001:db8:40::/64"}]},
}
"""What is done, by the automation and the administrator in turn."""


@dataclass(frozen=True)
class Server:
    """What the API does beside what is documented.

    :param faults: Each with the end of the path.
    :param fails: Steps that fail, with what they say. The last one always does.
    """

    options: dict[str, Any] = field(default_factory=dict)
    faults: tuple[dict[str, Any], ...] = ()
    fails: dict[str, str] = field(default_factory=dict)


SERVERS = {
    "refuses second entries": Server(
        {"refuse_duplicate_networks": True},
        fails={"labelled": f"without its entry {AUTOMATION}/32 would be locked out for a moment"},
    ),
    "fails": Server(
        faults=(
            {"kind": "drop_after", "method": "POST", "path": "/toggle"},
            {"kind": "drop_after", "method": "POST", "path": ""},
            {"kind": "ignore_write", "method": "POST", "path": ""},
            {"kind": "drop_after", "method": "DELETE", "path": "/*"},
            # The first to come here is the second attempt of the one before.
            {"kind": "status", "status": 500, "method": "DELETE", "path": "/*", "skip": 1},
        ),
        fails={
            "split": "does not show it yet. Nothing was removed",
            "labelled_again": "answered 500",
        },
    ),
    "shows late": Server({"variants": {"*": ["lag_seconds", "toggle_later"]}}),
}


def states(
    writes: list[dict[str, Any]], cidrs: dict[str, str]
) -> Iterator[tuple[bool, list[str], str]]:
    """Whether the allowlist is enforced, its networks, and what was last written, after each write that took effect.

    :param cidrs: Network of each entry that there ever was, by id.
    """
    enforced, networks = False, [entry["cidr"] for entry in ENTRIES]
    for row in writes:
        if row["fault"] != "drop_after" and (row["fault"] or not 200 <= row["status"] < 300):
            continue
        if row["path"].endswith("/toggle"):
            enforced = row["body"]["enabled"]
        elif row["method"] == "POST":
            networks.append(str(ip_network(row["body"]["cidr"])))
        else:
            networks.remove(cidrs[row["path"].rpartition("/")[2]])
        yield enforced, networks, f"{row['method']} {row['path']} {row['body']}"


def covered(address: str, networks: list[str]) -> bool:
    return any(ip_address(address) in ip_network(network) for network in networks)


def answer_of(simulator: Simulator, key: str) -> int:
    """The status that a key gets."""
    request = urllib.request.Request(
        f"{simulator.url}/api/settings/ip-whitelist", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def begin(simulator: Simulator, server: Server, automation: str) -> list[str]:
    """Let the API be so, and two keys be used from protected addresses; returns the keys."""
    simulator.reset()
    keys = simulator.state()["api_keys"]
    administrator = {
        **keys[0],
        "id": "key_administrator",
        "name": "Administrator",
        "secret": "plnx_live_of_an_administrator",
    }
    simulator.set_state(
        api_keys=[*keys, administrator],
        ip_whitelist={"entries": ENTRIES, "last_evaluated_at": ENTRIES[0]["created_at"]},
    )
    secrets = [automation, administrator["secret"]]
    simulator.options(client_addresses=dict(zip(secrets, PROTECTED, strict=True)), **server.options)
    for fault in server.faults:
        simulator.fault(**{**fault, "path": f"*/api/settings/ip-whitelist{fault['path']}"})
    return secrets


# How the API behaves and which way a task runs are independent, and a module's start is slow.
@pytest.mark.parametrize(
    ("way", "name"), [*(("worker", name) for name in SERVERS), ("module", "refuses second entries")]
)
def test_nobody_is_locked_out(
    way: str, name: str, plain_simulator: Simulator, plain_ansible: Ansible
) -> None:
    server = SERVERS[name]
    keys = begin(plain_simulator, server, plain_ansible.key)
    state = {
        "control": {
            "url": f"http://127.0.0.1:{plain_simulator.port}/_simulator/state/acme-analytics"
        }
    }
    tasks: list[dict[str, Any]] = []
    for number, (step, options) in enumerate(STEPS.items()):
        tasks.append(
            {
                MODULE: {"api_key": keys[number % 2], "protected_addresses": PROTECTED, **options},
                "register": step,
            }
        )
        if step in server.fails:
            tasks.append({**state, "register": f"after_{step}"})
    outcome = plain_ansible.run(way, *tasks)

    fails = {**server.fails, "lockout": f"would lock out {ADMINISTRATOR}/128"}
    cidrs = {entry["id"]: entry["cidr"] for entry in ENTRIES}
    for step in STEPS:
        result = outcome[step]
        assert result["failed"] == (step in fails), (step, result["msg"])
        assert fails.get(step, "") in result["msg"], (step, result["msg"])
        whitelist = (
            outcome[f"after_{step}"]["answer"]["ip_whitelist"]
            if step in server.fails
            else result.get("ip_whitelist", {"entries": []})
        )
        cidrs |= {entry["id"]: entry["cidr"] for entry in whitelist["entries"]}
    log = plain_simulator.log()
    assert 403 not in [row["status"] for row in log]
    # Two by which the last but one looks at what it did, and two by which the last finds that it must do nothing.
    assert [row["method"] for row in log[-4:]] == ["GET"] * 4

    networks: list[str] = []
    enforced, removed = False, 0
    for enforced, networks, last in states(plain_simulator.writes(), cidrs):
        removed += enforced and last.startswith("DELETE")
        assert not enforced or all(covered(address, networks) for address in PROTECTED), (
            last,
            networks,
        )
    # The replay tells the truth, entries were removed under enforcement, and it is real.
    whitelist = plain_simulator.state()["ip_whitelist"]
    assert (enforced, sorted(networks)) == (
        whitelist["enabled"],
        sorted(entry["cidr"] for entry in whitelist["entries"]),
    )
    assert sorted(networks) == ["2001:db8:40::/64", "203.0.113.0/28"]
    assert removed >= 6
    assert [answer_of(plain_simulator, key) for key in keys] == [200, 200]
    plain_simulator.options(client_addresses={})
    assert [answer_of(plain_simulator, key) for key in keys] == [403, 403]
