"""Validation, drift, decision and the start of the workflow, with the notices about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from google.cloud.workflows.executions_v1 import CreateExecutionRequest

from tests import emulators
from tests.shared.adapters.executions_server import executions_server
from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF
from velocast.adapters.champion_manifest import MANIFEST
from velocast.adapters.gcs import Objects
from velocast.core import schemas
from velocast.core.audit_row import AuditRow
from velocast.core.city.histories import ListedContinuation
from velocast.core.notices import (
    NOTICE,
    DataStale,
    DriftDetected,
    ModelFallback,
    PerformanceDegraded,
)
from velocast.core.requests import MonitorRequest, PredictRequest, RetrainArgument
from velocast.usecases import audit, model_loading
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.monitoring.monitor import monitor_champion

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
DAY = timedelta(days=1)
REPORT = "drift_reports/drift_report_2025-03-10"


@pytest.fixture(autouse=True)
def started(
    emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[CreateExecutionRequest]]:
    """The requested executions: workflow, label, argument."""
    del emulator_environment  # set before the address below
    with executions_server() as (host, requests):
        monkeypatch.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", host)
        yield requests


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The gauges that a run sets, by name without the prefix."""
    found: dict[str, float] = {}

    def remember(_self: object, name: str, value: float, **_labels: str) -> None:
        found[name.removeprefix("bike/")] = float(value)

    monkeypatch.setattr("velocast.core.telemetry.Metrics.set", remember)
    return found


def watch(message_id: str = "m1", **asked: Any) -> tuple[AuditRow, AuditRow]:
    validation, drift = monitor_champion(
        MonitorRequest(**asked), small_city.monitor_run(AS_OF, message_id)
    )
    return validation, drift


def published_notices(topics: emulators.RunningPubSub) -> list[Any]:
    return [NOTICE.validate_json(m.data) for m in topics.published("velocast-alerts")]


def reports() -> Objects:
    return emulators.objects("reports")


def a_champion(
    error: float = 0.05, *, days: int = 62, trained_until: str = "2025-02-20"
) -> pd.DataFrame:
    """A city whose champion's forecasts have errors of this size."""
    city = small_city.make(days=days)
    small_city.store(city)
    small_city.publish_forecasts(city, version=3, days=min(days, 50), error=error)
    champions.publish(3, trained_until=f"{trained_until}T00:00:00Z")
    return city


class TestAGoodChampion:
    def test_is_left_alone(
        self,
        topics: emulators.RunningPubSub,
        started: list[CreateExecutionRequest],
        gauges: dict[str, float],
    ) -> None:
        a_champion(0.05)

        validation, drift = watch()

        assert started == []
        assert [
            notice for notice in published_notices(topics) if notice.event != "drift_detected"
        ] == []
        assert validation.retrain_decision in ("ALL_GOOD", "WAIT")
        assert drift.retrain_decision == validation.retrain_decision
        assert (validation.status, drift.status) == ("OK", "OK")
        assert validation.r2 is not None
        assert validation.r2 > 0.9
        assert validation.details["version"] == 3
        assert validation.old_champion_run_id == "run-3"
        assert gauges["forecast_r2"] == validation.r2
        assert gauges["forecast_rmse"] == validation.rmse
        assert gauges["forecast_skill"] == validation.forecast_skill
        assert gauges["interval_coverage"] == pytest.approx(0.9, abs=0.02)
        assert gauges["champion_age_seconds"] == (8 * 24 - 1) * 3600
        assert gauges["drift_share"] == drift.drift_share
        assert gauges["drifted_features"] == drift.drifted_features_count

    def test_leaves_a_report_of_the_drift(self) -> None:
        a_champion(0.05)

        _, drift = watch()

        assert drift.details["report"] == f"gs://{reports().bucket}/{REPORT}.html"
        assert b"<html" in reports().read(f"{REPORT}.html").data[:2000]
        figures, _ = reports().read_json(f"{REPORT}.json")
        assert figures["share"] == drift.drift_share
        assert figures["reference"] == "the 28 days before"
        assert figures["missing"] == ["weekend_ratio", "temperature_c", "precipitation_mm"]
        assert set(figures["columns"]) == {
            "bike_count",
            "relative_count",
            "night_share",
            "morning_share",
            "absolute_error",
        }

    def test_is_replaced_when_it_is_forced(self, started: list[CreateExecutionRequest]) -> None:
        a_champion(0.05)

        validation, _ = watch(force=True, kind="rf", test_mode=True)

        (request,) = started
        assert validation.retrain_decision == "FORCE"
        assert validation.details["execution"] == "execution-1"
        assert request.parent.endswith("/locations/europe-west1/workflows/velocast-retrain")
        assert dict(request.execution.labels) == {"velocast-cause": "m1"}
        assert RetrainArgument(**json.loads(request.execution.argument)) == RetrainArgument(
            force=True,
            kind="rf",
            test_mode=True,
            as_of="2025-03-10T04:00:00Z",
            reason="FORCE: The event requests a retraining.",
        )

    def test_whose_data_are_old_is_refreshed(self, started: list[CreateExecutionRequest]) -> None:
        a_champion(0.05, trained_until="2025-02-09")

        assert watch()[0].retrain_decision == "REFRESH"
        assert len(started) == 1


