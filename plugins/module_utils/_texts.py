# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of the API on their way into messages and results.

Messages have one line, no secrets and no control characters; results have no half characters.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import re
import typing as t
import unicodedata
from collections.abc import Callable, Mapping

HALF = re.compile("[\ud800-\udfff]")
"""Half of a character that takes two (a lone surrogate): JSON can contain one, UTF-8 cannot."""
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that control a terminal, reverse the direction of text, or cannot be encoded."""


def normalize(text: str) -> str:
    """Return a text as APIs store it: without outer blanks, and with composed characters (NFC)."""
    return unicodedata.normalize("NFC", text).strip()


def one_line(text: str, limit: int = 200) -> str:
    """Return the text on one line, shortened, with control characters as visible escapes."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def visible(text: str) -> str:
    """Replace control characters by escapes such as ``\\u001b``."""
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def censor(text: str, secrets: t.Iterable[str]) -> str:
    """Return a text without secrets, of which each spelling must be given."""
    for secret in secrets:
        text = text.replace(secret, "********")
    return text


def spellings(secrets: t.Iterable[str]) -> list[str]:
    """Return secrets as an answer may spell them: as plain text, in JSON, in Python.

    Longer ones come first, as one secret may be a part of another.
    """
    plain = {secret for secret in secrets if secret}
    escaped = plain | {json.dumps(secret)[1:-1] for secret in plain}
    escaped |= {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in plain}
    return sorted(escaped | {repr(secret)[1:-1] for secret in escaped}, key=len, reverse=True)


def map_texts(value: t.Any, change: Callable[[str], str]) -> t.Any:
    """Return a value with each text in it changed, keys of mappings too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, (list, tuple)):
        return [map_texts(item, change) for item in value]
    if isinstance(value, Mapping):
        return {map_texts(key, change): map_texts(item, change) for key, item in value.items()}
    return value


def spell_out(text: str) -> str:
    """Return a text with half characters as escapes that people can see: ``\\ud83d``."""
    return HALF.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Halves:
    """The texts of an API that contain half characters: spelled out in use, sent as they came."""

    def __init__(self) -> None:
        self.originals: dict[str, str] = {}

    def read(self, value: t.Any) -> t.Any:
        """Return a decoded answer with half characters spelled out."""
        return map_texts(value, self._remember)

    def write(self, value: t.Any) -> t.Any:
        """Return a body with each text that was read as it came."""
        if not self.originals:
            return value
        return map_texts(value, lambda text: self.originals.get(text, text))

    def _remember(self, text: str) -> str:
        spelled = spell_out(text)
        if spelled != text:
            self.originals[spelled] = text
        return spelled
