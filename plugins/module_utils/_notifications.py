# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels and rules.

Endpoints: ``/api/notifications/channels``, ``/api/notifications/channels/{id}``, ``/api/notifications/channels/{id}/test`` and
``/api/notifications/rules``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    NotApplied,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    describe,
    differences,
    merged,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    check_filled,
    create_once,
    require_field,
    send,
    unlike,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

CHANNELS_PATH = "/api/notifications/channels"
RULES_PATH = "/api/notifications/rules"

RULE_FIELDS = ("name", "event", "channel_ids", "filters", "enabled")
"""What the documented POST of a rule takes."""

CHANNEL_OPTIONS: FieldTable = {
    "name": {"type": "str"},
    "channel_id": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "type": {"type": "str"},
    "config": {"type": "dict"},
    "secret_config": {"type": "dict", "no_log": True},
    "update_secrets": {
        "type": "str",
        "choices": ["on_create", "always"],
        "default": "on_create",
        "no_log": False,
    },
    "enabled": {"type": "bool"},
    "replace": {"type": "bool", "default": False},
    "test": {"type": "str", "choices": ["never", "on_change", "always"], "default": "never"},
}

RULE_OPTIONS: FieldTable = {
    "name": {"type": "str", "required": True},
    "event": {"type": "str"},
    "channels": {"type": "list", "elements": "str"},
    "filters": {"type": "dict"},
    "enabled": {"type": "bool"},
}

MASK = re.compile(r"[*\u2022]{3}")
"""What the API shows in place of a secret: three or more asterisks or bullets in a row."""


@dataclass(frozen=True)
class Channels:
    """What is known of the channels.

    :param channels: As listed.
    :param rules: As listed; ``None`` where they were not read, since nothing depends on them.
    """

    channels: tuple[Values, ...]
    rules: tuple[Values, ...] | None = None


def is_masked(value: t.Any) -> bool:
    """Whether a value, or a part of it, is hidden by the API."""
    if isinstance(value, dict):
        return any(is_masked(item) for item in value.values())
    if isinstance(value, list):
        return any(is_masked(item) for item in value)
    return isinstance(value, str) and MASK.search(value) is not None


def check_channel(options: Values) -> None:
    """Refuse options that contradict each other.

    :raises InvalidOption: with the reason.
    """
    doubled = sorted(set(options.get("config", {})) & set(options.get("secret_config", {})))
    if doubled:
        raise InvalidOption(
            f"{', '.join(doubled)}: give each key in config or in secret_config, not in both."
        )
    if is_masked(options.get("config")) or is_masked(options.get("secret_config")):
        raise InvalidOption(
            "config and secret_config must not hold masked values (*** or \u2022\u2022\u2022): give the real value, or leave the key out."
        )


def read_channels(client: Client, options: Values) -> Channels:
    """Read ``GET /api/notifications/channels``, and the rules where the channel could be deleted."""
    channels = read_channel_list(client)
    found = find_channel(channels, options)
    deletes = found is not None and (
        options["state"] == "absent"
        or (options.get("replace") and found.get("type") != options.get("type", found.get("type")))
    )
    return Channels(channels, read_rules(client) if deletes else None)


def read_channel_list(client: Client) -> tuple[Values, ...]:
    """Read the channels, each with an id and a name."""
    channels = client.get_list(CHANNELS_PATH, "read the notification channels")
    for channel in channels:
        require_field(channel, "id", "a notification channel")
        require_field(channel, "name", "a notification channel")
    return tuple(channels)


def read_rules(client: Client) -> tuple[Values, ...]:
    """Read the rules, each with an id and a name."""
    rules = client.get_list(RULES_PATH, "read the notification rules")
    for rule in rules:
        require_field(rule, "id", "a notification rule")
        require_field(rule, "name", "a notification rule")
        rule.update(
            {
                name: empty
                for name, empty in (("channel_ids", []), ("filters", {}))
                if name in rule and rule[name] is None
            }
        )
    return tuple(rules)


