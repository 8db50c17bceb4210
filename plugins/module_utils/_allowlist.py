# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP allowlist: its state, its options, its plan, and whether a plan is safe.

Pure functions, no I/O, no Ansible.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    find_counterpart,
    find_open,
    find_uncovered,
    parse_network,
    read_network,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    describe,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import normalize
from ansible_collections.planasonix.admin.plugins.module_utils._validity import parse_time

LATE = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Allowlist:
    """The allowlist as the API has it.

    :param entries: Entries in force, as listed, with ``cidr`` in its canonical form.
    :param enabled: Whether the allowlist is enforced.
    :param applies_to: What it is enforced on.
    :param inactive: Entries that are listed and not in force: disabled, expired or deleted.
    :param unsettled: Inactive entries that may yet let clients in, such as pending ones.
    """

    entries: tuple[Values, ...]
    enabled: bool
    applies_to: list[str] | None
    inactive: tuple[Values, ...] = ()
    unsettled: tuple[Values, ...] = ()

    def to_result(self) -> Values:
        """Return it as modules do."""
        result = {
            "enabled": self.enabled,
            "applies_to": self.applies_to,
            "entries": sort_entries(self.entries),
        }
        if self.inactive:
            result["inactive_entries"] = sort_entries(self.inactive)
        return result

    def to_diff(self) -> Values:
        """Return what the module manages."""
        entries = [select_fields(entry) for entry in sort_entries(self.entries)]
        return {"enabled": self.enabled, "entries": entries}


def sort_entries(entries: Iterable[Values]) -> list[Values]:
    """Sort entries by address, so that the order of the API's list does not matter."""

    def find_place(entry: Values) -> tuple[t.Any, ...]:
        network = read_network(entry["cidr"])
        texts = [str(entry.get(name) or "") for name in ("cidr", "label", "created_at")]
        if network is None:
            return (0, 0, 0, *texts)
        return (network.version, int(network.network_address), network.prefixlen, *texts)

    return sorted(entries, key=find_place)


def on_off(enabled: bool) -> str:
    """Name the state of enforcement."""
    return "on" if enabled else "off"


# Entries.


def select_fields(entry: Values) -> Values:
    """Return the fields of an entry that a user can set."""
    return {name: entry[name] for name in ("cidr", "label") if entry.get(name) is not None}


def get_id(entry: Values) -> str:
    """Return the id of a listed entry as a text."""
    return str(entry["id"])


def get_ids(entries: Iterable[Values]) -> set[str]:
    """Return the ids of listed entries."""
    return set(map(get_id, entries))


def drop_repeats(entries: Iterable[Values]) -> list[Values]:
    """Return the entries, each id once."""
    return list({get_id(entry): entry for entry in entries}.values())


def drop_entries(entries: Iterable[Values], ids: Collection[str]) -> list[Values]:
    """Return the entries without the ones that have these ids."""
    return [entry for entry in entries if get_id(entry) not in ids]


def find_entries(entries: Iterable[Values], cidr: str, wanted: Collection[str]) -> list[Values]:
    """Find the entries of a network.

    If it has none, the API may have changed an IPv4 network to IPv4-mapped IPv6, or the reverse:
    then find these entries, unless the options ask for that network as well.

    :param wanted: Networks of the options.
    """
    other = find_counterpart(cidr)
    listed = [entry for entry in entries if entry["cidr"] in (cidr, other)]
    exact = [entry for entry in listed if entry["cidr"] == cidr]
    return exact if exact or other in wanted else listed


def has_label(entry: Values, label: str | None) -> bool:
    """Whether an entry has a label (``None``: any)."""
    return label is None or clean_label(entry.get("label")) == label


# Options.


def clean_label(label: t.Any) -> str:
    """Return a label as APIs store it: trimmed, composed (NFC); none is the empty label."""
    return "" if label is None else normalize(str(label))


def parse_entries(options: Values) -> dict[str, str | None]:
    """Map each network of the options, in its canonical form, to its label (``None``: any).

    :raises InvalidOption: if one is malformed, or one network has two labels.
    """
    wanted: dict[str, str | None] = {}
    for entry in options.get("entries") or []:
        cidr = str(parse_network(entry["cidr"], "entries"))
        label = None if entry.get("label") is None else clean_label(entry["label"])
        if wanted.get(cidr) is not None and label is not None and wanted[cidr] != label:
            raise InvalidOption(
                f"entries: {cidr} is listed with two labels, {wanted[cidr]!r} and {label!r}; "
                "keep one."
            )
        wanted[cidr] = wanted.get(cidr) if label is None else label
    return wanted


