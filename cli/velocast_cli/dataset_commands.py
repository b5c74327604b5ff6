"""`velocast dataset freeze / list / verify` and `velocast reproduce`: the frozen data that models are trained on."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from velocast.core import kinds
from velocast.core.kinds import Task
from velocast_cli.operations.console import AsJson, Home
from velocast_cli.target import job_run, reported_errors

dataset_app = typer.Typer(
    help="Freeze, list and verify the datasets that models are trained and judged on.",
    no_args_is_help=True,
)

AsOf = Annotated[
    str | None,
    typer.Option(
        help="Time of the run (RFC 3339). Default: the local stack's simulated time, else now."
    ),
]
PIPE_COLUMNS = 160
SHOWN = 12  # characters of a hash, enough to distinguish datasets


@dataset_app.command("freeze")
def freeze_command(as_of: AsOf = None, home: Home = None, as_json: AsJson = False) -> None:
    """Freeze all counts so far as the new baseline, on which challengers are judged from now on."""
    from velocast_cli.datasets import freeze_baseline

    with reported_errors("dataset freeze"):
        made, new = freeze_baseline(job_run("dataset", home=home, as_of=as_of))
    if as_json:
        typer.echo(json.dumps({"new": new, "baseline": made.model_dump(mode="json")}))
        return
    console = _console()
    console.print(
        "a new baseline is in force" if new else "the baseline already holds these counts"
    )
    for name, half in (("train", made.train), ("test", made.test)):
        days = f"from {half.days.first} until before {half.days.until}"
        console.print(f"  {name:<6} {days}, {half.rows} rows, SHA-256 {half.sha256}")


@dataset_app.command("list")
def list_command(home: Home = None, as_json: AsJson = False) -> None:
    """List all frozen datasets: hash, role, days, rows, and the model versions trained or judged on them."""
    from velocast_cli.datasets import list_datasets

    with reported_errors("dataset list"):
        found = [
            d.model_dump(mode="json")
            for d in list_datasets(job_run("dataset", home=home, as_of=None))
        ]
    if as_json:
        typer.echo(json.dumps({"datasets": found}))
        return
    table = Table("SHA-256", "Role", "Days", "Rows", "Used by", box=box.SIMPLE_HEAD)
    for each in found:
        role = f"[bold]{each['role']}[/bold] (in force)" if each["in_force"] else each["role"]
        table.add_row(
            each["sha256"][:SHOWN],
            role,
            _days(each),
            str(each["rows"] or ""),
            ", ".join(each["used_by"]),
        )
    _console().print(table)


@dataset_app.command("verify")
def verify_command(
    hashes: Annotated[
        list[str] | None, typer.Argument(help="Hash prefixes. Default: all datasets.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare each object with its hash, and its copy in BigQuery with its rows. Exit code 0 only if all match."""
    from velocast_cli import datasets

    with reported_errors("dataset verify"):
        run = job_run("dataset", home=home, as_of=None)
        found = [v.model_dump(mode="json") for v in datasets.verify_datasets(run, hashes or ())]
    intact = not any(each["faults"] for each in found)
    if as_json:
        typer.echo(json.dumps({"intact": intact, "datasets": found}))
    else:
        _print_verified(found)
    if not intact:
        raise typer.Exit(1)


def _print_verified(found: list[dict[str, Any]]) -> None:
    table = Table("SHA-256", "Role", "Days", "Cloud Storage", "BigQuery", box=box.SIMPLE_HEAD)
    for each in found:
        dataset = each["dataset"]
        stored = "missing" if each["object_copy"] == "absent" else each["object_copy"]
        copies = (_mark(stored), _mark(each["table_copy"]))
        table.add_row(dataset["sha256"][:SHOWN], dataset["role"], _days(dataset), *copies)
    console = _console()
    console.print(table)
    for each in found:
        for fault in each["faults"]:
            console.print(f"[red]fault:[/red] {escape(fault)}")


def _mark(copy: str) -> str:
    colours = {"intact": "green", "differs": "red", "missing": "red"}
    shown = {"none": "", "absent": "not loaded"}.get(copy, copy)
    return f"[{colours[copy]}]{shown}[/{colours[copy]}]" if copy in colours else shown


def reproduce_command(
    version: Annotated[int, typer.Argument(min=1, help="Version of the registered model.")],
    task: Annotated[Task, typer.Option(help="Task of the registered model.")] = "forecast",
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest relative difference of forecasts that counts as the same.",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Train a version again from its frozen data and compare the forecasts. Exit code 0 only if they are the same."""
    with reported_errors("reproduce"):
        from velocast_cli import reproduction

        run = job_run("reproduce", home=home, as_of=None)
        allowed = reproduction.TOLERANCE if tolerance is None else tolerance
        found = reproduction.reproduce(run, version, task=task, tolerance=allowed)
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _print_reproduction(found.model_dump(mode="json"))
    if not found.reproduced:
        raise typer.Exit(1)


def _print_reproduction(found: dict[str, Any]) -> None:
    console = _console()
    unit = "(probability)" if found["kind"] == kinds.AFFLUENCE else "bikes per hour"
    console.print(f"version {found['version']} ({found['kind']}) trained again from")
    for name, sha256 in found["datasets"].items():
        console.print(f"  {name:<14} {sha256}")
    if found["same_bytes"]:
        console.print(f"[green]the same bytes[/green]: SHA-256 {found['stored_sha256']}")
    else:
        verdict = (
            "[green]the same forecasts[/green]"
            if found["reproduced"]
            else "[red]different forecasts[/red]"
        )
        console.print(
            f"{verdict}: the largest difference of {found['rows']} forecasts on test_current is "
            f"{found['largest_difference']:.3g} {unit}; the relative "
            f"difference is {found['relative_difference']:.2e}, {found['tolerance']:g} is allowed"
        )
    for change in found["changed"]:
        console.print(f"  changed since the training: {escape(change)}")


def _days(dataset: dict[str, Any]) -> str:
    return f"{dataset['first']} to {dataset['last']}" if dataset["first"] else "unknown"


def _console() -> Console:
    # Rich would cut lines at 80 columns in a file or a pipe.
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(highlight=False, soft_wrap=True, width=width)
