# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each task does, done once in the process that Ansible forks its workers from.

A worker lives for one task. What the first template and the first exchange of a process fill (compiled patterns, Jinja's above all, caches of classes and
codecs, the interpreter's own), each worker would fill anew, which would be a good part of what a task costs. Filled before the fork, it is there.
The certificate authorities alone, at about 30 ms, would take as long as all the rest of a task.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import typing as t
from pathlib import Path

import ansible.template

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_in_worker
from ansible_collections.planasonix.admin.plugins.module_utils._tls import trusting_adapter
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import plain, trusted

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"data": {}}'


def before_fork(rehearsal: t.Callable[[], t.Any]) -> None:
    """Rehearse where tasks run in workers, which is not on macOS. One that fails costs time alone."""
    if sys.platform != "darwin":
        with contextlib.suppress(Exception):
            rehearsal()


def rehearse() -> Values:
    """Run a task that has a template and reads one object from a socket of this process; nothing leaves it, whatever proxies the environment names.

    :returns: The result, which nobody needs but a test.
    """
    if _client.REQUESTS_IMPORT_ERROR:
        return {"failed": True, "msg": "requests is missing"}
    arguments = {"api_url": "http://localhost", "api_key": rendered("{{ key }}", key="none"), "retries": 0}
    return run_in_worker(Module(exchange, {}), "rehearsal", arguments, True, True)


def rehearse_profiles() -> t.Any:
    """Read the profiles of this collection by the filter that its roles use: Ansible imports all filters of a collection to find one, and a profile is kept.

    :returns: The controls of each.
    """
    profiles = sorted(map(str, (Path(__file__).resolve().parents[2] / "roles" / "org_baseline" / "files").glob("*.yml")))
    return rendered("{{ profiles | map('planasonix.admin.baseline_controls') | list }}", profiles=profiles)


def rendered(text: str, **variables: t.Any) -> t.Any:
    """What Ansible makes of a template."""
    return plain(ansible.template.Templar(loader=None, variables=variables).template(trusted(text)))


def exchange(client: Client, dummy_options: Values) -> Values:
    """Read an object by way of everything that a real answer passes."""
    import requests
    import urllib3

    class Connection(urllib3.connection.HTTPConnection):
        """Speaks to the other end of a pair of sockets, which has answered already."""

        def connect(self) -> None:
            self.sock, self.other_end = socket.socketpair()
            self.other_end.sendall(ANSWER)

        def close(self) -> None:
            super().close()
            self.other_end.close()

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    adapter = requests.adapters.HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": Pool}
    trusting_adapter(client.session.verify)
    client.session.proxies.clear()
    client.session.mount("http://", adapter)
    return {"changed": False, "rehearsal": client.get("/api/organization", "rehearse")}