def find_channel(channels: t.Iterable[Values], options: Values) -> Values | None:
    """The channel that the options mean: by id, else by name.

    :raises InvalidOption: if several bear the name, or the new name is taken, or no channel has the id although one is to be present.
    """
    name, channel_id = options.get("name"), options.get("channel_id")
    namesakes = [channel for channel in channels if channel["name"] == name]
    if channel_id is None:
        if len(namesakes) > 1:
            ids = ", ".join(str(channel["id"]) for channel in namesakes)
            raise InvalidOption(
                f"Several notification channels are named {name!r}: {ids}; address one by channel_id."
            )
        return namesakes[0] if namesakes else None
    found = next((channel for channel in channels if channel["id"] == channel_id), None)
    if options["state"] == "absent":
        return found
    if found is None:
        raise InvalidOption(
            f"No notification channel has the id {channel_id!r}; leave channel_id out to create one, or correct it."
        )
    others = [str(channel["id"]) for channel in namesakes if channel is not found]
    if others:
        raise InvalidOption(
            f"The notification channel {channel_id} cannot be renamed: {name!r} is already the name of {', '.join(others)}."
        )
    return found


def plan_channel(current: Channels, options: Values) -> Plan:
    """Plan the creation, update, replacement or deletion of one channel.

    :raises InvalidOption: if the channel cannot be found or made with these options.
    :raises RefusedPlan: if the type differs, a rule needs the channel, or a masked value would be sent back.
    """
    found = find_channel(current.channels, options)
    subject = f"notification channel {(options.get('name') or (found or {}).get('name') or options.get('channel_id'))!r}"
    if options["state"] == "absent":
        if found is None:
            return Plan({}, {})
        check_unused(current, found, "deleted")
        return Plan(managed(found, options), {}, (delete_call(found),), {}, f"{subject}: deleted")
    if found is None:
        return plan_creation(subject, {}, (), options, "created")
    kind = require_field(found, "type", subject)
    if kind == options.get("type", kind):
        return plan_update(subject, found, options)
    if not options.get("replace"):
        raise RefusedPlan(
            f"The {subject} is of type {kind!r}, not {options['type']!r}, and the API cannot change it; set replace: true to delete and create it again."
        )
    check_unused(current, found, "replaced")
    recreation = {
        "name": found["name"],
        **({"enabled": found["enabled"]} if "enabled" in found else {}),
        **options,
    }
    return plan_creation(
        subject,
        found,
        (delete_call(found),),
        recreation,
        f"replaced, type {kind} -> {options['type']}",
    )


def check_unused(current: Channels, channel: Values, what: str) -> None:
    """Keep a channel that an enabled rule sends to.

    :raises RefusedPlan: with the names of the rules.
    """
    users = [
        str(rule.get("name"))
        for rule in current.rules or ()
        if rule.get("enabled") is not False and channel["id"] in (rule.get("channel_ids") or [])
    ]
    if users:
        raise RefusedPlan(
            f"The notification channel {channel['name']!r} cannot be {what}: the enabled rules {', '.join(map(repr, users))} use it; "
            "give them another channel or disable them first."
        )


def delete_call(channel: Values) -> Call:
    """The call that deletes a channel."""
    return Call(
        "DELETE",
        channel_path(channel["id"]),
        None,
        f"delete the notification channel {channel['name']!r}",
    )


def channel_path(channel_id: t.Any) -> str:
    """The path of one channel."""
    return f"{CHANNELS_PATH}/{quote(str(channel_id), safe='')}"


def test_calls(path: str, changed: bool, options: Values, subject: str) -> tuple[Call, ...]:
    """The call that sends a test notification, where one is wanted."""
    wanted = options.get("test", "never")
    if wanted == "always" or (wanted == "on_change" and changed):
        return (
            Call(
                "POST",
                f"{path}/test",
                None,
                f"send a test notification through the {subject}",
                changes=False,
            ),
        )
    return ()


def plan_creation(
    subject: str, found: Values, deletions: tuple[Call, ...], options: Values, message: str
) -> Plan:
    """Plan ``POST /api/notifications/channels``; ``enabled: false`` follows as a PUT, since the documented POST does not take it.

    :raises InvalidOption: if the type is not given.
    """
    if "type" not in options:
        raise InvalidOption(f"The {subject} does not exist; type is needed to create it.")
    shown = {name: options[name] for name in ("type", "name", "enabled") if name in options} | {
        "config": options.get("config", {})
    }
    body = {
        "type": options["type"],
        "name": options["name"],
        "config": {**options.get("config", {}), **options.get("secret_config", {})},
    }
    calls = (*deletions, Call("POST", CHANNELS_PATH, body, f"create the {subject}"))
    if options.get("enabled") is False:
        calls += (
            Call(
                "PUT",
                f"{CHANNELS_PATH}/{{new}}",
                {"name": options["name"], "enabled": False},
                f"disable the {subject}",
            ),
        )
    calls += test_calls(f"{CHANNELS_PATH}/{{new}}", True, options, subject)
    return Plan(
        managed(found, options) if found else {}, shown, calls, shown, f"{subject}: {message}"
    )


