# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each resource as what a control requires, and as the controls that restore it. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.module_utils import _masks
from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    NEEDED_SECRETS,
    normalize_type,
    same_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    normalize_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._networks import canonical
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    as_mapping,
    extract_id,
    read_flag,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    merge,
    same,
    without,
)
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
    hidden = _masks.find_secret_paths(config)
    needed = NEEDED_SECRETS.get(normalize_type(channel.get("type")))
    if not hidden and needed:
        hidden = [(needed,)]
    result = export_texts(channel, "name", "type") | export_flag(channel)
    result["config"] = _masks.drop_hidden(config)
    if hidden:
        result["secret_config"] = _masks.build_placeholders(channel["name"], hidden)
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


@dataclass
class RollbackPlan:
    """How one organization gets back to its snapshot.

    :param controls: What the baseline is to meet.
    :param secrets: Secrets that stay as they are, as ``<channel>.<key>``. The API hides them, so
        they cannot be compared with the snapshot.
    :param notes: What is not as in the snapshot and does not have to be, as sentences.
    :param left: What should be restored and cannot be, as sentences.
    :param gone: Names of channels of the snapshot that cannot be created again.
    """

    controls: list[Values] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


def split_control(control: Values, items: Iterable[Values]) -> list[Values]:
    """Return a control for each channel or rule, so that each has a verdict of its own."""
    prefix = control.get("id") or control["resource"]
    return [
        {**control, "id": f"{prefix}: {item['name']}", "require": {"present": [item]}}
        for item in items
    ]


# Objects of which there is one. Writes merge, so nothing can be removed from a mapping.


def restore_object(control: Values, facts: Values, plan: RollbackPlan) -> list[Values]:
    """Restore one object."""
    resource, require = control["resource"], control["require"]
    title = to_title(resource)
    added = find_added(require, facts[resource])
    plan.notes += [f"{title}: {path} is not in the snapshot and stays." for path in added]
    kept, filled = drop_filled(require, facts[resource])
    plan.left += [
        f"{title}: {path} was empty in the snapshot and is not empty now. "
        "A write cannot remove its values."
        for path in filled
    ]
    return [{**control, "require": kept}] if kept else []


def restore_settings(control: Values, facts: Values, plan: RollbackPlan) -> list[Values]:
    """Restore the settings, with single sign-on in a control of its own.

    If the organization's plan no longer includes it, the other settings are restored anyway.
    """
    name = "require_sso"
    controls = restore_object(control, facts, plan)
    if not controls or controls[0]["require"].get(name) is not True:
        return controls
    others = without(controls[0]["require"], name)
    result = [{**control, "require": others}] if others else []
    if facts["settings"].get(name) is not True:
        control_id = f"{control.get('id') or 'settings'}-{name}"
        result.append({**control, "id": control_id, "require": {name: True}})
    return result


def drop_filled(
    values: Mapping[str, t.Any], current: t.Any, path: tuple[str, ...] = ()
) -> tuple[Values, list[str]]:
    """Return values without mappings that were empty and are no longer; and the paths of these."""
    kept: Values = {}
    filled: list[str] = []
    for name, value in values.items():
        now = current.get(name) if isinstance(current, Mapping) else None
        if isinstance(value, Mapping) and not value and isinstance(now, Mapping) and now:
            filled.append(".".join((*path, str(name))))
        elif isinstance(value, Mapping) and value:
            inner, deeper = drop_filled(value, now, (*path, str(name)))
            filled += deeper
            if inner:  # an empty one would ask for just that
                kept[name] = inner
        else:
            kept[name] = value
    return kept, filled


def find_added(values: Values, current: t.Any, path: tuple[str, ...] = ()) -> list[str]:
    """Return the paths of values that a snapshot does not have, and that stay.

    A value that is null does not count.
    """
    paths = []
    for name, value in current.items() if isinstance(current, Mapping) else ():
        if name not in values:
            paths += [] if value is None else [".".join((*path, str(name)))]
        elif isinstance(values[name], Mapping) and values[name]:
            paths += find_added(values[name], value, (*path, str(name)))
    return paths


# The allowlist.


def restore_allowlist(control: Values, dummy_facts: Values, plan: RollbackPlan) -> list[Values]:
    """Restore the allowlist, with one entry for each network.

    An entry without a label had none, which does not mean that any label will do.
    """
    require = control["require"]
    if "entries" not in require:
        return [control] if require else []
    entries: dict[str, Values] = {}
    doubled: dict[str, None] = {}
    for item in require["entries"]:
        cidr = canonical(item["cidr"])
        if cidr in entries:
            doubled[cidr] = None
        if cidr not in entries or item.get("label"):
            entries[cidr] = {"label": "", **item}
    plan.notes += [
        f"IP allowlist: {cidr} is listed more than once in the snapshot, and once is enough."
        for cidr in doubled
    ]
    return [{**control, "require": {**require, "entries": list(entries.values())}}]


# Channels.


def restore_channels(control: Values, facts: Values, plan: RollbackPlan) -> list[Values]:
    """Restore the channels, without those that cannot be created again."""
    require = control["require"]
    if "present" not in require:
        return [control] if require else []
    current = select_named(facts["notification_channels"])
    restored = [
        restore_channel(item, current, plan) for item in merge_namesakes(require["present"])
    ]
    channels = [channel for channel in restored if channel is not None]
    names = {channel["name"] for channel in channels}
    plan.gone |= {item["name"] for item in require["present"]} - names
    controls = split_control(control, channels)
    if require.get("purge"):
        # Of a channel that exists the name is enough, so that its verdict counts once.
        existing = {channel["name"] for channel in current}
        listed = [
            {"name": channel["name"]} if channel["name"] in existing else channel
            for channel in channels
        ]
        controls.append({**control, "require": {"present": listed, "purge": True}})
    return controls


