"""A page with pictures of a backtest's errors: by hour, weekday, lead and counter. One file, nothing fetched."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from velocast.ground.time import SCORED_LEAD_DAYS
from velocast.usecases.backtest import Backtest

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a98", "#8a6d3b", "#7a4988", "#5f6b6d", "#b0a030")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 260, 46, 34, 12
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2326;background:#fff}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #dde3e5}
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}h2{margin-top:2.5rem}
.key{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 1rem}
@media(prefers-color-scheme:dark){body{color:#e4e9ea;background:#14191b}td,th{border-color:#344044}}
"""


def page(backtest: Backtest, summary: dict[str, Any]) -> str:
    """Return the page as HTML."""
    names = [model["name"] for model in summary["models"]]
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    errors = _errors(backtest, names)
    scored = errors[errors["lead_day"] < SCORED_LEAD_DAYS]
    sections = [
        ("by local hour", _lines(_rmse(scored, "local_hour", names), colours, range(24))),
        ("by weekday", _lines(_rmse(scored, "weekday", names), colours, WEEKDAYS)),
        ("by lead day", _lines(_rmse(errors, "lead_day", names), colours, range(5))),
        ("by day", _lines(*_by_day(scored, names, colours))),
    ]
    body = "".join(
        f"<h2>Error {escape(title)}</h2>{_key(colours)}{picture}" for title, picture in sections
    )
    title = f"Backtest of {summary['file']}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{escape(_said(summary))}</p>{_table(summary)}"
        f"{body}<h2>Error by counter</h2>{_counters(scored, names)}</html>"
    )


def _said(summary: dict[str, Any]) -> str:
    return (
        f"{summary['rows']:,} forecasts of {summary['counters']} counters from {summary['origins']} daily origins, "
        f"{summary['first_origin_at'][:10]} to {summary['last_origin_at'][:10]}, lead days 0 to 2, trained again every "
        f"week on everything known. Weather: {summary['weather']}. Errors are RMSE in bikes per hour."
    )


def _errors(backtest: Backtest, names: list[str]) -> pd.DataFrame:
    rows = backtest.rows[backtest.rows["bike_count"].notna()]
    squares = pd.DataFrame({name: (rows[name] - rows["bike_count"]) ** 2 for name in names})
    keys = rows[["counter_id", "lead_day", "local_hour", "local_date", "bike_count"]]
    return keys.assign(weekday=rows["local_date"].dt.dayofweek).join(squares)


def _rmse(errors: pd.DataFrame, by: str, names: list[str]) -> pd.DataFrame:
    return errors.groupby(by)[names].mean() ** 0.5


def _by_day(
    errors: pd.DataFrame, names: list[str], colours: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    days = _rmse(errors, "local_date", names)
    shown = max(1, len(days) // 8)
    labels = [f"{day:%d %b}" if n % shown == 0 else "" for n, day in enumerate(days.index)]
    return days.reset_index(drop=True), colours, labels


def _lines(values: pd.DataFrame, colours: dict[str, str], labels: Any) -> str:
    """Draw one line a model over the rows of `values`, labelled below."""
    top = float(np.nanmax(values.to_numpy())) * 1.05 or 1.0
    step = (WIDTH - LEFT - 10) / max(1, len(values) - 1)

    def at(position: int, value: float) -> str:
        height = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top
        return f"{LEFT + step * position:.1f},{height:.1f}"

    texts = [
        f"<text x={LEFT + step * n:.0f} y={HEIGHT - 12} text-anchor=middle font-size=11 fill=currentColor>"
        f"{label}</text>"
        for n, label in enumerate(labels)
        if n < len(values)
    ]
    for share in (0.25, 0.5, 0.75, 1.0):
        x, y = at(0, top * share).split(",")
        texts.append(
            f"<line x1={x} x2={WIDTH - 10} y1={y} y2={y} stroke=currentColor opacity=.15 />"
            f"<text x=4 y={y} font-size=11 fill=currentColor>{top * share:.0f}</text>"
        )
    lines = [
        f"<polyline fill=none stroke-width=2 stroke='{colours[str(name)]}' points='"
        + " ".join(at(n, value) for n, value in enumerate(column) if value == value)
        + "' />"
        for name, column in values.items()
    ]
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role=img>{''.join(texts)}{''.join(lines)}</svg>"


def _key(colours: dict[str, str]) -> str:
    keys = (
        f"<span class=key style='background:{colour}'></span>{escape(name)}"
        for name, colour in colours.items()
    )
    return f"<p>{''.join(keys)}</p>"


def _table(summary: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(m['name'])}<td>{m['r2']:.3f}<td>{m['rmse']:.1f}<td>{m['mae']:.1f}<td>{m['wape']:.1%}"
        f"<td>{_or_empty(m['coverage'], '.1%')}<td>{_or_empty(m['width'], '.0f')}</tr>"
        for m in summary["models"]
    )
    heads = "".join(f"<th>{h}" for h in ("model", "R2", "RMSE", "MAE", "WAPE", "covered", "width"))
    return f"<table><tr>{heads}</tr>{rows}</table>"


def _or_empty(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _counters(errors: pd.DataFrame, names: list[str]) -> str:
    """Return a table of counters, the busiest first: mean count, and each model's error."""
    rmse = _rmse(errors, "counter_id", names)
    mean = errors.groupby("counter_id")["bike_count"].mean().sort_values(ascending=False)
    rows = "".join(
        f"<tr><td>{escape(str(counter))}<td>{value:.0f}"
        + "".join(f"<td>{rmse.loc[counter, name]:.1f}" for name in names)
        + "</tr>"
        for counter, value in mean.items()
    )
    heads = "".join(f"<th>{escape(h)}" for h in ("counter", "mean count", *names))
    return f"<table><tr>{heads}</tr>{rows}</table>"
