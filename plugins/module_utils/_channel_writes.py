# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a notification channel is written, confirmed, and restored if an update harms it.

Endpoints: ``/api/notifications/channels``, ``/api/notifications/channels/{id}`` and
``/api/notifications/channels/{id}/test``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    NEEDED_SECRETS,
    Channels,
    build_config,
    build_deletion,
    check_channel,
    check_channel_plan,
    compares_by_key,
    find_matching,
    find_namesakes,
    find_unequal,
    hide_secrets,
    join_config,
    keep_config,
    keep_fields,
    may_hide_secret,
    normalize_type,
    plan_channel,
    read_config,
    same_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    NotApplied,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    Config,
    KeyPath,
    drop_hidden,
    find_placeholder_paths,
    find_secret_paths,
    has_path,
    is_description,
    is_secret_name,
    is_unknown,
    join_path,
    join_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    CHANNELS_PATH,
    as_mapping,
    build_mismatch,
    channel_path,
    is_alike,
    look_up,
    read_channel_list,
    read_flag,
    read_label,
    read_rules,
    resembles,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
    merge,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    create_once,
    looks,
    send,
)

CENSORED = "********"


def read_channels(client: Client, options: Values) -> Channels:
    """Read the channels, and the rules if the channel could be deleted."""
    channels = read_channel_list(client)
    found, kind = find_matching(channels, options), options.get("type")
    keeps = not options.get("replace") or all(same_type(one.get("type"), kind) for one in found)
    deletes = found and (options["state"] == "absent" or not keeps)
    return Channels(channels, read_rules(client) if deletes else None)


def request_channel(change: Change, options: Values, channel: Values) -> Write:
    """Return the request of a change.

    :param channel: The channel as it was read, or as an earlier change created it.
    """
    if change.action == "create":
        body = without(change.after, "secret_config") | {"config": join_config(options)}
        return Write("POST", CHANNELS_PATH, body, change.text)
    path = channel_path(channel["id"])
    if change.action == "delete":
        return Write("DELETE", path, None, change.text)
    if change.action == "test":
        return Write("POST", f"{path}/test", None, change.text, changes=False)
    body = without(change.after, "config", "secret_config")
    if "config" in change.after:
        config = build_config(channel, read_config(channel, change.text), options)
        return Write("PUT", path, {**body, "config": config}, change.text)
    # An API that replaces the channel would lose a config that is not sent along.
    is_new = change.action == "disable"
    config = join_config(options) if is_new else keep_config(channel, options)
    if not config:
        return Write("PUT", path, body, change.text)
    return Write("PUT", path, {**body, "config": config}, change.text, fallback=body)


def apply_channel(client: Client, plan: Plan, current: Channels, options: Values) -> Applied:
    """Send what changes something.

    A creation whose answer is lost is settled by reading, so there is one channel in the end.

    :returns: With the id of a new channel, and in ``created`` how the API lists it before an update
        that may lose its config.
    """
    created: Values = {}
    find_by: Values = {}
    for change in plan.changes:
        request = request_channel(change, options, created or plan.basis or {})
        if change.action == "create":
            created = create_channel(client, plan, request, current.channels)
            find_by = {"channel_id": created["id"]}
        elif change.is_write:
            find_by |= send_with_config(client, request, find_by)
    return Applied(find_by=find_by)


def send_with_config(client: Client, request: Write, find_by: Values) -> Values:
    """Send an update with the config, or without it where the API knows no config there.

    :returns: In ``created``, how a new channel is listed before an update without its config.
    """
    try:
        send(client, request)
        return {}
    except ApiError as error:
        if request.fallback is None or error.status not in (400, 422):
            raise
    found: list[Values] = []
    for _look in looks(client) if find_by else ():
        found = find_matching(read_channel_list(client), find_by)
        if found:
            break
    send(client, replace(request, body=request.fallback, fallback=None))
    return {"created": found[0]} if found else {}


