"""The test for data drift: distances between the columns of two periods, computed and reported by Evidently."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.settings import Thresholds
from velocast.core.unknown import Unknown
from velocast.model.drift.columns import COLUMNS, Reference, choose_reference, drift_columns

__all__ = [
    "ALLOWANCE",
    "COLUMNS",
    "DriftResult",
    "Reference",
    "choose_reference",
    "column_thresholds",
    "detect_drift",
    "drift_columns",
]

METHOD = "wasserstein"  # earth mover's distance divided by the reference's standard deviation
FEWEST_VALUES = 20  # a column with fewer in either period is reported as missing
# So is a column in which fewer values of the reference differ from the most frequent one: a standard deviation near 0,
# such as that of rain in a dry month, is useless as a unit of distance.
FEWEST_VARYING = 20
SEED = 20
# The distance from which a column has drifted, as a multiple of `drift_column_threshold`: about the third quartile of
# the distances between consecutive periods of four weeks in Paris, 2020-21. Daily shares move by more of their own
# standard deviation than hourly counts do.
ALLOWANCE: dict[str, float] = {
    "bike_count": 2.5,
    "relative_count": 1.0,
    "night_share": 7.0,
    "morning_share": 2.5,
    "weekend_ratio": 10.0,
    "temperature_c": 10.0,
    "precipitation_mm": 3.0,
    "absolute_error": 1.5,
}


@dataclass(frozen=True)
class DriftResult:
    """The result of the test. share: of the compared columns, those that drifted; columns: distance by column."""

    share: float
    drifted: list[str]
    columns: dict[str, float]
    missing: list[str]
    reference: str
    html: bytes
    json: str


def column_thresholds(thresholds: Thresholds) -> dict[str, float]:
    """Return for each column the distance from which it has drifted."""
    return {name: thresholds.drift_column_threshold * factor for name, factor in ALLOWANCE.items()}


def detect_drift(
    current: pd.DataFrame, reference: pd.DataFrame, *, reference_name: str, thresholds: Thresholds
) -> DriftResult | Unknown:
    """Compare two periods column by column.

    current, reference: frames from `drift_columns`. A column that is missing in either, or hardly varies in the
    reference, is missing and not compared. Returns Unknown when either has fewer than drift_min_rows counts,
    or when no column varies. Takes some seconds, because it imports Evidently.
    """
    for period, frame in (("current period", current), (f"reference, {reference_name}", reference)):
        rows = _values(frame, "bike_count")
        if rows < thresholds.drift_min_rows:
            return Unknown(
                reason=f"{rows} usable counts in the {period}; {thresholds.drift_min_rows} are needed"
            )
    compared = [
        name
        for name in COLUMNS
        if min(_values(current, name), _values(reference, name)) >= FEWEST_VALUES
        and _varying(reference[name]) >= FEWEST_VARYING
    ]
    if not compared:
        return Unknown(reason=f"no column varies in the reference, {reference_name}")
    limits = column_thresholds(thresholds)
    html, report = _report(
        _sampled(current, compared, thresholds.drift_sample_rows),
        _sampled(reference, compared, thresholds.drift_sample_rows),
        {name: limits[name] for name in compared},
    )
    distances = _distances(report)
    drifted = [name for name in compared if distances[name] >= limits[name]]
    return DriftResult(
        share=len(drifted) / len(compared),
        drifted=drifted,
        columns={name: distances[name] for name in compared},
        missing=[name for name in COLUMNS if name not in compared],
        reference=reference_name,
        html=html,
        json=report,
    )


def _values(frame: pd.DataFrame, name: str) -> int:
    return int(frame[name].notna().sum()) if name in frame.columns else 0


def _varying(values: pd.Series[float]) -> int:
    """Return how many values differ from the most frequent one."""
    return int(values.notna().sum() - values.value_counts().iloc[0])


def _sampled(frame: pd.DataFrame, columns: list[str], rows: int) -> pd.DataFrame:
    """Draw at most `rows` values of each column with a fixed seed; shorter columns are padded with NaN."""
    drawn = []
    for name in columns:
        values = frame[name].dropna()
        if len(values) > rows:
            values = values.sample(rows, random_state=SEED)
        drawn.append(values.reset_index(drop=True).astype("float64"))
    return pd.concat(drawn, axis="columns")


def _report(
    current: pd.DataFrame, reference: pd.DataFrame, limits: dict[str, float]
) -> tuple[bytes, str]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # deprecation warnings from inside Evidently
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(numerical_columns=list(limits))
        preset = DataDriftPreset(
            columns=list(limits), num_method=METHOD, per_column_threshold=dict(limits)
        )
        snapshot = Report([preset], include_tests=False).run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(reference, data_definition=definition),
        )
        return snapshot.get_html_str(as_iframe=False).encode(), str(snapshot.json())


def _distances(report: str) -> dict[str, float]:
    metrics: list[dict[str, Any]] = json.loads(report)["metrics"]
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in metrics
        if metric["config"]["type"] == "evidently:metric_v2:ValueDrift"
    }
