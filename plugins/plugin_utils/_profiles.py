# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controls of an organization, from a profile or from the settings of a new one. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.planasonix.admin.plugins.module_utils._controls import SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, without

DEFAULTS = {"state": "present", "update_secrets": "on_create"}
"""Default values of module options that controls do not have."""


def controls_from_profile(
    profile: Iterable[Values],
    overrides: Mapping[str, Values],
    extra: Iterable[Values],
    skip: Sequence[str],
    run_tags: Sequence[str],
    skip_tags: Sequence[str],
) -> list[Values]:
    """Return the controls of a profile, tailored to one organization.

    :param overrides: Maps a control ID to the fields to change. Values under ``require``
        replace those of the profile.
    :param extra: Additional controls.
    :param skip: IDs of controls to leave out.
    :param run_tags: Tags of the command line. If names of resources are among them, only the
        controls of these resources are returned.
    :param skip_tags: Skipped tags of the command line. Controls of these resources are left out.
    :raises InvalidOption: if the profile does not have an ID.
    """
    controls = {control["id"]: control for control in profile}
    for option, ids in (("overrides", overrides), ("skip", skip)):
        unknown = sorted(set(ids) - set(controls))
        if unknown:
            raise InvalidOption(
                f"{option}: the profile has no control {', '.join(unknown)}; "
                f"it has {', '.join(controls)}."
            )
    kept = [
        override_control(control, overrides.get(control_id, {}))
        for control_id, control in controls.items()
        if control_id not in skip
    ]
    resources = set(run_tags) & set(SUBSETS)
    return [
        control
        for control in (*kept, *extra)
        if (not resources or control.get("resource") in resources)
        and control.get("resource") not in skip_tags
    ]


def override_control(control: Values, override: Values) -> Values:
    """Return a control with its override.

    Each required value is replaced as a whole, because merged bounds could contradict each other.
    """
    require = {**control["require"], **(override.get("require") or {})}
    return {**control, **override, "require": require}


def controls_from_settings(
    settings: Values, ip_whitelist: Values, channels: Sequence[Values], rules: Sequence[Values]
) -> list[Values]:
    """Return options of the modules as controls, so that rules may name new channels."""
    allowlist = without(drop_defaults(ip_whitelist), "protected_addresses", "allow_lockout")
    present = [without(drop_defaults(channel), "test") for channel in channels]
    requires: dict[str, Values] = {
        "settings": {**without(settings, "extra"), **(settings.get("extra") or {})},
        "ip_whitelist": allowlist,
        "notification_channels": {"present": present} if present else {},
        "notification_rules": {"present": list(rules)} if rules else {},
    }
    return [
        {"id": f"onboarding-{name}", "resource": name, "require": require}
        for name, require in requires.items()
        if require
    ]


def drop_defaults(options: Values) -> Values:
    """Return the options of a module without :data:`DEFAULTS`."""
    return dict(item for item in options.items() if item not in DEFAULTS.items())
