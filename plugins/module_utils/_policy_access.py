# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policies of access: controls of the IP allowlist and, audited only, of API keys.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils import _keys
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import (
    Allowlist,
    on_off,
    parse_entries,
    plan_entries,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import ALLOWLIST
from ansible_collections.planasonix.admin.plugins.module_utils._bounds import make_conflict
from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    conform,
    conform_list,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import MOST_DAYS, FieldTable
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    canonical,
    find_open,
    parse_network,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Draft,
    Organization,
    Step,
    plan_greedily,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import is_expired, is_gone

ALLOWLIST_REQUIRE: FieldTable = {
    "enabled": {"type": "bool"},
    "entries": {"type": "list"},
    "purge": {"type": "bool"},
    "forbid": {"type": "list"},
}
ENTRY_FIELDS: FieldTable = {"cidr": {"type": "str", "required": True}, "label": {"type": "str"}}


def parse_allowlist(require: t.Any, where: str) -> tuple[Values, dict[t.Any, t.Any]]:
    """Return what a control requires of the allowlist.

    :raises InvalidOption: if it cannot be understood.
    """
    parsed = conform_list(require, ALLOWLIST_REQUIRE, "entries", ENTRY_FIELDS, where)
    parse_entries(parsed)
    for cidr in parsed.get("forbid", []):
        parse_network(str(cidr), f"{where}: forbid")
    return parsed, {}


def evaluate_allowlist(control: Control, organization: Organization) -> tuple[t.Any, list[str]]:
    """Return the entries in force, and what of the allowlist is not as required.

    :raises ApiError: if a listed network cannot be read, so it might be a forbidden one.
    """
    allowlist: Allowlist = organization.values["ip_whitelist"]
    required = {"state": "present", **control.require}
    planned = plan_entries(allowlist.entries, required, allowlist.unsettled)
    inactive = {entry["cidr"] for entry in allowlist.inactive}
    texts: list[str] = []
    for entry in planned.additions:
        cidr = entry["cidr"]
        if cidr in planned.relabeled:
            texts.append(f"{cidr} has another label")
        elif cidr in inactive:
            texts.append(f"{cidr} is listed, but not in force")
        else:
            texts.append(f"{cidr} is not listed")
    for entry in planned.removals:
        if entry["cidr"] not in planned.relabeled:
            texts.append(f"{entry['cidr']} is listed, which is not allowed")
    if control.require.get("enabled", allowlist.enabled) != allowlist.enabled:
        texts.append(f"enforcement is {on_off(allowlist.enabled)}")
    outcome = allowlist.to_result()
    entries = [{"cidr": entry["cidr"], "label": entry.get("label")} for entry in outcome["entries"]]
    return {"enabled": outcome["enabled"], "entries": entries}, texts


def plan_allowlist(draft: Draft, controls: Sequence[Control]) -> None:
    """Plan the allowlist. What the guard refuses is left out, and the rest is done.

    Controls that only add are tried first, and those that remove last.
    """
    failing = [control for control in controls if draft.fails(control)]
    state = draft.organization.values["ip_whitelist"]
    protection: Values = {}
    for name in ("protected_addresses", "allow_lockout"):
        if name in draft.options:
            protection[name] = draft.options[name]
    chosen = [control for control in controls if control not in failing]
    steps: list[Step] = []

    def try_to_plan(control: Control) -> None:
        options = merge_allowlist([*chosen, control]) | protection
        plan = ALLOWLIST.make_plan(state, options)
        chosen.append(control)
        ids = tuple(one.id for one in failing if one in chosen)
        steps[:] = [Step(ids, ALLOWLIST, state, options, plan, ("ip_whitelist",))]

    for control_id, reason in plan_greedily(sorted(failing, key=rank), try_to_plan).items():
        draft.verdicts[control_id].leave(reason)
    draft.steps += steps


def rank(control: Control) -> tuple[bool, bool]:
    """Return a key that sorts controls by how much they may close."""
    require = control.require
    return bool(require.get("purge") or require.get("forbid")), bool(require.get("enabled"))


def merge_allowlist(controls: Iterable[Control]) -> Values:
    """Merge what several controls of the allowlist require, as the options of its resource.

    :raises InvalidOption: if two cannot both be met.
    """
    controls = tuple(controls)
    options: Values = {"state": "present", "entries": [], "forbid": []}
    required_by: dict[str, str] = {}
    forbidden_by: dict[str, str] = {}
    enabled_by = ""
    for control in controls:
        require = control.require
        required_by |= dict.fromkeys(parse_entries(require), control.id)
        if "enabled" in require:
            if options.setdefault("enabled", require["enabled"]) != require["enabled"]:
                reason = "one requires it on and the other off"
                raise make_conflict(enabled_by, control.id, ("enabled",), reason)
            enabled_by = control.id
        options["entries"] += require.get("entries", [])
        options["forbid"] += require.get("forbid", [])
        for cidr in require.get("forbid", []):
            forbidden_by.setdefault(canonical(cidr), control.id)
        if require.get("purge"):
            options["purge"] = True
    check_labels(controls)
    check_forbidden(required_by, forbidden_by)
    check_purged(controls, required_by)
    return options


def check_labels(controls: Iterable[Control]) -> None:
    """Refuse two labels for one network.

    :raises InvalidOption: with the ids of two controls.
    """
    labels: dict[str, tuple[str, str]] = {}
    for control in controls:
        for cidr, label in parse_entries(control.require).items():
            if label is None:
                continue
            other, owner = labels.setdefault(cidr, (label, control.id))
            if other != label:
                reason = f"{cidr} has the label {other!r} in one and {label!r} in the other"
                raise make_conflict(owner, control.id, ("entries",), reason)


def check_purged(controls: Iterable[Control], required_by: Mapping[str, str]) -> None:
    """Refuse a required network that a control with ``purge`` does not list.

    :raises InvalidOption: with the ids of two controls.
    """
    purging = [control for control in controls if control.require.get("purge")]
    for cidr, owner in required_by.items():
        for control in purging:
            if cidr not in parse_entries(control.require):
                reason = (
                    f"one requires {cidr}, and the other that nothing but its own entries is listed"
                )
                raise make_conflict(control.id, owner, ("entries",), reason)


def check_forbidden(required_by: Mapping[str, str], forbidden_by: Mapping[str, str]) -> None:
    """Refuse required networks that let in all of a forbidden one, alone or together.

    :param required_by: The controls' ids by the network that they require.
    :param forbidden_by: The controls' ids by the network that they forbid.
    :raises InvalidOption: with the ids of two controls.
    """
    for forbidden, other in forbidden_by.items():
        found = find_open([forbidden], list(required_by))
        for cidr, owner in required_by.items():
            if cidr not in found:
                continue
            opens = "" if cidr == forbidden else f", which opens {forbidden}"
            reason = f"one requires {cidr}{opens}, and the other forbids it"
            raise make_conflict(owner, other, ("entries",), reason)


KEYS_REQUIRE: FieldTable = {
    "max_age_days": {"type": "int"},
    "must_expire": {"type": "bool"},
    "max_lifetime_days": {"type": "int"},
    "unused_days": {"type": "int"},
    "forbidden_scopes": {"type": "list"},
}


def parse_keys(require: t.Any, where: str) -> tuple[Values, dict[t.Any, t.Any]]:
    """Return what a control requires of API keys.

    :raises InvalidOption: if it cannot be understood, no time can be compared with its days, or a
        scope is no text, so that it would never match.
    """
    parsed = conform(require, KEYS_REQUIRE, where)
    for name in ("max_age_days", "max_lifetime_days", "unused_days"):
        days = parsed.get(name, 0)
        if not 0 <= days <= MOST_DAYS:
            raise InvalidOption(f"{where}: {name} must be 0 to {MOST_DAYS} days, not {days}.")
    for scope in parsed.get("forbidden_scopes", []):
        if not isinstance(scope, str):
            raise InvalidOption(f"{where}: forbidden_scopes takes texts, not {as_text(scope)}.")
    return parsed, {}


def evaluate_keys(control: Control, organization: Organization) -> tuple[t.Any, list[str]]:
    """List the API keys that offend, by name and ID, each with what is wrong with it.

    A key that is listed but expired, revoked or switched off does not count.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    now = organization.now
    offenders, texts = [], []
    for key in organization.values["api_keys"]:
        if is_gone(key, now) or is_expired(key, now):
            continue
        reasons = find_offences(key, control.require, now)
        if reasons:
            offenders.append({"name": key["name"], "id": key["id"], "reasons": reasons})
            texts.append(f"{key['name']!r} ({key['id']}) {', '.join(reasons)}")
    return offenders, texts


def find_offences(key: Values, require: Values, now: datetime.datetime) -> list[str]:
    """Return what is wrong with one key.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    reasons = []
    created = None
    if {"max_age_days", "unused_days"} & require.keys():
        created = _keys.read_key_time(key, "created_at")
    if "max_age_days" in require:
        if created is None:
            reasons.append("has no known age")
        elif now - created > require["max_age_days"] * _keys.DAY:
            reasons.append(f"is older than {require['max_age_days']} days")
    if require.get("must_expire") or "max_lifetime_days" in require:
        if _keys.read_key_time(key, "expires_at") is None:
            reasons.append("never expires")
        elif "max_lifetime_days" in require and lives_too_long(key, require["max_lifetime_days"]):
            reasons.append(f"lives longer than {require['max_lifetime_days']} days")
    if "unused_days" in require:
        used = _keys.read_key_time(key, "last_used_at") or created
        if used is None or now - used > require["unused_days"] * _keys.DAY:
            reasons.append(f"was not used for {require['unused_days']} days")
    if "forbidden_scopes" in require:
        scopes = _keys.read_scopes(key)
        forbidden = [scope for scope in require["forbidden_scopes"] if scope in scopes]
        if forbidden:
            reasons.append(f"has {', '.join(forbidden)}")
    return reasons


def lives_too_long(key: Values, days: int) -> bool:
    """Return whether a key lives longer than a number of days.

    A part of a day is tolerated: an API may let a key of 90 days expire a moment later than 90
    days after it was created, or at the end of that day.

    :raises ApiError: if the API does not say so.
    """
    if _keys.read_key_time(key, "created_at") is None:
        return True
    length = _keys.read_lifetime(key)
    return length is not None and _keys.to_days(length) > days
