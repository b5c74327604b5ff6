"""What the detector has seen and said so far. All arrays of hours are (counters, days, 24)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocast.model.faults.day_grid import DayGrid
from velocast.model.faults.kinds import LEVELS, Mark
from velocast.model.faults.limits import FaultLimits

NEVER = 32_000
SHIFTS = np.arange(-12, 13)
GridValues = NDArray[Any]
GridMask = NDArray[
    Any
]  # of truth values: numpy's types of `any` and `all` along an axis cannot be indexed


class Ledger:
    """The state between two days. Only `detector` advances it, one day after the other.

    counts: 0 where not seen. seen: hours that can be judged. expected: bikes. marks: of faults. found: the day on which
    a mark was set. log_ratio: (C, D), of a day's bikes to those expected; adjusted: what peers do not explain of it.
    spread: of adjusted. silent: (C, D), share of the expected bikes in silent hours. open: the fault that a counter has
    since `since`, at exp(level) of what is usual. detail: (C, D), the other counter of a swap, or a clock's shift.
    """

    def __init__(self, grid: DayGrid, limits: FaultLimits) -> None:
        self.grid, self.limits = grid, limits
        self.seen: GridMask = ~np.isnan(grid.counts)
        self.counts = np.where(self.seen, grid.counts, 0).astype(np.float32)
        self.counters = int(self.counts.shape[0])
        self.days = int(self.counts.shape[1])
        per_hour, per_day = self.counts.shape, self.counts.shape[:2]
        self.marks = np.zeros(per_hour, np.int8)
        self.found = np.full(per_hour, NEVER, np.int16)
        self.expected = np.zeros(per_hour, np.float32)
        self.deseasoned = np.zeros(per_hour, np.float32)
        self.expected_seen = np.zeros(per_day, np.float32)
        self.log_ratio = np.full(per_day, np.nan, np.float32)
        self.adjusted = np.full(per_day, np.nan, np.float32)
        self.spread = np.full(per_day, 9.0, np.float32)
        self.log_city = np.zeros(per_day, np.float32)
        self.silent = np.zeros(per_day, np.float32)
        self.detail = np.zeros(per_day, np.int32)
        self.open = np.zeros(self.counters, np.int8)
        self.since = np.zeros(self.counters, np.int64)
        self.level = np.zeros(self.counters)
        self.normal_days = np.zeros(self.counters, np.int64)
        self.absent_days = np.zeros(self.counters, np.int64)
        self.few_days = np.zeros(self.counters, np.int64)
        self.level_changes: list[list[int]] = [[] for _ in range(self.counters)]
        self.remember_from = np.zeros(self.counters, np.int64)
        self.profile = np.zeros((self.counters, 24))
        self.known: GridMask = np.zeros(self.counters, bool)
        self.usable_days = np.zeros(self.counters, np.int64)
        self.alike_days = np.zeros(self.counters, np.int64)
        self.usable: GridMask = np.zeros((self.counters, 0, 24), bool)
        self.noise_days = np.full(self.counters, 20.0)
        self.noise_sum = np.full(self.counters, 60.0)
        any_hour = np.any(grid.published, axis=2)
        self.first = np.where(any_hour.any(1), any_hour.argmax(1), self.days)
        self.city_publishes = self._hours_of_the_city()
        self.run_start = self._runs()
        self.surprise = np.zeros((self.counters, self.days * 24 + 1), np.float32)
        self.multiple = self._common_multiples()
        self.swap_gain = np.zeros((len(grid.pairs), self.days, 2), np.float32)
        self.shift_gain = np.full((self.counters, self.days, len(SHIFTS)), np.nan, np.float32)

    @property
    def noise(self) -> GridValues:
        """How noisy the hours of each counter are, as a multiple of the variance of a Poisson count; at least 1."""
        return np.asarray(np.maximum(self.noise_sum / self.noise_days, 1.0))

    def unmarked(self, since: int, until: int) -> GridMask:
        """Return the hours of the days [since, until) that nobody called faulty."""
        return np.asarray(self.marks[:, since:until] == Mark.NONE)

    def mark(
        self, counter: int, since: int, until: int, kind: Mark, day: int, *, over: bool = False
    ) -> None:
        """Mark a counter's hours [since, until), numbered from the first day's first, as found on `day`.

        over: also mark hours that have another mark. Hours that a person accepted are left alone.
        """
        marks = self.marks[counter].reshape(-1)[since:until]
        found = self.found[counter].reshape(-1)[since:until]
        new = (marks != kind) if over else (marks == Mark.NONE)
        new &= ~self.grid.accepted[counter].reshape(-1)[since:until]
        found[new] = day
        marks[new] = kind

    def mark_cells(self, day: int, cells: GridMask, kind: Mark) -> None:
        """Mark the hours of a day, (C, 24), that have no mark and were not accepted."""
        new = cells & (self.marks[:, day] == Mark.NONE) & ~self.grid.accepted[:, day]
        self.marks[:, day][new] = kind
        self.found[:, day][new] = day

    def is_level(self, marks: GridValues) -> GridMask:
        """Return which marks are changes of level."""
        return np.isin(marks, LEVELS)

    def _hours_of_the_city(self) -> GridMask:
        """Return the hours (D, 24) in which at least half of the counters that are there published."""
        days = np.arange(self.days)
        published = np.any(self.grid.published, axis=2)
        last = self.days - 1 - published[:, ::-1].argmax(1)
        there = (days >= self.first[:, None]) & (days <= last[:, None])
        return np.asarray(
            self.grid.published.sum(0) >= np.maximum(0.5 * there.sum(0), 1.0)[:, None], dtype=bool
        )

    def _runs(self) -> NDArray[np.int32]:
        """Return where each hour's run of one value began, numbered from the first day's first hour."""
        flat, seen = self.counts.reshape(self.counters, -1), self.seen.reshape(self.counters, -1)
        same = np.zeros_like(seen)
        same[:, 1:] = (flat[:, 1:] == flat[:, :-1]) & seen[:, 1:] & seen[:, :-1]
        numbers = np.arange(flat.shape[1], dtype=np.int32)[None]
        starts = np.maximum.accumulate(np.where(same, 0, numbers), axis=1)
        return starts.reshape(self.counts.shape).astype(np.int32)

    def _common_multiples(self) -> NDArray[np.int32]:
        """Return the number (C, D) that all counts of a day are multiples of; 1 where few hours have bikes."""
        divisor = np.gcd.reduce(self.counts.astype(np.int64), axis=2)
        busy = (self.counts > 0).sum(2) >= 10
        return np.where(busy, divisor, 1).astype(np.int32)
