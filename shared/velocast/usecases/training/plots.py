"""Plots of a challenger's errors, and of what its forecasts depend on, for MLflow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd

from velocast.core import kinds
from velocast.model.evaluation.classification_metrics import is_busy, labelled_rows
from velocast.model.evaluation.importance import Importance, family_importances
from velocast.model.learning import models

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def importance_plot(model: models.Model, frame: pd.DataFrame) -> dict[str, bytes]:
    """Draw how much the error grows when a family of features is shuffled; returns path -> PNG.

    frame: feature frame of rows that the model has not seen, with bike_count. Returns nothing where the error is 0 or
    no row can be scored.
    """
    actual = frame["bike_count"].astype("float64")
    if model.task == kinds.AFFLUENCE:
        frame = labelled_rows(frame)
        actual = is_busy(frame).astype("float64")

    def predict(rows: pd.DataFrame) -> pd.Series[float]:
        name = "busy_probability" if model.task == kinds.AFFLUENCE else "predicted_count"
        return model.predict(rows)[name]

    found = family_importances(predict, frame, actual, seed=models.SEED)
    return {"plots/importance.png": _drawn_importances(found)} if found else {}


def _drawn_importances(found: Sequence[Importance]) -> bytes:
    figure = _figure(7, 3.6)
    axes = figure.add_subplot()
    smallest_last = found[::-1]
    bars = axes.barh(
        [each.family for each in smallest_last],
        [100 * each.growth for each in smallest_last],
        xerr=[100 * each.spread for each in smallest_last],
    )
    axes.bar_label(bars, fmt="%.1f", padding=4, fontsize=8)
    axes.margins(x=0.12)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("growth of the error (RMSE) on held-out hours when shuffled, %")
    axes.set_title(
        "What the forecasts depend on\n(families overlap, so the bars do not add up)", fontsize=10
    )
    return _png(figure)


def _bars(
    values: pd.Series[float], name: str, measured: str = "mean absolute error, bikes"
) -> bytes:
    figure = _figure(6, 3)
    axes = figure.add_subplot()
    axes.bar([str(key) for key in values.index], list(values))
    axes.set_xlabel(name.replace("_", " "))
    axes.set_ylabel(measured)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    """Return a figure with its own canvas, because pyplot would look for a screen and keep every figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
