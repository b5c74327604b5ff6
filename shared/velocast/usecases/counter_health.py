"""The health of each counter: when it last counted, what of it can be used, its fault, how good its forecasts are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from velocast.core.datetimes import rfc3339

if TYPE_CHECKING:
    from velocast.adapters.bigquery.client import Warehouse

SILENT_DAYS = 3.0  # days without a usable hour after which a counter needs a look
HEALTH_DAYS = 366  # that are read
PERIOD_DAYS = 28  # of usable_share, pairs, mae, wape and r2


@dataclass(frozen=True)
class CounterHealth:
    """One row of `sql/counter_health.sql`, which is also the view `bike_traffic_raw.counter_health`.

    newest_at, last_counted_at: start of the newest hour, and of the newest usable one in the last year. days_silent:
    from there, or from its newest closed hour, to the city's newest hour. usable_share: of the hours of PERIOD_DAYS.
    fault_*: of the oldest open fault. pairs: hours of PERIOD_DAYS with a forecast and a usable count; mae in bikes per
    hour, wape as a share of the bikes, r2 null where the counts do not vary.
    """

    counter_id: str
    counter_name: str | None
    newest_at: datetime
    last_counted_at: datetime | None
    days_silent: float
    usable_share: float
    fault_kind: str | None
    fault_since: datetime | None
    fault_evidence: str | None
    pairs: int
    mae: float | None
    wape: float | None
    r2: float | None

    @property
    def needs_a_look(self) -> bool:
        """Whether the counter has a fault or is silent."""
        return self.fault_kind is not None or self.days_silent >= SILENT_DAYS

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON shows it, times in RFC 3339."""
        return {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        } | {"needs_a_look": self.needs_a_look}


def read_counter_health(
    warehouse: Warehouse, *, as_of: datetime, tables: dict[str, str] | None = None
) -> list[CounterHealth]:
    """Return the health of all counters that sent an hour in the last year, sorted by id. Raises WarehouseError.

    Nothing that was counted or forecast for an hour at or after `as_of` is used. tables: dataset.table to read instead
    of the default ones.
    """
    rows = warehouse.query_large("counter_health", tables=tables, as_of=as_of).sort_values(
        "counter_id"
    )
    return [CounterHealth(**_plain(row)) for row in rows.to_dict("records")]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    import pandas as pd

    known = {str(name): None if pd.isna(value) else value for name, value in row.items()}
    return {
        name: value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
        for name, value in known.items()
    } | {"pairs": int(row["pairs"])}
