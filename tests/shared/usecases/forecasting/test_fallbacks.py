"""Forecasts of counters without enough counts for a model, in a made-up city whose week is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.core.city import histories_of
from velocast.core.city.histories import VirtualSum
from velocast.usecases.forecasting.fallbacks import forecast_without_recent_counts
from velocast.usecases.forecasting.snapshot.counter_profiles import RECENT_HOURS, CounterProfiles

ZONE = ZoneInfo("Europe/Paris")
ORIGIN = datetime(2025, 3, 2, 23, tzinfo=UTC)  # Monday 0:00 in Paris
RECENT_FROM = ORIGIN - timedelta(hours=RECENT_HOURS)
SHAPE = 20 + 15 * np.sin(np.arange(168) / 24 * 2 * np.pi)
LEVELS = {"a": 1.0, "b": 2.0, "c": 4.0, "new": 3.0}
AT = datetime(2025, 3, 10, tzinfo=UTC)
# Means of 10, 30 and 50 bikes, the same at every hour of the week: the city's median is 30.
MEANS = {"near": 50.0, "b": 10.0, "c": 30.0, "new": np.nan}
CITY = 1.2  # lately everyone counts a fifth more than in the typical week


def horizon() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target_at": pd.date_range(ORIGIN, periods=120, freq="h"),
            "lead_hours": range(120),
            "lead_day": np.arange(120) // 24,
        }
    )


def made_profiles(*, hours: int, shape: np.ndarray = SHAPE) -> CounterProfiles:
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
    return CounterProfiles(counters, typical, 0.2 * typical, recent, RECENT_FROM)


def forecast(profiles: CounterProfiles) -> pd.DataFrame:
    return forecast_without_recent_counts(horizon(), profiles, ["new"], ZONE)


def test_a_counter_s_first_day_gives_its_level_within_a_tenth() -> None:
    made = forecast(made_profiles(hours=24))
    truth = CITY * LEVELS["new"] * SHAPE[:120]
    assert set(made["basis"]) == {"city_profile"}
    assert made["predicted_count"].to_numpy() == pytest.approx(truth, rel=0.1)
    assert (made["lower"] < truth).all()
    assert (made["upper"] > truth).all()


@pytest.mark.parametrize("bikes", [0.0, 6.0])
def test_two_hours_of_a_night_say_little_of_the_day(bikes: float) -> None:
    never = forecast(made_profiles(hours=0))
    profiles = made_profiles(hours=2)
    profiles.recent.loc["new", [RECENT_HOURS - 2, RECENT_HOURS - 1]] = bikes
    profiles.counters.loc["new", "mean_count"] = bikes
    made = forecast(profiles)
    assert set(made["basis"]) == {"city_profile"}
    assert made["predicted_count"].sum() > 0.3 * never["predicted_count"].sum()
    for each in (made, never):
        each["width"] = (each["upper"] - each["lower"]) / each["predicted_count"]
    assert (made["width"] > 0.9 * never["width"]).all()


@pytest.mark.parametrize("factor", [0.0, 50.0])
def test_a_city_that_sends_zeros_or_nonsense_moves_nothing_beyond_all_measure(
    factor: float,
) -> None:
    profiles = made_profiles(hours=0)
    broken = CounterProfiles(**(vars(profiles) | {"recent": profiles.recent * factor}))
    usual = CounterProfiles(**(vars(profiles) | {"recent": profiles.recent / CITY}))
    bikes = forecast(broken)["predicted_count"] / forecast(usual)["predicted_count"]
    assert bikes.between(0.29, 3.01).all()


def test_its_own_hours_change_the_shape_of_the_city_s_week() -> None:
    by_night = np.roll(SHAPE, 12)
    made = forecast(made_profiles(hours=24, shape=by_night))["predicted_count"].to_numpy()
    expected = CITY * LEVELS["new"] * by_night[:120]
    assert np.corrcoef(made, expected)[0, 1] > 0.6
    assert np.corrcoef(made, SHAPE[:120])[0, 1] < 0


def test_without_counts_neighbours_and_city_are_scaled_to_what_the_city_counts_lately() -> None:
    made = forecast(made_profiles(hours=0))
    assert set(made["basis"]) == {"neighbours"}
    between = made["predicted_count"].to_numpy() / (CITY * SHAPE[:120])
    assert between == pytest.approx(np.full(120, between[0]))
    assert 1 < between[0] < 4
    usual = made_profiles(hours=0)
    steady = forecast_without_recent_counts(
        horizon(), CounterProfiles(**(vars(usual) | {"recent": usual.recent / CITY})), ["new"], ZONE
    )
    assert made["predicted_count"].to_numpy() == pytest.approx(CITY * steady["predicted_count"])


def test_counts_from_the_origin_on_change_nothing() -> None:
    """A snapshot's recent hours may end after the origin."""
    profiles = made_profiles(hours=24)
    later = CounterProfiles(**(vars(profiles) | {"recent_from": RECENT_FROM + timedelta(hours=3)}))
    changed = later.recent.copy()
    changed.iloc[:, -3:] = 9999.0
    after = CounterProfiles(**(vars(later) | {"recent": changed}))
    pd.testing.assert_frame_equal(forecast(later), forecast(after))


