"""A person's word about counts, as it is typed."""

from __future__ import annotations

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tests.shared.usecases import small_city
from velocast.core import schemas
from velocast.core.datetimes import parse_instant, rfc3339
from velocast.core.errors import EventError
from velocast_cli.counts.verdict_commands import hours_meant
from velocast_cli.main import app


@pytest.mark.parametrize(
    ("zone", "since", "until", "expected"),
    [
        ("Europe/Paris", "2025-03-05T10:00:00Z", None, ("2025-03-05T10:00:00Z", "2025-03-05T11:00:00Z")),
        ("Europe/Paris", "2025-03-05T11:20:00+01:00", None, ("2025-03-05T10:00:00Z", "2025-03-05T11:00:00Z")),
        ("Europe/Paris", "2025-03-30", None, ("2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z")),
        ("Europe/Paris", "2025-03-05", "2025-03-07", ("2025-03-04T23:00:00Z", "2025-03-06T23:00:00Z")),
        ("Australia/Adelaide", "2025-03-05T10:00:00Z", None, ("2025-03-05T09:30:00Z", "2025-03-05T10:30:00Z")),
    ],
)  # fmt: skip
def test_hours_are_those_of_the_citys_clock(
    zone: str, since: str, until: str | None, expected: tuple[str, str]
) -> None:
    first, end = hours_meant(since, until, ZoneInfo(zone))
    assert (rfc3339(first), rfc3339(end)) == expected


@pytest.mark.parametrize(
    ("since", "message"),
    [("2025-02-30", "FROM '2025-02-30' is no date"), ("2025-03-05T10:00", "has no zone")],
)
def test_what_is_no_hour_is_refused(since: str, message: str) -> None:
    with pytest.raises(EventError, match=message):
        hours_meant(since, None, ZoneInfo("Europe/Paris"))


@pytest.mark.usefixtures("storage_buckets", "warehouse_tables")
def test_a_verdict_is_stored_with_who_when_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELOCAST_AS_OF", rfc3339(small_city.AS_OF))
    city = small_city.make(days=20)
    small_city.store(city)
    counter = sorted(city["counter_id"])[0]
    day = "2025-03-05"

    def say(*words: str) -> dict[str, object]:
        done = CliRunner().invoke(app, ["counts", *words, "--by", "ana", "--json"])
        assert done.exit_code == 0, done.output
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    refused = say("refuse", counter, day, "--reason", "roadworks")
    assert (refused["stored"], refused["from"]) == (True, "2025-03-04T23:00:00Z")
    hours = city[
        (city["counter_id"] == counter)
        & (city["counted_at"] >= parse_instant("2025-03-04T23:00:00Z"))
        & (city["counted_at"] < parse_instant("2025-03-04T23:00:00Z") + timedelta(days=1))
    ]
    assert refused["hours_changed"] == len(hours) > 20
    assert say("refuse", counter, day, "--reason", "roadworks")["stored"] is False
    assert say("accept", counter, day)["hours_changed"] == len(hours)
    columns = list(schemas.table(schemas.VERDICTS).columns)
    (row,) = small_city.warehouse().read(schemas.VERDICTS, columns=columns).to_pylist()
    assert (row["verdict"], row["given_by"], row["given_at"]) == (
        "accept",
        "ana",
        small_city.AS_OF,
    )

    noted = say("note", counter, "--since", day, "--reason", "a parade, says the town hall")
    assert (noted["stored"], noted["hours_changed"]) == (True, 0)
    (row,) = small_city.warehouse().read(schemas.VERDICTS, columns=columns).to_pylist()
    assert (row["verdict"], row["reason"]) == ("accept", "a parade, says the town hall")

    forgotten = CliRunner().invoke(app, ["counts", "forget", "ana", "--json"])
    assert json.loads(forgotten.stdout) == {
        "name": "ana",
        "verdicts_changed": 1,
        "decisions_changed": 0,
    }
    (row,) = small_city.warehouse().read(schemas.VERDICTS, columns=columns).to_pylist()
    assert (row["verdict"], row["given_by"]) == ("accept", "name removed")

    unknown = CliRunner().invoke(app, ["counts", "accept", "nobody", day])
    assert unknown.exit_code == 1
    assert "there is no counter 'nobody'" in unknown.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("accept", "c"), "say which hours: give FROM, or --since"),
        (("note", "c", "2025-03-05"), "say what is to be noted: give --reason"),
    ],
)
def test_a_verdict_without_hours_or_a_note_without_words_is_refused(
    words: tuple[str, ...], message: str
) -> None:
    done = CliRunner().invoke(app, ["counts", *words])

    assert done.exit_code == 1
    assert message in " ".join(done.output.split())
