# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP allowlist: its entries and enforcement, changed so that protected addresses keep access.

Endpoints: ``/api/settings/ip-whitelist``, ``/api/settings/ip-whitelist/{id}``,
``/api/settings/ip-whitelist/status`` and ``/api/settings/ip-whitelist/toggle``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Collection, Iterable, Sequence
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
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN, NUMBER
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    canonical,
    counterpart,
    find_open,
    parse_network,
    read_network,
    uncovered,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Plan,
    Values,
    describe,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    ENDED,
    ENDS,
    Applied,
    Resource,
    Write,
    create_once,
    in_force,
    is_expired,
    is_gone,
    is_never,
    looks,
    parse_time,
    require_field,
    send,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import normalize

ENTRIES_PATH = "/api/settings/ip-whitelist"
STATUS_PATH = "/api/settings/ip-whitelist/status"
TOGGLE_PATH = "/api/settings/ip-whitelist/toggle"

# How a server that allows one entry per network refuses a second one.
REFUSALS_OF_A_SECOND_ENTRY = frozenset({400, 409, 422})

# What the API answers to a switch that it does not act on. A 403 is none of them: after a lost
# answer it may come from the allowlist that is on by now.
CERTAIN_REFUSALS = frozenset({400, 401, 404, 405, 409, 415, 422, 429})

LATE = datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Allowlist:
    """The allowlist as the API has it.

    :param entries: Those in force, as listed, with ``cidr`` in its canonical form.
    :param enabled: Whether it is enforced.
    :param applies_to: What it is enforced on.
    :param inactive: Those that are listed and not in force: disabled, expired or deleted.
    :param unsettled: Those of the inactive that may yet let clients in, such as pending ones.
    """

    entries: tuple[Values, ...]
    enabled: bool
    applies_to: list[str] | None
    inactive: tuple[Values, ...] = ()
    unsettled: tuple[Values, ...] = ()

    def outcome(self) -> Values:
        """Return it as modules do."""
        found = {
            "enabled": self.enabled,
            "applies_to": self.applies_to,
            "entries": in_order(self.entries),
        }
        if self.inactive:
            found["inactive_entries"] = in_order(self.inactive)
        return found


@dataclass(frozen=True)
class EntryPlan:
    """What is to become of the entries.

    :param additions: Bodies of the entries to add.
    :param relabeled: Networks of the additions that are listed already, with another label.
    :param removals: Listed entries to remove.
    :param kept: Ids of the listed entries that the options ask for.
    """

    additions: list[Values]
    relabeled: set[str]
    removals: list[Values]
    kept: set[str]


# Reading.


def read_allowlist(client: Client, options: Values) -> Allowlist:
    """Read ``GET /api/settings/ip-whitelist`` and ``GET /api/settings/ip-whitelist/status``.

    :param options: Those of the task; after a write with ``removed`` and ``written_at``.
    :raises ApiError: if an answer has another shape, or the two contradict each other.
    """
    listed: list[Values] = []
    status: Values = {}
    count = 0
    for _look in looks(client):
        listed = read_listed(client)
        status = read_status(client)
        count = read_count(status)
        if count <= len(listed) + uncounted_removals(status, options):
            active = keep_active(client, listed)
            inactive = [entry for entry in listed if entry not in active]
            now = client.now()
            return Allowlist(
                tuple(active),
                read_enabled(status),
                read_applies_to(status),
                tuple(inactive),
                tuple(e for e in inactive if not is_gone(e, now) and not is_expired(e, now)),
            )
    raise ApiError(explain_count(len(listed), count, status.get("last_evaluated_at")))


def explain_count(listed: int, count: int, evaluated: t.Any) -> str:
    """Say that the status counts more entries than are listed.

    :param evaluated: When the API counted them, if it says so.
    """
    if is_never(evaluated):
        return (
            f"The API lists {listed} IP allowlist entries and counts {count} (entry_count): the "
            "list may be incomplete. Nothing was planned from it; ask the vendor how the list is "
            "paged."
        )
    return (
        f"The API lists {listed} IP allowlist entries and counts {count} (entry_count): the list "
        f"may be incomplete. The count may be as old as last_evaluated_at ({evaluated}). If "
        "entries were deleted since, run again once it is newer; otherwise ask the vendor how the "
        "list is paged."
    )


