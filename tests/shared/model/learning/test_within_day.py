"""Forecasts of the rest of a day, updated with what was counted since midnight."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from velocast.model.intervals.conformal import QUANTILES
from velocast.model.learning.within_day import LARGEST, MIN_DAYS, learn_day_update

DAYS, COUNTERS, HOURS, NOON = 40, 6, 24, 12


def days_with(lasting: float, seed: int = 0) -> pd.DataFrame:
    """Forecasts of DAYS days, and counts that miss them by a factor of the day, `lasting` its spread, and by chance."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(DAYS), range(COUNTERS), range(HOURS)])
    day, counter, hour = (index.get_level_values(n).to_numpy() for n in range(3))
    forecast = (counter + 1) * 30 * (1 + np.sin(np.pi * hour / HOURS))
    factor = (1 + lasting * rng.uniform(-1, 1, DAYS))[day]
    return pd.DataFrame(
        {
            "counter_id": counter.astype(str),
            "origin_at": pd.Timestamp("2025-03-01", tz="UTC") + pd.to_timedelta(day, unit="D"),
            "lead_hours": hour,
            "predicted_count": forecast,
            "lower": forecast * 0.6,
            **{name: forecast * (0.8 + 0.4 * level) for name, level in QUANTILES.items()},
            "upper": forecast * 1.4,
            "busy_probability": 0.5,
            "busy_threshold": forecast,
            "bike_count": rng.poisson(forecast * factor).astype(float),
        }
    )


def last_day(days: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The days before the last, and the last."""
    today = days["origin_at"] == days["origin_at"].max()
    return days[~today], days[today]


def squared_error(forecasts: pd.DataFrame, counted: pd.Series[float]) -> float:
    return float(((counted.loc[forecasts.index] - forecasts["predicted_count"]) ** 2).sum())


def test_what_the_day_missed_until_noon_is_carried_on() -> None:
    days = days_with(lasting=0.3)
    before = after = 0.0
    for number in range(DAYS - 10, DAYS):
        past, today = last_day(days[days["origin_at"] <= days["origin_at"].unique()[number]])
        update = learn_day_update(past, NOON)
        assert update is not None
        assert update.days == number
        made = update.apply(today)
        assert made["lead_hours"].min() == NOON
        assert len(made) == COUNTERS * (HOURS - NOON)
        before += squared_error(today[today["lead_hours"] >= NOON], today["bike_count"])
        after += squared_error(made, today["bike_count"])
    assert after < 0.2 * before


def test_no_count_after_the_known_hours_is_looked_at() -> None:
    past, today = last_day(days_with(lasting=0.3))
    update = learn_day_update(past, NOON)
    assert update is not None
    later = today["lead_hours"] >= NOON
    hidden = update.apply(today.assign(bike_count=today["bike_count"].mask(later)))
    wrong = update.apply(today.assign(bike_count=today["bike_count"].mask(later, 9999.0)))
    known = ["predicted_count", "lower", "upper", *QUANTILES, "busy_probability"]
    pd.testing.assert_frame_equal(hidden[known], wrong[known])


def test_a_sum_of_counters_moves_the_forecasts_of_no_other_counter() -> None:
    past, today = last_day(days_with(lasting=0.3))
    update = learn_day_update(past, NOON)
    assert update is not None
    own = today[today["counter_id"] == "5"].assign(counter_id="sum")
    both = pd.concat([today, own.assign(bike_count=own["bike_count"] * 3)], ignore_index=True)

    made = update.apply(both, sums={"sum"})

    columns = ["predicted_count", "lower", "upper", *QUANTILES]
    others = made[made["counter_id"] != "sum"]
    alone = update.apply(today)
    np.testing.assert_allclose(others[columns], alone[columns])
    # and is moved itself: by the city, and by what it counted beyond that
    more = made.loc[made["counter_id"] == "sum", "predicted_count"].to_numpy()
    assert (more > alone.loc[alone["counter_id"] == "5", "predicted_count"].to_numpy()).all()


def test_intervals_cover_nine_of_ten_counts_and_stay_in_order() -> None:
    past, _ = last_day(days_with(lasting=0.3))
    update = learn_day_update(past, NOON)
    assert update is not None
    fresh = days_with(lasting=0.3, seed=1)
    parts = [update.apply(rows) for _, rows in fresh.groupby("origin_at")]
    made = pd.concat(parts)
    inside = made["bike_count"].between(made["lower"], made["upper"])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)
    before = fresh.loc[made.index]
    assert (made["upper"] - made["lower"]).mean() < 0.8 * (before["upper"] - before["lower"]).mean()
    ordered = made[["lower", *QUANTILES, "upper"]].to_numpy()
    assert (np.diff(ordered, axis=1) >= 0).all()
    assert made["predicted_count"].between(made["lower"], made["upper"]).all()
    assert (made["lower"] >= 0).all()


def test_more_bikes_than_forecast_make_the_rest_of_the_day_busier() -> None:
    past, today = last_day(days_with(lasting=0.3))
    update = learn_day_update(past, NOON)
    assert update is not None
    more = update.apply(today.assign(bike_count=today["predicted_count"] * 1.3))
    fewer = update.apply(today.assign(bike_count=today["predicted_count"] * 0.7))
    assert (more["predicted_count"] > today.loc[more.index, "predicted_count"]).all()
    assert (more["busy_probability"] > 0.5).all()
    assert (fewer["busy_probability"] < 0.5).all()
    unknown = update.apply(today.assign(busy_threshold=np.nan))
    assert unknown["busy_probability"].isna().all()


def test_a_burst_of_the_night_moves_nothing_without_bounds() -> None:
    past, today = last_day(days_with(lasting=0.3))
    update = learn_day_update(past, NOON)
    assert update is not None
    made = update.apply(today.assign(bike_count=today["predicted_count"] * 1000))
    factor = made["predicted_count"] / today.loc[made.index, "predicted_count"]
    assert factor.max() <= 2 < LARGEST


def test_hours_without_a_count_or_a_forecast_are_left_out() -> None:
    past, today = last_day(days_with(lasting=0.3))
    update = learn_day_update(
        past.assign(bike_count=past["bike_count"].mask(past.index % 7 == 0)), NOON
    )
    assert update is not None
    nothing = update.apply(today.assign(bike_count=np.nan))
    before = today.loc[nothing.index, "predicted_count"]
    assert nothing["predicted_count"].to_numpy() == pytest.approx(before.to_numpy())


def test_nothing_is_learned_from_few_days_or_from_chance() -> None:
    days = days_with(lasting=0.3)
    few = days["origin_at"] < days["origin_at"].unique()[MIN_DAYS - 1]
    assert learn_day_update(days[few], NOON) is None
    assert learn_day_update(days.iloc[:0], NOON) is None
    assert learn_day_update(days_with(lasting=0.0), NOON) is None
