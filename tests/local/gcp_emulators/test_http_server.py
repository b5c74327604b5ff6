"""The servers of the emulators answer programs of this machine, and no web page from elsewhere."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer


async def told(_: Request) -> Response:
    return PlainTextResponse("done")


ROUTES = [Route("/local/clock", told, methods=["GET", "POST"])]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:{port}"}, 200),
        ({"host": "[::1]:{port}"}, 200),
        ({"origin": "http://127.0.0.1:{port}"}, 200),
        ({"host": "evil.example:{port}"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[oops"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example", "origin": "http://evil.example"}, 403),
    ],
)
def test_a_foreign_page_is_refused(headers: dict[str, str], status: int) -> None:
    with HttpServer(ROUTES) as server:
        given = {name: value.format(port=server.port) for name, value in headers.items()}
        answer = httpx.post(f"{server.url}/local/clock", headers=given, trust_env=False)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["error"]["status"] == "PERMISSION_DENIED"


def test_a_proxy_request_names_another_host() -> None:
    """gcloud asks for Cloud Run's host of a region, through this server as its proxy."""
    with HttpServer(ROUTES) as server, httpx.Client(proxy=server.url, trust_env=False) as client:
        assert client.get("http://europe-west1-run.example/local/clock").text == "done"
