"""The function serve under the Functions Framework: every path and method reaches the application."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.functions.deployed import load_function
from tests.shared.usecases.serving.serving_app import HEADERS, publish
from tests.shared.usecases.serving.snapshots import snapshot
from velocast.core.errors import SettingsError


@pytest.fixture
def client(storage_buckets: dict[str, str]) -> FlaskClient:
    publish(snapshot())
    return load_function("serve").test_client()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/page/style.css", 200),
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
def test_every_route_is_reached(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method, headers=HEADERS)
    assert answer.status_code == status, answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer.close()


def test_a_posted_body_is_read(client: FlaskClient) -> None:
    records = [{"counter_id": "c-1", "at": "2026-03-04T08:00:00Z"}]
    answer = client.post("/v1/predict", headers=HEADERS, json={"records": records})
    assert answer.status_code == 200
    assert answer.json is not None
    # The current time is after the snapshot of March 2026, so the response is stale.
    assert answer.json["stale"] is True
    assert answer.json["predictions"][0]["basis"] == "model"


@pytest.mark.parametrize(
    "environ", [{}, {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}]
)
def test_a_body_that_is_too_large_is_refused(
    client: FlaskClient, environ: dict[str, object]
) -> None:
    answer = client.post(
        "/v1/predict",
        headers=HEADERS,
        data=b" " * (1024 * 1024 + 1),
        content_type="application/json",
        environ_overrides=environ,
    )
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"


def test_a_missing_variable_stops_the_start(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VELOCAST_API_KEYS_FILE")
    with pytest.raises(SettingsError, match="VELOCAST_API_KEYS_FILE"):
        load_function("serve")
