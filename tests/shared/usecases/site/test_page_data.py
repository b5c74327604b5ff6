"""The page's data, recomputed with pandas from the snapshot."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

from tests.shared.usecases.serving import snapshots
from velocast.core.datetimes import rfc3339
from velocast.model.faults.kinds import NAMES
from velocast.usecases.site.accuracy import find_conspicuous_counters, measure_accuracy, pairs
from velocast.usecases.site.counter_pages import file_name_of
from velocast.usecases.site.open_data import make_open_data
from velocast.usecases.site.page_data import PageData
from velocast.usecases.site.page_files import read_page_file
from velocast.usecases.snapshot_format import (
    ContinuedCard,
    EventCard,
    FaultCard,
    HealthCard,
    ProposedCard,
    SiteCard,
    Snapshot,
)


def content(snapshot: Snapshot, name: str) -> Any:
    data = PageData(snapshot)
    found = data.content(data.folder + name)
    assert found is not None
    return json.loads(found)


def hours(snapshot: Snapshot) -> pd.DataFrame:
    """Every counter's published hours with the usual count: (n, 4), local time as index."""
    rows = [
        (
            c.counter_id,
            at,
            predicted,
            c.typical_week and c.typical_week[snapshots.local_week_hour(at)],
        )
        for c in snapshot.counters
        for at, predicted in zip(snapshot.hours, c.predicted, strict=False)
    ]
    frame = pd.DataFrame(rows, columns=["counter_id", "at", "predicted", "usual"])
    return frame.assign(day=frame["at"].dt.tz_convert(snapshots.ZONE).dt.date.astype(str))


def test_the_days_and_hours_of_the_city_are_sums_over_its_counters() -> None:
    made = snapshots.snapshot(4)
    without = made.counters[3].model_copy(update={"typical_week": None, "typical_spread": None})
    made = made.model_copy(update={"counters": (*made.counters[:3], without, *made.counters[4:])})
    city, frame = content(made, "city.json"), hours(made)
    compared = frame[frame["usual"].notna()]
    for name, rows in (("predicted", frame), ("compared", compared)):
        assert city["totals"][name] == rows.groupby("at")["predicted"].sum().round().tolist()
    assert city["totals"]["usual"] == compared.groupby("at")["usual"].sum().round().tolist()
    assert [d["date"] for d in city["days"]] == sorted(frame["day"].unique())
    by_day = frame[frame["counter_id"] == "c-2"].groupby("day")["predicted"].sum().round().tolist()
    assert next(c for c in city["counters"] if c["id"] == "c-2")["days"] == by_day
    day = content(made, "day-1.json")
    on_it = frame[(frame["counter_id"] == "c-1") & (frame["day"] == city["days"][1]["date"])]
    assert day["predicted"][1] == on_it["predicted"].round().tolist()
    assert day["usual"][1] == on_it["usual"].round().tolist()
    assert day["usual"][3] == [None] * 24


def test_a_sum_is_shown_as_one_and_is_in_no_total() -> None:
    plain = snapshots.snapshot(4)
    parts = [c for c in plain.counters if c.predicted][:2]
    added = parts[0].model_copy(
        update={"counter_id": "both", "sum_of": tuple(c.counter_id for c in parts)}
    )
    made = plain.model_copy(update={"counters": (*plain.counters, added)})
    with_sum, without = content(made, "city.json"), content(plain, "city.json")
    for name in ("totals", "accuracy", "conspicuous"):
        assert with_sum[name] == without[name]
    listed = {c["id"]: c for c in with_sum["counters"]}
    assert listed["both"]["sum_of"] == ["c-0", "c-1"]
    assert listed["both"]["days"] == listed["c-0"]["days"]
    assert content(made, "counters/both.json")["sum_of"] == ["c-0", "c-1"]
    files = make_open_data(made)
    days = pd.read_csv(io.BytesIO(files["open/days.csv"]), dtype={"counter_id": str})
    assert set(days.loc[days["counter_id"] == "both", "kind"]) == {"sum"}
    assert set(days.loc[days["counter_id"] != "both", "kind"]) == {"counter"}
    places = json.loads(files["open/counters.geojson"])["features"]
    assert places[-1]["properties"]["sum_of"] == ["c-0", "c-1"]


