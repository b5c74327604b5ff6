"""The function `serve`: the JSON API, its OpenAPI document and the dashboard page."""

from __future__ import annotations

from datetime import UTC, datetime

import functions_framework.aio
from starlette.requests import Request

from velocast.adapters.gcs import Objects, read_address
from velocast.core.settings import ServeSettings
from velocast.usecases.serving.app import create_app
from velocast.usecases.serving.server.gateway import Gateway
from velocast.usecases.serving.server.http_protocol import use_serving_protocol

SETTINGS = ServeSettings.load(read_address)
# An HTTP request carries no event time, so the service is given the system clock.
GATEWAY = Gateway(
    create_app(
        SETTINGS,
        Objects(SETTINGS.project, SETTINGS.models_bucket),
        now=lambda: datetime.now(UTC),
    )
)
use_serving_protocol()


@functions_framework.aio.http  # type: ignore[arg-type]  # it annotates Response, and calls any ASGI application
async def serve(_request: Request) -> Gateway:
    """Pass a request of any method and path to the gateway: the framework calls what this returns as ASGI."""
    return GATEWAY
