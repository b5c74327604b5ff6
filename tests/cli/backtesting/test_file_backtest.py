"""What a backtest hands on of a city's file, without an emulator."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from tests.shared.model import small_city
from velocast.core.city import City, load_city
from velocast_cli.backtesting import file_backtest, rolling_origins
from velocast_cli.backtesting.file_backtest import BacktestRequest, LoadedCounts
from velocast_cli.backtesting.plan import BacktestResult


def test_events_at_named_counters_are_those_of_the_files_counters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The warehouse of a backtest has no table of counters, so names and places are looked up before."""
    seen: list[City] = []

    def backtest(_: Any, city: City, *__: Any) -> BacktestResult:
        seen.append(city)
        return BacktestResult(pd.DataFrame())

    monkeypatch.setattr(rolling_origins, "backtest_rolling_origins", backtest)
    fair = {"since": "2021-03-05", "until": "2021-03-06", "what": "Fair", "kind": "event"}
    city = City(**load_city("demoville").model_dump() | {"events": [fair | {"area": "quai"}]})
    counters = pd.DataFrame({"counter_id": ["c0", "c1"], "counter_name": ["Pont", "Quai"]})
    held: Any = LoadedCounts(None, small_city.counts(date(2021, 1, 1), 80, seed=1), counters)  # type: ignore[arg-type]  # not asked
    asked = BacktestRequest((), None, "observed", 1, None, ("blend",), new_counters=False)
    file_backtest.backtest_loaded(asked, city, held, lambda _: None)
    assert [event.counters for event in seen[0].events] == [("c1",)]
    assert city.events[0].area == "quai"

    # The hours of a replaced counter are loaded under the id of the one that continues it.
    continued = {"counter": "c1", "continues": "old", "since": "2021-03-08"}
    listed = {"events": [fair | {"counters": ["old"]}], "continuations": [continued]}
    replaced = City(**load_city("demoville").model_dump() | listed)
    file_backtest.backtest_loaded(asked, replaced, held, lambda _: None)
    assert [event.counters for event in seen[1].events] == [("c1",)]
