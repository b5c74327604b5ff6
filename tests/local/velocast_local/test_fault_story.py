"""The demo's fault as ingestion sees it: fetched day by day, told by the counter's name, marked, and closed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.replayed_city import ReplayedCity, serving
from velocast.core.city import load_city
from velocast.core.notices import NOTICE
from velocast.core.requests import FetchRequest
from velocast.core.settings import FetchSettings
from velocast.usecases import audit
from velocast.usecases.context import Run, Runtime
from velocast.usecases.ingest.fetch import fetch_city_data
from velocast.usecases.notifications.event_cards import notice_card
from velocast.usecases.notifications.words import read_words
from velocast_local.city.injected_fault import LEAST_DAYS, inject_fault
from velocast_local.fault_story import count_hours, count_messages, find_episode
from velocast_local.simulation.city import simulate_city

COUNTERS = 4
FETCHED_AT = time(2, tzinfo=UTC)


def embedded(notice: dict[str, Any]) -> dict[str, Any]:
    """Return a notice as a message of Discord's."""
    card = notice_card(NOTICE.validate_python(notice), read_words("en"))
    fields = [{"name": field.name, "value": field.value} for field in card.fields]
    return {"embeds": [{"footer": {"text": card.footer}, "fields": fields}]}


def test_it_is_told_once_marked_and_closed(
    tmp_path: Path,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = simulate_city(COUNTERS, days=70, faultless_days=LEAST_DAYS + 21)[0]
    first_day = rows["date"].iloc[-1].date() - timedelta(days=LEAST_DAYS - 2)
    rows, fault = inject_fault(rows, first_day=first_day, zone=load_city("demoville").zone)
    days = [datetime.combine(first_day, FETCHED_AT) + timedelta(n) for n in range(LEAST_DAYS)]
    ingestions = []
    with serving(ReplayedCity(tmp_path / "city.parquet", rows, days[0])) as city:
        monkeypatch.setenv("VELOCAST_CITY", city.described())
        runtime = Runtime(FetchSettings.load(), component="fetch")
        for city.now in days:
            run = Run(runtime, city.now, f"{city.now:%d}")
            (row,) = fetch_city_data(FetchRequest(), run)
            audit.write(runtime.warehouse, [row], environment="dev")
            ingestions.append((city.now, row.details["quality"]))

    found = find_episode(fault, ingestions, first_day)
    assert found["hours_until_found"] <= 48
    assert found["closed_on_day"] <= LEAST_DAYS
    messages = [embedded(notice) for notice in topics.notices()]
    assert count_messages(fault, messages) == {"found": 1, "over": 1, "others": 0}
    counts = (
        warehouse_tables.query_and_wait(
            "SELECT counter_id, counted_at FROM bike_traffic_raw.counts WHERE quality = 'outage' "
            f"AND counted_at >= '{first_day}'"
        )
        .to_arrow(create_bqstorage_client=False)
        .to_pandas()
    )
    assert set(counts["counter_id"]) == {fault.counter_id}
    hours = pd.date_range(fault.since, fault.until, freq="h", inclusive="left")
    assert set(hours.tz_convert("UTC")) <= set(counts["counted_at"])

    stored = count_hours(warehouse_tables, emulators.PROJECT, fault)
    assert stored["hours"] == stored["hours_marked"] == stored["hours_rebuilt"] == len(hours)
    assert stored["bikes_rebuilt"] == pytest.approx(stored["bikes_hidden"], rel=0.25)
