# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels on APIs that hide, normalize, delay, mark or lose what they are given."""

from __future__ import annotations

import copy
import json
import typing as t
import unicodedata

import pytest
from unit.plugins.fake_api import FakeApi, Values, error, perform, perform_both

from ansible_collections.planasonix.admin.plugins.modules.planasonix_notification_channel import (
    MODULE,
)

POST = "POST /api/notifications/channels"
PUT = "PUT /api/notifications/channels/nch_1"
TEST = "POST /api/notifications/channels/nch_1/test"
SECRET = "https://hooks.example.com/T1/5ecret"
LEFT_OUT = object()


class VariantApi(FakeApi):
    """An API that shows and stores channels in its own way.

    :ivar show: Makes of a stored channel what the list shows; ``None`` leaves it out.
    :ivar store: Makes of a body what is stored.
    :ivar lag: For how many reads of the list a write does not show.
    :ivar replaces: Whether a PUT replaces the config, and loses it if the body has none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.show: t.Callable[[Values], Values | None] = lambda channel: channel
        self.store: t.Callable[[Values], Values] = lambda body: body
        self.lag = 0
        self.replaces = False
        self.stale: list[list[Values]] = []
        self.answers_nothing = False

    def _channel(self, method: str, path: list[t.Any], body: t.Any) -> tuple[int, t.Any]:
        if method == "GET":
            channels = self.stale.pop(0) if self.stale else copy.deepcopy(self.channels)
            return 200, [shown for shown in map(self.show, channels) if shown is not None]
        before = copy.deepcopy(self.channels)
        if body:
            body = self.store(body)
        if method == "PUT" and self.replaces and "config" not in body:
            body = {**body, "config": {}}
        result = super()._channel(method, path, body)
        if path[-1:] != ["test"]:
            self.stale = [before] * self.lag
        return (204, None) if self.answers_nothing and method == "POST" else result


def api_with(kind: str = "webhook", name: t.Any = "Alerts", **more: t.Any) -> VariantApi:
    api = VariantApi()
    api.add_channel(name, kind, **more)
    return api


def hide(value: t.Any, *keys: str) -> t.Callable[[Values], Values]:
    """Return what shows keys of the config as another value, or leaves them out."""

    def show(channel: Values) -> Values:
        config = dict(channel["config"])
        for key in set(keys) & config.keys():
            config[key] = value
            if value is LEFT_OUT:
                del config[key]
        return {**channel, "config": config}

    return show


# A secret is never overwritten by what the API shows instead of it.

HIDDEN = [
    "****",
    "\u2022\u2022\u2022\u2022",
    "**",
    "[REDACTED]",
    "REDACTED",
    "<hidden>",
    "hidden",
    "masked",
    "xxxxxxxx",
    "https://\u2026",
    "https://...",
    "...",
    "\u2026cr3t",
    "cr3t",
    "sha256:1f2e3d4c",
    "\u25cf\u25cf\u25cf\u25cf",
    "\uff0a\uff0a\uff0a\uff0a",
    {"set": True},
    True,
    None,
    "",
    LEFT_OUT,
    SECRET,
]


@pytest.mark.parametrize("shown", HIDDEN, ids=repr)
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("webhook", "url"),
        ("slack", "webhook_url"),
        ("teams", "webhook_url"),
        ("pagerduty", "routing_key"),
        ("custom", "api_key"),
        ("custom", "signing_secret"),
    ],
)
@pytest.mark.parametrize("replaces", [True, False], ids=["replaces", "merges"])
def test_a_secret_is_never_sent_back(kind, key, shown, replaces):
    api = api_with(kind, config={"method": "POST", key: SECRET})
    api.show, api.replaces = hide(shown, key), replaces
    for check_mode in (True, False):
        result = perform(api, MODULE, check_mode, name="Alerts", config={"method": "PUT"})
        assert (result["failed"], result["changed"], api.writes) == (True, False, [])
        assert "secret_config" in result["msg"]
        assert key in result["msg"] or shown is LEFT_OUT
        assert "5ecret" not in json.dumps(result)
    result = perform_both(
        api, MODULE, name="Alerts", config={"method": "PUT"}, secret_config={key: SECRET}
    )
    assert result["changed"] and "5ecret" not in json.dumps(result)
    assert api.channels[0]["config"] == {"method": "PUT", key: SECRET}
    again = perform(api, MODULE, name="Alerts", config={"method": "PUT"})
    assert not again["changed"] and api.writes == [PUT]


@pytest.mark.parametrize("shown", [value for value in HIDDEN[:18] if value != "cr3t"], ids=repr)
def test_what_looks_hidden_is_not_sent_back_under_any_key(shown):
    api = api_with("email", config={"a": 1, "k": "open"})
    api.show = hide(shown, "k")
    result = perform(api, MODULE, name="Alerts", config={"a": 2})
    assert "give k in secret_config" in result["msg"] and api.writes == []
    assert perform(api, MODULE, name="Alerts", config={"a": 2, "k": "open"})["changed"]
    assert api.channels[0]["config"] == {"a": 2, "k": "open"}


@pytest.mark.parametrize("kind", ["email", "in_app", "In-App", "sms"])
def test_a_channel_of_a_type_without_secrets_needs_none(kind):
    api = api_with(kind, config={"recipients": ["a@example.com"], "severity_filter": []})
    assert perform_both(api, MODULE, name="Alerts", config={"recipients": ["b@example.com"]})[
        "changed"
    ]


def test_an_empty_secret_config_says_that_there_is_no_secret():
    api = api_with("slack", config={"workspace": "acme", "channel": "C1"})
    task: dict = {"name": "Alerts", "config": {"channel": "C2"}}
    refused = perform(api, MODULE, **task)
    assert "set secret_config: {} if there is none" in refused["msg"] and api.writes == []
    assert perform_both(api, MODULE, **task, secret_config={})["changed"]
    assert api.channels[0]["config"] == {"workspace": "acme", "channel": "C2"}


def test_secrets_in_mappings_and_lists():
    config = {
        "method": "POST",
        "headers": {"Authorization": "Bearer 5ecret", "Accept": "text/plain"},
        "pairs": [{"name": "X-Api-Key", "value": "5ecret"}],
    }
    api = api_with(config=config)
    refused = perform(api, MODULE, name="Alerts", config={"method": "PUT"})
    assert "give headers.Authorization, pairs in secret_config" in refused["msg"]
    result = perform_both(
        api,
        MODULE,
        name="Alerts",
        config={"method": "PUT"},
        secret_config={"headers": {"Authorization": "Bearer 5ecret"}, "pairs": config["pairs"]},
    )
    assert api.channels[0]["config"] == {**config, "method": "PUT"}
    assert result["channel"]["config"] == {"method": "PUT", "headers": {"Accept": "text/plain"}}


@pytest.mark.parametrize("options", [{}, {"enabled": False}, {"test": "always"}])
def test_a_secret_that_the_api_shows_is_not_in_the_result(options):
    api = api_with(config={"method": "POST", "url": SECRET})
    result = perform_both(api, MODULE, name="Alerts", **options)
    assert "5ecret" not in json.dumps(result)
    assert result["channel"]["config"] == {"method": "POST"}


def test_the_diff_of_a_secret_in_config_names_its_key_alone():
    api = api_with(config={"url": SECRET})
    result = perform_both(api, MODULE, name="Alerts", config={"url": SECRET + "/new"})
    assert result["msg"] == "notification channel 'Alerts': config.url changed"
    assert "5ecret" not in json.dumps(result)


def test_the_diff_of_a_secret_deep_in_config_names_its_key_alone():
    api = api_with(config={"headers": {"Authorization": "Bearer old 5ecret"}})
    task: dict = {"name": "Alerts", "config": {"headers": {"Authorization": "Bearer new 5ecret"}}}
    result = perform_both(api, MODULE, **task)
    assert result["msg"] == "notification channel 'Alerts': config.headers changed"
    assert "5ecret" not in json.dumps(result)
    assert not perform(api, MODULE, **task)["changed"]


def test_a_placeholder_in_config_is_refused():
    result = perform(api_with(), MODULE, name="Alerts", config={"url": "PLACEHOLDER:Alerts.url"})
    assert "put it in secret_config" in result["msg"]


@pytest.mark.parametrize("secret", ["", "  ", {"a": ""}])
def test_an_empty_secret_is_an_unset_variable(secret):
    result = perform(api_with(), MODULE, name="Alerts", secret_config={"url": secret})
    assert "is empty; is the variable that it comes from set?" in result["msg"]


def test_a_placeholder_keeps_the_secret_and_creates_nothing():
    api = api_with(config={"method": "POST", "url": SECRET})
    api.show = hide("****", "url")
    secrets = {"url": "PLACEHOLDER:Alerts.url"}
    assert not perform_both(api, MODULE, name="Alerts", secret_config=secrets)["changed"]
    for more in ({"config": {"method": "PUT"}}, {"update_secrets": "always"}):
        refused = perform(api, MODULE, name="Alerts", secret_config=secrets, **more)
        assert "give url in secret_config" in refused["msg"]
    for check_mode in (True, False):
        refused = perform(
            api, MODULE, check_mode, name="New", type="webhook", secret_config=secrets
        )
        assert "is to be made, and url in its secret_config is a placeholder" in refused["msg"]
    assert perform(api, MODULE, name="Alerts", secret_config=secrets, enabled=False)["changed"]
    assert api.channels[0]["config"]["url"] == SECRET


# A PUT without config that loses it.


def test_a_config_that_an_update_lost_is_restored_and_reported():
    api = api_with("slack", config={"workspace": "acme", "channel": "C1"})
    api.replaces = True
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert (result["failed"], result["changed"], api.writes) == (True, True, [PUT, PUT])
    assert result["msg"] == (
        "The update of the notification channel 'Alerts' also changed config.workspace, "
        "config.channel. Restored: config.workspace, config.channel. A secret that the API does "
        "not show may be lost, too; give it in secret_config with update_secrets: always."
    )
    assert api.channels[0]["config"] == {"workspace": "acme", "channel": "C1"}
    assert not perform(api, MODULE, name="Alerts", enabled=False)["changed"]


def test_a_secret_that_an_update_lost_is_asked_for():
    api = api_with(config={"method": "POST", "url": SECRET})
    api.replaces, api.show = True, hide("****", "url")
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert (
        "Restored: config.method. Not restored: config.url; give this in config and"
        in (result["msg"])
    )
    assert result["lost_config"] == {"method": "POST"}
    assert "5ecret" not in json.dumps(result)
    task: dict = {"name": "Alerts", "config": {"method": "POST"}, "secret_config": {"url": SECRET}}
    assert not perform(api, MODULE, **task)["changed"]
    assert perform(api, MODULE, **task, update_secrets="always")["changed"]
    assert api.channels[0]["config"] == {"method": "POST", "url": SECRET}


@pytest.mark.parametrize("shown", [LEFT_OUT, "****", SECRET], ids=repr)
@pytest.mark.parametrize("config", [{"url": SECRET}, {"method": "POST", "url": SECRET}])
@pytest.mark.parametrize("given", ["config", "secret_config"])
def test_an_update_sends_the_config_along_if_the_task_gives_the_secret(shown, config, given):
    api = api_with(config=config)
    api.replaces, api.show = True, hide(shown, "url")
    task: dict = {"name": "Alerts", "type": "webhook", "enabled": False}
    secrets = {"config": {}, given: {"url": SECRET}}
    if (shown, given) == (SECRET, "config"):
        secrets["secret_config"] = {"token": "t"}
        config = {**config, "token": "t"}
    assert perform_both(api, MODULE, **task, **secrets)["changed"]
    assert api.channels[0]["config"] == config and api.writes == [PUT]
    again = perform(api, MODULE, **task, **secrets)
    assert not again["changed"] and api.writes == [PUT]


CREATIONS = [
    {},
    {"secret_config": {"url": SECRET}},
    {"config": {"method": "POST"}},
    {"config": {"method": "POST"}, "secret_config": {"url": SECRET}},
    {"config": {"url": SECRET}},
]


def config_of(task: Values) -> Values:
    return {**task.get("config", {}), **task.get("secret_config", {})}


@pytest.mark.parametrize("task", CREATIONS, ids=str)
@pytest.mark.parametrize("shown", [LEFT_OUT, "****", SECRET], ids=repr)
@pytest.mark.parametrize("replaced", [False, True])
def test_a_channel_that_is_created_disabled_keeps_its_config(task, shown, replaced):
    api = api_with("slack", config={"channel": "C1"}) if replaced else VariantApi()
    api.replaces, api.show = True, hide(shown, "url")
    task = {"name": "Alerts", "type": "webhook", "enabled": False, "replace": replaced, **task}
    assert perform_both(api, MODULE, **task)["changed"]
    (channel,) = api.channels
    assert (channel["enabled"], channel["config"]) == (False, config_of(task))
    assert not perform(api, MODULE, **task)["changed"]


def refuse_config(api: VariantApi) -> None:
    """Let the API know no config in a PUT."""
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        error(422, "validation_failed")
        if method == "PUT" and "config" in body
        else answer(method, path, body)
    )


@pytest.mark.parametrize("task", CREATIONS, ids=str)
@pytest.mark.parametrize("shown", [LEFT_OUT, "****", SECRET], ids=repr)
def test_an_api_that_refuses_a_config_is_updated_without_it(task, shown):
    api = VariantApi()
    api.show = hide(shown, "url")
    refuse_config(api)
    task = {"name": "Alerts", "type": "webhook", "enabled": False, **task}
    assert perform(api, MODULE, **task)["changed"]
    assert (api.channels[0]["enabled"], api.channels[0]["config"]) == (False, config_of(task))
    assert perform(api, MODULE, **{**task, "enabled": True})["changed"]
    assert (api.channels[0]["enabled"], api.channels[0]["config"]) == (True, config_of(task))


@pytest.mark.parametrize("shown", ["****", SECRET], ids=repr)
@pytest.mark.parametrize("lag", [0, 2])
def test_a_config_that_such_an_api_loses_is_reported(shown, lag):
    api = VariantApi()
    api.replaces, api.show, api.lag = True, hide(shown, "url"), lag
    refuse_config(api)
    task: dict = {"name": "Hook", "type": "webhook", "secret_config": {"url": SECRET}}
    result = perform(api, MODULE, **task, enabled=False)
    assert (result["failed"], result["changed"]) == (True, True)
    assert result["msg"] == (
        "Disabling the new notification channel 'Hook' lost config.url, and the API accepts no "
        "config in an update. Delete the channel, and create it without enabled: false."
    )


def test_a_refusal_of_another_kind_is_not_sent_again():
    api = api_with(config={"url": SECRET}).fail("PUT *", "403 before")
    result = perform(api, MODULE, name="Alerts", enabled=False, secret_config={"url": SECRET})
    assert result["failed"] and api.writes == [PUT]


@pytest.mark.parametrize(
    ("kind", "key"), [("webhook", "give url in"), ("pagerduty", "give routing_key in")]
)
def test_a_hidden_secret_that_may_be_lost_is_named(kind, key):
    api = api_with(kind, config={"method": "POST", "url": SECRET, "routing_key": SECRET})
    api.replaces = True
    api.show = hide(LEFT_OUT, "url", "routing_key")
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert (
        "Restored: config.method. A secret that the API does not show may be lost"
        in (result["msg"])
    )
    assert key in result["msg"]


def test_an_update_that_may_lose_a_secret_without_a_trace_is_warned_of():
    api = api_with(config={"url": SECRET})
    api.show = hide(LEFT_OUT, "url")
    result = perform_both(api, MODULE, name="Alerts", enabled=False)
    assert result["warnings"] == [
        "The API shows no config of the notification channel 'Alerts'. If it replaces the channel "
        "in an update, the secret of the channel is lost. Give url in secret_config to send it "
        "along."
    ]
    for secrets in ({"url": SECRET}, {}):
        more: dict[str, t.Any] = {"secret_config": secrets}
        assert "warnings" not in perform(api, MODULE, name="Alerts", enabled=True, **more)
        assert "warnings" not in perform(api, MODULE, name="Alerts", **more)
        perform(api, MODULE, name="Alerts", enabled=False)


def test_nothing_is_restored_if_nothing_is_known():
    api = api_with(config={"url": SECRET})
    api.replaces, api.show = True, hide("****", "url")
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert "Not restored: config.url" in result["msg"] and api.writes == [PUT]


# What the API shows is compared.


@pytest.mark.parametrize(
    ("key", "stored", "desired"),
    [
        ("routing_key", "e93facc04764012d7bfb002500d5d1a6", "a93facc04764012d7bfb002500d5d1a7"),
        ("webhook_retries", 3, 9),
        ("webhook_retries", 0, 9),
        ("token_ttl", 60.0, 90),
        ("verify_token", False, True),
        ("use_oauth", True, False),
        ("password_login", True, False),
        ("auth", "basic", "bearer"),
        ("url", SECRET, SECRET + "/new"),
        ("subject", "Deploying...", "Done"),
        ("footer", "-----", "end"),
        ("note", "*** ALERT ***", "none"),
        ("note", "last 4 runs", "none"),
        ("headers", {"Accept": "a", "X": "****"}, {"Accept": "b"}),
        ("webhook", {"retries": 3, "url": "****"}, {"retries": 9}),
        ("state", {"set": True}, {"set": False}),
    ],
)
def test_a_visible_value_is_compared(key, stored, desired):
    api = api_with("email", config={key: stored})
    given = {"config": {key: desired}}
    for path in [key] if isinstance(stored, dict) else []:
        hidden = {"headers": {"X": "x"}, "webhook": {"url": "u"}, "state": {}}[path]
        given["secret_config"] = {path: hidden} if hidden else {}
    result = perform_both(api, MODULE, name="Alerts", **given)
    assert result["changed"] and not result.get("failed"), result["msg"]
    assert not perform(api, MODULE, name="Alerts", config={key: desired})["changed"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("url", "****"),
        ("url", LEFT_OUT),
        ("url", None),
        ("url", True),
        ("url", 1234),
        ("url", "cr3t"),
        ("url", "0123456789abcdef" * 2),
        ("url", "https://hooks.example.com/\u2026"),
        ("footer", "[REDACTED]"),
        ("footer", "****1234"),
    ],
    ids=repr,
)
def test_what_cannot_be_compared_is_reported(key, shown):
    api = api_with(config={"method": "POST", key: SECRET})
    api.show = hide(shown, key)
    task: dict = {"name": "Alerts", "config": {"method": "POST", key: "https://other.example.com"}}
    result = perform_both(api, MODULE, **task)
    assert (result["changed"], result["not_compared"]) == (False, [f"config.{key}"])
    assert result["msg"] == (
        f"no change: {key} in the config of the notification channel 'Alerts' cannot be compared, "
        f"since the API may hide the value; to send it, give {key} in secret_config with "
        "update_secrets: always"
    )
    task = {"name": "Alerts", "secret_config": {key: "new"}, "update_secrets": "always"}
    result = perform_both(api, MODULE, **task)
    assert result["changed"] and api.channels[0]["config"][key] == "new"
    assert "not_compared" not in result


def test_what_cannot_be_compared_is_reported_with_a_change():
    api = api_with(config={"url": SECRET, "token": "t"})
    api.show = hide("****", "url", "token")
    result = perform(api, MODULE, name="Alerts", enabled=False, config={"url": SECRET})
    assert "enabled true -> false; url in the config of" in result["msg"]
    assert api.bodies == [{"name": "Alerts", "enabled": False}]


# What a task gives.


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"secret_config": {"url": None}}, "secret_config: url"),
        ({"secret_config": {"url": ""}}, "secret_config: url"),
        ({"secret_config": {"urls": [""]}}, "secret_config: urls"),
        ({"secret_config": {"urls": ["https://a", None]}}, "secret_config: urls"),
        ({"secret_config": {"room": None}}, "secret_config: room"),
        ({"secret_config": {"h": [{"name": "X", "value": ""}]}}, "secret_config: h"),
        ({"secret_config": {"a": {"b": None}}}, "secret_config: a.b"),
        ({"config": {"url": ""}}, "config: url"),
        ({"config": {"url": None}}, "config: url"),
        ({"config": {"headers": {"Authorization": " "}}}, "config: headers.Authorization"),
    ],
    ids=str,
)
@pytest.mark.parametrize("more", [{}, {"update_secrets": "always"}])
@pytest.mark.parametrize("exists", [True, False])
def test_an_unset_variable_is_no_secret(options, keys, more, exists):
    api = api_with(config={"url": SECRET}) if exists else VariantApi()
    result = perform(api, MODULE, name="Alerts", type="webhook", **options, **more)
    assert result["failed"] and api.writes == []
    assert result["msg"] == (
        f"The notification channel 'Alerts' has an empty secret in {keys} is empty; is the "
        "variable that it comes from set?"
    )


ORDINARY = [
    "-----",
    "Deploying...",
    "*** ALERT ***",
    "???",
    "____",
    "XXXX",
    "last 4 runs",
    "<protected branch>",
    "[Hidden] pipelines",
    "(private) ops",
]


@pytest.mark.parametrize("text", ORDINARY)
@pytest.mark.parametrize("given", ["config", "secret_config"])
def test_an_ordinary_text_is_no_mask(text, given):
    api = VariantApi()
    task: dict = {"name": "Mail", "type": "email", given: {"footer": text}}
    assert perform_both(api, MODULE, **task)["changed"]
    assert not perform(api, MODULE, **task)["changed"]
    assert perform(api, MODULE, name="Mail", config={"to": "a"})["changed"]
    assert api.channels[0]["config"] == {"footer": text, "to": "a"}


@pytest.mark.parametrize("text", ["****", "[REDACTED]", "****1234"])
def test_even_a_mask_can_be_written_under_a_key_that_is_no_secret(text):
    api = api_with("email", config={"footer": "old", "to": "a"})
    assert perform_both(api, MODULE, name="Alerts", config={"footer": text})["changed"]
    assert api.channels[0]["config"] == {"footer": text, "to": "a"}
    assert not perform(api, MODULE, name="Alerts", config={"footer": text})["changed"]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"config": {"url": "****"}}, "url"),
        ({"config": {"h": [{"name": "X-Api-Key", "value": "[REDACTED]"}]}}, "h"),
        ({"config": {"webhook": {"value": "****"}}}, "webhook.value"),
        ({"config": {"token": {"set": True}}}, "token"),
        ({"secret_config": {"a": {"word": "****1234"}}}, "a.word"),
    ],
    ids=str,
)
def test_a_mask_instead_of_a_secret_is_refused_by_its_key(options, keys):
    api = api_with()
    result = perform(api, MODULE, name="Alerts", **options)
    assert result["failed"] and api.writes == []
    assert result["msg"] == (
        "The notification channel 'Alerts' must not hold masked values (such as *** or [REDACTED]) "
        f"in {keys}: give the real value, or leave the key out."
    )


def test_nothing_is_restored_over_a_secret_that_is_still_there():
    """The API changes another key at each PUT, and keeps a secret that it does not show."""
    api = api_with(config={"method": "POST", "url": SECRET})
    api.show = hide("****", "url")
    api.observe = lambda: api.channels[0]["config"].update(method="GET")
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert "also changed config.method. Not restored: config.method" in result["msg"]
    assert api.channels[0]["config"]["url"] == SECRET and api.writes == [PUT]


def test_a_type_that_an_update_changed():
    api = api_with("slack")
    api.observe = lambda: api.channels[0].update(type="email")
    assert "also changed type" in perform(api, MODULE, name="Alerts", enabled=False)["msg"]


# Names.


@pytest.mark.parametrize(
    ("name", "stores"),
    [
        pytest.param("On-Call", str.lower, id="lower-case"),
        pytest.param("R&D", lambda name: name.replace("&", "&amp;"), id="escaped"),
        pytest.param("a  b", lambda name: " ".join(name.split()), id="inner-spaces"),
        pytest.param("\ufb01re", lambda name: unicodedata.normalize("NFKC", name), id="nfkc"),
    ],
)
@pytest.mark.parametrize("answers_nothing", [False, True])
def test_a_name_that_the_api_changes_makes_no_channel(name, stores, answers_nothing):
    api = VariantApi()
    api.answers_nothing = answers_nothing
    api.store = lambda body: {**body, "name": stores(body["name"])}
    for _run in range(2):
        result = perform(api, MODULE, name=name, type="email", test="on_change")
        assert result["failed"] and api.channels == []
        assert result["msg"] == (
            f"The API stores the name of a new notification channel as {stores(name)!r}, not "
            f"{name!r}. The channel was deleted again. Write {stores(name)!r} in the task."
        )
    assert not [write for write in api.writes if write.endswith("/test")]


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        pytest.param(" On-call ", "On-call", id="trimmed-in-the-task"),
        pytest.param("On-call", " On-call ", id="spaces-in-the-api"),
        pytest.param("Cafe\u0301", "Caf\u00e9", id="nfd-in-the-task"),
        pytest.param("Caf\u00e9", "Cafe\u0301", id="nfd-in-the-api"),
        pytest.param("43", 43, id="number"),
    ],
)
def test_names_compare_trimmed_and_composed(name, listed):
    api = api_with("email", name=listed)
    assert not perform_both(api, MODULE, name=name, type="email")["changed"]
    assert perform_both(api, MODULE, name=name, enabled=False)["changed"]
    assert api.bodies == [{"name": listed, "enabled": False}]


def test_a_created_name_is_sent_trimmed_and_composed():
    api = VariantApi()
    assert perform_both(api, MODULE, name=" Cafe\u0301 ", type="email")["changed"]
    assert not perform(api, MODULE, name=" Cafe\u0301 ", type="email")["changed"]
    assert [channel["name"] for channel in api.channels] == ["Caf\u00e9"]


def test_a_replaced_channel_that_is_named_otherwise_stays():
    api = api_with("slack")
    api.store = lambda body: {**body, "name": body["name"].lower()}
    result = perform(api, MODULE, name="Alerts", type="email", replace=True)
    assert "The old channel was deleted, and the new one stays." in result["msg"]
    assert [channel["name"] for channel in api.channels] == ["alerts"]


@pytest.mark.parametrize("nameless", [{"name": None}, {"name": ""}, {"name": []}, {}])
def test_a_channel_without_a_name_is_nobody_s(nameless):
    api = api_with("email")
    api.channels.append(
        {"id": "sys_1", "type": "in_app", "enabled": True, "config": {}, **nameless}
    )
    assert perform_both(api, MODULE, name="Alerts", enabled=False)["changed"]
    assert perform(api, MODULE, name="New", type="email")["changed"]
    if "name" in nameless:  # the answer of the simulated PUT has it
        assert perform(api, MODULE, channel_id="sys_1", enabled=False)["changed"]
        assert api.bodies[-1] == {"enabled": False}


@pytest.mark.parametrize("option", ["name", "channel_id", "type"])
def test_an_empty_identifier_is_an_unset_variable(option):
    api = api_with("email")
    result = perform(api, MODULE, **{"name": "Alerts", option: " "})
    assert f"{option} is empty; is the variable that it comes from set?" in result["msg"]


def test_another_run_that_creates_the_same_channel_is_told():
    api = VariantApi()

    def create_another() -> None:
        if len(api.channels) == 1:
            api.add_channel("New", "email")

    api.observe = create_another
    result = perform(api, MODULE, name="New", type="email")
    assert "Several notification channels are named 'New': nch_2, nch_1" in result["msg"]
    assert len(api.channels) == 2


def test_the_word_hidden_may_be_an_ordinary_value():
    api = api_with("email", config={"visibility": "hidden", "deep": {"x": "hidden"}})
    task: dict = {"name": "Alerts", "config": {"visibility": "open", "deep": {"x": "hidden"}}}
    assert perform_both(api, MODULE, **task)["changed"]
    task["config"]["visibility"] = "hidden"
    assert perform_both_after(api, **task)["changed"]


def perform_both_after(api: FakeApi, **task: t.Any) -> Values:
    api.log.clear()
    return perform_both(api, MODULE, **task)


# Ids.


class NumberedApi(VariantApi):
    """An API whose ids of channels are numbers."""

    def _channel(self, method: str, path: list[t.Any], body: t.Any) -> tuple[int, t.Any]:
        return super()._channel(method, list(map(int, path)), body)


def test_integer_ids():
    api = NumberedApi()
    api.channels = [
        {"id": number, "type": "email", "name": name, "enabled": True, "config": {}}
        for number, name in ((46, "Alerts"), (47, "Other"))
    ]
    assert perform_both(api, MODULE, channel_id="46", enabled=False)["changed"]
    api.log.clear()
    assert perform_both(api, MODULE, channel_id="46", name="New")["changed"]
    assert "already the name of 47" in perform(api, MODULE, channel_id="46", name="Other")["msg"]
    api.log.clear()
    assert perform_both(api, MODULE, channel_id="46", state="absent")["changed"]
    assert [channel["id"] for channel in api.channels] == [47]


def test_absent_by_an_id_that_is_not_listed_says_so():
    api = api_with("email")
    result = perform_both(api, MODULE, channel_id="nch_9", state="absent")
    assert not result["changed"]
    assert result["msg"] == "no change: no notification channel has the id 'nch_9'"


def test_a_rule_that_names_channels_by_objects_or_numbers_keeps_its_channel():
    for ids in ([{"id": "nch_1", "name": "Alerts"}], ["nch_1"]):
        api = api_with("email")
        api.add_rule("Failures", ids)
        assert "'Failures' use it" in perform(api, MODULE, name="Alerts", state="absent")["msg"]
        api.rules[0]["enabled"] = "false"
        assert perform(api, MODULE, name="Alerts", state="absent")["changed"]
    api = api_with("email")
    api.add_rule("Failures")
    api.rules[0]["channel_ids"] = "nch_1"
    result = perform(api, MODULE, name="Alerts", state="absent")
    assert "'Failures' has no list of ids in channel_ids" in result["msg"] and api.writes == []


# Late, marked and empty answers.


@pytest.mark.parametrize("lag", [1, 2, 4])
@pytest.mark.parametrize(
    "task",
    [
        pytest.param({"name": "New", "type": "email", "test": "on_change"}, id="create"),
        pytest.param({"name": "New", "type": "email", "enabled": False}, id="create-disabled"),
        pytest.param({"name": "Alerts", "enabled": False}, id="update"),
        pytest.param({"name": "Alerts", "state": "absent"}, id="delete"),
        pytest.param({"name": "Alerts", "type": "email", "replace": True}, id="replace"),
    ],
)
@pytest.mark.parametrize("answers_nothing", [False, True])
def test_a_list_that_lags_is_read_again(lag, task, answers_nothing):
    api = api_with("slack")
    api.lag, api.answers_nothing = lag, answers_nothing
    result = perform(api, MODULE, **task)
    assert (result.get("failed"), result["changed"]) == (None, True), result["msg"]
    assert api.writes.count(POST) == ("type" in task)
    assert sum(api.pauses) < 8
    assert not perform(api, MODULE, **task)["changed"]


def test_a_creation_that_is_answered_and_never_shows_is_not_sent_again():
    api = api_with("slack")
    api.lag, api.answers_nothing = 99, True
    assert perform(api, MODULE, name="New", type="email")["failed"]
    assert api.writes == [POST]


@pytest.mark.parametrize(
    "mark", [{"deleted_at": "2025-01-01T00:00:00Z"}, {"state": "deleted"}, {"status": "removed"}]
)
def test_a_channel_that_is_marked_as_deleted_does_not_count(mark):
    api = api_with("slack", **mark)
    assert not perform(api, MODULE, name="Alerts", state="absent")["changed"]
    assert perform_both(api, MODULE, name="Alerts", type="email")["changed"]

    def mark_deleted(method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if method != "DELETE":
            return answer(method, path, body)
        next(one for one in api.channels if one["id"] == path[2]).update(mark)
        return 204, None

    answer, api.answer = api.answer, mark_deleted  # type: ignore[method-assign]
    assert perform(api, MODULE, name="Alerts", type="slack", replace=True)["changed"]
    assert perform(api, MODULE, name="Alerts", state="absent")["changed"]
    assert not perform(api, MODULE, name="Alerts", state="absent")["changed"]


# Spellings of values.


@pytest.mark.parametrize(
    ("stored", "desired"),
    [
        pytest.param({"to": ["A@Example.com"]}, {"to": ["a@example.com"]}, id="email-case"),
        pytest.param({"to": ["b@x.y", "a@x.y"]}, {"to": ["a@x.y", "b@x.y"]}, id="order"),
        pytest.param({"port": "443"}, {"port": 443}, id="number-as-text"),
        pytest.param({"port": 443.0}, {"port": 443}, id="whole-float"),
        pytest.param({"on": "true"}, {"on": True}, id="boolean-as-text"),
        pytest.param({"a": [{"x": 2}, {"x": 1}]}, {"a": [{"x": 1}, {"x": 2}]}, id="objects"),
        pytest.param('{"a": 1}', {"a": 1}, id="config-as-text"),
        pytest.param({"a": " b "}, {"a": "b"}, id="spaces"),
    ],
)
def test_spellings_that_mean_the_same(stored, desired):
    api = api_with("email", config=stored)
    assert not perform_both(api, MODULE, name="Alerts", config=desired)["changed"]


@pytest.mark.parametrize(
    ("stored", "desired"),
    [
        ({"a": "0123"}, {"a": 123}),
        ({"a": 1}, {"a": True}),
        ({"a": "1"}, {"a": True}),
        ({"a": [{"x": 1}, {"x": 1}]}, {"a": [{"x": 1}, {"x": 2}]}),
        ({"a": "A"}, {"a": "a"}),
    ],
)
def test_spellings_that_do_not(stored, desired):
    api = api_with("email", config=stored)
    assert perform(api, MODULE, name="Alerts", config=desired)["changed"]


@pytest.mark.parametrize("enabled", ["true", 1, "1", "True"])
def test_spellings_of_enabled(enabled):
    api = api_with("email", enabled=enabled)
    assert not perform_both(api, MODULE, name="Alerts", enabled=True)["changed"]
    assert perform_both(api, MODULE, name="Alerts", enabled=False)["changed"]


def test_a_type_in_another_case_is_not_replaced():
    api = api_with("In_App")
    assert not perform_both(api, MODULE, name="Alerts", type="in-app", replace=True)["changed"]


@pytest.mark.parametrize(
    ("field", "value", "task", "message"),
    [
        ("enabled", "on demand", {"enabled": True}, 'has enabled: "on demand"'),
        ("config", ["a"], {"config": {"a": 1}}, "has a config that is no mapping"),
        ("config", "text", {"config": {"a": 1}}, "has a config that is no mapping"),
    ],
)
def test_a_field_of_another_shape_is_named(field, value, task, message):
    api = api_with("email", **{field: value})
    result = perform(api, MODULE, name="Alerts", **task)
    assert message in result["msg"] and api.writes == []
    assert not perform(api, MODULE, name="Alerts")["changed"]


def test_a_config_that_is_text_is_not_sent_back():
    api = api_with("email", config='{"a": 1, "b": 2}')
    result = perform(api, MODULE, name="Alerts", config={"a": 2})
    assert "give b in secret_config" in result["msg"] and api.writes == []


def test_null_is_not_echoed():
    api = api_with("email", enabled=None)
    assert perform(api, MODULE, channel_id="nch_1", name="New")["changed"]
    assert api.bodies == [{"name": "New"}]


def test_a_value_that_the_api_stores_otherwise_is_told_with_both():
    api = VariantApi()
    api.store = lambda body: {
        **body,
        "config": {**body["config"], "method": body["config"]["method"].upper(), "retries": 3},
    }
    task: dict = {"name": "Hook", "type": "email", "test": "on_change"}
    result = perform(api, MODULE, **task, config={"method": "post"})
    assert result["msg"] == (
        'The API stores config.method as "POST"; the task asks for "post": write it as the API '
        "does."
    )
    assert not perform(api, MODULE, **task, config={"method": "POST"})["changed"]
    assert api.writes == [POST]


def test_a_test_is_sent_once_and_after_the_write_shows():
    api = api_with("email")
    api.lag = 3
    result = perform(api, MODULE, name="Alerts", enabled=False, test="on_change")
    assert result["delivery"]["status"] == "queued"
    calls = [method for method, path, _body in api.log]
    assert calls == ["GET", "PUT", "GET", "GET", "GET", "GET", "POST"]


def test_a_test_is_not_sent_where_the_write_does_not_show():
    api = api_with("email").fail("PUT */channels/*", "200 before")
    result = perform(api, MODULE, name="Alerts", enabled=False, test="always")
    assert "shows no effect (enabled true -> false)" in result["msg"]
    assert TEST not in api.writes


def test_a_refused_restoration_says_what_is_lost():
    api = api_with("slack", config={"workspace": "acme"})
    api.replaces = True
    answer = api.answer
    api.answer = lambda method, path, body: (  # type: ignore[method-assign]
        error(422, "no_config")
        if method == "PUT" and "config" in body
        else answer(method, path, body)
    )
    result = perform(api, MODULE, name="Alerts", enabled=False)
    assert "also changed config.workspace. Could not restore the config" in result["msg"]
    assert (result["lost_config"], result["changed"]) == ({"workspace": "acme"}, True)
