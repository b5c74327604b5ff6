"""The benchmark of weather: what it tests, and the documented agreement of uncertain forecasts with observations."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import harness
from benchmarks.weather import sensitivity_table, variants, verification_lines, verify_forecasts

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
    assert variants([own, other]) == [
        ("none", None, "observed"),
        ("perturbed", own, "perturbed"),
        ("observed", own, "observed"),
        ("forecast of berlin", other, "perturbed"),
    ]


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
