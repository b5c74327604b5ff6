"""The weekly digest: each of its figures beside where it comes from, computed another way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from tests import emulators
from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.core.audit_row import AuditRow
from velocast.core.notices import NOTICE, WeeklyDigest
from velocast.core.requests import MonitorRequest, PredictRequest
from velocast.usecases import audit, snapshot_format
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.histories.decisions import ContinuationDecision, decide
from velocast.usecases.monitoring.monitor import monitor_champion
from velocast.usecases.site.accuracy import find_conspicuous_counters

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
WEEK = timedelta(days=7)
DAY = timedelta(days=1)


def digest(topics: emulators.RunningPubSub, message_id: str = "m1") -> WeeklyDigest:
    """Run monitor as the weekly schedule does; store its audit rows, and return what it published."""
    run = small_city.monitor_run(message_id=message_id)
    audit.write(
        run.warehouse, monitor_champion(MonitorRequest(digest=True), run), environment="dev"
    )
    notice = NOTICE.validate_json(topics.published("velocast-alerts")[-1].data)
    assert isinstance(notice, WeeklyDigest)
    return notice


@pytest.fixture
def city() -> pd.DataFrame:
    """Forty days of four counters and forecasts of most of them; the first counter is silent for five days."""
    rows = small_city.make(days=40)
    first = rows["counter_id"].min()
    silent = (rows["counter_id"] == first) & (rows["counted_at"] >= ORIGIN - 5 * DAY)
    marked = (rows["counter_id"] == rows["counter_id"].max()) & (rows.index % 7 == 0)
    rows["quality"] = marked.map({True: "stuck", False: None})
    rows = rows[~silent].reset_index(drop=True)
    small_city.store(rows)
    small_city.publish_forecasts(rows, version=1, days=35, error=0.2)
    return rows


def test_accuracy_is_that_of_the_week_beside_the_four_before(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    found = digest(topics).accuracy

    assert found is not None
    usable = city[city["quality"].isna()]
    week = usable[(usable["counted_at"] >= ORIGIN - WEEK) & (usable["counted_at"] < ORIGIN)]
    # every forecast is 20 % too high or too low
    assert found.pairs == 3 * len(week)
    assert found.mae == pytest.approx(0.2 * week["bike_count"].mean(), abs=0.005)
    assert (found.wape, found.usual_wape) == (0.2, 0.2)


def test_data_are_the_stored_hours_of_the_week(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    found = digest(topics)

    assert (found.since, found.until) == ("2025-03-03", "2025-03-09")
    week = city[(city["counted_at"] >= ORIGIN - WEEK) & (city["counted_at"] < ORIGIN)]
    usable = week[week["quality"].isna()]
    assert (found.hours, found.usable) == (len(week), len(usable))
    assert found.counting == usable["counter_id"].nunique() == 4
    assert found.bikes == usable["bike_count"].sum()
    days = city.loc[city["quality"].isna(), "counted_at"].dt.tz_convert("Europe/Paris").dt.date
    assert found.history_days == days[days < datetime(2025, 3, 10, tzinfo=UTC).date()].nunique()


def test_counters_and_busiest_hours_are_those_of_the_page(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    forecast_all_counters(PredictRequest(), small_city.predict_run())

    found = digest(topics)

    snapshot = snapshot_format.loads(champions.models().read(snapshot_format.SNAPSHOT).data)
    names = {c.counter_id: c.counter_name for c in snapshot.counters}
    listed = find_conspicuous_counters(snapshot)
    assert [(c.name, c.finding) for c in found.counters] == [
        (names[each["counter_id"]], each["kind"]) for each in listed
    ]
    silent = city["counter_id"].min()
    (mine,) = [c for c in found.counters if c.finding == "silent"]
    assert mine.name == names[silent]
    assert mine.url == f"https://bikes.example/counter/{silent}.html"
    frame = pd.DataFrame({c.counter_id: c.predicted for c in snapshot.counters})
    local = pd.DatetimeIndex(snapshot.hours).tz_convert("Europe/Paris")
    total = frame.sum(axis=1).set_axis(local)[local >= AS_OF].round()
    highest = (
        total.groupby(local[local >= AS_OF].floor("D")).agg(["idxmax", "max"]).nlargest(3, "max")
    )
    assert [(hour.at, hour.bikes) for hour in found.ahead] == [
        (row["idxmax"].isoformat(), round(row["max"])) for _, row in highest.sort_index().iterrows()
    ]


def test_a_proposed_continuation_is_on_the_page_until_somebody_decides(
    topics: emulators.RunningPubSub,
) -> None:
    rows = small_city.make(3, days=70)
    old = str(rows.groupby("counter_id")["bike_count"].sum().idxmax())
    replaced = (rows["counter_id"] == old) & (rows["counted_at"] >= ORIGIN - 30 * DAY)
    small_city.store(rows.assign(counter_id=rows["counter_id"].mask(replaced, "new")))

    def shown() -> list[tuple[str, str, str]]:
        forecast_all_counters(PredictRequest(), small_city.predict_run())
        stored = snapshot_format.loads(champions.models().read(snapshot_format.SNAPSHOT).data)
        found = find_conspicuous_counters(stored)
        listed = [f for f in found if f["kind"] == "continues"]
        return [(f["counter_id"], f["continues"], f["since"]) for f in listed]

    assert shown() == []  # nobody has looked yet
    found = digest(topics)
    (proposed,) = found.continuations
    assert shown() == [("new", old, "2025-02-07T23:00:00Z")]
    again = digest(topics, "m2")  # with the page's counters, of which it is one
    assert again.continuations[0].counter_id == "new"
    assert "continues" not in {each.finding for each in again.counters}
    undo = ContinuationDecision("new", old, AS_OF - DAY, "undo", "ann", AS_OF - timedelta(hours=1))
    decide(small_city.warehouse(), small_city.monitor_run(message_id="m").settings.city, undo)
    assert shown() == []
    assert proposed.since == "2025-02-08"


def test_models_are_the_decisions_of_the_week(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    def decided(days_ago: float, decision: str, **details: object) -> AuditRow:
        at = AS_OF - timedelta(days=days_ago)
        return AuditRow(
            event_id=f"promote:{days_ago}:deployment",
            timestamp=at,
            event_type="DEPLOYMENT",
            as_of=at,
            deployment_decision=decision,
            old_r2_score=0.8,
            new_r2_score=0.9,
            details={"version": 3, "task": "forecast", **details},
        )

    rows = [
        decided(9, "DEPLOY", version=2),
        decided(3, "SKIP"),
        decided(2, "REJECT", test_mode=True),
        decided(1, "DEPLOY", version=4, task="affluence"),
    ]
    audit.write(small_city.warehouse(), rows, environment="dev")

    models = digest(topics).models

    assert [(m.version, m.task, m.decision, m.old_r2, m.new_r2) for m in models] == [
        (3, "forecast", "SKIP", 0.8, 0.9),
        (4, "affluence", "DEPLOY", 0.8, 0.9),
    ]


def test_a_week_has_one_digest_whoever_asks_and_how_often(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    again = [digest(topics, message_id=name) for name in ("m1", "m1", "m2")]

    assert {n.event_id for n in again} == {"monitor:digest:2025-W11"}


def test_an_empty_system_has_a_digest_too(topics: emulators.RunningPubSub) -> None:
    found = digest(topics)

    assert (found.accuracy, found.counters, found.models, found.ahead) == (None, (), (), ())
    assert (found.hours, found.bikes, found.history_days) == (0, 0, 0)
