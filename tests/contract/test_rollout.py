# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A roll-out with a way back: snapshots before something is changed, the rollback to them, and waves."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import environment_in, run_playbook, told
from fleet import ADDRESS, ENTRY, RULE, SECRET, Fleet, changes, recap
from rewriting_api import RewritingApi
from simulator.process import Simulator

TIME = "2026-01-01T00:00:00Z"
MAIL = {
    "id": "nch_mail",
    "name": "On-call",
    "type": "email",
    "enabled": True,
    "config": {"recipients": ["oncall@example.com"]},
    "created_at": TIME,
}
HOOK = {
    **MAIL,
    "id": "nch_hook",
    "name": "Hook",
    "type": "webhook",
    "config": {"method": "POST", "url": SECRET},
}
OWN = {**ENTRY, "cidr": f"{ADDRESS}/32", "label": ""}
OFFICE = {**ENTRY, "id": "ipw_2", "cidr": "203.0.113.0/24", "label": "Office"}


@pytest.fixture
def fleet(plain_simulator: Simulator, tmp_path: Path) -> Fleet:
    """Three organizations that hide the secrets of channels. The first enforces its allowlist, the others have none."""
    acme, *others = plain_simulator.slugs
    plain_simulator.options(mask_config="mask")
    rules = [
        {**RULE, "channel_ids": ["nch_mail", "nch_hook"]},
        {**RULE, "id": "nrl_2", "name": "Growth", "channel_ids": ["nch_hook"]},
    ]
    whitelist = {"enabled": True, "last_evaluated_at": TIME, "entries": [OWN, OFFICE]}
    plain_simulator.set_state(acme, channels=[MAIL, HOOK], rules=rules, ip_whitelist=whitelist)
    for slug in others:
        plain_simulator.set_state(slug, ip_whitelist={"last_evaluated_at": TIME, "entries": [OWN]})
    return Fleet(
        plain_simulator,
        tmp_path,
        {"org_baseline_protected_addresses": [ADDRESS], "org_baseline_profile": "strict"},
    )


def snapshot(fleet: Fleet, slug: str) -> Path:
    return fleet.folder / "planasonix-snapshots" / f"{slug}.yml"


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """What of an organization a snapshot is about: without ids and times, and rules with the names of their channels."""

    def bare(item: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in item.items()
            if name not in ("id", "created_at", "channel_ids")
        }

    names = {channel["id"]: channel["name"] for channel in state["channels"]}
    return {
        **{name: state[name] for name in ("settings", "session_timeout", "log_retention")},
        "enabled": state["ip_whitelist"]["enabled"],
        "entries": sorted(
            (entry["cidr"], entry["label"]) for entry in state["ip_whitelist"]["entries"]
        ),
        "channels": {channel["name"]: bare(channel) for channel in state["channels"]},
        "rules": {
            rule["name"]: {
                **bare(rule),
                "channels": [names.get(one, one) for one in rule["channel_ids"]],
            }
            for rule in state["rules"]
        },
    }


