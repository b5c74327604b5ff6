"""Counters split in two, and which of them are proposed as one: `make bench ARGS="continuations FILE..."`.

In real counts, some counters get another id from a random day on, after a gap, at a place a little off and at another
level, as when a city replaces them. All other proposals are false, also in the counts that nobody touched.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy.cities import ENDING
from velocast.model.histories.proposals import propose_continuations, spans_of
from velocast_cli.cities import city_of
from velocast_cli.counts.hours_files import CityHours, read_hours

DAY = pd.Timedelta(days=1)
SHARE = 0.15  # of the counters that are split in a round
EDGE_DAYS = 42  # of counts before and after the split
GAPS = (0, 1, 3, 14, 45)  # days
MOVED_METRES, LEVEL_SPREAD = 60.0, 0.15  # standard deviations, the latter of the logarithm
DEGREE_METRES = 111_000.0


@dataclass(frozen=True)
class SplitCity:
    """hours and counters as of `CityHours`. new_ids: of each counter that was split, and `ratios` of the levels."""

    hours: pd.DataFrame
    counters: pd.DataFrame
    new_ids: dict[str, str]
    ratios: dict[str, float]


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    rows = []
    for file in arguments.files:
        name = file.name.removesuffix(ENDING)
        found = read_hours(city_of(name), [file], console.print)
        usable = found.hours[found.hours["quality"].isna()].reset_index(drop=True)
        untouched = propose_continuations(usable, found.counters, found.city.zone)
        row: dict[str, Any] = {
            "city": name,
            "counters": int(usable["counter_id"].nunique()),
            "untouched": len(untouched),
            "split": 0, "found": 0, "false": 0, "ratio_error": [],
        }  # fmt: skip
        for number in range(arguments.rounds):
            split = split_counters(usable, found, seed=arguments.seed + number)
            measure(split, found, row)
        errors = row.pop("ratio_error")
        rows.append(row | {"ratio_error": round(float(np.median(errors)), 3) if errors else None})
        console.print(f"{name}: {row['found']} of {row['split']} found, {row['false']} false")
    harness.write({"continuations": rows}, arguments.json)
    console.print("\n".join(markdown(rows)))


def split_counters(usable: pd.DataFrame, city: CityHours, *, seed: int) -> SplitCity:
    """Give SHARE of the counters that have EDGE_DAYS on both sides another id from a random moment on."""
    rng = np.random.default_rng(seed)
    spans = spans_of(usable).set_index("counter_id")
    long = spans.index[spans["last_at"] - spans["first_at"] > 3 * EDGE_DAYS * DAY]
    chosen = rng.choice(long, max(1, round(SHARE * len(long))), replace=False)
    ids = usable["counter_id"].to_numpy(dtype=object).copy()
    counts = usable["bike_count"].to_numpy(dtype=float).copy()
    keep = np.ones(len(usable), dtype=bool)
    counters, new_ids, ratios = [city.counters], {}, {}
    for counter in chosen:
        rows = np.flatnonzero(ids == counter)
        at = usable["counted_at"].iloc[rows]
        first, last = at.min() + EDGE_DAYS * DAY, at.max() - EDGE_DAYS * DAY
        moment = first + (last - first) * float(rng.random())
        gap = int(rng.choice(GAPS)) * DAY
        ratio = float(np.exp(rng.normal(0, LEVEL_SPREAD)))
        new = f"{counter} replaced"
        after = (at >= moment).to_numpy()
        ids[rows[after]] = new
        counts[rows[after]] = np.round(counts[rows[after]] * ratio)
        keep[rows[after & (at < moment + gap).to_numpy()]] = False
        counters.append(_moved(city.counters, str(counter), new, rng))
        new_ids[str(counter)], ratios[str(counter)] = new, ratio
    hours = usable.assign(counter_id=ids, bike_count=counts)[keep]
    return SplitCity(hours, pd.concat(counters, ignore_index=True), new_ids, ratios)


def _moved(
    counters: pd.DataFrame, counter: str, new: str, rng: np.random.Generator
) -> pd.DataFrame:
    row = counters[counters["counter_id"] == counter].assign(counter_id=new)
    if {"latitude", "longitude"} <= set(row.columns):
        north, east = rng.normal(0, MOVED_METRES, 2) / DEGREE_METRES
        wide = np.cos(np.radians(row["latitude"].astype(float)))
        row = row.assign(
            latitude=row["latitude"].astype(float) + north,
            longitude=row["longitude"].astype(float) + east / wide,
        )
    return row


def measure(split: SplitCity, city: CityHours, row: dict[str, Any]) -> None:
    """Add to a row how many of the split counters are proposed as one, and how many other pairs are proposed."""
    row["split"] += len(split.new_ids)
    for each in propose_continuations(split.hours, split.counters, city.city.zone):
        if split.new_ids.get(each.continues) == each.counter_id:
            row["found"] += 1
            error = abs(float(np.log(each.level_ratio / split.ratios[each.continues])))
            row["ratio_error"].append(error)
        else:
            row["false"] += 1


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of benchmarks/README.md."""
    lines = [
        "| City | Counters | Proposed, untouched | Split | Found | Other pairs proposed | Level ratio off by |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = f"{row['found'] / row['split']:.0%}" if row["split"] else "-"
        off = "-" if row["ratio_error"] is None else f"{row['ratio_error']:.0%}"
        lines.append(
            f"| {row['city']} | {row['counters']} | {row['untouched']} | {row['split']} | {row['found']} ({share}) | "
            f"{row['false']} | {off} |"
        )
    return lines
