"""Mark the stored counts that are not used: faults, merged clock-change hours, suspect and refused counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City
from velocast.core.clock_changes import repeated_hours
from velocast.core.notices import CounterFault
from velocast.core.schemas import COUNTS, arrow
from velocast.core.settings import FetchSettings, Thresholds
from velocast.usecases.context import Run
from velocast.usecases.ingest import closures, fault_news
from velocast.usecases.ingest.faults import (
    DAY,
    JUDGED_DAYS,
    STORED_AT_ONCE,
    FaultChanges,
    find_fault_changes,
)
from velocast.usecases.ingest.notices import publish_faulty_counters, read_links

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from velocast.model.faults.episodes import Episode
    from velocast.model.known_hours import KnownHours

KEY = ("counter_id", "counted_at")
LEVEL_DAYS = 365  # days over which a counter's credible level is learned, and suspect counts are judged again
NEWS_DAYS = 14  # an older suspect count, found in a backfill, raises no notice


@dataclass
class QualityChanges:
    """Rows whose quality changed (named as in the audit row).

    marked: how many got each quality. usable_again: how many have none now. suspects: counters with new suspect counts,
    and the highest of each. faults: the recent episodes, which the next run compares with its own. new_faults, over:
    those of them that are news.
    """

    marked: dict[str, int] = field(default_factory=dict)
    usable_again: int = 0
    suspects: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    new_faults: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    def details(self) -> dict[str, Any]:
        """Return the changes for the audit row."""
        return vars(self)

    def add(self, changes: pd.DataFrame) -> None:
        """Count changes."""
        marked = Counter(self.marked) + Counter(changes["quality"].dropna())
        self.marked = dict(sorted(marked.items()))
        self.usable_again += int(changes["quality"].isna().sum())


def mark_quality(run: Run[FetchSettings], counts: pa.Table) -> QualityChanges:
    """Mark the quality of the stored counts around the hours of `counts`; publish notices about faults.

    The last JUDGED_DAYS are judged again, and suspect counts of the last LEVEL_DAYS. Marking again changes nothing.
    Raises WarehouseError.
    """
    import pyarrow.compute as pc

    if not len(counts):
        return QualityChanges()
    return mark_quality_from(run, pc.min(counts["counted_at"]).as_py())


def mark_quality_from(run: Run[FetchSettings], first: datetime) -> QualityChanges:
    """Mark the quality of the stored counts from `first` on, as `mark_quality` does."""
    search = search_changes(
        run.warehouse,
        run.settings.city,
        run.settings.thresholds,
        # the day before too: a fault that is found now may have begun then
        mark_from=min(first - DAY, run.as_of - JUDGED_DAYS * DAY),
        until=run.as_of,
    )
    marks = _summary(search.ruled, news_since=run.as_of - NEWS_DAYS * DAY)
    episodes: list[Episode] = []
    waiting = [search.ruled]
    for part in search.faults:
        episodes += part.episodes
        marks.add(part.rows)
        waiting.append(part.rows)
        if sum(map(len, waiting[1:])) >= STORED_AT_ONCE:
            # what people are told of faults does not depend on it: another try finds the same episodes
            store_changes(run.warehouse, _joined(waiting[1:]), learned_at=run.as_of)
            del waiting[1:]
    news = fault_news.compare_faults(run, episodes, search.known)
    marks.faults, marks.new_faults, marks.over = news.recent, news.begun, news.over
    fault_news.publish_fault_news(run, news)
    named = read_links(run) if marks.suspects else str
    publish_faulty_counters(
        run,
        "suspect",
        [f"{named(counter)} ({count:,} in an hour)" for counter, count in marks.suspects.items()],
        [
            CounterFault(counter=named(counter), kind="suspect", count=count)
            for counter, count in marks.suspects.items()
        ],
        "counted more than is credible for them; excluded unless `velocast counts accept COUNTER HOUR` says otherwise",
    )
    store_changes(run.warehouse, _joined(waiting), learned_at=run.as_of)
    return marks


@dataclass(frozen=True)
class FoundChanges:
    """rows: counter_id, counted_at, bike_count, ingested_at and the right quality. episodes: all that were found.

    known: the judged hours that events and closures explain.
    """

    rows: pd.DataFrame
    episodes: list[Episode]
    known: list[KnownHours] = field(default_factory=list)


@dataclass(frozen=True)
class ChangeSearch:
    """ruled: rows, as in `FoundChanges`, on which a person, a closure, the clock or the counter's level decides.

    faults: what the detector finds, part after part, without the hours of `ruled`. known: as of `FoundChanges`.
    """

    ruled: pd.DataFrame
    known: list[KnownHours]
    faults: Iterator[FaultChanges]

    def all(self) -> FoundChanges:
        """Return the rows and episodes of all parts at once. Raises WarehouseError."""
        parts = list(self.faults)
        rows = _joined([self.ruled, *(part.rows for part in parts)])
        return FoundChanges(rows, [each for part in parts for each in part.episodes], self.known)


def search_changes(
    warehouse: Warehouse,
    city: City,
    thresholds: Thresholds,
    *,
    mark_from: datetime,
    until: datetime,
    counts_table: str | None = None,
    counters: pd.DataFrame | None = None,
) -> ChangeSearch:
    """Look for the rows of [mark_from, until) whose stored quality is wrong, and the episodes of faults.

    Reads LEVEL_DAYS before `until` to learn each counter's credible level; suspect counts are judged in all of that. A
    verdict outranks every rule, and a closure what detectors say. counts_table: dataset.table to read instead of the
    counts. counters: counter_id, counter_name, latitude and longitude, to find those that events concern; default: the
    stored ones. Raises WarehouseError, also where the parts are asked for.
    Source: `bike_traffic_raw.counts`, `bike_traffic_raw.verdicts`.
    """
    tables = {"counts": counts_table} if counts_table else None
    from velocast.model.known_hours import explains

    by_person = warehouse.query_large(
        "mark_verdicts", tables=tables, mark_from=mark_from, until=until
    )
    known = closures.read_known_hours(warehouse, city, counters)
    ended = closures.read_ended(warehouse, city, as_of=until)
    by_clock = warehouse.query_large(
        "mark_clock_change",
        tables=tables,
        mark_from=mark_from,
        until=until,
        repeated=repeated_hours(city.zone, mark_from, until) or Empty("TIMESTAMP"),
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
    by_level = by_level[~(explains(known, by_level) & by_level["quality"].notna())]
    by_closure = closures.find_closed(
        warehouse,
        known,
        look_from=min(mark_from, until - LEVEL_DAYS * DAY),
        until=until,
        tables=tables,
    )
    ruled = _joined([by_person, by_closure, by_clock, by_level]).drop_duplicates(list(KEY))
    judged, faults = find_fault_changes(
        warehouse,
        city,
        mark_from=mark_from,
        until=until,
        known=[*known, *ended],
        counts_table=counts_table,
    )
    return ChangeSearch(ruled, judged, _without(faults, ruled))


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all parts; the first part where none has any."""
    import pandas as pd

    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True) if found else parts[0]


