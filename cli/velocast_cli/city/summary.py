"""What a city's counts look like once they are read: the figures of `city new` and `city check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from velocast.adapters.city_sources.reading import Harvest
from velocast.adapters.city_sources.records import Reject
from velocast.core.city import City

SPIKE = 5  # times the 99.9 % quantile of a counter
LEAST_SPIKE = 100  # bikes in an hour
SAMPLES = 3
SHOWN_ROWS = 5


@dataclass(frozen=True)
class Rejected:
    """Records that were put aside for one reason, with a few of them as they were sent."""

    reason: str
    records: int
    samples: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Figures of a city's counts.

    missing_hours: those between each counter's first and last. quality: hours by it. doubles: equal records that came
    more than once. left_out: records that the description does not keep. aside: file or sheet -> why it is not read.
    """

    records: int
    counters: int
    counter_ids: tuple[str, ...]
    hours: int
    first: str | None
    last: str | None
    missing_hours: int
    quality: dict[str, int]
    doubles: int
    left_out: int
    blank: int
    unknown_columns: tuple[str, ...]
    suspicious: tuple[dict[str, Any], ...]
    rejects: tuple[Rejected, ...]
    rows: tuple[dict[str, Any], ...]
    aside: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


def summarize_city(
    stored: pd.DataFrame, harvest: Harvest, city: City, aside: dict[str, str]
) -> Summary:
    """Return the figures. stored: the harvest's counter_id, counted_at (UTC), bike_count and quality."""
    rejects = harvest.rejects
    counted = Counter(reject.reason for reject in rejects)
    return Summary(
        records=harvest.fetched,
        counters=int(stored["counter_id"].nunique()),
        counter_ids=tuple(sorted(map(str, stored["counter_id"].unique()))),
        hours=len(stored),
        first=_local(stored["counted_at"].min(), city),
        last=_local(stored["counted_at"].max(), city),
        missing_hours=_missing(stored),
        quality={
            str(k): int(v) for k, v in stored["quality"].fillna("good").value_counts().items()
        },
        doubles=harvest.doubles,
        left_out=harvest.left_out,
        blank=harvest.blank,
        unknown_columns=tuple(harvest.unknown_fields),
        suspicious=tuple(_suspicious(stored, city)),
        rejects=tuple(
            Rejected(reason, n, _samples(rejects, reason)) for reason, n in counted.most_common()
        ),
        rows=tuple(_shown(stored, city)),
        aside=aside,
    )


def _local(moment: Any, city: City) -> str | None:
    if moment is None or moment is pd.NaT:
        return None
    local: datetime = moment.tz_convert(city.zone)
    return local.isoformat(timespec="minutes")


def _missing(stored: pd.DataFrame) -> int:
    """Return the hours between each counter's first and last that have no count."""
    if stored.empty:
        return 0
    spans = stored.groupby("counter_id", observed=True)["counted_at"].agg(["min", "max", "nunique"])
    expected = (spans["max"] - spans["min"]).dt.total_seconds() // 3600 + 1
    return int((expected - spans["nunique"]).clip(lower=0).sum())


def _suspicious(stored: pd.DataFrame, city: City) -> list[dict[str, Any]]:
    """Return the counts far above all others of their counter, largest first; at most ten."""
    if stored.empty:
        return []
    counts = stored["bike_count"].astype(float)
    usual = counts.groupby(stored["counter_id"], observed=True).transform(
        lambda c: np.quantile(c, 0.99)
    )
    found = stored[(counts > SPIKE * usual) & (counts >= LEAST_SPIKE)]
    largest = found.sort_values("bike_count", ascending=False).head(10)
    return [
        {
            "counter_id": str(row["counter_id"]),
            "counted_at": _local(row["counted_at"], city),
            "bike_count": int(row["bike_count"]),
        }
        for row in largest.to_dict("records")
    ]


def _samples(rejects: Sequence[Reject], reason: str) -> tuple[str, ...]:
    texts = (reject.text for reject in rejects if reject.reason == reason)
    return tuple(dict.fromkeys(text for text, _ in zip(texts, range(SAMPLES), strict=False)))


def _shown(stored: pd.DataFrame, city: City) -> list[dict[str, Any]]:
    """Return a few rows as they are stored: busy ones, of different counters where there are some."""
    if stored.empty:
        return []
    busiest = (
        stored.sort_values("bike_count", ascending=False)
        .drop_duplicates("counter_id")
        .head(SHOWN_ROWS)
    )
    rest = stored.drop(busiest.index).head(SHOWN_ROWS - len(busiest))
    chosen = pd.concat([busiest, rest]).sort_values(["counted_at", "counter_id"])
    return [
        {
            "counter_id": str(row["counter_id"]),
            "counted_at": row["counted_at"].isoformat(),
            "local": _local(row["counted_at"], city),
            "bike_count": int(row["bike_count"]),
            "quality": row["quality"] if isinstance(row["quality"], str) else None,
        }
        for row in chosen.to_dict("records")
    ]
