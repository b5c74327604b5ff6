"""What of the calendar a ridge regression uses: what lowers the error of weeks that were held out."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.feature_rows import feature_rows
from velocast.model.learning import calendar_choice, ridge
from velocast.model.learning.calendar_choice import BLOCK_DAYS, choose_calendar

# some days of each of twenty blocks
ROWS = pd.concat(
    [
        feature_rows(date(2022, 1, 3) + n * pd.Timedelta(days=BLOCK_DAYS), origins=1, seed=n)
        for n in range(20)
    ],
    ignore_index=True,
)
BLOCKS = ROWS["local_date"].to_numpy(dtype="datetime64[D]").astype(np.int64) // BLOCK_DAYS
EVEN = BLOCKS % 2 == 0


def chosen(free: Any, event: Any, factor: Any) -> list[str]:
    rows = ROWS.assign(
        is_school_holiday=free.astype("float64"),
        school_holiday_share_14d=0.0,
        is_event=event.astype("float64"),
        bike_count=ROWS["bike_count"] * factor,
    )
    return choose_calendar(ridge.HYPERPARAMETERS, rows, seed=1)


def test_what_helps_in_each_holiday_is_used() -> None:
    event = (ROWS["counter_id"] == "c1") & (ROWS["lead_day"] == 2)
    assert chosen(EVEN, event, np.where(EVEN, 0.8, 1.0)) == ["school_holidays"]


def test_events_whose_effect_returns_are_used() -> None:
    event = (ROWS["counter_id"] == "c2") & (ROWS["lead_day"] == 1)
    assert chosen(EVEN, event, np.where(event, 1.5, 1.0)) == ["events"]


def test_what_happened_once_is_not_learned() -> None:
    """Each holiday has another effect: a fit to the others makes the held-out ones worse."""
    rng = np.random.default_rng(3)
    effects = dict(zip(np.unique(BLOCKS), rng.permutation(np.linspace(0.6, 1.4, 20)), strict=False))
    factor = pd.Series(BLOCKS).map(effects).fillna(1.0).to_numpy()
    assert chosen(EVEN, np.zeros(len(ROWS)), np.where(EVEN, factor, 1.0)) == []


def test_a_city_without_either_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_choice, "Regression", None)
    nothing = np.zeros(len(ROWS))
    assert chosen(nothing, nothing, np.ones(len(ROWS))) == []


def test_each_block_is_forecast_by_the_fit_to_the_others() -> None:
    rows = ROWS.assign(is_school_holiday=EVEN.astype("float64"))
    params = ridge.HYPERPARAMETERS | {"calendar": ["school_holidays"]}
    regression = ridge.Regression.of(rows, params)
    found, _ = calendar_choice._held_out_squares(regression, BLOCKS, [["school_holidays"], []])
    own = BLOCKS % calendar_choice.FOLDS == 3
    others = ridge.Equations.of(rows[~own], params)
    # weights and standards of weather are those of all rows, so the fit differs a little
    made = ridge.predict_ridge(others.solved(), rows[own])
    expected = (made - rows["bike_count"][own]) ** 2
    assert np.sqrt(found[own].sum() / expected.sum()) == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(found[own], expected)[0, 1] > 0.99
