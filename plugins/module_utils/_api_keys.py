# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys, made, replaced and revoked so that no secret is lost and no key is orphaned.

Endpoints: ``/api/user/api-keys``, ``/api/user/api-keys/{id}`` and ``/api/user/api-keys/{id}/regenerate``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    NotApplied,
    NotStored,
    PlanasonixError,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    parse_time,
    require_field,
    send,
)

KEYS_PATH = "/api/user/api-keys"
LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
SHORTEST_PREFIX = 12
"""Characters that a listed prefix must have at least to tell which key a secret belongs to."""


@dataclass(frozen=True)
class Keys:
    """What is known of the keys.

    :param keys: As listed.
    :param own_ids: Ids of the keys that may be the one that the task itself uses.
    :param now: When the list was read.
    :param note: What an earlier run noted beside ``secret_file`` and did not finish.
    :param obstacle: Why ``secret_file`` could not be written.
    """

    keys: tuple[Values, ...]
    own_ids: frozenset[t.Any]
    now: datetime.datetime
    note: Values | None = None
    obstacle: str | None = None


def check_key(options: Values) -> None:
    """Refuse options that cannot be met, or that would lose a secret.

    :raises InvalidOption: with the reason.
    """
    for name in ("expires_in_days", "rotate_after_days", "renew_before_days"):
        if name in options and options[name] < 1:
            raise InvalidOption(f"{name} must be at least 1 day.")
    if "secret_file" in options:
        _secret_file.check_path(options["secret_file"])
    elif options.get("return_secret") is False and options["state"] == "present":
        raise InvalidOption(
            "return_secret: false needs secret_file: a secret that is neither returned nor written would be lost."
        )
    if (
        options["state"] == "present"
        and "renew_before_days" in options
        and "expires_in_days" in options
        and options["renew_before_days"] >= options["expires_in_days"]
    ):
        raise InvalidOption(
            "renew_before_days must be less than expires_in_days, or every run would make a new key."
        )


def read_keys(client: Client, options: Values) -> Keys:
    """Read ``GET /api/user/api-keys``, confirm a ``key_id`` by ``GET /api/user/api-keys/{id}``, and look at ``secret_file``."""
    keys = read_key_list(client)
    key_id, path = options.get("key_id"), options.get("secret_file")
    if any(key["id"] == key_id for key in keys):
        client.get(key_path(key_id), f"read the API key {key_id}")
    return Keys(
        keys,
        own_keys(keys, client.connection.key),
        datetime.datetime.fromtimestamp(client.clock(), datetime.timezone.utc),
        _secret_file.read_note(path) if path else None,
        _secret_file.obstacle(path) if path else None,
    )


def read_key_list(client: Client) -> tuple[Values, ...]:
    """Read the keys, each with an id and a name."""
    keys = client.get_list(KEYS_PATH, "read the API keys")
    for key in keys:
        require_field(key, "id", "an API key")
        require_field(key, "name", "an API key")
        if "scopes" in key:
            key["scopes"] = key["scopes"] or []
    return tuple(keys)


def own_keys(keys: Sequence[Values], secret: str) -> frozenset[t.Any]:
    """Ids of the keys that a secret may belong to: those that alone bear a long prefix of it. A prefix that several keys bear tells nothing."""
    prefixes = [str(key.get("prefix") or "") for key in keys]
    return frozenset(
        key["id"]
        for key, prefix in zip(keys, prefixes, strict=True)
        if len(prefix) >= SHORTEST_PREFIX
        and secret.startswith(prefix)
        and prefixes.count(prefix) == 1
    )


def key_path(key_id: t.Any) -> str:
    """The path of one key."""
    return f"{KEYS_PATH}/{quote(str(key_id), safe='')}"


def moment(key: Values, name: str) -> datetime.datetime | None:
    """A time of a key, in UTC; ``None`` where it has none.

    :raises ApiError: if the field is missing or is no ISO 8601 time.
    """
    value = require_field(key, name, f"the API key {key['name']!r}")
    if value is None:
        return None
    time = parse_time(value)
    if time is None:
        raise ApiError(
            f"The API's answer for the API key {key['name']!r} has no ISO 8601 time in {name}: {value!r}."
        )
    return time


