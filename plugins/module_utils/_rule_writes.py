# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a notification rule is written and confirmed, and how other rules are kept from harm.

Endpoint: ``/api/notifications/rules``. Its POST is documented as "create or replace notification
rules". An API may understand that as the set of all rules, so the other rules are compared after
each write.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    NotApplied,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    RULES_PATH,
    build_mismatch,
    extract_id,
    is_alike,
    read_channel_ids,
    read_channel_list,
    read_label,
    read_rules,
    resembles,
    with_channel_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    create_once,
    looks,
    same_id,
    send,
)
from ansible_collections.planasonix.admin.plugins.module_utils._rules import (
    RULE_FIELDS,
    Rules,
    drop_null,
    find_channel_ids,
    find_obsolete_filters,
    find_rule,
    find_unapplied_filters,
    is_changed,
    is_empty,
    plan_rule,
    read_filters,
)


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
