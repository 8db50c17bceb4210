# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back to a snapshot: the controls that lead there, and what they cannot put back. Pure functions, no I/O.

A snapshot is what :func:`_profiles.exported` makes of an organization. The baseline puts back what it names. What is here is about the rest: what came later,
and what nobody but the user can make again.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.module_utils._channels import same_type
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._escapes import unescape
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_placeholder
from ansible_collections.planasonix.admin.plugins.module_utils._networks import canonical
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import extract_id
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    merged,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import same_id
from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import (
    exported_rule,
    named,
)

SINGLETONS = ("settings", "session_timeout", "log_retention")


@dataclass
class Rollback:
    """How one organization gets back to its snapshot.

    :param controls: What the baseline is to meet.
    :param secrets: Secrets that stay as they are, as ``<channel>.<key>``: the API hides them, so that nobody can compare them with the snapshot.
    :param notes: What is not as in the snapshot and does not have to be, as sentences.
    :param left: What should be put back and cannot be, as sentences.
    """

    controls: list[Values] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def rolled_back(snapshot: t.Any, facts: Values) -> Rollback:
    """The way from the state of an organization to its snapshot.

    :param snapshot: A mapping with ``controls``, as :func:`_snapshots.take_snapshot` returns one.
    :param facts: What ``planasonix_info`` returns of the organization as it is. What it could not read is not among it; the baseline will say why.
    :raises InvalidOption: if the snapshot is none of this organization.
    """
    back = Rollback()
    gone: set[str] = set()
    snapshot = unescape(snapshot)
    controls = parse_snapshot(snapshot)
    listed = facts.get("notification_channels")
    facts = with_named(facts)
    check_organization(snapshot.get("organization"), facts.get("organization"))
    # Channels before the rules that name them, as in a snapshot that nobody edited.
    for control in sorted(
        controls, key=lambda control: control["resource"] == "notification_rules"
    ):
        resource, require = control["resource"], control["require"]
        if resource in SINGLETONS and resource in facts:
            require = singleton_back(resource, require, facts[resource], back)
            control = {**control, "require": require}
        if not require:
            continue
        if resource not in facts:
            back.controls.append(control)
        elif resource == "ip_whitelist" and "entries" in require:
            back.controls.append(
                {
                    **control,
                    "require": {**require, "entries": entries_back(require["entries"], back)},
                }
            )
        elif resource == "notification_channels" and "present" in require:
            current = facts["notification_channels"]
            channels = channels_back(require["present"], current, back)
            gone |= {item["name"] for item in require["present"]} - {
                channel["name"] for channel in channels
            }
            back.controls += one_by_one(control, channels)
            if require.get("purge"):
                # Of a channel that is there the name is enough, so that what becomes of it counts once.
                there = {channel["name"] for channel in current}
                names = [
                    {"name": channel["name"]} if channel["name"] in there else channel
                    for channel in channels
                ]
                back.controls.append({**control, "require": {"present": names, "purge": True}})
        elif resource == "notification_rules" and "present" in require:
            rules = rules_back(
                require["present"],
                facts["notification_rules"],
                gone,
                back,
                listed,
            )
            back.controls += one_by_one(control, rules)
        elif resource == "settings":
            back.controls += settings_back(control, facts["settings"])
        else:
            back.controls.append(control)
    return back


def with_named(facts: Values) -> Values:
    """Return facts without the channels and rules that have no name: no control can mean them."""
    lists = ("notification_channels", "notification_rules")
    return {**facts, **{name: named(facts[name]) for name in lists if name in facts}}


def check_organization(taken: t.Any, found: t.Any) -> None:
    """Refuse the snapshot of another organization: a host may have come to mean another one, which would lose its channels and its allowlist.

    :param taken: ``organization`` of the snapshot, with ``id``. An export has none, and may be given to any.
    :param found: What ``planasonix_info`` returns as ``organization``.
    :raises InvalidOption: if both are known and differ.
    """
    ids = [one.get("id") if isinstance(one, Mapping) else None for one in (taken, found)]
    if None not in ids and not same_id(*ids):
        names = [
            f"{one.get('name') or one.get('slug') or 'an organization'} ({one['id']})"
            for one in (taken, found)
        ]
        raise InvalidOption(
            f"it was taken of {names[0]}, and this is {names[1]}. Put the right file in its place, or remove organization from it to use it all the same."
        )


def singleton_back(resource: str, require: Values, current: Values, back: Rollback) -> Values:
    """What to require of one object. Writes merge, so what was an empty mapping cannot be one again."""
    title = resource.replace("_", " ").capitalize()
    back.notes += [
        f"{title}: {path} is not in the snapshot and stays." for path in added(require, current)
    ]
    kept, filled = without_filled(require, current)
    back.left += [
        f"{title}: {path} was empty in the snapshot and is not by now; no write takes out what it holds."
        for path in filled
    ]
    return kept


