# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each variant does what the README says."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import pyotp
import pytest
import requests
from simulator.process import SimulatorError
from simulator.variants import KINDS, REGISTRY
from simulator.variants.__main__ import README, fill
from simulator.variants.answers import number_of

SECRET = "https://hooks.example.com/cr3t"
KEYS = "/api/user/api-keys"
CHANNELS = "/api/notifications/channels"
RULES = "/api/notifications/rules"
ALLOWLIST = "/api/settings/ip-whitelist"
SESSION = "/api/session-timeout"
RETENTION = "/api/settings/log-retention"
PREFERENCES = "/api/user-preferences"
PROFILE = "/api/user/profile"
MFA = "/api/user/mfa"
CREATED = "2026-01-01T00:00:00Z"
CURSOR = "b2Zmc2V0OjI"
"""The cursor of the third object."""

HOOK_CONFIG = {"url": SECRET, "method": "POST"}
STATE: dict[str, Any] = {
    "channels": [
        {
            "id": "nch_1",
            "type": "webhook",
            "name": "Hook",
            "config": HOOK_CONFIG,
            "created_at": CREATED,
        }
    ],
    "rules": [
        {
            "id": f"nrl_{number}",
            "name": f"Rule {number}",
            "event": "e",
            "channel_ids": ["nch_1"],
            "filters": {"threshold": 1} if number == 1 else {},
            "created_at": CREATED,
        }
        for number in (1, 2)
    ],
    "ip_whitelist": {
        "last_evaluated_at": CREATED,
        "entries": [
            {"id": f"ipw_{number}", "cidr": cidr, "label": label, "created_at": CREATED}
            for number, cidr, label in (
                (1, "192.0.2.0/24", "Office"),
                (2, "198.51.100.0/24", "Retired office"),
                (3, "203.0.113.0/24", ""),
            )
        ],
    },
}

Step = tuple[Any, ...]


def put(path: str, **body: Any) -> Step:
    return ("PUT", path, body)


def post(path: str, **body: Any) -> Step:
    return ("POST", path, body)


def get(path: str) -> Step:
    return ("GET", path)


def sleep(seconds: float) -> Step:
    return ("sleep", seconds)


def post_key(name: str = "Deployment", **fields: Any) -> Step:
    return post(KEYS, **{"name": name, "scopes": ["b:x", "a:x"], **fields})


def post_rule(**fields: Any) -> Step:
    return post(RULES, **{"name": "Rule 1", "event": "new", "channel_ids": ["nch_1"], **fields})


def post_channel(name: str, **config: Any) -> Step:
    return post(CHANNELS, name=name, type="email", config=config)


PUT_HOOK = f"{CHANNELS}/nch_1"
TIMEOUT = put(SESSION, idle_timeout_minutes=30)
FIRST_PAGE = get(ALLOWLIST)
LAST_PAGE = get(f"{ALLOWLIST}?cursor={CURSOR}")
NEXT_URL = f"URL{ALLOWLIST}?cursor={CURSOR}"
"""`URL` stands for the address of the simulator."""


@dataclass(frozen=True)
class Row:
    """What a variant shows after some requests.

    :param at: Place of a value: `status`, `text`, `headers.NAME`, `size`, `exception`,
        `state.SECTION...`, or in the JSON of the last answer.
    """

    variant: str
    at: str
    result: Any
    steps: tuple[Step, ...]


def row(variant: str, at: str, result: Any, *steps: Step) -> Row:
    return Row(variant, at, result, steps)


def mask(name: str, shown: Any) -> Row:
    config = {"url": shown, "method": "POST"}
    return row(f"mask_{name}", "data.0.config", config, get(CHANNELS))


def first(name: str, at: str, result: Any) -> Row:
    return row(name, at, result, FIRST_PAGE)


def written(name: str, status: int, text: str | None) -> list[Row]:
    """Return the rows of an answer to a write; the write takes effect."""
    rows = [row(name, "status", status, TIMEOUT)]
    rows += [] if text is None else [row(name, "text", text, TIMEOUT)]
    return [*rows, row(name, "state.session_timeout.idle_timeout_minutes", 30, TIMEOUT)]


