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
        description: Name of the host. By default it is the slug of the organization.
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
      - What to do with an organization that cannot be read, because its key is missing or dead, or because the API cannot be reached or refuses.
      - V(fail) makes the whole file unusable, and lists all organizations that could not be read.
      - V(skip) leaves the organization out, with a warning.
      - V(group) makes a host in the group C(planasonix_unreachable), which has no other variables than C(planasonix_api_url), C(planasonix_api_key) and
        C(planasonix_error), the reason. If it has no O(organizations[].name), the host is C(organization_3) for the third of the list. No other groups are made
        from it.
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
    ansible-core 2.19 all of it.
  - The cache holds what was read, and no key. It knows an organization again by its URL and by the place of its key, so organizations that are added later are
    read, and a new key in the old place is not noticed. C(ansible-playbook --flush-cache) reads all of them again. An organization that could not be read is
    not cached.
  - O(validate_certs), O(ca_path) and O(timeout) are for this plugin alone. Set the environment variables, which the modules and this plugin both read, or
    variables such as C(planasonix_ca_path) for the playbooks as well.
  - An organization is not asked for more after the first request that fails. One request takes at most O(retries) + 1 times O(timeout), and all pauses of an
    organization together take at most O(retry_budget). Where some organizations are often out of reach, make them small.
  - An expression in O(compose), O(groups) or O(keyed_groups) cannot use C(planasonix_api_key).
  - Proxy environment variables are honoured. A C(.netrc) file is never read.
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

  # A key in a file beside this one, and a deployment with an address of its own.
  - name: globex
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

import hashlib
import os
import re
import time
import typing as t
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from ansible.errors import AnsibleParserError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.text.converters import to_bytes
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing import vault
from ansible.parsing.yaml import objects
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client, Connection
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    PlanasonixError,
    Unexpected,
)
from ansible_collections.planasonix.admin.plugins.module_utils._facts import read_facts
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import trusted

NAME = "planasonix.admin.orgs"
ENDINGS = (".planasonix.yml", ".planasonix.yaml")
SUBSETS = ("organization", "tier", "features", "limits")
"""What is read of each organization."""
UNREACHABLE = "planasonix_unreachable"
"""Group of the organizations that could not be read."""
KEY_OPTIONS = ("api_key_env", "api_key_file", "api_key")
ENTRY_OPTIONS = ("name", "api_url", *KEY_OPTIONS)
PROGRESS_SECONDS = 3.0
"""How long reading may be silent."""
KEY_PREFIX = "plnx_live_"
"""What an API key begins with, to notice one where its place was asked for."""
COMPLAINTS = {
    "env": ("The environment variable {place} is not set, or is empty.",) * 2,
    "file": ("The file {place} does not exist, or cannot be read.", "The file {place} is empty."),
    "vault": (
        "The encrypted api_key cannot be decrypted; give the vault password that it was encrypted with.",
        "The encrypted api_key is empty.",
    ),
    "template": (
        "The template of api_key cannot be rendered; run with -vvv to see why.",
        "The template of api_key gives an empty text.",
    ),
}
"""By the kind of a key's source: what to say if the key cannot be had, and if there is nothing."""

Encrypted: t.Any = getattr(vault, "EncryptedString", None) or objects.AnsibleVaultEncryptedUnicode
"""The type of a value that a YAML file has encrypted."""

Facts = dict[str, t.Any]
"""What was read of one organization, by subset."""
Cached = dict[str, dict[str, t.Any]]
"""What the cache holds of a file: by identity, ``facts`` and the Unix time ``read_at``."""


@dataclass(frozen=True)
class KeySource:
    """Where the API key of an organization is.

    :param kind: One of those in :data:`COMPLAINTS`.
    :param place: Tells it from others of its kind. Holds no secret.
    :param variable: What the host variable holds: an unrendered lookup, or a value that is still encrypted.
    """

    kind: str
    place: str
    variable: t.Any = field(repr=False, compare=False)

    @property
    def failed(self) -> str:
        """What to say if the key cannot be had."""
        return COMPLAINTS[self.kind][0].format(place=self.place)

    @property
    def empty(self) -> str:
        """What to say if there is nothing."""
        return COMPLAINTS[self.kind][1].format(place=self.place)


