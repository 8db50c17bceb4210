# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts: what can be read of an organization, by subset.

Endpoints: every documented GET but those of one key and one preference.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._account import PREFERENCES, PROFILE
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_reads import (
    read_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import NAMES, read_value
from ansible_collections.planasonix.admin.plugins.module_utils._keys import KEYS_PATH
from ansible_collections.planasonix.admin.plugins.module_utils._mfa import read_mfa
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    CHANNELS_PATH,
    read_rules,
    with_channel_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._organization import (
    LOG_RETENTION,
    SESSION_TIMEOUT,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, without
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    require_field,
)

Read = dict[str, t.Any]
"""Subsets that were read already, so that one that needs another does not read it again."""


def read_object(path: str, what: str) -> t.Callable[[Client, Read], Values]:
    """A reader of one documented object, without ``updated_at``."""
    return lambda client, dummy_read: without(client.get(path, f"read {what}"), "updated_at")


def read_objects(path: str, what: str) -> t.Callable[[Client, Read], list[Values]]:
    """A reader of one documented list, whole: objects without a name too."""
    return lambda client, dummy_read: client.get_list(path, f"read {what}")


def read_state(resource: Resource) -> t.Callable[[Client, Read], t.Any]:
    """A reader of what a resource reads."""
    return lambda client, dummy_read: resource.read(client, {})


def read_features(client: Client, dummy_read: Read) -> list[str]:
    """Read ``GET /api/features``: the names of the enabled features."""
    features = require_field(
        client.get("/api/features", "read the features"), "features", "the features"
    )
    names: list[str] | None = read_value(features, NAMES, "features", "the features")
    if names is None:
        raise ApiError(
            "The API's answer for the features has null in features, where a list of names is "
            "documented; check api_url and the API's version."
        )
    return names


def read_rules_with_names(client: Client, read: Read) -> list[Values]:
    """Read the rules with the names of their channels; an id that no channel has stands for itself."""
    if "notification_channels" not in read:
        read["notification_channels"] = SUBSETS["notification_channels"](client, read)
    channels = [
        channel
        for channel in read["notification_channels"]
        if "name" in channel and isinstance(channel.get("id"), (str, int))
    ]
    return [with_channel_names(rule, channels) for rule in read_rules(client)]


SUBSETS: dict[str, t.Callable[[Client, Read], t.Any]] = {
    "profile": read_state(PROFILE),
    "mfa": lambda client, dummy_read: read_mfa(client, {}).status,
    "api_keys": read_objects(KEYS_PATH, "the API keys"),
    "session_timeout": read_state(SESSION_TIMEOUT),
    "preferences": read_state(PREFERENCES),
    "settings": read_object("/api/settings/all", "the settings"),
    "ip_whitelist": lambda client, dummy_read: read_allowlist(client, {}).to_result(),
    "log_retention": read_state(LOG_RETENTION),
    "organization": read_object("/api/organization", "the organization"),
    "features": read_features,
    "limits": read_object("/api/features/limits", "the limits"),
    "tier": read_object("/api/tier", "the subscription tier"),
    "notification_channels": read_objects(CHANNELS_PATH, "the notification channels"),
    "notification_rules": read_rules_with_names,
}


def chosen_subsets(gather_subset: t.Iterable[str]) -> list[str]:
    """The subsets that a choice means, in the order of the table.

    Nothing but exclusions means all but these; ``!all`` takes the implied ``all`` away; an excluded subset wins.
    """
    choice = set(gather_subset)
    excluded = {name[1:] for name in choice if name.startswith("!")}
    included = {name for name in choice if not name.startswith("!")} or {"all"}
    if "all" in included and "all" not in excluded:
        included = set(SUBSETS)
    return [name for name in SUBSETS if name in included - excluded]


def read_facts(
    client: Client, gather_subset: t.Iterable[str], skip_forbidden: bool
) -> tuple[Values, Values]:
    """Read the chosen subsets over one connection.

    :param skip_forbidden: Whether to list an unavailable subset instead of failing.
    :returns: The facts by subset, and the unavailable subsets with ``status``, ``code`` and ``msg``.
    :raises ApiError: if a subset cannot be read.
    """
    chosen = chosen_subsets(gather_subset)
    read: Read = {}
    facts: Values = {}
    unavailable: Values = {}
    for name in chosen:
        try:
            facts[name] = read[name] if name in read else SUBSETS[name](client, read)
            read[name] = facts[name]
        except ApiError as error:
            if not skip_forbidden or not is_unavailable(error):
                raise
            unavailable[name] = {"status": error.status, "code": error.code, "msg": error.message}
    return facts, unavailable


def is_unavailable(error: ApiError) -> bool:
    """Return whether a subset is forbidden, missing, or of another shape than documented."""
    if error.status is None:
        return error.answered
    return error.status in (403, 404) or 200 <= error.status < 300
