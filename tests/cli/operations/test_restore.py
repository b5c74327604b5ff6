"""`velocast restore` against Cloud Storage, BigQuery and Cloud SQL on this machine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.cloud import bigquery
from typer.testing import CliRunner, Result

from gcp_emulators.cloud_sql.instance import SqliteInstance
from gcp_emulators.core.http_server import HttpServer
from tests import emulators
from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast_cli.main import app
from velocast_cli.operations.google_apis import google_api
from velocast_cli.operations.restoring.restore import StoredObject, Tables

NAME = "serving/champion.json"


def velocast(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["restore", *arguments])


def write(text: str, name: str = NAME) -> None:
    emulators.objects().write(name, text.encode(), content_type="text/plain")


def content(name: str = NAME) -> str:
    return emulators.objects().read(name).data.decode()


class TestObjects:
    @pytest.fixture(autouse=True)
    def _bucket(self, storage_buckets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for text in ("first", "second", "third"):
            write(text)
            write("other", NAME + ".backup")

    def test_the_content_before_the_live_one_comes_back(self) -> None:
        shown = velocast("object", NAME, "--yes")
        assert shown.exit_code == 0, shown.output
        assert content() == "second"
        assert shown.stdout.count("\n") == 5  # a header, three generations, the result
        assert max(map(len, shown.stdout.splitlines())) <= 80

    def test_any_kept_generation_can_be_named_and_nothing_is_lost(self) -> None:
        plan = json.loads(velocast("object", NAME, "--dry-run", "--json").stdout)
        assert plan["dry_run"] is True
        assert content() == "third"
        velocast("object", NAME, "--yes")
        listed = velocast("object", NAME, "--dry-run").stdout
        first = listed.splitlines()[4].split()[0]
        assert velocast("object", NAME, "--generation", first, "--yes").exit_code == 0
        assert content() == "first"
        assert velocast("object", NAME, "--dry-run").stdout.count("\n") == 7

    def test_a_deleted_object_comes_back(self) -> None:
        emulators.objects().delete(NAME)
        assert velocast("object", NAME, "--yes").exit_code == 0
        assert content() == "third"

    def test_a_write_in_between_is_not_overwritten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from velocast_cli.operations.restoring import restore_commands

        def meanwhile(question: str, *, yes: bool) -> bool:
            write("fourth")
            return True

        monkeypatch.setattr(restore_commands, "confirmed", meanwhile)
        ended = velocast("object", NAME)
        assert ended.exit_code == 1
        assert "look again" in ended.stderr
        assert content() == "fourth"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("object", "no/such"), "no version that is kept"),
            (("object", NAME, "--generation", "7"), "no such earlier generation"),
            (("object", NAME, "--at", "2001-01-01"), "no such earlier generation"),
            (("object", NAME), "add --yes"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, arguments: tuple[str, ...], said: str) -> None:
        ended = velocast(*arguments)
        assert ended.exit_code == 1
        assert said in ended.stderr
        assert content() == "third"


class TestTables:
    def rows(self, client: bigquery.Client) -> int:
        (row,) = client.query_and_wait("SELECT COUNT(*) AS n FROM bike_traffic_raw.counts")
        return int(row["n"])

    def test_a_table_gets_the_rows_of_a_copy(self, warehouse_tables: bigquery.Client) -> None:
        small_city.store(small_city.make(2, days=2))
        # a copy that an older version made, without the column `quality`
        warehouse_tables.query_and_wait(
            "CREATE OR REPLACE TABLE bike_traffic_raw.kept AS "
            "SELECT * EXCEPT (quality) FROM bike_traffic_raw.counts"
        )
        before = self.rows(warehouse_tables)
        warehouse_tables.query_and_wait(
            "DELETE FROM bike_traffic_raw.counts WHERE counter_id = "
            "(SELECT MIN(counter_id) FROM bike_traffic_raw.counts)"
        )
        assert self.rows(warehouse_tables) < before
        arguments = ("table", schemas.COUNTS, "--from", "bike_traffic_raw.kept")
        planned = velocast(*arguments, "--dry-run")
        assert f"with the {before} rows of bike_traffic_raw.kept" in " ".join(
            planned.stdout.split()
        )
        assert self.rows(warehouse_tables) < before
        assert velocast(*arguments, "--yes").exit_code == 0
        assert self.rows(warehouse_tables) == before

    def test_the_time_must_be_one_that_bigquery_keeps(
        self, warehouse_tables: bigquery.Client
    ) -> None:
        ended = velocast("table", schemas.COUNTS, "--at", "2001-01-01")
        assert ended.exit_code == 1
        assert "keeps the last 7 days" in ended.stderr

    def test_the_past_is_read_by_a_snapshot_decorator(
        self, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The emulator has no time travel, so it names the table that it was asked for."""
        monkeypatch.setenv("VELOCAST_AS_OF", "2025-03-10T04:00:00Z")
        ended = velocast("table", schemas.COUNTS, "--at", "2025-03-09T12:00:00Z")
        moment = int(datetime(2025, 3, 9, 12, tzinfo=UTC).timestamp() * 1000)
        assert ended.exit_code == 1
        assert f"counts@{moment}" in ended.stderr

    def test_a_stranger_table_is_refused(self, warehouse_tables: bigquery.Client) -> None:
        ended = velocast("table", "somebody.else", "--from", schemas.COUNTS, "--yes")
        assert ended.exit_code == 1
        assert "somebody.else" in ended.stderr