def create_channel(client: Client, plan: Plan, request: Write, known: Iterable[Values]) -> Values:
    """Create a channel, and return it as the API answered or lists it."""
    known_ids = {str(channel["id"]) for channel in known}
    name = plan.after["name"]

    def find() -> list[Values]:
        channels = read_channel_list(client)
        new = [channel for channel in channels if str(channel["id"]) not in known_ids]
        named = [channel for channel in new if has_name(channel, name)]
        return named or [channel for channel in new if resembles(channel, name)]

    try:
        return create_once(client, request, find)
    except ApiError as error:
        if find_deleted(plan):
            error.message += " The old channel is already deleted; run again once this is fixed."
        raise


def send_test(client: Client, plan: Plan, options: Values) -> Values:
    """Send the test notification of a plan, once its channel is as asked for.

    :returns: The delivery, as the API queued it.
    """
    result: Values = {}
    channel = plan.basis or {}
    if "channel_id" in options:
        channel = {"id": options["channel_id"]}
    for change in plan.changes:
        if change.is_write:
            continue
        try:
            result["delivery"] = send(client, request_channel(change, options, channel)) or {}
        except ApiError as error:
            doubt = "; the test may have been sent" if isinstance(error, AnswerLost) else ""
            error.message += f" The channel itself is as asked for{doubt}."
            raise
    return result


# Reading back.


def verify_channels(current: Channels, plan: Plan, options: Values) -> list[Mismatch | str]:
    """Return what the API does not show of a plan. Secrets cannot be read back."""
    texts: list[Mismatch | str] = [
        f"{read_label(channel)!r} ({channel['id']}) is still listed"
        for channel in current.channels
        if str(channel["id"]) in find_deleted(plan)
    ]
    if options["state"] == "absent":
        return texts
    found = find_matching(current.channels, options)
    if len(found) != 1:
        label = options.get("name") or options.get("channel_id")
        return [*texts, f"{label!r} is listed {len(found)} times"]
    texts += [
        f"{read_name(channel)!r} is also the name of {channel['id']}"
        for channel in find_doubles(current, found[0], plan, options)
    ]
    return [*texts, *find_unapplied(found[0], plan, options), *find_lost(found[0], plan, options)]


def find_deleted(plan: Plan) -> set[str]:
    """Return the ids of the channels that a plan deletes."""
    return {str(change.before["id"]) for change in plan.changes if change.action == "delete"}


def find_doubles(current: Channels, channel: Values, plan: Plan, options: Values) -> list[Values]:
    """Return the other channels of its name that a plan does not delete."""
    others = find_namesakes(current.channels, channel, options)
    return [other for other in others if str(other["id"]) not in find_deleted(plan)]


def is_creation(plan: Plan) -> bool:
    """Return whether a plan creates a channel, also in place of another."""
    return any(change.action == "create" for change in plan.changes)


def find_updated(plan: Plan) -> Values:
    """Return the channel that a plan updates, as it was; empty if it creates one."""
    return {} if is_creation(plan) else plan.basis or {}


def find_unapplied(channel: Values, plan: Plan, options: Values) -> list[Mismatch | str]:
    """Return the fields that a plan set and that do not show."""
    subject = f"notification channel {read_label(channel)!r}"
    before = find_updated(plan)
    mismatches: list[Mismatch | str] = []
    for name in ("name", "type", "enabled"):
        desired, now = plan.after.get(name), channel.get(name, UNSET)
        if desired is None or (name == "type" and before and name not in options):
            continue
        if name == "enabled":
            now, desired = (read_flag(one, name, subject) for one in (channel, plan.after))
        equal = same_type if name == "type" else is_alike
        if not equal(now, desired):
            mismatches.append(build_mismatch(name, before.get(name, UNSET), desired, now))
    if options.get("config"):
        old = as_mapping(before.get("config")) or {}
        mismatches += find_unapplied_keys(old, read_config(channel, subject), options["config"])
    return mismatches


