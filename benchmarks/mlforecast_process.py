"""mlforecast's part of the comparison. It has its own environment (`.venv/bench`), because it needs pandas 2.

`mlforecast_process.py FOLDER` reads counts.parquet and plan.json and writes forecasts.parquet and cost.json.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean, SeasonalRollingMean
from utilsforecast.preprocessing import fill_gaps

WEEK = 168
LAGS = [1, 2, 24, 48, 72, 168, 336]
KEPT_HOURS = 5 * WEEK  # history passed to a forecast: the longest window is four weeks and a day


def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    series = complete(pd.read_parquet(folder / "counts.parquet"))
    cost = dict.fromkeys(("fit", "fit_cpu", "forecast", "forecast_cpu"), 0.0)
    made = []
    for week in plan["weeks"]:
        with spent(cost, "fit"):
            model = fitted(series[series["ds"] < pd.Timestamp(week["cut"])], plan)
        with spent(cost, "forecast"):
            for at, hours in week["origins"]:
                made.append(forecast(model, series, pd.Timestamp(at), hours))
        print(f"mlforecast: week of {week['cut']}", file=sys.stderr, flush=True)
    pd.concat(made, ignore_index=True).to_parquet(folder / "forecasts.parquet", index=False)
    (folder / "cost.json").write_text(json.dumps(cost | {"peak_mb": peak_mb()}))


@contextmanager
def spent(cost: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall time and CPU time of a block to `cost[name]` and `cost[name_cpu]`."""
    began, worked = time.monotonic(), time.process_time()
    yield
    cost[name] += time.monotonic() - began
    cost[f"{name}_cpu"] += time.process_time() - worked


def complete(counts: pd.DataFrame) -> pd.DataFrame:
    """Return unique_id, ds, y without missing hours, and `counted`: whether y was counted.

    mlforecast needs complete series. Its guide adds the missing hours (fill_gaps) and leaves filling to the user.
    Outages and merged clock-change hours were removed before, as in Velocast's features, so gaps may last for days, and
    linear interpolation would remove the daily pattern. A missing hour takes the value of a week earlier (a filled one
    if necessary), else the last value. Only the past is used, so one filling serves all origins. Filled hours enter the
    lags and are not used as training targets.
    """
    rows: pd.DataFrame = counts.rename(
        columns={"counter_id": "unique_id", "counted_at": "ds", "bike_count": "y"}
    )
    rows = fill_gaps(rows, freq="h", start="per_serie", end="global")
    rows = rows.sort_values(["unique_id", "ds"], ignore_index=True)
    rows["counted"] = rows["y"].notna()
    rows["y"] = rows.groupby("unique_id")["y"].transform(filled).astype("float32")
    return rows


def filled(values: pd.Series[float]) -> pd.Series[float]:
    known = values.to_numpy(dtype="float64").copy()
    for hour in np.flatnonzero(np.isnan(known)):
        known[hour] = known[hour - WEEK] if hour >= WEEK else known[hour - 1]
    return pd.Series(known, index=values.index)


def fitted(series: pd.DataFrame, plan: dict[str, Any]) -> MLForecast:
    """Fit LightGBM as in mlforecast's guide: one model for all series."""
    model = MLForecast(
        models={"predicted_count": lightgbm.LGBMRegressor(random_state=0, verbosity=-1)},
        freq="h",
        lags=LAGS,
        lag_transforms={
            1: [RollingMean(24), RollingMean(WEEK)],
            24: [RollingMean(WEEK), SeasonalRollingMean(season_length=24, window_size=7)],
            WEEK: [SeasonalRollingMean(season_length=WEEK, window_size=4)],
        },
        date_features=date_features(plan["zone"], plan["holidays"]),
        num_threads=2,
    )
    columns = ["unique_id", "ds", "y"]
    rows = model.preprocess(series[columns], static_features=[])
    rows = rows[series.loc[rows.index, "counted"].to_numpy()]
    return model.fit_models(rows.drop(columns=columns), rows["y"].to_numpy())


def date_features(zone: str, holidays: list[str]) -> list[Any]:
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


def forecast(
    model: MLForecast, series: pd.DataFrame, origin: pd.Timestamp, hours: int
) -> pd.DataFrame:
    """Forecast recursively from the counts before the origin."""
    since = origin - pd.Timedelta(hours=KEPT_HOURS)
    known = series.loc[(series["ds"] >= since) & (series["ds"] < origin), ["unique_id", "ds", "y"]]
    made: pd.DataFrame = model.predict(hours, new_df=known)
    return made.assign(
        origin_at=origin, predicted_count=made["predicted_count"].clip(lower=0).astype("float64")
    )


def peak_mb() -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
