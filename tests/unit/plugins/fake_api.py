# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documented API in memory, as a transport of ``requests``: the client under test is the real one, down to its headers and retries."""

from __future__ import annotations

import datetime
import fnmatch
import io
import ipaddress
import json
import typing as t
from dataclasses import dataclass
from unittest import mock
from urllib.parse import unquote, urlsplit

import pyotp
import requests
import urllib3
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.planasonix.admin.plugins.module_utils import _runner
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection

BASE = "https://api.planasonix.com"
KEY = "plnx_live_adminkey0000"
START = 1_767_225_600.0
"""2026-01-01T00:00:00Z, the beginning of a TOTP code's half minute"""
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
BACKUP_CODES = ["1111-2222-33", "4444-5555-66"]

PUT_OBJECTS = ("user/profile", "session-timeout", "settings/log-retention")

Values = dict[str, t.Any]


class Killed(BaseException):
    """The process died; no handler of the code under test may catch it."""


@dataclass
class Fault:
    """What goes wrong with some requests.

    :param pattern: Method and path, such as ``POST /api/user/api-keys/*/regenerate``.
    :param kind: ``refused``, ``late``, ``lost``, ``killed`` or a status, with ``before`` or ``after`` for whether the request takes effect;
        or a function that spoils the data of the answer.
    :param skip: How many of them still go well.
    :param times: How many of them then fail.
    """

    pattern: str
    kind: str | t.Callable[[t.Any], t.Any]
    skip: int = 0
    times: int = 1


