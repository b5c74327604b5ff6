"""The page in Debian's Chromium, with the real API."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from math import asinh, pi, radians, tan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import KEY
from tests.shared.usecases.site.browser import IN_BROWSER, LINE, open_at
from velocast.core.datetimes import rfc3339

pytestmark = IN_BROWSER
FIRST_VIEW_BYTES = 150_000
FIRST_VIEW_REQUESTS = 20


def test_the_key_is_taken_out_of_the_address(page: Page, address: str) -> None:
    assert page.url == f"{address}/"
    assert page.evaluate("sessionStorage.getItem('velocast-key')") == KEY


def test_a_faulty_counter_is_listed_with_its_health(page: Page, complaints: list[str]) -> None:
    listed = page.locator("#conspicuous li", has_text="Rue 9 S-N")
    words = "80% of the last 28 days' hours usable; forecasts off by 21% of the bikes"
    expect(listed).to_contain_text(f"counts nothing since 3 Mar 2026; {words}")
    listed.locator("a").click()
    expect(page.locator("#health")).to_have_text(f"counts nothing since 3 Mar 2026; {words}")
    assert complaints == []


def test_a_counter_that_may_continue_another_one_is_listed_with_what_to_do(
    page: Page, complaints: list[str]
) -> None:
    expect(page.locator("#conspicuous li", has_text="Rue 3 N-S")).to_have_text(
        "Rue 3 N-Smay have replaced “Rue <i>3</i>” on 20 Feb 2026; operators can confirm or "
        "decline this with “velocast counts continues”"
    )
    assert complaints == []


def test_events_are_shown_in_the_city_and_at_their_counters(
    page: Page, complaints: list[str]
) -> None:
    works = "Works <b>& more</b>3 Mar 2026 – 4 Mar 2026; closed: counts of this time are not used"
    strike = "Strikefrom 3 Mar 2026 until further notice"
    expect(page.locator("#events li")).to_have_text([strike, works])
    page.locator("#conspicuous li", has_text="Rue 9 S-N").locator("a").click()
    expect(page.locator("#counter-events li")).to_have_text([strike, works])
    expect(page.locator("#counter-events-card")).to_be_visible()
    assert complaints == []


def test_growth_is_told_with_its_interval_in_the_city_and_at_a_counter(
    page: Page, complaints: list[str]
) -> None:
    expect(page.locator("#city-growth")).to_have_text(
        "+6.8% over the 364 days from 10 March 2025, compared with a year earlier and adjusted for weather and "
        "calendar (90% interval: +4.6% to +9.1%). As counted: -1.2%; with estimates for the gaps: +8.0%.",
    )
    page.locator("#conspicuous a", has_text="Rue 9 S-N").click()
    expect(page.locator("#growth")).to_have_text(
        "+6.8% over the 364 days from 10 March 2025, compared with a year earlier and adjusted for the calendar, but "
        "not for the weather, which is not known (90% interval: -4.0% to +9.1%). This may be due to chance. As "
        "counted: -1.2%; with estimates for the gaps: +8.0%."
    )
    assert complaints == []


def test_it_says_until_which_hour_counts_of_the_day_are_known(
    browser_page: Page, page: Page, address: str, complaints: list[str]
) -> None:
    def eight_hours_later(route: Route) -> None:
        answer = route.fetch()
        later = snapshots.ORIGIN + timedelta(hours=8)
        route.fulfill(response=answer, json=answer.json() | {"origin_at": rfc3339(later)})

    expect(page.locator("#freshness")).not_to_contain_text("with the counts")
    browser = browser_page.context.browser
    context = browser.new_context(locale="en-GB", service_workers="block")
    fresh = context.new_page()
    fresh.route("**/manifest.json", eight_hours_later)
    fresh.goto(f"{address}/#key={KEY}")
    expect(fresh.locator("#freshness")).to_contain_text(" · with counts up to 08:00")
    context.close()
    assert complaints == []


def test_the_first_view_is_small(browser_page: Page, address: str, complaints: list[str]) -> None:
    sizes: list[int] = []
    context = browser_page.context.browser.new_context(locale="en-GB")  # nothing cached
    fresh = context.new_page()
    fresh.on("response", lambda r: sizes.append(r.request.sizes()["responseBodySize"]))
    fresh.goto(f"{address}/#key={KEY}")
    expect(fresh.locator("#map circle.same").first).to_be_visible()
    context.close()
    assert sum(sizes) < FIRST_VIEW_BYTES
    assert len(sizes) <= FIRST_VIEW_REQUESTS
    assert complaints == []


def test_today_is_said_against_what_is_usual(page: Page) -> None:
    day = [at for at in snapshots.HOURS if snapshots.local_week_hour(at) // 24 == 1]
    levels = [40 + 30 * i for i in range(12)] + [55]
    total = sum(
        snapshots.week_value(n, snapshots.local_week_hour(at)) for n in levels for at in day
    )
    expect(page.locator("#today")).to_have_text(
        f"Tuesday 3 March: about {round(total, -2):,.0f} bikes are expected, about as many as usual."
    )
    # The peaks of the made-up week: at 8 h, and at 18 h with the hour before it.
    expect(page.locator("#busiest-hours")).to_have_text(
        "Busiest hours today: 08:00–09:00 and 17:00–19:00."
    )
    expect(page.locator("#days tbody tr")).to_have_count(5)
    expect(page.locator("#busiest li").first).to_contain_text("Rue 11 N-S")


def test_how_good_the_forecasts_are_is_the_past_beside_the_counts(page: Page) -> None:
    counters = [*(snapshots.counter(i, 40 + 30 * i) for i in range(12)), snapshots.counter(9, 55)]
    found = [
        (predicted, count, round(lower) <= count <= round(upper))
        for c in counters
        for predicted, count, lower, upper in zip(
            np.array(c.past_predicted, float),
            c.recent,
            np.array(c.past_lower, float),
            np.array(c.past_upper, float),
            strict=True,
        )
        if count is not None
    ]
    mae = sum(abs(p - c) for p, c, _ in found) / len(found)
    wape = sum(abs(p - c) for p, c, _ in found) / sum(c for _, c, _ in found)
    inside = sum(i for *_, i in found) / len(found)
    expect(page.locator("#accuracy")).to_contain_text(
        f"{mae:.1f} bikes per hour off on average, which is {wape:.0%} of all bikes; "
        f"{inside:.0%} of {len(found):,} hours"
    )


def test_the_champions_score_on_its_newest_test_is_shown(page: Page) -> None:
    expect(page.locator("#champion")).to_contain_text("7 (gbm)")
    expect(page.locator("#champion")).to_contain_text("0.874")
    expect(page.locator("#attribution")).to_have_text(
        "Bike counts: a made-up city · Licence: CC0 1.0"
    )


def test_a_counter_has_an_address_that_names_hour_and_range(
    browser_page: Page, address: str, complaints: list[str]
) -> None:
    page = open_at(browser_page, f"{address}/counter/c-4?hour=2026-03-04T08&range=days")
    expect(page.locator("h1#counter-title")).to_have_text("Rue 4 N-S")
    value = snapshots.week_value(160, 2 * 24 + 8)
    low, high = round(value * 0.7, 1), round(value * 1.3 + 2, 1)
    expect(page.locator("#words strong")).to_have_text(
        f"between {low:.0f} and {high:.0f} bikes, most likely {value:.0f}"
    )
    expect(page.locator("#words")).to_contain_text("Wednesday 4 March, 08:00–09:00")
    expect(page.locator("#counter-facts")).to_have_text(
        "Last count: 3 on Mon 2 Mar, 23:00. Forecast based on the model in use."
    )
    page.locator("#range button[data-range=past]").click()
    page.locator("#chart svg").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "range=past" in page.url
    page.reload()
    expect(page.locator("#range button[data-range=past]")).to_have_attribute("aria-pressed", "true")
    assert complaints == []


def test_the_table_and_the_file_are_what_the_chart_shows(
    counter_page: Page, tmp_path: Path, complaints: list[str]
) -> None:
    for part in ("path.band", "path.line.observed", "path.line.typical"):
        assert len(counter_page.locator(f"#chart {part}").first.get_attribute("d") or "") > 100
    counter_page.locator("#range button[data-range=past]").click()
    counter_page.locator("details:has(#table) > summary").click()
    rows = counter_page.locator("#table tbody tr").count()
    with counter_page.expect_download() as download:
        counter_page.locator("#csv").click()
    download.value.save_as(tmp_path / "past.csv")
    with (tmp_path / "past.csv").open(newline="") as file:
        saved = list(csv.DictReader(file))
    counter = snapshots.counter(4, 160)
    hours = [h for h in range(snapshots.RECENT_HOURS) if h >= 10]  # 14 days up to the current hour
    kept = {row["at"]: row for row in saved}
    assert len(saved) == rows == 336
    for hour in hours:
        at = f"{snapshots.RECENT_FROM + hour * snapshots.HOUR:%Y-%m-%dT%H:%M:%SZ}"
        count = counter.recent[hour]
        assert kept[at]["observed"] == ("" if count is None else str(round(count)))
        assert float(kept[at]["forecast"]) == counter.past_predicted[hour]
    assert download.value.suggested_filename == "c-4-past.csv"
    assert complaints == []


def test_both_directions_of_a_place_can_be_reached(page: Page, complaints: list[str]) -> None:
    page.locator("circle[data-site='c-9']").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#site-list a")).to_have_text(["Rue 9 N-S", "Rue 9 S-N"])
    page.locator("#site-list a").last.click()
    expect(page.locator("#counter-title")).to_have_text("Rue 9 S-N")
    expect(page.locator("#siblings a")).to_have_text("Rue 9 N-S")
    page.reload()
    expect(page.locator("#counter-title")).to_have_text("Rue 9 S-N")
    page.go_back()
    expect(page.locator("#city-view")).to_be_visible()
    assert complaints == []


def test_nothing_moves_while_it_loads(browser_page: Page, address: str) -> None:
    page = open_at(browser_page, f"{address}/")
    expect(page.locator("#hand-card")).to_be_visible()
    moved = page.evaluate("""() => new Promise((done) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) sum += entry.hadRecentInput ? 0 : entry.value;
      }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => done(sum), 200);
    })""")
    assert moved < 0.1  # "good" by web.dev's measure


def test_a_touch_beside_a_site_reaches_it(page: Page) -> None:
    box = page.locator("circle[data-site='c-4']").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(middle[0], middle[1] + 11.5)
    expect(page.locator("#counter-title")).to_have_text("Rue 4 N-S")


def test_a_click_on_a_site_opens_its_counter_and_search_finds_it(page: Page) -> None:
    page.locator("circle[data-site='c-4']").click()
    expect(page.locator("#counter-title")).to_have_text("Rue 4 N-S")
    page.locator("#find").fill("rue 7")
    page.keyboard.press("Enter")
    expect(page.locator("#counter-title")).to_have_text("Rue 7 N-S")


def test_the_chart_shows_each_hours_values(counter_page: Page) -> None:
    counter_page.locator("#chart svg").focus()
    counter_page.keyboard.press("ArrowRight")
    expect(counter_page.locator("#chart .tip")).to_contain_text("Tue 3 Mar, 11:00")
    expect(counter_page.locator("#chart .tip")).to_contain_text("forecast")
    for _ in range(11):
        counter_page.keyboard.press("ArrowLeft")
    expect(counter_page.locator("#chart .tip")).to_contain_text("Tue 3 Mar, 00:00")


def test_the_slider_colours_another_hour(page: Page, complaints: list[str]) -> None:
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 10:00")
    page.select_option("#colour", "bikes")
    dot = page.locator("circle[data-site='c-7']")
    before = dot.get_attribute("class")
    page.locator("#hour").fill("3")
    expect(dot).not_to_have_class(before or "")
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 03:00")
    assert page.url.endswith("?hour=2026-03-03T03&colour=bikes")
    page.reload()
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 03:00")
    expect(dot).to_have_class(re.compile(r"dot l\d"))
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


def changed(page: Page, address: str, path: str, change: Callable[[Any], None]) -> Page:
    """Open the city's page on changed data."""

    def answer(route: Route) -> None:
        found = route.fetch().json()
        change(found)
        route.fulfill(json=found)

    page.route(path, answer)
    try:
        open_at(page, f"{address}/")
        expect(page.locator("#today")).not_to_be_empty()
        page.wait_for_load_state("networkidle")
    finally:
        page.unroute(path, answer)
    return page


