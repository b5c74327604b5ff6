"""The real API with a made-up city, and one browser page for each module of tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from docs.screenshot import launch
from tests import emulators
from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import app, publish, running
from tests.shared.usecases.serving.snapshots import snapshot
from tests.shared.usecases.site.browser import LINE, open_at
from velocast.usecases.snapshot_format import (
    CityGrowth,
    EventCard,
    FaultCard,
    GrowthCard,
    HealthCard,
    ProposedCard,
)


@pytest.fixture(scope="module")
def address(
    object_store: emulators.RunningObjectStore, stack_variables: dict[str, str]
) -> Iterator[str]:
    """The API with the made-up city, shared by all tests of this module."""
    bucket = emulators.BUCKETS["models"]
    before = dict(os.environ)
    os.environ.update(stack_variables)
    try:
        object_store.store.ensure_bucket(bucket, versioning=True)
        known = snapshot()
        growth = GrowthCard(
            change=0.068,
            low=0.046,
            high=0.091,
            claimed=True,
            raw=-0.012,
            rebuilt=0.08,
            weather=0.01,
            estimated=0.03,
        )
        twin = snapshots.counter(
            9,
            55,
            counter_id="c/9 b",
            counter_name="Rue 9 S-N",
            fault=FaultCard(kind="dead", since=snapshots.ORIGIN, evidence="0 bikes"),
            health=HealthCard(days_silent=0.5, usable_share=0.8, wape=0.21),
            growth=growth.model_copy(update={"claimed": False, "weather": None, "low": -0.04}),
        )
        works = EventCard(
            kind="closure",
            what="Works <b>& more</b>",
            since=snapshots.ORIGIN,
            until=snapshots.ORIGIN + timedelta(days=2),
            counters=("c/9 b",),
        )
        strike = EventCard(kind="event", what="Strike", since=snapshots.ORIGIN)
        weather = snapshots.weather()
        changes = {
            "counters": (*known.counters, twin),
            "events": (strike, works),
            "weather": weather,
            "proposed": (
                ProposedCard(
                    counter_id="c-3",
                    continues="c-old",
                    old_name="Rue <i>3</i>",
                    since=date(2026, 2, 20),
                ),
            ),
            "growth": CityGrowth(
                before=date(2024, 3, 11),
                now=date(2025, 3, 10),
                days=364,
                whole_year=True,
                growth=growth,
            ),
        }
        publish(known.model_copy(update=changes))
        # The browser's clock is not the test's: a replay stands at its publication.
        with running(app(requests_per_minute=10_000)) as url:
            yield url
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def browser_page(address: str) -> Iterator[Page]:
    """One page for all tests; the browser takes a second to start."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
        page.clock.install(time=snapshots.NOW)
        page.clock.resume()
        yield page
        browser.close()


@pytest.fixture
def complaints(browser_page: Page, address: str) -> Iterator[list[str]]:
    """Errors of the page, and requests to any other address, during the test."""
    found: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": lambda m: found.append(f"{m.text} {m.location}") if m.type == "error" else None,
        "pageerror": lambda e: found.append(str(e)),
        "request": lambda r: (
            None if r.url.startswith((address, "data:", "blob:")) else found.append(r.url)
        ),
    }
    for event, listener in listeners.items():
        browser_page.on(event, listener)
    yield found
    for event, listener in listeners.items():
        browser_page.remove_listener(event, listener)


@pytest.fixture
def page(browser_page: Page, address: str) -> Page:
    """The city's page."""
    open_at(browser_page, f"{address}/")
    expect(browser_page.locator("#today")).not_to_be_empty()
    expect(browser_page.locator("#map-hour")).not_to_be_empty()
    return browser_page


@pytest.fixture
def counter_page(browser_page: Page, address: str) -> Page:
    """The page of one counter."""
    open_at(browser_page, f"{address}/counter/c-4")
    expect(browser_page.locator(LINE)).to_be_visible()
    return browser_page
