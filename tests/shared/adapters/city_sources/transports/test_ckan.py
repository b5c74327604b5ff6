"""CKAN's datastore and files against an imitation of it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse

from tests.shared.adapters.city_sources.transports.imitated_ckan import ImitatedCkan, Resource
from tests.shared.adapters.city_sources.transports.imitation import (
    PAGE,
    QUICK,
    Stage,
    a_city,
    records,
    tables,
    too_many,
    utc,
)
from velocast.adapters.city_sources.transport import DayTotalling, DayTotals, TimeRange, Transport
from velocast.adapters.city_sources.transports import ckan, open_transport
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable, SettingsError

ALL = TimeRange(None, utc(2026, 1, 1))
NOVEMBER = TimeRange(utc(2025, 11, 28, 6), utc(2025, 12, 1))


def counts(year: int, hours: int = 24 * 365, **more: Any) -> list[dict[str, Any]]:
    first = datetime(year, 1, 1)
    return [
        {"at": f"{first + timedelta(hours=n):%Y-%m-%dT%H:%M:%S}", "id": "7", "n": n, **more}
        for n in range(0, hours, 12)
    ]


@pytest.fixture
def portal(stage: Stage) -> ImitatedCkan:
    return stage.show(
        ImitatedCkan(
            [
                Resource("comptage 2024", counts(2024)),
                Resource("comptage 2025", counts(2025)),
                Resource("localisation", [{"id": "7", "name": "Rachel", "lat": 45.5}]),
                Resource("dictionnaire", file=b"<pdf>"),
            ]
        )
    )


def opened(portal: ImitatedCkan, **more: Any) -> Transport:
    source = {
        "transport": "ckan",
        "base_url": f"{portal.url}/",
        "package": "bike-counts",
        "resources": r"comptage (?P<year>\d{4})",
        "time_field": "at",
    }
    city = a_city(source | more)
    assert city.counts.source is not None
    return open_transport(city, city.counts.source, city.counts.file, limits=QUICK)


def searches(portal: ImitatedCkan) -> list[tuple[str, str, str]]:
    return [
        (asked.query["resource_id"], asked.query["limit"], asked.query["offset"])
        for asked in portal.asked
        if asked.path.endswith("datastore_search")
    ]


def test_all_rows_of_all_matching_resources_come(portal: ImitatedCkan) -> None:
    portal.rows_max = 200  # the portal lowers what is asked for
    found = records(tables(opened(portal), ALL))
    expected = [*counts(2024), *counts(2025)]
    assert len(found) == len(expected)
    assert sorted((row["at"], row["id"], row["n"]) for row in found) == [
        tuple(row.values()) for row in expected
    ]


def test_an_old_portal_gives_records_with_their_names(portal: ImitatedCkan) -> None:
    portal.knows_lists = False
    found = records(tables(opened(portal), ALL))
    assert found[0] == {"_id": 730, "at": "2024-12-30T12:00:00", "id": "7", "n": 8748}
    assert len(found) == 2 * 730


def test_only_the_newest_pages_of_the_years_in_the_range_are_read(
    portal: ImitatedCkan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ckan, "PAGE_ROWS", 50)
    found = records(tables(opened(portal), NOVEMBER))
    wanted = {row["at"] for row in counts(2025) if "2025-11-27T23" < row["at"] < "2025-12-01"}
    assert wanted <= {row["at"] for row in found}
    # what the fields are, December, and the page on which the range begins
    assert searches(portal) == [
        ("id-of-comptage-2025", "0", "0"),
        ("id-of-comptage-2025", "50", "0"),
        ("id-of-comptage-2025", "50", "50"),
    ]


def test_a_row_of_the_ranges_first_day_does_not_end_the_reading(portal: ImitatedCkan) -> None:
    portal.rows_max = 1
    portal.resources[1].rows = [
        {"at": day, "id": "7", "n": 1} for day in ("2025-11-27", "2025-11-28", "2025-11-29")
    ]
    found = records(tables(opened(portal), NOVEMBER))
    assert [row["at"] for row in found] == ["2025-11-29", "2025-11-28", "2025-11-27"]


def test_dates_that_do_not_sort_are_read_to_the_end(portal: ImitatedCkan) -> None:
    portal.rows_max = 2
    portal.resources[1].rows = [
        {"at": at, "id": "7", "n": 1}
        for at in ("31/12/2025 1:00", "01/01/2025 1:00", "30/11/2025 1:00", "02/01/2025 1:00")
    ]
    assert len(records(tables(opened(portal), NOVEMBER))) == 4


def test_only_columns_that_a_resource_has_are_asked_for(portal: ImitatedCkan) -> None:
    portal.resources[0].rows = counts(2024, 24, direction="N")
    portal.resources[1].rows = counts(2025, 24)
    found = records(tables(opened(portal), ALL, ("n", "direction")))
    assert [sorted(row) for row in (found[0], found[-1])] == [["at", "direction", "n"], ["at", "n"]]


def test_days_are_counted_and_added_up_in_one_request_for_each_resource(
    portal: ImitatedCkan,
) -> None:
    portal.answers_sql = True
    transport = opened(portal)
    assert isinstance(transport, DayTotalling)
    new_year = TimeRange(utc(2024, 12, 30), utc(2025, 1, 3))
    with transport:
        found = transport.day_totals(new_year, "n")
        rows_only = transport.day_totals(new_year, None)
    assert len(portal.asked) == 2 * 3  # the package and two years
    assert found is not None
    assert rows_only is not None
    assert found[date(2025, 1, 2)] == DayTotals(2, 24.0 + 36.0)
    assert rows_only[date(2025, 1, 2)] == DayTotals(2, None)
    assert set(rows_only) >= {date(2024, 12, 30), date(2025, 1, 1)}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Action name not known"),  # most portals
        ({"answers_sql": True, "at": "n"}, "no row in .*; are its times in ISO 8601"),
        ({"answers_sql": True, "at": "id"}, "needs the number of rows of each day"),
    ],
)
def test_a_portal_that_tells_no_totals_says_why(
    portal: ImitatedCkan, more: dict[str, Any], words: str
) -> None:
    portal.answers_sql = more.get("answers_sql", False)
    for resource in portal.resources[:2]:
        assert resource.rows is not None
        resource.rows = [
            {**row, "n": f"{row['at'][:4]}/{row['at'][5:]}", "id": f"{row['at'][:10]}"[:9]}
            for row in resource.rows
        ]
    transport = opened(portal, time_field=more.get("at", "at"))
    assert isinstance(transport, DayTotalling)
    with transport, pytest.raises(CityRefused, match=words):
        transport.day_totals(NOVEMBER, None)


def test_files_and_lists_without_a_time_have_no_totals(portal: ImitatedCkan) -> None:
    for more in ({"datastore": False}, {"time_field": None}):
        transport = opened(portal, **more)
        assert isinstance(transport, DayTotalling)
        with transport:
            assert transport.day_totals(NOVEMBER, "n") is None
    assert portal.asked == []


def test_a_list_of_counters_is_read_by_its_identifier(portal: ImitatedCkan) -> None:
    transport = opened(portal, package=None, resources="id-of-localisation", time_field=None)
    assert records(tables(transport, None)) == [
        {"_id": 1, "id": "7", "name": "Rachel", "lat": 45.5}
    ]
    assert all(asked.path.endswith("datastore_search") for asked in portal.asked)


def test_files_are_downloaded_where_there_is_no_datastore(portal: ImitatedCkan) -> None:
    portal.resources = [
        Resource("comptage 2024", file=b"at,id,n\n2024-01-01T00:00:00,7,24\n"),
        Resource("comptage 2025", file=b"at,id,n\n2025-01-01T00:00:00,7,25\n"),
    ]
    found = tables(opened(portal, datastore=False, time_field=None), NOVEMBER)
    assert [table.place for table in found] == [f"{portal.url}/download/id-of-comptage-2025.csv"]
    assert [row["n"] for row in records(found)] == ["25"]


def test_a_resource_may_be_named_by_its_file(portal: ImitatedCkan) -> None:
    tables(opened(portal, resources=r"id-of-comptage-(?P<year>\d{4})\.csv"), NOVEMBER)
    assert {identifier for identifier, _, _ in searches(portal)} == {"id-of-comptage-2025"}


def test_the_portal_is_told_who_asks(portal: ImitatedCkan) -> None:
    tables(opened(portal), NOVEMBER)
    assert {asked.headers["user-agent"] for asked in portal.asked} == {
        "Mozilla/5.0 (compatible; velocast (+https://github.com/velocast/velocast; one fetch a day))"
    }


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (utc(2024, 12, 31, 12), utc(2025, 1, 1, 12), {"comptage-2024", "comptage-2025"}),
        (utc(2025, 1, 3), utc(2025, 1, 4), {"comptage-2025"}),
        (utc(2024, 5, 1), utc(2024, 5, 2), {"comptage-2024"}),
        (None, utc(2024, 5, 2), {"comptage-2024"}),
    ],
)
def test_years_outside_the_range_are_not_read(
    portal: ImitatedCkan, since: datetime | None, until: datetime, expected: set[str]
) -> None:
    tables(opened(portal), TimeRange(since, until))
    assert {identifier for identifier, _, _ in searches(portal)} == {f"id-of-{n}" for n in expected}


def test_a_resource_of_several_years_or_of_a_month_is_read_for_each_of_them(
    portal: ImitatedCkan,
) -> None:
    portal.resources = [
        Resource(name, counts(2025, 24))
        for name in ("15min_2024_2025", "15min_2023_2023", "15min_2025_12", "15min_2025_11")
    ]
    pattern = r"15min_(?P<year>\d{4})_(?:(?P<last_year>\d{4})|(?P<month>\d\d))"
    tables(opened(portal, resources=pattern), NOVEMBER)
    read = [identifier for identifier, _, offset in searches(portal) if offset == "0"]
    assert set(read) == {"id-of-15min_2024_2025", "id-of-15min_2025_11"}


def test_fewer_rows_than_counted_is_truncated(portal: ImitatedCkan) -> None:
    portal.lost = 1
    with pytest.raises(CityTruncated, match=r"comptage 2024: 730 records arrived, .* counts 731"):
        tables(opened(portal), ALL)


def test_a_resource_that_changes_while_it_is_read_is_read_again(
    portal: ImitatedCkan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ckan, "PAGE_ROWS", 500)
    portal.resources = portal.resources[1:2]
    grown = ImitatedCkan(portal.resources)
    grown.lost = 5
    transport = opened(portal)
    search = type(portal)._search
    calls = iter(range(100))

    def growing(self: ImitatedCkan, query: dict[str, str]) -> Any:
        return search(grown if next(calls) == 1 else self, query)

    monkeypatch.setattr(ImitatedCkan, "_search", growing)
    assert len(records(tables(transport, ALL))) == 730
    assert len(searches(portal)) == 3 + 3


def test_what_passes_is_asked_again(portal: ImitatedCkan) -> None:
    portal.faults = [too_many(0), JSONResponse({}, 502)]
    assert len(records(tables(opened(portal), ALL))) == 2 * 730


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"package": "none"}, CityRefused, "404 .*'Not found'"),
        ({"resources": r"nothing \d+"}, CityRefused, "no resource is one of .*nothing.*'comptage 2024'"),
        ({"time_field": "when"}, CityRefused, "'comptage 2024' has no field 'when', but _id, at, id, n"),
        ({"package": None, "resources": "gone"}, CityRefused, "404 .*Resource was not found"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_with_what_is_there(
    portal: ImitatedCkan, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tables(opened(portal, **more), ALL)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (too_many(3600), CityUnreachable, "429"),
        (PAGE, CityRefused, r"text/html.*needs a result of CKAN"),
        (JSONResponse({"success": False, "error": {"x": "no"}}), CityRefused, "'x': 'no'"),
        (JSONResponse([1]), CityRefused, "needs a result of CKAN"),
    ],
)
def test_other_answers_are_errors(
    portal: ImitatedCkan, fault: Any, error: type[Exception], words: str
) -> None:
    portal.faults = [fault]
    with pytest.raises(error, match=words):
        tables(opened(portal), ALL)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "give package, or resources"),
        ({"resources": "x", "datastore": False}, "datastore: false needs package"),
        ({"package": "x", "resources": ["("]}, "is no regular expression"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        a_city({"transport": "ckan", "base_url": "https://a.test"} | values)
