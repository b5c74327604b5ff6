"""The arena: README tables come from its figures, an interrupted run continues, and series are filled from the past."""

from __future__ import annotations

import argparse
import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks import harness
from benchmarks.accuracy import arena, arena_tables
from benchmarks.forecasters.protocol import Asked, as_forecasts, complete_series
from velocast.core.city import load_city
from velocast_cli.backtesting import file_backtest
from velocast_cli.backtesting.outside.request import OutsideForecaster
from velocast_cli.backtesting.references import REFERENCES

FIGURES = json.loads(arena.FIGURES.read_text(encoding="utf-8"))
WEEK_EARLIER = Path(__file__).parents[2] / "cli/backtesting/outside/week_earlier.py"


@pytest.mark.parametrize("file", ["README.md", "benchmarks/README.md", "docs/model-card.md"])
def test_the_tables_that_people_read_are_the_figures(file: str) -> None:
    """`make bench ARGS="arena --write"` puts them there."""
    lines = arena_tables.documents(FIGURES)[file]
    assert harness.lines_between_marks(arena.NAME, harness.ROOT / file) == lines
    assert any("Paris" in line for line in lines)


def test_every_claimed_figure_is_one_of_the_measured_ones() -> None:
    """The table's own numbers, read back from the text and compared with the JSON."""
    (city,) = (city for city in FIGURES["cities"] if city["city"] == "paris")
    models = {arena_tables.display_name(model["name"]): model for model in city["models"]}
    text = (harness.ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("mean of similar days", "value of a week earlier"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        r2, rmse = (float(cell) for cell in row.split("|")[2:4])
        assert r2 == pytest.approx(models[name]["r2"], abs=0.0005)
        assert rmse == pytest.approx(models[name]["rmse"], abs=0.05)
    assert f"({city['rows']:,} hours" in text


def test_other_cities_stand_beside_paris_in_the_readme() -> None:
    (paris,) = (city for city in FIGURES["cities"] if city["city"] == "paris")
    own, *_ = paris["models"]
    other = paris | {"city": "muenster", "name": "Münster", "outside": []}
    other |= {"models": [own | {"r2": 0.95, "rmse": 41.0}]}
    lines = arena_tables.readme_lines({"cities": [paris, other]})
    assert lines[3].endswith("| Münster: R2, RMSE |")
    assert lines[5].startswith("| Velocast, without weather | ")
    assert lines[5].endswith(" | 0.950, 41.0 |")
    *_, forest = (line for line in lines if line.startswith("| "))
    assert forest.endswith(" | |")
    assert arena_tables.readme_lines({"cities": [other]}) == []


def test_a_forecaster_on_other_rows_stands_below_the_table_with_ours_on_the_same() -> None:
    (paris,) = (city for city in FIGURES["cities"] if city["city"] == "paris")
    theirs = paris["models"][0] | {"name": "mstl", "r2": 0.75, "rmse": 50.0}
    found = paris["outside"][0] | {"name": "mstl", "rows": 720, "asked": 720, "counters": 2}
    found |= {"models": [paris["models"][0], theirs]}
    *_, said, end = arena_tables.readme_lines({"cities": [paris | {"outside": [found]}]})
    assert said.startswith("On 720 hours of 2 counters")
    assert "0.750, 50.0" in said
    assert end.startswith(f"and {paris['models'][0]['r2']:.3f}, ")


def test_a_model_s_seconds_are_the_cpu_seconds_of_fits_and_forecasts_features_apart() -> None:
    (paris,) = (city for city in FIGURES["cities"] if city["city"] == "paris")
    fit, forecast = (
        {"seconds": 999.0, "cpu_seconds": seconds, "peak_mb": 1.0} for seconds in (600.0, 84.0)
    )
    spent = {"weeks": 12, "fits": 12, "fit": fit, "forecast": forecast}
    features = spent | {"fits": 1, "fit": forecast, "forecast": forecast}
    own = paris["models"][0] | {"spent": spent, "fit_peak_mb": 1234}
    naive = own | {"name": "value_168h_before", "spent": None, "fit_peak_mb": None}
    theirs = own | {"name": "mlforecast"}
    found = paris["outside"][0] | {"name": "mlforecast", "models": [theirs, own]}
    found |= {"fit_seconds": 999.0, "forecast_seconds": 999.0, "cpu_seconds": 0.093, "peak_mb": 99}
    found |= {"cpu_origins": 28}
    city = {key: paris[key] for key in paris if key != "with weather"}
    city |= {"models": [own, naive], "features": features, "outside": [found]}
    assert arena_tables.HEADS[-2:] == ("CPU s a week", "MB")
    costs = [row[-2:] for row in arena_tables.city_rows(city)]
    assert costs == [("57", "1,234"), ("91", ""), ("", ""), ("0.023", "99"), ("", "")]


def test_tables_fit_into_a_terminal() -> None:
    screen = StringIO()
    for table in arena_tables.screen_tables(FIGURES):
        Console(width=80, file=screen).print(table)
    assert max(map(len, screen.getvalue().splitlines())) <= 80


def test_a_forecaster_s_part_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, its command would fail; what was kept is used."""
    hours = pd.date_range("2025-03-01", periods=15 * 24, freq="h", tz="UTC", unit="us")
    counts = pd.DataFrame({"counter_id": "a", "counted_at": hours, "bike_count": range(len(hours))})
    origin = hours[-24]
    rows = pd.DataFrame({"counter_id": "a", "origin_at": origin, "target_at": hours[-24:]})
    counts.to_parquet(tmp_path / "counts.parquet")
    arguments = argparse.Namespace(every=3, counters=20, timeout=60)
    commands = [f"{sys.executable} {WEEK_EARLIER}", "/no/such/command"]

    def told(_: arena.Opponent, name: str) -> OutsideForecaster:
        return OutsideForecaster(name, commands.pop(0))

    monkeypatch.setattr(arena.Opponent, "forecaster", told)
    console = Console(file=StringIO())
    city = load_city("demoville")
    first = arena.outside_part("mlforecast", city, rows, tmp_path, arguments, console)
    again = arena.outside_part("mlforecast", city, rows, tmp_path, arguments, console)
    assert first.error is None
    assert len(first.rows) == 24
    pd.testing.assert_frame_equal(first.rows, again.rows)
    assert (again.error, again.cost) == (None, first.cost)
    assert commands == []


@pytest.mark.parametrize("change", ["older", "other origins"])
def test_a_part_of_another_measurement_is_not_mixed_with_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """It is measured again, which is said."""
    hours = pd.date_range("2025-03-01", periods=15 * 24, freq="h", tz="UTC", unit="us")
    counts = pd.DataFrame({"counter_id": "a", "counted_at": hours, "bike_count": range(len(hours))})
    rows = pd.DataFrame({"counter_id": "a", "origin_at": hours[-24], "target_at": hours[-24:]})
    counts.to_parquet(tmp_path / "counts.parquet")
    arguments = argparse.Namespace(every=3, counters=20, timeout=60)
    command = f"{sys.executable} {WEEK_EARLIER}"
    monkeypatch.setattr(
        arena.Opponent, "forecaster", lambda _, name: OutsideForecaster(name, command)
    )
    screen = StringIO()
    city, console = load_city("demoville"), Console(file=screen, width=200)
    arena.outside_part("mstl", city, rows, tmp_path, arguments, console)
    if change == "older":
        about = tmp_path / "mstl-3-20.json"
        part = json.loads(about.read_text())
        about.write_text(json.dumps(part["figures"]))  # as before there were formats
    else:
        rows = rows.assign(origin_at=hours[-48], target_at=hours[-48:-24])
    assert "another measurement" not in screen.getvalue()
    made = arena.outside_part("mstl", city, rows, tmp_path, arguments, console)
    assert "mstl-3-20.json is of another measurement; measuring again" in screen.getvalue()
    assert made.rows["target_at"].tolist() == rows["target_at"].tolist()


def test_the_city_s_own_part_is_measured_again_when_the_forest_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def backtest(request: Any, *_: Any) -> Any:
        asked.append(request.against)
        raise InterruptedError

    monkeypatch.setattr(file_backtest, "backtest_file", backtest)
    kept = {"references": list(REFERENCES[:3]), "weather": None}
    arena.keep_part({"rows": 1}, kept, tmp_path / "own.json")
    console = Console(file=StringIO())

    def own(*, forest: bool) -> dict[str, Any]:
        arguments = argparse.Namespace(weeks=1, forest=forest)
        city = load_city("demoville")
        return arena.own_backtest(city, Path("no"), None, tmp_path, arguments, console)

    assert own(forest=False) == {"rows": 1}
    with pytest.raises(InterruptedError):
        own(forest=True)
    assert asked == [REFERENCES]


def test_a_part_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = pd.date_range("2025-03-01", periods=48, freq="h", tz="UTC", unit="us")
    rows = pd.DataFrame({"counter_id": "a", "origin_at": hours[24], "target_at": hours[24:]})
    pd.DataFrame({"counter_id": "a", "counted_at": hours, "bike_count": 1}).to_parquet(
        tmp_path / "counts.parquet"
    )
    monkeypatch.setattr(
        arena.Opponent, "forecaster", lambda _, name: OutsideForecaster(name, "/no/such/command")
    )
    arguments = argparse.Namespace(every=3, counters=20, timeout=60)
    found = arena.outside_part(
        "mstl", load_city("demoville"), rows, tmp_path, arguments, Console(file=StringIO())
    )
    assert found.error is not None
    assert not list(tmp_path.glob("mstl*.json"))


def test_velocast_alone_is_measured_without_other_forecasters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena, "KEPT_PARTS", tmp_path)
    (tmp_path / "paris-12-weeks").mkdir()
    pd.DataFrame({"origin_at": []}).to_parquet(tmp_path / "paris-12-weeks/rows.parquet")
    (tmp_path / "paris-counts.parquet").touch()
    monkeypatch.setattr(arena, "own_backtest", lambda *_: {"rows": 1})
    arguments = argparse.Namespace(
        forecasters="",
        cities="paris",
        weeks=12,
        folders=[tmp_path],
        city=[],
        weather=[],
        folder=tmp_path,
    )
    arguments.json = tmp_path / "figures.json"
    arena.measure(arguments, Console(file=StringIO()))
    (city,) = json.loads(arguments.json.read_text())["cities"]
    assert city == {"city": "paris", "name": "Paris", "rows": 1, "outside": []}


def test_missing_hours_take_the_count_of_a_week_earlier() -> None:
    """Against a loop over the hours of each counter."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2025-01-01", periods=30 * 24, freq="h")
    parts = []
    for name, start in (("a", 0), ("b", 100)):
        kept = np.flatnonzero(rng.random(len(hours)) > 0.2)
        kept = kept[(kept >= start) & ~((kept > 300) & (kept < 520))]
        parts.append(
            pd.DataFrame(
                {
                    "counter_id": name,
                    "counted_at": hours[kept],
                    "bike_count": rng.poisson(50, len(kept)),
                }
            )
        )
    counts = pd.concat(parts)
    origin = hours[-1] + pd.Timedelta(hours=30)
    made = complete_series(Asked(counts, origin, 24, True, "UTC", []))
    for own in parts:
        series = made[made["unique_id"] == own["counter_id"].iloc[0]].set_index("ds")
        known = dict(zip(own["counted_at"], own["bike_count"], strict=True))
        expected: dict[pd.Timestamp, float] = {}
        for at in pd.date_range(own["counted_at"].min(), origin - pd.Timedelta(hours=1), freq="h"):
            earlier = expected.get(at - pd.Timedelta(days=7))
            last = expected.get(at - pd.Timedelta(hours=1), np.nan)
            expected[at] = float(known.get(at, last if earlier is None else earlier))
        assert series["y"].to_dict() == expected
        assert series["counted"].sum() == len(own)


def test_nixtla_s_columns_become_the_protocol_s() -> None:
    made = pd.DataFrame(
        {
            "unique_id": ["a"],
            "ds": [pd.Timestamp("2025-03-01")],
            "MSTL": [1.0],
            "MSTL-lo-90": [-3.0],
            "MSTL-hi-90": [4.0],
        }
    )
    (row,) = as_forecasts(made, "MSTL").to_dict("records")
    assert row == {
        "counter_id": "a",
        "target_at": pd.Timestamp("2025-03-01"),
        "predicted_count": 1.0,
        "lower": 0.0,
        "upper": 4.0,
    }
