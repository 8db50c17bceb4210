# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of an inventory file: their validation, and the location of each API key.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.module_utils.common.text.converters import to_bytes
from ansible.parsing import vault
from ansible.parsing.yaml import objects

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import mark_trusted

NAME = "planasonix.admin.orgs"
KEY_OPTIONS = ("api_key_env", "api_key_file", "api_key")
ENTRY_OPTIONS = ("name", "api_url", *KEY_OPTIONS, "organization")
TEXT_OPTIONS = ("name", "api_url", "organization")
"""Options of an entry that cannot be templates."""
UNREACHABLE = "planasonix_unreachable"
"""Group of the organizations that cannot be used."""
LONGEST_NAME = 100
RESERVED = frozenset(
    {"all", "ungrouped", "omit", "none", "null", "true", "false", UNREACHABLE, *C.LOCALHOST}
)
PLACEHOLDER = re.compile(r"organization_\d+")
"""Name of a host without a name or slug."""
KEY_PREFIX = "plnx_live_"
"""Prefix of an API key, to detect a key where its location is expected."""
KEY_ERRORS = {
    "env": ("The environment variable {place} is not set, or is empty.",) * 2,
    "file": ("The file {place} does not exist, or cannot be read.", "The file {place} is empty."),
    "vault": (
        "The encrypted api_key cannot be decrypted; "
        "give the vault password that it was encrypted with.",
        "The encrypted api_key is empty.",
    ),
    "template": (
        "The template of api_key cannot be rendered; run with -vvv to see why.",
        "The template of api_key gives an empty text.",
    ),
}
"""By the kind of a key's source: the errors of an unreadable and of an empty key."""

Encrypted: t.Any = getattr(vault, "EncryptedString", None) or objects.AnsibleVaultEncryptedUnicode
"""Type of an encrypted value in a YAML file."""


@dataclass(frozen=True)
class KeySource:
    """Location of the API key of an organization.

    :param kind: A key of :data:`KEY_ERRORS`.
    :param place: Identifies it among others of its kind, without a secret.
    :param variable: Host variable: an unrendered lookup, or an encrypted value.
    """

    kind: str
    place: str
    variable: t.Any = field(repr=False, compare=False)

    @property
    def failed(self) -> str:
        """Error if the key cannot be read."""
        return KEY_ERRORS[self.kind][0].format(place=self.place)

    @property
    def empty(self) -> str:
        """Error if the key is empty."""
        return KEY_ERRORS[self.kind][1].format(place=self.place)


@dataclass(frozen=True)
class Entry:
    """Entry of an organization in the inventory file.

    :param position: Position in the list, from 1 on.
    :param name: Name of the host, ``None`` for the slug.
    :param organization: ID or slug of the organization that the key must belong to.
    :param connection: Connection with a placeholder as its key.
    """

    position: int
    name: str | None
    organization: str | None
    connection: Connection
    source: KeySource

    @property
    def label(self) -> str:
        """Name in messages."""
        return make_label(self.position, self.name)

    @property
    def fallback(self) -> str:
        """Name of the host if the slug cannot be used."""
        return self.name or f"organization_{self.position}"

    @property
    def identity(self) -> str:
        """Name in the cache, without a secret."""
        return f"{self.connection.url} {self.source.kind} {self.source.place}"


def make_label(position: int, name: str | None) -> str:
    """Return the name of an entry in messages."""
    return f"entry {position} of organizations" + (f" ({name})" if name and name.strip() else "")


def to_text(value: t.Any) -> str:
    """Return a text without the tags of Ansible, decrypted if it is encrypted."""
    return str.__str__(str(value))


def config_error(message: str) -> AnsibleParserError:
    """Return an error in the inventory file."""
    return AnsibleParserError(f"{NAME}: {message}")


def check_organizations(organizations: t.Any) -> None:
    """Validate the shape of the list of organizations, without reading files or variables.

    :raises AnsibleParserError: with the entry, and without quoting a possible key.
    """
    if not isinstance(organizations, list):
        raise config_error("organizations must be a list with an entry for each organization.")
    if not organizations:
        raise config_error("organizations has no entry; list at least one organization.")
    named: dict[str, int] = {}
    for position, entry in enumerate(organizations, 1):
        error = validate_entry(entry)
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if error:
            printable = isinstance(name, str) and name.isprintable()
            label = make_label(position, to_text(name) if printable else None)
            raise config_error(f"{label}: {error}")
        if name is not None and named.setdefault(to_text(name), position) != position:
            raise config_error(
                f"{make_label(position, to_text(name))}: entry {named[to_text(name)]} "
                "has the same name; give each a separate name."
            )


def is_reserved(name: str) -> bool:
    """Return whether Ansible or this plugin reserves a name, in any case.

    Some file systems ignore the case.
    """
    return name.lower() in RESERVED or bool(PLACEHOLDER.fullmatch(name.lower()))


