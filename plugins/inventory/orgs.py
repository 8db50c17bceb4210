# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin: a host for each organization, with its plan as variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: orgs
short_description: A host for each Planasonix organization
version_added: 1.0.0
description:
  - Makes a host of each organization that the inventory file lists, with its plan, features and limits as variables, and groups made from them.
  - The name of the file must end in C(.planasonix.yml) or C(.planasonix.yaml).
  - Of each organization the plugin reads four things, many organizations at a time. It only reads.
  - It says where the key of an organization is, and never what it is. The host variable C(planasonix_api_key) is a lookup that is rendered where it is used,
    or a value that is still encrypted.
  - The host variables are C(planasonix_api_url), C(planasonix_api_key), C(planasonix_organization), C(planasonix_tier), C(planasonix_features) and
    C(planasonix_limits). The last four are what the API answers, as in the result of M(planasonix.admin.planasonix_info). The playbooks and roles of the
    collection take the first two from there.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
requirements:
  - requests >= 2.28
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices:
      - planasonix.admin.orgs
  organizations:
    description:
      - The organizations, each with the place where its API key is. Exactly one of O(organizations[].api_key_env), O(organizations[].api_key_file) and
        O(organizations[].api_key) is given for each.
      - A mistake here is always an error, whatever O(on_error) says.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the host. By default it is the slug of the organization, which whoever
            administers the organization can change.
          - Files are named after hosts, so the name must have no slash, backslash or control
            character. Names that Ansible or this plugin reserves are refused as well, such as
            V(all), V(localhost) and V(organization_3).
        type: str
      organization:
        description:
          - ID or slug of the organization that the key must belong to, as the API reports it. If
            the key belongs to another one, the organization counts as one that cannot be used.
          - A slug is kept for this entry. No other organization can become a host of this name.
          - If two entries are to be the same organization, give it for both. Otherwise one of the
            keys counts as mistyped.
        type: str
      api_url:
        description: Base URL of the API of this organization. By default it is that of O(api_url).
        type: str
      api_key_env:
        description: Name of the environment variable that holds the API key.
        type: str
      api_key_file:
        description:
          - File that holds the API key, encrypted by Ansible Vault or not. Blanks and line breaks at its end are ignored.
          - A relative path starts at the folder of the inventory file, and V(~) is the home folder.
        type: str
      api_key:
        description:
          - The API key as a value that C(ansible-vault encrypt_string) made, or as a template with a lookup.
          - A key in plain text is refused. What the template needs must be known to the inventory, such as extra variables, since the variables of groups and
            hosts are not.
        type: str
  on_error:
    description:
      - What to do with an organization that cannot be used. Its key is missing, dead or belongs to
        another organization, the API cannot be reached or refuses, its answer is not the documented
        one, or its slug cannot be the name of a host.
      - V(fail) makes the whole file unusable, and lists all organizations that cannot be used.
      - V(skip) leaves the organization out, with a warning.
      - V(group) makes a host in the group C(planasonix_unreachable), which has no other variables than C(planasonix_api_url), C(planasonix_api_key) and
        C(planasonix_error), the reason. If it has no O(organizations[].name), the host is C(organization_3) for the third of the list. No other groups are made
        from it.
      - If the key belongs to another organization, or to that of another entry, no task can use
        it. C(planasonix_api_key) then fails where it is rendered.
    type: str
    default: fail
    choices:
      - fail
      - skip
      - group
  concurrency:
    description: How many organizations are read at a time.
    type: int
    default: 16
  api_url:
    description:
      - Base URL of the API of all organizations that have no O(organizations[].api_url). It may end in a path prefix, such as
        V(https://acme.planasonixapis.com/v1).
      - Plain V(http://) is refused except for the loopback interface, since it would send the API key unencrypted.
    type: str
    default: https://api.planasonix.com
    env:
      - name: PLANASONIX_API_URL
  validate_certs:
    description: Whether the TLS certificate of the server is checked. Set it to V(false) for tests only.
    type: bool
    default: true
    env:
      - name: PLANASONIX_VALIDATE_CERTS
  ca_path:
    description: File or folder with the certificate authorities to trust instead of the default ones.
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
    description: How often one request is repeated at the most, after the API answered C(429), C(502), C(503) or C(504), or gave no answer.
    type: int
    default: 5
  retry_budget:
    description:
      - Seconds that may be spent waiting between such repetitions for each organization. A longer C(Retry-After) of the API is cut to what is left.
    type: float
    default: 120
notes:
  - With O(on_error=fail) Ansible itself only warns of a file that it cannot use, and goes on without its hosts. Set C(any_unparsed_is_failed = true) in the
    section C([inventory]) of C(ansible.cfg), or E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED), to make it an error.
  - C(ansible-inventory --list) and C(--host) show lookups as they are written and encrypted values as they are, so they never print a key.
    C(ansible-inventory --graph --vars) is another thing. It shows lookups as well, and ansible-core decrypts for it what is encrypted.
  - What the API answers is never taken for a template, whatever is in it. C(ansible-inventory --list) marks such text with C(__ansible_unsafe), since
    ansible-core 2.19 all of it. Control characters in it become visible escapes. An answer that is
    nested more than 20 levels deep, or has more than 10,000 values or 200,000 characters, is an
    error of this organization.
  - A slug becomes the name of a host only if it has nothing but letters, digits, dots, dashes and
    underscores, and if no other entry, no group, no host of an earlier inventory source and nothing
    in Ansible has this name. Otherwise the organization cannot be used until its entry has a
    O(organizations[].name).
  - With a O(organizations[].name) that is also a host of another inventory source, the two are one
    host, and the variables of both apply.
  - If an entry cannot be used, no other organization can become the host that it was when it was
    read last. That needs the cache, however old it is, or a slug as
    O(organizations[].organization). Without them another organization that takes the slug gets the
    host variables, and the plugin warns of it. An organization that is read with a new slug gives
    up its former one. Give each entry a O(organizations[].name) if host variables contain secrets.
  - Either all hosts of the file are in the inventory or none. An expression that fails under
    O(strict) makes the whole file unusable.
  - The cache holds what was read, and no key. It knows an organization again by its URL and by the place of its key, so organizations that are added later are
    read, and a new key in the old place is not noticed. C(ansible-playbook --flush-cache) reads all of them again. An organization that could not be read is
    not cached, except for the ID and slug that it had before. To forget these too, remove the
    cache.
  - O(validate_certs), O(ca_path), O(timeout) and O(deadline) are for this plugin only. Set the
    environment variables, which the modules and this plugin both read, or variables such as
    C(planasonix_ca_path) for the playbooks as well. An empty environment variable counts as unset.
  - After the first request that fails, the plugin sends no more requests to the organization. One
    request is sent at most O(retries) + 1 times, and all pauses of an organization together take at
    most O(retry_budget). Where some organizations are often out of reach, make these options small.
  - An expression in O(compose), O(groups) or O(keyed_groups) cannot use C(planasonix_api_key).
  - Proxy environment variables are honoured, except for V(http://) to this machine. A C(.netrc)
    file is never read.
seealso:
  - module: planasonix.admin.planasonix_info
  - plugin: ansible.builtin.constructed
    plugin_type: inventory
"""

EXAMPLES = r"""
# fleet.planasonix.yml, to be used with: ansible-playbook -i fleet.planasonix.yml planasonix.admin.audit
plugin: planasonix.admin.orgs
organizations:
  # A key in an environment variable, and a host that is named after the organization. This is all that is needed.
  - api_key_env: ACME_API_KEY

  # A key in a file next to this one, a deployment with an address of its own, and the organization
  # that the key must belong to.
  - name: globex
    organization: org_01jq8globex
    api_url: https://globex.planasonixapis.com/v1
    api_key_file: keys/globex

  # A key that `ansible-vault encrypt_string` encrypted. It stays encrypted until a task uses it.
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
    api_key: "{{ lookup('community.hashi_vault.hashi_vault', 'secret=secret/data/planasonix/umbrella:api_key') }}"

# What cannot be read is in the group planasonix_unreachable, and the others are there all the same.
on_error: group
timeout: 10
retries: 2

# Groups such as tier_enterprise and feature_sso, one of organizations that have few pipelines, and a variable.
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
    complaint_of_text,
    entry_of,
    misconfigured,
    native,
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
"""How long reading may be silent."""
WITHHELD = "{{ undef() | ansible.builtin.mandatory('The key is withheld; see planasonix_error.') }}"
"""Variable of a key that must not be used. If it were undefined, another key could serve."""

Cached = dict[str, dict[str, t.Any]]
"""What the cache holds of a file: by identity, ``facts`` and the Unix time ``read_at``."""


def read_organization(connection: Connection) -> Facts | PlanasonixError:
    """Read an organization, up to the first failure, which is returned; runs in a thread of its own."""
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
            raise misconfigured(f"{name} is empty; is the variable that it comes from set?")
        if name not in config and any(os.environ.get(variable) == "" for variable in variables):
            unset[name] = definition.get("default")
    return unset


def read_all(
    connections: Iterable[Connection], concurrency: int, tell: Callable[[int], object]
) -> list[Facts | PlanasonixError]:
    """Read organizations side by side, in the order given.

    :param tell: Called every few seconds with the number of those that are done.
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
            tell(len(done))
    finally:
        # Whoever interrupts a long run does not wait for those that have not begun.
        pool.shutdown(wait=finished, cancel_futures=True)


def untemplated(value: t.Any) -> t.Any:
    """What the API answered, so that no text in it is ever taken for a template."""
    if isinstance(value, dict):
        return {name: untemplated(item) for name, item in value.items()}
    if isinstance(value, list):
        return [untemplated(item) for item in value]
    # Only where it could be one: ansible-inventory shows what is marked in another way.
    return wrap_var(value) if isinstance(value, str) and "{" in value else value


def recall(item: t.Any, oldest: float) -> Facts | None:
    """Return what is cached of an organization, checked as if it had just been read.

    :returns: ``None`` if it is too old, or not what this version of the plugin reads.
    """
    read_at = item.get("read_at") if isinstance(item, Mapping) else None
    if not isinstance(read_at, (int, float)) or read_at < oldest:
        return None
    try:
        return check_facts(item.get("facts"))
    except PlanasonixError:
        return None


@contextmanager
def whole_or_not(inventory: t.Any) -> Iterator[Callable[[], None]]:
    """Take back all that is added to an inventory if an exception is raised.

    Yields a function that takes it back at any time.
    """
    saved = [
        (thing, {name: copied(value) for name, value in vars(thing).items()})
        for thing in (inventory, *inventory.hosts.values(), *inventory.groups.values())
    ]

    def restore() -> None:
        for thing, state in saved:
            vars(thing).clear()
            vars(thing).update({name: copied(value) for name, value in state.items()})

    try:
        yield restore
    except BaseException:
        restore()
        raise


def copied(value: t.Any) -> t.Any:
    """Return a container with the same items; anything else as it is."""
    return value.copy() if isinstance(value, (dict, list, set)) else value


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """What Ansible loads."""

    NAME = NAME
    inventory: t.Any
    _cache_seconds: int | None = None

    def verify_file(self, path: str) -> bool:
        """Whether the file is one of this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        """Set the options, with the default for each that an empty environment variable gives.

        The list of organizations is checked before ansible-core does it, which would quote what
        is of a wrong type, a key in plain text included.
        """
        unset: dict[str, t.Any] = {}
        if direct is not None:
            check_organizations(direct.get("organizations"))
            unset = unset_options(self._load_name, direct)
            direct = {**direct, **unset}
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self._options.update(unset)  # for ansible-core, the default None is none
        # Facts have their age with them. What an organization was must stay known beyond it.
        self._cache_seconds = self._options.get("cache_timeout")
        self._options["cache_timeout"] = 0

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Add the hosts of a file to the inventory. Nothing is added if the file is unusable.

        :raises AnsibleParserError: if the file cannot be used, or an organization cannot be read and ``on_error`` is ``fail``.
        """
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        if _client.REQUESTS_IMPORT_ERROR:
            raise misconfigured(missing_required_lib("requests"))
        self._check_options(config)
        folder = os.path.dirname(os.path.abspath(path))
        entries = [
            entry_of(position, entry, self._connection, folder)
            for position, entry in enumerate(config["organizations"], 1)
        ]
        stored = self._stored(path)
        cached = self._young(stored) if cache else {}
        organizations = self._identify(self._read(entries, cached, stored))
        self._keep(path, organizations, cached)
        self._fail(organizations)
        with whole_or_not(inventory) as take_back:
            organizations = self._add_all(organizations, take_back)
        self._warn(organizations)

    def _identify(self, organizations: list[Organization]) -> list[Organization]:
        """Return organizations with the names of their hosts, or refused.

        :raises AnsibleParserError: if a name that the file gives is that of a group.
        """
        groups = {
            *self.inventory.groups,
            *map(self._sanitize_group_name, self.get_option("groups") or ()),
        }
        named = name_hosts(refuse_shared(organizations), groups, set(self.inventory.hosts))
        for organization in named:
            if organization.host in groups:
                raise misconfigured(
                    f"{organization.entry.label}: {organization.host} is the name of a group, "
                    "so it cannot be that of a host; choose another name."
                )
        return named

    def _add_all(
        self, organizations: list[Organization], take_back: Callable[[], None]
    ) -> list[Organization]:
        """Add all hosts, and return the organizations, with those refused that cannot be one.

        What groups there are is known only after all expressions were evaluated. Then it begins
        again without the organizations that have to go.

        :raises AnsibleParserError: if an expression fails under ``strict`` or for all, or as for
            :meth:`_fail`.
        """
        while True:
            faults: dict[str, str] = {}
            for organization in organizations:
                fault = self._add(organization)
                if fault:
                    faults[organization.host] = fault
            usable = [organization for organization in organizations if not organization.error]
            if faults and (self.get_option("strict") or len(faults) == len(usable)):
                failed = next(filter(lambda one: one.host in faults, usable))
                raise misconfigured(f"{failed.entry.label}: {faults[failed.host]}")
            faults |= find_group_clashes(organizations, self._groups_by_host(usable))
            if not faults:
                return organizations
            take_back()
            for number, organization in enumerate(organizations):
                if organization.host in faults:
                    organizations[number] = organization.refuse(Refused(faults[organization.host]))
            self._fail(organizations)

    def _check_options(self, config: Mapping[str, t.Any]) -> None:
        """Refuse what ansible-core would pass over in silence."""
        unknown = sorted(
            str(option) for option in config if option != "plugin" and option not in self._options
        )
        if unknown:
            raise misconfigured(f"{', '.join(unknown)} is no option of this plugin.")
        if self.get_option("concurrency") < 1:
            raise misconfigured("concurrency must be at least 1.")
        complaint = complaint_of_text("api_url", self.get_option("api_url"))
        if complaint:
            raise misconfigured(complaint)
        try:
            self._connection(None)
        except InvalidOption as error:
            raise misconfigured(error.message) from None
        environment = os.environ.get("PLANASONIX_VALIDATE_CERTS") or True
        try:
            boolean(config.get("validate_certs", environment))
        except (
            TypeError
        ):  # ansible-core would take it for false, and no certificate would be checked
            raise misconfigured(
                "validate_certs, or PLANASONIX_VALIDATE_CERTS, must be true or false."
            ) from None

    def _connection(self, url: str | None) -> Connection:
        """How to talk to an API; without a key that is one.

        :raises InvalidOption: if the URL or an option cannot be used.
        """
        return Connection(
            url or native(self.get_option("api_url")),
            "none",
            validate_certs=self.get_option("validate_certs"),
            ca_path=self.get_option("ca_path") or None,
            timeout=self.get_option("timeout"),
            deadline=self.get_option("deadline"),
            retries=self.get_option("retries"),
            retry_budget=self.get_option("retry_budget"),
        )

    def _read(
        self, entries: list[Entry], cached: Cached, stored: Mapping[str, t.Any]
    ) -> list[Organization]:
        """Return what is known of each organization, or why nothing is.

        :param cached: What is not read again.
        :param stored: All that the cache contains.
        """
        results: dict[int, Facts | PlanasonixError] = {}
        connections: dict[int, Connection] = {}
        told = time.monotonic()
        for number, entry in enumerate(entries):
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                # On standard output it would spoil what ansible-inventory prints there.
                self.display.display(
                    f"{NAME}: looked for the keys of {number} of {len(entries)} organizations",
                    stderr=True,
                )
            try:
                if entry.identity in cached:
                    results[entry.position] = cached[entry.identity]["facts"]
                else:
                    connections[entry.position] = replace(entry.connection, key=self._key(entry))
            except PlanasonixError as error:
                results[entry.position] = error

        def tell(done: int) -> None:
            self.display.display(
                f"{NAME}: {done} of {len(connections)} organizations read", stderr=True
            )

        if connections:
            concurrency = min(self.get_option("concurrency"), len(connections))
            results.update(
                zip(connections, read_all(connections.values(), concurrency, tell), strict=True)
            )
        return [
            identify(entry, results[entry.position], recall_identity(stored.get(entry.identity)))
            for entry in entries
        ]

    def _key(self, entry: Entry) -> str:
        """The API key, for reading alone.

        :raises InvalidOption: if it cannot be had.
        :raises AnsibleParserError: if a template holds it in plain text.
        """
        variable = entry.source.variable
        self.templar.available_variables = self._vars or {}
        try:
            key = native(
                variable if isinstance(variable, Encrypted) else self.templar.template(variable)
            )
        except Exception as error:  # pylint: disable=broad-exception-caught
            # A lookup's own message could quote a secret, so it is shown only to who asks for details.
            self.display.vvv(f"{NAME}: {entry.label}: {clean_message(str(error))}")
            raise InvalidOption(entry.source.failed) from None
        if not key.strip():
            raise InvalidOption(entry.source.empty)
        if entry.source.kind == "template" and key in variable:
            raise misconfigured(
                f"{entry.label}: api_key holds the key in plain text, which is refused; let a lookup get it."
            )
        return key

    def _fail(self, organizations: list[Organization]) -> None:
        """Refuse the file if an organization cannot be used and ``on_error`` is ``fail``.

        :raises AnsibleParserError: with the reason of each.
        """
        failed = [organization for organization in organizations if organization.error]
        if failed and self.get_option("on_error") == "fail":
            refused = any(isinstance(organization.error, Refused) for organization in failed)
            what = "organizations cannot be used" if refused else "organizations could not be read"
            reasons = " ".join(f"{failure.entry.label}: {failure.reason}" for failure in failed)
            raise misconfigured(f"{len(failed)} of {len(organizations)} {what}. {reasons}")

    def _warn(self, organizations: list[Organization]) -> None:
        """Warn of each organization that is left out, and of names that another may have got."""
        unknown = [one.entry.label for one in organizations if one.is_unknown]
        if unknown and any(one.right is Right.NONE for one in organizations if not one.error):
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

    def _add(self, organization: Organization) -> str | None:
        """Add a host, with its variables and groups; return which expression failed, and why."""
        host, on_error = organization.host, self.get_option("on_error")
        if on_error == "group":
            self.inventory.add_group(UNREACHABLE)  # also if it stays empty, for patterns
        if host in self.inventory.groups or (organization.error and on_error == "skip"):
            return None
        self.inventory.add_host(host, group=UNREACHABLE if organization.error else None)
        if organization.error:
            variables = {"planasonix_error": untemplated(organization.reason)}
        else:
            variables = {
                f"planasonix_{subset}": untemplated(value)
                for subset, value in organization.facts.items()
            }
        variables["planasonix_api_url"] = mark_trusted(organization.entry.connection.url)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        fault = None if organization.error else self._evaluate(host, variables)
        # After the expressions, so that none of them renders it.
        key = organization.entry.source.variable
        if isinstance(organization.error, WrongOrganization):
            key = mark_trusted(WITHHELD)
        self.inventory.set_variable(host, "planasonix_api_key", key)
        return fault

    def _evaluate(self, host: str, variables: dict[str, t.Any]) -> str | None:
        """Set variables and groups from the expressions of the file; return what failed, and why.

        Some failures are raised without ``strict`` too, such as that of a number as a group.
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
        """Return the names of the groups that each organization is in."""
        hosts = self.inventory.hosts
        return {
            organization.host: [group.name for group in hosts[organization.host].get_groups()]
            for organization in usable
            if organization.host in hosts
        }

    def _stored(self, path: str) -> Mapping[str, t.Any]:
        """Return all that the cache contains of the file's organizations, however old."""
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

    def _young(self, stored: Mapping[str, t.Any]) -> Cached:
        """Return what can be used without reading the organization again."""
        seconds = self._cache_seconds
        oldest = time.time() - seconds if seconds else 0  # 0 is for ever
        recalled = {identity: recall(item, oldest) for identity, item in stored.items()}
        return {
            identity: {"read_at": stored[identity]["read_at"], "facts": facts}
            for identity, facts in recalled.items()
            if facts is not None
        }

    def _keep(self, path: str, organizations: list[Organization], cached: Cached) -> None:
        """Leave what is known in the cache. What was cached already keeps its age.

        Of an organization that cannot be used, it is only what it was when it was read last.
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
            # Ansible does so itself, but for no file that turns out to be unusable; then the next run would ask all of them again.
            self.update_cache_if_changed()
