"""What a use case receives, and how every run of a function or job begins and ends.

A use case is `def use_case(request, run) -> list[AuditRow]`. `handle` runs one for a Pub/Sub event, `perform` runs any
piece of work; both store the audit rows, flush the gauges and log the result. A run that fails is reported by
`report_failure`, whatever it was: an ERROR line, a FAILED audit row and a notice. The error is then raised again, so
that Pub/Sub delivers the message once more and dead-letters it in the end, or the job ends with a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.pubsub import Publisher
from velocast.core import telemetry
from velocast.core.audit_row import AuditRow, EventType
from velocast.core.datetimes import resolve_as_of, rfc3339
from velocast.core.errors import EventError, VelocastError, shown
from velocast.core.notices import Notice, RunFailed
from velocast.core.requests import CloudEventLike, Message, RunRequest, unpack
from velocast.core.settings import ForecastSettings, JobSettings, NotifyingSettings, Settings
from velocast.usecases import audit

# Covariant: a use case that needs no more than Settings can be given a run with any of them.
SettingsT = TypeVar("SettingsT", bound=Settings, covariant=True)
MessageT = TypeVar("MessageT", bound=Message)


class Runtime(Generic[SettingsT]):
    """One process: its settings, and clients created at first use and kept between requests."""

    def __init__(self, settings: SettingsT, *, component: str) -> None:
        telemetry.configure_logging(component)
        self.settings = settings
        self.component = component

    @cached_property
    def warehouse(self) -> Warehouse:
        """BigQuery."""
        return Warehouse(self.settings.project, self.settings.location)

    @cached_property
    def publisher(self) -> Publisher:
        """Pub/Sub."""
        return Publisher(self.settings.project)

    @cached_property
    def metrics(self) -> telemetry.Metrics:
        """Gauges, flushed at the end of each run."""
        return telemetry.Metrics(self.settings.metrics_exporter, project=self.settings.project)


@dataclass(frozen=True)
class Run(Generic[SettingsT]):
    """One run: the moment as of which it works (`as_of`, UTC), who asked for it, and the runtime's clients."""

    runtime: Runtime[SettingsT]
    as_of: datetime
    execution_id: str

    @property
    def settings(self) -> SettingsT:
        """The component's settings."""
        return self.runtime.settings

    @property
    def warehouse(self) -> Warehouse:
        """BigQuery."""
        return self.runtime.warehouse

    @property
    def metrics(self) -> telemetry.Metrics:
        """Gauges of this run."""
        return self.runtime.metrics

    def publish_notice(self: Run[NotifyingSettings], notice: Notice) -> None:
        """Publish a notice on the alerts topic, from where `notify` sends it to people."""
        self.runtime.publisher.publish(self.settings.alerts_topic, notice)


# `predict` and the jobs forecast alike.
ForecastRun = Run[ForecastSettings] | Run[JobSettings]
UseCase = Callable[[MessageT, Run[SettingsT]], list[AuditRow]]


def handle(
    event: CloudEventLike,
    kind: type[MessageT],
    runtime: Runtime[SettingsT],
    use_case: UseCase[MessageT, SettingsT],
    *,
    event_type: EventType,
) -> None:
    """Run a use case for one Pub/Sub event. Raises whatever it raised, after the failure was reported."""
    delivery = unpack(event)
    run = Run(runtime, delivery.published_at, delivery.message_id)
    try:
        request = delivery.read(kind)
        asked = request.as_of if isinstance(request, RunRequest) else None
        as_of = resolve_as_of(asked, delivery.published_at)
        run = Run(runtime, as_of, delivery.message_id)
        perform(run, lambda: use_case(request, run))
    except Exception as exc:  # the outermost handler: reports, and fails
        details = {"payload": shown(delivery.text)} if isinstance(exc, EventError) else {}
        report_failure(run, exc, event_type=event_type, details=details)
        raise


def perform(run: Run[SettingsT], work: Callable[[], list[AuditRow]]) -> list[AuditRow]:
    """Do the work of one run, store its audit rows, flush its gauges and log the result."""
    started = time.monotonic()
    with telemetry.labelled_execution(run.execution_id):
        rows = work()
    seconds = round(time.monotonic() - started, 3)
    rows = [row.model_copy(update={"details": row.details | {"seconds": seconds}}) for row in rows]
    audit.write(run.warehouse, rows, environment=run.settings.environment)
    run.metrics.flush()
    for row in rows:
        telemetry.log(
            "INFO",
            f"{run.runtime.component} {row.event_type} {row.status}",
            execution_id=run.execution_id,
            as_of=rfc3339(run.as_of),
            event=row.event_type,
            status=row.status,
            decision=row.deployment_decision or row.retrain_decision,
            details=row.details,
        )
    return rows


def describe_error(error: Exception) -> str:
    """Return an error as `code: message`, as audit rows and notices show it; a long message is cut."""
    return shown(f"{_code(error)}: {error}")


def report_failure(
    run: Run[SettingsT],
    error: Exception,
    *,
    event_type: EventType,
    details: dict[str, Any],
    notify: bool = True,
) -> None:
    """Log an error, publish a notice where the component has a topic, and store a FAILED audit row with these details.

    The notice comes first: people must be told also when BigQuery is what failed. Raises nothing, so that the caller
    can raise the error itself: a notice or a row that cannot be written is logged as an ERROR.
    notify: False where somebody else tells people about this run (the workflow, about its jobs).
    """
    component, settings = run.runtime.component, run.settings
    telemetry.log(
        "ERROR",
        shown(f"{component} failed: {error}"),
        execution_id=run.execution_id,
        event=event_type,
        status="FAILED",
        code=_code(error),
    )
    event_id = f"{component}:{run.execution_id}:failed"
    if notify and isinstance(settings, NotifyingSettings):
        notice = RunFailed(
            event_id=event_id,
            occurred_at=rfc3339(run.as_of),
            component=component,
            error=describe_error(error),
            execution_id=run.execution_id,
        )
        topic = settings.alerts_topic
        with _logged(run, "its notice could not be published"):
            run.runtime.publisher.publish(topic, notice)
    row = AuditRow(
        event_id=event_id,
        timestamp=run.as_of,
        event_type=event_type,
        as_of=run.as_of,
        execution_id=run.execution_id,
        status="FAILED",
        error_message=describe_error(error),
        details=details,
    )
    with _logged(run, "its audit row could not be stored"):
        audit.write(run.warehouse, [row], environment=settings.environment)


@contextmanager
def _logged(run: Run[SettingsT], what: str) -> Iterator[None]:
    """Log an error of reporting in place of raising it, since it would hide the error that is reported."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001  whatever fails here, the run's own error is raised
        telemetry.log(
            "ERROR",
            shown(f"{run.runtime.component} failed, and {what}: {exc}"),
            execution_id=run.execution_id,
            code=_code(exc),
        )


def _code(error: Exception) -> str:
    return error.code if isinstance(error, VelocastError) else type(error).__name__
