"""The page for everybody: axe finds no violation, keys and fingers reach everything, large text fits."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.shared.usecases.serving.serving_app import KEY
from tests.shared.usecases.site.browser import IN_BROWSER, LINE, open_at

pytestmark = IN_BROWSER
# All of axe's rules, WCAG 2.2's minimum size of targets too, which axe leaves out unless asked.
RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
WIDTHS = (390, 1280)
VIEWS = {"/": "#map circle[aria-label*=', ']", "/counter/c-4": LINE}


def opened(page: Page, address: str, path: str, width: int) -> Page:
    """Open a view at a width, and wait until it is drawn."""
    open_at(page, address + path)
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.locator(VIEWS[path]).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", VIEWS)
def test_axe_finds_no_violation(
    browser_page: Page, address: str, path: str, width: int, scheme: str
) -> None:
    browser_page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = opened(browser_page, address, path, width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    results = Axe().run(page, options=RULES)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", VIEWS)
def test_a_finger_hits_every_control(
    browser_page: Page, address: str, path: str, width: int
) -> None:
    """24 px in both directions (WCAG 2.2, 2.5.8). The map's sites have a wider reach than their dots: test_page.py."""
    page = opened(browser_page, address, path, width)
    small = page.evaluate("""() => [...document.querySelectorAll('a, button, input, select, summary')]
      .map((e) => ({ e, box: e.getBoundingClientRect() }))
      .filter(({ e, box }) => e.checkVisibility() && box.left >= 0 && Math.min(box.width, box.height) < 24)
      .map(({ e, box }) => `${e.outerHTML.slice(0, 90)} ${box.width.toFixed(1)} x ${box.height.toFixed(1)}`)""")
    assert small == []


def test_every_control_has_a_name(browser_page: Page, address: str) -> None:
    for path in VIEWS:
        page = opened(browser_page, address, path, 1280)
        controls = "button, input, select, #map circle, #chart svg"
        nameless = page.evaluate(f"""() => [...document.querySelectorAll('{controls}')]
          .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
          .map((e) => e.outerHTML)""")
        assert nameless == []


@pytest.mark.parametrize("counter", ["c-4", "c-9"])
def test_fewer_than_ten_stops_lead_to_the_chart(
    browser_page: Page, address: str, counter: str
) -> None:
    """From the top of the page, without the link that skips its head."""
    page = open_at(browser_page, f"{address}/counter/{counter}")
    expect(page.locator(LINE)).to_be_visible()
    expect(page.locator("#change-key")).to_be_visible()  # a key in use is one stop more
    page.evaluate("document.activeElement.blur()")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#chart') !== null"):
            return
    pytest.fail("nine stops do not reach the chart")


def test_arrow_keys_go_through_the_ranges_as_one_stop(counter_page: Page) -> None:
    ranges = counter_page.locator("#range button")
    names = ranges.evaluate_all("all => all.map((b) => b.dataset.range)")
    assert ranges.evaluate_all("all => all.map((b) => b.tabIndex)").count(0) == 1
    ranges.first.focus()
    for name in [*names[1:], names[0]]:
        counter_page.keyboard.press("ArrowRight")
        expect(counter_page.locator(f"#range button[data-range={name}]")).to_be_focused()
    counter_page.keyboard.press("End")
    counter_page.keyboard.press("Enter")
    expect(ranges.last).to_have_attribute("aria-pressed", "true")
    expect(ranges.last).to_be_focused()


def test_the_chart_is_drawn_without_a_mouse(counter_page: Page) -> None:
    counter_page.locator("#chart svg").focus()
    counter_page.keyboard.press("ArrowRight")
    expect(counter_page.locator("#chart .tip")).to_be_visible()
    counter_page.keyboard.press("Enter")
    expect(counter_page.locator("#chart svg")).to_be_focused()


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize("zoom", [2, 4])
def test_nothing_is_cut_off_when_zoomed(
    address: str, browser_page: Page, path: str, zoom: int
) -> None:
    """A screen of 1,280 px at 200 % and, as WCAG's reflow asks, at 400 %."""
    browser = browser_page.context.browser
    assert browser is not None
    context = browser.new_context(
        viewport={"width": 1280 // zoom, "height": 1024 // zoom},
        device_scale_factor=zoom,
        locale="en-GB",
    )
    try:
        page = context.new_page()
        page.goto(f"{address}{path}#key={KEY}")
        expect(page.locator(VIEWS[path]).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280 // zoom
    finally:
        context.close()


@pytest.mark.parametrize("path", VIEWS)
def test_text_of_twice_the_size_fits(browser_page: Page, address: str, path: str) -> None:
    page = opened(browser_page, address, path, 1280)
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("width", [390, 768, 1280, 1920, 2560])
@pytest.mark.parametrize("path", VIEWS)
def test_it_fits_every_screen(browser_page: Page, address: str, path: str, width: int) -> None:
    page = opened(browser_page, address, path, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
