"""Where the clients lead, and MLflow's token."""

from __future__ import annotations

import os
import time

import google.auth
import pytest
from google.auth.exceptions import DefaultCredentialsError

from velocast.adapters import google_clients

MLFLOW = "https://mlflow.example"


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The audiences that tokens were fetched for; the environment and the remembered tokens are put back."""
    asked: list[str] = []

    def fetch(audience: str) -> str:
        asked.append(audience)
        return f"token-{len(asked)}"

    for name in (*google_clients.MLFLOW_VARIABLES, "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(google_clients, "_fetch_id_token", fetch)
    monkeypatch.setattr(google_clients, "_tokens", {})
    return asked


def test_a_token_is_kept_for_fifty_minutes(tokens: list[str], monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    google_clients.prepare_mlflow(MLFLOW)
    now[0] += 49 * 60
    google_clients.prepare_mlflow(MLFLOW)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token-1"
    now[0] += 2 * 60
    google_clients.prepare_mlflow(MLFLOW)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token-2"
    assert tokens == [MLFLOW, MLFLOW]


def test_a_server_without_https_gets_no_token(tokens: list[str]):
    google_clients.prepare_mlflow("http://127.0.0.1:5000")
    assert "MLFLOW_TRACKING_TOKEN" not in os.environ
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert tokens == []


def test_clients_lead_to_the_emulators_the_environment_names(
    emulator_environment: dict[str, str],
):
    variables = emulator_environment
    bigquery = google_clients.bigquery_client("p", "europe-west1")
    storage = google_clients.storage_client("p")
    places = {
        "BIGQUERY_EMULATOR_HOST": bigquery._connection.API_BASE_URL,
        "STORAGE_EMULATOR_HOST": storage._connection.API_BASE_URL,
        "PUBSUB_EMULATOR_HOST": google_clients.publisher_client().target,
    }
    assert places == {name: variables[name] for name in places}
    assert bigquery.location == "europe-west1"


def test_rest_apis_lead_to_google_unless_an_emulator_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_APIS_EMULATOR_HOST", raising=False)
    assert google_clients.rest_url("sqladmin") == "https://sqladmin.googleapis.com"
    monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", "http://127.0.0.1:1")
    assert google_clients.rest_url("sqladmin") == "http://127.0.0.1:1"


def test_a_session_acts_as_oneself_or_as_an_account(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", "http://127.0.0.1:1")
    own, other = google_clients.rest_session(), google_clients.rest_session("a@p.example")
    assert own.credentials.token == "emulated"
    assert other.credentials.service_account_email == "a@p.example"
    assert "127.0.0.1:1" in other.credentials._iam_endpoint_override
    # google-auth would otherwise ask iamcredentials.googleapis.com in a thread
    assert not other.credentials._is_regional_access_boundary_lookup_required()


def test_without_a_login_there_is_no_session(monkeypatch: pytest.MonkeyPatch):
    def refuse(scopes: list[str]) -> None:
        raise DefaultCredentialsError("no login")  # type: ignore[no-untyped-call]

    monkeypatch.delenv("GOOGLE_APIS_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(google.auth, "default", refuse)
    with pytest.raises(DefaultCredentialsError, match="no login"):
        google_clients.rest_session()
