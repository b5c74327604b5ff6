"""How much the weather forecast is worth to the default model: `make bench ARGS="weather FILE WEATHER..."`.

The backtest of a file without weather, with the first weather file made uncertain, with it as observed (an upper
bound), and with the weather of a wrong place, made uncertain: each further file, the weather of another city on the
same days, or the city's own of some days earlier (`--earlier`). First it prints how uncertain the weather is made.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from velocast.core.kinds import DEFAULT_KIND
from velocast.model.learning.models import SEED
from velocast_cli.backtesting import file_backtest, scores
from velocast_cli.backtesting.file_backtest import BacktestRequest, WeatherUse
from velocast_cli.backtesting.weather_perturbation import perturbed
from velocast_cli.cities import city_of, read_files_of
from velocast_cli.weather_file import read_weather_file

NAME = "weather"
FIGURES = harness.ROOT / "benchmarks/figures/weather.json"
README = harness.ROOT / "benchmarks/README.md"
AHEAD = pd.Timedelta(days=5)
TRACE_MM, NEAR_PCT = 0.05, 30
VERIFIED = {
    "detected": ("wet hours that were forecast", "0.75; 0.62"),
    "false_alarms": ("wet forecasts that stayed dry", "0.28; 0.39"),
    "near": ("cloud within 30 % of the sky", "0.72, 0.70, 0.68, 0.66, 0.64"),
}
HEADS = ("weather", "R2", "RMSE", "WAPE", "covered", "width")
FORMATS = (
    ("r2", ".4f"),
    ("rmse", ".2f"),
    ("wape", ".1%"),
    ("coverage", ".1%"),
    ("width", ".0f"),
)

DIGITS = 5  # as in the arena's figures


@dataclass(frozen=True)
class Variant:
    """Weather to test: its name in the table, its file, how it is used, and how many days late it is."""

    name: str
    file: Path | None
    weather_as: WeatherUse = "perturbed"
    days_late: int = 0

    def read(self) -> pd.DataFrame | None:
        """Return the observations, `days_late` days after they were made; None without weather."""
        if self.file is None:
            return None
        seen = read_weather_file(self.file)
        return seen.assign(valid_at=seen["valid_at"] + pd.Timedelta(days=self.days_late))


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    if arguments.file is not None:
        if not arguments.weather:
            raise SystemExit(f"{arguments.file}: give a file of its city's observed weather, too")
        console.print("\n".join(verification_lines(verify_forecasts(arguments.weather[0]))))
        measure(arguments, console)
    figures = json.loads(arguments.json.read_text())
    console.print(sensitivity_table(figures["weather"]))
    if arguments.write:
        harness.write_between_marks(NAME, sensitivity_lines(figures), README)


def measure(arguments: argparse.Namespace, console: Console) -> None:
    """Backtest each variant that the file of figures has not, and write the figures after each.

    Raises SystemExit when the file has figures of other days.
    """
    city, read = read_files_of(city_of(arguments.city), [arguments.file], console.print)
    kept = json.loads(arguments.json.read_text()) if arguments.json.is_file() else {}
    if (kept.get("city"), kept.get("weeks")) != (city.name, arguments.weeks):
        kept = {"weather": []}
    known = {row["weather"]: row for row in kept["weather"]}
    found: list[dict[str, Any]] = []
    for variant in variants(arguments.weather, arguments.earlier):
        if variant.name in known:
            console.print(f"{city.name}: {variant.name} is in {arguments.json}")
            found.append(known[variant.name])
            continue
        console.print(f"{city.name}: {variant.name}")
        asked = BacktestRequest(
            (arguments.file,),
            variant.file,
            variant.weather_as,
            arguments.weeks,
            None,
            (DEFAULT_KIND,),
            ("similar_days",),
            new_counters=False,
        )
        with file_backtest.loaded(city, read, lambda _: None) as held:
            made = file_backtest.backtest_loaded(asked, city, held, lambda _: None, variant.read())
        summary = scores.summarize(made)
        if kept.setdefault("until", summary["last_origin_at"]) != summary["last_origin_at"]:
            raise SystemExit(f"{arguments.json} has rows until {kept['until']}; delete it first")
        own = next(model for model in summary["models"] if model["name"] == DEFAULT_KIND)
        row = {"weather": variant.name, "rows": summary["rows"], "known": summary["weather_known"]}
        found.append(row | {key: round(own[key], DIGITS) for key, _ in FORMATS})
        figures = {"city": city.name, "weeks": arguments.weeks, "until": kept["until"]}
        harness.write(figures | {"weather": found}, arguments.json)


def verify_forecasts(file: Path) -> pd.DataFrame:
    """Return how well uncertain forecasts, issued every other day, agree with a file of observations, by lead day.

    Columns: detected (share of wet hours that were forecast), false_alarms (share of wet forecasts that stayed dry),
    near (share of hours with the cloud within 30 % of the sky).
    """
    seen = read_weather_file(file)
    issues = pd.date_range(seen["valid_at"].min(), seen["valid_at"].max() - AHEAD, freq="2D")
    parts = []
    for issued_at in issues:
        ahead = seen[(seen["valid_at"] >= issued_at) & (seen["valid_at"] < issued_at + AHEAD)]
        made = perturbed(ahead, issued_at=issued_at.to_pydatetime(), seed=SEED)
        parts.append(
            pd.DataFrame(
                {
                    "day": (ahead["valid_at"] - issued_at).dt.days,
                    "wet": (ahead["precipitation_mm"] >= TRACE_MM)
                    .astype(float)
                    .where(ahead["precipitation_mm"].notna()),
                    "said": (made["precipitation_mm"] >= TRACE_MM).astype(float),
                    "near": ((made["cloud_pct"] - ahead["cloud_pct"]).abs() < NEAR_PCT).astype(
                        float
                    ),
                }
            )
        )
    rows = pd.concat(parts).dropna()
    by_day = rows.groupby("day")
    return pd.DataFrame(
        {
            "detected": rows[rows["wet"] == 1].groupby("day")["said"].mean(),
            "false_alarms": 1 - rows[rows["said"] == 1].groupby("day")["wet"].mean(),
            "near": by_day["near"].mean(),
        }
    )


def verification_lines(found: pd.DataFrame) -> list[str]:
    """Return the rows of the table in benchmarks/README.md, the published figures last."""
    return [
        f"| {name} | {' | '.join(f'{value:.2f}' for value in found[column])} | {published} |"
        for column, (name, published) in VERIFIED.items()
    ]


def variants(files: list[Path], earlier: list[int]) -> list[Variant]:
    """Return what to test. files: the city's weather, then other places'. earlier: days, of the city's weather."""
    own, *others = files
    return [
        Variant("none", None),
        Variant("perturbed", own),
        Variant("observed", own, "observed"),
        *(Variant(f"forecast of {other.stem}", other) for other in others),
        *(Variant(f"forecast of {_days(late)} earlier", own, days_late=late) for late in earlier),
    ]


