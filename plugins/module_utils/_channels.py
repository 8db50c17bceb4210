# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels.

Endpoints: ``/api/notifications/channels``, ``/api/notifications/channels/{id}`` and
``/api/notifications/channels/{id}/test``.

A config that is written is sent whole. Of what was read, no value that is or may be a secret is
ever sent back: see :mod:`_masks`.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    KeyPath,
    has_mask,
    has_path,
    hidden_paths,
    is_masked,
    is_placeholder,
    is_secret_name,
    is_unknown,
    leaf_paths,
    list_paths,
    placeholder_paths,
    visible,
    without_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    CHANNELS_PATH,
    MISSING,
    Gap,
    as_mapping,
    channel_path,
    explain_stored,
    has_name,
    is_alike,
    name_of,
    read_channel_ids,
    read_channel_list,
    read_flag,
    read_rules,
    require_names,
    resembles,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    describe,
    differences,
    merged,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    create_once,
    looks,
    require_field,
    same_id,
    send,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

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

TYPES_WITHOUT_SECRETS = frozenset({"email", "inapp", "sms"})
"""Types that deliver by the product itself. Any other type may have a secret that is not shown."""
CENSORED = "********"


@dataclass(frozen=True)
class Channels:
    """What is known of the channels.

    :param channels: As listed.
    :param rules: As listed; ``None`` if they were not read, since nothing depends on them.
    """

    channels: tuple[Values, ...]
    rules: tuple[Values, ...] | None = None


# Options.


def check_channel(options: Values) -> None:
    """Refuse options that contradict each other.

    :raises InvalidOption: with the reason.
    """
    config, secrets = options.get("config", {}), options.get("secret_config", {})
    doubled = [path for path in leaf_paths(secrets) if has_path(config, path)]
    doubled += [path for path in leaf_paths(config) if has_path(secrets, path)]
    if doubled:
        raise InvalidOption(
            f"{list_paths(list(set(doubled)))}: give each key in config or in secret_config, not "
            "in both."
        )
    if has_mask(config) or is_masked(secrets):
        raise InvalidOption(
            "config and secret_config must not hold masked values (such as *** or [REDACTED]): "
            "give the real value, or leave the key out."
        )
    if is_placeholder(config):
        raise InvalidOption(
            "config holds a PLACEHOLDER: of an export; put it in secret_config, or the real value in "
            "its place."
        )
    empty = [path for path in leaf_paths(secrets) if is_blank(secrets, path)]
    if empty:
        raise InvalidOption(
            f"secret_config: {list_paths(empty)} is empty; is the variable that it comes from set?"
        )


def is_blank(values: t.Any, path: KeyPath) -> bool:
    """Return whether a key is set to an empty text."""
    for key in path:
        values = values[key]
    return isinstance(values, str) and not values.strip()


# Reading.


def read_channels(client: Client, options: Values) -> Channels:
    """Read the channels, and the rules if the channel could be deleted."""
    channels = read_channel_list(client)
    kinds = [channel.get("type") for channel in matching(channels, options)]
    wanted = options.get("type")
    replaces = options.get("replace") and any(not same_type(kind, wanted) for kind in kinds)
    deletes = kinds and (options["state"] == "absent" or replaces)
    return Channels(channels, read_rules(client) if deletes else None)


def matching(channels: Iterable[Values], options: Values) -> list[Values]:
    """Return the channels that the options mean: by id, or else by name."""
    channel_id = options.get("channel_id")
    if channel_id is not None:
        return [channel for channel in channels if same_id(channel["id"], channel_id)]
    return [channel for channel in channels if has_name(channel, options.get("name"))]


