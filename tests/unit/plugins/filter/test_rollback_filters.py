# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back to a snapshot, through the real baseline: what is put back, what came later, and what nobody but the user can make again."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from unit.plugins.fake_api import FakeApi, perform

from ansible_collections.planasonix.admin.plugins.filter.export_controls import (
    export_controls,
    snapshot,
)
from ansible_collections.planasonix.admin.plugins.filter.rollback_controls import (
    rollback_controls,
    rollback_report,
)
from ansible_collections.planasonix.admin.plugins.modules import (
    planasonix_baseline,
    planasonix_info,
)

SUBSETS = [
    "settings",
    "session_timeout",
    "log_retention",
    "ip_whitelist",
    "notification_channels",
    "notification_rules",
]
HIDDEN = "PLACEHOLDER:Hook.url"


class Organization:
    """An organization, and the snapshot that was taken of it."""

    def __init__(self) -> None:
        self.api = FakeApi().add_singletons()
        mail = self.api.add_channel("Mail", "email", config={"recipients": ["a@example.com"]})
        hook = self.api.add_channel("Hook", "webhook", config={"method": "POST", "url": "http****"})
        self.api.add_rule("Both", [mail, hook], filters={"a": [1]})
        self.api.add_rule("Hooked", [hook])
        self.api.add_entry("203.0.113.0/24", "Office")
        self.api.add_entry("2001:db8::/32")
        self.take()

    def take(self) -> None:
        self.snapshot: dict[str, t.Any] = {"controls": export_controls(self.facts())}

    def facts(self) -> dict[str, t.Any]:
        facts: dict[str, t.Any] = perform(self.api, planasonix_info.MODULE, gather_subset=SUBSETS)[
            "planasonix"
        ]
        return copy.deepcopy(facts)

    def require(self, resource: str) -> dict[str, t.Any]:
        """What the snapshot requires of a resource."""
        return next(
            control["require"]
            for control in self.snapshot["controls"]
            if control["resource"] == resource
        )

    def roll_back(self, **options: t.Any) -> dict[str, list[str]]:
        """Roll back in check mode, for real, and again: check mode tells the same, and the second time changes nothing."""
        facts = self.facts()
        outcomes = []
        for check_mode, changed in ((True, None), (False, None), (False, False)):
            controls = rollback_controls(self.snapshot, facts)
            result = perform(
                self.api,
                planasonix_baseline.MODULE,
                check_mode=check_mode,
                controls=controls,
                **options,
            )
            assert "failed" not in result, result["msg"]
            assert changed is None or result["changed"] is changed, result["diff"]
            outcomes.append(rollback_report(self.snapshot, facts, result, check_mode))
            facts = facts if check_mode else self.facts()
        assert outcomes[0] == outcomes[1]
        assert outcomes[1]["unrestored"] == outcomes[2]["unrestored"]
        return outcomes[1]

    def channel(self, name: str) -> dict[str, t.Any]:
        return next(channel for channel in self.api.channels if channel["name"] == name)

    def rule(self, name: str) -> dict[str, t.Any]:
        return next(rule for rule in self.api.rules if rule["name"] == name)

    def names_of(self, rule: str) -> list[str]:
        """The channels of a rule."""
        names = {channel["id"]: channel["name"] for channel in self.api.channels}
        return [names.get(channel_id, "gone") for channel_id in self.rule(rule)["channel_ids"]]


@pytest.fixture
def organization() -> Organization:
    return Organization()


SECRETS = (
    "These secrets cannot be compared with the snapshot, so they stay as they are now: Hook.url."
)
GONE = (
    "The notification channel 'Hook' is gone and cannot be created again, since the snapshot lacks url. "
    f"Replace {HIDDEN} in it with the real value."
)


def test_nothing_to_put_back(organization):
    before = copy.deepcopy(organization.snapshot)
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert (organization.api.writes, organization.snapshot) == ([], before)


