"""Events and closures: the CSV, and what a city's file says of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from velocast.core.city import City, PlannedEvent, load_city
from velocast.core.city.area import BoundingBox
from velocast.core.city.events import read_events
from velocast.core.errors import SettingsError

PARIS = ZoneInfo("Europe/Paris")
HEADING = "since,until,counters,area,what,kind\n"


def read(text: str) -> tuple[PlannedEvent, ...]:
    return read_events(text.encode(), "works.csv")


def test_reads_days_times_counters_and_areas() -> None:
    closed, strike, match, works = read(
        HEADING
        + "2026-07-01,2026-07-14,c-1 | Pont N-S,,Bridge closed,closure\n"
        + "2026-03-29,,,,Strike,event\n"
        + '2026-07-14 18:00,2026-07-14T23:30,,48.80 2.30 48.90 2.40,"Match, final",event\n'
        + "2026-07-01T00:00:00Z,2026-07-02,,rivoli,Works,closure\n"
    )

    assert closed.counters == ("c-1", "Pont N-S")
    assert closed.begins(PARIS) == datetime(2026, 7, 1, tzinfo=PARIS)
    assert closed.ends(PARIS) == datetime(2026, 7, 15, tzinfo=PARIS)
    assert (strike.kind, strike.ends(PARIS)) == ("event", None)
    assert match.what == "Match, final"
    assert match.area == BoundingBox(south=48.8, west=2.3, north=48.9, east=2.4)
    assert match.ends(PARIS) == datetime(2026, 7, 14, 23, 30, tzinfo=PARIS)
    assert works.begins(PARIS) == datetime(2026, 7, 1, 2, tzinfo=PARIS)


def test_reads_a_spreadsheet_s_semicolons_and_columns_in_any_order() -> None:
    (event,) = read("\ufeffKind;What;Since\nclosure;Travaux, rue fermée;2026-07-01\n")

    assert (event.what, event.since) == ("Travaux, rue fermée", "2026-07-01")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"counters": ("a", "Quai Nord")}, ["a", "b"]),
        ({"area": "quai"}, ["b", "c"]),
        ({"area": BoundingBox(south=1, west=1, north=2, east=2)}, ["b"]),
    ],
)
def test_concerns_the_counters_that_it_names(event: dict[str, object], expected: list[str]) -> None:
    planned = PlannedEvent(since="2026-01-01", what="x", kind="event", **event)
    counters = [("a", None, None, None), ("b", "Quai Nord", 1.5, 2.0), ("c", "Quai Sud", 3.0, 2.0)]

    assert [each[0] for each in counters if planned.concerns(*each)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "works.csv, line 1: the columns are none; write since,until,counters,area,what,kind"),
        ("since,what\n", "line 1: the columns are since, what; write since"),
        ("since,what,kind,note\n", "line 1: the columns are since, what, kind, note; write"),
        (HEADING + "2026-7-1,,,,X,event\n", "line 2: since: '2026-7-1' is neither a date like"),
        (HEADING + "2026-07-01,,,,X,festival\n", "line 2: kind: Input should be 'closure' or"),
        (HEADING + "2026-07-01,,,,,event\n", "line 2: what: Field required"),
        (HEADING + "2026-07-02,2026-07-01,,,X,event\n", "is not after since 2026-07-02; exchange"),
        (HEADING + "2026-07-01,,c-1,rivoli,X,event\n", "line 2: give counters or area, not both"),
        (HEADING + "2026-07-01,,,48 2 47 3,X,event\n", "is no box; write south west north east"),
        (HEADING + "2026-07-01,,,,Match, final,event\n", "line 2: it has a different number of columns"),
        (HEADING + "\n2026-07-01,,,,X,event\n2026-07-01\n", "line 4: it has a different number"),
    ],
)  # fmt: skip
def test_says_which_line_is_wrong_and_what_to_do(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text)

    assert message in str(caught.value)


def test_names_the_first_wrong_lines_and_counts_the_others() -> None:
    with pytest.raises(SettingsError, match=r"line 2: .*line 6: .* \(and 3 more\)"):
        read(HEADING + "x,,,,X,event\n" * 8)


class TestCityFile:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        described = load_city("demoville").model_dump(mode="json", exclude_none=True)
        del described["events"]
        (tmp_path / "city.yaml").write_text(yaml.safe_dump(described) + "events: works.csv\n")
        (tmp_path / "works.csv").write_text(HEADING + "2026-07-01,,,,Works,closure\n")
        return tmp_path

    def test_its_events_are_read_with_it(self, folder: Path) -> None:
        city = load_city(str(folder / "city.yaml"))

        assert [event.what for event in city.events] == ["Works"]
        written = yaml.safe_load(yaml.safe_dump(city.model_dump(mode="json", exclude_none=True)))
        assert City(**written) == city

    def test_they_are_beside_it_in_a_bucket_too(self, folder: Path) -> None:
        objects = {f"gs://b/f/{name}": (folder / name).read_bytes() for name in ("city.yaml", "works.csv")}  # fmt: skip

        city = load_city("gs://b/f/city.yaml", read_object=objects.__getitem__)

        assert [event.what for event in city.events] == ["Works"]

    def test_they_can_be_in_a_bucket_of_their_own(self, folder: Path) -> None:
        file = folder / "city.yaml"
        file.write_text(file.read_text().replace("works.csv", "gs://b/w.csv"))
        data = (folder / "works.csv").read_bytes()

        city = load_city(str(file), read_object={"gs://b/w.csv": data}.__getitem__)

        assert [event.what for event in city.events] == ["Works"]

    def test_they_can_be_a_list_in_it(self, folder: Path) -> None:
        file = folder / "city.yaml"
        listed = "events: [{since: 2026-07-01, what: Works, kind: closure}]"
        file.write_text(file.read_text().replace("events: works.csv", listed))

        assert load_city(str(file)).events[0].begins(PARIS) == datetime(2026, 7, 1, tzinfo=PARIS)

    def test_a_missing_file_is_named(self, folder: Path) -> None:
        (folder / "works.csv").unlink()

        with pytest.raises(SettingsError, match=r"events: works.csv cannot be read beside"):
            load_city(str(folder / "city.yaml"))
