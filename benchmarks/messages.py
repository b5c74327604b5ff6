"""Messages that people get in weeks of a simulated city: `make bench ARGS="messages"`.

The whole local stack plays each day with its schedules, so that every message is one that fetch, predict, monitor or a
retraining publishes and `notify` sends. Counters fail, and the portal publishes nothing for some days; each of these
incidents must be reported. Incidents of Cloud Monitoring are not part of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks import harness
from velocast.core.datetimes import parse_instant
from velocast.usecases.ingest.fault_news import RECENT
from velocast_local.city.files import make_synthetic
from velocast_local.city.replayed_counts import CityFile
from velocast_local.demo import AuditReader, Player, Progress, play_city
from velocast_local.stack import lifecycle

WEEK = timedelta(days=7)
HISTORY_DAYS = 90
QUIET_LIMIT = 3
AFTERWARDS = timedelta(days=4)  # the end of a fault is told when whole days count again
STUCK_AT = 7


@dataclass(frozen=True)
class Incident:
    """One incident in [since, until), UTC. event: of the notice that must tell it. counter: None for the whole city."""

    name: str
    event: str
    since: datetime
    until: datetime
    counter: str | None = None


@dataclass(frozen=True)
class Told:
    """One message that people got."""

    at: datetime
    event: str
    text: str


def plan(counters: Sequence[str], first_day: date, weeks: int) -> list[Incident]:
    """Return the incidents: counters in the weeks 2, 5 and 8, the portal in week 10, as far as these are played."""
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC)

    def during(week: int, days: int) -> tuple[datetime, datetime]:
        since = start + (week - 1) * WEEK + timedelta(days=1, hours=9)
        return since, since + timedelta(days=days)

    faulty = "counters_out_of_order"
    third = max(1, len(counters) // 4)
    planned = [
        Incident("dead", faulty, *during(2, 5), counters[third]),
        Incident("stuck", faulty, *during(5, 4), counters[2 * third]),
        Incident("dead", faulty, *during(8, 6), counters[3 * third - 1]),
        Incident("dead", faulty, *during(8, 6), counters[0]),
        Incident("nothing published", "data_stale", *during(10, 6)),
    ]
    return [each for each in planned if each.until + AFTERWARDS < start + weeks * WEEK]


def inject(published: Path, incidents: Iterable[Incident]) -> None:
    """Put the incidents into the Parquet file of the counts that the city will publish."""
    rows = pd.read_parquet(published)
    for each in incidents:
        during = (rows["date"] >= each.since) & (rows["date"] < each.until)
        if each.counter is None:
            rows = rows[~during]
        else:
            own = during & (rows["id_compteur"] == each.counter) & rows["sum_counts"].notna()
            rows.loc[own, "sum_counts"] = STUCK_AT if each.name == "stuck" else 0
    rows.to_parquet(published, index=False)


def busiest(published: Path) -> list[str]:
    """Return the counters that miss hardly an hour, by their bikes."""
    rows = pd.read_parquet(published)
    by_counter = rows.groupby("id_compteur")["sum_counts"]
    hours = by_counter.count()
    whole = hours[hours > 0.95 * rows["date"].nunique()].index
    return [str(name) for name in by_counter.sum().loc[whole].sort_values(ascending=False).index]


def read_messages(messages: Iterable[dict[str, Any]]) -> list[Told]:
    """Return the messages of Discord's inbox."""
    told = []
    for embed in (each for message in messages for each in message["embeds"]):
        text = "\n".join(field["value"] for field in embed.get("fields", ()))
        event = embed["footer"]["text"].split(" · ")[1]
        told.append(Told(parse_instant(embed["timestamp"]), event, text))
    return told


def by_week(
    told: Sequence[Told], incidents: Sequence[Incident], first_day: date, weeks: int
) -> list[dict[str, Any]]:
    """Return for each week how many messages of each event came, and whether it was quiet: without an incident."""
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=UTC)
    rows = []
    for number in range(weeks):
        since, until = start + number * WEEK, start + (number + 1) * WEEK
        events = Counter(each.event for each in told if since <= each.at < until)
        eventful = any(i.since < until and since < i.until + AFTERWARDS for i in incidents)
        rows.append(
            {
                "week": number + 1,
                "quiet": not eventful,
                "messages": sum(events.values()),
                "events": dict(events.most_common()),
            }
        )
    return rows


def untold(
    told: Sequence[Told], incidents: Iterable[Incident], names: dict[str, str]
) -> list[Incident]:
    """Return the incidents that no message tells. names: of the counters, by id."""

    def tells(message: Told, incident: Incident) -> bool:
        named = incident.counter is None or names[incident.counter] in message.text
        in_time = incident.since <= message.at < incident.until + AFTERWARDS
        return message.event == incident.event and in_time and named

    return [each for each in incidents if not any(tells(message, each) for message in told)]


def main(arguments: argparse.Namespace) -> None:
    """Play the weeks, and print and store what people were told."""
    console = Console(highlight=False, soft_wrap=True)
    weeks, days = arguments.weeks, 7 * arguments.weeks
    home = Path(tempfile.mkdtemp(prefix="velocast-messages-"))
    made = make_synthetic(
        home,
        counters=arguments.counters,
        days=HISTORY_DAYS + days,
        seed=arguments.seed,
        faultless_days=days + RECENT.days,
    )
    first_day = CityFile(made.counts).last.date() - timedelta(days=days - 2)
    incidents: list[Incident] = []
    names: dict[str, str] = {}

    def edit(published: Path) -> None:
        rows = pd.read_parquet(published, columns=["id_compteur", "nom_compteur"])
        names.update(dict(zip(rows["id_compteur"], rows["nom_compteur"], strict=True)))
        incidents.extend(plan(busiest(published), first_day, weeks))
        inject(published, incidents)

    try:
        state = lifecycle.start_stack(
            home, replay=made.counts, weather=made.weather, city="demoville", edit_counts=edit
        )
        os.environ.update(lifecycle.stack_variables(home))
        audit = AuditReader(state["project"], state["location"])
        with Player(state, Progress(console.print)) as player:
            schedules = lifecycle.SCHEDULES
            play_city(player, audit, first_day=first_day, days=days, schedules=schedules)
        inbox = httpx.get(f"{state['url']}/discord/messages", timeout=60).json()["messages"]
    finally:
        lifecycle.stop_stack(home)
        shutil.rmtree(home, ignore_errors=True)
    told = read_messages(inbox)
    rows = by_week(told, incidents, first_day, weeks)
    missed = untold(told, incidents, names)
    _show(console, rows, len(incidents), [each.name for each in missed])
    figures = {
        "weeks": rows,
        "counters": arguments.counters,
        "incidents": len(incidents),
        "untold": len(missed),
    }
    harness.write(figures, arguments.json)


def _show(
    console: Console, rows: Sequence[dict[str, Any]], incidents: int, missed: list[str]
) -> None:
    table = Table("week", "", "messages", "of them")
    for row in rows:
        events = ", ".join(f"{name} {number}" for name, number in row["events"].items())
        table.add_row(
            str(row["week"]), "" if row["quiet"] else "incident", str(row["messages"]), events
        )
    console.print(table)
    most = max((row["messages"] for row in rows if row["quiet"]), default=0)
    console.print(f"most messages in a quiet week: {most} (aim: {QUIET_LIMIT})")
    console.print(f"incidents: {incidents}, untold: {', '.join(missed) or 'none'}")
