# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From arguments to a result: check mode, failures, secrets, and that a task in the worker and a module of its own give the same."""

from __future__ import annotations

import contextlib
import functools
import json
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS
from unit.plugins.fake_api import KEY, FakeApi, Killed, perform
from unit.plugins.tasks import (
    BASELINE,
    CHANNEL,
    FAILURES,
    INFO,
    KEYS,
    MFA,
    OTHERS,
    PASSWORD,
    PREFERENCES,
    PROFILE,
    SECRET,
    SETTINGS,
    TASKS,
    organization,
)

from ansible_collections.planasonix.admin.plugins.module_utils import _client, _runner
from ansible_collections.planasonix.admin.plugins.module_utils._resource import Resource
from ansible_collections.planasonix.admin.plugins.module_utils._runner import (
    Module,
    contains_secret,
    drop_unset,
    run,
    run_as_module,
    run_in_worker,
)
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection

try:
    from ansible.module_utils.testing import patch_module_args  # ansible-core 2.19+  # pylint: disable=ungrouped-imports
except ImportError:

    @contextlib.contextmanager
    def patch_module_args(args: dict[str, t.Any] | None = None) -> Iterator[None]:
        with mock.patch.object(
            basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": args or {}}).encode()
        ):
            yield


RUNTIME = yaml.safe_load(
    (Path(__file__).resolve().parents[4] / "meta" / "runtime.yml").read_text(encoding="utf-8")
)

WITH_SECRET_RESULTS = {"mfa", "key", "key-recreated", "key-regenerated"}


def in_worker(
    api: FakeApi, module: Module, arguments: dict[str, t.Any], check_mode: bool = False
) -> dict[str, t.Any]:
    with mock.patch.object(_runner, "Client", api.client):
        return run_in_worker(
            module, "planasonix_x", {"api_key": KEY, **arguments}, check_mode, invocation=True
        )


def as_module(
    api: FakeApi,
    module: Module,
    arguments: dict[str, t.Any],
    check_mode: bool,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, t.Any]:
    arguments = {
        "api_key": KEY,
        **arguments,
        "_ansible_check_mode": check_mode,
        "_ansible_module_name": "planasonix_x",
    }
    if (
        "inject_invocation" in PASS_VARS
    ):  # since ansible-core 2.21 a module tells its arguments on demand alone
        arguments["_ansible_inject_invocation"] = True
    with (
        mock.patch.object(_runner, "Client", api.client),
        patch_module_args(arguments),
        pytest.raises(SystemExit),
    ):
        run_as_module(module)
    result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
    return result


