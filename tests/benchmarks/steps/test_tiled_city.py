"""A large city made of copies of a small one's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.steps.tiled_city import RecordingWarehouse, TiledWarehouse
from velocast.adapters.bigquery.client import Warehouse

ROWS = pd.DataFrame({"counter_id": ["a", "a", "b", "b"], "bike_count": [1.0, 2.0, 3.0, 4.0]})


@pytest.fixture
def tiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TiledWarehouse:
    """Three copies of a city of two counters."""

    def answer(_self: Warehouse, _sql: str, **_named: Any) -> pd.DataFrame:
        return ROWS

    monkeypatch.setattr(Warehouse, "query_large", answer)
    recording = RecordingWarehouse("project", "europe-west1", keep=True)
    recording.query_large("features", one_lead=False, counter_ids=["a", "b"])
    recording.query_large("features", one_lead=True, keep_one_in=2)
    recording.stop_recording()
    recording.query_large("features", one_lead=False)
    recording.save(tmp_path / "answers")
    return TiledWarehouse(tmp_path / "answers", 3)


def test_every_copy_has_counters_of_its_own(tiled: TiledWarehouse) -> None:
    rows = tiled.query_large("features", one_lead=False)

    assert sorted(set(rows["counter_id"])) == [f"{c}~{n:03}" for c in "ab" for n in range(3)]
    assert rows["bike_count"].tolist() == [1.0, 2.0, 3.0, 4.0] * 3


def test_a_block_of_counters_comes_alone(tiled: TiledWarehouse) -> None:
    rows = tiled.query_large("features", one_lead=False, counter_ids=["a~001", "b~002"])

    assert rows["counter_id"].tolist() == ["a~001"] * 2 + ["b~002"] * 2


def test_answers_that_were_thinned_are_thinned_by_the_rest(tiled: TiledWarehouse) -> None:
    assert len(tiled.query_large("features", one_lead=True, keep_one_in=2)) == 12
    assert len(tiled.query_large("features", one_lead=True, keep_one_in=4)) == 6


def test_what_the_small_city_was_not_asked_is_an_error(tiled: TiledWarehouse) -> None:
    with pytest.raises(KeyError, match="drift_errors"):
        tiled.query("drift_errors")
