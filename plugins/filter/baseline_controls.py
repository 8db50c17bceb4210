# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.plugin_utils._action import plain
from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import tailored


def baseline_controls(
    profile: t.Any,
    overrides: t.Any = None,
    extra: t.Any = None,
    skip: t.Any = None,
    run_tags: t.Any = None,
    skip_tags: t.Any = None,
) -> list[dict[str, t.Any]]:
    """The filter; see its documentation."""
    if not isinstance(profile, t.Mapping) or not isinstance(profile.get("controls"), list):
        raise AnsibleFilterError("baseline_controls: the input is no profile, which is a mapping with a list of controls.")
    try:
        return tailored(
            plain(profile["controls"]), plain(overrides or {}), plain(extra or []), plain(skip or []), plain(run_tags or []), plain(skip_tags or [])
        )
    except InvalidOption as error:
        raise AnsibleFilterError(f"baseline_controls: {error.message}") from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"baseline_controls": baseline_controls}