NUMBERED_RULE = post(RULES, name="Rule 3", event="e", channel_ids=[number_of("nch_1")])
ADMIN_EXPIRY = "data.0.expires_at"
RETIRED_KEY = [post_key("Retired"), get(KEYS)]
ENTRY_TIME = "data.0.created_at"

ROWS = [
    mask("redacted", "REDACTED"),
    mask("brackets", "[REDACTED]"),
    mask("angle_brackets", "<hidden>"),
    mask("xxxx", "xxxx"),
    mask("hidden", "hidden"),
    mask("null", None),
    mask("empty", ""),
    mask("ellipsis", "..."),
    mask("first_four", "http…"),
    mask("last_four", "cr3t"),
    mask("sha256", f"sha256:{sha256(SECRET.encode()).hexdigest()}"),
    mask("true", True),
    mask("set", {"set": True}),
    mask("two_stars", "**"),
    mask("stars", "****"),
    mask("bullets", "••••••"),
    mask("circles", "●●●●"),
    mask("full_width", "＊＊＊＊"),
    mask("host", "https://..."),
    mask("host_ellipsis", "https://…"),
    row("mask_left_out", "data.0.config", {"method": "POST"}, get(CHANNELS)),
    row("mask_left_out", "state.channels.0.config.url", SECRET, get(CHANNELS)),
    row("put_loses_config", "state.channels.0.config", {}, put(PUT_HOOK, enabled=False)),
    row("put_merges_config", "state.channels.0.config.url", SECRET, put(PUT_HOOK, config={"a": 1})),
    row(
        "config_defaults",
        "state.channels.1.config",
        {"attempts": 3, "verify_tls": True, "recipients": ["a"]},
        post_channel("Mail", recipients=["a"]),
    ),
    row("rules_replaced_as_set", "state.rules.0.event", "new", post_rule()),
    row("rules_replaced_as_set", "state.rules.1", None, post_rule()),
    row("filters_left_out", "data.0.filters", {"threshold": 1}, get(RULES)),
    row("filters_left_out", "data.1.filters", None, get(RULES)),
    row("filters_with_defaults", "data.1.filters", {"window_minutes": 5}, get(RULES)),
    row("filters_with_nulls", "data.1.filters", {"severity": None, "pipeline_ids": []}, get(RULES)),
    row("channel_ids_as_objects", "data.0.channel_ids.0.id", "nch_1", get(RULES)),
    row("preferences_nested", "data.canvas.snap_to_grid", True, get(PREFERENCES)),
    row("preferences_known_only", "data.new", None, put(f"{PREFERENCES}/new", value=1)),
    row("preferences_known_only", "data.value", 1, put(f"{PREFERENCES}/new", value=1)),
    row("preferences_hidden", "data", {}, get(PREFERENCES)),
    row(
        "preferences_lag",
        "data.theme",
        None,
        put(f"{PREFERENCES}/theme", value=1),
        get(PREFERENCES),
    ),
    row(
        "preferences_lag",
        "data.value",
        1,
        put(f"{PREFERENCES}/theme", value=1),
        get(f"{PREFERENCES}/theme"),
    ),
    row("settings_without_residency", "data.data_residency", None, get("/api/settings")),
    row("settings_without_residency", "data.data_residency", "us", get("/api/settings/all")),
    row(
        "flags_replaced",
        "state.settings.feature_flags",
        {"new": True},
        post("/api/settings", feature_flags={"new": True}),
    ),
    row(
        "entry_posted_again_moves",
        "state.ip_whitelist.entries.2.label",
        "Moved",
        post(ALLOWLIST, cidr="192.0.2.0/24", label="Moved"),
    ),
    row("key_metadata_forbidden", "status", 403, get(f"{KEYS}/any")),
    row("key_metadata_forbidden", "status", 200, get(KEYS)),
    row("ids_as_numbers", "data.0.id", number_of("nch_1"), get(CHANNELS)),
    row("ids_as_numbers", "data.0.channel_ids.0", number_of("nch_1"), get(RULES)),
    row("ids_as_numbers", "status", 422, post_rule()),
    row("ids_as_numbers", "state.rules.2.channel_ids", ["nch_1"], NUMBERED_RULE),
    row(
        "ids_as_numbers",
        "state.channels.0.enabled",
        False,
        put(f"{CHANNELS}/{number_of('nch_1')}", enabled=False),
    ),
    row("numbers_as_text", "data.idle_timeout_minutes", "60", get(SESSION)),
    row(
        "numbers_as_text",
        "state.session_timeout.idle_timeout_minutes",
        45,
        put(SESSION, idle_timeout_minutes="45"),
    ),
    row(
        "booleans_as_text",
        "state.session_timeout.extend_on_activity",
        False,
        put(SESSION, extend_on_activity="false"),
    ),
    row(
        "booleans_as_numbers",
        "state.settings.feature_flags.lineage_v2",
        False,
        post("/api/settings", feature_flags={"lineage_v2": 0}),
    ),
    row("numbers_as_text", "data.0.filters.threshold", 1, get(RULES)),
    row("numbers_as_floats", "text", '"idle_timeout_minutes": 60.0', get(SESSION)),
    row("booleans_as_numbers", "text", '"extend_on_activity": 1', get(SESSION)),
    row("booleans_as_text", "data.extend_on_activity", "true", get(SESSION)),
    row("extra_fields", "data.0.tags", [1, None], get(CHANNELS)),
    row("extra_fields", "data.0.config.tags", None, get(CHANNELS)),
    row("extra_nulls", "text", '"deleted_at": null', get(CHANNELS)),
    row("null_for_empty", "data.1.filters", None, get(RULES)),
    row("scopes_as_text", "data.1.scopes", "b:x a:x", post_key(), get(KEYS)),
    row("scopes_as_objects", "data.1.scopes.0", {"name": "b:x"}, post_key(), get(KEYS)),
    row("config_as_text", "data.0.config", json.dumps(HOOK_CONFIG), get(CHANNELS)),
    row("names_null", "data.1.label", None, FIRST_PAGE),
    row("names_null", "data.0.label", "Office", FIRST_PAGE),
    row("profile_without_names", "text", '"display_name": null', get(PROFILE)),
    row("unlimited_is_zero", "data.audit_logs_days", 0, get(RETENTION)),
    row("unlimited_is_minus_one", "data.absolute_timeout_minutes", -1, get(SESSION)),
    row("unlimited_is_null", "text", '"audit_logs_days": null', get(RETENTION)),
    first("times_epoch", ENTRY_TIME, 1767225600),
    first("times_epoch_ms", ENTRY_TIME, 1767225600000),
    first("times_date", ENTRY_TIME, "2026-01-01"),
    first("times_rfc2822", ENTRY_TIME, "Thu, 01 Jan 2026 00:00:00 +0000"),
    first("times_minutes", ENTRY_TIME, "2026-01-01T00:00Z"),
    first("times_basic", ENTRY_TIME, "20260101T000000Z"),
    first("times_lower", ENTRY_TIME, "2026-01-01t00:00:00z"),
    first("times_offset", ENTRY_TIME, "2026-01-01T05:30:00+05:30"),
    row("never_is_year_1", ADMIN_EXPIRY, "0001-01-01T00:00:00Z", get(KEYS)),
    row("never_is_empty", ADMIN_EXPIRY, "", get(KEYS)),
    row("features_as_objects", "data.features.3.name", "sso", get("/api/features")),
    row("features_as_map", "data.features.sso", True, get("/api/features")),
    row("features_in_capitals", "data.features.3", "SSO", get("/api/features")),
    row("enforcement_as_text", "data.enabled", "disabled", get(f"{ALLOWLIST}/status")),
    row("enforcement_as_number", "text", '"enabled": 0', get(f"{ALLOWLIST}/status")),
    row("mfa_methods_left_out", "data", {"enabled": False, "backup_codes_remaining": 0}, get(MFA)),
    row("names_trimmed", "state.channels.1.name", "Mail", post_channel(" Mail ")),
    row("names_lower", "state.channels.1.name", "mail", post_channel("Mail")),
    row("names_composed", "state.channels.1.name", "Caf\u00e9", post_channel("Cafe\u0301")),
    row("names_escaped", "state.channels.1.name", "R&amp;D", post_channel("R&D")),
    row(
        "recipients_lower",
        "state.channels.1.config.recipients",
        ["a@example.com"],
        post_channel("Mail", recipients=["A@Example.com"]),
    ),
    row("locale_canonical", "state.profile.locale", "de-DE", put(PROFILE, locale="de-de")),
    row(
        "zones_canonical",
        "state.settings.default_timezone",
        "America/New_York",
        post("/api/settings", default_timezone="US/Eastern"),
    ),
    row("scopes_sorted", "data.scopes", ["a:x", "b:x"], post_key()),
    row(
        "scopes_expanded",
        "data.scopes",
        ["pipelines:run", "pipelines:read"],
        post_key(scopes=["pipelines:run"]),
    ),
    row(
        "filters_sorted",
        "state.rules.0.filters.a",
        [{"b": 1}, {"b": 2}],
        post_rule(filters={"a": [{"b": 2}, {"b": 1}]}),
    ),
    row(
        "labels_trimmed",
        "data.label",
        "VPN",
        post(ALLOWLIST, cidr="192.0.2.9/32", label=" VPN "),
    ),
    row("labels_lower", "data.label", "vpn", post(ALLOWLIST, cidr="192.0.2.9/32", label="VPN")),
    row("days_clamped", "data.run_logs_days", 10, put(RETENTION, run_logs_days=14)),
    row(
        "residency_canonical",
        "state.settings.data_residency",
        "eu-central-1",
        post("/api/settings", data_residency="eu"),
    ),
    row("expiry_at_end_of_day", "text", 'T23:59:59Z"', post_key(expires_in_days=1)),
    row("names_unique", "status", 409, post_channel("Hook")),
    row("names_unique", "status", 409, post_key("Administration")),
    row("lag_one_read", "data.idle_timeout_minutes", 60, TIMEOUT, get(SESSION)),
    row("lag_one_read", "data.idle_timeout_minutes", 30, TIMEOUT, get(SESSION), get(SESSION)),
    row("lag_two_reads", "data.idle_timeout_minutes", 60, TIMEOUT, get(SESSION), get(SESSION)),
    row("lag_two_reads", "data.idle_timeout_minutes", 30, TIMEOUT, *[get(SESSION)] * 3),
    row("lag_seconds", "data.idle_timeout_minutes", 60, TIMEOUT, get(SESSION)),
    row("lag_seconds", "data.idle_timeout_minutes", 30, TIMEOUT, sleep(1.6), get(SESSION)),
    row("lag_deletions", "data.0.id", "nch_1", ("DELETE", PUT_HOOK), get(CHANNELS)),
    row("lag_deletions", "data", [], ("DELETE", PUT_HOOK), sleep(1.6), get(CHANNELS)),
    row("toggle_later", "status", 202, post(f"{ALLOWLIST}/toggle", enabled=True)),
    row(
        "toggle_later",
        "state.ip_whitelist.enabled",
        False,
        post(f"{ALLOWLIST}/toggle", enabled=True),
    ),
    row(
        "toggle_later",
        "state.ip_whitelist.enabled",
        True,
        post(f"{ALLOWLIST}/toggle", enabled=True),
        sleep(1.4),
    ),
    row("deleted_stay_with_state", "data.0.state", "deleted", ("DELETE", PUT_HOOK), get(CHANNELS)),
    row(
        "deleted_stay_with_time",
        "data.0.deleted_at",
        "2020-01-01T00:00:00Z",
        ("DELETE", PUT_HOOK),
        get(CHANNELS),
    ),
    row("deleted_stay_with_active", "data.0.active", False, ("DELETE", PUT_HOOK), get(CHANNELS)),
    row("key_revoked", "data.1.state", "revoked", *RETIRED_KEY),
    row("key_disabled", "data.1.status", "disabled", *RETIRED_KEY),
    row("key_disabled", "data.2.status", None, post_key("Retired"), *RETIRED_KEY),
    first("entry_inactive", "data.1.active", False),
    first("entry_not_enabled", "data.1.enabled", False),
    first("entry_disabled", "data.1.status", "disabled"),
    first("entry_expired", "data.1.expires_at", "2026-01-02T00:00:00Z"),
    first("entry_expired", "data.0.expires_at", None),
    first("page_documented", "meta", {"next_cursor": CURSOR, "total": 3}),
    first("page_top_cursor", "next_cursor", CURSOR),
    first("page_cursor_next", "meta", {"cursor": {"next": CURSOR}}),
    first("page_meta_pagination", "meta", {"pagination": {"next_cursor": CURSOR}}),
    first("page_pagination", "pagination", {"next_cursor": CURSOR}),
    first("page_camel_case", "meta", {"nextCursor": CURSOR}),
    first("page_has_more_cursor", "has_more", True),
    first("page_has_more_cursor", "next_cursor", CURSOR),
    first("page_has_more", "has_more", True),
    first("page_meta_has_more", "meta", {"has_more": True}),
    first("page_links", "links.next", NEXT_URL),
    first(
        "page_link_header",
        "headers.link",
        f'<URL{ALLOWLIST}>; rel="first", <{NEXT_URL}>; rel="next"',
    ),
    first("page_numbers", "meta", {"page": 1, "per_page": 2, "total_pages": 2}),
    row("page_numbers", "data.0.id", "ipw_3", get(f"{ALLOWLIST}?page=2")),
    first("page_total", "meta", {"total": 3}),
    first("page_total_header", "headers.x-total-count", "3"),
    first("page_content_range", "headers.content-range", "items 0-1/3"),
    first("page_content_range", "status", 206),
    row("page_last_false", "meta", {"next_cursor": False}, LAST_PAGE),
    row("page_last_null_text", "meta", {"next_cursor": "null"}, LAST_PAGE),
    first("page_cursor_url", "meta.next_cursor", NEXT_URL),
    row("page_cursor_url", "status", 400, get(f"{ALLOWLIST}?cursor=https%3A%2F%2Fexample.com")),
    first("page_no_mark", "text", 'office", "created_at": "2026-01-01T00:00:00Z"}]}'),
    first("page_overlap", "meta.next_cursor", "b2Zmc2V0OjE"),
    row("page_overlap", "data.0.id", "ipw_2", get(f"{ALLOWLIST}?cursor=b2Zmc2V0OjE")),
    row("page_limit_50", "status", 422, get(f"{ALLOWLIST}?limit=100")),
    row("page_limit_50", "data.0.id", "ipw_3", get(f"{ALLOWLIST}?cursor={CURSOR}&limit=50")),
    row("empty_list_is_null", "text", '{"data": null}', ("DELETE", PUT_HOOK), get(CHANNELS)),
    row("empty_list_is_null", "data.0.id", "nch_1", get(CHANNELS)),
    first("bare_lists", "0.id", "ipw_1"),
    row("bare_lists", "data.idle_timeout_minutes", 60, get(SESSION)),
    row("bare_objects", "idle_timeout_minutes", 60, get(SESSION)),
    first("bare_objects", "data.0.id", "ipw_1"),
    row("byte_order_mark", "text", "\ufeff{", get(SESSION)),
    *written("write_204", 204, ""),
    *written("write_empty_object", 200, "{}"),
    *written("write_null", 200, "null"),
    *written("write_ok", 200, '"OK"'),
    *written("write_true", 200, "true"),
    *written("write_message", 200, '{"message": "Saved"}'),
    *written("write_text", 200, "OK"),
    *written("write_202", 202, None),
    row("write_200", "status", 200, post_key()),
    row("write_200", "data.name", "Deployment", post_key()),
    row("write_bare", "idle_timeout_minutes", 30, TIMEOUT),
    row("key_without_secret", "data.secret", None, post_key()),
    row("retry_after_hour", "headers.retry-after", "3600", get(SESSION)),
    row("retry_after_hour", "status", 200, get(SESSION), get(SESSION)),
    row("retry_after_zero", "headers.retry-after", "0", get(SESSION), get(SESSION)),
    row("retry_after_zero", "status", 200, *[get(SESSION)] * 3),
    row("retry_after_milliseconds", "headers.retry-after", "1500", get(SESSION)),
    row("errors_listed", "errors.0.code", "not_found", get(f"{PREFERENCES}/none")),
    row(
        "errors_by_name",
        "errors.not_found.0",
        "There is no preference 'none'",
        get(f"{PREFERENCES}/none"),
    ),
    row("errors_described", "error", "not_found", get(f"{PREFERENCES}/none")),
    row("cookies_need_token", "status", 403, get(SESSION), TIMEOUT),
    row("cookies_need_token", "status", 200, TIMEOUT),
    row("connection_dropped_when_reused", "status", 200, get(SESSION)),
    row("connection_dropped_when_reused", "exception", "ConnectionError", get(SESSION), TIMEOUT),
    row("byte_a_second", "exception", "ConnectionError", get(SESSION)),
    first("gzip_bomb", "headers.content-encoding", "gzip"),
    first("gzip_bomb", "size", 64 * 1024 * 1024 + len('{"data": []}')),
    row("deep_json", "text", "[" * 1000 + "]" * 1000, get(SESSION)),
    row("not_a_number", "text", '"x_odd": NaN', get(SESSION)),
    row("huge_integer", "text", "9" * 6000, get(SESSION)),
    row("lone_surrogate", "text", '"Retired office\\ud83d"', FIRST_PAGE),
    row("escape_sequences", "text", '"Retired office\\u001b[31m', FIRST_PAGE),
]
for unclear in (408, 520, 521, 522, 523, 524):
    idle = "state.session_timeout.idle_timeout_minutes"
    for moment, minutes in (("before", 60), ("after", 30)):
        ROWS += [
            row(f"first_{unclear}_{moment}", "status", unclear, TIMEOUT),
            row(f"first_{unclear}_{moment}", idle, minutes, TIMEOUT),
            row(f"first_{unclear}_{moment}", "status", 200, TIMEOUT, TIMEOUT),
        ]


