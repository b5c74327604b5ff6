"""`velocast restore object / table / database / rehearse`: the plan first, then the question, then the work."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from velocast.core.datetimes import rfc3339
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.console import (
    AsJson,
    DryRun,
    Home,
    Yes,
    confirmed,
    output,
    print_table,
)
from velocast_cli.operations.restoring import rehearsal
from velocast_cli.operations.restoring.database_backups import Database
from velocast_cli.operations.restoring.restore import (
    StoredObject,
    Tables,
    chosen_generation,
    known_table,
)
from velocast_cli.operations.time_options import parse_day
from velocast_cli.target import job_run, reported_errors

restore_app = typer.Typer(
    help="Restore an object, a table or MLflow's database to an earlier state.",
    no_args_is_help=True,
)
BucketName = Literal["models", "datasets"]
At = Annotated[str | None, typer.Option(help="As it was at this time (UTC date or RFC 3339).")]


@restore_app.command("object")
def restore_object_command(
    name: Annotated[str, typer.Argument(help="Name in the bucket: serving/champion.json.")],
    bucket: Annotated[BucketName, typer.Option(help="Which bucket.")] = "models",
    generation: Annotated[
        int | None, typer.Option(help="Generation. Default: the one before the live one.")
    ] = None,
    at: At = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Restore an earlier generation of an object; the one that it replaces is kept."""
    with reported_errors("restore object"):
        run = job_run("restore", home=home, as_of=None)
        stored = StoredObject(run.settings.project, _bucket(run, bucket), name)
        found = stored.generations()
        before = parse_day(at, "at") if at else None
        chosen = chosen_generation(found, generation=generation, before=before)
        if not as_json:
            rows = [
                (
                    str(g.generation),
                    rfc3339(g.written)[:19] + "Z",
                    str(g.size),
                    "live" if g.is_live else "to restore" if g is chosen else "",
                )
                for g in found
            ]
            print_table(("Generation", "Written", "Bytes", ""), rows)
        live = next((g.generation for g in found if g.is_live), 0)
        plan: dict[str, Any] = {"object": stored.uri, "generation": str(chosen.generation)}
        question = f"Restore generation {chosen.generation} of {stored.uri}?"
        if not _go_on(question, plan, yes=yes, dry_run=dry_run, as_json=as_json):
            return
        made = stored.restore(chosen.generation, replacing=live)
    _told(plan | {"restored_as": str(made)}, f"restored as generation {made}", as_json=as_json)


@restore_app.command("table")
def restore_table_command(
    table: Annotated[str, typer.Argument(help="dataset.table: bike_traffic_raw.counts.")],
    at: At = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Take the rows of this table (dataset.table).")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Replace a table's rows with those of an earlier time (last seven days) or of a copy."""
    with reported_errors("restore table"):
        if (at is None) == (source is None):
            raise typer.BadParameter("give --at TIME or --from TABLE")
        tables = Tables(job_run("restore", home=home, as_of=None))
        known_table(table)
        origin = source or tables.copy_of(table, parse_day(str(at), "at"))
        before, after = tables.rows(table), tables.rows(origin)
        plan = {"table": table, "from": origin, "rows": before, "rows_restored": after}
        question = f"Replace the {before} rows of {table} with the {after} rows of {origin}?"
        if not _go_on(question, plan, yes=yes, dry_run=dry_run, as_json=as_json):
            return
        done = tables.replace_rows(table, origin)
    _told(plan | done.as_dict(), f"{table} has {done.after} rows again", as_json=as_json)


@restore_app.command("database")
def restore_database_command(
    backup: Annotated[str | None, typer.Option(help="Id of a backup. Default: the newest.")] = None,
    at: At = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Restore MLflow's database from a backup, or clone it as of a minute (--at)."""
    with (
        reported_errors("restore database"),
        Database(job_run("restore", home=home, as_of=None).settings) as database,
    ):
        plan, question = _database_plan(database, backup, at)
        if not _go_on(question, plan, yes=yes, dry_run=dry_run, as_json=as_json):
            return
        if at is not None:
            name = database.clone(parse_day(at, "at"))
            said = f'{name} is ready: set mlflow = {{ instance_name = "{name}" }} and import it'
            _told(plan | {"clone": name}, said, as_json=as_json)
            return
        chosen = database.chosen(backup)
        database.restore(chosen)
        _told(plan, f"{database.instance} holds backup {chosen.id}", as_json=as_json)


def _database_plan(
    database: Database, backup: str | None, at: str | None
) -> tuple[dict[str, Any], str]:
    """Return what would be done with the database, and the question about it."""
    if at is not None:
        moment = rfc3339(parse_day(at, "at"))
        plan: dict[str, Any] = {"instance": database.instance, "at": moment}
        return plan, f"Clone {database.instance} as it was at {moment}?"
    chosen = database.chosen(backup)
    question = (
        f"Replace the content of {database.instance} with backup {chosen.id} of {chosen.ended}?"
    )
    return {"instance": database.instance, "backup": chosen.as_dict()}, question


@restore_app.command("rehearse")
def rehearse_command(home: Home = None, as_json: AsJson = False) -> None:
    """Restore copies that nothing uses, and check them. Exit code 0 only if all are restored."""
    with reported_errors("restore rehearse"):
        steps = rehearsal.rehearse_restore(job_run("restore", home=home, as_of=None))
    restored = all(step.restored for step in steps)
    if as_json:
        found = [step.as_dict() for step in steps]
        typer.echo(json.dumps({"restored": restored, "steps": found}))
    else:
        rows = [(s.what, "OK" if s.restored else "FAILED", s.detail) for s in steps]
        print_table(("Restored", "Status", "What"), rows)
    if not restored:
        raise typer.Exit(1)


def _bucket(run: Run[JobSettings], name: BucketName) -> str:
    settings = run.settings
    return settings.models_bucket if name == "models" else settings.datasets_bucket


def _go_on(question: str, plan: dict[str, Any], *, yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Return whether to do what is planned. Ends the command with exit code 1 if the answer is no."""
    if dry_run:
        _told(plan | {"dry_run": True}, f"{question} (dry run: nothing done)", as_json=as_json)
        return False
    if not confirmed(question, yes=yes):
        raise typer.Exit(1)
    return True


def _told(result: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result))
    else:
        output().print(escape(text), soft_wrap=True)
