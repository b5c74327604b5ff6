"""What a use case is handed, and the one handler around every Pub/Sub function and job.

A use case is `def use_case(request, run) -> list[AuditRow]`. The handler around it reads the message, settles `as_of`,
stores the audit rows, flushes the gauges, and on any error stores a FAILED row and raises it again, so that Pub/Sub
delivers the message once more and in the end dead-letters it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.pubsub import Publisher
from velocast.core import telemetry
from velocast.core.audit_row import AuditRow
from velocast.core.datetimes import resolve_as_of, rfc3339
from velocast.core.errors import EventError, VelocastError
from velocast.core.notices import Notice, RunFailed
from velocast.core.requests import CloudEventLike, Delivery, Message, unpack
from velocast.core.settings import Settings
from velocast.usecases import audit

SettingsT = TypeVar("SettingsT", bound=Settings)
MessageT = TypeVar("MessageT", bound=Message)


class Runtime(Generic[SettingsT]):
    """One process: its settings, and clients made at first use and kept between requests."""

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
    """One run: the moment it stands at (`as_of`, UTC), who asked for it, and the runtime's clients."""

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

    def tell(self, notice: Notice) -> None:
        """Publish a notice on the alerts topic, from where `notify` takes it to Discord."""
        self.runtime.publisher.publish(self.settings.alerts_topic, notice)  # type: ignore[attr-defined]


UseCase = Callable[[MessageT, Run[SettingsT]], list[AuditRow]]


def handle(
    event: CloudEventLike,
    kind: type[MessageT],
    runtime: Runtime[SettingsT],
    use_case: UseCase[MessageT, SettingsT],
    *,
    event_type: str,
) -> None:
    """Run a use case for one Pub/Sub event. Raises whatever it raised, after a FAILED audit row."""
    delivery = unpack(event)
    as_of = delivery.published_at
    try:
        request = delivery.read(kind)
        as_of = resolve_as_of(getattr(request, "as_of", None), delivery.published_at)
        run = Run(runtime, as_of, delivery.message_id)
        perform(run, lambda: use_case(request, run))
    except Exception as exc:  # the outermost handler: reports, and fails
        _report_failure(runtime, delivery, as_of, event_type, exc)
        raise


def perform(run: Run[SettingsT], work: Callable[[], list[AuditRow]]) -> list[AuditRow]:
    """Do the work of one run, store its audit rows, flush its gauges and log how it went."""
    started = time.monotonic()
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


def _report_failure(
    runtime: Runtime[SettingsT],
    delivery: Delivery,
    as_of: datetime,
    event_type: str,
    exc: Exception,
) -> None:
    code = exc.code if isinstance(exc, VelocastError) else type(exc).__name__
    telemetry.log(
        "ERROR",
        f"{runtime.component} failed: {exc}",
        execution_id=delivery.message_id,
        event=event_type,
        status="FAILED",
        code=code,
    )
    audit.write(
        runtime.warehouse,
        [
            AuditRow(
                event_id=f"{runtime.component}:{delivery.message_id}:failed",
                timestamp=as_of,
                event_type=event_type,
                as_of=as_of,
                execution_id=delivery.message_id,
                status="FAILED",
                error_message=f"{code}: {exc}",
                details={"payload": delivery.text} if isinstance(exc, EventError) else {},
            )
        ],
        environment=runtime.settings.environment,
    )
    if topic := getattr(runtime.settings, "alerts_topic", None):
        runtime.publisher.publish(
            topic,
            RunFailed(
                event_id=f"{runtime.component}:{delivery.message_id}:failed",
                occurred_at=rfc3339(as_of),
                component=runtime.component,
                error=f"{code}: {exc}",
                execution_id=delivery.message_id,
            ),
        )
