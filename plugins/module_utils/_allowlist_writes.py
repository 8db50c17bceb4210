# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the IP allowlist, and write it so that protected addresses keep access at each moment.

Endpoints: ``/api/settings/ip-whitelist``, ``/api/settings/ip-whitelist/{id}``,
``/api/settings/ip-whitelist/status`` and ``/api/settings/ip-whitelist/toggle``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import (
    Allowlist,
    check_allowlist,
    check_lockout,
    clean_label,
    create_entry,
    delete_entry,
    drop_entries,
    drop_repeats,
    explain_double,
    find_entries,
    find_lost,
    get_id,
    get_ids,
    has_label,
    parse_entries,
    plan_allowlist,
    select_changes,
    select_fields,
    switch_enforcement,
    takes_access,
    verify_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    NotApplied,
    PlanasonixError,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN, NUMBER
from ansible_collections.planasonix.admin.plugins.module_utils._networks import canonical
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Change, Plan, Values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    create_once,
    looks,
    require_field,
    send,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    ENDED,
    ENDS,
    is_expired,
    is_gone,
    is_in_force,
    is_never,
    parse_time,
)

ENTRIES_PATH = "/api/settings/ip-whitelist"
STATUS_PATH = "/api/settings/ip-whitelist/status"


def read_allowlist(client: Client, options: Values) -> Allowlist:
    """Read the entries and the status.

    :param options: Options of the task; after a write also ``removed`` and ``written_at``.
    :raises ApiError: if an answer has another shape, or the two contradict each other.
    """
    listed: list[Values] = []
    status: Values = {}
    for _look in looks(client):
        listed = read_listed(client)
        status = read_status(client)
        if read_count(status) <= len(listed) + count_removals(status, options):
            return build_allowlist(listed, status, client.now())
    raise ApiError(explain_count(len(listed), status))


def build_allowlist(listed: list[Values], status: Values, now: datetime.datetime) -> Allowlist:
    """Return the allowlist that a list and a status show.

    :raises ApiError: if one of them does not have its documented shape.
    """
    active = keep_active(listed, now)
    inactive = [entry for entry in listed if entry not in active]
    settled = [entry for entry in inactive if is_gone(entry, now) or is_expired(entry, now)]
    return Allowlist(
        tuple(active),
        read_enabled(status),
        read_applies_to(status),
        tuple(inactive),
        tuple(entry for entry in inactive if entry not in settled),
    )


def explain_count(listed: int, status: Values) -> str:
    """Say that the status counts more entries than are listed."""
    count, evaluated = read_count(status), status.get("last_evaluated_at")
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


def count_removals(status: Values, options: Values) -> int:
    """Return the number of deleted entries that the status may still count.

    An API may count from time to time: a count from before the last write is old.
    """
    written = options.get("written_at")
    evaluated = parse_time(status.get("last_evaluated_at"))
    if written is None or (evaluated is not None and evaluated > written):
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
    return keep_active(read_listed(client), client.now())


def keep_active(listed: Iterable[Values], now: datetime.datetime) -> list[Values]:
    """Return the listed entries that are in force.

    :raises ApiError: if an entry has an unknown state or time.
    """
    return [entry for entry in listed if is_in_force(entry, now)]


def has_ended(entry: Values, now: datetime.datetime) -> bool:
    """Whether an entry that is not in force cannot be activated: it is past its end."""
    ends = [name for name in ENDS if not is_never(entry.get(name))]
    words = {str(entry.get(name)).lower() for name in ("state", "status")}
    return bool(ends or words & ENDED) or is_expired(entry, now)


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


REFUSALS_OF_A_SECOND_ENTRY = frozenset({400, 409, 422})
"""How a server that allows one entry per network refuses a second one."""
CERTAIN_REFUSALS = frozenset({400, 401, 404, 405, 409, 415, 422, 429})
"""Answers that prove that a switch had no effect.

A 403 does not: after a lost answer it may come from the allowlist that is enforced by now.
"""


def request_allowlist(change: Change, dummy_options: Values) -> Write:
    """Return the request of a change."""
    if change.action == "create":
        return Write("POST", ENTRIES_PATH, change.after, change.text)
    if change.action == "delete":
        path = f"{ENTRIES_PATH}/{quote(get_id(change.before), safe='')}"
        return Write("DELETE", path, action=change.text)
    path = "/api/settings/ip-whitelist/toggle"
    return Write("POST", path, change.after, change.text, repeatable=True)


def send_change(client: Client, change: Change) -> None:
    """Send the request of a change."""
    send(client, request_allowlist(change, {}))


