"""Busy probabilities from the champion of the task affluence; without one, the forecast's distribution gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from velocast.adapters import champion_manifest
from velocast.adapters.champion_manifest import Champion
from velocast.adapters.gcs import Objects
from velocast.core.errors import ModelUnusable, ObjectMissing
from velocast.model.learning.busy_classifier import TASK, BusyModel
from velocast.usecases.model_loading import FallbackStep, OnFallback, read_version

BUSY_FROM = 0.5  # more likely than not, for probabilities from the forecast's distribution
DISTRIBUTION = "the forecast's own distribution"


@dataclass(frozen=True)
class BusyChampion:
    """The source of busy probabilities. Without a `model`, they come from the forecast's distribution."""

    model: BusyModel | None = None
    manifest: Champion | None = None

    @property
    def busy_from(self) -> float:
        """The probability from which an hour counts as busy."""
        return BUSY_FROM if self.model is None else self.model.threshold


def load_busy_champion(
    objects: Objects,
    *,
    on_fallback: OnFallback,
    find: Callable[[], Champion | None] | None = None,
) -> BusyChampion:
    """Load the champion of the task affluence.

    on_fallback: called when a champion exists but cannot be used. find: returns the champion to load, or raises
    ModelUnusable; by default the serving one. Raises GoogleAPICallError when Cloud Storage fails.
    """
    wanted: int | None = None
    try:
        champion = find() if find else champion_manifest.read_champion(objects, TASK)[0]
        if champion is None:
            return BusyChampion()
        wanted = champion.version
        model = BusyModel.from_bytes(read_version(objects, champion))
    except (ModelUnusable, ObjectMissing) as exc:
        on_fallback(FallbackStep(wanted, DISTRIBUTION, str(exc), TASK))
        return BusyChampion()
    return BusyChampion(model, champion)


def fill_busy_probabilities(
    champion: BusyChampion, forecasts: pd.DataFrame, *, min_hours: int
) -> pd.DataFrame:
    """Return forecasts with the champion's busy probabilities where a counter has at least `min_hours` of history.

    forecasts: feature frame with busy_probability, which is kept where the champion gives none.
    """
    if champion.model is None or forecasts.empty:
        return forecasts
    probability = champion.model.predict(forecasts)["busy_probability"]
    enough = forecasts["history_hours"] >= min_hours
    return forecasts.assign(
        busy_probability=probability.where(
            enough & probability.notna(), forecasts["busy_probability"]
        )
    )
