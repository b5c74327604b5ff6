"""Forwards requests unchanged to another local server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.http_server import ORIGINAL_HOST

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_HOP_BY_HOP = {
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
}
TIMEOUT_SECONDS = 600
_CLIENT: Any = {"timeout": TIMEOUT_SECONDS, "trust_env": False, "verify": False}


def forwarding_routes(base_url: str, paths: Sequence[str]) -> list[BaseRoute]:
    """Return routes that forward every request below `paths` to the server at `base_url`.

    They answer 404, not 502, while that server is down: Google's clients retry a 5xx for half a minute or more.
    """

    async def forward(request: Request) -> Response:
        # Links that the server creates, such as a resumable upload's, must lead back to this address.
        host = request.scope.get(ORIGINAL_HOST) or request.headers.get("host", "")
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP]
        raw = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        target = httpx.URL(base_url).copy_with(
            raw_path=f"{raw.partition('?')[0]}?{request.url.query}".rstrip("?").encode()
        )
        headers.append(("host", host))
        try:
            # One client per request: requests are few, and no connection stays open at shutdown.
            async with httpx.AsyncClient(**_CLIENT) as client:
                content = await request.body()
                answer = await client.request(
                    request.method, target, headers=headers, content=content
                )
        except httpx.TransportError as exc:
            return PlainTextResponse(f"{base_url} does not answer: {exc}", status_code=404)
        kept = {
            k: v
            for k, v in answer.headers.items()
            if k.lower() not in {*_HOP_BY_HOP, "content-encoding"}
        }
        return Response(answer.content, status_code=answer.status_code, headers=kept)

    return [Route(path + "{rest:path}", forward, methods=_METHODS) for path in paths]
