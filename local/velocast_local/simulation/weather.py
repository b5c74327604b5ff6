"""Weather for the synthetic city, derived from the shocks in its counts.

The shocks are drawn first (simulation/city.py), and the weather is generated to match: rain when fewer people cycle,
warm and clear hours when more do. So it is as informative for a model as real weather.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast_local.simulation.autoregression import Floats, autocorrelated_noise

AHEAD_HOURS = 8 * 24  # forecasts from the last day reach beyond the counts
DAY_STD, SHOWER_STD = 0.22, 0.12
DAY_CORRELATION, SHOWER_CORRELATION = 0.6, 0.85
_RAIN_BELOW = -0.22  # hours with a lower shock have rain
_MM_A_SHOCK = 7.0


def draw_shocks(rng: np.random.Generator, day: npt.NDArray[np.int64]) -> Floats:
    """Draw the city's shocks, (hours, 2): of the day and of the hour, logarithms of their effect on the counts.

    day: number of the local day of each hour, starting at 0.
    """
    days = autocorrelated_noise(
        rng, (int(day[-1]) + 1, 1), correlation=DAY_CORRELATION, std=DAY_STD
    )
    showers = autocorrelated_noise(
        rng, (len(day), 1), correlation=SHOWER_CORRELATION, std=SHOWER_STD
    )
    return np.column_stack([days[day, 0], showers[:, 0]])


def weather_of(
    shocks: Floats, utc: pd.DatetimeIndex, local: pd.DatetimeIndex, seed: int
) -> pd.DataFrame:
    """Return weather that matches the shocks of the hours `utc`, continued for AHEAD_HOURS.

    shocks: (hours, 2) from `draw_shocks`. Returns time (UTC) and Open-Meteo's names and units, one row an hour; rain is
    given at the end of its hour.
    """
    rng = np.random.default_rng([seed, 1])
    shocks = np.vstack([shocks, _continued(rng, shocks[-1])])
    time = pd.date_range(utc[0], periods=len(utc) + AHEAD_HOURS, freq="h")
    clock = time.tz_convert(local.tz)
    day, shower = (shocks / (DAY_STD, SHOWER_STD)).T
    both = shocks.sum(axis=1)
    noise = autocorrelated_noise(rng, (len(time), 3), correlation=0.9, std=1.0)
    afternoon = np.cos(2 * np.pi * (clock.hour.to_numpy() - 15) / 24)
    summer = np.cos(2 * np.pi * (clock.dayofyear.to_numpy() - 200) / 365)
    cloud = np.clip(60 - 28 * day - 14 * shower + 10 * noise[:, 0], 0, 100)
    rain = np.maximum(_RAIN_BELOW - both, 0) * _MM_A_SHOCK
    warmth = 11.5 + 8 * summer + 4 * afternoon * (1 - cloud / 200) + 2.2 * day
    return pd.DataFrame(
        {
            "time": time.as_unit("ms"),
            "temperature_2m": (warmth + noise[:, 1]).round(1),
            "relative_humidity_2m": np.clip(
                74 - 8 * day - 10 * afternoon + 12 * (rain > 0), 20, 100
            )
            .round()
            .astype("float64"),
            "wind_speed_10m": np.maximum(13 - 3 * day + 4 * noise[:, 2], 0).round(1),
            "cloud_cover": cloud.round(),
            "precipitation": np.concatenate([[0.0], rain[:-1].round(2)]),
        }
    )


def _continued(rng: np.random.Generator, last: Floats) -> Floats:
    """Continue the shocks for AHEAD_HOURS, (AHEAD_HOURS, 2)."""
    hours = np.arange(1, AHEAD_HOURS + 1)
    days = autocorrelated_noise(
        rng, (AHEAD_HOURS // 24, 1), correlation=DAY_CORRELATION, std=DAY_STD
    )[:, 0]
    days = np.repeat(days + last[0] * DAY_CORRELATION ** np.arange(1, len(days) + 1), 24)
    showers = autocorrelated_noise(
        rng, (AHEAD_HOURS, 1), correlation=SHOWER_CORRELATION, std=SHOWER_STD
    )[:, 0]
    return np.column_stack([days, showers + last[1] * SHOWER_CORRELATION**hours])
