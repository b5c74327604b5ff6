"""What the REST APIs share: JSON endpoints, Google's two error bodies, page tokens."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gcp_emulators.core.errors import GoogleApiError

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]


def json_endpoint(answer: Callable[[Request, Json], Json]) -> Endpoint:
    """Return an endpoint that calls `answer` with the request and its JSON body and sends the result as JSON.

    A GoogleApiError becomes an error response; so does a body that is not a JSON object (400).
    """

    async def serve(request: Request) -> Response:
        try:
            body = _body_json(await request.body())
            return JSONResponse(await run_in_threadpool(answer, request, body))
        except GoogleApiError as error:
            return error_response(error)

    return serve


def error_response(error: GoogleApiError) -> Response:
    """Return the HTTP response for an error.

    Older APIs, such as Cloud Storage, give a list of reasons; newer ones give the name of the status. 304 has no body.
    """
    if error.code == 304:
        return Response(status_code=304)
    body: Json = {"code": error.code, "message": str(error)}
    if error.reason:
        body["errors"] = [{"message": str(error), "domain": "global", "reason": error.reason}]
    else:
        body["status"] = error.status
    return JSONResponse({"error": body}, status_code=error.code)


def _body_json(content: bytes) -> Json:
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except ValueError as exc:
        raise GoogleApiError(400, f"the request's body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise GoogleApiError(
            400, f"the request's body must be an object, got {type(body).__name__}"
        )
    return body


def paginate(items: Sequence[Json], size: int, token: str) -> tuple[list[Json], str]:
    """Return one page of `items` and the token of the next page, empty on the last page; size 0 means all items."""
    first = int(token or 0)
    after = first + size if size else len(items)
    return list(items[first:after]), str(after) if after < len(items) else ""
