"""Requests whose body was read before, given to an ASGI application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object in a request's body; an empty one for anything else, which bqemulator refuses."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def replayed(app: ASGIApp, body: bytes) -> ASGIApp:
    """Return the application with a request whose body was read before."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        await app(scope, _received(body), send)

    return answer


def _received(body: bytes) -> Callable[[], Awaitable[Message]]:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def answered(app: ASGIApp, scope: Scope, body: bytes) -> Response:
    """Return what the application answers to a request; 500 if it fails without an answer."""
    start: Message = {}
    parts: list[bytes] = []

    async def send(message: Message) -> None:
        start.update(message if message["type"] == "http.response.start" else {})
        parts.append(message.get("body", b""))

    headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    try:
        await app({**scope, "headers": headers}, _received(body), send)
    except Exception as exc:  # noqa: BLE001 - Starlette raises again what it has answered
        if not start:
            message = f"{type(exc).__name__}: {exc}"
            errors = [{"domain": "global", "reason": "internalError", "message": message}]
            return JSONResponse({"error": {"code": 500, "message": message, "errors": errors}}, 500)
    answer = Response(b"".join(parts), status_code=start["status"])
    answer.raw_headers = list(start["headers"])
    return answer
