# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of Ansible displays, keeps or leaves, and the search for secrets in it."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_runs import HERE

MINTED = r"plnx_live_\w{20}"
"""Any key that the simulator made; lists show four characters of it."""

RETURNED = ("secret", "otpauth_uri", "backup_codes")
"""Keys of a result that are for ``register`` alone."""

SYSLOG = """
import os


def __getattr__(name):
    return 0


def openlog(*arguments):
    pass


def syslog(*arguments):
    with open(os.environ["CONTRACT_SYSLOG"], "a") as file:
        print(arguments[-1], file=file)
"""


def leaks(places: dict[str, str], *words: str) -> list[tuple[str, str, str]]:
    """Each place that holds a secret, with the secret, and what stands around it. Each is told once for a place.

    :param words: Regular expressions of secrets, beside those of keys that the simulator made.
    """
    wanted = re.compile("|".join((MINTED, *words)))
    found = {
        (place, match[0]): text[max(0, match.start() - 80) : match.end() + 20]
        for place, text in places.items()
        for match in wanted.finditer(text)
    }
    return [(place, word, text) for (place, word), text in found.items()]


def censored(result: dict[str, Any]) -> dict[str, Any]:
    """A result, or that of a loop, without what it is to return."""
    rest = {key: value for key, value in result.items() if key not in RETURNED}
    return (
        {**rest, "results": list(map(censored, result["results"]))} if "results" in result else rest
    )


@dataclass
class Watched:
    """Everything that a run of Ansible displays, keeps or leaves.

    :param folder: Folder of the run: playbook, logs, results. What the test gives is elsewhere.
    :param left: Empty folder that all temporary files go to.
    :param environment: What makes Ansible do so.
    :param output: What the screen shows.
    """

    folder: Path
    left: Path
    environment: dict[str, str] = field(default_factory=dict)
    output: str = ""

    def __post_init__(self) -> None:
        logs, python = (self.folder / name for name in ("logs", "python"))
        for path in (logs, python, self.left / "home", self.left / "tmp"):
            path.mkdir()
        # Packed modules log their arguments there. Where Python has the journal of systemd, they would prefer that.
        (python / "syslog.py").write_text(SYSLOG, encoding="utf-8")
        (python / "systemd.py").touch()
        self.environment |= {
            "HOME": str(self.left / "home"),
            "TMPDIR": str(self.left / "tmp"),
            "ANSIBLE_HOME": str(self.left / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.left / "local"),
            "ANSIBLE_REMOTE_TMP": str(self.left / "remote"),
            "ANSIBLE_ASYNC_DIR": str(self.left / "async"),
            "ANSIBLE_LOG_PATH": str(logs / "log"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,events",
            "JUNIT_OUTPUT_DIR": str(logs / "junit"),
            "CONTRACT_EVENTS": str(logs / "events"),
            "CONTRACT_SYSLOG": str(logs / "syslog"),
            "PYTHONPATH": os.pathsep.join(
                [str(python), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        }

    def seen(self, *, packed: bool, results: str | None = None) -> dict[str, str]:
        """Every place where a secret could be, with what it holds. Each of those that are always there must hold what every run leaves in it.

        :param packed: Whether modules were packed, so that they had temporary files and logged.
        :param results: Name of the file that :func:`run` recorded results in.
        """
        # The wrapper of async goes on for up to five seconds after its job has ended, and removes the packed module then.
        deadline = time.monotonic() + 15
        while any((self.left / "remote").glob("*/*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        places = {
            "screen": self.output,
            **read(self.folder),
            **{f"left/{path}": text for path, text in read(self.left).items()},
        }
        if results:
            (line,) = places.pop(results).splitlines()
            places["results"] = json.dumps(
                list(map(censored, json.loads(line)[1].values())), ensure_ascii=False
            )
        (junit,) = (place for place in places if place.startswith("logs/junit/"))
        for place in ("screen", "logs/log", junit, "logs/events"):
            assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in places[place], place
        assert results is None or '"msg"' in places["results"]
        assert (self.left / "local").is_dir()
        if packed:
            assert (self.left / "remote").is_dir()
            assert "api_key=NOT_LOGGING_PARAMETER" in places["logs/syslog"]
        return places

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What callbacks were handed: event, task and forms of the result."""
        return [
            tuple(json.loads(line))
            for line in (self.folder / "logs" / "events").read_text(encoding="utf-8").splitlines()
        ]


def read(folder: Path) -> dict[str, str]:
    """All files below a folder, by their paths."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
