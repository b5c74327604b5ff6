"""The 90 % interval of an estimate: how far counts were from the estimates made as if they had been missing."""

from __future__ import annotations

import numpy as np

from velocast.model.arrays import Booleans, Floats

LOW, HIGH = 0.05, 0.95
BINS, LEAST_HOURS = 8, 60
COUNTER_HOURS = 300.0  # weight, in hours, of the city's spread when mixed with a counter's own


def own_scale(score: Floats, seen: Booleans) -> Floats:
    """Return the spread (C, 1, 1) of each counter's scores (C, D, 24), held near the city's."""
    limited = np.where(seen, np.clip(score, -4.0, 4.0) ** 2, 0.0)
    number = seen.sum((1, 2))
    city = limited.sum() / max(int(number.sum()), 1)
    own = (limited.sum((1, 2)) + COUNTER_HOURS * city) / (number + COUNTER_HOURS)
    return np.asarray(np.sqrt(np.maximum(own, 1e-6))[:, None, None])


def score_limits(score: Floats, usual: Floats, learn: Booleans) -> tuple[Floats, Floats]:
    """Return the 5 % and 95 % quantiles of the scores, both (C, D, 24), among hours about as busy.

    learn: (C, D, 24), hours whose score is known. Where too few are, those of a normal distribution.
    """
    low, high = np.full(score.shape, -1.645), np.full(score.shape, 1.645)
    if learn.sum() < LEAST_HOURS:
        return low, high
    edges = np.quantile(usual[learn], np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.searchsorted(edges, usual)
    for number in range(BINS):
        here = bins == number
        known = score[here & learn]
        known = known if len(known) >= LEAST_HOURS else score[learn]
        low[here], high[here] = np.quantile(known, [LOW, HIGH])
    return low, high
