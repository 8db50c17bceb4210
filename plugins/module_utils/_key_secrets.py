# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New secrets of API keys, stored before anything relies on them.

Endpoints: ``POST /api/user/api-keys``, ``POST /api/user/api-keys/{id}/regenerate`` and
``DELETE /api/user/api-keys/{id}``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    NotApplied,
    NotStored,
    PlanasonixError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    DAY,
    KEYS_PATH,
    Keys,
    find_key,
    ids_of,
    key_path,
    moment,
    read_key_list,
    scopes_of,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Plan,
    Values,
    same,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Write,
    looks,
    send,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    is_gone,
    parse_time,
)


def apply_key(client: Client, plan: Plan, current: Keys, options: Values) -> Applied:
    """Send the plan.

    The run notes what it is about to do before it makes a secret. It stores the secret before it
    does anything else.

    :raises PlanasonixError: if it fails; what is nowhere else by then is left in
        ``client.unsaved``.
    """
    path = options.get("secret_file")
    found: Values = {"applied": True}
    made: Values | None = None
    if path:
        claim_file(path, plan, current)
    for call in plan.calls:
        if call.method == "DELETE":
            delete(client, call, made is not None)
            continue
        if path:
            note_post(path, plan, current)
        if call.path == KEYS_PATH:
            made = create(client, call, current, plan, options)
            found["key_id"] = made["id"]
        else:
            made = regenerate(client, call, current, plan, path)
            found["stale_prefix"] = stale_prefix(made, current, call)
            if made.get("id") not in (None, ""):
                found["key_id"] = made["id"]
        if options.get("return_secret", path is None):
            client.unsaved["secret"] = made["secret"]
    if path:
        _secret_file.remove_note(path, current.file.note)
    return Applied(dict(client.unsaved), found)


def delete(client: Client, call: Write, made: bool) -> None:
    """Delete a key. If the API does not know it any more, reading back shows whether it is gone.

    :param made: Whether a new key was made before.
    :raises ApiError: if the API refuses.
    """
    try:
        send(client, call)
    except ApiError as error:
        if error.status == 404:
            return
        if made:
            error.message += " The new secret is kept."
        raise


def claim_file(path: str, plan: Plan, current: Keys) -> None:
    """Note next to the secret file what the plan is about to do, in case the run is killed.

    :raises NotStored: if that cannot be, or another run uses the file; nothing was sent yet.
    """
    note = current.file.note or note_of_plan(plan, current)
    if not plan.calls or note is None:
        return
    try:
        # An earlier run's note stays until what that run left behind is deleted.
        _secret_file.claim(path, note, current.file)
    except OSError as error:
        raise not_noted(note, error) from None


def note_post(path: str, plan: Plan, current: Keys) -> None:
    """Note the POST that comes next, if the note is still the one of an earlier run.

    :raises NotStored: if that cannot be.
    """
    note = note_of_plan(plan, current)
    if current.file.note is None or note is None or not _secret_file.is_ours(path):
        return
    try:
        _secret_file.write_note(path, note)
    except OSError as error:
        raise not_noted(note, error) from None


def not_noted(note: Values, error: OSError) -> NotStored:
    """Return the failure of a run that could not note what it is about to do."""
    return NotStored(
        f"The secret of the API key {note['name']!r} could not be stored ({error.strerror}); "
        "nothing was changed, correct secret_file."
    )


def note_of_plan(plan: Plan, current: Keys) -> Values | None:
    """Return what to note of a plan; ``None`` if it makes no secret."""
    post = next((call for call in plan.calls if call.method == "POST"), None)
    if post is None:
        return None
    name = read_name(plan.after or plan.before)
    ids = ids_of(current.keys)
    if post.path != KEYS_PATH:
        return {"name": name, "operation": "regenerate", "ids": sorted(ids), **current.identity}
    ids -= deleted_by(plan.calls[: plan.calls.index(post)], current)
    operation = "recreate" if plan.before else "create"
    return {"name": name, "operation": operation, "ids": sorted(ids), **current.identity}


