"""A city's school holidays and events as a model learned them: later edits of its file change no version's bytes."""

from __future__ import annotations

from velocast.core.city import City, PlannedEvent
from velocast.core.requests import Message
from velocast.core.schemas import COUNTERS
from velocast.core.settings import JobSettings
from velocast.model.known_hours import with_counter_ids, with_histories
from velocast.usecases.context import Run
from velocast.usecases.histories.known import read_histories


class FrozenCalendar(Message):
    """School holidays, first and last day of each, and events with the ids of the counters that they concern."""

    school_holidays: tuple[tuple[str, str], ...] = ()
    events: tuple[PlannedEvent, ...] = ()

    def of_city(self, city: City) -> City:
        """Return the city with these in place of its own."""
        return city.model_copy(
            update={name: getattr(self, name) for name in type(self).model_fields}
        )


def freeze_calendar(run: Run[JobSettings]) -> FrozenCalendar:
    """Return the calendar of the city's file, and of the counters that are stored now. Raises WarehouseError.

    Events concern counters also under the ids under which `freeze_counts` freezes their hours.
    """
    city = run.settings.city
    events = tuple(event for event in city.events if event.kind == "event")
    if events:
        histories = read_histories(run.warehouse, city, as_of=run.as_of, with_sums=False)
        events = with_histories(city.model_copy(update={"events": events}), histories).events
        columns = ["counter_id", "counter_name", "latitude", "longitude"]
        events = with_counter_ids(events, run.warehouse.read(COUNTERS, columns=columns).to_pandas())
    return FrozenCalendar(school_holidays=city.school_holidays, events=events)
