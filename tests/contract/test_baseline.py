# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The baseline: one task audits and remediates an organization, in both ways, against servers of two makes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from ansible_runs import WAYS, Ansible, begin, in_beats, ways_against
from simulator.process import Simulator

MODULE = "planasonix.admin.planasonix_baseline"
ROOT = Path(__file__).resolve().parents[2]
SECRET = "https://hooks.example.com/canary-of-a-webhook"
CONTROLS: list[dict[str, Any]] = [
    {
        "id": "SES",
        "severity": "high",
        "resource": "session_timeout",
        "require": {"idle_timeout_minutes": {"at_most": 30}},
    },
    {
        "resource": "log_retention",
        "require": {"audit_logs_days": {"at_least": 400}, "run_logs_days": {"at_most": 30}},
    },
    {
        "id": "SSO",
        "resource": "settings",
        "require": {"require_sso": True, "feature_flags": {"lineage_v2": False}},
    },
    {
        "id": "NET",
        "resource": "ip_whitelist",
        "require": {"entries": [{"cidr": "127.0.0.1", "label": "Automation"}], "enabled": True},
    },
    {
        "id": "CHANNEL",
        "resource": "notification_channels",
        "require": {
            "present": [
                {
                    "name": "Hook",
                    "type": "webhook",
                    "secret_config": {"url": SECRET},
                    "enabled": True,
                }
            ]
        },
    },
    {
        "id": "RULE",
        "resource": "notification_rules",
        "require": {
            "present": [{"name": "Failures", "event": "pipeline.run.failed", "channels": ["Hook"]}]
        },
    },
    {"id": "KEYS", "resource": "api_keys", "require": {"must_expire": True}},
    {"id": "MFA", "resource": "mfa", "require": {"enabled": True}},
    {"id": "WAIVED", "resource": "profile", "require": {"timezone": "Etc/UTC"}},
]
OPTIONS: dict[str, Any] = {
    "controls": CONTROLS,
    "waivers": [{"id": "WAIVED", "reason": "A person uses it", "expires": "2999-12-31"}],
    "protected_addresses": ["127.0.0.1"],
    "snapshot_file": "snapshots/acme.yml",
}
FIXED = ["SES", "log_retention", "SSO", "NET", "CHANNEL", "RULE"]
BEATS = ("check", "run", "again", "invalid")
SERVER_GIVEN = ("id", "created_at", "request_id")


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {control["id"]: control["status"] for control in result["controls"]}


def test_beats(simulator: Simulator, ansible: Ansible, make: str) -> None:
    contradiction = {
        **OPTIONS,
        "controls": [
            *CONTROLS,
            {**CONTROLS[0], "id": "OTHER", "require": {"idle_timeout_minutes": 31}},
        ],
    }
    outcomes = {}
    for way in ways_against(make):
        begin(simulator, make)
        beats = [
            (
                beat,
                beat == "run",
                {
                    MODULE: contradiction if beat == "invalid" else OPTIONS,
                    "check_mode": beat == "check",
                },
            )
            for beat in BEATS
        ]
        outcomes[way] = outcome = ansible.run(way, *in_beats(simulator, beats))
        assert simulator.violations() == [], outcome.output
        found = {name: statuses(outcome[name]) for name in BEATS[:3]}
        rest = {"KEYS": "fail", "MFA": "fail", "WAIVED": "waived"}
        assert found["check"] == {**dict.fromkeys(FIXED, "fail"), **rest}, outcome.output
        assert found["run"] == {**dict.fromkeys(FIXED, "fixed"), **rest}, outcome.output
        assert found["again"] == {**dict.fromkeys(FIXED, "pass"), **rest}, outcome.output
        assert [outcome[beat]["changed"] for beat in BEATS[:3]] == [True, True, False]
        assert outcome["check"]["diff"] == outcome["run"]["diff"]
        assert outcome["check"]["plan"] == outcome["run"]["plan"]
        assert outcome["check"].keys() == outcome["run"].keys()
        assert outcome["run"]["msg"] == "baseline: 6 fixed, 1 waived, 2 fail"
        assert not outcome["run"]["compliant"]
        for beat in ("check", "again"):
            reads = Counter(
                row["path"]
                for row in outcome[f"{beat}_log"]["answer"]
                if "cursor" not in row["query"]
            )
            assert {row["method"] for row in outcome[f"{beat}_log"]["answer"]} == {"GET"}
            assert set(reads.values()) == {1}, "each resource is read once"
        assert outcome["invalid"]["failed"]
        assert (
            "The controls 'SES' and 'OTHER' cannot both hold: idle_timeout_minutes"
            in outcome["invalid"]["msg"]
        )
        assert outcome["invalid_log"]["answer"] == []
        snapshot = ansible.folder / "snapshots" / "acme.yml"
        assert outcome["run"]["snapshot_file"] == str(snapshot)
        text = snapshot.read_text(encoding="utf-8")
        taken = yaml.safe_load(text)
        assert taken["organization"]["slug"] == simulator.slugs[0] and len(taken["controls"]) == 6
        assert "idle_timeout_minutes: 60" in text and SECRET not in text
        files = [*snapshot.parent.iterdir(), snapshot.parent]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600, 0o700}
        assert SECRET not in json.dumps([outcome[beat] for beat in BEATS])
        assert simulator.state()["channels"][0]["config"]["url"] == SECRET
    for beat in BEATS if make == "documented" else ():
        one, other = (json.dumps(stable(outcomes[way][beat]), sort_keys=True) for way in WAYS)
        assert one == other


