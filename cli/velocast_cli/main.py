"""The command `velocast`. Installed packages add commands to it by entry points of the group `velocast.commands`.

An entry point is a function that takes the Typer application and adds its commands to it. The local stack is one.
"""

from __future__ import annotations

from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from velocast_cli.backtest_command import backtest_command
from velocast_cli.city.commands import city_app
from velocast_cli.counts.verdict_commands import counts_app
from velocast_cli.dataset_commands import dataset_app, reproduce_command
from velocast_cli.doctor.command import doctor_command
from velocast_cli.growth.effect_command import effect_command
from velocast_cli.growth.growth_command import growth_command
from velocast_cli.operations.backfill_command import backfill_command
from velocast_cli.operations.dead_letter_commands import dead_letter_app
from velocast_cli.operations.restoring.restore_commands import restore_app
from velocast_cli.operations.rolling_back.rollback_commands import rollback_app
from velocast_cli.operations.run_commands import logs_command, runs_command
from velocast_cli.status import status_command

COMMANDS = "velocast.commands"


def build_command_line() -> typer.Typer:
    """Return the application with the commands of every installed package."""
    made = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_common_options)
    for plugin in entry_points(group=COMMANDS):
        plugin.load()(made)
    made.command("status")(status_command)
    made.command("doctor")(doctor_command)
    made.command("runs")(runs_command)
    made.command("logs")(logs_command)
    made.command("backfill")(backfill_command)
    made.add_typer(dead_letter_app, name="dead-letters")
    made.add_typer(rollback_app, name="rollback")
    made.add_typer(restore_app, name="restore")
    made.add_typer(city_app, name="city")
    made.command("backtest")(backtest_command)
    made.add_typer(counts_app, name="counts")
    made.command("growth")(growth_command)
    made.command("effect")(effect_command)
    made.add_typer(dataset_app, name="dataset")
    made.command("reproduce")(reproduce_command)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"velocast {version('velocast')}")
        raise typer.Exit


def _common_options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Forecast hourly bike counts and operate a deployment."""


app = build_command_line()
