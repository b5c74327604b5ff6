"""Read counts with a city's description, exactly as they would be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from velocast.adapters.city_sources.reading import read_counts
from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City
from velocast.core.city.reading import Layout, Wide
from velocast.core.errors import CityRefused, CityTruncated
from velocast_cli.city.files import files_of
from velocast_cli.city.summary import Summary, summarize


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
    return _check(city, _tables(city, files_of(paths), left_out), as_of, left_out)


def _check(
    city: City, tables: Iterator[RawTable], as_of: datetime, left_out: dict[str, str]
) -> Checked:
    harvest = read_counts(city, tables, as_of)
    stored = harvest.counts.select(["counter_id", "counted_at", "bike_count", "quality"]).to_pandas()
    return Checked(stored, summarize(stored, harvest, city, left_out))


def _tables(city: City, files: list[Path], left_out: dict[str, str]) -> Iterator[RawTable]:
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
                if (lacking := _lacking(table, city.counts.layout)) and len(files) > 1:
                    left_out[table.place] = f"no column {lacking}"
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
