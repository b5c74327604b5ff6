"""Which faults strike when: drawn from a seed; a kind comes again only when too few others are left."""

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
        self._deck = self._shuffled(list(KINDS.values()))

    def deal(self, stage: Stage) -> list[FaultKind]:
        """Return the faults of the next run, which is of this stage; none of one family twice."""
        dealt = self._pick(stage, self._deck)
        if len(dealt) < self.at_once and not _alone(dealt):
            used = [kind for kind in KINDS.values() if kind not in self._deck]
            self._deck += self._shuffled([kind for kind in used if stage in kind.stages])
            dealt = self._pick(stage, self._deck)
        self._deck = [kind for kind in self._deck if kind not in dealt]
        return dealt

    def seconds(self, shortest: float, longest: float) -> float:
        """Return a random time."""
        return self._random.uniform(shortest, longest)

    def _pick(self, stage: Stage, deck: list[FaultKind]) -> list[FaultKind]:
        by_family: dict[str, FaultKind] = {}
        for kind in deck:
            if stage in kind.stages:
                by_family.setdefault(kind.family, kind)
        dealt = list(by_family.values())[: self.at_once]
        return _alone(dealt) or dealt

    def _shuffled(self, kinds: list[FaultKind]) -> list[FaultKind]:
        return self._random.sample(kinds, len(kinds))


def _alone(kinds: list[FaultKind]) -> list[FaultKind]:
    return [kind for kind in kinds if kind.name == ALONE]
