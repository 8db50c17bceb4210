# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays the variants of an organization around an operation."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api.call import Call
from ..errors import ApiError
from ..faults import HeldAnswer, close_connection
from .exchange import Exchange, Variant

if TYPE_CHECKING:
    from ..simulation import Simulation
    from ..state import OrganizationState


async def play(
    variants: list[Variant],
    app: ASGIApp,
    simulation: Simulation,
    state: OrganizationState,
    body: bytes,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Let a request through to its operation, with the variants before and after it."""
    exchange = begin(simulation, state, body, scope)
    try:
        for variant in variants:
            if variant.request:
                variant.request(exchange)
        if not exchange.status and exchange.close != "before":
            whole_lists = any(variant.whole_lists for variant in variants)
            await operate(exchange, app, scope, receive, whole_lists)
            change_outcome(exchange, variants)
    except ApiError as error:
        exchange.fail(error)
    if exchange.close == "before":
        await close_connection(scope, receive)
        return
    await send_answer(exchange, scope, send)
    if exchange.close == "after":
        scope["transport"].close()


def change_outcome(exchange: Exchange, variants: list[Variant]) -> None:
    """Let variants change what a request did, and what it is answered."""
    for variant in variants:
        if variant.effect and exchange.writes and exchange.succeeded:
            variant.effect(exchange)
    for variant in variants:
        if variant.answer and exchange.succeeded:
            variant.answer(exchange)
        elif variant.refusal and not exchange.succeeded:
            variant.refusal(exchange)


def begin(simulation: Simulation, state: OrganizationState, body: bytes, scope: Scope) -> Exchange:
    """Return the exchange of a request that passed the gate."""
    query = scope["query_string"].decode("latin-1")
    sent = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    path: str = scope["path"]
    connection: dict[str, int] = scope["connection"]
    connection["requests"] = connection.get("requests", 0) + 1
    return Exchange(
        method=scope["method"],
        path=path,
        query=dict(parse_qsl(query)),
        base=f"{scope['scheme']}://{sent.get('host', '127.0.0.1')}{simulation.prefix}{path}",
        sent=sent,
        body=json.loads(body) if body else None,
        simulation=simulation,
        state=state,
        before=state if scope["method"] == "GET" else state.model_copy(deep=True),
        memory=simulation.variant_memory(state.organization.slug),
        request_id=scope["request_id"],
        connection=connection,
    )


def find_shown_state(exchange: Exchange) -> OrganizationState:
    """Return the state that a read shows: an old state where a lag still hides a write."""
    if exchange.writes:
        return exchange.state
    group = exchange.group
    hiding = [stale for stale in exchange.memory.stale if stale.group == group and stale.use()]
    return hiding[0].state if hiding else exchange.state


async def operate(
    exchange: Exchange, app: ASGIApp, scope: Scope, receive: Receive, whole_lists: bool
) -> None:
    """Call the operation with the request as the variants left it; keep its answer."""
    scope["path"] = exchange.path
    scope["call"] = Call(exchange.simulation, find_shown_state(exchange), whole_lists)
    body = b"" if exchange.body is None else json.dumps(exchange.body).encode()
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_changed() -> Message:
        return messages.pop() if messages else await receive()

    held = HeldAnswer()
    await app(scope, receive_changed, held.send)
    start, *parts = held.messages
    content = b"".join(part.get("body", b"") for part in parts)
    exchange.status = start["status"]
    exchange.headers.update(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in start["headers"]
        if name != b"content-length"
    )
    exchange.empty = not content
    is_json = exchange.headers.get("content-type") == "application/json"
    if is_json and content:
        exchange.content = json.loads(content)
    else:
        exchange.raw = content


async def send_answer(exchange: Exchange, scope: Scope, send: Send) -> None:
    """Send the answer, in one piece or byte by byte."""
    content = exchange.raw
    if content is None:
        content = b"" if exchange.empty else json.dumps(exchange.content).encode()
        if not exchange.empty:
            exchange.headers.setdefault("content-type", "application/json")
    headers: list[tuple[bytes, bytes]] = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in exchange.headers.items()
    ]
    if exchange.status != 204:
        headers.append((b"content-length", str(len(content)).encode()))
    start: dict[str, Any] = {"type": "http.response.start", "status": exchange.status}
    await send({**start, "headers": headers})
    while exchange.pause and content and not scope["transport"].is_closing():
        await send({"type": "http.response.body", "body": content[:1], "more_body": True})
        await asyncio.sleep(exchange.pause)
        content = content[1:]
    await send({"type": "http.response.body", "body": content})