def test_a_counter_names_the_one_that_it_continues_and_its_site() -> None:
    plain = snapshots.snapshot(2)
    since = plain.origin_at - timedelta(days=40)
    ended = ContinuedCard(counter_id="old", until=since, continued_by="c-0")
    first = plain.counters[0].model_copy(
        update={"continues": (ended,), "site": SiteCard(id="bridge", name="Bridge")}
    )
    made = plain.model_copy(update={"counters": (first, *plain.counters[1:])})
    assert content(made, "counters/c-0.json")["continues"] == [
        {"counter_id": "old", "until": rfc3339(since), "continued_by": "c-0"}
    ]
    assert content(made, "city.json")["counters"][0]["site"] == {"id": "bridge", "name": "Bridge"}


def test_a_clock_change_gives_its_day_another_number_of_hours() -> None:
    start = pd.Timestamp("2026-03-28", tz=snapshots.ZONE)
    span = pd.date_range(start, periods=119, freq="h").tz_convert("UTC").to_pydatetime()
    counter = snapshots.counter(1, 50)
    short = counter.model_copy(
        update={n: getattr(counter, n)[:119] for n in ("predicted", "lower", "upper", "busy")}
    )
    changes = {"hours": tuple(span), "counters": (short,), "origin_at": span[0]}
    made = snapshots.snapshot().model_copy(update=changes)
    assert [d["until"] - d["from"] for d in content(made, "city.json")["days"]] == [
        24,
        23,
        24,
        24,
        24,
    ]


def test_accuracy_is_that_of_pandas() -> None:
    counter = snapshots.counter(5, 90)
    frame = pd.DataFrame(
        {"f": counter.past_predicted, "c": counter.recent, "lo": counter.past_lower, "up": counter.past_upper}
    ).dropna()  # fmt: skip
    measured = measure_accuracy(pairs(counter))
    assert measured is not None
    assert measured["pairs"] == len(frame) == snapshots.RECENT_HOURS - 2
    assert measured["mae"] == pytest.approx((frame.f - frame.c).abs().mean(), abs=0.005)
    assert measured["bias"] == pytest.approx((frame.f - frame.c).mean(), abs=0.005)
    assert measured["wape"] == pytest.approx(
        (frame.f - frame.c).abs().sum() / frame.c.sum(), abs=5e-5
    )
    inside = frame.c.between(frame.lo.round(), frame.up.round())
    assert measured["coverage"] == pytest.approx(inside.mean(), abs=5e-5)


def test_too_few_pairs_say_nothing() -> None:
    counter = snapshots.counter(5, 90)
    recent = (*counter.recent[:23], *[None] * (snapshots.RECENT_HOURS - 23))
    assert measure_accuracy(pairs(counter.model_copy(update={"recent": recent}))) is None


def test_counters_that_need_a_look_have_faults_or_are_silent_or_unlike_their_forecasts() -> None:
    fine, silent, odd, ill, healed = (snapshots.counter(i, 60) for i in range(5))
    last = snapshots.ORIGIN - timedelta(hours=80)
    tripled = tuple(v and v * 3 for v in odd.recent)
    health = HealthCard(days_silent=5.5, usable_share=0.8036, mae=4.0, wape=0.21, r2=0.9)
    fault = FaultCard(kind="dead", since=last - timedelta(days=2), evidence="0 bikes")
    counters = (
        fine,
        silent.model_copy(update={"last_counted_at": last, "health": health}),
        odd.model_copy(update={"recent": tripled}),
        ill.model_copy(update={"last_counted_at": last, "fault": fault, "health": health}),
        healed.model_copy(update={"health": health}),
        snapshots.bare("c-never"),
    )
    made = snapshots.snapshot().model_copy(update={"counters": counters})

    found = content(made, "city.json")["conspicuous"]

    assert found == find_conspicuous_counters(made)
    assert [(f["counter_id"], f["kind"], f.get("fault")) for f in found] == [
        ("c-2", "outside", None),
        ("c-3", "fault", "dead"),
        ("c-1", "silent", None),
        ("c-never", "silent", None),
    ]
    assert found[1]["since"] == rfc3339(fault.since)
    assert found[1]["health"] == health.model_dump() == found[2]["health"]
    assert content(made, "counters/c-3.json")["fault"]["kind"] == "dead"
    assert content(made, "counters/c-4.json")["health"]["usable_share"] == 0.8036


