# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each list of subsets, compared with the table of policies: what was forgotten is named."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from ansible_collections.planasonix.admin.plugins.module_utils._exports import export_object
from ansible_collections.planasonix.admin.plugins.module_utils._fields import DOCUMENTED
from ansible_collections.planasonix.admin.plugins.module_utils._policies import POLICIES
from ansible_collections.planasonix.admin.plugins.module_utils._policy import Policy
from ansible_collections.planasonix.admin.plugins.module_utils._snapshots import ITEMS
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_info,
)

ROOT = Path(__file__).resolve().parents[3]
REMEDIABLE = tuple(name for name, policy in POLICIES.items() if policy.is_remediable)
"""What a control can have changed."""

RESTORABLE = tuple(name for name in REMEDIABLE if not POLICIES[name].is_personal)
"""What is exported, kept in a snapshot and restored."""


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: str) -> t.Any:
    return yaml.safe_load(read(path))


def find_values(value: t.Any, key: str) -> list[t.Any]:
    """Return the values of a key, at any depth."""
    found: list[t.Any] = []
    if isinstance(value, dict):
        found += [value[key]] if key in value else []
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found += find_values(item, key)
    return found


def find_names(path: str, begin: str, end: str) -> list[str]:
    """Return the subsets that a part of a page names."""
    text = read(path)
    start = text.index(begin)
    part = text[start : text.index(end, start + len(begin)) + 1]
    return [name for name in re.findall(r"[`(](\w+)[`)]", part) if name in POLICIES]


def gathered(path: str) -> list[str]:
    """Return what the one task of a file that reads facts reads."""
    (subsets,) = find_values(load(path), "gather_subset")
    return list(subsets)


def tags(path: str) -> set[str]:
    """Return all tags in a file."""
    return set().union(*find_values(load(path), "tags"))


def profiled() -> set[str]:
    """Return what the shipped profiles have controls about."""
    resources: set[str] = set()
    for name in ("foundation", "strict"):
        resources |= {*find_values(load(f"roles/org_baseline/files/{name}.yml"), "resource")}
    return resources


def managed() -> list[str]:
    """Return the subsets that a module of their name manages; of a list, one of its objects."""
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("planasonix_*.py")}
    return [
        name
        for name in REMEDIABLE
        if modules & {f"planasonix_{name}", f"planasonix_{name.removesuffix('s')}"}
    ]


def select(test: t.Callable[[Policy], bool]) -> list[str]:
    """Return the subsets whose policy passes a test."""
    return [name for name, policy in POLICIES.items() if test(policy)]


AREAS = {*RESTORABLE, *profiled()}
"""What roles have tags for."""

AUDITED = set(POLICIES) - set(REMEDIABLE)
SUBSETS = [*POLICIES]
INFO = yaml.safe_load(planasonix_info.DOCUMENTATION)["options"]["gather_subset"]["choices"]
RESOURCE = yaml.safe_load(planasonix_baseline.DOCUMENTATION)["options"]["controls"]["suboptions"][
    "resource"
]

LISTS: dict[str, tuple[Iterable[str], Iterable[str]]] = {
    "playbooks/export.yml": (gathered("playbooks/export.yml"), RESTORABLE),
    "playbooks/rollback.yml": (gathered("playbooks/rollback.yml"), ["organization", *RESTORABLE]),
    "roles/org_baseline/tasks/main.yml": (
        tags("roles/org_baseline/tasks/main.yml"),
        {"org_baseline", *AREAS},
    ),
    "roles/org_onboarding/tasks/main.yml": (
        tags("roles/org_onboarding/tasks/main.yml"),
        {"org_onboarding", *AREAS},
    ),
    "roles/org_baseline/vars/main.yml": (
        load("roles/org_baseline/vars/main.yml")["__org_baseline_resources"],
        AREAS,
    ),
    "roles/compliance_audit/vars/main.yml": (
        load("roles/compliance_audit/vars/main.yml")["__compliance_audit_resources"],
        AREAS,
    ),
    **{
        f"roles/{role}/README.md": (find_names(f"roles/{role}/README.md", "## Tags", "## "), AREAS)
        for role in ("org_baseline", "compliance_audit", "org_onboarding")
    },
    "guide_audit.rst": (
        find_names("docs/docsite/rst/guide_audit.rst", "The tags are ", "To leave out"),
        AREAS,
    ),
    "guide_controls.rst, changed": (
        find_names(
            "docs/docsite/rst/guide_controls.rst", "   * - Resource\n     - How", "only audited"
        ),
        POLICIES,
    ),
    "guide_controls.rst, only audited": (
        find_names(
            "docs/docsite/rst/guide_controls.rst", "rules cannot be deleted", "only audited"
        ),
        AUDITED,
    ),
    "planasonix_info, gather_subset": (
        INFO,
        ["all", *SUBSETS, "!all", *(f"!{name}" for name in SUBSETS)],
    ),
    "planasonix_baseline, resource": (RESOURCE["choices"], SUBSETS),
    "planasonix_baseline, remediated": (
        re.findall(r"V\((\w+)\)", RESOURCE["description"][1]),
        REMEDIABLE,
    ),
    **{
        path: (find_names(path, "at least the subsets", ")."), RESTORABLE)
        for path in ("plugins/filter/snapshot.yml", "plugins/filter/export_controls.yml")
    },
    "plugins/modules": (managed(), REMEDIABLE),
    "SUBSETS": (vars(planasonix_info)["SUBSETS"], POLICIES),
    "_fields.DOCUMENTED": (
        DOCUMENTED,
        set(POLICIES) - {"api_keys", "features", "preferences", *ITEMS},
    ),
    "POLICIES, export": (select(lambda policy: policy.export is not None), RESTORABLE),
    "POLICIES, restore": (select(lambda policy: policy.restore is not None), RESTORABLE),
    "_snapshots.ITEMS": (ITEMS, select(lambda policy: policy.export not in (None, export_object))),
}
"""By place: the subsets that are listed there, and those that the table has for it."""


@pytest.mark.parametrize("place", LISTS)
def test_a_list_of_subsets_is_that_of_the_table(place):
    listed, expected = map(set, LISTS[place])
    assert sorted(expected - listed) == [], f"{place} has forgotten these"
    assert sorted(listed - expected) == [], f"{place} has these, and the table does not"


def test_writes_have_an_order():
    orders = [policy.order for policy in POLICIES.values() if policy.is_remediable]
    assert len(set(orders)) == len(orders) and min(orders) > 0
