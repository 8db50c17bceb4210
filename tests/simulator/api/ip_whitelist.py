# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP allowlist. Switched on, it is enforced by the gate for every request, those that would switch it off included."""

from __future__ import annotations

from ipaddress import ip_network

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ..clock import iso
from ..errors import ApiError
from ..schemas import IpEntryCreate, IpWhitelistToggle
from ..state import IpEntry
from .call import CurrentCall, ObjectId, data, find, no_content
from .paging import listing

router = APIRouter(tags=["IP whitelist"])


@router.get("/api/settings/ip-whitelist")
async def list_ip_whitelist(request: Request, call: CurrentCall) -> JSONResponse:
    return listing(request, call, call.state.ip_whitelist.entries, IpEntry.model_dump)


@router.post("/api/settings/ip-whitelist", status_code=201)
async def add_ip_whitelist_entry(call: CurrentCall, body: IpEntryCreate) -> JSONResponse:
    entries = call.state.ip_whitelist.entries
    network = ip_network(body.cidr)
    if call.simulation.options.refuse_duplicate_networks and any(
        ip_network(entry.cidr) == network for entry in entries
    ):
        raise ApiError(409, "duplicate_network", f"{network} is in the allowlist already")
    entry = IpEntry(
        id=call.simulation.new_id("ipw"),
        cidr=body.cidr,
        label=body.label,
        created_at=iso(call.simulation.clock.creation()),
    )
    entries.append(entry)
    return data(entry.model_dump(), 201)


@router.delete("/api/settings/ip-whitelist/{id}", status_code=204)
async def remove_ip_whitelist_entry(call: CurrentCall, entry_id: ObjectId) -> Response:
    entries = call.state.ip_whitelist.entries
    entries.remove(find(entries, entry_id))
    return no_content()


@router.get("/api/settings/ip-whitelist/status")
async def get_ip_whitelist_status(call: CurrentCall) -> JSONResponse:
    whitelist = call.state.ip_whitelist
    return data(
        {
            "enabled": whitelist.enabled,
            "applies_to": whitelist.applies_to,
            "entry_count": len(whitelist.entries),
            "last_evaluated_at": whitelist.last_evaluated_at,
        }
    )


@router.post("/api/settings/ip-whitelist/toggle")
async def toggle_ip_whitelist(call: CurrentCall, body: IpWhitelistToggle) -> JSONResponse:
    call.state.ip_whitelist.enabled = body.enabled
    return data({"enabled": body.enabled, "updated_at": call.simulation.clock.text()})
