# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans to create, replace and delete API keys so that no secret is lost and no key is orphaned.

``_key_secrets`` sends the plans, and ``_keys`` reads the keys.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    MOST_DAYS,
    has_name,
    normalize_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._key_secrets import (
    apply_key,
    collect_deleted_ids,
    request_key,
)
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    DAY,
    Keys,
    await_key,
    collect_ids,
    confirm_key,
    find_by_name,
    find_key,
    find_own_keys,
    has_ended,
    is_known,
    read_key_list,
    read_key_time,
    read_lifetime,
    read_scopes,
    to_days,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource, same_id
from ansible_collections.planasonix.admin.plugins.module_utils._validity import is_expired, is_gone


@dataclass(frozen=True)
class Choice:
    """The keys that the options mean.

    :param key: The key; an expired one only if there is no other.
    :param others: The other keys of its name, the newest first. With ``key_id`` the older ones.
    :param orphans: Keys that an interrupted run left behind.
    """

    key: Values | None
    others: tuple[Values, ...] = ()
    orphans: tuple[Values, ...] = ()

    def name_key(self, options: Values) -> str:
        """Return what a message calls the key."""
        name = self.key["name"] if self.key else options.get("name")
        return str(name or options["key_id"])


def check_key(options: Values) -> None:
    """Refuse options that cannot be met, or that would lose a secret.

    :raises InvalidOption: with the reason.
    """
    for name in ("expires_in_days", "rotate_after_days", "renew_before_days"):
        if name in options and options[name] < 1:
            raise InvalidOption(f"{name} must be at least 1 day.")
        if name in options and options[name] > MOST_DAYS:
            raise InvalidOption(f"{name} must be at most {MOST_DAYS} days.")
    if "secret_file" in options:
        _secret_file.check_path(options["secret_file"])
    elif options.get("return_secret") is False and options["state"] == "present":
        raise InvalidOption(
            "return_secret: false needs secret_file: a secret that is neither returned nor written "
            "would be lost."
        )
    if (
        options["state"] == "present"
        and "renew_before_days" in options
        and "expires_in_days" in options
        and options["renew_before_days"] >= options["expires_in_days"]
    ):
        raise InvalidOption(
            "renew_before_days must be less than expires_in_days, or every run would make a new "
            "key."
        )


def read_keys(client: Client, options: Values) -> Keys:
    """Read the keys, confirm a ``key_id`` of the task, and look at ``secret_file``.

    Endpoints: ``GET /api/user/api-keys`` and ``GET /api/user/api-keys/{id}``.

    :raises ApiError: if the key whose secret is in ``secret_file`` exists and is not listed.
    """
    keys = read_key_list(client)
    file = _secret_file.look(options.get("secret_file"))
    recorded = find_recorded_id(file, _secret_file.identify(client), options)
    if recorded is not None:
        keys = await_key(client, keys, recorded)
    current = describe_keys(client, keys, file, options)
    found = find_key(current.keys, options.get("key_id"))
    if found is not None and not is_gone(found, current.now):
        confirm_key(client, str(found["id"]))
    return current


def read_keys_back(client: Client, options: Values) -> Keys:
    """Read the keys after a plan was sent, when a new key may be listed late.

    Endpoint: ``GET /api/user/api-keys``.
    """
    keys = read_key_list(client)
    return describe_keys(client, keys, _secret_file.look(options.get("secret_file")), options)


def describe_keys(
    client: Client, keys: tuple[Values, ...], file: _secret_file.Found, options: Values
) -> Keys:
    """Return listed keys with what a plan needs besides."""
    now = client.now()
    if options["state"] == "absent":
        keys = drop_unknown_keys(client, keys, now, options)
    own = find_own_keys(keys, client.connection.key)
    return Keys(keys, own, now, file, _secret_file.identify(client))


def drop_unknown_keys(
    client: Client, keys: tuple[Values, ...], now: datetime.datetime, options: Values
) -> tuple[Values, ...]:
    """Return the keys without deleted ones that an API lists as switched off."""
    left = []
    for key in keys:
        is_meant = same_id(key["id"], options.get("key_id")) or has_name(key, options.get("name"))
        is_off = is_gone(key, now) and not has_ended(key, now)
        if not (is_meant and is_off and not is_known(client, key["id"])):
            left.append(key)
    return tuple(left)


