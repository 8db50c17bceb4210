# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

from ansible_runs import WAYS, Ansible, begin
from simulator.process import Simulator
from watched import Watched

LONG = ("test_any_line.py", "test_documentation.py", "test_slices.py", "test_troubled_fleet.py")
"""What is run on the newest ansible-core alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out packed modules against the other make: which way a task runs and which server it meets are independent, and a module's start is slow.

    Independent of both is which ansible-core runs it. With the variable CONTRACT_BRIEF, for all but the newest, the other make is left out altogether, and with
    it what takes long and is about the collection's own code alone.
    """
    brief = bool(os.environ.get("CONTRACT_BRIEF"))

    def wanted(item: pytest.Item) -> bool:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        other_make, packed = (
            parameters.get("make") == "other make",
            parameters.get("way") == "module",
        )
        if brief and (
            other_make
            or item.path.name in LONG
            or (packed and item.path.name == "test_fault_matrix.py")
        ):
            return False
        return not (other_make and packed)

    items[:] = [item for item in items if wanted(item)]


@pytest.fixture(scope="session")
def running_simulators() -> Iterator[dict[str, Simulator]]:
    """The API in two makes: one that does just what is documented, one under a path prefix."""
    with Simulator() as plain, Simulator(prefix="/cell/v1") as other:
        yield {"documented": plain, "other make": other}


@pytest.fixture(params=["documented", "other make"])
def make(request: pytest.FixtureRequest) -> str:
    """Which make of server the API is."""
    return request.param


@pytest.fixture
def simulator(make: str, running_simulators: dict[str, Simulator]) -> Simulator:
    """A fresh API."""
    simulator = running_simulators[make]
    begin(simulator, make)
    return simulator


@pytest.fixture
def plain_simulator(running_simulators: dict[str, Simulator]) -> Simulator:
    """A fresh API that does just what is documented, where the make of the server makes no difference."""
    simulator = running_simulators["documented"]
    simulator.reset()
    return simulator


@pytest.fixture
def plain_ansible(plain_simulator: Simulator, tmp_path: Path) -> Ansible:
    return Ansible(tmp_path, plain_simulator.url, plain_simulator.keys[0])


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Both ways of running a module."""
    return request.param


@pytest.fixture
def ansible(simulator: Simulator, tmp_path: Path) -> Ansible:
    return Ansible(tmp_path, simulator.url, simulator.keys[0])


@pytest.fixture
def watched_run(tmp_path: Path) -> Iterator[Watched]:
    """Folders of a run: ``run``, what is left behind, and ``given`` for what the test gives."""
    for name in ("run", "given"):
        (tmp_path / name).mkdir()
    # A short path, since ansible-core makes a socket there.
    with tempfile.TemporaryDirectory(prefix="plnx-") as left:
        yield Watched(tmp_path / "run", Path(left))
