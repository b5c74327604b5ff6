"""Which faults strike when: drawn from a seed, each kind once before any comes again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from velocast_local.soak.catalogue import KINDS, FaultKind, Stage

# The supervisor starts everything again, and a fault beside it would hardly strike.
ALONE = "kill supervisor"


@dataclass
class FaultPlan:
    """Deals the kinds of faults out to the runs as they come.

    seed: the same seed deals the same faults to the same runs. at_once: faults of one run.
    """

    seed: int
    at_once: int
    _random: random.Random = field(init=False)
    _deck: list[FaultKind] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def deal(self, stage: Stage) -> list[FaultKind]:
        """Return the faults of the next run, which is of this stage; none of one family twice."""
        dealt: list[FaultKind] = []
        for kind in self._candidates(stage):
            if len(dealt) == self.at_once:
                break
            if kind.family not in {other.family for other in dealt}:
                dealt.append(kind)
        if any(kind.name == ALONE for kind in dealt):
            dealt = [kind for kind in dealt if kind.name == ALONE]
        self._deck = [kind for kind in self._deck if kind not in dealt]
        return dealt

    def seconds(self, shortest: float, longest: float) -> float:
        """Return a random time."""
        return self._random.uniform(shortest, longest)

    def _candidates(self, stage: Stage) -> list[FaultKind]:
        """Return the kinds of the deck that can strike this stage; a stage whose kinds are used up gets them anew."""
        fitting = [kind for kind in self._deck if stage in kind.stages]
        if not fitting:
            fitting = [kind for kind in KINDS.values() if stage in kind.stages]
            self._random.shuffle(fitting)
            self._deck += fitting
        return fitting
