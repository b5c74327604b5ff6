"""The API's error responses: application/problem+json (RFC 9457)."""

from __future__ import annotations

import traceback
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from velocast.core import telemetry
from velocast.core.errors import TooLittleHistory
from velocast.usecases.serving.api_types import Problem

PROBLEM_TYPE = "application/problem+json"
MAX_BYTES = 1024 * 1024
BODY_TOO_LARGE = f"The request is larger than {MAX_BYTES} bytes; send fewer records per request."
HINTS = {
    404: "There is no such route; /openapi.json lists all routes.",
    405: "This route does not have this method; /openapi.json lists all routes.",
    413: BODY_TOO_LARGE,
    500: "The service failed to handle this request; the error was logged. Try again later.",
}
# What a page may ask the browser for: only the reader's position, and only the page itself. terraform/modules/site sets
# the same header for a site with its own domain; a bucket alone cannot send it.
PERMISSIONS = (
    "geolocation=(self), accelerometer=(), camera=(), display-capture=(), gyroscope=(), magnetometer=(), "
    "microphone=(), midi=(), payment=(), usb=()"
)
# Security headers of every response.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
}


class RequestRefused(HTTPException):
    """A refused request: the status, what is wrong and what to do, and the headers of the response."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = int(status)
        self.headers = headers or {}
        self.errors = errors


def problem_json(status: HTTPStatus, detail: str | None = None) -> bytes:
    """Return the body of an error response; `detail` is by default what `HINTS` says of the status."""
    text = detail or HINTS.get(status) or status.description or status.phrase
    body = Problem(title=status.phrase, status=status, detail=text)
    return body.model_dump_json(exclude_none=True).encode()


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    text = body.model_dump_json(exclude_none=True)
    return Response(text, status=status, content_type=PROBLEM_TYPE, headers=headers)


def invalid_request(error: ValidationError) -> Response:
    """Return 422 with one entry for each invalid field."""
    errors = [
        {"where": ".".join(map(str, e["loc"])) or "request", "what": e["msg"]}
        for e in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = errors[0]
    return problem(422, f"{first['where']}: {first['what']}", errors=errors)


def problem_responses() -> dict[str | int, Any]:
    """Return the error responses of the `/v1` routes, for the OpenAPI document."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    statuses = (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503)
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_TYPE: schema},
        }
        for status in statuses
    }


def register_error_handlers(app: Flask) -> None:
    """Return a problem response for every error of `app`."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(TooLittleHistory, _too_little_history)
    app.register_error_handler(Exception, _unexpected)


def _http_error(error: HTTPException) -> Response:
    response = error.response
    if isinstance(response, Response):  # already a problem response (a 422)
        return response
    status = error.code or 500
    if isinstance(error, RequestRefused):
        return problem(status, error.description or "", errors=error.errors, headers=error.headers)
    detail = HINTS.get(status) or error.description or ""
    return problem(status, detail, headers=_own_headers(error))


def _own_headers(error: HTTPException) -> dict[str, str]:
    """Return the headers that werkzeug adds to an error, such as Allow with a 405."""
    return {k: v for k, v in error.get_headers() if k.lower() != "content-type"}


def _too_little_history(error: TooLittleHistory) -> Response:
    return problem(ServiceUnavailable.code, str(error), headers={"Retry-After": "3600"})


def _unexpected(error: Exception) -> Response:
    telemetry.log(
        "ERROR",
        f"serve failed: {error}",
        code=type(error).__name__,
        stack_trace=traceback.format_exc(),
    )
    return problem(InternalServerError.code, HINTS[InternalServerError.code])
