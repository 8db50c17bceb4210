# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks: spellings of an API, and which networks let in all of a forbidden one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    canonical,
    find_counterpart,
    find_open,
    find_uncovered,
    parse_network,
    read_network,
)


@pytest.mark.parametrize(
    ("listed", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        (" 203.0.113.7 ", "203.0.113.7/32"),
        ("2001:0DB8:0:0::/32", "2001:db8::/32"),
        ("203.0.113.0-203.0.113.255", "203.0.113.0/24"),
        ("2001:db8:: - 2001:db8::ffff", "2001:db8::/112"),
    ],
)
def test_a_network_has_one_spelling(listed: str, network: str) -> None:
    assert canonical(listed) == network


@pytest.mark.parametrize(
    "listed",
    [
        *("office", "", "*", "fe80::1%eth0", "fe80::1%eth0/64", "010.0.0.1", "203.0.113.0/33"),
        *("203.0.113.0-203.0.113.254", "203.0.113.9-203.0.113.1", "203.0.113.0-::1", "a-b"),
    ],
)
def test_what_is_no_network_stays_as_it_is_and_covers_nothing(listed: str) -> None:
    assert (canonical(listed), read_network(listed)) == (listed, None)
    assert find_uncovered(["203.0.113.1"], [listed]) == ["203.0.113.1/32"]
    assert find_open(["203.0.113.1"], [listed]) == set()


def test_find_counterparts() -> None:
    mapped = find_counterpart("203.0.113.0/24")
    assert mapped is not None and parse_network("::ffff:203.0.113.0/120", "x") == read_network(
        mapped
    )
    assert find_counterpart(mapped) == "203.0.113.0/24"
    assert [find_counterpart(text) for text in ("2001:db8::/32", "::/0", "office")] == [None] * 3


HALVES = ["0.0.0.0/1", "128.0.0.0/1"]


@pytest.mark.parametrize(
    ("forbidden", "listed", "found"),
    [
        pytest.param("0.0.0.0/0", ["0.0.0.0/0"], ["0.0.0.0/0"], id="itself"),
        pytest.param("0.0.0.0/0", HALVES, HALVES, id="two-halves"),
        pytest.param("0.0.0.0/0", ["0.0.0.0/1"], [], id="one-half"),
        pytest.param("0.0.0.0/0", ["203.0.113.0/24"], [], id="small"),
        pytest.param("0.0.0.0/0", [*HALVES, "203.0.113.0/24"], HALVES, id="a-small-one-stays"),
        pytest.param(
            "0.0.0.0/0",
            ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"],
            ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"],
            id="three-parts",
        ),
        pytest.param("10.0.0.0/8", ["0.0.0.0/0"], ["0.0.0.0/0"], id="broader"),
        pytest.param(
            "10.0.0.0/8", ["10.0.0.0/8", "0.0.0.0/0"], ["10.0.0.0/8", "0.0.0.0/0"], id="both"
        ),
        pytest.param("10.0.0.0/8", ["10.1.0.0/16"], [], id="narrower"),
        pytest.param("10.0.0.0/8", ["192.0.2.0/24", "10.0.0.0/8"], ["10.0.0.0/8"], id="elsewhere"),
        pytest.param("::/0", ["::/1", "8000::/1"], ["::/1", "8000::/1"], id="ipv6"),
        pytest.param("0.0.0.0/0", ["::/0"], [], id="other-version"),
        pytest.param("0.0.0.0/0", ["::ffff:0:0/96"], ["::ffff:0:0/96"], id="mapped"),
        pytest.param(
            "0.0.0.0/0",
            ["::ffff:0:0/97", "128.0.0.0/1"],
            ["::ffff:0:0/97", "128.0.0.0/1"],
            id="half-mapped",
        ),
    ],
)
def test_networks_that_open_a_forbidden_one(
    forbidden: str, listed: list[str], found: list[str]
) -> None:
    assert find_open([forbidden], listed) == set(found)


def test_a_wanted_network_is_never_among_them() -> None:
    assert find_open(["0.0.0.0/0"], HALVES, [HALVES[0]]) == {HALVES[1]}
    assert find_open(["0.0.0.0/0"], HALVES, HALVES) == set()


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_address_asks_for_the_variable(text: str) -> None:
    with pytest.raises(InvalidOption, match="is the variable that it comes from set?"):
        parse_network(text, "protected_addresses")


def test_blanks_around_an_address_do_not_matter() -> None:
    assert str(parse_network(" 203.0.113.7\n", "entries")) == "203.0.113.7/32"


@pytest.mark.parametrize("name", ["_networks", "_validity", "_allowlist"])
def test_no_library_is_needed(name: str) -> None:
    program = (
        "import sys; sys.modules.update(requests=None, pyotp=None); "
        f"import ansible_collections.planasonix.admin.plugins.module_utils.{name}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
