# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that there are exactly once: settings of an organization, and of the key's user.

Endpoints of the organization: ``/api/settings``, ``/api/settings/all``, ``/api/session-timeout``
and ``/api/settings/log-retention``. Endpoints of the user that the key acts as:
``/api/user/profile``, ``/api/user-preferences``, ``/api/user-preferences/{key}`` and
``/api/user/password``.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    AnswerLost,
    ApiError,
    InvalidOption,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    BOOLEAN,
    FieldTable,
    check_filled,
    compare_fields,
    find_kind,
    find_unlimited,
    is_unlimited,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    UNSET,
    Change,
    Mismatch,
    Plan,
    Values,
    as_text,
    describe,
    find_mismatches,
    list_differences,
    merge,
    same,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    Write,
    exchange,
    require_field,
    return_state,
)

if t.TYPE_CHECKING:
    from ansible_collections.planasonix.admin.plugins.module_utils._client import Client


@dataclass(frozen=True)
class Singleton:
    """An object that an organization or a user has exactly once: read by GET, replaced by PUT.

    :param name: Key under which modules return it, such as ``session_timeout``.
    :param path: Documented path of its GET and PUT.
    :param fields: What the PUT takes.
    :param check_result: Refuses the object that a change would make, before anything is written;
        returns warnings.
    """

    name: str
    path: str
    fields: FieldTable
    check_result: t.Callable[[Values], list[str]]

    @property
    def title(self) -> str:
        """Return what messages call the object."""
        return f"the {self.name.replace('_', ' ')}"

    def read(self, client: Client, dummy_options: Values) -> Values:
        """Read the object."""
        return without(client.get(self.path, f"read {self.title}"), "updated_at")

    def plan(self, current: Values, options: Values) -> Plan:
        """Plan the PUT, if a field differs."""
        desired = {name: options[name] for name in self.fields if name in options}
        before = {name: require_field(current, name, self.title) for name in desired}
        after = dict(before)
        for name, value in desired.items():
            kind = find_kind(self.name, (name,))
            read_value(before[name], kind, name, self.title)
            if not kind.same(before[name], value):
                after[name] = value
        changes = list_differences(before, after)
        if not changes:
            return Plan(before, after, predicted=current)
        refuse_new_limits(self.name, before, after)
        predicted = {**current, **after}
        whole = {name: require_field(predicted, name, self.title) for name in self.fields}
        old = {name: current[name] for name in self.fields}
        warnings = self.check_result(predicted)
        text = f"update {self.title}"
        return Plan(
            before,
            after,
            predicted=predicted,
            message=describe(self.name, changes),
            result={"warnings": warnings} if warnings else {},
            changes=(Change("update", self.name, text, before=old, after=whole),),
        )

    def request(self, change: Change, dummy_options: Values) -> Write:
        """Return the PUT with all fields: a server that replaces the object would reset others.

        What is null stays out: some servers refuse it, and reading back shows if it stayed null.
        """
        body = {name: value for name, value in change.after.items() if value is not None}
        return Write("PUT", self.path, body, change.text)

    def verify(
        self, current: Values, plan: Plan, dummy_options: Values
    ) -> Sequence[Mismatch | str]:
        """Return what is not as the task asks for, and what was to stay and did not."""
        wanted = {name: plan.predicted[name] for name in self.fields if name in plan.predicted}
        return find_mismatches(
            current, wanted, {**wanted, **plan.before}, compare_fields(self.name)
        )


def singleton(
    name: str,
    path: str,
    fields: FieldTable,
    *,
    check: t.Callable[[Values], None] = lambda dummy_options: None,
    check_result: t.Callable[[Values], list[str]] = lambda dummy_object: [],
) -> Resource:
    """Return the resource of an object that there is once; parameters as of :class:`Singleton`.

    :param check: Refuses options that contradict each other.
    """
    one = Singleton(name, path, fields, check_result)
    return Resource(
        name, one.read, one.plan, return_state, one.verify, check=check, request=one.request
    )


