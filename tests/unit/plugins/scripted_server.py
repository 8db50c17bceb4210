# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HTTP server on the loopback interface that gives the answers of a script, for what only a real connection can show."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import typing as t
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROP = "drop"
"""The request is read, and the connection closed without an answer."""
TRUNCATE = "truncate"
"""The answer breaks off in its body."""
HANG = "hang"
"""There is no answer while the server runs."""
SLOW_BODY = "slow body"
"""The answer stops in its body while the server runs."""


@dataclass
class Answer:
    """One answer. A body that is neither text nor bytes is sent as JSON.

    :param delay: Seconds until it is sent.
    """

    status: int = 200
    body: t.Any = field(default_factory=lambda: {"data": {"ok": True}})
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0


@dataclass
class Drip:
    """An answer without end: its beginning, and then a piece again and again.

    :param every: Seconds between two pieces.
    """

    start: bytes
    piece: bytes
    every: float = 0.05


@dataclass
class Request:
    """One request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int
    """Port of the client, the same for all requests of one connection."""


class ScriptedServer:
    """Answers by the script, one step for each request, and then with 200 and ``{"data": {"ok": true}}``.

    With ``tls`` it presents that certificate. ``CONNECT`` makes it a proxy, whatever the script says.

    :param once: Whether it drops any further request on a connection that it answered on, as a
        load balancer does that closed it meanwhile.
    """

    def __init__(
        self, *script: Answer | Drip | str, tls: ssl.SSLContext | None = None, once: bool = False
    ) -> None:
        self.script = list(script)
        self.once = once
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            answered = False

            def do(self) -> None:
                if outer.once and self.answered:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.answered = True
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append(
                    Request(
                        self.command, self.path, dict(self.headers), body, self.client_address[1]
                    )
                )
                step = outer.script.pop(0) if outer.script else Answer()
                if isinstance(step, Answer):
                    outer.stopped.wait(step.delay)
                    self.give(step)
                    return
                if isinstance(step, Drip):
                    self.close_connection = True
                    self.drip(step)
                    return
                if step == HANG:
                    outer.stopped.wait(10)
                if step in (TRUNCATE, SLOW_BODY):
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"data": {')
                if step == SLOW_BODY:
                    outer.stopped.wait(10)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def do_CONNECT(self) -> None:
                outer.requests.append(
                    Request(
                        self.command, self.path, dict(self.headers), b"", self.client_address[1]
                    )
                )
                host, _colon, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), timeout=10) as target:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(
                        target=pass_on, args=(target, self.connection), daemon=True
                    )
                    back.start()
                    pass_on(self.connection, target)
                    back.join(10)
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = do

            def give(self, answer: Answer) -> None:
                content = (
                    answer.body
                    if isinstance(answer.body, bytes)
                    else (
                        answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                    ).encode()
                )
                self.send_response(answer.status)
                headers = {"Content-Type": "application/json", **answer.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                if answer.status == 204:
                    content = b""
                else:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def drip(self, step: Drip) -> None:
                with contextlib.suppress(OSError):
                    self.wfile.write(step.start)
                    while not outer.stopped.wait(step.every):
                        self.wfile.write(step.piece)

            def log_message(self, *dummy_arguments: t.Any, **dummy_more: t.Any) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *dummy_arguments: t.Any) -> None:
                """Keep quiet of clients that leave in the middle of it, as those do that refuse a certificate."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            # Each connection shakes hands in its own thread, at its first read.
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> ScriptedServer:
        self.thread.start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Send on what comes in, to the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def closed_port() -> int:
    """A port of the loopback interface on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
