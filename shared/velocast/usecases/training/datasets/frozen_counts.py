"""Counts frozen as Parquet under the hash of their bytes.

Whatever is learned from or scored on is read from a frozen object (or the table loaded from it), never from the living
table: the same hash is the same rows for ever.
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
from velocast.usecases.training.datasets.windows import Window

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
        return table_name(self.sha256)

    def known(self, run: Run[JobSettings]) -> Window:
        """Return the city's local days from the first usable count to the last, both included."""
        zone = run.settings.city.zone
        first, last = (local_date(parse_instant(text), zone) for text in (self.first, self.last))
        return Window(first=first, until=last + timedelta(days=1))

    def rows_a_day(self, run: Run[JobSettings]) -> float:
        """Return how many hours are counted on a day, by all counters, on average over the days known."""
        return self.rows / self.known(run).days


class BaselineHalf(Message):
    """One half of the baseline, an object of its own under its own hash."""

    sha256: str
    uri: str
    rows: int
    days: Window


def freeze(run: Run[JobSettings], tested_on: BaselineHalf | None = None) -> FrozenCounts:
    """Freeze all counts before the run's origin, usable and not, and load them into their table.

    tested_on: the half of a baseline that models are judged on; its days keep the rows it was frozen with, whatever
    the city corrected or a backfill added since. Source: `bike_traffic_raw.counts`. Raises TooLittleHistory when none
    is usable.
    """
    until = origin_of(run.as_of, run.settings.city.zone)
    rows = run.warehouse.read(
        schemas.COUNTS,
        columns=COLUMNS,
        where=f"counted_at >= '{FIRST_COUNT}' AND counted_at < '{sql_instant(until)}'",
    )
    rows = in_order(rows if tested_on is None else _with_half(run, rows, tested_on, until))
    first, last = _usable_range(rows, until)
    sha256, uri = store(run, rows)
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

    others = rows.filter(pc.invert(within(run, rows, half.days)))
    kept = read(run, half).select(COLUMNS)
    kept = kept.filter(pc.less(kept["counted_at"], until))  # a past day is trained again
    return pa.concat_tables([others.select(COLUMNS).cast(kept.schema), kept])


def within(run: Run[JobSettings], rows: pa.Table, days: Window) -> pa.ChunkedArray:
    """Tell for each row whether its hour lies in the local days."""
    import pyarrow.compute as pc

    first, until = days.bounds(run.settings.city.zone)
    return pc.and_(pc.greater_equal(rows["counted_at"], first), pc.less(rows["counted_at"], until))


def table_name(sha256: str) -> str:
    """Return the table that frozen counts of this hash are loaded into."""
    return f"{schemas.RAW}.frozen_{sha256[:16]}"


def table_of(run: Run[JobSettings], frozen: FrozenCounts) -> str:
    """Return the table of frozen counts, loaded again from its object when it has expired.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    if not run.warehouse.table_exists(frozen.table):
        rows = read(run, frozen)
        run.warehouse.load_table(frozen.table, rows, expires_days=TABLE_DAYS)
    return frozen.table


class Frozen(Protocol):
    """What names a frozen object: the hash of its bytes, and where it is."""

    @property
    def sha256(self) -> str:
        """Hash of its bytes."""

    @property
    def uri(self) -> str:
        """Its gs:// address."""


def read(run: Run[JobSettings], frozen: Frozen) -> pa.Table:
    """Return a frozen object's rows; of counts COLUMNS, sorted by counter and hour.

    Raises ObjectMissing; ModelUnusable when the object's bytes are not those of its hash.
    """
    import pyarrow.parquet as pq

    bucket = bucket_of(run)
    data = bucket.read(frozen.uri.removeprefix(bucket.uri(""))).data
    found = hashlib.sha256(data).hexdigest()
    if found != frozen.sha256:
        raise ModelUnusable(
            f"{frozen.uri} has SHA-256 {found}; it was frozen as {frozen.sha256}: restore that object"
        )
    return pq.read_table(io.BytesIO(data))


def store(run: Run[JobSettings], rows: pa.Table, *, folder: str = FOLDER) -> tuple[str, str]:
    """Write rows into a folder under the hash of their Parquet bytes; return (sha256, uri)."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    # No Arrow schema in the file: its bytes then follow from the rows and the writer's version alone.
    pq.write_table(rows, file, compression="zstd", store_schema=False)
    data = file.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    bucket = bucket_of(run)
    name = f"{folder}/{sha256}.parquet"
    bucket.write_once(name, data, PARQUET_TYPE)
    return sha256, bucket.uri(name)


def in_order(rows: pa.Table) -> pa.Table:
    """Give the rows one order and one set of types, whichever way they were read."""
    import pyarrow as pa

    types = (pa.string(), pa.timestamp("us", tz="UTC"), pa.int64(), pa.string())
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    ordered = rows.select(list(COLUMNS)).cast(schema)
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


def bucket_of(run: Run[JobSettings]) -> Objects:
    """Return the datasets bucket."""
    return Objects(run.settings.project, run.settings.datasets_bucket)


def sql_instant(instant: datetime) -> str:
    """Write an instant as the Storage Read API's conditions take it."""
    return instant.strftime("%Y-%m-%d %H:%M:%S+00")