def check_allowlist(options: Values) -> None:
    """Refuse malformed networks and options that contradict each other.

    :raises InvalidOption: with the reason.
    """
    parse_entries(options)
    find_uncovered(options.get("protected_addresses", []), [])
    absent = options["state"] == "absent"
    if absent and options.get("purge"):
        raise InvalidOption(
            "state: absent removes the listed entries and purge: true those not listed; "
            "use one of them."
        )
    if absent and options.get("enabled"):
        raise InvalidOption(
            "state: absent cannot be combined with enabled: true; remove the entries in one task "
            "and switch enforcement on in another."
        )
    if "entries" not in options and (absent or options.get("purge")):
        raise InvalidOption(f"{'state: absent' if absent else 'purge: true'} needs entries.")


# Planning.


@dataclass(frozen=True)
class EntryPlan:
    """Entries to create, to delete and to keep.

    :param additions: Entries to create, as the API takes them.
    :param removals: Listed entries to delete.
    :param relabeled: Networks of both that get another label.
    :param kept: IDs of the listed entries that the options ask for.
    """

    additions: list[Values]
    removals: list[Values]
    relabeled: set[str]
    kept: set[str]


def plan_allowlist(current: Allowlist, options: Values) -> Plan:
    """Plan additions before removals, with enforcement switched off first and on last.

    :func:`check_lockout` decides whether the plan is safe.

    :raises RefusedPlan: if a network to add is listed already and not in force.
    """
    planned = plan_entries(current.entries, options, current.unsettled)
    refuse_doubles(planned, current, options)
    gone = get_ids(planned.removals)
    after = Allowlist(
        (*drop_entries(current.entries, gone), *planned.additions),
        options.get("enabled", current.enabled),
        current.applies_to,
        tuple(drop_entries(current.inactive, gone)),
    )
    # New labels come first: if the API refuses one and no other way is safe, the task ends before
    # it changed anything.
    additions = sorted(planned.additions, key=lambda entry: entry["cidr"] not in planned.relabeled)
    changes = [*map(create_entry, additions), *map(delete_entry, planned.removals)]
    if current.enabled and not after.enabled:
        changes.insert(0, switch_enforcement(False))
    if after.enabled and not current.enabled:
        changes.append(switch_enforcement(True))
    return Plan(
        current.to_diff(),
        after.to_diff(),
        predicted=after.to_result(),
        message=describe("ip_whitelist", list_changes(planned, current.enabled, after.enabled)),
        changes=tuple(changes),
    )


def create_entry(entry: Values) -> Change:
    """Return the change that creates an entry."""
    cidr = entry["cidr"]
    return Change("create", "ip_whitelist", f"add {cidr} to the IP allowlist", cidr, after=entry)


def delete_entry(entry: Values) -> Change:
    """Return the change that deletes a listed entry."""
    cidr = entry["cidr"]
    text = f"remove {cidr} from the IP allowlist"
    return Change("delete", "ip_whitelist", text, cidr, before=entry)


def switch_enforcement(enabled: bool) -> Change:
    """Return the change that switches enforcement."""
    return Change(
        "enable" if enabled else "disable",
        "ip_whitelist",
        f"switch enforcement of the IP allowlist {on_off(enabled)}",
        before={"enabled": not enabled},
        after={"enabled": enabled},
    )


def select_changes(plan: Plan, action: str) -> list[Change]:
    """Return the changes of a plan with one action."""
    return [change for change in plan.changes if change.action == action]


def list_changes(planned: EntryPlan, before: bool, after: bool) -> list[str]:
    """List the changes of a plan for its message."""
    texts: list[str] = []
    for entry in planned.additions:
        if entry["cidr"] in planned.relabeled:
            texts.append(f"{entry['cidr']} labelled {entry.get('label')!r}")
        else:
            texts.append(f"added {entry['cidr']}")
    for entry in planned.removals:
        if entry["cidr"] not in planned.relabeled:
            texts.append(f"removed {entry['cidr']}")
    if after != before:
        texts.append(f"enforcement {on_off(before)} -> {on_off(after)}")
    return texts


def plan_entries(
    entries: Sequence[Values], options: Values, unsettled: Sequence[Values] = ()
) -> EntryPlan:
    """Plan which entries to create and to delete, and keep each one that the options ask for.

    Entries are identified by their ids, so a list that contains one twice does no harm.

    :param entries: Entries in force.
    :param options: Options of the module, and ``forbid``: networks that a baseline closes.
    :param unsettled: Other entries that may yet let clients in. They are deleted like entries in
        force, and do not satisfy the options.
    :raises ApiError: if a listed network that cannot be read might be a forbidden one.
    """
    wanted = parse_entries(options)
    spellings = {*wanted, *map(find_counterpart, wanted)}
    listed = [*entries, *unsettled]
    if options["state"] == "absent":
        found = drop_repeats(entry for entry in listed if entry["cidr"] in spellings)
        return EntryPlan([], found, set(), set())
    additions: list[Values] = []
    relabeled: set[str] = set()
    kept: set[str] = set()
    named: set[str] = set()
    for cidr, label in wanted.items():
        found = sorted(find_entries(entries, cidr, wanted), key=read_creation_time)
        named |= get_ids(found)
        fitting = [entry for entry in found if has_label(entry, label)]
        kept |= get_ids(fitting[:1])
        if not fitting:
            additions.append({"cidr": cidr} if label is None else {"cidr": cidr, "label": label})
        if found and not fitting:
            relabeled |= {cidr, *(entry["cidr"] for entry in found)}
    others = drop_entries(entries, named)
    others += [entry for entry in unsettled if entry["cidr"] not in spellings]
    if not options.get("purge"):
        others = find_forbidden(others, wanted, options.get("forbid", ()))
    gone = (named | get_ids(others)) - kept
    removals = drop_repeats(entry for entry in listed if get_id(entry) in gone)
    return EntryPlan(additions, removals, relabeled, kept)