def test_channels_and_rules_without_a_name_are_left_alone(organization):
    api = organization.api
    api.channels.append({"id": "sys_1", "type": "in_app", "enabled": True, "config": {}})
    api.rules.append({**api.rules[0], "id": "sys_2", "name": None})
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    organization.take()
    organization.rule("Both")["enabled"] = False
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert (len(api.channels), len(api.rules)) == (3, 3)


def test_a_secret_inside_a_mapping_stays_and_is_named(organization):
    headers = {"Authorization": "Bearer 5ecret", "Accept": "text/plain"}
    organization.channel("Hook")["config"] = {"url": "****", "headers": headers}
    organization.take()
    assert "5ecret" not in str(organization.snapshot)
    report = organization.roll_back()
    assert report["unrestored"] == [] and len(report["notes"]) == 1
    assert "Hook.headers, Hook.url" in report["notes"][0]


def test_all_that_a_snapshot_is_about(organization):
    api, before = organization.api, organization.facts()
    api.settings["require_sso"] = True
    api.objects["session-timeout"]["idle_timeout_minutes"] = 5
    api.objects["settings/log-retention"]["audit_logs_days"] = 999
    api.entries[:] = [{**api.entries[1], "label": "Now it has one"}]
    api.enabled = True
    organization.channel("Mail")["config"] = {"recipients": []}
    organization.channel("Hook")["enabled"] = False
    organization.rule("Both").update(event="other", filters={}, enabled=False)
    new = api.add_channel("New")
    api.add_rule("Later", [new])
    assert organization.roll_back() == {
        "notes": [
            SECRETS,
            "The notification rule 'Later' is newer than the snapshot and is disabled, since the API cannot delete it.",
        ],
        "unrestored": [],
    }
    after = organization.facts()
    assert organization.rule("Later")["enabled"] is False
    after["notification_rules"] = [
        rule
        for name in ("Both", "Hooked")
        for rule in after["notification_rules"]
        if rule["name"] == name
    ]
    for facts in (before, after):
        for entry in facts["ip_whitelist"]["entries"]:
            del entry["id"], entry["created_at"]
            entry["label"] = entry["label"] or None
    assert after == before


def test_a_channel_that_only_the_user_can_make_again(organization):
    organization.api.channels[:] = []
    organization.rule("Both")["enabled"] = False
    report = organization.roll_back()
    assert report == {
        "notes": [],
        "unrestored": [
            GONE,
            "The notification rule 'Both' is restored without the notification channel 'Hook'.",
            "The notification rule 'Hooked' stays as it is, since it sends only through the notification channel 'Hook'.",
        ],
    }
    assert [channel["name"] for channel in organization.api.channels] == ["Mail"]
    assert (
        organization.names_of("Both"),
        organization.rule("Both")["enabled"],
        organization.names_of("Hooked"),
    ) == (["Mail"], True, ["gone"])
    # With the secret in the place of its placeholder everything is back.
    organization.require("notification_channels")["present"][1]["secret_config"]["url"] = (
        "https://example.com"
    )
    assert organization.roll_back() == {"notes": [], "unrestored": []}
    assert (organization.names_of("Both"), organization.names_of("Hooked")) == (
        ["Mail", "Hook"],
        ["Hook"],
    )
    assert organization.channel("Hook")["config"] == {
        "method": "POST",
        "url": "https://example.com",
    }


def test_a_channel_that_cannot_be_updated_keeps_nothing_else_from_it(organization):
    organization.channel("Hook")["config"]["method"] = "GET"
    organization.channel("Mail")["enabled"] = False
    assert organization.roll_back()["unrestored"] == [
        "The notification channel 'Hook' cannot be updated: its config is sent whole, and the API hides url; give url in secret_config."
    ]
    assert organization.channel("Mail")["enabled"] is True