def find_channel(channels: t.Iterable[Values], options: Values) -> Values | None:
    """Return the channel that the options mean: by id, or else by name.

    :raises InvalidOption: if several have the name, or the new name is taken, or no channel has
        the id although one is to be present.
    """
    name, channel_id = options.get("name"), options.get("channel_id")
    channels = tuple(channels)
    found = matching(channels, options)
    if channel_id is None:
        require_names(channels, "notification channel")
        if len(found) > 1:
            ids = ", ".join(str(channel["id"]) for channel in found)
            raise InvalidOption(
                f"Several notification channels are named {name!r}: {ids}; address one by "
                "channel_id."
            )
        return found[0] if found else None
    if options["state"] == "absent":
        return found[0] if found else None
    if not found:
        raise InvalidOption(
            f"No notification channel has the id {channel_id!r}; leave channel_id out to create "
            "one, or correct it."
        )
    others = [str(channel["id"]) for channel in namesakes(channels, found[0], options)]
    if others:
        raise InvalidOption(
            f"The notification channel {channel_id} cannot be renamed: {name!r} is already the "
            f"name of {', '.join(others)}."
        )
    return found[0]


def namesakes(channels: Iterable[Values], found: Values, options: Values) -> list[Values]:
    """Return the other channels that have the name that a task gives to one."""
    return [
        channel
        for channel in channels
        if channel is not found and has_name(channel, options.get("name"))
    ]


def same_type(kind: t.Any, wanted: str | None) -> bool:
    """Return whether a channel has the type that a task names, in any spelling."""
    return wanted is None or type_key(kind) == type_key(wanted)


def type_key(kind: t.Any) -> str:
    """Return a type as it compares: ``in_app``, ``In-App`` and ``in app`` are one."""
    return "".join(character for character in str(kind).casefold() if character.isalnum())


def read_config(channel: Values, subject: str) -> Values:
    """Return the config of a channel; empty if it is null.

    :raises ApiError: if there is none, or it is no mapping.
    """
    config = require_field(channel, "config", subject)
    found = {} if config is None else as_mapping(config)
    if found is None:
        raise ApiError(f"The API's answer for the {subject} has a config that is no mapping.")
    return dict(found)


# Planning.


def plan_channel(current: Channels, options: Values) -> Plan:
    """Plan the creation, update, replacement or deletion of one channel.

    :raises InvalidOption: if the channel cannot be found or made with these options.
    :raises RefusedPlan: if the type differs, a rule needs the channel, or the config has a secret
        that would have to be sent and is not given.
    """
    found = find_channel(current.channels, options)
    if options["state"] == "absent":
        return plan_deletion(current, found, options)
    label = options.get("name") or name_of(found or {}) or options.get("channel_id")
    subject = f"notification channel {label!r}"
    if found is None:
        return plan_creation(subject, {}, (), options, "created")
    kind = require_field(found, "type", subject)
    if same_type(kind, options.get("type")):
        return plan_update(subject, found, options)
    if not options.get("replace"):
        raise RefusedPlan(
            f"The {subject} is of type {kind!r}, not {options['type']!r}, and the API cannot "
            "change it; set replace: true to delete and create it again."
        )
    check_unused(current, found, "replaced")
    kept = {"name": name_of(found), "enabled": read_enabled(found, subject)}
    recreation = {name: value for name, value in kept.items() if value is not None} | options
    return plan_creation(
        subject,
        found,
        (delete_call(found),),
        recreation,
        f"replaced, type {kind} -> {options['type']}",
    )


def read_enabled(channel: Values, subject: str) -> bool | None:
    """Return whether a channel delivers; ``None`` if the API does not say."""
    return read_flag(channel, "enabled", subject) if "enabled" in channel else None


def plan_deletion(current: Channels, found: Values | None, options: Values) -> Plan:
    """Plan ``DELETE /api/notifications/channels/{id}``."""
    if found is None:
        channel_id = options.get("channel_id")
        if channel_id is None:
            return Plan({}, {})
        return Plan(
            {},
            {},
            message=f"no change: no notification channel has the id {channel_id!r}",
        )
    check_unused(current, found, "deleted")
    return Plan(
        managed(found, options),
        {},
        (delete_call(found),),
        {},
        f"notification channel {label_of(found)!r}: deleted",
        basis=found,
    )


def label_of(channel: Values) -> t.Any:
    """Return what to call a channel: its name, or else its id."""
    return name_of(channel) or channel["id"]


