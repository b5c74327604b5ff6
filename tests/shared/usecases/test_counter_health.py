"""The health of counters, compared with what pandas and scikit-learn say of the same hours."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.adapters.bigquery import sql_templates
from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast.usecases.counter_health import CounterHealth, read_counter_health

VIEW = (
    Path(__file__).parents[3]
    / "terraform/modules/warehouse/views/bike_traffic_raw.counter_health.sql"
)
DAY = timedelta(days=1)
HOURS = 28 * 24
COLUMNS = [
    "counter_id",
    "target_at",
    "origin_at",
    "predicted_at",
    "model_version",
    "predicted_count",
]


def fault(counter: str, kind: str, since: str, *, still: bool) -> dict[str, object]:
    times = {"since": since, "until": since, "found_at": since}
    return {"counter_id": counter, "kind": kind, "open": still, "evidence": "seen", **times}


def health() -> dict[str, CounterHealth]:
    return {c.counter_id: c for c in read_counter_health(small_city.warehouse(), as_of=AS_OF)}


@pytest.fixture
def city(storage_buckets: object, warehouse_tables: object) -> pd.DataFrame:
    """Four counters: the first silent for ten days, the second with 100 marked hours, the third five days old."""
    rows = small_city.make(days=60)
    first, second, third, _ = sorted(rows["counter_id"].unique())
    of, at = rows["counter_id"], rows["counted_at"]
    silent = (of == first) & (at >= ORIGIN - 10 * DAY)
    young = (of == third) & (at < ORIGIN - 5 * DAY)
    rows = rows[~silent & ~young].reset_index(drop=True)
    marked = rows.index[rows["counter_id"] == second][-300:-200]
    rows["quality"] = None
    rows.loc[marked, "quality"] = "stuck"
    small_city.store(rows)
    return rows


def test_silence_and_usable_hours_are_those_of_the_stored_counts(city: pd.DataFrame) -> None:
    first, second, third, fourth = sorted(city["counter_id"].unique())

    found = health()

    newest = city["counted_at"].max()
    for counter, rows in city[city["quality"].isna()].groupby("counter_id"):
        last = rows["counted_at"].max()
        mine = found[str(counter)]
        assert mine.last_counted_at == last
        assert mine.days_silent == pytest.approx((newest - last) / DAY)
        known = city.loc[city["counter_id"] == counter, "counted_at"].min()
        hours = min(HOURS, (newest - known) // timedelta(hours=1) + 1)
        recent = rows["counted_at"] > newest - 28 * DAY
        assert mine.usable_share == pytest.approx(recent.sum() / hours)
    assert found[first].days_silent > 9.9
    assert found[first].needs_a_look
    assert found[second].usable_share < found[fourth].usable_share
    assert found[third].usable_share == pytest.approx(found[fourth].usable_share, abs=0.05)
    assert not found[fourth].needs_a_look


def test_accuracy_is_that_of_the_forecasts_in_force_and_usable_counts(city: pd.DataFrame) -> None:
    small_city.publish_forecasts(city, version=1, days=40, error=0.3)
    small_city.publish_forecasts(city, version=2, days=20, error=0.1)

    found = health()

    newest = city["counted_at"].max()
    checked = 0
    stored = (
        small_city.warehouse()
        .read(schemas.FORECASTS, columns=COLUMNS, where="target_at > '2025-01-01'")
        .to_pandas()
    )
    stored = stored.sort_values(["origin_at", "predicted_at", "model_version"])
    in_force = stored.drop_duplicates(["counter_id", "target_at"], keep="last")
    in_force = in_force.assign(target_at=pd.to_datetime(in_force["target_at"], utc=True))
    usable = city[city["quality"].isna() & (city["counted_at"] > newest - 28 * DAY)]
    pairs = usable.merge(
        in_force,
        left_on=["counter_id", "counted_at"],
        right_on=["counter_id", "target_at"],
    )
    for counter, rows in pairs.groupby("counter_id"):
        counted, predicted = rows["bike_count"], rows["predicted_count"]
        mine = found[str(counter)]
        assert mine.pairs == len(rows)
        assert mine.mae == pytest.approx(mean_absolute_error(counted, predicted))
        assert mine.wape == pytest.approx(np.abs(counted - predicted).sum() / counted.sum())
        assert mine.r2 == pytest.approx(r2_score(counted, predicted))
        checked += len(rows)
    assert checked > 1000


def test_the_open_fault_is_the_oldest_that_the_newest_ingestion_found(city: pd.DataFrame) -> None:
    _, second, third, fourth = sorted(city["counter_id"].unique())
    small_city.remember_faults(
        [fault(fourth, "dead", "2025-03-01T00:00:00Z", still=True)], hours_ago=30
    )
    small_city.remember_faults(
        [
            fault(second, "halved", "2025-03-05T00:00:00+01:00", still=True),
            fault(second, "stuck", "2025-03-02T00:00:00+01:00", still=True),
            fault(third, "spike", "2025-03-02T00:00:00+01:00", still=False),
        ]
    )

    found = health()

    faults = {c: (h.fault_kind, h.fault_since) for c, h in found.items() if h.fault_kind}
    assert {c: (kind, rfc3339(since)) for c, (kind, since) in faults.items() if since} == {
        second: ("stuck", "2025-03-01T23:00:00Z")
    }
    assert found[second].needs_a_look
    assert found[second].fault_evidence == "seen"


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_a_city_without_counts_has_no_row() -> None:
    assert health() == {}


def test_the_view_is_this_statement_as_of_now() -> None:
    def bare(text: str) -> str:
        return " ".join(re.sub(r"^--.*$", "", text, flags=re.MULTILINE).split())

    own = sql_templates.statement("counter_health", "${project}")
    view = VIEW.read_text(encoding="utf-8")

    assert bare(view) == bare(own.replace("@as_of", "CURRENT_TIMESTAMP()"))
