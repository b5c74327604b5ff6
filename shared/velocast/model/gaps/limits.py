"""How far the estimates of gaps look, and how much they trust what they find there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GapLimits:
    """Chosen on hidden gaps of seed 1 (`make bench ARGS="gaps FILE..."`); other seeds were left for the report.

    decay_days: after so many days a day weighs 1/e. alike, other: weights of another weekday of the same type and of
    another type, beside 1 for the same weekday. least_weight: sum of the days' weights below which a counter has no
    usual hour. pseudo: bikes added before a logarithm. overdispersion, noise: variance of a count's logarithm is
    overdispersion / (usual + pseudo) + noise. shrinkage: of peers' covariances. rounds: usual hours and peers are
    estimated in turn. near_days, near_hours: decay of a counter's own deviations around the gap; the priors are the
    precision that holds them at zero. block: counters that are compared with each other.
    """

    decay_days: float = 14.0
    alike: float = 0.35
    other: float = 0.01
    least_weight: float = 0.5
    pseudo: float = 0.5
    overdispersion: float = 2.0
    noise: float = 0.01
    shrinkage: float = 0.2
    rounds: int = 2
    near_days: float = 3.0
    near_days_prior: float = 10.0
    near_hours: float = 1.5
    near_hours_prior: float = 6.0
    block: int = 100


DEFAULT = GapLimits()
