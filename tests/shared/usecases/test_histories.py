"""Histories as of an instant, and one definition of them: SQL and data frames give the same counts."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.city import City, Continuation, Histories, histories_of, load_city
from velocast.core.city.histories import ListedContinuation, VirtualSum
from velocast.core.errors import EventError
from velocast.model.histories.counts import forecasts_under_histories, under_histories
from velocast.usecases.histories import known as usecase
from velocast.usecases.histories.decisions import ContinuationDecision, decide
from velocast.usecases.histories.proposals import propose
from velocast.usecases.known_counts import NOW, Known
from velocast.usecases.training.datasets.frozen_counts import freeze_counts, read_frozen

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = ["counter_id", "counted_at"]
CONTINUATIONS = (
    Continuation("b", ("a",), FIRST + DAY),
    Continuation("e", ("c", "d"), FIRST + 2 * DAY),  # merged
    Continuation("fg", ("b0",), FIRST + DAY),  # split
)
SUMS = (
    VirtualSum(id="fg", name="F and G", counters=("f", "g")),
    VirtualSum(id="be", name="B and E", counters=("b", "e")),
)


def drawn(seed: int) -> pd.DataFrame:
    """Return counts of every counter with hours left out and marked at random, all side by side."""
    draw = random.Random(seed)
    rows = [
        (
            counter,
            FIRST + n * HOUR,
            draw.randrange(50),
            draw.choice([None, None, "outage", "stuck"]),
        )
        for counter in ("a", "b", "b0", "c", "d", "e", "f", "g", "z")
        for n in range(72)
        if draw.random() < 0.8
    ]
    frame = pd.DataFrame(rows, columns=[*KEY, "bike_count", "quality"])
    return frame.assign(
        counted_at=frame["counted_at"].astype("datetime64[us, UTC]"),
        quality=frame["quality"].astype(object).where(frame["quality"].notna(), None),
        ingested_at=FIRST + 4 * DAY,
    )


def by_hand(counts: pd.DataFrame) -> dict[tuple[str, datetime], tuple[int, str | None]]:
    """Return the histories, written out hour by hour: the judge of both."""
    stored = as_dict(counts)

    def added(hour: datetime, *parts: str) -> tuple[int, str | None] | None:
        found = [stored[part, hour] for part in parts if (part, hour) in stored]
        if len(found) < len(parts):
            return None
        marks = [mark for _, mark in found if mark]
        return sum(count for count, _ in found), max(marks, default=None)

    made = {}
    for n in range(72):
        hour = FIRST + n * HOUR
        before, later = hour < FIRST + DAY, hour >= FIRST + 2 * DAY
        b = ("a",) if before else ("b",)
        e = ("e",) if later else ("c", "d")
        for name, parts in {
            "b": b, "e": e, "fg": ("b0",) if before else ("f", "g"), "be": (*b, *e),
            "f": ("f",), "g": ("g",), "z": ("z",),
        }.items():  # fmt: skip
            value = added(hour, *parts)
            if value is not None:
                made[name, hour] = value
    return made


def as_dict(counts: pd.DataFrame) -> dict[tuple[str, datetime], tuple[int, str | None]]:
    plain = counts.astype(object).where(counts.notna(), None)
    rows: dict[tuple[str, datetime], tuple[int, str | None]] = {
        (row["counter_id"], row["counted_at"].to_pydatetime()): (
            int(row["bike_count"]),
            row["quality"],
        )
        for row in plain.to_dict("records")
    }
    assert len(rows) == len(counts)  # no hour twice
    return rows


@pytest.mark.parametrize("seed", [1, 2])
def test_data_frames_are_read_by_history(seed: int) -> None:
    counts = drawn(seed)
    assert as_dict(under_histories(counts, histories_of(CONTINUATIONS, SUMS))) == by_hand(counts)
    assert under_histories(counts, Histories()) is counts


@pytest.mark.usefixtures("warehouse_tables")
def test_sql_and_data_frames_have_one_definition() -> None:
    counts = drawn(3)
    warehouse, found = small_city.warehouse(), histories_of(CONTINUATIONS, SUMS)
    table = pa.Table.from_pandas(counts, schema=schemas.arrow(schemas.COUNTS), preserve_index=False)
    warehouse.merge(schemas.COUNTS, table, keys=KEY)
    estimates = pa.table(
        {
            "counter_id": ["a", "a", "b", "c", "z"],
            "counted_at": [FIRST, FIRST + 30 * HOUR, FIRST + 30 * HOUR, FIRST, FIRST],
            "estimated_count": [1.0, 2.0, 3.0, 4.0, 5.0],
            "lower": [0.0] * 5,
            "upper": [9.0] * 5,
            "basis": ["x"] * 5,
            "made_at": [FIRST] * 5,
        }
    )
    wanted = schemas.arrow(schemas.COUNT_ESTIMATES)
    warehouse.merge(schemas.COUNT_ESTIMATES, estimates.select(wanted.names).cast(wanted), keys=KEY)
    known = Known(NOW, FIRST, FIRST + 5 * DAY)
    with usecase.history_tables(warehouse, found, known) as tables:
        columns = [*KEY, "bike_count", "quality"]
        read = warehouse.read(tables["counts"], columns=columns).to_pandas()
        made = warehouse.read(
            tables["count_estimates"], columns=["counter_id", "estimated_count"]
        ).to_pylist()
    read["counted_at"] = pd.to_datetime(read["counted_at"], utc=True)
    assert as_dict(read) == as_dict(under_histories(counts, found)) == by_hand(counts)
    # of a merged counter no estimate is taken: the sum was counted only where all parts were
    assert sorted((row["counter_id"], row["estimated_count"]) for row in made) == [
        ("b", 1.0),
        ("b", 3.0),
        ("z", 5.0),
    ]


def test_forecasts_of_the_old_counter_are_shown_with_the_new_one() -> None:
    hours = [FIRST + 23 * HOUR, FIRST + 24 * HOUR]
    made = pd.DataFrame(
        [(c, at, n) for n, c in enumerate(["a", "b", "f", "fg"]) for at in hours],
        columns=["counter_id", "target_at", "predicted_count"],
    ).astype({"target_at": "datetime64[us, UTC]"})
    found = forecasts_under_histories(made, histories_of(CONTINUATIONS, SUMS))
    shown = {
        (r.counter_id, r.target_at.to_pydatetime()): r.predicted_count for r in found.itertuples()
    }
    # a forecast that the new counter had before counts nothing against the old one's, which was in force
    assert shown["b", hours[1]] == 1
    assert {key for key in shown if key[0] == "a"} == set()
    assert shown["fg", hours[0]] == shown["fg", hours[1]] == 3


def city_with(*listed: ListedContinuation, sums: tuple[VirtualSum, ...] = ()) -> City:
    return load_city("paris").model_copy(update={"continuations": listed, "sums": sums})


@pytest.mark.usefixtures("warehouse_tables")
def test_a_run_sees_what_was_decided_before_it() -> None:
    warehouse = small_city.warehouse()
    small_city.store(small_city.make(2, days=3))
    old, new = sorted(small_city.make(2, days=3)["counter_id"].unique())
    paris = city_with()

    def decision(which: str, at: datetime) -> ContinuationDecision:
        return ContinuationDecision(new, old, FIRST, which, "ann", at, "replaced")  # type: ignore[arg-type]

    said, taken_back = FIRST + 10 * DAY, FIRST + 20 * DAY
    assert decide(warehouse, paris, decision("confirm", said))
    assert not decide(warehouse, paris, decision("confirm", said + HOUR))  # nothing new
    assert decide(warehouse, paris, decision("undo", taken_back))

    def ended(at: datetime) -> set[str]:
        return set(usecase.read_histories(warehouse, paris, as_of=at).ended)

    assert ended(said - HOUR) == set()
    assert ended(said) == ended(taken_back - HOUR) == {old}
    assert ended(taken_back) == set()


@pytest.mark.usefixtures("warehouse_tables")
def test_the_citys_file_holds_from_its_day_on_and_against_a_person() -> None:
    warehouse = small_city.warehouse()
    small_city.store(small_city.make(3, days=3))
    old, new, other = sorted(small_city.make(3, days=3)["counter_id"].unique())
    decide(warehouse, city_with(), ContinuationDecision(other, old, FIRST, "confirm", "ann", FIRST))
    listed = ListedContinuation(counter=new, continues=old, since=date(2026, 3, 10))

    def continued_by(at: datetime) -> str:
        found = usecase.read_histories(warehouse, city_with(listed), as_of=at)
        return found.ended[old].counter_id

    assert continued_by(FIRST + DAY) == other
    assert continued_by(FIRST + 20 * DAY) == new


@pytest.mark.usefixtures("warehouse_tables")
def test_a_sum_cannot_be_continued() -> None:
    small_city.store(small_city.make(3, days=3))
    *parts, new = sorted(small_city.make(3, days=3)["counter_id"].unique())
    paris = city_with(sums=(VirtualSum(id="s", name="S", counters=tuple(parts)),))
    decision = ContinuationDecision(new, "s", FIRST, "confirm", "ann", FIRST)
    with pytest.raises(EventError, match=rf"{new} continues s, which is a sum; list its counters"):
        decide(small_city.warehouse(), paris, decision)


@pytest.mark.usefixtures("warehouse_tables")
def test_a_counter_that_is_replaced_again_is_proposed() -> None:
    rows = small_city.make(3, days=70)
    first = str(rows.groupby("counter_id")["bike_count"].sum().idxmax())
    own, at = rows["counter_id"] == first, rows["counted_at"]
    begun = [pd.Timestamp(day, tz="UTC") for day in ("2025-01-25", "2025-02-14")]
    for name, since in zip(("second", "third"), begun, strict=True):
        rows["counter_id"] = rows["counter_id"].mask(own & (at >= since), name)
    rows.loc[rows["counter_id"] == "third", "latitude"] -= 200 / 111_000
    # Another one ended there with the first; a counter that continues one already is not proposed for it.
    twin = rows[rows["counter_id"] == first].assign(counter_id="twin")
    small_city.store(pd.concat([rows, twin.assign(latitude=twin["latitude"] + 200 / 111_000)]))
    warehouse, city = small_city.warehouse(), load_city("demoville")

    def proposed() -> set[tuple[str, str]]:
        found = propose(warehouse, city, as_of=small_city.AS_OF)
        return {(each.continues, each.counter_id) for each in found}

    said = small_city.AS_OF - HOUR
    decide(warehouse, city, ContinuationDecision("second", first, begun[0], "confirm", "ann", said))
    assert proposed() == {("second", "third")}
    decide(
        warehouse, city, ContinuationDecision("third", "second", begun[1], "confirm", "ann", said)
    )
    assert proposed() == set()


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_a_training_freezes_one_history_and_no_sum() -> None:
    city = small_city.make(2, days=21)
    old, new, since = "100500000-102500000", "new", date(2025, 3, 1)
    city = city[city["counter_id"] == old]
    begun = city["counted_at"] >= pd.Timestamp("2025-02-28T23:00Z")
    small_city.store(city.assign(counter_id=city["counter_id"].mask(begun, new)))
    run = small_city.job_run()
    run.settings._city = city_with(
        ListedContinuation(counter=new, continues=old, since=since),
        sums=(VirtualSum(id="twice", name="Twice", counters=(new, "none")),),
    )
    frozen = read_frozen(run, freeze_counts(run)).to_pandas()
    assert set(frozen["counter_id"]) == {new}
    assert len(frozen) == frozen["counted_at"].nunique() == 21 * 24
