"""Runs a Cloud Run job and waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from velocast.core.settings import Settings
from velocast_cli.operations.google_apis import (
    GoogleApiRefused,
    call,
    google_api,
    wait_for_operation,
)


class JobFailed(GoogleApiRefused):
    """An execution of a job ended with a failure; `execution_id` names it."""

    code = "job_failed"

    def __init__(self, execution_id: str, message: str) -> None:
        super().__init__(message)
        self.execution_id = execution_id


def run_cloud_job(
    settings: Settings,
    job: str,
    arguments: Sequence[str],
    *,
    patience: timedelta,
    on_start: Callable[[str], object] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Run a job with these arguments and return its execution's id when it has succeeded.

    on_start: called with the id as soon as it is known. Raises JobFailed, GoogleApiRefused.
    """
    name = f"projects/{settings.project}/locations/{settings.location}/jobs/{job}"
    body: dict[str, Any] = {"overrides": {"containerOverrides": [{"args": list(arguments)}]}}
    with google_api("run") as api:
        locations = api.projects().locations()
        # Not retried: the job may have started even if the answer was lost.
        started = call(locations.jobs().run(name=name, body=body), f"run job {job}", retries=0)
        execution_id = str(started["metadata"]["name"]).rsplit("/", 1)[-1]
        if on_start:
            on_start(execution_id)
        request = locations.operations().get(name=started["name"])
        try:
            wait_for_operation(
                lambda: call(request, f"wait for {execution_id}"),
                f"job {job}",
                patience=patience,
                sleep=sleep,
            )
        except GoogleApiRefused as exc:
            raise JobFailed(execution_id, str(exc)) from exc
    return execution_id
