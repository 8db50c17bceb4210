# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy of API keys: their age, use and scopes. They are audited only.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.planasonix.admin.plugins.module_utils._controls import conform
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    DAY,
    lifetime,
    moment,
    scopes_of,
    whole_days,
)
from ansible_collections.planasonix.admin.plugins.module_utils._options import MOST_DAYS
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values, as_text
from ansible_collections.planasonix.admin.plugins.module_utils._policy import (
    Control,
    Organization,
)
from ansible_collections.planasonix.admin.plugins.module_utils._singleton import FieldTable
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    is_expired,
    is_gone,
)

KEYS_REQUIRE: FieldTable = {
    "max_age_days": {"type": "int"},
    "must_expire": {"type": "bool"},
    "max_lifetime_days": {"type": "int"},
    "unused_days": {"type": "int"},
    "forbidden_scopes": {"type": "list"},
}


def parse_keys(require: t.Any, where: str) -> tuple[Values, dict[t.Any, t.Any]]:
    """Return what a control requires of API keys.

    :raises InvalidOption: if it cannot be understood, no time can be compared with its days, or a
        scope is no text, so that it would never match.
    """
    parsed = conform(require, KEYS_REQUIRE, where)
    for name in ("max_age_days", "max_lifetime_days", "unused_days"):
        days = parsed.get(name, 0)
        if not 0 <= days <= MOST_DAYS:
            raise InvalidOption(f"{where}: {name} must be 0 to {MOST_DAYS} days, not {days}.")
    for scope in parsed.get("forbidden_scopes", []):
        if not isinstance(scope, str):
            raise InvalidOption(f"{where}: forbidden_scopes takes texts, not {as_text(scope)}.")
    return parsed, {}


def evaluate_keys(control: Control, organization: Organization) -> tuple[t.Any, list[str]]:
    """List the API keys that offend, by name and ID, each with what is wrong with it.

    A key that is listed but expired, revoked or switched off does not count.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    now = organization.now
    offenders, texts = [], []
    for key in organization.values["api_keys"]:
        if is_gone(key, now) or is_expired(key, now):
            continue
        reasons = find_offences(key, control.require, now)
        if reasons:
            offenders.append({"name": key["name"], "id": key["id"], "reasons": reasons})
            texts.append(f"{key['name']!r} ({key['id']}) {', '.join(reasons)}")
    return offenders, texts


def find_offences(key: Values, require: Values, now: datetime.datetime) -> list[str]:
    """Return what is wrong with one key.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    reasons = []
    created = None
    if {"max_age_days", "unused_days"} & require.keys():
        created = moment(key, "created_at")
    if "max_age_days" in require:
        if created is None:
            reasons.append("has no known age")
        elif now - created > require["max_age_days"] * DAY:
            reasons.append(f"is older than {require['max_age_days']} days")
    if require.get("must_expire") or "max_lifetime_days" in require:
        if moment(key, "expires_at") is None:
            reasons.append("never expires")
        elif "max_lifetime_days" in require and lives_too_long(key, require["max_lifetime_days"]):
            reasons.append(f"lives longer than {require['max_lifetime_days']} days")
    if "unused_days" in require:
        used = moment(key, "last_used_at") or created
        if used is None or now - used > require["unused_days"] * DAY:
            reasons.append(f"was not used for {require['unused_days']} days")
    if "forbidden_scopes" in require:
        scopes = scopes_of(key)
        forbidden = [scope for scope in require["forbidden_scopes"] if scope in scopes]
        if forbidden:
            reasons.append(f"has {', '.join(forbidden)}")
    return reasons


def lives_too_long(key: Values, days: int) -> bool:
    """Return whether a key lives longer than a number of days.

    A part of a day is tolerated: an API may let a key of 90 days expire a moment later than 90
    days after it was created, or at the end of that day.

    :raises ApiError: if the API does not say so.
    """
    if moment(key, "created_at") is None:
        return True
    length = lifetime(key)
    return length is not None and whole_days(length) > days
