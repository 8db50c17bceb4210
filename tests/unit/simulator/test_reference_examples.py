# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every JSON example of the API's reference: the documented call gets the documented status, keys and types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyotp
import pytest

EXAMPLES = json.loads(
    Path(__file__).with_name("reference_examples.json").read_text(encoding="utf-8")
)
FREE_KEYS = ("config", "filters", "feature_flags")  # mappings whose keys are the user's
TOTP_SECRET = "JBSWY3DPEHPK3PXP"
PATHS = {
    "/api/user/api-keys/{id}": "/api/user/api-keys/key_01jq8ci",
    "/api/user/api-keys/{id}/regenerate": "/api/user/api-keys/key_01jq8ci/regenerate",
    "/api/user-preferences/{key}": "/api/user-preferences/canvas.snap_to_grid",
    "/api/settings/ip-whitelist/{id}": "/api/settings/ip-whitelist/ipw_01jq801",
    "/api/notifications/channels/{id}": "/api/notifications/channels/nch_01jq802",
    "/api/notifications/channels/{id}/test": "/api/notifications/channels/nch_01jq802/test",
}


def name(example: dict[str, Any]) -> str:
    return f"{example['method']} {example['path']}"


def documented(method: str, path: str) -> Any:
    return next(
        example for example in EXAMPLES if (example["method"], example["path"]) == (method, path)
    )["response"]["data"]


def objects_of_the_reference(simulator: Any) -> dict[str, Any]:
    """Return state in which the objects that the examples speak of exist."""
    key = documented("GET", "/api/user/api-keys")[0]
    created = {"created_at": "2025-01-15T10:00:00Z"}
    channel = documented("GET", "/api/notifications/channels")[0]
    rule = documented("GET", "/api/notifications/rules")[0]
    return {
        "api_keys": [
            *simulator.state()["api_keys"],
            {**key, "secret": "plnx_live_01jq8oldsecretshownonce"},
        ],
        "ip_whitelist": {
            **simulator.state()["ip_whitelist"],
            "entries": documented("GET", "/api/settings/ip-whitelist"),
        },
        "channels": [
            {**channel, **created},
            {**channel, **created, "id": "nch_01jq802", "type": "email"},
        ],
        "rules": [{**rule, **created}],
        "mfa": {"enabled": True, "secret": TOTP_SECRET, "backup_codes": ["1111-2222-33"] * 6},
    }


def assert_same_shape(got: Any, expected: Any, place: str) -> None:
    """Same keys recursively, same JSON types; of free mappings the types only, of lists each item like the documented first."""
    if expected is None or (got is None and place.endswith(("last_used_at", "expires_at"))):
        assert got is None or isinstance(got, str), place
        return
    assert type(got) is type(expected), place
    if isinstance(expected, dict):
        if place.rpartition(".")[2] in FREE_KEYS:
            return
        assert set(got) == set(expected), place
        for key, value in expected.items():
            assert_same_shape(got[key], value, f"{place}.{key}")
    elif isinstance(expected, list):
        assert got, f"{place} is empty, so it shows nothing"
        for item in got:
            assert_same_shape(item, expected[0], place)


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_documented_call_gets_documented_answer(simulator, call, example):
    state = objects_of_the_reference(simulator)
    body = example["request"]
    if example["path"] == "/api/user/mfa/enable":
        state["mfa"] = {}
    elif example["path"] == "/api/user/mfa/verify":
        state["mfa"] = {"enrollments": {body["enrollment_id"]: TOTP_SECRET}}
    elif example["path"] == "/api/user/mfa/disable":
        state["password"] = body["password"]
    if body and "code" in body:
        body = {**body, "code": pyotp.TOTP(TOTP_SECRET).now()}
    simulator.set_state(**state)

    response = call(example["method"], PATHS.get(example["path"], example["path"]), body)

    assert response.status_code == example["status"], response.text
    if example["response"] is None:
        assert response.content == b""
        return
    got, expected = response.json(), example["response"]
    assert_same_shape(got, expected, name(example))
    for field, value in (example["request"] or {}).items():
        if field in expected["data"] and field not in ("code", "enabled"):
            assert got["data"][field] == value, f"{field} is not what was sent"
    row = simulator.log()[-1]
    assert (row["method"], row["status"], row["organization"]) == (
        example["method"],
        example["status"],
        "acme-analytics",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/api/user/profile",
        "/api/session-timeout",
        "/api/user-preferences",
        "/api/settings",
        "/api/settings/log-retention",
        "/api/organization",
        "/api/features",
        "/api/features/limits",
        "/api/tier",
    ],
)
def test_fresh_organization_is_the_one_of_the_reference(call, path):
    assert call.data("GET", path) == documented("GET", path)


def test_lists_and_mfa_of_the_reference_are_answered_literally(simulator, call):
    simulator.set_state(**objects_of_the_reference(simulator))
    assert call.data("GET", "/api/user/mfa") == documented("GET", "/api/user/mfa")
    assert call.data("GET", "/api/user/api-keys/key_01jq8ci") == documented(
        "GET", "/api/user/api-keys/{id}"
    )
    assert call.data("GET", "/api/settings/ip-whitelist") == documented(
        "GET", "/api/settings/ip-whitelist"
    )
    assert call.data("GET", "/api/notifications/channels")[:1] == documented(
        "GET", "/api/notifications/channels"
    )
    assert call.data("GET", "/api/notifications/rules") == documented(
        "GET", "/api/notifications/rules"
    )


def test_the_simulator_has_the_documented_operations_and_no_other(simulator):
    assert {(row["method"], row["path"]) for row in simulator.control("operations")} == {
        (example["method"], example["path"]) for example in EXAMPLES
    }
    assert len(EXAMPLES) == 38


def test_operations_are_counted_by_their_template(simulator, call):
    def counts():
        return {
            (row["method"], row["path"]): (row["count"], row["succeeded"])
            for row in simulator.control("operations")
        }

    before = counts()
    call("GET", "/api/user-preferences/canvas.show_minimap")
    call("GET", "/api/user-preferences/no.such.key")
    operation = ("GET", "/api/user-preferences/{key}")
    assert counts() == {**before, operation: (before[operation][0] + 2, before[operation][1] + 1)}
