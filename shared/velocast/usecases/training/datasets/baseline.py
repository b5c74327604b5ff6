"""The baseline: frozen counts cut in time into `train_baseline` and `test_baseline`."""

from __future__ import annotations

from velocast.adapters.gcs import JSON_TYPE
from velocast.core.datetimes import rfc3339
from velocast.core.errors import ObjectChanged, ObjectMissing
from velocast.core.requests import Message
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.datasets.count_rows import (
    datasets_bucket,
    read_counted,
    sql_instant,
    store_counts,
)
from velocast.usecases.training.datasets.frozen_counts import (
    BaselineHalf,
    FrozenCounts,
    counts_table,
)
from velocast.usecases.training.datasets.windows import DayRange, check_history, split_days

BASELINE = "baseline/current.json"
BASELINES = "baseline/frozen/"


class Baseline(Message):
    """`baseline/current.json`: the counts at the moment of freezing, cut in time at a local midnight."""

    counts: FrozenCounts
    frozen_at: str
    split_at: str
    train: BaselineHalf
    test: BaselineHalf

    @property
    def name(self) -> str:
        """The object that keeps this pair, whatever is frozen after it."""
        return f"{BASELINES}{self.train.sha256[:16]}-{self.test.sha256[:16]}.json"

    def same_bytes(self, other: Baseline) -> bool:
        """Tell whether both halves hold the same bytes."""
        return (self.train.sha256, self.test.sha256) == (other.train.sha256, other.test.sha256)


def ensure_baseline(run: Run[JobSettings], frozen: FrozenCounts, *, keep: bool = True) -> Baseline:
    """Return the baseline in force; where there is none yet, cut it from `frozen` and put it in force.

    keep: False puts none in force (a training in test mode must not decide what models are evaluated on). Raises
    TooLittleHistory when the counts are too few to be cut.
    """
    stored = in_force(run)
    if stored is not None:
        return stored
    made = cut_baseline(run, frozen)
    if not keep:
        return made
    data = made.model_dump_json(indent=1).encode()
    try:
        datasets_bucket(run).write(BASELINE, data, content_type=JSON_TYPE, if_generation=0)
    except ObjectChanged:
        return in_force(run) or made
    return made


def in_force(run: Run[JobSettings]) -> Baseline | None:
    """Return the baseline that models are evaluated on, None before the first training."""
    try:
        return Baseline.model_validate(datasets_bucket(run).read_json(BASELINE)[0])
    except ObjectMissing:
        return None


def cut_baseline(run: Run[JobSettings], frozen: FrozenCounts) -> Baseline:
    """Cut frozen counts in time and store both halves; the pair in force stays.

    Raises TooLittleHistory when the counts are too few to be cut.
    """
    known = frozen.known(run)
    check_history(known)
    train, test = split_days(known, test_share=run.settings.thresholds.baseline_test_share)
    return Baseline(
        counts=frozen,
        frozen_at=rfc3339(run.as_of),
        split_at=rfc3339(test.bounds(run.settings.city.zone)[0]),
        train=_half(run, frozen, train),
        test=_half(run, frozen, test),
    )


def _half(run: Run[JobSettings], frozen: FrozenCounts, days: DayRange) -> BaselineHalf:
    first, until = days.bounds(run.settings.city.zone)
    table = counts_table(run, frozen)
    counters = read_counted(run, table, first, until)
    where = f"counted_at >= '{sql_instant(first)}' AND counted_at < '{sql_instant(until)}'"
    sha256, uri = store_counts(run, table, counters, where)
    return BaselineHalf(sha256=sha256, uri=uri, rows=int(counters["hours"].sum()), days=days)
