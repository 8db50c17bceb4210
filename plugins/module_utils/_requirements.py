# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requirements: the controls of a baseline as they are given, checked, and merged where several are about one thing. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.planasonix.admin.plugins.module_utils._account import (
    PREFERENCES,
    PROFILE,
    PROFILE_FIELDS,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import wanted_entries
from ansible_collections.planasonix.admin.plugins.module_utils._channels import CHANNEL_OPTIONS
from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SEVERITIES,
    Bound,
    Path,
    Waiver,
    combine,
    conflict,
    conform,
    is_number,
    parse_require,
    parse_waivers,
    typed,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._escapes import unescape
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_placeholder
from ansible_collections.planasonix.admin.plugins.module_utils._networks import (
    canonical,
    find_open,
    parse_network,
    uncovered,
)
from ansible_collections.planasonix.admin.plugins.module_utils._options import (
    MOST_DAYS,
    clean_text,
)
from ansible_collections.planasonix.admin.plugins.module_utils._organization import (
    LOG_RETENTION,
    LOG_RETENTION_FIELDS,
    SESSION_TIMEOUT,
    SESSION_TIMEOUT_FIELDS,
    SETTINGS,
    SETTINGS_FIELDS,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    as_text,
    merged,
    same,
    scalars,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
)
from ansible_collections.planasonix.admin.plugins.module_utils._rules import RULE_OPTIONS
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable

WRITABLE: dict[str, tuple[Resource, Mapping[str, Mapping[str, t.Any]] | None]] = {
    "settings": (SETTINGS, None),
    "session_timeout": (SESSION_TIMEOUT, SESSION_TIMEOUT_FIELDS),
    "log_retention": (LOG_RETENTION, LOG_RETENTION_FIELDS),
    "profile": (PROFILE, PROFILE_FIELDS),
    "preferences": (PREFERENCES, None),
}
"""Objects that a control can have changed, in the order of their writes, each with its fields; ``None``: any field."""

CHANNEL_FIELDS = {
    name: CHANNEL_OPTIONS[name]
    for name in ("type", "config", "secret_config", "enabled", "replace")
} | {"name": RULE_OPTIONS["name"]}
"""What a control may require of a channel: what the module takes, but for what is about one run."""

TABLES: dict[str, dict[str, dict[str, t.Any]]] = {
    "ip_whitelist": {
        "enabled": {"type": "bool"},
        "entries": {"type": "list"},
        "purge": {"type": "bool"},
        "forbid": {"type": "list"},
    },
    "notification_channels": {"present": {"type": "list"}, "purge": {"type": "bool"}},
    "notification_rules": {"present": {"type": "list", "required": True}},
    "api_keys": {
        "max_age_days": {"type": "int"},
        "must_expire": {"type": "bool"},
        "max_lifetime_days": {"type": "int"},
        "unused_days": {"type": "int"},
        "forbidden_scopes": {"type": "list"},
    },
}
"""What controls of lists may require; controls of all other resources require values of fields."""

ENTRY_FIELDS: FieldTable = {"cidr": {"type": "str", "required": True}, "label": {"type": "str"}}
CENSORED = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@dataclass(frozen=True)
class Control:
    """One control.

    :param id: Its id; the name of the resource, where none is given.
    :param resource: The subset of facts that it is about.
    :param given: Its fields as the user gave them, without secrets.
    :param require: What it requires, for lists; the types are those of :data:`TABLES`.
    :param bounds: What it requires, for everything else.
    """

    id: str
    resource: str
    given: Values
    require: Values = field(default_factory=dict)
    bounds: Mapping[Path, Bound] = field(default_factory=dict)

    @property
    def requires_sso(self) -> bool:
        """Whether single sign-on must be in the organization's plan to meet it."""
        return self.resource == "settings" and any(
            path == ("require_sso",) and not bound.unmet(True) and bound.unmet(False)
            for path, bound in self.bounds.items()
        )

    @property
    def remediable(self) -> bool:
        """Whether the collection can write what it is about."""
        return self.resource in WRITABLE or self.resource in (
            "ip_whitelist",
            "notification_channels",
            "notification_rules",
        )