def uncounted_removals(status: Values, options: Values) -> int:
    """Return how many entries that the task removed the status may still count.

    An API may count from time to time: a count from before the last write is old.
    """
    evaluated = parse_time(status.get("last_evaluated_at"))
    if "written_at" not in options:
        return 0
    if evaluated is not None and evaluated > options["written_at"]:
        return 0
    return int(options["removed"])


def read_listed(client: Client) -> list[Values]:
    """Read all listed entries, each with an id and the canonical form of its network."""
    entries = client.get_list(ENTRIES_PATH, "read the IP allowlist")
    for entry in entries:
        require_field(entry, "id", "an IP allowlist entry")
        entry["cidr"] = canonical(require_field(entry, "cidr", "an IP allowlist entry"))
    return entries


def read_entries(client: Client) -> list[Values]:
    """Read the entries that are in force."""
    return keep_active(client, read_listed(client))


def keep_active(client: Client, listed: Iterable[Values]) -> list[Values]:
    """Return the listed entries that are in force.

    :raises ApiError: if it is not known of one.
    """
    return [entry for entry in listed if in_force(entry, client.now())]


def read_status(client: Client) -> Values:
    """Read ``GET /api/settings/ip-whitelist/status``."""
    return client.get(STATUS_PATH, "read whether the IP allowlist is enforced")


def read_enabled(status: Values) -> bool:
    """Return whether the allowlist is enforced.

    :raises ApiError: if the status does not say so by a boolean.
    """
    value = require_field(status, "enabled", "the IP allowlist's status")
    enabled: bool | None = BOOLEAN.read_or_none(value)
    if enabled is None:
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'enabled'; expected true or "
            "false. Whether the allowlist is enforced is not known."
        )
    return enabled


def read_count(status: Values) -> int:
    """Return how many entries the status counts; 0 if it counts none.

    :raises ApiError: if that is no number.
    """
    value = status.get("entry_count")
    if value is None:
        return 0
    count: int | None = NUMBER.read_or_none(value)
    if count is None or not 0 <= count < 10**9:
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'entry_count'; expected the "
            "number of entries. Whether the list is complete is not known."
        )
    return count


def read_applies_to(status: Values) -> list[str] | None:
    """Return what the allowlist is enforced on; a single text is a list of one.

    :raises ApiError: if that is no list of texts.
    """
    value = status.get("applies_to")
    if value is None:
        return None
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'applies_to'; expected a list "
            "of texts. What the allowlist is enforced on is not known."
        )
    return found


# Options.


def clean_label(label: t.Any) -> str:
    """Return a label as APIs store it: trimmed, composed (NFC); none is the empty label."""
    return "" if label is None else normalize(str(label))


def wanted_entries(options: Values) -> dict[str, str | None]:
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
    wanted_entries(options)
    uncovered(options.get("protected_addresses", []), [])
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


def plan_allowlist(current: Allowlist, options: Values) -> Plan:
    """Plan additions before removals, with enforcement switched off first and on last.

    :raises RefusedPlan: if an address that must keep access could lose it.
    """
    planned = plan_entries(current.entries, options, current.unsettled)
    for entry in planned.additions:
        twins = find_entries(current.unsettled, entry["cidr"], wanted_entries(options))
        if twins:
            raise RefusedPlan(
                f"{entry['cidr']} is listed and not in force ({twins[0]['id']}): activate or "
                "delete that entry in the product."
            )
    enabled = options.get("enabled", current.enabled)
    gone = {str(entry["id"]) for entry in planned.removals}
    entries = [entry for entry in current.entries if str(entry["id"]) not in gone]
    entries += planned.additions
    if not options.get("allow_lockout"):
        protected = options.get("protected_addresses", [])
        guard(current, enabled, entries, bool(planned.removals), protected)

    calls = [] if enabled or not current.enabled else [toggle_call(False)]
    # New labels come first: if the server refuses one and no other way is safe, the task ends
    # before it changed anything.
    for entry in sorted(planned.additions, key=lambda body: body["cidr"] not in planned.relabeled):
        calls.append(Write("POST", ENTRIES_PATH, entry, f"add {entry['cidr']} to the IP allowlist"))
    for entry in planned.removals:
        action = f"remove {entry['cidr']} from the IP allowlist"
        calls.append(Write("DELETE", entry_path(entry), None, action))
    if enabled and not current.enabled:
        calls.append(toggle_call(True))

    inactive = tuple(entry for entry in current.inactive if str(entry["id"]) not in gone)
    after = Allowlist(tuple(entries), enabled, current.applies_to, inactive)
    return Plan(
        managed(current),
        managed(after),
        tuple(calls),
        after.outcome(),
        describe("ip_whitelist", list_changes(planned, current.enabled, enabled)),
    )


