# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fault matrix: every writing module meets every fault, in the worker and as a module.

Nothing is lost or doubled whatever happens, and a run after it, without a fault, puts right what is left. What became of each is the table in the guide
on failures; run this with PLANASONIX_WRITE_TABLE=1 to write that anew.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from ansible_runs import WAYS, run_playbook
from fault_matrix import CASES, FAULTS, FOLDER, Case, Fault, Write
from module_process import PARALLEL, Job, run_modules
from simulator.identities import identity
from simulator.process import Simulator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst" / "guide_failures.rst"
BEGIN, END = (
    ".. Begin of the table that tests/contract/test_fault_matrix.py writes.\n",
    ".. End of the table.\n",
)

VOLATILE = {
    *(
        "id",
        "created_at",
        "updated_at",
        "last_used_at",
        "expires_at",
        "last_evaluated_at",
        "prefix",
        "secret",
        "backup_codes",
        "enrollments",
    ),
    *(
        "organization",
        "profile_id",
        "organization_id",
        "avatar_url",
        "tier",
        "features",
        "deliveries",
    ),
}
"""What differs from one organization to another, or from one time to another, however a task ends."""

PATIENT = {"retry_budget": 30, "timeout": 20}
OUTAGE = 3
"""Seconds, more than Ansible needs from its start to the tasks of all hosts."""

DONE, UNPROVED, REPORTED, NOTHING, TOLD, UNCLEAR = (
    "done",
    "unproved",
    "reported",
    "fails",
    "changed",
    "unclear",
)
WRONG = "succeeds wrongly"


@dataclass
class Cell:
    """One case and one fault, on an organization of its own."""

    case: Case
    fault: Fault | None
    number: int
    simulator: Simulator
    url: str
    folder: Path
    connection: dict[str, Any]
    before: Any = None
    after: Any = None
    result: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return f"{self.case.name}, {self.fault.title if self.fault else 'no fault'}"

    @property
    def host(self) -> str:
        return self.folder.name

    @property
    def slug(self) -> str:
        return identity(self.number).slug

    def arguments(self) -> dict[str, Any]:
        """Arguments of the module."""
        given = json.loads(json.dumps(self.case.arguments).replace(FOLDER, str(self.folder)))
        return {
            "api_url": self.url,
            "api_key": identity(self.number).admin_key,
            **PATIENT,
            **self.connection,
            **given,
        }

    def state(self) -> dict[str, Any]:
        return self.simulator.state(self.slug)


