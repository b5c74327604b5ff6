"""MLflow's tables in a real PostgreSQL are upgraded by the script that the job velocast-mlflow-migrate runs."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from gcp_emulators.core.http_server import free_port

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "terraform/modules/mlflow/migrate.py"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
# The head of MLflow 2.0: what a server of that version left behind.
OLD_HEAD = "97727af70f4d"
# In a process of its own, because MLflow's old migrations warn.
LEFT_BEHIND = """
import sys
import sqlalchemy
from alembic import command
from mlflow.store.db.utils import _get_alembic_config, _verify_schema
from mlflow.store.tracking.dbmodels.initial_models import Base

database, head = sys.argv[1:]
engine = sqlalchemy.create_engine(database)
Base.metadata.create_all(engine)
command.upgrade(_get_alembic_config(database), head)
rows = [
    "experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (0, 'Default', '/tmp', 'active')",
    "runs (run_uuid, name, source_type, user_id, status, start_time, lifecycle_stage, experiment_id, artifact_uri)"
    " VALUES ('r1', 'old run', 'LOCAL', 'u', 'FINISHED', 1, 'active', 0, '/tmp')",
    "metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('r2', 0.9, 1, 'r1', 0, false)",
    "latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('r2', 0.9, 1, 'r1', 0, false)",
]
with engine.begin() as connection:
    for row in rows:
        connection.execute(sqlalchemy.text("INSERT INTO " + row))
# What a server does with a database whose tables are all there.
_verify_schema(engine)
"""
OPENED = """
import sys
import sqlalchemy
from mlflow.store.db.utils import _verify_schema
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

_verify_schema(sqlalchemy.create_engine(sys.argv[1]))
run = SqlAlchemyStore(sys.argv[1], "/tmp/artifacts").get_run("r1")
print(run.info.run_name, run.data.metrics)
"""
PATIENCE_SECONDS = 240  # three processes import MLflow, each for seconds of CPU

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(not PROGRAMS, reason="PostgreSQL's programs are not installed here"),
]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URI of an empty database; the server keeps its files and socket in a folder of its own."""
    programs, port = PROGRAMS[-1].parent, free_port()
    # Not below pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder, user = Path(name), _user(Path(name))
        data = folder / "data"
        _as(user, programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust", "-N")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        server = ("-D", data, "-l", folder / "log", "-w", "-o", options)
        _as(user, programs / "pg_ctl", *server, "start")
        try:
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
        finally:
            _as(user, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _user(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: another user then owns its folder."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return "nobody"


def _as(user: str | None, *command: str | Path) -> None:
    done = subprocess.run(
        [*map(str, command)], user=user, capture_output=True, text=True, check=False, timeout=60,
        cwd="/", stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def emptied(database: str) -> None:
    """Drop every table."""
    engine = sqlalchemy.create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


class Proxy:
    """The Auth Proxy's address for ending it; notes that it was asked."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        ended = self.ended

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                ended.set()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Stay silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/quitquitquit"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with the image's programs on the path."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=environment,
    )


def migrated(uri: str, proxy: Proxy) -> subprocess.CompletedProcess[str]:
    """Run the script as the job does: as text."""
    return python(SCRIPT.read_text(encoding="utf-8"), uri, proxy.url)


@pytest.mark.timeout(4 * PATIENCE_SECONDS)
def test_a_database_of_an_older_mlflow_is_refused_until_it_is_migrated(
    database: str, proxy: Proxy
) -> None:
    emptied(database)
    refused = python(LEFT_BEHIND, database, OLD_HEAD)
    assert refused.returncode == 1
    assert "Detected out-of-date database schema" in refused.stderr
    done = migrated(database, proxy)
    assert done.returncode == 0, done.stderr
    assert proxy.ended.is_set(), "the job lasts as long as the proxy"
    assert python(OPENED, database).stdout == "old run {'r2': 0.9}\n"


def test_an_empty_database_is_left_to_the_server(database: str, proxy: Proxy) -> None:
    emptied(database)
    done = migrated(database, proxy)
    said = "the database has no tables: the server creates them at its first start\n"
    assert (done.returncode, done.stdout) == (0, said)
    engine = sqlalchemy.create_engine(database)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_the_proxy_ends_also_when_the_database_cannot_be_reached(proxy: Proxy) -> None:
    done = migrated("postgresql+psycopg2://mlflow@127.0.0.1:9/postgres", proxy)
    assert done.returncode == 1
    assert "OperationalError" in done.stderr
    assert proxy.ended.is_set()
