"""Read counts with a city's description, exactly as they would be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from velocast.adapters.city_sources.reading import Harvest, read_counts
from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.core.city import City
from velocast.core.city.reading import Layout, Wide
from velocast.core.errors import CityRefused, CityTruncated
from velocast_cli.city.files import files_of
from velocast_cli.city.summary import Summary, summarize_city
from velocast_cli.city.understanding.cells import as_texts
from velocast_cli.city.understanding.chosen_tables import DAILY, is_daily
from velocast_cli.city.understanding.clocks.times import find_time

LOOKED_AT = 2000  # rows that show whether they are days


@dataclass(frozen=True)
class Checked:
    """The hours as they would be stored (counter_id, counted_at, bike_count, quality), and their figures."""

    stored: pd.DataFrame
    summary: Summary


def check_files(
    city: City, paths: Sequence[Path], *, as_of: datetime, aside: dict[str, str] | None = None
) -> Checked:
    """Read all of the files; files without the described time are left out and named.

    aside: files and sheets that are known to hold no counts. Raises CityRefused, CityTruncated, OSError.
    """
    left_out = dict(aside or {})
    harvest = read_counts(city, described_tables(city, files_of(paths), left_out), as_of)
    return _checked(city, harvest, left_out)


def check_source(city: City, *, days: int, as_of: datetime) -> Checked:
    """Read the last days that the city's source has. Raises VelocastError, as `CitySource.read_counts`."""
    from velocast.adapters.city_sources.source import CitySource

    hours = TimeRange(as_of - timedelta(days=days), as_of)
    return _checked(city, CitySource(city).read_counts(hours, as_of=as_of), {})


def _checked(city: City, harvest: Harvest, left_out: dict[str, str]) -> Checked:
    stored = harvest.counts.select(
        ["counter_id", "counted_at", "bike_count", "quality"]
    ).to_pandas()
    return Checked(stored, summarize_city(stored, harvest, city, left_out))


def described_tables(city: City, files: list[Path], left_out: dict[str, str]) -> Iterator[RawTable]:
    """Give the tables of files. Where there are several, those that are not described are noted in `left_out`."""
    known = set(left_out)
    refused: CityRefused | CityTruncated | None = None
    given = 0
    for path in files:
        if str(path) in known:
            continue
        try:
            for table in read_tables(path, str(path), city.counts.file):
                if table.place in known:
                    continue
                if len(files) > 1 and (why := _unfit(table, city.counts.layout)):
                    left_out[table.place] = why
                    continue
                given += 1
                yield table
        except (CityRefused, CityTruncated) as exc:
            if len(files) == 1:
                raise
            refused = exc
            left_out[str(path)] = str(exc).removeprefix(f"{path}: ")
    if not given and refused is not None:
        raise refused


def _unfit(table: RawTable, layout: Layout) -> str | None:
    """Return why a table among others is not read: it lacks what is described, or its counts are those of days."""
    if lacking := _lacking(table, layout):
        return f"no column {lacking}"
    first = as_texts(table.rows.head(LOOKED_AT))
    return DAILY if is_daily(first, find_time(first)) else None


def _lacking(table: RawTable, layout: Layout) -> str | None:
    """Return the described columns without which no row of a table can be read, None where it has all."""
    there = {str(name).casefold() for name in table.rows.columns}
    needed = [*layout.time.columns, *([layout.time.gap_column] if layout.time.gap_column else [])]
    if not isinstance(layout, Wide):
        needed += layout.counter.id or ()
    elif layout.counters is not None and not any(
        name.casefold() in there for counter in layout.counters for name in counter.columns
    ):
        needed += layout.counters[0].columns
    lacking = [
        name
        for name in needed
        if not there & {n.casefold() for n in (name, *layout.also_called.get(name, ()))}
        and name.partition(".")[0].casefold() not in there
    ]
    return ", ".join(map(repr, lacking)) or None
