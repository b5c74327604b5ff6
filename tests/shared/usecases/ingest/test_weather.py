"""fetch's weather, from the replayed API to the table: forecasts, gaps, backfills, and failures of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.replayed_city import ReplayedCity, serving, small_frame, without_pauses
from tests.replayed_weather import ReplayedWeather, serving_weather, small_weather
from tests.shared.usecases.ingest.test_fetch import Lab
from velocast.adapters.city_sources.transports import portal
from velocast.adapters.weather import open_meteo
from velocast_local.city.open_meteo_replay import WeatherFaults

FIRST = datetime(2025, 3, 5, tzinfo=UTC)  # of the counts
NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)
LONG_AGO = datetime(2025, 2, 15, tzinfo=UTC)  # three weeks before NOW, far more than the overlap
DAY = timedelta(days=1)
FORECAST_HOURS = 9 * 24 - 1


class WeatherLab(Lab):
    """A replayed city with weather, the warehouse behind fetch, and the notices it publishes."""

    weather: ReplayedWeather

    def next_day(self, days: int = 1) -> None:
        self.city.next_day(days)
        self.weather.now = self.city.now

    def stored(self) -> pd.DataFrame:
        return self.rows("weather").sort_values(["valid_at", "issued_at"], ignore_index=True)

    def weather_of(self, **request: str) -> dict[str, Any]:
        """Run fetch and return the weather details of its audit row."""
        details = self.fetch(**request)["weather"]
        assert isinstance(details, dict)
        return details

    def as_configured_now(self) -> WeatherLab:
        """Return the same with settings read anew from the environment."""
        lab = WeatherLab(self.city, self.client, self.topics)
        lab.weather = self.weather
        return lab


def counts_from(first: datetime) -> pd.DataFrame:
    """One counter's hours from `first` to the 20th of March 2025, no two days alike: it is not stuck."""
    rows = small_frame(first, (FIRST + 15 * DAY - first).days, counters=("100-101",))
    day = rows["date"].dt.dayofyear
    return rows.assign(sum_counts=rows["sum_counts"] + (day * day % 11).astype("int32"))


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ReplayedCity, ReplayedWeather]]:
    folder = tmp_path_factory.mktemp("city")
    city = ReplayedCity(folder / "city.parquet", counts_from(FIRST), NOW)
    observed = small_weather(LONG_AGO - 5 * DAY, days=50)
    weather = ReplayedWeather(folder / "weather.parquet", observed, NOW)
    with serving(city), serving_weather(weather):
        yield city, weather