def test_a_channel_of_another_type(organization):
    """It is made again, unless a secret is needed for that; then it is not taken for a new one."""
    organization.channel("Mail").update(type="slack", config={})
    organization.channel("Hook").update(type="pagerduty", config={})
    organization.rule("Both")["enabled"] = False
    organization.require("notification_rules")["present"][0]["enabled"] = False
    report = organization.roll_back()
    (left,) = report["unrestored"]
    assert left.startswith(
        "The notification channel 'Hook' is now of type 'pagerduty' and cannot be created again as 'webhook', since the snapshot lacks"
    )
    assert report["notes"] == []
    assert [(channel["name"], channel["type"]) for channel in organization.api.channels] == [
        ("Hook", "pagerduty"),
        ("Mail", "email"),
    ]
    assert organization.names_of("Both") == ["Mail", "Hook"]


def test_what_is_not_in_the_snapshot_and_stays(organization):
    """A server may have new fields by now, and writes merge mappings."""
    organization.api.more_settings["feature_flags"] = {"lineage_v2": True, "new": False}
    organization.api.settings |= {"theme": "dark", "nothing": None}
    organization.require("settings")["feature_flags"] = {"lineage_v2": True}
    organization.channel("Mail")["config"]["cc"] = ["b@example.com"]
    assert organization.roll_back() == {
        "notes": [
            SECRETS,
            "Settings: theme is not in the snapshot and stays.",
            "Settings: feature_flags.new is not in the snapshot and stays.",
            "Notification channel 'Mail': cc of its config is not in the snapshot and stays.",
        ],
        "unrestored": [],
    }


def test_a_secret_that_the_user_put_into_the_snapshot(organization):
    """It is not compared where the channel is there, and that is told as for any other."""
    organization.require("notification_channels")["present"][1]["secret_config"]["url"] = (
        "https://example.com"
    )
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert organization.channel("Hook")["config"]["url"] == "http****"


def test_a_mapping_that_was_empty(organization):
    """No write makes it so again, which keeps nothing else from its way back."""
    organization.api.more_settings["feature_flags"] = {}
    organization.take()
    organization.api.more_settings["feature_flags"] = {"lineage_v2": True}
    organization.api.settings["default_timezone"] = "Etc/GMT"
    assert organization.roll_back()["unrestored"] == [
        "Settings: feature_flags was empty in the snapshot and is not empty now. A write cannot remove its values."
    ]
    assert organization.api.settings["default_timezone"] != "Etc/GMT"


def test_nothing_but_a_mapping_that_was_empty(organization):
    """What is left of a mapping, or of all settings, without it, asks for nothing."""
    organization.api.more_settings["feature_flags"] = {"nested": {"new": True}, "other": 1}
    held: dict[str, t.Any]
    for held in ({"nested": {}}, {"nested": {}, "other": 1}):
        organization.snapshot["controls"] = [
            {"resource": "settings", "require": {"feature_flags": held}}
        ]
        facts = organization.facts()
        controls = rollback_controls(organization.snapshot, facts)
        assert [control["require"] for control in controls] == (
            [{"feature_flags": {"other": 1}}] if "other" in held else []
        )
        assert rollback_report(organization.snapshot, facts, {"controls": []})["unrestored"] == [
            "Settings: feature_flags.nested was empty in the snapshot and is not empty now. A write cannot remove its values."
        ]


@pytest.mark.parametrize("resource", SUBSETS)
def test_what_the_key_may_no_longer_read_keeps_nothing_else_from_it(organization, resource):
    facts = organization.facts()
    del facts[resource]
    controls = rollback_controls(organization.snapshot, facts)
    assert {control["resource"] for control in controls} == set(SUBSETS)
    assert next(control for control in controls if control["resource"] == resource)[
        "require"
    ] == organization.require(resource)


def test_the_snapshot_of_another_organization(organization):
    facts = {**organization.facts(), "organization": {"id": "org_2", "name": "Globex"}}
    for taken in ({}, None, {"id": "org_2", "name": "Another name"}):
        assert rollback_controls({**organization.snapshot, "organization": taken}, facts)
    with pytest.raises(
        AnsibleFilterError,
        match=r"no snapshot of this organization: it was taken of Acme \(org_1\), and this is Globex \(org_2\)",
    ):
        rollback_controls(
            {**organization.snapshot, "organization": {"id": "org_1", "name": "Acme"}}, facts
        )


