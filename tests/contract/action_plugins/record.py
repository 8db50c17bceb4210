# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes registered results to a file, so that a test can look at them whatever the display hides."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``record: {file, values}`` adds a line of JSON to the file for each name and its value; ``record: {file, name, value}`` does so for one."""

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        values = (
            arguments["values"]
            if "values" in arguments
            else {arguments["name"]: arguments["value"]}
        )
        with Path(arguments["file"]).open("a", encoding="utf-8") as file:
            for item in values.items():
                file.write(json.dumps(item, default=str) + "\n")
        return {**result, "changed": False}
