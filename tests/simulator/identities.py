# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and admin keys of the simulated organizations. They are fixed, so that tests and the demo know them."""

from __future__ import annotations

from dataclasses import dataclass

KEY_PREFIX = "plnx_live_"
PASSWORD = "hunter2-not-really"  # the password in the reference's example

_NAMED = (
    ("Acme Analytics", "acme-analytics", "org_01jq8acme"),
    ("Globex", "globex", "org_01jq8globex"),
    ("Initech", "initech", "org_01jq8initech"),
)


@dataclass(frozen=True)
class Identity:
    """One simulated organization: its number (from 1), name, slug, id and admin key."""

    number: int
    name: str
    slug: str
    id: str

    @property
    def admin_key(self) -> str:
        return f"{KEY_PREFIX}{self.slug}_admin_simulator"

    @property
    def admin_key_prefix(self) -> str:
        return f"{KEY_PREFIX}{self.slug}"


def identity(number: int) -> Identity:
    """Return the identity of organization `number`, counted from 1."""
    if number <= len(_NAMED):
        return Identity(number, *_NAMED[number - 1])
    return Identity(
        number, f"Organization {number:03d}", f"organization-{number:03d}", f"org_01jq8{number:06d}"
    )
