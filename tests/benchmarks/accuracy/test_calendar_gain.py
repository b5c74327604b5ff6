"""The benchmark of the calendar: a simulated city whose events have the effect that it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import calendar_gain
from velocast.core.kinds import DEFAULT_KIND
from velocast.model.features.event_features import event_column


def test_counts_are_raised_in_the_hours_of_events_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_gain, "DAYS", 30)
    city, read = calendar_gain.simulated_events()
    monkeypatch.setattr(calendar_gain, "EFFECT", 1.0)
    _, plain = calendar_gain.simulated_events()
    hours = read.counts.rename(columns={"counted_at": "target_at"})
    there = event_column(hours, city.events, read.counters, city.zone) > 0
    ratio = read.counts["bike_count"][there].sum() / plain.counts["bike_count"][there].sum()
    assert ratio == pytest.approx(1.6, abs=0.01)
    assert there.sum() > 60  # of 108 in four events: some counters start late
    pd.testing.assert_frame_equal(read.counts[~there], plain.counts[~there])

    made = hours.assign(lead_day=0, local_hour=0, origin_at=hours["target_at"])
    made[DEFAULT_KIND] = made["bike_count"] * np.where(there, 0.5, 1.0)
    found = calendar_gain.measured(city, read, made)
    assert found["events"]["ratio"] == pytest.approx(0.5)
    assert found["school_holidays"] is None
    lines = calendar_gain.markdown([{"calendar": "own"} | found])
    assert lines[-1].startswith("| own | ")
    assert lines[-1].endswith(f"| – | – | {found['events']['r2']:.4f} | 0.50 |")
