"""What the API takes and gives. The OpenAPI document is made from these classes, and every answer is one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from velocast.usecases.snapshot_format import Basis, ChampionCard

MAX_RECORDS = 1_000
MAX_HOURS = 120
MAX_RECENT_HOURS = 168

FIRST_YEAR, LAST_YEAR = 2000, 2100


def _credible(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"year {at.year}; give a time from {FIRST_YEAR} to {LAST_YEAR - 1}")
    return at.astimezone(UTC)


Task = Literal[
    "count", "affluence"
]  # the API's own words: a count is what the task `forecast` makes
At = Annotated[AwareDatetime, AfterValidator(_credible)]


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
        """Return the schema; flask-openapi3 asks for the plain one on every request, so it is made once."""
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
    """A snapshot is loaded. `age_seconds` counts from its publication; `stale` when its hours are all past."""

    status: Literal["ready"] = "ready"
    origin_at: AwareDatetime
    published_at: AwareDatetime
    age_seconds: float
    stale: bool
    counters: int


class Provenance(_Answer):
    """Where an answer comes from.

    origin_at: every count before it may have been used. published_at: when the forecasts were published.
    stale: now lies outside the published hours, so the coming hours are those after `published_at`.
    champion: null before there is one; the forecasts then are means of similar days.
    """

    origin_at: AwareDatetime
    published_at: AwareDatetime
    stale: bool
    champion: ChampionCard | None
    attribution: str
    attribution_url: str
    licence: str


class Counter(_Answer):
    """A counter, its position (degrees, WGS 84) and the last hour it counted."""

    counter_id: str
    counter_name: str | None
    latitude: float | None
    longitude: float | None
    last_counted_at: AwareDatetime | None
    last_count: float | None


class Point(_Answer):
    """One forecast hour: bikes in the hour that starts at `at` (UTC), and the 90 % interval.

    busy_probability: that the hour is above the counter's own 75th percentile of 28 days; null when unknown.
    basis: what the forecast rests on.
    """

    at: AwareDatetime
    predicted_count: float
    lower: float
    upper: float
    busy_probability: float | None
    basis: Basis


class Observation(_Answer):
    """One past hour: bikes counted (null: nothing usable, or not published yet), and what was expected.

    typical_count: what the counter's typical week holds there. forecast: null before the first published hour.
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
    hours: list[AwareDatetime] = Field(description="The hours that the published forecasts cover.")
    counters: list[Counter]


class CounterForecast(Provenance):
    """One counter's coming hours, and the hours before them when they were asked for."""

    counter: Counter
    forecast: list[Point]
    observed: list[Observation]


class CityForecast(Provenance):
    """Every counter at one hour."""

    at: AwareDatetime
    forecasts: list[CounterPoint]


class ChampionAnswer(Provenance):
    """The model behind the forecasts; `similar_days` when there is no champion."""

    model_kind: str


class PredictRecord(_Question):
    """One place and hour. A place is a counter's id, its name or a position; a time within an hour means that hour."""

    counter_id: str | None = None
    counter_name: str | None = None
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    at: At

    @model_validator(mode="after")
    def _names_a_place(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together; give both or neither")
        if self.counter_id is None and self.counter_name is None and self.latitude is None:
            raise ValueError("no place; give counter_id, counter_name, or latitude and longitude")
        return self


class PredictBody(_Question):
    """Places and hours to forecast, by count or by whether the hour is a busy one."""

    records: list[PredictRecord] = Field(min_length=1, max_length=MAX_RECORDS)
    task: Task = "count"


class Prediction(Point):
    """The answer to one record, naming the counter that was meant. `busy` is given for the task `affluence`."""

    counter_id: str | None
    counter_name: str | None
    busy: bool | None


class PredictAnswer(Provenance):
    """Predictions in the order of the records."""

    task: Task
    predictions: list[Prediction]


class CounterPath(_Question):
    """A counter's id."""

    counter_id: str


class ForecastQuery(_Question):
    """How many coming hours, and how many of the past ones before them."""

    hours: int = Field(default=72, ge=1, le=MAX_HOURS)
    observed: int = Field(default=0, ge=0, le=MAX_RECENT_HOURS)


class AtQuery(_Question):
    """Which hour (RFC 3339, with a zone); the coming one when left out."""

    at: At | None = None
