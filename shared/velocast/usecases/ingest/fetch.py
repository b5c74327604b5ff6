"""fetch: what the city published since the last run, stored once, with what cannot be understood put aside; weather.

The window begins at the newest stored hour less an overlap, for cities correct late; so a run after days without an
answer fetches what was missed. Nothing is written before the answer is known to be complete.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import MergeResult
from velocast.adapters.city_sources.opendatasoft import CitySource, Harvest, TimeRange
from velocast.adapters.city_sources.records import CounterRecord, Reject
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import CityError, EventError
from velocast.core.requests import FetchRequest
from velocast.core.schemas import COUNTS, REJECTS
from velocast.core.settings import FetchSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run
from velocast.usecases.ingest import counters as ingest_counters
from velocast.usecases.ingest import quality as ingest_quality
from velocast.usecases.ingest import weather
from velocast.usecases.ingest.notices import report_age

if TYPE_CHECKING:
    import pyarrow as pa

REJECTS_REMEMBERED = timedelta(
    days=400
)  # a city publishes 13 months; what it keeps sending is put aside once
KEY = ("counter_id", "counted_at")


def fetch(request: FetchRequest, run: Run[FetchSettings]) -> list[AuditRow]:
    """Store the city's counts of the window, its counters, its weather and the records that were refused.

    Raises EventError for an unreadable or empty window, CityError when the city gives no complete answer (nothing is
    stored then), WarehouseError.
    """
    before = _newest_stored(run)
    window = _window(request, run, before)
    with CitySource(run.settings.city) as source:
        try:
            harvest = source.read_counts(window, as_of=run.as_of)
        except CityError as exc:
            report_age(run, before, f"the city gave no complete answer: {exc}")
            # the handler flushes what succeeded only, and this age is what an alert waits for
            run.metrics.flush()
            raise
        records, counters_status = _read_counters(source)
    details = _store(run, window, before, harvest, records, counters_status)
    explicit = bool(request.since or request.until)
    hours = weather.Range(window.since or _first(harvest.counts), window.until, explicit)
    details["weather"] = weather.update(run, hours)
    return [_audit_row(run, details)]


def _store(
    run: Run[FetchSettings],
    window: TimeRange,
    before: datetime | None,
    harvest: Harvest,
    records: list[CounterRecord] | None,
    counters_status: str,
) -> dict[str, Any]:
    """Store what the city gave, judge its quality, and return what the audit row says of it."""
    counts, conflicts = settle_duplicates(harvest.counts)
    rejects = harvest.rejects + conflicts
    put_aside = _put_aside(run, window, rejects)
    merged = _merge_counts(run, counts)
    counters = ingest_counters.update(run, counts, records)
    quality = ingest_quality.mark(run, counts)
    newest = max(filter(None, (before, _last(counts))), default=None)
    report_age(run, newest, "the city answered, but has published nothing newer")
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
        "repeated": harvest.counts.num_rows - counts.num_rows - len(conflicts),
        "unknown_fields": harvest.unknown_fields,
        "newest": newest and rfc3339(newest),
        "counters": {"metadata": counters_status, **counters.details()},
        "quality": quality.details(),
    }


def _audit_row(run: Run[FetchSettings], details: dict[str, Any]) -> AuditRow:
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
    """Return the hours to ask for: those of the request, else from the newest stored hour less the overlap."""
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
    """Read the counters' names and places. Counts go on without them, so a failure is reported, not raised."""
    try:
        return source.read_counters(), "read"
    except CityError as exc:
        log("WARNING", f"counters' names and places are not updated: {exc}", code=exc.code)
        return None, f"unavailable: {exc}"


def settle_duplicates(counts: pa.Table) -> tuple[pa.Table, list[Reject]]:
    """Keep one row a counter and hour. Rows that contradict each other are refused, all of them.

    counts: Harvest.counts. Returns counter_id, counted_at and bike_count, and the refused records.
    """
    columns = [*KEY, "bike_count"]
    keys = counts.select(list(KEY)).to_pandas()
    repeated = keys.duplicated(keep=False)
    if not repeated.any():
        return counts.select(columns), []
    rows = counts.select(columns).to_pandas()
    values = rows[repeated].groupby(list(KEY))["bike_count"].transform("nunique")
    conflicting = (values > 1).reindex(rows.index, fill_value=False)
    keep = ~conflicting & ~rows.duplicated(list(KEY))
    lines = counts["line"].filter(conflicting.to_numpy()).to_pylist()
    rejects = [Reject("conflicting_duplicate", line.decode("utf-8", "replace")) for line in lines]
    return counts.select(columns).filter(keep.to_numpy()), rejects


def _merge_counts(run: Run[FetchSettings], counts: pa.Table) -> MergeResult:
    import pyarrow as pa

    rows = counts.append_column("quality", pa.nulls(len(counts), pa.string()))
    stored_at = pa.repeat(pa.scalar(run.as_of, pa.timestamp("us", tz="UTC")), len(counts))
    rows = rows.append_column("ingested_at", stored_at)
    # ingested_at follows a change and makes none; quality is judged afterwards
    return run.warehouse.merge(
        COUNTS, rows, keys=KEY, update=["bike_count"], insert_only=["quality"]
    )


def _put_aside(run: Run[FetchSettings], window: TimeRange, rejects: Sequence[Reject]) -> int:
    """Store the refused records that are not stored yet; return how many."""
    import pyarrow as pa

    if not rejects:
        return 0
    dataset = run.settings.city.counts_dataset
    since = run.as_of - REJECTS_REMEMBERED
    known = set(run.warehouse.query_large("ingest_known_rejects", since=since)["reject_id"])
    found = {reject_id(dataset, reject): reject for reject in rejects}
    rows = [
        {
            "reject_id": key,
            "reason": reject.reason,
            "record": as_json(reject.text),
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
    """Return what names a refused record: the same one from the same data set is the same reject."""
    text = "\n".join((dataset, reject.reason, reject.text))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def as_json(text: str) -> str:
    """Return a refused record as JSON: itself where it is JSON that can be stored, else one JSON string."""
    try:
        canonical = json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False)
        canonical.encode("utf-8")  # an escaped half of a surrogate pair is JSON, but no text
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