@dataclass(frozen=True)
class Entry:
    """An organization as the inventory file lists it.

    :param position: Its place in the list, from 1 on.
    :param name: Name of the host, ``None`` for the slug.
    :param connection: Where and how to read it, with a key that is none.
    """

    position: int
    name: str | None
    connection: Connection
    source: KeySource

    @property
    def label(self) -> str:
        """What messages call it."""
        return label_of(self.position, self.name)

    @property
    def identity(self) -> str:
        """What the cache calls it. Holds no secret."""
        return f"{self.connection.url} {self.source.kind} {self.source.place}"


@dataclass(frozen=True)
class Organization:
    """What came of reading an organization: facts, or an error.

    :param host: Name of its host.
    """

    entry: Entry
    host: str
    facts: Facts = field(default_factory=dict)
    error: PlanasonixError | None = None


def label_of(position: int, name: str | None) -> str:
    """What messages call an entry."""
    return f"entry {position} of organizations" + (f" ({name})" if name else "")


def native(value: t.Any) -> str:
    """The text without what Ansible tags it with, decrypted if it is encrypted."""
    return str.__str__(str(value))


def misconfigured(message: str) -> AnsibleParserError:
    """An error in the inventory file."""
    return AnsibleParserError(f"{NAME}: {message}")


def check_organizations(organizations: t.Any) -> None:
    """Refuse a list of organizations of another shape than the documented one, without a look at files or the environment.

    :raises AnsibleParserError: with a sentence that names the entry, and quotes no value that could be a key.
    """
    if not isinstance(organizations, list):
        raise misconfigured("organizations must be a list with an entry for each organization.")
    if not organizations:
        raise misconfigured("organizations has no entry; list at least one organization.")
    named: dict[str, int] = {}
    for position, entry in enumerate(organizations, 1):
        complaint = complaint_of(entry)
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if complaint:
            raise misconfigured(
                f"{label_of(position, native(name) if isinstance(name, str) and name.isprintable() else None)}: {complaint}"
            )
        if name is not None and named.setdefault(native(name), position) != position:
            raise misconfigured(
                f"{label_of(position, native(name))}: entry {named[native(name)]} has the same name; give each a name of its own."
            )


def complaint_of(entry: t.Any) -> str | None:
    """What is wrong with the shape of an entry, in one sentence; ``None`` if nothing is."""
    if not isinstance(entry, Mapping):
        return "it must be a mapping with a key such as api_key_env."
    unknown = sorted(str(option) for option in entry if option not in ENTRY_OPTIONS)
    if unknown:
        return f"{', '.join(unknown)} is unknown; there are {', '.join(ENTRY_OPTIONS)}."
    given = [option for option in KEY_OPTIONS if option in entry]
    if len(given) != 1:
        return f"give exactly one of {', '.join(KEY_OPTIONS)}{', not ' + ' and '.join(given) if given else ''}."
    for option, value in entry.items():
        encrypted = option == "api_key" and isinstance(value, Encrypted)
        if not encrypted and not (isinstance(value, str) and value.strip()):
            return f"{option} must be a text that is not empty."
    complaints = [
        complaint_of_text(option, entry[option])
        for option in ("name", "api_url")
        if option in entry
    ]
    return next(filter(None, complaints), None) or complaint_of_key(given[0], entry[given[0]])


def complaint_of_text(option: str, value: str) -> str | None:
    """What is wrong with what is to be taken as it is, in one sentence; ``None`` if nothing is."""
    if set("{}") & set(value) or not value.isprintable() or value != value.strip():
        return f"{option} must be plain text, not a template, without line breaks, and without blanks around it."
    return None


def complaint_of_key(option: str, value: t.Any) -> str | None:
    """What is wrong with what says where a key is, in one sentence; ``None`` if nothing is."""
    if option == "api_key":
        if isinstance(value, Encrypted) or "{{" in value or "{%" in value:
            return None
        return "api_key is in plain text, which is refused; use api_key_env, api_key_file, a value encrypted by ansible-vault, or a template with a lookup."
    if os.path.basename(value).startswith(KEY_PREFIX):
        return f"{option} looks like a key itself; give the place where the key is."
    if option == "api_key_env" and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        return "api_key_env must be the name of an environment variable: letters, digits and underscores."
    if option == "api_key_file" and (
        not value.isprintable() or set("\\{}") & set(value) or {"'", '"'} <= set(value)
    ):
        return "api_key_file has a backslash, a brace, a control character or both kinds of quotes in it; rename the file."
    return None


