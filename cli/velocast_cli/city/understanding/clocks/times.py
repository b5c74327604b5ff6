"""Which columns hold the time of a record, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.city.reading import ISO
from velocast_cli.city.understanding import words
from velocast_cli.city.understanding.clocks.dates import Formats, read_formats

GAPS = {24: 60, 48: 30, 72: 20, 96: 15, 144: 10, 288: 5}  # intervals in a day: minutes of one


@dataclass
class TimeColumns:
    """The columns of the time: `columns` are joined with a space and written in `formats`.

    gap_column: a column with the number of the interval in its day, counted from first_gap. others: further columns
    that only repeat the time (its end, its year, its day). dated_only: the time is a day.
    """

    columns: list[str]
    formats: Formats
    gap_column: str | None = None
    first_gap: int = 1
    gap_minutes: int | None = None
    marks_end: bool = False
    end_column: str | None = None
    others: list[str] = field(default_factory=list)
    dated_only: bool = False

    @property
    def named_utc(self) -> bool:
        """Whether a heading says that the times are UTC."""
        return any(words.has(name, words.UTC_WORDS) for name in self.columns)

    def read(self, frame: pd.DataFrame, order: str | None) -> pd.Series:
        """Return the naive time of each row (instants in UTC where they have an offset), NaT where unreadable."""
        joined = frame[self.columns[0]]
        for name in self.columns[1:]:
            joined = joined.str.cat(frame[name], sep=" ")
        moments = parse(joined, self.formats.ordered(order))
        if self.gap_column:
            number = pd.to_numeric(frame[self.gap_column], errors="coerce") - self.first_gap
            moments = moments + pd.to_timedelta(number * (self.gap_minutes or 60), unit="min")
        return moments


def parse(texts: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    """Return the times of texts, each in the first format that fits; with an offset they become naive UTC."""
    codes, values = pd.factorize(texts)
    pool = pd.Series(values, dtype=object)
    found = pd.Series(pd.NaT, index=pool.index, dtype="datetime64[us]")
    for each in formats:
        todo = found.isna()
        if not todo.any():
            break
        found[todo] = _parse(pool[todo], each)
    filled = pd.concat([found, pd.Series([pd.NaT], dtype="datetime64[us]")], ignore_index=True)
    return pd.Series(filled.to_numpy()[codes], index=texts.index)


def _parse(texts: pd.Series, form: str) -> pd.Series:
    if form.startswith("epoch"):
        unit: Any = "ms" if form.endswith("ms") else "s"
        numbers = pd.to_numeric(texts, errors="coerce")
        return pd.to_datetime(numbers, unit=unit, errors="coerce").astype("datetime64[us]")
    late = texts.str.contains(r"(?:^|[T ])24[:.hH]00", regex=True, na=False)
    if "%H" in form and late.any():  # the end of a day as 24:00
        texts = texts.str.replace(r"((?:^|[T ]))24([:.hH]00)", r"\g<1>00\2", regex=True)
    moments = pd.to_datetime(
        texts, errors="coerce", utc=True, format="ISO8601" if form == ISO else form
    )
    naive = moments.dt.tz_localize(None)
    if "%H" in form and late.any():
        naive = naive + pd.to_timedelta(late.astype(int), unit="D")
    return pd.Series(naive.astype("datetime64[us]"))


def find_time(frame: pd.DataFrame) -> TimeColumns | None:
    """Return the time's columns; None where no column has dates."""
    found = {name: f for name in frame.columns if (f := _formats_of(frame, name)) is not None}
    dated = {n: f for n, f in found.items() if f.has_date and not _is_something_else(n, f)}
    if not dated:  # nothing else can be the time
        dated = {n: f for n, f in found.items() if f.epoch and not words.has(n, words.NOT_THE_TIME)}
    clock = {n: f for n, f in found.items() if not f.has_date and f.has_time}
    full = {n: f for n, f in dated.items() if f.has_time and not _always_midnight(frame, n, f)}
    if full:
        return _full_time(frame, full, set(dated) | set(clock))
    days = {n: f for n, f in dated.items() if n not in full} or {}
    if days:
        return _day_and_time(frame, days, clock)
    return _from_numbers(frame, clock)


def _formats_of(frame: pd.DataFrame, name: str) -> Formats | None:
    cells = frame[name].dropna()
    if cells.empty or len(cells) < 0.5 * len(frame):
        return None
    values = pd.unique(cells)
    first = values[:200]
    if read_formats(first) is None:
        return None
    return read_formats(values)


def _is_something_else(name: str, formats: Formats) -> bool:
    """Return whether a column with dates is about something else, or has numbers that only look like dates."""
    if words.has(name, words.NOT_THE_TIME):
        return True
    numbers_only = set(formats.formats) <= {
        "epoch_s",
        "epoch_ms",
        "%Y%m%d",
        "%Y%m%d%H%M",
        "%Y%m%d%H%M%S",
    }
    return numbers_only and not words.has(name, words.TIMES)


def _always_midnight(frame: pd.DataFrame, name: str, formats: Formats) -> bool:
    if formats.has_offset:
        return False
    moments = parse(
        pd.Series(pd.unique(frame[name].dropna()), dtype=object), formats.ordered()
    ).dropna()
    return bool(len(moments)) and bool((moments == moments.dt.normalize()).all())


