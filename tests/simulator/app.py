# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ASGI application: documented operations and control API behind the gate."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .api import account, api_keys, ip_whitelist, notifications, organization
from .control import control_router, describe
from .errors import ApiError, error_response, status_code_name
from .gate import CONTROL, Gate
from .simulation import Simulation

ROUTERS = (
    account.router,
    api_keys.router,
    organization.router,
    ip_whitelist.router,
    notifications.router,
)


def create_app(
    simulation: Simulation, outage: Callable[[float], Coroutine[Any, Any, None]]
) -> Gate:
    """Return the application; `outage` closes the server's port for some seconds."""
    app = FastAPI(
        title="Planasonix admin API, simulated",
        description="The documented operations, and below them the control API of the simulator.",
        version="1",
        redirect_slashes=False,
        servers=[{"url": simulation.prefix or "/"}],
    )
    for router in ROUTERS:
        app.include_router(router)
        for route in router.routes:
            if isinstance(route, APIRoute):
                simulation.operations.update(
                    {(method, route.path): [0, 0] for method in route.methods or ()}
                )
    app.include_router(control_router(simulation, outage))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]

    def respond(request: Request, error: ApiError) -> Response:
        # Tests must be able to read what the control API complains of, whatever form the simulated deployment uses.
        error_format = (
            "nested" if request.url.path.startswith(CONTROL) else simulation.options.error_format
        )
        return error_response(error, request.scope["request_id"], error_format)

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return respond(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        problem = error.errors()[0]
        if problem["type"] == "json_invalid":
            return respond(request, ApiError(400, "malformed_json", "The body is not JSON"))
        return respond(request, ApiError(422, "validation_failed", describe(problem)))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return respond(
            request,
            ApiError(
                error.status_code,
                status_code_name(error.status_code),
                str(error.detail),
                error.headers,
            ),
        )

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return respond(
            request, ApiError(500, "internal_error", f"The simulator itself failed: {error!r}")
        )

    return Gate(app, simulation)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the bearer key that the gate checks, so that the page at /docs can send one."""
    if not app.openapi_schema:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            servers=app.servers,
        )
        schema["components"]["securitySchemes"] = {"api_key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"api_key": []}]
        app.openapi_schema = schema
    return app.openapi_schema