def test_there_and_back(fleet: Fleet) -> None:
    """Harden, drift, and roll back: first in check mode, then for real, then again."""
    simulator, acme = fleet.simulator, fleet.simulator.slugs[0]
    path, limit = snapshot(fleet, acme), ("--limit", acme)
    before = comparable(simulator.state(acme))
    simulator.options(read_only=True)
    assert changes(fleet.run("planasonix.admin.harden", *limit, "--check")) == [1]
    assert simulator.violations() == []
    assert not path.parent.exists(), "check mode changes nothing"
    simulator.options(read_only=False)
    # The second run changes nothing and keeps the snapshot. The third changes something and keeps it beside its own.
    foundation, strict = (
        ("planasonix.admin.harden", {"org_baseline_profile": profile})
        for profile in ("foundation", "strict")
    )
    assert changes(fleet.run(fleet.in_a_row(foundation, foundation, strict), *limit)) == [2]
    older = next(path.parent.glob(f"{acme}.yml.*"))
    assert set(path.parent.iterdir()) == {path, older}
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, older)] == [0o600, 0o600]
    assert "idle_timeout_minutes: 30" in path.read_text(encoding="utf-8"), (
        "what the foundation made of it"
    )
    text = older.read_text(encoding="utf-8")
    assert SECRET not in text and "PLACEHOLDER:Hook.url" in text
    # Go back to the first, as a user would.
    older.replace(path)

    hardened = simulator.state(acme)
    channels = [
        {**channel, "enabled": channel["name"] != "On-call"} for channel in hardened["channels"]
    ] + [{**MAIL, "id": "nch_new", "name": "Newer"}]
    rules = [{**rule, "event": "other", "filters": {}} for rule in hardened["rules"]] + [
        {**RULE, "id": "nrl_new", "name": "Newer", "channel_ids": ["nch_new"]}
    ]
    entries = [{**OWN, "label": "Relabelled"}, {**ENTRY, "id": "ipw_3"}]
    simulator.set_state(
        acme,
        channels=channels,
        rules=rules,
        ip_whitelist={**hardened["ip_whitelist"], "entries": entries},
    )
    simulator.options(read_only=True)
    checked = fleet.run("planasonix.admin.rollback", *limit, "--check", "--diff")
    assert simulator.violations() == []
    assert '- "idle_timeout_minutes": 15' in told(checked.stdout)
    simulator.options(read_only=False)
    # The second run changes nothing.
    done = fleet.run(fleet.in_a_row(*[("planasonix.admin.rollback", {})] * 2), *limit, "--diff")
    for run in (checked, done):
        assert changes(run) == [1]
        assert "so they stay as they are now: Hook.url." in told(run.stdout)
        assert "The notification rule 'Newer' is newer than the snapshot and is disabled" in told(
            run.stdout
        )
        assert SECRET not in run.stdout
    after = comparable(simulator.state(acme))
    newer = {
        name: after["rules"].pop(name)["enabled"]
        for name in list(after["rules"])
        if name not in before["rules"]
    }
    assert after == before
    assert newer["Newer"] is False and not any(newer.values())


def find_rule(simulator: Simulator, slug: str, name: str) -> dict[str, Any]:
    """Return a notification rule of an organization."""
    (rule,) = (rule for rule in simulator.state(slug)["rules"] if rule["name"] == name)
    return rule


def test_what_cannot_be_put_back_keeps_nothing_else_from_it(fleet: Fleet) -> None:
    """A channel with a secret was deleted, and the allowlist may not be changed without the addresses that must keep access."""
    simulator, acme = fleet.simulator, fleet.simulator.slugs[0]
    before = comparable(simulator.state(acme))
    assert changes(fleet.run("planasonix.admin.harden", "--limit", acme)) == [1]
    state = simulator.state(acme)
    rules = [{**rule, "enabled": False} for rule in state["rules"]]
    rules.append({**RULE, "id": "nrl_new", "name": "Newer", "channel_ids": ["nch_mail"]})
    simulator.set_state(
        acme,
        channels=[],
        rules=rules,
        ip_whitelist={**state["ip_whitelist"], "entries": [OWN, {**OFFICE, "label": "Other"}]},
    )
    parts = [
        "is not completely restored.",
        "The notification channel 'Hook' is gone and cannot be created again, since the snapshot lacks url. "
        "Replace PLACEHOLDER:Hook.url in it with the real value.",
        "The notification rule 'Failures' is restored without the notification channel 'Hook'.",
        "The notification rule 'Growth' stays as it is, since it sends only through the notification channel 'Hook'.",
    ]
    refusal = "Set protected_addresses to the addresses that must keep access"
    runs = [
        fleet.run(
            "planasonix.admin.rollback",
            "--limit",
            acme,
            *check,
            org_baseline_protected_addresses=[],
        )
        for check in (["--check"], [])
    ]
    for done in runs:
        assert (done.returncode, recap(done)[acme]["changed"]) == (2, 1), done.stdout
        assert [part for part in (*parts, refusal) if part not in told(done.stdout)] == []
    # The channel of the newer rule is gone, and this API lets the rule keep it.
    assert find_rule(simulator, acme, "Newer")["enabled"] is False
    after = comparable(simulator.state(acme))
    assert after["entries"] != before["entries"]
    # What the profile made is gone, and all else is back.
    assert after["channels"] == {"On-call": before["channels"]["On-call"]}
    assert after["rules"]["Failures"] == {**before["rules"]["Failures"], "channels": ["On-call"]}
    assert all(
        after[name] == before[name]
        for name in ("settings", "session_timeout", "log_retention", "enabled")
    )
    # With the addresses, and the secret where its placeholder was, all of it is back.
    rules = [rule for rule in simulator.state(acme)["rules"] if rule["name"] != "Newer"]
    simulator.set_state(acme, rules=rules)
    path = snapshot(fleet, acme)
    path.write_text(
        path.read_text(encoding="utf-8").replace("PLACEHOLDER:Hook.url", SECRET), encoding="utf-8"
    )
    done = fleet.run("planasonix.admin.rollback", "--limit", acme, "--diff", "-vvv")
    assert changes(done) == [1]
    assert SECRET not in done.stdout
    after = comparable(simulator.state(acme))
    assert {**after, "rules": {name: after["rules"][name] for name in before["rules"]}} == before


