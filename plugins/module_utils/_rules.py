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

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    build_mismatch,
    is_alike,
    read_channel_ids,
    read_flag,
    require_names,
    with_channel_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
    describe,
    differences,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    require_field,
    same_id,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

RESOURCE = "notification_rules"
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
    if found is None:
        return plan_creation(current, options)
    subject = f"notification rule {options['name']!r}"
    changes = find_changes(subject, found, current.channels, options)
    before = managed_rule(found, current.channels)
    if not changes:
        predicted = with_channel_names(found, current.channels)
        message = "no change" + explain_extra(found, options)
        return Plan(before, before, predicted=predicted, message=message)
    written = kept_fields(found, current.channels, subject) | changes
    text = f"replace the notification rule {written['name']!r}"
    written = managed_rule(written, current.channels)
    # The API may give the rule that it replaces another id.
    rule = without(found, "id", "created_at") | changes
    after = managed_rule(rule, current.channels)
    return Plan(
        before,
        after,
        predicted=with_channel_names(rule, current.channels),
        message=describe(subject, differences(before, after)),
        changes=(Change("update", RESOURCE, text, options["name"], before, written),),
        basis=current.rules,
    )


def find_changes(
    subject: str, found: Values, channels: tuple[Values, ...], options: Values
) -> Values:
    """Return the fields of a rule that a task changes.

    :raises InvalidOption: if a channel is unknown.
    """
    desired: Values = {name: options[name] for name in ("event", "enabled") if name in options}
    if "channels" in options:
        kept = read_kept_ids(found, subject)
        desired["channel_ids"] = channel_ids_of(channels, options["channels"], kept)
    changes = {
        name: value for name, value in desired.items() if is_changed(found, name, value, subject)
    }
    if "filters" in options:
        filters, wanted = filters_of(found), options["filters"]
        if filter_gaps({}, filters, wanted) or obsolete_filters(filters, wanted):
            changes["filters"] = without_null(wanted)
    return changes


def plan_creation(current: Rules, options: Values) -> Plan:
    """Plan a new rule.

    :raises InvalidOption: if a channel is unknown, or the task lacks the event or channels.
    """
    name = options["name"]
    missing = [option for option in ("event", "channels") if option not in options]
    if missing:
        raise InvalidOption(
            f"The notification rule {name!r} does not exist; {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} needed to create it."
        )
    rule = {
        "name": name,
        "event": options["event"],
        "channel_ids": channel_ids_of(current.channels, options["channels"], ()),
        "filters": without_null(options.get("filters", {})),
        "enabled": options.get("enabled", True),
    }
    after = managed_rule(rule, current.channels)
    text = f"create the notification rule {name!r}"
    return Plan(
        {},
        after,
        predicted=with_channel_names(rule, current.channels),
        message=f"notification rule {name!r}: created",
        changes=(Change("create", RESOURCE, text, name, after=after),),
        basis=current.rules,
    )


def read_kept_ids(rule: Values, subject: str) -> list[t.Any]:
    """Return the ids of the channels of a rule that is there."""
    require_field(rule, "channel_ids", subject)
    return read_channel_ids(rule)


def kept_fields(rule: Values, channels: Iterable[Values], subject: str) -> Values:
    """Return what leaves a rule as it is."""
    fields = {name: require_field(rule, name, subject) for name in ("name", "event", "enabled")}
    ids = spell_ids(read_kept_ids(rule, subject), channels)
    # Null says nothing, and an API that does not take it would refuse the rest.
    known = {name: value for name, value in fields.items() if value is not None}
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
            gaps.append(build_mismatch(f"filters.{name}", before.get(name, UNSET), value, new))
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


def explain_extra(rule: Values, options: Values) -> str:
    """Say which filters a task leaves as they are, though it does not name them."""
    if "filters" not in options:
        return ""
    texts = [
        f"{name} {value!r}"
        for name, value in sorted(filters_of(rule).items())
        if name not in options["filters"] and not is_empty(value)
    ]
    if not texts:
        return ""
    return f" (filters has {', '.join(texts)}, which the task does not name; it stays)"


def managed_rule(rule: Values, channels: Iterable[Values]) -> Values:
    """Return what the module manages, for the diff: channels by name."""
    shown = with_channel_names(rule, channels) | {"filters": filters_of(rule)}
    return {
        name: shown[name]
        for name in ("name", "event", "channels", "filters", "enabled")
        if name in shown
    }
