"""Faults found, in time and falsely called, beside the rule of zeros: `make bench ARGS="faults FILE..."`.

Faults are put into real counts that nobody touched, at random counters and days; Nantes has its own labels of faulty
days. Each figure is of both halves of the counters together and of each.
"""

from __future__ import annotations

import argparse
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy.cities import ENDING
from benchmarks.counts.injected_faults import FAULTS, SWAPPED, InjectedFault, Injector
from velocast.core.datetimes import local_date
from velocast.model.faults.day_grid import DayGrid, day_grid
from velocast.model.faults.detector import find_faults
from velocast.model.faults.episodes import Episode, episodes_of
from velocast.model.faults.kinds import LEVELS, NAMES, Mark
from velocast.model.faults.ledger import NEVER, Ledger
from velocast.model.faults.sites import sites_of
from velocast.model.features.calendar_features import holiday_dates
from velocast_cli.cities import city_of
from velocast_cli.counts.hours_files import CityHours, read_hours

ZERO_HOURS, ZERO_MEAN = (
    24,
    3.0,
)  # the rule of zeros: so many in a row, on a counter that usually counts more
LABELS = "-labels.csv"
MARKS: dict[str, tuple[Mark, ...]] = {
    "dead": (Mark.DEAD,),
    "dead, stray counts": (Mark.DEAD,),
    "stuck": (Mark.STUCK,),
    "stuck, a day repeated": (Mark.STUCK,),
    "halved": (Mark.HALVED, Mark.LEVEL_SHIFT),
    "doubled": (Mark.DOUBLED, Mark.LEVEL_SHIFT),
    "level shift": LEVELS,
    "spike": (Mark.SPIKE,),
    "clock shift": (Mark.CLOCK_SHIFT,),
    "sparse": (Mark.SPARSE,),
    SWAPPED: (Mark.SWAPPED,),
}
WITHOUT_NUMBERS = (
    Mark.DEAD,
    Mark.STUCK,
    Mark.SPARSE,
)  # what Nantes labels: days of zeros or without counts


@dataclass(frozen=True)
class _City:
    name: str
    found: CityHours
    grid: DayGrid

    def half(self, counter: int) -> int:
        """Return the half of the counters that this one belongs to, 0 or 1, whatever others there are."""
        return zlib.crc32(self.grid.counters[counter].encode()) % 2


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    injected: list[dict[str, Any]] = []
    alarms, labels = [], []
    for file in _files(arguments.files):
        city = _read(file, arguments.days, console)
        untouched = find_faults(city.grid)
        alarms.append(false_alarms(city, untouched))
        if (labelled := file.with_name(city.name + LABELS)).exists():
            labels += label_scores(city, untouched, pd.read_csv(labelled, dtype=str))
        for number in range(arguments.rounds):
            console.print(f"{city.name}: round {number + 1} of {arguments.rounds}")
            injected += measure_round(city, untouched, seed=arguments.seed + number)
        found = {
            "injected": recalls(injected),
            "false_alarms": alarms,
            "labels": labels,
            "outcomes": injected,
        }
        harness.write(found, arguments.json)
    console.print("\n".join(markdown(recalls(injected), alarms, labels)))


def _files(paths: Iterable[Path]) -> list[Path]:
    return [
        file
        for path in paths
        for file in (sorted(path.glob(f"*{ENDING}")) if path.is_dir() else [path])
    ]


def _read(file: Path, days: int, console: Console) -> _City:
    name = file.name.removesuffix(ENDING)
    found = read_hours(city_of(name), [file], console.print)
    zone = found.city.zone
    last = found.hours["counted_at"].max()
    hours = found.hours[found.hours["counted_at"] > last - timedelta(days=days)]
    first, end = (local_date(at.to_pydatetime(), zone) for at in (hours["counted_at"].min(), last))
    holidays = holiday_dates(found.city.holidays, first, end)
    return _City(
        name, found, day_grid(hours, zone, holidays=holidays, sites=sites_of(found.counters))
    )