def merge_namesakes(items: Iterable[Values]) -> list[Values]:
    """Return the objects by name.

    Which of two namesakes is which cannot be known, so only their name is kept: they stay.
    """
    by_name: dict[str, Values] = {}
    for item in items:
        by_name[item["name"]] = {"name": item["name"]} if item["name"] in by_name else item
    return list(by_name.values())


def restore_channel(item: Values, current: Iterable[Values], plan: RollbackPlan) -> Values | None:
    """Return what to require of a channel of the snapshot; ``None`` if it cannot be created again.

    A hidden secret is kept where the channel exists. To create the channel, only the user has it.
    """
    name = item["name"]
    secrets = item.get("secret_config", {})
    hidden = sorted(key for key, value in secrets.items() if _masks.is_placeholder(value))
    found = [channel for channel in current if channel["name"] == name]
    if not found and not hidden:
        return item
    if not found:
        plan.left.append(
            f"The notification channel {name!r} is gone and cannot be created again, "
            f"since the snapshot lacks {describe_secrets(name, hidden)}"
        )
        return None
    kind = found[0].get("type")
    if same_type(kind, item.get("type")) or len(found) > 1:
        note_kept_config(item, found[0], plan)
        return item
    if not hidden:
        return {**item, "replace": True}
    plan.left.append(
        f"The notification channel {name!r} is now of type {kind!r} and cannot be created again "
        f"as {item['type']!r}, since the snapshot lacks {describe_secrets(name, hidden)}"
    )
    return {"name": name}  # without it, the channel would count as newer, and be removed


def note_kept_config(item: Values, found: Values, plan: RollbackPlan) -> None:
    """Note the secrets and other values of a channel that stay as they are."""
    name, secrets = item["name"], item.get("secret_config", {})
    plan.secrets += [f"{name}.{key}" for key in sorted(secrets)]
    if "config" not in item:
        return
    added = find_added(merge(item["config"], secrets), found.get("config"))
    plan.notes += [
        f"Notification channel {name!r}: {path} of its config is not in the snapshot and stays."
        for path in added
    ]


def describe_secrets(name: str, hidden: Sequence[str]) -> str:
    """Return the secrets that a channel lacks, and where to write them."""
    placeholders = " and ".join(f"PLACEHOLDER:{name}.{key}" for key in hidden)
    return f"{', '.join(hidden)}. Replace {placeholders} in it with the real value."


# Rules. The API cannot delete one.


def restore_rules(control: Values, facts: Values, plan: RollbackPlan) -> list[Values]:
    """Restore the rules, and disable those that are newer than the snapshot."""
    require = control["require"]
    if "present" not in require:
        return [control] if require else []
    current = select_named(facts["notification_rules"])
    rules: list[Values] = []
    by_name: dict[str, list[Values]] = {}
    for item in require["present"]:
        by_name.setdefault(item["name"], []).append(item)
    for name, namesakes in by_name.items():
        if len(namesakes) == 1:
            rules += restore_rule(namesakes[0], plan)
        elif not same(namesakes, [export_rule(rule) for rule in current if rule["name"] == name]):
            plan.left.append(
                f"Several notification rules are named {name!r} in the snapshot, "
                "so they stay as they are."
            )
    newer = [rule for rule in current if rule["name"] not in by_name]
    rules += disable_rules(newer, facts.get("notification_channels"), plan)
    return split_control(control, rules)


def restore_rule(item: Values, plan: RollbackPlan) -> list[Values]:
    """Return what to require of one rule; nothing if none of its channels can exist."""
    lost = [name for name in item.get("channels", []) if name in plan.gone]
    if not lost:
        return [item]
    rest = [name for name in item["channels"] if name not in plan.gone]
    which = f"the notification channel {', '.join(map(repr, lost))}"
    if not rest:
        plan.left.append(
            f"The notification rule {item['name']!r} stays as it is, "
            f"since it sends only through {which}."
        )
        return []
    plan.left.append(f"The notification rule {item['name']!r} is restored without {which}.")
    return [{**item, "channels": rest}]


def disable_rules(
    rules: Iterable[Values], channels: Iterable[Values] | None, plan: RollbackPlan
) -> list[Values]:
    """Return what to require of rules that are newer than the snapshot: that they are disabled.

    :param channels: The channels that exist; ``None`` if they could not be read.
    """
    enabled = {rule["name"]: rule for rule in rules if rule.get("enabled") is not False}
    ids = None if channels is None else {str(channel.get("id")) for channel in channels}
    plan.notes += [
        f"The notification rule {name!r} is newer than the snapshot and is disabled, "
        "since the API cannot delete it."
        for name in enabled
    ]
    return [disable_rule(rule, ids) for rule in enabled.values()]


def disable_rule(rule: Values, channel_ids: Collection[str] | None) -> Values:
    """Return what to require of one rule, so that it is disabled.

    Many APIs refuse a rule whose channel is gone, even if the rule is to be disabled. Such a
    channel is left out if the rule has another one.

    :param channel_ids: Ids of the channels that exist; ``None`` if they could not be read.
    """
    disabled = {"name": rule["name"], "enabled": False}
    used = list(zip(rule.get("channels") or (), rule.get("channel_ids") or (), strict=False))
    existing = [
        channel
        for channel, item in used
        if channel_ids is None or str(extract_id(item)) in channel_ids
    ]
    if existing and len(existing) < len(used):
        disabled["channels"] = existing
    return disabled