def test_a_host_without_a_snapshot_is_not_hardened(fleet: Fleet) -> None:
    """One organization cannot be read, of another the snapshot cannot be written; the third goes on. Names of resources are tags, here as well."""
    simulator = fleet.simulator
    acme, globex, initech = simulator.slugs
    snapshot(fleet, initech).mkdir(parents=True)
    simulator.clear_log()
    done = fleet.run(
        "planasonix.admin.harden",
        "--tags",
        "session_timeout",
        "-e",
        "planasonix_wave_size=2",
        "-e",
        "planasonix_max_fail_percentage=100",
        keys={acme: "plnx_live_dead"},
    )
    counts = recap(done)
    assert {slug: (counts[slug]["failed"], counts[slug]["changed"]) for slug in counts} == {
        acme: (1, 0),
        globex: (0, 1),
        initech: (1, 0),
    }, done.stdout
    assert done.stdout.count("PLAY [") == 2 and "Traceback" not in done.stdout
    # What is read is hidden, and why it cannot be read is not.
    assert "GET /api/session-timeout answered 401" in told(done.stdout)
    assert {write["organization"] for write in simulator.writes()} == {globex}
    assert "notification_rules" in snapshot(fleet, globex).read_text(encoding="utf-8"), (
        "what the tags leave out is in it all the same"
    )


def test_what_the_key_may_not_read_is_left_out(fleet: Fleet) -> None:
    """The baseline does not write it either; all else is hardened, and put back. Whether a rule needs a channel that is newer, nobody can tell then."""
    acme = fleet.simulator.slugs[0]
    for method in ("GET", "POST"):
        fleet.simulator.fault(
            "status", method=method, path="/api/notifications/rules", status=403, times=None
        )
    before = comparable(fleet.simulator.state(acme))
    done = fleet.run("planasonix.admin.harden", "--limit", acme)
    assert (done.returncode, changes(done)) == (0, [1]), done.stdout
    kept = snapshot(fleet, acme).read_text(encoding="utf-8")
    assert "session_timeout" in kept and "notification_rules" not in kept
    done = fleet.run("planasonix.admin.rollback", "--limit", acme)
    after = comparable(fleet.simulator.state(acme))
    assert {
        **after,
        "channels": {name: after["channels"][name] for name in before["channels"]},
    } == before, done.stdout
    assert (
        done.returncode == 2
        and "is not completely restored. Could not read the notification rules" in told(done.stdout)
    )


def test_what_may_no_longer_be_read_and_the_snapshot_of_another(fleet: Fleet) -> None:
    """The rest of the one is put back, and nothing is written to the other."""
    simulator = fleet.simulator
    _acme, globex, initech = simulator.slugs
    before = comparable(simulator.state(globex))
    fleet.run("planasonix.admin.harden", "--limit", globex)
    snapshot(fleet, initech).write_bytes(snapshot(fleet, globex).read_bytes())
    simulator.fault(
        "status",
        organization=globex,
        method="GET",
        path="/api/session-timeout",
        status=403,
        times=None,
    )
    simulator.clear_log()
    done = fleet.run(
        "planasonix.admin.rollback",
        "--limit",
        f"{globex},{initech}",
        "-e",
        "planasonix_max_fail_percentage=100",
        "-e",
        "planasonix_wave_size=100%",
    )
    assert {slug: counts["failed"] for slug, counts in recap(done).items()} == {
        globex: 1,
        initech: 1,
    }, done.stdout
    assert {write["organization"] for write in simulator.writes()} == {globex}
    assert f"{globex} is not completely restored. Could not read the session timeout" in told(
        done.stdout
    )
    assert "the input is no snapshot of this organization: it was taken of" in told(done.stdout)
    after = comparable(simulator.state(globex))
    assert after["session_timeout"] != before["session_timeout"]
    assert [
        name
        for name in ("settings", "log_retention", "enabled", "entries", "channels")
        if after[name] != before[name]
    ] == []


