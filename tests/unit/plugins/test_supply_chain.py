# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What builds and publishes a release is pinned, and no job has more rights than it needs."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
RELEASE = (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")
DEPENDABOT = (GITHUB / "dependabot.yml").read_text(encoding="utf-8")
LOCK = (ROOT / ".ci" / "release" / "requirements.txt").read_text(encoding="utf-8")

PINNED_ACTION = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
INSTALLER = re.compile(r"\b(?:pipx?|uvx?|npm|npx|gem|go|curl|wget|apt(?:-get)?)[\"']? ")
OWN_CODE = re.compile(r"\b(?:make|nox|bash|noxfile)\b|\.ci/\w+\.py|tests/")


def read_jobs(text: str) -> dict[str, dict[str, t.Any]]:
    jobs: dict[str, dict[str, t.Any]] = yaml.safe_load(text)["jobs"]
    return jobs


def has_token(job: dict[str, t.Any]) -> bool:
    """Return whether a job can sign, write to GitHub, or read a secret."""
    permissions = job.get("permissions") or {}
    return "write" in str(permissions) or "secrets." in str(job)


def find_action_faults(text: str) -> list[str]:
    used = re.findall(r"^[\s-]*uses: *(.+)$", text, re.MULTILINE)
    assert used
    return [f"not pinned: {action}" for action in used if not PINNED_ACTION.fullmatch(action)]


def find_permission_faults(text: str) -> list[str]:
    permissions = yaml.safe_load(text).get("permissions")
    return [] if permissions in ({}, {"contents": "read"}) else [f"permissions: {permissions}"]


def find_step_faults(text: str) -> list[str]:
    """Return the checkouts that keep the token, and the scripts that contain an expression."""
    faults = []
    for name, job in read_jobs(text).items():
        for step in job["steps"]:
            keeps = (step.get("with") or {}).get("persist-credentials") is not False
            if "actions/checkout@" in step.get("uses", "") and keeps:
                faults.append(f"{name} keeps the token of its checkout")
            if "${{" in step.get("run", ""):
                faults.append(f"{name} expands an expression in a script")
    return faults


def find_token_faults(text: str) -> list[str]:
    """Return what a job with a token may not do."""
    faults = []
    for name, job in read_jobs(text).items():
        if not has_token(job):
            continue
        if "secrets." in str(job) and "environment" not in job:
            faults.append(f"{name} reads a secret without an environment")
        for step in job["steps"]:
            script = step.get("run", "")
            for command in script.replace("\\\n", " ").splitlines():
                if INSTALLER.search(command) and "--require-hashes" not in command:
                    faults.append(f"{name} installs what is not pinned: {command}")
                if OWN_CODE.search(command):
                    faults.append(f"{name} runs code of the repository: {command}")
    return faults


def find_lock_faults(text: str) -> list[str]:
    """Return the requirements that are not pinned to a version and a hash."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith(" ")]
    requirements = [line for line in lines if not line.startswith("#")]
    assert requirements
    pinned = re.compile(r"[\w.-]+==[\w.]+( .*)? --hash=sha256:[0-9a-f]{64}\b.*")
    return [line for line in requirements if not pinned.fullmatch(line)]


def requirement_folders() -> set[str]:
    """Return the folders of the repository that contain a requirements file."""
    folders = set()
    for top in (".ci", ".github", "docs", "meta", "playbooks", "plugins", "roles", "tests"):
        for file in (ROOT / top).rglob("*requirements*.txt"):
            folders.add("/" + file.parent.relative_to(ROOT).as_posix())
    return folders


def find_dependabot_faults(text: str, folders: set[str]) -> list[str]:
    faults = []
    covered: set[str] = set()
    entries = yaml.safe_load(text)["updates"]
    for entry in entries:
        ecosystem = entry["package-ecosystem"]
        if entry["schedule"]["interval"] != "weekly" or not entry.get("groups"):
            faults.append(f"{ecosystem} is not weekly and grouped")
        if entry.get("cooldown", {}).get("default-days", 0) < 7:
            faults.append(f"{ecosystem} takes releases of the same week")
        if ecosystem == "pip":
            covered.update(entry.get("directories") or [entry["directory"]])
    if "github-actions" not in [entry["package-ecosystem"] for entry in entries]:
        faults.append("no entry for the actions")
    faults += [f"not updated: {folder}" for folder in sorted(folders - covered)]
    return faults + [f"no requirements: {folder}" for folder in sorted(covered - folders)]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "find_faults",
    [find_action_faults, find_permission_faults, find_step_faults, find_token_faults],
    ids=lambda function: function.__name__,
)
def test_a_workflow_is_pinned_and_has_few_rights(
    workflow: Path, find_faults: t.Callable[[str], list[str]]
) -> None:
    assert find_faults(workflow.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("find_faults", "old", "new"),
    [
        (find_action_faults, r"attest@[0-9a-f]{40} # v[\d.]+", "attest@v4"),
        (find_action_faults, r"(attest@[0-9a-f]{40}) # v[\d.]+", r"\1"),
        (find_action_faults, r"(attest@[0-9a-f]{39})[0-9a-f]", r"\1"),
        (find_permission_faults, r"^permissions: \{\}\n", ""),
        (find_permission_faults, r"^permissions: \{\}\n", "permissions: write-all\n"),
        (find_step_faults, "persist-credentials: false", "fetch-depth: 1"),
        (find_step_faults, r"echo \"\$SHA256", 'echo "${{ needs.build.outputs.sha256 }}'),
        (find_token_faults, "--require-hashes ", ""),
        (find_token_faults, "run: ansible-galaxy", "run: pipx run --spec ansible-core a"),
        (find_token_faults, "run: ansible-galaxy", "run: make release && ansible-galaxy"),
        (find_token_faults, "run: ansible-galaxy", "run: python3 .ci/test.py && ansible-galaxy"),
        (find_token_faults, " +environment: galaxy\n", ""),
    ],
)
def test_a_workflow_with_a_fault_is_found(
    find_faults: t.Callable[[str], list[str]], old: str, new: str
) -> None:
    changed, count = re.subn(old, new, RELEASE, flags=re.MULTILINE)
    assert count
    assert find_faults(changed) != []


def test_only_the_jobs_that_need_a_token_have_one():
    jobs = read_jobs(RELEASE)
    assert [name for name, job in jobs.items() if has_token(job)] == ["attest", "publish"]
    assert jobs["attest"]["permissions"] == {"id-token": "write", "attestations": "write"}
    assert jobs["publish"]["permissions"] == {"contents": "read"}
    for name in ("attest", "publish"):
        scripts = [step.get("run", "") for step in jobs[name]["steps"]]
        assert any("sha256sum --check --strict" in script for script in scripts)


def test_the_release_tools_are_pinned():
    assert find_lock_faults(LOCK) == []
    assert find_lock_faults(re.sub("^jinja2==", "jinja2>=", LOCK, flags=re.MULTILINE))
    assert find_lock_faults(LOCK + "requests==2.32.5\n")


def test_dependabot_updates_each_requirements_file():
    folders = requirement_folders()
    assert "/.ci/release" in folders
    assert find_dependabot_faults(DEPENDABOT, folders) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/tests/unit\n", "/tests/other\n"),
        ("package-ecosystem: github-actions", "package-ecosystem: docker"),
        ("default-days: 7", "default-days: 1"),
        ("interval: weekly", "interval: monthly"),
    ],
)
def test_a_gap_of_dependabot_is_found(old: str, new: str) -> None:
    assert old in DEPENDABOT
    assert find_dependabot_faults(DEPENDABOT.replace(old, new), requirement_folders()) != []
