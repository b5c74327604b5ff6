"""The names that the commands use are those of terraform/config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from velocast_cli.operations import deployment

CONFIG = Path(__file__).parents[3] / "terraform" / "config"


def entries(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIG / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def test_topics_jobs_and_services_exist() -> None:
    topics, functions = entries("topics"), entries("functions")
    for topic in (deployment.FETCH_TOPIC, deployment.PREDICT_TOPIC, deployment.MONITOR_TOPIC):
        assert topic in topics
    assert topics["velocast-dead-letter"]["keep_subscription"] == deployment.DEAD_LETTERS
    assert deployment.PROMOTE_JOB in entries("jobs")
    served = [name for name, function in functions.items() if function["topic"] is None]
    assert [f"velocast-{name}" for name in served] == [deployment.SERVE_SERVICE]


def test_everything_that_writes_audit_rows_is_a_component() -> None:
    jobs = [
        name.removeprefix("velocast-")
        for name, job in entries("jobs").items()
        if job["workflow"] != "velocast-forecast"  # those of predict, which asked for them
    ]
    functions = [name for name, function in entries("functions").items() if function["topic"]]
    assert {*functions, *jobs, "retrain"} == set(deployment.COMPONENTS)


def test_the_database_is_the_instance_that_terraform_creates() -> None:
    variables = (CONFIG.parent / "variables.tf").read_text(encoding="utf-8")
    modules = (CONFIG.parent / "modules" / "mlflow" / "variables.tf").read_text(encoding="utf-8")
    assert f'"{deployment.DATABASE}"' in variables + modules
