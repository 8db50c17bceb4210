# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For any JSON at a documented place of an answer, each module ends with a result or a sentence."""

from __future__ import annotations

import copy
import json
import typing as t
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples
from unit.plugins.fake_api import FakeApi, perform
from unit.plugins.tasks import (
    ALLOWLIST,
    BASELINE,
    CHANNEL,
    INFO,
    OTHERS,
    RULE,
    TASKS,
    organization,
)

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module

Place = tuple[t.Any, ...]
MISSING = "(missing)"
"""Stands for a place that is left out."""

MORE_TASKS: dict[str, tuple[Module, dict[str, t.Any]]] = {
    "info-skip": (INFO, {"on_forbidden": "skip"}),
    "config": (
        CHANNEL,
        {"name": "Alerts", "config": {"a": {"b": [1]}}, "secret_config": {"k": "x"}},
    ),
    "filters": (
        RULE,
        {"name": "Failures", "filters": {"threshold": 5, "pipeline_ids": ["x"]}},
    ),
    "enforced": (
        ALLOWLIST,
        {"enabled": True, "protected_addresses": ["192.0.2.7"]},
    ),
    "all-controls": (
        BASELINE,
        {
            "protected_addresses": ["192.0.2.7"],
            "controls": [
                {"resource": resource, "require": require}
                for resource, require in {
                    "settings": {
                        "require_sso": True,
                        "default_timezone": {"one_of": ["Europe/Paris"]},
                        "feature_flags": {"lineage_v2": False},
                    },
                    "session_timeout": {
                        "idle_timeout_minutes": {"at_most": 30},
                        "absolute_timeout_minutes": {"at_least": 30, "at_most": 480},
                        "extend_on_activity": False,
                    },
                    "log_retention": {"audit_logs_days": {"at_least": 400}},
                    "profile": {"locale": "de", "roles": {"excludes": ["owner"]}},
                    "preferences": {"digest": "daily", "new": {"contains": ["a"]}},
                    "mfa": {"enabled": True, "methods": {"contains": ["totp"]}},
                    "features": {"contains": ["sso"]},
                    "limits": {"about": {"not_one_of": ["x"]}},
                    "tier": {"about": "x"},
                    "organization": {"about": {"one_of": ["x"]}},
                    "ip_whitelist": {
                        "enabled": True,
                        "entries": [{"cidr": "192.0.2.0/24", "label": "new"}],
                        "forbid": ["0.0.0.0/0"],
                        "purge": True,
                    },
                    "notification_channels": {
                        "present": [{"name": "Alerts", "enabled": False, "config": {"a": 1}}],
                        "purge": True,
                    },
                    "notification_rules": {
                        "present": [
                            {"name": "Failures", "channels": ["Alerts"], "filters": {"n": 1}}
                        ]
                    },
                    "api_keys": {
                        "max_age_days": 90,
                        "must_expire": True,
                        "max_lifetime_days": 90,
                        "unused_days": 90,
                        "forbidden_scopes": ["*"],
                    },
                }.items()
            ],
        },
    ),
}
ALL_TASKS = {**TASKS, **OTHERS, **MORE_TASKS}

ENDPOINTS = [
    "/api/user/profile",
    "/api/user/mfa",
    "/api/user/api-keys",
    "/api/session-timeout",
    "/api/user-preferences",
    "/api/user-preferences/digest",
    "/api/settings",
    "/api/settings/all",
    "/api/settings/ip-whitelist",
    "/api/settings/ip-whitelist/status",
    "/api/settings/log-retention",
    "/api/organization",
    "/api/features",
    "/api/features/limits",
    "/api/tier",
    "/api/notifications/channels",
    "/api/notifications/rules",
]


