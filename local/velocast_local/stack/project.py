"""What surrounds the stack's services in a project: IAM, enabled APIs, secrets, and the database of MLflow."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.cloud_sql.instance import SqliteInstance
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.iam.api import iam_routes
from gcp_emulators.iam.policies import IamPolicies
from velocast.core import schemas
from velocast.core.errors import SettingsError
from velocast_cli.doctor import grants
from velocast_local.stack.environment import deployed_environment
from velocast_local.stack.state import StackState

NUMBER = "123456789012"


def mlflow_instance(state: StackState, now: Callable[[], datetime]) -> SqliteInstance:
    """Return the database instance of MLflow, whose data are the SQLite file of the local server."""
    database = state.home / "mlflow" / "mlflow.sqlite"
    return SqliteInstance(grants.MLFLOW, database, state.home / "mlflow-backups", now)


def project_routes(state: StackState) -> list[BaseRoute]:
    """Return the routes of IAM, Resource Manager, Service Usage and Secret Manager; they come before all others."""
    base = f"/v1/projects/{state.project}"
    secrets = _Secrets(state)
    return [
        *iam_routes(_policies(state)),
        Route(base, json_endpoint(lambda _request, _body: _describe(state)), methods=["GET"]),
        Route(
            base + "/services",
            json_endpoint(lambda _request, _body: _enabled(state)),
            methods=["GET"],
        ),
        Route(
            base + "/secrets/{secret}/versions/{version}:access",
            json_endpoint(secrets.access),
            methods=["GET"],
        ),
    ]


def _policies(state: StackState) -> IamPolicies:
    """Return the policies that Terraform would set."""
    given = grants.read_grants(state.config)
    text = files("velocast_local.stack").joinpath("roles.yaml").read_text(encoding="utf-8")
    emails = {g.account: grants.account_email(g.account, state.project) for g in given}
    return IamPolicies(
        state.project,
        roles=yaml.safe_load(text),
        grants=[
            (
                grants.resource_name(g, state.project, state.location),
                g.role,
                f"serviceAccount:{emails[g.account]}",
            )
            for g in given
        ],
        accounts=emails.values(),
        resources=_without_grants(state),
    )


def _without_grants(state: StackState) -> list[str]:
    datasets = {name.split(".")[0] for name in schemas.TABLES}
    topics = grants.read_config("topics", state.config)
    return [
        *(f"projects/{state.project}/datasets/{name}" for name in datasets),
        *(f"projects/{state.project}/topics/{name}" for name in topics),
    ]


def _describe(state: StackState) -> Json:
    return {"projectId": state.project, "projectNumber": NUMBER, "lifecycleState": "ACTIVE"}


def _enabled(state: StackState) -> Json:
    """Return the APIs that Terraform enables; none where the checkout has no Terraform module."""
    file = state.root / grants.SERVICES.relative_to(grants.REPOSITORY)
    try:
        names = grants.read_services(file)
    except SettingsError:
        names = []
    parent = f"projects/{NUMBER}/services"
    services: list[Any] = [
        {"name": f"{parent}/{name}", "config": {"name": name}, "state": "ENABLED"} for name in names
    ]
    return {"services": services}


class _Secrets:
    """The latest version of each secret is the file that the functions read."""

    def __init__(self, state: StackState) -> None:
        self._project = state.project
        variables = deployed_environment(state)
        entries = grants.read_config("secrets", state.config)
        self._files = {name: Path(variables[entry["variable"]]) for name, entry in entries.items()}

    def access(self, request: Request, _body: Json) -> Json:
        name, version = request.path_params["secret"], request.path_params["version"]
        file = self._files.get(name)
        if file is None or not file.is_file():
            raise GoogleApiError(404, f"Secret [{name}] not found or has no versions.")
        data = base64.b64encode(file.read_bytes()).decode()
        resource = f"projects/{self._project}/secrets/{name}/versions/{version}"
        return {"name": resource, "payload": {"data": data}}
