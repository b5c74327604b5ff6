"""A backtest's report: one HTML page with error plots by hour, weekday, lead day, day and counter. It loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from velocast.core.datetimes import HORIZON_DAYS, SCORED_LEAD_DAYS
from velocast.model.intervals.conformal import NOMINAL
from velocast_cli.backtesting.interval_scores import LEVELS, TENTHS
from velocast_cli.backtesting.outside.described import (
    COMPARED,
    describe_comparison,
    format_comparison,
)
from velocast_cli.backtesting.plan import BacktestResult
from velocast_cli.html_templates import render_html

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a6d3b", "#7a4988", "#5f6b6d", "#b0a030")
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 260, 40, 24, 34, 12
TICKS = 6
DAY_LABELS = 8
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# name: key of the score and its format
SCORES = {
    "R2": ("r2", ".3f"),
    "RMSE": ("rmse", ".1f"),
    "MAE": ("mae", ".1f"),
    "WAPE": ("wape", ".1%"),
    "covered": ("coverage", ".1%"),
    "Winkler": ("winkler", ".0f"),
    "width": ("width", ".0f"),
    "CRPS": ("crps", ".2f"),
}
SHORT_SCORES = ("R2", "RMSE", "MAE", "WAPE", "covered", "Winkler")  # fit a terminal
TARGET, TARGET_COLOUR = "as it should be", "#9aa5a9"
NEW_COUNTERS = {
    "new_position": "requested by position",
    "new_counter": "published on its first day",
    "new_counter_second_day": "published on its second day",
    "city_typical_week": "reference: city's typical week",
}


class Tick(NamedTuple):
    """A grid line at `y` (pixels from the top) and its label."""

    y: str
    text: str


class Label(NamedTuple):
    """A label under the horizontal axis at `x` (pixels from the left)."""

    x: str
    text: str


class Line(NamedTuple):
    """A model's line; points: `x,y` pairs in pixels, separated by spaces."""

    colour: str
    points: str


@dataclass(frozen=True)
class Chart:
    """One plot, laid out in pixels."""

    title: str
    ticks: list[Tick]
    labels: list[Label]
    lines: list[Line]
    colours: dict[str, str]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def render_report(backtest: BacktestResult, summary: dict[str, Any]) -> str:
    """Return the page as HTML. summary: what `scores.summarize` returns, with `file` and `weather`."""
    names = [model["name"] for model in summary["models"]]
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    errors = _squared_errors(backtest, names)
    scored = errors[errors["lead_day"] < SCORED_LEAD_DAYS]
    days = backtest.rows.loc[backtest.rows["lead_day"] == 0, "local_date"]
    return render_html(
        "velocast_cli.backtesting",
        "report",
        title=f"Backtest of {summary['file']}",
        summary=summary,
        first_day=days.min(),
        last_day=days.max(),
        last_lead_day=SCORED_LEAD_DAYS - 1,
        score_names=list(SCORES),
        lead_days=[f"lead day {day}" for day in range(HORIZON_DAYS)],
        models=[(model["name"], *format_scores(model)) for model in summary["models"]],
        coverage=_coverage_rows(summary["models"]),
        charts=[
            *_charts(errors, scored, colours),
            *_interval_charts(summary["models"], colours),
        ],
        colours=colours,
        new_counters=_new_counter_rows(summary["new_counters"]),
        counters=_counter_rows(scored, names),
        compared=list(COMPARED),
        comparisons=[
            (describe_comparison(found), _compared_rows(found))
            for found in summary.get("outside", [])
        ],
    )


def format_scores(model: dict[str, Any], names: Iterable[str] = SCORES) -> tuple[str, ...]:
    """Return a model's scores as text, in the order of the names."""
    return tuple(format_number(model[key], form) for key, form in map(SCORES.__getitem__, names))


def format_number(value: float | None, form: str) -> str:
    """Return a number as text; a dash where none is defined, such as R2 of counts that are all equal."""
    return "–" if value is None else format(value, form)


def _squared_errors(backtest: BacktestResult, names: list[str]) -> pd.DataFrame:
    rows = backtest.rows[backtest.rows["bike_count"].notna()]
    squares = pd.DataFrame({name: (rows[name] - rows["bike_count"]) ** 2 for name in names})
    keys = rows[["counter_id", "lead_day", "local_hour", "local_date", "bike_count"]]
    return keys.assign(weekday=rows["local_date"].dt.dayofweek).join(squares)


def _rmse(errors: pd.DataFrame, by: str, names: Sequence[str]) -> pd.DataFrame:
    return errors.groupby(by)[list(names)].mean() ** 0.5


