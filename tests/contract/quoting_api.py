# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API that quotes in its answers what it was sent, in many shapes, and breaks off where secrets are made."""

from __future__ import annotations

import html
import http.client
import json
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from simulator.process import Simulator


def scalars(value: Any) -> list[str]:
    """All texts and numbers in a value."""
    if isinstance(value, (dict, list)):
        return [
            text
            for item in (value.values() if isinstance(value, dict) else value)
            for text in scalars(item)
        ]
    return [str(value)]


# shape: status, type, and the body made of the words of the request, of its JSON, and of what that means
SHAPES: dict[str, tuple[int, str, Callable[[str, str, Any], Any]]] = {
    "nested": (
        422,
        "application/json",
        lambda words, text, body: {"error": {"code": "refused", "message": f"{words} {text}"}},
    ),
    "flat": (
        400,
        "application/json",
        lambda words, text, body: {"code": "refused", "message": f"{words} {text}"},
    ),
    "html": (
        403,
        "text/html",
        lambda words, text, body: (
            f"<html><title>{html.escape(words)} {html.escape(text)}</title></html>"
        ),
    ),
    "text": (409, "text/plain", lambda words, text, body: f"{words} {text}"),
    "detail": (
        422,
        "application/json",
        lambda words, text, body: {
            "detail": [{"loc": ["body"], "msg": f"Value error, {words} {text}", "input": body}]
        },
    ),
    "details": (
        422,
        "application/json",
        lambda words, text, body: {
            "detail": [{"type": "value_error", "input": body, "ctx": {"error": words}}]
        },
    ),
    "object": (
        422,
        "application/json",
        lambda words, text, body: {"message": {"said": words, "input": body}},
    ),
    "python": (
        422,
        "application/json",
        lambda words, text, body: {"detail": f"input_value={body!r} {words.split()!r}"},
    ),
    "accepted": (
        200,
        "application/json",
        lambda words, text, body: {"data": {"said": words, "input": body}},
    ),
    "accepted_text": (200, "text/plain", lambda words, text, body: f"{words} {text}"),
}
"""Answers to writes that quote what was sent."""


class Quoting(BaseHTTPRequestHandler):
    """Answers writes in the shape that the first part of the path names, and lets reads through to the simulator.

    ``bare`` and ``cut`` let writes through as well, and give the answer without the object around it, or its first part alone. ``bare_reads`` does the former
    with reads, and ``reads`` refuses them. ``gone-<name>`` lets all through, and removes the folder of that name before it answers a POST. ``taken-<name>``
    makes a folder in it instead, in place of the secret. What an enrollment was given is quoted when it is verified; no folder is touched while it begins.
    """

    server: QuotingApi
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        shape, _slash, path = self.path[1:].partition("/")
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        reads = self.command == "GET"
        if reads and shape == "reads":
            self.reply(
                401,
                "application/json",
                {"code": "refused", "message": self.headers["Authorization"]},
            )
        elif not reads and shape in SHAPES and not path.endswith("/mfa/enable"):
            status, kind, make = SHAPES[shape]
            body = json.loads(sent) if sent else {}
            words = [
                self.headers["Authorization"],
                *scalars(body),
                *(self.server.enrollment if path.endswith("/mfa/verify") else ()),
            ]
            self.reply(status, kind, make(" ".join(words), sent, body))
        else:
            status, content = self.let_through(f"/{path}", sent)
            if path.endswith("/mfa/enable"):
                self.server.enrollment = scalars(json.loads(content)["data"])
            elif shape.startswith("gone-") and self.command == "POST":
                shutil.rmtree(self.server.folder / shape.removeprefix("gone-"))
            elif shape.startswith("taken-") and self.command == "POST":
                (self.server.folder / shape.removeprefix("taken-") / "secret").mkdir()
            if content and shape == "cut" and not reads:
                content = content[: len(content) * 3 // 4]
            elif content and shape == ("bare_reads" if reads else "bare"):
                content = json.dumps([json.loads(content)["data"]])
            self.reply(status, "application/json", content)

    def let_through(self, path: str, sent: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {
            "Authorization": self.headers["Authorization"],
            **({"Content-Type": "application/json"} if sent else {}),
        }
        connection.request(self.command, path, sent or None, headers)
        response = connection.getresponse()
        content = response.read().decode()
        connection.close()
        return response.status, content

    def reply(self, status: int, kind: str, body: Any) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *dummy: Any) -> None:
        """Say nothing."""


class QuotingApi(ThreadingHTTPServer):
    """An API that quotes, in front of a simulator, as long as the block.

    :param folder: Where the folders are that it removes.
    """

    daemon_threads = True

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Quoting)
        self.folder = folder
        self.port = simulator.port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.enrollment: list[str] = []

    def __enter__(self) -> QuotingApi:
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *dummy: object) -> None:
        self.shutdown()
        self.server_close()
