"""The JSON files that the page reads, made from a snapshot: a manifest, the city, its days and one file per counter.

The manifest is small and names the folder of the others, whose content never changes. `serve` answers with these files
and `predict` publishes them, so that both show the same page. Nothing here imports a data frame library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from velocast.core.datetimes import rfc3339
from velocast.usecases.site.accuracy import find_conspicuous_counters, measure_accuracy, pairs
from velocast.usecases.site.counter_pages import file_name_of
from velocast.usecases.site.days import describe_days
from velocast.usecases.snapshot_format import CounterSnapshot, GrowthCard, Snapshot, iterate_json

FORMAT = 2
MANIFEST = "data/manifest.json"
DATA = "data/"
_COLUMNS = ("predicted", "lower", "upper")
_PAST = ("recent", "past_predicted", "past_lower", "past_upper")
# Columns of later snapshots, shown where there are any.
_QUANTILES = ("q25", "q50", "q75")


class PageData:
    """The page's data of one snapshot. Files are made when they are asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._zone = ZoneInfo(snapshot.city.time_zone)
        self._counters = {file_name_of(c.counter_id): c for c in snapshot.counters}

    @cached_property
    def folder(self) -> str:
        """The folder of the files that never change, named by the content of the snapshot."""
        digest = hashlib.sha256()
        for text in iterate_json(self.snapshot):
            digest.update(text)
        digest.update(bytes([FORMAT]))
        return f"{DATA}{digest.hexdigest()[:16]}/"

    def manifest(self, *, api: bool) -> bytes:
        """Return the manifest. api: the page's address also answers the API, for forecasts of any place and hour."""
        snapshot = self.snapshot
        return _json(
            {
                "format": FORMAT,
                "city": snapshot.city.model_dump(exclude_none=True),
                "clock": snapshot.clock,
                "origin_at": rfc3339(snapshot.origin_at),
                "published_at": rfc3339(snapshot.published_at),
                "folder": self.folder,
                "api": api,
            }
        )

    def names(self) -> list[str]:
        """Return the names of all files but the manifest, each beginning with `folder`."""
        days = (f"day-{number}.json" for number in range(len(self._day_slices)))
        counters = (f"counters/{name}.json" for name in self._counters)
        return [self.folder + name for name in ("city.json", *days, *counters)]

    def content(self, name: str) -> bytes | None:
        """Return a file's content; None when there is no such file."""
        if not name.startswith(self.folder):
            return None
        own = name.removeprefix(self.folder)
        if own == "city.json":
            return self._city
        if found := re.fullmatch(r"day-(\d)\.json", own):
            number = int(found[1])
            return self._day(number) if number < len(self._day_slices) else None
        if found := re.fullmatch(r"counters/(.+)\.json", own):
            counter = self._counters.get(found[1])
            return None if counter is None else self._counter(counter)
        return None

    @property
    def counter_pages(self) -> dict[str, CounterSnapshot]:
        """The counters by their names in addresses."""
        return self._counters

    @cached_property
    def _week_hours(self) -> list[int]:
        local = (hour.astimezone(self._zone) for hour in self.snapshot.hours)
        return [at.weekday() * 24 + at.hour for at in local]

    @cached_property
    def _day_slices(self) -> dict[str, slice]:
        """The published hours of each local day, by its date."""
        dates = [hour.astimezone(self._zone).date().isoformat() for hour in self.snapshot.hours]
        return {
            day: slice(dates.index(day), dates.index(day) + dates.count(day))
            for day in sorted(set(dates))
        }

    def _usual(self, counter: CounterSnapshot) -> list[float | None]:
        if counter.typical_week is None:
            return [None] * len(self._week_hours)
        return [counter.typical_week[hour] for hour in self._week_hours]

    @cached_property
    def _city(self) -> bytes:
        snapshot = self.snapshot
        rows = [(c, self._usual(c)) for c in snapshot.counters]
        forecast = [(c.predicted, usual) for c, usual in rows if c.predicted and not c.sum_of]
        totals = [
            _compared([(p[i], u[i]) for p, u in forecast]) for i in range(len(snapshot.hours))
        ]
        found = [pair for c in snapshot.published for pair in pairs(c)]
        champion = snapshot.champion
        return _json(
            {
                "first_hour": rfc3339(snapshot.hours[0]) if snapshot.hours else None,
                "hours": len(snapshot.hours),
                "days": [
                    {"date": day, "from": hours.start, "until": hours.stop}
                    for day, hours in self._day_slices.items()
                ],
                "totals": {
                    name: [round(total[i]) for total in totals]
                    for i, name in enumerate(("predicted", "compared", "usual"))
                },
                "counters": [self._listed(c, usual) for c, usual in rows],
                "conspicuous": find_conspicuous_counters(snapshot),
                "events": [event.model_dump(mode="json") for event in snapshot.events],
                # what a snapshot lacks is not added to its file, whose content must not change
                **({"weather": snapshot.weather.model_dump()} if snapshot.weather else {}),
                "accuracy": measure_accuracy(found),
                "growth": self._growth(snapshot.growth.growth if snapshot.growth else None),
                "champion": champion.model_dump(mode="json") if champion else None,
            }
        )

    def _listed(self, counter: CounterSnapshot, usual: Sequence[float | None]) -> dict[str, Any]:
        days = [
            _compared(list(zip(counter.predicted[part], usual[part], strict=True)))
            for part in self._day_slices.values()
            if counter.predicted
        ]
        return {
            "id": counter.counter_id,
            "file": file_name_of(counter.counter_id),
            "name": counter.counter_name or counter.counter_id,
            "latitude": counter.latitude,
            "longitude": counter.longitude,
            "site": counter.site and counter.site.model_dump(),
            "sum_of": list(counter.sum_of),
            "days": [round(predicted) for predicted, _, _ in days],
            "usual": [round(normal) for _, _, normal in days],
        }

    def _growth(self, growth: GrowthCard | None) -> dict[str, Any] | None:
        """Return a growth with the newer of its periods: its first day and how many it has."""
        periods = self.snapshot.growth
        if growth is None or periods is None:
            return None
        return {"now": periods.now.isoformat(), "days": periods.days, **growth.model_dump()}

    def _day(self, number: int) -> bytes:
        """Return a day's hours: predicted and usual bikes of each counter, in the city's order; null where unknown."""
        part = list(self._day_slices.values())[number]
        rows = [(c.predicted[part], self._usual(c)[part]) for c in self.snapshot.counters]
        return _json(
            {
                "predicted": [[round(v) for v in predicted] or None for predicted, _ in rows],
                "usual": [[None if v is None else round(v) for v in usual] for _, usual in rows],
            }
        )

    def _counter(self, counter: CounterSnapshot) -> bytes:
        quantiles = {n: getattr(counter, n, None) for n in _QUANTILES}
        return _json(
            {
                "id": counter.counter_id,
                "basis": counter.basis,
                "last_counted_at": counter.last_counted_at and rfc3339(counter.last_counted_at),
                "last_count": counter.last_count,
                "busy_threshold": counter.busy_threshold,
                **{name: _short(getattr(counter, name)) for name in _COLUMNS},
                **{name: _short(values) for name, values in quantiles.items() if values},
                "busy": counter.busy,
                "typical_week": counter.typical_week and _short(counter.typical_week),
                "recent_from": counter.recent_from and rfc3339(counter.recent_from),
                **{name: _short(getattr(counter, name)) for name in _PAST},
                "year_ago": _short(counter.year_ago),
                "days": describe_days(counter, self._zone),
                "accuracy": measure_accuracy(pairs(counter)),
                "continues": [each.model_dump(mode="json") for each in counter.continues],
                "sum_of": list(counter.sum_of),
                "fault": counter.fault and counter.fault.model_dump(mode="json"),
                "health": counter.health and counter.health.model_dump(),
                "growth": self._growth(counter.growth),
                "events": [
                    event.model_dump(mode="json", exclude={"counters"})
                    for event in self.snapshot.events
                    if event.counters is None or counter.counter_id in event.counters
                ],
            }
        )


def _compared(hours: Sequence[tuple[float, float | None]]) -> tuple[float, float, float]:
    """Return the sums of all forecasts, and of forecasts and usual values where the usual value is known."""
    known = [(predicted, usual) for predicted, usual in hours if usual is not None]
    return sum(p for p, _ in hours), sum(p for p, _ in known), sum(u for _, u in known)


def _short(values: Sequence[float | None]) -> list[float | None]:
    return [None if v is None else round(v, 1) for v in values]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def iterate_files(data: PageData) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file but the manifest."""
    for name in data.names():
        content = data.content(name)
        if content is not None:
            yield name, content
