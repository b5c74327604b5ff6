"""The weekly digest's proposals that nobody has decided on yet, for the page."""

from __future__ import annotations

from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.telemetry import log
from velocast.usecases.growth import SHOWN_FOR
from velocast.usecases.histories.known import read_decisions
from velocast.usecases.snapshot_format import ProposedCard

_PROPOSED = TypeAdapter(tuple[ProposedCard, ...])


def read_shown_proposals(warehouse: Warehouse, *, as_of: datetime) -> tuple[ProposedCard, ...]:
    """Return the counters that may continue others, without pairs that a person had decided on by `as_of`.

    Proposals that this version cannot read are logged and not shown; the forecast goes on. Raises WarehouseError.
    Source: `monitoring_audit.logs`, `bike_traffic_raw.continuations`.
    """
    rows = warehouse.query("snapshot_proposed", since=as_of - SHOWN_FOR, as_of=as_of)
    if rows.empty or not rows["proposed"].iloc[0]:
        return ()
    try:
        proposed = _PROPOSED.validate_json(rows["proposed"].iloc[0])
    except ValidationError as exc:
        log("WARNING", f"proposed continuations are not shown until the next weekly digest: {exc}")
        return ()
    if not proposed:
        return ()
    decided = {
        (row["counter_id"], row["continues"]) for row in read_decisions(warehouse, as_of=as_of)
    }
    return tuple(each for each in proposed if (each.counter_id, each.continues) not in decided)
