"""What a model must beat: the better of similar days and the value a week earlier, judged on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from velocast.core.unknown import Unknown
from velocast.model.arrays import Floats
from velocast.model.evaluation import bootstrap
from velocast.model.evaluation.classification_metrics import (
    balanced_accuracy,
    is_busy,
    labelled_rows,
)
from velocast.model.evaluation.metrics import rmse
from velocast.model.evaluation.reference_models import SIMILAR_DAYS, WEEK_BEFORE


class ReferenceSkill(BaseModel):
    """The better of two reference models, and the skill against it: 1 - RMSE / RMSE of the reference, same rows."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    reference: str
    skill: float


class ReferenceGain(BaseModel):
    """How much better a challenger is than the better reference on the same rows of one test.

    For forecasts, all figures are shares of the reference's RMSE that a model removes; for busy hours, they are the
    model's balanced accuracy minus the reference's. skill, champion_skill: on all rows, of the challenger and of the
    champion (None without one). mean, low, high: of the challenger over resampled local days, with a 90 % interval.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    reference: str
    skill: float
    champion_skill: float | None
    mean: float
    low: float
    high: float
    days: int


def skill_against_better(frame: pd.DataFrame) -> ReferenceSkill | None:
    """Return the skill against the better of similar days and the value 168 hours earlier, chosen on the same rows.

    frame: bike_count, predicted_count, similar_days and lag_168h, bikes per hour. Rows without similar days are left
    out; without the value of a week earlier, similar days stand for it. None when no row is left or the better
    reference has no error.
    """
    if "similar_days" not in frame.columns:
        return None
    rows = frame.dropna(subset=["bike_count", "predicted_count", "similar_days"])
    if rows.empty:
        return None
    name, reference = better_reference(
        rows["bike_count"], {
            SIMILAR_DAYS: rows["similar_days"],
            WEEK_BEFORE: rows["lag_168h"].fillna(rows["similar_days"]),
        },
    )  # fmt: skip
    error = rmse(reference - rows["bike_count"])
    if error == 0:
        return None
    return ReferenceSkill(
        reference=name, skill=1.0 - rmse(rows["predicted_count"] - rows["bike_count"]) / error
    )


def better_reference(
    actual: pd.Series[float], forecasts: Mapping[str, pd.Series[float]]
) -> tuple[str, pd.Series[float]]:
    """Return the forecast with the smallest RMSE, and its name; of equal ones the first."""
    return min(forecasts.items(), key=lambda named: rmse(named[1] - actual))


def forecast_reference_gain(
    frame: pd.DataFrame,
    references: Mapping[str, Floats],
    challenger: Floats,
    champion: Floats | None,
    *,
    seed: int,
) -> ReferenceGain | Unknown:
    """Compare a challenger's forecasts with the better reference over resampled local days.

    frame: (n, any) with bike_count and local_date; references (by name), challenger, champion: forecasts, each (n,),
    bikes per hour. Rows without a count are left out. Unknown with fewer than two counted days, or where the better
    reference has no error. Raises RowsMismatch when a counted row lacks a forecast.
    """
    counted = frame["bike_count"].notna().to_numpy()
    actual = frame["bike_count"][counted]
    named = {name: pd.Series(values[counted], actual.index) for name, values in references.items()}
    name, reference = better_reference(actual, named)
    error = rmse(reference - actual)
    if not error > 0:
        return Unknown(reason=f"the forecasts of {name} have no error")
    resampled = bootstrap.resampled_rmse(
        frame[counted][["bike_count", "local_date"]].assign(
            predicted_old=reference, predicted_new=challenger[counted]
        ),
        seed=seed,
    )
    if isinstance(resampled, Unknown):
        return resampled
    old, new, days = resampled
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = np.where(old > 0, 1.0 - new / old, 0.0)  # a resample of days without any error
    return _gain_over(
        name,
        gains,
        days,
        skill=1.0 - rmse(challenger[counted] - actual) / error,
        champion=None if champion is None else 1.0 - rmse(champion[counted] - actual) / error,
    )


def busy_reference_gain(
    frame: pd.DataFrame,
    references: Mapping[str, Floats],
    challenger: Floats,
    champion: Floats | None,
    *,
    seed: int,
) -> ReferenceGain | Unknown:
    """Compare a challenger's busy hours with the better reference's over resampled local days.

    frame: (n, any) with bike_count, busy_threshold and local_date; the others: 1 where an hour is called busy, else 0,
    each (n,). Rows without a label are left out. Unknown with fewer than two days, or where all hours are of one class.
    """
    rows = labelled_rows(frame)
    labelled = frame.index.isin(rows.index)
    busy = is_busy(rows).to_numpy(dtype=bool)

    def score(called: Floats) -> float | None:
        return balanced_accuracy(busy, called[labelled].astype(bool))

    scores = {name: score(called) for name, called in references.items()}
    new = score(challenger)
    known = {name: value for name, value in scores.items() if value is not None}
    if new is None or not known:
        return Unknown(reason="all hours of the test are of one class")
    name = max(known, key=lambda each: known[each])
    hits = pd.DataFrame(
        {
            "busy": busy.astype("float64"),
            "idle": (~busy).astype("float64"),
            "old_busy": busy * references[name][labelled],
            "old_idle": ~busy * (1.0 - references[name][labelled]),
            "new_busy": busy * challenger[labelled],
            "new_idle": ~busy * (1.0 - challenger[labelled]),
        },
        index=rows.index,
    )
    resampled = bootstrap.resampled_days(hits, rows["local_date"], seed=seed)
    if isinstance(resampled, Unknown):
        return resampled
    sums, days = resampled
    both = sums[(sums[:, 0] > 0) & (sums[:, 1] > 0)]  # others have no balanced accuracy
    if not len(both):
        return Unknown(reason="no resample has hours of both classes")
    gains = ((both[:, 4] - both[:, 2]) / both[:, 0] + (both[:, 5] - both[:, 3]) / both[:, 1]) / 2.0
    old = None if champion is None else score(champion)
    return _gain_over(
        name,
        gains,
        days,
        skill=new - known[name],
        champion=None if old is None else old - known[name],
    )


def _gain_over(
    reference: str, gains: Floats, days: int, *, skill: float, champion: float | None
) -> ReferenceGain:
    low, high = np.quantile(gains, bootstrap.INTERVAL)
    return ReferenceGain(
        reference=reference,
        skill=skill,
        champion_skill=champion,
        mean=float(gains.mean()),
        low=float(low),
        high=float(high),
        days=days,
    )
