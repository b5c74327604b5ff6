"""A counter's page beside the data it comes from: last week, last year, the days as a calendar, the chart elsewhere."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, Route, expect

from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import app, running
from tests.shared.usecases.serving.snapshots import HOUR, RECENT_FROM, RECENT_HOURS
from tests.shared.usecases.site.browser import IN_BROWSER, LINE, file_server, open_at

pytestmark = IN_BROWSER
COUNTER = snapshots.counter(4, 160)


def hours() -> pd.DataFrame:
    """The hours that are shown: counted, usual and 52 weeks before, by their start; and a week before each."""
    span = pd.date_range(RECENT_FROM, periods=RECENT_HOURS + len(snapshots.HOURS), freq="h")
    counted = pd.Series(COUNTER.recent, span[:RECENT_HOURS], dtype="float64").reindex(span)
    usual = [snapshots.week_value(160, snapshots.local_week_hour(at)) for at in span]
    frame = pd.DataFrame({"counted": counted, "typical": usual, "lastyear": COUNTER.year_ago})
    return frame.assign(earlier=counted.shift(168)).astype("float64")


def days() -> pd.DataFrame:
    """The counter's days: bikes and counted hours, by date."""
    dates = pd.date_range(str(COUNTER.days_from), periods=len(COUNTER.days), freq="D")
    bikes = pd.Series(COUNTER.days, dates, dtype="float64")
    return pd.DataFrame({"bikes": bikes, "hours": COUNTER.day_hours})


def in_words(value: float, other: float) -> str:
    """A number against another, as the page says it."""
    change = value / other - 1
    if abs(change) < 0.005:
        return "as many as"
    return f"{abs(change):.0%} {'more' if change > 0 else 'fewer'} than"


def test_the_last_week_is_told_beside_the_week_before_the_usual_one_and_last_years(
    counter_page: Page, complaints: list[str]
) -> None:
    counter_page.locator("#range button[data-range=week]").click()
    now = snapshots.NOW.replace(minute=0)
    known = hours()
    week = known.loc[(known.index >= now - 168 * HOUR) & (known.index < now)]
    counted = week.dropna(subset="counted")
    parts = {
        name: in_words(both["counted"].sum(), both[name].sum())
        for name in ("earlier", "typical", "lastyear")
        if len(both := counted.dropna(subset=name))
    }
    expect(counter_page.locator("#range-words")).to_have_text(
        f"{counted['counted'].sum():,.0f} bikes were counted in {len(counted)} of the last 168 hours. "
        f"That is {parts['earlier']} in the week before, {parts['typical']} usual and "
        f"{parts['lastyear']} in the same week last year."
    )
    counter_page.locator("#range button[data-range=past]").click()
    expect(counter_page.locator("#range-words")).to_be_empty()
    assert complaints == []


def test_a_range_shows_last_year_beside_this_one(counter_page: Page, tmp_path: Path) -> None:
    counter_page.locator("#range button[data-range=year]").click()
    expect(counter_page.locator("#chart path.line.lastyear")).to_be_visible()
    with counter_page.expect_download() as download:
        counter_page.locator("#csv").click()
    download.value.save_as(tmp_path / "year.csv")
    saved = pd.read_csv(tmp_path / "year.csv", index_col="at", parse_dates=True)
    wanted = hours()
    wanted = wanted.loc[wanted.index >= snapshots.NOW.replace(minute=0) - 168 * HOUR]
    assert saved.index.tolist() == wanted.index.tolist()
    assert saved["lastyear"].tolist() == wanted["lastyear"].tolist()
    assert saved["observed"].dropna().tolist() == wanted["counted"].dropna().tolist()


@pytest.fixture
def without_years(browser_page: Page) -> Iterator[None]:
    """The counter as it is in its first year."""

    def answer(route: Route) -> None:
        found = route.fetch().json() | {"year_ago": [], "days": None}
        route.fulfill(json=found)

    browser_page.route("**/counters/c-5.json", answer)
    yield
    browser_page.unroute("**/counters/c-5.json")


@pytest.mark.usefixtures("without_years")
def test_what_is_not_known_is_not_offered(
    browser_page: Page, address: str, complaints: list[str]
) -> None:
    page = open_at(browser_page, f"{address}/counter/c-5?range=year")
    expect(page.locator(LINE)).to_be_visible()
    expect(page.locator("#range button[data-range=year]")).to_be_hidden()
    expect(page.locator("#range button[data-range=days]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#days-card")).to_be_hidden()
    page.locator("#range button[data-range=week]").click()
    expect(page.locator("#range-words")).not_to_contain_text("last year")
    assert complaints == []


