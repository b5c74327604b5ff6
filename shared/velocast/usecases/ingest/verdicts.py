"""What a person says about hours of a counter: it is stored, outranks every detector, and holds at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.errors import EventError
from velocast.core.schemas import VERDICTS, arrow
from velocast.usecases.ingest import quality

if TYPE_CHECKING:
    import pandas as pd

KEY = ("counter_id", "valid_from", "valid_until")
COMPARED = ("verdict", "reason")  # a repetition by another person or at another time is no change
NOTE = "note"  # changes no hour's quality, and leaves a verdict about the same hours as it is
NO_NAME = "name removed"


@dataclass(frozen=True)
class Verdict:
    """Whether the hours of a counter in [valid_from, valid_until) may be used, who said so, when and why.

    A note only says something of them.
    """

    counter_id: str
    valid_from: datetime
    valid_until: datetime
    verdict: Literal["accept", "refuse", "note"]
    given_by: str
    given_at: datetime
    reason: str | None = None


def give_verdict(warehouse: Warehouse, verdict: Verdict) -> dict[str, Any]:
    """Store a verdict and set the quality of the stored hours it is about; the same one again changes nothing.

    Returns `stored` (whether the verdict is new or different) and `hours_changed`. Hours that are ingested later get
    their quality then. Raises EventError for an empty range or an unknown counter, WarehouseError.
    """
    import pyarrow as pa

    if verdict.valid_from >= verdict.valid_until:
        raise EventError(
            f"the verdict begins at {verdict.valid_from} and ends at {verdict.valid_until}: it covers no hour"
        )
    known = warehouse.query("verdict_counter", counter_id=verdict.counter_id)
    if not int(known["counters"].iloc[0]):
        raise EventError(
            f"there is no counter {verdict.counter_id!r}; its id is in bike_traffic_raw.counters and in the notice"
        )
    merged = warehouse.merge(
        VERDICTS,
        pa.Table.from_pylist([vars(verdict)], schema=arrow(VERDICTS)),
        keys=KEY,
        update=("reason",) if verdict.verdict == NOTE else COMPARED,
        insert_only=("verdict",) if verdict.verdict == NOTE else (),
    )
    changes = apply_verdicts(
        warehouse, since=verdict.valid_from, until=verdict.valid_until, given_at=verdict.given_at
    )
    return {"stored": not merged.unchanged, "hours_changed": len(changes)}


def apply_verdicts(
    warehouse: Warehouse, *, since: datetime, until: datetime, given_at: datetime
) -> pd.DataFrame:
    """Set the quality of the stored hours of [since, until) as the verdicts say; return the rows that changed."""
    changes = warehouse.query_large("mark_verdicts", mark_from=since, until=until)
    quality.store_changes(warehouse, changes, learned_at=given_at)
    return changes


def forget_name(warehouse: Warehouse, name: str) -> int:
    """Take a person's name out of all verdicts and notes, which stay; return how many. Raises WarehouseError."""
    return warehouse.execute("verdicts_forget_name", name=name, instead=NO_NAME)
