"""`velocast counts rebuild`, as it is typed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.datetimes import rfc3339
from velocast_cli.main import app

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))


def test_hours_without_a_count_are_estimated_and_told() -> None:
    city = small_city.make(days=35)
    first = city["counter_id"].min()
    day = (city["counter_id"] == first) & (city["counted_at"].dt.strftime("%m-%d") == "02-25")
    small_city.store(city[~day])
    words = ["counts", "rebuild", "--since", "2025-02-20", "--until", "2025-03-01"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["since"], told["until"]) == ("2025-02-20T00:00:00Z", "2025-03-01T00:00:00Z")
    assert (told["hours"], told["counters"]) == (24, 1)
    rows = small_city.warehouse().read(
        schemas.COUNT_ESTIMATES,
        columns=["counter_id"],
        where="counted_at >= '2025-01-01T00:00:00Z'",
    )
    assert rows.column("counter_id").to_pylist() == [first] * 24
    done = CliRunner().invoke(app, words)
    assert done.output.startswith("24 hours of 1 counters estimated")


def test_an_empty_range_is_refused() -> None:
    done = CliRunner().invoke(
        app, ["counts", "rebuild", "--since", "2025-03-05", "--until", "2025-03-05"]
    )
    assert done.exit_code != 0
    assert "there is no hour between" in done.output