def held(page: Page, path: str) -> Callable[[], Route]:
    """Hold the answers to a path; what is returned waits for the first request and hands it out."""
    waiting: list[Route] = []

    def hold(
        route: Route,
    ) -> None:  # Playwright marks what it calls, and a list's own method cannot be marked
        waiting.append(route)

    page.route(path, hold, times=1)

    def take() -> Route:
        while not waiting:
            page.wait_for_timeout(20)
        return waiting[0]

    return take


def test_going_back_before_the_data_came_shows_what_the_address_says(
    page: Page, address: str, complaints: list[str]
) -> None:
    page.locator("circle[data-site='c-4']").click()
    expect(page.locator(LINE)).to_be_visible()
    request = held(page, "**/city.json")
    page.reload(wait_until="commit")
    answer = request()
    page.go_back(wait_until="commit")
    expect(page).to_have_url(f"{address}/")
    answer.continue_()
    expect(page.locator("#map circle").first).to_be_visible()
    expect(page.locator("#counter-view")).to_be_hidden()
    assert complaints == []


def test_a_counter_that_comes_after_the_reader_went_back_is_not_shown(
    page: Page, address: str, complaints: list[str]
) -> None:
    request = held(page, "**/counters/c-7.json")
    page.locator("circle[data-site='c-7']").click()
    answer = request()
    page.go_back()
    expect(page).to_have_url(f"{address}/")
    with page.expect_response("**/counters/c-7.json"):
        answer.continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#city-view")).to_be_visible()
    expect(page.locator("#counter-view")).to_be_hidden()
    assert complaints == []