def list_changes(planned: EntryPlan, before: bool, after: bool) -> list[str]:
    """List the changes of a plan for its message."""
    changes: list[str] = []
    for entry in planned.additions:
        if entry["cidr"] in planned.relabeled:
            changes.append(f"{entry['cidr']} labelled {entry.get('label')!r}")
        else:
            changes.append(f"added {entry['cidr']}")
    for entry in planned.removals:
        if entry["cidr"] not in planned.relabeled:
            changes.append(f"removed {entry['cidr']}")
    if after != before:
        changes.append(f"enforcement {on_off(before)} -> {on_off(after)}")
    return changes


def toggle_call(enabled: bool) -> Write:
    """Return the call that switches enforcement."""
    action = f"switch enforcement of the IP allowlist {on_off(enabled)}"
    return Write("POST", TOGGLE_PATH, {"enabled": enabled}, action, repeatable=True)


def plan_entries(
    entries: Sequence[Values], options: Values, unsettled: Sequence[Values] = ()
) -> EntryPlan:
    """Plan which entries to add and which to remove; no entry that the options ask for is removed.

    Entries are told apart by their ids, so a list that has one twice does no harm. Besides what the
    module accepts, ``forbid`` has networks that a baseline does not let stay open.

    :param entries: Those in force.
    :param unsettled: Others that may yet let clients in: they are removed like those in force, and
        are not what the options ask for.
    :raises ApiError: if a listed network that cannot be read might be a forbidden one.
    """
    wanted = wanted_entries(options)
    spellings = {*wanted, *map(counterpart, wanted)}
    if options["state"] == "absent":
        listed = [*entries, *unsettled]
        return EntryPlan([], set(), once_each(e for e in listed if e["cidr"] in spellings), set())
    additions: list[Values] = []
    relabeled: set[str] = set()
    kept: set[str] = set()
    named: set[str] = set()
    for cidr, label in wanted.items():
        listed = sorted(
            find_entries(entries, cidr, wanted),
            key=lambda entry: parse_time(entry.get("created_at")) or LATE,
        )
        named |= {str(entry["id"]) for entry in listed}
        fitting = [str(entry["id"]) for entry in listed if fits(entry, label)]
        kept |= set(fitting[:1])
        if not fitting:
            additions.append({"cidr": cidr} if label is None else {"cidr": cidr, "label": label})
        if listed and not fitting:
            relabeled |= {cidr, *(entry["cidr"] for entry in listed)}
    others = [entry for entry in entries if str(entry["id"]) not in named]
    others += [entry for entry in unsettled if entry["cidr"] not in spellings]
    if not options.get("purge"):
        others = find_forbidden(others, wanted, options.get("forbid", ()))
    gone = (named | {str(entry["id"]) for entry in others}) - kept
    removals = once_each(e for e in (*entries, *unsettled) if str(e["id"]) in gone)
    return EntryPlan(additions, relabeled, removals, kept)


def once_each(entries: Iterable[Values]) -> list[Values]:
    """Return the entries, each id once."""
    return list({str(entry["id"]): entry for entry in entries}.values())


def find_entries(entries: Iterable[Values], cidr: str, wanted: Collection[str]) -> list[Values]:
    """Find the entries of a network.

    Without any, those are found that spell an IPv4 network as IPv4-mapped or the other way round,
    as the API may have changed it; not if the options ask for that network as well.
    """
    other = counterpart(cidr)
    listed = [entry for entry in entries if entry["cidr"] in (cidr, other)]
    exact = [entry for entry in listed if entry["cidr"] == cidr]
    return exact if exact or other in wanted else listed