def find_unapplied_keys(before: Config, now: Config, desired: Config) -> Iterator[Mismatch | str]:
    """Yield the keys of a config that a task names and that do not show."""
    for path in find_unequal(now, desired):
        place = ("config", *path)
        old, new, value = (look_up(values, path) for values in (before, now, desired))
        if any(map(is_secret_name, place)):
            yield str(build_loss(place, old, new))
        else:
            yield build_mismatch(join_path(place), old, value, new)


def find_lost(channel: Values, plan: Plan, options: Values) -> list[Mismatch]:
    """Return what changed of a channel although the task does not name it."""
    before = find_updated(plan)
    mismatches = []
    kind = channel.get("type", UNSET)
    if "type" in before and "type" not in options and not same_type(kind, before["type"]):
        mismatches.append(Mismatch("type", before["type"], before["type"], kind))
    old, now = (as_mapping(one.get("config")) or {} for one in (before, channel))
    named = merge(options.get("config", {}), options.get("secret_config", {}))
    mismatches += find_lost_keys(old, now, named, ("config",))
    created = as_mapping(options.get("created", {}).get("config")) or {}
    mismatches += find_lost_keys(created, now, {}, ("config",))
    return mismatches


def find_lost_keys(before: Config, now: Config, named: t.Any, path: KeyPath) -> Iterator[Mismatch]:
    """Yield the keys of a config that the task does not give, and that are gone or changed."""
    for key, old in before.items():
        place, new = (*path, key), now.get(key, UNSET)
        own = look_up(named, (key,))
        if compares_by_key(old, new) and not is_description(old):
            yield from find_lost_keys(old, new, {} if own is UNSET else own, place)
        elif own is UNSET and is_lost(key, old, new):
            yield build_loss(place, old, new)


def build_loss(path: KeyPath, old: t.Any, new: t.Any) -> Mismatch:
    """Return a key that was to stay; of what is named like a secret without the values."""
    if any(map(is_secret_name, path)):
        old, new = CENSORED, UNSET if new is UNSET else CENSORED
    return Mismatch(join_path(path), old, old, new)


def is_lost(key: str, old: t.Any, new: t.Any) -> bool:
    """Return whether a key of a config is gone, or has another value as far as values show."""
    if new is UNSET:
        return old not in (None, "", [], {})
    hidden = is_secret_name(key) or is_unknown(key, old) or is_unknown(key, new)
    return not hidden and not is_alike(new, old)


def explain_channel(client: Client, plan: Plan, current: t.Any, options: Values) -> None:
    """Say why a write does not show, and undo what must not stay.

    :raises NotApplied: with the particulars, if there is more to say than that.
    """
    found = [] if current is None else find_matching(current.channels, options)
    if len(found) != 1 or options["state"] == "absent":
        return
    name = plan.after.get("name")
    if is_creation(plan) and not has_name(found[0], name):
        undo_creation(client, plan, found[0], options)
    doubles = find_doubles(current, found[0], plan, options)
    if is_creation(plan) and doubles:
        ids = ", ".join(str(channel["id"]) for channel in (*doubles, *found))
        raise NotApplied(
            f"Several notification channels are named {name!r}: {ids}, since another "
            "run created one at the same time. Delete all but one by channel_id."
        )
    lost = find_lost(found[0], plan, options)
    if lost and is_creation(plan):
        raise NotApplied(
            f"Disabling the new notification channel {read_label(found[0])!r} lost "
            f"{', '.join(one.field for one in lost)}, and the API accepts no config in an update. "
            "Delete the channel, and create it without enabled: false."
        )
    if lost:
        restore_channel(client, plan, found[0], lost, options)