def check_unused(current: Channels, channel: Values, what: str) -> None:
    """Keep a channel that an enabled rule sends to.

    :raises RefusedPlan: with the names of the rules.
    """
    users = [
        str(name_of(rule) or rule["id"])
        for rule in current.rules or ()
        if ("enabled" not in rule or read_flag(rule, "enabled", "notification rule") is not False)
        and any(same_id(channel["id"], other) for other in read_channel_ids(rule))
    ]
    if users:
        raise RefusedPlan(
            f"The notification channel {label_of(channel)!r} cannot be {what}: the enabled rules "
            f"{', '.join(map(repr, users))} use it; give them another channel or disable them "
            "first."
        )


def delete_call(channel: Values) -> Call:
    """Return the call that deletes a channel."""
    return Call(
        "DELETE",
        channel_path(channel["id"]),
        None,
        f"delete the notification channel {label_of(channel)!r}",
    )


def test_calls(path: str, changed: bool, options: Values, subject: str) -> tuple[Call, ...]:
    """Return the call that sends a test notification, if one is wanted."""
    wanted = options.get("test", "never")
    if wanted != "always" and not (wanted == "on_change" and changed):
        return ()
    action = f"send a test notification through the {subject}"
    return (Call("POST", f"{path}/test", None, action, changes=False),)


def plan_creation(
    subject: str, found: Values, deletions: tuple[Call, ...], options: Values, message: str
) -> Plan:
    """Plan ``POST /api/notifications/channels``.

    ``enabled: false`` follows as a PUT, since the documented POST does not take it.

    :raises InvalidOption: if the type is not given, or a secret is a placeholder.
    """
    if "type" not in options:
        raise InvalidOption(f"The {subject} does not exist; type is needed to create it.")
    if "name" not in options:
        raise InvalidOption(f"The {subject} has no name; name is needed to create it again.")
    check_secrets_given(subject, options)
    config = options.get("config", {})
    fields = ("type", "name", "enabled")
    shown: Values = {name: options[name] for name in fields if name in options}
    shown["config"] = visible(config)
    body = {
        "type": options["type"],
        "name": options["name"],
        "config": merged(config, options.get("secret_config", {})),
    }
    calls = (*deletions, Call("POST", CHANNELS_PATH, body, f"create the {subject}"))
    new_path = f"{CHANNELS_PATH}/{{new}}"
    if options.get("enabled") is False:
        disabled = {"name": options["name"], "enabled": False}
        calls += (Call("PUT", new_path, disabled, f"disable the {subject}"),)
    calls += test_calls(new_path, True, options, subject)
    before = managed(found, options) if found else {}
    return Plan(before, shown, calls, shown, f"{subject}: {message}")


def check_secrets_given(subject: str, options: Values) -> None:
    """Refuse to create a channel with a placeholder instead of its secret.

    :raises InvalidOption: with the keys.
    """
    lacking = placeholder_paths(options.get("secret_config", {}))
    if lacking:
        raise InvalidOption(
            f"The {subject} is to be made, and {list_paths(lacking)} in its secret_config is a "
            "placeholder: put the real value in its place."
        )


def plan_update(subject: str, found: Values, options: Values) -> Plan:
    """Plan ``PUT /api/notifications/channels/{id}``.

    It has the name, ``enabled`` and, if that differs, the whole config.

    :raises RefusedPlan: if a secret would have to be sent that is not given.
    """
    named, secrets = options.get("config", {}), options.get("secret_config", {})
    changes: Values = {}
    if "name" in options and not has_name(found, options["name"]):
        require_field(found, "name", subject)
        changes["name"] = options["name"]
    if "enabled" in options and read_flag(found, "enabled", subject) != options["enabled"]:
        changes["enabled"] = options["enabled"]
    sends_secrets = bool(secrets) and options.get("update_secrets") == "always"
    config = read_config(found, subject) if named or sends_secrets else {}
    config_changes = {
        key: value for key, value in named.items() if differs(key, config.get(key), value)
    }
    body = kept_fields(found) | changes
    after = {**found, **changes}
    if config_changes or sends_secrets:
        body["config"] = whole_config(subject, found, config, options)
    if config_changes:
        after["config"] = merged(config, config_changes)
    outcome = shown_channel(after, options)
    before, after = managed(found, options), managed(after, options)
    texts = differences(before, after)
    texts += [f"config.{key} changed" for key in config_changes if is_untold(key, before, after)]
    texts += ["secrets sent again"] if sends_secrets else []
    calls: tuple[Call, ...] = ()
    path = channel_path(found["id"])
    if changes or config_changes or sends_secrets:
        calls = (Call("PUT", path, body, f"update the {subject}"),)
    calls += test_calls(path, bool(calls), options, subject)
    return Plan(before, after, calls, outcome, describe(subject, texts), basis=found)