def test_counters_without_a_place_are_a_list_and_nothing_is_claimed(
    browser_page: Page, address: str, complaints: list[str]
) -> None:
    def unplace(city: Any) -> None:
        for counter in city["counters"]:
            counter.update(latitude=None, longitude=None)

    page = changed(browser_page, address, "**/city.json", unplace)
    expect(page.locator("#map-frame")).to_be_hidden()
    expect(page.locator("#unplaced-note")).to_have_text(
        "The city gives no places for its counters."
    )
    looks = page.locator("#unplaced i").evaluate_all("dots => dots.map((dot) => dot.className)")
    assert len(looks) > 10
    assert set(looks) <= {"same", "less", "more", "much-less", "much-more", "none"}
    page.locator("#unplaced a").first.click()
    expect(page.locator("#counter-title")).to_have_text("Rue 0 N-S")
    assert complaints == []


def test_hostile_names_stay_text(browser_page: Page, address: str, complaints: list[str]) -> None:
    names = ["<img src=x onerror=alert(1)>", "ש" * 300, "x" * 300]

    def rename(city: Any) -> None:
        for counter, name in zip(city["counters"], names, strict=False):
            counter["name"] = name

    page = changed(browser_page, address, "**/city.json", rename)
    page.locator("circle[data-site='c-0']").focus()
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("Enter")
    expect(page.locator("#counter-title")).to_have_text(names[0])
    page.goto(f"{address}/counter/c-2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []


def test_a_replay_is_named_and_stands_at_its_publication(browser_page: Page, address: str) -> None:
    page = changed(
        browser_page, address, "**/manifest.json", lambda manifest: manifest.update(clock="replay")
    )
    expect(page.locator("#message")).to_contain_text("Replay of 3 March 2026")
    expect(page.locator("#message")).to_have_attribute("data-kind", "note")
    expect(page.locator("#map-hour")).to_have_text("Tue 3 Mar, 05:00")


def test_old_forecasts_are_said_to_be_old(browser_page: Page, address: str) -> None:
    def age(manifest: Any) -> None:
        manifest["city"]["time_zone"] = "Europe/Paris"

    def shift(city: Any) -> None:
        city["first_hour"] = "2025-03-02T23:00:00Z"

    browser_page.route("**/city.json", lambda r: r.fulfill(json=shifted(r, shift)))
    try:
        page = changed(browser_page, address, "**/manifest.json", age)
        expect(page.locator("#message")).to_contain_text("out of date")
        expect(page.locator("#message")).to_have_attribute("data-kind", "warning")
    finally:
        browser_page.unroute("**/city.json")


def shifted(route: Route, change: Callable[[Any], None]) -> Any:
    """The answer that a request gets, changed."""
    found = route.fetch().json()
    change(found)
    return found


def test_streets_lie_under_the_dots_and_may_be_missing(
    browser_page: Page, address: str, complaints: list[str]
) -> None:
    asked: list[str] = []
    pixel = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d4944415478da63fccff0bf1e0005850281d15f3a1d0000000049454e44ae426082"
    )

    def tile(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body=pixel, content_type="image/png")

    browser_page.route("**/tiles/**", tile)
    source = {"url": f"{address}/tiles/{{z}}/{{x}}/{{y}}.png", "attribution": "Streets: nobody"}
    page = changed(
        browser_page,
        address,
        "**/manifest.json",
        lambda manifest: manifest["city"].update(map_tiles=source),
    )
    expect(page.locator("#attribution")).to_contain_text("Streets: nobody")
    page.wait_for_function("document.querySelectorAll('#map image').length > 3")
    # The tile under a counter is the one that every tile server has for its place (OpenStreetMap's own example
    # of these numbers: https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames).
    zooms = {url.split("/")[-3] for url in asked}
    assert len(zooms) == 1
    z = int(zooms.pop())
    x, y = _tile_of(48.854, 2.3041, z)
    assert any(url.endswith(f"/{z}/{x}/{y}.png") for url in asked)
    browser_page.unroute("**/tiles/**")
    assert complaints == []


