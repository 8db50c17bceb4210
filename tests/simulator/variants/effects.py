# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of what a write does, and when reads show it: lags, deletions, objects not in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ..clock import iso
from .exchange import (
    ALLOWLIST,
    CHANNELS,
    KEYS,
    PREFERENCES,
    SETTINGS,
    Exchange,
    Stale,
    add,
)

LAG = 1.5
"""Seconds until reads show a write."""

TOGGLE_LAG = 1.2
"""Seconds until a toggled enforcement is in force."""

LONG_AGO = "2020-01-01T00:00:00Z"

MARKED = "Retired"
"""The oldest object of each name or label that begins so is listed, but not in force."""


def replace_flags(exchange: Exchange) -> None:
    if exchange.path == SETTINGS and "feature_flags" in exchange.body:
        exchange.state.settings.feature_flags = dict(exchange.body["feature_flags"])


def replace_same_network(exchange: Exchange) -> None:
    """Delete the older entries of a network that is posted again."""
    if exchange.method != "POST" or exchange.path != ALLOWLIST:
        return
    entries = exchange.state.ip_whitelist.entries
    new = entries[-1]
    entries[:] = [entry for entry in entries if entry is new or entry.cidr != new.cidr]


def renew_key_id(exchange: Exchange) -> None:
    if exchange.path.endswith("/regenerate"):
        key_id = exchange.path.split("/")[-2]
        key = next(one for one in exchange.state.api_keys if one.id == key_id)
        key.id = exchange.data["id"] = exchange.simulation.new_id("key")


add(
    "ids",
    "regenerated_key_gets_new_id",
    "a key that is regenerated gets another id",
    effect=renew_key_id,
)
add(
    "settings",
    "flags_replaced",
    "`feature_flags` in a write replaces all flags",
    effect=replace_flags,
)
add(
    "settings",
    "entry_posted_again_moves",
    "an allowlist entry that is posted again replaces the old one, under a new id",
    effect=replace_same_network,
)


def remember(reads: int | None = None, seconds: float = 0.0) -> Callable[[Exchange], None]:
    """Return a hook that lets the next reads show the state before a write."""

    def effect(exchange: Exchange) -> None:
        until = time.monotonic() + seconds
        exchange.memory.stale.append(Stale(exchange.before, exchange.group, reads, until))

    return effect


def lag_deletions(exchange: Exchange) -> None:
    if exchange.method == "DELETE":
        remember(seconds=LAG)(exchange)


def hide_preferences(exchange: Exchange) -> None:
    """Keep what the list showed when the first preference was written."""
    if exchange.group == PREFERENCES and exchange.memory.is_first("preferences"):
        values = exchange.before.preferences
        shown = {key: preference.value for key, preference in values.items()}
        exchange.memory.deleted[PREFERENCES] = [shown]


def show_old_preferences(exchange: Exchange) -> None:
    if exchange.path == PREFERENCES and PREFERENCES in exchange.memory.deleted:
        exchange.data = exchange.memory.deleted[PREFERENCES][0]


def toggle_later(exchange: Exchange) -> None:
    """Answer 202, and switch enforcement a moment later."""
    if exchange.path != f"{ALLOWLIST}/toggle" or not exchange.body:
        return
    enabled = bool(exchange.body.get("enabled"))
    slug = exchange.state.organization.slug

    def apply() -> None:
        if exchange.simulation.organizations.get(slug) is exchange.state:
            exchange.state.ip_whitelist.enabled = enabled

    asyncio.get_running_loop().call_later(TOGGLE_LAG, apply)
    exchange.answer(202, {"data": {"status": "pending"}})


add(
    "lag",
    "lag_one_read",
    "the next read of a resource that was written shows it as it was",
    effect=remember(reads=1),
)
add(
    "lag",
    "lag_two_reads",
    "the next two reads of a resource that was written show it as it was",
    effect=remember(reads=2),
)
add(
    "lag",
    "lag_seconds",
    f"for {LAG} seconds reads show a resource as it was before a write",
    effect=remember(seconds=LAG),
)
add(
    "lag",
    "lag_deletions",
    f"for {LAG} seconds lists still show what was deleted",
    effect=lag_deletions,
)
add(
    "lag",
    "toggle_later",
    f"the toggle of the allowlist is answered 202, and in force {TOGGLE_LAG} seconds later",
    request=toggle_later,
)
add(
    "preferences",
    "preferences_lag",
    "the list of preferences goes on showing what it did before the first write",
    effect=hide_preferences,
    answer=show_old_preferences,
)


