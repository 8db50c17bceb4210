# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the ``main()`` of modules as a target host does, each in a process of its own, but without the second that packing and a new Python take.

A process can be spoiled at any line of the collection: killed by the kernel, without a byte of room left on its disk, or with an exception.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ansible.module_utils import basic

sys.path += [
    path
    for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(os.pathsep)
    if path and path not in sys.path
]

COLLECTION = "ansible_collections.planasonix.admin.plugins"
PARALLEL = 20
"""Processes at a time. Most of their time they wait for another attempt."""

Spoil = Callable[[], None]


@dataclass(frozen=True)
class Job:
    """One run of a module.

    :param module: Name without the prefix, such as ``settings``.
    :param begin: What is done to the process before the module begins.
    :param spoil: What is done to the process when it reaches its line number :attr:`line`.
    :param line: Counts the lines of :attr:`watched` as they are executed, from 1 on.
    :param watched: Names of functions in ``module_utils`` whose lines count; ``*`` stands for all that ``run`` calls.
    """

    module: str
    arguments: Mapping[str, Any]
    check_mode: bool = False
    begin: Spoil | None = None
    spoil: Spoil | None = None
    line: int = 0
    watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """What a process left.

    :param result: What the module printed, ``None`` if it is no result.
    :param status: Exit status, negative for a signal.
    :param output: All that it printed.
    :param lines: How many of the watched lines it executed.
    :param place: File and number of the line at which it was spoiled.
    """

    result: dict[str, Any] | None
    status: int | None
    output: str
    lines: int
    place: str


def kill() -> None:
    """End this process at once, as the kernel does it: no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """Let each write to a file fail from now on, as on a full disk: the file is made, and takes no byte."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def free_disk() -> None:
    """Let files be written again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def run_modules(jobs: Iterable[Job], parallel: int = PARALLEL) -> list[Ended]:
    """Run jobs, some at a time; returns what they left, in their order."""
    # The modules are imported here, once, as in the process that Ansible forks from.
    jobs = list(jobs)
    for name in sorted({job.module for job in jobs}):
        importlib.import_module(f"{COLLECTION}.modules.planasonix_{name}")
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="planasonix-modules-") as folder:
        outputs = [Path(folder, str(number)) for number in range(len(jobs))]
        waiting = list(zip(jobs, outputs, strict=True))[::-1]
        running: dict[int, Any] = {}
        statuses: dict[str, int | None] = {}
        while waiting or running:
            while waiting and len(running) < parallel:
                job, output = waiting.pop()
                process = context.Process(
                    target=run_here, args=(job, str(output)), name=str(output)
                )
                process.start()
                running[process.sentinel] = process
            ready = multiprocessing.connection.wait(running)
            for process in [process for sentinel, process in running.items() if sentinel in ready]:
                del running[process.sentinel]
                process.join()
                statuses[process.name] = process.exitcode
        return [ended(output, statuses[str(output)]) for output in outputs]


def ended(output: Path, status: int | None) -> Ended:
    """What is known of a process that is over."""
    text = output.read_text(encoding="utf-8") if output.exists() else ""
    try:
        result = json.loads(text)
    except ValueError:
        result = None
    lines, _space, place = output.with_suffix(".lines").read_text(encoding="utf-8").partition(" ")
    return Ended(result, status, text, int(lines or 0), place)


def run_here(job: Job, output: str) -> None:
    """Run a module in this process, which is a child for it alone."""
    handle = os.open(output, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.stdout = sys.stderr = os.fdopen(
        handle, "w", encoding="utf-8"
    )  # where pytest captures, these are none of the two
    parameters = {
        "_ansible_check_mode": job.check_mode,
        "_ansible_remote_tmp": os.environ.get("TMPDIR", "/tmp"),
        "_ansible_keep_remote_files": False,
    }
    basic._ANSIBLE_ARGS = json.dumps(
        {"ANSIBLE_MODULE_ARGS": {**job.arguments, **parameters}}
    ).encode()
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    module = importlib.import_module(f"{COLLECTION}.modules.planasonix_{job.module}")
    counter = os.open(
        f"{output}.lines", os.O_WRONLY | os.O_CREAT
    )  # before the process may lose the right to
    if job.begin:
        job.begin()
    watch = Watch(job) if job.watched else None
    try:
        module.main()
    finally:
        sys.settrace(None)
        free_disk()  # the result goes to a pipe, which takes it on a full disk, too
        os.write(counter, f"{watch.lines} {watch.place}".encode() if watch else b"0")
        sys.stdout.flush()


class Watch:
    """Counts the lines that are executed in some functions, and spoils the process at one of them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lines = 0
        self.place = ""
        self.running: FrameType | None = None
        sys.settrace(self.call)

    def call(self, frame: FrameType, dummy_event: str, dummy_argument: Any) -> Any:
        """Trace the functions of the collection alone."""
        code = frame.f_code
        if "planasonix/admin/plugins/module_utils/" not in code.co_filename:
            return None
        if code.co_name == "failure":
            return None  # it tells of another exception, and has no way to tell of one of its own
        if code.co_name == "run":
            self.running = frame
            return self.end
        return (
            self.step
            if code.co_name in self.job.watched or ("*" in self.job.watched and self.running)
            else None
        )

    def end(self, dummy_frame: FrameType, event: str, dummy_argument: Any) -> Any:
        """Note the end of ``run``."""
        if event == "return":
            self.running = None
        return self.end

    def step(self, frame: FrameType, event: str, dummy_argument: Any) -> Any:
        """Count a line."""
        if event == "line":
            self.lines += 1
            if self.lines == self.job.line and self.job.spoil:
                self.place = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                self.job.spoil()
        return self.step
