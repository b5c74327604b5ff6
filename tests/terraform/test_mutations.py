"""Tests of the checks: each deliberate error is found, and the message names it.

Each case breaks a copy of the project and checks the message of Terraform or of the check meant to find the error.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.terraform import rules, topology, tree
from tests.terraform.cloud import Cloud
from tests.terraform.tree import TerraformFailed, Tree

pytestmark = pytest.mark.terraform
CONFIG = "terraform/config"


def planned(mutant: Tree) -> Cloud:
    return Cloud.planned(mutant.results("dev", tree.PLAN_ONLY)["planned"])


@pytest.fixture(scope="module")
def made(project: Tree, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """One plan with all errors that Terraform itself accepts; none hides another."""
    mutant = project.copy(tmp_path_factory.mktemp("mutant") / "copy")
    mutant.edit(
        f"{CONFIG}/functions.yaml",
        "VELOCAST_MODELS_BUCKET, VELOCAST_SITE_BUCKET, VELOCAST_ALERTS_TOPIC, VELOCAST_FORECAST_WORKFLOW]\n",
        "VELOCAST_SITE_BUCKET, VELOCAST_ALERTS_TOPIC, VELOCAST_FORECAST_WORKFLOW]\n",
    )
    mutant.edit(
        f"{CONFIG}/functions.yaml",
        "buckets: { models: roles/storage.objectViewer }\n    secrets: { velocast-api-keys",
        "buckets: { models: roles/storage.objectUser }\n    secrets: { velocast-api-keys",
    )
    mutant.edit(
        f"{CONFIG}/schedules.yaml",
        'cron: "0 2 * * *"\n  topic: velocast-fetch\n',
        'cron: "0 2 * * *"\n  topic: velocast-predict\n',
    )
    mutant.edit(
        "terraform/modules/storage/main.tf",
        'public_access_prevention    = "enforced"',
        'public_access_prevention    = "inherited"',
    )
    mutant.edit(f"{CONFIG}/alerts.yaml", "[8d])) < ${r2_critical}", "[8d])) > ${r2_critical}")
    mutant.edit(
        f"{CONFIG}/alerts.yaml", "bike_forecast_relative_error{", "bike_forecast_relativ_error{"
    )
    mutant.edit("workflows/retrain.yaml", "{ job: velocast-evaluate, ", "{ job: velocast-judge, ")
    mutant.edit(
        f"{CONFIG}/jobs.yaml",
        "script: promote.py\n  memory_mb: 4096\n  cpu: 2\n  timeout_seconds: 3600",
        "script: promote.py\n  memory_mb: 4096\n  cpu: 2\n  timeout_seconds: 7200",
    )
    (mutant.path / "shared/velocast/schemas/bike_traffic_raw.weather.json").unlink()
    mutant.edit(
        "terraform/modules/function/main.tf",
        "dead_letter_topic     = var.dead_letter_topic",
        "dead_letter_topic     = var.topic_id",
    )
    return planned(mutant)


@pytest.mark.xdist_group("mutations")
def test_errors_in_the_configuration_are_named(made: Cloud) -> None:
    assert topology.environments(made) == [
        "velocast-predict does not get VELOCAST_MODELS_BUCKET, which PredictSettings requires"
    ]
    assert topology.roles(made) == [
        "serve has storage.objectUser on bucket models; grants.py does not list it",
        "serve lacks storage.objectViewer on bucket models; grants.py lists it",
    ]
    assert topology.schedules(made) == [
        "schedule velocast-fetch publishes to projects/velocast-test/topics/velocast-predict, which "
        "calls ['velocast-predict']; it must call velocast-fetch and nothing else "
        "(terraform/config/schedules.yaml)"
    ]
    assert topology.public(made) == [
        f"bucket velocast-test-{name} can be made public: public_access_prevention must be "
        "enforced, access uniform"
        for name in ("datasets", "models", "reports")
    ]


@pytest.mark.xdist_group("mutations")
def test_a_reversed_threshold_is_named(made: Cloud, tmp_path: Path) -> None:
    if rules.PROMTOOL is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    (reversed_, misspelt) = sorted(topology.firing(made, tmp_path))
    assert reversed_.startswith("alert champion_r2_critical does not fire as its cases expect")
    assert "below, a week ago" in reversed_
    assert misspelt.startswith("alert error_unusual does not fire as its cases expect")
    assert topology.metrics(made) == [
        "alert error_unusual reads custom_googleapis_com:bike_forecast_relativ_error, which nothing sets"
    ]


@pytest.mark.xdist_group("mutations")
def test_the_wiring_of_workflow_tables_and_dead_letters_is_checked(made: Cloud) -> None:
    assert topology.workflow(made) == [
        "velocast-retrain runs ['velocast-judge', 'velocast-promote', 'velocast-train'], its jobs are "
        "['velocast-evaluate', 'velocast-promote', 'velocast-train']",
        "velocast-promote can take 14400 s with its retries, the workflow waits 7500 s",
    ]
    assert topology.tables(made) == ["bike_traffic_raw.weather.json has no table"]
    assert (
        "undeliverable messages of velocast-fetch go to projects/velocast-test/topics/velocast-fetch, "
        "which no subscription keeps"
    ) in topology.dead_letters(made)


def test_a_role_too_wide_is_refused_by_terraform(mutant: Tree) -> None:
    mutant.edit(
        f"{CONFIG}/workflows.yaml",
        "buckets: { models: roles/storage.objectUser }",
        "buckets: { models: roles/storage.admin }",
    )
    with pytest.raises(
        TerraformFailed,
        match=r"velocast-retrain: roles\.buckets must be roles/storage\.objectUser or objectViewer, "
        r"got roles/storage\.admin",
    ):
        planned(mutant)


def test_arguments_that_are_misspelt_missing_or_misnamed_are_named(mutant: Tree) -> None:
    """One validation with all three, which names each."""
    mutant.edit("terraform/modules/jobs/main.tf", "max_retries     =", "max_retrys     =")
    mutant.edit("terraform/modules/workflow/main.tf", "source_contents         =", "# gone =")
    mutant.edit("terraform/main.tf", 'module.builder.images["mlflow"]', "module.builder.image")
    with pytest.raises(TerraformFailed) as failed:
        mutant.run("validate")
    words = " ".join(str(failed.value).replace("│", " ").split())
    assert 'An argument named "max_retrys" is not expected here. Did you mean' in words
    assert 'The argument "source_contents" is required' in words
    assert 'This object does not have an attribute named "image"' in words
