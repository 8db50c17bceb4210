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
import itertools
import re
import typing as t
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.planasonix.admin.plugins.module_utils import _keys, _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    NotApplied,
    NotStored,
    PlanasonixError,
    carry,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    same,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Write,
    look_for,
    looks,
    send,
    send_until_answered,
)
from ansible_collections.planasonix.admin.plugins.module_utils._secret_file import PendingNote
from ansible_collections.planasonix.admin.plugins.module_utils._validity import is_gone, parse_time


def apply_key(client: Client, plan: Plan, current: _keys.Keys, options: Values) -> Applied:
    """Send the changes of a plan.

    The run notes what it is about to do before it makes a secret. It stores the secret before it
    does anything else.

    :raises PlanasonixError: if it fails. Its details contain a new secret that is stored nowhere.
    """
    run = KeyRun(client, plan, current, options)
    try:
        run.apply()
        return run.applied
    except Exception as error:
        raise carry(error, run.applied.result) from None


def request_key(change: Change, dummy_options: Values) -> Write:
    """Return the request of a change of an API key."""
    if change.action == "create":
        return Write("POST", _keys.KEYS_PATH, change.after, change.text)
    path = _keys.key_path(change.before["id"])
    if change.action == "regenerate":
        return Write("POST", f"{path}/regenerate", None, change.text)
    return Write("DELETE", path, None, change.text)


def collect_deleted_ids(changes: Iterable[Change]) -> set[str]:
    """Return the ids of the keys that changes delete."""
    return _keys.collect_ids(change.before for change in changes if change.action == "delete")


