"""Telemetry: log lines in Cloud Logging's format, and gauges that reach the collector."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.resourcedetector.gcp_resource_detector._mapping import get_monitored_resource
from opentelemetry.sdk.resources import Resource

from velocast.core import telemetry


def test_a_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure_logging("fetch")
    telemetry.log("WARNING", "city is late", execution_id="e1", age_hours=50)
    line = json.loads(capsys.readouterr().out)
    written = datetime.fromisoformat(line.pop("time"))
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert line == {
        "severity": "WARNING",
        "message": "city is late",
        "execution_id": "e1",
        "age_hours": 50,
        "logging.googleapis.com/labels": {"component": "fetch", "execution_id": "e1"},
    }


def test_every_line_of_a_run_carries_its_execution(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure_logging("fetch")
    with telemetry.labelled_execution("m7"):
        telemetry.log("WARNING", "counter names not updated")
    telemetry.log("INFO", "idle")
    inside, outside = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    labels = "logging.googleapis.com/labels"
    assert inside[labels] == {"component": "fetch", "execution_id": "m7"}
    assert outside[labels] == {"component": "fetch"}


def test_an_exception_brings_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure_logging("fetch")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("velocast").exception("failed")
    assert "ValueError: boom" in json.loads(capsys.readouterr().out)["stack_trace"]


def test_only_declared_metrics_can_be_set() -> None:
    metrics = telemetry.Metrics("none", project="p")
    with pytest.raises(KeyError, match="'bike/speed' is not declared"):
        metrics.set("bike/speed", 1)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def test_flush_sends_the_last_value_of_every_gauge_as_a_float(collector: list[bytes]) -> None:
    metrics = telemetry.Metrics("otlp", project="p")
    metrics.set("bike/model_r2", 1, role="champion", test="current")
    metrics.set("bike/model_r2", 0.5, role="champion", test="current")
    metrics.set("bike/drift_detected", True)
    assert not collector, "nothing may leave before flush()"
    metrics.flush()
    request = ExportMetricsServiceRequest.FromString(collector[0])
    sent = {
        m.name: [
            (p.as_double, {a.key: a.value.string_value for a in p.attributes})
            for p in m.gauge.data_points
        ]
        for m in request.resource_metrics[0].scope_metrics[0].metrics
    }
    assert sent == {
        "bike/model_r2": [(0.5, {"role": "champion", "test": "current"})],
        "bike/drift_detected": [(1.0, {})],
    }


def test_every_process_writes_the_same_series(collector: list[bytes]) -> None:
    """Otherwise alert rules, which look back over days, would see a separate series for each run."""
    for _ in range(2):
        metrics = telemetry.Metrics("otlp", project="p")
        metrics.set("bike/forecast_r2", 0.8)
        metrics.flush()
    sent = [
        {a.key: a.value.string_value for a in resource.resource.attributes}
        for request in map(ExportMetricsServiceRequest.FromString, collector)
        for resource in request.resource_metrics
    ]
    assert sent[0] == sent[1]
    stored = get_monitored_resource(Resource(sent[0]))
    assert stored is not None
    assert (stored.type, stored.labels) == (
        "generic_task",
        {"location": "global", "namespace": "velocast", "job": "velocast", "task_id": "velocast"},
    )
