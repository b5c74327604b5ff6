"""Which columns of the calendar the ridge uses: those that lower its errors on weeks that were held out.

A year holds some five school holidays, each under its own weather, so what helped in one of them may be chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.evaluation import bootstrap
from velocast.model.features.preprocessing import subsample
from velocast.model.learning.ridge import CALENDAR, Equations, Integers, predict_ridge

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
    rows = subsample(frame, MOST_ROWS, seed)
    blocks = rows["local_date"].to_numpy(dtype="datetime64[D]").astype(np.int64) // BLOCK_DAYS
    usual = _held_out_squares(params | {"calendar": []}, rows, blocks)
    return [
        name
        for name in varying
        if _lower(
            _held_out_squares(params | {"calendar": [name]}, rows, blocks), usual, blocks, seed
        )
    ]


def _held_out_squares(params: dict[str, Any], rows: pd.DataFrame, blocks: Integers) -> Floats:
    """Return the squared error of each row, (n,), bikes squared, by a fit that left out its block."""
    folds = blocks % FOLDS
    parts = Equations.of_parts(rows, params, folds)
    whole = Equations.total(parts)
    squares = np.empty(len(rows))
    for fold, part in enumerate(parts):
        own = folds == fold
        made = predict_ridge(whole.without(part).solved(), rows[own])
        squares[own] = (made - rows["bike_count"].to_numpy(dtype="float64")[own]) ** 2
    return squares


def _lower(tried: Floats, usual: Floats, blocks: Integers, seed: int) -> bool:
    squares = pd.DataFrame({"gain": usual - tried})
    resampled = bootstrap.resampled_days(squares, pd.Series(blocks), seed=seed)
    return not isinstance(resampled, Unknown) and bool(np.quantile(resampled[0], CERTAINTY) > 0)
