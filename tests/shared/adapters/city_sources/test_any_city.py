"""One more city is one more file: no Python changes for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.shared.adapters.city_sources.transports.imitated_ckan import ImitatedCkan, Resource
from tests.shared.adapters.city_sources.transports.imitated_socrata import ImitatedSocrata
from tests.shared.adapters.city_sources.transports.imitation import QUICK, Stage, utc
from velocast.adapters.city_sources.source import CitySource
from velocast.adapters.city_sources.transport import TimeRange
from velocast.core.city import City, load_city

AUSTIN = """
name: Austin
time_zone: America/Chicago
counts:
  source: { transport: socrata, base_url: URL, dataset: abcd-1234, time_field: read_date, where: mode = 'bike' }
  step_minutes: 15
  layout:
    shape: long
    time: { columns: read_date }
    counter: { id: site, name: street }
    values: [{ column: northbound }, { column: southbound }]
  clock: { times: local, repeated_hour: once }
"""
ADELAIDE = """
name: Adelaide
time_zone: Australia/Adelaide
counts:
  source:
    transport: ckan
    base_url: URL
    package: bike-counts
    resources: 'counts (?P<year>\\d{4})'
    time_field: Time
  layout: { shape: wide, time: { columns: Time, format: iso }, ignore: _id }
  clock: { times: local }
counters:
  source: { transport: ckan, base_url: URL, package: bike-counts, resources: sites }
  fields: { id: site, name: street, latitude: lat, longitude: lon }
"""


def city_of(text: str, url: str, folder: Path) -> City:
    file = folder / "my-city.yaml"
    file.write_text(text.replace("URL", url), encoding="utf-8")
    return load_city(str(file))


def hours_of(city: City, hours: TimeRange) -> tuple[CitySource, dict[tuple[str, datetime], int]]:
    source = CitySource(city, limits=QUICK)
    harvest = source.read_counts(hours, as_of=utc(2026, 1, 1))
    assert harvest.rejects == []
    rows = harvest.counts.to_pylist()
    assert {row["quality"] for row in rows} == {None}
    return source, {(row["counter_id"], row["counted_at"]): row["bike_count"] for row in rows}


def local_times(zone: ZoneInfo, first: datetime, last: datetime, step: timedelta) -> list[datetime]:
    """Return every moment from first to before last (UTC) as the city's clock shows it."""
    count = int((last - first) / step)
    return [(first + n * step).astimezone(zone).replace(tzinfo=None) for n in range(count)]


@pytest.mark.parametrize("day", [utc(2025, 3, 9), utc(2025, 7, 1)], ids=["spring", "summer"])
def test_a_socrata_city(stage: Stage, tmp_path: Path, day: datetime) -> None:
    zone = ZoneInfo("America/Chicago")
    around = (day - timedelta(days=5), day + timedelta(days=5))
    rows = [
        {"read_date": f"{at:%Y-%m-%dT%H:%M:%S}.000", "site": "7", "street": "Lamar",
         "northbound": str(at.hour), "southbound": "1", "mode": mode}
        for at in local_times(zone, *around, timedelta(minutes=15))
        for mode in ("bike", "scooter")
    ]  # fmt: skip
    portal = stage.show(ImitatedSocrata(rows))
    hours = TimeRange(day, day + timedelta(days=2))
    source, found = hours_of(city_of(AUSTIN, portal.url, tmp_path), hours)

    asked = [day + timedelta(hours=n) for n in range(48)]
    assert found == {("7", at): 4 * (at.astimezone(zone).hour + 1) for at in asked}
    assert [(each.counter_id, each.counter_name) for each in source.read_counters()] == [
        ("7", "Lamar")
    ]


def test_a_ckan_city_of_half_hours(stage: Stage, tmp_path: Path) -> None:
    zone = ZoneInfo("Australia/Adelaide")
    first = datetime(2024, 12, 20, 13, 30, tzinfo=UTC)  # midnight
    tables: dict[int, list[dict[str, object]]] = {2024: [], 2025: []}
    for at in local_times(zone, first, first + timedelta(days=20), timedelta(hours=1)):
        row = {"Time": f"{at:%Y-%m-%dT%H:%M:%S}", "Adelaide Oval": at.hour, "Linear Park": 100}
        tables[at.year].append(row)
    sites = [{"site": "Adelaide Oval", "street": "Pennington Terrace", "lat": -34.9, "lon": 138.6}]
    resources = [Resource(f"counts {year}", rows) for year, rows in tables.items()]
    portal = stage.show(ImitatedCkan([*resources, Resource("sites", sites)]))
    new_year = utc(2024, 12, 31)
    source, found = hours_of(
        city_of(ADELAIDE, portal.url, tmp_path), TimeRange(new_year, utc(2025, 1, 2))
    )

    asked = [new_year - timedelta(minutes=30) + timedelta(hours=n) for n in range(48)]
    assert found == {
        (name, at): at.astimezone(zone).hour if name == "Adelaide Oval" else 100
        for name in ("Adelaide Oval", "Linear Park")
        for at in asked
    }
    assert [(each.counter_id, each.latitude) for each in source.read_counters()] == [
        ("Adelaide Oval", -34.9)
    ]
