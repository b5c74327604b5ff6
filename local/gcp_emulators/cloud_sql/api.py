"""Backups of one instance, whose database is a SQLite file: list, make, restore (Admin API v1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.core.times import rfc3339


class CloudSqlInstance:
    """One instance. database: its file, which programs may have open; backups: the folder of its backups."""

    def __init__(
        self,
        project: str,
        instance: str,
        *,
        database: Path,
        backups: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._base = f"/v1/projects/{project}"
        self._instance = instance
        self._database = database
        self._backups = backups
        self._now = now
        backups.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of backup runs, restoration and operations."""
        instance = f"{self._base}/instances/{self._instance}"
        return [
            _route("GET", instance + "/backupRuns", lambda _r, _b: {"items": self._listed()}),
            _route("POST", instance + "/backupRuns", self._insert),
            _route("POST", instance + "/restoreBackup", self._restore),
            _route("GET", self._base + "/operations/{name}", self._operation),
        ]

    def _files(self) -> list[Path]:
        return sorted(self._backups.glob("*.db"), key=lambda file: int(file.stem), reverse=True)

    def _listed(self) -> list[Json]:
        return [
            {
                "kind": "sql#backupRun",
                "id": file.stem,
                "status": "SUCCESSFUL",
                "instance": self._instance,
                "endTime": rfc3339(datetime.fromtimestamp(int(file.stem) / 1000, UTC)),
            }
            for file in self._files()
        ]

    def _insert(self, _request: Request, _body: Json) -> Json:
        if not self._database.is_file():
            raise GoogleApiError(404, f"the instance {self._instance} has no database yet")
        newest = [int(file.stem) for file in self._files()[:1]]
        number = max(int(self._now().timestamp() * 1000), *(n + 1 for n in newest), 0)
        _copy(self._database, self._backups / f"{number}.db")
        return _done(f"backup-{number}", "BACKUP_VOLUME")

    def _restore(self, _request: Request, body: Json) -> Json:
        number = str(body.get("restoreBackupContext", {}).get("backupRunId", ""))
        file = self._backups / f"{Path(number).name}.db"
        if not file.is_file():
            raise GoogleApiError(404, f"the instance {self._instance} has no backup {number!r}")
        _copy(file, self._database)
        return _done(f"restore-{number}", "RESTORE_VOLUME")

    def _operation(self, request: Request, _body: Json) -> Json:
        return _done(request.path_params["name"], "")


def _copy(source: Path, target: Path) -> None:
    """Copy a database into another one, which may be open elsewhere."""
    with (
        closing(sqlite3.connect(source)) as origin,
        closing(sqlite3.connect(target, timeout=30)) as copy,
    ):
        origin.backup(copy)


def _done(name: str, kind: str) -> Json:
    return {"kind": "sql#operation", "name": name, "status": "DONE", "operationType": kind}


def _route(method: str, path: str, answer: Callable[[Request, Json], Json]) -> Route:
    return Route(path, json_endpoint(answer), methods=[method])
