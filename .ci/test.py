# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the checks of this collection: the sessions of noxfile.py, in three lanes, on the Pythons of this machine.

    test.py            what must be green before a change lands
    test.py --matrix   the same on every supported ansible-core
    test.py --list     the names of what the matrix has beside the gate, as JSON
    test.py NAME...    these sessions alone, their output as it comes; what follows `--` goes to them

It needs Python 3.10 or newer with pip, git, and PyPI. Everything it makes is in .nox/ and, for ansible-test's caches, in the home folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = REPOSITORY / ".nox"
LOGS = STATE / "logs"
DRIVER_PYTHONS = ("3.14", "3.13", "3.12", "3.11", "3.10")
LANES = 3
"""Sessions at a time: one more than the cores of CI, since they also wait, for packages and for whatever a test lets time out."""
HEARTBEAT = 60
"""Seconds after which a session that still runs says so."""
LIMIT = 1800
"""Seconds after which a session is taken for hung."""
EXCLUSIVE = {"sanity"}
"""Tags of which one session at a time runs: ansible-test's sanity tests share environments in the home folder."""
GROUPS = {"lint"}
"""Sessions that do nothing but ask for others, which nox lists as well."""
SUMMARY = re.compile(
    r"^=+ (.*\b(?:passed|failed|error|skipped)\b.* in .*?) =+$|^nox > result: (.*)$", re.MULTILINE
)
"""What a log says of its tests: pytest's closing lines, and what the sessions of noxfile.py count."""
CHATTER = re.compile(
    r"^ *(?:Collecting|Downloading|Found existing|Looking in|Processing|Requirement already|Using cached|Installing|Successfully|\u2501+) .*\n",
    re.MULTILINE,
)
"""Lines of pip, which stay in the log and out of the way of what failed."""

started = time.monotonic()
output_lock = threading.Lock()
running: set[subprocess.Popen[bytes]] = set()


