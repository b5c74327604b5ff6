"""Counts frozen as Parquet under the hash of their bytes.

Models learn from and are scored on a frozen object, or the table loaded from it, never the live table: the same hash
always means the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from velocast.core import schemas
from velocast.core.datetimes import local_date, origin_of, parse_instant, rfc3339
from velocast.core.errors import TooLittleHistory
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.histories.known import history_tables, read_histories
from velocast.usecases.training.datasets import parquet_objects
from velocast.usecases.training.datasets.count_rows import (
    FIRST_HOUR,
    counts_schema,
    datasets_bucket,
    read_counted,
    store_counts,
)
from velocast.usecases.training.datasets.parquet_objects import ParquetObject, open_checked
from velocast.usecases.training.datasets.windows import DayRange

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_DAYS = 14


class FrozenCounts(Message):
    """One frozen set of counts: object `counts/<sha256>.parquet` of the datasets bucket.

    `first`/`last` are the hours of its first and last usable count (RFC 3339), `rows` all rows, usable or not.
    """

    sha256: str
    uri: str
    rows: int
    first: str
    last: str

    @property
    def table(self) -> str:
        """The table `dataset.table` into which the object is loaded for the features."""
        return counts_table_name(self.sha256)

    def known(self, run: Run[JobSettings]) -> DayRange:
        """Return the city's local days from the first usable count to the last, both included."""
        zone = run.settings.city.zone
        first, last = (local_date(parse_instant(text), zone) for text in (self.first, self.last))
        return DayRange(first=first, until=last + timedelta(days=1))

    def rows_a_day(self, run: Run[JobSettings]) -> float:
        """Return the hours counted on an average day, by all counters, over the days known."""
        return self.rows / self.known(run).days


class BaselineHalf(Message):
    """One half of the baseline, an object of its own under its own hash."""

    sha256: str
    uri: str
    rows: int
    days: DayRange


def freeze_counts(run: Run[JobSettings], tested_on: BaselineHalf | None = None) -> FrozenCounts:
    """Freeze all counts before the run's origin, usable and not, in their table and in their object.

    A counter that another one continues is frozen under that one's id, as far as it is known at the run's time.

    tested_on: the half of a baseline that models are evaluated on. Its days keep the rows it was frozen with, whatever
    the city has corrected or a backfill has added since. Memory does not grow with the counts: BigQuery puts them
    together, and they are read in blocks of counters. Source: `bike_traffic_raw.counts`. Raises TooLittleHistory when
    none is usable.
    """
    city = run.settings.city
    until = origin_of(run.as_of, city.zone)
    kept_from, kept_until = (until, until) if tested_on is None else _bounds(run, tested_on)
    # A sum would be learned from, and scored, beside its parts.
    histories = read_histories(run.warehouse, city, as_of=run.as_of, with_sums=False)
    with (
        _kept(run, tested_on) as kept,
        history_tables(run.warehouse, histories) as by_history,
        run.warehouse.temporary(
            "freeze_counts",
            tables={"kept": kept, "counts": by_history.get("counts", schemas.COUNTS)},
            clustered_by="counter_id",
            first_hour=FIRST_HOUR,
            until=until,
            kept_from=kept_from,
            kept_until=kept_until,
        ) as made,
    ):
        counters = read_counted(run, made)
        first, last = _usable_range(counters, until)
        sha256, uri = store_counts(run, made, counters)
        rows = int(counters["hours"].sum())
        frozen = FrozenCounts(
            sha256=sha256, uri=uri, rows=rows, first=rfc3339(first), last=rfc3339(last)
        )
        _copy(run, frozen, made)
    return frozen


@contextmanager
def _kept(run: Run[JobSettings], half: BaselineHalf | None) -> Iterator[str]:
    """Yield the table that holds the rows of a half of a baseline; the stored counts, if there is none."""
    if half is None:
        yield schemas.COUNTS
        return
    with (
        open_checked(datasets_bucket(run), half) as file,
        run.warehouse.loaded(file, counts_schema()) as table,
    ):
        yield table


def _bounds(run: Run[JobSettings], half: BaselineHalf) -> tuple[datetime, datetime]:
    return half.days.bounds(run.settings.city.zone)


def _copy(run: Run[JobSettings], frozen: FrozenCounts, table: str) -> None:
    run.warehouse.copy_table(
        frozen.table, table, expires_days=TABLE_DAYS, clustered_by="counter_id"
    )


def counts_table_name(sha256: str) -> str:
    """Return the table that frozen counts of this hash are loaded into."""
    return f"{schemas.RAW}.frozen_{sha256[:16]}"


def counts_table(run: Run[JobSettings], frozen: FrozenCounts) -> str:
    """Return the table of frozen counts, loaded again from its object when it has expired.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    if not run.warehouse.table_exists(frozen.table):
        with (
            open_checked(datasets_bucket(run), frozen) as file,
            run.warehouse.loaded(file, counts_schema()) as rows,
        ):
            _copy(run, frozen, rows)
    return frozen.table


def read_frozen(run: Run[JobSettings], frozen: ParquetObject) -> pa.Table:
    """Return a frozen object's rows, for small ones; of counts COLUMNS, sorted by counter and hour.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    return parquet_objects.read(datasets_bucket(run), frozen)


def _usable_range(counters: pd.DataFrame, until: datetime) -> tuple[datetime, datetime]:
    usable = counters[counters["usable"] > 0]
    if usable.empty:
        raise TooLittleHistory(
            f"no usable count before {rfc3339(until)} among {int(counters['hours'].sum())} row(s); "
            "run fetch first, or a backfill"
        )
    return usable["first_at"].min().to_pydatetime(), usable["last_at"].max().to_pydatetime()
