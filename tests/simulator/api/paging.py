# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists, in pages where the deployment paginates."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import JSONResponse

from ..errors import ApiError
from .call import Call, data

Item = TypeVar("Item")


def _encode(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> int:
    try:
        kind, dummy, offset = (
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        )
        if kind == "offset" and offset.isdecimal():
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise ApiError(400, "invalid_cursor", f"{cursor!r} is not a cursor of this list")


def listing(
    request: Request, call: Call, items: Sequence[Item], present: Callable[[Item], dict[str, Any]]
) -> JSONResponse:
    """Answer a list. With paging on: at most `limit` items from `cursor` on, and `meta` with next_cursor and total."""
    options = call.simulation.options
    if options.page_size is None:
        return data([present(item) for item in items])
    limit_text = request.query_params.get("limit", str(options.page_size))
    if not limit_text.isdecimal() or int(limit_text) < 1:
        raise ApiError(422, "validation_failed", f"limit: {limit_text!r} is not a positive number")
    size = min(int(limit_text), options.page_size)
    cursor = request.query_params.get("cursor")
    start = _decode(cursor) if cursor else 0
    end = start + size
    next_cursor = _encode(end) if end < len(items) else None
    if options.cursor_repeats and cursor:
        next_cursor = cursor
    return JSONResponse(
        {
            "data": [present(item) for item in items[start:end]],
            "meta": {"next_cursor": next_cursor, "total": len(items)},
        }
    )
