"""What each counter is expected to count on a day: its similar days, times what the other counters say of the day.

Counts of the past are divided by the city's factor of their day, so that seasons, weather and holidays that all
counters share are in the factor and not in a counter's profile. A counter's own counts have no part in its factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velocast.model.faults.kinds import Mark
from velocast.model.faults.ledger import GridMask, GridValues, Ledger

SPREAD_DAYS, RECENT_DAYS = 42, 7
PRIOR_DAYS, PRIOR_SPREAD, LEAST_SPREAD = 6.0, 0.3, 0.08
PEER_DAYS, LEAST_PEER_DAYS = 56, 14
PEER_SHRINKAGE, PEER_LIMIT = 0.4, 0.4
LEAST_COVERAGE = 0.4  # share of a day's expected bikes in the hours that were counted


@dataclass(frozen=True)
class DayView:
    """What is expected of a day, and whose expectation can be relied upon: (C,) each.

    coverage: expected share of the hours that were counted.
    """

    known: GridMask
    coverage: GridValues


def expect(ledger: Ledger, day: int) -> DayView:
    """Set what is expected of `day`, how far its counts are from it, and what of that peers explain."""
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = _usual_day(ledger, day)
        known = ledger.known & (profile.sum(1) > 0)
        variance = _own_variance(ledger, day)
        factor, expected = _city_factor(ledger, day, profile, known, variance)
    # hours that a person accepted, such as a parade, are correct but not usual
    most = np.where(ledger.grid.accepted[:, day], 3.0 * expected + 10.0, np.inf)
    ledger.counts[:, day] = np.minimum(ledger.counts[:, day], most)
    counts, seen = ledger.counts[:, day], ledger.seen[:, day]
    ledger.expected[:, day] = expected
    total = (expected * seen).sum(1)
    ledger.expected_seen[:, day] = total
    ledger.deseasoned[:, day] = counts / factor[:, None]
    coverage = total / np.maximum(expected.sum(1), 1e-6)
    visible = known & (coverage > LEAST_COVERAGE)
    log_ratio = np.log((counts.sum(1) + 1.0) / (total + 1.0))
    ledger.log_ratio[:, day] = np.where(visible, log_ratio, np.nan)
    variance = variance + _uncertainty(ledger, day, np.log(factor))
    spread = np.sqrt(variance + 1.0 / (total + 1.0))
    ledger.spread[:, day] = spread
    explained, left = _peers(ledger, day, log_ratio, spread, visible)
    ledger.adjusted[:, day] = np.where(visible, log_ratio - explained, np.nan)
    ledger.spread[:, day] = np.sqrt(
        np.maximum(variance * left, LEAST_SPREAD**2) + 1.0 / (total + 1.0)
    )
    return DayView(known, coverage)


def learn(ledger: Ledger, day: int, view: DayView) -> None:
    """Learn from a day that was judged how noisy the hours of its unmarked counters are."""
    expected, seen = ledger.expected[:, day], ledger.seen[:, day]
    clean = view.known & (ledger.marks[:, day] == Mark.NONE).all(1) & (seen.sum(1) > 0)
    square = np.where(seen, (ledger.counts[:, day] - expected) ** 2 / (expected + 0.5), 0.0)
    noise = np.minimum(square.sum(1) / np.maximum(seen.sum(1), 1), 60.0)
    ledger.noise_days[clean] = ledger.noise_days[clean] * 0.97 + 1.0
    ledger.noise_sum[clean] = ledger.noise_sum[clean] * 0.97 + noise[clean]


def _usual_day(ledger: Ledger, day: int) -> GridValues:
    """Return the mean (C, 24) of a counter's days of the same type, recent ones first; of all its days where few."""
    limits, types = ledger.limits, ledger.grid.day_types
    first = max(0, day - limits.memory_days)
    days = np.arange(first, day)
    recent = np.exp(-(day - days) / limits.decay_days).astype(np.float32)
    alike = types[first:day] == types[day]
    remembered = days[None] >= ledger.remember_from[:, None]
    usable = ledger.seen[:, first:day] & ledger.unmarked(first, day) & remembered[:, :, None]
    ledger.usable = usable
    any_hour = usable.any(2)
    ledger.usable_days = any_hour.sum(1)
    ledger.alike_days = (any_hour & alike[None]).sum(1)
    weight = usable.astype(np.float32)
    value = ledger.deseasoned[:, first:day] * weight
    sum_alike, n_alike = _weighted(recent * alike, value), _weighted(recent * alike, weight)
    sum_all, n_all = _weighted(recent, value), _weighted(recent, weight)
    mean_all, mean_alike = sum_all / n_all, sum_alike / n_alike
    both = (n_alike > 0.5) & (n_all > 0.5)
    top, bottom = np.where(both, mean_alike, 0).sum(0), np.where(both, mean_all, 0).sum(0)
    little = 0.02 * bottom.mean() + 1e-6
    ratio = np.where(bottom > 0, (top + little) / (bottom + little), 1.0)
    any_day = np.where(n_all > 0, mean_all, 0.0) * ratio
    mean = (np.where(n_alike > 0, sum_alike, 0.0) + any_day) / (n_alike + 1.0)
    ledger.profile = np.where(n_all > 0.02, mean, ledger.profile)
    with_bikes = (value > 0).any(2).sum(1)
    ledger.known = ledger.known | (with_bikes >= limits.min_days)
    return ledger.profile


