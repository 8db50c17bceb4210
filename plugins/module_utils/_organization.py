# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings, session timeout and log retention of an organization.

Endpoints: ``/api/settings``, ``/api/settings/all``, ``/api/session-timeout`` and ``/api/settings/log-retention``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    BOOLEAN,
    FieldTable,
    find_kind,
    is_unlimited,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Mismatch,
    Plan,
    Values,
    as_text,
    describe,
    differences,
    find_mismatches,
    merged,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    Write,
    check_minimum,
    require_field,
    return_state,
    singleton,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

SETTINGS_FIELDS: FieldTable = {
    "default_timezone": {"type": "str"},
    "require_sso": {"type": "bool"},
    "data_residency": {"type": "str"},
}


def check_settings(options: Values) -> None:
    """Refuse a setting that is given twice.

    :raises InvalidOption: if ``extra`` holds a setting that has an option of its own.
    """
    doubled = sorted(set(options.get("extra", {})) & set(SETTINGS_FIELDS))
    if doubled:
        raise InvalidOption(
            f"extra must not hold {', '.join(doubled)}: use the option of that name."
        )


def read_settings(client: Client, options: Values) -> Values:
    """Read the settings.

    ``GET /api/settings`` is documented as partial, so ``GET /api/settings/all`` is read where it
    lacks a setting, and where ``extra`` is given.
    """
    settings: Values = {}
    if "extra" not in options:
        settings = client.get("/api/settings", "read the settings")
    if "extra" in options or any(
        name in options and name not in settings for name in SETTINGS_FIELDS
    ):
        settings = client.get("/api/settings/all", "read the settings")
    return without(settings, "updated_at")


def plan_settings(current: Values, options: Values) -> Plan:
    """Plan ``POST /api/settings`` with what differs. Mappings in ``extra`` are merged, so keys that are not named keep their value."""
    desired = {name: options[name] for name in SETTINGS_FIELDS if name in options}
    before = {name: require_field(current, name, "the settings") for name in desired}
    for name, value in before.items():
        read_value(value, find_kind("settings", (name,)), name, "the settings")
    # A setting that the API does not list is not equal to anything; reading back tells whether it took the new one.
    before |= {name: current[name] for name in options.get("extra", {}) if name in current}
    desired |= {
        name: merged(current.get(name), value) for name, value in options.get("extra", {}).items()
    }
    new = {
        name: value
        for name, value in desired.items()
        if name not in before or not equal_settings(name, before[name], value)
    }
    if not new:
        return Plan(before, before, predicted=current)
    after = {**before, **new}
    old = {name: before[name] for name in new if name in before}
    return Plan(
        before,
        after,
        predicted={**current, **new},
        message=describe("settings", differences(before, after)),
        changes=(Change("update", "settings", "update the settings", before=old, after=new),),
    )


def request_settings(change: Change, dummy_options: Values) -> Write:
    """Return ``POST /api/settings`` with what differs; sent twice, it sets the same."""
    return Write("POST", "/api/settings", change.after, change.text, repeatable=True)


def equal_settings(name: str, found: t.Any, wanted: t.Any) -> bool:
    """Compare two values of a setting, or of a flag: ``feature_flags.lineage_v2``.

    An API may show the flag that a task gives as a boolean as a number or a text.
    """
    if name == "feature_flags" and isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            equal_settings(f"{name}.{flag}", found[flag], value) for flag, value in wanted.items()
        )
    if name.startswith("feature_flags.") and isinstance(wanted, bool):
        return BOOLEAN.same(found, wanted)
    return find_kind("settings", (name,)).same(found, wanted)


BOOKKEEPING = re.compile("(created|updated|modified|changed)|version|revision|etag|_(at|by)$", re.I)
"""Names of settings that an API changes by itself with each write."""


def verify_settings(current: Values, plan: Plan, options: Values) -> Sequence[Mismatch | str]:
    """Return what is not as the task asks for, and what was to stay and did not."""
    kept = {
        name: value
        for name, value in without(plan.predicted, *plan.after).items()
        if not BOOKKEEPING.search(name)
    }
    if "extra" not in options:
        kept = {name: value for name, value in kept.items() if name in current}  # a partial answer
    return find_mismatches(current, {**kept, **plan.after}, {**kept, **plan.before}, equal_settings)


SETTINGS = Resource(
    "settings",
    read_settings,
    plan_settings,
    return_state,
    verify_settings,
    check=check_settings,
    request=request_settings,
)


SESSION_TIMEOUT_FIELDS: FieldTable = {
    "idle_timeout_minutes": {"type": "int"},
    "absolute_timeout_minutes": {"type": "int"},
    "extend_on_activity": {"type": "bool"},
}


def check_session_timeout(options: Values) -> None:
    """Refuse numbers that no session can have.

    :raises InvalidOption: if one is less than 1, or idle exceeds absolute.
    """
    check_minimum(options, 1, "minute", "idle_timeout_minutes", "absolute_timeout_minutes")
    if {"idle_timeout_minutes", "absolute_timeout_minutes"} <= options.keys():
        check_idle(options)


def check_idle(timeout: Values) -> list[str]:
    """Refuse an idle timeout that never comes into effect.

    :returns: A warning where a number may mean no limit, so that the two cannot be compared.
    :raises InvalidOption: if it exceeds the absolute one, of which one may be what the organization has.
    :raises ApiError: if what the organization has is no number.
    """
    idle, absolute = (
        read_value(
            require_field(timeout, name, "the session timeout"),
            find_kind("session_timeout", (name,)),
            name,
            "the session timeout",
        )
        for name in ("idle_timeout_minutes", "absolute_timeout_minutes")
    )
    limits = (
        ("absolute_timeout_minutes", absolute, "idle"),
        ("idle_timeout_minutes", idle, "absolute"),
    )
    for name, value, other in limits:
        if is_unlimited(value):
            return [
                f"{name} is {as_text(value)}, which may mean no limit; "
                f"{other}_timeout_minutes was not compared with it."
            ]
    if idle > absolute:
        raise InvalidOption(
            f"idle_timeout_minutes would be {idle} and absolute_timeout_minutes {absolute}, and idle may not exceed absolute; give both, or other numbers."
        )
    return []


SESSION_TIMEOUT = singleton(
    "session_timeout",
    "/api/session-timeout",
    SESSION_TIMEOUT_FIELDS,
    check=check_session_timeout,
    check_result=check_idle,
)


LOG_RETENTION_FIELDS: FieldTable = {
    "run_logs_days": {"type": "int"},
    "audit_logs_days": {"type": "int"},
    "diagnostic_artifacts_days": {"type": "int"},
}


def check_log_retention(options: Values) -> None:
    """Refuse a retention of less than one day.

    :raises InvalidOption: with the option.
    """
    check_minimum(options, 1, "day", *LOG_RETENTION_FIELDS)


LOG_RETENTION = singleton(
    "log_retention", "/api/settings/log-retention", LOG_RETENTION_FIELDS, check=check_log_retention
)