def without_filled(
    held: Mapping[str, t.Any], current: t.Any, path: tuple[str, ...] = ()
) -> tuple[Values, list[str]]:
    """The values without mappings that were empty and are not any more, and the paths of these."""
    kept: Values = {}
    filled: list[str] = []
    for name, value in held.items():
        now = current.get(name) if isinstance(current, Mapping) else None
        if isinstance(value, Mapping) and not value and isinstance(now, Mapping) and now:
            filled.append(".".join((*path, str(name))))
        elif isinstance(value, Mapping) and value:
            inner, deeper = without_filled(value, now, (*path, str(name)))
            filled += deeper
            if inner:  # an empty one would ask for just that
                kept[name] = inner
        else:
            kept[name] = value
    return kept, filled


def one_by_one(control: Values, items: Iterable[Values]) -> list[Values]:
    """A control for each channel or rule, so that each has a verdict of its own."""
    return [
        {
            **control,
            "id": f"{control.get('id') or control['resource']}: {item['name']}",
            "require": {"present": [item]},
        }
        for item in items
    ]


def parse_snapshot(snapshot: t.Any) -> list[Values]:
    """The controls of a snapshot.

    :raises InvalidOption: if it holds none.
    """
    controls = snapshot.get("controls") if isinstance(snapshot, Mapping) else None
    if not isinstance(controls, list) or not controls:
        raise InvalidOption(
            "it is no mapping with a list of controls, as planasonix.admin.harden and planasonix.admin.export write it."
        )
    for control in controls:
        if (
            not isinstance(control, Mapping)
            or not isinstance(control.get("require"), Mapping)
            or "resource" not in control
        ):
            raise InvalidOption("each of its controls must have resource and require.")
        for name in ("entries", "present"):
            key = "cidr" if name == "entries" else "name"
            items = control["require"].get(name, [])
            if not isinstance(items, list) or not all(
                isinstance(item, Mapping) and key in item for item in items
            ):
                raise InvalidOption(
                    f"{name} of {control['resource']} must be a list of mappings that have {key}."
                )
    return controls


def settings_back(control: Values, current: Values) -> list[Values]:
    """The settings, with single sign-on by itself: where the plan no longer includes it, the others are put back all the same."""
    name = "require_sso"
    require = control["require"]
    if require.get(name) is not True:
        return [control]
    single = (
        []
        if current.get(name) is True
        else [
            {**control, "id": f"{control.get('id') or 'settings'}-{name}", "require": {name: True}}
        ]
    )
    others = without(require, name)
    return ([{**control, "require": others}] if others else []) + single


def entries_back(items: Iterable[Values], back: Rollback) -> list[Values]:
    """The entries of the allowlist, one for each network. One without a label had none, which is not to mean that any will do."""
    entries: dict[str, Values] = {}
    doubled: dict[str, None] = {}
    for item in items:
        cidr = canonical(item["cidr"])
        doubled |= {cidr: None} if cidr in entries else {}
        if cidr not in entries or item.get("label"):
            entries[cidr] = {"label": "", **item}
    back.notes += [
        f"IP allowlist: {cidr} is listed more than once in the snapshot, and once is enough."
        for cidr in doubled
    ]
    return list(entries.values())


def once_each(items: Iterable[Values]) -> list[Values]:
    """The objects by name. Of namesakes nobody can tell which is which, so the name alone is left, which keeps them where they are."""
    by_name: dict[str, Values] = {}
    for item in items:
        by_name[item["name"]] = {"name": item["name"]} if item["name"] in by_name else item
    return list(by_name.values())


def channels_back(
    items: Iterable[Values], current: Iterable[Values], back: Rollback
) -> list[Values]:
    """What to require of the channels of the snapshot, those that cannot be made again left out."""
    current = tuple(current)
    channels = [channel_back(item, current, back) for item in once_each(items)]
    return [channel for channel in channels if channel is not None]


def channel_back(item: Values, current: Iterable[Values], back: Rollback) -> Values | None:
    """What to require of a channel of the snapshot; ``None`` if it cannot be made again.

    A hidden secret is kept where the channel is there. Where it has to be made, only the user has it.
    """
    name = item["name"]
    hidden = sorted(
        key for key, value in item.get("secret_config", {}).items() if is_placeholder(value)
    )
    found = [channel for channel in current if channel["name"] == name]
    if not found and not hidden:
        return item
    if not found:
        back.left.append(
            f"The notification channel {name!r} is gone and cannot be made again, since the snapshot does not hold {told(name, hidden)}."
        )
        return None
    kind = found[0].get("type")
    if same_type(kind, item.get("type")) or len(found) > 1:
        back.secrets += [f"{name}.{key}" for key in sorted(item.get("secret_config", {}))]
        held = merged(item.get("config", {}), item.get("secret_config", {}))
        paths = added(held, found[0].get("config")) if "config" in item else []
        back.notes += [
            f"Notification channel {name!r}: {path} of its config is not in the snapshot and stays."
            for path in paths
        ]
        return item
    if not hidden:
        return {**item, "replace": True}
    back.left.append(
        f"The notification channel {name!r} is of type {kind!r} by now and cannot be made again as {item['type']!r}, "
        f"since the snapshot does not hold {told(name, hidden)}."
    )
    return {"name": name}  # so that it is not taken for a new one, and removed