@dataclass(frozen=True)
class KeyRun:
    """One run of a plan, and what each of its steps needs.

    :param current: The keys that the plan was made from.
    :param applied: Contains a new secret as long as it is stored nowhere else.
    """

    client: Client
    plan: Plan
    current: _keys.Keys
    options: Values
    applied: Applied = field(default_factory=Applied)

    @property
    def note(self) -> PendingNote | None:
        """The note next to the secret file; ``None`` if the task has no secret file."""
        return self.current.file.note

    def apply(self) -> None:
        """Send all changes, in their order.

        :raises PlanasonixError: if one of them fails.
        """
        verbs = {"create": self.create, "regenerate": self.regenerate, "delete": self.delete}
        self.claim_file()
        for change in self.plan.changes:
            if not is_deletion(change):
                self.note_secret_change()
            verbs[change.action](change)
        if self.note is not None:
            self.note.forget()

    def delete(self, change: Change) -> None:
        """Delete a key. After a 404, reading back shows whether it is gone.

        :raises ApiError: if the API refuses.
        """
        try:
            send(self.client, request_key(change, self.options))
        except ApiError as error:
            if error.status == 404:
                return
            if "key_id" in self.applied.find_by:
                error.message += " The new secret is kept."
            raise

    def claim_file(self) -> None:
        """Note next to the secret file what the plan is about to do, in case the run is killed.

        :raises NotStored: if that cannot be, or another run uses the file; nothing was sent yet.
        """
        # An earlier run's note stays until what that run left behind is deleted.
        content = self.current.file.unfinished or self.describe_secret_change()
        if self.note is None or not self.plan.changes or content is None:
            return
        try:
            self.note.claim(content, self.current.file)
        except OSError as error:
            raise make_note_error(content, error) from None

    def note_secret_change(self) -> None:
        """Note the secret that is made next, if the note is still the one of an earlier run.

        :raises NotStored: if that cannot be.
        """
        content = self.describe_secret_change()
        if self.current.file.unfinished is None or self.note is None or content is None:
            return
        try:
            if self.note.is_ours():
                self.note.write(content)
        except OSError as error:
            raise make_note_error(content, error) from None

    def describe_secret_change(self) -> Values | None:
        """Return what to note of the plan; ``None`` if it makes no secret."""
        leftovers = list(itertools.takewhile(is_deletion, self.plan.changes))
        if len(leftovers) == len(self.plan.changes):
            return None
        operation = self.plan.changes[len(leftovers)].action
        if operation == "create" and self.plan.before:
            operation = "recreate"
        return {
            "name": read_name(self.plan.after),
            "operation": operation,
            "ids": sorted(_keys.collect_ids(self.current.keys) - collect_deleted_ids(leftovers)),
            **self.current.identity,
        }

    def create(self, change: Change) -> None:
        """Create a key and store its secret.

        In the end there is one new key whose secret is known, or none.

        :raises ApiError: if no key was created, or there may be a second one that was not found.
        :raises NotApplied: if the new key is not as asked for; it is deleted again.
        :raises NotStored: if its secret could not be stored; it is deleted again.
        """
        strays = Strays(self.client, change, _keys.collect_ids(self.current.keys))
        made = self.create_without_doubles(strays)
        try:
            made = add_listed_fields(self.client, made)
            check_made(self.client, made, change.after, self.options)
            self.store(made, made["secret"])
        except PlanasonixError as error:
            self.undo_creation(made["id"], error)
            raise
        self.applied.find_by["key_id"] = made["id"]
        if self.note is not None:
            self.note_revocations(self.note, made["id"])
        if strays.lost:
            # An attempt whose answer was lost may have taken effect after it was looked for. By now
            # the secret of the key that stays is safe.
            strays.known.add(str(made["id"]))
            strays.delete(f"The new key {made['id']} is made and its secret is kept, but")

    def undo_creation(self, key_id: t.Any, error: PlanasonixError) -> None:
        """Delete a new key again, and add to the failure what became of it."""
        try:
            delete_made(self.client, key_id, "delete the new API key again")
        except ApiError:
            error.message += f" The new key {key_id} could not be deleted again: delete it by hand."
            return
        self.applied.result.clear()
        error.message += f" The new key was deleted again.{self.withdraw_note()}"
        error.message += await_deletion(self.client, key_id)

    def create_without_doubles(self, strays: Strays) -> Values:
        """Send the POST so that there is no second key in the end.

        A key that it may have made without an answer is deleted before it is sent again.

        :returns: The new key. The applied result has its secret.
        :raises ApiError: if no key was created. The note stays as long as there may be one.
        """
        try:
            made = send_until_answered(
                self.client, lambda: self.send_creation(strays), strays.delete_lost
            )
            return t.cast(Values, made)
        except AnswerLost as error:
            error.message += f"{strays.result}{self.withdraw_note()}{strays.await_deletions()}"
            raise

    def send_creation(self, strays: Strays) -> Values:
        """Send the POST once; returns the new key.

        :raises AnswerLost: if there may be a new key.
        :raises ApiError: if there is none.
        """
        made: t.Any = None
        try:
            made = send_for_secret(self.client, request_key(strays.change, self.options))
            check_answer(made, strays.change.text)
            self.applied.result["secret"] = made["secret"]
            return t.cast(Values, made)
        except AnswerLost:
            raise
        except ApiError as error:
            if not error.did_nothing:
                strays.lost += 1
            if strays.lost:
                strays.delete(strays.doubt, made)
                error.message += strays.result
            name = strays.change.after["name"]
            if error.status == 409 and any(has_name(key, name) for key in self.current.keys):
                error.message += (
                    " If names must be unique, delete the old key first, or use rotate."
                )
            error.message += f"{self.withdraw_note()}{strays.await_deletions()}"
            raise
        except Exception:  # a fault of this collection; a key without a known secret must not stay
            self.applied.result.clear()
            strays.delete(strays.doubt)
            raise

    def note_revocations(self, note: PendingNote, new_id: t.Any) -> None:
        """Note which keys are still to be revoked, or remove the note if there are none.

        :raises NotStored: if neither can be done.
        """
        revoke = collect_deleted_ids(itertools.dropwhile(is_deletion, self.plan.changes))
        if revoke and note.is_ours():
            content = {
                "name": read_name(self.plan.after),
                "operation": "recreate",
                "ids": sorted(_keys.collect_ids(self.current.keys) | {str(new_id)}),
                "revoke": sorted(revoke),
                **self.current.identity,
            }
            # Without the note the next run of a killed one would keep them, as superseded.
            with contextlib.suppress(OSError):
                note.write(content)
                return
        note.forget()

    def regenerate(self, change: Change) -> None:
        """Give a key a new secret and store it. The key is never deleted.

        :raises ApiError: if the API refuses, or twice gives no answer.
        :raises NotStored: if the secret could not be stored; the applied result has it.
        """
        request = request_key(change, self.options)
        made = self.send_regeneration(request)
        if not isinstance(made, dict) or not is_text(made.get("secret")):
            raise ApiError(
                f"Could not {change.text}: the answer lacks the documented secret, and the old one "
                "may be void; run again.",
                method="POST",
                path=request.path,
            )
        self.applied.result["secret"] = made["secret"]
        old = _keys.find_key(self.current.keys, change.before["id"]) or change.before
        try:
            self.store(old, made["secret"])
        except NotStored as error:
            self.explain_lost_file(error)
            raise
        self.applied.find_by["stale_prefix"] = find_stale_prefix(made, str(old.get("prefix") or ""))
        if made.get("id") not in (None, ""):
            self.applied.find_by["key_id"] = made["id"]
        if self.note is not None:
            self.note.forget()

    def send_regeneration(self, request: Write) -> t.Any:
        """Send the POST, and once more if its answer is lost, as only the answer has the secret.

        :raises ApiError: if the API refuses, or twice gives no answer.
        """
        with contextlib.suppress(AnswerLost):
            try:
                return send_for_secret(self.client, request)
            except ApiError as error:
                if error.did_nothing:
                    error.message += self.withdraw_note()
                raise
        try:
            return send_for_secret(self.client, request)
        except AnswerLost as error:
            error.message += " The old secret may be void: run again to make a new one."
            raise

    def explain_lost_file(self, error: NotStored) -> None:
        """Say where the new secret of a key is that could not be stored."""
        error.message += (
            " The key has a new secret, which this result carries: take it from there, or run "
            "again."
        )
        if self.note is not None and not self.note.is_ours():
            # The two runs cannot tell whose secret is in force. With this note neither stores one,
            # and the next run makes another.
            error.message += " If the other run made one after it, it is void."
            with contextlib.suppress(OSError):
                self.note.write(self.describe_secret_change() or {})

    def withdraw_note(self) -> str:
        """Remove the note of a request that did nothing; what an earlier run left is noted again.

        :returns: What to add to the message of the failure, if the note stays.
        """
        unfinished = self.current.file.unfinished
        if self.note is None or not self.note.is_ours():
            return ""
        if unfinished is not None and unfinished["operation"] == "regenerate":
            with contextlib.suppress(OSError):  # then the newer note stays
                self.note.write(unfinished)
            return ""
        try:
            self.note.forget()
        except NotStored as error:
            return f" {error.message}"
        return ""

    def store(self, key: Values, secret: str) -> None:
        """Write the secret of a key to the file of the task, if it has one.

        From then on the result has it only if the task asks for that.

        :raises NotStored: if it cannot be written, or another run is about to write its own.
        """
        if self.note is None:
            return
        path = self.note.secret_file
        if not self.note.is_ours():
            raise NotStored(
                f"Another run began meanwhile to make a key for {path}, so the secret of this one "
                "was not written there; let one run at a time do so."
            )
        owner = {
            "kind": "api_key",
            "name": read_name(key),
            "id": key["id"],
            "created_at": key.get("created_at"),
            **self.current.identity,
        }
        try:
            _secret_file.store(path, secret, owner, self.current.file)
        except (OSError, UnicodeError) as error:
            raise NotStored(
                f"The secret could not be written to {path} "
                f"({getattr(error, 'strerror', error.__class__.__name__)})."
            ) from None
        if not self.options.get("return_secret"):
            self.applied.result.clear()


