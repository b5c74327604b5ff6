"""Files as cities publish them, made of counts that are known: each shape that was seen, in small.

Each has a name, files, what a person answers, and the true hours. Nothing here is shared with the code under test: the
files are written with csv and json, and the clock is zoneinfo's.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

Truth = dict[tuple[str, datetime], int]


@dataclass(frozen=True)
class Published:
    """Files (path -> content) of a city, answers to what cannot be known, and the true counts by id and UTC hour."""

    name: str
    files: dict[str, bytes]
    zone: str
    truth: Truth
    answers: tuple[str, ...] = ()
    holidays: str = "none"
    marked: frozenset[tuple[str, datetime]] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Interval:
    """One counted interval: two directions of one counter."""

    counter: str
    start: datetime  # UTC
    one: int
    other: int

    @property
    def total(self) -> int:
        return self.one + self.other


def intervals(
    zone: str, first: str, days: int, step: int = 60, counters: tuple[str, ...] = ("A1", "B2", "C3")
) -> list[Interval]:
    """Return counts of all counters on unbroken intervals of whole local days, by time and counter."""
    chance = random.Random(f"{zone} {first} {step}")
    clock = ZoneInfo(zone)
    start = datetime.fromisoformat(first).replace(tzinfo=clock)
    end = (start.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=clock)
    moment, made = start.astimezone(UTC), []
    while moment < end.astimezone(UTC):
        hour = moment.astimezone(clock).hour
        busy = (
            1,
            1,
            1,
            1,
            2,
            6,
            20,
            60,
            80,
            40,
            30,
            30,
            34,
            30,
            32,
            40,
            70,
            90,
            60,
            36,
            20,
            12,
            8,
            4,
        )[hour]
        for place, counter in enumerate(counters, 1):
            most = max(1, busy * place * step // 60)
            made.append(Interval(counter, moment, chance.randint(0, most), chance.randint(0, most)))
        moment += timedelta(minutes=step)
    return made


def hours_of(counted: list[Interval], zone: str) -> Truth:
    """Add intervals up to hours that begin on the full hour of the city's clock."""
    found: Truth = {}
    for each in counted:
        past = each.start.astimezone(ZoneInfo(zone)).minute
        key = (each.counter, each.start - timedelta(minutes=past))
        found[key] = found.get(key, 0) + each.total
    return found


def local(each: Interval, zone: str, form: str, after: int = 0) -> str:
    """Write the start of an interval, or `after` minutes later, in the city's clock."""
    moment = each.start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(minutes=after)
    return moment.strftime(form)


def table(header: list[str], rows: Iterable[Iterable[object]], delimiter: str = ",") -> str:
    """Return a CSV."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def by_time(counted: list[Interval]) -> Iterator[list[Interval]]:
    """Group intervals that start together, in their order."""
    groups: dict[datetime, list[Interval]] = {}
    for each in counted:
        groups.setdefault(each.start, []).append(each)
    yield from groups.values()


def wide(
    zone: str,
    counted: list[Interval],
    form: str,
    time: str = "Date",
    delimiter: str = ",",
    name: str = "{}",
) -> str:
    header = [time, *[name.format(c) for c in dict.fromkeys(i.counter for i in counted)]]
    rows = [[local(g[0], zone, form), *[i.total for i in g]] for g in by_time(counted)]
    return table(header, rows, delimiter)


def long(
    zone: str,
    counted: list[Interval],
    header: list[str],
    row: Callable[[Interval], list[object]],
    delimiter: str = ",",
) -> str:
    return table(header, [row(each) for each in counted], delimiter)


def gzipped(text: str) -> bytes:
    return gzip.compress(text.encode())


def zipped(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()
