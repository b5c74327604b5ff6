"""Columns of counts: numbers, and the reasons of those that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.cells import NumberStyle, as_text
from velocast.adapters.city_sources.reading.distinct import distinct
from velocast.adapters.city_sources.reading.gathering import FLAGGED, INCOMPLETE, USABLE
from velocast.core.city.reading import Keep, Status, Value

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from velocast.adapters.city_sources.reading.columns import Columns

MISSING = "missing_count"
LARGEST = 1e9  # of all counters of the world together; more cannot be stored as a count


class CountCells:
    """Reads cells as counts. largest: the city says that no counter can count more than this in an hour."""

    def __init__(self, style: NumberStyle, largest: int | None) -> None:
        self._style = style
        self._largest = LARGEST if largest is None else float(largest)

    def parsed(
        self, column: pd.Series, factors: pd.Series | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """Return each cell's count, NaN where there is none, and the reason ('' for a count)."""
        import numpy as np

        cells = distinct(column)
        judged = [self._judged(value, whole=factors is None) for value in cells.values]
        values = np.array([v for v, _ in judged] + [np.nan], dtype="float64")[cells.codes]
        reasons = np.array([r for _, r in judged] + [MISSING], dtype=object)[cells.codes]
        if factors is not None:
            by = distinct(factors).mapped(self._factor, 1.0, "float64")
            values = values * by
            reasons = np.where((reasons == "") & np.isnan(by), "unreadable_count", reasons)
            reasons = np.where((reasons == "") & (values > self._largest), "absurd_count", reasons)
        return values, reasons

    def of_value(
        self, columns: Columns, value: Value
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """Return the counts of one described value, corrected and multiplied as it says."""
        import numpy as np

        factors = columns.get_or_empty(value.factor) if value.factor is not None else None
        counts, reasons = self.parsed(columns.get_or_empty(value.column), factors)
        if value.instead_of is None:
            return counts, reasons
        first, why = self.parsed(columns.get_or_empty(value.instead_of), factors)
        absent = reasons == MISSING
        return np.where(absent, first, counts), np.where(absent, why, reasons)

    def _factor(self, value: Any) -> float:
        if self._style.is_missing(value):
            return 1.0
        number = self._style.number(value)
        return number if number is not None and number >= 0 else float("nan")

    def _judged(self, value: Any, *, whole: bool) -> tuple[float, str]:
        if self._style.is_missing(value):
            return float("nan"), MISSING
        number = self._style.number(value)
        if number is None:
            return float("nan"), "unreadable_count"
        if number < 0:
            return number, "negative_count"
        if number > self._largest:
            return number, "absurd_count"
        if whole and number != int(number):
            return number, "fractional_count"
        return number, ""


def kept(columns: Columns, keeps: tuple[Keep, ...]) -> npt.NDArray[np.bool_]:
    """Return for each row whether the description keeps it."""
    import numpy as np

    keep = np.ones(len(columns.rows), dtype=bool)
    for each in keeps:
        only = {text.strip().casefold() for text in each.only}
        cells = distinct(columns.get_or_empty(each.column))
        keep &= cells.mapped(lambda v: (as_text(v) or "").casefold() in only, "" in only, bool)  # noqa: B023
    return keep


def marks(column: pd.Series, status: Status) -> npt.NDArray[np.uint8]:
    """Return the mark that a status column sets on each row."""

    def mark(value: Any) -> int:
        text = as_text(value) or ""
        if text in status.usable:
            return USABLE
        return INCOMPLETE if text in status.incomplete else FLAGGED

    return distinct(column).mapped(mark, mark(""), "uint8")
