"""Outside forecasters: what they are told, what they are not, and what is said of those that fail."""

from __future__ import annotations

import json
import sys
import textwrap
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from velocast.core.city import load_city
from velocast.core.datetimes import start_of_local_day
from velocast_cli.backtesting import printed_scores
from velocast_cli.backtesting.outside.comparison import compare_outside
from velocast_cli.backtesting.outside.described import describe_comparison
from velocast_cli.backtesting.outside.forecasts import (
    OutsideForecasts,
    chosen,
    forecast_outside,
    read_forecasts,
)
from velocast_cli.backtesting.outside.process import ForecasterFailed
from velocast_cli.backtesting.outside.request import OutsideForecaster, OutsideRequest

CITY = load_city("demoville")
ROOT = Path(__file__).parents[4]
FIRST = date(2025, 3, 28)  # the clock changes on 30 March
DAYS = 4
SPY = """
    # what every line and the folder of its files say, one JSON document a line
    import json, pathlib, sys
    import pyarrow.compute as pc, pyarrow.parquet as pq
    for text in sys.stdin:
        line = json.loads(text)
        files = sorted(pathlib.Path(line["counts"]).parent.glob("*.parquet"))
        newest = [str(pc.max(pq.read_table(f)["counted_at"])) for f in files if "counts" in f.name]
        seen = line | {"rows": pq.read_table(line["counts"]).num_rows, "newest": newest}
        print(json.dumps(seen), file=open(sys.argv[1], "a"))
        table = pq.read_table(line["counts"]).slice(0, 0).rename_columns(["counter_id", "target_at", "predicted_count"])
        pq.write_table(table, line["forecasts"])
        print('{"fit_seconds": 0.001}', flush=True)
"""


