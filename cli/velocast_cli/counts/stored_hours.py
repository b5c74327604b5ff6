"""The hours that a deployment has stored, as far back as the detector looks."""

from __future__ import annotations

from velocast.core.errors import EventError
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast.usecases.histories.known import read_histories
from velocast.usecases.ingest.faults import DAY, JUDGED_DAYS, KNOWN_DAYS, read_judged_hours
from velocast_cli.counts.hours_files import CityHours


def read_stored_hours(run: Run[JobSettings]) -> CityHours:
    """Read the hours before the run's time. Raises EventError where there are none, WarehouseError."""
    days = JUDGED_DAYS + KNOWN_DAYS
    hours, counters = read_judged_hours(
        run.warehouse, since=run.as_of - days * DAY, until=run.as_of
    )
    if hours.empty:
        raise EventError(
            f"no count is stored of the {days} days before {run.as_of:%Y-%m-%d}; run fetch first"
        )
    histories = read_histories(run.warehouse, run.settings.city, as_of=run.as_of)
    return CityHours(run.settings.city, hours, counters, histories)
