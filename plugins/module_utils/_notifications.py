# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What notification channels and rules have in common: how they are read, named and compared.

Endpoints: ``GET /api/notifications/channels`` and ``GET /api/notifications/rules``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import html
import json
import re
import typing as t
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN, read_name
from ansible_collections.planasonix.admin.plugins.module_utils._plan import UNSET, Mismatch, Values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import require_field
from ansible_collections.planasonix.admin.plugins.module_utils._texts import normalize
from ansible_collections.planasonix.admin.plugins.module_utils._validity import is_in_force

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

CHANNELS_PATH = "/api/notifications/channels"
RULES_PATH = "/api/notifications/rules"


# Reading.


def read_channel_list(client: Client) -> tuple[Values, ...]:
    """Read the channels that are not deleted, each with an id. The API may list one unnamed."""
    return read_listed(client, CHANNELS_PATH, "notification channel")


def read_rules(client: Client) -> tuple[Values, ...]:
    """Read the rules that are not deleted, each with an id. The API may list one unnamed."""
    return read_listed(client, RULES_PATH, "notification rule")


def read_listed(client: Client, path: str, kind: str) -> tuple[Values, ...]:
    """Read a list of objects, each with an id."""
    now = client.now()
    items = client.get_list(path, f"read the {kind}s")
    for item in items:
        require_field(item, "id", f"a {kind}")
    return tuple(item for item in items if is_in_force(item, now))


def channel_path(channel_id: t.Any) -> str:
    """Return the path of one channel."""
    return f"{CHANNELS_PATH}/{quote(str(channel_id), safe='')}"


# Names.


def require_names(items: Sequence[Values], kind: str) -> None:
    """Refuse a list in which nothing has the field ``name``: then nothing could be found by name.

    :raises ApiError: if that is so. Single objects without a name are those of the product itself.
    """
    if items and not any("name" in item for item in items):
        require_field(items[0], "name", f"a {kind}")


def read_label(item: Values) -> t.Any:
    """Return what to call a channel or rule: its name, or else its id."""
    return read_name(item) or item["id"]


def resembles(item: Values, name: str) -> bool:
    """Return whether a listed name may be what an API made of the name that it was given."""
    listed = read_name(item)
    return listed is not None and simplify_name(listed) == simplify_name(name)


def simplify_name(name: str) -> str:
    """Return a name without what APIs change: case, entities, compatibility forms, spaces."""
    text = unicodedata.normalize("NFKC", html.unescape(name)).casefold()
    return "".join(text.split())


# The channels of a rule.


def read_channel_ids(rule: Values) -> list[t.Any]:
    """Return the ids of the channels that a rule sends to, as the API gives them.

    :raises ApiError: if they cannot be read.
    """
    ids = rule.get("channel_ids")
    if ids is None:
        return []
    found = [extract_id(item) for item in ids] if isinstance(ids, list) else [None]
    if None in found:
        raise ApiError(
            f"The API's answer for the notification rule {read_label(rule)!r} has no "
            "list of ids in channel_ids."
        )
    return found


def extract_id(item: t.Any) -> t.Any:
    """Return an id, also of an object that has one; ``None`` if it is neither."""
    value = item.get("id") if isinstance(item, Mapping) else item
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool)
    return value if is_id else None


def with_channel_names(rule: Values, channels: Iterable[Values]) -> Values:
    """Return a rule with ``channels``, the names of its channels, if they can be read.

    The id of a channel that is gone or has no name stands for itself, and so does what is no id.
    """
    ids = rule.get("channel_ids")
    if ids is not None and not isinstance(ids, list):
        return rule
    names = {str(channel["id"]): read_name(channel) for channel in channels}
    labels = []
    for item in ids or []:
        channel_id = extract_id(item)
        labels.append(names.get(str(channel_id)) or (item if channel_id is None else channel_id))
    return {**rule, "channels": labels}


# Comparing.


def read_flag(item: Values, name: str, subject: str) -> bool | None:
    """Return a boolean of an answer, which some APIs spell as text or number.

    :returns: ``None`` if the API gives null.
    :raises ApiError: if there is none, or it has another shape.
    """
    value = require_field(item, name, subject)
    flag: bool | None = BOOLEAN.read_or_none(value)
    if flag is None and value is not None:
        raise ApiError(
            f"The API's answer for the {subject} has {name}: {json.dumps(value)}, which is neither "
            "true nor false."
        )
    return flag


def as_mapping(value: t.Any) -> Mapping[str, t.Any] | None:
    """Return a mapping that an API gives as such or as JSON text; ``None`` if it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def look_up(values: t.Any, path: Iterable[str]) -> t.Any:
    """Return the value at a path of a mapping; :data:`UNSET` if there is none."""
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return UNSET
        values = values[key]
    return values


def is_alike(current: t.Any, desired: t.Any) -> bool:
    """Return whether two values mean the same, although an API may spell one otherwise.

    Lists compare in any order, e-mail addresses in any case, and texts without outer spaces. A
    number or boolean equals the text that spells it.
    """
    if isinstance(current, Mapping) and isinstance(desired, Mapping):
        return current.keys() == desired.keys() and all(
            is_alike(current[key], desired[key]) for key in desired
        )
    if isinstance(current, list) and isinstance(desired, list):
        return covers(current, desired) and covers(desired, current)
    if isinstance(current, str) and isinstance(desired, str):
        return normalize_spelling(current) == normalize_spelling(desired)
    if isinstance(current, str) or isinstance(desired, str):
        return is_spelled(current, desired) or is_spelled(desired, current)
    # In Python, True == 1.
    return isinstance(current, bool) == isinstance(desired, bool) and current == desired


def covers(items: Sequence[t.Any], others: Sequence[t.Any]) -> bool:
    """Return whether a list has each element of another; of mappings, as often as the other."""
    if all(isinstance(item, str) for item in (*items, *others)):
        return {normalize_spelling(other) for other in others} <= {
            normalize_spelling(item) for item in items
        }
    left = list(items)
    for other in others:
        found = next((item for item in left if is_alike(item, other)), UNSET)
        if found is UNSET:
            return False
        if isinstance(found, (Mapping, list)):
            left.remove(found)
    return True


def normalize_spelling(text: str) -> str:
    """Return a text as it compares."""
    text = normalize(text)
    return text.casefold() if re.fullmatch(r"[^@\s]+@[^@\s]+", text) else text


def is_spelled(text: t.Any, value: t.Any) -> bool:
    """Return whether a text spells a number or a boolean."""
    if not isinstance(text, str) or not isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, bool):
        return text.strip().lower() == str(value).lower()
    return re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text.strip()) is not None and (
        float(text) == value
    )


# What was written and does not show.


def build_mismatch(field: str, before: t.Any, wanted: t.Any, found: t.Any) -> Mismatch:
    """Return a field that is not as wanted. An old value in another spelling is the old value."""
    return Mismatch(field, before, wanted, before if is_alike(found, before) else found)
