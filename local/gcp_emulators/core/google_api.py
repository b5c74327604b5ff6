"""What all of the control plane's REST answers share: Google's error shape, page tokens, times."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gcp_emulators.core.times import parse_instant, rfc3339

Json = dict[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]

_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
}


class ApiError(Exception):
    """A refusal with the HTTP code that Google's API would give.

    Never 500 and above: gcloud tries such an answer again for half a minute.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> str:
        """The name of the code in Google's errors."""
        return _STATUS[self.code]


def endpoint(answer: Callable[[Request, Json], Json]) -> Endpoint:
    """Make an endpoint of a function of (request, JSON body) that returns JSON; ApiError becomes Google's error."""

    async def serve(request: Request) -> Response:
        try:
            body = _body_json(await request.body())
            return JSONResponse(await run_in_threadpool(answer, request, body))
        except ApiError as exc:
            error = {"code": exc.code, "message": str(exc), "status": exc.status}
            return JSONResponse({"error": error}, status_code=exc.code)

    return serve


def _body_json(content: bytes) -> Json:
    if not content.strip():
        return {}
    try:
        body = json.loads(content)
    except ValueError as exc:
        raise ApiError(400, f"the request's body is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise ApiError(400, f"the request's body must be an object, got {type(body).__name__}")
    return body


def page(items: Sequence[Json], size: int, token: str) -> tuple[list[Json], str]:
    """Return one page of `items` and the token of the next page, empty at the end; size 0 means all."""
    first = int(token or 0)
    after = first + size if size else len(items)
    return list(items[first:after]), str(after) if after < len(items) else ""


def instant_after(moment: datetime, elapsed_seconds: float) -> str:
    """Return `moment` plus a duration as RFC 3339 with a Z."""
    return rfc3339(datetime.fromtimestamp(moment.timestamp() + elapsed_seconds, tz=moment.tzinfo))


def after_start(started_at: str, elapsed_seconds: float) -> str:
    """Return the end of what began at `started_at` (simulated) and took `elapsed_seconds` (real)."""
    return instant_after(parse_instant(started_at), elapsed_seconds)
