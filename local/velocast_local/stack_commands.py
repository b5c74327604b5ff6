"""`velocast local up / down / status / env`: the stack on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from velocast.core.errors import VelocastError
from velocast_cli.cities import CITY_HELP
from velocast_local.stack import environment, lifecycle, status
from velocast_local.stack.preparation import api_key
from velocast_local.stack.state import home_folder, read_state

local_app = typer.Typer(
    help="Start, stop, show and connect to the whole system on this machine.", no_args_is_help=True
)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="VELOCAST_HOME",
        help="Folder of the stack. Default: .velocast in the checkout.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


@local_app.command("up")
def up_command(
    home: Home = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Counts that the city publishes: a file or a folder, read as --city says.",
        ),
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Observed weather, with Open-Meteo's variable names (Parquet or CSV).",
        ),
    ] = None,
    city: Annotated[
        str | None,
        typer.Option(
            help=f"{CITY_HELP} Default: no known city with --replay, else the last city, else demoville."
        ),
    ] = None,
) -> None:
    """Start the stack, or report that it is already up. Without options it resumes its last city."""
    console, folder = _console(), home_folder(home)
    already = status.is_up(folder)
    if not already:
        console.print(f"starting the stack in {folder}")
    try:
        state = lifecycle.start_stack(
            folder,
            replay=replay,
            weather=weather,
            city=city,
            say=lambda line: console.print(f"  {line}"),
        )
    except (VelocastError, ValueError, OSError) as exc:
        stderr = Console(stderr=True, highlight=False, soft_wrap=True)
        stderr.print(f"[red]not started:[/red] {escape(str(exc))}")
        raise typer.Exit(1) from exc
    console.print("the stack is already up" if already else "the stack is up")
    _print_urls(console, state["urls"], api_key(folder))
    console.print('\neval "$(velocast local env)" connects gcloud, bq and client libraries to it')


def _print_urls(console: Console, urls: dict[str, str], key: str) -> None:
    for name in ("dashboard", "mlflow", "discord", "metrics"):
        console.print(f"  {name:<10} {urls[name]}")
    console.print(f"  {'API key':<10} {key}")


@local_app.command("down")
def down_command(home: Home = None) -> None:
    """Stop the stack; its data stays in its folder."""
    stopped = lifecycle.stop_stack(home_folder(home))
    _console().print("stopped" if stopped else "no stack was running")


@local_app.command("status")
def stack_status_command(home: Home = None, as_json: AsJson = False) -> None:
    """Show each part of the stack. Exit code 0 only if it is up and every part is healthy."""
    found = status.stack_status(home_folder(home))
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _print_status(_console(), found)
    healthy = found["up"] and all(part["healthy"] for part in found["parts"].values())
    if not healthy:
        raise typer.Exit(1)


def _print_status(console: Console, found: dict[str, Any]) -> None:
    if not found["up"]:
        left = found["left_over_processes"]
        console.print(f"no stack is running in {found['home']}")
        if left:
            console.print(
                f"{left} orphaned process(es) of a crashed stack; `velocast local down` ends them"
            )
        return
    table = Table(box=box.SIMPLE_HEAD)
    columns: tuple[tuple[str, JustifyMethod], ...] = (
        ("part", "left"),
        ("pid", "right"),
        ("port", "right"),
        ("MB", "right"),
        ("", "left"),
    )
    for name, side in columns:
        table.add_column(name, justify=side)
    for name, part in found["parts"].items():
        how = "[green]healthy[/green]" if part["healthy"] else "[red]not answering[/red]"
        table.add_row(name, str(part["pid"] or "-"), str(part["port"]), str(part["memory_mb"]), how)
    table.add_section()
    table.add_row("all", "", "", str(found["memory_mb"]), "")
    console.print(table)
    console.print(f"city {found['city']}, folder {found['home']}")
    _print_urls(console, found["urls"], api_key(Path(found["home"])))


@local_app.command("env")
def env_command(home: Home = None, as_json: AsJson = False) -> None:
    """Print the variables that connect gcloud, bq and client libraries to the stack: eval "$(velocast local env)".

    URL and KEY are the address and the key of its API.
    """
    folder = home_folder(home)
    state = read_state(folder)
    if state is None or not status.is_up(folder):
        typer.echo(f"no stack is running in {folder}; start it with `velocast local up`", err=True)
        raise typer.Exit(1)
    api = {
        "URL": state.as_dict()["urls"]["dashboard"].rstrip("/"),
        "KEY": api_key(folder),
    }
    variables = environment.shell_environment(state) | api
    typer.echo(json.dumps(variables) if as_json else environment.export_lines(variables))
