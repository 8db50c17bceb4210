# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots: the part of an organization's state that can be restored. Pure functions, no I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Collection

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._escapes import escape
from ansible_collections.planasonix.admin.plugins.module_utils._fields import unlimited_fields
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text, without
from ansible_collections.planasonix.admin.plugins.module_utils._requirements import check_baseline
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible
from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import (
    exported,
    list_omissions,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._rollback import rolled_back

ITEMS = {
    "ip_whitelist": ("entries", "cidr", "IP allowlist entry"),
    "notification_channels": ("present", "name", "notification channel"),
    "notification_rules": ("present", "name", "notification rule"),
}
"""Resources that are lists: where a control has the items, what identifies one, and its name."""

Check = Callable[[Values], None]
"""Raises :class:`InvalidOption` if a control or an item could not be restored as it is."""


def take_snapshot(facts: Values, unavailable: Collection[str] = ()) -> Values:
    """Return the content of a snapshot or an export, as it is written to a file.

    What could not be restored is left out, with a note.

    :param facts: What ``planasonix_info`` returns, with ``organization`` for a snapshot.
    :param unavailable: Subsets that it could not read, and that are left out.
    :raises InvalidOption: if nothing could be restored from it.
    """
    notes = list_omissions(facts, unavailable)
    known = {name: value for name, value in facts.items() if name not in unavailable}
    controls = []
    for control in exported(facts, unavailable):
        require = keep_restorable(control, known, notes)
        if require:
            controls.append({**control, "require": require})
    if not controls:
        raise InvalidOption(" ".join(notes) or "it contains nothing.")
    snapshot: Values = {"controls": controls}
    if facts.get("organization"):
        snapshot = {"organization": facts["organization"], **snapshot}
    if notes:
        snapshot["notes"] = list(map(visible, notes))
    return t.cast(Values, escape(snapshot))


def keep_restorable(control: Values, facts: Values, notes: list[str]) -> Values:
    """Return what a control requires, without what could not be restored.

    :param facts: What is known of the organization.
    :param notes: Takes a sentence for each value that is left out.
    """
    resource, require = control["resource"], control["require"]
    title = control["title"].removesuffix(" as exported")

    def check_alone(values: Values) -> None:
        check_baseline({"controls": [{**control, "require": values}]})

    def check_restoring(values: Values) -> None:
        restored = rolled_back({"controls": [{**control, "require": values}]}, facts)
        check_baseline({"controls": restored.controls})

    for name in [] if resource in ITEMS else unlimited_fields(resource, require):
        value = as_text(require[name])
        notes.append(f"{title}: {name} is {value}, which may mean no limit, and is left out.")
        require = without(require, name)
    if complain(check_restoring, require) is None:
        return require
    require = keep_valid({**control, "title": title, "require": require}, check_alone, notes)
    complaint = complain(check_restoring, require)
    if complaint is None:
        return require
    notes.append(f"{title}: nothing can be restored, so all is left out. {complaint}")
    return {}


def keep_valid(control: Values, check: Check, notes: list[str]) -> Values:
    """Return what a control requires, without the items or fields that cannot be required.

    Of a channel or rule at least the name is kept. It would count as a newer one otherwise. An entry
    is kept as a whole or not at all, since one without a label is one that had none.
    """
    resource, require = control["resource"], control["require"]
    if resource not in ITEMS:
        return keep_fields(require, {}, check, control["title"], notes)
    where, key, kind = ITEMS[resource]

    def check_item(item: Values) -> None:
        check({**require, where: [item]})

    kept: list[Values] = []
    for item in require[where]:
        title = f"The {kind} {item[key]!r}"
        least = item if resource == "ip_whitelist" else {key: item[key]}
        complaint = complain(check_item, least)
        if complaint is None:
            kept.append(keep_fields(item, least, check_item, title, notes))
        else:
            notes.append(f"{title} is left out. {complaint}")
    result = {**require, where: kept}
    if "purge" in require and len(kept) < len(require[where]):
        notes.append(f"A rollback removes no {kind} that is newer than the snapshot.")
        result = without(result, "purge")
    return result


def keep_fields(
    values: Values, least: Values, check: Check, title: str, notes: list[str]
) -> Values:
    """Return the values that can be required together, the first ones first.

    :param least: Values that are kept in any case.
    :param title: What the values belong to, for the notes.
    """
    kept = dict(least)
    for name, value in values.items():
        if name in least:
            continue
        complaint = complain(check, {**kept, name: value})
        if complaint is None:
            kept[name] = value
        else:
            notes.append(f"{title}: {name} is left out. {complaint}")
    return kept


def complain(check: Check, values: Values) -> str | None:
    """Return why values cannot be required, or ``None`` if they can."""
    try:
        check(values)
    except InvalidOption as error:
        return error.message
    return None
