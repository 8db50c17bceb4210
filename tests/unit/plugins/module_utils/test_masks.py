# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a secret of a channel, and what an API shows instead of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils import _masks
from ansible_collections.planasonix.admin.plugins.module_utils._masks import (
    build_placeholders,
    drop_hidden,
    find_placeholder_paths,
    find_secret_paths,
    is_masked,
    is_secret_name,
    is_unknown,
)


@pytest.mark.parametrize(
    "value",
    [
        "***",
        "**",
        "https://hooks.example.com/****1234",
        "\u2022\u2022\u2022",
        "\u2022\u2022 1234",
        "\u25cf\u25cf\u25cf\u25cf",
        "\uff0a\uff0a\uff0a\uff0a",
        "xxxx",
        "XXXX-XXXX-1234",
        "xxxx1234",
        "https://hooks.example.com/xxxxxxxx",
        "####",
        "...",
        "\u2026",
        "https://...",
        "https://\u2026",
        "...cr3t",
        "\u2026cr3t",
        "... 1234",
        "sk-...abcd",
        "REDACTED",
        "[REDACTED]",
        "<redacted>",
        "__REDACTED__",
        "https://hooks.example.com/REDACTED/1",
        "https://hooks.example.com/[hidden]",
        "<hidden>",
        "hidden",
        "Masked",
        "(sensitive value)",
        "[FILTERED]",
        "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
        "sha256:1f2e3d",
        "$2b$12$abcdef",
        "ending in 1234",
        "last 4: 1234",
        {"set": True},
        {"configured": False},
        {"last4": "1234"},
        {"a": {"b": "xx***"}},
        ["a", ["***"]],
    ],
    ids=repr,
)
def test_what_looks_hidden(value):
    assert is_masked(value)
    assert is_masked({"a": [value]})


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        True,
        3,
        "*",
        "*a*a*",
        "#data-alerts",
        "C01234567",
        "high",
        "oncall@example.com",
        "Pipeline failed...",
        "Pipeline failed\u2026",
        "{{ pipeline.name }}",
        "hidden-room",
        "secret",
        "xx",
        "../runs",
        {"***": "a"},
        {"set": True, "room": 1},
        {},
        [],
    ],
    ids=repr,
)
def test_what_is_an_ordinary_value(value):
    assert not is_masked(value)


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "token",
        "botToken",
        "password",
        "smtp_password",
        "webhook_url",
        "webhookURL",
        "webhook",
        "url",
        "routing_key",
        "routingKey",
        "integration_key",
        "service_key",
        "api_key",
        "apikey",
        "X-Api-Key",
        "key",
        "signing_secret",
        "signing_key",
        "client_secret",
        "dsn",
        "Authorization",
        "basic_auth",
        "credentials",
        "endpoint",
        "has_token",
        "url_set",
        "token_last4",
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "recipients",
        "severity_filter",
        "workspace",
        "channel",
        "method",
        "headers",
        "room",
        "keyword",
        "icon_url",
        "token_type",
        "signing_algorithm",
        "auth_method",
        "phone_numbers",
        "user_name",
        "",
    ],
)
def test_names_of_other_values(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", [None, "", True, "cr3t", 1234, {}, "0123456789abcdef" * 4])
def test_no_whole_secret_is_unknown_under_the_name_of_one(value):
    assert is_unknown("token", value)
    assert not is_unknown("room", value)


def test_a_whole_secret_is_known():
    assert not is_unknown("url", "https://hooks.example.com/1")


def test_the_word_hidden_may_be_an_ordinary_value():
    """It is compared, so that a task can change it, and never sent back."""
    assert not is_unknown("visibility", "hidden")
    assert is_unknown("token", "hidden")
    assert find_secret_paths({"visibility": "hidden"}) == [("visibility",)]


CONFIG = {
    "method": "POST",
    "url": "https://hooks.example.com/1",
    "headers": {"Authorization": "Bearer 1", "Accept": "application/json"},
    "pairs": [{"name": "X-Api-Key", "value": "1"}],
    "plain_pairs": [{"name": "Accept", "value": "text/plain"}],
    "login": {"auth": {"user": "u", "word": "w"}},
    "has_token": True,
    "odd": {"set": True},
    "deep": {"x": "***", "y": 1},
}


def test_hidden_and_visible_parts():
    assert find_secret_paths(CONFIG) == [
        ("url",),
        ("headers", "Authorization"),
        ("pairs",),
        ("login", "auth", "user"),
        ("login", "auth", "word"),
        ("token",),
        ("odd",),
        ("deep", "x"),
    ]
    assert drop_hidden(CONFIG) == {
        "method": "POST",
        "headers": {"Accept": "application/json"},
        "plain_pairs": [{"name": "Accept", "value": "text/plain"}],
        "deep": {"y": 1},
    }


def test_placeholders_for_what_is_hidden():
    made = build_placeholders("Hook", find_secret_paths(CONFIG))
    assert made["headers"] == {"Authorization": "PLACEHOLDER:Hook.headers.Authorization"}
    assert made["pairs"] == "PLACEHOLDER:Hook.pairs"
    assert sorted(find_placeholder_paths(made)) == sorted(find_secret_paths(CONFIG))


@pytest.mark.parametrize("name", ["masks", "notifications", "channels", "rules"])
def test_what_is_pure_loads_no_library(name):
    root = Path(_masks.__file__).parents[5]
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r}); "
        f"import ansible_collections.planasonix.admin.plugins.module_utils._{name}; "
        "print([name for name in ('ansible', 'pyotp', 'requests') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
