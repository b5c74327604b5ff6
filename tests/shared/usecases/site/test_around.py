"""What stands around the counts: weather and events on the chart's axis, and the reader's place on the map."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import KEY
from tests.shared.usecases.site.browser import IN_BROWSER, LINE, open_at
from velocast.usecases.site.counter_pages import file_name_of

pytestmark = IN_BROWSER
RAINY = 10  # hours of five days, two a day, of which the last is known too


def test_weather_and_events_stand_on_the_axis(counter_page: Page, complaints: list[str]) -> None:
    expect(counter_page.locator("#chart rect.rain")).to_have_count(RAINY)
    # the strike, which has no end; the closure concerns another counter
    expect(counter_page.locator("#chart rect.event title")).to_have_text(["Strike"])
    degrees = counter_page.locator("#chart .degrees").all_text_contents()
    assert degrees[:4] == ["4–12°"] * 4
    expect(counter_page.locator("#weather-source")).to_have_text(
        re.compile("Weather data by Open-Meteo.com · .*CC BY 4.0")
    )
    for series in ("rain", "events"):
        expect(counter_page.locator(f"#key-list [data-series={series}]")).to_be_visible()
    assert complaints == []


def test_the_table_and_the_file_say_what_the_marks_show(
    counter_page: Page, tmp_path: Path, complaints: list[str]
) -> None:
    counter_page.locator("details:has(#table) > summary").click()
    head = counter_page.locator("#table thead th").all_text_contents()
    assert head[-3:] == ["temperature (°C)", "rain (mm)", "events"]
    with counter_page.expect_download() as download:
        counter_page.locator("#csv").click()
    download.value.save_as(tmp_path / "days.csv")
    with (tmp_path / "days.csv").open(newline="", encoding="utf-8") as file:
        saved = {row["at"]: row for row in csv.DictReader(file)}
    card = snapshots.weather()
    for hour, at in enumerate(snapshots.HOURS):
        row = saved[f"{at:%Y-%m-%dT%H:%M:%SZ}"]
        known = card.temperature_c[hour], card.rain_mm[hour]
        assert (row["temperature"], row["rain"]) == tuple(
            "" if value is None else f"{value:g}" for value in known
        )
        assert row["events"] == "Strike"
    before = f"{snapshots.ORIGIN - snapshots.HOUR:%Y-%m-%dT%H:%M:%SZ}"
    assert (saved[before]["rain"], saved[before]["events"]) == ("", "")
    assert complaints == []


def test_an_hour_is_told_with_its_weather(counter_page: Page) -> None:
    counter_page.locator("#chart svg").focus()
    counter_page.keyboard.press("ArrowRight")
    expect(counter_page.locator("#chart .tip")).to_contain_text("12 °C, 1.5 mm of rain")
    expect(counter_page.locator("#chart .tip")).to_contain_text("Strike")


def test_a_closure_is_a_band_over_its_days(browser_page: Page, address: str) -> None:
    page = open_at(browser_page, f"{address}/counter/{quote(file_name_of('c/9 b'))}")
    expect(page.locator(LINE)).to_be_visible()
    expect(page.locator("#chart rect.closure title")).to_have_text(["Works <b>& more</b>"])
    wide, whole = (
        page.locator(f"#chart rect.{kind}").evaluate("node => node.width.baseVal.value")
        for kind in ("closure", "event:not(.closure)")
    )
    assert wide / whole == pytest.approx(48 / 119, abs=0.02)  # two of five days
    page.locator("#range button[data-range=typical]").click()
    expect(page.locator("#chart rect.event")).to_have_count(0)
    expect(page.locator("#weather-source")).to_be_hidden()


@pytest.fixture
def context(browser_page: Page) -> Iterator[BrowserContext]:
    browser = browser_page.context.browser
    assert browser is not None
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    yield context
    context.close()


def city_page(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(f"{address}/#key={KEY}")
    expect(page.locator("#map-hour")).not_to_be_empty()
    return page


def test_my_position_names_the_nearest_sites_and_stays_in_the_browser(
    context: BrowserContext, address: str
) -> None:
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": 48.8566, "longitude": 2.3522})
    asked: list[str] = []
    page = city_page(context, address)
    expect(page.locator("#hand-card")).to_be_visible()  # the last thing that a page loads by itself
    expect(page.locator("#near")).to_be_hidden()
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#zoom-here").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#near-note")).to_have_text("Nearest to you:")
    expect(page.locator("#near-list a").first).to_be_visible()
    texts = page.locator("#near-list .quiet").all_text_contents()
    assert len(texts) >= 4
    assert all(re.fullmatch(r"[\d.,]+ k?m", text) for text in texts)
    metres = [
        float(text.split()[0].replace(",", "")) * (1 if text.endswith(" m") else 1000)
        for text in texts
    ]
    assert metres == sorted(metres)
    here = page.locator("#map .here").bounding_box()
    frame = page.locator("#map").bounding_box()
    assert here is not None
    assert frame is not None
    assert frame["x"] <= here["x"] <= frame["x"] + frame["width"]
    assert [url.rsplit("/", 1)[1].split("?")[0] for url in asked] == ["position.js"]
    assert Axe().run(page).violations_count == 0
    page.locator("#near-list a").first.click()
    expect(page.locator("#counter-view")).to_be_visible()


def test_a_position_far_away_leaves_the_map_where_it_is(
    context: BrowserContext, address: str
) -> None:
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": -36.85, "longitude": 174.76})
    page = city_page(context, address)
    before = page.locator("#map").get_attribute("viewBox")
    page.locator("#zoom-here").click()
    expect(page.locator("#near-list .quiet").first).to_have_text(re.compile(r"18,\d{3} km"))
    assert page.locator("#map").get_attribute("viewBox") == before


def test_a_refused_position_is_one_line(context: BrowserContext, address: str) -> None:
    page = city_page(context, address)
    page.locator("#zoom-here").click()
    expect(page.locator("#near-note")).to_have_text("Your browser did not give your position.")
    expect(page.locator("#near-list li")).to_have_count(0)