def _full_time(frame: pd.DataFrame, full: dict[str, Formats], all_times: set[str]) -> TimeColumns:
    def score(name: str) -> tuple[float, ...]:
        formats = full[name]
        return (
            not words.has(name, words.END),
            formats.has_offset and not formats.epoch,
            words.has(name, words.UTC_WORDS),
            formats.has_offset,
            frame[name].nunique(),
            words.has(name, words.TIMES),
            -list(frame.columns).index(name),
        )

    best = max(full, key=score)
    ends = [n for n in full if n != best and words.has(n, words.END)]
    return TimeColumns(
        [best],
        full[best],
        marks_end=words.has(best, words.END) and not words.has(best, words.START),
        end_column=ends[0] if ends else None,
        others=sorted(all_times - {best}),
    )


def _day_and_time(
    frame: pd.DataFrame, days: dict[str, Formats], clock: dict[str, Formats]
) -> TimeColumns:
    day = max(
        days,
        key=lambda n: (not words.has(n, words.END), words.has(n, words.TIMES), frame[n].nunique()),
    )
    others = [n for n in [*days, *clock] if n != day]
    starts = [n for n in clock if not words.has(n, words.END)] or list(clock)
    if starts:
        best = max(
            starts, key=lambda n: (frame[n].nunique(), words.has(n, words.START | words.TIMES))
        )
        ends = [n for n in clock if n != best and words.has(n, words.END)]
        joined = Formats(
            [
                f"{_written(frame, day, d)} {t}"
                for d in days[day].formats
                for t in clock[best].formats
            ],
            has_date=True,
            has_time=True,
            has_offset=clock[best].has_offset,
            order=days[day].order,
            short_year=days[day].short_year,
            contradictory=days[day].contradictory,
            shown=days[day].shown,
        )
        return TimeColumns(
            [day, best],
            joined,
            marks_end=words.has(best, words.END) and not words.has(best, words.START),
            end_column=ends[0] if ends else None,
            others=[n for n in others if n != best],
        )
    made = TimeColumns([day], days[day], others=others)
    if gap := _gap_column(frame, day):
        made.gap_column, made.first_gap, made.gap_minutes = gap
    else:
        made.dated_only = True
    return made


def _written(frame: pd.DataFrame, day: str, form: str) -> str:
    """Return a strptime format of a day, with the midnight that it may have as plain text."""
    text = str(frame[day].dropna().iloc[0])
    if form == ISO:
        return "%Y-%m-%d" + text[10:]
    for mark in ("%H", "%I", "%M", "%S", "%f", "%p"):
        if mark in form:
            head = min(i for m in ("%H", "%I") if (i := form.find(m)) >= 0)
            return form[:head] + text.split(" ", 1)[-1]
    return form


def _gap_column(frame: pd.DataFrame, day: str) -> tuple[str, int, int] | None:
    """Return the column with the number of the interval in its day, the first number, and the minutes of one."""
    best: tuple[float, str, int, int] | None = None
    for name in frame.columns:
        if name == day or not (words.has(name, _GAP_WORDS) or name.casefold() in {"h", "hh", "hr"}):
            continue
        numbers = pd.to_numeric(frame[name], errors="coerce").dropna()
        if len(numbers) < 0.9 * len(frame) or (numbers % 1 != 0).any() or numbers.empty:
            continue
        low, high, distinct = int(numbers.min()), int(numbers.max()), numbers.nunique()
        if low not in (0, 1) or high - low + 1 not in GAPS or distinct < 0.75 * (high - low + 1):
            continue
        if best is None or distinct > best[0]:
            best = (distinct, name, low, GAPS[high - low + 1])
    return best and best[1:]


_GAP_WORDS = frozenset(
    [
        "gap",
        "interval",
        "intervall",
        "slot",
        "hour",
        "hours",
        "heure",
        "stunde",
        "hora",
        "ora",
        "uur",
        "tijdvak",
        "timme",
        "time",
        "godzina",
        "hodina",
        "ora",
        "tunti",
        "std",
        "hourday",
        "viertelstunde",
        "quarter",
        "period",
        "periode",
        "creneau",
        "tranche",
    ]
)


def _from_numbers(frame: pd.DataFrame, clock: dict[str, Formats]) -> TimeColumns | None:
    """Return a time whose year, month, day (and hour) are columns of their own."""
    year = _number_column(
        frame, "year jahr annee ano anno jaar ar rok vuosi", lambda v: 1990 <= v <= 2099
    )
    month = _number_column(
        frame,
        "month monat mois mes mese maand manad maned miesiac mesic kuukausi",
        lambda v: 1 <= v <= 12,
    )
    day = _number_column(
        frame, "day tag jour dia giorno dag dzien den paiva mdate", lambda v: 1 <= v <= 31
    )
    if not (year and month and day):
        return None
    columns, form = [year, month, day], "%Y %m %d"
    made = TimeColumns(columns, Formats([form], has_date=True))
    if clock:
        best = max(clock, key=lambda n: frame[n].nunique())
        made.columns, made.formats.formats = (
            [*columns, best],
            [f"{form} {t}" for t in clock[best].formats],
        )
        made.formats.has_time = True
        made.others = [n for n in clock if n != best]
    elif gap := _gap_column(frame, day):
        made.gap_column, made.first_gap, made.gap_minutes = gap
    else:
        made.dated_only = True
    return made


def _number_column(frame: pd.DataFrame, names: str, inside: Callable[[float], bool]) -> str | None:
    wanted = frozenset(names.split())
    for name in frame.columns:
        if words.tokens(name)[-1:] and words.tokens(name)[-1] in wanted:
            numbers = pd.to_numeric(frame[name], errors="coerce").dropna()
            if len(numbers) > 0.9 * len(frame) and all(inside(v) for v in np.unique(numbers)):
                return str(name)
    return None
