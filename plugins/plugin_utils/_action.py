# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action plugin that runs a module in Ansible's worker if the task allows it.

A packed module starts Python and imports everything. The worker is already forked, so a task in it
costs about as much as ``debug``. Each file in ``plugins/action`` binds this class to one module,
because Ansible imports these files before it forks, once per play. (With ``action_plugin`` in
``meta/runtime.yml`` each worker would import; with ``redirect`` the ``module_defaults`` of one
module would apply to all.)

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
"""Name and validation of each type of an option."""


@dataclass(frozen=True)
class Variable:
    """Environment variable with the value of an option."""

    name: str
    value: str

    def fault(self, kind: str) -> str | None:
        """Return the error of the value, because Ansible's own message names only the option."""
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
"""Variable of a task whose result is only for ``register``; a failure is displayed."""
HIDDEN_CONTROLS = "__planasonix_hidden_controls"
"""Variable of a task whose controls may have unmasked secrets; only verdicts are displayed."""
ASYNC_SECRET = (
    "{} cannot create a secret with async: Ansible keeps the result of such a task in a file that "
    "other users may read. Remove async from the task."
)
"""Error of a task that could write a secret to the job file of async, which has mode 0644."""


class PlanasonixAction(ActionBase):
    """Runs :attr:`MODULE` in the worker, or as a packed module."""

    MODULE: Module

    _supports_async = True
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        """Run the task, and hide a secret in its result from display and logs."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = self._read_arguments(task_vars)
        makes_secret = self.MODULE.makes_secret
        if self._task.async_val and makes_secret and makes_secret(arguments):
            return {"failed": True, "msg": ASYNC_SECRET.format(self._task.action)}
        for option, variable in self._read_environment().items():
            if option not in arguments:
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
            result = self._run_packed_module(arguments, task_vars)
        return self._hide_secrets(result, task_vars)

    def _hide_secrets(
        self, result: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Return the result as Ansible may display it; ``register`` keeps the secrets."""
        if task_vars.get(HIDDEN_CONTROLS):
            result = hide_controls(result)
        if contains_secret(result) or (task_vars.get(HIDDEN_RESULT) and not result.get("failed")):
            result["_ansible_no_log"] = True
            # Before 2.19, ansible-core would display the results of all items of a loop.
            self._task.no_log = True
            # Here, because the display hides the result.
            if result.get("failed"):
                self._display.error(str(result.get("msg")))
            # A copy, because ansible-core may append to the same list.
            for warning in list(result.get("warnings", [])):
                self._display.warning(str(warning))
        return result

    def _run_packed_module(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Run the packed module on the target host, and return its result."""
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        # Because some connections, such as ssh, print the output of a module at -vvv.
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
        """Return whether the task can run in the worker.

        Not on macOS, where a forked worker crashes when it reads the proxies of the system.
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
        """Return the arguments, with the connection options of the host's variables.

        ``planasonix_api_key`` is the option ``api_key``. A null or ``omit`` value is not set.
        """
        arguments = dict(untag(self._task.args))
        names = {option: f"planasonix_{option}" for option in CONNECTION_SPEC}
        templates = {
            option: task_vars[name]
            for option, name in names.items()
            if option not in arguments and task_vars.get(name) is not None
        }
        if not templates:
            return arguments
        # As one mapping, because ansible-core 2.19 removes omit only from mappings.
        options = untag(self._templar.template(templates))
        unset = (None, task_vars.get("omit"))
        options = {option: value for option, value in options.items() if value not in unset}
        return {**arguments, **options}

    def _read_environment(self) -> dict[str, Variable]:
        """Return the connection options of the environment.

        The environment of the task wins over that of the controller. Blank variables are unset.
        """
        environment: dict[str, t.Any] = {}
        if any(self._task.environment or []):
            self._compute_environment_string(environment)
        options = {}
        for name, specification in CONNECTION_SPEC.items():
            for variable in specification.get("fallback", (None, []))[1]:
                values = [
                    str(source[variable])
                    for source in (environment, os.environ)
                    if source.get(variable) is not None
                ]
                value = next(filter(str.strip, values), None)
                if value is not None:
                    options[name] = Variable(variable, value)
        return options


VERDICT = (
    *("id", "title", "severity", "resource", "status", "detail", "remediable"),
    *("unremedied", "waiver"),
)
"""Fields of a control that are displayed although its values are not."""


def hide_controls(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result of a baseline without its arguments and the values of its controls."""
    visible = {name: value for name, value in result.items() if name != "invocation"}
    if "controls" in visible:
        visible["controls"] = list(map(keep_verdict, visible["controls"]))
    if visible.get("diff"):
        visible["diff"] = hide_configs(visible["diff"])
    if visible.get("plan"):
        visible["plan"] = {"changes": list(map(hide_change, visible["plan"]["changes"]))}
    return visible


def keep_verdict(control: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the verdict on a control, without the change of a channel, which is in the diff."""
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
        sides[side] = dict(diff[side])
        if channels:
            sides[side]["notification_channels"] = channels
    return {**diff, **sides}


def hide_values(config: dict[str, t.Any], other: dict[str, t.Any], side: str) -> dict[str, str]:
    """Return the keys of a config, each with whether its value changes."""
    texts = {True: "(not displayed)", False: f"(not displayed, {side})"}
    return {key: texts[key in other and other[key] == value] for key, value in config.items()}


def wants_invocation(task_vars: dict[str, t.Any]) -> bool:
    """Return whether results contain the arguments, as always before ansible-core 2.21."""
    if C.config.get_configuration_definition("INJECT_INVOCATION") is None:
        return True
    return bool(C.config.get_config_value("INJECT_INVOCATION", variables=task_vars))


warm_up(run_empty_module, convert_result)