class Seen:
    """What the requests of a row showed."""

    def __init__(self, simulator: Any, call: Any, timeout: float) -> None:
        self.timeout = timeout
        self.simulator = simulator
        self.call = call
        self.answer: requests.Response | None = None
        self.error = ""

    def take(self, step: Step) -> None:
        """Send one request, or wait."""
        if step[0] == "sleep":
            time.sleep(step[1])
            return
        path = step[1].replace("{admin}", self.simulator.state()["api_keys"][0]["id"])
        try:
            self.answer = self.call(step[0], path, *step[2:], timeout=self.timeout)
        except requests.ConnectionError as error:
            self.error = type(error).__name__

    def find(self, at: str) -> Any:
        """Return the value at a place, or None."""
        place, _dot, rest = at.partition(".")
        if place == "exception":
            return self.error
        if place == "state":
            return look_up(self.simulator.state(), rest)
        assert self.answer is not None, self.error
        if place == "status":
            return self.answer.status_code
        if place == "headers":
            return self.answer.headers.get(rest)
        if place == "text":
            return self.answer.content.decode()
        if place == "size":
            return len(self.answer.content)
        return look_up(self.answer.json(), at)


def look_up(value: Any, at: str) -> Any:
    """Return what is at a dotted path, or None."""
    for name in at.split("."):
        if isinstance(value, list):
            value = value[int(name)] if int(name) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.variant}-{row.at}")
