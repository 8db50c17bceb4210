# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries: every secret that goes in or comes out is searched in whatever a user or a tool could see, and in every file that is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Ansible
from quoting_api import QuotingApi
from simulator.process import Simulator
from watched import Watched, leaks

BASELINE, CHANNEL, INFO, KEY, MFA, PASSWORD = (
    f"planasonix.admin.planasonix_{name}"
    for name in ("baseline", "notification_channel", "info", "api_key", "mfa", "password")
)

# What is searched is a word in the secret: behind it are characters that JSON, HTML, Python and shells spell in their own ways, and any spelling gives it away.
SPECIAL = "\"&<ü'\\"
CANARIES: dict[str, Any] = {
    "password": "hunter2-not-really",  # the simulator's
    "wrong_password": f"canary-wrong-password{SPECIAL}",
    "new_password": f"canary-new-password{SPECIAL}",
    "totp_secret": "CANARYCANARYCANARYCANARYCANARY22",
    "code": "canary-code-917364",
    "config": {
        "url": f"https://hooks.example.com/canary-webhook?a=1&b={SPECIAL}",
        "headers": {
            "Authorization": f"Basic canary-header{SPECIAL}",
            "more": ["canary-element", 27182.818284],
        },
        "pin": 917364205,
    },
    # A mapping can also be given as text.
    "json": '{"url": "https://hooks.example.com/canary-json", "pin": 2718281828}',
    "pairs": "url=https://hooks.example.com/canary-pair pin=1618033988",
    "required": {
        "url": "https://hooks.example.com/canary-required",
        "nested": {"pin": 31415926535},
    },
    "key": "plnx_live_canary-key-by-variable\"&<'\\",
    "key_in_file": "plnx_live_canary-key-by-lookup\"&<'\\",
    "key_of_controller": "plnx_live_canary-key-of-controller\"&<'\\",
    "key_of_task": "plnx_live_canary-key-of-task\"&<'\\",
    "stored": "https://hooks.example.com/canary-stored",
}
WORDS = (
    r"hunter2-not-really",
    r"canary-[a-z-]+",
    "CANARYCANARY",
    r"27182\.818284",
    "917364205",
    "2718281828",
    "1618033988",
    "31415926535",
)


def given(name: str) -> str:
    """A secret as playbooks give it: by a variable. What a playbook holds literally, Ansible's junit callback writes into the name of a test case."""
    return f"{{{{ canary.{name} }}}}"


def admin(name: str) -> dict[str, Any]:
    """A key of the organization that may do everything."""
    secret = CANARIES[name]
    times = {"created_at": "2026-01-01T00:00:00Z"}
    return {
        "id": f"key_{name}",
        "name": name,
        "secret": secret,
        "prefix": secret[:14],
        "scopes": ["admin:organization"],
        **times,
    }


@pytest.fixture
def watched(watched_run: Watched, plain_simulator: Simulator, tmp_path: Path) -> Watched:
    """An organization with the canaries as keys, and a channel whose secret the API does not hide."""
    old = {
        "id": "nch_1",
        "name": "Old",
        "type": "webhook",
        "config": {"url": CANARIES["stored"]},
        "enabled": True,
        "created_at": "2026-01-01T00:00:00Z",
    }
    ci = {**admin("key"), "id": "key_ci", "name": "CI", "secret": "plnx_old", "prefix": "plnx_old"}
    plain_simulator.set_state(
        api_keys=[*(admin(name) for name in CANARIES if name.startswith("key")), ci], channels=[old]
    )
    (tmp_path / "given" / "key").write_text(CANARIES["key_in_file"], encoding="utf-8")
    (tmp_path / "given" / "variables.json").write_text(
        json.dumps({"canary": CANARIES}), encoding="utf-8"
    )
    watched_run.environment["PLANASONIX_API_KEY"] = CANARIES["key_of_controller"]
    return watched_run


@pytest.fixture
def ansible(watched: Watched, plain_simulator: Simulator) -> Ansible:
    return Ansible(watched.folder, plain_simulator.url, given("key"), watched.environment)


