"""The serving snapshot `serving/snapshot.json.gz`, which `predict` publishes and `serve` answers from.

Writer and reader share these classes. This module imports no data frame library, so that `serve` starts fast.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from datetime import date
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from velocast.core.errors import EventError

SNAPSHOT = "serving/snapshot.json.gz"
CONTENT_TYPE = "application/gzip"
HOURS_PER_WEEK = 168
COMPRESSION_LEVEL = 6
GZIP = 16 + zlib.MAX_WBITS  # zlib writes a header without time and name

Basis = Literal[
    "model", "similar_days", "former_place", "typical_week", "neighbours", "city_profile"
]


# Whose time the forecasts are of: the wall clock, or the past that a replay of stored counts plays again.
Clock = Literal["wall", "replay"]


class _Part(BaseModel):
    # Unknown fields are ignored, because during a deployment an older `serve` may read a newer snapshot.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ChampionCard(_Part):
    """Facts about the model behind the forecasts. Metrics have the names of the evaluation (`r2`, ...)."""

    version: int
    run_id: str
    task: str
    kind: str
    metrics: dict[str, float]
    trained_from: AwareDatetime
    trained_until: AwareDatetime
    published_at: AwareDatetime


class Bounds(_Part):
    """The area in which a counter of the city can be, in degrees (WGS 84)."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    south: float
    west: float
    north: float
    east: float


class TileSource(_Part):
    """A source of map tiles: an address with {z}, {x} and {y}, and who must be named for it."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    url: str
    attribution: str
    attribution_url: str | None = None
    max_zoom: int = 19


class CityCard(_Part):
    """The city's name, its time zone and, where they are known, its area, licence and required attribution.

    language: that of its page for readers of none of the page's languages. map_tiles: streets for the map.
    """

    name: str
    time_zone: str
    bounding_box: Bounds | None = None
    language: str | None = None
    map_tiles: TileSource | None = None
    attribution: str | None = None
    attribution_url: str | None = None
    licence: str | None = None
    licence_url: str | None = None


class FaultCard(_Part):
    """A fault that a counter has now: its kind, since when, and what shows it."""

    kind: str
    since: AwareDatetime
    evidence: str


class HealthCard(_Part):
    """What is known of a counter's health (`counter_health.CounterHealth`): over 28 days, null where unknown."""

    days_silent: float
    usable_share: float
    mae: float | None = None
    wape: float | None = None
    r2: float | None = None


class GrowthCard(_Part):
    """A relative change of counts, 0.04 = 4 % more: adjusted for weather and calendar, with its 90 % interval.

    claimed: more than chance. raw: as counted. rebuilt: with gaps estimated. weather: what it added to the counts; null
    where it is not known. estimated: share of the bikes that are estimates. counters: how many are compared.
    """

    change: float
    low: float
    high: float
    claimed: bool
    raw: float
    rebuilt: float
    weather: float | None = None
    estimated: float
    counters: int = 1


class CityGrowth(_Part):
    """The city's growth from the `days` days that begin on `before` to those that begin on `now`."""

    before: date
    now: date
    days: int
    whole_year: bool
    growth: GrowthCard


class SiteCard(_Part):
    """A place that the city's file names: its counters are directions or lanes of it."""

    id: str
    name: str | None = None


class ContinuedCard(_Part):
    """A counter that has ended: its history up to `until` is that of the counter that continues it."""

    counter_id: str
    until: AwareDatetime
    continued_by: str


class ProposedCard(_Part):
    """A counter that may continue another one, `old_name`, from the local day `since` on; nobody has decided yet."""

    counter_id: str
    continues: str
    old_name: str
    since: date


