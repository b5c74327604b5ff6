"""The roles that each service account needs, as Terraform grants them.

`terraform/config/*.yaml` lists the roles of functions, jobs and workflows. The modules add three rules: a workflow may
run its own jobs, a job that lists MLFLOW_TRACKING_URI may call MLflow, and Pub/Sub calls each function of a topic as
an account of its own. The local stack answers questions about permissions from the same list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from velocast.core.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = REPOSITORY / "terraform" / "config"
SERVICES = REPOSITORY / "terraform" / "modules" / "project" / "main.tf"
PREFIX = "velocast-"
MLFLOW = "velocast-mlflow"

GrantedOn = Literal["project", "dataset", "bucket", "topic", "secret", "job", "service"]


@dataclass(frozen=True)
class Grant:
    """One role of one account (`velocast-fetch`) on one resource; the name of the project is empty."""

    account: str
    role: str
    kind: GrantedOn
    name: str = ""


def read_config(name: str, folder: Path = CONFIG) -> dict[str, dict[str, Any]]:
    """Return the entries of `terraform/config/<name>.yaml`.

    Raises SettingsError where there is no such file, because the command was not started from a checkout.
    """
    file = folder / f"{name}.yaml"
    try:
        entries: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise SettingsError(
            f"{file} does not exist; run velocast from a checkout of the project (`.venv/bin/velocast`)"
        ) from exc
    return entries


def read_grants(folder: Path = CONFIG) -> list[Grant]:
    """Return every grant to an account of Velocast, sorted by account. Raises SettingsError."""
    functions = read_config("functions", folder)
    jobs, workflows = read_config("jobs", folder), read_config("workflows", folder)
    runners = {PREFIX + name: entry for name, entry in functions.items()} | jobs | workflows
    found = [grant for name, entry in runners.items() for grant in _configured(name, entry)]
    found += _by_rule(functions, jobs)
    return sorted(found, key=lambda grant: grant.account)


_PLACES: dict[str, GrantedOn] = {
    "datasets": "dataset",
    "buckets": "bucket",
    "topics": "topic",
    "secrets": "secret",
}


def _configured(account: str, entry: dict[str, Any]) -> Iterator[Grant]:
    roles = entry.get("roles", {})
    for role in roles.get("project", ()):
        yield Grant(account, role, "project")
    for place, kind in _PLACES.items():
        for name, role in roles.get(place, {}).items():
            yield Grant(account, role, kind, name)


def _by_rule(
    functions: dict[str, dict[str, Any]],
    jobs: dict[str, dict[str, Any]],
) -> Iterator[Grant]:
    for job, entry in jobs.items():
        yield Grant(entry["workflow"], "roles/run.jobsExecutorWithOverrides", "job", job)
        if "MLFLOW_TRACKING_URI" in entry["environment"]:
            yield Grant(job, "roles/run.invoker", "service", MLFLOW)
    for name, entry in functions.items():
        if entry["topic"] is not None:
            yield Grant(f"{PREFIX}{name}-push", "roles/run.invoker", "service", PREFIX + name)


def read_services(file: Path = SERVICES) -> list[str]:
    """Return the APIs that Terraform enables, sorted. Raises SettingsError where the file is missing or lists none."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = sorted(set(re.findall(r'"([a-z]+\.googleapis\.com)"', text)))
    if not found:
        raise SettingsError(
            f"{file} lists no API; run velocast from a checkout of the project (`.venv/bin/velocast`)"
        )
    return found


def resource_name(grant: Grant, project: str, location: str) -> str:
    """Return Google's name of the resource of a grant."""
    place = f"projects/{project}/locations/{location}"
    names: dict[GrantedOn, str] = {
        "project": f"projects/{project}",
        "dataset": f"projects/{project}/datasets/{grant.name}",
        "bucket": f"projects/_/buckets/{project}-{grant.name}",
        "topic": f"projects/{project}/topics/{grant.name}",
        "secret": f"projects/{project}/secrets/{grant.name}",
        "job": f"{place}/jobs/{grant.name}",
        "service": f"{place}/services/{grant.name}",
    }
    return names[grant.kind]


def account_email(account: str, project: str) -> str:
    """Return the e-mail address of a service account."""
    return f"{account}@{project}.iam.gserviceaccount.com"
