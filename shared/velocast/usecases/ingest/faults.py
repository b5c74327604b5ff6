"""The stored hours as the detector of faults judges them, and the rows whose quality it changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import City
from velocast.core.datetimes import rfc3339
from velocast.core.schemas import COUNTERS, COUNTS, VERDICTS
from velocast.model.faults.kinds import QUALITY_OF

if TYPE_CHECKING:
    import pandas as pd

    from velocast.model.faults.city_faults import JudgedCity
    from velocast.model.known_hours import KnownHours

DAY = timedelta(days=1)
KNOWN_DAYS = 84  # days before the first judged hour from which a counter's usual days are learned
JUDGED_DAYS = (
    45  # newest days that are judged again by each run: more than a level needs to be the new usual
)
OWN = sorted(set(QUALITY_OF.values()))  # the qualities that the detector sets and takes back


def read_judged_hours(
    warehouse: Warehouse, *, since: datetime, until: datetime, counts_table: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stored hours of [since, until) and the counters, as `judge_city` takes them.

    hours: counter_id, counted_at, bike_count, quality, ingested_at and accepted (by a person's newest verdict).
    Raises WarehouseError. Source: `bike_traffic_raw.counts`, `.verdicts` and `.counters`.
    """
    where = f"counted_at >= '{rfc3339(since)}' AND counted_at < '{rfc3339(until)}'"
    columns = ["counter_id", "counted_at", "bike_count", "quality", "ingested_at"]
    rows = warehouse.read(counts_table or COUNTS, columns=columns, where=where)
    hours = as_utc(rows.to_pandas())
    verdicts = warehouse.read(
        VERDICTS, columns=["counter_id", "valid_from", "valid_until", "verdict", "given_at"]
    ).to_pandas()
    counters = warehouse.read(
        COUNTERS, columns=["counter_id", "counter_name", "site_id", "latitude", "longitude"]
    ).to_pandas()
    return hours.assign(accepted=_accepted(hours, verdicts)), counters


def find_fault_changes(
    warehouse: Warehouse,
    city: City,
    *,
    mark_from: datetime,
    until: datetime,
    known: Sequence[KnownHours] = (),
    counts_table: str | None = None,
) -> tuple[pd.DataFrame, JudgedCity]:
    """Return the rows of [mark_from, until) whose quality the detector changes, with the right one, and all it found.

    Hours that the city or a person has judged stay as they are. known: hours that events and closures explain. Raises
    WarehouseError.
    """
    from velocast.model.faults.city_faults import JudgedCity, judge_city

    hours, counters = read_judged_hours(
        warehouse, since=mark_from - KNOWN_DAYS * DAY, until=until, counts_table=counts_table
    )
    columns = ["counter_id", "counted_at", "bike_count", "ingested_at", "quality"]
    if hours.empty:
        return hours[columns], JudgedCity(hours["quality"].to_numpy(dtype=object), [])
    before = hours["counted_at"] < mark_from
    faulty = hours["quality"].isin(OWN)
    # what was faulty before is not learned from, and a counter that was dead then is so until it counts
    judged = hours.assign(
        quality=hours["quality"].mask(before & faulty, "flagged"),
        dead=hours["counter_id"].isin(_dead(hours[before])),
    )
    found = judge_city(
        judged, counters, city.zone, country=city.holidays, known=known, sites=city.sites
    )
    right = hours.assign(quality=found.quality)
    differs = (right["quality"] != hours["quality"]) & ~(
        right["quality"].isna() & hours["quality"].isna()
    )
    changed = ~before & differs & (hours["quality"].isna() | faulty)
    return right.loc[changed, columns], found


def _dead(hours: pd.DataFrame) -> Sequence[str]:
    """Return the counters whose last hour is one of an outage."""
    last = hours.sort_values("counted_at").drop_duplicates("counter_id", keep="last")
    return list(last.loc[last["quality"] == "outage", "counter_id"])


def _accepted(hours: pd.DataFrame, verdicts: pd.DataFrame) -> pd.Series[bool]:
    import pandas as pd

    accepted = pd.Series(False, hours.index)
    words = verdicts[verdicts["verdict"].isin(["accept", "refuse"])]
    for verdict in as_utc(words.sort_values("given_at")).to_dict("records"):
        about = hours["counter_id"] == verdict["counter_id"]
        about &= hours["counted_at"] >= verdict["valid_from"]
        about &= hours["counted_at"] < verdict["valid_until"]
        accepted[about] = verdict["verdict"] == "accept"
    return accepted


def as_utc(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its times in UTC, as the Storage Read API and the emulator both mean them."""
    times = frame.select_dtypes(["datetime", "datetimetz"])
    return frame.assign(
        **{
            str(name): (
                column.dt.tz_localize("UTC")
                if column.dt.tz is None
                else column.dt.tz_convert("UTC")
            ).astype("datetime64[us, UTC]")
            for name, column in times.items()
        }
    )
