"""`velocast demo`: two weeks of a city, simulated on the whole system as it would run in the cloud.

The demo only does what an operator and the passing of time would do: it advances the stack's clock, runs the Cloud
Scheduler jobs that are due, publishes an event and starts the workflow. The parts do everything else by themselves.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from gcp_emulators.scheduler.scheduler import due
from velocast.adapters import google_clients, workflows
from velocast.core.datetimes import rfc3339
from velocast.core.requests import RetrainArgument
from velocast_local.stack.configuration import WITHIN_DAY, load_schedules

if TYPE_CHECKING:
    from velocast.core.city import City
    from velocast_local.fault_story import FaultStory

IDLE_TIMEOUT_SECONDS = 600
IDLE_WAIT_SECONDS = 5  # of one request; to ask ten times a second took 3 % of the demo's CPU time


class DemoFailed(RuntimeError):
    """A step of the demo failed; the message says which, and where its log is."""


@dataclass
class Progress:
    """Reports the progress of the demo.

    say: prints one line. live: shows that a part is going on. seconds: wall time of each part. first_forecast: seconds
    from the start to the first forecast.
    """

    say: Callable[[str], object]
    live: Callable[[str], AbstractContextManager[object]] = nullcontext
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    first_forecast: float = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the wall time of a block to `seconds[name]`."""
        started = time.monotonic()
        try:
            with self.live(name):
                yield
        finally:
            self.seconds[name] += time.monotonic() - started


class Player:
    """Drives a running stack by the APIs that gcloud uses. Use it in a `with` block, which closes its connections."""

    def __init__(self, stack: dict[str, Any], progress: Progress) -> None:
        self.url = stack["url"]
        self.project = stack["project"]
        self.location = stack["location"]
        self.page = stack["urls"]["dashboard"]
        self.progress = progress
        self._http = httpx.Client(base_url=self.url, timeout=30)
        self._publisher = google_clients.publisher_client()
        self._seen_dead = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._publisher.stop()

    def set_clock(self, now: datetime, *, back: bool = False) -> None:
        """Set the stack's clock to `now`; an earlier time needs `back`, as for an empty stack."""
        body = {"now": rfc3339(now), "force": back}
        self._http.post("/local/clock", json=body).raise_for_status()

    def publish(self, topic: str, payload: str = "{}") -> None:
        """Publish an event and wait until everything that it started has finished."""
        path = self._publisher.topic_path(self.project, topic)
        self._publisher.publish(path, payload.encode()).result(timeout=30)
        self.settle(f"an event on {topic}")

    def run_schedule(self, job: str) -> None:
        """Run one Cloud Scheduler job and wait until everything that it started has finished."""
        path = f"/v1/projects/{self.project}/locations/{self.location}/jobs/{job}:run"
        self._http.post(path, json={}).raise_for_status()
        self.settle(f"schedule {job}")

    def start_workflow(self, argument: RetrainArgument) -> None:
        """Start velocast-retrain like `gcloud workflows run`, and wait until it has finished."""
        workflows.start_execution(
            self.project, self.location, "velocast-retrain", argument, label="demo"
        )
        self.settle("workflow velocast-retrain")

    def settle(self, what: str) -> None:
        """Wait until all messages are delivered and no workflow runs. Raises DemoFailed (dead letter, timeout)."""
        deadline = time.monotonic() + IDLE_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            asked = self._http.get("/local/idle", params={"wait": IDLE_WAIT_SECONDS})
            if asked.raise_for_status().json()["idle"]:
                return self._refuse_dead_letters(what)
        raise DemoFailed(
            f"{what}: still busy after {IDLE_TIMEOUT_SECONDS} s; see {self.url}/local/idle"
        )

    def _refuse_dead_letters(self, what: str) -> None:
        deliveries = self._http.get("/local/deliveries").raise_for_status().json()["deliveries"]
        dead = [d for d in deliveries if d["outcome"] == "dead"]
        if len(dead) > self._seen_dead:
            raise DemoFailed(f"{what}: a message was dead-lettered: {dead[-1]}")


def play_city(
    player: Player,
    audit: AuditReader,
    *,
    first_day: date,
    days: int,
    schedules: Path,
    city: City | None = None,
    story: FaultStory | None = None,
    until_trainable: Callable[[], object] = lambda: None,
) -> None:
    """Load the history, train the first champion, simulate `days` days, and force one more retraining.

    first_day: the first simulated day (UTC); everything that the city published before it is history. city: whose
    schedules are played. story: of the fault that was injected. until_trainable: waits for what only a training needs.
    """
    say, part = player.progress.say, player.progress.part
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC)
    player.set_clock(start, back=True)
    say("history   loading what the city published before the first day ...")
    with part("load history"):
        player.publish("velocast-fetch")
    say(f"history   {audit.line('INGESTION')}")
    with part("first forecasts"):
        player.publish("velocast-predict")
    progress = player.progress
    progress.first_forecast = sum(progress.seconds.values())
    say(f"forecasts {audit.line('PREDICTION')}, {progress.first_forecast:,.0f} s after the start")
    say(f"          look at them now: {player.page}")
    with part("wait for MLflow"):
        until_trainable()
    say("          training the first model, half a minute on two free cores ...")
    with part("first training"):
        player.publish("velocast-monitor")
    say(f"champion  {audit.line('DEPLOYMENT')}")
    for day in (first_day + timedelta(days=offset) for offset in range(days)):
        if story:
            story.begin_day(day)
        _play_day(player, audit, day, schedules, city)
        if story:
            story.end_day(day)
    end = start + timedelta(days=days) - timedelta(hours=12)
    player.set_clock(end)
    say("forced    training again, as an operator can; about 15 s ...")
    with part("forced retraining"):
        player.start_workflow(RetrainArgument(force=True, reason="demo", as_of=rfc3339(end)))
    say(f"forced    {audit.line('DEPLOYMENT')}")


