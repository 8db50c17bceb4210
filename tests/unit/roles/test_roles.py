# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles: their argument specifications are their defaults, and the profiles are what they promise to be."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.planasonix.admin.plugins.module_utils._controls import SEVERITIES, SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._policies import (
    check_baseline,
    parse_controls,
)
from ansible_collections.planasonix.admin.plugins.module_utils._runner import CONNECTION_SPEC
from ansible_collections.planasonix.admin.plugins.plugin_utils._warmup import render

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PROFILES = ("foundation", "strict")
STANDARDS = {"nist_800_53", "cis_controls_v8_1", "soc2", "iso_27001_2022"}


def load(*parts: str) -> t.Any:
    return yaml.safe_load(ROOT.joinpath("roles", *parts).read_text(encoding="utf-8"))


def specification(role: str) -> dict[str, t.Any]:
    options: dict[str, t.Any] = load(role, "meta", "argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return options


def test_the_roles_are_those_of_the_interface():
    assert ROLES == ["api_key_rotation", "compliance_audit", "org_baseline", "org_onboarding"]


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_is_equal_to_the_defaults(role):
    defaults = load(role, "defaults", "main.yml")
    told = {
        name: option["default"]
        for name, option in specification(role).items()
        if "default" in option
    }
    assert told == defaults
    without_default = {"api_key_rotation_expires_in_days", "api_key_rotation_store_tasks"}
    assert {name for name in specification(role) if name.startswith(f"{role}_")} - set(
        defaults
    ) <= without_default


def test_merged_audits_take_the_options_of_an_audit():
    audit, merge = (
        load("compliance_audit", "meta", "argument_specs.yml")["argument_specs"][entry]["options"]
        for entry in ("main", "merge")
    )
    own = {"compliance_audit_reports", "compliance_audit_organizations"}
    assert {name: option for name, option in merge.items() if name not in own} == {
        name: option for name, option in audit.items() if name.startswith("compliance_audit_")
    }
    text = (ROOT / "roles" / "compliance_audit" / "README.md").read_text(encoding="utf-8")
    assert [name for name in own if f"`{name}`" not in text] == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_takes_the_connection(role):
    options = specification(role)
    assert {name for name in options if name.startswith("planasonix_")} == {
        f"planasonix_{name}" for name in CONNECTION_SPEC
    }


def test_only_the_action_plugin_reads_the_connection():
    """An option that a role gave, even as its default, would replace that of the play."""
    folders = ("roles/*/tasks", "roles/*/vars", "roles/*/defaults", "playbooks")
    files = [path for folder in folders for path in ROOT.glob(f"{folder}/*.yml")]
    texts = {path: path.read_text("utf-8") for path in files}
    assert len(files) >= 15
    used = re.compile(rf"(?<!\.)planasonix_({'|'.join(CONNECTION_SPEC)})\b")
    assert [path for path, text in texts.items() if "module_defaults" in text] == []
    assert [path for path, text in texts.items() if used.search(text)] == []


KINDS = {"list": "'list'", "dict": "'dict'", "raw": "'list', 'dict'"}
"""How the filter is called for a type. Of a list of mappings Ansible would split JSON at commas."""

SPECIFIED = [
    (role, name, option["type"])
    for role in ROLES
    for entry in load(role, "meta", "argument_specs.yml")["argument_specs"].values()
    for name, option in entry["options"].items()
    if option["type"] in KINDS
]


def test_no_list_of_mappings_is_validated_by_ansible():
    for role in ROLES:
        for entry in load(role, "meta", "argument_specs.yml")["argument_specs"].values():
            assert "dict" not in [option.get("elements") for option in entry["options"].values()]
    assert {name for _role, name, kind in SPECIFIED if kind == "raw"} == {
        "org_baseline_extra_controls",
        "org_baseline_waivers",
        "org_onboarding_api_keys",
        "org_onboarding_channels",
        "org_onboarding_rules",
    }


@pytest.mark.parametrize(("role", "name", "kind"), SPECIFIED)
def test_lists_and_mappings_are_read_by_one_filter(role, name, kind):
    """Ansible validates text as a list, and hands it over as text."""
    call = re.compile(rf"role_variable\(\s*'{name}', {KINDS[kind]}[,)]")
    paths = (path for path in (ROOT / "roles" / role).rglob("*.yml") if path.parent.name != "meta")
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    assert any(map(call.search, texts.values()))
    # Beside its default, the variable itself occurs only as the input of the filter.
    used = re.compile(
        rf"(?<![\w']){name}(?![\w:'])(?!( \| default\(..\))?\s+\| planasonix\.admin\.role_variable)"
    )
    comments = re.compile(r"#.*")
    assert [
        (path.name, found[0])
        for path, text in texts.items()
        for found in used.finditer(comments.sub("", text))
    ] == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_readme_that_names_its_variables(role):
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert [
        name
        for name in specification(role)
        if name.startswith(f"{role}_") and f"`{name}`" not in text
    ] == []


def load_play(name: str) -> dict[str, t.Any]:
    """The only play of a playbook."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
    return t.cast(dict[str, t.Any], play)


@pytest.mark.parametrize("name", ["onboard", "harden", "rollback"])
def test_a_playbook_that_writes_begins_with_one_organization_and_stops_at_the_first_failure(name):
    play = load_play(name)
    assert render(play["serial"]) == ["1", "10%", "100%"]
    assert render(play["max_fail_percentage"]) in (0, "0")
    # With the strategy free, the first failure would not stop the others of its wave.
    assert play["strategy"] == "ansible.builtin.linear"


def test_an_audit_is_of_all_organizations_at_once_and_does_not_stop():
    play = load_play("audit")
    assert render(play["serial"]) == ["100%"]
    assert "max_fail_percentage" not in play


@pytest.mark.parametrize("name", ["onboard", "harden", "audit", "rollback"])
@pytest.mark.parametrize(
    ("size", "waves"),
    [
        (5, ["5"]),
        ("1, 9,50%", ["1", "9", "50%"]),
        ([1, "100%"], ["1", "100%"]),
    ],
)
def test_waves_are_a_number_a_percentage_or_a_list(name, size, waves):
    assert render(load_play(name)["serial"], planasonix_wave_size=size) == waves


@pytest.mark.parametrize("name", ["onboard", "harden", "audit", "rollback"])
@pytest.mark.parametrize("size", ["", " ", 0, "0", []])
def test_an_empty_wave_size_is_none(name, size):
    serial = load_play(name)["serial"]
    assert render(serial, planasonix_wave_size=size) == render(serial)


def tags_in(tasks: list[dict[str, t.Any]]) -> set[str]:
    """Tags of tasks and blocks, as deep as they are nested."""
    return {
        tag for task in tasks for tag in [*task.get("tags", []), *tags_in(task.get("block", []))]
    }


def tasks_in(value: t.Any) -> list[dict[str, t.Any]]:
    """Return all mappings in a file of tasks or plays, the tasks in blocks included."""
    if isinstance(value, list):
        return [task for item in value for task in tasks_in(item)]
    if not isinstance(value, dict):
        return []
    return [value, *(task for item in value.values() for task in tasks_in(item))]


def test_only_folders_that_were_created_get_a_mode():
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    found = []
    for path in files:
        for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8"))):
            options = task.get("ansible.builtin.file", {})
            if options.get("state") != "directory":
                continue
            folder = options["path"].removeprefix("{{ ").removesuffix(" }}")
            assert task["when"] == f"{folder} is not directory", path
            found.append((path.name, options["mode"]))
    assert sorted(found) == [
        ("export.yml", "0700"),
    ]


def test_exports_are_private():
    """The config of a channel may have a secret that the API shows."""
    found = {}
    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]:
        for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8"))):
            for module in ("ansible.builtin.copy", "ansible.builtin.template"):
                if module in task:
                    found[path.name] = task[module].get("mode")
                    assert task.get("diff") is False
    assert found == {"export.yml": "0600"}


def test_an_audit_runs_whatever_the_tags():
    """An audit that a tag leaves out would look like one that passed."""
    (audit,) = load("compliance_audit", "tasks", "main.yml")
    assert set(audit["tags"]) == {"compliance_audit", "always"}
    assert tags_in(load("api_key_rotation", "tasks", "main.yml")) == {
        "api_key_rotation",
        "api_keys",
    }


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_whole(name):
    profile = load("org_baseline", "files", f"{name}.yml")
    controls = profile["controls"]
    assert (profile["name"], len(controls) >= 16) == (name, True)
    for control in controls:
        assert set(control) == {
            "id",
            "title",
            "severity",
            "resource",
            "require",
            "rationale",
            "remediation",
            "references",
        }
        assert control["severity"] in SEVERITIES
        assert control["resource"] in SUBSETS
        assert set(control["references"]) <= STANDARDS and all(control["references"].values())
        assert control["references"]["nist_800_53"]
    check_baseline({"controls": controls})
    assert (
        len({control["id"] for control in controls})
        == len(parse_controls({"controls": controls}))
        == len(controls)
    )


def test_what_meets_the_strict_profile_meets_the_foundation():
    """Both hold together, and each control of the foundation is in the strict profile."""
    foundation, strict = (
        load("org_baseline", "files", f"{name}.yml")["controls"] for name in PROFILES
    )
    assert {control["id"] for control in foundation} <= {control["id"] for control in strict}
    check_baseline(
        {
            "controls": [
                *strict,
                *({**control, "id": f"F-{control['id']}"} for control in foundation),
            ]
        }
    )
