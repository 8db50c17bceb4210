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
    """

    module: str
    returns: str
    arguments: dict[str, Any]
    less: dict[str, Any]
    invalid: dict[str, Any]
    complaint: str
    assigned: tuple[str, ...] = field(default=("id", "created_at"))


CASES = [
    Case(
        "planasonix_settings",
        "settings",
        {"default_timezone": "Europe/Berlin", "require_sso": True, "extra": {"feature_flags": {"lineage_v2": False}}},
        {"require_sso": False, "extra": {}},
        {"extra": {"require_sso": True}},
        "extra must not hold require_sso",
    ),
    Case(
        "planasonix_ip_whitelist",
        "ip_whitelist",
        {
            "entries": [{"cidr": "127.0.0.1", "label": "Automation"}, {"cidr": "2001:DB8:0::/48", "label": "VPN"}, {"cidr": "203.0.113.0/24"}],
            "enabled": True,
            "protected_addresses": ["127.0.0.1"],
        },
        {"entries": [{"cidr": "127.0.0.1/32", "label": "Automation"}], "purge": True, "protected_addresses": ["127.0.0.1"]},
        {"entries": [{"cidr": "203.0.113.7/24"}]},
        "'203.0.113.7/24' has host bits set; the network is 203.0.113.0/24",
    ),
    Case(
        "planasonix_notification_channel",
        "channel",
        {
            "name": "On-call",
            "type": "email",
            "config": {"recipients": ["a@example.com", "b@example.com"], "severity_filter": ["high"]},
            "secret_config": {"token": "the-canary-of-a-secret"},
            "enabled": False,
            "test": "on_change",
        },
        {"name": "On-call", "config": {"recipients": ["a@example.com"]}, "secret_config": {"token": "the-canary-of-a-secret"}},
        {"name": "Elsewhere", "config": {}},
        "type is needed to create it",
    ),
    Case(
        "planasonix_api_key",
        "api_key",
        {"name": "Deployment", "scopes": ["pipelines:read", "pipelines:run"], "expires_in_days": 90},
        {"name": "Deployment", "scopes": ["pipelines:read"], "on_mismatch": "recreate"},
        {"name": "Elsewhere"},
        "scopes is needed to create it",
        ("id", "created_at", "expires_at", "last_used_at", "prefix"),
    ),
]
