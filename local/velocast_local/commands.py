"""`velocast demo`, `local` and `simulate`: the commands that the local stack adds to `velocast`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from velocast.core.city import load_city
from velocast.core.errors import VelocastError
from velocast_cli.cities import CITY_HELP
from velocast_local.city.files import CityFiles, make_synthetic
from velocast_local.city.injected_fault import LEAST_DAYS
from velocast_local.city.replayed_city import SYNTHETIC_CITY
from velocast_local.simulation.command import simulate_command
from velocast_local.stack import lifecycle
from velocast_local.stack.state import CITY_FILE, PUBLISHED_COUNTS, home_folder
from velocast_local.stack.supervisor import FUNCTIONS
from velocast_local.stack_commands import local_app

HISTORY_DAYS = 90
RECENT_DAYS = 21  # a fault that ended within 14 days before the first day would be told on it


def register_commands(app: typer.Typer) -> None:
    """Add the commands; called by `velocast_cli.main` through the entry point `velocast.commands`."""
    app.command("demo")(demo_command)
    app.add_typer(local_app, name="local")
    app.command("simulate")(simulate_command)


def demo_command(
    days: Annotated[int, typer.Option(min=1, max=60, help="Days to simulate.")] = 14,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Counts to replay: a file or a folder, read as --city says. Default: a synthetic city.",
        ),
    ] = None,
    city: Annotated[str | None, typer.Option(help=f"{CITY_HELP} Default: no known city.")] = None,
    weather: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Observed weather for --replay, with Open-Meteo's variable names (Parquet or CSV).",
        ),
    ] = None,
    counters: Annotated[
        int, typer.Option(min=1, help="Number of counters of the synthetic city.")
    ] = 50,
    seed: Annotated[int, typer.Option(help="Random seed of the synthetic city.")] = 7,
    inject_fault: Annotated[
        bool | None,
        typer.Option(
            help=f"On the fifth day a counter dies, and counts again five days later. Default: in a synthetic city "
            f"that plays {LEAST_DAYS} days or more."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop the stack after the summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON summary.")] = False,
    home: Annotated[
        Path | None, typer.Option(help="Folder of the local stack; its contents are deleted first.")
    ] = None,
) -> None:
    """Simulate days of a city on the local stack and print a summary.

    The demo starts with an empty folder. Without --once the stack keeps running, so you can open the dashboard.
    """
    if weather and not replay:
        raise typer.BadParameter("--weather needs --replay; a synthetic city has its own weather")
    if city and not replay:
        raise typer.BadParameter("--city needs --replay; a synthetic city is Demoville")
    if inject_fault and days < LEAST_DAYS:
        raise typer.BadParameter(
            f"--inject-fault needs {LEAST_DAYS} days: the fault begins on the fifth and ends five days later"
        )
    faulty = days >= LEAST_DAYS and not replay if inject_fault is None else inject_fault
    console = Console(stderr=as_json, highlight=False, soft_wrap=False)
    folder = home_folder(home)
    try:
        summary = _demo(
            folder,
            console,
            days=days,
            files=CityFiles(replay, weather) if replay else None,
            city=city,
            make=lambda: make_synthetic(
                folder,
                counters=counters,
                days=HISTORY_DAYS + days,
                seed=seed,
                # the injected fault is the only one whose beginning or end people are told
                faultless_days=days + RECENT_DAYS if faulty else 0,
            ),
            faulty=faulty,
        )
    except (VelocastError, RuntimeError, ValueError, OSError) as exc:
        console.print(f"[red]demo failed:[/red] {escape(str(exc))}", soft_wrap=True)
        console.print(f"Logs: {folder / 'logs'}", soft_wrap=True)
        raise typer.Exit(1) from exc
    finally:
        if once:
            lifecycle.stop_stack(folder)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        from velocast_local import demo_summary

        console.print(demo_summary.summary_table(summary))
    if not once:
        urls = summary["urls"]
        console.print(
            f"\nWhat next\n"
            f"  {urls['dashboard']}  the page: today, the map, any counter\n"
            f"  {urls['discord']}  what people were told\n"
            f"  {urls['mlflow']}  the models\n"
            '  eval "$(.venv/bin/velocast local env)"\n'
            "      connects gcloud, bq and client libraries; then, for instance\n"
            '      curl -H "X-API-Key: $KEY" "$URL/v1/counters"\n'
            "  make down stops the stack, make up resumes it; docs/deploy.md: a city of yours",
            soft_wrap=True,
        )


@contextmanager
def _ticking(console: Console, name: str) -> Iterator[None]:
    """Show on a terminal that a part of the demo goes on, and for how long; elsewhere say nothing."""
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with RichProgress(*columns, console=console, transient=True) as shown:
        shown.add_task(name, total=None)
        yield


def _demo(
    folder: Path,
    console: Console,
    *,
    days: int,
    files: CityFiles | None,
    city: str | None,
    make: Callable[[], CityFiles],
    faulty: bool,
) -> dict[str, Any]:
    """Play the demo and return its summary. faulty: inject a fault on the fifth day."""
    from velocast_cli.weather_file import read_weather_file
    from velocast_local import demo as play
    from velocast_local import demo_summary
    from velocast_local.city.injected_fault import InjectedFault, inject_into_file
    from velocast_local.city.replayed_counts import CityFile
    from velocast_local.fault_story import FaultStory

    progress = play.Progress(console.print, live=partial(_ticking, console))
    console.print(
        f"The demo plays {days} days of a city through the whole system on this machine:\n"
        "  1. start the stack            about 20 s\n"
        "  2. load 90 days of counts     about 10 s, then the first forecasts\n"
        "  3. train the first model      about half a minute\n"
        f"{f'  4. play {days} days':<32}about 4 s each\n"
        "  5. train again and sum up     about 20 s\n"
        "with 50 counters and two free cores. The page can be opened after step 2.\n",
        soft_wrap=True,
    )
    injected: list[InjectedFault] = []

    # A city publishes a day on the next one, so the last simulated day follows the last day of the file.
    def first_day_of(published: Path) -> date:
        return CityFile(published).last.date() - timedelta(days=days - 2)

    def inject(published: Path) -> None:
        zone = load_city(str(folder / CITY_FILE)).zone
        injected.append(inject_into_file(published, first_day=first_day_of(published), zone=zone))

    with progress.part("start the stack"):
        lifecycle.reset_home(folder)
        counts, weather = files or make()
        if weather:
            read_weather_file(weather)
        console.print(f"starting the stack in {folder} ...")
        state = lifecycle.start_stack(
            folder,
            replay=counts,
            weather=weather,
            city=city if files else SYNTHETIC_CITY,
            edit_counts=inject if faulty else lambda published: None,
            wait_for=FUNCTIONS,
            say=console.print,
        )
    first_day = first_day_of(folder / PUBLISHED_COUNTS)
    os.environ.update(lifecycle.stack_variables(folder))
    audit = play.AuditReader(state["project"], state["location"])
    played = load_city(str(folder / CITY_FILE))
    story = FaultStory(injected[0], first_day, state, audit, console.print) if injected else None
    with play.Player(state, progress) as player:
        play.play_city(
            player,
            audit,
            first_day=first_day,
            days=days,
            schedules=lifecycle.SCHEDULES,
            city=played,
            story=story,
            until_trainable=partial(lifecycle.wait_until_up, folder, console.print),
        )
    with progress.part("summary"):
        summary = demo_summary.collect_summary(state, audit, days=days, seconds=progress.seconds)
        summary["fault"] = story.collect() if story else None
    return summary | {
        "time_zone": played.time_zone,
        "licence": played.licence,
        "first_forecast_seconds": round(progress.first_forecast, 1),
        "urls": state["urls"],
    }