def source_of(entry: Mapping[str, t.Any], folder: str) -> KeySource:
    """Where the key of a checked entry is.

    :param folder: Where relative paths start.
    :raises InvalidOption: if the path of a file cannot be used.
    """
    if "api_key_env" in entry:
        name = native(entry["api_key_env"])
        return KeySource("env", name, trusted(f"{{{{ lookup('ansible.builtin.env', '{name}') }}}}"))
    if "api_key_file" in entry:
        path = os.path.join(folder, os.path.expanduser(native(entry["api_key_file"])))
        complaint = complaint_of_key("api_key_file", path)  # the folder counts as well
        if complaint:
            raise InvalidOption(complaint)
        quote = '"' if "'" in path else "'"
        return KeySource(
            "file", path, trusted(f"{{{{ lookup('ansible.builtin.file', {quote}{path}{quote}) }}}}")
        )
    value = entry["api_key"]
    if isinstance(value, Encrypted):
        return KeySource("vault", hashlib.sha256(to_bytes(value._ciphertext)).hexdigest(), value)
    # The template itself may hold a secret, for example one that opens a secret manager.
    return KeySource("template", hashlib.sha256(to_bytes(native(value))).hexdigest(), value)


def entry_of(
    position: int,
    entry: Mapping[str, t.Any],
    settings: Callable[[str | None], Connection],
    folder: str,
) -> Entry:
    """A checked entry.

    :param settings: Makes the connection of a URL, or of the default one.
    :raises AnsibleParserError: if the URL, the path of the key or an option of the connection cannot be used.
    """
    name = native(entry["name"]) if "name" in entry else None
    try:
        return Entry(
            position,
            name,
            settings(native(entry["api_url"]) if "api_url" in entry else None),
            source_of(entry, folder),
        )
    except InvalidOption as error:
        raise misconfigured(f"{label_of(position, name)}: {error.message}") from None


def read_organization(connection: Connection) -> Facts | PlanasonixError:
    """Read an organization, up to the first failure, which is returned; runs in a thread of its own."""
    try:
        with Client(connection, read_only=True) as client:
            return read_facts(client, SUBSETS, skip_forbidden=False)[0]
    except PlanasonixError as error:
        return error
    except Exception as error:  # pylint: disable=broad-exception-caught
        return Unexpected(error)


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


def organization_of(entry: Entry, result: Facts | PlanasonixError) -> Organization:
    """An entry with what came of reading it. One without a name needs a slug that can be the name of a host."""
    if isinstance(result, PlanasonixError):
        return Organization(entry, entry.name or f"organization_{entry.position}", error=result)
    slug = result["organization"].get("slug")
    if entry.name is None and not (
        isinstance(slug, str) and re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", slug)
    ):
        return organization_of(
            entry,
            PlanasonixError(
                "The API tells no slug that can be the name of a host; give the entry a name."
            ),
        )
    return Organization(entry, entry.name or slug, facts=result)


def check_hosts(organizations: Iterable[Organization]) -> None:
    """Refuse two organizations that would be one host.

    :raises AnsibleParserError: with the labels of both.
    """
    labels: dict[str, str] = {}
    for organization in organizations:
        label = organization.entry.label
        if labels.setdefault(organization.host, label) != label:
            raise misconfigured(
                f"{labels[organization.host]} and {label} are both the host {organization.host}; give each a name of its own, or remove one."
            )


