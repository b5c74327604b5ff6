"""Relays between Google's clients and an emulator that inject the faults of a real service, over HTTP and gRPC.

A fault is injected into as many calls as asked, from the first one that it fits; every other call passes unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import httpx

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "content-encoding"}


@dataclass
class Fault:
    """What happens to the next `times` calls whose method and path contain `where`.

    status: an HTTP status or a gRPC code that is answered instead. cut: the answer ends after so many bytes (HTTP) or
    messages (gRPC); a gRPC call then ends with `status`. body: the answer's JSON (HTTP).
    """

    where: str
    status: Any = None
    times: int = 1
    cut: int | None = None
    body: str = "{}"


@dataclass
class Relay:
    """A running relay: its address, the faults still to come, and the calls that came."""

    address: str = ""
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, call: str) -> Fault | None:
        """Note a call and return the fault to inject."""
        with self._lock:
            self.calls.append(call)
            for fault in self.faults:
                if fault.where in call and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def count(self, where: str) -> int:
        """Return how many calls with `where` in their method and path came."""
        return sum(where in call for call in self.calls)


@contextmanager
def http_relay(target: str, *faults: Fault) -> Iterator[Relay]:
    """Relay HTTP to the server at `target` (http://host:port)."""
    relay = Relay(faults=list(faults))
    client = httpx.Client(base_url=target, trust_env=False, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def relay_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fault = relay.fault(f"{self.command} {self.path}")
            if fault and fault.cut is None:
                self.answer(fault.status, {"content-type": "application/json"}, fault.body.encode())
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            headers["accept-encoding"] = "identity"
            found = client.request(self.command, self.path, headers=headers, content=body)
            # What an emulator says about itself leads through the relay too (the address of an upload).
            told = {
                k: v.replace(target, relay.address)
                for k, v in found.headers.items()
                if k.lower() not in HOP_BY_HOP
            }
            self.answer(found.status_code, told, found.content, fault.cut if fault else None)

        def answer(
            self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.send_header("connection", "close")  # or a client's socket outlives its test
            self.end_headers()
            self.wfile.write(body[:cut])
            self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay_call

        def log_message(self, *_: Any) -> None:
            """Keep the tests' output free of requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    relay.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
        client.close()


class _Passing(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no annotations
    """Passes the bytes of every call on, whatever its service: as a call whose answer is a stream."""

    def __init__(self, relay: Relay, channel: grpc.Channel) -> None:
        self._relay = relay
        self._channel = channel

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method

        def behave(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            fault = self._relay.fault(method)
            if fault and fault.cut is None:
                context.abort(fault.status, "injected")
            call = self._channel.unary_stream(method)
            metadata = [(k, v) for k, v in context.invocation_metadata() if k != "user-agent"]
            try:
                for number, message in enumerate(call(request, metadata=metadata)):
                    if fault and number == fault.cut:
                        context.abort(fault.status, "injected")
                    yield message
            except grpc.RpcError as exc:
                context.abort(exc.code(), exc.details())
            if fault:
                context.abort(fault.status, "injected")

        return grpc.unary_stream_rpc_method_handler(behave)


@contextmanager
def grpc_relay(target: str, *faults: Fault) -> Iterator[Relay]:
    """Relay gRPC to the server at `target` (host:port)."""
    relay = Relay(faults=list(faults))
    unlimited = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    with (
        grpc.insecure_channel(target, options=unlimited) as channel,
        ThreadPoolExecutor(4) as threads,
    ):
        server = grpc.server(threads, options=unlimited)
        server.add_generic_rpc_handlers([_Passing(relay, channel)])
        relay.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield relay
        finally:
            server.stop(None).wait()
