"""How the operating commands print: within 80 columns unless the terminal is wider, nothing cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from velocast.core.datetimes import rfc3339

Home = Annotated[
    Path | None, typer.Option("--home", envvar="VELOCAST_HOME", help="Folder of the local stack.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]
Reason = Annotated[str | None, typer.Option(help="Why.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
COLOURS = {"OK": "green", "FAILED": "red", "UNKNOWN": "yellow", "BUSY": "yellow"}


def output() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without borders; long texts continue on the next line. Cells are plain text."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*[coloured(cell) for cell in row])
    output().print(table)


def coloured(text: str) -> str:
    """Return a text as Rich's markup, a run's status in its colour."""
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else escape(text)


def minute(moment: datetime) -> str:
    """Return a time in UTC to the minute."""
    return rfc3339(moment)[:16] + "Z"


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask before something is changed. Without a terminal and without --yes the answer is no, and says so."""
    if yes:
        return True
    if not sys.stdin.isatty():
        Console(stderr=True, highlight=False).print(f"{escape(question)} Nothing done: add --yes.")
        return False
    return typer.confirm(question)
