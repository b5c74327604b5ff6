"""The command `velocast`. Packages that are installed beside it add commands (entry points `velocast.commands`)."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from velocast_cli.backtest_command import backtest_command
from velocast_cli.dataset_commands import dataset_app, reproduce_command
from velocast_cli.status import status_command

COMMANDS = "velocast.commands"

app = typer.Typer(
    help="Forecasts the hourly number of bikes at every counter of a city.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _plugin in entry_points(group=COMMANDS):
    _plugin.load()(app)
app.command("status")(status_command)
app.command("backtest")(backtest_command)
app.add_typer(dataset_app, name="dataset")
app.command("reproduce")(reproduce_command)
