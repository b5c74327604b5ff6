"""`velocast city new / check / schema`: describe a city from what it publishes, and check a description."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from velocast.core.errors import VelocastError
from velocast_cli.city import display
from velocast_cli.city.questions import Answers, Question

city_app = typer.Typer(
    help="Describe a new city from the file or data set that it publishes, and check a description.",
    no_args_is_help=True,
)

FAILURES = (VelocastError, ValueError, OSError)


@city_app.command("new")
def new_command(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE_OR_URL...",
            help="Files or folders of counts, or the address of a data set.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            help="File to write. Default: the city's name with .yaml.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the city.")] = None,
    zone: Annotated[str | None, typer.Option(help="IANA time zone, such as Europe/Paris.")] = None,
    holidays: Annotated[
        str | None,
        typer.Option(help="Holiday calendar, such as FR or DE-BE; none for no holidays."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the counts, such as CC BY 4.0; none if not known."),
    ] = None,
    licence_url: Annotated[str | None, typer.Option(help="Address of the licence.")] = None,
    attribution: Annotated[
        str | None,
        typer.Option(help="Credit that the licence asks for. Default: made from name and licence."),
    ] = None,
    attribution_url: Annotated[str | None, typer.Option(help="Address of the data set.")] = None,
    date_format: Annotated[
        str | None,
        typer.Option(
            help="Order of day and month where the file does not show it: DD/MM/YYYY or MM/DD/YYYY."
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(
            help="What times without an offset are: local or utc. Default: found by looking."
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Ask nothing: take sure guesses, fail where an option is missing."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
) -> None:
    """Look at a city's counts, ask what they cannot tell, and write the city's file."""
    from velocast_cli.city.new_city import make_city
    from velocast_cli.city.origins import look_up

    began = time.monotonic()
    answers = Answers(
        name=name,
        zone=zone,
        holidays=holidays,
        licence=licence,
        licence_url=licence_url,
        attribution=attribution,
        attribution_url=attribution_url,
        date_format=date_format,
        times=times,
    )
    with _reported("city new"), look_up(sources) as looked:
        made = make_city(looked, answers, ask=None if yes else _ask, as_of=datetime.now(UTC))
        path = output or Path(f"{_slug(made.city.name)}.yaml")
        _write(path, made.text, overwrite=overwrite, yes=yes)
    console = display.console()
    console.print(display.city_table(made.city, made.checked.summary, made.notes))
    console.print(
        f"Written to {escape(str(path))} in {time.monotonic() - began:.0f} s. Read it, then:"
    )
    files = [shlex.quote(s) for s in sources if not s.startswith("http")]
    console.print(
        " ".join(["  velocast city check", shlex.quote(str(path)), *files]), soft_wrap=True
    )
    if not made.checked.summary.hours:
        raise typer.Exit(1)


@city_app.command("check")
def check_command(
    city: Annotated[
        str,
        typer.Argument(metavar="CITY", help="A city's file, or the name of a city of the package."),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Files or folders of counts. Default: a few days from the city's source.",
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Write the hours as they would be stored to this Parquet file."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, help="Days to read from the source, without FILE.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Read counts with a city's file; show what would be stored and what not. Exit code 1 if nothing is usable."""
    from velocast_cli.cities import city_of
    from velocast_cli.city.check import check_files, check_source
    from velocast_cli.city.rows_file import write_rows

    with _reported("city check"):
        described = city_of(city)
        now = datetime.now(UTC)
        checked = (
            check_files(described, files, as_of=now)
            if files
            else check_source(described, days=days, as_of=now)
        )
        if rows:
            write_rows(checked.stored, rows)
    if as_json:
        typer.echo(json.dumps({"city": described.name, **checked.summary.as_json()}))
    else:
        console = display.console()
        console.print(display.city_table(described, checked.summary, []))
        if rows:
            console.print(f"{checked.summary.hours:,} hours written to {escape(str(rows))}")
    if not checked.summary.hours:
        if not as_json:
            display.console(error=True).print("[red]nothing usable:[/red] no hour would be stored")
        raise typer.Exit(1)


@city_app.command("schema")
def schema_command() -> None:
    """Print the JSON schema of a city's file, for editors."""
    from velocast_cli.city.schema import city_schema

    typer.echo(city_schema(), nl=False)


@contextmanager
def _reported(command: str) -> Iterator[None]:
    """End the command with a message where something fails that a person can mend."""
    try:
        yield
    except FAILURES as exc:
        display.console(error=True).print(
            f"[red]{command} failed:[/red] {escape(str(exc))}", soft_wrap=True
        )
        raise typer.Exit(1) from exc


def _ask(question: Question) -> str:
    """Ask until the answer is right. Raises ValueError, naming the option, where nobody answers."""
    while True:
        try:
            given = str(typer.prompt(question.text, default=question.guess, err=True)).strip()
        except typer.Abort as exc:
            raise ValueError(f"no answer to {question.text!r}; give {question.option}") from exc
        wrong = question.check(given)
        if wrong is None:
            return given
        typer.echo(wrong, err=True)


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.casefold()).split()) or "city"


def _write(path: Path, text: str, *, overwrite: bool, yes: bool) -> None:
    if path.exists() and not overwrite:
        asked = not yes and sys.stdin.isatty()
        if not (asked and typer.confirm(f"{path} exists; replace it?", err=True)):
            raise FileExistsError(
                f"{path} exists; give --overwrite to replace it, or another --output"
            )
    path.write_text(text, encoding="utf-8")
