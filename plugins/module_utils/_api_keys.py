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
import math
import re
import typing as t
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
    in_force,
    is_never,
    looks,
    parse_time,
    require_field,
    same_id,
    send,
)

KEYS_PATH = "/api/user/api-keys"
LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
SHORTEST_PREFIX = 12
"""Characters that a listed prefix must have at least to tell which key a secret belongs to."""


DAY = datetime.timedelta(days=1)
SCOPE_NAMES = ("name", "scope", "id")
"""Fields that may contain the text of a scope that the API lists as an object."""


@dataclass(frozen=True)
class Keys:
    """What is known of the keys.

    :param keys: As listed.
    :param own_ids: Ids of the keys that may be the one that the task itself uses.
    :param now: When the list was read.
    :param file: What is at ``secret_file``, and next to it.
    :param identity: What tells the organization of the task from others.
    """

    keys: tuple[Values, ...]
    own_ids: frozenset[str]
    now: datetime.datetime
    file: _secret_file.Found = field(default_factory=_secret_file.Found)
    identity: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """Which keys the options mean.

    :param key: The key; an expired one only if there is no other.
    :param others: The other keys of its name, the newest first; by ``key_id`` the older ones.
    :param orphans: What an interrupted run left behind.
    """

    key: Values | None
    others: tuple[Values, ...] = ()
    orphans: tuple[Values, ...] = ()


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
    """Read the keys, confirm a ``key_id`` of the task, and look at ``secret_file``.

    Endpoints: ``GET /api/user/api-keys`` and ``GET /api/user/api-keys/{id}``.
    """
    keys = read_key_list(client)
    key_id, path = options.get("key_id"), options.get("secret_file")
    if key_id is not None and "applied" not in options and find_key(keys, key_id):
        confirm_key(client, key_id)
    return Keys(
        keys,
        own_keys(keys, client.connection.key),
        datetime.datetime.fromtimestamp(client.clock(), datetime.timezone.utc),
        _secret_file.look(path) if path else _secret_file.Found(),
        _secret_file.identity(client),
    )


def read_key_list(client: Client) -> tuple[Values, ...]:
    """Read the keys, each with an id and a name, which may be null."""
    keys = client.get_list(KEYS_PATH, "read the API keys")
    for key in keys:
        require_field(key, "id", "an API key")
        require_field(key, "name", "an API key")
        if "scopes" in key:
            key["scopes"] = key["scopes"] or []
    return tuple(keys)


def confirm_key(client: Client, key_id: str) -> None:
    """Read one key, which is listed. An API key that may not do so is no obstacle.

    :raises ApiError: if it cannot be read for another reason.
    """
    try:
        client.get(key_path(key_id), f"read the API key {key_id}")
    except ApiError as error:
        if error.status != 403:
            raise


def find_key(keys: Iterable[Values], key_id: t.Any) -> Values | None:
    """Return the key of an id, or ``None``."""
    if key_id is None:
        return None
    return next((key for key in keys if same_id(key["id"], key_id)), None)


def ids_of(keys: Iterable[Values]) -> set[str]:
    """Return the ids of keys, as they are spelled."""
    return {str(key["id"]) for key in keys}


def spelled(name: t.Any) -> str | None:
    """Return a name as options have it: trimmed, and with composed characters (NFC)."""
    return unicodedata.normalize("NFC", name.strip()) if isinstance(name, str) else None


def has_name(key: Values, name: str | None) -> bool:
    """Whether a key has a name. A key whose name is null has none."""
    return name is not None and spelled(key["name"]) == spelled(name)


def scopes_of(key: Values) -> list[str]:
    """Return the scopes of a key as texts.

    Objects with one text under ``name``, ``scope`` or ``id`` are understood, and so is one text
    with blanks or commas between the scopes.

    :raises ApiError: if they have another shape, so that no one can compare them.
    """
    subject = f"the API key {key['name']!r}"
    value = require_field(key, "scopes", subject)
    if isinstance(value, str):
        return re.split(r"[\s,]+", value.strip(" ,"))
    scopes = []
    for item in value if isinstance(value, list) else [value]:
        names = [item]
        if isinstance(item, dict):
            names = [item[name] for name in SCOPE_NAMES if name in item][:1]
        if not names or not isinstance(names[0], str) or not names[0]:
            raise ApiError(
                f"The API's answer for {subject} has no list of texts in scopes, so they cannot "
                "be compared; check api_url and the API's version."
            )
        scopes += names
    return scopes


