"""The API with a snapshot in a real object store, for tests with a client or a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from flask_openapi3.openapi import OpenAPI

from tests.shared.usecases.serving.snapshots import NOW
from velocast.adapters.gcs import Objects
from velocast.core.settings import ServeSettings
from velocast.usecases.serving.app import create_app
from velocast.usecases.serving.server.gateway import Gateway
from velocast.usecases.serving.server.http_protocol import ServingProtocol
from velocast.usecases.snapshot_format import CONTENT_TYPE, SNAPSHOT, Snapshot, dumps

KEY = "test-key"
HEADERS = {"X-API-Key": KEY}


def bucket() -> Objects:
    """The models bucket of the tests' object store."""
    settings = ServeSettings.load()
    return Objects(settings.project, settings.models_bucket)


def publish(snapshot: Snapshot) -> int:
    """Write a snapshot as predict does; returns its generation."""
    return bucket().write(SNAPSHOT, dumps(snapshot), content_type=CONTENT_TYPE)


def app(
    *,
    now: Callable[[], datetime] = lambda: NOW,
    check_seconds: float = 0.0,
    keys: Path | None = None,
    **settings: Any,
) -> OpenAPI:
    """The application with the environment's settings; keyword arguments replace some of them."""
    changes = settings | ({"api_keys_file": keys} if keys else {})
    loaded = ServeSettings.load().model_copy(update=changes)
    return create_app(loaded, bucket(), now=now, check_seconds=check_seconds)


@contextmanager
def running(application: OpenAPI) -> Iterator[str]:
    """Serve the application on a free local port, as in production but in a thread; yield its address."""
    config = uvicorn.Config(
        Gateway(application),
        port=0,
        http=ServingProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