def test_a_counter_whose_week_is_all_zeros_stays_at_zero() -> None:
    profiles = made_profiles(hours=24)
    profiles.typical.loc["new"] = 0.0
    profiles.typical_spread.loc["new"] = 1.6
    made = forecast(profiles)
    assert set(made["basis"]) == {"typical_week"}
    assert (made["predicted_count"] == 0).all()


@pytest.mark.parametrize(
    ("metres_north", "expected"),
    [(500, 35.76), (30, 37.86), (10, 50.0)],
)
def test_the_city_has_no_say_on_the_pole_of_another_counter(
    metres_north: float, expected: float
) -> None:
    latitudes = [48.85 + metres_north / 111_195, 48.95, 49.05, 48.85]
    counters = pd.DataFrame(
        {"latitude": latitudes, "longitude": 2.35, "mean_count": MEANS.values()}, index=list(MEANS)
    )
    week = pd.DataFrame({slot: pd.Series(MEANS) for slot in range(168)})
    profiles = CounterProfiles(counters, week, week * 0.1, week, AT)
    hours = pd.DataFrame({"target_at": [pd.Timestamp(AT)], "lead_hours": 0, "lead_day": 0})
    made = forecast_without_recent_counts(hours, profiles, ["new"], ZONE)
    assert made["basis"].tolist() == ["neighbours"]
    assert made["predicted_count"].tolist() == pytest.approx([expected], abs=0.01)


def test_a_sum_is_in_no_profile_and_no_level_of_the_city() -> None:
    """What a counter far from all others gets is the same with and without a sum of the others."""
    counters = pd.DataFrame(
        {"latitude": [48.0, 49.0, 50.0, 45.0, np.nan], "longitude": 2.35, "mean_count": 0.0},
        index=["near", "b", "c", "new", "sum"],
    )
    counters["mean_count"] = pd.Series(MEANS | {"sum": 90.0})
    means = counters["mean_count"]
    # the counters count alike at all hours, the sum only on Mondays
    week = pd.DataFrame(dict.fromkeys(range(168), means), index=counters.index)
    week.loc["sum", list(range(24, 168))] = 0.0
    total = VirtualSum(id="sum", name="Sum", counters=("near", "b", "c"))
    hours = pd.DataFrame({"target_at": [pd.Timestamp(AT)], "lead_hours": 0, "lead_day": 0})
    hours["target_at"] += pd.Timedelta(days=2)

    def made(rows: list[str]) -> pd.DataFrame:
        there = week.loc[rows]
        profiles = CounterProfiles(
            counters.loc[rows], there, there * 0.1, there, AT, histories=histories_of([], [total])
        )
        return forecast_without_recent_counts(hours, profiles, ["new"], ZONE)

    alone = made(["near", "b", "c", "new"])
    assert alone["basis"].tolist() == ["city_profile"]
    pd.testing.assert_frame_equal(made(list(counters.index)), alone)
