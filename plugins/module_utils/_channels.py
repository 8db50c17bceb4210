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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    FieldTable,
    has_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    Config,
    KeyPath,
    drop_hidden,
    drop_paths,
    find_blank_paths,
    find_hidden_paths,
    find_masked_paths,
    find_placeholder_paths,
    find_secret_paths,
    has_path,
    is_description,
    is_unknown,
    join_path,
    join_paths,
    list_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    as_mapping,
    is_alike,
    look_up,
    read_channel_ids,
    read_flag,
    read_label,
    require_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Plan,
    Values,
    describe,
    list_differences,
    merge,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    require_field,
    same_id,
)

RESOURCE = "notification_channels"
NAMED_FIELDS = ("type", "name", "enabled")
"""Fields of a channel besides its id and config."""

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
    subject = describe_channel({}, options)
    doubled = [path for path in list_paths(secrets) if has_path(config, path)]
    doubled += [path for path in list_paths(config) if has_path(secrets, path)]
    if doubled:
        raise InvalidOption(
            f"The {subject} has a key twice, {join_paths(doubled)}: give each key in "
            "config or in secret_config, not in both."
        )
    masked = find_masked_paths(config) + find_masked_paths(secrets, within_secret=True)
    if masked:
        raise InvalidOption(
            f"The {subject} must not hold masked values (such as *** or [REDACTED]) in "
            f"{join_paths(masked)}: give the real value, or leave the key out."
        )
    keys = join_paths(find_placeholder_paths(config))
    if keys:
        raise InvalidOption(
            f"The {subject} has a PLACEHOLDER: of an export in config: {keys}; put it in "
            "secret_config, or the real value in its place."
        )
    for name, values in (("config", config), ("secret_config", secrets)):
        empty = find_blank_paths(values, within_secret=name == "secret_config")
        if empty:
            raise InvalidOption(
                f"The {subject} has an empty secret in {name}: {join_paths(empty)} is empty; is "
                "the variable that it comes from set?"
            )


# Finding.


def find_matching(channels: Iterable[Values], options: Values) -> list[Values]:
    """Return the channels that the options mean: by id, or else by name."""
    channel_id = options.get("channel_id")
    if channel_id is not None:
        return [channel for channel in channels if same_id(channel["id"], channel_id)]
    return [channel for channel in channels if has_name(channel, options.get("name"))]


def find_channel(channels: Iterable[Values], options: Values) -> Values | None:
    """Return the channel that the options mean: by id, or else by name.

    :raises InvalidOption: if several have the name, or the new name is taken, or no channel has
        the id although one is to be present.
    """
    name, channel_id = options.get("name"), options.get("channel_id")
    channels = tuple(channels)
    found = find_matching(channels, options)
    if channel_id is None:
        require_names(channels, "notification channel")
        if len(found) > 1:
            ids = ", ".join(str(channel["id"]) for channel in found)
            raise InvalidOption(
                f"Several notification channels are named {name!r}: {ids}; address one by "
                "channel_id."
            )
    elif not found and options["state"] == "present":
        raise InvalidOption(
            f"No notification channel has the id {channel_id!r}; leave channel_id out to create "
            "one, or correct it."
        )
    elif options["state"] == "present":
        others = [str(channel["id"]) for channel in find_namesakes(channels, found[0], options)]
        if others:
            raise InvalidOption(
                f"The notification channel {channel_id} cannot be renamed: {name!r} is already the "
                f"name of {', '.join(others)}."
            )
    return found[0] if found else None


def find_namesakes(channels: Iterable[Values], found: Values, options: Values) -> list[Values]:
    """Return the other channels that have the name that a task gives to one."""
    return [
        channel
        for channel in channels
        if channel is not found and has_name(channel, options.get("name"))
    ]


def same_type(kind: t.Any, wanted: t.Any) -> bool:
    """Return whether a channel has the type that a task names, in any spelling."""
    return wanted is None or normalize_type(kind) == normalize_type(wanted)


