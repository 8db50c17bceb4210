# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From arguments to a result: the one place that knows check mode.

:func:`run_as_module` runs in a packed module, :func:`run_in_worker` in a worker of Ansible, for the
action plugin. Both return the same result.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleFallbackNotFound, AnsibleModule, missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.common.validation import check_type_dict
from ansible.module_utils.errors import UnsupportedError

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    PlanasonixError,
    Unexpected,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import clean_options
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, collect_scalars
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Resource,
    apply_and_confirm,
)
from ansible_collections.planasonix.admin.plugins.module_utils._texts import (
    Secrets,
    map_texts,
    spell_out,
    visible,
)
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection


def from_environment(variable: str) -> str:
    """Return the value of an environment variable; a blank one counts as unset.

    :raises AnsibleFallbackNotFound: if there is none.
    """
    value = os.environ.get(variable, "")
    if not value.strip():
        raise AnsibleFallbackNotFound
    return value


CONNECTION_SPEC: dict[str, dict[str, t.Any]] = {
    "api_url": {
        "type": "str",
        "default": "https://api.planasonix.com",
        "fallback": (from_environment, ["PLANASONIX_API_URL"]),
    },
    "api_key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (from_environment, ["PLANASONIX_API_KEY"]),
    },
    "validate_certs": {
        "type": "bool",
        "default": True,
        "fallback": (from_environment, ["PLANASONIX_VALIDATE_CERTS"]),
    },
    "ca_path": {"type": "path", "fallback": (from_environment, ["PLANASONIX_CA_PATH"])},
    "timeout": {
        "type": "float",
        "default": 30,
        "fallback": (from_environment, ["PLANASONIX_TIMEOUT"]),
    },
    "deadline": {
        "type": "float",
        "default": 120,
        "fallback": (from_environment, ["PLANASONIX_DEADLINE"]),
    },
    "retries": {"type": "int", "default": 5},
    "retry_budget": {"type": "float", "default": 120},
}

SECRET_RESULTS = frozenset({"secret", "otpauth_uri", "backup_codes"})
"""Keys of a result that are shown to ``register`` alone."""


@dataclass(frozen=True)
class Module:
    """What a module is: a resource, or a read-only function, and its options.

    :param manages: The resource, or a function of client and options that returns the result of a
        module that only reads.
    :param options: Argument specification of the options beyond the connection.
    :param rules: ``mutually_exclusive``, ``required_if`` and the like, as AnsibleModule takes them.
    :param makes_secret: Whether a task with these arguments, as the user wrote them, may return a
        new secret. ``None`` for a module that returns none.
    :param secrets: Finds secrets in arguments that are not ``no_log`` as a whole.
    :param library_errors: Libraries that it needs besides requests, each with the traceback of its
        failed import, or ``None``.
    """

    manages: Resource | t.Callable[[Client, Values], Values]
    options: dict[str, dict[str, t.Any]]
    rules: dict[str, t.Any] = field(default_factory=dict)
    makes_secret: t.Callable[[Values], bool] | None = None
    secrets: t.Callable[[Mapping[str, t.Any]], set[str]] = lambda dummy_parameters: set()
    library_errors: Mapping[str, str | None] = field(default_factory=dict)

    def argument_spec(self) -> dict[str, dict[str, t.Any]]:
        """Return the argument specification, the options of the connection included."""
        return {**CONNECTION_SPEC, **self.options}

    def missing_libraries(self) -> dict[str, str]:
        """Return the libraries that cannot be imported here, each with the traceback."""
        errors = {"requests": _client.REQUESTS_IMPORT_ERROR, **self.library_errors}
        return {name: error for name, error in errors.items() if error}


def run(module: Module, parameters: Mapping[str, t.Any], check_mode: bool) -> Values:
    """Do the work of a task.

    :param parameters: Validated arguments, ``None`` where an option was left out.
    :returns: The result, with ``failed`` where it failed. No exception leaves this function.
    """
    client: Client | None = None
    result: Values = {}
    try:
        try:
            options = read_options(module, parameters)
            if isinstance(module.manages, Resource):
                module.manages.check(options)
            connection = make_connection(parameters)
            secrets = find_secrets(module, parameters)
            with Client(connection, read_only=check_mode, secrets=secrets) as client:
                result = work(client, module, options, check_mode)
        except PlanasonixError as error:
            result = failure(error, client)
        return make_printable(result, client.secrets if client else Secrets())
    except Exception as error:  # pylint: disable=broad-exception-caught
        unstored = {name: result[name] for name in SECRET_RESULTS if name in result}
        return failure(Unexpected(error), client) | unstored


def work(client: Client, module: Module, options: Values, check_mode: bool) -> Values:
    """Manage the resource, or call the function, of a module."""
    if isinstance(module.manages, Resource):
        return manage(client, module.manages, options, check_mode)
    return module.manages(client, options)


def make_printable(result: Values, secrets: Secrets) -> Values:
    """Censor what Ansible does not know, and spell out what it or a terminal cannot print.

    ansible-core 2.21 refuses the result of a packed module with half a character in it. What was
    read of the API has none, nor do the options, but an error may quote anything. A new secret is
    in no argument, so Ansible would show it wherever the API repeats it.
    """
    if secrets.minted:
        for name in result.keys() - SECRET_RESULTS:
            result[name] = map_texts(result[name], secrets.censor_minted)
    if result.get("failed"):
        result = map_texts(result, spell_out)
    for name in ("msg", "warnings"):
        if name in result:
            result[name] = map_texts(result[name], visible)
    return result


