# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks of the guides and of the README use modules and options that there are, and no guide or module is forgotten."""

from __future__ import annotations

import importlib
import re
import typing as t
from collections.abc import Iterator

import pytest
import yaml
from documented import GUIDES, PAGES, ROOT, blocks, plays_and_tasks

from ansible_collections.planasonix.admin.plugins.module_utils._runner import CONNECTION_SPEC
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_run import OPTIONS

MODULES = sorted(
    path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__"
)
COLLECTION = "planasonix.admin."
GROUP = f"group/{COLLECTION}planasonix"
BLOCKS = {block.place: block for page in PAGES for block in blocks(page)}


def calls(data: t.Any) -> Iterator[tuple[str, t.Any]]:
    """Names of modules of the collection, as a task names them, and their arguments."""
    for item in plays_and_tasks(data):
        for key, arguments in item.items():
            if key.startswith((COLLECTION, "planasonix_")):
                yield key, arguments


def unknown(arguments: t.Any, spec: dict[str, t.Any], path: str) -> list[str]:
    """The arguments that are no options, and the values that are no choices. A template is not looked into."""
    if not isinstance(arguments, dict):
        return [f"{path} is no mapping"]
    wrong = []
    for name, value in arguments.items():
        option = spec.get(name)
        if option is None:
            wrong.append(f"{path}.{name}")
            continue
        values = [
            item
            for item in (value if isinstance(value, list) else [value])
            if not (isinstance(item, str) and "{{" in item)
        ]
        if "choices" in option:
            wrong += [f"{path}.{name}={item}" for item in values if item not in option["choices"]]
        if "options" in option:
            wrong += [
                text
                for item in values
                for text in unknown(item, option["options"], f"{path}.{name}")
            ]
    return wrong


def find_options(module: str) -> dict[str, t.Any]:
    """Return the argument specification of a module."""
    if module == "planasonix_audit":
        return OPTIONS
    path = f"ansible_collections.{COLLECTION}plugins.modules.{module}"
    found: dict[str, t.Any] = importlib.import_module(path).MODULE.argument_spec()
    return found


def test_there_are_blocks():
    assert len(GUIDES) >= 7
    assert {name.split(":")[0] for name in BLOCKS} == {path.name for path in PAGES}


def test_no_block_is_overlooked():
    """The patterns above find as many blocks as there are heads of blocks."""
    heads = re.compile(
        r"^ *(?:\.\. (?:code-block|code|sourcecode):: *ya?ml|```ya?ml)", re.MULTILINE
    )
    assert len(BLOCKS) == sum(
        len(heads.findall(path.read_text(encoding="utf-8"))) for path in PAGES
    )


@pytest.mark.parametrize("place", BLOCKS)
def test_each_block_uses_modules_and_options_that_there_are(place):
    data = BLOCKS[place].data
    assert data
    for name, arguments in calls(data):
        module = name.removeprefix(COLLECTION)
        assert name == COLLECTION + module and module in MODULES, (
            f"{name} is no module of the collection"
        )
        spec = find_options(module)
        assert unknown(arguments, spec, name) == []


@pytest.mark.parametrize("place", BLOCKS)
def test_each_block_gives_the_action_group_options_of_the_connection(place):
    for item in plays_and_tasks(BLOCKS[place].data):
        defaults = item.get("module_defaults", {})
        assert {name for name in defaults if name.startswith("group/")} <= {GROUP}
        assert unknown(defaults.get(GROUP, {}), CONNECTION_SPEC, GROUP) == []


def test_each_guide_is_in_the_table_of_contents_once():
    contents = yaml.safe_load(
        (ROOT / "docs" / "docsite" / "extra-docs.yml").read_text(encoding="utf-8")
    )
    assert sorted(name for section in contents["sections"] for name in section["toctree"]) == [
        path.stem for path in GUIDES
    ]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_each_guide_bears_its_label(path):
    assert f".. _ansible_collections.{COLLECTION}docsite.{path.stem}:\n" in path.read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("module", MODULES)
def test_each_module_occurs_in_a_guide(module):
    used = {
        name
        for place, block in BLOCKS.items()
        if not place.startswith("README")
        for name, dummy_arguments in calls(block.data)
    }
    assert COLLECTION + module in used


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("- planasonix.admin.x: {a: 1}", []),
        ("- planasonix.admin.x: {b: 1}", ["planasonix.admin.x.b"]),
        ("- planasonix.admin.x: {c: one}", ["planasonix.admin.x.c=one"]),
        ("- planasonix.admin.x: {c: '{{ which }}'}", []),
        ("- planasonix.admin.x: {d: [{a: 1}, {b: 1}]}", ["planasonix.admin.x.d.b"]),
        ("- planasonix.admin.x: a=1", ["planasonix.admin.x is no mapping"]),
        (
            "- hosts: all\n  handlers: [{block: [{rescue: [{planasonix.admin.x: {b: 1}}]}]}]",
            ["planasonix.admin.x.b"],
        ),
    ],
)
def test_what_is_wrong_is_found(text, wrong):
    spec = {"a": {}, "c": {"choices": ["two"]}, "d": {"options": {"a": {}}}}
    assert [
        found
        for name, arguments in calls(yaml.safe_load(text))
        for found in unknown(arguments, spec, name)
    ] == wrong