def fits(entry: Values, label: str | None) -> bool:
    """Whether an entry has a label (``None``: any)."""
    return label is None or clean_label(entry.get("label")) == label


def find_forbidden(
    entries: Sequence[Values], wanted: Collection[str], forbid: Collection[str]
) -> list[Values]:
    """Find the entries that let in all of a forbidden network, together with those that are wanted.

    :raises ApiError: if a listed network cannot be read, so it might be one of them.
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
    if not enabled or (current.enabled and not removes):
        return
    what = "Removing entries of the enforced IP allowlist"
    if not current.enabled:
        what = "Enforcing the IP allowlist"
    if not protected:
        raise RefusedPlan(
            f"{what} could lock everyone out. Set protected_addresses to the addresses that must "
            "keep access, or set allow_lockout: true."
        )
    cidrs = [entry["cidr"] for entry in entries]
    lost = uncovered(protected, cidrs)
    if not lost:
        return
    message = (
        f"{what} would lock out {', '.join(lost)}. Add entries that cover what "
        "protected_addresses names, or set allow_lockout: true."
    )
    inactive = [entry["cidr"] for entry in current.inactive]
    if len(uncovered(protected, [*cidrs, *inactive])) < len(lost):
        message += f" Entries not in force do not count: {', '.join(inactive)}."
    raise RefusedPlan(message)


def entry_path(entry: Values) -> str:
    """Return the path of one entry."""
    return f"{ENTRIES_PATH}/{quote(str(entry['id']), safe='')}"


def in_order(entries: Iterable[Values]) -> list[Values]:
    """Sort entries by address, so that the order of the API's list does not matter."""

    def position(entry: Values) -> tuple[int, int, int, str, str]:
        network = read_network(entry["cidr"])
        if network is None:
            return (0, 0, 0, entry["cidr"], "")
        return (
            network.version,
            int(network.network_address),
            network.prefixlen,
            str(entry.get("label") or ""),
            str(entry.get("created_at") or ""),
        )

    return sorted(entries, key=position)


def managed(allowlist: Allowlist) -> Values:
    """Return what the module manages, for the diff."""
    entries: list[Values] = []
    for entry in in_order(allowlist.entries):
        fields = ("cidr", "label")
        entries.append({name: entry[name] for name in fields if entry.get(name) is not None})
    return {"enabled": allowlist.enabled, "entries": entries}


def on_off(enabled: bool) -> str:
    """Name the state of enforcement."""
    return "on" if enabled else "off"


# Writing.


def apply_allowlist(client: Client, plan: Plan, current: Allowlist, options: Values) -> Applied:
    """Send the plan, so that protected addresses have access at each moment.

    :raises ApiError: if the API refuses a call.
    :raises RefusedPlan: if a label cannot be changed without taking access away for a moment.
    :raises NotApplied: if the API does not show what it accepted, or the key has no access once
        enforcement is on.
    """
    Writer(client, plan, current, options).write()
    removed = [call for call in plan.calls if call.method == "DELETE"]
    return Applied(find_by={"removed": len(removed), "written_at": client.now()})