def test_an_id_that_was_spelled_otherwise_when_the_snapshot_was_taken(organization):
    facts = {**organization.facts(), "organization": {"id": 43, "name": "Acme"}}
    taken = {"id": "43", "name": "Acme"}
    assert rollback_controls({**organization.snapshot, "organization": taken}, facts)


def test_a_type_that_the_api_spells_otherwise_by_now(organization):
    organization.channel("Hook")["type"] = "Web-Hook"
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert organization.api.writes == []


def test_single_sign_on_that_the_plan_no_longer_has(organization):
    organization.api.settings["require_sso"] = True
    organization.take()
    organization.api.objects["features"] = {"features": []}
    organization.api.settings["default_timezone"] = "Etc/GMT"
    assert organization.roll_back()["unrestored"] == []
    organization.api.settings |= {"require_sso": False, "default_timezone": "Etc/GMT"}
    assert organization.roll_back()["unrestored"] == [
        "single sign-on is not among the features of the organization's plan"
    ]
    assert organization.api.settings["default_timezone"] != "Etc/GMT"


def test_the_lockout_guard(organization):
    """Everything else is put back, and with the addresses, or against the guard, the allowlist is, too."""
    organization.api.enabled = True
    organization.take()
    organization.api.objects["session-timeout"]["idle_timeout_minutes"] = 5
    organization.api.add_entry("192.0.2.0/24")
    (left,) = organization.roll_back()["unrestored"]
    assert "Set protected_addresses to the addresses that must keep access" in left
    assert organization.api.objects["session-timeout"]["idle_timeout_minutes"] == 60
    (left,) = organization.roll_back(protected_addresses=["192.0.2.1"])["unrestored"]
    assert "would lock out 192.0.2.1" in left
    assert len(organization.api.entries) == 3
    assert organization.roll_back(protected_addresses=["203.0.113.7"])["unrestored"] == []
    assert len(organization.api.entries) == 2
    organization.api.add_entry("192.0.2.0/24")
    assert organization.roll_back(allow_lockout=True)["unrestored"] == []


def test_a_network_that_was_listed_twice(organization):
    organization.api.add_entry("203.0.113.0/24")
    organization.take()
    assert organization.roll_back() == {
        "notes": [
            SECRETS,
            "IP allowlist: 203.0.113.0/24 is listed more than once in the snapshot, and once is enough.",
        ],
        "unrestored": [],
    }
    assert [(entry["cidr"], entry["label"]) for entry in organization.api.entries] == [
        ("203.0.113.0/24", "Office"),
        ("2001:db8::/32", None),
    ]


def test_namesakes(organization):
    """Nobody can tell which is which, so they stay, and everything else is put back."""
    organization.api.add_channel("Mail", "slack")
    mail = organization.channel("Mail")["id"]
    organization.api.add_rule("Twice", [mail], event="one")
    organization.api.add_rule("Twice", [mail], event="other")
    organization.rule("Both")["channel_ids"] = [organization.channel("Hook")["id"]]
    organization.take()
    organization.rule("Both")["event"] = "different"
    (left,) = organization.roll_back()["unrestored"]
    assert left.startswith("Several notification channels are named 'Mail'")
    assert organization.rule("Both")["event"] == "pipeline.run.failed"
    organization.rule("Twice")["enabled"] = False
    first, *others = organization.roll_back()["unrestored"]
    assert (first, len(others)) == (
        "Several notification rules are named 'Twice' in the snapshot, so they stay as they are.",
        1,
    )
    assert [channel["name"] for channel in organization.api.channels] == ["Mail", "Hook", "Mail"]


def test_a_snapshot_that_somebody_edited(organization):
    """What is taken out of it is left alone, newer rules included."""
    organization.snapshot["controls"] = [
        {"resource": "session_timeout", "require": {"idle_timeout_minutes": 10}}
    ]
    organization.api.add_rule("Later")
    report = organization.roll_back()
    assert report["unrestored"] == []
    assert organization.rule("Later")["enabled"] is True
    assert organization.api.objects["session-timeout"]["idle_timeout_minutes"] == 10


