# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variants of what answers look like: ids, types, times, features, MFA, envelopes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from ..errors import ApiError
from .effects import MARKED
from .exchange import (
    ALLOWLIST,
    CHANNELS,
    FEATURES,
    FREE_FORM,
    KEYS,
    MFA,
    PREFERENCES,
    PROFILE,
    RULES,
    SESSION,
    SETTINGS,
    Exchange,
    add,
    convert,
)

KNOWN_PREFERENCES = (
    "canvas.snap_to_grid",
    "canvas.show_minimap",
    "notifications.email_digest",
)
ID_FIELDS = ("id", "organization_id", "channel_id", "delivery_id")
NUMBERS = (
    "idle_timeout_minutes",
    "absolute_timeout_minutes",
    "run_logs_days",
    "audit_logs_days",
    "diagnostic_artifacts_days",
)
BOOLEANS = ("enabled", "extend_on_activity", "require_sso")
TIME_FIELDS = (
    "created_at",
    "updated_at",
    "expires_at",
    "last_used_at",
    "last_evaluated_at",
    "rotated_at",
)


def number_of(text: str) -> int:
    """Return the number that stands for an id."""
    return zlib.crc32(text.encode())


def all_ids(exchange: Exchange) -> dict[str, str]:
    """Return the ids of an organization's objects by their numbers as text."""
    state = exchange.state
    lists: tuple[Any, ...] = (
        state.api_keys,
        state.ip_whitelist.entries,
        state.channels,
        state.rules,
    )
    return {str(number_of(one.id)): one.id for objects in lists for one in objects}


def accept_numbers(exchange: Exchange) -> None:
    """Find the ids that numbers stand for; ids as texts are refused."""
    ids = all_ids(exchange)
    exchange.path = "/".join(ids.get(part, part) for part in exchange.path.split("/"))
    if exchange.method == "POST" and exchange.path == RULES:
        numbers = exchange.body["channel_ids"]
        if not all(isinstance(number, int) for number in numbers):
            raise ApiError(422, "validation_failed", "channel_ids: Input should be integers")
        exchange.body["channel_ids"] = [ids.get(str(number), str(number)) for number in numbers]


