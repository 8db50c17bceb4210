# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists, in pages where the deployment paginates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import JSONResponse

from ..cursors import decode_cursor, encode_cursor
from ..errors import ApiError
from .call import Call, data

Item = TypeVar("Item")


def listing(
    request: Request, call: Call, items: Sequence[Item], present: Callable[[Item], dict[str, Any]]
) -> JSONResponse:
    """Answer a list. With paging on: at most `limit` items from `cursor` on, and `meta` with next_cursor and total."""
    options = call.simulation.options
    if options.page_size is None or call.whole_lists:
        return data([present(item) for item in items])
    limit_text = request.query_params.get("limit", str(options.page_size))
    if not limit_text.isdecimal() or int(limit_text) < 1:
        raise ApiError(422, "validation_failed", f"limit: {limit_text!r} is not a positive number")
    size = min(int(limit_text), options.page_size)
    cursor = request.query_params.get("cursor")
    start = decode_cursor(cursor) if cursor else 0
    end = start + size
    next_cursor = encode_cursor(end) if end < len(items) else None
    if options.cursor_repeats and cursor:
        next_cursor = cursor
    return JSONResponse(
        {
            "data": [present(item) for item in items[start:end]],
            "meta": {"next_cursor": next_cursor, "total": len(items)},
        }
    )
