"""Effect of a measure at some counters: what they counted against what the untouched ones say they would have.

The expected bikes of a day are a weighted sum of the untouched counters' bikes (a synthetic control), with weights
learned before the measure. The same computation on counters and days without a measure shows how far it errs, and
widens the interval accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import stdtrit

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.growth.change import (
    CLAIM,
    PROBABILITY,
    USABLE,
    CityDays,
    RelativeChange,
    counted_share,
)
from velocast.model.growth.rebuilding import Rebuild, Rebuilt, rebuild_from_usual_days
from velocast.model.growth.regressors import day_columns
from velocast.model.growth.serial_regression import fit_serial

MOST_BEFORE = 728  # days from which the weights are learned
LEAST_BEFORE, LEAST_AFTER = 56, 14
LEAST_OTHERS = 3
MOST_PLACEBOS = 20  # counters; and as many as fit before the measure, in time
WELL_COUNTED = 0.8  # share of the days, for an untouched counter to be used
PENALTY = 0.01  # of the weights, in units of the untouched counters' mean square


@dataclass(frozen=True)
class Effect:
    """effect: relative. claimed: it is more than chance. observed, expected: bikes a day since the measure.

    days: before and after it. others: untouched counters used. placebos: how many, and how many of them would have been
    claimed. widened: factor by which they widened the interval. rank: share of the placebos that deviate as much.
    """

    counter_ids: list[str]
    since: date
    effect: RelativeChange
    claimed: bool
    observed: float
    expected: float
    days: tuple[int, int]
    others: int
    placebos: int
    placebos_claimed: int
    widened: float
    rank: float | None

    def as_dict(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return asdict(self) | {"since": self.since.isoformat()}


@dataclass(frozen=True)
class _Estimate:
    log_effect: float
    error: float
    degrees: int
    days: tuple[int, int]
    observed: float

    @property
    def z(self) -> float:
        return self.log_effect / self.error

    def claimed(self, widened: float) -> bool:
        return abs(self.z) > widened * float(stdtrit(self.degrees, (1 + CLAIM) / 2))


def effect_of_measure(
    city: CityDays,
    touched: Sequence[str],
    since: date,
    *,
    untouched: Sequence[str] | None = None,
    rebuild: Rebuild = rebuild_from_usual_days,
) -> Effect | Unknown:
    """Return the effect at the counters `touched`, together, from the day `since` on.

    untouched: counters to compare with; default: all others. Raises ValueError for a counter that the city lacks.
    """
    rebuilt = rebuild(city.counts, city.day_types)
    names = list(city.counters)
    own = [names.index(name) for name in touched]
    others = [names.index(n) for n in (untouched or names) if n not in touched]
    start, end = city.position(since), city.counts.shape[1]
    begin = max(0, start - MOST_BEFORE)
    if start - begin < LEAST_BEFORE or end - start < LEAST_AFTER:
        return Unknown(
            reason=f"{max(start - begin, 0)} days before {since} and {max(end - start, 0)} from it on; "
            f"{LEAST_BEFORE} and {LEAST_AFTER} are needed"
        )
    share = counted_share(rebuilt, each=True)
    counted = (share[:, begin:start] >= USABLE).mean(1), (share[:, start:] >= USABLE).mean(1)
    others = [n for n in others if min(c[n] for c in counted) >= WELL_COUNTED]
    if len(others) < LEAST_OTHERS:
        return Unknown(
            reason=f"{len(others)} untouched counters have enough usable days, {LEAST_OTHERS} are needed"
        )
    found = _estimate(city, rebuilt, own, others, (begin, start, end))
    if found is None:
        return Unknown(reason="the counters have too few usable days before or after")
    placebos = _placebos(city, rebuilt, own, others, (begin, start, end))
    z = np.array([each.z for each in placebos])
    widened = max(1.0, float(np.sqrt(np.mean(z**2)))) if len(z) else 1.0
    margin = widened * found.error * float(stdtrit(found.degrees, (1 + PROBABILITY) / 2))
    change = RelativeChange(
        change=float(np.expm1(found.log_effect)),
        low=float(np.expm1(found.log_effect - margin)),
        high=float(np.expm1(found.log_effect + margin)),
    )
    return Effect(
        counter_ids=list(touched),
        since=since,
        effect=change,
        claimed=found.claimed(widened),
        observed=found.observed,
        expected=found.observed / (1 + change.change),
        days=found.days,
        others=len(others),
        placebos=len(z),
        placebos_claimed=sum(each.claimed(widened) for each in placebos),
        widened=widened,
        rank=float(np.mean(np.abs(z) >= abs(found.z))) if len(z) else None,
    )


def _placebos(
    city: CityDays, rebuilt: Rebuilt, own: list[int], others: list[int], days: tuple[int, int, int]
) -> list[_Estimate]:
    """Estimate the effect where there is none: at untouched counters, and on days before the measure."""
    begin, start, end = days
    found = []
    if len(others) > LEAST_OTHERS:
        step = max(1, len(others) // MOST_PLACEBOS)
        for n in others[::step][:MOST_PLACEBOS]:
            rest = [other for other in others if other != n]
            found.append(_estimate(city, rebuilt, [n], rest, days))
    after = end - start
    pretended = start - after
    while pretended - begin >= max(LEAST_BEFORE, after):
        found.append(_estimate(city, rebuilt, own, others, (begin, pretended, pretended + after)))
        pretended -= after
        if len(found) >= 2 * MOST_PLACEBOS:
            break
    return [each for each in found if each is not None]


def _estimate(
    city: CityDays, rebuilt: Rebuilt, own: list[int], others: list[int], days: tuple[int, int, int]
) -> _Estimate | None:
    begin, start, end = days
    mine = Rebuilt(rebuilt.counts[own], rebuilt.estimated[own])
    usable = counted_share(mine, each=False) >= USABLE
    used = np.flatnonzero(usable[begin:end]) + begin
    after = used >= start
    if (~after).sum() < LEAST_BEFORE or after.sum() < LEAST_AFTER:
        return None
    y = mine.counts.sum((0, 2))[used]
    donors = rebuilt.counts[others].sum(2)[:, used]
    expected = _synthetic(y, donors, ~after)
    dates = [city.first + timedelta(days=int(n)) for n in used]
    usual, _ = day_columns(dates, holidays=(), free_days=(), span=int((~after).sum()))
    waves = 6 + (2 if usual.shape[1] > 8 else 0)  # the season is in the untouched counters
    x = np.column_stack([np.ones(len(used)), after, usual[:, :waves]]).astype("float64")
    ratio = np.log(np.maximum(y, 0.5)) - np.log(np.maximum(expected, 0.5))
    fit = fit_serial(used, ratio, x)
    return _Estimate(
        log_effect=float(fit.coefficients[1]),
        error=float(np.sqrt(fit.covariance[1, 1])),
        degrees=fit.degrees,
        days=(int((~after).sum()), int(after.sum())),
        observed=float(y[after].mean()),
    )


def _synthetic(y: Floats, donors: Floats, before: NDArray[np.bool_]) -> Floats:
    """Return the weighted sum of the donors' bikes, (T,). y: (T,); donors: (N, T); before: days to learn from, (T,)."""
    scale = donors[:, before].mean(1)
    columns = (donors / np.maximum(scale, 1e-9)[:, None]).T
    level = y[before].mean()
    penalty = np.sqrt(PENALTY * before.sum()) * np.eye(len(scale))
    a = np.vstack([columns[before], penalty])
    b = np.concatenate([y[before] / level, np.full(len(scale), 1 / len(scale)) @ penalty])
    return np.asarray(columns @ nnls(a, b)[0] * level)
