"""Forecasts of the rest of a day, with the counts of the day that are known."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.shared.model.learning.test_within_day import NOON, days_with, last_day
from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN, UNTIL
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.city import load_city
from velocast.core.datetimes import local_date, parse_instant, start_of_local_day
from velocast.core.requests import PredictRequest
from velocast.usecases import snapshot_format
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.forecasting.outcome import KNOWN
from velocast.usecases.forecasting.stored_rows import KEY
from velocast.usecases.forecasting.within_day import KnownDay, learn_update, update_forecasts
from velocast.usecases.model_loading import LoadedChampion
from velocast.usecases.monitoring import validation
from velocast.usecases.snapshot_format import Snapshot

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ALL_FORECASTS = "SELECT * FROM bike_traffic_predictions.forecasts WHERE target_at > '2020-01-01'"


@pytest.fixture
def lists_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse_tables: bigquery.Client
) -> None:
    """The city's file lists 10 and 12 o'clock."""
    known = files("velocast").joinpath("cities/demoville.yaml").read_text(encoding="utf-8")
    file = tmp_path / "demoville.yaml"
    file.write_text(f"{known}\nwithin_day: [10, 12]\n", encoding="utf-8")
    monkeypatch.setenv("VELOCAST_CITY", str(file))


def counted_within(late: timedelta) -> pd.DataFrame:
    """Store five weeks of counts and one more day, each of its hours known so late after its end; return the counts.

    Of the days before, forecasts from midnight are stored that missed a day by up to a third, all hours alike. The last
    day has a third more bikes than that weekday usually has.
    """
    city = small_city.make(days=36, until=UNTIL + DAY)
    today = city["counted_at"] >= ORIGIN
    weeks = city.sort_values("counted_at").groupby("counter_id")["bike_count"]
    usual = sum(weeks.shift(168 * n) for n in (1, 2, 3, 4)) / 4
    more = (usual[today] * 4 // 3).astype("int64")
    city = city.assign(bike_count=more.reindex(city.index).fillna(city["bike_count"]))
    city = city.astype({"bike_count": "int64"})
    small_city.store(city[~today])
    for hour, rows in city[today].groupby("counted_at"):
        small_city.deliver(rows, at=hour.to_pydatetime() + HOUR + late)
    _store_missed_forecasts(city[~today])
    return city


def _store_missed_forecasts(hours: pd.DataFrame) -> None:
    zone = load_city("demoville").zone
    kept = hours[hours["counted_at"] >= start_of_local_day(UNTIL - 30 * DAY, zone)]
    origins = _origins(kept)
    predicted = _predicted(kept)
    rows = pd.DataFrame(
        {
            "counter_id": kept["counter_id"],
            "target_at": kept["counted_at"],
            "origin_at": origins,
            "model_version": 0,
            "predicted_count": predicted,
            "lower": predicted * 0.6,
            "upper": predicted * 1.4,
            "lead_hours": ((kept["counted_at"] - origins) / HOUR).astype(int),
            "lead_day": 0,
            "basis": "similar_days",
            "model_kind": "similar_days",
            "predicted_at": origins,
        }
    )
    table = pa.Table.from_pandas(rows, preserve_index=False)
    small_city.warehouse().merge(schemas.FORECASTS, table, keys=KEY)


def _origins(hours: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    zone = load_city("demoville").zone
    midnight = [start_of_local_day(local_date(at, zone), zone) for at in hours["counted_at"]]
    return pd.Series(pd.to_datetime(midnight, utc=True), index=hours.index)


def _predicted(hours: pd.DataFrame) -> pd.Series[float]:
    factor = 1 + np.sin(_origins(hours).dt.dayofyear * 2.0) / 3
    return hours["bike_count"] / factor


def run_at(as_of: datetime | str, *, within_day: bool = True, message_id: str = "") -> AuditRow:
    moment = parse_instant(as_of) if isinstance(as_of, str) else as_of
    request = PredictRequest(within_day=within_day)
    run = small_city.predict_run(moment, message_id or f"{moment:%d-%H%M}")
    (row,) = forecast_all_counters(request, run)
    return row


def stored(client: bigquery.Client) -> pd.DataFrame:
    rows = client.query_and_wait(ALL_FORECASTS).to_arrow(create_bqstorage_client=False).to_pandas()
    rows = rows[rows["target_at"] >= ORIGIN]
    return rows.sort_values([*KEY], ignore_index=True)


def published() -> Snapshot:
    return snapshot_format.loads(emulators.objects().read(snapshot_format.SNAPSHOT).data)


def validated() -> pd.DataFrame:
    return validation.read_pairs(
        small_city.warehouse(),
        load_city("demoville"),
        serving=LoadedChampion(),
        first_day=UNTIL - 7 * DAY,
        until_day=UNTIL + DAY,
    )


@pytest.mark.usefixtures("lists_hours")
def test_the_rest_of_the_day_is_forecast_again_as_hours_become_known(
    warehouse_tables: bigquery.Client,
) -> None:
    city = counted_within(late=2 * HOUR)
    run_at(AS_OF, within_day=False)
    morning, first = stored(warehouse_tables), published()
    assert first.origin_at == ORIGIN
    assert morning["hours_known"].isna().all()
    pairs = validated()

    row = run_at("2025-03-10T11:30:00Z")

    ten = parse_instant("2025-03-10T09:00:00Z")  # ten o'clock in Paris: later hours are known later
    assert row.details["origin_at"] == "2025-03-10T09:00:00Z"
    assert row.details["within_day"] == {"hours_known": 10, "learned_days": 30}
    assert row.details["changed"] == 4 * 14
    rows = stored(warehouse_tables)
    own = rows[rows["origin_at"] == ten]
    assert len(rows) == 4 * 5 * 24 + 4 * 14
    assert set(own["target_at"]) == {ten + n * HOUR for n in range(14)}
    assert (own["lead_hours"] == (own["target_at"] - ten) / HOUR).all()
    assert set(own["lead_day"]) == {0}
    assert set(own["hours_known"]) == {10}
    of_midnight = rows[rows["origin_at"] == ORIGIN].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_midnight, morning, check_dtype=False)
    both = own.merge(morning, on=["counter_id", "target_at"], suffixes=("", "_before"))
    both = both.merge(
        city, left_on=["counter_id", "target_at"], right_on=["counter_id", "counted_at"]
    )
    bikes = both["bike_count"].sum()
    missed_before = bikes - both["predicted_count_before"].sum()
    assert missed_before > 0.1 * bikes
    assert abs(bikes - both["predicted_count"].sum()) < 0.5 * missed_before

    shown = published()
    assert (shown.origin_at, shown.hours) == (ten, first.hours)
    counter, before = shown.counters[0], first.counters[0]
    assert counter.predicted[:10] == before.predicted[:10]
    assert counter.predicted[10:24] == pytest.approx(
        own.loc[own["counter_id"] == counter.counter_id, "predicted_count"], abs=0.01
    )
    assert counter.predicted[24:] == before.predicted[24:]
    pd.testing.assert_frame_equal(validated(), pairs)

    assert run_at("2025-03-10T11:30:00Z").details["changed"] == 0  # the same event again
    nothing = run_at("2025-03-10T12:30:00Z").details
    assert nothing == {
        "forecasts": 0,
        "snapshot": "kept: nothing new is known: the forecasts are from 2025-03-10T09:00:00Z",
    }
    late_event = run_at(AS_OF, within_day=False, message_id="again").details
    assert late_event["snapshot"].startswith("kept: the published snapshot is newer")
    assert late_event["changed"] == 0
    pd.testing.assert_frame_equal(stored(warehouse_tables), rows)

    assert run_at("2025-03-10T13:30:00Z").details["within_day"]["hours_known"] == 12
    assert published().origin_at == parse_instant("2025-03-10T11:00:00Z")
    again = run_at("2025-03-10T11:30:00Z", within_day=False, message_id="past").details
    assert (again["changed"], again["origin_at"]) == (0, "2025-03-10T09:00:00Z")


@pytest.mark.usefixtures("lists_hours")
def test_a_correction_of_the_days_before_leaves_the_forecasts_from_midnight(
    warehouse_tables: bigquery.Client,
) -> None:
    city = counted_within(late=2 * HOUR)
    run_at(AS_OF, within_day=False)
    morning = stored(warehouse_tables)
    week = city[(city["counted_at"] >= ORIGIN - 7 * DAY) & (city["counted_at"] < ORIGIN)]
    small_city.deliver(week.assign(bike_count=week["bike_count"] * 2), at=AS_OF + HOUR)

    run_at("2025-03-10T11:30:00Z")

    rows = stored(warehouse_tables)
    of_midnight = rows[rows["origin_at"] == ORIGIN].reset_index(drop=True)
    assert len(rows) > len(of_midnight)
    pd.testing.assert_frame_equal(of_midnight, morning, check_dtype=False)


@pytest.mark.usefixtures("lists_hours")
def test_whether_the_day_is_forecast_again_is_decided_on_the_counts_known_then(
    warehouse_tables: bigquery.Client,
) -> None:
    city = counted_within(late=2 * HOUR)
    run_at(AS_OF, within_day=False)
    # Learned after the run: counts of a month whose deviations from the forecasts are chance, so that nothing pays.
    month = city[(city["counted_at"] >= ORIGIN - 31 * DAY) & (city["counted_at"] < ORIGIN)]
    chance = np.random.default_rng(3).choice([0, 2], len(month))
    corrected = (_predicted(month) * chance).round().astype("int64")
    small_city.deliver(month.assign(bike_count=corrected), at=AS_OF + 20 * HOUR)

    details = run_at("2025-03-10T11:30:00Z").details

    assert details["within_day"] == {"hours_known": 10, "learned_days": 30}
    assert details["counts"] == KNOWN
    assert stored(warehouse_tables)["hours_known"].notna().sum() == 4 * 14


@pytest.mark.usefixtures("lists_hours")
def test_a_city_that_publishes_a_day_later_keeps_the_forecasts_from_midnight(
    warehouse_tables: bigquery.Client,
) -> None:
    counted_within(late=20 * HOUR)
    run_at(AS_OF, within_day=False)
    before = stored(warehouse_tables)

    details = run_at("2025-03-10T13:30:00Z").details

    assert details == {
        "forecasts": 0,
        "snapshot": "kept: the day's counts until 10:00 are not known yet",
    }
    run_at("2025-03-10T13:30:00Z", within_day=False, message_id="by hand")
    assert published().origin_at == ORIGIN
    columns = [name for name in before if name != "predicted_at"]
    pd.testing.assert_frame_equal(stored(warehouse_tables)[columns], before[columns])


@pytest.mark.usefixtures("lists_hours")
def test_an_hour_that_few_counters_have_counted_is_not_known(
    warehouse_tables: bigquery.Client,
) -> None:
    city = counted_within(late=20 * HOUR)
    today = city[city["counted_at"] >= ORIGIN]
    ids = sorted(city["counter_id"].unique())
    early = {ids[0]: 14, ids[1]: 10}  # of four counters: one until 14, another until 10 o'clock
    for counter_id, hour in early.items():
        rows = today[
            today["counter_id"].eq(counter_id) & (today["counted_at"] < ORIGIN + hour * HOUR)
        ]
        small_city.warehouse().merge(
            schemas.COUNTS,
            pa.Table.from_pandas(
                rows[["counter_id", "counted_at", "bike_count"]].assign(
                    quality=None, ingested_at=ORIGIN + hour * HOUR
                ),
                schema=schemas.arrow(schemas.COUNTS),
                preserve_index=False,
            ),
            keys=["counter_id", "counted_at"],
        )

    details = run_at("2025-03-10T13:30:00Z").details

    assert details["within_day"]["hours_known"] == 10
    assert len(stored(warehouse_tables)) == 4 * 5 * 24 + 4 * 14  # midnight's were missing


@pytest.mark.usefixtures("lists_hours")
def test_without_forecasts_to_learn_from_the_day_stays_as_it_is() -> None:
    city = small_city.make(days=36, until=UNTIL + DAY)
    small_city.store(city[city["counted_at"] < ORIGIN])
    small_city.store(city[city["counted_at"] >= ORIGIN], ingested_at=ORIGIN + 12 * HOUR)
    run_at(AS_OF, within_day=False)

    details = run_at("2025-03-10T12:30:00Z").details

    assert details["snapshot"] == "kept: the day's counts do not improve the forecast of its rest"
    assert published().origin_at == ORIGIN


def test_a_city_that_lists_no_hours_is_forecast_from_midnight_only() -> None:
    counted_within(late=HOUR)
    run_at(AS_OF, within_day=False)

    assert run_at("2025-03-10T13:30:00Z").details["snapshot"] == (
        "kept: the city's file lists no hours within the day"
    )
    row = run_at("2025-03-10T13:30:00Z", within_day=False, message_id="by hand")
    assert row.details["origin_at"] == "2025-03-09T23:00:00Z"
    assert "within_day" not in row.details


def test_a_sum_is_corrected_but_is_no_part_of_the_city_and_of_what_is_learned() -> None:
    days = days_with(lasting=0.3)
    own = days[days["counter_id"] == "5"].assign(counter_id="sum")
    with_sum = pd.concat([days, own.assign(bike_count=own["bike_count"] * 3)], ignore_index=True)
    made = {}
    for name, rows, sums in (("without", days, frozenset()), ("with", with_sum, {"sum"})):
        past, today = last_day(rows)
        run = SimpleNamespace(
            as_of=AS_OF, warehouse=SimpleNamespace(query_large=lambda *_, rows=past, **__: rows)
        )
        known = KnownDay(
            ORIGIN, ORIGIN + NOON * HOUR, NOON, today[today["lead_hours"] < NOON], frozenset(sums)
        )
        update = learn_update(cast("Any", run), known, {})
        assert update is not None
        block = today.drop(columns="bike_count").assign(lead_day=0)
        rest = update_forecasts([block], known, update).rest
        made[name] = rest.set_index(["counter_id", "lead_hours"])["predicted_count"]
    assert len(made["with"]) > len(made["without"])
    pd.testing.assert_series_equal(made["with"].drop("sum"), made["without"])
