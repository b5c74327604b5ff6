"""Take a screenshot of a running dashboard page with Debian's Chromium.

python docs/screenshot.py http://127.0.0.1:8080 --height 1150 --out docs/dashboard.png
python docs/screenshot.py http://127.0.0.1:8080 --out phone.png --width 390 --height 844 --dark
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
# Without these, Chromium contacts Google's servers at every start.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 30_000


def launch(playwright: Playwright) -> Browser:
    """Start the browser without a window."""
    return playwright.chromium.launch(
        executable_path=str(CHROMIUM), args=QUIET, chromium_sandbox=False
    )


def take(options: argparse.Namespace) -> None:
    """Open the page with the key, wait until its forecasts are drawn, and write the screenshot."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
            device_scale_factor=options.scale,
        )
        page = context.new_page()
        page.goto(options.url + (f"#key={options.key}" if options.key else ""))
        page.wait_for_selector(
            "#map circle[aria-label*=\x27, \x27], #chart path.line.forecast", timeout=PATIENCE_MS
        )
        page.screenshot(path=options.out, full_page=options.full)
        browser.close()


def main() -> int:
    """Read the command line and take the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--key", default="", help="an API key, if the page asks for one")
    parser.add_argument("--out", required=True)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what fits")
    if not CHROMIUM.exists():
        print(f"{CHROMIUM} not found; install Debian's package chromium", file=sys.stderr)
        return 1
    take(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
