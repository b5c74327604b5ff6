"""Prometheus metrics of a serving process: requests, their duration, and the age of its snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from velocast.usecases.serving.snapshot_index import SnapshotIndex
from velocast.usecases.snapshot_format import Basis

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)


class ServingMetrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "velocast_http_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "velocast_http_request_seconds",
            "Seconds to answer a request.",
            ["route"],
            buckets=BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._forecasts = Counter(
            "velocast_forecasts_served",
            "Forecast hours served, by basis.",
            ["basis"],
            registry=self._registry,
        )
        self._age = Gauge(
            "velocast_snapshot_age_seconds",
            "Seconds since the snapshot in memory was published.",
            registry=self._registry,
        )
        self._generation = Gauge(
            "velocast_snapshot_generation",
            "Generation of the snapshot in memory; 0 when there is none.",
            registry=self._registry,
        )

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the URL rule: paths as labels would be unbounded."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_forecasts(self, bases: Mapping[Basis, int]) -> None:
        """Add numbers of forecast hours by basis."""
        for name, count in bases.items():
            self._forecasts.labels(name).inc(count)

    def text(self, index: SnapshotIndex | None, generation: int, now: datetime) -> bytes:
        """Return all metrics in Prometheus text format."""
        self._generation.set(generation)
        if index is not None:
            self._age.set((now - index.snapshot.published_at).total_seconds())
        return generate_latest(self._registry)
