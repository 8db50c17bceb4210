# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a variant is, and the request and answer that it works on."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, error_response

if TYPE_CHECKING:
    from ..simulation import Simulation
    from ..state import OrganizationState

KEYS = "/api/user/api-keys"
PROFILE = "/api/user/profile"
MFA = "/api/user/mfa"
PREFERENCES = "/api/user-preferences"
SESSION = "/api/session-timeout"
ALLOWLIST = "/api/settings/ip-whitelist"
RETENTION = "/api/settings/log-retention"
SETTINGS = "/api/settings"
CHANNELS = "/api/notifications/channels"
RULES = "/api/notifications/rules"
FEATURES = "/api/features"
LISTS = (KEYS, ALLOWLIST, CHANNELS, RULES)

GROUPS = (KEYS, PROFILE, MFA, PREFERENCES, SESSION, ALLOWLIST, RETENTION, SETTINGS, CHANNELS, RULES)
"""Paths of one resource each: the first that a path begins with counts."""

FREE_FORM = ("config", "filters", "feature_flags", "value")
"""Fields whose content belongs to the user. Variants of documented fields leave them alone."""

KINDS = (
    "masks",
    "channels",
    "rules",
    "preferences",
    "settings",
    "ids",
    "types",
    "times",
    "features",
    "mfa",
    "normalization",
    "lag",
    "not in force",
    "hostile names",
    "paging",
    "envelopes",
    "write answers",
    "errors",
    "connections",
    "hostile bodies",
)
"""Kinds of variants in the order in which they change an answer."""


@dataclass
class Stale:
    """The state before a write, which reads of one resource still show.

    :param reads: How many reads show it; `None` if time decides.
    :param until: Time (monotonic, in seconds) until which reads show it.
    """

    state: OrganizationState
    group: str
    reads: int | None = None
    until: float = 0.0

    def use(self) -> bool:
        """Count a read, and return whether it shows the old state."""
        if self.reads is None:
            return time.monotonic() < self.until
        self.reads -= 1
        return self.reads >= 0


@dataclass
class Memory:
    """What variants remember of one organization: old states, deleted objects, requests seen."""

    stale: list[Stale] = field(default_factory=list)
    deleted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seen: set[tuple[str, ...]] = field(default_factory=set)

    def is_first(self, *request: str) -> bool:
        """Return whether this is the first such request, and remember it."""
        new = request not in self.seen
        self.seen.add(request)
        return new


@dataclass
class Exchange:
    """One request of an organization and its answer.

    :param base: URL of the request without its query.
    :param sent: Headers of the request, in lower case.
    :param body: The JSON of the request; `None` if it has none.
    :param before: The state before a write; the current state for a read.
    :param content: The JSON of the answer; `None` together with `empty` if it has none.
    :param raw: The bytes of the answer, if they are not those of `content`.
    :param pause: Seconds between two bytes of the answer.
    :param close: When the connection ends: `before` the request has an effect, or `after`.
    """

    method: str
    path: str
    query: dict[str, str]
    base: str
    sent: dict[str, str]
    body: Any
    simulation: Simulation
    state: OrganizationState
    before: OrganizationState
    memory: Memory
    request_id: str
    connection: dict[str, int]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: Any = None
    empty: bool = True
    raw: bytes | None = None
    pause: float = 0.0
    close: str = ""

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def group(self) -> str:
        """The resource that the path belongs to, or the path itself."""
        return next((group for group in GROUPS if self.path.startswith(group)), self.path)

    @property
    def data(self) -> Any:
        """What the answer has under `data`, or `None`."""
        return self.content.get("data") if isinstance(self.content, dict) else None

    @data.setter
    def data(self, value: Any) -> None:
        self.content["data"] = value

    @property
    def reads_list(self) -> bool:
        return self.method == "GET" and self.path in LISTS

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield the objects in `data`: those of a list, or the only one."""
        items = self.data if isinstance(self.data, list) else [self.data]
        yield from (item for item in items if isinstance(item, dict))

    def answer(self, status: int, content: Any, **headers: str) -> None:
        """Replace the answer, or give one before the operation."""
        self.status, self.content, self.empty, self.raw = status, content, False, None
        self.headers.update({name.replace("_", "-"): value for name, value in headers.items()})

    def fail(self, error: ApiError) -> None:
        """Answer an error in the current form."""
        answer = error_response(error, self.request_id, self.simulation.options.error_format)
        self.status, self.empty, self.raw = error.status, False, bytes(answer.body)
        self.headers.update({"content-type": answer.headers["content-type"], **error.headers})


Hook = Callable[[Exchange], None]


@dataclass(frozen=True)
class Variant:
    """One legal difference from the reference.

    :param does: What it does, as the README says it.
    :param request: Called before the operation: changes the request, refuses, or answers itself.
    :param effect: Called after a write that succeeded: changes the state.
    :param answer: Called after each success: changes the answer.
    :param refusal: Called after each answer of the operation that is an error: changes it.
    :param whole_lists: The operation gives lists whole, whatever the query asks for.
    """

    name: str
    kind: str
    does: str
    request: Hook | None = None
    effect: Hook | None = None
    answer: Hook | None = None
    refusal: Hook | None = None
    whole_lists: bool = False


REGISTRY: dict[str, Variant] = {}


def add(
    kind: str,
    name: str,
    does: str,
    *,
    request: Hook | None = None,
    effect: Hook | None = None,
    answer: Hook | None = None,
    refusal: Hook | None = None,
    whole_lists: bool = False,
) -> None:
    """Add a variant to the registry."""
    assert kind in KINDS and name not in REGISTRY
    REGISTRY[name] = Variant(name, kind, does, request, effect, answer, refusal, whole_lists)


def choose(names: Iterable[str]) -> list[Variant]:
    """Return variants in the order in which they change an answer."""
    return sorted((REGISTRY[name] for name in names), key=lambda one: KINDS.index(one.kind))


def convert(value: Any, change: Callable[[Any], Any], skip: Iterable[str] = FREE_FORM) -> Any:
    """Return a copy of a value whose scalars are changed, without the content of some fields."""
    skip = tuple(skip)
    if isinstance(value, list):
        return [convert(item, change, skip) for item in value]
    if not isinstance(value, dict):
        return change(value)
    changed = copy.copy(value)
    for name in value.keys() - set(skip):
        changed[name] = convert(value[name], change, skip)
    return changed
