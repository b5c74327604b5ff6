"""Requests and responses of the API. The OpenAPI document is generated from these classes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from velocast.usecases.snapshot_format import Basis, ChampionCard, Clock, ContinuedCard, FaultCard

MAX_RECORDS = 1_000
MAX_HOURS = 120
MAX_RECENT_HOURS = 336

FIRST_YEAR, LAST_YEAR = 2000, 2100


def _credible(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"year {at.year}; give a time from {FIRST_YEAR} to {LAST_YEAR - 1}")
    return at.astimezone(UTC)


PredictTask = Literal[
    "count", "affluence"
]  # the API's own words: a count is what the task `forecast` makes
CredibleTime = Annotated[AwareDatetime, AfterValidator(_credible)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


@cache
def _plain_schema(question: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = super(_Question, question).model_json_schema()  # type: ignore[misc]
    return schema


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema. flask-openapi3 requests the plain schema every time, so it is cached."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        return _plain_schema(cls)


class Problem(_Answer):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


class Health(_Answer):
    """The process is alive."""

    status: Literal["alive"] = "alive"
    version: str


class Readiness(_Answer):
    """A snapshot is loaded. `age_seconds`: time since it was published. `stale`: all of its hours are in the past.

    fresh: it is not older than `fresh_hours` in thresholds.yaml; Cloud Monitoring's uptime check reads it.
    """

    status: Literal["ready"] = "ready"
    origin_at: AwareDatetime
    published_at: AwareDatetime
    age_seconds: float
    fresh: bool
    stale: bool
    counters: int


class Provenance(_Answer):
    """Where a response comes from.

    origin_at: forecasts use only counts before this time. published_at: when the forecasts were published.
    stale: the current time is outside the published hours, so the response starts at `published_at` instead.
    clock: `replay` when stored counts of the past are played again: the time is then that of `published_at`.
    champion: the model behind the forecasts; null before the first promotion, when forecasts are means of similar days.
    attribution, licence: null where the city states none.
    """

    origin_at: AwareDatetime
    published_at: AwareDatetime
    stale: bool
    clock: Clock
    champion: ChampionCard | None
    attribution: str | None
    attribution_url: str | None
    licence: str | None


class Counter(_Answer):
    """A counter, its position (degrees, WGS 84) and its last usable count. fault: null while it works.

    continues: counters that have ended and whose history it continues. sum_of: the counters that a virtual sum adds up;
    do not add it to them.
    """

    counter_id: str
    counter_name: str | None
    latitude: float | None
    longitude: float | None
    last_counted_at: AwareDatetime | None
    last_count: float | None
    fault: FaultCard | None
    continues: list[ContinuedCard]
    sum_of: list[str]


class Point(_Answer):
    """One forecast hour: bikes in the hour that starts at `at` (UTC), and the 90 % interval.

    predicted_count is the mean; lower and upper are the 5 % and 95 % quantiles.
    q25, q50, q75: quantiles; null where only an interval is known.
    busy_probability: probability that the count exceeds the counter's 75th percentile of 28 days; null when unknown.
    basis: what the forecast is based on.
    """

    at: AwareDatetime
    predicted_count: float
    lower: float
    q25: float | None
    q50: float | None
    q75: float | None
    upper: float
    busy_probability: float | None
    basis: Basis


class Observation(_Answer):
    """One past hour: the bikes counted (null: no usable count, or not published yet) and the expected number.

    typical_count: count of the counter's typical week at that hour. forecast: null before the first published hour.
    """

    at: AwareDatetime
    bike_count: float | None
    typical_count: float | None
    forecast: Point | None


class CounterPoint(Point):
    """One counter's forecast hour."""

    counter_id: str


class CounterList(Provenance):
    """Every counter of the city."""

    city: str
    time_zone: str
    hours: list[AwareDatetime] = Field(description="The hours covered by the published forecasts.")
    counters: list[Counter]


class CounterForecast(Provenance):
    """The next hours of one counter and, if requested, the hours before them."""

    counter: Counter
    forecast: list[Point]
    observed: list[Observation]


class CityForecast(Provenance):
    """The forecasts of all counters for one hour."""

    at: AwareDatetime
    forecasts: list[CounterPoint]


class ChampionAnswer(Provenance):
    """The model behind the forecasts; model_kind is `similar_days` when there is no champion."""

    model_kind: str


def _given(*names: str, kind: str) -> JsonDict:
    return {"required": list(names), "properties": {name: {"type": kind} for name in names}}


_POSITION = _given("latitude", "longitude", kind="number")
_NO_POSITION: JsonDict = {
    "properties": {name: {"type": "null"} for name in ("latitude", "longitude")}
}
# What `_names_a_place` checks, for the OpenAPI document.
_A_PLACE: JsonDict = {
    "allOf": [
        {
            "anyOf": [
                _given("counter_id", kind="string"),
                _given("counter_name", kind="string"),
                _POSITION,
            ]
        },
        {"anyOf": [_POSITION, _NO_POSITION]},
    ]
}


class PredictRecord(_Question):
    """One place and hour. A place is a counter's id, its name or a position. A time within an hour means that hour."""

    model_config = ConfigDict(json_schema_extra=_A_PLACE)

    counter_id: str | None = None
    counter_name: str | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    at: CredibleTime

    @model_validator(mode="after")
    def _names_a_place(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("only one of latitude and longitude; give both or neither")
        if self.counter_id is None and self.counter_name is None and self.latitude is None:
            raise ValueError("no place; give counter_id, counter_name, or latitude and longitude")
        return self


class PredictBody(_Question):
    """Places and hours to forecast. task: `count` for the number of bikes, `affluence` for whether the hour is busy."""

    records: list[PredictRecord] = Field(min_length=1, max_length=MAX_RECORDS)
    task: PredictTask = "count"


class Prediction(Point):
    """The forecast for one record, with the counter it refers to. `busy` is set for the task `affluence` only."""

    counter_id: str | None
    counter_name: str | None
    busy: bool | None


class PredictAnswer(Provenance):
    """The predictions, in the order of the records."""

    task: PredictTask
    predictions: list[Prediction]


class CounterPath(_Question):
    """A counter's id."""

    counter_id: str


class ForecastQuery(_Question):
    """Number of hours to forecast, and number of past hours to include."""

    hours: int = Field(default=72, ge=1, le=MAX_HOURS)
    observed: int = Field(default=0, ge=0, le=MAX_RECENT_HOURS)


class AtQuery(_Question):
    """The hour to forecast (RFC 3339, with a zone); the current hour by default."""

    at: CredibleTime | None = None