def is_untold(key: str, before: Values, after: Values) -> bool:
    """Return whether a change in the config is one of secrets, which no diff shows."""
    return bool(before.get("config", {}).get(key) == after.get("config", {}).get(key))


def kept_fields(channel: Values) -> Values:
    """Return the body that leaves a channel as it is.

    Null says nothing, and an API that does not take it would refuse the rest.
    """
    fields = {"name": channel["name"]} if name_of(channel) is not None else {}
    if channel.get("enabled") is not None:
        fields["enabled"] = channel["enabled"]
    return fields


def whole_config(subject: str, found: Values, config: Values, options: Values) -> Values:
    """Return the config to send: what is there, with what the task gives over it.

    :raises RefusedPlan: if the channel has or may have a secret that the task does not give.
    """
    named, secrets = options.get("config", {}), options.get("secret_config", {})
    left_out = placeholder_paths(secrets)
    given = merged(named, without_paths(secrets, left_out))
    lacking = [path for path in hidden_paths(config) if not has_path(given, path)] + left_out
    if isinstance(found["config"], str):
        # It was read as far as comparing goes. How the API wants it to be written, nobody knows.
        lacking += [(key,) for key in config if key not in given]
    if lacking:
        keys = list_paths(list(set(lacking)))
        why = f"The {subject} cannot be updated: its config is sent whole, and the API hides {keys}"
        if any(is_shown(config, path) for path in lacking):
            why = f"The {subject} cannot be updated: its config is sent whole, and {keys} is secret"
        raise RefusedPlan(f"{why}; give {keys} in secret_config.")
    if may_hide_secret(found, config, options):
        raise RefusedPlan(
            f"The {subject} cannot be updated: its config is sent whole, and a channel of type "
            f"{found.get('type')!r} may have a secret that the API does not show. Give it in "
            "secret_config, or set secret_config: {} if there is none."
        )
    return t.cast(Values, merged(visible(config), given))


def is_shown(config: t.Any, path: KeyPath) -> bool:
    """Return whether the API shows the value of a key, as far as one can see."""
    for key in path:
        if not isinstance(config, Mapping) or key not in config:
            return False
        config = config[key]
    return not is_unknown(path[-1], config)


def may_hide_secret(channel: Values, config: Values, options: Values) -> bool:
    """Return whether a channel may have a secret of which neither the API nor the task says."""
    if type_key(channel.get("type")) in TYPES_WITHOUT_SECRETS or "secret_config" in options:
        return False
    return not hidden_paths(config) and not hidden_paths(options.get("config", {}))


def differs(key: str, current: t.Any, desired: t.Any) -> bool:
    """Return whether a value of the config is not as desired.

    Mappings compare by the keys that are named. A hidden value is unknown: it does not differ.
    """
    if isinstance(current, Mapping) and isinstance(desired, Mapping) and not is_masked(current):
        return any(differs(name, current.get(name), value) for name, value in desired.items())
    if is_alike(current, desired):
        return False
    return not is_unknown(key, current)


def managed(channel: Values, options: Values) -> Values:
    """Return what the task manages, for the diff: of the config the keys that it names."""
    shown: Values = {name: channel[name] for name in ("type", "name", "enabled") if name in channel}
    config = as_mapping(channel.get("config"))
    if options.get("config") and config is not None:
        shown["config"] = picked(shown_config(config, options), options["config"])
    return shown


