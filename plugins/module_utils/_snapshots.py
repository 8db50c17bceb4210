# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots: the part of an organization that can be restored, its file, and the rollback.

A file is written as a whole or not at all, for its owner alone.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
import typing as t
from collections.abc import Callable, Collection, Mapping

from ansible_collections.planasonix.admin.plugins.module_utils import _exports, _policies
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    find_unlimited,
    read_name,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Plan,
    Values,
    as_text,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policy import Organization
from ansible_collections.planasonix.admin.plugins.module_utils._resource import same_id
from ansible_collections.planasonix.admin.plugins.module_utils._secret_file import (
    NO_HARD_LINKS,
    discard,
    make_draft,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import (
    escape,
    unescape,
    visible,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

ITEMS = {
    "ip_whitelist": ("entries", "cidr", "IP allowlist entry"),
    "notification_channels": ("present", "name", "notification channel"),
    "notification_rules": ("present", "name", "notification rule"),
}
"""Resources that are lists: where a control has the items, what identifies one, and its name."""

EXPORTS = {
    name: policy.export
    for name, policy in sorted(_policies.POLICIES.items(), key=lambda item: item[1].order)
    if policy.export is not None
}
"""What is exported, in the order of writes, each with how its facts become a requirement."""

Check = Callable[[Values], None]
"""Raises :class:`InvalidOption` if a control or an item could not be restored as it is."""


# Before a baseline writes.


def snapshot_before_write(
    client: Client, plan: Plan, organization: Organization, options: Values
) -> Values:
    """Write what was read to ``snapshot_file``, if the plan changes something.

    Resources that no control is about are read for it. In check mode nothing is written.

    :returns: Keys of the result.
    :raises PlanasonixError: if there can be no snapshot. Then nothing may be written to the API.
    """
    if "snapshot_file" not in options:
        return {}
    for name, error in organization.errors.items():
        if error.affects_every_request or (name in EXPORTS and not _policies.is_unavailable(error)):
            raise explain_unreadable(error)
    if not plan.changed:
        return {}
    path = os.path.abspath(options["snapshot_file"])
    check_path(path)
    facts, unavailable = read_restorable(client, organization)
    try:
        snapshot = take_snapshot(facts, unavailable)
    except InvalidOption as error:
        raise InvalidOption(
            f"The snapshot {path} cannot be taken, since nothing could be restored from it. "
            f"Nothing was changed. {error.message}"
        ) from None
    if not client.read_only:
        write_snapshot(path, snapshot)
    return {"snapshot_file": path, "snapshot_notes": snapshot.get("notes", [])}


def read_restorable(client: Client, organization: Organization) -> tuple[Values, Values]:
    """Return all facts that a snapshot is made of, and what the key may not read.

    :raises ApiError: if a resource cannot be read for another reason.
    """
    facts: Values = {}
    unavailable: Values = {}
    for name in ("organization", *EXPORTS):
        try:
            facts[name] = find_facts(client, name, organization, facts)
        except ApiError as error:
            if not _policies.is_unavailable(error):
                raise explain_unreadable(error) from None
            unavailable[name] = {"msg": error.message}
    return facts, unavailable


def find_facts(client: Client, name: str, organization: Organization, facts: Values) -> t.Any:
    """Return the facts of a subset, from what was read for the controls if possible.

    :param facts: Subsets that come before it.
    :raises ApiError: if it could not be read.
    """
    policy = _policies.POLICIES[name]
    if name in organization.errors:
        raise organization.errors[name]
    if name in organization.values:
        value = organization.values[name]
    elif policy.read is None:
        return policy.read_facts(client, facts)
    else:
        value = policy.read(client, ())
    return value if policy.to_facts is None else policy.to_facts(value, facts)


def explain_unreadable(error: ApiError) -> ApiError:
    """Return the error of a resource of which there can be no snapshot."""
    error.message = f"No snapshot can be taken, so nothing was changed. {error.message}"
    return error


# What can be restored.


def take_snapshot(facts: Values, unavailable: Collection[str] = ()) -> Values:
    """Return the content of a snapshot or an export, as it is written to a file.

    What could not be restored is left out, with a note.

    :param facts: What ``planasonix_info`` returns, with ``organization`` for a snapshot.
    :param unavailable: Subsets that it could not read, and that are left out.
    :raises InvalidOption: if nothing could be restored from it.
    """
    notes = list_unavailable(unavailable) + list_omissions(facts, unavailable)
    known = {name: value for name, value in facts.items() if name not in unavailable}
    controls = []
    for control in controls_from_facts(facts, unavailable):
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
    resource: str = control["resource"]
    require: Values = control["require"]
    title = control["title"].removesuffix(" as exported")

    def check_alone(values: Values) -> None:
        _policies.check_baseline({"controls": [{**control, "require": values}]})

    def check_restoring(values: Values) -> None:
        plan = plan_rollback({"controls": [{**control, "require": values}]}, facts)
        _policies.check_baseline({"controls": plan.controls})

    for name in [] if resource in ITEMS else find_unlimited(resource, require):
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

    Of a channel or rule at least the name is kept. It would count as a newer one otherwise. An
    entry is kept as a whole or not at all, since one without a label is one that had none.
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


def controls_from_facts(facts: Values, unavailable: Collection[str] = ()) -> list[Values]:
    """Return the state of an organization as controls.

    Given to the baseline they change nothing there, and make another organization alike.

    :param facts: What ``planasonix_info`` returns of it.
    :param unavailable: Subsets that it could not read, and that are left out.
    """
    return [
        {
            "id": name,
            "title": f"{_exports.to_title(name)} as exported",
            "resource": name,
            "require": export(facts[name]),
        }
        for name, export in EXPORTS.items()
        if name not in unavailable
    ]


def list_unavailable(unavailable: Collection[str]) -> list[str]:
    """Return which subsets could not be read, as sentences, if the reasons are known."""
    if not isinstance(unavailable, Mapping):
        return []
    return [
        f"{_exports.to_title(name)}: left out. {error['msg']}"
        for name, error in unavailable.items()
    ]


def list_omissions(facts: Values, unavailable: Collection[str] = ()) -> list[str]:
    """Return what an export leaves out, as sentences."""
    notes = []
    for resource, what, export in (
        ("notification_channels", "channel", _exports.export_channel),
        ("notification_rules", "rule", _exports.export_rule),
    ):
        items = () if resource in unavailable else facts.get(resource) or ()
        for item in items:
            if _exports.is_named(item):
                notes += list_omitted_fields(item, export, f"notification {what}")
            else:
                notes.append(
                    f"The notification {what} {item.get('id')} has no name and is left out."
                )
    return notes


def list_omitted_fields(item: Values, export: Callable[[Values], Values], what: str) -> list[str]:
    """Return the fields of a channel or rule that cannot be read or required, as sentences."""
    item = {**item, "name": read_name(item)}
    exported_fields = export(item)
    return [
        f"The {what} {item['name']!r}: {name} is not as documented, and is left out."
        for name in ("type", "event", "channels", "filters", "enabled")
        if item.get(name) is not None and name not in exported_fields
    ]


try:
    import yaml
except ImportError:  # Ansible needs it on the controller only
    yaml = None  # type: ignore[assignment]

UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON allows in a text, and YAML does not or takes for line breaks."""


def to_text(snapshot: Values) -> str:
    """Return a snapshot as YAML; as JSON, which YAML contains, if there is no PyYAML."""
    if yaml is None:
        text = json.dumps(snapshot, indent=2, ensure_ascii=False)
        return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
    content: str = yaml.safe_dump(
        snapshot, default_flow_style=False, allow_unicode=True, indent=2, sort_keys=False
    )
    return content


def check_path(path: str) -> None:
    """Refuse a path at which no snapshot can be written. Creates nothing.

    :raises InvalidOption: with the reason.
    """
    obstacle = find_obstacle(path)
    if obstacle:
        raise InvalidOption(
            f"The snapshot {path} cannot be written: {obstacle}. Nothing was changed. "
            "Choose another snapshot_file, or correct that."
        )


def find_obstacle(path: str) -> str | None:
    """Return why no file can be made at an absolute path; ``None`` if nothing is known."""
    folder, name = os.path.split(path)
    if not name or "\0" in path:
        return "it is not the path of a file"
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        return "it is not a regular file"
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return f"{folder} is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is not writable"
    return None


def write_snapshot(path: str, snapshot: Values) -> None:
    """Write a snapshot with mode 0600. An older one stays next to it, with the time in its name.

    :param path: An absolute path.
    :raises InvalidOption: if it cannot be written; what was there before is untouched.
    """
    try:
        make_folder(os.path.dirname(path))
        draft = make_draft(path, to_text(snapshot))
        try:
            keep_older(path)
            os.replace(draft, path)
        except BaseException:
            discard(draft)
            raise
    except OSError as error:
        raise InvalidOption(
            f"The snapshot {path} cannot be written ({error.strerror}). Nothing was changed. "
            "Choose another snapshot_file, or correct that."
        ) from None


def make_folder(folder: str) -> None:
    """Create a folder and those above it for their owner alone. Existing ones keep their mode."""
    if os.path.isdir(folder):
        return
    make_folder(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:  # made by another host of the play
        if not os.path.isdir(folder):
            raise


def keep_older(path: str) -> None:
    """Keep the snapshot that is there, under the name that Ansible gives to a backup."""
    if not os.path.lexists(path):
        return
    backup = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S~')}"
    try:
        os.link(path, backup, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        os.rename(path, backup)


def plan_rollback(snapshot: t.Any, facts: Values) -> _exports.RollbackPlan:
    """Return the way from the state of an organization to its snapshot.

    :param snapshot: A mapping with ``controls``, as :func:`_snapshots.take_snapshot` returns one.
    :param facts: What ``planasonix_info`` returns of the organization as it is. What it could not
        read is not among it; the baseline will say why.
    :raises InvalidOption: if it is not a snapshot of this organization.
    """
    plan = _exports.RollbackPlan()
    snapshot = unescape(snapshot)
    controls = parse_snapshot(snapshot)
    check_organization(snapshot.get("organization"), facts.get("organization"))
    # Channels before the rules that name them, also in a snapshot that was edited.
    for control in sorted(controls, key=is_about_rules):
        resource = control["resource"]
        restore = _policies.POLICIES[resource].restore if resource in facts else None
        if restore is not None:
            plan.controls += restore(control, facts, plan)
        elif control["require"]:
            plan.controls.append(control)
    return plan


def is_about_rules(control: Values) -> bool:
    """Return whether a control is about notification rules."""
    return bool(control["resource"] == "notification_rules")


def check_organization(taken: t.Any, found: t.Any) -> None:
    """Refuse the snapshot of another organization.

    A host may have come to mean another one, which would lose its channels and its allowlist.

    :param taken: ``organization`` of the snapshot, with ``id``. An export has none, and may be
        given to any organization.
    :param found: What ``planasonix_info`` returns as ``organization``.
    :raises InvalidOption: if both are known and differ.
    """
    both = [one if isinstance(one, Mapping) else {} for one in (taken, found)]
    ids = [one.get("id") for one in both]
    if None not in ids and not same_id(*ids):
        names = [
            f"{one.get('name') or one.get('slug') or 'an organization'} ({one['id']})"
            for one in both
        ]
        raise InvalidOption(
            f"it was taken of {names[0]}, and this is {names[1]}. Put the right file in its place, "
            "or remove organization from it to use it anyway."
        )


def parse_snapshot(snapshot: t.Any) -> list[Values]:
    """Return the controls of a snapshot.

    :raises InvalidOption: if it contains none.
    """
    controls = snapshot.get("controls") if isinstance(snapshot, Mapping) else None
    if not isinstance(controls, list) or not controls:
        raise InvalidOption(
            "it is no mapping with a list of controls, as planasonix.admin.harden and "
            "planasonix.admin.export write it."
        )
    for control in controls:
        check_control(control)
    return controls


def check_control(control: t.Any) -> None:
    """Refuse a control of a snapshot that was edited into something else.

    :raises InvalidOption: with the reason.
    """
    require = control.get("require") if isinstance(control, Mapping) else None
    if not isinstance(require, Mapping) or "resource" not in control:
        raise InvalidOption("each of its controls must have resource and require.")
    for name, key in (("entries", "cidr"), ("present", "name")):
        items = require.get(name, [])
        complete = isinstance(items, list) and all(
            isinstance(item, Mapping) and key in item for item in items
        )
        if not complete:
            raise InvalidOption(
                f"{name} of {control['resource']} must be a list of mappings that have {key}."
            )


def summarize_rollback(
    plan: _exports.RollbackPlan, result: Values, check_mode: bool
) -> dict[str, list[str]]:
    """Return what a rollback leaves, as sentences.

    ``unrestored`` lists differences from the snapshot, ``notes`` what else a reader needs to know.

    :param result: What ``planasonix_baseline`` returned for the controls.
    :param check_mode: Whether it did so in check mode, where nothing is restored yet.
    """
    notes = []
    if plan.secrets:
        notes.append(
            "These secrets cannot be compared with the snapshot, so they stay as they are now: "
            f"{', '.join(plan.secrets)}."
        )
    left = list(plan.left)
    for control in result["controls"]:
        left += list_reasons(control, check_mode)
    return {"notes": notes + plan.notes, "unrestored": list(dict.fromkeys(left))}


def list_reasons(control: Values, check_mode: bool) -> list[str]:
    """Return why a control does not hold after the baseline, or in check mode would not."""
    if control["status"] not in ("fail", "error", "not_entitled"):
        return []
    reasons: list[str] = control["unremedied"]
    if reasons or (check_mode and control["status"] == "fail" and control["remediable"]):
        return reasons
    return [control["detail"]]