def _tile_of(latitude: float, longitude: float, zoom: int) -> tuple[int, int]:
    """Numbers of the tile at a place, by the formula in OpenStreetMap's wiki."""
    count = 2**zoom
    x = int((longitude + 180) / 360 * count)
    y = int((1 - asinh(tan(radians(latitude))) / pi) / 2 * count)
    return x, y


def test_a_single_forecast_and_what_it_refuses(page: Page, complaints: list[str]) -> None:
    expect(page.locator("#hand-card")).to_be_visible()
    page.select_option("#hand-counter", "c-4")
    page.locator("#hand-at").fill("2026-04-06T08:00")  # summer time, long after the horizon
    page.locator("#hand button").click()
    expect(page.locator("#hand-answer")).to_contain_text("Based on the counter's typical week.")
    expect(page.locator("#hand-answer")).to_contain_text("Mon 6 Apr, 08:00")
    page.select_option("#hand-task", "affluence")
    page.select_option("#hand-place", "position")
    page.locator("#hand-at").fill("2026-03-04T03:00")
    page.locator("#hand button").click()
    expect(page.locator("#hand-answer strong")).to_have_text("Not busy")
    expect(page.locator("#hand-answer")).to_contain_text("more bikes pass than in three of four")
    assert complaints == []
    page.locator("#hand-at").fill("2029-03-04T03:00")
    page.locator("#hand button").click()
    expect(page.locator("#hand-answer")).to_contain_text("nothing is known about 2029-03-04")


