"""`velocast dead-letters list / show / replay / drop`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from velocast.core.errors import EventError
from velocast_cli.operations.console import (
    AsJson,
    Home,
    Yes,
    confirmed,
    minute,
    output,
    print_table,
)
from velocast_cli.operations.dead_letters import DeadLetter, DeadLetterBox, chosen_letters
from velocast_cli.target import job_run, reported_errors

dead_letter_app = typer.Typer(
    help="Messages that no function could process: list, show, replay, drop.",
    no_args_is_help=True,
)
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
UNEXPLAINED = "no failure in the audit trail: the function did not answer"


@dead_letter_app.command("list")
def list_letters_command(home: Home = None, as_json: AsJson = False) -> None:
    """List all dead letters: which function could not process them, and why."""
    with _opened("list", home) as box:
        letters = box.letters()
    if as_json:
        typer.echo(json.dumps({"dead_letters": [letter.as_dict() for letter in letters]}))
        return
    if not letters:
        output().print("no dead letters")
        return
    rows = [
        (
            letter.message_id,
            letter.function,
            minute(letter.published_at),
            str(letter.attempts),
            letter.error or UNEXPLAINED,
        )
        for letter in letters
    ]
    print_table(("Id", "Function", "Published", "Tries", "Why"), rows)


@dead_letter_app.command("show")
def show_letter_command(
    message_id: Annotated[str, typer.Argument(help="Id of a dead letter.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter in full."""
    with _opened("show", home) as box:
        (letter,) = chosen_letters(box.letters(), [message_id])
    if as_json:
        typer.echo(json.dumps(letter.as_dict()))
        return
    console = output()
    for name, value in letter.as_dict().items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        console.print(f"[bold]{name}[/bold]  {escape(text)}", soft_wrap=True)


@dead_letter_app.command("replay")
def replay_command(
    ids: Ids = None, every: All = False, home: Home = None, as_json: AsJson = False
) -> None:
    """Publish dead letters again, with the time of their first publication."""
    with _opened("replay", home) as box:
        done = [
            {"dead_letter": letter.message_id, "message_id": box.replay(letter)}
            for letter in _selected(box, ids, every=every)
        ]
    if as_json:
        typer.echo(json.dumps({"replayed": done}))
        return
    for each in done:
        output().print(
            f"{each['dead_letter']} published again as {each['message_id']}; follow it: "
            f"velocast logs {each['message_id']}"
        )


@dead_letter_app.command("drop")
def drop_command(
    ids: Ids = None,
    every: All = False,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Discard dead letters; their content stays in the audit trail."""
    with _opened("drop", home) as box:
        letters = _selected(box, ids, every=every)
        if not confirmed(f"Drop {len(letters)} dead letters?", yes=yes):
            raise typer.Exit(1)
        for letter in letters:
            box.drop(letter)
    dropped: list[Any] = [letter.message_id for letter in letters]
    if as_json:
        typer.echo(json.dumps({"dropped": dropped}))
    else:
        output().print(f"{len(dropped)} dropped; their content is in the audit trail")


@contextmanager
def _opened(command: str, home: Path | None) -> Iterator[DeadLetterBox]:
    """Open the box of the target; report errors as `dead-letters <command>`."""
    with (
        reported_errors(f"dead-letters {command}"),
        DeadLetterBox(job_run("dead-letters", home=home, as_of=None)) as box,
    ):
        yield box


def _selected(box: DeadLetterBox, ids: list[str] | None, *, every: bool) -> list[DeadLetter]:
    if bool(ids) == every:
        raise EventError("name the ids of dead letters, or --all for all of them")
    letters = box.letters()
    return letters if every else chosen_letters(letters, ids or [])
