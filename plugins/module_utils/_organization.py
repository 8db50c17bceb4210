# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Organization settings.

Endpoints: ``/api/settings`` and ``/api/settings/all``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Call, Plan, Values, describe, differences, merged, same, without
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource, require_field

SETTINGS_FIELDS = ("default_timezone", "require_sso", "data_residency")


def check_settings(options: Values) -> None:
    """Refuse a setting that is given twice.

    :raises InvalidOption: if ``extra`` holds a setting that has an option of its own.
    """
    doubled = sorted(set(options.get("extra", {})) & set(SETTINGS_FIELDS))
    if doubled:
        raise InvalidOption(f"extra must not hold {', '.join(doubled)}: use the option of that name.")


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
    desired |= {name: merged(current.get(name), value) for name, value in options.get("extra", {}).items()}
    body = {name: value for name, value in desired.items() if name not in before or not same(before[name], value)}
    calls = (Call("POST", "/api/settings", body, "update the settings", repeatable=True),) if body else ()
    after = {**before, **body}
    return Plan(before, after, calls, {**current, **body}, describe("settings", differences(before, after)))


def show_settings(current: Values, dummy_options: Values) -> Values:
    """The settings as they now are."""
    return current


def missed_in_settings(current: Values, dummy_plan: Plan, options: Values) -> list[str]:
    """What a plan wanted and the API did not do."""
    left = plan_settings(current, options)
    return differences(left.before, left.after)


SETTINGS = Resource("settings", read_settings, plan_settings, show_settings, missed_in_settings, check=check_settings)