class CounterSnapshot(_Part):
    """One counter: its position, its forecast, its typical week and its last fourteen days.

    predicted, lower, upper: bikes per hour, one value for each hour of `Snapshot.hours`; empty without a forecast.
    q25, q50, q75: quantiles, as long as `predicted`; null where only an interval is known.
    busy: probabilities that the hours are above `busy_threshold`, as long as `predicted`, or null.
    typical_week, typical_spread: 168 local hours from Monday 00:00, the median count and half the width of the 90 %
    band around it; null where the counter has too little history.
    recent: the count of each UTC hour from `recent_from`; null where there is no usable count.
    past_predicted, past_lower, past_upper: the forecasts of the same hours that were made on the hour's own day, in
    bikes per hour; null where there was none; empty where there was none at all.
    year_ago: the count 52 weeks before each UTC hour from `recent_from` to the last of `Snapshot.hours`, at the same
    local hour; null where there is no usable count; empty where there is none at all.
    days: the bikes of each local day from `days_from`, the first with a count, to the day before the forecast's; null
    where there is no usable count. day_hours: the number of hours with a usable count in each of these days.
    days_estimated, day_hours_estimated: the bikes of the same days' hours that were only estimated, which are not in
    `days`, and the number of these hours; empty where none was.
    continues: the counters whose history it continues, the newest first.
    sum_of: the counters that a virtual sum adds up; it is in no total of the city.
    site: as the city's file names it; null where it names none.
    fault: null while the counter works. health: null in snapshots of earlier versions. growth: between the periods of
    `Snapshot.growth`; null where the counter did not count enough of both.
    """

    counter_id: str
    counter_name: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    last_counted_at: AwareDatetime | None = None
    last_count: float | None = None
    level: float | None = None
    busy_threshold: float | None = None
    basis: Basis
    predicted: tuple[float, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    q25: tuple[float, ...] | None = None
    q50: tuple[float, ...] | None = None
    q75: tuple[float, ...] | None = None
    busy: tuple[float, ...] | None = None
    typical_week: tuple[float | None, ...] | None = Field(
        default=None, min_length=HOURS_PER_WEEK, max_length=HOURS_PER_WEEK
    )
    typical_spread: tuple[float | None, ...] | None = Field(
        default=None, min_length=HOURS_PER_WEEK, max_length=HOURS_PER_WEEK
    )
    recent: tuple[float | None, ...] = ()
    recent_from: AwareDatetime | None = None
    past_predicted: tuple[float | None, ...] = ()
    past_lower: tuple[float | None, ...] = ()
    past_upper: tuple[float | None, ...] = ()
    year_ago: tuple[float | None, ...] = ()
    days_from: date | None = None
    days: tuple[int | None, ...] = ()
    day_hours: tuple[int, ...] = ()
    days_estimated: tuple[int, ...] = ()
    day_hours_estimated: tuple[int, ...] = ()
    continues: tuple[ContinuedCard, ...] = ()
    sum_of: tuple[str, ...] = ()
    site: SiteCard | None = None
    fault: FaultCard | None = None
    health: HealthCard | None = None
    growth: GrowthCard | None = None


class EventCard(_Part):
    """An event or a closure that the city knows of, in [since, until), and the counters that it concerns.

    until: null until further notice. counters: ids; null for all.
    """

    kind: Literal["closure", "event"]
    what: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    counters: tuple[str, ...] | None = None


class WeatherCard(_Part):
    """The weather that the forecasts assume, as it was known at their origin: a value for each hour, null if unknown.

    attribution, attribution_url, licence: of its source, shown beside it.
    """

    temperature_c: tuple[float | None, ...]
    rain_mm: tuple[float | None, ...]
    attribution: str
    attribution_url: str
    licence: str
    licence_url: str


class Snapshot(_Part):
    """Five local days of forecasts for every counter of a city, as of `origin_at`.

    origin_at: the start of the first day, or a later hour of it, until which the day's counts were known: forecasts of
    the hours before it are then those from the day's start.
    hours: start of each forecast hour (UTC), consecutive from the start of the first day; 120 hours, or 119 or 121 at a
    clock change.
    champion: null until there is one; forecasts then come from similar days. busy_champion: the classifier behind the
    busy probabilities; null when they come from the forecasts' error distribution. busy_from: the probability from
    which an hour is busy. clock: a replay's forecasts are read as of `published_at`, whatever the time is.
    events: those of the recent and the forecast hours, by their start. growth: as the weekly digest measured it; null
    until a year and four weeks are known. weather: null where none was known. proposed: continuations to decide on.
    """

    origin_at: AwareDatetime
    published_at: AwareDatetime
    generated_by: str
    champion: ChampionCard | None
    busy_champion: ChampionCard | None = None
    busy_from: float = 0.5
    clock: Clock = "wall"
    city: CityCard
    events: tuple[EventCard, ...] = ()
    growth: CityGrowth | None = None
    weather: WeatherCard | None = None
    proposed: tuple[ProposedCard, ...] = ()
    hours: tuple[AwareDatetime, ...]
    counters: tuple[CounterSnapshot, ...]

    @property
    def published(self) -> tuple[CounterSnapshot, ...]:
        """The counters without sums of them: what may be added up."""
        return tuple(counter for counter in self.counters if not counter.sum_of)

    @model_validator(mode="after")
    def _weather_of_each_hour(self) -> Self:
        for name in ("temperature_c", "rain_mm") if self.weather else ():
            have = len(getattr(self.weather, name))
            if have != len(self.hours):
                raise ValueError(f"weather: {name} has {have} values, {len(self.hours)} are needed")
        return self

    @model_validator(mode="after")
    def _one_value_for_each_hour(self) -> Self:
        for counter in self.counters:
            for name in ("predicted", "lower", "upper", "q25", "q50", "q75", "busy"):
                have = len(getattr(counter, name) or ())
                if have not in (0, len(self.hours)):
                    raise ValueError(
                        f"counter {counter.counter_id}: {name} has {have} values, {len(self.hours)} or none are needed"
                    )
            for name in ("past_predicted", "past_lower", "past_upper"):
                have = len(getattr(counter, name))
                if have not in (0, len(counter.recent)):
                    raise ValueError(
                        f"counter {counter.counter_id}: {name} has {have} values, "
                        f"{len(counter.recent)} or none are needed"
                    )
            for name in ("days_estimated", "day_hours_estimated"):
                have = len(getattr(counter, name))
                if have not in (0, len(counter.days)):
                    raise ValueError(
                        f"counter {counter.counter_id}: {name} has {have} values, "
                        f"{len(counter.days)} or none are needed"
                    )
            if len(counter.days) != len(counter.day_hours):
                raise ValueError(
                    f"counter {counter.counter_id}: {len(counter.days)} days, and hours of {len(counter.day_hours)}"
                )
        return self


def dumps(snapshot: Snapshot) -> bytes:
    """Return a snapshot as gzipped JSON; equal snapshots give equal bytes.

    The counters, which come last, are written one by one: the text of a large city's would be larger than the snapshot.
    """
    packer = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, GZIP)
    packed = [packer.compress(text) for text in iterate_json(snapshot)]
    return b"".join([*packed, packer.flush()])


def iterate_json(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield a snapshot's JSON in pieces, a counter at a time."""
    frame = snapshot.model_copy(update={"counters": ()}).model_dump_json()
    yield frame.removesuffix("]}").encode("utf-8")
    for number, counter in enumerate(snapshot.counters):
        yield (("," if number else "") + counter.model_dump_json()).encode("utf-8")
    yield b"]}"


def loads(data: bytes) -> Snapshot:
    """Return the snapshot that `dumps` serialized.

    Raises EventError when the bytes are not gzipped JSON, or not that of a snapshot (naming the first wrong fields).
    """
    try:
        return Snapshot.model_validate_json(gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as exc:
        raise EventError(
            f"{SNAPSHOT}: {len(data)} bytes that are not gzip ({exc}); run predict again"
        ) from exc
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
        raise EventError(f"{SNAPSHOT}: {wrong}; run predict again with this version") from exc
