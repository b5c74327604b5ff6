"""Counts of a period, for tests of drift."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from tests.shared.model.small_city import ZONE
from velocast.core.datetimes import start_of_local_day


def counted(first: date, days: int, *, seed: int, night: float = 1.0) -> pd.DataFrame:
    """Return counts of six counters with a daily profile, halved on weekends and multiplied by `night` at night."""
    random = np.random.default_rng(seed)
    begin, end = (start_of_local_day(first + timedelta(days=n), ZONE) for n in (0, days))
    hours = pd.date_range(begin, end, freq="h", inclusive="left")
    local = hours.tz_convert(ZONE)
    rhythm = 30 + 25 * np.sin((local.hour.to_numpy() - 8) / 24 * 2 * np.pi)
    rhythm = rhythm * np.where(local.dayofweek >= 5, 0.5, 1.0)
    rhythm = rhythm * np.where(local.hour.isin([22, 23, 0, 1, 2, 3, 4]), night, 1.0)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "counter_id": f"c{n}",
                    "counted_at": hours,
                    "bike_count": random.poisson(rhythm * n),
                }
            )
            for n in range(1, 7)
        ],
        ignore_index=True,
    )
