"""`predict` reports for how long a retraining has held its lease."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import emulators
from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import AS_OF
from velocast.adapters.retrain_lease import LEASE
from velocast.core.datetimes import rfc3339
from velocast.core.requests import PredictRequest
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The gauges that a run sets."""
    found: dict[str, float] = {}

    def remember(_self: object, name: str, value: float, **_labels: str) -> None:
        found[name] = float(value)

    monkeypatch.setattr("velocast.core.telemetry.Metrics.set", remember)
    return found


def test_a_lease_that_nobody_gave_back_is_reported_until_it_is_free(
    gauges: dict[str, float],
) -> None:
    taken_at = rfc3339(AS_OF - timedelta(hours=9))
    emulators.objects().write_json(LEASE, {"owner": "cancelled", "taken_at": taken_at})
    forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF, "m1"))
    assert gauges["bike/retrain_lease_seconds"] == 9 * 3600

    emulators.objects().delete(LEASE)
    forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF, "m2"))
    assert gauges["bike/retrain_lease_seconds"] == 0


def test_a_run_for_an_earlier_day_reports_nothing(gauges: dict[str, float]) -> None:
    taken_at = rfc3339(AS_OF + timedelta(hours=1))
    emulators.objects().write_json(LEASE, {"owner": "e1", "taken_at": taken_at})
    forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF, "m1"))
    assert "bike/retrain_lease_seconds" not in gauges
