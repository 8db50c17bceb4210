# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of an organization for the inventory: their shape, their bounds, and safe texts.

No answer of one organization may affect another organization.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import math
import typing as t
from collections.abc import Mapping

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._fields import IDENTIFYING, NAMES
from ansible_collections.planasonix.admin.plugins.module_utils._texts import (
    Secrets,
    visible,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag

Facts = dict[str, t.Any]
"""Facts of one organization, by subset."""

PATHS = {
    "organization": "/api/organization",
    "tier": "/api/tier",
    "features": "/api/features",
    "limits": "/api/features/limits",
}
"""Path of each subset that the plugin reads."""
DEEPEST = 20
MOST_VALUES = 10_000
MOST_CHARACTERS = 200_000
"""Bounds of each answer. Documented answers have a depth of 2 and about 100 values at most."""
LONGEST_MESSAGE = 1_000
NO_SECRETS = Secrets()
MARK = "__ansible"
"""How the keys begin with which Ansible marks values in JSON, in its cache as well."""


def clean_message(message: str, secrets: Secrets = NO_SECRETS) -> str:
    """Return the message on one line, shortened, without secrets and control characters."""
    return secrets.quote(str.__str__(message), LONGEST_MESSAGE)


def clean(value: t.Any, secrets: Secrets = NO_SECRETS) -> t.Any:
    """Return a checked value as a plain one, with each of its texts cleaned."""
    if isinstance(value, Mapping):
        return {clean(key, secrets): clean(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, secrets) for item in value]
    return visible(secrets.censor(str.__str__(value))) if isinstance(value, str) else untag(value)


def find_fault(value: t.Any) -> str | None:
    """Return why a value cannot be in an inventory, ``None`` if it can.

    Checks one level after the other, because a recursion could be too deep.
    """
    level = [value]
    values = characters = 0
    for _depth in range(DEEPEST):
        values += len(level)
        characters += sum(len(item) for item in level if isinstance(item, str))
        if values > MOST_VALUES or characters > MOST_CHARACTERS:
            return (
                f"is too large, with more than {MOST_VALUES} values or {MOST_CHARACTERS} characters"
            )
        below: list[t.Any] = []
        for item in level:
            if isinstance(item, Mapping):
                if any(str(key).startswith(MARK) for key in item):
                    return f"has a key that begins with {MARK}, which Ansible reserves"
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, float) and not math.isfinite(item):
                return "has a number that is not finite"
            elif item is not None and not isinstance(item, (str, int, float)):
                return "has a value that JSON does not support"
        if not below:
            return None
        level = below
    return f"is nested more than {DEEPEST} levels deep"


def unusable_answer(subset: str, fault: str) -> ApiError:
    """Return the error for an answer that cannot be used."""
    return ApiError(
        f"Could not read the {subset}: the answer to GET {PATHS[subset]} {fault}.",
        method="GET",
        path=PATHS[subset],
    )


def check_facts(facts: t.Any, secrets: Secrets = NO_SECRETS) -> Facts:
    """Return read or cached facts of an organization as plain values with clean texts.

    :param secrets: Secrets to censor in all texts.
    :raises ApiError: if the facts have an undocumented shape or exceed a bound.
    """
    checked: Facts = {}
    for subset in PATHS:
        value = facts.get(subset) if isinstance(facts, Mapping) else None
        fault = find_fault(value)
        if fault:
            raise unusable_answer(subset, fault)
        checked[subset] = clean(value, secrets)
        if subset == "features":
            checked[subset] = NAMES.read_or_none(checked[subset])
            if checked[subset] is None:
                raise unusable_answer(subset, "has no list of features")
        elif not isinstance(checked[subset], dict):
            raise unusable_answer(subset, "is not the documented object")
    check_identity(checked["organization"])
    return checked


def recall_identity(item: t.Any) -> dict[str, str]:
    """Return the cached ID and slug of an organization, of any age; empty if unknown."""
    facts = item.get("facts") if isinstance(item, Mapping) else None
    organization = facts.get("organization") if isinstance(facts, Mapping) else None
    if not isinstance(organization, Mapping):
        return {}
    identifier, slug = organization.get("id"), organization.get("slug")
    if identifier is None or not isinstance(slug, str):
        return {}
    return {"id": str(identifier), "slug": str.__str__(slug)}


def check_identity(organization: Mapping[str, t.Any]) -> None:
    """Require an ID, and a text as the slug, if any.

    :raises ApiError: with the name of the field.
    """
    identifier, slug = organization.get("id"), organization.get("slug")
    if IDENTIFYING["id"].read_or_none(identifier) is None:
        raise unusable_answer("organization", "has no ID that is text")
    if slug is not None and not isinstance(slug, str):
        raise unusable_answer("organization", "has a slug that is not text")
