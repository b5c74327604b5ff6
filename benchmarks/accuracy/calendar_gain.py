"""What the calendar of a city's file is worth to the default model: `make bench ARGS="calendar [FILE]"`.

The backtest of a file with the school holidays and events of the city's file, and without them. Without FILE, that of a
simulated city in which events, listed in the city's file, multiply counts by EFFECT.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks import harness
from velocast.core.city import City, load_city
from velocast.core.kinds import DEFAULT_KIND
from velocast.model.features.calendar_features import school_columns, school_free_days
from velocast.model.features.event_features import event_column
from velocast_cli.backtesting import file_backtest
from velocast_cli.backtesting.file_backtest import BacktestRequest
from velocast_cli.cities import city_of, read_files_of
from velocast_cli.city_file import COUNTERS as DESCRIBED
from velocast_cli.city_file import FileCounts
from velocast_local.simulation.city import simulate

COUNTERS, DAYS, UNTIL, SEED = 9, 300, date(2025, 12, 1), 1
EFFECT = 1.6
EVERY_DAYS = 9  # so that they fall on all days of the week
HEADS = (
    "calendar",
    "R2",
    "RMSE",
    "of school holidays",
    "forecast / count",
    "of events",
    "forecast / count",
)


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    city, read = (
        simulated_events()
        if arguments.file is None
        else read_files_of(city_of(arguments.city), [arguments.file], console.print)
    )
    bare = city.model_copy(update={"school_holidays": (), "events": ()})
    found = []
    for name, described in (("none", bare), ("that of the city's file", city)):
        console.print(f"{city.name}: {name}")
        asked = BacktestRequest(
            (),
            None,
            "observed",
            arguments.weeks,
            None,
            (DEFAULT_KIND,),
            ("similar_days",),
            new_counters=False,
            retrain_days=arguments.retrain_days,
        )
        made = file_backtest.backtest_counts(asked, described, read, lambda _: None)
        found.append({"calendar": name} | measured(city, read, made.rows))
        harness.write(
            {"city": city.name, "weeks": arguments.weeks, "calendar": found}, arguments.json
        )
    console.print("\n".join(markdown(found)))


def simulated_events() -> tuple[City, FileCounts]:
    """Return a simulated city with an afternoon's event every EVERY_DAYS days, at a third of its counters each time."""
    rows = simulate(COUNTERS, days=DAYS, until=UNTIL, seed=SEED)
    counts = pd.DataFrame(
        {
            "counter_id": rows["id_compteur"].astype(str),
            "counted_at": pd.to_datetime(rows["date"], utc=True),
            "bike_count": rows["sum_counts"].astype("int64"),
            "quality": None,
        }
    ).drop_duplicates(["counter_id", "counted_at"])
    ids = sorted(counts["counter_id"].unique())
    rng = np.random.default_rng(SEED)
    days = [UNTIL - timedelta(days=n) for n in range(1, DAYS, EVERY_DAYS)]
    events = [
        {
            "since": f"{day} 13:00",
            "until": f"{day} 22:00",
            "counters": sorted(rng.choice(ids, COUNTERS // 3, replace=False).tolist()),
            "what": "Festival",
            "kind": "event",
        }
        for day in days
    ]
    city = City(**load_city("demoville").model_dump() | {"events": events})
    counters = pd.DataFrame({"counter_id": ids}).reindex(columns=list(DESCRIBED))
    there = event_column(
        counts.rename(columns={"counted_at": "target_at"}), city.events, counters, city.zone
    )
    factor = np.where(there > 0, EFFECT, 1.0)
    raised = np.rint(counts["bike_count"] * factor).astype("int64")
    return city, FileCounts(counts.assign(bike_count=raised), counters, {})


def measured(city: City, read: FileCounts, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of all rows and, of those in school holidays and events, R2 and the ratio of the sums."""
    counted = rows[rows["bike_count"].notna() & (rows["lead_day"] < 3)]
    free = school_columns(counted, city.zone, school_free_days(city.school_holidays))
    event = event_column(counted, city.events, read.counters, city.zone) > 0
    return {
        "rows": len(counted),
        "all": _scores(counted),
        "school_holidays": _scores(counted[(free["is_school_holiday"] > 0).to_numpy()]),
        "events": _scores(counted[event]),
    }


def _scores(rows: pd.DataFrame) -> dict[str, float] | None:
    if rows.empty:
        return None
    counts, made = rows["bike_count"].astype("float64"), rows[DEFAULT_KIND]
    squared = float(((made - counts) ** 2).mean())
    return {
        "r2": 1 - squared / float(counts.var(ddof=0)),
        "rmse": squared**0.5,
        "ratio": float(made.sum() / counts.sum()),
    }


def markdown(found: list[dict[str, Any]]) -> list[str]:
    """Return the table for benchmarks/README.md."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
    for row in found:
        cells = [row["calendar"], f"{row['all']['r2']:.4f}", f"{row['all']['rmse']:.1f}"]
        for part in ("school_holidays", "events"):
            own = row[part]
            cells += ["–", "–"] if own is None else [f"{own['r2']:.4f}", f"{own['ratio']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
