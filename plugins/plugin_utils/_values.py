# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's values as plain ones, and texts as templates. Apart from the action plugin, so that a worker which runs a filter loads no more than this.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible import template

# Since ansible-core 2.19 a text is a template only if it is marked as one. Before, every text is one unless it is marked as unsafe.
trusted: Callable[[str], str] = getattr(template, "trust_as_template", lambda text: text)


def plain(value: t.Any) -> t.Any:
    """The value as a module gets it by JSON: without Ansible's tags, and with vaulted strings decrypted."""
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(str(value))  # str() alone gives ansible-core 2.16's own type of text back
