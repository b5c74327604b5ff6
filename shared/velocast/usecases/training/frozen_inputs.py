"""The counts, weather and calendar of one execution: frozen by its first try, and the same for every later one."""

from __future__ import annotations

from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.training.datasets import frozen_calendar, frozen_counts, frozen_weather
from velocast.usecases.training.datasets.frozen_calendar import FrozenCalendar
from velocast.usecases.training.datasets.frozen_counts import BaselineHalf, FrozenCounts
from velocast.usecases.training.datasets.frozen_weather import FrozenWeather
from velocast.usecases.training.stored import run_store
from velocast.usecases.training.stored.run_store import RunStore


def counts_of_run(
    run: Run[JobSettings], store: RunStore, tested_on: BaselineHalf | None = None
) -> FrozenCounts:
    """Return the counts of this execution. tested_on: as for `freeze_counts`. Raises TooLittleHistory."""
    found = store.find(run_store.FREEZE, FrozenCounts)
    return found or store.save_once(run_store.FREEZE, frozen_counts.freeze_counts(run, tested_on))


def weather_of_run(run: Run[JobSettings], store: RunStore) -> FrozenWeather:
    """Return the weather of this execution."""
    found = store.find(run_store.WEATHER, FrozenWeather)
    return found or store.save_once(run_store.WEATHER, frozen_weather.freeze_weather(run))


def calendar_of_run(run: Run[JobSettings], store: RunStore) -> FrozenCalendar:
    """Return the school holidays and events of this execution. Raises WarehouseError."""
    found = store.find(run_store.CALENDAR, FrozenCalendar)
    return found or store.save_once(run_store.CALENDAR, frozen_calendar.freeze_calendar(run))
