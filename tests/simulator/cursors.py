# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cursors of lists: opaque texts that stand for a position."""

from __future__ import annotations

import base64
import binascii

from .errors import ApiError


def encode_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    try:
        kind, dummy, offset = (
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")
        )
        if kind == "offset" and offset.isdecimal():
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise ApiError(400, "invalid_cursor", f"{cursor!r} is not a cursor of this list")
