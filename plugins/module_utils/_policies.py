# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All subsets of facts, each with its policy: facts are read, and controls are parsed, by it.

Endpoints: every documented GET but those of one key and one preference.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import typing as t
from collections.abc import Iterable, Mapping
from functools import partial

from ansible_collections.planasonix.admin.plugins.module_utils import (
    _exports,
    _notifications,
    _policy_access,
    _policy_notifications,
    _singletons,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import (
    read_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SEVERITIES,
    Waiver,
    choose_subsets,
    parse_waivers,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    NAMES,
    clean_text,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._keys import KEYS_PATH, read_key_list
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_placeholder
from ansible_collections.planasonix.admin.plugins.module_utils._mfa import read_mfa
from ansible_collections.planasonix.admin.plugins.module_utils._networks import find_uncovered
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    collect_scalars,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Policy,
    Reader,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy_objects import (
    Written,
    check_session,
    entitle_to_sso,
    lower_idle,
    need_features,
    object_policy,
    preferences_options,
    read_preferences,
    settings_options,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    require_field,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import unescape


def read_object(path: str, what: str) -> Reader:
    """Return a reader of one documented object, without ``updated_at``."""
    return lambda client, dummy_read: without(client.get(path, f"read {what}"), "updated_at")


def read_objects(path: str, what: str) -> Reader:
    """Return a reader of one documented list, whole: objects without a name too."""
    return lambda client, dummy_read: client.get_list(path, f"read {what}")


def read_state(resource: Resource) -> Reader:
    """Return a reader of what a resource reads."""
    return lambda client, dummy_read: resource.read(client, {})


def read_features(client: Client, dummy_read: Values) -> list[str]:
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


read_channels = read_objects(_notifications.CHANNELS_PATH, "the notification channels")


def read_rules_with_names(client: Client, read: Values) -> list[Values]:
    """Read the rules with the names of their channels; an unknown id stands for itself."""
    if "notification_channels" not in read:
        read["notification_channels"] = read_channels(client, read)
    return name_channels(_notifications.read_rules(client), read)


def name_channels(rules: Iterable[Values], facts: Values) -> list[Values]:
    """Return rules with the names of their channels, which are among the facts.

    :raises ApiError: if the channels could not be read.
    """
    if "notification_channels" not in facts:
        raise ApiError("The channels of the notification rules could not be read.")
    channels = [
        channel
        for channel in facts["notification_channels"]
        if "name" in channel and isinstance(channel.get("id"), (str, int))
    ]
    return [_notifications.with_channel_names(rule, channels) for rule in rules]


POLICIES: dict[str, Policy] = {
    "profile": object_policy(
        "profile",
        read_state(_singletons.PROFILE),
        is_personal=True,
        written=Written(_singletons.PROFILE, _singletons.PROFILE_FIELDS),
        order=4,
    ),
    "mfa": object_policy("mfa", lambda client, dummy_read: read_mfa(client, {}).status),
    "api_keys": Policy(
        read_facts=read_objects(KEYS_PATH, "the API keys"),
        read=lambda client, dummy_controls: read_key_list(client),
        parse=_policy_access.parse_keys,
        evaluate=_policy_access.evaluate_keys,
    ),
    "session_timeout": object_policy(
        "session_timeout",
        read_state(_singletons.SESSION_TIMEOUT),
        check=check_session,
        written=Written(
            _singletons.SESSION_TIMEOUT, _singletons.SESSION_TIMEOUT_FIELDS, adjust=lower_idle
        ),
        order=2,
    ),
    "preferences": object_policy(
        "preferences",
        read_state(_singletons.PREFERENCES),
        read=partial(read_preferences, read_state(_singletons.PREFERENCES)),
        is_personal=True,
        is_whole=False,
        written=Written(_singletons.PREFERENCES, to_options=preferences_options),
        order=5,
    ),
    "settings": object_policy(
        "settings",
        read_object("/api/settings/all", "the settings"),
        types=_singletons.SETTINGS_FIELDS,
        needs=need_features,
        entitle=entitle_to_sso,
        written=Written(_singletons.SETTINGS, to_options=settings_options),
        order=1,
        restore=_exports.restore_settings,
    ),
    "ip_whitelist": Policy(
        read_facts=lambda client, dummy_read: read_allowlist(client, {}).to_result(),
        read=lambda client, dummy_controls: read_allowlist(client, {}),
        parse=_policy_access.parse_allowlist,
        evaluate=_policy_access.evaluate_allowlist,
        check=_policy_access.merge_allowlist,
        order=6,
        plan=_policy_access.plan_allowlist,
        to_facts=lambda allowlist, dummy_facts: allowlist.to_result(),
        export=_exports.export_allowlist,
        restore=_exports.restore_allowlist,
    ),
    "log_retention": object_policy(
        "log_retention",
        read_state(_singletons.LOG_RETENTION),
        written=Written(_singletons.LOG_RETENTION, _singletons.LOG_RETENTION_FIELDS),
        order=3,
    ),
    "organization": object_policy(
        "organization", read_object("/api/organization", "the organization")
    ),
    "features": object_policy("features", read_features),
    "limits": object_policy("limits", read_object("/api/features/limits", "the limits")),
    "tier": object_policy("tier", read_object("/api/tier", "the subscription tier")),
    "notification_channels": Policy(
        read_facts=read_channels,
        read=lambda client, dummy_controls: _notifications.read_channel_list(client),
        parse=_policy_notifications.parse_channels,
        evaluate=_policy_notifications.evaluate_channels,
        needs=_policy_notifications.need_rules,
        censor=_policy_notifications.censor_channels,
        check=_policy_notifications.merge_objects,
        order=7,
        plan=_policy_notifications.plan_channels,
        plan_removals=_policy_notifications.plan_channel_removals,
        export=_exports.export_channels,
        restore=_exports.restore_channels,
    ),
    "notification_rules": Policy(
        read_facts=read_rules_with_names,
        read=lambda client, dummy_controls: _notifications.read_rules(client),
        parse=_policy_notifications.parse_rules,
        evaluate=_policy_notifications.evaluate_rules,
        needs=_policy_notifications.need_channels,
        check=_policy_notifications.merge_objects,
        order=8,
        plan=_policy_notifications.plan_rules,
        to_facts=name_channels,
        export=_exports.export_rules,
        restore=_exports.restore_rules,
    ),
}
"""By subset of facts, in the order in which they are read."""


def read_facts(
    client: Client, gather_subset: Iterable[str], skip_forbidden: bool
) -> tuple[Values, Values]:
    """Read the chosen subsets over one connection.

    :param skip_forbidden: Whether to list an unavailable subset instead of failing.
    :returns: The facts by subset, and the unavailable subsets with ``status``, ``code``, ``msg``.
    :raises ApiError: if a subset cannot be read.
    """
    read: Values = {}
    facts: Values = {}
    unavailable: Values = {}
    for name in choose_subsets(gather_subset):
        try:
            if name not in read:
                read[name] = POLICIES[name].read_facts(client, read)
            facts[name] = read[name]
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


def gather(client: Client, options: Values) -> Values:
    """Read the facts that ``gather_subset`` names, and return them as a result."""
    skip = options["on_forbidden"] == "skip"
    facts, unavailable = read_facts(client, options["gather_subset"], skip)
    message = f"read {len(facts)} subsets"
    if unavailable:
        message += f", unavailable: {', '.join(unavailable)}"
    return {"changed": False, "msg": message, "planasonix": facts, "unavailable": unavailable}


def parse_controls(options: Values) -> tuple[Control, ...]:
    """Return the controls that the options give.

    :raises InvalidOption: if one cannot be understood, or two have one id.
    """
    controls: dict[str, Control] = {}
    for declared in options["controls"]:
        control = parse_control(unescape(declared))
        if control.id in controls:
            raise InvalidOption(
                f"Two controls have the id {control.id!r}; give each an id of its own."
            )
        controls[control.id] = control
    return tuple(controls.values())


def parse_control(declared: Values) -> Control:
    """Return one control.

    :raises InvalidOption: if what it requires cannot be understood.
    """
    resource = declared["resource"]
    control_id = resource
    if "id" in declared:
        control_id = clean_text(declared["id"], "controls: an id")
    where = f"The control {control_id!r}"
    if "require" not in declared:
        raise InvalidOption(f"{where} lacks require.")
    policy = POLICIES[resource]
    shown = {
        "id": control_id,
        "title": control_id,
        "severity": SEVERITIES[1],
        **without(declared, "id"),
        "require": policy.censor(declared["require"]),
    }
    require, bounds = policy.parse(declared["require"], where)
    return Control(control_id, resource, shown, require, bounds)


def drop_waived(
    controls: Iterable[Control], waivers: Mapping[str, Waiver], today: datetime.date
) -> list[Control]:
    """Return the controls without an active waiver."""
    return [
        control
        for control in controls
        if control.id not in waivers or not waivers[control.id].is_active(today)
    ]


def check_baseline(options: Values) -> None:
    """Refuse controls that cannot be understood or cannot all hold, before anything is read.

    :raises InvalidOption: with the reason.
    """
    find_uncovered(options.get("protected_addresses", []), [])
    controls = parse_controls(options)
    waivers = parse_waivers(options.get("waivers", []), [control.id for control in controls])
    # A control with an active waiver does not have to hold.
    active = drop_waived(controls, waivers, datetime.datetime.now(datetime.timezone.utc).date())
    for name, policy in POLICIES.items():
        policy.check([control for control in active if control.resource == name])


def find_secrets(arguments: t.Any) -> set[str]:
    """Return the secrets in arguments, however wrong these are, for Ansible to censor.

    They are all texts in a ``secret_config``. A list or mapping may be given as JSON.
    """
    found: set[str] = set()
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            if key == "secret_config":
                texts = collect_scalars([value, unescape(value)])
                found |= {text for text in texts if not is_placeholder(text)}
            else:
                found |= find_secrets(value)
    elif isinstance(arguments, (list, tuple)):
        found = found.union(*map(find_secrets, arguments))
    elif isinstance(arguments, str) and "secret_config" in arguments:
        with contextlib.suppress(ValueError):
            found = find_secrets(json.loads(arguments))
    return found
