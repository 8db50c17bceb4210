# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action plugin: where a task runs, with which arguments, and what is shown of its result."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible import constants as C

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._runner import CONNECTION_SPEC
from ansible_collections.planasonix.admin.plugins.modules import planasonix_api_key, planasonix_mfa
from ansible_collections.planasonix.admin.plugins.modules.planasonix_settings import MODULE
from ansible_collections.planasonix.admin.plugins.plugin_utils import _action
from ansible_collections.planasonix.admin.plugins.plugin_utils._action import (
    PlanasonixAction,
    wants_invocation,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag

try:
    from ansible.template import trust_as_template as tagged  # ansible-core 2.19+  # pylint: disable=ungrouped-imports
except ImportError:
    from ansible.utils.unsafe_proxy import wrap_var as tagged


class SettingsAction(PlanasonixAction):
    MODULE = MODULE


class ApiKeyAction(PlanasonixAction):
    MODULE = planasonix_api_key.MODULE


class MfaAction(PlanasonixAction):
    MODULE = planasonix_mfa.MODULE


class Number(int):
    """A number of a kind of its own."""


def make_action(
    task: dict[str, t.Any] | None = None,
    connection: dict[str, t.Any] | None = None,
    kind: type[PlanasonixAction] = SettingsAction,
) -> t.Any:
    """An action of a task with these attributes, on a connection with those. Templates stand for themselves."""
    attributes = {
        "args": {},
        "action": "planasonix.admin.planasonix_settings",
        "check_mode": False,
        "async_val": 0,
        "no_log": False,
        "environment": [],
        **(task or {}),
    }
    shell = SimpleNamespace(tmpdir="/tmp/x", env_prefix=lambda **variables: "")
    wire = {
        "transport": "local",
        "become": None,
        "has_native_async": False,
        "_shell": shell,
        "_play_context": SimpleNamespace(no_log=False),
        **(connection or {}),
    }
    templar = SimpleNamespace(template=lambda value: value)
    parts: list[t.Any] = [
        SimpleNamespace(**attributes),
        SimpleNamespace(**wire),
        mock.Mock(),
        mock.Mock(),
        templar,
        mock.Mock(),
    ]
    action: t.Any = kind(*parts)
    action._display = mock.Mock()
    return action


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What ran: in the worker, and as a module. Each answers with :attr:`answer`."""
    found = SimpleNamespace(
        worker=[], module=[], removed=[], answer={"changed": True, "msg": "done"}
    )

    def run_in_worker(*arguments: t.Any) -> dict[str, t.Any]:
        found.worker.append(arguments)
        return dict(found.answer)

    def execute_module(self: PlanasonixAction, **arguments: t.Any) -> dict[str, t.Any]:
        found.module.append(arguments)
        return dict(found.answer)

    monkeypatch.setattr(_action, "run_in_worker", run_in_worker)
    monkeypatch.setattr(PlanasonixAction, "_execute_module", execute_module)
    monkeypatch.setattr(
        PlanasonixAction, "_remove_tmp_path", lambda self, path: found.removed.append(path)
    )
    monkeypatch.setattr(sys, "platform", "linux")
    return found


@pytest.mark.parametrize(
    ("task", "connection", "here"),
    [
        pytest.param({}, {}, True, id="local"),
        pytest.param({}, {"transport": "ansible.builtin.local"}, True, id="local-by-full-name"),
        pytest.param({}, {"transport": "ssh"}, False, id="ssh"),
        pytest.param({}, {"transport": "community.docker.docker"}, False, id="other-by-full-name"),
        pytest.param({}, {"become": mock.Mock()}, False, id="become"),
        pytest.param({"environment": [{"http_proxy": "x"}]}, {}, False, id="environment"),
        pytest.param({"environment": [{}, {"A": "b"}]}, {}, False, id="environment-of-the-task"),
        pytest.param({"environment": [{}, {}]}, {}, True, id="empty-environments"),
        pytest.param({"environment": [None]}, {}, True, id="null-environment"),
        pytest.param({"environment": None}, {}, True, id="no-environment"),
        pytest.param({"async_val": 10}, {}, False, id="async"),
        pytest.param({"check_mode": True}, {}, True, id="check-mode"),
    ],
)
def test_where_a_task_runs(runs, task, connection, here):
    result = make_action(task, connection).run(task_vars={})
    assert result == {"changed": True, "msg": "done"}
    assert (len(runs.worker), len(runs.module)) == ((1, 0) if here else (0, 1))


@pytest.mark.parametrize(
    ("platform", "missing", "here"),
    [("linux", None, True), ("darwin", None, False), ("linux", "Traceback", False)],
    ids=["linux", "macos", "no-requests"],
)
def test_where_a_task_cannot_run_in_the_worker(runs, monkeypatch, platform, missing, here):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(_client, "REQUESTS_IMPORT_ERROR", missing)
    make_action().run(task_vars={})
    assert (len(runs.worker), len(runs.module)) == ((1, 0) if here else (0, 1))


def test_a_task_whose_module_needs_another_library_cannot_run_in_the_worker(runs, monkeypatch):
    monkeypatch.setattr(
        SettingsAction, "MODULE", replace(MODULE, library_errors={"pyotp": "Traceback"})
    )
    make_action().run(task_vars={})
    assert (len(runs.worker), len(runs.module)) == (0, 1)


@pytest.mark.parametrize("check_mode", [True, False, None])
def test_what_the_worker_is_told(runs, monkeypatch, check_mode):
    monkeypatch.setattr(_action, "wants_invocation", lambda task_vars: task_vars["wanted"])
    make_action({"args": {"require_sso": True}, "check_mode": check_mode}).run(
        task_vars={"wanted": 42}
    )
    assert runs.worker == [
        (
            MODULE,
            "planasonix.admin.planasonix_settings",
            {"require_sso": True},
            bool(check_mode),
            42,
        )
    ]


@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_variables_of_the_host_give_the_connection(runs, monkeypatch, transport):
    """An option of the task, or of module_defaults, wins; then a variable, then the environment."""
    rendered = {"{{ key }}": "rendered", "{{ nothing }}": None, "{{ omit }}": "__omit__"}
    for variable in ("API_URL", "API_KEY", "CA_PATH"):
        monkeypatch.setenv(f"PLANASONIX_{variable}", "of the environment")
    action = make_action({"args": {"api_url": "of the task"}}, {"transport": transport})
    action._templar.template = lambda values: {name: rendered[values[name]] for name in values}
    variables = {"api_url": "{{ unused }}", "api_key": "{{ key }}", "timeout": "{{ omit }}"}
    variables |= {"retries": "{{ nothing }}", "ca_path": None, "other": 1}
    task_vars = {f"planasonix_{name}": value for name, value in variables.items()}
    action.run(task_vars={**task_vars, "omit": "__omit__"})
    given = runs.worker[0][2] if transport == "local" else runs.module[0]["module_args"]
    assert given == {
        "api_url": "of the task",
        "api_key": "rendered",
        "ca_path": "of the environment",
    }


@pytest.mark.parametrize(
    ("async_val", "native", "wrap", "removed"),
    [(0, False, False, ["/tmp/x"]), (10, False, True, []), (10, True, False, ["/tmp/x"])],
    ids=["plain", "async", "native-async"],
)
def test_how_the_module_is_run(runs, async_val, native, wrap, removed):
    make_action(
        {"args": {"require_sso": True}, "async_val": async_val},
        {"transport": "ssh", "has_native_async": native},
    ).run(task_vars={"a": 1})
    assert runs.module == [
        {"module_args": {"require_sso": True}, "task_vars": {"a": 1}, "wrap_async": wrap}
    ]
    assert runs.removed == removed


@pytest.mark.parametrize(
    ("kind", "arguments", "refused"),
    [
        pytest.param(ApiKeyAction, {"name": "k"}, True, id="key"),
        pytest.param(ApiKeyAction, {"name": "k", "secret_file": "/f"}, True, id="key-file"),
        pytest.param(ApiKeyAction, {"name": "k", "state": "absent"}, False, id="key-absent"),
        pytest.param(MfaAction, {"state": "enabled"}, True, id="mfa"),
        pytest.param(MfaAction, {"state": "enabled", "secret_file": "/f"}, True, id="mfa-file"),
        pytest.param(MfaAction, {"state": "disabled"}, False, id="mfa-disabled"),
        pytest.param(SettingsAction, {}, False, id="settings"),
    ],
)
@pytest.mark.parametrize("no_log", [True, False])
def test_async_creates_no_secret(runs, kind, arguments, refused, no_log):
    task = {
        "args": arguments,
        "action": "the.module",
        "async_val": 10,
        "no_log": no_log,
    }
    result = make_action(task, kind=kind).run(task_vars={})
    assert runs.worker == []
    if not refused:
        assert len(runs.module) == 1
        return
    assert runs.module == []
    assert result == {
        "failed": True,
        "msg": "the.module cannot create a secret with async: Ansible keeps the result of such a "
        "task in a file that other users may read. Remove async from the task.",
    }


@pytest.mark.parametrize(
    ("kind", "hidden"),
    [(SettingsAction, False), (ApiKeyAction, True), (MfaAction, True)],
    ids=["settings", "key", "mfa"],
)
def test_a_connection_does_not_print_what_a_module_that_makes_secrets_answers(
    runs, monkeypatch, kind, hidden
):
    action = make_action({"args": {"name": "k"}}, {"transport": "ssh"}, kind)
    monkeypatch.setattr(
        PlanasonixAction,
        "_execute_module",
        lambda self, **arguments: {"msg": self._connection._play_context.no_log},
    )
    assert action.run(task_vars={})["msg"] is hidden
    assert action._connection._play_context.no_log is False


VARIABLES = sorted(
    name for option in CONNECTION_SPEC.values() for name in option.get("fallback", (None, []))[1]
)
CONTROLLER = {
    "PLANASONIX_API_URL": "https://controller.example.com",
    "PLANASONIX_API_KEY": "controller",
}


@pytest.mark.parametrize(
    ("controller", "environment", "arguments", "passed"),
    [
        pytest.param({}, [], {}, {}, id="nothing"),
        pytest.param(
            CONTROLLER,
            [],
            {},
            {"api_url": "https://controller.example.com", "api_key": "controller"},
            id="controller",
        ),
        pytest.param(
            CONTROLLER,
            [{"PLANASONIX_API_KEY": "task"}],
            {},
            {"api_url": "https://controller.example.com", "api_key": "task"},
            id="task-before-controller",
        ),
        pytest.param(
            CONTROLLER,
            [{"PLANASONIX_API_KEY": "play"}, {"PLANASONIX_API_KEY": "task"}],
            {},
            {"api_url": "https://controller.example.com", "api_key": "task"},
            id="task-before-play",
        ),
        pytest.param(
            CONTROLLER,
            [{"PLANASONIX_API_KEY": "task"}],
            {"api_key": "option"},
            {"api_url": "https://controller.example.com", "api_key": "option"},
            id="option-before-task",
        ),
        pytest.param(
            {}, [{"PLANASONIX_TIMEOUT": 5, "OTHER": "x"}], {}, {"timeout": "5"}, id="number"
        ),
        pytest.param(
            {"PLANASONIX_VALIDATE_CERTS": "yes"},
            [{"PLANASONIX_VALIDATE_CERTS": False}],
            {},
            {"validate_certs": "False"},
            id="false-of-the-task-before-controller",
        ),
        pytest.param(
            {"PLANASONIX_CA_PATH": "/ca", "PLANASONIX_VALIDATE_CERTS": "no"},
            [],
            {},
            {"ca_path": "/ca", "validate_certs": "no"},
            id="certificates",
        ),
        pytest.param({"PLANASONIX_API_KEY": ""}, [], {}, {}, id="empty"),
        pytest.param(dict.fromkeys(VARIABLES, " "), [], {}, {}, id="all-blank"),
        pytest.param({"PLANASONIX_DEADLINE": "60"}, [], {}, {"deadline": "60"}, id="deadline"),
        pytest.param(
            {"PLANASONIX_TIMEOUT": "abc"}, [], {"timeout": 5}, {"timeout": 5}, id="wrong-and-unused"
        ),
        pytest.param(
            {"PLANASONIX_TIMEOUT": "5"},
            [{"PLANASONIX_TIMEOUT": ""}],
            {},
            {"timeout": "5"},
            id="empty-of-the-task",
        ),
        pytest.param(
            {},
            [],
            {"default_timezone": "UTC", "extra": {"a": 1}},
            {"default_timezone": "UTC", "extra": {"a": 1}},
            id="options",
        ),
    ],
)
@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_arguments(runs, monkeypatch, controller, environment, arguments, passed, transport):
    for name, value in controller.items():
        monkeypatch.setenv(name, value)
    make_action({"args": arguments, "environment": environment}, {"transport": transport}).run(
        task_vars={}
    )
    assert (runs.worker[0][2] if runs.worker else runs.module[0]["module_args"]) == passed


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PLANASONIX_TIMEOUT", "abc", "a number"),
        ("PLANASONIX_DEADLINE", "2m", "a number"),
        ("PLANASONIX_VALIDATE_CERTS", "maybe", "a boolean"),
    ],
)
@pytest.mark.parametrize("transport", ["local", "ssh"])
@pytest.mark.parametrize("of_the_task", [True, False], ids=["task", "controller"])
def test_a_variable_that_cannot_be_used(
    runs, monkeypatch, variable, value, expected, transport, of_the_task
):
    environment = [{variable: value}] if of_the_task else []
    if not of_the_task:
        monkeypatch.setenv(variable, value)
    action = make_action({"args": {}, "environment": environment}, {"transport": transport})
    assert action.run(task_vars={}) == {
        "failed": True,
        "msg": f"The environment variable {variable} is {value!r}; expected {expected}. "
        "Correct it or unset it.",
    }
    assert runs.worker == runs.module == []


@pytest.mark.parametrize("transport", ["local", "ssh"])
@pytest.mark.parametrize(
    ("answer", "hidden", "errors"),
    [
        pytest.param({"changed": True, "msg": "made"}, False, [], id="no-secret"),
        pytest.param({"changed": True, "msg": "made", "secret": "s"}, True, [], id="secret"),
        pytest.param({"changed": True, "msg": "made", "backup_codes": ["x"]}, True, [], id="codes"),
        pytest.param(
            {"failed": True, "msg": "not stored", "secret": "s"},
            True,
            ["not stored"],
            id="failure-with-a-secret",
        ),
        pytest.param({"failed": True, "msg": "refused"}, False, [], id="failure"),
        pytest.param(
            {"changed": True, "msg": "made", "secret": "x", "warnings": ["lost"]},
            True,
            [],
            id="warning-with-a-secret",
        ),
        pytest.param(
            {"changed": True, "msg": "made", "warnings": ["lost"]}, False, [], id="warning"
        ),
    ],
)
def test_a_result_with_a_secret_is_hidden(runs, transport, answer, hidden, errors):
    runs.answer = answer
    action = make_action(connection={"transport": transport})
    result = action.run(task_vars={})
    assert result == {**answer, **({"_ansible_no_log": True} if hidden else {})}
    assert [call.args[0] for call in action._display.error.call_args_list] == errors
    assert [call.args[0] for call in action._display.warning.call_args_list] == (
        answer.get("warnings", []) if hidden else []
    )


@pytest.mark.parametrize("transport", ["local", "ssh"])
@pytest.mark.parametrize("failed", [False, True])
def test_a_result_for_register_only_is_hidden_and_a_failure_is_shown(runs, transport, failed):
    runs.answer = {"msg": "answered 401", **({"failed": True} if failed else {})}
    action = make_action(connection={"transport": transport})
    result = action.run(task_vars={"__planasonix_hidden_result": True})
    assert result == {**runs.answer, **({} if failed else {"_ansible_no_log": True})}


@pytest.mark.parametrize("name", ["__planasonix_hidden_result", "__planasonix_hidden_controls"])
def test_a_connection_does_not_print_what_is_hidden(runs, monkeypatch, name):
    action = make_action(connection={"transport": "ssh"})
    monkeypatch.setattr(
        PlanasonixAction,
        "_execute_module",
        lambda self, **arguments: {"msg": self._connection._play_context.no_log},
    )
    assert action.run(task_vars={name: True})["msg"] is True


def test_values_of_channels_are_not_displayed_and_their_verdicts_are(runs):
    control = {"id": "a", "resource": "settings", "remediable": True, "status": "pass"}
    channel = {**control, "id": "b", "resource": "notification_channels"}
    values = {"require": "secret", "expected": "secret", "current": "secret"}
    runs.answer = {
        "changed": True,
        "msg": "baseline",
        "invocation": "secret",
        "controls": [
            {**control, **values, "detail": ""},
            {**channel, **values, "status": "fixed", "detail": "config.a secret -> secret"},
            {**channel, **values, "status": "error", "detail": "answered 500"},
        ],
        "plan": {
            "changes": [
                {"resource": "settings", "before": {"b": 1}, "after": {"b": 2}},
                {
                    "resource": "notification_channels",
                    "before": {"enabled": False, "config": {"a": "secret", "same": "secret"}},
                    "after": {"enabled": True, "config": {"a": "secret 2", "same": "secret"}},
                },
            ]
        },
        "diff": {
            "before": {
                "settings": {"b": 1},
                "notification_channels": {
                    "Hook": {"enabled": False, "config": {"a": "secret", "same": "secret"}},
                    "New": {},
                },
            },
            "after": {
                "settings": {"b": 2},
                "notification_channels": {
                    "Hook": {"enabled": True, "config": {"a": "secret 2", "same": "secret"}},
                    "New": {"config": {"a": "secret"}, "name": "New"},
                },
            },
        },
    }
    result = make_action().run(task_vars={"__planasonix_hidden_controls": True})
    assert "secret" not in str(result)
    assert [one["detail"] for one in result["controls"]] == ["", "", "answered 500"]
    hidden = "(not displayed)"
    assert result["plan"]["changes"] == [
        {"resource": "settings", "before": {"b": 1}, "after": {"b": 2}},
        {
            "resource": "notification_channels",
            "before": {
                "enabled": False,
                "config": {"a": "(not displayed, before)", "same": hidden},
            },
            "after": {"enabled": True, "config": {"a": "(not displayed, after)", "same": hidden}},
        },
    ]
    assert result["diff"] == {
        "before": {
            "settings": {"b": 1},
            "notification_channels": {
                "Hook": {
                    "enabled": False,
                    "config": {"a": f"{hidden[:-1]}, before)", "same": hidden},
                },
                "New": {},
            },
        },
        "after": {
            "settings": {"b": 2},
            "notification_channels": {
                "Hook": {
                    "enabled": True,
                    "config": {"a": f"{hidden[:-1]}, after)", "same": hidden},
                },
                "New": {"config": {"a": f"{hidden[:-1]}, after)"}, "name": "New"},
            },
        },
    }


def test_a_task_without_variables(runs):
    assert make_action().run()["msg"] == "done"


# Made in the test: before ansible-core 2.19, pytest-xdist cannot tell of a failed test that has a tagged text as a parameter.
@pytest.mark.parametrize(
    ("make", "result"),
    [
        pytest.param(lambda: tagged("x"), "x", id="tagged-text"),
        pytest.param(lambda: "x", "x", id="text"),
        pytest.param(lambda: True, True, id="true"),
        pytest.param(lambda: None, None, id="null"),
        pytest.param(lambda: 1.5, 1.5, id="float"),
        pytest.param(lambda: Number(3), 3, id="kind-of-number"),
        pytest.param(lambda: [tagged("x"), (1, tagged("y"))], ["x", [1, "y"]], id="lists"),
        pytest.param(
            lambda: {tagged("a"): {"b": [tagged("x")]}, 1: None},
            {"a": {"b": ["x"]}, "1": None},
            id="mapping",
        ),
        pytest.param(lambda: SimpleNamespace(a=1), "namespace(a=1)", id="anything-else"),
    ],
)
def test_plain(make, result):
    def kinds(item: t.Any) -> t.Any:
        if isinstance(item, dict):
            return "dict", [(type(key).__name__, kinds(part)) for key, part in item.items()]
        return (
            (type(item).__name__, [kinds(part) for part in item])
            if isinstance(item, (list, tuple))
            else type(item).__name__
        )

    value = untag(make())
    assert kinds(value) == kinds(result)
    assert value == result


@pytest.mark.parametrize(
    ("known", "setting", "wanted"),
    [(False, None, True), (True, True, True), (True, False, False)],
    ids=["no-setting", "on", "off"],
)
def test_wants_invocation(monkeypatch, known, setting, wanted):
    config = SimpleNamespace(
        get_configuration_definition=lambda name: {"name": name} if known else None,
        get_config_value=lambda name, variables: variables["setting"],
    )
    monkeypatch.setattr(C, "config", config)
    assert wants_invocation({"setting": setting}) is wanted