def read_creation_time(entry: Values) -> datetime.datetime:
    """Return when an entry was created; an unknown time is later than all others."""
    return parse_time(entry.get("created_at")) or LATE


def find_forbidden(
    entries: Sequence[Values], wanted: Collection[str], forbid: Collection[str]
) -> list[Values]:
    """Find the entries that let in all of a forbidden network, together with the wanted networks.

    :raises ApiError: if a listed network cannot be read, so that it might be such an entry.
    """
    unread = [entry for entry in entries if read_network(entry["cidr"]) is None]
    if unread and forbid:
        raise ApiError(
            f"The IP allowlist has an entry for {unread[0]['cidr']!r} ({unread[0]['id']}), which "
            "is no network. Whether it opens a forbidden network is not known; correct the entry."
        )
    cidrs = list(dict.fromkeys([*(entry["cidr"] for entry in entries), *wanted]))
    found = find_open(forbid, cidrs, wanted)
    return [entry for entry in entries if entry["cidr"] in found]


def refuse_doubles(planned: EntryPlan, current: Allowlist, options: Values) -> None:
    """Refuse to add a network that has an entry which may yet let clients in.

    :raises RefusedPlan: with the id of that entry.
    """
    for entry in planned.additions:
        doubles = find_entries(current.unsettled, entry["cidr"], parse_entries(options))
        if doubles:
            raise RefusedPlan(explain_double(entry["cidr"], doubles[0]))


def explain_double(cidr: str, entry: Values) -> str:
    """Say that a network cannot be added, since it has an entry that is not in force."""
    return (
        f"{cidr} is listed and not in force ({entry['id']}): activate or "
        "delete that entry in the product."
    )


# Safety.


def takes_access(plan: Plan, options: Values) -> bool:
    """Whether a plan may take access from an address, and ``allow_lockout`` does not permit it."""
    if options.get("allow_lockout") or not plan.after["enabled"]:
        return False
    return bool(select_changes(plan, "delete")) or not plan.before["enabled"]


def find_lost(entries: Iterable[Values], options: Values) -> list[str]:
    """List the protected addresses that entries do not cover."""
    return find_uncovered(
        options.get("protected_addresses", []), [entry["cidr"] for entry in entries]
    )


def check_lockout(plan: Plan, current: Allowlist, options: Values) -> None:
    """Refuse a plan after which a protected address might have no access.

    :param current: The allowlist that the plan was made from.
    :raises RefusedPlan: with the addresses that would lose access, or the request to name them.
    """
    if not takes_access(plan, options):
        return
    what = "Removing entries of the enforced IP allowlist"
    if not plan.before["enabled"]:
        what = "Enforcing the IP allowlist"
    if not options.get("protected_addresses"):
        raise RefusedPlan(
            f"{what} could lock everyone out. Set protected_addresses to the addresses that must "
            "keep access, or set allow_lockout: true."
        )
    staying = plan.after["entries"]
    lost = find_lost(staying, options)
    if not lost:
        return
    message = (
        f"{what} would lock out {', '.join(lost)}. Add entries that cover what "
        "protected_addresses names, or set allow_lockout: true."
    )
    if len(find_lost([*staying, *current.inactive], options)) < len(lost):
        inactive = ", ".join(entry["cidr"] for entry in current.inactive)
        message += f" Entries not in force do not count: {inactive}."
    raise RefusedPlan(message)


# Verifying.


def verify_allowlist(current: Allowlist, plan: Plan, options: Values) -> list[str]:
    """List the parts of a plan that the API does not show.

    A double entry that another run created at the same time is left to the next run.
    """
    planned = plan_entries(current.entries, options)
    deleted = get_ids(change.before for change in select_changes(plan, "delete"))
    texts: list[str] = []
    for entry in planned.additions:
        label = f" with the label {entry['label']!r}" if "label" in entry else ""
        texts.append(f"{entry['cidr']} is not listed{label}")
    for entry in (*current.entries, *current.unsettled):
        if get_id(entry) in deleted - planned.kept:
            texts.append(f"{entry['cidr']} is still listed")
    if current.enabled != plan.after["enabled"]:
        texts.append(f"enforcement is still {on_off(current.enabled)}")
    return texts
