"""How soon a reader sees the page: a new browser on throttled connections, at the address of a running site."""

from __future__ import annotations

import argparse
import json
import time
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

from docs.screenshot import PATIENCE_MS, launch

# Lighthouse's "slow 4G" and WebPageTest's "4G" and "cable": round trip in ms, megabits per second down and up.
CONNECTIONS = {"slow 4G": (150, 1.6, 0.75), "4G": (170, 9.0, 9.0), "cable": (28, 5.0, 1.0)}
DRAWN = "() => document.querySelector(\"#map circle[aria-label*=', '], #chart path.line.forecast\")"


class View(NamedTuple):
    """A first view: seconds until it is drawn, bytes and requests until then."""

    seconds: float
    kilobytes: float
    requests: int


def first_view(browser: Browser, address: str, connection: tuple[float, float, float]) -> View:
    """Open an address with an empty cache; wait until the map or the chart is drawn."""
    delay, down, up = connection
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    received: list[float] = []
    network.on("Network.loadingFinished", lambda done: received.append(done["encodedDataLength"]))
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": delay,
            "downloadThroughput": down * 1e6 / 8,
            "uploadThroughput": up * 1e6 / 8,
        },
    )
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(DRAWN, timeout=PATIENCE_MS)
    seconds = time.perf_counter() - started
    view = View(seconds, sum(received) / 1000, len(received))
    context.close()
    return view


def main(arguments: argparse.Namespace) -> None:
    """Measure, and print a line for each connection."""
    address = arguments.url + (f"#key={arguments.key}" if arguments.key else "")
    figures: dict[str, dict[str, float]] = {}
    with sync_playwright() as playwright:
        browser = launch(playwright)
        first_view(browser, address, (0, 100, 100))  # the browser's own first page takes longer
        for name, connection in CONNECTIONS.items():
            views = [first_view(browser, address, connection) for _ in range(arguments.rounds)]
            seconds = median(view.seconds for view in views)
            figures[name] = views[-1]._asdict() | {"seconds": round(seconds, 2)}
            print(
                f"{name}: {seconds:.2f} s, {views[-1].kilobytes:.0f} kB, {views[-1].requests} requests"
            )
        browser.close()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
