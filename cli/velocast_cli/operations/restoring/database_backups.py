"""The backups of MLflow's database, a Cloud SQL instance, and how it is restored from one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.settings import Settings
from velocast_cli.operations.deployment import DATABASE
from velocast_cli.operations.google_apis import (
    GoogleApiRefused,
    call,
    google_api,
    wait_for_operation,
)

PATIENCE = timedelta(hours=1)
SUCCESSFUL = "SUCCESSFUL"


@dataclass(frozen=True)
class Backup:
    """One backup: its id, when it ended (RFC 3339), and whether it can be restored."""

    id: str
    ended: str
    is_whole: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it with JSON's types."""
        return dict(vars(self))


class Database:
    """A Cloud SQL instance. Use it in a `with` block. Methods raise GoogleApiRefused."""

    def __init__(self, settings: Settings, instance: str = DATABASE) -> None:
        self.instance = instance
        self._project = settings.project
        self._api = google_api("sqladmin")

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def backups(self) -> list[Backup]:
        """Return the backups, newest first."""
        runs = self._api.backupRuns()
        request = runs.list(project=self._project, instance=self.instance)
        found: list[dict[str, Any]] = []
        while request is not None:
            page = call(request, f"list backups of {self.instance}")
            found += page.get("items", [])
            request = runs.list_next(request, page)
        backups = [
            Backup(str(b["id"]), str(b.get("endTime", "")), b.get("status") == SUCCESSFUL)
            for b in found
        ]
        return sorted(backups, key=_end, reverse=True)

    def back_up(self) -> None:
        """Make a backup and wait until it is done."""
        request = self._api.backupRuns().insert(
            project=self._project, instance=self.instance, body={}
        )
        self._wait(call(request, f"back up {self.instance}", retries=0))

    def chosen(self, asked: str | None) -> Backup:
        """Return the backup with an id, by default the newest that can be restored."""
        found = self.backups()
        for backup in found:
            if backup.is_whole and asked in (None, backup.id):
                return backup
        names = ", ".join(backup.id for backup in found) or "none"
        raise GoogleApiRefused(
            f"{self.instance} has no whole backup {asked or ''}; there is {names}"
        )

    def restore(self, backup: Backup) -> None:
        """Replace the database's content by a backup's and wait until that is done. Connections are cut meanwhile."""
        body = {
            "restoreBackupContext": {
                "backupRunId": backup.id,
                "instanceId": self.instance,
                "project": self._project,
            }
        }
        request = self._api.instances().restoreBackup(
            project=self._project, instance=self.instance, body=body
        )
        self._wait(call(request, f"restore backup {backup.id}", retries=0))

    def clone(self, at: datetime) -> str:
        """Make a second instance with the content of a minute and return its name; the first one is left as it is."""
        name = f"{self.instance}-{at:%Y%m%d-%H%M}"
        context = {"destinationInstanceName": name, "pointInTime": rfc3339(at)}
        request = self._api.instances().clone(
            project=self._project, instance=self.instance, body={"cloneContext": context}
        )
        self._wait(call(request, f"clone {self.instance}", retries=0))
        return name

    def _wait(self, operation: dict[str, Any]) -> None:
        name = operation["name"]
        request = self._api.operations().get(project=self._project, operation=name)
        doing = f"{operation.get('operationType', 'operation').lower()} of {self.instance}"
        wait_for_operation(lambda: _read(request, doing), doing, patience=PATIENCE)


def list_instances(settings: Settings) -> list[dict[str, Any]]:
    """Return the project's instances as Cloud SQL describes them. Raises GoogleApiRefused."""
    with google_api("sqladmin") as api:
        request = api.instances().list(project=settings.project)
        found: list[dict[str, Any]] = call(request, "list instances").get("items", [])
    return found


def _end(backup: Backup) -> float:
    """Return when a backup ended, in seconds; 0 for one that is not over."""
    return parse_instant(backup.ended, name="endTime").timestamp() if backup.ended else 0.0


def _read(request: Any, doing: str) -> dict[str, Any]:
    operation = call(request, doing)
    if errors := operation.get("error", {}).get("errors"):
        operation["error"] = {"message": "; ".join(str(e.get("message")) for e in errors)}
    return operation
