"""The rows of the forecasts table: written so that the same forecasts stored again change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pandas as pd
import pyarrow as pa

from velocast.core import schemas
from velocast.core.datetimes import horizon_end
from velocast.model.intervals.conformal import QUANTILES
from velocast.usecases.context import ForecastRun
from velocast.usecases.model_loading import LoadedChampion

KEY = ("counter_id", "target_at", "origin_at", "model_version")
COMPARED = (
    "predicted_count",
    "lower",
    "upper",
    *QUANTILES,
    "busy_probability",
    "lead_hours",
    "lead_day",
    "basis",
    "model_kind",
    "run_id",
    "hours_known",
)


def is_stored(run: ForecastRun, loaded: LoadedChampion, midnight: datetime) -> bool:
    """Return whether the version's forecasts from midnight are stored."""
    (rows,) = run.warehouse.query(
        "forecasts_from_midnight",
        first_hour=midnight,
        until=horizon_end(midnight, run.settings.city.zone),
        version=loaded.version,
    )["forecasts"]
    return bool(rows)


def store_forecasts(
    run: ForecastRun, loaded: LoadedChampion, forecasts: Iterable[pd.DataFrame], origin_at: datetime
) -> int:
    """MERGE forecasts into their table; return the number of rows that are new or differ from an earlier run's."""

    def table(block: pd.DataFrame) -> pa.Table:
        whole = block.reindex(columns=[*block.columns.difference(["hours_known"]), "hours_known"])
        rows = whole.assign(
            hours_known=whole["hours_known"].astype("Int64"),
            origin_at=origin_at,
            model_version=loaded.version,
            model_kind=loaded.kind,
            run_id=loaded.run_id,
            predicted_at=run.as_of,
        )
        columns = [name for name in schemas.table(schemas.FORECASTS).columns if name in rows]
        return pa.Table.from_pandas(rows[columns], preserve_index=False)

    parts = (table(block) for block in forecasts)
    result = run.warehouse.merge(schemas.FORECASTS, parts, keys=KEY, update=COMPARED)
    return result.inserted + result.updated
