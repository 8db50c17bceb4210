# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports: what one resource of an organization is, as what a control requires. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    NEEDED_SECRETS,
    normalize_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    normalize_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    build_placeholders,
    drop_hidden,
    find_secret_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    as_mapping,
    read_flag,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._rules import read_filters

TITLES = {"ip_whitelist": "IP allowlist"}


def to_title(resource: str) -> str:
    """Return the name of a subset as people write it."""
    return TITLES.get(resource) or resource.replace("_", " ").capitalize()


def export_object(values: Values) -> Values:
    """Return an object that an organization has exactly once, without what is not set."""
    return {key: value for key, value in values.items() if value is not None}


def export_allowlist(allowlist: Values) -> Values:
    """Return the whole allowlist."""
    entries = [export_entry(entry) for entry in allowlist["entries"]]
    return {"enabled": allowlist["enabled"], "entries": entries, "purge": True}


def export_entry(entry: Values) -> Values:
    """Return an entry of the allowlist. One without a label is one that has none."""
    return {name: entry[name] for name in ("cidr", "label") if entry.get(name)}


def export_channels(channels: Sequence[Values]) -> Values:
    """Return the channels that have a name. Others may go, but one without a name stays."""
    return {
        "present": [export_channel(channel) for channel in select_named(channels)],
        "purge": True,
    }


def export_channel(channel: Values) -> Values:
    """Return one channel, with a placeholder for each value that is or may be a secret."""
    config = as_mapping(channel.get("config")) or {}
    hidden = find_secret_paths(config)
    needed = NEEDED_SECRETS.get(normalize_type(channel.get("type")))
    if not hidden and needed:
        hidden = [(needed,)]
    result = export_texts(channel, "name", "type") | export_flag(channel)
    result["config"] = drop_hidden(config)
    if hidden:
        result["secret_config"] = build_placeholders(channel["name"], hidden)
    return result


def export_rules(rules: Iterable[Values]) -> Values:
    """Return the rules that have a name."""
    return {"present": [export_rule(rule) for rule in select_named(rules)]}


def export_rule(rule: Values) -> Values:
    """Return one rule, with the names of its channels, as far as it can be read."""
    result = export_texts(rule, "name", "event")
    channels = rule.get("channels") if "channel_ids" in rule else None
    if channels is not None and all(isinstance(item, (str, int)) for item in channels):
        result["channels"] = channels
    with contextlib.suppress(ApiError):
        result["filters"] = read_filters(rule)
    return {**result, **export_flag(rule)}


def export_texts(item: Values, *names: str) -> Values:
    """Return the fields of a channel or rule that are texts, which a control can require."""
    return {name: item[name] for name in names if normalize_name(item.get(name)) is not None}


def export_flag(item: Values) -> Values:
    """Return ``enabled`` of a channel or rule as a boolean; nothing if the API does not say."""
    try:
        flag = read_flag(item, "enabled", f"object {read_name(item)!r}")
    except ApiError:
        return {}
    return {} if flag is None else {"enabled": flag}


def select_named(items: Iterable[Values]) -> list[Values]:
    """Return the channels or rules that a control can name, with their names as tasks write them.

    Some APIs list one without a name.
    """
    return [{**item, "name": read_name(item)} for item in items if is_named(item)]


def is_named(item: Values) -> bool:
    """Return whether a channel or rule has a name, without which nothing can refer to it."""
    return read_name(item) is not None
