"""`velocast backtest` on a small synthetic city: the shape of what it prints, and that it cheats nowhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from gcp_emulators.bigquery.emulator import BigQueryEmulator
from velocast.adapters import google_clients
from velocast.adapters.bigquery.client import Warehouse
from velocast.core.city import load_city
from velocast.core.datetimes import start_of_local_day
from velocast.core.errors import TooLittleHistory
from velocast.core.kinds import ForecastKind
from velocast.model.learning import forecaster, regressors
from velocast_cli.backtesting import (
    file_backtest,
    printed_scores,
    reference_forest,
    rolling_origins,
    scores,
)
from velocast_cli.backtesting import report as backtest_report
from velocast_cli.backtesting.apart import cold_start
from velocast_cli.backtesting.file_backtest import BacktestRequest
from velocast_cli.backtesting.plan import BacktestPlan, BacktestResult, BusyHourForecasts
from velocast_cli.backtesting.references import REFERENCES
from velocast_cli.main import app
from velocast_local.simulation.city import simulate, simulate_city
from velocast_local.simulation.files import write_city

pytestmark = pytest.mark.emulator

ZONE = ZoneInfo("Europe/Paris")
WEEK_EARLIER = Path(__file__).parent / "outside" / "week_earlier.py"
CITY = load_city("demoville")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit for seconds, as test mode does."""
    settings = regressors.hyperparameters(test_mode=True)
    monkeypatch.setattr(regressors, "hyperparameters", lambda test_mode: settings)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """One BigQuery emulator for the backtests of this file; its start would be a quarter of each."""
    with BigQueryEmulator(tmp_path_factory.mktemp("bigquery"), file_backtest.PROJECT) as running:
        yield running


