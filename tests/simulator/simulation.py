# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything the simulator holds: organizations, options, faults, log, clock."""

from __future__ import annotations

import math
import mmap
import secrets
import string
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from .clock import Clock
from .errors import ApiError
from .faults import Faults
from .identities import KEY_PREFIX, identity
from .options import Options
from .state import ApiKey, OrganizationState, fresh_state
from .variants.exchange import Memory, Variant, choose

LOG_LENGTH = 20_000
_ALPHABET = string.ascii_lowercase + string.digits


@dataclass
class LogRow:
    """One API request. `status` is None as long as nothing was answered; `path` is without the server's prefix, `clock` in seconds since whenever."""

    method: str
    path: str
    query: str
    time: str
    request_id: str
    organization: str | None = None
    status: int | None = None
    fault: str | None = None
    body: Any = None
    clock: float = 0.0


@dataclass
class RateWindow:
    """Requests of one key in the current window; `ends` is Unix time."""

    ends: float
    used: int = 0


@dataclass
class Simulation:
    """State of the whole simulator; `start_options` and `start_organizations` are what a reset goes back to.

    Each of several `workers`, forked processes, goes on with a copy of all but the time of the last request.
    """

    start_organizations: int = 3
    start_options: Options = field(default_factory=Options)
    prefix: str = ""
    workers: int = 1

    def __post_init__(self) -> None:
        self.clock = Clock()
        self._last_request = mmap.mmap(
            -1, struct.calcsize("d")
        )  # memory that forked processes share
        self.last_request = time.monotonic()
        self.operations: dict[tuple[str, str], list[int]] = {}
        self._serial = 0
        self._key_index: dict[str, tuple[OrganizationState, ApiKey]] | None = None
        self.reset()

    @property
    def last_request(self) -> float:
        """When the last request came to any worker, by the monotonic clock in seconds."""
        return struct.unpack("d", self._last_request[:])[0]

    @last_request.setter
    def last_request(self, moment: float) -> None:
        self._last_request[:] = struct.pack("d", moment)

    def reset(self, organizations: int | None = None) -> None:
        """Start afresh: new organizations, options as at start, no faults, empty log, real time. Ids and `operations` go on counting."""
        self.options = self.start_options.model_copy(deep=True)
        self.faults = Faults()
        self.log: deque[LogRow] = deque(maxlen=LOG_LENGTH)
        self.violations: list[LogRow] = []
        self.rate_windows: dict[str, RateWindow] = {}
        self._memories: dict[str, Memory] = {}
        self.clock = Clock()
        self.organizations: dict[str, OrganizationState] = {}
        for number in range(1, (organizations or self.start_organizations) + 1):
            this = identity(number)
            self.organizations[this.slug] = fresh_state(this, self.new_id("key"), self.clock)
        self.keys_changed()

    def new_id(self, kind: str) -> str:
        """Return an id that no other object has, such as `key_01jq80001a`; `kind` is the documented prefix."""
        self._serial += 1
        return f"{kind}_01jq8{self._serial:05x}"

    def new_secret(self) -> tuple[str, str]:
        """Return a new key's secret and the prefix that lists show."""
        token = "".join(secrets.choice(_ALPHABET) for dummy in range(36))
        secret = f"{KEY_PREFIX}{'01jq' if self.options.shared_key_prefix else ''}{token}"
        return secret, secret[: len(KEY_PREFIX) + 4]

    def keys_changed(self) -> None:
        """Forget which secret belongs to which key; to be called after each change of `api_keys`."""
        self._key_index = None

    def find_key(self, secret: str) -> tuple[OrganizationState, ApiKey] | None:
        """Return organization and key of a secret, expired keys too."""
        if self._key_index is None:
            self._key_index = {
                key.secret: (state, key)
                for state in self.organizations.values()
                for key in state.api_keys
            }
        return self._key_index.get(secret)

    def find_organization(self, name: str) -> OrganizationState:
        """Return the organization of a slug or id; ApiError 404 if there is none."""
        for slug, state in self.organizations.items():
            if name in (slug, state.organization.id):
                return state
        raise ApiError(404, "not_found", f"There is no organization {name}")

    def find_variants(self, slug: str) -> list[Variant]:
        """Return the variants of an organization, in the order in which they apply."""
        chosen = self.options.variants
        return choose([*chosen.get("*", ()), *chosen.get(slug, ())])

    def variant_memory(self, slug: str) -> Memory:
        """Return what variants remember of an organization."""
        return self._memories.setdefault(slug, Memory())

    def count_against_limit(self, key_id: str) -> dict[str, str]:
        """Count a request of a key and return its X-RateLimit headers. ApiError 429, with Retry-After, over the limit."""
        if self.options.rate_limit is None:
            return {}
        limit, seconds = map(int, self.options.rate_limit.split("/"))
        now = time.time()
        window = self.rate_windows.get(key_id)
        if window is None or window.ends <= now:
            window = self.rate_windows[key_id] = RateWindow(now + seconds)
        window.used += 1
        ends = math.ceil(window.ends)
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Reset": str(ends),
        }
        if window.used <= limit:
            return headers
        if self.options.retry_after == "seconds":
            headers["Retry-After"] = str(max(1, math.ceil(window.ends - now)))
        elif self.options.retry_after == "date":
            headers["Retry-After"] = formatdate(ends, usegmt=True)
        raise ApiError(
            429, "rate_limited", f"More than {limit} requests in {seconds} seconds", headers
        )