def is_expired(key: Values, now: datetime.datetime) -> bool:
    """Whether a key is past its ``expires_at``, or listed as expired."""
    states = {str(key[name]).lower() for name in ("state", "status") if name in key}
    if "expired" in states or key.get("expired") is True:
        return True
    expires = moment(key, "expires_at") if "expires_at" in key else None
    return expires is not None and expires <= now


def is_gone(key: Values, now: datetime.datetime) -> bool:
    """Whether a key is listed although it was revoked, deleted or switched off."""
    rest = without(key, "expires_at", "expired")
    states = [name for name in ("state", "status") if str(rest.get(name)).lower() == "expired"]
    return not in_force(without(rest, *states), now)


def own_keys(keys: Sequence[Values], secret: str) -> frozenset[str]:
    """Ids of the keys that a secret may belong to: those that alone bear a long prefix of it. A prefix that several keys bear tells nothing."""
    prefixes = [str(key.get("prefix") or "") for key in keys]
    return frozenset(
        str(key["id"])
        for key, prefix in zip(keys, prefixes, strict=True)
        if len(prefix) >= SHORTEST_PREFIX
        and secret.startswith(prefix)
        and prefixes.count(prefix) == 1
    )


def key_path(key_id: t.Any) -> str:
    """The path of one key."""
    return f"{KEYS_PATH}/{quote(str(key_id), safe='')}"


def moment(key: Values, name: str) -> datetime.datetime | None:
    """Return a time of a key, in UTC; ``None`` if it means "never".

    :raises ApiError: if the field is missing or is no time.
    """
    value = require_field(key, name, f"the API key {key['name']!r}")
    if is_never(value):
        return None
    time = parse_time(value)
    if time is None:
        raise ApiError(
            f"The API's answer for the API key {key['name']!r} has no known time in {name}: {value!r}."
        )
    return time


def lifetime(key: Values) -> datetime.timedelta | None:
    """Return how long a key lives, from its creation on; ``None`` if it does not expire.

    :raises ApiError: if the API does not say so, or what it says makes no sense.
    """
    expires = moment(key, "expires_at")
    if expires is None:
        return None
    created = moment(key, "created_at")
    if created is None or created >= expires:
        raise ApiError(
            f"The API's answer for the API key {key['name']!r} has times that give no lifetime: "
            f"created_at is {key['created_at']!r}, expires_at is {key['expires_at']!r}."
        )
    return expires - created


def namesakes(keys: Sequence[Values], name: str | None) -> list[Values]:
    """The keys of one name, the newest first."""
    found = [key for key in keys if has_name(key, name)]
    if len(found) < 2:
        return found  # nothing to compare, so a missing time is no error
    created = [moment(key, "created_at") or LONG_AGO for key in found]
    if created[0] <= created[-1]:
        found.reverse()  # listed oldest first, so of two keys of one second the later in the list is the newer
    return sorted(found, key=lambda key: moment(key, "created_at") or LONG_AGO, reverse=True)


