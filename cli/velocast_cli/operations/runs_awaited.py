"""Publishes a request to a function's topic and waits for the audit row that the run leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from velocast.core.requests import RunRequest
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run
from velocast_cli.operations.audit_trail import BEGINNING, AuditedRun, read_runs

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
# A failure of these codes cannot go away when Pub/Sub delivers the same message again.
HOPELESS = ("bad_event:", "city_refused:")
LOOK_BACK = timedelta(days=1)  # how far the publish time may lie before this command's own time

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class AwaitedRun:
    """The message that was published, and the row of its run; the row of a failure, or None, if no run succeeded."""

    message_id: str
    row: AuditedRun | None

    @property
    def succeeded(self) -> bool:
        """Whether the run left a row that is no failure."""
        return self.row is not None and self.row.status != "FAILED"

    @property
    def is_hopeless(self) -> bool:
        """Whether another delivery of the same message would fail in the same way."""
        return self.row is not None and (self.row.error_message or "").startswith(HOPELESS)

    @property
    def error(self) -> str | None:
        """Why no run succeeded; None if one did."""
        if self.succeeded:
            return None
        if self.row is None:
            return f"no run reported on message {self.message_id} in time; see `velocast dead-letters list`"
        return self.row.error_message or "failed without a message"


def publish_and_wait(
    run: Run[JobSettings],
    topic: str,
    request: RunRequest,
    *,
    patience: timedelta,
    sleep: Sleep = time.sleep,
    on_failure: Callable[[str], object] | None = None,
) -> AwaitedRun:
    """Publish one request and wait until a run of it succeeded, failed beyond hope, or `patience` is over.

    A run that fails is tried again by Pub/Sub, so waiting goes on; on_failure is called with its error, once for each
    error. Raises WarehouseError, and what `Publisher.publish` raises.
    """
    message_id = run.runtime.publisher.publish(topic, request)
    component = topic.removeprefix("velocast-")
    # A request for a past day is audited under that day.
    since = run.as_of - LOOK_BACK if request.as_of is None else BEGINNING
    deadline = time.monotonic() + patience.total_seconds()
    pause, told = FIRST_PAUSE_SECONDS, ""
    while True:
        rows = read_runs(run.warehouse, since=since, component=component, execution_id=message_id)
        awaited = AwaitedRun(message_id, _decisive(rows, message_id))
        if awaited.succeeded or awaited.is_hopeless or time.monotonic() > deadline:
            return awaited
        if on_failure and awaited.error and awaited.row and awaited.error != told:
            told = awaited.error
            on_failure(told)
        sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _decisive(rows: list[AuditedRun], message_id: str) -> AuditedRun | None:
    """Return a row that says the run succeeded, else one that says it failed: a later try may mend an earlier one."""
    own = [row for row in rows if row.execution_id == message_id]
    return min(own, key=lambda row: row.status == "FAILED", default=None)
