# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of the API that a file or a result cannot carry as they are. Pure functions, no I/O.

Ansible renders ``{{ }}`` in a file of variables, and in a template. YAML cannot carry a lone
surrogate, nor can what a module prints. Such a text is written as ``ESCAPED:`` and the text with
``%25`` for ``%``, ``%7B`` for ``{`` and ``%uD83D`` for a surrogate. A text that begins with
``ESCAPED:`` itself is written like that, too.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable, Mapping

PREFIX = "ESCAPED:"
SURROGATE = re.compile("[\ud800-\udfff]")
MARK_OR_SURROGATE = re.compile("\\{[{%#]|[\ud800-\udfff]")
TO_ENCODE = re.compile("[%{\ud800-\udfff]")
TO_DECODE = re.compile(r"%(?:25|7B|u(D[89A-F][0-9A-F]{2}))")
MESSAGES = ("msg", "detail", "warnings")
"""Keys of a result that have sentences, which nobody gives to a task again."""


def escape(value: t.Any) -> t.Any:
    """Return a value without marks of templates and lone surrogates, at any depth and in keys."""
    return map_texts(value, lambda text: encode(text, MARK_OR_SURROGATE))


def unescape(value: t.Any) -> t.Any:
    """Return the value that :func:`escape` or :func:`readable` was given."""
    return map_texts(value, decode)


def readable(result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a result without lone surrogates: ansible-core refuses them in a module's output."""
    try:
        text = json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return dict(result)
    if f'"{PREFIX}' not in text and (text.isascii() or not SURROGATE.search(text)):
        return dict(result)
    return t.cast(dict[str, t.Any], replace_surrogates(result))


def replace_surrogates(value: t.Any) -> t.Any:
    """Return a value of a result: sentences with ``\\ud83d``, all other texts escaped."""
    if isinstance(value, Mapping):
        return {
            encode(key, SURROGATE): map_texts(item, spell_out)
            if key in MESSAGES
            else replace_surrogates(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [replace_surrogates(item) for item in value]
    return encode(value, SURROGATE) if isinstance(value, str) else value


def spell_out(text: str) -> str:
    """Return a sentence with each surrogate as its number."""
    return SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def map_texts(value: t.Any, change: Callable[[str], str]) -> t.Any:
    """Return a value with each text in it changed, those that are keys included."""
    if isinstance(value, Mapping):
        return {map_texts(key, change): map_texts(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_texts(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def encode(text: str, unwanted: re.Pattern[str]) -> str:
    """Return a text as it is, or escaped if something in it is unwanted."""
    if not text.startswith(PREFIX) and not unwanted.search(text):
        return text
    return PREFIX + TO_ENCODE.sub(encode_character, text)


def encode_character(found: re.Match[str]) -> str:
    """Return one character as what stands for it."""
    number = ord(found[0])
    return f"%{number:02X}" if number < 0x80 else f"%u{number:04X}"


def decode(text: str) -> str:
    """Return a text that may be escaped as it was."""
    if not text.startswith(PREFIX):
        return text
    return TO_DECODE.sub(decode_character, text.removeprefix(PREFIX))


def decode_character(found: re.Match[str]) -> str:
    """Return the character that something stands for."""
    return chr(int(found[1] or found[0][1:], 16))