def validate_entry(entry: t.Any) -> str | None:
    """Return the error in the shape of an entry, ``None`` if there is none."""
    if not isinstance(entry, Mapping):
        return "it must be a mapping with a key such as api_key_env."
    unknown = sorted(str(option) for option in entry if option not in ENTRY_OPTIONS)
    if unknown:
        return f"{', '.join(unknown)} is unknown; there are {', '.join(ENTRY_OPTIONS)}."
    key_options = [option for option in KEY_OPTIONS if option in entry]
    if len(key_options) != 1:
        extra = f", not {' and '.join(key_options)}" if key_options else ""
        return f"give exactly one of {', '.join(KEY_OPTIONS)}{extra}."
    for option, value in entry.items():
        encrypted = option == "api_key" and isinstance(value, Encrypted)
        if not encrypted and not isinstance(value, str):
            return f"{option} must be a text that is not empty."
        if not encrypted and not value.strip():
            return f"{option} is empty; is the variable that it comes from set?"
    errors = [validate_text(option, entry[option]) for option in TEXT_OPTIONS if option in entry]
    if "name" in entry:
        errors.append(validate_name(entry["name"]))
    return next(filter(None, errors), None) or validate_key(key_options[0], entry[key_options[0]])


def validate_text(option: str, value: str) -> str | None:
    """Return the error in an option that cannot be a template, ``None`` if there is none."""
    if set("{}") & set(value) or not value.isprintable() or value != value.strip():
        return (
            f"{option} must be plain text, not a template, without line breaks, "
            "and without blanks around it."
        )
    return None


def validate_name(name: str) -> str | None:
    """Return why a name cannot be a host name, ``None`` if it can.

    Files are named after hosts, so a name must not lead out of a folder.
    """
    if set("/\\") & set(name) or ".." in name or name.startswith((".", "-")):
        return (
            "name must have no slash, backslash or two dots in a row, and must not begin with a dot"
            " or dash, since files are named after it."
        )
    if len(name) > LONGEST_NAME:
        return f"name must have at most {LONGEST_NAME} characters."
    if is_reserved(name):
        return f"name is {name}, which Ansible or this plugin reserves; choose another one."
    return None


def validate_key(option: str, value: t.Any) -> str | None:
    """Return the error in the location of a key, ``None`` if there is none."""
    if option == "api_key":
        if isinstance(value, Encrypted) or "{{" in value or "{%" in value:
            return None
        return (
            "api_key is in plain text, which is refused; use api_key_env, api_key_file, "
            "a value encrypted by ansible-vault, or a template with a lookup."
        )
    if os.path.basename(value).startswith(KEY_PREFIX):
        return f"{option} looks like a key itself; give the place where the key is."
    if option == "api_key_env" and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        return (
            "api_key_env must be the name of an environment variable: "
            "letters, digits and underscores."
        )
    if option == "api_key_file" and (
        not value.isprintable() or set("\\{}") & set(value) or {"'", '"'} <= set(value)
    ):
        return (
            "api_key_file has a backslash, a brace, a control character or both kinds of quotes "
            "in it; rename the file."
        )
    return None


def find_key_source(entry: Mapping[str, t.Any], folder: str) -> KeySource:
    """Return the location of the key of a valid entry.

    :param folder: Base of relative paths.
    :raises InvalidOption: if the path of a file cannot be used.
    """
    if "api_key_env" in entry:
        name = to_text(entry["api_key_env"])
        return KeySource(
            "env", name, mark_trusted(f"{{{{ lookup('ansible.builtin.env', '{name}') }}}}")
        )
    if "api_key_file" in entry:
        path = os.path.join(folder, os.path.expanduser(to_text(entry["api_key_file"])))
        error = validate_key("api_key_file", path)  # with the folder
        if error:
            raise InvalidOption(error)
        quote = '"' if "'" in path else "'"
        return KeySource(
            "file",
            path,
            mark_trusted(f"{{{{ lookup('ansible.builtin.file', {quote}{path}{quote}) }}}}"),
        )
    value = entry["api_key"]
    if isinstance(value, Encrypted):
        return KeySource("vault", hashlib.sha256(to_bytes(value._ciphertext)).hexdigest(), value)
    # Hashed, because a template may contain a secret, such as a token of a secret manager.
    return KeySource("template", hashlib.sha256(to_bytes(to_text(value))).hexdigest(), value)


def parse_entry(
    position: int,
    entry: Mapping[str, t.Any],
    settings: Callable[[str | None], Connection],
    folder: str,
) -> Entry:
    """Return a valid entry as an object.

    :param settings: Returns the connection for a URL, or for the default URL.
    :raises AnsibleParserError: if the URL, the path of the key or an option cannot be used.
    """
    plain_texts = {option: to_text(entry[option]) for option in TEXT_OPTIONS if option in entry}
    name, organization = plain_texts.get("name"), plain_texts.get("organization")
    try:
        connection = settings(plain_texts.get("api_url"))
        return Entry(position, name, organization, connection, find_key_source(entry, folder))
    except InvalidOption as error:
        raise config_error(f"{make_label(position, name)}: {error.message}") from None
