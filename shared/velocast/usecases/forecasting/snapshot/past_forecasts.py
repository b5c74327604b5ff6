"""The forecasts of the hours that have come, which the snapshot shows beside what was counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import Histories
from velocast.core.datetimes import HOUR
from velocast.model.histories.counts import forecasts_under_histories

NOTHING_CONTINUED = Histories()
COLUMNS = ("predicted_count", "lower", "upper")


@dataclass(frozen=True)
class PastForecasts:
    """The forecasts in force of `hours` consecutive UTC hours, each of the newest origin that forecast it.

    values: predicted_count, lower and upper (bikes per hour) by counter_id and `hour`, the number of the hour.
    """

    values: pd.DataFrame
    hours: int

    def of(self, counter_id: str) -> dict[str, npt.NDArray[np.float64]]:
        """Return `predicted`, `lower` and `upper` of one counter, one value for each hour, NaN without a forecast."""
        whole = np.full((len(COLUMNS), self.hours), np.nan)
        if (rows := self._by_counter.get(counter_id)) is not None:
            hour = rows.index.get_level_values(1).to_numpy(dtype=np.int64)
            shown = (hour >= 0) & (hour < self.hours)
            whole[:, hour[shown]] = rows[list(COLUMNS)].to_numpy(dtype=np.float64)[shown].T
        names = (name.removesuffix("_count") for name in COLUMNS)
        return dict(zip(names, whole, strict=True))

    @cached_property
    def _by_counter(self) -> dict[str, pd.DataFrame]:
        return {str(name): rows for name, rows in self.values.groupby(level=0)}


def read_past_forecasts(
    warehouse: Warehouse,
    *,
    first_hour: datetime,
    hours: int,
    origin_at: datetime,
    as_of: datetime,
    histories: Histories = NOTHING_CONTINUED,
) -> PastForecasts:
    """Read the forecasts of `hours` hours from `first_hour` that were made up to `as_of`. Raises WarehouseError.

    Those of a counter that is continued are shown with the one that continues it. Hours at or after `origin_at` have
    none: the forecasts that are being published are theirs.
    """
    rows = warehouse.query_large(
        "snapshot_past_forecasts", first_hour=first_hour, until=origin_at, as_of=as_of
    )
    rows = forecasts_under_histories(rows, histories)
    rows["hour"] = (pd.to_datetime(rows["target_at"], utc=True) - first_hour) // HOUR
    values = rows.set_index(["counter_id", "hour"])[list(COLUMNS)].sort_index()
    return PastForecasts(values, hours)
