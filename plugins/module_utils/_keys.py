# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys as the API lists them: their ids, names, scopes and times, and which are in force.

Endpoints: ``GET /api/user/api-keys`` and ``GET /api/user/api-keys/{id}``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import math
import re
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils import _secret_file
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import has_name
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, without
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    looks,
    require_field,
    same_id,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    GRANT_FIELDS,
    is_gone,
    read_time,
)

KEYS_PATH = "/api/user/api-keys"
LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
SHORTEST_PREFIX = 12
"""Characters that a listed prefix must have at least to identify the key of a secret."""
DAY = datetime.timedelta(days=1)
SCOPE_NAMES = ("name", "scope", "id")
"""Fields that may contain the text of a scope that the API lists as an object."""


@dataclass(frozen=True)
class Keys:
    """The keys, and what a plan needs besides.

    :param keys: As listed.
    :param own_ids: Ids of the keys that may be the one that the task itself uses.
    :param now: When the list was read.
    :param file: The file at ``secret_file``, and the files next to it.
    :param identity: Identifies the organization of the task in notes and records.
    """

    keys: tuple[Values, ...]
    own_ids: frozenset[str]
    now: datetime.datetime
    file: _secret_file.Found = field(default_factory=_secret_file.Found)
    identity: Values = field(default_factory=dict)


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
    """Read one key that is listed. A 403 is no failure.

    :raises ApiError: if it cannot be read for another reason.
    """
    try:
        client.get(key_path(key_id), f"read the API key {key_id}")
    except ApiError as error:
        if error.status != 403:
            raise


def is_known(client: Client, key_id: t.Any) -> bool:
    """Return whether the API knows a key that it lists; ``False`` only after a 404."""
    try:
        client.get(key_path(key_id), f"read the API key {key_id}")
    except ApiError as error:
        return error.status != 404
    return True


def await_key(client: Client, keys: tuple[Values, ...], key_id: t.Any) -> tuple[Values, ...]:
    """Wait until the list has a key that an earlier run created, if the key exists.

    An API may list a new key late. Without the wait, the task would create a second key.

    :param keys: The keys as listed.
    :returns: The keys as listed last.
    :raises ApiError: if the key exists and does not appear in the list in time.
    """
    exists = False
    for _look in looks(client):
        if find_key(keys, key_id) is not None:
            return keys
        try:
            key = client.get(key_path(key_id), f"read the API key {key_id}")
        except ApiError as error:
            if error.status != 403:
                if error.status == 404:
                    return keys
                raise
        else:
            exists = True
            if is_gone(key, client.now()):
                return keys
        keys = read_key_list(client)
    if exists and find_key(keys, key_id) is None:
        raise ApiError(
            f"The API key {str(key_id)!r} was made by an earlier run, and the API does not list it "
            "yet. No other key was made. Run again later."
        )
    return keys


def has_ended(key: Values, now: datetime.datetime) -> bool:
    """Return whether a listed key is revoked or deleted, and not merely switched off.

    Someone may switch a key on again, so what is off still has to be deleted.
    """
    # Only what grants access is gone once it is off, so these fields are left out.
    return is_gone(without(key, *GRANT_FIELDS, "enabled"), now)


def find_key(keys: Iterable[Values], key_id: t.Any) -> Values | None:
    """Return the key of an id, or ``None``."""
    if key_id is None:
        return None
    return next((key for key in keys if same_id(key["id"], key_id)), None)


def collect_ids(keys: Iterable[Values]) -> set[str]:
    """Return the ids of keys, as they are spelled."""
    return {str(key["id"]) for key in keys}


def read_scopes(key: Values) -> list[str]:
    """Return the scopes of a key as texts.

    Objects with one text under ``name``, ``scope`` or ``id`` are understood, and so is one text
    with blanks or commas between the scopes.

    :raises ApiError: if they have another shape, so that no one can compare them.
    """
    subject = f"the API key {key['name']!r}"
    value = require_field(key, "scopes", subject)
    if isinstance(value, str):
        return re.findall(r"[^\s,]+", value)
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


def find_own_keys(keys: Sequence[Values], secret: str) -> frozenset[str]:
    """Return the ids of the keys that a secret may belong to: those with a long prefix of it.

    A prefix that several keys have says nothing.
    """
    prefixes = [str(key.get("prefix") or "") for key in keys]
    return frozenset(
        str(key["id"])
        for key, prefix in zip(keys, prefixes, strict=True)
        if len(prefix) >= SHORTEST_PREFIX
        and secret.startswith(prefix)
        and prefixes.count(prefix) == 1
    )


def key_path(key_id: t.Any) -> str:
    """Return the path of one key."""
    return f"{KEYS_PATH}/{quote(str(key_id), safe='')}"


def read_key_time(key: Values, name: str) -> datetime.datetime | None:
    """Return a time of a key, in UTC; ``None`` if it means "never".

    :raises ApiError: if the field is missing or is no time.
    """
    subject = f"the API key {key['name']!r}"
    require_field(key, name, subject)
    return read_time(key, name, subject)


def read_lifetime(key: Values) -> datetime.timedelta | None:
    """Return how long a key lives, from its creation on; ``None`` if it does not expire.

    :raises ApiError: if the API does not say so, or what it says makes no sense.
    """
    expires = read_key_time(key, "expires_at")
    if expires is None:
        return None
    created = read_key_time(key, "created_at")
    if created is None or created >= expires:
        raise ApiError(
            f"The API's answer for the API key {key['name']!r} has times that give no lifetime: "
            f"created_at is {key['created_at']!r}, expires_at is {key['expires_at']!r}."
        )
    return expires - created


def to_days(length: datetime.timedelta) -> int:
    """Return the number of days that were asked for, from the lifetime of a key.

    Rounded down, since an API that lets keys expire at the end of a day would else give each
    successor one day more. A minute is tolerated, for the time between two clocks.
    """
    return math.floor((length + datetime.timedelta(minutes=1)) / DAY)


def find_by_name(keys: Sequence[Values], name: str | None) -> list[Values]:
    """Return the keys of one name, the newest first."""
    found = [key for key in keys if has_name(key, name)]
    if len(found) < 2:
        return found  # nothing to compare, so a missing time is no error
    created = [read_key_time(key, "created_at") or LONG_AGO for key in found]
    if created[0] <= created[-1]:
        # Listed oldest first, so of two keys of one second the later in the list is the newer.
        found.reverse()
    return sorted(found, key=lambda key: read_key_time(key, "created_at") or LONG_AGO, reverse=True)
