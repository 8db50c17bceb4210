# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each task does, done before in the process that Ansible forks its workers from.

A worker lives for one task. What the first template and the first exchange of a process fill (compiled patterns, Jinja's above all, caches of classes and
codecs, the interpreter's own), each worker would fill anew, which would be a good part of what a task costs. Filled before the fork, it is there.
The certificate authorities alone, at about 30 ms, would take as long as all the rest of a task.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import socket
import sys
import typing as t
import warnings
from dataclasses import replace
from pathlib import Path

import ansible.template

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_in_worker
from ansible_collections.planasonix.admin.plugins.module_utils._tls import trusting_adapter
from ansible_collections.planasonix.admin.plugins.module_utils._transport import (
    TimedAdapter,
    timed_pool,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import plain, trusted

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{"data": {}}'

TIMES = 3
"""As often as Python must have run code before it has made itself a faster form of it."""


def before_fork(rehearsal: t.Callable[[], t.Any]) -> None:
    """Rehearse where tasks run in workers, which is not on macOS. One that fails costs time alone."""
    if sys.platform != "darwin":
        # The client may change which warnings are shown, for the life of its process.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            rehearsal()
        # What there is now stays. The garbage collector would write to all of it again and again, and what is written to is not shared with workers any more.
        gc.freeze()


def rehearse() -> Values:
    """Run a task that has a template and reads one object; nothing leaves this process, whatever proxies the environment names.

    :returns: The result, which nobody needs but a test.
    """
    if _client.REQUESTS_IMPORT_ERROR:
        return {"failed": True, "msg": "requests is missing"}
    with contextlib.suppress(
        Exception
    ):  # private to ansible-core since 2.21: how it reads results, which each worker would find out anew
        importlib.import_module(
            "ansible._internal._task"
        ).UnifiedTaskResult.from_action_result_dict({})
    key = rendered("{{ key }}", key="none")
    return rehearse_module(
        Module(
            lambda client, dummy_options: {
                "rehearsal": client.get("/api/organization", "rehearse")
            },
            {},
        ),
        {"api_key": key},
    )


def rehearse_baseline(module: Module) -> Values:
    """Read the profiles of this collection by the filter that its roles use, and audit an organization that answers nothing of use.

    Ansible imports all filters of a collection to find one. A profile that was read is kept.

    :returns: The result, which nobody needs but a test.
    """
    profiles = sorted(
        map(
            str,
            (Path(__file__).resolve().parents[2] / "roles" / "org_baseline" / "files").glob(
                "*.yml"
            ),
        )
    )
    *dummy_others, controls = rendered(
        "{{ profiles | map('planasonix.admin.baseline_controls', as_text=true) | list }}",
        profiles=profiles,
    )
    return rehearse_module(module, {"api_key": "none", "controls": controls})


def rehearse_module(module: Module, arguments: Values) -> Values:
    """Run a module in check mode, before an API that has an empty object for everything."""
    manages = module.manages
    if isinstance(manages, Resource):
        resource = manages
        offline_module = replace(
            module,
            manages=replace(
                resource, read=lambda client, options: resource.read(offline(client), options)
            ),
        )
    else:
        function = manages
        offline_module = replace(
            module, manages=lambda client, options: function(offline(client), options)
        )
    results = [
        run_in_worker(
            offline_module,
            "rehearsal",
            {**arguments, "api_url": "http://localhost", "retries": 0},
            True,
            True,
        )
        for _time in range(TIMES)
    ]
    return results[-1]


def rendered(text: str, **variables: t.Any) -> t.Any:
    """What Ansible makes of a template."""
    return plain(ansible.template.Templar(loader=None, variables=variables).template(trusted(text)))


def offline(client: Client) -> Client:
    """The client, whose requests are answered by this process. An answer passes all that a real one does."""
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

    adapter = TimedAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": timed_pool(Pool)}
    trusting_adapter(client.session.verify)
    client.session.proxies.clear()
    client.session.mount("http://", adapter)
    return client
