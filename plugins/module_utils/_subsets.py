# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the subsets of facts, which are also the resources of controls. Pure.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t

SUBSETS = (
    "profile",
    "mfa",
    "api_keys",
    "session_timeout",
    "preferences",
    "settings",
    "ip_whitelist",
    "log_retention",
    "organization",
    "features",
    "limits",
    "tier",
    "notification_channels",
    "notification_rules",
)


def choose_subsets(gather_subset: t.Iterable[str]) -> list[str]:
    """Return the subsets that ``gather_subset`` means, in the order of ``SUBSETS``.

    Exclusions without anything else mean all but these. ``!all`` cancels the implied ``all``. An
    excluded subset wins.
    """
    choice = set(gather_subset)
    excluded = {name[1:] for name in choice if name.startswith("!")}
    included = {name for name in choice if not name.startswith("!")} or {"all"}
    if "all" in included and "all" not in excluded:
        included = set(SUBSETS)
    return [name for name in SUBSETS if name in included - excluded]
