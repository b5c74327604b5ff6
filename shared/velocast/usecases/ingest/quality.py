"""Which stored counts are not to be learned from: outages, and the hour that the clock repeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.datetimes import HOUR
from velocast.core.schemas import COUNTS
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest.notices import tell_out_of_order

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

USUAL_DAYS = 28  # what a counter's usual mean is taken over, before the first hour that is judged
NEWS_DAYS = 14  # an outage that ended before is history when it is found, and no news
DAY = timedelta(days=1)


@dataclass
class Marks:
    """Rows whose quality was changed, and the counters whose outage is news."""

    outage: int = 0
    clock_change: int = 0
    usable_again: int = 0
    out_of_order: list[str] = field(default_factory=list)

    def details(self) -> dict[str, Any]:
        """Return them for the audit row."""
        return vars(self)


def mark(run: Run[FetchSettings], counts: pa.Table) -> Marks:
    """Judge the quality of the stored counts around the hours of `counts` and tell of counters newly out of order.

    Looks at USUAL_DAYS before them, to know what is usual, and at all that follows, for a run of zeros may go on.
    Judging again changes nothing. Raises WarehouseError.
    """
    if not len(counts):
        return Marks()
    changes = _changes(run, *_bounds(run, counts))
    marks = _summary(changes, news_since=run.as_of - NEWS_DAYS * DAY)
    hours = run.settings.thresholds.outage_hours
    tell_out_of_order(
        run,
        "silent",
        marks.out_of_order,
        f"sent nothing but zeros for {hours} hours or more; not learned from until they count again",
    )
    if len(changes):
        _store(run, changes)
    return marks


def _bounds(run: Run[FetchSettings], counts: pa.Table) -> tuple[datetime, datetime]:
    import pyarrow.compute as pc

    first: datetime = pc.min(counts["counted_at"]).as_py()
    # twice an outage's length: a run that comes of age now began there, a few hours missing
    return first - 2 * run.settings.thresholds.outage_hours * HOUR, run.as_of


def _changes(run: Run[FetchSettings], mark_from: datetime, until: datetime) -> pd.DataFrame:
    thresholds = run.settings.thresholds
    look_from = mark_from - USUAL_DAYS * DAY
    return run.warehouse.query_large(
        "mark_quality",
        look_from=look_from,
        mark_from=mark_from,
        until=until,
        outage_hours=thresholds.outage_hours,
        usual_mean=thresholds.outage_usual_mean,
        repeated=repeated_hours(run.settings.city.zone, look_from, until) or Empty("TIMESTAMP"),
    )


def _summary(changes: pd.DataFrame, *, news_since: datetime) -> Marks:
    news = changes["new_outage"].fillna(False).astype(bool) & (changes["counted_at"] >= news_since)
    return Marks(
        outage=int((changes["quality"] == "outage").sum()),
        clock_change=int((changes["quality"] == "clock_change").sum()),
        usable_again=int(changes["quality"].isna().sum()),
        out_of_order=sorted(changes.loc[news, "counter_id"].unique()),
    )


def _store(run: Run[FetchSettings], changes: pd.DataFrame) -> None:
    import pyarrow as pa

    schema = pa.schema(
        [
            ("counter_id", pa.string()),
            ("counted_at", pa.timestamp("us", tz="UTC")),
            ("bike_count", pa.int64()),
            ("quality", pa.string()),
            ("ingested_at", pa.timestamp("us", tz="UTC")),
        ]
    )
    rows = pa.Table.from_pandas(changes[schema.names], schema=schema, preserve_index=False)
    run.warehouse.merge(
        COUNTS,
        rows,
        keys=["counter_id", "counted_at"],
        update=["quality"],
        insert_only=["bike_count", "ingested_at"],
    )


def repeated_hours(zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """Return each UTC hour whose local time comes again in the next hour: the end of summer time."""
    found = []
    day = since.replace(minute=0, second=0, microsecond=0)
    while day < until:
        if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset():
            hours = (day + n * HOUR for n in range(24))
            found += [h for h in hours if _local(h, zone) == _local(h + HOUR, zone)]
        day += DAY
    return found


def _local(hour: datetime, zone: ZoneInfo) -> datetime:
    return hour.astimezone(zone).replace(tzinfo=None)
