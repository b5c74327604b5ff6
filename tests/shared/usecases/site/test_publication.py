"""The static site: published to a bucket, copied to a folder, answered by Python's own file server."""

from __future__ import annotations

import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from google.api_core.exceptions import ServiceUnavailable
from playwright.sync_api import expect, sync_playwright
from rdflib import RDF, RDFS, Graph, Literal, Namespace

from docs.screenshot import CHROMIUM, launch
from tests import emulators
from tests.shared.usecases.serving import snapshots
from tests.shared.usecases.site.browser import file_server
from velocast.adapters.gcs import Objects
from velocast.core.errors import ObjectMissing
from velocast.usecases.site.page_data import MANIFEST, PageData
from velocast.usecases.site.publication import make_site, publish_site
from velocast.usecases.snapshot_format import Bounds, Snapshot

pytestmark = pytest.mark.usefixtures("storage_buckets")


def site() -> Objects:
    """The bucket of the site."""
    return emulators.objects("site")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the site."""
    for file in make_site(snapshots.snapshot()):
        path = tmp_path / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    return tmp_path


@pytest.fixture
def copy_address(folder: Path) -> Iterator[str]:
    """Any file server: Python's."""
    with file_server(folder) as address:
        yield address


def test_what_is_published_is_the_site_compressed_and_cacheable() -> None:
    made = snapshots.snapshot(3)
    said = publish_site(site(), made)
    wanted = {file.name: file for file in make_site(made)}
    assert said == f"{len(wanted)} files published, {len(wanted)} of them written"
    assert set(site().names("")) == set(wanted)
    for name, file in wanted.items():
        assert site().read(name).data == file.data  # decompressed on the way
    blob = site()._bucket.get_blob(PageData(made).folder + "city.json")
    assert blob is not None
    assert (blob.content_encoding, blob.content_type) == ("gzip", "application/json")
    assert blob.cache_control == "public, max-age=31536000, immutable"


def test_the_last_publication_stays_and_the_one_before_goes() -> None:
    first, second, third = (
        snapshots.snapshot(2, published_at=snapshots.PUBLISHED + i * snapshots.HOUR)
        for i in range(3)
    )
    for made in (first, second, third):
        publish_site(site(), made)
    assert json.loads(site().read(MANIFEST).data)["folder"] == PageData(third).folder
    site().read(PageData(second).folder + "city.json")
    with pytest.raises(ObjectMissing):
        site().read(PageData(first).folder + "city.json")
    assert publish_site(site(), second).startswith("kept: the published site is newer")


class Recorded(Objects):
    """The bucket of the site, which records what is written and can fail.

    fails_after: the number of writes before each fails. at_each: called before and after each write.
    """

    def __init__(self, fails_after: int | None = None, at_each: Callable[[], object] = int) -> None:
        real = site()
        super().__init__(real.project, real.bucket)
        self.written: list[str] = []
        self._fails_after, self._at_each = fails_after, at_each

    def write(self, name: str, data: bytes, **headers: Any) -> int:
        """Record the name and write."""
        if self._fails_after is not None and len(self.written) >= self._fails_after:
            raise ServiceUnavailable("killed")  # type: ignore[no-untyped-call]
        self.written.append(name)
        self._at_each()
        generation = super().write(name, data, **headers)
        self._at_each()
        return generation


def later(hours: int) -> Snapshot:
    """A snapshot that is published some hours later."""
    return snapshots.snapshot(3, published_at=snapshots.PUBLISHED + hours * snapshots.HOUR)


def complain_of_missing_files() -> None:
    """Look as a reader does: each file that the manifest and the pages name is there."""
    names = set(site().names(""))
    pages = [name for name in names if name.endswith(".html")]
    for name in pages:
        text = site().read(name).data.decode()
        folder = name.rpartition("/")[0]
        for link in re.findall(r'"((?:\.\./)?page/[^"]+)"', text):
            assert posixpath.normpath(posixpath.join(folder, link)) in names, f"{name}: {link}"
    if MANIFEST in names:
        made = PageData(later(0)), PageData(later(1))
        folder = json.loads(site().read(MANIFEST).data)["folder"]
        (own,) = [data for data in made if data.folder == folder]
        assert set(own.names()) <= names


def test_only_what_changed_is_written_and_the_manifest_last() -> None:
    publish_site(site(), later(0))
    again, newer = Recorded(), Recorded()
    assert publish_site(again, later(0)).endswith(" files published, 1 of them written")
    assert again.written == [MANIFEST]
    publish_site(newer, later(1))
    assert newer.written[-1] == MANIFEST
    own = set(PageData(later(1)).names())
    assert set(newer.written[: len(own)]) == own  # before what names them
    described = {"open/datapackage.json", "open/catalogue.jsonld"}
    assert set(newer.written) == own | described | {MANIFEST}
    assert {f.name: f.data for f in make_site(later(1))} == {
        name: site().read(name).data
        for name in site().names("")
        if not name.startswith(PageData(later(0)).folder)
    }


