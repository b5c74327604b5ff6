"""What a soak found, as a table that fits into 80 columns and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from velocast_local.soak.catalogue import Strike
from velocast_local.soak.comparison.difference import Difference


@dataclass(frozen=True)
class SoakReport:
    """The result of a soak. seconds: wall time of its parts."""

    seed: int
    days: int
    strikes: Sequence[Strike]
    differences: Sequence[Difference]
    seconds: dict[str, float]

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that no fault explains."""
        return [difference for difference in self.differences if difference.because is None]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types."""
        return {
            "seed": self.seed,
            "days": self.days,
            "faults": [
                {
                    "kind": strike.kind.name,
                    "as_of": strike.as_of,
                    "stage": strike.stage,
                    "hits": strike.hits,
                    "by_hand": list(strike.healed),
                }
                for strike in self.strikes
            ],
            "differences": [
                {"what": difference.what, "because": difference.because}
                for difference in self.differences
            ],
            "unexplained": len(self.unexplained),
            "seconds": {part: round(value, 1) for part, value in self.seconds.items()},
        }


def print_soak(report: SoakReport, console: Console) -> None:
    """Print faults by kind, then the differences, explained ones first."""
    console.print(_faults(report.strikes))
    console.print(_differences(report))
    times = ", ".join(f"{part} {value:.0f} s" for part, value in report.seconds.items())
    survived = sum(strike.hits > 0 for strike in report.strikes)
    console.print(f"{report.days} days, {survived} faults survived, seed {report.seed} ({times})")
    unexplained = len(report.unexplained)
    console.print(
        f"[red]{unexplained} differences that no fault explains[/red]"
        if unexplained
        else "nothing lost, nothing twice, no difference that a fault does not explain"
    )


def _faults(strikes: Sequence[Strike]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Faults", title_justify="left")
    for name in ("kind", "injected", "struck", "by hand"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    injected = Counter(strike.kind.name for strike in strikes)
    struck = Counter(strike.kind.name for strike in strikes if strike.hits)
    by_hand = Counter(strike.kind.name for strike in strikes if strike.healed)
    for name in sorted(injected):
        numbers = (injected[name], struck[name], by_hand[name])
        table.add_row(name, *(str(number) if number else "-" for number in numbers))
    return table


def _differences(report: SoakReport) -> RenderableType:
    explained = [d for d in report.differences if d.because is not None]
    lines = [Text(f"{d.what}\n    because of {d.because}") for d in explained]
    lines += [Text(f"{d.what}\n    NOT EXPLAINED", style="red") for d in report.unexplained]
    return Group(Text("Differences from a clean run of the same days"), *lines)
