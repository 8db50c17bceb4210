# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each documented operation is reached by a module: the table says by which, and the simulator's own count says whether it is so. The guide tells the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_runs import Ansible
from cases import CHANNELS
from simulator.process import Simulator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst" / "guide_api_coverage.rst"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
ENTRY = {
    "id": "ipw_1",
    "cidr": "192.0.2.0/24",
    "label": "old",
    "created_at": "2026-01-01T00:00:00Z",
}
RULE = {
    "id": "nrl_1",
    "name": "Old",
    "event": "e",
    "channel_ids": ["nch_Chat"],
    "filters": {},
    "enabled": True,
    "created_at": "2026-01-01T00:00:00Z",
}
OLD_KEY = {
    "id": "key_old",
    "name": "Old",
    "secret": "plnx_live_old_secret",
    "prefix": "plnx_live_old_",
    "scopes": ["a:read"],
    "created_at": RULE["created_at"],
}


@dataclass(frozen=True)
class Reach:
    """A task, and the operations that it calls with success.

    :param state: Sections of the organization's state before it; ``api_keys`` are added to the one that the task itself uses.
    """

    module: str
    arguments: dict[str, Any]
    operations: tuple[str, ...]
    state: dict[str, Any] = field(default_factory=dict)


TABLE = [
    Reach(
        "profile",
        {"display_name": "Automation"},
        ("GET /api/user/profile", "PUT /api/user/profile"),
    ),
    Reach(
        "password",
        {"current_password": "hunter2-not-really", "new_password": "a-long-new-password"},
        ("GET /api/user/profile", "POST /api/user/password"),
    ),
    Reach(
        "mfa",
        {"state": "enabled"},
        ("GET /api/user/mfa", "POST /api/user/mfa/enable", "POST /api/user/mfa/verify"),
    ),
    Reach(
        "mfa",
        {"state": "disabled", "password": "hunter2-not-really", "totp_secret": TOTP_SECRET},
        ("GET /api/user/mfa", "POST /api/user/mfa/disable"),
        {"mfa": {"enabled": True, "secret": TOTP_SECRET}, "password": "hunter2-not-really"},
    ),
    Reach(
        "api_key",
        {"name": "New", "scopes": ["a:read"]},
        ("GET /api/user/api-keys", "POST /api/user/api-keys"),
    ),
    Reach(
        "api_key",
        {"key_id": "key_old", "rotate": True},
        (
            "GET /api/user/api-keys",
            "GET /api/user/api-keys/{id}",
            "POST /api/user/api-keys/{id}/regenerate",
        ),
        {"api_keys": [OLD_KEY]},
    ),
    Reach(
        "api_key",
        {"name": "Old", "state": "absent"},
        ("GET /api/user/api-keys", "DELETE /api/user/api-keys/{id}"),
        {"api_keys": [OLD_KEY]},
    ),
    Reach(
        "session_timeout",
        {"idle_timeout_minutes": 30},
        ("GET /api/session-timeout", "PUT /api/session-timeout"),
    ),
    Reach(
        "preferences",
        {"preferences": {"canvas.snap_to_grid": False}},
        (
            "GET /api/user-preferences",
            "GET /api/user-preferences/{key}",
            "PUT /api/user-preferences/{key}",
        ),
    ),
    Reach("settings", {"require_sso": True}, ("GET /api/settings", "POST /api/settings")),
    Reach(
        "settings",
        {"extra": {"feature_flags": {"lineage_v2": False}}},
        ("GET /api/settings/all", "POST /api/settings"),
    ),
    Reach(
        "ip_whitelist",
        {
            "entries": [{"cidr": "127.0.0.1"}],
            "purge": True,
            "enabled": True,
            "protected_addresses": ["127.0.0.1"],
        },
        (
            "DELETE /api/settings/ip-whitelist/{id}",
            "GET /api/settings/ip-whitelist",
            "GET /api/settings/ip-whitelist/status",
            "POST /api/settings/ip-whitelist",
            "POST /api/settings/ip-whitelist/toggle",
        ),
        {"ip_whitelist": {"last_evaluated_at": ENTRY["created_at"], "entries": [ENTRY]}},
    ),
    Reach(
        "log_retention",
        {"run_logs_days": 14},
        ("GET /api/settings/log-retention", "PUT /api/settings/log-retention"),
    ),
    Reach(
        "notification_channel",
        {"name": "New", "type": "email", "config": {}, "enabled": False, "test": "always"},
        (
            "GET /api/notifications/channels",
            "POST /api/notifications/channels",
            "POST /api/notifications/channels/{id}/test",
            "PUT /api/notifications/channels/{id}",
        ),
    ),
    Reach(
        "notification_channel",
        {"name": "Pager", "state": "absent"},
        (
            "DELETE /api/notifications/channels/{id}",
            "GET /api/notifications/channels",
            "GET /api/notifications/rules",
        ),
        {"channels": CHANNELS},
    ),
    Reach(
        "notification_rule",
        {"name": "Old", "enabled": False},
        (
            "GET /api/notifications/channels",
            "GET /api/notifications/rules",
            "POST /api/notifications/rules",
        ),
        {"channels": CHANNELS, "rules": [RULE]},
    ),
    Reach(
        "info",
        {},
        (
            "GET /api/features",
            "GET /api/features/limits",
            "GET /api/notifications/channels",
            "GET /api/notifications/rules",
            "GET /api/organization",
            "GET /api/session-timeout",
            "GET /api/settings/all",
            "GET /api/settings/ip-whitelist",
            "GET /api/settings/ip-whitelist/status",
            "GET /api/settings/log-retention",
            "GET /api/tier",
            "GET /api/user-preferences",
            "GET /api/user/api-keys",
            "GET /api/user/mfa",
            "GET /api/user/profile",
        ),
    ),
]


