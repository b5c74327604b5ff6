from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared.model.feature_rows import feature_rows
from velocast.model.intervals import conformal

LEARNED = conformal.calibrate(
    feature_rows(date(2021, 3, 1), origins=20).assign(
        predicted_count=lambda rows: rows["similar_day_mean"]
    )
)


def noisy(rows: int, seed: int, bias: float = 0.0) -> pd.DataFrame:
    """Return forecasts of 0 to 300 bikes with errors of about a tenth, twice that on lead day 1."""
    random = np.random.default_rng(seed)
    predicted = random.uniform(0, 300, rows)
    lead_day = random.integers(0, 2, rows)
    error = random.normal(bias, 0.1 * (1 + lead_day), rows) * predicted
    return pd.DataFrame(
        {
            "bike_count": np.round(np.maximum(predicted + error, 0)),
            "predicted_count": predicted,
            "lead_day": lead_day,
            "level": 100.0,
            "busy_threshold": 200.0,
        }
    )


@pytest.mark.parametrize("bias", [0.0, 0.05])
def test_intervals_cover_nine_tenths_of_unseen_counts(bias: float) -> None:
    learned = conformal.calibrate(noisy(20_000, 1, bias))
    fresh = noisy(20_000, 2, bias)
    found = conformal.add_intervals(fresh, fresh["predicted_count"].to_numpy(), learned)
    inside = fresh["bike_count"].between(found["lower"], found["upper"])
    assert inside.groupby(fresh["lead_day"]).mean().between(0.88, 0.92).all()
    small, large = fresh["predicted_count"] < 100, fresh["predicted_count"] > 200
    width = found["upper"] - found["lower"]
    assert width[large].mean() > 3 * width[small].mean()
    assert width[fresh["lead_day"] == 1].mean() > 1.7 * width[fresh["lead_day"] == 0].mean()


def test_busy_probabilities_are_calibrated() -> None:
    learned, fresh = conformal.calibrate(noisy(20_000, 3)), noisy(20_000, 4)
    found = conformal.add_intervals(fresh, fresh["predicted_count"].to_numpy(), learned)
    busy = fresh["bike_count"] > fresh["busy_threshold"]
    classes = pd.cut(found["busy_probability"], [-0.01, 0.1, 0.5, 0.9, 1.0])
    predicted = found["busy_probability"].groupby(classes, observed=True).mean()
    happened = busy.groupby(classes, observed=True).mean()
    assert (predicted - happened).abs().max() < 0.05


@settings(max_examples=30, deadline=None)
@given(
    predicted=st.floats(-10, 5000),
    level=st.one_of(st.none(), st.floats(0, 500)),
    lead_day=st.integers(0, 6),
    threshold=st.one_of(st.none(), st.integers(0, 3000)),
)
@pytest.mark.parametrize("calibration", [LEARNED, conformal.calibrate(noisy(10, 0))])
def test_an_interval_always_contains_its_forecast(
    calibration: conformal.Calibration,
    predicted: float,
    level: float | None,
    lead_day: int,
    threshold: int | None,
) -> None:
    frame = pd.DataFrame(
        {"lead_day": [lead_day], "level": [level], "busy_threshold": [threshold]}, index=[7]
    )
    row = conformal.add_intervals(frame, np.array([predicted]), calibration).loc[7]
    assert 0 <= row["lower"] <= row["predicted_count"] <= row["upper"] < np.inf
    assert row["predicted_count"] == max(predicted, 0)
    assert (
        np.isnan(row["busy_probability"])
        if threshold is None
        else 0 <= row["busy_probability"] <= 1
    )


def test_busy_probability_falls_as_the_threshold_rises() -> None:
    frame = pd.DataFrame({"lead_day": 0, "level": 50.0, "busy_threshold": np.arange(0.0, 200.0)})
    found = conformal.add_intervals(frame, np.full(200, 60.0), LEARNED)["busy_probability"]
    assert found.is_monotonic_decreasing
    assert found.iloc[0] == 1.0
    assert found.iloc[-1] == 0.0


def test_less_than_a_hundred_counts_give_the_wide_uninformed_interval() -> None:
    few = conformal.calibrate(noisy(99, 1))
    assert (few.rows, few.lead_days) == (0, {})
    found = conformal.add_intervals(noisy(1, 1), np.array([100.0]), few).iloc[0]
    assert found["upper"] - found["lower"] > 100


def test_a_lead_day_with_few_errors_uses_those_of_all() -> None:
    rows = pd.concat([noisy(500, 1).assign(lead_day=0), noisy(99, 2).assign(lead_day=4)])
    learned = conformal.calibrate(rows)
    assert list(learned.lead_days) == [0]
    frame = pd.DataFrame({"lead_day": [4], "level": [1.0]})
    found = conformal.add_intervals(frame, np.array([50.0]), learned).iloc[0]
    assert found["upper"] > 50
    assert np.isnan(found["busy_probability"])


def test_a_calibration_survives_json() -> None:
    assert conformal.Calibration.model_validate_json(LEARNED.model_dump_json()) == LEARNED