def _days(number: int) -> str:
    return "a day" if number == 1 else f"{number} days"


def sensitivity_table(found: list[dict[str, Any]]) -> Table:
    """Return the scores with each kind of weather, on the same rows."""
    table = Table(
        title=f"{found[0]['rows']:,} forecasts, lead days 0 to 2",
        title_justify="left",
        box=box.SIMPLE,
        width=80,
    )
    for name in HEADS:
        table.add_column(name, justify="left" if name == HEADS[0] else "right")
    for row in found:
        table.add_row(*_cells(row))
    return table


def sensitivity_lines(figures: dict[str, Any]) -> list[str]:
    """Return the same as lines of benchmarks/README.md."""
    found = figures["weather"]
    title = (
        f"{figures['city']}, {figures['weeks']} weeks to {figures['until'][:10]}, "
        f"{found[0]['rows']:,} forecasts"
    )
    rows = (f"| {' | '.join(_cells(row))} |".replace("%", " %") for row in found)
    return [f"| {title}: weather | {' | '.join(HEADS[1:])} |", "|---" * len(HEADS) + "|", *rows]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    values = ((row[key], form) for key, form in FORMATS)
    cells = ("–" if value is None else format(value, form) for value, form in values)
    unknown = "" if row["known"] in (0, 1) else f" (known for {row['known']:.0%})"
    return (row["weather"] + unknown, *cells)
