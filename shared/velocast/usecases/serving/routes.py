"""The routes under /v1. Each reads its request, calls `fallback_chain`, and returns a response from `api_types`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, cast

from flask import Response, current_app, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from velocast.core.datetimes import HOUR
from velocast.usecases.serving import api_keys, fallback_chain
from velocast.usecases.serving.api_types import (
    MAX_RECORDS,
    AtQuery,
    ChampionAnswer,
    CityForecast,
    Counter,
    CounterForecast,
    CounterList,
    CounterPath,
    CounterPoint,
    ForecastQuery,
    Observation,
    Point,
    PredictAnswer,
    PredictBody,
)
from velocast.usecases.serving.metrics import ServingMetrics
from velocast.usecases.serving.predict import predict_records
from velocast.usecases.serving.problems import RequestRefused, problem_responses
from velocast.usecases.serving.snapshot_holder import SnapshotHolder
from velocast.usecases.serving.snapshot_index import SnapshotIndex, floor_hour
from velocast.usecases.snapshot_format import CounterSnapshot

EXTENSION = "velocast"
SECURITY_SCHEME = "ApiKey"
NO_SNAPSHOT = (
    "No forecasts are published yet. Ask the operator to run predict "
    "(gcloud pubsub topics publish velocast-predict --message='{}'), then try again."
)
WITHOUT_CHAMPION = "similar_days"


@dataclass(frozen=True)
class Service:
    """What the routes need. `now` returns the time of a request, since an HTTP request carries no event time.

    fresh_seconds: forecasts published longer ago are not fresh.
    """

    holder: SnapshotHolder
    keys: api_keys.KeyFile
    limiter: api_keys.Limiter
    metrics: ServingMetrics
    now: Callable[[], datetime]
    fresh_seconds: float

    def index(self) -> SnapshotIndex:
        """Return the current snapshot's index. Raises RequestRefused (503) before the first one is published."""
        index = self.holder.current()
        if index is None:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, NO_SNAPSHOT, {"Retry-After": "30"})
        return index


def service() -> Service:
    """Return the service of the running application."""
    return cast(Service, current_app.extensions[EXTENSION])


def json_response(answer: BaseModel) -> Response:
    """Return a response with a JSON body."""
    return Response(answer.model_dump_json(), content_type="application/json")


V1 = APIBlueprint(
    "v1",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="v1", description="Forecasts; every request needs an X-API-Key header.")],
    abp_security=[{SECURITY_SCHEME: []}],
    abp_responses=problem_responses(),
)


@V1.before_request
def admit() -> None:
    """Check the API key, the rate limit and the body of a request."""
    name = api_keys.authenticate(service().keys, request.headers.get("X-API-Key"))
    g.rate_headers = service().limiter.take(name, service().now())
    if request.method == "POST":
        _check_body(_read_body())


def _read_body() -> Any:
    if not request.is_json:
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body's content type is {request.mimetype or 'missing'}; send Content-Type: application/json.",
        )
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as exc:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, f'The body is not JSON ({exc}); send {{"records": [...]}}.'
        ) from exc


def _check_body(body: Any) -> None:
    records = body.get("records") if isinstance(body, dict) else None
    if isinstance(records, list) and len(records) > MAX_RECORDS:
        raise RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The request has {len(records)} records; send at most {MAX_RECORDS} per request.",
        )


@V1.get("/counters", responses={"200": CounterList})
def counters() -> Response:
    """All counters with position and last count."""
    index = service().index()
    snapshot = index.snapshot
    return json_response(
        CounterList(
            **_provenance(index),
            city=snapshot.city.name,
            time_zone=snapshot.city.time_zone,
            hours=list(snapshot.hours),
            counters=[_counter(c) for c in snapshot.counters],
        )
    )


