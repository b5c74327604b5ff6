"""The static site: published to a bucket, copied to a folder, answered by Python's own file server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
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
    assert publish_site(site(), made).endswith("files published")
    wanted = {file.name: file for file in make_site(made)}
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
