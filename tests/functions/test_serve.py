"""The function serve as it is deployed: the Functions Framework's command, its server, and clients of every kind."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests import emulators
from tests.functions.deployed import load_function
from tests.functions.serving_process import MIB, Answer, Server, receive, running_serve
from tests.shared.usecases.serving.serving_app import KEY
from velocast.core.errors import SettingsError
from velocast.usecases.serving.server.gateway import BODY_SECONDS
from velocast.usecases.serving.server.http_protocol import CLIENT_SECONDS

BODY = json.dumps({"records": [{"counter_id": "c-1", "at": "2026-03-04T08:00:00Z"}]}).encode()
POST = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WITH_KEY = POST + f"X-API-Key: {KEY}\r\n".encode()


@pytest.fixture(scope="module")
def server(
    object_store: emulators.RunningObjectStore,
    stack_variables: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A running serve, shared by the tests of this module."""
    with running_serve(object_store, stack_variables, tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/page/style.css", 200),
        ("GET", "/docs/swagger/js/swagger-ui-bundle.js", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/v1/counters/c-1/forecast?hours=3", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/champion", 405),
    ],
)
def test_every_route_is_reached(server: Server, method: str, path: str, status: int) -> None:
    answer = server.ask(method, path)
    assert answer.status == status, answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.body) == (0 if method == "HEAD" else int(answer.headers["content-length"]))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_posted_body_is_read(server: Server, chunked: bool) -> None:
    if chunked:
        chunk = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
        answer = server.send_raw(WITH_KEY + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    else:
        answer = server.ask("POST", "/v1/predict", BODY)
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    # The current time is after the snapshot of March 2026, so the response is stale.
    assert found["stale"] is True
    assert found["predictions"][0]["basis"] == "model"


def test_a_request_with_a_body_counts_once(server: Server) -> None:
    def left() -> int:
        answer = server.ask("POST", "/v1/predict", BODY)
        return int(answer.headers["ratelimit"].split(";r=")[1].split(";")[0])

    first = left()
    assert left() == first - 1


# ---- bodies that are refused


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST, 401),
        (POST + b"X-API-Key: wrong\r\n", 403),
        (WITH_KEY, 413),
        (WITH_KEY.replace(b"predict", b"nothing"), 404),
        (WITH_KEY.replace(b"predict", b"champion"), 405),
        (WITH_KEY.replace(b"/json", b"/xml"), 413),
    ],
)
def test_a_large_body_is_refused_before_any_of_it_is_sent(
    server: Server, head: bytes, status: int
) -> None:
    began = time.monotonic()
    server.send_raw(head + b"Content-Length: 31457280\r\n\r\n").assert_problem(status)
    assert time.monotonic() - began < BODY_SECONDS / 2


def test_a_body_in_chunks_is_cut_at_the_limit(server: Server) -> None:
    with server.connect(WITH_KEY + b"Transfer-Encoding: chunked\r\n\r\n") as client:
        for _ in range(17):  # 17 x 64 KiB, and the last chunk does not come
            client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        receive(client).assert_problem(413)


def test_large_bodies_without_a_key_do_not_grow_the_memory(server: Server) -> None:
    def post(number: int) -> int:
        how = (
            b"Content-Length: 31457280\r\n\r\n"
            if number % 2
            else b"Transfer-Encoding: chunked\r\n\r\n"
        )
        with server.connect(POST + how) as client, contextlib.suppress(OSError):
            for _ in range(30):
                client.sendall(b" " * MIB if number % 2 else b"100000\r\n" + b" " * MIB + b"\r\n")
            return receive(client).status
        return 0

    server.ask("GET", "/v1/forecast")
    before, highest, over = server.memory_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            highest[0] = max(highest[0], server.memory_mb())

    thread = threading.Thread(target=watch)
    thread.start()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(post, range(20)))
    over.set()
    thread.join()
    assert set(statuses) == {401}
    assert highest[0] - before < 40
    assert highest[0] < 256


# ---- slow clients


