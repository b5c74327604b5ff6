"""The command line: `velocast demo`, `local`, `simulate`, `status`, `backtest`, `dataset`, `reproduce`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from velocast.ground.errors import VelocastError
from velocast_local import stack
from velocast_local.city_files import CityFiles, make_synthetic
from velocast_local.cli_backtest import backtest_command
from velocast_local.cli_datasets import dataset_app, reproduce_command
from velocast_local.cli_local import local_app
from velocast_local.simulate import simulate_command
from velocast_local.status import status_command

app = typer.Typer(
    help="Forecasts the hourly number of bikes at every counter of a city.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(local_app, name="local")
app.add_typer(dataset_app, name="dataset")
app.command("simulate")(simulate_command)
app.command("status")(status_command)
app.command("backtest")(backtest_command)
app.command("reproduce")(reproduce_command)

HISTORY_DAYS = 90


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=60, help="Days to play.")] = 14,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Counts to replay (Parquet or CSV); else a synthetic city.",
        ),
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Weather observed there, in Open-Meteo's names (Parquet or CSV); without it a replay has none.",
        ),
    ] = None,
    counters: Annotated[int, typer.Option(min=1, help="Counters of the synthetic city.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic city.")] = 7,
    once: Annotated[
        bool, typer.Option("--once", help="Stop everything after the summary.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON, nothing else.")
    ] = False,
    home: Annotated[Path | None, typer.Option(help="Folder of the local stack.")] = None,
) -> None:
    """Start the local stack, play a city through it, and print a summary.

    It begins with an empty folder. Without --once the stack stays up, so that the dashboard can be looked at.
    """
    if weather and not replay:
        raise typer.BadParameter("--weather goes with --replay; a synthetic city has its own")
    console = Console(stderr=as_json, highlight=False, soft_wrap=False)
    folder = stack.home_folder(home)
    try:
        summary = _demo(
            folder,
            console,
            days=days,
            files=CityFiles(replay, weather) if replay else None,
            make=lambda: make_synthetic(
                folder, counters=counters, days=HISTORY_DAYS + days, seed=seed
            ),
        )
    except (VelocastError, RuntimeError, ValueError, OSError) as exc:
        console.print(f"[red]demo failed:[/red] {escape(str(exc))}", soft_wrap=True)
        console.print(f"Logs: {folder / 'logs'}", soft_wrap=True)
        raise typer.Exit(1) from exc
    finally:
        if once:
            stack.down(folder)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        from velocast_local import demo_summary

        console.print(demo_summary.as_table(summary))
    if not once:
        console.print(
            f"\nDashboard  {summary['urls']['dashboard']}#key={_key(folder)}\nDiscord    {summary['urls']['discord']}\n"
            f"MLflow     {summary['urls']['mlflow']}\n\n"
            'eval "$(.venv/bin/velocast local env)" points gcloud, bq and Google\'s clients at it;\n'
            "make down stops it, make up goes on where it stood."
        )


def _key(folder: Path) -> str:
    """The local API key, so that the printed address opens the page without asking for one."""
    return (folder / "secrets" / "api-keys").read_text(encoding="utf-8").strip().partition(":")[2]


def _demo(
    folder: Path,
    console: Console,
    *,
    days: int,
    files: CityFiles | None,
    make: Callable[[], CityFiles],
) -> dict[str, object]:
    from collections import Counter

    from velocast_local import demo as play
    from velocast_local import demo_summary
    from velocast_local.city_file import CityFile
    from velocast_local.weather_replay import read_weather

    progress = play.Progress(console.print, Counter())
    with progress.part("start the stack"):
        stack.begin_anew(folder)
        source, sky = files or make()
        # A city publishes a day on the next one, so the last day played is the one after the file's last.
        if sky:
            read_weather(sky)
        first_day = CityFile(source).last.date() - timedelta(days=days - 2)
        console.print(f"starting the stack in {folder} (MLflow takes the longest) ...")
        state = stack.up(
            folder,
            replay=source,
            weather=sky,
            city="paris" if files else "demoville",
            say=console.print,
        )
    os.environ.update(stack.environment(folder))
    player, audit = (
        play.Player(state, progress),
        play.AuditReader(state["project"], state["location"]),
    )
    play.play(player, audit, first_day=first_day, days=days, schedules=stack.SCHEDULES)
    with progress.part("summary"):
        summary = demo_summary.build(state, audit, days=days, seconds=progress.seconds)
    return summary | {"urls": state["urls"]}