def create(client: Client, call: Write, current: Keys, plan: Plan, options: Values) -> Values:
    """Make a key and store its secret.

    In the end there is one new key whose secret is known, or none.

    :raises ApiError: if no key could be made, or there may be a second one that was not found.
    :raises NotApplied: if the key that was made is not as asked for; it is deleted again.
    :raises NotStored: if its secret could not be stored; it is deleted again.
    """
    path = options.get("secret_file")
    strays = Strays(client, call, ids_of(current.keys))
    made = create_without_doubles(strays, current, path)
    try:
        made = with_listed_fields(client, made)
        check_made(client, made, call.body, options)
        if path:
            store(path, made, made["secret"], current)
    except PlanasonixError as error:
        if delete_again(client, made["id"]):
            client.unsaved.clear()
            error.message += f" The new key was deleted again.{withdraw_note(path, current)}"
            error.message += await_deletion(client, made["id"])
        else:
            error.message += (
                f" The new key {made['id']} could not be deleted again: delete it by hand."
            )
        raise
    if path:
        client.unsaved.clear()
        note_revocations(path, plan, call, current, made["id"])
    if strays.lost:
        # An attempt whose answer was lost may have taken effect after it was looked for. By now the
        # secret of the key that stays is safe.
        strays.known.add(str(made["id"]))
        strays.delete(f"The new key {made['id']} is made and its secret is kept, but")
    return made


def with_listed_fields(client: Client, made: Values) -> Values:
    """Return a new key with the fields that its answer lacks, as the list has them."""
    if all(made.get(name) is not None for name in ("scopes", "created_at")) and (
        "expires_at" in made
    ):
        return made
    for _look in looks(client):
        listed = find_key(read_key_list(client), made["id"])
        if listed is not None:
            told = {name: value for name, value in made.items() if value is not None}
            return {**made, **listed, **told}
    return made


def delete_again(client: Client, key_id: t.Any) -> bool:
    """Delete a key that was just made; returns whether it is gone."""
    try:
        delete_made(client, key_id, "delete the new API key again")
    except ApiError:
        return False
    return True


def delete_made(client: Client, key_id: t.Any, action: str) -> None:
    """Delete a key that was just made, so that the API may not know it everywhere yet.

    :raises ApiError: if the API refuses.
    """
    try:
        client.send("DELETE", key_path(key_id), action=action)
        return
    except ApiError as error:
        if error.status != 404:
            raise
    if any(find_key(read_key_list(client), key_id) for _look in looks(client)):
        client.send("DELETE", key_path(key_id), action=action)


STILL_LISTED = " The API may list it for a while longer; wait a minute before you run again."


def await_deletion(client: Client, key_id: t.Any) -> str:
    """Wait until the API no longer lists a key that was deleted.

    Otherwise the next run takes it for the key that the task asks for.

    :returns: What to add to the message of the failure if it is still listed.
    """
    is_still_listed = all(is_listed(client, key_id) for _look in looks(client))
    return STILL_LISTED if is_still_listed else ""


def is_listed(client: Client, key_id: t.Any) -> bool:
    """Return whether the API lists a key as one that works; ``True`` if it cannot be read."""
    try:
        key = find_key(read_key_list(client), key_id)
        return key is not None and not is_gone(key, client.now())
    except ApiError:
        return True


def note_revocations(path: str, plan: Plan, call: Write, current: Keys, new_id: t.Any) -> None:
    """Note which keys are still to be revoked, or remove the note if there are none.

    :raises NotStored: if neither can be done.
    """
    revoke = deleted_by(plan.calls[plan.calls.index(call) :], current)
    if revoke and _secret_file.is_ours(path):
        note = {
            "name": read_name(plan.after),
            "operation": "recreate",
            "ids": sorted(ids_of(current.keys) | {str(new_id)}),
            "revoke": sorted(revoke),
            **current.identity,
        }
        # If it cannot be written, they stay if this run is killed, and are listed as superseded.
        with contextlib.suppress(OSError):
            _secret_file.write_note(path, note)
            return
    _secret_file.remove_note(path, current.file.note)


def deleted_by(calls: Sequence[Write], current: Keys) -> set[str]:
    """Ids of the keys that calls of a plan delete."""
    paths = {call.path for call in calls if call.method == "DELETE"}
    return ids_of(key for key in current.keys if key_path(key["id"]) in paths)


