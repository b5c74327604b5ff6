"""The ASGI side of the API: reads a request's body after the request is admitted, then calls the Flask application.

The event loop waits for clients, so that a slow one costs a connection and no thread. Requests that are answered from
memory in a millisecond are answered in the loop itself; those with a body, or that wait for a snapshot, in a thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import Any

from flask_openapi3.openapi import OpenAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send
from werkzeug.test import run_wsgi_app

from velocast.usecases.serving.admission import BODY_READING, BodyReading
from velocast.usecases.serving.problems import BODY_TOO_LARGE, MAX_BYTES, RequestRefused
from velocast.usecases.serving.service import EXTENSION, Service

BODY_SECONDS = 10.0
# A response is sent in pieces of this size: a client that reads slowly then holds one piece, not all of it.
PIECE_BYTES = 64 * 1024
BODY_TOO_SLOW = (
    f"The request's body did not arrive within {BODY_SECONDS:.0f} s; send it without pause."
)


class Gateway:
    """The API as an ASGI application."""

    def __init__(self, app: OpenAPI) -> None:
        self._app = app
        self._service: Service = app.extensions[EXTENSION]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        environ = _environ(scope)
        if not _has_body(environ):
            await self._respond(environ, send)
            return
        # First without the body: the application refuses the request, or asks for the body by admitting it.
        reading = environ[BODY_READING] = BodyReading()
        if await self._respond(environ, send, reading):
            return
        try:
            body = await _read_body(receive)
        except _Disconnected:
            return
        except RequestRefused as exc:
            reading.refused = exc
        else:
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        await self._respond(environ, send)

    async def _respond(
        self, environ: dict[str, Any], send: Send, reading: BodyReading | None = None
    ) -> bool:
        """Call the application and send its response; return False, sending nothing, if it asks for the body."""
        if environ["wsgi.input"] is _NOTHING and self._service.holder.is_current:
            pieces, status, headers = run_wsgi_app(self._app, environ)
        else:
            pieces, status, headers = await run_in_threadpool(run_wsgi_app, self._app, environ)
        try:
            if reading is not None and reading.admitted is not None:
                return False
            raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]
            start = {"type": "http.response.start", "status": int(status[:3]), "headers": raw}
            await send(start)
            await _send_body(pieces, send)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return True


class _Disconnected(Exception):
    """The client closed the connection before its request was complete."""


_NOTHING = BytesIO()


def _environ(scope: Scope) -> dict[str, Any]:
    """Return the WSGI environment of a request without its body (PEP 3333)."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": _NOTHING,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _has_body(environ: dict[str, Any]) -> bool:
    length = environ.get("CONTENT_LENGTH", "0")
    return "HTTP_TRANSFER_ENCODING" in environ or length.strip("0") != ""


async def _read_body(receive: Receive) -> bytes:
    """Return a request's body. Raises RequestRefused: 413 at the first byte too many, 408 when it takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Disconnected
                body += message.get("body", b"")
                if len(body) > MAX_BYTES:
                    raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BODY_TOO_LARGE)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        headers = {"Connection": "close"}
        raise RequestRefused(HTTPStatus.REQUEST_TIMEOUT, BODY_TOO_SLOW, headers) from None


async def _send_body(pieces: Iterable[bytes], send: Send) -> None:
    waiting = b""
    for piece in pieces:
        for begin in range(0, len(piece), PIECE_BYTES):
            if waiting:
                await send({"type": "http.response.body", "body": waiting, "more_body": True})
            waiting = piece[begin : begin + PIECE_BYTES]
    await send({"type": "http.response.body", "body": waiting, "more_body": False})
