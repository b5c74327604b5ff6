"""Change of counts between two periods, three ways: as counted, with gaps rebuilt, and adjusted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.growth.periods import Periods
from velocast.model.growth.rebuilding import Rebuild, Rebuilt, rebuild_from_usual_days
from velocast.model.growth.regressors import KNOWN_SHARE, day_columns, weather_columns
from velocast.model.growth.serial_regression import SerialFit, fit_serial

PROBABILITY = 0.90
CLAIM = 0.97  # a change is claimed where the interval of this probability leaves out zero
USABLE = 0.5  # share of a day's usual bikes that must be counted, and of a period's days that must be usable
LEAST_BIKES = 5.0  # a day, for a counter to be compared


@dataclass(frozen=True)
class RelativeChange:
    """A relative change, 0.04 = 4 % more, with its 90 % interval."""

    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Growth:
    """counter_id: None for the city. counters: how many are in it. days: usable in the older and the newer period.

    estimated: share of the bikes that were rebuilt. claimed: the adjusted change is more than chance. gaps, weather,
    calendar: what each adds to the raw change; weather is None where it is not known.
    """

    counter_id: str | None
    counters: int
    days: tuple[int, int]
    estimated: float
    raw: RelativeChange
    rebuilt: RelativeChange
    adjusted: RelativeChange
    claimed: bool
    gaps: float
    weather: float | None
    calendar: float

    def as_dict(self) -> dict[str, object]:
        """Return the fields as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class CityDays:
    """Counts of a city: (C, D, 24) bikes per hour, NaN where missing or not usable, from the local day `first` on.

    day_types: (D,). weather: (D, 24, variables), or None. free_days: without school.
    """

    counters: list[str]
    first: date
    counts: Floats
    day_types: NDArray[np.int8]
    holidays: Collection[date] = ()
    free_days: Collection[date] = ()
    weather: Floats | None = None

    def position(self, day: date) -> int:
        """Return a day's position on the days' axis."""
        return (day - self.first).days


class Comparison:
    """Growth of a city's counters between two periods. The city is that of the counters that have both."""

    def __init__(
        self, city: CityDays, periods: Periods, *, rebuild: Rebuild = rebuild_from_usual_days
    ) -> None:
        self._city = city
        self._periods = periods
        self._rebuilt = rebuild(city.counts, city.day_types)
        self._usable = counted_share(self._rebuilt, each=True) >= USABLE
        self._lacking = self._reasons()

    def counter(self, name: str) -> Growth | Unknown:
        """Return the growth of a counter. Raises ValueError for one that the city does not have."""
        n = self._city.counters.index(name)
        if reason := self._lacking.get(n):
            return Unknown(reason=reason)
        return _growth(
            self._city, self._periods, self._rebuilt, np.array([n]), self._usable[n], name
        )

    def whole_city(self) -> Growth | Unknown:
        """Return the growth of all counters that have both periods, together."""
        members = np.array(
            [n for n in range(len(self._city.counters)) if n not in self._lacking], dtype=np.int64
        )
        if not len(members):
            return Unknown(reason="no counter has counted half of the days of both periods")
        part = Rebuilt(self._rebuilt.counts[members], self._rebuilt.estimated[members])
        usable = counted_share(part, each=False) >= USABLE
        return _growth(self._city, self._periods, self._rebuilt, members, usable, None)

    def _reasons(self) -> dict[int, str]:
        """Return why counters cannot be compared, by position."""
        reasons = {}
        starts = (self._periods.before, self._periods.now)
        days = [_positions(self._city, start, self._periods.days) for start in starts]
        bikes = np.nansum(self._city.counts, axis=2)
        for n, usable in enumerate(self._usable):
            counted = [float(usable[part].mean()) for part in days]
            if min(counted) < USABLE:
                when = "older" if counted[0] < counted[1] else "newer"
                reasons[n] = (
                    f"only {min(counted):.0%} of the days of the {when} period were counted"
                )
            elif bikes[n][usable].mean() < LEAST_BIKES:
                reasons[n] = f"fewer than {LEAST_BIKES:.0f} bikes a day"
            elif not all(bikes[n][part].any() for part in days):
                reasons[n] = "no bike was counted in one of the periods"
        return reasons


def _positions(city: CityDays, start: date, days: int) -> NDArray[np.int64]:
    begin = city.position(start)
    return np.arange(begin, begin + days)


