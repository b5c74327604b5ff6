"""Parses single records of a city's answer. Pure and fast: a backfill has a million records."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from velocast.core.city import City
from velocast.core.datetimes import HOUR, start_of_hour

FIRST_YEAR = 1990  # no city counted bikes hourly before that
REASONS = (
    "not_json",
    "not_a_record",
    "missing_id",
    "unreadable_id",
    "missing_count",
    "unreadable_count",
    "negative_count",
    "fractional_count",
    "absurd_count",
    "missing_time",
    "unreadable_time",
    "absurd_time",
    "not_on_the_hour",
    "future_hour",
    "conflicting_duplicate",
)
_SEPARATORS = re.compile(r"[,\s\u00a0\u202f]")


class Count(NamedTuple):
    """The number of bikes at one counter in the hour that starts at `counted_at` (UTC)."""

    counter_id: str
    counted_at: datetime
    bike_count: int
    unknown_fields: tuple[str, ...] = ()


class Reject(NamedTuple):
    """A rejected record: one of REASONS, and its original text."""

    reason: str
    text: str


class CounterRecord(NamedTuple):
    """What a city publishes about a counter. A field is None if it is missing or cannot be parsed."""

    counter_id: str
    counter_name: str | None
    site_id: str | None
    site_name: str | None
    installed_on: date | None
    latitude: float | None
    longitude: float | None
    outside_city: bool = False


class _Refused(Exception):
    """Carries the reason out of the checks that reject a record."""


def read_record(line: bytes, city: City, *, as_of: datetime) -> Count | Reject:
    """Parse one JSON line of counts. A count of 3.0 becomes 3. Fields that were not requested are accepted and named.

    Hours are those of the city's clock, at half past in UTC in a zone like Adelaide's. One that is not over at
    `as_of` is rejected as future_hour, because its count cannot be complete.
    """
    try:
        record = _object(line)
        layout = city.counts.layout
        names = layout.counter
        counter_id = _counter_id(record.get(names.id[0]))
        counted_at = _hour(record.get(layout.time.columns[0]), city.time_zone)
        bike_count = _bikes(record.get(layout.values[0].column), city.largest_credible_count)
        if counted_at > as_of - HOUR:
            raise _Refused("future_hour")
    except _Refused as exc:
        return Reject(str(exc), line.decode("utf-8", "replace"))
    if len(record) == 3:
        return Count(counter_id, counted_at, bike_count)
    described = names.model_dump(exclude={"id", "crs"}).values()
    known = {*names.id, *layout.time.columns, layout.values[0].column, *described}
    return Count(counter_id, counted_at, bike_count, tuple(sorted(record.keys() - known)))


def read_counter(line: bytes, city: City) -> CounterRecord | None:
    """Parse one JSON line of the counters dataset; None without a usable id. An invalid field becomes None.

    So does a position outside the city's bounding box, and then `outside_city` is True.
    """
    names = city.counters.fields
    try:
        record = _object(line)
        counter_id = _counter_id(record.get(names.id[0]))
    except _Refused:
        return None
    latitude, longitude = _position(record.get(names.position))
    outside = latitude is not None and not city.bounding_box.contains(latitude, longitude or 0.0)
    site_id = _text(record.get(names.site_id))
    return CounterRecord(
        counter_id=counter_id,
        counter_name=_text(record.get(names.name)),
        # some exports write the number with thousands separators
        site_id=site_id and _SEPARATORS.sub("", site_id),
        site_name=_text(record.get(names.site_name)),
        installed_on=_day(record.get(names.installed_on)),
        latitude=None if outside else latitude,
        longitude=None if outside else longitude,
        outside_city=outside,
    )


def _object(line: bytes) -> dict[str, Any]:
    try:
        record = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _Refused("not_json") from None
    if not isinstance(record, dict):
        raise _Refused("not_a_record")
    return record


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


# created once: json.loads with an argument creates a decoder on every call
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _counter_id(value: Any) -> str:
    if value is None or value == "":
        raise _Refused("missing_id")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _Refused("unreadable_id")
    return value


def _hour(value: Any, time_zone: str) -> datetime:
    if value is None:
        raise _Refused("missing_time")
    moment, on_the_hour = _moment(value, time_zone) if isinstance(value, str) else (None, False)
    if moment is None:
        raise _Refused("unreadable_time")
    if moment.year < FIRST_YEAR:
        raise _Refused("absurd_time")
    if not on_the_hour:
        raise _Refused("not_on_the_hour")
    return moment


@lru_cache(maxsize=20_000)
def _moment(text: str, time_zone: str) -> tuple[datetime | None, bool]:
    """Return the instant in UTC, None where the text is none, and whether an hour of the city's clock begins then."""
    # all counters have the same hours, so nearly all of them are in the cache
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None, False
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, False
    try:
        return moment, start_of_hour(moment, ZoneInfo(time_zone)) == moment
    except OverflowError:  # at the ends of the calendar, where the year is absurd or to come
        return moment, True


def _bikes(value: Any, largest: int) -> int:
    if value is None:
        raise _Refused("missing_count")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("unreadable_count")
    if value < 0:
        raise _Refused("negative_count")
    if value > largest:
        raise _Refused("absurd_count")
    if value != int(value):
        raise _Refused("fractional_count")
    return int(value)


def _text(value: Any) -> str | None:
    text = str(value).strip() if isinstance(value, str | int) else ""
    try:
        text.encode("utf-8")  # an escaped lone surrogate is valid JSON but cannot be stored
    except UnicodeEncodeError:
        return None
    return text or None


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _position(value: Any) -> tuple[float | None, float | None]:
    """Return latitude and longitude in degrees from {"lon": ..., "lat": ...}; None for both if they are invalid."""
    try:
        position = float(value["lat"]), float(value["lon"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None, None
    return position if all(map(math.isfinite, position)) else (None, None)