def apply_allowlist(client: Client, plan: Plan, current: Allowlist, options: Values) -> Applied:
    """Send a plan so that protected addresses have access at each moment.

    :raises ApiError: if the API refuses a change.
    :raises RefusedPlan: if a label cannot be changed without taking access away for a moment.
    :raises NotApplied: if the API does not show what it accepted, or the key has no access once
        enforcement is on.
    """
    Writer(client, plan, current, options).write()
    removed = len(select_changes(plan, "delete"))
    return Applied(find_by={"removed": removed, "written_at": client.now()})


class Writer:
    """Sends the changes of one plan.

    :ivar is_guarded: Whether the plan may take access from a protected address.
    :ivar before: IDs of the entries that were in force before the plan.
    :ivar known: IDs of these entries and of the added ones.
    :ivar added: Network to the ID of its new entry, if the API answered one.
    :ivar removed: IDs of the entries whose removal the API accepted.
    :ivar kept: IDs of entries that the plan deletes and the last step keeps: the API changed them
        instead of adding others, or they are replaced before.
    :ivar refused: Additions of networks for which the API refuses a second entry.
    """

    def __init__(self, client: Client, plan: Plan, current: Allowlist, options: Values) -> None:
        self.client = client
        self.plan = plan
        self.current = current
        self.options = options
        self.wanted = parse_entries(options)
        self.is_guarded = takes_access(plan, options)
        self.additions = select_changes(plan, "create")
        self.removals = select_changes(plan, "delete")
        self.before = get_ids(current.entries)
        self.known = set(self.before)
        self.added: dict[str, str] = {}
        self.removed: set[str] = set()
        self.kept: set[str] = set()
        self.refused: list[Change] = []

    def write(self) -> None:
        """Send the changes in the order of the plan, each proof before the steps that need it."""
        for change in select_changes(self.plan, "disable"):
            switch_off(self.client, change)
        for change in self.additions:
            self.add_or_defer(change)
        self.prove_additions()
        for change in self.refused:
            self.replace_entries(change)
        for change in self.removals:
            if get_id(change.before) not in self.kept:
                self.remove(change)
        for change in select_changes(self.plan, "enable"):
            switch_on(self.client, change)

    # Finding.

    def find(self, entries: Iterable[Values], cidr: str, label: str | None = None) -> list[Values]:
        """Find the entries of a network that have a label (``None``: any).

        Entries that stood for another network before the plan do not count.
        """
        others = self.before - get_ids(find_entries(self.current.entries, cidr, self.wanted))
        found = find_entries(drop_entries(entries, others), cidr, self.wanted)
        return [entry for entry in found if has_label(entry, label)]

    def find_added(self, entries: Iterable[Values], entry: Values) -> list[Values]:
        """Find the entries that show an addition. No entry fitted when it was planned."""
        return self.find(entries, entry["cidr"], entry.get("label"))

    def find_new_idle(self, listed: Iterable[Values], cidr: str) -> list[Values]:
        """Find the entries of a network that are new on the list and not in force."""
        new = drop_entries(listed, self.before | get_ids(self.current.inactive))
        idle = [entry for entry in new if not is_in_force(entry, self.client.now())]
        return find_entries(idle, cidr, self.wanted)

    def find_removals(self, cidr: str) -> list[Change]:
        """Find the changes that delete the old entries of a network."""
        old = get_ids(find_entries(self.current.entries, cidr, self.wanted))
        return [change for change in self.removals if get_id(change.before) in old]

    # Adding.

    def add_or_defer(self, change: Change) -> None:
        """Add an entry. If the API refuses a second entry of its network, note it for later.

        :raises RefusedPlan: if its label cannot be changed without taking access away.
        """
        refusal = self.add(change)
        if refusal is None:
            return
        cidr = change.after["cidr"]
        removals = self.find_removals(cidr)
        if removals:
            self.check_replacement(cidr, refusal)
            self.refused.append(change)
            self.kept |= get_ids(removal.before for removal in removals)
            return
        doubles = find_entries(self.current.inactive, cidr, self.wanted)
        if doubles:
            refusal.message += f" {explain_double(cidr, doubles[0])}"
        raise refusal

    def add(self, change: Change) -> ApiError | None:
        """Add an entry once; whether the API lists it is read later.

        :returns: The refusal of an API that may allow one entry per network only.
        """
        cidr = change.after["cidr"]

        def find() -> list[Values]:
            listed = read_listed(self.client)
            active = keep_active(listed, self.client.now())
            new = [*self.find_new_idle(listed, cidr), *self.find(active, cidr)]
            return drop_repeats(drop_entries(new, self.known))

        request = request_allowlist(change, self.options)
        try:
            created = create_once(self.client, request, find, needs_id=False)
        except ApiError as refusal:
            if refusal.status not in REFUSALS_OF_A_SECOND_ENTRY:
                raise
            return refusal
        if "id" in created:
            self.known.add(get_id(created))
            self.added[cidr] = get_id(created)
        return None

    def prove_additions(self) -> None:
        """Read the entries until all additions are listed, before anything is removed or enforced.

        A plan without additions needs this, too: the list may have changed since it was read.

        :raises NotApplied: if an addition is missing or has another label, or a protected address
            would lose access.
        """
        expected = [change.after for change in self.additions if change not in self.refused]
        if not expected and not self.is_guarded:
            return
        entries: list[Values] = []
        missing: list[Values] = []
        for _look in looks(self.client):
            entries = read_entries(self.client)
            missing = [entry for entry in expected if not self.find_added(entries, entry)]
            if not missing:
                break
        if missing:
            self.explain_idle([entry["cidr"] for entry in missing])
            self.explain_missing(entries, missing[0])
        for entry in expected:
            # An API may change the listed entry instead of adding another.
            self.kept |= get_ids(self.find_added(entries, entry))
        if self.is_guarded:
            self.check_cover(entries)

    def explain_idle(self, cidrs: Sequence[str]) -> None:
        """Fail if the API lists new entries of some networks and does not put them in force.

        One entry of each network stays, so that it can be activated in the product. If the network
        had an entry before, the new one is removed again, so that they do not add up.

        :raises NotApplied: with the entries.
        """
        listed = read_listed(self.client)
        now = self.client.now()
        before = [entry for entry in self.current.inactive if not has_ended(entry, now)]
        texts: list[str] = []
        for cidr in cidrs:
            new = self.find_new_idle(listed, cidr)
            if not new:
                continue
            kept = [*find_entries(before, cidr, self.wanted), *new][0]
            texts.append(f"{cidr} ({kept['id']})")
            for entry in new:
                mine = self.added.get(cidr, get_id(entry)) == get_id(entry)
                if entry is not kept and mine:
                    self.remove_second(entry, cidr)
        if texts:
            raise NotApplied(
                "The API lists new entries without putting them in force. Activate in the "
                f"product: {', '.join(texts)}. Nothing else was removed from the IP allowlist or "
                "enforced."
            )

    def explain_missing(self, entries: Iterable[Values], entry: Values) -> t.NoReturn:
        """Fail for an addition that is not listed as it was sent.

        A new entry with another label that is listed next to the old one is removed again.

        :raises NotApplied: always.
        """
        cidr = entry["cidr"]
        labels = {get_id(old): clean_label(old.get("label")) for old in self.current.entries}
        found = drop_repeats(self.find(entries, cidr))
        new = drop_entries(found, labels)
        changed = [one for one in found if not has_label(one, labels.get(get_id(one)))]
        if not new and not changed:
            raise NotApplied(
                f"The API accepted {cidr}, but does not show it yet. Nothing was removed from the "
                "IP allowlist or enforced; run the task again."
            )
        if len(new) < len(found):
            for one in new:
                self.remove_second(one, cidr)
        text = explain_label(cidr, (new or changed)[0].get("label"), entry.get("label"))
        raise NotApplied(f"{text} Nothing else was removed from the IP allowlist or enforced.")

    def remove_second(self, entry: Values, cidr: str) -> None:
        """Remove an entry again that was added next to another one of its network."""
        text = f"remove the second entry of {cidr} from the IP allowlist again"
        send_change(self.client, replace(delete_entry(entry), text=text))

    def check_cover(self, entries: Iterable[Values]) -> None:
        """Check that the entries that stay cover the protected addresses.

        :raises NotApplied: if it does not.
        """
        gone = get_ids(change.before for change in self.removals) - self.kept
        lost = find_lost(drop_entries(entries, gone), self.options)
        if lost:
            raise NotApplied(
                f"The IP allowlist does not cover {', '.join(lost)} as planned, since it changed "
                "meanwhile. Nothing was removed or enforced; run the task again."
            )

    # Removing.

    def remove(self, change: Change) -> None:
        """Remove an entry. After a 404, it may be gone already."""
        try:
            send_change(self.client, change)
        except ApiError as error:
            if error.status != 404 or not self.await_removal(change.before):
                raise
        self.removed.add(get_id(change.before))

    def await_removal(self, entry: Values) -> bool:
        """Read until an entry is no longer in force."""
        return any(
            get_id(entry) not in get_ids(read_entries(self.client)) for _look in looks(self.client)
        )

    # Replacing, where the API refuses a second entry of a network.

    def check_replacement(self, cidr: str, refusal: ApiError) -> None:
        """Refuse to remove the entry of a network and add it again if a moment without is not safe.

        :raises RefusedPlan: with the protected addresses that would lose access.
        """
        enforced = self.plan.before["enabled"] and self.plan.after["enabled"]
        if self.options.get("allow_lockout") or not enforced:
            return
        others = [entry for entry in self.plan.after["entries"] if entry["cidr"] != cidr]
        lost = find_lost(others, self.options)
        if lost:
            raise RefusedPlan(
                f"The label of {cidr} cannot be changed: the API refuses a second entry of the "
                f"network ({refusal.code or refusal.status}), and without its entry "
                f"{', '.join(lost)} would be locked out for a moment. Switch enforcement off, "
                "cover them by another entry, or set allow_lockout: true.",
                **refusal.details,
            )

    def replace_entries(self, change: Change) -> None:
        """Remove the entries of a network and add the new one. If that fails, restore an old one.

        :raises NotApplied: if the API accepts the new entry and does not list it.
        """
        cidr, label = change.after["cidr"], change.after.get("label")
        old = find_entries(self.current.entries, cidr, self.wanted)[0]
        try:
            for removal in self.find_removals(cidr):
                self.remove(removal)
            self.add_patiently(change)
            entry = self.await_replacement(cidr, label)
        except PlanasonixError as error:
            self.restore(cidr, old, error)
            raise
        if not has_label(entry, label):
            raise NotApplied(
                f"{explain_label(cidr, entry.get('label'), label)} "
                "Enforcement of the IP allowlist was not changed."
            )

    def add_patiently(self, change: Change) -> None:
        """Add an entry whose network was just removed. The API may refuse it for a while.

        :raises ApiError: if it still does.
        """
        refusal: ApiError | None = None
        for _look in looks(self.client):
            refusal = self.add(change)
            if refusal is None:
                return
        if refusal is not None:
            raise refusal

    def await_replacement(self, cidr: str, label: str | None) -> Values:
        """Read until a new entry has replaced the removed ones.

        :raises NotApplied: if none does.
        """
        for _look in looks(self.client):
            for entry in self.find(read_entries(self.client), cidr):
                # A removed entry may still be listed, or come back with the new label.
                if get_id(entry) not in self.removed or has_label(entry, label):
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
        found: list[Values] = []
        for _look in looks(self.client):
            try:
                listed = read_listed(self.client)
                active = keep_active(listed, self.client.now())
                found = self.find(active, cidr) or self.find_new_idle(listed, cidr)
            except ApiError:
                found = []  # an API that refuses second entries will say so
            # For a while, the list may show an entry that is gone.
            if not found or drop_entries(found, self.before):
                break
        if found:
            return
        text = f"add {cidr} to the IP allowlist again"
        try:
            self.add_patiently(replace(create_entry(select_fields(old)), text=text))
        except PlanasonixError as error:
            raise NotApplied(
                f"{cidr} may be out of force: its entry was removed to change the label, and "
                f"then this failed: {reason.message} {error.message} Add the entry in the product.",
                **reason.details,
            ) from None


