"""A small random city and an oracle for its features, computed hour by hour in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from statistics import fmean
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tests.frame_rows import named_rows
from velocast.core.datetimes import HOUR, start_of_local_day
from velocast.model.features.calendar_features import day_type

ZONE = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)


def counts(first: date, days: int, *, seed: int, counters: int = 4) -> pd.DataFrame:
    """Make counts with a daily rhythm, gaps, an outage, merged clock-change hours and one new counter.

    Returns counter_id, counted_at, bike_count, quality, sorted; the last counter begins five days before the end.
    """
    random = np.random.default_rng(seed)
    begin = start_of_local_day(first, ZONE)
    hours = pd.date_range(
        begin, start_of_local_day(first + days * DAY, ZONE), freq="h", inclusive="left"
    )
    frames = []
    for number in range(counters):
        mean = (
            5
            + 40
            * (1 + np.sin((hours.hour.to_numpy() - 8) / 24 * 2 * np.pi))
            * (number + 1)
            / counters
        )
        frame = pd.DataFrame(
            {"counter_id": f"c{number}", "counted_at": hours, "bike_count": random.poisson(mean)}
        )
        frame["quality"] = pd.Series([None] * len(frame), dtype="object")
        kept = frame[random.random(len(frame)) > 0.1]
        frames.append(kept if number < counters - 1 else kept.tail(5 * 24))
    city = pd.concat(frames, ignore_index=True)
    silent = (city["counter_id"] == "c1") & city["counted_at"].between(
        begin + 20 * DAY, begin + 23 * DAY
    )
    city.loc[silent, "bike_count"] = 0
    city.loc[silent, "quality"] = "outage"
    merged = city["counted_at"].isin(_repeated_hours(hours)) & (city["counter_id"] == "c0")
    city.loc[merged, "quality"] = "clock_change"
    return city


def _repeated_hours(hours: pd.DatetimeIndex) -> pd.DatetimeIndex:
    local = hours.tz_convert(ZONE).tz_localize(None)
    return hours[local.duplicated(keep=False)]


class Oracle:
    """An oracle that computes the features of one hour at a time from their definition."""

    def __init__(self, city: pd.DataFrame, holidays: Iterable[date]) -> None:
        usable = city[city["quality"].isna()]
        self.holidays = frozenset(holidays)
        self.known = {
            (row.counter_id, row.counted_at.to_pydatetime()): float(row.bike_count)
            for row in named_rows(usable)
        }
        self._shares: dict[tuple[str, tuple[date, ...]], float] = {}
        self._by_local_hour: dict[tuple[str, date, int], list[float]] = defaultdict(list)
        for (counter, at), value in self.known.items():
            local = at.astimezone(ZONE)
            self._by_local_hour[counter, local.date(), local.hour].append(value)

    def actual(self, counter: str, at: datetime) -> float | None:
        """Return the usable count of an hour."""
        return self.known.get((counter, at))

    def at_local_hour(self, counter: str, day: date, hour: int) -> float | None:
        """Return the mean of the usable counts of the UTC hours that share this local hour."""
        values = self._by_local_hour.get((counter, day, hour))
        return fmean(values) if values else None

    def of_day(self, counter: str, day: date) -> list[float]:
        """Return the values of a day, one for each local hour that has one."""
        values = [self.at_local_hour(counter, day, hour) for hour in range(24)]
        return [value for value in values if value is not None]

    def features(self, counter: str, origin: date, target: datetime) -> dict[str, float | None]:
        """Return all columns of sql/features.sql for one target."""
        local = target.astimezone(ZONE)
        past = [origin - n * DAY for n in range(1, 29)]
        same_hour = {day: self.at_local_hour(counter, day, local.hour) for day in past}
        weeks = [
            self.at_local_hour(counter, local.date() - 7 * n * DAY, local.hour) for n in range(1, 5)
        ]
        days = {day: self.of_day(counter, day) for day in past}
        ago = target - 168 * HOUR
        level = _mean(v for day in past for v in days[day])
        known = [value for day in past for value in self._raw(counter, day)]
        result = {
            "bike_count": self.actual(counter, target),
            "lag_168h": self.actual(counter, ago)
            if ago < start_of_local_day(origin, ZONE)
            else None,
            "hour_mean_7d": _mean(same_hour[day] for day in past[:7]),
            "hour_mean_28d": _mean(same_hour.values()),
            "same_hour_4w_mean": _mean(weeks),
            "day_mean_1d": _mean(days[past[0]]),
            "day_mean_2d": _mean(v for day in past[:2] for v in days[day]),
            "day_mean_7d": _mean(v for day in past[:7] for v in days[day]),
            "level": level,
            "history_hours": float(sum(len(values) for values in days.values())),
            "busy_threshold": sorted(known)[int(0.75 * (len(known) - 1))] if known else None,
        }
        result |= {f"share_{n}d": self._share(counter, tuple(past[:n])) for n in (1, 3, 7)}
        result |= {f"hour_{n}d": same_hour[past[n - 1]] for n in range(1, 8)}
        result |= {f"week_{n}": weeks[n - 1] for n in range(1, 5)}
        result |= self._other_similar(counter, origin, local)
        similar = self._similar(same_hour, origin, local.date())
        stand_ins = (similar, result["hour_mean_28d"], level)
        result["similar_day_mean"] = next((v for v in stand_ins if v is not None), None)
        return result

    def _other_similar(
        self, counter: str, origin: date, local: datetime
    ) -> dict[str, float | None]:
        """Return the other views of the similar days."""

        def past(days: int, hour: int) -> dict[date, float | None]:
            before = [origin - n * DAY for n in range(1, days + 1)]
            return {day: self.at_local_hour(counter, day, hour) for day in before}

        day, hour = local.date(), local.hour
        kind = day_type(day, self.holidays)
        values = [
            value
            for on, value in past(28, hour).items()
            if value is not None and day_type(on, self.holidays) == kind
        ]
        beside = [h for h in (hour - 1, hour, hour + 1) if 0 <= h < 24]
        return {
            "similar_day_mean_4d": self._similar(past(28, hour), origin, day, half_life=4),
            "similar_day_mean_30d": self._similar(past(56, hour), origin, day, half_life=30),
            "similar_day_last": values[0] if values else None,
            "similar_day_previous": values[1] if len(values) > 1 else None,
            "similar_day_mean_3h": _mean(self._similar(past(28, h), origin, day) for h in beside),
        }

    def _raw(self, counter: str, day: date) -> list[float]:
        hours = range(24)
        return [v for hour in hours for v in self._by_local_hour.get((counter, day, hour), [])]

    def _share(self, counter: str, days: tuple[date, ...]) -> float:
        """Return the counts of these days, divided by those expected from the similar days before each."""
        if (counter, days) not in self._shares:
            self._shares[counter, days] = self._computed_share(counter, days)
        return self._shares[counter, days]

    def _computed_share(self, counter: str, days: tuple[date, ...]) -> float:
        met = usual = 24.0
        for day in days:
            for hour in range(24):
                value = self.at_local_hour(counter, day, hour)
                before = {
                    day - n * DAY: self.at_local_hour(counter, day - n * DAY, hour)
                    for n in range(1, 29)
                }
                expected = self._similar(before, day, day)
                if value is not None and expected is not None:
                    met, usual = met + value, usual + expected
        return met / usual

    def _similar(
        self,
        same_hour: dict[date, float | None],
        origin: date,
        day: date,
        *,
        half_life: float = 10,
    ) -> float | None:
        kind = day_type(day, self.holidays)
        pairs = [
            (0.5 ** ((origin - past).days / half_life), value)
            for past, value in same_hour.items()
            if value is not None and day_type(past, self.holidays) == kind
        ]
        return sum(w * v for w, v in pairs) / sum(w for w, _ in pairs) if pairs else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