@pytest.mark.parametrize(
    ("snapshot", "complaint"),
    [
        pytest.param(
            None,
            "the input is no snapshot of this organization: it is no mapping with a list of controls",
            id="empty-file",
        ),
        pytest.param(
            {"controls": []}, "it is no mapping with a list of controls", id="no-controls"
        ),
        pytest.param(
            {"controls": ["settings"]},
            "each of its controls must have resource and require",
            id="text",
        ),
        pytest.param(
            {"controls": [{"resource": "settings", "require": []}]},
            "each of its controls must have resource and require",
            id="require",
        ),
        pytest.param(
            {"controls": [{"resource": "notification_rules", "require": {"present": [{}]}}]},
            "present of notification_rules must be a list of mappings that have name",
            id="nameless",
        ),
        pytest.param(
            {"controls": [{"resource": "ip_whitelist", "require": {"entries": "all"}}]},
            "entries of ip_whitelist must be a list of mappings that have cidr",
            id="entries",
        ),
    ],
)
def test_what_is_no_snapshot(organization, snapshot, complaint):
    with pytest.raises(AnsibleFilterError, match=complaint):
        rollback_controls(snapshot, organization.facts())
    with pytest.raises(AnsibleFilterError, match=f"rollback_report: .*{complaint}"):
        rollback_report(snapshot, organization.facts(), {})


def test_what_is_no_organization_or_no_result(organization):
    with pytest.raises(
        AnsibleFilterError,
        match="rollback_controls: the facts are not what planasonix_info returns",
    ):
        rollback_controls(organization.snapshot, [])
    with pytest.raises(
        AnsibleFilterError,
        match="rollback_report: the result is not what planasonix_baseline returns",
    ):
        rollback_report(organization.snapshot, organization.facts(), {"failed": True})


@pytest.mark.parametrize(("check_mode", "left"), [(True, []), (False, ["it is not so"])])
def test_what_is_still_not_met_is_told_whatever_the_reason(organization, check_mode, left):
    control = {"id": "A", "status": "fail", "detail": "it is not so", "remediable": True}
    control |= {"unremedied": [], "waiver": None}
    assert (
        rollback_report(
            organization.snapshot, organization.facts(), {"controls": [control]}, check_mode
        )["unrestored"]
        == left
    )


def test_a_newer_rule_whose_channels_are_gone_does_not_stop_the_rest(organization):
    """An API may refuse a rule with an unknown channel. One with another channel does without."""
    api = organization.api
    mail = organization.channel("Mail")["id"]
    api.objects["session-timeout"]["idle_timeout_minutes"] = 7
    api.add_rule("Lost", ["nch_gone", "nch_away"])
    api.add_rule("Half", ["nch_gone", mail])
    api.add_rule("Without", [])
    answer = api.answer
    api.answer = lambda method, path, body: (
        (422, {"error": {"code": "unknown_channel", "message": "no such channel"}})
        if method == "POST" and "nch_gone" in (body or {}).get("channel_ids", [])
        else answer(method, path, body)
    )
    facts = organization.facts()
    controls = rollback_controls(organization.snapshot, facts)
    results = [perform(api, planasonix_baseline.MODULE, controls=controls) for _run in range(2)]
    assert [result["changed"] for result in results] == [True, False]
    assert "failed" not in results[0], results[0]["msg"]
    (left,) = rollback_report(organization.snapshot, facts, results[0], False)["unrestored"]
    assert "names nch_gone, nch_away, a channel that no longer exists" in left
    assert [organization.rule(name)["enabled"] for name in ("Lost", "Half", "Without")] == [
        True,
        False,
        False,
    ]
    assert organization.names_of("Half") == ["Mail"]
    assert api.objects["session-timeout"]["idle_timeout_minutes"] == 60


