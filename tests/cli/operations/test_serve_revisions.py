"""`velocast rollback serve` against Cloud Run's services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gcp_emulators.cloud_run.services import CloudRunServices
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.http_server import HttpServer
from tests import emulators
from velocast_cli.main import app
from velocast_cli.operations.google_apis import google_api

SERVICE = "velocast-serve"
NAME = f"projects/{emulators.PROJECT}/locations/{emulators.LOCATION}/services/{SERVICE}"


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rollback", "serve", *arguments])


@pytest.fixture
def services(
    tmp_path: Path, emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[CloudRunServices]:
    """A service with no revision yet."""
    made = CloudRunServices(
        DocumentStore(tmp_path),
        lambda: datetime(2026, 3, 1, tzinfo=UTC),
        project=emulators.PROJECT,
        location=emulators.LOCATION,
    )
    with HttpServer(made.routes()) as server:
        monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", server.url)
        yield made


def service() -> dict[str, Any]:
    with google_api("run") as api:
        found: dict[str, Any] = api.projects().locations().services().get(name=NAME).execute()
    return found


def serving() -> dict[str, int]:
    return {t["revision"]: t["percent"] for t in service()["trafficStatuses"] if t.get("percent")}


def test_the_previous_revision_gets_all_traffic(services: CloudRunServices) -> None:
    first, second = services.deploy(SERVICE, "image:1"), services.deploy(SERVICE, "image:2")
    assert serving() == {second: 100}
    done = velocast("--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"before": second, "revision": first}
    assert serving() == {first: 100}


def test_a_revision_that_does_not_start_is_passed_over(services: CloudRunServices) -> None:
    first = services.deploy(SERVICE, "image:1")
    services.deploy(SERVICE, "image:2", ready=False)
    services.deploy(SERVICE, "image:3")
    velocast("--yes")
    assert serving() == {first: 100}


def test_a_newer_revision_without_traffic_is_not_the_previous_one(
    services: CloudRunServices,
) -> None:
    """A deployment that was not promoted: the latest revision never served."""
    first, second = services.deploy(SERVICE, "image:1"), services.deploy(SERVICE, "image:2")
    with google_api("run") as api:
        traffic = [
            {
                "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
                "revision": second,
                "percent": 100,
            },
        ]
        api.projects().locations().services().patch(
            name=NAME, updateMask="traffic", body={"traffic": traffic}
        ).execute()
    services.deploy(SERVICE, "image:3", traffic=False)
    assert serving() == {second: 100}
    velocast("--yes")
    assert serving() == {first: 100}


def test_a_revision_can_be_named_and_a_plan_changes_nothing(services: CloudRunServices) -> None:
    names = [services.deploy(SERVICE, f"image:{n}") for n in (1, 2, 3)]
    planned = velocast("--to", names[0], "--dry-run", "--json")
    assert json.loads(planned.stdout)["revision"] == names[0]
    assert velocast("--to", names[0]).exit_code == 1
    assert serving() == {names[2]: 100}
    assert velocast("--to", names[0], "--yes").exit_code == 0
    assert serving() == {names[0]: 100}


def test_tags_stay(services: CloudRunServices) -> None:
    first, second = services.deploy(SERVICE, "image:1"), services.deploy(SERVICE, "image:2")
    by_revision = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    targets = [
        {"type": by_revision, "revision": second, "percent": 100},
        {"type": by_revision, "revision": second, "percent": 0, "tag": "candidate"},
    ]
    with google_api("run") as api:
        api.projects().locations().services().patch(
            name=NAME, updateMask="traffic", body={"traffic": targets}
        ).execute()
    assert velocast("--yes").exit_code == 0
    assert serving() == {first: 100}
    assert [t.get("tag") for t in service()["traffic"]] == [None, "candidate"]


@pytest.mark.parametrize(
    ("revisions", "arguments", "said"),
    [
        (0, (), "does not exist"),
        (1, (), "no ready revision before the one that serves"),
        (2, ("--to", "velocast-serve-00009-xyz"), "no ready revision 'velocast-serve-00009-xyz'"),
    ],
)
def test_what_cannot_be_done_is_said(
    revisions: int, arguments: tuple[str, ...], said: str, services: CloudRunServices
) -> None:
    for number in range(revisions):
        services.deploy(SERVICE, f"image:{number}")
    ended = velocast("--yes", *arguments)
    assert ended.exit_code == 1
    assert said in ended.stderr
