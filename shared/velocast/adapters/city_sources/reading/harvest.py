"""Reads counts: from the tables of a transport or of files to hours as they are stored, with what was put aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from velocast.adapters.city_sources.reading.columns import missing_columns, required
from velocast.adapters.city_sources.reading.gathering import Gathered
from velocast.adapters.city_sources.reading.hours import to_hours
from velocast.adapters.city_sources.reading.layouts import read_table
from velocast.adapters.city_sources.records import CounterRecord, Reject
from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.core.city import City
from velocast.core.errors import CityRefused

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Harvest:
    """What was read of one complete answer, or of files.

    counts: Arrow columns counter_id, counted_at (UTC, the start of an hour of the city's clock), bike_count and
    quality, one row a counter and hour. quality: null for a usable count; incomplete: a part of the hour is missing;
    clock_change: the hour that the clock repeats, not told apart; suspect: the city says so. counters: what the rows of
    counts say about the counters. rejects: rows that cannot be stored. fetched: number of records, rejects
    included; of a wide table, of cells. doubles: equal records dropped. left_out: records that the description does not
    keep. blank: cells without a count. unknown_fields: sorted names of columns that are not described.
    """

    counts: pa.Table
    counters: list[CounterRecord]
    rejects: list[Reject]
    fetched: int
    doubles: int
    left_out: int
    blank: int
    unknown_fields: list[str]


def read_counts(
    city: City,
    tables: Iterable[RawTable],
    as_of: datetime | None,
    within: TimeRange | None = None,
) -> Harvest:
    """Read all counts of the tables, which may be pieces of one answer or several files.

    as_of: hours that end later become rejects; None: no hour does. within: hours outside are left out. Raises
    CityRefused when the tables are not what the city's description says: a column is missing, or rows are further apart
    or closer together than its step.
    """
    gathered = Gathered()
    place = city.name
    for table in tables:
        place = table.place
        read_table(table, city, gathered)
    _check_columns(gathered, city, place)
    hours = to_hours(gathered, city, as_of=as_of, within=within)
    return Harvest(
        counts=hours.table,
        counters=list(gathered.counters.values()),
        rejects=gathered.rejects,
        fetched=gathered.fetched,
        doubles=hours.doubles,
        left_out=gathered.left_out,
        blank=gathered.blank,
        unknown_fields=sorted(gathered.unknown),
    )


def read_files(city: City, paths: Sequence[Path], as_of: datetime | None = None) -> Harvest:
    """Read all counts of files and of all files in folders, in the order of their names.

    Errors as for `read_counts` and `tables.read_tables`; CityRefused too for a path that does not exist.
    """
    return read_counts(city, _file_tables(city, paths), as_of)


def _file_tables(city: City, paths: Sequence[Path]) -> Iterator[RawTable]:
    for path in files_in(paths):
        yield from read_tables(path, str(path), city.counts.file)


def files_in(paths: Sequence[Path]) -> list[Path]:
    """Return the files among the paths and, sorted, all visible files in the folders. Raises CityRefused for none."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.is_file()]
            found += [p for p in inside if not p.name.startswith(".")]
        elif path.is_file():
            found.append(path)
        else:
            raise CityRefused(f"{path}: no such file; give a file or a folder of files")
    if not found:
        raise CityRefused(
            f"{', '.join(map(str, paths))}: no file in it; give a folder of files of counts"
        )
    return found


def _check_columns(gathered: Gathered, city: City, place: str) -> None:
    """Raise CityRefused when nothing was read because described columns are in none of the tables."""
    if gathered.times:
        return
    layout = city.counts.layout
    headings = list(gathered.headings)
    known = {name.casefold() for name in headings}
    missing = [
        name
        for name in required(layout)
        if not known & {n.casefold() for n in (name, *layout.also_called.get(name, ()))}
        and name.partition(".")[0].casefold() not in known
    ]
    if headings and missing:
        raise CityRefused(missing_columns(missing, headings, place))
