"""Counts frozen as Parquet under the hash of their bytes.

Models learn from and are scored on a frozen object, or the table loaded from it, never the live table: the same hash
always means the same rows.
"""

from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.datetimes import local_date, origin_of, parse_instant, rfc3339
from velocast.core.errors import ModelUnusable, TooLittleHistory
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.histories.known import history_tables, read_histories
from velocast.usecases.training.datasets.windows import DayRange

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("counter_id", "counted_at", "bike_count", "quality")
FOLDER = "counts"
PARQUET_TYPE = "application/vnd.apache.parquet"
TABLE_DAYS = 14
FIRST_COUNT = (
    "2000-01-01 00:00:00+00"  # a partition bound is required, and no city counted bikes before
)


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
    """Freeze all counts before the run's origin, usable and not, and load them into their table.

    Counters that are continued by others are frozen under these, as far as the run's time knows of it.

    tested_on: the half of a baseline that models are evaluated on. Its days keep the rows it was frozen with, whatever
    the city has corrected or a backfill has added since. Source: `bike_traffic_raw.counts`. Raises TooLittleHistory
    when none is usable.
    """
    city = run.settings.city
    until = origin_of(run.as_of, city.zone)
    # A sum would be learned from, and scored, beside its parts.
    histories = read_histories(run.warehouse, city, as_of=run.as_of, with_sums=False)
    with history_tables(run.warehouse, histories) as tables:
        rows = run.warehouse.read(
            tables.get("counts", schemas.COUNTS),
            columns=COLUMNS,
            where=f"counted_at >= '{FIRST_COUNT}' AND counted_at < '{sql_instant(until)}'",
        )
    rows = sorted_counts(rows if tested_on is None else _with_half(run, rows, tested_on, until))
    first, last = _usable_range(rows, until)
    sha256, uri = store_frozen(run, rows)
    frozen = FrozenCounts(
        sha256=sha256, uri=uri, rows=rows.num_rows, first=rfc3339(first), last=rfc3339(last)
    )
    run.warehouse.load_table(frozen.table, rows, expires_days=TABLE_DAYS)
    return frozen


def _with_half(
    run: Run[JobSettings], rows: pa.Table, half: BaselineHalf, until: datetime
) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    others = rows.filter(pc.invert(in_days(run, rows, half.days)))
    kept = read_frozen(run, half).select(COLUMNS)
    kept = kept.filter(pc.less(kept["counted_at"], until))  # when a past day is trained again
    return pa.concat_tables([others.select(COLUMNS).cast(kept.schema), kept])


def in_days(run: Run[JobSettings], rows: pa.Table, days: DayRange) -> pa.ChunkedArray:
    """Tell for each row whether its hour lies in the local days."""
    import pyarrow.compute as pc

    first, until = days.bounds(run.settings.city.zone)
    return pc.and_(pc.greater_equal(rows["counted_at"], first), pc.less(rows["counted_at"], until))


def counts_table_name(sha256: str) -> str:
    """Return the table that frozen counts of this hash are loaded into."""
    return f"{schemas.RAW}.frozen_{sha256[:16]}"


def counts_table(run: Run[JobSettings], frozen: FrozenCounts) -> str:
    """Return the table of frozen counts, loaded again from its object when it has expired.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    if not run.warehouse.table_exists(frozen.table):
        rows = read_frozen(run, frozen)
        run.warehouse.load_table(frozen.table, rows, expires_days=TABLE_DAYS)
    return frozen.table


class FrozenObject(Protocol):
    """Any record of a frozen object: the hash of its bytes, and where it is."""

    @property
    def sha256(self) -> str:
        """Hash of its bytes."""

    @property
    def uri(self) -> str:
        """Its gs:// address."""


def read_frozen(run: Run[JobSettings], frozen: FrozenObject) -> pa.Table:
    """Return a frozen object's rows; of counts COLUMNS, sorted by counter and hour.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    import pyarrow.parquet as pq

    bucket = datasets_bucket(run)
    data = bucket.read(frozen.uri.removeprefix(bucket.uri(""))).data
    found = hashlib.sha256(data).hexdigest()
    if found != frozen.sha256:
        raise ModelUnusable(
            f"{frozen.uri} has SHA-256 {found}; it was frozen as {frozen.sha256}: restore the object"
        )
    return pq.read_table(io.BytesIO(data))


def store_frozen(run: Run[JobSettings], rows: pa.Table, *, folder: str = FOLDER) -> tuple[str, str]:
    """Write rows into a folder under the hash of their Parquet bytes; return (sha256, uri)."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    # No Arrow schema in the file: its bytes then follow from the rows and the writer's version alone.
    pq.write_table(rows, file, compression="zstd", store_schema=False)
    data = file.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    bucket = datasets_bucket(run)
    name = f"{folder}/{sha256}.parquet"
    bucket.write_once(name, data, PARQUET_TYPE)
    return sha256, bucket.uri(name)


def sorted_counts(rows: pa.Table) -> pa.Table:
    """Return the rows sorted by counter and hour, in COLUMNS' types, however they were read."""
    ordered = rows.select(list(COLUMNS)).cast(schemas.arrow(schemas.COUNTS, COLUMNS))
    return ordered.sort_by(
        [("counter_id", "ascending"), ("counted_at", "ascending")]
    ).combine_chunks()


def _usable_range(rows: pa.Table, until: datetime) -> tuple[datetime, datetime]:
    import pyarrow.compute as pc

    usable = rows.filter(pc.is_null(rows["quality"]))
    if usable.num_rows == 0:
        raise TooLittleHistory(
            f"no usable count before {rfc3339(until)} among {rows.num_rows} row(s); run fetch first, or a backfill"
        )
    ends = pc.min_max(usable["counted_at"]).as_py()
    return ends["min"], ends["max"]


def datasets_bucket(run: Run[JobSettings]) -> Objects:
    """Return the datasets bucket."""
    return Objects(run.settings.project, run.settings.datasets_bucket)


def sql_instant(instant: datetime) -> str:
    """Return an instant as a condition of the Storage Read API needs it."""
    return instant.strftime("%Y-%m-%d %H:%M:%S+00")