def plan_update(subject: str, found: Values, options: Values) -> Plan:
    """Plan ``PUT /api/notifications/channels/{id}`` with name, ``enabled`` and, where it differs, the whole config.

    :raises RefusedPlan: if a masked value would have to be sent back.
    """
    secrets = options.get("secret_config", {})
    config: Values = {}
    wanted: Values = {name: options[name] for name in ("name", "enabled") if name in options}
    changes = {
        name: value
        for name, value in wanted.items()
        if not same(require_field(found, name, subject), value)
    }
    config_changes: Values = {}
    sends_secrets = bool(secrets) and options.get("update_secrets") == "always"
    if options.get("config") or sends_secrets:
        config = require_field(found, "config", subject) or {}
        config_changes = {
            key: value
            for key, value in options.get("config", {}).items()
            if differs(config.get(key), value)
        }
    body = {
        name: value for name, value in {**found, **changes}.items() if name in ("name", "enabled")
    }
    if config_changes or sends_secrets:
        body["config"] = {**merged(config, options.get("config", {})), **secrets}
        masked = sorted(key for key, value in body["config"].items() if is_masked(value))
        if masked:
            raise RefusedPlan(
                f"The {subject} cannot be updated: its config is sent whole, and the API hides {', '.join(masked)}; give {', '.join(masked)} in secret_config."
            )
    after = {**found, **changes}
    if config_changes:
        after["config"] = merged(config, config_changes)
    outcome = shown_channel(after, options)
    before, after = managed(found, options), managed(after, options)
    texts = differences(before, after) + (["secrets sent again"] if sends_secrets else [])
    calls: tuple[Call, ...] = ()
    path = channel_path(found["id"])
    if changes or config_changes or sends_secrets:
        calls = (Call("PUT", path, body, f"update the {subject}"),)
    return Plan(
        before,
        after,
        calls + test_calls(path, bool(calls), options, subject),
        outcome,
        describe(subject, texts),
    )


def differs(current: t.Any, desired: t.Any) -> bool:
    """Whether a value of the config is not as desired. Mappings are compared by the keys that are named; a masked value is unknown, so it does not differ."""
    if isinstance(current, dict) and isinstance(desired, dict):
        return any(differs(current.get(key), value) for key, value in desired.items())
    return not is_masked(current) and not same(current, desired)


def managed(channel: Values, options: Values) -> Values:
    """What the task manages, for the diff. Of the config these are the keys that it names: any other could be a secret that the API does not hide."""
    shown: Values = {name: channel[name] for name in ("type", "name", "enabled") if name in channel}
    if options.get("config") and isinstance(channel.get("config"), dict):
        shown["config"] = picked(
            without(channel["config"], *options.get("secret_config", {})), options["config"]
        )
    return shown


def picked(current: t.Any, named: t.Any) -> t.Any:
    """The parts of a value that another names, at every level."""
    if isinstance(current, dict) and isinstance(named, dict):
        return {key: picked(value, named[key]) for key, value in current.items() if key in named}
    return current