def namesakes(keys: Sequence[Values], name: str | None) -> list[Values]:
    """The keys of one name, the newest first."""
    found = [key for key in keys if key["name"] == name]
    if len(found) < 2:
        return found  # nothing to compare, so a missing time is no error
    created = [moment(key, "created_at") or LONG_AGO for key in found]
    if created[0] <= created[-1]:
        found.reverse()  # listed oldest first, so of two keys of one second the later in the list is the newer
    return sorted(found, key=lambda key: moment(key, "created_at") or LONG_AGO, reverse=True)


def select(current: Keys, options: Values) -> tuple[Values | None, list[Values], list[Values]]:
    """The key that the options mean, older ones of its name, and what an interrupted run left behind.

    :raises InvalidOption: if there is no such key, its name differs, or it is not clear which one is meant.
    """
    name, key_id = options.get("name"), options.get("key_id")
    if key_id is not None:
        key = next((key for key in current.keys if key["id"] == key_id), None)
        if key is None and options["state"] == "present":
            raise InvalidOption(
                f"No API key has the id {key_id!r}; leave key_id out to find or create one by name."
            )
        if key is not None and name is not None and key["name"] != name:
            raise InvalidOption(
                f"The API key {key_id!r} is named {key['name']!r}, not {name!r}, and the API cannot rename keys."
            )
        name = key["name"] if key else name
    note = current.note
    if note is not None and name is not None and note["name"] != name:
        raise InvalidOption(
            f"{_secret_file.note_path(options['secret_file'])} belongs to the API key {note['name']!r}: "
            "run the task of that key first, or give each key a file of its own."
        )
    orphans = [k for k in current.keys if note is not None and is_orphan(k, note)]
    if key_id is not None and key in orphans:
        if options["state"] == "present":
            why = (
                "was about to be revoked by an interrupted run"
                if key_id in t.cast(Values, note)["ids"]
                else "was made by an interrupted run, which lost its secret"
            )
            raise InvalidOption(
                f"The API key {key_id!r} {why}: address it by name, to have that run finished."
            )
        orphans.remove(key)
    left = [k for k in namesakes(current.keys, name) if k not in orphans]
    if key_id is not None:
        return key, left[left.index(key) + 1 :] if key in left else [], orphans
    if options["state"] == "absent" and len(left) > 1:
        raise InvalidOption(
            f"Several API keys are named {name!r}: {', '.join(str(k['id']) for k in left)}; remove them one by one by key_id."
        )
    return (left[0], left[1:], orphans) if left else (None, [], orphans)


def is_orphan(key: Values, note: Values) -> bool:
    """Whether an interrupted run made a key and did not store its secret, or was about to revoke it."""
    if key["name"] != note["name"] or note["operation"] == "regenerate":
        return False
    return key["id"] not in note["ids"] or key["id"] in note.get("revoke", ())


def plan_key(current: Keys, options: Values) -> Plan:
    """Plan to create, recreate, regenerate or delete one key.

    :raises InvalidOption: if the key cannot be found or made with these options.
    :raises RefusedPlan: if scopes differ, the task's own key would go, or the secret could not be stored.
    """
    key, older, orphans = select(current, options)
    name = key["name"] if key else options.get("name")
    subject = f"API key {name or options['key_id']!r}"
    leftovers = tuple(
        delete_call(current, orphan, "left behind by an interrupted run") for orphan in orphans
    )
    notes = [f"{len(orphans)} left behind by an interrupted run deleted"] if orphans else []

    if options["state"] == "absent":
        calls = (*leftovers, *([delete_call(current, key, "that is to be absent")] if key else []))
        message = (
            f"{subject}: {', '.join([*notes, *(['deleted'] if key else [])])}"
            if calls
            else "no change"
        )
        return Plan(managed(key), {}, calls, {}, message)

    reasons = reasons_to_recreate(current, key, options) if key else []
    superseded = [old["id"] for old in older]
    if key is None or reasons:
        if current.obstacle:
            raise RefusedPlan(
                f"The {subject} is not made, since its secret could not be stored: {current.obstacle}; correct secret_file."
            )
        if key:
            refuse_own(current, key, "recreated")
        body = body_of(key, options, subject)
        calls = (*leftovers, Call("POST", KEYS_PATH, body, f"create the {subject}"))
        if key and options.get("revoke_old", True):
            superseded = []
            calls += tuple(delete_call(current, old, "that is replaced") for old in (key, *older))
        elif key:
            superseded = [key["id"], *superseded]
        done = f"recreated ({', '.join(reasons)})" if key else "created"
        return Plan(
            managed(key),
            body,
            calls,
            {"name": body["name"], "scopes": body["scopes"]},
            f"{subject}: {', '.join([*notes, done])}",
            {"superseded": superseded},
        )
    calls = leftovers
    outcome = dict(key)
    again = current.note is not None and current.note["operation"] == "regenerate"
    if options.get("rotate") or again:
        if current.obstacle:
            raise RefusedPlan(
                f"The {subject} is not regenerated, since its secret could not be stored: {current.obstacle}; correct secret_file."
            )
        refuse_own(current, key, "regenerated")
        calls += (
            Call("POST", f"{key_path(key['id'])}/regenerate", None, f"regenerate the {subject}"),
        )
        outcome = without(key, "prefix", "last_used_at", "rotated_at")
        notes.append(
            "regenerated" if options.get("rotate") else "regenerated again after an interrupted run"
        )
    message = f"{subject}: {', '.join(notes)}" if notes else "no change"
    return Plan(managed(key), managed(key), calls, outcome, message, {"superseded": superseded})


