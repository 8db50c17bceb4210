# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what the audit of an organization costs, done in four ways, beside what Ansible itself takes.

The audit is the profile foundation: 18 controls, for which each way sends the same ten GETs in the same order. The ways are in the folder audit:
  uri       a task of ansible.builtin.uri for each GET, and a task that evaluates
  modules   a task of planasonix_info for each resource, and the same task that evaluates
  baseline  one task of planasonix_baseline in check mode
  script    a bare script with requests
  debug     what Ansible itself takes for a task that has nothing to do

That all send the same and find the same is proved before anything is measured. The script works on as many organizations at a time, in threads, as Ansible has
forks, and over one connection for each, as planasonix_baseline does: one after the other it would do nothing while an answer is on its way, and its wall time
would say how many forks Ansible has. uri and modules, which are slow, are measured with few organizations alone: the smallest number, if it is at most 20.

What is measured is the whole command, with its start and the parsing of its inventory, divided by the organizations. CPU is user and system time of all
processes of the command. Memory is that of its largest process: forked ones share most of theirs. In each round all ways run one after the other, so that
whatever else the machine does hits all alike; ratios are of one round, and of several rounds the median counts. The simulator runs in processes of its own, the
CPU time of which counts for nobody.

It needs Linux or macOS, and Python with ansible-core, requests and the simulator's requirements; with --core it makes such an environment itself.
Measures the collection that ANSIBLE_COLLECTIONS_PATH holds, otherwise this checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.measure import (
    TESTS,
    Run,
    describe,
    make_environment,
    measure,
    play,
    prepare_core,
    refuse,
)
from benchmark.report import Measurements, print_report, write_guide
from simulator.process import Simulator

AUDIT = TESTS / "benchmark" / "audit"
PROFILE = Path("roles", "org_baseline", "files", "foundation.yml")
GUIDE = TESTS.parent / "docs" / "docsite" / "rst" / "guide_costs.rst"
TASKS = {"uri": 11, "modules": 9, "baseline": 1, "debug": 1}
"""The playbooks, and how many tasks of a host must be ok."""
SLOW = ("uri", "modules")
MOST_FOR_SLOW = 20
"""Organizations."""
QUICK_SIZES = (3, 10, 30)
COMPARED = 3
"""Organizations that all ways audit before anything is measured."""


@dataclass(frozen=True)
class Setting:
    """One situation in which all ways are measured: so many organizations, an API that takes so many milliseconds for each answer, so many rounds."""

    size: int
    latency: int
    rounds: int


def main() -> int:
    """Measure and print; returns the exit status."""
    arguments = parse_arguments()
    sizes = sorted(set(arguments.sizes))
    settings = [
        Setting(size, latency, arguments.rounds or usual_rounds(size, latency))
        for latency in arguments.latencies
        for size in sizes
    ]
    with tempfile.TemporaryDirectory(prefix="planasonix-benchmark-") as name, ExitStack() as stack:
        folder = Path(name).resolve()
        python = prepare_core(arguments.core, folder) if arguments.core else Path(sys.executable)
        bench = Bench(folder, python, arguments.forks)
        compare(bench)
        servers = {
            latency: stack.enter_context(
                Simulator(
                    sizes[-1],
                    latency_ms=latency,
                    workers=arguments.workers,
                    python=str(python),
                    idle_exit=3600,
                )
            )
            for latency in arguments.latencies
        }
        title = f"{describe(python, bench.environment)}; {os.cpu_count()} CPUs, {arguments.forks} forks, {arguments.workers} workers of the simulator"
        print(title, flush=True)
        found = Measurements(title, command_line(), {})
        bench.run(
            "debug", 1, servers[arguments.latencies[0]]
        )  # the first start of all reads files that are cached from then on
        found.start = [
            bench.run("debug", 1, servers[arguments.latencies[0]]) for _number in range(3)
        ]
        for number in range(max(setting.rounds for setting in settings)):
            for setting in settings:
                if number < setting.rounds:
                    measured = bench.round(
                        setting,
                        servers[setting.latency],
                        with_slow=setting.size == sizes[0] <= MOST_FOR_SLOW,
                    )
                    found.rounds.setdefault((setting.size, setting.latency), []).append(measured)
    print_report(found)
    if arguments.write:
        write_guide(found, GUIDE)
    return 0


