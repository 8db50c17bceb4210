# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles and playbooks over a fleet of three organizations, as users run them: by the playbooks' names, with an inventory and variables."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
import yaml
from ansible_runs import told
from cases import CHANNELS
from fleet import ADDRESS, ENTRY, RULE, SECRET, Fleet, changes, recap
from simulator.process import Simulator


def statuses(report: str) -> dict[str, dict[str, str]]:
    """Status by organization and control, from the JSON report."""
    return {
        organization["name"]: {c["id"]: c["status"] for c in organization["controls"]}
        for organization in json.loads(report)["organizations"]
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def fleet(plain_simulator: Simulator, tmp_path: Path) -> Fleet:
    return Fleet(plain_simulator, tmp_path, {"org_baseline_protected_addresses": [ADDRESS]})


ONBOARDING = {
    "org_onboarding_settings": {
        "default_timezone": "UTC",
        "extra": {"feature_flags": {"lineage_v2": False}},
    },
    "org_onboarding_ip_whitelist": {
        "entries": [{"cidr": ADDRESS, "label": "Automation"}],
        "enabled": True,
        "protected_addresses": [ADDRESS],
    },
    "org_onboarding_channels": [
        {"name": "On-call", "type": "email", "config": {"recipients": ["oncall@example.com"]}},
        {"name": "Hook", "type": "webhook", "secret_config": {"url": SECRET}, "test": "never"},
    ],
    "org_onboarding_rules": [
        {"name": "Failures", "event": "pipeline.run.failed", "channels": ["On-call", "Hook"]}
    ],
}


def test_onboarding(fleet: Fleet) -> None:
    """In check mode on organizations where nothing exists yet; then for real; then again."""
    key = {
        "name": "CI",
        "scopes": ["pipelines:read"],
        "expires_in_days": 30,
        "secret_file": str(fleet.folder / "key-{{ inventory_hostname }}"),
    }
    variables = {**ONBOARDING, "org_onboarding_api_keys": [key]}
    fleet.simulator.options(read_only=True)
    checked = fleet.run("planasonix.admin.onboard", "--check", "--diff", "-vvv", **variables)
    assert all(changes(checked)), checked.stdout
    assert fleet.simulator.violations() == []
    fleet.simulator.options(read_only=False)
    done = fleet.run("planasonix.admin.onboard", "--diff", "-vvv", **variables)
    assert all(changes(done))
    for slug in fleet.simulator.slugs:
        state = fleet.simulator.state(slug)
        assert [channel["name"] for channel in state["channels"]][:2] == ["On-call", "Hook"]
        assert len(state["deliveries"]) == 1, "a test went through the channel that is to be tested"
        assert (
            state["ip_whitelist"]["enabled"],
            state["settings"]["feature_flags"]["lineage_v2"],
        ) == (True, False)
        (made,) = (one for one in state["api_keys"] if one["name"] == "CI")
        assert (fleet.folder / f"key-{slug}").read_text() == made["secret"]
        assert made["secret"] not in done.stdout
    assert SECRET not in checked.stdout + done.stdout
    fleet.simulator.options(read_only=True)
    assert set(changes(fleet.run("planasonix.admin.onboard", **variables))) == {0}
    assert fleet.simulator.violations() == []


def test_onboarding_by_areas(fleet: Fleet) -> None:
    """Tags choose what is set up; what the modules take for their default is taken, and what cannot be set up is told."""
    acme, onboard = fleet.simulator.slugs[0], "planasonix.admin.onboard"
    key = {"name": "CI", "scopes": ["pipelines:read"], "secret_file": str(fleet.folder / "key")}
    variables = {**ONBOARDING, "org_onboarding_api_keys": [key]}
    before = fleet.simulator.state(acme)
    assert changes(fleet.run(onboard, "--limit", acme, "--tags", "api_keys", **variables)) == [1]
    state = fleet.simulator.state(acme)
    assert {name for name in state if state[name] != before[name]} == {"api_keys"}
    assert changes(
        fleet.run(
            onboard,
            "--limit",
            acme,
            "--tags",
            "notification_rules,notification_channels",
            **variables,
        )
    )[0]
    state = fleet.simulator.state(acme)
    assert {name for name in state if state[name] != before[name]} == {
        "api_keys",
        "channels",
        "rules",
        "deliveries",
    }
    allowlist = {**ONBOARDING["org_onboarding_ip_whitelist"], "state": "present"}
    done = fleet.run(
        onboard,
        "--limit",
        acme,
        "--tags",
        "ip_whitelist",
        **{**variables, "org_onboarding_ip_whitelist": allowlist},
    )
    assert done.returncode == 0 and fleet.simulator.state(acme)["ip_whitelist"]["enabled"]
    refused = fleet.run(
        onboard,
        "--limit",
        acme,
        "--tags",
        "ip_whitelist",
        **{**variables, "org_onboarding_ip_whitelist": {"entries": [], "purge": True}},
    )
    assert (
        refused.returncode == 2
        and "ip_whitelist: 127.0.0.1/32 is listed, which is not allowed. Not remediated: "
        in told(refused.stdout)
    )


def test_harden_and_audit(fleet: Fleet) -> None:
    """Harden twice: the second run changes nothing. Whatever can be remediated passes the audit after it."""
    for slug in fleet.simulator.slugs:
        fleet.simulator.set_state(
            slug,
            ip_whitelist={
                "last_evaluated_at": "2026-01-01T00:00:00Z",
                "entries": [{**ENTRY, "cidr": f"{ADDRESS}/32"}],
            },
        )
    fleet.variables["org_baseline_profile"] = "strict"
    fleet.simulator.options(read_only=True)
    assert all(changes(fleet.run("planasonix.admin.harden", "--check")))
    fleet.simulator.options(read_only=False)
    assert all(changes(fleet.run("planasonix.admin.harden")))
    fleet.simulator.options(read_only=True)
    # Tags are names of resources.
    some = fleet.run("planasonix.admin.harden", "--tags", "session_timeout,log_retention", "-v")
    assert "baseline: 5 pass" in some.stdout
    done = fleet.run(
        fleet.in_a_row(
            ("planasonix.admin.harden", {}),
            ("planasonix.admin.audit", {"compliance_audit_formats": ["json"]}),
        )
    )
    assert done.returncode == 2, done.stdout
    assert fleet.simulator.violations() == []
    hardened, audit, _rest = done.stdout.partition("TASK [planasonix.admin.compliance_audit")
    assert (
        "org_baseline : Apply the controls" in hardened and "fatal: [" not in hardened and audit
    ), done.stdout
    for organization in json.loads(fleet.report())["organizations"]:
        assert {c["status"] for c in organization["controls"] if c["remediable"]} <= {
            "pass",
            "not_entitled",
        }, organization
    # The verdict is the last output before the recap, and nothing reports a change.
    last = done.stdout.partition("PLAY RECAP")[0].strip().splitlines()
    assert "organizations do not comply" in "\n".join(last[-8:])
    assert {counts["changed"] for counts in recap(done).values()} == {0}


SOME = ["PLX-SES-1", "PLX-SSO-1", "PLX-LOG-1", "PLX-LOG-2"]


def test_every_status_in_every_format(fleet: Fleet) -> None:
    """A dead key, an organization without single sign-on in its plan, one waived control and one whose waiver expired."""
    profile = yaml.safe_load(
        (
            Path(__file__).resolve().parents[2]
            / "roles"
            / "org_baseline"
            / "files"
            / "foundation.yml"
        ).read_text(encoding="utf-8")
    )
    fleet.variables["org_baseline_skip"] = [
        control["id"] for control in profile["controls"] if control["id"] not in SOME
    ]
    acme, globex, initech = fleet.simulator.slugs
    for slug in (acme, initech):
        fleet.simulator.set_state(
            slug,
            log_retention={
                "run_logs_days": 1,
                "audit_logs_days": 1,
                "diagnostic_artifacts_days": 1,
            },
        )
    waivers = [
        {"id": "PLX-LOG-1", "reason": "The archive keeps them", "expires": "2999-12-31"},
        {"id": "PLX-LOG-2", "reason": "Until the move", "expires": "2020-01-31"},
    ]
    done = fleet.run(
        "planasonix.admin.audit", keys={globex: "plnx_live_dead"}, org_baseline_waivers=waivers
    )
    assert done.returncode == 2, done.stdout
    expected = {
        acme: {
            "PLX-SES-1": "fail",
            "PLX-SSO-1": "fail",
            "PLX-LOG-1": "waived",
            "PLX-LOG-2": "fail",
        },
        globex: dict.fromkeys(SOME, "error"),
        initech: {
            "PLX-SES-1": "fail",
            "PLX-SSO-1": "not_entitled",
            "PLX-LOG-1": "waived",
            "PLX-LOG-2": "fail",
        },
    }
    assert statuses(fleet.report("json")) == expected
    rows = list(csv.DictReader(fleet.report("csv").splitlines()))
    assert {
        slug: {row["control"]: row["status"] for row in rows if row["organization"] == slug}
        for slug in expected
    } == expected

    outcomes: dict[str, dict[str, str]] = {}
    for suite in ElementTree.fromstring(fleet.report("xml")):
        cases = outcomes.setdefault(suite.attrib["name"], {})
        for case in suite.iter("testcase"):
            marks = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            cases[case.attrib["name"].partition(":")[0]] = marks[0] if marks else "pass"
    words = {"fail": "failure", "error": "error", "waived": "skipped", "not_entitled": "skipped"}
    assert outcomes == {
        slug: {control: words[status] for control, status in found.items()}
        for slug, found in expected.items()
    }

    sarif = json.loads(fleet.report("sarif"))
    assert sarif["version"] == "2.1.0"
    results = sarif["runs"][0]["results"]
    assert {result["ruleId"] for result in results} <= set(SOME)
    assert sum(bool(result.get("suppressions")) for result in results) == 2
    for name in ("html", "md"):
        text = fleet.report(name)
        assert all(
            word in text
            for word in (
                acme,
                globex,
                initech,
                "PLX-SES-1",
                "The archive keeps them" if name == "html" else "waived",
            )
        )
    assert "expired on 2020-01-31" in fleet.report("csv")
    assert not any(
        key in fleet.report(name)
        for name in ("html", "json", "xml", "csv", "md", "sarif")
        for key in fleet.simulator.keys
    )


def test_one_report_for_the_whole_play_under_serial(fleet: Fleet) -> None:
    done = fleet.run(
        "planasonix.admin.audit",
        "-e",
        "planasonix_wave_size=1",
        compliance_audit_formats=["json"],
        compliance_audit_fail_on="never",
    )
    assert done.returncode == 0, done.stdout
    assert list(statuses(fleet.report())) == fleet.simulator.slugs
    task = "TASK [planasonix.admin.compliance_audit : Write the report and evaluate the audit]"
    assert done.stdout.count(task) == 3
    # The verdict of the last batch is displayed, and no other.
    assert done.stdout.count('"verdict": {') == 1 and '"msg": "3 of 3 organizations' in done.stdout
    assert sorted(path.name for path in (fleet.folder / "planasonix-audit").iterdir()) == [
        "planasonix-audit.json"
    ]


def refuse_constant(name: str) -> NoReturn:
    """Refuse what Python reads as JSON and other programs do not."""
    raise ValueError(name)


def test_a_host_that_failed_and_one_with_odd_values_are_in_the_report(fleet: Fleet) -> None:
    """Values that JSON or XML has no form for cost no other organization the report."""
    odd, _well, last = fleet.simulator.slugs
    deep: Any = "\x00\x1b[2J\ufffe;=1"
    for _level in range(48):
        deep = {"a": [deep]}
    preference = {"value": deep, "updated_at": ENTRY["created_at"]}
    fleet.simulator.set_state(odd, preferences={"deep": preference})
    values = {"deep": 1, "nan": math.nan, "infinity": -math.inf, "large": 1 << 80}
    controls = [
        {"id": f"ODD-{name}", "resource": "preferences", "require": {name: value}}
        for name, value in values.items()
    ]
    folder = fleet.folder / "host_vars"
    folder.mkdir()
    variables = {"org_baseline_extra_controls": controls}
    folder.joinpath(f"{odd}.json").write_text(json.dumps(variables), encoding="utf-8")
    stop = {
        "name": "Fail on the last host",
        "ansible.builtin.fail": {},
        "when": f"inventory_hostname == '{last}'",
    }
    own = {
        "name": "Report on one host",
        "planasonix.admin.planasonix_audit": {
            "results": {"one": "{{ compliance_audit_result }}"},
            "report_dir": "own",
            "fail_on": "never",
        },
        "run_once": True,
    }
    play = fleet.play(
        serial=2,
        pre_tasks=[stop],
        roles=[{"role": "planasonix.admin.compliance_audit"}],
        post_tasks=[own],
    )
    formats = ["json", "sarif", "junit", "csv"]
    done = fleet.run(play, compliance_audit_formats=formats, org_baseline_skip=["PLX-MFA-1"])
    report, sarif = (
        json.loads(fleet.report(name), parse_constant=refuse_constant) for name in ("json", "sarif")
    )
    assert [
        organization["name"] for organization in report["organizations"]
    ] == fleet.simulator.slugs
    assert report["organizations"][-1]["status"] == "error", done.stdout
    found = [c for c in report["organizations"][0]["controls"] if c["id"].startswith("ODD")]
    assert [(c["status"], c["expected"]) for c in found] == [
        ("fail", {"deep": 1}),
        ("fail", {"nan": "NaN"}),
        ("fail", {"infinity": "-Infinity"}),
        ("fail", {"large": "0x100000000000000000000"}),
    ]
    assert len(report["organizations"][1]["controls"]) > 10
    assert len(sarif["runs"][0]["results"]) > 20
    assert len(ElementTree.fromstring(fleet.report("xml"))) == 3
    assert not re.search("[;\t][=+@-]", fleet.report("csv"))
    one = (fleet.folder / "own" / "planasonix-audit.json").read_text(encoding="utf-8")
    assert set(statuses(one)) == {"one"} and len(list((fleet.folder / "own").iterdir())) == 6


WAIVER = {"id": "PLX-KEY-1", "reason": "It is of no resource that the tags name"}


def test_trend(fleet: Fleet) -> None:
    acme = fleet.simulator.slugs[0]
    fleet.variables["compliance_audit_formats"] = ["json", "markdown"]
    limit = ("--limit", acme)  # one is enough for a trend
    first = fleet.run("planasonix.admin.audit", *limit, compliance_audit_fail_on="critical")
    assert first.returncode == 2, first.stdout
    fleet.simulator.set_state(
        acme, session_timeout={"idle_timeout_minutes": 5, "absolute_timeout_minutes": 60}
    )
    fleet.simulator.set_state(acme, log_retention={"run_logs_days": 1})
    # The earlier report may be the one that is replaced, but not where that is done in batches.
    previous = "planasonix-audit/planasonix-audit.json"
    serial = fleet.run(
        fleet.play(serial=1, roles=[{"role": "planasonix.admin.compliance_audit"}]),
        compliance_audit_previous=previous,
    )
    assert serial.returncode == 2 and "must be another file" in told(serial.stdout)
    options = {"compliance_audit_previous": previous, "org_baseline_waivers": [WAIVER]}
    second = fleet.run(
        "planasonix.admin.audit", *limit, "--tags", "session_timeout,log_retention", **options
    )
    assert second.returncode == 2, second.stdout
    report = json.loads(fleet.report())
    assert {control["resource"] for control in report["controls"]} == {
        "session_timeout",
        "log_retention",
    }
    trend = json.dumps(report["trend"])
    for text in (trend, fleet.report("md")):
        assert "PLX-SES-1" in text and "PLX-LOG-2" in text
    wrong = fleet.run(
        "planasonix.admin.audit",
        *limit,
        compliance_audit_previous="planasonix-audit/planasonix-audit.md",
    )
    assert wrong.returncode == 2 and "Traceback" not in wrong.stdout


def test_export_makes_another_organization_alike(fleet: Fleet) -> None:
    acme, globex, _initech = fleet.simulator.slugs
    fleet.simulator.options(mask_config="mask")
    fleet.simulator.set_state(
        acme,
        channels=[
            *CHANNELS,
            {
                **CHANNELS[0],
                "id": "nch_hook",
                "name": "Hook",
                "type": "webhook",
                "config": {"method": "POST", "url": SECRET},
            },
        ],
        session_timeout={
            "idle_timeout_minutes": 5,
            "absolute_timeout_minutes": 60,
            "extend_on_activity": False,
        },
        ip_whitelist={
            "last_evaluated_at": "2026-01-01T00:00:00Z",
            "entries": [{**ENTRY, "cidr": f"{ADDRESS}/32"}],
            "enabled": True,
        },
        rules=[{**RULE, "channel_ids": ["nch_Chat", "nch_hook"]}],
    )
    assert changes(fleet.run("planasonix.admin.export", "--limit", acme)) == [2]
    path = fleet.folder / "planasonix-export" / f"{acme}.yml"
    text = path.read_text(encoding="utf-8")
    assert "PLACEHOLDER:Hook.url" in text and SECRET not in text
    assert mode(path) == 0o600 and mode(path.parent) == 0o700
    task = {
        "name": "Apply the export",
        "planasonix.admin.planasonix_baseline": {
            "api_url": "{{ planasonix_api_url }}",
            "api_key": "{{ planasonix_api_key }}",
            "controls": f"{{{{ (lookup('ansible.builtin.file', {str(path)!r}) | from_yaml).controls }}}}",
            "protected_addresses": [ADDRESS],
        },
    }
    play = fleet.play(tasks=[task])
    refused = fleet.run(play, "--limit", f"{acme},{globex}")
    assert (
        refused.returncode,
        recap(refused)[acme]["failed"],
        recap(refused)[acme]["changed"],
    ) == (2, 0, 0), "it holds where it comes from"
    assert (
        recap(refused)[globex]["failed"] == 1
        and "put the real value in its place" in refused.stdout
    )
    path.write_text(text.replace("PLACEHOLDER:Hook.url", SECRET), encoding="utf-8")
    # The second run changes nothing.
    assert changes(fleet.run(fleet.in_a_row((play, {}), (play, {})), "--limit", globex)) == [1]
    one, other = (fleet.simulator.state(slug) for slug in (acme, globex))
    for section in ("session_timeout", "settings", "log_retention"):
        assert one[section] == other[section]
    assert [channel["config"] for channel in one["channels"]] == [
        channel["config"] for channel in other["channels"]
    ]


LOADERS = (
    "{{ controls }}",
    "{{ included.controls }}",
    "{{ hostvars[inventory_hostname].of_host.controls }}",
    "{{ (lookup('ansible.builtin.template', path) | from_yaml).controls }}",
    "{{ (lookup('ansible.builtin.file', path) | from_yaml).controls }}",
    "{{ (lookup('ansible.builtin.file', path) | from_yaml)"
    " | planasonix.admin.rollback_controls(facts_read.planasonix) }}",
    "{{ path | planasonix.admin.baseline_controls(as_text=true) }}",
)
"""Ways to read a file again that was written. The first is by vars_files and by -e @file."""


def test_nothing_that_is_written_is_rendered(fleet: Fleet) -> None:
    """Names and values of the API are templates that run a command. Each loader reads them."""
    acme = fleet.simulator.slugs[0]
    marker = fleet.folder / "rendered"
    evil = f"{{{{ lookup('ansible.builtin.pipe', 'touch {marker}') }}}}"
    channel = {**CHANNELS[0], "id": "nch_evil", "name": evil, "type": "email"}
    config = {"recipients": [], "body": {evil: ["{% if x %}", "{# y #}", "{{ z }}"]}}
    fleet.simulator.set_state(
        acme,
        channels=[{**channel, "config": config}],
        rules=[{**RULE, "name": f"{evil} 100 %", "channel_ids": ["nch_evil"]}],
    )
    before = fleet.simulator.state(acme)
    row = fleet.in_a_row(("planasonix.admin.export", {}), ("planasonix.admin.harden", {}))
    assert fleet.run(row, "--limit", acme).returncode == 0
    path, snapshot = (
        fleet.folder / f"planasonix-{name}" / f"{acme}.yml" for name in ("export", "snapshots")
    )
    text = path.read_text(encoding="utf-8")
    assert "ESCAPED:%7B%7B lookup(" in text
    assert snapshot.read_text(encoding="utf-8").endswith(text)
    sections = ("channels", "rules", "settings", "session_timeout", "log_retention", "ip_whitelist")
    fleet.simulator.set_state(acme, **{section: before[section] for section in sections})
    variables = fleet.folder / "host_vars" / acme
    variables.mkdir(parents=True)
    variables.joinpath("file.yml").write_text(
        "of_host:\n" + "".join(f"  {line}\n" for line in path.read_text().splitlines())
    )
    connection = {
        "api_url": "{{ planasonix_api_url }}",
        "api_key": "{{ planasonix_api_key }}",
    }
    read = {
        "planasonix.admin.planasonix_info": connection,
        "register": "facts_read",
    }
    include = {"ansible.builtin.include_vars": {"file": str(path), "name": "included"}}
    tasks = [
        {
            "name": f"Compare by loader {number}",
            "planasonix.admin.planasonix_baseline": {
                **connection,
                "controls": loader,
                "protected_addresses": [ADDRESS],
            },
            "register": f"result_{number}",
            "failed_when": f"not result_{number}.compliant",
        }
        for number, loader in enumerate(LOADERS)
    ]
    show = {"ansible.builtin.debug": {"msg": "{{ controls | to_json }} {{ included | to_json }}"}}
    play = fleet.play(
        vars={"path": str(path)}, vars_files=[str(path)], tasks=[read, include, *tasks, show]
    )
    fleet.simulator.options(read_only=True)
    for arguments in ((), ("--check", "-e", f"@{path}")):
        done = fleet.run(play, "--limit", acme, *arguments)
        assert changes(done) == [0]
        assert not marker.exists(), done.stdout
    assert fleet.simulator.violations() == []


OLD_ID = "key_\x1b]0;evil\x07\nok: [forged]"


def test_key_rotation(fleet: Fleet) -> None:
    """The old key goes only after the new secret is stored; where that fails, the new key goes."""
    acme = fleet.simulator.slugs[0]
    own = fleet.simulator.state(acme)["api_keys"]
    old = {
        "id": OLD_ID,
        "name": "CI",
        "secret": "plnx_live_old",
        "prefix": "plnx",
        "scopes": ["a:read"],
        "created_at": "2020-01-01T00:00:00Z",
    }
    fleet.simulator.set_state(acme, api_keys=[*own, old])
    stored = fleet.folder / "stored"
    store = [
        {
            "name": "Store",
            "ansible.builtin.copy": {
                "content": "{{ api_key_rotation_secret }}",
                "dest": str(stored),
                "mode": "0600",
            },
            "no_log": True,
        },
        {"name": "Break", "ansible.builtin.fail": {}, "when": "broken | default(false)"},
    ]
    (fleet.folder / "store.yml").write_text(json.dumps(store), encoding="utf-8")
    variables: dict[str, Any] = {
        "api_key_rotation_names": ["CI"],
        "api_key_rotation_store_tasks": "store.yml",
    }
    play = fleet.play(roles=[{"role": "planasonix.admin.api_key_rotation"}])

    def keys() -> list[dict[str, Any]]:
        return [key for key in fleet.simulator.state(acme)["api_keys"] if key["name"] == "CI"]

    fleet.simulator.options(read_only=True)
    assert changes(fleet.run(play, "--limit", acme, "--check", **variables)) == [1]
    fleet.simulator.options(read_only=False)
    broken = fleet.run(play, "--limit", acme, broken=True, **variables)
    assert (
        broken.returncode == 2
        and "The new key was deleted, and the old key stays valid." in told(broken.stdout)
    )
    assert [key["id"] for key in keys()] == [OLD_ID]
    done = fleet.run(play, "--limit", acme, "-vvv", **variables)
    assert done.returncode == 0, done.stdout
    (new,) = keys()
    assert new["id"] != OLD_ID and new["expires_at"] is None
    assert stored.read_text() == new["secret"]
    # The id of the revoked key is the label of a loop.
    assert json.dumps(OLD_ID) in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert not any(line.startswith("ok: [forged]") for line in done.stdout.splitlines())
    assert new["secret"] not in done.stdout
    assert changes(fleet.run(play, "--limit", acme, **variables)) == [0]
    fleet.simulator.set_state(acme, api_keys=[*own, {**new, "created_at": "2020-01-01T00:00:00Z"}])
    assert (
        fleet.run(
            play, "--limit", acme, api_key_rotation_expires_in_days=60, **variables
        ).returncode
        == 0
    )
    assert [key["expires_at"] is not None for key in keys()] == [True]


def test_the_folders_that_hold_what_runs_are_enough(fleet: Fleet) -> None:
    """Whoever packs collections anew may leave out all but these."""
    (installed,) = (
        Path(path) / "ansible_collections" / "planasonix" / "admin"
        for path in os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
    )
    bare = fleet.folder / "bare" / "ansible_collections" / "planasonix" / "admin"
    for name in ("meta", "playbooks", "plugins", "roles"):
        shutil.copytree(installed / name, bare / name, ignore=shutil.ignore_patterns("__pycache__"))
    fleet.environment = {"ANSIBLE_COLLECTIONS_PATH": str(fleet.folder / "bare")}
    done = fleet.run("planasonix.admin.audit", compliance_audit_fail_on="never")
    assert done.returncode == 0, done.stdout
    assert len(json.loads(fleet.report())["organizations"]) == 3
    assert "planasonix.admin" in fleet.report("html")


def test_roles_keep_the_defaults_of_the_play(fleet: Fleet) -> None:
    """The key must not be sent to the default URL where the play names another one.

    Variables give the other options of the connection, rendered.
    """
    roles = ("compliance_audit", "org_baseline", "org_onboarding", "api_key_rotation")
    play = fleet.play(
        module_defaults={
            "group/planasonix.admin.planasonix": {
                "api_url": fleet.simulator.url,
                "api_key": fleet.simulator.keys[0],
                "retries": 0,
            },
            "planasonix.admin.planasonix_baseline": {"timeout": 7},
        },
        roles=[{"role": f"planasonix.admin.{role}"} for role in roles],
    )
    fleet.environment = {"PLANASONIX_API_KEY": "plnx_live_environment"}
    acme = fleet.simulator.slugs[0]
    done = fleet.run(
        play,
        "--limit",
        acme,
        "--check",
        "-vvv",
        keys={acme: None},
        planasonix_api_url=None,
        planasonix_ca_path="{{ omit }}",
        planasonix_deadline="{{ 40 + 2 }}",
        planasonix_retries=9,
        org_onboarding_settings={"default_timezone": "UTC"},
        compliance_audit_fail_on="never",
        compliance_audit_formats=["json"],
        api_key_rotation_names=["Administration"],
        api_key_rotation_store_tasks="store.yml",
    )
    assert done.returncode == 0, done.stdout
    assert "api.planasonix.com" not in done.stdout
    url = fleet.simulator.url
    options = ('"retries": 0', '"timeout": 7.0', '"deadline": 42.0', '"ca_path": null')
    for option in (f'"api_url": "{url}"', *options):
        assert option in done.stdout, option
    assert {row["status"] for row in fleet.simulator.log()} == {200}


def test_variables_of_the_command_line_are_text(fleet: Fleet) -> None:
    """Where ansible-core 2.16 keeps native types, text stays text as well."""
    fleet.environment = {"ANSIBLE_JINJA2_NATIVE": "true"}
    control = {"id": "X-1", "resource": "settings", "require": {"data_residency": "nowhere"}}
    arguments = {
        "org_baseline_skip": "PLX-MFA-1, PLX-KEY-1",
        "org_baseline_overrides": '{"PLX-SES-1": {"severity": "low"}}',
        "org_baseline_protected_addresses": f'["{ADDRESS}"]',
        "org_baseline_extra_controls": json.dumps([control, {**control, "id": "X-2"}]),
        "org_baseline_waivers": json.dumps([{"id": "X-1", "reason": "a, b"}]),
        "compliance_audit_formats": "json,",
        "compliance_audit_fail_on": "never",
    }
    given = [part for name, value in arguments.items() for part in ("-e", f"{name}='{value}'")]
    done = fleet.run("planasonix.admin.audit", *given)
    assert done.returncode == 0, done.stdout
    severities = {c["id"]: c["severity"] for c in json.loads(fleet.report())["controls"]}
    assert severities["PLX-SES-1"] == "low" and "PLX-NET-1" in severities
    assert not {"PLX-MFA-1", "PLX-KEY-1"} & severities.keys()
    for found in statuses(fleet.report()).values():
        assert (found["X-1"], found["X-2"]) == ("waived", "fail")
    for value, complaint in (
        ("PLX-MFA-1", "org_baseline_waivers is text that is not JSON; expected a list of mappings"),
        ("[3]", "An element of org_baseline_waivers is a number; expected a mapping, or JSON."),
    ):
        wrong = fleet.run("planasonix.admin.harden", "-e", f"org_baseline_waivers={value}")
        assert wrong.returncode == 2 and complaint in told(wrong.stdout)
        assert "argument_spec" not in wrong.stdout
    wrong = fleet.run("planasonix.admin.audit", "-e", "org_baseline_skip=[PLX-MFA-1")
    assert wrong.returncode == 2
    assert "org_baseline_skip is text that is not JSON" in told(wrong.stdout)


def test_every_format_is_written_with_native_types(fleet: Fleet) -> None:
    fleet.environment = {"ANSIBLE_JINJA2_NATIVE": "true"}
    done = fleet.run("planasonix.admin.audit", compliance_audit_fail_on="never")
    assert done.returncode == 0, done.stdout
    folder = fleet.folder / "planasonix-audit"
    assert len(list(folder.iterdir())) == 6 and mode(folder) == 0o750
    assert len(statuses(fleet.report())) == 3
