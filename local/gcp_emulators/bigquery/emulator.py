"""The local BigQuery: bqemulator as a child process, with corrections.

`python -m gcp_emulators.bigquery.emulator --data-dir D --rest-port R --grpc-port G --project P` is the child.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gcp_emulators.core.garbage import uncollected_imports
from gcp_emulators.core.http_server import LOOPBACK, free_ports

if TYPE_CHECKING:
    from google.cloud import bigquery


class BigQueryEmulator:
    """One emulator over a folder; its tables are kept across restarts, unless they are `in_memory`.

    data_dir: holds the database, the child's log (`bigquery.log`) and its home folder. Free ports are chosen unless
    given. One query runs on `threads` cores, by default on all. A request for results waits `default_wait` seconds if
    the client gives no time, by default 10 as BigQuery does. `url` is the value of BIGQUERY_EMULATOR_HOST,
    `storage_host` the address of the Storage Read API (gRPC).
    """

    def __init__(
        self,
        data_dir: Path,
        project: str,
        *,
        rest_port: int | None = None,
        grpc_port: int | None = None,
        in_memory: bool = False,
        threads: int | None = None,
        default_wait: float | None = None,
    ) -> None:
        free = free_ports(2)
        self.data_dir = data_dir
        self.project = project
        self.in_memory = in_memory
        self.threads = threads
        self.default_wait = default_wait
        self.rest_port = rest_port or free[0]
        self.grpc_port = grpc_port or free[1]
        self.url = f"http://{LOOPBACK}:{self.rest_port}"
        self.storage_host = f"{LOOPBACK}:{self.grpc_port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id; None before the start."""
        return self._process.pid if self._process else None

    def start(self, *, wait: float | None = 60) -> BigQueryEmulator:
        """Start the child and return once it answers, or at once with `wait=None`; raises as wait_ready does."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "gcp_emulators.bigquery.emulator"]
        command += ["--data-dir", str(self.data_dir), "--project", self.project]
        command += ["--rest-port", str(self.rest_port), "--grpc-port", str(self.grpc_port)]
        command += ["--end-with", str(os.getpid())]
        command += ["--in-memory"] if self.in_memory else []
        command += ["--threads", str(self.threads)] if self.threads else []
        command += ["--default-wait", str(self.default_wait)] if self.default_wait else []
        with (self.data_dir / "bigquery.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        if wait is not None:
            self.wait_ready(wait)
        return self

    def wait_ready(self, timeout: float = 60) -> None:
        """Return once /healthz answers; raises RuntimeError if the child ends or `timeout` s pass."""
        deadline = time.monotonic() + timeout
        while not is_healthy(self.url):
            ended = self._process.poll() if self._process else 0
            if ended is not None or time.monotonic() > deadline:
                why = "not answering" if ended is None else f"ended with exit code {ended}"
                log = self.data_dir / "bigquery.log"
                raise RuntimeError(f"BigQuery emulator on {self.url}: {why}; see {log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the child and wait for it; a second call does nothing."""
        if self._process is None or self._process.poll() is not None:
            return
        if self.in_memory:  # nothing is left to write
            self._process.kill()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)

    def __enter__(self) -> BigQueryEmulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def is_healthy(url: str) -> bool:
    """Return whether an emulator at `url` answers its health check within a second."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=1) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def create_tables(
    client: bigquery.Client, tables: Mapping[str, Mapping[str, Any]], location: str = "europe-west1"
) -> list[str]:
    """Create tables and their datasets, unless they exist; add new columns to those that do. Return the names of all.

    tables: by `dataset.table`, a description with `fields` and `description` as in the REST API, `partition_field` (by
    day; a filter on it is then required) and `clustering`; the last two may be null or missing.
    """
    for name, table in tables.items():
        _create_table(client, name, table, location)
    return list(tables)


# The REST API has names of its own for these types.
_SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def _create_table(
    client: bigquery.Client, name: str, schema: Mapping[str, Any], location: str
) -> None:
    from google.cloud import bigquery

    dataset = bigquery.Dataset(f"{client.project}.{name.split('.')[0]}")
    dataset.location = location
    client.create_dataset(dataset, exists_ok=True, timeout=30)
    fields = [bigquery.SchemaField.from_api_repr(field) for field in schema["fields"]]
    table = bigquery.Table(f"{client.project}.{name}", schema=fields)
    table.description = str(schema["description"])
    if schema.get("partition_field"):
        table.time_partitioning = bigquery.TimePartitioning(field=str(schema["partition_field"]))
        table.require_partition_filter = True
    if schema.get("clustering"):
        table.clustering_fields = schema["clustering"]
    made = client.create_table(table, exists_ok=True, timeout=30)
    known = {field.name for field in made.schema}
    new = [field for field in fields if field.name not in known]
    for field in new:
        kind = _SQL_TYPES.get(field.field_type, field.field_type)
        target = f"`{client.project}.{name}`"
        statement = f"ALTER TABLE {target} ADD COLUMN IF NOT EXISTS `{field.name}` {kind}"
        client.query_and_wait(statement, wait_timeout=30)
    if new:
        # bqemulator's statement changes the table but not its catalogue, and tables.patch the reverse
        made.schema = [*made.schema, *new]
        client.update_table(made, ["schema"], timeout=30)


def _prepare_home(home: Path) -> None:
    """Link DuckDB's spatial extension where the emulator looks for it, so that it downloads nothing."""
    os.environ["HOME"] = str(home)
    import duckdb

    package = importlib.util.find_spec("duckdb_extension_spatial")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError(
            "package duckdb-extension-spatial is missing; install the version of the package duckdb"
        )
    root = Path(package.submodule_search_locations[0]) / "extensions"
    source = root / f"v{duckdb.__version__}" / "spatial.duckdb_extension"
    with duckdb.connect() as database:
        platform = database.execute("PRAGMA platform").fetchall()[0][0]
    target = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source)


