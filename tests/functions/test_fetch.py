"""The function fetch under the Functions Framework: from Pub/Sub messages to rows, audit rows and notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from google.cloud import bigquery

from tests import emulators
from tests.audit_rows import audit_rows
from tests.functions.dataset_roles import granted_roles, needed_roles
from tests.functions.deployed import Deployed
from tests.replayed_city import ReplayedCity, serving, small_frame, without_pauses
from velocast.adapters.city_sources.transports import portal
from velocast.core.telemetry import configure_logging

NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)
STORED = 3 * 215  # three counters, 1 March 00:00Z to 9 March 22:00Z


class Lab:
    """The function as it is deployed, its city and its tables."""

    def __init__(
        self,
        function: Deployed,
        city: ReplayedCity,
        tables: bigquery.Client,
        topics: emulators.RunningPubSub,
    ) -> None:
        self.function = function
        self.city = city
        self.tables = tables
        self.topics = topics

    def deliver(
        self, data: bytes, message_id: str = "17", published: str = "2025-03-10T02:00:00Z"
    ) -> int:
        """Push a message as Pub/Sub does and return the HTTP status that it receives."""
        return self.function.deliver(data, message_id=message_id, published=published)

    def rows(self, table: str) -> pd.DataFrame:
        answer = self.tables.query_and_wait(f"SELECT * FROM {table}")
        return answer.to_arrow(create_bqstorage_client=False).to_pandas()

    def audit(self) -> dict[str, Any]:
        """Return the one audit row."""
        (row,) = audit_rows(self.tables)
        return row

    def notices(self) -> list[dict[str, Any]]:
        return self.topics.notices()


@pytest.fixture(scope="module")
def served_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayedCity]:
    """A city behind its API."""
    path = tmp_path_factory.mktemp("city") / "city.parquet"
    with serving(ReplayedCity(path, small_frame(), NOW)) as city:
        yield city


@pytest.fixture(scope="module")
def function(served_city: ReplayedCity, stack_variables: dict[str, str]) -> Iterator[Deployed]:
    """functions/fetch/main.py, loaded once as the framework loads it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (stack_variables | {"VELOCAST_CITY": served_city.described()}).items():
            environment.setenv(name, value)
        yield Deployed("fetch")


@pytest.fixture
def lab(
    function: Deployed,
    served_city: ReplayedCity,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    monkeypatch: pytest.MonkeyPatch,
) -> Lab:
    """The function, the city and empty tables, at NOW."""
    monkeypatch.setattr(portal, "LIMITS", without_pauses(portal.LIMITS))
    served_city.now = NOW
    served_city.publish(small_frame())
    return Lab(function, served_city, warehouse_tables, topics)


class TestGoodEvents:
    def test_empty_object_fetches_as_of_its_publication(self, lab: Lab) -> None:
        assert lab.deliver(b"{}") == 200

        assert len(lab.rows("bike_traffic_raw.counts")) == STORED
        audit = lab.audit()
        assert (audit["event_id"], audit["status"]) == ("fetch:17:ingestion", "OK")
        assert (audit["event_type"], audit["environment"]) == ("INGESTION", "dev")
        assert audit["as_of"] == NOW
        assert audit["details"]["inserted"] == STORED
        assert lab.notices() == []

    def test_a_message_delivered_twice_changes_no_row(self, lab: Lab) -> None:
        lab.deliver(b'{"as_of": "2025-03-09T02:00:00Z"}')
        tables = ("bike_traffic_raw.counts", "bike_traffic_raw.counters")
        before = [lab.rows(t) for t in tables]

        assert lab.deliver(b'{"as_of": "2025-03-09T02:00:00Z"}') == 200

        for table, rows in zip(tables, before, strict=True):
            key = list(rows.columns[:2])
            pd.testing.assert_frame_equal(
                rows.sort_values(key, ignore_index=True),
                lab.rows(table).sort_values(key, ignore_index=True),
            )
        assert lab.audit()["details"]["inserted"] == 0

    def test_its_account_may_do_what_it_does_and_no_more(self, lab: Lab) -> None:
        """Two days; on the second the city corrects a count and publishes two values for an hour."""
        with needed_roles() as needed:
            assert lab.deliver(b'{"as_of": "2025-03-09T02:00:00Z"}') == 200
            corrected = small_frame()
            corrected.loc[150, "sum_counts"] = 1
            contradicted = corrected.iloc[[160]].assign(sum_counts=77)
            lab.city.publish(pd.concat([corrected, contradicted], ignore_index=True))
            assert lab.deliver(b"{}", message_id="18") == 200

        assert needed == granted_roles("fetch")
        details = {row["event_id"]: row["details"] for row in audit_rows(lab.tables)}
        second = details["fetch:18:ingestion"]
        assert (second["updated"], second["rejected"]) == (1, 2)


