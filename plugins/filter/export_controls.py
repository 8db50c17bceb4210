# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.plugin_utils._filters import filter_errors
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def export_controls(facts: t.Any, unavailable: t.Any = ()) -> list[dict[str, t.Any]]:
    """Return the state of an organization as controls."""
    controls: list[dict[str, t.Any]] = build_snapshot("export_controls", facts, unavailable)[
        "controls"
    ]
    return controls


def snapshot(facts: t.Any, unavailable: t.Any = ()) -> dict[str, t.Any]:
    """Return the state of an organization as a snapshot."""
    return build_snapshot("snapshot", facts, unavailable)


def build_snapshot(name: str, facts: t.Any, unavailable: t.Any) -> dict[str, t.Any]:
    """Return the snapshot of an organization for the filter ``name``."""
    # Imported here, because Ansible loads all filters to find one.
    from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import (
        take_snapshot,
    )

    with filter_errors(
        f"{name}: nothing could be restored from this state: ",
        f"{name}: the input is not what planasonix_info returns of an organization",
    ):
        return take_snapshot(untag(facts), untag(unavailable))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"export_controls": export_controls, "snapshot": snapshot}