def parse_arguments() -> argparse.Namespace:
    def positive(text: str) -> int:
        number = int(text)
        if number < 1:
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return number

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        type=positive,
        nargs="+",
        default=[20, 200, 1000],
        metavar="N",
        help="numbers of organizations (default: 20 200 1000)",
    )
    parser.add_argument(
        "--latencies",
        type=int,
        nargs="+",
        default=[0, 50],
        metavar="MS",
        help="milliseconds before each answer (default: 0 50)",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        metavar="N",
        help="rounds, of which the median counts (default: 3, or 1 where that takes long)",
    )
    parser.add_argument(
        "--forks",
        type=positive,
        default=5,
        metavar="N",
        help="forks of Ansible and threads of the script (default: 5, as Ansible's)",
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=4,
        metavar="N",
        help="processes of the simulator (default: %(default)s)",
    )
    parser.add_argument(
        "--core",
        metavar="X.Y",
        help="release series of ansible-core to install and measure (default: the one of this Python)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"one round with {', '.join(map(str, QUICK_SIZES))} organizations, to see that it works",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write table and plot into {GUIDE.relative_to(TESTS.parent)}",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.rounds = list(QUICK_SIZES), 1
    return arguments


def usual_rounds(size: int, latency: int) -> int:
    """How often a setting is measured; where most of the time is spent waiting, it differs little from round to round."""
    return 1 if size * latency > 20_000 else 3


def command_line() -> str:
    """The command that this run can be repeated by."""
    options = shlex.join(["organizations", *sys.argv[1:]])
    return f'make bench ARGS="{options}"'


class Bench:
    """The files and the environment in which all ways run.

    :param folder: Where the files go.
    :param python: With ansible-core and requests.
    :param forks: Organizations that are audited at a time.
    """

    def __init__(self, folder: Path, python: Path, forks: int) -> None:
        self.folder = folder
        self.python = python
        self.forks = forks
        self.environment = {**make_environment(folder, python), "ANSIBLE_FORKS": str(forks)}
        self.profile = str(
            Path(self.environment["ANSIBLE_COLLECTIONS_PATH"])
            / "ansible_collections"
            / "planasonix"
            / "admin"
            / PROFILE
        )

    def command(self, way: str, size: int, simulator: Simulator) -> list[str]:
        """The command that audits the first organizations of a simulator, with the inventory that it needs written."""
        keys = dict(list(zip(simulator.slugs, simulator.keys, strict=True))[:size])
        if way == "script":
            listed = self.folder / f"organizations-{size}.json"
            listed.write_text(json.dumps(keys), encoding="utf-8")
            return [
                str(self.python),
                str(AUDIT / "script.py"),
                str(listed),
                simulator.url,
                str(self.forks),
            ]
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "planasonix_api_url": simulator.url,
        }
        inventory = self.folder / f"inventory-{size}-{simulator.port}.json"
        hosts = {slug: {"planasonix_api_key": key} for slug, key in keys.items()}
        inventory.write_text(
            json.dumps({"organizations": {"hosts": hosts, "vars": variables}}), encoding="utf-8"
        )
        extra = ["-e", json.dumps({"profile": self.profile})] if way == "baseline" else []
        return [
            str(self.python),
            "-m",
            "ansible",
            "playbook",
            "-i",
            str(inventory),
            *extra,
            str(AUDIT / f"{way}.yml"),
        ]

    def run(self, way: str, size: int, simulator: Simulator) -> Run:
        """Audit so many organizations in one way."""
        command = self.command(way, size, simulator)
        if way != "script":
            return play(command, self.environment, size, TASKS[way])
        run, output = measure(command, self.environment)
        if len(output.splitlines()) != size:
            refuse(output)
        return run

    def round(self, setting: Setting, simulator: Simulator, with_slow: bool) -> dict[str, Run]:
        """Run each way once."""
        ways = [*(SLOW if with_slow else ()), "baseline", "script", "debug"]
        runs = {way: self.run(way, setting.size, simulator) for way in ways}
        shown = ", ".join(
            f"{way} {run.wall:.2f} s wall {run.cpu:.2f} s CPU" for way, run in runs.items()
        )
        print(f"   {setting.size} organizations, {setting.latency} ms: {shown}", flush=True)
        return runs


def compare(bench: Bench) -> None:
    """Prove that all ways send the same requests for each organization, and find that it fails the same controls.

    :raises SystemExit: if they do not.
    """
    found: dict[str, object] = {}
    sent: dict[str, object] = {}
    with Simulator(COMPARED, python=str(bench.python)) as simulator:
        for way in (*SLOW, "baseline", "script"):
            simulator.clear_log()
            command = bench.command(way, COMPARED, simulator)
            dummy_run, output = measure(
                command if way == "script" else [*command, "-v"], bench.environment
            )
            found[way] = {slug: failed_controls(way, slug, output) for slug in simulator.slugs}
            log = simulator.log()
            sent[way] = {
                slug: [
                    (row["method"], row["path"], row["query"])
                    for row in log
                    if row["organization"] == slug
                ]
                for slug in simulator.slugs
            }
    for what, by_way in (("requests", sent), ("failed controls", found)):
        for way, value in by_way.items():
            if value != by_way["script"]:
                sys.exit(f"{way} and script differ in their {what}:\n{value}\n{by_way['script']}")


def failed_controls(way: str, slug: str, output: str) -> list[str]:
    """The controls that an organization fails, as the output of a way says."""
    if way == "script":
        line = re.search(rf"^{slug}: (.*)$", output, re.MULTILINE)
        return sorted(line[1].split()) if line else refuse(output)
    # With -v each result is on one line; the last of a host is that of the evaluation.
    results = re.findall(rf"^(?:ok|changed): \[{slug}\] => (\{{.*\}})$", output, re.MULTILINE)
    if not results:
        refuse(output)
    result = json.loads(results[-1])
    if way == "baseline":
        return sorted(
            control["id"]
            for control in result["controls"]
            if control["status"] in ("fail", "error")
        )
    return sorted(
        name for name, met in result["ansible_facts"]["audit"].items() if str(met) != "True"
    )


if __name__ == "__main__":
    sys.exit(main())