def _charts(errors: pd.DataFrame, scored: pd.DataFrame, colours: dict[str, str]) -> list[Chart]:
    names = list(colours)
    by_day = _rmse(scored, "local_date", names)
    days = [f"{day:%d %b}" for day in sorted(scored["local_date"].unique())]
    by_lead_day = _rmse(errors, "lead_day", names)
    return [
        _chart("Error by local hour", _rmse(scored, "local_hour", names), range(24), colours),
        _chart("Error by weekday", _rmse(scored, "weekday", names), WEEKDAYS, colours),
        _chart(
            "Error by lead day (0 is the day of the origin)",
            by_lead_day,
            range(HORIZON_DAYS),
            colours,
        ),
        _chart("Error by day", by_day, days, colours, most_labels=DAY_LABELS),
    ]


def _interval_charts(models: list[dict[str, Any]], colours: dict[str, str]) -> list[Chart]:
    """Draw coverage by tenth and hour, and reliability, of the models that have intervals."""
    known = {model["name"]: model for model in models if model["below"]}
    if not known:
        return []
    key = {name: colours[name] for name in known}

    def percent(part: str) -> pd.DataFrame:
        return 100 * pd.DataFrame({n: m[part] for n, m in known.items()}, dtype="float64")

    wanted = {TARGET: TARGET_COLOUR}
    below = percent("below").reindex(list(LEVELS))
    levels = [100 * level for level in LEVELS.values()]
    return [
        _chart(
            "Coverage of the 90 % interval by tenth of the forecast, the quietest first (%)",
            percent("coverage_by_tenth").assign(**{TARGET: 100 * NOMINAL}),
            range(1, TENTHS + 1),
            key | wanted,
        ),
        _chart(
            "Coverage of the 90 % interval by local hour (%)",
            percent("coverage_by_hour").assign(**{TARGET: 100 * NOMINAL}),
            range(24),
            key | wanted,
        ),
        _chart(
            "Reliability: share of counts at or below each quantile (%)",
            below.assign(**{TARGET: levels}),
            [f"{level:g} %" for level in levels],
            key | wanted,
        ),
    ]


def _chart(
    title: str,
    values: pd.DataFrame,
    labels: Sequence[Any],
    colours: dict[str, str],
    *,
    most_labels: int | None = None,
) -> Chart:
    """Lay out one line for each model over the rows of `values`.

    most_labels: how many labels to show at most, None for all; of more, every n-th is shown.
    """
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values) - 1)
    ticks = _tick_values(float(np.nanmax(values.to_numpy(dtype="float64"))))
    every = 1 if most_labels is None else max(1, -(-len(values) // most_labels))

    def x(position: int) -> str:
        return f"{LEFT + step * position:.1f}"

    def y(value: float) -> str:
        return f"{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / ticks[-1]:.1f}"

    def points(column: pd.Series[float]) -> str:
        known = [(n, value) for n, value in enumerate(column) if not np.isnan(value)]
        return " ".join(f"{x(n)},{y(value)}" for n, value in known)

    shown = list(enumerate(labels[: len(values)]))[::every]
    return Chart(
        title,
        [Tick(y(tick), f"{tick:g}") for tick in ticks],
        [Label(x(n), str(label)) for n, label in shown],
        [Line(colours[str(name)], points(column)) for name, column in values.items()],
        colours,
    )


def _tick_values(top: float) -> list[float]:
    """Return round values from 0 to at least `top`."""
    rough = max(top, 1e-6) / (TICKS - 1)
    size = 10.0 ** np.floor(np.log10(rough))
    step = float(next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= rough))
    return [step * n for n in range(int(np.ceil(top / step)) + 1)] if top > 0 else [0.0, 1.0]


def _coverage_rows(models: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return coverage and width of each lead day's intervals, for the models that have intervals."""
    return [
        (model["name"], *(f"{d['coverage']:.1%} ({d['width']:.0f})" for d in model["lead_days"]))
        for model in models
        if model["coverage"] is not None
    ]


def _new_counter_rows(scores: dict[str, Any] | None) -> list[tuple[str, ...]]:
    if scores is None:
        return []
    return [(NEW_COUNTERS[model["name"]], *format_scores(model)) for model in scores["models"]]


def _compared_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(model["name"], *format_comparison(model)) for model in found["models"]]


def _counter_rows(errors: pd.DataFrame, names: list[str]) -> list[tuple[str, ...]]:
    """Return each counter's mean count and each model's error, the busiest counter first."""
    rmse = _rmse(errors, "counter_id", names)
    mean = errors.groupby("counter_id")["bike_count"].mean().sort_values(ascending=False)
    ordered = rmse.loc[mean.index]
    return [
        (str(counter), f"{count:.0f}", *(f"{error:.1f}" for error in row))
        for counter, count, row in zip(mean.index, mean, ordered.to_numpy(), strict=True)
    ]