def select(current: Keys, options: Values) -> Choice:
    """Choose the keys that the options mean.

    :raises InvalidOption: if there is no such key, its name differs, or it is not clear which one is meant.
    """
    name, key_id = options.get("name"), options.get("key_id")
    note = current.file.note
    by_id = find_key(current.keys, key_id)
    if by_id is not None:
        if name is not None and not has_name(by_id, name):
            raise InvalidOption(
                f"The API key {key_id!r} is named {by_id['name']!r}, not {name!r}, and the API cannot rename keys."
            )
        name = by_id["name"]
    if note is not None and name is not None:
        _secret_file.check_note(options["secret_file"], note, spelled(name), current.identity)
    if by_id is not None and is_gone(by_id, current.now):
        by_id = None
    if key_id is not None and by_id is None and options["state"] == "present":
        raise InvalidOption(
            f"No API key has the id {key_id!r}, or it is revoked or switched off; "
            "leave key_id out to find or create one by name."
        )
    named = [key for key in namesakes(current.keys, name) if not is_gone(key, current.now)]
    orphans = [key for key in named if note is not None and is_orphan(key, note)]
    if by_id is not None and by_id in orphans:
        if options["state"] == "present":
            why = (
                "was about to be revoked by an interrupted run"
                if str(key_id) in map(str, t.cast(Values, note)["ids"])
                else "was made by an interrupted run, which lost its secret"
            )
            raise InvalidOption(
                f"The API key {key_id!r} {why}: address it by name, to have that run finished."
            )
        orphans.remove(by_id)
    left = [key for key in named if key not in orphans]
    if key_id is not None:
        older = left[left.index(by_id) + 1 :] if by_id in left else []
        return Choice(by_id, tuple(older), tuple(orphans))
    if options["state"] == "absent" and len(left) > 1:
        raise InvalidOption(
            f"Several API keys are named {name!r}: {', '.join(str(k['id']) for k in left)}; remove them one by one by key_id."
        )
    if options["state"] == "present":
        # A newer key that has expired does not hide one that works.
        left.sort(key=lambda key: is_expired(key, current.now))
    return Choice(left[0] if left else None, tuple(left[1:]), tuple(orphans))


def is_orphan(key: Values, note: Values) -> bool:
    """Whether an interrupted run made a key and did not store its secret, or was about to revoke it."""
    if note["operation"] == "regenerate":
        return False
    known, revoke = set(map(str, note["ids"])), set(map(str, note.get("revoke", ())))
    return str(key["id"]) not in known or str(key["id"]) in revoke


def plan_key(current: Keys, options: Values) -> Plan:
    """Plan to create, recreate, regenerate or delete one key.

    :raises InvalidOption: if the key cannot be found or made with these options.
    :raises RefusedPlan: if scopes differ, the task's own key would go, or the secret could not be stored.
    """
    choice = select(current, options)
    leftovers = tuple(
        delete_call(current, orphan, "left behind by an interrupted run")
        for orphan in choice.orphans
    )
    notes = [f"{len(leftovers)} left behind by an interrupted run deleted"] if leftovers else []
    if options["state"] == "absent":
        return plan_absent(current, options, choice, leftovers, notes)
    reasons = reasons_to_recreate(current, choice.key, options) if choice.key else []
    if choice.key is None or reasons:
        return plan_new(current, options, choice, leftovers, [*notes, *reasons_text(reasons)])
    return plan_kept(current, options, choice, leftovers, notes)


def reasons_text(reasons: list[str]) -> list[str]:
    """Return what is done with a key that is made, as the last words of the message."""
    return [f"recreated ({', '.join(reasons)})"] if reasons else ["created"]


def subject_of(choice: Choice, options: Values) -> str:
    """Return what a message calls the key."""
    name = choice.key["name"] if choice.key else options.get("name")
    return f"API key {name or options['key_id']!r}"


def plan_absent(
    current: Keys, options: Values, choice: Choice, leftovers: tuple[Call, ...], notes: list[str]
) -> Plan:
    """Plan to delete a key."""
    calls = leftovers
    if choice.key:
        calls += (delete_call(current, choice.key, "that is to be absent"),)
        notes = [*notes, "deleted"]
    message = f"{subject_of(choice, options)}: {', '.join(notes)}" if calls else "no change"
    if not calls and "key_id" in options:
        listed = find_key(current.keys, options["key_id"])
        why = "has the id" if listed is None else "that is in force has the id"
        message = f"no change: no API key {why} {options['key_id']!r}"
    return Plan(managed(choice.key), {}, calls, {}, message)


def plan_new(
    current: Keys, options: Values, choice: Choice, leftovers: tuple[Call, ...], notes: list[str]
) -> Plan:
    """Plan to make a key; one that exists, and the others of its name, are replaced by it."""
    subject = subject_of(choice, options)
    old = (choice.key, *choice.others) if choice.key else ()
    check_file(current, options, subject, "made", old)
    if choice.key:
        refuse_own(current, choice.key, "recreated")
    body = body_of(choice.key, options, subject)
    calls = (*leftovers, Call("POST", KEYS_PATH, body, f"create the {subject}"))
    superseded = [key["id"] for key in old]
    if options.get("revoke_old", True):
        superseded = []
        calls += tuple(delete_call(current, key, "that is replaced") for key in old)
    return Plan(
        managed(choice.key),
        body,
        calls,
        {"name": body["name"], "scopes": body["scopes"]},
        f"{subject}: {', '.join(notes)}",
        {"superseded": superseded},
    )


