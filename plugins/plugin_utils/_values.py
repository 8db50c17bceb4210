# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of Ansible: without its tags and types, and texts marked as templates or as unsafe.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible import template
from ansible.utils.unsafe_proxy import wrap_var

MARKS_TEMPLATES = hasattr(template, "trust_as_template")
"""Whether only marked texts are templates, as since ansible-core 2.19."""

mark_trusted: Callable[[str], str] = getattr(template, "trust_as_template", lambda text: text)


def mark_unsafe(value: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return untagged values so that Ansible does not render their texts."""
    return value if MARKS_TEMPLATES else t.cast(dict[str, t.Any], wrap_var(value))


def untag(value: t.Any) -> t.Any:
    """Return a value without Ansible's tags and with decrypted texts, as a module gets it."""
    if isinstance(value, Mapping):
        return {untag(str(key)): untag(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [untag(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(str(value))  # because str() in ansible-core 2.16 returns a type of Ansible
