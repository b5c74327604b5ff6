"""Plots of a challenger's errors, for MLflow."""

from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import pandas as pd

from velocast.model.evaluation.classification_metrics import is_busy, labelled_rows


def error_plots(frame: pd.DataFrame, zone: ZoneInfo) -> dict[str, bytes]:
    """Draw the mean absolute error by local hour, weekday and lead day; returns path -> PNG.

    frame: target_at, lead_day, bike_count, predicted_count.
    """
    local = frame["target_at"].dt.tz_convert(zone)
    errors = (frame["predicted_count"] - frame["bike_count"]).abs()
    groups = {"hour": local.dt.hour, "weekday": local.dt.dayofweek, "lead_day": frame["lead_day"]}
    return {
        f"plots/error_by_{name}.png": _bars(errors.groupby(by.to_numpy()).mean(), name)
        for name, by in groups.items()
    }


def busy_plots(frame: pd.DataFrame, zone: ZoneInfo) -> dict[str, bytes]:
    """Draw the mean squared error of the probability (Brier score) by local hour, weekday and lead day.

    frame: target_at, lead_day, bike_count, busy_threshold (rows without are left out), busy_probability.
    """
    rows = labelled_rows(frame)
    local = rows["target_at"].dt.tz_convert(zone)
    errors = (rows["busy_probability"] - is_busy(rows)) ** 2
    groups = {"hour": local.dt.hour, "weekday": local.dt.dayofweek, "lead_day": rows["lead_day"]}
    return {
        f"plots/brier_by_{name}.png": _bars(
            errors.groupby(by.to_numpy()).mean(), name, "Brier score"
        )
        for name, by in groups.items()
    }


def _bars(
    values: pd.Series[float], name: str, measured: str = "mean absolute error, bikes"
) -> bytes:
    # A figure with its own canvas: pyplot would look for a screen and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.bar([str(key) for key in values.index], list(values))
    axes.set_xlabel(name.replace("_", " "))
    axes.set_ylabel(measured)
    file = io.BytesIO()
    canvas.print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()
