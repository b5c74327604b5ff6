"""Shipped cities that are verified by documents: each reads records of the documented shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from tests.shared.adapters.city_sources.spreadsheet import spreadsheet
from tests.shared.adapters.city_sources.transports.imitation import QUICK, utc
from velocast.adapters.city_sources.reading import read_counters, read_counts
from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable, TimeRange
from velocast.adapters.city_sources.transports import open_transport
from velocast.adapters.city_sources.transports.portal import column_table
from velocast.core.city import City, load_city
from velocast.core.city.sources import Ckan

NAMES = sorted(
    file.name.removesuffix(".yaml") for file in files("velocast").joinpath("cities").iterdir()
)
QUARTERS = ("00", "15", "30", "45")
NOON = datetime(2025, 7, 1, 12)  # of the city's clock
FILE = "https://city.test/file"


def new_york() -> Iterator[RawTable]:
    """Two parallel flows in each direction; a status of each count; fields that are empty are left out."""
    about = {"sensor_id": "100009425", "travelmode": "bike", "granularity": "PT15M"}
    flows = [("in", "1", "raw"), ("in", "2", "raw"), ("out", "3", "raw"), ("out", "4", "modified")]
    rows = [
        {**about, "timestamp": f"2025-07-01T12:{q}:00.000", "direction": d, "flowid": f, "counts": f, "status": s}
        for q in QUARTERS
        for d, f, s in flows
    ]  # fmt: skip
    rows += [{**row, "travelmode": "pedestrian", "counts": "99"} for row in rows]
    yield column_table(rows, FILE)


def montreal() -> Iterator[RawTable]:
    """date, time and place in each row (README of a public project, and a header that another one checks)."""
    lines = ["date,heure,id_compteur,nb_passages,longitude,latitude"]
    lines += [f"2025-07-01,12:{q}:00,100054073,{n},-73.591,45.561" for n, q in enumerate(QUARTERS)]
    yield from read_tables("\n".join(lines).encode(), FILE, load_city("montreal").counts.file)


def toronto() -> Iterator[RawTable]:
    rows = [
        {"_id": n, "location_dir_id": 1, "datetime_bin": f"2025-07-01T12:{q}:00", "bin_volume": n}
        for n, q in enumerate(QUARTERS)
    ]
    yield column_table(rows, FILE)


def nantes() -> Iterator[RawTable]:
    hours = {f"{hour:02}": hour for hour in range(24)}
    about = {"libelle": "Bonduelle vers sud", "total": 276, "jour_de_la_semaine": 2}
    rows = [
        {"boucle_num": loop, "jour": "2025-07-01", **hours, **about, "probabilite_presence_anomalies": label}
        for loop, label in (("0664", None), ("0665", "Forte"))
    ]  # fmt: skip
    yield column_table(rows, FILE)


def bordeaux() -> Iterator[RawTable]:
    row = {"ident": "Z203CT11", "libelle": "rue Georges Bonnac", "comptage_1h": 42}
    yield column_table([{"datedebut": "2025-07-01T10:00:00+00:00", **row}], FILE)


def zuerich() -> Iterator[RawTable]:
    """A counter of bikes and one of pedestrians, whose counts of bikes are empty."""
    lines = ["FK_ZAEHLER,FK_STANDORT,DATUM,VELO_IN,VELO_OUT,FUSS_IN,FUSS_OUT,OST,NORD"]
    for q in QUARTERS:
        lines += [
            f"Y2G13124875,2977,2025-07-01T12:{q},4,1,,,2682297,1248328",
            f"Y2G13124876,3003,2025-07-01T12:{q},,,9,9,2683000,1247000",
        ]
    yield from read_tables("\n".join(lines).encode(), FILE, load_city("zuerich").counts.file)


def basel() -> Iterator[RawTable]:
    rows = [
        {"sitecode": "404", "sitename": "Wettsteinbrücke", "traffictype": kind, "total": total,
         "datetimefrom": "2025-07-01T10:00:00+00:00", "directionname": direction}
        for kind, direction, total in [("Velo", "a", 30), ("Velo", "b", 12), ("Fussgänger", "a", 99)]
    ]  # fmt: skip
    yield column_table(rows, FILE)


def berlin() -> Iterator[RawTable]:
    heading: list[Any] = [
        "Zählstelle        Inbetriebnahme",
        "02-MI-JAN-N\n01.04.2015",
        "27-RE-MAR\n05.05.2016",
    ]
    hours: list[list[Any]] = [[NOON + timedelta(hours=n), 42 + n, 7] for n in range(3)]
    book = spreadsheet(
        Standortdaten=[
            ["Zählstelle", "Beschreibung - Fahrtrichtung", "Breitengrad", "Längengrad", "Installationsdatum"],
            ["02-MI-JAN-N", "Jannowitzbrücke Nord", 52.5139, 13.4178, datetime(2015, 4, 1)],
        ],
        Jahresdatei_2024=[heading, [datetime(2024, 7, 1, 12), 1, 2]],
        Jahresdatei_2025=[heading, *hours],
    )  # fmt: skip
    city = load_city("berlin")
    yield from read_tables(book, FILE, city.counts.file)
    fields = city.counters.fields
    assert fields is not None
    (counter,) = read_counters(city, read_tables(book, FILE, city.counters.file), fields)
    assert (counter.counter_id, counter.latitude) == ("02-MI-JAN-N", 52.5139)


def brussels() -> Iterator[RawTable]:
    """Quarters of a day in UTC, numbered from 1: the 41st begins at 10:00, which is noon in Brussels."""
    quarters = [
        {"count_date": "2025/07/01", "time_gap": gap, "count": 1, "average_speed": 20}
        for gap in (41, 42, 43, 44)
    ]
    body = {
        "feature": "CB2105",
        "startDate": "2025/07/01",
        "endDate": "2025/07/01",
        "data": quarters,
    }
    place = "https://data.mobility.brussels/bike/api/counts/?request=history&featureID=CB2105&x=1"
    yield from read_tables(json.dumps(body).encode(), place, load_city("brussels").counts.file)


def hamburg() -> Iterator[RawTable]:
    thing = {"thing_id": 70, "thing_name": "Zählstelle", "latitude": 53.55, "longitude": 9.99}
    stream = {"id": 26598, "name": "Fahrräder", **thing}
    rows = [
        {
            **stream,
            "time": f"2025-07-01T10:{q}:00Z",
            "time_end": f"2025-07-01T10:{q}:59Z",
            "result": n,
        }
        for n, q in enumerate(QUARTERS)
    ]
    yield column_table(rows, FILE)


DOCUMENTED: dict[str, tuple[Any, dict[str, tuple[int, str | None]]]] = {
    "new_york": (new_york, {"100009425": (40, None)}),
    "montreal": (montreal, {"100054073": (6, None)}),
    "toronto": (toronto, {"1": (6, None)}),
    "nantes": (nantes, {"0664": (12, None), "0665": (12, "suspect")}),
    "bordeaux": (bordeaux, {"Z203CT11": (42, None)}),
    "zuerich": (zuerich, {"2977": (20, None)}),
    "basel": (basel, {"404": (42, None)}),
    "berlin": (berlin, {"02-MI-JAN-N": (42, None), "27-RE-MAR": (7, None)}),
    "brussels": (brussels, {"CB2105": (4, None)}),
    "hamburg": (hamburg, {"26598": (6, None)}),
}


def test_every_shipped_city_says_how_it_was_verified() -> None:
    said = {name: load_city(name).verified for name in NAMES if name != "demoville"}
    assert {name for name, each in said.items() if each and each.by == "docs"} == set(DOCUMENTED)
    assert {name for name, each in said.items() if each and each.by == "file"} == {
        "dublin",
        "muenster",
        "paris",
        "seattle",
    }


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_record_of_the_documented_shape_is_read(name: str) -> None:
    shaped, expected = DOCUMENTED[name]
    city = load_city(name)
    harvest = read_counts(city, shaped(), None)
    noon = NOON.replace(tzinfo=city.zone)
    assert {
        row["counter_id"]: (row["bike_count"], row["quality"])
        for row in harvest.counts.to_pylist()
        if row["counted_at"] == noon
    } == expected
    # Zürich's counters of pedestrians
    blank = {"missing_count"} if name == "zuerich" else set()
    assert {each.reason for each in harvest.rejects} == blank
    assert harvest.unknown_fields == []


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_city_can_be_asked_and_credited(name: str) -> None:
    city: City = load_city(name)
    assert city.attribution
    assert city.attribution_url
    assert city.holidays
    for part in (city.counts, city.counters):
        if part.source is not None:
            with open_transport(city, part.source, part.file, limits=QUICK):
                pass
    assert city.bounding_box is not None
    assert all(
        city.bounding_box.contains(each.latitude, each.longitude or 0)
        for each in city.counters.listed
        if each.latitude is not None
    )
    assert city.weather is None or city.bounding_box.contains(
        city.weather.latitude, city.weather.longitude
    )


def test_muenster_asks_for_a_file_a_counter_and_month() -> None:
    from velocast.adapters.city_sources.transports.files import FilesTransport

    city = load_city("muenster")
    assert city.counts.source is not None
    with open_transport(city, city.counts.source, city.counts.file, limits=QUICK) as transport:
        assert isinstance(transport, FilesTransport)
        urls = [url for url, _ in transport._urls(TimeRange(utc(2025, 2, 27), utc(2025, 3, 1, 3)))]
    assert len(urls) == 2 * len(city.counters.listed) == 42
    assert urls[0].endswith("/radverkehr-zaehlstellen/main/100020113/2025-02.csv")


@pytest.mark.parametrize(
    ("name", "resource", "year"),
    [
        ("montreal", "comptage_velo_2025.csv", "2025"),
        ("montreal", "comptagevelo2022.csv", "2022"),
        ("montreal", "comptagevelo2019.csv", None),  # a column a counter
        ("toronto", "cycling_permanent_counts_15min_2025_2026", "2025"),
        ("toronto", "cycling_permanent_counts_15min_2025_2026.csv", None),  # the same once more
        ("toronto", "cycling_permanent_counts_daily", None),
        ("dublin", "cycle-counts-1-jan-31-december-2024.csv", "2024"),
        ("dublin", "cycle-counts-2022.csv", "2022"),
    ],
)
def test_the_resources_of_a_package_are_chosen(name: str, resource: str, year: str | None) -> None:
    source = load_city(name).counts.source
    assert isinstance(source, Ckan)
    (pattern,) = source.resources
    found = re.fullmatch(pattern, resource)
    assert (found and found["year"]) == year
