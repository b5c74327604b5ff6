"""The HTTP server of `serve`: time limits for slow clients, and problem+json for its own and the framework's errors.

The Functions Framework serves an ASGI function with gunicorn and uvicorn's worker, which takes the class of its
protocol from `CONFIG_KWARGS`.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn_worker import UvicornWorker

from velocast.usecases.serving.problems import HEADERS, PROBLEM_TYPE, problem_json

# Longer than the gateway waits for a body, so that this limit ends only what the gateway does not wait for: headers,
# and the rest of a body after its refusal.
CLIENT_SECONDS = 15.0
NOT_HTTP = "This is not a valid HTTP request, or its headers are longer than 64 KiB."
TOO_SLOW = f"The request did not arrive within {CLIENT_SECONDS:.0f} s; send it without pause."
_WAITING = (h11.IDLE, h11.SEND_BODY)
# Headers of a framework's error that do not describe its body.
_KEPT = (b"allow", b"retry-after", b"www-authenticate")


def use_serving_protocol() -> None:
    """Let the framework's server use this protocol. Call it before the framework starts its server."""
    UvicornWorker.CONFIG_KWARGS = {
        "http": ServingProtocol,
        "loop": "auto",
        "ws": "none",
        "lifespan": "off",
        "proxy_headers": False,
        "server_header": False,
    }


class ServingProtocol(H11Protocol):
    """HTTP/1.1 whose every error is application/problem+json, and which gives up clients that send too slowly."""

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = problems_only(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Handle data, and wait for the rest of the request if there is more to come."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the rest of the request, or for the next one."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's method
        """Answer what is not HTTP, such as a malformed chunk. `msg`, uvicorn's own words, is not sent."""
        self._refuse(HTTPStatus.BAD_REQUEST, NOT_HTTP)

    def _watch(self) -> None:
        if self.conn.their_state not in _WAITING or self.transport.is_closing():
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(CLIENT_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Send an error and close the connection; only close it after a response has begun, or before a request has."""
        answered = self.cycle is not None and self.conn.our_state is not h11.IDLE
        begun = self.cycle is not None and self.cycle.response_started
        silent = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        if not (answered and begun) and not silent and not self.transport.is_closing():
            body = problem_json(status, detail)
            headers = {
                "content-type": PROBLEM_TYPE,
                "content-length": str(len(body)),
                "connection": "close",
                **HEADERS,
            }
            lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.transport.close()


def problems_only(app: ASGIApp) -> ASGIApp:
    """Return `app` with every error that is not a problem, such as the framework's own 404, replaced by one."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def check(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_foreign_error(message):
                replaced = True
                status = HTTPStatus(message["status"])
                body = problem_json(status)
                own = {"content-type": PROBLEM_TYPE, "content-length": str(len(body)), **HEADERS}
                headers = [(n, v) for n, v in message["headers"] if n.lower() in _KEPT]
                headers += [(n.lower().encode(), v.encode()) for n, v in own.items()]
                await send({**message, "headers": headers})
                await send({"type": "http.response.body", "body": body, "more_body": False})
            elif not replaced:
                await send(message)

        await app(scope, receive, check)

    return checked


def _is_foreign_error(message: Message) -> bool:
    if message["status"] < HTTPStatus.BAD_REQUEST:
        return False
    headers = dict(message.get("headers", ()))
    return not headers.get(b"content-type", b"").startswith(PROBLEM_TYPE.encode())