def find_recorded_id(file: _secret_file.Found, identity: Values, options: Values) -> t.Any:
    """Return the id of the key that the task made last for its ``secret_file``, or ``None``."""
    record = file.record or {}
    own = {"kind": "api_key", **identity}
    name, key_id = options.get("name"), options.get("key_id")
    is_meant = name is not None and record.get("name") == normalize_name(name)
    if key_id is not None:
        is_meant = same_id(record.get("id"), key_id)
    found = record.get("id")
    usable = isinstance(found, (str, int)) and found != ""
    return found if is_meant and usable and own.items() <= record.items() else None


def select_keys(current: Keys, options: Values) -> Choice:
    """Choose the keys that the options mean.

    :raises InvalidOption: if there is no such key, its name differs, or it is not clear which one
        is meant.
    """
    note, key_id = current.file.unfinished, options.get("key_id")
    name, by_id = select_by_id(current, options)
    if current.file.note is not None and name is not None:
        current.file.note.check(normalize_name(name), current.identity)
    named = [key for key in find_by_name(current.keys, name) if is_present(key, current, options)]
    orphans = [key for key in named if note and is_orphan(key, note)]
    if by_id is not None and by_id in orphans:
        if options["state"] == "present":
            raise make_orphan_error(by_id, t.cast(Values, note))
        orphans.remove(by_id)
    left = [key for key in named if key not in orphans]
    if options["state"] == "absent":
        if key_id is not None:
            return Choice(by_id, (), tuple(orphans))
        check_single(left, current, name)
        left.sort(key=lambda key: is_gone(key, current.now))
    elif key_id is not None:
        older = left[left.index(by_id) + 1 :] if by_id in left else []
        return Choice(by_id, tuple(older), tuple(orphans))
    else:  # a newer key that has expired does not hide one that works
        left.sort(key=lambda key: is_expired(key, current.now))
    return Choice(left[0] if left else None, tuple(left[1:]), tuple(orphans))


def select_by_id(current: Keys, options: Values) -> tuple[str | None, Values | None]:
    """Return the name that the options mean, and the key of ``key_id``.

    :raises InvalidOption: if its name differs, or a key that is to be present does not exist.
    """
    name, key_id = options.get("name"), options.get("key_id")
    key = find_key(current.keys, key_id)
    if key is not None:
        if name is not None and not has_name(key, name):
            raise InvalidOption(
                f"The API key {key_id!r} is named {key['name']!r}, not {name!r}, and the API "
                "cannot rename keys."
            )
        name = key["name"]
    if key is not None and is_present(key, current, options):
        return name, key
    if key_id is not None and options["state"] == "present":
        raise InvalidOption(
            f"No API key has the id {key_id!r}, or it is revoked or switched off; "
            "leave key_id out to find or create one by name."
        )
    return name, None


def check_single(named: Sequence[Values], current: Keys, name: str | None) -> None:
    """Refuse to delete by name if several keys have the name, unless they are switched off.

    :raises InvalidOption: if several keys are not switched off.
    """
    on = [key for key in named if not is_gone(key, current.now)]
    if len(on) > 1:
        raise InvalidOption(
            f"Several API keys are named {name!r}: {', '.join(str(k['id']) for k in on)}; remove "
            "them one by one by key_id."
        )


def is_present(key: Values, current: Keys, options: Values) -> bool:
    """Return whether a listed key counts as present. A key is absent once it has ended."""
    if options["state"] == "absent":
        return not has_ended(key, current.now)
    return not is_gone(key, current.now)


def make_orphan_error(key: Values, note: Values) -> InvalidOption:
    """Return the failure of a task that addresses what an interrupted run left by its id."""
    why = "was made by an interrupted run, which lost its secret"
    if str(key["id"]) in map(str, note["ids"]):
        why = "was about to be revoked by an interrupted run"
    return InvalidOption(
        f"The API key {str(key['id'])!r} {why}: address it by name, to have that run finished."
    )


