"""Any counter, any hour, through the product: `predict` forecasts and publishes, `serve` answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from tests.shared.usecases import champions, small_city
from tests.shared.usecases.serving import serving_app
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.datetimes import rfc3339
from velocast.core.requests import PredictRequest
from velocast.usecases import model_loading
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RUSH_HOURS = [ORIGIN + DAY + hour * HOUR for hour in range(7, 20)]
NEXT_MONTH = [hour + 28 * DAY for hour in RUSH_HOURS]

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")


@pytest.fixture(autouse=True)
def with_a_champion(monkeypatch: pytest.MonkeyPatch, storage_buckets: dict[str, str]) -> None:
    monkeypatch.setattr(model_loading, "_cache", {})
    champions.publish(3)


def make(days: int = 60) -> pd.DataFrame:
    """Four counters on two poles 5 km apart, the first two and the last two together."""
    return small_city.make(days=days)


def predicted(city: pd.DataFrame) -> dict[str, int]:
    """Run `predict` for a city; return the number of counters by forecast basis."""
    small_city.store(city)
    (row,) = forecast_all_counters(PredictRequest(), small_city.predict_run())
    bases: dict[str, int] = row.details["basis"]
    return bases


def answers(hours: list[datetime], **place: Any) -> list[dict[str, Any]]:
    """Request forecasts of a place at these hours from `serve`."""
    records = [{**place, "at": rfc3339(hour)} for hour in hours]
    client = serving_app.app(now=lambda: AS_OF).test_client()
    found = client.post("/v1/predict", json={"records": records}, headers=serving_app.HEADERS)
    assert found.status_code == 200, found.text
    predictions: list[dict[str, Any]] = found.json["predictions"]
    assert len(predictions) == len(hours)
    for p in predictions:
        assert 0 <= p["lower"] <= p["predicted_count"] <= p["upper"]
    assert sum(p["predicted_count"] for p in predictions) > 0
    return predictions


def bases(found: list[dict[str, Any]]) -> set[str]:
    return {p["basis"] for p in found}


def width(found: list[dict[str, Any]]) -> float:
    """The mean width of the interval relative to the mean forecast."""
    total = sum(p["predicted_count"] for p in found)
    return float(sum(p["upper"] - p["lower"] for p in found) / total)


def widest_of_models(city: pd.DataFrame, without: str) -> float:
    """The largest relative width among the counters that the model forecasts."""
    ids = sorted(set(city["counter_id"]) - {without})
    found = [answers(RUSH_HOURS, counter_id=counter_id) for counter_id in ids]
    assert [bases(f) for f in found] == [{"model"}] * len(ids)
    return max(width(f) for f in found)


def test_a_counter_first_seen_today_uses_its_neighbours() -> None:
    city = small_city.make(days=60, until=small_city.UNTIL + DAY)
    new = city["counter_id"].max()
    begun, own = city["counted_at"] >= ORIGIN, city["counter_id"] == new
    small_city.store(city[own & begun].head(3))
    assert predicted(city[~own & ~begun]) == {"model": 3, "neighbours": 1}
    found = answers(RUSH_HOURS, counter_id=new)
    assert bases(found) == {"neighbours"}
    assert width(found) > widest_of_models(city, new)
    beyond = answers(NEXT_MONTH, counter_id=new)
    assert bases(beyond) == {"neighbours"}
    assert width(beyond) > widest_of_models(city, new)


def test_a_new_counter_far_from_all_others_uses_the_city_profile() -> None:
    city = small_city.make(days=60, until=small_city.UNTIL + DAY)
    new = city["counter_id"].max()
    begun, own = city["counted_at"] >= ORIGIN, city["counter_id"] == new
    small_city.store(city[own & begun].head(3).assign(latitude=48.95, longitude=2.5))
    assert predicted(city[~own & ~begun]) == {"model": 3, "city_profile": 1}
    for hours in (RUSH_HOURS, NEXT_MONTH):
        found = answers(hours, counter_id=new)
        assert bases(found) == {"city_profile"}
        assert width(found) > widest_of_models(city, new)


def test_a_counter_with_two_days_uses_the_city_s_week_at_its_level() -> None:
    city = make()
    young = city["counter_id"].max()
    known = city[(city["counter_id"] != young) | (city["counted_at"] >= ORIGIN - 2 * DAY)]
    assert predicted(known) == {"city_profile": 1, "model": 3}
    found = answers(RUSH_HOURS, counter_id=young)
    assert bases(found) == {"city_profile"}
    assert width(found) > widest_of_models(city, young)


@pytest.mark.parametrize(("days", "basis"), [(40, "typical_week"), (70, "city_profile")])
def test_a_counter_silent_for_months_uses_its_typical_week_or_level(days: int, basis: str) -> None:
    city = make(days=100)
    quiet = city["counter_id"].min()
    late = city["counted_at"] >= ORIGIN - days * DAY
    assert predicted(city[(city["counter_id"] != quiet) | ~late]) == {"model": 3, basis: 1}
    found = answers(RUSH_HOURS, counter_id=quiet)
    assert bases(found) == {basis}
    assert width(found) > widest_of_models(city, quiet)


def test_an_hour_beyond_the_horizon_uses_the_typical_week_with_a_wider_interval() -> None:
    city = make()
    assert predicted(city) == {"model": 4}
    for counter_id in city["counter_id"].unique():
        near, far = (answers(h, counter_id=counter_id) for h in (RUSH_HOURS, NEXT_MONTH))
        assert (bases(near), bases(far)) == ({"model"}, {"typical_week"})
        assert width(far) > width(near)


def test_a_position_uses_nearby_counters_or_the_city_profile() -> None:
    city = make()
    assert predicted(city) == {"model": 4}
    pole = city.iloc[0]
    near = {"latitude": float(pole["latitude"]) + 0.004, "longitude": float(pole["longitude"])}
    models = widest_of_models(city, "nobody")
    for place, basis in (
        (near, "neighbours"),
        ({"latitude": 48.95, "longitude": 2.5}, "city_profile"),
    ):
        for hours in (RUSH_HOURS, NEXT_MONTH):
            found = answers(hours, **place)
            assert bases(found) == {basis}
            assert width(found) > models


def test_a_counter_that_moved_uses_its_former_position() -> None:
    city = make()
    moved = city["counter_id"].max()
    assert predicted(city) == {"model": 4}
    before = answers(RUSH_HOURS, counter_id=moved)
    there = {"latitude": 48.95, "longitude": 2.5}
    assert bases(answers(RUSH_HOURS, **there)) == {"city_profile"}
    now = {name: city[name].mask(city["counter_id"] == moved, there[name]) for name in there}
    just = pd.Series(AS_OF - DAY, index=city.index).where(city["counter_id"] == moved)
    assert predicted(city.assign(**now, moved_at=just)) == {"former_place": 1, "model": 3}
    after = answers(RUSH_HOURS, counter_id=moved)
    assert bases(after) == {"former_place"}
    assert [p["predicted_count"] for p in after] == [p["predicted_count"] for p in before]
    assert width(after) > 1.2 * width(before)


def test_a_counter_that_moved_long_ago_uses_its_new_position() -> None:
    """The neighbours of the new position use it as their neighbour."""
    city = make()
    moved = city["counter_id"].max()
    there = {"latitude": 48.95, "longitude": 2.5}
    now = {name: city[name].mask(city["counter_id"] == moved, there[name]) for name in there}
    once = pd.Series(AS_OF - 29 * DAY, index=city.index).where(city["counter_id"] == moved)
    assert predicted(city.assign(**now, moved_at=once)) == {"model": 4}
    own = answers(RUSH_HOURS, counter_id=moved)
    at_the_pole = answers(RUSH_HOURS, **there)
    assert bases(at_the_pole) == {"neighbours"}
    assert [p["predicted_count"] for p in at_the_pole] == [p["predicted_count"] for p in own]
