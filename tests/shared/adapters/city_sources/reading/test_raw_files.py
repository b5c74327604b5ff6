"""Every real file beside the project, against a truth that is computed by `csv` and `zoneinfo` in a few lines each.

The oracles share nothing with the reading. They leave out the hours of a clock change, which are tested in
`test_clock.py`, and say nothing of `quality`: every hour of theirs must be stored as usable.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from velocast.adapters.city_sources.reading import Harvest, read_files
from velocast.core.city import City, load_city
from velocast.core.errors import CityRefused

DATA = Path(__file__).parents[6] / "shared" / "data" / "cities"
RAW = DATA / "raw"
Truth = dict[tuple[str, datetime], int]

pytestmark = pytest.mark.skipif(not RAW.is_dir(), reason="../shared/data/cities is absent")


def city_of(zone: str, layout: dict[str, Any], **counts: Any) -> City:
    clock = {"times": "local", "repeated_hour": "once"}
    return City(
        name="Testville", time_zone=zone, counts={"layout": layout, "clock": clock} | counts
    )


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def unambiguous(local: datetime, zone: str) -> datetime | None:
    """Return a local time in UTC; None if the clock skips it or shows it twice."""
    first, second = (local.replace(tzinfo=ZoneInfo(zone), fold=n).astimezone(UTC) for n in (0, 1))
    return first if first == second else None


def stored(harvest: Harvest, *, usable: bool = True) -> Truth:
    return {
        (row["counter_id"], row["counted_at"]): row["bike_count"]
        for row in harvest.counts.to_pylist()
        if (row["quality"] is None) == usable
    }


def check_prepared(name: str, found: Truth, ids: Iterable[str]) -> None:
    """Compare with the hours that were prepared for the same range, wherever both have one."""
    frame = pd.read_parquet(
        DATA / f"{name}-counts.parquet", columns=["id_compteur", "date", "sum_counts"]
    )
    first, last = min(at for _, at in found), max(at for _, at in found)
    frame = frame[frame["date"].between(first, last)]
    prepared = {
        (str(counter), hour.to_pydatetime()): int(bikes)
        for counter, hour, bikes in frame.itertuples(index=False)
    }
    both = found.keys() & prepared.keys()
    assert {counter for counter, _ in both} == set(ids)
    assert {key: found[key] for key in both} == {key: prepared[key] for key in both}


def test_seattle() -> None:
    """Wide, hourly, AM and PM, newest first."""
    zone = "America/Los_Angeles"
    truth: Truth = {}
    for row in records(RAW / "seattle.csv"):
        at = unambiguous(datetime.strptime(row.pop("Date"), "%m/%d/%Y %I:%M:%S %p"), zone)
        truth |= {(name, at): int(n) for name, n in row.items() if at is not None and n}
    layout = {"shape": "wide", "time": {"columns": "Date", "format": "%m/%d/%Y %I:%M:%S %p"}}

    harvest = read_files(city_of(zone, layout), [RAW / "seattle.csv"])

    assert stored(harvest) == truth
    assert len(truth) > 2_000
    repeated = datetime(2018, 11, 4, 8, tzinfo=UTC)
    assert stored(harvest, usable=False) == {
        ("Fremont Bridge East Sidewalk", repeated): 5,
        ("Fremont Bridge West Sidewalk", repeated): 4,
    }
    assert harvest.rejects == []
    check_prepared(
        "seattle", truth, ("Fremont Bridge East Sidewalk", "Fremont Bridge West Sidewalk")
    )


def test_dublin() -> None:
    """Wide, hourly, day first. The hour that the clock skips is a blank row, and is called as the one after it."""
    zone = "Europe/Dublin"
    truth: Truth = {}
    for row in records(RAW / "dublin.csv"):
        at = unambiguous(datetime.strptime(row.pop("Time"), "%d/%m/%Y %H:%M"), zone)
        truth |= {(name, at): int(n) for name, n in row.items() if at is not None and n}
    layout = {"shape": "wide", "time": {"columns": "Time", "format": "%d/%m/%Y %H:%M"}}

    harvest = read_files(city_of(zone, layout), [RAW / "dublin.csv"])

    assert stored(harvest) == truth
    assert len(truth) > 40_000
    assert (harvest.rejects, stored(harvest, usable=False)) == ([], {})
    names = ("Grove Road Totem", "Griffith Avenue (Lane Side)", "Clontarf - James Larkin Rd")
    check_prepared("dublin", {key: n for key, n in truth.items() if key[0] in names}, names)


def summed(parts: dict[tuple[str, datetime], int], zone: str) -> Truth:
    """Add up quarters of hours that have all four."""
    hours = defaultdict(list)
    for (counter, local), bikes in parts.items():
        hours[counter, unambiguous(local.replace(minute=0), zone)].append(bikes)
    return {(c, at): sum(n) for (c, at), n in hours.items() if at is not None and len(n) == 4}


def test_montreal() -> None:
    """Wide, 15 minutes. July is in it twice, once with counters that the other copy leaves blank."""
    zone = "America/Toronto"
    parts: dict[tuple[str, datetime], int] = {}
    for row in records(RAW / "montreal.csv"):
        local = datetime.fromisoformat(row.pop("Date"))
        for name, bikes in row.items():
            if bikes:
                key = (name.removeprefix("compteur_"), local)
                assert parts.setdefault(key, int(bikes)) == int(bikes)  # the copies agree
    truth = summed(parts, zone)
    layout = {"shape": "wide", "time": {"columns": "Date"}, "pattern": "compteur_(?P<id>.*)"}

    harvest = read_files(city_of(zone, layout, step_minutes=15), [RAW / "montreal.csv"])

    assert stored(harvest) == truth
    assert len(truth) > 30_000
    assert harvest.rejects == []
    assert (
        len({counter for counter, _ in stored(harvest, usable=False)}) > 0
    )  # hours with a part missing


def test_muenster() -> None:
    """A file a counter and month, 15 minutes, channels beside their total, both clock changes of 2024."""
    zone = "Europe/Berlin"
    parts: dict[tuple[str, datetime], int] = {}
    paths = sorted((RAW / "muenster").glob("*.csv"))
    for path in paths:
        site = path.name.partition("-")[0]
        for row in records(path):
            total = next(n for name, n in row.items() if name.startswith(f"{site} ("))
            if total:
                parts[site, datetime.fromisoformat(row["Datetime"])] = int(total)
    truth = summed(parts, zone)
    layout = {
        "shape": "wide",
        "time": {"columns": "Datetime"},
        "pattern": r"(?P<id>[13]000\d{5}) \((?P<name>.*)\)",
        "status": {"column": r"(?P<id>\d+)-status", "usable": "0"},
        "ignore": r"^\d+ \(",
    }

    harvest = read_files(city_of(zone, layout, step_minutes=15), paths)

    assert stored(harvest) == truth
    assert len(truth) == 2_900
    assert harvest.unknown_fields == []
    marked = {
        row["counted_at"] for row in harvest.counts.to_pylist() if row["quality"] == "clock_change"
    }
    assert marked == {datetime(2024, 10, 27, 0, tzinfo=UTC)}
    check_prepared("muenster", truth, ("100034978", "300037405"))


def test_munich_publishes_days() -> None:
    layout = {
        "shape": "long",
        "time": {"columns": ["datum", "uhrzeit_start"], "format": "%Y.%m.%d %H:%M"},
        "counter": {"id": "zaehlstelle"},
        "values": [{"column": "gesamt"}],
    }

    with pytest.raises(
        CityRefused, match="totals of days or more, which cannot be forecast hour by hour"
    ):
        read_files(city_of("Europe/Berlin", layout), [RAW / "munich_daily.csv"])


@pytest.mark.parametrize("name", ["paris_portal_export.csv", "paris_api_records.json"])
def test_paris(name: str) -> None:
    """Long, hourly, with offsets: what the portal's button downloads, and a page of its API."""
    if name.endswith("json"):
        found = json.loads((RAW / name).read_text())["results"]
        rows = [(r["id_compteur"], r["date"], r["sum_counts"]) for r in found]
    else:
        with (RAW / name).open(encoding="utf-8-sig") as file:
            table = list(csv.DictReader(file, delimiter=";"))
        names = ("Identifiant du compteur", "Date et heure de comptage", "Comptage horaire")
        rows = [(r[names[0]], r[names[1]], float(r[names[2]])) for r in table]
    truth = {(c, datetime.fromisoformat(at).astimezone(UTC)): int(n) for c, at, n in rows}

    harvest = read_files(load_city("paris"), [RAW / name])

    assert stored(harvest) == truth
    assert harvest.rejects == []
    position = harvest.counters[0]
    assert position.latitude == pytest.approx(48.85, abs=0.05)
    assert position.longitude == pytest.approx(2.33, abs=0.05)


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    layout = {"shape": "wide", "time": {"columns": "time"}}
    start = datetime(2024, 7, 1)
    for n in range(3):
        hour = start + timedelta(hours=n)
        (tmp_path / f"{n}.csv").write_text(f"time,bridge\n{hour:%Y-%m-%d %H:%M},{n}\n")

    harvest = read_files(city_of("UTC", layout), [tmp_path])

    assert list(stored(harvest).values()) == [0, 1, 2]
    with pytest.raises(CityRefused, match="no such file"):
        read_files(city_of("UTC", layout), [tmp_path / "absent.csv"])
