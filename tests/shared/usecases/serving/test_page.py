"""The dashboard page in Debian's Chromium, with the real API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from docs.screenshot import CHROMIUM, launch
from tests import emulators
from tests.shared.usecases.serving.serving_app import KEY, app, publish, running
from tests.shared.usecases.serving.snapshots import snapshot

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (Debian's package chromium)"
    ),
]
LINE = "#chart path.line.forecast"


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
        publish(snapshot())
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
        yield browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
        browser.close()


@pytest.fixture
def complaints(browser_page: Page, address: str) -> Iterator[list[str]]:
    """Errors of the page, and requests to any other address, during the test."""
    found: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": lambda m: found.append(m.text) if m.type == "error" else None,
        "pageerror": lambda e: found.append(str(e)),
        "request": lambda r: None if r.url.startswith((address, "data:")) else found.append(r.url),
    }
    for event, listener in listeners.items():
        browser_page.on(event, listener)
    yield found
    for event, listener in listeners.items():
        browser_page.remove_listener(event, listener)


@pytest.fixture
def page(browser_page: Page, address: str) -> Page:
    """The dashboard with a key and its first counter's chart."""
    browser_page.goto("about:blank")
    browser_page.set_viewport_size({"width": 1280, "height": 900})
    browser_page.goto(f"{address}/#key={KEY}")
    expect(browser_page.locator(LINE)).to_be_visible()
    return browser_page


def test_the_key_is_taken_out_of_the_address(page: Page, address: str) -> None:
    assert page.url == f"{address}/"
    assert page.evaluate("sessionStorage.getItem('velocast-key')") == KEY


def test_clicking_a_counter_shows_its_forecast(page: Page, complaints: list[str]) -> None:
    page.locator("circle[data-counter='c-4']").click()
    expect(page.locator("#counter-title")).to_have_text("Rue 4 N-S")
    expect(page.locator("#counter-facts")).to_have_text(
        "Last count: 3 on Mon 2 Mar, 23:00. Forecast based on the model in use, then the counter's typical week."
    )
    expect(page.locator("#chart svg")).to_have_attribute("aria-label", "Bikes per hour at Rue 4 N-S: "
        "observed counts, then the forecast with its 90 percent interval")  # fmt: skip
    for part in ("path.band", "path.line.observed", "path.line.typical"):
        assert len(page.locator(f"#chart {part}").get_attribute("d") or "") > 100
    page.locator("summary").click()
    assert page.locator("#table tbody tr").count() == 120
    assert page.locator("#table tbody tr").first.inner_text().split("\t")[4] == "model"
    assert complaints == []


def test_a_counter_is_chosen_by_keyboard_too(page: Page) -> None:
    page.locator("circle[data-counter='c-2']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#counter-title")).to_have_text("Rue 2 N-S")
    page.select_option("#counter", "c-7")
    expect(page.locator("#counter-title")).to_have_text("Rue 7 N-S")
    expect(page.locator("circle[data-counter='c-7']")).to_have_attribute("aria-pressed", "true")


def test_the_chart_shows_each_hours_values(page: Page) -> None:
    page.select_option("#counter", "c-4")
    expect(page.locator("#counter-title")).to_have_text("Rue 4 N-S")
    page.locator("#chart svg").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#chart .tip")).to_contain_text("Tue 3 Mar, 11:00")
    expect(page.locator("#chart .tip")).to_contain_text("forecast")
    for _ in range(11):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#chart .tip")).to_contain_text("Tue 3 Mar, 00:00")


def test_the_slider_colours_another_hour(page: Page, complaints: list[str]) -> None:
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 10:00")
    dot = page.locator("circle[data-counter='c-9']")
    before = dot.get_attribute("class")
    page.locator("#hour").fill("3")
    expect(dot).not_to_have_class(before or "")
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 03:00")
    assert complaints == []


def test_the_map_zooms(page: Page) -> None:
    def width() -> float:
        return float((page.locator("#map").get_attribute("viewBox") or "").split()[2])

    whole = width()
    page.locator("#zoom-in").click()
    assert width() < whole
    page.locator("#zoom-fit").click()
    assert width() == pytest.approx(whole)
    page.locator("#map").hover(position={"x": 60, "y": 300})
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        f"Number(document.querySelector('#map').getAttribute('viewBox').split(' ')[2]) < {whole}"
    )


def test_the_champion_and_the_licence_are_shown(page: Page) -> None:
    expect(page.locator("#champion")).to_contain_text("7 (gbm)")
    expect(page.locator("#champion")).to_contain_text("0.874")
    expect(page.locator("#attribution")).to_have_text(
        "Bike counts: a made-up city · Licence: CC0 1.0"
    )