def normalize_type(kind: t.Any) -> str:
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
    :raises RefusedPlan: if the type differs, or a secret would have to be sent that is not given.
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
    if found is None:
        message = "no change"
        if "channel_id" in options:
            message = f"no change: no notification channel has the id {options['channel_id']!r}"
        return Plan({}, {}, message=message)
    return Plan(
        select_managed(found, options),
        {},
        message=f"notification channel {read_label(found)!r}: deleted",
        basis=found,
        changes=(build_deletion(found, options),),
    )


def build_deletion(channel: Values, options: Values) -> Change:
    """Return the deletion of a channel."""
    before = {"id": channel["id"], **select_managed(channel, options)}
    return build_change("delete", f"notification channel {read_label(channel)!r}", before, {})


def build_change(action: str, subject: str, before: Values, after: Values) -> Change:
    """Return a change of a channel."""
    label = str(read_label(after | before))
    return Change(action, RESOURCE, f"{action} the {subject}", label, before, after)


def plan_replacement(subject: str, found: Values, options: Values) -> Plan:
    """Plan the deletion of a channel, and its creation with another type."""
    kept: Values = {"name": read_name(found)}
    if "enabled" in found:
        kept["enabled"] = read_flag(found, "enabled", subject)
    plan = plan_creation({name: one for name, one in kept.items() if one is not None} | options)
    return replace(
        plan,
        before=select_managed(found, options),
        message=f"{subject}: replaced, type {found['type']} -> {options['type']}",
        changes=(build_deletion(found, options), *plan.changes),
        basis=found,
    )


def plan_creation(options: Values) -> Plan:
    """Plan the creation of a channel. It is disabled by an update, as no creation takes that.

    :raises InvalidOption: if the type or name is missing, or a secret is a placeholder.
    """
    subject = describe_channel({}, options)
    if "type" not in options:
        raise InvalidOption(f"The {subject} does not exist; type is needed to create it.")
    if "name" not in options:
        raise InvalidOption(f"The {subject} has no name; name is needed to create it again.")
    check_secrets_given(options)
    after: Values = {field: options[field] for field in NAMED_FIELDS if field in options}
    after["config"] = drop_hidden(options.get("config", {}))
    created = without(after, "enabled") | {"secret_config": list_secret_keys(options)}
    changes = [build_change("create", subject, {}, created)]
    if options.get("enabled") is False:
        disabled = {"name": options["name"], "enabled": False}
        changes.append(build_change("disable", subject, {}, disabled))
    changes += build_tests(subject, options, True)
    message = f"{subject}: created"
    return Plan({}, after, predicted=after, message=message, changes=tuple(changes))


def build_tests(subject: str, options: Values, is_changed: bool) -> list[Change]:
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
    lacking = find_placeholder_paths(options.get("secret_config", {}))
    if lacking:
        raise InvalidOption(
            f"The {describe_channel({}, options)} is to be made, and {join_paths(lacking)} in its "
            "secret_config is a placeholder: put the real value in its place."
        )


def plan_update(subject: str, found: Values, options: Values) -> Plan:
    """Plan the update of a channel. The config is written whole, if a key of it differs.

    :raises RefusedPlan: if a secret would have to be sent that is not given.
    """
    named = options.get("config", {})
    is_always = options.get("update_secrets") == "always"
    sends_secrets = is_always and bool(options.get("secret_config"))
    config = read_config(found, subject) if named or sends_secrets else {}
    keys = {path[0]: named[path[0]] for path in find_unequal(config, named)}
    fields = find_changed_fields(subject, found, options)
    new = {**found, **fields, "config": merge(config, keys)} if keys else {**found, **fields}
    before, after = select_managed(found, options), select_managed(new, options)
    texts = list_differences(before, after)
    # No diff shows a change of a secret.
    old, now = (values.get("config", {}) for values in (before, after))
    texts += [f"config.{key} changed" for key in keys if old.get(key) == now.get(key)]
    texts += ["secrets sent again"] if sends_secrets else []
    written = keep_fields(found) | fields
    if keys or sends_secrets:
        build_config(found, config, options)
        written["config"] = after.get("config", {})
        written["secret_config"] = list_secret_keys(options)
    changes = []
    if fields or "config" in written:
        kept = {name: before[name] for name in written if name in before}
        changes = [build_change("update", subject, {"id": found["id"], **kept}, written)]
    is_sent = "config" in written or bool(fields and keep_config(found, options))
    message, result = describe(subject, texts), warn_of_loss(subject, found, options)
    if is_sent or not changes:
        result = {}
    unknown = find_uncompared(config, named)
    if unknown and not is_sent:
        result["not_compared"] = [f"config.{join_path(path)}" for path in unknown]
        message += f"{'; ' if texts else ': '}{explain_unknown(subject, unknown)}"
    changes += build_tests(subject, options, bool(changes))
    predicted = hide_secrets(new, options)
    return Plan(before, after, tuple(changes), predicted, message, result, found)


