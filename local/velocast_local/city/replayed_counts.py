"""The counts that a replay publishes, in memory, and as JSON lines in the records of Demoville (Paris's API).

The lines are built column by column: repeated values (names, hours) are encoded once and placed by index. So 400,000
rows take well under a second.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from velocast_cli.city_file import FileCounts

FIELDS = (
    "id_compteur",
    "nom_compteur",
    "id",
    "name",
    "sum_counts",
    "date",
    "installation_date",
    "counter",
)
COLUMNS = (*FIELDS, "longitude", "latitude")
QUALITY = "quality"
ONE_IN = 2000

Rows = slice | npt.NDArray[Any]


class CityFile:
    """Counts of one city, sorted by date and counter. Rows without a date are left out, as no range of time finds them.

    path: Parquet as `write_counts` writes it: COLUMNS, of which `date` is aware, and QUALITY where the city says how
    good its counts are. Raises ValueError when a column is missing or no row has a date.
    """

    def __init__(self, path: Path) -> None:
        table = pd.read_parquet(path)
        if missing := sorted(set(COLUMNS) - set(table.columns)):
            raise ValueError(f"{path}: no column {', '.join(missing)}")
        table = table.dropna(subset=["date"])
        if table.empty:
            raise ValueError(f"{path}: no row has a date")
        own = (QUALITY,) if QUALITY in table.columns else ()
        self.names = (*FIELDS, "coordinates", *own)
        self._frame = table.sort_values(["date", "id_compteur"], kind="stable", ignore_index=True)
        self.hours: npt.NDArray[np.datetime64] = (
            self._frame["date"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[s]")
        )
        self.ids: npt.NDArray[Any] = pd.factorize(self._frame["id_compteur"], sort=True)[0]
        self.first = _aware(self.hours[0])
        self.last = _aware(self.hours[-1])
        self._texts = {
            name: _Texts(*self._encode(name)) for name in self.names if name != "sum_counts"
        }
        counts = self._frame["sum_counts"]
        self._uncounted: npt.NDArray[np.bool_] = counts.isna().to_numpy()
        self._counts = counts.fillna(0).to_numpy("int64")
        self._mistakes = _first_mistakes(self.hours, self.ids, self._counts)

    def between(self, since: datetime | None, until: datetime | None) -> slice:
        """Return the rows of a half-open time range as one slice; None is no bound."""
        start = 0 if since is None else int(np.searchsorted(self.hours, _naive(since)))
        stop = len(self.hours) if until is None else int(np.searchsorted(self.hours, _naive(until)))
        return slice(start, max(start, stop))

    def counters(self, rows: slice) -> list[dict[str, Any]]:
        """Return one record for each counter among `rows`, taken from its newest row."""
        newest = (
            self._frame.iloc[rows]
            .drop_duplicates("id_compteur", keep="last")
            .sort_values("id_compteur")
        )
        return [
            {
                "id_compteur": row.id_compteur,
                "nom_compteur": _or_none(row.nom_compteur),
                "id": _or_none(row.id),
                "name": _or_none(row.name),
                "channel_id": str(row.id_compteur).rpartition("-")[2],
                "channel_name": str(row.nom_compteur).rpartition(" ")[2],
                "installation_date": _day(row.installation_date),
                "coordinates": _place(row.longitude, row.latitude),
                "counter": _or_none(row.counter),
            }
            for row in newest.itertuples(index=False, name="Row")
        ]

    def lines(
        self,
        rows: Rows,
        names: tuple[str, ...] | None,
        *,
        first_value_after: datetime | None = None,
    ) -> bytes:
        """Encode rows as JSON lines with the fields `names` (None: all).

        Hours from `first_value_after` on have their values as first published, before correction.
        """
        pieces: list[Any] = []
        for position, name in enumerate(names or self.names):
            pieces.append(("{" if position == 0 else ",") + f'"{name}":')
            pieces.append(
                self._values(rows, first_value_after)
                if name == "sum_counts"
                else self._texts[name].at(rows)
            )
        pieces.append("}\n")
        pieces = [
            pa.scalar(piece, pa.large_string()) if isinstance(piece, str) else piece
            for piece in pieces
        ]
        joined = pc.binary_join_element_wise(*pieces, pa.scalar("", pa.large_string()))
        return _bytes_of(joined)

    def _values(self, rows: Rows, first_value_after: datetime | None) -> pa.Array:
        counts = self._counts[rows]
        if first_value_after is not None:
            young = self.hours[rows] >= _naive(first_value_after)
            counts = counts + np.where(young, self._mistakes[rows], 0)
        return (
            pa.array(counts, mask=self._uncounted[rows]).cast(pa.large_string()).fill_null("null")
        )

    def _encode(self, name: str) -> tuple[npt.NDArray[Any], list[str]]:
        if name == "date":
            codes, hours = pd.factorize(self.hours)
            return codes, [f'"{h!s}+00:00"' for h in hours.astype("datetime64[s]")]
        if name == "coordinates":
            pairs = pd.MultiIndex.from_frame(self._frame[["longitude", "latitude"]])
            codes, places = pd.factorize(pairs)
            return codes, [json.dumps(_place(lon, lat)) for lon, lat in places]
        codes, values = pd.factorize(self._frame[name], use_na_sentinel=False)
        return codes, [
            json.dumps(None if pd.isna(v) else str(v), ensure_ascii=False) for v in values
        ]


class _Texts:
    """A column of JSON texts: the distinct texts, and the index of each row's text."""

    def __init__(self, codes: npt.NDArray[Any], texts: list[str]) -> None:
        self._codes = codes.astype(np.int32)
        self._texts = pa.array(texts, pa.large_string())

    def at(self, rows: Rows) -> pa.Array:
        return self._texts.take(pa.array(self._codes[rows]))


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value