def _play_day(
    player: Player, audit: AuditReader, day: date, schedules: Path, city: City | None
) -> None:
    after = datetime.combine(day, datetime.min.time(), tzinfo=UTC) - timedelta(seconds=1)
    told = []
    jobs = load_schedules(schedules, city)
    for at, job in due(jobs, after, after + timedelta(days=1)):
        player.set_clock(at)
        name = job.split("-")[1]  # the function that it calls
        with player.progress.part(name):
            player.run_schedule(job)
        if name != "notify" and not job.endswith(WITHIN_DAY):  # these are run every hour
            told.append(audit.line(EVENT_OF[name]) if name in EVENT_OF else f"{name} sent")
    player.progress.say(f"{day:%a %d %b} " + ("\n" + " " * 11).join(told))


EVENT_OF = {"fetch": "INGESTION", "predict": "PREDICTION", "monitor": "VALIDATION"}


class AuditReader:
    """Reads the system's audit table."""

    def __init__(self, project: str, location: str) -> None:
        self._client = google_clients.bigquery_client(project, location)
        self._table = f"`{project}.monitoring_audit.logs`"

    def latest(self, event_type: str) -> dict[str, Any]:
        """Return the newest row of an event type. Raises DemoFailed when there is none or its status is FAILED.

        Of validations, only those of monitor count, which decide on retraining; promote writes one too.
        """
        decided = " AND retrain_decision IS NOT NULL" if event_type == "VALIDATION" else ""
        rows = self.rows(
            f"event_type = '{event_type}'{decided}", order="timestamp DESC, event_id DESC", limit=1
        )
        if not rows:
            raise DemoFailed(f"no {event_type} row in the audit table; see .velocast/logs")
        if rows[0]["status"] == "FAILED":
            raise DemoFailed(f"{event_type} failed: {rows[0]['error_message']}")
        return rows[0]

    def rows(
        self, where: str, *, order: str = "timestamp", limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """Return audit rows as dicts. where: SQL from the demo's own code, never from a user."""
        sql = (
            f"SELECT * FROM {self._table} WHERE timestamp > TIMESTAMP('2000-01-01') "
            f"AND {where} ORDER BY {order} LIMIT {limit}"
        )
        return [dict(row.items()) for row in self._client.query(sql, timeout=30).result(timeout=30)]

    def line(self, event_type: str) -> str:
        """Return one short sentence about the newest row of an event type."""
        row = self.latest(event_type)
        return SENTENCES[event_type](row, details_of(row))


def details_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON column `details`; the client returns it as text or decoded."""
    import json

    value = row.get("details") or {}
    return json.loads(value) if isinstance(value, str) else value


def _number(value: Any) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _weather(details: dict[str, Any]) -> str:
    """Return a phrase about the weather that a fetch stored."""
    weather = details.get("weather") or {}
    if not weather.get("fetched"):
        return "no weather"
    return f"{weather['inserted']:,} hours of weather"


def _swept(sweep: dict[str, Any]) -> str:
    """Return a phrase about a search for late counts."""
    if sweep["days_compared"] is None:
        return f"all days from {sweep['since']} on read again"
    return f"{sweep['days_differing']} of {sweep['days_compared']} earlier days differed"


SENTENCES: dict[str, Callable[[dict[str, Any], dict[str, Any]], str]] = {
    "INGESTION": lambda _, d: (
        f"{d.get('inserted', 0):,} new, {d.get('updated', 0):,} corrected, "
        + (_swept(d["sweep"]) if "sweep" in d else _weather(d))
    ),
    "PREDICTION": lambda _, d: (
        f"{d.get('forecasts', 0):,} forecasts by "
        + (f"v{d['model_version']}" if d.get("model_version") else "similar days")
    ),
    "VALIDATION": lambda r, _: f"R2 {_number(r['r2'])}, {_retraining(r['retrain_decision'])}",
    "DEPLOYMENT": lambda r, _: _deployed(r),
}
RETRAINING = {
    "FORCE": "training was asked for",
    "FIRST": "the first model is due",
    "REACTIVE": "training: the forecasts are not good enough",
    "PROACTIVE": "training: the city has changed",
    "REFRESH": "training: the model has become old",
    "WAIT": "watching a change",
    "ALL_GOOD": "no training needed",
}
DEPLOYED = {
    "DEPLOY": "promoted",
    "SKIP": "kept the old one",
    "REJECT": "not good enough",
}


def _retraining(decision: str | None) -> str:
    return RETRAINING.get(decision or "", "nothing decided")


def _deployed(row: dict[str, Any]) -> str:
    """Return what became of a challenger, in words."""
    decision = DEPLOYED.get(row["deployment_decision"], row["deployment_decision"])
    old, new = row["old_r2_score"], row["new_r2_score"]
    judged = f"R2 {_number(new)}" + ("" if old is None else f" against {_number(old)}")
    return f"a model was trained ({judged}): {decision}"