@pytest.fixture(autouse=True)
def one_emulator(emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a backtest the running emulator, without the tables of the one before, and leave it running."""

    class Lent:
        url, storage_host = emulator.url, emulator.storage_host

        def __init__(self, _folder: Path, project: str) -> None:
            assert project == emulator.project

        def __enter__(self) -> None:
            client = google_clients.bigquery_client(emulator.project, file_backtest.LOCATION)
            for name in ("RAW", "COUNTS", "WEATHER", "COUNTERS"):
                client.delete_table(getattr(file_backtest, name), not_found_ok=True)

        def __exit__(self, *_: object) -> None:
            """Leave it running."""

    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.url)
    monkeypatch.setattr(file_backtest, "BigQueryEmulator", Lent)


@pytest.fixture(scope="module")
def city_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three counters for 61 days, one of them dead for the last four."""
    rows = simulate(3, days=61, until=date(2025, 4, 14), seed=5)
    first = rows["id_compteur"].min()
    dead = (rows["id_compteur"] == first) & (
        pd.to_datetime(rows["date"], utc=True) >= start_of_local_day(date(2025, 4, 10), ZONE)
    )
    path = tmp_path_factory.mktemp("city") / "city.parquet"
    write_city(rows.assign(sum_counts=rows["sum_counts"].where(~dead, 0)), path)
    return path


@pytest.fixture(scope="module")
def weather_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weather that moved the counts of `city_file`."""
    _, weather = simulate_city(3, days=61, until=date(2025, 4, 14), seed=5)
    path = tmp_path_factory.mktemp("weather") / "weather.parquet"
    write_city(weather, path)
    return path


def assert_shown(found: dict[str, Any]) -> None:
    """Every kind of score in the command's JSON is on its screen too."""
    until_noon = dict.fromkeys(("r2", "r2_within_day", "gain", "late_gain"), 0.125) | dict.fromkeys(
        ("coverage_within_day", "width_within_day", "width"), 0.25
    )
    within_day = [until_noon | {"known_until": 12, "rows": 1234, "days": 7, "days_updated": 6}]
    screen = StringIO()
    printed_scores.print_scores(
        found | {"within_day": within_day}, Console(width=80, file=screen, soft_wrap=True)
    )
    text = screen.getvalue()
    rows = [line.split() for line in text.splitlines()]
    compared = [model for outside in found["outside"] for model in outside["models"]]
    for model in [*found["models"], *compared]:
        assert [model["name"], f"{model['r2']:.3f}"] in [row[:2] for row in rows]
    assert f"{found['rows']:,} forecasts from {found['origins']} origins" in text
    assert f"balanced accuracy {found['affluence']['balanced_accuracy']:.3f} " in text
    hidden = found["new_counters"]
    assert f"{hidden['rows']:,} forecasts of {hidden['counters']} counters" in text
    for model in hidden["models"]:
        assert any(f"{model['r2']:.3f}" in row for row in rows)
    assert ["12", "h", "1,234", "6", "0.125"] in [row[:5] for row in rows]
    assert f"to these scores: {found['seconds']:,.0f} s" in text
    assert found["city"] in text


def test_the_command_prints_scores_of_all_models_on_the_same_rows(
    city_file: Path, weather_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_backtest, "BigQueryEmulator", BigQueryEmulator)  # starts its own
    report = tmp_path / "report.html"
    options = ["--weather", str(weather_file), "--weeks", "1", "--city", "demoville", "--json"]
    options += ["--against", ",".join(REFERENCES)]
    options += ["--against", f"week={sys.executable} {WEEK_EARLIER}", "--against", "gone=/no/where"]
    result = CliRunner().invoke(
        app, ["backtest", str(city_file), *options, "--report", str(report)]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {model["name"] for model in found["models"]} == {
        "blend",
        "value_168h_before",
        "same_hour_4w_mean",
        "similar_days",
        "predecessor_forest",
    }
    assert (found["city"], found["put_aside"]) == ("Demoville", {})
    assert found["seconds"] > 0
    assert found["models"] == sorted(found["models"], key=lambda m: -m["r2"])
    assert found["origins"] == 7
    assert found["weather"] == "perturbed"
    assert found["weather_known"] == 1.0
    for model in found["models"]:
        leads = model["lead_days"]
        assert [lead["lead_day"] for lead in leads] == [0, 1, 2, 3, 4]
        assert sum(lead["rows"] for lead in leads[:3]) == found["rows"]
        assert (model["coverage"] is not None) == (model["name"] in ("blend", "similar_days"))
        fitted = model["name"] in ("blend", "predecessor_forest")
        assert (model["fit_seconds"] is not None) == fitted
        assert (model["fit_peak_mb"] is not None) == fitted
    busy = found["affluence"]
    assert 0 < busy["rows"] <= found["rows"]
    assert busy["balanced_accuracy"] > 0.7
    assert busy["balanced_accuracy"] > busy["similar_days_balanced_accuracy"] - 0.05
    assert busy["brier_relative"] < 1
    assert [lead["lead_day"] for lead in busy["lead_days"]] == [0, 1, 2]
    assert len(busy["thresholds"]) == 1
    hidden = found["new_counters"]
    names = ["city_typical_week", "new_counter", "new_counter_second_day", "new_position"]
    assert sorted(model["name"] for model in hidden["models"]) == names
    assert (hidden["counters"], hidden["origins"]) == (3, 7)
    assert 0 < hidden["rows"] <= found["rows"]
    for model in hidden["models"]:
        assert sum(lead["rows"] for lead in model["lead_days"][:3]) == hidden["rows"]
        assert 0 < model["coverage"] <= 1
    week, gone = found["outside"]
    by_name = {model["name"]: model for model in week["models"]}
    reference = by_name["value_168h_before"] | {"name": "week"}
    assert by_name["week"] == reference, "the same forecasts on the same rows"
    assert week["error"] is None
    assert week["rows"] + week["lacking"] == week["asked"] == found["rows"]
    assert week["rows"] > 0.9 * week["asked"]
    assert by_name["blend"]["winkler"] > by_name["blend"]["width"]
    assert week["peak_mb"] > 10
    assert week["forecast_seconds"] > 0
    assert "cannot start '/no/where'" in gone["error"]
    assert (gone["rows"], gone["lacking"], gone["models"]) == (0, found["rows"], [])
    assert_shown(found)
    page = report.read_text(encoding="utf-8")
    assert f"against week: {week['rows']:,} forecasts of 3 counters from 7 origins" in page
    assert "cannot start &#39;/no/where&#39;" in page
    assert "What a new counter would get" in page
    assert "Intervals by lead day" in page
    assert page.count("<svg") == 7
    assert "Reliability" in page
    assert "blend" in page
    assert "src=" not in page  # nothing is fetched


@cache
def made(city_file: Path) -> BacktestResult:
    """One week of a file; made once, for it takes some 15 s."""
    return run(city_file)


def run(city_file: Path, *, weeks: int = 1) -> BacktestResult:
    asked = BacktestRequest((city_file,), None, "perturbed", weeks, None, ("gbm",), REFERENCES)
    return file_backtest.backtest_file(asked, CITY, lambda text: None)


def run_without_hiding(city_file: Path, *, weeks: int = 1) -> BacktestResult:
    """Leave out what new counters would get, over half of a small city's time."""
    with patch.object(cold_start, "backtest_cold_start", lambda *_: pd.DataFrame()):
        return run(city_file, weeks=weeks)


def test_an_outage_is_not_scored_and_the_last_days_are_the_files(city_file: Path) -> None:
    rows = made(city_file).rows
    dead = rows["counter_id"].min()
    silent = rows["target_at"] >= start_of_local_day(date(2025, 4, 10), ZONE)
    of_dead = rows[rows["counter_id"] == dead]
    assert of_dead.loc[silent, "bike_count"].isna().all()
    assert of_dead.loc[~silent, "bike_count"].notna().mean() > 0.9
    scored = rows[rows["lead_day"] < 3]
    assert scored["target_at"].max() == pd.Timestamp("2025-04-13T21:00Z")
    assert not rows.duplicated(["counter_id", "origin_at", "target_at"]).any()


def test_each_model_s_time_is_known_and_apart_from_the_features(city_file: Path) -> None:
    found = made(city_file)
    assert set(found.spent) == {"gbm", "similar_days", "predecessor_forest"}
    for spent in (*found.spent.values(), found.features_spent):
        assert spent.fits == 1, "of the only week"
        assert spent.fit.cpu_seconds > 0
        assert spent.forecast.cpu_seconds > 0
    assert found.spent["gbm"].fit == found.fits["gbm"]
    assert found.features_spent.fit == found.features["learning"]
    assert found.features_spent.forecast == found.features["a week"]


def test_what_is_counted_from_an_origin_on_changes_none_of_its_forecasts(
    city_file: Path, tmp_path: Path
) -> None:
    before = made(city_file).rows
    origin = start_of_local_day(date(2025, 4, 9), ZONE)
    rows = pd.read_parquet(city_file)
    later = pd.to_datetime(rows["date"], utc=True) >= origin
    changed = tmp_path / "changed.parquet"
    rows.assign(sum_counts=rows["sum_counts"].where(~later, 777)).to_parquet(changed)
    after = run_without_hiding(changed).rows
    columns = [name for name in before if name != "bike_count"]
    known = before["origin_at"] <= origin
    pd.testing.assert_frame_equal(before.loc[known, columns], after.loc[known, columns], rtol=1e-6)
    assert known.any()
    assert not before.loc[~known, "gbm"].equals(after.loc[~known, "gbm"])


def test_a_hidden_counter_s_own_counts_change_nothing_of_what_it_would_get(
    city_file: Path, tmp_path: Path
) -> None:
    before = made(city_file).new_counters
    rows = pd.read_parquet(city_file)
    counter_id = rows["id_compteur"].max()
    changed = tmp_path / "changed.parquet"
    own = rows["id_compteur"] == counter_id
    # a single value would be the fault of a stuck counter
    other = rows["sum_counts"].where(~own, 3 * rows["sum_counts"] + 1)
    rows.assign(sum_counts=other).to_parquet(changed)
    after = run(changed).new_counters
    seen = (
        "bike_count",
        *(name for name in map(str, before) if name.startswith("new_counter_second")),
    )
    columns = [name for name in map(str, before) if name not in seen]
    hidden = before["counter_id"] == counter_id
    pd.testing.assert_frame_equal(
        before.loc[hidden, columns], after.loc[hidden, columns], rtol=1e-6
    )
    for name in ("new_position", "new_counter", "city_typical_week"):
        assert (before.loc[hidden, name] > 0).any()
        assert not before.loc[~hidden, name].equals(after.loc[~hidden, name])
    for name in seen:
        assert not before.loc[hidden, name].equals(after.loc[hidden, name])


def test_the_counters_of_a_site_are_hidden_together() -> None:
    places = pd.DataFrame(
        {"latitude": [48.1, 48.2, 48.1, 48.3], "longitude": 2.0}, index=["a", "b", "c", "d"]
    )
    folds = [set(fold.index) for fold in cold_start.folds(places)]
    assert folds == [{"a", "c"}, {"b"}, {"d"}]
    assert cold_start.folds(places.loc[["a", "c"]]) == []


def test_a_site_that_is_absent_in_the_tested_week_is_left_out(tmp_path: Path) -> None:
    rows = simulate(5, days=61, until=date(2025, 4, 14), seed=5)
    absent = rows["id_compteur"].max()
    gone = pd.to_datetime(rows["date"], utc=True) >= start_of_local_day(date(2025, 2, 19), ZONE)
    path = tmp_path / "city.parquet"
    write_city(rows[~(gone & (rows["id_compteur"] == absent))], path)
    hidden = run(path).new_counters
    assert set(hidden["counter_id"]) == set(rows["id_compteur"]) - {absent}
    assert hidden["new_counter"].notna().all()


def test_beside_a_new_site_only_the_new_one_can_be_hidden(tmp_path: Path) -> None:
    rows = simulate(3, days=61, until=date(2025, 4, 14), seed=5)
    new = rows["id_compteur"].max()
    early = pd.to_datetime(rows["date"], utc=True) < start_of_local_day(date(2025, 4, 2), ZONE)
    path = tmp_path / "city.parquet"
    write_city(rows[~(early & (rows["id_compteur"] == new))], path)
    hidden = run(path).new_counters
    assert set(hidden["counter_id"]) == {new}
    assert hidden["new_position"].notna().all()


def test_a_city_of_which_too_little_is_known_has_dashes_instead(tmp_path: Path) -> None:
    """Two sites: one never counted a bike, the other left. No hour is busy, none can be hidden, no R2 is defined."""
    rows = simulate(3, days=61, until=date(2025, 4, 14), seed=5)
    gone = pd.to_datetime(rows["date"], utc=True) >= start_of_local_day(date(2025, 2, 19), ZONE)
    path, report = tmp_path / "quiet.parquet", tmp_path / "page.html"
    left = rows["id_compteur"] == rows["id_compteur"].max()
    write_city(rows[~(gone & left)].assign(sum_counts=0), path)
    result = CliRunner().invoke(
        app, ["backtest", str(path), "--weeks", "1", "--json", "--report", str(report)]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["affluence"], found["new_counters"]) == (None, None)
    assert result.stderr.count("leaving out affluence: ") == 1
    assert [model["r2"] for model in found["models"]] == [None] * 4, "the forest was not asked for"
    assert "<td>–</td>" in report.read_text(encoding="utf-8")


def test_after_a_long_silence_nobody_knows_which_hours_are_busy(tmp_path: Path) -> None:
    """A city that counts again on the file's last day, after six weeks: no hour has a threshold."""
    rows = simulate(2, days=110, until=date(2025, 4, 14), seed=5)
    first, last = (start_of_local_day(day, ZONE) for day in (date(2025, 3, 1), date(2025, 4, 13)))
    silent = pd.to_datetime(rows["date"], utc=True).between(first, last, inclusive="left")
    path = tmp_path / "silent.parquet"
    write_city(rows[~silent], path)
    result = CliRunner().invoke(app, ["backtest", str(path), "--weeks", "1", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["affluence"] is None
    assert result.stderr.count("leaving out affluence: ") == 1


def test_the_screen_shows_what_a_new_counter_would_get(city_file: Path) -> None:
    hidden = scores.summarize(made(city_file))["new_counters"]
    screen = StringIO()
    Console(width=200, file=screen).print(printed_scores.new_counters_table(hidden))
    text = screen.getvalue()
    assert f"{hidden['rows']:,} forecasts of 3 counters, history hidden" in text
    for line in (
        "requested by position",
        "published on its first day",
        "city's typical week",
    ):
        assert line in text


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Every frame that a model was fitted to, with `at`, the hour counted; the reference forest's first."""
    frames: list[pd.DataFrame] = []
    fit, fit_old = forecaster.fit_forecaster, reference_forest.ReferenceForest.fit

    def fit_seen(
        kind: ForecastKind, *parts: pd.DataFrame, **options: Any
    ) -> forecaster.TrainedModel:
        frames.extend(part.assign(at=part["target_at"]) for part in parts)
        return fit(kind, *parts, **options)

    def fit_old_seen(frame: pd.DataFrame, *, seed: int) -> reference_forest.ReferenceForest:
        frames.insert(0, frame.assign(at=frame["counted_at"]))
        return fit_old(frame, seed=seed)

    monkeypatch.setattr(forecaster, "fit_forecaster", fit_seen)
    monkeypatch.setattr(reference_forest.ReferenceForest, "fit", fit_old_seen)
    return frames


def test_outages_and_merged_hours_are_neither_learned_from_nor_scored(
    tmp_path: Path, learned: list[pd.DataFrame]
) -> None:
    """Days of zeros, and one row for the two hours that the clock repeats on 27 October 2024.

    The first zeros come before all tests, the rest in the first of two weeks, from which the second learns.
    """
    rows = simulate(3, days=70, until=date(2024, 11, 6), seed=5)
    at = pd.to_datetime(rows["date"], utc=True)
    zeros = [
        pd.date_range(day, periods=2 * 24, freq="h", tz="UTC")
        for day in ("2024-10-10", "2024-10-22")
    ]
    flawed = zeros[0].union(zeros[1])
    repeated = pd.date_range("2024-10-27T00:00Z", periods=2, freq="h")
    counts = rows["sum_counts"].where(~at.isin(flawed), 0)
    path = tmp_path / "flawed.parquet"
    write_city(rows.assign(sum_counts=counts)[at != repeated[0]], path)
    flawed = flawed.union(repeated)
    found = run_without_hiding(path, weeks=2)
    hours = [frame.loc[frame["bike_count"].notna(), "at"] for frame in learned]
    hours.append(found.rows.loc[found.rows["bike_count"].notna(), "target_at"])
    for known in hours:
        assert not known.isin(flawed).any()
    assert hours[0].min() < zeros[0][0]  # the predecessor's forest
    assert hours[0].max() > zeros[0][-1]
    assert pd.concat(hours[1:-1]).min() < zeros[0][0]
    assert pd.concat(hours[1:-1]).max() > repeated[-1]
    assert hours[-1].min() < zeros[1][0]
    assert hours[-1].max() > repeated[-1]


def test_a_plan_ends_so_that_lead_days_0_to_2_were_counted() -> None:
    options = {"kinds": ("gbm",), "counts_table": "d.t", "weather_table": None}
    plan = BacktestPlan.of(date(2020, 9, 1), date(2021, 8, 10), weeks=12, **options)  # type: ignore[arg-type]
    assert (plan.first_origin, plan.last_origin) == (date(2021, 5, 16), date(2021, 8, 7))
    assert len(plan.cuts()) == 12
    with pytest.raises(TooLittleHistory, match=r"leaves 17 days for training; 42 are needed"):
        BacktestPlan.of(date(2021, 5, 1), date(2021, 6, 10), weeks=3, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kinds", "lstm"], "choose from blend, gbm, rf, nn"),
        (
            ["--against", "prophet"],
            "choose from value_168h_before, same_hour_4w_mean, similar_days",
        ),
        (["--against", ","], "choose from value_168h_before"),
        (["--against", "gbm=forecast"], "the name 'gbm' is taken"),
        (["--against", "mine="], "no command after mine="),
        (["--against", "my:own=forecast"], "the name 'my:own' must start with a letter"),
        (["--against", "mine='x"], "the command cannot be read: No closing quotation"),
        (["--city", "demovile"], "did you mean demoville?"),
        (["--weeks", "40"], "ask for fewer weeks"),
        (["--until", "2025-02-20"], "ask for fewer weeks"),
        (["--until", "2030-01-01"], "ask for that day or an earlier one"),
        (["--report", "nowhere/page.html"], "the folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_refused(city_file: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["backtest", str(city_file), "--city", "demoville", *options])
    assert result.exit_code != 0
    assert message in " ".join(result.output.replace("│", " ").split())


def test_contradicting_doubles_are_left_out_before_anything_is_fitted(
    city_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stopped a backtest after all fits, when the forecasts were scored."""
    rows = pd.read_parquet(city_file)
    same, other = rows.head(3), rows.tail(2).assign(sum_counts=rows["sum_counts"].max() + 1)
    doubled = tmp_path / "doubled.parquet"
    write_city(pd.concat([rows, same, other]), doubled)
    stored: list[pd.DataFrame] = []

    def read(warehouse: Warehouse, *_: Any) -> BacktestResult:
        names = ["counter_id", "counted_at", "bike_count"]
        stored.append(warehouse.read(file_backtest.COUNTS, columns=names).to_pandas())
        return BacktestResult(pd.DataFrame())

    monkeypatch.setattr(rolling_origins, "backtest_rolling_origins", read)
    said: list[str] = []
    asked = file_backtest.BacktestRequest((doubled,), None, "perturbed", 1, None, ("gbm",))
    made = file_backtest.backtest_file(asked, load_city("demoville"), said.append)
    assert "put aside: 4 records (conflicting duplicate 4)" in said
    assert made.put_aside == {"conflicting_duplicate": 4}
    (counts,) = stored
    assert len(counts) == len(rows) - 2
    assert not counts.duplicated(["counter_id", "counted_at"]).any()


@pytest.fixture
def small() -> pd.DataFrame:
    """Forecasts of three hours, one for each lead day that is scored."""
    days = pd.date_range("2025-03-01", periods=3, freq="D")
    return pd.DataFrame(
        {
            "counter_id": "<b>1</b>",
            "origin_at": days.tz_localize("UTC"),
            "target_at": days.tz_localize("UTC") + timedelta(hours=5),
            "lead_day": [0, 1, 2],
            "local_hour": 6,
            "local_date": days,
            "bike_count": [4.0, 5.0, 9.0],
            "gbm": [4.0, 6.0, 8.0],
        }
    )


def test_a_report_escapes_names(small: pd.DataFrame) -> None:
    result = BacktestResult(small)
    summary = scores.summarize(result) | {"file": "<i>f</i>", "weeks": 1, "weather": "none"}
    page = backtest_report.render_report(result, summary)
    assert "<b>1</b>" not in page
    assert "<i>f</i>" not in page


@pytest.fixture
def asked(
    city_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[BacktestResult, Path | None], Result]:
    """Give the command a finished backtest."""

    def ask(made: BacktestResult, report: Path | None = None) -> Result:
        monkeypatch.setattr(file_backtest, "backtest_file", lambda *_: made)
        page = [] if report is None else ["--report", str(report)]
        return CliRunner().invoke(app, ["backtest", str(city_file), *page])

    return ask


def test_what_was_measured_is_printed_before_the_page_is_written(
    small: pd.DataFrame, asked: Callable[..., Result], tmp_path: Path
) -> None:
    page = tmp_path / ("x" * 300)  # no file may have so long a name
    result = asked(BacktestResult(small), page)
    assert result.exit_code == 1
    assert "3 forecasts from 3 origins" in result.output
    assert "report not written" in result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (3, "none of the 3 hours forecast from 2025-03-01 to 2025-03-03 was counted"),
        (0, "no counts in the weeks before, so no hour was forecast"),
    ],
)
def test_weeks_without_a_count_are_refused_in_a_line(
    rows: int, message: str, small: pd.DataFrame, asked: Callable[..., Result]
) -> None:
    result = asked(BacktestResult(small.head(rows).assign(bike_count=np.nan)))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.output
    assert "another --until or more --weeks" in result.output


def test_scores_that_are_not_defined_are_dashes(
    small: pd.DataFrame, asked: Callable[..., Result]
) -> None:
    rows = small.assign(bike_count=0.0, similar_days=1.0, busy_threshold=0.5, usual=True)
    said = rows.assign(busy_probability=0.2, busy=False)
    made = BacktestResult(rows[[*small, "similar_days"]], busy_hours=BusyHourForecasts([said]))
    result = asked(made)
    assert result.exit_code == 0, result.output
    lines = [line.split()[:5] for line in result.output.splitlines()]
    assert lines.index(["similar_days", "–", "1.0", "1.0", "–"]) < lines.index(
        ["gbm", "–", "6.2", "6.0", "–"]
    )
    assert "balanced accuracy – (similar days –)" in result.output
