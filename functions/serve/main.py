"""The function `serve`: the JSON API, its OpenAPI document and the dashboard page."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from velocast.adapters.gcs import Objects
from velocast.core.settings import ServeSettings
from velocast.usecases.serving.app import create_app

SETTINGS = ServeSettings.load()
# An HTTP request carries no event time, so the service is given the system clock.
APP = create_app(
    SETTINGS,
    Objects(SETTINGS.project, SETTINGS.models_bucket),
    now=lambda: datetime.now(UTC),
)


@functions_framework.http
def serve(request: Request) -> Response:
    """Pass a request of any method and path to the application."""
    # The framework reads the body again after the response, so the application gets a copy.
    body = request.get_data()
    own = {
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_TRANSFER_ENCODING": "",
    }
    return Response.from_app(APP, request.environ | own, buffered=True)
