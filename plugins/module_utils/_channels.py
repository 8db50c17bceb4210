# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels: what a task asks for, planned.

Endpoints: ``/api/notifications/channels``, ``/api/notifications/channels/{id}`` and
``/api/notifications/channels/{id}/test``.

A config that is written is sent whole. Of what was read, no value that is or may be a secret is
ever sent back: see :mod:`_masks`.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    KeyPath,
    blank_paths,
    has_path,
    hidden_paths,
    is_description,
    is_placeholder,
    is_unknown,
    join_path,
    leaf_paths,
    list_paths,
    masked_paths,
    placeholder_paths,
    raw_hidden_paths,
    without_hidden,
    without_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    as_mapping,
    is_alike,
    label_of,
    read_channel_ids,
    read_flag,
    require_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    describe,
    differences,
    merged,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    require_field,
    same_id,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

RESOURCE = "notification_channels"
NAMED_FIELDS = ("type", "name", "enabled")
"""Fields of a channel beside its id and config."""

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

NEEDED_SECRETS = {
    "msteams": "webhook_url",
    "pagerduty": "routing_key",
    "teams": "webhook_url",
    "webhook": "url",
}
"""Types of channels that deliver nothing without a secret, each with its key."""

TYPES_WITHOUT_SECRETS = frozenset({"email", "inapp", "sms"})
"""Types that deliver by the product itself. Any other type may have a secret that is not shown."""


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
    label = options.get("name") or options.get("channel_id")
    subject = f"notification channel {label!r}"
    doubled = [path for path in leaf_paths(secrets) if has_path(config, path)]
    doubled += [path for path in leaf_paths(config) if has_path(secrets, path)]
    if doubled:
        raise InvalidOption(
            f"The {subject} has a key twice, {list_paths(list(set(doubled)))}: give each key in "
            "config or in secret_config, not in both."
        )
    masked = [*masked_paths(config), *masked_paths(secrets, within_secret=True)]
    if masked:
        raise InvalidOption(
            f"The {subject} must not hold masked values (such as *** or [REDACTED]) in "
            f"{list_paths(masked)}: give the real value, or leave the key out."
        )
    if is_placeholder(config):
        keys = list_paths(placeholder_paths(config))
        raise InvalidOption(
            f"The {subject} has a PLACEHOLDER: of an export in config: {keys}; put it in "
            "secret_config, or the real value in its place."
        )
    for name, values in (("config", config), ("secret_config", secrets)):
        empty = list(blank_paths(values, within_secret=name == "secret_config"))
        if empty:
            raise InvalidOption(
                f"The {subject} has an empty secret in {name}: {list_paths(empty)} is empty; is "
                "the variable that it comes from set?"
            )


