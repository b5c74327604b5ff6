"""Jobs of the local BigQuery that outlast their request, as those of BigQuery do.

bqemulator 1.4 answers a request that starts a job once the job is done, and answers nothing else meanwhile. A statement
that takes longer than a client waits for one answer (30 s in this project) could therefore never be run. Here a job
runs in a thread. The request is answered when the job is done, at the latest after the time that BigQuery allows, and
the job goes on: `jobs.get` tells its state, `getQueryResults` waits for it, `jobs.cancel` stops it.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
from bqemulator.api.routes import jobs, upload
from bqemulator.catalog.etag import generate_etag
from bqemulator.catalog.models import JobMeta
from bqemulator.jobs.executor import classify_statement_type
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gcp_emulators.bigquery.connections import own_connection
from gcp_emulators.bigquery.replayed_requests import answered, json_object, replayed

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext

# BigQuery answers jobs.insert at once. A second saves clients the polling of short jobs.
INSERT_SECONDS = 1.0
# timeoutMs of jobs.query and getQueryResults: the default, and the longest that BigQuery waits.
DEFAULT_SECONDS, LONGEST_SECONDS = 10.0, 200.0
# For how many seconds a job that is to be stopped is interrupted, and the seconds between two interrupts.
STOP_SECONDS, INTERRUPT_SECONDS = 5.0, 0.1
READERS = 4
KINDS = ("query", "load", "extract", "copy")
CANCELLED = {
    "reason": "stopped",
    "message": "Job execution was cancelled: User requested cancellation",
}
# The HTTP status of a failed job's results, by the reason of its error; 400 for others.
HTTP_STATUS = {"notFound": 404, "duplicate": 409, "accessDenied": 403, "stopped": 499}

_PATH = re.compile(
    r"(?P<upload>/upload)?/bigquery/v2/projects/(?P<project>[^/]+)/(?P<kind>jobs|queries)"
    r"(?:/(?P<job>[^/]+)(?P<cancel>/cancel)?)?"
)
_LAST_CHUNK = re.compile(r"bytes \d+-(?P<last>\d+)/(?P<size>\d+)")
_JOB_ID: ContextVar[str] = ContextVar("job_id", default="")
_THREAD = threading.local()


@dataclass
class RunningJob:
    """A job that is not done. meta: what jobs.get tells; request_id: that of jobs.query, sent again by a client that
    lost the answer; answer: what bqemulator answers to the request that started the job, once it is done."""

    meta: JobMeta
    request_id: str = ""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    connection: duckdb.DuckDBPyConnection | None = None
    cancelled: bool = False
    stopping: asyncio.Task[None] | None = None
    answer: Response | None = None


class RunningJobs:
    """ASGI layer that runs jobs in threads: those that write one after another, as before, beside those that read."""

    def __init__(
        self, app: ASGIApp, context: AppContext, default_seconds: float = DEFAULT_SECONDS
    ) -> None:
        self.app = app
        self.context = context
        self.default_seconds = default_seconds
        self._running: dict[tuple[str, str], RunningJob] = {}
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        _name_jobs_by_request()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        answered = None
        if found is not None:
            answered = await self._answer(found, Request(scope, receive))
        if answered is None:
            await self.app(scope, receive, send)
        else:
            await answered(scope, receive, send)

    async def stop(self) -> None:
        """End the jobs that run; none starts any more."""
        for pool in (self._readers, self._writer):
            pool.shutdown(wait=False, cancel_futures=True)
        begun = [job for job in self._running.values() if job.connection is not None]
        await asyncio.gather(*(_stop(job) for job in begun))

    async def _answer(self, found: re.Match[str], request: Request) -> ASGIApp | None:
        """Return the answer to a request about jobs; None if bqemulator's own is right."""
        project, kind, job_id = found["project"], found["kind"], found["job"]
        if job_id:
            if request.method == "GET" and kind == "queries":
                return await self._results(project, job_id, request)
            if request.method == "POST" and found["cancel"]:
                await self._cancel(project, job_id)
            return None
        if "content-encoding" in request.headers:
            return None
        if found["upload"]:
            return await self._upload(project, request)
        if request.method != "POST":
            return None
        body = await request.body()
        asked = json_object(body)
        answer = await (self._query if kind == "queries" else self._insert)(project, asked, request)
        return answer or replayed(self.app, body)

    async def _insert(
        self, project: str, asked: dict[str, Any], request: Request
    ) -> ASGIApp | None:
        configuration = asked.get("configuration") or {}
        kind = next((name for name in KINDS if name in configuration), None)
        if kind is None or configuration.get("dryRun"):
            return None
        reference = asked.setdefault("jobReference", {})
        job_id = reference.setdefault("jobId", f"bqemu_{uuid4().hex}")
        if self.context.catalog.get_job(project, job_id) is not None:
            return _refusal("duplicate", f"Already Exists: Job {project}:{job_id}")
        job = self._start(self._new(project, job_id, kind, configuration), request, asked)
        await _wait(job, INSERT_SECONDS)
        return job.answer or JSONResponse(self._resource(job))

    async def _query(self, project: str, asked: dict[str, Any], request: Request) -> ASGIApp | None:
        if not asked or asked.get("dryRun"):
            return None
        request_id = str(asked.get("requestId") or "")
        job = next(
            (j for j in self._running.values() if request_id and j.request_id == request_id), None
        )
        if job is None:
            configuration = {"query": {k: v for k, v in asked.items() if k != "requestId"}}
            meta = self._new(project, f"bqemu_{uuid4().hex[:12]}", "query", configuration)
            job = self._start(meta, request, asked, request_id)
        await _wait(job, self._seconds(asked.get("timeoutMs")))
        return job.answer or JSONResponse(_incomplete("bigquery#queryResponse", job.meta))

    async def _upload(self, project: str, request: Request) -> ASGIApp | None:
        """Run the load job of an upload whose last byte is in this request."""
        configuration: dict[str, Any] = {"load": {}}
        if request.method == "PUT":
            chunk = _LAST_CHUNK.fullmatch(request.headers.get("content-range", "").strip())
            if chunk is None or int(chunk["last"]) + 1 != int(chunk["size"]):
                return None
        elif request.query_params.get("uploadType") != "multipart":
            return None
        meta = self._new(project, f"bqemu_{uuid4().hex[:12]}", "load", configuration)
        job = self._start(meta, request, await request.body())
        await _wait(job, INSERT_SECONDS)
        return job.answer or JSONResponse(self._resource(job))

    async def _results(self, project: str, job_id: str, request: Request) -> ASGIApp | None:
        job = self._running.get((project, job_id))
        if job is not None:
            await _wait(job, self._seconds(request.query_params.get("timeoutMs")))
            if not job.done.is_set():
                return JSONResponse(_incomplete("bigquery#getQueryResultsResponse", job.meta))
        known = self.context.catalog.get_job(project, job_id)
        if known is None or known.error_result is None:
            return None
        return _refusal(known.error_result["reason"], known.error_result["message"])

    async def _cancel(self, project: str, job_id: str) -> None:
        job = self._running.get((project, job_id))
        if job is not None:
            job.stopping = job.stopping or asyncio.create_task(_stop(job))
            await _wait(job, INSERT_SECONDS)

    def _new(self, project: str, job_id: str, kind: str, configuration: dict[str, Any]) -> JobMeta:
        now = self.context.clock.now()
        return JobMeta(
            project_id=project,
            job_id=job_id,
            job_type=kind.upper(),
            state="PENDING",
            configuration=configuration,
            creation_time=now,
            etag=generate_etag(project, job_id, str(now)),
        )

    def _start(
        self, meta: JobMeta, request: Request, asked: dict[str, Any] | bytes, request_id: str = ""
    ) -> RunningJob:
        job = RunningJob(meta, request_id)
        self._running[meta.project_id, meta.job_id] = job
        self.context.catalog.upsert_job(meta)
        body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        loop = asyncio.get_running_loop()
        pool = self._readers if _only_reads(meta) else self._writer

        def finish() -> None:
            self._running.pop((meta.project_id, meta.job_id), None)
            job.done.set()

        def run() -> None:
            try:
                self._run(job, request.scope, body)
            finally:
                loop.call_soon_threadsafe(finish)

        pool.submit(run)
        return job

    def _run(self, job: RunningJob, scope: Scope, body: bytes) -> None:
        """Let bqemulator answer the request in this thread, and keep its answer and what became of the job."""
        catalog = self.context.catalog
        if not job.cancelled:
            now = self.context.clock.now()
            job.meta = job.meta.model_copy(update={"state": "RUNNING", "start_time": now})
            catalog.upsert_job(job.meta)
            with own_connection(self.context.engine) as job.connection:
                _JOB_ID.set(job.meta.job_id)
                answer = answered(self.app, scope, body)
                job.answer = _event_loop().run(answer, context=copy_context())
                job.connection = None
        known = catalog.get_job(job.meta.project_id, job.meta.job_id) or job.meta
        failure = known.error_result or _error_of(job.answer)
        if failure is not None and job.cancelled:
            failure = CANCELLED
            job.answer = _refusal(**CANCELLED)
        job.meta = known.model_copy(
            update={
                "state": "DONE",
                "error_result": failure,
                "creation_time": job.meta.creation_time,  # bqemulator knows nothing of the time in the queue
                "end_time": self.context.clock.now(),
            }
        )
        catalog.upsert_job(job.meta)

    def _seconds(self, timeout_ms: Any) -> float:
        try:
            return min(int(timeout_ms) / 1000, LONGEST_SECONDS)
        except (TypeError, ValueError):
            return self.default_seconds

    def _resource(self, job: RunningJob) -> dict[str, Any]:
        meta = job.meta
        return jobs._build_job_response(meta.project_id, meta.job_id, meta, meta.configuration)