def parse_controls(options: Values) -> tuple[Control, ...]:
    """The controls that the options give.

    :raises InvalidOption: if one cannot be understood, or two have one id.
    """
    controls: dict[str, Control] = {}
    for given in options["controls"]:
        control = parse_control(unescape(given))
        if control.id in controls:
            raise InvalidOption(
                f"Two controls have the id {control.id!r}; give each an id of its own."
            )
        controls[control.id] = control
    return tuple(controls.values())


def parse_control(given: Values) -> Control:
    """One control.

    :raises InvalidOption: if its resource is unknown, or what it requires cannot be understood.
    """
    resource = given["resource"]
    control_id = clean_text(given["id"], "controls: an id") if "id" in given else resource
    if "require" not in given:
        raise InvalidOption(f"The control {control_id!r} lacks require.")
    where = f"The control {control_id!r}"
    told = {
        "id": control_id,
        "title": control_id,
        "severity": SEVERITIES[1],
        **without(given, "id"),
        "require": without_secrets(resource, given["require"]),
    }
    if resource not in TABLES:
        return Control(
            control_id,
            resource,
            told,
            bounds=with_types(resource, parse_require(given["require"], where), where),
        )
    require = conform(given["require"], TABLES[resource], where)
    check_days(require, where)
    check_scopes(require.get("forbidden_scopes", []), where)
    for name, table in (
        ("entries", ENTRY_FIELDS),
        ("present", CHANNEL_FIELDS if resource == "notification_channels" else RULE_OPTIONS),
    ):
        if name in require:
            place = f"{where}: {name}"
            require[name] = [conform(item, table, place) for item in require[name]]
    wanted_entries(require)
    for cidr in require.get("forbid", []):
        parse_network(str(cidr), f"{where}: forbid")
    if require.get("purge") and not {"entries", "present"} & require.keys():
        raise InvalidOption(f"{where}: purge needs the list of what may stay.")
    return Control(control_id, resource, told, require=require)


def check_days(require: Values, where: str) -> None:
    """Refuse a number of days that no time can be compared with.

    :raises InvalidOption: if there is such a number.
    """
    for name in ("max_age_days", "max_lifetime_days", "unused_days"):
        days = require.get(name, 0)
        if not 0 <= days <= MOST_DAYS:
            raise InvalidOption(f"{where}: {name} must be 0 to {MOST_DAYS} days, not {days}.")


def check_scopes(scopes: list[t.Any], where: str) -> None:
    """Refuse a scope that is no text: it would never match.

    :raises InvalidOption: if there is such a scope.
    """
    for scope in scopes:
        if not isinstance(scope, str):
            raise InvalidOption(f"{where}: forbidden_scopes takes texts, not {as_text(scope)}.")


def with_types(resource: str, bounds: Mapping[Path, Bound], where: str) -> dict[Path, Bound]:
    """The bounds with the types of the fields, since templates of Ansible give text for numbers and booleans."""
    table = (
        SETTINGS_FIELDS
        if resource == "settings"
        else WRITABLE[resource][1]
        if resource in WRITABLE
        else None
    )
    converted = dict(bounds)
    for path, bound in bounds.items():
        kind = (table or {}).get(path[0], {}).get("type") if len(path) == 1 else None
        if kind:
            place = f"{where}: {path[0]}"
            for limit in (bound.at_least, bound.at_most):
                if kind == "int" and limit is not None and limit != int(limit):
                    raise InvalidOption(f"{place} takes whole numbers, not {as_text(limit)}.")
            converted[path] = replace(
                bound,
                equals=tuple(typed(value, kind, place) for value in bound.equals),
                one_of=None
                if bound.one_of is None
                else tuple(typed(value, kind, place) for value in bound.one_of),
                not_one_of=tuple(typed(value, kind, place) for value in bound.not_one_of),
            )
    return converted


