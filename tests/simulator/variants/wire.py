# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of the answers to writes, of errors, connections, and of hostile answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..errors import ApiError, phrase, status_code_name
from .effects import MARKED
from .exchange import KEYS, LISTS, Exchange, add

UNCLEAR = (408, 520, 521, 522, 523, 524)
"""Statuses after which nobody knows whether the request took effect."""

HOUR = 3600
BOMB_SIZE = 64 * 1024 * 1024
DEPTH = 1000
DIGITS = 6000


def answer_writes(status: int, content: Any) -> Callable[[Exchange], None]:
    """Return a hook that gives each write another answer."""

    def answer(exchange: Exchange) -> None:
        if exchange.writes:
            exchange.answer(status, content)

    return answer


def answer_without_body(exchange: Exchange) -> None:
    if exchange.writes:
        exchange.answer(204, None)
        exchange.empty = True
        exchange.headers.pop("content-type", None)


def answer_text(exchange: Exchange) -> None:
    if exchange.writes:
        exchange.answer(200, None, content_type="text/plain")
        exchange.raw = b"OK"


def change_status(status: int) -> Callable[[Exchange], None]:
    """Return a hook that changes the status of writes, and not their body."""

    def answer(exchange: Exchange) -> None:
        if exchange.writes and not exchange.empty:
            exchange.status = status

    return answer


def unwrap_writes(exchange: Exchange) -> None:
    if exchange.writes and exchange.data is not None:
        exchange.content = exchange.data


def forget_secret(exchange: Exchange) -> None:
    if exchange.method == "POST" and exchange.path == KEYS:
        del exchange.data["secret"]


for write_name, write_does, write_answer in (
    ("write_204", "204 without a body", answer_without_body),
    ("write_empty_object", "200 and `{}`", answer_writes(200, {})),
    ("write_null", "200 and `null`", answer_writes(200, None)),
    ("write_ok", '200 and `"OK"`', answer_writes(200, "OK")),
    ("write_true", "200 and `true`", answer_writes(200, True)),
    ("write_message", "200 and a message", answer_writes(200, {"message": "Saved"})),
    ("write_text", "200 and plain text", answer_text),
    ("write_202", "202 and the documented body", change_status(202)),
    ("write_200", "200 and the documented body", change_status(200)),
    ("write_bare", "the object without `data`", unwrap_writes),
):
    add("write answers", write_name, f"a write is answered by {write_does}", answer=write_answer)
add(
    "write answers",
    "key_without_secret",
    "the answer to the creation of a key has no secret",
    answer=forget_secret,
)


def fail_first(status: int) -> Callable[[Exchange], None]:
    """Return a hook that answers the first of each request by a status."""
    error = ApiError(status, status_code_name(status), phrase(status))

    def hook(exchange: Exchange) -> None:
        if exchange.memory.is_first(str(status), exchange.method, exchange.path):
            exchange.fail(error)

    return hook


def limit_reads(times: int, retry_after: str) -> Callable[[Exchange], None]:
    """Return a hook that answers 429 to the first reads of each path."""
    error = ApiError(429, "rate_limited", "Too many requests", {"Retry-After": retry_after})

    def request(exchange: Exchange) -> None:
        names = [str(number) for number in range(times)]
        if not exchange.writes and any(
            exchange.memory.is_first("429", exchange.path, name) for name in names
        ):
            exchange.fail(error)

    return request


for unclear in UNCLEAR:
    add(
        "errors",
        f"first_{unclear}_before",
        f"the first of each request is answered {unclear}, and has no effect",
        request=fail_first(unclear),
    )
    add(
        "errors",
        f"first_{unclear}_after",
        f"the first of each request takes effect, and is answered {unclear}",
        answer=fail_first(unclear),
    )
add(
    "errors",
    "retry_after_hour",
    f"the first read of each path is answered 429 with `Retry-After: {HOUR}`",
    request=limit_reads(1, str(HOUR)),
)
add(
    "errors",
    "retry_after_zero",
    "the first two reads of each path are answered 429 with `Retry-After: 0`",
    request=limit_reads(2, "0"),
)
add(
    "errors",
    "retry_after_milliseconds",
    "the first read of each path is answered 429 with `Retry-After: 1500`, in milliseconds",
    request=limit_reads(1, "1500"),
)


def change_error(change: Callable[[dict[str, Any]], Any]) -> Callable[[Exchange], None]:
    """Return a hook that writes the code and message of an error in another form."""

    def refusal(exchange: Exchange) -> None:
        error = exchange.content.get("error") if isinstance(exchange.content, dict) else None
        if isinstance(error, dict):
            exchange.content = change(error)

    return refusal