def is_orphan(key: Values, note: Values) -> bool:
    """Return whether an interrupted run left a key, without its secret or to be revoked."""
    if note["operation"] == "regenerate":
        return False
    known, revoke = set(map(str, note["ids"])), set(map(str, note.get("revoke", ())))
    return str(key["id"]) not in known or str(key["id"]) in revoke


def plan_key(current: Keys, options: Values) -> Plan:
    """Plan to create, recreate, regenerate or delete one key.

    :raises InvalidOption: if the key cannot be found or created with these options.
    :raises RefusedPlan: if its scopes differ, and ``on_mismatch`` does not allow to recreate it,
        or if the note of an interrupted run cannot be trusted.
    """
    choice = select_keys(current, options)
    leftovers = tuple(
        plan_deletion(orphan, "left behind by an interrupted run") for orphan in choice.orphans
    )
    if choice.orphans and current.file.obstacle:
        orphan_name = choice.orphans[0]["name"]
        raise RefusedPlan(
            f"The API key {orphan_name!r} is not managed, since the note of an interrupted run "
            f"cannot be trusted: {current.file.obstacle}; correct secret_file."
        )
    notes = [f"{len(leftovers)} left behind by an interrupted run deleted"] if leftovers else []
    if options["state"] == "absent":
        return plan_absent(current, options, choice, leftovers, notes)
    reasons = find_reasons_to_recreate(current, choice.key, options) if choice.key else []
    if choice.key is None or reasons:
        how = f"recreated ({', '.join(reasons)})" if reasons else "created"
        return plan_new(options, choice, leftovers, [*notes, how])
    return plan_kept(current, options, choice, leftovers, notes)


def plan_absent(
    current: Keys, options: Values, choice: Choice, leftovers: tuple[Change, ...], notes: list[str]
) -> Plan:
    """Plan to delete a key, and the others of its name."""
    changes = leftovers
    if choice.key:
        keys = (choice.key, *choice.others)
        changes += tuple(plan_deletion(key, "that is to be absent") for key in keys)
        notes = [*notes, "deleted"]
    message = (
        f"API key {choice.name_key(options)!r}: {', '.join(notes)}" if changes else "no change"
    )
    if not changes and "key_id" in options:
        message = f"no change: no API key has the id {options['key_id']!r}"
        if find_key(current.keys, options["key_id"]) is not None:
            message = f"no change: the API key {options['key_id']!r} is revoked or deleted"
    return Plan(pick_fields(choice.key), {}, message=message, changes=changes)


def plan_new(
    options: Values, choice: Choice, leftovers: tuple[Change, ...], notes: list[str]
) -> Plan:
    """Plan to create a key; it replaces the one that exists, and the others of its name."""
    name = choice.name_key(options)
    subject = f"API key {name!r}"
    before, body = pick_fields(choice.key), make_body(choice.key, options, subject)
    creation = Change("create", "api_keys", f"create the {subject}", name, after=body)
    replaced = (choice.key, *choice.others) if choice.key else ()
    superseded = [key["id"] for key in replaced]
    deletions: tuple[Change, ...] = ()
    if options.get("revoke_old", True):
        superseded = []
        deletions = tuple(plan_deletion(key, "that is replaced") for key in replaced)
    return Plan(
        before,
        body,
        predicted={"name": body["name"], "scopes": body["scopes"]},
        message=f"{subject}: {', '.join(notes)}",
        result={"superseded": superseded},
        basis=replaced,
        changes=(*leftovers, creation, *deletions),
    )


def plan_kept(
    current: Keys, options: Values, choice: Choice, leftovers: tuple[Change, ...], notes: list[str]
) -> Plan:
    """Plan to leave a key as it is, or to give it a new secret."""
    changes, key, name = leftovers, t.cast(Values, choice.key), choice.name_key(options)
    before, subject = pick_fields(key), f"API key {name!r}"
    note, predicted = current.file.unfinished, dict(key)
    if options.get("rotate") or (note is not None and note["operation"] == "regenerate"):
        text = f"regenerate the {subject}"
        changes += (Change("regenerate", "api_keys", text, name, before, before),)
        predicted = without(key, "prefix", "last_used_at", "rotated_at")
        again = "regenerated again after an interrupted run"
        notes = [*notes, "regenerated" if options.get("rotate") else again]
    return Plan(
        before,
        before,
        predicted=predicted,
        message=f"{subject}: {', '.join(notes)}" if notes else "no change",
        result={"superseded": [other["id"] for other in choice.others]},
        basis=(key,),
        changes=changes,
    )


