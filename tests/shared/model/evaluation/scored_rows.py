"""Forecasts and counts of a made-up city, to be scored."""

from __future__ import annotations

from datetime import date

import pandas as pd

from tests.shared.model.feature_rows import feature_rows


def scored_rows(**options: int) -> pd.DataFrame:
    """Return feature rows with counts, whose forecasts are the means of similar days."""
    frame = feature_rows(date(2021, 3, 1), **options)
    predicted = frame["similar_day_mean"]
    return frame.assign(
        predicted_count=predicted, lower=predicted * 0.7, upper=predicted * 1.3
    ).reset_index(drop=True)