def test_variant(simulator: Any, call: Any, row: Row) -> None:
    simulator.set_state(**STATE)
    simulator.options(variants={"acme-analytics": [row.variant]})
    seen = Seen(simulator, call, 0.5 if row.variant == "byte_a_second" else 10)
    for step in row.steps:
        seen.take(step)
    found = seen.find(row.at)
    expected = row.result
    if row.at == "text":
        assert expected in found
        return
    if isinstance(expected, str):
        expected = expected.replace("URL", simulator.url)
    assert found == expected


def test_posted_rule_gets_new_id(simulator: Any, call: Any) -> None:
    simulator.set_state(**STATE)
    simulator.options(variants={"acme-analytics": ["rules_get_new_ids"]})
    posted = call.data(*post_rule())
    rules = simulator.state()["rules"]
    assert [rule["id"] for rule in rules] == [posted["id"], "nrl_2"]
    assert posted["id"] != "nrl_1"


def test_regenerated_key_gets_new_id(simulator: Any, call: Any) -> None:
    simulator.options(variants={"acme-analytics": ["regenerated_key_gets_new_id"]})
    made = call.data(*post_key())
    again = call.data("POST", f"{KEYS}/{made['id']}/regenerate")
    assert simulator.state()["api_keys"][1]["id"] == again["id"] != made["id"]


