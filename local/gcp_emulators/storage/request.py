"""Requests to the local Cloud Storage, parsed for the methods that handle them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Endpoint, error_response
from gcp_emulators.storage.preconditions import Preconditions
from gcp_emulators.storage.resources import Resource


@dataclass(frozen=True)
class StorageRequest:
    """A parsed request; `path` has the unquoted segments below the API's root."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    origin: str

    def json(self) -> Resource:
        """Return the body as a JSON object, empty if it is none; raises 400 if it is not JSON."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as exc:
            raise GoogleApiError(400, f"body is not JSON: {exc}", reason="parseError") from exc
        return value if isinstance(value, dict) else {}

    @property
    def generation(self) -> int | None:
        """The generation that the request asks for; None for the live one."""
        return int(self.query["generation"]) if self.query.get("generation") else None

    @property
    def conditions(self) -> Preconditions:
        """The preconditions on the object itself."""
        return Preconditions.from_query(self.query)


Handler = Callable[[StorageRequest], Response]


def storage_endpoint(handler: Handler, prefix: int) -> Endpoint:
    """Return the endpoint of a route that calls `handler`; `prefix`: number of path segments before the API's own."""

    async def answer(request: Request) -> Response:
        # object names contain slashes: only the raw path tells %2F from a separator
        raw = request.scope.get("raw_path") or request.url.path.encode()
        path = tuple(
            unquote(part) for part in raw.decode("ascii").split("?")[0].strip("/").split("/")
        )
        call = StorageRequest(
            request.method,
            path[prefix:],
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
            f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}",
        )
        return await run_in_threadpool(_guarded, handler, call)

    return answer


def _guarded(handler: Handler, call: StorageRequest) -> Response:
    try:
        return handler(call)
    except GoogleApiError as error:
        return error_response(error)


def unknown_path(call: StorageRequest) -> GoogleApiError:
    """Return the 404 for a path that the API does not have."""
    where = "/".join(call.path)
    return GoogleApiError(
        404, f"the local Cloud Storage has no {call.method} {where}", reason="notFound"
    )
