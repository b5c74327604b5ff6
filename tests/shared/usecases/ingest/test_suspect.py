"""Counts that are not credible for their counter are quarantined, and a person's word outranks the detector."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.city import load_city
from velocast.core.datetimes import HOUR, parse_instant
from velocast.core.errors import EventError
from velocast.core.settings import Thresholds
from velocast.usecases.ingest import quality, verdicts
from velocast.usecases.ingest.verdicts import Verdict

pytestmark = pytest.mark.usefixtures("warehouse_tables")
DATA = Path(__file__).parents[4] / ".." / "shared" / "data"
SPIKE = parse_instant("2025-03-05T10:00:00Z")
UNTIL = small_city.AS_OF
Hours = list[tuple[str, datetime, int]]


def marked() -> pd.DataFrame:
    """Find what is wrong, as of small_city.AS_OF, and store it."""
    changes = (
        quality.search_changes(
            small_city.warehouse(),
            load_city("demoville"),
            Thresholds(),
            mark_from=UNTIL - timedelta(days=7),
            until=UNTIL,
        )
        .all()
        .rows
    )
    quality.store_changes(small_city.warehouse(), changes, learned_at=small_city.AS_OF)
    return changes


def stored(name: str | None) -> Hours:
    """Return the hours that have this quality: counter, time, count."""
    is_it = "quality IS NULL" if name is None else f"quality = '{name}'"
    rows = small_city.warehouse().read(
        schemas.COUNTS,
        columns=["counter_id", "counted_at", "bike_count"],
        where=f"counted_at > '2000-01-01T00:00:00Z' AND {is_it}",
    )
    return sorted((r["counter_id"], r["counted_at"], r["bike_count"]) for r in rows.to_pylist())


def a_city(days: int = 35) -> pd.DataFrame:
    return small_city.make(days=days)


def with_counts(city: pd.DataFrame, counts: dict[tuple[str, datetime], int]) -> pd.DataFrame:
    """Return the city with these counts in place of its own; a few of its hours are missing and stay so."""
    keys = pd.MultiIndex.from_frame(city[["counter_id", "counted_at"]])
    present = [key in counts for key in keys]
    assert sum(present) > 0.8 * len(counts)
    own = city["bike_count"].astype("int64")
    put = [counts.get(key, count) for key, count in zip(keys, own, strict=True)]
    return city.assign(bike_count=put)


def ids(city: pd.DataFrame) -> list[str]:
    return sorted(city["counter_id"].unique())


def highest(city: pd.DataFrame, counter: str) -> int:
    return int(city.loc[city["counter_id"] == counter, "bike_count"].max())


class TestTheDetector:
    def test_a_true_city_has_no_suspects(self) -> None:
        small_city.store(a_city())

        assert marked()["quality"].tolist() == []

    def test_a_spike_is_quarantined_and_nothing_else(self) -> None:
        city = a_city()
        first = ids(city)[0]
        count = 6 * highest(city, first) + 50
        small_city.store(with_counts(city, {(first, SPIKE): count}))

        changes = marked()

        assert changes["quality"].tolist() == ["suspect"]
        assert stored("suspect") == [(first, SPIKE, count)]
        assert len(marked()) == 0

    def test_what_is_much_for_one_counter_is_little_for_another(self) -> None:
        city = a_city()
        by_size = sorted(ids(city), key=lambda counter: highest(city, counter))
        small, large = by_size[0], by_size[-1]
        city.loc[city["counter_id"] == large, "bike_count"] *= 100
        count = 3 * highest(city, large)
        small_city.store(with_counts(city, {(small, SPIKE): count, (large, SPIKE): count}))

        marked()

        assert stored("suspect") == [(small, SPIKE, count)]

    def test_neighbours_speak_for_a_crowd(self) -> None:
        city = a_city()
        crowd = {(counter, SPIKE): 6 * highest(city, counter) + 50 for counter in ids(city)}
        small_city.store(with_counts(city, crowd))

        marked()

        assert stored("suspect") == []

    def test_a_few_bikes_on_a_quiet_counter_are_people(self) -> None:
        city = a_city()
        first = ids(city)[0]
        quiet = city["counter_id"] == first
        city.loc[quiet, "bike_count"] = (city.loc[quiet, "counted_at"].dt.hour == 12).astype(
            "int32"
        )
        small_city.store(with_counts(city, {(first, SPIKE): 50}))

        marked()

        assert stored("suspect") == []

    def test_a_young_counter_is_not_judged(self) -> None:
        city = a_city(days=13)
        first = ids(city)[0]
        small_city.store(with_counts(city, {(first, SPIKE): 100_000}))

        marked()

        assert stored("suspect") == []

    def test_a_level_that_lasts_is_released(self) -> None:
        city = a_city()
        first = ids(city)[0]
        count = 6 * highest(city, first) + 50
        small_city.store(with_counts(city, {(first, SPIKE): count}))
        marked()
        assert stored("suspect") == [(first, SPIKE, count)]

        again = {(first, SPIKE + n * timedelta(days=1)): count for n in range(-20, 4)}
        small_city.store(with_counts(city, again).assign(quality=None))
        marked()

        assert stored("suspect") == []

    def test_a_count_that_the_city_corrects_is_released(self) -> None:
        city = a_city()
        first = ids(city)[0]
        small_city.store(with_counts(city, {(first, SPIKE): 100_000}))
        marked()
        stored_before = (city["counter_id"] == first) & (city["counted_at"] == SPIKE)
        corrected = city.assign(quality=stored_before.map({True: "suspect", False: None}))
        small_city.store(corrected)

        assert marked()["quality"].isna().all()
        assert stored("suspect") == []


def give(
    verdict: str, counter: str, *, at: str = "2025-03-10T05:00:00Z", since: datetime = SPIKE
) -> dict[str, object]:
    return verdicts.give_verdict(
        small_city.warehouse(),
        Verdict(
            counter_id=counter,
            valid_from=since,
            valid_until=since + HOUR,
            verdict=verdict,  # type: ignore[arg-type]
            given_by="ana",
            given_at=parse_instant(at),
            reason="a parade",
        ),
    )


class TestAVerdict:
    def test_releases_at_once_and_for_later_runs(self) -> None:
        city = a_city()
        first = ids(city)[0]
        small_city.store(with_counts(city, {(first, SPIKE): 100_000}))
        marked()

        assert give("accept", first) == {"stored": True, "hours_changed": 1}
        assert stored("suspect") == []
        assert len(marked()) == 0
        assert give("accept", first, at="2025-03-11T05:00:00Z") == {
            "stored": False,
            "hours_changed": 0,
        }
        (row,) = emulators_rows()
        assert (row["given_by"], row["reason"], row["verdict"]) == ("ana", "a parade", "accept")
        assert row["given_at"] == parse_instant("2025-03-10T05:00:00Z")

    def test_refuses_what_no_detector_finds_and_is_taken_back(self) -> None:
        city = a_city()
        first = ids(city)[0]
        small_city.store(city)

        assert give("refuse", first) == {"stored": True, "hours_changed": 1}
        assert [hour for _, hour, _ in stored("refused")] == [SPIKE]
        assert len(marked()) == 0
        assert give("accept", first, at="2025-03-11T05:00:00Z")["hours_changed"] == 1
        assert stored("refused") == []

    def test_holds_for_hours_that_come_later(self) -> None:
        city = a_city()
        first = ids(city)[0]
        late = city["counted_at"] == SPIKE
        small_city.store(city[~late])
        assert give("refuse", first) == {"stored": True, "hours_changed": 0}

        small_city.store(city[late])
        marked()

        assert [(c, hour) for c, hour, _ in stored("refused")] == [(first, SPIKE)]

    def test_outranks_an_outage(self) -> None:
        city = a_city()
        first = ids(city)[0]
        start = SPIKE - 24 * HOUR
        zeros = {(first, start + n * HOUR): 0 for n in range(48)}
        small_city.store(with_counts(city, zeros))
        marked()
        assert len(stored("outage")) >= 48

        give("accept", first)
        assert SPIKE not in [hour for _, hour, _ in stored("outage")]
        assert len(marked()) == 0

    def test_of_several_the_newest_holds(self) -> None:
        city = a_city()
        first = ids(city)[0]
        small_city.store(city)
        give("refuse", first, at="2025-03-10T05:00:00Z")
        verdicts.give_verdict(
            small_city.warehouse(),
            Verdict(
                counter_id=first,
                valid_from=SPIKE - 5 * HOUR,
                valid_until=SPIKE + 5 * HOUR,
                verdict="accept",
                given_by="ben",
                given_at=parse_instant("2025-03-10T06:00:00Z"),
            ),
        )
        assert stored("refused") == []

    def test_needs_a_counter_and_an_hour(self) -> None:
        small_city.store(a_city())
        with pytest.raises(EventError, match="there is no counter 'nobody'"):
            give("accept", "nobody")
        with pytest.raises(EventError, match="it covers no hour"):
            verdicts.give_verdict(
                small_city.warehouse(),
                Verdict("x", SPIKE, SPIKE, "accept", "ana", SPIKE),
            )


def emulators_rows() -> list[dict[str, object]]:
    columns = list(schemas.table(schemas.VERDICTS).columns)
    rows: list[dict[str, object]] = (
        small_city.warehouse().read(schemas.VERDICTS, columns=columns).to_pylist()
    )
    return rows


@pytest.mark.skipif(not DATA.exists(), reason=f"real counts are absent: {DATA}")
@pytest.mark.parametrize(
    ("file", "counters", "expected"),
    [
        (
            "cities/nantes-counts.parquet",
            ["0786", "0788", "0673", "0664", "0725", "0682"],
            {("0786", count) for count in (14400, 14395, 9038, 7938, 7823)} | {("0788", 2045)},
        ),
        ("cities/seattle-counts.parquet", [], set()),
    ],
)
def test_real_spikes_are_found_and_real_crowds_are_left(
    file: str, counters: list[str], expected: set[tuple[str, int]]
) -> None:
    rows = pd.read_parquet(DATA / file, columns=["id_compteur", "date", "sum_counts"])
    rows = rows.dropna().assign(id_compteur=rows["id_compteur"].astype(str))
    rows = rows[rows["id_compteur"].isin(counters) | (len(counters) == 0)]
    rows = rows[rows["date"] >= rows["date"].max() - pd.Timedelta(days=366)]
    table = "bike_traffic_raw.real_counts"
    counts = pd.DataFrame(
        {
            "counter_id": rows["id_compteur"],
            "counted_at": rows["date"].dt.tz_convert("UTC").dt.as_unit("us"),
            "bike_count": rows["sum_counts"].astype("int64"),
            "quality": pd.Series(None, rows.index, dtype="object"),
            "ingested_at": rows["date"].dt.tz_convert("UTC").dt.as_unit("us"),
        }
    )
    small_city.warehouse().load_table(
        table,
        pa.Table.from_pandas(counts, schema=schemas.arrow(schemas.COUNTS), preserve_index=False),
        expires_days=None,
    )
    try:
        until = counts["counted_at"].max().to_pydatetime() + HOUR
        changes = (
            quality.search_changes(
                small_city.warehouse(),
                load_city("paris"),
                Thresholds(),
                mark_from=counts["counted_at"].min().to_pydatetime(),
                until=until,
                counts_table=table,
            )
            .all()
            .rows
        )
    finally:
        small_city.warehouse().drop(table)
    suspects = changes[changes["quality"] == "suspect"]
    assert set(zip(suspects["counter_id"], suspects["bike_count"], strict=True)) == expected
