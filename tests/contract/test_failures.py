# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user sees when something is wrong: one clear sentence, no traceback, no key, and nothing written."""

from __future__ import annotations

import socket
from typing import Any

from ansible_runs import Ansible
from module_process import Job, run_modules
from simulator.process import Simulator

KEY = "plnx_live_a-key-that-nobody-has"


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


PACKED = (
    "Unsupported parameters",
    "is not a valid boolean",
    "one of the following is required",
    "answered 401",
    "no connection to",
)
"""Parts of the messages that are seen of packed modules as well: how Ansible shows one does not depend on what it says."""
# module, its arguments, what differs in the connection, what the message says
MESSAGES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "settings",
        {"requires_sso": True},
        {},
        "Unsupported parameters for (planasonix.admin.planasonix_settings) module: requires_sso.",
    ),
    ("settings", {"require_sso": "perhaps"}, {}, "The value 'perhaps' is not a valid boolean"),
    ("api_key", {}, {}, "one of the following is required: name, key_id"),
    (
        "info",
        {},
        {"api_key": KEY},
        "Could not read the profile: GET /api/user/profile answered 401 (",
    ),
    ("info", {}, {"api_key": f"{KEY}\n"}, "is there a line break at its end?"),
    ("info", {}, {"api_key": ""}, "api_key is empty"),
    (
        "info",
        {},
        {"api_url": "http://api.example.com"},
        "would send the API key unencrypted; use https://.",
    ),
    (
        "info",
        {},
        {"api_url": "api.example.com"},
        "api_url must be a URL such as https://api.planasonix.com",
    ),
    (
        "info",
        {},
        {"api_url": "UNREACHABLE"},
        "Could not read the profile: no connection to 127.0.0.1:",
    ),
    ("info", {}, {"api_url": "WRONG PREFIX"}, "answered 404"),
    (
        "ip_whitelist",
        {"entries": [{"cidr": "203.0.113.300"}]},
        {},
        "entries: '203.0.113.300' is not an IP address or a network",
    ),
    (
        "ip_whitelist",
        {"enabled": True},
        {},
        "Set protected_addresses to the addresses that must keep access",
    ),
    ("ip_whitelist", {"purge": True}, {}, "purge: true needs entries"),
    (
        "api_key",
        {"name": "x", "scopes": ["a"], "secret_file": "key"},
        {},
        "secret_file must be an absolute path",
    ),
    (
        "api_key",
        {"name": "x", "scopes": ["a"], "secret_file": "/nowhere/key"},
        {},
        "the folder /nowhere does not exist",
    ),
]


def test_messages(plain_ansible: Ansible, plain_simulator: Simulator, way: str) -> None:
    addresses = {
        "UNREACHABLE": f"http://127.0.0.1:{unused_port()}",
        "WRONG PREFIX": f"{plain_simulator.url}/v2",
    }
    tasks, jobs, complaints = [], [], {}
    for number, (module, arguments, connection, complaint) in enumerate(MESSAGES):
        connection = {name: addresses.get(str(value), value) for name, value in connection.items()}
        options = {
            "api_url": plain_ansible.url,
            "api_key": plain_ansible.key,
            "retry_budget": 0.2,
            **connection,
            **arguments,
        }
        jobs.append(Job(module, options))
        # A module that is packed validates the same whether in check mode or not.
        for check in (
            (True, False)
            if way == "worker"
            else (False,)
            if any(part in complaint for part in PACKED)
            else ()
        ):
            complaints[f"result_{number}_{check}"] = complaint
            tasks.append(
                {
                    f"planasonix.admin.planasonix_{module}": options,
                    "check_mode": check,
                    "register": f"result_{number}_{check}",
                }
            )
    outcome = plain_ansible.run(way, *tasks, arguments=("-vvv", "--diff"), defaults={})
    assert outcome.results.keys() == complaints.keys(), outcome.output
    found = [(complaint, outcome[name]) for name, complaint in complaints.items()]
    output = outcome.output
    if way == "module":
        assert len(tasks) == len(PACKED)
        for (_module, _arguments, _connection, complaint), end in zip(
            MESSAGES[1:], run_modules(jobs[1:]), strict=True
        ):  # the first one tells its full name
            assert end.result is not None, end
            found.append((complaint, {"changed": False, **end.result}))
            output += end.output
    wrong = [
        (complaint, result["msg"])
        for complaint, result in found
        if not result["failed"]
        or result["changed"]
        or complaint not in result["msg"]
        or "\n" in result["msg"]
    ]
    assert not wrong
    assert "Traceback (most" not in output
    assert plain_ansible.key not in output
    assert KEY not in output
    assert plain_simulator.writes() == []