def _day(value: Any) -> str | None:
    """Return a day as the API does, as text; files have it as text or as a date."""
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else value.isoformat()[: len("2020-01-01")]


def _place(longitude: Any, latitude: Any) -> dict[str, float] | None:
    """Return a position as the API does: null where either coordinate is missing."""
    if pd.isna(longitude) or pd.isna(latitude):
        return None
    return {"lon": longitude, "lat": latitude}


def _first_mistakes(
    hours: npt.NDArray[np.datetime64], ids: npt.NDArray[Any], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the error in each value as first published: nearly always 0, and deterministic for each row."""
    mixed = pd.util.hash_array(hours.astype("int64") * 1009 + ids)
    share = (mixed >> np.uint64(32)) % np.uint64(7)
    wrong = np.maximum(1, counts // 10) * np.where(share % 2 == 0, 1, -1)
    wrong = np.where(counts + wrong < 0, 1, wrong)
    return np.where(mixed % np.uint64(ONE_IN) == 0, wrong, 0).astype(np.int64)


def _bytes_of(texts: pa.Array) -> bytes:
    """Return all texts joined. They are adjacent in Arrow's buffer, so the bytes are only copied."""
    if not len(texts):
        return b""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return bytes(memoryview(data)[ends[0] : ends[-1]])


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")


def _aware(hour: np.datetime64) -> datetime:
    moment: datetime = hour.astype("datetime64[s]").item()
    return moment.replace(tzinfo=UTC)


def has_quality(path: Path) -> bool:
    """Return whether some counts of a file written by `write_counts` are marked."""
    return QUALITY in pq.read_schema(path).names


def write_counts(read: FileCounts, path: Path) -> None:
    """Write the counts of a city's files as Parquet in the columns that the replay publishes."""
    counters = read.counters.rename(
        columns={
            "counter_id": "id_compteur",
            "counter_name": "nom_compteur",
            "site_id": "id",
            "site_name": "name",
            "installed_on": "installation_date",
        }
    )
    rows = read.counts.rename(
        columns={"counter_id": "id_compteur", "counted_at": "date", "bike_count": "sum_counts"}
    ).merge(counters, how="left", on="id_compteur")
    # The clock's repeated hour is marked anew where the counts are stored; a city that publishes them does not say.
    rows[QUALITY] = rows[QUALITY].where(rows[QUALITY] != "clock_change", None)
    if rows[QUALITY].isna().all():
        rows = rows.drop(columns=QUALITY)
    rows.assign(counter=None).to_parquet(path, index=False)
