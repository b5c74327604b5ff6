"""A page with pictures of a backtest's errors: by hour, weekday, lead, day and counter. One file, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.datetimes import HORIZON_DAYS, SCORED_LEAD_DAYS
from velocast_cli.backtesting.plan import BacktestResult

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a6d3b", "#7a4988", "#5f6b6d", "#b0a030")
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 260, 40, 24, 34, 12
TICKS = 6
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SCORES = ("R2", "RMSE", "MAE", "WAPE", "covered", "width")
FORMS = {"r2": ".3f", "rmse": ".1f", "mae": ".1f", "wape": ".1%", "coverage": ".1%", "width": ".0f"}
NEW_COUNTERS = {
    "new_position": "asked for as a position",
    "new_counter": "published for a counter first seen today",
    "city_typical_week": "to compare: the city's typical week",
}
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2326;background:#fff}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #dde3e5}
td:first-child,th:first-child{text-align:left;white-space:nowrap}svg{width:100%;height:auto}h2{margin-top:2.5rem}
.key span{white-space:nowrap;margin-right:1rem}.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.3rem}
@media(prefers-color-scheme:dark){body{color:#e4e9ea;background:#14191b}td,th{border-color:#344044}}
"""


def render_report(backtest: BacktestResult, summary: dict[str, Any]) -> str:
    """Return the page as HTML."""
    names = [model["name"] for model in summary["models"]]
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    errors = _errors(backtest, names)
    scored = errors[errors["lead_day"] < SCORED_LEAD_DAYS]
    days = sorted(scored["local_date"].unique())
    pictures = [
        ("local hour", _rmse(scored, "local_hour", names), range(24), 1),
        ("weekday", _rmse(scored, "weekday", names), WEEKDAYS, 1),
        (
            "lead day (0: the origin's own day)",
            _rmse(errors, "lead_day", names),
            range(HORIZON_DAYS),
            1,
        ),
        ("day", _rmse(scored, "local_date", names), [f"{day:%d %b}" for day in days], 8),
    ]
    body = "".join(
        f"<h2>Error by {escape(title)}</h2>{_key(colours)}{_lines(values, colours, list(labels), shown)}"
        for title, values, labels, shown in pictures
    )
    title = f"Backtest of {summary['file']}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{escape(_said(backtest, summary))}</p>"
        f"{_models(summary['models'])}{_intervals(summary['models'])}{body}"
        f"{_new_counters(summary['new_counters'])}<h2>Error by counter</h2>{_counters(scored, names)}</html>"
    )


def _said(backtest: BacktestResult, summary: dict[str, Any]) -> str:
    days = backtest.rows.loc[backtest.rows["lead_day"] == 0, "local_date"]
    return (
        f"{summary['rows']:,} forecasts of {summary['counters']} counters from {summary['origins']} daily origins, "
        f"{days.min():%d %B %Y} to {days.max():%d %B %Y}, lead days 0 to {SCORED_LEAD_DAYS - 1}, trained again every "
        f"week on everything known. Weather: {summary['weather']}. Errors are RMSE in bikes per hour; covered is how "
        "often a count lay within its 90 % interval, width the interval's mean width in bikes."
    )


def _errors(backtest: BacktestResult, names: list[str]) -> pd.DataFrame:
    rows = backtest.rows[backtest.rows["bike_count"].notna()]
    squares = pd.DataFrame({name: (rows[name] - rows["bike_count"]) ** 2 for name in names})
    keys = rows[["counter_id", "lead_day", "local_hour", "local_date", "bike_count"]]
    return keys.assign(weekday=rows["local_date"].dt.dayofweek).join(squares)


def _rmse(errors: pd.DataFrame, by: str, names: list[str]) -> pd.DataFrame:
    return errors.groupby(by)[names].mean() ** 0.5


