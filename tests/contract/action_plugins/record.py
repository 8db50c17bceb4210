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
    """``record: {file, name, value}`` adds one line of JSON to the file."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        with Path(self._task.args["file"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps([self._task.args["name"], self._task.args["value"]], default=str) + "\n")
        return {**result, "changed": False}