def test_the_year_to_date_stands_beside_the_same_days_of_the_year_before(
    counter_page: Page,
) -> None:
    known = days()
    this, before = known["2026-01-01":], known["2025-01-01":"2025-03-02"]
    whole = (this["hours"] >= 22).to_numpy() & (before["hours"] >= 22).to_numpy()
    new, old = this["bikes"][whole].sum(), before["bikes"][whole].sum()
    expect(counter_page.locator("#year-to-date")).to_have_text(
        f"From 1 January to 2 March 2026: {this['bikes'].sum():,.0f} bikes; "
        f"{(this['hours'] >= 22).sum()} of 61 days were counted."
    )
    expect(counter_page.locator("#year-compared")).to_have_text(
        f"On the {whole.sum()} days that were counted in both years: {new:,.0f} bikes against "
        f"{old:,.0f}, {in_words(new, old)} in 2025."
    )
    expect(counter_page.locator("#year-note")).to_contain_text("at least 90% of its hours")


def test_the_records_are_the_days_with_the_most_bikes(counter_page: Page) -> None:
    known = days()
    most = known["bikes"].nlargest(3)
    named = [
        f"{day:%a}, {day.day} {day:%b} {day.year} ({bikes:,.0f})"
        for day, bikes in zip(pd.DatetimeIndex(most.index), most, strict=True)
    ]
    words = counter_page.locator("#records").inner_text().replace("Sept", "Sep")
    assert words.startswith(f"Busiest day: {named[0]}. Then: {named[1]}; {named[2]}.")
    squares = counter_page.locator("#calendar rect.record")
    assert squares.count() == sum(day >= pd.Timestamp("2025-04-01") for day in most.index)


def test_the_calendar_tells_each_day_by_key_and_pointer(
    counter_page: Page, complaints: list[str]
) -> None:
    known = days()

    def words(day: str) -> str:
        at = pd.Timestamp(day)
        text = f"{at:%A}, {at.day} {at:%B} {at.year}: {known['bikes'][at]:,.0f} bikes"
        change = in_words(known["bikes"][at], known["bikes"][at - pd.Timedelta(weeks=52)])
        return f"{text}; {change} on the same weekday 52 weeks before"

    said = counter_page.locator("#day-words")
    expect(said).to_have_text(words("2026-03-02"))
    squares = counter_page.locator("#calendar rect")
    shown = known["2025-04-01":]
    assert squares.count() == len(shown)
    assert counter_page.locator("#calendar rect.none").count() == shown["bikes"].isna().sum()
    counter_page.locator("#calendar svg").focus()
    counter_page.keyboard.press("ArrowUp")
    counter_page.keyboard.press("ArrowLeft")
    expect(said).to_have_text(words("2026-02-22"))
    counter_page.keyboard.press("Home")
    expect(said).to_have_text(words("2025-04-01"))
    place = list(shown.index).index(pd.Timestamp("2026-01-12"))
    squares.nth(place).hover()
    expect(said).to_contain_text("Monday, 12 January 2026")
    expect(said).to_contain_text("only 46% of its hours were counted")
    squares.nth(list(shown.index).index(pd.Timestamp("2026-01-05"))).hover(force=True)
    expect(said).to_have_text("Monday, 5 January 2026: no usable count")
    counter_page.locator("#year-range button[data-period=before]").click()
    assert squares.count() == len(known["2024-04-01":"2025-03-31"])
    assert complaints == []


def test_more_bikes_are_never_lighter(counter_page: Page) -> None:
    known = days()["2025-04-01":]["bikes"].tolist()
    looks = counter_page.locator("#calendar rect").evaluate_all(
        "all => all.map((r) => r.getAttribute('class'))"
    )
    levels = [
        (b, int(found[1]))
        for b, look in zip(known, looks, strict=True)
        if (found := re.search(r"l(\d)", look))
    ]
    in_order = [level for _, level in sorted(levels)]
    assert in_order == sorted(in_order)
    assert set(in_order) == set(range(6))


