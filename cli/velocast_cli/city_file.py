"""Counts from files that a person gives to the command line, read as the city's description says.

It is the reading of ingestion (`velocast.adapters.city_sources.reading`) and of `velocast city check`, so the same
records are put aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from velocast.adapters.city_sources.reading import listed_counters, read_counts
from velocast.adapters.city_sources.records import CounterRecord
from velocast.core.city import City
from velocast_cli.city.check import described_tables
from velocast_cli.city.files import files_of

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

    counts: counter_id, counted_at (UTC), bike_count and quality (None, or why a count is not learned from), one row a
    counter and hour. counters: COUNTERS, one row a counter, None or NaN where nothing is known. put_aside: how many
    records were refused, by reason. left_out: files among others that hold no counts, and why.
    """

    counts: pd.DataFrame
    counters: pd.DataFrame
    put_aside: dict[str, int]
    left_out: dict[str, str] = field(default_factory=dict)

    def positions(self) -> list[tuple[float, float]]:
        """Return latitude and longitude (degrees) of the counters that have a place."""
        placed = self.counters[["latitude", "longitude"]].dropna()
        return [(float(lat), float(lon)) for lat, lon in placed.itertuples(index=False)]

    def describe_put_aside(self) -> str | None:
        """Return how many records were refused, by reason; None when all were read."""
        if not self.put_aside:
            return None
        reasons = sorted(self.put_aside.items(), key=lambda item: -item[1])
        told = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons)
        return f"put aside: {sum(self.put_aside.values()):,} records ({told})"


def read_city_files(city: City, paths: Sequence[Path]) -> FileCounts:
    """Read the counts of files and of all files in folders.

    Raises ValueError when they have no usable count, and the errors of `reading.read_counts`.
    """
    left_out: dict[str, str] = {}
    tables = described_tables(city, files_of(paths), left_out)
    harvest = read_counts(city, tables, as_of=None)
    counts = harvest.counts.to_pandas()
    refused = Counter(reject.reason for reject in harvest.rejects)
    if counts.empty:
        why = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in refused.items())
        raise ValueError(f"{paths[0]}: no usable count" + (f"; put aside: {why}" if why else ""))
    known = {r.counter_id: r for r in [*harvest.counters, *listed_counters(city.counters)]}
    counters = _counters(counts["counter_id"].unique(), known)
    return FileCounts(counts, counters, dict(refused), left_out)


def _counters(ids: Iterable[str], known: dict[str, CounterRecord]) -> pd.DataFrame:
    nothing = CounterRecord("", None, None, None, None, None, None)
    rows = [known.get(counter_id, nothing)._replace(counter_id=counter_id) for counter_id in ids]
    frame = pd.DataFrame([row[: len(COUNTERS)] for row in rows], columns=list(COUNTERS))
    return frame.astype({"latitude": "float64", "longitude": "float64"})
