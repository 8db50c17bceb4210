# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down when each task of each host ran, and its result, without a task of its own."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Adds one line of JSON for each result to the file that the environment names.

    Its fields: host, task, start and end (seconds of the monotonic clock), failed, result.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "beats"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.starts: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self.starts[host.get_name(), task.get_name()] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self.keep(result, failed=False)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self.keep(result, failed=True)

    def keep(self, result: t.Any, failed: bool) -> None:
        """Write one line."""
        host, task = result._host.get_name(), result._task.get_name()
        line = {
            "host": host,
            "task": task,
            "start": self.starts.get((host, task), 0.0),
            "end": time.monotonic(),
            "failed": failed,
            "result": result._result,
        }
        try:
            text = json.dumps(line, default=str)
        except RecursionError:  # what the API sent was nested too deep
            short = {name: result._result.get(name) for name in ("msg", "changed", "skipped")}
            text = json.dumps({**line, "result": short}, default=str)
        with open(os.environ["CONTRACT_BEATS"], "a", encoding="utf-8") as file:
            file.write(text + "\n")
