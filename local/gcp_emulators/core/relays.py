"""Relays that stand in front of a server, pass calls on, and inject the faults of a real service, over HTTP and gRPC.

A relay keeps its port while the server behind it is killed and started again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gcp_emulators.core.http_server import LOOPBACK, HttpServer

Effect = Literal["refuse", "cut", "lose", "repeat"]
CALL_SECONDS = 600
POLL_SECONDS = 0.1
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_NOT_PASSED_ON = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
_UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


@dataclass
class Injection:
    """A fault of the next `times` calls (-1: all until it is taken back) whose method and path contain `where`.

    effect: `refuse` answers `status` without passing the call on; `cut` passes it on and breaks the answer off in the
    middle; `lose` passes it on and answers `status`, as if the answer had been lost; `repeat` passes it on twice.
    struck: how many calls it has hit. status: over HTTP; a gRPC call ends as UNAVAILABLE.
    """

    effect: Effect
    where: str = ""
    status: int = 503
    times: int = 1
    struck: int = 0


@dataclass
class Relay:
    """The injections of one relay, in order; each call suffers the first that fits."""

    injections: list[Injection] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, injection: Injection) -> Injection:
        """Add a fault and return it."""
        with self._lock:
            self.injections.append(injection)
        return injection

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self.injections.clear()

    def strike(self, call: str) -> Injection | None:
        """Return the fault that this call suffers, and count it."""
        with self._lock:
            for injection in self.injections:
                if injection.times and injection.where in call:
                    injection.times -= 1
                    injection.struck += 1
                    return injection
        return None


class HttpRelay(Relay):
    """A relay on `port` (0: any) to the HTTP server at `target` (http://host:port); a context manager.

    patience: seconds for which a call waits for a server that is not listening, as Cloud Run lets a request wait for a
    new instance; after them, and when the server dies in the middle, the answer is 503. heard: called with the method,
    path and body of each call.
    """

    def __init__(
        self,
        target: str,
        *,
        port: int = 0,
        patience: float = 0.0,
        heard: Callable[[str, str, bytes], None] | None = None,
    ) -> None:
        super().__init__()
        self.target = target
        self._patience = patience
        self._heard = heard
        self._server = HttpServer([Route("/{path:path}", self._serve, methods=_METHODS)], port)
        self.port = self._server.port

    def __enter__(self) -> HttpRelay:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        path = f"{path.partition('?')[0]}?{request.url.query}".rstrip("?")
        if self._heard:
            self._heard(request.method, path, body)
        injection = self.strike(f"{request.method} {path}")
        effect = injection.effect if injection else None
        status = injection.status if injection else 503
        if effect == "refuse":
            return Response("injected fault", status)
        try:
            if effect == "repeat":
                await self._pass_on(request, path, body)
            passed, headers, content = await self._pass_on(request, path, body)
        except httpx.TransportError as exc:
            return Response(f"{self.target} does not answer: {exc!r}", 503)
        if effect == "lose":
            return Response("injected fault: the answer is lost", status)
        if effect == "cut":
            return StreamingResponse(_half(content), passed, headers)
        return Response(content, passed, headers)

    async def _pass_on(
        self, request: Request, path: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and bytes of the server's answer."""
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON]
        until = time.monotonic() + self._patience
        # One client per call: no connection outlives a server that is killed.
        async with httpx.AsyncClient(timeout=CALL_SECONDS, trust_env=False, verify=False) as client:
            url = httpx.URL(self.target).copy_with(raw_path=path.encode("latin-1"))
            while True:
                try:
                    call = client.build_request(request.method, url, headers=headers, content=body)
                    answer = await client.send(call, stream=True)
                    break
                except httpx.ConnectError:
                    if time.monotonic() > until:
                        raise
                    await asyncio.sleep(POLL_SECONDS)
            content = b"".join([part async for part in answer.aiter_raw()])  # perhaps compressed
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _NOT_PASSED_ON}
        return answer.status_code, kept, content


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise ConnectionResetError("injected fault: the relay closes the connection")


class GrpcRelay(Relay):
    """A relay to the gRPC server at `target` (host:port), for methods with one request; a context manager."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._channel = grpc.insecure_channel(target, options=_UNLIMITED)
        self._threads = ThreadPoolExecutor(8)
        self._server = grpc.server(self._threads, options=_UNLIMITED)
        self._server.add_generic_rpc_handlers([_Passing(self, self._channel)])
        self.port = self._server.add_insecure_port(f"{LOOPBACK}:0")

    def __enter__(self) -> GrpcRelay:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
        self._channel.close()
        self._threads.shutdown()


class _Passing(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc has no annotations
    """Passes the bytes of every call on, whatever its service: as a call whose answer is a stream."""

    def __init__(self, relay: Relay, channel: grpc.Channel) -> None:
        self._relay = relay
        self._channel = channel

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            injection = self._relay.strike(method)
            effect = injection.effect if injection else None
            if effect == "refuse":
                context.abort(grpc.StatusCode.UNAVAILABLE, "injected fault")
            metadata = [(k, v) for k, v in context.invocation_metadata() if k != "user-agent"]
            try:
                for message in self._channel.unary_stream(method)(request, metadata=metadata):
                    if effect == "lose":
                        context.abort(grpc.StatusCode.UNAVAILABLE, "injected fault")
                    yield message
                    if effect == "cut":
                        context.abort(grpc.StatusCode.UNAVAILABLE, "injected fault")
            except grpc.RpcError as exc:
                context.abort(exc.code(), exc.details())

        return grpc.unary_stream_rpc_method_handler(answer)