def rich_organization() -> FakeApi:
    """An organization with something at each documented place."""
    api = organization()
    api.channels[0]["config"] = {"channel": "C1", "recipients": ["a@example.com"], "n": {"m": 1}}
    api.rules[0]["filters"] = {"threshold": 100, "pipeline_ids": ["pl_1"]}
    api.keys[0] |= {"last_used_at": "2025-12-31T00:00:00Z", "expires_at": "2026-03-01T00:00:00Z"}
    api.objects["features"]["features"] = ["lineage", "sso"]
    return api


def documented(path: str) -> t.Any:
    """The data of the answer to a GET."""
    _status, data = rich_organization().answer("GET", path.split("/")[2:], None)
    return copy.deepcopy(data)


def places_of(value: t.Any, place: Place = ()) -> Iterator[Place]:
    """All places in a value, itself included."""
    yield place
    inner: t.Iterable[tuple[str | int, t.Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        yield from places_of(item, (*place, key))


def put_at(value: t.Any, place: Place, item: t.Any) -> t.Any:
    """The value with something else at a place."""
    if not place:
        return None if item == MISSING else item
    parent = value = copy.deepcopy(value)
    for key in place[:-1]:
        parent = parent[key]
    if item == MISSING:
        del parent[place[-1]]
    else:
        parent[place[-1]] = item
    return value


ODD_VALUES: list[t.Any] = [
    MISSING,
    None,
    True,
    False,
    0,
    -1,
    43,
    60.0,
    1.5,
    10**40,
    1e300,
    float("nan"),
    float("inf"),
    "",
    " ",
    "60",
    "true",
    "disabled",
    "****",
    "0001-01-01T00:00:00Z",
    "x" * 300,
    "\x1b[31m",
    "192.0.2.0/24",
    [],
    [None],
    [1, "a"],
    [["a"]],
    ["a", {"id": 1}],
    {},
    {"id": "nch_2"},
    {"id": {"id": 1}},
    {"name": "sso", "enabled": True},
    [{"id": "nch_2"}],
    [{"name": None, "id": None}],
    [[]],
    {"": {"": []}},
]
TEXTS = st.text("aé \"'\\\n\0\x9b{}", max_size=3)
JSON = st.recursive(
    st.sampled_from(ODD_VALUES) | TEXTS,
    lambda values: (
        st.lists(values, max_size=2)
        | st.dictionaries(TEXTS | st.sampled_from(["id", "name", "enabled"]), values, max_size=2)
    ),
    max_leaves=4,
)
PLACES = {path: list(places_of(documented(path))) for path in ENDPOINTS}


def task_result(path: str, place: Place, item: t.Any, case: str, check_mode: bool) -> t.Any:
    """The result of a task of an organization with something else at a place of an answer."""
    module, arguments = ALL_TASKS[case]
    api = rich_organization()
    api.fail(f"GET {path}", lambda data: put_at(documented(path), place, item), times=999)
    return perform(api, module, check_mode, **arguments)


def readers_of() -> dict[str, list[str]]:
    """The tasks that read each endpoint."""
    readers: dict[str, list[str]] = {path: [] for path in ENDPOINTS}
    for case, (module, arguments) in ALL_TASKS.items():
        api = rich_organization()
        perform(api, module, check_mode=True, **arguments)
        for path in {path for _method, path, _body in api.log} & readers.keys():
            readers[path].append(case)
    return readers


READERS = readers_of()


def test_each_endpoint_is_read_by_some_task():
    assert all(READERS.values())


@pytest.mark.parametrize("path", ENDPOINTS)
def test_any_answer_gives_a_result_or_a_sentence(path):
    @examples(70)
    @given(
        st.sampled_from(PLACES[path]),
        st.sampled_from(ODD_VALUES) | JSON,
        st.sampled_from(READERS[path]),
        st.booleans(),
    )
    def check(place, item, case, check_mode):
        result = task_result(path, place, item, case, check_mode)
        assert "Unexpected" not in result["msg"]
        json.dumps(result)
        if check_mode and case in ("all-controls", "info-skip"):
            assert not result.get("failed"), result["msg"]

    check()
