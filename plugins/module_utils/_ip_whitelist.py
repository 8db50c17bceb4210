# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP allowlist: its entries and its enforcement, changed so that nobody is locked out.

Endpoints: ``/api/settings/ip-whitelist``, ``/api/settings/ip-whitelist/{id}``, ``/api/settings/ip-whitelist/status`` and
``/api/settings/ip-whitelist/toggle``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    NotApplied,
    PlanasonixError,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    describe,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    create_once,
    parse_time,
    require_field,
    send,
)

ENTRIES_PATH = "/api/settings/ip-whitelist"
STATUS_PATH = "/api/settings/ip-whitelist/status"
TOGGLE_PATH = "/api/settings/ip-whitelist/toggle"

# How a server that allows one entry per network refuses a second one.
REFUSALS_OF_A_SECOND_ENTRY = frozenset({400, 409, 422})

# What the API answers to a switch that it does not act on. A 403 is none of them: after a lost answer it may come from the allowlist that is on by now.
CERTAIN_REFUSALS = frozenset({400, 401, 404, 405, 409, 415, 422, 429})

LATE = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)

Network: t.TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


@dataclass(frozen=True)
class Allowlist:
    """The allowlist as the API has it.

    :param entries: As listed, with ``cidr`` in its canonical form.
    :param enabled: Whether it is enforced.
    :param applies_to: What it is enforced on.
    """

    entries: tuple[Values, ...]
    enabled: bool
    applies_to: t.Any

    def outcome(self) -> Values:
        """As modules return it."""
        return {
            "enabled": self.enabled,
            "applies_to": self.applies_to,
            "entries": in_order(self.entries),
        }


