"""A project in the cloud as far as terraform and gcloud tell of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from terraform.deploy import images, plans, programs, release, state
from tests.terraform.deploy.stand_ins import StandIns

REGISTRY = "europe-west1-docker.pkg.dev/velocast-test/velocast-images"
DIGEST = "sha256:" + "ab" * 32
RECORDED = {
    "python:3.12-slim": DIGEST,
    "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.25.3": DIGEST,
}
OUTPUTS: dict[str, Any] = {
    "build_account": "projects/velocast-test/serviceAccounts/velocast-build@velocast-test.iam.gserviceaccount.com",
    "environment": "dev",
    "images": {name: f"{REGISTRY}/{name}:0123456789abcdef" for name in ("jobs", "mlflow", "serve")},
    "location": "europe-west1",
    "mlflow_instance": "velocast-mlflow",
    "mlflow_migration_job": "velocast-mlflow-migrate",
    "serve_public": True,
    "serve_service": "velocast-serve",
}


def plan_json(**changes: tuple[list[str], Any, Any]) -> dict[str, Any]:
    """A plan as `terraform show -json` prints it; changes by the names below."""
    addresses = {
        "registry": plans.REGISTRY,
        "mlflow": plans.MLFLOW,
        "migration": plans.MIGRATION,
        "topic": 'module.messaging.google_pubsub_topic.this["velocast-fetch"]',
    }
    return {
        "output_changes": {
            name: {"after": value, "after_unknown": False} for name, value in OUTPUTS.items()
        },
        "resource_changes": [
            {
                "address": addresses[name],
                "change": {"actions": actions, "before": before, "after": after},
            }
            for name, (actions, before, after) in changes.items()
        ],
    }


def service_with(image: str) -> dict[str, Any]:
    return {"template": [{"containers": [{"image": image}]}]}


def described(**status: Any) -> dict[str, Any]:
    """The API's service with one revision that has the traffic."""
    target = {"revisionName": "velocast-serve-00001-abc", "percent": 100}
    return {
        "spec": {"traffic": [target]},
        "status": {
            "url": "http://127.0.0.1:9",
            "latestReadyRevisionName": "velocast-serve-00001-abc",
            "traffic": [target],
        }
        | status,
    }


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """A project that is deployed and unchanged; a test adds what differs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    stand_ins = StandIns(folder)
    stand_ins.install()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("TF_VAR_location", raising=False)
    monkeypatch.setattr(programs, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(release, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(state, "LOCK", tmp_path / "lock.hcl")
    (tmp_path / "lock.hcl").write_text("locked")
    monkeypatch.setattr(plans, "PLANS", tmp_path / "plans")
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.setattr(images, "PACKAGES", packages)
    (packages / "packages.json").write_text(
        json.dumps(
            {
                "functions": {"serve": "serve-0123456789abcdef.zip"},
                "images": {n: f"{n}-0123456789abcdef.tgz" for n in ("jobs", "mlflow")},
            }
        )
    )
    stand_ins.answer("terraform state pull", {"outputs": {"environment": {"value": "dev"}}})
    stand_ins.answer("terraform show", plan_json())
    stand_ins.answer("storage cat .*base-images.json", RECORDED)
    stand_ins.answer("run services describe", described())
    return stand_ins
