"""The replayed city: what it has published by now, and how it answers, errors included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.replayed_city import COUNTERS, FIRST, ReplayedCity, serving, small_frame
from velocast_local.city.odsql import ExploreApiError, time_range
from velocast_local.city.opendatasoft_replay import Replay
from velocast_local.city.replayed_counts import CityFile
from velocast_local.simulation.city import simulate

pytestmark = pytest.mark.emulator

DATASETS = "/api/explore/v2.1/catalog/datasets"
DAY = "date >= date'2025-03-04' AND date < date'2025-03-05'"
NOW = datetime(2025, 3, 10, 2, tzinfo=UTC)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ReplayedCity]:
    """A small city at 2025-03-10 02:00Z."""
    with serving(ReplayedCity(tmp_path / "city.parquet", small_frame(), NOW)) as city:
        yield city


def ask(city: ReplayedCity, path: str, **query: Any) -> httpx.Response:
    return httpx.get(f"{city.base_url}{DATASETS}/{path}", params=query)


def counts(city: ReplayedCity, endpoint: str, **query: Any) -> httpx.Response:
    return ask(city, f"{city.city.counts.source.dataset}/{endpoint}", **query)


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.content.splitlines()]


class TestWhatIsPublished:
    def test_complete_local_days_before_now(self, city: ReplayedCity) -> None:
        newest = lines(counts(city, "exports/jsonl"))[-1]["date"]

        assert newest == "2025-03-09T22:00:00+00:00"  # the last hour of 9 March in Paris

    def test_a_late_city_is_a_day_behind(self, city: ReplayedCity) -> None:
        city.replay.publication_delay = timedelta(hours=6)

        newest = lines(counts(city, "exports/jsonl"))[-1]["date"]

        assert newest == "2025-03-08T22:00:00+00:00"

    def test_more_is_published_as_the_clock_moves(self, city: ReplayedCity) -> None:
        before = counts(city, "records", limit=1).json()["total_count"]
        city.next_day()

        assert counts(city, "records", limit=1).json()["total_count"] == before + 3 * 24

    def test_counters_appear_with_their_first_count(self, city: ReplayedCity) -> None:
        frame = small_frame()
        late = (frame["id_compteur"] == "200-201") & (frame["date"] < pd.Timestamp(NOW))
        city.publish(frame[~late])

        found = lines(ask(city, f"{city.city.counters.source.dataset}/exports/jsonl"))

        assert [c["id_compteur"] for c in found] == ["100-101", "100-102"]

    def test_range_of_the_file(self, city: ReplayedCity) -> None:
        assert (city.replay.first, city.replay.last) == (
            FIRST,
            FIRST + timedelta(days=20) - timedelta(hours=1),
        )


class TestCorrections:
    def test_few_recent_values_are_put_right_three_days_later(self, tmp_path: Path) -> None:
        path = tmp_path / "city.parquet"
        simulate(200, days=12, seed=5).to_parquet(path)
        now = [datetime(2025, 11, 26, 3, tzinfo=UTC)]
        replay = Replay(path, lambda: now[0], corrections=True)
        names = ("id_compteur", "date", "sum_counts")
        window = replay.rows(now[0] - timedelta(days=5), now[0])

        first, again = replay.lines(window, names), replay.lines(window, names)
        now[0] += timedelta(days=9)
        later = replay.lines(window, names)

        changed = sum(a != b for a, b in zip(first.splitlines(), later.splitlines(), strict=True))
        assert first == again
        assert 2 <= changed <= 16  # about 1 in 2,000 of three days of 200 counters
        assert replay.file.lines(window, names) == later


class TestRecords:
    def test_record_has_the_citys_fields_and_types(self, city: ReplayedCity) -> None:
        answer = counts(city, "records", limit=1, where=DAY, order_by="date, id_compteur")

        assert answer.json() == {
            "total_count": 72,
            "results": [
                {
                    "id_compteur": "100-101",
                    "nom_compteur": "1 rue des Essais N-S",
                    "id": "100",
                    "name": "1 rue des Essais",
                    "sum_counts": 10,
                    "date": "2025-03-04T00:00:00+00:00",
                    "installation_date": "2020-05-04",
                    "counter": "Z2H1",
                    "coordinates": {"lon": 2.31, "lat": 48.85},
                }
            ],
        }

    def test_order_and_page(self, city: ReplayedCity) -> None:
        answer = counts(
            city,
            "records",
            limit=2,
            offset=2,
            where=DAY,
            select="id_compteur,date",
            order_by="date DESC, id_compteur ASC",
        )

        assert answer.json()["results"] == [
            {"id_compteur": "200-201", "date": "2025-03-04T23:00:00+00:00"},
            {"id_compteur": "100-101", "date": "2025-03-04T22:00:00+00:00"},
        ]

    def test_ten_by_default_and_a_hundred_for_minus_one(self, city: ReplayedCity) -> None:
        assert len(counts(city, "records").json()["results"]) == 10
        assert len(counts(city, "records", limit=-1).json()["results"]) == 100

    @pytest.mark.parametrize(
        ("query", "code", "message"),
        [
            ({"limit": 1473}, "InvalidRESTParameterError", "1473 was found but -1 <= limit <= 100"),
            ({"limit": "ten"}, "InvalidRESTParameterError", "ten was found"),
            (
                {"limit": 50, "offset": 9960},
                "InvalidRESTParameterError",
                "limit \\+ offset is 10010",
            ),
            ({"select": "velos"}, "ODSQLError", "Unknown field: velos"),
            ({"order_by": "velos"}, "ODSQLError", "order_by: velos"),
            (
                {"timezone": "Europe/Paris"},
                "InvalidRESTParameterError",
                "only timezone UTC, not Europe/Paris",
            ),
            ({"where": "sum_counts > 3"}, "ODSQLSyntaxError", "malformed"),
            ({"where": "date > date'2025-03-04'"}, "ODSQLSyntaxError", "malformed"),
            ({"where": "date >= date'2025-13-04'"}, "ODSQLSyntaxError", "2025-13-04"),
            ({"where": f"{DAY} OR 1=1"}, "ODSQLSyntaxError", "malformed"),
        ],
    )
    def test_a_question_it_does_not_know_is_a_400(
        self, city: ReplayedCity, query: dict[str, Any], code: str, message: str
    ) -> None:
        answer = counts(city, "records", **query)

        assert answer.status_code == 400
        assert answer.json()["error_code"] == code
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(answer.json()["message"])

    def test_groups_are_the_days_totals(self, city: ReplayedCity) -> None:
        by_day = "date_format(date, 'yyyy-MM-dd') as day"
        totals = "count(*) as found, sum(sum_counts) as total"
        asked = {"group_by": by_day, "select": totals, "limit": "20000"}

        days = counts(city, "records", **asked).json()["results"]

        published = small_frame()[lambda rows: rows["date"] < city.replay.published_until()]
        daily = published.groupby(published["date"].dt.strftime("%Y-%m-%d"))["sum_counts"]
        expected = daily.agg(["size", "sum"])
        assert [(d["day"], d["found"], d["total"]) for d in days] == [
            (day, row["size"], row["sum"]) for day, row in expected.iterrows()
        ]
        other = counts(city, "records", group_by="id_compteur", select="count(*) as n")
        assert other.status_code == 400

    def test_unknown_dataset_and_format(self, city: ReplayedCity) -> None:
        assert ask(city, "velib/records").status_code == 404
        assert counts(city, "exports/xlsx").json()["error_code"] == "InvalidRESTParameterError"


class TestExports:
    def test_export_has_no_limit_and_the_same_window(self, city: ReplayedCity) -> None:
        answer = counts(city, "exports/jsonl", where=DAY, select="id_compteur,date,sum_counts")

        assert answer.headers["content-type"].startswith("application/jsonlines")
        rows = lines(answer)
        assert len(rows) == 72
        assert rows[5] == {
            "id_compteur": "200-201",
            "date": "2025-03-04T01:00:00+00:00",
            "sum_counts": 31,
        }

    def test_json_is_one_array_of_the_same_records(self, city: ReplayedCity) -> None:
        assert counts(city, "exports/json", where=DAY).json() == lines(
            counts(city, "exports/jsonl", where=DAY)
        )

    def test_empty_window_is_an_empty_answer(self, city: ReplayedCity) -> None:
        nothing = "date >= date'2024-01-01' AND date < date'2024-01-02'"

        assert counts(city, "exports/jsonl", where=nothing).content == b""
        assert counts(city, "exports/json", where=nothing).json() == []

    @pytest.mark.parametrize("day", ["2020-05-04", date(2020, 5, 4), pd.Timestamp("2020-05-04")])
    def test_the_day_of_installation_is_text_whatever_the_file_has(
        self, tmp_path: Path, day: Any
    ) -> None:
        frame = small_frame(days=1).assign(installation_date=day)
        frame.to_parquet(tmp_path / "counts.parquet", index=False)
        file = CityFile(tmp_path / "counts.parquet")
        counter = json.loads(json.dumps(file.counters(file.between(None, None))))[0]
        assert counter["installation_date"] == "2020-05-04"

    def test_counters_have_positions_as_objects(self, city: ReplayedCity) -> None:
        first = lines(ask(city, f"{city.city.counters.source.dataset}/exports/jsonl"))[0]

        assert first["coordinates"] == {"lon": 2.31, "lat": 48.85}
        assert (first["channel_id"], first["channel_name"]) == ("101", "N-S")

    def test_names_in_any_script_and_missing_ones(self, tmp_path: Path) -> None:
        frame = small_frame(days=1)
        frame["name"] = 'Quai "Ü"\u2028\\'
        frame["installation_date"] = None
        path = tmp_path / "city.parquet"
        frame.to_parquet(path)

        text = CityFile(path).lines(slice(0, 1), None)

        assert text.count(b"\n") == 1
        record = json.loads(text)
        assert record["name"] == 'Quai "Ü"\u2028\\'
        assert record["installation_date"] is None


class TestFaults:
    def test_truncated_export_is_a_200(self, city: ReplayedCity) -> None:
        city.faults.kind = "truncated"

        answer = counts(city, "exports/jsonl", where=DAY)

        assert answer.status_code == 200
        assert b"Streaming interrupted" in answer.content

    def test_fault_passes_after_its_times(self, city: ReplayedCity) -> None:
        city.faults.kind, city.faults.times = "unavailable", 2

        assert [counts(city, "records").status_code for _ in range(3)] == [503, 503, 200]

    def test_too_many_requests_says_when_to_return(self, city: ReplayedCity) -> None:
        city.faults.kind = "too_many_requests"

        answer = counts(city, "records")

        assert (answer.status_code, answer.json()["errorcode"]) == (429, 10002)
        assert answer.json()["reset_time"] == "2030-01-01T00:00:00Z"

    def test_extra_lines_are_counted(self, city: ReplayedCity) -> None:
        city.faults.extra_lines = ['{"id_compteur":null}']

        assert counts(city, "records", limit=1, where=DAY).json()["total_count"] == 73
        assert lines(counts(city, "exports/jsonl", where=DAY))[-1] == {"id_compteur": None}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", (None, None)),
        (DAY, (datetime(2025, 3, 4, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC))),
        ('date >= "2026-03-01"', (datetime(2026, 3, 1, tzinfo=UTC), None)),
        ("date<date'2026-03-01T05:00:00'", (None, datetime(2026, 3, 1, 5, tzinfo=UTC))),
    ],
)
def test_time_range(where: str, expected: tuple[datetime | None, datetime | None]) -> None:
    assert time_range(where) == expected


def test_offset_in_a_literal_is_refused() -> None:
    with pytest.raises(ExploreApiError, match="is not a date"):
        time_range("date >= date'2026-03-01T00:00:00+02:00'")


class TestMissingValues:
    """Of a file whose first row lacks a date, the second a count and the third counter a position and a name."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> CityFile:
        frame = small_frame(days=1)
        frame["sum_counts"] = frame["sum_counts"].astype("Int64")
        frame.loc[0, "date"] = pd.NaT
        frame.loc[1, "sum_counts"] = pd.NA
        frame.loc[frame["id_compteur"] == COUNTERS[2], "longitude"] = None
        frame.loc[frame["id_compteur"] == COUNTERS[2], "nom_compteur"] = None
        path = tmp_path / "city.parquet"
        frame.to_parquet(path)
        return CityFile(path)

    def test_a_row_without_a_date_is_in_no_range_of_time(self, file: CityFile) -> None:
        assert file.between(None, None) == slice(0, 3 * 24 - 1)
        assert file.last == FIRST + timedelta(hours=23)

    def test_an_empty_count_is_null(self, file: CityFile) -> None:
        text = file.lines(file.between(None, None), None, first_value_after=FIRST)
        records = [json.loads(line) for line in text.splitlines()]
        lacking = [r["date"] for r in records if r["sum_counts"] is None]
        assert lacking == ["2025-03-01T01:00:00+00:00"]
        assert all(0 <= r["sum_counts"] < 60 for r in records if r["sum_counts"] is not None)

    def test_a_missing_position_is_null(self, file: CityFile) -> None:
        rows = file.between(None, None)
        assert b"NaN" not in file.lines(rows, None)
        places = {
            r["id_compteur"]: r["coordinates"]
            for r in map(json.loads, file.lines(rows, None).splitlines())
        }
        assert places[COUNTERS[2]] is None
        assert places[COUNTERS[0]] == {"lon": 2.31, "lat": 48.85}
        counter = next(c for c in file.counters(rows) if c["id_compteur"] == COUNTERS[2])
        assert (counter["coordinates"], counter["nom_compteur"]) == (None, None)
        json.dumps(file.counters(rows), allow_nan=False)


def test_faults_are_set_over_http_and_the_former_ones_counted(city: ReplayedCity) -> None:
    def set_faults(**fields: Any) -> Any:
        answer = httpx.post(f"{city.base_url}/faults", json=fields)
        return answer.raise_for_status().json()

    set_faults(kind="unavailable", times=2, extra_lines=["not json"], publication_delay_hours=24)
    assert counts(city, "records", where=DAY).status_code == 503
    assert set_faults(extra_lines=["not json"], publication_delay_hours=24) == {"times": 1}
    *records, last = counts(city, "exports/jsonl").content.splitlines()
    assert last == b"not json"
    assert json.loads(records[-1])["date"] == "2025-03-08T22:00:00+00:00"
    assert counts(city, "records", limit=1).json()["total_count"] == len(records) + 1
    set_faults()
    assert lines(counts(city, "exports/jsonl"))[-1]["date"] == "2025-03-09T22:00:00+00:00"