def show_numbers(value: Any) -> Any:
    """Return a copy of a value with numbers for ids."""
    if isinstance(value, list):
        return [show_numbers(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Any] = {}
    for name, item in value.items():
        if name in ID_FIELDS and isinstance(item, str):
            shown[name] = number_of(item)
        elif name == "channel_ids":
            shown[name] = [number_of(one) for one in item]
        else:
            shown[name] = item if name in FREE_FORM else show_numbers(item)
    return shown


def is_preference(exchange: Exchange) -> bool:
    return exchange.path.startswith(PREFERENCES)


def is_user_data(exchange: Exchange) -> bool:
    """Return whether an answer is a map of the user's own keys."""
    return exchange.path == PREFERENCES


def change_data(change: Callable[[Any], Any]) -> Callable[[Exchange], None]:
    """Return a hook that replaces `data` of each success, but not the map of preferences."""

    def answer(exchange: Exchange) -> None:
        if exchange.data is not None and not is_user_data(exchange):
            exchange.data = change(exchange.data)

    return answer


def change_scalars(change: Callable[[Any], Any]) -> Callable[[Exchange], None]:
    """Return a hook that changes each scalar of the documented fields."""
    return change_data(lambda data: convert(data, change, ("config", "filters", "value")))


def numbers_as_text(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def numbers_as_floats(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_number else value


def booleans_as_numbers(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def booleans_as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def accept_shown(read: Callable[[Any], Any], *fields: str) -> Callable[[Exchange], None]:
    """Return a hook that accepts values in the form in which they are shown."""

    def request(exchange: Exchange) -> None:
        if not isinstance(exchange.body, dict) or is_preference(exchange):
            return
        for field in exchange.body.keys() & set(fields):
            exchange.body[field] = read(exchange.body[field])
        flags = exchange.body.get("feature_flags")
        if isinstance(flags, dict) and "enabled" in fields:
            exchange.body["feature_flags"] = {name: read(flag) for name, flag in flags.items()}

    return request


def read_number(value: Any) -> Any:
    is_text = isinstance(value, str) and value.isdecimal()
    return int(value) if is_text or isinstance(value, float) else value


def read_boolean(value: Any) -> Any:
    return {"true": True, "false": False, 1: True, 0: False}.get(value, value)


def add_fields(fields: dict[str, Any]) -> Callable[[Any], Any]:
    """Return a function that adds fields to each object, but not in those of the user."""

    def change(value: Any) -> Any:
        if isinstance(value, list):
            return [change(item) for item in value]
        if not isinstance(value, dict):
            return value
        inner = {name: change(value[name]) for name in value.keys() - set(FREE_FORM)}
        return {**value, **inner, **fields}

    return change


def null_for_empty(value: Any) -> Any:
    """Return a copy of a value in which empty texts, lists and maps are null."""
    if isinstance(value, list):
        return [null_for_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: (null_for_empty(item) or None) if item in ("", [], {}) else null_for_empty(item)
        for name, item in value.items()
    }


def hide_retired_names(exchange: Exchange) -> None:
    """Show some names and labels of lists as null."""
    if not exchange.reads_list:
        return
    for one in exchange.objects():
        for field in ("name", "label"):
            if str(one.get(field, "")).startswith(MARKED):
                one[field] = None


def change_lists(path: str, field: str, change: Callable[[Any], Any]) -> Callable[[Exchange], None]:
    """Return a hook that changes a field of each object of a list."""

    def answer(exchange: Exchange) -> None:
        if exchange.reads_list and exchange.path == path:
            for one in exchange.objects():
                one[field] = change(one[field])

    return answer


def show_scope_objects(scopes: list[str]) -> list[dict[str, str]]:
    return [{"name": scope} for scope in scopes]


def hide_names(exchange: Exchange) -> None:
    """Show the fields of the profile that have no value as null."""
    if exchange.path == PROFILE and not exchange.writes:
        exchange.data.update(display_name=None, avatar_url=None)


add(
    "ids",
    "ids_as_numbers",
    "ids are numbers; texts are refused in `channel_ids`",
    request=accept_numbers,
    answer=change_data(show_numbers),
)
add(
    "types",
    "numbers_as_text",
    'numbers are texts: `"60"`',
    request=accept_shown(read_number, *NUMBERS),
    answer=change_scalars(numbers_as_text),
)
add(
    "types",
    "numbers_as_floats",
    "numbers have a point: `60.0`",
    request=accept_shown(read_number, *NUMBERS),
    answer=change_scalars(numbers_as_floats),
)
add(
    "types",
    "booleans_as_numbers",
    "booleans are 0 and 1",
    request=accept_shown(read_boolean, *BOOLEANS),
    answer=change_scalars(booleans_as_numbers),
)
add(
    "types",
    "booleans_as_text",
    'booleans are texts: `"true"`',
    request=accept_shown(read_boolean, *BOOLEANS),
    answer=change_scalars(booleans_as_text),
)
add(
    "types",
    "extra_fields",
    "each object has fields that the reference does not know",
    answer=change_data(add_fields({"etag": 'W/"1"', "links": {"self": "/x"}, "tags": [1, None]})),
)
add(
    "types",
    "extra_nulls",
    "each object has null fields such as `deleted_at` and `revoked_at`",
    answer=change_data(
        add_fields({"deleted_at": None, "revoked_at": None, "archived_at": None, "state": None})
    ),
)
add(
    "types",
    "null_for_empty",
    "null stands for empty texts, lists and maps inside objects",
    answer=change_data(null_for_empty),
)
add(
    "types",
    "scopes_as_text",
    'the list of keys has scopes as one text: `"a:read b:read"`',
    answer=change_lists(KEYS, "scopes", " ".join),
)
add(
    "types",
    "scopes_as_objects",
    'the list of keys has scopes as `{"name": ...}`',
    answer=change_lists(KEYS, "scopes", show_scope_objects),
)
add(
    "types",
    "config_as_text",
    "the list of channels has the config as a text of JSON",
    answer=change_lists(CHANNELS, "config", json.dumps),
)
add(
    "types",
    "names_null",
    f"names and labels that begin with `{MARKED}` are null",
    answer=hide_retired_names,
)
add(
    "types",
    "profile_without_names",
    "`display_name` and `avatar_url` of the profile are null",
    answer=hide_names,
)


def change_times(change: Callable[[datetime], Any]) -> Callable[[Exchange], None]:
    """Return a hook that writes each time in another way."""

    def change_value(value: Any) -> Any:
        if isinstance(value, list):
            return [change_value(item) for item in value]
        if not isinstance(value, dict):
            return value
        shown: dict[str, Any] = {}
        for name, item in value.items():
            if name in TIME_FIELDS and isinstance(item, str) and item:
                shown[name] = change(datetime.fromisoformat(item.replace("Z", "+00:00")))
            else:
                shown[name] = item if name in FREE_FORM else change_value(item)
        return shown

    return change_data(change_value)


def change_never(change: Callable[[dict[str, Any]], None]) -> Callable[[Exchange], None]:
    """Return a hook that changes each key that never expires."""

    def answer(exchange: Exchange) -> None:
        for data in exchange.objects():
            if "expires_at" in data and data["expires_at"] is None:
                change(data)

    return answer


def forget_expiry(key: dict[str, Any]) -> None:
    del key["expires_at"]


def empty_expiry(key: dict[str, Any]) -> None:
    key["expires_at"] = ""


def zero_expiry(key: dict[str, Any]) -> None:
    key["expires_at"] = "0001-01-01T00:00:00Z"


INDIA = timezone(timedelta(hours=5, minutes=30))
for times_name, times_look, times_change in (
    ("times_epoch", "seconds since 1970", lambda moment: int(moment.timestamp())),
    ("times_epoch_ms", "milliseconds since 1970", lambda moment: int(moment.timestamp()) * 1000),
    ("times_date", "dates alone", lambda moment: moment.strftime("%Y-%m-%d")),
    ("times_rfc2822", "as in RFC 2822", format_datetime),
    ("times_minutes", "without seconds", lambda moment: moment.strftime("%Y-%m-%dT%H:%MZ")),
    ("times_basic", "in basic form", lambda moment: moment.strftime("%Y%m%dT%H%M%SZ")),
    ("times_lower", "with `t` and `z`", lambda moment: moment.strftime("%Y-%m-%dt%H:%M:%Sz")),
    ("times_offset", "at an offset", lambda moment: moment.astimezone(INDIA).isoformat()),
):
    add("times", times_name, f"times are {times_look}", answer=change_times(times_change))
add(
    "times",
    "never_is_year_1",
    "a key without an expiry has `0001-01-01T00:00:00Z`",
    answer=change_never(zero_expiry),
)
add(
    "times",
    "never_is_empty",
    "a key without an expiry has an empty `expires_at`",
    answer=change_never(empty_expiry),
)
add(
    "times",
    "never_is_left_out",
    "a key without an expiry has no `expires_at`",
    answer=change_never(forget_expiry),
)


def change_features(change: Callable[[list[str]], Any]) -> Callable[[Exchange], None]:
    """Return a hook that changes the list of features."""

    def answer(exchange: Exchange) -> None:
        if exchange.path == FEATURES:
            exchange.data["features"] = change(exchange.data["features"])

    return answer


def change_enforcement(change: Callable[[bool], Any]) -> Callable[[Exchange], None]:
    """Return a hook that changes `enabled` in the status of the allowlist."""

    def answer(exchange: Exchange) -> None:
        if exchange.path == f"{ALLOWLIST}/status":
            exchange.data["enabled"] = change(exchange.data["enabled"])

    return answer


add(
    "features",
    "features_as_objects",
    'features are `{"name": ..., "enabled": true}`',
    answer=change_features(lambda names: [{"name": name, "enabled": True} for name in names]),
)
add(
    "features",
    "features_as_map",
    'features are a map: `{"sso": true}`',
    answer=change_features(lambda names: dict.fromkeys(names, True)),
)
add(
    "features",
    "features_in_capitals",
    "features are in capitals",
    answer=change_features(lambda names: [name.upper() for name in names]),
)
add(
    "features",
    "enforcement_as_text",
    "the status of the allowlist is `enabled` or `disabled` as text",
    answer=change_enforcement(lambda enabled: "enabled" if enabled else "disabled"),
)
add(
    "features",
    "enforcement_as_number",
    "the status of the allowlist is 0 or 1",
    answer=change_enforcement(int),
)


def change_mfa(change: Callable[[dict[str, Any]], None]) -> Callable[[Exchange], None]:
    """Return a hook that changes the status of MFA."""

    def answer(exchange: Exchange) -> None:
        if exchange.path == MFA:
            change(exchange.data)

    return answer


def leave_out_methods(status: dict[str, Any]) -> None:
    if not status["enabled"]:
        del status["methods"]


def show_method_objects(status: dict[str, Any]) -> None:
    status["methods"] = [{"type": name, "primary": True} for name in status["methods"]]


def show_methods_in_capitals(status: dict[str, Any]) -> None:
    status["methods"] = [name.upper() for name in status["methods"]]


def rename_backup_codes(exchange: Exchange) -> None:
    if exchange.path == f"{MFA}/verify":
        exchange.data["recovery_codes"] = exchange.data.pop("backup_codes")


add(
    "mfa",
    "mfa_methods_left_out",
    "while MFA is off, its status has no `methods`",
    answer=change_mfa(leave_out_methods),
)
add(
    "mfa",
    "mfa_methods_as_objects",
    "the methods of MFA are objects",
    answer=change_mfa(show_method_objects),
)
add(
    "mfa",
    "mfa_methods_in_capitals",
    "the methods of MFA are in capitals",
    answer=change_mfa(show_methods_in_capitals),
)
add(
    "mfa",
    "mfa_codes_renamed",
    "the backup codes are under `recovery_codes`",
    answer=rename_backup_codes,
)


def nest_preferences(exchange: Exchange) -> None:
    if exchange.path != PREFERENCES:
        return
    nested: dict[str, Any] = {}
    for key, value in exchange.data.items():
        *parents, name = key.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    exchange.data = nested


def list_known_preferences(exchange: Exchange) -> None:
    if exchange.path == PREFERENCES:
        known = exchange.data.keys() & set(KNOWN_PREFERENCES)
        exchange.data = {key: exchange.data[key] for key in sorted(known)}


def list_no_preferences(exchange: Exchange) -> None:
    if exchange.path == PREFERENCES:
        exchange.data = {}


add(
    "preferences",
    "preferences_nested",
    'the list of preferences is nested: `{"canvas": {"snap_to_grid": true}}`',
    answer=nest_preferences,
)
add(
    "preferences",
    "preferences_known_only",
    "the list of preferences shows the three that each user has, and no other",
    answer=list_known_preferences,
)
add(
    "preferences",
    "preferences_hidden",
    "the list of preferences is empty",
    answer=list_no_preferences,
)


def drop_residency(exchange: Exchange) -> None:
    if exchange.path == SETTINGS and not exchange.writes:
        del exchange.data["data_residency"]


def forbid_path(*paths: str) -> Callable[[Exchange], None]:
    """Return a hook that refuses to read some paths."""

    def request(exchange: Exchange) -> None:
        if not exchange.writes and exchange.path.startswith(paths):
            raise ApiError(403, "forbidden", f"This key may not read {exchange.path}")

    return request


add(
    "settings",
    "settings_without_residency",
    "`GET /api/settings` leaves `data_residency` out",
    answer=drop_residency,
)
add(
    "settings",
    "key_metadata_forbidden",
    "`GET /api/user/api-keys/{id}` is refused with 403",
    request=forbid_path(f"{KEYS}/"),
)


def set_unlimited(value: int | None) -> Callable[[Exchange], None]:
    """Return a hook that shows retention of audit logs and absolute timeout as unlimited."""

    def answer(exchange: Exchange) -> None:
        for data in exchange.objects():
            if "audit_logs_days" in data:
                data["audit_logs_days"] = value
            if "absolute_timeout_minutes" in data and exchange.path == SESSION:
                data["absolute_timeout_minutes"] = value

    return answer


for unlimited_name, unlimited in (("zero", 0), ("minus_one", -1), ("null", None)):
    add(
        "types",
        f"unlimited_is_{unlimited_name}",
        f"`audit_logs_days` and `absolute_timeout_minutes` are {unlimited}, for ever",
        answer=set_unlimited(unlimited),
    )


def null_list(exchange: Exchange) -> None:
    if exchange.reads_list and exchange.data == []:
        exchange.data = None


def unwrap(exchange: Exchange) -> None:
    if not exchange.writes and exchange.data is not None:
        exchange.content = exchange.data


def unwrap_lists(exchange: Exchange) -> None:
    if exchange.reads_list:
        unwrap(exchange)


def unwrap_objects(exchange: Exchange) -> None:
    if not exchange.reads_list:
        unwrap(exchange)


def add_byte_order_mark(exchange: Exchange) -> None:
    if not exchange.writes:
        exchange.raw = b"\xef\xbb\xbf" + json.dumps(exchange.content).encode()


add(
    "envelopes",
    "byte_order_mark",
    "what is read begins with a byte order mark",
    answer=add_byte_order_mark,
)
add(
    "envelopes",
    "empty_list_is_null",
    "an empty list is `data: null`",
    answer=null_list,
)
add(
    "envelopes",
    "bare_lists",
    "a list is the whole answer, without `data`",
    answer=unwrap_lists,
)
add(
    "envelopes",
    "bare_objects",
    "an object that is read is the whole answer, without `data`",
    answer=unwrap_objects,
)
