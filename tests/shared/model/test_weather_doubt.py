"""Observed weather made uncertain: errors grow with the hours ahead, come in runs, and are the same again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from velocast.model.weather_doubt import HORIZON_HOURS, VALUES, perturbed

ISSUED_AT = datetime(2025, 3, 1, 23, tzinfo=UTC)


def weather(first: datetime, hours: int) -> pd.DataFrame:
    """A mild, changeable spell: every sixth hour is wet."""
    n = np.arange(hours)
    return pd.DataFrame(
        {
            "valid_at": pd.date_range(first, periods=hours, freq="h"),
            "temperature_c": 12 + 5 * np.sin(n / 24 * 2 * np.pi),
            "precipitation_mm": np.where(n % 6 == 0, 0.8, 0.0),
            "wind_kmh": 10 + n % 7,
            "humidity_pct": 75.0,
            "cloud_pct": np.where(n % 6 == 0, 95.0, 50.0),
        }
    )


def many(days: int) -> pd.DataFrame:
    """Forecasts of the same 120 hours issued with `days` seeds: error and hours ahead."""
    observed = weather(ISSUED_AT, 120)
    parts = [perturbed(observed, issued_at=ISSUED_AT, seed=seed) for seed in range(days)]
    missed = [part[list(VALUES)] - observed[list(VALUES)] for part in parts]
    return pd.concat([m.assign(day=np.arange(120) // 24) for m in missed])


def test_the_past_is_as_observed() -> None:
    observed = weather(ISSUED_AT - timedelta(hours=48), 72)
    found = perturbed(observed, issued_at=ISSUED_AT)
    pd.testing.assert_frame_equal(found[:48], observed.astype(found.dtypes.to_dict())[:48])
    assert (found["temperature_c"][48:] != observed["temperature_c"][48:]).all()


@pytest.mark.parametrize("name", ["temperature_c", "wind_kmh", "humidity_pct", "cloud_pct"])
def test_errors_grow_with_every_day_ahead(name: str) -> None:
    spread = many(60).groupby("day")[name].std()
    assert spread.is_monotonic_increasing
    assert spread.iloc[-1] > 1.3 * spread.iloc[0]


def test_temperature_errs_as_weather_services_say() -> None:
    spread = many(200).groupby("day")["temperature_c"].std()
    assert spread.iloc[0] == pytest.approx(1.0, abs=0.15)
    assert spread.iloc[4] == pytest.approx(2.3, abs=0.3)


def test_errors_come_in_runs_of_hours() -> None:
    missed = many(60)["temperature_c"].to_numpy().reshape(60, 120)
    assert np.corrcoef(missed[:, :-1].ravel(), missed[:, 1:].ravel())[0, 1] > 0.9


def test_rain_agrees_less_with_every_day_and_is_not_used_up() -> None:
    observed = weather(ISSUED_AT, 120)
    parts = [perturbed(observed, issued_at=ISSUED_AT, seed=seed) for seed in range(150)]
    rain = np.stack([part["precipitation_mm"].to_numpy() for part in parts])
    wet, day = observed["precipitation_mm"].to_numpy() > 0, np.arange(120) // 24
    hits = [float((rain[:, wet & (day == d)] > 0).mean()) for d in (0, 4)]
    false = [float((rain[:, ~wet & (day == d)] > 0).mean()) for d in (0, 4)]
    assert hits[0] > 0.8 > hits[1] > false[1] > false[0]
    assert (rain >= 0).all()


def test_values_stay_possible() -> None:
    observed = weather(ISSUED_AT, 240).assign(humidity_pct=99.0, cloud_pct=1.0, wind_kmh=0.0)
    found = perturbed(observed, issued_at=ISSUED_AT)
    assert found["humidity_pct"].between(0, 100).all()
    assert found["cloud_pct"].between(0, 100).all()
    assert (found["wind_kmh"] >= 0).all()


def test_any_slice_of_a_forecast_agrees_with_the_whole() -> None:
    observed = weather(ISSUED_AT, 120)
    whole = perturbed(observed, issued_at=ISSUED_AT, seed=3)
    part = perturbed(observed[30:50], issued_at=ISSUED_AT, seed=3)
    pd.testing.assert_frame_equal(part, whole[30:50])


def test_another_seed_or_issue_is_another_forecast() -> None:
    observed = weather(ISSUED_AT, 24)
    first = perturbed(observed, issued_at=ISSUED_AT, seed=3)
    again = perturbed(observed, issued_at=ISSUED_AT, seed=3)
    other = perturbed(observed, issued_at=ISSUED_AT, seed=4)
    later = perturbed(observed, issued_at=ISSUED_AT - timedelta(hours=24), seed=3)
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["temperature_c"], other["temperature_c"])
    assert not np.allclose(first["temperature_c"], later["temperature_c"])


def test_what_was_not_observed_is_not_made_up() -> None:
    observed = weather(ISSUED_AT, 24)
    observed.loc[3, ["precipitation_mm", "cloud_pct"]] = np.nan
    observed.loc[5, "cloud_pct"] = np.nan
    found = perturbed(observed, issued_at=ISSUED_AT)
    assert found.loc[3, ["precipitation_mm", "cloud_pct"]].isna().all()
    assert found.loc[5, ["precipitation_mm", "temperature_c"]].notna().all()


def test_nothing_gives_nothing() -> None:
    assert perturbed(weather(ISSUED_AT, 24)[:0], issued_at=ISSUED_AT).empty


@pytest.mark.parametrize(
    ("observed", "issued_at", "match"),
    [
        (weather(ISSUED_AT, HORIZON_HOURS + 1), ISSUED_AT, "384 h after .* reach 384 h"),
        (weather(ISSUED_AT, 3), datetime(2025, 3, 1), "has no zone"),
        (weather(ISSUED_AT, 3).drop(columns="wind_kmh"), ISSUED_AT, r"no column \['wind_kmh'\]"),
    ],
)
def test_refusals(observed: pd.DataFrame, issued_at: datetime, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        perturbed(observed, issued_at=issued_at)
