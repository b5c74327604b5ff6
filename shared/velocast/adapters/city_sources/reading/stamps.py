"""Times as cities write them: each distinct one becomes seconds, of UTC or of the city's clock, or a reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from velocast.adapters.city_sources.reading.cells import as_text, as_time_text
from velocast.core.city import City
from velocast.core.city.reading import ISO

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from velocast.adapters.city_sources.reading.distinct import Distinct

FIRST_YEAR = 1990  # no city counted bikes hourly before that
LAST_YEAR = 2199  # as the rest of the system; time ranges cannot be computed near the year 9999
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of whatever clock the times are
DAY = timedelta(days=1)
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1000}
_OFFSET_APART = re.compile(r"\s+(?=[+-]\d{2}:?\d{2}$|Z$)")
_MIDNIGHT_24 = re.compile(r"(?<!\d)24(?=:?00)")
_AM_PM = re.compile(r"\b([ap])\.?\s?m\b\.?", re.IGNORECASE)


class Stamps:
    """Parses the times of one city."""

    def __init__(self, city: City) -> None:
        self._time = city.counts.layout.time
        self._clock = city.counts.clock
        self._step = timedelta(minutes=city.counts.step_minutes)
        self._zone = city.zone

    def parsed(self, times: Distinct) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        """Return the seconds since 1970 of each row's time, and the reason of those that have none ('' for the others).

        times: tuples, one value for each column of `Time.columns`, and the gap's number after them. Seconds are those
        of the city's clock where it publishes local times, else of UTC.
        """
        import numpy as np

        found = [self._one(value) for value in times.values]
        seconds = np.array([s for s, _ in found] + [0], dtype="int64")[times.codes]
        reasons = np.array([r for _, r in found] + ["missing_time"], dtype=object)[times.codes]
        return seconds, reasons

    def _one(self, parts: tuple[Any, ...]) -> tuple[int, str]:
        gap = None
        if self._time.gap_column is not None:
            *rest, gap = parts
            parts = tuple(rest)
        if all(part is None or part == "" for part in parts):
            return 0, "missing_time"
        moment = self._moment(parts)
        if moment is not None and self._time.gap_column is not None:
            moment = self._after_gaps(moment, gap)
        if moment is None:
            return 0, "unreadable_time"
        if moment.year < FIRST_YEAR:
            return 0, "absurd_time"
        if moment.year > LAST_YEAR:
            return 0, "future_hour"
        return (moment - EPOCH) // timedelta(seconds=1), ""

    def _moment(self, parts: tuple[Any, ...]) -> datetime | None:
        """Return the time without its zone: of UTC or of the city's clock, as the seconds are."""
        if len(parts) == 1 and isinstance(parts[0], datetime):
            return self._settled(parts[0])
        last = len(parts) - 1
        text = " ".join(as_time_text(p, more_follows=n < last) for n, p in enumerate(parts)).strip()
        for each in self._time.format:
            epoch = _EPOCHS.get(each)
            moment = _from_text(text, each) if epoch is None else _from_epoch(text, epoch)
            if moment is not None and (settled := self._settled(moment)) is not None:
                return settled
        return None

    def _settled(self, moment: datetime) -> datetime | None:
        """Drop the zone of a time; None for a time without an offset where each should have one."""
        if self._clock.times == "local":
            return moment.replace(
                tzinfo=None
            )  # as the city's clock shows it, whatever zone is claimed
        if moment.tzinfo is None:
            return moment if self._clock.times == "utc" else None
        try:
            return moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            return None

    def _after_gaps(self, day: datetime, gap: Any) -> datetime | None:
        text = as_text(gap)
        if text is None or not text.isdecimal():
            return None
        later = (int(text) - self._time.first_gap) * self._step
        if not timedelta(0) <= later < timedelta(hours=25):
            return None
        if self._clock.times != "local" or self._clock.repeated_hour != "twice":
            return day + later
        # a city that publishes the repeated hour twice numbers 100 quarters on that day, and 92 on the shortest
        moment = day.replace(tzinfo=self._zone).astimezone(UTC) + later
        return moment.astimezone(self._zone).replace(tzinfo=None)


def _from_epoch(text: str, divisor: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(text) / divisor)
    except (ValueError, OverflowError):
        return None


def _from_text(text: str, form: str) -> datetime | None:
    moment = _read(text, form)
    if moment is None and _MIDNIGHT_24.search(text):
        moment = _read(_MIDNIGHT_24.sub("00", text, count=1), form)
        return moment + DAY if moment else None
    return moment


def _read(text: str, form: str) -> datetime | None:
    try:
        if form == ISO:
            return datetime.fromisoformat(_OFFSET_APART.sub("", text))
        return datetime.strptime(_AM_PM.sub(_am_pm, text) if "%p" in form else text, form)  # noqa: DTZ007
    except (ValueError, OverflowError):
        return None


def _am_pm(found: re.Match[str]) -> str:
    return f"{found.group(1).upper()}M"
