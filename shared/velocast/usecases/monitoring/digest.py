"""The weekly digest: one message with what the week was like and what is coming, instead of a stream of them.

It reads what others have stored and published, so that its figures are those of the page and of the audit table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from velocast.adapters.bigquery.sql_templates import Empty
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import SCORED_LEAD_DAYS, local_date, rfc3339, start_of_local_day
from velocast.core.errors import EventError, ObjectMissing
from velocast.core.notices import (
    DigestAccuracy,
    DigestContinuation,
    DigestCounter,
    DigestEvent,
    DigestGrowth,
    DigestHour,
    DigestModel,
    WeeklyDigest,
)
from velocast.core.telemetry import log
from velocast.usecases.growth import MeasuredGrowth, measure_growth
from velocast.usecases.histories.proposals import propose
from velocast.usecases.monitoring.outcome import MonitorRun
from velocast.usecases.site.accuracy import find_conspicuous_counters
from velocast.usecases.site.counter_pages import counter_page_of
from velocast.usecases.snapshot_format import SNAPSHOT, CityGrowth, Snapshot, loads

WEEK = timedelta(days=7)
USUAL = timedelta(days=28)
LEAST_USUAL_DAYS = 14
HISTORY = timedelta(days=366)
NAMED_COUNTERS = 10
NAMED_HOURS = 3
NAMED_EVENTS = 10


def publish_digest(run: MonitorRun) -> list[AuditRow]:
    """Publish the digest of the seven local days before `run.as_of`, and return its audit row.

    A digest of the same week has the same id, so that people get it once. The growth of each counter is in the audit
    row alone, where `predict` finds it. Raises WarehouseError.
    """
    growth = measure_growth(run.warehouse, run.settings.city, as_of=run.as_of)
    digest = make_digest(run, growth)
    run.publish_notice(digest)
    return [
        AuditRow(
            event_id=f"{run.runtime.component}:{run.execution_id}:digest",
            timestamp=run.as_of,
            event_type="ALERT",
            as_of=run.as_of,
            execution_id=run.execution_id,
            details=digest.model_dump(mode="json")
            | {"growth": growth and growth.model_dump(mode="json")},
        )
    ]


def make_digest(run: MonitorRun, growth: MeasuredGrowth | None) -> WeeklyDigest:
    """Return the digest of the seven local days before `run.as_of`. Raises WarehouseError."""
    city = run.settings.city
    today = local_date(run.as_of, city.zone)
    until = start_of_local_day(today, city.zone)
    first = start_of_local_day(today - WEEK, city.zone)
    counts = run.warehouse.query("digest_counts", first_hour=first, until=until).iloc[0]
    history = run.warehouse.query(
        "monitor_history",
        first_hour=until - HISTORY,
        recent_hour=first,
        until=until,
        zone=city.time_zone,
        ended=Empty("STRING"),  # only the days are read
    ).iloc[0]
    snapshot = _published(run)
    looked = [] if snapshot is None else _counters(snapshot, run.settings.site_url)
    return WeeklyDigest(
        event_id=f"monitor:digest:{today:%G-W%V}",
        occurred_at=rfc3339(run.as_of),
        city=city.name,
        since=(today - WEEK).isoformat(),
        until=(today - timedelta(days=1)).isoformat(),
        site_url=run.settings.site_url,
        accuracy=_accuracy(run, first, until),
        counters=tuple(looked[:NAMED_COUNTERS]),
        more_counters=len(looked[NAMED_COUNTERS:]),
        models=_models(run, first),
        ahead=() if snapshot is None else _busiest_hours(snapshot, run.as_of),
        events=() if snapshot is None else _events_ahead(snapshot, run.as_of),
        continuations=_continuations(run, snapshot),
        hours=int(counts["hours"]),
        usable=int(counts["usable"]),
        counting=int(counts["counters"]),
        bikes=int(counts["bikes"]),
        history_days=int(history["days"]),
        growth=None if growth is None else _growth(growth.city),
    )


def _growth(city: CityGrowth) -> DigestGrowth:
    found = city.growth.model_dump(exclude={"estimated", "counters"})
    return DigestGrowth(
        now=city.now.isoformat(), days=city.days, whole_year=city.whole_year, **found
    )


def _accuracy(run: MonitorRun, first: datetime, until: datetime) -> DigestAccuracy | None:
    week = _errors(run, first, until)
    if not int(week["pairs"]) or not float(week["bikes"]) > 0:
        return None
    before = _errors(run, first - USUAL, first)
    known = int(before["days"]) >= LEAST_USUAL_DAYS and float(before["bikes"]) > 0
    return DigestAccuracy(
        pairs=int(week["pairs"]),
        mae=round(float(week["errors"]) / int(week["pairs"]), 2),
        wape=round(float(week["errors"]) / float(week["bikes"]), 4),
        usual_wape=round(float(before["errors"]) / float(before["bikes"]), 4) if known else None,
    )


def _errors(run: MonitorRun, first: datetime, until: datetime) -> Any:
    return run.warehouse.query(
        "monitor_usual_error",
        first_hour=first,
        until=until,
        lead_days=SCORED_LEAD_DAYS,
        keep_one_in=1,
        as_of=run.as_of,
        zone=run.settings.city.time_zone,
    ).iloc[0]


def _models(run: MonitorRun, since: datetime) -> tuple[DigestModel, ...]:
    import pandas as pd

    rows = run.warehouse.query("digest_models", since=since, as_of=run.as_of)
    return tuple(
        DigestModel(
            version=None if pd.isna(row["version"]) else int(row["version"]),
            task=row["task"],
            decision=row["decision"],
            old_r2=None if pd.isna(row["old_r2_score"]) else float(row["old_r2_score"]),
            new_r2=None if pd.isna(row["new_r2_score"]) else float(row["new_r2_score"]),
        )
        for row in rows.to_dict("records")
    )


def _published(run: MonitorRun) -> Snapshot | None:
    """Return the published snapshot; None before the first, and when this version cannot read it."""
    objects = Objects(run.settings.project, run.settings.models_bucket)
    try:
        return loads(objects.read(SNAPSHOT).data)
    except ObjectMissing:
        return None
    except EventError as exc:
        log("WARNING", f"digest without forecasts: {exc}", code=exc.code)
        return None


def _counters(snapshot: Snapshot, site_url: str) -> list[DigestCounter]:
    known = {counter.counter_id: counter for counter in snapshot.counters}
    return [
        DigestCounter(
            name=known[found["counter_id"]].counter_name or found["counter_id"],
            url=counter_page_of(found["counter_id"], site_url),
            finding=found["kind"],
            fault=found.get("fault"),
            since=found.get("since"),
            share=found.get("share"),
            usable_share=(found["health"] or {}).get("usable_share"),
        )
        for found in find_conspicuous_counters(snapshot)
        if found["kind"] != "continues"  # these are looked for again
    ]


def _continuations(run: MonitorRun, snapshot: Snapshot | None) -> tuple[DigestContinuation, ...]:
    """Return the counters that may continue others, which a person should confirm."""
    shown = () if snapshot is None else snapshot.counters
    names = {counter.counter_id: counter.counter_name for counter in shown}
    proposed = propose(run.warehouse, run.settings.city, as_of=run.as_of)
    return tuple(
        DigestContinuation(
            counter_id=each.counter_id,
            name=names.get(each.counter_id) or each.counter_id,
            continues=each.continues,
            old_name=names.get(each.continues) or each.continues,
            since=each.began_at.astimezone(run.settings.city.zone).date().isoformat(),
            level_ratio=round(each.level_ratio, 3),
        )
        for each in proposed[:NAMED_COUNTERS]
    )


def _events_ahead(snapshot: Snapshot, as_of: datetime) -> tuple[DigestEvent, ...]:
    zone = ZoneInfo(snapshot.city.time_zone)
    return tuple(
        DigestEvent(
            kind=event.kind,
            what=event.what,
            since=event.since.astimezone(zone).isoformat(),
            until=event.until and event.until.astimezone(zone).isoformat(),
            counters=None if event.counters is None else len(event.counters),
        )
        for event in snapshot.events
        if event.until is None or event.until > as_of
    )[:NAMED_EVENTS]


def _busiest_hours(snapshot: Snapshot, as_of: datetime) -> tuple[DigestHour, ...]:
    """Return the busiest hours to come, one a day at most, in their order."""
    zone = ZoneInfo(snapshot.city.time_zone)
    with_forecast = [c.predicted for c in snapshot.published if c.predicted]
    totals = [(sum(hour), at) for *hour, at in zip(*with_forecast, snapshot.hours, strict=True)]
    busiest: dict[Any, tuple[float, datetime]] = {}
    for bikes, at in totals:
        day = local_date(at, zone)
        if at >= as_of and bikes > busiest.get(day, (0.0, at))[0]:
            busiest[day] = (bikes, at)
    # among hours that are shown with the same number, the earlier ones come first
    chosen = sorted(busiest.values(), key=lambda each: (-round(each[0]), each[1]))[:NAMED_HOURS]
    return tuple(
        DigestHour(at=at.astimezone(zone).isoformat(), bikes=round(bikes))
        for bikes, at in sorted(chosen, key=lambda each: each[1])
    )
