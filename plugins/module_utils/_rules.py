# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification rules: planned, written and confirmed, while other rules are kept from harm.

Endpoint: ``/api/notifications/rules``. Its POST is documented as "create or replace notification
rules". An API may understand that as the set of all rules, so the other rules are compared after
each write.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    NotApplied,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    FieldTable,
    has_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    RULES_PATH,
    build_mismatch,
    extract_id,
    is_alike,
    read_channel_ids,
    read_channel_list,
    read_flag,
    read_label,
    read_rules,
    require_names,
    resembles,
    with_channel_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
    describe,
    list_differences,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    create_once,
    looks,
    require_field,
    same_id,
    send,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

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
    texts = list_differences(before, after) if found else ["created"]
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


class ChannelIsGone(ApiError):
    """The API refused a rule that names a deleted channel; nothing was written."""


def read_rules_and_channels(client: Client, dummy_options: Values) -> Rules:
    """Read ``GET /api/notifications/rules`` and ``GET /api/notifications/channels``."""
    return Rules(read_rules(client), read_channel_list(client))


def build_rule(change: Change, options: Values, known: Rules) -> Values:
    """Return the body of a change.

    :param known: The rules as they were before it, and the channels, with those that earlier
        changes created.
    """
    old = find_replaced(known.rules, change.object)
    ids = spell_ids(read_channel_ids(old), known.channels)
    if "channels" in options:
        ids = find_channel_ids(known.channels, options["channels"], ids)
    # Null says nothing, and an API that does not take it would refuse the rest.
    fields = drop_null({name: change.after.get(name) for name in RULE_FIELDS})
    return {**fields, "channel_ids": ids, "filters": drop_null(fields["filters"])}


def spell_ids(ids: Iterable[t.Any], channels: Iterable[Values]) -> list[t.Any]:
    """Return ids as the list of channels spells them; one of a channel that is gone as it is."""
    spelled = {str(channel["id"]): channel["id"] for channel in channels}
    return [spelled.get(str(channel_id), channel_id) for channel_id in ids]


def request_rule(change: Change, options: Values, known: Rules) -> Write:
    """Return the POST of a change, which creates a rule or replaces the one of its name."""
    return Write("POST", RULES_PATH, build_rule(change, options, known), change.text)


def apply_rule(client: Client, plan: Plan, current: Rules, options: Values) -> Applied:
    """Send the plan; if the answer is lost, the list shows whether the rule is as asked for.

    :raises ChannelIsGone: if the API refuses the rule, which names a deleted channel.
    """
    if not plan.changes:
        return Applied()
    change = plan.changes[0]
    request = request_rule(change, options, current)

    def find() -> list[Values]:
        rules = read_rules(client)
        return [
            rule
            for rule in rules
            if has_name(rule, change.object) and not find_unapplied(rule, change, options, current)
        ]

    try:
        create_once(client, request, find, deletable=False)
    except ApiError as error:
        known = {str(channel["id"]) for channel in current.channels}
        gone = [str(one) for one in request.body["channel_ids"] if str(one) not in known]
        if gone and error.status in (400, 404, 409, 422):
            raise ChannelIsGone(
                f"{error.message} The rule names {', '.join(gone)}, a channel that no longer "
                "exists: give channels.",
                **error.details,
            ) from error
        if not error.did_nothing:
            note_lost_rules(client, plan, error)
        raise
    return Applied()


def note_lost_rules(client: Client, plan: Plan, error: ApiError) -> None:
    """Add to an error what its write did to other rules, if anything."""
    lost: list[Values] = []
    with contextlib.suppress(ApiError):
        lost = find_lost(read_rules(client), plan)
    if lost:
        error.message += f" Other rules are gone or changed: {list_names(lost)}."
        error.details["lost_rules"] = lost


# Reading back.


def verify_rules(current: Rules, plan: Plan, options: Values) -> list[Mismatch | str]:
    """Return what the API does not show of a plan, and which other rules are not as before."""
    found = [rule for rule in current.rules if has_name(rule, options["name"])]
    texts: list[Mismatch | str] = [
        f"the notification rule {read_label(rule)!r} is gone or changed"
        for rule in find_lost(current.rules, plan)
    ]
    if not found:
        return [*texts, f"{options['name']!r} is not listed"]
    if len(found) > 1:
        return [*texts, f"{options['name']!r} is listed {len(found)} times"]
    known = Rules(plan.basis, current.channels)
    return [*texts, *find_unapplied(found[0], plan.changes[0], options, known)]


def find_unapplied(rule: Values, change: Change, options: Values, known: Rules) -> list[Mismatch]:
    """Return the fields that are not as the task asks for, or that were not kept.

    What the API adds to the filters, and what it makes of a field that a new rule does not name,
    does not count.
    """
    body = build_rule(change, options, known)
    before = find_replaced(known.rules, change.object)
    subject = f"notification rule {change.object!r}"
    mismatches = []
    for name in ("event", "channel_ids", "enabled"):
        is_named = ("channels" if name == "channel_ids" else name) in options
        if name not in body or not (is_named or name in before):
            continue
        if is_changed(rule, name, body[name], subject):
            old, new = before.get(name, UNSET), rule.get(name, UNSET)
            mismatches.append(build_mismatch(name, old, body[name], new))
    old_filters, now = read_filters(before), read_filters(rule)
    wanted = options["filters"] if "filters" in options else body["filters"]
    mismatches += find_unapplied_filters(old_filters, now, wanted)
    for name in find_obsolete_filters(old_filters, body["filters"]):
        if is_alike(now.get(name, UNSET), old_filters[name]):
            mismatches.append(Mismatch(f"filters.{name}", old_filters[name], UNSET, now[name]))
    return mismatches


