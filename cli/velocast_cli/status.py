"""`velocast status`: the champion, the newest count, how late counts come, and the newest run of each kind."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.champion_manifest import read_champion
from velocast.adapters.gcs import Objects, read_address
from velocast.core.datetimes import rfc3339
from velocast.core.errors import VelocastError
from velocast.core.settings import PredictSettings
from velocast_cli.lateness import describe_lateness, read_lateness

if TYPE_CHECKING:
    import pandas as pd


def collect_status(settings: PredictSettings) -> dict[str, Any]:
    """Read the champion, the newest count and the newest run of each event type.

    Times are RFC 3339; what is not known is None. Raises WarehouseError, and the errors of `read_champion`.
    """
    warehouse = Warehouse(settings.project, settings.location)
    champion, _ = read_champion(Objects(settings.project, settings.models_bucket))
    counts = warehouse.query("status_newest_count")
    newest = counts["newest"].dropna()
    return {
        "project": settings.project,
        "city": settings.city.name,
        "champion": champion.model_dump() if champion else None,
        "counts": _records(counts)[0],
        "lateness": read_lateness(warehouse, newest.iloc[0] if len(newest) else None),
        "runs": _records(warehouse.query("status_newest_runs")),
    }


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one dict a row with JSON's types; NaN and NaT are None."""
    return [
        {str(name): _plain(value) for name, value in row.items()} for row in rows.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if value is None or value != value:  # only NaN and NaT differ from themselves
        return None
    return rfc3339(value) if isinstance(value, datetime) else value


def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Show the champion, the newest count and the last run of each function and job.

    The environment variables name the system: set those of a deployment, or those of `velocast local env`.
    """
    try:
        status = collect_status(PredictSettings.load(read_address))
    except VelocastError as exc:
        Console(stderr=True).print(
            f'[red]status:[/red] {escape(str(exc))}\nFor the local stack, first run: eval "$(velocast local env)"',
            soft_wrap=True,
        )
        raise typer.Exit(1) from exc
    if as_json:
        typer.echo(json.dumps(status))
    else:
        _print_status(status)


def _print_status(status: dict[str, Any]) -> None:
    console = Console(highlight=False)
    champion, counts = status["champion"], status["counts"]
    console.print(f"[bold]{status['city']}[/bold] ({status['project']})")
    console.print(
        f"Champion  version {champion['version']} ({champion['kind']}), trained until {champion['trained_until']}"
        if champion
        else "Champion  none yet; forecasts are the mean of similar days"
    )
    console.print(
        f"Counts    {counts['counters']} counters, newest hour {counts['newest'] or 'none'}"
    )
    console.print(f"Lateness  {describe_lateness(status['lateness'])}")
    console.print(_runs_table(status["runs"]))


def _runs_table(runs: list[dict[str, Any]]) -> Table:
    table = Table("Run", "As of", "Status", "Result", box=None, padding=(0, 2, 0, 0))
    for run in runs:
        result = run["error_message"] or run["deployment_decision"] or run["retrain_decision"] or ""
        table.add_row(
            run["event_type"], run["timestamp"][:16] + "Z", run["status"], escape(str(result))
        )
    return table
