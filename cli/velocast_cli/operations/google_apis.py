"""Clients of the APIs that only an operator's command calls: Cloud Run, Cloud Logging, Cloud SQL.

They are Google's discovery clients, whose methods come from Google's own description of each API. Each talks to the
real service unless the variable GOOGLE_APIS_EMULATOR_HOST names another address (a URL). The library logs in as
Google's other clients do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

from velocast.core.errors import VelocastError

VERSIONS = {"run": "v2", "logging": "v2", "sqladmin": "v1"}
RETRIES = 3  # of one request, after 429, 5xx or a broken connection
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.3, 5.0

Resource = dict[str, Any]


class GoogleApiRefused(VelocastError):
    """An API of Google Cloud refused a request, did not answer, or ended an operation with an error."""

    code: ClassVar[str] = "google_api"


def google_api(name: str) -> Any:
    """Return a discovery client of one of VERSIONS. Use it in a `with` block, which closes its connections."""
    from googleapiclient import discovery

    host = os.environ.get("GOOGLE_APIS_EMULATOR_HOST")
    chosen: Resource = {}
    if host:
        from google.auth.credentials import AnonymousCredentials

        chosen = {
            "credentials": AnonymousCredentials(),  # type: ignore[no-untyped-call]
            "client_options": {"api_endpoint": host},
        }
    return discovery.build(
        name, VERSIONS[name], static_discovery=True, cache_discovery=False, **chosen
    )


def call(request: Any, doing: str, *, retries: int | None = None) -> Resource:
    """Send a request of a discovery client and return the answer; try it RETRIES times again unless told otherwise.

    Raises GoogleApiRefused.
    """
    with _reporting(doing):
        answer: Resource = request.execute(num_retries=RETRIES if retries is None else retries)
    return answer


def wait_for_operation(
    read: Callable[[], Resource],
    doing: str,
    *,
    patience: timedelta,
    sleep: Callable[[float], None] = time.sleep,
) -> Resource:
    """Read an operation until it is done and return its response. Raises GoogleApiRefused, also after `patience`."""
    deadline, pause = time.monotonic() + patience.total_seconds(), FIRST_PAUSE_SECONDS
    while True:
        operation = read()
        if operation.get("done") or operation.get("status") == "DONE":
            break
        if time.monotonic() > deadline:
            raise GoogleApiRefused(f"{doing}: {operation.get('name')} is not done after {patience}")
        sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
    if error := operation.get("error"):
        raise GoogleApiRefused(f"{doing}: {error.get('message') or error}")
    response: Resource = operation.get("response") or {}
    return response


@contextmanager
def _reporting(doing: str) -> Iterator[None]:
    from google.auth.exceptions import GoogleAuthError
    from googleapiclient.errors import Error, HttpError
    from httplib2 import HttpLib2Error

    try:
        yield
    except HttpError as exc:
        raise GoogleApiRefused(f"{doing}: {exc.status_code} {exc.reason}") from exc
    except (Error, HttpLib2Error, GoogleAuthError, OSError) as exc:
        raise GoogleApiRefused(f"{doing}: {exc or type(exc).__name__}") from exc
