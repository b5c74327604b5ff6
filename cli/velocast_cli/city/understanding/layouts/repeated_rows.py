"""Several rows of one counter and time: directions to add up, beside their total, or doubles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.cells import is_function_of
from velocast_cli.city.understanding.columns import Sample


@dataclass
class LongColumns:
    """What the columns of a long table are. ignored: column -> reason; keep: column -> values to keep."""

    counter_id: str | None
    values: list[str]
    name: str | None = None
    site_id: str | None = None
    site_name: str | None = None
    installed_on: str | None = None
    keep: dict[str, list[str]] = field(default_factory=dict)
    corrected: dict[str, str] = field(default_factory=dict)
    factor: str | None = None
    add: bool = False
    ignored: dict[str, str] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)


def share_unique(frame: pd.DataFrame, at: pd.Series, names: list[str]) -> float:
    """Return the share of rows that are the only one of their time and values."""
    keys = frame[names].assign(_at=at)
    return float(1 - keys.duplicated().mean())


def look_at_repeats(
    made: LongColumns, sample: Sample, names: list[str], at: pd.Series, kept: np.ndarray[Any, Any]
) -> None:
    """Decide what several rows of one counter and time are: directions to add up, beside their total, or doubles."""
    frame, moments = sample.frame[kept], at[kept]
    counter = str(made.counter_id)
    rows = frame[list(frame.columns)].assign(_at=moments)
    distinct = ~rows.duplicated()
    frame, moments = frame[distinct], moments[distinct]
    alone = share_unique(frame, moments, [counter])
    if alone > 0.98:
        return
    splitting = [
        n
        for n in names
        if n not in made.keep
        and 1 < frame[n].nunique() <= 200
        and not is_function_of(frame, n, counter)
        and share_unique(frame, moments, [counter, n]) > alone + 0.3 * (1 - alone)
    ]
    if not splitting:
        return
    made.add = True
    for name in splitting:
        if total := _total_among(frame, moments, counter, name, made.values, sample):
            made.keep[name] = [total]
            made.ignored.pop(name, None)
            made.add = False
            return


def _total_among(
    frame: pd.DataFrame, at: pd.Series, counter: str, name: str, values: list[str], sample: Sample
) -> str | None:
    """Return the value of a column (such as a direction) whose rows are the sum of all others; None without one."""
    if frame[name].nunique() > 12 or not values:
        return None
    numbers = np.nansum([sample.numbers(v)[frame.index] for v in values], axis=0)
    table = pd.DataFrame(
        {"counter": frame[counter], "at": at, "part": frame[name], "n": numbers}
    ).pivot_table(index=["counter", "at"], columns="part", values="n", aggfunc="sum")
    if table.shape[1] < 3 and not any(words.has(str(c), words.TOTALS) for c in table.columns):
        return None
    for part in table.columns:
        others = table.drop(columns=part).sum(axis=1)
        says = table[part].notna() & (others > 0)
        if says.sum() >= 3 and (abs(table[part] - others)[says] < 0.5).mean() >= 0.97:
            return str(part)
    return None
