"""`city new` and `city check` on files exactly as cities published them, against an oracle of csv and zoneinfo.

The oracle shares nothing with the code under test. Without ../shared/data/cities/raw the tests are skipped.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from velocast_cli.city.commands import city_app

RAW = Path(__file__).parents[3] / "../shared/data/cities/raw"
RUN = CliRunner()
pytestmark = pytest.mark.skipif(
    not RAW.is_dir(), reason=f"{RAW} is absent: the files of real cities"
)

Record = tuple[str, datetime, int]  # counter, instant of the interval's start, bikes
Hours = dict[
    tuple[str, datetime], tuple[int, bool]
]  # -> bikes, and whether all parts of the hour are there


def hours(records: Iterable[Record], parts: int, zone: str) -> Hours:
    """Add intervals up to hours. Equal records count once; of those that contradict each other none counts."""
    values: dict[tuple[str, datetime], set[int]] = defaultdict(set)
    for counter, start, bikes in records:
        values[counter, start].add(bikes)
    found: dict[tuple[str, datetime], list[int]] = defaultdict(list)
    for (counter, start), seen in values.items():
        if len(seen) == 1:
            past = timedelta(minutes=start.astimezone(ZoneInfo(zone)).minute)
            found[counter, start - past].append(seen.pop())
    return {key: (sum(bikes), len(bikes) == parts) for key, bikes in found.items()}


def instant(text: str, form: str, zone: str) -> datetime | None:
    """Return the instant of a local time: the first of two, None where the clock skips it."""
    local = datetime.strptime(text, form).replace(tzinfo=ZoneInfo(zone))
    moment = local.astimezone(UTC)
    return (
        moment
        if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)
        else None
    )


def wide(path: Path, form: str, zone: str, columns: dict[str, str]) -> list[Record]:
    """Read a row a time. columns: heading -> counter."""
    records = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            start = instant(next(iter(row.values())), form, zone)
            for heading, counter in columns.items():
                if start is not None and row.get(heading):
                    records.append((counter, start, int(row[heading])))
    return records


def headings(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))[1:]


def city_hours(folder: Path, source: Path, *options: str) -> Hours:
    """Return what `city check --rows` writes after `city new`."""
    described, rows = folder / "city.yaml", folder / "rows.parquet"
    made = RUN.invoke(
        city_app,
        ["new", str(source), "-o", str(described), "--yes", "--licence", "as published", *options],
    )
    assert made.exit_code == 0, made.output
    checked = RUN.invoke(
        city_app, ["check", str(described), str(source), "--rows", str(rows), "--json"]
    )
    assert checked.exit_code == 0, checked.output
    table = parquet.read_table(rows).to_pylist()
    return {
        (r["counter_id"], r["counted_at"]): (r["bike_count"], r["quality"] != "incomplete")
        for r in table
    }


def test_seattle(tmp_path: Path) -> None:
    zone, path = "America/Los_Angeles", RAW / "seattle.csv"
    truth = hours(wide(path, "%m/%d/%Y %I:%M:%S %p", zone, {h: h for h in headings(path)}), 1, zone)
    assert len(truth) == 2928
    assert city_hours(tmp_path, path, "--zone", zone, "--holidays", "US-WA") == truth


def test_dublin(tmp_path: Path) -> None:
    zone, path = "Europe/Dublin", RAW / "dublin.csv"
    names = headings(path)
    totals = {h: h for h in names if not any(h.startswith(f"{other} ") for other in names)}
    truth = hours(wide(path, "%d/%m/%Y %H:%M", zone, totals), 1, zone)
    assert len({counter for counter, _ in truth}) == 11
    assert city_hours(tmp_path, path, "--zone", zone, "--holidays", "IE") == truth


def test_montreal(tmp_path: Path) -> None:
    zone, path = "America/Toronto", RAW / "montreal.csv"
    columns = {h: h.removeprefix("compteur_") for h in headings(path)}
    truth = hours(wide(path, "%Y-%m-%d %H:%M:%S", zone, columns), 4, zone)
    assert {complete for _, complete in truth.values()} == {
        True,
        False,
    }  # July came twice, with other values
    assert city_hours(tmp_path, path, "--zone", zone, "--holidays", "CA-QC") == truth


def test_muenster(tmp_path: Path) -> None:
    zone, records = "Europe/Berlin", []
    for path in sorted((RAW / "muenster").glob("*.csv")):
        total = headings(path)[0]
        records += wide(path, "%Y-%m-%d %H:%M", zone, {total: total.split()[0]})
    truth = hours(records, 4, zone)
    assert {counter for counter, _ in truth} == {"100034978", "300037405"}
    assert city_hours(tmp_path, RAW / "muenster", "--zone", zone, "--holidays", "DE-NW") == truth


def test_the_export_of_paris(tmp_path: Path) -> None:
    path = RAW / "paris_portal_export.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    truth = {
        (
            r["Identifiant du compteur"],
            datetime.fromisoformat(r["Date et heure de comptage"]).astimezone(UTC),
        ): (int(float(r["Comptage horaire"])), True)
        for r in rows
    }
    assert len(truth) == 21
    assert city_hours(tmp_path, path, "--zone", "Europe/Paris", "--holidays", "FR") == truth


def test_a_page_of_the_api_of_paris(tmp_path: Path) -> None:
    path = RAW / "paris_api_records.json"
    records = json.loads(path.read_text(encoding="utf-8"))["results"]
    truth = {
        (r["id_compteur"], datetime.fromisoformat(r["date"])): (r["sum_counts"], True)
        for r in records
    }
    assert len(truth) == 2
    assert city_hours(tmp_path, path, "--zone", "Europe/Paris", "--holidays", "FR") == truth


def test_daily_totals_are_refused_with_the_reason(tmp_path: Path) -> None:
    options = [
        "--yes",
        "--zone",
        "Europe/Berlin",
        "--holidays",
        "DE-BY",
        "--licence",
        "dl-de/by-2.0",
    ]
    done = RUN.invoke(
        city_app, ["new", str(RAW / "munich_daily.csv"), "-o", str(tmp_path / "m.yaml"), *options]
    )
    assert done.exit_code == 1
    assert "daily totals cannot be forecast hour by hour" in " ".join(done.output.split())
    assert not (tmp_path / "m.yaml").exists()
