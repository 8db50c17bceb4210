# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs at once on one organization: what a third run finds, and that it puts it right or tells the ids, as the guide on failures says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from module_process import Ended, Job, run_modules
from simulator.process import Simulator

LATENCY = 300
"""Milliseconds, so that both runs have read before either writes."""
CHANNEL = {
    "id": "nch_1",
    "type": "email",
    "name": "On-call",
    "enabled": True,
    "config": {},
    "created_at": "2026-01-01T00:00:00Z",
}
TEAM = [f"192.0.2.{number}/32" for number in range(4)]


def run(simulator: Simulator, module: str, *tasks: dict[str, Any]) -> list[Ended]:
    """Run tasks of one module at the same time."""
    connection = {"api_url": simulator.url, "api_key": simulator.keys[0]}
    return run_modules([Job(module, {**connection, **task}) for task in tasks])


def results(ends: list[Ended]) -> list[dict[str, Any]]:
    found = [end.result for end in ends if end.result is not None]
    assert len(found) == len(ends), ends
    return found


def run_twice_at_once(
    simulator: Simulator, module: str, *tasks: dict[str, Any]
) -> list[dict[str, Any]]:
    simulator.options(latency_ms=LATENCY)
    found = results(run(simulator, module, *tasks))
    simulator.options(latency_ms=0)
    return found


def test_entries_are_put_right(plain_simulator: Simulator) -> None:
    """Each run added each entry; the third keeps the older ones, and everybody has access all along."""
    task = {
        "entries": [{"cidr": cidr, "label": "Team"} for cidr in (*TEAM, "127.0.0.1/32")],
        "enabled": True,
        "protected_addresses": ["127.0.0.1"],
    }
    first = run_twice_at_once(plain_simulator, "ip_whitelist", task, task)
    assert not any(result.get("failed") for result in first), first
    listed = [entry["cidr"] for entry in plain_simulator.state()["ip_whitelist"]["entries"]]
    assert len(listed) == 2 * len(set(listed)), "the runs did not meet"
    (third,) = results(run(plain_simulator, "ip_whitelist", task))
    assert third["changed"] and not third.get("failed"), third
    state = plain_simulator.state()["ip_whitelist"]
    assert sorted(entry["cidr"] for entry in state["entries"]) == sorted({*listed})
    assert state["enabled"]
    assert not any(row["status"] == 403 for row in plain_simulator.log())
    (fourth,) = results(run(plain_simulator, "ip_whitelist", task))
    assert not fourth["changed"]


def test_two_lists_end_as_one_of_them_asks(plain_simulator: Simulator) -> None:
    """Two runs want different lists, each without the entries of the other: whatever is left, nobody protected lost access, and one more run settles it."""
    tasks = [
        {
            "entries": [{"cidr": "127.0.0.1"}, {"cidr": cidr}],
            "purge": True,
            "enabled": True,
            "protected_addresses": ["127.0.0.1"],
        }
        for cidr in TEAM[:2]
    ]
    run_twice_at_once(plain_simulator, "ip_whitelist", *tasks)
    (third,) = results(run(plain_simulator, "ip_whitelist", tasks[0]))
    assert not third.get("failed"), third
    state = plain_simulator.state()["ip_whitelist"]
    assert ([entry["cidr"] for entry in state["entries"]], state["enabled"]) == (
        ["127.0.0.1/32", TEAM[0]],
        True,
    )
    assert not any(row["status"] == 403 for row in plain_simulator.log())


def test_channels_are_told_with_their_ids(plain_simulator: Simulator) -> None:
    task = {"name": "On-call", "type": "email", "config": {"recipients": ["a@example.com"]}}
    run_twice_at_once(plain_simulator, "notification_channel", task, task)
    ids = [channel["id"] for channel in plain_simulator.state()["channels"]]
    assert len(ids) == 2, "the runs did not meet"
    before = len(plain_simulator.writes())
    (third,) = results(run(plain_simulator, "notification_channel", task))
    assert third["failed"]
    assert all(channel_id in third["msg"] for channel_id in ids)
    assert len(plain_simulator.writes()) == before


