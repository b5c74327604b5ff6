"""How late a city's counts come, from when each hour was first known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.datetimes import rfc3339

LOOK_BACK = timedelta(days=180)
AFTER_DAYS = (1, 2, 7, 30)


def read_lateness(warehouse: Warehouse, newest: datetime | None) -> dict[str, Any] | None:
    """Return the shares of hours that were known some days after their end; None before anything is known.

    newest: the newest hour counted. `known_after` has a share by number of days, null where no hour is that old;
    `corrected` is the share of the hours at least a day old whose count was changed later. Only hours that ended after
    the first ingestion count. `hours_behind`: how old the city's newest hour was when a fetch stored it: the median of
    all fetches but the first that stored a newer hour. Forecasts within the day can know counts no sooner. Null after a
    single fetch. Raises WarehouseError. Source: `bike_traffic_raw.counts`, `bike_traffic_raw.revisions`.
    """
    if newest is None:
        return None
    since = newest - LOOK_BACK
    rows = warehouse.query("status_lateness", since=since).set_index("days")
    if rows.empty:
        return None
    shares = {days: rows["known"][days] / rows["hours"][days] for days in rows.index}
    after = {
        str(days): round(float(shares[days]), 4) if days in shares else None for days in AFTER_DAYS
    }
    corrected = rows["corrected"].iloc[0] / rows["hours"].iloc[0]
    return {
        "since": rfc3339(since),
        "hours": int(rows["hours"].iloc[0]),
        "known_after": after,
        "corrected": round(float(corrected), 4),
        "hours_behind": _hours_behind(warehouse, since),
    }


def _hours_behind(warehouse: Warehouse, since: datetime) -> float | None:
    fetches = warehouse.query("status_newest_when_fetched", since=since)
    newest = fetches["newest"]
    newer = fetches[newest > newest.cummax().shift()]  # never true of the first
    if newer.empty:
        return None
    since_start = (newer["ingested_at"] - newer["newest"]).dt.total_seconds() / 3600
    return round(float(since_start.median()) - 1.0, 1)


def describe_lateness(lateness: dict[str, Any] | None) -> str:
    """Return the shares as one line."""
    if lateness is None:
        return "too few days to tell how late counts come"
    known = ", ".join(
        f"{share:.1%} after {days} d"
        for days, share in lateness["known_after"].items()
        if share is not None
    )
    behind = lateness["hours_behind"]
    newest = "" if behind is None else f"; newest hour {behind:g} h old when fetched"
    return f"known {known}; {lateness['corrected']:.1%} corrected later{newest}"
