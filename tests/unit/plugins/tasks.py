# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks of all modules, and an organization that they find something to do in."""

from __future__ import annotations

import typing as t

from unit.plugins.fake_api import KEY, FakeApi

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_api_key,
    planasonix_baseline,
    planasonix_info,
    planasonix_ip_whitelist,
    planasonix_log_retention,
    planasonix_mfa,
    planasonix_notification_channel,
    planasonix_notification_rule,
    planasonix_password,
    planasonix_preferences,
    planasonix_profile,
    planasonix_session_timeout,
    planasonix_settings,
)

SETTINGS, INFO, KEYS = planasonix_settings.MODULE, planasonix_info.MODULE, planasonix_api_key.MODULE
ALLOWLIST, CHANNEL, RULE = (
    planasonix_ip_whitelist.MODULE,
    planasonix_notification_channel.MODULE,
    planasonix_notification_rule.MODULE,
)
TIMEOUT, RETENTION = planasonix_session_timeout.MODULE, planasonix_log_retention.MODULE
PROFILE, PREFERENCES, PASSWORD, MFA = (
    planasonix_profile.MODULE,
    planasonix_preferences.MODULE,
    planasonix_password.MODULE,
    planasonix_mfa.MODULE,
)
BASELINE = planasonix_baseline.MODULE
SECRET = "s3cret-webhook"
ENTRY = {"cidr": "203.0.113.0/24"}

TASKS: dict[str, tuple[Module, dict[str, t.Any]]] = {
    "settings": (SETTINGS, {"require_sso": True}),
    "settings-unchanged": (SETTINGS, {"require_sso": False, "extra": {}}),
    "allowlist": (
        ALLOWLIST,
        {
            "entries": [ENTRY],
            "enabled": True,
            "protected_addresses": ["203.0.113.7"],
            "purge": True,
        },
    ),
    "allowlist-absent": (ALLOWLIST, {"entries": [{"cidr": "192.0.2.0/24"}], "state": "absent"}),
    "channel": (
        CHANNEL,
        {
            "name": "New",
            "type": "webhook",
            "config": {"a": 1},
            "secret_config": {"k": SECRET},
            "enabled": False,
            "test": "on_change",
        },
    ),
    "channel-update": (CHANNEL, {"name": "Alerts", "enabled": False}),
    "channel-replaced": (CHANNEL, {"name": "Alerts", "type": "email", "replace": True}),
    "channel-absent": (CHANNEL, {"name": "Alerts", "state": "absent"}),
    "channel-tested": (CHANNEL, {"name": "Alerts", "test": "always"}),
    "key": (KEYS, {"name": "New", "scopes": ["a:read"], "expires_in_days": 30}),
    "key-recreated": (KEYS, {"name": "Deploy", "rotate_after_days": 5}),
    "key-regenerated": (KEYS, {"name": "Deploy", "rotate": True}),
    "key-absent": (KEYS, {"name": "Deploy", "state": "absent"}),
    "timeout": (TIMEOUT, {"idle_timeout_minutes": 30, "extend_on_activity": False}),
    "retention": (RETENTION, {"run_logs_days": 1}),
    "profile": (PROFILE, {"display_name": ""}),
    "preferences": (PREFERENCES, {"preferences": {"digest": None, "new": [1, {"a": 2}]}}),
    "password": (PASSWORD, {"current_password": "old password", "new_password": SECRET}),
    "password-unchanged": (PASSWORD, {"current_password": SECRET, "new_password": SECRET}),
    "mfa": (MFA, {"state": "enabled"}),
    "mfa-unchanged": (MFA, {"state": "disabled", "password": SECRET, "code": "123456"}),
    "rule": (RULE, {"name": "New", "event": "dlq", "channels": ["Alerts"]}),
    "rule-replaced": (RULE, {"name": "Failures", "channels": [], "filters": {}}),
    "key-unchanged": (KEYS, {"name": "Deploy", "scopes": ["a:read"]}),
}
FAILURES: dict[str, tuple[Module, dict[str, t.Any]]] = {
    "unknown-option": (SETTINGS, {"require_ssl": True}),
    "wrong-type": (SETTINGS, {"require_sso": "perhaps"}),
    "wrong-choice": (KEYS, {"name": "x", "state": "gone"}),
    "one-of-missing": (KEYS, {}),
    "suboption-missing": (ALLOWLIST, {"entries": [{"label": "x"}]}),
    "no-key": (SETTINGS, {"api_key": ""}),
    "key-with-line-break": (SETTINGS, {"api_key": f"{KEY}\n"}),
    "plain-http": (SETTINGS, {"api_url": "http://api.example.com"}),
    "bad-network": (ALLOWLIST, {"entries": [{"cidr": "203.0.113.7/24"}]}),
    "guard": (ALLOWLIST, {"enabled": True}),
    "password-missing": (PASSWORD, {"current_password": SECRET}),
    "no-secret": (MFA, {"state": "disabled", "totp_secret": f"{SECRET}!"}),
    "two-codes": (MFA, {"state": "disabled", "totp_secret": SECRET, "code": "1"}),
    "preferences-of-a-wrong-type": (PREFERENCES, {"preferences": ["a"]}),
    "unknown-channel": (RULE, {"name": "Failures", "channels": ["Nobody"]}),
    "masked": (CHANNEL, {"name": "Alerts", "secret_config": {"k": "***"}}),
    "secret-nowhere": (KEYS, {"name": "x", "return_secret": False}),
}
CONTROLS = [
    {"resource": "session_timeout", "require": {"idle_timeout_minutes": {"at_most": 30}}},
    {
        "resource": "notification_channels",
        "require": {
            "present": [{"name": "New", "type": "webhook", "secret_config": {"k": SECRET}}]
        },
    },
    {
        "id": "rules",
        "resource": "notification_rules",
        "require": {"present": [{"name": "Failures", "channels": ["New"]}]},
    },
    {"resource": "mfa", "require": {"enabled": True}},
]
OTHERS: dict[str, tuple[Module, dict[str, t.Any]]] = {
    "info": (INFO, {"gather_subset": ["!mfa"]}),
    "baseline": (
        BASELINE,
        {"controls": CONTROLS, "waivers": [{"id": "mfa", "reason": "a robot"}]},
    ),
}
"""Modules that only read, or whose check mode tells of what it found."""


def organization() -> FakeApi:
    api = FakeApi()
    api.add_entry("192.0.2.0/24", "old")
    alerts = api.add_channel("Alerts")
    api.add_rule("Failures", [alerts], enabled=False)
    api.add_key("Deploy", 9)
    api.add_singletons()
    for path in ("organization", "features/limits", "tier"):
        api.objects[path] = {"about": path}
    api.objects["features"] = {"features": []}
    return api