def test_what_a_stranger_changed_or_deleted_is_repaired() -> None:
    publish_site(site(), later(0))
    page = next(name for name in site().names("page/") if name.endswith("/app.js"))
    city, table = PageData(later(0)).folder + "city.json", "open/counters.geojson"
    site().write(page, b"alert(1)", content_type="text/javascript")
    site().delete(city)
    blob = site()._bucket.get_blob(table)
    assert blob is not None
    blob.cache_control = "no-store"
    blob.patch()
    repaired = Recorded()
    publish_site(repaired, later(0))
    assert set(repaired.written) == {page, city, table, MANIFEST}
    assert b"alert" not in site().read(page).data
    blob = site()._bucket.get_blob(table)
    assert blob is not None
    assert blob.cache_control == "public, max-age=60"


def test_a_reader_never_meets_a_page_without_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_site(Recorded(at_each=complain_of_missing_files), later(0))
    monkeypatch.setattr("velocast.usecases.site.publication.page_version", lambda: "released")
    publish_site(Recorded(at_each=complain_of_missing_files), later(1))
    complain_of_missing_files()
    assert "page/released/app.js" in site().names("page/")


@pytest.mark.parametrize("written", [0, 3, 10, 12])
def test_a_killed_publication_is_completed_by_the_next(written: int) -> None:
    publish_site(site(), later(0))
    with pytest.raises(ServiceUnavailable):
        publish_site(Recorded(fails_after=written), later(1))
    complain_of_missing_files()
    rest = Recorded()
    publish_site(rest, later(1))
    assert {f.name for f in make_site(later(1))} <= set(site().names(""))
    publish_site(site(), later(2))
    folders = {name.split("/")[1] for name in site().names("data/") if name != MANIFEST}
    assert folders == {PageData(later(i)).folder.split("/")[1] for i in (1, 2)}


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")
def test_a_copy_works_on_any_file_server(copy_address: str) -> None:
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(locale="en-GB")
        page.clock.install(time=snapshots.NOW)
        page.clock.resume()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on(
            "request",
            lambda r: None if r.url.startswith(copy_address) else complaints.append(r.url),
        )
        page.on("response", lambda r: complaints.append(r.url) if r.status >= 400 else None)
        page.goto(copy_address)
        page.locator("circle[data-site='c-4']").click()
        expect(page.locator("#chart path.line.forecast")).to_be_visible()
        assert page.url == f"{copy_address}/counter/c-4.html"
        page.reload()
        expect(page).to_have_title("Rue 4 N-S · Velocast Demoville")
        page.go_back()
        expect(page.locator("#map circle").first).to_be_visible()
        expect(page.locator("#key-form, #hand-card, .of-api").first).to_be_hidden()
        page.locator("#hour").fill("30")
        expect(page.locator("#map-hour")).to_contain_text("Wed 4 Mar, 06:00")
        for link in page.locator("#downloads a").all():
            assert page.request.get(link.evaluate("a => a.href")).ok
        browser.close()
    assert complaints == []


def test_tables_are_the_snapshot_in_csv_and_parquet(folder: Path) -> None:
    made = snapshots.snapshot()
    for name, time in (("forecasts", "at"), ("past", "at"), ("days", "date")):
        read = pd.read_csv(folder / f"open/{name}.csv", parse_dates=[time])
        columnar = pd.read_parquet(folder / f"open/{name}.parquet")
        columnar[time] = columnar[time].astype(read[time].dtype)
        pd.testing.assert_frame_equal(read, columnar, check_dtype=False)
    days = pd.read_csv(folder / "open/days.csv", parse_dates=["date"])
    own = days[days["counter_id"] == "c-4"].set_index("date")
    assert own["bike_count"].loc["2025-07-04"] == max(b for b in made.counters[4].days if b)
    assert own["bike_count"].isna().sum() == len(snapshots.LOST_DAYS)
    assert own["hours_counted"].loc["2026-01-12"] == 11
    forecasts = pd.read_csv(folder / "open/forecasts.csv", parse_dates=["at"])
    one = forecasts[forecasts["counter_id"] == "c-4"]
    assert one["predicted_count"].tolist() == list(made.counters[4].predicted)
    assert one["at"].tolist() == list(made.hours)
    past = pd.read_csv(folder / "open/past.csv")
    assert past.loc[past["counter_id"] == "c-4", "bike_count"].isna().sum() == len(snapshots.GAP)


