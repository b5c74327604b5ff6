"""What was read last stays readable when the server is gone: the API's page, and a copy on a file server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from docs.screenshot import launch
from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.serving.serving_app import KEY, app, publish, running
from tests.shared.usecases.site.browser import IN_BROWSER, LINE, file_server
from velocast.usecases.site.publication import make_site

pytestmark = [*IN_BROWSER, pytest.mark.usefixtures("storage_buckets")]
KEPT = """async () => {
  const cache = await caches.open("velocast-1");
  return (await cache.keys()).map((request) => request.url);
}"""
PATIENCE_SECONDS = 20


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    """A reader whose browser has kept nothing yet. Its clock is real: a false one hides which files a page has read."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(locale="en-GB")
        yield context
        browser.close()


def served(kind: str, folder: Path) -> AbstractContextManager[str]:
    """The site, by the API without a key or by a file server."""
    if kind == "api":
        publish(snapshots.snapshot(clock="replay"))
        return running(app(requests_per_minute=10_000, public_site=True))
    for file in make_site(snapshots.snapshot(clock="replay")):
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    return file_server(folder)


def kept(page: Page, *names: str, without: str | None = None) -> list[str]:
    """Wait until all these files are kept, and none of a folder; return the addresses of all that is."""
    for _ in range(PATIENCE_SECONDS * 5):
        found: list[str] = page.evaluate(KEPT)
        there = all(any(address.endswith(name) for address in found) for name in names)
        if there and without not in folders(found):
            return found
        page.wait_for_timeout(200)
    raise AssertionError(f"{found} is kept")


def reload_until_shown(page: Page, published: str) -> None:
    """Reload the page until it says that it was published then."""
    for _ in range(PATIENCE_SECONDS):
        page.reload()
        expect(page.locator("#freshness")).to_contain_text("published")
        if published in page.locator("#freshness").inner_text():
            return
        page.wait_for_timeout(1000)
    raise AssertionError(
        f"never published at {published}: {page.locator('#freshness').inner_text()}"
    )


def folders(addresses: list[str]) -> set[str]:
    """The folders of data in which files are kept."""
    return {match[0] for a in addresses if (match := re.search(r"data/[0-9a-f]{16}", a))}


@pytest.mark.parametrize("kind", ["api", "files"])
def test_the_last_views_stay_readable(kind: str, tmp_path: Path, context: BrowserContext) -> None:
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("console", lambda m: complaints.append(m.text) if "Policy" in m.text else None)
    suffix = "" if kind == "api" else ".html"
    with served(kind, tmp_path) as address:
        page.goto(f"{address}/")
        expect(page.locator("#map circle.same").first).to_be_visible()
        kept(page, "city.json", "manifest.json", "map.js")
        page.locator("circle[data-site='c-4']").click()
        expect(page.locator(LINE)).to_be_visible()
        kept(page, f"counter/c-4{suffix}", "counters/c-4.json", "chart.js")
        words = page.locator("#words").inner_text()
    page.reload()
    expect(page.locator("#words")).to_have_text(words.replace("\n", ""))
    expect(page.locator(LINE)).to_be_visible()
    expect(page.locator("#message")).to_contain_text(
        "You are offline. These are the forecasts that were published on Tue 3 Mar, 05:00."
    )
    page.goto(f"{address}/")
    expect(page.locator("#today")).to_contain_text("Tuesday 3 March")
    page.locator("circle[data-site='c-7']").click()  # never read
    expect(page.locator("#message")).to_contain_text("unreachable")
    assert complaints == []


def test_a_newer_publication_takes_the_place_of_the_one_that_is_kept(
    tmp_path: Path, context: BrowserContext
) -> None:
    page = context.new_page()
    with served("api", tmp_path) as address:
        page.goto(address)
        (before,) = folders(kept(page, "city.json", "manifest.json"))
        later = snapshots.PUBLISHED + 3 * snapshots.HOUR
        publish(snapshots.snapshot(clock="replay", published_at=later))
        # The API answers with what it has in memory when reading the new snapshot takes it long.
        reload_until_shown(page, "08:00")
        after = folders(kept(page, "city.json", "manifest.json", without=before))
        assert len(after) == 1
    page.reload()
    expect(page.locator("#freshness")).to_contain_text("08:00")
    expect(page.locator("#today")).not_to_be_empty()


def test_what_needs_a_key_is_not_kept(context: BrowserContext) -> None:
    publish(snapshots.snapshot(clock="replay"))
    page = context.new_page()
    with running(app(requests_per_minute=10_000)) as address:
        page.goto(f"{address}/#key={KEY}")
        expect(page.locator("#today")).not_to_be_empty()
        page.wait_for_timeout(1500)
        assert (
            page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)")
            == 0
        )
        assert page.evaluate("caches.keys()") == []
