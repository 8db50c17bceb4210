# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options as users write them: trimmed, and refused if they are empty. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._texts import HALF, normalize

IDENTIFIERS = frozenset({"name", "key_id", "channel_id", "event", "type"})
"""Options that identify something, of any module: an empty text means an unset variable."""

MOST_DAYS = 36_500
"""Days, about a century, that an option may ask for at most. Times cannot be added without end."""


def clean_options(options: Values, where: str = "") -> Values:
    """Trim what identifies something, and each text of a list.

    :param where: What the options belong to, for messages.
    :raises InvalidOption: if one of them is empty, or no text.
    """
    place = f"{where}: " if where else ""
    cleaned = dict(options)
    for name, value in options.items():
        check_characters(value, f"{place}{name}")
        if name in IDENTIFIERS and isinstance(value, str):
            cleaned[name] = clean_text(value, f"{place}{name}")
        elif isinstance(value, list):
            cleaned[name] = [clean_element(item, f"{place}an element of {name}") for item in value]
    return cleaned


def clean_element(item: t.Any, what: str) -> t.Any:
    """Trim an element of a list option, if it is a text."""
    return clean_text(item, what) if isinstance(item, str) else item


def clean_text(text: str, what: str) -> str:
    """Trim a text, and compose its characters (NFC), as APIs store names.

    :raises InvalidOption: if nothing remains.
    """
    cleaned = normalize(text)
    if not cleaned:
        raise InvalidOption(f"{what} is empty; is the variable that it comes from set?")
    return cleaned


def check_characters(value: t.Any, what: str) -> None:
    """Refuse half a character (a lone surrogate), which no result and no file could hold.

    :raises InvalidOption: with the option.
    """
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        for item in value:
            check_characters(item, what)
    elif isinstance(value, str) and HALF.search(value):
        raise InvalidOption(
            f"{what} contains half a character (a lone surrogate); write the whole character."
        )


def check_filled(options: Values, *names: str) -> None:
    """Refuse texts that are empty, which usually come from a variable that is not set.

    :raises InvalidOption: with the first of them.
    """
    for name in names:
        if options.get(name) == "":
            raise InvalidOption(f"{name} is empty; is the variable that it comes from set?")