class TestABadChampion:
    def test_raises_a_notice_and_is_replaced(
        self, topics: emulators.RunningPubSub, started: list[CreateExecutionRequest]
    ) -> None:
        a_champion(0.95)

        validation, _ = watch()

        assert validation.retrain_decision == "REACTIVE"
        assert len(started) == 1
        (notice,) = [n for n in published_notices(topics) if isinstance(n, PerformanceDegraded)]
        assert notice.event_id == "monitor:m1:performance_degraded"
        assert (notice.version, notice.decision, notice.r2_before) == (3, "REACTIVE", None)
        assert (notice.r2, notice.rmse) == (validation.r2, validation.rmse)

    def test_raises_a_notice_with_its_previous_r2(self, topics: emulators.RunningPubSub) -> None:
        a_champion(0.95)
        before = AuditRow(
            event_id="monitor:m0:validation",
            timestamp=AS_OF - 7 * DAY,
            event_type="VALIDATION",
            as_of=AS_OF - 7 * DAY,
            r2=0.87,
        )
        audit.write(small_city.warehouse(), [before], environment="dev")

        watch()

        (notice,) = [n for n in published_notices(topics) if isinstance(n, PerformanceDegraded)]
        assert notice.r2_before == 0.87

    def test_is_not_replaced_with_check_only(
        self, topics: emulators.RunningPubSub, started: list[CreateExecutionRequest]
    ) -> None:
        a_champion(0.95)

        validation, _ = watch(check_only=True)

        assert validation.retrain_decision == "REACTIVE"
        assert validation.details["execution"] is None
        assert started == []
        assert any(isinstance(n, PerformanceDegraded) for n in published_notices(topics))

    def test_a_message_delivered_twice_starts_one_execution(
        self, started: list[CreateExecutionRequest]
    ) -> None:
        a_champion(0.95)

        first, again = watch("m1")[0], watch("m1")[0]
        other = watch("m2")[0]

        assert first == again
        assert first.details["execution"] == "execution-1"
        assert other.details["execution"] == "execution-2"
        assert len(started) == 2
        note, _ = reports().read_json("monitor/m1.json")
        assert note["execution"] == "execution-1"


