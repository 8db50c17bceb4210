# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the package lies in tests/simulator

from simulator.process import Simulator  # pylint: disable=wrong-import-position


class Client:
    """Calls the API of a simulator with the key of one organization."""

    def __init__(self, simulator: Simulator, key: str | None = None) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False  # neither proxies nor .netrc
        self.key = key or simulator.keys[0]

    def __call__(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers.update(options.pop("headers", {}))
        return self.session.request(
            method,
            self.simulator.url + path,
            json=body,
            headers=headers,
            timeout=options.pop("timeout", 10),
            **options,
        )

    def data(self, method: str, path: str, body: Any = None) -> Any:
        """Call, insist on success, return what is under `data`."""
        response = self(method, path, body)
        assert response.ok, response.text
        return response.json()["data"]


class Shared:
    """The one simulator for all tests in this folder."""

    simulator: Simulator | None = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start the simulator before the first test: ansible-test forks for each one, where a session fixture would start it anew."""
    folder = Path(__file__).parent
    if not config.option.collectonly and any(folder in item.path.parents for item in items):
        Shared.simulator = Simulator()
        Shared.simulator.start()


def pytest_sessionfinish() -> None:
    if Shared.simulator:
        Shared.simulator.stop()
        Shared.simulator = None


@pytest.fixture(name="running_simulator")
def running_simulator_fixture() -> Iterator[Simulator]:
    """The simulator as the test before left it."""
    assert Shared.simulator
    yield Shared.simulator
    assert Shared.simulator.errors() == ""


@pytest.fixture(name="simulator")
def simulator_fixture(running_simulator: Simulator) -> Simulator:
    """A simulator with three fresh organizations."""
    running_simulator.reset(3)
    return running_simulator


@pytest.fixture(name="call")
def call_fixture(simulator: Simulator) -> Iterator[Client]:
    """A client with the admin key of the first organization."""
    client = Client(simulator)
    yield client
    client.session.close()


@pytest.fixture(name="client_of")
def client_of_fixture(simulator: Simulator) -> Iterator[Any]:
    """Makes clients with a given key."""
    clients: list[Client] = []

    def make(key: str) -> Client:
        clients.append(Client(simulator, key))
        return clients[-1]

    yield make
    for client in clients:
        client.session.close()
