"""A forecast in tasks: the real workflow, the real scripts as Cloud Run's tasks, and the emulators."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from google.cloud import bigquery

from gcp_emulators.cloud_run.api import CloudRunApi
from gcp_emulators.cloud_run.jobs import CloudRun
from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.http_server import HttpServer
from gcp_emulators.core.warm_python import WarmPython
from gcp_emulators.workflows import interpreter
from tests import emulators
from tests.audit_rows import audit_rows
from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import rfc3339
from velocast.core.requests import ForecastArgument, PredictRequest
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting import forecast_rows
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast_local.stack.configuration import load_jobs

pytestmark = [pytest.mark.emulator, pytest.mark.usefixtures("topics")]

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "workflows" / "forecast.yaml"
JOBS = load_jobs(ROOT / "terraform" / "config" / "jobs.yaml")
FORECASTS = "SELECT * FROM bike_traffic_predictions.forecasts WHERE target_at > '2020-01-01'"
EXECUTION = "7d3e-execution"
# The real script in a city's blocks of two counters, one block a task. `mischief` is what happens to it.
SCRIPT = """
import os, runpy, sys
sys.path[:0] = [{root!r}, {folder!r}]
from velocast.usecases.forecasting import forecast_rows
from velocast.usecases.forecasting.in_tasks import plan
forecast_rows.BLOCK, plan.TASK_BLOCKS = 2, 1
task, attempt = os.environ["CLOUD_RUN_TASK_INDEX"], os.environ["CLOUD_RUN_TASK_ATTEMPT"]
{mischief}
runpy.run_path({script!r}, run_name="__main__")
"""
PARTS = "if '--step=parts' in sys.argv and {condition}: "
KILL = PARTS + "os.kill(os.getpid(), 9)"
PROMOTE = PARTS + "from tests.shared.usecases import champions; champions.publish(4)"


@dataclass
class Cloud:
    """Cloud Run's jobs, and a workflow that runs them."""

    folder: Path
    environment: dict[str, str]
    objects_url: str
    python: WarmPython
    jobs: CloudRun = field(init=False)

    def __post_init__(self) -> None:
        records = DocumentStore(self.folder / "records")
        self.clock = Clock(self.folder / "clock")
        self.clock.set(AS_OF, force=True)
        known = dict(os.environ) | self.environment
        self.jobs = CloudRun(
            {name: JOBS[name] for name in ("velocast-forecast-tasks", "velocast-forecast-publish")},
            scripts=self.folder,
            records=records,
            logs=self.folder / "logs",
            clock=self.clock,
            environment=lambda _names: known,
            python=self.python,
        )
        self.happens()

    def happens(self, mischief: str = "", condition: str = "") -> None:
        """Write the scripts anew."""
        scripts = ROOT / "workflows" / "jobs"
        for name in ("forecast.py", "publish.py"):
            text = SCRIPT.format(
                root=str(ROOT),
                folder=str(scripts),
                script=str(scripts / name),
                mischief=mischief.format(condition=condition),
            )
            (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, message_id: str = "m1", execution: str = EXECUTION, **asked: Any) -> Any:
        """Return the end of an execution of the workflow."""
        request = PredictRequest(**{"as_of": rfc3339(AS_OF)} | asked)
        argument = ForecastArgument(execution_id=message_id, request=request).model_dump()
        environment = self.environment | {
            "GOOGLE_CLOUD_PROJECT_ID": emulators.PROJECT,
            "GOOGLE_CLOUD_LOCATION": emulators.LOCATION,
            "GOOGLE_CLOUD_WORKFLOW_ID": "velocast-forecast",
            "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": execution,
        }
        api = CloudRunApi(self.jobs, emulators.PROJECT, emulators.LOCATION)
        with HttpServer(api.routes()) as server:
            endpoints = {"run": server.url, "storage": self.objects_url}
            return interpreter.execute(
                interpreter.ExecutionInputs(
                    SOURCE, argument, endpoints, self.clock, environment, "VELOCAST_"
                )
            )

    def said(self) -> str:
        """Return what all jobs printed."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(log.read_text(encoding="utf-8") for log in logs)


@pytest.fixture
def cloud(
    storage_buckets: dict[str, str],
    warehouse_tables: bigquery.Client,
    object_store: emulators.RunningObjectStore,
    emulator_environment: dict[str, str],
    warm_python: WarmPython,
    tmp_path: Path,
) -> Iterator[Cloud]:
    del storage_buckets, warehouse_tables  # made before
    made = Cloud(tmp_path, emulator_environment, object_store.url, warm_python)
    champions.publish(3)
    yield made
    made.jobs.stop()


def stored(client: bigquery.Client) -> pd.DataFrame:
    rows = client.query_and_wait(FORECASTS).to_arrow(create_bqstorage_client=False).to_pandas()
    order = ["counter_id", "target_at", "origin_at", "model_version"]
    return rows.sort_values(order, ignore_index=True) if len(rows) else rows


def published() -> bytes:
    return gzip.decompress(emulators.objects().read(snapshot_format.SNAPSHOT).data)


def by_function(
    monkeypatch: pytest.MonkeyPatch, **request: Any
) -> tuple[pd.DataFrame, bytes, AuditRow]:
    """Return what the function makes: rows, snapshot and audit row; neither of them is left."""
    monkeypatch.setattr(forecast_rows, "BLOCK", 2)
    (row,) = forecast_all_counters(PredictRequest(**request), small_city.predict_run())
    warehouse = small_city.warehouse()
    made, snapshot = stored(warehouse._jobs.client), published()
    warehouse._jobs.client.query_and_wait(
        "DELETE FROM bike_traffic_predictions.forecasts WHERE target_at > '2020-01-01'"
    )
    emulators.objects().delete(snapshot_format.SNAPSHOT)
    return made, snapshot, row


def a_city() -> pd.DataFrame:
    """Seven counters, of which one has no recent counts."""
    city = small_city.make(counters=7)
    silent = city["counter_id"] == city["counter_id"].max()
    return city[~silent | (city["counted_at"] < ORIGIN - pd.Timedelta(days=12))]


def notices(topics: emulators.RunningPubSub) -> list[str]:
    return [notice["event"] for notice in topics.notices()]


def test_tasks_make_byte_for_byte_what_the_function_makes(
    cloud: Cloud, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_city.store(a_city())
    rows, snapshot, row = by_function(monkeypatch)

    ended = cloud.run()

    assert ended["state"] == "SUCCEEDED", (ended, cloud.said())
    assert json.loads(ended["result"]) == {
        "status": "OK",
        "state": "published",
        "name": f"{EXECUTION}-1",
        "attempts": 1,
        "tasks": 4,
    }
    pd.testing.assert_frame_equal(stored(warehouse_tables), rows, check_exact=True)
    assert published() == snapshot
    (audited,) = audit_rows(warehouse_tables)
    assert (audited["event_id"], audited["status"]) == ("predict:m1:prediction", "OK")
    details = dict(audited["details"])
    del details["seconds"]
    files = row.details["site"].split(" files published")[0]
    # only the manifest is written: all other files of the site are there already, byte for byte
    site = f"{files} files published, 1 of them written"
    assert details == row.details | {"counts": "as they were known", "site": site}
    counts = [e["counts"] for e in reversed(cloud.jobs.executions())]
    assert counts == [{"SUCCEEDED": 1}, {"SUCCEEDED": 4}, {"SUCCEEDED": 1}]

    again = cloud.run(execution="again")

    assert json.loads(again["result"])["state"] == "published"
    pd.testing.assert_frame_equal(stored(warehouse_tables), rows, check_exact=True)
    assert published() == snapshot


def test_a_task_that_is_killed_is_made_again_and_changes_nothing(
    cloud: Cloud, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_city.store(a_city())
    rows, snapshot, _ = by_function(monkeypatch)
    cloud.happens(KILL, "attempt == '0' and task != '0'")

    ended = cloud.run()

    assert ended["state"] == "SUCCEEDED", (ended, cloud.said())
    assert [e["retried"] for e in reversed(cloud.jobs.executions())] == [0, 3, 0]
    pd.testing.assert_frame_equal(stored(warehouse_tables), rows, check_exact=True)
    assert published() == snapshot


def test_a_missing_part_is_told_and_nothing_is_published(
    cloud: Cloud, warehouse_tables: bigquery.Client, topics: emulators.RunningPubSub
) -> None:
    small_city.store(a_city())
    cloud.happens(KILL, "task == '2'")

    ended = cloud.run()

    assert ended["state"] == "FAILED"
    assert stored(warehouse_tables).empty
    assert not emulators.objects().exists(snapshot_format.SNAPSHOT)
    rows = audit_rows(warehouse_tables)
    assert {(row["event_id"], row["status"]) for row in rows} == {("predict:m1:failed", "FAILED")}
    assert "1 of 4 parts are missing (2); nothing is published" in rows[0]["error_message"]
    assert set(notices(topics)) == {"run_failed"}
    assert len(emulators.objects().names(f"forecasts/{EXECUTION}-1/parts/")) == 3


def test_a_champion_that_is_promoted_meanwhile_serves_all_counters_or_none(
    cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    """The tasks stay with the champion of the plan; what another run has published is not written over with it."""
    small_city.store(a_city())
    cloud.happens(PROMOTE, "task == '1'")

    ended = cloud.run()

    assert ended["state"] == "SUCCEEDED", (ended, cloud.said())
    rows = stored(warehouse_tables)
    assert rows.groupby("model_version")["counter_id"].nunique().to_dict() == {3: 7}
    assert snapshot_format.loads(
        emulators.objects().read(snapshot_format.SNAPSHOT).data
    ).generated_by.endswith("version 3")


PUBLISH = (
    "if '--step=parts' in sys.argv and task == '1' and '-1' in ' '.join(sys.argv): "
    "from tests.workflows import test_forecast_yaml as t; t.promote_and_publish()"
)


def promote_and_publish() -> None:
    """What velocast-promote does: a new champion, and its forecasts."""
    if champions.models().read_json("serving/champion.json")[0]["version"] == 4:
        return
    champions.publish(4)
    forecast_all_counters(PredictRequest(), small_city.predict_run(message_id="promotion"))


def test_what_was_published_meanwhile_is_made_again_with_the_champion_of_then(
    cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    small_city.store(a_city())
    cloud.happens(PUBLISH)

    ended = cloud.run()

    assert ended["state"] == "SUCCEEDED", (ended, cloud.said())
    assert json.loads(ended["result"])["attempts"] == 2
    made = snapshot_format.loads(emulators.objects().read(snapshot_format.SNAPSHOT).data)
    assert made.champion is not None
    assert made.champion.version == 4
    of_four = stored(warehouse_tables).query("model_version == 4")
    assert of_four["counter_id"].nunique() == 7


def test_a_past_day_from_the_counts_as_they_were_known(
    cloud: Cloud, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = a_city()
    then = AS_OF - pd.Timedelta(days=5)
    small_city.store(city[city["counted_at"] < then], ingested_at=then)
    monkeypatch.setattr(forecast_rows, "BLOCK", 2)
    forecast_all_counters(PredictRequest(), small_city.predict_run(then, "then"))
    before = stored(warehouse_tables)
    changed = city.assign(bike_count=city["bike_count"] + 100)
    small_city.deliver(changed, at=AS_OF)
    forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF, "today"))
    newer = published()

    ended = cloud.run(as_of=rfc3339(then), only_known=True)

    assert ended["state"] == "SUCCEEDED", (ended, cloud.said())
    rows = stored(warehouse_tables)
    then_made = rows[rows["origin_at"] < ORIGIN].reset_index(drop=True)
    pd.testing.assert_frame_equal(then_made, before, check_exact=True)
    assert published() == newer


def test_before_the_first_count_there_is_nothing_to_make(
    cloud: Cloud, warehouse_tables: bigquery.Client
) -> None:
    ended = cloud.run()

    assert json.loads(ended["result"])["state"] == "nothing", (ended, cloud.said())
    (row,) = audit_rows(warehouse_tables)
    assert row["details"]["snapshot"] == "nothing to forecast yet"
    assert [e["job"] for e in cloud.jobs.executions()] == ["velocast-forecast-tasks"]


def test_it_waits_longer_for_a_job_than_the_job_and_its_retries_may_take() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.encode()) < 128 * 1024
    assert max(map(len, re.findall(r"\$\{(.*?)\}", text))) < 400
    workflow = yaml.safe_load(text)
    waits = workflow["run_job"]["steps"][1]["run"]["try"]["args"]["connector_params"]["timeout"]
    asked = set(re.findall(r"job: (velocast-[\w-]+)", text))
    assert asked == {"velocast-forecast-tasks", "velocast-forecast-publish"}
    assert waits > 2 * max(
        JOBS[name].timeout_seconds * (JOBS[name].max_retries + 1) for name in asked
    )
