# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks that the README and the guides show run page by page, one after the other as for somebody who follows them, and fail only as told."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import run_playbook, told
from documented import PAGES, Block, blocks
from simulator.identities import PASSWORD
from simulator.process import Simulator

BLOCKS = {page.name: list(blocks(page)) for page in PAGES}
PLAYBOOKS = {
    page: [block for block in shown if block.is_playbook or block.is_tasks]
    for page, shown in BLOCKS.items()
}
"""What is run of each page: playbooks, and lists of tasks, which are for a playbook of the reader's."""

FILES = {
    page: {block.file: block.text for block in shown if block.file and not block.is_playbook}
    for page, shown in BLOCKS.items()
}
"""Files that the pages show beside: variables, inventories, profiles."""

TOLD = {
    "Fail where a control is not met": (
        2,
        "idle_timeout_minutes is 60; expected at most 30; 'Administration' (key_",
    ),
    "Apply what was exported": (
        2,
        "'Incident webhook' is to be made, and url in its secret_config is a placeholder: put the real value in its place.",
    ),
    "Require what cannot be": (
        2,
        "The controls 'ORG-SES-1' and 'ORG-SES-2' cannot both hold: idle_timeout_minutes: at least 60 and at most 30.",
    ),
    "Fail where an API key never expires": (2, "These keys never expire: Administration"),
    "Let listed networks in only": (
        2,
        "would lock out 192.0.2.44/32. Add entries that cover what protected_addresses names, "
        "or set allow_lockout: true.",
    ),
    "Let the webhook be called by PATCH": (
        2,
        "'Incident webhook' cannot be updated: its config is sent whole, and the API hides url; give url in secret_config.",
    ),
    "Require enforcement": (
        0,
        "enforcement is off. Not remediated: Enforcing the IP allowlist could lock everyone out. "
        "Set protected_addresses to the addresses",
    ),
    "Compare the organization with a control that is waived": (
        0,
        "waived: waived until 2027-03-31: The scheduler's key is replaced in spring (CHG-1042)",
    ),
    "Revoke the old keys": (0, "changed: [acme] => (item=key_"),
}
"""What pages are about, by the name of a task or play: the status with which the playbook ends, and what both it and the page say."""

ANEW = (TOLD["Require enforcement"][1],)
"""What is told of organizations to which nobody did what the page shows before."""

SHARED = ("guide_organization.rst", "inventory.yml"), ("guide_controls.rst", "our-profile.yml")
"""Files of one page that others rely on."""

BEFORE: dict[str, list[tuple[str, dict[str, str]]]] = {
    "guide_audit.rst": [("export", {})],
    "guide_scale.rst": [
        ("audit", {"planasonix_hosts": host, "compliance_audit_report_dir": f"audits/{region}"})
        for host, region in (("acme", "europe"), ("globex", "asia"))
    ],
}
"""Playbooks of the collection that a page has the reader run before."""

TIME = "2026-01-01T00:00:00Z"
ADDRESS = "198.51.100.10"
"""That of the automation, in all pages."""


def outcome_of(block: Block) -> tuple[int, str]:
    """The status with which a playbook ends, and what it says."""
    return next(
        (outcome for name, outcome in TOLD.items() if f"- name: {name}\n" in block.text), (0, "")
    )


def finds_it_done(page: str, block: Block) -> bool:
    """Whether what was done by ``uri`` just before is done by modules, which thus have nothing to do."""
    return page == "guide_migrating_from_uri.rst" and "ansible.builtin.uri" not in block.text