def refuse_new_limits(name: str, before: Values, after: Values) -> None:
    """Refuse to replace what may mean no limit: a shorter retention deletes logs for good.

    :raises RefusedPlan: with the first such field.
    """
    for limit in find_unlimited(name, before):
        if after[limit] != before[limit]:
            raise RefusedPlan(
                f"{limit} is {as_text(before[limit])}, which may mean no limit, so the task does "
                f"not set it to {as_text(after[limit])}. Set a limit in the product first, or "
                "leave out the option."
            )


def check_minimum(options: Values, minimum: int, unit: str, *names: str) -> None:
    """Refuse numbers that are too small.

    :raises InvalidOption: with the first of them.
    """
    for name in names:
        if name in options and options[name] < minimum:
            raise InvalidOption(f"{name} must be at least {minimum} {unit}, not {options[name]}.")


SETTINGS_FIELDS: FieldTable = {
    "default_timezone": {"type": "str"},
    "require_sso": {"type": "bool"},
    "data_residency": {"type": "str"},
}


def check_settings(options: Values) -> None:
    """Refuse a setting that is given twice.

    :raises InvalidOption: if ``extra`` holds a setting that has an option of its own.
    """
    doubled = sorted(set(options.get("extra", {})) & set(SETTINGS_FIELDS))
    if doubled:
        raise InvalidOption(
            f"extra must not hold {', '.join(doubled)}: use the option of that name."
        )


def read_settings(client: Client, options: Values) -> Values:
    """Read the settings.

    ``GET /api/settings`` is documented as partial, so ``GET /api/settings/all`` is read where it
    lacks a setting, and where ``extra`` is given.
    """
    settings: Values = {}
    if "extra" not in options:
        settings = client.get("/api/settings", "read the settings")
    if "extra" in options or any(
        name in options and name not in settings for name in SETTINGS_FIELDS
    ):
        settings = client.get("/api/settings/all", "read the settings")
    return without(settings, "updated_at")


def plan_settings(current: Values, options: Values) -> Plan:
    """Plan ``POST /api/settings`` with what differs.

    Mappings in ``extra`` are merged, so keys that are not named keep their value.
    """
    desired = {name: options[name] for name in SETTINGS_FIELDS if name in options}
    before = {name: require_field(current, name, "the settings") for name in desired}
    for name, value in before.items():
        read_value(value, find_kind("settings", (name,)), name, "the settings")
    # A setting that the API does not list equals nothing; reading back shows if it was applied.
    before |= {name: current[name] for name in options.get("extra", {}) if name in current}
    desired |= {
        name: merge(current.get(name), value) for name, value in options.get("extra", {}).items()
    }
    new = {
        name: value
        for name, value in desired.items()
        if name not in before or not equal_settings(name, before[name], value)
    }
    if not new:
        return Plan(before, before, predicted=current)
    after = {**before, **new}
    old = {name: before[name] for name in new if name in before}
    return Plan(
        before,
        after,
        predicted={**current, **new},
        message=describe("settings", list_differences(before, after)),
        changes=(Change("update", "settings", "update the settings", before=old, after=new),),
    )


def request_settings(change: Change, dummy_options: Values) -> Write:
    """Return ``POST /api/settings`` with what differs; sent twice, it sets the same."""
    return Write("POST", "/api/settings", change.after, change.text, repeatable=True)


def equal_settings(name: str, found: t.Any, wanted: t.Any) -> bool:
    """Compare two values of a setting, or of a flag: ``feature_flags.lineage_v2``.

    An API may show the flag that a task gives as a boolean as a number or a text.
    """
    if name == "feature_flags" and isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            equal_settings(f"{name}.{flag}", found[flag], value) for flag, value in wanted.items()
        )
    if name.startswith("feature_flags.") and isinstance(wanted, bool):
        return BOOLEAN.same(found, wanted)
    return find_kind("settings", (name,)).same(found, wanted)


BOOKKEEPING = re.compile("(created|updated|modified|changed)|version|revision|etag|_(at|by)$", re.I)
"""Names of settings that an API changes by itself with each write."""