def plan_kept(
    current: Keys, options: Values, choice: Choice, leftovers: tuple[Call, ...], notes: list[str]
) -> Plan:
    """Plan to leave a key as it is, or to give it a new secret."""
    subject, calls, key = subject_of(choice, options), leftovers, t.cast(Values, choice.key)
    note, outcome = current.file.note, dict(key)
    if options.get("rotate") or (note is not None and note["operation"] == "regenerate"):
        check_file(current, options, subject, "regenerated", (key,))
        refuse_own(current, key, "regenerated")
        path = f"{key_path(key['id'])}/regenerate"
        calls += (Call("POST", path, None, f"regenerate the {subject}"),)
        outcome = without(key, "prefix", "last_used_at", "rotated_at")
        again = "regenerated again after an interrupted run"
        notes = [*notes, "regenerated" if options.get("rotate") else again]
    message = f"{subject}: {', '.join(notes)}" if notes else "no change"
    superseded = [other["id"] for other in choice.others]
    return Plan(managed(key), managed(key), calls, outcome, message, {"superseded": superseded})


def check_file(
    current: Keys, options: Values, subject: str, what: str, replaced: Sequence[Values]
) -> None:
    """Refuse to make a secret that could not be stored, or whose storing would lose another one.

    :param what: What would be done with the key: "made" or "regenerated".
    :param replaced: The keys whose secrets the new one replaces.
    :raises RefusedPlan: with the reason.
    """
    if current.file.obstacle:
        raise RefusedPlan(
            f"The {subject} is not {what}, since its secret could not be stored: {current.file.obstacle}; correct secret_file."
        )
    content = foreign_content(current, options, replaced)
    if content is not None and not options.get("secret_file_overwrite"):
        raise RefusedPlan(
            f"The {subject} is not {what}: {options['secret_file']} contains {content}, which "
            "would be lost. Give each key of each organization a file of its own, or set "
            "secret_file_overwrite: true."
        )


def foreign_content(current: Keys, options: Values, replaced: Sequence[Values]) -> str | None:
    """Return what ``secret_file`` contains, unless it is an old secret of this very key.

    :param replaced: The keys whose secrets the new one replaces.
    """
    # Who left the note had made sure of it.
    if current.file.digest is None or current.file.note is not None:
        return None
    record = _secret_file.record_of_content(current.file)
    if record is None:
        return _secret_file.UNKNOWN_CONTENT
    text = _secret_file.describe_record(record)
    name = replaced[0]["name"] if replaced else options.get("name")
    if record.get("kind") != "api_key" or record.get("name") != spelled(name):
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
    still_used = find_key(replaced, listed["id"]) is None and in_force(listed, current.now)
    return text if still_used else None


def refuse_own(current: Keys, key: Values, what: str) -> None:
    """Keep the key that the task itself uses.

    :raises RefusedPlan: if the key is it.
    """
    if str(key["id"]) in current.own_ids:
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
    if is_expired(key, current.now):
        return ["expired"]
    reasons = []
    if "scopes" in options:
        scopes = scopes_of(key)
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
        if current.now - created > options["rotate_after_days"] * DAY:
            reasons.append(f"older than {options['rotate_after_days']} days")
    if "renew_before_days" in options:
        expires = moment(key, "expires_at")
        if expires is not None and expires - current.now <= options["renew_before_days"] * DAY:
            reasons.append(f"expires within {options['renew_before_days']} days")
    return reasons


