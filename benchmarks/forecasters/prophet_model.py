"""Prophet with its defaults for hourly counts, holidays and 90 % intervals: one model for each counter.

It is fitted at every origin, in local time, on the last half year; missing hours are left out, as its guide allows.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from prophet import Prophet

from benchmarks.forecasters.protocol import HOUR, WEEK, Asked, serve

WEEKS = 26
LEAST_HOURS = 3 * WEEK
SAMPLES = 300  # of the intervals; its default of 1,000 takes three times as long


def forecast(asked: Asked) -> pd.DataFrame:
    """Fit and forecast each counter."""
    since = asked.origin - WEEKS * WEEK * HOUR
    recent = asked.counts[asked.counts["counted_at"] >= since]
    made = [
        one_counter(asked, str(counter), rows)
        for counter, rows in recent.groupby("counter_id")
        if len(rows) >= LEAST_HOURS
    ]
    return pd.concat(made, ignore_index=True)


def one_counter(asked: Asked, counter: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Fit and forecast a counter."""
    np.random.seed(0)  # Prophet draws its intervals from numpy's global generator
    days = pd.DataFrame({"ds": pd.to_datetime(asked.holidays), "holiday": "holiday"})
    model = Prophet(
        interval_width=0.9, uncertainty_samples=SAMPLES, holidays=days if len(days) else None
    )
    with asked.fitting():
        model.fit(
            pd.DataFrame(
                {
                    "ds": local(pd.DatetimeIndex(rows["counted_at"]), asked.zone),
                    "y": rows["bike_count"].to_numpy("float64"),
                }
            )
        )
    # predict sorts by time, so the hour that the clock repeats is asked once
    hours = pd.DataFrame({"ds": local(asked.targets, asked.zone), "target_at": asked.targets})
    found = model.predict(hours[["ds"]].drop_duplicates())
    columns = {"yhat": "predicted_count", "yhat_lower": "lower", "yhat_upper": "upper"}
    joined = hours.merge(found[["ds", *columns]].rename(columns=columns), on="ds")
    numbers = joined[list(columns.values())].clip(lower=0)
    return joined[["target_at"]].assign(counter_id=counter).join(numbers)


def local(times: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Return local times without a zone."""
    return times.tz_localize("UTC").tz_convert(zone).tz_localize(None)


if __name__ == "__main__":
    logging.getLogger("cmdstanpy").setLevel(logging.WARNING)
    serve(forecast)
