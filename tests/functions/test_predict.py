"""The function predict under the Functions Framework."""

from __future__ import annotations

import json

import pytest
from google.cloud import bigquery

from tests import emulators
from tests.audit_rows import audit_rows
from tests.functions.dataset_roles import granted_roles, needed_roles
from tests.functions.deployed import Deployed
from tests.shared.adapters.executions_server import executions_server
from tests.shared.usecases import champions, small_city
from velocast.core.requests import ForecastArgument, PredictRequest
from velocast.usecases import snapshot_format

PUBLISHED = "2025-03-10T04:00:00Z"


@pytest.fixture
def predict(
    storage_buckets: dict[str, str],
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
) -> Deployed:
    """The function with empty emulators."""
    del storage_buckets, warehouse_tables, topics
    return Deployed("predict")


def count(client: bigquery.Client) -> int:
    sql = "SELECT COUNT(*) AS n FROM bike_traffic_predictions.forecasts WHERE target_at > '2000-01-01'"
    return int(next(iter(client.query_and_wait(sql)))["n"])


def test_a_message_makes_forecasts_a_snapshot_and_one_audit_row(
    predict: Deployed, warehouse_tables: bigquery.Client
) -> None:
    small_city.store(small_city.make())

    with needed_roles() as needed:
        for _ in range(2):
            assert predict.deliver(b"{}", message_id="17", published=PUBLISHED) == 200

    assert needed == granted_roles("predict"), "its account may do what it does and no more"
    assert count(warehouse_tables) == 480
    (row,) = audit_rows(warehouse_tables)
    assert (row["event_id"], row["event_type"]) == ("predict:17:prediction", "PREDICTION")
    assert (row["status"], row["environment"]) == ("OK", "dev")
    assert row["details"]["counters"] == 4
    snapshot = snapshot_format.loads(champions.models().read(snapshot_format.SNAPSHOT).data)
    assert len(snapshot.counters) == 4


def test_a_large_city_is_handed_over_to_the_workflow(
    predict: Deployed, warehouse_tables: bigquery.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many counters as `job_counters` are forecast here; one more, and the workflow does it."""
    small_city.store(small_city.make())
    data = b'{"as_of": "2025-03-05T06:00:00+01:00", "only_known": true}'
    with executions_server() as (host, started):
        monkeypatch.setenv("WORKFLOWS_EXECUTIONS_EMULATOR_HOST", host)
        monkeypatch.setenv("JOB_COUNTERS", "4")
        assert predict.deliver(b"{}", message_id="17", published=PUBLISHED) == 200
        assert not started
        monkeypatch.setenv("JOB_COUNTERS", "3")
        large = Deployed("predict")
        assert large.deliver(data, message_id="18", published=PUBLISHED) == 200

    (request,) = started
    assert request.parent.endswith("/workflows/velocast-forecast")
    argument = json.loads(request.execution.argument)
    assert ForecastArgument.model_validate(argument) == ForecastArgument(
        execution_id="18",
        request=PredictRequest(as_of="2025-03-05T05:00:00Z", only_known=True),
        of_the_day=True,
    )
    assert [row["event_id"] for row in audit_rows(warehouse_tables)] == ["predict:17:prediction"]


def test_a_message_can_request_a_past_day(
    predict: Deployed, warehouse_tables: bigquery.Client
) -> None:
    small_city.store(small_city.make())

    data = b'{"as_of": "2025-03-05T06:00:00+01:00"}'
    assert predict.deliver(data, message_id="18", published=PUBLISHED) == 200

    (row,) = audit_rows(warehouse_tables)
    assert row["details"]["origin_at"] == "2025-03-04T23:00:00Z"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"not json", "its data is not JSON"),
        (b"[1]", "data is list, needs a JSON object"),
        (b'{"as_off": "2025-03-05"}', "as_off: Extra inputs are not permitted"),
        (b'{"as_of": 5}', "as_of: Input should be a valid string"),
        (b'{"as_of": "yesterday"}', "is not an RFC 3339 time"),
        (b'{"as_of": "2025-03-10T05:00:00"}', "has no zone"),
        (b'{"as_of": "2025-03-10T05:00:00Z"}', "is later than the event itself"),
    ],
)
def test_a_malformed_message_is_refused_and_changes_nothing(
    data: bytes,
    error: str,
    predict: Deployed,
    warehouse_tables: bigquery.Client,
) -> None:
    assert predict.deliver(data, message_id="19", published=PUBLISHED) == 500

    assert count(warehouse_tables) == 0
    assert champions.models().names("") == []
    (row,) = audit_rows(warehouse_tables)
    assert (row["event_id"], row["status"]) == ("predict:19:failed", "FAILED")
    assert error in row["error_message"]


def test_no_counts_yet_is_no_error(
    predict: Deployed, warehouse_tables: bigquery.Client, topics: emulators.RunningPubSub
) -> None:
    assert predict.deliver(b"", message_id="20", published=PUBLISHED) == 200

    (row,) = audit_rows(warehouse_tables)
    assert row["status"] == "OK"
    assert row["details"]["snapshot"] == "nothing to forecast yet"
    assert topics.published("velocast-alerts") == []


def test_a_failure_raises_a_notice_and_is_delivered_again(
    predict: Deployed,
    warehouse_tables: bigquery.Client,
    topics: emulators.RunningPubSub,
    object_store: emulators.RunningObjectStore,
) -> None:
    small_city.store(small_city.make())
    object_store.store.delete_bucket(emulators.BUCKETS["models"])

    assert predict.deliver(b"{}", message_id="21", published=PUBLISHED) == 500

    (row,) = audit_rows(warehouse_tables)
    assert (row["event_id"], row["status"]) == ("predict:21:failed", "FAILED")
    (message,) = topics.published("velocast-alerts")
    assert json.loads(message.data)["event"] == "run_failed"
    object_store.store.ensure_bucket(emulators.BUCKETS["models"], versioning=True)
    assert predict.deliver(b"{}", message_id="21", published=PUBLISHED) == 200
