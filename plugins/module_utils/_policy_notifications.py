# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policies of notification channels and rules. Rules name channels, so one plan is for both.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._bounds import make_conflict
from ansible_collections.planasonix.admin.plugins.module_utils._channel_writes import CHANNEL
from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    CHANNEL_OPTIONS,
    Channels,
    check_secrets_given,
    same_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._controls import conform_list
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    FieldTable,
    has_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_placeholder
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    read_label,
    require_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    as_text,
    merge,
    same,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Draft,
    Organization,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._rules import (
    RULE,
    RULE_OPTIONS,
    Rules,
)

CHANNEL_FIELDS: FieldTable = {
    name: CHANNEL_OPTIONS[name]
    for name in ("type", "config", "secret_config", "enabled", "replace")
} | {"name": RULE_OPTIONS["name"]}
"""What a control may require of a channel: the module's options, but for those of one run."""

CHANNELS_REQUIRE: FieldTable = {"present": {"type": "list"}, "purge": {"type": "bool"}}
RULES_REQUIRE: FieldTable = {"present": {"type": "list", "required": True}}
CENSORED = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


# Parsing and merging.


def parse_channels(require: t.Any, where: str) -> tuple[Values, dict[t.Any, t.Any]]:
    """Return what a control requires of channels.

    :raises InvalidOption: if it cannot be understood.
    """
    return conform_list(require, CHANNELS_REQUIRE, "present", CHANNEL_FIELDS, where), {}


def parse_rules(require: t.Any, where: str) -> tuple[Values, dict[t.Any, t.Any]]:
    """Return what a control requires of rules.

    :raises InvalidOption: if it cannot be understood.
    """
    return conform_list(require, RULES_REQUIRE, "present", RULE_OPTIONS, where), {}


def censor_channels(require: t.Any) -> t.Any:
    """Return what a control requires, as the user wrote it, without the secrets of channels."""
    present = require.get("present") if isinstance(require, Mapping) else None
    if not isinstance(present, list):
        return require
    return {**require, "present": [censor_channel(item) for item in present]}


def censor_channel(item: t.Any) -> t.Any:
    """Return a channel without its secrets. A placeholder is none."""
    if not isinstance(item, Mapping) or not isinstance(item.get("secret_config"), Mapping):
        return item
    shown: Values = {}
    for key, value in item["secret_config"].items():
        is_shown = isinstance(value, str) and is_placeholder(value)
        shown[key] = value if is_shown else CENSORED
    return {**item, "secret_config": shown}


def need_rules(control: Control) -> tuple[str, ...]:
    """Return the subset that says which channels are used, for a control that may delete some."""
    replaces = any(item.get("replace") for item in control.require.get("present", []))
    return ("notification_rules",) if control.require.get("purge") or replaces else ()


def need_channels(dummy_control: Control) -> tuple[str, ...]:
    """Return the subset with the channels that rules name."""
    return ("notification_channels",)


def merge_objects(controls: Sequence[Control]) -> dict[str, tuple[Values, tuple[str, ...]]]:
    """Return the channels or rules that several controls require, each with the controls' ids.

    :raises InvalidOption: if two require different values of one, or one forbids what the other
        requires.
    """
    objects: dict[str, tuple[Values, tuple[str, ...]]] = {}
    seen: list[tuple[str, Values]] = []
    for control in controls:
        for item in control.require.get("present", []):
            for other_id, other in seen:
                check_items(other_id, other, control.id, item)
            seen.append((control.id, item))
            wanted, ids = objects.get(item["name"], ({}, ()))
            if control.id not in ids:
                ids = (*ids, control.id)
            objects[item["name"]] = (merge(wanted, item), ids)
    for control in controls:
        if not control.require.get("purge"):
            continue
        own = {item["name"] for item in control.require.get("present", [])}
        for name, (_item, ids) in objects.items():
            if name not in own:
                reason = "one requires it, and the other that there is nothing but its own"
                raise make_conflict(control.id, ids[0], (name,), reason)
    return objects


def check_items(other_id: str, other: Values, control_id: str, item: Values) -> None:
    """Refuse different values of one channel or rule.

    :raises InvalidOption: with the ids of the controls.
    """
    if other["name"] != item["name"]:
        return
    for key in item.keys() & other.keys():
        if not same(merge(other[key], item[key]), merge(item[key], other[key])):
            reason = f"{as_text(other[key])} and {as_text(item[key])}"
            if key == "secret_config":
                reason = "two secrets"
            raise make_conflict(other_id, control_id, (item["name"], key), reason)


# Evaluating.


def evaluate_channels(control: Control, organization: Organization) -> tuple[t.Any, list[str]]:
    """Return the channels that are required or not allowed, and what is wrong.

    A channel without a name is left alone: no control can allow it.
    """
    channels = organization.values["notification_channels"]
    require_names(channels, "notification channel")
    items = control.require.get("present", [])
    names = [item["name"] for item in items]
    texts: list[str] = []
    for item in items:
        options = {"state": "present", **item}
        texts += explain_object(CHANNEL, channels_state(organization), options)
    extra = []
    if control.require.get("purge"):
        extra = [read_name(channel) for channel in find_unlisted(channels, names)]
    texts += [f"notification channel {name!r} is not allowed" for name in extra]
    return select_objects(channels, [*names, *extra], ("type", "name", "enabled")), texts


