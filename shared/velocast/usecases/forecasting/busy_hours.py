"""Busy probabilities by the champion of the task affluence; without one, the forecast's own distribution stands."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.model.learning.busy_classifier import TASK, BusyModel
from velocast.usecases.forecasting.model_loading import OnFallback, StepDown, artifact

BUSY_FROM = 0.5  # of a distribution: more likely than not
DISTRIBUTION = "the forecast's own distribution"


@dataclass(frozen=True)
class BusyChampion:
    """What says how likely an hour is busy. Without a `model`, the forecasts' distribution does."""

    model: BusyModel | None = None
    manifest: Champion | None = None

    @property
    def busy_from(self) -> float:
        """The probability from which an hour is called busy."""
        return BUSY_FROM if self.model is None else self.model.threshold


def load(objects: Objects, *, on_fallback: OnFallback) -> BusyChampion:
    """Load the champion that classifies hours.

    on_fallback: called when there is one and it cannot be used. Raises GoogleAPICallError when Cloud Storage fails.
    """
    wanted: int | None = None
    try:
        champion, _ = champion_manifest.read_champion(objects, TASK)
        if champion is None:
            return BusyChampion()
        wanted = champion.version
        model = BusyModel.from_bytes(artifact(objects, champion))
    except (ModelUnusable, ObjectMissing) as exc:
        on_fallback(StepDown(wanted, DISTRIBUTION, str(exc), TASK))
        return BusyChampion()
    return BusyChampion(model, champion)


def fill(champion: BusyChampion, forecasts: pd.DataFrame, *, min_hours: int) -> pd.DataFrame:
    """Return forecasts with the champion's busy probabilities where a counter has `min_hours` of history.

    forecasts: feature frame with busy_probability, which stays where the champion has nothing to say.
    """
    if champion.model is None or forecasts.empty:
        return forecasts
    said = champion.model.predict(forecasts)["busy_probability"]
    enough = forecasts["history_hours"] >= min_hours
    return forecasts.assign(
        busy_probability=said.where(enough & said.notna(), forecasts["busy_probability"])
    )