def without_secrets(resource: str, require: t.Any) -> t.Any:
    """What a control requires, without the secrets of channels."""
    if (
        resource != "notification_channels"
        or not isinstance(require, Mapping)
        or not isinstance(require.get("present"), list)
    ):
        return require

    def censored(item: t.Any) -> t.Any:
        if not isinstance(item, Mapping) or not isinstance(item.get("secret_config"), Mapping):
            return item
        return {
            **item,
            "secret_config": {
                key: value if isinstance(value, str) and is_placeholder(value) else CENSORED
                for key, value in item["secret_config"].items()
            },
        }

    return {**require, "present": [censored(item) for item in require["present"]]}


def secrets_of(arguments: t.Any) -> set[str]:
    """The secrets in arguments, however wrong these are: what Ansible is to censor wherever it occurs. They are whatever stands in a ``secret_config``."""
    if isinstance(arguments, Mapping):
        return set().union(
            *(
                {text for text in scalars([value, unescape(value)]) if not is_placeholder(text)}
                if key == "secret_config"
                else secrets_of(value)
                for key, value in arguments.items()
            )
        )
    if isinstance(arguments, (list, tuple)):
        return set().union(*map(secrets_of, arguments))
    if (
        isinstance(arguments, str) and "secret_config" in arguments
    ):  # a list or mapping may be given as JSON
        with contextlib.suppress(ValueError):
            return secrets_of(json.loads(arguments))
    return set()


def drop_waived(
    controls: Iterable[Control], waivers: Mapping[str, Waiver], today: datetime.date
) -> list[Control]:
    """The controls that nobody waived."""
    return [
        control
        for control in controls
        if control.id not in waivers or not waivers[control.id].holds(today)
    ]


def check_baseline(options: Values) -> None:
    """Refuse controls that cannot be understood or cannot all hold, before anything is read.

    :raises InvalidOption: with the reason.
    """
    uncovered(options.get("protected_addresses", []), [])
    controls = parse_controls(options)
    waivers = parse_waivers(options.get("waivers", []), [control.id for control in controls])
    # A control that is waived at this hour does not have to hold.
    active = drop_waived(controls, waivers, datetime.datetime.now(datetime.timezone.utc).date())
    for resource in dict.fromkeys(
        control.resource for control in active if control.resource not in TABLES
    ):
        bounds = combine(
            (control.id, control.bounds) for control in active if control.resource == resource
        )
        if resource == "session_timeout":
            check_session(active, bounds)
    merge_allowlist([control for control in active if control.resource == "ip_whitelist"])
    for resource in ("notification_channels", "notification_rules"):
        merge_objects([control for control in active if control.resource == resource])


IDLE: Path = ("idle_timeout_minutes",)
ABSOLUTE: Path = ("absolute_timeout_minutes",)


def check_session(controls: Iterable[Control], bounds: Mapping[Path, Bound]) -> None:
    """Refuse an idle timeout that must exceed the absolute one.

    :raises InvalidOption: with the ids of the controls.
    """
    timeouts = [control for control in controls if control.resource == "session_timeout"]
    pairs = [
        (one, other)
        for one in timeouts
        if IDLE in one.bounds
        for other in timeouts
        if ABSOLUTE in other.bounds
    ]
    # Two controls by themselves tell best what is wrong; otherwise it takes more of them.
    for one, other in pairs:
        check_idle_below(one.bounds[IDLE], other.bounds[ABSOLUTE], one.id, other.id)
    for one, other in pairs[:1]:
        check_idle_below(bounds[IDLE], bounds[ABSOLUTE], one.id, other.id)


def check_idle_below(idle: Bound, absolute: Bound, one: str, other: str) -> None:
    """Refuse a bound of the idle timeout that lies above the absolute one's.

    :raises InvalidOption: with the ids of the controls.
    """
    choices = [
        value
        for value in (*absolute.equals, *(absolute.one_of or ()))
        if is_number(value) and not absolute.unmet(value)
    ]
    largest = max(choices, default=absolute.at_most)
    if largest is None:
        return
    try:
        idle.both(Bound(at_most=largest))
    except InvalidOption as error:
        raise conflict(
            one, other, IDLE, f"idle may not exceed absolute ({error.message})"
        ) from None


