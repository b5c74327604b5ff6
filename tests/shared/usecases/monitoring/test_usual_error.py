"""The error of the forecasts that were in force around the same weeks a year earlier."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import AS_OF, UNTIL
from velocast.core.city import load_city
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.usecases.monitoring.usual_error import usual_wape

pytestmark = pytest.mark.usefixtures("warehouse_tables")
DAY = timedelta(days=1)
# Four weeks around the seven days before 2024-03-11, which is 52 weeks before the day of AS_OF.
AROUND_A_YEAR_AGO = UNTIL - 364 * DAY + 14 * DAY
LENGTH = 35


def usual(counters: int = 4) -> float | Unknown:
    return usual_wape(
        small_city.warehouse(),
        load_city("demoville"),
        Thresholds(),
        as_of=AS_OF,
        counters=counters,
    )


def forecast(days: int, *, error: float, until: date = AROUND_A_YEAR_AGO) -> pd.DataFrame:
    city = small_city.make(counters=4, days=70, until=AROUND_A_YEAR_AGO + 14 * DAY)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=days, error=error, until=until)
    return city


def test_it_is_the_wape_of_these_weeks_and_of_no_others() -> None:
    forecast(LENGTH, error=0.05)
    forecast(14, error=0.8, until=AROUND_A_YEAR_AGO - LENGTH * DAY)
    forecast(14, error=0.8, until=AROUND_A_YEAR_AGO + 14 * DAY)

    assert usual() == pytest.approx(0.05)


def test_too_few_days_or_counters_are_unknown() -> None:
    forecast(13, error=0.05)
    few_days = usual()
    forecast(LENGTH, error=0.05)
    few_counters = usual(counters=9)

    assert isinstance(few_days, Unknown)
    assert "of 13 days have a count" in few_days.reason
    assert isinstance(few_counters, Unknown)
    assert "4 of 9 counters had forecasts" in few_counters.reason
