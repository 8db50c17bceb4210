# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Profile, password, MFA and preferences of the user that the key acts as."""

from __future__ import annotations

import secrets

import pyotp
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from ..errors import ApiError
from ..schemas import (
    MfaDisable,
    MfaEnable,
    MfaVerify,
    PasswordChange,
    PreferenceUpdate,
    ProfileUpdate,
)
from ..state import Mfa, Preference
from .call import CurrentCall, data, no_content

BACKUP_CODES = 8

router = APIRouter(tags=["account"])


@router.get("/api/user/profile")
async def get_profile(call: CurrentCall) -> JSONResponse:
    return data(call.state.profile.model_dump())


@router.put("/api/user/profile")
async def update_profile(call: CurrentCall, body: ProfileUpdate) -> JSONResponse:
    profile = call.state.profile = call.state.profile.model_copy(update=body.sent())
    shown = profile.model_dump(include={"id", "email", "display_name", "timezone", "locale"})
    return data({**shown, "updated_at": call.simulation.clock.text()})


@router.post("/api/user/password", status_code=204)
async def change_password(call: CurrentCall, body: PasswordChange) -> Response:
    if body.current_password != call.state.password:
        raise ApiError(422, "invalid_password", "The current password is wrong")
    call.state.password = body.new_password
    return no_content()


@router.get("/api/user/mfa")
async def get_mfa(call: CurrentCall) -> JSONResponse:
    mfa = call.state.mfa
    return data(
        {
            "enabled": mfa.enabled,
            "methods": ["totp"] if mfa.enabled else [],
            "backup_codes_remaining": len(mfa.backup_codes),
        }
    )


@router.post("/api/user/mfa/enable")
async def enable_mfa(call: CurrentCall, body: MfaEnable) -> JSONResponse:
    if call.state.mfa.enabled:
        raise ApiError(409, "mfa_already_enabled", "MFA is enabled already")
    secret = pyotp.random_base32()
    enrollment_id = call.simulation.new_id("mfaenr")
    call.state.mfa.enrollments[enrollment_id] = secret
    uri = pyotp.TOTP(secret).provisioning_uri(
        name=call.state.profile.email, issuer_name="Planasonix"
    )
    return data(
        {
            "method": body.method,
            "secret": secret,
            "otpauth_uri": uri,
            "enrollment_id": enrollment_id,
        }
    )


def _is_current_code(secret: str, code: str) -> bool:
    """Check a TOTP code against real time (the client's authenticator knows no other), one step of tolerance each way."""
    return pyotp.TOTP(secret).verify(code, valid_window=1)


@router.post("/api/user/mfa/verify")
async def verify_mfa(call: CurrentCall, body: MfaVerify) -> JSONResponse:
    secret = call.state.mfa.enrollments.get(body.enrollment_id)
    if secret is None:
        raise ApiError(404, "not_found", f"There is no enrollment {body.enrollment_id}")
    if not _is_current_code(secret, body.code):
        raise ApiError(422, "invalid_code", "The code is wrong or no longer valid")
    digits = [f"{secrets.randbelow(10**10):010d}" for dummy in range(BACKUP_CODES)]
    codes = [f"{text[:4]}-{text[4:8]}-{text[8:]}" for text in digits]
    call.state.mfa = Mfa(enabled=True, secret=secret, backup_codes=codes)
    return data({"enabled": True, "backup_codes": codes})


@router.post("/api/user/mfa/disable", status_code=204)
async def disable_mfa(call: CurrentCall, body: MfaDisable) -> Response:
    mfa = call.state.mfa
    if not mfa.enabled or mfa.secret is None:
        raise ApiError(409, "mfa_not_enabled", "MFA is not enabled")
    if body.password != call.state.password:
        raise ApiError(422, "invalid_password", "The password is wrong")
    if body.code not in mfa.backup_codes and not _is_current_code(mfa.secret, body.code):
        raise ApiError(422, "invalid_code", "The code is wrong or no longer valid")
    call.state.mfa = Mfa()
    return no_content()


@router.get("/api/user-preferences")
async def list_preferences(call: CurrentCall) -> JSONResponse:
    return data({key: preference.value for key, preference in call.state.preferences.items()})


# A key may hold a slash, which is no longer escaped by the time a path is matched.
@router.get("/api/user-preferences/{key:path}")
async def get_preference(call: CurrentCall, key: str) -> JSONResponse:
    if key not in call.state.preferences:
        raise ApiError(404, "not_found", f"There is no preference {key!r}")
    return data({"key": key, **call.state.preferences[key].model_dump()})


@router.put("/api/user-preferences/{key:path}")
async def set_preference(call: CurrentCall, key: str, body: PreferenceUpdate) -> JSONResponse:
    if not key:
        raise ApiError(404, "not_found", "A preference needs a key")
    preference = call.state.preferences[key] = Preference(
        value=body.value, updated_at=call.simulation.clock.text()
    )
    return data({"key": key, **preference.model_dump()})
