"""A counter that never counted: half its neighbours and half the city, but the neighbour alone on one pole."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

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
