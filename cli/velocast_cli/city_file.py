"""Counts from files that a person gives to the command line, read as the city's description says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from velocast.core.city import City

COLUMNS = (
    "id_compteur",
    "nom_compteur",
    "id",
    "name",
    "sum_counts",
    "date",
    "installation_date",
    "counter",
    "longitude",
    "latitude",
)
COUNTS = ("counter_id", "counted_at", "bike_count", "quality")
COUNTERS = (
    "counter_id",
    "counter_name",
    "site_id",
    "site_name",
    "installed_on",
    "latitude",
    "longitude",
)


@dataclass(frozen=True)
class FileCounts:
    """What a city's files say.

    counts: COUNTS, one row per counter and hour, counted_at in UTC; quality is None or says why a count is not learned
    from. counters: COUNTERS, one row per counter, None or NaN where nothing is known. put_aside: how many records were
    refused, by reason.
    """

    counts: pd.DataFrame
    counters: pd.DataFrame
    put_aside: dict[str, int]

    def positions(self) -> list[tuple[float, float]]:
        """Return latitude and longitude (degrees) of the counters that have a place."""
        placed = self.counters[["latitude", "longitude"]].astype("float64").dropna()
        return [(float(lat), float(lon)) for lat, lon in placed.itertuples(index=False)]

    def describe_put_aside(self) -> str | None:
        """Return how many records were refused, by reason; None when all were read."""
        if not self.put_aside:
            return None
        reasons = sorted(self.put_aside.items(), key=lambda item: -item[1])
        told = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons)
        return f"put aside: {sum(self.put_aside.values()):,} records ({told})"


def read_city_files(city: City, paths: Sequence[Path]) -> FileCounts:
    """Read the counts of files. Raises ValueError when nothing in them is usable."""
    rows = pd.concat([read_rows(path) for path in paths], ignore_index=True)
    counts = pd.DataFrame(
        {
            "counter_id": rows["id_compteur"].astype(str),
            "counted_at": rows["date"].dt.tz_convert("UTC").dt.as_unit("us"),
            "bike_count": rows["sum_counts"],
        }
    )
    known = counts.dropna().drop_duplicates()
    double = known.duplicated(["counter_id", "counted_at"], keep=False)
    kept = known[~double].assign(quality=None).reset_index(drop=True)
    if kept.empty:
        raise ValueError(f"{paths[0]}: no row has a counter, a date and a count")
    aside = {
        "missing_count": len(counts) - len(counts.dropna()),
        "conflicting_duplicate": int(double.sum()),
    }
    newest = rows.sort_values("date").drop_duplicates("id_compteur", keep="last")
    counters = newest.rename(
        columns={
            "id_compteur": "counter_id",
            "nom_compteur": "counter_name",
            "id": "site_id",
            "name": "site_name",
            "installation_date": "installed_on",
        }
    )
    counters["counter_id"] = counters["counter_id"].astype(str)
    return FileCounts(
        kept, counters[list(COUNTERS)].reset_index(drop=True), {k: n for k, n in aside.items() if n}
    )


def read_rows(path: Path) -> pd.DataFrame:
    """Read a file's rows, `date` in UTC. Raises ValueError for another suffix, a missing column or an empty file."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    elif path.suffix == ".csv":
        try:
            table = pd.read_csv(
                path, dtype={"id_compteur": str, "id": str, "installation_date": str}
            )
        except pd.errors.EmptyDataError as exc:
            raise ValueError(f"{path}: the file is empty") from exc
        except pd.errors.ParserError as exc:
            raise ValueError(f"{path}: no CSV with commas ({exc})") from exc
        _check_separator(path, list(table.columns))
    else:
        raise ValueError(f"{path}: ends in {path.suffix!r}, expected .parquet or .csv")
    if missing := sorted(set(COLUMNS) - set(table.columns)):
        raise ValueError(f"{path}: no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    if table.empty:
        raise ValueError(f"{path}: the file has no rows")
    table["date"] = pd.to_datetime(table["date"], utc=True)
    return table


def _check_separator(path: Path, columns: list[str]) -> None:
    """Raise ValueError where the header is separated by something else than commas."""
    header = ",".join(map(str, columns))
    for mark, name in (("\t", "tabs"), (";", "semicolons"), ("|", "vertical bars")):
        if len(header.split(mark)) > len(columns):
            raise ValueError(
                f"{path}: its columns are separated by {name}; save it with commas, or as Parquet"
            )