@pytest.mark.parametrize(
    ("arguments", "reached"),
    [
        pytest.param([], 1, id="the first organization, by default"),
        pytest.param(
            ["-e", '{"planasonix_wave_size": [2, "100%"]}'], 2, id="one of the first wave"
        ),
    ],
)
def test_a_wave_that_fails_stops_the_roll_out(
    fleet: Fleet, arguments: list[str], reached: int
) -> None:
    done = fleet.run(
        "planasonix.admin.harden", *arguments, keys={fleet.simulator.slugs[0]: "plnx_live_dead"}
    )
    assert done.returncode == 2
    assert list(recap(done)) == fleet.simulator.slugs[:reached], done.stdout
    # The others of its wave are in the same task.
    written = {write["organization"] for write in fleet.simulator.writes()}
    assert written == set(fleet.simulator.slugs[1:reached])


def test_a_wrong_protected_address_locks_out_the_first_organization_only(fleet: Fleet) -> None:
    """The guard cannot know that the address is not the one of the controller."""
    fleet.simulator.reset(organizations=12)
    fleet.simulator.options(client_addresses=dict.fromkeys(fleet.simulator.slugs, "198.51.100.10"))
    office = {
        "id": "OFFICE",
        "resource": "ip_whitelist",
        "require": {"entries": [{"cidr": "203.0.113.0/24", "label": "Office"}]},
    }
    done = fleet.run(
        "planasonix.admin.harden",
        org_baseline_protected_addresses=["203.0.113.7"],
        org_baseline_extra_controls=[office],
    )
    first, *others = fleet.simulator.slugs
    assert done.returncode == 2 and list(recap(done)) == [first], done.stdout
    assert fleet.simulator.state(first)["ip_whitelist"]["enabled"]
    assert {write["organization"] for write in fleet.simulator.writes()} == {first}
    assert not any(fleet.simulator.state(slug)["ip_whitelist"]["enabled"] for slug in others)


def test_nothing_is_rolled_back_without_a_snapshot(fleet: Fleet) -> None:
    acme, globex, _initech = fleet.simulator.slugs
    path = snapshot(fleet, globex)
    path.parent.mkdir()
    path.write_text("controls: {}", encoding="utf-8")
    done = fleet.run(
        "planasonix.admin.rollback",
        "-e",
        "planasonix_wave_size=2",
        "-e",
        "planasonix_max_fail_percentage=100",
    )
    assert list(recap(done)) == [acme, globex], "neither has one, and a wave that fails is the last"
    assert (
        f"There is no snapshot {snapshot(fleet, acme)} to roll back to, so nothing was changed"
        in told(done.stdout)
    )
    assert (
        "the input is no snapshot of this organization: it is no mapping with a list of controls"
        in told(done.stdout)
        and "Traceback" not in done.stdout
    )
    assert fleet.simulator.writes() == []


def test_a_snapshot_that_would_be_lost_is_not_taken(fleet: Fleet) -> None:
    """AWX and ansible-runner may delete the project after the run. Reports are written anyway.

    Folders that exist keep their mode, in check mode too.
    """
    acme = fleet.simulator.slugs[0]
    fleet.environment = {"AWX_PRIVATE_DATA_DIR": "/runner"}
    fleet.simulator.options(read_only=True)
    done = fleet.run("planasonix.admin.harden", "--limit", acme, "--check")
    assert done.returncode == 2
    assert "(AWX_PRIVATE_DATA_DIR is set). Set planasonix_snapshot_dir" in told(done.stdout)
    assert fleet.simulator.violations() == [] and not snapshot(fleet, acme).parent.exists()
    reports = fleet.in_a_row(
        ("planasonix.admin.audit", {"compliance_audit_fail_on": "never"}),
        ("planasonix.admin.export", {}),
    )
    folders = [fleet.folder / f"planasonix-{name}" for name in ("audit", "export")]
    for folder in folders:
        folder.mkdir(mode=0o705)
    for check in (["--check"], []):
        done = fleet.run(reports, "--limit", acme, *check, compliance_audit_formats=["json"])
        assert done.returncode == 0
        for variable in ("compliance_audit_report_dir", "planasonix_export_dir"):
            assert told(done.stdout).count(f"Set {variable} to an absolute folder.") == 1
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o705, 0o705]
    fleet.simulator.options(read_only=False)
    folder = fleet.folder / "lasting"
    done = fleet.run(
        "planasonix.admin.harden", "--limit", acme, planasonix_snapshot_dir=str(folder)
    )
    assert changes(done) == [1] and (folder / f"{acme}.yml").is_file()


