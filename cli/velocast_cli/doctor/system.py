"""The deployment that is examined: its settings and clients, the same in production and on the local stack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import RequestException

from velocast.adapters import google_clients
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.gcs import Objects
from velocast.adapters.mlflow_registry import Registry
from velocast.core.errors import VelocastError
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import bigquery
    from google.cloud.storage import Bucket

CALL_SECONDS = 30.0
# What a call to a service raises when it cannot be made; a check that meets one of these is unknown.
CALL_ERRORS = (VelocastError, GoogleAPIError, GoogleAuthError, RequestException)


@dataclass(frozen=True)
class System:
    """One deployment, as of the run's time."""

    run: Run[JobSettings]

    @property
    def settings(self) -> JobSettings:
        """The deployment's settings."""
        return self.run.settings

    @property
    def project(self) -> str:
        """Id of the project."""
        return self.run.settings.project

    @property
    def location(self) -> str:
        """Region of the deployment."""
        return self.run.settings.location

    @property
    def as_of(self) -> datetime:
        """The time at which the deployment is examined."""
        return self.run.as_of

    @property
    def warehouse(self) -> Warehouse:
        """The tables, read by SQL files."""
        return self.run.warehouse

    @cached_property
    def bigquery(self) -> bigquery.Client:
        """Google's client, for the tables' schemas."""
        return google_clients.bigquery_client(self.project, self.location)

    @cached_property
    def models(self) -> Objects:
        """The models bucket."""
        return Objects(self.project, self.settings.models_bucket)

    @cached_property
    def bucket(self) -> Bucket:
        """Google's client of the models bucket, for older generations of objects."""
        return google_clients.storage_client(self.project).bucket(self.settings.models_bucket)

    @cached_property
    def registry(self) -> Registry:
        """MLflow."""
        return Registry(self.settings.mlflow_tracking_uri)

    @cached_property
    def _session(self) -> AuthorizedSession:
        return google_clients.rest_session()

    def api(self, service: str) -> GoogleApi:
        """Return one of Google's REST APIs. Raises GoogleAuthError without a login."""
        return GoogleApi(self._session, service)


@dataclass(frozen=True)
class GoogleApi:
    """A REST API. Every method raises GoogleAPICallError, GoogleAuthError or RequestException."""

    session: AuthorizedSession
    service: str

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Return the JSON at a path."""
        return self._call("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post JSON and return the answer."""
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        from google.api_core.exceptions import from_http_response

        url = f"{google_clients.rest_url(self.service)}/{path}"
        # google-auth has no annotations
        answer = self.session.request(method, url, timeout=CALL_SECONDS, **request)  # type: ignore[no-untyped-call]
        if not answer.ok:
            raise from_http_response(answer)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = answer.json()
        return found
