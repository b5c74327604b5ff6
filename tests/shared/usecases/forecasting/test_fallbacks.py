"""A counter that never counted: half its neighbours and half the city, but the neighbour alone on one pole."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.core.city import histories_of
from velocast.core.city.histories import VirtualSum
from velocast.usecases.forecasting.fallbacks import forecast_without_recent_counts
from velocast.usecases.forecasting.snapshot import History

AT = datetime(2025, 3, 10, tzinfo=UTC)
# Means of 10, 30 and 50 bikes, the same at every hour of the week: the city's median is 30.
MEANS = {"near": 50.0, "b": 10.0, "c": 30.0, "new": np.nan}


@pytest.mark.parametrize(
    ("metres_north", "expected"),
    [(500, 40.0), (30, 40.0), (10, 50.0)],
)
def test_the_city_has_no_say_on_the_pole_of_another_counter(
    metres_north: float, expected: float
) -> None:
    latitudes = [48.85 + metres_north / 111_195, 48.95, 49.05, 48.85]
    counters = pd.DataFrame(
        {"latitude": latitudes, "longitude": 2.35, "mean_count": MEANS.values()}, index=list(MEANS)
    )
    week = pd.DataFrame({slot: pd.Series(MEANS) for slot in range(168)})
    history = History(counters, week, week * 0.1, week, AT)
    hours = pd.DataFrame({"target_at": [pd.Timestamp(AT)], "lead_hours": 0, "lead_day": 0})
    made = forecast_without_recent_counts(hours, history, ["new"], ZoneInfo("Europe/Paris"))
    assert made["basis"].tolist() == ["neighbours"]
    assert made["predicted_count"].tolist() == pytest.approx([expected])


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
        history = History(
            counters.loc[rows], there, there * 0.1, there, AT, histories=histories_of([], [total])
        )
        return forecast_without_recent_counts(hours, history, ["new"], ZoneInfo("Europe/Paris"))

    alone = made(["near", "b", "c", "new"])
    assert alone["basis"].tolist() == ["city_profile"]
    pd.testing.assert_frame_equal(made(list(counters.index)), alone)
