# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of controls: what a profile becomes for one organization, and what an organization becomes as a list. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    NEEDED_SECRETS,
    normalize_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    normalize_name,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    build_placeholders,
    drop_hidden,
    find_secret_paths,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    as_mapping,
    read_flag,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._rules import read_filters
from ansible_collections.planasonix.admin.plugins.module_utils._subsets import SUBSETS


def tailored(
    profile: Iterable[Values],
    overrides: Mapping[str, Values],
    extra: Iterable[Values],
    skip: Sequence[str],
    run_tags: Sequence[str],
    skip_tags: Sequence[str],
) -> list[Values]:
    """The controls of a profile as one organization is to meet them.

    :param overrides: Id of a control to the fields that it has instead; of ``require`` those that are named.
    :param extra: Controls beside those of the profile.
    :param skip: Ids of controls to leave out.
    :param run_tags: Tags that the command line asks for; names of resources among them leave only these resources' controls.
    :param skip_tags: Tags that the command line leaves out; likewise.
    :raises InvalidOption: if an id is not one of the profile's.
    """
    controls = {control["id"]: control for control in profile}
    for option, ids in (("overrides", overrides), ("skip", skip)):
        unknown = sorted(set(ids) - set(controls))
        if unknown:
            raise InvalidOption(
                f"{option}: the profile has no control {', '.join(unknown)}; it has {', '.join(controls)}."
            )
    kept = [
        tailor(control, overrides.get(control_id, {}))
        for control_id, control in controls.items()
        if control_id not in skip
    ]
    asked = set(run_tags) & set(SUBSETS)
    return [
        control
        for control in (*kept, *extra)
        if (not asked or control.get("resource") in asked)
        and control.get("resource") not in skip_tags
    ]


def tailor(control: Values, override: Values) -> Values:
    """A control with other fields. Of what it requires, each value that is named is replaced: merged, two bounds of one value could contradict each other."""
    return {
        **control,
        **override,
        "require": {**control["require"], **(override.get("require") or {})},
    }


def onboarding(
    settings: Values, ip_whitelist: Values, channels: Sequence[Values], rules: Sequence[Values]
) -> list[Values]:
    """What an organization is to begin with, given as the modules take it, as controls: so that rules may name channels that are yet to be made."""
    allowlist = {
        name: value
        for name, value in required(ip_whitelist).items()
        if name not in ("protected_addresses", "allow_lockout")
    }
    present = [
        {name: value for name, value in required(channel).items() if name != "test"}
        for channel in channels
    ]
    requires: dict[str, Values] = {
        "settings": {
            **{name: value for name, value in settings.items() if name != "extra"},
            **(settings.get("extra") or {}),
        },
        "ip_whitelist": allowlist,
        "notification_channels": {"present": present} if present else {},
        "notification_rules": {"present": list(rules)} if rules else {},
    }
    return [
        {"id": f"onboarding-{name}", "resource": name, "require": require}
        for name, require in requires.items()
        if require
    ]


def required(options: Values) -> Values:
    """The options of a module but for those that say no more than their default, and that a control does not know."""
    usual = {"state": "present", "update_secrets": "on_create"}
    return {
        name: value for name, value in options.items() if name not in usual or value != usual[name]
    }


def exported(facts: Values, unavailable: Collection[str] = ()) -> list[Values]:
    """The state of an organization as controls: given to the baseline they change nothing there, and make another organization alike.

    :param facts: What ``planasonix_info`` returns of it.
    :param unavailable: Subsets that it could not read, and that are left out.
    """
    requires = {
        name: require(facts[name]) for name, require in EXPORTED.items() if name not in unavailable
    }
    titles = {name: name.replace("_", " ").capitalize() for name in requires} | {
        "ip_whitelist": "IP allowlist"
    }
    return [
        {"id": name, "title": f"{titles[name]} as exported", "resource": name, "require": require}
        for name, require in requires.items()
    ]


def exported_object(values: Values) -> Values:
    """An object of which there is one, without what is not set."""
    return {key: value for key, value in values.items() if value is not None}


