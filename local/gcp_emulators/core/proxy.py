"""An HTTP proxy for gcloud and bq, so that every host name they use leads to this machine.

gcloud sends requests with Cloud Run's host name in absolute form: these connections go to the HTTP server, which strips
the host. bq asks for tunnels (CONNECT): they are opened to ports of this machine only.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

from gcp_emulators.core.http_server import LOOPBACK

HEAD_LIMIT_BYTES = 65_536
_LOCAL_NAMES = (LOOPBACK, "localhost")


class Proxy:
    """Listens on `port` of the loopback address; `http_port` is that of the HTTP server behind it."""

    def __init__(self, port: int, http_port: int) -> None:
        self._port = port
        self._http_port = http_port
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Start listening, and return once connections are accepted."""
        self._thread.start()
        listen = asyncio.start_server(self._serve, LOOPBACK, self._port, limit=HEAD_LIMIT_BYTES)
        self._server = self._call(listen)

    def stop(self) -> None:
        """Stop listening and close all connections."""
        self._loop.call_soon_threadsafe(self._server.close)
        self._call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, _, target = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
            if method == "CONNECT":
                await self._tunnel(target.split(" ")[0], reader, writer)
            else:
                await _join(reader, writer, self._http_port, first=head)
        writer.close()

    async def _tunnel(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = target.rpartition(":")
        if host not in _LOCAL_NAMES or not port.isdigit():
            writer.write(b"HTTP/1.1 403 only ports of this machine\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(reader, writer, int(port))


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, first: bytes = b""
) -> None:
    """Pass bytes both ways between a client and a port of this machine until one side closes."""
    far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
    far_writer.write(first)
    try:
        ways = [_pass_on(reader, far_writer), _pass_on(far_reader, writer)]
        _, open_ways = await asyncio.wait(
            [asyncio.create_task(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
        )
        for way in open_ways:
            way.cancel()
    finally:
        far_writer.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(HEAD_LIMIT_BYTES):
        sink.write(chunk)
        await sink.drain()
