"""A small HTTP server on the loopback address, in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = (LOOPBACK, "localhost", "::1")
ORIGINAL_HOST = "gcp_emulators.original_host"


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """Return `count` different ports of the loopback address that are free now."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class ProxyTargets:
    """ASGI layer that answers HTTP proxy requests as if they were sent directly to this server.

    gcloud puts the region in front of the host name of Cloud Run's endpoint, so this server acts as a proxy for that
    name. The target of the request is then `http://europe-west1-run.stack.internal/apis/...`. The layer reduces it to
    the path and keeps the host in the scope under `ORIGINAL_HOST`, because only the host names the region.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("http://"):
            scope = _without_host(scope)
        await self.app(scope, receive, send)


class LocalCallers:
    """ASGI layer that answers 403 to a foreign web page, which a browser on this machine may have open.

    A page's requests carry the page's address as Origin. One that points its own host name at this machine (DNS
    rebinding) is told by the Host header. A proxy request names the host that it is for, and no page can send one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := _foreign(scope)):
            refusal = JSONResponse(
                {"error": {"code": 403, "message": reason, "status": "PERMISSION_DENIED"}}, 403
            )
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _foreign(scope: Scope) -> str:
    """Return why a request is refused; an empty text if it is not."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin")
    if not scope["path"].startswith("http://") and _name(host) not in LOCAL_NAMES:
        return f"the host {host!r} is not this machine; use one of {', '.join(LOCAL_NAMES)}"
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return f"requests of web pages from {origin!r} are refused"
    return ""


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def original_host(scope: Scope) -> str:
    """Return the host that a request is addressed to: the target of a proxy request, else its Host header."""
    if ORIGINAL_HOST in scope:
        return str(scope[ORIGINAL_HOST])
    headers = dict(scope["headers"])
    return str(headers.get(b"host", b"").decode("latin-1"))


def _without_host(scope: Scope) -> Scope:
    target = urlsplit(scope["path"])
    raw = scope.get("raw_path") or scope["path"].encode()
    raw_path = b"/" + raw.split(b"://", 1)[1].partition(b"/")[2]
    path = "/" + scope["path"].split("://", 1)[1].partition("/")[2]
    return {**scope, "path": path, "raw_path": raw_path, ORIGINAL_HOST: target.netloc}


def build_app(routes: Sequence[BaseRoute]) -> ASGIApp:
    """Return one ASGI application that serves `routes`, also to proxy requests, and to no foreign web page."""
    return LocalCallers(ProxyTargets(Starlette(routes=list(routes))))


class HttpServer:
    """Serves routes with uvicorn in a background thread; `port` and `url` are known before `start`."""

    def __init__(self, routes: Sequence[BaseRoute], port: int = 0) -> None:
        # asyncio disables Nagle's algorithm only if the protocol is given; a call takes 44 ms with it
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, port))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://{LOOPBACK}:{self.port}"
        config = uvicorn.Config(
            build_app(routes),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            # Where httptools and uvloop are installed, uvicorn would choose them. httptools drops the host of a proxy
            # request, by which gcloud's requests are told from those of a foreign page.
            http="h11",
            loop="asyncio",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name=f"http-{self.port}", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self, timeout: float = 10) -> HttpServer:
        """Start and return once requests are answered; raises TimeoutError after `timeout` s."""
        self._thread.start()
        deadline = time.monotonic() + timeout
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TimeoutError(f"HTTP server on {self.url}: not listening within {timeout:g} s")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop listening and wait for the thread to end; a second call does nothing."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._socket.close()

    def __enter__(self) -> HttpServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
