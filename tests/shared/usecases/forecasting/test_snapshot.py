"""The serving snapshot: typical weeks, recent counts, positions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from scipy.stats import norm

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.city import load_city
from velocast.core.datetimes import parse_instant
from velocast.core.errors import ObjectChanged
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting import snapshot
from velocast.usecases.forecasting.busy_hours import BusyChampion
from velocast.usecases.forecasting.snapshot import History

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
CITY = load_city("demoville")
DAY = timedelta(days=1)

Z_90 = norm.ppf(0.95)


def read() -> History:
    return snapshot.read_history(
        small_city.warehouse(), CITY, origin_at=ORIGIN, as_of=AS_OF + timedelta(minutes=20)
    )


def one_counter(hours: pd.DatetimeIndex, counts: list[int] | range) -> pd.DataFrame:
    """A city of one counter."""
    place: dict[str, Any] = {"site_id": "s", "site_name": "S", "latitude": 48.85, "longitude": 2.35}
    return pd.DataFrame(
        {"counter_id": "c1", "counter_name": "Quai N-S", "counted_at": hours, "bike_count": counts}
    ).assign(**place)


def test_a_typical_week_is_the_median_of_eight_weeks_of_local_hours() -> None:
    hours = pd.date_range(end=ORIGIN, periods=9 * 168, freq="h", inclusive="left")
    hour_itself = timedelta(hours=1)
    weeks = [(ORIGIN - hour - hour_itself) // timedelta(days=7) for hour in hours]  # 8 is too old
    slots = [h.tz_convert(CITY.zone).weekday() * 24 + h.tz_convert(CITY.zone).hour for h in hours]
    levels = [1000 if week == 8 else 10 * week for week in weeks]  # 0, 10, .. 70 by age
    small_city.store(one_counter(hours, [s + n for s, n in zip(slots, levels, strict=True)]))

    history = read()

    typical = history.typical.loc["c1"]
    assert typical.tolist() == [30 + slot for slot in range(168)]
    spread = history.typical_spread.loc["c1"]
    assert spread.tolist() == pytest.approx([Z_90 * 24.4949] * 168, rel=1e-4)


def test_one_week_is_no_typical_week() -> None:
    hours = pd.date_range(end=ORIGIN, periods=168, freq="h", inclusive="left")
    small_city.store(one_counter(hours, range(168 - 1)))

    assert read().typical.isna().all(axis=None)


def test_a_constant_hour_still_has_an_interval() -> None:
    hours = pd.date_range(end=ORIGIN, periods=4 * 168 + 1, freq="h", inclusive="left")
    small_city.store(one_counter(hours, [25] * len(hours)))

    assert read().typical_spread.loc["c1"].tolist() == pytest.approx([Z_90 * 5] * 168)


def test_recent_counts_end_with_the_last_whole_hour_and_leave_out_outages() -> None:
    hours = pd.date_range(ORIGIN - 15 * DAY, AS_OF + 2 * DAY, freq="h")
    city = one_counter(hours, range(len(hours)))
    broken = city["counted_at"] == ORIGIN
    small_city.store(city.assign(quality=broken.map({True: "outage", False: None})))

    history = read()

    assert history.recent_from == AS_OF - 14 * DAY
    expected = [
        None if hour == ORIGIN else (hour - hours[0]) / timedelta(hours=1)
        for hour in pd.date_range(history.recent_from, periods=336, freq="h")
    ]
    recent = history.recent.loc["c1"]
    assert [None if pd.isna(n) else n for n in recent.tolist()] == expected
    counter = history.counters.loc["c1"]
    assert counter["last_counted_at"] == AS_OF
    assert counter["last_count"] == (AS_OF - hours[0]) / timedelta(hours=1)
    assert counter["counter_name"] == "Quai N-S"
    assert (counter["latitude"], counter["longitude"]) == (48.85, 2.35)


def test_means_use_only_counts_known_at_the_origin() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10 if hour < ORIGIN else 900 for hour in hours]))

    assert read().counters.at["c1", "mean_count"] == 10


@pytest.mark.parametrize("quality", ["outage", "clock_change", "suspect"])
def test_flagged_counts_enter_neither_typical_weeks_nor_means(quality: str) -> None:
    hours = pd.date_range(end=ORIGIN, periods=4 * 168 + 1, freq="h", inclusive="left")
    city = one_counter(hours, [25] * len(hours))
    broken = city["counted_at"].between(ORIGIN - 9 * DAY, ORIGIN - 8 * DAY)
    small_city.store(
        city.assign(
            bike_count=city["bike_count"].mask(broken, 900),
            quality=broken.map({True: quality, False: None}),
        )
    )

    history = read()

    assert history.counters.at["c1", "mean_count"] == 25
    assert history.typical.loc["c1"].tolist() == [25] * 168
    assert history.typical_spread.loc["c1"].tolist() == pytest.approx([Z_90 * 5] * 168)


def forecasts_of_one_counter() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "counter_id": "c1",
            "target_at": pd.date_range(ORIGIN, periods=120, freq="h"),
            "predicted_count": 12.3456,
            "lower": 8.0,
            "upper": 17.0,
            "q25": 10.0,
            "q50": 12.004,
            "q75": 14.0,
            "busy_probability": 0.12345,
            "basis": "model",
            "level": 11.0,
            "busy_threshold": 15.0,
        }
    )


def build() -> snapshot_format.Snapshot:
    return snapshot.build_snapshot(
        CITY,
        read(),
        [forecasts_of_one_counter()],
        origin_at=ORIGIN,
        as_of=AS_OF,
        champion=champions.publish(3),
        busy=BusyChampion(),
        generated_by="gbm version 3",
    )


def test_what_serve_reads_is_what_was_built() -> None:
    hours = pd.date_range(ORIGIN - 21 * DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()

    generation = snapshot.publish(champions.models(), made, if_generation=0)

    stored = champions.models().read(snapshot_format.SNAPSHOT)
    assert snapshot_format.loads(stored.data) == made
    assert snapshot.read_published(champions.models()) == snapshot.Published(
        generation, made.origin_at, made.published_at, made.generated_by
    )
    counter = made.counters[0]
    assert counter.predicted[0] == 12.35
    assert counter.busy is not None
    assert counter.busy[0] == 0.123
    assert (counter.level, counter.busy_threshold, counter.last_count) == (11, 15, 10)
    assert counter.typical_week == (10.0,) * 168
    assert len(counter.recent) == 336
    assert made.champion is not None
    assert made.champion.trained_until == parse_instant("2025-03-01T23:00:00Z")
    assert made.city.attribution == CITY.attribution
    assert len(made.hours) == 120


def test_a_city_without_licence_and_attribution_has_null_there() -> None:
    nothing = dict.fromkeys(("attribution", "attribution_url", "licence", "licence_url"))
    card = snapshot._city_card(CITY.model_copy(update=nothing))
    known = card.model_dump(exclude_none=True)
    assert known.pop("bounding_box") == CITY.bounding_box.model_dump()
    assert known == {"name": "Demoville", "time_zone": "Europe/Paris"}


def test_the_same_snapshot_is_the_same_bytes() -> None:
    hours = pd.date_range(ORIGIN - 21 * DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))

    assert snapshot_format.dumps(build()) == snapshot_format.dumps(build())


def test_a_snapshot_published_in_the_meantime_is_not_overwritten() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    before = snapshot.read_published(champions.models()).generation
    made = build()
    snapshot.publish(champions.models(), made, if_generation=before)

    other = made.model_copy(update={"generated_by": "another model"})
    with pytest.raises(ObjectChanged, match="someone else wrote"):
        snapshot.publish(champions.models(), other, if_generation=before)


def test_a_run_that_is_repeated_after_it_has_published_finds_its_own_snapshot() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = snapshot.publish(champions.models(), made, if_generation=0)

    assert snapshot.publish(champions.models(), made, if_generation=0) == generation


def test_a_snapshot_that_was_deleted_in_the_meantime_is_told_as_a_change() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = snapshot.publish(champions.models(), made, if_generation=0)
    champions.models().delete(snapshot_format.SNAPSHOT)

    with pytest.raises(ObjectChanged):
        snapshot.publish(champions.models(), made, if_generation=generation)


def test_the_snapshot_of_an_earlier_release_is_read_whole() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = champions.models().write(
        snapshot_format.SNAPSHOT, snapshot_format.dumps(made), content_type="application/gzip"
    )

    assert snapshot.read_published(champions.models()) == snapshot.Published(
        generation, made.origin_at, made.published_at, made.generated_by
    )


def test_an_unreadable_snapshot_is_replaced() -> None:
    champions.models().write(snapshot_format.SNAPSHOT, b"?", content_type="application/gzip")

    published = snapshot.read_published(champions.models())

    assert published.origin_at is None
    assert published.generation > 0