class Writer:
    """Sends one plan.

    :ivar known: Ids of the entries that were in force before, or that were added.
    :ivar idle: Ids of the entries that were listed and not in force before.
    :ivar added: By network, the id of its new entry, where the API answered one.
    :ivar removed: Paths of the entries whose removal the API accepted.
    :ivar kept: Paths of entries that the plan removes and that must stay or are gone already.
    :ivar refused: Additions of networks of which the API refuses a second entry.
    """

    def __init__(self, client: Client, plan: Plan, current: Allowlist, options: Values) -> None:
        self.client = client
        self.plan = plan
        self.current = current
        self.options = options
        self.wanted = wanted_entries(options)
        self.known = {str(entry["id"]) for entry in current.entries}
        self.idle = {str(entry["id"]) for entry in current.inactive}
        self.added: dict[str, str] = {}
        self.additions = [call for call in plan.calls if call.path == ENTRIES_PATH]
        self.removals = [call for call in plan.calls if call.method == "DELETE"]
        self.removed: set[str] = set()
        self.kept: set[str] = set()
        self.refused: list[Write] = []

    def write(self) -> None:
        """Send the calls in the order of the plan; each proof comes before what depends on it."""
        switches = [call for call in self.plan.calls if call.path == TOGGLE_PATH]
        for call in switches:
            if not call.body["enabled"]:
                switch_off(self.client, call)
        for call in self.additions:
            self.add_or_defer(call)
        self.prove_additions()
        for call in self.refused:
            self.replace(call)
        for call in self.removals:
            if call.path not in self.kept:
                self.remove(call)
        for call in switches:
            if call.body["enabled"]:
                switch_on(self.client, call)

    def add_or_defer(self, call: Write) -> None:
        """Add an entry; if the API refuses a second entry of its network, note it for later.

        :raises RefusedPlan: if its label cannot be changed without taking access away.
        """
        try:
            self.add(call)
        except ApiError as refusal:
            cidr = call.body["cidr"]
            if refusal.status not in REFUSALS_OF_A_SECOND_ENTRY:
                raise
            if not self.removals_of(cidr):
                twins = find_entries(self.current.inactive, cidr, self.wanted)
                if twins:
                    refusal.message += (
                        f" {cidr} is listed and not in force ({twins[0]['id']}): activate or "
                        "delete that entry in the product."
                    )
                raise
            self.check_replacement(call, refusal)
            self.refused.append(call)

    def add(self, call: Write) -> None:
        """Add an entry, once; whether the API lists it is read later."""

        def find() -> list[Values]:
            listed = read_listed(self.client)
            new = self.find_new_idle(listed, call.body["cidr"])
            active = keep_active(self.client, listed)
            new += self.find(active, call.body["cidr"])
            return once_each(entry for entry in new if str(entry["id"]) not in self.known)

        created = create_once(self.client, call, find, needs_id=False)
        if "id" in created:
            self.known.add(str(created["id"]))
            self.added[call.body["cidr"]] = str(created["id"])

    def prove_additions(self) -> None:
        """Read the entries until all additions are listed, before anything is removed or enforced.

        Without additions they are read as well, as they may have changed since the plan was made.

        :raises NotApplied: if an addition is missing or has another label, or a protected address
            would lose access.
        """
        bodies = [call.body for call in self.additions if call not in self.refused]
        if not bodies and not self.takes_access():
            return
        entries: list[Values] = []
        for _look in looks(self.client):
            entries = read_entries(self.client)
            if all(self.find_added(entries, body) for body in bodies):
                break
        missing = [body for body in bodies if not self.find_added(entries, body)]
        self.explain_idle([body["cidr"] for body in missing])
        for body in bodies:
            added = self.find_added(entries, body)
            if not added:
                self.explain_missing(entries, body)
            # An API may change the listed entry instead of adding another.
            self.kept.update(map(entry_path, added))
        if self.takes_access():
            self.check_cover(entries)

    def find(self, entries: Iterable[Values], cidr: str) -> list[Values]:
        """Find the entries of a network, without those that stood for another one before."""
        old = find_entries(self.current.entries, cidr, self.wanted)
        others = self.paths_before() - set(map(entry_path, old))
        left = [entry for entry in entries if entry_path(entry) not in others]
        return find_entries(left, cidr, self.wanted)

    def takes_access(self) -> bool:
        """Whether a step of the plan may take access from an address that is protected."""
        if self.options.get("allow_lockout") or not self.plan.after["enabled"]:
            return False
        return bool(self.removals) or not self.plan.before["enabled"]

    def find_added(self, entries: Sequence[Values], body: Values) -> list[Values]:
        """Find the entries that show an addition: it was planned since no listed one fitted."""
        found = self.find(entries, body["cidr"])
        return [entry for entry in found if fits(entry, body.get("label"))]

    def find_new_idle(self, listed: Iterable[Values], cidr: str) -> list[Values]:
        """Find the entries of a network that are new on the list, and not in force."""
        before = self.idle | {str(entry["id"]) for entry in self.current.entries}
        new = [entry for entry in listed if str(entry["id"]) not in before]
        idle = [entry for entry in new if not in_force(entry, self.client.now())]
        return find_entries(idle, cidr, self.wanted)

    def explain_idle(self, cidrs: Sequence[str]) -> None:
        """Fail if the API lists new entries of some networks and does not put them in force.

        One entry of each network stays, so that it can be activated in the product. If there was
        one before, the new one is removed again, so that they do not add up.

        :raises NotApplied: with the entries.
        """
        listed = read_listed(self.client) if cidrs else []
        now = self.client.now()
        before = [entry for entry in self.current.inactive if not has_ended(entry, now)]
        texts: list[str] = []
        for cidr in cidrs:
            new = self.find_new_idle(listed, cidr)
            if not new:
                continue
            old = find_entries(before, cidr, self.wanted)
            kept = (old or new)[0]
            texts.append(f"{cidr} ({kept['id']})")
            for entry in new:
                mine = self.added.get(cidr, str(entry["id"])) == str(entry["id"])
                if entry is not kept and mine:
                    action = f"remove the second entry of {cidr} from the IP allowlist again"
                    send(self.client, Write("DELETE", entry_path(entry), None, action))
        if texts:
            raise NotApplied(
                "The API lists new entries without putting them in force. Activate in the "
                f"product: {', '.join(texts)}. Nothing else was removed from the IP allowlist or "
                "enforced."
            )

    def explain_missing(self, entries: Sequence[Values], body: Values) -> None:
        """Fail for an addition that is not listed as it was sent.

        If the new entry has another label and is listed next to the old one, it is removed again.

        :raises NotApplied: always.
        """
        cidr = body["cidr"]
        listed = {entry_path(entry): entry for entry in self.find(entries, cidr)}
        new = [entry for path, entry in listed.items() if path not in self.paths_before()]
        changed = [entry for entry in listed.values() if self.has_new_label(entry)]
        if not new and not changed:
            raise NotApplied(
                f"The API accepted {cidr}, but does not show it yet. Nothing was removed from the "
                "IP allowlist or enforced; run the task again."
            )
        text = explain_label(cidr, (new or changed)[0].get("label"), body.get("label"))
        if not self.paths_before().isdisjoint(listed):
            for entry in new:
                action = f"remove the second entry of {cidr} from the IP allowlist again"
                send(self.client, Write("DELETE", entry_path(entry), None, action))
        raise NotApplied(f"{text} Nothing else was removed from the IP allowlist or enforced.")

    def paths_before(self) -> set[str]:
        """Return the paths of the entries that were in force before."""
        return {entry_path(entry) for entry in self.current.entries}

    def has_new_label(self, entry: Values) -> bool:
        """Whether an entry was in force before with another label."""
        before = {str(old["id"]): clean_label(old.get("label")) for old in self.current.entries}
        label = clean_label(entry.get("label"))
        return before.get(str(entry["id"]), label) != label

    def check_cover(self, entries: Sequence[Values]) -> None:
        """Check that what will stay covers what is protected, as the list may have changed.

        :raises NotApplied: if it does not.
        """
        deferred = set().union(*map(self.paths_of, self.refused))
        gone = {call.path for call in self.removals} - self.kept - deferred
        staying = [entry["cidr"] for entry in entries if entry_path(entry) not in gone]
        lost = uncovered(self.options.get("protected_addresses", []), staying)
        if lost:
            raise NotApplied(
                f"The IP allowlist does not cover {', '.join(lost)} as planned, since it changed "
                "meanwhile. Nothing was removed or enforced; run the task again."
            )

    def removals_of(self, cidr: str) -> list[Write]:
        """Return the calls that remove the old entries of a network."""
        old = find_entries(self.current.entries, cidr, self.wanted)
        paths = [entry_path(entry) for entry in old]
        return [call for call in self.removals if call.path in paths]

    def paths_of(self, call: Write) -> list[str]:
        """Return the paths of the old entries of an addition's network."""
        return [removal.path for removal in self.removals_of(call.body["cidr"])]

    def remove(self, call: Write) -> None:
        """Remove an entry. An API that answers 404 may have removed it before."""
        try:
            send(self.client, call)
        except ApiError as error:
            if error.status != 404 or not self.is_gone(call.path):
                raise
        self.removed.add(call.path)

    def is_gone(self, path: str) -> bool:
        """Read until an entry is not in force any more."""
        return any(
            path not in map(entry_path, read_entries(self.client)) for _look in looks(self.client)
        )

    def check_replacement(self, call: Write, refusal: ApiError) -> None:
        """Allow an entry to be removed and added again, if a second one is refused.

        :raises RefusedPlan: if the moment between would take access from a protected address.
        """
        enforced = self.plan.before["enabled"] and self.plan.after["enabled"]
        if self.options.get("allow_lockout") or not enforced:
            return
        cidr = call.body["cidr"]
        others = [entry["cidr"] for entry in self.plan.after["entries"] if entry["cidr"] != cidr]
        lost = uncovered(self.options.get("protected_addresses", []), others)
        if lost:
            raise RefusedPlan(
                f"The label of {cidr} cannot be changed: the API refuses a second entry of the "
                f"network ({refusal.code or refusal.status}), and without its entry "
                f"{', '.join(lost)} would be locked out for a moment. Switch enforcement off, "
                "cover them by another entry, or set allow_lockout: true.",
                **refusal.details,
            )

    def replace(self, call: Write) -> None:
        """Remove the entries of a network and add the new one; if that fails, restore an old one.

        :raises NotApplied: if the API accepts the new entry and does not list it.
        """
        cidr, label = call.body["cidr"], call.body.get("label")
        old = find_entries(self.current.entries, cidr, self.wanted)[0]
        try:
            for removal in self.removals_of(cidr):
                self.remove(removal)
            self.add_patiently(call)
            entry = self.await_replacement(cidr, label)
        except PlanasonixError as error:
            self.restore(cidr, old, error)
            raise
        if not fits(entry, label):
            raise NotApplied(
                f"{explain_label(cidr, entry.get('label'), label)} "
                "Enforcement of the IP allowlist was not changed."
            )
        self.kept.update(self.paths_of(call))

    def add_patiently(self, call: Write) -> None:
        """Add an entry whose network was just removed; the API may refuse it for a while.

        :raises ApiError: if it still does.
        """
        refusal: ApiError | None = None
        for _look in looks(self.client):
            try:
                self.add(call)
                return
            except ApiError as error:
                if error.status not in REFUSALS_OF_A_SECOND_ENTRY:
                    raise
                refusal = error
        if refusal is not None:
            raise refusal

    def await_replacement(self, cidr: str, label: str | None) -> Values:
        """Read until an entry stands in place of those that were removed.

        :raises NotApplied: if there is none.
        """
        for _look in looks(self.client):
            for entry in self.find(read_entries(self.client), cidr):
                # A removed entry may still be listed, or come back with the new label.
                if entry_path(entry) not in self.removed or fits(entry, label):
                    return entry
        self.explain_idle([cidr])
        raise NotApplied(
            f"The API accepted {cidr} with its new label, but does not show it yet. "
            "Enforcement of the IP allowlist was not changed; run the task again."
        )

    def restore(self, cidr: str, old: Values, reason: PlanasonixError) -> None:
        """Add the old entry of a network again, unless the network is listed.

        :raises NotApplied: if that fails, too.
        """
        before = self.paths_before()
        found: list[Values] = []
        for _look in looks(self.client):
            try:
                listed = read_listed(self.client)
                active = keep_active(self.client, listed)
                found = self.find(active, cidr) or self.find_new_idle(listed, cidr)
            except ApiError:
                found = []  # an API that refuses second entries will say so
            # The list may show an entry for a while that is gone.
            if not found or any(entry_path(entry) not in before for entry in found):
                break
        if found:
            return
        body = {name: old[name] for name in ("cidr", "label") if old.get(name) is not None}
        action = f"add {cidr} to the IP allowlist again"
        try:
            self.add_patiently(Write("POST", ENTRIES_PATH, body, action))
        except PlanasonixError as error:
            raise NotApplied(
                f"{cidr} may be out of force: its entry was removed to change the label, and "
                f"then this failed: {reason.message} {error.message} Add the entry in the product.",
                **reason.details,
            ) from None