@pytest.fixture(scope="module")
def refused_client(server: Server) -> Iterator[Future[tuple[Answer, float]]]:
    """A client that sends on, slowly, after its request was refused: the answer, and the seconds until it is cut off.

    It runs in the background, so that the tests that take as long as the server's patience wait at the same time.
    """

    def send_on() -> tuple[Answer, float]:
        began = time.monotonic()
        with server.connect(POST + b"Content-Length: 31457280\r\n\r\n") as client:
            answer = receive(client)
            with contextlib.suppress(OSError):
                while time.monotonic() - began < 2 * CLIENT_SECONDS:
                    client.sendall(b" ")
                    time.sleep(0.5)
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(send_on)


@pytest.mark.usefixtures("refused_client")
def test_sixty_slow_clients_hold_no_thread_and_are_given_up(server: Server) -> None:
    script = b"GET /docs/swagger/js/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    length = f"Content-Length: {len(BODY)}\r\n\r\n".encode()
    threads_before = server.worker().num_threads()
    with contextlib.ExitStack() as stack:

        def connect(sent: bytes) -> list[socket.socket]:
            return [stack.enter_context(server.connect(sent)) for _ in range(20)]

        began = time.monotonic()
        headers = connect(b"GET /v1/champion HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        bodies = connect(WITH_KEY + length)
        readers = connect(script)  # who read nothing of 1.4 MB
        while (passed := time.monotonic() - began) < BODY_SECONDS - 3:
            for slow in (*headers, *bodies):
                slow.sendall(b" ")
            asked = time.monotonic()
            assert server.ask("GET", "/v1/counters/c-1/forecast").status == 200
            assert server.ask("POST", "/v1/predict", BODY).status == 200
            assert time.monotonic() - asked < 5, f"{passed:.1f} s after the slow clients connected"
            time.sleep(0.2)
        # A request with a body is answered in a thread, of which one or two may have been started for these.
        assert server.worker().num_threads() <= threads_before + 5
        for slow in bodies:
            receive(slow).assert_problem(408)
        assert BODY_SECONDS - 1 < time.monotonic() - began < CLIENT_SECONDS + 10
        for slow in headers:
            receive(slow).assert_problem(408)
        assert time.monotonic() - began < CLIENT_SECONDS + 20
        whole = receive(readers[0])
        assert len(whole.body) == int(whole.headers["content-length"]) > MIB


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(
    refused_client: Future[tuple[Answer, float]],
) -> None:
    answer, seconds = refused_client.result()
    answer.assert_problem(401)
    assert CLIENT_SECONDS - 2 < seconds < CLIENT_SECONDS + 10


# ---- errors that are not the application's


@pytest.mark.parametrize(
    "path",
    ["/favicon.ico", "/robots.txt", "/static/x", "/a%0d%0ab", "/v1/a%0Ab", "/%ff", "/a//b"],
)
def test_a_path_that_does_not_exist_is_a_problem(server: Server, path: str) -> None:
    server.ask("GET", path).assert_problem(404)


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "OPTIONS", "DELETE"])
def test_an_unknown_method_is_a_problem(server: Server, method: str) -> None:
    answer = server.ask(method, "/v1/counters")
    if method != "OPTIONS":  # which Flask answers
        answer.assert_problem(405)


@pytest.mark.parametrize(
    "sent",
    [
        WITH_KEY + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        WITH_KEY + b"Content-Length: -1\r\n\r\n",
        WITH_KEY + b"Content-Length: many\r\n\r\n",
        WITH_KEY + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000,
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem(server: Server, sent: bytes) -> None:
    server.send_raw(sent).assert_problem(400)


def test_a_malformed_chunk_after_the_refusal_ends_the_connection(server: Server) -> None:
    with server.connect(POST + b"Transfer-Encoding: chunked\r\n\r\n") as client:
        receive(client).assert_problem(401)
        client.sendall(b"zz\r\n")
        assert client.recv(100) == b""


def test_a_missing_variable_stops_the_start(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VELOCAST_API_KEYS_FILE")
    with pytest.raises(SettingsError, match="VELOCAST_API_KEYS_FILE"):
        load_function("serve")
