# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Profile, preferences and password of the user that the key acts as.

Endpoints: ``/api/user/profile``, ``/api/user-preferences``, ``/api/user-preferences/{key}`` and ``/api/user/password``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import check_filled
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
    describe,
    differences,
    same,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    FieldTable,
    Resource,
    Write,
    exchange,
    require_field,
    return_state,
    singleton,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client

PROFILE_PATH = "/api/user/profile"
PREFERENCES_PATH = "/api/user-preferences"
PASSWORD_PATH = "/api/user/password"

PROFILE_FIELDS: FieldTable = {
    "display_name": {"type": "str"},
    "timezone": {"type": "str"},
    "locale": {"type": "str"},
}

PROFILE = singleton("profile", PROFILE_PATH, PROFILE_FIELDS)


def check_preferences(options: Values) -> None:
    """Refuse keys that no path can hold.

    :raises InvalidOption: with the key.
    """
    for key in options["preferences"]:
        # "." and ".." are resolved on the way, even if they are escaped, so the request would go elsewhere.
        if key in ("", ".", ".."):
            raise InvalidOption(
                f"preferences: {key!r} cannot be the key of a preference; correct it."
            )


def read_preferences(client: Client, options: Values) -> Values:
    """Read ``GET /api/user-preferences``.

    A preference that the list does not show as the task asks for is also read by itself.
    """
    preferences = client.get(PREFERENCES_PATH, "read the preferences")
    desired: Values = options.get("preferences", {})
    return settle_preferences(
        client,
        preferences,
        [key for key, value in desired.items() if not same(preferences.get(key, UNSET), value)],
    )


def settle_preferences(client: Client, preferences: Values, keys: Iterable[str]) -> Values:
    """Return the preferences with some read by ``GET /api/user-preferences/{key}``.

    A list may nest, hide or cache them.
    """
    settled = dict(preferences)
    for key in keys:
        try:
            preference = client.get(preference_path(key), f"read the preference {key!r}")
        except ApiError as error:
            if error.status != 404:
                raise
            settled.pop(key, None)  # it is not set
        else:
            value = require_field(preference, "value", f"the preference {key!r}")
            settled = {**flatten_along(settled, key), key: value}
    return settled


def flatten_along(preferences: Values, key: str) -> Values:
    """Return the preferences without the mappings in which a list nests a key.

    ``{a: {b: 1}}`` becomes ``{a.b: 1}``.
    """
    flat = dict(preferences)
    prefix, *rest = key.split(".")
    while rest and key not in flat and isinstance(flat.get(prefix), dict):
        flat |= {f"{prefix}.{name}": value for name, value in flat.pop(prefix).items()}
        prefix = f"{prefix}.{rest.pop(0)}"
    return flat if key in flat else preferences


def preference_path(key: str) -> str:
    """The path of one preference."""
    return f"{PREFERENCES_PATH}/{quote(key, safe='')}"


def plan_preferences(current: Values, options: Values) -> Plan:
    """Plan one ``PUT /api/user-preferences/{key}`` for each preference that differs or is not there yet."""
    desired: Values = options["preferences"]
    before = {key: current[key] for key in desired if key in current}
    new = {
        key: value
        for key, value in desired.items()
        if key not in before or not same(before[key], value)
    }
    after = before | new
    return Plan(
        before,
        after,
        predicted=current | new,
        message=describe("preferences", differences(before, after)),
        changes=tuple(plan_preference(current, key, value) for key, value in new.items()),
    )


def plan_preference(current: Values, key: str, value: t.Any) -> Change:
    """Return the change of one preference."""
    before = {"value": current[key]} if key in current else {}
    return Change(
        "update", "preferences", f"set the preference {key!r}", key, before, {"value": value}
    )


def request_preference(change: Change, dummy_options: Values) -> Write:
    """Return ``PUT /api/user-preferences/{key}``."""
    return Write("PUT", preference_path(change.object), change.after, change.text)


def verify_preferences(
    current: Values, plan: Plan, dummy_options: Values
) -> Sequence[Mismatch | str]:
    """Return the preferences that are not as the task asks for; a value counts as a whole."""
    return [
        Mismatch(key, plan.before.get(key, UNSET), value, current.get(key, UNSET))
        for key, value in plan.after.items()
        if not same(current.get(key, UNSET), value)
    ]


PREFERENCES = Resource(
    "preferences",
    read_preferences,
    plan_preferences,
    return_state,
    verify_preferences,
    check=check_preferences,
    request=request_preference,
)


def check_password(options: Values) -> None:
    """Refuse an empty password.

    :raises InvalidOption: with the option.
    """
    check_filled(options, "current_password", "new_password")


def read_account(client: Client, dummy_options: Values) -> Values:
    """Read whose password it is, which also proves in check mode that the key is good. The password itself cannot be read."""
    try:
        return client.get(PROFILE_PATH, "read the profile")
    except ApiError as error:
        if error.status in (403, 404):
            return {}  # the key is good, but may not see whose it is
        raise


def plan_password(current: Values, options: Values) -> Plan:
    """Plan ``POST /api/user/password``, unless both passwords are the same."""
    if options["current_password"] == options["new_password"]:
        return Plan({"password": "as it is"}, {"password": "as it is"})
    return Plan(
        {"password": "as it is"},
        {"password": "new"},
        message=f"password of {current.get('email') or 'the user'}: changed",
        changes=(Change("update", "password", "change the password"),),
    )


def request_password(change: Change, options: Values) -> Write:
    """Return ``POST /api/user/password``."""
    body = {name: options[name] for name in ("current_password", "new_password")}
    # Whether it changed anything is known only from the answer.
    return Write("POST", PASSWORD_PATH, body, change.text, changes=False)


def apply_password(client: Client, plan: Plan, dummy_current: Values, options: Values) -> Applied:
    """Change the password. No reading shows which one is in force, so a lost answer is a failure.

    :raises AnswerLost: if it is not known whether the password was changed.
    :raises ApiError: if the API refuses it, for example since the current password is wrong.
    """
    for change in plan.changes:
        try:
            reply = exchange(client, request_password(change, options))
            if reply.flaw is not None:  # it may come from another server, so it proves nothing
                raise reply.flaw
            client.wrote = True
        except ApiError as error:
            if isinstance(error, AnswerLost) or (
                error.status is not None and not error.did_nothing
            ):
                error.message += " The new password may be in force or not: try to sign in with it, and run again only if the old one still works."
            elif error.status in (400, 401, 403, 422):
                error.message += " If an earlier run changed the password, current_password is no longer the current one."
            raise
    return Applied()


PASSWORD = Resource(
    None,
    read_account,
    plan_password,
    return_state,
    None,
    apply_password,
    check_password,
)
