# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs playbooks as a user does, and gives back what their tasks registered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.process import Simulator

HERE = Path(__file__).resolve().parent
WAYS = ("worker", "module")
"""Both ways of running a module: inside Ansible's worker, and packed, in a process of its own."""

# pylint: disable-next=consider-using-with
TEMPORARY = tempfile.TemporaryDirectory(prefix="plnx-")
"""The temporary folder of all runs, in which the folders of tests are not, unlike in the system's.

Its path is short, since ansible-core makes a socket there.
"""

MAKES: dict[str, dict[str, Any]] = {
    "documented": {},
    "other make": {
        "page_size": 1,
        "mask_config": "mask",
        "error_format": "flat",
        "rule_replacement": "change_id",
        "shared_key_prefix": True,
    },
}
"""Options of both makes of server. The other one pages its lists one by one, masks secrets, changes the ids of rules, and has flat error bodies."""


def ways_against(make: str) -> tuple[str, ...]:
    """Which way a task runs and which make of server it meets are independent, and a module's start is slow."""
    return WAYS if make == "documented" else WAYS[:1]


def begin(simulator: Simulator, make: str) -> None:
    """Make the API fresh."""
    simulator.reset()
    simulator.options(**MAKES[make])


def in_beats(
    simulator: Simulator,
    beats: Iterable[tuple[str, bool, dict[str, Any]]],
    begin_with: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Tasks, each with an empty log before it and with its log kept; it is registered by its name, and the log by that with ``_log`` added.

    :param beats: Name of a task, whether it may write, and the task. No write is let through where none may be.
    :param begin_with: Calls of the simulator before the first one.
    """
    control = f"http://127.0.0.1:{simulator.port}/_simulator"
    tasks: list[dict[str, Any]] = []
    calls, register = list(begin_with), dict[str, str]()
    for name, may_write, task in beats:
        calls += [
            {"url": f"{control}/options", "body": {"read_only": not may_write}},
            {"url": f"{control}/log/clear", "body": {}},
        ]
        tasks += [
            {"control": {**calls[0], "then": calls[1:]}, **register},
            {**task, "register": name},
        ]
        calls, register = [{"url": f"{control}/log"}], {"register": f"{name}_log"}
    return [*tasks, {"control": calls[0], **register}]


def environment_in(folder: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of Ansible's commands in a folder, with nothing of the settings of whoever runs the tests."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PLANASONIX_")) or name == "ANSIBLE_COLLECTIONS_PATH"
    }
    settings = {
        "TMPDIR": TEMPORARY.name,
        "ANSIBLE_ACTION_PLUGINS": str(HERE / "action_plugins"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_INJECT_INVOCATION": "true",
        "LC_ALL": "C.UTF-8",
    }
    return {**inherited, **settings, **(more or {})}


def told(text: str) -> str:
    """What a run displays, or a page says, whatever its lines are broken by."""
    return " ".join(text.split())


def run_playbook(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``ansible-playbook`` in a folder."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
        env=environment_in(folder, environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@dataclass
class Outcome:
    """What a playbook run left."""

    results: dict[str, Any]
    output: str
    status: int

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.results[name]


@dataclass
class Ansible:
    """Runs tasks against one API.

    :param folder: Empty folder for the playbook and its results.
    :param url: Base URL of the API.
    :param key: API key.
    """

    folder: Path
    url: str
    key: str
    extra_environment: dict[str, str] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """Where results are kept."""
        return self.folder / "results.jsonl"

    def keep(self, name: str, expression: str) -> dict[str, Any]:
        """A task that keeps the value of a Jinja expression among the results."""
        return {
            "record": {"file": str(self.record), "name": name, "value": "{{ " + expression + " }}"},
            "check_mode": False,
        }

    def run(
        self,
        way: str,
        *tasks: dict[str, Any],
        arguments: tuple[str, ...] = (),
        defaults: dict[str, Any] | None = None,
    ) -> Outcome:
        """Run tasks; each that has ``register`` is recorded, and a failed one does not end the play.

        :param way: One of :data:`WAYS`.
        :param arguments: More of ``ansible-playbook``'s command line.
        :param defaults: Connection options instead of this object's.
        """
        self.record.unlink(missing_ok=True)
        steps: list[dict[str, Any]] = [{"ignore_errors": True, **task} for task in tasks]
        # All at once: each task costs a fork.
        values = {
            task["register"]: f"{{{{ {task['register']} }}}}"
            for task in tasks
            if "register" in task
        }
        steps += (
            [{"record": {"file": str(self.record), "values": values}, "check_mode": False}]
            if values
            else []
        )
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {
                "group/planasonix.admin.planasonix": {"api_url": self.url, "api_key": self.key}
                if defaults is None
                else defaults
            },
            "environment": {"PLANASONIX_CONTRACT": "module"} if way == "module" else {},
            "tasks": steps,
        }
        playbook = self.folder / "playbook.yml"
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        done = run_playbook(
            self.folder, str(playbook), *arguments, environment=self.extra_environment
        )
        results = (
            dict(json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines())
            if self.record.exists()
            else {}
        )
        return Outcome(results, done.stdout, done.returncode)
