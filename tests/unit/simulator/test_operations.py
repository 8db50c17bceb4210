# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the operations do beyond the examples: strict bodies, keys that work and expire, MFA, allowlist, channels, rules."""

from __future__ import annotations

import time

import pyotp
import pytest

KEY = {"name": "Deploy", "scopes": ["pipelines:read"]}
CHANNEL = {
    "type": "slack",
    "name": "Alerts",
    "config": {"channel": "C1", "api_token": "xoxb-1234567890"},
}


def code_of(response):
    return response.json()["error"]["code"]


# ---- strictness


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param(
            "PUT",
            "/api/session-timeout",
            {"idle_timeout_minutes": 30, "colour": "red"},
            id="unknown field",
        ),
        pytest.param(
            "PUT", "/api/session-timeout", {"idle_timeout_minutes": "30"}, id="text for a number"
        ),
        pytest.param(
            "PUT", "/api/session-timeout", {"idle_timeout_minutes": 30.0}, id="float for an integer"
        ),
        pytest.param(
            "PUT", "/api/session-timeout", {"idle_timeout_minutes": True}, id="boolean for a number"
        ),
        pytest.param("PUT", "/api/session-timeout", {"idle_timeout_minutes": None}, id="null"),
        pytest.param("PUT", "/api/session-timeout", {"idle_timeout_minutes": 0}, id="zero minutes"),
        pytest.param(
            "PUT",
            "/api/session-timeout",
            {"idle_timeout_minutes": 1441},
            id="idle above the absolute that is set",
        ),
        pytest.param(
            "PUT", "/api/session-timeout", {"extend_on_activity": "yes"}, id="text for a boolean"
        ),
        pytest.param("PUT", "/api/session-timeout", [], id="list for an object"),
        pytest.param("PUT", "/api/session-timeout", None, id="no body"),
        pytest.param("PUT", "/api/settings/log-retention", {"run_logs_days": 0}, id="zero days"),
        pytest.param(
            "PUT", "/api/user/profile", {"timezone": "Mars/Olympus"}, id="unknown time zone"
        ),
        pytest.param("PUT", "/api/user/profile", {"locale": "English"}, id="no locale"),
        pytest.param("PUT", "/api/user/profile", {"email": "x@example.com"}, id="read-only field"),
        pytest.param("POST", "/api/settings", {"default_timezone": ""}, id="empty time zone"),
        pytest.param(
            "POST",
            "/api/settings",
            {"feature_flags": {"lineage_v2": "on"}},
            id="feature flag that is no boolean",
        ),
        pytest.param("POST", "/api/user/api-keys", {"name": "Deploy"}, id="no scopes"),
        pytest.param("POST", "/api/user/api-keys", {**KEY, "scopes": []}, id="empty scopes"),
        pytest.param(
            "POST", "/api/user/api-keys", {**KEY, "scopes": ["everything"]}, id="no scope"
        ),
        pytest.param(
            "POST", "/api/user/api-keys", {**KEY, "expires_in_days": 0}, id="expired at birth"
        ),
        pytest.param("POST", "/api/user/api-keys", {**KEY, "name": ""}, id="empty name"),
        pytest.param(
            "POST",
            "/api/settings/ip-whitelist",
            {"cidr": "203.0.113.7"},
            id="address without a length",
        ),
        pytest.param(
            "POST", "/api/settings/ip-whitelist", {"cidr": "203.0.113.7/24"}, id="host bits"
        ),
        pytest.param(
            "POST", "/api/settings/ip-whitelist", {"cidr": "203.0.113.0/33"}, id="length above 32"
        ),
        pytest.param(
            "POST", "/api/settings/ip-whitelist", {"cidr": "10.0.0.0/255.0.0.0"}, id="netmask"
        ),
        pytest.param("POST", "/api/settings/ip-whitelist", {"cidr": "office"}, id="no network"),
        pytest.param("POST", "/api/settings/ip-whitelist", {"label": "x"}, id="no cidr"),
        pytest.param(
            "POST", "/api/settings/ip-whitelist/toggle", {"enabled": 1}, id="number for a boolean"
        ),
        pytest.param(
            "POST",
            "/api/notifications/channels",
            {**CHANNEL, "enabled": False},
            id="enabled at creation",
        ),
        pytest.param(
            "POST",
            "/api/notifications/channels",
            {"type": "slack", "name": "Alerts"},
            id="no config",
        ),
        pytest.param(
            "POST", "/api/notifications/channels", {**CHANNEL, "config": []}, id="list for config"
        ),
        pytest.param(
            "POST",
            "/api/notifications/rules",
            {"name": "r", "event": "e", "channel_ids": ["nch_none"]},
            id="unknown channel",
        ),
        pytest.param(
            "POST",
            "/api/notifications/rules",
            {"name": "r", "event": "e", "channel_ids": "nch_none"},
            id="text for a list",
        ),
        pytest.param("POST", "/api/user/mfa/enable", {"method": "sms"}, id="MFA method"),
        pytest.param("PUT", "/api/user-preferences/a", {}, id="no value"),
        pytest.param(
            "PUT", "/api/user-preferences/a", {"value": 1, "key": "a"}, id="key in the body"
        ),
    ],
)
def test_a_body_that_is_not_as_documented_is_refused_and_changes_nothing(
    simulator, call, method, path, body
):
    def state():
        return {
            **simulator.state(),
            "api_keys": len(simulator.state()["api_keys"]),
        }  # last_used_at does change

    before = state()
    response = call(method, path, body)
    assert response.status_code == 422, response.text
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"code", "message", "request_id"}
    assert response.json()["error"]["request_id"] == response.headers["X-Request-Id"]
    assert state() == before