def _find_discovery_file() -> Path | None:
    """Return the description of BigQuery's API that ships with the Google Cloud SDK; None without the SDK."""
    import shutil

    command = shutil.which("bq")
    if command is None:
        return None
    roots = [Path(command).resolve().parent, Path(command).resolve().parent.parent]
    found = [r / "platform" / "bq" / "discovery_next" / "bigquery.json" for r in roots]
    return next((file for file in found if file.is_file()), None)


def _end_with(parent: int) -> None:
    """End this process within a second of its parent's end, even if the parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str] | None = None) -> None:
    """Run the emulator in this process until it is ended."""
    parser = argparse.ArgumentParser(prog="gcp_emulators.bigquery.emulator")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--end-with", type=int, help="process id of the parent to end with")
    parser.add_argument("--in-memory", action="store_true", help="keep no table after the end")
    parser.add_argument("--threads", type=int, help="cores for one query")
    parser.add_argument(
        "--default-wait", type=float, default=10.0, help="seconds, for clients that give no time"
    )
    given = parser.parse_args(arguments)
    if given.end_with:
        threading.Thread(target=_end_with, args=(given.end_with,), daemon=True).start()
    _prepare_home(given.data_dir.resolve() / "home")

    with uncollected_imports():
        from bqemulator.config import LogLevel, PersistenceMode, Settings
        from bqemulator.server import run_forever

        from gcp_emulators.bigquery.corrections import apply_corrections

    apply_corrections(
        _find_discovery_file(), threads=given.threads, default_wait=given.default_wait
    )
    run_forever(
        Settings(
            rest_port=given.rest_port,
            grpc_port=given.grpc_port,
            data_dir=given.data_dir,
            persistence_mode=PersistenceMode.EPHEMERAL
            if given.in_memory
            else PersistenceMode.PERSISTENT,
            default_project_id=given.project,
            enable_format_extensions=False,
            upload_staging_dir=given.data_dir / "uploads",
            # also limits the messages of the Storage Read API: 65,536 rows of 20 columns were too large
            write_api_max_request_bytes=512 * 1024 * 1024,
            log_level=LogLevel.WARNING,
        )
    )


if __name__ == "__main__":
    main()