class TestDatabase:
    @pytest.fixture
    def file(
        self, tmp_path: Path, emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        """A database with one row and two backups: before the row, and with it."""
        database = tmp_path / "mlflow.sqlite"
        execute(database, "CREATE TABLE runs (name TEXT)")
        moment = datetime(2025, 3, 10, 4, tzinfo=UTC)
        instance = SqliteInstance("velocast-mlflow", database, tmp_path / "backups", lambda: moment)
        with HttpServer(instance.routes()) as server:
            monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", server.url)
            back_up()
            execute(database, "INSERT INTO runs VALUES ('kept')")
            back_up()
            yield database

    def test_the_newest_backup_comes_back_while_the_database_is_open(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as server:
            server.execute("SELECT * FROM runs").fetchall()
            execute(file, "DELETE FROM runs")
            done = velocast("database", "--yes")
            assert done.exit_code == 0, done.output
            assert server.execute("SELECT name FROM runs").fetchall() == [("kept",)]

    def test_an_older_backup_is_named(self, file: Path) -> None:
        refused = velocast("database", "--backup", "7", "--yes")
        assert refused.exit_code == 1
        assert "has no whole backup 7; there is 1741579200001, 1741579200000" in refused.stderr
        plan = json.loads(
            velocast("database", "--backup", "1741579200000", "--dry-run", "--json").stdout
        )
        assert plan["backup"]["ended"] == "2025-03-10T04:00:00Z"
        assert velocast("database", "--backup", "1741579200000", "--yes").exit_code == 0
        assert execute(file, "SELECT name FROM runs") == []

    def test_without_cloud_sql_it_says_so(
        self, emulator_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APIS_EMULATOR_HOST", "http://127.0.0.1:9")
        monkeypatch.setattr("velocast_cli.operations.google_apis.RETRIES", 0)
        ended = velocast("database", "--dry-run")
        assert ended.exit_code == 1
        assert "list backups of velocast-mlflow" in ended.stderr


def back_up() -> None:
    """Make a backup as `gcloud sql backups create` does."""
    with google_api("sqladmin") as api:
        runs = api.backupRuns()
        runs.insert(project=emulators.PROJECT, instance="velocast-mlflow", body={}).execute()


def execute(database: Path, sql: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql).fetchall()


class TestRehearsal:
    def test_everything_comes_back_and_nothing_is_left(
        self, storage_buckets: dict[str, str], warehouse_tables: bigquery.Client
    ) -> None:
        small_city.store(small_city.make(2, days=2))
        write('{"version": 1}')
        done = velocast("rehearse", "--json")
        assert done.exit_code == 0, done.output
        steps = json.loads(done.stdout)["steps"]
        assert [(s["what"], s["restored"]) for s in steps] == [
            ("an overwritten object", True),
            ("a deleted object", True),
            ("a table", True),
        ]
        assert "2 rows" in steps[2]["detail"]
        assert emulators.objects().names("") == [NAME]
        tables = [t.table_id for t in warehouse_tables.list_tables("bike_traffic_raw")]
        assert not [name for name in tables if name.startswith("rehearsal")]

    def test_what_does_not_come_back_is_reported(
        self,
        storage_buckets: dict[str, str],
        warehouse_tables: bigquery.Client,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def wrong(stored: StoredObject, _generation: int, *, replacing: int) -> None:
            write("something else", stored.name)

        monkeypatch.setattr(StoredObject, "restore", wrong)
        monkeypatch.setattr(Tables, "replace_rows", lambda *_, like: None)
        small_city.store(small_city.make(2, days=2))
        done = velocast("rehearse")
        assert done.exit_code == 1
        assert done.stdout.count("FAILED") == 3
