# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit a large fleet some of which is in trouble, by the playbook planasonix.admin.audit with all its reports, and show that the audit ends with all of them.

Of the organizations one in a hundred has a dead key, one answers each request with 429 and asks for an hour of patience, and one never answers. What each of
the last two may take is bounded: (retries + 1) x timeout and the pauses between, or the retry budget. The bound that is printed is what all of them take
together, as many at a time as Ansible has forks, after the time of a fleet of the same size that is well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.measure import describe, make_environment
from simulator.process import Simulator

BOUNDS = {"planasonix_timeout": 5, "planasonix_retries": 2, "planasonix_retry_budget": 10}
EACH = (
    BOUNDS["planasonix_timeout"] * (BOUNDS["planasonix_retries"] + 1)
    + BOUNDS["planasonix_retry_budget"]
)
"""Seconds that an organization in trouble may take at the most."""
KINDS = ("well", "dead key", "429", "no answer")


def main() -> int:
    """Run and print; returns the exit status: 0 if all organizations are in the report, each as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--organizations",
        type=int,
        default=1000,
        metavar="N",
        help="how many there are, at least 100 (default: %(default)s)",
    )
    parser.add_argument(
        "--forks", type=int, default=10, metavar="N", help="Ansible's forks (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.organizations < 100 or arguments.forks < 1:
        parser.error("it takes at least 100 organizations and one fork")
    with tempfile.TemporaryDirectory(prefix="planasonix-benchmark-") as name:
        folder = Path(name).resolve()
        environment = make_environment(folder, Path(sys.executable))
        print(
            f"{describe(Path(sys.executable), environment)}; {arguments.organizations} organizations, {os.cpu_count()} CPUs, {arguments.forks} forks",
            flush=True,
        )
        well, _found = audit(folder, environment, arguments.organizations, arguments.forks, [])
        print(f"   all well: {well:.0f} s", flush=True)
        took, found = audit(
            folder, environment, arguments.organizations, arguments.forks, KINDS[1:]
        )
    troubled = arguments.organizations // 100
    bound = well + EACH * -(-2 * troubled // arguments.forks)
    print(
        f"   with {troubled} of each kind of trouble: {took:.0f} s, where {bound:.0f} s is the bound"
    )
    wanted = Counter(dict.fromkeys(KINDS[1:], troubled)) + Counter(
        well=arguments.organizations - 3 * troubled
    )
    print(f"   in the report: {', '.join(f'{found[kind]} {kind}' for kind in KINDS)}")
    return 0 if found == wanted and took <= bound else 1


def audit(
    folder: Path,
    environment: dict[str, str],
    count: int,
    forks: int,
    troubles: list[str] | tuple[str, ...],
) -> tuple[float, Counter[str]]:
    """Audit a fleet; returns the seconds it took, and how many organizations of each kind the report tells of.

    :param troubles: Kinds of trouble; the first organizations of each hundred have one each.
    """
    with Simulator(count, idle_exit=3600) as simulator:
        hosts = {
            slug: {"planasonix_api_key": key}
            for slug, key in zip(simulator.slugs, simulator.keys, strict=True)
        }
        kinds = dict.fromkeys(hosts, KINDS[0])
        for offset, kind in enumerate(troubles):
            for slug in list(hosts)[offset::100]:
                kinds[slug] = kind
                if kind == "dead key":
                    hosts[slug]["planasonix_api_key"] = "plnx_live_dead"
                elif kind == "429":
                    simulator.fault(
                        "status",
                        organization=slug,
                        status=429,
                        retry_after="seconds",
                        seconds=3600,
                        times=None,
                    )
                else:
                    simulator.fault(
                        "stall",
                        organization=slug,
                        seconds=BOUNDS["planasonix_timeout"] + 1,
                        times=None,
                    )
        variables = {
            "planasonix_api_url": simulator.url,
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            **BOUNDS,
        }
        inventory = folder / "inventory.json"
        inventory.write_text(
            json.dumps({"organizations": {"hosts": hosts, "vars": variables}}), encoding="utf-8"
        )
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "--forks",
            str(forks),
            "-i",
            str(inventory),
            "planasonix.admin.audit",
        ]
        begin = time.perf_counter()
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - begin
    # Organizations that are new do not comply, which the verdict says.
    if done.returncode != 2:
        sys.exit(f"{done.stdout}{done.stderr}\nThe audit did not end as an audit does.")
    report = json.loads(
        (folder / "planasonix-audit" / "planasonix-audit.json").read_text(encoding="utf-8")
    )
    return took, Counter(
        told(organization, kinds[organization["name"]]) for organization in report["organizations"]
    )


def told(organization: dict[str, object], kind: str) -> str:
    """The kind of an organization, if the report tells of it what is so."""
    words = {
        "well": "",
        "dead key": "answered 401",
        "429": "answered 429",
        "no answer": "gave no whole answer",
    }[kind]
    controls = organization["controls"]
    assert isinstance(controls, list)
    errors = [control["detail"] for control in controls if control["status"] == "error"]
    right = (
        not errors
        if kind == "well"
        else len(errors) == len(controls) and all(words in error for error in errors)
    )
    return kind if right else "told wrongly"


if __name__ == "__main__":
    sys.exit(main())