def is_deletion(change: Change) -> bool:
    """Return whether a change deletes a key."""
    return change.action == "delete"


def is_text(value: t.Any) -> bool:
    """Return whether a value is a text that is not empty."""
    return isinstance(value, str) and value != ""


def make_note_error(note: Values, error: OSError) -> NotStored:
    """Return the failure of a run that could not note what it is about to do."""
    return NotStored(
        f"The secret of the API key {note['name']!r} could not be stored ({error.strerror}); "
        "nothing was changed, correct secret_file."
    )


def add_listed_fields(client: Client, made: Values) -> Values:
    """Return a new key with the fields that its answer lacks, as the list has them."""
    if all(made.get(name) is not None for name in ("scopes", "created_at")) and (
        "expires_at" in made
    ):
        return made
    for _look in looks(client):
        listed = _keys.find_key(_keys.read_key_list(client), made["id"])
        if listed is not None:
            answered = {name: value for name, value in made.items() if value is not None}
            return {**made, **listed, **answered}
    return made


def delete_made(client: Client, key_id: t.Any, action: str) -> None:
    """Delete a key that was just made, so that the API may not know it everywhere yet.

    :raises ApiError: if the API refuses.
    """
    try:
        client.send("DELETE", _keys.key_path(key_id), action=action)
        return
    except ApiError as error:
        if error.status != 404:
            raise
    if any(_keys.find_key(_keys.read_key_list(client), key_id) for _look in looks(client)):
        client.send("DELETE", _keys.key_path(key_id), action=action)


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
        key = _keys.find_key(_keys.read_key_list(client), key_id)
        return key is not None and not is_gone(key, client.now())
    except ApiError:
        return True


def send_for_secret(client: Client, request: Write) -> t.Any:
    """Send a request; keep the secret of its answer out of messages, as the API could quote it."""
    made = send(client, request)
    if isinstance(made, dict):
        client.secrets.learn(made.get("secret"))
    return made


def check_answer(made: t.Any, action: str) -> None:
    """Check that an answer has what a new key needs.

    :raises ApiError: if it lacks the id or the secret.
    """
    answer = made if isinstance(made, dict) else {}
    if answer.get("id") in (None, "") or not is_text(answer.get("secret")):
        raise ApiError(
            f"Could not {action}: the answer to POST {_keys.KEYS_PATH} lacks the documented id and "
            "secret.",
            method="POST",
            path=_keys.KEYS_PATH,
        )