def is_usable(item: t.Any, oldest: float) -> bool:
    """Whether what is cached of an organization is young enough, and has all that this version of the plugin reads."""
    return (
        isinstance(item, Mapping)
        and item.get("read_at", 0) >= oldest
        and set(SUBSETS) <= set(item.get("facts", ()))
    )


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """What Ansible loads."""

    NAME = NAME
    inventory: t.Any

    def verify_file(self, path: str) -> bool:
        """Whether the file is one of this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        """Check the list of organizations before ansible-core does, which would quote what is of a wrong type, a key in plain text included."""
        if direct is not None:
            check_organizations(direct.get("organizations"))
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)

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
        cached = self._cached(path) if cache else {}
        organizations = self._read(
            entries, {identity: item["facts"] for identity, item in cached.items()}
        )
        check_hosts(organizations)
        self._keep(path, organizations, cached)
        self._complain(
            [
                (organization.entry, organization.error)
                for organization in organizations
                if organization.error
            ],
            len(entries),
        )
        for organization in organizations:
            self._add(organization)

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
        checked = config.get("validate_certs", os.environ.get("PLANASONIX_VALIDATE_CERTS"))
        try:
            boolean(True if checked is None else checked)
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
            retries=self.get_option("retries"),
            retry_budget=self.get_option("retry_budget"),
        )

    def _read(self, entries: list[Entry], cached: dict[str, Facts]) -> list[Organization]:
        """What is known of each organization, or why nothing is. What is not cached is read."""
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
                    results[entry.position] = cached[entry.identity]
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
        return [organization_of(entry, results[entry.position]) for entry in entries]

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
            self.display.vvv(f"{NAME}: {entry.label}: {error}")
            raise InvalidOption(entry.source.failed) from None
        if not key.strip():
            raise InvalidOption(entry.source.empty)
        if entry.source.kind == "template" and key in variable:
            raise misconfigured(
                f"{entry.label}: api_key holds the key in plain text, which is refused; let a lookup get it."
            )
        return key

    def _complain(self, failures: list[tuple[Entry, PlanasonixError]], total: int) -> None:
        """Say which organizations could not be read, and why.

        :raises AnsibleParserError: if that makes the file unusable.
        """
        on_error = self.get_option("on_error")
        if failures and on_error == "fail":
            reasons = " ".join(f"{entry.label}: {error.message}" for entry, error in failures)
            raise misconfigured(
                f"{len(failures)} of {total} organizations could not be read. {reasons}"
            )
        for entry, error in failures if on_error == "skip" else ():
            self.display.warning(f"{NAME}: {entry.label} is left out. {error.message}")
        if on_error == "group":
            self.inventory.add_group(
                UNREACHABLE
            )  # also if it stays empty, so that patterns may name it

    def _add(self, organization: Organization) -> None:
        """Add a host, with its variables and groups."""
        host, entry = organization.host, organization.entry
        if organization.error and self.get_option("on_error") == "skip":
            return
        self.inventory.add_host(host, group=UNREACHABLE if organization.error else None)
        if organization.error:
            variables = {"planasonix_error": untemplated(organization.error.message)}
        else:
            variables = {
                f"planasonix_{subset}": untemplated(value)
                for subset, value in organization.facts.items()
            }
        variables["planasonix_api_url"] = trusted(entry.connection.url)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        if not organization.error:
            strict = self.get_option("strict")
            self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
            self._add_host_to_composed_groups(
                self.get_option("groups"), variables, host, strict=strict
            )
            self._add_host_to_keyed_groups(
                self.get_option("keyed_groups"), variables, host, strict=strict
            )
        # After the expressions, so that none of them renders it.
        self.inventory.set_variable(host, "planasonix_api_key", entry.source.variable)

    def _cached(self, path: str) -> Cached:
        """What the cache holds of the file's organizations and is not too old."""
        if not self.get_option("cache"):
            return {}
        stored = self._cache.get(self.get_cache_key(path))
        seconds = self.get_option("cache_timeout")
        oldest = time.time() - seconds if seconds else 0  # 0 is for ever
        return (
            {identity: item for identity, item in stored.items() if is_usable(item, oldest)}
            if isinstance(stored, Mapping)
            else {}
        )

    def _keep(self, path: str, organizations: list[Organization], cached: Cached) -> None:
        """Leave what is known in the cache. What was cached already keeps its age."""
        if self.get_option("cache"):
            read = {
                organization.entry.identity: organization.facts
                for organization in organizations
                if not organization.error
            }
            now = time.time()
            self._cache[self.get_cache_key(path)] = {
                identity: cached.get(identity) or {"read_at": now, "facts": facts}
                for identity, facts in read.items()
            }
            # Ansible does so itself, but for no file that turns out to be unusable; then the next run would ask all of them again.
            self.update_cache_if_changed()
