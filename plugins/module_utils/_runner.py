# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From arguments to a result: the one place that knows check mode.

Two callers: :func:`run_as_module`, in a packed module, and the action plugin, in Ansible's worker. Both give the same result.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible.module_utils.basic import (
    AnsibleFallbackNotFound,
    AnsibleModule,
    missing_required_lib,
)
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.common.validation import check_type_dict
from ansible.module_utils.errors import UnsupportedError

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import (
    Client,
    Connection,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    PlanasonixError,
    Unexpected,
)
from ansible_collections.planasonix.admin.plugins.module_utils._options import clean_options
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, scalars
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

    :param manages: The resource, or a function of client and options that returns the result of a module that only reads.
    :param options: Argument specification of the options beyond the connection.
    :param rules: ``mutually_exclusive``, ``required_if`` and the like, as AnsibleModule takes them.
    :param makes_secret: Whether a task with these arguments, as the user wrote them, may return a secret that nobody knew before. ``None``: none ever does.
    :param secrets: The secrets in the arguments that no option alone makes out, to be censored like those of ``no_log``.
    :param library_errors: Libraries that it needs beside requests, each with the traceback of its failed import, or ``None``.
    """

    manages: Resource | t.Callable[[Client, Values], Values]
    options: dict[str, dict[str, t.Any]]
    rules: dict[str, t.Any] = field(default_factory=dict)
    makes_secret: t.Callable[[Values], bool] | None = None
    secrets: t.Callable[[Mapping[str, t.Any]], set[str]] = lambda dummy_parameters: set()
    library_errors: Mapping[str, str | None] = field(default_factory=dict)

    def argument_spec(self) -> dict[str, dict[str, t.Any]]:
        """The whole argument specification."""
        return {**CONNECTION_SPEC, **self.options}

    def missing_libraries(self) -> dict[str, str]:
        """Libraries that cannot be imported here, each with the traceback."""
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
            options = clean_options(
                {
                    name: given(parameters[name])
                    for name in module.options
                    if parameters.get(name) is not None
                }
            )
            if isinstance(module.manages, Resource):
                module.manages.check(options)
            secrets = secrets_in(module, parameters)
            with Client(connection_of(parameters), read_only=check_mode, secrets=secrets) as client:
                result = work(client, module, options, check_mode)
        except PlanasonixError as error:
            result = failure(error, client)
        return make_printable(result, client.secrets if client else Secrets())
    except Exception as error:  # pylint: disable=broad-exception-caught
        unstored = {name: result[name] for name in SECRET_RESULTS if name in result}
        return failure(Unexpected(error), client) | unstored


def work(client: Client, module: Module, options: Values, check_mode: bool) -> Values:
    """Manage or read what the module is about."""
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


def secrets_in(module: Module, parameters: Mapping[str, t.Any]) -> set[str]:
    """The secrets that a task was given. Of a mapping that is given as text, Ansible itself takes the text alone for a secret, and not what it means."""
    given_secrets = [
        (option, parameters.get(name))
        for name, option in module.options.items()
        if option.get("no_log")
    ]
    found = scalars([value for _option, value in given_secrets]) | module.secrets(parameters)
    for option, value in given_secrets:
        if option.get("type") == "dict" and isinstance(value, str):
            with contextlib.suppress(TypeError):
                found |= scalars(check_type_dict(value))
    return found


def failure(error: PlanasonixError, client: Client | None) -> Values:
    """The result of a task that failed; it is changed if a write was answered before, and carries what would be lost with it."""
    return {
        "failed": True,
        "changed": client is not None and client.wrote,
        "msg": error.message,
        **error.details,
    }


def given(value: t.Any) -> t.Any:
    """The value without the suboptions that were left out, which Ansible fills in with ``None``."""
    if isinstance(value, list):
        return [
            {name: item for name, item in entry.items() if item is not None}
            if isinstance(entry, dict)
            else entry
            for entry in value
        ]
    return value


def connection_of(parameters: Mapping[str, t.Any]) -> Connection:
    """The connection that the options describe."""
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
    """Read, plan, and unless in check mode apply and read back.

    :raises PlanasonixError: if any of it fails.
    """
    state = resource.read(client, options)
    plan = resource.make_plan(state, options)
    result = {
        "changed": plan.changed,
        "msg": plan.message,
        "plan": plan.to_data(),
        "diff": {"before": plan.before, "after": plan.after},
        **plan.result,
    }
    if check_mode:
        return result | resource.to_keys(plan.predicted)
    # One line, so that nothing can fail between a new secret and the result.
    return result | apply_and_confirm(client, resource, plan, state, options).result


def holds_secret(result: Mapping[str, t.Any]) -> bool:
    """Whether a result must be hidden from display and logs."""
    return any(result.get(name) for name in SECRET_RESULTS)


def run_as_module(module: Module) -> None:
    """The body of each module's ``main()``."""

    class PackedModule(AnsibleModule):
        """One that knows the secrets in its arguments before it logs them, or complains about them."""

        def _load_params(self) -> None:
            parent: t.Any = super()
            parent._load_params()
            self.no_log_values.update(secrets_in(module, self.params))

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
    """Do what AnsibleModule does around :func:`run`, in this process: validate the arguments, censor the result.

    :param name: Name of the module, for messages.
    :param invocation: Whether the result tells the arguments, as modules do.
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
    flags = {
        key: value for key, value in result.items() if value is None or isinstance(value, bool)
    }
    return {**censored(result, validation._no_log_values | secrets_in(module, arguments)), **flags}


def censored(result: Values, secrets: set[str]) -> Values:
    """The result without secrets, as AnsibleModule gives it. For that Ansible goes through it value by value, which most results can do without."""
    try:
        # With Ansible's words for what JSON calls otherwise: before 2.19 it takes them for secrets, too.
        text = json.dumps(result, ensure_ascii=False, allow_nan=False) + "True False None"
    except (
        TypeError,
        ValueError,
        RecursionError,
    ):  # arguments that were given as text of Python, with tuples for keys
        found = True
    else:
        found = any(spelling in text for spelling in Secrets(secrets).spellings)
    return t.cast(Values, remove_values(result, secrets)) if found else result