def create_without_doubles(strays: Strays, current: Keys, path: str | None) -> Values:
    """Send the POST so that there is no second key in the end.

    A key that it may have made without an answer is deleted before it is sent again. The secret is
    left in ``client.unsaved``.

    :returns: What was made.
    :raises ApiError: if no key could be made. The note beside the file stays as long as there may
        be one.
    """
    client, call = strays.client, strays.call
    doubt = f"Could not {call.action}: no answer told its secret, and"
    attempt = 0
    while True:
        attempt += 1
        made: t.Any = None
        try:
            made = send(client, call)
            learn_secret(client, made)
            check_answer(made, call)
            client.unsaved["secret"] = made["secret"]
            return t.cast(Values, made)
        except AnswerLost as error:
            again = client.pause(attempt)
            strays.lost += 1
            deleted = strays.delete(doubt)
            if not again:
                error.message += f"{deleted}{withdraw_note(path, current)}"
                error.message += strays.await_deletions()
                raise
        except ApiError as error:
            if not error.did_nothing:
                strays.lost += 1
            if strays.lost:
                error.message += strays.delete(doubt, made)
            if error.status == 409 and any(has_name(k, call.body["name"]) for k in current.keys):
                error.message += (
                    " If names must be unique, delete the old key first, or use rotate."
                )
            error.message += withdraw_note(path, current)
            error.message += strays.await_deletions()
            raise
        except Exception:  # a fault of this collection; a key that nobody knows must not stay
            client.unsaved.clear()
            strays.delete(doubt)
            raise


def learn_secret(client: Client, made: t.Any) -> None:
    """Keep the secret of an answer out of all messages: the API could quote it later."""
    if isinstance(made, dict):
        client.secrets.learn(made.get("secret"))


def check_answer(made: t.Any, call: Write) -> None:
    """Check that an answer has what a new key needs.

    :raises ApiError: if it lacks the id or the secret.
    """
    answer = made if isinstance(made, dict) else {}
    secret = answer.get("secret")
    if answer.get("id") in (None, "") or not isinstance(secret, str) or not secret:
        raise ApiError(
            f"Could not {call.action}: the answer to POST {KEYS_PATH} lacks the documented id and "
            "secret.",
            method="POST",
            path=KEYS_PATH,
        )


@dataclass
class Strays:
    """Keys that a POST made without telling their secrets, so that they are of no use.

    :param known: Ids of the keys that are none: those of before, and those that were deleted.
    :param lost: How many requests may have made one that was not found yet.
    :param deleted: Ids of those that were deleted.
    """

    client: Client
    call: Write
    known: set[str]
    lost: int = 0
    deleted: list[t.Any] = field(default_factory=list)

    def delete(self, doubt: str, answer: t.Any = None) -> str:
        """Delete what was made, as soon as the API lists it.

        :param doubt: How the message begins, if that cannot be done.
        :param answer: What the POST answered.
        :returns: What to add to the message of the failure.
        :raises ApiError: if several could be it, or it cannot be looked for or deleted.
        """
        name = self.call.body["name"]
        made = answer.get("id") if isinstance(answer, dict) else None
        found: list[t.Any] = []
        try:
            if made not in (None, ""):
                found = [made]
            for _look in looks(self.client):
                found = found or self.find()
                if found:
                    break
            for key_id in found:
                action = f"delete the API key {key_id}, whose secret was lost"
                delete_made(self.client, key_id, action)
                self.known.add(str(key_id))
                self.deleted.append(key_id)
                self.lost = max(0, self.lost - 1)
        except ApiError as error:
            error.message = (
                f"{doubt} a key named {name!r} may be left of a request whose answer was lost "
                f"({error.message}); look for one that nobody uses, and delete it."
            )
            raise
        return " The key that it made was deleted again." if found else ""

    def await_deletions(self) -> str:
        """Wait until nothing that was deleted is listed; returns what to add to the message."""
        return max((await_deletion(self.client, key_id) for key_id in self.deleted), default="")

    def find(self) -> list[t.Any]:
        """Return the ids of the keys that a request without an answer made.

        :raises ApiError: if that is not clear.
        """
        name, scopes = self.call.body["name"], self.call.body["scopes"]
        new = [
            key
            for key in read_key_list(self.client)
            if str(key["id"]) not in self.known and has_name(key, name)
        ]
        fitting = [key for key in new if same(scopes_of(key), scopes)]
        if new and not fitting:
            # The API may store more scopes than were sent.
            fitting = [key for key in new if set(scopes) <= set(scopes_of(key))]
        ids = ", ".join(str(key["id"]) for key in new)
        if len(fitting) > 1:
            raise ApiError(f"several new keys fit: {ids}.")
        if new and not fitting:
            raise ApiError(f"a new key of that name has other scopes: {ids}.")
        return [key["id"] for key in fitting]


