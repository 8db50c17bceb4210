# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Canaries: every secret that goes in or comes out is searched in whatever a user or a tool could see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_runs import Ansible
from simulator.process import Simulator

CANARIES = {
    "password": "hunter2-not-really",
    "new_password": "canary-of-a-new-password",
    "wrong_password": "canary-of-a-wrong-password",
    "totp_secret": "CANARYCANARYCANARYCANARYCANARY22",
    "code": "canary-code-917364",
    "webhook": "https://hooks.example.com/canary-of-a-webhook",
}


def given(name: str) -> str:
    """A secret as playbooks give it: by a variable. What a playbook holds literally, Ansible's junit callback writes into the name of a test case."""
    return f"{{{{ canary.{name} }}}}"


def test_no_secret_is_seen_anywhere(plain_simulator: Simulator, plain_ansible: Ansible, way: str, tmp_path: Path) -> None:
    """At -vvvv, in the diff, in the file of the junit callback, in the log, and in errors, also where the API quotes what it was sent."""
    mfa, password, key = (f"planasonix.admin.planasonix_{name}" for name in ("mfa", "password", "api_key"))
    # The API quotes what each of these tasks sent: their passwords, codes and URLs, and the key.
    echoes = {
        "user/mfa/disable": ("wrong_password", "code"),
        "user/password": ("wrong_password", "new_password"),
        "notifications/channels": ("webhook",),
    }
    for path, sent in echoes.items():
        body = {"message": " ".join([*(CANARIES[name] for name in sent), plain_ansible.key]), "code": "refused"}
        plain_simulator.fault("status", method="POST", path=f"/api/{path}", status=422, body=body, times=1)
    tasks: list[dict[str, Any]] = [
        {mfa: {"state": "enabled"}, "register": "enrolled"},
        {mfa: {"state": "disabled", "password": given("wrong_password"), "code": given("code")}, "register": "echoed_code"},
        {
            # No budget, or it would wait for the next code.
            mfa: {"state": "disabled", "password": given("wrong_password"), "totp_secret": given("totp_secret"), "retry_budget": 0},
            "register": "wrong",
        },
        {mfa: {"state": "disabled", "password": given("password"), "totp_secret": "{{ enrolled.secret }}"}, "register": "disabled"},
        {password: {"current_password": given("wrong_password"), "new_password": given("new_password")}, "register": "echoed_password"},
        {password: {"current_password": given("password"), "new_password": given("new_password")}, "register": "changed_password"},
        {key: {"name": "Deployment", "scopes": ["a:read"]}, "register": "key"},
        {key: {"name": "{{ item }}", "scopes": ["a:read"]}, "loop": ["One", "Two"], "register": "loop"},
        {
            "planasonix.admin.planasonix_notification_channel": {"name": "Hook", "type": "webhook", "secret_config": {"url": given("webhook")}},
            "register": "echoed_channel",
        },
    ]
    plain_ansible.extra_environment = {
        "ANSIBLE_LOG_PATH": str(tmp_path / "log"),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit",
        "JUNIT_OUTPUT_DIR": str(tmp_path / "junit"),
    }
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({"canary": CANARIES}), encoding="utf-8")
    outcome = plain_ansible.run(way, *tasks, arguments=("-vvvv", "--diff", "--extra-vars", f"@{variables}"))
    results = {name: outcome[name] for name in (task["register"] for task in tasks)}
    assert [name for name, result in results.items() if result.get("failed")] == ["echoed_code", "wrong", "echoed_password", "echoed_channel"], outcome.output
    for name in ("echoed_code", "echoed_password", "echoed_channel"):
        assert "422" in results[name]["msg"], results[name]

    minted = [results["enrolled"]["secret"], *results["enrolled"]["backup_codes"], results["key"]["secret"]]
    minted += [item.pop("secret") for item in results["loop"]["results"]]
    assert len(minted) == 12
    (report,) = (tmp_path / "junit").iterdir()
    assert report.read_text().count("<testcase ") >= len(tasks)
    seen = {"screen": outcome.output, "junit": report.read_text(), "log": (tmp_path / "log").read_text(), "results": ""}
    # What a task is to return is for register alone; nothing else of a result may hold it.
    returned = ("secret", "otpauth_uri", "backup_codes")
    seen["results"] = json.dumps([{key: value for key, value in result.items() if key not in returned} for result in results.values()])
    for secret in (*minted, *CANARIES.values(), plain_ansible.key):
        assert [place for place, text in seen.items() if secret in text] == [], secret
