"""What updates within the day gain: the rest of each day forecast with and without the counts until some hour.

As in production, an update is learned from the forecasts of the days before, so the first days of a backtest are not
scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from velocast.core.errors import TooLittleHistory
from velocast.model.evaluation import metrics
from velocast.model.intervals.conformal import QUANTILES
from velocast.model.learning.within_day import LEARNED_DAYS, MIN_DAYS, learn_day_update

LATE_HOURS = 2  # delay of a city's counts, for `late_gain`
COLUMNS = ("predicted_count", "lower", "upper", *QUANTILES)


def backtest_within_day(
    rows: pd.DataFrame, kind: str, hours: Sequence[int]
) -> list[dict[str, Any]]:
    """Return for each of `hours` the scores of the rest of the day, without and with the counts until that hour.

    rows: of a BacktestResult; hours: from local midnight, 1 to 23. All days with at least MIN_DAYS before them are
    scored, on the counted hours from then on; `late_gain` is the gain on those from LATE_HOURS later on. An update that
    does not pay is not used. Raises TooLittleHistory when no day is left.
    """
    days = _first_days(rows, kind)
    scored = []
    for known_hours in hours:
        pairs = list(_days_with_and_without(days, known_hours))
        if not pairs:
            raise TooLittleHistory(
                f"updates within the day are learned from {MIN_DAYS} days, the backtest has "
                f"{days['origin_at'].nunique()}; ask for more weeks"
            )
        without, updated = (
            pd.concat(parts, ignore_index=True) for parts in zip(*pairs, strict=True)
        )
        before, after = metrics.score_forecasts(without), metrics.score_forecasts(updated)
        late = without["lead_hours"] >= known_hours + LATE_HOURS
        late_before = metrics.score_forecasts(without[late]).r2
        late_after = metrics.score_forecasts(updated[late]).r2
        scored.append(
            {
                "known_until": known_hours,
                "rows": before.rows,
                "days": without["origin_at"].nunique(),
                "days_updated": int(updated.loc[updated["updated"], "origin_at"].nunique()),
                "r2": before.r2,
                "r2_within_day": after.r2,
                "gain": _difference(after.r2, before.r2),
                "late_gain": _difference(late_after, late_before),
                "coverage": before.coverage,
                "coverage_within_day": after.coverage,
                "width": before.width,
                "width_within_day": after.width,
            }
        )
    return scored


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _first_days(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the forecasts of each origin's own day, as `learn_day_update` takes them."""
    names = {kind: "predicted_count"} | {f"{kind}:{name}": name for name in COLUMNS[1:]}
    known = ["counter_id", "origin_at", "target_at", "lead_day", "bike_count"]
    first = rows.loc[rows["lead_day"] == 0, [*known, *names]].rename(columns=names)
    seconds = (first["target_at"] - first["origin_at"]).dt.total_seconds()
    hours = (seconds / 3600).astype("int64")
    return first.assign(lead_hours=hours, busy_probability=np.nan, busy_threshold=np.nan)


def _days_with_and_without(
    days: pd.DataFrame, known_hours: int
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield the rest of each day as forecast from midnight, and as forecast with the counts until then."""
    origins = np.sort(days["origin_at"].unique())
    for number in range(MIN_DAYS, len(origins)):
        past = days["origin_at"].isin(origins[max(0, number - LEARNED_DAYS) : number])
        day = days[days["origin_at"] == origins[number]].reset_index(drop=True)
        without = day[day["lead_hours"] >= known_hours]
        without = without[without["bike_count"].notna()]
        update = learn_day_update(days[past], known_hours)
        if update is None:
            yield without, without.assign(updated=False)
            continue
        hidden = day.assign(bike_count=day["bike_count"].where(day["lead_hours"] < known_hours))
        made = update.apply(hidden).loc[without.index, list(COLUMNS)]
        yield without, without.assign(updated=True, **{name: made[name] for name in COLUMNS})
