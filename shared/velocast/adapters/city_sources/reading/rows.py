"""What every layout needs of a table's rows: their times, what is left out, and where their counts go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.cells import NumberStyle
from velocast.adapters.city_sources.reading.columns import Columns
from velocast.adapters.city_sources.reading.distinct import distinct, distinct_rows
from velocast.adapters.city_sources.reading.gathering import Gathered, RowOrder
from velocast.adapters.city_sources.reading.stamps import Stamps
from velocast.adapters.city_sources.reading.values import MISSING, CountCells, kept
from velocast.adapters.city_sources.records import Reject
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass
class Rows:
    """One table on its way into `gathered`.

    seconds: the rows' times (`Stamps.parsed`). why: the reason of a row without a usable time or counter, else ''.
    keep: False for rows that the description leaves out. numbers: of the rows in the whole answer.
    """

    city: City
    gathered: Gathered
    table: RawTable
    columns: Columns
    cells: CountCells
    seconds: npt.NDArray[np.int64]
    why: npt.NDArray[Any]
    keep: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.int32]

    @classmethod
    def of(cls, table: RawTable, city: City, gathered: Gathered) -> Rows:
        """Read what does not depend on the layout."""
        import numpy as np

        counts, layout = city.counts, city.counts.layout
        frame = table.rows.reset_index(drop=True)
        columns = Columns(frame, layout.also_called)
        gathered.headings.update(dict.fromkeys(map(str, frame.columns)))
        names = [*layout.time.columns]
        if layout.time.gap_column is not None:
            names.append(layout.time.gap_column)
        parts = distinct_rows([distinct(columns.get_or_empty(n)) for n in names], len(frame))
        seconds, why = Stamps(city).parsed(parts)
        keep = kept(columns, layout.keep)
        gathered.left_out += int((~keep).sum())
        style = NumberStyle.of(table.file or counts.file)
        numbers = np.arange(gathered.rows, gathered.rows + len(frame), dtype="int32")
        cells = CountCells(style, city.largest_credible_count)
        return cls(city, gathered, table, columns, cells, seconds, why, keep, numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """The rows that are kept and have a time and a counter."""
        found: npt.NDArray[np.bool_] = self.keep & (self.why == "")
        return found

    def lines(self) -> Sequence[bytes]:
        """Return the rows as they were sent, or as JSON lines."""
        if self.table.texts is not None:
            return self.table.texts
        return rows_as_json(self.columns.rows)

    def add(
        self,
        good: npt.NDArray[np.bool_],
        *,
        counter: npt.NDArray[np.int32],
        value: npt.NDArray[np.float64],
        mark: npt.NDArray[np.uint8],
        parts: npt.NDArray[np.uint8],
        later_seconds: int = 0,
    ) -> None:
        """Add the counts of the good rows. later_seconds: how much after the rows' times they begin."""
        self.gathered.add(
            counter=counter[good],
            time=self.gathered.time_codes(self.seconds[good] + later_seconds),
            value=value[good],
            mark=mark[good],
            parts=parts[good],
            row=self.numbers[good],
        )

    def remember_order(self, series: npt.NDArray[np.int32]) -> None:
        """Remember which row comes after which, where that tells the first of two equal hours from the second."""
        import numpy as np

        clock = self.city.counts.clock
        if clock.times != "local" or clock.repeated_hour != "twice":
            return
        good = self.usable
        place = np.full(int(good.sum()), self.gathered.place(self.table.place), "int32")
        self.gathered.orders.append(
            RowOrder(place, series[good], self.seconds[good], self.numbers[good].astype("int32"))
        )

    def reject(self, rows: npt.NDArray[np.bool_], reasons: Any, lines: Sequence[bytes]) -> None:
        """Reject rows, each with its reason and text."""
        import numpy as np

        for n in np.flatnonzero(rows).tolist():
            text = lines[n].decode("utf-8", "replace")
            self.gathered.rejects.append(Reject(str(reasons[n]), text))


def added(
    columns: Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[Any]]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Add up the values of several columns, those that are missing left out.

    Returns sums, a bit for each column that has a value, and reasons: of the first column with a wrong value, else
    missing_count where no column has one.
    """
    import numpy as np

    if len(columns) == 1:
        value, reason = columns[0]
        return value, np.ones(len(value), "uint8"), reason
    total = np.zeros(len(columns[0][0]))
    parts = np.zeros(len(total), "uint8")
    wrong = np.full(len(total), "", dtype=object)
    for n, (value, reason) in enumerate(columns):
        there = reason == ""
        total += np.where(there, value, 0)
        parts |= (there * (1 << min(n, 7))).astype("uint8")
        wrong = np.where((wrong == "") & ~there & (reason != MISSING), reason, wrong)
    wrong = np.where((wrong == "") & (parts == 0), MISSING, wrong)
    return total, parts, wrong


def rows_as_json(rows: pd.DataFrame) -> list[bytes]:
    """Return the rows of a table as JSON lines."""
    members = [_members(str(name), rows.iloc[:, n]) for n, name in enumerate(rows.columns)]
    return [
        f"{{{', '.join(row)}}}".encode("utf-8", "replace") for row in zip(*members, strict=True)
    ]


def as_record(values: dict[str, Any]) -> str:
    """Return a record as JSON. What JSON does not know, such as a time, becomes text."""
    return (
        json.dumps(values, ensure_ascii=False, default=_as_json)
        .encode("utf-8", "replace")
        .decode("utf-8")
    )


def _members(name: str, column: pd.Series) -> list[str]:
    """Return what each row's JSON says of a column. Each distinct value is written once, since that takes the time."""

    def member(value: Any) -> str:
        return as_record({name: value})[1:-1]

    members: list[str] = distinct(column).mapped(member, member(None), object).tolist()
    return members


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else str(value)
