# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user sees when something is wrong: one clear sentence, no traceback, no key, and nothing written."""

from __future__ import annotations

import socket
from typing import Any

from ansible_runs import Ansible
from simulator.process import Simulator

KEY = "plnx_live_a-key-that-nobody-has"


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# module, its arguments, what differs in the connection, what the message says
MESSAGES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("settings", {"requires_sso": True}, {}, "Unsupported parameters for (planasonix.admin.planasonix_settings) module: requires_sso."),
    ("settings", {"require_sso": "perhaps"}, {}, "The value 'perhaps' is not a valid boolean"),
    ("api_key", {}, {}, "one of the following is required: name, key_id"),
    ("info", {}, {"api_key": KEY}, "Could not read the profile: GET /api/user/profile answered 401 ("),
    ("info", {}, {"api_key": f"{KEY}\n"}, "is there a line break at its end?"),
    ("info", {}, {"api_key": ""}, "api_key is empty"),
    ("info", {}, {"api_url": "http://api.example.com"}, "would send the API key unencrypted; use https://."),
    ("info", {}, {"api_url": "api.example.com"}, "api_url must be an URL such as https://api.planasonix.com"),
    ("info", {}, {"api_url": "UNREACHABLE"}, "Could not read the profile: no connection to 127.0.0.1:"),
    ("info", {}, {"api_url": "WRONG PREFIX"}, "answered 404"),
    ("ip_whitelist", {"entries": [{"cidr": "203.0.113.300"}]}, {}, "entries: '203.0.113.300' is not an IP address or a network"),
    ("ip_whitelist", {"enabled": True}, {}, "name the addresses that must keep access in protected_addresses"),
    ("ip_whitelist", {"purge": True}, {}, "purge: true needs entries"),
    ("api_key", {"name": "x", "scopes": ["a"], "secret_file": "key"}, {}, "secret_file must be an absolute path"),
    ("api_key", {"name": "x", "scopes": ["a"], "secret_file": "/nowhere/key"}, {}, "the folder /nowhere does not exist"),
]


def test_messages(plain_ansible: Ansible, plain_simulator: Simulator, way: str) -> None:
    addresses = {"UNREACHABLE": f"http://127.0.0.1:{unused_port()}", "WRONG PREFIX": f"{plain_simulator.url}/v2"}
    # A module that is packed validates the same whether in check mode or not.
    checks = (True, False) if way == "worker" else (False,)
    tasks = []
    for number, (module, arguments, connection, _complaint) in enumerate(MESSAGES):
        connection = {name: addresses.get(str(value), value) for name, value in connection.items()}
        for check in checks:
            options = {"api_url": plain_ansible.url, "api_key": plain_ansible.key, "retry_budget": 0.2, **connection, **arguments}
            tasks.append({f"planasonix.admin.planasonix_{module}": options, "check_mode": check, "register": f"result_{number}_{check}"})
    outcome = plain_ansible.run(way, *tasks, arguments=("-vvv", "--diff"), defaults={})
    assert len(outcome.results) == len(tasks), outcome.output
    wrong = []
    for number, (_module, _arguments, _connection, complaint) in enumerate(MESSAGES):
        for check in checks:
            result = outcome[f"result_{number}_{check}"]
            if not result["failed"] or result["changed"] or complaint not in result["msg"] or "\n" in result["msg"]:
                wrong.append((complaint, result["msg"]))
    assert not wrong
    assert "Traceback (most" not in outcome.output
    assert plain_ansible.key not in outcome.output
    assert KEY not in outcome.output
    assert plain_simulator.writes() == []


def test_details_stand_beside_the_message(plain_ansible: Ansible, plain_simulator: Simulator, way: str) -> None:
    plain_simulator.fault(
        "status", method="GET", path="/api/settings", status=500, body={"error": {"code": "broken", "message": f"echo of {plain_ansible.key}"}}, times=9
    )
    result = plain_ansible.run(way, {"planasonix.admin.planasonix_settings": {"require_sso": True}, "register": "result"})["result"]
    assert {key: result[key] for key in ("status", "code", "method", "path")} == {"status": 500, "code": "broken", "method": "GET", "path": "/api/settings"}
    assert result["request_id"]
    assert plain_ansible.key not in str(result)
    assert len(plain_simulator.log()) == 1, "500 is never retried"


def test_a_write_without_effect_is_a_failure(plain_ansible: Ansible, plain_simulator: Simulator, way: str) -> None:
    plain_simulator.fault("ignore_write", method="POST", path="/api/settings", times=1)
    result = plain_ansible.run(way, {"planasonix.admin.planasonix_settings": {"require_sso": True}, "register": "result"})["result"]
    assert result["failed"]
    assert "require_sso false -> true" in result["msg"]


def test_environment_and_its_order(plain_ansible: Ansible, plain_simulator: Simulator, way: str) -> None:
    """The option wins over the task's environment, and that over the controller's."""
    info = "planasonix.admin.planasonix_info"
    subset = {"gather_subset": ["organization"]}
    second = {"PLANASONIX_API_KEY": plain_simulator.keys[1], "PLANASONIX_TIMEOUT": "30"}
    plain_ansible.extra_environment = {"PLANASONIX_API_URL": plain_ansible.url, "PLANASONIX_API_KEY": plain_ansible.key, "PLANASONIX_TIMEOUT": "0"}
    outcome = plain_ansible.run(
        way,
        {info: subset, "register": "timeout"},
        {info: {**subset, "timeout": 30}, "register": "controller"},
        {info: subset, "environment": second, "register": "task"},
        {info: {**subset, "api_key": plain_simulator.keys[2]}, "environment": second, "register": "option"},
        arguments=("-vvv",),
        defaults={},
    )
    assert "timeout must be greater than 0" in outcome["timeout"]["msg"]
    assert [outcome[name]["planasonix"]["organization"]["slug"] for name in ("controller", "task", "option")] == plain_simulator.slugs
    # The arguments are told to who asks for them, and no key is.
    assert outcome.output.count('"api_key": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"') == 4
    assert plain_ansible.key not in outcome.output
