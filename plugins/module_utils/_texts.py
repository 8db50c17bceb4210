# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of the API on their way into messages: one line, no secrets, no control characters.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import re
import typing as t

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that control a terminal, reverse the direction of text, or cannot be encoded."""


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line, shortened, with control characters as visible escapes."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def visible(text: str) -> str:
    """Replace control characters by escapes such as ``\\u001b``."""
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def spellings(secrets: t.Iterable[str]) -> list[str]:
    """Return secrets as an answer may spell them: as plain text, in JSON, in Python.

    Longer ones come first, as one secret may be a part of another.
    """
    plain = {secret for secret in secrets if secret}
    escaped = plain | {
        json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        for secret in plain
        for ascii_only in (True, False)
    }
    return sorted(escaped | {repr(secret)[1:-1] for secret in escaped}, key=len, reverse=True)
