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
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    FieldTable,
    has_name,
    read_name,
)
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

if t.TYPE_CHECKING:
    pass

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


def find_channel_ids(
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


def read_filters(rule: Values) -> Values:
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
    """Plan the creation of a rule, or its replacement. What the task leaves out keeps its value.

    :raises InvalidOption: if several rules have the name, a channel is unknown, or a new rule
        lacks its event or channels.
    """
    found = find_rule(current.rules, options["name"])
    if found is None:
        return plan_creation(current, options)
    subject = f"notification rule {options['name']!r}"
    changes = find_changes(subject, found, current.channels, options)
    if not changes:
        before = select_managed(found, current.channels)
        predicted = with_channel_names(found, current.channels)
        message = "no change" + explain_extra(found, options)
        return Plan(before, before, predicted=predicted, message=message)
    for name in ("name", "event", "enabled"):
        require_field(found, name, subject)
    read_kept_ids(found, subject)
    # The API may give the rule that it replaces another id.
    rule = without(found, "id", "created_at") | changes
    return build_plan(current, found, rule, options["name"])


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
        "channel_ids": find_channel_ids(current.channels, options["channels"], ()),
        "filters": drop_null(options.get("filters", {})),
        "enabled": options.get("enabled", True),
    }
    return build_plan(current, {}, rule, name)


def build_plan(current: Rules, found: Values, rule: Values, name: str) -> Plan:
    """Return the plan of one rule. Its basis is all rules, to see whether they stay."""
    before = select_managed(found, current.channels) if found else {}
    after = select_managed(rule, current.channels)
    action, verb = ("update", "replace") if found else ("create", "create")
    text = f"{verb} the notification rule {rule['name']!r}"
    texts = differences(before, after) if found else ["created"]
    return Plan(
        before,
        after,
        predicted=with_channel_names(rule, current.channels),
        message=describe(f"notification rule {name!r}", texts),
        changes=(Change(action, RESOURCE, text, name, before, after),),
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
        desired["channel_ids"] = find_channel_ids(channels, options["channels"], kept)
    changes = {
        name: value for name, value in desired.items() if is_changed(found, name, value, subject)
    }
    if "filters" in options:
        filters, wanted = read_filters(found), options["filters"]
        if find_unapplied_filters({}, filters, wanted) or find_obsolete_filters(filters, wanted):
            changes["filters"] = drop_null(wanted)
    return changes


def read_kept_ids(rule: Values, subject: str) -> list[t.Any]:
    """Return the ids of the channels of a rule that is there."""
    require_field(rule, "channel_ids", subject)
    return read_channel_ids(rule)


def is_changed(rule: Values, name: str, desired: t.Any, subject: str) -> bool:
    """Return whether a field of a rule is not as desired."""
    if name == "channel_ids":
        return set(map(str, read_kept_ids(rule, subject))) != set(map(str, desired))
    if name == "enabled":
        return read_flag(rule, name, subject) is not read_flag({name: desired}, name, subject)
    return not is_alike(require_field(rule, name, subject), desired)


def drop_null(filters: Mapping[str, t.Any]) -> Values:
    """Return filters without what is null, which takes a filter away."""
    return {name: value for name, value in filters.items() if value is not None}


def is_empty(value: t.Any) -> bool:
    """Return whether a filter filters nothing: APIs list such filters or leave them out."""
    return value is UNSET or value is None or value in ("", [], {})


def find_unapplied_filters(
    before: Values, now: Values, desired: Mapping[str, t.Any]
) -> list[Mismatch]:
    """Return the filters that are not as desired. Unnamed filters do not count."""
    mismatches = []
    for name, value in desired.items():
        new = now.get(name, UNSET)
        if not (is_empty(new) and is_empty(value)) and not is_alike_filter(new, value):
            mismatches.append(
                build_mismatch(f"filters.{name}", before.get(name, UNSET), value, new)
            )
    return mismatches


def is_alike_filter(current: t.Any, desired: t.Any) -> bool:
    """Return whether a filter is as desired; of a mapping, keys that the API adds do not count."""
    if isinstance(current, Mapping) and isinstance(desired, Mapping):
        return all(is_alike_filter(current.get(key), value) for key, value in desired.items())
    return is_alike(current, desired)


def find_obsolete_filters(filters: Values, desired: Mapping[str, t.Any]) -> list[str]:
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
    named = options.get("filters")
    if named is None:
        return ""
    texts = [
        f"{name} {value!r}"
        for name, value in sorted(read_filters(rule).items())
        if name not in named and not is_empty(value)
    ]
    extra = ", ".join(texts)
    return f" (filters has {extra}, which the task does not name; it stays)" if extra else ""


def select_managed(rule: Values, channels: Iterable[Values]) -> Values:
    """Return what the module manages, for the diff: channels by name."""
    fields = with_channel_names(rule, channels) | {"filters": read_filters(rule)}
    return {
        name: fields[name]
        for name in ("name", "event", "channels", "filters", "enabled")
        if name in fields
    }
