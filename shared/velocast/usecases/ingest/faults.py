"""The stored hours as the detector of faults judges them, and the rows whose quality it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.bigquery.sql_templates import text_literal
from velocast.core.city import City
from velocast.core.datetimes import rfc3339
from velocast.core.schemas import COUNTERS, COUNTS, VERDICTS
from velocast.model.faults.kinds import QUALITY_OF

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from velocast.model.faults.city_faults import CityJudge
    from velocast.model.faults.episodes import Episode
    from velocast.model.known_hours import KnownHours

DAY = timedelta(days=1)
_MOMENT = timedelta(microseconds=1)
KNOWN_DAYS = 84  # days before the first judged hour from which a counter's usual days are learned
JUDGED_DAYS = (
    45  # newest days that are judged again by each run: more than a level needs to be the new usual
)
OWN = sorted(set(QUALITY_OF.values()))  # the qualities that the detector sets and takes back
# These bound what is in memory: the hours that are read at once, and the changes of them.
READ_AT_ONCE = 2_000_000  # more than 500 counters have in JUDGED_DAYS and KNOWN_DAYS
STORED_AT_ONCE = 500_000
CHANGED = ["counter_id", "counted_at", "bike_count", "ingested_at", "quality"]


def read_judged_hours(
    warehouse: Warehouse, *, since: datetime, until: datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stored hours of [since, until) and the counters, as `judge_city` takes them.

    hours: counter_id, counted_at, bike_count, quality, ingested_at and accepted (by a person's newest verdict).
    Raises WarehouseError. Source: `bike_traffic_raw.counts`, `.verdicts` and `.counters`.
    """
    return StoredHours(warehouse, COUNTS).read(None, since, until), _read_counters(warehouse)


class StoredHours:
    """The hours of a table of counts, with what people said of them."""

    def __init__(self, warehouse: Warehouse, table: str) -> None:
        """table: dataset.table. Raises WarehouseError."""
        self._warehouse, self._table = warehouse, table
        columns = ["counter_id", "valid_from", "valid_until", "verdict", "given_at"]
        verdicts = as_utc(warehouse.read(VERDICTS, columns=columns).to_pandas())
        words = verdicts[verdicts["verdict"].isin(["accept", "refuse"])]
        self._words = words.sort_values("given_at")

    def read(
        self, counters: Sequence[str] | None, since: datetime, until: datetime
    ) -> pd.DataFrame:
        """Return the hours of [since, until), as `read_judged_hours` does.

        counters: ids, ascending, of all that lie between the first and the last; None: all counters. Raises
        WarehouseError.
        """
        ends = None if counters is None else (counters[0], counters[-1])
        columns = ["counter_id", "counted_at", "bike_count", "quality", "ingested_at"]
        where = range_of(ends, since, until)
        hours = as_utc(self._warehouse.read(self._table, columns=columns, where=where).to_pandas())
        return hours.assign(accepted=self._accepted(hours))

    def _accepted(self, hours: pd.DataFrame) -> pd.Series[bool]:
        import pandas as pd

        accepted = pd.Series(False, hours.index)
        words = self._words[self._words["counter_id"].isin(hours["counter_id"].unique())]
        for verdict in words.to_dict("records"):
            about = hours["counter_id"] == verdict["counter_id"]
            about &= hours["counted_at"] >= verdict["valid_from"]
            about &= hours["counted_at"] < verdict["valid_until"]
            accepted[about] = verdict["verdict"] == "accept"
        return accepted


@dataclass(frozen=True)
class FaultChanges:
    """rows: CHANGED of the hours whose quality the detector changes, with the right one. episodes: all it found."""

    rows: pd.DataFrame
    episodes: list[Episode]


def find_fault_changes(
    warehouse: Warehouse,
    city: City,
    *,
    mark_from: datetime,
    until: datetime,
    known: Sequence[KnownHours] = (),
    counts_table: str | None = None,
) -> tuple[list[KnownHours], Iterator[FaultChanges]]:
    """Return the known hours of the judged counters, and what is found of [mark_from, until), in parts.

    The parts share no counter. Each is read and judged when it is asked for, so that memory does not grow with the
    number of counters. Hours that the city or a person has judged stay as they are. known: hours that events and
    closures explain. Raises WarehouseError, also where the parts are asked for.
    """
    from velocast.model.faults.city_faults import CityJudge, judged_holidays, known_within

    since = mark_from - KNOWN_DAYS * DAY
    tables = {"counts": counts_table} if counts_table else None
    there = warehouse.query_large("judged_counters", tables=tables, since=since, until=until)
    if there.empty:
        return [], iter(())
    first, last = (at.to_pydatetime() for at in (there["first_at"].min(), there["last_at"].max()))
    known = known_within(known, there["counter_id"], first, last)
    judge = CityJudge(
        _read_counters(warehouse),
        city.zone,
        holidays=judged_holidays(city.holidays, first, last, city.zone),
        known=known,
        sites=city.sites,
    )
    stored = StoredHours(warehouse, counts_table or COUNTS)
    return known, _changes(stored, judge, there.set_index("counter_id"), mark_from)


