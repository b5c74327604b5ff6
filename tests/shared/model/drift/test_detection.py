"""The test for drift: distances, thresholds, sampling, and what is missing."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from tests.shared.model.drift_counts import counted
from tests.shared.model.small_city import ZONE
from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.drift import detection
from velocast.model.drift.columns import drift_columns
from velocast.model.drift.detection import COLUMNS, DriftResult

LIMITS = Thresholds(drift_min_rows=1000, drift_sample_rows=50000, drift_column_threshold=0.1)
BEFORE = "the 28 days before"


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


@pytest.mark.parametrize("wet_hours", [0, 1, 19])
def test_rain_after_a_dry_month_is_not_compared(wet_hours: int) -> None:
    """A dry month has no deviation in which a distance could be measured: it came out as 10,048."""
    dry = period(THEN, seed=2)
    rain = np.zeros(len(dry))
    rain[: 28 * 24] = 0.0
    rain[:wet_hours] = 0.1
    rain[28 * 24 :] = np.nan
    found = detection.detect_drift(
        period(NOW, seed=1),
        dry.assign(precipitation_mm=rain),
        reference_name=BEFORE,
        thresholds=LIMITS,
    )
    assert isinstance(found, DriftResult)
    assert (found.share, found.drifted, found.missing) == (0.0, [], ["precipitation_mm"])


def test_nothing_that_varies_is_unknown() -> None:
    same = pd.DataFrame({"bike_count": np.zeros(2000)})
    found = detection.detect_drift(same, same, reference_name=BEFORE, thresholds=LIMITS)
    assert found == Unknown(reason=f"no column varies in the reference, {BEFORE}")
