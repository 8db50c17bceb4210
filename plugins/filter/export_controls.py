# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible
from ansible_collections.planasonix.admin.plugins.plugin_utils._snapshots import take_snapshot
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def export_controls(facts: t.Any, unavailable: t.Any = ()) -> list[dict[str, t.Any]]:
    """The filter; see its documentation."""
    return t.cast(
        list[dict[str, t.Any]], build_snapshot("export_controls", facts, unavailable)["controls"]
    )


def snapshot(facts: t.Any, unavailable: t.Any = ()) -> dict[str, t.Any]:
    """The filter; see its documentation."""
    return build_snapshot("snapshot", facts, unavailable)


def build_snapshot(name: str, facts: t.Any, unavailable: t.Any) -> dict[str, t.Any]:
    """Return the snapshot of an organization.

    :param name: The name of the filter, for errors.
    :raises AnsibleFilterError: if none can be taken.
    """
    try:
        return take_snapshot(untag(facts), untag(unavailable))
    except InvalidOption as error:
        raise AnsibleFilterError(
            f"{name}: nothing could be restored from this state: {visible(error.message)}"
        ) from None
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{name}: the input is not what planasonix_info returns of an organization; "
            f"{error} is missing or wrong."
        ) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"export_controls": export_controls, "snapshot": snapshot}
