"""Counters that continue others, as they are typed; and what `predict` then forecasts."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from tests import emulators
from tests.shared.usecases import small_city
from velocast.core.city import City, PlannedEvent, load_city
from velocast.core.city.histories import ListedContinuation, VirtualSum
from velocast.core.datetimes import parse_instant, rfc3339, start_of_local_day
from velocast.core.requests import MonitorRequest, PredictRequest
from velocast.usecases import feature_store, snapshot_format
from velocast.usecases.forecasting.daily_forecast import forecast_all_counters
from velocast.usecases.monitoring.monitor import monitor_champion
from velocast.usecases.snapshot_format import CounterSnapshot
from velocast_cli.main import app

pytestmark = pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
SINCE = date(2025, 2, 10)
NEW = "replaced"
DAYS = 70


def type_in(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["counts", "continues", *words, "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Ten weeks of four counters, of which one has another id since 10 February; stored, and when commands run."""
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    rows = small_city.make(days=DAYS)
    begin = start_of_local_day(SINCE, load_city("demoville").zone)
    later = (rows["counter_id"] == old_of(rows)) & (rows["counted_at"] >= begin)
    rows = rows.assign(counter_id=rows["counter_id"].mask(later, NEW))
    rows.loc[later, ["counter_name", "site_id"]] = ["New counter", "another"]
    small_city.store(rows)
    return rows


def old_of(rows: pd.DataFrame) -> str:
    """Return the busiest counter that counted on all days."""
    known = rows[rows["counter_id"] != NEW].groupby("counter_id")["bike_count"].agg(["size", "sum"])
    return str(known["sum"].idxmax())


def old_in(rows: pd.DataFrame) -> str:
    newest = rows.groupby("counter_id")["counted_at"].max()
    return str(newest.idxmin())


def forecast(
    message: str, as_of: str | None = None, city: City | None = None
) -> dict[str, CounterSnapshot]:
    run = small_city.predict_run(parse_instant(as_of) if as_of else small_city.AS_OF, message)
    if city is not None:
        run.settings._city = city
    forecast_all_counters(PredictRequest(), run)
    stored = emulators.objects().read(snapshot_format.SNAPSHOT).data
    return {c.counter_id: c for c in snapshot_format.loads(stored).counters}


@pytest.mark.usefixtures("topics")
def test_a_replaced_counter_is_proposed_confirmed_forecast_as_one_and_undone(
    city: pd.DataFrame, topics: emulators.RunningPubSub
) -> None:
    old = old_in(city)
    (proposed,) = type_in("propose")["proposals"]
    assert (proposed["counter_id"], proposed["continues"]) == (NEW, old)
    assert proposed["since"] == rfc3339(start_of_local_day(SINCE, load_city("demoville").zone))
    monitor_champion(MonitorRequest(digest=True), small_city.monitor_run())
    told = json.loads(topics.published("velocast-alerts")[-1].data)["continuations"]
    assert [(each["counter_id"], each["continues"]) for each in told] == [(NEW, old)]

    apart = forecast("m1")
    assert {NEW, old} <= set(apart)

    confirmed = type_in("confirm", NEW, old, "--by", "ann", "--reason", "new device")
    assert (confirmed["since"], confirmed["stored"]) == (proposed["since"], True)
    assert not type_in("confirm", NEW, old, "--by", "bob")["stored"]
    assert type_in("list")["continuations"][0]["reason"] == "new device"
    assert type_in("propose")["proposals"] == []

    one = forecast("m2")
    assert set(apart) - set(one) == {old}
    both = city[city["counter_id"].isin([old, NEW])]
    hours = both[both["counted_at"] < small_city.ORIGIN]
    assert (one[NEW].days_from, sum(filter(None, one[NEW].days))) == (
        hours["counted_at"].min().tz_convert("Europe/Paris").date(),
        int(hours["bike_count"].sum()),
    )
    assert [(c.counter_id, rfc3339(c.until)) for c in one[NEW].continues] == [
        (old, proposed["since"])
    ]
    health = CliRunner().invoke(app, ["counts", "health", "--json"])
    assert old not in {each["counter_id"] for each in json.loads(health.stdout)["counters"]}

    # a run as of an earlier day than the decision knows nothing of it
    before = rfc3339(small_city.AS_OF - timedelta(days=1))
    run = small_city.predict_run(parse_instant(before), "m3")
    (row,) = forecast_all_counters(PredictRequest(), run)
    assert row.details["counters"] == len(apart)

    assert type_in("undo", NEW, old, "--by", "ann")["stored"]
    assert set(forecast("m4")) == set(apart)
    assert type_in("propose")["proposals"] == []  # a person said no


def test_a_sum_is_forecast_by_its_own_history(city: pd.DataFrame) -> None:
    parts = sorted(set(city["counter_id"]) - {NEW, old_in(city)})[-2:]
    described = load_city("demoville").model_copy(
        update={"sums": (VirtualSum(id="both", name="Both ways", counters=tuple(parts)),)}
    )
    shown = forecast("m1", city=described)
    total, others = shown["both"], [shown[part] for part in parts]
    assert (total.sum_of, total.counter_name, total.latitude) == (tuple(parts), "Both ways", None)
    counted = [c.recent for c in others]
    added = [None if None in pair else sum(pair) for pair in zip(*counted, strict=True)]
    assert list(total.recent) == added
    expected = [sum(pair) for pair in zip(*(c.predicted for c in others), strict=True)]
    assert sum(total.predicted) == pytest.approx(sum(expected), rel=0.15)
    # errors of the parts do not all go the same way: the sum's interval is narrower than theirs together
    width = sum(sum(c.upper) - sum(c.lower) for c in others)
    assert 0 < sum(total.upper) - sum(total.lower) < width


def test_an_event_of_the_old_counter_counts_for_the_new_one(
    city: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, read = old_in(city), feature_store.read_features
    frames = []

    def remembered(*args: Any, **more: Any) -> pd.DataFrame:
        frames.append(read(*args, **more))
        return frames[-1]

    monkeypatch.setattr(feature_store, "read_features", remembered)
    fair = {"since": "2025-03-08", "until": "2025-03-11", "counters": [old], "what": "Fair"}
    continued = ListedContinuation(counter=NEW, continues=old, since=SINCE)
    described = load_city("demoville").model_copy(
        update={
            "continuations": (continued,),
            "events": (PlannedEvent.model_validate(fair | {"kind": "event"}),),
        }
    )
    forecast("m1", city=described)
    stored = snapshot_format.loads(emulators.objects().read(snapshot_format.SNAPSHOT).data)
    assert [event.counters for event in stored.events] == [(NEW,)]
    for frame in frames:
        assert set(frame.loc[frame["is_event"] > 0, "counter_id"]) == {NEW}
    assert len(frames) == 2  # of the days before, and of those to forecast


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("confirm", "nobody", "{old}"), "there is no counter 'nobody'"),
        (("confirm", "{old}", "{old}", "--since", "2025-02-10"), "leads back to itself"),
    ],
)
def test_what_cannot_be_is_refused(
    words: tuple[str, ...], message: str, city: pd.DataFrame
) -> None:
    asked = [word.replace("{old}", old_in(city)) for word in words]
    if "--since" not in asked:
        asked += ["--since", "2025-02-10"]
    done = CliRunner().invoke(app, ["counts", "continues", *asked])
    assert done.exit_code == 1
    assert message in " ".join(done.output.split())
