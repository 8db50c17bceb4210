# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of notification channels and rules: masks of secrets, and what a write replaces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from ..state import SECRET_WORDS
from .exchange import CHANNELS, RULES, Exchange, add

Mask = Callable[[str], Any]
LEFT_OUT = object()


def hash_text(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


MASKS: dict[str, tuple[str, Mask]] = {
    "redacted": ("`REDACTED`", lambda text: "REDACTED"),
    "brackets": ("`[REDACTED]`", lambda text: "[REDACTED]"),
    "angle_brackets": ("`<hidden>`", lambda text: "<hidden>"),
    "xxxx": ("`xxxx`", lambda text: "xxxx"),
    "hidden": ("`hidden`", lambda text: "hidden"),
    "null": ("null", lambda text: None),
    "empty": ("an empty text", lambda text: ""),
    "ellipsis": ("`...`", lambda text: "..."),
    "first_four": ("its first four characters and `…`", lambda text: f"{text[:4]}…"),
    "last_four": ("its last four characters", lambda text: text[-4:]),
    "sha256": ("its SHA-256", hash_text),
    "true": ("true", lambda text: True),
    "set": ('`{"set": true}`', lambda text: {"set": True}),
    "two_stars": ("`**`", lambda text: "**"),
    "stars": ("`****`", lambda text: "****"),
    "bullets": ("`••••••`", lambda text: "••••••"),
    "circles": ("`●●●●`", lambda text: "●●●●"),
    "full_width": ("`＊＊＊＊`", lambda text: "＊＊＊＊"),
    "host": ("`https://...`", lambda text: "https://..."),
    "host_ellipsis": ("`https://…`", lambda text: "https://…"),
    "left_out": ("nothing: the key is left out", lambda text: LEFT_OUT),
}


def mask_config(config: dict[str, Any], mask: Mask) -> dict[str, Any]:
    """Return a config whose secrets are masked."""
    shown: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            shown[name] = mask_config(value, mask)
        elif any(word in name.lower() for word in SECRET_WORDS):
            shown[name] = mask(str(value))
        else:
            shown[name] = value
    return {name: value for name, value in shown.items() if value is not LEFT_OUT}


def mask_list(mask: Mask) -> Callable[[Exchange], None]:
    """Return a hook that masks the secrets in the list of channels."""

    def answer(exchange: Exchange) -> None:
        if exchange.path != CHANNELS or not exchange.reads_list:
            return
        for channel in exchange.objects():
            channel["config"] = mask_config(channel["config"], mask)

    return answer


for mask_name, (shown_as, mask_function) in MASKS.items():
    add(
        "masks",
        f"mask_{mask_name}",
        f"a secret of a channel is listed as {shown_as}",
        answer=mask_list(mask_function),
    )


def updates_channel(exchange: Exchange) -> bool:
    return exchange.method == "PUT" and exchange.path.startswith(f"{CHANNELS}/")


def posts_rule(exchange: Exchange) -> bool:
    return exchange.method == "POST" and exchange.path == RULES


def find_config(exchange: Exchange) -> dict[str, Any]:
    """Return the config of the channel that a request names, or an empty one."""
    channel_id = exchange.path.rpartition("/")[2]
    found = [channel for channel in exchange.state.channels if channel.id == channel_id]
    return found[0].config if found else {}


def lose_config(exchange: Exchange) -> None:
    if updates_channel(exchange):
        exchange.body.setdefault("config", {})


def merge_config(exchange: Exchange) -> None:
    if updates_channel(exchange) and "config" in exchange.body:
        exchange.body["config"] = {**find_config(exchange), **exchange.body["config"]}


def add_config_defaults(exchange: Exchange) -> None:
    creates = exchange.method == "POST" and exchange.path == CHANNELS
    if (creates or updates_channel(exchange)) and "config" in exchange.body:
        exchange.body["config"] = {"attempts": 3, "verify_tls": True, **exchange.body["config"]}


add(
    "channels",
    "put_loses_config",
    "a PUT of a channel without `config` empties the config",
    request=lose_config,
)
add(
    "channels",
    "put_merges_config",
    "a PUT of a channel merges `config` into the old one",
    request=merge_config,
)
add(
    "channels",
    "config_defaults",
    "the config of a channel gets `attempts` and `verify_tls`, unless they are sent",
    request=add_config_defaults,
)


def replace_rules(exchange: Exchange) -> None:
    if posts_rule(exchange):
        kept = [rule for rule in exchange.state.rules if rule.name == exchange.body["name"]]
        exchange.state.rules[:] = kept


def renew_rule_id(exchange: Exchange) -> None:
    if posts_rule(exchange):
        rule = next(one for one in exchange.state.rules if one.name == exchange.body["name"])
        rule.id = exchange.data["id"] = exchange.simulation.new_id("nrl")


def change_filters(change: Callable[[dict[str, Any]], None]) -> Callable[[Exchange], None]:
    """Return a hook that changes each rule of the list."""

    def answer(exchange: Exchange) -> None:
        if exchange.path == RULES and exchange.reads_list:
            for rule in exchange.objects():
                change(rule)

    return answer


def leave_out_filters(rule: dict[str, Any]) -> None:
    if not rule["filters"]:
        del rule["filters"]


def add_filter_defaults(rule: dict[str, Any]) -> None:
    rule["filters"] = {"window_minutes": 5, **rule["filters"]}


def add_filter_nulls(rule: dict[str, Any]) -> None:
    rule["filters"] = {"severity": None, "pipeline_ids": [], **rule["filters"]}


def show_channel_objects(rule: dict[str, Any]) -> None:
    rule["channel_ids"] = [{"id": one, "type": "channel"} for one in rule["channel_ids"]]


add(
    "rules",
    "rules_replaced_as_set",
    "a rule that is posted replaces all rules",
    effect=replace_rules,
)
add(
    "rules",
    "rules_get_new_ids",
    "a rule that is posted again gets another id",
    effect=renew_rule_id,
)
add(
    "rules",
    "filters_left_out",
    "the list of rules leaves empty `filters` out",
    answer=change_filters(leave_out_filters),
)
add(
    "rules",
    "filters_with_defaults",
    "`filters` of a rule have a default of the server beside what was sent",
    answer=change_filters(add_filter_defaults),
)
add(
    "rules",
    "filters_with_nulls",
    "`filters` of a rule have a null and an empty list beside what was sent",
    answer=change_filters(add_filter_nulls),
)
add(
    "rules",
    "channel_ids_as_objects",
    'the list of rules has `{"id": ...}` in `channel_ids`',
    answer=change_filters(show_channel_objects),
)
