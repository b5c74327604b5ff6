"""The scores of a backtest, as `velocast backtest --json` prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from velocast.core.datetimes import SCORED_LEAD_DAYS
from velocast.core.errors import TooLittleHistory
from velocast.model.evaluation import metrics
from velocast_cli.backtesting.apart import busy_hours
from velocast_cli.backtesting.interval_scores import LEVELS, score_intervals
from velocast_cli.backtesting.plan import KEPT, BacktestResult

POOLED = ("r2", "rmse", "mae", "wape", "bias", "coverage", "width")


def summarize(backtest: BacktestResult) -> dict[str, Any]:
    """Return the city, what was put aside of its files, the models, best first, and the rows that were scored.

    A model's scores, those of `score_intervals` included, are pooled over lead days 0 to 2; `lead_days` has each of the
    five lead days. `fit_seconds` and
    `fit_peak_mb` are those of its last and largest fit, None for a model that is not fitted. Raises TooLittleHistory
    when no hour of lead days 0 to 2 was counted.
    """
    scored = _scored(backtest.rows)
    if scored.empty:
        raise TooLittleHistory(_nothing_counted(backtest.rows))
    return {
        "city": backtest.city,
        "put_aside": backtest.put_aside,
        "models": _best_first(_model(backtest, name) for name in model_names(backtest.rows)),
        **_extent(scored),
        "learning_rows": backtest.learning_rows,
        "features_seconds": {
            name: round(cost.seconds, 2) for name, cost in backtest.features.items()
        },
        "features_peak_mb": {name: round(cost.peak_mb) for name, cost in backtest.features.items()},
        "weather_known": round(backtest.weather_share, 3),
        "new_counters": _new_counters(backtest),
        "affluence": busy_hours.busy_hour_scores(backtest.busy_hours),
    }


def model_names(rows: pd.DataFrame) -> list[str]:
    """Return the names of the models in the rows."""
    return [str(name) for name in rows.columns if name not in KEPT and ":" not in name]


def forecasts_of(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return one model's forecasts in the columns that `metrics.score_forecasts` takes, counted rows only."""
    columns = {name: "predicted_count"} | {f"{name}:{level}": level for level in LEVELS}
    known = {old: new for old, new in columns.items() if old in rows.columns}
    own = rows[[*KEPT, *known]].rename(columns=known)
    return own[own["bike_count"].notna()]


def _new_counters(backtest: BacktestResult) -> dict[str, Any] | None:
    """Return the scores for counters whose history was hidden, best first; None when none could be hidden."""
    rows, cost = backtest.new_counters, backtest.new_counters_cost
    if rows.empty or _scored(rows).empty:
        return None
    return {
        "models": _best_first(scores_of(rows, name) for name in model_names(rows)),
        **_extent(_scored(rows)),
        "seconds": None if cost is None else round(cost.seconds, 2),
    }


def _best_first(models: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort by RMSE: the same order as R2 on the same rows, and defined even where R2 is not."""
    return sorted(models, key=lambda model: float(model["rmse"]))


def _nothing_counted(rows: pd.DataFrame) -> str:
    days = rows.loc[rows["lead_day"] < SCORED_LEAD_DAYS, "local_date"]
    found = "no counts in the weeks before, so no hour was forecast"
    if len(days):
        span = f"from {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"
        found = f"none of the {len(days)} hours forecast {span} was counted, perhaps because of an outage"
    return f"{found}; try another --until or more --weeks"


def _extent(scored: pd.DataFrame) -> dict[str, Any]:
    return {
        "rows": len(scored),
        "origins": int(scored["origin_at"].nunique()),
        "counters": int(scored["counter_id"].nunique()),
        "first_origin_at": scored["origin_at"].min().isoformat(),
        "last_origin_at": scored["origin_at"].max().isoformat(),
    }


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["bike_count"].notna() & (rows["lead_day"] < SCORED_LEAD_DAYS)]


def _model(backtest: BacktestResult, name: str) -> dict[str, Any]:
    fit = backtest.fits.get(name)
    return {
        **scores_of(backtest.rows, name),
        "fit_seconds": None if fit is None else round(fit.seconds, 2),
        "fit_peak_mb": None if fit is None else round(fit.peak_mb),
    }


def scores_of(all_rows: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return a model's scores: pooled over lead days 0 to 2, and of each lead day. Raises RowsMismatch."""
    rows = forecasts_of(all_rows, name)
    scored = rows[rows["lead_day"] < SCORED_LEAD_DAYS]
    pooled = metrics.score_forecasts(scored)
    return {
        "name": name,
        **{key: getattr(pooled, key) for key in POOLED},
        **score_intervals(scored),
        "lead_days": [lead.model_dump() for lead in metrics.score_forecasts(rows).lead_days],
    }
