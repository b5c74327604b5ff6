"""Structured logs in Cloud Logging's field names, and gauges through OpenTelemetry.

Results of functions and jobs are gauges, flushed once when the work is done. Counters of short-lived instances could
not be summed, and Cloud Monitoring rejects two points of a series within seconds of each other.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

Exporter = Literal["gcp_monitoring", "otlp", "none"]
METRIC_PREFIX = "custom.googleapis.com"
FLUSH_TIMEOUT_MS = 10_000
# A gauge describes the system, not the process that sets it, so all processes write to one series. With the random
# instance id that the SDK would add, each run would have a series of its own, and alert rules would still see the
# values of earlier runs beside the newest.
RESOURCE = {
    "service.namespace": "velocast",
    "service.name": "velocast",
    "service.instance.id": "velocast",
}

METRICS = frozenset(
    {
        "bike/records_ingested",
        "bike/records_rejected",
        "bike/newest_count_age_seconds",
        "bike/forecasts_generated",
        "bike/forecast_rmse",
        "bike/forecast_mae",
        "bike/forecast_r2",
        "bike/forecast_skill",
        "bike/forecast_skill_reference",
        "bike/forecast_relative_error",
        "bike/interval_coverage",
        "bike/model_r2",
        "bike/model_improvement_delta",
        "bike/drift_share",
        "bike/drifted_features",
        "bike/drift_detected",
        "bike/training_seconds",
        "bike/champion_age_seconds",
        "bike/retrain_lease_seconds",
    }
)


class _CloudFormatter(logging.Formatter):
    """Format each record as one line of JSON, as Cloud Logging reads it from standard output."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["stack_trace"] = self.formatException(record.exc_info)
        # An escaped lone surrogate, as bad input can hold, could not be written to standard output.
        line = json.dumps(entry, default=str, ensure_ascii=False)
        return line.encode("utf-8", "backslashreplace").decode("utf-8")


def configure_logging(component: str) -> None:
    """Send the library's log records to standard output as JSON, labelled with the component's name."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_CloudFormatter())
    logger = logging.getLogger("velocast")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    _labels["component"] = component


_labels: dict[str, str] = {}
_execution: ContextVar[str | None] = ContextVar("execution", default=None)


@contextmanager
def labelled_execution(execution_id: str) -> Iterator[None]:
    """Label every line that this thread logs in the block with an execution's id, so that its log can be found."""
    token = _execution.set(execution_id)
    try:
        yield
    finally:
        _execution.reset(token)


def log(severity: Literal["INFO", "WARNING", "ERROR"], message: str, **fields: Any) -> None:
    """Write one structured log line. `fields` become its payload, `execution_id` and the component its labels."""
    execution_id = fields.get("execution_id") or _execution.get()
    labels = _labels | ({"execution_id": str(execution_id)} if execution_id else {})
    level = logging.getLevelNamesMapping()[severity]
    extra = {"fields": fields | {"logging.googleapis.com/labels": labels}}
    logging.getLogger("velocast").log(level, message, extra=extra)


class Metrics:
    """Gauges of one process: `set` stores a value, `flush` exports all values that were set."""

    def __init__(self, exporter: Exporter, *, project: str) -> None:
        # Importing the SDK takes 0.2 s; `serve` only logs and starts without it.
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource

        resource = Resource.create(RESOURCE)
        self._readers = [
            # The interval never elapses: only flush() exports.
            PeriodicExportingMetricReader(e, export_interval_millis=float("inf"))
            for e in _exporters(exporter, project)
        ]
        self._provider = MeterProvider(
            metric_readers=self._readers, resource=resource, shutdown_on_exit=False
        )
        self._meter = self._provider.get_meter("velocast")
        self._gauges: dict[str, Any] = {}

    def set(self, name: str, value: float | int | bool, **labels: str) -> None:
        """Set a gauge of METRICS. Raises KeyError for any other name, because alert rules read only these."""
        if name not in METRICS:
            raise KeyError(f"metric {name!r} is not declared in telemetry.METRICS")
        if name not in self._gauges:
            self._gauges[name] = self._meter.create_gauge(name)
        # The first value fixes the type of a descriptor in Cloud Monitoring, so all values are sent as floats.
        self._gauges[name].set(float(value), labels)

    def flush(self) -> None:
        """Export every gauge that was set. The exporter logs a failed export; no error is raised."""
        self._provider.force_flush(FLUSH_TIMEOUT_MS)


def _exporters(name: Exporter, project: str) -> list[MetricExporter]:
    if name == "none":
        return []
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return [OTLPMetricExporter()]
    from opentelemetry.exporter.cloud_monitoring import CloudMonitoringMetricsExporter

    return [
        CloudMonitoringMetricsExporter(
            project_id=project, prefix=METRIC_PREFIX, add_unique_identifier=False
        )
    ]
