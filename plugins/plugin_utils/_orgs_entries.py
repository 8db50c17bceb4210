# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The organizations as an inventory file lists them: what it may say, and where each key is.

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
PLAIN_OPTIONS = ("name", "api_url", "organization")
"""Options of an entry that are taken as they are written."""
UNREACHABLE = "planasonix_unreachable"
"""Group of the organizations that cannot be used."""
LONGEST_NAME = 100
RESERVED = frozenset(
    {"all", "ungrouped", "omit", "none", "null", "true", "false", UNREACHABLE, *C.LOCALHOST}
)
PLACEHOLDER = re.compile(r"organization_\d+")
"""What this plugin calls a host whose name it does not know."""
KEY_PREFIX = "plnx_live_"
"""What an API key begins with, to notice one where its place was asked for."""
COMPLAINTS = {
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
"""By the kind of a key's source: what to say if the key cannot be had, and if there is nothing."""

Encrypted: t.Any = getattr(vault, "EncryptedString", None) or objects.AnsibleVaultEncryptedUnicode
"""The type of a value that a YAML file has encrypted."""


@dataclass(frozen=True)
class KeySource:
    """Where the API key of an organization is.

    :param kind: One of those in :data:`COMPLAINTS`.
    :param place: Tells it from others of its kind. Holds no secret.
    :param variable: The host variable: an unrendered lookup, or a value that is still encrypted.
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
    :param organization: Id or slug of the organization that the key must belong to.
    :param connection: Where and how to read it, with a key that is none.
    """

    position: int
    name: str | None
    organization: str | None
    connection: Connection
    source: KeySource

    @property
    def label(self) -> str:
        """What messages call it."""
        return label_of(self.position, self.name)

    @property
    def fallback(self) -> str:
        """Name of the host where the slug cannot be it."""
        return self.name or f"organization_{self.position}"

    @property
    def identity(self) -> str:
        """What the cache calls it. Holds no secret."""
        return f"{self.connection.url} {self.source.kind} {self.source.place}"


def label_of(position: int, name: str | None) -> str:
    """What messages call an entry."""
    return f"entry {position} of organizations" + (f" ({name})" if name and name.strip() else "")


def native(value: t.Any) -> str:
    """The text without what Ansible tags it with, decrypted if it is encrypted."""
    return str.__str__(str(value))


def misconfigured(message: str) -> AnsibleParserError:
    """An error in the inventory file."""
    return AnsibleParserError(f"{NAME}: {message}")


def check_organizations(organizations: t.Any) -> None:
    """Refuse a list of organizations of another shape than the documented one.

    It reads no files and no environment.

    :raises AnsibleParserError: with a sentence that names the entry, and quotes no possible key.
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
            printable = isinstance(name, str) and name.isprintable()
            label = label_of(position, native(name) if printable else None)
            raise misconfigured(f"{label}: {complaint}")
        if name is not None and named.setdefault(native(name), position) != position:
            raise misconfigured(
                f"{label_of(position, native(name))}: entry {named[native(name)]} "
                "has the same name; give each a name of its own."
            )


def is_reserved(name: str) -> bool:
    """Return whether Ansible or this plugin gives a name another meaning.

    The case makes no difference, as in the names of files on some systems.
    """
    return name.lower() in RESERVED or bool(PLACEHOLDER.fullmatch(name.lower()))


def complaint_of(entry: t.Any) -> str | None:
    """What is wrong with the shape of an entry, in one sentence; ``None`` if nothing is."""
    if not isinstance(entry, Mapping):
        return "it must be a mapping with a key such as api_key_env."
    unknown = sorted(str(option) for option in entry if option not in ENTRY_OPTIONS)
    if unknown:
        return f"{', '.join(unknown)} is unknown; there are {', '.join(ENTRY_OPTIONS)}."
    given = [option for option in KEY_OPTIONS if option in entry]
    if len(given) != 1:
        found = f", not {' and '.join(given)}" if given else ""
        return f"give exactly one of {', '.join(KEY_OPTIONS)}{found}."
    for option, value in entry.items():
        encrypted = option == "api_key" and isinstance(value, Encrypted)
        if not encrypted and not isinstance(value, str):
            return f"{option} must be a text that is not empty."
        if not encrypted and not value.strip():
            return f"{option} is empty; is the variable that it comes from set?"
    complaints = [
        complaint_of_text(option, entry[option]) for option in PLAIN_OPTIONS if option in entry
    ]
    if "name" in entry:
        complaints.append(complaint_of_name(entry["name"]))
    return next(filter(None, complaints), None) or complaint_of_key(given[0], entry[given[0]])


def complaint_of_text(option: str, value: str) -> str | None:
    """What is wrong with what is to be taken as it is, in one sentence; ``None`` if nothing is."""
    if set("{}") & set(value) or not value.isprintable() or value != value.strip():
        return (
            f"{option} must be plain text, not a template, without line breaks, "
            "and without blanks around it."
        )
    return None


def complaint_of_name(name: str) -> str | None:
    """Return what keeps a name from being that of a host; ``None`` if nothing does.

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


def complaint_of_key(option: str, value: t.Any) -> str | None:
    """What is wrong with what says where a key is, in one sentence; ``None`` if nothing is."""
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


def source_of(entry: Mapping[str, t.Any], folder: str) -> KeySource:
    """Where the key of a checked entry is.

    :param folder: Where relative paths start.
    :raises InvalidOption: if the path of a file cannot be used.
    """
    if "api_key_env" in entry:
        name = native(entry["api_key_env"])
        return KeySource(
            "env", name, mark_trusted(f"{{{{ lookup('ansible.builtin.env', '{name}') }}}}")
        )
    if "api_key_file" in entry:
        path = os.path.join(folder, os.path.expanduser(native(entry["api_key_file"])))
        complaint = complaint_of_key("api_key_file", path)  # the folder counts as well
        if complaint:
            raise InvalidOption(complaint)
        quote = '"' if "'" in path else "'"
        return KeySource(
            "file",
            path,
            mark_trusted(f"{{{{ lookup('ansible.builtin.file', {quote}{path}{quote}) }}}}"),
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
    :raises AnsibleParserError: if the URL, the path of the key or an option cannot be used.
    """
    plain_texts = {option: native(entry[option]) for option in PLAIN_OPTIONS if option in entry}
    name, organization = plain_texts.get("name"), plain_texts.get("organization")
    try:
        connection = settings(plain_texts.get("api_url"))
        return Entry(position, name, organization, connection, source_of(entry, folder))
    except InvalidOption as error:
        raise misconfigured(f"{label_of(position, name)}: {error.message}") from None