def explain_label(cidr: str, stored: t.Any, label: t.Any) -> str:
    """Say that the API changed a label."""
    return (
        f"The API stores the label {label!r} of {cidr} as {stored!r}. "
        "Write it in that way in the task."
    )


def switch_off(client: Client, change: Change) -> None:
    """Switch enforcement off, and wait until it is off, before anything is removed.

    :raises NotApplied: if it is still on.
    """
    send_change(client, change)
    if not await_enforcement(client, False):
        raise NotApplied(
            "The API accepted that enforcement of the IP allowlist be switched off, but shows it "
            "as still on. Nothing else was changed; run the task again."
        )


def await_enforcement(client: Client, enabled: bool) -> bool:
    """Read the status until it shows enforcement as on or off. Each answer proves access.

    :raises ApiError: if the status cannot be read.
    """
    return any(read_enabled(read_status(client)) is enabled for _look in looks(client))


def switch_on(client: Client, change: Change) -> None:
    """Switch enforcement on and prove that the key still has access while it is on.

    :raises NotApplied: if the key has no access, or if enforcement is not on in time.
    """
    failure: ApiError | None = None
    try:
        send_change(client, change)
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

    :raises NotApplied: always. The message says whether enforcement is off again.
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
    """Switch enforcement off, and read until it is off. Until then the key may have no access."""
    change = switch_enforcement(False)
    try:
        send_change(client, replace(change, text=f"{change.text} again"))
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


ALLOWLIST = Resource(
    "ip_whitelist",
    read_allowlist,
    plan_allowlist,
    lambda current, dummy_options: current.to_result(),
    verify_allowlist,
    apply=apply_allowlist,
    check=check_allowlist,
    guard=check_lockout,
    request=request_allowlist,
)