def refuse_own(current: Keys, key: Values, what: str) -> None:
    """Keep the key that the task itself uses.

    :raises RefusedPlan: if the key is it.
    """
    if key["id"] in current.own_ids:
        raise RefusedPlan(
            f"The API key {key['name']!r} ({key['id']}) is the one that this task itself uses, so it is not {what}; use another api_key for it."
        )


def delete_call(current: Keys, key: Values, why: str) -> Call:
    """The call that deletes a key."""
    refuse_own(current, key, "deleted")
    return Call(
        "DELETE",
        key_path(key["id"]),
        None,
        f"delete the API key {key['name']!r} ({key['id']}) {why}",
    )


def reasons_to_recreate(current: Keys, key: Values, options: Values) -> list[str]:
    """Why an existing key cannot stay.

    :raises RefusedPlan: if its scopes differ and ``on_mismatch`` does not allow to recreate it.
    """
    reasons = []
    if "scopes" in options:
        scopes = require_field(key, "scopes", f"the API key {key['name']!r}")
        if not same(scopes, options["scopes"]):
            text = f"scopes {', '.join(sorted(scopes)) or 'none'} -> {', '.join(sorted(options['scopes'])) or 'none'}"
            if options.get("on_mismatch", "fail") == "fail":
                raise RefusedPlan(
                    f"The API key {key['name']!r} has other {text}, and the API cannot change them; set on_mismatch: recreate to replace it."
                )
            reasons.append(text)
    if "rotate_after_days" in options:
        created = moment(key, "created_at")
        if created is None:
            raise ApiError(
                f"The API does not tell when the API key {key['name']!r} was created, so rotate_after_days cannot be met."
            )
        if current.now - created > datetime.timedelta(days=options["rotate_after_days"]):
            reasons.append(f"older than {options['rotate_after_days']} days")
    if "renew_before_days" in options:
        expires = moment(key, "expires_at")
        if expires is not None and expires - current.now <= datetime.timedelta(
            days=options["renew_before_days"]
        ):
            reasons.append(f"expires within {options['renew_before_days']} days")
    return reasons


def body_of(key: Values | None, options: Values, subject: str) -> Values:
    """The body of the POST. A recreated key keeps the scopes and the lifetime of the old one, unless others are given.

    :raises InvalidOption: if there is nothing to take them from.
    """
    if key is None and "scopes" not in options:
        raise InvalidOption(f"The {subject} does not exist; scopes is needed to create it.")
    scopes = (
        options["scopes"]
        if "scopes" in options
        else require_field(t.cast(Values, key), "scopes", f"the {subject}")
    )
    body = {"name": key["name"] if key else options["name"], "scopes": scopes}
    if "expires_in_days" in options:
        body["expires_in_days"] = options["expires_in_days"]
    elif key is not None:
        expires, created = moment(key, "expires_at"), moment(key, "created_at")
        if expires is not None and created is not None:
            body["expires_in_days"] = max(
                1, round((expires - created) / datetime.timedelta(days=1))
            )
            if options.get("renew_before_days", 0) >= body["expires_in_days"]:
                raise InvalidOption(
                    f"The {subject} lives {body['expires_in_days']} days, so with this renew_before_days every run would make a new one; give expires_in_days."
                )
    return body