def _changes(
    stored: StoredHours, judge: CityJudge, there: pd.DataFrame, mark_from: datetime
) -> Iterator[FaultChanges]:
    """there: hours, first_at and last_at of each counter, by its id."""
    from velocast.model.faults.city_faults import fault_blocks

    for block in fault_blocks(there.index):
        yield from _changes_of_block(stored, judge, there.loc[block], mark_from)


def _changes_of_block(
    stored: StoredHours, judge: CityJudge, block: pd.DataFrame, mark_from: datetime
) -> Iterator[FaultChanges]:
    """Judge a block. One whose hours are too many at once is read in parts: first to be judged, then to be compared."""
    import numpy as np

    first, last = (at.to_pydatetime() for at in (block["first_at"].min(), block["last_at"].max()))

    def read(counters: list[str], since: datetime) -> pd.DataFrame:
        # what is stored meanwhile is for the next run
        hours = stored.read(counters, since, last + _MOMENT)
        return hours[hours["counter_id"].isin(counters)]

    number = -(-int(block["hours"].sum()) // READ_AT_ONCE)
    parts = [list(part) for part in np.array_split(block.index.to_numpy(), min(number, len(block)))]
    if len(parts) == 1:
        hours = read(parts[0], first)
        judged = judge.block([_as_judged(hours, mark_from)], parts[0], first, last)
        yield FaultChanges(_changed(hours, judged.quality(hours), mark_from), judged.episodes)
        return
    read_parts = (_as_judged(read(part, first), mark_from) for part in parts)
    judged = judge.block(read_parts, list(block.index), first, last)
    for part in parts:
        hours = read(part, max(mark_from, first))
        changed = _changed(hours, judged.quality(hours), mark_from)
        yield FaultChanges(changed, judged.episodes if part is parts[0] else [])


def _as_judged(hours: pd.DataFrame, mark_from: datetime) -> pd.DataFrame:
    """Return hours as the detector takes them.

    What was faulty before `mark_from` is not learned from, and a counter that was dead then is so until it counts.
    """
    before = hours["counted_at"] < mark_from
    faulty = hours["quality"].isin(OWN)
    return hours.assign(
        quality=hours["quality"].mask(before & faulty, "flagged"),
        dead=hours["counter_id"].isin(_dead(hours[before])),
    )


def _changed(
    hours: pd.DataFrame, quality: NDArray[np.object_], mark_from: datetime
) -> pd.DataFrame:
    right = hours.assign(quality=quality)
    differs = (right["quality"] != hours["quality"]) & ~(
        right["quality"].isna() & hours["quality"].isna()
    )
    own = hours["quality"].isna() | hours["quality"].isin(OWN)
    changed: pd.DataFrame = right.loc[(hours["counted_at"] >= mark_from) & differs & own, CHANGED]
    return changed


def _read_counters(warehouse: Warehouse) -> pd.DataFrame:
    columns = ["counter_id", "counter_name", "site_id", "latitude", "longitude"]
    counters: pd.DataFrame = warehouse.read(COUNTERS, columns=columns).to_pandas()
    return counters


def _dead(hours: pd.DataFrame) -> Sequence[str]:
    """Return the counters whose last hour is one of an outage."""
    last = hours.sort_values("counted_at").drop_duplicates("counter_id", keep="last")
    return list(last.loc[last["quality"] == "outage", "counter_id"])


def range_of(counters: tuple[str, str] | None, since: datetime, until: datetime) -> str:
    """Return the condition for the hours of [since, until) of the counters from the first to the last; None: of all."""
    where = f"counted_at >= '{rfc3339(since)}' AND counted_at < '{rfc3339(until)}'"
    if counters is None:
        return where
    low, high = map(text_literal, counters)
    return f"{where} AND counter_id >= {low} AND counter_id <= {high}"


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