def test_counters_without_a_place_are_a_list_under_the_map(
    page: Page, address: str, complaints: list[str]
) -> None:
    expect(page.locator("#unplaced")).to_be_hidden()
    some = nobodys(page, address, unplaced=lambda counter: counter["counter_id"] == "c-4")
    expect(some.locator("#map-frame")).to_be_visible()
    expect(some.locator("#unplaced-note")).to_have_text(
        re.compile(r"Without a place on the map: 1 of \d+ counters")
    )
    some.locator("#unplaced button").click()
    expect(some.locator("#counter-title")).to_have_text("Rue 4 N-S")
    assert complaints == []


def test_a_city_without_places_and_licence_claims_neither(
    page: Page, address: str, complaints: list[str]
) -> None:
    bare = nobodys(page, address, unplaced=lambda counter: True)
    expect(bare.locator("#map-frame")).to_be_hidden()
    expect(bare.locator("#unplaced-note")).to_have_text(
        "The city gives no places for its counters."
    )
    buttons = bare.locator("#unplaced button")
    assert buttons.count() == bare.locator("#counter option").count() > 10
    assert re.search(r"\d$", buttons.first.inner_text())
    coloured = bare.locator("#unplaced i").evaluate_all("dots => dots.map((dot) => dot.className)")
    assert len(set(coloured)) > 1, "busy counters are coloured as on the map"
    assert set(coloured) <= {"l0", "l1", "l2", "l3", "l4", "l5"}
    expect(bare.locator("#attribution")).to_be_hidden()
    assert complaints == []


def nobodys(page: Page, address: str, *, unplaced: Callable[[dict[str, Any]], bool]) -> Page:
    """Open the dashboard on answers in which nothing is claimed and some counters have no place."""

    def change(route: Route) -> None:
        answer = route.fetch().json() | {
            "attribution": None, "attribution_url": None, "licence": None
        }  # fmt: skip
        for counter in filter(unplaced, answer["counters"]):
            counter.update(latitude=None, longitude=None)
        route.fulfill(json=answer)

    page.route("**/v1/counters", change)
    try:
        page.goto("about:blank")
        page.goto(f"{address}/#key={KEY}")
        expect(page.locator(LINE)).to_be_visible()
    finally:
        page.unroute("**/v1/counters", change)
    return page


def test_a_single_forecast(page: Page, complaints: list[str]) -> None:
    page.select_option("#hand-counter", "c-4")
    page.locator("#hand-at").fill("2026-07-06T08:00")  # summer time, long after the horizon
    page.locator("#hand button").click()
    expect(page.locator("#hand-answer")).to_contain_text("Based on the counter's typical week.")
    expect(page.locator("#hand-answer")).to_contain_text("Mon 6 Jul, 08:00")
    page.select_option("#hand-task", "affluence")
    page.select_option("#hand-place", "position")
    page.locator("#hand-at").fill("2026-03-04T03:00")
    page.locator("#hand button").click()
    expect(page.locator("#hand-answer strong")).to_have_text("Not busy")
    expect(page.locator("#hand-answer")).to_contain_text("Based on nearby counters.")
    assert complaints == []


def test_a_wrong_key_asks_for_another(browser_page: Page, address: str) -> None:
    browser_page.goto("about:blank")
    browser_page.goto(f"{address}/#key=wrong")
    expect(browser_page.locator("#key-form")).to_be_visible()
    expect(browser_page.locator("#message")).to_contain_text("Unknown API key")
    expect(browser_page.locator("#main")).to_be_hidden()
    browser_page.fill("#key", KEY)
    browser_page.locator("#key-form button").click()
    expect(browser_page.locator(LINE)).to_be_visible()
    expect(browser_page.locator("#message")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator(LINE)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light == {"light": "rgb(243, 245, 244)", "dark": "rgb(15, 22, 21)"}[scheme]


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, select, circle, #chart svg')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
      .map((e) => e.outerHTML)""")
    assert nameless == []


def test_the_documentation_reads_the_document(
    browser_page: Page, address: str, complaints: list[str]
) -> None:
    browser_page.goto(f"{address}/docs")
    expect(browser_page.locator(".opblock")).to_have_count(8)
    assert complaints == []


def test_the_screenshot_script_takes_a_picture(address: str, tmp_path: Path) -> None:
    out = tmp_path / "page.png"
    command = [
        sys.executable,
        "docs/screenshot.py",
        address,
        "--key",
        KEY,
        "--out",
        str(out),
        "--full",
    ]
    subprocess.run(command, check=True, timeout=120)
    assert out.read_bytes().startswith(b"\x89PNG")
