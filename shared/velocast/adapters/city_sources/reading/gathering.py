"""Gathers what the tables of one answer hold, in arrays that take little memory, until all of it is there."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from velocast.adapters.city_sources.records import CounterRecord, Reject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Text = Callable[[int, str, float], str]
USABLE, INCOMPLETE, SUSPECT = 0, 1, 2  # ordered: of two marks the greater one holds


@dataclass(frozen=True)
class Piece:
    """Counts of one table, one a row of these arrays.

    counter: codes of `Gathered.ids`. seconds: since 1970, of UTC or of the city's clock. value: bikes. mark: USABLE,
    INCOMPLETE or SUSPECT. parts: a bit for each column that was added up. row: number of the row in the whole answer.
    """

    counter: npt.NDArray[np.int32]
    seconds: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    mark: npt.NDArray[np.uint8]
    parts: npt.NDArray[np.uint8]
    row: npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowOrder:
    """The rows of one table in their order, for hours that a clock shows twice.

    place: code of the file. series: what follows one another in it: codes of counters, or 0 for whole rows.
    """

    place: npt.NDArray[np.int32]
    series: npt.NDArray[np.int32]
    seconds: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


@dataclass
class Gathered:
    """All of an answer.

    blank: cells of a wide table that hold no count. left_out: records that `keep` leaves out.
    """

    ids: dict[str, int] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
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
    _texts: list[tuple[int, Text]] = field(default_factory=list)

    def code(self, counter_id: str) -> int:
        """Return the code of a counter."""
        return self.ids.setdefault(counter_id, len(self.ids))

    def place(self, name: str) -> int:
        """Return the code of a file."""
        return self._places.setdefault(name, len(self._places))

    def end_table(self, rows: int, text: Text) -> None:
        """Count the rows of a table. text: returns a record of it by its row, and as for `text` of the whole answer."""
        self._texts.append((self.rows, text))
        self.rows += rows

    def text(self, row: int, counter_id: str, value: float) -> str:
        """Return a record as it was sent. row: in the whole answer; counter_id and value: its cell of a wide table."""
        position = bisect_right(self._texts, row, key=lambda entry: entry[0]) - 1
        first, text = self._texts[position]
        return text(row - first, counter_id, value)


def packed_lines(lines: Sequence[bytes]) -> Text:
    """Keep the texts of records in a tenth of their size; nearly all of them are never needed again."""
    import pyarrow as pa

    sizes = [len(line) for line in lines]
    size = sum(sizes)
    packed = pa.compress(b"".join(lines), codec="zstd", asbytes=True)

    @lru_cache(maxsize=1)
    def unpacked() -> list[str]:
        whole = pa.decompress(packed, size, codec="zstd", asbytes=True)
        ends = list(itertools.accumulate(sizes, initial=0))
        return [whole[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(ends)]

    return lambda row, _counter_id, _value: unpacked()[row]
