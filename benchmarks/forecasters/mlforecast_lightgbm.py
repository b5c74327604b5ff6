"""mlforecast with LightGBM and conformal intervals, set up as in its guide: one model for all counters.

Hours that nobody counted enter the lags, filled (`complete_series`), and weigh nothing in training. Conformal intervals
need WINDOWS horizons of history, so a younger counter gets no forecast.
"""

from __future__ import annotations

from typing import Any

import lightgbm
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean, SeasonalRollingMean
from mlforecast.utils import PredictionIntervals

from benchmarks.forecasters.protocol import WEEK, Asked, as_forecasts, complete_series, serve

MODEL = "lightgbm"
LAGS = [1, 2, 24, 48, 72, 168, 336]
LONGEST_LAG = 5 * WEEK  # four weeks of the same hour, from a week back
WINDOWS = 10  # as in the guide
HORIZON = 5 * 24 + 1  # the longest: five days, one of them with 25 hours


class LightGBM:
    """A forecaster that is trained when the backtest trains its own models."""

    def __init__(self) -> None:
        """Start untrained."""
        self.model: MLForecast | None = None
        self.counters: set[str] = set()
        self.known_until = pd.Timestamp.min

    def forecast(self, asked: Asked) -> pd.DataFrame:
        """Forecast recursively from the counts before the origin."""
        if asked.retrain or self.model is None:
            with asked.fitting():
                self.fit(asked)
        else:
            recent = complete_series(asked, weeks=5)
            new = (recent["ds"] >= self.known_until) & recent["unique_id"].isin(self.counters)
            self.model.update(recent.loc[new, ["unique_id", "ds", "y"]])
        self.known_until = asked.origin
        assert self.model is not None
        made = self.model.predict(asked.hours, level=[90])
        return as_forecasts(made[made["ds"].isin(asked.targets)].reset_index(drop=True), MODEL)

    def fit(self, asked: Asked) -> None:
        """Train on all known counts."""
        series = complete_series(asked)
        hours = series.groupby("unique_id")["y"].transform("size")
        series = series[hours > LONGEST_LAG + WINDOWS * HORIZON]
        self.counters = set(series["unique_id"])
        self.model = MLForecast(
            models={MODEL: lightgbm.LGBMRegressor(random_state=0, verbosity=-1)},
            freq="h",
            lags=LAGS,
            lag_transforms={
                1: [RollingMean(24), RollingMean(WEEK)],
                24: [RollingMean(WEEK), SeasonalRollingMean(season_length=24, window_size=7)],
                WEEK: [SeasonalRollingMean(season_length=WEEK, window_size=4)],
            },
            date_features=date_features(asked.zone, asked.holidays),
            num_threads=2,
        )
        self.model.fit(
            series.assign(weight=series["counted"].astype("float64")).drop(columns="counted"),
            static_features=[],
            weight_col="weight",
            prediction_intervals=PredictionIntervals(n_windows=WINDOWS, h=HORIZON),
        )


def date_features(zone: str, holidays: list[str]) -> list[Any]:
    """Return local hour, weekday and public holiday as functions of times in UTC."""
    days = pd.to_datetime(holidays)

    def local(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
        return times.tz_localize("UTC").tz_convert(zone).tz_localize(None)

    def hour(times: pd.DatetimeIndex) -> Any:
        return local(times).hour

    def weekday(times: pd.DatetimeIndex) -> Any:
        return local(times).dayofweek

    def holiday(times: pd.DatetimeIndex) -> Any:
        return local(times).normalize().isin(days).astype("int8")

    return [hour, weekday, holiday]


if __name__ == "__main__":
    serve(LightGBM().forecast)