def test_bodies_that_are_not_json(call):
    text = {"Content-Type": "text/plain"}
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"idle_timeout_minutes": 30}'
    assert call("PUT", "/api/session-timeout", data=body, headers=json_type).status_code == 200
    assert call("PUT", "/api/session-timeout", data=body, headers=text).status_code == 415
    assert call("PUT", "/api/session-timeout", data=body).status_code == 415
    assert (
        call("PUT", "/api/session-timeout", data={"idle_timeout_minutes": "30"}).status_code == 415
    )
    for malformed in (b"{", b"idle=30", b'{"idle_timeout_minutes": NaN}', b"\xff"):
        response = call("PUT", "/api/session-timeout", data=malformed, headers=json_type)
        assert (response.status_code, code_of(response)) == (400, "malformed_json")


def test_operations_without_a_body_accept_none(call):
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    assert call("POST", f"/api/notifications/channels/{channel}/test").status_code == 202
    assert (
        call("POST", f"/api/notifications/channels/{channel}/test", {"text": "hello"}).status_code
        == 422
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/user/api-keys/key_none", 404, "not_found"),
        ("DELETE", "/api/settings/ip-whitelist/ipw_none", 404, "not_found"),
        ("POST", "/api/notifications/channels/nch_none/test", 404, "not_found"),
        ("GET", "/api/user-preferences/none", 404, "not_found"),
        ("GET", "/elsewhere", 404, "not_found"),
        ("DELETE", "/api/tier", 405, "method_not_allowed"),
        ("DELETE", "/api/notifications/rules/nrl_1", 404, "not_found"),
    ],
)
def test_what_does_not_exist(call, method, path, status, code):
    response = call(method, path)
    assert (response.status_code, code_of(response)) == (status, code)


def test_unknown_query_parameters_are_ignored(call):
    assert call("GET", "/api/user/api-keys?limit=x&cursor=y&colour=red").json().keys() == {"data"}


# ---- singletons


