"""Gathers what the tables of one answer hold, in arrays that take little memory, until all of it is there."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.records import CounterRecord, Reject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RowText = Callable[
    [int, str, float], str
]  # a record by its row in the table, its counter and its value
OpenedTexts = Callable[[], RowText]
USABLE, INCOMPLETE, FLAGGED = 0, 1, 2  # ordered: of two marks the greater one holds


@dataclass(frozen=True)
class Observations:
    """Observations, one a row of these arrays.

    counter, time: codes of `Gathered.ids` and `Gathered.times`. value: bikes. mark: USABLE, INCOMPLETE or FLAGGED.
    parts: a bit for each column that was added up. row: number of the row in the whole answer.
    """

    counter: npt.NDArray[np.int32]
    time: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    mark: npt.NDArray[np.uint8]
    parts: npt.NDArray[np.uint8]
    row: npt.NDArray[np.int32]


KINDS = {
    "counter": "int32",
    "time": "int32",
    "value": "float64",
    "mark": "uint8",
    "parts": "uint8",
    "row": "int32",
}


@dataclass(frozen=True)
class RowOrder:
    """The rows of one table in their order, for hours that a clock shows twice.

    place: code of the file. series: what follows one another in it: codes of counters, or 0 for whole rows.
    """

    place: npt.NDArray[np.int32]
    series: npt.NDArray[np.int32]
    seconds: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]


@dataclass
class Gathered:
    """All of an answer.

    ids, times: codes of counters and of times, in seconds since 1970 (`Stamps.parsed`). pieces: columns of
    `Observations`, by table. blank: cells of a wide table that hold no count. left_out: records that `keep` leaves out.
    """

    ids: dict[str, int] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)
    pieces: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    orders: list[RowOrder] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    counters: dict[str, CounterRecord] = field(default_factory=dict)
    headings: dict[str, None] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    fetched: int = 0
    blank: int = 0
    left_out: int = 0
    rows: int = 0
    _places: dict[str, int] = field(default_factory=dict)
    _texts: list[tuple[int, OpenedTexts]] = field(default_factory=list)
    _opened: tuple[int, RowText] | None = None

    def code(self, counter_id: str) -> int:
        """Return the code of a counter."""
        return self.ids.setdefault(counter_id, len(self.ids))

    def place(self, name: str) -> int:
        """Return the code of a file."""
        return self._places.setdefault(name, len(self._places))

    def time_codes(self, seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Return the codes of times."""
        import numpy as np
        import pandas as pd

        codes, distinct = pd.factorize(seconds)
        known = [self.times.setdefault(s, len(self.times)) for s in distinct.tolist()]
        return np.array(known, dtype="int32")[codes]

    def add(self, **columns: npt.NDArray[Any]) -> None:
        """Add the counts of one table. columns: as in `Observations`."""
        for name, kind in KINDS.items():
            self.pieces.setdefault(name, []).append(columns[name].astype(kind, copy=False))

    def all_counts(self) -> Observations:
        """Return all counts in arrays of their own, and forget the pieces."""
        import numpy as np

        return Observations(
            **{
                name: np.concatenate([np.empty(0, kind), *self.pieces.pop(name, [])])
                for name, kind in KINDS.items()
            }
        )

    def end_table(self, rows: int, texts: OpenedTexts) -> None:
        """Count the rows of a table. texts: gives its records as they were sent."""
        self._texts.append((self.rows, texts))
        self.rows += rows

    def text(self, row: int, counter_id: str, value: float) -> str:
        """Return a record as it was sent. row: in the whole answer; counter_id and value: its cell of a wide table.

        Cheap when rows are asked for in their order.
        """
        position = bisect_right(self._texts, row, key=lambda entry: entry[0]) - 1
        first, texts = self._texts[position]
        if self._opened is None or self._opened[0] != position:
            self._opened = (position, texts())
        return self._opened[1](row - first, counter_id, value)


def packed_lines(lines: Sequence[bytes]) -> OpenedTexts:
    """Keep the texts of records in a tenth of their size; nearly all of them are never needed again."""
    import pyarrow as pa

    sizes = array("I", map(len, lines))
    size = sum(sizes)
    packed = pa.compress(b"".join(lines), codec="zstd", asbytes=True)

    def opened() -> RowText:
        whole = pa.decompress(packed, size, codec="zstd", asbytes=True)
        ends = list(itertools.accumulate(sizes, initial=0))
        return lambda row, _id, _value: whole[ends[row] : ends[row + 1]].decode("utf-8", "replace")

    return opened
