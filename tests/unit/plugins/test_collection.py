# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written in two places is the same in both: modules, their action files, the action group, the documentation."""

from __future__ import annotations

import ast
import importlib
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.planasonix.admin.plugins.doc_fragments import attributes, connection
from ansible_collections.planasonix.admin.plugins.module_utils._controls import SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._runner import (
    CONNECTION_SPEC,
    SECRET_RESULTS,
    Module,
)
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection
from ansible_collections.planasonix.admin.plugins.plugin_utils._action import PlanasonixAction

COLLECTION = "ansible_collections.planasonix.admin.plugins"
ROOT = Path(__file__).resolve().parents[3]
ALL_MODULES = sorted(
    path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__"
)
CONTROLLER_MODULES = ["planasonix_audit"]
"""Modules that run on the controller, and take no connection; their own tests are elsewhere."""
MODULES = [name for name in ALL_MODULES if name not in CONTROLLER_MODULES]
RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
FRAGMENT = yaml.safe_load(connection.ModuleDocFragment.DOCUMENTATION)


SECRET_OPTIONS = {
    "secret_config",
    "current_password",
    "new_password",
    "password",
    "totp_secret",
    "code",
}


def load(name: str) -> t.Any:
    return importlib.import_module(f"{COLLECTION}.modules.{name}")


def documentation(name: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = yaml.safe_load(load(name).DOCUMENTATION)
    return found


def test_there_are_modules():
    assert "planasonix_settings" in MODULES and len(MODULES) >= 5


def test_each_module_has_an_action_file_and_each_action_file_a_module():
    assert (
        sorted(
            path.stem
            for path in (ROOT / "plugins" / "action").glob("*.py")
            if path.stem != "__init__"
        )
        == ALL_MODULES
    )


def test_the_action_group_holds_each_module_that_takes_the_connection_once():
    assert RUNTIME["action_groups"] == {"planasonix": MODULES}


def test_each_module_has_an_integration_target_of_its_name_or_alias():
    targets = [
        path
        for path in (ROOT / "tests" / "integration" / "targets").iterdir()
        if (path / "aliases").exists()
    ]
    names = {path.name for path in targets}.union(
        *((path / "aliases").read_text(encoding="utf-8").split() for path in targets)
    )
    assert set(ALL_MODULES) - names == set()


def test_each_module_is_held_to_the_contract():
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "contract").glob("*.py")
    )
    assert [name for name in ALL_MODULES if name not in text] == []


def test_the_readme_lists_each_module():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in ALL_MODULES if f"| `planasonix.admin.{name}` |" not in text] == []


def test_workflows_and_hooks_call_what_there_is():
    """They are not run here, so a target or session that is renamed would go unseen."""
    targets = re.findall(
        r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    sessions = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    files = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / ".pre-commit-config.yaml"]
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert all(yaml.safe_load(text) for text in texts) and len(texts) == 3
    called = [name for text in texts for name in re.findall(r"run: make ([a-z-]+)", text)]
    assert called and set(called) <= set(targets)
    hooks = yaml.safe_load(texts[-1])["repos"][0]["hooks"]
    assert {hook["entry"].removeprefix("python3 .ci/test.py ") for hook in hooks} == {
        "lint",
        "changelog",
    }
    assert "def changelog(" in sessions and "--list" in (ROOT / ".ci" / "test.py").read_text(
        encoding="utf-8"
    )


def test_nothing_is_redirected():
    assert set(RUNTIME) == {"requires_ansible", "action_groups"}


@pytest.mark.parametrize("name", MODULES)
def test_the_action_file_is_bound_to_the_module(name):
    action = importlib.import_module(f"{COLLECTION}.action.{name}").ActionModule
    assert issubclass(action, PlanasonixAction)
    assert isinstance(load(name).MODULE, Module)
    assert action.MODULE is load(name).MODULE


