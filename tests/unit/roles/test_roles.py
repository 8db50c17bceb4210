# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles: their argument specifications are their defaults, and the profiles are what they promise to be."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.planasonix.admin.plugins.module_utils._controls import SEVERITIES
from ansible_collections.planasonix.admin.plugins.module_utils._facts import SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._requirements import (
    check_baseline,
    parse_controls,
)
from ansible_collections.planasonix.admin.plugins.module_utils._runner import CONNECTION_SPEC
from ansible_collections.planasonix.admin.plugins.plugin_utils._rehearsal import rendered

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PROFILES = ("foundation", "strict")
STANDARDS = {"nist_800_53", "cis_controls_v8_1", "soc2", "iso_27001_2022"}
AREAS = {
    "session_timeout",
    "log_retention",
    "settings",
    "mfa",
    "ip_whitelist",
    "api_keys",
    "notification_channels",
    "notification_rules",
}


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
    (block,) = (task for task in load(role, "tasks", "main.yml") if "module_defaults" in task)
    assert block["module_defaults"] == {
        "group/planasonix.admin.planasonix": f"{{{{ __{role}_connection }}}}"
    }
    given = {option: f"given for {option}" for option in CONNECTION_SPEC}
    connection = rendered(
        load(role, "vars", "main.yml")[f"__{role}_connection"],
        **{f"planasonix_{option}": value for option, value in given.items()},
    )
    assert connection == given


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_readme_that_names_its_variables(role):
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert [
        name
        for name in specification(role)
        if name.startswith(f"{role}_") and f"`{name}`" not in text
    ] == []


@pytest.mark.parametrize("name", ["onboard", "harden", "audit", "rollback"])
def test_the_playbooks_know_waves(name):
    """An audit that stops early would be none of all organizations."""
    (play,) = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
    assert "planasonix_wave_size | default('100%')" in play["serial"]
    assert play.get("max_fail_percentage") == (
        None if name == "audit" else "{{ planasonix_max_fail_percentage | default(100) }}"
    )


def tags_in(tasks: list[dict[str, t.Any]]) -> set[str]:
    """Tags of tasks and blocks, as deep as they are nested."""
    return {
        tag for task in tasks for tag in [*task.get("tags", []), *tags_in(task.get("block", []))]
    }


def test_names_of_resources_are_tags():
    """An audit that a tag leaves out would look like one that passed, so it always runs."""
    (harden,), (audit,) = (
        load(role, "tasks", "main.yml") for role in ("org_baseline", "compliance_audit")
    )
    assert set(harden["tags"]) == {"org_baseline", *AREAS}
    assert set(audit["tags"]) == {"compliance_audit", "always"}
    assert tags_in(load("org_onboarding", "tasks", "main.yml")) == {"org_onboarding", *AREAS}
    assert tags_in(load("api_key_rotation", "tasks", "main.yml")) == {
        "api_key_rotation",
        "api_keys",
    }
    for role in ("org_baseline", "compliance_audit"):
        assert set(load(role, "vars", "main.yml")[f"__{role}_resources"]) == AREAS
    for profile in PROFILES:
        assert {
            control["resource"]
            for control in load("org_baseline", "files", f"{profile}.yml")["controls"]
        } <= AREAS


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
