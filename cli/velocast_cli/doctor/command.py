"""`velocast doctor`: the command and what it prints."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from velocast.core.errors import VelocastError
from velocast_cli.target import job_run

if TYPE_CHECKING:
    from velocast_cli.doctor.examination import Report
    from velocast_cli.doctor.findings import Finding

SYMBOLS = {"fault": "[red]fault[/red]", "unknown": "[yellow]unknown[/yellow]"}
INDENT = 3


def doctor_command(
    fix: Annotated[
        bool, typer.Option("--fix", help="Make safe repairs; none deletes data or grants a role.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="VELOCAST_HOME", help="Folder of the local stack."),
    ] = None,
) -> None:
    """Check the deployment; say what is wrong and which command fixes it.

    Exit code 0 if everything is in order, 1 if anything is wrong or could not be checked.
    """
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    status: Any = nullcontext() if as_json else errors.status("examining ...")
    try:
        run = job_run("doctor", home=home, as_of=None)
    except VelocastError as exc:
        _settings_failed(exc, as_json=as_json, console=errors)
        raise typer.Exit(1) from exc
    from velocast_cli.doctor.examination import diagnose, silent
    from velocast_cli.doctor.system import System

    with status as spinner:
        say = spinner.update if spinner else silent
        report = diagnose(System(run), fix=fix, say=say)
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        print_report(report, console)
    if report.open:
        raise typer.Exit(1)


def _settings_failed(error: VelocastError, *, as_json: bool, console: Console) -> None:
    from velocast_cli.doctor.findings import Finding

    finding = Finding(
        check="settings",
        subject="this command",
        found=str(error),
        meaning="Without its settings nothing else can be checked.",
        command='eval "$(velocast local env)", or set the variables of the deployment',
    )
    if as_json:
        typer.echo(json.dumps({"clean": False, "findings": [finding.model_dump()]}))
    else:
        print_finding(1, finding, console)


def print_report(report: Report, console: Console) -> None:
    """Print what was found, each finding with its meaning and the command that fixes it."""
    console.print(f"[bold]{escape(report.city)}[/bold] ({report.project}) as of {report.as_of}")
    results = report.as_dict()["checks"]
    clean = [name for name, result in results.items() if result == "ok"]
    if clean:
        console.print(f"In order: {', '.join(clean)}")
    for attempt in report.attempts:
        how = "done" if attempt.error is None else f"[red]failed:[/red] {escape(attempt.error)}"
        console.print(f"Repair {attempt.repair}: {how}")
    for number, finding in enumerate(report.findings, 1):
        console.print()
        print_finding(number, finding, console)
    console.print()
    console.print(_summary(report))


def print_finding(number: int, finding: Finding, console: Console) -> None:
    """Print one finding. The command is on a line of its own that is never broken, so that it can be copied."""
    how = "[green]fixed[/green]" if finding.fixed else SYMBOLS[finding.kind]
    title = f"{how} [bold]{finding.check}[/bold]: {escape(finding.subject)}"
    console.print(f"{number}. {title}", soft_wrap=len(finding.subject) > console.width - 20)
    console.print(Padding(escape(finding.found), (0, 0, 0, INDENT), expand=False))
    if finding.fixed:
        return
    console.print(Padding(escape(finding.meaning), (0, 0, 0, INDENT), expand=False))
    console.print(f"{' ' * INDENT}[cyan]{escape(finding.command)}[/cyan]", soft_wrap=True)


def _summary(report: Report) -> str:
    fixed = len(report.findings) - len(report.open)
    faults = sum(finding.kind == "fault" for finding in report.open)
    unknowns = len(report.open) - faults
    if not report.open:
        return "[green]Everything is in order.[/green]" + (f" {fixed} fixed." if fixed else "")
    parts = [f"{faults} fault{'' if faults == 1 else 's'}", f"{unknowns} not checked"] + (
        [f"{fixed} fixed"] if fixed else []
    )
    safe = sum(finding.repair is not None for finding in report.open)
    hint = (
        f" `velocast doctor --fix` repairs {safe} of them." if safe and not report.attempts else ""
    )
    return f"{', '.join(parts)}.{hint}"
