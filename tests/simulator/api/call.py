# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operation knows of the request that reached it, and the forms of its answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Path, Request
from starlette.responses import JSONResponse, Response

from ..errors import ApiError
from ..simulation import Simulation
from ..state import OrganizationState


class HasId(Protocol):
    id: str


Item = TypeVar("Item", bound=HasId)


@dataclass(frozen=True)
class Call:
    """A request that passed the gate: the simulation, and the state of its key's organization.

    :param whole_lists: Lists come whole, whatever the options and the query say.
    """

    simulation: Simulation
    state: OrganizationState
    whole_lists: bool = False


async def _current_call(request: Request) -> Call:
    return request.scope["call"]


async def refuse_body(request: Request) -> None:
    """Dependency of POSTs that are documented without a body."""
    if await request.body() not in (b"", b"{}"):
        raise ApiError(422, "validation_failed", "This operation takes no body")


CurrentCall = Annotated[Call, Depends(_current_call)]
ObjectId = Annotated[str, Path(alias="id")]  # the documented paths call it {id}


def data(content: Any, status: int = 200) -> JSONResponse:
    """Answer `{"data": ...}`."""
    return JSONResponse({"data": content}, status)


def no_content() -> Response:
    return Response(status_code=204)


def find(items: Iterable[Item], item_id: str) -> Item:
    """Return the item of an id; ApiError 404 if the organization has none."""
    for item in items:
        if item.id == item_id:
            return item
    raise ApiError(404, "not_found", f"There is no {item_id}")