def measure_round(city: _City, untouched: Ledger, *, seed: int) -> list[dict[str, Any]]:
    """Put faults into a fifth of the counters, judge once, and return what was found of each."""
    grid = city.grid
    faulty = (untouched.marks != Mark.NONE).any(2)
    injector = Injector(grid.counts, faulty, grid.pairs, np.random.default_rng(seed))
    wanted = max(11, len(grid.counters) // 2)
    names = [*FAULTS, SWAPPED]
    faults = [injector.inject(names[n % len(names)]) for n in range(wanted)]
    broken = replace(grid, counts=injector.counts, published=~np.isnan(injector.counts))
    ledger = find_faults(broken)
    zeros = zero_rule(broken)
    return [_outcome(city, ledger, zeros, fault) for fault in faults if fault is not None]


def _outcome(
    city: _City, ledger: Ledger, zeros: NDArray[np.int16], fault: InjectedFault
) -> dict[str, Any]:
    part = (fault.counter, slice(fault.day, fault.day + fault.days))
    ours = np.isin(ledger.marks[part], MARKS[fault.name])
    found = int(ledger.found[part][ours].min()) if ours.any() else NEVER
    by_zeros = int(zeros[part].min())
    return {
        "city": city.name,
        "fault": fault.name,
        "half": city.half(fault.counter),
        "usual": fault.usual,
        "days_until_found": found - fault.day + 1,
        "days_until_zero_rule": by_zeros - fault.day + 1,
    }


def zero_rule(grid: DayGrid) -> NDArray[np.int16]:
    """Return the day on which the rule of zeros marks each day, (C, D); NEVER where it does not."""
    found = np.full(grid.counts.shape[:2], NEVER, dtype=np.int16)
    for counter, counts in enumerate(grid.counts):
        there = np.flatnonzero(~np.isnan(counts.reshape(-1)))
        hours = counts.reshape(-1)[there]
        zero = np.concatenate([[False], hours == 0, [False]])
        ends = np.flatnonzero(np.diff(zero.astype(np.int8)))
        runs = [(a, b) for a, b in ends.reshape(-1, 2).tolist() if b - a >= ZERO_HOURS]
        silent = sum(b - a for a, b in runs)
        if hours.sum() > ZERO_MEAN * max(len(hours) - silent, 1):
            for a, b in runs:
                shown = there[a + ZERO_HOURS - 1] // 24
                found[counter, there[a] // 24 : there[b - 1] // 24 + 1] = shown
    return found


def false_alarms(city: _City, ledger: Ledger) -> dict[str, Any]:
    """Return the episodes a counter and year on counts that nobody touched.

    without_bikes: those in whose marked hours not one bike was counted, or which consist of missing hours.
    """
    episodes = episodes_of(ledger, city.found.city.zone)
    years = float(ledger.grid.published.any(2).sum() / 365.25)
    kinds: dict[str, int] = defaultdict(int)
    for each in episodes:
        kinds[each.kind] += 1
    return {
        "city": city.name,
        "counter_years": years,
        "episodes": len(episodes),
        "rate": len(episodes) / years,
        "without_bikes": sum(_has_no_bikes(each, city, ledger) for each in episodes) / years,
        "zero_rule_days": int((zero_rule(city.grid) != NEVER).sum()),
        "kinds": dict(sorted(kinds.items())),
    }


def _has_no_bikes(episode: Episode, city: _City, ledger: Ledger) -> bool:
    counter, days = _place(episode, city)
    marked = ledger.marks[counter, days] == NAMES.index(episode.kind) + 1
    return episode.kind == "sparse" or not np.nansum(city.grid.counts[counter, days][marked]) > 0


def label_scores(city: _City, ledger: Ledger, labels: pd.DataFrame) -> list[dict[str, Any]]:
    """Return recall and precision on a city's own labels of days, of the detector and of the rule of zeros.

    Days that the city is not sure of count neither way. Also the episodes a counter and year that lie wholly in days
    that it labels as working.
    """
    position = {name: n for n, name in enumerate(city.grid.counters)}
    days = (pd.to_datetime(labels["date"]) - pd.Timestamp(city.grid.first_day)).dt.days
    known = labels["counter_id"].isin(position.keys()) & days.between(0, ledger.days - 1)
    counter = labels.loc[known, "counter_id"].map(position).to_numpy(dtype=np.int64)
    day = days[known].to_numpy(dtype=np.int64)
    text = labels.loc[known, "label"].str
    strong, works = (text.startswith(w).to_numpy() for w in ("Forte", "Fonctionnel"))
    marks = ledger.marks[counter, day]
    called = {
        "all kinds": (marks != Mark.NONE).any(1),
        "dead, stuck and sparse": np.isin(marks, WITHOUT_NUMBERS).any(1),
        "rule of zeros": zero_rule(city.grid)[counter, day] != NEVER,
    }
    counted = ~np.isnan(city.grid.counts[counter, day]).all(1)
    working = np.zeros(ledger.marks.shape[:2], bool)
    working[counter[works], day[works]] = True
    episodes = episodes_of(ledger, city.found.city.zone)
    false = sum(_within(each, city, working) for each in episodes)
    years = float(works.sum() / 365.25)
    return [
        {
            "city": city.name,
            "called": name,
            "recall": float(flagged[strong].mean()),
            "recall_counted_days": float(flagged[strong & counted].mean()),
            "precision": float(
                (flagged & strong).sum() / max((flagged & (strong | works)).sum(), 1)
            ),
            "false_alarms": None if name != "all kinds" else false / years,
        }
        for name, flagged in called.items()
    ]


def _within(episode: Episode, city: _City, working: NDArray[np.bool_]) -> bool:
    return bool(working[_place(episode, city)].all())


def _place(episode: Episode, city: _City) -> tuple[int, slice]:
    """Return the position of an episode's counter, and its days."""
    first = (episode.since.date() - city.grid.first_day).days
    last = ((episode.until - timedelta(seconds=1)).date() - city.grid.first_day).days
    return city.grid.counters.index(episode.counter_id), slice(first, last + 1)


def recalls(outcomes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each kind of fault, the share found within two days and within seven, in all and in each half."""
    rows = []
    for name in [*FAULTS, SWAPPED]:
        own = [each for each in outcomes if each["fault"] == name]
        if not own:
            continue
        until = np.array([each["days_until_found"] for each in own])
        zeros = np.array([each["days_until_zero_rule"] for each in own])
        half = np.array([each["half"] for each in own])
        quiet = np.array([each["usual"] for each in own]) < 100
        row: dict[str, Any] = {"fault": name, "n": len(own), "quiet_n": int(quiet.sum())}
        for days in (2, 7):
            row[f"within_{days}"] = float((until <= days).mean())
            row[f"zeros_{days}"] = float((zeros <= days).mean())
            row[f"halves_{days}"] = [
                float((until[half == n] <= days).mean()) if (half == n).any() else None
                for n in (0, 1)
            ]
            row[f"quiet_{days}"] = float((until[quiet] <= days).mean()) if quiet.any() else None
        rows.append(row)
    return rows


def markdown(
    found: Sequence[dict[str, Any]],
    alarms: Sequence[dict[str, Any]],
    labels: Sequence[dict[str, Any]],
) -> list[str]:
    """Return the tables for benchmarks/README.md."""
    lines = [
        "| injected fault | n | within 48 h | within 7 days | both halves | quiet (under 100 a day) | rule of zeros |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found:
        halves = " / ".join(_share(value) for value in row["halves_7"])
        lines.append(
            f"| {row['fault']} | {row['n']} | {_share(row['within_2'])} | {_share(row['within_7'])} | {halves} | "
            f"{_share(row['quiet_7'])} ({row['quiet_n']}) | {_share(row['zeros_7'])} |"
        )
    lines += [
        "",
        "| untouched counts | counter years | alarms a counter and year | without a bike | by kind |",
        "|---|---|---|---|---|",
    ]
    for row in alarms:
        kinds = ", ".join(f"{kind} {n}" for kind, n in row["kinds"].items())
        lines.append(
            f"| {row['city']} | {row['counter_years']:.0f} | {row['rate']:.2f} | {row['without_bikes']:.2f} | {kinds} |"
        )
    lines += [
        "",
        "| labels | called | recall | of days with counts | precision | alarms a year, working days |",
        "|---|---|---|---|---|---|",
    ]
    for row in labels:
        lines.append(
            f"| {row['city']} | {row['called']} | {row['recall']:.3f} | {row['recall_counted_days']:.3f} | "
            f"{row['precision']:.3f} | {_share(row['false_alarms'])} |"
        )
    return lines


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
