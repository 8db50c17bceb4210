# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory plugin that creates a host for each organization, with its plan as variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: orgs
short_description: Create a host for each Planasonix organization
version_added: 1.0.0
description:
  - Creates a host for each organization in the inventory file, with its plan, features and limits
    as variables, and creates groups from these.
  - The name of the file must end in C(.planasonix.yml) or C(.planasonix.yaml).
  - Sends four C(GET) requests per organization, to many organizations at a time, and no write.
  - The inventory contains the location of each API key, not the key. The host variable
    C(planasonix_api_key) is a lookup that Ansible renders on use, or an encrypted value.
  - The host variables are C(planasonix_api_url), C(planasonix_api_key), C(planasonix_organization),
    C(planasonix_tier), C(planasonix_features) and C(planasonix_limits). The last four are answers
    of the API, as in the result of M(planasonix.admin.planasonix_info). The modules of the
    collection read the first two.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
requirements:
  - requests >= 2.28
options:
  plugin:
    description: Marks the file as one for this plugin.
    type: str
    required: true
    choices:
      - planasonix.admin.orgs
  organizations:
    description:
      - The organizations, each with the location of its API key. Set exactly one of
        O(organizations[].api_key_env), O(organizations[].api_key_file) and
        O(organizations[].api_key) for each.
      - A mistake here is always an error, with every value of O(on_error).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the host. By default the slug of the organization, which its administrators
            can change.
          - Files are named after hosts, so the name must have no slash, backslash or control
            character. Names that Ansible or this plugin reserves are refused as well, such as
            V(all), V(localhost) and V(organization_3).
        type: str
      organization:
        description:
          - ID or slug of the organization that the key must belong to, as the API reports it. If
            the key belongs to another organization, the entry cannot be used.
          - The slug is reserved for this entry. No other organization can get a host of this name.
          - If two entries are the same organization on purpose, set this option for both. Otherwise
            the plugin refuses the entries without it.
        type: str
      api_url:
        description: Base URL of the API of this organization. By default O(api_url).
        type: str
      api_key_env:
        description: Name of the environment variable with the API key.
        type: str
      api_key_file:
        description:
          - File with the API key, optionally encrypted with Ansible Vault. Trailing blanks and line
            breaks are ignored.
          - A relative path is relative to the inventory file, and V(~) is the home folder.
        type: str
      api_key:
        description:
          - The API key as a value from C(ansible-vault encrypt_string), or as a template with a
            lookup.
          - A key in plain text is refused. The template can use variables known to the inventory,
            such as extra variables, but not the variables of groups and hosts.
        type: str
  on_error:
    description:
      - What to do if an organization cannot be used, for example because its key is missing or
        invalid, the API is unreachable or refuses, its answer has an undocumented shape, or its
        slug cannot be a host name.
      - V(fail) makes the whole file unusable, and lists these organizations.
      - V(skip) leaves the organization out, with a warning.
      - V(group) creates a host in the group C(planasonix_unreachable) with the variables
        C(planasonix_api_url), C(planasonix_api_key) and C(planasonix_error), the reason. Without
        O(organizations[].name), the host of the third entry is C(organization_3). The host is in no
        other group.
      - If the key belongs to another organization or entry, C(planasonix_api_key) fails when
        Ansible renders it, so that no task can use the key.
    type: str
    default: fail
    choices:
      - fail
      - skip
      - group
  concurrency:
    description: Number of organizations to read at a time.
    type: int
    default: 16
  api_url:
    description:
      - Base URL of the API of all organizations that have no O(organizations[].api_url). It may end
        in a path prefix, such as V(https://acme.planasonixapis.com/v1).
      - Plain V(http://) is refused except for the loopback interface, since it would send the API
        key unencrypted.
    type: str
    default: https://api.planasonix.com
    env:
      - name: PLANASONIX_API_URL
  validate_certs:
    description: Whether the TLS certificate of the server is checked. Set it to V(false) for tests
      only.
    type: bool
    default: true
    env:
      - name: PLANASONIX_VALIDATE_CERTS
  ca_path:
    description: File or folder with the certificate authorities to trust instead of the default
      ones.
    type: path
    env:
      - name: PLANASONIX_CA_PATH
  timeout:
    description: Seconds to wait for the answer to one request.
    type: float
    default: 30
    env:
      - name: PLANASONIX_TIMEOUT
  deadline:
    description:
      - Seconds until one request must be complete, redirects included. A request that takes longer
        fails, and is not sent again.
    type: float
    default: 120
    env:
      - name: PLANASONIX_DEADLINE
  retries:
    description: Maximum number of times that one request is repeated after the API answered C(429),
      C(502), C(503) or C(504), or gave no answer.
    type: int
    default: 5
  retry_budget:
    description:
      - Seconds per organization to wait between such repetitions, in total. A longer C(Retry-After)
        of the API is cut to the rest.
    type: float
    default: 120
notes:
  - With O(on_error=fail), Ansible only warns of a file that it cannot use, and continues without
    its hosts. To make this an error, set C(any_unparsed_is_failed = true) in the section
    C([inventory]) of C(ansible.cfg), or E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED).
  - C(ansible-inventory --list) and C(--host) show unrendered lookups and encrypted values, and
    print no key. With C(ansible-inventory --graph --vars), ansible-core decrypts and prints
    encrypted values.
  - Ansible does not render answers of the API as templates. C(ansible-inventory --list) marks such
    text with C(__ansible_unsafe). Control characters become visible escapes. An answer that is
    nested more than 20 levels deep, or has more than 10,000 values or 200,000 characters, is an
    error of this organization.
  - A slug can be a host name if it has only letters, digits, dots, dashes and underscores, and if
    no other entry, group, host of an earlier inventory source or reserved word has this name.
    Otherwise the entry needs a O(organizations[].name).
  - If O(organizations[].name) is also a host of another inventory source, both are one host, and
    the variables of both apply.
  - If an entry cannot be used, the plugin keeps its last host name for it. This requires the cache,
    of any age, or a slug as O(organizations[].organization). Without them, another organization
    with the slug gets the host variables, and the plugin warns. An organization with a new slug
    loses its former slug. Give each entry a O(organizations[].name) if host variables contain
    secrets.
  - The inventory has all hosts of the file or no host of it. An expression that fails under
    O(strict) makes the whole file unusable.
  - The cache contains the answers, and no key. It identifies an organization by its URL and the
    location of its key. New entries are therefore read, and a new key in the old location is not
    noticed. C(ansible-playbook --flush-cache) reads all organizations again. Of an organization
    that could not be read, the cache keeps only the former ID and slug. To remove these too, delete
    the cache.
  - O(validate_certs), O(ca_path), O(timeout) and O(deadline) apply only to this plugin. The modules
    and this plugin both read the environment variables. For playbooks, you can also set variables
    such as C(planasonix_ca_path). An empty environment variable counts as unset.
  - After the first request that fails, the plugin sends no more requests to the organization. If
    some organizations are often unreachable, set O(timeout), O(retries) and O(retry_budget) to
    small values.
  - An expression in O(compose), O(groups) or O(keyed_groups) cannot use C(planasonix_api_key).
  - The plugin uses the proxy environment variables, except for V(http://) to this machine. It does
    not read a C(.netrc) file.
seealso:
  - module: planasonix.admin.planasonix_info
  - plugin: ansible.builtin.constructed
    plugin_type: inventory
"""

EXAMPLES = r"""
# fleet.planasonix.yml
# Usage: ansible-playbook -i fleet.planasonix.yml planasonix.admin.audit
plugin: planasonix.admin.orgs
organizations:
  # Minimal entry: a key in an environment variable, and a host named after the organization.
  - api_key_env: ACME_API_KEY

  # A key in a file, a deployment with a separate URL, and the organization of the key.
  - name: globex
    organization: org_01jq8globex
    api_url: https://globex.planasonixapis.com/v1
    api_key_file: keys/globex

  # A key from `ansible-vault encrypt_string`. It stays encrypted until a task uses it.
  - name: initech
    api_key: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      30393738393534313761303465613930613661623562366130386462313037383965366430326133
      3461336639353538386337323234613030383930363062610a646463306133353939383033646465
      31373831663135363761306161363964653430376661393339356535646164663934366639613864
      6532333439333233310a363963643535356563383037616165333332656131393438666335396562
      36393033343238643139323030316231366339393735396131376133663964336664

  # A key in a secret manager.
  - name: umbrella
    api_key: >-
      {{ lookup('community.hashi_vault.hashi_vault', 'secret=secret/data/umbrella:api_key') }}

# Puts unreadable organizations into the group planasonix_unreachable.
on_error: group
timeout: 10
retries: 2

# Groups such as tier_enterprise and feature_sso, a group by a limit, and a variable.
keyed_groups:
  - prefix: tier
    key: planasonix_tier.tier
  - prefix: feature
    key: planasonix_features
groups:
  small: planasonix_limits.max_pipelines < 50
compose:
  display_name: planasonix_organization.name

# Read the organizations once a day.
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/planasonix-inventory
cache_timeout: 86400
"""

import os
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace

from ansible import constants as C
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    PlanasonixError,
    Unexpected,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policies import read_facts
from ansible_collections.planasonix.admin.plugins.module_utils._texts import Secrets
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_entries import (
    NAME,
    UNREACHABLE,
    Encrypted,
    Entry,
    check_organizations,
    config_error,
    parse_entry,
    to_text,
    validate_text,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_facts import (
    PATHS,
    Facts,
    check_facts,
    clean_message,
    recall_identity,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_hosts import (
    Organization,
    Refused,
    Right,
    WrongOrganization,
    find_group_clashes,
    identify,
    name_hosts,
    refuse_shared,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import mark_trusted

ENDINGS = (".planasonix.yml", ".planasonix.yaml")
PROGRESS_SECONDS = 3.0
"""Interval between two messages about the progress."""
WITHHELD = "{{ undef() | ansible.builtin.mandatory('The key is withheld; see planasonix_error.') }}"
"""Variable of a key that must not be used; undefined, it could fall back to another key."""

Cached = dict[str, dict[str, t.Any]]
"""Cache of a file: by identity, ``facts`` and the Unix time ``read_at``."""


def read_organization(connection: Connection) -> Facts | PlanasonixError:
    """Return the facts of an organization, or the first failure; runs in its own thread."""
    secrets = Secrets([connection.key])
    try:
        with Client(connection, read_only=True) as client:
            return check_facts(read_facts(client, list(PATHS), skip_forbidden=False)[0], secrets)
    except PlanasonixError as error:
        error.message = clean_message(error.message, secrets)
        return error
    except Exception as error:  # pylint: disable=broad-exception-caught
        return Unexpected(error)


def unset_options(plugin: str, config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the defaults of the options whose environment variable is set, but empty.

    :raises AnsibleParserError: if such an option is an empty text in the file.
    """
    definitions = C.config.get_configuration_definitions("inventory", plugin)
    unset: dict[str, t.Any] = {}
    for name, definition in definitions.items():
        variables = [source["name"] for source in definition.get("env") or ()]
        if not any(variable.startswith("PLANASONIX_") for variable in variables):
            continue
        if config.get(name) == "":
            raise config_error(f"{name} is empty; is the variable that it comes from set?")
        if name not in config and any(os.environ.get(variable) == "" for variable in variables):
            unset[name] = definition.get("default")
    return unset


def read_all(
    connections: Iterable[Connection], concurrency: int, report_progress: Callable[[int], object]
) -> list[Facts | PlanasonixError]:
    """Read organizations concurrently, and return the results in the same order.

    :param report_progress: Called every few seconds with the number of finished organizations.
    """
    pool = ThreadPoolExecutor(concurrency)
    finished = False
    try:
        futures = [pool.submit(read_organization, connection) for connection in connections]
        while True:
            done, pending = wait(futures, PROGRESS_SECONDS)
            if not pending:
                finished = True
                return [future.result() for future in futures]
            report_progress(len(done))
    finally:
        # An interrupted run does not wait for the organizations that it has not begun to read.
        pool.shutdown(wait=finished, cancel_futures=True)


def mark_templates_unsafe(value: t.Any) -> t.Any:
    """Return an answer of the API with possible templates marked, so that none is rendered."""
    if isinstance(value, dict):
        return {name: mark_templates_unsafe(item) for name, item in value.items()}
    if isinstance(value, list):
        return [mark_templates_unsafe(item) for item in value]
    # Only possible templates, because ansible-inventory displays marked texts differently.
    return wrap_var(value) if isinstance(value, str) and "{" in value else value


def recall(item: t.Any, oldest: float) -> Facts | None:
    """Return the cached facts of an organization, checked like a new answer.

    :returns: ``None`` if they are too old, or have another shape than this version reads.
    """
    read_at = item.get("read_at") if isinstance(item, Mapping) else None
    if not isinstance(read_at, (int, float)) or read_at < oldest:
        return None
    try:
        return check_facts(item.get("facts"))
    except PlanasonixError:
        return None


@contextmanager
def restore_on_error(inventory: t.Any) -> Iterator[Callable[[], None]]:
    """Restore an inventory if an exception is raised.

    :yields: a function that restores it at any time.
    """
    saved = [
        (thing, {name: copy_container(value) for name, value in vars(thing).items()})
        for thing in (inventory, *inventory.hosts.values(), *inventory.groups.values())
    ]

    def restore() -> None:
        for thing, state in saved:
            vars(thing).clear()
            vars(thing).update({name: copy_container(value) for name, value in state.items()})

    try:
        yield restore
    except BaseException:
        restore()
        raise


def copy_container(value: t.Any) -> t.Any:
    """Return a shallow copy of a container, or any other value unchanged."""
    return value.copy() if isinstance(value, (dict, list, set)) else value


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """The inventory plugin that Ansible loads."""

    NAME = NAME
    inventory: t.Any
    _cache_seconds: int | None = None

    def verify_file(self, path: str) -> bool:
        """Return whether the name of the file is one of this plugin."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        """Set the options; an empty environment variable gives the default.

        Validates the organizations before ansible-core does, which would quote a value of a wrong
        type, even a key in plain text.
        """
        unset: dict[str, t.Any] = {}
        if direct is not None:
            check_organizations(direct.get("organizations"))
            unset = unset_options(self._load_name, direct)
            direct = {**direct, **unset}
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self._options.update(unset)  # ansible-core ignores a default of None
        # Facts record their own age, because former slugs must outlive the timeout.
        self._cache_seconds = self._options.get("cache_timeout")
        self._options["cache_timeout"] = 0

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Add the hosts of a file to the inventory, or no host if the file is unusable.

        :raises AnsibleParserError: if the file is unusable, or if an organization cannot be read
            and ``on_error`` is ``fail``.
        """
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        if _client.REQUESTS_IMPORT_ERROR:
            raise config_error(missing_required_lib("requests"))
        self._check_options(config)
        folder = os.path.dirname(os.path.abspath(path))
        entries = [
            parse_entry(position, entry, self._make_connection, folder)
            for position, entry in enumerate(config["organizations"], 1)
        ]
        stored = self._load_cache(path)
        cached = self._select_fresh(stored) if cache else {}
        organizations = self._identify(self._read_organizations(entries, cached, stored))
        self._save_cache(path, organizations, cached)
        self._raise_if_failed(organizations)
        with restore_on_error(inventory) as undo:
            organizations = self._add_hosts(organizations, undo)
        self._warn_of_unusable(organizations)

    def _identify(self, organizations: list[Organization]) -> list[Organization]:
        """Return the organizations with the names of their hosts, or refused.

        :raises AnsibleParserError: if a name in the file is also the name of a group.
        """
        groups = {
            *self.inventory.groups,
            *map(self._sanitize_group_name, self.get_option("groups") or ()),
        }
        named = name_hosts(refuse_shared(organizations), groups, set(self.inventory.hosts))
        for organization in named:
            if organization.host in groups:
                raise config_error(
                    f"{organization.entry.label}: {organization.host} is the name of a group, "
                    "so it cannot be the name of a host; choose another name."
                )
        return named

    def _add_hosts(
        self, organizations: list[Organization], undo: Callable[[], None]
    ) -> list[Organization]:
        """Add all hosts, and return the organizations; refuse those that clash with a group.

        The groups are known only after all expressions are evaluated. After a clash, it starts
        again without the refused organizations.

        :raises AnsibleParserError: if an expression fails under ``strict`` or for all, or as for
            :meth:`_raise_if_failed`.
        """
        while True:
            faults: dict[str, str] = {}
            for organization in organizations:
                fault = self._add_host(organization)
                if fault:
                    faults[organization.host] = fault
            usable = [organization for organization in organizations if not organization.error]
            if faults and (self.get_option("strict") or len(faults) == len(usable)):
                failed = next(filter(lambda organization: organization.host in faults, usable))
                raise config_error(f"{failed.entry.label}: {faults[failed.host]}")
            faults |= find_group_clashes(organizations, self._groups_by_host(usable))
            if not faults:
                return organizations
            undo()
            for number, organization in enumerate(organizations):
                if organization.host in faults:
                    organizations[number] = organization.refuse(Refused(faults[organization.host]))
            self._raise_if_failed(organizations)

    def _check_options(self, config: Mapping[str, t.Any]) -> None:
        """Validate options that ansible-core accepts without a message."""
        unknown = sorted(
            str(option) for option in config if option != "plugin" and option not in self._options
        )
        if unknown:
            raise config_error(f"{', '.join(unknown)} is not an option of this plugin.")
        if self.get_option("concurrency") < 1:
            raise config_error("concurrency must be at least 1.")
        fault = validate_text("api_url", self.get_option("api_url"))
        if fault:
            raise config_error(fault)
        try:
            self._make_connection(None)
        except InvalidOption as error:
            raise config_error(error.message) from None
        environment = os.environ.get("PLANASONIX_VALIDATE_CERTS") or True
        try:
            boolean(config.get("validate_certs", environment))
        except TypeError:
            # ansible-core would read it as false, and check no certificate.
            raise config_error(
                "validate_certs, or PLANASONIX_VALIDATE_CERTS, must be true or false."
            ) from None

    def _make_connection(self, url: str | None) -> Connection:
        """Return the connection to an API, with a placeholder as its key.

        :raises InvalidOption: if the URL or an option cannot be used.
        """
        return Connection(
            url or to_text(self.get_option("api_url")),
            "none",
            validate_certs=self.get_option("validate_certs"),
            ca_path=self.get_option("ca_path") or None,
            timeout=self.get_option("timeout"),
            deadline=self.get_option("deadline"),
            retries=self.get_option("retries"),
            retry_budget=self.get_option("retry_budget"),
        )

    def _read_organizations(
        self, entries: list[Entry], cached: Cached, stored: Mapping[str, t.Any]
    ) -> list[Organization]:
        """Return each organization with its facts or its error.

        :param cached: Fresh facts, which are not read again.
        :param stored: The whole cache.
        """
        results, connections = self._prepare_reads(entries, cached)

        def report_progress(done: int) -> None:
            self.display.display(
                f"{NAME}: {done} of {len(connections)} organizations read", stderr=True
            )

        if connections:
            concurrency = min(self.get_option("concurrency"), len(connections))
            results.update(
                zip(
                    connections,
                    read_all(connections.values(), concurrency, report_progress),
                    strict=True,
                )
            )
        return [
            identify(entry, results[entry.position], recall_identity(stored.get(entry.identity)))
            for entry in entries
        ]

    def _prepare_reads(
        self, entries: list[Entry], cached: Cached
    ) -> tuple[dict[int, Facts | PlanasonixError], dict[int, Connection]]:
        """Return by position the cached facts and errors, and the connections of the others."""
        results: dict[int, Facts | PlanasonixError] = {}
        connections: dict[int, Connection] = {}
        reported_at = time.monotonic()
        for number, entry in enumerate(entries):
            if time.monotonic() - reported_at >= PROGRESS_SECONDS:
                reported_at = time.monotonic()
                # To stderr, because ansible-inventory prints JSON to stdout.
                self.display.display(
                    f"{NAME}: looked for the keys of {number} of {len(entries)} organizations",
                    stderr=True,
                )
            try:
                if entry.identity in cached:
                    results[entry.position] = cached[entry.identity]["facts"]
                else:
                    connections[entry.position] = replace(
                        entry.connection, key=self._read_key(entry)
                    )
            except PlanasonixError as error:
                results[entry.position] = error
        return results, connections

    def _read_key(self, entry: Entry) -> str:
        """Return the API key, for the requests of this plugin.

        :raises InvalidOption: if it cannot be read.
        :raises AnsibleParserError: if a template contains it in plain text.
        """
        variable = entry.source.variable
        self.templar.available_variables = self._vars or {}
        try:
            key = to_text(
                variable if isinstance(variable, Encrypted) else self.templar.template(variable)
            )
        except Exception as error:  # pylint: disable=broad-exception-caught
            # Only at -vvv, because the message of a lookup may quote a secret.
            self.display.vvv(f"{NAME}: {entry.label}: {clean_message(str(error))}")
            raise InvalidOption(entry.source.failed) from None
        if not key.strip():
            raise InvalidOption(entry.source.empty)
        if entry.source.kind == "template" and key in variable:
            raise config_error(
                f"{entry.label}: api_key contains the key in plain text, which is refused; "
                "use a lookup."
            )
        return key

    def _raise_if_failed(self, organizations: list[Organization]) -> None:
        """Raise an error if an organization cannot be used and ``on_error`` is ``fail``.

        :raises AnsibleParserError: with the reason for each organization.
        """
        failed = [organization for organization in organizations if organization.error]
        if failed and self.get_option("on_error") == "fail":
            refused = any(isinstance(organization.error, Refused) for organization in failed)
            what = "organizations cannot be used" if refused else "organizations could not be read"
            reasons = " ".join(f"{failure.entry.label}: {failure.reason}" for failure in failed)
            raise config_error(f"{len(failed)} of {len(organizations)} {what}. {reasons}")

    def _warn_of_unusable(self, organizations: list[Organization]) -> None:
        """Warn of skipped organizations, and of slugs that another organization may have taken."""
        unknown = [
            organization.entry.label for organization in organizations if organization.is_unknown
        ]
        usable = [organization for organization in organizations if not organization.error]
        if unknown and any(organization.right is Right.NONE for organization in usable):
            self.display.warning(
                f"{NAME}: The slug of {clean_message(', '.join(unknown))} is not known. Unless "
                "organization is the slug, another organization that took the slug gets the host "
                "variables. Give the entry a name."
            )
        if self.get_option("on_error") == "skip":
            for organization in organizations:
                if organization.error:
                    label = organization.entry.label
                    self.display.warning(f"{NAME}: {label} is left out. {organization.reason}")

    def _add_host(self, organization: Organization) -> str | None:
        """Add a host with its variables and groups; return the error of a failed expression."""
        host, on_error = organization.host, self.get_option("on_error")
        if on_error == "group":
            self.inventory.add_group(UNREACHABLE)  # even if empty, because patterns may name it
        if host in self.inventory.groups or (organization.error and on_error == "skip"):
            return None
        self.inventory.add_host(host, group=UNREACHABLE if organization.error else None)
        if organization.error:
            variables = {"planasonix_error": mark_templates_unsafe(organization.reason)}
        else:
            variables = {
                f"planasonix_{subset}": mark_templates_unsafe(value)
                for subset, value in organization.facts.items()
            }
        variables["planasonix_api_url"] = mark_trusted(organization.entry.connection.url)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        fault = None if organization.error else self._evaluate(host, variables)
        # After the expressions, so that no expression renders the key.
        key = organization.entry.source.variable
        if isinstance(organization.error, WrongOrganization):
            key = mark_trusted(WITHHELD)
        self.inventory.set_variable(host, "planasonix_api_key", key)
        return fault

    def _evaluate(self, host: str, variables: dict[str, t.Any]) -> str | None:
        """Set variables and groups from the expressions of the file; return the error, if any.

        Ansible raises some errors without ``strict`` too, for example if a group is a number.
        """
        strict = self.get_option("strict")
        try:
            self._set_composite_vars(self.get_option("compose"), variables, host, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)
        except Exception as error:  # pylint: disable=broad-exception-caught
            return clean_message(str(error))
        return None

    def _groups_by_host(self, usable: list[Organization]) -> dict[str, list[str]]:
        """Return the names of the groups of each host."""
        hosts = self.inventory.hosts
        return {
            organization.host: [group.name for group in hosts[organization.host].get_groups()]
            for organization in usable
            if organization.host in hosts
        }

    def _load_cache(self, path: str) -> Mapping[str, t.Any]:
        """Return the cache of the file's organizations, of any age."""
        if not self.get_option("cache"):
            return {}
        try:
            stored = self._cache.get(self.get_cache_key(path))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.display.vvv(f"{NAME}: {clean_message(str(error))}")
            self.display.warning(
                f"{NAME}: the cache cannot be read, so all organizations are read again. "
                "Run with -vvv to see why."
            )
            return {}
        return stored if isinstance(stored, Mapping) else {}

    def _select_fresh(self, stored: Mapping[str, t.Any]) -> Cached:
        """Return the cached facts that are young enough to use."""
        seconds = self._cache_seconds
        oldest = time.time() - seconds if seconds else 0  # 0 means no limit
        recalled = {identity: recall(item, oldest) for identity, item in stored.items()}
        return {
            identity: {"read_at": stored[identity]["read_at"], "facts": facts}
            for identity, facts in recalled.items()
            if facts is not None
        }

    def _save_cache(self, path: str, organizations: list[Organization], cached: Cached) -> None:
        """Write the facts to the cache; facts from the cache keep their age.

        Of an organization that cannot be used, it keeps only the former ID and slug.
        """
        if self.get_option("cache"):
            now = time.time()
            kept: dict[str, t.Any] = {}
            for organization in organizations:
                identity = organization.entry.identity
                if not organization.error:
                    fresh = {"read_at": now, "facts": organization.facts}
                    kept[identity] = cached.get(identity) or fresh
                elif organization.last:
                    kept[identity] = {"facts": {"organization": dict(organization.last)}}
            self._cache[self.get_cache_key(path)] = kept
            # Now, because Ansible does not save the cache of a file that fails later.
            self.update_cache_if_changed()