@dataclass
class Strays:
    """Keys that a POST created although its answer, with the secret, was lost.

    :param known: Ids of the keys that are none: those of before, and those that were deleted.
    :param lost: How many requests may have made one that was not found yet.
    :param deleted: Ids of those that were deleted.
    """

    client: Client
    change: Change
    known: set[str]
    lost: int = 0
    deleted: list[t.Any] = field(default_factory=list)

    @property
    def doubt(self) -> str:
        """The beginning of the message of a failure that may leave a key."""
        return f"Could not {self.change.text}: no answer told its secret, and"

    @property
    def result(self) -> str:
        """The text to add to the message of a failure."""
        return " The key that it made was deleted again." if self.deleted else ""

    def delete_lost(self) -> bool:
        """Delete the key of a POST whose answer was lost.

        :returns: ``False``, as no effect of the POST stays.
        """
        self.lost += 1
        self.delete(self.doubt)
        return False

    def delete(self, doubt: str, answer: t.Any = None) -> None:
        """Delete a key that was created, as soon as the API lists it.

        :param doubt: How the message begins, if that cannot be done.
        :param answer: What the POST answered.
        :raises ApiError: if several could be it, or it cannot be looked for or deleted.
        """
        name = self.change.after["name"]
        made = answer.get("id") if isinstance(answer, dict) else None
        try:
            found = [made] if made not in (None, "") else look_for(self.client, self.find)
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

    def await_deletions(self) -> str:
        """Wait until nothing that was deleted is listed; returns what to add to the message."""
        return max((await_deletion(self.client, key_id) for key_id in self.deleted), default="")

    def find(self) -> list[t.Any]:
        """Return the ids of the keys that a request without an answer made.

        :raises ApiError: if that is not clear.
        """
        name, scopes = self.change.after["name"], self.change.after["scopes"]
        new = [
            key
            for key in _keys.read_key_list(self.client)
            if str(key["id"]) not in self.known and has_name(key, name)
        ]
        fitting = [key for key in new if same(_keys.read_scopes(key), scopes)]
        if new and not fitting:
            # The API may store more scopes than were sent.
            fitting = [key for key in new if set(scopes) <= set(_keys.read_scopes(key))]
        ids = ", ".join(str(key["id"]) for key in new)
        if len(fitting) > 1:
            raise ApiError(f"several new keys fit: {ids}.")
        if new and not fitting:
            raise ApiError(f"a new key of that name has other scopes: {ids}.")
        return [key["id"] for key in fitting]


def check_made(client: Client, made: Values, body: Values, options: Values) -> None:
    """Compare a new key with the task.

    :raises NotApplied: if it differs.
    :raises ApiError: if the API does not say so.
    """
    name = body["name"]
    text = None
    if made.get("name") is not None and not has_name(made, name):
        text = f"stores the name of the API key as {made['name']!r}; the task asks for {name!r}"
    scopes = (
        _keys.read_scopes({**made, "name": name})
        if made.get("scopes") is not None
        else body["scopes"]
    )
    if not same(scopes, body["scopes"]):
        text = (
            f"stores the scopes of the API key {name!r} as {', '.join(scopes) or 'none'}; "
            f"the task asks for {', '.join(body['scopes']) or 'none'}"
        )
    asked, renewed = body.get("expires_in_days"), options.get("renew_before_days")
    days = count_days(client, {**made, "name": name}) if asked or renewed else None
    if asked and (days is None or not asked - 1 < days < asked + 1):
        length = "for ever" if days is None else f"{days:.0f} days"
        text = f"lets the API key {name!r} live {length}; the task asks for {asked} days"
    elif renewed and days is not None and days <= renewed:
        text = (
            f"lets the API key {name!r} live {days:.0f} days, so with renew_before_days: {renewed} "
            "every run would make a new one"
        )
    if text:
        raise NotApplied(f"The API {text}.", method="POST", path=_keys.KEYS_PATH)


def count_days(client: Client, made: Values) -> float | None:
    """Return how many days a new key lives; ``None`` if it does not expire.

    :raises ApiError: if the API does not say so.
    """
    expires = _keys.read_key_time(made, "expires_at")
    if expires is None:
        return None
    now = client.now()
    return (expires - (parse_time(made.get("created_at")) or now)) / _keys.DAY


def find_stale_prefix(made: Values, old: str) -> str | None:
    """Return the old prefix of a regenerated key, if the answer has another one.

    As long as it is listed, the new secret is not in force.

    :returns: ``None`` if nothing shows that.
    """
    new = str(made.get("prefix") or "")
    # Only where both are beginnings of secrets, and not masked or written in some other way.
    comparable = (
        len(old) == len(new)
        and made["secret"].startswith(new)
        and not re.search("[*\u2022\u2026]", old)
    )
    return old if comparable and old != new else None
