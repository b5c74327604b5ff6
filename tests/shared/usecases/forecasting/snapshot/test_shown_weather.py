"""The weather that the snapshot shows."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from tests.shared.usecases.serving import snapshots
from velocast.core.city import load_city
from velocast.usecases.forecasting.snapshot.shown_weather import shown_weather
from velocast.usecases.snapshot_format import WeatherCard

CITY = load_city("demoville")
HOURS = pd.to_datetime(list(snapshots.HOURS[:3]))


def forecasts(**columns: list[float | None]) -> pd.DataFrame:
    one = pd.DataFrame({"target_at": HOURS, **columns})
    return pd.concat([one.assign(counter_id=name) for name in ("a", "b")], ignore_index=True)


def test_each_hour_has_its_weather_once() -> None:
    shown = shown_weather(
        CITY, forecasts(temperature=[4.26, None, -1.0], rain=[0.0, None, 2.345])[::-1]
    )

    assert CITY.weather is not None
    assert shown == WeatherCard(
        temperature_c=(4.3, None, -1.0),
        rain_mm=(0.0, None, 2.3),
        attribution=CITY.weather.attribution,
        attribution_url=CITY.weather.attribution_url,
        licence=CITY.weather.licence,
        licence_url=CITY.weather.licence_url,
    )


def test_without_known_weather_none_is_shown() -> None:
    assert shown_weather(CITY, forecasts(temperature=[None] * 3, rain=[None] * 3)) is None
    assert shown_weather(CITY, forecasts()) is None
    without = CITY.model_copy(update={"weather": None})
    assert shown_weather(without, forecasts(temperature=[1.0] * 3, rain=[0.0] * 3)) is None


def test_a_snapshot_has_weather_for_each_hour_or_none() -> None:
    card = snapshots.weather()
    assert snapshots.snapshot(1, weather=card).weather == card
    short = card.model_copy(update={"rain_mm": (0.0,)})
    with pytest.raises(ValidationError, match="weather: rain_mm has 1 values, 120 are needed"):
        snapshots.snapshot(1, weather=short)