def _name_jobs_by_request() -> None:
    """bqemulator names the jobs of jobs.query and of uploads when it runs them; here they have a name before."""

    def job_id() -> Any:
        asked = _JOB_ID.get()
        return SimpleNamespace(hex=asked.removeprefix("bqemu_")) if asked else uuid4()

    jobs.uuid4 = job_id  # type: ignore[attr-defined]
    upload.uuid4 = job_id  # type: ignore[attr-defined]


def _event_loop() -> asyncio.Runner:
    """Return this thread's event loop, which serves one job after another and ends with the process."""
    made: asyncio.Runner | None = getattr(_THREAD, "event_loop", None)
    if made is None:
        made = _THREAD.event_loop = asyncio.Runner()
    return made


def _only_reads(meta: JobMeta) -> bool:
    asked = meta.configuration.get("query")
    if asked is None or asked.get("destinationTable"):
        return False
    return classify_statement_type(str(asked.get("query", ""))) == "SELECT"


async def _stop(job: RunningJob) -> None:
    """Stop a job, or keep it from starting."""
    job.cancelled = True
    until = time.monotonic() + STOP_SECONDS
    while not job.done.is_set() and time.monotonic() < until:
        # Again and again: DuckDB forgets an interrupt that comes before the statement has begun.
        if (connection := job.connection) is not None:
            with suppress(duckdb.Error):  # it is closed by now
                connection.interrupt()
        await _wait(job, INTERRUPT_SECONDS)


async def _wait(job: RunningJob, seconds: float) -> None:
    try:
        await asyncio.wait_for(job.done.wait(), seconds)
    except TimeoutError:
        return


def _incomplete(kind: str, meta: JobMeta) -> dict[str, Any]:
    reference = {"projectId": meta.project_id, "jobId": meta.job_id}
    return {"kind": kind, "jobReference": reference, "jobComplete": False}


def _refusal(reason: str, message: str) -> Response:
    status = HTTP_STATUS.get(reason, 400)
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return JSONResponse(
        {"error": {"code": status, "message": message, "errors": errors}}, status_code=status
    )


def _error_of(answer: Response | None) -> dict[str, Any] | None:
    """Return the error of an answer that refuses the request."""
    if answer is None:
        return {"reason": "internalError", "message": "the job ended without an answer"}
    if answer.status_code < 400:
        return None
    error = json.loads(bytes(answer.body))["error"]
    first = (error.get("errors") or [{}])[0]
    return {"reason": first.get("reason", "invalid"), "message": error["message"]}
