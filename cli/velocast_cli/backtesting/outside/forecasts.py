"""Ask an outside forecaster at each origin of a backtest, and check what it forecasts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.city import City
from velocast.core.datetimes import HOUR, local_date, start_of_local_day
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.learning.models import SEED
from velocast_cli.backtesting.outside.process import ForecasterCost, ForecasterFailed, started
from velocast_cli.backtesting.outside.request import OutsideForecaster, OutsideRequest

ROW_KEYS = ["counter_id", "origin_at", "target_at"]
COUNTED = ["counter_id", "counted_at", "bike_count"]
NEEDED = ["counter_id", "target_at", "predicted_count"]
INTERVAL = ["lower", "upper"]


@dataclass
class OutsideForecasts:
    """What one outside forecaster was asked and what it forecast.

    origins, counters: those that it was asked for. rows: ROW_KEYS, predicted_count, lower and upper (NaN where it gives
    none). error: why it was stopped, None when it answered everything.
    """

    forecaster: OutsideForecaster
    origins: list[pd.Timestamp]
    counters: list[str]
    rows: pd.DataFrame
    cost: ForecasterCost = field(default_factory=ForecasterCost)
    error: str | None = None


def forecast_outside(
    forecaster: OutsideForecaster,
    request: OutsideRequest,
    rows: pd.DataFrame,
    counts: pd.DataFrame,
    city: City,
    cuts: Sequence[date],
    say: Callable[[str], None],
) -> OutsideForecasts:
    """Return an outside forecaster's forecasts of the backtest's rows.

    rows: those of `BacktestResult`. counts: the usable counts (COUNTED, UTC); only those before an origin are handed
    over. cuts: the days on which the backtest trains. A failure is reported in `error` and not raised.
    """
    origins, counters = chosen(request, rows)
    result = OutsideForecasts(forecaster, origins, counters, pd.DataFrame())
    made: list[pd.DataFrame] = []
    known = counts.loc[counts["counter_id"].isin(counters), COUNTED].sort_values("counted_at")
    last = rows.groupby("origin_at")["target_at"].max()
    retrained = [pd.Timestamp(start_of_local_day(cut, city.zone)) for cut in cuts]
    try:
        with (
            tempfile.TemporaryDirectory(prefix="velocast-outside-") as folder,
            started(forecaster, request.timeout) as running,
        ):
            result.cost = running.cost
            since: pd.Timestamp | None = None
            for number, origin in enumerate(origins):
                line = _line(Path(folder), number, known, since, origin, last[origin], city)
                line["retrain"] = any(since is None or since < at <= origin for at in retrained)
                running.ask(line)
                made.append(
                    read_forecasts(
                        Path(line["forecasts"]), forecaster.name, origin, line["hours"], counters
                    )
                )
                since = origin
                if number % 7 == 0:
                    say(f"{forecaster.name}: {local_date(origin, city.zone)}")
    except ForecasterFailed as exc:
        result.error = str(exc)
        say(result.error)
    result.rows = pd.concat(made, ignore_index=True) if made else _nothing()
    return result


def chosen(request: OutsideRequest, rows: pd.DataFrame) -> tuple[list[pd.Timestamp], list[str]]:
    """Return the origins and counters on which outside forecasters are compared, both in order."""
    origins = [pd.Timestamp(at) for at in sorted(rows["origin_at"].unique())]
    counters = sorted(map(str, rows["counter_id"].unique()))
    if request.counters is not None and request.counters < len(counters):
        drawn = np.random.default_rng(SEED).choice(counters, request.counters, replace=False)
        counters = sorted(map(str, drawn))
    return origins[:: request.every], counters


def _line(
    folder: Path,
    number: int,
    known: pd.DataFrame,
    since: pd.Timestamp | None,
    origin: pd.Timestamp,
    last: pd.Timestamp,
    city: City,
) -> dict[str, Any]:
    """Return the line for an origin, and write the counts that became known since the one before."""
    new = known[known["counted_at"] < origin]
    if since is not None:
        new = new[new["counted_at"] >= since]
    file = folder / f"counts-{number}.parquet"
    new.to_parquet(file, index=False)
    first = known["counted_at"].min() if len(known) else origin
    holidays = holiday_dates(
        city.holidays, local_date(first, city.zone), local_date(last, city.zone)
    )
    return {
        "counts": str(file),
        "origin_at": origin.isoformat(),
        "hours": (last - origin) // HOUR + 1,
        "zone": city.time_zone,
        "holidays": [day.isoformat() for day in holidays],
        "forecasts": str(folder / f"forecasts-{number}.parquet"),
    }


def read_forecasts(
    file: Path, name: str, origin: pd.Timestamp, hours: int, counters: Sequence[str]
) -> pd.DataFrame:
    """Return the forecasts of one origin, checked: ROW_KEYS, predicted_count, lower, upper.

    Raises ForecasterFailed, which names the forecaster, the origin and what is wrong.
    """
    at = f"{name}: forecasts of {origin:%Y-%m-%d %H:%MZ}"
    try:
        frame = pd.read_parquet(file)
    except (OSError, ValueError) as exc:
        raise ForecasterFailed(f"{at}: no readable Parquet file was written: {exc}") from exc
    if missing := [column for column in NEEDED if column not in frame.columns]:
        raise ForecasterFailed(f"{at}: no column {missing}; has {list(map(str, frame.columns))}")
    ends = [column for column in INTERVAL if column in frame.columns]
    if len(ends) == 1:
        raise ForecasterFailed(f"{at}: has {ends[0]} alone; give lower and upper, or neither")
    frame = frame[[*NEEDED, *ends]]
    if not pd.api.types.is_datetime64_any_dtype(frame["target_at"]):
        raise ForecasterFailed(f"{at}: target_at is {frame['target_at'].dtype}, expected times")
    frame = frame.assign(
        counter_id=frame["counter_id"].astype(str),
        origin_at=origin,
        target_at=pd.to_datetime(frame["target_at"], utc=True).dt.as_unit("us"),
    )
    _check_hours(frame, at, origin, hours, counters)
    _check_numbers(frame, at, ["predicted_count", *ends])
    return frame.reindex(columns=[*ROW_KEYS, "predicted_count", *INTERVAL])


def _check_hours(
    frame: pd.DataFrame, at: str, origin: pd.Timestamp, hours: int, counters: Sequence[str]
) -> None:
    until = origin + hours * HOUR
    target = frame["target_at"]
    unasked = ~frame["counter_id"].isin(counters) | ~(
        (target >= origin) & (target < until) & (target == target.dt.floor("h"))
    )
    if unasked.any():
        row = frame[unasked].iloc[0]
        raise ForecasterFailed(
            f"{at}: {int(unasked.sum())} of {len(frame)} rows were not asked for, such as counter "
            f"{row['counter_id']!r} at {row['target_at']}; asked: {len(counters)} counters, every hour from {origin} "
            f"on and before {until}"
        )
    if repeated := int(frame.duplicated(ROW_KEYS).sum()):
        raise ForecasterFailed(f"{at}: {repeated} of {len(frame)} rows repeat an hour of a counter")


def _check_numbers(frame: pd.DataFrame, at: str, columns: list[str]) -> None:
    for column in columns:
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy("float64")
        if wrong := int((~np.isfinite(values)).sum()):
            raise ForecasterFailed(
                f"{at}: {wrong} of {len(frame)} values in {column} are not finite numbers"
            )
        frame[column] = values
    if "lower" in columns and (crossed := int((frame["lower"] > frame["upper"]).sum())):
        raise ForecasterFailed(f"{at}: lower is above upper in {crossed} of {len(frame)} rows")


def _nothing() -> pd.DataFrame:
    times = pd.DatetimeIndex([], tz="UTC").as_unit("us")
    numbers = dict.fromkeys(("predicted_count", *INTERVAL), np.array([], dtype="float64"))
    ids = np.array([], dtype=object)
    return pd.DataFrame({"counter_id": ids, "origin_at": times, "target_at": times, **numbers})