def origins() -> list[pd.Timestamp]:
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    return [pd.Timestamp(start_of_local_day(day, CITY.zone)).as_unit("us") for day in days]


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    """Two counters for 20 days around the origins, every hour."""
    hours = pd.date_range("2025-03-14", periods=20 * 24, freq="h", tz="UTC", unit="us")
    parts = [
        pd.DataFrame({"counter_id": name, "counted_at": hours, "bike_count": np.arange(len(hours))})
        for name in ("a", "b")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def rows(counts: pd.DataFrame) -> pd.DataFrame:
    """The rows of a backtest: four origins, two days of hours, two counters, one model that is 2 too low."""
    parts = []
    for origin in origins():
        last = start_of_local_day(
            origin.tz_convert(CITY.zone).date() + timedelta(days=2), CITY.zone
        )
        targets = pd.date_range(origin, last, freq="h", inclusive="left", unit="us")
        local = targets.tz_convert(CITY.zone).tz_localize(None)
        start = origin.tz_convert(CITY.zone).tz_localize(None)
        asked = pd.DataFrame(
            {
                "origin_at": origin,
                "target_at": targets,
                "lead_day": (local.normalize() - start).days,
                "local_hour": local.hour,
                "local_date": local.normalize(),
            }
        )
        parts += [asked.assign(counter_id="a"), asked.assign(counter_id="b")]
    made = pd.concat(parts, ignore_index=True)
    known = counts.rename(columns={"counted_at": "target_at"})
    made = made.merge(known, how="left", on=["counter_id", "target_at"])
    low = made["bike_count"] - 2.0
    return made.assign(gbm=low, **{"gbm:lower": low - 8, "gbm:upper": low + 8})


def forecast(
    command: str,
    rows: pd.DataFrame,
    counts: pd.DataFrame,
    request: OutsideRequest | None = None,
    cuts: tuple[date, ...] = (FIRST,),
) -> OutsideForecasts:
    asked = request or OutsideRequest(timeout=60)
    return forecast_outside(
        OutsideForecaster("other", command), asked, rows, counts, CITY, cuts, lambda _: None
    )


def script(folder: Path, text: str) -> str:
    file = folder / "forecaster.py"
    file.write_text(textwrap.dedent(text))
    return f"{sys.executable} {file}"


def test_a_forecaster_gets_each_count_once_and_nothing_from_the_origin_on(
    rows: pd.DataFrame, counts: pd.DataFrame, tmp_path: Path
) -> None:
    """Whatever it looks for: neither its line nor the folder of its files holds a count of the future."""
    seen = tmp_path / "seen.json"
    command = f"{script(tmp_path, SPY)} {seen}"
    cuts = (FIRST, FIRST + timedelta(days=2))
    found = forecast(command, rows, counts, cuts=cuts)
    assert found.error is None
    lines: list[dict[str, Any]] = [json.loads(text) for text in seen.read_text().splitlines()]
    assert [pd.Timestamp(line["origin_at"]) for line in lines] == origins()
    assert [line["hours"] for line in lines] == [48, 47, 47, 48], "30 March has 23 hours"
    assert [line["retrain"] for line in lines] == [True, False, True, False]
    before = [int((counts["counted_at"] < origin).sum()) for origin in origins()]
    assert np.cumsum([line["rows"] for line in lines]).tolist() == before
    for line in lines:
        assert all(pd.Timestamp(at) < pd.Timestamp(line["origin_at"]) for at in line["newest"])
    documented = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    example = json.loads(documented.partition("```json\n")[2].partition("```")[0])
    assert set(example) == set(lines[0]) - {"rows", "newest"}
    assert {line["zone"] for line in lines} == {"Europe/Paris"}
    assert {tuple(line["holidays"]) for line in lines} == {()}, "none from 14 March to 1 April"
    compared = compare_outside(rows, found)
    assert compared["rows"] == 0
    assert compared["lacking"] == compared["asked"] == int(rows["bike_count"].notna().sum())
    assert compared["fit_seconds"] == pytest.approx(4 * 0.001, abs=0.006)


def test_every_second_origin_and_one_counter(
    rows: pd.DataFrame, counts: pd.DataFrame, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.json"
    request = OutsideRequest(every=2, counters=1, timeout=60)
    found = forecast(
        f"{script(tmp_path, SPY)} {seen}",
        rows,
        counts,
        request,
        cuts=(FIRST, FIRST + timedelta(days=1)),
    )
    assert found.origins == origins()[::2]
    assert found.counters == chosen(request, rows)[1]
    assert len(found.counters) == 1
    lines = [json.loads(text) for text in seen.read_text().splitlines()]
    assert [line["retrain"] for line in lines] == [True, True], "the day between was a cut"
    assert lines[0]["rows"] == int((counts["counted_at"] < origins()[0]).sum()) / 2
    compared = compare_outside(rows, found)
    assert (compared["asked_origins"], compared["asked_counters"]) == (2, 1)


@pytest.mark.parametrize(
    ("text", "timeout", "message"),
    [
        ("raise SystemExit('out of bikes')", 60, "ended with exit code 1 .*its last messages: out of bikes"),
        ("input(); print('Hello!', flush=True); input()", 60, "answered 'Hello!'; expected one JSON object"),
        ("input(); print('[1]', flush=True); input()", 60, "expected one JSON object"),
        ("input(); print('{\"fit_seconds\": \"long\"}', flush=True); input()", 60, "fit_seconds is 'long'"),
        ("input(); print('{}', flush=True); input()", 60, "no readable Parquet file was written"),
        ("import time; time.sleep(60)", 0.3, r"no answer within 0 s; allow more time \(--against-timeout\)"),
    ],
)  # fmt: skip
def test_a_forecaster_that_fails_is_told_and_stops_nothing(
    text: str,
    timeout: float,
    message: str,
    rows: pd.DataFrame,
    counts: pd.DataFrame,
    tmp_path: Path,
) -> None:
    command = script(tmp_path, text)
    found = forecast(command, rows, counts, OutsideRequest(timeout=timeout))
    assert found.error is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found.error)
    assert found.error.startswith("other: ")
    compared = compare_outside(rows, found)
    assert compared["models"] == []
    assert f"It was stopped. {found.error}." in describe_comparison(compared).text


def test_a_command_that_does_not_exist_is_told(rows: pd.DataFrame, counts: pd.DataFrame) -> None:
    found = forecast("/no/such/command", rows, counts)
    assert found.error == "other: cannot start '/no/such/command': No such file or directory"


def hours(**columns: object) -> pd.DataFrame:
    targets = [origins()[0], origins()[0] + timedelta(hours=1)]
    return pd.DataFrame(
        {"counter_id": "a", "target_at": targets, "predicted_count": [1.0, 2.0], **columns}
    )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (hours().drop(columns="target_at"), r"no column \['target_at'\]; has \['counter_id', 'predicted_count'\]"),
        (hours(lower=0.0), "has lower alone; give lower and upper, or neither"),
        (hours(counter_id="c"), "2 of 2 rows were not asked for, such as counter 'c'"),
        (hours(target_at=origins()[0] - timedelta(hours=1)), "2 of 2 rows were not asked for"),
        (hours(target_at=origins()[0] + timedelta(hours=48)), "every hour from .* on and before 2025-03-29 23:00"),
        (hours(target_at=origins()[0] + timedelta(minutes=30)), "2 of 2 rows were not asked for"),
        (hours(target_at="2025-03-28"), "expected times"),
        (hours(target_at=origins()[0]), "1 of 2 rows repeat an hour"),
        (hours(predicted_count=[1.0, np.inf]), "1 of 2 values in predicted_count are not finite"),
        (hours(predicted_count=["1", "many"]), "1 of 2 values in predicted_count are not finite"),
        (hours(lower=[0.0, np.nan], upper=3.0), "1 of 2 values in lower are not finite"),
        (hours(lower=3.0, upper=[2.0, 4.0]), "lower is above upper in 1 of 2 rows"),
    ],
)  # fmt: skip
def test_forecasts_that_cannot_be_used_are_refused(
    frame: pd.DataFrame, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "forecasts.parquet"
    frame.to_parquet(file)
    with pytest.raises(
        ForecasterFailed, match=f"^other: forecasts of 2025-03-27 23:00Z: .*{message}"
    ):
        read_forecasts(file, "other", origins()[0], 48, ["a", "b"])


def test_all_models_are_scored_on_the_rows_that_all_have(rows: pd.DataFrame) -> None:
    """The other forecasts two origins of one counter exactly, and 20 too many in one hour of lead day 0."""
    theirs = rows.loc[(rows["counter_id"] == "a") & rows["origin_at"].isin(origins()[:2])]
    theirs = (
        theirs[["counter_id", "origin_at", "target_at", "bike_count"]]
        .rename(columns={"bike_count": "predicted_count"})
        .reset_index(drop=True)
    )
    theirs["predicted_count"] += np.where(theirs.index == 0, 20.0, 0.0)
    theirs = theirs.assign(lower=theirs["predicted_count"] - 5, upper=theirs["predicted_count"] + 5)
    found = OutsideForecasts(OutsideForecaster("other", "x"), origins(), ["a", "b"], theirs)
    compared = compare_outside(rows, found)
    n = 48 + 47
    assert (compared["rows"], compared["origins"], compared["counters"]) == (n, 2, 1)
    assert compared["asked"] == len(rows)
    assert compared["lacking"] == len(rows) - n
    gbm, other = compared["models"]
    assert (gbm["name"], other["name"]) == ("gbm", "other")
    assert gbm["rmse"] == pytest.approx(2.0)
    assert other["rmse"] == pytest.approx(20 / np.sqrt(n))
    assert other["coverage"] == pytest.approx(1 - 1 / n)
    assert (gbm["winkler"], other["winkler"]) == pytest.approx((16.0, 10 + 20 * 15 / n))
    assert (
        f"did not forecast {len(rows) - n:,} of {len(rows):,} hours"
        in describe_comparison(compared).text
    )


def test_the_comparison_fits_into_a_terminal(rows: pd.DataFrame) -> None:
    """Even for a long name, what it lacks, what it cost, and why it was stopped."""
    columns = ["counter_id", "origin_at", "target_at"]
    theirs = rows.loc[rows["counter_id"] == "a", columns].assign(
        predicted_count=9_999.0, lower=0.0, upper=99_999.0
    )
    forecaster = OutsideForecaster("a" * 22, "x")
    error = "other: " + "no answer within 1,800 s; " * 20
    found = OutsideForecasts(forecaster, origins(), ["a", "b"], theirs, error=error)
    compared = compare_outside(rows, found)
    screen = StringIO()
    Console(width=80, file=screen).print(printed_scores.comparison_table(compared))
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "It was stopped." in text
    assert f"{compared['lacking']:,} of {compared['asked']:,} hours" in " ".join(text.split())
