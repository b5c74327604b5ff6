"""The hours of counters in files: as a city publishes them, or as hours that somebody has already made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from velocast.core.city import City, Histories, histories_of, listed_continuations
from velocast_cli.cities import describe_unnamed, read_files_of, unnamed_city
from velocast_cli.city.files import files_of

NOTHING_CONTINUED = Histories()
KEY = ["counter_id", "counted_at"]
HOURS = [*KEY, "bike_count"]  # what `velocast city check --rows` writes, besides quality


@dataclass(frozen=True)
class CityHours:
    """Hours of a city: counter_id (text), counted_at (UTC), bike_count and quality, one row a counter and hour.

    counters: counter_id, and where known counter_name, site_id, latitude and longitude. histories: which of them others
    continue.
    """

    city: City
    hours: pd.DataFrame
    counters: pd.DataFrame
    histories: Histories = NOTHING_CONTINUED


def read_hours(city: City | None, paths: Sequence[Path], say: Callable[[str], object]) -> CityHours:
    """Read the hours of files. say: told what was left out.

    Files of hours have the columns of HOURS, in Parquet; all others are read as `velocast city check` reads them.
    Raises ValueError, OSError and VelocastError for what cannot be read or has no hour.
    """
    files = files_of(paths)
    frames = [_made_hours(file) for file in files]
    made = [frame for frame in frames if frame is not None]
    if len(made) < len(files):
        described, read = read_files_of(city, paths, say)
        hours = clean_hours(read.counts, say)
        return CityHours(
            described, _not_empty(hours, paths), read.counters, listed_histories(described)
        )
    together = pd.concat(made, ignore_index=True)
    hours = _not_empty(clean_hours(together, say), paths)
    facts = [
        name for name in ("counter_name", "site_id", "latitude", "longitude") if name in together
    ]
    counters = together[["counter_id", *facts]].astype({"counter_id": "string"}).astype(object)
    counters = counters.drop_duplicates("counter_id")
    if city is None:
        placed = counters[["latitude", "longitude"]].dropna() if "latitude" in facts else ()
        at = [(float(lat), float(lon)) for lat, lon in getattr(placed, "to_numpy", list)()]
        city = unnamed_city(at)
        say(describe_unnamed(city))
    return CityHours(city, hours, counters, listed_histories(city))


def listed_histories(city: City) -> Histories:
    """Return the histories of a city's file, without its sums: what is counted in files has no table of decisions."""
    listed = listed_continuations(city.continuations, city.zone)
    return histories_of(listed, city.sums, with_sums=False)


def clean_hours(rows: pd.DataFrame, say: Callable[[str], object]) -> pd.DataFrame:
    """Return rows as hours of the detector: types made right, rows without a count and repetitions left out."""
    counted_at = pd.to_datetime(rows["counted_at"], utc=True, errors="coerce")
    hours = pd.DataFrame(
        {
            "counter_id": rows["counter_id"].astype("string").to_numpy(dtype=object),
            "counted_at": counted_at.astype("datetime64[us, UTC]").array,
            "bike_count": pd.to_numeric(rows["bike_count"], errors="coerce").to_numpy("float64"),
            "quality": _quality(rows),
        }
    )
    usable = hours.dropna(subset=HOURS)
    usable = usable[usable["bike_count"] >= 0].drop_duplicates(KEY)
    if left := len(hours) - len(usable):
        say(f"left out: {left:,} rows without a count, or repeating an hour already read")
    return usable.reset_index(drop=True)


def _quality(rows: pd.DataFrame) -> list[str | None]:
    if "quality" not in rows:
        return [None] * len(rows)
    given = rows["quality"].astype(object)
    return list(given.where(given.notna(), None))


def _made_hours(file: Path) -> pd.DataFrame | None:
    """Return a Parquet file's rows if it is one of hours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix.lower() != ".parquet":
        return None
    try:
        columns = set(pq.read_schema(file).names)
    except pa.ArrowException:
        return None  # the reader says what is wrong with it
    return pd.read_parquet(file) if columns >= set(HOURS) else None


def _not_empty(hours: pd.DataFrame, paths: Sequence[Path]) -> pd.DataFrame:
    if hours.empty:
        raise ValueError(f"{paths[0]}: no usable count")
    return hours
