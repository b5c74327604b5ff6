"""Faults put into counts that work, and the days on which they begin and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float32]  # (days, 24); NaN where nothing was published
MIN_DAYS, MAX_DAYS = 3, 40
HISTORY_DAYS, APART_DAYS = 15, 20
SHIFTS = (-6, -3, -2, -1, 1, 2, 3, 6)


@dataclass(frozen=True)
class InjectedFault:
    """One fault: positions of the counter and of the first day, its length, and the counter's usual bikes a day."""

    name: str
    counter: int
    day: int
    days: int
    usual: float


@dataclass(frozen=True)
class _Place:
    """Where a fault is put: all days of its counter, and its own days in them."""

    own: Counts
    day: int
    days: int
    rng: np.random.Generator

    @property
    def part(self) -> Counts:
        return self.own[self.day : self.day + self.days]


def _set(place: _Place, values: Any) -> None:
    part = place.part
    part[:] = np.where(np.isnan(part), np.nan, values)


def _dead(place: _Place) -> None:
    _set(place, 0)


def _stray(place: _Place) -> None:
    _set(place, place.rng.random(place.part.shape) < 0.05)


def _stuck(place: _Place) -> None:
    last = place.own[place.day - 1, place.rng.integers(7, 21)]
    _set(place, max(1.0, float(np.nan_to_num(last))))


def _repeated(place: _Place) -> None:
    place.part[:] = place.own[place.day - 1]


def _halved(place: _Place) -> None:
    whole = np.nan_to_num(place.part).astype(int)
    _set(place, place.rng.binomial(whole, 0.5) if place.rng.random() < 0.5 else whole // 2)


def _doubled(place: _Place) -> None:
    whole = np.nan_to_num(place.part).astype(int)
    again = whole if place.rng.random() < 0.5 else place.rng.binomial(whole, 0.95)
    _set(place, whole + again)


def _other_level(place: _Place) -> None:
    _set(place, np.round(place.part * place.rng.choice([0.25, 0.35, 3, 4])))


def _spike(place: _Place) -> None:
    before = place.own[max(0, place.day - 60) : place.day]
    highest = np.nan_to_num(before, nan=0.0).max(1)
    for day in place.part:
        day[place.rng.integers(0, 24)] = round(
            float(np.quantile(highest, 0.98) * place.rng.uniform(4, 20)) + 5
        )


def _clock_shift(place: _Place) -> None:
    hours = place.own.reshape(-1)
    start = place.day * 24 - int(place.rng.choice(SHIFTS))
    place.part[:] = hours[start : start + place.days * 24].reshape(-1, 24).copy()


def _sparse(place: _Place) -> None:
    place.part[place.rng.random(place.part.shape) < 0.6] = np.nan


FAULTS: Mapping[str, Callable[[_Place], None]] = {
    "dead": _dead,
    "dead, stray counts": _stray,
    "stuck": _stuck,
    "stuck, a day repeated": _repeated,
    "halved": _halved,
    "doubled": _doubled,
    "level shift": _other_level,
    "spike": _spike,
    "clock shift": _clock_shift,
    "sparse": _sparse,
}
SWAPPED = "swapped"


class Injector:
    """Puts faults into a copy of a city's counts, each at a counter and days that work, apart from each other.

    counts: (C, D, 24). faulty: (C, D), days that already are. pairs: (P, 2), directions of one site.
    """

    def __init__(
        self,
        counts: NDArray[np.float32],
        faulty: NDArray[np.bool_],
        pairs: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self.counts, self._original = counts.copy(), counts
        self._faulty, self._rng = faulty, rng
        self._pairs = pairs
        self._used: list[tuple[int, int, int]] = []

    def inject(self, name: str) -> InjectedFault | None:
        """Put one fault somewhere; None where no place was found."""
        for _ in range(200):
            if found := self._try(name):
                return found
        return None

    def _try(self, name: str) -> InjectedFault | None:
        counters, all_days, _ = self.counts.shape
        days = int(self._rng.integers(MIN_DAYS, MAX_DAYS + 1))
        if all_days - days - 1 <= HISTORY_DAYS:
            return None
        day = int(self._rng.integers(HISTORY_DAYS, all_days - days - 1))
        if name == SWAPPED:
            if not len(self._pairs):
                return None
            one, other = (int(n) for n in self._rng.choice(self._pairs))
            touched = [one, other]
        else:
            one = int(self._rng.integers(counters))
            touched = [one]
        if not all(self._works(counter, day, days) for counter in touched):
            return None
        if name == SWAPPED:
            both = self.counts[[other, one], day : day + days]
            self.counts[[one, other], day : day + days] = both
        else:
            FAULTS[name](_Place(self.counts[one], day, days, self._rng))
        self._used += [(counter, day, day + days) for counter in touched]
        usual = float(np.nansum(self._original[one, day - 14 : day]) / 14)
        return InjectedFault(name, one, day, days, usual)

    def _works(self, counter: int, day: int, days: int) -> bool:
        around = slice(day - 14, day + days + 2)
        before = self._original[counter, day - 14 : day]
        overlaps = any(
            counter == used and day < end + APART_DAYS and first < day + days + APART_DAYS
            for used, first, end in self._used
        )
        missing = np.isnan(self._original[counter, day - 14 : day + days]).mean()
        return bool(
            not overlaps
            and not self._faulty[counter, around].any()
            and missing <= 0.05
            and np.nansum(before) >= 14 * 2
        )
