# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Channels and rules with fields of any shape: no internal error, no write of what was misread."""

from __future__ import annotations

import copy
import json

from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples
from unit.plugins.fake_api import FakeApi, Values, perform

from ansible_collections.planasonix.admin.plugins.filter.export_controls import export_controls
from ansible_collections.planasonix.admin.plugins.filter.rollback_controls import rollback_controls
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_info,
    planasonix_notification_channel,
    planasonix_notification_rule,
)

SUBSETS = ["notification_channels", "notification_rules"]
OTHERS = ["settings", "session_timeout", "log_retention", "ip_whitelist"]
TEXTS = st.sampled_from(["", "a", "url", "nch_1", "***", "hidden", "true", "1", "{}", '{"a": 1}'])
SCALARS = st.none() | st.booleans() | st.integers(-1, 2) | st.just(1.5) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=2) | st.dictionaries(TEXTS, values, max_size=2),
    max_leaves=4,
)
CHANNEL_FIELDS = ("name", "type", "enabled", "config", "status", "deleted_at")
RULE_FIELDS = ("name", "event", "channel_ids", "filters", "enabled", "state")

CHANNEL_TASKS: list[Values] = [
    {"name": "Mail", "type": "email", "config": {"a": 2}, "enabled": False, "secret_config": {}},
    {"name": "Mail", "config": {"a": {"b": [1]}, "url": "https://example.com"}},
    {"channel_id": "nch_1", "name": "New"},
    {"name": "Mail", "state": "absent"},
    {"name": "Mail", "type": "webhook", "replace": True},
]
RULE_TASKS: list[Values] = [
    {"name": "R", "event": "e", "channels": ["Mail"], "filters": {"a": 1}},
    {"name": "R", "enabled": False},
    {"name": "R", "filters": {}},
]
CONTROLS = [
    {
        "resource": "notification_channels",
        "require": {"present": [{"name": "Mail", "config": {"a": 2}}], "purge": True},
    },
    {
        "resource": "notification_rules",
        "require": {"present": [{"name": "R", "enabled": False, "filters": {"a": 1}}]},
    },
]


@examples(150)
@given(
    channel=st.dictionaries(st.sampled_from(CHANNEL_FIELDS), VALUES, max_size=2),
    rule=st.dictionaries(st.sampled_from(RULE_FIELDS), VALUES, max_size=2),
    missing=st.sets(st.sampled_from([*CHANNEL_FIELDS, *RULE_FIELDS]), max_size=1),
)
def test_no_shape_is_an_internal_error(channel, rule, missing):
    def api() -> FakeApi:
        api = FakeApi()
        api.add_channel("Mail", "email", config={"a": 1})
        api.add_channel("Other", "slack")
        api.add_rule("R", ["nch_1"])
        api.channels[0] |= copy.deepcopy(channel)
        api.rules[0] |= copy.deepcopy(rule)
        for name in missing:
            api.channels[0].pop(name, None)
            api.rules[0].pop(name, None)
        return api

    def check(api: FakeApi, module: object, **task: object) -> Values:
        results = [perform(api, module, check_mode, **task) for check_mode in (True, False)]
        assert not any("please report it" in json.dumps(result) for result in results), results
        assert not (results[0].get("failed") and api.writes), results
        return results[1]

    for task in CHANNEL_TASKS:
        check(api(), planasonix_notification_channel.MODULE, **task)
    for task in RULE_TASKS:
        check(api(), planasonix_notification_rule.MODULE, **task)
    check(api(), planasonix_baseline.MODULE, controls=CONTROLS)
    organization = api()
    facts = check(organization, planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    controls = export_controls(facts, OTHERS)
    check(organization, planasonix_baseline.MODULE, controls=controls)
    rollback_controls({"controls": controls}, facts)
