"""Scores of an outside forecaster beside the backtest's models, on the rows that all of them forecast."""

from __future__ import annotations

from typing import Any

import pandas as pd

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast_cli.backtesting import scores
from velocast_cli.backtesting.outside.forecasts import ROW_KEYS, OutsideForecasts


def compare_outside(rows: pd.DataFrame, found: OutsideForecasts) -> dict[str, Any]:
    """Return the comparison with one outside forecaster.

    rows: those of `BacktestResult`. `rows`, `origins` and `counters` count what was scored (lead days 0 to 2); `asked`
    are the counted rows that it was asked for, `lacking` those that it did not forecast. `models` are the scores of all
    models on the scored rows, best first; empty when it forecast none of them.
    """
    name = found.forecaster.name
    asked = rows[rows["origin_at"].isin(found.origins) & rows["counter_id"].isin(found.counters)]
    theirs = found.rows.rename(
        columns={"predicted_count": name, "lower": f"{name}:lower", "upper": f"{name}:upper"}
    )
    both = asked.merge(theirs, how="inner", on=ROW_KEYS)
    scored, wanted = _scored(both), _scored(asked)
    return {
        "name": name,
        "command": found.forecaster.command,
        "error": found.error,
        "rows": len(scored),
        "origins": int(scored["origin_at"].nunique()),
        "counters": int(scored["counter_id"].nunique()),
        "asked": len(wanted),
        "asked_origins": len(found.origins),
        "asked_counters": len(found.counters),
        "lacking": len(wanted) - len(scored),
        "fit_seconds": round(found.cost.fit_seconds, 2),
        "forecast_seconds": round(found.cost.forecast_seconds, 2),
        "cpu_seconds": round(found.cost.cpu_seconds, 2),
        "peak_mb": round(found.cost.peak_mb),
        "models": [] if scored.empty else _models(both),
    }


def _models(rows: pd.DataFrame) -> list[dict[str, Any]]:
    models = [scores.scores_of(rows, name) for name in scores.model_names(rows)]
    return sorted(models, key=lambda model: float(model["rmse"]))


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["bike_count"].notna() & (rows["lead_day"] < SCORED_LEAD_DAYS)]
