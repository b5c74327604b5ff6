"""Permissions on one machine, through Google's clients: who is asked about, what a policy changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth import impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import bigquery, storage
from google.oauth2.credentials import Credentials as TokenCredentials

from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.iam.api import iam_routes
from gcp_emulators.iam.policies import IamPolicies

pytestmark = pytest.mark.emulator

READER = "reader@demo.iam.gserviceaccount.com"
STRANGER = "stranger@demo.iam.gserviceaccount.com"
ROLES = {
    "roles/storage.objectViewer": ["storage.objects.get", "storage.objects.list"],
    "roles/storage.objectUser": ["storage.objects.get", "storage.objects.create"],
    "roles/bigquery.dataViewer": ["bigquery.tables.getData"],
    "roles/pubsub.publisher": ["pubsub.topics.publish"],
}
ASKED = ["storage.objects.get", "storage.objects.create"]


@pytest.fixture
def policies() -> IamPolicies:
    return IamPolicies(
        "demo",
        roles=ROLES,
        grants=[
            ("projects/_/buckets/files", "roles/storage.objectViewer", f"serviceAccount:{READER}"),
            ("projects/demo/datasets/d", "roles/bigquery.dataViewer", f"serviceAccount:{READER}"),
        ],
        accounts=[READER, STRANGER],
        resources=["projects/demo/topics/news"],
    )


@pytest.fixture
def url(policies: IamPolicies) -> Iterator[str]:
    with HttpServer(iam_routes(policies)) as server:
        yield server.url


def impersonating(url: str, email: str) -> Credentials:
    """Credentials with which Google's library acts as an account."""
    # In Google's own domain the library would ask the real service, in a thread, from where the account may be used.
    own: Credentials = TokenCredentials("owner", universe_domain="localhost")  # type: ignore[no-untyped-call]
    return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
        source_credentials=own,
        target_principal=email,
        target_scopes=["https://www.googleapis.com/auth/cloud-platform"],
        iam_endpoint_override=f"{url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken",
    )


def acting_as(url: str, email: str | None) -> Credentials:
    """Credentials for a client of one service: the owner's, or the token of an account."""
    token = "owner"
    if email is not None:
        made = impersonating(url, email)
        made.refresh(Request())  # type: ignore[no-untyped-call]
        token = str(made.token)
    return TokenCredentials(token)  # type: ignore[no-untyped-call]


def bucket(url: str, email: str | None) -> storage.Bucket:
    client = storage.Client(
        "demo", credentials=acting_as(url, email), client_options={"api_endpoint": url}
    )
    return client.bucket("files")


def test_an_account_holds_what_its_roles_contain(url: str) -> None:
    assert bucket(url, READER).test_iam_permissions(ASKED) == ["storage.objects.get"]
    assert bucket(url, STRANGER).test_iam_permissions(ASKED) == []
    assert bucket(url, None).test_iam_permissions(ASKED) == ASKED


def test_a_policy_that_changes_changes_the_answer(url: str) -> None:
    owned = bucket(url, None)
    policy = owned.get_iam_policy()
    assert policy["roles/storage.objectViewer"] == {f"serviceAccount:{READER}"}
    policy["roles/storage.objectUser"].add(f"serviceAccount:{STRANGER}")
    owned.set_iam_policy(policy)
    assert bucket(url, STRANGER).test_iam_permissions(ASKED) == ASKED
    with pytest.raises(Conflict, match="concurrent policy changes"):
        owned.set_iam_policy(policy)  # its etag is that of the policy before


def test_a_role_on_a_dataset_holds_on_its_tables(url: str) -> None:
    client = bigquery.Client(
        "demo", credentials=acting_as(url, READER), client_options={"api_endpoint": url}
    )
    answer = client.test_iam_permissions("demo.d.t", ["bigquery.tables.getData"])
    assert answer["permissions"] == ["bigquery.tables.getData"]
    client.close()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("path", "permission", "code"),
    [
        ("projects/demo/topics/news", "pubsub.topics.publish", 200),
        ("projects/demo", "storage.objects.get", 200),
        ("projects/demo/topics/gone", "pubsub.topics.publish", 404),
        ("projects/another", "storage.objects.get", 404),
        ("projects/demo/topics/news", "pubsub.topics.publsh", 400),
    ],
)
def test_other_services_answer_over_rest(url: str, path: str, permission: str, code: int) -> None:
    with AuthorizedSession(impersonating(url, STRANGER)) as session:  # type: ignore[no-untyped-call]
        answer = session.post(
            f"{url}/v1/{path}:testIamPermissions", json={"permissions": [permission]}
        )
    assert answer.status_code == code
    assert code != 200 or answer.json() == {}


def test_there_is_no_token_for_an_unknown_account(url: str) -> None:
    with pytest.raises(RefreshError, match="does not exist"):
        bucket(url, "nobody@demo.iam.gserviceaccount.com").test_iam_permissions(ASKED)


def test_an_unknown_bucket_and_an_unknown_permission_are_refused(url: str) -> None:
    with pytest.raises(BadRequest, match="not valid for this resource"):
        bucket(url, READER).test_iam_permissions(["storage.objects.fly"])
    with pytest.raises(NotFound):
        bucket(url, None).client.bucket("another").test_iam_permissions(ASKED)