def managed(key: Values | None) -> Values:
    """What the module manages, for the diff."""
    return (
        {}
        if key is None
        else {name: key[name] for name in ("id", "name", "scopes", "expires_at") if name in key}
    )


def apply_key(client: Client, plan: Plan, current: Keys, options: Values) -> Applied:
    """Send the plan: a secret is stored before anything else is done, and before it is made the run notes what it is about to do.

    :raises PlanasonixError: if it fails; what is nowhere else by then is left in ``client.unsaved``.
    """
    path = options.get("secret_file")
    identity: Values = {}
    made: Values | None = None
    for call in plan.calls:
        if call.method == "DELETE":
            try:
                send(client, call)
            except ApiError as error:
                if made:
                    error.message += " The new secret is kept."
                raise
            continue
        if call.path == KEYS_PATH:
            made = create(client, call, current, plan, path)
            identity = {"key_id": made["id"]}
        else:
            made = regenerate(client, call, current, plan, path)
            identity = {"stale_prefix": stale_prefix(made, current, call)}
        if options.get("return_secret", path is None):
            client.unsaved["secret"] = made["secret"]
    if path:
        _secret_file.remove_note(path, current.note)
    return Applied(dict(client.unsaved), identity)


def create(client: Client, call: Call, current: Keys, plan: Plan, path: str | None) -> Values:
    """Make a key and store its secret. In the end there is one new key whose secret is known, or none.

    :raises ApiError: if no key could be made, or there may be a second one that was not found.
    :raises NotApplied: if the key that was made is not as asked for; it is deleted again.
    :raises NotStored: if its secret could not be stored; it is deleted again.
    """
    known = {key["id"] for key in current.keys}
    note(
        path,
        plan,
        "recreate" if plan.before else "create",
        sorted(known.difference(deleted_by(plan.calls[: plan.calls.index(call)], current))),
    )
    made, lost = create_without_doubles(client, call, current, path)
    try:
        check_made(made, call.body)
        if path:
            store(path, made["secret"])
    except PlanasonixError as error:
        if delete_again(client, made["id"]):
            client.unsaved.clear()
            error.message += f" The new key was deleted again.{withdraw_note(path, current)}"
        else:
            error.message += (
                f" The new key {made['id']} could not be deleted again: delete it by hand."
            )
        raise
    if path:
        client.unsaved.clear()
        note_revocations(path, plan, call, current, made["id"])
    if lost:
        # An attempt whose answer was lost may have taken effect after it was looked for. By now the secret of the key that stays is safe.
        delete_stray(
            client,
            call,
            known | {made["id"]},
            f"The new key {made['id']} is made and its secret is kept, but",
        )
    return made


def delete_again(client: Client, key_id: str) -> bool:
    """Delete a key that was just made; returns whether it is gone, which another run may have seen to."""
    try:
        client.send("DELETE", key_path(key_id), action="delete the new API key again")
    except ApiError as error:
        return error.status == 404
    return True


def note_revocations(path: str, plan: Plan, call: Call, current: Keys, new_id: str) -> None:
    """Note which keys are still to be revoked, now that the new secret is stored; without any, remove the note.

    :raises NotStored: if neither can be done.
    """
    revoke = deleted_by(plan.calls[plan.calls.index(call) :], current)
    if revoke and _secret_file.is_ours(path):
        with contextlib.suppress(
            OSError
        ):  # then they stay, if this run is killed, and are told as superseded
            _secret_file.write_note(
                path,
                {
                    "name": plan.after["name"],
                    "operation": "recreate",
                    "ids": [*(key["id"] for key in current.keys), new_id],
                    "revoke": revoke,
                },
            )
            return
    _secret_file.remove_note(path, current.note)


