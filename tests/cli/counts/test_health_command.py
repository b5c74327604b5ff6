"""`velocast counts health` on a deployment with a silent counter."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core.datetimes import rfc3339
from velocast.usecases.counter_health import read_counter_health
from velocast_cli.main import app

SILENT = timedelta(days=6)


def health(*words: str) -> Any:
    done = CliRunner().invoke(app, ["counts", "health", *words], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def city(
    storage_buckets: object, warehouse_tables: object, monkeypatch: pytest.MonkeyPatch
) -> pd.DataFrame:
    """Four counters, the first of which is silent."""
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    rows = small_city.make(days=30)
    first = rows["counter_id"].min()
    late = rows["counted_at"] >= small_city.ORIGIN - SILENT
    rows = rows[~((rows["counter_id"] == first) & late)].reset_index(drop=True)
    small_city.store(rows)
    return rows


def test_json_is_the_health_of_every_counter(city: pd.DataFrame) -> None:
    said = json.loads(health("--json").stdout)

    stored = read_counter_health(small_city.warehouse(), as_of=small_city.AS_OF)
    assert said == {
        "city": "Demoville",
        "as_of": rfc3339(small_city.AS_OF),
        "counters": [each.as_dict() for each in stored],
    }
    assert [each["needs_a_look"] for each in said["counters"]] == [True, False, False, False]


def test_the_table_shows_what_needs_a_look_and_all_when_asked(city: pd.DataFrame) -> None:
    names = sorted(city["counter_name"].unique())
    silent = city.loc[city["counter_id"] == city["counter_id"].min(), "counter_name"].iloc[0]

    few, everything = health().stdout, health("--all").stdout

    assert all(len(line) <= 80 for line in everything.splitlines())
    assert [name for name in names if name in few] == [silent]
    assert [name for name in names if name in everything] == names
    assert "6 d" in few
    assert few.splitlines()[-1] == "1 of 4 counters need a look"
