"""Receives OpenTelemetry metrics and serves the newest value of every series as Prometheus text."""

from __future__ import annotations

import gzip
import math
import re
import threading
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.documents import Document, DocumentStore

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TYPES = {"gauge": "gauge", "sum": "counter", "histogram": "histogram"}


class MetricsReceiver:
    """The newest point of every series (name and labels); kept in `folder` across restarts."""

    def __init__(self, folder: Path) -> None:
        self._records = DocumentStore(folder)
        self._lock = threading.Lock()

    def receive(self, content: bytes) -> int:
        """Accept an ExportMetricsServiceRequest (protobuf) and return its number of points.

        Raises DecodeError if the bytes are anything else.
        """
        request = ExportMetricsServiceRequest.FromString(content)
        metrics = [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]
        with self._lock:
            return sum(self._take(metric) for metric in metrics)

    def _take(self, metric: Any) -> int:
        kind = metric.WhichOneof("data")
        if kind not in _TYPES:
            return 0
        name = prometheus_name(metric.name)
        known = self._records.get(name) or {"name": name, "series": {}}
        series: dict[str, Document] = dict(known["series"])
        points = list(getattr(metric, kind).data_points)
        for point in points:
            labels = _labels(point.attributes)
            at = int(point.time_unix_nano)
            if at >= series.get(labels, {"at": 0})["at"]:
                series[labels] = {"at": at, **_value(kind, point)}
        self._records.put(
            name, {"name": name, "type": _TYPES[kind], "help": metric.description, "series": series}
        )
        return len(points)

    def text(self) -> str:
        """Return all series in Prometheus' text format, by name and labels."""
        lines = []
        for metric in sorted(self._records.newest_first(), key=lambda m: str(m["name"])):
            lines += [
                f"# HELP {metric['name']} {metric['help']}",
                f"# TYPE {metric['name']} {metric['type']}",
            ]
            for labels, point in sorted(metric["series"].items()):
                lines += _lines(metric["name"], labels, point)
        return "\n".join(lines) + "\n"

    def routes(self) -> list[BaseRoute]:
        """Return `POST /v1/metrics` (OTLP over HTTP, protobuf) and `GET /metrics` (Prometheus)."""

        async def receive(request: Request) -> Response:
            content = await request.body()
            try:
                if request.headers.get("content-encoding") == "gzip":
                    content = gzip.decompress(content)
                await run_in_threadpool(self.receive, content)
            except (DecodeError, gzip.BadGzipFile) as exc:
                return PlainTextResponse(f"not an OTLP metrics request: {exc}", status_code=400)
            answer = ExportMetricsServiceResponse().SerializeToString()
            return Response(answer, media_type="application/x-protobuf")

        async def scrape(_request: Request) -> Response:
            return Response(self.text(), media_type=PROMETHEUS_TYPE)

        return [
            Route("/v1/metrics", receive, methods=["POST"]),
            Route("/metrics", scrape, methods=["GET"]),
        ]


def prometheus_name(name: str) -> str:
    """Return a metric's name in the form that Prometheus allows: `queue/length` becomes `queue_length`."""
    return re.sub(r"[^a-zA-Z0-9_:]", "_", name)


def _labels(attributes: Any) -> str:
    pairs = {}
    for attribute in attributes:
        value = getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        pairs[prometheus_name(attribute.key)] = escaped
    return ",".join(f'{key}="{pairs[key]}"' for key in sorted(pairs))


def _value(kind: str, point: Any) -> Document:
    if kind != "histogram":
        return {"value": float(getattr(point, point.WhichOneof("value") or "as_double"))}
    counts, total = [], 0
    for bound, count in zip([*point.explicit_bounds, math.inf], point.bucket_counts, strict=True):
        total += count
        counts.append([_number(bound), total])
    return {"sum": point.sum, "count": point.count, "buckets": counts}


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else f"{value:.17g}"


def _lines(name: str, labels: str, point: Document) -> list[str]:
    braces = f"{{{labels}}}" if labels else ""
    if "value" in point:
        return [f"{name}{braces} {_number(point['value'])}"]
    before = f"{labels}," if labels else ""
    buckets = [
        f'{name}_bucket{{{before}le="{bound}"}} {count}' for bound, count in point["buckets"]
    ]
    return [
        *buckets,
        f"{name}_sum{braces} {point['sum']:.17g}",
        f"{name}_count{braces} {point['count']}",
    ]
