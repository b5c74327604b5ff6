"""The verdicts of the doctor: pure, from what was read to findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from tests.shared.usecases.serving import snapshots
from velocast.adapters.champion_manifest import Champion
from velocast.core import schemas
from velocast.core.city import Messages, load_city
from velocast.core.city.sources import Source
from velocast_cli.doctor.backups import judge_backups, judge_instances, judge_versions
from velocast_cli.doctor.champion import Named, judge_agreement, judge_snapshot
from velocast_cli.doctor.data import judge_columns, judge_counts, judge_forecasts
from velocast_cli.doctor.deployment import (
    Deployed,
    is_needed,
    judge_function,
    judge_secret,
    judge_services,
)
from velocast_cli.doctor.grants import read_config
from velocast_cli.doctor.operations import RetrainLease, judge_dead_letters, judge_lease
from velocast_cli.operations.dead_letters import DeadLetter
from velocast_cli.operations.restoring.database_backups import Backup

NOW = datetime(2026, 3, 5, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


TABLE = schemas.table(schemas.FORECASTS)
TYPES: dict[str, str] = {f.name: f.type for f in TABLE.fields}


class TestColumns:
    def test_the_schema_itself_is_in_order(self) -> None:
        assert (
            judge_columns(TABLE, TYPES | {"of_a_newer_version": "STRING"}, project="p", deploy="d")
            == []
        )

    def test_a_nullable_column_can_be_added(self) -> None:
        types = {n: t for n, t in TYPES.items() if n != "busy_probability"}
        (finding,) = judge_columns(TABLE, types, project="p", deploy="d")
        assert finding.subject == "bike_traffic_predictions.forecasts.busy_probability"
        assert finding.repair == "add_column"
        assert "ADD COLUMN IF NOT EXISTS busy_probability FLOAT64" in finding.command

    def test_a_required_one_and_another_type_cannot_be_mended_in_place(self) -> None:
        types = {n: t for n, t in TYPES.items() if n != "lower"} | {"upper": "INTEGER"}
        lower, upper = judge_columns(TABLE, types, project="p", deploy="d")
        assert (lower.repair, upper.repair) == (None, None)
        assert upper.found == "The column is INTEGER, the schema says FLOAT."
        assert {lower.command, upper.command} == {f"velocast restore table {TABLE.name} --at=TIME"}

    def test_a_table_that_is_gone_is_deployed_again(self) -> None:
        (finding,) = judge_columns(TABLE, None, project="p", deploy="make deploy")
        assert (finding.subject, finding.command) == (schemas.FORECASTS, "make deploy")


class TestAges:
    @pytest.mark.parametrize(
        ("age", "stale"), [(3 * DAY, False), (3 * DAY + HOUR, True), (40 * DAY, True)]
    )
    def test_counts(self, age: timedelta, stale: bool) -> None:
        found = judge_counts(NOW - age, NOW, stale_days=3, location="l")
        assert [f.check for f in found] == ["counts"] * stale

    def test_a_long_gap_of_counts_is_filled_in_windows(self) -> None:
        (finding,) = judge_counts(NOW - 40 * DAY, NOW, stale_days=3, location="l")
        assert finding.command == "velocast backfill --since 2026-01-24 --until 2026-03-05"
        (none,) = judge_counts(None, NOW, stale_days=3, location="l")
        assert none.found == "There are no counts."

    @pytest.mark.parametrize(("age", "stale"), [(26 * HOUR, False), (27 * HOUR, True)])
    def test_forecasts(self, age: timedelta, stale: bool) -> None:
        assert bool(judge_forecasts(NOW - age, NOW, fresh=26 * HOUR, location="l")) is stale
        assert judge_forecasts(None, NOW, fresh=26 * HOUR, location="l")[0].repair == "run_predict"

    @pytest.mark.parametrize(("age", "stale"), [(26 * HOUR, False), (27 * HOUR, True)])
    def test_the_snapshot(self, age: timedelta, stale: bool) -> None:
        snapshot = snapshots.snapshot(1).model_copy(update={"published_at": NOW - age})
        assert bool(judge_snapshot("gs://m/s", snapshot, "", NOW, fresh=26 * HOUR)) is stale

    @pytest.mark.parametrize(("age", "stale"), [(36 * HOUR, False), (37 * HOUR, True)])
    def test_backups_of_which_only_successful_ones_count(self, age: timedelta, stale: bool) -> None:
        done = Backup("1", (NOW - age).isoformat(), is_whole=True)
        failed = Backup("2", NOW.isoformat(), is_whole=False)
        instance = {"name": "db", "createTime": "2026-01-01T00:00:00Z"}
        assert bool(judge_backups(instance, [failed, done], NOW)) is stale

    def test_a_new_database_needs_no_backup_yet(self) -> None:
        young = {"name": "db", "createTime": (NOW - 30 * HOUR).isoformat()}
        assert judge_backups(young, [], NOW) == []
        old = {"name": "db", "createTime": (NOW - 40 * HOUR).isoformat()}
        assert judge_backups(old, [], NOW)[0].repair == "back_up"

    def test_a_database_that_is_gone(self) -> None:
        assert judge_instances([{"name": "velocast-mlflow-2"}], deploy="d") == []
        assert judge_instances([], deploy="make deploy")[0].command == "make deploy"

    def test_a_bucket_without_versions(self) -> None:
        assert judge_versions("gs://m/", versioned=True, deploy="d") == []
        assert judge_versions("gs://m/", versioned=False, deploy="d")[0].command == "d"


def champion(version: int) -> Champion:
    return Champion(
        version=version,
        run_id=f"run-{version}",
        task="forecast",
        kind="gbm",
        artifact_uri="gs://m/a",
        sha256="a" * 64,
        feature_definition="f",
        library_versions={},
        metrics={},
        trained_from="2026-01-01T00:00:00Z",
        trained_until="2026-03-01T00:00:00Z",
        published_at="2026-03-01T00:00:00Z",
        baseline="b" * 64,
        judged_run_id="run",
        judged_sha256="c" * 64,
    )


class TestAgreement:
    SAME = (
        Named("summary", 2, ("run-2",)),
        Named("MLflow", 2),
        Named("audit", None, ("run-1", "run-2")),  # two promotions at the same moment
        Named("snapshot", 2, ("run-2",)),
    )

    def test_all_places_agree(self) -> None:
        assert judge_agreement("forecast", champion(2), self.SAME) == []

    def test_before_the_first_champion_there_is_nothing_to_agree_on(self) -> None:
        none = [Named(named.place) for named in self.SAME]
        assert judge_agreement("forecast", None, none) == []

    @pytest.mark.parametrize("place", range(4))
    def test_each_place_that_differs_is_named(self, place: int) -> None:
        other = Named(self.SAME[place].place, 1, ("run-1",))
        places = [*self.SAME[:place], other, *self.SAME[place + 1 :]]
        (finding,) = judge_agreement("forecast", champion(2), places)
        assert finding.subject == f"forecast: {other.place}"
        assert finding.found == (
            f"The manifest names version 2 (run run-2); {other.place} names version 1."
        )
        assert finding.repair == ("run_predict" if other.place == "snapshot" else "heal_split")

    def test_a_manifest_that_is_gone_is_not_healed_by_itself(self) -> None:
        (finding,) = judge_agreement("forecast", None, [Named("MLflow", 1)])
        assert (finding.repair, finding.command) == (None, "velocast rollback")


class TestLease:
    def judged(self, state: str | None, until: datetime | None) -> list[tuple[str, str | None]]:
        lease = RetrainLease(7, "e-1", until)
        return [(f.kind, f.repair) for f in judge_lease(lease, state, NOW, uri="gs://m/l")]

    @pytest.mark.parametrize("state", ["ACTIVE", "QUEUED"])
    def test_of_an_execution_at_work(self, state: str) -> None:
        assert self.judged(state, NOW + HOUR) == []
        assert self.judged(state, NOW - HOUR) == [], "one that works keeps it"

    @pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "SUCCEEDED"])
    def test_of_an_execution_that_is_over(self, state: str) -> None:
        assert self.judged(state, NOW + HOUR) == [("fault", "release_lease")]

    def test_of_an_execution_whose_job_goes_on_is_not_released(self) -> None:
        assert self.judged("JOB_RUNNING", NOW + HOUR) == [("fault", None)]

    def test_of_a_holder_that_is_no_execution(self) -> None:
        assert self.judged(None, NOW + HOUR) == [("unknown", None)]
        assert self.judged(None, NOW) == [("fault", "release_lease")]

    def test_that_cannot_be_read(self) -> None:
        assert self.judged(None, None) == [("fault", "release_lease")]


OWN = {"VELOCAST_CITY": "paris"}


class TestDeployment:
    def judged(self, variables: dict[str, str], state: str = "ACTIVE") -> list[str]:
        needed = ["VELOCAST_CITY", "X"]
        found = judge_function("fetch", needed, Deployed(state, variables), OWN, command="d")
        return [f"{f.subject} {f.found}" for f in found]

    def test_a_function_with_its_variables(self) -> None:
        assert self.judged({"VELOCAST_CITY": "paris", "X": "1"}) == []

    def test_a_city_s_own_file_is_deployed_under_its_name(self) -> None:
        own = {"VELOCAST_CITY": "/home/ada/oz.yaml"}
        for deployed, faults in (("oz", 0), ("paris", 1)):
            function = Deployed("ACTIVE", {"VELOCAST_CITY": deployed})
            found = judge_function("fetch", ["VELOCAST_CITY"], function, own, command="d")
            assert len(found) == faults

    def test_a_variable_missing_or_of_another_system(self) -> None:
        assert self.judged({"VELOCAST_CITY": "lyon"}, "FAILED") == [
            "fetch Its state is FAILED, not ACTIVE.",
            "fetch: VELOCAST_CITY The function has 'lyon', this command has 'paris'.",
            "fetch: X The variable is not set.",
        ]

    def test_a_function_that_is_not_deployed(self) -> None:
        (finding,) = judge_function("fetch", [], None, {}, command="make deploy")
        assert finding.found == "The function is not deployed."

    def test_an_api_that_is_off(self) -> None:
        (finding,) = judge_services(["a.googleapis.com", "b.googleapis.com"], {"a.googleapis.com"})
        assert finding.command == "gcloud services enable b.googleapis.com"

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("real", []),
            (" \n", ["It has no value."]),
            ("add it\n", ["It still has its first value."]),
        ],
    )
    def test_a_secret(self, value: str, found: list[str]) -> None:
        entry = {"first_value": "add it", "description": "The webhook."}
        assert [f.found for f in judge_secret("s", entry, value)] == found

    @pytest.mark.parametrize(
        ("transport", "needed"),
        [
            ({"transport": "eco_counter", "base_url": "https://eco.example"}, True),
            (
                {"transport": "opendatasoft", "base_url": "https://ods.example", "dataset": "x"},
                False,
            ),
            (None, False),
        ],
    )
    def test_a_citys_token_is_needed_where_its_portal_asks_for_one(
        self, transport: dict[str, str] | None, needed: bool
    ) -> None:
        demoville = load_city("demoville")
        source = transport and TypeAdapter[Source](Source).validate_python(transport)
        counts = demoville.counts.model_copy(update={"source": source})
        city = demoville.model_copy(update={"counts": counts})
        assert is_needed("velocast-city-token", city) == needed

    def test_a_channels_secret_is_needed_where_messages_name_it(self) -> None:
        demoville = load_city("demoville")
        messages = Messages(critical=("ops",), warning=("ops",), info=())
        city = demoville.model_copy(update={"messages": messages})
        needed = {
            name: (is_needed(name, demoville), is_needed(name, city))
            for name in read_config("secrets")
        }
        assert needed == {
            "velocast-discord-webhook": (True, False),
            "velocast-channels": (False, True),
            "velocast-api-keys": (True, True),
            "velocast-city-token": (False, False),
        }


def test_dead_letters_are_counted_by_the_subscription_they_come_from() -> None:
    letters = [
        DeadLetter("1", "", name, NOW, 5, "{}")
        for name in ("velocast-fetch", "velocast-fetch", "unknown")
    ]
    (finding,) = judge_dead_letters(letters)
    assert finding.found.endswith("3 (2 of velocast-fetch, 1 of unknown).")
    assert finding.command == "velocast dead-letters list"
    assert judge_dead_letters([]) == []