def merge_allowlist(controls: Iterable[Control]) -> Values:
    """Merge what several controls of the allowlist require, as the options of its resource.

    :raises InvalidOption: if two cannot both be met.
    """
    options: Values = {"state": "present", "entries": [], "forbid": []}
    labels: dict[str, str | None] = {}
    labeled_by: dict[str, str] = {}
    required_by: dict[str, str] = {}
    forbidden_by: dict[str, str] = {}
    enabled_by = ""
    purging: list[tuple[Control, set[str]]] = []
    for control in controls:
        require = control.require
        wanted = wanted_entries(require)
        for cidr, label in wanted.items():
            required_by[cidr] = control.id
            if label is None:
                labels.setdefault(cidr, None)
                continue
            if labels.get(cidr) not in (None, label):
                raise conflict(
                    labeled_by[cidr],
                    control.id,
                    ("entries",),
                    f"{cidr} has the label {labels[cidr]!r} in one and {label!r} in the other",
                )
            labels[cidr] = label
            labeled_by.setdefault(cidr, control.id)
        if "enabled" in require:
            if options.setdefault("enabled", require["enabled"]) != require["enabled"]:
                reason = "one requires it on and the other off"
                raise conflict(enabled_by, control.id, ("enabled",), reason)
            enabled_by = control.id
        options["entries"] += require.get("entries", [])
        options["forbid"] += require.get("forbid", [])
        for cidr in require.get("forbid", []):
            forbidden_by.setdefault(canonical(cidr), control.id)
        if require.get("purge"):
            options["purge"] = True
            purging.append((control, set(wanted)))
    check_forbidden(required_by, forbidden_by)
    for cidr, owner in required_by.items():
        for control, allowed in purging:
            if cidr not in allowed:
                reason = (
                    f"one requires {cidr}, and the other that nothing but its own entries is listed"
                )
                raise conflict(control.id, owner, ("entries",), reason)
    return options


def check_forbidden(required_by: Mapping[str, str], forbidden_by: Mapping[str, str]) -> None:
    """Refuse required networks that let in all of a forbidden one, alone or together.

    :param required_by: The controls' ids by the network that they require.
    :param forbidden_by: The controls' ids by the network that they forbid.
    :raises InvalidOption: with the ids of two controls.
    """
    for forbidden, other in forbidden_by.items():
        found = find_open([forbidden], list(required_by))
        for cidr, owner in required_by.items():
            if cidr not in found:
                continue
            opens = "" if cidr == forbidden else f", which opens {forbidden}"
            reason = f"one requires {cidr}{opens}, and the other forbids it"
            raise conflict(owner, other, ("entries",), reason)


def merge_objects(controls: Iterable[Control]) -> dict[str, tuple[Values, tuple[str, ...]]]:
    """The channels or rules that several controls require, by name, each with the ids of its controls.

    :raises InvalidOption: if two require different values of one, or one forbids what the other requires.
    """
    controls = tuple(controls)
    objects: dict[str, tuple[Values, tuple[str, ...]]] = {}
    seen: list[tuple[str, Values]] = []
    for control in controls:
        for item in control.require.get("present", []):
            name = item["name"]
            for other_id, other in seen:
                for key in item.keys() & other.keys() if other["name"] == name else ():
                    if not same(merged(other[key], item[key]), merged(item[key], other[key])):
                        reason = (
                            "two secrets"
                            if key == "secret_config"
                            else f"{as_text(other[key])} and {as_text(item[key])}"
                        )
                        raise conflict(other_id, control.id, (name, key), reason)
            seen.append((control.id, item))
            wanted, ids = objects.get(name, ({}, ()))
            objects[name] = (merged(wanted, item), ids if control.id in ids else (*ids, control.id))
    for control in controls:
        if control.require.get("purge"):
            own = {item["name"] for item in control.require.get("present", [])}
            for name, (_item, ids) in objects.items():
                if name not in own:
                    raise conflict(
                        control.id,
                        ids[0],
                        (name,),
                        "one requires it, and the other that there is nothing but its own",
                    )
    return objects