@pytest.mark.parametrize("name", [None, ""])
def test_what_has_no_name_is_left_out_with_a_note(organization, name):
    """It neither spoils the snapshot nor is removed by the way back to it."""
    api = organization.api
    system = api.add_channel("System")
    organization.channel("System")["name"] = name
    api.add_rule("Uses it", [system])
    unnamed = api.add_rule("Nameless")
    organization.rule("Nameless")["name"] = name
    facts = organization.facts()
    organization.snapshot = snapshot(facts)
    assert organization.snapshot["notes"] == [
        f"The notification channel {system} has no name and is left out.",
        f"The notification rule {unnamed} has no name and is left out.",
    ]
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert api.writes == []
    api.add_channel("Newer")
    organization.rule("Uses it")["enabled"] = False
    assert organization.roll_back()["unrestored"] == []
    assert organization.rule("Uses it") == {
        **organization.rule("Uses it"),
        "enabled": True,
        "channel_ids": [system],
    }
    assert {channel["name"] for channel in api.channels} == {name, "Mail", "Hook"}


UNLIMITED = (
    "Session timeout: absolute_timeout_minutes is {}, which may mean no limit, and is left out."
)


@pytest.mark.parametrize("number", [0, -1, "0"])
def test_a_number_that_may_mean_no_limit_is_left_out_with_a_note(organization, number):
    """Alone, so that the rest is restored, and harden does not change it either."""
    timeout = organization.api.objects["session-timeout"]
    timeout["absolute_timeout_minutes"] = number
    idle = timeout["idle_timeout_minutes"]
    organization.api.objects["settings/log-retention"]["audit_logs_days"] = -1
    organization.snapshot = snapshot(organization.facts())
    shown = f'"{number}"' if isinstance(number, str) else number
    assert organization.snapshot["notes"] == [
        UNLIMITED.format(shown),
        "Log retention: audit_logs_days is -1, which may mean no limit, and is left out.",
    ]
    timeout["idle_timeout_minutes"] = 5
    assert organization.roll_back() == {
        "notes": [
            SECRETS,
            "Session timeout: absolute_timeout_minutes is not in the snapshot and stays.",
            "Log retention: audit_logs_days is not in the snapshot and stays.",
        ],
        "unrestored": [],
    }
    assert timeout["idle_timeout_minutes"] == idle
    assert timeout["absolute_timeout_minutes"] == number


@pytest.mark.parametrize("event", ["", " ", {}])
def test_a_rule_whose_event_no_task_can_write_is_restored_without_it(organization, event):
    """No rule can be deleted, so it must not keep the organization from being hardened."""
    organization.rule("Both")["event"] = event
    organization.snapshot = snapshot(organization.facts())
    assert organization.snapshot["notes"] == [
        "The notification rule 'Both': event is not as documented, and is left out."
    ]
    organization.rule("Both")["enabled"] = False
    assert organization.roll_back()["unrestored"] == []
    rule = organization.rule("Both")
    assert (rule["enabled"], rule["event"]) == (True, event)


def test_names_of_two_spellings_are_namesakes(organization):
    """The API may tell composed and decomposed characters apart; tasks do not."""
    organization.api.add_channel("Caf\u00e9")
    organization.api.add_channel("Cafe\u0301")
    facts = organization.facts()
    assert "notes" not in snapshot(facts)
    (channels,) = (
        control
        for control in rollback_controls(snapshot(facts), facts)
        if control["require"].get("purge") and "present" in control["require"]
    )
    assert channels["require"]["present"] == [
        {"name": "Mail"},
        {"name": "Hook"},
        {"name": "Caf\u00e9"},
    ]


def test_an_entry_that_cannot_be_restored_is_left_out_with_a_note(organization):
    """Nothing is removed from its list then, since it could be what is removed."""
    facts = organization.facts()
    facts["ip_whitelist"]["entries"].append({"cidr": "office", "label": "Office"})
    organization.snapshot = snapshot(facts)
    notes = organization.snapshot["notes"]
    assert notes[0].startswith("The IP allowlist entry 'office' is left out. ")
    assert notes[1:] == [
        "A rollback removes no IP allowlist entry that is newer than the snapshot."
    ]
    assert organization.require("ip_whitelist") == {
        "enabled": facts["ip_whitelist"]["enabled"],
        "entries": [{"cidr": "203.0.113.0/24", "label": "Office"}, {"cidr": "2001:db8::/32"}],
    }