def check_made(client: Client, made: Values, body: Values, options: Values) -> None:
    """Compare what was made with what was asked for.

    :raises NotApplied: if it differs.
    :raises ApiError: if the API does not say so.
    """
    name = body["name"]
    text = None
    if made.get("name") is not None and not has_name(made, name):
        text = f"stores the name of the API key as {made['name']!r}; the task asks for {name!r}"
    scopes = scopes_of({**made, "name": name}) if made.get("scopes") is not None else body["scopes"]
    if not same(scopes, body["scopes"]):
        text = (
            f"stores the scopes of the API key {name!r} as {', '.join(scopes) or 'none'}; "
            f"the task asks for {', '.join(body['scopes']) or 'none'}"
        )
    asked, renewed = body.get("expires_in_days"), options.get("renew_before_days")
    days = days_of(client, {**made, "name": name}) if asked or renewed else None
    if asked and (days is None or not asked - 1 < days < asked + 1):
        length = "for ever" if days is None else f"{days:.0f} days"
        text = f"lets the API key {name!r} live {length}; the task asks for {asked} days"
    elif renewed and days is not None and days <= renewed:
        text = (
            f"lets the API key {name!r} live {days:.0f} days, so with renew_before_days: {renewed} "
            "every run would make a new one"
        )
    if text:
        raise NotApplied(f"The API {text}.", method="POST", path=KEYS_PATH)


def days_of(client: Client, made: Values) -> float | None:
    """Return how many days a new key lives; ``None`` if it does not expire.

    :raises ApiError: if the API does not say so.
    """
    expires = moment(made, "expires_at")
    if expires is None:
        return None
    now = client.now()
    return (expires - (parse_time(made.get("created_at")) or now)) / DAY


def regenerate(client: Client, call: Write, current: Keys, plan: Plan, path: str | None) -> Values:
    """Give a key a new secret and store it. The key is never deleted.

    :raises ApiError: if the API refuses, or twice gives no answer.
    :raises NotStored: if the secret could not be stored; it is in ``client.unsaved``.
    """
    for last in (False, True):
        try:
            made = send(client, call)
            learn_secret(client, made)
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
            f"Could not {call.action}: the answer lacks the documented secret, and the old one "
            "may be void; run again.",
            method="POST",
            path=call.path,
        )
    client.unsaved["secret"] = made["secret"]
    if path:
        try:
            key = find_key(current.keys, plan.before["id"]) or plan.before
            store(path, key, made["secret"], current)
        except NotStored as error:
            error.message += (
                " The key has a new secret, which this result carries: take it from there, or run "
                "again."
            )
            if not _secret_file.is_ours(path):
                # The two runs cannot tell whose secret is in force. With this note neither stores
                # one, and the next run makes another.
                error.message += " If the other run made one after it, it is void."
                with contextlib.suppress(OSError):
                    _secret_file.write_note(path, t.cast(Values, note_of_plan(plan, current)))
            raise
        client.unsaved.clear()
        _secret_file.remove_note(path, current.file.note)
    return made


def stale_prefix(made: Values, current: Keys, call: Write) -> str | None:
    """Return the old prefix of a regenerated key, if the answer has another one.

    As long as it is listed, the new secret is not in force.

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


def withdraw_note(path: str | None, current: Keys) -> str:
    """Remove the note of a call that did nothing; what an earlier run left to mend is noted again.

    :returns: What to add to the message of the failure, if the note stays.
    """
    found = current.file.note
    if not path or not _secret_file.is_ours(path):
        return ""
    if found is not None and found["operation"] == "regenerate":
        with contextlib.suppress(OSError):  # then the newer note stays
            _secret_file.write_note(path, found)
        return ""
    try:
        _secret_file.remove_note(path, found)
    except NotStored as error:
        return f" {error.message}"
    return ""


def store(path: str, key: Values, secret: str, current: Keys) -> None:
    """Write the secret of a key.

    :raises NotStored: if it cannot be written, or another run is about to write its own.
    """
    if not _secret_file.is_ours(path):
        raise NotStored(
            f"Another run began meanwhile to make a key for {path}, so the secret of this one was "
            "not written there; let one run at a time do so."
        )
    owner = {
        "kind": "api_key",
        "name": read_name(key),
        "id": key["id"],
        "created_at": key.get("created_at"),
        **current.identity,
    }
    try:
        _secret_file.store(path, secret, owner, current.file)
    except (OSError, UnicodeError) as error:
        raise NotStored(
            f"The secret could not be written to {path} "
            f"({getattr(error, 'strerror', error.__class__.__name__)})."
        ) from None
