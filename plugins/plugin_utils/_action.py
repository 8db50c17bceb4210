# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one action plugin: runs a module in Ansible's worker where the task allows it.

A packed module costs a start of Python and all imports. The worker is forked already, so a task in
it costs about as much as ``debug``. Each file in ``plugins/action`` binds this class to one module:
Ansible imports these files before it forks, so the imports cost once per play. (With
``action_plugin`` in ``meta/runtime.yml`` each worker would import; with ``redirect`` the
``module_defaults`` of one module would apply to all.)

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import os
import sys
import typing as t
from dataclasses import dataclass

from ansible import constants as C
from ansible.module_utils.common.validation import check_type_bool, check_type_float
from ansible.plugins.action import ActionBase

from ansible_collections.planasonix.admin.plugins.module_utils._runner import (
    CONNECTION_SPEC,
    Module,
    contains_secret,
    run_in_worker,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import (
    mark_unsafe,
    untag,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._warmup import (
    convert_result,
    run_empty_module,
    warm_up,
)

CHECKS: dict[str, tuple[str, t.Callable[[str], t.Any]]] = {
    "bool": ("a boolean", check_type_bool),
    "float": ("a number", check_type_float),
}
"""What Ansible accepts for an option of a type."""


@dataclass(frozen=True)
class Variable:
    """An environment variable that gives the value of an option."""

    name: str
    value: str

    def fault(self, kind: str) -> str | None:
        """Say what is wrong with the value, as Ansible's own message names only the option."""
        if kind not in CHECKS:
            return None
        expected, check = CHECKS[kind]
        try:
            check(self.value)
        except (TypeError, ValueError):
            return (
                f"The environment variable {self.name} is {self.value!r}; expected {expected}. "
                "Correct it or unset it."
            )
        return None


HIDDEN_RESULT = "__planasonix_hidden_result"
"""Variable of a task whose result is for ``register`` only. A failure is displayed."""

HIDDEN_CONTROLS = "__planasonix_hidden_controls"
"""Variable of a task whose controls may have secrets that the API does not mask.

The verdicts are displayed, and the values are not.
"""


ASYNC_SECRET = (
    "{} cannot create a secret with async: Ansible keeps the result of such a task in a file that "
    "other users may read. Remove async from the task."
)
"""Why a task fails that could leave a secret in the job file of async, which has mode 0644."""


class PlanasonixAction(ActionBase):
    """Runs :attr:`MODULE` in the worker, or hands the task to the packed module."""

    MODULE: Module

    _supports_async = True
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        """Run the task, and hide a result with a secret from display and logs.

        ``register`` keeps the whole result.
        """
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = self._read_arguments(task_vars)
        makes_secret = self.MODULE.makes_secret
        if self._task.async_val and makes_secret and makes_secret(arguments):
            return {"failed": True, "msg": ASYNC_SECRET.format(self._task.action)}
        for option, variable in self._from_environment().items():
            if option in arguments:
                continue
            fault = variable.fault(CONNECTION_SPEC[option]["type"])
            if fault:
                return {"failed": True, "msg": fault}
            arguments[option] = variable.value
        if self._can_run_here():
            result = mark_unsafe(
                run_in_worker(
                    self.MODULE,
                    self._task.action,
                    arguments,
                    bool(self._task.check_mode),
                    wants_invocation(task_vars),
                )
            )
        else:
            result = self._execute_elsewhere(arguments, task_vars)
        if task_vars.get(HIDDEN_CONTROLS):
            result = hide_controls(result)
        if contains_secret(result) or (task_vars.get(HIDDEN_RESULT) and not result.get("failed")):
            result["_ansible_no_log"] = True
            # Of a loop, ansible-core before 2.19 would display the results of all items.
            self._task.no_log = True
            # As the display hides the result, failures and warnings are displayed here.
            if result.get("failed"):
                self._display.error(str(result.get("msg")))
            # A copy, as ansible-core may add what is displayed to the same list.
            for warning in list(result.get("warnings", [])):
                self._display.warning(str(warning))
        return result

    def _execute_elsewhere(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Hand the task to the packed module."""
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        # Some connections, such as ssh, print the output of a module at -vvv.
        context = self._connection._play_context
        no_log = context.no_log
        hidden = task_vars.get(HIDDEN_RESULT) or task_vars.get(HIDDEN_CONTROLS)
        context.no_log = no_log or bool(hidden) or self.MODULE.makes_secret is not None
        try:
            return t.cast(
                dict[str, t.Any],
                self._execute_module(
                    module_args=arguments, task_vars=task_vars, wrap_async=wrap_async
                ),
            )
        finally:
            context.no_log = no_log
            if not wrap_async:
                self._remove_tmp_path(self._connection._shell.tmpdir)

    def _compute_environment_string(
        self, raw_environment_out: dict[str, t.Any] | None = None
    ) -> str:
        """Return the environment for the command line of a packed module, without the API key.

        Ansible prints the command line at -vvv. The module gets the key as an argument.
        """
        environment: dict[str, t.Any] = {}
        super()._compute_environment_string(environment)
        if raw_environment_out is not None:
            raw_environment_out.update(environment)
        hidden = CONNECTION_SPEC["api_key"]["fallback"][1]
        return str(
            self._connection._shell.env_prefix(
                **{name: value for name, value in environment.items() if name not in hidden}
            )
        )

    def _can_run_here(self) -> bool:
        """Return whether the task needs no process of its own.

        On macOS it does: there, a forked worker crashes when it looks up the system's proxies.
        """
        return not (
            self._connection.transport.rpartition(".")[2] != "local"
            or self._connection.become
            or any(self._task.environment or [])
            or self._task.async_val
            or self.MODULE.missing_libraries()
            or sys.platform == "darwin"
        )

    def _read_arguments(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the arguments, with connection options that only variables of the host have.

        ``planasonix_api_key`` is the option ``api_key``. One that is null or ``omit`` is not set.
        """
        arguments = dict(untag(self._task.args))
        names = {option: f"planasonix_{option}" for option in CONNECTION_SPEC}
        templates = {
            option: task_vars[name]
            for option, name in names.items()
            if option not in arguments and task_vars.get(name) is not None
        }
        # In one mapping, as ansible-core 2.19 removes omit from a mapping only.
        found = untag(self._templar.template(templates))
        unset = (None, task_vars.get("omit"))
        found = {option: value for option, value in found.items() if value not in unset}
        return {**arguments, **found}

    def _from_environment(self) -> dict[str, Variable]:
        """Return the connection options that an environment has: the task's own, else the
        controller's. Blank variables count as unset."""
        environment: dict[str, t.Any] = {}
        if any(self._task.environment or []):
            self._compute_environment_string(environment)
        found = {}
        for name, specification in CONNECTION_SPEC.items():
            for variable in specification.get("fallback", (None, []))[1]:
                values = [
                    str(source[variable])
                    for source in (environment, os.environ)
                    if source.get(variable) is not None
                ]
                value = next(filter(str.strip, values), None)
                if value is not None:
                    found[name] = Variable(variable, value)
        return found


VERDICT = (
    *("id", "title", "severity", "resource", "status", "detail", "remediable"),
    *("unremedied", "waiver"),
)
"""What is displayed of a control whose values are not."""


def hide_controls(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result of a baseline without its arguments and what its controls require."""
    shown = {name: value for name, value in result.items() if name != "invocation"}
    if "controls" in shown:
        shown["controls"] = list(map(keep_verdict, shown["controls"]))
    if shown.get("diff"):
        shown["diff"] = hide_configs(shown["diff"])
    if shown.get("plan"):
        shown["plan"] = {"changes": list(map(hide_change, shown["plan"]["changes"]))}
    return shown


def keep_verdict(control: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the verdict on a control. How a channel will be changed is in the diff."""
    verdict = {name: control[name] for name in VERDICT if name in control}
    can_be_met = verdict["status"] == "fixed" or (
        verdict["status"] == "fail" and verdict["remediable"]
    )
    if can_be_met and verdict["resource"] == "notification_channels":
        verdict["detail"] = ""
    return verdict


def hide_change(change: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a change without the values in the config of a channel."""
    if change["resource"] != "notification_channels":
        return change
    before, after = change["before"], change["after"]
    return {
        **change,
        "before": hide_config(before, after, "before"),
        "after": hide_config(after, before, "after"),
    }


def hide_config(channel: dict[str, t.Any], other: dict[str, t.Any], side: str) -> dict[str, t.Any]:
    """Return a channel with the keys of its config, without the values.

    :param other: The channel on the other side of the diff.
    """
    if not channel.get("config"):
        return channel
    return {**channel, "config": hide_values(channel["config"], other.get("config", {}), side)}


def hide_configs(diff: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a diff that names the keys of a channel's config that change, without the values."""
    sides: dict[str, t.Any] = {}
    for side, other in (("before", "after"), ("after", "before")):
        channels = dict(diff[side].get("notification_channels", {}))
        for name, channel in channels.items():
            there = diff[other].get("notification_channels", {}).get(name, {})
            channels[name] = hide_config(channel, there, side)
        shown = {"notification_channels": channels} if channels else {}
        sides[side] = {**diff[side], **shown}
    return {**diff, **sides}


def hide_values(config: dict[str, t.Any], other: dict[str, t.Any], side: str) -> dict[str, str]:
    """Return the keys of a config, each with whether its value changes."""
    texts = {True: "(not displayed)", False: f"(not displayed, {side})"}
    return {key: texts[key in other and other[key] == value] for key, value in config.items()}


def wants_invocation(task_vars: dict[str, t.Any]) -> bool:
    """Return whether results contain the arguments: always before ansible-core 2.21's setting."""
    if C.config.get_configuration_definition("INJECT_INVOCATION") is None:
        return True
    return bool(C.config.get_config_value("INJECT_INVOCATION", variables=task_vars))


warm_up(run_empty_module, convert_result)
