"""The rows of a forecast: every counter, every hour of the horizon, each on the best basis its history gives."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from velocast.ground.settings import JobSettings, PredictSettings
from velocast.ground.time import HORIZON_DAYS, horizon_end, lead_day, local_date, origin_of
from velocast.model import day_level, similar_days
from velocast.model.intervals import Calibration
from velocast.usecases import busy_hours, feature_frames, stand_ins
from velocast.usecases.busy_hours import BusyChampion
from velocast.usecases.champion import LoadedChampion
from velocast.usecases.runtime import Run
from velocast.usecases.snapshot import History

ForecastRun = Run[PredictSettings] | Run[JobSettings]

CALIBRATION_DAYS = 14
MIN_MODEL_HOURS = 72
THIN_HISTORY_MARGIN = 1.5


def make(
    run: ForecastRun, loaded: LoadedChampion, busy: BusyChampion, history: History
) -> pd.DataFrame:
    """Forecast every counter seen in the last year at every hour of the horizon; sorted by counter and hour."""
    city = run.settings.city
    day = local_date(run.as_of, city.zone)
    lately = feature_frames.read(
        run.warehouse,
        city,
        # the days before, because what their forecasts missed moves today's
        first_origin=day - timedelta(days=day_level.DAYS if loaded.model else 0),
        last_origin=day,
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS,
    )
    lately = lately[lately["counter_id"].isin(history.counters.index)]
    lately = lately[(lately["history_hours"] >= MIN_MODEL_HOURS) | _today(run, lately)]
    frame = lately[_today(run, lately)]
    counted, known = frame["history_hours"] >= MIN_MODEL_HOURS, frame["history_hours"] > 0
    by_model = counted if loaded.model is not None else counted & False
    rest = history.counters.index.difference(pd.Index(frame.loc[known, "counter_id"]))
    parts = [
        *(
            busy_hours.fill(busy, part, min_hours=MIN_MODEL_HOURS)
            for part in (
                _modelled(run, loaded, lately, frame[by_model]),
                _similar(run, loaded, frame[known & ~by_model]),
            )
        ),
        stand_ins.forecast(_hours(run), history, list(rest), city.zone),
    ]
    forecasts = pd.concat([part for part in parts if len(part)], ignore_index=True)
    # Of a city that fell silent, stand-ins are all there is, and they know neither level nor threshold.
    forecasts = forecasts.reindex(columns=forecasts.columns.union(frame.columns, sort=False))
    return _ordered(forecasts).sort_values(["counter_id", "target_at"], ignore_index=True)


def _hours(run: ForecastRun) -> pd.DataFrame:
    """Return the hours of the horizon: target_at (UTC), lead_hours, lead_day."""
    zone = run.settings.city.zone
    origin_at = origin_of(run.as_of, zone)
    targets = pd.date_range(origin_at, horizon_end(origin_at, zone), freq="h", inclusive="left")
    return pd.DataFrame(
        {
            "target_at": targets,
            "lead_hours": range(len(targets)),
            "lead_day": [lead_day(target, origin_at, zone) for target in targets],
        }
    )


def _today(run: ForecastRun, frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["origin_at"] == origin_of(run.as_of, run.settings.city.zone)


def _modelled(
    run: ForecastRun, loaded: LoadedChampion, lately: pd.DataFrame, frame: pd.DataFrame
) -> pd.DataFrame:
    """Forecast the rows of `frame`, today's of `lately`, with the model."""
    if loaded.model is None or frame.empty:
        return frame
    rows = pd.concat([lately[~_today(run, lately)], frame])
    made = loaded.model.predict(rows)
    return _beside(frame, made[_today(run, rows)]).assign(basis="model")


def _similar(run: ForecastRun, loaded: LoadedChampion, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast with the mean of similar days.

    Beside a model, for counters with too little history for it: its errors give the interval, and a margin.
    """
    if frame.empty:
        return frame
    if loaded.model is None:
        made, margin = similar_days.forecast(frame, _calibration(run)), 1.0
    else:
        made, margin = similar_days.forecast(frame, loaded.model.calibration), THIN_HISTORY_MARGIN
    middle = made["predicted_count"]
    lower = (middle - margin * (middle - made["lower"])).clip(lower=0)
    upper = middle + margin * (made["upper"] - middle)
    return _beside(frame, made.assign(lower=lower, upper=upper)).assign(basis="similar_days")


def _calibration(run: ForecastRun) -> Calibration:
    """Learn from the last weeks how far similar days miss."""
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    lately = feature_frames.read(
        run.warehouse,
        city,
        first_origin=day - timedelta(days=CALIBRATION_DAYS),
        last_origin=day - timedelta(days=1),
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS,
        one_lead=True,
    )
    return similar_days.calibrate(lately)


def _beside(frame: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    columns = ["predicted_count", "lower", "upper", "busy_probability"]
    return frame.assign(**{name: made[name].to_numpy() for name in columns})


def _ordered(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts with 0 <= lower <= predicted_count <= upper, whatever made them."""
    middle = forecasts["predicted_count"].clip(lower=0)
    return forecasts.assign(
        predicted_count=middle,
        lower=np.minimum(forecasts["lower"].clip(lower=0), middle),
        upper=np.maximum(forecasts["upper"], middle),
    )


def weather_hours(forecasts: pd.DataFrame) -> int:
    """Return of how many hours of the horizon the weather was known; without any, a model forecasts less well."""
    if "temperature" not in forecasts.columns:
        return 0
    return int(forecasts.loc[forecasts["temperature"].notna(), "target_at"].nunique())
