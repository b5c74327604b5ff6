"""The HTTP application: routes, API keys, rate limits and problem+json errors. Imports no BigQuery or model library."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version

from flask import Response, g, jsonify, request
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from velocast.adapters.gcs import Objects
from velocast.core import telemetry
from velocast.core.settings import ServeSettings
from velocast.usecases.serving import metrics as serving_metrics
from velocast.usecases.serving import problems
from velocast.usecases.serving.api_keys import KeyFile, Limiter, WrongKeys
from velocast.usecases.serving.api_types import Health, Problem, Readiness
from velocast.usecases.serving.pages import PAGE, STRICT
from velocast.usecases.serving.problems import HEADERS, MAX_BYTES
from velocast.usecases.serving.routes import SECURITY_SCHEME, V1
from velocast.usecases.serving.service import EXTENSION, Service, json_response, service
from velocast.usecases.serving.snapshot_holder import CHECK_SECONDS, SnapshotHolder

DESCRIPTION = (
    "Hourly forecasts of the number of bikes at every counter of a city, with 90 % intervals. "
    "Times are RFC 3339; an hour is identified by its start. Errors are application/problem+json (RFC 9457)."
)
FILES_OF_A_VIEW = 5
OPERATIONS = Tag(name="operations", description="For operators of the service; no API key needed.")


def create_app(
    settings: ServeSettings,
    objects: Objects,
    *,
    now: Callable[[], datetime],
    check_seconds: float = CHECK_SECONDS,
) -> OpenAPI:
    """Build the application.

    objects: the models bucket, where `predict` publishes the snapshot; it is checked every `check_seconds`.
    now: returns the time of a request, timezone-aware.
    Raises SettingsError when the file of API keys cannot be read or contains no key.
    """
    telemetry.configure_logging("serve")
    app = OpenAPI(
        "velocast.usecases.serving.app",
        info=Info(title="Velocast", version=version("velocast"), description=DESCRIPTION),
        security_schemes={SECURITY_SCHEME: {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        validation_error_model=Problem,
        validation_error_callback=problems.invalid_request,
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    app.extensions[EXTENSION] = Service(
        holder=SnapshotHolder(objects, check_seconds=check_seconds),
        keys=KeyFile(settings.api_keys_file),
        limiter=Limiter(settings.requests_per_minute),
        wrong_keys=WrongKeys(settings.requests_per_minute),
        metrics=serving_metrics.ServingMetrics(),
        now=now,
        public_reading=settings.public_site,
        reading_limiter=Limiter(settings.requests_per_minute * FILES_OF_A_VIEW),
        fresh_seconds=settings.thresholds.fresh_hours * 3600,
    )
    problems.register_error_handlers(app)
    app.register_blueprint(PAGE)
    app.register_api(V1)
    _add_operations(app)
    _add_hooks(app)
    return app


def _add_operations(app: OpenAPI) -> None:
    app.get("/healthz", tags=[OPERATIONS], responses={"200": Health})(healthz)
    app.get("/readyz", tags=[OPERATIONS], responses={"200": Readiness})(readyz)
    app.get("/metrics", tags=[OPERATIONS], responses={"200": _text("Prometheus text")})(metrics)
    # Cloud Run reserves paths that end in z; these aliases reach the service there too.
    app.add_url_rule("/health", "health", healthz)
    app.add_url_rule("/ready", "ready", readyz)
    app.add_url_rule("/openapi.json", "openapi", lambda: jsonify(app.api_doc))


def _text(description: str) -> dict[str, object]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


def healthz() -> Response:
    """Liveness: the process answers."""
    return json_response(Health(version=version("velocast")))


def readyz() -> Response:
    """Readiness: a snapshot is loaded, and its age; 503 until the first one is published."""
    index = service().index()
    now = service().now()
    age_seconds = (now - index.snapshot.published_at).total_seconds()
    return json_response(
        Readiness(
            origin_at=index.snapshot.origin_at,
            published_at=index.snapshot.published_at,
            age_seconds=age_seconds,
            fresh=age_seconds <= service().fresh_seconds,
            stale=index.current_hour(now)[1],
            counters=len(index.snapshot.counters),
        )
    )


def metrics() -> Response:
    """Metrics of this process, in Prometheus text format."""
    holder = service().holder
    text = service().metrics.text(holder.current(), holder.generation, service().now())
    return Response(text, content_type=serving_metrics.CONTENT_TYPE)


def _add_hooks(app: OpenAPI) -> None:
    app.before_request(_start)
    app.after_request(_finish)


def _start() -> None:
    g.started = time.perf_counter()


def _finish(response: Response) -> Response:
    if g.get("body_pending"):
        return response  # not sent: the gateway reads the body and calls again
    route = request.url_rule.rule if request.url_rule else "(none)"
    seconds = time.perf_counter() - g.started
    service().metrics.count_request(route, request.method, response.status_code, seconds)
    for name, value in {**HEADERS, **g.get("rate_headers", {})}.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", STRICT)
    if request.path.startswith("/v1") and (age := service().holder.age_seconds) is not None:
        response.headers["Age"] = str(int(age))
    response.headers.setdefault(
        "Cache-Control", "no-store" if request.path.startswith("/v1") else "no-cache"
    )
    return response