@pytest.fixture
def lab(
    served: tuple[ReplayedCity, ReplayedWeather],
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> WeatherLab:
    city, weather = served
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    monkeypatch.setattr(open_meteo, "LIMITS", without_pauses(open_meteo.LIMITS))
    monkeypatch.setenv("VELOCAST_CITY", city.described(weather_url=weather.base_url))
    city.now = weather.now = NOW
    city.publish(counts_from(FIRST))
    weather.replay.faults = WeatherFaults()
    weather.replay.asked.clear()
    lab = WeatherLab(city, warehouse_tables, topics)
    lab.weather = weather
    return lab


@pytest.fixture
def old_lab(lab: WeatherLab) -> WeatherLab:
    """The same city with counts since LONG_AGO."""
    lab.city.publish(counts_from(LONG_AGO))
    return lab


class TestWhatIsStored:
    def test_first_run_reads_the_archive_back_to_the_first_count(self, lab: WeatherLab) -> None:
        details = lab.weather_of()

        rows = lab.stored()
        assert details["status"] == "stored"
        assert details["inserted"] == len(rows) == details["fetched"]
        assert (details["updated"], details["implausible"], details["errors"]) == (0, 0, [])
        assert details["sources"] == ["perturbed"]
        assert rows["valid_at"].min() == pd.Timestamp(FIRST)
        assert rows["valid_at"].max() == pd.Timestamp("2025-03-17 22:00Z")
        assert rows["issued_at"].max() == pd.Timestamp(NOW)
        assert set(rows["source"]) == {"perturbed"}
        assert rows[["temperature_c", "precipitation_mm", "cloud_pct"]].notna().all(axis=None)
        assert lab.notices() == []

    def test_every_past_origin_finds_five_days_of_weather_known_by_then(
        self, lab: WeatherLab
    ) -> None:
        lab.weather_of()

        rows = lab.stored()
        origin = pd.Timestamp("2025-03-05T23:00Z")
        known = rows[rows["issued_at"] <= origin]
        hours = pd.date_range(origin, periods=98, freq="h")  # to the end of what is stored of them
        assert set(hours) <= set(known["valid_at"])

    def test_the_next_day_requests_only_the_forecast(self, lab: WeatherLab) -> None:
        lab.weather_of()
        before = len(lab.stored())
        lab.weather.replay.asked.clear()
        lab.next_day()

        details = lab.weather_of()

        (asked,) = lab.weather.replay.asked
        assert asked.startswith("forecast?")
        assert details["archive_since"] is None
        assert details["inserted"] == FORECAST_HOURS
        assert len(lab.stored()) == before + FORECAST_HOURS

    def test_the_same_event_again_changes_nothing(self, lab: WeatherLab) -> None:
        lab.weather_of()
        before = lab.stored()

        details = lab.weather_of()

        pd.testing.assert_frame_equal(lab.stored(), before)
        assert (details["inserted"], details["updated"]) == (0, 0)
        assert details["unchanged"] == FORECAST_HOURS

    def test_days_that_were_missed_come_from_the_archive(self, lab: WeatherLab) -> None:
        lab.weather_of()
        lab.next_day(3)

        details = lab.weather_of()

        rows = lab.stored()
        assert details["archive_since"] == "2025-03-10T02:00:00Z"
        missed = rows[rows["valid_at"].between("2025-03-11 00:00Z", "2025-03-12 00:00Z")]
        lead = missed["valid_at"] + pd.Timedelta(hours=1) - missed["issued_at"]
        assert {pd.Timedelta(days=n) for n in range(6)} <= set(lead)

    def test_a_backfill_reads_the_archive_of_its_range_and_no_forecast(
        self, lab: WeatherLab
    ) -> None:
        details = lab.weather_of(since="2025-03-06T00:00:00Z", until="2025-03-08T00:00:00Z")

        rows = lab.stored()
        assert details["archive_since"] == "2025-03-06T00:00:00Z"
        assert {a.partition("?")[0] for a in lab.weather.replay.asked} == {"previous-runs"}
        assert len(rows) == 48 * 6
        assert rows["valid_at"].min() == pd.Timestamp("2025-03-06 00:00Z")
        assert rows["valid_at"].max() == pd.Timestamp("2025-03-07 23:00Z")

        again = lab.weather_of(since="2025-03-06T00:00:00Z", until="2025-03-08T00:00:00Z")
        assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 48 * 6)

    def test_a_past_day_gets_what_was_known_then(self, lab: WeatherLab) -> None:
        lab.weather.now = NOW + 4 * DAY  # the city stands at NOW: its event is played again later

        details = lab.weather_of()

        rows = lab.stored()
        assert details["status"] == "stored"
        assert rows["issued_at"].max() <= pd.Timestamp(NOW)
        assert rows["valid_at"].max() > pd.Timestamp(NOW + 4 * DAY)

    def test_a_city_without_weather(self, lab: WeatherLab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VELOCAST_CITY", lab.city.described())
        lab = lab.as_configured_now()

        assert lab.weather_of() == {"status": "not configured"}
        assert len(lab.rows("counts")) > 0
        assert lab.notices() == []

    def test_weather_configured_late_reaches_back_to_the_oldest_stored_count(
        self, old_lab: WeatherLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as without:
            without.setenv("VELOCAST_CITY", old_lab.city.described())
            assert old_lab.as_configured_now().weather_of() == {"status": "not configured"}
        old_lab.next_day()

        assert_whole_history_is_read(old_lab.as_configured_now())

    @pytest.mark.parametrize(
        ("first", "now", "asked_from"),
        [
            ("2023-12-27", NOW, {"2024-01-01"}),
            ("2023-06-01", NOW, set()),
            ("2021-09-01", datetime(2021, 9, 9, 2, tzinfo=UTC), {"2021-09-01"}),
        ],
        ids=["counts from before it", "no counts since it", "a replay of days before it"],
    )
    def test_the_archive_is_not_asked_for_years_before_it_begins(
        self, lab: WeatherLab, first: str, now: datetime, asked_from: set[str]
    ) -> None:
        since = datetime.fromisoformat(first).replace(tzinfo=UTC)
        lab.city.publish(small_frame(since, days=10, counters=("100-101",)))
        lab.city.now = lab.weather.now = now
        # its answer is not needed, and one for a year takes its time
        lab.weather.replay.faults = WeatherFaults("unavailable", apis=("previous-runs",))

        details = lab.weather_of()

        assert details["archive_since"] == next((f"{day}T00:00:00Z" for day in asked_from), None)
        _, *asked = lab.weather.replay.asked
        assert {each.partition("start_date=")[2][:10] for each in asked} == asked_from


def assert_whole_history_is_read(lab: WeatherLab) -> None:
    """Run fetch; all weather since LONG_AGO is there then, and the run after asks for the forecast alone."""
    details = lab.weather_of()

    assert (details["status"], details["archive_since"]) == ("stored", "2025-02-15T00:00:00Z")
    hours = lab.stored()["valid_at"].drop_duplicates()
    assert hours.min() == pd.Timestamp(LONG_AGO)
    assert hours.max() > pd.Timestamp(lab.city.now)
    assert (hours.diff().dropna() == pd.Timedelta(hours=1)).all()
    lab.next_day()
    assert lab.weather_of()["archive_since"] is None


class TestTrouble:
    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("unavailable", "weather_unreachable"),
            ("too_many_requests", "weather_unreachable"),
            ("truncated", "weather_truncated"),
            ("html", "weather_refused"),
        ],
    )
    def test_counts_are_stored_and_a_notice_is_published(
        self, lab: WeatherLab, kind: Any, code: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        lab.weather.replay.faults.kind = kind

        details = lab.fetch()

        assert details["inserted"] == len(lab.rows("counts")) > 0
        assert details["weather"]["status"] == "incomplete"
        assert details["weather"]["inserted"] == 0
        assert details["weather"]["publish_again"] is None  # the next run sees the gap
        assert details["weather"]["errors"][0].startswith(f"{code}: ")
        (notice,) = lab.notices()
        assert notice["event"] == "weather_missing"
        assert notice["event_id"] == "fetch:weather_missing:2025-03-10"
        assert notice["newest_issued_at"] is None
        assert "/v1/forecast" in notice["reason"]
        assert "weather is missing: http" in caplog.messages[-1]
        apis = {asked.partition("?")[0] for asked in lab.weather.replay.asked}
        assert ("previous-runs" in apis) == (
            code == "weather_refused"
        )  # else it will be asked tomorrow

    def test_the_next_run_fills_the_gap(self, lab: WeatherLab) -> None:
        lab.weather_of()
        lab.weather.replay.faults.kind = "unavailable"
        for _ in range(2):
            lab.next_day()
            assert lab.weather_of()["status"] == "incomplete"
        notices = lab.notices()
        assert [n["newest_issued_at"] for n in notices] == ["2025-03-10T02:00:00Z"] * 2
        lab.weather.replay.faults.kind = None
        lab.next_day()

        details = lab.weather_of()

        assert (details["status"], details["archive_since"]) == ("stored", "2025-03-10T02:00:00Z")
        hours = lab.stored()["valid_at"].drop_duplicates()
        assert (hours.diff().dropna() == pd.Timedelta(hours=1)).all()

    def test_an_unreachable_archive_is_requested_again_the_next_day(self, lab: WeatherLab) -> None:
        lab.weather.replay.faults = WeatherFaults("unavailable", apis=("previous-runs",))
        assert lab.weather_of()["inserted"] == 0
        lab.weather.replay.faults = WeatherFaults()
        lab.next_day()

        assert lab.weather_of()["archive_since"] == "2025-03-05T00:00:00Z"

    @pytest.mark.parametrize("apis", [("forecast", "previous-runs"), ("previous-runs",)])
    def test_first_runs_without_weather_lose_no_history(
        self, old_lab: WeatherLab, apis: tuple[str, ...]
    ) -> None:
        old_lab.weather.replay.faults = WeatherFaults("unavailable", apis=apis)
        for _ in range(2):
            assert old_lab.weather_of()["inserted"] == 0
            old_lab.next_day()
        old_lab.weather.replay.faults = WeatherFaults()

        assert_whole_history_is_read(old_lab)

    @pytest.mark.parametrize("kind", ["unavailable", "html"])
    def test_a_range_without_weather_says_which_event_to_publish_again(
        self, lab: WeatherLab, kind: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        lab.weather_of()
        lab.weather.replay.faults.kind = kind
        ranges = [
            {"since": "2025-03-06T00:00:00Z", "until": "2025-03-08T00:00:00Z"},
            {"since": "2025-03-08T00:00:00Z", "until": "2025-03-10T02:00:00Z"},  # up to now
        ]

        found = [lab.weather_of(**each) for each in ranges]

        assert [details["status"] for details in found] == ["incomplete"] * 2
        assert [json.loads(details["publish_again"]) for details in found] == ranges
        notices = lab.notices()
        assert [n["event_id"] for n in notices] == [
            "fetch:weather_missing:2025-03-10:2025-03-06T00:00:00Z/2025-03-08T00:00:00Z",
            "fetch:weather_missing:2025-03-10:2025-03-08T00:00:00Z/2025-03-10T02:00:00Z",
        ]
        for notice, details in zip(notices, found, strict=True):
            assert f"publish {details['publish_again']} to velocast-fetch again" in notice["reason"]
        assert notices[1]["reason"] in caplog.messages[-1]

        lab.weather.replay.faults.kind = None
        healed = lab.weather_of(**json.loads(found[0]["publish_again"]))
        assert (healed["status"], healed["publish_again"]) == ("stored", None)

    def test_a_refusing_archive_does_not_lose_the_forecast(self, lab: WeatherLab) -> None:
        lab.weather.replay.faults = WeatherFaults("html", apis=("previous-runs",))

        details = lab.weather_of()

        assert (details["status"], details["inserted"]) == ("incomplete", FORECAST_HOURS)
        # the forecast hides the gap from the next run
        assert json.loads(details["publish_again"]) == {
            "since": "2025-03-05T00:00:00Z",
            "until": "2025-03-10T02:00:00Z",
        }
        (notice,) = lab.notices()
        assert details["publish_again"] in notice["reason"]
