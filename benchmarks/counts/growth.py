"""Growth and effects on cities where they are known: `make bench ARGS="growth"`.

Each figure is of simulated cities (simulated_growth.py): with a growth between -10 and +15 %, and without any, as a
placebo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks import harness
from benchmarks.counts.simulated_growth import SimulatedCity, simulated_city
from velocast.core.unknown import Unknown
from velocast.model.growth.change import Comparison, Growth
from velocast.model.growth.effect import Effect, effect_of_measure
from velocast.model.growth.periods import compared_periods

NEAR = 0.02  # two points
COUNTERS_EACH = 2  # judged one by one in each city
AFTER = 120  # days since the measure
TOUCHED = ("c00", "c01")


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    seeds = range(arguments.seed, arguments.seed + arguments.cities)
    growth: list[dict[str, Any]] = []
    effects: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for number, seed in enumerate(seeds, 1):
            for placebo in (False, True):
                growth += judge_growth(seed, placebo=placebo)
                effects.append(judge_effect(seed, placebo=placebo))
            if number % 10 == 0:
                console.print(f"{number} of {len(seeds)} cities", style="dim")
                harness.write({"growth": growth, "effects": effects}, arguments.json)
    harness.write({"growth": growth, "effects": effects}, arguments.json)
    console.print("\n".join(markdown(growth, effects)))


def judge_growth(seed: int, *, placebo: bool) -> list[dict[str, Any]]:
    """Return truth and estimates of a city and of some of its counters."""
    trend = 0.0 if placebo else float(np.random.default_rng([seed, 1]).uniform(-0.10, 0.15))
    made = simulated_city(seed, trend=trend)
    days = made.days
    periods = compared_periods(days.first, days.first + timedelta(days=days.counts.shape[1]))
    assert not isinstance(periods, Unknown)
    comparison = Comparison(days, periods)
    rows = [_row("city", made.growth, comparison.whole_city(), placebo, made)]
    for n in range(COUNTERS_EACH):
        found = comparison.counter(days.counters[n])
        rows.append(_row("counter", float(made.growth_of[n]), found, placebo, made))
    return [row for row in rows if row]


def _row(
    what: str, truth: float, found: Growth | Unknown, placebo: bool, made: SimulatedCity
) -> dict[str, Any]:
    if isinstance(found, Unknown):
        return {}
    return {
        "what": what,
        "placebo": placebo,
        "truth": truth,
        "perfect": made.perfect if what == "city" else None,
        **{
            way: {"change": c.change, "low": c.low, "high": c.high}
            for way, c in (
                ("raw", found.raw),
                ("rebuilt", found.rebuilt),
                ("adjusted", found.adjusted),
            )
        },
        "claimed": found.claimed,
    }


def judge_effect(seed: int, *, placebo: bool) -> dict[str, Any]:
    """Return truth and estimate of a measure at two counters."""
    rng = np.random.default_rng([seed, 2])
    factor = 1.0 if placebo else float(np.exp(rng.uniform(-0.35, 0.35)))
    day = 728 - AFTER
    made = simulated_city(seed, trend=0.0, steps=dict.fromkeys((0, 1), (day, factor)))
    since = made.days.first + timedelta(days=day)
    found = effect_of_measure(made.days, TOUCHED, since)
    row: dict[str, Any] = {"placebo": placebo, "truth": factor - 1}
    if isinstance(found, Effect):
        change = found.effect
        row |= {
            "change": change.change,
            "low": change.low,
            "high": change.high,
            "claimed": found.claimed,
            "widened": found.widened,
        }
    return row


def markdown(growth: Sequence[dict[str, Any]], effects: Sequence[dict[str, Any]]) -> list[str]:
    """Return both tables. A growth's claims are false on placebos."""
    lines = [
        "| growth of | way | n | typical error | within two points | in the 90 % interval "
        "| half its width | claimed on placebos |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for what in ("city", "counter"):
        rows = [row for row in growth if row["what"] == what]
        if not rows:
            continue
        for way in ("raw", "rebuilt", "adjusted"):
            flat = [
                {**row[way], **{k: row[k] for k in ("truth", "placebo", "claimed")}} for row in rows
            ]
            cells = _figures(flat)
            if way != "adjusted":  # only the adjusted change claims something
                cells[-1] = "–"
            lines.append(f"| {what} | {way} | {' | '.join(cells)} |")
        if what == "city":
            perfect = [row["perfect"] - row["truth"] for row in rows if not row["placebo"]]
            lines.append(
                f"| city | weather and days known exactly | {len(perfect)} | {_points(_rms(perfect))} | "
                f"{np.mean(np.abs(perfect) <= NEAR):.2f} | – | – | – |"
            )
    known = [row for row in effects if "change" in row]
    lines += [
        "",
        f"| effect of a measure, {AFTER} days | adjusted | {' | '.join(_figures(known))} |",
    ]
    return lines


def _figures(rows: Sequence[dict[str, Any]]) -> list[str]:
    real = [row for row in rows if not row["placebo"]]
    off = [row["change"] - row["truth"] for row in real]
    inside = [row["low"] <= row["truth"] <= row["high"] for row in real]
    false = [row["claimed"] for row in rows if row["placebo"]]
    return [
        f"{len(real)} + {len(false)}",
        _points(_rms(off)),
        f"{np.mean(np.abs(off) <= NEAR):.2f}",
        f"{np.mean(inside):.2f}",
        _points(float(np.mean([(row["high"] - row["low"]) / 2 for row in real]))),
        f"{np.mean(false):.3f}",
    ]


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _points(share: float) -> str:
    return f"{share * 100:.1f}"
