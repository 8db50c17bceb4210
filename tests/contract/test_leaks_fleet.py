# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries in a fleet: the inventory as the guides write it, roles and playbooks, the reports of an audit, and what an export writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_runs import run_playbook
from simulator.process import Simulator
from watched import Watched, leaks

HOOK = "https://hooks.example.com/canary-stored"
REQUIRED = {"url": "https://hooks.example.com/canary-required", "token": 31415926535}
WORDS = (r"canary-[a-z-]+", "31415926535", r"plnx_live_\S+_admin_simulator")
INVENTORY = """\
organizations:
  vars:
    ansible_connection: local
    planasonix_api_url: {url}
  hosts:
    acme:
      planasonix_api_key: "{{{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}}}"
    globex:
      planasonix_api_key: !vault |
{vaulted}
"""


@pytest.fixture
def watched(watched_run: Watched, plain_simulator: Simulator, tmp_path: Path) -> Watched:
    """Two organizations: the key of one comes by a lookup, that of the other from Ansible Vault."""
    given = tmp_path / "given"
    vaulted = (
        VaultLib([("default", VaultSecret(b"canary-of-the-vault"))])
        .encrypt(plain_simulator.keys[1])
        .decode()
    )
    inventory = INVENTORY.format(
        url=plain_simulator.url,
        vaulted="\n".join(f"        {line}" for line in vaulted.splitlines()),
    )
    (given / "inventory.yml").write_text(inventory, encoding="utf-8")
    (given / "vault").write_text("canary-of-the-vault", encoding="utf-8")
    watched_run.environment |= {
        "ACME_API_KEY": plain_simulator.keys[0],
        "ANSIBLE_VAULT_PASSWORD_FILE": str(given / "vault"),
        "ANSIBLE_PIPELINING": "true",
    }
    return watched_run


