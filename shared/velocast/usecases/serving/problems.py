"""Every error of the API as application/problem+json (RFC 9457), made in one place."""

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
HINTS = {
    404: "No route here; /openapi.json lists them all.",
    413: f"The request is larger than {MAX_BYTES} bytes; send fewer records at a time.",
}


class Refused(HTTPException):
    """A request that is turned down: status, what is wrong and what to do, and headers that go with it."""

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


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error answer."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    text = body.model_dump_json(exclude_none=True)
    return Response(text, status=status, content_type=PROBLEM_TYPE, headers=headers)


def invalid(error: ValidationError) -> Response:
    """Return 422 with one entry for each wrong field."""
    errors = [
        {"where": ".".join(map(str, e["loc"])) or "request", "what": e["msg"]}
        for e in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = errors[0]
    return problem(422, f"{first['where']}: {first['what']}", errors=errors)


def described() -> dict[str | int, Any]:
    """Return the error answers of the `/v1` routes, for the OpenAPI document."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    statuses = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_TYPE: schema},
        }
        for status in statuses
    }


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(TooLittleHistory, _too_little_history)
    app.register_error_handler(Exception, _unexpected)


def _http_error(error: HTTPException) -> Response:
    response = error.response
    if isinstance(response, Response):  # made by us already (a 422)
        return response
    status = error.code or 500
    if isinstance(error, Refused):
        return problem(status, error.description or "", errors=error.errors, headers=error.headers)
    detail = HINTS.get(status) or error.description or ""
    return problem(status, detail, headers=_own_headers(error))


def _own_headers(error: HTTPException) -> dict[str, str]:
    """Return the headers werkzeug attaches to an error, such as the Allow of a 405."""
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
    return problem(
        InternalServerError.code, "Something broke here; it is in the log. Try again later."
    )
