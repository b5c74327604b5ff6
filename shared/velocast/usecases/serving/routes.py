"""The routes under /v1: each reads its question, asks `serving_answers`, and writes one of `serving_types`."""

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
from velocast.usecases.serving import answers, api_keys
from velocast.usecases.serving import predict as serving_predict
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
from velocast.usecases.serving.lookup import Board, floor_hour
from velocast.usecases.serving.metrics import ServingMetrics
from velocast.usecases.serving.problems import Refused, described
from velocast.usecases.serving.snapshot_holder import SnapshotHolder
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
    """What the routes work with. `now` is the time of a request: an HTTP service has no event to take it from."""

    holder: SnapshotHolder
    keys: api_keys.KeyFile
    limiter: api_keys.Limiter
    metrics: ServingMetrics
    now: Callable[[], datetime]

    def board(self) -> Board:
        """Return the snapshot to answer from. Raises Refused (503) before the first one is published."""
        board = self.holder.current()
        if board is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, NO_SNAPSHOT, {"Retry-After": "30"})
        return board


def service() -> Service:
    """Return what the running application works with."""
    return cast(Service, current_app.extensions[EXTENSION])


def as_json(answer: BaseModel) -> Response:
    """Write an answer."""
    return Response(answer.model_dump_json(), content_type="application/json")


V1 = APIBlueprint(
    "v1",
    __name__,
    url_prefix="/v1",
    abp_tags=[Tag(name="v1", description="Forecasts; every call needs X-API-Key.")],
    abp_security=[{SECURITY_SCHEME: []}],
    abp_responses=described(),
)


@V1.before_request
def admit() -> None:
    """Let a request in: a known key, not too often, and a body of a size and kind that can be read."""
    name = api_keys.authenticate(service().keys, request.headers.get("X-API-Key"))
    g.rate_headers = service().limiter.take(name, service().now())
    if request.method == "POST":
        _check_body(_read_body())


def _read_body() -> Any:
    if not request.is_json:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body is {request.mimetype or 'of no type'}; send Content-Type: application/json.",
        )
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as exc:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f'The body is not JSON ({exc}); send {{"records": [...]}}.'
        ) from exc


def _check_body(body: Any) -> None:
    records = body.get("records") if isinstance(body, dict) else None
    if isinstance(records, list) and len(records) > MAX_RECORDS:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"{len(records)} records; send at most {MAX_RECORDS} at a time.",
        )


@V1.get("/counters", responses={"200": CounterList})
def counters() -> Response:
    """Counters with position and last count."""
    board = service().board()
    snapshot = board.snapshot
    return as_json(
        CounterList(
            **_provenance(board),
            city=snapshot.city.name,
            time_zone=snapshot.city.time_zone,
            hours=list(snapshot.hours),
            counters=[_counter(c) for c in snapshot.counters],
        )
    )


@V1.get("/counters/<string:counter_id>/forecast", responses={"200": CounterForecast})
def counter_forecast(path: CounterPath, query: ForecastQuery) -> Response:
    """The coming hours of one counter, with 90 % interval, origin and champion."""
    board = service().board()
    counter = board.by_id.get(path.counter_id)
    if counter is None:
        raise Refused(
            HTTPStatus.NOT_FOUND, f"No counter {path.counter_id!r}; GET /v1/counters lists them."
        )
    first, _ = board.current_hour(service().now())
    points = _coming(board, counter, first, query.hours)
    service().metrics.served(p.basis for p in points)
    past = answers.past(board, counter, first, query.observed)
    return as_json(
        CounterForecast(
            **_provenance(board),
            counter=_counter(counter),
            forecast=points,
            observed=[_observation(at, known) for at, known in past],
        )
    )


@V1.get("/forecast", responses={"200": CityForecast})
def city_forecast(query: AtQuery) -> Response:
    """Every counter at one hour."""
    board = service().board()
    target = floor_hour(query.at) if query.at else board.current_hour(service().now())[0]
    points = [
        CounterPoint(
            counter_id=counter.counter_id,
            at=target,
            **answers.estimate(board, target, counter=counter)._asdict(),
        )
        for counter in board.snapshot.counters
    ]
    service().metrics.served(p.basis for p in points)
    return as_json(CityForecast(**_provenance(board), at=target, forecasts=points))


@V1.post("/predict", responses={"200": PredictAnswer})
def predict(body: PredictBody) -> Response:
    """Predictions for places and hours of one's own choice, in order, each with interval and basis."""
    board = service().board()
    predictions = serving_predict.predict(board, body)
    service().metrics.served(p.basis for p in predictions)
    said_by = _provenance(board)
    if body.task == "affluence":
        said_by["champion"] = board.snapshot.busy_champion or board.snapshot.champion
    return as_json(PredictAnswer(**said_by, task=body.task, predictions=predictions))


@V1.get("/champion", responses={"200": ChampionAnswer})
def champion() -> Response:
    """The model behind the forecasts: version, metrics, trained range."""
    board = service().board()
    card = board.snapshot.champion
    return as_json(
        ChampionAnswer(**_provenance(board), model_kind=card.kind if card else WITHOUT_CHAMPION)
    )


def _provenance(board: Board) -> dict[str, Any]:
    snapshot = board.snapshot
    return {
        "origin_at": snapshot.origin_at,
        "published_at": snapshot.published_at,
        "stale": board.current_hour(service().now())[1],
        "champion": snapshot.champion,
        "attribution": snapshot.city.attribution,
        "attribution_url": snapshot.city.attribution_url,
        "licence": snapshot.city.licence,
    }


def _coming(board: Board, counter: CounterSnapshot, first: datetime, hours: int) -> list[Point]:
    """Return the coming hours; those that were published are made ready once, for they are asked for most."""
    start = board.hour_index(first)
    near = () if start is None else _published(board, counter)[start : start + hours]
    beyond = answers.coming(board, counter, first + len(near) * HOUR, hours - len(near))
    return [*near, *(Point(at=at, **estimate._asdict()) for at, estimate in beyond)]


def _published(board: Board, counter: CounterSnapshot) -> tuple[Point, ...]:
    points = board.points.get(counter.counter_id)
    if points is None:
        snapshot = board.snapshot
        hours = answers.coming(board, counter, snapshot.hours[0], len(snapshot.hours))
        points = tuple(Point(at=at, **estimate._asdict()) for at, estimate in hours)
        board.points[counter.counter_id] = points
    return points


def _observation(at: datetime, known: answers.Past) -> Observation:
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
