"""The running service: what routes and pages need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import cast

from flask import Response, current_app
from pydantic import BaseModel

from velocast.usecases.serving import api_keys
from velocast.usecases.serving.metrics import ServingMetrics
from velocast.usecases.serving.problems import RequestRefused
from velocast.usecases.serving.snapshot_holder import SnapshotHolder
from velocast.usecases.serving.snapshot_index import SnapshotIndex

EXTENSION = "velocast"
NO_SNAPSHOT = (
    "No forecasts are published yet. Ask the operator to run predict "
    "(gcloud pubsub topics publish velocast-predict --message='{}'), then try again."
)


@dataclass(frozen=True)
class Service:
    """What the routes need. `now` returns the time of a request, since an HTTP request carries no event time.

    fresh_seconds: forecasts published longer ago are not fresh. public_reading: the page and its data need no key;
    their requests are limited on their own, because a page loads several files.
    """

    holder: SnapshotHolder
    keys: api_keys.KeyFile
    limiter: api_keys.Limiter
    wrong_keys: api_keys.WrongKeys
    metrics: ServingMetrics
    now: Callable[[], datetime]
    fresh_seconds: float
    public_reading: bool
    reading_limiter: api_keys.Limiter

    def index(self) -> SnapshotIndex:
        """Return the current snapshot's index. Raises RequestRefused (503), with the reason, when there is none."""
        index = self.holder.current()
        if index is None:
            detail = self.holder.trouble or NO_SNAPSHOT
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "30"})
        return index


def service() -> Service:
    """Return the service of the running application."""
    return cast(Service, current_app.extensions[EXTENSION])


def json_response(answer: BaseModel) -> Response:
    """Return a response with a JSON body."""
    return Response(answer.model_dump_json(), content_type="application/json")