# Finding.


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
    :raises RefusedPlan: if the type differs, or the config has a secret that would have to be sent
        and is not given.
    """
    found = find_channel(current.channels, options)
    if options["state"] == "absent":
        return plan_deletion(found, options)
    if found is None:
        return plan_creation(options)
    subject = describe_channel(found, options)
    kind = require_field(found, "type", subject)
    if same_type(kind, options.get("type")):
        return plan_update(subject, found, options)
    if not options.get("replace"):
        raise RefusedPlan(
            f"The {subject} is of type {kind!r}, not {options['type']!r}, and the API cannot "
            "change it; set replace: true to delete and create it again."
        )
    return plan_replacement(subject, found, options)


def describe_channel(found: Values, options: Values) -> str:
    """Return what messages call a channel: by the name that it is to have, if it has one."""
    label = options.get("name") or read_name(found) or options.get("channel_id")
    return f"notification channel {label!r}"


def plan_deletion(found: Values | None, options: Values) -> Plan:
    """Plan the deletion of a channel, if it is there."""
    if found is not None:
        return Plan(
            managed(found, options),
            {},
            message=f"notification channel {label_of(found)!r}: deleted",
            basis=found,
            changes=(delete(found, options),),
        )
    if "channel_id" not in options:
        return Plan({}, {})
    message = f"no change: no notification channel has the id {options['channel_id']!r}"
    return Plan({}, {}, message=message)


def delete(channel: Values, options: Values) -> Change:
    """Return the deletion of a channel."""
    label = str(label_of(channel))
    return Change(
        "delete",
        RESOURCE,
        f"delete the notification channel {label!r}",
        label,
        shown_channel(channel, options),
    )


def plan_replacement(subject: str, found: Values, options: Values) -> Plan:
    """Plan the deletion of a channel, and its creation with another type."""
    kept: Values = {"name": read_name(found)}
    if "enabled" in found:
        kept["enabled"] = read_flag(found, "enabled", subject)
    given = {name: value for name, value in kept.items() if value is not None} | options
    plan = plan_creation(given)
    return replace(
        plan,
        before=managed(found, options),
        message=f"{subject}: replaced, type {found['type']} -> {options['type']}",
        changes=(delete(found, options), *plan.changes),
        basis=found,
    )


def plan_creation(options: Values) -> Plan:
    """Plan the creation of a channel. It is disabled by an update, as no creation takes that.

    :raises InvalidOption: if the type or name is not given, or a secret is a placeholder.
    """
    subject = describe_channel({}, options)
    if "type" not in options:
        raise InvalidOption(f"The {subject} does not exist; type is needed to create it.")
    if "name" not in options:
        raise InvalidOption(f"The {subject} has no name; name is needed to create it again.")
    check_secrets_given(options)
    name = options["name"]
    shown: Values = {field: options[field] for field in NAMED_FIELDS if field in options}
    shown["config"] = without_hidden(options.get("config", {}))
    created = without(shown, "enabled") | {"secret_config": list_secret_keys(options)}
    changes = [Change("create", RESOURCE, f"create the {subject}", name, after=created)]
    if options.get("enabled") is False:
        disabled = {"name": name, "enabled": False}
        changes.append(Change("disable", RESOURCE, f"disable the {subject}", name, {}, disabled))
    changes += plan_test(subject, options, True)
    message = f"{subject}: created"
    return Plan({}, shown, predicted=shown, message=message, changes=tuple(changes))


def plan_test(subject: str, options: Values, is_changed: bool) -> list[Change]:
    """Return the test notification, if the task asks for one."""
    wanted = options.get("test", "never")
    if wanted != "always" and not (wanted == "on_change" and is_changed):
        return []
    label = str(options.get("name") or options.get("channel_id"))
    return [Change("test", RESOURCE, f"send a test notification through the {subject}", label)]


def check_secrets_given(options: Values) -> None:
    """Refuse to create a channel with a placeholder instead of its secret.

    :raises InvalidOption: with the keys.
    """
    lacking = placeholder_paths(options.get("secret_config", {}))
    if lacking:
        raise InvalidOption(
            f"The {describe_channel({}, options)} is to be made, and {list_paths(lacking)} in its "
            "secret_config is a placeholder: put the real value in its place."
        )


def plan_update(subject: str, found: Values, options: Values) -> Plan:
    """Plan the update of a channel.

    It has the name, ``enabled`` and, if that differs or the task gives its secrets, the whole
    config.

    :raises RefusedPlan: if a secret would have to be sent that is not given.
    """
    named = options.get("config", {})
    sends_secrets = bool(options.get("secret_config"))
    sends_secrets = sends_secrets and options.get("update_secrets") == "always"
    config = read_config(found, subject) if named or sends_secrets else {}
    keys = {key: value for key, value in named.items() if differs(key, config.get(key), value)}
    fields = find_changed_fields(subject, found, options)
    written, new = kept_fields(found) | fields, {**found, **fields}
    if keys or sends_secrets:
        whole = whole_config(found, config, options)
        written["config"] = shown_config(whole, options)
        written["secret_config"] = list_secret_keys(options)
    if keys:
        new["config"] = merged(config, keys)
    before, after = managed(found, options), managed(new, options)
    texts = differences(before, after)
    texts += [f"config.{key} changed" for key in keys if is_untold(key, before, after)]
    texts += ["secrets sent again"] if sends_secrets else []
    message, changes, result = describe(subject, texts), [], {}
    if fields or "config" in written:
        changes = [update(subject, found, written, options)]
    is_sent = "config" in written or bool(fields and config_to_keep(found, options))
    if changes and not is_sent:
        result = warn_of_loss(subject, found, options)
    unknown = list(uncompared_paths(config, named))
    if unknown and not is_sent:
        result["not_compared"] = [f"config.{join_path(path)}" for path in unknown]
        message += f"{'; ' if texts else ': '}{explain_unknown(subject, unknown)}"
    changes += plan_test(subject, options, bool(changes))
    shown = shown_channel(new, options)
    return Plan(before, after, (), shown, message, result, found, tuple(changes))


def find_changed_fields(subject: str, found: Values, options: Values) -> Values:
    """Return the name and ``enabled`` of a task, if a channel has others."""
    changes: Values = {}
    if "name" in options and not has_name(found, options["name"]):
        require_field(found, "name", subject)
        changes["name"] = options["name"]
    if "enabled" in options and read_flag(found, "enabled", subject) != options["enabled"]:
        changes["enabled"] = options["enabled"]
    return changes


def update(subject: str, found: Values, written: Values, options: Values) -> Change:
    """Return the update of a channel with these fields."""
    shown = shown_channel(found, options)
    before = {name: shown[name] for name in ("id", *written) if name in shown}
    label = str(label_of(found))
    return Change("update", RESOURCE, f"update the {subject}", label, before, written)


def list_secret_keys(options: Values) -> list[str]:
    """Return the keys of the secrets that a task gives, in ``config`` too."""
    paths = [*leaf_paths(options.get("secret_config", {}))]
    paths += raw_hidden_paths(options.get("config", {}))
    return sorted(set(map(join_path, paths)))


def warn_of_loss(subject: str, found: Values, options: Values) -> Values:
    """Warn of an update that could lose a secret without a trace: the API shows no config."""
    key = NEEDED_SECRETS.get(type_key(found.get("type")))
    is_empty = options.get("secret_config") == {}
    if as_mapping(found.get("config")) or key is None or is_empty:
        return {}
    text = (
        f"The API shows no config of the {subject}. If it replaces the channel in an update, the "
        f"secret of the channel is lost. Give {key} in secret_config to send it along."
    )
    return {"warnings": [text]}


def explain_unknown(subject: str, paths: list[KeyPath]) -> str:
    """Say which keys of a config cannot be compared, and how to send them."""
    keys = list_paths(paths)
    return (
        f"{keys} in the config of the {subject} cannot be compared, since the API may hide the "
        f"value; to send it, give {keys} in secret_config with update_secrets: always"
    )


def config_to_keep(found: Values, options: Values) -> Values:
    """Return the whole config, to send it with an update of something else.

    :returns: Nothing if it is not known, or if the task neither gives a secret nor names a key that
        cannot be compared.
    """
    try:
        config = read_config(found, "notification channel")
        unknown = any(uncompared_paths(config, options.get("config", {})))
        if unknown or options.get("secret_config"):
            return whole_config(found, config, options)
    except (ApiError, RefusedPlan):
        pass
    return {}


def is_untold(key: str, before: Values, after: Values) -> bool:
    """Return whether a change in the config is one of secrets, which no diff shows."""
    return bool(before.get("config", {}).get(key) == after.get("config", {}).get(key))


def kept_fields(channel: Values) -> Values:
    """Return the body that leaves a channel as it is.

    Null says nothing, and an API that does not take it would refuse the rest.
    """
    fields = {"name": channel["name"]} if read_name(channel) is not None else {}
    if channel.get("enabled") is not None:
        fields["enabled"] = channel["enabled"]
    return fields


def given_config(options: Values) -> Values:
    """Return the config that a task gives, with its secrets, without placeholders."""
    secrets = options.get("secret_config", {})
    known = without_paths(secrets, placeholder_paths(secrets))
    return t.cast(Values, merged(options.get("config", {}), known))


def whole_config(found: Values, config: Values, options: Values) -> Values:
    """Return the config to send: what is there, with what the task gives over it.

    :raises RefusedPlan: if the channel has or may have a secret that the task does not give.
    """
    subject, given = describe_channel(found, options), given_config(options)
    lacking = [path for path in hidden_paths(config) if not has_path(given, path)]
    lacking += placeholder_paths(options.get("secret_config", {}))
    if isinstance(found["config"], str):
        # It was read as far as comparing goes. The spelling that the API accepts is unknown.
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
    return t.cast(Values, merged(without_hidden(config), given))


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
    if compares_by_key(current, desired):
        return any(differs(name, current.get(name), value) for name, value in desired.items())
    if is_alike(current, desired):
        return False
    return not is_unknown(key, current, desired)


def compares_by_key(current: t.Any, desired: t.Any) -> bool:
    """Return whether two values are mappings, and the first does not merely describe a secret."""
    if not isinstance(current, Mapping) or not isinstance(desired, Mapping):
        return False
    return not is_description(current) or bool(desired) and current.keys() >= desired.keys()


def uncompared_paths(
    current: Mapping[str, t.Any], desired: Mapping[str, t.Any]
) -> t.Iterator[KeyPath]:
    """Yield the keys that a task names and whose value the API hides or may hide."""
    for key, value in desired.items():
        now = current.get(key)
        if isinstance(now, Mapping) and compares_by_key(now, value):
            yield from ((key, *path) for path in uncompared_paths(now, value))
        elif not is_alike(now, value) and is_unknown(key, now, value):
            yield (key,)


def managed(channel: Values, options: Values) -> Values:
    """Return what the task manages, for the diff: of the config the keys that it names."""
    shown: Values = {name: channel[name] for name in NAMED_FIELDS if name in channel}
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
    return without_paths(without_hidden(config), list(leaf_paths(options.get("secret_config", {}))))


# Safety.


def check_channel_plan(plan: Plan, current: Channels, dummy_options: Values) -> None:
    """Refuse to delete a channel that an enabled rule sends to.

    :raises RefusedPlan: with the names of the rules.
    """
    actions = [change.action for change in plan.changes]
    for change in plan.changes:
        users = find_users(current.rules or (), change.before.get("id"))
        if change.action == "delete" and users:
            what = "replaced" if "create" in actions else "deleted"
            raise RefusedPlan(
                f"The notification channel {change.object!r} cannot be {what}: the enabled rules "
                f"{', '.join(map(repr, users))} use it; give them another channel or disable them "
                "first."
            )


def find_users(rules: Iterable[Values], channel_id: t.Any) -> list[str]:
    """Return the names of the enabled rules that send to a channel."""
    return [
        str(label_of(rule))
        for rule in rules
        if ("enabled" not in rule or read_flag(rule, "enabled", "notification rule") is not False)
        and any(same_id(channel_id, other) for other in read_channel_ids(rule))
    ]
