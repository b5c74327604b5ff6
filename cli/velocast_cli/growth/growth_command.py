"""`velocast growth`: how counts changed against an earlier year, raw, with gaps rebuilt, and adjusted."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from velocast.core.errors import EventError
from velocast.core.unknown import Unknown
from velocast_cli.cities import CITY_HELP, city_of
from velocast_cli.operations.console import AsJson, Home, output, print_table
from velocast_cli.operations.time_options import parse_date
from velocast_cli.target import job_run, reported_errors

if TYPE_CHECKING:
    from velocast.core.city import City
    from velocast.model.growth.change import CityDays, Growth
    from velocast.model.growth.periods import Periods

CountsFiles = Annotated[
    list[Path] | None,
    typer.Option("--file", help="Counts in files, read as --city says. Default: the deployment's."),
]
CityName = Annotated[str | None, typer.Option("--city", help=CITY_HELP)]
WeatherFile = Annotated[
    Path | None, typer.Option(help="With --file: observed weather with Open-Meteo's names.")
]


def growth_command(
    files: CountsFiles = None,
    since: Annotated[
        str | None,
        typer.Option(help="Compare with the year that begins on this date. Default: last year."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="End of the newest year, itself excluded. Default: all.")
    ] = None,
    counter: Annotated[
        list[str] | None, typer.Option(help="Only these counters. Default: city and all counters.")
    ] = None,
    city: CityName = None,
    weather: WeatherFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say how counts changed against an earlier year: raw, with gaps rebuilt, and adjusted for weather and days."""
    with reported_errors("growth"):
        begin = parse_date(since, "since") if since else None
        end = parse_date(until, "until") if until else None
        try:
            described, days = counted_days(files, city, weather, home, begin)
        except (ValueError, OSError) as exc:
            raise EventError(str(exc)) from exc
        periods, results = _compared(days, begin, end, counter)
    if as_json:
        typer.echo(json.dumps(_as_json(described, periods, results)))
    else:
        _print(periods, results)


def counted_days(
    files: list[Path] | None,
    city: str | None,
    weather: Path | None,
    home: Path | None,
    since: date | None,
) -> tuple[City, CityDays]:
    """Return the counts of files, or those of the deployment. Raises what reading them raises."""
    from velocast_cli.growth.sources import days_of_deployment, days_of_files

    if files:
        return days_of_files(city_of(city) if city else None, files, weather, _say)
    if city or weather:
        raise EventError("--city and --weather belong to --file")
    return days_of_deployment(job_run("growth", home=home, as_of=None), since)


def _compared(
    days: CityDays, since: date | None, until: date | None, wanted: list[str] | None
) -> tuple[Periods, dict[str | None, Growth | Unknown]]:
    """Return the growth of each counter by its id, and of the city by None."""
    from velocast.model.growth.change import Comparison
    from velocast.model.growth.periods import compared_periods

    end = days.first + timedelta(days=days.counts.shape[1])
    periods = compared_periods(days.first, min(until or end, end), since)
    if isinstance(periods, Unknown):
        raise EventError(periods.reason)
    if unknown := set(wanted or ()) - set(days.counters):
        raise EventError(f"no counter {', '.join(sorted(unknown))}; there are {len(days.counters)}")
    comparison = Comparison(days, periods)
    results: dict[str | None, Growth | Unknown] = {}
    if not wanted:
        results[None] = comparison.whole_city()
    for name in wanted or days.counters:
        results[name] = comparison.counter(name)
    return periods, results


def _as_json(
    city: City, periods: Periods, results: dict[str | None, Growth | Unknown]
) -> dict[str, object]:
    def plain(result: Growth | Unknown) -> dict[str, object]:
        return {"unknown": result.reason} if isinstance(result, Unknown) else result.as_dict()

    return {
        "city": city.name,
        "before": [periods.before.isoformat(), _after(periods.before, periods.days)],
        "now": [periods.now.isoformat(), _after(periods.now, periods.days)],
        "whole_year": periods.whole_year,
        "growth": plain(results[None]) if None in results else None,
        "counters": [
            {"counter_id": name} | plain(result)
            for name, result in results.items()
            if name is not None
        ],
    }


def _after(day: date, days: int) -> str:
    return (day + timedelta(days=days)).isoformat()


def _print(periods: Periods, results: dict[str | None, Growth | Unknown]) -> None:
    last = periods.until - timedelta(days=1)
    before = periods.before + timedelta(days=periods.days - 1)
    output().print(f"{periods.now} to {last} against {periods.before} to {before}")
    if not periods.whole_year:
        output().print(
            f"Less than two years are known: {periods.days} days are compared, not whole years."
        )
    city = results.get(None)
    if city is not None:
        _print_in_words("All counters", city)
    elif len(results) == 1:
        ((name, only),) = results.items()
        _print_in_words(str(name), only)
        return
    rows = [
        (str(name), *(percent(way.change) for way in (g.raw, g.rebuilt, g.adjusted)), *_between(g))
        for name, g in results.items()
        if name is not None and not isinstance(g, Unknown)
    ]
    if rows:
        output().print()
        print_table(("Counter", "Raw", "Rebuilt", "Adjusted", "between", "changed"), rows)
    for name, result in results.items():
        if name is not None and isinstance(result, Unknown):
            output().print(f"{escape(str(name))}: not compared, {result.reason}")


def _print_in_words(name: str, growth: Growth | Unknown) -> None:
    if isinstance(growth, Unknown):
        output().print(f"{escape(name)}: not known, {growth.reason}")
        return
    found = growth.adjusted
    said = "" if growth.claimed else "; this can be chance"
    weather = (
        "weather is not known" if growth.weather is None else f"weather {percent(growth.weather)}"
    )
    output().print(
        f"{escape(name)}: {percent(found.change)}, between {percent(found.low)} and "
        f"{percent(found.high)}{said}\n"
        f"raw {percent(growth.raw.change)}, of which gaps {percent(growth.gaps)}, {weather}, "
        f"holidays and calendar {percent(growth.calendar)}\n"
        f"{growth.counters} counters, {growth.estimated:.1%} of the bikes estimated"
    )


def _between(growth: Growth) -> tuple[str, str]:
    """Return the 90 % interval, and whether there is a change beyond chance."""
    found = growth.adjusted
    between = f"{found.low * 100:+.1f} and {found.high * 100:+.1f} %"
    return between, "yes" if growth.claimed else "unsure"


def percent(share: float) -> str:
    """Return a relative change for people: +4.1 %."""
    return f"{share * 100:+.1f} %"


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))
