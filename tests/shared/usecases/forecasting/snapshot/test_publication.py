"""The published snapshot: written once, and not over one that was published in the meantime."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.forecasting.snapshot.one_counter import DAY, build, one_counter
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.errors import ObjectChanged
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting.snapshot.publication import Published, publish, read_published

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


def test_a_snapshot_published_in_the_meantime_is_not_overwritten() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    before = read_published(champions.models()).generation
    made = build()
    publish(champions.models(), made, if_generation=before)

    other = made.model_copy(update={"generated_by": "another model"})
    with pytest.raises(ObjectChanged, match="someone else wrote"):
        publish(champions.models(), other, if_generation=before)


def test_a_run_that_is_repeated_after_it_has_published_finds_its_own_snapshot() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = publish(champions.models(), made, if_generation=0)

    assert publish(champions.models(), made, if_generation=0) == generation


def test_a_snapshot_that_was_deleted_in_the_meantime_is_told_as_a_change() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = publish(champions.models(), made, if_generation=0)
    champions.models().delete(snapshot_format.SNAPSHOT)

    with pytest.raises(ObjectChanged):
        publish(champions.models(), made, if_generation=generation)


def test_the_snapshot_of_an_earlier_release_is_read_whole() -> None:
    hours = pd.date_range(ORIGIN - DAY, AS_OF, freq="h")
    small_city.store(one_counter(hours, [10] * len(hours)))
    made = build()
    generation = champions.models().write(
        snapshot_format.SNAPSHOT, snapshot_format.dumps(made), content_type="application/gzip"
    )

    assert read_published(champions.models()) == Published(
        generation, made.origin_at, made.published_at, made.generated_by
    )


def test_an_unreadable_snapshot_is_replaced() -> None:
    champions.models().write(snapshot_format.SNAPSHOT, b"?", content_type="application/gzip")

    published = read_published(champions.models())

    assert published.origin_at is None
    assert published.generation > 0
