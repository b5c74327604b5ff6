"""The local MLflow: its own server application in one process.

`mlflow server` starts a parent that imports MLflow for its own sake and then a worker that imports it again; on a small
machine that doubles the wait and the memory. Here the same application runs under uvicorn directly, with the settings
that `mlflow server` would hand to its worker. The job runner (7 more processes) and telemetry stay off.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gcp_emulators.core.http_server import LOOPBACK


def server_environment(folder: Path) -> dict[str, str]:
    """Return the settings of a server that keeps runs in SQLite and artifacts as files, both in `folder`."""
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


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="velocast_local.stack.mlflow_server")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = server_environment(options.folder)
    # Both imports read the environment, so it comes first.
    os.environ.update(settings)
    import uvicorn
    from mlflow.server.handlers import initialize_backend_stores

    store = settings["_MLFLOW_SERVER_FILE_STORE"]
    root = settings["_MLFLOW_SERVER_ARTIFACT_ROOT"]
    initialize_backend_stores(store, store, root)
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host=LOOPBACK,
        port=options.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
