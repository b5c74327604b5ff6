"""The page in Debian's Chromium: how the tests of this folder open it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from docs.screenshot import CHROMIUM
from tests.shared.usecases.serving.serving_app import KEY

IN_BROWSER = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (Debian's package chromium)"
    ),
]
LINE = "#chart path.line.forecast"


def open_at(page: Page, address: str) -> Page:
    """Open an address with the tests' key."""
    page.goto("about:blank")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{address}#key={KEY}")
    return page


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Say nothing."""


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder with Python's own server until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
