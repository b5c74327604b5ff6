"""Relays pass calls on unchanged, and inject what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer, free_port
from gcp_emulators.core.relays import GrpcRelay, HttpRelay, Injection

pytestmark = pytest.mark.emulator


class Echo:
    """A server that answers what it was asked."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[str] = []
        methods = ["GET", "POST"]
        self.server = HttpServer([Route("/{path:path}", self._answer, methods=methods)], port)

    async def _answer(self, request: Request) -> Response:
        body = (await request.body()).decode()
        self.calls.append(f"{request.method} {request.url.path}?{request.url.query} {body}")
        return Response(self.calls[-1], 201, {"x-host": request.headers["host"]})


@pytest.fixture
def echo() -> Iterator[Echo]:
    found = Echo()
    with found.server:
        yield found


def ask(relay: HttpRelay, path: str = "/a%2Fb?c=d", body: str = "e") -> httpx.Response:
    url = f"http://127.0.0.1:{relay.port}{path}"
    return httpx.post(url, content=body, timeout=10, trust_env=False)


def test_passes_on_everything_and_tells_what_it_heard(echo: Echo) -> None:
    heard: list[tuple[str, str, bytes]] = []
    with HttpRelay(echo.server.url, heard=lambda *call: heard.append(call)) as relay:
        answer = ask(relay)

    assert (answer.status_code, answer.text) == (201, "POST /a/b?c=d e")
    # links that a server makes from its address lead through the relay
    assert answer.headers["x-host"] == f"127.0.0.1:{relay.port}"
    assert heard == [("POST", "/a%2Fb?c=d", b"e")]


@pytest.mark.parametrize(
    ("effect", "status", "calls"), [("refuse", 429, 0), ("lose", 429, 1), ("repeat", 201, 2)]
)
def test_injects_into_as_many_fitting_calls_as_asked(
    echo: Echo, effect: Any, status: int, calls: int
) -> None:
    with HttpRelay(echo.server.url) as relay:
        fault = relay.inject(Injection(effect, where="POST /a", status=429))
        other, hit, after = ask(relay, "/b"), ask(relay, "/a"), ask(relay, "/a")

    assert [a.status_code for a in (other, hit, after)] == [201, status, 201]
    assert sum(call.startswith("POST /a") for call in echo.calls) == calls + 1
    assert fault.struck == 1


def test_cuts_an_answer_in_the_middle(echo: Echo) -> None:
    with HttpRelay(echo.server.url) as relay:
        relay.inject(Injection("cut"))
        with pytest.raises(httpx.RemoteProtocolError):
            ask(relay)

    assert len(echo.calls) == 1


def test_faults_that_are_taken_back_strike_no_more(echo: Echo) -> None:
    with HttpRelay(echo.server.url) as relay:
        relay.inject(Injection("refuse", times=-1))
        during = [ask(relay).status_code for _ in range(3)]
        relay.clear()

        assert during == [503, 503, 503]
        assert ask(relay).status_code == 201


def test_a_call_waits_for_a_server_that_starts() -> None:
    port = free_port()
    late = Echo(port)
    with (
        HttpRelay(f"http://127.0.0.1:{port}", patience=10) as relay,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(ask, relay)
        with late.server:
            assert waiting.result(timeout=10).status_code == 201


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with HttpRelay(f"http://127.0.0.1:{free_port()}") as relay:
        assert ask(relay).status_code == 503


class Counting(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Streams three messages, or as many as the request says."""

    def service(self, handler_call_details: Any) -> Any:
        def answer(request: bytes, _: Any) -> Iterator[bytes]:
            yield from (b"%d" % number for number in range(int(request)))

        return grpc.unary_stream_rpc_method_handler(answer)


@pytest.fixture
def counting() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([Counting()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize(("effect", "received"), [("refuse", []), ("lose", []), ("cut", [b"0"])])
def test_breaks_a_stream_over_grpc(counting: str, effect: Any, received: list[bytes]) -> None:
    with (
        GrpcRelay(counting) as relay,
        grpc.insecure_channel(f"127.0.0.1:{relay.port}") as channel,
    ):
        relay.inject(Injection(effect))
        call = channel.unary_stream("/service/Count")
        got: list[bytes] = []
        with pytest.raises(grpc.RpcError) as refused:
            got.extend(call(b"3"))
        again = list(call(b"3"))

    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert got == received
    assert again == [b"0", b"1", b"2"]