def test_a_value_that_cannot_be_restored_leaves_its_object_in_the_snapshot(organization):
    """Of a channel that is not in it, a rollback would think that it is newer, and remove it."""
    facts = organization.facts()
    facts["notification_channels"][0]["config"] = {"half": "\ud800"}
    facts["settings"]["odd"] = {"at_least": "many"}
    organization.snapshot = snapshot(facts)
    assert [note.split(" is left out. ")[0] for note in organization.snapshot["notes"]] == [
        "Settings: odd",
        "The notification channel 'Mail': config",
    ]
    assert {"name": "Mail", "type": "email", "enabled": True} in organization.require(
        "notification_channels"
    )["present"]
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert organization.api.writes == []


def test_a_state_of_which_nothing_can_be_restored_is_refused(organization):
    facts = organization.facts()
    for name in ("settings", "log_retention"):
        facts[name] = {}
    facts["session_timeout"] = {"idle_timeout_minutes": 0}
    unavailable = ["ip_whitelist", "notification_channels", "notification_rules"]
    with pytest.raises(AnsibleFilterError) as raised:
        snapshot(facts, unavailable)
    assert str(raised.value) == (
        "snapshot: nothing could be restored from this state: "
        "Session timeout: idle_timeout_minutes is 0, which may mean no limit, and is left out."
    )


BIDI = "Acme\u202egnp\x1b[31m"
VISIBLE = r"Acme\u202egnp\u001b[31m"


def test_control_characters_of_the_api_are_visible_in_all_that_is_displayed(organization):
    """Who administers an organization names it, its channels and its rules."""
    api = organization.api
    api.add_channel(BIDI, "webhook", config={"url": "http****", BIDI: 1})
    taken = {
        "organization": {"id": "o1", "name": BIDI},
        "controls": export_controls(organization.facts()),
    }
    facts = {**organization.facts(), "organization": {"id": "o2", "name": BIDI}}
    with pytest.raises(AnsibleFilterError) as raised:
        rollback_controls(taken, facts)
    organization.take()
    organization.channel(BIDI)["config"][f"{BIDI}2"] = 2
    stayed = organization.roll_back()
    api.channels.remove(organization.channel(BIDI))
    gone = organization.roll_back()
    organization.channel("Mail")["id"] = BIDI
    organization.channel("Mail")["name"] = None
    noted = snapshot(organization.facts())["notes"]
    for text in (str(raised.value), *stayed["notes"][1:], *gone["unrestored"], *noted):
        assert VISIBLE in text and BIDI not in text
    assert BIDI not in stayed["notes"][0] and len(stayed["notes"]) == 2


EVIL = "{{ lookup('ansible.builtin.pipe', 'x') }} {% if %} {# 100 % #} cut \ud83d"


def test_texts_that_look_like_templates_are_escaped_and_restored(organization):
    """In names, in keys and in values. What the filter returns is escaped as well."""
    api = organization.api
    channel = api.add_channel(EVIL, "email", config={EVIL: {EVIL: [EVIL]}})
    api.add_rule(EVIL, [channel], filters={EVIL: EVIL})
    facts = organization.facts()
    organization.snapshot = snapshot({**facts, "organization": {"id": "o", "name": EVIL}})
    for value in (organization.snapshot, rollback_controls(organization.snapshot, facts)):
        text = str(value)
        assert not any(mark in text for mark in ("{{ ", "{% ", "{# ", "\ud83d"))
        assert "ESCAPED:%7B%7B lookup(" in text
    before = copy.deepcopy((api.channels, api.rules))
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert (api.channels, api.rules) == before and api.writes == []
    organization.channel(EVIL)["config"] = {EVIL: {EVIL: []}}
    organization.rule(EVIL)["filters"] = {}
    assert organization.roll_back() == {"notes": [SECRETS], "unrestored": []}
    assert organization.channel(EVIL)["config"] == before[0][-1]["config"]
    assert organization.rule(EVIL)["filters"] == {EVIL: EVIL}
