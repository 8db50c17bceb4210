# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls the simulator's control API in the middle of a play, without the cost of a module."""

from __future__ import annotations

import json
import typing as t
import urllib.request

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """``control: {url, body, method}`` sends the body, by POST unless a method is named, or gets without one; the answer is in ``answer``."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        body = self._task.args.get("body")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._task.args["url"], data, {"Content-Type": "application/json"}, method=self._task.args.get("method"))
        with urllib.request.urlopen(request, timeout=30) as response:
            return {**result, "changed": False, "answer": json.load(response)}
