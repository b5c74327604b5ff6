"""Which requests under /v1 are admitted: API key, rate limit, size, type and syntax of the body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from flask import Response, g, request

from velocast.usecases.serving import api_keys
from velocast.usecases.serving.problems import BODY_TOO_LARGE, MAX_BYTES, RequestRefused
from velocast.usecases.serving.service import service

BODY_READING = "velocast.body_reading"


@dataclass
class BodyReading:
    """What the gateway and the routes tell each other about a request's body, in the WSGI environment.

    admitted: the rate limit headers of the admitted request, whose body may be read; None before. refused: why reading
    the body failed.
    """

    admitted: dict[str, str] | None = None
    refused: RequestRefused | None = None


def admit() -> Response | None:
    """Check the API key, the rate limit, and the declared size and type of the body; then that the body is JSON.

    The gateway calls twice for a request with a body: without the body, to learn whether to read it (the response is
    then not sent), and with it.
    """
    reading: BodyReading | None = request.environ.get(BODY_READING)
    if reading is None or reading.admitted is None:
        given = request.headers.get("X-API-Key")
        name = api_keys.authenticate(service().keys, service().wrong_keys, given)
        g.rate_headers = service().limiter.take(name, service().now())
        if request.method == "POST":
            _check_headers()
        if reading is not None:
            reading.admitted = g.rate_headers
            g.body_pending = True
            return Response()
    else:
        g.rate_headers = reading.admitted
        if reading.refused is not None:
            raise reading.refused
    if request.method == "POST":
        _check_json()
    return None


def _check_headers() -> None:
    if (request.content_length or 0) > MAX_BYTES:
        raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, BODY_TOO_LARGE)
    if not request.is_json:
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body's content type is {request.mimetype or 'missing'}; send Content-Type: application/json.",
        )


def _check_json() -> None:
    try:
        json.loads(request.get_data())
    except (ValueError, RecursionError) as exc:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, f'The body is not JSON ({exc}); send {{"records": [...]}}.'
        ) from exc
