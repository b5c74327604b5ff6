"""What a person decides on a counter that continues another: stored with who and why, seen by runs from then on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City, Continuation, histories_of, listed_continuations
from velocast.core.errors import EventError, SettingsError
from velocast.core.schemas import CONTINUATIONS, arrow
from velocast.usecases.histories.known import CONFIRM, held_decisions, read_decisions

KEY = ("counter_id", "continues", "given_at")
COMPARED = ("since", "decision", "reason")


@dataclass(frozen=True)
class ContinuationDecision:
    """Whether `counter_id` continues `continues` from `since` (aware) on, who decided it, when and why.

    undo: it does not. It takes back a confirmation, and a pair that was only proposed is not proposed again.
    """

    counter_id: str
    continues: str
    since: datetime
    decision: Literal["confirm", "undo"]
    given_by: str
    given_at: datetime
    reason: str | None = None


def decide(warehouse: Warehouse, city: City, decision: ContinuationDecision) -> bool:
    """Store a decision; return whether it is new. The same one again changes nothing.

    No stored count changes. Raises EventError for an unknown counter, for a pair that the city's file has, and for what
    contradicts that file or an earlier decision; WarehouseError.
    """
    import pyarrow as pa

    _check_known(warehouse, city, decision)
    before = read_decisions(warehouse, as_of=decision.given_at)
    of_pair = [
        row
        for row in before
        if (row["counter_id"], row["continues"]) == (decision.counter_id, decision.continues)
    ]
    if of_pair and of_pair[-1]["decision"] == decision.decision:
        same_day = of_pair[-1]["since"] == decision.since
        if same_day or decision.decision != CONFIRM:
            return False
    if decision.decision == CONFIRM:
        _check_possible(city, before, decision)
    rows = pa.Table.from_pylist([vars(decision)], schema=arrow(CONTINUATIONS))
    warehouse.merge(CONTINUATIONS, rows, keys=KEY, update=COMPARED)
    return True


def _check_known(warehouse: Warehouse, city: City, decision: ContinuationDecision) -> None:
    pair = (decision.counter_id, decision.continues)
    for each in listed_continuations(city.continuations, city.zone):
        if each.counter_id == pair[0] and pair[1] in each.continues:
            raise EventError(
                f"the city's file says that {pair[0]} continues {pair[1]}; change it there (continuations)"
            )
    sums = {each.id for each in city.sums}
    for counter_id in pair:
        known = warehouse.query("verdict_counter", counter_id=counter_id)
        if counter_id not in sums and not int(known["counters"].iloc[0]):
            raise EventError(
                f"there is no counter {counter_id!r}; its id is in bike_traffic_raw.counters and on its page"
            )


def _check_possible(
    city: City, before: list[dict[str, object]], decision: ContinuationDecision
) -> None:
    others = [each for each in held_decisions(before) if each.counter_id != decision.counter_id]
    new = Continuation(decision.counter_id, (decision.continues,), decision.since)
    try:
        histories_of(
            [*listed_continuations(city.continuations, city.zone), *others, new], city.sums
        )
    except SettingsError as exc:
        raise EventError(f"{exc} (`velocast counts continues undo` takes a decision back)") from exc


def forget_deciders_name(warehouse: Warehouse, name: str, *, instead: str) -> int:
    """Take a person's name out of all decisions, which stay; return how many. Raises WarehouseError."""
    return warehouse.execute("continuations_forget_name", name=name, instead=instead)
