# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert variables of roles to their types. Pure functions, no I/O.

Ansible validates the arguments of a role, but does not convert the text of ``-e``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import ast
import json
import typing as t
from collections.abc import Collection, Iterable, Mapping

from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

KINDS = {"list": "a list, or text with commas", "dict": "a mapping, or JSON"}
MAPPINGS = "a list of mappings, or JSON"


def read_variable(name: str, value: t.Any, kind: str, elements: str = "str") -> t.Any:
    """Return a variable as a list or a mapping, empty for empty text and null.

    :param kind: ``list`` or ``dict``.
    :param elements: ``str`` or ``dict``, for a list.
    :raises InvalidOption: if the value has another type.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return [] if kind == "list" else {}
    if kind == "dict":
        return read_mapping(name, value, KINDS[kind])
    expected = MAPPINGS if elements == "dict" else KINDS[kind]
    if isinstance(value, str):
        value = split_text(name, value, elements, expected)
    elif is_element(value, elements):
        value = [value]
    if not isinstance(value, list):
        raise InvalidOption(f"{name} is {describe(value)}; expected {expected}.")
    if elements == "dict":
        return [read_mapping(f"An element of {name}", item, KINDS["dict"]) for item in value]
    for item in value:
        if isinstance(item, (Mapping, list, bool)) or item is None:
            raise InvalidOption(f"An element of {name} is {describe(item)}; expected text.")
    return [str(item).strip() for item in value if str(item).strip()]


def is_element(value: t.Any, elements: str) -> bool:
    """Return whether a value is the only element of a list."""
    if elements == "dict":
        return isinstance(value, Mapping)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_keys(
    name: str,
    elements: Iterable[Mapping[str, t.Any]],
    required: Collection[str],
    optional: Collection[str],
) -> None:
    """Check the keys of mappings.

    :raises InvalidOption: if a mapping lacks a key or has an unknown key.
    """
    for number, element in enumerate(elements, 1):
        missing = [key for key in required if element.get(key) in (None, "")]
        if missing:
            raise InvalidOption(f"Element {number} of {name} lacks {', '.join(missing)}.")
        unknown = [str(key) for key in element if key not in (*required, *optional)]
        if unknown:
            raise InvalidOption(
                f"Element {number} of {name} has {', '.join(unknown)}; "
                f"it may have {', '.join((*required, *optional))}."
            )


def split_text(name: str, text: str, elements: str, expected: str) -> t.Any:
    """Return the list in a text, which is JSON or has commas.

    :param expected: Expected type, for the error.
    :raises InvalidOption: if it begins like JSON but is invalid.
    """
    text = text.strip()
    if text[0] not in "[{" and elements == "str":
        return text.split(",")
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return [value] if isinstance(value, dict) else value
    raise InvalidOption(f"{name} is text that is not JSON; expected {expected}.")


def read_mapping(name: str, value: t.Any, expected: str) -> dict[str, t.Any]:
    """Return a mapping, or the mapping in a text.

    :raises InvalidOption: if the value is neither.
    """
    if isinstance(value, str):
        try:
            value = check_type_dict(value)
        except (TypeError, ValueError, SyntaxError):
            value = str(value)
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{name} is {describe(value)}; expected {expected}.")
    return dict(value)


def describe(value: t.Any) -> str:
    """Return the type of a value, without the value, which may be a secret."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    return "text" if isinstance(value, str) else "a number"
