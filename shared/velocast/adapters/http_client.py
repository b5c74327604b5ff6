"""An httpx client whose exchanges have an overall deadline.

The timeouts of httpx apply to each read on its own, so a server that sends one byte every half second never runs into
one. Here every read, write and connection attempt on the network gets no more than the time that is left.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import httpcore
import httpx


class OutOfTime(Exception):
    """The deadline has passed. `seconds` is the time that was allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"not finished within {seconds:g} s")
        self.seconds = seconds


class Deadline:
    """A moment on a monotonic clock (seconds), set anew for each exchange. Before the first `start` there is none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = self._ends = math.inf

    def start(self, seconds: float) -> None:
        """Allow `seconds` from now on."""
        self._seconds, self._ends = seconds, self._clock() + seconds

    def shortened(self, timeout: float | None) -> float | None:
        """Return a timeout in seconds (None: no limit) that ends no later than the deadline. Raises OutOfTime."""
        left = self._ends - self._clock()
        if left <= 0:
            raise OutOfTime(self._seconds)
        if math.isinf(left):
            return timeout
        return left if timeout is None else min(timeout, left)


def open_client(
    deadline: Deadline, *, user_agent: str, timeout: httpx.Timeout, follow_redirects: bool = False
) -> httpx.Client:
    """Return a client for one thread. Its requests raise OutOfTime when the deadline passes before the last byte."""
    client = httpx.Client(
        timeout=timeout,
        headers={"User-Agent": user_agent},
        follow_redirects=follow_redirects,
        verify=_certificates(),
    )
    # httpx has no public way to pass a network backend without losing the proxies of the environment.
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            pool = transport._pool
            pool._network_backend = _Backend(pool._network_backend, deadline)
    return client


@cache
def _certificates() -> ssl.SSLContext:
    """Return what httpx verifies servers with by default; reading it takes 20 ms, so all clients share it."""
    return httpx.create_ssl_context()


class _Backend(httpcore.NetworkBackend):
    """Opens connections that keep to the deadline."""

    def __init__(self, backend: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.shortened(timeout)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """One connection that keeps to the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._stream.read(max_bytes, self._deadline.shortened(timeout))
        except httpcore.ReadTimeout:
            self._deadline.shortened(
                None
            )  # raises OutOfTime if it was the deadline that ended the read
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.shortened(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.shortened(timeout)
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
