"""POST /v1/predict: find the place of each record and forecast it."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from velocast.core.datetimes import rfc3339
from velocast.usecases.serving.api_types import PredictBody, Prediction, PredictRecord, PredictTask
from velocast.usecases.serving.fallback_chain import estimate
from velocast.usecases.serving.problems import RequestRefused
from velocast.usecases.serving.snapshot_index import SnapshotIndex, name_key
from velocast.usecases.snapshot_format import CounterSnapshot

REPORTED = 20


# A typical week is the median of this many weeks, so it says nothing of a season further away.
WEEKS_KNOWN = 8


class Place(NamedTuple):
    """The place of a record: a known counter, or a position (latitude, longitude), or both."""

    counter: CounterSnapshot | None
    position: tuple[float, float] | None


class _NoSuchPlace(Exception):
    """A record names a counter that does not exist, or a name that several have, or a place or hour too far away."""


def predict_records(index: SnapshotIndex, body: PredictBody) -> list[Prediction]:
    """Forecast every record, in order.

    Raises RequestRefused (422) naming each record whose place is unknown or outside the city, or whose hour is so far
    from the published ones that nothing is known about it.
    """
    places: list[Place] = []
    errors: list[dict[str, str]] = []
    for number, record in enumerate(body.records):
        try:
            _check_hour(index, record)
            places.append(find_place(index, record))
        except _NoSuchPlace as exc:
            errors.append({"where": f"records.{number}", "what": str(exc)})
    if errors:
        detail = f"{errors[0]['where']}: {errors[0]['what']}"
        raise RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors[:REPORTED])
    return [
        _prediction(index, record, place, body.task)
        for record, place in zip(body.records, places, strict=True)
    ]


def find_place(index: SnapshotIndex, record: PredictRecord) -> Place:
    """Return the counter that a record names, and its position: an unknown counter with a position is accepted."""
    position = _position(record)
    if position is not None:
        _check_inside(index, position)
    if record.counter_id is not None:
        counter = index.by_id.get(record.counter_id)
    elif record.counter_name is not None:
        counter = _by_name(index, record.counter_name)
    else:
        return Place(None, position)
    if counter is None and position is None:
        wanted = record.counter_id or record.counter_name
        raise _NoSuchPlace(
            f"no counter {wanted!r}; GET /v1/counters lists them, or give latitude and longitude"
        )
    return Place(counter, position)


def _position(record: PredictRecord) -> tuple[float, float] | None:
    if record.latitude is None or record.longitude is None:
        return None
    return record.latitude, record.longitude


def _check_hour(index: SnapshotIndex, record: PredictRecord) -> None:
    origin = index.snapshot.origin_at
    first, last = origin - timedelta(weeks=WEEKS_KNOWN), origin + timedelta(weeks=WEEKS_KNOWN)
    if not first <= record.at < last:
        raise _NoSuchPlace(
            f"nothing is known about {rfc3339(record.at)}; give an hour from {rfc3339(first)} to {rfc3339(last)}, "
            f"{WEEKS_KNOWN} weeks around the published forecasts"
        )


def _check_inside(index: SnapshotIndex, position: tuple[float, float]) -> None:
    area = index.area
    latitude, longitude = position
    if area and not (area.south <= latitude <= area.north and area.west <= longitude <= area.east):
        raise _NoSuchPlace(
            f"{latitude}, {longitude} is not in {index.snapshot.city.name}; give a latitude from {area.south:g} to "
            f"{area.north:g} and a longitude from {area.west:g} to {area.east:g}"
        )


def _by_name(index: SnapshotIndex, name: str) -> CounterSnapshot | None:
    found = index.by_name.get(name_key(name), ())
    if len(found) > 1:
        ids = ", ".join(c.counter_id for c in found)
        raise _NoSuchPlace(
            f"{len(found)} counters are called {name!r} ({ids}); give the counter_id"
        )
    return found[0] if found else None


def _prediction(
    index: SnapshotIndex, record: PredictRecord, place: Place, task: PredictTask
) -> Prediction:
    at = index.hour_of(record.at)
    found = estimate(index, at, counter=place.counter, position=place.position)
    chance = found.busy_probability
    busy = (
        chance >= index.snapshot.busy_from if task == "affluence" and chance is not None else None
    )
    return Prediction(
        at=at,
        counter_id=place.counter.counter_id if place.counter else record.counter_id,
        counter_name=place.counter.counter_name if place.counter else record.counter_name,
        busy=busy,
        **found._asdict(),
    )
