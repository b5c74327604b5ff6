"""The faults that the soak injects, and what each of them may change for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["fetch", "predict", "monitor", "retrain"]
Change = Literal["counts later", "weather", "rejects", "repeated later", "message twice"]

RUNS: tuple[Stage, ...] = ("fetch", "predict", "monitor", "retrain")
RETRAIN: tuple[Stage, ...] = ("retrain",)
FETCH: tuple[Stage, ...] = ("fetch",)
LATE = "event repeated-a-day-later"


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    stages: what may run when it strikes. changes: what may differ from a clean run afterwards. Every fault may make a
    run fail, which leaves a FAILED audit row and a notice, until the run is delivered again.
    """

    name: str
    stages: tuple[Stage, ...]
    changes: tuple[Change, ...] = ()

    @property
    def family(self) -> str:
        """The part that fails: the first word of the name."""
        return self.name.split()[0]


KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind("kill fetch", FETCH),
        FaultKind("kill predict", ("predict",)),
        FaultKind("kill monitor", ("monitor",)),
        FaultKind("kill notify", RETRAIN, ("message twice",)),
        FaultKind("kill train", RETRAIN),
        FaultKind("kill evaluate", RETRAIN),
        FaultKind("kill promote", RETRAIN),
        FaultKind("kill bigquery", RUNS),
        FaultKind("kill mlflow", RETRAIN),
        FaultKind("kill supervisor", RUNS, ("message twice",)),
        FaultKind("event twice", ("fetch", "predict", "monitor")),
        FaultKind("event unacknowledged", ("fetch", "predict", "monitor")),
        FaultKind("event refused", ("fetch", "predict", "monitor")),
        # Repeated for a past day, fetch reads that day's weather from the archive, which has other times of issue.
        FaultKind(LATE, ("fetch", "predict"), ("repeated later", "weather")),
        FaultKind("event reordered", FETCH, ("counts later",)),
        FaultKind("city unavailable", FETCH),
        FaultKind("city too-many-requests", FETCH),
        FaultKind("city truncated", FETCH),
        FaultKind("city disconnected", FETCH),
        FaultKind("city html", FETCH),
        FaultKind("city late", FETCH, ("counts later",)),
        FaultKind("city malformed", FETCH, ("rejects",)),
        FaultKind("weather away", FETCH, ("weather",)),
        FaultKind("weather truncated", FETCH),
        FaultKind("weather missing-hours", FETCH),
        FaultKind("weather fahrenheit", FETCH, ("weather",)),
        FaultKind("mlflow refuses", RETRAIN),
        FaultKind("mlflow cut", RETRAIN),
        FaultKind("mlflow loses", RETRAIN),
        FaultKind("bigquery refuses", RUNS),
        FaultKind("bigquery cut", RUNS),
        FaultKind("bigquery loses", RUNS),
        FaultKind("bigquery-read refuses", ("predict", "retrain")),
        FaultKind("bigquery-read cut", ("predict", "retrain")),
        FaultKind("storage refuses", ("predict", "monitor", "retrain")),
        FaultKind("storage cut", ("predict", "monitor", "retrain")),
        FaultKind("storage loses", ("predict", "retrain")),
        FaultKind("discord refuses", RETRAIN),
        FaultKind("discord too-many-requests", RETRAIN),
        FaultKind("discord loses", RETRAIN, ("message twice",)),
    )
}


@dataclass(frozen=True)
class Strike:
    """A fault that was injected while the run of `as_of` was at work.

    hits: how often it struck; 0 when the run ended before. healed: what a person had to do afterwards.
    """

    kind: FaultKind
    as_of: str
    stage: Stage
    hits: int
    healed: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """The day of the run, YYYY-MM-DD."""
        return self.as_of[:10]