def keep_deleted(exchange: Exchange) -> None:
    """Remember the key or channel that was deleted, as its list shows it."""
    if exchange.method != "DELETE" or exchange.group not in (KEYS, CHANNELS):
        return
    object_id = exchange.path.rpartition("/")[2]
    objects: tuple[Any, ...] = (*exchange.before.api_keys, *exchange.before.channels)
    found = next(one for one in objects if one.id == object_id)
    hidden = {"secret"} if exchange.group == KEYS else {"created_at"}
    shown = found.model_dump(exclude=hidden)
    exchange.memory.deleted.setdefault(exchange.group, []).append(shown)


def list_deleted(keys: dict[str, Any], channels: dict[str, Any]) -> Callable[[Exchange], None]:
    """Return a hook that lists deleted objects, with the fields that say so."""

    def answer(exchange: Exchange) -> None:
        if exchange.reads_list and exchange.path in (KEYS, CHANNELS):
            mark = keys if exchange.path == KEYS else channels
            deleted = exchange.memory.deleted.get(exchange.path, [])
            exchange.data += [{**one, **mark} for one in deleted]

    return answer


for deleted_name, deleted_does, key_mark, channel_mark in (
    ("state", '`state: "revoked"` or `"deleted"`', {"state": "revoked"}, {"state": "deleted"}),
    (
        "time",
        "`revoked_at` or `deleted_at`",
        {"revoked_at": LONG_AGO},
        {"deleted_at": LONG_AGO},
    ),
    ("active", "`active: false`", {"active": False}, {"active": False}),
):
    add(
        "not in force",
        f"deleted_stay_with_{deleted_name}",
        f"deleted keys and channels stay listed, with {deleted_does}",
        effect=keep_deleted,
        answer=list_deleted(key_mark, channel_mark),
    )


Mark = Callable[[dict[str, Any]], dict[str, Any]]


def expire(one: dict[str, Any]) -> dict[str, Any]:
    """Return an expiry on the day after an object was created."""
    created = datetime.fromisoformat(one["created_at"].replace("Z", "+00:00"))
    return {"expires_at": iso((created + timedelta(days=1)).timestamp())}


def mark_retired(path: str, mark: Mark) -> Callable[[Exchange], None]:
    """Return a hook that marks some objects of a list as not in force."""

    def answer(exchange: Exchange) -> None:
        if not exchange.reads_list or exchange.path != path:
            return
        names: set[str] = set()
        for one in exchange.objects():
            name = one.get("name") or one.get("label") or ""
            if name.startswith(MARKED) and name not in names:
                one.update(mark(one))
            names.add(name)

    return answer


for retired_name, retired_path, retired_look, retired_mark in (
    (
        "key_revoked",
        KEYS,
        '`state: "revoked"` and `revoked_at`',
        lambda one: {"state": "revoked", "revoked_at": one["created_at"]},
    ),
    ("key_expired", KEYS, "an `expires_at` in the past", expire),
    ("key_disabled", KEYS, '`status: "disabled"`', lambda one: {"status": "disabled"}),
    ("entry_inactive", ALLOWLIST, "`active: false`", lambda one: {"active": False}),
    ("entry_not_enabled", ALLOWLIST, "`enabled: false`", lambda one: {"enabled": False}),
    ("entry_disabled", ALLOWLIST, '`status: "disabled"`', lambda one: {"status": "disabled"}),
    ("entry_expired", ALLOWLIST, "an `expires_at` in the past", expire),
):
    objects_are = "keys" if retired_path == KEYS else "allowlist entries"
    add(
        "not in force",
        retired_name,
        f"{objects_are} named `{MARKED}...`, the oldest of each name, have {retired_look}",
        answer=mark_retired(retired_path, retired_mark),
    )
