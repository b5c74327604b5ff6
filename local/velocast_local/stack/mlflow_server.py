"""The local MLflow server: its own application in one process.

`mlflow server` imports MLflow in a parent process and again in a worker, which doubles start time and memory on a small
machine. Here the same application runs directly under uvicorn, with the settings that `mlflow server` would pass to its
worker. The job runner (7 more processes) and telemetry are off.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from gcp_emulators.core.garbage import uncollected_imports
from gcp_emulators.core.http_server import LOOPBACK


def server_environment(folder: Path) -> dict[str, str]:
    """Return the settings of a server that stores runs in SQLite and artifacts as files, both in `folder`."""
    artifacts = folder / "artifacts"
    return {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / 'mlflow.sqlite'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }


def _write_ahead(connection: Any, _record: object) -> None:
    """Let SQLite append what is committed to a log; its default waits for the disk several times on each commit."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def main() -> None:
    """Serve until the process is terminated."""
    parser = argparse.ArgumentParser(prog="velocast_local.stack.mlflow_server")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = server_environment(options.folder)
    # MLflow reads the environment when it is imported, so the environment is set first.
    os.environ.update(settings)
    with uncollected_imports():
        import uvicorn
        from mlflow.server.fastapi_app import app
        from mlflow.server.handlers import initialize_backend_stores
        from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _write_ahead)
    store = settings["_MLFLOW_SERVER_FILE_STORE"]
    root = settings["_MLFLOW_SERVER_ARTIFACT_ROOT"]
    initialize_backend_stores(store, store, root)
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=options.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
