"""The distinct values of a column. A million rows have a few thousand different times and counts, each parsed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Distinct:
    """codes: for each row the position of its value in `values`, -1 for a row that has none."""

    codes: npt.NDArray[np.int64]
    values: list[Any]

    def mapped(self, convert: Callable[[Any], Any], missing: Any, kind: Any) -> npt.NDArray[Any]:
        """Return an array with the converted value of each row, and `missing` for a row without one."""
        import numpy as np

        converted = [convert(value) for value in self.values]
        table = np.empty(len(converted) + 1, dtype=kind)
        table[:-1] = converted
        table[-1] = missing
        found: npt.NDArray[Any] = table[self.codes]
        return found


def distinct(column: pd.Series) -> Distinct:
    """Return a column's distinct values. In a column of mixed types 1, 1.0, True and '1' are four values."""
    import pandas as pd

    if column.dtype == object:
        return _distinct_objects(column)
    codes, values = pd.factorize(column)
    return Distinct(codes, values.tolist())


def distinct_rows(columns: Sequence[Distinct], rows: int) -> Distinct:
    """Return the distinct combinations of several columns, as tuples with None where a column has no value."""
    import numpy as np
    import pandas as pd

    combined = np.zeros(rows, dtype="int64")
    for each in columns:
        combined = combined * (len(each.values) + 1) + each.codes + 1
    codes, numbers = pd.factorize(combined)
    values = []
    for number in numbers.tolist():
        parts = []
        for each in reversed(columns):
            number, position = divmod(number, len(each.values) + 1)
            parts.append(each.values[position - 1] if position else None)
        values.append(tuple(reversed(parts)))
    return Distinct(codes, values)


def _distinct_objects(column: pd.Series) -> Distinct:
    import numpy as np
    import pandas as pd

    seen: dict[Any, int] = {}
    values: list[Any] = []
    codes = np.empty(len(column), dtype="int64")
    for row, value in enumerate(column.tolist()):
        if value is None or value is pd.NaT or value is pd.NA or value != value:
            codes[row] = -1
            continue
        key = (value.__class__, value if value.__hash__ else repr(value))
        code = seen.get(key)
        if code is None:
            code = seen[key] = len(values)
            values.append(value)
        codes[row] = code
    return Distinct(codes, values)