def plan_deletion(key: Values, why: str) -> Change:
    """Plan to delete a key."""
    text = f"delete the API key {key['name']!r} ({key['id']}) {why}"
    return Change("delete", "api_keys", text, str(key["name"] or key["id"]), pick_fields(key))


def check_key_plan(plan: Plan, current: Keys, options: Values) -> None:
    """Refuse a plan that loses a secret, or takes away the key that the task itself uses.

    :raises RefusedPlan: with the reason.
    """
    for change in plan.changes:
        if change.action == "delete":
            refuse_own(current, change.before, "deleted")
        else:
            check_file(current, options, change, plan.basis)
            verb = "regenerated" if change.action == "regenerate" else "recreated"
            refuse_own(current, plan.before, verb)


def check_file(current: Keys, options: Values, change: Change, replaced: Sequence[Values]) -> None:
    """Refuse a new secret that cannot be stored, or would be stored over another one.

    :param replaced: The keys whose secrets the new one replaces.
    :raises RefusedPlan: with the reason.
    """
    subject = f"API key {change.object!r}"
    what = "regenerated" if change.action == "regenerate" else "made"
    if current.file.obstacle:
        raise RefusedPlan(
            f"The {subject} is not {what}, since its secret could not be stored: "
            f"{current.file.obstacle}; correct secret_file."
        )
    content = describe_foreign_content(current, options, replaced)
    if content is not None and not options.get("secret_file_overwrite"):
        raise RefusedPlan(
            f"The {subject} is not {what}: {options['secret_file']} contains {content}, which "
            "would be lost. Give each key of each organization a file of its own, or set "
            "secret_file_overwrite: true once."
        )


def describe_foreign_content(
    current: Keys, options: Values, replaced: Sequence[Values]
) -> str | None:
    """Return what ``secret_file`` contains, unless it is an old secret of this very key.

    :param replaced: The keys whose secrets the new one replaces.
    """
    # Who left the note had made sure of it.
    if current.file.digest is None or current.file.unfinished is not None:
        return None
    record = _secret_file.find_record(current.file)
    if record is None:
        # Early versions wrote no record, but the API lists how the secret begins.
        known = find_own_keys(current.keys, current.file.text) & collect_ids(replaced)
        return None if known else _secret_file.UNKNOWN_CONTENT
    text = _secret_file.describe_record(record)
    name = replaced[0]["name"] if replaced else options.get("name")
    if record.get("kind") != "api_key" or record.get("name") != normalize_name(name):
        return text
    if record.get("api_url") != current.identity["api_url"]:
        return f"{text} at {record.get('api_url')}"
    listed = find_key(current.keys, record.get("id"))
    created = (record.get("created_at"), (listed or {}).get("created_at"))
    if None not in created and created[0] != created[1]:
        listed = None  # a key of another organization, with the same number
    if listed is None:
        same_user = record.get("api_key") == current.identity["api_key"]
        return None if same_user else f"{text} of another organization, or one that is gone"
    is_over = is_gone(listed, current.now) or is_expired(listed, current.now)
    return None if is_over or find_key(replaced, listed["id"]) else text


def refuse_own(current: Keys, key: Values, what: str) -> None:
    """Refuse to change the key that the task itself uses.

    :raises RefusedPlan: if the key is it.
    """
    if key and str(key["id"]) in current.own_ids:
        raise RefusedPlan(
            f"The API key {key['name']!r} ({key['id']}) is the one that this task itself uses, so "
            f"it is not {what}; use another api_key for it."
        )


