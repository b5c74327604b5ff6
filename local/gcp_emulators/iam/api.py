"""The IAM methods of Google's REST APIs: policies and tests of permissions, and tokens of service accounts.

The methods belong to the services of the resources: Cloud Storage, Pub/Sub, BigQuery, Secret Manager, Cloud Run,
Resource Manager. These routes must come before those of the services.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.core.times import rfc3339
from gcp_emulators.iam.policies import IamPolicies

TOKEN_LIFE = timedelta(hours=1)
_ROOTS = ("/v1/", "/v2/", "/v3/", "/bigquery/v2/")


def iam_routes(policies: IamPolicies) -> list[BaseRoute]:
    """Return the routes."""
    api = _IamApi(policies)
    routes: list[BaseRoute] = [
        Route(
            "/v1/projects/-/serviceAccounts/{email}:generateAccessToken",
            json_endpoint(api.generate_token),
            methods=["POST"],
        ),
        Route(
            "/storage/v1/b/{bucket}/iam/testPermissions",
            json_endpoint(api.check_bucket),
            methods=["GET"],
        ),
        Route("/storage/v1/b/{bucket}/iam", json_endpoint(api.get_bucket), methods=["GET"]),
        Route("/storage/v1/b/{bucket}/iam", json_endpoint(api.set_bucket), methods=["PUT"]),
    ]
    for root in _ROOTS:
        path = root + "{resource:path}"
        routes += [
            Route(
                path + ":testIamPermissions", json_endpoint(api.check_permissions), methods=["POST"]
            ),
            Route(path + ":getIamPolicy", json_endpoint(api.get_policy), methods=["GET", "POST"]),
            Route(path + ":setIamPolicy", json_endpoint(api.set_policy), methods=["POST"]),
        ]
    return routes


class _IamApi:
    def __init__(self, policies: IamPolicies) -> None:
        self._policies = policies

    def generate_token(self, request: Request, _body: Json) -> Json:
        token = self._policies.issue_token(request.path_params["email"])
        # Of the machine's clock, with which Google's client compares it.
        expires = datetime.now(UTC).replace(microsecond=0) + TOKEN_LIFE
        return {"accessToken": token, "expireTime": rfc3339(expires)}

    def check_permissions(self, request: Request, body: Json) -> Json:
        held = self._held(request, request.path_params["resource"], body.get("permissions", []))
        return {"permissions": held} if held else {}

    def get_policy(self, request: Request, _body: Json) -> Json:
        return self._policies.policy(request.path_params["resource"])

    def set_policy(self, request: Request, body: Json) -> Json:
        return self._policies.set_policy(request.path_params["resource"], body.get("policy", {}))

    def check_bucket(self, request: Request, _body: Json) -> Json:
        asked = request.query_params.getlist("permissions")
        held = self._held(request, _bucket(request), asked)
        answer: Json = {"kind": "storage#testIamPermissionsResponse"}
        return answer | ({"permissions": held} if held else {})

    def get_bucket(self, request: Request, _body: Json) -> Json:
        return {"kind": "storage#policy", **self._policies.policy(_bucket(request))}

    def set_bucket(self, request: Request, body: Json) -> Json:
        return {"kind": "storage#policy", **self._policies.set_policy(_bucket(request), body)}

    def _held(self, request: Request, resource: str, permissions: list[str]) -> list[str]:
        account = self._policies.account_of(request.headers.get("authorization", ""))
        return self._policies.held(resource, permissions, account)


def _bucket(request: Request) -> str:
    return f"projects/_/buckets/{request.path_params['bucket']}"