def picked(current: t.Any, named: t.Any) -> t.Any:
    """Return the parts of a value that another names, at every level."""
    if isinstance(current, dict) and isinstance(named, dict):
        return {key: picked(value, named[key]) for key, value in current.items() if key in named}
    return current


def shown_channel(channel: Values, options: Values) -> Values:
    """Return a channel without its secrets, which are never shown, even if the API does."""
    config = as_mapping(channel.get("config"))
    return channel if config is None else {**channel, "config": shown_config(config, options)}


def shown_config(config: Mapping[str, t.Any], options: Values) -> Values:
    """Return a config without what is or may be a secret, and without what the task says is."""
    return without_paths(visible(config), list(leaf_paths(options.get("secret_config", {}))))


# Applying.


def apply_channel(client: Client, plan: Plan, current: Channels, dummy_options: Values) -> Applied:
    """Send what changes something.

    A creation whose answer is lost is settled by reading, so there is one channel in the end.
    """
    ids: dict[str, str] = {}
    find_by: Values = {}
    for call in plan.calls:
        if call.path == CHANNELS_PATH:
            created = create_channel(client, plan, call, current.channels)
            ids["new"] = quote(str(created["id"]), safe="")
            find_by = {"channel_id": created["id"]}
        elif call.changes:
            send(client, call, **ids)
    return Applied(identity=find_by)


def create_channel(client: Client, plan: Plan, call: Call, known: Iterable[Values]) -> Values:
    """Create a channel, and return it as the API answered or lists it."""
    known_ids = {str(channel["id"]) for channel in known}
    name = call.body["name"]

    def find() -> list[Values]:
        channels = read_channel_list(client)
        new = [channel for channel in channels if str(channel["id"]) not in known_ids]
        named = [channel for channel in new if has_name(channel, name)]
        return named or [channel for channel in new if resembles(channel, name)]

    try:
        return create_once(client, call, find)
    except ApiError as error:
        if plan.calls[0].method == "DELETE":
            error.message += " The old channel is already deleted; run again once this is fixed."
        raise


def send_test(client: Client, plan: Plan, options: Values) -> Values:
    """Send the test notification of a plan, once its channel is as asked for.

    :returns: The delivery, as the API queued it.
    """
    result: Values = {}
    for call in plan.calls:
        if call.changes:
            continue
        try:
            new = quote(str(options.get("channel_id")), safe="")
            result["delivery"] = send(client, call, new=new) or {}
        except ApiError as error:
            doubt = "; the test may have been sent" if isinstance(error, AnswerLost) else ""
            error.message += f" The channel itself is as asked for{doubt}."
            raise
    return result


# Reading back.


def missed_in_channels(current: Channels, plan: Plan, options: Values) -> list[str]:
    """Return what the API does not show of a plan. Secrets cannot be read back."""
    deleted = deleted_paths(plan)
    texts = [
        f"{label_of(channel)!r} ({channel['id']}) is still listed"
        for channel in current.channels
        if channel_path(channel["id"]) in deleted
    ]
    if options["state"] == "absent":
        return texts
    found = matching(current.channels, options)
    if len(found) != 1:
        label = options.get("name") or options.get("channel_id")
        return [*texts, f"{label!r} is listed {len(found)} times"]
    texts += [
        f"{name_of(channel)!r} is also the name of {channel['id']}"
        for channel in namesakes(current.channels, found[0], options)
        if channel_path(channel["id"]) not in deleted
    ]
    gaps = [*field_gaps(found[0], plan, options), *lost_fields(found[0], plan, options)]
    return texts + [str(gap) for gap in gaps]


def deleted_paths(plan: Plan) -> set[str]:
    """Return the paths of the channels that a plan deletes."""
    return {call.path for call in plan.calls if call.method == "DELETE"}