def test_a_partial_put_is_merged(call):
    call.data("PUT", "/api/session-timeout", {"idle_timeout_minutes": 30})
    call.data("PUT", "/api/session-timeout", {})
    assert call.data("GET", "/api/session-timeout") == {
        "idle_timeout_minutes": 30,
        "absolute_timeout_minutes": 1440,
        "extend_on_activity": True,
    }
    call.data("PUT", "/api/user/profile", {"locale": "de"})
    assert call.data("GET", "/api/user/profile")["display_name"] == "Alex Morgan"


def test_settings_merge_feature_flags_and_know_the_plan(simulator, call, client_of):
    call.data(
        "POST", "/api/settings", {"feature_flags": {"lineage_v2": False}, "data_residency": "eu"}
    )
    assert call.data("GET", "/api/settings/all") == {
        "default_timezone": "UTC",
        "require_sso": False,
        "data_residency": "eu",
        "feature_flags": {"lineage_v2": False, "git_integration": True},
    }
    without_sso = client_of(simulator.keys[2])
    response = without_sso("POST", "/api/settings", {"require_sso": True, "data_residency": "eu"})
    assert (response.status_code, code_of(response)) == (403, "not_entitled")
    assert without_sso.data("GET", "/api/settings")["data_residency"] == "us"
    assert without_sso("POST", "/api/settings", {"require_sso": False}).status_code == 200


def test_preferences_hold_any_json_under_any_key(call):
    for value in (None, 0, [1, {"a": None}], {"b": 1.5}, ""):
        assert (
            call.data("PUT", "/api/user-preferences/a%2Fb c%3F", {"value": value})["key"]
            == "a/b c?"
        )
        assert call.data("GET", "/api/user-preferences/a%2Fb c%3F")["value"] == value
    assert call.data("GET", "/api/user-preferences")["a/b c?"] == ""


def test_password_change_checks_the_current_one(simulator, call):
    change = {"current_password": "wrong", "new_password": "correct horse battery"}
    assert code_of(call("POST", "/api/user/password", change)) == "invalid_password"
    change["current_password"] = simulator.state()["password"]
    assert (
        call("POST", "/api/user/password", {**change, "new_password": "short"}).status_code == 422
    )
    assert call("POST", "/api/user/password", change).status_code == 204
    assert simulator.state()["password"] == "correct horse battery"
    assert call("POST", "/api/user/password", change).status_code == 422


# ---- MFA


def wrong_code(secret):
    """Return a code that no step near now has, so that time passing cannot make it right."""
    near = {pyotp.TOTP(secret).at(time.time() + 30 * step) for step in range(-3, 4)}
    return next(f"{number:06d}" for number in range(10) if f"{number:06d}" not in near)


def test_mfa_from_enrollment_to_its_end(simulator, call):
    password = simulator.state()["password"]
    assert (
        call("POST", "/api/user/mfa/disable", {"password": password, "code": "000000"}).status_code
        == 409
    )
    enrollment = call.data("POST", "/api/user/mfa/enable", {"method": "totp"})
    secret, enrollment_id = enrollment["secret"], enrollment["enrollment_id"]
    assert pyotp.parse_uri(enrollment["otpauth_uri"]).secret == secret
    assert call.data("GET", "/api/user/mfa") == {
        "enabled": False,
        "methods": [],
        "backup_codes_remaining": 0,
    }

    assert (
        code_of(
            call(
                "POST",
                "/api/user/mfa/verify",
                {"enrollment_id": enrollment_id, "code": wrong_code(secret)},
            )
        )
        == "invalid_code"
    )
    assert (
        call(
            "POST", "/api/user/mfa/verify", {"enrollment_id": "mfaenr_none", "code": "000000"}
        ).status_code
        == 404
    )
    long_ago = pyotp.TOTP(secret).at(time.time() - 120)
    if long_ago != pyotp.TOTP(secret).now():
        assert (
            call(
                "POST", "/api/user/mfa/verify", {"enrollment_id": enrollment_id, "code": long_ago}
            ).status_code
            == 422
        )
    verified = call.data(
        "POST",
        "/api/user/mfa/verify",
        {"enrollment_id": enrollment_id, "code": pyotp.TOTP(secret).now()},
    )
    assert call.data("GET", "/api/user/mfa") == {
        "enabled": True,
        "methods": ["totp"],
        "backup_codes_remaining": len(verified["backup_codes"]),
    }
    assert call("POST", "/api/user/mfa/enable", {"method": "totp"}).status_code == 409

    assert (
        code_of(
            call(
                "POST", "/api/user/mfa/disable", {"password": password, "code": wrong_code(secret)}
            )
        )
        == "invalid_code"
    )
    assert (
        code_of(
            call(
                "POST",
                "/api/user/mfa/disable",
                {"password": "wrong", "code": pyotp.TOTP(secret).now()},
            )
        )
        == "invalid_password"
    )
    assert call.data("GET", "/api/user/mfa")["enabled"] is True
    assert (
        call(
            "POST",
            "/api/user/mfa/disable",
            {"password": password, "code": verified["backup_codes"][0]},
        ).status_code
        == 204
    )
    assert call.data("GET", "/api/user/mfa")["enabled"] is False