def test_a_counter_that_may_continue_another_one_is_listed_last() -> None:
    fine, silent = snapshots.counter(0, 60), snapshots.counter(1, 60)
    last = snapshots.ORIGIN - timedelta(days=5)
    counters = (fine, silent.model_copy(update={"last_counted_at": last}))
    proposed = tuple(
        ProposedCard(counter_id=name, continues="c-old", old_name="Old", since=date(2026, 2, 20))
        for name in ("c-0", "c-gone")
    )
    made = snapshots.snapshot().model_copy(update={"counters": counters, "proposed": proposed})

    found = content(made, "city.json")["conspicuous"]

    assert [(f["counter_id"], f["kind"]) for f in found] == [
        ("c-1", "silent"),
        ("c-0", "continues"),
    ]
    assert found[1] == {
        "counter_id": "c-0",
        "kind": "continues",
        "continues": "c-old",
        "old_name": "Old",
        "since": "2026-02-19T23:00:00Z",  # midnight in Paris
        "health": None,
    }


def test_a_closed_counter_is_not_silent_until_three_days_after_its_closure() -> None:
    silent = snapshots.counter(1, 60)
    last = snapshots.ORIGIN - timedelta(days=12)
    counters = (snapshots.counter(0, 60), silent.model_copy(update={"last_counted_at": last}))
    made = snapshots.snapshot().model_copy(update={"counters": counters})

    def listed(**closure: Any) -> list[str]:
        values = {"kind": "closure", "what": "Works", "since": last, "counters": ("c-1",)}
        events = (EventCard(**(values | closure)),)
        found = find_conspicuous_counters(made.model_copy(update={"events": events}))
        return [each["counter_id"] for each in found]

    assert listed() == listed(counters=None) == []
    assert listed(until=snapshots.ORIGIN - timedelta(days=2)) == []
    assert listed(until=snapshots.ORIGIN - timedelta(days=4)) == ["c-1"]
    assert listed(counters=("c-0",)) == listed(kind="event") == ["c-1"]
    assert listed(since=snapshots.ORIGIN) == ["c-1"]


def test_events_are_those_of_the_city_and_of_each_counter() -> None:
    strike = EventCard(kind="event", what="Strike", since=snapshots.ORIGIN)
    works = EventCard(
        kind="closure", what="Works", since=snapshots.ORIGIN, until=snapshots.NOW, counters=("c-1",)
    )
    made = snapshots.snapshot(events=(strike, works))

    assert [e["what"] for e in content(made, "city.json")["events"]] == ["Strike", "Works"]
    assert [e["what"] for e in content(made, "counters/c-1.json")["events"]] == ["Strike", "Works"]
    assert content(made, "counters/c-2.json")["events"] == [
        {"kind": "event", "what": "Strike", "since": rfc3339(snapshots.ORIGIN), "until": None}
    ]


def test_every_fault_has_a_name_in_every_language() -> None:
    for language in ("en", "fr", "de"):
        words = read_page_file(f"{language}.js").decode()
        assert [kind for kind in NAMES if f'"fault.{kind}": ' not in words] == []


@pytest.mark.parametrize("counter_id", ["a/b", "..", "", "x y", "é", "a" * 200, "%2F"])
def test_an_id_of_any_characters_has_a_plain_name(counter_id: str) -> None:
    name = file_name_of(counter_id)
    assert name.startswith("x-")
    assert name.replace("-", "").isalnum()


def test_the_folder_is_named_by_the_content() -> None:
    made = snapshots.snapshot(2)
    later = made.model_copy(update={"published_at": made.published_at + timedelta(hours=1)})
    assert PageData(made).folder == PageData(snapshots.snapshot(2)).folder != PageData(later).folder
    assert PageData(made).content("data/0123456789abcdef/city.json") is None
