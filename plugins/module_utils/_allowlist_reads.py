# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP allowlist as the API shows it: the entries in force, and whether it is enforced.

Endpoints: ``GET /api/settings/ip-whitelist`` and ``GET /api/settings/ip-whitelist/status``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import Allowlist
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import BOOLEAN, NUMBER
from ansible_collections.planasonix.admin.plugins.module_utils._networks import canonical
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    looks,
    require_field,
)
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    ENDED,
    ENDS,
    in_force,
    is_expired,
    is_gone,
    is_never,
    parse_time,
)

ENTRIES_PATH = "/api/settings/ip-whitelist"
STATUS_PATH = "/api/settings/ip-whitelist/status"


def read_allowlist(client: Client, options: Values) -> Allowlist:
    """Read the entries and the status.

    :param options: Options of the task; after a write also ``removed`` and ``written_at``.
    :raises ApiError: if an answer has another shape, or the two contradict each other.
    """
    listed: list[Values] = []
    status: Values = {}
    for _look in looks(client):
        listed = read_listed(client)
        status = read_status(client)
        if read_count(status) <= len(listed) + count_removals(status, options):
            return build_allowlist(listed, status, client.now())
    raise ApiError(explain_count(len(listed), status))


def build_allowlist(listed: list[Values], status: Values, now: datetime.datetime) -> Allowlist:
    """Return the allowlist that a list and a status show.

    :raises ApiError: if one of them does not have its documented shape.
    """
    active = keep_active(listed, now)
    inactive = [entry for entry in listed if entry not in active]
    settled = [entry for entry in inactive if is_gone(entry, now) or is_expired(entry, now)]
    return Allowlist(
        tuple(active),
        read_enabled(status),
        read_applies_to(status),
        tuple(inactive),
        tuple(entry for entry in inactive if entry not in settled),
    )


def explain_count(listed: int, status: Values) -> str:
    """Say that the status counts more entries than are listed."""
    count, evaluated = read_count(status), status.get("last_evaluated_at")
    if is_never(evaluated):
        return (
            f"The API lists {listed} IP allowlist entries and counts {count} (entry_count): the "
            "list may be incomplete. Nothing was planned from it; ask the vendor how the list is "
            "paged."
        )
    return (
        f"The API lists {listed} IP allowlist entries and counts {count} (entry_count): the list "
        f"may be incomplete. The count may be as old as last_evaluated_at ({evaluated}). If "
        "entries were deleted since, run again once it is newer; otherwise ask the vendor how the "
        "list is paged."
    )


def count_removals(status: Values, options: Values) -> int:
    """Return the number of deleted entries that the status may still count.

    An API may count from time to time: a count from before the last write is old.
    """
    written = options.get("written_at")
    evaluated = parse_time(status.get("last_evaluated_at"))
    if written is None or (evaluated is not None and evaluated > written):
        return 0
    return int(options["removed"])


def read_listed(client: Client) -> list[Values]:
    """Read all listed entries, each with an id and the canonical form of its network."""
    entries = client.get_list(ENTRIES_PATH, "read the IP allowlist")
    for entry in entries:
        require_field(entry, "id", "an IP allowlist entry")
        entry["cidr"] = canonical(require_field(entry, "cidr", "an IP allowlist entry"))
    return entries


def read_entries(client: Client) -> list[Values]:
    """Read the entries that are in force."""
    return keep_active(read_listed(client), client.now())


def keep_active(listed: Iterable[Values], now: datetime.datetime) -> list[Values]:
    """Return the listed entries that are in force.

    :raises ApiError: if an entry has an unknown state or time.
    """
    return [entry for entry in listed if in_force(entry, now)]


def has_ended(entry: Values, now: datetime.datetime) -> bool:
    """Whether an entry that is not in force cannot be activated: it is past its end."""
    ends = [name for name in ENDS if not is_never(entry.get(name))]
    words = {str(entry.get(name)).lower() for name in ("state", "status")}
    return bool(ends or words & ENDED) or is_expired(entry, now)


def read_status(client: Client) -> Values:
    """Read ``GET /api/settings/ip-whitelist/status``."""
    return client.get(STATUS_PATH, "read whether the IP allowlist is enforced")


def read_enabled(status: Values) -> bool:
    """Return whether the allowlist is enforced.

    :raises ApiError: if the status does not say so by a boolean.
    """
    value = require_field(status, "enabled", "the IP allowlist's status")
    enabled: bool | None = BOOLEAN.read_or_none(value)
    if enabled is None:
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'enabled'; expected true or "
            "false. Whether the allowlist is enforced is not known."
        )
    return enabled


def read_count(status: Values) -> int:
    """Return how many entries the status counts; 0 if it counts none.

    :raises ApiError: if that is no number.
    """
    value = status.get("entry_count")
    if value is None:
        return 0
    count: int | None = NUMBER.read_or_none(value)
    if count is None or not 0 <= count < 10**9:
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'entry_count'; expected the "
            "number of entries. Whether the list is complete is not known."
        )
    return count


def read_applies_to(status: Values) -> list[str] | None:
    """Return what the allowlist is enforced on; a single text is a list of one.

    :raises ApiError: if that is no list of texts.
    """
    value = status.get("applies_to")
    if value is None:
        return None
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise ApiError(
            f"The IP allowlist's status has {value!r} in the field 'applies_to'; expected a list "
            "of texts. What the allowlist is enforced on is not known."
        )
    return found
