"""What is compared for drift in a large city."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF
from velocast.core.datetimes import SCORED_LEAD_DAYS

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


def test_one_counter_in_several_is_read_whole_with_its_errors() -> None:
    city = small_city.make(counters=8, days=10)
    small_city.store(city)
    champions.publish(3, trained_until="2025-02-01T00:00:00Z")
    small_city.publish_forecasts(city, version=3, days=4, error=0.05)
    hours: dict[str, Any] = {"first_hour": AS_OF - timedelta(days=7), "until": AS_OF}
    asked = {"lead_days": SCORED_LEAD_DAYS, "as_of": AS_OF, **hours}
    warehouse = small_city.warehouse()

    whole = warehouse.query_large("drift_counts", keep_one_in=1, **hours)
    drawn = warehouse.query_large("drift_counts", keep_one_in=2, **hours)
    errors = warehouse.query_large("drift_errors", keep_one_in=2, **asked)

    assert whole["counter_id"].nunique() == 8
    assert 0 < drawn["counter_id"].nunique() < 8
    assert set(errors["counter_id"]) == set(drawn["counter_id"])
    kept = whole[whole["counter_id"].isin(drawn["counter_id"])]
    assert len(drawn) == len(kept)
    assert len(errors) > 3 * 24 * drawn["counter_id"].nunique()
