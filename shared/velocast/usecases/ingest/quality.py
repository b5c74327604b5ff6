"""Mark the stored counts that are excluded from training: outages, and the hour repeated when summer time ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.clock_changes import repeated_hours
from velocast.core.datetimes import HOUR
from velocast.core.schemas import COUNTS, arrow
from velocast.core.settings import FetchSettings
from velocast.usecases.context import Run
from velocast.usecases.ingest.notices import publish_faulty_counters

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

USUAL_DAYS = 28  # days before the first marked hour over which a counter's usual mean is computed
NEWS_DAYS = 14  # an older outage, found in a backfill, raises no notice
DAY = timedelta(days=1)


@dataclass
class QualityChanges:
    """Numbers of rows whose quality changed, and ids of the counters with a new outage (named as in the audit row)."""

    outage: int = 0
    clock_change: int = 0
    usable_again: int = 0
    out_of_order: list[str] = field(default_factory=list)

    def details(self) -> dict[str, Any]:
        """Return the changes for the audit row."""
        return vars(self)


def mark_quality(run: Run[FetchSettings], counts: pa.Table) -> QualityChanges:
    """Mark the quality of the stored counts around the hours of `counts` and publish a notice about new outages.

    Reads USUAL_DAYS before those hours to learn each counter's usual mean, and everything after them, because a run of
    zeros may continue. Marking again changes nothing. Raises WarehouseError.
    """
    if not len(counts):
        return QualityChanges()
    changes = _changes(run, *_bounds(run, counts))
    marks = _summary(changes, news_since=run.as_of - NEWS_DAYS * DAY)
    hours = run.settings.thresholds.outage_hours
    publish_faulty_counters(
        run,
        "silent",
        marks.out_of_order,
        f"reported only zeros for {hours} hours or more; excluded from training until they count again",
    )
    if len(changes):
        _store(run, changes)
    return marks


def _bounds(run: Run[FetchSettings], counts: pa.Table) -> tuple[datetime, datetime]:
    import pyarrow.compute as pc

    first: datetime = pc.min(counts["counted_at"]).as_py()
    # twice an outage's length: a run of zeros that becomes an outage now may contain missing hours
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


def _summary(changes: pd.DataFrame, *, news_since: datetime) -> QualityChanges:
    news = changes["new_outage"].fillna(False).astype(bool) & (changes["counted_at"] >= news_since)
    return QualityChanges(
        outage=int((changes["quality"] == "outage").sum()),
        clock_change=int((changes["quality"] == "clock_change").sum()),
        usable_again=int(changes["quality"].isna().sum()),
        out_of_order=sorted(changes.loc[news, "counter_id"].unique()),
    )


def _store(run: Run[FetchSettings], changes: pd.DataFrame) -> None:
    import pyarrow as pa

    schema = arrow(COUNTS)
    rows = pa.Table.from_pandas(changes[schema.names], schema=schema, preserve_index=False)
    run.warehouse.merge(
        COUNTS,
        rows,
        keys=["counter_id", "counted_at"],
        update=["quality"],
        insert_only=["bike_count", "ingested_at"],
    )
