"""The synthetic city: its file's shape, its rhythms, and what goes wrong in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from tests.frame_rows import named_rows
from velocast.core.city import load_city
from velocast_cli.city_file import read_city_files
from velocast_cli.weather_file import read_weather_file
from velocast_local.simulation.city import COLUMNS, simulate, simulate_city
from velocast_local.simulation.command import simulate_command
from velocast_local.simulation.files import write_city
from velocast_local.simulation.weather import AHEAD_HOURS

PARIS = Path(__file__).parents[4] / "shared" / "data" / "paris-counts.parquet"
ZONE = ZoneInfo("Europe/Paris")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Fifty counters for 104 days, over an end of summer time."""
    return simulate(50, seed=7)


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    """Thirty counters for two years."""
    return simulate(30, days=730, seed=3)


@pytest.fixture(scope="module")
def city() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two years of counts with their weather."""
    return simulate_city(20, days=730, seed=5)


def hourly_mean(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("date")["sum_counts"].mean().tz_convert(ZONE)


class TestShape:
    @pytest.mark.skipif(not PARIS.is_file(), reason="../shared/data/paris-counts.parquet is absent")
    def test_file_has_the_columns_and_types_of_the_paris_file(self, rows: pd.DataFrame) -> None:
        paris = pd.read_parquet(PARIS)

        assert list(rows.columns) == list(paris.columns)
        assert rows.dtypes.astype(str).to_dict() == paris.dtypes.astype(str).to_dict()

    def test_one_row_a_counter_and_hour_in_order(self, rows: pd.DataFrame) -> None:
        key = rows[["date", "id_compteur"]]

        assert not key.duplicated().any()
        assert key.sort_values(["date", "id_compteur"]).index.equals(key.index)
        assert rows["id_compteur"].nunique() == 50
        assert rows["sum_counts"].min() == 0

    def test_whole_local_days(self, rows: pd.DataFrame) -> None:
        assert rows["date"].min().tz_convert(ZONE) == pd.Timestamp("2025-08-19", tz=ZONE)
        assert rows["date"].max().tz_convert(ZONE) == pd.Timestamp("2025-11-30 23:00", tz=ZONE)

    def test_positions_lie_in_the_city(self, rows: pd.DataFrame) -> None:
        box = load_city("demoville").bounding_box
        places = rows[["latitude", "longitude"]].drop_duplicates()

        assert all(box.contains(p.latitude, p.longitude) for p in named_rows(places))

    def test_another_city_has_its_own_clock_and_no_places_where_none_are_known(self) -> None:
        bare = {"time_zone": "Australia/Adelaide", "holidays": "AU-SA", "bounding_box": None}
        rows = simulate(2, days=4, city=load_city("demoville").model_copy(update=bare))

        local = rows["date"].dt.tz_convert("Australia/Adelaide")
        assert set(local.dt.minute) == {0}
        assert local.min() == pd.Timestamp("2025-11-27", tz="Australia/Adelaide")
        assert rows[["latitude", "longitude"]].isna().all(axis=None)

    def test_same_seed_same_city_and_another_seed_another(self) -> None:
        first = simulate(4, days=10, seed=1)

        pd.testing.assert_frame_equal(first, simulate(4, days=10, seed=1))
        assert not first.equals(simulate(4, days=10, seed=2))

    @pytest.mark.parametrize(("counters", "days"), [(0, 10), (3, 0)])
    def test_nothing_to_simulate_is_refused(self, counters: int, days: int) -> None:
        with pytest.raises(ValueError, match=f"{counters} counters and {days} days"):
            simulate(counters, days=days)

    def test_one_counter_for_one_day(self) -> None:
        assert set(simulate(1, days=1, seed=2)["id_compteur"]) == {"100500000-101500000"}


class TestRhythm:
    def test_working_days_have_two_rush_hours_and_sundays_none(self, rows: pd.DataFrame) -> None:
        mean = hourly_mean(rows)
        weekday = pd.DatetimeIndex(mean.index).weekday
        working = mean[weekday < 5].groupby(lambda t: t.hour).mean()
        sunday = mean[weekday == 6].groupby(lambda t: t.hour).mean()

        assert working[8] > 2 * working[11] * 0.9
        assert working[18] > 2 * working[14] * 0.9
        assert sunday.idxmax() in range(13, 18)

    def test_holiday_counts_like_a_sunday(self, rows: pd.DataFrame) -> None:
        mean = hourly_mean(rows)
        mornings = mean[pd.DatetimeIndex(mean.index).hour == 8]
        days = pd.DatetimeIndex(mornings.index)

        armistice = mornings[days.date == date(2025, 11, 11)].iloc[0]
        assert armistice < 0.5 * mornings[days.weekday == 1].mean()

    def test_summer_is_above_winter_and_august_is_quiet(self, year: pd.DataFrame) -> None:
        mean = hourly_mean(year)
        months = mean.groupby(pd.DatetimeIndex(mean.index).month).mean()

        assert months[6] > 1.2 * months[1]
        assert months[8] < 0.85 * months[6]

    def test_good_and_bad_days_are_shared_and_last(self, year: pd.DataFrame) -> None:
        table = year.pivot(index="date", columns="id_compteur", values="sum_counts")
        daily = table.tz_convert(ZONE).resample("D").sum(min_count=24)
        daily = daily.where(daily > 50).transform(np.log)  # outages aside
        deviation = daily - daily.shift(7)
        city = deviation.mean(axis=1)

        assert deviation.corrwith(city).median() > 0.5
        assert city.autocorr(1) > 0.3


class TestWeather:
    def test_every_hour_of_the_counts_and_some_days_more(
        self, city: tuple[pd.DataFrame, pd.DataFrame]
    ) -> None:
        rows, sky = city
        first, last = rows["date"].min(), rows["date"].max() + pd.Timedelta(hours=AHEAD_HOURS)
        assert list(sky["time"]) == list(pd.date_range(first, last, freq="h"))
        assert sky.notna().all(axis=None)
        assert sky["relative_humidity_2m"].between(20, 100).all()
        assert sky["cloud_cover"].between(0, 100).all()
        assert (sky[["precipitation", "wind_speed_10m"]] >= 0).all(axis=None)
        assert 0.05 < (sky["precipitation"] > 0).mean() < 0.25

    def test_people_ride_less_in_the_rain_and_more_on_warm_days(
        self, city: tuple[pd.DataFrame, pd.DataFrame]
    ) -> None:
        rows, sky = city
        city_day = np.log(rows.groupby("date")["sum_counts"].mean().resample("D").mean())
        shock = city_day - city_day.rolling(29, center=True).mean().where(city_day.notna())
        shock -= shock.groupby(pd.DatetimeIndex(shock.index).weekday).transform("mean")
        hours = sky.set_index("time")
        rain = hours["precipitation"].shift(-1).resample("D").sum()
        warmth = hours["temperature_2m"].resample("D").mean()
        assert shock.corr(rain) < -0.3
        assert shock.corr(warmth - warmth.rolling(29, center=True).mean()) > 0.3

    def test_the_counts_are_the_same_with_and_without(self) -> None:
        rows, sky = simulate_city(3, days=9, seed=4)
        pd.testing.assert_frame_equal(rows, simulate(3, days=9, seed=4))
        pd.testing.assert_frame_equal(sky, simulate_city(3, days=9, seed=4)[1])


class TestWhatGoesWrong:
    def test_some_hours_are_missing_and_some_counters_are_silent_for_days(
        self, rows: pd.DataFrame
    ) -> None:
        table = rows.pivot(index="date", columns="id_compteur", values="sum_counts")
        daily = table.resample("D").sum(min_count=12)

        assert 0.001 < table.isna().to_numpy().mean() < 0.08
        assert ((daily == 0).sum() >= 1).any()

    def test_counters_appear_in_mid_history(self, rows: pd.DataFrame) -> None:
        first = rows.groupby("id_compteur")["date"].min()

        assert (first > rows["date"].min() + pd.Timedelta(days=20)).sum() in range(1, 10)

    def test_the_repeated_hour_of_autumn_comes_as_one_row(self, rows: pd.DataFrame) -> None:
        hours = pd.DatetimeIndex(rows["date"])
        first, second = pd.Timestamp("2025-10-26T00:00Z"), pd.Timestamp("2025-10-26T01:00Z")
        mean = rows.groupby("date")["sum_counts"].mean()

        assert first not in hours
        assert mean[second] > 1.4 * mean[pd.Timestamp("2025-10-26T02:00Z")]


class TestFile:
    @pytest.mark.parametrize("ending", ["parquet", "csv"])
    def test_both_kinds_hold_the_same_city(self, tmp_path: Path, ending: str) -> None:
        rows = simulate(3, days=3, seed=1)
        write_city(rows, tmp_path / f"city.{ending}")

        read = read_city_files(load_city("demoville"), [tmp_path / f"city.{ending}"])

        assert read.put_aside == {}
        assert read.counts["counted_at"].min() == rows["date"].min()
        assert len(read.counts) == len(rows)
        assert read.counts["bike_count"].sum() == rows["sum_counts"].sum()
        assert len(read.positions()) == 3

    def test_other_ending_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"ends in '\.xls', expected \.parquet or \.csv"):
            write_city(simulate(1, days=1), tmp_path / "city.xls")

    def test_command_writes_the_file_and_says_what_is_in_it(self, tmp_path: Path) -> None:
        app = typer.Typer()
        app.command()(simulate_command)
        out = tmp_path / "city.parquet"

        result = CliRunner().invoke(
            app, [str(out), "--counters", "4", "--days", "5", "--seed", "9"]
        )

        assert result.exit_code == 0
        assert list(pd.read_parquet(out).columns) == list(COLUMNS)
        assert "counts of 4 counters, 2025-11-25 23:00Z to 2025-11-30 22:00Z" in result.output

    def test_command_writes_the_weather_where_asked(self, tmp_path: Path) -> None:
        app = typer.Typer()
        app.command()(simulate_command)
        out, weather = tmp_path / "city.parquet", tmp_path / "weather.csv"
        options = [str(out), "--counters", "2", "--days", "2", "--weather", str(weather)]
        assert CliRunner().invoke(app, options).exit_code == 0
        assert len(read_weather_file(weather)) == 2 * 24 + AHEAD_HOURS

    @pytest.mark.parametrize("names", [("city.txt",), ("city.csv", "--weather", "weather.txt")])
    def test_command_refuses_another_ending(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        app = typer.Typer()
        app.command()(simulate_command)

        options = [str(tmp_path / n) if "." in n else n for n in names]
        assert CliRunner().invoke(app, options).exit_code == 2
        assert not list(tmp_path.iterdir())