def _weighted(days: GridValues, values: GridValues) -> GridValues:
    return np.asarray(np.matmul(days[None, None], values)[:, 0])


def _own_variance(ledger: Ledger, day: int) -> GridValues:
    """Return the variance (C,) of a counter's log ratio beyond that of counting, from its own recent days."""
    # days that may be part of a fault not found yet would hide it
    until = day - RECENT_DAYS if day >= 3 * RECENT_DAYS else day
    first = max(0, until - SPREAD_DAYS)
    ratio = ledger.log_ratio[:, first:until]
    marks = ledger.marks[:, first:until]
    there = ~np.isnan(ratio)
    clean = there & (marks == Mark.NONE).all(2)
    # a counter whose level has changed before is less steady than its clean days say
    weight = clean + 0.25 * (there & ledger.is_level(marks).any(2))
    counting = 1.0 / (ledger.expected_seen[:, first:until] + 1.0)
    square = np.clip(np.nan_to_num(ratio) ** 2, 0, 0.7) - counting
    sums = (square * weight).sum(1) + PRIOR_DAYS * PRIOR_SPREAD**2
    return np.asarray(np.maximum(sums / (weight.sum(1) + PRIOR_DAYS), LEAST_SPREAD**2))


def _uncertainty(ledger: Ledger, day: int, log_factor: GridValues) -> GridValues:
    """Return what is added to the variance: where few days are known, and where the city itself is unusual."""
    first = max(0, day - 14)
    before = ledger.log_city[:, first:day].mean(1) if day else 0.0
    ledger.log_city[:, day] = log_factor
    few_alike = np.where(ledger.alike_days >= 2, 0.0, 0.35**2)
    few = PRIOR_SPREAD**2 * np.maximum(0.0, 1.0 - ledger.usable_days / 14.0)
    return np.asarray((0.4 * (log_factor - before)) ** 2 + few_alike + few)


def _city_factor(
    ledger: Ledger, day: int, profile: GridValues, known: GridMask, variance: GridValues
) -> tuple[GridValues, GridValues]:
    """Return the city's factor of the day (C,) as the other counters show it, and the expected hours (C, 24)."""
    counts, seen = ledger.counts[:, day], ledger.seen[:, day]
    usual = (profile * seen).sum(1)
    total = counts.sum(1)
    ratio = np.where(known, (total + 0.5) / (usual + 0.5), 1.0)
    weight = np.where(
        known & (ledger.open == 0) & (usual > 0), 1.0 / (variance + 1.0 / (usual + 1.0)), 0.0
    )
    silent = (total == 0) & (usual > 8)
    if silent.sum() < 0.7 * max(known.sum(), 1):
        weight = np.where(silent, 0.0, weight)
    voices = int((weight > 0).sum())
    factor = np.ones(ledger.counters)
    if voices >= 2:
        median = np.nan_to_num(median_of_others(ratio, weight), nan=1.0)
        factor = np.exp(np.log(np.clip(median, 0.02, 20.0)) * voices / (voices + 1.0))
    reference = profile * factor[:, None]
    return factor, reference * _city_hours(reference, usual * factor, counts, seen, weight > 0)