def apply_channel(client: Client, plan: Plan, current: Channels, dummy_options: Values) -> Applied:
    """Send the plan; a creation whose answer is lost is settled by reading, so there is one channel in the end."""
    known = {channel["id"] for channel in current.channels}
    ids: dict[str, str] = {}
    identity: Values = {}
    extras: Values = {}
    for call in plan.calls:
        if call.path == CHANNELS_PATH:
            body = call.body

            def find(body: Values = body) -> list[Values]:
                return [
                    channel
                    for channel in read_channel_list(client)
                    if channel["id"] not in known and channel["name"] == body["name"]
                ]

            try:
                created = create_once(client, call, find)
            except ApiError as error:
                if plan.calls[0].method == "DELETE":
                    error.message += (
                        " The old channel is already deleted; run again once this is mended."
                    )
                raise
            ids["new"] = quote(
                str(require_field(created, "id", "the new notification channel")), safe=""
            )
            identity = {"channel_id": created["id"]}
            continue
        try:
            answer = send(client, call, **ids)
        except ApiError as error:
            if not call.changes:
                error.message += f" The channel itself is as asked for{'; the test may have been sent' if isinstance(error, AnswerLost) else ''}."
            raise
        if not call.changes:
            extras["delivery"] = answer
    return Applied(extras, identity)


