from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from tests.shared.model.small_city import ZONE
from velocast.core.datetimes import start_of_local_day
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.drift import detection
from velocast.model.drift.columns import choose_reference, drift_columns
from velocast.model.drift.detection import COLUMNS, DriftResult

LIMITS = Thresholds(drift_min_rows=1000, drift_sample_rows=50000, drift_column_threshold=0.1)
BEFORE = "the 28 days before"


def counted(first: date, days: int, *, seed: int, night: float = 1.0) -> pd.DataFrame:
    """Six counters with a daily rhythm; weekends at half, local nights times `night`."""
    random = np.random.default_rng(seed)
    begin, end = (start_of_local_day(first + timedelta(days=n), ZONE) for n in (0, days))
    hours = pd.date_range(begin, end, freq="h", inclusive="left")
    local = hours.tz_convert(ZONE)
    rhythm = 30 + 25 * np.sin((local.hour.to_numpy() - 8) / 24 * 2 * np.pi)
    rhythm = rhythm * np.where(local.dayofweek >= 5, 0.5, 1.0)
    rhythm = rhythm * np.where(local.hour.isin([22, 23, 0, 1, 2, 3, 4]), night, 1.0)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "counter_id": f"c{n}",
                    "counted_at": hours,
                    "bike_count": random.poisson(rhythm * n),
                }
            )
            for n in range(1, 7)
        ],
        ignore_index=True,
    )


def weather(first: date, days: int, *, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temperature_c": random.normal(12, 4, days * 24),
            "precipitation_mm": random.exponential(0.2, days * 24),
        }
    )


