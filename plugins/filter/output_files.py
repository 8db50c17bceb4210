# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.planasonix.admin.plugins.plugin_utils._files import (
    find_loss,
    to_file_name,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def file_name(name: t.Any) -> str:
    """Return the file name of a host."""
    return to_file_name(str(untag(name)))


def output_folder(
    folder: t.Any, variable: str, warn: t.Any = False, fail: t.Any = False
) -> dict[str, str]:
    """Return the absolute path of a folder, and why the run may delete it."""
    folder = str(untag(folder))
    problem = find_loss(folder, str(variable), os.environ, os.getcwd())
    if problem and fail:
        raise AnsibleFilterError(f"{problem} Nothing was changed.")
    if problem and warn:
        Display().warning(problem)
    return {"path": os.path.realpath(os.path.expanduser(folder)), "problem": problem}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"file_name": file_name, "output_folder": output_folder}
