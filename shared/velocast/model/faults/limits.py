"""The detector's limits. benchmarks/README.md says how they were chosen, on half of the counters of real cities."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FaultLimits:
    """When a deviation is called a fault.

    Spread: the standard deviation of the logarithm of a counter's day relative to what was expected, learned from its
    own days. min_days: usable days before a counter is judged. memory_days: days back from which the usual day is
    learned; decay_days: after so many, a day weighs 1/e.
    dead_*: share of the expected bikes that fall on silent hours, expected bikes that must be missing, and how many
    spreads a tenth of the expected bikes lies below them; zero_spreads: where not one bike came in 24 hours.
    stuck_nats: minus the logarithm of the probability of the repeated value. level_*: least change (logarithm) on
    average and on each day, and least significance after 2 to 7 days, in spreads; near_*: the same for a change near
    one half or double, typical of faulty counters. repeats: each earlier change within repeat_days raises the
    significance asked for by this share. accept_days: a level that lasts longer is the new usual. spike_*: times the
    credible level and bikes above it, or times what the hour usually has. swap_gain, shift_gain: difference of the
    logarithms of the likelihoods. sparse_share: expected share of the missing hours; absent_days: days without an
    hour; left_days: a counter that sends nothing for longer has left.
    """

    min_days: int = 5
    memory_days: int = 84
    decay_days: float = 18.0
    dead_mass: float = 0.9
    dead_going_on: float = 0.75
    dead_bikes: float = 20.0
    dead_spreads: float = 4.5
    zero_spreads: float = 3.6
    stuck_nats: float = 22.0
    stuck_hours: int = 5
    level_change: float = 0.40
    level_each_day: float = 0.25
    level_spreads: tuple[float, ...] = (4.6, 4.3, 4.1, 4.0, 3.9, 3.8)
    near_spreads: tuple[float, ...] = (2.8, 2.8, 2.8, 2.8, 2.8, 2.8)
    multiple_spreads: float = 1.5
    repeats: float = 0.2
    repeat_days: int = 120
    accept_days: int = 42
    spike_times: float = 3.0
    spike_bikes: float = 15.0
    spike_times_hour: float = 8.0
    spike_hours: int = 6
    swap_gain: float = 30.0
    shift_gain: float = 30.0
    sparse_share: float = 0.35
    sparse_hours: int = 6
    absent_days: int = 3
    left_days: int = 60


DEFAULT = FaultLimits()