def deleted_by(calls: Sequence[Call], current: Keys) -> list[str]:
    """Ids of the keys that calls of a plan delete."""
    paths = {call.path for call in calls if call.method == "DELETE"}
    return [key["id"] for key in current.keys if key_path(key["id"]) in paths]


def create_without_doubles(
    client: Client, call: Call, current: Keys, path: str | None
) -> tuple[Values, bool]:
    """Send the POST; a key that it may have made without telling its secret is deleted before it is sent again. The secret is left in ``client.unsaved``.

    :returns: What was made, and whether the answer to an earlier attempt was lost.
    :raises ApiError: if no key could be made. The note beside the file stays as long as there may be one.
    """
    known = {key["id"] for key in current.keys}
    doubt = f"Could not {call.action}: no answer told its secret, and"
    attempt = 0
    while True:
        attempt += 1
        try:
            made = send(client, call)
            if (
                not isinstance(made, dict)
                or not made.get("id")
                or not isinstance(made.get("secret"), str)
                or not made["secret"]
            ):
                raise ApiError(
                    f"Could not {call.action}: the answer to POST {KEYS_PATH} lacks the documented id and secret.",
                    method="POST",
                    path=KEYS_PATH,
                )
            client.unsaved["secret"] = made["secret"]
            return made, attempt > 1
        except AnswerLost as error:
            again = client.pause(attempt)
            delete_stray(client, call, known, doubt)
            if not again:
                error.message += withdraw_note(path, current)
                raise
        except ApiError as error:
            if attempt > 1 or not error.did_nothing:
                delete_stray(client, call, known, doubt)
            error.message += withdraw_note(path, current)
            raise
        except Exception:  # a fault of this collection; a key that nobody knows must not stay
            client.unsaved.clear()
            delete_stray(client, call, known, doubt)
            raise


def delete_stray(client: Client, call: Call, known: set[str], doubt: str) -> None:
    """Delete a key that a lost POST made: nobody knows its secret.

    :param doubt: How the message begins, if that cannot be done.
    :raises ApiError: if several could be it, or it cannot be looked for or deleted.
    """
    name = call.body["name"]
    try:
        strays = [
            key
            for key in read_key_list(client)
            if key["id"] not in known
            and key["name"] == name
            and same(require_field(key, "scopes", "an API key"), call.body["scopes"])
        ]
        if len(strays) > 1:
            raise ApiError(f"several new keys fit: {', '.join(str(key['id']) for key in strays)}.")
        for key in strays:
            client.send(
                "DELETE",
                key_path(key["id"]),
                action=f"delete the API key {key['id']}, whose secret was lost",
            )
    except ApiError as error:
        error.message = (
            f"{doubt} a key named {name!r} may be left of a request whose answer was lost "
            f"({error.message}); look for one that nobody uses, and delete it."
        )
        raise


def check_made(made: Values, body: Values) -> None:
    """Compare what was made with what was asked for, as far as the answer tells.

    :raises NotApplied: if it differs.
    """
    wrong: list[str] = [
        name
        for name in ("name", "scopes")
        if made.get(name) is not None and not same(made[name], body[name])
    ]
    if "expires_in_days" in body and "expires_at" in made and made["expires_at"] is None:
        wrong.append("expires_in_days")
    if wrong:
        raise NotApplied(
            f"The API made the key {body['name']!r} with another {', '.join(wrong)} than asked for.",
            method="POST",
            path=KEYS_PATH,
        )


def regenerate(client: Client, call: Call, current: Keys, plan: Plan, path: str | None) -> Values:
    """Give a key a new secret and store it. The key is never deleted.

    :raises ApiError: if the API refuses, or twice gives no answer.
    :raises NotStored: if the secret could not be stored; it is in ``client.unsaved``.
    """
    note(path, plan, "regenerate", [key["id"] for key in current.keys])
    for last in (False, True):
        try:
            made = send(client, call)
            break
        except AnswerLost as error:
            if last:
                error.message += " The old secret may be void: run again to make a new one."
                raise
        except ApiError as error:
            # Only if no attempt may have voided the old secret.
            if not last and error.did_nothing:
                error.message += withdraw_note(path, current)
            raise
    if not isinstance(made, dict) or not isinstance(made.get("secret"), str) or not made["secret"]:
        raise ApiError(
            f"Could not {call.action}: the answer lacks the documented secret, and the old one may be void; run again.",
            method="POST",
            path=call.path,
        )
    client.unsaved["secret"] = made["secret"]
    if path:
        try:
            store(path, made["secret"])
        except NotStored as error:
            error.message += " The key has a new secret, which this result carries: take it from there, or run again."
            if not _secret_file.is_ours(path):
                # The two runs cannot tell whose secret is in force. With this note neither stores one, and the next run makes another.
                error.message += " If the other run made one after it, it is void."
                note(path, plan, "regenerate", [key["id"] for key in current.keys])
            raise
        client.unsaved.clear()
        _secret_file.remove_note(path, current.note)
    return made


