"""Which counters may be the same one under another id: pairs of an end and a beginning that fit each other.

A person confirms them: the evidence is what a person would look at, and the ratio of the levels is part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from velocast.core.datetimes import HOUR, rfc3339, start_of_local_day
from velocast.core.geo import Plane
from velocast.model.arrays import Floats

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK_HOURS = 168
LEAST_SHARE, LEAST_WEEK = 0.5, 0.8  # of the hours of `known_days`, and of those of a week


@dataclass(frozen=True)
class ProposalLimits:
    """What a pair must be like.

    silent_days: without a usable count before the newest hour of the city, after which a counter has ended. gap_days:
    from the old counter's end to the new one's beginning; overlap_days: that both count. near_km: between places.
    known_days: of counts that each must have. compared_days: before the end and after the beginning that are compared.
    least_similarity: correlation of the two weeks. largest_ratio: of the levels, one way or the other. least_level:
    bikes per hour, below which weeks cannot be told apart.
    """

    silent_days: float = 7
    gap_days: float = 90
    overlap_days: float = 7
    near_km: float = 0.25
    known_days: float = 14
    compared_days: float = 56
    least_similarity: float = 0.85
    largest_ratio: float = 2.0
    least_level: float = 0.5


DEFAULT = ProposalLimits()


@dataclass(frozen=True)
class Proposal:
    """Counter `counter_id` may continue `continues`, from `since`, its first local day with counts, on.

    ended_at, began_at: newest usable hour of the old counter, first of the new one. distance_km: between them, None
    where a place is not known. level_ratio: level of the new counter divided by that of the old one, without what the
    city as a whole changed in between. similarity: correlation of their weeks, hour by hour.
    """

    counter_id: str
    continues: str
    since: datetime
    ended_at: datetime
    began_at: datetime
    distance_km: float | None
    level_ratio: float
    similarity: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        times = {name: rfc3339(getattr(self, name)) for name in ("since", "ended_at", "began_at")}
        distance = None if self.distance_km is None else round(self.distance_km, 3)
        return {
            **vars(self),
            **times,
            "distance_km": distance,
            "level_ratio": round(self.level_ratio, 3),
            "similarity": round(self.similarity, 3),
        }


def near_in_time(spans: pd.DataFrame, limits: ProposalLimits = DEFAULT) -> list[tuple[str, str]]:
    """Return the pairs (old, new) of counters of which one ended when the other began.

    spans: counter_id, first_at and last_at: its first and last usable hour. A counter that was there when the counts of
    the city begin did not begin then.
    """
    if spans.empty:
        return []
    city_first, city_last = spans["first_at"].min(), spans["last_at"].max()
    ended = spans[city_last - spans["last_at"] >= limits.silent_days * DAY]
    begun = spans[spans["first_at"] - city_first >= limits.known_days * DAY]
    pairs = ended.merge(begun, how="cross", suffixes=("_old", "_new"))
    gap = pairs["first_at_new"] - pairs["last_at_old"]
    fits = (gap <= limits.gap_days * DAY) & (gap >= -limits.overlap_days * DAY)
    fits &= pairs["counter_id_old"] != pairs["counter_id_new"]
    # the new counter goes on: it does not end with the old one
    fits &= pairs["last_at_new"] > pairs["last_at_old"] + limits.known_days * DAY
    fits &= pairs["first_at_old"] < pairs["first_at_new"] - limits.known_days * DAY
    chosen = pairs.loc[fits, ["counter_id_old", "counter_id_new"]]
    return list(chosen.itertuples(index=False, name=None))


def near_in_place(
    pairs: Sequence[tuple[str, str]], counters: pd.DataFrame, limits: ProposalLimits = DEFAULT
) -> dict[tuple[str, str], float | None]:
    """Return the pairs that may be of one place, with the distance in km, None where it is not known.

    counters: counter_id, and where known latitude and longitude (degrees). One without a position may be anywhere.
    """
    places = _places(counters)
    found: dict[tuple[str, str], float | None] = {}
    for pair in pairs:
        old, new = (places.get(counter_id) for counter_id in pair)
        if old is None or new is None:
            found[pair] = None
            continue
        plane = Plane.at(old[0])
        (x, y), (other_x, other_y) = plane.point(*old), plane.point(*new)
        km = float(np.hypot(other_x - x, other_y - y))
        if km <= limits.near_km:
            found[pair] = km
    return found


def _places(counters: pd.DataFrame) -> dict[str, tuple[float, float]]:
    if not {"latitude", "longitude"} <= set(counters.columns):
        return {}
    placed = counters.dropna(subset=["latitude", "longitude"])
    return {
        str(row["counter_id"]): (float(row["latitude"]), float(row["longitude"]))
        for row in placed.to_dict("records")
    }


def propose_continuations(
    hours: pd.DataFrame,
    counters: pd.DataFrame,
    zone: ZoneInfo,
    *,
    decided: Sequence[tuple[str, str]] = (),
    spans: pd.DataFrame | None = None,
    limits: ProposalLimits = DEFAULT,
) -> list[Proposal]:
    """Return the pairs that fit in time, place, level and week, the best first; each counter is in one pair at most.

    hours: counter_id, counted_at (UTC), bike_count, usable ones only; of the pairs and of others, from which the change
    of the city as a whole is known. counters: as for `near_in_place`. decided: pairs (old, new) that are not to be
    proposed, and whose counters are taken. spans: as for `near_in_time`; default: of the hours given.
    """
    if spans is None:
        spans = spans_of(hours)
    taken = set(decided)
    near = near_in_place(near_in_time(spans, limits), counters, limits)
    near = {pair: km for pair, km in near.items() if pair not in taken}
    if not near:
        return []
    weeks = _Weeks(hours, zone, limits)
    found = [
        proposal
        for (old, new), km in near.items()
        if (proposal := weeks.compare(old, new, km)) is not None
    ]
    found.sort(key=lambda each: (-_fit(each), each.counter_id, each.continues))
    best: list[Proposal] = []
    used: set[str] = set()
    for each in found:
        if each.counter_id not in used and each.continues not in used:
            best.append(each)
            used |= {each.counter_id, each.continues}
    return best


def spans_of(hours: pd.DataFrame) -> pd.DataFrame:
    """Return counter_id, first_at and last_at of each counter."""
    return (
        hours.groupby("counter_id", sort=True)["counted_at"]
        .agg(first_at="min", last_at="max")
        .reset_index()
    )


def _fit(each: Proposal) -> float:
    """Return how well a pair fits: the likeness of the weeks less what level, place and time speak against it."""
    return (
        each.similarity
        - 0.1 * abs(float(np.log(each.level_ratio)))
        - (0.0 if each.distance_km is None else 0.2 * each.distance_km)
        - 0.001 * abs((each.began_at - each.ended_at) / DAY)
    )


class _Weeks:
    """The weeks of counters before and after a moment."""

    def __init__(self, hours: pd.DataFrame, zone: ZoneInfo, limits: ProposalLimits) -> None:
        local = hours["counted_at"].dt.tz_convert(zone)
        slots = local.dt.dayofweek * 24 + local.dt.hour
        ordered = hours.assign(slot=slots).sort_values(["counter_id", "counted_at"])
        self._counters = {
            str(counter_id): _Series.of(rows) for counter_id, rows in ordered.groupby("counter_id")
        }
        self._zone, self._limits = zone, limits

    def compare(self, old: str, new: str, distance_km: float | None) -> Proposal | None:
        """Return the proposal for a pair; None where level or week do not fit, or too little is known of them."""
        limits = self._limits
        if old not in self._counters or new not in self._counters:
            return None
        before, after = self._counters[old], self._counters[new]
        ended, began = before.at[-1], after.at[0]
        last, first = before.within(*self._before(ended)), after.within(*self._after(began))
        week, other = before.week(last), after.week(first)
        both = ~np.isnan(week) & ~np.isnan(other)
        hours = min(last.stop - last.start, first.stop - first.start)
        if hours < limits.known_days * 24 * LEAST_SHARE or both.sum() < WEEK_HOURS * LEAST_WEEK:
            return None
        level, new_level = float(week[both].mean()), float(other[both].mean())
        if min(level, new_level) < limits.least_level:
            return None
        similarity = _correlation(week[both], other[both])
        ratio = new_level / level / self._change(ended, began, (old, new))
        fits = 1 / limits.largest_ratio <= ratio <= limits.largest_ratio
        if not fits or similarity < self._needed(hours, level):
            return None
        begin = _instant(began).astimezone(self._zone)
        return Proposal(
            counter_id=new,
            continues=old,
            since=start_of_local_day(begin.date(), self._zone),
            ended_at=_instant(ended),
            began_at=_instant(began),
            distance_km=distance_km,
            level_ratio=ratio,
            similarity=similarity,
        )

    def _before(self, ended: np.int64) -> tuple[int, int]:
        return int(ended) - round(self._limits.compared_days * 24) + 1, int(ended) + 1

    def _after(self, began: np.int64) -> tuple[int, int]:
        return int(began), int(began) + round(self._limits.compared_days * 24)

    def _needed(self, hours: int, level: float) -> float:
        """Return the similarity that is asked for: a week of few bikes is known with noise, which lowers it."""
        weeks = hours / WEEK_HOURS
        noise = 1.0 / (
            1.0 + 1.0 / (weeks * level)
        )  # of a mean of Poisson counts, beside the spread of the week
        return self._limits.least_similarity * noise

    def _change(self, ended: np.int64, began: np.int64, pair: tuple[str, str]) -> float:
        """Return how the other counters' level changed from the days before the end to those after the beginning."""
        least = self._limits.known_days * 24 * LEAST_SHARE
        ratios = []
        for counter_id, series in self._counters.items():
            if counter_id in pair:
                continue
            before, after = series.within(*self._before(ended)), series.within(*self._after(began))
            if min(before.stop - before.start, after.stop - after.start) < least:
                continue
            level, later = series.counts[before].mean(), series.counts[after].mean()
            if min(level, later) > self._limits.least_level:
                ratios.append(float(np.log(later / level)))
        return float(np.exp(np.median(ratios))) if ratios else 1.0


@dataclass(frozen=True)
class _Series:
    """A counter's usable hours, in their order: hours since 1970, local hour of the week, bikes."""

    at: NDArray[np.int64]
    slots: NDArray[np.int64]
    counts: Floats

    @classmethod
    def of(cls, rows: pd.DataFrame) -> _Series:
        at = (rows["counted_at"] - EPOCH) // HOUR
        return cls(
            np.asarray(at, dtype=np.int64),
            np.asarray(rows["slot"], dtype=np.int64),
            np.asarray(rows["bike_count"], dtype=np.float64),
        )

    def within(self, first: int, until: int) -> slice:
        """Return the positions of the hours in [first, until)."""
        start, stop = np.searchsorted(self.at, [first, until])
        return slice(int(start), int(stop))

    def week(self, part: slice) -> Floats:
        """Return the mean count in each of the 168 local hours of a week, NaN where there is none."""
        slots = self.slots[part]
        sums = np.bincount(slots, weights=self.counts[part], minlength=WEEK_HOURS)
        numbers = np.bincount(slots, minlength=WEEK_HOURS)
        return np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan)


def _instant(hours: np.int64) -> datetime:
    return EPOCH + int(hours) * HOUR


def _correlation(left: Floats, right: Floats) -> float:
    if left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])
