"""`velocast simulate`: write a synthetic city to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from velocast.core.errors import VelocastError
from velocast_cli.cities import CITY_HELP, city_of
from velocast_local.simulation.city import DEFAULT_DAYS, simulate_city
from velocast_local.simulation.files import write_city


def simulate_command(
    out: Annotated[Path, typer.Argument(help="File to write the counts to (.parquet or .csv).")],
    counters: Annotated[int, typer.Option(min=1, help="Number of counters.")] = 50,
    days: Annotated[int, typer.Option(min=1, help="Local days of counts.")] = DEFAULT_DAYS,
    seed: Annotated[int, typer.Option(help="Random seed of the city.")] = 7,
    city: Annotated[
        str,
        typer.Option(help=f"{CITY_HELP} Its clock, holidays and place are those of the counts."),
    ] = "demoville",
    weather: Annotated[
        Path | None, typer.Option(help="File to write its weather to (.parquet or .csv).")
    ] = None,
) -> None:
    """Generate a synthetic city and write its counts and, with --weather, its weather."""
    for file in filter(None, (out, weather)):
        if file.suffix not in (".parquet", ".csv"):
            raise typer.BadParameter(f"{file}: ends in {file.suffix!r}, expected .parquet or .csv")
    try:
        found = city_of(city)
    except VelocastError as exc:
        raise typer.BadParameter(str(exc), param_hint="--city") from exc
    rows, weather_rows = simulate_city(counters, days=days, seed=seed, city=found)
    try:
        write_city(rows, out)
        if weather:
            write_city(weather_rows, weather)
    except OSError as exc:
        typer.echo(f"simulate: cannot write ({exc}); name a file in a folder that exists", err=True)
        raise typer.Exit(1) from exc
    first, last = rows["date"].iloc[0], rows["date"].iloc[-1]
    typer.echo(
        f"{out}: {len(rows)} counts of {counters} counters, {first:%Y-%m-%d %H:%MZ} to {last:%Y-%m-%d %H:%MZ}"
    )