def run(
    ansible: Ansible, watched: Watched, way: str, tasks: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Run tasks with all that makes Ansible talkative; returns the results."""
    variables = ("--extra-vars", f"@{watched.folder.parent / 'given' / 'variables.json'}")
    defaults = {"api_url": ansible.url, "api_key": ansible.key, "retry_budget": 0}
    # All results are recorded at once, which spares half of the tasks.
    results = {
        task["register"]: f"{{{{ {task['register']} }}}}" for task in tasks if "register" in task
    }
    record = {"record": {"file": str(ansible.record), "name": "all", "value": results}}
    outcome = ansible.run(
        way, {"block": tasks}, record, arguments=("-vvvv", "--diff", *variables), defaults=defaults
    )
    watched.output = outcome.output
    return outcome["all"]


def test_no_secret_is_seen_where_all_goes_well(
    watched: Watched, ansible: Ansible, plain_simulator: Simulator, way: str, tmp_path: Path
) -> None:
    """At -vvvv, in the diff, in the log, in what callbacks and syslog get, and in files that are left: secrets are in results, and in the files they go to."""
    files = {name: watched.left / f"{name}.secret" for name in ("mfa", "ci", "deployment")}
    facts = {"gather_subset": ["organization"]}
    channel = {
        "name": "Hook",
        "type": "webhook",
        "config": {"method": "POST"},
        "secret_config": given("config"),
    }
    required = {"name": "Required", "type": "webhook", "secret_config": given("required")}
    again = {
        "until": "again.attempts | default(1) > 1",
        "retries": 2,
        "delay": 0,
        "register": "again",
    }
    deployment = {
        "name": "Deployment",
        "scopes": ["a:read"],
        "secret_file": str(files["deployment"]),
    }
    tasks: list[dict[str, Any]] = [
        {KEY: deployment, "no_log": True, "register": "deployment"},
        {
            INFO: {
                **facts,
                "api_key": f"{{{{ lookup('ansible.builtin.file', {str(tmp_path / 'given' / 'key')!r}) }}}}",
            },
            "register": "key_in_file",
        },
        {INFO: {**facts, "api_key": "{{ omit }}"}, "register": "key_of_controller"},
        {
            INFO: {**facts, "api_key": "{{ omit }}"},
            "environment": {"PLANASONIX_API_KEY": given("key_of_task")},
            "register": "key_of_task",
        },
        {MFA: {"state": "enabled"}, "register": "enrolled"},
        {
            MFA: {
                "state": "disabled",
                "password": given("password"),
                "totp_secret": "{{ enrolled.secret }}",
            },
            "register": "disabled",
        },
        {
            MFA: {"state": "enabled", "secret_file": str(files["mfa"])},
            "register": "enrolled_in_file",
        },
        {
            PASSWORD: {
                "current_password": given("password"),
                "new_password": given("new_password"),
            },
            "register": "password",
        },
        {KEY: {"name": "Again", "scopes": ["a:read"], "rotate": True}, **again},
        {KEY: {"name": "{{ item }}", "scopes": ["a:read"]}, "loop": ["One"], "register": "loop"},
        {
            KEY: {
                "name": "CI",
                "rotate": True,
                "secret_file": str(files["ci"]),
                "return_secret": True,
            },
            "register": "ci",
        },
        {CHANNEL: channel, "register": "channel"},
        {CHANNEL: {**channel, "update_secrets": "always"}, "register": "channel_again"},
        # The secret that it has is another one than is given.
        {CHANNEL: {"name": "Old", "secret_config": given("config")}, "register": "old_channel"},
        {
            CHANNEL: {**channel, "name": "JSON", "secret_config": given("json")},
            "register": "channel_of_json",
        },
        {
            CHANNEL: {**channel, "name": "Pairs", "secret_config": given("pairs")},
            "register": "channel_of_pairs",
        },
        {
            BASELINE: {
                "controls": [
                    {"resource": "notification_channels", "require": {"present": [required]}}
                ]
            },
            "register": "baseline",
        },
    ]
    # Each start of a packed module takes its time, so there are few. More fail below.
    packed = ("deployment", "key_of_controller", "loop", "channel_of_pairs")
    tasks = [
        task
        for task in tasks
        if (task["register"] in packed if way == "module" else task["register"] != "deployment")
    ]
    results = run(ansible, watched, way, tasks)
    assert [name for name, result in results.items() if result.get("failed")] == []

    # The secrets arrived where they are to be.
    state = plain_simulator.state()
    made = {key["name"]: key["secret"] for key in state["api_keys"]}
    assert results["loop"]["results"][0]["secret"] == made["One"]
    configs = {channel["name"]: channel["config"] for channel in state["channels"]}
    assert configs["Pairs"]["pin"] == "1618033988"
    minted = state["mfa"]["backup_codes"]
    if way == "worker":
        assert (results["again"]["secret"], configs["Hook"], configs["Required"]) == (
            made["Again"],
            {"method": "POST", **CANARIES["config"]},
            CANARIES["required"],
        )
        minted += [
            state["mfa"]["secret"],
            results["enrolled"]["secret"],
            *results["enrolled"]["backup_codes"],
        ]

    places = watched.seen(packed=way == "module", results=ansible.record.name)
    kept = {f"left/{path.name}" for path in files.values() if path.exists()}
    assert len(kept) == (2 if way == "worker" else 1)
    found = leaks(places, *WORDS, *minted)
    assert kept <= {place for place, _word, _text in found}, (
        "the search finds the secrets in their files"
    )
    assert [leak for leak in found if leak[0] not in kept] == []
    records = {f"{place}.owner" for place in kept}
    assert {place for place in places if place.startswith("left/")} == kept | records

    events = watched.events()
    assert {event for event, _task, _forms in events} >= {"ok", "item ok", "diff"}
    # The enrollment, a key with its first attempt, of the loop the item and the whole, the key that is returned and kept. Where packed: no_log, and the loop.
    hidden = [
        event for event, _task, forms in events if "censored" in forms["raw"] and event != "diff"
    ]
    assert hidden == (
        ["ok", "retry", "ok", "item ok", "ok", "ok"] if way == "worker" else ["ok", "item ok", "ok"]
    )


NEW_CHANNEL = {"name": "New", "type": "webhook", "secret_config": given("config")}
REQUIRED = {"name": "Required", "type": "webhook", "secret_config": given("required")}
QUOTED: dict[str, dict[str, Any]] = {
    "channel": {CHANNEL: NEW_CHANNEL},
    "update": {CHANNEL: {**NEW_CHANNEL, "name": "Old", "update_secrets": "always"}},
    "baseline": {
        BASELINE: {
            "controls": [{"resource": "notification_channels", "require": {"present": [REQUIRED]}}]
        }
    },
    "password": {
        PASSWORD: {
            "current_password": given("wrong_password"),
            "new_password": given("new_password"),
        }
    },
    "key": {KEY: {"name": "New", "scopes": ["a:read"]}},
    "regenerate": {KEY: {"name": "CI", "rotate": True}},
    "enroll": {MFA: {"state": "enabled"}},
    "disable": {
        MFA: {"state": "disabled", "password": given("wrong_password"), "code": given("code")}
    },
    "disable_by_secret": {
        MFA: {
            "state": "disabled",
            "password": given("wrong_password"),
            "totp_secret": given("totp_secret"),
        }
    },
    "info": {INFO: {"gather_subset": ["organization"]}},
}
# shape; what is answered so where tasks run in the worker; where they are packed
QUOTES: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("nested", ("channel", "password", "regenerate", "enroll"), ()),
    ("flat", ("update", "key"), ()),
    ("html", ("channel", "enroll"), ("baseline",)),
    ("text", ("baseline", "password"), ("password",)),
    ("detail", ("channel", "password"), ()),
    ("details", ("channel",), ()),
    ("object", ("baseline",), ()),
    ("python", ("password",), ()),
    ("reads", ("info",), ()),
    ("accepted", ("channel", "key", "regenerate"), ()),
    ("accepted_text", ("update", "password"), ()),
    ("bare", ("key", "regenerate", "enroll"), ("key",)),
    ("cut", ("key", "enroll"), ()),
    ("bare_reads", ("channel",), ()),
    # Those with MFA on come last.
    ("nested", ("disable",), ()),
    ("detail", ("disable_by_secret",), ("disable_by_secret",)),
]
UNQUOTED = ("accepted", "bare", "cut")
"""Beginnings of shapes of which the message is free to say nothing."""


def test_no_secret_is_seen_where_something_fails(
    watched: Watched, ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    """Where the API quotes what it was sent, answers in another shape, or breaks off; and where the folder of a secret vanishes once the secret is made."""
    control = f"http://127.0.0.1:{plain_simulator.port}/_simulator"

    def fault(kind: str, method: str, path: str, **fields: Any) -> dict[str, Any]:
        return {
            "control": {
                "url": f"{control}/faults",
                "body": {"kind": kind, "method": method, "path": path, **fields},
            }
        }

    def mfa(**state: Any) -> dict[str, Any]:
        # The answer holds the secrets of the organization.
        return {
            "control": {
                "url": f"{control}/state/acme-analytics",
                "method": "PUT",
                "body": {"mfa": state},
            },
            "no_log": True,
        }

    def gone(name: str, module: str, options: dict[str, Any], how: str = "gone") -> dict[str, Any]:
        folder = watched.left / name
        folder.mkdir()
        return {
            module: {
                **options,
                "secret_file": str(folder / "secret"),
                "api_url": f"{api.url}/{how}-{name}",
            },
            "register": name,
        }

    with QuotingApi(plain_simulator, watched.left) as api:
        regenerated = gone("regenerated", KEY, {"name": "CI", "rotate": True})
        enrolled = [gone("enrolled", MFA, {"state": "enabled"}), mfa(enabled=False)]
        if way == "worker":
            tasks = [
                gone("created", KEY, {"name": "Created", "scopes": ["a:read"]}, "taken"),
                fault("status", "DELETE", "/api/user/api-keys/*", status=500),
                gone("stays", KEY, {"name": "Stays", "scopes": ["a:read"]}),
                regenerated,
                *enrolled,
                fault("status", "GET", "/api/user/api-keys", skip=1, status=500),
                {KEY: {"name": "Unconfirmed", "scopes": ["a:read"]}, "register": "unconfirmed"},
                fault("drop_after", "POST", "/api/user/api-keys"),
                {KEY: {"name": "Dropped", "scopes": ["a:read"]}, "register": "dropped"},
                fault("drop_after", "POST", "/api/user/mfa/verify"),
                {MFA: {"state": "enabled"}, "register": "lost"},
                mfa(enabled=False),
            ]
            carrying = [
                "stays",
                "regenerated",
                "enrolled",
                "unconfirmed",
                "lost",
                "nested_enroll",
                "html_enroll",
            ]
        else:
            # With async, Ansible would keep the secret in a file, so the task is refused.
            tasks = [{**regenerated, "async": 30, "poll": 1}, *enrolled]
            carrying = ["enrolled"]
        for shape, in_worker, packed in QUOTES:
            for name in in_worker if way == "worker" else packed:
                ((module, options),) = QUOTED[name].items()
                tasks += [mfa(enabled=True, secret="A" * 16)] if name.startswith("disable") else []
                tasks.append(
                    {
                        module: {**options, "api_url": f"{api.url}/{shape}"},
                        "register": f"{shape}_{name}",
                    }
                )
        watched.environment["ANSIBLE_STDOUT_CALLBACK"] = (
            f"ansible.builtin.{'oneline' if way == 'worker' else 'minimal'}"
        )
        results = run(ansible, watched, way, tasks)
    # Text is a success of a write that reading confirms, as far as it can for a secret.
    succeeded = ["lost", "accepted_text_update"] if way == "worker" else []
    assert [name for name, result in results.items() if not result.get("failed")] == succeeded
    places = watched.seen(packed=way == "module", results=ansible.record.name)
    minted = [
        secret
        for result in results.values()
        for secret in (result.get("secret"), *result.get("backup_codes", ()))
        if secret
    ]
    assert leaks(places, *WORDS, *minted) == []
    assert [place for place in places if place.startswith("left/")] == []

    # What could be kept nowhere else is in the result, and that is censored.
    assert [name for name, result in results.items() if result.get("secret")] == carrying
    hidden = [
        task
        for event, task, forms in watched.events()
        if "censored" in forms["raw"] and event in ("ok", "failed") and task != "control"
    ]
    assert len(hidden) == len(carrying)
    # The API did quote.
    for shape, in_worker, packed in QUOTES:
        for name in in_worker if way == "worker" else packed:
            assert shape.startswith(UNQUOTED) or "********" in results[f"{shape}_{name}"]["msg"], (
                shape,
                name,
            )
