"""`velocast rollback` and `velocast rollback serve`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

from velocast.core.kinds import Task
from velocast_cli.operations.console import AsJson, DryRun, Home, Yes, confirmed, output
from velocast_cli.operations.rolling_back import rollback, serve_revisions
from velocast_cli.target import job_run, reported_errors

rollback_app = typer.Typer(
    help="Go back to the previous champion or, with `serve`, to the API's previous revision.",
    invoke_without_command=True,
)


@rollback_app.callback()
def rollback_command(
    context: typer.Context,
    to: Annotated[
        int | None, typer.Option(min=1, help="Version. Default: the previous champion.")
    ] = None,
    task: Annotated[Task, typer.Option(help="Task of the registered model.")] = "forecast",
    yes: Yes = False,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the previous champion as it was published, and make forecasts with it at once."""
    if context.invoked_subcommand is not None:
        return
    with reported_errors("rollback"):
        run = job_run("rollback", home=home, as_of=None)
        serving = rollback.serving_champion(run, task)
        version = to or rollback.previous_version(run, task, serving)
        now = f"version {serving.version}" if serving else "no readable champion"
        question = f"Replace {now} of {task} with version {version}?"
        if dry_run:
            _told(as_json, {"before": serving.version if serving else None, "version": version})
            return
        if not confirmed(question, yes=yes):
            raise typer.Exit(1)
        done = rollback.roll_back(
            run,
            task,
            version,
            on_start=lambda name: None if as_json else output().print(f"running {escape(name)}"),
        )
    if as_json:
        typer.echo(json.dumps(done.as_dict()))
        return
    output().print(
        f"[green]version {done.version} is the champion[/green] ({done.forecasts} forecasts made with it; "
        f"velocast logs {escape(done.execution_id)})"
    )


def _told(as_json: bool, plan: dict[str, int | None]) -> None:
    before = plan["before"] or "none"
    text = f"would replace version {before} with version {plan['version']}; nothing done"
    typer.echo(json.dumps(plan | {"dry_run": True}) if as_json else text)


@rollback_app.command("serve")
def rollback_serve_command(
    to: Annotated[
        str | None, typer.Option(help="Revision. Default: the one before the serving one.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send all traffic of the API to its previous revision."""
    with reported_errors("rollback serve"):
        run = job_run("rollback", home=home, as_of=None)
        found = serve_revisions.read_revisions(run.settings)
        chosen = serve_revisions.chosen_revision(found, to)
        serving = ", ".join(r.name for r in found if r.percent) or "none"
        question = f"Send all traffic of the API to {chosen.name} instead of {serving}?"
        if dry_run:
            text = f"would send all traffic to {chosen.name} instead of {serving}; nothing done"
            plan = {"serving": serving, "revision": chosen.name, "dry_run": True}
            typer.echo(json.dumps(plan) if as_json else text)
            return
        if not confirmed(question, yes=yes):
            raise typer.Exit(1)
        serve_revisions.send_all_traffic(run.settings, chosen.name)
    if as_json:
        typer.echo(json.dumps({"before": serving, "revision": chosen.name}))
        return
    output().print(
        f"[green]{chosen.name} serves all traffic[/green] (before: {serving}) until a deployment makes a new revision."
    )