def comparable(value: Any) -> Any:
    """A state without what differs anyway. Ids of channels are given by the tests, so that rules can be compared."""
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return sorted(
            (comparable(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


class Servers:
    """The API in the places that the faults name: one for all, one behind TLS, and a port where nothing listens."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = folder / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.api = Simulator(len(CASES) * (len(FAULTS) + 1))
        self.tls = Simulator(len(CASES) * 2, certificate=certificate)
        self.numbers: dict[Simulator, Iterator[int]] = {}
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.closed = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def reset(self) -> None:
        """Begin afresh."""
        self.numbers = {simulator: itertools.count(1) for simulator in (self.api, self.tls)}
        for simulator in self.numbers:
            simulator.reset()

    def cell(self, case: Case, fault: Fault | None, folder: Path) -> Cell:
        """A cell with an organization of its own, as its case wants it; no fault is set yet."""
        place = fault.place if fault else "api"
        simulator = self.tls if place.endswith("authority") else self.api
        number = next(self.numbers[simulator])
        connection = dict(fault.connection) if fault else {}
        if place == "known authority":
            connection["ca_path"] = str(self.authority)
        folder.mkdir()
        cell = Cell(
            case,
            fault,
            number,
            simulator,
            self.closed if place == "closed port" else simulator.url,
            folder,
            connection,
        )
        sections = json.loads(json.dumps(case.state))
        if "api_keys" in sections:
            # A secret belongs to one key of all organizations.
            old = [{**key, "secret": f"{key['secret']}_{number}"} for key in sections["api_keys"]]
            sections["api_keys"] = [*cell.state()["api_keys"], *old]
        cell.before = comparable(
            simulator.set_state(cell.slug, **sections) if sections else cell.state()
        )
        return cell


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("tls"))
    with servers.api, servers.tls:
        yield servers


def task_of(cell: Cell) -> dict[str, Any]:
    """The task of a cell's case, with what differs between cells as variables of their hosts."""
    arguments = {name: f"{{{{ options.{name} }}}}" for name in cell.arguments()}
    return {
        f"planasonix.admin.planasonix_{cell.case.module}": {
            **arguments,
            "ca_path": "{{ ca_path or omit }}",
        }
    }


def record_of(record: Path) -> dict[str, Any]:
    """A task that keeps the results of all hosts of a play."""
    of_all = "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'result'))) }}"
    return {"record": {"file": str(record), "name": "results", "value": of_all}, "run_once": True}


def run_in_worker(cells: list[Cell], folder: Path, at_once: bool = False) -> None:
    """Run each cell's task in Ansible's worker: a host is a cell, and there is a play for each case.

    :param at_once: Whether no case waits for another.
    """
    folder.mkdir()
    record = folder / "results.jsonl"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    # Hosts of one play have the same options; those that a fault does not name are left out by them.
    hosts = {
        cell.host: {"options": cell.arguments(), "ca_path": cell.connection.get("ca_path", "")}
        for cell in cells
    }
    (folder / "inventory.json").write_text(
        json.dumps({"all": {"hosts": hosts, "vars": variables}}), encoding="utf-8"
    )
    plays = []
    for _name, group in itertools.groupby(cells, key=lambda cell: cell.case.name):
        of_case = list(group)
        tasks = [
            {**task_of(of_case[0]), "register": "result", "ignore_errors": True},
            record_of(record),
        ]
        plays.append(
            {
                "hosts": ",".join(cell.host for cell in of_case),
                "gather_facts": False,
                "tasks": tasks,
            }
        )
    if at_once:
        # One play for all, in which each host goes on by itself, with a file of tasks of its own.
        for cell in cells:
            (folder / f"{cell.host}.json").write_text(
                json.dumps([{**task_of(cell), "register": "result", "ignore_errors": True}]),
                encoding="utf-8",
            )
        own = {"ansible.builtin.include_tasks": "{{ inventory_hostname }}.json"}
        plays = [
            {
                "hosts": "all",
                "gather_facts": False,
                "strategy": "ansible.builtin.free",
                "tasks": [own],
            }
        ]
        plays += [{"hosts": "all", "gather_facts": False, "tasks": [record_of(record)]}]
    (folder / "playbook.json").write_text(json.dumps(plays), encoding="utf-8")
    # While all forks are taken, Ansible asks ten thousand times a second whether one is free.
    done = run_playbook(
        folder, "-i", "inventory.json", "--forks", str(len(FAULTS)), "playbook.json"
    )
    assert record.exists(), done.stdout
    results = {
        host: result
        for line in record.read_text().splitlines()
        for host, result in json.loads(line)[1].items()
    }
    for cell in cells:
        cell.result = results[cell.host]


def run_as_modules(cells: list[Cell], dummy_folder: Path, at_once: bool = False) -> None:
    """Run each cell's task as a module."""
    jobs = [Job(cell.case.module, cell.arguments()) for cell in cells]
    for cell, ended in zip(
        cells, run_modules(jobs, len(jobs) if at_once else PARALLEL), strict=True
    ):
        assert ended.result is not None, f"{cell.name}: {ended}"
        cell.result = {"failed": False, **ended.result}


RUNNERS = {"worker": run_in_worker, "module": run_as_modules}


def outcome_of(cell: Cell, goal: Any) -> str:
    """What became of a cell, in a word."""
    assert cell.result is not None
    unchanged = cell.before == cell.after
    if not cell.result["failed"]:
        statuses = {
            control["resource"]: control["status"] for control in cell.result.get("controls", [])
        }
        if "error" in statuses.values():
            return (
                REPORTED
                if all(
                    cell.before[name] == cell.after[name]
                    for name, status in statuses.items()
                    if status == "error"
                )
                else WRONG
            )
        if cell.result["changed"] and cell.after == goal:
            return DONE
        # No reading tells which password is in force.
        return (
            UNPROVED
            if cell.case.name == "password"
            and "not applied" in (cell.fault.title if cell.fault else "")
            else WRONG
        )
    if cell.result["changed"]:
        return TOLD
    return NOTHING if unchanged else UNCLEAR


def is_settled(cell: Cell, goal: Any) -> bool:
    """Whether a cell succeeded and left all as a run without a fault does."""
    assert cell.result is not None
    files = sorted(path.name for path in cell.folder.iterdir())
    return outcome_of(cell, goal) == DONE and files == (
        ["secret", "secret.owner"] if "secret_file" in cell.case.arguments else []
    )


def problems_of(cell: Cell, outcome: str, state: dict[str, Any]) -> list[str]:
    """What a cell does that nothing may do."""
    assert cell.result is not None
    assert cell.fault is not None
    result, found = cell.result, []
    message = result["msg"]
    if result["failed"]:
        if (
            "\n" in message
            or not message.endswith(".")
            or "Unexpected" in message
            or len(message) > 700
        ):
            found.append(f"its message is no clear sentence: {message!r}")
        if cell.fault.status is not None and result.get("status") != cell.fault.status:
            found.append(f"it tells the status {result.get('status')}: {message}")
        if outcome == UNCLEAR and not re.search(
            "may have taken effect|may be in force|may be void|look at the state", message
        ):
            found.append(f"it does not say that it is not known what happened: {message}")
    # Every key that is new has a secret that somebody knows, or a note from which the next run learns of it.
    file, note = cell.folder / "secret", cell.folder / "secret.pending"
    known = {file.read_text() if file.exists() else None, result.get("secret")}
    if cell.case.module == "api_key" and not note.exists():
        lost = [
            key["id"]
            for key in state["api_keys"]
            if not key["secret"].endswith((f"_of_long_ago_{cell.number}", "_simulator"))
            and key["secret"] not in known
        ]
        if lost:
            found.append(f"nobody knows the secret of {lost}")
        made = [
            key["secret"] for key in state["api_keys"] if key["name"] == cell.case.arguments["name"]
        ]
        if not result["failed"] and file.exists() and made != [file.read_text()]:
            found.append("the file does not hold the secret of the one key")
    strays = {path.name for path in cell.folder.iterdir()} - {
        "secret",
        "secret.owner",
        "secret.pending",
    }
    if strays:
        found.append(f"it leaves {strays}")
    text = json.dumps(
        {
            name: value
            for name, value in result.items()
            if name not in ("secret", "otpauth_uri", "backup_codes")
        }
    )
    secrets = [
        identity(cell.number).admin_key,
        *(key["secret"] for key in state["api_keys"]),
        state["password"],
        state["mfa"]["secret"] or "",
        "a-new-long-password",
    ]
    if any(secret and secret in text for secret in secrets):
        found.append("its result holds a secret")
    return found


def problems_in(rows: list[dict[str, Any]], cell: Cell) -> Iterator[str]:
    """What is wrong with the requests of a cell."""
    assert cell.fault
    if len(rows) > 40:
        yield f"it sends {len(rows)} requests"
    hit = next((number for number, row in enumerate(rows) if row["fault"]), None)
    if cell.fault.place == "api":
        if hit is None:
            # A new password is not read back.
            if (cell.case.name, cell.fault.title) != (
                "password",
                "500 of each read after the write",
            ):
                yield "it does not meet the fault"
        elif cell.fault.waits and rows[hit + 1]["clock"] - rows[hit]["clock"] < cell.fault.waits:
            yield f"it waits {rows[hit + 1]['clock'] - rows[hit]['clock']:.2f} s"


def clean_runs(servers: Servers, folder: Path) -> tuple[dict[str, Write], dict[str, Any]]:
    """Each case without a fault: its first write, and the state that it leads to."""
    cells = [
        servers.cell(case, None, folder / f"clean{number}") for number, case in enumerate(CASES)
    ]
    run_as_modules(cells, folder)
    writes, goals = {}, {}
    log = servers.api.log()
    for cell in cells:
        assert cell.result and cell.result["changed"], (cell.name, cell.result)
        methods = [row["method"] for row in log if row["organization"] == cell.slug]
        first = next(number for number, method in enumerate(methods) if method != "GET")
        writes[cell.case.name] = Write(methods[first], first)
        goals[cell.case.name] = comparable(cell.state())
    return writes, goals


@pytest.mark.parametrize("way", WAYS)
def test_fault_matrix(servers: Servers, way: str, tmp_path: Path) -> None:
    servers.reset()
    writes, goals = clean_runs(servers, tmp_path)
    pairs = [(case, fault) for case in CASES for fault in FAULTS]
    cells = [
        servers.cell(case, fault, tmp_path / f"cell{number}")
        for number, (case, fault) in enumerate(pairs)
    ]
    for cell in cells:
        assert cell.fault
        for spec in cell.fault.plan(cell.case, writes[cell.case.name]):
            cell.simulator.control("faults", {**spec, "organization": cell.slug})
    during = [cell for cell in cells if cell.fault and cell.fault.place == "outage"]
    RUNNERS[way]([cell for cell in cells if cell not in during], tmp_path / "first")
    servers.api.control("outage", {"seconds": OUTAGE})
    RUNNERS[way](during, tmp_path / "outage", at_once=True)

    table: dict[str, dict[str, str]] = {}
    problems = []
    rows: dict[tuple[Simulator, str], list[dict[str, Any]]] = {}
    for simulator in (servers.api, servers.tls):
        for row in simulator.log():
            rows.setdefault((simulator, row["organization"]), []).append(row)
    for cell in cells:
        assert cell.fault
        state = cell.state()
        cell.after = comparable(state)
        outcome = outcome_of(cell, goals[cell.case.name])
        table.setdefault(cell.case.name, {})[cell.fault.title] = outcome
        problems += [f"{cell.name}: {problem}" for problem in problems_of(cell, outcome, state)]
        if outcome == WRONG:
            problems.append(f"{cell.name}: {outcome}: {cell.result}, {cell.before}, {cell.after}")
        problems += [
            f"{cell.name}: {problem}"
            for problem in problems_in(rows.get((cell.simulator, cell.slug), []), cell)
        ]

    # Without the fault, another run puts right what is left. Where nothing was done it would be a clean run, and where all was done the one after it, both of
    # which are tested elsewhere; a password that was changed cannot be given again.
    for simulator in (servers.api, servers.tls):
        simulator.control("faults/clear", {})
    again = [
        replace(cell, connection={}, url=cell.simulator.url)
        for cell in cells
        if cell.after != cell.before
        and cell.simulator is servers.api
        and not (cell.case.name == "password" and cell.after == goals["password"])
        if not is_settled(cell, goals[cell.case.name])
    ]
    assert len(again) > len(CASES)
    run_as_modules(again, tmp_path)
    for cell in again:
        assert cell.result
        state = cell.state()
        if cell.result["failed"] or comparable(state) != goals[cell.case.name]:
            problems.append(f"{cell.name}, run again: {cell.result['msg']}, {comparable(state)}")
        if cell.case.module == "api_key" and "secret_file" in cell.case.arguments:
            secrets = [
                key["secret"]
                for key in state["api_keys"]
                if key["name"] == cell.case.arguments["name"]
            ]
            names = sorted(path.name for path in cell.folder.iterdir())
            if secrets != [(cell.folder / "secret").read_text()] or names != [
                "secret",
                "secret.owner",
            ]:
                problems.append(
                    f"{cell.name}, run again: the secret of the one key is not in the file"
                )
    assert not problems, "\n".join(problems)
    check_guide(table)


def columns(table: dict[str, dict[str, str]]) -> list[tuple[list[str], dict[str, str]]]:
    """The cases, those of like outcomes together."""
    found: list[tuple[list[str], dict[str, str]]] = []
    for name, outcomes in table.items():
        for names, others in found:
            if others == outcomes:
                names.append(name)
                break
        else:
            found.append(([name], outcomes))
    return found


def render(table: dict[str, dict[str, str]]) -> str:
    """The table in reStructuredText, and which cases each of its columns stands for."""
    groups = columns(table)
    lines = [
        f"{letter}\n  {', '.join(f'``{name}``' for name in names)}\n"
        for letter, (names, _outcomes) in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", groups, strict=False)
    ]
    lines += [
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "   :stub-columns: 1",
        "",
        "   * - Fault",
    ]
    lines += [
        f"     - {letter}"
        for letter, _group in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", groups, strict=False)
    ]
    for fault in FAULTS:
        lines.append(f"   * - {fault.title}")
        lines += [f"     - {outcomes[fault.title]}" for _names, outcomes in groups]
    return "\n".join(lines) + "\n\n"


def check_guide(table: dict[str, dict[str, str]]) -> None:
    """Compare the table with the guide's, or write it there."""
    text = GUIDE.read_text(encoding="utf-8")
    head, _begin, rest = text.partition(BEGIN)
    _old, _end, tail = rest.partition(END)
    fresh = f"{head}{BEGIN}\n{render(table)}{END}{tail}"
    if os.environ.get("PLANASONIX_WRITE_TABLE"):
        GUIDE.write_text(fresh, encoding="utf-8")
    else:
        assert text == fresh, (
            f"PLANASONIX_WRITE_TABLE=1 pytest {Path(__file__).name} writes the table of the guide anew"
        )
