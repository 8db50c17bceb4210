# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what tasks of this collection cost, beside as many of debug: 20 hosts, 10 tasks each, with Ansible's defaults.

Runs alternate, so that whatever else the machine does hits all kinds alike. The simulator is a process of its own; its CPU time is not counted in theirs.
It needs Linux or macOS, and Python with ansible-core, requests and the simulator's requirements; with --core it makes such an environment itself.
Measures the collection that ANSIBLE_COLLECTIONS_PATH holds, otherwise this checkout.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.measure import TESTS, Run, describe, make_environment, play, prepare_core
from simulator.process import Simulator

HOSTS = 20
TASKS = 10
DEBUG, WORKER, MODULES = "debug", "in the worker", "as modules"


def main() -> int:
    """Measure and print; returns the exit status."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="planasonix-benchmark-") as name:
        folder = Path(name).resolve()
        python = prepare_core(arguments.core, folder) if arguments.core else Path(sys.executable)
        environment = make_environment(folder, python)
        simulator = Simulator(HOSTS, python=str(python), idle_exit=600)
        with simulator:
            playbooks = write_playbooks(folder, simulator)
            ansible = [
                str(python),
                "-m",
                "ansible",
                "playbook",
                "-i",
                str(folder / "inventory.json"),
            ]
            print(
                f"{describe(python, environment)}; {HOSTS} hosts, {TASKS} tasks each; collection of {environment['ANSIBLE_COLLECTIONS_PATH']}",
                flush=True,
            )
            play([*ansible, str(playbooks[WORKER])], environment, HOSTS, TASKS)
            rounds = [
                measure_round(ansible, playbooks, environment, number < arguments.packed)
                for number in range(arguments.repetitions)
            ]
            before = children_cpu()
        # The simulator was waited for just now, so its time is what was added.
        print_table(rounds)
        print(
            f"\nThe simulator took {children_cpu() - before:.1f} s of CPU in all, which is not counted above."
        )
    return 0


def parse_arguments() -> argparse.Namespace:
    def count(text: str) -> int:
        number = int(text)
        if number < 0:
            raise argparse.ArgumentTypeError(f"{text} is negative")
        return number

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repetitions",
        type=count,
        default=5,
        metavar="N",
        help="rounds, of which the median counts (default: %(default)s)",
    )
    parser.add_argument(
        "--packed",
        type=count,
        default=1,
        metavar="N",
        help="rounds that run the tasks as modules too, which is slow (default: %(default)s)",
    )
    parser.add_argument(
        "--core",
        metavar="X.Y",
        help="release series of ansible-core to install and measure (default: the one of this Python)",
    )
    arguments = parser.parse_args()
    if arguments.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    return arguments


def write_playbooks(folder: Path, simulator: Simulator) -> dict[str, Path]:
    """Write the inventory, one host for each organization, and a playbook for each kind; returns the playbooks."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    hosts = {
        slug: {"planasonix_api_key": key}
        for slug, key in zip(simulator.slugs, simulator.keys, strict=True)
    }
    (folder / "inventory.json").write_text(
        json.dumps({"organizations": {"hosts": hosts, "vars": variables}}), encoding="utf-8"
    )
    defaults = {
        "group/planasonix.admin.planasonix": {
            "api_url": simulator.url,
            "api_key": "{{ planasonix_api_key }}",
        }
    }
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_tasks": str(TESTS / "benchmark" / "tasks.yml")}
    ]
    plays: dict[str, dict[str, Any]] = {
        DEBUG: {
            "tasks": [
                {
                    "name": f"Task {number}",
                    "ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"},
                }
                for number in range(TASKS)
            ]
        },
        WORKER: {"module_defaults": defaults, "tasks": tasks},
        MODULES: {
            "module_defaults": defaults,
            "tasks": tasks,
            "environment": {"PLANASONIX_BENCHMARK": "1"},
        },
    }
    playbooks = {}
    for kind, play_ in plays.items():
        playbooks[kind] = folder / f"{kind.replace(' ', '-')}.json"
        playbooks[kind].write_text(
            json.dumps([{"name": kind, "hosts": "organizations", "gather_facts": False, **play_}]),
            encoding="utf-8",
        )
    return playbooks


def measure_round(
    ansible: list[str], playbooks: dict[str, Path], environment: dict[str, str], packed: bool
) -> dict[str, Run]:
    """Run each kind once."""
    kinds = [DEBUG, WORKER, *([MODULES] if packed else [])]
    runs = {
        kind: play([*ansible, str(playbooks[kind])], environment, HOSTS, TASKS, changed=0)
        for kind in kinds
    }
    print(
        "   "
        + ",  ".join(
            f"{kind}: {run.wall:.2f} s wall, {run.cpu:.2f} s CPU" for kind, run in runs.items()
        ),
        flush=True,
    )
    return runs


def children_cpu() -> float:
    """Seconds of CPU of all processes that were waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def print_table(rounds: list[dict[str, Run]]) -> None:
    """Print medians, and the median of each round's ratio to debug."""
    print(
        f"\n{'median of':14} {'rounds':>6} {'wall s':>8} {'CPU s':>8} {'CPU ms per task':>16} {'wall / debug':>13} {'CPU / debug':>12}"
    )
    for kind in (DEBUG, WORKER, MODULES):
        pairs = [(one[kind], one[DEBUG]) for one in rounds if kind in one]
        if not pairs:
            continue
        wall, cpu = (
            statistics.median(run.wall for run, _debug in pairs),
            statistics.median(run.cpu for run, _debug in pairs),
        )
        walls, cpus = (
            statistics.median(run.wall / debug.wall for run, debug in pairs),
            statistics.median(run.cpu / debug.cpu for run, debug in pairs),
        )
        print(
            f"{kind:14} {len(pairs):6} {wall:8.2f} {cpu:8.2f} {1000 * cpu / HOSTS / TASKS:16.1f} {walls:13.2f} {cpus:12.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
