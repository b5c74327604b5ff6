"""Socrata's SODA API against an imitation of it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.responses import JSONResponse

from tests.shared.adapters.city_sources.transports.imitated_socrata import ImitatedSocrata
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
from velocast.adapters.city_sources.transports import open_transport, socrata
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable, SettingsError

CONFIG = Path(__file__).parents[5] / "terraform" / "config"
SECRETS = yaml.safe_load((CONFIG / "secrets.yaml").read_text(encoding="utf-8"))
FIRST = datetime(2025, 3, 1)
ROWS: list[dict[str, Any]] = [
    {"at": f"{FIRST + timedelta(hours=n):%Y-%m-%dT%H:%M:%S}.000", "id": "7", "n": str(n), "mode": "bike"}
    for n in range(24 * 40)
]  # fmt: skip
MARCH_9 = TimeRange(utc(2025, 3, 9, 5), utc(2025, 3, 10, 4))  # a local day of 23 hours


@pytest.fixture
def portal(stage: Stage) -> ImitatedSocrata:
    return stage.show(ImitatedSocrata(ROWS))


def opened(portal: ImitatedSocrata, token_file: Path | None = None, **more: Any) -> Transport:
    source = {"transport": "socrata", "base_url": portal.url, "dataset": "abcd-1234", "time_field": "at"}  # fmt: skip
    city = a_city(source | more)
    assert city.counts.source is not None
    return open_transport(
        city, city.counts.source, city.counts.file, token_file=token_file, limits=QUICK
    )


def test_all_rows_come_page_by_page(
    portal: ImitatedSocrata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socrata, "PAGE_ROWS", 250)
    found = tables(opened(portal), TimeRange(None, utc(2026, 1, 1)))
    assert [len(table.rows) for table in found] == [250, 250, 250, 210]
    assert records(found) == ROWS


def test_pages_may_be_shorter_than_asked_for(portal: ImitatedSocrata) -> None:
    portal.most = 400
    assert records(tables(opened(portal), TimeRange(None, utc(2026, 1, 1)))) == ROWS


def test_only_the_asked_days_come_as_the_citys_clock_has_them(portal: ImitatedSocrata) -> None:
    found = records(tables(opened(portal), MARCH_9))
    # two hours wider, from the start of a day: from midnight of the 8th to 2 o'clock of the 10th
    assert [row["at"][:13] for row in (found[0], found[-1])] == ["2025-03-08T00", "2025-03-10T01"]
    assert len(found) == 50


def test_only_the_needed_columns_come_and_the_conditions_hold(portal: ImitatedSocrata) -> None:
    portal.rows.append({":id": 9999, "at": "2025-03-09T05:00:00.000", "n": "5", "mode": "scooter"})
    found = records(tables(opened(portal, where="mode = 'scooter' OR 1 = 0"), MARCH_9, ("n", "id")))
    assert found == [{"n": "5", "at": "2025-03-09T05:00:00.000"}]  # the empty id is left out


def test_days_are_counted_and_added_up_in_one_request(portal: ImitatedSocrata) -> None:
    portal.rows.append({":id": 9999, "at": "2025-03-20T05:00:00.000", "n": None, "mode": "bike"})
    transport = opened(portal, where="mode = 'bike'")
    assert isinstance(transport, DayTotalling)
    with transport:
        found = transport.day_totals(TimeRange(utc(2025, 3, 12), utc(2025, 4, 1)), "n")
        rows_only = transport.day_totals(TimeRange(utc(2025, 3, 12), utc(2025, 4, 1)), None)
    assert len(portal.asked) == 2
    day = 24 * 14  # the 15th
    assert found[date(2025, 3, 15)] == DayTotals(24, float(sum(range(day, day + 24))))
    assert found[date(2025, 3, 20)].rows == 25
    assert rows_only[date(2025, 3, 15)] == DayTotals(24, None)
    timeless = opened(portal, time_field=None)
    assert isinstance(timeless, DayTotalling)
    with timeless, pytest.raises(CityRefused, match="days cannot be told apart"):
        timeless.day_totals(TimeRange(None, utc(2025, 4, 1)), None)


def test_an_empty_field_is_none(portal: ImitatedSocrata) -> None:
    portal.rows = [{":id": 1, "at": "2025-03-09T05:00:00.000", "n": None}, *portal.rows]
    found = records(tables(opened(portal), MARCH_9))
    assert found[0]["n"] is None
    assert {type(row["n"]) for row in found[1:]} == {str}


def test_a_list_without_times_is_read_whole(portal: ImitatedSocrata) -> None:
    assert records(tables(opened(portal, time_field=None), None)) == ROWS
    assert all("$where" not in asked.query for asked in portal.asked)


def test_nothing_in_the_range_is_no_error(portal: ImitatedSocrata) -> None:
    assert tables(opened(portal), TimeRange(utc(2020, 1, 1), utc(2020, 1, 2))) == []


def test_fewer_rows_than_counted_is_truncated(portal: ImitatedSocrata) -> None:
    portal.lost = 3
    with pytest.raises(CityTruncated, match="abcd-1234: 50 records arrived, the portal counts 53"):
        tables(opened(portal), MARCH_9)
    assert len(portal.asked) == 3 * 3  # the count, the rows and an empty page, three times


def test_what_passes_is_asked_again(portal: ImitatedSocrata) -> None:
    not_ready = JSONResponse({"code": "accepted", "message": "Processing"}, 202)
    portal.faults = [not_ready, too_many(0)]
    assert len(records(tables(opened(portal), MARCH_9))) == 50
    portal.faults = [None, JSONResponse({"message": "timeout"}, 503)]
    assert len(records(tables(opened(portal), MARCH_9))) == 50


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (too_many(3600), CityUnreachable, "429 .* needs fewer requests, or an application token"),
        (PAGE, CityRefused, r"200 \(text/html.*needs one row with the number of rows"),
        (JSONResponse({"a": 1}), CityRefused, "needs one row with the number"),
        (JSONResponse([]), CityRefused, "needs one row with the number"),
    ],
)
def test_other_answers_are_errors(
    portal: ImitatedSocrata, fault: Any, error: type[Exception], words: str
) -> None:
    portal.faults = [fault]
    with pytest.raises(error, match=words):
        tables(opened(portal), MARCH_9)
    assert len(portal.asked) == 1


def test_the_portals_own_words_for_a_wrong_field_are_shown(portal: ImitatedSocrata) -> None:
    with pytest.raises(CityRefused, match=r"400 .*no such column: moment"):
        tables(opened(portal, time_field="moment"), MARCH_9)


def test_a_token_that_is_not_there_is_told(portal: ImitatedSocrata, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"VELOCAST_CITY_TOKEN_FILE=.*none' cannot be read"):
        opened(portal, tmp_path / "none")


def test_the_first_value_of_the_secret_is_no_token(portal: ImitatedSocrata, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRETS["velocast-city-token"]["first_value"])
    tables(opened(portal, file), MARCH_9)
    assert {asked.headers.get("x-app-token") for asked in portal.asked} == {None}


def test_an_application_token_is_sent_as_a_header(portal: ImitatedSocrata, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc123\n")
    tables(opened(portal, file), MARCH_9)
    assert {asked.headers.get("x-app-token") for asked in portal.asked} == {"abc123"}


@pytest.mark.parametrize(
    ("values", "words"),
    [({"dataset": "bikes"}, "dataset"), ({"base_url": "data.seattle.gov"}, "begins with https://")],
)
def test_wrong_settings_are_refused(values: dict[str, str], words: str) -> None:
    source = {"transport": "socrata", "base_url": "https://a.test", "dataset": "abcd-1234"}
    with pytest.raises(SettingsError, match=words):
        a_city(source | values)