def has_ended(entry: Values, now: datetime.datetime) -> bool:
    """Return whether an entry that is not in force cannot be activated: it is past its end."""
    ends = [name for name in ENDS if not is_never(entry.get(name))]
    words = {str(entry.get(name)).lower() for name in ("state", "status")}
    return bool(ends or words & ENDED) or is_expired(entry, now)


def explain_label(cidr: str, stored: t.Any, label: t.Any) -> str:
    """Say that the API changed a label."""
    return (
        f"The API stores the label {label!r} of {cidr} as {stored!r}. "
        "Write it in that way in the task."
    )


def switch_off(client: Client, call: Write) -> None:
    """Switch enforcement off, and wait until it is, before anything is removed.

    :raises NotApplied: if it is still on.
    """
    send(client, call)
    if not await_enforcement(client, False):
        raise NotApplied(
            "The API accepted that enforcement of the IP allowlist be switched off, but shows it "
            "as still on. Nothing else was changed; run the task again."
        )


def await_enforcement(client: Client, enabled: bool) -> bool:
    """Read the status until it shows enforcement as on or off; each answer proves access.

    :raises ApiError: if the status cannot be read.
    """
    return any(read_enabled(read_status(client)) is enabled for _look in looks(client))


def switch_on(client: Client, call: Write) -> None:
    """Switch enforcement on and prove that the key still has access while it is on.

    :raises NotApplied: if the key has none, with what could be done about it, or if enforcement
        is not on in time.
    """
    failure: ApiError | None = None
    try:
        send(client, call)
    except ApiError as error:
        failure = error
    try:
        enabled = read_enabled(read_status(client))
        if not enabled and (failure is None or not failure.did_nothing):
            enabled = await_enforcement(client, True)
    except ApiError as error:
        if failure is not None and failure.status in CERTAIN_REFUSALS:
            raise failure from None
        raise_after_switch_off(client, error)
    if enabled:
        return
    if failure is not None:
        raise failure
    raise NotApplied(
        "The API accepted that enforcement of the IP allowlist be switched on, but shows it as "
        "still off, so access could not be proved. Run the task again."
    )


