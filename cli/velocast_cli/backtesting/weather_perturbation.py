"""Turn observed weather into forecasts with realistic errors.

A replay or a backtest only has observations. Scores that use them as if they had been forecast are an upper bound. The
forecasts made here have errors like real ones: they grow with every hour ahead, are correlated over hours, and are
drawn jointly for all variables. Rain and cloud are as uncertain as published verification says
(docs/adr/0008-weather.md): rain a day ahead by the Bureau of Meteorology (2008) and of ALADIN over France (1998), cloud
by Ye and Chen (2013).
"""

from __future__ import annotations

from datetime import datetime
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast.core.weather_variables import VALUES, VARIABLES
from velocast.model.arrays import Floats

HORIZON_HOURS = 16 * 24  # hourly forecasts reach no further
HOURS_A_DAY = 24.0
# Standard error at issue, and the increase for each day ahead. Temperature: 1.0 degree on the first day, 2.3 on the
# fifth, which matches what weather services publish. The error of wind is relative to its speed. Those of humidity and
# cloud are without what they share with the error of rain (_PER_WETNESS).
_ERROR_STD = {
    "temperature_c": (0.8, 0.34),
    "wind_kmh": (0.16, 0.045),
    "humidity_pct": (5.0, 1.3),
    "cloud_pct": (32.0, 3.0),
}
# What an error of wetness by 1 (see _wetness) means below a trace of rain; above it, air and sky are as damp in a
# drizzle as in a downpour. Chosen on a year of Paris, so that neither says more about the true rain than the
# forecast rain does.
_PER_WETNESS = {"humidity_pct": 4.0, "cloud_pct": 13.0}
# Correlation of a variable's error with that of another, beside what _PER_WETNESS implies.
_SHARED_ERROR = {
    "temperature_c": ("precipitation_mm", -0.3),  # rain that was not forecast cools
    "wind_kmh": ("precipitation_mm", 0.15),
    "humidity_pct": ("temperature_c", -0.5),  # warmer air is relatively drier
}
_CORRELATION_HOURS = {
    "temperature_c": 18.0,
    "precipitation_mm": 8.0,
    "wind_kmh": 10.0,
    "humidity_pct": 14.0,
    "cloud_pct": 8.0,
}
# Correlation of forecast and observed wetness at issue, and the days after which it has fallen to 1/e of that.
_RAIN_AGREEMENT, _RAIN_AGREEMENT_DAYS = 0.77, 12.0
_TRACE_MM = 0.05  # less than this is not rain
_USUAL_WETNESS, _WETNESS_STD = -4.5, 1.55  # of the scale in _wetness, over a year's hours
_AMOUNT_STRETCH = 1.2  # of the scale above a trace, so that as much rain is forecast as falls
_LIGHT_AIR_KMH = 4.0  # added to the speed, so that a calm has a forecast error too
_UNKNOWN_CLOUD, _UNKNOWN_HUMIDITY = 66.0, 75.0


