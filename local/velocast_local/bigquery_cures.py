"""What bqemulator 1.4 does differently from BigQuery, put right before it starts.

Each cure names what went wrong without it; `apply_cures` runs in the emulator's own process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqemulator import server
from bqemulator.api.routes import upload
from bqemulator.domain.errors import DomainError, InvalidQueryError
from bqemulator.domain.events import TableDataChanged
from bqemulator.jobs import executor
from bqemulator.versioning.snapshots import SnapshotManager
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext
    from fastapi import FastAPI


def apply_cures(discovery_file: Path | None) -> None:
    """Change bqemulator's classes and functions in this process; call once, before it starts.

    discovery_file: the description of BigQuery's API that `bq` asks for, None where the SDK is missing.
    """
    _accept_any_media_type()
    _load_parquet_by_name()
    _load_all_or_nothing()
    _keep_no_snapshots()
    _answer_like_bigquery(discovery_file)


def _accept_any_media_type() -> None:
    """The Python client uploads as `*/*`; the emulator refused every small load with 400."""
    upload._PERMITTED_MEDIA_CONTENT_TYPES += ("*/*",)  # noqa: SLF001


def _load_parquet_by_name() -> None:
    """Parquet columns were matched by position: a frame in another order wrote swapped values."""

    def load_parquet(path: str, target_ref: str, ctx: AppContext) -> None:
        sql = f"INSERT INTO {target_ref} BY NAME SELECT * FROM read_parquet(?)"  # noqa: S608
        ctx.engine.execute(sql, [path])

    executor._load_parquet = load_parquet  # noqa: SLF001
    executor._LOAD_FORMAT_HANDLERS["PARQUET"] = load_parquet  # noqa: SLF001


def _load_all_or_nothing() -> None:
    """A WRITE_TRUNCATE load that failed left the table empty; now deletion and load are one transaction."""
    prepare = executor._apply_load_write_disposition  # noqa: SLF001
    load = executor._load_path_into_target  # noqa: SLF001

    def prepare_without_truncating(job: Any, ctx: AppContext) -> None:
        if job.write_disposition != "WRITE_TRUNCATE":
            prepare(job, ctx)

    def load_in_transaction(path: str, job: Any, ctx: AppContext) -> None:
        first = executor._resolve_uri(job.source_uris[0], ctx)  # noqa: SLF001
        ctx.engine.execute("BEGIN TRANSACTION")
        try:
            if job.write_disposition == "WRITE_TRUNCATE" and path == first:
                ctx.engine.execute(f"DELETE FROM {job.target_ref}")  # noqa: S608
            load(path, job, ctx)
        except Exception:
            ctx.engine.execute("ROLLBACK")
            raise
        ctx.engine.execute("COMMIT")

    executor._apply_load_write_disposition = prepare_without_truncating  # noqa: SLF001
    executor._load_path_into_target = load_in_transaction  # noqa: SLF001


def _keep_no_snapshots() -> None:
    """Every write copied the whole table, for time travel that nothing here asks for, and kept it a week."""

    def record_change(
        self: SnapshotManager, project_id: str, dataset_id: str, table_id: str
    ) -> None:
        self._events.publish(TableDataChanged(project_id, dataset_id, table_id))  # noqa: SLF001

    SnapshotManager.record_change = record_change


def _answer_like_bigquery(discovery_file: Path | None) -> None:
    """Bad SQL or data came back as 500, which clients repeat for ten minutes; it is a 400 now.

    `bq` also asks for the description of the API before anything else.
    """
    create_app = server.create_app

    async def refuse(_request: Request, exc: Exception) -> Response:
        error: DomainError = InvalidQueryError(f"{type(exc).__name__}: {exc}")
        return JSONResponse(error.to_bigquery_error(), status_code=400)

    async def describe(_request: Request) -> Response:
        if discovery_file is None:
            return Response(status_code=404)
        return FileResponse(discovery_file, media_type="application/json")

    def create_cured_app(context: AppContext) -> FastAPI:
        app = create_app(context)
        app.add_exception_handler(Exception, refuse)
        for path in ("/$discovery/rest", "/discovery/v1/apis/bigquery/v2/rest"):
            app.add_route(path, describe)
        return app

    server.create_app = create_cured_app