@pytest.mark.parametrize("replacement", ["keep_id", "change_id", "leave_old"])
def test_rules_are_one_or_told_with_their_ids(plain_simulator: Simulator, replacement: str) -> None:
    """An API that replaces a rule by its name leaves one; where it does not, the third run says what to remove."""
    plain_simulator.options(rule_replacement=replacement)
    plain_simulator.set_state(channels=[CHANNEL])
    task = {"name": "Failures", "event": "pipeline.run.failed", "channels": ["On-call"]}
    run_twice_at_once(plain_simulator, "notification_rule", task, task)
    ids = [rule["id"] for rule in plain_simulator.state()["rules"]]
    (third,) = results(run(plain_simulator, "notification_rule", task))
    if replacement == "leave_old":
        assert len(ids) == 2, "the runs did not meet"
        assert third["failed"]
        assert all(rule_id in third["msg"] for rule_id in ids)
    else:
        assert len(ids) == 1
        assert (third.get("failed", False), third["changed"]) == (False, False)


@pytest.mark.parametrize("operation", ["create", "recreate"])
@pytest.mark.parametrize("files", ["one file", "a file each", "returned"])
def test_keys_are_known_or_told_with_their_ids(
    plain_simulator: Simulator, operation: str, files: str, tmp_path: Path
) -> None:
    """Each live key has a secret that somebody knows; the third run takes the newest for the key, and tells the others as superseded."""
    task: dict[str, Any] = {"name": "Deployment", "scopes": ["a:read"]}
    if operation == "recreate":
        (made,) = results(run(plain_simulator, "api_key", task))
        task = {**task, "scopes": ["a:run"], "on_mismatch": "recreate"}
    names = {"one file": ("key", "key"), "a file each": ("one", "other"), "returned": ()}[files]
    tasks = [{**task, "secret_file": str(tmp_path / name)} for name in names] or [task, task]
    first = run_twice_at_once(plain_simulator, "api_key", *tasks)
    keys = {
        key["id"]: key["secret"]
        for key in plain_simulator.state()["api_keys"]
        if key["name"] == "Deployment"
    }
    known = {path.read_text() for path in tmp_path.iterdir() if path.suffix != ".pending"} | {
        result.get("secret") for result in first
    }
    assert set(keys.values()) <= known, first
    if operation == "recreate":
        assert made["api_key"]["id"] not in keys

    third_task = tasks[0]
    (third,) = results(run(plain_simulator, "api_key", third_task))
    assert not third.get("failed"), third
    keys = {
        key["id"]: key["secret"]
        for key in plain_simulator.state()["api_keys"]
        if key["name"] == "Deployment"
    }
    assert sorted([third["api_key"]["id"], *third["superseded"]]) == sorted(keys)
    if files == "one file":
        assert (tmp_path / "key").read_text() == keys[third["api_key"]["id"]]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.owner"]


def test_two_new_secrets_of_one_key_do_not_mix(plain_simulator: Simulator, tmp_path: Path) -> None:
    """At least one run fails; what is in force is in the file, in a result, or made anew by the third run."""
    file = tmp_path / "key"
    task = {"name": "Deployment", "scopes": ["a:read"], "secret_file": str(file)}
    results(run(plain_simulator, "api_key", task))
    first = run_twice_at_once(
        plain_simulator, "api_key", {**task, "rotate": True}, {**task, "rotate": True}
    )
    assert any(result.get("failed") for result in first), first
    (third,) = results(run(plain_simulator, "api_key", task))
    assert not third.get("failed"), third
    (secret,) = (
        key["secret"] for key in plain_simulator.state()["api_keys"] if key["name"] == "Deployment"
    )
    assert file.read_text() == secret
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.owner"]