def raise_after_switch_off(client: Client, reason: ApiError) -> t.NoReturn:
    """Switch enforcement off again, as far as the key can, and fail.

    :raises NotApplied: always; it says whether enforcement is off again.
    """
    end = (
        "Enforcement is STILL ON, and only an administrator at a listed address, or Planasonix "
        "support, can switch it off."
    )
    if is_off_again(client):
        end = (
            "Enforcement is now off again; correct entries and protected_addresses before you "
            "switch it on."
        )
    what = "it could not be proved that this key has access"
    if reason.status in (None, 401, 403):
        what = "this key had no access"
    raise NotApplied(
        f"Once enforcement of the IP allowlist was switched on, {what} ({reason.message}). {end}",
        **reason.details,
    )


def is_off_again(client: Client) -> bool:
    """Switch enforcement off, and read until it is; the key may have no access until then."""
    action = "switch enforcement of the IP allowlist off again"
    try:
        client.send("POST", TOGGLE_PATH, {"enabled": False}, action=action, repeatable=True)
    except ApiError as error:
        if error.did_nothing:
            return False
    for _look in looks(client):
        try:
            if not read_enabled(read_status(client)):
                return True
        except ApiError:
            continue
    return False


def verify_allowlist(current: Allowlist, plan: Plan, options: Values) -> list[str]:
    """List what a plan wanted and the API does not show.

    A double entry, made by another run at the same time, is left to the next run.
    """
    planned = plan_entries(current.entries, options)
    gone = {call.path for call in plan.calls if call.method == "DELETE"}
    texts: list[str] = []
    for entry in planned.additions:
        label = f" with the label {entry['label']!r}" if "label" in entry else ""
        texts.append(f"{entry['cidr']} is not listed{label}")
    for entry in (*current.entries, *current.unsettled):
        if entry_path(entry) in gone and str(entry["id"]) not in planned.kept:
            texts.append(f"{entry['cidr']} is still listed")
    if current.enabled != plan.after["enabled"]:
        texts.append(f"enforcement is still {on_off(current.enabled)}")
    return texts


def show_allowlist(current: Allowlist, dummy_options: Values) -> Values:
    """Return the allowlist as modules do."""
    return current.outcome()


ALLOWLIST = Resource(
    "ip_whitelist",
    read_allowlist,
    plan_allowlist,
    show_allowlist,
    verify_allowlist,
    apply_allowlist,
    check_allowlist,
)
