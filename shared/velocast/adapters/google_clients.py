"""Creates Google's clients and prepares MLflow's token. (`core/telemetry.py` sets up the exporter of metrics.)

A client talks to the real service unless the variable that its own ecosystem uses names another endpoint:
BIGQUERY_EMULATOR_HOST (URL), BIGQUERY_STORAGE_EMULATOR_HOST (host:port), STORAGE_EMULATOR_HOST (URL; read by the client
itself), PUBSUB_EMULATOR_HOST (host:port; read by the client itself), WORKFLOWS_EXECUTIONS_EMULATOR_HOST (host:port),
GOOGLE_APIS_EMULATOR_HOST (URL; every REST API that is called without a client library of its own).
Client libraries are imported inside the functions, so that a process loads only those it uses.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import bigquery
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
    from google.cloud.storage import Client as StorageClient
    from google.cloud.workflows.executions_v1 import ExecutionsClient
    from requests import Response

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
IMPERSONATION_SECONDS = 600
TOKEN_SECONDS = 50 * 60  # an ID token is valid for an hour
MLFLOW_VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for log entries
}
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def bigquery_client(project: str, location: str) -> bigquery.Client:
    """Return a BigQuery client whose jobs run in `location`."""
    from google.cloud import bigquery

    host = os.environ.get("BIGQUERY_EMULATOR_HOST")
    return bigquery.Client(project, location=location, credentials=_anonymous() if host else None)


def bigquery_read_client() -> BigQueryReadClient:
    """Return a client of the BigQuery Storage Read API."""
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

    host = os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST")
    if not host:
        return BigQueryReadClient()  # type: ignore[no-untyped-call]
    import grpc
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
        BigQueryReadGrpcTransport,
    )

    channel = grpc.insecure_channel(host, options=UNLIMITED)
    transport = BigQueryReadGrpcTransport(channel=channel)
    return BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]


def storage_client(project: str | None) -> StorageClient:
    """Return a Cloud Storage client. project: None where only objects are read or written, which need none."""
    from google.cloud.storage import Client

    client = Client(project)
    client._http.hooks["response"].append(_finish_refusal)
    return client


def _finish_refusal(response: Response, **_: Any) -> None:
    """Read an answer that is not the object, so that its connection is used again.

    The storage client does not: when it repeats a download after a 429 or 503, the connection of the refusal stays
    open until garbage is collected.
    """
    if response.status_code >= 300:
        with response, suppress(OSError):  # RequestException is one
            response.content  # noqa: B018  reads it


def publisher_client() -> PublisherClient:
    """Return a Pub/Sub publisher."""
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()


def subscriber_client() -> SubscriberClient:
    """Return a Pub/Sub subscriber."""
    from google.cloud.pubsub_v1 import SubscriberClient

    return SubscriberClient()


def executions_client() -> ExecutionsClient:
    """Return a client of the Workflows Executions API."""
    from google.cloud.workflows.executions_v1 import ExecutionsClient

    host = os.environ.get("WORKFLOWS_EXECUTIONS_EMULATOR_HOST")
    if not host:
        return ExecutionsClient()
    import grpc
    from google.cloud.workflows.executions_v1.services.executions.transports import (
        ExecutionsGrpcTransport,
    )

    return ExecutionsClient(transport=ExecutionsGrpcTransport(channel=grpc.insecure_channel(host)))


def rest_url(service: str) -> str:
    """Return the base URL of one of Google's REST APIs, such as `sqladmin` or `run`."""
    return os.environ.get("GOOGLE_APIS_EMULATOR_HOST") or f"https://{service}.googleapis.com"


def rest_session(account: str | None = None) -> AuthorizedSession:
    """Return a session for Google's REST APIs.

    account: e-mail address of a service account that the calls act as; the caller needs the right to create its tokens
    (roles/iam.serviceAccountTokenCreator). Raises google.auth.exceptions.GoogleAuthError without a login.
    """
    import google.auth
    from google.auth import impersonated_credentials
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials as TokenCredentials

    host = os.environ.get("GOOGLE_APIS_EMULATOR_HOST")
    if host:
        # In Google's own domain the library would ask the real service, in a thread, from which locations an account
        # may be used.
        own: Credentials = TokenCredentials("emulated", universe_domain="localhost")  # type: ignore[no-untyped-call]
    else:
        own, _ = google.auth.default(scopes=[CLOUD_PLATFORM])
    if account is not None:
        tokens = f"{host}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        own = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source_credentials=own,
            target_principal=account,
            target_scopes=[CLOUD_PLATFORM],
            lifetime=IMPERSONATION_SECONDS,
            iam_endpoint_override=tokens if host else None,
        )
    return AuthorizedSession(own)  # type: ignore[no-untyped-call]


_tokens: dict[str, tuple[str, float]] = {}


def prepare_mlflow(tracking_uri: str) -> None:
    """Prepare this process to call MLflow. Call this before each use of its client.

    Limits MLflow's retries and turns off its telemetry, unless the environment sets them. For a server behind IAM
    (an https URI), sets MLFLOW_TRACKING_TOKEN, which MLflow reads on every request, to an ID token and renews it after
    50 minutes. Raises google.auth.exceptions.GoogleAuthError if there is no account to issue a token for.
    """
    for name, value in MLFLOW_VARIABLES.items():
        os.environ.setdefault(name, value)
    if not tracking_uri.startswith("https://"):
        return
    token, fetched = _tokens.get(tracking_uri, ("", 0.0))
    if not token or time.monotonic() - fetched > TOKEN_SECONDS:
        token = _fetch_id_token(tracking_uri)
        _tokens[tracking_uri] = (token, time.monotonic())
    os.environ["MLFLOW_TRACKING_TOKEN"] = token


def _fetch_id_token(audience: str) -> str:
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    return str(id_token.fetch_id_token(Request(), audience))  # type: ignore[no-untyped-call]


def _anonymous() -> Credentials:
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials()  # type: ignore[no-untyped-call]
