"""Have the data changed? Distances between the columns of two periods, computed and reported by Evidently."""

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

METHOD = "wasserstein"  # earth mover's distance over the reference's standard deviation
FEWEST_VALUES = 20  # of a column in either period; with less it counts as missing
SEED = 20
# How many times `drift_column_threshold` a column may move: about the third quartile of what it moved from one four
# weeks to the next in Paris, 2020-21. A mean of days moves by more of its own deviation than an hour's count does.
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
    """What drifted. share: drifted of the compared columns; columns: each one's distance; html, json: the report."""

    share: float
    drifted: list[str]
    columns: dict[str, float]
    missing: list[str]
    reference: str
    html: bytes
    json: str


def column_thresholds(thresholds: Thresholds) -> dict[str, float]:
    """Return the distance from which each column counts as drifted."""
    return {name: thresholds.drift_column_threshold * factor for name, factor in ALLOWANCE.items()}


def detect_drift(
    current: pd.DataFrame, reference: pd.DataFrame, *, reference_name: str, thresholds: Thresholds
) -> DriftResult | Unknown:
    """Compare two periods column by column.

    current, reference: of `drift_columns`. A column that either lacks is reported as missing and not compared.
    Unknown with fewer than drift_min_rows counts in either. Takes some seconds: Evidently is imported here.
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
    ]
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


def _sampled(frame: pd.DataFrame, columns: list[str], rows: int) -> pd.DataFrame:
    """At most `rows` values of each column, drawn with a fixed seed; padded with NaN as before."""
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
        warnings.simplefilter("ignore")  # Evidently's own use of what others have deprecated
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
