"""The records that the jobs of a retraining leave behind, as JSON objects in the models bucket."""

from __future__ import annotations

from typing import Literal

from velocast.adapters.champion_manifest import Champion
from velocast.core import kinds
from velocast.core.requests import Message
from velocast.core.unknown import Unknown
from velocast.model.evaluation.bootstrap import BootstrapResult
from velocast.model.evaluation.classification_metrics import BusyScores
from velocast.model.evaluation.metrics import Scores
from velocast.model.evaluation.references import ReferenceGain
from velocast.model.intervals.conformal import Calibration
from velocast.usecases.training.datasets.baseline import Baseline
from velocast.usecases.training.datasets.frozen_calendar import FrozenCalendar
from velocast.usecases.training.datasets.frozen_counts import FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.datasets.windows import Windows

NOT_COMPARED = Unknown(reason="the version was evaluated before that comparison was made")
MEASURES: dict[str, str] = {kinds.FORECAST: "R2", kinds.AFFLUENCE: "balanced accuracy"}


class Artifact(Message):
    """A stored object: where it is, and the hash of its bytes."""

    uri: str
    sha256: str


class LearnedRows(Message):
    """`learned.json`: what saves a retry of `train` from reading all rows again.

    rows: how many rows the model learned from, those held out included. similar_days: of a classifier, how far the mean
    of similar days misses on the rows held out; a forecaster has it in its own file.
    """

    rows: int
    similar_days: Calibration | None = None


class Training(Message):
    """`train.json`: a challenger, and everything that is needed to evaluate it and to fit it again.

    test_current: the rows of that test as Parquet; None for versions that were trained before they were kept.
    """

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
    weather: FrozenWeather | None = None  # None for versions trained before it was frozen
    calendar: FrozenCalendar | None = None  # None for versions trained before it was a feature
    windows: Windows
    counter_ids: tuple[str, ...]
    artifact: Artifact
    test_current: Artifact | None = None
    feature_definition: str
    library_versions: dict[str, str]
    code_version: str = "unknown"  # of versions trained before it was recorded
    rows: int
    seconds: float

    @property
    def dataset_hashes(self) -> dict[str, str]:
        """The hashes of the bytes it was trained and tested on, by name."""
        weather = {"weather": self.weather.sha256} if self.weather else {}
        return weather | {
            "counts": self.counts.sha256,
            "train_baseline": self.baseline.train.sha256,
            "test_baseline": self.baseline.test.sha256,
        }


class ChampionVersion(Message):
    """The champion that a challenger was compared with; `generation` is the manifest's."""

    version: int
    run_id: str
    kind: str
    generation: int


class TestScores(Message):
    """The scores of all forecasts on the same rows of one test set. `old` is None without a champion.

    reference: the comparison with the better of similar days and the value a week earlier.
    """

    new: Scores
    old: Scores | None
    similar_days: Scores
    lag_168h: Scores | None
    bootstrap: BootstrapResult | Unknown | None
    reference: ReferenceGain | Unknown = NOT_COMPARED


class BusyTestScores(Message):
    """The scores of all classifiers on the same rows of one test set. `old` is None without a champion.

    reference: as in TestScores, by balanced accuracy.
    """

    new: BusyScores
    old: BusyScores | None
    similar_days: BusyScores
    reference: ReferenceGain | Unknown = NOT_COMPARED


class Decision(Message):
    """`decision.json`: whether the challenger may become the champion, and the scores behind the decision."""

    execution_id: str
    decision: Literal["DEPLOY", "SKIP", "REJECT"]
    reason: str
    version: int
    run_id: str
    kind: str
    task: str
    test_mode: bool
    gain: float | None
    champion: ChampionVersion | None
    champion_trouble: str | None
    baseline: TestScores | BusyTestScores
    current: TestScores | BusyTestScores

    @property
    def measure(self) -> str:
        """The name of the score that decided."""
        return MEASURES[self.task]


class PromotionPlan(Message):
    """`plan.json`: the champion to publish, the one it replaces, and the manifest's generation before.

    as_published: the champion is an earlier one put back, not a challenger fitted again.
    """

    champion: Champion
    replaced: ChampionVersion | None
    generation: int
    refit_difference: float
    as_published: bool = False


class Promotion(Message):
    """`promotion.json`: the champion that a promotion published."""

    execution_id: str
    version: int
    run_id: str
    replaced: ChampionVersion | None
    artifact: Artifact
    refit_difference: float
    forecasts: int
    as_published: bool = False
