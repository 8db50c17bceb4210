# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every request passes before it reaches its operation: log, faults, authentication, allowlist, limits, scopes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .api.call import Call
from .clock import iso
from .errors import ApiError, error_response
from .faults import Fault, HeldAnswer, close_connection
from .simulation import LogRow, Simulation
from .state import ApiKey, OrganizationState
from .variants.layer import play

CONTROL = "/_simulator/"
DOCS = ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
ADMIN_SCOPE = "admin:organization"
READ_METHODS = ("GET", "HEAD", "OPTIONS")


@lru_cache(maxsize=4096)
def _network(cidr: str) -> IPv4Network | IPv6Network:
    return ip_network(cidr)


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def header(scope: Scope, name: bytes) -> str:
    """Return a request header, or an empty string."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole request body, or None if the client went away."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Gate:
    """Pure ASGI middleware around the FastAPI application."""

    def __init__(self, app: ASGIApp, simulation: Simulation) -> None:
        self.app = app
        self.simulation = simulation
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.simulation.last_request = time.monotonic()
        self._requests += 1
        request_id = scope["request_id"] = f"req_01jq8{self._requests:06x}"
        headers = {"X-Request-Id": request_id}
        path: str = scope["path"]
        if path.startswith(CONTROL) and self.simulation.workers > 1:
            problem = f"This simulator has {self.simulation.workers} workers, each with a state and a log of its own; start it with a single one to control it"
            await error_response(ApiError(409, "several_workers", problem), request_id, "nested")(
                scope, receive, self._answering(send, headers)
            )
            return
        if path.startswith(CONTROL) or path in DOCS:
            await self.app(scope, receive, self._answering(send, headers))
            return
        prefix = self.simulation.prefix
        known = path.startswith(f"{prefix}/api/")
        if known:
            scope = dict(scope, path=path[len(prefix) :])
        row = LogRow(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            iso(time.time()),
            request_id,
            clock=time.monotonic(),
        )
        self.simulation.log.append(row)
        await self._api_request(
            scope, receive, self._answering(send, headers, row), row, headers, known
        )

    @staticmethod
    def _answering(send: Send, headers: Mapping[str, str], row: LogRow | None = None) -> Send:
        """Return a `send` that adds headers and notes the status in the log."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
                if row:
                    row.status = message["status"]
            await send(message)

        return answer

    async def _api_request(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        row: LogRow,
        headers: dict[str, str],
        known: bool,
    ) -> None:
        options = self.simulation.options
        found = self._find_key(scope)
        row.organization = found[0].organization.slug if found else None
        if options.latency_ms:
            await asyncio.sleep(options.latency_ms / 1000)
        if options.read_only and row.method not in READ_METHODS:
            await self._read_only_violation(scope, receive, send, row)
            return
        fault = self.simulation.faults.take(row.method, row.path, row.organization)
        row.fault = fault.kind if fault else None
        if fault and fault.kind == "refuse":
            await close_connection(scope, receive)
            return
        body = await read_body(receive)
        if body is None:
            return
        row.body = self._loggable(body)
        if fault and fault.kind == "drop_before":
            await close_connection(scope, receive)
        elif fault and fault.kind in ("status", "html"):
            await fault.response(row.request_id, options.error_format)(scope, receive, send)
        elif fault and fault.kind == "stall" and not fault.act:
            await asyncio.sleep(fault.seconds)
            await close_connection(scope, receive)
        elif fault and fault.kind != "ignore_write":
            held = HeldAnswer()
            await self._operate(
                scope, replay(body, receive), held.send, body, found, headers, known, False
            )
            await self._spoil(fault, held, scope, receive, send, row.request_id)
        else:
            await self._operate(
                scope, replay(body, receive), send, body, found, headers, known, fault is not None
            )

    async def _read_only_violation(
        self, scope: Scope, receive: Receive, send: Send, row: LogRow
    ) -> None:
        body = await read_body(receive)
        row.body = self._loggable(body or b"")
        self.simulation.violations.append(row)
        error = ApiError(
            500,
            "read_only_violation",
            f"{row.method} {row.path} was sent while the simulator was read-only",
        )
        await error_response(error, row.request_id, self.simulation.options.error_format)(
            scope, receive, send
        )

    async def _spoil(
        self,
        fault: Fault,
        held: HeldAnswer,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: str,
    ) -> None:
        """Treat an answer, whose operation took effect, as the fault says."""
        if fault.kind == "status_after":
            await fault.response(request_id, self.simulation.options.error_format)(
                scope, receive, send
            )
        elif fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
            await held.release(send)
        elif fault.kind == "omit":
            await held.release_without(send, fault.field)
        elif fault.kind == "truncate":
            await held.release_half(send)
            await close_connection(scope, receive, flush=True)
        else:  # drop_after
            await close_connection(scope, receive)

    async def _operate(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        body: bytes,
        found: tuple[OrganizationState, ApiKey] | None,
        headers: dict[str, str],
        known: bool,
        ignore_write: bool,
    ) -> None:
        """Let the request through to its operation, or answer why not."""
        try:
            state, key = self._authenticate(scope, found)
            self._check_address(scope, state, key)
            headers.update(self.simulation.count_against_limit(key.id))
            if not known:
                raise ApiError(404, "not_found", f"There is nothing at {scope['path']}")
            if scope["method"] not in READ_METHODS and ADMIN_SCOPE not in key.scopes:
                raise ApiError(403, "insufficient_scope", f"This needs the scope {ADMIN_SCOPE}")
            self._check_body(scope, body)
        except ApiError as error:
            await error_response(error, scope["request_id"], self.simulation.options.error_format)(
                scope, receive, send
            )
            return
        key.last_used_at = self.simulation.clock.text()
        # An ignored write works on a copy that is then thrown away.
        scope["call"] = Call(
            self.simulation, state.model_copy(deep=True) if ignore_write else state
        )
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        variants = [] if ignore_write else self.simulation.find_variants(state.organization.slug)
        if variants:
            await play(variants, self.app, self.simulation, state, body, scope, receive, noting)
        else:
            await self.app(scope, receive, noting)
        counts = self.simulation.operations.get(
            (scope["method"], getattr(scope.get("route"), "path", ""))
        )
        if counts:
            counts[0] += 1
            counts[1] += 200 <= status < 300

    def _find_key(self, scope: Scope) -> tuple[OrganizationState, ApiKey] | None:
        scheme, dummy, secret = header(scope, b"authorization").partition(" ")
        return self.simulation.find_key(secret) if scheme.lower() == "bearer" else None

    def _authenticate(
        self, scope: Scope, found: tuple[OrganizationState, ApiKey] | None
    ) -> tuple[OrganizationState, ApiKey]:
        challenge = {"WWW-Authenticate": "Bearer"}
        if not header(scope, b"authorization"):
            raise ApiError(401, "unauthorized", "The Authorization header is missing", challenge)
        if found is None:
            raise ApiError(
                401, "invalid_api_key", "The API key is malformed, unknown or revoked", challenge
            )
        expires_at = found[1].expires_at
        if expires_at is not None and expires_at <= iso(self.simulation.clock.now()):
            raise ApiError(
                401, "api_key_expired", f"The API key expired at {expires_at}", challenge
            )
        return found

    def _check_address(self, scope: Scope, state: OrganizationState, key: ApiKey) -> None:
        whitelist = state.ip_whitelist
        if not whitelist.enabled:
            return
        whitelist.last_evaluated_at = self.simulation.clock.text()
        options = self.simulation.options
        pretended = options.client_addresses
        names = (key.secret, key.id, state.organization.slug, state.organization.id)
        address = _address(
            next((pretended[name] for name in names if name in pretended), scope["client"][0])
        )
        if any(address in _network(entry.cidr) for entry in whitelist.entries):
            return
        if not any(fnmatchcase(scope["path"], pattern) for pattern in options.allowlist_exempt):
            raise ApiError(
                403,
                "ip_not_allowed",
                f"The address {address} is not in the IP allowlist of this organization",
            )

    @staticmethod
    def _check_body(scope: Scope, body: bytes) -> None:
        if not body or scope["method"] not in ("POST", "PUT", "PATCH"):
            return
        media_type = header(scope, b"content-type").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise ApiError(
                415,
                "unsupported_media_type",
                f"The body must be application/json, not {media_type or 'untyped'}",
            )
        try:
            json.loads(body, parse_constant=_no_constant)
        except ValueError as error:
            raise ApiError(400, "malformed_json", f"The body is not JSON: {error}") from None

    @staticmethod
    def _loggable(body: bytes) -> Any:
        """Return the body as the log shows it: parsed if it is JSON, else as text, None if there is none."""
        try:
            return json.loads(body, parse_constant=_no_constant) if body else None
        except ValueError:
            return body.decode("utf-8", "replace")