@pytest.mark.parametrize("name", MODULES)
def test_the_documentation_bears_the_name_of_the_module_and_uses_both_fragments(name):
    found = documentation(name)
    manages = isinstance(load(name).MODULE.manages, Resource)
    assert found["module"] == name
    of_attributes, *others = (
        fragment
        for fragment in found["extends_documentation_fragment"]
        if fragment.startswith("planasonix.admin.attributes")
    )
    assert of_attributes == (
        "planasonix.admin.attributes" if manages else "planasonix.admin.attributes.info"
    )
    assert "planasonix.admin.connection" in found["extends_documentation_fragment"]
    # Anything beside it only says in which action group the module is.
    assert set(others) <= {"planasonix.admin.attributes.actiongroup_planasonix"}


def described(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the documentation of an option says of its specification."""
    return {
        "type": option["type"],
        "elements": option.get("elements"),
        "required": option.get("required", False),
        "default": option.get("default"),
        "choices": option.get("choices"),
        "suboptions": {
            name: described(inner) for name, inner in option.get("suboptions", {}).items()
        },
    }


def specified(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same of the specification itself."""
    return {
        "type": option["type"],
        "elements": option.get("elements"),
        "required": option.get("required", False),
        "default": option.get("default"),
        "choices": option.get("choices"),
        "suboptions": {name: specified(inner) for name, inner in option.get("options", {}).items()},
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_documentation_tells_the_options(name):
    told = {
        option: described(found)
        for option, found in {**FRAGMENT["options"], **documentation(name)["options"]}.items()
    }
    assert told == {
        option: specified(found) for option, found in load(name).MODULE.argument_spec().items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_the_documentation_tells_the_results(name):
    module = load(name)
    told = yaml.safe_load(module.RETURN)
    assert "msg" in told
    if isinstance(module.MODULE.manages, Resource):
        assert {"diff", module.MODULE.manages.name} - {None} <= set(told)
        one = yaml.safe_load(load("planasonix_baseline").RETURN)["plan"]
        assert told["plan"]["description"] == one["description"]
    assert "changed" not in told, "Ansible documents it for all modules"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_use_options_that_there_are(name):
    for task in yaml.safe_load(load(name).EXAMPLES):
        arguments = task.get(f"planasonix.admin.{name}")
        if arguments is not None:
            assert set(arguments) <= set(load(name).MODULE.argument_spec())


@pytest.mark.parametrize("name", MODULES)
def test_no_option_of_a_module_hides_one_of_the_connection(name):
    assert not set(load(name).MODULE.options) & set(CONNECTION_SPEC)


@pytest.mark.parametrize("name", MODULES)
def test_updatable_options_have_no_default(name):
    """An option left out is left alone; only options that say how to work may have a default."""
    ways = {
        "state",
        "purge",
        "allow_lockout",
        "update_secrets",
        "replace",
        "test",
        "on_mismatch",
        "rotate",
        "revoke_old",
        "secret_file_overwrite",
        "gather_subset",
        "on_forbidden",
        "method",
        "waivers",
    }
    assert {
        option for option, found in load(name).MODULE.options.items() if "default" in found
    } <= ways


@pytest.mark.parametrize("name", MODULES)
def test_secrets_are_no_log(name):
    spec = load(name).MODULE.argument_spec()
    assert {option for option, found in spec.items() if found.get("no_log")} == {
        "api_key",
        *(SECRET_OPTIONS & set(spec)),
    }
    assert {
        option for option, found in spec.items() if "no_log" in found and found["no_log"] is False
    } == {
        option
        for option in spec
        if option
        in (
            "key_id",
            "secret_file",
            "secret_file_overwrite",
            "return_secret",
            "update_secrets",
        )
    }


def test_the_connection_options_are_those_of_the_interface():
    assert {
        name: (option.get("default"), option.get("fallback", (None, [None]))[1])
        for name, option in CONNECTION_SPEC.items()
    } == {
        "api_url": ("https://api.planasonix.com", ["PLANASONIX_API_URL"]),
        "api_key": (None, ["PLANASONIX_API_KEY"]),
        "validate_certs": (True, ["PLANASONIX_VALIDATE_CERTS"]),
        "ca_path": (None, ["PLANASONIX_CA_PATH"]),
        "timeout": (30, ["PLANASONIX_TIMEOUT"]),
        "deadline": (120, ["PLANASONIX_DEADLINE"]),
        "retries": (5, [None]),
        "retry_budget": (120, [None]),
    }
    defaults = Connection("https://api.planasonix.com", "x")
    names = ("validate_certs", "timeout", "deadline", "retries", "retry_budget")
    assert {name: CONNECTION_SPEC[name]["default"] for name in names} == {
        name: getattr(defaults, name) for name in names
    }


@pytest.mark.parametrize("option", sorted(CONNECTION_SPEC))
def test_the_connection_fragment_names_the_environment_variable(option):
    variables = CONNECTION_SPEC[option].get("fallback", (None, []))[1]
    text = " ".join(
        [FRAGMENT["options"][option]["description"]]
        if isinstance(FRAGMENT["options"][option]["description"], str)
        else FRAGMENT["options"][option]["description"]
    )
    assert all(f"E({variable})" in text for variable in variables)
    assert ("E(PLANASONIX" in text) is bool(variables)


@pytest.mark.parametrize("fragment", ["DOCUMENTATION", "INFO"])
def test_the_attributes_fragment_promises_check_mode(fragment):
    found = yaml.safe_load(getattr(attributes.ModuleDocFragment, fragment))["attributes"]
    assert found["check_mode"]["support"] == "full"
    assert found["diff_mode"]["support"] == ("full" if fragment == "DOCUMENTATION" else "N/A")


def test_the_subsets_are_those_of_the_interface():
    names = [
        "profile",
        "mfa",
        "api_keys",
        "session_timeout",
        "preferences",
        "settings",
        "ip_whitelist",
        "log_retention",
        "organization",
        "features",
        "limits",
        "tier",
    ]
    assert set(SUBSETS) == {*names, "notification_channels", "notification_rules"}
    assert documentation("planasonix_info")["options"]["gather_subset"]["choices"] == [
        "all",
        *SUBSETS,
        "!all",
        *(f"!{name}" for name in SUBSETS),
    ]


def test_the_secrets_of_results_are_those_of_the_interface():
    assert {"secret", "otpauth_uri", "backup_codes"} == SECRET_RESULTS


def list_rows() -> list[list[str]]:
    """Return the files of ``module_utils`` in each row of the table of CONTRIBUTING.md."""
    rows: list[list[str]] = []
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        names: list[str] = []
        if line.startswith("| `plugins/module_utils/_"):
            for found in re.findall(r"_(\w+|{[\w,]+})\.py", line.split("|")[1]):
                names += found.strip("{}").split(",")
            rows.append([*names, "(pure)"] if line.endswith("pure |") else names)
    return rows


def list_imports(path: Path) -> t.Iterator[str]:
    """Yield the files of ``module_utils`` that a file imports, or imports something of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if module.endswith("module_utils"):
            yield from (alias.name.removeprefix("_") for alias in node.names)
        elif ".module_utils._" in module:
            yield module.rpartition("._")[2]


def test_imports_only_point_down():
    rows = list_rows()
    place = {name: number for number, names in enumerate(rows) for name in names}
    folder = ROOT / "plugins" / "module_utils"
    listed = {path.stem[1:] for path in folder.glob("_*.py") if path.stem != "__init__"}
    assert place.keys() - {"(pure)"} == listed
    for name in sorted(listed):
        for other in list_imports(folder / f"_{name}.py"):
            assert place[other] >= place[name], (name, other)
            if "(pure)" in rows[place[name]]:
                assert other == "errors" or "(pure)" in rows[place[other]], (name, other)


def tasks_of(value: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Yield the tasks in a file of tasks or plays, those of blocks included."""
    if isinstance(value, list):
        for item in value:
            yield from tasks_of(item)
    elif isinstance(value, dict):
        yield value
        for name in ("tasks", "block", "rescue", "always", "pre_tasks", "post_tasks", "handlers"):
            yield from tasks_of(value.get(name))


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]),
    ids=lambda path: f"{path.parent.parent.name}-{path.stem}",
)
def test_no_loop_displays_a_text_as_it_is(path: Path) -> None:
    """A name or id could contain line breaks and escape sequences, which a terminal obeys."""
    for task in tasks_of(yaml.safe_load(path.read_text(encoding="utf-8"))):
        if "loop" in task and task["loop_control"]["loop_var"] != "compliance_audit_format":
            assert "| to_json }}" in task["loop_control"]["label"], task["name"]
        assert not any(name.startswith("with_") for name in task), task["name"]
