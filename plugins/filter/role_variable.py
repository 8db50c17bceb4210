# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.plugin_utils._filters import filter_errors
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag
from ansible_collections.planasonix.admin.plugins.plugin_utils._variables import (
    check_keys,
    read_variable,
)


def role_variable(
    value: t.Any,
    name: str,
    type: str = "list",  # noqa: A002
    elements: str = "str",
    required: t.Any = (),
    optional: t.Any = (),
) -> t.Any:
    """Return the variable of a role as a list or a mapping."""
    with filter_errors(""):
        result = read_variable(str(name), untag(value), str(type), str(elements))
        if required or optional:
            check_keys(str(name), result, untag(required), untag(optional))
    return result


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"role_variable": role_variable}