def list_errors(error: dict[str, Any]) -> Any:
    return {"errors": [{"code": error["code"], "message": error["message"]}]}


def map_errors(error: dict[str, Any]) -> Any:
    return {"errors": {error["code"]: [error["message"]]}}


def describe_error(error: dict[str, Any]) -> Any:
    return {"error": error["code"], "error_description": error["message"]}


for error_name, error_look, error_change in (
    ("errors_listed", '`{"errors": [{"code": ..., "message": ...}]}`', list_errors),
    ("errors_by_name", '`{"errors": {"code": ["message"]}}`', map_errors),
    ("errors_described", '`{"error": "code", "error_description": "message"}`', describe_error),
):
    add(
        "errors",
        error_name,
        f"what an operation refuses is answered {error_look}",
        refusal=change_error(error_change),
    )


def set_cookie(exchange: Exchange) -> None:
    exchange.headers["set-cookie"] = "session=1; Path=/"


def require_token(exchange: Exchange) -> None:
    if exchange.writes and "cookie" in exchange.sent and "x-csrf-token" not in exchange.sent:
        raise ApiError(403, "csrf", "A request with a cookie needs the header X-CSRF-Token")


add(
    "connections",
    "cookies_need_token",
    "each answer sets a cookie; a write that sends it without `X-CSRF-Token` is 403",
    request=require_token,
    answer=set_cookie,
)


def close_after_answer(exchange: Exchange) -> None:
    exchange.close = "after"


def drop_reused(exchange: Exchange) -> None:
    if exchange.connection["requests"] > 1:
        exchange.close = "before"


add(
    "connections",
    "connection_closed_after_answer",
    "each connection ends after one answer, which does not say so",
    answer=close_after_answer,
)
add(
    "connections",
    "connection_dropped_when_reused",
    "a second request on a connection is dropped without an answer, and has no effect",
    request=drop_reused,
)


@lru_cache
def make_bomb() -> bytes:
    """Return a small answer that unpacks to a large one."""
    return gzip.compress(b'{"data": [' + b" " * BOMB_SIZE + b"]}", compresslevel=1)


def send_slowly(exchange: Exchange) -> None:
    if not exchange.writes:
        exchange.pause = 1.0


def send_bomb(exchange: Exchange) -> None:
    if exchange.reads_list:
        exchange.headers["content-encoding"] = "gzip"
        exchange.raw = make_bomb()


def insert(text: str) -> Callable[[Exchange], None]:
    """Return a hook that adds a field with a raw JSON text to each object that is read."""

    def answer(exchange: Exchange) -> None:
        if exchange.writes or not (exchange.path in LISTS or isinstance(exchange.data, dict)):
            return
        for one in exchange.objects():
            one["x_odd"] = "@odd@"
        exchange.raw = json.dumps(exchange.content).replace('"@odd@"', text).encode()

    return answer


def add_to_names(suffix: str) -> Callable[[Exchange], None]:
    """Return a hook that adds a suffix to names and labels that begin with `Retired`."""

    def answer(exchange: Exchange) -> None:
        if not exchange.reads_list:
            return
        for one in exchange.objects():
            for field in ("name", "label"):
                if str(one.get(field, "")).startswith(MARKED):
                    one[field] += suffix

    return answer


add(
    "hostile bodies",
    "byte_a_second",
    "what is read comes one byte a second",
    answer=send_slowly,
)
add(
    "hostile bodies",
    "gzip_bomb",
    f"lists unpack to {BOMB_SIZE // 1024 // 1024} MiB",
    answer=send_bomb,
)
add(
    "hostile bodies",
    "deep_json",
    f"each object that is read has a list nested {DEPTH} deep",
    answer=insert("[" * DEPTH + "]" * DEPTH),
)
add(
    "hostile bodies",
    "not_a_number",
    "each object that is read has a `NaN`",
    answer=insert("NaN"),
)
add(
    "hostile bodies",
    "huge_integer",
    f"each object that is read has an integer of {DIGITS} digits",
    answer=insert("9" * DIGITS),
)
add(
    "hostile names",
    "lone_surrogate",
    f"names that begin with `{MARKED}` end with a lone surrogate",
    answer=add_to_names("\ud83d"),
)
add(
    "hostile names",
    "escape_sequences",
    f"names that begin with `{MARKED}` have sequences that control a terminal",
    answer=add_to_names("\x1b[31m\x1b]0;title\x07\r\n"),
)
