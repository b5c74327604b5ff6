"""The weather that the snapshot shows: that of the forecast hours, as it was known at their origin."""

from __future__ import annotations

import pandas as pd

from velocast.core.city import City
from velocast.usecases.snapshot_format import WeatherCard


def shown_weather(city: City, forecasts: pd.DataFrame) -> WeatherCard | None:
    """Return the weather of each hour; None for a city without weather, and where no hour's is known.

    forecasts: target_at, and temperature (°C) and rain (mm) of that hour or NaN, the same for all counters.
    """
    hourly = forecasts.drop_duplicates("target_at").sort_values("target_at")
    values = hourly.reindex(columns=["temperature", "rain"]).astype("float64")
    if city.weather is None or values["temperature"].isna().all():
        return None
    return WeatherCard(
        temperature_c=_rounded(values["temperature"]),
        rain_mm=_rounded(values["rain"]),
        attribution=city.weather.attribution,
        attribution_url=city.weather.attribution_url,
        licence=city.weather.licence,
        licence_url=city.weather.licence_url,
    )


def _rounded(values: pd.Series[float]) -> tuple[float | None, ...]:
    return tuple(None if pd.isna(value) else round(value, 1) for value in values)
