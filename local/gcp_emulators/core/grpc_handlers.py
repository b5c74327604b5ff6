"""gRPC handlers made of plain functions; a GoogleApiError becomes the call's status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from gcp_emulators.core.errors import GoogleApiError


def unary_handler(
    answer: Callable[[Any], Any],
    deserialize: Callable[[bytes], Any],
    serialize: Callable[..., bytes],
) -> grpc.RpcMethodHandler:
    """Return the handler of a method with one request and one response; `answer` takes and returns messages."""

    def serve(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(request)
        except GoogleApiError as error:
            _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(
        serve, request_deserializer=deserialize, response_serializer=serialize
    )


def stream_handler(
    answer: Callable[[Iterator[Any], Callable[[], bool]], Iterator[Any]],
    deserialize: Callable[[bytes], Any],
    serialize: Callable[..., bytes],
) -> grpc.RpcMethodHandler:
    """Return the handler of a method with streams both ways.

    answer: takes the requests, and a function that tells whether the client still listens; gives the responses.
    """

    def serve(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            yield from answer(requests, context.is_active)
        except GoogleApiError as error:
            _abort(context, error)

    return grpc.stream_stream_rpc_method_handler(
        serve, request_deserializer=deserialize, response_serializer=serialize
    )


def _abort(context: grpc.ServicerContext, error: GoogleApiError) -> None:
    context.abort(grpc.StatusCode[error.status], str(error))
