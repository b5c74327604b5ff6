"""The serving snapshot `serving/snapshot.json.gz`: what `predict` publishes and `serve` answers from.

Writer and reader share these classes. No data frame library is imported: `serve` starts with this module.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from velocast.core.errors import EventError

SNAPSHOT = "serving/snapshot.json.gz"
CONTENT_TYPE = "application/gzip"
HOURS_PER_WEEK = 168
COMPRESSION_LEVEL = 6

Basis = Literal[
    "model", "similar_days", "former_place", "typical_week", "neighbours", "city_profile"
]


class _Part(BaseModel):
    # Unknown fields are left out, not refused: during a deployment an older `serve` reads a newer snapshot.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ChampionCard(_Part):
    """What is told about the model behind the forecasts. Metrics carry evaluation's names (`r2`, ...)."""

    version: int
    run_id: str
    task: str
    kind: str
    metrics: dict[str, float]
    trained_from: AwareDatetime
    trained_until: AwareDatetime
    published_at: AwareDatetime


class CityCard(_Part):
    """The city's name, clock and the attribution that its licence asks for."""

    name: str
    time_zone: str
    attribution: str
    attribution_url: str
    licence: str
    licence_url: str = ""


class CounterSnapshot(_Part):
    """One counter: where it stands, its forecast, its typical week and its last seven days.

    predicted, lower, upper: bikes per hour, one value for each hour of `Snapshot.hours`; empty without a forecast.
    busy: probability that the hour is above `busy_threshold`, as long as `predicted`, or null.
    typical_week, typical_spread: 168 local hours from Monday 0 h: median bikes, and half the width of the 90 % band
    around it; null where the counter has too little history.
    recent: bikes counted in each UTC hour from `recent_from`; null where nothing usable was counted.
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
    busy: tuple[float, ...] | None = None
    typical_week: tuple[float | None, ...] | None = Field(
        default=None, min_length=HOURS_PER_WEEK, max_length=HOURS_PER_WEEK
    )
    typical_spread: tuple[float | None, ...] | None = Field(
        default=None, min_length=HOURS_PER_WEEK, max_length=HOURS_PER_WEEK
    )
    recent: tuple[float | None, ...] = ()
    recent_from: AwareDatetime | None = None


class Snapshot(_Part):
    """Five local days of forecasts for every counter of a city, as of `origin_at`.

    hours: the forecast hours (start of each, UTC), unbroken from `origin_at`; 119 to 121 of them where a clock changes.
    champion: null before there is one; the forecasts then come from similar days. busy_champion: what made the busy
    probabilities; null when the forecasts' distribution did. busy_from: the probability from which an hour is busy.
    """

    origin_at: AwareDatetime
    published_at: AwareDatetime
    generated_by: str
    champion: ChampionCard | None
    busy_champion: ChampionCard | None = None
    busy_from: float = 0.5
    city: CityCard
    hours: tuple[AwareDatetime, ...]
    counters: tuple[CounterSnapshot, ...]

    @model_validator(mode="after")
    def _one_value_for_each_hour(self) -> Self:
        for counter in self.counters:
            for name in ("predicted", "lower", "upper", "busy"):
                have = len(getattr(counter, name) or ())
                if have not in (0, len(self.hours)):
                    raise ValueError(
                        f"counter {counter.counter_id}: {name} has {have} values, needs {len(self.hours)} or none"
                    )
        return self


def dumps(snapshot: Snapshot) -> bytes:
    """Write a snapshot as gzipped JSON; the same snapshot gives the same bytes."""
    return gzip.compress(snapshot.model_dump_json().encode("utf-8"), COMPRESSION_LEVEL, mtime=0)


def loads(data: bytes) -> Snapshot:
    """Read what `dumps` wrote.

    Raises EventError when the bytes are no gzipped JSON, or not that of a snapshot (naming the first wrong fields).
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