def test_a_runner_that_deletes_its_project_is_refused(fleet: Fleet) -> None:
    """``ansible-runner worker`` runs a copy of the project, and deletes it in the end."""
    acme = fleet.simulator.slugs[0]
    private, lasting = fleet.folder / "private", fleet.folder / "lasting"
    for name in ("project", "inventory", "env"):
        (private / name).mkdir(parents=True)
    fleet.run("planasonix.admin.harden", "--list-hosts")
    (fleet.folder / "inventory.json").rename(private / "inventory" / "hosts.json")
    site = json.dumps([{"import_playbook": "planasonix.admin.harden"}])
    (private / "project" / "site.yml").write_text(site, encoding="utf-8")

    def transmit(*options: str) -> str:
        given = shlex.join(["--limit", acme, *options])
        (private / "env" / "cmdline").write_text(given, encoding="utf-8")
        pipe = (
            "ansible-runner transmit private -p site.yml | ansible-runner worker"
            " | ansible-runner process processed"
        )
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", pipe],
            env=environment_in(fleet.folder, {"PATH": path}),
            cwd=fleet.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return told(done.stdout)

    assert "is set). Set planasonix_snapshot_dir" in transmit()
    assert fleet.simulator.writes() == []
    assert "failed=0" in transmit("-e", f"planasonix_snapshot_dir={lasting}")
    assert fleet.simulator.writes() != [] and (lasting / f"{acme}.yml").is_file()


def test_names_of_hosts_lead_to_no_other_folder(fleet: Fleet) -> None:
    names = ["acme/eu", "../evil", "/etc/initech"]
    hosts = {
        name: {"planasonix_api_key": key}
        for name, key in zip(names, fleet.simulator.keys, strict=True)
    }
    variables = {
        "planasonix_api_url": fleet.simulator.url,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        **fleet.variables,
    }
    inventory = fleet.folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    names_of = ("harden", "export", "rollback")
    row = fleet.in_a_row(*((f"planasonix.admin.{name}", {}) for name in names_of))
    done = run_playbook(fleet.folder, "-i", str(inventory), row)
    assert done.returncode == 0, done.stdout
    files = {"acme%2Feu.yml", "%2E.%2Fevil.yml", "%2Fetc%2Finitech.yml"}
    for folder in ("planasonix-snapshots", "planasonix-export"):
        assert {path.name for path in (fleet.folder / folder).iterdir()} == files
    written = {"planasonix-snapshots", "planasonix-export", "inventory.json", "row.yml", "home"}
    assert {path.name for path in fleet.folder.iterdir()} == written


def test_a_lone_surrogate_keeps_nothing_from_its_work(fleet: Fleet) -> None:
    """YAML cannot carry it, and ansible-core refuses it in the output of a module."""
    acme = fleet.simulator.slugs[0]
    channel = {**MAIL, "name": "cut SURROGATE \x1b[31m"}
    fleet.simulator.set_state(
        acme,
        channels=[channel],
        rules=[{**RULE, "name": "SURROGATE", "channel_ids": ["nch_mail"]}],
    )
    before = comparable(fleet.simulator.state(acme))
    path = fleet.folder / "planasonix-export" / f"{acme}.yml"
    module = {
        "planasonix.admin.planasonix_baseline": {
            "api_url": "{{ planasonix_api_url }}",
            "api_key": "{{ planasonix_api_key }}",
            "controls": "{{ (lookup('ansible.builtin.file', path) | from_yaml).controls }}",
            "protected_addresses": [ADDRESS],
        },
        "environment": {"PLANASONIX_CONTRACT": "module"},
    }
    with RewritingApi(fleet.simulator, {b"SURROGATE": rb"\ud83d"}) as api:
        row = fleet.in_a_row(
            ("planasonix.admin.export", {}),
            ("planasonix.admin.harden", {}),
            (fleet.play(vars={"path": str(path)}, tasks=[module]), {}),
            ("planasonix.admin.rollback", {}),
        )
        done = fleet.run(row, "--limit", acme, "-v", planasonix_api_url=api.url)
    assert done.returncode == 0, done.stdout
    assert r"cut \\ud83d " in path.read_text(encoding="utf-8")
    assert "\x1b" not in done.stdout
    after = comparable(fleet.simulator.state(acme))
    assert {**after, "rules": {name: after["rules"][name] for name in before["rules"]}} == before
