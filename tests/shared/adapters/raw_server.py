"""A server of raw bytes on the loopback address, for answers that no HTTP library would send."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonlines\r\nConnection: close\r\n\r\n"
HOLD = b""
DRIP_SECONDS = 0.002


@dataclass
class RawServer:
    """The server's address, the requests that came (their first lines) and the bytes it could send."""

    url: str
    asked: list[str] = field(default_factory=list)
    sent: int = 0

    def answer(self, connection: socket.socket, pieces: Iterable[bytes]) -> None:
        """Send the pieces until they end or the client hangs up; HOLD waits for that."""
        self.asked.append(connection.recv(65536).split(b"\r\n")[0].decode())
        try:
            for piece in pieces:
                if piece == HOLD:
                    connection.recv(1)
                connection.sendall(piece)
                self.sent += len(piece)
        except OSError:
            return


@contextmanager
def raw_server(*answers: Callable[[], Iterable[bytes]]) -> Iterator[RawServer]:
    """Serve one connection after the other: the n-th answer to the n-th, the last one to all further."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                number = min(len(server.asked), len(answers) - 1)
                with connection:
                    server.answer(connection, answers[number]())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=10)


def dripping(head: bytes = OK, drop: bytes = b"x") -> Iterator[bytes]:
    """Send the head, then a byte every now and then, for ever."""
    yield head
    while True:
        time.sleep(DRIP_SECONDS)
        yield drop


def dripping_head() -> Iterator[bytes]:
    """Send a header that never ends, one byte every now and then."""
    return dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ")


def silent() -> list[bytes]:
    """Send the head and no byte of the body, without hanging up."""
    return [OK, HOLD]


def one_endless_line() -> Iterator[bytes]:
    """Send a line that never ends, as fast as it is read."""
    yield OK
    while True:
        yield b"x" * 65536


def whole(body: bytes, status: str = "200 OK", *headers: str) -> list[bytes]:
    """Return one complete answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + body]