def body_of(key: Values | None, options: Values, subject: str) -> Values:
    """The body of the POST. A recreated key keeps the scopes and the lifetime of the old one, unless others are given.

    :raises InvalidOption: if there is nothing to take them from.
    """
    if key is None and "scopes" not in options:
        raise InvalidOption(f"The {subject} does not exist; scopes is needed to create it.")
    name = key["name"] if key else options["name"]
    if name is None:
        raise InvalidOption(f"The {subject} has no name, so it cannot be replaced; delete it.")
    scopes = options["scopes"] if "scopes" in options else scopes_of(t.cast(Values, key))
    body = {"name": name, "scopes": scopes}
    if "expires_in_days" in options:
        body["expires_in_days"] = options["expires_in_days"]
    elif key is not None:
        try:
            length = lifetime(key)
        except ApiError as error:
            error.message += " Give expires_in_days."
            raise
        if length is not None:
            body["expires_in_days"] = max(1, whole_days(length))
            if options.get("renew_before_days", 0) >= body["expires_in_days"]:
                raise InvalidOption(
                    f"The {subject} lives {body['expires_in_days']} days, so with this renew_before_days every run would make a new one; give expires_in_days."
                )
    return body


def whole_days(length: datetime.timedelta) -> int:
    """Return the number of days that were asked for, from the lifetime of a key.

    Rounded down, since an API that lets keys expire at the end of a day would else give each
    successor one day more. A minute is tolerated, for the time between two clocks.
    """
    return math.floor((length + datetime.timedelta(minutes=1)) / DAY)


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


def delete(client: Client, call: Call, made: bool) -> None:
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
    """Note next to the secret file what the plan is about to do, for a run after this one was killed.

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
        f"The secret of the API key {note['name']!r} could not be stored ({error.strerror}); nothing was changed, correct secret_file."
    )


def note_of_plan(plan: Plan, current: Keys) -> Values | None:
    """Return what to note of a plan; ``None`` if it makes no secret."""
    post = next((call for call in plan.calls if call.method == "POST"), None)
    if post is None:
        return None
    name = spelled((plan.after or plan.before)["name"])
    ids = ids_of(current.keys)
    if post.path != KEYS_PATH:
        return {"name": name, "operation": "regenerate", "ids": sorted(ids), **current.identity}
    ids -= deleted_by(plan.calls[: plan.calls.index(post)], current)
    operation = "recreate" if plan.before else "create"
    return {"name": name, "operation": operation, "ids": sorted(ids), **current.identity}


def create(client: Client, call: Call, current: Keys, plan: Plan, options: Values) -> Values:
    """Make a key and store its secret. In the end there is one new key whose secret is known, or none.

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
        else:
            error.message += (
                f" The new key {made['id']} could not be deleted again: delete it by hand."
            )
        raise
    if path:
        client.unsaved.clear()
        note_revocations(path, plan, call, current, made["id"])
    if strays.lost:
        # An attempt whose answer was lost may have taken effect after it was looked for. By now the secret of the key that stays is safe.
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
    """Delete a key that was just made; returns whether it is gone, which another run may have seen to."""
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
    for _look in looks(client):
        if find_key(read_key_list(client), key_id) is not None:
            client.send("DELETE", key_path(key_id), action=action)
            return