def stable(value: Any) -> Any:
    """The value without ids that the server gives; those of controls are the user's, and kept by their place."""
    if isinstance(value, dict):
        return {
            key: stable(item)
            for key, item in value.items()
            if key not in SERVER_GIVEN or "resource" in value
        }
    if isinstance(value, list):
        return [stable(item) for item in value]
    return value.partition(" (key_")[0] if isinstance(value, str) else value


def test_the_secret_of_a_channel_is_not_displayed(
    plain_ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    task = {MODULE: OPTIONS, "register": "result"}
    plain_simulator.fault(
        "status",
        method="POST",
        path="*/channels",
        status=422,
        body={"code": "no", "message": f"bad url {SECRET}"},
        times=1,
    )
    outcome = plain_ansible.run(
        way,
        {**task, "check_mode": True},
        {**task, "register": "refused"},
        task,
        arguments=("-vvv", "--diff"),
    )
    assert (outcome["refused"]["failed"], outcome["result"]["failed"]) == (True, False), (
        outcome.output
    )
    assert plain_simulator.state()["channels"][0]["config"]["url"] == SECRET
    assert SECRET not in outcome.output + json.dumps(outcome.results)


def test_a_dead_key_and_an_unreachable_host_are_errors_of_all_controls_and_no_failure(
    plain_ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    # With snapshot_file the task fails, as there can be no snapshot.
    options = {name: value for name, value in OPTIONS.items() if name != "snapshot_file"}
    outcome = plain_ansible.run(
        way,
        {MODULE: {**options, "api_key": "plnx_live_dead"}, "register": "dead"},
        {
            MODULE: {**options, "api_url": "http://127.0.0.1:1", "retries": 0},
            "register": "unreachable",
        },
    )
    for name in ("dead", "unreachable"):
        assert (outcome[name]["failed"], outcome[name]["changed"], outcome[name]["compliant"]) == (
            False,
            False,
            False,
        ), outcome.output
        assert set(statuses(outcome[name]).values()) == {"error"}
    assert len(plain_simulator.log()) == 1
    assert "401" in outcome["dead"]["controls"][0]["detail"]


def test_audit_of_the_strict_profile(
    plain_ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    """One request for each needed resource (the allowlist is two of the API's), and no write."""
    profile = yaml.safe_load(
        (ROOT / "roles" / "org_baseline" / "files" / "strict.yml").read_text(encoding="utf-8")
    )
    plain_simulator.options(read_only=True)
    outcome = plain_ansible.run(
        way, {MODULE: {"controls": profile["controls"]}, "check_mode": True, "register": "audit"}
    )
    assert len(outcome["audit"]["controls"]) == len(profile["controls"]) >= 16
    assert outcome["audit"]["summary"]["error"] == 0, outcome["audit"]
    reads = Counter(f"{row['method']} {row['path']}" for row in plain_simulator.log())
    assert reads == dict.fromkeys(
        (
            "GET /api/features",
            "GET /api/notifications/channels",
            "GET /api/notifications/rules",
            "GET /api/session-timeout",
            "GET /api/settings/all",
            "GET /api/settings/ip-whitelist",
            "GET /api/settings/ip-whitelist/status",
            "GET /api/settings/log-retention",
            "GET /api/user/api-keys",
            "GET /api/user/mfa",
        ),
        1,
    )
