"""Which counters continue others, and what is added up, as of an instant: the city's file and people's decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import Empty
from velocast.core.city import City, Continuation, Histories, histories_of, listed_continuations
from velocast.core.errors import SettingsError
from velocast.core.telemetry import log
from velocast.usecases.known_counts import NOW, Known, was_changed_later

CONFIRM, UNDO = "confirm", "undo"
BEFORE_ANY_COUNT = datetime(2000, 1, 1, tzinfo=UTC)  # a partition bound is required
ALWAYS = Known(NOW, BEFORE_ANY_COUNT, NOW)


def read_histories(
    warehouse: Warehouse, city: City, *, as_of: datetime, with_sums: bool = True
) -> Histories:
    """Return the histories that a run as of `as_of` sees. Raises WarehouseError.

    The city's file holds from the day on that it names, a person's decision from when it was given. Where they
    contradict each other the city's file holds, and a log line says so. with_sums: as for `histories_of`.
    Source: `bike_traffic_raw.continuations`.
    """
    listed = listed_continuations(city.continuations, city.zone)
    decided = held_decisions(read_decisions(warehouse, as_of=as_of))
    by_city = [each for each in listed if each.since <= as_of]
    held = by_city
    for each in decided:
        if each.since > as_of:
            continue
        try:
            histories_of([*held, each], city.sums)
        except SettingsError as exc:
            log("WARNING", f"the confirmed continuation of {each.continues[0]} is left out: {exc}")
            continue
        held = [*held, each]
    return histories_of(held, city.sums, with_sums=with_sums)


def read_decisions(warehouse: Warehouse, *, as_of: datetime) -> list[dict[str, Any]]:
    """Return what people had decided by `as_of`, oldest first: the columns of the table. Raises WarehouseError."""
    rows = warehouse.query("continuation_decisions", as_of=as_of)
    if rows.empty:
        return []
    plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in plain]


def held_decisions(decisions: list[dict[str, Any]]) -> list[Continuation]:
    """Return the decisions that hold.

    decisions: oldest first. The newest of each pair holds and, among these, the newest of each counter.
    """
    of_pairs = {(row["counter_id"], row["continues"]): row for row in decisions}
    held = [row for row in of_pairs.values() if row["decision"] == CONFIRM]
    of_counters = {row["counter_id"]: row for row in sorted(held, key=lambda row: row["given_at"])}
    return [
        Continuation(row["counter_id"], (row["continues"],), row["since"], row["reason"])
        for row in of_counters.values()
    ]


def term_parameters(histories: Histories) -> dict[str, Any]:
    """Return the parameters of `sql/counter_histories.sql` and `sql/estimate_histories.sql`."""
    terms = histories.terms
    return {
        "affected": sorted(histories.affected) or Empty("STRING"),
        "term_counters": [each.counter_id for each in terms] or Empty("STRING"),
        "term_parts": [each.part_id for each in terms] or Empty("STRING"),
        "term_since": [each.since for each in terms] or Empty("TIMESTAMP"),
        "term_until": [each.until for each in terms] or Empty("TIMESTAMP"),
        "term_sizes": [each.parts for each in terms] or Empty("INT64"),
    }


@contextmanager
def history_tables(
    warehouse: Warehouse, histories: Histories, known: Known = ALWAYS
) -> Iterator[dict[str, str]]:
    """Yield the tables of the counts by history, and of the estimates, as `tables` of a query; none without histories.

    known: of which hours; default: of all, as they are stored now. Raises WarehouseError.
    """
    if not histories:
        yield {}
        return
    with counts_known_then(warehouse, known, histories) as tables:
        yield tables


@contextmanager
def counts_known_then(
    warehouse: Warehouse,
    known: Known,
    histories: Histories,
    *,
    only_known: bool = False,
    kept: bool = False,
) -> Iterator[dict[str, str]]:
    """Yield temporary tables of the counts as they were known, by history, and of the estimates.

    Empty where they are those that are stored, under the ids that the city publishes. only_known: without the hours
    that were first learned later; else these are as they are now, so that a day before the first ingestion can be
    forecast. kept: tables in any case, which stay for other processes for a day. Raises WarehouseError.
    """
    asked: dict[str, Any] = {**known.parameters(), "later_hours": not only_known}
    asked |= {"clustered_by": "counter_id", "kept": True} if kept else {}
    if histories:
        terms = term_parameters(histories)
        bounds: dict[str, Any] = {"scan_from": known.since, "scan_until": known.until}
        with (
            warehouse.temporary("counter_histories", **asked, **terms) as counts,
            warehouse.temporary("estimate_histories", kept=kept, **bounds, **terms) as estimates,
        ):
            yield {"counts": counts, "count_estimates": estimates}
    elif kept or only_known or was_changed_later(warehouse, known):
        with warehouse.temporary("counts_as_of", **asked) as counts:
            yield {"counts": counts}
    else:
        yield {}