def field_gaps(channel: Values, plan: Plan, options: Values) -> list[Gap]:
    """Return the fields that a plan set and that do not show."""
    subject = f"notification channel {label_of(channel)!r}"
    before: Values = plan.basis or {}
    gaps = []
    for name in ("name", "type", "enabled"):
        desired, now = plan.after.get(name), channel.get(name, MISSING)
        if desired is None or (name == "type" and plan.basis and name not in options):
            continue
        if name == "type":
            is_met = same_type(now, desired)
        elif name == "enabled":
            now, desired = (read_flag(one, name, subject) for one in (channel, plan.after))
            is_met = now == desired
        else:
            is_met = is_alike(now, desired)
        if not is_met:
            gaps.append(Gap(name, before.get(name, MISSING), now, desired))
    if options.get("config"):
        old = as_mapping(before.get("config")) or {}
        gaps += config_gaps(old, read_config(channel, subject), options["config"], ("config",))
    return gaps


def config_gaps(
    before: Mapping[str, t.Any],
    now: Mapping[str, t.Any],
    desired: Mapping[str, t.Any],
    path: KeyPath,
) -> Iterator[Gap]:
    """Yield the keys of a config that a task names and that do not show."""
    for key, value in desired.items():
        old, new = before.get(key, MISSING), now.get(key, MISSING)
        if isinstance(new, Mapping) and isinstance(value, Mapping) and not is_masked(new):
            inner = old if isinstance(old, Mapping) else {}
            yield from config_gaps(inner, new, value, (*path, key))
        elif differs(key, None if new is MISSING else new, value):
            yield gap_of((*path, key), old, new, value)


def gap_of(path: KeyPath, before: t.Any, now: t.Any, desired: t.Any) -> Gap:
    """Return a difference in a config; of what is named like a secret without the values."""
    place = ".".join(map(str, path))
    if is_secret_name(path[-1]):
        return Gap(place, CENSORED, MISSING if now is MISSING else CENSORED, CENSORED)
    return Gap(place, before, now, desired)


def lost_fields(channel: Values, plan: Plan, options: Values) -> list[Gap]:
    """Return what changed of a channel although the task does not name it."""
    before: Values = plan.basis or {}
    gaps = []
    kind = channel.get("type", MISSING)
    if "type" in before and "type" not in options and not same_type(kind, before["type"]):
        gaps.append(Gap("type", before["type"], kind, before["type"]))
    old = as_mapping(before.get("config"))
    if old:
        now = as_mapping(channel.get("config")) or {}
        given = merged(options.get("config", {}), options.get("secret_config", {}))
        gaps += lost_keys(old, now, given, ("config",))
    return gaps


def lost_keys(
    before: Mapping[str, t.Any], now: Mapping[str, t.Any], given: t.Any, path: KeyPath
) -> Iterator[Gap]:
    """Yield the keys of a config that the task does not give, and that are gone or changed."""
    for key, old in before.items():
        place, new = (*path, key), now.get(key, MISSING)
        own = given.get(key, MISSING) if isinstance(given, Mapping) else MISSING
        if isinstance(old, Mapping) and isinstance(new, Mapping) and not is_masked(old):
            yield from lost_keys(old, new, {} if own is MISSING else own, place)
        elif own is MISSING and has_changed(key, old, new):
            yield gap_of(place, old, new, old)


def has_changed(key: str, old: t.Any, new: t.Any) -> bool:
    """Return whether a key of a config is gone, or has another value as far as values show."""
    if new is MISSING:
        return old not in (None, "", [], {})
    hidden = is_secret_name(key) or is_unknown(key, old) or is_unknown(key, new)
    return not hidden and not is_alike(new, old)


def explain_channel(client: Client, plan: Plan, current: t.Any, options: Values) -> None:
    """Say why a write does not show, and undo what must not stay.

    :raises NotApplied: with the particulars, if there is more to say than that.
    """
    found = [] if current is None else matching(current.channels, options)
    if len(found) != 1 or options["state"] == "absent":
        return
    creation = next((call for call in plan.calls if call.path == CHANNELS_PATH), None)
    if creation is not None and not has_name(found[0], creation.body["name"]):
        undo_creation(client, plan, found[0], creation.body["name"])
    doubles = [
        channel
        for channel in namesakes(current.channels, found[0], options)
        if channel_path(channel["id"]) not in deleted_paths(plan)
    ]
    if creation is not None and doubles:
        ids = ", ".join(str(channel["id"]) for channel in (*doubles, *found))
        raise NotApplied(
            f"Several notification channels are named {options['name']!r}: {ids}, since another "
            "run created one at the same time. Delete all but one by channel_id."
        )
    lost = lost_fields(found[0], plan, options)
    if lost:
        restore_channel(client, plan, found[0], lost, options)
    explain_stored(field_gaps(found[0], plan, options))


