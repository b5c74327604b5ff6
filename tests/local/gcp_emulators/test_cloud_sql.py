"""Backups of a database instance on one machine, as Cloud SQL's REST API tells of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gcp_emulators.cloud_sql.instance import SqliteInstance
from gcp_emulators.core.http_server import HttpServer

pytestmark = pytest.mark.emulator
START = datetime(2026, 3, 1, 1, tzinfo=UTC)


class Machine:
    """An instance with one table, and the time that it lives in."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.database = folder / "data.sqlite"
        self.folder = folder / "backups"
        self.write("first")
        self.instance = self.open()

    def open(self) -> SqliteInstance:
        return SqliteInstance("db", self.database, self.folder, lambda: self.now, retained=3)

    def write(self, text: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS notes (text)")
            connection.execute("INSERT INTO notes VALUES (?)", (text,))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes")]


def test_a_backup_holds_what_was_stored_when_it_was_made(machine: Machine) -> None:
    with HttpServer(machine.instance.routes()) as server:
        base = f"{server.url}/v1/projects/demo/instances/db"
        made = httpx.post(f"{base}/backupRuns", json={}, trust_env=False).json()
        machine.write("second")
        listed = httpx.get(f"{base}/backupRuns?maxResults=1", trust_env=False).json()["items"]
        wanted = made["backupContext"]["backupId"]
        found = httpx.get(f"{base}/backupRuns/{wanted}", trust_env=False).json()
        gone = httpx.get(f"{base}/backupRuns/1", trust_env=False)
        described = httpx.get(base, trust_env=False).json()
        instances = httpx.get(base.rsplit("/", 1)[0], trust_env=False).json()["items"]
    assert listed == [found]
    assert (found["status"], found["endTime"]) == ("SUCCESSFUL", "2026-03-01T01:00:00Z")
    assert found["type"] == "ON_DEMAND"
    assert gone.status_code == 404
    assert instances == [described]
    assert described["createTime"] == "2026-03-01T01:00:00Z"
    assert rows(machine.instance.file_of(wanted)) == ["first"]


def test_the_automated_backup_is_made_once_a_day_and_the_oldest_go(machine: Machine) -> None:
    for hours in range(0, 24 * 6, 12):
        machine.now = START + timedelta(hours=hours)
        machine.instance.back_up_if_due()
    days = [backup["endTime"][:10] for backup in machine.instance.backups()]
    assert days == ["2026-03-06", "2026-03-05", "2026-03-04"]
    assert len(list(machine.folder.glob("*.sqlite"))) == 3
    assert machine.open().backups() == machine.instance.backups(), "a restart forgets none"


def test_nothing_is_backed_up_before_there_are_data(tmp_path: Path) -> None:
    empty = SqliteInstance("db", tmp_path / "none.sqlite", tmp_path / "b", lambda: START)
    empty.back_up_if_due()
    assert empty.backups() == []
