# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Session timeout, settings, log retention, and what the organization is entitled to."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from ..errors import ApiError
from ..schemas import LogRetentionUpdate, SessionTimeoutUpdate, SettingsUpdate
from .call import CurrentCall, data

router = APIRouter(tags=["organization"])


@router.get("/api/session-timeout")
async def get_session_timeout(call: CurrentCall) -> JSONResponse:
    return data(call.state.session_timeout.model_dump())


@router.put("/api/session-timeout")
async def update_session_timeout(call: CurrentCall, body: SessionTimeoutUpdate) -> JSONResponse:
    timeout = call.state.session_timeout.model_copy(update=body.sent())
    if timeout.idle_timeout_minutes > timeout.absolute_timeout_minutes:
        raise ApiError(
            422, "validation_failed", "idle_timeout_minutes may not exceed absolute_timeout_minutes"
        )
    call.state.session_timeout = timeout
    return data({**timeout.model_dump(), "updated_at": call.simulation.clock.text()})


@router.get("/api/settings")
async def get_settings(call: CurrentCall) -> JSONResponse:
    return data(call.state.settings.model_dump(exclude={"feature_flags"}))


@router.post("/api/settings")
async def update_settings(call: CurrentCall, body: SettingsUpdate) -> JSONResponse:
    if body.require_sso and "sso" not in call.state.features:
        raise ApiError(403, "not_entitled", "The plan of this organization does not include sso")
    changes = body.sent()
    settings = call.state.settings
    if "feature_flags" in changes:
        changes["feature_flags"] = {**settings.feature_flags, **changes["feature_flags"]}
    settings = call.state.settings = settings.model_copy(update=changes)
    return data(
        {
            "default_timezone": settings.default_timezone,
            "require_sso": settings.require_sso,
            "updated_at": call.simulation.clock.text(),
        }
    )


@router.get("/api/settings/all")
async def get_all_settings(call: CurrentCall) -> JSONResponse:
    return data(call.state.settings.model_dump())


@router.get("/api/settings/log-retention")
async def get_log_retention(call: CurrentCall) -> JSONResponse:
    return data(call.state.log_retention.model_dump())


@router.put("/api/settings/log-retention")
async def update_log_retention(call: CurrentCall, body: LogRetentionUpdate) -> JSONResponse:
    retention = call.state.log_retention = call.state.log_retention.model_copy(update=body.sent())
    return data({**retention.model_dump(), "updated_at": call.simulation.clock.text()})


@router.get("/api/organization")
async def get_organization(call: CurrentCall) -> JSONResponse:
    return data(call.state.organization.model_dump())


@router.get("/api/features")
async def get_features(call: CurrentCall) -> JSONResponse:
    return data({"features": call.state.features})


@router.get("/api/features/limits")
async def get_feature_limits(call: CurrentCall) -> JSONResponse:
    return data(call.state.limits.model_dump())


@router.get("/api/tier")
async def get_tier(call: CurrentCall) -> JSONResponse:
    return data(call.state.tier.model_dump())