def missed_in_channels(current: Channels, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do. Secrets cannot be read back."""
    if options["state"] == "absent":
        gone = {call.path for call in plan.calls if call.method == "DELETE"}
        return [
            f"{channel['name']!r} ({channel['id']}) is still listed"
            for channel in current.channels
            if channel_path(channel["id"]) in gone
        ]
    enabled = {"enabled": plan.after["enabled"]} if "enabled" in plan.after else {}
    left = plan_channel(current, {**without(options, "update_secrets", "replace"), **enabled})
    return differences(left.before, left.after)


def show_channel(current: Channels, options: Values) -> Values:
    """The channel as it now is."""
    found = find_channel(current.channels, options)
    return {} if found is None else shown_channel(found, options)


def shown_channel(channel: Values, options: Values) -> Values:
    """A channel without the keys of ``secret_config``: they are never shown, whatever the API answers."""
    if not isinstance(channel.get("config"), dict):
        return channel
    return {**channel, "config": without(channel["config"], *options.get("secret_config", {}))}


CHANNEL = Resource(
    "channel",
    read_channels,
    plan_channel,
    show_channel,
    missed_in_channels,
    apply_channel,
    check_channel,
)


@dataclass(frozen=True)
class Rules:
    """What is known of the rules.

    :param rules: As listed, each with an id and a name.
    :param channels: The channels that rules may send to.
    """

    rules: tuple[Values, ...]
    channels: tuple[Values, ...]


def check_rule(options: Values) -> None:
    """Refuse a rule without a name.

    :raises InvalidOption: if it is empty.
    """
    check_filled(options, "name")


def read_rules_and_channels(client: Client, dummy_options: Values) -> Rules:
    """Read ``GET /api/notifications/rules`` and ``GET /api/notifications/channels``."""
    return Rules(read_rules(client), read_channel_list(client))


def find_rule(rules: t.Iterable[Values], name: str) -> Values | None:
    """The rule of a name.

    :raises InvalidOption: if several bear it.
    """
    found = [rule for rule in rules if rule["name"] == name]
    if len(found) > 1:
        ids = ", ".join(str(rule["id"]) for rule in found)
        raise InvalidOption(
            f"Several notification rules are named {name!r}: {ids}; the API cannot remove a rule, so remove all but one in the product's UI."
        )
    return found[0] if found else None


def channel_ids_of(
    channels: t.Iterable[Values], wanted: t.Iterable[t.Any], kept: t.Iterable[t.Any]
) -> list[t.Any]:
    """The ids of channels that are named by id or by name.

    :param kept: Ids that the rule has already; one of a channel that is gone may stay.
    :raises InvalidOption: if there is no such channel, or several.
    """
    channels = tuple(channels)
    ids: list[t.Any] = []
    for name in wanted:
        found = [
            channel["id"]
            for channel in channels
            if channel["name"] == name or str(channel["id"]) == name
        ]
        found = found or [channel_id for channel_id in kept if str(channel_id) == name]
        if not found:
            known = ", ".join(sorted(repr(channel["name"]) for channel in channels)) or "none"
            raise InvalidOption(
                f"channels: no notification channel has the name or id {name!r}; there are: {known}."
            )
        if len(found) > 1:
            raise InvalidOption(
                f"channels: several notification channels have the name or id {name!r}: {', '.join(map(str, found))}; give the id of one."
            )
        ids.extend(channel_id for channel_id in found if channel_id not in ids)
    return ids


def with_channel_names(rule: Values, channels: t.Iterable[Values]) -> Values:
    """The rule with ``channels``, the names of its channels; an id that no channel has stands for itself."""
    names = {channel["id"]: channel["name"] for channel in channels}
    return {
        **rule,
        "channels": [
            names.get(channel_id, channel_id) for channel_id in rule.get("channel_ids") or []
        ],
    }


def plan_rule(current: Rules, options: Values) -> Plan:
    """Plan ``POST /api/notifications/rules``, which creates a rule or replaces the one of its name: what is not given keeps its value.

    :raises InvalidOption: if several rules bear the name, a channel is unknown, or a new rule lacks its event or channels.
    """
    found = find_rule(current.rules, options["name"])
    subject = f"notification rule {options['name']!r}"
    desired: Values = {
        name: options[name] for name in ("name", "event", "filters", "enabled") if name in options
    }
    if "channels" in options:
        kept = require_field(found, "channel_ids", subject) if found else []
        desired["channel_ids"] = channel_ids_of(current.channels, options["channels"], kept)
    if found is None:
        missing = [name for name in ("event", "channels") if name not in options]
        if missing:
            raise InvalidOption(
                f"The {subject} does not exist; {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed to create it."
            )
        body = {"filters": {}, "enabled": True, **desired}
        return rule_plan(current, {}, body, body, f"{subject}: created")
    before = managed_rule(found, current.channels)
    changes = {
        name: value
        for name, value in desired.items()
        if not same(require_field(found, name, subject), value)
    }
    if not changes:
        return Plan(before, before, outcome=with_channel_names(found, current.channels))
    body = {name: require_field(found, name, subject) for name in RULE_FIELDS} | changes
    # The API may give the rule that it replaces another id.
    outcome = without(found, "id", "created_at") | changes
    texts = differences(before, managed_rule(outcome, current.channels))
    return rule_plan(current, before, body, outcome, describe(subject, texts))


def rule_plan(current: Rules, before: Values, body: Values, outcome: Values, message: str) -> Plan:
    """The plan of one POST."""
    call = Call(
        "POST",
        RULES_PATH,
        body,
        f"{'replace' if before else 'create'} the notification rule {body['name']!r}",
    )
    return Plan(
        before,
        managed_rule(outcome, current.channels),
        (call,),
        with_channel_names(outcome, current.channels),
        message,
    )


def managed_rule(rule: Values, channels: t.Iterable[Values]) -> Values:
    """What the module manages, for the diff: channels by name."""
    shown = with_channel_names(rule, channels)
    return {
        name: shown[name]
        for name in ("name", "event", "channels", "filters", "enabled")
        if name in shown
    }


def apply_rule(client: Client, plan: Plan, current: Rules, dummy_options: Values) -> Applied:
    """Send the plan; where the answer is lost, the list tells whether the rule is as asked for."""
    for call in plan.calls:

        def find(body: Values = call.body) -> list[Values]:
            return [rule for rule in read_rules(client) if not unlike(rule, body)]

        try:
            create_once(client, call, find, deletable=False)
        except ApiError as error:
            gone = [
                str(channel_id)
                for channel_id in call.body["channel_ids"]
                if channel_id not in [channel["id"] for channel in current.channels]
            ]
            if gone and error.status in (400, 404, 409, 422):
                error.message += f" The rule names {', '.join(gone)}, a channel that no longer exists: give channels."
            raise
    return Applied()


def missed_in_rules(current: Rules, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do.

    :raises NotApplied: if the API left the old rule beside the new one.
    """
    found = [str(rule["id"]) for rule in current.rules if rule["name"] == options["name"]]
    if len(found) > 1:
        raise NotApplied(
            f"The API left the old notification rule {options['name']!r} beside the new one: {', '.join(found)}; it cannot remove one, "
            "so remove all but the new one in the product's UI."
        )
    if not found:
        return [f"{options['name']!r} is not listed"]
    rule = t.cast(Values, find_rule(current.rules, options["name"]))
    return unlike(rule, plan.calls[0].body)


def show_rule(current: Rules, options: Values) -> Values:
    """The rule as it now is, with the names of its channels."""
    rule = find_rule(current.rules, options["name"])
    return {} if rule is None else with_channel_names(rule, current.channels)


RULE = Resource(
    "rule", read_rules_and_channels, plan_rule, show_rule, missed_in_rules, apply_rule, check_rule
)
