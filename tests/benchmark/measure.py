# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmarks share: an environment that no setting of the user reaches, and what a command costs in it.

Nothing here, nor in the benchmarks, imports more than the standard library before it measures: a process begins with the memory of the one that starts it,
which must be the smaller one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT_STRAYS = ("ANSIBLE_", "PLANASONIX_", "PYTHON")
"""Variables of the user's environment that would change what is measured."""


@dataclass(frozen=True)
class Run:
    """What one command took.

    :param wall: Seconds.
    :param cpu: Seconds of user and system time of all its processes.
    :param memory: Bytes of its largest process at its peak. Processes that were forked share most of theirs, so the sum of all would count it several times.
    """

    wall: float
    cpu: float
    memory: int


def prepare_core(version: str, folder: Path) -> Path:
    """Make an environment with that release series of ansible-core; returns its Python. This Python must be one that it runs on."""
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    python = venv / "bin" / "python"
    requirements = [
        "-r",
        str(TESTS.parent / "meta" / "ee-requirements.txt"),
        "-r",
        str(TESTS / "simulator" / "requirements.txt"),
    ]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"ansible-core~={version}.0", *requirements], check=True)
    return python


def make_environment(folder: Path, python: Path) -> dict[str, str]:
    """The environment of what is measured: nothing of the user's settings, and no proxy before the simulator. The folder is its home."""
    collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH")
    if not collections:
        tree = folder / "collections" / "ansible_collections" / "planasonix"
        tree.mkdir(parents=True)
        (tree / "admin").symlink_to(TESTS.parent)
        collections = str(folder / "collections")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ENVIRONMENT_STRAYS) and not name.lower().endswith("_proxy")
    }
    config = folder / "ansible.cfg"
    config.write_text("[defaults]\n", encoding="utf-8")
    return {
        **environment,
        "PATH": os.pathsep.join([str(python.parent), environment.get("PATH", os.defpath)]),
        "HOME": str(folder),
        "LC_ALL": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "ANSIBLE_NOCOLOR": "true",
    }


def describe(python: Path, environment: dict[str, str]) -> str:
    """The versions of ansible-core, Python and requests."""
    code = (
        "import ansible.release, platform, requests; "
        "print(f'ansible-core {ansible.release.__version__} on Python {platform.python_version()} with requests {requests.__version__}')"
    )
    return subprocess.run(
        [str(python), "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def measure(command: list[str], environment: dict[str, str]) -> tuple[Run, str]:
    """Run a command; returns what it took and what it printed.

    :raises SystemExit: if it fails, since there is nothing to compare then.
    """
    output = Path(environment["HOME"]) / "output"
    with output.open("wb") as file:
        begin = time.perf_counter()
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        refuse(text)
    # macOS counts in bytes, Linux in units of 1024.
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(wall, usage.ru_utime + usage.ru_stime, memory), text


def play(
    command: list[str],
    environment: dict[str, str],
    hosts: int,
    tasks: int,
    changed: int | None = None,
) -> Run:
    """Run a playbook.

    :param hosts: How many hosts it has.
    :param tasks: How many tasks of each host must be ok.
    :param changed: How many of them must report a change; ``None`` is any number.
    :raises SystemExit: if it does not end like that, since it would measure something else.
    """
    run, output = measure(command, environment)
    recap = re.findall(
        r"^\S+ +: ok=(\d+) +changed=(\d+) +unreachable=0 +failed=0 ", output, re.MULTILINE
    )
    if len(recap) != hosts or not all(
        int(ok) == tasks and changed in (None, int(number)) for ok, number in recap
    ):
        refuse(output)
    return run


def refuse(output: str) -> NoReturn:
    """Leave, with what a command printed.

    :raises SystemExit: always.
    """
    sys.exit(f"{output}\nThis run did not end as expected, so there is nothing to compare.")
