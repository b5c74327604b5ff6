"""Clock changes: every convention that cities were seen to have, in zones that differ in how and when they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.shared.adapters.city_sources.reading.published import (
    Row,
    by_hour,
    city_of,
    counted,
    local_rows,
    read_text,
    reasons,
    skipped_times,
    stored,
    text_of,
)
from velocast.core.errors import CityRefused

# zone, a day before clocks go forward, a day before they go back
ZONES = [
    ("Europe/Berlin", "2024-03-30", "2024-10-26"),
    (
        "Europe/Dublin",
        "2024-03-30",
        "2024-10-26",
    ),  # winter time is the exception in its zone's data
    ("America/Toronto", "2024-03-09", "2024-11-02"),
    ("America/St_Johns", "2024-03-09", "2024-11-02"),  # 3:30 behind
    ("Australia/Adelaide", "2024-10-05", "2024-04-06"),  # 9:30 before, seasons the other way round
    ("America/Santiago", "2024-09-07", "2024-04-06"),  # at midnight
]
SPRING = [(zone, spring, 60) for zone, spring, _ in ZONES]
AUTUMN = [(zone, autumn, 60) for zone, _, autumn in ZONES]
# quarters too where an hour begins with an hour of UTC, and where it does not
SPRING += [(zone, spring, 15) for zone, spring, _ in (ZONES[0], ZONES[4])]
AUTUMN += [(zone, autumn, 15) for zone, _, autumn in (ZONES[0], ZONES[4])]
ZERO = timedelta(0)


def repeated(rows: list[Row]) -> set[str]:
    """Return the written times that occur twice."""
    times = [time for _, time, _ in rows]
    return {time for time in times if times.count(time) == 2}


@pytest.mark.parametrize(("zone", "first", "minutes"), SPRING)
@pytest.mark.parametrize("convention", ["absent", "blank", "zero"])
def test_the_hour_that_is_not(zone: str, first: str, convention: str, minutes: int) -> None:
    truth = counted(zone, first, 3, minutes)
    rows = local_rows(truth, zone)
    skipped = list(skipped_times(zone, rows, minutes))
    assert len(skipped) == 60 / minutes
    if convention != "absent":
        written = "" if convention == "blank" else 0
        rows += [(datetime.min, time, written) for time in skipped]  # type: ignore[misc]
    city = city_of(zone, minutes, missing_hour=convention)

    harvest = read_text(city, text_of(rows))

    assert stored(harvest) == by_hour(truth, zone)
    assert stored(harvest, quality=True) == stored(harvest)
    assert harvest.rejects == []


@pytest.mark.parametrize(("zone", "first"), [case[:2] for case in SPRING[:6]])
def test_bikes_in_an_hour_that_never_was_are_rejected(zone: str, first: str) -> None:
    truth = counted(zone, first, 3)
    rows = local_rows(truth, zone)
    (skipped,) = skipped_times(zone, rows, 60)

    harvest = read_text(city_of(zone), text_of([*rows, (datetime.min, skipped, 5)]))

    assert stored(harvest, quality=True) == truth
    assert [(r.reason, r.text) for r in harvest.rejects] == [
        ("nonexistent_hour", f'{{"time": "{skipped}", "bridge": 5}}')
    ]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("sorted_by_time", [False, True])
@pytest.mark.parametrize(("zone", "first", "minutes"), AUTUMN)
def test_the_repeated_hour_twice_in_order(
    zone: str, first: str, minutes: int, sorted_by_time: bool, newest_first: bool
) -> None:
    truth = counted(zone, first, 3, minutes)
    rows = local_rows(truth, zone)
    assert len(repeated(rows)) == 60 / minutes
    if sorted_by_time:  # 02:00 02:00 02:15 02:15 instead of 02:00 02:15 02:30 02:45 02:00
        rows.sort(key=lambda row: row[1])
    if newest_first:
        rows.reverse()

    harvest = read_text(city_of(zone, minutes, repeated_hour="twice"), text_of(rows))

    assert stored(harvest) == by_hour(truth, zone)
    assert stored(harvest, quality=True) == stored(harvest)
    assert (harvest.rejects, harvest.doubles) == ([], 0)


@pytest.mark.parametrize(("zone", "first", "minutes"), AUTUMN)
@pytest.mark.parametrize("convention", ["absent", "blank", "zero", "merged", "once"])
def test_the_repeated_hour_not_told_apart(
    zone: str, first: str, convention: str, minutes: int
) -> None:
    truth = counted(zone, first, 3, minutes)
    rows = local_rows(truth, zone)
    twice = repeated(rows)
    changed = {
        t.replace(minute=0) if not t.minute % 60 else t for t, time, _ in rows if time in twice
    }
    first_hour = min(t for t, time, _ in rows if time in twice)
    written = [row for row in rows if row[1] not in twice]
    for time in sorted(twice):
        bikes = [n for _, t, n in rows if t == time]
        value = {"blank": "", "zero": 0, "merged": sum(bikes), "once": bikes[0]}.get(convention)
        if value is not None:
            written.append((first_hour, time, value))  # type: ignore[arg-type]
    written.sort(key=lambda row: row[1])
    others = {t: n for t, n in truth.items() if t not in changed}
    city = city_of(zone, minutes, repeated_hour=convention)

    harvest = read_text(city, text_of(written))

    assert stored(harvest) == by_hour(others, zone)
    marked = {"merged": sum(n for _, t, n in rows if t in twice)}
    marked["once"] = sum(
        n for t, n in truth.items() if first_hour <= t < first_hour + timedelta(hours=1)
    )
    expected = {first_hour: marked[convention]} if convention in marked else {}
    assert stored(harvest, quality="clock_change") == expected
    assert harvest.rejects == []


def test_zeros_of_the_repeated_hour_are_counts_where_one_quarter_has_bikes() -> None:
    rows = [
        ("2024-10-27 02:00", 0),
        ("2024-10-27 02:15", 3),
        ("2024-10-27 02:30", 0),
        ("2024-10-27 02:45", 0),
    ]
    others = local_rows(counted("Europe/Berlin", "2024-10-28", 1, 15), "Europe/Berlin")
    text = text_of([*((datetime.min, time, n) for time, n in rows), *others])

    harvest = read_text(city_of("Europe/Berlin", 15, repeated_hour="zero"), text)

    assert stored(harvest, quality="clock_change") == {datetime(2024, 10, 27, 0, tzinfo=UTC): 3}


def test_two_rows_of_the_repeated_hour_where_one_was_said_contradict_each_other() -> None:
    rows = local_rows(counted("Europe/Berlin", "2024-10-26", 3), "Europe/Berlin")

    harvest = read_text(city_of("Europe/Berlin", repeated_hour="merged"), text_of(rows))

    assert reasons(harvest) == ["conflicting_duplicate"] * 2
    assert len(stored(harvest)) == 73 - 2


def test_a_file_that_begins_in_the_middle_of_the_repeated_hour_still_has_its_order() -> None:
    zone = "Europe/Berlin"
    rows = local_rows(counted(zone, "2024-10-27", 1), zone)
    halves = (
        rows[:3],
        rows[3:],
    )  # one file ends with the first 02:00, the other begins with the second

    harvest = read_text(city_of(zone, repeated_hour="twice"), *map(text_of, halves))

    # one row of two is not told apart: the second file's becomes a contradiction, not a wrong hour
    assert reasons(harvest) == ["conflicting_duplicate"] * 2
    assert stored(harvest) == {t: n for t, _, n in rows[:2] + rows[4:]}


class TestHalfHourChanges:
    """Lord Howe Island's clock changes by half an hour."""

    zone = "Australia/Lord_Howe"

    def test_forward(self) -> None:
        truth = counted(self.zone, "2024-10-05", 3, 15)
        rows = local_rows(truth, self.zone)

        harvest = read_text(city_of(self.zone, 15), text_of(rows))

        hours = by_hour(truth, self.zone)
        assert stored(harvest, quality=True) == hours
        # 02:30 to 03:00 is half an hour
        half = datetime(2024, 10, 6, 2, 30, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        assert stored(harvest, quality="incomplete").keys() == {half - timedelta(minutes=30)}

    def test_back(self) -> None:
        truth = counted(self.zone, "2024-04-06", 3, 15)
        rows = local_rows(truth, self.zone)

        harvest = read_text(city_of(self.zone, 15, repeated_hour="twice"), text_of(rows))

        assert stored(harvest, quality=True) == by_hour(truth, self.zone)
        assert len(stored(harvest, quality="incomplete")) == 1
        assert harvest.rejects == []


class TestMarksOfTheEnd:
    """Times that are those of the end of what was counted."""

    @pytest.mark.parametrize(("zone", "first", "minutes"), SPRING)
    def test_when_clocks_go_forward(self, zone: str, first: str, minutes: int) -> None:
        truth = counted(zone, first, 3, minutes)
        ended = {t + timedelta(minutes=minutes): n for t, n in truth.items()}
        city = city_of(zone, minutes, time={"marks": "end"})

        harvest = read_text(city, text_of(local_rows(ended, zone)))

        assert stored(harvest, quality=True) == by_hour(truth, zone)
        assert harvest.rejects == []

    @pytest.mark.parametrize(("zone", "first", "minutes"), AUTUMN)
    def test_when_clocks_go_back(self, zone: str, first: str, minutes: int) -> None:
        truth = counted(zone, first, 3, minutes)
        ended = {t + timedelta(minutes=minutes): n for t, n in truth.items()}
        city = city_of(zone, minutes, time={"marks": "end"}, repeated_hour="twice")

        harvest = read_text(city, text_of(local_rows(ended, zone)))

        assert stored(harvest, quality=True) == by_hour(truth, zone)
        assert harvest.rejects == []

    def test_marks_that_are_the_start_s_time_plus_the_step(self) -> None:
        zone = "Europe/Berlin"
        truth = counted(zone, "2024-10-26", 3)
        rows = [
            (t, f"{datetime.fromisoformat(time) + timedelta(hours=1):%Y-%m-%d %H:%M}", n)
            for t, time, n in local_rows(truth, zone)
        ]
        assert [time[-5:] for _, time, _ in rows[24:29]] == [
            "01:00",
            "02:00",
            "03:00",
            "03:00",
            "04:00",
        ]
        city = city_of(zone, time={"marks": "end"}, repeated_hour="twice")

        assert stored(read_text(city, text_of(rows)), quality=True) == truth

    def test_the_last_hour_of_a_day_may_be_called_24(self) -> None:
        text = b"time;bridge\n31/12/2023 23:00;4\n31/12/2023 24:00;5\n01/01/2024 01:00;6\n01/01/2024 02:00;7\n"
        city = city_of("Europe/Paris", time={"marks": "end", "format": "%d/%m/%Y %H:%M"})

        found = stored(read_text(city, text))

        first = datetime(2023, 12, 31, 21, tzinfo=UTC)
        assert found == {first + timedelta(hours=n): 4 + n for n in range(4)}


class TestWhatTimesMean:
    def text(self, end: str) -> bytes:
        times = ("2024-07-01 12:00", "2024-07-01 13:00")
        return text_of([(datetime.min, time + end, 3 + n) for n, time in enumerate(times)])

    @pytest.mark.parametrize(
        ("end", "times", "hour"),
        [
            ("", "local", 10),
            ("", "utc", 12),
            ("+00:00", "offset", 12),
            ("+02:00", "offset", 10),
            (" +0200", "offset", 10),
            (":00.000 +0200", "offset", 10),
            ("Z", "offset", 12),
            ("Z", "utc", 12),
            ("+02:00", "utc", 10),
            ("Z", "local", 10),  # the city says that it is its clock, whatever its portal claims
        ],
    )
    def test_zone(self, end: str, times: str, hour: int) -> None:
        harvest = read_text(city_of("Europe/Berlin", times=times), self.text(end))

        at = datetime(2024, 7, 1, hour, tzinfo=UTC)
        assert stored(harvest) == {at: 3, at + timedelta(hours=1): 4}

    def test_a_time_without_an_offset_where_each_has_one_is_unreadable(self) -> None:
        harvest = read_text(city_of("Europe/Berlin", times="offset"), self.text(""))

        assert reasons(harvest) == ["unreadable_time"] * 2

    @pytest.mark.parametrize(
        ("form", "text"),
        [
            ("%m/%d/%Y %I:%M:%S %p", "02/03/2024 01:00:00 PM"),
            ("%m/%d/%Y %I:%M %p", "02/03/2024 01:00 p.m."),
            ("%d/%m/%Y %H:%M", "03/02/2024 13:00"),
            ("%d.%m.%y %H:%M", "03.02.24 13:00"),
            ("%Y.%m.%d %H:%M", "2024.02.03 13:00"),
            ("%A, %d %b %Y %H:%M", "Saturday, 03 Feb 2024 13:00"),
            ("epoch_s", "1706965200"),
            ("epoch_ms", "1706965200000"),
            ("iso", "20240203T1300"),
        ],
    )
    def test_format(self, form: str, text: str) -> None:
        zone = "UTC"
        row = [(datetime.min, text, 8)]

        harvest = read_text(
            city_of(zone, time={"format": form}), b"time;bridge\n%s;8\n" % text.encode()
        )

        assert row[0][2] == 8
        assert stored(harvest) == {datetime(2024, 2, 3, 13, tzinfo=UTC): 8}

    def test_formats_are_tried_in_their_order(self) -> None:
        text = b"time;bridge\n2023.06.30 22:00;1\n30.06.2023 23:00;2\n"
        city = city_of("UTC", time={"format": ["%Y.%m.%d %H:%M", "%d.%m.%Y %H:%M"]})

        assert list(stored(read_text(city, text)).values()) == [1, 2]

    def test_day_and_month_are_never_swapped(self) -> None:
        text = b"time;bridge\n01/13/2023 22:00;1\n12/01/2023 22:00;2\n"

        harvest = read_text(city_of("UTC", time={"format": "%d/%m/%Y %H:%M"}), text)

        assert reasons(harvest) == ["unreadable_time"]
        assert stored(harvest) == {datetime(2023, 1, 12, 22, tzinfo=UTC): 2}

    @pytest.mark.parametrize(
        ("day", "gaps"), [("2024-03-31", 92), ("2024-10-27", 100), ("2024-07-01", 96)]
    )
    @pytest.mark.parametrize("first", [0, 1])
    def test_quarters_numbered_by_elapsed_time(self, day: str, gaps: int, first: int) -> None:
        zone = "Europe/Brussels"
        truth = counted(zone, day, 1, 15)
        assert len(truth) == gaps
        lines = [f"{day};{n + first};{bikes}" for n, bikes in enumerate(truth.values())]
        text = "\n".join(["day;gap;bridge", *lines, ""]).encode()
        time = {"columns": "day", "gap_column": "gap", "first_gap": first}

        harvest = read_text(city_of(zone, 15, time=time, repeated_hour="twice"), text)

        assert stored(harvest, quality=True) == by_hour(truth, zone)
        assert harvest.rejects == []


def test_daily_totals_are_refused_with_the_reason() -> None:
    text = b"time;bridge\n2023-06-01;100\n2023-06-02;200\n2023-06-03;300\n"

    with pytest.raises(CityRefused, match="totals of days or more, which cannot be forecast"):
        read_text(city_of("Europe/Berlin"), text)


def test_quarters_do_not_pass_for_hours() -> None:
    rows = local_rows(counted("Europe/Berlin", "2024-07-01", 2, 15), "Europe/Berlin")

    with pytest.raises(CityRefused, match=r"rows begin every 15 minutes, .*write step_minutes: 15"):
        read_text(city_of("Europe/Berlin"), text_of(rows))


def test_hours_do_not_pass_for_quarters() -> None:
    rows = local_rows(counted("Europe/Berlin", "2024-07-01", 2), "Europe/Berlin")

    with pytest.raises(CityRefused, match=r"all rows begin on the hour, .*write step_minutes: 60"):
        read_text(city_of("Europe/Berlin", 15), text_of(rows))
