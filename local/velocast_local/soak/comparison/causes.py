"""The faults that struck, as causes of differences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from velocast.core.datetimes import parse_instant, rfc3339
from velocast_local.soak.catalogue import LATE, RUNS, Change, Stage, Strike
from velocast_local.soak.injection import JOBS

WORKFLOW = "retrain"
# Component to the runs in which it works; notify in all.
STAGES: dict[str, tuple[Stage, ...]] = {
    "fetch": ("fetch",),
    "predict": ("predict",),
    "monitor": ("monitor", "retrain"),
    **dict.fromkeys((*JOBS, WORKFLOW), ("monitor", "retrain")),
}


class Causes:
    """The faults of a run that really struck."""

    def __init__(self, strikes: Sequence[Strike]) -> None:
        self.struck = [strike for strike in strikes if strike.hits]

    def strikes(self, change: Change) -> list[Strike]:
        """Return the faults that struck and may cause such a change."""
        return [
            strike
            for strike in self.struck
            if change in strike.kind.changes and (change != "weather" or strike.stage == "fetch")
        ]

    def fault(self, change: Change, day: str, reach: timedelta = timedelta(days=1)) -> str | None:
        """Return the fault that may cause such a change and struck on a day or shortly before."""
        first = shifted_day(day, -reach.days)
        near = [s for s in self.strikes(change) if first <= s.day <= day]
        # What fails in the first place explains more than an event that was repeated.
        near.sort(key=lambda strike: strike.kind.name != LATE)
        return describe_strike(near[-1]) if near else None

    def failure(self, key: tuple[str, str, str]) -> str | None:
        """Return the faults that struck while the run of an audit row was at work."""
        stages = STAGES.get(key[0], RUNS)
        at = [s for s in self.struck if s.as_of == key[1] and s.stage in stages]
        if key[0] == "notify":
            at = [s for s in at if s.kind.family == "discord"] or at
        return " and ".join(map(describe_strike, at)) or None

    def any_on(self, day: str) -> str | None:
        """Return a fault that struck on a day."""
        at = [strike for strike in self.struck if strike.day == day]
        return describe_strike(at[0]) if at else None


def describe_strike(strike: Strike) -> str:
    """Return a fault as it is named in reports."""
    return f"{strike.kind.name} at {strike.as_of}"


def shifted_day(moment: str, days: int) -> str:
    """Return the UTC day so many days after a day or moment."""
    day = parse_instant(moment if "T" in moment else f"{moment}T00:00:00Z")
    return rfc3339(day + timedelta(days=days))[:10]
