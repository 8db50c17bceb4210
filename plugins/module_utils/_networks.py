# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks: how they are written, and which one covers which. Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Collection, Iterable, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""The IPv6 addresses that stand for the IPv4 addresses."""


def parse_network(text: str, option: str) -> Network:
    """Parse the network that a user wrote; a single address is a /32 or a /128.

    :raises InvalidOption: if it is no network, or has host bits set or a zone.
    """
    text = text.strip()
    if not text:
        raise InvalidOption(
            f"{option}: an address is empty; is the variable that it comes from set?"
        )
    if "%" in text:
        raise InvalidOption(
            f"{option}: {text!r} has a zone, which only one host knows. "
            "Write the address without it; a link-local address never reaches the API."
        )
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidOption(
            f"{option}: {text!r} is not an IP address or a network in CIDR notation, "
            "such as 203.0.113.0/24 or 2001:db8::/32."
        ) from None
    address = text.split("/")[0]
    if ipaddress.ip_address(address) != network.network_address:
        raise InvalidOption(
            f"{option}: {text!r} has host bits set; the network is {network}, "
            f"the single address {address}."
        )
    return network


def read_network(text: str) -> Network | None:
    """Read a network as an API may spell it: host bits, no prefix, or a range that is one network.

    :returns: ``None`` for any other text.
    """
    text = text.strip()
    if "%" in text:
        return None
    first, dash, last = text.partition("-")
    try:
        if not dash:
            return ipaddress.ip_network(text, strict=False)
        ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        blocks: list[Network] = list(ipaddress.summarize_address_range(*ends))
    except (ValueError, TypeError):
        return None
    return blocks[0] if len(blocks) == 1 else None


def canonical(cidr: t.Any) -> str:
    """Return the one spelling of a network; a text that is no network stays as it is."""
    network = read_network(str(cidr))
    return str(cidr) if network is None else str(network)


def find_counterpart(cidr: str) -> str | None:
    """Return an IPv4 network as IPv4-mapped IPv6, and the other way round; ``None`` for others."""
    network = read_network(cidr)
    if isinstance(network, ipaddress.IPv4Network):
        first = int(MAPPED.network_address) + int(network.network_address)
        return str(ipaddress.IPv6Network((first, MAPPED.prefixlen + network.prefixlen)))
    if network is not None and lies_in(network, MAPPED):
        first = int(network.network_address) - int(MAPPED.network_address)
        return str(ipaddress.IPv4Network((first, network.prefixlen - MAPPED.prefixlen)))
    return None


def lies_in(network: Network, block: Network) -> bool:
    """Whether a network is a part of another of the same IP version."""
    return (
        network.version == block.version
        and network.network_address in block
        and network.prefixlen >= block.prefixlen
    )


def find_uncovered(protected: Iterable[str], cidrs: Iterable[str]) -> list[str]:
    """List the protected addresses and networks that a list of networks does not cover.

    An IPv4 address does not cover its IPv4-mapped form, as some servers let in only one of them.
    """
    wanted = [parse_network(text, "protected_addresses") for text in protected]
    return [str(network) for network in _find_uncovered(wanted, map(read_network, cidrs))]


def _find_uncovered(wanted: Iterable[Network], networks: Iterable[Network | None]) -> list[Network]:
    """List the networks that others do not cover, alone or together."""
    found = list(networks)
    # Neighbors are collapsed, so that they cover a network together.
    blocks: list[Network] = [
        *ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv6Network)),
    ]
    return [network for network in wanted if not any(lies_in(network, block) for block in blocks)]


def find_open(
    forbidden: Iterable[str], cidrs: Sequence[str], allowed: Collection[str] = ()
) -> set[str]:
    """Find the listed networks that let in all of a forbidden network, alone or together.

    Return the broadest that overlap it, so that a small network inside of them stays. IPv4-mapped
    networks count as IPv4.

    :param cidrs: Listed networks in their canonical spelling.
    :param allowed: Listed networks that do not count as open.
    """
    found: set[str] = set()
    networks = {cidr: _read_plain(cidr) for cidr in cidrs}
    for text in forbidden:
        target = _read_plain(text)
        while target is not None:
            others = {cidr: one for cidr, one in networks.items() if one and cidr not in found}
            if _find_uncovered([target], others.values()):
                break
            widest = _find_widest(target, others, allowed)
            if not widest:
                break
            found |= widest
    return found


def _read_plain(cidr: str) -> Network | None:
    """Read a network, an IPv4-mapped one as IPv4."""
    network = read_network(cidr)
    if network is not None and lies_in(network, MAPPED):
        return read_network(find_counterpart(cidr) or "")
    return network


def _find_widest(
    target: Network, networks: t.Mapping[str, Network], allowed: Collection[str]
) -> set[str]:
    """Find the networks that overlap a target, without those that lie in a larger one."""
    choices: dict[str, Network] = {}
    for cidr, network in networks.items():
        if cidr not in allowed and (lies_in(network, target) or lies_in(target, network)):
            choices[cidr] = network
    return {
        cidr
        for cidr, network in choices.items()
        if not any(network != other and lies_in(network, other) for other in choices.values())
    }
