"""The calendar of a training: it stays what it was, whatever the city's file or its counters' names become."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.city import City
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run, Runtime
from velocast.usecases.training import frozen_inputs
from velocast.usecases.training.datasets import frames, frozen_calendar
from velocast.usecases.training.datasets.frames import FeatureSource
from velocast.usecases.training.datasets.windows import DayRange
from velocast.usecases.training.stored.run_store import RunStore

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")

FAIR = {
    "since": "2025-03-05",
    "until": "2025-03-06",
    "area": "rivoli",
    "what": "Fair",
    "kind": "event",
}
WORKS = {"since": "2025-03-05", "until": "2025-03-06", "what": "Works", "kind": "closure"}


def run_of(**described: Any) -> Run[JobSettings]:
    settings = JobSettings.load()
    settings._city = City(**settings.city.model_dump() | described)
    return replace(small_city.job_run(), runtime=Runtime(settings, component="train"))


def test_a_training_keeps_its_school_holidays_and_events() -> None:
    made = small_city.make(counters=2, days=12)
    first, _ = made["counter_id"].unique()
    names = {first: "Rue de Rivoli"}
    small_city.store(made.assign(counter_name=made["counter_id"].map(names).fillna("Quai")))
    run = run_of(school_holidays=[["2025-03-01", "2025-03-05"]], events=[FAIR, WORKS])
    calendar = frozen_inputs.calendar_of_run(run, RunStore(run))
    assert calendar.school_holidays == (("2025-03-01", "2025-03-05"),)
    assert [(event.what, event.counters) for event in calendar.events] == [("Fair", (first,))]

    small_city.store(made.assign(counter_name="Renamed"))
    later = run_of(school_holidays=[], events=[])
    assert frozen_inputs.calendar_of_run(later, RunStore(later)) == calendar
    days = DayRange(first=date(2025, 3, 4), until=date(2025, 3, 8))
    source = FeatureSource(later, schemas.COUNTS, calendar=calendar)
    found = frames.scoring_frame(source, days)
    fair = found[found["is_event"] > 0]
    assert fair["counter_id"].unique().tolist() == [first]
    assert sorted(fair["local_date"].unique()) == [pd.Timestamp(2025, 3, n) for n in (5, 6)]
    assert found["local_date"][found["is_school_holiday"] > 0].max() == pd.Timestamp(2025, 3, 5)
    bare = frames.scoring_frame(FeatureSource(later, schemas.COUNTS), days)
    assert not bare[["is_event", "is_school_holiday", "school_holiday_share_14d"]].any(axis=None)


def test_a_city_without_events_reads_no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(events=[WORKS])
    monkeypatch.setattr(type(run.warehouse), "read", None)
    assert frozen_calendar.freeze_calendar(run).events == ()


def test_an_event_of_a_counter_concerns_the_one_that_continues_it() -> None:
    small_city.store(small_city.make(counters=2, days=3))
    old, new = sorted(small_city.make(counters=2, days=3)["counter_id"].unique())
    fair = FAIR | {"area": None, "counters": [old]}
    since = {"counter": new, "continues": old, "since": "2025-03-08"}
    (event,) = frozen_calendar.freeze_calendar(run_of(events=[fair], continuations=[since])).events
    assert set(event.counters) == {old, new}
