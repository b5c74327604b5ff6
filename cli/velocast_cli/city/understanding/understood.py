"""What is understood of a city's tables, as far as it depends neither on the zone nor on a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from velocast_cli.city.understanding.clocks import steps
from velocast_cli.city.understanding.clocks.clock_changes import SeenClock, see_clock
from velocast_cli.city.understanding.clocks.times import TimeColumns
from velocast_cli.city.understanding.columns import ColumnRoles, Sample


class NotUnderstood(ValueError):
    """The tables hold no hourly counts, or none that can be read; the message says why."""


@dataclass
class Understood:
    """What the tables say of themselves.

    layout: values for the city's file, without `time`; counts_in: given an order of day and month, (n, 4) counter_id,
    at (naive), bike_count, file. aside: table -> why it is left out.
    """

    sample: Sample
    time: TimeColumns
    roles: ColumnRoles
    shape: str
    layout: dict[str, Any]
    counts_in: Callable[[str | None], pd.DataFrame]
    step: steps.Step
    ignored: dict[str, str]
    parts: dict[str, list[str]]
    status_rest: list[str]
    aside: dict[str, str] = field(default_factory=dict)
    _seen: dict[tuple[str, str | None], SeenClock] = field(default_factory=dict)

    @property
    def times(self) -> str:
        """Whether times have offsets, are said to be UTC, or are those of a clock."""
        if self.time.formats.has_offset:
            return "offset"
        return "utc" if self.time.named_utc else "local"

    def clock(self, zone: ZoneInfo, order: str | None) -> SeenClock:
        """Return what is seen at the changes of the city's clock."""
        if self.times != "local":
            return SeenClock()
        key = (zone.key, order)
        if key not in self._seen:
            self._seen[key] = see_clock(self.counts_in(order), zone)
        return self._seen[key]
