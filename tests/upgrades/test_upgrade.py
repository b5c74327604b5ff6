"""A stack that Velocast 0.1 made is opened by this version: nothing is lost, and everything goes on."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import bigquery
from typer.testing import CliRunner

from tests import emulators
from velocast.adapters.champion_manifest import read_champion, read_summary
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.model.features import definition
from velocast_cli.main import app
from velocast_cli.operations.audit_trail import AuditedRun, read_runs
from velocast_local.demo import Player, Progress
from velocast_local.stack import lifecycle
from velocast_local.stack.state import REPOSITORY

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(600)]

ARCHIVE = Path(__file__).parent / "stack-0.1.tar.xz"
OLD_DEFINITION = "features-d53484dbd8f9"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the old stack, as it was left."""
    folder = tmp_path_factory.mktemp("stack")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for file in folder.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        placed = text.replace("@HOME@", str(folder)).replace("@ROOT@", str(REPOSITORY))
        file.write_text(placed, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[dict[str, Any]]:
    """The old stack, running with this version's code; the environment leads to it."""
    state = lifecycle.start_stack(home)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in lifecycle.stack_variables(home).items():
            environment.setenv(name, value)
        yield state
    lifecycle.stop_stack(home)


def rows(client: bigquery.Client, table: str) -> int:
    (row,) = client.query_and_wait(f"SELECT COUNT(*) AS n FROM {table}")
    return int(row["n"])


def newest(component: str) -> AuditedRun:
    warehouse = emulators_warehouse()
    return read_runs(warehouse, component=component, newest=1)[0]


def emulators_warehouse() -> Any:
    from velocast.adapters.bigquery.client import Warehouse

    return Warehouse(emulators.PROJECT, emulators.LOCATION)


def test_the_old_stack_goes_on(stack: dict[str, Any], request: pytest.FixtureRequest) -> None:
    client = bigquery_client()
    before = {name: rows(client, name) for name in schemas.TABLES if name != schemas.WEATHER}
    assert before[schemas.COUNTS] > 8000
    objects = Objects(emulators.PROJECT, os.environ["VELOCAST_MODELS_BUCKET"])
    champion, _ = read_champion(objects)
    assert champion is not None
    assert champion.feature_definition == OLD_DEFINITION
    assert [entry.version for entry in read_summary(objects)] == [1, 2]
    # Every column of this version is there, also in tables that the old one made.
    for name in schemas.TABLES:
        columns = [field.name for field in client.get_table(f"{emulators.PROJECT}.{name}").schema]
        assert set(columns) >= set(schemas.table(name).columns), name

    player = Player(stack, Progress(lambda _line: None))
    request.addfinalizer(player.close)
    clock = httpx.get(f"{stack['url']}/local/clock", trust_env=False).json()["now"]
    next_day = parse_instant(clock) + timedelta(days=1)
    player.set_clock(next_day)
    player.publish("velocast-fetch")
    fetched = newest("fetch")
    assert (fetched.status, rfc3339(fetched.timestamp)) == ("OK", rfc3339(next_day))
    assert fetched.details["fetched"] > 0
    player.publish("velocast-predict")
    predicted = newest("predict")
    # The champion of 0.1 forecasts, not a model that stands in for it.
    assert (predicted.status, predicted.details["model_version"]) == ("OK", champion.version)
    assert predicted.details["snapshot"] == "published"
    player.publish("velocast-monitor", json.dumps({"check_only": True}))
    assert newest("monitor").status in ("OK", "UNKNOWN")
    for name, number in before.items():
        assert rows(client, name) >= number, f"rows of {name} were lost"

    key = (Path(stack["home"]) / "secrets" / "api-keys").read_text(encoding="utf-8")
    headers = {"X-API-Key": key.strip().partition(":")[2]}
    dashboard = stack["urls"]["dashboard"]
    served = httpx.get(f"{dashboard}v1/champion", headers=headers, trust_env=False)
    assert served.status_code == 200
    assert served.json()["champion"]["version"] == champion.version
    counters = httpx.get(f"{dashboard}v1/counters", headers=headers, trust_env=False)
    assert len(counters.json()["counters"]) == 4

    # A past day's counts and forecasts, through the same functions.
    days = ("--since=2025-11-20", "--until=2025-11-22", "--window=1d", f"--home={stack['home']}")
    filled = CliRunner().invoke(app, ["backfill", *days, "--forecasts", "--json"])
    assert filled.exit_code == 0, filled.output
    parts = json.loads(filled.stdout)["parts"]
    assert [(p["what"], p["outcome"]) for p in parts] == [
        *[("counts", "done")] * 2,
        *[("forecasts", "done")] * 2,
    ]
    assert all(part["fetched"] == 4 * 24 for part in parts[:2])
    assert all(part["forecasts"] == 4 * 120 for part in parts[2:])

    status = CliRunner().invoke(app, ["runs", "--json", "--last", "50"])
    assert status.exit_code == 0, status.output
    written = {run["component"] for run in json.loads(status.stdout)["runs"]}
    assert written >= {"fetch", "predict", "monitor", "train", "evaluate", "promote"}


def bigquery_client() -> bigquery.Client:
    from velocast.adapters import google_clients

    return google_clients.bigquery_client(emulators.PROJECT, emulators.LOCATION)


def test_the_definition_of_0_1_is_served() -> None:
    """Whoever changes the features adds the old name to EARLIER_DEFINITIONS, or says that 0.1's models end."""
    assert definition.serves(OLD_DEFINITION)
