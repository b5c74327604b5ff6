"""Pictures of a challenger's errors, for MLflow."""

from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import pandas as pd


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


def _bars(values: pd.Series[float], name: str) -> bytes:
    # The figure's own canvas: pyplot would look for a screen and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.bar([str(key) for key in values.index], list(values))
    axes.set_xlabel(name.replace("_", " "))
    axes.set_ylabel("mean absolute error, bikes")
    file = io.BytesIO()
    canvas.print_png(file)  # type: ignore[no-untyped-call]
    return file.getvalue()
