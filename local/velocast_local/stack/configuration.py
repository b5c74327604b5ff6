"""The YAML files in terraform/config, which Terraform reads too (functions, jobs, schedules), and the workflows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from gcp_emulators.cloud_run.jobs import Job
from gcp_emulators.scheduler.scheduler import Schedule
from velocast.core.city import City

IMAGE = "velocast-jobs"
NAME_PREFIX = "velocast-"
AFTER_QUIET_HOURS = "velocast-notify-held"
WITHIN_DAY = "-within-day"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Roles(_Entry):
    """`project` lists roles on the whole project; the other fields map a resource to its role.

    Unknown keys are errors. The local stack answers questions about permissions from them, but enforces none.
    """

    project: tuple[str, ...] = ()
    datasets: dict[str, str] = {}
    buckets: dict[str, str] = {}
    topics: dict[str, str] = {}
    secrets: dict[str, str] = {}


class DeliveryPolicy(_Entry):
    """How often Pub/Sub delivers a message, and how long it waits between two attempts, before it is a dead letter."""

    max_attempts: int = 5
    min_backoff_seconds: int = 60
    max_backoff_seconds: int = 600


class Function(_Entry):
    """One entry of functions.yaml. A function without a topic is called over HTTP."""

    description: str = ""
    topic: str | None = None
    entry_point: str
    memory_mb: int
    cpu: float | None = None
    timeout_seconds: int
    max_instances: int = 1
    concurrency: int = 1
    environment: tuple[str, ...] = ()
    roles: Roles = Roles()
    delivery: DeliveryPolicy = DeliveryPolicy()


class _JobEntry(Job):
    """One entry of jobs.yaml. workflow: which one may run it; the local stack enforces nothing."""

    image: str = IMAGE
    description: str = ""
    workflow: str = ""
    roles: Roles = Roles()


def load_functions(file: Path) -> dict[str, Function]:
    """Read the functions by name. Raises pydantic's ValidationError for a wrong or unknown key."""
    return {name: Function(**entry) for name, entry in _entries(file).items()}


def load_jobs(file: Path) -> dict[str, Job]:
    """Read the jobs by name. Raises pydantic's ValidationError for a wrong or unknown key."""
    return {name: _JobEntry(**entry) for name, entry in _entries(file).items()}


def load_schedules(file: Path, city: City | None = None) -> dict[str, Schedule]:
    """Read the schedules by name. Raises pydantic's ValidationError for a wrong or unknown key.

    city: schedules that it has no use for are left out, as by Terraform: without quiet hours nothing waits for their
    end, and without hours within the day there is one forecast a day. None: a city without either.
    """
    quiet_hours = city is not None and bool(city.messages.quiet_hours)
    within_day = city is not None and bool(city.within_day)
    named = {name: Schedule(**entry) for name, entry in _entries(file).items()}
    return {
        name: each
        for name, each in named.items()
        if (name != AFTER_QUIET_HOURS or quiet_hours)
        and (not name.endswith(WITHIN_DAY) or within_day)
    }


def find_workflows(folder: Path) -> dict[str, Path]:
    """Return the workflow files by deployed name: workflows/retrain.yaml is `velocast-retrain`."""
    return {NAME_PREFIX + file.stem: file for file in sorted(folder.glob("*.yaml"))}


def _entries(file: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return entries
