"""Mark the stored counts that are not used: outages, merged clock-change hours, suspect and refused counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.clock_changes import repeated_hours
from velocast.core.datetimes import HOUR
from velocast.core.schemas import COUNTS, arrow
from velocast.core.settings import FetchSettings, Thresholds
from velocast.usecases.context import Run
from velocast.usecases.ingest.notices import publish_faulty_counters

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LEVEL_DAYS = 365  # days over which a counter's credible level is learned, and suspect counts are judged again
USUAL_DAYS = 28  # days before the first marked hour over which a counter's usual mean is computed
NEWS_DAYS = 14  # an older outage, found in a backfill, raises no notice
DAY = timedelta(days=1)
QUALITIES = ("outage", "clock_change", "suspect", "refused")


@dataclass
class QualityChanges:
    """Numbers of rows whose quality changed (named as in the audit row).

    out_of_order: counters with a new outage. suspects: counters with new suspect counts, and the highest of each.
    """

    outage: int = 0
    clock_change: int = 0
    suspect: int = 0
    refused: int = 0
    usable_again: int = 0
    out_of_order: list[str] = field(default_factory=list)
    suspects: dict[str, int] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return the changes for the audit row."""
        return vars(self)


def mark_quality(run: Run[FetchSettings], counts: pa.Table) -> QualityChanges:
    """Mark the quality of the stored counts around the hours of `counts`; publish notices about new faults.

    Suspect counts of the last LEVEL_DAYS are judged again. Marking again changes nothing. Raises WarehouseError.
    """
    if not len(counts):
        return QualityChanges()
    mark_from, until = _bounds(run, counts)
    changes = find_changes(
        run.warehouse, run.settings.city, run.settings.thresholds, mark_from=mark_from, until=until
    )
    marks = _summary(changes, news_since=run.as_of - NEWS_DAYS * DAY)
    hours = run.settings.thresholds.outage_hours
    publish_faulty_counters(
        run,
        "silent",
        marks.out_of_order,
        f"reported only zeros for {hours} hours or more; excluded from training until they count again",
    )
    publish_faulty_counters(
        run,
        "suspect",
        [f"{counter} ({count:,} in an hour)" for counter, count in marks.suspects.items()],
        "counted more than is credible for them; excluded unless `velocast counts accept COUNTER HOUR` says otherwise",
    )
    store_changes(run.warehouse, changes)
    return marks


def _bounds(run: Run[FetchSettings], counts: pa.Table) -> tuple[datetime, datetime]:
    import pyarrow.compute as pc

    first: datetime = pc.min(counts["counted_at"]).as_py()
    # twice an outage's length: a run of zeros that becomes an outage now may contain missing hours
    return first - 2 * run.settings.thresholds.outage_hours * HOUR, run.as_of


def find_changes(
    warehouse: Warehouse,
    city: City,
    thresholds: Thresholds,
    *,
    mark_from: datetime,
    until: datetime,
    counts_table: str | None = None,
) -> pd.DataFrame:
    """Return the rows of [mark_from, until) whose stored quality is wrong, with the right one in `quality`.

    Columns: counter_id, counted_at, bike_count, ingested_at, quality, new_outage. Reads USUAL_DAYS before to learn each
    counter's usual mean, and LEVEL_DAYS before `until` to learn its credible level; suspect counts are judged in all of
    that. A verdict outranks every rule. counts_table: dataset.table to read instead of the counts. Raises
    WarehouseError. Source: `bike_traffic_raw.counts`, `bike_traffic_raw.verdicts`.
    """
    tables = {"counts": counts_table} if counts_table else None
    look_from = mark_from - USUAL_DAYS * DAY
    by_person = warehouse.query_large(
        "mark_verdicts", tables=tables, mark_from=mark_from, until=until
    )
    by_rule = warehouse.query_large(
        "mark_quality",
        tables=tables,
        look_from=look_from,
        mark_from=mark_from,
        until=until,
        outage_hours=thresholds.outage_hours,
        usual_mean=thresholds.outage_usual_mean,
        repeated=repeated_hours(city.zone, look_from, until) or Empty("TIMESTAMP"),
    )
    by_level = warehouse.query_large(
        "mark_suspect",
        tables=tables,
        look_from=min(mark_from, until - LEVEL_DAYS * DAY),
        until=until,
        zone=city.time_zone,
        spike_factor=thresholds.spike_factor,
        spike_margin=thresholds.spike_margin,
        spike_days=thresholds.spike_days,
    )
    found = [part for part in (by_person, by_rule, by_level) if len(part)]
    if not found:
        return by_person
    import pandas as pd

    return pd.concat(found, ignore_index=True).drop_duplicates(["counter_id", "counted_at"])


def _summary(changes: pd.DataFrame, *, news_since: datetime) -> QualityChanges:
    recent = changes["counted_at"] >= news_since
    outages = changes["new_outage"].fillna(False).astype(bool) & recent
    suspects = changes[(changes["quality"] == "suspect") & recent]
    highest = suspects.groupby("counter_id")["bike_count"].max().sort_index()
    named = {name: int((changes["quality"] == name).sum()) for name in QUALITIES}
    return QualityChanges(
        **named,
        usable_again=int(changes["quality"].isna().sum()),
        out_of_order=sorted(changes.loc[outages, "counter_id"].unique()),
        suspects={str(counter): int(count) for counter, count in highest.items()},
    )


def store_changes(warehouse: Warehouse, changes: pd.DataFrame) -> None:
    """Store the quality of the rows of `find_changes`. Raises WarehouseError."""
    import pyarrow as pa

    if not len(changes):
        return
    schema = arrow(COUNTS)
    rows = pa.Table.from_pandas(changes[schema.names], schema=schema, preserve_index=False)
    warehouse.merge(
        COUNTS,
        rows,
        keys=["counter_id", "counted_at"],
        update=["quality"],
        insert_only=["bike_count", "ingested_at"],
    )
