# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a report, cleaned for every format and described for readers. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import math
import re
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    OPERATORS,
    SEVERITIES,
)

MOST_SEVERE_FIRST = tuple(reversed(SEVERITIES))

# Not allowed in XML, lone surrogates, and marks that change the order of text.
UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
MAXIMUM_DEPTH = 110
"""Nested mappings and lists; an answer of the API has up to 100 levels, a report adds some."""
TOO_DEEP = "(nested too deeply)"
INTEGER_BITS = 64
"""Limit of programs that read JSON."""


def clean(value: t.Any, depth: int = 0) -> t.Any:
    """Return a value that every format can contain, without invisible characters.

    Names come first, all other keys are sorted. Infinite or too large numbers and too deeply nested
    values become text.

    :param depth: Number of mappings and lists around the value.
    """
    if isinstance(value, str):
        return UNWANTED.sub("\ufffd", value)
    if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
        return hex(value)  # because Python refuses to write large numbers in decimal
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if not isinstance(value, (dict, list, tuple, Mapping)):
        return clean(str(value))
    if depth >= MAXIMUM_DEPTH:
        return TOO_DEEP
    if isinstance(value, (list, tuple)):
        return [clean(item, depth + 1) for item in value]
    items = [(clean(str(key)), clean(item, depth + 1)) for key, item in value.items()]
    return dict(sorted(items, key=lambda pair: (pair[0] != "name", pair[0])))


def to_text(value: t.Any) -> str:
    """Return a value as clean text, empty for ``None``."""
    return "" if value is None else str(clean(value)).strip()


def count_noun(count: int, noun: str) -> str:
    """Return a count with its noun in singular or plural."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shorten(text: str, length: int) -> str:
    """Return a text cut to ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}\u2026"


def count_severities(severities: Iterable[str]) -> str:
    """Return the counts of the severities as a part of a sentence, the most severe first."""
    occurrences = list(severities)
    counts = ((occurrences.count(severity), severity) for severity in MOST_SEVERE_FIRST)
    return ", ".join(f"{count} {severity}" for count, severity in counts if count)


def describe_lines(value: t.Any, name: str = "") -> list[str]:
    """Return a clean value or requirement as lines of text, one per field or object."""
    head = f"{name}: " if name else ""
    if isinstance(value, dict) and value and set(value) <= set(OPERATORS):
        bounds = [f"{key.replace('_', ' ')} {describe(item)}" for key, item in value.items()]
        return [head + ", ".join(bounds)]
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            lines += describe_lines(item, f"{name}.{key}" if name else str(key))
        return lines
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return [head + describe(item) for item in value]
    return [] if value is None and not name else [head + describe(value)]


def describe(value: t.Any) -> str:
    """Return a clean value as one line of text."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        fields = [f"{key}: {describe(item)}" for key, item in value.items() if item is not None]
        return ", ".join(fields) or "nothing"
    if isinstance(value, list):
        return ", ".join(map(describe, value)) or "none"
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)
