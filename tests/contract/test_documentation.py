# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks that the README and the guides show do what their pages say, page by page, one after the other as somebody would who follows them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import run_playbook
from documented import PAGES, Block, blocks
from simulator.identities import PASSWORD
from simulator.process import Simulator

PLAYBOOKS = {page.name: [block for block in blocks(page) if block.is_playbook or block.is_tasks] for page in PAGES}
"""What is run of each page: playbooks, and lists of tasks, which are for a playbook of the reader's."""

FILES = {page.name: {block.file: block.text for block in blocks(page) if block.file and not block.is_playbook} for page in PAGES}
"""Files that the pages show beside: variables, inventories, profiles."""

FAILURES = {
    "Fail where a control is not met": "idle_timeout_minutes is 60, at most 30 is allowed; 'Administration' (key_",
    "Require what cannot be": "The controls 'ORG-SES-1' and 'ORG-SES-2' cannot both hold: idle_timeout_minutes: at least 60 and at most 30.",
    "Fail where an API key never expires": "These keys never expire: Administration",
    "Let listed networks in only": "would lock out 192.0.2.44/32: add entries that cover what protected_addresses names, or set allow_lockout: true.",
    "Let the webhook be called by PATCH": "'Incident webhook' cannot be updated: its config is sent whole, and the API hides url; give url in secret_config.",
}
"""Tasks and plays that are shown for how they fail, and what they say then."""

SHARED = ("guide_organization.rst", "inventory.yml"), ("guide_controls.rst", "our-profile.yml")
"""Files of one page that others rely on."""

BEFORE: dict[str, list[tuple[str, dict[str, str]]]] = {
    "guide_audit.rst": [("export", {})],
    "guide_scale.rst": [
        ("audit", {"planasonix_hosts": host, "compliance_audit_report_dir": f"audits/{region}"}) for host, region in (("acme", "europe"), ("globex", "asia"))
    ],
}
"""Playbooks of the collection that a page has the reader run before."""

ADDRESS = "198.51.100.10"
"""That of the automation, in all pages."""


def name_of(block: Block) -> str:
    """The name of the first play, or of the first task."""
    return str(block.data[0]["name"])


def failure_of(block: Block) -> str | None:
    """What a block says when it fails as it is to."""
    return next((message for name, message in FAILURES.items() if f"- name: {name}\n" in block.text), None)


def finds_it_done(page: str, block: Block) -> bool:
    """Whether what was done by ``uri`` just before is done by modules, which thus have nothing to do."""
    return page == "guide_migrating_from_uri.rst" and "ansible.builtin.uri" not in block.text


def told(text: str) -> str:
    """What a page or a run says, whatever its lines are broken by."""
    return " ".join(text.split())


class Reader:
    """Somebody who does in a folder what a page says."""

    def __init__(self, page: str, simulator: Simulator, folder: Path) -> None:
        self.page, self.folder = page, folder
        files = {**{file: FILES[other][file] for other, file in SHARED}, **FILES[page]}
        for name, text in files.items():
            self.write(name, text)
        # The folders of the system are not for tests.
        for name in ("etc/planasonix", "etc/airflow"):
            (folder / name).mkdir(parents=True)
        inventory = next((name for name in FILES[page] if name.endswith(".planasonix.yml")), "inventory.yml")
        variables = {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "planasonix_api_url": simulator.url,
            "vault_initial_password": PASSWORD,
            "vault_password": "correct horse battery staple",
            "incident_webhook_url": "https://hooks.example.com/one",
            "new_incident_webhook_url": "https://hooks.example.com/two",
            "compliance_audit_fail_on": "never",
            "awx_workflow_job_id": 7,
            "awx_job_id": 8,
            "audit_folder": str(folder / "var/lib/planasonix-audits/7"),
        }
        self.arguments = ["-i", inventory, "-e", json.dumps(variables)]
        if any("airflow.example.com" in block.text for block in PLAYBOOKS[page]):
            self.write("airflow.yml", "airflow: {hosts: {airflow.example.com: {ansible_connection: local}}}")
            self.arguments += ["-i", "airflow.yml"]
        keys = dict(zip(("ACME_API_KEY", "GLOBEX_API_KEY", "INITECH_API_KEY"), simulator.keys, strict=True))
        self.environment = {**keys, "PLANASONIX_API_URL": simulator.url}

    def write(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for system in ("/etc/", "/var/lib/"):
            text = text.replace(system, f"{self.folder}{system}")
        path.write_text(text, encoding="utf-8")

    def write_playbook(self, number: int, block: Block) -> str:
        """Write a playbook, or tasks in a playbook as those of the same page are; returns the name of its file."""
        content = block.text
        if block.is_tasks:
            kind = "ansible.builtin.uri" if "ansible.builtin.uri" in content else "planasonix.admin."
            frame = next(other.data[0] for other in PLAYBOOKS[self.page] if other.is_playbook and kind in other.text)
            content = json.dumps([{**frame, "name": name_of(block), "tasks": block.data}])
        self.write(f"{number}.yml", content)
        return f"{number}.yml"

    def run(self, *playbooks: str, **variables: Any) -> tuple[int, str]:
        """Run playbooks; returns the status and the output."""
        more = [argument for name, value in variables.items() for argument in ("-e", f"{name}={value}")]
        done = run_playbook(self.folder, *self.arguments, *more, *playbooks, environment=self.environment)
        return done.returncode, done.stdout


@pytest.mark.parametrize("page", [page for page, playbooks in PLAYBOOKS.items() if playbooks])
def test_the_playbooks_of_a_page(page: str, plain_simulator: Simulator, tmp_path: Path) -> None:
    plain_simulator.options(client_addresses=dict.fromkeys(plain_simulator.slugs, ADDRESS), mask_config="mask")
    reader = Reader(page, plain_simulator, tmp_path)
    for playbook, variables in BEFORE.get(page, []):
        status, output = reader.run(f"planasonix.admin.{playbook}", **variables)
        assert status == 0, output
    text = told(next(path for path in PAGES if path.name == page).read_text(encoding="utf-8"))
    playbooks = [(reader.write_playbook(number, block), failure_of(block), finds_it_done(page, block)) for number, block in enumerate(PLAYBOOKS[page])]
    # Those that go well in a row are one command, since a start takes longer than a task.
    for (failure, done), group in itertools.groupby(playbooks, lambda playbook: playbook[1:]):
        status, output = reader.run(*(playbook[0] for playbook in group))
        assert status == (2 if failure else 0), output
        assert not done or set(re.findall(r" changed=(\d+) ", output)) == {"0"}, output
        if failure:
            assert failure in told(output), output
            assert failure in text, f"{page} does not tell what its playbook does"
