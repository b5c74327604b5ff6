"""One database instance: its data are a SQLite file, its backups are copies of it; and its REST API (v1).

A backup is made on request, and by `back_up_if_due` once a day, which stands for the daily automated backup. All carry
the simulated time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.core.errors import GoogleApiError
from gcp_emulators.core.rest import Json, json_endpoint
from gcp_emulators.core.times import parse_instant, rfc3339

DAILY = timedelta(days=1)
_INSTANCE = "instance"


class SqliteInstance:
    """The instance `name`, whose data are in `database`. folder: holds its backups; retained: how many are kept."""

    def __init__(
        self,
        name: str,
        database: Path,
        folder: Path,
        now: Callable[[], datetime],
        *,
        retained: int = 7,
    ) -> None:
        self.name = name
        self._database = database
        self._folder = folder
        self._now = now
        self._retained = retained
        self._records = DocumentStore(folder)
        self._lock = threading.Lock()
        if self._records.get(_INSTANCE) is None:
            self._records.put(_INSTANCE, {"createTime": rfc3339(now())})

    def describe(self) -> Json:
        """Return the instance's resource."""
        made = (self._records.get(_INSTANCE) or {})["createTime"]
        backups = {"enabled": True, "backupRetentionSettings": {"retainedBackups": self._retained}}
        return {
            "kind": "sql#instance",
            "name": self.name,
            "state": "RUNNABLE",
            "createTime": made,
            "settings": {"backupConfiguration": backups},
        }

    def backups(self) -> list[Json]:
        """Return the backups that are kept, newest first."""
        kept = [record for record in self._records.newest_first() if "startTime" in record]
        return [record for record in kept if self.file_of(record["id"]).exists()]

    def file_of(self, backup_id: str) -> Path:
        """Return the file of a backup."""
        return self._folder / f"{backup_id}.sqlite"

    def back_up(self, kind: str = "ON_DEMAND") -> Json:
        """Copy the database and return the backup's resource. Raises 400 before the database exists."""
        with self._lock:
            if not self._database.exists():
                raise GoogleApiError(400, f"instance {self.name} has no data yet")
            now = self._now()
            newest = max((int(backup["id"]) for backup in self.backups()), default=0)
            name = str(max(newest + 1, int(now.timestamp() * 1000)))
            _copy(self._database, self.file_of(name))
            for old in self.backups()[self._retained - 1 :]:
                self.file_of(old["id"]).unlink()
            record: Json = {"kind": "sql#backupRun", "id": name, "type": kind}
            record |= {"status": "SUCCESSFUL", "instance": self.name}
            return self._records.put(
                name, record | {"startTime": rfc3339(now), "endTime": rfc3339(now)}
            )

    def back_up_if_due(self) -> None:
        """Make the automated backup unless the newest is less than a day old or there are no data yet."""
        newest = next(iter(self.backups()), None)
        due = newest is None or self._now() - parse_instant(newest["startTime"]) >= DAILY
        if due and self._database.exists():
            self.back_up("AUTOMATED")

    def routes(self) -> list[BaseRoute]:
        """Return the routes: describe the instance; list, get, insert and restore backups; operations."""
        parent = "/v1/projects/{project}/instances"
        base = f"{parent}/{self.name}"
        return [
            Route(
                parent,
                json_endpoint(lambda _request, _body: {"items": [self.describe()]}),
                methods=["GET"],
            ),
            Route(base, json_endpoint(lambda _request, _body: self.describe()), methods=["GET"]),
            Route(base + "/backupRuns", json_endpoint(self._list), methods=["GET"]),
            Route(base + "/backupRuns", json_endpoint(self._insert), methods=["POST"]),
            Route(base + "/backupRuns/{id}", json_endpoint(self._get), methods=["GET"]),
            Route(base + "/restoreBackup", json_endpoint(self._restore), methods=["POST"]),
            Route(
                "/v1/projects/{project}/operations/{name}",
                json_endpoint(lambda request, _body: _done(request.path_params["name"])),
                methods=["GET"],
            ),
        ]

    def _list(self, request: Request, _body: Json) -> Json:
        limit = int(request.query_params.get("maxResults", 0)) or None
        return {"kind": "sql#backupRunsList", "items": self.backups()[:limit]}

    def _insert(self, _request: Request, _body: Json) -> Json:
        made = self.back_up()
        context = {"backupContext": {"backupId": made["id"]}}
        return _done(f"backup-{made['id']}", "BACKUP_VOLUME") | context

    def _restore(self, _request: Request, body: Json) -> Json:
        number = str(body.get("restoreBackupContext", {}).get("backupRunId", ""))
        if number not in {backup["id"] for backup in self.backups()}:
            raise GoogleApiError(404, f"instance {self.name} has no backup {number!r}")
        with self._lock:
            _copy(self.file_of(number), self._database)
        return _done(f"restore-{number}", "RESTORE_VOLUME")

    def _get(self, request: Request, _body: Json) -> Json:
        wanted = request.path_params["id"]
        for backup in self.backups():
            if backup["id"] == wanted:
                return backup
        raise GoogleApiError(404, f"backup run {wanted} of {self.name} does not exist")


def _copy(source: Path, target: Path) -> None:
    """Copy a database into another one, which may be open elsewhere."""
    with (
        closing(sqlite3.connect(source)) as origin,
        closing(sqlite3.connect(target, timeout=30)) as copy,
    ):
        origin.backup(copy)


def _done(name: str, kind: str = "") -> Json:
    """Return an operation that is over."""
    return {"kind": "sql#operation", "name": name, "status": "DONE", "operationType": kind}