def find_secrets(module: Module, parameters: Mapping[str, t.Any]) -> set[str]:
    """Return the secrets in the arguments of a task.

    Of a mapping that is written as text, Ansible itself censors the whole text, but not the values
    in it.
    """
    found = module.secrets(parameters)
    for name, option in module.options.items():
        value = parameters.get(name)
        if not option.get("no_log"):
            continue
        found |= collect_scalars(value)
        if option.get("type") == "dict" and isinstance(value, str):
            with contextlib.suppress(TypeError):
                found |= collect_scalars(check_type_dict(value))
    return found


def failure(error: PlanasonixError, client: Client | None) -> Values:
    """Return the result of a task that failed.

    It is changed if a write was answered before, and returns secrets that are stored nowhere yet.
    """
    return {
        "failed": True,
        "changed": client is not None and client.wrote,
        "msg": error.message,
        **error.details,
    }


def read_options(module: Module, parameters: Mapping[str, t.Any]) -> Values:
    """Return the options that the user set, trimmed."""
    values = {name: drop_unset(parameters.get(name)) for name in module.options}
    return clean_options({name: value for name, value in values.items() if value is not None})


def drop_unset(value: t.Any) -> t.Any:
    """Drop the suboptions that the user did not set (Ansible sets them to ``None``)."""
    if isinstance(value, list):
        return list(map(drop_unset_of_entry, value))
    return value


def drop_unset_of_entry(entry: t.Any) -> t.Any:
    """Drop the unset suboptions of an element of a list."""
    if isinstance(entry, dict):
        return {name: item for name, item in entry.items() if item is not None}
    return entry


def make_connection(parameters: Mapping[str, t.Any]) -> Connection:
    """Return the connection that the options describe."""
    return Connection(
        url=parameters["api_url"],
        key=parameters["api_key"],
        validate_certs=parameters["validate_certs"],
        ca_path=parameters["ca_path"],
        timeout=parameters["timeout"],
        deadline=parameters["deadline"],
        retries=parameters["retries"],
        retry_budget=parameters["retry_budget"],
    )


def manage(client: Client, resource: Resource, options: Values, check_mode: bool) -> Values:
    """Read and plan; outside check mode, apply and read back.

    :raises PlanasonixError: if the state cannot be read, or the plan is refused or fails.
    """
    state = resource.read(client, options)
    plan = resource.make_plan(state, options)
    result = {
        "changed": plan.changed,
        "msg": plan.message,
        "plan": plan.to_data(),
        "diff": {"before": plan.before, "after": plan.after},
        **plan.result,
        **resource.prepare(client, plan, state, options),
    }
    if check_mode:
        return result | resource.to_keys(plan.predicted)
    # One line, so that nothing can fail between a new secret and the result.
    return result | apply_and_confirm(client, resource, plan, state, options)


def contains_secret(result: Mapping[str, t.Any]) -> bool:
    """Return whether a result must be hidden from display and logs."""
    return any(result.get(name) for name in SECRET_RESULTS)


def run_as_module(module: Module) -> None:
    """Run the ``main()`` of a module."""

    class PackedModule(AnsibleModule):
        """Finds the secrets in the arguments before Ansible logs or quotes them."""

        def _load_params(self) -> None:
            parent: t.Any = super()
            parent._load_params()
            self.no_log_values.update(find_secrets(module, self.params))

    ansible_module: t.Any = t.cast(t.Any, PackedModule)(
        argument_spec=module.argument_spec(), supports_check_mode=True, **module.rules
    )
    for library, error in module.missing_libraries().items():
        ansible_module.fail_json(msg=missing_required_lib(library), exception=error)
    result = run(module, ansible_module.params, ansible_module.check_mode)
    for warning in result.pop("warnings", []):
        ansible_module.warn(warning)
    # Not inside an except block: there fail_json would add a traceback at -vvv.
    if result.get("failed"):
        ansible_module.fail_json(**result)
    ansible_module.exit_json(**result)


def run_in_worker(
    module: Module, name: str, arguments: dict[str, t.Any], check_mode: bool, invocation: bool
) -> Values:
    """Validate the arguments, :func:`run`, and censor the result, as AnsibleModule does.

    :param name: Name of the module, for messages.
    :param invocation: Whether the result contains the arguments.
    """
    validation = ArgumentSpecValidator(module.argument_spec(), **module.rules).validate(arguments)
    if validation.error_messages:
        message = validation.errors.msg
        if isinstance(validation.errors[0], UnsupportedError):
            message = f"Unsupported parameters for ({name}) module: {message}"
        result: Values = {"failed": True, "msg": message}
    else:
        result = run(module, validation.validated_parameters, check_mode)
    if invocation:
        result["invocation"] = {
            "module_args": map_texts(validation.validated_parameters, spell_out)
        }
    # A secret such as "True" does not hide "changed" and the like.
    flags = {key: item for key, item in result.items() if item is None or isinstance(item, bool)}
    secrets = validation._no_log_values | find_secrets(module, arguments)
    return {**t.cast(Values, remove_values(result, secrets)), **flags}
