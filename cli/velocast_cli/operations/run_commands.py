"""`velocast runs` and `velocast logs`: what the system did, for a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from velocast_cli.operations.audit_trail import BEGINNING, AuditedRun, read_execution, read_runs
from velocast_cli.operations.console import (
    AsJson,
    Home,
    minute,
    output,
    print_table,
)
from velocast_cli.operations.deployment import COMPONENTS
from velocast_cli.operations.log_lines import LogLine, read_log_lines, search_range
from velocast_cli.operations.time_options import parse_day
from velocast_cli.target import job_run, reported_errors

Component = Literal[
    "fetch", "predict", "monitor", "notify", "train", "evaluate", "promote", "retrain"
]
RunStatus = Literal["OK", "UNKNOWN", "BUSY", "FAILED"]
SHORT_ID = 18  # `velocast logs` takes the beginning of an id
SEVERITY_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def runs_command(
    function: Annotated[
        Component | None,
        typer.Option(
            "--function",
            metavar="NAME",
            help=f"Only this function or job: {', '.join(COMPONENTS)}.",
        ),
    ] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs with this status.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only runs as of this date (UTC) or RFC 3339 time, or later.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many rows.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest runs from the audit trail with their status and result."""
    with reported_errors("runs"):
        found = read_runs(
            job_run("runs", home=home, as_of=None).warehouse,
            since=parse_day(since, "since") if since else BEGINNING,
            component=function or "",
            status=status or "",
            newest=last,
        )
    if as_json:
        typer.echo(json.dumps({"runs": [run.as_dict() for run in found]}))
        return
    rows = [
        (minute(r.timestamp), r.component, r.status, r.execution_id[:SHORT_ID], outcome(r))
        for r in found
    ]
    print_table(("As of", "Run", "Status", "Execution", "Result"), rows)


def logs_command(
    execution: Annotated[
        str,
        typer.Argument(help="Id of a message, a workflow's or a job's execution, or its start."),
    ],
    days: Annotated[
        int, typer.Option(min=1, max=3650, help="How many days back to search the log.")
    ] = 30,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many lines.")] = 500,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit rows and the log lines of one execution in order."""
    with reported_errors("logs"):
        run = job_run("logs", home=home, as_of=None)
        rows = read_execution(run.warehouse, execution)
        execution_id = rows[0].execution_id if rows else execution
        # Log lines carry the machine's own time, also where the stack's clock is simulated.
        since, until = search_range(datetime.now(UTC), days)
        lines = read_log_lines(
            run.settings.project, execution_id, since=since, until=until, most=last
        )
    if as_json:
        found: dict[str, Any] = {"execution": execution_id, "audit": [r.as_dict() for r in rows]}
        typer.echo(json.dumps(found | {"lines": [line.as_dict() for line in lines]}))
    else:
        _print_execution(execution_id, rows, lines)
    if not rows and not lines:
        raise typer.Exit(1)


def _print_execution(execution_id: str, rows: list[AuditedRun], lines: list[LogLine]) -> None:
    console = output()
    if not rows and not lines:
        console.print(f"there is no run or log line of {escape(execution_id)}; see `velocast runs`")
        return
    console.print(f"[bold]{escape(execution_id)}[/bold]")
    print_table(
        ("As of", "Run", "Event", "Status", "Result"),
        [(minute(r.timestamp), r.component, r.event_type, r.status, outcome(r)) for r in rows],
    )
    for line in lines:
        colour = SEVERITY_COLOURS.get(line.severity)
        text = escape(line.message)
        console.print(
            f"{line.at:%Y-%m-%d %H:%M:%S} {escape(line.source):<8} "
            + (f"[{colour}]{line.severity} {text}[/{colour}]" if colour else text),
            soft_wrap=True,
        )


def outcome(run: AuditedRun) -> str:
    """Return what a run did, in a few words."""
    if run.status == "FAILED":
        return run.error_message or "failed"
    describe = _OUTCOMES.get(run.event_type)
    said = describe(run, run.details) if describe else ""
    return said or run.error_message or ""


def _ingestion(_run: AuditedRun, d: dict[str, Any]) -> str:
    rejected = f", {d['rejected']} rejected" if d.get("rejected") else ""
    return f"{d.get('inserted', 0)} new, {d.get('updated', 0)} changed{rejected}"


def _prediction(_run: AuditedRun, d: dict[str, Any]) -> str:
    if not d.get("forecasts") and "snapshot" in d:
        return str(d["snapshot"])
    return f"{d.get('forecasts', 0)} forecasts, version {d.get('model_version', 0)}"


def _validation(run: AuditedRun, _d: dict[str, Any]) -> str:
    score = "R2 unknown" if run.r2 is None else f"R2 {run.r2:.3f}"
    return f"{score}, {run.retrain_decision}" if run.retrain_decision else score


def _drift(run: AuditedRun, _d: dict[str, Any]) -> str:
    return "unknown" if run.drift_share is None else f"share {run.drift_share:.2f}"


def _training(_run: AuditedRun, d: dict[str, Any]) -> str:
    version = f"version {d['version']}" if d.get("version") else ""
    return " ".join(str(part) for part in (version, d.get("kind", ""), d.get("reason", "")) if part)


def _deployment(run: AuditedRun, d: dict[str, Any]) -> str:
    what = "ROLLBACK" if d.get("as_published") else run.deployment_decision or ""
    return f"{what} version {d['version']}" if d.get("version") else what


def _alert(_run: AuditedRun, d: dict[str, Any]) -> str:
    return str(d.get("title") or d.get("event") or d.get("action") or "")


_OUTCOMES = {
    "INGESTION": _ingestion,
    "PREDICTION": _prediction,
    "VALIDATION": _validation,
    "DRIFT": _drift,
    "TRAINING": _training,
    "DEPLOYMENT": _deployment,
    "ALERT": _alert,
}
