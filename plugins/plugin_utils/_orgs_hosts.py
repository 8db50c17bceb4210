# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of an inventory file: the organization of each entry, and the name of its host.

Variables with secrets depend on the host name, and administrators of an organization can change its
slug. A slug must therefore not be a name with another meaning.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from ansible import constants as C

from ansible_collections.planasonix.admin.plugins.module_utils._errors import PlanasonixError
from ansible_collections.planasonix.admin.plugins.module_utils._texts import one_line
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_entries import (
    LONGEST_NAME,
    UNREACHABLE,
    Entry,
    is_reserved,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_facts import (
    Facts,
    clean_message,
)

T = t.TypeVar("T")
K = t.TypeVar("K")
VARIABLE_FILES = tuple(t.cast(t.Any, C).YAML_FILENAME_EXTENSIONS)
"""Extensions of the files in which Ansible looks for the variables of a host."""
PLAIN_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")


class Refused(PlanasonixError):
    """The organization can be read, but cannot be a host."""


class Right(IntEnum):
    """Priority of a claim to a host name."""

    NONE = 0
    CACHE = 1
    """Had this slug at the last read."""
    SLUG = 2
    """The file has this slug."""
    NAME = 3
    """The file has this name."""


class WrongOrganization(Refused):
    """The key belongs to another organization than the file says; no task may use it."""


@dataclass(frozen=True)
class Organization:
    """Organization of an entry, with facts or an error.

    :param host: Name of its host.
    :param last: ID and slug at the last read, of any age; empty if unknown.
    """

    entry: Entry
    host: str
    facts: Facts = field(default_factory=dict)
    error: PlanasonixError | None = None
    last: Mapping[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> Mapping[str, t.Any]:
        """Answer of the API about the organization; empty if unknown."""
        return self.facts.get("organization", {})

    @property
    def identity(self) -> tuple[str, str] | None:
        """URL and ID; ``None`` if unknown."""
        identifier = self.answer.get("id")
        return None if identifier is None else (self.url, str(identifier))

    @property
    def url(self) -> str:
        """URL in a normalized form."""
        return self.entry.connection.url.rstrip("/").lower()

    @property
    def claim(self) -> str:
        """Name in the file, or slug."""
        return self.entry.name or self.answer.get("slug") or self.entry.organization or ""

    @property
    def last_slug(self) -> str:
        """Slug that was the host name at the last read, in lower case."""
        return "" if self.entry.name else self.last.get("slug", "").lower()

    @property
    def right(self) -> Right:
        """Priority of its claim."""
        if self.entry.name:
            return Right.NAME
        if self.claim == self.entry.organization:
            return Right.SLUG
        same = self.answer and self.last.get("id") == str(self.answer.get("id"))
        return Right.CACHE if same and self.claim.lower() == self.last_slug else Right.NONE

    @property
    def is_unknown(self) -> bool:
        """Whether it was not read and its former host name is unknown."""
        unread = isinstance(self.error, WrongOrganization) or not isinstance(self.error, Refused)
        return bool(self.error) and unread and not self.entry.name and not self.last_slug

    @property
    def reason(self) -> str:
        """Reason why it cannot be used, on one line."""
        return clean_message(self.error.message) if self.error else ""

    def refuse(self, error: Refused) -> Organization:
        """Return a copy with an error instead of its facts."""
        return replace(self, host=self.entry.fallback, facts={}, error=error)

    def is_rival(self, other: Organization) -> bool:
        """Return whether its claim to the slug of another organization has the same priority."""
        name = other.claim.lower()
        if self is other:
            return False
        if self.claim.lower() == name and self.right >= other.right:
            return True
        is_another = (self.url, self.last.get("id")) != other.identity
        return self.last_slug == name and is_another and other.right <= Right.CACHE


def group_by(items: Iterable[T], key: t.Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items by their key."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def identify(
    entry: Entry, result: Facts | PlanasonixError, last: Mapping[str, str]
) -> Organization:
    """Return an entry with the facts or the error of its organization.

    Refuses it if its key belongs to another organization than the file says.

    :param last: ID and slug at the last read.
    """
    if isinstance(result, PlanasonixError):
        return Organization(entry, entry.fallback, error=result, last=last)
    organization = Organization(entry, entry.fallback, facts=result, last=last)
    answer = organization.answer
    if entry.organization not in (None, str(answer.get("id")), answer.get("slug")):
        return organization.refuse(
            WrongOrganization(
                f"The key belongs to {describe(organization)}, not to {entry.organization}. "
                "Correct the place of the key, or organization."
            )
        )
    return organization


def describe(organization: Organization) -> str:
    """Return the name of an organization in messages, from the answer of the API."""
    answer = organization.answer
    return one_line(f"{answer.get('name') or answer.get('slug')} ({answer.get('id')})", 80)


def refuse_shared(organizations: Collection[Organization]) -> list[Organization]:
    """Refuse entries whose keys belong to the same organization.

    One of the keys is probably mistyped. Entries with the option ``organization`` may share one.
    """
    entries = group_by(organizations, lambda organization: organization.identity)
    checked: list[Organization] = []
    for organization in organizations:
        others = [other for other in entries[organization.identity] if other is not organization]
        if organization.identity and others and organization.entry.organization is None:
            error = WrongOrganization(
                f"Its key and the key of {others[0].entry.label} belong to the same organization, "
                f"{describe(organization)}. Correct one of the keys, or remove one of the entries."
            )
            organization = organization.refuse(error)
        checked.append(organization)
    return checked


def name_hosts(
    organizations: Collection[Organization], groups: Collection[str], hosts: Collection[str]
) -> list[Organization]:
    """Name the host of each entry without a name after its slug, or refuse it.

    :param groups: Names of the groups of the inventory and of the file.
    :param hosts: Hosts of other sources of the inventory, whose variables would apply.
    """
    claimants = group_by(organizations, lambda organization: organization.claim.lower())
    former = group_by(organizations, lambda organization: organization.last_slug)
    named: list[Organization] = []
    for organization in organizations:
        if organization.error or organization.entry.name:
            named.append(organization)
            continue
        slug, name = organization.answer.get("slug"), organization.claim.lower()
        others = [*claimants[name], *former.get(name, ())]
        rival = next((other for other in others if other.is_rival(organization)), None)
        fault = validate_slug(slug, groups, hosts)
        if not fault and rival:
            label = rival.entry.label
            fault = f"The slug {slug} was also what {label} was called when it was read last"
            if rival.claim.lower() == name:
                fault = f"The slug {slug} is also what {label} is called"
        if fault:
            named.append(organization.refuse(Refused(f"{fault}; give the entry a name.")))
        else:
            named.append(replace(organization, host=str(slug)))
    return named


def validate_slug(
    slug: str | None, groups: Collection[str], hosts: Collection[str] = ()
) -> str | None:
    """Return why a slug cannot be the name of a host, ``None`` if it can."""
    if not slug:
        return "The API gives no slug to name the host after"
    text = one_line(slug, 60)
    if len(slug) > LONGEST_NAME or not PLAIN_NAME.fullmatch(slug):
        return f"The slug {text!r} is not plain enough for the name of a host"
    if is_reserved(slug):
        return f"The slug {text} is a name that Ansible or this plugin reserves"
    if slug.lower().endswith(VARIABLE_FILES):
        return f"The slug {text} is what a file with variables of another host may be called"
    if slug in groups:
        return f"The slug {text} is the name of a group"
    if slug in hosts:
        return f"The slug {text} is a host of another inventory source"
    return None


def find_group_clashes(
    organizations: Collection[Organization], groups: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Return by host why it clashes with a group of the same name.

    A slug that is a group name is refused. If the name is from the file, each organization in that
    group is refused, and so is each usable organization in the group of the unusable ones.

    :param groups: Names of the groups of each usable host.
    """
    hosts = {organization.host: organization for organization in organizations}
    clashes: dict[str, str] = {}
    for member, names in groups.items():
        if UNREACHABLE in names:
            clashes[member] = (
                f"An expression puts it into the group {UNREACHABLE}, which is for organizations "
                "that cannot be used. Change keyed_groups or groups, for example by a prefix."
            )
        for organization in filter(None, map(hosts.get, names)):
            host, label = organization.host, organization.entry.label
            if organization.right >= Right.SLUG or organization.error:
                clashes[member] = (
                    f"It is in the group {host}, which has the name of a host ({label}). "
                    "Change keyed_groups or groups, for example by a prefix."
                )
            else:
                clashes[host] = f"The slug {host} is the name of a group; give the entry a name."
    return clashes
