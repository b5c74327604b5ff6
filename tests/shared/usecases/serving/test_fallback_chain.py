"""The fallback chain on a made-up snapshot, with expected values computed by hand; no server, no bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.shared.usecases.serving.snapshots import (
    GAP,
    HOUR,
    HOURS,
    LONELY_COUNTER,
    NEW_COUNTER,
    NOW,
    ORIGIN,
    PUBLISHED,
    RECENT_FROM,
    bare,
    counter,
    local_week_hour,
    snapshot,
    week_value,
)
from velocast.core.errors import TooLittleHistory
from velocast.core.geo import distance_km
from velocast.model import spatial_fallback
from velocast.usecases.serving import fallback_chain
from velocast.usecases.serving.snapshot_index import SnapshotIndex, build_index

BEYOND = HOURS[-1] + HOUR
MONDAY_8 = datetime(2026, 4, 6, 6, tzinfo=UTC)  # 8 h in Paris, summer time


@pytest.fixture(scope="module")
def index() -> SnapshotIndex:
    return build_index(snapshot())


@pytest.mark.parametrize("target", [HOURS[0], HOURS[57], HOURS[-1]])
def test_a_published_hour_is_answered_as_it_was_published(
    index: SnapshotIndex, target: datetime
) -> None:
    c = index.by_id["c-3"]
    i = HOURS.index(target)
    assert c.busy
    assert c.q25
    assert c.q50
    assert c.q75
    assert fallback_chain.estimate(index, target, counter=c) == fallback_chain.Estimate(
        *(c.predicted[i], c.lower[i], c.upper[i], c.busy[i], "model", c.q25[i], c.q50[i], c.q75[i])
    )


def test_a_snapshot_without_quantiles_is_answered_without_them() -> None:
    """As an earlier release published it."""
    before = counter(1, 80, q25=None, q50=None, q75=None)
    index = build_index(snapshot().model_copy(update={"counters": (before,)}))
    found = fallback_chain.estimate(index, HOURS[0], counter=before)
    assert (found.q25, found.q50, found.q75) == (None, None, None)
    assert found.basis == "model"


@pytest.mark.parametrize("target", [HOURS[0] - HOUR, BEYOND, MONDAY_8])
def test_any_other_hour_is_answered_from_the_typical_week(
    index: SnapshotIndex, target: datetime
) -> None:
    found = fallback_chain.estimate(index, target, counter=index.by_id["c-3"])
    value = week_value(130, local_week_hour(target))
    assert (found.predicted_count, found.basis) == (value, "typical_week")
    assert found.upper - value == pytest.approx(
        fallback_chain.TYPICAL_WIDENING * (value * 0.4 + 1), abs=0.2
    )


def test_a_typical_weeks_interval_is_wider_than_its_variation(index: SnapshotIndex) -> None:
    c = index.by_id["c-3"]
    assert c.typical_spread is not None
    spread = c.typical_spread[local_week_hour(MONDAY_8)]
    found = fallback_chain.estimate(index, MONDAY_8, counter=c)
    assert spread is not None
    assert found.upper - found.predicted_count > spread


def test_the_local_hour_counts_across_a_clock_change(index: SnapshotIndex) -> None:
    winter = datetime(2026, 3, 23, 7, tzinfo=UTC)
    same_local_hour = {index.week_hour(winter), index.week_hour(MONDAY_8)}
    assert same_local_hour == {8}


def test_a_new_counter_takes_its_neighbours(index: SnapshotIndex) -> None:
    found = fallback_chain.estimate(index, HOURS[10], counter=index.by_id[NEW_COUNTER])
    near = [
        fallback_chain.estimate(index, HOURS[10], counter=index.by_id[f"c-{i}"])
        for i in (1, 2, 3, 4)
    ]
    assert found.basis == "neighbours"
    city = fallback_chain.from_city_profile(index, None, HOURS[10])
    new = index.by_id[NEW_COUNTER]
    assert new.latitude is not None
    assert new.longitude is not None
    here = (new.latitude, new.longitude)
    kilometres = sorted(
        distance_km(here, (c.latitude, c.longitude))
        for c in (index.by_id[f"c-{i}"] for i in (1, 2, 3, 4))
        if c.latitude is not None and c.longitude is not None
    )
    share = spatial_fallback.city_share(kilometres)
    assert 0.2 < share < 0.8
    blended = [
        (1 - share) * min(e.lower for e in near) + share * city.lower,
        (1 - share) * max(e.upper for e in near) + share * city.upper,
    ]
    assert [found.lower, found.upper] == pytest.approx(blended, abs=0.1)
    theirs = (found.predicted_count - share * city.predicted_count) / (1 - share)
    assert min(e.predicted_count for e in near) < theirs
    assert theirs < max(e.predicted_count for e in near)


def test_the_city_is_blended_in_except_at_a_counters_position() -> None:
    lone, loud = counter(1, 100), counter(2, 900, latitude=48.0, longitude=2.0)
    index = build_index(snapshot().model_copy(update={"counters": (lone, loud)}))
    assert lone.latitude is not None
    assert lone.longitude is not None
    own = fallback_chain.estimate(index, HOURS[10], counter=lone)
    city = fallback_chain.from_city_profile(index, None, HOURS[10])
    there = fallback_chain.estimate(index, HOURS[10], position=(lone.latitude, lone.longitude))
    aside = fallback_chain.estimate(
        index, HOURS[10], position=(lone.latitude + 0.002, lone.longitude)
    )
    assert there.predicted_count == own.predicted_count
    # one neighbour at 222 m: the city weighs 1.5, the neighbour exp(-0.222)
    blended = (0.801 * own.predicted_count + 1.5 * city.predicted_count) / 2.301
    assert aside.predicted_count == pytest.approx(blended, abs=0.1)
    assert (there.basis, aside.basis) == ("neighbours", "neighbours")


def test_a_position_on_a_counter_is_nearly_that_counter(index: SnapshotIndex) -> None:
    c = index.by_id["c-5"]
    assert c.latitude is not None
    assert c.longitude is not None
    there = fallback_chain.estimate(index, HOURS[10], position=(c.latitude, c.longitude))
    own = fallback_chain.estimate(index, HOURS[10], counter=c)
    assert there.basis == "neighbours"
    assert there.predicted_count == pytest.approx(own.predicted_count, rel=0.15)


def test_nearer_neighbours_weigh_more(index: SnapshotIndex) -> None:
    west = fallback_chain.estimate(index, HOURS[10], position=(48.852, 2.305))
    east = fallback_chain.estimate(index, HOURS[10], position=(48.852, 2.345))
    assert west.predicted_count < east.predicted_count  # the counters grow towards the east


@pytest.mark.parametrize("target", [HOURS[10], BEYOND])
def test_far_from_everything_takes_the_city(index: SnapshotIndex, target: datetime) -> None:
    found = fallback_chain.estimate(index, target, counter=index.by_id[LONELY_COUNTER])
    level = (40 + 30 * 5 + 40 + 30 * 6) / 2  # the middle of twelve counters
    assert found.basis == "city_profile"
    assert found.predicted_count == pytest.approx(
        week_value(level, local_week_hour(target)), abs=0.15
    )
    assert found.lower < found.predicted_count < found.upper
    assert found == fallback_chain.estimate(index, target, position=(45.0, 5.0))


def test_the_city_is_scaled_to_a_known_level() -> None:
    quiet = bare("quiet", level=5.0, latitude=10.0, longitude=10.0)
    index = build_index(snapshot().model_copy(update={"counters": (counter(1, 100), quiet)}))
    assert index.usual_level == 15.0  # the middle of 25 and 5
    found = fallback_chain.estimate(index, BEYOND, counter=quiet)
    assert found.predicted_count == pytest.approx(
        week_value(100, local_week_hour(BEYOND)) * 5 / 15, abs=0.05
    )


def test_each_fallback_step_has_a_wider_interval(index: SnapshotIndex) -> None:
    def relative_width(e: fallback_chain.Estimate) -> float:
        return (e.upper - e.lower) / e.predicted_count

    at = HOURS[10]
    c = index.by_id["c-3"]
    own = fallback_chain.from_published(index, c, at)
    week = fallback_chain.from_typical_week(index, c, at)
    near = fallback_chain.from_neighbours(index, (48.852, 2.31), at)
    assert own is not None
    assert week is not None
    assert near is not None
    assert relative_width(own) < relative_width(week) < relative_width(near)


def test_counts_and_intervals_are_never_negative(index: SnapshotIndex) -> None:
    for c in index.snapshot.counters:
        for step in range(0, 400, 7):
            found = fallback_chain.estimate(index, ORIGIN + step * HOUR, counter=c)
            assert 0 <= found.lower <= found.predicted_count <= found.upper
            assert found.busy_probability is None or 0 <= found.busy_probability <= 1


def test_the_probability_of_a_busy_hour_follows_the_threshold(index: SnapshotIndex) -> None:
    c = index.by_id["c-3"]
    peak = fallback_chain.from_typical_week(index, c, MONDAY_8)
    night = fallback_chain.from_typical_week(index, c, MONDAY_8 - 5 * HOUR)
    assert peak is not None
    assert night is not None
    assert peak.busy_probability is not None
    assert night.busy_probability is not None
    assert peak.busy_probability > 0.9 > 0.1 > night.busy_probability


def test_without_a_threshold_the_probability_is_unknown() -> None:
    c = counter(1, 100, busy_threshold=None, busy=None)
    index = build_index(snapshot().model_copy(update={"counters": (c,)}))
    assert fallback_chain.estimate(index, HOURS[0], counter=c).busy_probability is None


def test_before_the_first_count_nothing_is_made_up() -> None:
    index = build_index(snapshot().model_copy(update={"counters": (bare("a"), bare("b"))}))
    with pytest.raises(
        TooLittleHistory, match=r"contains no count of any counter; .* then run predict"
    ):
        fallback_chain.estimate(index, HOURS[0], counter=index.by_id["a"])


def test_forecasts_alone_fill_the_profile_of_a_young_city() -> None:
    young = counter(1, 100, typical_week=None, typical_spread=None)
    index = build_index(snapshot().model_copy(update={"counters": (young, bare("b"))}))
    # no forecast covers this hour of the week, so the same hour of the other days is used
    found = fallback_chain.estimate(index, BEYOND + 24 * HOUR, counter=young)
    assert (found.basis, len(index.profile)) == ("city_profile", 168)
    assert min(young.predicted) <= found.predicted_count <= max(young.predicted)


def test_a_counter_forecast_from_others_is_no_neighbour() -> None:
    """Its forecast does not enter the city's profile either."""
    borrowed = counter(2, 5000, basis="neighbours", typical_week=None, typical_spread=None)
    index = build_index(snapshot().model_copy(update={"counters": (counter(1, 100), borrowed)}))
    found = fallback_chain.estimate(index, HOURS[10], position=(48.852, 2.308))
    assert (
        found.predicted_count
        == fallback_chain.estimate(index, HOURS[10], counter=index.by_id["c-1"]).predicted_count
    )