def period(first: date, *, seed: int, night: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    counts = counted(first, 28, seed=seed, night=night)
    errors = counts.assign(predicted_count=counts["bike_count"] * 1.2 + shift)
    return drift_columns(counts, zone=ZONE, weather=weather(first, 28, seed=seed), errors=errors)


NOW, THEN = date(2021, 6, 7), date(2021, 5, 10)


def test_columns_of_a_small_period_by_hand() -> None:
    monday = start_of_local_day(date(2021, 6, 7), ZONE)
    hours = [monday + timedelta(hours=n) for n in range(7 * 24)]
    counts = pd.DataFrame({"counter_id": "c", "counted_at": hours, "bike_count": 2})
    counts.loc[5 * 24 :, "bike_count"] = 1  # the weekend
    counts.loc[7:9, "bike_count"] = 16  # Monday morning
    found = drift_columns(
        counts,
        zone=ZONE,
        weather=pd.DataFrame({"temperature_c": [1.0, None], "precipitation_mm": [None, None]}),
        errors=pd.DataFrame({"bike_count": [3.0, 5.0], "predicted_count": [4.0, 2.0]}),
    )
    assert list(found.columns) == [name for name in COLUMNS if name != "precipitation_mm"]
    mean = (5 * 24 * 2 + 3 * 14 + 48) / 168
    assert found["bike_count"].tolist() == counts["bike_count"].tolist()
    assert found["relative_count"].tolist() == pytest.approx((counts["bike_count"] / mean).tolist())
    monday_total, weekday, weekend = 24 * 2 + 3 * 14, 24 * 2, 24
    assert found["morning_share"].dropna().tolist() == pytest.approx(
        [48 / monday_total] + [6 / weekday] * 4 + [3 / weekend] * 2
    )
    assert found["night_share"].dropna().tolist() == pytest.approx(
        [14 / monday_total] + [14 / weekday] * 4 + [7 / weekend] * 2
    )
    assert found["weekend_ratio"].dropna().tolist() == pytest.approx([1 / ((5 * 48 + 42) / 120)])
    assert found["temperature_c"].dropna().tolist() == [1.0]
    assert found["absolute_error"].dropna().tolist() == [1.0, 3.0]


def test_days_and_weeks_that_are_not_whole_have_no_share() -> None:
    counts = counted(NOW, 1, seed=1).query("counter_id == 'c1'").head(19)
    assert list(drift_columns(counts, zone=ZONE).columns) == ["bike_count", "relative_count"]
    silent = counted(NOW, 7, seed=1).assign(bike_count=0)
    assert list(drift_columns(silent, zone=ZONE).columns) == ["bike_count"]
    assert drift_columns(silent.head(0), zone=ZONE).empty


@pytest.mark.parametrize(
    ("history_first", "first", "last", "name"),
    [
        (date(2020, 6, 8), date(2020, 6, 8), date(2020, 7, 5), "the same weeks a year earlier"),
        (date(2020, 6, 9), date(2021, 5, 10), date(2021, 6, 6), BEFORE),
    ],
)
def test_the_reference_is_last_year_where_the_history_reaches(
    history_first: date, first: date, last: date, name: str
) -> None:
    found = choose_reference(last_day=date(2021, 7, 4), history_first=history_first, days=28)
    assert (found.first, found.last, found.name) == (first, last, name)
    assert found.first.weekday() == date(2021, 6, 7).weekday()


def test_the_reference_s_bounds_are_local_days() -> None:
    found = choose_reference(last_day=date(2021, 4, 24), history_first=date(2021, 1, 1), days=28)
    assert found.bounds(ZONE) == (
        datetime(2021, 2, 27, 23, tzinfo=UTC),
        datetime(2021, 3, 27, 23, tzinfo=UTC),
    )


@pytest.fixture(scope="module")
def ordinary() -> DriftResult:
    found = detection.detect_drift(
        period(NOW, seed=1), period(THEN, seed=2), reference_name=BEFORE, thresholds=LIMITS
    )
    assert isinstance(found, DriftResult)
    return found


def test_two_ordinary_periods_do_not_drift(ordinary: DriftResult) -> None:
    assert (ordinary.share, ordinary.drifted, ordinary.missing) == (0.0, [], [])
    assert list(ordinary.columns) == list(COLUMNS)
    assert ordinary.reference == BEFORE


def test_distances_are_wasserstein_s_over_the_reference_s_deviation(ordinary: DriftResult) -> None:
    current, reference = period(NOW, seed=1), period(THEN, seed=2)
    expected = {
        name: wasserstein_distance(current[name].dropna(), reference[name].dropna())
        / np.std(reference[name].dropna())
        for name in COLUMNS
    }
    assert ordinary.columns == pytest.approx(expected, rel=1e-6)


def test_the_report_is_a_page_and_json(ordinary: DriftResult) -> None:
    assert b"<html" in ordinary.html
    metrics = json.loads(ordinary.json)["metrics"]
    drifted = {
        m["config"]["column"]: m["config"]["threshold"] for m in metrics if "column" in m["config"]
    }
    assert drifted == detection.column_thresholds(LIMITS)


def test_busier_nights_and_worse_forecasts_are_named_and_missing_columns_reported() -> None:
    current = period(NOW, seed=1, night=6.0, shift=80.0).drop(columns="temperature_c")
    reference = period(THEN, seed=2)
    reference["precipitation_mm"] = reference["precipitation_mm"].where(reference.index < 19)
    found = detection.detect_drift(current, reference, reference_name=BEFORE, thresholds=LIMITS)
    assert isinstance(found, DriftResult)
    assert {"night_share", "absolute_error"} <= set(found.drifted)
    assert found.missing == ["temperature_c", "precipitation_mm"]
    assert found.share == len(found.drifted) / len(found.columns)


def test_a_large_period_is_sampled_the_same_every_time() -> None:
    current, reference = period(NOW, seed=1), period(THEN, seed=2)
    limits = LIMITS.model_copy(update={"drift_sample_rows": 1200})
    first, second = (
        detection.detect_drift(current, reference, reference_name=BEFORE, thresholds=limits)
        for _ in range(2)
    )
    assert isinstance(first, DriftResult)
    assert isinstance(second, DriftResult)
    assert first.columns == second.columns


@pytest.mark.parametrize(
    ("current_rows", "reference_rows", "reason"),
    [
        (999, 2000, "999 usable counts in the current period; 1000 are needed"),
        (1000, 999, "999 usable counts in the reference, the 28 days before; 1000 are needed"),
        (0, 0, "0 usable counts in the current period; 1000 are needed"),
    ],
)
def test_too_few_counts_are_unknown(current_rows: int, reference_rows: int, reason: str) -> None:
    found = detection.detect_drift(
        drift_columns(counted(NOW, 28, seed=1).head(current_rows), zone=ZONE),
        drift_columns(counted(THEN, 28, seed=1).head(reference_rows), zone=ZONE),
        reference_name=BEFORE,
        thresholds=LIMITS,
    )
    assert found == Unknown(reason=reason)