def test_the_places_are_geojson(folder: Path) -> None:
    found = json.loads((folder / "open/counters.geojson").read_text())
    first = found["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [2.30, 48.85]}
    assert first["properties"]["counter_name"] == "Rue 0 N-S"
    assert len(found["features"]) == len(snapshots.snapshot().counters)


def test_the_data_package_describes_every_file(folder: Path) -> None:
    """By the rules of Frictionless' Data Package 1: names, paths, types, and fields in the files' order."""
    package = json.loads((folder / "open/datapackage.json").read_text())
    assert package["licenses"] == [{"name": "CC0 1.0", "title": "CC0 1.0"}]
    names = [r["name"] for r in package["resources"]]
    assert len(set(names)) == len(names)
    for resource in package["resources"]:
        assert set(resource["name"]) <= set("abcdefghijklmnopqrstuvwxyz-")
        data = (folder / "open" / resource["path"]).read_bytes()
        assert resource["bytes"] == len(data)
        if resource["path"].endswith(".csv"):
            fields = resource["schema"]["fields"]
            assert pd.read_csv(io.BytesIO(data)).columns.tolist() == [f["name"] for f in fields]
            assert {f["type"] for f in fields} <= {
                "string",
                "number",
                "integer",
                "date",
                "datetime",
            }
            assert set(resource["schema"]["primaryKey"]) <= {f["name"] for f in fields}
            assert all(f["description"].endswith(".") for f in fields)


def test_a_city_without_counters_has_a_site() -> None:
    empty = snapshots.snapshot().model_copy(update={"counters": ()})
    files = {file.name: file.data for file in make_site(empty)}
    table = pd.read_csv(io.BytesIO(files["open/forecasts.csv"]))
    assert table.columns[:3].tolist() == ["counter_id", "at", "predicted_count"]
    assert table.empty


DCAT, DCT = Namespace("http://www.w3.org/ns/dcat#"), Namespace("http://purl.org/dc/terms/")
SITE = "https://site.example/open/"
# rdflib's own parser of JSON-LD uses what rdflib advises against.
RDFLIB_WARNS = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")


def catalogue(made: Snapshot) -> Graph:
    """The catalogue as a data portal reads it from the site's address."""
    text = next(f.data for f in make_site(made) if f.name == "open/catalogue.jsonld")
    return Graph().parse(data=text, format="json-ld", publicID=f"{SITE}catalogue.jsonld")


@RDFLIB_WARNS
def test_the_catalogue_is_a_dataset_with_all_files() -> None:
    """By what DCAT-AP 3 requires and recommends of datasets and distributions."""
    box = {"south": 48.8, "west": 2.2, "north": 48.9, "east": 2.5}
    licence = "https://creativecommons.org/publicdomain/zero/1.0/"
    city = snapshots.CITY.model_copy(update={"bounding_box": Bounds(**box), "licence_url": licence})
    made = snapshots.snapshot(city=city)
    graph = catalogue(made)
    (dataset,) = graph.subjects(RDF.type, DCAT.Dataset)
    for required in (DCT.title, DCT.description):
        assert graph.value(dataset, required).language == "en"
    assert graph.value(dataset, DCT.modified).toPython() == made.published_at
    for recommended in (DCAT.theme, DCAT.keyword, DCT.accrualPeriodicity):
        assert graph.value(dataset, recommended) is not None
    period = graph.value(dataset, DCT.temporal)
    assert graph.value(period, DCAT.startDate).toPython() == snapshots.DAYS_FROM
    assert graph.value(period, DCAT.endDate).toPython() == snapshots.HOURS[-1] + snapshots.HOUR
    place = str(graph.value(graph.value(dataset, DCT.spatial), DCAT.bbox))
    assert place.startswith("POLYGON((2.2 48.8, 2.5 48.8, 2.5 48.9,")
    files = {f.name: f.data for f in make_site(made) if f.name.startswith("open/")}
    listed = {}
    for distribution in graph.objects(dataset, DCAT.distribution):
        assert (distribution, RDF.type, DCAT.Distribution) in graph
        address = graph.value(distribution, DCAT.accessURL)
        assert address == graph.value(distribution, DCAT.downloadURL)
        listed[str(address)] = graph.value(distribution, DCAT.byteSize).toPython()
        assert str(graph.value(distribution, DCT.license)) == licence
        assert graph.value(distribution, DCT.title) is not None
        assert str(graph.value(distribution, DCAT.mediaType)).startswith("https://www.iana.org/")
    described = {"open/datapackage.json", "open/catalogue.jsonld"}
    assert listed == {
        SITE + name.removeprefix("open/"): len(data)
        for name, data in files.items()
        if name not in described
    }


@RDFLIB_WARNS
def test_the_catalogue_says_nothing_of_what_is_not_known() -> None:
    nothing = dict.fromkeys(("attribution", "attribution_url", "licence", "licence_url"))
    city = snapshots.CITY.model_copy(update=nothing)
    graph = catalogue(snapshots.snapshot(0, city=city))
    (dataset,) = graph.subjects(RDF.type, DCAT.Dataset)
    for unknown in (DCT.spatial, DCT.source, DCT.creator):
        assert graph.value(dataset, unknown) is None
    assert not list(graph.subject_objects(DCT.license))
    named = snapshots.snapshot()  # a licence with a name and no address
    rights = next(catalogue(named).objects(None, DCT.rights))
    assert catalogue(named).value(None, RDFS.label, Literal("CC0 1.0")) is not None
    assert rights is not None