def undo_creation(client: Client, plan: Plan, channel: Values, name: str) -> t.NoReturn:
    """Delete a new channel that the API named otherwise: a second run would create one more.

    :raises NotApplied: with both names.
    """
    stored = name_of(channel)
    text = f"The API stores the name of a new notification channel as {stored!r}, not {name!r}."
    advice = f"Write {stored!r} in the task." if stored else "Give it another name."
    if plan.calls[0].method == "DELETE":
        raise NotApplied(f"{text} The old channel was deleted, and the new one stays. {advice}")
    try:
        send(client, delete_call(channel))
    except ApiError as error:
        error.message = f"{text} It stays under the id {channel['id']}. {error.message}"
        raise
    raise NotApplied(f"{text} The channel was deleted again. {advice}")


def restore_channel(
    client: Client, plan: Plan, channel: Values, lost: Sequence[Gap], options: Values
) -> t.NoReturn:
    """Restore what an update took from a channel although the task did not name it, and say so.

    :raises NotApplied: with the keys, and in ``lost_config`` the values that could not be restored.
    """
    old = as_mapping(plan.basis.get("config")) or {}
    text = (
        f"The update of the notification channel {label_of(channel)!r} also changed "
        f"{', '.join(gap.path for gap in lost)}."
    )
    body = restoring_body(plan.basis, channel, options)
    left = lost
    if body is not None:
        action = f"restore the config of the notification channel {label_of(channel)!r}"
        try:
            send(client, Call("PUT", channel_path(channel["id"]), body, action))
            left = look_for_lost(client, plan, channel["id"], options)
        except ApiError as error:
            error.message = f"{text} {error.message}"
            error.details["lost_config"] = visible(old)
            raise
    left_paths = [gap.path for gap in left]
    restored = [gap.path for gap in lost if gap.path not in left_paths]
    if restored:
        text += f" Restored: {', '.join(restored)}."
    if not left:
        raise NotApplied(text)
    raise NotApplied(
        f"{text} Not restored: {', '.join(left_paths)}; give this in config and secret_config.",
        lost_config=visible(old),
    )


def restoring_body(before: Values, channel: Values, options: Values) -> Values | None:
    """Return the PUT that restores the config of a channel as far as it is known.

    :returns: ``None`` if a secret that the channel still has would be lost by it.
    """
    old = dict(as_mapping(before.get("config")) or {})
    secrets = options.get("secret_config", {})
    known = without_paths(secrets, placeholder_paths(secrets))
    given = merged(options.get("config", {}), known)
    hidden = [path for path in hidden_paths(old) if not has_path(given, path)]
    is_empty = not as_mapping(channel.get("config"))
    if not is_empty and (hidden or may_hide_secret(before, old, options)):
        return None
    return {**kept_fields(channel), "config": merged(visible(old), given)}


def look_for_lost(client: Client, plan: Plan, channel_id: t.Any, options: Values) -> Sequence[Gap]:
    """Return what is still missing of a channel, once the API shows a write that restored it."""
    left: Sequence[Gap] = ()
    for _look in looks(client):
        found = matching(read_channel_list(client), {"channel_id": channel_id})
        left = lost_fields(found[0] if found else {}, plan, options)
        if not left:
            break
    return left


def show_channel(current: Channels, options: Values) -> Values:
    """Return the channel as it now is."""
    found = matching(current.channels, options)
    return shown_channel(found[0], options) if found else {}


CHANNEL = Resource(
    "channel",
    read_channels,
    plan_channel,
    show_channel,
    missed_in_channels,
    apply_channel,
    check_channel,
    explain=explain_channel,
    finish=send_test,
)
