# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of organizations as an inventory, and playbooks that run over it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_runs import run_playbook
from simulator.process import Simulator

SECRET = "https://hooks.example.com/canary-of-a-webhook"
ADDRESS = "127.0.0.1"
ENTRY = {"id": "ipw_1", "cidr": "192.0.2.0/24", "label": "x", "created_at": "2026-01-01T00:00:00Z"}
RULE = {
    "id": "nrl_1",
    "name": "Failures",
    "event": "e",
    "channel_ids": [],
    "filters": {"a": 1},
    "enabled": True,
    "created_at": "2026-01-01T00:00:00Z",
}


@dataclass
class Fleet:
    """The organizations of a simulator as an inventory.

    :param variables: What is given with each run.
    :param environment: What is in the environment of each run beside.
    """

    simulator: Simulator
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        playbook: str,
        *arguments: str,
        keys: dict[str, str | None] | None = None,
        **variables: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection, or a file."""
        hosts: dict[str, dict[str, str | None]] = {
            slug: {"planasonix_api_key": key}
            for slug, key in zip(self.simulator.slugs, self.simulator.keys, strict=True)
        }
        for slug, key in (keys or {}).items():
            hosts[slug]["planasonix_api_key"] = key
        shared = {
            "planasonix_api_url": self.simulator.url,
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            **self.variables,
            **variables,
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(
            json.dumps({"all": {"hosts": hosts, "vars": shared}}), encoding="utf-8"
        )
        return run_playbook(
            self.folder, "-i", str(inventory), playbook, *arguments, environment=self.environment
        )

    def play(self, **play: Any) -> str:
        """Write a playbook of one play; returns its path."""
        path = self.folder / "play.yml"
        path.write_text(
            json.dumps([{"connection": "local", "gather_facts": False, "hosts": "all", **play}]),
            encoding="utf-8",
        )
        return str(path)

    def in_a_row(self, *runs: tuple[str, dict[str, Any]]) -> str:
        """Write a playbook that runs playbooks of the collection, or files, one after the other, each with variables of its own; returns its path."""
        path = self.folder / "row.yml"
        path.write_text(
            json.dumps([{"import_playbook": name, "vars": variables} for name, variables in runs]),
            encoding="utf-8",
        )
        return str(path)

    def report(self, name: str = "json", folder: str = "planasonix-audit") -> str:
        return (self.folder / folder / f"planasonix-audit.{name}").read_text(encoding="utf-8")


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """The counts of each host."""
    found = re.findall(r"^(\S+) +: (ok=.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return {
        host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in found
    }


def changes(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert done.returncode == 0, done.stdout
    return [counts["changed"] for counts in recap(done).values()]