def no_deprecations(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Without what AnsibleModule adds of its own."""
    return {
        name: value for name, value in result.items() if name not in ("warnings", "deprecations")
    }


def test_every_module_is_among_the_tasks():
    assert len({id(module) for module, _arguments in {**TASKS, **OTHERS}.values()}) == len(
        RUNTIME["action_groups"]["planasonix"]
    )


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize("case", [*TASKS, *FAILURES, *OTHERS])
def test_worker_and_module_give_the_same(case, check_mode, capsys):
    module, arguments = {**TASKS, **FAILURES, **OTHERS}[case]
    here, there = organization(), organization()
    result = in_worker(here, module, arguments, check_mode)
    assert result == no_deprecations(as_module(there, module, arguments, check_mode, capsys))
    assert here.state() == there.state()
    assert result.get("failed", False) is (case in FAILURES)
    assert KEY not in json.dumps(result) and SECRET not in json.dumps(result)


@pytest.mark.parametrize("case", [*TASKS, "info"])
def test_check_mode_sends_only_get_and_tells_the_same(case):
    module, arguments = {**TASKS, "info": (INFO, {})}[case]
    api = organization()
    expected = perform(api, module, check_mode=True, **arguments)
    assert {method for method, _path, _body in api.log} == {"GET"}
    result = perform(api, module, **arguments)
    assert set(expected) == set(result) - {"secret", "otpauth_uri", "backup_codes", "delivery"}
    assert {name: expected.get(name) for name in ("changed", "msg", "diff")} == {
        name: result.get(name) for name in ("changed", "msg", "diff")
    }
    assert ("secret" in result) is (case in WITH_SECRET_RESULTS)
    assert contains_secret(result) is (case in WITH_SECRET_RESULTS)


@pytest.mark.parametrize("case", list(TASKS))
def test_a_write_in_check_mode_would_be_an_error_not_a_change(case):
    """A resource that ignored the plan could still not write."""
    module, arguments = TASKS[case]
    api = organization()
    broken = replace(
        t.cast(Resource, module.manages),
        read=lambda client, options: client.send("PUT", "/api/thing", action="cheat"),
    )
    result = perform(api, replace(module, manages=broken), check_mode=True, **arguments)
    assert (result["failed"], result["changed"], api.writes) == (True, False, [])


@pytest.mark.parametrize("wrote", [False, True], ids=["reading", "after-a-write"])
@pytest.mark.parametrize(
    "error",
    [ValueError(KEY), KeyError(KEY), RecursionError(), AssertionError(KEY)],
    ids=lambda error: type(error).__name__,
)
def test_no_exception_escapes_and_none_is_quoted(error, wrote):
    reads = []

    def read(client, options):
        reads.append(options)
        if len(reads) > wrote:
            raise error
        return resource.read(client, options)

    resource = t.cast(Resource, SETTINGS.manages)
    result = perform(
        organization(), replace(SETTINGS, manages=replace(resource, read=read)), require_sso=True
    )
    assert result["msg"].startswith(f"Unexpected {type(error).__name__} in test_runner.py, line ")
    assert (result["failed"], result["changed"], set(result)) == (
        True,
        wrote,
        {"failed", "changed", "msg"},
    )
    assert KEY not in json.dumps(result)


def test_a_kill_is_not_taken_for_a_failure():
    with pytest.raises(Killed):
        perform(organization().fail("GET *", "killed before"), SETTINGS)


@pytest.mark.parametrize(
    ("pattern", "kind", "changed", "details"),
    [
        pytest.param(
            "GET *",
            "403 before",
            False,
            {
                "status": 403,
                "code": "planned_fault",
                "request_id": "req_1",
                "method": "GET",
                "path": "/api/settings",
            },
            id="answered",
        ),
        pytest.param(
            "GET *", "refused", False, {"method": "GET", "path": "/api/settings"}, id="unreachable"
        ),
        pytest.param(
            "POST *",
            "422 before",
            False,
            {
                "status": 422,
                "code": "planned_fault",
                "request_id": "req_1",
                "method": "POST",
                "path": "/api/settings",
            },
            id="refused",
        ),
        pytest.param("POST *", "200 before", True, {}, id="without-effect"),
    ],
)
def test_failure_details(pattern, kind, changed, details):
    result = perform(organization().fail(pattern, kind, times=99), SETTINGS, require_sso=True)
    assert {name: value for name, value in result.items() if name != "msg"} == {
        "failed": True,
        "changed": changed,
        **details,
    }


def test_a_key_that_the_api_quotes_is_censored():
    api = organization()
    api.address, api.enabled = "192.0.2.1", True
    with mock.patch.object(api, "answer", lambda *dummy: (401, {"message": f"bad token {KEY}"})):
        result = in_worker(api, SETTINGS, {})
    assert (result["failed"], result["status"]) == (True, 401)
    assert "bad token ********" in result["msg"] and KEY not in json.dumps(result)


@pytest.mark.parametrize(
    "body",
    [
        {"message": f"{'x' * 170} LONG {'y' * 400}"},
        {"detail": [{"loc": ["body", "new_password"], "msg": "too weak", "input": "LONG"}]},
        {"error": {"code": "no", "message": ["LONG"]}},
        {"error": {"code": "no", "message": json.dumps({"input": "LONG"})}},
    ],
    ids=["cut-in-the-middle", "list-of-errors", "list", "json-in-text"],
)
@pytest.mark.parametrize(
    "secret",
    ["a-quite-long-password-0123456789-0123456789", 'p"q\\-pässwörd'],
    ids=["plain", "escaped"],
)
def test_a_secret_that_the_api_quotes_is_censored_whole(body, secret):
    api = organization()
    body = json.loads(
        json.dumps(body).replace(
            "LONG",
            json.dumps(json.dumps(secret)[1:-1])[1:-1]
            if "json" in str(body)
            else json.dumps(secret)[1:-1],
        )
    )
    api.fail("POST *", "422 before")
    with mock.patch("unit.plugins.fake_api.error", lambda status, code: (status, body)):
        result = in_worker(
            api, PASSWORD, {"current_password": "old password", "new_password": secret}
        )
    assert result["status"] == 422
    assert not any(
        part in json.dumps(result, ensure_ascii=False)
        for part in (secret, secret[:12], "wörd", "w\\u00f6rd")
    )


@pytest.mark.parametrize("value", ["True", "False", "None"])
def test_a_secret_that_reads_like_a_boolean_does_not_hide_the_booleans(value):
    result = in_worker(
        organization(), CHANNEL, {"name": "Alerts", "enabled": False, "secret_config": {"k": value}}
    )
    assert result["changed"] is True


@pytest.mark.parametrize("invocation", [True, False])
@pytest.mark.parametrize(
    "arguments", [{"secret_config": {"k": SECRET}}, {"typo": SECRET}], ids=["valid", "invalid"]
)
def test_invocation(invocation, arguments):
    api = organization()
    with mock.patch.object(_runner, "Client", api.client):
        result = run_in_worker(
            CHANNEL,
            "planasonix_x",
            {"api_key": KEY, "name": "Alerts", **arguments},
            False,
            invocation,
        )
    assert ("invocation" in result) is invocation
    if invocation:
        told = result["invocation"]["module_args"]
        assert told["api_key"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        assert (told["name"], told["retries"]) == ("Alerts", 5)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("PLANASONIX_API_URL", "https://acme.example.com/v1", "url", "https://acme.example.com/v1"),
        ("PLANASONIX_API_KEY", "plnx_live_env", "key", "plnx_live_env"),
        ("PLANASONIX_VALIDATE_CERTS", "no", "validate_certs", False),
        ("PLANASONIX_CA_PATH", "/etc/ca.pem", "ca_path", "/etc/ca.pem"),
        ("PLANASONIX_TIMEOUT", "2.5", "timeout", 2.5),
        ("PLANASONIX_DEADLINE", "60", "deadline", 60.0),
    ],
)
@pytest.mark.parametrize("given_too", [False, True], ids=["environment", "option-wins"])
def test_connection(variable, text, field, value, given_too, monkeypatch):
    seen: list[Connection] = []

    def note(connection: Connection, read_only: bool, secrets: t.Iterable[str]) -> t.NoReturn:
        seen.append(connection)
        raise NotImplementedError

    options = {
        "api_url": "https://b.example.com",
        "api_key": "b",
        "validate_certs": True,
        "ca_path": "/b",
        "timeout": 9,
        "deadline": 99,
    }
    monkeypatch.setenv("PLANASONIX_API_KEY", "plnx_live_env")
    monkeypatch.setenv(variable, text)
    with mock.patch.object(_runner, "Client", note):
        run_in_worker(SETTINGS, "x", options if given_too else {}, False, False)
    name = {"url": "api_url", "key": "api_key"}.get(field, field)
    assert getattr(seen[0], field) == (options[name] if given_too else value)


@pytest.mark.parametrize("blank", ["", " "], ids=["empty", "blank"])
def test_blank_variables_count_as_unset(blank, monkeypatch, capsys):
    for variable in (
        *("PLANASONIX_API_URL", "PLANASONIX_VALIDATE_CERTS", "PLANASONIX_CA_PATH"),
        *("PLANASONIX_TIMEOUT", "PLANASONIX_DEADLINE", "PLANASONIX_API_KEY"),
    ):
        monkeypatch.setenv(variable, blank)
    api = organization()
    for result in (
        in_worker(api, SETTINGS, {}, False),
        as_module(api, SETTINGS, {}, False, capsys),
    ):
        assert not result.get("failed")
    monkeypatch.delenv("PLANASONIX_API_KEY")
    unset = run_in_worker(SETTINGS, "x", {}, False, False)
    monkeypatch.setenv("PLANASONIX_API_KEY", blank)
    assert run_in_worker(SETTINGS, "x", {}, False, False) == unset
    assert "api_key" in unset["msg"]


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_no_control_character_of_a_name_is_displayed(fails, capsys):
    name = "Al\x1b[31merts\x9b\u202e"
    results = []
    for run_task in (in_worker, functools.partial(as_module, capsys=capsys)):
        api = organization()
        api.add_channel(name)
        if fails:
            api.add_channel(name)
        task = {"name": name, "enabled": False}
        results.append(run_task(api, CHANNEL, task, check_mode=False))
    for result in results:
        assert bool(result.get("failed")) is fails
        assert "Al\\u001b[31merts" in result["msg"].replace("\\x1b", "\\u001b")
        assert result["msg"].isprintable()


def test_connection_defaults():
    parameters = {
        name: option.get("default") for name, option in SETTINGS.argument_spec().items()
    } | {"api_key": KEY}
    assert _runner.make_connection(parameters) == Connection(
        "https://api.planasonix.com", KEY, True, None, 30, 5, 120
    )


def test_a_missing_library_of_one_module_is_told_by_that_module(capsys):
    module = replace(MFA, library_errors={"pyotp": "Traceback: No module named 'pyotp'"})
    result = as_module(organization(), module, {"state": "enabled"}, False, capsys)
    assert result["failed"] and "pyotp" in result["msg"]
    assert (
        set(module.missing_libraries()),
        MFA.missing_libraries(),
        SETTINGS.missing_libraries(),
    ) == ({"pyotp"}, {}, {})


def test_missing_requests_is_told(monkeypatch, capsys):
    monkeypatch.setattr(_client, "REQUESTS_IMPORT_ERROR", "Traceback: No module named 'requests'")
    result = as_module(organization(), SETTINGS, {}, False, capsys)
    assert result["failed"] and "requests" in result["msg"]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (
            [{"cidr": "x", "label": None}, {"cidr": "y", "label": ""}],
            [{"cidr": "x"}, {"cidr": "y", "label": ""}],
        ),
        (["a", None], ["a", None]),
        ({"a": None}, {"a": None}),
        ("a", "a"),
    ],
    ids=["suboptions", "scalars", "mapping", "text"],
)
def test_drop_unset(value, result):
    assert drop_unset(value) == result


@pytest.mark.parametrize(
    ("result", "hidden"),
    [
        ({"msg": "x"}, False),
        ({"secret": "x"}, True),
        ({"otpauth_uri": "x"}, True),
        ({"backup_codes": ["x"]}, True),
        ({"backup_codes": []}, False),
        ({"api_key": {"secret": "x"}}, False),
    ],
    ids=["none", "secret", "uri", "codes", "no-codes", "deeper"],
)
def test_contains_secret(result, hidden):
    assert contains_secret(result) is hidden


def test_a_connection_that_cannot_be_made_is_a_failure_like_any_other():
    parameters = {
        name: option.get("default") for name, option in SETTINGS.argument_spec().items()
    } | {"api_key": KEY, "timeout": 0}
    assert run(SETTINGS, parameters, False) == {
        "failed": True,
        "changed": False,
        "msg": "timeout must be greater than 0 seconds, and at most 86400.",
    }


ODD = "\ud83d half \u2028 \x1b[31m \x9b31m"
SPELLED = "\\ud83d half \u2028 \x1b[31m \x9b31m"
"""As results hold it: control characters stay, and half a character is spelled out."""


def odd_organization() -> FakeApi:
    api = organization()
    for objects in (api.keys, api.channels, api.rules):
        objects.append({**objects[0], "id": f"{objects[0]['id']}x", "name": ODD})
    api.objects["user/profile"]["display_name"] = ODD
    api.more_settings["feature_flags"][ODD] = True
    api.objects["user-preferences"]["banner"] = {ODD: [ODD]}
    return api


ODD_TASKS: dict[str, tuple[Module, dict[str, t.Any]]] = {
    **{
        name: {**TASKS, **OTHERS}[name]
        for name in ("info", "baseline", "rule", "channel", "key-unchanged", "preferences")
    },
    "profile": (PROFILE, {"locale": "de-DE"}),
    "flags": (SETTINGS, {"extra": {"feature_flags": {"lineage_v2": False}}}),
    "odd-channel": (CHANNEL, {"name": SPELLED, "enabled": False}),
    "odd-key": (KEYS, {"name": SPELLED, "state": "absent"}),
    "purge": (
        BASELINE,
        {
            "controls": [
                {
                    "resource": "notification_channels",
                    "require": {"present": [{"name": SPELLED}, {"name": "Alerts"}], "purge": True},
                }
            ]
        },
    ),
}


@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "run"])
@pytest.mark.parametrize("case", list(ODD_TASKS))
def test_half_a_character_of_the_api_stops_nothing_and_is_sent_as_it_came(case, check_mode, capsys):
    module, arguments = ODD_TASKS[case]
    here, there = odd_organization(), odd_organization()
    result = in_worker(here, module, arguments, check_mode)
    assert result == no_deprecations(as_module(there, module, arguments, check_mode, capsys))
    assert here.state() == there.state()
    assert not result.get("failed"), result["msg"]
    json.dumps(result, ensure_ascii=False).encode()
    assert not any(character in result["msg"] for character in "\x1b\x9b")
    if case == "info":
        assert result["planasonix"]["api_keys"][-1]["name"] == SPELLED
    if case in ("profile", "flags") and not check_mode:
        (body,) = here.bodies
        assert body.get("display_name", ODD) == ODD
        assert body.get("feature_flags", {ODD: True})[ODD] is True
    if case == "odd-channel":
        assert result["msg"].endswith("enabled true -> false")
        assert "ud83d half " in result["msg"] and "\\x1b[31m" in result["msg"]
    if case == "purge":
        assert (result["changed"], here.writes) == (False, [])


@pytest.mark.parametrize("quoted", [ODD, "\udfff"])
def test_half_a_character_in_an_error_is_spelled_out(quoted, capsys):
    apis = [organization(), organization()]
    for api in apis:
        body = {"error": {"code": quoted, "message": quoted}}
        api.answer = lambda *dummy, body=body: (409, body)  # type: ignore[method-assign]
    results = [
        in_worker(apis[0], SETTINGS, {}),
        no_deprecations(as_module(apis[1], SETTINGS, {}, False, capsys)),
    ]
    assert results[0] == results[1]
    json.dumps(results[0], ensure_ascii=False).encode()
    assert results[0]["failed"] and "\\ud" in results[0]["msg"]
    assert not any(character in results[0]["msg"] for character in "\x1b\x9b")


def test_half_a_character_in_an_option_is_refused_before_anything_is_read():
    api = organization()
    result = in_worker(api, PREFERENCES, {"preferences": {"digest": ODD}})
    assert (result["failed"], api.log) == (True, [])
    json.dumps(result, ensure_ascii=False).encode()
    assert "preferences contains half a character" in result["msg"]
