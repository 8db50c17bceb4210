# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import (
    controls_from_settings,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def onboarding_controls(
    settings: t.Any, ip_whitelist: t.Any = None, channels: t.Any = None, rules: t.Any = None
) -> list[dict[str, t.Any]]:
    """Return the settings of a new organization as controls."""
    for name, value in (("settings", settings), ("ip_whitelist", ip_whitelist or {})):
        if not isinstance(value, t.Mapping):
            raise AnsibleFilterError(f"onboarding_controls: {name} must be a mapping.")
    return controls_from_settings(
        untag(settings), untag(ip_whitelist or {}), untag(channels or []), untag(rules or [])
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"onboarding_controls": onboarding_controls}
