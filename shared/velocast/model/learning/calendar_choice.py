"""Which columns of the calendar the ridge uses: those that lower its errors on weeks that were held out.

A year holds some five school holidays, each under its own weather, so what helped in one of them may be chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats, Integers
from velocast.model.evaluation import bootstrap
from velocast.model.features.preprocessing import draw_rows, drawn_column
from velocast.model.learning.ridge import (
    CALENDAR,
    FIT_BLOCK,
    RESIDUALS,
    Equations,
    Regression,
    kept_columns,
)

BLOCK_DAYS = 28  # held out together: longer than most holidays, so that these are not learned from themselves
FOLDS = 10
CERTAINTY = 0.05
MOST_ROWS = 80_000  # half of what a fit takes, since two are compared


def choose_calendar(params: dict[str, Any], frame: pd.DataFrame, seed: int) -> list[str]:
    """Return which of CALENDAR pay in a ridge regression.

    The days are cut into blocks of BLOCK_DAYS. Each is forecast by a fit without it and without every FOLDS-th other
    one, with and without the columns. They pay if the squared error of all blocks falls in all but CERTAINTY of the
    resamples of blocks. Columns that are alike in all rows are not tried. params, frame, seed: as for
    `ridge.fit_ridge`.
    """
    varying = [
        name for name, columns in CALENDAR.items() if (frame[list(columns)].nunique() > 1).any()
    ]
    if not varying:
        return []
    drawn = draw_rows(frame, MOST_ROWS, seed)
    days = drawn_column(frame, drawn, "local_date").to_numpy(dtype="datetime64[D]")
    blocks = days.astype(np.int64) // BLOCK_DAYS
    regression = Regression.of(frame, params | {"calendar": varying}, drawn)
    usual, *tried = _held_out_squares(regression, blocks, [[], *([name] for name in varying)])
    return [
        name
        for name, squares in zip(varying, tried, strict=True)
        if _lower(squares, usual, blocks, seed)
    ]


def _held_out_squares(
    regression: Regression, blocks: Integers, calendars: Sequence[Sequence[str]]
) -> list[Floats]:
    """Return the squared error of each row, (n,), bikes squared, by a fit that left out its block.

    calendars: what of the regression's calendar each fit uses; there is one result for each.
    """
    folds = blocks % FOLDS
    parts = Equations.of_parts(regression, folds)
    whole = Equations.total(parts)
    squares = []
    for calendar in calendars:
        kept = kept_columns(regression.params["calendar"], calendar)
        fits = [whole.without(part).using(calendar).solved() for part in parts]
        coefficients = np.array([fitted["coefficients"] for fitted in fits])
        made = np.empty(len(blocks))
        for begin in range(0, len(blocks), FIT_BLOCK):
            part = slice(begin, begin + FIT_BLOCK)
            own = coefficients[folds[part], regression.hours[part]]
            made[part] = np.einsum("ij,ij->i", regression.design(part)[:, kept], own)
        counts = regression.base + regression.level * np.clip(made, *RESIDUALS)
        squares.append((np.maximum(counts, 0.0) - regression.counts) ** 2)
    return squares


def _lower(tried: Floats, usual: Floats, blocks: Integers, seed: int) -> bool:
    squares = pd.DataFrame({"gain": usual - tried})
    resampled = bootstrap.resampled_days(squares, pd.Series(blocks), seed=seed)
    return not isinstance(resampled, Unknown) and bool(np.quantile(resampled[0], CERTAINTY) > 0)