def find_changed_fields(subject: str, found: Values, options: Values) -> Values:
    """Return the name and ``enabled`` of a task, if a channel has others."""
    changes: Values = {}
    if "name" in options and not has_name(found, options["name"]):
        require_field(found, "name", subject)
        changes["name"] = options["name"]
    if "enabled" in options and read_flag(found, "enabled", subject) != options["enabled"]:
        changes["enabled"] = options["enabled"]
    return changes


def list_secret_keys(options: Values) -> list[str]:
    """Return the keys of the secrets that a task gives, in ``config`` too."""
    paths = list_paths(options.get("secret_config", {}))
    paths += find_hidden_paths(options.get("config", {}))
    return sorted(map(join_path, paths))


def warn_of_loss(subject: str, found: Values, options: Values) -> Values:
    """Warn of an update that could lose a secret without a trace: the API shows no config."""
    key = NEEDED_SECRETS.get(normalize_type(found.get("type")))
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
    keys = join_paths(paths)
    return (
        f"{keys} in the config of the {subject} cannot be compared, since the API may hide the "
        f"value; to send it, give {keys} in secret_config with update_secrets: always"
    )


def keep_config(found: Values, options: Values) -> Values:
    """Return the whole config, to send it with an update of something else.

    :returns: Nothing if it is not known, or if the task neither gives a secret nor names a key that
        cannot be compared.
    """
    try:
        config = read_config(found, "notification channel")
        unknown = find_uncompared(config, options.get("config", {}))
        if unknown or options.get("secret_config"):
            return build_config(found, config, options)
    except (ApiError, RefusedPlan):
        pass
    return {}


def keep_fields(channel: Values) -> Values:
    """Return the body that leaves a channel as it is.

    Null says nothing, and an API that does not take it would refuse the rest.
    """
    fields = {"name": channel["name"]} if read_name(channel) is not None else {}
    if channel.get("enabled") is not None:
        fields["enabled"] = channel["enabled"]
    return fields


def join_config(options: Values) -> Values:
    """Return the config that a task gives, with its secrets, without placeholders."""
    secrets = options.get("secret_config", {})
    known = drop_paths(secrets, find_placeholder_paths(secrets))
    return t.cast(Values, merge(options.get("config", {}), known))


def build_config(found: Values, config: Values, options: Values) -> Values:
    """Return the config to send: what is there, with what the task gives over it.

    :raises RefusedPlan: if the channel has or may have a secret that the task does not give.
    """
    subject, desired = describe_channel(found, options), join_config(options)
    lacking = [path for path in find_secret_paths(config) if not has_path(desired, path)]
    lacking += find_placeholder_paths(options.get("secret_config", {}))
    if isinstance(found["config"], str):
        # It was read as far as comparing goes. The spelling that the API accepts is unknown.
        lacking += [(key,) for key in config if key not in desired]
    if lacking:
        keys = join_paths(lacking)
        why = f"The {subject} cannot be updated: its config is sent whole, and the API hides {keys}"
        if any(is_visible(config, path) for path in lacking):
            why = f"The {subject} cannot be updated: its config is sent whole, and {keys} is secret"
        raise RefusedPlan(f"{why}; give {keys} in secret_config.")
    if may_hide_secret(found, config, options):
        raise RefusedPlan(
            f"The {subject} cannot be updated: its config is sent whole, and a channel of type "
            f"{found.get('type')!r} may have a secret that the API does not show. Give it in "
            "secret_config, or set secret_config: {} if there is none."
        )
    return t.cast(Values, merge(drop_hidden(config), desired))


