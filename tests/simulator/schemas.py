# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request bodies. Strict: an unknown field, another JSON type, a null or a missing field is refused with 422."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Left out and null differ: the default is never validated, so a null in the body is an error and a field left out is unset.
LEFT_OUT: Any = None


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is not an IANA time zone") from None
    return value


def _cidr(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", value):
        raise ValueError(f"{value!r} is not in CIDR notation")
    ip_network(value)  # raises ValueError, also if host bits are set
    return value


Text = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=1)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]
Cidr = Annotated[str, AfterValidator(_cidr)]
Scope = Annotated[str, Field(pattern=r"^[^\s:]+:[^\s:]+$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    def sent(self) -> dict[str, Any]:
        """Return only the fields that the client sent."""
        return self.model_dump(exclude_unset=True)


class ProfileUpdate(Body):
    display_name: Text = LEFT_OUT
    timezone: Timezone = LEFT_OUT
    locale: Locale = LEFT_OUT


class PasswordChange(Body):
    current_password: str
    new_password: Annotated[str, Field(min_length=12)]


class MfaEnable(Body):
    method: Literal["totp"]


class MfaVerify(Body):
    enrollment_id: Text
    code: Text


class MfaDisable(Body):
    password: str
    code: Text


class ApiKeyCreate(Body):
    name: Text
    scopes: Annotated[list[Scope], Field(min_length=1)]
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] = LEFT_OUT


class SessionTimeoutUpdate(Body):
    idle_timeout_minutes: Annotated[int, Field(ge=1)] = LEFT_OUT
    absolute_timeout_minutes: Annotated[int, Field(ge=1)] = LEFT_OUT
    extend_on_activity: bool = LEFT_OUT


class PreferenceUpdate(Body):
    value: Any


class SettingsUpdate(Body):
    default_timezone: Timezone = LEFT_OUT
    require_sso: bool = LEFT_OUT
    data_residency: Text = LEFT_OUT
    feature_flags: dict[str, bool] = LEFT_OUT


class IpEntryCreate(Body):
    cidr: Cidr
    label: str = ""


class IpWhitelistToggle(Body):
    enabled: bool


class LogRetentionUpdate(Body):
    run_logs_days: Days = LEFT_OUT
    audit_logs_days: Days = LEFT_OUT
    diagnostic_artifacts_days: Days = LEFT_OUT


class ChannelCreate(Body):
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    name: Text
    config: dict[str, Any]


class ChannelUpdate(Body):
    name: Text = LEFT_OUT
    enabled: bool = LEFT_OUT
    config: dict[str, Any] = LEFT_OUT


class RuleCreate(Body):
    name: Text
    event: Text
    channel_ids: list[str]
    filters: dict[str, Any] = {}
    enabled: bool = True