def iso(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


class FakeApi(requests.adapters.BaseAdapter):
    """One organization.

    :ivar log: All requests, as ``(method, path, body)``.
    :ivar pauses: Seconds that the client waited, each; the time of :attr:`now` passes by them alone.
    :ivar observe: Called after each write that took effect.
    :ivar objects: Objects by their path after ``/api/``; those that the API documents a PUT for take one.
    :ivar rule_replacement: What a rule that is posted again does: ``keep_id``, ``change_id`` or ``leave_old``.
    :ivar latency: Seconds from a request until it is acted on.
    :ivar api_key: The API key that it accepts.
    :ivar address: Where the client speaks from, if the allowlist is to bind it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.api_key = KEY
        self.settings: Values = {
            "default_timezone": "UTC",
            "require_sso": False,
            "data_residency": "us",
        }
        self.more_settings: Values = {
            "feature_flags": {"lineage_v2": True, "git_integration": True}
        }
        self.entries: list[Values] = []
        self.enabled = False
        self.refuse_second_entry = 0
        self.address: str | None = None
        self.keys: list[Values] = []
        self.secrets: dict[str, str] = {}
        self.channels: list[Values] = []
        self.rules: list[Values] = []
        self.rule_replacement = "keep_id"
        self.objects: dict[str, Values] = {}
        self.password = "old password"
        self.totp_secret = TOTP_SECRET
        self.latency = 0.0
        self.log: list[tuple[str, str, t.Any]] = []
        self.pauses: list[float] = []
        self.faults: list[Fault] = []
        self.observe: t.Callable[[], None] = lambda: None
        self.number = 0

    @property
    def writes(self) -> list[str]:
        """All requests but GET, as ``METHOD path``."""
        return [f"{method} {path}" for method, path, _body in self.log if method != "GET"]

    @property
    def bodies(self) -> list[t.Any]:
        """The bodies of all requests but GET."""
        return [body for method, _path, body in self.log if method != "GET"]

    def state(self) -> tuple[t.Any, ...]:
        """All that a task can change or tell, to compare two organizations."""
        return (
            self.log,
            self.settings,
            self.more_settings,
            self.enabled,
            self.entries,
            self.keys,
            self.channels,
            self.rules,
            self.objects,
            self.password,
        )

    def fail(
        self, pattern: str, kind: str | t.Callable[[t.Any], t.Any], skip: int = 0, times: int = 1
    ) -> FakeApi:
        """Let matching requests fail; returns the API itself."""
        self.faults.append(Fault(pattern, kind, skip, times))
        return self

    def add_key(
        self,
        name: str,
        days_old: float = 0,
        scopes: t.Sequence[str] = ("a:read",),
        days_left: float | None = None,
        **more: t.Any,
    ) -> str:
        """Add a key that exists before the test; returns its id."""
        key_id = self._id("key")
        self.secrets[key_id] = f"plnx_live_secret{self.number:04}"
        self.keys.append(
            {
                "id": key_id,
                "name": name,
                "prefix": "plnx_live_",
                "scopes": list(scopes),
                "created_at": iso(self.now - days_old * 86400),
                "last_used_at": None,
                "expires_at": None if days_left is None else iso(self.now + days_left * 86400),
                **more,
            }
        )
        return key_id

    def add_entry(self, cidr: str, label: str | None = None, days_old: float = 0) -> str:
        """Add an allowlist entry that exists before the test; returns its id."""
        entry = {
            "id": self._id("ipw"),
            "cidr": cidr,
            "label": label,
            "created_at": iso(self.now - days_old * 86400),
        }
        self.entries.append(entry)
        return str(entry["id"])

    def add_channel(self, name: str, kind: str = "slack", **more: t.Any) -> str:
        """Add a notification channel that exists before the test; returns its id."""
        channel = {
            "id": self._id("nch"),
            "type": kind,
            "name": name,
            "enabled": True,
            "config": {},
            **more,
        }
        self.channels.append(channel)
        return str(channel["id"])

    def add_rule(self, name: str, channel_ids: t.Sequence[str] = (), **more: t.Any) -> str:
        """Add a notification rule that exists before the test; returns its id."""
        rule = {
            "id": self._id("nrl"),
            "name": name,
            "event": "pipeline.run.failed",
            "channel_ids": list(channel_ids),
            "filters": {},
            "enabled": True,
            **more,
        }
        self.rules.append(rule)
        return str(rule["id"])

    def add_singletons(self) -> FakeApi:
        """Add the objects of which there is one, as the documentation shows them; returns the API itself."""
        self.objects |= {
            "user/profile": {
                "id": "usr_1",
                "email": "a@example.com",
                "display_name": "Alex",
                "timezone": "Etc/UTC",
                "locale": "en-US",
                "roles": ["admin"],
            },
            "user/mfa": {"enabled": False, "methods": [], "backup_codes_remaining": 0},
            "session-timeout": {
                "idle_timeout_minutes": 60,
                "absolute_timeout_minutes": 1440,
                "extend_on_activity": True,
            },
            "settings/log-retention": {
                "run_logs_days": 30,
                "audit_logs_days": 365,
                "diagnostic_artifacts_days": 7,
            },
            "user-preferences": {"canvas.snap_to_grid": True, "digest": "weekly"},
        }
        return self

    def client(
        self, connection: Connection, read_only: bool = False, secrets: t.Iterable[str] = ()
    ) -> Client:
        """The real client, with this API in place of the network."""
        client = Client(
            connection,
            read_only=read_only,
            secrets=secrets,
            sleep=self.sleep,
            clock=lambda: self.now,
        )
        client.session.mount("https://", self)
        return client

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def close(self) -> None:
        """There is nothing to close."""

    def send(
        self, request: requests.PreparedRequest, *_arguments: t.Any, **_more: t.Any
    ) -> requests.Response:
        assert request.headers["Authorization"] == f"Bearer {self.api_key}"
        method, path = str(request.method), urlsplit(str(request.url)).path
        body = json.loads(request.body) if request.body else None
        self.log.append((method, path, body))
        self.now += self.latency
        fault = self._fault(f"{method} {path}")
        kind, _space, when = fault.partition(" ") if isinstance(fault, str) else ("", "", "")
        if when == "before" or kind == "refused":
            return self._break(request, kind)
        status, data = self.answer(method, [unquote(part) for part in path.split("/")[2:]], body)
        if method != "GET" and status < 300:
            self.observe()
        if when == "after":
            return self._break(request, kind)
        if fault and not isinstance(fault, str):
            data = fault(data)
        return self._respond(request, status, {"data": data} if status < 300 else data)

    def answer(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        """What the API does with a request: the status, and the data or the error."""
        if (
            self.enabled
            and self.address is not None
            and not covers([entry["cidr"] for entry in self.entries], self.address)
        ):
            return error(403, "ip_not_allowed")
        match method, path:
            case "GET", ["settings"]:
                return 200, self.settings
            case "GET", ["settings", "all"]:
                return 200, {**self.settings, **self.more_settings}
            case "POST", ["settings"]:
                for name, value in body.items():
                    (self.settings if name in self.settings else self.more_settings)[name] = value
                return 200, {**self.settings, "updated_at": iso(self.now)}
            case "GET", ["settings", "ip-whitelist", "status"]:
                return 200, {
                    "enabled": self.enabled,
                    "applies_to": ["api", "ui"],
                    "entry_count": len(self.entries),
                }
            case "POST", ["settings", "ip-whitelist", "toggle"]:
                self.enabled = body["enabled"]
                return 200, {"enabled": self.enabled, "updated_at": iso(self.now)}
            case "GET" | "POST" | "DELETE", ["settings", "ip-whitelist", *rest]:
                return self._entry(method, rest, body)
            case "GET" | "POST" | "DELETE", ["user", "api-keys", *rest]:
                return self._key(method, rest, body)
            case "GET" | "POST" | "PUT" | "DELETE", ["notifications", "channels", *rest]:
                return self._channel(method, rest, body)
            case "GET", ["notifications", "rules"]:
                return 200, self.rules
            case "POST", ["notifications", "rules"]:
                return self._rule(body)
            case "POST", ["user", "mfa", action]:
                return self._mfa(action, body)
            case "POST", ["user", "password"]:
                if body["current_password"] != self.password:
                    return error(422, "invalid_password")
                self.password = body["new_password"]
                return 204, None
            case "GET" | "PUT", ["user-preferences", key]:
                if method == "PUT":
                    self.objects["user-preferences"][key] = body["value"]
                if key not in self.objects["user-preferences"]:
                    return error(404, "not_found")
                return 200, {
                    "key": key,
                    "value": self.objects["user-preferences"][key],
                    "updated_at": iso(self.now),
                }
            case "PUT", _ if "/".join(path) in PUT_OBJECTS:
                self.objects["/".join(path)] |= body
                return 200, {**self.objects["/".join(path)], "updated_at": iso(self.now)}
            case "GET", _ if "/".join(path) in self.objects:
                return 200, self.objects["/".join(path)]
        return error(404, "not_found")

    def _entry(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        if method == "GET":
            return 200, self.entries
        if method == "DELETE":
            return remove(self.entries, path[0])
        if self.refuse_second_entry and any(
            entry["cidr"] == body["cidr"] for entry in self.entries
        ):
            return error(self.refuse_second_entry, "duplicate_cidr")
        entry = {
            "id": self._id("ipw"),
            "cidr": body["cidr"],
            "label": body.get("label"),
            "created_at": iso(self.now),
        }
        self.entries.append(entry)
        return 201, entry

    def _key(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        match method, path:
            case "GET", []:
                return 200, self.keys
            case "GET", [key_id]:
                return next(
                    ((200, key) for key in self.keys if key["id"] == key_id),
                    error(404, "not_found"),
                )
            case "DELETE", [key_id]:
                return remove(self.keys, key_id)
            case "POST", []:
                days = body.get("expires_in_days")
                key_id = self.add_key(body["name"], 0, body["scopes"], days)
                return 201, {**self.keys[-1], "secret": self.secrets[key_id]}
            case "POST", [key_id, "regenerate"] if any(key["id"] == key_id for key in self.keys):
                self.number += 1
                self.secrets[key_id] = f"plnx_live_secret{self.number:04}"
                return 200, {
                    "id": key_id,
                    "secret": self.secrets[key_id],
                    "prefix": "plnx_live_",
                    "rotated_at": iso(self.now),
                }
        return error(404, "not_found")

    def _channel(self, method: str, path: list[str], body: t.Any) -> tuple[int, t.Any]:
        match method, path:
            case "GET", []:
                return 200, self.channels
            case "DELETE", [channel_id]:
                return remove(self.channels, channel_id)
            case "POST", []:
                channel = {"id": self._id("nch"), "enabled": True, **body}
                self.channels.append(channel)
                return 201, {name: value for name, value in channel.items() if name != "config"}
            case "POST", [_, "test"]:
                return 202, {"delivery_id": self._id("ndl"), "status": "queued"}
            case "PUT", [channel_id]:
                for channel in self.channels:
                    if channel["id"] == channel_id:
                        channel.update(body)
                        return 200, {
                            "id": channel_id,
                            "name": channel.get("name"),
                            "enabled": channel.get("enabled"),
                        }
        return error(404, "not_found")

    def _rule(self, body: Values) -> tuple[int, t.Any]:
        old = next((rule for rule in self.rules if rule.get("name") == body.get("name")), None)
        rule = {"id": self._id("nrl"), **body}
        if old is not None and self.rule_replacement != "leave_old":
            self.rules.remove(old)
            rule["id"] = rule["id"] if self.rule_replacement == "change_id" else old["id"]
        self.rules.append(rule)
        return 201, {name: value for name, value in rule.items() if name != "filters"}

    def _mfa(self, action: str, body: Values) -> tuple[int, t.Any]:
        status = self.objects["user/mfa"]
        if action == "enable":
            return (
                error(409, "mfa_already_enabled")
                if status["enabled"]
                else (200, {"method": "totp", **self._enrollment()})
            )
        if not status["enabled"] if action == "disable" else status["enabled"]:
            return error(409, "mfa_is_so_already")
        if body.get("password", self.password) != self.password or body["code"] not in (
            *self.codes(),
            *BACKUP_CODES,
        ):
            return error(422, "invalid_code")
        on = action == "verify"
        status |= {
            "enabled": on,
            "methods": ["totp"] if on else [],
            "backup_codes_remaining": len(BACKUP_CODES) if on else 0,
        }
        return (200, {"enabled": True, "backup_codes": BACKUP_CODES}) if on else (204, None)

    def codes(self) -> list[str]:
        """The codes that are accepted now: the current one, without any tolerance."""
        return [str(pyotp.TOTP(self.totp_secret).at(int(self.now)))]

    def _enrollment(self) -> Values:
        uri = (
            f"otpauth://totp/Planasonix:a%40example.com?secret={self.totp_secret}&issuer=Planasonix"
        )
        return {"secret": self.totp_secret, "otpauth_uri": uri, "enrollment_id": self._id("mfaenr")}

    def _id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}_{self.number}"

    def _fault(self, request: str) -> str | t.Callable[[t.Any], t.Any] | None:
        for fault in self.faults:
            if fnmatch.fnmatchcase(request, fault.pattern):
                if fault.skip:
                    fault.skip -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault.kind
        return None

    def _break(self, request: requests.PreparedRequest, kind: str) -> requests.Response:
        if kind == "killed":
            raise Killed
        if kind == "refused":
            reason = urllib3.exceptions.NewConnectionError(mock.Mock(), "Connection refused")
            raise requests.exceptions.ConnectionError(
                urllib3.exceptions.MaxRetryError(mock.Mock(), "/", reason)
            )
        if kind == "late":
            raise requests.exceptions.ReadTimeout("late")
        if kind == "lost":
            raise requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError(
                    "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
                )
            )
        return self._respond(request, *error(int(kind), "planned_fault"))

    @staticmethod
    def _respond(request: requests.PreparedRequest, status: int, body: t.Any) -> requests.Response:
        content = b"" if status == 204 else json.dumps(body).encode()
        raw = urllib3.HTTPResponse(
            io.BytesIO(content),
            {"Content-Type": "application/json", "X-Request-Id": "req_1"},
            status,
            preload_content=False,
            request_method=request.method,
        )
        response: requests.Response = requests.adapters.HTTPAdapter().build_response(request, raw)
        assert response.content == content  # read, as a session does
        return response


def error(status: int, code: str) -> tuple[int, Values]:
    return status, {"error": {"code": code, "message": "as the test wants it"}}


def remove(items: list[Values], item_id: str) -> tuple[int, t.Any]:
    for item in items:
        if item["id"] == item_id:
            items.remove(item)
            return 204, None
    return error(404, "not_found")


def covers(cidrs: t.Iterable[str], network: str) -> bool:
    """Whether each address of a small network is in some listed network: by counting, so that it owes nothing to the code under test."""
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return all(
        any(address in listed for listed in networks) for address in ipaddress.ip_network(network)
    )


def perform(
    api: FakeApi, module: _runner.Module, check_mode: bool = False, **arguments: t.Any
) -> Values:
    """Run a module's task against the API, its arguments validated as Ansible does it."""
    validation = ArgumentSpecValidator(module.argument_spec(), **module.rules).validate(
        {"api_key": api.api_key, **arguments}
    )
    assert validation.error_messages == []
    with mock.patch.object(_runner, "Client", api.client):
        return _runner.run(module, validation.validated_parameters, check_mode)


def perform_both(api: FakeApi, module: _runner.Module, **arguments: t.Any) -> Values:
    """Run a task in check mode, then for real: the first writes nothing and tells the same as the second, which is returned."""
    expected = perform(api, module, check_mode=True, **arguments)
    assert api.writes == []
    result = perform(api, module, **arguments)
    assert not result.get("failed"), result["msg"]
    for name in ("changed", "msg", "diff", "plan"):
        assert expected[name] == result[name]
    return result
