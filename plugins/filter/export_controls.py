# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import exported
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import plain


def export_controls(facts: t.Any, unavailable: t.Any = ()) -> list[dict[str, t.Any]]:
    """The filter; see its documentation."""
    try:
        return exported(plain(facts), plain(unavailable))
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"export_controls: the input is not what planasonix_info returns of an organization; {error} is missing or wrong."
        ) from None


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"export_controls": export_controls}
