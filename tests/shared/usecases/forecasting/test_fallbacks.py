"""Forecasts of counters without enough counts for a model, in a made-up city whose week is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.usecases.forecasting import fallbacks
from velocast.usecases.forecasting.snapshot import RECENT_HOURS, History

ZONE = ZoneInfo("Europe/Paris")
ORIGIN = datetime(2025, 3, 2, 23, tzinfo=UTC)  # Monday 0:00 in Paris
RECENT_FROM = ORIGIN - timedelta(hours=RECENT_HOURS)
SHAPE = 20 + 15 * np.sin(np.arange(168) / 24 * 2 * np.pi)
LEVELS = {"a": 1.0, "b": 2.0, "c": 4.0, "new": 3.0}
CITY = 1.2  # lately everyone counts a fifth more than in the typical week


def horizon() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target_at": pd.date_range(ORIGIN, periods=120, freq="h"),
            "lead_hours": range(120),
            "lead_day": np.arange(120) // 24,
        }
    )


def made_history(*, hours: int, shape: np.ndarray = SHAPE) -> History:
    """Return a city of three counters with a typical week, and one that is new: known for so many hours."""
    names, known = list(LEVELS), list(LEVELS)[:3]
    typical = pd.DataFrame({name: LEVELS[name] * SHAPE for name in known}).T.reindex(names)
    slots = np.arange(RECENT_HOURS) % 168
    recent = pd.DataFrame({name: CITY * LEVELS[name] * SHAPE[slots] for name in known}).T
    own = CITY * LEVELS["new"] * shape[slots]
    own[: RECENT_HOURS - hours] = np.nan
    recent.loc["new"] = own
    counters = pd.DataFrame(
        {
            "latitude": [48.85, 48.86, 48.87, 48.855],
            "longitude": 2.35,
            "mean_count": [20.0, 40.0, 80.0, np.nanmean(own) if hours else np.nan],
        },
        index=names,
    )
    return History(counters, typical, 0.2 * typical, recent, RECENT_FROM)


def forecast(history: History) -> pd.DataFrame:
    return fallbacks.forecast_without_recent_counts(horizon(), history, ["new"], ZONE)


def test_a_counter_s_first_day_gives_its_level_within_a_tenth() -> None:
    made = forecast(made_history(hours=24))
    truth = CITY * LEVELS["new"] * SHAPE[:120]
    assert set(made["basis"]) == {"city_profile"}
    assert made["predicted_count"].to_numpy() == pytest.approx(truth, rel=0.1)
    assert (made["lower"] < truth).all()
    assert (made["upper"] > truth).all()


def test_its_own_hours_change_the_shape_of_the_city_s_week() -> None:
    by_night = np.roll(SHAPE, 12)
    made = forecast(made_history(hours=24, shape=by_night))["predicted_count"].to_numpy()
    expected = CITY * LEVELS["new"] * by_night[:120]
    assert np.corrcoef(made, expected)[0, 1] > 0.6
    assert np.corrcoef(made, SHAPE[:120])[0, 1] < 0


def test_without_counts_neighbours_and_city_are_scaled_to_what_the_city_counts_lately() -> None:
    made = forecast(made_history(hours=0))
    assert set(made["basis"]) == {"neighbours"}
    between = made["predicted_count"].to_numpy() / (CITY * SHAPE[:120])
    assert between == pytest.approx(np.full(120, between[0]))
    assert 1 < between[0] < 4
    usual = made_history(hours=0)
    steady = fallbacks.forecast_without_recent_counts(
        horizon(), History(**(vars(usual) | {"recent": usual.recent / CITY})), ["new"], ZONE
    )
    assert made["predicted_count"].to_numpy() == pytest.approx(CITY * steady["predicted_count"])


def test_counts_from_the_origin_on_change_nothing() -> None:
    """A snapshot's recent hours may end after the origin."""
    history = made_history(hours=24)
    later = History(**(vars(history) | {"recent_from": RECENT_FROM + timedelta(hours=3)}))
    changed = later.recent.copy()
    changed.iloc[:, -3:] = 9999.0
    after = History(**(vars(later) | {"recent": changed}))
    pd.testing.assert_frame_equal(forecast(later), forecast(after))


def test_a_counter_whose_week_is_all_zeros_stays_at_zero() -> None:
    history = made_history(hours=24)
    history.typical.loc["new"] = 0.0
    history.typical_spread.loc["new"] = 1.6
    made = forecast(history)
    assert set(made["basis"]) == {"typical_week"}
    assert (made["predicted_count"] == 0).all()