def _lines(values: pd.DataFrame, colours: dict[str, str], labels: Sequence[Any], most: int) -> str:
    """Draw one line a model over the rows of `values`; of more labels than fit, every n-th stands below.

    most: labels to show at most, 1 for all.
    """
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values) - 1)
    ticks = _ticks(float(np.nanmax(values.to_numpy(dtype="float64"))))
    every = 1 if most == 1 else max(1, -(-len(values) // most))

    def x(position: int) -> str:
        return f"{LEFT + step * position:.1f}"

    def y(value: float) -> str:
        return f"{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / ticks[-1]:.1f}"

    below = [
        f"<text x={x(n)} y={HEIGHT - 12} text-anchor=middle font-size=11 fill=currentColor>{escape(str(label))}</text>"
        for n, label in enumerate(labels[: len(values)])
        if n % every == 0
    ]
    grid = [
        f"<line x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} stroke=currentColor opacity=.15 />"
        f"<text x={LEFT - 8} y={y(tick)} dy=4 text-anchor=end font-size=11 fill=currentColor>{tick:g}</text>"
        for tick in ticks
    ]
    lines = [
        f"<polyline fill=none stroke-width=2 stroke='{colours[str(name)]}' points='"
        + " ".join(f"{x(n)},{y(value)}" for n, value in enumerate(column) if value == value)
        + "' />"
        for name, column in values.items()
    ]
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>{''.join([*grid, *below, *lines])}</svg>"


def _ticks(top: float) -> list[float]:
    """Return round values from 0 to at least `top`."""
    rough = max(top, 1e-6) / (TICKS - 1)
    size = 10.0 ** np.floor(np.log10(rough))
    step = float(next(size * n for n in (1, 2, 2.5, 5, 10) if size * n >= rough))
    return [step * n for n in range(int(np.ceil(top / step)) + 1)] if top > 0 else [0.0, 1.0]


def _key(colours: dict[str, str]) -> str:
    keys = (
        f"<span><i style='background:{colour}'></i>{escape(name)}</span>"
        for name, colour in colours.items()
    )
    return f"<p class=key>{''.join(keys)}</p>"


def _models(models: list[dict[str, Any]]) -> str:
    return _table(("model", *SCORES), ((model["name"], *figures(model)) for model in models))


def _intervals(models: list[dict[str, Any]]) -> str:
    """Return how often each lead day's intervals held, and how wide they were."""
    rows = [
        (model["name"], *(f"{d['coverage']:.1%} ({d['width']:.0f})" for d in model["lead_days"]))
        for model in models
        if model["coverage"] is not None
    ]
    heads = ("covered (width)", *(f"lead day {day}" for day in range(HORIZON_DAYS)))
    return f"<h2>Intervals by lead day</h2>{_table(heads, rows)}" if rows else ""


def _new_counters(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    rows = ((NEW_COUNTERS[model["name"]], *figures(model)) for model in found["models"])
    return (
        f"<h2>What a new counter would get</h2><p>{found['counters']} counters, the history of each hidden for a week "
        f"together with that of its pole, {found['rows']:,} forecasts, lead days 0 to {SCORED_LEAD_DAYS - 1}.</p>"
        f"{_table(('forecast', *SCORES), rows)}"
    )


def figures(model: dict[str, Any]) -> tuple[str, ...]:
    """Return a model's scores as text, in the order of SCORES."""
    return tuple(figure(model[key], form) for key, form in FORMS.items())


def figure(value: float | None, form: str) -> str:
    """Return a number as text, a dash where none is defined, as R2 of counts that are all alike."""
    return "–" if value is None else format(value, form)


def _counters(errors: pd.DataFrame, names: list[str]) -> str:
    """Return a table of counters, the busiest first: mean count, and each model's error."""
    rmse = _rmse(errors, "counter_id", names)
    mean = errors.groupby("counter_id")["bike_count"].mean().sort_values(ascending=False)
    rows = (
        (str(counter), f"{value:.0f}", *(f"{rmse.loc[counter, name]:.1f}" for name in names))
        for counter, value in mean.items()
    )
    return _table(("counter", "mean count", *names), rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(text)}" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}' for text in row)}</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"
