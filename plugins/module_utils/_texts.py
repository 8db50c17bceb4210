# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of the API on their way into messages, results and files. Pure.

Messages have one line, no secrets and no control characters; results have no half characters.
Ansible renders ``{{ }}`` in a file of variables, and in a template. Such a text is written as
``ESCAPED:`` and the text with ``%25`` for ``%`` and ``%7B`` for ``{``. A text that begins with
``ESCAPED:`` itself is written like that, too.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import html
import itertools
import json
import re
import typing as t
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import quote

HALF = re.compile("[\ud800-\udfff]")
"""Half of a character that takes two (a lone surrogate): JSON can contain one, UTF-8 cannot."""
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Characters that control a terminal, reverse the direction of text, or cannot be encoded."""
CENSORED = "********"
SHORTEST_SECRET = 6
"""Characters of a new secret at least, as many as a TOTP code has."""
LONGEST_SECRET = 10_000
MOST_SECRETS = 1_000
"""Bounds of what an API makes at once. Each spelling takes up to six times the memory of a text."""
ANY_SECRET = re.compile(r"plnx_live_[\w-]{12,}|otpauth://[^\s\"'<>]+")
"""What reads like a secret, in a text that may quote anything."""


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


class Secrets:
    """Texts that no message may contain, in whatever way an API spells them.

    :ivar escaped_forms: All of them as plain text, in JSON, Python, HTML and URLs. Longer ones come
        first, as one secret may be a part of another.
    :ivar minted: Those of new secrets, which Ansible does not know from the arguments.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.escaped_forms = spell(texts)
        self.minted: list[str] = []

    def learn(self, value: t.Any) -> None:
        """Add the texts in a value that the API just made, if they have the length of a secret."""
        texts = itertools.islice(texts_in(value), MOST_SECRETS)
        new = spell(text for text in texts if SHORTEST_SECRET <= len(text) <= LONGEST_SECRET)
        self.minted = sorted({*self.minted, *new}, key=len, reverse=True)
        self.escaped_forms = sorted({*self.escaped_forms, *new}, key=len, reverse=True)

    def censor(self, text: str) -> str:
        """Return a text without the secrets."""
        return replace_all(text, self.escaped_forms)

    def censor_minted(self, text: str) -> str:
        """Return a text without the new secrets."""
        return replace_all(text, self.minted)

    def quote(self, text: str, limit: int = 200) -> str:
        """Return a text of the API for a message, without anything that reads like a secret.

        Secrets go before the text is shortened, or a part of one would stay.
        """
        return one_line(ANY_SECRET.sub(CENSORED, self.censor(text)), limit)


def spell(texts: Iterable[str]) -> list[str]:
    """Return texts in each way in which an API may spell them, the longest first."""
    spelled: set[str] = set()
    for text in filter(None, texts):
        escaped = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        spelled |= escaped | {repr(spelling)[1:-1] for spelling in escaped}
        spelled |= {html.escape(text), quote(text, safe="", errors="replace")}
    return sorted(spelled, key=len, reverse=True)


def replace_all(text: str, escaped_forms: Iterable[str]) -> str:
    """Return a text with asterisks in place of each spelling."""
    for spelling in escaped_forms:
        text = text.replace(spelling, CENSORED)
    return text


def texts_in(value: t.Any) -> Iterator[str]:
    """Yield the texts in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from texts_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)


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


ESCAPED = "ESCAPED:"
TEMPLATE = re.compile("\\{[{%#]")
CODES = {"%": "%25", "{": "%7B"}
CHARACTERS = {code: character for character, code in CODES.items()}


def escape(value: t.Any) -> t.Any:
    """Return a value without marks of templates, at any depth and in keys."""
    return map_texts(value, escape_text)


def unescape(value: t.Any) -> t.Any:
    """Return the value that :func:`escape` was given."""
    return map_texts(value, unescape_text)


def escape_text(text: str) -> str:
    """Return a text as it is, or escaped if a template could begin in it."""
    if not text.startswith(ESCAPED) and not TEMPLATE.search(text):
        return text
    return ESCAPED + re.sub("[%{]", lambda found: CODES[found[0]], text)


def unescape_text(text: str) -> str:
    """Return a text that may be escaped as it was."""
    if not text.startswith(ESCAPED):
        return text
    return re.sub("%25|%7B", lambda found: CHARACTERS[found[0]], text.removeprefix(ESCAPED))
