"""Gaps of a made-up city: which hours they are, and estimates beside those that pandas makes for simple cases."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.model.gaps.city_gaps import COLUMNS, KEY, rebuild_gaps
from velocast.model.gaps.estimates import BASES

PARIS = ZoneInfo("Europe/Paris")
FIRST, DAYS = pd.Timestamp("2025-01-06", tz="Europe/Paris"), 70


def city(
    counters: int = 6, *, noise: bool = True, weather: bool = True, first: pd.Timestamp = FIRST
) -> pd.DataFrame:
    """Return the hours of counters that share a daily course, a week and, if asked, the city's weather."""
    rng = np.random.default_rng(5)
    hours = pd.date_range(first, first + pd.Timedelta(days=DAYS), freq="h", inclusive="left")
    local = pd.DatetimeIndex(hours)
    course = (
        20
        + 180 * np.exp(-((local.hour - 8.5) ** 2) / 4)
        + 150 * np.exp(-((local.hour - 17.5) ** 2) / 6)
    )
    week = np.where(local.dayofweek < 5, 1.0, 0.5)
    days = (local.normalize() - local[0].normalize()).days
    sky = np.exp(rng.normal(0, 0.35, DAYS + 2))[days] if weather else 1.0
    frames = []
    for number in range(counters):
        mean = np.asarray(course * week * sky * (1 + number / 3))
        frames.append(
            pd.DataFrame(
                {
                    "counter_id": f"c{number}",
                    "counted_at": hours.tz_convert("UTC").as_unit("us"),
                    "bike_count": rng.poisson(mean) if noise else mean,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def without(hours: pd.DataFrame, counter: str, since: str, until: str) -> pd.DataFrame:
    local = hours["counted_at"].dt.tz_convert(PARIS)
    inside = (local >= pd.Timestamp(since, tz=PARIS)) & (local < pd.Timestamp(until, tz=PARIS))
    return hours[~((hours["counter_id"] == counter) & inside)].reset_index(drop=True)


def rebuild(
    hours: pd.DataFrame, since: str = "2025-01-06", until: str = "2025-03-17"
) -> pd.DataFrame:
    return rebuild_gaps(
        hours,
        PARIS,
        since=pd.Timestamp(since, tz=PARIS).to_pydatetime(),
        until=pd.Timestamp(until, tz=PARIS).to_pydatetime(),
        country="FR",
    )


def test_without_noise_the_estimate_is_the_mean_of_the_same_hour_and_weekday() -> None:
    everything = city(noise=False, weather=False)
    found = rebuild(without(everything, "c1", "2025-02-10", "2025-02-14"))
    local = everything["counted_at"].dt.tz_convert(PARIS)
    own = everything[everything["counter_id"] == "c1"]
    usual = own.groupby([local.dt.dayofweek, local.dt.hour])["bike_count"].mean()
    at = found["counted_at"].dt.tz_convert(PARIS)
    expected = usual.loc[list(zip(at.dt.dayofweek, at.dt.hour, strict=True))].to_numpy()
    np.testing.assert_allclose(found["estimated_count"], expected, rtol=0.05)


def test_the_citys_day_is_in_the_estimate() -> None:
    everything = city()
    gap = ("c2", "2025-02-11", "2025-02-12")
    found = rebuild(without(everything, *gap))
    truth = everything.merge(found, on=KEY)
    usual = everything[everything["counter_id"] == "c2"].copy()
    at = usual["counted_at"].dt.tz_convert(PARIS)
    week = usual[(at.dt.dayofweek == 1) & (at.dt.date != pd.Timestamp("2025-02-11").date())]
    mean = week.groupby(week["counted_at"].dt.hour)["bike_count"].mean()
    typical = truth["counted_at"].dt.hour.map(mean)
    error = (truth["estimated_count"] - truth["bike_count"]).abs().mean()
    assert error < 0.5 * (typical - truth["bike_count"]).abs().mean()
    # counts are Poisson: nobody can be nearer than the mean itself
    assert error < 1.6 * np.sqrt(truth["bike_count"]).mean()


def test_nine_of_ten_intervals_hold_the_count() -> None:
    everything = city(counters=8)
    hours = everything
    for number in range(8):
        hours = without(hours, f"c{number}", f"2025-02-{3 + number:02}", f"2025-02-{6 + number:02}")
    truth = everything.merge(rebuild(hours), on=KEY)
    assert len(truth) == 8 * 72
    inside = truth["bike_count"].between(truth["lower"], truth["upper"]).mean()
    assert 0.84 < inside < 0.96
    assert abs(truth["estimated_count"].sum() / truth["bike_count"].sum() - 1) < 0.03


def test_marked_hours_are_gaps_and_teach_nothing() -> None:
    everything = city()
    dead = (everything["counter_id"] == "c3") & (
        everything["counted_at"].dt.tz_convert(PARIS).dt.strftime("%m-%d") == "02-20"
    )
    marked = everything.assign(
        bike_count=everything["bike_count"].mask(dead, 99_999),
        quality=pd.Series(None, everything.index, dtype=object).mask(dead, "spike"),
    )
    found = rebuild(marked)
    pd.testing.assert_frame_equal(found, rebuild(everything[~dead].reset_index(drop=True)))
    assert len(found) == 24
    assert found["upper"].max() < 2_000


def test_days_after_the_gap_count_as_much_as_days_before() -> None:
    """The level doubles in the middle of a gap: what is known on both sides leads to the mean of the two levels."""
    hours = city(counters=3, noise=False, weather=False)
    after = (hours["counter_id"] == "c0") & (
        hours["counted_at"] >= pd.Timestamp("2025-02-10", tz=PARIS)
    )
    hours["bike_count"] = hours["bike_count"].mask(after, 2 * hours["bike_count"])
    found = rebuild(without(hours, "c0", "2025-02-06", "2025-02-14"))
    at = found["counted_at"].dt.tz_convert(PARIS)
    middle = found[at.dt.strftime("%m-%d") == "02-10"]["estimated_count"].sum()
    usual = hours[
        (hours["counter_id"] == "c0")
        & (hours["counted_at"].dt.tz_convert(PARIS).dt.strftime("%m-%d") == "01-20")
    ]
    assert 1.2 < middle / usual["bike_count"].sum() < 1.8


def test_only_the_gaps_of_the_days_asked_for_are_estimated() -> None:
    hours = without(
        without(city(), "c0", "2025-02-10", "2025-02-11"), "c0", "2025-02-20", "2025-02-21"
    )
    found = rebuild(hours, "2025-02-20", "2025-02-20T12:00")
    assert list(found.columns) == COLUMNS
    assert (len(found), set(found["counter_id"])) == (12, {"c0"})
    assert set(found["basis"]) <= set(BASES)


def test_hours_before_a_counter_was_there_are_no_gap() -> None:
    hours = without(city(), "c0", "2025-01-01", "2025-02-10")
    assert rebuild(hours).empty


def test_an_hour_that_the_clock_skips_is_none_and_one_it_repeats_is_two() -> None:
    spring = city(first=pd.Timestamp("2025-02-17", tz="Europe/Paris"))
    found = rebuild(without(spring, "c0", "2025-03-30", "2025-03-31"), "2025-03-01", "2025-04-20")
    assert len(found) == 23
    autumn = city(first=pd.Timestamp("2025-09-15", tz="Europe/Paris"))
    found = rebuild(without(autumn, "c0", "2025-10-26", "2025-10-27"), "2025-10-01", "2025-11-20")
    assert len(found) == 25
    assert not found["counted_at"].duplicated().any()


def test_a_counter_that_is_silent_for_long_gets_no_estimate() -> None:
    found = rebuild(without(city(), "c0", "2025-02-01", "2025-04-01"))
    silent = found["counted_at"].max() - pd.Timestamp("2025-02-01", tz=PARIS)
    assert pd.Timedelta(days=20) < silent < pd.Timedelta(days=40)


def test_hours_that_no_counter_has_published_yet_are_no_gap() -> None:
    assert rebuild(city(), "2025-01-06", "2025-04-01").empty
    without_the_end = without(city(), "c0", "2025-03-16", "2025-03-17")
    assert len(rebuild(without_the_end, "2025-01-06", "2025-04-01")) == 24


@pytest.mark.parametrize("counters", [1, 2])
def test_a_counter_alone_is_estimated_from_its_own_days(counters: int) -> None:
    hours = without(city(counters), "c0", "2025-02-10", "2025-02-12")
    hours = hours[hours["counter_id"] == "c0"].reset_index(drop=True)
    found = rebuild(hours)
    assert len(found) == 48
    assert not found["basis"].str.contains("peers").any()
    assert found["lower"].le(found["estimated_count"]).all()


def test_nothing_known_is_no_estimate() -> None:
    empty = city().iloc[:0]
    assert list(rebuild(empty).columns) == COLUMNS
    assert rebuild(empty).empty