def counted_share(rebuilt: Rebuilt, *, each: bool) -> Floats:
    """Return the share of a day's bikes that was counted, of each counter, (C, D), or of all, (D,)."""
    along: tuple[int, ...] = (2,) if each else (0, 2)
    total = rebuilt.counts.sum(along)
    guessed = np.where(rebuilt.estimated, rebuilt.counts, 0.0).sum(along)
    hours = 1 - rebuilt.estimated.mean(along)
    return np.asarray(np.where(total > 0, 1 - guessed / np.where(total > 0, total, 1.0), hours))


def _growth(
    city: CityDays,
    periods: Periods,
    rebuilt: Rebuilt,
    members: NDArray[np.int64],
    usable: NDArray[np.bool_],
    name: str | None,
) -> Growth:
    before = _positions(city, periods.before, periods.days)
    now = _positions(city, periods.now, periods.days)
    at = np.concatenate([before, now])
    raw = np.nansum(city.counts[members], axis=(0, 2))
    filled = rebuilt.counts[members].sum((0, 2))
    guessed = np.where(rebuilt.estimated[members], rebuilt.counts[members], 0.0).sum((0, 2))
    used = at[usable[at]]
    newer = (used >= now[0]).astype("float64")
    place = (used - np.where(newer > 0, now[0], before[0])) / periods.days - 0.5
    dates = [city.first + timedelta(days=int(n)) for n in used]
    usual, special = day_columns(
        dates, holidays=city.holidays, free_days=city.free_days, span=periods.days
    )
    base = np.column_stack([np.ones(len(used)), newer, place, usual])
    plain = [_total_change(used, series, base, now, before) for series in (raw, filled)]
    weather = _weather(city, rebuilt.counts[members], used, special)
    known = np.ones(len(used), bool) if weather is None else ~np.isnan(weather).any(1)
    columns = [base, special] if weather is None else [base, special, weather]
    x = np.column_stack(columns)[known]
    fit = fit_serial(used[known], _log(filled[used])[known], x)
    parts = x[newer[known] > 0].mean(0) - x[newer[known] == 0].mean(0)
    effect = parts * fit.coefficients
    log_change = float(fit.coefficients[1])
    last = base.shape[1] + special.shape[1]
    return Growth(
        counter_id=name,
        counters=len(members),
        days=(int((newer == 0).sum()), int((newer > 0).sum())),
        estimated=float(guessed[at].sum() / max(filled[at].sum(), 1e-9)),
        raw=plain[0],
        rebuilt=plain[1],
        adjusted=_change(fit, log_change),
        claimed=abs(log_change) > fit.margin(_newer(fit), CLAIM),
        gaps=plain[0].change - plain[1].change,
        weather=None if weather is None else float(np.expm1(effect[last:].sum())),
        calendar=float(np.expm1(effect[3:last].sum())),
    )


def _weather(
    city: CityDays, hourly: Floats, used: NDArray[np.int64], special: Floats
) -> Floats | None:
    """Return the columns of weather on the used days; None where it is known of too few."""
    if city.weather is None:
        return None
    profile = hourly.sum(0)[used].mean(0)
    weekend = np.array([(city.first + timedelta(days=int(n))).weekday() >= 5 for n in used])
    rest = np.maximum(weekend, special[:, 0])
    columns = weather_columns(city.weather[used], profile, rest)
    return columns if (~np.isnan(columns).any(1)).mean() >= KNOWN_SHARE else None


def _total_change(
    used: NDArray[np.int64],
    series: Floats,
    x: Floats,
    now: NDArray[np.int64],
    before: NDArray[np.int64],
) -> RelativeChange:
    """Return the change of the sums, with how much they vary by chance from one year to another."""
    fit = fit_serial(used, _log(series[used]), x)
    return _change(fit, float(np.log(series[now].sum() / series[before].sum())))


def _change(fit: SerialFit, log_change: float) -> RelativeChange:
    margin = fit.margin(_newer(fit), PROBABILITY)
    low, high = (float(np.expm1(log_change + side * margin)) for side in (-1, 1))
    return RelativeChange(change=float(np.expm1(log_change)), low=low, high=high)


def _newer(fit: SerialFit) -> Floats:
    """Return the contrast of the column that tells the newer period."""
    return np.asarray(np.eye(len(fit.coefficients))[1])


def _log(bikes: Floats) -> Floats:
    return np.log(np.maximum(bikes, 0.5))
