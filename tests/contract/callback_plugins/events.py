# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down what any callback plugin is handed, so that a test can look at it: what goes to a syslog, a chat or a database comes from there."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase


def keeping(event: str) -> t.Callable[..., None]:
    """The method of an event of a task."""

    def method(self: CallbackModule, result: t.Any, **dummy: t.Any) -> None:
        self.keep(event, result)

    return method


class CallbackModule(CallbackBase):
    """Adds one line of JSON for each event to the file that the environment names: event, task, and the result in all forms that callbacks use.

    The arguments of the task, which callbacks can reach too, are as the user gave them, with secrets, whatever the module. No module can change that.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    v2_runner_on_ok = keeping("ok")
    v2_runner_on_failed = keeping("failed")
    v2_runner_on_unreachable = keeping("unreachable")
    v2_runner_on_skipped = keeping("skipped")
    v2_runner_retry = keeping("retry")
    v2_runner_item_on_ok = keeping("item ok")
    v2_runner_item_on_failed = keeping("item failed")
    v2_runner_item_on_skipped = keeping("item skipped")
    v2_runner_on_async_poll = keeping("async poll")
    v2_runner_on_async_ok = keeping("async ok")
    v2_runner_on_async_failed = keeping("async failed")
    v2_on_file_diff = keeping("diff")

    def keep(self, event: str, result: t.Any) -> None:
        """Write one line."""
        raw = result._result
        forms = {
            "raw": raw,
            "dumped": self._dump_results(raw, indent=4, keep_invocation=True),
            "diffs": [
                self._get_diff(one["diff"])
                for one in (raw, *raw.get("results", []))
                if one.get("diff")
            ],
            # Since ansible-core 2.19 they are there whether or not the result is censored.
            "beside": [
                str(getattr(result, name, None))
                for name in ("exception", "warnings", "deprecations")
            ],
        }
        with open(os.environ["CONTRACT_EVENTS"], "a", encoding="utf-8") as file:
            file.write(
                json.dumps([event, result._task.get_name(), forms], default=str, ensure_ascii=False)
                + "\n"
            )