def exported_allowlist(allowlist: Values) -> Values:
    """The allowlist, whole."""
    entries = [
        {name: entry[name] for name in ("cidr", "label") if entry.get(name)}
        for entry in allowlist["entries"]
    ]
    return {"enabled": allowlist["enabled"], "entries": entries, "purge": True}


def exported_channel(channel: Values) -> Values:
    """Return one channel, with a placeholder for each value that is or may be a secret."""
    config = as_mapping(channel.get("config")) or {}
    hidden = find_secret_paths(config)
    needed = NEEDED_SECRETS.get(normalize_type(channel.get("type")))
    if not hidden and needed:
        hidden = [(needed,)]
    result = exported_texts(channel, "name", "type") | exported_flag(channel)
    result["config"] = drop_hidden(config)
    if hidden:
        result["secret_config"] = build_placeholders(channel["name"], hidden)
    return result


def exported_texts(item: Values, *names: str) -> Values:
    """Return the fields of a channel or rule that are texts, which a control can require."""
    return {name: item[name] for name in names if normalize_name(item.get(name)) is not None}


def exported_flag(item: Values) -> Values:
    """Return ``enabled`` of a channel or rule as a boolean; nothing if the API does not say."""
    try:
        flag = read_flag(item, "enabled", f"object {read_name(item)!r}")
    except ApiError:
        return {}
    return {} if flag is None else {"enabled": flag}


def exported_rule(rule: Values) -> Values:
    """Return one rule, with the names of its channels, as far as it can be read."""
    result = exported_texts(rule, "name", "event")
    channels = rule.get("channels") if "channel_ids" in rule else None
    if channels is not None and all(isinstance(item, (str, int)) for item in channels):
        result["channels"] = channels
    with contextlib.suppress(ApiError):
        result["filters"] = read_filters(rule)
    return {**result, **exported_flag(rule)}


def exported_channels(channels: Sequence[Values]) -> Values:
    """Return the channels that have a name. Others may go, but one without a name stays."""
    return {"present": [exported_channel(channel) for channel in named(channels)], "purge": True}


def exported_rules(rules: Iterable[Values]) -> Values:
    """Return the rules that have a name."""
    return {"present": [exported_rule(rule) for rule in named(rules)]}


def named(items: Iterable[Values]) -> list[Values]:
    """Return the channels or rules that a control can name, with their names as tasks write them.

    Some APIs list one without a name.
    """
    return [{**item, "name": read_name(item)} for item in items if is_named(item)]


def is_named(item: Values) -> bool:
    """Return whether a channel or rule has a name, without which nothing can refer to it."""
    return read_name(item) is not None


def list_omissions(facts: Values, unavailable: Collection[str] = ()) -> list[str]:
    """Return what an export leaves out, as sentences."""
    notes = []
    for resource, what, export in (
        ("notification_channels", "channel", exported_channel),
        ("notification_rules", "rule", exported_rule),
    ):
        items = () if resource in unavailable else facts.get(resource) or ()
        for item in items:
            if is_named(item):
                notes += list_omitted_fields(item, export, f"notification {what}")
            else:
                notes.append(
                    f"The notification {what} {item.get('id')} has no name and is left out."
                )
    return notes


def list_omitted_fields(item: Values, export: t.Callable[[Values], Values], what: str) -> list[str]:
    """Return the fields of a channel or rule that cannot be read or required, as sentences."""
    item = {**item, "name": read_name(item)}
    exported_fields = export(item)
    return [
        f"The {what} {item['name']!r}: {name} is not as documented, and is left out."
        for name in ("type", "event", "channels", "filters", "enabled")
        if item.get(name) is not None and name not in exported_fields
    ]


EXPORTED: dict[str, t.Callable[[t.Any], Values]] = {
    **dict.fromkeys(("settings", "session_timeout", "log_retention"), exported_object),
    "ip_whitelist": exported_allowlist,
    "notification_channels": exported_channels,
    "notification_rules": exported_rules,
}
"""What is exported, each with how its facts become what a control requires."""
