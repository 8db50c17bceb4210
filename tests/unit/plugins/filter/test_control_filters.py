# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that make lists of controls: of a profile, of an organization, and of what a new one is to have."""

from __future__ import annotations

import copy
import json
import os
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.filter.baseline_controls import baseline_controls
from ansible_collections.planasonix.admin.plugins.filter.export_controls import export_controls
from ansible_collections.planasonix.admin.plugins.filter.onboarding_controls import (
    onboarding_controls,
)
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_info,
)

PROFILE: dict[str, t.Any] = {
    "controls": [
        {
            "id": "A",
            "severity": "high",
            "resource": "session_timeout",
            "require": {"idle_timeout_minutes": {"at_most": 30}, "extend_on_activity": True},
        },
        {"id": "B", "resource": "log_retention", "require": {"audit_logs_days": {"at_least": 365}}},
    ]
}
EXTRA = {"id": "C", "resource": "mfa", "require": {"enabled": True}}
SUBSETS = [
    "settings",
    "session_timeout",
    "log_retention",
    "ip_whitelist",
    "notification_channels",
    "notification_rules",
]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        pytest.param({}, ["A", "B"], id="nothing"),
        pytest.param({"skip": ["A"]}, ["B"], id="skip"),
        pytest.param({"extra": [EXTRA]}, ["A", "B", "C"], id="extra"),
        pytest.param({"run_tags": ["all"]}, ["A", "B"], id="all-tags"),
        pytest.param({"extra": [EXTRA], "run_tags": ["mfa", "org_baseline"]}, ["C"], id="tag"),
        pytest.param({"run_tags": ["org_baseline"]}, ["A", "B"], id="tag-of-the-role"),
        pytest.param({"skip_tags": ["log_retention"]}, ["A"], id="skipped-tag"),
    ],
)
def test_which_controls_of_a_profile_are_kept(options, ids):
    before = copy.deepcopy(PROFILE)
    assert [control["id"] for control in baseline_controls(PROFILE, **options)] == ids
    assert before == PROFILE


def test_controls_may_be_texts_and_ask_the_same():
    title = 'Multi-"factor" {{ not.a.template }} für alle'
    profile = {"controls": [*PROFILE["controls"], {**EXTRA, "title": title}]}
    controls, texts = baseline_controls(profile), baseline_controls(profile, as_text=True)
    assert {type(text) for text in texts} == {str}
    by_controls, by_texts = (
        perform(FakeApi(), planasonix_baseline.MODULE, check_mode=True, controls=given)
        for given in (controls, texts)
    )
    assert by_texts == by_controls
    assert by_texts["controls"][-1]["title"] == title


def test_a_profile_may_be_a_file(tmp_path):
    path = tmp_path / "profile.yml"
    path.write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
    assert baseline_controls(str(path)) == baseline_controls(PROFILE)
    path.write_text(yaml.safe_dump({"controls": [EXTRA]}), encoding="utf-8")
    os.utime(path, ns=(0, 0))
    assert baseline_controls(str(path), overrides={"C": {"severity": "low"}}) == [
        {**EXTRA, "severity": "low"}
    ]
    assert baseline_controls(str(path)) == [EXTRA], "what one organization overrides stays its own"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(
            None, r"the profile .*profile\.yml cannot be read: No such file", id="missing"
        ),
        pytest.param(b"controls: [", r"profile\.yml cannot be read: it is not YAML", id="broken"),
        pytest.param(b"\xff", r"profile\.yml cannot be read: it is not YAML", id="binary"),
        pytest.param(b"- id: A", "the input is not a profile", id="list"),
    ],
)
def test_a_file_that_is_no_profile(tmp_path, content, complaint):
    path = tmp_path / "profile.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AnsibleFilterError, match=complaint):
        baseline_controls(str(path))


def test_an_override_replaces_what_it_names():
    override = {"severity": "low", "require": {"idle_timeout_minutes": {"at_least": 5}}}
    (control, other) = baseline_controls(PROFILE, overrides={"A": override})
    assert control == {
        **PROFILE["controls"][0],
        "severity": "low",
        "require": {"idle_timeout_minutes": {"at_least": 5}, "extend_on_activity": True},
    }
    assert other == PROFILE["controls"][1]


