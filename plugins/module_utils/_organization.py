# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings, session timeout and log retention of an organization.

Endpoints: ``/api/settings``, ``/api/settings/all``, ``/api/session-timeout`` and ``/api/settings/log-retention``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Call,
    Plan,
    Values,
    describe,
    differences,
    merged,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    missed_by_plan,
    require_field,
    show_state,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import (
    FieldTable,
    check_minimum,
    singleton,
)

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
    """Read the settings: ``GET /api/settings``, or ``GET /api/settings/all`` where ``extra`` is given."""
    path = "/api/settings/all" if "extra" in options else "/api/settings"
    return without(client.get(path, "read the settings"), "updated_at")


def plan_settings(current: Values, options: Values) -> Plan:
    """Plan ``POST /api/settings`` with what differs. Mappings in ``extra`` are merged, so keys that are not named keep their value."""
    desired = {name: options[name] for name in SETTINGS_FIELDS if name in options}
    before = {name: require_field(current, name, "the settings") for name in desired}
    # A setting that the API does not list is not equal to anything; reading back tells whether it took the new one.
    before |= {name: current[name] for name in options.get("extra", {}) if name in current}
    desired |= {
        name: merged(current.get(name), value) for name, value in options.get("extra", {}).items()
    }
    body = {
        name: value
        for name, value in desired.items()
        if name not in before or not same(before[name], value)
    }
    calls = (
        (Call("POST", "/api/settings", body, "update the settings", repeatable=True),)
        if body
        else ()
    )
    after = {**before, **body}
    return Plan(
        before, after, calls, {**current, **body}, describe("settings", differences(before, after))
    )


SETTINGS = Resource(
    "settings",
    read_settings,
    plan_settings,
    show_state,
    missed_by_plan(plan_settings),
    check=check_settings,
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


def check_idle(timeout: Values) -> None:
    """Refuse an idle timeout that never comes into effect.

    :raises InvalidOption: if it exceeds the absolute one, of which one may be what the organization has.
    :raises ApiError: if what the organization has is no number.
    """
    idle, absolute = (
        require_field(timeout, name, "the session timeout")
        for name in ("idle_timeout_minutes", "absolute_timeout_minutes")
    )
    if idle is None or absolute is None:
        return  # without a limit
    if not (isinstance(idle, int) and isinstance(absolute, int)):
        raise ApiError(
            f"The API's answer for the session timeout has no whole numbers of minutes: idle {idle!r}, absolute {absolute!r}."
        )
    if idle > absolute:
        raise InvalidOption(
            f"idle_timeout_minutes would be {idle} and absolute_timeout_minutes {absolute}, and idle may not exceed absolute; give both, or other numbers."
        )


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
