"""`velocast counts health`: the health of each counter of a deployment, those that need a look first."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from velocast.core.datetimes import rfc3339
from velocast_cli.operations.console import AsJson, Home, output, print_table
from velocast_cli.target import job_run, reported_errors

if TYPE_CHECKING:
    from velocast.usecases.counter_health import CounterHealth

UNKNOWN = "-"


def counter_health_command(
    all_counters: Annotated[
        bool, typer.Option("--all", help="Also print the counters that work; JSON always has them.")
    ] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As it was at this RFC 3339 time. Default: now.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the health of counters: silence, usable hours, faults and the error of their forecasts."""
    from velocast.usecases.counter_health import HEALTH_DAYS, read_counter_health
    from velocast.usecases.histories.known import history_tables, read_histories
    from velocast.usecases.known_counts import NOW, Known

    with reported_errors("counts health"):
        run = job_run("counts", home=home, as_of=as_of)
        histories = read_histories(run.warehouse, run.settings.city, as_of=run.as_of)
        known = Known(NOW, run.as_of - timedelta(days=HEALTH_DAYS), run.as_of)
        with history_tables(run.warehouse, histories, known) as tables:
            found = read_counter_health(run.warehouse, as_of=run.as_of, tables=tables)
    if as_json:
        city = {"city": run.settings.city.name, "as_of": rfc3339(run.as_of)}
        typer.echo(json.dumps(city | {"counters": [each.as_dict() for each in found]}))
    else:
        _print(found, all_counters=all_counters)


def _print(found: list[CounterHealth], *, all_counters: bool) -> None:
    looked = [each for each in found if each.needs_a_look]
    shown = sorted(
        found if all_counters else looked,
        key=lambda each: (not each.needs_a_look, -each.days_silent),
    )
    if shown:
        headers = ("Counter", "Last hour", "Silent", "Usable", "Error", "Fault")
        print_table(headers, [_row(each) for each in shown])
    output().print(f"{len(looked):,} of {len(found):,} counters need a look")


def _row(each: CounterHealth) -> tuple[str, ...]:
    last = each.last_counted_at
    fault = each.fault_kind and each.fault_since
    return (
        each.counter_name or each.counter_id,
        f"{last:%Y-%m-%d %H}h" if last else "never",
        f"{each.days_silent:.0f} d",
        f"{each.usable_share:.0%}",
        UNKNOWN if each.wape is None else f"{each.wape:.0%}",
        f"{each.fault_kind} since {each.fault_since:%Y-%m-%d}" if fault else "",
    )