def parse_network(text: str, option: str) -> Network:
    """The network that a user wrote; a single address is a /32 or a /128.

    :raises InvalidOption: if it is none, or has host bits set.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        right = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidOption(
            f"{option}: {text!r} is not an IP address or a network in CIDR notation, such as 203.0.113.0/24 or 2001:db8::/32."
        ) from None
    raise InvalidOption(
        f"{option}: {text!r} has host bits set; the network is {right}, the single address {text.split('/')[0]}."
    )


def canonical(cidr: t.Any) -> str:
    """The one spelling of a network that the API lists; text that is no network stays as it is, and equals none."""
    try:
        return str(ipaddress.ip_network(str(cidr), strict=False))
    except ValueError:
        return str(cidr)


def in_order(entries: Iterable[Values]) -> list[Values]:
    """Entries by address, so that a list looks the same whatever order the API gives it in."""

    def position(entry: Values) -> tuple[int, int, int, str, str]:
        try:
            network = ipaddress.ip_network(entry["cidr"])
        except ValueError:
            return (0, 0, 0, entry["cidr"], "")
        return (
            network.version,
            int(network.network_address),
            network.prefixlen,
            entry.get("label") or "",
            entry.get("created_at") or "",
        )

    return sorted(entries, key=position)


def uncovered(protected: Sequence[str], cidrs: Iterable[str]) -> list[str]:
    """The protected addresses and networks that a list of networks does not cover."""
    networks: list[Network] = []
    for cidr in cidrs:
        try:
            networks.append(ipaddress.ip_network(cidr))
        except ValueError:
            continue  # what is no network covers nothing
    # Collapsed, so that a protected network may lie in two neighbours.
    blocks: list[Network] = [
        *ipaddress.collapse_addresses(
            network for network in networks if isinstance(network, ipaddress.IPv4Network)
        ),
        *ipaddress.collapse_addresses(
            network for network in networks if isinstance(network, ipaddress.IPv6Network)
        ),
    ]
    wanted = [parse_network(text, "protected_addresses") for text in protected]
    return [
        str(network) for network in wanted if not any(lies_in(network, block) for block in blocks)
    ]


def lies_in(network: Network, block: Network) -> bool:
    """Whether a network is a part of another of the same IP version."""
    return (
        network.version == block.version
        and network.network_address in block
        and network.prefixlen >= block.prefixlen
    )


def wanted_entries(options: Values) -> dict[str, str | None]:
    """The given entries: canonical network to label (``None``: any).

    :raises InvalidOption: if one is malformed, or one network has two labels.
    """
    wanted: dict[str, str | None] = {}
    for entry in options.get("entries") or []:
        cidr, label = str(parse_network(entry["cidr"], "entries")), entry.get("label")
        if wanted.get(cidr) is not None and label is not None and wanted[cidr] != label:
            raise InvalidOption(
                f"entries: {cidr} is listed with two labels, {wanted[cidr]!r} and {label!r}; keep one."
            )
        wanted[cidr] = label if label is not None else wanted.get(cidr)
    return wanted


def check_allowlist(options: Values) -> None:
    """Refuse malformed networks and options that contradict each other.

    :raises InvalidOption: with the reason.
    """
    wanted_entries(options)
    uncovered(options.get("protected_addresses", []), [])
    if options["state"] == "absent":
        if options.get("purge"):
            raise InvalidOption(
                "state: absent removes the listed entries and purge: true those not listed; use one of them."
            )
        if options.get("enabled"):
            raise InvalidOption(
                "state: absent cannot be combined with enabled: true; remove the entries in one task and switch enforcement on in another."
            )
    if "entries" not in options and (options["state"] == "absent" or options.get("purge")):
        raise InvalidOption(
            f"{'state: absent' if options['state'] == 'absent' else 'purge: true'} needs entries."
        )


def read_allowlist(client: Client, dummy_options: Values) -> Allowlist:
    """Read ``GET /api/settings/ip-whitelist`` and ``GET /api/settings/ip-whitelist/status``."""
    entries = read_entries(client)
    status = client.get(STATUS_PATH, "read whether the IP allowlist is enforced")
    return Allowlist(
        entries,
        bool(require_field(status, "enabled", "the IP allowlist's status")),
        status.get("applies_to"),
    )


def read_entries(client: Client) -> tuple[Values, ...]:
    """Read the entries, each with an id and the canonical form of its network."""
    entries = client.get_list(ENTRIES_PATH, "read the IP allowlist")
    for entry in entries:
        require_field(entry, "id", "an IP allowlist entry")
        entry["cidr"] = canonical(require_field(entry, "cidr", "an IP allowlist entry"))
    return tuple(entries)


def entry_path(entry: Values) -> str:
    """The path of one entry."""
    return f"{ENTRIES_PATH}/{quote(str(entry['id']), safe='')}"


def plan_allowlist(current: Allowlist, options: Values) -> Plan:
    """Plan additions before removals, with enforcement switched off first and on last.

    :raises RefusedPlan: if an address that must keep access could lose it.
    """
    additions, relabelled, removals = plan_entries(current.entries, options)
    enabled = options.get("enabled", current.enabled)
    entries = [entry for entry in current.entries if entry not in removals] + additions
    if not options.get("allow_lockout"):
        guard(current, enabled, entries, bool(removals), options.get("protected_addresses", []))

    calls = []
    if current.enabled and not enabled:
        calls.append(
            Call(
                "POST",
                TOGGLE_PATH,
                {"enabled": False},
                "switch enforcement of the IP allowlist off",
                repeatable=True,
            )
        )
    # New labels come first: where the server refuses one and nothing else may be done, nothing was changed yet.
    for entry in sorted(additions, key=lambda entry: entry["cidr"] not in relabelled):
        calls.append(Call("POST", ENTRIES_PATH, entry, f"add {entry['cidr']} to the IP allowlist"))
    for entry in removals:
        calls.append(
            Call("DELETE", entry_path(entry), None, f"remove {entry['cidr']} from the IP allowlist")
        )
    if enabled and not current.enabled:
        calls.append(
            Call(
                "POST",
                TOGGLE_PATH,
                {"enabled": True},
                "switch enforcement of the IP allowlist on",
                repeatable=True,
            )
        )

    changes = [
        f"{entry['cidr']} labelled {entry.get('label')!r}"
        if entry["cidr"] in relabelled
        else f"added {entry['cidr']}"
        for entry in additions
    ]
    changes += [f"removed {entry['cidr']}" for entry in removals if entry["cidr"] not in relabelled]
    if enabled != current.enabled:
        changes.append(f"enforcement {on_off(current.enabled)} -> {on_off(enabled)}")
    after = Allowlist(tuple(entries), enabled, current.applies_to)
    return Plan(
        managed(current),
        managed(after),
        tuple(calls),
        after.outcome(),
        describe("ip_whitelist", changes),
    )


def plan_entries(
    entries: Sequence[Values], options: Values
) -> tuple[list[Values], set[str], list[Values]]:
    """Which entries to add, which of their networks only get a new label, and which listed entries to remove.

    Beside what the module takes, ``forbid`` holds networks that a baseline does not let stay.
    """
    wanted = wanted_entries(options)
    if options["state"] == "absent":
        return [], set(), [entry for entry in entries if entry["cidr"] in wanted]
    additions: list[Values] = []
    relabelled: set[str] = set()
    removals: list[Values] = []
    for cidr, label in wanted.items():
        listed = sorted(
            (entry for entry in entries if entry["cidr"] == cidr),
            key=lambda entry: parse_time(entry.get("created_at")) or LATE,
        )
        fitting = [
            entry for entry in listed if label is None or (entry.get("label") or "") == label
        ]
        if not fitting:
            additions.append({"cidr": cidr} if label is None else {"cidr": cidr, "label": label})
            if listed:
                relabelled.add(cidr)
        removals.extend(entry for entry in listed if entry is not (fitting[0] if fitting else None))
    forbidden = {canonical(cidr) for cidr in options.get("forbid", ())}
    removals.extend(
        entry
        for entry in entries
        if entry["cidr"] not in wanted and (options.get("purge") or entry["cidr"] in forbidden)
    )
    return additions, relabelled, removals


def guard(
    current: Allowlist,
    enabled: bool,
    entries: Iterable[Values],
    removes: bool,
    protected: Sequence[str],
) -> None:
    """Refuse a plan after which an address that must keep access might have none.

    :raises RefusedPlan: with the addresses that would lose access, or the request to name them.
    """
    if enabled and not current.enabled:
        what = "Switching enforcement of the IP allowlist on"
    elif enabled and removes:
        what = "Removing IP allowlist entries while it is enforced"
    else:
        return
    if not protected:
        raise RefusedPlan(
            f"{what} could lock everybody out: name the addresses that must keep access in protected_addresses, or set allow_lockout: true."
        )
    lost = uncovered(protected, (entry["cidr"] for entry in entries))
    if lost:
        raise RefusedPlan(
            f"{what} would lock out {', '.join(lost)}: add entries that cover what protected_addresses names, or set allow_lockout: true."
        )


def managed(allowlist: Allowlist) -> Values:
    """What the module manages, for the diff."""
    return {
        "enabled": allowlist.enabled,
        "entries": [
            {name: entry[name] for name in ("cidr", "label") if entry.get(name) is not None}
            for entry in in_order(allowlist.entries)
        ],
    }


def on_off(enabled: bool) -> str:
    """Enforcement in a word."""
    return "on" if enabled else "off"


def apply_allowlist(client: Client, plan: Plan, current: Allowlist, options: Values) -> Applied:
    """Send the plan. Each addition whose answer is lost is settled by reading, and access is proved after enforcement is switched on.

    :raises ApiError: if the API refuses a call.
    :raises RefusedPlan: if a label cannot be changed without taking access away for a moment.
    :raises NotApplied: if the key has no access once enforcement is on.
    """
    known = {entry["id"] for entry in current.entries}
    listed = {entry["cidr"] for entry in current.entries}
    kept: set[str] = set()
    replacements: list[Call] = []
    proved = False
    for call in plan.calls:
        removes = call.method == "DELETE"
        if not proved and (removes or (call.path == TOGGLE_PATH and call.body["enabled"])):
            # All additions are made by now, and nobody may lose access before they are seen to be there.
            kept |= prove_additions(
                client,
                plan,
                current,
                options,
                {replacement.body["cidr"] for replacement in replacements},
            )
            proved = True
        if removes:
            # A network whose second entry was refused is replaced here, one at a time.
            for replacement in replacements:
                replace_entry(client, replacement, plan, current)
                kept.update(
                    other.path for other in removals_of(plan, current, replacement.body["cidr"])
                )
            replacements = []
            if call.path not in kept:
                send(client, call)
        elif call.path == TOGGLE_PATH and call.body["enabled"]:
            switch_on(client, call)
        elif call.path == TOGGLE_PATH:
            switch_off(client, call)
        else:
            try:
                add_entry(client, call, known)
            except ApiError as refusal:
                if (
                    refusal.status not in REFUSALS_OF_A_SECOND_ENTRY
                    or call.body["cidr"] not in listed
                ):
                    raise
                check_replacement(plan, call, options, refusal)
                replacements.append(call)
    return Applied()


def prove_additions(
    client: Client, plan: Plan, current: Allowlist, options: Values, deferred: set[str]
) -> set[str]:
    """Read the entries before anything is removed or enforced.

    :param deferred: Networks whose new entry was refused so far.
    :returns: Paths of entries that the plan removes and that must stay, since the API changed them instead of adding another.
    :raises NotApplied: if an addition is missing, or a protected address would lose access.
    """
    additions = [
        call.body
        for call in plan.calls
        if call.path == ENTRIES_PATH and call.body["cidr"] not in deferred
    ]
    if not additions:
        return set()
    entries = read_entries(client)
    known = {entry["id"] for entry in current.entries}
    kept: set[str] = set()
    for addition in additions:
        found = [entry for entry in entries if entry["cidr"] == addition["cidr"]]
        if any(entry["id"] not in known for entry in found):
            continue
        changed = [
            entry
            for entry in found
            if "label" in addition and entry.get("label") == addition["label"]
        ]
        if not changed:
            raise NotApplied(
                f"The API accepted {addition['cidr']}, but does not list it; nothing was removed from the IP allowlist or enforced."
            )
        kept.update(entry_path(entry) for entry in changed)
    gone = {call.path for call in plan.calls if call.method == "DELETE"} - kept
    lost = uncovered(
        options.get("protected_addresses", []),
        (
            entry["cidr"]
            for entry in entries
            if entry_path(entry) not in gone or entry["cidr"] in deferred
        ),
    )
    if lost and plan.after["enabled"] and not options.get("allow_lockout"):
        raise NotApplied(
            f"The IP allowlist does not cover {', '.join(lost)} as planned, since it changed meanwhile; nothing was removed or enforced, run again."
        )
    return kept


def add_entry(client: Client, call: Call, known: set[t.Any]) -> None:
    """Add an entry; its id joins the known ones."""

    def find() -> list[Values]:
        return [
            entry
            for entry in read_entries(client)
            if entry["id"] not in known and entry["cidr"] == call.body["cidr"]
        ]

    known.add(create_once(client, call, find).get("id"))


def removals_of(plan: Plan, current: Allowlist, cidr: str) -> list[Call]:
    """The calls of the plan that remove the entries of one network."""
    paths = {entry_path(entry) for entry in current.entries if entry["cidr"] == cidr}
    return [call for call in plan.calls if call.method == "DELETE" and call.path in paths]


def check_replacement(plan: Plan, call: Call, options: Values, refusal: ApiError) -> None:
    """Allow an entry to be removed and added again, where a second entry of its network is refused.

    :raises RefusedPlan: if the moment between would take access from a protected address.
    """
    if options.get("allow_lockout") or not (plan.before["enabled"] and plan.after["enabled"]):
        return
    others = (
        entry["cidr"] for entry in plan.after["entries"] if entry["cidr"] != call.body["cidr"]
    )
    lost = uncovered(options.get("protected_addresses", []), others)
    if lost:
        raise RefusedPlan(
            f"The label of {call.body['cidr']} cannot be changed: the API refuses a second entry of the network ({refusal.code or refusal.status}), "
            f"and without its entry {', '.join(lost)} would be locked out for a moment; switch enforcement off, cover them by another entry, "
            "or set allow_lockout: true.",
            **refusal.details,
        )


def replace_entry(client: Client, call: Call, plan: Plan, current: Allowlist) -> None:
    """Remove the entries of a network and add the new one; where that fails, put an old one back.

    :raises NotApplied: if the API accepts the new entry and does not list it.
    """
    cidr = call.body["cidr"]
    known = {entry["id"] for entry in read_entries(client)}
    try:
        for removal in removals_of(plan, current, cidr):
            send(client, removal)
        add_entry(client, call, known)
        if not is_listed(client, cidr):
            raise NotApplied(
                f"The API accepted {cidr} with its new label, but does not list it; the IP allowlist is not enforced anew."
            )
    except PlanasonixError as error:
        put_back(
            client, next(entry for entry in current.entries if entry["cidr"] == cidr), known, error
        )
        raise


def is_listed(client: Client, cidr: str) -> bool:
    """Read whether there is an entry of a network."""
    return any(entry["cidr"] == cidr for entry in read_entries(client))


def put_back(client: Client, old: Values, known: set[t.Any], reason: PlanasonixError) -> None:
    """Add an entry again that was removed to be replaced, unless its network is listed."""
    try:
        listed = is_listed(client, old["cidr"])
    except ApiError:
        listed = False  # an API that refuses second entries will say so
    if not listed:
        body = {name: old[name] for name in ("cidr", "label") if old.get(name) is not None}
        add_entry(
            client,
            Call(
                "POST",
                ENTRIES_PATH,
                body,
                f"put {old['cidr']} back in the IP allowlist after this failed: {reason.message}",
            ),
            known,
        )


def switch_off(client: Client, call: Call) -> None:
    """Switch enforcement off, and see that it is before anything is removed.

    :raises NotApplied: if it is still on.
    """
    send(client, call)
    if require_field(
        client.get(STATUS_PATH, "read whether the IP allowlist is enforced"),
        "enabled",
        "the IP allowlist's status",
    ):
        raise NotApplied(
            "The API accepted that enforcement of the IP allowlist be switched off, but it is still on; nothing else was changed."
        )


def switch_on(client: Client, call: Call) -> None:
    """Switch enforcement on and prove that the key still has access.

    :raises NotApplied: if it has none, with what could be done about it.
    """
    failure: ApiError | None = None
    try:
        send(client, call)
    except ApiError as error:
        failure = error
    try:
        status = client.get(STATUS_PATH, "read whether the IP allowlist is enforced")
    except ApiError as error:
        if failure is not None and failure.status in CERTAIN_REFUSALS:
            raise failure from None
        reason = error
    else:
        if failure is not None and not status.get("enabled"):
            raise failure
        return
    try:
        client.send(
            "POST",
            TOGGLE_PATH,
            {"enabled": False},
            action="switch enforcement of the IP allowlist off again",
            repeatable=True,
        )
        enabled = client.get(STATUS_PATH, "read whether the IP allowlist is enforced").get(
            "enabled"
        )
    except ApiError:
        enabled = None
    if enabled is False:
        end = "enforcement is now off again; correct entries and protected_addresses before you switch it on"
    else:
        end = "enforcement is STILL ON, and only an administrator at a listed address, or Planasonix support, can switch it off"
    what = (
        "this key had no access"
        if reason.status in (None, 401, 403)
        else "it could not be proved that this key has access"
    )
    raise NotApplied(
        f"Once enforcement of the IP allowlist was switched on, {what} ({reason.message}): {end}.",
        **reason.details,
    )


def missed_in_allowlist(current: Allowlist, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do. A double entry, made by another run at the same time, is left to the next run."""
    additions, _relabelled, removals = plan_entries(current.entries, options)
    gone = {call.path for call in plan.calls if call.method == "DELETE"}
    texts = [
        f"{entry['cidr']} is not listed"
        + (f" with the label {entry['label']!r}" if "label" in entry else "")
        for entry in additions
    ]
    texts += [f"{entry['cidr']} is still listed" for entry in removals if entry_path(entry) in gone]
    if current.enabled != plan.after["enabled"]:
        texts.append(f"enforcement is still {on_off(current.enabled)}")
    return texts


def show_allowlist(current: Allowlist, dummy_options: Values) -> Values:
    """The allowlist as modules return it."""
    return current.outcome()


ALLOWLIST = Resource(
    "ip_whitelist",
    read_allowlist,
    plan_allowlist,
    show_allowlist,
    missed_in_allowlist,
    apply_allowlist,
    check_allowlist,
)
