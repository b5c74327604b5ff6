"""The records that the steps of a retraining leave behind, as JSON objects in the models bucket."""

from __future__ import annotations

from typing import Literal

from velocast.adapters.champion_manifest import Champion
from velocast.core import kinds
from velocast.core.requests import Message
from velocast.core.unknown import Unknown
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import BootstrapResult, Scores
from velocast.usecases.training.datasets.baseline import Baseline
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import Windows

MEASURES: dict[str, str] = {kinds.FORECAST: "R2", kinds.AFFLUENCE: "balanced accuracy"}


class Artifact(Message):
    """A stored model: where, and the hash of its bytes."""

    uri: str
    sha256: str


class Training(Message):
    """`train.json`: a challenger, and all that is needed to judge it and to fit it again."""

    execution_id: str
    version: int
    run_id: str
    task: str
    kind: kinds.Kind
    seed: int
    test_mode: bool
    as_of: str
    reason: str
    counts: FrozenCounts
    baseline: Baseline
    weather: FrozenWeather | None = None  # versions trained before it was frozen
    windows: Windows
    counter_ids: tuple[str, ...]
    artifact: Artifact
    feature_definition: str
    library_versions: dict[str, str]
    code_version: str = "unknown"  # versions trained before it was recorded
    rows: int
    seconds: float

    @property
    def dataset_hashes(self) -> dict[str, str]:
        """The bytes it was trained and tested on, by name."""
        weather = {"weather": self.weather.sha256} if self.weather else {}
        return weather | {
            "counts": self.counts.sha256,
            "train_baseline": self.baseline.train.sha256,
            "test_baseline": self.baseline.test.sha256,
        }


class Judged(Message):
    """The champion a challenger was measured against; `generation` is the manifest's."""

    version: int
    run_id: str
    kind: str
    generation: int


class Trial(Message):
    """Everybody's scores on the same rows of one test set. `old` is None without a champion."""

    new: Scores
    old: Scores | None
    similar_days: Scores
    lag_168h: Scores | None
    bootstrap: BootstrapResult | Unknown | None


class BusyTrial(Message):
    """Everybody's scores on the same rows of one test set, of classifiers. `old` is None without a champion."""

    new: BusyScores
    old: BusyScores | None
    similar_days: BusyScores


class Decision(Message):
    """`decision.json`: whether the challenger may become the champion, and on what figures."""

    execution_id: str
    decision: Literal["DEPLOY", "SKIP", "REJECT"]
    reason: str
    version: int
    run_id: str
    kind: str
    task: str
    test_mode: bool
    gain: float | None
    champion: Judged | None
    champion_trouble: str | None
    baseline: Trial | BusyTrial
    current: Trial | BusyTrial

    @property
    def measure(self) -> str:
        """What it was decided by."""
        return MEASURES[self.task]


class Plan(Message):
    """`plan.json`: what a promotion is about to publish, in whose place, and the manifest's generation before."""

    champion: Champion
    replaced: Judged | None
    generation: int
    refit_difference: float


class Promotion(Message):
    """`promotion.json`: the champion that a promotion published."""

    execution_id: str
    version: int
    run_id: str
    replaced: Judged | None
    artifact: Artifact
    refit_difference: float
    forecasts: int
