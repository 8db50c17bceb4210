# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API in front of a simulator that replaces words, for what the simulator cannot store."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulator.process import Simulator


class Rewriting(BaseHTTPRequestHandler):
    """Sends requests on, and replaces words in their bodies and in those of the answers."""

    server: RewritingApi
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for stored, shown in self.server.words.items():
            body = body.replace(shown, stored)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() in ("authorization", "content-type")
        }
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        for stored, shown in self.server.words.items():
            content = content.replace(stored, shown)
        self.send_response(response.status)
        self.send_header("Content-Type", response.headers.get("Content-Type") or "text/plain")
        if response.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *dummy: Any) -> None:
        """Say nothing."""


class RewritingApi(ThreadingHTTPServer):
    """An API that replaces words, as long as the block.

    :param words: What the simulator stores, each with what a client sees, as bytes of JSON.
    """

    daemon_threads = True

    def __init__(self, simulator: Simulator, words: dict[bytes, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Rewriting)
        self.port = simulator.port
        self.words = words
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> RewritingApi:
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.shutdown()
        self.server_close()
