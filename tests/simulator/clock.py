# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator's time. It can be moved forward, so that keys expire within a test."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def iso(seconds: float) -> str:
    """Return Unix time as the API writes it: `2025-03-27T15:00:00Z`. Such texts sort by time."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """Real time plus an offset in seconds."""

    def __init__(self) -> None:
        self.offset = 0.0
        self._latest_creation = 0

    def now(self) -> float:
        """Return the simulated Unix time."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        self.offset += seconds

    def text(self) -> str:
        """Return the time for `updated_at` and the like; never before the youngest `created_at`."""
        return iso(max(self.now(), self._latest_creation))

    def creation(self) -> int:
        """Return a Unix time for `created_at`: the next free second, so that no two objects share one."""
        self._latest_creation = max(int(self.now()), self._latest_creation + 1)
        return self._latest_creation
