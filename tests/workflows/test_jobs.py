"""The job scripts as Cloud Run starts them: a process with arguments and variables, and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gcp_emulators.core.warm_python import WarmPython
from tests import emulators
from tests.audit_rows import audit_rows
from tests.shared.usecases import small_city
from velocast.core.settings import ForecastJobSettings, JobSettings

pytestmark = pytest.mark.emulator

if TYPE_CHECKING:
    from google.cloud import bigquery

ROOT = Path(__file__).parents[2]
JOBS = ROOT / "workflows" / "jobs"
CONFIG: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "terraform" / "config" / "jobs.yaml").read_text()
)


@dataclass
class Ended:
    """A job that has ended: its exit code and what it printed, also on standard error."""

    code: int
    said: str


Start = Callable[..., Ended]


@pytest.fixture
def start(warm_python: WarmPython, tmp_path: Path) -> Start:
    """Runs a job with arguments and, as keywords, variables."""

    def run(script: str, *arguments: str, **variables: str) -> Ended:
        command = [sys.executable, str(JOBS / script), *arguments]
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        job = warm_python.start(command, environment=os.environ | variables, log=log, cwd=JOBS)
        return Ended(job.wait(timeout=250), log.read_text(encoding="utf-8"))

    return run


@pytest.mark.parametrize("job", CONFIG)
def test_every_job_has_its_script_and_is_given_what_its_settings_require(job: str) -> None:
    assert (JOBS / CONFIG[job]["script"]).is_file()
    settings = ForecastJobSettings if "forecast" in job else JobSettings
    assert set(CONFIG[job]["environment"]) == settings.required_variables()
    assert len((JOBS / CONFIG[job]["script"]).read_text().splitlines()) < 60


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("train.py", ["--kind=tree"], "invalid choice: 'tree'"),
        ("train.py", ["--force=yes"], "'yes' is neither true nor false"),
        ("evaluate.py", [], "required: --version"),
        ("promote.py", ["--version=seven"], "invalid int value"),
        ("forecast.py", ["--name=n", "--step=all"], "invalid choice: 'all'"),
        (
            "forecast.py",
            ["--name=n", "--step=plan", "--request={}}"],
            "invalid model_validate_json",
        ),
        ("publish.py", [], "required: --name"),
    ],
)
def test_wrong_arguments_end_the_job_before_it_begins(
    start: Start, script: str, arguments: list[str], said: str
) -> None:
    ended = start(script, *arguments)
    assert ended.code == 2
    assert said in ended.said


def test_a_missing_variable_ends_the_job_and_is_named(emulator_environment: dict[str, str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "VELOCAST_MODELS_BUCKET"}
    ended = subprocess.run(
        [sys.executable, str(JOBS / "train.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "VELOCAST_MODELS_BUCKET" in ended.stderr


def test_an_error_leaves_an_audit_row_and_what_the_workflow_tells(
    start: Start, storage_buckets: dict[str, str], topics: object, warehouse_tables: bigquery.Client
) -> None:
    ended = start("train.py", "--as-of=2025-03-10T04:00:00Z", "--execution-id=e1")
    assert ended.code == 1, ended.said
    said, _ = emulators.objects().read_json("runs/e1/error.json")
    assert said["step"] == "train"
    assert said["error"].startswith(
        "too_little_history: no usable count before 2025-03-09T23:00:00Z"
    )
    (row,) = audit_rows(warehouse_tables)
    assert (row["event_id"], row["status"], row["event_type"]) == (
        "train:e1:failed",
        "FAILED",
        "TRAINING",
    )
    assert row["error_message"] == said["error"]
    line = json.loads([line for line in ended.said.splitlines() if line.startswith("{")][-1])
    assert (line["severity"], line["code"]) == ("ERROR", "too_little_history")
    # What terraform/config/log_metrics.yaml counts.
    assert (line["event"], line["status"]) == ("TRAINING", "FAILED")
    assert line["logging.googleapis.com/labels"]["component"] == "train"


def test_an_unreadable_moment_is_an_error_that_says_how_to_write_it(
    start: Start, storage_buckets: dict[str, str], topics: object, warehouse_tables: bigquery.Client
) -> None:
    ended = start("evaluate.py", "--version=1", "--as-of=yesterday", "--execution-id=e1")
    assert ended.code == 1
    assert (
        "write it like 2026-03-01T02:00:00Z"
        in emulators.objects().read_json("runs/e1/error.json")[0]["error"]
    )


def test_by_hand_from_a_training_to_the_champion(
    start: Start,
    storage_buckets: dict[str, str],
    topics: object,
    mlflow_server: str,
    warehouse_tables: bigquery.Client,
) -> None:
    small_city.store(small_city.make(counters=3, days=30))
    # a tiny model of a tiny city need not beat similar days
    limits = ("R2_FLOOR", "MIN_REFERENCE_GAIN", "MIN_REFERENCE_GAIN_LOW")
    lifted = dict.fromkeys(limits, "-100")
    stands = {"VELOCAST_AS_OF": "2025-03-10T04:00:00Z"} | lifted
    names = {"CLOUD_RUN_EXECUTION": "velocast-train-abcde"}
    ended = start("train.py", "--kind=rf", "--reason=by hand, to see", **stands, **names)
    assert ended.code == 0, ended.said
    trained, _ = emulators.objects().read_json("runs/velocast-train-abcde/train.json")
    assert (trained["kind"], trained["as_of"]) == ("rf", "2025-03-10T04:00:00Z")
    version = f"--version={trained['version']}"
    for script in ("evaluate.py", "promote.py"):
        ended = start(script, version, **stands)
        assert ended.code == 0, ended.said
    champion, _ = emulators.objects().read_json("serving/champion.json")
    assert champion["version"] == trained["version"]
    kinds = {(row["event_type"], row["status"]) for row in audit_rows(warehouse_tables)}
    assert kinds == {("TRAINING", "OK"), ("DEPLOYMENT", "OK"), ("VALIDATION", "OK")}


@pytest.mark.parametrize(
    ("named_by", "notices"),
    [
        ({"CLOUD_RUN_EXECUTION": "velocast-train-abcde"}, ["run_failed"]),
        ({}, []),  # the workflow gives --execution-id and tells people itself
    ],
)
def test_a_failure_outside_the_workflow_publishes_a_notice(
    start: Start,
    storage_buckets: dict[str, str],
    topics: emulators.RunningPubSub,
    warehouse_tables: bigquery.Client,
    named_by: dict[str, str],
    notices: list[str],
) -> None:
    arguments = [] if named_by else ["--execution-id=e1"]
    ended = start("train.py", "--as-of=2025-03-10T04:00:00Z", *arguments, **named_by)
    assert ended.code == 1, ended.said
    published = topics.notices()
    assert [n["event"] for n in published] == notices
    for notice in published:
        assert notice["component"] == "train"
        assert notice["event_id"] == "train:velocast-train-abcde:failed"
        assert notice["error"].startswith("too_little_history: no usable count before")
