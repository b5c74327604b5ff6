"""The benchmark of weather: what it tests, and the documented agreement of uncertain forecasts with observations."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy import arena, weather
from benchmarks.accuracy.weather import (
    Variant,
    sensitivity_lines,
    sensitivity_table,
    variants,
    verification_lines,
    verify_forecasts,
)
from velocast.core.kinds import DEFAULT_KIND
from velocast_cli.backtesting import file_backtest, scores
from velocast_cli.weather_file import read_weather_file

OBSERVED = harness.ROOT.parent / "shared" / "data" / "paris-weather.parquet"


@pytest.mark.skipif(not OBSERVED.is_file(), reason="../shared/data/paris-weather.parquet is absent")
def test_the_documented_uncertainty_is_that_of_a_year_in_paris() -> None:
    found = verify_forecasts(OBSERVED)
    text = (harness.ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    for line in verification_lines(found):
        assert line in text
    assert found.loc[1, "detected"] == pytest.approx((0.75 + 0.62) / 2, abs=0.1)
    assert found.loc[1, "false_alarms"] == pytest.approx((0.28 + 0.39) / 2, abs=0.1)
    published = [0.72, 0.70, 0.68, 0.66, 0.64]
    assert found["near"].tolist() == pytest.approx(published, abs=0.06)


def test_the_first_file_is_the_city_s_and_the_others_are_other_places() -> None:
    own, other = Path("paris.parquet"), Path("berlin.csv")
    assert variants([own, other], [1, 28]) == [
        Variant("none", None),
        Variant("perturbed", own),
        Variant("observed", own, "observed"),
        Variant("forecast of berlin", other),
        Variant("forecast of a day earlier", own, days_late=1),
        Variant("forecast of 28 days earlier", own, days_late=28),
    ]


def test_weather_of_days_earlier_comes_so_many_days_late(tmp_path: Path) -> None:
    file = tmp_path / "seen.csv"
    file.write_text(
        "time,temperature_2m,relative_humidity_2m,wind_speed_10m,cloud_cover,precipitation\n"
        "2021-05-01 00:00,10,80,5,50,0\n2021-05-01 01:00,20,80,5,50,0\n"
    )
    seen, late = read_weather_file(file), Variant("late", file, days_late=28).read()
    assert late is not None
    assert (late["valid_at"] - seen["valid_at"]).unique().tolist() == [pd.Timedelta(days=28)]
    pd.testing.assert_frame_equal(late.drop(columns="valid_at"), seen.drop(columns="valid_at"))
    assert Variant("none", None).read() is None


@pytest.mark.parametrize(("weeks", "asked"), [(12, "observed"), (4, "none")])
def test_an_interrupted_run_continues_with_what_its_figures_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weeks: int, asked: str
) -> None:
    """Figures of another number of weeks are not used."""
    rows = [{"weather": name} for name in ("none", "perturbed")]
    kept = tmp_path / "kept.json"
    harness.write({"city": "Paris", "weeks": 12, "weather": rows}, kept)
    monkeypatch.setattr(weather, "read_files_of", lambda city, *_: (city, None))

    def refuse(*_: Any) -> Any:
        raise InterruptedError

    monkeypatch.setattr(file_backtest, "loaded", refuse)
    arguments = argparse.Namespace(
        city="paris", file=Path("counts"), weather=[Path("own")], earlier=[], weeks=weeks, json=kept
    )
    screen = StringIO()
    with pytest.raises(InterruptedError):
        weather.measure(arguments, Console(file=screen))
    assert screen.getvalue().splitlines()[-1] == f"Paris: {asked}"


def test_rows_of_other_days_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept.json"
    figures = {
        "city": "Paris",
        "weeks": 12,
        "until": "2021-08-06",
        "weather": [{"weather": "none"}],
    }
    harness.write(figures, kept)
    monkeypatch.setattr(weather, "read_files_of", lambda city, *_: (city, None))
    monkeypatch.setattr(
        weather, "read_weather_file", lambda _: pd.DataFrame({"valid_at": pd.to_datetime([])})
    )
    monkeypatch.setattr(file_backtest, "loaded", lambda *_: nullcontext())
    monkeypatch.setattr(file_backtest, "backtest_loaded", lambda *_: None)
    model = {"name": DEFAULT_KIND} | dict.fromkeys(("r2", "rmse", "wape", "coverage", "width"), 1.0)
    summary = {"rows": 1, "weather_known": 1.0, "last_origin_at": "2022-08-06", "models": [model]}
    monkeypatch.setattr(scores, "summarize", lambda _: summary)
    arguments = argparse.Namespace(
        city="paris", file=Path("counts"), weather=[Path("own")], earlier=[], weeks=12, json=kept
    )
    with pytest.raises(SystemExit, match="until 2021-08-06; delete it first"):
        weather.measure(arguments, Console(file=StringIO()))
    assert json.loads(kept.read_text()) == figures


def test_the_table_that_people_read_is_the_figures() -> None:
    """`make bench ARGS="weather --write"` puts it there."""
    figures = json.loads(weather.FIGURES.read_text(encoding="utf-8"))
    assert harness.lines_between_marks(weather.NAME, weather.README) == sensitivity_lines(figures)


def test_the_default_model_is_as_good_as_in_the_arena() -> None:
    """Both tables stand in one document, and no weather and perturbed weather are in both."""
    known = {row["weather"]: row for row in json.loads(weather.FIGURES.read_text())["weather"]}
    cities = json.loads(arena.FIGURES.read_text(encoding="utf-8"))["cities"]
    (paris,) = (city for city in cities if city["city"] == "paris")
    (own,) = (model for model in paris["models"] if model["name"] == DEFAULT_KIND)
    assert known["none"]["rows"] == paris["rows"]
    for here, there in ((known["none"], own), (known["perturbed"], paris[arena.WITH_WEATHER])):
        assert here["r2"] == pytest.approx(there["r2"], abs=0.0005)
        assert here["rmse"] == pytest.approx(there["rmse"], abs=0.05)


def test_the_table_fits_into_a_terminal_and_says_where_weather_is_unknown() -> None:
    row = {
        "rows": 1234,
        "known": 0.5,
        "r2": 0.9,
        "rmse": 30.0,
        "wape": 0.2,
        "coverage": None,
        "width": None,
    }
    screen = StringIO()
    Console(width=80, file=screen).print(
        sensitivity_table([row | {"weather": "forecast of berlin"}])
    )
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "1,234 forecasts" in text
    assert "50%)" in text
    assert "0.9000" in text