def is_visible(config: t.Any, path: KeyPath) -> bool:
    """Return whether the API shows the value of a key, as far as one can see."""
    value = look_up(config, path)
    return value is not UNSET and not is_unknown(path[-1], value)


def may_hide_secret(channel: Values, config: Values, options: Values) -> bool:
    """Return whether a channel may have a secret of which neither the API nor the task says."""
    if normalize_type(channel.get("type")) in TYPES_WITHOUT_SECRETS or "secret_config" in options:
        return False
    return not find_secret_paths(config) and not find_secret_paths(options.get("config", {}))


def find_unequal(current: Config, desired: Config) -> list[KeyPath]:
    """Return the paths that a task names and whose value is another. A hidden one is unknown."""
    return [
        path
        for path, now, value in pair_values(current, desired)
        if not is_alike(now, value) and not is_unknown(path[-1], now, value)
    ]


def find_uncompared(current: Config, desired: Config) -> list[KeyPath]:
    """Return the paths that a task names and whose value the API hides or may hide."""
    return [
        path
        for path, now, value in pair_values(current, desired)
        if not is_alike(now, value) and is_unknown(path[-1], now, value)
    ]


def pair_values(current: Config, desired: Config) -> Iterator[tuple[KeyPath, t.Any, t.Any]]:
    """Yield each path that a task names, with the value there and the desired one."""
    for key, value in desired.items():
        now: t.Any = current.get(key)
        if compares_by_key(now, value):
            yield from (((key, *path), *pair) for path, *pair in pair_values(now, value))
        else:
            yield (key,), now, value


def compares_by_key(current: t.Any, desired: t.Any) -> bool:
    """Return whether two values are mappings, and the first does not merely describe a secret."""
    if not isinstance(current, Mapping) or not isinstance(desired, Mapping):
        return False
    return not is_description(current) or bool(desired) and current.keys() >= desired.keys()


def select_managed(channel: Values, options: Values) -> Values:
    """Return what the task manages, for the diff: of the config the keys that it names."""
    managed: Values = {name: channel[name] for name in NAMED_FIELDS if name in channel}
    config = as_mapping(channel.get("config"))
    if options.get("config") and config is not None:
        managed["config"] = select_named(hide_config_secrets(config, options), options["config"])
    return managed


def select_named(current: t.Any, named: t.Any) -> t.Any:
    """Return the parts of a value that another names, at every level."""
    if isinstance(current, dict) and isinstance(named, dict):
        return {
            key: select_named(value, named[key]) for key, value in current.items() if key in named
        }
    return current


def hide_secrets(channel: Values, options: Values) -> Values:
    """Return a channel without its secrets, which are never shown, even if the API does."""
    config = as_mapping(channel.get("config"))
    if config is None:
        return channel
    return {**channel, "config": hide_config_secrets(config, options)}


def hide_config_secrets(config: Config, options: Values) -> Values:
    """Return a config without what is or may be a secret, and without what the task says is."""
    return drop_paths(drop_hidden(config), list_paths(options.get("secret_config", {})))


# Safety.


def check_channel_plan(plan: Plan, current: Channels, dummy_options: Values) -> None:
    """Refuse to delete a channel that an enabled rule sends to.

    :raises RefusedPlan: with the names of the rules.
    """
    verb = "replaced" if plan.after else "deleted"
    for change in plan.changes:
        if change.action != "delete":
            continue
        users = find_users(current.rules or (), change.before["id"])
        if users:
            raise RefusedPlan(
                f"The notification channel {change.object!r} cannot be {verb}: the enabled rules "
                f"{', '.join(map(repr, users))} use it; give them another channel or disable them "
                "first."
            )


def find_users(rules: Iterable[Values], channel_id: t.Any) -> list[str]:
    """Return the names of the enabled rules that send to a channel."""
    return [
        str(read_label(rule))
        for rule in rules
        if ("enabled" not in rule or read_flag(rule, "enabled", "notification rule") is not False)
        and any(same_id(channel_id, other) for other in read_channel_ids(rule))
    ]
