"""fetch: store what the city has published since the last run, set invalid records aside, and store the weather.

The window begins before the newest stored hour, because cities publish late corrections. A run after days of failures
therefore fetches everything that was missed. Nothing is written until the city's answer is known to be complete. Every
write can be repeated: if BigQuery fails in the middle, the message is delivered again and the next run completes it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.merge import MergeResult
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.city_sources.reading import Harvest
from velocast.adapters.city_sources.records import CounterRecord, Reject
from velocast.adapters.city_sources.source import CitySource, name_of
from velocast.adapters.city_sources.transport import TimeRange
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import CityError, EventError
from velocast.core.requests import FetchRequest
from velocast.core.schemas import COUNTS, REJECTS
from velocast.core.settings import FetchSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run
from velocast.usecases.ingest import counters as ingest_counters
from velocast.usecases.ingest import gaps as ingest_gaps
from velocast.usecases.ingest import quality as ingest_quality
from velocast.usecases.ingest import weather
from velocast.usecases.ingest.faults import STORED_AT_ONCE
from velocast.usecases.ingest.notices import report_age

if TYPE_CHECKING:
    import pyarrow as pa

REJECT_LOOKBACK = timedelta(
    days=400
)  # a city publishes 13 months; a record that is sent again and again is stored once
KEY = ("counter_id", "counted_at")


def fetch_city_data(request: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
    """Store the city's counts of the window, its counters, its weather and the rejected records.

    Raises EventError when the window is invalid or empty, CityError when the city's answer is incomplete (nothing is
    stored then), WarehouseError.
    """
    before = _newest_stored(run)
    window = _window(request, run, before)
    source = CitySource(run.settings.city, token_file=run.settings.city_token_file)
    try:
        harvest = source.read_counts(window, as_of=run.as_of)
    except CityError as exc:
        report_age(run, before, f"the city's answer was incomplete: {exc}")
        # the handler flushes gauges only after success, but an alert depends on this age
        run.metrics.flush()
        raise
    records, counters_status = _read_counters(source)
    details = _store(run, window, before, harvest, records, counters_status)
    explicit = bool(request.since or request.until)
    hours = weather.WeatherRange(window.since or _first(harvest.counts), window.until, explicit)
    details["weather"] = weather.update_weather(run, hours)
    return [audit_row(run, details)]


def _store(
    run: Run[FetchSettings],
    window: TimeRange,
    before: datetime | None,
    harvest: Harvest,
    records: list[CounterRecord] | None,
    counters_status: str,
) -> dict[str, Any]:
    """Store the city's records, mark their quality, and return the details for the audit row."""
    counts, rejects = harvest.counts, harvest.rejects
    put_aside = store_rejects(run, window, rejects)
    merged = merge_counts(run, counts)
    counters = ingest_counters.update_counters(run, counts, records)
    quality = ingest_quality.mark_quality(run, counts)
    rebuilt = ingest_gaps.rebuild_recent_gaps(run)
    newest = max(filter(None, (before, _last(counts))), default=None)
    report_age(run, newest, "the city answered but has published no newer counts")
    run.metrics.set("bike/records_ingested", merged.inserted + merged.updated)
    run.metrics.set("bike/records_rejected", len(rejects))
    return {
        "since": window.since and rfc3339(window.since),
        "until": rfc3339(window.until),
        "fetched": harvest.fetched,
        "inserted": merged.inserted,
        "updated": merged.updated,
        "unchanged": merged.unchanged,
        "rejected": len(rejects),
        "rejected_by_reason": dict(sorted(Counter(r.reason for r in rejects).items())),
        "rejects_stored": put_aside,
        "repeated": harvest.doubles,
        "unknown_fields": harvest.unknown_fields,
        "newest": newest and rfc3339(newest),
        "counters": {"metadata": counters_status, **counters.details()},
        "quality": quality.details(),
        "gaps": rebuilt.details(),
    }


def audit_row(run: Run[FetchSettings], details: dict[str, Any]) -> AuditRow:
    """Return the audit row of an ingestion."""
    return AuditRow(
        event_id=f"{run.runtime.component}:{run.execution_id}:ingestion",
        timestamp=run.as_of,
        event_type="INGESTION",
        as_of=run.as_of,
        execution_id=run.execution_id,
        details=details,
    )


