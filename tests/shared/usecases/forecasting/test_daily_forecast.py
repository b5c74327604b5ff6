"""Forecasts of every counter, written to BigQuery and to the serving snapshot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.shared.usecases import champions, small_city
from tests.shared.usecases.small_city import AS_OF, ORIGIN
from velocast.adapters.champion_manifest import Champion
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.notices import NOTICE, ModelFallback
from velocast.core.requests import PredictRequest
from velocast.usecases import audit, feature_store, model_loading, snapshot_format
from velocast.usecases.forecasting import forecast_rows
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.forecasting.snapshot import building
from velocast.usecases.site.publication import make_site
from velocast.usecases.snapshot_format import CounterSnapshot, Snapshot

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables", "topics")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HOUR = timedelta(hours=1)
ALL_FORECASTS = "SELECT * FROM bike_traffic_predictions.forecasts WHERE target_at > '2020-01-01'"


def forecast_at(as_of: str | None = None, message_id: str = "m1") -> AuditRow:
    moment = AS_OF if as_of is None else parse_instant(as_of)
    (row,) = forecast_all_counters(PredictRequest(), small_city.predict_run(moment, message_id))
    return row


def stored(client: bigquery.Client) -> pd.DataFrame:
    rows = client.query_and_wait(ALL_FORECASTS).to_arrow(create_bqstorage_client=False).to_pandas()
    order = ["counter_id", "target_at", "origin_at", "model_version"]
    return rows.sort_values(order, ignore_index=True) if len(rows) else rows


def promoted(
    champion: Champion | None,
    at: str,
    *,
    version: int = 0,
    execution_id: str | None = None,
    decision: Any = None,
) -> None:
    """Write the audit row of a promotion; without a champion only its version is recorded.

    decision: SKIP or REJECT for the row of a challenger that was refused.
    """
    version = champion.version if champion else version
    details: dict[str, Any] = {"task": "forecast", "version": version}
    if champion:
        details["champion"] = champion.model_dump(mode="json")
    row = AuditRow(
        event_id=f"promote:{version}:{at}:deployment",
        timestamp=parse_instant(at),
        event_type="DEPLOYMENT",
        as_of=parse_instant(at),
        execution_id=execution_id or f"promotion-{version}",
        deployment_decision=decision,
        details=details,
    )
    audit.write(small_city.warehouse(), [row], environment="dev")


def published() -> Snapshot:
    return snapshot_format.loads(emulators.objects().read(snapshot_format.SNAPSHOT).data)


def width(counter: CounterSnapshot) -> float:
    """The mean width of the interval relative to the mean forecast."""
    return (sum(counter.upper) - sum(counter.lower)) / sum(counter.predicted)


class TestBeforeThereIsAChampion:
    def test_similar_days_forecast_every_counter_and_hour_without_a_notice(
        self, warehouse_tables: bigquery.Client, topics: emulators.RunningPubSub
    ) -> None:
        small_city.store(small_city.make())

        row = forecast_at()

        rows = stored(warehouse_tables)
        assert len(rows) == 4 * 5 * 24
        assert set(rows["model_version"]) == {0}
        assert set(rows["model_kind"]) == {"similar_days"}
        assert rows["run_id"].isna().all()
        assert (rows["lower"] <= rows["predicted_count"]).all()
        assert (rows["predicted_count"] <= rows["upper"]).all()
        quantiles = rows[["lower", "q25", "q50", "q75", "upper"]].astype("float64")
        assert (quantiles.diff(axis="columns").iloc[:, 1:] >= 0).all(axis=None)
        assert rows["busy_probability"].between(0, 1).all()
        assert rows["lead_hours"].min() == 0
        assert rows["lead_hours"].max() == 119
        assert topics.published("velocast-alerts") == []
        assert row.event_id == "predict:m1:prediction"
        files = len(list(make_site(published())))
        assert row.details == {
            "origin_at": "2025-03-09T23:00:00Z",
            "model_version": 0,
            "model_kind": "similar_days",
            "run_id": None,
            "forecasts": 480,
            "changed": 480,
            "counters": 4,
            "basis": {"similar_days": 4},
            "busy_version": 0,
            "weather_hours": 0,
            "counts": "as they are stored",
            "snapshot": "published",
            "site": f"{files} files published, {files} of them written",
        }

    def test_in_blocks_of_counters_they_are_the_same(
        self, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small_city.store(small_city.make())
        forecast_at()
        whole = stored(warehouse_tables)
        asked: list[list[str]] = []
        weather: list[pd.DataFrame] = []
        read, read_weather = feature_store.read_features, feature_store.read_weather_features

        def spied(*args: Any, counter_ids: list[str], **options: Any) -> pd.DataFrame:
            asked.append(counter_ids)
            return read(*args, counter_ids=counter_ids, **options)

        def spied_weather(*args: Any, **options: Any) -> pd.DataFrame:
            weather.append(read_weather(*args, **options))
            return weather[-1]

        monkeypatch.setattr(feature_store, "read_features", spied)
        monkeypatch.setattr(feature_store, "read_weather_features", spied_weather)
        monkeypatch.setattr(forecast_rows, "BLOCK", 3)

        forecast_at(message_id="m2")

        in_blocks = stored(warehouse_tables)
        counters = in_blocks["counter_id"].unique().tolist()
        assert sorted({tuple(ids) for ids in asked}) == [tuple(counters[:2]), tuple(counters[2:])]
        assert len(weather) == 1  # the same for all counters
        names = ["counter_id", "target_at", "predicted_count", "basis"]
        pd.testing.assert_frame_equal(in_blocks[names], whole[names])

    def test_of_many_counters_a_sample_of_the_last_days_is_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small_city.store(small_city.make())
        read = feature_store.read_features
        recent: list[pd.DataFrame] = []

        def spied(*args: Any, **options: Any) -> pd.DataFrame:
            rows = read(*args, **options)
            if not options.get("with_busy", True):
                recent.append(rows)
            return rows

        monkeypatch.setattr(feature_store, "read_features", spied)
        forecast_at()
        monkeypatch.setattr(forecast_rows, "MOST_RECENT", len(recent[0]) // 3)
        row = forecast_at(message_id="m2")

        assert row.details["forecasts"] == 480
        whole, sample = recent
        assert len(sample) < 0.5 * len(whole)
        assert set(sample["counter_id"]) == set(whole["counter_id"])

    def test_without_counts_there_is_nothing_to_forecast_yet(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        row = forecast_at()

        assert row.status == "OK"
        assert row.details["snapshot"] == "nothing to forecast yet"
        assert row.details["forecasts"] == 0
        assert stored(warehouse_tables).empty

    def test_one_day_of_counts_is_enough(self) -> None:
        city = small_city.make()
        small_city.store(city[city["counted_at"] >= ORIGIN - DAY])

        row = forecast_at()

        assert row.details["basis"] == {"similar_days": 4}


class TestRunAgain:
    @pytest.fixture(autouse=True)
    def with_a_champion(self, storage_buckets: dict[str, str]) -> None:
        del storage_buckets  # made before
        champions.publish(3)

    def test_the_same_rows(self, warehouse_tables: bigquery.Client) -> None:
        small_city.store(small_city.make())
        forecast_at()
        before, bytes_before = stored(warehouse_tables), published()

        row = forecast_at(message_id="m2")

        assert row.details["changed"] == 0
        pd.testing.assert_frame_equal(stored(warehouse_tables), before)
        assert published() == bytes_before

    def test_later_on_the_same_day_changes_no_forecast(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        """Counts after the origin must not be used: a second run in the evening gives the morning's forecasts."""
        city = small_city.make(until=small_city.UNTIL + DAY)
        small_city.store(city[city["counted_at"] < ORIGIN])
        forecast_at()
        before = stored(warehouse_tables)
        small_city.store(city)

        forecast_at("2025-03-10T20:30:00Z", "m2")

        pd.testing.assert_frame_equal(stored(warehouse_tables), before)
        assert published().published_at == parse_instant("2025-03-10T20:30:00Z")

    def test_the_snapshot_shows_what_was_forecast_on_each_day_beside_the_counts(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make())
        for day in (3, 2, 1):  # a late run for an earlier day changes nothing of a later one
            forecast_at(f"2025-03-0{10 - day}T04:00:00Z", f"past-{day}")

        forecast_at()

        made, rows = published(), stored(warehouse_tables)
        newest = (
            rows[rows["target_at"] < ORIGIN]
            .sort_values("origin_at")
            .groupby(["counter_id", "target_at"])
            .last()
        )
        for counter in made.counters:
            assert counter.recent_from is not None
            hours = pd.date_range(counter.recent_from, periods=len(counter.recent), freq="h")
            expected = newest.loc[counter.counter_id].reindex(hours)
            for shown, column in (
                ("past_predicted", "predicted_count"),
                ("past_lower", "lower"),
                ("past_upper", "upper"),
            ):
                found = pd.Series(getattr(counter, shown), hours, dtype=float)
                pd.testing.assert_series_equal(
                    found, expected[column].round(2), check_names=False, atol=0.011
                )
        assert sum(v is not None for v in made.counters[0].past_predicted) == 3 * 24

    def test_the_snapshot_shows_the_days_before_and_the_same_hours_of_last_year(self) -> None:
        counts = small_city.make(days=30)
        year = counts.assign(counted_at=counts["counted_at"] - timedelta(weeks=52))
        small_city.store(pd.concat([counts, year]))

        forecast_at()

        days = counts[counts["counted_at"] < ORIGIN]
        local = days["counted_at"].dt.tz_convert("Europe/Paris").dt.date
        bikes = days.groupby(["counter_id", local])["bike_count"].sum()
        at = year.set_index(["counter_id", "counted_at"])["bike_count"]
        for counter in published().counters:
            assert counter.days_from == local.min() - timedelta(weeks=52)
            own = bikes[counter.counter_id].reindex(pd.date_range(local.min(), "2025-03-09").date)
            assert list(counter.days[-len(own) :]) == [None if pd.isna(b) else b for b in own]
            assert set(counter.day_hours[31:-31]) == {0}
            assert counter.recent_from is not None
            before = (ORIGIN - counter.recent_from) // HOUR
            shown = pd.date_range(counter.recent_from, periods=before, freq="h")
            year_ago = at[counter.counter_id].reindex(shown - timedelta(weeks=52))
            expected = [None if pd.isna(count) else count for count in year_ago]
            assert list(counter.year_ago[: len(shown)]) == expected
            ends = counter.recent_from + len(counter.year_ago) * HOUR
            assert ends == ORIGIN + 120 * HOUR

    def test_a_past_day_leaves_the_newer_snapshot_alone(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make())
        forecast_at()

        row = forecast_at("2025-03-05T04:00:00Z", "m2")

        assert row.details["snapshot"] == (
            "kept: the published snapshot is newer, from 2025-03-09T23:00:00Z"
        )
        assert published().origin_at == ORIGIN
        origins = stored(warehouse_tables)["origin_at"].unique()
        assert sorted(origins) == [pd.Timestamp("2025-03-04T23:00Z"), pd.Timestamp(ORIGIN)]

    def test_a_past_day_knows_nothing_of_later_counts(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        city = small_city.make()
        then = parse_instant("2025-03-04T23:00:00Z")
        small_city.store(city[city["counted_at"] < then])
        forecast_at("2025-03-05T04:00:00Z")
        before = stored(warehouse_tables)
        small_city.store(city)

        row = forecast_at("2025-03-05T04:00:00Z", "m2")

        assert row.details["changed"] == 0
        pd.testing.assert_frame_equal(stored(warehouse_tables), before)

    def test_a_past_day_again_uses_counts_as_they_were_known(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        then = parse_instant("2025-03-05T04:00:00Z")
        city = small_city.make()
        known = city[city["counted_at"] < then - 2 * DAY]
        small_city.store(known, ingested_at=then)
        forecast_at("2025-03-05T04:00:00Z")
        before = stored(warehouse_tables)
        # the day before the last, of every counter, was counted anew; and the last two days came late
        wrong = city["counted_at"].between(then - 3 * DAY, then - 2 * DAY, inclusive="left")
        later = city.assign(bike_count=city["bike_count"].where(~wrong, city["bike_count"] + 500))
        small_city.deliver(later, at=AS_OF)

        def again(message_id: str, **request: bool) -> AuditRow:
            run = small_city.predict_run(then, message_id)
            (row,) = forecast_all_counters(PredictRequest(**request), run)
            return row

        exact = again("exactly", only_known=True)
        assert (exact.details["changed"], exact.details["counts"]) == (0, "as they were known")
        pd.testing.assert_frame_equal(stored(warehouse_tables), before)

        row = again("with late hours")
        assert (row.details["counts"], row.details["changed"]) == ("as they were known", 480)
        late = stored(warehouse_tables)["predicted_count"].sum()
        assert late == pytest.approx(
            before["predicted_count"].sum(), rel=0.3
        )  # not 500 an hour more

        assert forecast_at(message_id="today").details["counts"] == "as they are stored"


class TestAPastDay:
    """Version 3 served from 2025-03-02, version 4 from 2025-03-09; the days between are forecast again after that."""

    @pytest.fixture(autouse=True)
    def two_champions(
        self,
        storage_buckets: dict[str, str],
        warehouse_tables: bigquery.Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        del storage_buckets, warehouse_tables  # made before
        monkeypatch.setattr(model_loading, "_cache", {})
        small_city.store(small_city.make())
        for version, at in ((3, "2025-03-02T00:00:00Z"), (4, "2025-03-09T00:00:00Z")):
            promoted(champions.publish(version, published_at=at), at)

    @pytest.mark.parametrize("as_of", ["2025-03-03T04:00:00Z", "2025-03-08T04:00:00Z"])
    @pytest.mark.parametrize("snapshot_is_newer", [True, False])
    def test_is_forecast_with_the_champion_of_that_day(
        self, warehouse_tables: bigquery.Client, as_of: str, snapshot_is_newer: bool
    ) -> None:
        if snapshot_is_newer:
            forecast_at()

        row = forecast_at(as_of, "again")

        assert (row.status, row.error_message, row.details["model_version"]) == ("OK", None, 3)
        assert row.new_champion_run_id == "run-3"
        rows = stored(warehouse_tables)
        then = rows[rows["origin_at"] < ORIGIN - DAY]
        assert set(then["model_version"]) == {3}
        assert set(then["run_id"]) == {"run-3"}

    def test_gives_the_rows_that_were_stored_on_that_day(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        champions.publish(3, published_at="2025-03-02T00:00:00Z")  # as it was on that day
        forecast_at("2025-03-05T04:00:00Z")
        before = stored(warehouse_tables)
        champions.publish(4, published_at="2025-03-09T00:00:00Z")
        forecast_at(message_id="today")

        row = forecast_at("2025-03-05T04:00:00Z", "again")

        assert row.details["changed"] == 0
        rows = stored(warehouse_tables)
        again = rows[rows["origin_at"] < ORIGIN].reset_index(drop=True)
        pd.testing.assert_frame_equal(again, before)

    def test_after_a_rollback_it_is_the_version_that_was_rolled_back_to(self) -> None:
        """The rollback's row names the version; the manifest is in the row of its promotion."""
        promoted(None, "2025-03-10T01:00:00Z", version=3)
        champions.publish(5, published_at="2025-03-10T03:00:00Z")

        row = forecast_at("2025-03-10T02:00:00Z", "again")

        assert row.details["model_version"] == 3

    @pytest.mark.parametrize("decision", ["SKIP", "REJECT"])
    def test_a_refused_challenger_was_never_its_champion(self, decision: str) -> None:
        promoted(None, "2025-03-04T00:00:00Z", version=9, decision=decision)

        row = forecast_at("2025-03-05T04:00:00Z", "again")

        assert (row.status, row.details["model_version"]) == ("OK", 3)

    def test_of_an_older_release_has_its_manifest_in_the_promotions_plan(self) -> None:
        champion = champions.publish(6, published_at="2025-03-04T00:00:00Z")
        plan = {"champion": champion.model_dump(mode="json")}
        champions.models().write_json("runs/older-release/plan.json", plan)
        promoted(None, "2025-03-04T00:00:00Z", version=6, execution_id="older-release")
        champions.publish(4, published_at="2025-03-09T00:00:00Z")

        assert forecast_at("2025-03-05T04:00:00Z", "again").details["model_version"] == 6

    def test_before_the_first_champion_is_forecast_with_similar_days(self) -> None:
        row = forecast_at("2025-03-01T04:00:00Z", "again")

        assert (row.details["model_version"], row.details["model_kind"]) == (0, "similar_days")

    @pytest.mark.parametrize("lost", ["artifact", "altered artifact", "manifest"])
    def test_whose_champion_is_gone_stores_nothing_and_says_so(
        self, warehouse_tables: bigquery.Client, topics: emulators.RunningPubSub, lost: str
    ) -> None:
        as_of = "2025-03-05T04:00:00Z"
        if lost == "artifact":
            champions.models().delete("models/gbm/run-3/model.skops")
        elif lost == "altered artifact":
            champions.spoil(3)
        else:
            as_of = "2025-03-06T04:00:00Z"
            promoted(None, "2025-03-06T00:00:00Z", version=9)

        row = forecast_at(as_of, "again")

        version = 9 if lost == "manifest" else 3
        assert row.status == "UNKNOWN"
        assert row.error_message is not None
        assert row.error_message.startswith(f"champion_gone: version {version} was the champion at")
        assert (row.details["model_version"], row.details["forecasts"]) == (version, 0)
        assert stored(warehouse_tables).empty
        (message,) = topics.published("velocast-alerts")
        notice = NOTICE.validate_json(message.data)
        assert isinstance(notice, ModelFallback)
        assert (notice.wanted_version, notice.used) == (version, "nothing; no forecast is stored")


class TestCountersWithoutRecentCounts:
    @pytest.mark.parametrize(
        ("days", "history", "basis"),
        [(10, 35, "similar_days"), (30, 50, "typical_week"), (70, 90, "city_profile")],
    )
    def test_still_get_a_forecast_its_basis_and_a_wider_interval(
        self, days: int, history: int, basis: str
    ) -> None:
        city = small_city.make(days=history)
        quiet = city["counter_id"].min()
        late = city["counted_at"] >= ORIGIN - days * DAY
        small_city.store(city[(city["counter_id"] != quiet) | ~late])

        row = forecast_at()

        counters = {c.counter_id: c for c in published().counters}
        others = [c for c in counters.values() if c.counter_id != quiet]
        assert counters[quiet].basis == basis
        assert {c.basis for c in others} == {"similar_days"}
        assert sum(row.details["basis"].values()) == 4
        assert len(counters[quiet].predicted) == 120
        assert max(counters[quiet].predicted) > 0
        if basis != "similar_days":
            assert width(counters[quiet]) > max(width(other) for other in others)
            assert counters[quiet].busy is None

    def test_still_get_forecasts_when_the_whole_city_is_silent(self) -> None:
        city = small_city.make(days=60)
        small_city.store(city[city["counted_at"] < ORIGIN - 30 * DAY])

        row = forecast_at()

        assert row.details["basis"] == {"typical_week": 4}
        assert {(c.level, c.busy_threshold) for c in published().counters} == {(None, None)}
        assert all(max(c.predicted) > 0 for c in published().counters)

    def test_a_counter_first_seen_today_is_forecast_from_its_neighbours(self) -> None:
        city = small_city.make(until=small_city.UNTIL + DAY)
        new = city["counter_id"].max()
        small_city.store(city[(city["counter_id"] != new) & (city["counted_at"] < ORIGIN)])
        small_city.store(city[(city["counter_id"] == new) & (city["counted_at"] >= ORIGIN)].head(3))

        row = forecast_at()

        assert row.details["basis"] == {"neighbours": 1, "similar_days": 3}
        counter = next(c for c in published().counters if c.counter_id == new)
        assert counter.last_count is not None
        assert sum(counter.predicted) > 0


class TestWithAChampion:
    @pytest.fixture(autouse=True)
    def cold_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model_loading, "_cache", {})

    def test_it_forecasts_and_is_named_in_rows_snapshot_and_audit(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make())
        champions.publish(3)

        row = forecast_at()

        rows = stored(warehouse_tables)
        assert set(zip(rows["model_version"], rows["model_kind"], rows["run_id"], strict=True)) == {
            (3, "gbm", "run-3")
        }
        assert set(rows["basis"]) == {"model"}
        assert (rows["lower"] <= rows["predicted_count"]).all()
        card = published().champion
        assert card is not None
        assert (card.version, card.run_id, card.metrics["current_r2"]) == (3, "run-3", 0.9)
        assert row.new_champion_run_id == "run-3"
        assert row.details["basis"] == {"model": 4}

    def test_a_new_champion_adds_its_own_rows_and_replaces_the_snapshot(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make())
        champions.publish(3)
        forecast_at()
        champions.publish(4)

        row = forecast_at(message_id="m2")

        assert row.details["snapshot"] == "published"
        assert stored(warehouse_tables).groupby("model_version").size().to_dict() == {
            3: 480,
            4: 480,
        }
        card = published().champion
        assert card is not None
        assert card.version == 4

    def test_a_counter_with_two_days_scales_the_city_s_week_to_them(self) -> None:
        city = small_city.make()
        new = city["counter_id"].max()
        early = (city["counter_id"] == new) & (city["counted_at"] < ORIGIN - 2 * DAY)
        small_city.store(city[~early])
        champions.publish(3)

        assert forecast_at().details["basis"] == {"city_profile": 1, "model": 3}
        counter = next(c for c in published().counters if c.counter_id == new)
        counted = city[(city["counter_id"] == new) & (city["counted_at"] < ORIGIN)]
        usual = counted[counted["counted_at"] >= ORIGIN - 56 * DAY]["bike_count"].mean()
        assert sum(counter.predicted) / 120 == pytest.approx(usual, rel=0.25)

    def test_an_unusable_champion_raises_a_notice_and_similar_days_are_used(
        self, topics: emulators.RunningPubSub, warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make())
        champions.publish(3)
        champions.spoil(3)

        row = forecast_at()

        (message,) = topics.published("velocast-alerts")
        notice = NOTICE.validate_json(message.data)
        assert isinstance(notice, ModelFallback)
        assert notice.event_id == "predict:m1:fallback:3"
        assert (notice.wanted_version, notice.used) == (3, "similar_days")
        assert row.details["model_kind"] == "similar_days"
        assert set(stored(warehouse_tables)["model_version"]) == {0}
        assert published().champion is None

    @pytest.mark.parametrize(
        ("promoted_at", "made_with"), [("2025-03-02T05:00:00Z", 4), (rfc3339(AS_OF + MINUTE), 3)]
    )
    def test_a_promotion_in_between_is_not_overwritten(
        self, promoted_at: str, made_with: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Version 4 is promoted, and publishes, while the run with version 3 is about to publish.

        A run as of a time before the promotion is then one of the past: it stores its own champion's rows.
        """
        small_city.store(small_city.make())
        promoted(champions.publish(3), "2025-03-02T05:00:00Z")
        build = building.build_snapshot
        later: list[Champion] = []

        def promote_first(*args: Any, **kwargs: Any) -> Snapshot:
            if not later:
                later.append(champions.publish(4, published_at=promoted_at))
                forecast_at(rfc3339(AS_OF + 2 * MINUTE), message_id="promotion")
            return build(*args, **kwargs)

        monkeypatch.setattr(building, "build_snapshot", promote_first)

        row = forecast_at()

        assert row.details["model_version"] == made_with
        card = published().champion
        assert card is not None
        assert card.version == 4


@pytest.mark.parametrize(
    ("as_of", "hours"), [("2025-03-28T04:00:00Z", 119), ("2025-10-24T04:00:00Z", 121)]
)
def test_clock_changes_lose_no_hour(
    as_of: str, hours: int, warehouse_tables: bigquery.Client
) -> None:
    moment = parse_instant(as_of)
    small_city.store(small_city.make(counters=2, days=30, until=moment.date()))

    row = forecast_at(as_of)

    assert row.details["forecasts"] == 2 * hours
    assert len(published().hours) == hours
    assert stored(warehouse_tables)["lead_day"].max() == 4
