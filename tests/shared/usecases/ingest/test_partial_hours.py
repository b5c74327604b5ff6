"""A city of quarter hours, from its portal to the tables: an hour with a part missing, and what completes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from google.cloud import bigquery

from tests import emulators
from tests.replayed_city import without_pauses
from tests.shared.adapters.city_sources.transports.imitated_socrata import ImitatedSocrata
from tests.shared.adapters.city_sources.transports.imitation import Stage, utc
from tests.shared.usecases.ingest.test_fetch import Gauges
from velocast.adapters.city_sources.transports import portal
from velocast.core.audit_row import AuditRow
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases import feature_store
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest import fetch as ingest

QUARTER = timedelta(minutes=15)
FIRST = utc(2025, 3, 10, 12)
CITY = """
name: Austin
time_zone: America/Chicago
counts:
  source: { transport: socrata, base_url: URL, dataset: abcd-1234, time_field: read_date }
  step_minutes: 15
  layout:
    shape: long
    time: { columns: read_date }
    counter: { id: site }
    values: [{ column: bikes }]
  clock: { times: local, repeated_hour: once }
"""

Stored = dict[str, tuple[int, str | None]]


def bikes(quarter: datetime) -> int:
    """Return the bikes of counter 7 in a quarter hour; never the same for long, which would be a fault."""
    return Random(quarter.timestamp()).randrange(1, 40)


def counted(*hours: int, without: tuple[datetime, ...] = ()) -> Stored:
    """Return what is stored of whole hours (UTC) of the first day, or of those but some quarter hours."""
    begun = {hour: FIRST.replace(hour=hour) for hour in hours}
    parts = {hour: [at + n * QUARTER for n in range(4)] for hour, at in begun.items()}
    sums = {
        hour: sum(bikes(at) for at in quarters if at not in without)
        for hour, quarters in parts.items()
    }
    return {f"{hour:02}": (total, None) for hour, total in sums.items()}


def partly(hour: int, *without: datetime) -> Stored:
    """Return what is stored of an hour (UTC) of the first day that lacks some quarter hours."""
    ((name, (total, _)),) = counted(hour, without=without).items()
    return {name: (total, "incomplete")}


class Lab:
    """A portal, and the warehouse behind fetch."""

    def __init__(self, stage: Stage, client: bigquery.Client) -> None:
        self.stage = stage
        self.client = client
        self.runtime = Runtime(FetchSettings.load(), component="fetch")
        self.runtime.__dict__["metrics"] = Gauges()

    def publish(self, until: datetime, *, without: frozenset[datetime] = frozenset()) -> None:
        """Show the quarter hours from FIRST to `until`, but those in `without`."""
        moments = [FIRST + n * QUARTER for n in range(int((until - FIRST) / QUARTER))]
        zone = self.runtime.settings.city.zone
        local = [at.astimezone(zone) for at in moments if at not in without]
        rows = [
            {"read_date": f"{at:%Y-%m-%dT%H:%M:%S}.000", "site": "7", "bikes": str(bikes(at))}
            for at in local
        ]
        self.stage.show(ImitatedSocrata(rows))

    def fetch(self, now: datetime) -> AuditRow:
        (row,) = ingest.fetch_city_data(FetchRequest(), Run(self.runtime, now, f"at{now:%H%M}"))
        return row

    def stored(self, day: date | None = None) -> Stored:
        """Return bikes and quality of counter 7, by hour (UTC), of one day or of all hours, which are of one day."""
        asked = "SELECT counted_at, bike_count, quality FROM bike_traffic_raw.counts"
        rows = self.client.query_and_wait(f"{asked} WHERE counter_id = '7' ORDER BY counted_at")
        return {
            f"{row.counted_at:%H}": (row.bike_count, row.quality)
            for row in rows
            if day is None or row.counted_at.date() == day
        }

    def learned(self) -> set[str]:
        """Return the hours (UTC) that a model may learn from."""
        settings = self.runtime.settings
        day = FIRST.date()
        frame = feature_store.read_features(
            self.runtime.warehouse,
            settings.city,
            first_origin=day,
            last_origin=day,
            actual_until=FIRST + timedelta(days=1),
            lead_days=1,
        )
        known = frame[frame["bike_count"].notna()]
        return {f"{at:%H}" for at in known["target_at"]}


def changes(row: AuditRow) -> dict[str, int]:
    """Return how many hours a fetch inserted, updated and left, and how many records it refused."""
    assert row.details is not None
    return {name: row.details[name] for name in ("inserted", "updated", "unchanged", "rejected")}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with stage.server:
        yield stage


@pytest.fixture
def lab(
    stage: Stage,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,  # fetch publishes notices
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Lab:
    file = tmp_path / "austin.yaml"
    file.write_text(CITY.replace("URL", stage.server.url), encoding="utf-8")
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    monkeypatch.setenv("VELOCAST_CITY", str(file))
    return Lab(stage, warehouse_tables)


def test_an_hour_fetched_in_part_is_completed_by_the_next_fetch(lab: Lab) -> None:
    half = FIRST + timedelta(hours=2, minutes=30)
    lab.publish(half)
    lab.fetch(half + timedelta(minutes=10))
    assert lab.stored() == counted(12, 13)  # 14 o'clock is not over

    row = lab.fetch(half + timedelta(minutes=35))
    part = partly(14, half, half + QUARTER)
    assert lab.stored() == counted(12, 13) | part
    assert lab.learned() == {"12", "13"}
    assert changes(row) == {"inserted": 1, "updated": 0, "unchanged": 2, "rejected": 0}

    lab.publish(FIRST + timedelta(hours=4))
    row = lab.fetch(FIRST + timedelta(hours=4))
    assert lab.stored() == counted(12, 13, 14, 15)
    assert lab.learned() == {"12", "13", "14", "15"}
    assert changes(row) == {"inserted": 1, "updated": 1, "unchanged": 2, "rejected": 0}


def test_a_quarter_hour_that_comes_days_later_completes_its_hour(lab: Lab) -> None:
    late = FIRST + timedelta(hours=1, minutes=30)
    overlap = timedelta(days=lab.runtime.settings.thresholds.overlap_days)
    lab.publish(FIRST + overlap, without=frozenset({late}))
    lab.fetch(FIRST + overlap)
    assert lab.stored(FIRST.date()) == counted(*range(12, 24)) | partly(13, late)

    lab.publish(FIRST + overlap + timedelta(hours=1))
    lab.fetch(FIRST + overlap + timedelta(hours=1))
    assert lab.stored(FIRST.date()) == counted(*range(12, 24))


def test_an_hour_that_was_complete_stays_so(lab: Lab) -> None:
    lab.publish(FIRST + timedelta(hours=2))
    lab.fetch(FIRST + timedelta(hours=2))
    for _ in range(2):
        row = lab.fetch(FIRST + timedelta(hours=2))
        assert lab.stored() == counted(12, 13)
        assert changes(row) == {"inserted": 0, "updated": 0, "unchanged": 2, "rejected": 0}