class TestMalformedEvents:
    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (b"fetch!", "message 17: its data is not JSON"),
            (b"[1, 2]", "message 17: data is list, needs a JSON object"),
            (b'{"as_of": 5}', "message 17 for FetchRequest: as_of: Input should be a valid string"),
            (b'{"asof": "2025-03-09T02:00:00Z"}', "asof: Extra inputs are not permitted"),
            (b'{"as_of": "last night"}', "as_of 'last night' is not an RFC 3339 time"),
            (b'{"as_of": "2025-03-09T02:00:00"}', "has no zone"),
            (b'{"as_of": "2025-03-11T02:00:00Z"}', "is later than the event itself"),
            (
                b'{"since": "2025-03-09T00:00:00Z", "until": "2025-03-08T00:00:00Z"}',
                "is not before until",
            ),
        ],
    )
    def test_is_refused_stores_nothing_and_leaves_an_audit_row(
        self, lab: Lab, data: bytes, error: str
    ) -> None:
        assert lab.deliver(data) == 500

        assert len(lab.rows("bike_traffic_raw.counts")) == 0
        audit = lab.audit()
        assert (audit["event_id"], audit["status"]) == ("fetch:17:failed", "FAILED")
        assert audit["error_message"].startswith("bad_event: ")
        assert error in audit["error_message"]
        assert audit["details"] == {"payload": data.decode()}
        (notice,) = lab.notices()
        assert (notice["event"], notice["component"]) == ("run_failed", "fetch")
        assert error in notice["error"]

    def test_leaves_the_line_that_the_log_based_metrics_count(
        self, lab: Lab, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging("fetch")  # again: the handler writes to the output of this test
        lab.deliver(b'{"as_of": 5}')

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (line,) = [line for line in lines if "status" in line]
        assert (line["event"], line["status"], line["severity"]) == ("INGESTION", "FAILED", "ERROR")
        assert line["logging.googleapis.com/labels"]["component"] == "fetch"

    def test_the_same_bad_message_again_leaves_one_audit_row(self, lab: Lab) -> None:
        lab.deliver(b'{"as_of": 5}')
        lab.deliver(b'{"as_of": 5}')

        assert lab.audit()["status"] == "FAILED"
        assert {n["event_id"] for n in lab.notices()} == {"fetch:17:failed"}


class TestCityInTrouble:
    def test_failure_is_reported_and_the_delivery_repeated_heals(self, lab: Lab) -> None:
        lab.city.faults.kind = "too_many_requests"

        assert lab.deliver(b"{}") == 500
        audit = lab.audit()
        assert audit["status"] == "FAILED"
        assert audit["error_message"].startswith("city_unreachable: ")
        assert "2030-01-01T00:00:00Z" in audit["error_message"]
        assert [n["event"] for n in lab.notices()] == ["data_stale", "run_failed"]

        lab.city.faults.kind = None
        assert lab.deliver(b"{}") == 200
        assert len(lab.rows("bike_traffic_raw.counts")) == STORED
        assert {row["status"] for row in audit_rows(lab.tables)} == {"FAILED", "OK"}