def told(name: str, hidden: Sequence[str]) -> str:
    """The secrets that a channel lacks, and where they are to be put."""
    placeholders = " and ".join(f"PLACEHOLDER:{name}.{key}" for key in hidden)
    return f"{', '.join(hidden)}: put the real value in the place of {placeholders} there"


def rules_back(
    items: Sequence[Values],
    current: Sequence[Values],
    gone: set[str],
    back: Rollback,
    channels: Iterable[Values] | None = None,
) -> list[Values]:
    """What to require of the rules: those of the snapshot as they were, and those that came later disabled, since the API cannot delete them.

    :param gone: Channels of the snapshot that cannot be made again.
    :param channels: The channels that there are; ``None`` if they could not be read.
    """
    required: list[Values] = []
    names = {item["name"] for item in items}
    for name in dict.fromkeys(item["name"] for item in items):
        namesakes = [item for item in items if item["name"] == name]
        if len(namesakes) == 1:
            required += rule_back(namesakes[0], gone, back)
        elif not same(namesakes, [exported_rule(rule) for rule in current if rule["name"] == name]):
            back.left.append(
                f"Several notification rules are named {name!r} in the snapshot, so they stay as they are."
            )
    later = {
        rule["name"]: rule
        for rule in current
        if rule["name"] not in names and rule.get("enabled") is not False
    }
    ids = None if channels is None else {str(channel.get("id")) for channel in channels}
    required += [disable_newer_rule(rule, ids) for rule in later.values()]
    back.notes += [
        f"The notification rule {name!r} is newer than the snapshot and is disabled, "
        "since the API cannot delete it."
        for name in later
    ]
    return required


def disable_newer_rule(rule: Values, channel_ids: Collection[str] | None) -> Values:
    """Return what to require of a rule that is newer than the snapshot: that it is disabled.

    Many APIs refuse a rule whose channel is gone, even if the rule is to be disabled. Such a
    channel is left out if the rule has another one.

    :param channel_ids: Ids of the channels that there are; ``None`` if they could not be read.
    """
    disabled = {"name": rule["name"], "enabled": False}
    used = list(zip(rule.get("channels") or (), rule.get("channel_ids") or (), strict=False))
    there = [
        channel
        for channel, item in used
        if channel_ids is None or str(extract_id(item)) in channel_ids
    ]
    if there and len(there) < len(used):
        disabled["channels"] = there
    return disabled


def rule_back(item: Values, gone: set[str], back: Rollback) -> list[Values]:
    """What to require of one rule; nothing if none of its channels can be there."""
    lost = [name for name in item.get("channels", []) if name in gone]
    if not lost:
        return [item]
    rest = [name for name in item["channels"] if name not in gone]
    which = f"the notification channel {', '.join(map(repr, lost))}"
    if not rest:
        back.left.append(
            f"The notification rule {item['name']!r} stays as it is, since it sends through {which} alone."
        )
        return []
    back.left.append(f"The notification rule {item['name']!r} is put back without {which}.")
    return [{**item, "channels": rest}]


def added(held: Values, current: t.Any, path: tuple[str, ...] = ()) -> list[str]:
    """The values that a snapshot does not hold, by their paths. Writes merge mappings, so they stay; one that is empty does not count."""
    paths = []
    for name, value in current.items() if isinstance(current, Mapping) else ():
        if name not in held:
            paths += [] if value is None else [".".join((*path, str(name)))]
        elif isinstance(held[name], Mapping) and held[name]:
            paths += added(held[name], value, (*path, str(name)))
    return paths


def rollback_outcome(back: Rollback, result: Values, check_mode: bool) -> dict[str, list[str]]:
    """What to tell of a rollback: ``notes``, and ``left``, what should be back and is not.

    :param result: What ``planasonix_baseline`` returned for the controls.
    :param check_mode: Whether it did so in check mode, where what it would put back is not back yet.
    """
    secrets = (
        [
            f"Nobody can compare these secrets with the snapshot, so they stay as they are now: {', '.join(back.secrets)}."
        ]
        if back.secrets
        else []
    )
    left = back.left + [
        text for control in result["controls"] for text in unmet(control, check_mode)
    ]
    return {"notes": secrets + back.notes, "left": list(dict.fromkeys(left))}


def unmet(control: Values, check_mode: bool) -> list[str]:
    """Why a control does not hold after the baseline, or in check mode would not."""
    if control["status"] not in ("fail", "error", "not_entitled"):
        return []
    reasons: list[str] = control["unremedied"]
    if reasons or (check_mode and control["status"] == "fail" and control["remediable"]):
        return reasons
    return [control["detail"]]