def test_expiry_left_out(simulator: Any, call: Any) -> None:
    simulator.options(variants={"acme-analytics": ["never_is_left_out"]})
    call.data(*post_key(expires_in_days=1))
    assert ["expires_at" in key for key in call.data("GET", KEYS)] == [False, True]


def test_key_expired(simulator: Any, call: Any) -> None:
    simulator.options(variants={"acme-analytics": ["key_expired"]})
    key = call.data(*post_key("Retired"))
    listed = call.data("GET", KEYS)[1]
    moments = [
        datetime.fromisoformat(one[:-1]) for one in (key["created_at"], listed["expires_at"])
    ]
    assert (moments[1] - moments[0]).days == 1


@pytest.mark.parametrize(("wish", "days"), [(365, 30), (7, 7)])
def test_lifetime_capped(simulator: Any, call: Any, wish: int, days: int) -> None:
    simulator.options(variants={"acme-analytics": ["key_lifetime_capped"]})
    key = call.data(*post_key(expires_in_days=wish))
    moments = [datetime.fromisoformat(key[name][:-1]) for name in ("created_at", "expires_at")]
    assert (moments[1] - moments[0]).days == days


def test_connection_closed_after_answer(simulator: Any) -> None:
    simulator.options(variants={"acme-analytics": ["connection_closed_after_answer"]})
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    connection.request("GET", SESSION, headers={"Authorization": f"Bearer {simulator.keys[0]}"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("Connection") is None
    answer.read()
    assert connection.sock.recv(1) == b""
    connection.close()


MFA_ON = {"enabled": True, "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}


@pytest.mark.parametrize(
    ("variant", "methods"),
    [
        ("mfa_methods_left_out", ["totp"]),
        ("mfa_methods_as_objects", [{"type": "totp", "primary": True}]),
        ("mfa_methods_in_capitals", ["TOTP"]),
    ],
)
def test_methods(simulator: Any, call: Any, variant: str, methods: list[Any]) -> None:
    simulator.set_state(mfa=MFA_ON)
    simulator.options(variants={"acme-analytics": [variant]})
    assert call.data("GET", MFA)["methods"] == methods


def test_backup_codes_renamed(simulator: Any, call: Any) -> None:
    simulator.options(variants={"acme-analytics": ["mfa_codes_renamed"]})
    begun = call.data("POST", f"{MFA}/enable", {"method": "totp"})
    code = pyotp.TOTP(begun["secret"]).now()
    body = {"enrollment_id": begun["enrollment_id"], "code": code}
    verified = call.data("POST", f"{MFA}/verify", body)
    assert verified.keys() == {"enabled", "recovery_codes"}


def test_each_variant_is_tested() -> None:
    own_tests = {
        "rules_get_new_ids",
        "regenerated_key_gets_new_id",
        "never_is_left_out",
        "key_lifetime_capped",
        "key_expired",
        "connection_closed_after_answer",
        "mfa_methods_as_objects",
        "mfa_methods_in_capitals",
        "mfa_codes_renamed",
    }
    assert {row.variant for row in ROWS} | own_tests == set(REGISTRY)
    assert {variant.kind for variant in REGISTRY.values()} == set(KINDS)


def test_readme_lists_variants() -> None:
    readme = README.read_text(encoding="utf-8")
    assert fill(readme) == readme, "run `python -m simulator.variants` in the folder tests"


def test_variants_concern_one_organization(simulator: Any, call: Any, client_of: Any) -> None:
    simulator.set_state(**STATE)
    simulator.set_state("globex", **STATE)
    simulator.options(variants={"globex": ["mask_redacted", "page_links"], "*": ["write_202"]})
    other = client_of(simulator.keys[1])
    assert call.data("GET", CHANNELS)[0]["config"]["url"] == SECRET
    assert other.data("GET", CHANNELS)[0]["config"]["url"] == "REDACTED"
    assert len(call.data("GET", ALLOWLIST)) == 3
    assert len(other.data("GET", ALLOWLIST)) == 2
    assert {client(*TIMEOUT).status_code for client in (call, other)} == {202}


def test_unknown_variant_is_refused(simulator: Any) -> None:
    with pytest.raises(SimulatorError, match="there is no variant 'odd'"):
        simulator.options(variants={"acme-analytics": ["odd"]})


def test_reset_forgets_variants(simulator: Any, call: Any) -> None:
    simulator.options(variants={"*": ["lag_seconds"]})
    call.data(*TIMEOUT)
    simulator.reset()
    assert simulator.options()["variants"] == {}
    simulator.options(variants={"*": ["lag_seconds"]})
    simulator.set_state(session_timeout={"idle_timeout_minutes": 45})
    assert call.data("GET", SESSION)["idle_timeout_minutes"] == 45
