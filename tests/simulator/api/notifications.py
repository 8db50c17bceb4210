# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification channels and rules."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from ..clock import iso
from ..errors import ApiError
from ..schemas import ChannelCreate, ChannelUpdate, RuleCreate
from ..state import SECRET_WORDS, Channel, Delivery, Rule
from .call import Call, CurrentCall, ObjectId, data, find, no_content, refuse_body
from .paging import listing

router = APIRouter(tags=["notifications"])


def _masked(config: dict[str, Any], mode: str) -> dict[str, Any]:
    """Return a config as the list shows it; `mode` off, mask (first characters and ****) or drop, for what looks secret."""
    if mode == "off":
        return config
    shown: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            shown[name] = _masked(value, mode)
        elif not any(word in name.lower() for word in SECRET_WORDS):
            shown[name] = value
        elif mode == "mask":
            text = str(value)
            shown[name] = f"{text[: min(4, len(text) // 2)]}****"
    return shown


@router.get("/api/notifications/channels")
async def list_channels(request: Request, call: CurrentCall) -> JSONResponse:
    mode = call.simulation.options.mask_config

    def shown(channel: Channel) -> dict[str, Any]:
        return {
            **channel.model_dump(exclude={"created_at"}),
            "config": _masked(channel.config, mode),
        }

    return listing(request, call, call.state.channels, shown)


@router.post("/api/notifications/channels", status_code=201)
async def create_channel(call: CurrentCall, body: ChannelCreate) -> JSONResponse:
    channel = Channel(
        id=call.simulation.new_id("nch"),
        created_at=iso(call.simulation.clock.creation()),
        **body.sent(),
    )
    call.state.channels.append(channel)
    return data(channel.model_dump(exclude={"config"}), 201)


@router.put("/api/notifications/channels/{id}")
async def update_channel(
    call: CurrentCall, channel_id: ObjectId, body: ChannelUpdate
) -> JSONResponse:
    channel = find(call.state.channels, channel_id)
    changes = body.sent()
    if "config" in changes and call.simulation.options.refuse_channel_config:
        raise ApiError(422, "validation_failed", "config: Extra inputs are not permitted")
    for name, value in changes.items():
        setattr(channel, name, value)
    return data(
        {
            "id": channel.id,
            "name": channel.name,
            "enabled": channel.enabled,
            "updated_at": call.simulation.clock.text(),
        }
    )


@router.delete("/api/notifications/channels/{id}", status_code=204)
async def delete_channel(call: CurrentCall, channel_id: ObjectId) -> Response:
    """Delete a channel; rules that name it keep its id."""
    call.state.channels.remove(find(call.state.channels, channel_id))
    return no_content()


@router.post(
    "/api/notifications/channels/{id}/test", status_code=202, dependencies=[Depends(refuse_body)]
)
async def test_channel(call: CurrentCall, channel_id: ObjectId) -> JSONResponse:
    channel = find(call.state.channels, channel_id)
    delivery = Delivery(
        id=call.simulation.new_id("ndl"),
        channel_id=channel.id,
        created_at=iso(call.simulation.clock.creation()),
    )
    call.state.deliveries.append(delivery)
    return data({"delivery_id": delivery.id, "status": "queued"}, 202)


@router.get("/api/notifications/rules")
async def list_rules(request: Request, call: CurrentCall) -> JSONResponse:
    return listing(
        request, call, call.state.rules, lambda rule: rule.model_dump(exclude={"created_at"})
    )


@router.post("/api/notifications/rules", status_code=201)
async def create_or_replace_rule(call: CurrentCall, body: RuleCreate) -> JSONResponse:
    rules = call.state.rules
    position = next((index for index, rule in enumerate(rules) if rule.name == body.name), None)
    old = None if position is None else rules[position]
    _check_channels(call, body.channel_ids, old)
    replacement = call.simulation.options.rule_replacement
    if old is not None and replacement == "keep_id":
        rule_id, created_at = old.id, old.created_at
    else:
        rule_id, created_at = call.simulation.new_id("nrl"), iso(call.simulation.clock.creation())
    rule = Rule(id=rule_id, created_at=created_at, **body.model_dump())
    if position is None or replacement == "leave_old":
        rules.append(rule)
    else:
        rules[position] = rule
    return data(rule.model_dump(exclude={"filters"}), 201)


def _check_channels(call: Call, channel_ids: list[str], old: Rule | None) -> None:
    """Refuse ids of channels that do not exist, except those that the rule to be replaced has already."""
    known = {channel.id for channel in call.state.channels}.union(old.channel_ids if old else ())
    unknown = [channel_id for channel_id in channel_ids if channel_id not in known]
    if unknown:
        raise ApiError(422, "unknown_channel", f"There is no channel {', '.join(unknown)}")
