"""The routes under /v1. Each reads its request, calls `fallback_chain`, and returns a response from `api_types`."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from velocast.core.datetimes import HOUR
from velocast.usecases.serving import fallback_chain
from velocast.usecases.serving.admission import admit
from velocast.usecases.serving.api_types import (
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
from velocast.usecases.serving.predict import predict_records
from velocast.usecases.serving.problems import RequestRefused, problem_responses
from velocast.usecases.serving.service import json_response, service
from velocast.usecases.serving.snapshot_index import CachedAnswer, SnapshotIndex
from velocast.usecases.snapshot_format import CounterSnapshot

SECURITY_SCHEME = "ApiKey"
WITHOUT_CHAMPION = "similar_days"
# One response has 10 to 40 KB; a page shows one counter at a time, so few are asked for again and again.
MAX_CACHED_ANSWERS = 300


V1 = APIBlueprint(
    "v1",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="v1", description="Forecasts; every request needs an X-API-Key header.")],
    abp_security=[{SECURITY_SCHEME: []}],
    abp_responses=problem_responses(),
)
V1.before_request(admit)


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
        raise RequestRefused(HTTPStatus.NOT_FOUND, _missing(index, path.counter_id))
    current = index.current_hour(service().now())
    key = (counter.counter_id, query.hours, query.observed, current)
    answer = index.answers.get(key)
    if answer is None:
        answer = _forecast_answer(index, counter, current[0], query)
        if len(index.answers) >= MAX_CACHED_ANSWERS:
            index.answers.clear()
        index.answers[key] = answer
    service().metrics.count_forecasts(answer.bases)
    return Response(answer.text, content_type="application/json")


def _missing(index: SnapshotIndex, counter_id: str) -> str:
    for counter in index.snapshot.counters:
        for ended in counter.continues:
            if ended.counter_id == counter_id:
                return f"Counter {counter_id!r} ended on {ended.until:%Y-%m-%d}; {counter.counter_id!r} continues it."
    return f"No counter {counter_id!r}; GET /v1/counters lists them."


def _forecast_answer(
    index: SnapshotIndex, counter: CounterSnapshot, first: datetime, query: ForecastQuery
) -> CachedAnswer:
    points = _coming(index, counter, first, query.hours)
    past = fallback_chain.past_hours(index, counter, first, query.observed)
    answer = CounterForecast(
        **_provenance(index),
        counter=_counter(counter),
        forecast=points,
        observed=[_observation(at, known) for at, known in past],
    )
    return CachedAnswer(answer.model_dump_json(), Tally(p.basis for p in points))


@V1.get("/forecast", responses={"200": CityForecast})
def city_forecast(query: AtQuery) -> Response:
    """All counters at one hour, without virtual sums of them."""
    index = service().index()
    target = index.hour_of(query.at) if query.at else index.current_hour(service().now())[0]
    points = [
        CounterPoint(
            counter_id=counter.counter_id,
            at=target,
            **fallback_chain.estimate(index, target, counter=counter)._asdict(),
        )
        for counter in index.snapshot.published
    ]
    service().metrics.count_forecasts(Tally(p.basis for p in points))
    return json_response(CityForecast(**_provenance(index), at=target, forecasts=points))


@V1.post("/predict", responses={"200": PredictAnswer})
def predict(body: PredictBody) -> Response:
    """Predictions for any places and hours, in the order of the records, each with interval and basis."""
    index = service().index()
    predictions = predict_records(index, body)
    service().metrics.count_forecasts(Tally(p.basis for p in predictions))
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
        "clock": snapshot.clock,
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
        fault=counter.fault,
        continues=list(counter.continues),
        sum_of=list(counter.sum_of),
    )
