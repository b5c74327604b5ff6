"""Layouts: what becomes of rows, columns and cells in each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from velocast.adapters.city_sources.reading import Harvest, read_counts
from velocast.adapters.city_sources.records import CounterRecord
from velocast.adapters.city_sources.tables import read_tables
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city import City
from velocast.core.errors import CityRefused

AT = datetime(2024, 7, 1, 12, tzinfo=UTC)
Row = tuple[str, datetime, int, str | None]


def city_of(layout: dict[str, Any], **more: Any) -> City:
    counts = {"layout": layout, "clock": {"times": "utc"}, **more.pop("counts", {})}
    return City(name="Testville", time_zone="UTC", counts=counts, **more)


def long(**changes: Any) -> dict[str, Any]:
    base = {
        "shape": "long",
        "time": {"columns": "time"},
        "counter": {"id": "id"},
        "values": [{"column": "count"}],
    }
    return base | changes


def wide(**changes: Any) -> dict[str, Any]:
    return {"shape": "wide", "time": {"columns": "time"}} | changes


def read(city: City, text: str, place: str = "file.csv", **more: Any) -> Harvest:
    return read_counts(city, read_tables(text.encode(), place, city.counts.file), None, **more)


def rows(harvest: Harvest) -> list[Row]:
    return [
        (r["counter_id"], r["counted_at"], r["bike_count"], r["quality"])
        for r in harvest.counts.to_pylist()
    ]


def bikes(harvest: Harvest) -> dict[str, int]:
    """Return the counts of AT, all usable."""
    found = rows(harvest)
    assert {(at, quality) for _, at, _, quality in found} <= {(AT, None)}
    return {counter: n for counter, _, n, _ in found}


def why(harvest: Harvest) -> list[tuple[str, str]]:
    return [(reject.reason, reject.text) for reject in harvest.rejects]


class TestLong:
    def test_id_of_several_columns(self) -> None:
        city = city_of(long(counter={"id": ["site", "lane"]}))

        harvest = read(
            city, "site,lane,time,count\n7,A,2024-07-01 12:00,3\n7,B,2024-07-01 12:00,4\n"
        )

        assert bikes(harvest) == {"7-A": 3, "7-B": 4}

    def test_id_from_the_path(self) -> None:
        city = city_of(long(counter={"from_path": r"/(?P<id>\d+)/"}))

        harvest = read(city, "time,count\n2024-07-01 12:00,3\n", "https://data.example/42/2024.csv")

        assert bikes(harvest) == {"42": 3}
        with pytest.raises(
            CityRefused, match=r"other.csv: from_path .* finds no counter in this path"
        ):
            read(city, "time,count\n2024-07-01 12:00,3\n", "other.csv")

    def test_values_of_a_row_are_added_up_or_kept_apart(self) -> None:
        text = "id,time,in,out\na,2024-07-01 12:00,3,4\n"
        together = city_of(long(values=[{"column": "in"}, {"column": "out"}]))
        apart = city_of(
            long(values=[{"column": "in", "suffix": "in"}, {"column": "out", "suffix": "out"}])
        )

        assert bikes(read(together, text)) == {"a": 7}
        assert bikes(read(apart, text)) == {"a-in": 3, "a-out": 4}

    def test_a_direction_that_a_counter_never_has_is_not_missed_but_one_that_failed_is(
        self,
    ) -> None:
        city = city_of(long(values=[{"column": "in"}, {"column": "out"}]))
        text = (
            "id,time,in,out\none way,2024-07-01 12:00,3,\none way,2024-07-01 13:00,4,\n"
            "both,2024-07-01 12:00,5,6\nboth,2024-07-01 13:00,7,\n"
        )

        assert rows(read(city, text)) == [
            ("one way", AT, 3, None),
            ("one way", AT + timedelta(hours=1), 4, None),
            ("both", AT, 11, None),
            ("both", AT + timedelta(hours=1), 7, "incomplete"),
        ]

    def test_a_correction_is_used_where_there_is_one(self) -> None:
        value = {"column": "edited", "instead_of": "raw"}
        text = "id,time,raw,edited\na,2024-07-01 12:00,3,\nb,2024-07-01 12:00,3,9\nc,2024-07-01 12:00,,\n"

        harvest = read(city_of(long(values=[value])), text)

        assert bikes(harvest) == {"a": 3, "b": 9}
        assert why(harvest) == [("missing_count", "c,2024-07-01 12:00,,")]

    def test_a_factor_multiplies_and_the_hour_is_rounded(self) -> None:
        city = city_of(
            long(values=[{"column": "count", "factor": "factor"}]), counts={"step_minutes": 30}
        )
        text = (
            "id,time,count,factor\na,2024-07-01 12:00,3,1.4\na,2024-07-01 12:30,3,1.4\n"
            "b,2024-07-01 12:00,3,\nb,2024-07-01 12:30,3,-\nc,2024-07-01 12:00,3,many\n"
        )

        harvest = read(city, text)

        assert bikes(harvest) == {"a": 8, "b": 6}
        assert [reason for reason, _ in why(harvest)] == ["unreadable_count"]

    def test_only_some_records_are_kept(self) -> None:
        city = city_of(long(keep=[{"column": "mode", "only": ["bike", "Cargo bike"]}]))
        text = (
            "id,time,count,mode\na,2024-07-01 12:00,3,Bike\nb,2024-07-01 12:00,4,cargo bike\n"
            "c,2024-07-01 12:00,900,car\nd,no time,no count,\n"
        )

        harvest = read(city, text)

        assert bikes(harvest) == {"a": 3, "b": 4}
        assert (harvest.left_out, harvest.rejects) == (2, [])

    def test_status(self) -> None:
        status = {"column": "status", "usable": ["0", "ok"], "incomplete": "4"}
        text = (
            "id,time,count,status\na,2024-07-01 12:00,3,0\nb,2024-07-01 12:00,3,ok\n"
            "c,2024-07-01 12:00,3,4\nd,2024-07-01 12:00,3,withdrawn\ne,2024-07-01 12:00,3,\n"
        )

        found = {
            counter: quality
            for counter, _, _, quality in rows(read(city_of(long(status=status)), text))
        }

        assert found == {"a": None, "b": None, "c": "incomplete", "d": "flagged", "e": "flagged"}

    def test_doubles(self) -> None:
        text = (
            "id,time,count\na,2024-07-01 12:00,3\nb,2024-07-01 12:00,5\na,2024-07-01 12:00,3\n"
            "b,2024-07-01 12:00,6\na,2024-07-01 12:00,3.0\n"
        )

        refused = read(city_of(long()), text)
        added = read(city_of(long(same_time="add")), text)

        assert (bikes(refused), refused.doubles) == ({"a": 3}, 2)
        assert why(refused) == [
            ("conflicting_duplicate", "b,2024-07-01 12:00,5"),
            ("conflicting_duplicate", "b,2024-07-01 12:00,6"),
        ]
        assert (bikes(added), added.doubles, added.rejects) == ({"a": 9, "b": 11}, 0, [])

    def test_doubles_of_two_files(self) -> None:
        city = city_of(long())
        texts = ["id,time,count\na,2024-07-01 12:00,3\n", "id,time,count\na,2024-07-01 12:00,4\n"]
        tables = [
            t
            for n, text in enumerate(texts)
            for t in read_tables(text.encode(), f"{n}", city.counts.file)
        ]

        harvest = read_counts(city, tables, None)

        assert why(harvest) == [
            ("conflicting_duplicate", "a,2024-07-01 12:00,3"),
            ("conflicting_duplicate", "a,2024-07-01 12:00,4"),
        ]

    def test_columns_that_are_not_described_are_named(self) -> None:
        city = city_of(long(ignore=["^photo"]))

        harvest = read(city, "id,time,count,photo_1,weather\na,2024-07-01 12:00,3,x,fair\n")

        assert harvest.unknown_fields == ["weather"]

    def test_other_headings(self) -> None:
        city = city_of(long(also_called={"count": ["Nombre de vélos", "Anzahl"], "id": "Zähler"}))

        assert bikes(read(city, "Zähler;TIME ;Anzahl\na;2024-07-01 12:00;3\n")) == {"a": 3}

    def test_values_within_objects(self) -> None:
        layout = long(counter={"id": "sensor.id"}, values=[{"column": "flow.bikes"}])
        record = {"sensor": {"id": 7}, "time": "2024-07-01 12:00", "flow": {"bikes": 3}}
        harvest = read(city_of(layout), json.dumps([record, record | {"flow": None}]))

        assert bikes(harvest) == {"7": 3}
        assert harvest.unknown_fields == []
        assert [reason for reason, _ in why(harvest)] == ["missing_count"]

    def test_a_column_that_is_not_there_is_named_with_the_nearest(self) -> None:
        text = "id,time,counts\na,2024-07-01 12:00,3\n"

        with pytest.raises(
            CityRefused,
            match=r"file.csv: no column 'count' \(did you mean 'counts'\?\); it has 'id', 'time', 'counts'",
        ):
            read(city_of(long()), text)

    def test_counters_are_described_by_the_rows(self) -> None:
        fields = {"id": "id", "name": "name", "latitude": "lat", "longitude": "lon"}
        text = "id,time,count,name,lat,lon\na,2024-07-01 12:00,3,Old,52,7\na,2024-07-01 13:00,3,New,52.5,7.5\n"

        harvest = read(city_of(long(counter=fields)), text)

        assert harvest.counters == [CounterRecord("a", "New", None, None, None, 52.5, 7.5)]

    def test_typed_values_as_parquet_and_portals_give_them(self) -> None:
        frame = pd.DataFrame(
            {
                "id": pd.array([7, 8, None], "Int64"),
                "time": pd.to_datetime(["2024-07-01 12:00"] * 3),
                "count": [3.0, None, 4.0],
            }
        )

        harvest = read_counts(city_of(long()), [RawTable(frame, "typed")], None)

        assert bikes(harvest) == {"7": 3}
        assert why(harvest) == [
            ("missing_count", '{"id": 8, "time": "2024-07-01T12:00:00", "count": null}'),
            ("missing_id", '{"id": null, "time": "2024-07-01T12:00:00", "count": 4.0}'),
        ]


class TestNumbers:
    @pytest.mark.parametrize(
        ("file", "cell", "found"),
        [
            ({}, "3", 3),
            ({}, " 3 ", 3),
            ({}, "3.0", 3),
            ({}, "1e3", 1000),
            ({}, "1,234", "unreadable_count"),
            ({"decimal": ","}, "3,0", 3),
            ({"decimal": ","}, "3.0", "unreadable_count"),
            ({"decimal": ",", "thousands": "."}, "1.234,0", 1234),
            ({"thousands": ","}, "1,234", 1234),
            ({"thousands": ","}, "1,23", "unreadable_count"),
            ({"thousands": " "}, "1\u202f234", 1234),
            ({"thousands": "'"}, "1\u2019234", 1234),
            ({}, "NA", "missing_count"),
            ({}, "-", "missing_count"),
            ({"missing": ["-1"]}, "-1", "missing_count"),
            ({}, "-1", "negative_count"),
            ({}, "2.5", "fractional_count"),
            ({}, "0x10", "unreadable_count"),
            ({}, "inf", "unreadable_count"),
            ({}, "1e99", "absurd_count"),
        ],
    )
    def test_cell(self, file: dict[str, Any], cell: str, found: int | str) -> None:
        city = city_of(long(), counts={"file": file | {"delimiter": ";"}})
        text = f"id;time;count\na;2024-07-01 12:00;{cell}\n"

        harvest = read(city, text)

        if isinstance(found, int):
            assert bikes(harvest) == {"a": found}
        else:
            assert why(harvest) == [(found, f"a;2024-07-01 12:00;{cell}")]

    def test_an_hour_beyond_what_is_credible_is_rejected_with_all_its_parts(self) -> None:
        city = city_of(long(), largest_credible_count=100, counts={"step_minutes": 30})
        text = (
            "id,time,count\na,2024-07-01 12:00,60\na,2024-07-01 12:30,60\n"
            "b,2024-07-01 12:00,60\nb,2024-07-01 12:30,40\n"
        )

        harvest = read(city, text)

        assert bikes(harvest) == {"b": 100}
        assert why(harvest) == [
            ("absurd_count", "a,2024-07-01 12:00,60"),
            ("absurd_count", "a,2024-07-01 12:30,60"),
        ]


class TestSteps:
    @pytest.mark.parametrize("minutes", [5, 15, 30])
    def test_parts_are_summed_and_an_hour_with_one_missing_is_marked(self, minutes: int) -> None:
        city = city_of(long(), counts={"step_minutes": minutes})
        times = [AT + timedelta(minutes=m) for m in range(0, 180, minutes)]
        lines = [f"a,{t:%Y-%m-%d %H:%M},2" for t in times if t != AT + timedelta(hours=1)]

        harvest = read(city, "\n".join(["id,time,count", *lines, ""]))

        whole = 2 * 60 // minutes
        assert rows(harvest) == [
            ("a", AT, whole, None),
            ("a", AT + timedelta(hours=1), whole - 2, "incomplete"),
            ("a", AT + timedelta(hours=2), whole, None),
        ]

    def test_a_part_given_twice_does_not_stand_for_one_that_is_missing(self) -> None:
        city = city_of(long(same_time="add"), counts={"step_minutes": 30})

        harvest = read(city, "id,time,count\na,2024-07-01 12:00,3\na,2024-07-01 12:00,4\n")

        assert rows(harvest) == [("a", AT, 7, "incomplete")]

    def test_a_time_between_the_steps_is_rejected(self) -> None:
        city = city_of(long(), counts={"step_minutes": 15})
        text = "id,time,count\na,2024-07-01 12:00,1\na,2024-07-01 12:07,1\na,2024-07-01 12:15,1\n"

        assert why(read(city, text)) == [("not_on_the_step", "a,2024-07-01 12:07,1")]

    @pytest.mark.parametrize("minutes", [0, 7, 45, 120, 1440])
    def test_other_steps_cannot_be_described(self, minutes: int) -> None:
        with pytest.raises(ValidationError, match="minutes"):
            city_of(long(), counts={"step_minutes": minutes})


class TestWide:
    def test_every_remaining_column_is_a_counter(self) -> None:
        text = ",time,North,South,remark\n0,2024-07-01 12:00,3,4,wet\n1,2024-07-01 13:00,,5,\n"

        harvest = read(city_of(wide(ignore="remark")), text)

        assert rows(harvest) == [
            ("North", AT, 3, None),
            ("South", AT, 4, None),
            ("South", AT + timedelta(hours=1), 5, None),
        ]
        assert (harvest.blank, harvest.rejects) == (1, [])
        assert harvest.unknown_fields == ["column 1"]
        assert [(c.counter_id, c.counter_name) for c in harvest.counters] == [
            ("North", "North"),
            ("South", "South"),
        ]

    def test_described_counters_leave_totals_alone(self) -> None:
        counters = [
            {"columns": ["N", "S"], "id": "bridge", "name": "The bridge"},
            {"columns": "gone", "id": "gone"},
        ]

        harvest = read(city_of(wide(counters=counters)), "time,Total,N,S\n2024-07-01 12:00,7,3,4\n")

        assert bikes(harvest) == {"bridge": 7}
        assert harvest.unknown_fields == ["Total"]
        with pytest.raises(CityRefused, match="no column 'S'"):
            read(city_of(wide(counters=counters)), "time,Total,N\n2024-07-01 12:00,7,3\n")

    def test_pattern(self) -> None:
        text = "time,c_1 (Bridge),c_2 (Quay),c_2-status,all\n2024-07-01 12:00,3,4,0,7\n2024-07-01 13:00,3,4,9,7\n"
        layout = wide(
            pattern=r"c_(?P<id>\d+) \((?P<name>.*)\)",
            status={"column": r"c_(?P<id>\d+)-status", "usable": "0"},
        )

        harvest = read(city_of(layout), text)

        assert rows(harvest) == [
            ("1", AT, 3, None),
            ("1", AT + timedelta(hours=1), 3, None),
            ("2", AT, 4, None),
            ("2", AT + timedelta(hours=1), 4, "flagged"),
        ]
        assert harvest.unknown_fields == ["all"]
        assert [c.counter_name for c in harvest.counters] == ["Bridge", "Quay"]

    def test_a_wrong_cell_is_rejected_alone(self) -> None:
        text = "time,a,b\n2024-07-01 12:00,-3,4\nlast week,1,2\n,5,6\n"

        harvest = read(city_of(wide()), text)

        assert bikes(harvest) == {"b": 4}
        assert why(harvest) == [
            ("negative_count", '{"time": "2024-07-01 12:00", "a": "-3"}'),
            ("unreadable_time", "last week,1,2"),
            ("missing_time", ",5,6"),
        ]

    def test_no_counter(self) -> None:
        with pytest.raises(CityRefused, match="none of its columns is a counter: 'North'"):
            read(city_of(wide(pattern="c_(?P<id>.*)")), "time,North\n2024-07-01 12:00,3\n")


class TestHoursAsColumns:
    LAYOUT = {  # noqa: RUF012
        "shape": "hours_as_columns",
        "time": {"columns": "day"},
        "counter": {"id": "loop"},
    }

    @pytest.mark.parametrize(
        ("names", "first"),
        [
            ([f"{h:02}" for h in range(24)], 0),
            ([str(h) for h in range(1, 25)], 1),
            ([f"H{h}" for h in range(24)], 0),
            ([f"hour_{h}" for h in range(24)], 0),
        ],
    )
    def test_rows_of_days(self, names: list[str], first: int) -> None:
        city = city_of(self.LAYOUT | {"first_hour": first, "ignore": "total"})
        text = (
            f"loop,day,{','.join(names)},total\n7,2024-07-01,{','.join(map(str, range(24)))},276\n"
        )

        harvest = read(city, text)

        midnight = datetime(2024, 7, 1, tzinfo=UTC)
        assert rows(harvest) == [("7", midnight + timedelta(hours=h), h, None) for h in range(24)]
        assert harvest.unknown_fields == []

    def test_clock_changes(self) -> None:
        names = ",".join(f"{h:02}" for h in range(24))
        counts = {"clock": {"times": "local", "missing_hour": "zero", "repeated_hour": "merged"}}
        city = City(name="T", time_zone="Europe/Paris", counts={"layout": self.LAYOUT} | counts)
        spring = ",".join("0" if h == 2 else str(10 + h) for h in range(24))
        autumn = ",".join(str(10 + h) for h in range(24))

        harvest = read(city, f"loop,day,{names}\n7,2024-03-31,{spring}\n7,2024-10-27,{autumn}\n")

        found = {at: (n, quality) for _, at, n, quality in rows(harvest)}
        start = datetime(2024, 3, 30, 23, tzinfo=UTC)
        hours = [h for h in range(24) if h != 2]
        expected: dict[datetime, tuple[int, str | None]] = {
            start + timedelta(hours=n): (10 + h, None) for n, h in enumerate(hours)
        }
        start = datetime(2024, 10, 26, 22, tzinfo=UTC)
        expected |= {start + timedelta(hours=h): (10 + h, None) for h in range(2)}
        expected |= {start + timedelta(hours=2): (12, "clock_change")}
        expected |= {start + timedelta(hours=h + 1): (10 + h, None) for h in range(3, 24)}
        assert found == expected
        assert harvest.rejects == []

    def test_a_wrong_cell_rejects_its_row_once_and_the_other_hours_stay(self) -> None:
        harvest = read(city_of(self.LAYOUT), "loop,day,00,01,02\n7,2024-07-01,1,-1,x\n")

        assert [n for _, _, n, _ in rows(harvest)] == [1]
        assert why(harvest) == [("negative_count", "7,2024-07-01,1,-1,x")]


def test_pieces_of_one_answer_are_read_as_one() -> None:
    def pieces() -> Iterable[RawTable]:
        for n in range(3):
            time = f"{AT + timedelta(minutes=20 * n):%Y-%m-%d %H:%M}"
            yield RawTable(pd.DataFrame({"id": ["a"], "time": [time], "count": ["2"]}), "api")

    city = city_of(long(), counts={"step_minutes": 20})

    assert rows(read_counts(city, pieces(), None)) == [("a", AT, 6, None)]


def test_nothing_was_published() -> None:
    harvest = read_counts(city_of(long()), [], None)

    assert (harvest.counts.num_rows, harvest.fetched, harvest.rejects) == (0, 0, [])
