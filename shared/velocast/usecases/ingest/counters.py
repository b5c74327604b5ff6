"""The table of counters: the city's description of each counter, and when it was first and last seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.records import CounterRecord
from velocast.core.geo import distance_km
from velocast.core.notices import CounterFault
from velocast.core.schemas import COUNTERS, arrow
from velocast.core.settings import FetchSettings
from velocast.core.telemetry import log
from velocast.usecases.context import Run
from velocast.usecases.ingest.notices import publish_faulty_counters, read_links

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOVED_KM = 0.05


@dataclass(frozen=True)
class StoredCounter:
    """One row of `bike_traffic_raw.counters`."""

    counter_id: str
    counter_name: str | None = None
    site_id: str | None = None
    site_name: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    installed_on: date | None = None
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    moved_at: datetime | None = None


@dataclass
class CounterChanges:
    """Ids of the counters that changed. `without_counts` is how many the city describes without publishing counts."""

    new: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    outside_city: list[str] = field(default_factory=list)
    without_counts: int = 0

    def details(self) -> dict[str, Any]:
        """Return the changes for the audit row. New counters are only counted: in a first run every counter is new."""
        return asdict(self) | {"new": len(self.new)}


def update_counters(
    run: Run[FetchSettings], counts: pa.Table, records: Sequence[CounterRecord] | None
) -> CounterChanges:
    """Update the table of counters and publish a notice about those that moved.

    counts: counter_id and counted_at of the rows just stored. records: the city's description of its counters; None
    when it is unavailable. Raises WarehouseError.
    """
    stored = _read(run.warehouse.query("ingest_counters"))
    rows, changes = updated_rows(stored, records or (), seen_hours(counts), run.as_of)
    if changes.outside_city:
        log(
            "WARNING",
            "counters outside the city's bounding box",
            counters=changes.outside_city[:20],
        )
    reason = f"moved more than {1000 * MOVED_KM:g} m; the new position is stored"
    named = read_links(run) if changes.moved else str
    moved = [named(each) for each in changes.moved]
    faults = [CounterFault(counter=each, kind="moved") for each in moved]
    publish_faulty_counters(run, "moved", moved, faults, reason)
    if rows:
        run.warehouse.merge(COUNTERS, _table(rows), keys=["counter_id"])
    return changes


def updated_rows(
    stored: Mapping[str, StoredCounter],
    records: Sequence[CounterRecord],
    seen: Mapping[str, tuple[datetime, datetime]],
    as_of: datetime,
) -> tuple[list[StoredCounter], CounterChanges]:
    """Return the rows to store, sorted by id, and the changes in them.

    A counter gets a row once it has counts. A missing value, or a position outside the city's bounding box, never
    replaces a stored one. seen: first and last hour just stored, by id. as_of: stored as `moved_at` of moved counters.
    """
    changes = CounterChanges()
    described = {record.counter_id: record for record in records}
    rows = []
    for counter_id in sorted(stored.keys() | seen.keys()):
        row = stored.get(counter_id) or StoredCounter(counter_id)
        if counter_id not in stored:
            changes.new.append(counter_id)
        if record := described.pop(counter_id, None):
            row = _described(row, record, changes, as_of)
        rows.append(_with_seen_hours(row, seen.get(counter_id)))
    changes.without_counts = len(described)
    return rows, changes


def _described(
    row: StoredCounter, record: CounterRecord, changes: CounterChanges, as_of: datetime
) -> StoredCounter:
    if record.outside_city:
        changes.outside_city.append(row.counter_id)
    if row.counter_name and record.counter_name and row.counter_name != record.counter_name:
        changes.renamed.append(row.counter_id)
    if _moved_km(row, record) > MOVED_KM:
        changes.moved.append(row.counter_id)
        row = replace(row, moved_at=as_of)
    published = {name: value for name, value in record._asdict().items() if value is not None}
    published.pop("outside_city")
    return replace(row, **published)


def _moved_km(row: StoredCounter, record: CounterRecord) -> float:
    """Return the distance from the stored to the new position in km; 0 when either is unknown."""
    if row.latitude is None or row.longitude is None:
        return 0.0
    if record.latitude is None or record.longitude is None:
        return 0.0
    return distance_km((row.latitude, row.longitude), (record.latitude, record.longitude))


def _with_seen_hours(row: StoredCounter, hours: tuple[datetime, datetime] | None) -> StoredCounter:
    if hours is None:
        return row
    first = min(filter(None, (row.first_seen_at, hours[0])))
    return replace(
        row, first_seen_at=first, last_seen_at=max(filter(None, (row.last_seen_at, hours[1])))
    )


def seen_hours(counts: pa.Table) -> dict[str, tuple[datetime, datetime]]:
    """Return each counter's first and last hour in `counts`."""
    hours = [("counted_at", "min"), ("counted_at", "max")]
    rows = counts.group_by("counter_id").aggregate(hours).to_pylist()
    return {r["counter_id"]: (r["counted_at_min"], r["counted_at_max"]) for r in rows}


def _read(frame: pd.DataFrame) -> dict[str, StoredCounter]:
    import pandas as pd

    rows = (
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    )
    return {str(row["counter_id"]): StoredCounter(**row) for row in rows}  # type: ignore[arg-type]


def _table(rows: Sequence[StoredCounter]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist([asdict(row) for row in rows], schema=arrow(COUNTERS))