def _without(faults: Iterator[FaultChanges], ruled: pd.DataFrame) -> Iterator[FaultChanges]:
    import pandas as pd

    keys = pd.MultiIndex.from_frame(ruled[list(KEY)])
    for part in faults:
        rows = part.rows
        if len(rows) and len(keys):
            rows = rows[~pd.MultiIndex.from_frame(rows[list(KEY)]).isin(keys)]
        yield FaultChanges(rows, part.episodes)


def _summary(ruled: pd.DataFrame, *, news_since: datetime) -> QualityChanges:
    recent = ruled["counted_at"] >= news_since
    suspects = ruled[(ruled["quality"] == "suspect") & recent]
    highest = suspects.groupby("counter_id")["bike_count"].max().sort_index()
    summary = QualityChanges(
        suspects={str(counter): int(count) for counter, count in highest.items()}
    )
    summary.add(ruled)
    return summary


def store_changes(warehouse: Warehouse, changes: pd.DataFrame, *, learned_at: datetime) -> None:
    """Store the quality of the rows of `search_changes`, found at `learned_at`. Raises WarehouseError."""
    import pyarrow as pa

    if not len(changes):
        return
    schema = arrow(COUNTS)
    rows = pa.Table.from_pandas(changes[schema.names], schema=schema, preserve_index=False)
    warehouse.merge(
        COUNTS,
        rows,
        keys=KEY,
        update=["quality"],
        insert_only=["bike_count", "ingested_at"],
        history=Remembering(learned_at),
    )
