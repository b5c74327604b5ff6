"""Growth as the weekly digest measures it, and as the snapshot shows it a day later."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from tests import emulators
from tests.shared.usecases import small_city
from tests.shared.usecases.small_city import AS_OF
from velocast.adapters.gcs import Objects
from velocast.core.audit_row import AuditRow
from velocast.core.notices import NOTICE, WeeklyDigest
from velocast.core.requests import MonitorRequest, PredictRequest
from velocast.usecases import audit, growth, snapshot_format
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.monitoring.monitor import monitor_champion
from velocast.usecases.snapshot_format import Snapshot

pytestmark = pytest.mark.usefixtures("warehouse_tables")
DAYS = 430  # a year and 66 days
DAY = timedelta(days=1)


def local_days(rows: pd.DataFrame) -> pd.Series[date]:
    days: pd.Series[date] = rows["counted_at"].dt.tz_convert("Europe/Paris").dt.date
    return days


def digest(topics: emulators.RunningPubSub) -> WeeklyDigest:
    run = small_city.monitor_run()
    audit.write(
        run.warehouse, monitor_champion(MonitorRequest(digest=True), run), environment="dev"
    )
    notice = NOTICE.validate_json(topics.published("velocast-alerts")[-1].data)
    assert isinstance(notice, WeeklyDigest)
    return notice


def published(storage_buckets: dict[str, str]) -> Snapshot:
    forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF + DAY, "m2"))
    stored = Objects(emulators.PROJECT, storage_buckets["models"]).read(snapshot_format.SNAPSHOT)
    return snapshot_format.loads(stored.data)


def test_the_snapshot_shows_what_the_digest_measured(
    topics: emulators.RunningPubSub, storage_buckets: dict[str, str]
) -> None:
    rows = small_city.make(counters=3, days=DAYS)
    days = local_days(rows)
    newer = days >= date(2025, 1, 3)
    rows["bike_count"] = rows["bike_count"].mask(newer, (rows["bike_count"] * 1.5).round())
    rows["bike_count"] = rows["bike_count"].astype(int)
    small_city.store(rows)

    told = digest(topics).growth
    shown = published(storage_buckets)

    city = shown.growth
    assert city is not None
    assert (city.before, city.now) == (date(2024, 1, 5), date(2025, 1, 3))
    assert (city.days, city.whole_year) == (66, False)
    older = (days >= city.before) & (days < city.before + city.days * DAY)
    compared = {c.counter_id: c.growth for c in shown.counters if c.growth}
    assert city.growth.counters == len(compared) == 2  # the third counter is younger
    for found, names in [
        (city.growth, list(compared)),
        *((each, [name]) for name, each in compared.items()),
    ]:
        own = rows["counter_id"].isin(names)
        now, before = (rows.loc[own & part, "bike_count"].sum() for part in (newer, older))
        assert found.raw == pytest.approx(now / before - 1, abs=0.01)
        assert found.low < found.change < found.high
        assert found.claimed
    assert told is not None
    card = city.growth.model_dump(exclude={"estimated", "counters"})
    assert told.model_dump() == card | {"now": "2025-01-03", "days": 66, "whole_year": False}


def test_less_than_a_year_has_no_growth(
    topics: emulators.RunningPubSub, storage_buckets: dict[str, str]
) -> None:
    small_city.store(small_city.make(counters=2, days=60))

    assert digest(topics).growth is None
    assert published(storage_buckets).growth is None


def test_a_large_city_s_growth_is_that_of_its_busiest_counters(
    topics: emulators.RunningPubSub,
    storage_buckets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(growth, "MOST_COUNTERS", 1)
    rows = small_city.make(counters=2, days=DAYS)
    small_city.store(rows)

    digest(topics)
    shown = published(storage_buckets)

    recent = rows[local_days(rows) >= AS_OF.date() - 366 * DAY]
    busiest = recent.groupby("counter_id")["bike_count"].sum().idxmax()
    assert [c.counter_id for c in shown.counters if c.growth] == [busiest]
    assert shown.growth is not None
    assert shown.growth.growth.counters == 1


def test_a_counter_that_saw_no_bike_before_has_no_growth_and_keeps_no_forecast_back(
    topics: emulators.RunningPubSub, storage_buckets: dict[str, str]
) -> None:
    """Its growth would be infinite, which JSON does not have."""
    rows = small_city.make(counters=3, days=DAYS)
    full = rows["counter_id"].value_counts().index[:2]  # the third counter is younger
    before = (rows["counter_id"] == full[0]) & (local_days(rows) < date(2024, 4, 1))
    rows["bike_count"] = rows["bike_count"].mask(before, 0).astype(int)
    small_city.store(rows)

    digest(topics)
    shown = published(storage_buckets)

    assert shown.growth is not None
    assert [c.counter_id for c in shown.counters if c.growth] == [full[1]]


def test_a_measurement_that_cannot_be_read_is_not_shown(storage_buckets: dict[str, str]) -> None:
    small_city.store(small_city.make(counters=2, days=60))
    run = small_city.monitor_run()
    row = AuditRow(
        event_id="monitor:e:digest",
        timestamp=AS_OF,
        event_type="ALERT",
        as_of=AS_OF,
        details={"event": "weekly_digest", "growth": {"city": {"now": "soon"}}},
    )
    audit.write(run.warehouse, [row], environment="dev")

    assert published(storage_buckets).growth is None