def verify_settings(current: Values, plan: Plan, options: Values) -> Sequence[Mismatch | str]:
    """Return what is not as the task asks for, and what was to stay and did not."""
    kept = {
        name: value
        for name, value in without(plan.predicted, *plan.after).items()
        if not BOOKKEEPING.search(name)
    }
    if "extra" not in options:
        kept = {name: value for name, value in kept.items() if name in current}  # a partial answer
    return find_mismatches(current, {**kept, **plan.after}, {**kept, **plan.before}, equal_settings)


SETTINGS = Resource(
    "settings",
    read_settings,
    plan_settings,
    return_state,
    verify_settings,
    check=check_settings,
    request=request_settings,
)


SESSION_TIMEOUT_FIELDS: FieldTable = {
    "idle_timeout_minutes": {"type": "int"},
    "absolute_timeout_minutes": {"type": "int"},
    "extend_on_activity": {"type": "bool"},
}


def check_session_timeout(options: Values) -> None:
    """Refuse numbers that no session can have.

    :raises InvalidOption: if one is less than 1, or idle exceeds absolute.
    """
    check_minimum(options, 1, "minute", "idle_timeout_minutes", "absolute_timeout_minutes")
    if {"idle_timeout_minutes", "absolute_timeout_minutes"} <= options.keys():
        check_idle(options)


def check_idle(timeout: Values) -> list[str]:
    """Refuse an idle timeout that never comes into effect.

    :returns: A warning where a number may mean no limit, so that the two cannot be compared.
    :raises InvalidOption: if it exceeds the absolute one, of which one may be in force already.
    :raises ApiError: if what the organization has is no number.
    """
    idle, absolute = (
        read_value(
            require_field(timeout, name, "the session timeout"),
            find_kind("session_timeout", (name,)),
            name,
            "the session timeout",
        )
        for name in ("idle_timeout_minutes", "absolute_timeout_minutes")
    )
    limits = (
        ("absolute_timeout_minutes", absolute, "idle"),
        ("idle_timeout_minutes", idle, "absolute"),
    )
    for name, value, other in limits:
        if is_unlimited(value):
            return [
                f"{name} is {as_text(value)}, which may mean no limit; "
                f"{other}_timeout_minutes was not compared with it."
            ]
    if idle > absolute:
        raise InvalidOption(
            f"idle_timeout_minutes would be {idle} and absolute_timeout_minutes {absolute}, and "
            "idle may not exceed absolute; give both, or other numbers."
        )
    return []


SESSION_TIMEOUT = singleton(
    "session_timeout",
    "/api/session-timeout",
    SESSION_TIMEOUT_FIELDS,
    check=check_session_timeout,
    check_result=check_idle,
)


LOG_RETENTION_FIELDS: FieldTable = {
    "run_logs_days": {"type": "int"},
    "audit_logs_days": {"type": "int"},
    "diagnostic_artifacts_days": {"type": "int"},
}


def check_log_retention(options: Values) -> None:
    """Refuse a retention of less than one day.

    :raises InvalidOption: with the option.
    """
    check_minimum(options, 1, "day", *LOG_RETENTION_FIELDS)


LOG_RETENTION = singleton(
    "log_retention", "/api/settings/log-retention", LOG_RETENTION_FIELDS, check=check_log_retention
)


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
        # Even if escaped, "." and ".." are resolved on the way: the request would go elsewhere.
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
    """Plan one ``PUT`` for each preference that differs or is not set."""
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
        message=describe("preferences", list_differences(before, after)),
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
    """Read whose password it is, which also proves in check mode that the key is valid.

    The password itself cannot be read.
    """
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
                error.message += (
                    " The new password may be in force or not: try to sign in with it, and run "
                    "again only if the old one still works."
                )
            elif error.status in (400, 401, 403, 422):
                error.message += (
                    " If an earlier run changed the password, current_password is no longer the "
                    "current one."
                )
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