def _city_hours(
    reference: GridValues, total: GridValues, counts: GridValues, seen: GridMask, voice: GridMask
) -> GridValues:
    """Return how each hour of the day differs from usual in the city without the counter, (C, 24), its total kept."""
    scale = voice[:, None] * seen / np.sqrt(total + 5.0)[:, None]
    counted = np.minimum(counts, 3.0 * reference + 3.0) * scale
    usual = reference * scale
    little = usual.sum() / 24.0 / max(int(voice.sum()), 1) * 3.0 + 1e-6
    shape = (counted.sum(0)[None] - counted + little) / (usual.sum(0)[None] - usual + little)
    shape = np.clip(shape, 0.2, 5.0)
    kept = reference.sum(1) / np.maximum((reference * shape).sum(1), 1e-6)
    return np.asarray(shape * kept[:, None])


def median_of_others(values: GridValues, weights: GridValues) -> GridValues:
    """Return, for each of n values, the weighted median of the others; NaN where they have no weight."""
    order = np.argsort(values, kind="stable")
    ranked, cumulated = values[order], np.cumsum(weights[order])
    position = np.empty(len(values), dtype=np.int64)
    position[order] = np.arange(len(values))
    half = (cumulated[-1] - weights) / 2.0
    below = np.minimum(np.searchsorted(cumulated, half), len(values) - 1)
    above = np.minimum(np.searchsorted(cumulated, half + weights), len(values) - 1)
    found = ranked[np.where(below < position, below, above)]
    return np.where(cumulated[-1] - weights > 0, found, np.nan)


def _peers(
    ledger: Ledger, day: int, log_ratio: GridValues, spread: GridValues, visible: GridMask
) -> tuple[GridValues, GridValues]:
    """Return what the other counters' deviations say of each counter's own, (C,), and the share of variance left.

    The conditional mean and variance of a normal distribution with the shrunk correlations of the last PEER_DAYS days.
    """
    first = max(0, day - PEER_DAYS)
    nothing = np.zeros(ledger.counters), np.ones(ledger.counters)
    if day - first < LEAST_PEER_DAYS or ledger.counters < 3:
        return nothing
    past = ledger.log_ratio[:, first:day]
    good = ~np.isnan(past) & (ledger.marks[:, first:day] == Mark.NONE).all(2)
    score = np.clip(np.nan_to_num(past) / ledger.spread[:, first:day], -3.0, 3.0) * good
    deviation = np.sqrt((score**2).sum(1) / np.maximum(good.sum(1), 1)) + 1e-6
    score = (score / deviation[:, None]).astype(np.float64)
    together = good.astype(np.float64) @ good.T
    correlation = score @ score.T / (together + 8.0)
    np.fill_diagonal(correlation, 1.0)
    kernel = (1 - PEER_SHRINKAGE) * correlation + PEER_SHRINKAGE * np.eye(ledger.counters)
    trusted = visible & (ledger.open == 0) & (np.abs(log_ratio) < 6.0 * spread)
    now = np.where(trusted, np.clip(log_ratio / spread, -3.0, 3.0), 0.0) / deviation
    with_, without = np.flatnonzero(trusted), np.flatnonzero(~trusted)
    if not len(with_):
        return nothing
    explained, left = nothing
    precision = np.linalg.inv(kernel[np.ix_(with_, with_)])
    own = np.diag(precision)
    explained[with_] = now[with_] - (precision @ now[with_]) / own
    left[with_] = 1.0 / own
    explained[without] = kernel[np.ix_(without, with_)] @ (precision @ now[with_])
    explained *= deviation * spread
    return np.clip(explained, -PEER_LIMIT, PEER_LIMIT), np.clip(left, 0.4, 1.0)