# ---- API keys


def test_a_new_key_works_within_its_scopes(call, client_of):
    key = call.data("POST", "/api/user/api-keys", KEY)
    assert key["secret"].startswith(key["prefix"])
    assert key["expires_at"] is None
    reader = client_of(key["secret"])
    assert reader.data("GET", "/api/organization")["slug"] == "acme-analytics"
    assert code_of(reader("PUT", "/api/session-timeout", {})) == "insufficient_scope"
    listed = {item["id"]: item for item in call.data("GET", "/api/user/api-keys")}
    assert listed[key["id"]]["last_used_at"] is not None
    admin = client_of(
        call.data("POST", "/api/user/api-keys", {**KEY, "scopes": ["admin:organization"]})["secret"]
    )
    assert admin("PUT", "/api/session-timeout", {}).status_code == 200


def test_a_key_expires(simulator, call, client_of):
    key = call.data("POST", "/api/user/api-keys", {**KEY, "expires_in_days": 2})
    client = client_of(key["secret"])
    simulator.control("clock", {"advance_seconds": 2 * 86400 - 60})
    assert client("GET", "/api/tier").status_code == 200
    simulator.control("clock", {"advance_seconds": 120})
    response = client("GET", "/api/tier")
    assert (response.status_code, code_of(response)) == (401, "api_key_expired")
    assert [item["expires_at"] for item in call.data("GET", "/api/user/api-keys")] == [
        None,
        key["expires_at"],
    ]


