"""The rows of a forecast: every counter at every hour of the horizon, each on the best basis its history allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pandas as pd

from velocast.core.datetimes import HORIZON_DAYS, horizon_end, lead_day, local_date, origin_of
from velocast.model.evaluation import reference_models
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.known_hours import with_histories
from velocast.usecases import feature_store
from velocast.usecases.context import ForecastRun
from velocast.usecases.forecasting import busy_hours, fallbacks
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.inputs import ForecastInputs, recent_days
from velocast.usecases.forecasting.snapshot.counter_profiles import CounterProfiles
from velocast.usecases.model_loading import LoadedChampion

MIN_MODEL_HOURS = 72
MOVED_MARGIN = 1.5
SETTLED_DAYS = (
    28  # after a move, until the counts behind the forecasts are those of the new position
)
# At most this many rows of the last days' origins are read; 178 counters have that many in 14 days. The corrections are
# sums and quantiles over all counters, so a sample suffices for a larger block: by hash, the same share of each
# counter's rows.
MOST_RECENT = 60_000
BLOCK = 500  # counters forecast at once, so that memory does not grow with the city
FORECAST_COLUMNS = (
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
    "rain",
    *QUANTILES,
)


def forecast_blocks(profiles: CounterProfiles) -> list[list[str]]:
    """Return the counters seen in the last year, sorted, in blocks that are forecast together.

    Each block has its own level correction: BLOCK counters show a day's level as well as all counters do.
    """
    counters = np.sort(profiles.counters.index.to_numpy(dtype=str))
    blocks = np.array_split(counters, max(1, -(-len(counters) // BLOCK)))
    return [block.tolist() for block in blocks]


def make_forecast_rows(
    run: ForecastRun, inputs: ForecastInputs, blocks: Iterable[Sequence[str]]
) -> Iterator[pd.DataFrame]:
    """Forecast the counters of each block at every hour of the horizon.

    Yields FORECAST_COLUMNS for each block, one row per counter and hour, in that order: counts in bikes per hour,
    0 <= lower <= predicted_count <= upper; level, busy_threshold, temperature, rain and QUANTILES NaN where unknown.
    Raises WarehouseError.
    """
    made = (inputs.loaded, inputs.busy, inputs.profiles, inputs.weather)
    for block in blocks:
        rows = _block(run, *made, list(block))
        yield rows.sort_values(["counter_id", "target_at"], ignore_index=True)


def _block(
    run: ForecastRun,
    loaded: LoadedChampion,
    busy: BusyChampion,
    profiles: CounterProfiles,
    weather: pd.DataFrame,
    counter_ids: list[str],
) -> pd.DataFrame:
    with ThreadPoolExecutor(1) as pool:  # the warehouse answers both at the same time
        asked = pool.submit(_recent_rows, run, loaded, profiles, weather, counter_ids)
        frame = _rows_to_forecast(run, profiles, weather, counter_ids)
        recent = asked.result()
    counted, known = frame["history_hours"] >= MIN_MODEL_HOURS, frame["history_hours"] > 0
    enough = frame[known if loaded.model is None else counted]
    made = _from_recent_counts(loaded, recent, enough)
    parts = [
        busy_hours.fill_busy_probabilities(busy, made, min_hours=MIN_MODEL_HOURS),
        fallbacks.forecast_without_recent_counts(
            _hours(run),
            profiles,
            sorted(set(counter_ids) - set(enough["counter_id"])),
            run.settings.city.zone,
        ),
    ]
    forecasts = pd.concat([part for part in parts if len(part)], ignore_index=True)
    forecasts = _widen_after_move(run, profiles, forecasts)
    # When no counter has recent counts, all rows are fallbacks, which have neither level nor busy threshold.
    return _ordered(forecasts.reindex(columns=list(FORECAST_COLUMNS)))


def _rows_to_forecast(
    run: ForecastRun, profiles: CounterProfiles, weather: pd.DataFrame, counter_ids: list[str]
) -> pd.DataFrame:
    """Return the rows to forecast."""
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    return feature_store.read_features(
        run.warehouse,
        with_histories(city, profiles.histories),
        first_origin=day,
        last_origin=day,
        actual_until=origin_of(run.as_of, city.zone),
        weather=weather,
        counter_ids=counter_ids,
        counts_table=profiles.counts_table,
    )


def _recent_rows(
    run: ForecastRun,
    loaded: LoadedChampion,
    profiles: CounterProfiles,
    weather: pd.DataFrame,
    counter_ids: list[str],
) -> pd.DataFrame:
    """Return the feature rows of the last days' origins, with the counts that followed.

    With a model, each origin's first day: the errors there adjust today's forecasts (`level_correction`,
    `blend_weights`, `adaptive`); of many counters, a sample.
    Without a model, every hour once at any lead, to calibrate the intervals of similar days.
    """
    hours = 24 * recent_days(loaded) * len(counter_ids)
    city, day = run.settings.city, local_date(run.as_of, run.settings.city.zone)
    frame = feature_store.read_features(
        run.warehouse,
        with_histories(city, profiles.histories),
        first_origin=day - timedelta(days=recent_days(loaded)),
        last_origin=day - timedelta(days=1),
        actual_until=origin_of(run.as_of, city.zone),
        lead_days=HORIZON_DAYS if loaded.model is None else 1,
        one_lead=loaded.model is None,
        keep_one_in=max(1, -(-hours // MOST_RECENT)),
        with_busy=False,
        weather=weather,
        counter_ids=counter_ids,
        counts_table=profiles.counts_table,
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


def _from_recent_counts(
    loaded: LoadedChampion, recent: pd.DataFrame, frame: pd.DataFrame
) -> pd.DataFrame:
    """Forecast with the model or, while there is none, with the mean of similar days."""
    if frame.empty:
        return frame
    if loaded.model is None:
        calibration = reference_models.calibrate_similar_days(recent)
        forecast = reference_models.forecast_similar_days(frame, calibration)
        return _with_forecast(frame, forecast).assign(basis="similar_days")
    both = pd.concat([recent, frame], ignore_index=True)
    forecast = loaded.model.predict(both).iloc[len(recent) :]
    return _with_forecast(frame, forecast).assign(basis="model")


def _widen_after_move(
    run: ForecastRun, profiles: CounterProfiles, forecasts: pd.DataFrame
) -> pd.DataFrame:
    """Widen the intervals of counters that moved less than SETTLED_DAYS ago."""
    settled = pd.Timedelta(days=SETTLED_DAYS)
    moved_at = pd.to_datetime(profiles.counters["moved_at"], utc=True)
    moved = moved_at.index[moved_at > pd.Timestamp(run.as_of) - settled]
    rows = forecasts["counter_id"].isin(moved) & forecasts["basis"].isin(["model", "similar_days"])
    if not rows.any():
        return forecasts
    wider = _widened(forecasts[rows], MOVED_MARGIN).assign(basis="former_place")
    return pd.concat([forecasts[~rows], wider], ignore_index=True)


def _widened(forecast: pd.DataFrame, margin: float) -> pd.DataFrame:
    middle = forecast["predicted_count"]
    wider = {
        name: (middle + margin * (forecast[name] - middle)).clip(lower=0)
        for name in ("lower", "upper", *QUANTILES)
    }
    return forecast.assign(**wider)


def _with_forecast(frame: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    columns = ["predicted_count", "lower", "upper", *QUANTILES, "busy_probability"]
    return frame.assign(**{name: forecast[name].to_numpy() for name in columns})


def _ordered(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts of any basis with 0 <= lower <= predicted_count <= upper."""
    middle = forecasts["predicted_count"].clip(lower=0)
    return forecasts.assign(
        predicted_count=middle,
        lower=np.minimum(forecasts["lower"].clip(lower=0), middle),
        upper=np.maximum(forecasts["upper"], middle),
    )


def weather_hours(forecasts: pd.DataFrame) -> set[pd.Timestamp]:
    """Return the hours of the horizon with a known weather forecast; without it, accuracy is lower."""
    return set(forecasts.loc[forecasts["temperature"].notna(), "target_at"].unique())
