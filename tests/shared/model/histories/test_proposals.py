"""Proposals on real counters of Paris, of which one is given another id, a little off, at a random date."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.model.histories.proposals import near_in_time, propose_continuations, spans_of

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
COUNTS = Path(__file__).parents[4] / "../shared/data/paris-counts.parquet"
COUNTERS, DAYS = 10, 200


@pytest.fixture(scope="module")
def paris() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hours and places of ten counters of Paris over 200 days, all of them counting up to the end."""
    rows = pd.read_parquet(
        COUNTS, columns=["id_compteur", "date", "sum_counts", "latitude", "longitude"]
    ).rename(
        columns={"id_compteur": "counter_id", "date": "counted_at", "sum_counts": "bike_count"}
    )
    rows["counted_at"] = pd.to_datetime(rows["counted_at"], utc=True)
    last = rows["counted_at"].max()
    rows = rows[rows["counted_at"] > last - DAYS * DAY]
    whole = rows.groupby("counter_id")["counted_at"].agg(["size", "max"])
    kept = whole.index[(whole["size"] > 0.95 * 24 * DAYS) & (whole["max"] > last - 2 * DAY)]
    rows = rows[rows["counter_id"].isin(kept[:COUNTERS])].reset_index(drop=True)
    places = rows[["counter_id", "latitude", "longitude"]].drop_duplicates("counter_id")
    return rows[["counter_id", "counted_at", "bike_count"]], places


Split = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


@pytest.fixture
def split(paris: tuple[pd.DataFrame, pd.DataFrame]) -> Split:
    """Give a counter the id `new` from a day on, after a gap, some metres further north, at another level."""
    hours, places = paris

    def made(
        counter: str, *, day: int = 100, gap: int = 0, metres: float = 40, ratio: float = 1.0
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        at = hours["counted_at"].min() + day * DAY
        own = hours["counter_id"] == counter
        later = own & (hours["counted_at"] >= at)
        made = hours.assign(
            counter_id=hours["counter_id"].mask(later, "new"),
            bike_count=hours["bike_count"].where(~later, (ratio * hours["bike_count"]).round()),
        )
        place = places[places["counter_id"] == counter].assign(counter_id="new")
        place["latitude"] += metres / 111_000
        return made[~(later & (hours["counted_at"] < at + gap * DAY))], pd.concat([places, place])

    return made


def test_every_split_counter_is_proposed_and_no_other(
    paris: tuple[pd.DataFrame, pd.DataFrame], split: Split
) -> None:
    draw = random.Random(5)
    for counter in paris[1]["counter_id"]:
        ratio, gap = draw.uniform(0.75, 1.3), draw.choice([0, 2, 20])
        day = draw.randrange(50, 130)
        (found,) = propose_continuations(*split(counter, day=day, gap=gap, ratio=ratio), PARIS)
        assert (found.counter_id, found.continues) == ("new", counter)
        # the level is that of the device: what the city as a whole changed in between is taken out
        assert found.level_ratio == pytest.approx(ratio, rel=0.25)
        assert found.distance_km == pytest.approx(0.04, abs=0.001)
        assert found.since <= found.began_at < found.since + DAY
        assert found.since.astimezone(PARIS).hour == 0


def test_nothing_is_proposed_of_counters_that_nobody_touched(
    paris: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    assert propose_continuations(*paris, PARIS) == []


@pytest.mark.parametrize(
    "how",
    [{"metres": 400}, {"gap": 95}, {"ratio": 2.6}, {"ratio": 0.3}, {"day": 8}, {"day": 197}],
    ids=str,
)
def test_what_does_not_fit_is_not_proposed(
    how: dict[str, Any], paris: tuple[pd.DataFrame, pd.DataFrame], split: Split
) -> None:
    assert propose_continuations(*split(paris[1]["counter_id"].iloc[0], **how), PARIS) == []


def test_another_week_does_not_fit(paris: tuple[pd.DataFrame, pd.DataFrame], split: Split) -> None:
    hours, places = split(paris[1]["counter_id"].iloc[0])
    new = hours["counter_id"] == "new"
    shifted = hours.assign(
        counted_at=hours["counted_at"].mask(new, hours["counted_at"] + 12 * DAY / 24)
    )
    assert propose_continuations(shifted, places, PARIS) == []


def test_what_was_decided_is_not_proposed_again(
    paris: tuple[pd.DataFrame, pd.DataFrame], split: Split
) -> None:
    counter = paris[1]["counter_id"].iloc[0]
    hours, places = split(counter)
    assert propose_continuations(hours, places, PARIS, decided=[(counter, "new")]) == []


def test_without_places_time_level_and_week_decide(
    paris: tuple[pd.DataFrame, pd.DataFrame], split: Split
) -> None:
    counter = paris[1]["counter_id"].iloc[1]
    hours, places = split(counter)
    (found,) = propose_continuations(hours, places[["counter_id"]], PARIS)
    assert (found.continues, found.distance_km) == (counter, None)


def test_a_level_ratio_leaves_out_what_all_counters_changed(
    paris: tuple[pd.DataFrame, pd.DataFrame], split: Split
) -> None:
    counter = paris[1]["counter_id"].iloc[0]
    hours, places = split(counter, day=100, ratio=1.2)
    late = hours["counted_at"] >= hours["counted_at"].min() + 100 * DAY
    busier = hours.assign(bike_count=np.where(late, 3 * hours["bike_count"], hours["bike_count"]))
    (found,) = propose_continuations(busier, places, PARIS)
    (plain,) = propose_continuations(hours, places, PARIS)
    assert found.level_ratio == pytest.approx(plain.level_ratio, rel=0.02)


def test_counters_that_the_city_began_with_began_nowhere() -> None:
    at = pd.Timestamp("2026-01-01", tz="UTC")
    spans = pd.DataFrame(
        {
            "counter_id": ["a", "b", "c"],
            "first_at": [at, at + 30 * DAY, at],
            "last_at": [at + 29 * DAY, at + 90 * DAY, at + 90 * DAY],
        }
    )
    assert near_in_time(spans) == [("a", "b")]
    assert near_in_time(spans.iloc[:0]) == []
    hours = pd.DataFrame({"counter_id": ["b", "a"], "counted_at": [at, at]})
    assert list(spans_of(hours)["counter_id"]) == ["a", "b"]
