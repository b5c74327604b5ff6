"""Cloud Scheduler: jobs that publish to a topic when they are run, and the times at which they are due."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cronsim import CronSim
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.clock import Clock
from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.core.times import rfc3339

Publish = Callable[[str, bytes], Any]
ENABLED, PAUSED = "ENABLED", "PAUSED"


class Schedule(BaseModel):
    """A job: publishes `payload` as JSON to `topic` when `cron` (UTC) is due."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    cron: str
    topic: str
    payload: dict[str, Any] = {}


def due(
    schedules: Mapping[str, Schedule], after: datetime, until: datetime
) -> list[tuple[datetime, str]]:
    """Return all runs of the schedules in (after, until], in order, as (time, name of the job)."""
    runs = []
    for name, schedule in schedules.items():
        for moment in CronSim(schedule.cron, after):
            if moment > until:
                break
            runs.append((moment, name))
    return sorted(runs)


class Scheduler:
    """The jobs of one project and location.

    Nothing runs by itself: whoever moves the clock asks which runs are `due` and calls `run`. publish: called with a
    topic and the data of a message.
    """

    def __init__(
        self,
        schedules: dict[str, Schedule],
        *,
        project: str,
        location: str,
        records: DocumentStore,
        clock: Clock,
        publish: Publish,
    ) -> None:
        self.schedules = schedules
        self.parent = f"projects/{project}/locations/{location}"
        self._project = project
        self._records = records
        self._clock = clock
        self._publish = publish

    def resource(self, name: str) -> Json:
        """Return a job as the API describes it; raises GoogleApiError 404."""
        schedule, kept = self._schedule(name), self._records.get(name) or {}
        data = base64.b64encode(json.dumps(schedule.payload).encode()).decode()
        upcoming = next(CronSim(schedule.cron, self._clock.now()))
        return {
            "name": f"{self.parent}/jobs/{name}",
            "description": schedule.description,
            "schedule": schedule.cron,
            "timeZone": "Etc/UTC",
            "state": kept.get("state", ENABLED),
            "attemptDeadline": "180s",
            "pubsubTarget": {
                "topicName": f"projects/{self._project}/topics/{schedule.topic}",
                "data": data,
            },
            "scheduleTime": rfc3339(upcoming),
            "status": {},
        } | ({"lastAttemptTime": kept["lastAttemptTime"]} if "lastAttemptTime" in kept else {})

    def run(self, name: str) -> Json:
        """Publish the job's payload now, even if it is paused, and return the job; raises GoogleApiError 404."""
        schedule = self._schedule(name)
        self._publish(schedule.topic, json.dumps(schedule.payload).encode())
        self._remember(name, lastAttemptTime=rfc3339(self._clock.now()))
        return self.resource(name)

    def set_state(self, name: str, state: str) -> Json:
        """Pause or resume a job and return it; raises GoogleApiError 404."""
        self._schedule(name)
        self._remember(name, state=state)
        return self.resource(name)

    def due(self, after: datetime, until: datetime) -> list[tuple[datetime, str]]:
        """Return the runs in (after, until] of the jobs that are not paused, in order."""
        running = {
            name: schedule
            for name, schedule in self.schedules.items()
            if (self._records.get(name) or {}).get("state", ENABLED) == ENABLED
        }
        return due(running, after, until)

    def _schedule(self, name: str) -> Schedule:
        if name not in self.schedules:
            raise GoogleApiError(
                404, f"Job '{name}' not found; there are {', '.join(sorted(self.schedules))}"
            )
        return self.schedules[name]

    def _remember(self, name: str, **changes: str) -> None:
        self._records.put(name, (self._records.get(name) or {}) | changes)

    def routes(self) -> list[BaseRoute]:
        """Return the REST routes: list, describe, run, pause, resume."""
        base = f"/v1/{self.parent}/jobs"

        def route(suffix: str, answer: Callable[[str], Json], method: str) -> Route:
            def serve(request: Request, _body: Json) -> Json:
                return answer(request.path_params["job"])

            return Route(base + "/{job}" + suffix, json_endpoint(serve), methods=[method])

        def listing(_request: Request, _body: Json) -> Json:
            return {"jobs": [self.resource(name) for name in self.schedules]}

        return [
            Route(base, json_endpoint(listing), methods=["GET"]),
            route("", self.resource, "GET"),
            route(":run", self.run, "POST"),
            route(":pause", lambda name: self.set_state(name, PAUSED), "POST"),
            route(":resume", lambda name: self.set_state(name, ENABLED), "POST"),
        ]
