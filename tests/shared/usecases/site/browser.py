"""The page in Debian's Chromium: how the tests of this folder open it."""

from __future__ import annotations

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
