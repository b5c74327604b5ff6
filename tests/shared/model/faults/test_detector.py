"""Faults put into a city that works are found, by their kind, in time, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from tests.shared.model.faults.simulated_city import ZONE, city_hours, grid_of
from velocast.model.faults.day_grid import DayGrid
from velocast.model.faults.detector import find_faults
from velocast.model.faults.episodes import Episode, episodes_of
from velocast.model.faults.kinds import QUALITY_OF, Mark

BROKEN = 40  # the day on which the counter fails
COUNTER = "1-in"
Counts = np.ndarray
Breaking = Callable[[Counts, np.random.Generator], Counts]


@pytest.fixture(scope="module")
def working() -> DayGrid:
    return grid_of(city_hours())


def found(grid: DayGrid) -> list[Episode]:
    return episodes_of(find_faults(grid), ZoneInfo(ZONE))


def broken(grid: DayGrid, counter: str, change: Breaking, days: int = 10) -> DayGrid:
    counts = grid.counts.copy()
    own = counts[grid.counters.index(counter)]
    own[BROKEN : BROKEN + days] = change(own[BROKEN : BROKEN + days], np.random.default_rng(3))
    return replace(grid, counts=counts)


BREAKINGS: dict[str, tuple[Breaking, int]] = {
    "dead": (lambda counts, _: np.zeros_like(counts), 1),
    "dead with strays": (lambda counts, rng: (rng.random(counts.shape) < 0.05) * 1.0, 2),
    "stuck": (lambda counts, _: np.full_like(counts, 37.0), 1),
    "halved": (lambda counts, rng: rng.binomial(counts.astype(int), 0.5) * 1.0, 3),
    "doubled": (lambda counts, _: counts * 2, 2),
    "level_shift": (lambda counts, _: np.round(counts * 0.2), 2),
    "clock_shift": (lambda counts, _: np.roll(counts, 3, axis=1), 3),
}


@pytest.mark.parametrize("name", BREAKINGS)
def test_finds_a_fault_with_its_kind_its_days_and_in_time(working: DayGrid, name: str) -> None:
    change, days_until_found = BREAKINGS[name]
    grid = broken(working, COUNTER, change)

    (episode,) = found(grid)

    assert (episode.counter_id, episode.kind) == (COUNTER, name.split()[0])
    assert (episode.since.date() - grid.day(BROKEN)).days in (-1, 0, 1)
    assert abs((episode.until.date() - grid.day(BROKEN + 10)).days) <= 1
    assert 1 <= (episode.found_at.date() - grid.day(BROKEN)).days <= days_until_found
    assert not episode.open


def test_calls_nothing_a_fault_in_a_city_that_works(working: DayGrid) -> None:
    assert found(working) == []


def test_finds_a_dead_counter_that_counts_two_bikes_an_hour(working: DayGrid) -> None:
    (episode,) = found(broken(working, "4-in", lambda counts, _: np.zeros_like(counts)))

    assert (episode.kind, episode.counter_id) == ("dead", "4-in")
    assert (episode.found_at.date() - working.day(BROKEN)).days <= 2
    assert episode.share_of_usual == 0


def test_finds_a_single_hour_that_is_too_high_and_marks_only_that(working: DayGrid) -> None:
    def one_hour(counts: Counts, _: np.random.Generator) -> Counts:
        counts[0, 10] = 4000
        return counts

    grid = broken(working, COUNTER, one_hour)
    ledger = find_faults(grid)

    assert (ledger.marks == Mark.SPIKE).sum() == (ledger.marks != Mark.NONE).sum() == 1
    (episode,) = episodes_of(ledger, ZoneInfo(ZONE))
    assert episode.since.hour == 10
    assert episode.evidence.startswith("4,000 bikes in an hour")


def test_finds_both_directions_that_were_swapped(working: DayGrid) -> None:
    counts = working.counts.copy()
    one, other = working.counters.index("2-in"), working.counters.index("2-out")
    counts[[one, other], BROKEN : BROKEN + 9] = counts[[other, one], BROKEN : BROKEN + 9]

    episodes = found(replace(working, counts=counts))

    assert [(each.counter_id, each.kind) for each in episodes] == [
        ("2-in", "swapped"),
        ("2-out", "swapped"),
    ]
    assert "2-out" in episodes[0].evidence
    assert all((each.found_at.date() - working.day(BROKEN)).days <= 3 for each in episodes)


def test_calls_a_counter_sparse_only_while_the_city_publishes(working: DayGrid) -> None:
    published = working.published.copy()
    published[working.counters.index(COUNTER), BROKEN : BROKEN + 4, 6:20] = False
    published[:, 50:52] = False  # the whole city is silent
    counts = np.where(published, working.counts, np.nan)

    (episode,) = found(replace(working, counts=counts, published=published))

    assert (episode.kind, episode.counter_id) == ("sparse", COUNTER)
    assert (episode.until - episode.since).days in (3, 4)


@pytest.mark.parametrize("late", [COUNTER, "4-out", "all"])
@pytest.mark.parametrize("filled", [np.nan, 0.0])
def test_a_day_of_which_only_the_morning_has_come_is_not_low(
    working: DayGrid, late: str, filled: float
) -> None:
    """An upload from 13:00 to 13:00; the rest of the last day is missing, or zeros until the next upload."""
    who = slice(None) if late == "all" else working.counters.index(late)
    for last in range(30, 60, 5):  # workdays, a Saturday, a Sunday
        counts = working.counts[:, : last + 1].copy()
        counts[who, last, 13:] = filled
        published = ~np.isnan(counts)
        known = replace(
            working,
            counts=counts,
            published=published,
            accepted=working.accepted[:, : last + 1],
            day_types=working.day_types[: last + 1],
        )
        assert found(known) == [], working.day(last)


def test_what_the_whole_city_does_is_no_fault(working: DayGrid) -> None:
    counts = working.counts.copy()
    counts[:, BROKEN : BROKEN + 5] = np.round(counts[:, BROKEN : BROKEN + 5] * 0.3)  # snow

    assert found(replace(working, counts=counts)) == []


def test_what_both_directions_of_a_site_do_is_no_change_of_level(working: DayGrid) -> None:
    counts = working.counts.copy()
    for counter in ("2-in", "2-out"):
        own = counts[working.counters.index(counter)]
        own[BROKEN : BROKEN + 5] = np.round(own[BROKEN : BROKEN + 5] * 0.4)  # road works

    assert found(replace(working, counts=counts)) == []


def test_what_a_person_accepted_is_never_marked(working: DayGrid) -> None:
    grid = broken(working, COUNTER, BREAKINGS["dead"][0])
    accepted = np.zeros_like(grid.accepted)
    accepted[grid.counters.index(COUNTER), BROKEN : BROKEN + 10] = True

    marks = find_faults(replace(grid, accepted=accepted)).marks

    assert not (marks != Mark.NONE)[accepted].any()


def test_an_accepted_crowd_does_not_make_the_days_around_it_look_low(working: DayGrid) -> None:
    counts, accepted = working.counts.copy(), np.zeros_like(working.accepted)
    counts[working.counters.index(COUNTER), BROKEN, 15] = 100_000
    accepted[working.counters.index(COUNTER), BROKEN, 15] = True

    assert found(replace(working, counts=counts, accepted=accepted)) == []


@pytest.mark.parametrize("name", ["dead with strays", "halved", "doubled"])
def test_says_found_at_what_the_counts_until_then_show(working: DayGrid, name: str) -> None:
    grid = broken(working, COUNTER, BREAKINGS[name][0])
    (episode,) = found(grid)
    known_days = (episode.found_at.date() - grid.first_day).days

    def until(days: int) -> DayGrid:
        return replace(
            grid,
            **{n: getattr(grid, n)[:, :days] for n in ("counts", "published", "accepted")},
            day_types=grid.day_types[:days],
        )

    assert [each.kind for each in found(until(known_days))] == [episode.kind]
    assert found(until(known_days - 1)) == []


def test_takes_a_level_that_lasts_as_the_new_usual(working: DayGrid) -> None:
    hours = city_hours(days=120)
    half = (hours["counter_id"] == COUNTER) & (hours["counted_at"] > "2024-05-11")
    hours.loc[half, "bike_count"] //= 2

    assert found(grid_of(hours)) == []


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param(lambda hours: hours[hours["counter_id"] == COUNTER], id="one counter"),
        pytest.param(lambda hours: hours[hours["counted_at"] < "2024-04-03"], id="two days"),
        pytest.param(lambda hours: hours.head(1), id="one hour"),
        pytest.param(lambda hours: hours.assign(bike_count=0), id="only zeros"),
    ],
)
def test_knows_when_it_knows_too_little(
    keep: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    assert found(grid_of(keep(city_hours()))) == []


def test_each_kind_has_its_quality() -> None:
    assert [mark.kind for mark in Mark if mark] == list(QUALITY_OF)
    with pytest.raises(IndexError, match="no kind"):
        _ = Mark.NONE.kind
