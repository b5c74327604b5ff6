"""The rows of a forecast: every counter, every hour of the horizon, each on the best basis its history gives."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from velocast.core.datetimes import HORIZON_DAYS, horizon_end, lead_day, local_date, origin_of
from velocast.core.settings import JobSettings, PredictSettings
from velocast.model.evaluation import reference_models
from velocast.model.intervals import adaptive
from velocast.usecases import feature_store
from velocast.usecases.context import Run
from velocast.usecases.forecasting import busy_hours, fallbacks
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.model_loading import LoadedChampion
from velocast.usecases.forecasting.snapshot import History

ForecastRun = Run[PredictSettings] | Run[JobSettings]

MIN_MODEL_HOURS = 72
THIN_HISTORY_MARGIN = 1.5
SETTLED_DAYS = 28  # after a move: by then the history that forecasts rest on is of the new place
BLOCK = 500  # counters forecast at once: memory stays the same however large the city
KEPT = (
    "counter_id",
    "target_at",
    "lead_hours",
    "lead_day",
    "predicted_count",
    "lower",
    "upper",
    "busy_probability",
    "basis",
    "level",
    "busy_threshold",
    "temperature",
)


def make(
    run: ForecastRun, loaded: LoadedChampion, busy: BusyChampion, history: History
) -> pd.DataFrame:
    """Forecast every counter seen in the last year at every hour of the horizon.

    Returns KEPT, one row a counter and hour, sorted so: counts in bikes per hour, 0 <= lower <= predicted_count <=
    upper, level, busy_threshold and temperature NaN where unknown. In blocks of counters, each of which is judged as a
    city would be: BLOCK counters tell the level of a day as well as all of them. Raises WarehouseError.
    """
    counters = np.sort(history.counters.index.to_numpy(dtype=str))
    blocks = np.array_split(counters, max(1, -(-len(counters) // BLOCK)))
    day = local_date(run.as_of, run.settings.city.zone)
    weather = feature_store.read_weather_features(
        run.warehouse,
        run.settings.city,
        first_origin=day - timedelta(days=adaptive.DAYS),
        last_origin=day,
    )
    parts = [_block(run, loaded, busy, history, weather, list(block)) for block in blocks]
    forecasts = pd.concat(parts, ignore_index=True)
    return forecasts.sort_values(["counter_id", "target_at"], ignore_index=True)


def _block(
    run: ForecastRun,
    loaded: LoadedChampion,
    busy: BusyChampion,
    history: History,
    weather: pd.DataFrame,
    counter_ids: list[str],
) -> pd.DataFrame:
    lately = _lately(run, loaded, weather, counter_ids)
    frame = _today(run, weather, counter_ids)
    counted, known = frame["history_hours"] >= MIN_MODEL_HOURS, frame["history_hours"] > 0
    by_model = counted if loaded.model is not None else counted & False
    parts = [
        *(
            busy_hours.fill(busy, part, min_hours=MIN_MODEL_HOURS)
            for part in (
                _modelled(loaded, lately, frame[by_model]),
                _similar(loaded, lately, frame[known & ~by_model]),
            )
        ),
        fallbacks.forecast(
            _hours(run),
            history,
            sorted(set(counter_ids) - set(frame.loc[known, "counter_id"])),
            run.settings.city.zone,
        ),
    ]
    forecasts = pd.concat([part for part in parts if len(part)], ignore_index=True)
    forecasts = _former_place(run, history, forecasts)
    # Of a city that fell silent, stand-ins are all there is, and they know neither level nor threshold.
    return _ordered(forecasts.reindex(columns=list(KEPT)))


def _today(run: ForecastRun, weather: pd.DataFrame, counter_ids: list[str]) -> pd.DataFrame:
    """Return the rows to forecast."""
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    return feature_store.read_features(
        run.warehouse,
        city,
        first_origin=day,
        last_origin=day,
        actual_until=origin_of(run.as_of, city.zone),
        weather=weather,
        counter_ids=counter_ids,
    )


def _lately(
    run: ForecastRun, loaded: LoadedChampion, weather: pd.DataFrame, counter_ids: list[str]
) -> pd.DataFrame:
    """Return what the last days' origins knew, with what was counted since.

    With a model their own days, since what its forecasts missed there moves today's (`day_level`, `recent`); without
    one every hour once, at any lead, since similar days have yet to learn how far they miss.
    """
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    frame = feature_store.read_features(
        run.warehouse,
        city,
        first_origin=day - timedelta(days=adaptive.DAYS),
        last_origin=day - timedelta(days=1),
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS if loaded.model is None else 1,
        one_lead=loaded.model is None,
        weather=weather,
        counter_ids=counter_ids,
    )
    if loaded.model is None:
        return frame
    return frame[frame["history_hours"] >= MIN_MODEL_HOURS]


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


def _modelled(loaded: LoadedChampion, lately: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    if loaded.model is None or frame.empty:
        return frame
    made = loaded.model.predict(pd.concat([lately, frame], ignore_index=True))
    return _beside(frame, made.iloc[len(lately) :]).assign(basis="model")


def _similar(loaded: LoadedChampion, lately: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Forecast with the mean of similar days.

    Beside a model, for counters with too little history for it, with a margin.
    """
    if frame.empty:
        return frame
    if loaded.model is None:
        made, margin = (
            reference_models.forecast_similar_days(
                frame, reference_models.calibrate_similar_days(lately)
            ),
            1.0,
        )
    else:
        made = reference_models.forecast_similar_days(frame, loaded.model.similar_days)
        margin = THIN_HISTORY_MARGIN
    return _beside(frame, _widened(made, margin)).assign(basis="similar_days")


def _former_place(run: ForecastRun, history: History, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Widen what rests on counts of another place, for as long as most of them are."""
    settled = pd.Timedelta(days=SETTLED_DAYS)
    moved_at = pd.to_datetime(history.counters["moved_at"], utc=True)
    moved = moved_at.index[moved_at > pd.Timestamp(run.as_of) - settled]
    rows = forecasts["counter_id"].isin(moved) & forecasts["basis"].isin(["model", "similar_days"])
    if not rows.any():
        return forecasts
    wider = _widened(forecasts[rows], THIN_HISTORY_MARGIN).assign(basis="former_place")
    return pd.concat([forecasts[~rows], wider], ignore_index=True)


def _widened(made: pd.DataFrame, margin: float) -> pd.DataFrame:
    middle = made["predicted_count"]
    lower = (middle - margin * (middle - made["lower"])).clip(lower=0)
    return made.assign(lower=lower, upper=middle + margin * (made["upper"] - middle))


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
    return int(forecasts.loc[forecasts["temperature"].notna(), "target_at"].nunique())
