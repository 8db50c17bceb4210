# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts of the API that Ansible would render in a file. Pure functions, no I/O.

Ansible renders ``{{ }}`` in a file of variables, and in a template. Such a text is written as
``ESCAPED:`` and the text with ``%25`` for ``%`` and ``%7B`` for ``{``. A text that begins with
``ESCAPED:`` itself is written like that, too.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._texts import map_texts

PREFIX = "ESCAPED:"
MARK = re.compile("\\{[{%#]")
CODES = {"%": "%25", "{": "%7B"}
CHARACTERS = {code: character for character, code in CODES.items()}


def escape(value: t.Any) -> t.Any:
    """Return a value without marks of templates, at any depth and in keys."""
    return map_texts(value, encode)


def unescape(value: t.Any) -> t.Any:
    """Return the value that :func:`escape` was given."""
    return map_texts(value, decode)


def encode(text: str) -> str:
    """Return a text as it is, or escaped if a template could begin in it."""
    if not text.startswith(PREFIX) and not MARK.search(text):
        return text
    return PREFIX + re.sub("[%{]", lambda found: CODES[found[0]], text)


def decode(text: str) -> str:
    """Return a text that may be escaped as it was."""
    if not text.startswith(PREFIX):
        return text
    return re.sub("%25|%7B", lambda found: CHARACTERS[found[0]], text.removeprefix(PREFIX))
