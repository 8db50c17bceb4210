# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""API keys. They work: each one made here is accepted as a bearer token until it expires or is deleted."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from ..clock import iso
from ..schemas import ApiKeyCreate
from ..state import ApiKey
from .call import CurrentCall, ObjectId, data, find, no_content, refuse_body
from .paging import listing

DAY = 24 * 60 * 60  # seconds

router = APIRouter(tags=["API keys"])


@router.get("/api/user/api-keys")
async def list_api_keys(request: Request, call: CurrentCall) -> JSONResponse:
    return listing(
        request, call, call.state.api_keys, lambda key: key.model_dump(exclude={"secret"})
    )


@router.post("/api/user/api-keys", status_code=201)
async def create_api_key(call: CurrentCall, body: ApiKeyCreate) -> JSONResponse:
    created = call.simulation.clock.creation()
    secret, prefix = call.simulation.new_secret()
    key = ApiKey(
        id=call.simulation.new_id("key"),
        name=body.name,
        secret=secret,
        prefix=prefix,
        scopes=body.scopes,
        created_at=iso(created),
        expires_at=iso(created + body.expires_in_days * DAY) if body.expires_in_days else None,
    )
    call.state.api_keys.append(key)
    call.simulation.keys_changed()
    return data(key.model_dump(exclude={"last_used_at"}), 201)


@router.get("/api/user/api-keys/{id}")
async def get_api_key(call: CurrentCall, key_id: ObjectId) -> JSONResponse:
    return data(find(call.state.api_keys, key_id).model_dump(exclude={"secret", "expires_at"}))


@router.delete("/api/user/api-keys/{id}", status_code=204)
async def delete_api_key(call: CurrentCall, key_id: ObjectId) -> Response:
    call.state.api_keys.remove(find(call.state.api_keys, key_id))
    call.simulation.keys_changed()
    return no_content()


@router.post("/api/user/api-keys/{id}/regenerate", dependencies=[Depends(refuse_body)])
async def regenerate_api_key(call: CurrentCall, key_id: ObjectId) -> JSONResponse:
    key = find(call.state.api_keys, key_id)
    key.secret, key.prefix = call.simulation.new_secret()
    call.simulation.keys_changed()
    return data(
        {
            "id": key.id,
            "secret": key.secret,
            "prefix": key.prefix,
            "rotated_at": call.simulation.clock.text(),
        }
    )
