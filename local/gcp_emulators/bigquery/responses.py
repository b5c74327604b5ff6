"""Corrections of bqemulator 1.4's responses: errors, timestamps and the description of the API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqemulator import server
from bqemulator.api import dependencies
from bqemulator.api.app import create_app
from bqemulator.api.middleware import GzipRequestMiddleware
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.storage import arrow_bridge
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gcp_emulators.bigquery.running_jobs import HTTP_STATUS, RunningJobs

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext

_LONGEST_REFUSAL = 100_000
_IN_SECONDS: ContextVar[bool] = ContextVar("timestamps_in_seconds", default=False)


def correct_responses(discovery_file: Path | None, default_wait: float) -> None:
    """Answer invalid SQL or data with 400: it was a 500, which clients retry for ten minutes, or an empty result.

    Also serve the description of the API, which `bq` requests first, and timestamps in seconds, which `bq` expects; the
    emulator returns microseconds even to clients that do not ask for them. default_wait: the seconds that a request for
    results waits whose client gives no time.
    """
    in_microseconds = arrow_bridge._fmt_bq_timestamp

    def format_timestamp(value: Any, arrow_type: Any, field: Any) -> Any:
        text = in_microseconds(value, arrow_type, field)
        return repr(int(text) / 1e6) if _IN_SECONDS.get() and arrow_type.tz is not None else text

    async def refuse(_request: Request, exc: Exception) -> Response:
        error = InvalidQueryError(f"{type(exc).__name__}: {exc}")
        return JSONResponse(error.to_bigquery_error(), status_code=400)

    async def describe(_request: Request) -> Response:
        if discovery_file is None:
            return Response(status_code=404)
        return FileResponse(discovery_file, media_type="application/json")

    def create_corrected_app(context: AppContext) -> ASGIApp:
        app = create_app(context)
        # The others count, log and number requests, for nobody, and took a fifth of the emulator's CPU.
        app.user_middleware = [Middleware(GzipRequestMiddleware)]
        # FastAPI calls a plain function in another thread, which costs a tenth of a small query.
        for dependency in (dependencies.get_context, dependencies.get_caller):
            app.dependency_overrides[dependency] = _asked_at_once(dependency)
        app.add_exception_handler(Exception, refuse)
        for path in ("/$discovery/rest", "/discovery/v1/apis/bigquery/v2/rest"):
            app.add_route(path, describe)
        running.append(RunningJobs(FailedQueries(app), context, default_wait))
        return TimestampsInSeconds(running[-1])

    running: list[RunningJobs] = []
    stop = server.EmulatorServer.stop

    async def stop_jobs_first(self: server.EmulatorServer) -> None:
        for jobs in running:
            await jobs.stop()
        await stop(self)

    # the server imports the function without exporting it, and takes any ASGI application from it
    server.create_app = create_corrected_app  # type: ignore[attr-defined, assignment]
    server.EmulatorServer.stop = stop_jobs_first  # type: ignore[method-assign]
    arrow_bridge._BQ_TYPE_FORMATTERS = tuple(
        (fits, format_timestamp if formats is in_microseconds else formats)
        for fits, formats in arrow_bridge._BQ_TYPE_FORMATTERS
    )


def _asked_at_once(dependency: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Any]]:
    async def ask(request: Request) -> Any:
        return dependency(request)

    return ask


class TimestampsInSeconds:
    """ASGI layer: rows have timestamps in seconds unless the request asks for microseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and scope["method"] == "GET"
        _IN_SECONDS.set(asked and b"useint64timestamp=true" not in scope["query_string"].lower())
        await self.app(scope, receive, send)


class FailedQueries:
    """ASGI layer: a failed query (jobs.query) gets an error response instead of no rows and a list of errors.

    `Client.query_and_wait` took such a response for an empty result.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (
            scope["method"] == "POST" and scope["path"].endswith("/queries")
        ):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []
        refused = False

        async def pass_on(message: Message) -> None:
            nonlocal refused
            if refused:
                return
            if message["type"] == "http.response.start":
                held.append(message)
                return
            refusal = _refusal(message.get("body", b"")) if held else None
            if refusal:
                refused = True
                await refusal(scope, receive, send)
                return
            while held:
                await send(held.pop())
            await send(message)

        await self.app(scope, receive, pass_on)


def _refusal(body: bytes) -> Response | None:
    if len(body) > _LONGEST_REFUSAL or b'"errors":[' not in body:
        return None
    answer = json.loads(body)
    if answer.get("rows") or not answer.get("errors"):
        return None
    error = answer["errors"][0]
    code = HTTP_STATUS.get(error["reason"], 400)
    return JSONResponse(
        {"error": {"code": code, "message": error["message"], "errors": answer["errors"]}},
        status_code=code,
    )