@V1.get("/counters/<string:counter_id>/forecast", responses={"200": CounterForecast})
def counter_forecast(path: CounterPath, query: ForecastQuery) -> Response:
    """The next hours of one counter, with 90 % interval, origin and champion."""
    index = service().index()
    counter = index.by_id.get(path.counter_id)
    if counter is None:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND, f"No counter {path.counter_id!r}; GET /v1/counters lists them."
        )
    first, _ = index.current_hour(service().now())
    points = _coming(index, counter, first, query.hours)
    service().metrics.count_forecasts(p.basis for p in points)
    past = fallback_chain.past_hours(index, counter, first, query.observed)
    return json_response(
        CounterForecast(
            **_provenance(index),
            counter=_counter(counter),
            forecast=points,
            observed=[_observation(at, known) for at, known in past],
        )
    )


@V1.get("/forecast", responses={"200": CityForecast})
def city_forecast(query: AtQuery) -> Response:
    """All counters at one hour."""
    index = service().index()
    target = floor_hour(query.at) if query.at else index.current_hour(service().now())[0]
    points = [
        CounterPoint(
            counter_id=counter.counter_id,
            at=target,
            **fallback_chain.estimate(index, target, counter=counter)._asdict(),
        )
        for counter in index.snapshot.counters
    ]
    service().metrics.count_forecasts(p.basis for p in points)
    return json_response(CityForecast(**_provenance(index), at=target, forecasts=points))


@V1.post("/predict", responses={"200": PredictAnswer})
def predict(body: PredictBody) -> Response:
    """Predictions for any places and hours, in the order of the records, each with interval and basis."""
    index = service().index()
    predictions = predict_records(index, body)
    service().metrics.count_forecasts(p.basis for p in predictions)
    provenance = _provenance(index)
    if body.task == "affluence":
        provenance["champion"] = index.snapshot.busy_champion or index.snapshot.champion
    return json_response(PredictAnswer(**provenance, task=body.task, predictions=predictions))


@V1.get("/champion", responses={"200": ChampionAnswer})
def champion() -> Response:
    """The model behind the forecasts: version, metrics, training period."""
    index = service().index()
    card = index.snapshot.champion
    return json_response(
        ChampionAnswer(**_provenance(index), model_kind=card.kind if card else WITHOUT_CHAMPION)
    )


def _provenance(index: SnapshotIndex) -> dict[str, Any]:
    snapshot = index.snapshot
    return {
        "origin_at": snapshot.origin_at,
        "published_at": snapshot.published_at,
        "stale": index.current_hour(service().now())[1],
        "champion": snapshot.champion,
        "attribution": snapshot.city.attribution,
        "attribution_url": snapshot.city.attribution_url,
        "licence": snapshot.city.licence,
    }


def _coming(
    index: SnapshotIndex, counter: CounterSnapshot, first: datetime, hours: int
) -> list[Point]:
    """Return the next hours; the published ones are prepared once, because they are requested most."""
    start = index.hour_index(first)
    near = () if start is None else _published(index, counter)[start : start + hours]
    beyond = fallback_chain.coming_hours(
        index, counter, first + len(near) * HOUR, hours - len(near)
    )
    return [*near, *(Point(at=at, **estimate._asdict()) for at, estimate in beyond)]


def _published(index: SnapshotIndex, counter: CounterSnapshot) -> tuple[Point, ...]:
    points = index.points.get(counter.counter_id)
    if points is None:
        snapshot = index.snapshot
        hours = fallback_chain.coming_hours(index, counter, snapshot.hours[0], len(snapshot.hours))
        points = tuple(Point(at=at, **estimate._asdict()) for at, estimate in hours)
        index.points[counter.counter_id] = points
    return points


def _observation(at: datetime, known: fallback_chain.PastHour) -> Observation:
    forecast = Point(at=at, **known.forecast._asdict()) if known.forecast else None
    return Observation(
        at=at, bike_count=known.bike_count, typical_count=known.typical_count, forecast=forecast
    )


def _counter(counter: CounterSnapshot) -> Counter:
    return Counter(
        counter_id=counter.counter_id,
        counter_name=counter.counter_name,
        latitude=counter.latitude,
        longitude=counter.longitude,
        last_counted_at=counter.last_counted_at,
        last_count=counter.last_count,
    )
