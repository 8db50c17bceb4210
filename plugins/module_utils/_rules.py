# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification rules: what a task asks for, planned.

Endpoint: ``/api/notifications/rules``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    RULES_PATH,
    is_alike,
    read_channel_ids,
    read_channel_list,
    read_flag,
    read_rules,
    require_names,
    with_channel_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Mismatch,
    Plan,
    Values,
    describe,
    differences,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Write,
    require_field,
    same_id,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

RULE_FIELDS = ("name", "event", "channel_ids", "filters", "enabled")
"""What the documented POST of a rule takes."""

RULE_OPTIONS: FieldTable = {
    "name": {"type": "str", "required": True},
    "event": {"type": "str"},
    "channels": {"type": "list", "elements": "str"},
    "filters": {"type": "dict"},
    "enabled": {"type": "bool"},
}

DOCUMENTED_FILTERS = frozenset({"pipeline_ids", "threshold"})
"""Filters that no API is known to add by itself."""


@dataclass(frozen=True)
class Rules:
    """What is known of the rules.

    :param rules: As listed, each with an id.
    :param channels: The channels that rules may send to.
    """

    rules: tuple[Values, ...]
    channels: tuple[Values, ...]


def read_rules_and_channels(client: Client, dummy_options: Values) -> Rules:
    """Read ``GET /api/notifications/rules`` and ``GET /api/notifications/channels``."""
    return Rules(read_rules(client), read_channel_list(client))


def find_rule(rules: Iterable[Values], name: str) -> Values | None:
    """Return the rule with a name.

    :raises InvalidOption: if several have it.
    """
    rules = tuple(rules)
    require_names(rules, "notification rule")
    found = [rule for rule in rules if has_name(rule, name)]
    if len(found) > 1:
        ids = ", ".join(str(rule["id"]) for rule in found)
        raise InvalidOption(
            f"Several notification rules are named {name!r}: {ids}; the API cannot remove a rule, "
            "so remove all but one in the product's UI."
        )
    return found[0] if found else None


def channel_ids_of(
    channels: Iterable[Values], wanted: Iterable[t.Any], kept: Iterable[t.Any]
) -> list[t.Any]:
    """Return the ids of channels that are named by id or by name, as the API spells them.

    :param kept: Ids that the rule has already; one of a channel that is gone may stay.
    :raises InvalidOption: if there is no such channel, or several.
    """
    channels, kept = tuple(channels), tuple(kept)
    ids: list[t.Any] = []
    for name in wanted:
        found = [
            channel["id"]
            for channel in channels
            if has_name(channel, name) or same_id(channel["id"], name)
        ]
        found = found or [channel_id for channel_id in kept if same_id(channel_id, name)][:1]
        if not found:
            known = ", ".join(sorted(repr(read_name(channel)) for channel in channels)) or "none"
            raise InvalidOption(
                f"channels: no notification channel has the name or id {name!r}; there are: "
                f"{known}."
            )
        if len(found) > 1:
            raise InvalidOption(
                f"channels: several notification channels have the name or id {name!r}: "
                f"{', '.join(map(str, found))}; give the id of one."
            )
        if not any(same_id(found[0], other) for other in ids):
            ids.append(found[0])
    return ids


def spell_ids(ids: Iterable[t.Any], channels: Iterable[Values]) -> list[t.Any]:
    """Return ids as the list of channels spells them; one of a channel that is gone as it is."""
    spelled = {str(channel["id"]): channel["id"] for channel in channels}
    return [spelled.get(str(channel_id), channel_id) for channel_id in ids]


def filters_of(rule: Values) -> Values:
    """Return the filters of a rule; empty if the API leaves them out or gives null.

    :raises ApiError: if they have another shape.
    """
    filters = rule.get("filters")
    if filters is None or filters == []:
        return {}
    if not isinstance(filters, Mapping):
        raise ApiError(
            f"The API's answer for the notification rule {read_name(rule) or rule.get('id')!r} has "
            "filters that are no mapping."
        )
    return dict(filters)


# Planning.


def plan_rule(current: Rules, options: Values) -> Plan:
    """Plan ``POST /api/notifications/rules``, which creates a rule or replaces the one of its name.

    What is not given keeps its value.

    :raises InvalidOption: if several rules have the name, a channel is unknown, or a new rule
        lacks its event or channels.
    """
    found = find_rule(current.rules, options["name"])
    subject = f"notification rule {options['name']!r}"
    desired: Values = {name: options[name] for name in ("event", "enabled") if name in options}
    if "channels" in options:
        kept = read_kept_ids(found, subject) if found else []
        desired["channel_ids"] = channel_ids_of(current.channels, options["channels"], kept)
    if found is None:
        missing = [name for name in ("event", "channels") if name not in options]
        if missing:
            raise InvalidOption(
                f"The {subject} does not exist; {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} needed to create it."
            )
        filters = without_null(options.get("filters", {}))
        body = {"name": options["name"], "filters": filters, "enabled": True, **desired}
        return rule_plan(current, {}, body, body, f"{subject}: created")
    before = managed_rule(found, current.channels)
    changes = {
        name: value for name, value in desired.items() if is_changed(found, name, value, subject)
    }
    if "filters" in options:
        filters, wanted = filters_of(found), options["filters"]
        if filter_gaps({}, filters, wanted) or obsolete_filters(filters, wanted):
            changes["filters"] = without_null(wanted)
    if not changes:
        message = "no change"
        extra = uncompared_filters(found, options)
        if extra:
            message += f" (filters has {extra}, which the task does not name; it stays)"
        outcome = with_channel_names(found, current.channels)
        return Plan(before, before, predicted=outcome, message=message)
    body = kept_body(found, current.channels, subject) | changes
    # The API may give the rule that it replaces another id.
    outcome = without(found, "id", "created_at") | changes
    texts = differences(before, managed_rule(outcome, current.channels))
    return rule_plan(current, found, body, outcome, describe(subject, texts))