def note_revocations(path: str, plan: Plan, call: Call, current: Keys, new_id: t.Any) -> None:
    """Note which keys are still to be revoked, now that the new secret is stored; without any, remove the note.

    :raises NotStored: if neither can be done.
    """
    revoke = deleted_by(plan.calls[plan.calls.index(call) :], current)
    if revoke and _secret_file.is_ours(path):
        note = {
            "name": spelled(plan.after["name"]),
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


def deleted_by(calls: Sequence[Call], current: Keys) -> set[str]:
    """Ids of the keys that calls of a plan delete."""
    paths = {call.path for call in calls if call.method == "DELETE"}
    return ids_of(key for key in current.keys if key_path(key["id"]) in paths)


def create_without_doubles(strays: Strays, current: Keys, path: str | None) -> Values:
    """Send the POST; a key that it may have made without telling its secret is deleted before it is sent again. The secret is left in ``client.unsaved``.

    :returns: What was made.
    :raises ApiError: if no key could be made. The note beside the file stays as long as there may be one.
    """
    client, call = strays.client, strays.call
    doubt = f"Could not {call.action}: no answer told its secret, and"
    attempt = 0
    while True:
        attempt += 1
        made: t.Any = None
        try:
            made = send(client, call)
            check_answer(made, call)
            client.unsaved["secret"] = made["secret"]
            return t.cast(Values, made)
        except AnswerLost as error:
            again = client.pause(attempt)
            strays.lost += 1
            strays.delete(doubt)
            if not again:
                error.message += withdraw_note(path, current)
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
            raise
        except Exception:  # a fault of this collection; a key that nobody knows must not stay
            client.unsaved.clear()
            strays.delete(doubt)
            raise


def check_answer(made: t.Any, call: Call) -> None:
    """Check that an answer has what a new key needs.

    :raises ApiError: if it lacks the id or the secret.
    """
    answer = made if isinstance(made, dict) else {}
    secret = answer.get("secret")
    if answer.get("id") in (None, "") or not isinstance(secret, str) or not secret:
        raise ApiError(
            f"Could not {call.action}: the answer to POST {KEYS_PATH} lacks the documented id and secret.",
            method="POST",
            path=KEYS_PATH,
        )


@dataclass
class Strays:
    """Keys that a POST made without telling their secrets, so that they are of no use.

    :param known: Ids of the keys that are none: those of before, and those that were deleted.
    :param lost: How many requests may have made one that was not found yet.
    """

    client: Client
    call: Call
    known: set[str]
    lost: int = 0

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
                self.lost = max(0, self.lost - 1)
        except ApiError as error:
            error.message = (
                f"{doubt} a key named {name!r} may be left of a request whose answer was lost "
                f"({error.message}); look for one that nobody uses, and delete it."
            )
            raise
        return " The key that it made was deleted again." if found else ""

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
    now = datetime.datetime.fromtimestamp(client.clock(), datetime.timezone.utc)
    return (expires - (parse_time(made.get("created_at")) or now)) / DAY


def regenerate(client: Client, call: Call, current: Keys, plan: Plan, path: str | None) -> Values:
    """Give a key a new secret and store it. The key is never deleted.

    :raises ApiError: if the API refuses, or twice gives no answer.
    :raises NotStored: if the secret could not be stored; it is in ``client.unsaved``.
    """
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
            key = find_key(current.keys, plan.before["id"]) or plan.before
            store(path, key, made["secret"], current)
        except NotStored as error:
            error.message += " The key has a new secret, which this result carries: take it from there, or run again."
            if not _secret_file.is_ours(path):
                # The two runs cannot tell whose secret is in force. With this note neither stores one, and the next run makes another.
                error.message += " If the other run made one after it, it is void."
                with contextlib.suppress(OSError):
                    _secret_file.write_note(path, t.cast(Values, note_of_plan(plan, current)))
            raise
        client.unsaved.clear()
        _secret_file.remove_note(path, current.file.note)
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
            f"Another run began meanwhile to make a key for {path}, so the secret of this one was not written there; let one run at a time do so."
        )
    owner = {
        "kind": "api_key",
        "name": spelled(key["name"]),
        "id": key["id"],
        "created_at": key.get("created_at"),
        **current.identity,
    }
    try:
        _secret_file.store(path, secret, owner, current.file)
    except (OSError, UnicodeError) as error:
        raise NotStored(
            f"The secret could not be written to {path} ({getattr(error, 'strerror', error.__class__.__name__)})."
        ) from None


def missed_in_keys(current: Keys, plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do."""
    deleted = deleted_by(plan.calls, current)
    texts = [
        f"{key['name']!r} ({key['id']}) is still listed"
        for key in current.keys
        if str(key["id"]) in deleted and not is_gone(key, current.now)
    ]
    if options["state"] == "absent":
        return texts
    by_id = "key_id" in options
    key = find_key(current.keys, options["key_id"]) if by_id else select(current, options).key
    if key is None:
        texts.append("the new key is not listed")
    elif options.get("stale_prefix") and key.get("prefix") == options["stale_prefix"]:
        texts.append(f"its prefix is still {key['prefix']}")
    elif "scopes" in plan.after and plan.after != plan.before:
        scopes = scopes_of(key)
        if not same(scopes, plan.after["scopes"]):
            texts.append(f"its scopes are {', '.join(scopes)}")
    return texts


def show_key(current: Keys, options: Values) -> Values:
    """The key as it now is."""
    key = select(current, options).key
    return dict(key) if key else {}


API_KEY = Resource("api_key", read_keys, plan_key, show_key, missed_in_keys, apply_key, check_key)
