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
    """``control: {url, body, method}`` sends the body, by POST unless a method is named, or gets without one; the answer is in ``answer``.

    In ``then`` are more such calls, the answers to which nobody needs: each task costs a fork.
    """

    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        answers = [
            call(**arguments) for arguments in (self._task.args, *self._task.args.get("then", ()))
        ]
        return {**result, "changed": False, "answer": answers[0]}


def call(url: str, body: t.Any = None, method: str | None = None, then: object = None) -> t.Any:
    """One call; returns the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)
