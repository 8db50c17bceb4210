# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of roles as the types that they have. Pure functions, no I/O.

Ansible validates the arguments of a role, but hands over what the user wrote: ``-e`` gives text.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import ast
import json
import typing as t
from collections.abc import Mapping

from ansible.module_utils.common.validation import check_type_dict

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption

KINDS = {"list": "a list, or text with commas", "dict": "a mapping, or JSON"}


def read_variable(name: str, value: t.Any, kind: str, elements: str = "str") -> t.Any:
    """Return a variable as a list or a mapping; an empty one, and null, is an empty one of these.

    :param kind: ``list`` or ``dict``.
    :param elements: What a list contains: ``str`` or ``dict``.
    :raises InvalidOption: if the value is something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return [] if kind == "list" else {}
    if kind == "dict":
        return read_mapping(name, value, KINDS[kind])
    if isinstance(value, str):
        value = split_text(name, value, elements)
    elif is_element(value, elements):
        value = [value]
    if not isinstance(value, list):
        raise InvalidOption(f"{name} is {describe(value)}; expected {KINDS[kind]}.")
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


def split_text(name: str, text: str, elements: str) -> t.Any:
    """Return what a text means as a list: JSON, or elements with commas between them.

    :raises InvalidOption: if it begins like JSON and is none.
    """
    text = text.strip()
    if text[0] not in "[{" and elements == "str":
        return text.split(",")
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return [found] if isinstance(found, dict) else found
    expected = "a list of mappings" if elements == "dict" else KINDS["list"]
    raise InvalidOption(f"{name} is text that is not JSON; expected {expected}.")


def read_mapping(name: str, value: t.Any, expected: str) -> dict[str, t.Any]:
    """Return a mapping, or what a text means as one.

    :raises InvalidOption: if it is neither.
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
    """Return what a value is, without the value, which may be a secret."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    return "text" if isinstance(value, str) else "a number"