def test_a_wrong_key_asks_for_another(browser_page: Page, address: str) -> None:
    browser_page.goto("about:blank")
    browser_page.goto(f"{address}/#key=wrong")
    expect(browser_page.locator("#key-form")).to_be_visible()
    expect(browser_page.locator("#message")).to_contain_text("Unknown API key")
    expect(browser_page.locator("#city-view")).to_be_hidden()
    browser_page.fill("#key", KEY)
    browser_page.locator("#key-form button").click()
    expect(browser_page.locator("#today")).not_to_be_empty()
    expect(browser_page.locator("#message")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/counter/c-4"])
def test_it_fits_a_phone(browser_page: Page, address: str, path: str, scheme: str) -> None:
    page = open_at(browser_page, address + path)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.locator("#map" if path == "/" else LINE)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light == {"light": "rgb(243, 245, 244)", "dark": "rgb(15, 22, 21)"}[scheme]


@pytest.mark.parametrize(
    ("locale", "today"), [("fr-FR", "Mardi 3 mars"), ("de-DE", "Dienstag, 3. März"), ("it-IT", "Tuesday 3 March")]
)  # fmt: skip
def test_it_speaks_the_readers_language(
    address: str, browser_page: Page, locale: str, today: str
) -> None:
    context = browser_page.context.browser.new_context(locale=locale)
    page = context.new_page()
    page.clock.install(time=snapshots.NOW)
    page.clock.resume()
    page.goto(f"{address}/#key={KEY}")
    expect(page.locator("#today")).to_contain_text(today)
    assert page.evaluate("document.documentElement.lang") == (
        locale[:2] if locale != "it-IT" else "en"
    )
    context.close()


def test_all_languages_have_the_same_words() -> None:
    folder = Path("shared/velocast/usecases/site/static")
    texts = {
        name: (folder / f"{name}.js").read_text(encoding="utf-8") for name in ("en", "fr", "de")
    }
    keys = {name: _keys(text) for name, text in texts.items()}
    assert keys["fr"] == keys["en"] == keys["de"]
    used = "".join(
        f.read_text(encoding="utf-8")
        for f in folder.iterdir()
        if f.suffix in (".js", ".html") and f.stem not in texts
    )
    composed = ("look.", "basis.", "range.", "fault.", "what.", "year.latest", "year.before")
    dead = {k for k in keys["en"] if f'"{k}"' not in used and not k.startswith(composed)}
    assert not dead


def _keys(text: str) -> dict[str, set[str]]:
    """Each key with the values that its text names."""
    found = re.findall(r'"([a-z0-9_.-]+)": "((?:[^"\\]|\\.)*)"', text)
    return {key: set(re.findall(r"\{(\w+)\}", words)) for key, words in found}


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