def succeeded(operations: dict[str, Any]) -> dict[str, int]:
    """How often each operation was called with success."""
    return {f"{row['method']} {row['path']}": row["succeeded"] for row in operations["answer"]}


def test_every_operation_is_reached_by_the_module_of_the_table(
    simulator: Simulator, ansible: Ansible
) -> None:
    control = f"http://127.0.0.1:{simulator.port}/_simulator"
    own = simulator.state()["api_keys"]
    tasks: list[dict[str, Any]] = []
    for number, row in enumerate(TABLE):
        state = {**row.state, "api_keys": own + row.state.get("api_keys", [])}
        tasks += [
            {
                "control": {
                    "url": f"{control}/operations",
                    "then": [
                        {"url": f"{control}/state/acme-analytics", "method": "PUT", "body": state}
                    ],
                },
                "register": f"before_{number}",
            },
            {
                f"planasonix.admin.planasonix_{row.module}": row.arguments,
                "register": f"result_{number}",
            },
            {"control": {"url": f"{control}/operations"}, "register": f"after_{number}"},
        ]
    outcome = ansible.run(
        "worker", *tasks
    )  # which requests a module sends does not depend on where it runs
    reached: set[str] = set()
    for number, row in enumerate(TABLE):
        assert not outcome[f"result_{number}"]["failed"], outcome[f"result_{number}"]["msg"]
        before, after = (
            succeeded(outcome[f"before_{number}"]),
            succeeded(outcome[f"after_{number}"]),
        )
        assert sorted(
            operation for operation in after if after[operation] > before.get(operation, 0)
        ) == sorted(row.operations), row.module
        reached.update(row.operations)
    documented = {f"{row['method']} {row['path']}" for row in simulator.control("operations")}
    assert len(documented) == 38
    assert reached == documented


def guide_rows() -> list[list[str]]:
    """The rows of the guide's table, each as its cells: operation, modules, kind and remarks."""
    rows = re.split(r"^   \* - ", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [
        re.split(r"^     -\s", row, flags=re.MULTILINE)
        for row in rows
        if re.match("``[A-Z]+ /api/", row)
    ]


def test_the_guide_on_api_coverage_says_the_same_as_the_table() -> None:
    """Each operation is there once, with the modules that reach it and no other, and with whether it reads or writes."""
    told: dict[str, set[str]] = {}
    for operation, modules, kind, _remarks in guide_rows():
        name = operation.strip().strip("`")
        assert name not in told
        assert kind.strip() == ("reads" if name.startswith("GET ") else "writes"), name
        told[name] = set(
            re.findall(r":ansplugin:`planasonix\.admin\.planasonix_(\w+)#module`", modules)
        )
    operations = {operation for row in TABLE for operation in row.operations}
    assert told == {
        operation: {row.module for row in TABLE if operation in row.operations}
        for operation in operations
    }