def test_the_inventory_shows_no_key(watched: Watched, tmp_path: Path) -> None:
    """``ansible-inventory`` shows the lookup, and what is encrypted as it is."""
    command = [
        str(Path(sys.executable).parent / "ansible-inventory"),
        "-i",
        str(tmp_path / "given" / "inventory.yml"),
        "--list",
        "-vvvv",
    ]
    done = subprocess.run(
        command,
        env={**os.environ, **watched.environment},
        cwd=watched.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    hosts = json.loads(done.stdout[done.stdout.index("\n{") :])["_meta"]["hostvars"]
    assert (
        hosts["acme"]["planasonix_api_key"] == "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}"
    )
    assert "$ANSIBLE_VAULT" in hosts["globex"]["planasonix_api_key"]["__ansible_vault"]
    assert leaks({"screen": done.stdout + done.stderr}, *WORDS) == []


def test_no_secret_is_seen_in_a_fleet(
    watched: Watched, plain_simulator: Simulator, tmp_path: Path
) -> None:
    """Roles and playbooks that make, store, read and report, on one screen: onboarding with keys in files, rotation, export and audit."""
    given = tmp_path / "given"
    old = {
        "id": "key_old",
        "name": "CI",
        "secret": "plnx_old",
        "prefix": "plnx_old",
        "scopes": ["a:read"],
        "created_at": "2020-01-01T00:00:00Z",
    }
    hook = {
        "id": "nch_1",
        "name": "Hook",
        "type": "webhook",
        "config": {"method": "POST", "url": HOOK},
        "enabled": True,
        "created_at": old["created_at"],
    }
    plain_simulator.options(mask_config="mask")
    for slug in plain_simulator.slugs[:2]:
        plain_simulator.set_state(
            slug, api_keys=[*plain_simulator.state(slug)["api_keys"], old], channels=[hook]
        )
    stored = given / "stored"
    store = {
        "record": {
            "file": str(stored),
            "name": "{{ inventory_hostname }}",
            "value": "{{ api_key_rotation_secret }}",
        },
        "no_log": True,
    }
    (given / "store.yml").write_text(json.dumps([store]), encoding="utf-8")
    channel = {"name": "Required", "type": "webhook", "secret_config": REQUIRED}
    control = {
        "id": "REQUIRED",
        "severity": "high",
        "resource": "notification_channels",
        "require": {"present": [channel]},
    }
    changed = {
        **control,
        "id": "CHANGED",
        "require": {"present": [{**channel, "name": "Hook", "config": {"method": "GET"}}]},
    }
    missing = {**control, "id": "MISSING", "require": {"present": [{**channel, "name": "Missing"}]}}
    variables = {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "org_onboarding_channels": [{**channel, "name": "New"}],
        "org_onboarding_api_keys": [
            {
                "name": "Automation",
                "scopes": ["a:read"],
                "secret_file": str(watched.left / "automation.key"),
            }
        ],
        "org_baseline_extra_controls": [control, changed],
        "controls_of_audit": [control, changed, missing],
        "api_key_rotation_names": ["CI"],
        "api_key_rotation_store_tasks": str(given / "store.yml"),
        "compliance_audit_fail_on": "never",
    }
    (given / "group_vars").mkdir()
    (given / "group_vars" / "all.json").write_text(json.dumps(variables), encoding="utf-8")
    plays: list[dict[str, Any]] = [
        # One organization each is enough.
        {"import_playbook": "planasonix.admin.onboard", "vars": {"planasonix_hosts": "globex"}},
        {
            "hosts": "acme",
            "connection": "local",
            "gather_facts": False,
            "roles": [{"role": "planasonix.admin.api_key_rotation"}],
        },
        {"import_playbook": "planasonix.admin.export", "vars": {"planasonix_hosts": "globex"}},
        {
            "import_playbook": "planasonix.admin.audit",
            "vars": {"org_baseline_extra_controls": "{{ controls_of_audit }}"},
        },
    ]
    playbook = watched.folder / "playbook.yml"
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    done = run_playbook(
        watched.folder,
        "-i",
        str(given / "inventory.yml"),
        "-vvvv",
        "--diff",
        str(playbook),
        environment=watched.environment,
    )
    watched.output = done.stdout
    assert done.returncode == 0, done.stdout
    places = watched.seen(packed=False)

    # All of it was done, and the secrets are where they are to be.
    acme, globex = (plain_simulator.state(slug) for slug in plain_simulator.slugs[:2])
    made = {key["name"]: key["secret"] for key in (*acme["api_keys"], *globex["api_keys"])}
    (rotated,) = (key["secret"] for key in acme["api_keys"] if key["name"] == "CI")
    assert json.loads(stored.read_text(encoding="utf-8")) == ["acme", rotated]
    kept = {place: text for place, text in places.items() if place.startswith("left/")}
    assert kept.pop("left/automation.key.owner")
    assert kept == {"left/automation.key": made["Automation"]}
    configs = {channel["name"]: channel["config"] for channel in globex["channels"]}
    assert [configs[name]["token"] for name in ("Hook", "Required", "New")] == [
        REQUIRED["token"]
    ] * 3
    # The places are those that the promise is about.
    reports = [
        f"planasonix-audit/planasonix-audit.{extension}"
        for extension in ("html", "json", "xml", "csv", "md", "sarif")
    ]
    for report in reports:
        assert "MISSING" in places[report], report
    assert "PLACEHOLDER:Hook.url" in places["planasonix-export/globex.yml"]
    found = leaks(places, *WORDS)
    assert kept.keys() <= {place for place, _word, _text in found}, (
        "the search finds the secret in its file"
    )
    assert [leak for leak in found if leak[0] not in kept] == []


def test_what_an_api_does_not_mask_is_in_the_files_only(
    watched: Watched, plain_simulator: Simulator, tmp_path: Path
) -> None:
    """What is read for snapshots and exports is displayed nowhere, nor is what is restored."""
    given = tmp_path / "given"
    globex = plain_simulator.slugs[1]
    mail: dict[str, Any] = {
        "id": "nch_1",
        "name": "Mail",
        "type": "email",
        "config": {"recipients": ["a@example.com"], "room": "canary-of-a-room"},
        "enabled": True,
        "created_at": "2020-01-01T00:00:00Z",
    }
    config = {"method": "POST", "url": HOOK}
    hook = {**mail, "id": "nch_2", "name": "Hook", "type": "webhook", "config": config}
    plain_simulator.set_state(globex, channels=[mail, hook])
    control = f"http://127.0.0.1:{plain_simulator.port}/_simulator/state/{globex}"
    config = {**mail["config"], "room": "canary-of-another-room"}
    changed = {"channels": [{**mail, "enabled": False, "config": config}, hook]}
    drift = {
        "hosts": "globex",
        "gather_facts": False,
        "tasks": [{"control": {"url": control, "body": changed, "method": "PUT"}, "no_log": True}],
    }
    plays = [
        {"import_playbook": "planasonix.admin.harden"},
        {"import_playbook": "planasonix.admin.export"},
        drift,
        {"import_playbook": "planasonix.admin.rollback"},
    ]
    playbook = given / "playbook.yml"
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    done = run_playbook(
        watched.folder,
        "-i",
        str(given / "inventory.yml"),
        "-e",
        "planasonix_hosts=globex",
        "-e",
        "org_baseline_skip=PLX-ALR-1,PLX-ALR-2,PLX-ALR-3",
        "-vvvv",
        "--diff",
        str(playbook),
        environment=watched.environment,
    )
    watched.output = done.stdout
    assert done.returncode == 0, done.stdout
    assert plain_simulator.state(globex)["channels"] == [mail, hook]
    places = watched.seen(packed=False)
    files = {"planasonix-snapshots/globex.yml", "planasonix-export/globex.yml"}
    found = leaks(places, *WORDS)
    assert {place for place, _word, _text in found} == files, found
    # What happened to the channel is displayed all the same.
    assert '"room": "(not displayed, after)"' in watched.output
