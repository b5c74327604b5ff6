"""What two runs stored of the city: counts, counters, rejects, weather."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from velocast.core import schemas
from velocast_local.soak.comparison.causes import Causes, describe_strike, shifted_day
from velocast_local.soak.comparison.difference import Difference, differing_keys
from velocast_local.soak.evidence import Evidence
from velocast_local.soak.injection import malformed_lines

# A day's missing weather is read from the archive by the next run, and a forecast issued two days before is used.
WEATHER_REACH = timedelta(days=2)


class InputComparison:
    """Differences of inputs, each explained by a fault.

    weather: the days of issue on which the runs differ in the weather, and why; None as soon as one row has no reason.
    """

    def __init__(self, clean: Evidence, faulty: Evidence, causes: Causes) -> None:
        self.clean = clean
        self.faulty = faulty
        self.causes = causes
        self.weather = self._weather_days()

    def differences(self) -> Iterator[Difference]:
        """Yield all differences."""
        yield from self._strict(schemas.COUNTS)
        yield from self._strict(schemas.COUNTERS)
        yield from self._ingested()
        yield from self._rejects()
        for day, because in self.weather.items():
            yield Difference(f"weather of {day}", because)

    def changed_by(self, day: str) -> str | None:
        """Explain by weather, or by counts that came later, at any time before the end of a day."""
        weather = [why for at, why in self.weather.items() if at <= day and why]
        counts = [describe_strike(s) for s in self.causes.strikes("counts later") if s.day <= day]
        return next(iter([*weather[-1:], *counts[-1:]]), None)

    def _strict(self, name: str) -> Iterator[Difference]:
        for key in differing_keys(self.clean.tables[name], self.faulty.tables[name]):
            was, now = (e.tables[name].get(key) for e in (self.clean, self.faulty))
            yield Difference(f"{name} {key}: clean {was}, faulty {now}", None)

    def _ingested(self) -> Iterator[Difference]:
        """Counts that were stored by another run, by day."""
        later: Counter[tuple[str, str]] = Counter()
        for key, clean in self.clean.ingested.items():
            faulty = self.faulty.ingested.get(key)
            if faulty is not None and faulty != clean:
                later[clean, faulty] += 1
        for (clean, faulty), number in sorted(later.items()):
            because = self.causes.fault("counts later", clean[:10]) or self.causes.fault(
                "repeated later", faulty[:10]
            )
            yield Difference(f"{number} counts of {clean} stored at {faulty}", because)

    def _rejects(self) -> Iterator[Difference]:
        injected = {
            reject: strike.kind.name
            for strike in self.causes.strikes("rejects")
            for reject in malformed_lines(strike.day)
        }
        for (reason, record), number in (self.clean.rejects - self.faulty.rejects).items():
            yield Difference(f"lost reject {reason} x{number}: {record[:60]}", None)
        for (reason, record), number in (self.faulty.rejects - self.clean.rejects).items():
            text = json.loads(record) if record.startswith('"') else record
            because = next((by for line, by in injected.items() if _same(line, text)), None)
            once = because if number == 1 else None
            yield Difference(f"reject {reason} x{number}: {record[:60]}", once)
        found = sum((self.faulty.rejects - self.clean.rejects).values())
        if found < len(injected):
            yield Difference(f"{len(injected)} malformed records sent, {found} rejects", None)

    def _weather_days(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        clean, faulty = (e.tables[schemas.WEATHER] for e in (self.clean, self.faulty))
        for key in differing_keys(clean, faulty):
            valid, issued = key[0][:10], key[1][:10]
            because = self.causes.fault("weather", issued, reach=WEATHER_REACH)
            if because is None and key not in clean:
                because = self._filled_gap(valid, issued)
            found[issued] = because and found.get(issued, because)
        return found

    def _filled_gap(self, valid: str, issued: str) -> str | None:
        """Explain rows of the archive: it gives the missed hours as they were forecast up to five days before."""
        for strike in self.causes.strikes("weather"):
            if valid >= shifted_day(strike.day, -WEATHER_REACH.days) and issued <= strike.day:
                return describe_strike(strike)
        return None


def _same(line: str, stored: str) -> bool:
    """Return whether a stored reject is the record that was sent: JSON is stored in its canonical form."""
    try:
        return bool(json.loads(line) == json.loads(stored))
    except ValueError:
        return line == stored
