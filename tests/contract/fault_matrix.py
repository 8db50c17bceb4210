# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two sides of the fault matrix: what each writing module is asked for, and what goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PASSWORD = "hunter2-not-really"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LONG_AGO = "2026-01-01T00:00:00Z"
FOLDER = "FOLDER"
"""Stands in arguments for a folder of the run's own."""


@dataclass(frozen=True)
class Case:
    """A task that writes.

    :param name: The module without its prefix, and what it is to do, if it can do several things.
    :param omit: A field that the API documents and the module needs.
    :param state: Sections of the organization's state to begin with.
    """

    name: str
    arguments: dict[str, Any]
    omit: str
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        return self.name.partition(" ")[0].removesuffix(":")


@dataclass(frozen=True)
class Write:
    """The first write of a case, seen in a run without a fault.

    :param reads: How many GETs come before it.
    """

    method: str
    reads: int


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    :param title: As the documentation names it.
    :param plan: Faults of the simulator, given the case and its first write.
    :param connection: Connection options of the task.
    :param status: The HTTP status that a failure tells.
    :param place: Which server the task speaks to: ``api``, one that speaks TLS, or none at all.
    :param waits: Seconds at least that the task lets pass before it tries again.
    """

    title: str
    plan: Callable[[Case, Write], list[dict[str, Any]]] = lambda dummy_case, dummy_write: []
    connection: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    place: str = "api"
    waits: float = 0


def key(name: str, **more: Any) -> dict[str, Any]:
    """A key as the simulator keeps it."""
    secret = f"plnx_live_{name}_of_long_ago"
    return {
        "id": f"key_{name}",
        "name": name,
        "secret": secret,
        "prefix": secret[:14],
        "scopes": ["a:read"],
        "created_at": LONG_AGO,
        **more,
    }


def channel(name: str) -> dict[str, Any]:
    return {
        "id": f"nch_{name}",
        "type": "email",
        "name": name,
        "enabled": True,
        "config": {"recipients": ["a@example.com"]},
        "created_at": LONG_AGO,
    }


def entry(number: int, cidr: str, label: str) -> dict[str, Any]:
    return {"id": f"ipw_{number}", "cidr": cidr, "label": label, "created_at": LONG_AGO}


ENFORCED = {
    "enabled": True,
    "applies_to": ["api", "ui"],
    "last_evaluated_at": LONG_AGO,
    "entries": [
        entry(1, "127.0.0.1/32", "Automation"),
        entry(2, "203.0.113.0/24", "Office"),
        entry(3, "198.51.100.0/24", "Old office"),
    ],
}
RULE = {
    "id": "nrl_1",
    "name": "Failures",
    "event": "pipeline.run.failed",
    "channel_ids": ["nch_Chat"],
    "filters": {},
    "enabled": True,
    "created_at": LONG_AGO,
}
SECRET_FILE = {"secret_file": f"{FOLDER}/secret"}

CASES = [
    Case("settings", {"default_timezone": "Europe/Berlin", "require_sso": True}, "require_sso"),
    Case(
        "session_timeout",
        {"idle_timeout_minutes": 30, "extend_on_activity": False},
        "idle_timeout_minutes",
    ),
    Case("log_retention", {"run_logs_days": 14, "audit_logs_days": 730}, "audit_logs_days"),
    Case("profile", {"display_name": "Automation"}, "display_name"),
    Case("preferences", {"preferences": {"canvas.snap_to_grid": False}}, ""),
    Case("password", {"current_password": PASSWORD, "new_password": "a-new-long-password"}, ""),
    Case("mfa: enable", {"state": "enabled", **SECRET_FILE}, "enabled"),
    Case(
        "mfa: disable",
        {"state": "disabled", "password": PASSWORD, "totp_secret": TOTP_SECRET},
        "enabled",
        {
            "mfa": {
                "enabled": True,
                "secret": TOTP_SECRET,
                "backup_codes": ["1111-2222-33"],
                "enrollments": {},
            }
        },
    ),
    Case(
        "ip_whitelist: add",
        {
            "entries": [
                {"cidr": "192.0.2.0/24", "label": "VPN"},
                {"cidr": "2001:db8::/48", "label": "VPN"},
            ]
        },
        "cidr",
        {"ip_whitelist": ENFORCED},
    ),
    Case(
        "ip_whitelist: remove",
        {
            "entries": [{"cidr": "127.0.0.1", "label": "Automation"}],
            "purge": True,
            "protected_addresses": ["127.0.0.1"],
        },
        "cidr",
        {"ip_whitelist": ENFORCED},
    ),
    Case(
        "ip_whitelist: enforce",
        {"enabled": True, "protected_addresses": ["127.0.0.1"]},
        "enabled",
        {"ip_whitelist": {**ENFORCED, "enabled": False}},
    ),
    Case(
        "notification_channel: create",
        {"name": "On-call", "type": "email", "config": {"recipients": ["a@example.com"]}},
        "name",
        {"channels": [channel("Chat")]},
    ),
    Case(
        "notification_channel: update",
        {"name": "Chat", "enabled": False},
        "enabled",
        {"channels": [channel("Chat")]},
    ),
    Case(
        "notification_channel: delete",
        {"name": "Chat", "state": "absent"},
        "name",
        {"channels": [channel("Chat")]},
    ),
    Case(
        "notification_rule: create",
        {
            "name": "Failures",
            "event": "pipeline.run.failed",
            "channels": ["Chat"],
            "filters": {"threshold": 5},
        },
        "id",
        {"channels": [channel("Chat")]},
    ),
    Case(
        "notification_rule: update",
        {"name": "Failures", "enabled": False},
        "enabled",
        {"channels": [channel("Chat")], "rules": [RULE]},
    ),
    Case(
        "api_key: create",
        {"name": "Deployment", "scopes": ["a:read"], "expires_in_days": 90, **SECRET_FILE},
        "name",
        {"api_keys": [key("Other")]},
    ),
    Case(
        "api_key: recreate",
        {
            "name": "Deployment",
            "scopes": ["a:read", "a:run"],
            "on_mismatch": "recreate",
            **SECRET_FILE,
        },
        "scopes",
        {"api_keys": [key("Deployment")]},
    ),
    Case(
        "api_key: rotate",
        {"name": "Deployment", "rotate": True, **SECRET_FILE},
        "name",
        {"api_keys": [key("Deployment")]},
    ),
    Case(
        "api_key: delete",
        {"name": "Deployment", "state": "absent"},
        "id",
        {"api_keys": [key("Deployment")]},
    ),
    Case(
        "baseline",
        {
            "controls": [
                {
                    "id": "idle",
                    "resource": "session_timeout",
                    "require": {"idle_timeout_minutes": {"at_most": 30}},
                },
                {
                    "id": "audit",
                    "resource": "log_retention",
                    "require": {"audit_logs_days": {"at_least": 730}},
                },
            ]
        },
        "idle_timeout_minutes",
    ),
]


def on_write(
    kind: str, times: int | None = 1, **more: Any
) -> Callable[[Case, Write], list[dict[str, Any]]]:
    """A fault of the first write, or of more of its kind."""
    return lambda dummy_case, write: [
        {"kind": kind, "method": write.method, "times": times, **more}
    ]


def on_each_write(kind: str, **more: Any) -> Callable[[Case, Write], list[dict[str, Any]]]:
    """A fault of all writes."""
    return lambda dummy_case, dummy_write: [
        {"kind": kind, "method": method, "times": None, **more}
        for method in ("POST", "PUT", "DELETE")
    ]


def on_read(
    kind: str, times: int | None = 1, **more: Any
) -> Callable[[Case, Write], list[dict[str, Any]]]:
    """A fault of the first GET, or of more of them."""
    return lambda dummy_case, dummy_write: [{"kind": kind, "method": "GET", "times": times, **more}]


def after_the_write(kind: str, **more: Any) -> Callable[[Case, Write], list[dict[str, Any]]]:
    """A fault of all GETs after the first write."""
    return lambda dummy_case, write: [
        {"kind": kind, "method": "GET", "times": None, "skip": write.reads, **more}
    ]


def missing(case: Case, dummy_write: Write) -> list[dict[str, Any]]:
    """Each answer to a GET lacks a field; where the API documents none that the module needs, it lacks ``data``."""
    return [
        {
            "kind": "omit",
            "method": "GET",
            "times": None,
            **({"field": case.omit} if case.omit else {}),
        }
    ]


IMPATIENT = {"retry_budget": 0.2}
HASTY = {"timeout": 1}
STALL = 2
"""Seconds that an answer comes late, twice what such a task waits for it."""

FAULTS = [
    Fault(
        "429, ``Retry-After`` in seconds",
        on_write("status", status=429, retry_after="seconds", seconds=1),
        waits=1,
    ),
    # Dates and reset times are whole seconds.
    Fault(
        "429, ``Retry-After`` as a date",
        on_write("status", status=429, retry_after="date", seconds=1.5),
        waits=1,
    ),
    Fault("429 without ``Retry-After``", on_write("status", status=429), waits=0.5),
    Fault(
        "429, ``X-RateLimit-Remaining: 0`` and a reset time",
        on_write("status", status=429, retry_after="reset", seconds=1.5),
        waits=1,
    ),
    Fault(
        "429 without end, ``Retry-After`` of a year",
        on_each_write("status", status=429, headers={"Retry-After": "31536000"}),
        IMPATIENT,
        429,
    ),
    Fault("500 of a read", on_read("status", status=500), status=500),
    Fault("500 of a write", on_write("status", status=500), status=500),
    Fault("500 after the write took effect", on_write("status_after", status=500), status=500),
    Fault("502 once", on_write("status", status=502)),
    Fault("503 once, of a read", on_read("status", status=503)),
    Fault("503 once", on_write("status", status=503)),
    Fault("503 of each write", on_each_write("status", status=503), IMPATIENT, 503),
    Fault("504 once", on_write("status", status=504)),
    Fault("504 after the write took effect", on_write("status_after", status=504)),
    Fault("401", on_read("status", None, status=401), status=401),
    Fault("403 of a write", on_write("status", status=403), status=403),
    Fault("connection refused", connection=IMPATIENT, place="closed port"),
    Fault("connection refused for some seconds", place="outage"),
    Fault("TLS, authority unknown", place="unknown authority"),
    Fault("TLS, authority in ``ca_path``", place="known authority"),
    Fault("reset before a read", on_read("refuse")),
    Fault("reset before the write", on_write("drop_before")),
    Fault("reset after the write took effect", on_write("drop_after")),
    Fault("reset after each write took effect", on_each_write("drop_after"), IMPATIENT),
    Fault("reset before each write", on_each_write("drop_before"), IMPATIENT),
    Fault("answer that breaks off", on_write("truncate")),
    Fault("answer that comes too late (``timeout``)", on_write("stall", seconds=STALL), HASTY),
    Fault(
        "no answer, and no effect (``timeout``)", on_write("stall", seconds=STALL, act=False), HASTY
    ),
    Fault("HTML page of a proxy, 502", on_write("html")),
    Fault("HTML page of a proxy, 200, to a read", on_read("html", status=200), status=200),
    Fault("HTML page of a proxy, 200, to a write", on_write("html", status=200)),
    Fault(
        "200 without JSON to a read", on_read("status", status=200, body="all is well"), status=200
    ),
    Fault("JSON of another shape to a read", on_read("status", status=200, body={"result": "ok"})),
    Fault(
        "JSON of another shape to a write", on_write("status", status=200, body={"result": "ok"})
    ),
    Fault("a field missing in what is read", missing),
    Fault("a field missing in the answer to a write", on_write("omit", field="id")),
    Fault("a write that is accepted and not applied", on_write("ignore_write")),
    Fault("500 of each read after the write", after_the_write("status", status=500), status=500),
]