def undo_creation(client: Client, plan: Plan, channel: Values, options: Values) -> t.NoReturn:
    """Delete a new channel that the API named otherwise: a second run would create one more.

    :raises NotApplied: with both names.
    """
    stored, name = read_name(channel), plan.after["name"]
    text = f"The API stores the name of a new notification channel as {stored!r}, not {name!r}."
    advice = f"Write {stored!r} in the task." if stored else "Give it another name."
    if find_deleted(plan):
        raise NotApplied(f"{text} The old channel was deleted, and the new one stays. {advice}")
    try:
        send(client, request_channel(build_deletion(channel, options), options, channel))
    except ApiError as error:
        error.message = f"{text} It stays under the id {channel['id']}. {error.message}"
        raise
    raise NotApplied(f"{text} The channel was deleted again. {advice}")


def restore_channel(
    client: Client, plan: Plan, channel: Values, lost: Sequence[Mismatch], options: Values
) -> t.NoReturn:
    """Restore what an update took from a channel although the task did not name it, and say so.

    :raises NotApplied: with the keys, and in ``lost_config`` the values that could not be restored.
    """
    old = as_mapping(plan.basis.get("config")) or {}
    text = (
        f"The update of the notification channel {read_label(channel)!r} also changed "
        f"{', '.join(one.field for one in lost)}."
    )
    body = build_restoration(plan.basis, channel, options)
    left = lost
    if body is not None:
        action = f"restore the config of the notification channel {read_label(channel)!r}"
        try:
            send(client, Write("PUT", channel_path(channel["id"]), body, action))
            left = confirm_restoration(client, plan, channel["id"], options)
        except ApiError as error:
            error.message = f"{text} {error.message}"
            error.details["lost_config"] = drop_hidden(old)
            raise
    left_paths = [one.field for one in left]
    restored = [one.field for one in lost if one.field not in left_paths]
    if restored:
        text += f" Restored: {', '.join(restored)}."
    if not as_mapping(channel.get("config")):
        text += warn_of_secret(plan.basis, old, options)
    if not left:
        raise NotApplied(text)
    raise NotApplied(
        f"{text} Not restored: {', '.join(left_paths)}; give this in config and secret_config.",
        lost_config=drop_hidden(old),
    )


def warn_of_secret(before: Values, old: Config, options: Values) -> str:
    """Return the sentence about a secret that the API never showed, and may have lost too."""
    missing = find_placeholder_paths(options.get("secret_config", {}))
    keys = join_paths(path for path in missing if not has_path(old, path))
    if not keys and may_hide_secret(before, dict(old), options):
        keys = NEEDED_SECRETS.get(normalize_type(before.get("type")), "it")
    if not keys:
        return ""
    return (
        f" A secret that the API does not show may be lost, too; give {keys} in secret_config with "
        "update_secrets: always."
    )


def build_restoration(before: Values, channel: Values, options: Values) -> Values | None:
    """Return the PUT that restores the config of a channel as far as it is known.

    :returns: ``None`` if nothing is known, or a secret that the channel still has would be lost.
    """
    old = dict(as_mapping(before.get("config")) or {})
    desired = join_config(options)
    hidden = [path for path in find_secret_paths(old) if not has_path(desired, path)]
    is_empty = not as_mapping(channel.get("config"))
    if not is_empty and (hidden or may_hide_secret(before, old, options)):
        return None
    config = merge(drop_hidden(old), desired)
    return {**keep_fields(channel), "config": config} if config else None


def confirm_restoration(
    client: Client, plan: Plan, channel_id: t.Any, options: Values
) -> Sequence[Mismatch]:
    """Return what is still missing of a channel, once the API shows a write that restored it."""
    left: Sequence[Mismatch] = ()
    for _look in looks(client):
        found = find_matching(read_channel_list(client), {"channel_id": channel_id})
        left = find_lost(found[0] if found else {}, plan, options)
        if not left:
            break
    return left


def return_channel(current: Channels, options: Values) -> Values:
    """Return the channel as it now is."""
    found = find_matching(current.channels, options)
    return hide_secrets(found[0], options) if found else {}


CHANNEL = Resource(
    "channel",
    read_channels,
    plan_channel,
    return_channel,
    verify_channels,
    apply_channel,
    check_channel,
    check_channel_plan,
    explain=explain_channel,
    finish=send_test,
)
