"""MSTL and AutoETS of statsforecast: one model for each counter, fitted at every origin, with their own intervals.

`python -m benchmarks.forecasters.statsforecast_models MSTL` (or AutoETS). Fitting cannot be separated from
forecasting, so all time is reported as forecasting.
"""

from __future__ import annotations

import sys
from functools import partial

import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import MSTL, AutoETS

from benchmarks.forecasters.protocol import Asked, as_forecasts, complete_series, serve

# The model, and the weeks of history that it is fitted on: more of them take longer and gain nothing.
MODELS = {
    "MSTL": (MSTL(season_length=[24, 168]), 12),
    "AutoETS": (AutoETS(season_length=24), 4),  # more than 24 seasons are not supported
}
LEAST_WEEKS = 3  # MSTL needs more than two of its longest season


def forecast(name: str, asked: Asked) -> pd.DataFrame:
    """Fit each counter's last weeks and forecast it."""
    model, weeks = MODELS[name]
    series = complete_series(asked, weeks)
    hours = series.groupby("unique_id")["y"].transform("size")
    series = series[hours >= LEAST_WEEKS * 168]
    made = StatsForecast(models=[model], freq="h").forecast(
        df=series[["unique_id", "ds", "y"]], h=asked.hours, level=[90]
    )
    return as_forecasts(made, name)


if __name__ == "__main__":
    serve(partial(forecast, sys.argv[1]))
