"""Hidden gaps rebuilt, beside the typical week: `make bench ARGS="gaps FILE..."`.

Hours of counters that work are hidden, at random places; the model and the typical week see the same rest.
"""

from __future__ import annotations

import argparse
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy.cities import ENDING
from velocast.core.datetimes import local_date
from velocast.model.faults.city_faults import judge_city
from velocast.model.faults.day_grid import DayGrid, day_grid
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.gaps.estimates import HourEstimates, estimate_hours
from velocast_cli.cities import city_of
from velocast_cli.counts.hours_files import read_hours

Array = NDArray[np.float64]
# hours of a gap, its name, and how many are hidden for each counter
GAPS = ((216, "nine days", 0.5), (24, "one day", 2.0), (1, "one hour", 20.0))
EDGE_DAYS, APART_HOURS = 28, 14 * 24
WEEKS = (-4, -3, -2, -1, 1, 2, 3, 4)


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rows: list[dict[str, Any]] = []
    for file in arguments.files:
        name = file.name.removesuffix(ENDING)
        grid, counts = _read(file, name, arguments.days, console)
        for number in range(arguments.rounds):
            console.print(f"{name}: round {number + 1} of {arguments.rounds}")
            rows += measure_round(name, grid, counts, seed=arguments.seed + number)
    found = summarise(pd.DataFrame(rows))
    harness.write({"gaps": found}, arguments.json)
    console.print("\n".join(markdown(found)))


def _read(file: Path, name: str, days: int, console: Console) -> tuple[DayGrid, Array]:
    """Return the newest days of a city and its counts without what is marked as faulty: such hours are no truth."""
    found = read_hours(city_of(name), [file], console.print)
    zone, country = found.city.zone, found.city.holidays
    last = found.hours["counted_at"].max()
    hours = found.hours[found.hours["counted_at"] > last - timedelta(days=days)]
    hours = hours.reset_index(drop=True)
    first = local_date(hours["counted_at"].min().to_pydatetime(), zone)
    holidays = holiday_dates(country, first, local_date(last.to_pydatetime(), zone))
    grid = day_grid(hours, zone, holidays=holidays)
    counts = grid.counts.astype(np.float64)
    judged = judge_city(hours, found.counters, zone, country=country)
    counts.reshape(-1)[grid.cells[pd.notna(judged.quality)]] = np.nan
    return grid, counts


def measure_round(name: str, grid: DayGrid, counts: Array, *, seed: int) -> list[dict[str, Any]]:
    """Hide gaps of each length at once, estimate them, and return one row an hour that was hidden."""
    rng = np.random.default_rng(seed)
    hidden, places = counts.copy(), []
    for length, gap, share in GAPS:
        place = hide(hidden, length, round(share * len(counts)), rng)
        hidden[place] = np.nan
        places.append((gap, place))
    weekdays = (grid.first_day.weekday() + np.arange(counts.shape[1])) % 7
    made = estimate_hours(hidden, weekdays, grid.day_types)
    typical = typical_week(hidden)
    return [
        row
        for gap, place in places
        for row in _rows({"city": name, "gap": gap}, place, counts, made, typical)
    ]


def hide(counts: Array, length: int, number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (C, D, 24): hours to hide, in stretches of `length` hours without one that is missing, far apart."""
    counters, days, _ = counts.shape
    flat = counts.reshape(counters, -1)
    place = np.zeros(flat.shape, dtype=bool)
    step = 24 if length >= 24 else 1
    last = (days - EDGE_DAYS) * 24 - length
    for _ in range(30 * number):
        counter = rng.integers(counters)
        first = int(rng.integers(EDGE_DAYS * 24 // step, last // step)) * step
        around = slice(first - APART_HOURS, first + length + APART_HOURS)
        free = length == 1 or not place[counter, around].any()
        whole = np.isnan(flat[counter, first : first + length]).mean() <= 0.02
        if free and whole and number:
            place[counter, first : first + length] = True
            number -= 1
    return (place & ~np.isnan(flat)).reshape(counts.shape)


def typical_week(counts: Array) -> Array:
    """Return the mean of the same hour and weekday over the four weeks before and the four after, (C, D, 24)."""
    edge = np.full((len(counts), EDGE_DAYS, 24), np.nan)
    padded, days = np.concatenate([edge, counts, edge], axis=1), counts.shape[1]
    shifted = [padded[:, EDGE_DAYS + 7 * week :][:, :days] for week in WEEKS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an hour without any
        return np.asarray(np.nanmean(np.stack(shifted), axis=0))


def _rows(
    named: dict[str, str],
    place: NDArray[np.bool_],
    counts: Array,
    made: HourEstimates,
    typical: Array,
) -> list[dict[str, Any]]:
    true, mean, week = counts[place], made.mean[place], typical[place]
    inside = (made.lower[place] <= true) & (true <= made.upper[place])
    values = zip(true, mean, week, inside, made.upper[place] - made.lower[place], strict=True)
    names = ("true", "mean", "week", "inside", "width")
    return [named | dict(zip(names, each, strict=True)) for each in values]


def summarise(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row a city and length of gap. Both are scored on the hours that both estimate."""
    found = []
    for (city, gap), part in rows.groupby(["city", "gap"], sort=False):
        both = part.dropna()
        error, week = both["mean"] - both["true"], both["week"] - both["true"]
        found.append(
            {
                "city": city,
                "gap": gap,
                "hours": len(both),
                "estimated": len(both) / len(part),
                "mae": float(error.abs().mean()),
                "mae_week": float(week.abs().mean()),
                "rmse": float((error**2).mean() ** 0.5),
                "rmse_week": float((week**2).mean() ** 0.5),
                "coverage": float(both["inside"].mean()),
                "width": float(both["width"].mean()),
                "total": float(error.sum() / both["true"].sum()),
            }
        )
    return found


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table; each ratio is our error over that of the typical week."""
    return [
        "| city | gap | hours | MAE | typical week | ratio | RMSE | typical week | ratio | coverage | total |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r['city']} | {r['gap']} | {r['hours']:,} | {r['mae']:.2f} | {r['mae_week']:.2f} | "
            f"{r['mae'] / r['mae_week']:.2f} | {r['rmse']:.2f} | {r['rmse_week']:.2f} | "
            f"{r['rmse'] / r['rmse_week']:.2f} | {r['coverage']:.3f} | {r['total']:+.1%} |"
            for r in rows
        ),
    ]
