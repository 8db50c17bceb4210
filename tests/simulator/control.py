# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control API under `/_simulator/`, by which tests change and watch the simulator. It needs no key and is not logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import ApiError
from .faults import Fault
from .identities import identity
from .simulation import LogRow, Simulation
from .state import OrganizationState


class ControlBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reset(ControlBody):
    organizations: Annotated[int, Field(ge=1, le=10_000)] | None = None


class Advance(ControlBody):
    advance_seconds: float


class Outage(ControlBody):
    seconds: Annotated[float, Field(gt=0, le=60)]


def first_problem(error: ValidationError) -> str:
    """Return the first validation error as one line: `idle_timeout_minutes: Input should be a valid integer`."""
    return describe(error.errors(include_url=False)[0])


def describe(problem: dict[str, Any] | Any) -> str:
    """Return one of pydantic's error dictionaries as one line, without FastAPI's leading "body"."""
    place = ".".join(str(part) for part in problem["loc"] if part != "body")
    return f"{place}: {problem['msg']}" if place else problem["msg"]


def _merged(current: BaseModel, changes: dict[str, Any]) -> Any:
    """Return a validated copy of a model with top-level fields replaced; ApiError 422 if they do not fit."""
    try:
        return type(current).model_validate({**current.model_dump(), **changes})
    except ValidationError as error:
        raise ApiError(422, "validation_failed", first_problem(error)) from None


def _rows(rows: Iterable[LogRow]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def control_router(
    simulation: Simulation, outage: Callable[[float], Coroutine[Any, Any, None]]
) -> APIRouter:
    """Return the control API of a simulation; `outage` closes the port for some seconds."""
    router = APIRouter(prefix="/_simulator", tags=["simulator control"])
    running: set[asyncio.Task[None]] = set()  # asyncio itself keeps no reference

    @router.post("/reset")
    async def reset(body: Reset | None = None) -> list[dict[str, Any]]:
        """Start afresh. Answers what `/_simulator/organizations` does."""
        simulation.reset(body.organizations if body else None)
        return await list_organizations()

    @router.get("/organizations")
    async def list_organizations() -> list[dict[str, Any]]:
        identities = [identity(number) for number in range(1, len(simulation.organizations) + 1)]
        return [
            {"name": this.name, "slug": this.slug, "id": this.id, "admin_key": this.admin_key}
            for this in identities
        ]

    @router.get("/options")
    async def get_options() -> dict[str, Any]:
        return simulation.options.model_dump()

    @router.post("/options")
    async def set_options(changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Change the options that are given."""
        simulation.options = _merged(simulation.options, changes)
        return simulation.options.model_dump()

    @router.get("/faults")
    async def get_faults() -> list[Fault]:
        return simulation.faults.pending

    @router.post("/faults")
    async def add_fault(fault: Fault) -> list[Fault]:
        simulation.faults.pending.append(fault)
        return simulation.faults.pending

    @router.post("/faults/clear")
    async def clear_faults() -> dict[str, Any]:
        simulation.faults.pending.clear()
        return {}

    @router.get("/log")
    async def get_log() -> list[dict[str, Any]]:
        return _rows(simulation.log)

    @router.post("/log/clear")
    async def clear_log() -> dict[str, Any]:
        simulation.log.clear()
        return {}

    @router.get("/violations")
    async def get_violations() -> list[dict[str, Any]]:
        """List the writes that came while `read_only` was on. Only a reset empties the list."""
        return _rows(simulation.violations)

    @router.get("/operations")
    async def get_operations() -> list[dict[str, Any]]:
        """List the documented operations: how often each was reached since the start (resets do not count), and how often with success."""
        return [
            {
                "method": method,
                "path": path.replace(":path}", "}"),
                "count": count,
                "succeeded": succeeded,
            }
            for (method, path), (count, succeeded) in simulation.operations.items()
        ]

    @router.get("/state/{organization}")
    async def get_state(organization: str) -> OrganizationState:
        """Return everything of one organization (slug or id), secrets too."""
        return simulation.find_organization(organization)

    @router.put("/state/{organization}")
    async def set_state(
        organization: str, sections: Annotated[dict[str, Any], Body()]
    ) -> OrganizationState:
        """Replace the sections that are given, such as `channels` or `settings`, each as a whole."""
        old = simulation.find_organization(organization)
        new = simulation.organizations[old.organization.slug] = _merged(old, sections)
        simulation.keys_changed()
        return new

    @router.get("/clock")
    async def get_clock() -> dict[str, Any]:
        return {"now": simulation.clock.text(), "offset_seconds": simulation.clock.offset}

    @router.post("/clock")
    async def advance_clock(body: Advance) -> dict[str, Any]:
        simulation.clock.advance(body.advance_seconds)
        return await get_clock()

    @router.post("/outage")
    async def start_outage(body: Outage, request: Request) -> dict[str, Any]:
        """Close the port and all connections for some seconds, after this answer; clients meanwhile get connection refused."""
        task = asyncio.get_running_loop().create_task(outage(body.seconds))
        running.add(task)
        task.add_done_callback(running.discard)
        return {"seconds": body.seconds, "port": request.url.port}

    return router