@dataclass
class Check:
    """One nox session: what runs, and what came of it."""

    name: str
    description: str
    python: str | None
    tags: frozenset[str]
    result: str = ""
    seconds: float = 0.0
    note: str = ""

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line with the time since the start, at once."""
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    with output_lock:
        print(f"[{minutes:2d}:{seconds:02d}] {text}", flush=True, file=file)


def find_programs(path: str, pyenv_root: str | None) -> str:
    """Replace the shims of pyenv on the search path: ansible-test calls each python3.X that it finds, and a shim fails for one that is not selected.

    The real Pythons go last, since their folders hold other programs too.
    """
    folders = [Path(name) for name in path.split(os.pathsep) if name]
    roots = [folder.parent for folder in folders if folder.name == "shims"]
    roots += [Path(pyenv_root)] if pyenv_root else []
    kept = [folder for folder in folders if folder.name != "shims"]
    kept += [folder for root in roots for folder in sorted(root.glob("versions/3.*/bin"))]
    return os.pathsep.join(dict.fromkeys(map(str, kept)))


def is_writable(folder: str | None) -> bool:
    """Try it: permissions say nothing about a read-only file system, nor to root."""
    try:
        with tempfile.TemporaryFile(dir=folder or "/nonexistent"):
            return True
    except OSError:
        return False


def make_environment() -> dict[str, str]:
    """Return the environment of all sessions: this one without what would lead them astray."""
    strays = ("ANSIBLE_", "NOX", "PLANASONIX_", "PYENV_", "PYTHON")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(strays) and name not in ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    }
    environment["PATH"] = find_programs(
        os.environ.get("PATH", os.defpath), os.environ.get("PYENV_ROOT")
    )
    if not is_writable(environment.get("HOME")):
        home = STATE / "home"
        home.mkdir(parents=True, exist_ok=True)
        environment["HOME"] = str(home)
    environment["LC_ALL"] = "C.UTF-8"
    # Certificates of the system, which pip takes too; and no Python but those that are here.
    environment.setdefault("UV_SYSTEM_CERTS", "true")
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    environment["PYTHONUNBUFFERED"] = "1"
    # Whether the formatting is checked or put right.
    environment["CI"] = "false" if os.environ.get("CI") == "false" else "true"
    return environment


def works(python: str, code: str, environment: dict[str, str]) -> bool:
    """Tell whether there is such a Python and it runs the code."""
    try:
        return (
            subprocess.run(
                [python, "-c", code],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )
    except OSError:
        return False


def find_python(version: str, environment: dict[str, str]) -> str | None:
    """Return the path of this Python if it is here and runs."""
    python = shutil.which(f"python{version}", path=environment["PATH"])
    return python if python and works(python, "import ssl, venv", environment) else None


def prepare_nox(environment: dict[str, str]) -> list[str]:
    """Set up nox in an environment of its own, with the newest Python; returns the command that runs it."""
    python = next(
        filter(None, (find_python(version, environment) for version in DRIVER_PYTHONS)), None
    )
    if python is None:
        sys.exit(f"No Python of {', '.join(reversed(DRIVER_PYTHONS))} is on PATH")
    say(f"preparing nox with {python}", sys.stderr)
    venv = STATE / "ci"
    inner = str(venv / "bin" / "python")
    pip = [inner, "-m", "pip"]
    install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        str(REPOSITORY / ".ci" / "requirements.txt"),
    ]
    if works(python, "import ensurepip", environment):
        # --clear: a venv does not survive a move of the repository or an upgrade of its Python.
        subprocess.run([python, "-m", "venv", "--clear", str(venv)], env=environment, check=True)
    else:
        # Debian keeps ensurepip in a package of its own; pip itself is enough.
        subprocess.run(
            [python, "-m", "venv", "--clear", "--without-pip", str(venv)],
            env=environment,
            check=True,
        )
        pip = [python, "-m", "pip", "--python", inner]
        install.append("pip")
    subprocess.run([*pip, *install], env=environment, check=True, stdin=subprocess.DEVNULL)
    return [inner, "-m", "nox", "--noxfile", str(REPOSITORY / "noxfile.py"), "--non-interactive"]


def list_checks(nox: list[str], environment: dict[str, str], *selection: str) -> list[Check]:
    """Ask nox for its sessions."""
    answer = subprocess.run(
        [*nox, "--list", "--json", *selection], env=environment, check=True, stdout=subprocess.PIPE
    ).stdout
    sessions = [session for session in json.loads(answer) if session["session"] not in GROUPS]
    return [
        Check(
            session["session"],
            session["description"],
            session["python"] or None,
            frozenset(session["tags"]),
        )
        for session in sessions
    ]


def run_check(check: Check, nox: list[str], environment: dict[str, str]) -> None:
    """Run a session, its output into its log, and note what came of it."""
    say(f"started {check.name}")
    report = LOGS / f"{check.name}.json"
    report.unlink(missing_ok=True)
    begin = time.monotonic()
    command = [*nox, "--report", str(report), "--session", check.name]
    with (
        check.log.open("wb") as log,
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        running.add(process)
        status = None
        while status is None and time.monotonic() - begin < LIMIT:
            try:
                status = process.wait(HEARTBEAT)
            except subprocess.TimeoutExpired:
                say(f"   ... {check.name} runs for {time.monotonic() - begin:.0f} s")
        if status is None:
            stop(process)
            check.note = f"no end after {LIMIT} s"
        running.discard(process)
    check.seconds = time.monotonic() - begin
    # nox exits with 0 for a session that it skipped, so its report counts.
    results = (
        {
            session["result"]
            for session in json.loads(report.read_text(encoding="utf-8"))["sessions"]
        }
        if status == 0
        else set()
    )
    check.result = "passed" if results == {"success"} else "failed"
    text = check.log.read_text(encoding="utf-8", errors="replace")
    check.note = check.note or "; ".join(
        filter(None, (part for match in SUMMARY.finditer(text) for part in match.groups()))
    )
    if check.result == "failed":
        with output_lock:
            print(
                f"\n----- {check.name}, from {check.log.relative_to(REPOSITORY)}\n{CHATTER.sub('', text)}\n----- end of {check.name}\n",
                flush=True,
            )
    say(
        f"{check.result.upper() if check.result == 'failed' else check.result}  {check.name}  {check.seconds:.0f} s{'  ' + check.note if check.note else ''}"
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a session and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def run_lanes(checks: list[Check], nox: list[str], environment: dict[str, str]) -> None:
    """Run the checks in their order, so many at a time; those that exclude each other begin at once, they take the longest."""
    pending = sorted(checks, key=lambda check: not check.tags & EXCLUSIVE)
    busy: list[Check] = []
    lock = threading.Lock()

    def take() -> Check | None:
        """Return the next check that may run beside what runs. A lane that finds none ends; those left are for the lane that they wait for."""
        with lock:
            taken = {tag for check in busy for tag in check.tags & EXCLUSIVE}
            for check in pending:
                if not check.tags & taken:
                    pending.remove(check)
                    busy.append(check)
                    return check
            return None

    def lane() -> None:
        while check := take():
            try:
                run_check(check, nox, environment)
            finally:
                with lock:
                    busy.remove(check)

    lanes = [threading.Thread(target=lane, daemon=True) for _number in range(LANES)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()


def run_all(nox: list[str], environment: dict[str, str], matrix: bool) -> int:
    """Run the gate, or the whole matrix; returns the exit status."""
    environment = {**environment, "CI": "true"}
    checks = list_checks(nox, environment)
    if matrix:
        known = {check.name for check in checks}
        checks += [
            check
            for check in list_checks(nox, environment, "--tags", "matrix")
            if check.name not in known
        ]
    for check in checks:
        if check.python and not find_python(check.python, environment):
            wanted = check.description.rpartition("(")[2].rstrip(").")
            check.result, check.note = "skipped", f"no {wanted} on this machine"
            say(f"skipped  {check.name}  {check.note}")
    runnable = [check for check in checks if not check.result]
    run_lanes(runnable, nox, environment)

    width = max(len(check.name) for check in checks)
    print(f"\n{'check':{width}}  result   seconds")
    for check in checks:
        check.result = check.result or "failed"
        print(
            f"{check.name:{width}}  {check.result:7}  {check.seconds:7.0f}  {check.note}".rstrip()
        )
    if matrix:
        print_grid(checks)
    count = {
        result: sum(check.result == result for check in checks)
        for result in ("passed", "failed", "skipped")
    }
    on_cores = any(check.result != "skipped" for check in checks if "core" in check.tags)
    if not on_cores:
        print(
            "\nNothing ran on any ansible-core: none of the Pythons that they need is on this machine."
        )
    print(
        f"\n{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped",
        flush=True,
    )
    return 0 if on_cores and count["passed"] and not count["failed"] else 1


def print_grid(checks: list[Check]) -> None:
    """Print the checks by version of ansible-core: what came of each, and its seconds."""
    cells: dict[str, dict[str, str]] = {}
    for check in checks:
        name, _dash, version = check.name.rpartition("-")
        if re.fullmatch(r"\d+\.\d+", version):
            cells.setdefault(name, {})[version] = (
                check.result
                if check.result == "skipped"
                else f"{check.result} {check.seconds:.0f} s"
            )
    versions = sorted(
        {version for row in cells.values() for version in row},
        key=lambda version: [int(part) for part in version.split(".")],
    )
    title = "check x ansible-core"
    width = max(map(len, [title, *cells]))
    print(f"\n{title:{width}}" + "".join(f"{version:>14}" for version in versions))
    for name, row in cells.items():
        print(f"{name:{width}}" + "".join(f"{row.get(version, '-'):>14}" for version in versions))


def terminate(number: int, _frame: object) -> None:
    """Leave by way of the clean-up below."""
    sys.exit(128 + number)


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; returns the exit status."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    os.chdir(REPOSITORY)
    LOGS.mkdir(parents=True, exist_ok=True)
    environment = make_environment()
    nox = prepare_nox(environment)
    if arguments == ["--list"]:
        gate = {check.name for check in list_checks(nox, environment)}
        print(
            json.dumps(
                [
                    check.name
                    for check in list_checks(nox, environment, "--tags", "matrix")
                    if check.name not in gate
                ]
            )
        )
        return 0
    if arguments and arguments != ["--matrix"]:
        return subprocess.run(
            [*nox, "--error-on-missing-interpreters", "--session", *arguments],
            env=environment,
            check=False,
        ).returncode
    return run_all(nox, environment, matrix=bool(arguments))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for left in list(running):
            stop(left)
