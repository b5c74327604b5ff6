"""Compare mlforecast with LightGBM to the default model: same file, origins, retraining and scored rows."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from velocast.core.city import City
from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.core.kinds import DEFAULT_KIND
from velocast.model.evaluation import metrics
from velocast.model.features.calendar_features import holiday_dates
from velocast.model.learning import forecaster
from velocast_cli.backtesting import city_tables, file_backtest
from velocast_cli.backtesting import scores as backtest_scores
from velocast_cli.backtesting.references import REFERENCES
from velocast_cli.cities import city_of

MLFORECAST = "mlforecast"
KEYS = ["counter_id", "origin_at", "target_at"]
RETRAIN_DAYS = 7
PYTHON = harness.ROOT / ".venv/bench/bin/python"


@dataclass
class TimeSpent:
    """Seconds of each fit and of each week's forecasts of the default model, in order: wall time and CPU time."""

    fit: list[tuple[float, float]] = field(default_factory=list)
    forecast: list[tuple[float, float]] = field(default_factory=list)

    def of(self, weeks: int) -> dict[str, float]:
        """Return the seconds of the first `weeks` fits and forecasts; later ones are from the cold-start test."""
        made = {}
        for name, calls in (("fit", self.fit[:weeks]), ("forecast", self.forecast[:weeks])):
            made[name] = sum(wall for wall, _ in calls)
            made[f"{name}_cpu"] = sum(cpu for _, cpu in calls)
        return made


def main(arguments: argparse.Namespace) -> None:
    if not PYTHON.exists():
        raise SystemExit(
            f'{PYTHON} does not exist; run make bench ARGS="mlforecast {arguments.file}"'
        )
    console = Console(highlight=False, width=80)
    city = city_of(arguments.city)
    asked = file_backtest.BacktestRequest(
        (arguments.file,), None, "observed", arguments.weeks, None, (DEFAULT_KIND,), REFERENCES
    )
    with timed_calls() as spent:
        ours = file_backtest.backtest_file(asked, city, console.print)
    summary = backtest_scores.summarize(ours)
    with tempfile.TemporaryDirectory(prefix="velocast-bench-") as folder:
        write_task(Path(folder), arguments, city, ours.rows)
        console.print("forecasting the same hours with mlforecast")
        subprocess.run(
            [PYTHON, Path(__file__).with_name("mlforecast_process.py"), folder], check=True
        )
        theirs = pd.read_parquet(Path(folder) / "forecasts.parquet")
        cost = json.loads((Path(folder) / "cost.json").read_text())
    figures = compare(ours.rows, theirs, [model["name"] for model in summary["models"]])
    figures["seconds"] = {
        DEFAULT_KIND: spent.of(arguments.weeks)
        | {"features": sum(summary["features_seconds"].values())},
        MLFORECAST: cost,
    }
    harness.write(figures, arguments.json)
    console.print(table(figures))


@contextmanager
def timed_calls() -> Iterator[TimeSpent]:
    """Record the time of fits and forecasts of the default model while the block runs."""
    spent = TimeSpent()

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            began, worked = time.monotonic(), time.process_time()
            result = call(*args, **named)
            took = (time.monotonic() - began, time.process_time() - worked)
            getattr(spent, name).append(took)
            return result

        return timed

    with ExitStack() as stack:
        for owner, call, name in (
            (forecaster, "fit_forecaster", "fit"),
            (forecaster.TrainedModel, "predict", "forecast"),
        ):
            stack.enter_context(patch.object(owner, call, noted(name, getattr(owner, call))))
        yield spent


def write_task(folder: Path, arguments: argparse.Namespace, city: City, rows: pd.DataFrame) -> None:
    """Write the usable counts and the plan: the backtest's origins and retraining days."""
    with harness.warehouse(arguments.city) as (store, _):
        counts = city_tables.counts_with_quality(
            store, city, harness.read_counts(arguments.file, city), harness.RAW_COUNTS
        )
    usable = counts[counts["quality"].isna()]
    usable = usable.assign(counted_at=usable["counted_at"].dt.tz_localize(None))
    usable.drop(columns="quality").to_parquet(folder / "counts.parquet", index=False)
    scored = rows[rows["lead_day"] < SCORED_LEAD_DAYS]
    last = scored.groupby("origin_at")["target_at"].max().sort_index()
    starts = pd.DatetimeIndex(last.index)
    hours = (pd.DatetimeIndex(last) - starts) // pd.Timedelta(hours=1) + 1
    origins = [
        (at.tz_localize(None).isoformat(), int(count))
        for at, count in zip(starts, hours, strict=True)
    ]
    weeks = [origins[n : n + RETRAIN_DAYS] for n in range(0, len(origins), RETRAIN_DAYS)]
    first, until = city_tables.span(counts)
    plan = {
        "weeks": [{"cut": week[0][0], "origins": week} for week in weeks],
        "zone": city.time_zone,
        "holidays": [str(d) for d in holiday_dates(city.holidays, first.date(), until.date())],
    }
    (folder / "plan.json").write_text(json.dumps(plan))


def compare(rows: pd.DataFrame, theirs: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Score all models on the counted rows that all of them forecast, lead days 0 to 2."""
    theirs = theirs.rename(
        columns={"unique_id": "counter_id", "ds": "target_at", "predicted_count": MLFORECAST}
    )
    for name in ("origin_at", "target_at"):
        theirs[name] = pd.to_datetime(theirs[name], utc=True).dt.as_unit("us")
    scored = rows[rows["bike_count"].notna() & (rows["lead_day"] < SCORED_LEAD_DAYS)]
    both = scored.merge(theirs[[*KEYS, MLFORECAST]], how="inner", on=KEYS)
    both = both[both[MLFORECAST].notna()]
    scores = {}
    for name in [*names, MLFORECAST]:
        score = metrics.score_forecasts(both.assign(predicted_count=both[name]))
        scores[name] = {key: getattr(score, key) for key in ("r2", "rmse", "mae", "wape")}
    return {
        "rows": len(both),
        "rows_mlforecast_lacks": len(scored) - len(both),
        "origins": int(both["origin_at"].nunique()),
        "scores": dict(sorted(scores.items(), key=lambda item: -item[1]["r2"])),
    }


def table(figures: dict[str, Any]) -> Table:
    made = Table(
        title=f"{figures['rows']:,} forecasts from {figures['origins']} origins, lead days 0 to 2",
        caption=f"fit of all weeks and forecast of all origins: seconds of wall time / CPU time; {DEFAULT_KIND} also"
        f" needs features ({figures['seconds'][DEFAULT_KIND]['features']:.0f} s in the emulator)",
        box=box.SIMPLE,
        width=80,
    )
    for name in ("model", "R2", "RMSE", "MAE", "WAPE", "fit", "forecast"):
        made.add_column(name, justify="left" if name == "model" else "right")
    for name, score in figures["scores"].items():
        spent = figures["seconds"].get(name)
        made.add_row(
            name,
            f"{score['r2']:.4f}",
            *(f"{score[key]:.2f}" for key in ("rmse", "mae")),
            f"{score['wape']:.1%}",
            *(_spent(spent, key) for key in ("fit", "forecast")),
        )
    return made


def _spent(spent: dict[str, float] | None, key: str) -> str:
    return f"{spent[key]:.0f} / {spent[f'{key}_cpu']:.0f}" if spent else ""