class TestAnUnreadableManifest:
    """Monitor goes on with the model that predict falls back to, and tells people the same."""

    @pytest.fixture(autouse=True)
    def damaged(self, storage_buckets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        del storage_buckets  # made before
        monkeypatch.setattr(model_loading, "_cache", {})
        champions.models().write(MANIFEST, b"{ not json", content_type="application/json")

    def test_leaves_the_best_other_version_to_validate(
        self, topics: emulators.RunningPubSub, started: list[CreateExecutionRequest]
    ) -> None:
        city = small_city.make(days=62)
        small_city.store(city)
        small_city.publish_forecasts(city, version=2, days=50)
        champions.enter(2, 0.8)

        validation, drift = watch()
        forecast_all_counters(PredictRequest(), small_city.predict_run(AS_OF, "m2"))

        assert (validation.status, validation.details["version"]) == ("OK", 2)
        assert validation.old_champion_run_id == drift.old_champion_run_id == "run-2"
        assert validation.retrain_decision in ("ALL_GOOD", "WAIT")
        assert started == []
        ours, predicts = [n for n in published_notices(topics) if isinstance(n, ModelFallback)]
        assert ours.event_id == "monitor:m1:fallback:manifest"
        assert (ours.wanted_version, ours.used) == (None, "version 2 (gbm)")
        assert "champion.json is not a valid manifest" in ours.reason
        assert (predicts.used, predicts.reason) == (ours.used, ours.reason)

    def test_with_no_other_version_a_new_champion_is_trained(
        self, topics: emulators.RunningPubSub, started: list[CreateExecutionRequest]
    ) -> None:
        small_city.store(small_city.make(days=25))

        validation, _ = watch()

        assert (validation.retrain_decision, len(started)) == ("FIRST", 1)
        (notice,) = [n for n in published_notices(topics) if isinstance(n, ModelFallback)]
        assert notice.used == "similar_days"


class TestAfterARefusal:
    def test_no_first_training_is_started_for_four_weeks_unless_forced(
        self, started: list[CreateExecutionRequest]
    ) -> None:
        small_city.store(small_city.make(days=25))
        decided = [
            decision("REJECT", 27, version=4),
            decision("DEPLOY", 1, task="affluence"),  # another task's
            decision("SKIP", 0, test_mode=True),  # a trial
            decision("DEPLOY", -1),  # not yet known
        ]
        audit.write(small_city.warehouse(), decided, environment="dev")

        validation, _ = watch()

        assert (validation.retrain_decision, started) == ("WAIT", [])
        assert "version 4 was rejected 27 days ago" in validation.details["decision_reason"]
        assert watch(force=True)[0].retrain_decision == "FORCE"

    @pytest.mark.parametrize("later", [("REJECT", 28), ("DEPLOY", 3)])
    def test_it_ends_with_time_and_with_a_promotion(self, later: tuple[str, int]) -> None:
        small_city.store(small_city.make(days=25))
        decided = [decision("REJECT", 28, version=4), decision(*later, version=5)]
        audit.write(small_city.warehouse(), decided, environment="dev")

        assert watch()[0].retrain_decision == "FIRST"


def decision(
    made: Any,
    days_ago: int,
    *,
    version: int = 1,
    task: str = "forecast",
    test_mode: bool = False,
) -> AuditRow:
    """The row that evaluate (or promote) leaves about a challenger."""
    at = AS_OF - days_ago * DAY
    return AuditRow(
        event_id=f"decided:{made}:{days_ago}:{version}",
        timestamp=at,
        event_type="DEPLOYMENT",
        as_of=at,
        execution_id="e",
        deployment_decision=made,
        details={"version": version, "task": task, "test_mode": test_mode},
    )


@pytest.mark.parametrize("listed", [True, False])
def test_a_counter_that_another_one_continues_needs_no_forecast(listed: bool) -> None:
    """Two of four counters have other ids, and the city goes on publishing the old ones, too."""
    city = a_champion(0.05)
    renamed = sorted(city["counter_id"].unique())[:2]
    old = city[city["counter_id"].isin(renamed)]
    small_city.store(old.assign(counter_id="old-" + old["counter_id"]))
    run = small_city.monitor_run(AS_OF, "m1")
    continuations = tuple(
        ListedContinuation(counter=each, continues=f"old-{each}", since=date(2025, 2, 20))
        for each in renamed
        if listed
    )
    run.settings._city = run.settings.city.model_copy(update={"continuations": continuations})
    validation, _ = monitor_champion(MonitorRequest(), run)
    assert validation.status == ("OK" if listed else "UNKNOWN"), validation.error_message


class TestUnknown:
    def test_with_nothing_stored(
        self,
        topics: emulators.RunningPubSub,
        started: list[CreateExecutionRequest],
        gauges: dict[str, float],
    ) -> None:
        validation, drift = watch()

        assert (validation.status, drift.status) == ("UNKNOWN", "UNKNOWN")
        assert validation.error_message is not None
        assert validation.error_message.startswith("0 forecasts")
        assert drift.error_message == "no usable count is stored"
        assert (validation.r2, validation.rmse, drift.drift_share) == (None, None, None)
        assert drift.drift_detected is None
        assert validation.retrain_decision == "WAIT"
        assert gauges == {}
        assert started == []
        (notice,) = published_notices(topics)
        assert isinstance(notice, DataStale)
        assert (notice.newest_count_at, notice.age_hours) == (None, None)

    def test_without_a_champion_enough_counts_are_the_first_reason(
        self, started: list[CreateExecutionRequest]
    ) -> None:
        small_city.store(small_city.make(days=25))

        validation, drift = watch()

        assert validation.retrain_decision == "FIRST"
        assert (validation.status, validation.r2) == ("UNKNOWN", None)
        assert drift.status == "UNKNOWN"
        assert len(started) == 1

    def test_neither_triggers_nor_prevents(self, started: list[CreateExecutionRequest]) -> None:
        small_city.store(small_city.make(days=25))
        champions.publish(3, trained_until="2025-03-01T00:00:00Z")

        validation, _ = watch()

        assert validation.retrain_decision == "ALL_GOOD"
        assert "accuracy is unknown" in validation.details["decision_reason"]
        assert started == []

    def test_leaves_no_report(self) -> None:
        small_city.store(small_city.make(days=25))

        assert watch()[1].details["report"] is None
        assert reports().names("drift_reports/") == []


class TestDrift:
    def test_raises_a_notice_with_its_report(
        self, topics: emulators.RunningPubSub, gauges: dict[str, float]
    ) -> None:
        city = small_city.make(days=62)
        late = city["counted_at"] >= AS_OF - 28 * DAY
        night = city["counted_at"].dt.hour.isin((22, 23, 0, 1, 2, 3))
        factor = (1 + 4 * late) * (1 + 20 * (late & night))
        small_city.store(city.assign(bike_count=city["bike_count"] * factor))

        _, drift = watch(check_only=True)

        (notice,) = [n for n in published_notices(topics) if isinstance(n, DriftDetected)]
        assert notice.event_id == "monitor:m1:drift_detected"
        assert notice.share == drift.drift_share
        assert {"bike_count", "night_share"} <= set(notice.drifted_columns)
        assert notice.report_uri == f"gs://{reports().bucket}/{REPORT}.html"
        assert notice.reference == "the 28 days before"
        assert gauges["drift_detected"] == float(notice.share >= 0.5)

    def test_uses_the_stored_weather_as_it_was_last_known(self) -> None:
        a_champion(0.05)
        hours = pd.date_range(AS_OF - 60 * DAY, AS_OF, freq="h").floor("h")
        weather = pd.DataFrame({"valid_at": hours, "issued_at": hours, "source": "observed"})
        warmer = weather["valid_at"] >= AS_OF - 28 * DAY
        weather = weather.assign(
            temperature_c=10.0 + 20 * warmer + weather.index % 5,
            precipitation_mm=weather.index % 3 / 2,
        )
        correction = weather.assign(issued_at=AS_OF + DAY, temperature_c=-40.0)
        rows = pa.Table.from_pandas(pd.concat([weather, correction]), preserve_index=False)
        small_city.warehouse().merge(schemas.WEATHER, rows, keys=["valid_at", "issued_at"])

        _, drift = watch()

        assert drift.details["missing"] == ["weekend_ratio"]  # 16 weeks of 4 counters
        assert "temperature_c" in drift.details["drifted"]


def test_stale_counts_raise_a_notice(topics: emulators.RunningPubSub) -> None:
    stale_after = small_city.monitor_run(AS_OF, "m1").settings.thresholds.stale_days * DAY
    city = small_city.make()
    small_city.store(city[city["counted_at"] < AS_OF - stale_after - DAY])

    watch()

    (notice,) = [n for n in published_notices(topics) if isinstance(n, DataStale)]
    assert notice.age_hours == 97
    assert notice.newest_count_at == "2025-03-06T03:00:00Z"