def find_replaced(rules: Iterable[Values], name: str) -> Values:
    """Return the rule that a change replaces; empty if it creates one."""
    return next((rule for rule in rules if has_name(rule, name)), {})


def find_lost(rules: Sequence[Values], plan: Plan) -> list[Values]:
    """Return the other rules that are gone or changed since the plan was made, as they were.

    A rule that has another id now is not lost.
    """
    written = plan.changes[0].object
    lost = []
    for rule in plan.basis:
        if has_name(rule, written):
            continue
        now = [other for other in rules if same_id(other["id"], rule["id"])]
        now = now or [other for other in rules if read_name(other) == read_name(rule)]
        if not is_listed(now, rule):
            lost.append(rule)
    return lost


def select_settings(rule: Values) -> Values:
    """Return what a POST can set of a rule, as far as it says anything."""
    settings = {name: rule.get(name) for name in RULE_FIELDS} | {"name": read_name(rule)}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            settings[name] = {key: one for key, one in value.items() if not is_empty(one)}
        elif isinstance(value, list) and name == "channel_ids":
            settings[name] = [str(extract_id(item) or item) for item in value]
    return {name: value for name, value in settings.items() if not is_empty(value)}


def list_names(rules: Iterable[Values]) -> str:
    """Return the names of rules as text."""
    return ", ".join(repr(read_label(rule)) for rule in rules) or "none"


def explain_rule(client: Client, plan: Plan, current: t.Any, options: Values) -> None:
    """Say why a write does not show, and restore other rules that it took away.

    :raises NotApplied: with the particulars, if there is more to say than that.
    """
    if current is None:
        return
    lost = find_lost(current.rules, plan)
    if lost:
        restore_rules(client, plan, lost, current)
    name = options["name"]
    found = [rule for rule in current.rules if has_name(rule, name)]
    if len(found) > 1:
        ids = ", ".join(str(rule["id"]) for rule in found)
        raise NotApplied(
            f"The API left the old notification rule {name!r} beside the new one: {ids}; it cannot "
            "remove one, so remove all but the new one in the product's UI."
        )
    old_ids = {str(rule["id"]) for rule in plan.basis}
    new = [rule for rule in current.rules if str(rule["id"]) not in old_ids]
    renamed = [read_name(rule) for rule in new if resembles(rule, name)]
    if not found and renamed:
        raise NotApplied(
            f"The API stores the name of the notification rule {name!r} as {renamed[0]!r}. The "
            f"rule is there; write {renamed[0]!r} in the task."
        )


def restore_rules(client: Client, plan: Plan, lost: list[Values], current: Rules) -> t.NoReturn:
    """Restore rules that the write of another one took away, and say so.

    Where each write replaces the whole set, restoring one rule takes away the next. So it stops at
    the first that does.

    :raises NotApplied: with the names; with the rules that are still lost in ``lost_rules``.
    """
    name = plan.predicted["name"]
    rules: Sequence[Values] = current.rules
    for rule in lost:
        if read_name(rule) is None:
            continue
        others = [other for other in rules if not has_name(other, read_name(rule))]
        try:
            rules = write_again(client, rule, current.channels, [*others, rule])
        except ApiError:
            with contextlib.suppress(ApiError):
                rules = read_rules(client)
        if not all(is_listed(rules, other) for other in others):
            break
    left = [rule for rule in lost if not is_listed(rules, rule)]
    label = f"the notification rule {name!r}"
    is_written = any(has_name(rule, name) for rule in rules)
    if is_written and not left:
        raise NotApplied(
            f"Writing {label} also removed or changed other rules: {list_names(lost)}. They were "
            "restored. Manage the rules in the product's UI, since this can happen again."
        )
    if not is_written:
        left = [*left, plan.predicted]
    raise NotApplied(
        f"The API replaced other rules when {label} was written, so this collection cannot manage "
        f"them. There are now: {list_names(rules)}. Lost: {list_names(left)}; create them again in "
        "the product's UI, as lost_rules of this result lists them.",
        lost_rules=left,
    )


def write_again(
    client: Client, rule: Values, channels: Iterable[Values], expected: Sequence[Values]
) -> Sequence[Values]:
    """Write a rule as it was; returns the rules, once they are all listed or will not be."""
    label = read_label(rule)
    body = {name: rule[name] for name in RULE_FIELDS if rule.get(name) is not None}
    ids = spell_ids(read_channel_ids(rule), channels)
    body |= {"channel_ids": ids, "filters": read_filters(rule)}
    send(client, Write("POST", RULES_PATH, body, f"restore the notification rule {label!r}"))
    rules: Sequence[Values] = ()
    for _look in looks(client):
        rules = read_rules(client)
        if all(is_listed(rules, other) for other in expected):
            break
    return rules


def is_listed(rules: Iterable[Values], rule: Values) -> bool:
    """Return whether a rule is among others with all that a POST can set, whatever its id is."""
    return any(is_alike(select_settings(other), select_settings(rule)) for other in rules)


def return_rule(current: Rules, options: Values) -> Values:
    """Return the rule as it now is, with the names of its channels."""
    rule = find_rule(current.rules, options["name"])
    return {} if rule is None else with_channel_names(rule, current.channels)


RULE = Resource(
    "rule",
    read_rules_and_channels,
    plan_rule,
    return_rule,
    verify_rules,
    apply_rule,
    explain=explain_rule,
)
