"""What happens when BigQuery fails: how long a call is tried again, and how its failure is reported.

By default the client retries a 500 for ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from velocast.core.errors import WarehouseError

CALL_SECONDS = 30.0  # one HTTP request; every function has time for a failed call, its notice and its audit row
RETRY_SECONDS = 30.0  # the retries of one request
DROP_SECONDS = 10.0  # dropping a temporary table, which would expire anyway
JOB_SECONDS = 300.0  # one job


def call_bounds() -> dict[str, Any]:
    """Return the timeout and the retries of one request, as named arguments of the client."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return {"timeout": CALL_SECONDS, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}


def job_retry() -> Any:
    """Return how long a failed job is started again; a service that does not answer has been asked long enough."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY, job_retry_reasons

    def failed(exc: BaseException) -> bool:
        errors = exc.errors if isinstance(exc, GoogleAPICallError) else ()
        return any(error.get("reason") in job_retry_reasons for error in errors)

    return DEFAULT_JOB_RETRY.with_timeout(RETRY_SECONDS).with_predicate(failed)


def read_retry() -> Any:
    """Return how long an unavailable Storage Read API is asked again; the client's own default is up to a day."""
    from google.api_core.exceptions import ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    return Retry(predicate=if_exception_type(ServiceUnavailable), timeout=RETRY_SECONDS)


@contextmanager
def reporting(doing: str) -> Iterator[None]:
    """Turn the clients' exceptions into a WarehouseError that says what was being done."""
    from concurrent.futures import TimeoutError as FutureTimeout

    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, FutureTimeout) as exc:
        # A RetryError only says how long was tried; its cause says what failed.
        told = getattr(exc, "cause", None) or exc
        message = getattr(told, "message", None) or str(told) or type(told).__name__
        raise WarehouseError(f"{doing}: {message}") from exc
