# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._escapes import escape
from ansible_collections.planasonix.admin.plugins.module_utils._texts import map_texts, visible
from ansible_collections.planasonix.admin.plugins.plugin_utils._rollback import (
    Rollback,
    rollback_outcome,
    rolled_back,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def rollback_controls(snapshot: t.Any, facts: t.Any) -> list[dict[str, t.Any]]:
    """The filter; see its documentation."""
    # The module reads it again, and nothing on the way there renders it.
    return t.cast(
        list[dict[str, t.Any]], escape(way_back("rollback_controls", snapshot, facts).controls)
    )


def rollback_report(
    snapshot: t.Any, facts: t.Any, result: t.Any, check_mode: t.Any = False
) -> dict[str, list[str]]:
    """The filter; see its documentation."""
    back = way_back("rollback_report", snapshot, facts)
    try:
        outcome = rollback_outcome(back, untag(result), bool(check_mode))
        return t.cast(dict[str, list[str]], map_texts(outcome, visible))
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"rollback_report: the result is not what planasonix_baseline returns; {error} is missing or wrong."
        ) from None


def way_back(name: str, snapshot: t.Any, facts: t.Any) -> Rollback:
    """How an organization gets back to its snapshot.

    :raises AnsibleFilterError: if one of the two is none.
    """
    try:
        return rolled_back(untag(snapshot), untag(facts))
    except InvalidOption as error:
        raise AnsibleFilterError(
            f"{name}: the input is no snapshot of this organization: {visible(error.message)}"
        ) from None
    except (AttributeError, KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"{name}: the facts are not what planasonix_info returns of an organization; {error} is missing or wrong."
        ) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rollback_controls": rollback_controls, "rollback_report": rollback_report}
