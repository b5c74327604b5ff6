"""Counters of a deployment that may continue others, for a person to confirm."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.schemas import COUNTERS
from velocast.usecases.histories.known import read_decisions, read_histories

if TYPE_CHECKING:
    import pandas as pd

    from velocast.model.histories.proposals import Proposal

LOOK_DAYS = 400  # ends and beginnings of the last year, with the days before them that are compared
OTHERS = 100  # counters beside those of the pairs, that show how the city as a whole changed


def propose(warehouse: Warehouse, city: City, *, as_of: datetime) -> list[Proposal]:
    """Return the pairs of counters on which nobody has decided yet, the best fit first. Raises WarehouseError.

    Nothing that was counted at or after `as_of` is used. Only the hours of the pairs that are near in time and place
    are read, and those of some others. Source: `bike_traffic_raw.counts`, `.counters` and `.continuations`.
    """
    from velocast.model.histories.proposals import (
        near_in_place,
        near_in_time,
        propose_continuations,
    )

    first = as_of - timedelta(days=LOOK_DAYS)
    spans = warehouse.query_large("counter_spans", first_hour=first, until=as_of)
    histories = read_histories(warehouse, city, as_of=as_of)
    spans = spans[~spans["counter_id"].isin(list(histories.ended))]
    counters = warehouse.read(COUNTERS, columns=["counter_id", "latitude", "longitude"]).to_pandas()
    taken = {
        (row["continues"], row["counter_id"]) for row in read_decisions(warehouse, as_of=as_of)
    }
    near = near_in_place(near_in_time(spans), counters)
    # A counter that continues another one already did not begin on its own; but it can end.
    left_out = {pair for pair in near if pair in taken or pair[1] in histories.continued}
    named = {counter_id for pair in near.keys() - left_out for counter_id in pair}
    if not named:
        return []
    hours = _hours(warehouse, spans, named, first, as_of)
    return propose_continuations(hours, counters, city.zone, decided=sorted(left_out), spans=spans)


def _hours(
    warehouse: Warehouse, spans: pd.DataFrame, named: set[str], first: datetime, until: datetime
) -> pd.DataFrame:
    others = spans.assign(length=spans["last_at"] - spans["first_at"])
    others = others[~others["counter_id"].isin(named)].nlargest(OTHERS, "length")
    hours = warehouse.query_large(
        "counter_hours",
        first_hour=first,
        until=until,
        counter_ids=sorted(named | set(others["counter_id"])),
    )
    return hours.assign(counter_id=hours["counter_id"].astype(object))