class Reader:
    """Somebody who does in a folder what a page says."""

    def __init__(self, page: str, simulator: Simulator, folder: Path) -> None:
        self.page, self.folder, self.url = page, folder, simulator.url
        files = {**{file: FILES[other][file] for other, file in SHARED}, **FILES[page]}
        for name, text in files.items():
            self.write(name, text)
        # The folders of the system are not for tests.
        for name in ("etc/planasonix", "etc/airflow"):
            (folder / name).mkdir(parents=True)
        inventory = "fleet.planasonix.yml" if page == "guide_fleet.rst" else "inventory.yml"
        variables = {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
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
            self.write(
                "airflow.yml",
                "airflow: {hosts: {airflow.example.com: {ansible_connection: local}}}",
            )
            self.arguments += ["-i", "airflow.yml"]
        keys = dict(
            zip(("ACME_API_KEY", "GLOBEX_API_KEY", "INITECH_API_KEY"), simulator.keys, strict=True)
        )
        self.environment = {
            **keys,
            "PLANASONIX_API_URL": simulator.url,
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        }

    def write(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for system in ("/etc/", "/var/lib/"):
            text = text.replace(system, f"{self.folder}{system}")
        path.write_text(text.replace("https://api.planasonix.com", self.url), encoding="utf-8")

    def write_playbook(self, number: int, block: Block) -> str:
        """Write a playbook, or tasks in a playbook as those of the same page are; returns the name of its file."""
        content = block.text
        if block.is_tasks:
            kind = (
                "ansible.builtin.uri" if "ansible.builtin.uri" in content else "planasonix.admin."
            )
            frame = next(
                other.data[0]
                for other in PLAYBOOKS[self.page]
                if other.is_playbook and kind in other.text
            )
            content = json.dumps([{**frame, "tasks": block.data}])
        self.write(f"{number}.yml", content)
        return f"{number}.yml"

    def run(self, *playbooks: str, **variables: Any) -> tuple[int, str]:
        """Run playbooks; returns the status and the output."""
        more = [
            argument for name, value in variables.items() for argument in ("-e", f"{name}={value}")
        ]
        done = run_playbook(
            self.folder, *self.arguments, *more, *playbooks, environment=self.environment
        )
        return done.returncode, done.stdout


def prepare(page: str, simulator: Simulator) -> None:
    """Make organizations anew, the first as the page takes it to be."""
    simulator.reset()
    simulator.options(client_addresses=dict.fromkeys(simulator.slugs, ADDRESS), mask_config="mask")
    acme = simulator.slugs[0]
    if page == "guide_audit.rst":
        hook = {
            "id": "nch_hook",
            "name": "Incident webhook",
            "type": "webhook",
            "enabled": True,
            "created_at": TIME,
        }
        simulator.set_state(
            acme,
            channels=[
                {**hook, "config": {"method": "POST", "url": "https://hooks.example.com/one"}}
            ],
        )
    if page == "guide_api_keys.rst":
        old = {
            "id": "key_01airflow",
            "name": "Airflow production",
            "secret": "plnx_live_airflow_old",
            "prefix": "plnx_live_airflow",
            "scopes": ["pipelines:read", "pipelines:run"],
            "created_at": TIME,
        }
        simulator.set_state(acme, api_keys=[*simulator.state(acme)["api_keys"], old])


def test_what_is_told_is_shown() -> None:
    shown = "".join(block.text for playbooks in PLAYBOOKS.values() for block in playbooks)
    assert [name for name in TOLD if f"- name: {name}\n" not in shown] == []


@pytest.mark.parametrize("page", [page for page, playbooks in PLAYBOOKS.items() if playbooks])
def test_the_playbooks_of_a_page(page: str, plain_simulator: Simulator, tmp_path: Path) -> None:
    prepare(page, plain_simulator)
    reader = Reader(page, plain_simulator, tmp_path)
    for playbook, variables in BEFORE.get(page, []):
        status, output = reader.run(f"planasonix.admin.{playbook}", **variables)
        assert status == 0, output
    text = told(next(path for path in PAGES if path.name == page).read_text(encoding="utf-8"))
    playbooks = [
        (reader.write_playbook(number, block), outcome_of(block), finds_it_done(page, block))
        for number, block in enumerate(PLAYBOOKS[page])
    ]
    # Those of one outcome in a row are one command, since a start takes longer than a task.
    for ((wanted, words), done), group in itertools.groupby(
        playbooks, lambda playbook: playbook[1:]
    ):
        if words in ANEW:
            prepare(page, plain_simulator)
        status, output = reader.run(*(playbook[0] for playbook in group))
        assert status == wanted, output
        assert "no hosts matched" not in output, output
        assert not done or set(re.findall(r" changed=(\d+) ", output)) == {"0"}, output
        assert words in told(output), output
        assert words in text, f"{page} does not tell what its playbook does"