@pytest.mark.parametrize(
    ("profile", "options", "complaint"),
    [
        pytest.param(
            PROFILE, {"skip": ["X"]}, "skip: the profile has no control X; it has A, B.", id="skip"
        ),
        pytest.param(
            PROFILE,
            {"overrides": {"X": {}}},
            "overrides: the profile has no control X",
            id="override",
        ),
        pytest.param({"control": []}, {}, "the input is not a profile", id="no-controls"),
        pytest.param([], {}, "the input is not a profile", id="list"),
        pytest.param(
            "controls:\n- id: A",
            {},
            "the input is a text: give the path of a file, or parse the text by from_yaml",
            id="text",
        ),
        pytest.param("a\0b", {}, "the input is a text", id="null-character"),
    ],
)
def test_what_is_no_profile_or_not_in_it(profile, options, complaint):
    with pytest.raises(AnsibleFilterError, match=complaint):
        baseline_controls(profile, **options)


def organization() -> FakeApi:
    api = FakeApi().add_singletons()
    mail = api.add_channel("Mail", "email", config={"recipients": ["a@example.com"]})
    api.add_channel("Hook", "webhook", config={"method": "POST", "url": "http****"}, enabled=False)
    api.add_rule("Failures", [mail, "nch_gone"], filters={"a": [1]})
    api.add_entry("203.0.113.0/24", "Office")
    api.add_entry("2001:db8::/32")
    return api


