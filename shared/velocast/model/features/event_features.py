"""The events that the city's file names, as a feature of the hours and counters that they concern."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from velocast.core.city import PlannedEvent
from velocast.core.datetimes import HOUR
from velocast.model.arrays import Floats
from velocast.model.known_hours import concerned_counters


def event_column(
    frame: pd.DataFrame, events: Sequence[PlannedEvent], counters: pd.DataFrame, zone: ZoneInfo
) -> Floats:
    """Return 1 for each row at whose counter there is an event in a part of the hour, else 0, (n,).

    frame: (n, any) with counter_id and target_at (aware). events: closures among them are left out, since their hours
    are neither learned from nor scored. counters: as for `known_hours`, all counters of the frame.
    """
    found = np.zeros(len(frame))
    for event in events:
        if event.kind != "event":
            continue
        during = frame["target_at"] > event.begins(zone) - HOUR
        end = event.ends(zone)
        if end is not None:
            during &= frame["target_at"] < end
        rows = np.flatnonzero(during)
        there = frame["counter_id"].iloc[rows].isin(concerned_counters(event, counters))
        found[rows[there.to_numpy()]] = 1.0
    return found
