# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that a test asks for, and what they do to a connection."""

from __future__ import annotations

import json
import time
from asyncio import Transport
from collections.abc import MutableMapping
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from .errors import ApiError, error_response, html_page, phrase, status_code_name


class Fault(BaseModel):
    """One fault for the next `times` requests (null: until cleared) that match, after `skip` matching ones were let through."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal[
        "refuse",
        "drop_before",
        "drop_after",
        "status",
        "html",
        "status_after",
        "stall",
        "truncate",
        "omit",
        "ignore_write",
    ]
    method: str = "*"
    path: str = "*"
    organization: str | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: Any = None
    headers: dict[str, str] = {}
    seconds: Annotated[float, Field(ge=0)] = 1.0
    act: bool = True
    field: str | None = None
    retry_after: Literal["seconds", "date", "reset"] | None = None

    def matches(self, method: str, path: str, organization: str | None) -> bool:
        """Path is without the server's prefix; `organization` is the slug that the request's key belongs to."""
        return (
            self.method in ("*", method)
            and fnmatchcase(path, self.path)
            and self.organization in (None, organization)
        )

    def response(self, request_id: str, error_format: str) -> Response:
        """Return the answer of the kinds `status`, `status_after` and `html`."""
        headers = {**self.headers, **self._limit_headers()}
        if self.kind == "html":
            return html_page(self.status or 502, headers)
        status = self.status or 503
        if self.body is None:
            return error_response(
                ApiError(status, status_code_name(status), phrase(status), headers),
                request_id,
                error_format,
            )
        if isinstance(self.body, str):
            return Response(
                self.body,
                status,
                headers,
                media_type=None if "content-type" in map(str.lower, headers) else "text/plain",
            )
        return JSONResponse(self.body, status, headers)

    def _limit_headers(self) -> dict[str, str]:
        """Return when to come again, `seconds` after now."""
        moment = time.time() + self.seconds
        if self.retry_after == "reset":
            return {
                "X-RateLimit-Limit": "100",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(round(moment)),
            }
        if self.retry_after is None:
            return {}
        return {
            "Retry-After": f"{self.seconds:g}"
            if self.retry_after == "seconds"
            else formatdate(round(moment), usegmt=True)
        }


class Faults:
    """The faults still to come, oldest first; at most one hits a request."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []

    def take(self, method: str, path: str, organization: str | None) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        for fault in self.pending:
            if not fault.matches(method, path, organization):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self.pending.remove(fault)
            return fault
        return None


class HeldAnswer:
    """Stands in for `send`: keeps the answer, so that it can be sent late, in part or never."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def release(self, send: Send) -> None:
        for message in self.messages:
            await send(message)

    async def release_without(self, send: Send, field: str | None) -> None:
        """Send an answer whose data lacks a field, at whatever depth; without a name, it is `data` itself that is missing."""
        start, *parts = self.messages
        body = json.loads(b"".join(message.get("body", b"") for message in parts) or b"{}")
        if field is None:
            body.pop("data", None)
        else:
            body["data"] = _without(body.get("data"), field)
        content = json.dumps(body).encode()
        MutableHeaders(scope=start)["Content-Length"] = str(len(content))
        await send(start)
        await send({"type": "http.response.body", "body": content})

    async def release_half(self, send: Send) -> None:
        """Send status and headers, with the whole length announced, and half of the body."""
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        await send(self.messages[0])
        await send(
            {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
        )


def _without(value: Any, field: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, field) for name, item in value.items() if name != field}
    return [_without(item, field) for item in value] if isinstance(value, list) else value


async def close_connection(
    scope: MutableMapping[str, Any] | Scope, receive: Receive, flush: bool = False
) -> None:
    """Close the client's connection without (further) answer; `flush` sends first what was written.

    Waits until the server has noticed: otherwise it would send a 500 of its own for the answer that is missing.
    """
    transport: Transport = scope["transport"]
    if flush:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
