"""How much the weather forecast is worth to the default model: `make bench ARGS="weather FILE WEATHER..."`.

The backtest of a file without weather, with the first weather file made uncertain, with it as observed (an upper
bound), and with each further file, the weather of another city on the same days, made uncertain: what a wrong place
costs. First it prints how uncertain the weather is made.
"""

from __future__ import annotations

import argparse
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


def main(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False, width=80)
    console.print("\n".join(verification_lines(verify_forecasts(arguments.weather[0]))))
    city, read = read_files_of(city_of(arguments.city), [arguments.file], console.print)
    found: list[dict[str, Any]] = []
    for name, file, weather_as in variants(arguments.weather):
        console.print(f"{city.name}: {name}")
        asked = BacktestRequest(
            (arguments.file,),
            file,
            weather_as,
            arguments.weeks,
            None,
            (DEFAULT_KIND,),
            ("similar_days",),
            new_counters=False,
        )
        made = file_backtest.backtest_counts(asked, city, read, lambda _: None)
        summary = scores.summarize(made)
        own = next(model for model in summary["models"] if model["name"] == DEFAULT_KIND)
        found.append({"weather": name, "rows": summary["rows"], "known": summary["weather_known"]})
        found[-1] |= {key: own[key] for key, _ in FORMATS}
        harness.write(
            {"city": city.name, "weeks": arguments.weeks, "weather": found}, arguments.json
        )
    console.print(sensitivity_table(found))


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


def variants(files: list[Path]) -> list[tuple[str, Path | None, WeatherUse]]:
    """Return what to test: a name, the file of weather, and how it is used."""
    own, *others = files
    return [
        ("none", None, "observed"),
        ("perturbed", own, "perturbed"),
        ("observed", own, "observed"),
        *((f"forecast of {other.stem}", other, "perturbed") for other in others),
    ]


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
        values = ((row[key], form) for key, form in FORMATS)
        cells = ("–" if value is None else format(value, form) for value, form in values)
        unknown = "" if row["known"] in (0, 1) else f" (known for {row['known']:.0%})"
        table.add_row(row["weather"] + unknown, *cells)
    return table
