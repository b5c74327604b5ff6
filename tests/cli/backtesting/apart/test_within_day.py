"""What updates within the day gain, from the rows of a backtest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.shared.model.learning.test_within_day import DAYS, NOON, days_with
from velocast.core.errors import TooLittleHistory
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.learning.within_day import MIN_DAYS
from velocast_cli.backtesting.apart.within_day import backtest_within_day
from velocast_cli.backtesting.printed_scores import within_day_table
from velocast_cli.main import app


def rows_of(days: pd.DataFrame) -> pd.DataFrame:
    """Forecasts in the columns of a backtest, with a second lead day that is never right."""
    names = {name: f"gbm:{name}" for name in ("lower", "upper", *QUANTILES)}
    first = days.rename(columns={"predicted_count": "gbm"} | names).assign(lead_day=0)
    first["target_at"] = first["origin_at"] + pd.to_timedelta(first["lead_hours"], unit="h")
    second = first.assign(lead_day=1, gbm=0.0, target_at=first["target_at"] + pd.Timedelta(days=1))
    return pd.concat([first, second], ignore_index=True)


def test_the_rest_of_each_day_is_scored_with_and_without_its_counts() -> None:
    days = days_with(lasting=0.3)
    (morning, noon) = backtest_within_day(rows_of(days), "gbm", (1, NOON))
    assert noon["known_until"] == NOON
    assert noon["days"] == noon["days_updated"] == DAYS - MIN_DAYS
    scored = days["origin_at"].isin(sorted(days["origin_at"].unique())[MIN_DAYS:])
    rest = days[scored & (days["lead_hours"] >= NOON)]
    assert noon["rows"] == len(rest)
    error = ((rest["predicted_count"] - rest["bike_count"]) ** 2).sum()
    spread = ((rest["bike_count"] - rest["bike_count"].mean()) ** 2).sum()
    assert noon["r2"] == pytest.approx(1 - error / spread)
    assert noon["gain"] == pytest.approx(noon["r2_within_day"] - noon["r2"])
    assert noon["r2_within_day"] > noon["r2"] + 0.05
    assert noon["late_gain"] > 0.02
    assert noon["coverage_within_day"] == pytest.approx(0.9, abs=0.04)
    assert noon["width_within_day"] < noon["width"]
    assert morning["gain"] < noon["gain"]
    table = within_day_table([morning, noon])
    assert (table.row_count, len(table.columns)) == (2, 10)


def test_later_counts_change_no_forecast() -> None:
    days = days_with(lasting=0.3)
    last = days["origin_at"] == days["origin_at"].max()
    later = last & (days["lead_hours"] >= NOON)
    (before,) = backtest_within_day(rows_of(days), "gbm", (NOON,))
    doubled = days.assign(bike_count=days["bike_count"].where(~later, days["bike_count"] * 2))
    (after,) = backtest_within_day(rows_of(doubled), "gbm", (NOON,))
    assert after["width_within_day"] == before["width_within_day"]


def test_hours_without_counts_are_not_scored_and_few_days_are_refused() -> None:
    days = days_with(lasting=0.3)
    silent = days.assign(bike_count=days["bike_count"].where(days["counter_id"] != "0", np.nan))
    (found,) = backtest_within_day(rows_of(silent), "gbm", (NOON,))
    (whole,) = backtest_within_day(rows_of(days), "gbm", (NOON,))
    assert found["rows"] == whole["rows"] * 5 // 6
    few = days[days["origin_at"] < sorted(days["origin_at"].unique())[MIN_DAYS]]
    with pytest.raises(TooLittleHistory, match="ask for more weeks"):
        backtest_within_day(rows_of(few), "gbm", (NOON,))


@pytest.mark.parametrize("hours", ["0", "24", "ten", "10;12"])
def test_other_hours_are_refused(hours: str) -> None:
    result = CliRunner().invoke(app, ["backtest", __file__, "--within-day", hours])
    assert result.exit_code == 2
    assert "give hours from 1 to 23" in " ".join(result.output.replace("│", " ").split())
