# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the tasks of many rows of variants in one playbook: each row is an organization."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_runs import HERE, run_playbook
from simulator.identities import Identity, identity
from simulator.process import Simulator
from simulator.variants.answers import number_of
from variants import CREATED, FOLDER, ID, KEYS, START, TASKS, Row, State

BEATS = ("check", "run", "again")
FORKS = 6
PACKED_FORKS = 2
"""A packed task keeps a core busy, so that more of them would hide which one is slow.

They run in batches as well: Ansible looks at results once it has given each host a task.
"""

DEADLINE = 5
"""Seconds that a request may take as a whole."""

TASK_TIMEOUT = 45
"""Seconds after which Ansible ends a task that hangs."""

CONNECTION = {"retries": 4, "retry_budget": 10}


@dataclass
class Beat:
    """One run of a task: its result, its seconds, and the writes that the API answered."""

    result: dict[str, Any]
    failed: bool
    seconds: float
    writes: list[str]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))


@dataclass
class Played:
    """What the tasks of one row did.

    :param beats: By task and beat.
    :param before: State of the organization before the tasks.
    """

    row: Row
    tasks: tuple[str, ...]
    before: State
    after: State = field(default_factory=dict)
    beats: dict[tuple[str, str], Beat] = field(default_factory=dict)
    output: str = field(default="", repr=False)


@dataclass
class Member:
    """One organization of the fleet, for a row and a way of running."""

    row: Row
    way: str
    tasks: tuple[str, ...]
    identity: Identity

    @property
    def host(self) -> str:
        return self.identity.slug


def make_member(number: int, row: Row, way: str, tasks: tuple[str, ...]) -> Member:
    return Member(row, way, tasks, identity(number))


def make_state(member: Member) -> State:
    """Return the sections that an organization begins with."""
    admin = {
        "id": "key_administration",
        "name": "Administration",
        "secret": member.identity.admin_key,
        "prefix": member.identity.admin_key_prefix,
        "scopes": ["admin:organization"],
        "created_at": CREATED,
    }
    features = ["lineage", "git_integration", "sso"]
    start = {**START, "api_keys": [admin, *KEYS], "features": features}
    return copy.deepcopy({**start, **member.row.state})


def fill_arguments(arguments: Any, folder: Path, numbers: bool) -> Any:
    """Return arguments with the folder and the ids of an organization."""
    if isinstance(arguments, dict):
        return {name: fill_arguments(item, folder, numbers) for name, item in arguments.items()}
    if isinstance(arguments, list):
        return [fill_arguments(item, folder, numbers) for item in arguments]
    if not isinstance(arguments, str):
        return arguments
    if arguments.startswith(ID):
        text = arguments.removeprefix(ID)
        return str(number_of(text)) if numbers else text
    return arguments.replace(FOLDER, str(folder))


def make_tasks(member: Member, folder: Path) -> list[dict[str, Any]]:
    """Return the tasks of an organization for Ansible."""
    numbers = "ids_as_numbers" in member.row.variants
    environment = {"PLANASONIX_CONTRACT": "module"} if member.way == "module" else {}
    tasks: list[dict[str, Any]] = []
    for name in member.tasks:
        task = TASKS[name]
        own_folder = folder / f"{member.host}-{name}"
        own_folder.mkdir()
        for beat in BEATS:
            chosen = (task.again or task.arguments) if beat == "again" else task.arguments
            arguments = fill_arguments(chosen, own_folder, numbers)
            options = {"environment": environment} if environment else {}
            tasks.append(
                {
                    "name": f"{name} {beat}",
                    f"planasonix.admin.planasonix_{task.module}": arguments,
                    "check_mode": beat == "check",
                    "diff": True,
                    "ignore_errors": True,
                    "timeout": TASK_TIMEOUT,
                    **options,
                }
            )
    return tasks


def write_playbook(
    members: Iterable[Member], simulator: Simulator, folder: Path, batch: int | str
) -> None:
    """Write the inventory, a file of tasks for each host, and the playbook.

    :param batch: How many hosts run at a time, as ``serial`` takes it.
    """
    hosts: dict[str, Any] = {}
    for member in members:
        tasks_file = folder / f"{member.host}.json"
        tasks_file.write_text(json.dumps(make_tasks(member, folder)), encoding="utf-8")
        hosts[member.host] = {
            "planasonix_api_key": member.identity.admin_key,
            "tasks_file": str(tasks_file),
        }
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    inventory = {"all": {"hosts": hosts, "vars": shared}}
    (folder / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    connection = {
        "api_url": simulator.url,
        "api_key": "{{ planasonix_api_key }}",
        **CONNECTION,
    }
    play = {
        "hosts": "all",
        "gather_facts": False,
        "strategy": "free",
        "serial": batch,
        "module_defaults": {"group/planasonix.admin.planasonix": connection},
        "tasks": [{"ansible.builtin.include_tasks": "{{ tasks_file }}"}],
    }
    (folder / "playbook.json").write_text(json.dumps([play]), encoding="utf-8")


def play_rows(
    rows: Iterable[tuple[Row, str, tuple[str, ...]]],
    folder: Path,
    forks: int,
    batch: int | str = "100%",
) -> list[Played]:
    """Run the tasks of all rows in one playbook; returns what they did, in the order of rows."""
    members = [make_member(number, *row) for number, row in enumerate(rows, 1)]
    with Simulator(len(members)) as simulator:
        simulator.options(variants={member.host: list(member.row.variants) for member in members})
        before = {
            member.host: simulator.set_state(member.host, **make_state(member))
            for member in members
        }
        write_playbook(members, simulator, folder, batch)
        environment = {
            "ANSIBLE_FORKS": str(forks),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "beats",
            "CONTRACT_BEATS": str(folder / "beats"),
            "PLANASONIX_DEADLINE": str(DEADLINE),
        }
        arguments = ("-i", str(folder / "inventory.json"), str(folder / "playbook.json"))
        done = run_playbook(folder, *arguments, environment=environment)
        log = simulator.log()
        played = {
            member.host: Played(
                member.row,
                member.tasks,
                before[member.host],
                simulator.state(member.host),
                output=done.stdout,
            )
            for member in members
        }
    add_beats(played, folder / "beats", log)
    return list(played.values())


def add_beats(played: dict[str, Played], file: Path, log: list[dict[str, Any]]) -> None:
    """Add results to the rows, each with the writes that came while its task ran."""
    writes: dict[str, list[dict[str, Any]]] = {host: [] for host in played}
    for request in log:
        if request["method"] != "GET" and request["status"] is not None:
            writes[request["organization"]].append(request)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in map(json.loads, lines):
        name, _space, beat = line["task"].rpartition(" ")
        if name not in TASKS:
            continue
        during = [
            f"{request['method']} {request['path']}"
            for request in writes[line["host"]]
            if line["start"] <= request["clock"] <= line["end"]
        ]
        seconds = line["end"] - line["start"]
        played[line["host"]].beats[name, beat] = Beat(
            line["result"], line["failed"], seconds, during
        )