def observed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return observations with Open-Meteo's names in the warehouse's columns.

    rows: (hours, any) with time (UTC, every hour once) and the names in VARIABLES, in their units. Returns valid_at and
    VALUES by hour. Rain, which Open-Meteo gives at the end of its hour, moves to the start. Raises ValueError for a
    missing column or a repeated hour.
    """
    if missing := {"time", *(v.api for v in VARIABLES.values())} - set(rows.columns):
        raise ValueError(f"weather: no column {sorted(missing)}; has {list(rows)}")
    hours = rows.set_index(pd.DatetimeIndex(pd.to_datetime(rows["time"], utc=True)).as_unit("us"))
    if not hours.index.is_unique:
        first = hours.index[hours.index.duplicated()][0]
        raise ValueError(f"weather: hour {first:%Y-%m-%d %H:%MZ} is repeated; give every hour once")
    hours = hours.sort_index().asfreq("h")
    result = pd.DataFrame({"valid_at": hours.index})
    for name, variable in VARIABLES.items():
        values = hours[variable.api].astype("float64")
        result[name] = values.shift(-1 if variable.after_the_hour else 0).to_numpy()
    return result


def perturbed(observed: pd.DataFrame, *, issued_at: datetime, seed: int = 0) -> pd.DataFrame:
    """Return observed weather as a forecast issued at `issued_at` (aware), with realistic errors.

    observed: (hours, any) with valid_at (aware, start of the hour, any order) and VALUES in the warehouse's units;
    NaN stays NaN. Returns valid_at and VALUES with its index. Hours that began before `issued_at` are returned as
    observed. The errors of later hours depend only on seed, issued_at and the hours ahead, so all slices of one
    forecast agree. Raises ValueError for an hour HORIZON_HOURS or more ahead, a naive `issued_at`, or a missing column.
    """
    ahead = _hours_ahead(observed, issued_at)
    rng = np.random.default_rng([seed, int(issued_at.timestamp())])
    draws = _joint({name: _draws(rng, name) for name in VALUES})
    future = ahead >= 0
    days = ahead[future] / HOURS_A_DAY
    # one frame at the end, because this runs once for every origin
    columns = {name: observed[name].to_numpy("float64", copy=True) for name in VALUES}
    hours = {name: values[future] for name, values in columns.items()}
    drawn = {name: draws[name][ahead[future]] for name in VALUES}
    for name, values in _forecast(hours, drawn, days).items():
        columns[name][future] = values
    return pd.DataFrame({"valid_at": observed["valid_at"], **columns}, index=observed.index)


def _hours_ahead(observed: pd.DataFrame, issued_at: datetime) -> npt.NDArray[np.int64]:
    """Return the whole hours from issue to each hour, (hours,); negative for hours that had begun."""
    if missing := {"valid_at", *VALUES} - set(observed.columns):
        raise ValueError(f"observed weather: no column {sorted(missing)}; has {list(observed)}")
    if issued_at.tzinfo is None:
        raise ValueError(f"issued_at {issued_at} has no time zone; pass an aware datetime")
    since = (observed["valid_at"] - issued_at) / pd.Timedelta(hours=1)
    ahead: npt.NDArray[np.int64] = np.floor(since.to_numpy()).astype("int64")
    if len(ahead) and ahead.max() >= HORIZON_HOURS:
        raise ValueError(
            f"weather {ahead.max()} h after {issued_at}: forecasts reach only {HORIZON_HOURS} h"
        )
    return ahead


def _draws(rng: np.random.Generator, name: str) -> Floats:
    """Draw errors of one variable with standard deviation 1 and its autocorrelation, (HORIZON_HOURS,).

    The correlation is exp(-hours apart / _CORRELATION_HOURS).
    """
    drawn = rng.standard_normal(HORIZON_HOURS)
    kept = float(np.exp(-1 / _CORRELATION_HOURS[name]))
    drawn[1:] *= np.sqrt(1 - kept**2)
    # to the last bit what scipy.signal.lfilter returns, whose import takes a second of CPU
    return np.array(list(accumulate(drawn.tolist(), lambda before, new: new + kept * before)))


def _joint(draws: dict[str, Floats]) -> dict[str, Floats]:
    """Return draws that are correlated over the variables too (_SHARED_ERROR), still with standard deviation 1."""
    made = {"precipitation_mm": draws["precipitation_mm"]}
    for name, (other, share) in _SHARED_ERROR.items():
        made[name] = share * made[other] + np.sqrt(1 - share**2) * draws[name]
    return draws | made


def _forecast(
    hours: dict[str, Floats], drawn: dict[str, Floats], days: Floats
) -> dict[str, Floats]:
    """Return forecasts of hours `days` ahead.

    Rain that is missed is missed by humidity and cloud as well: a forecast of dry weather with the humidity of the
    rain that came would betray it to a model.
    """
    missed = {name: (at + more * days) * drawn[name] for name, (at, more) in _ERROR_STD.items()}
    wetness = _wetness(hours)
    expected = _forecast_wetness(wetness, drawn["precipitation_mm"], days)
    above = expected - np.log(_TRACE_MM)
    damper = np.minimum(above, 0) - np.minimum(wetness - np.log(_TRACE_MM), 0)
    for name, slope in _PER_WETNESS.items():
        missed[name] = missed[name] + slope * np.nan_to_num(damper)
    amount = _TRACE_MM * np.exp(_AMOUNT_STRETCH * above)
    wind = hours["wind_kmh"]
    return {
        "temperature_c": hours["temperature_c"] + missed["temperature_c"],
        "precipitation_mm": np.where(above < 0, 0.0, amount),  # NaN stays NaN
        "wind_kmh": np.maximum(wind + missed["wind_kmh"] * (wind + _LIGHT_AIR_KMH), 0.0),
        "humidity_pct": np.clip(hours["humidity_pct"] + missed["humidity_pct"], 0.0, 100.0),
        "cloud_pct": np.clip(hours["cloud_pct"] + missed["cloud_pct"], 0.0, 100.0),
    }


def _wetness(hours: dict[str, Floats]) -> Floats:
    """Return all hours on one scale, the logarithm of the rain (mm).

    Dry hours are below the rainy ones: the clearer the sky and the drier the air, the lower. NaN where rain is unknown.
    """
    rain = hours["precipitation_mm"]
    clear = 1 - np.nan_to_num(hours["cloud_pct"], nan=_UNKNOWN_CLOUD) / 100
    dry_air = 1 - np.nan_to_num(hours["humidity_pct"], nan=_UNKNOWN_HUMIDITY) / 100
    dry = np.log(_TRACE_MM) - 0.5 - 1.2 * clear - 3.0 * dry_air
    return np.where(rain < _TRACE_MM, dry, np.log(np.maximum(rain, _TRACE_MM)))


def _forecast_wetness(wetness: Floats, drawn: Floats, days: Floats) -> Floats:
    """Return forecast wetness: it misses showers and expects some in dry hours, more likely in damp and cloudy ones.

    As skill falls with the lead time, wetness regresses to its usual value plus noise, so the fifth day has as much
    forecast rain as the first, but at other hours.
    """
    known = _RAIN_AGREEMENT * np.exp(-days / _RAIN_AGREEMENT_DAYS)
    unknown = np.sqrt(1 - known**2) * _WETNESS_STD
    return _USUAL_WETNESS + known * (wetness - _USUAL_WETNESS) + unknown * drawn
