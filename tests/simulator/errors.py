# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors of the API and the three forms in which deployments send them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

from starlette.responses import HTMLResponse, JSONResponse, Response


class ApiError(Exception):
    """An answer other than success: HTTP status, machine-readable code, message for people, further headers."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def phrase(status: int) -> str:
    """Return the reason phrase of a status, also for one that HTTP does not define."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def status_code_name(status: int) -> str:
    """Return a machine-readable code for a bare HTTP status: 503 is `service_unavailable`."""
    return phrase(status).lower().replace(" ", "_").replace("-", "_")


def html_page(status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return the kind of page that a proxy in front of the API sends."""
    title = f"{status} {escape(phrase(status))}"
    return HTMLResponse(
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n",
        status,
        dict(headers or {}),
    )


def error_response(error: ApiError, request_id: str, error_format: str) -> Response:
    """Return the error as an answer; `error_format` is nested, flat or html."""
    if error_format == "html":
        return html_page(error.status, error.headers)
    body = {"code": error.code, "message": error.message, "request_id": request_id}
    return JSONResponse(
        {"error": body} if error_format == "nested" else body, error.status, error.headers
    )
