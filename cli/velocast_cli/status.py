"""`velocast status`: how the system the environment points at is doing, in one look."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from velocast.adapters import google_clients
from velocast.adapters.champion_manifest import read_champion
from velocast.adapters.gcs import Objects
from velocast.core.datetimes import rfc3339
from velocast.core.errors import VelocastError
from velocast.core.settings import PredictSettings

# The newest run of each kind, and the newest count. The windows only satisfy the required partition filters.
_RUNS = """
SELECT event_type, timestamp, status, r2, drift_share, retrain_decision, deployment_decision, error_message
FROM `{project}.monitoring_audit.logs`
WHERE timestamp > TIMESTAMP('2000-01-01')
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_type ORDER BY timestamp DESC, event_id DESC) = 1
ORDER BY event_type
"""
_NEWEST = """
SELECT MAX(counted_at) AS newest, COUNT(DISTINCT counter_id) AS counters
FROM `{project}.bike_traffic_raw.counts` WHERE counted_at > TIMESTAMP('2000-01-01')
"""


def collect(settings: PredictSettings) -> dict[str, Any]:
    """Read the champion, the newest count and the newest run of each kind; times are RFC 3339."""
    client = google_clients.bigquery_client(settings.project, settings.location)

    def rows(sql: str) -> list[dict[str, Any]]:
        result = client.query(sql.format(project=settings.project), timeout=30).result(timeout=30)
        return [{k: _plain(v) for k, v in row.items()} for row in result]

    champion, _ = read_champion(Objects(settings.project, settings.models_bucket))
    return {
        "project": settings.project,
        "city": settings.city.name,
        "champion": champion.model_dump() if champion else None,
        "counts": rows(_NEWEST)[0],
        "runs": rows(_RUNS),
    }


def _plain(value: Any) -> Any:
    return rfc3339(value) if isinstance(value, datetime) else value


def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the champion, the newest count and the last run of every part.

    Reads the system that the environment points at: production's variables, or those of `velocast local env`.
    """
    try:
        status = collect(PredictSettings.load())
    except VelocastError as exc:
        Console(stderr=True).print(
            f'[red]status:[/red] {exc}\nOn a laptop: eval "$(velocast local env)" first',
            soft_wrap=True,
        )
        raise typer.Exit(1) from exc
    if as_json:
        typer.echo(json.dumps(status))
        return
    console = Console(highlight=False)
    champion, counts = status["champion"], status["counts"]
    console.print(f"[bold]{status['city']}[/bold] ({status['project']})")
    console.print(
        f"Champion  version {champion['version']} ({champion['kind']}), trained until {champion['trained_until']}"
        if champion
        else "Champion  none yet: forecasts are the mean of similar days"
    )
    console.print(
        f"Counts    {counts['counters']} counters, newest hour {counts['newest'] or 'none'}"
    )
    console.print(_table(status["runs"]))


def _table(runs: list[dict[str, Any]]) -> Table:
    table = Table("Run", "As of", "Status", "Found", box=None, padding=(0, 2, 0, 0))
    for run in runs:
        found = run["error_message"] or run["deployment_decision"] or run["retrain_decision"] or ""
        table.add_row(run["event_type"], run["timestamp"][:16] + "Z", run["status"], found)
    return table
