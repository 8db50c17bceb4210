# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules, each with what it needs to go through the beats of the contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One module's way through the contract.

    :param arguments: A state that a fresh organization is not in.
    :param less: The same with a shorter list; it is a change.
    :param invalid: Arguments that cannot be met.
    :param complaint: What the message about them says.
    :param returns: Key of the returned object.
    :param assigned: Fields of it that only the server can give.
    :param state: Sections of the organization's state that it needs to begin with.
    """

    module: str
    returns: str
    arguments: dict[str, Any]
    less: dict[str, Any]
    invalid: dict[str, Any]
    complaint: str
    assigned: tuple[str, ...] = field(default=("id", "created_at"))
    state: dict[str, Any] = field(default_factory=dict)


CHANNELS: list[dict[str, Any]] = [
    {
        "id": f"nch_{name}",
        "type": "email",
        "name": name,
        "enabled": True,
        "config": {},
        "created_at": "2026-01-01T00:00:00Z",
    }
    for name in ("On-call", "Chat", "Pager")
]

CASES = [
    Case(
        "planasonix_session_timeout",
        "session_timeout",
        {"idle_timeout_minutes": 30, "extend_on_activity": False},
        {"absolute_timeout_minutes": 720},
        {"idle_timeout_minutes": 721},
        "idle_timeout_minutes would be 721 and absolute_timeout_minutes 720",
    ),
    Case(
        "planasonix_log_retention",
        "log_retention",
        {"run_logs_days": 14, "audit_logs_days": 730, "diagnostic_artifacts_days": 14},
        {"run_logs_days": 7},
        {"audit_logs_days": 0},
        "audit_logs_days must be at least 1 day",
    ),
    Case(
        "planasonix_profile",
        "profile",
        {"display_name": "Automation", "timezone": "Etc/UTC"},
        {"locale": "de-DE", "timezone": "Europe/Berlin"},
        {"time_zone": "Etc/UTC"},
        "time_zone",
    ),
    Case(
        "planasonix_preferences",
        "preferences",
        {
            "preferences": {
                "canvas.snap_to_grid": False,
                "lists": ["a", "b"],
                "with/slash and ü?": {"deep": [1, None]},
                "nothing": None,
            }
        },
        {"preferences": {"lists": ["a"]}},
        {"preferences": {"..": 1}},
        "'..' cannot be the key of a preference",
    ),
    Case(
        "planasonix_notification_rule",
        "rule",
        {
            "name": "Failures",
            "event": "pipeline.run.failed",
            "channels": ["On-call", "nch_Chat"],
            "filters": {"pipeline_ids": ["a", "b"], "threshold": 5},
        },
        {"name": "Failures", "channels": ["Chat"], "filters": {"pipeline_ids": ["a"]}},
        {"name": "Failures", "channels": ["Nobody"]},
        "no notification channel has the name or id 'Nobody'; there are: 'Chat', 'On-call', 'Pager'",
        state={"channels": CHANNELS},
    ),
    Case(
        "planasonix_settings",
        "settings",
        {
            "default_timezone": "Europe/Berlin",
            "require_sso": True,
            "extra": {"feature_flags": {"lineage_v2": False}},
        },
        {"require_sso": False, "extra": {}},
        {"extra": {"require_sso": True}},
        "extra must not hold require_sso",
    ),
    Case(
        "planasonix_ip_whitelist",
        "ip_whitelist",
        {
            "entries": [
                {"cidr": "127.0.0.1", "label": "Automation"},
                {"cidr": "2001:DB8:0::/48", "label": "VPN"},
                {"cidr": "203.0.113.0/24"},
            ],
            "enabled": True,
            "protected_addresses": ["127.0.0.1"],
        },
        {
            "entries": [{"cidr": "127.0.0.1/32", "label": "Automation"}],
            "purge": True,
            "protected_addresses": ["127.0.0.1"],
        },
        {"entries": [{"cidr": "203.0.113.7/24"}]},
        "'203.0.113.7/24' has host bits set; the network is 203.0.113.0/24",
    ),
    Case(
        "planasonix_notification_channel",
        "channel",
        {
            "name": "On-call",
            "type": "email",
            "config": {
                "recipients": ["a@example.com", "b@example.com"],
                "severity_filter": ["high"],
            },
            "secret_config": {"token": "the-canary-of-a-secret"},
            "enabled": False,
            "test": "on_change",
        },
        {
            "name": "On-call",
            "config": {"recipients": ["a@example.com"]},
            "secret_config": {"token": "the-canary-of-a-secret"},
        },
        {"name": "Elsewhere", "config": {}},
        "type is needed to create it",
    ),
    Case(
        "planasonix_api_key",
        "api_key",
        {
            "name": "Deployment",
            "scopes": ["pipelines:read", "pipelines:run"],
            "expires_in_days": 90,
        },
        {"name": "Deployment", "scopes": ["pipelines:read"], "on_mismatch": "recreate"},
        {"name": "Elsewhere"},
        "scopes is needed to create it",
        ("id", "created_at", "expires_at", "last_used_at", "prefix"),
    ),
]
