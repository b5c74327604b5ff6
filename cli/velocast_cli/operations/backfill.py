"""Fetches a past range of counts, one window after the other, and makes the forecasts of past days.

One window is published at a time: `fetch` has one instance, which answers everything else with 429. What is done
already is read from the audit trail, so a backfill that was interrupted goes on, from any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from velocast.core.datetimes import local_date, parse_instant, rfc3339, start_of_local_day
from velocast.core.errors import EventError
from velocast.core.requests import FetchRequest, PredictRequest, RunRequest
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.audit_trail import AuditedRun, read_runs
from velocast_cli.operations.deployment import FETCH_TOPIC, PREDICT_TOPIC
from velocast_cli.operations.runs_awaited import Sleep, publish_and_wait

DAILY_RUN = timedelta(
    hours=6
)  # after local midnight: when a day's forecasts are made (schedules.yaml: 04:00 UTC)

Window = tuple[datetime, datetime]  # half-open, UTC
Outcome = Literal["planned", "done", "before", "failed", "not tried"]


@dataclass(frozen=True)
class BackfilledPart:
    """One window of counts, or one day of forecasts, and what became of it.

    outcome: `planned`; `done`; `before`: an earlier run did it; `failed`; `not tried`, since an earlier part failed.
    """

    what: Literal["counts", "forecasts"]
    since: datetime
    until: datetime
    outcome: Outcome
    execution_id: str = ""
    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    rejected: int = 0
    forecasts: int = 0
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the part with JSON's types."""
        return vars(self) | {"since": rfc3339(self.since), "until": rfc3339(self.until)}


@dataclass(frozen=True)
class BackfillRequest:
    """What to fetch: the range (UTC, half-open), the length of a window, and how long to wait for each run.

    again: also what the audit trail says is done. forecasts: make the forecasts of each local day of the range too.
    """

    since: datetime
    until: datetime
    window: timedelta = timedelta(days=7)
    again: bool = False
    forecasts: bool = False
    patience: timedelta = timedelta(minutes=45)


def backfill(
    request: BackfillRequest,
    run: Run[JobSettings],
    *,
    sleep: Sleep = time.sleep,
    on_failure: Callable[[str], object] | None = None,
) -> Iterator[BackfilledPart]:
    """Yield each part when its run has ended, in order of time: first the counts, then the forecasts.

    After a failure that may pass (the city is down), the rest is not tried: run the same command again. Raises
    EventError for an empty range, WarehouseError.
    """
    windows = split_windows(request.since, min(request.until, run.as_of), request.window)
    stopped = False
    for part in _planned(request, run, windows):
        if part.outcome == "before" or stopped:
            yield part if part.outcome == "before" else _changed(part, outcome="not tried")
            continue
        topic, message = _message(part, run)
        awaited = publish_and_wait(
            run, topic, message, patience=request.patience, sleep=sleep, on_failure=on_failure
        )
        if awaited.succeeded and awaited.row is not None:
            yield _filled(part, awaited.row)
            continue
        stopped = not awaited.is_hopeless
        yield _changed(part, outcome="failed", execution_id=awaited.message_id, error=awaited.error)


def days_without_counts(run: Run[JobSettings], since: datetime, until: datetime) -> list[date]:
    """Return the UTC days of a range of which nothing is stored. Raises WarehouseError."""
    until = min(until, run.as_of)
    frame = run.warehouse.query("operate_days_counted", since=since, until=until)
    counted = set(frame["day"])
    last = (until - timedelta(microseconds=1)).date()
    days = [since.date() + timedelta(days=n) for n in range((last - since.date()).days + 1)]
    return [day for day in days if day not in counted]


def split_windows(since: datetime, until: datetime, width: timedelta) -> list[Window]:
    """Return consecutive windows of `width` from `since` to `until`; the last may be shorter.

    Raises EventError when there is nothing between the two.
    """
    if since >= until:
        raise EventError(
            f"since {rfc3339(since)} is not before until {rfc3339(until)}; nothing is known of the future"
        )
    if width < timedelta(hours=1):
        raise EventError(f"a window of {width} is too short; the shortest is one hour")
    count = -((since - until) // width)
    return [(since + width * n, min(since + width * (n + 1), until)) for n in range(count)]


def covered(window: Window, ranges: list[Window]) -> bool:
    """Return whether the ranges together leave no gap in the window."""
    reached = window[0]
    for start, end in sorted(ranges):
        if start <= reached:
            reached = max(reached, end)
    return reached >= window[1]


def _planned(
    request: BackfillRequest, run: Run[JobSettings], windows: list[Window]
) -> list[BackfilledPart]:
    fetched = [] if request.again else _fetched_ranges(run)
    parts = [
        BackfilledPart("counts", *window, "before" if covered(window, fetched) else "planned")
        for window in windows
    ]
    if not request.forecasts:
        return parts
    zone = run.settings.city.zone
    first, last = local_date(windows[0][0], zone), local_date(windows[-1][1], zone)
    days = [first + timedelta(days=n) for n in range((last - first).days)]
    made = set() if request.again else _forecast_days(run)
    for day in days:
        start, end = (start_of_local_day(d, zone) for d in (day, day + timedelta(days=1)))
        outcome: Outcome = "before" if day in made else "planned"
        parts.append(BackfilledPart("forecasts", start, end, outcome))
    return parts


def _fetched_ranges(run: Run[JobSettings]) -> list[Window]:
    """Return the ranges whose counts the city has given in full, from the audit trail."""
    rows = read_runs(run.warehouse, event_type="INGESTION", status="OK")
    found = [(row.details.get("since"), row.details.get("until")) for row in rows]
    return [(parse_instant(a), parse_instant(b)) for a, b in found if a and b]


def _forecast_days(run: Run[JobSettings]) -> set[date]:
    rows = read_runs(run.warehouse, event_type="PREDICTION", status="OK")
    zone = run.settings.city.zone
    return {local_date(row.timestamp, zone) for row in rows if row.details.get("forecasts")}


def _message(part: BackfilledPart, run: Run[JobSettings]) -> tuple[str, RunRequest]:
    if part.what == "counts":
        return FETCH_TOPIC, FetchRequest(since=rfc3339(part.since), until=rfc3339(part.until))
    moment = min(part.since + DAILY_RUN, run.as_of)
    return PREDICT_TOPIC, PredictRequest(as_of=rfc3339(moment))


def _filled(part: BackfilledPart, row: AuditedRun) -> BackfilledPart:
    names = ("fetched", "inserted", "updated", "rejected", "forecasts")
    numbers = {name: int(row.details.get(name) or 0) for name in names}
    return _changed(part, outcome="done", execution_id=row.execution_id, **numbers)


def _changed(part: BackfilledPart, **changes: Any) -> BackfilledPart:
    return BackfilledPart(**(vars(part) | changes))
