# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP server: uvicorn, with access to each connection, a port file, outages and an end when idle."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import create_app
from .simulation import Simulation

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as HttpProtocol
except ImportError:
    HttpProtocol = H11Protocol  # type: ignore[assignment,misc]


def pass_transport(app: ASGIApp, transport: Any) -> ASGIApp:
    """Return the application with the connection's transport and counters in each scope.

    With the transport, a fault can close the connection.
    """
    connection: dict[str, int] = {}

    async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        scope["transport"] = transport
        scope["connection"] = connection
        await app(scope, receive, send)

    return with_transport


class TransportProtocol(HttpProtocol):
    """uvicorn's protocol; each instance serves one connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app = pass_transport(self.app, transport)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; OSError if the address is taken or not of this machine. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0 asyncio would not set TCP_NODELAY on its connections, and each answer would take 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


class SimulatorServer(uvicorn.Server):
    """Serves one simulation on one socket, from as many processes as it has workers.

    Ends after `idle_exit` seconds without a request (0 is never), and when `parent` is gone.
    """

    def __init__(
        self,
        simulation: Simulation,
        listener: socket.socket,
        port_file: Path | None = None,
        idle_exit: float = 0,
        parent: int | None = None,
        access_log: bool = False,
        certificate: Path | None = None,
    ) -> None:
        self.simulation = simulation
        self.parent = parent
        self.others: list[int] = []
        """Processes of the other workers; none in a worker that is not the first."""
        self.first = True
        self.host, self.port = listener.getsockname()[:2]
        self.port_file = port_file
        self.idle_exit = idle_exit
        self.scheme = "https" if certificate else "http"
        super().__init__(
            uvicorn.Config(
                create_app(simulation, self.outage),
                http=TransportProtocol,
                ws="none",
                lifespan="off",
                log_level="info" if access_log else "error",
                access_log=access_log,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
                ssl_certfile=certificate,
            )
        )

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.simulation.prefix}"

    def run_workers(self, listener: socket.socket) -> None:
        """Serve until it ends, in this process and those that it forks. A connection goes to whichever worker is free to accept it."""
        first = os.getpid()
        for _number in range(self.simulation.workers - 1):
            worker = os.fork()
            if worker:
                self.others.append(worker)
            else:
                self.first, self.parent, self.others = False, first, []
                break
        self.run(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.first:
            return
        if self.port_file:
            draft = self.port_file.with_name(f"{self.port_file.name}.{os.getpid()}")
            draft.write_text(str(self.port), encoding="utf-8")
            os.replace(draft, self.port_file)
        print(f"Planasonix simulator: {self.url}", flush=True)

    async def on_tick(self, counter: int) -> bool:
        """Decide, ten times a second, whether to end."""
        idle = time.monotonic() - self.simulation.last_request
        if (self.idle_exit and idle > self.idle_exit) or (
            self.parent and os.getppid() != self.parent
        ):
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; the first worker after all others, so that it leaves nothing behind."""
        for worker in self.others:
            os.kill(worker, signal.SIGTERM)
        await super().shutdown(sockets=sockets)
        for worker in self.others:
            os.waitpid(worker, 0)

    async def outage(self, seconds: float) -> None:
        """Close the port and all connections for some seconds."""
        await asyncio.sleep(0.05)  # lets the answer to the request that asked for this go out
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await super().startup(sockets=[listen(self.host, self.port)])