def _newest_stored(run: Run[FetchSettings]) -> datetime | None:
    import pandas as pd

    newest = run.warehouse.query("ingest_newest", as_of=run.as_of)["newest"].iloc[0]
    return None if pd.isna(newest) else newest.to_pydatetime()


def _window(request: FetchRequest, run: Run[FetchSettings], newest: datetime | None) -> TimeRange:
    """Return the hours to fetch: those requested, or by default from `overlap_days` before the newest stored hour."""
    until = parse_instant(request.until, name="until") if request.until else run.as_of
    until = min(until, run.as_of)
    if request.since:
        since: datetime | None = parse_instant(request.since, name="since")
    elif request.until or newest is None:
        since = None
    else:
        since = newest - timedelta(days=run.settings.thresholds.overlap_days)
    if since is not None and since >= until:
        raise EventError(
            f"since {rfc3339(since)} is not before until {rfc3339(until)}; the window would be empty"
        )
    return TimeRange(since, until)


def _read_counters(source: CitySource) -> tuple[list[CounterRecord] | None, str]:
    """Read the counters' names and positions. Counts do not depend on them, so a failure is logged and not raised."""
    try:
        return source.read_counters(), "read"
    except CityError as exc:
        log("WARNING", f"counter names and positions not updated: {exc}", code=exc.code)
        return None, f"unavailable: {exc}"


def merge_counts(run: Run[FetchSettings], counts: pa.Table) -> MergeResult:
    """Store counts, and remember what they change. Raises WarehouseError."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # whether only one of two repeated hours is there, is known only with those stored before (`mark_quality`)
    told = pc.if_else(pc.equal(counts["quality"], "clock_change"), None, counts["quality"])
    rows = counts.set_column(counts.schema.get_field_index("quality"), "quality", told)
    stored_at = pa.repeat(pa.scalar(run.as_of, pa.timestamp("us", tz="UTC")), len(counts))
    rows = rows.append_column("ingested_at", stored_at)
    # no two rows are of one hour of a counter, so neither are two parts
    parts = [rows.slice(first, STORED_AT_ONCE) for first in range(0, len(rows), STORED_AT_ONCE)]
    # a new ingested_at alone does not update a row; of marks, a fetch replaces only those that a fetch sets
    return run.warehouse.merge(
        COUNTS,
        parts,
        keys=KEY,
        update=["bike_count", "quality"],
        replaced={"quality": ("incomplete", "flagged")},
        history=Remembering(run.as_of),
    )


def store_rejects(run: Run[FetchSettings], window: TimeRange, rejects: Sequence[Reject]) -> int:
    """Store the rejected records that are not stored yet and return their number."""
    import pyarrow as pa

    if not rejects:
        return 0
    dataset = name_of(run.settings.city.counts.source)
    since = run.as_of - REJECT_LOOKBACK
    known = set(run.warehouse.query_large("ingest_known_rejects", since=since)["reject_id"])
    found = {reject_id(dataset, reject): reject for reject in rejects}
    rows = [
        {
            "reject_id": key,
            "reason": reject.reason,
            "record": reject_as_json(reject.text),
            "source": f"{dataset} {window}",
            "ingested_at": run.as_of,
        }
        for key, reject in found.items()
        if key not in known
    ]
    return (
        run.warehouse.append_once(REJECTS, pa.Table.from_pylist(rows), "reject_id") if rows else 0
    )


def reject_id(dataset: str, reject: Reject) -> str:
    """Return the id of a rejected record: the same record of the same data set has the same id."""
    text = "\n".join((dataset, reject.reason, reject.text))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def reject_as_json(text: str) -> str:
    """Return a rejected record as JSON: the record itself if it is JSON that can be stored, else a JSON string."""
    try:
        canonical = json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False)
        canonical.encode("utf-8")  # an escaped lone surrogate is valid JSON but cannot be encoded
    except (ValueError, RecursionError):
        return json.dumps(text)
    return canonical


def _first(counts: pa.Table) -> datetime | None:
    import pyarrow.compute as pc

    first: datetime | None = pc.min(counts["counted_at"]).as_py()
    return first


def _last(counts: pa.Table) -> datetime | None:
    import pyarrow.compute as pc

    last: datetime | None = pc.max(counts["counted_at"]).as_py()
    return last