def read_kept_ids(rule: Values, subject: str) -> list[t.Any]:
    """Return the ids of the channels of a rule that is there."""
    require_field(rule, "channel_ids", subject)
    return read_channel_ids(rule)


def kept_body(rule: Values, channels: Iterable[Values], subject: str) -> Values:
    """Return the body that leaves a rule as it is."""
    body = {name: require_field(rule, name, subject) for name in ("name", "event", "enabled")}
    ids = spell_ids(read_kept_ids(rule, subject), channels)
    # Null says nothing, and an API that does not take it would refuse the rest.
    known = {name: value for name, value in body.items() if value is not None}
    return {**known, "channel_ids": ids, "filters": without_null(filters_of(rule))}


def is_changed(rule: Values, name: str, desired: t.Any, subject: str) -> bool:
    """Return whether a field of a rule is not as desired."""
    if name == "channel_ids":
        return set(map(str, read_kept_ids(rule, subject))) != set(map(str, desired))
    if name == "enabled":
        return read_flag(rule, name, subject) is not read_flag({name: desired}, name, subject)
    return not is_alike(require_field(rule, name, subject), desired)


def without_null(filters: Mapping[str, t.Any]) -> Values:
    """Return filters without what is null, which takes a filter away."""
    return {name: value for name, value in filters.items() if value is not None}


def is_empty(value: t.Any) -> bool:
    """Return whether a filter filters nothing: APIs list such filters or leave them out."""
    return value is UNSET or value is None or value in ("", [], {})


def filter_gaps(before: Values, now: Values, desired: Mapping[str, t.Any]) -> list[Mismatch]:
    """Return the filters that are not as desired. Unnamed filters do not count."""
    gaps = []
    for name, value in desired.items():
        new = now.get(name, UNSET)
        if not (is_empty(new) and is_empty(value)) and not is_alike_filter(new, value):
            gaps.append(Mismatch(f"filters.{name}", before.get(name, UNSET), value, new))
    return gaps


def is_alike_filter(current: t.Any, desired: t.Any) -> bool:
    """Return whether a filter is as desired; of a mapping, keys that the API adds do not count."""
    if isinstance(current, Mapping) and isinstance(desired, Mapping):
        return all(is_alike_filter(current.get(key), value) for key, value in desired.items())
    return is_alike(current, desired)


def obsolete_filters(filters: Values, desired: Mapping[str, t.Any]) -> list[str]:
    """Return the filters that have to go, since somebody set them and the task does not name them.

    A number or text of an undocumented filter could be a default that the API adds to each rule;
    taking it away in each run would never end.
    """
    return [
        name
        for name, value in filters.items()
        if name not in desired
        and not is_empty(value)
        and (name in DOCUMENTED_FILTERS or isinstance(value, (list, Mapping)))
    ]


def uncompared_filters(rule: Values, options: Values) -> str:
    """Return the filters that a task leaves as they are, though it does not name them, as text."""
    if "filters" not in options:
        return ""
    extra = {
        name: value
        for name, value in filters_of(rule).items()
        if name not in options["filters"] and not is_empty(value)
    }
    return ", ".join(f"{name} {value!r}" for name, value in sorted(extra.items()))


def rule_plan(current: Rules, found: Values, body: Values, outcome: Values, message: str) -> Plan:
    """Return the plan of one POST. Its basis is all rules, to see whether they stay."""
    action = f"{'replace' if found else 'create'} the notification rule {body['name']!r}"
    return Plan(
        managed_rule(found, current.channels) if found else {},
        managed_rule(outcome, current.channels),
        (Write("POST", RULES_PATH, body, action),),
        with_channel_names(outcome, current.channels),
        message,
        basis=current.rules,
    )


def managed_rule(rule: Values, channels: Iterable[Values]) -> Values:
    """Return what the module manages, for the diff: channels by name."""
    shown = with_channel_names(rule, channels) | {"filters": filters_of(rule)}
    return {
        name: shown[name]
        for name in ("name", "event", "channels", "filters", "enabled")
        if name in shown
    }