def test_the_next_hours_start_with_the_current_one(index: SnapshotIndex) -> None:
    assert index.current_hour(NOW) == (NOW.replace(minute=0), False)


@pytest.mark.parametrize("days", [-3, 5, 300])
def test_a_stale_snapshot_starts_at_its_publication(index: SnapshotIndex, days: int) -> None:
    assert index.current_hour(NOW + timedelta(days=days)) == (PUBLISHED, True)


def test_past_hours_come_with_the_expected_counts(index: SnapshotIndex) -> None:
    c = index.by_id["c-3"]
    rows = list(fallback_chain.past_hours(index, c, ORIGIN + 2 * HOUR, 338))
    assert [at for at, _ in rows] == [ORIGIN + (i - 336) * HOUR for i in range(338)]
    assert [known.bike_count for _, known in rows[:336]] == list(c.recent)
    assert [known.bike_count for _, known in rows[336:]] == [None, None]
    assert [known.forecast is None for _, known in rows[334:]] == [True, True, False, False]
    assert rows[GAP[0]][1].bike_count is None
    assert rows[60][1].typical_count == week_value(130, local_week_hour(RECENT_FROM + 60 * HOUR))


def test_names_are_compared_without_case_and_extra_space(index: SnapshotIndex) -> None:
    assert [c.counter_id for c in index.by_name["rue 3 n-s"]] == ["c-3"]


@pytest.mark.parametrize(
    "text", ["2026-03-03T10:47:31+01:00", "2026-03-03T15:17:00+05:30", "2026-03-03T09:00:00Z"]
)
def test_an_hour_is_the_same_whatever_the_offset(index: SnapshotIndex, text: str) -> None:
    assert index.hour_of(datetime.fromisoformat(text)) == datetime(2026, 3, 3, 9, tzinfo=UTC)


def test_an_hour_is_one_of_the_city_s_own_clock(index: SnapshotIndex) -> None:
    adelaide = replace(index, zone=ZoneInfo("Australia/Adelaide"))
    at = datetime.fromisoformat("2026-03-03T09:29:00Z")
    assert adelaide.hour_of(at) == datetime(2026, 3, 3, 8, 30, tzinfo=UTC)
    assert adelaide.hour_of(at + timedelta(minutes=1)) == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