def find_reasons_to_recreate(current: Keys, key: Values, options: Values) -> list[str]:
    """Return the reasons for which an existing key cannot stay.

    :raises RefusedPlan: if its scopes differ and ``on_mismatch`` does not allow to recreate it.
    """
    if is_expired(key, current.now):
        return ["expired"]
    reasons = []
    if "scopes" in options:
        scopes = read_scopes(key)
        if not same(scopes, options["scopes"]):
            old, new = (", ".join(sorted(names)) or "none" for names in (scopes, options["scopes"]))
            text = f"scopes {old} -> {new}"
            if options.get("on_mismatch", "fail") == "fail":
                raise RefusedPlan(
                    f"The API key {key['name']!r} has other {text}, and the API cannot change "
                    "them; set on_mismatch: recreate to replace it."
                )
            reasons.append(text)
    if "rotate_after_days" in options:
        created = read_key_time(key, "created_at")
        if created is None:
            raise ApiError(
                f"The API does not say when the API key {key['name']!r} was created, so "
                "rotate_after_days cannot be met."
            )
        if current.now - created > options["rotate_after_days"] * DAY:
            reasons.append(f"older than {options['rotate_after_days']} days")
    if "renew_before_days" in options:
        expires = read_key_time(key, "expires_at")
        if expires is not None and expires - current.now <= options["renew_before_days"] * DAY:
            reasons.append(f"expires within {options['renew_before_days']} days")
    return reasons


def make_body(key: Values | None, options: Values, subject: str) -> Values:
    """Return the body of the POST.

    A recreated key keeps the scopes and the lifetime of the old one, unless others are given.

    :raises InvalidOption: if there is nothing to take them from.
    """
    if key is None and "scopes" not in options:
        raise InvalidOption(f"The {subject} does not exist; scopes is needed to create it.")
    name = key["name"] if key else options["name"]
    if name is None:
        raise InvalidOption(f"The {subject} has no name, so it cannot be replaced; delete it.")
    scopes = options["scopes"] if "scopes" in options else read_scopes(t.cast(Values, key))
    body = {"name": name, "scopes": scopes}
    if "expires_in_days" in options:
        body["expires_in_days"] = options["expires_in_days"]
    elif key is not None:
        try:
            length = read_lifetime(key)
        except ApiError as error:
            error.message += " Give expires_in_days."
            raise
        if length is not None:
            body["expires_in_days"] = max(1, to_days(length))
            if options.get("renew_before_days", 0) >= body["expires_in_days"]:
                raise InvalidOption(
                    f"The {subject} lives {body['expires_in_days']} days, so with this "
                    "renew_before_days every run would make a new one; give expires_in_days."
                )
    return body


def pick_fields(key: Values | None) -> Values:
    """Return the fields of a key that the module manages."""
    names = ("id", "name", "scopes", "expires_at")
    return {name: key[name] for name in names if name in key} if key else {}


def verify_keys(current: Keys, plan: Plan, options: Values) -> list[str]:
    """Return what the API does not show of a plan, as texts."""
    deleted = collect_deleted_ids(plan.changes)
    texts = [
        f"{key['name']!r} ({key['id']}) is still listed"
        for key in current.keys
        if str(key["id"]) in deleted and not is_gone(key, current.now)
    ]
    if options["state"] == "absent":
        return texts
    by_id = "key_id" in options
    key = find_key(current.keys, options["key_id"]) if by_id else select_keys(current, options).key
    if key is None:
        texts.append("the new key is not listed")
    elif options.get("stale_prefix") and key.get("prefix") == options["stale_prefix"]:
        texts.append(f"its prefix is still {key['prefix']}")
    elif "scopes" in plan.after and plan.after != plan.before:
        scopes = read_scopes(key)
        if not same(scopes, plan.after["scopes"]):
            texts.append(f"its scopes are {', '.join(scopes)}")
    return texts


def return_key(current: Keys, options: Values) -> Values:
    """Return the key as it is now; empty if it is to be absent."""
    if options["state"] == "absent":
        return {}
    key = select_keys(current, options).key
    return dict(key) if key else {}


API_KEY = Resource(
    "api_key",
    read_keys,
    plan_key,
    return_key,
    verify_keys,
    apply_key,
    check=check_key,
    guard=check_key_plan,
    request=request_key,
    read_back=read_keys_back,
)