def evaluate_rules(control: Control, organization: Organization) -> tuple[t.Any, list[str]]:
    """Return the rules that are required, and what is wrong.

    They may name channels that the same controls require, and that are yet to be created.
    """
    rules = organization.values["notification_rules"]
    state = Rules(
        tuple(rules), (*organization.values["notification_channels"], *find_pending(organization))
    )
    items = control.require["present"]
    texts: list[str] = []
    for item in items:
        texts += explain_object(RULE, state, item)
    names = [item["name"] for item in items]
    return select_objects(rules, names, ("name", "event", "enabled")), texts


def find_pending(organization: Organization) -> list[Values]:
    """Return the channels that controls require and that are not there."""
    listed = {read_name(channel) for channel in organization.values["notification_channels"]}
    required: set[str] = set()
    for control in organization.controls:
        if control.resource == "notification_channels":
            required |= {item["name"] for item in control.require.get("present", ())}
    return [pending_channel(name) for name in sorted(required - listed)]


def pending_channel(name: str) -> Values:
    """Return what stands for a channel that is yet to be created, whose id is not known."""
    return {"id": f"(new) {name}", "name": name}


def find_unlisted(channels: Iterable[Values], names: Sequence[str]) -> list[Values]:
    """Return the channels that have a name which is not among those that may stay."""
    return [channel for channel in channels if read_name(channel) not in (None, *names)]


def select_objects(
    items: Iterable[Values], names: Sequence[str | None], fields: Sequence[str]
) -> list[Values]:
    """Return some fields of the channels or rules with these names."""
    selected = []
    for item in items:
        name = read_name(item)
        if name is not None and name in names:
            selected.append({field: item[field] for field in fields if field in item})
    return selected


def explain_object(resource: Resource, state: t.Any, options: Values) -> list[str]:
    """Return why one channel or rule is not as required: the change, or why there can be none."""
    try:
        resource.check(options)
        plan = resource.make_plan(state, options)
    except (InvalidOption, RefusedPlan) as error:
        return [error.message]
    if plan.result.get("not_compared"):
        return [plan.message.removeprefix("no change: ")]
    if not plan.changed:
        return []
    return [plan.message if plan.before else f"{plan.message.rpartition(':')[0]} does not exist"]


def channels_state(organization: Organization) -> Channels:
    """Return the channels, with the rules where they were read."""
    rules = organization.values.get("notification_rules")
    channels = tuple(organization.values["notification_channels"])
    return Channels(channels, None if rules is None else tuple(rules))


# Planning.


def plan_channels(draft: Draft, controls: Sequence[Control]) -> None:
    """Plan the channels that are required.

    :raises InvalidOption: if a channel is to be created and a placeholder stands for its secret.
        That fails the whole task, since nothing that the organization has can be meant.
    """
    subset = "notification_channels"
    state = channels_state(draft.organization)
    for name, (item, ids) in merge_objects(controls).items():
        channels = draft.values[subset]
        is_new = is_created(item, channels)
        if is_new:
            check_secrets_given(item)
        options = {"state": "present", **item}
        plan = draft.try_to_plan(CHANNEL, state, options, ids, (subset, name))
        if plan is not None and plan.changed and is_new:
            others = [channel for channel in channels if not has_name(channel, name)]
            draft.values[subset] = [*others, pending_channel(name) | plan.predicted]


def is_created(item: Values, channels: Iterable[Values]) -> bool:
    """Return whether a channel that is required is not there, or is to be replaced."""
    found = [channel for channel in channels if has_name(channel, item["name"])]
    if not found:
        return True
    kind = item.get("type")
    return (
        bool(item.get("replace")) and kind is not None and not same_type(found[0].get("type"), kind)
    )


def plan_rules(draft: Draft, controls: Sequence[Control]) -> None:
    """Plan the rules that are required, over the channels that there will be."""
    subset = "notification_rules"
    channels = tuple(draft.values["notification_channels"])
    for name, (item, ids) in merge_objects(controls).items():
        rules = draft.values[subset]
        state = Rules(tuple(rules), channels)
        plan = draft.try_to_plan(RULE, state, item, ids, (subset, name), is_foreseen=True)
        if plan is not None:
            others = [rule for rule in rules if not has_name(rule, name)]
            old: Values = next((rule for rule in rules if has_name(rule, name)), {})
            draft.values[subset] = [*others, {**old, **plan.predicted}]


def plan_channel_removals(draft: Draft, controls: Sequence[Control]) -> None:
    """Plan the removal of channels that are not allowed and that no rule uses by then."""
    subset = "notification_channels"
    state = Channels(tuple(draft.values[subset]), tuple(draft.values.get("notification_rules", ())))
    for control in controls:
        if not control.require.get("purge"):
            continue
        names = [item["name"] for item in control.require.get("present", [])]
        for channel in find_unlisted(draft.organization.values[subset], names):
            options = {"state": "absent", "channel_id": channel["id"]}
            place = (subset, read_label(channel))
            draft.try_to_plan(CHANNEL, state, options, (control.id,), place)