def test_an_export_holds_where_it_comes_from():
    api = organization()
    facts = perform(api, planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    controls = export_controls(facts)
    assert [control["resource"] for control in controls] == SUBSETS
    by_resource = {control["resource"]: control["require"] for control in controls}
    assert by_resource["notification_channels"]["present"][1]["secret_config"] == {
        "url": "PLACEHOLDER:Hook.url"
    }
    assert by_resource["notification_rules"]["present"][0]["channels"] == ["Mail", "nch_gone"]
    result = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert (result["changed"], result["summary"]["pass"], api.writes) == (
        False,
        len(SUBSETS),
        [],
    ), result


def test_an_export_makes_another_organization_alike():
    facts = perform(organization(), planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    facts["notification_channels"][1]["config"]["url"] = "https://example.com"
    facts["notification_rules"][0]["channels"] = ["Mail"]
    other = FakeApi().add_singletons()
    other.objects["session-timeout"]["idle_timeout_minutes"] = 5
    other.add_channel("Old")
    controls = export_controls(facts)
    channels = next(one for one in controls if one["resource"] == "notification_channels")
    assert "https" not in str(channels)
    assert "PLACEHOLDER:Hook.url" in str(channels)
    assert perform(other, planasonix_baseline.MODULE, controls=controls)["failed"]
    channels["require"]["present"][1]["secret_config"]["url"] = "https://example.com"
    assert perform(other, planasonix_baseline.MODULE, controls=controls)["summary"]["fail"] == 0
    assert [channel["name"] for channel in other.channels] == ["Mail", "Hook"]
    assert not perform(other, planasonix_baseline.MODULE, controls=controls)["changed"]


HOOK = {
    "method": "POST",
    "url": "https://hooks.example.com/5ecret",
    "headers": {"Authorization": "Bearer 5ecret", "Accept": "text/plain"},
    "target": "[REDACTED]",
}


def test_an_export_has_no_secret_and_no_mask():
    api = FakeApi().add_singletons()
    api.add_channel("Hook", "webhook", config=HOOK)
    api.add_channel("Pager", "pagerduty", config={"severity": "high"})
    api.add_channel("Chat", "slack", config={"workspace": "acme", "channel": "C1"})
    api.add_channel("Text", "email", config=json.dumps({"recipients": ["a@example.com"]}))
    facts = perform(api, planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    controls = export_controls(facts)
    (channels,) = (one for one in controls if one["resource"] == "notification_channels")
    items = {item["name"]: item for item in channels["require"]["present"]}
    assert "5ecret" not in str(controls) and "REDACTED" not in str(controls)
    assert items["Hook"]["config"] == {"method": "POST", "headers": {"Accept": "text/plain"}}
    assert items["Hook"]["secret_config"] == {
        "url": "PLACEHOLDER:Hook.url",
        "headers": {"Authorization": "PLACEHOLDER:Hook.headers.Authorization"},
        "target": "PLACEHOLDER:Hook.target",
    }
    assert items["Pager"]["secret_config"] == {"routing_key": "PLACEHOLDER:Pager.routing_key"}
    assert "secret_config" not in items["Chat"]
    assert items["Text"]["config"] == {"recipients": ["a@example.com"]}
    assert not perform(api, planasonix_baseline.MODULE, controls=controls)["changed"]
    api.channels.pop(0)
    for check_mode in (True, False):
        result = perform(api, planasonix_baseline.MODULE, check_mode, controls=controls)
        assert "url in its secret_config is a placeholder" in result["msg"]
    assert api.writes == []


def test_an_export_leaves_out_what_has_no_name():
    api = organization()
    api.channels.append({"id": "sys_1", "type": "in_app", "name": None, "enabled": True})
    api.rules.append({**api.rules[0], "id": "sys_2", "name": None})
    api.rules[0] |= {"enabled": "true", "filters": None}
    facts = perform(api, planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    assert facts["notification_channels"][-1] == api.channels[-1]
    assert facts["notification_rules"][-1]["id"] == "sys_2"
    controls = export_controls(facts)
    rules = next(one for one in controls if one["resource"] == "notification_rules")
    assert [
        (rule["name"], rule["enabled"], rule["filters"]) for rule in rules["require"]["present"]
    ] == [("Failures", True, {})]
    result = perform(api, planasonix_baseline.MODULE, controls=controls)
    assert (result.get("failed"), result["changed"], api.writes) == (None, False, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("channel_ids", "nch_1"), ("channel_ids", [[]]), ("filters", "text"), ("enabled", "perhaps")],
)
def test_an_export_leaves_out_what_it_cannot_read(field, value):
    api = organization()
    api.rules[0][field] = value
    facts = perform(api, planasonix_info.MODULE, gather_subset=SUBSETS)["planasonix"]
    (rules,) = (one for one in export_controls(facts) if one["resource"] == "notification_rules")
    (rule,) = rules["require"]["present"]
    assert rule.keys() == {"name", "event", "channels", "filters", "enabled"} - {
        "channels" if field == "channel_ids" else field
    }


def test_what_could_not_be_read_is_left_out():
    api = organization().fail("GET /api/notifications/rules", "403 before", times=9)
    found = perform(api, planasonix_info.MODULE, on_forbidden="skip")
    with pytest.raises(AnsibleFilterError, match="notification_rules"):
        export_controls(found["planasonix"])
    names = [
        control["id"] for control in export_controls(found["planasonix"], found["unavailable"])
    ]
    assert "notification_rules" not in names and "notification_channels" in names


@pytest.mark.parametrize("facts", [{}, [], {"ip_whitelist": None}], ids=["empty", "list", "null"])
def test_what_is_no_organization(facts):
    with pytest.raises(AnsibleFilterError, match="not what planasonix_info returns"):
        export_controls(facts)


def test_onboarding():
    controls = onboarding_controls(
        {"require_sso": True, "extra": {"feature_flags": {"x": True}}},
        ip_whitelist={
            "entries": [{"cidr": "192.0.2.0/24"}],
            "protected_addresses": ["192.0.2.1"],
            "allow_lockout": True,
            "state": "present",
        },
        channels=[
            {
                "name": "Mail",
                "type": "email",
                "test": "never",
                "state": "present",
                "update_secrets": "on_create",
            }
        ],
        rules=[{"name": "R", "event": "e", "channels": ["Mail"]}],
    )
    assert {control["resource"]: control["require"] for control in controls} == {
        "settings": {"require_sso": True, "feature_flags": {"x": True}},
        "ip_whitelist": {"entries": [{"cidr": "192.0.2.0/24"}]},
        "notification_channels": {"present": [{"name": "Mail", "type": "email"}]},
        "notification_rules": {"present": [{"name": "R", "event": "e", "channels": ["Mail"]}]},
    }
    assert onboarding_controls({}) == []
    assert onboarding_controls({}, channels=[{"name": "Mail", "state": "absent"}])[0]["require"][
        "present"
    ] == [{"name": "Mail", "state": "absent"}]


@pytest.mark.parametrize(
    ("settings", "options"),
    [([], {}), ({}, {"ip_whitelist": ["192.0.2.0/24"]})],
    ids=["settings", "allowlist"],
)
def test_what_cannot_be_onboarded(settings, options):
    with pytest.raises(AnsibleFilterError, match="must be a mapping"):
        onboarding_controls(settings, **options)