def test_details_stand_beside_the_message_and_a_write_without_effect_is_a_failure(
    plain_ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    control = f"http://127.0.0.1:{plain_simulator.port}/_simulator"
    broken = {
        "status": 500,
        "body": {"error": {"code": "broken", "message": f"echo of {plain_ansible.key}"}},
    }
    plain_simulator.fault("status", method="GET", path="/api/settings", times=9, **broken)
    outcome = plain_ansible.run(
        way,
        {"planasonix.admin.planasonix_settings": {"require_sso": True}, "register": "broken"},
        {"control": {"url": f"{control}/log"}, "register": "log"},
        {"control": {"url": f"{control}/faults/clear", "body": {}}},
        {
            "control": {
                "url": f"{control}/faults",
                "body": {"kind": "ignore_write", "method": "POST", "path": "/api/settings"},
            }
        },
        {"planasonix.admin.planasonix_settings": {"require_sso": True}, "register": "ignored"},
    )
    result = outcome["broken"]
    assert {key: result[key] for key in ("status", "code", "method", "path")} == {
        "status": 500,
        "code": "broken",
        "method": "GET",
        "path": "/api/settings",
    }
    assert result["request_id"]
    assert plain_ansible.key not in str(result)
    assert len(outcome["log"]["answer"]) == 1, "500 is never retried"
    assert outcome["ignored"]["failed"]
    assert "require_sso false -> true" in outcome["ignored"]["msg"]


def test_environment_and_its_order(
    plain_ansible: Ansible, plain_simulator: Simulator, way: str
) -> None:
    """The option wins over the task's environment, and that over the controller's.

    Blank variables count as unset, and one that cannot be used is named.
    """
    info = "planasonix.admin.planasonix_info"
    subset = {"gather_subset": ["organization"]}
    second = {"PLANASONIX_API_KEY": plain_simulator.keys[1], "PLANASONIX_TIMEOUT": "30"}
    plain_ansible.extra_environment = {
        "PLANASONIX_API_URL": plain_ansible.url,
        "PLANASONIX_API_KEY": plain_ansible.key,
        "PLANASONIX_TIMEOUT": "0",
        "PLANASONIX_VALIDATE_CERTS": "",
        "PLANASONIX_CA_PATH": " ",
    }
    outcome = plain_ansible.run(
        way,
        {info: subset, "register": "timeout"},
        {info: {**subset, "timeout": 30}, "register": "controller"},
        {info: subset, "environment": second, "register": "task"},
        {
            info: subset,
            "environment": {**second, "PLANASONIX_DEADLINE": "soon"},
            "register": "deadline",
            "ignore_errors": True,
        },
        {
            info: {**subset, "api_key": plain_simulator.keys[2]},
            "environment": second,
            "register": "option",
        },
        arguments=("-vvv",),
        defaults={},
    )
    assert "timeout must be greater than 0" in outcome["timeout"]["msg"]
    assert outcome["deadline"]["msg"] == (
        "The environment variable PLANASONIX_DEADLINE is 'soon'; expected a number. "
        "Correct it or unset it."
    )
    assert [
        outcome[name]["planasonix"]["organization"]["slug"]
        for name in ("controller", "task", "option")
    ] == plain_simulator.slugs
    # The arguments are told to who asks for them, and no key is.
    assert outcome.output.count('"api_key": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"') == 4
    assert plain_ansible.key not in outcome.output