def test_a_regenerated_key_has_one_secret_and_a_deleted_one_none(call, client_of):
    key = call.data("POST", "/api/user/api-keys", KEY)
    new = call.data("POST", f"/api/user/api-keys/{key['id']}/regenerate")
    assert client_of(key["secret"])("GET", "/api/tier").status_code == 401
    assert client_of(new["secret"])("GET", "/api/tier").status_code == 200
    assert call("DELETE", f"/api/user/api-keys/{key['id']}").status_code == 204
    response = client_of(new["secret"])("GET", "/api/tier")
    assert (response.status_code, code_of(response)) == (401, "invalid_api_key")
    assert call("DELETE", f"/api/user/api-keys/{key['id']}").status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer ", "Basic {key}", "{key}", "Bearer {key}x", "Bearer  {key}"],
)
def test_a_missing_or_malformed_key_is_401(call, authorization):
    key = call.key
    call.key = ""
    headers = (
        {"Authorization": authorization.format(key=key)}
        if authorization
        else {"X-Planasonix-Api-Key": key}
    )
    response = call("GET", "/api/tier", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_admin_keys_are_listed_and_organizations_are_apart(simulator, client_of):
    prefixes = set()
    for secret in simulator.keys:
        client = client_of(secret)
        (key,) = client.data("GET", "/api/user/api-keys")
        assert (key["name"], key["scopes"]) == ("Administration", ["admin:organization"])
        assert len(secret) >= 24
        assert len(key["prefix"]) >= 14
        assert secret.startswith(key["prefix"])
        prefixes.add(key["prefix"])
    assert len(prefixes) == 3
    channel = client_of(simulator.keys[0]).data("POST", "/api/notifications/channels", CHANNEL)[
        "id"
    ]
    assert (
        client_of(simulator.keys[1])("DELETE", f"/api/notifications/channels/{channel}").status_code
        == 404
    )
    assert client_of(simulator.keys[1]).data("GET", "/api/notifications/channels") == []


def test_created_at_increases_and_ids_are_unique(call):
    keys = [call.data("POST", "/api/user/api-keys", KEY) for dummy in range(3)]
    entries = [
        call.data("POST", "/api/settings/ip-whitelist", {"cidr": "10.0.0.0/8", "label": "x"})
        for dummy in range(3)
    ]
    times = [item["created_at"] for item in keys + entries]
    assert times == sorted(set(times))
    assert len({item["id"] for item in keys + entries}) == 6
    assert all(text.endswith("Z") and len(text) == 20 for text in times)


def test_keys_may_share_one_prefix(simulator, call):
    simulator.options(shared_key_prefix=True)
    assert {call.data("POST", "/api/user/api-keys", KEY)["prefix"] for dummy in range(3)} == {
        "plnx_live_01jq"
    }


# ---- IP allowlist


def test_enforcement_binds_every_operation(simulator, call, client_of):
    simulator.options(client_addresses={"acme-analytics": "203.0.113.9"})
    entry = call.data(
        "POST", "/api/settings/ip-whitelist", {"cidr": "203.0.113.0/24", "label": "Office"}
    )
    call.data("POST", "/api/settings/ip-whitelist", {"cidr": "2001:DB8:0::/32", "label": "IPv6"})
    assert [item["cidr"] for item in call.data("GET", "/api/settings/ip-whitelist")] == [
        "203.0.113.0/24",
        "2001:DB8:0::/32",
    ]
    call.data("POST", "/api/settings/ip-whitelist/toggle", {"enabled": True})
    assert call("GET", "/api/tier").status_code == 200
    for address in ("203.0.114.9", "127.0.0.1", "2001:db9::1"):
        simulator.options(client_addresses={simulator.keys[0]: address})
        for method, path, body in [
            ("GET", "/api/tier", None),
            ("POST", "/api/settings/ip-whitelist/toggle", {"enabled": False}),
        ]:
            response = call(method, path, body)
            assert (response.status_code, code_of(response)) == (403, "ip_not_allowed")
    simulator.options(client_addresses={"org_01jq8acme": "2001:db8::1"})
    assert call("GET", "/api/tier").status_code == 200
    simulator.options(client_addresses={"acme-analytics": "::ffff:203.0.113.9"})
    assert call("DELETE", f"/api/settings/ip-whitelist/{entry['id']}").status_code == 204
    assert call("GET", "/api/tier").status_code == 403
    simulator.options(allowlist_exempt=["*/toggle"])
    assert call("POST", "/api/settings/ip-whitelist/toggle", {"enabled": False}).status_code == 200
    assert call("GET", "/api/tier").status_code == 200
    assert client_of(simulator.keys[1])("GET", "/api/tier").status_code == 200


def test_without_pretence_the_peer_address_counts(call):
    call.data("POST", "/api/settings/ip-whitelist", {"cidr": "127.0.0.0/8", "label": "Loopback"})
    call.data("POST", "/api/settings/ip-whitelist/toggle", {"enabled": True})
    status = call.data("GET", "/api/settings/ip-whitelist/status")
    assert (status["enabled"], status["entry_count"]) == (True, 1)


def test_one_network_twice_is_allowed_unless_an_option_refuses_it(simulator, call):
    for dummy in range(2):
        assert (
            call(
                "POST", "/api/settings/ip-whitelist", {"cidr": "2001:db8::/32", "label": "x"}
            ).status_code
            == 201
        )
    simulator.options(refuse_duplicate_networks=True)
    response = call("POST", "/api/settings/ip-whitelist", {"cidr": "2001:0DB8::/32", "label": "y"})
    assert (response.status_code, code_of(response)) == (409, "duplicate_network")
    assert len(call.data("GET", "/api/settings/ip-whitelist")) == 2


# ---- notifications


def test_a_channel_is_updated_and_its_config_replaced_whole(call):
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    call.data("PUT", f"/api/notifications/channels/{channel}", {"enabled": False})
    call.data("PUT", f"/api/notifications/channels/{channel}", {"config": {"channel": "C2"}})
    assert call.data("GET", "/api/notifications/channels") == [
        {
            "id": channel,
            "type": "slack",
            "name": "Alerts",
            "enabled": False,
            "config": {"channel": "C2"},
        }
    ]
    assert (
        call("PUT", f"/api/notifications/channels/{channel}", {"type": "email"}).status_code == 422
    )


def test_config_may_be_refused_on_update(simulator, call):
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    simulator.options(refuse_channel_config=True)
    assert call("PUT", f"/api/notifications/channels/{channel}", {"config": {}}).status_code == 422
    assert call("PUT", f"/api/notifications/channels/{channel}", {"name": "New"}).status_code == 200


def test_secrets_in_config_may_be_masked_or_dropped(simulator, call):
    config = {"channel": "C1", "api_token": "xoxb-1234567890", "auth": {"password": "ab"}}
    call.data("POST", "/api/notifications/channels", {**CHANNEL, "config": config})

    def shown():
        return call.data("GET", "/api/notifications/channels")[0]["config"]

    assert shown() == config
    simulator.options(mask_config="mask")
    assert shown() == {"channel": "C1", "api_token": "xoxb****", "auth": {"password": "a****"}}
    simulator.options(mask_config="drop")
    assert shown() == {"channel": "C1", "auth": {}}
    assert simulator.state()["channels"][0]["config"] == config


@pytest.mark.parametrize(
    ("replacement", "same_id", "count"),
    [("keep_id", True, 1), ("change_id", False, 1), ("leave_old", False, 2)],
)
def test_a_rule_is_replaced_by_name(simulator, call, replacement, same_id, count):
    simulator.options(rule_replacement=replacement)
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    rule = {
        "name": "DLQ",
        "event": "dlq.threshold_exceeded",
        "channel_ids": [channel],
        "filters": {"threshold": 1},
        "enabled": False,
    }
    first = call.data("POST", "/api/notifications/rules", rule)
    second = call.data(
        "POST",
        "/api/notifications/rules",
        {key: rule[key] for key in ("name", "event", "channel_ids")},
    )
    assert (first["id"] == second["id"]) is same_id
    rules = call.data("GET", "/api/notifications/rules")
    assert len(rules) == count
    assert (rules[-1]["id"], rules[-1]["filters"], rules[-1]["enabled"]) == (second["id"], {}, True)


def test_a_rule_may_keep_the_id_of_a_deleted_channel(call):
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    rule = {"name": "DLQ", "event": "dlq.threshold_exceeded", "channel_ids": [channel]}
    call.data("POST", "/api/notifications/rules", rule)
    call("DELETE", f"/api/notifications/channels/{channel}")
    assert call("POST", "/api/notifications/rules", {**rule, "enabled": False}).status_code == 201
    assert (
        code_of(call("POST", "/api/notifications/rules", {**rule, "name": "other"}))
        == "unknown_channel"
    )


def test_a_test_notification_is_recorded(simulator, call):
    channel = call.data("POST", "/api/notifications/channels", CHANNEL)["id"]
    delivery = call.data("POST", f"/api/notifications/channels/{channel}/test")["delivery_id"]
    assert [(item["id"], item["channel_id"]) for item in simulator.state()["deliveries"]] == [
        (delivery, channel)
    ]
