"""The snapshot: what is built is what `serve` reads."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.forecasting.snapshot.one_counter import CITY, DAY, build, one_counter
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.datetimes import parse_instant
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting.snapshot import building
from velocast.usecases.forecasting.snapshot.publication import Published, publish, read_published

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


def test_what_serve_reads_is_what_was_built() -> None:
    hours = pd.date_range(ORIGIN - 21 * DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()

    generation = publish(champions.models(), made, if_generation=0)

    stored = champions.models().read(snapshot_format.SNAPSHOT)
    assert snapshot_format.loads(stored.data) == made
    assert read_published(champions.models()) == Published(
        generation, made.origin_at, made.published_at, made.generated_by
    )
    counter = made.counters[0]
    assert counter.predicted[0] == 12.35
    assert counter.busy is not None
    assert counter.busy[0] == 0.123
    assert (counter.level, counter.busy_threshold, counter.last_count) == (11, 15, 10)
    assert counter.typical_week == (10.0,) * 168
    assert len(counter.recent) == 336
    assert made.champion is not None
    assert made.champion.trained_until == parse_instant("2025-03-01T23:00:00Z")
    assert made.city.attribution == CITY.attribution
    assert len(made.hours) == 120


def test_a_city_without_licence_and_attribution_has_null_there() -> None:
    nothing = dict.fromkeys(("attribution", "attribution_url", "licence", "licence_url"))
    card = building._city_card(CITY.model_copy(update=nothing))
    known = card.model_dump(exclude_none=True)
    assert known.pop("bounding_box") == CITY.bounding_box.model_dump()
    assert known == {"name": "Demoville", "time_zone": "Europe/Paris"}


def test_the_same_snapshot_is_the_same_bytes() -> None:
    hours = pd.date_range(ORIGIN - 21 * DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))

    assert snapshot_format.dumps(build()) == snapshot_format.dumps(build())