def test_the_months_and_the_file_are_the_same_days(counter_page: Page, tmp_path: Path) -> None:
    known = days()
    counter_page.locator("#days-card summary").click()
    shown = known["2025-04-01":]
    months = pd.DatetimeIndex(shown.index).to_period("M")
    for row, month in zip(
        counter_page.locator("#months tbody tr").all(), months.unique(), strict=True
    ):
        rows = shown[months == month]
        cells = [
            f"{month.start_time:%B %Y}",
            f"{rows['bikes'].sum():,.0f}",
            f"{(rows['hours'] >= 22).sum()} of {month.days_in_month}",
        ]
        assert row.locator("th, td").all_inner_texts() == cells
    with counter_page.expect_download() as download:
        counter_page.locator("#days-csv").click()
    download.value.save_as(tmp_path / "days.csv")
    with (tmp_path / "days.csv").open(newline="") as file:
        saved = list(csv.DictReader(file))
    assert download.value.suggested_filename == "c-4-days.csv"
    assert [(r["date"], r["bikes"]) for r in saved] == [
        (f"{day:%Y-%m-%d}", "" if pd.isna(bikes) else f"{bikes:.0f}")
        for day, bikes in known["bikes"].items()
    ]


@pytest.fixture
def public(address: str) -> Iterator[str]:  # where the snapshot is published
    """The same page where reading needs no key."""
    with running(app(requests_per_minute=10_000, public_site=True)) as url:
        yield url


def test_one_line_shows_the_chart_on_another_page(
    browser_page: Page, public: str, complaints_of: Callable[..., list[str]], tmp_path: Path
) -> None:
    page = browser_page
    page.goto(f"{public}/counter/c-4?range=year")
    expect(page.locator("#chart path.line.lastyear")).to_be_visible()
    page.locator("#embed summary").click()
    line = page.locator("#embed-code").input_value()
    assert "\n" not in line
    page.set_viewport_size({"width": 700, "height": 900})
    html = f"<!doctype html><title>News</title><link rel=icon href=data:,><h1>News</h1>{line}"
    (tmp_path / "news.html").write_text(html)
    with file_server(tmp_path) as elsewhere:
        complaints = complaints_of(public, elsewhere)
        page.goto(f"{elsewhere}/news.html")
        frame = page.frame_locator("iframe")
        expect(frame.locator("#chart path.line.lastyear")).to_be_visible()
    expect(frame.locator("#counter-title")).to_have_text("Rue 4 N-S")
    expect(frame.locator("#attribution")).to_contain_text("Bike counts: a made-up city")
    for hidden in (".top", "#days-card", "#embed", "#about"):
        expect(frame.locator(hidden)).to_be_hidden()
    assert frame.locator("#embed-source").get_attribute("href") == f"{public}/counter/c-4"
    inner = page.frames[1].evaluate(
        "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    )
    assert inner[0] <= 700  # nothing scrolls within the other page
    assert inner[1] <= 700
    page.set_viewport_size({"width": 1280, "height": 900})
    assert complaints == []


@pytest.fixture
def complaints_of(browser_page: Page) -> Iterator[Callable[..., list[str]]]:
    """Errors of the page and requests to other addresses than some, from then on."""
    found: list[str] = []
    listeners: list[tuple[str, Callable[..., None]]] = []

    def begin(*addresses: str) -> list[str]:
        listeners.extend(
            [
                ("console", lambda m: found.append(m.text) if m.type == "error" else None),
                ("pageerror", lambda e: found.append(str(e))),
                (
                    "request",
                    lambda r: None if r.url.startswith(addresses) else found.append(r.url),
                ),
            ]
        )
        for event, listener in listeners:
            browser_page.on(event, listener)  # type: ignore[call-overload]
        return found

    yield begin
    for event, listener in listeners:
        browser_page.remove_listener(event, listener)


def test_a_browser_that_forbids_storage_in_frames_shows_it_too(
    browser_page: Page, public: str
) -> None:
    context = browser_page.context.browser.new_context(locale="en-GB")
    page = context.new_page()
    page.add_init_script("""Object.defineProperty(window, "sessionStorage", {
      get() { throw new DOMException("denied", "SecurityError"); } });""")
    page.goto(f"{public}/counter/c-4?embed=1")
    expect(page.locator(LINE)).to_be_visible()
    context.close()


def test_only_a_public_chart_may_be_framed(browser_page: Page, public: str, address: str) -> None:
    def policy(url: str) -> str:
        return browser_page.request.get(url).headers["content-security-policy"]

    assert policy(f"{public}/counter/c-4?embed=1").endswith("frame-ancestors *")
    for kept in (
        f"{public}/counter/c-4",
        f"{public}/",
        f"{address}/counter/c-4?embed=1",
        f"{address}/counter/c-4",
    ):
        assert policy(kept).endswith("frame-ancestors 'none'")


def test_where_a_key_is_needed_no_line_is_offered(counter_page: Page) -> None:
    expect(counter_page.locator("#embed")).to_be_hidden()
