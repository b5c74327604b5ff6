"""The one error that every emulated service raises to refuse a request."""

from __future__ import annotations

_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    416: "OUT_OF_RANGE",
}


class GoogleApiError(Exception):
    """A refusal, as Google's API would give it: HTTP `code`, message and, in older APIs, a `reason`.

    The code is never 500 or above, because gcloud retries such an answer for half a minute. rest.py turns the error
    into an HTTP response, grpc_handlers.py into a gRPC status.
    """

    def __init__(self, code: int, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def status(self) -> str:
        """Google's name for the code, which is also the name of the gRPC status."""
        return _STATUS[self.code]