def stale_prefix(made: Values, current: Keys, call: Call) -> str | None:
    """The old prefix of a regenerated key, if the answer tells another: as long as it is listed, the new secret is not in force.

    :returns: ``None`` where nothing tells.
    """
    old = next(
        (
            str(key.get("prefix") or "")
            for key in current.keys
            if f"{key_path(key['id'])}/regenerate" == call.path
        ),
        "",
    )
    told = str(made.get("prefix") or "")
    # Only where both are beginnings of secrets, and not masked or written in some other way.
    comparable = (
        len(old) == len(told)
        and made["secret"].startswith(told)
        and not re.search("[*\u2022\u2026]", old)
    )
    return old if comparable and old != told else None


def note(path: str | None, plan: Plan, operation: str, ids: list[str]) -> None:
    """Note beside the secret file what is about to be done, for a run after this one was killed.

    :raises NotStored: if it cannot be written; nothing was sent yet.
    """
    if path:
        name = (plan.after or plan.before)["name"]
        try:
            _secret_file.write_note(path, {"name": name, "operation": operation, "ids": ids})
        except OSError as error:
            raise NotStored(
                f"The secret of the API key {name!r} could not be stored ({error.strerror}); nothing was changed, correct secret_file."
            ) from None


def withdraw_note(path: str | None, current: Keys) -> str:
    """Remove the note of a call that did nothing; what an earlier run left to mend is noted again.

    :returns: What to add to the message of the failure, if the note stays.
    """
    if not path or not _secret_file.is_ours(path):
        return ""
    if current.note is not None and current.note["operation"] == "regenerate":
        with contextlib.suppress(OSError):  # then the newer note stays
            _secret_file.write_note(path, current.note)
        return ""
    try:
        _secret_file.remove_note(path, current.note)
    except NotStored as error:
        return f" {error.message}"
    return ""


def store(path: str, secret: str) -> None:
    """Write the secret.

    :raises NotStored: if it cannot be written, or another run is about to write its own.
    """
    if not _secret_file.is_ours(path):
        raise NotStored(
            f"Another run began meanwhile to make a key for {path}, so the secret of this one was not written there; let one run at a time do so."
        )
    try:
        _secret_file.write(path, secret)
    except (OSError, UnicodeError) as error:
        raise NotStored(
            f"The secret could not be written to {path} ({getattr(error, 'strerror', error.__class__.__name__)})."
        ) from None


def missed_in_keys(current: Keys, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do."""
    gone = {call.path for call in plan.calls if call.method == "DELETE"}
    texts = [
        f"{key['name']!r} ({key['id']}) is still listed"
        for key in current.keys
        if key_path(key["id"]) in gone
    ]
    if options["state"] == "present":
        key = (
            next((key for key in current.keys if key["id"] == options["key_id"]), None)
            if "key_id" in options
            else select(current, options)[0]
        )
        if key is None:
            texts.append("the new key is not listed")
        elif options.get("stale_prefix") and key.get("prefix") == options["stale_prefix"]:
            texts.append(f"its prefix is still {key['prefix']}")
        elif "scopes" in plan.after and not same(
            require_field(key, "scopes", "an API key"), plan.after["scopes"]
        ):
            texts.append(f"its scopes are {', '.join(key['scopes'])}")
    return texts


def show_key(current: Keys, options: Values) -> Values:
    """The key as it now is."""
    key = select(current, options)[0]
    return dict(key) if key else {}


API_KEY = Resource("api_key", read_keys, plan_key, show_key, missed_in_keys, apply_key, check_key)
