"""Events and closures that are known beforehand: one CSV, which the city's file names and which is read with it."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator

from velocast.core.city.area import BoundingBox
from velocast.core.city.reading import Strict
from velocast.core.errors import SettingsError

COLUMNS = ("since", "until", "counters", "area", "what", "kind")
NEEDED = ("since", "what", "kind")
SHOWN_ERRORS = 5
CORNERS = 4


class PlannedEvent(Strict):
    """An event or a closure, and the counters that it concerns: all without `counters` and `area`.

    A date is a whole day of the city's clock, and as `until` the last one; a time is one of that clock, and as `until`
    the end, itself excluded. area: a box, or a part of the counters' names.
    """

    since: str = Field(description="First day (ISO 8601), or a time such as 2026-07-14 18:00.")
    until: str | None = Field(
        None, description="Last day, or the time of the end. Without it: until further notice."
    )
    counters: tuple[str, ...] = Field((), description="Ids or whole names of counters.")
    area: BoundingBox | str | None = Field(None, description="A box, or a part of their names.")
    what: str = Field(min_length=1, description="What people are told, such as: Bridge closed.")
    kind: Literal["closure", "event"] = Field(
        description="closure: no bike can pass as usual, so these hours are neither learned from nor scored. event: "
        "bikes are counted rightly, however unusual, so no fault is seen in these hours."
    )

    @field_validator("since", "until", mode="before")
    @classmethod
    def _moment(cls, value: object) -> object:
        text = value.isoformat() if isinstance(value, date) else value  # as YAML reads it
        if isinstance(text, str):
            _parsed(text)
        return text

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        zone = ZoneInfo("UTC")  # which one does not matter here
        end = self.ends(zone)
        if end is not None and end <= self.begins(zone):
            raise ValueError(f"until {self.until} is not after since {self.since}; exchange them")
        return self

    def begins(self, zone: ZoneInfo) -> datetime:
        """Return the start, aware."""
        return _start(_parsed(self.since), zone)

    def ends(self, zone: ZoneInfo) -> datetime | None:
        """Return the end, itself excluded; None until further notice."""
        if self.until is None:
            return None
        end = _parsed(self.until)
        return _start(end if isinstance(end, datetime) else end + timedelta(days=1), zone)

    def concerns(
        self, counter_id: str, name: str | None, latitude: float | None, longitude: float | None
    ) -> bool:
        """Return whether a counter is one of those that it concerns."""
        if self.counters:
            return counter_id in self.counters or name in self.counters
        if isinstance(self.area, BoundingBox):
            placed = latitude is not None and longitude is not None
            return placed and self.area.contains(latitude, longitude)  # type: ignore[arg-type]  # placed
        return self.area is None or self.area.casefold() in (name or "").casefold()


def read_events(data: bytes, place: str) -> tuple[PlannedEvent, ...]:
    """Return the events of a CSV: comma or semicolon, UTF-8, a heading with NEEDED and any other of COLUMNS.

    counters: ids or names with spaces around `|` allowed between them. area: south, west, north and east, separated by
    spaces, or a part of names. place: the file, for messages. Raises SettingsError naming lines and what to do.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{place} is not UTF-8 ({exc}); save it as CSV in UTF-8") from exc
    heading = text.partition("\n")[0]
    rows = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=";" if heading.count(";") > heading.count(",") else ",",
    )
    named = [(name or "").strip().casefold() for name in rows.fieldnames or ()]
    missing = [name for name in NEEDED if name not in named]
    unknown = [name for name in named if name not in COLUMNS]
    if missing or unknown:
        raise SettingsError(
            f"{place}, line 1: the columns are {', '.join(named) or 'none'}; write {','.join(COLUMNS)}, of which "
            f"{', '.join(NEEDED)} are needed"
        )
    rows.fieldnames = named
    events, wrong = [], []
    for row in rows:
        try:
            events.append(_event(row))
        except ValueError as exc:
            wrong.append(f"{place}, line {rows.line_num}: {_said(exc)}")
    if wrong:
        more = f" (and {len(wrong) - SHOWN_ERRORS} more)" if len(wrong) > SHOWN_ERRORS else ""
        raise SettingsError("; ".join(wrong[:SHOWN_ERRORS]) + more)
    return tuple(events)


def _event(row: dict[str, str]) -> PlannedEvent:
    if None in row or None in row.values():
        raise ValueError(
            'it has a different number of columns from line 1; put a text with the separator into "quotes"'
        )
    cells = {name: value.strip() for name, value in row.items()}
    if cells.get("counters") and cells.get("area"):
        raise ValueError("give counters or area, not both")
    values = {
        name: value for name, value in cells.items() if value and name not in ("counters", "area")
    }
    counters = tuple(each.strip() for each in cells.get("counters", "").split("|") if each.strip())
    return PlannedEvent(**values, counters=counters, area=_area(cells.get("area", "")))


def _area(text: str) -> BoundingBox | str | None:
    try:
        corners = [float(each) for each in text.split()]
    except ValueError:
        return text
    if not corners:
        return None
    if len(corners) != CORNERS or corners[0] > corners[2] or corners[1] > corners[3]:
        raise ValueError(
            f"area {text!r} is no box; write south west north east in degrees, or a part of names"
        )
    return BoundingBox(**dict(zip(("south", "west", "north", "east"), corners, strict=True)))


def _said(exc: ValueError) -> str:
    if not isinstance(exc, ValidationError):
        return str(exc)
    return "; ".join(_problem(each["loc"], each["msg"]) for each in exc.errors())


def _problem(where: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, where))
    said = message.removeprefix("Value error, ")
    return f"{name}: {said}" if name else said


def _parsed(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a date like 2026-07-14 nor a time like 2026-07-14 18:00"
        ) from None


def _start(moment: date | datetime, zone: ZoneInfo) -> datetime:
    at = moment if isinstance(moment, datetime) else datetime.combine(moment, datetime.min.time())
    return at.replace(tzinfo=zone) if at.tzinfo is None else at
