# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and their secrets: never lost, never doubled, never shown."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

from ansible_runs import Ansible
from fleet import Fleet, recap
from simulator.process import Simulator

KEY = {"name": "Deployment", "scopes": ["pipelines:read"]}


def keys(simulator: Simulator) -> list[dict[str, Any]]:
    """The keys of that name, with their secrets."""
    return [key for key in simulator.state()["api_keys"] if key["name"] == KEY["name"]]


def task(**options: Any) -> dict[str, Any]:
    return {"planasonix.admin.planasonix_api_key": {**KEY, **options}}


def test_returned_secret_is_registered_and_not_displayed(
    simulator: Simulator, ansible: Ansible, way: str, tmp_path: Path
) -> None:
    ansible.extra_environment = {"ANSIBLE_LOG_PATH": str(tmp_path / "log")}
    outcome = ansible.run(way, {**task(), "register": "made"}, arguments=("-vvv", "--diff"))
    (key,) = keys(simulator)
    assert outcome["made"]["secret"] == key["secret"]
    assert key["secret"] not in outcome.output + (tmp_path / "log").read_text()
    assert ansible.key not in outcome.output


def test_secret_file(
    plain_simulator: Simulator, plain_ansible: Ansible, way: str, tmp_path: Path
) -> None:
    """Made, regenerated and recreated: there is one key, and the file contains its secret."""
    file = tmp_path / "key"
    control = f"http://127.0.0.1:{plain_simulator.port}/_simulator/state/acme-analytics"
    steps = {
        "made": {},
        "again": {},
        "regenerated": {"rotate": True},
        "recreated": {"scopes": ["pipelines:run"], "on_mismatch": "recreate"},
    }
    tasks: list[dict[str, Any]] = []
    for name, options in steps.items():
        tasks.append({**task(secret_file=str(file), **options), "register": name})
        tasks.append({"control": {"url": control}, "register": f"{name}_state"})
        tasks.append(plain_ansible.keep(f"{name}_file", f"lookup('file', {str(file)!r})"))
    outcome = plain_ansible.run(way, *tasks)
    secrets = []
    for name in steps:
        (key,) = (
            key
            for key in outcome[f"{name}_state"]["answer"]["api_keys"]
            if key["name"] == KEY["name"]
        )
        assert outcome[f"{name}_file"] == key["secret"]
        assert outcome[name]["changed"] == (name != "again")
        assert "secret" not in outcome[name]
        secrets.append(key["secret"])
    assert len(set(secrets)) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(
        path.name for path in tmp_path.iterdir() if path.name.startswith((".planasonix", "key"))
    ) == ["key", "key.owner"]


def test_one_file_for_several_organizations(
    plain_simulator: Simulator, way: str, tmp_path: Path
) -> None:
    """All at once, one after the other, and again: one organization gets the file and a key."""
    files = {name: tmp_path / f"{name}.key" for name in ("forked", "serial")}
    plays = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "serial": 1 if name == "serial" else 0,
            "environment": {"PLANASONIX_CONTRACT": way},
            "module_defaults": {
                "group/planasonix.admin.planasonix": {
                    "api_url": plain_simulator.url,
                    "api_key": "{{ planasonix_api_key }}",
                }
            },
            "tasks": [
                {
                    "planasonix.admin.planasonix_api_key": {
                        "name": name,
                        "scopes": ["a:read"],
                        "secret_file": str(file),
                    },
                    "ignore_errors": True,
                }
            ],
        }
        for name, file in files.items()
    ]
    (tmp_path / "plays.json").write_text(json.dumps(plays), encoding="utf-8")
    fleet = Fleet(plain_simulator, tmp_path)
    for run in ("first", "second"):
        counts = recap(fleet.run(str(tmp_path / "plays.json"))).values()
        changed, ignored = (sum(count[name] for count in counts) for name in ("changed", "ignored"))
        assert (changed, ignored) == (2 if run == "first" else 0, 4)
        for name, file in files.items():
            secrets = [
                key["secret"]
                for slug in plain_simulator.slugs
                for key in plain_simulator.state(slug)["api_keys"]
                if key["name"] == name
            ]
            assert secrets == [file.read_text(encoding="utf-8")]
            assert not file.with_name(f"{file.name}.pending").exists()


def test_secret_is_not_displayed_by_other_connections(
    plain_simulator: Simulator, plain_ansible: Ansible, tmp_path: Path
) -> None:
    """At -vvv ssh prints what a module answers, and async keeps the result in a file of mode 0644."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor command; do :; done\nexec sh -c "$command"\n')
    ssh.chmod(0o700)
    remote = {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(ssh),
        "ansible_python_interpreter": sys.executable,
    }
    # Ansible writes and reads ~/.ansible_async in different folders where HOME is not the home of the user's account.
    folder = tmp_path / "async"
    asynchronous = {"async": 30, "poll": 1, "vars": {"ansible_async_dir": str(folder)}}
    settings: dict[str, Any] = {"planasonix.admin.planasonix_session_timeout": {}}
    status = {
        "ansible.builtin.async_status": {"jid": "{{ started.ansible_job_id }}"},
        "vars": asynchronous["vars"],
        "register": "result",
    }
    outcome = plain_ansible.run(
        "worker",
        {**task(), "vars": remote, "register": "ssh"},
        {**task(name="Another"), **asynchronous, "no_log": True, "register": "refused"},
        {**settings, **asynchronous, "poll": 0, "register": "started"},
        {**status, "until": "result.finished", "retries": 30, "delay": 1},
        arguments=("-vvv",),
    )
    secrets = {key["name"]: key["secret"] for key in plain_simulator.state()["api_keys"]}
    assert outcome["ssh"]["secret"] == secrets["Deployment"], outcome.output
    assert "cannot create a secret with async" in outcome["refused"]["msg"]
    assert "Another" not in secrets
    assert outcome["result"]["msg"] == "no change", outcome["result"]
    assert not any(secret in outcome.output for secret in secrets.values())
    (job,) = folder.iterdir()
    assert plain_ansible.key not in job.read_text(encoding="utf-8")


def test_own_key_is_never_deleted(
    plain_simulator: Simulator, plain_ansible: Ansible, way: str
) -> None:
    own = next(
        key for key in plain_simulator.state()["api_keys"] if key["secret"] == plain_ansible.key
    )
    outcome = plain_ansible.run(
        way,
        {
            "planasonix.admin.planasonix_api_key": {"key_id": own["id"], "state": "absent"},
            "register": "result",
        },
    )
    assert "is the one that this task itself uses" in outcome["result"]["msg"]
    assert plain_simulator.writes() == []
