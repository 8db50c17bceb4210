# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of what a server makes of the values that it is sent."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..errors import ApiError
from .exchange import (
    ALLOWLIST,
    CHANNELS,
    KEYS,
    PROFILE,
    RETENTION,
    RULES,
    SETTINGS,
    Exchange,
    add,
)

MOST_DAYS = 10
"""Days that retention is clamped to."""

KEY_LIFETIME = 30
"""Days that the lifetime of a key is capped at."""

IMPLIED = {"pipelines:run": "pipelines:read", "connections:write": "connections:read"}


def change_field(
    paths: tuple[str, ...], field: str, change: Callable[[Any], Any]
) -> Callable[[Exchange], None]:
    """Return a hook that changes a field of the bodies sent to some resources."""

    def request(exchange: Exchange) -> None:
        named = exchange.writes and exchange.group in paths
        if named and isinstance(exchange.body, dict) and field in exchange.body:
            exchange.body[field] = change(exchange.body[field])

    return request


def change_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """Return a function that changes texts and leaves all else to the API."""
    return lambda value: change(value) if isinstance(value, str) else value


def compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def lower_recipients(config: Any) -> Any:
    """Return a config with its recipients in lower case."""
    recipients = [one.lower() for one in config.get("recipients", [])]
    return {**config, "recipients": recipients} if recipients else config


def canonical_locale(locale: str) -> str:
    language, _dash, region = locale.partition("-")
    return f"{language.lower()}-{region.upper()}" if region else language.lower()


def expand_scopes(scopes: Any) -> Any:
    """Return scopes with those that they imply."""
    return [*scopes, *(IMPLIED[scope] for scope in scopes if scope in IMPLIED)]


def round_expiry(exchange: Exchange) -> None:
    """Let a key that was made live until the end of its last day."""
    if exchange.method != "POST" or exchange.path != KEYS:
        return
    key = exchange.state.api_keys[-1]
    if key.expires_at:
        moment = datetime.fromisoformat(key.expires_at.replace("Z", "+00:00"))
        key.expires_at = moment.strftime("%Y-%m-%dT23:59:59Z")
        exchange.data["expires_at"] = key.expires_at


def require_unique_names(exchange: Exchange) -> None:
    if exchange.method != "POST" or exchange.path not in (KEYS, CHANNELS):
        return
    objects: tuple[Any, ...] = tuple(exchange.state.api_keys)
    if exchange.path == CHANNELS:
        objects = tuple(exchange.state.channels)
    if exchange.body["name"] in {one.name for one in objects}:
        raise ApiError(409, "name_taken", f"The name {exchange.body['name']} is taken")


def sort_filters(filters: Any) -> Any:
    """Return filters whose lists are sorted."""
    sorted_filters = dict(filters)
    for name, value in filters.items():
        if isinstance(value, list):
            sorted_filters[name] = sorted(value, key=json.dumps)
    return sorted_filters


NAMED = (KEYS, CHANNELS, RULES)
for field_name, field_does, field_paths, field, field_change in (
    ("names_trimmed", "names lose outer blanks", NAMED, "name", change_text(str.strip)),
    ("names_lower", "names are stored in lower case", NAMED, "name", change_text(str.lower)),
    ("names_composed", "names are stored in NFC", NAMED, "name", change_text(compose)),
    ("names_escaped", "names are stored with HTML entities", NAMED, "name", html.escape),
    ("recipients_lower", "recipients are in lower case", (CHANNELS,), "config", lower_recipients),
    (
        "locale_canonical",
        "a locale is stored with its region in capitals",
        (PROFILE,),
        "locale",
        change_text(canonical_locale),
    ),
    ("filters_sorted", "lists in filters are sorted", (RULES,), "filters", sort_filters),
    ("scopes_sorted", "scopes are sorted", (KEYS,), "scopes", sorted),
    ("scopes_expanded", "scopes get those that they imply", (KEYS,), "scopes", expand_scopes),
    ("labels_trimmed", "labels lose outer blanks", (ALLOWLIST,), "label", change_text(str.strip)),
    ("labels_lower", "labels are in lower case", (ALLOWLIST,), "label", change_text(str.lower)),
    (
        "days_clamped",
        f"`run_logs_days` is at most {MOST_DAYS}",
        (RETENTION,),
        "run_logs_days",
        lambda days: min(days, MOST_DAYS),
    ),
    (
        "key_lifetime_capped",
        f"a key lives at most {KEY_LIFETIME} days",
        (KEYS,),
        "expires_in_days",
        lambda days: min(days, KEY_LIFETIME),
    ),
    (
        "residency_canonical",
        "a region is stored as that of a data center",
        (SETTINGS,),
        "data_residency",
        lambda region: {"eu": "eu-central-1", "us": "us-east-1"}.get(region, region),
    ),
):
    add(
        "normalization",
        field_name,
        field_does,
        request=change_field(field_paths, field, field_change),
    )


def canonical_zone(zone: Any) -> Any:
    return {"UTC": "Etc/UTC", "US/Eastern": "America/New_York"}.get(zone, zone)


def store_canonical_zones(exchange: Exchange) -> None:
    change_field((SETTINGS,), "default_timezone", canonical_zone)(exchange)
    change_field((PROFILE,), "timezone", canonical_zone)(exchange)


add(
    "normalization",
    "zones_canonical",
    "a time zone is stored as `Etc/UTC` for `UTC`, `America/New_York` for `US/Eastern`",
    request=store_canonical_zones,
)
add(
    "normalization",
    "expiry_at_end_of_day",
    "a key lives until the end of its last day",
    effect=round_expiry,
)
add(
    "normalization",
    "names_unique",
    "a second key or channel of one name is 409",
    request=require_unique_names,
)
