# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the simulator from a test, in a process of its own. Needs nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .identities import identity

TESTS = Path(__file__).resolve().parents[1]
START_TIMEOUT = 30  # seconds


class SimulatorError(Exception):
    """The simulator did not start, or its control API refused a request."""


class Simulator:
    """A simulator that runs as long as the `with` block; options as of the command line.

    `python` is the interpreter that has the simulator's requirements. With `certificate`, a file of a private key and its certificate, it speaks TLS.
    With several `workers`, processes that share its port, it can be read alone: neither writes nor anything of the control API, such as the log.
    The simulator also ends when the process that started it is gone, and after `idle_exit` seconds without a request.
    """

    def __init__(
        self,
        organizations: int = 3,
        *,
        prefix: str = "",
        page_size: int | None = None,
        latency_ms: int = 0,
        rate_limit: str | None = None,
        idle_exit: float = 900,
        workers: int = 1,
        port: int = 0,
        python: str | None = None,
        certificate: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.prefix = "/" + prefix.strip("/") if prefix.strip("/") else ""
        self.port = port
        self._certificate = certificate
        self._organizations = organizations
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._command = [
            python or sys.executable,
            "-m",
            "simulator",
            "--organizations",
            str(organizations),
        ]
        self._command += [
            "--port",
            str(port),
            "--latency-ms",
            str(latency_ms),
            "--idle-exit",
            str(idle_exit),
            "--workers",
            str(workers),
        ]
        if self.prefix:
            self._command += ["--prefix", self.prefix]
        if page_size is not None:
            self._command += ["--page-size", str(page_size)]
        if rate_limit is not None:
            self._command += ["--rate-limit", rate_limit]
        if certificate is not None:
            self._command += ["--certificate", str(certificate)]
        self._command += arguments

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL for `api_url`, with the prefix."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}{self.prefix}"

    @property
    def keys(self) -> list[str]:
        """The admin keys, one for each organization."""
        return [identity(number).admin_key for number in range(1, self._organizations + 1)]

    @property
    def slugs(self) -> list[str]:
        return [identity(number).slug for number in range(1, self._organizations + 1)]

    def start(self) -> None:
        """Start the process and wait until it listens; SimulatorError if it does not."""
        # Folder and process live until stop().
        # pylint: disable-next=consider-using-with
        self._folder = tempfile.TemporaryDirectory(prefix="planasonix-simulator-")
        port_file = Path(self._folder.name, "port")
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        try:
            with open(self._errors_file, "wb") as errors:
                command = [
                    *self._command,
                    "--parent",
                    str(os.getpid()),
                    "--port-file",
                    str(port_file),
                ]
                # pylint: disable-next=consider-using-with
                self._process = subprocess.Popen(
                    command, cwd=TESTS, env=environment, stdout=subprocess.DEVNULL, stderr=errors
                )
            deadline = time.monotonic() + START_TIMEOUT
            while not port_file.exists():
                if self._process.poll() is not None:
                    raise SimulatorError(
                        f"The simulator ended with {self._process.returncode}: {self.errors().strip()}"
                    )
                if time.monotonic() > deadline:
                    raise SimulatorError(
                        f"The simulator did not listen within {START_TIMEOUT} seconds"
                    )
                time.sleep(0.02)
            self.port = int(port_file.read_text(encoding="utf-8"))
        except BaseException:
            self.stop(show_errors=False)
            raise

    def stop(self, show_errors: bool = True) -> None:
        """End the process. What it wrote to its standard error, such as a traceback, is shown."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            if show_errors:
                sys.stderr.write(self.errors())
            self._folder.cleanup()
            self._folder = None

    @property
    def _errors_file(self) -> Path:
        if self._folder is None:
            raise SimulatorError("The simulator does not run")
        return Path(self._folder.name, "errors")

    def errors(self) -> str:
        """Return what the process wrote to its standard error."""
        return (
            self._errors_file.read_text(encoding="utf-8", errors="replace")
            if self._errors_file.exists()
            else ""
        )

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Call `/_simulator/<path>`, by POST if there is a body, else by GET; return the JSON. SimulatorError if it is refused."""
        connection = self._connect()
        method = method or ("GET" if body is None else "POST")
        try:
            content = None if body is None else json.dumps(body)
            connection.request(
                method,
                f"/_simulator/{path}",
                content,
                {"Content-Type": "application/json", "Connection": "close"},
            )
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise SimulatorError(f"{method} /_simulator/{path}: {response.status} {text}")
        return json.loads(text)

    def _connect(self) -> http.client.HTTPConnection:
        if self._certificate is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # it is a child of this process
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def reset(self, organizations: int | None = None) -> None:
        """Go back to the state after the start, if given with another number of organizations."""
        self._organizations = len(
            self.control("reset", {} if organizations is None else {"organizations": organizations})
        )

    def options(self, **changes: Any) -> dict[str, Any]:
        """Change the given options; return all."""
        return self.control("options", changes)

    def fault(self, kind: str, **fields: Any) -> None:
        """Add a fault for requests to come."""
        self.control("faults", {"kind": kind, **fields})

    def log(self) -> list[dict[str, Any]]:
        """Return the API requests since the start, the reset or the last clear."""
        return self.control("log")

    def writes(self) -> list[dict[str, Any]]:
        """Return the requests in the log other than GET."""
        return [row for row in self.log() if row["method"] != "GET"]

    def clear_log(self) -> None:
        self.control("log/clear", {})

    def violations(self) -> list[dict[str, Any]]:
        """Return the writes that came while the simulator was read-only."""
        return self.control("violations")

    def state(self, organization: str = "acme-analytics") -> dict[str, Any]:
        """Return everything of one organization (slug or id), secrets too."""
        return self.control(f"state/{organization}")

    def set_state(self, organization: str = "acme-analytics", **sections: Any) -> dict[str, Any]:
        """Replace sections of an organization's state behind the back of whoever manages it; return the whole state."""
        return self.control(f"state/{organization}", sections, "PUT")
