"""What is understood of tables by looking, piece by piece; whole files are in `test_new_and_check`."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from velocast.adapters.city_sources.transport import RawTable
from velocast_cli.city.understanding.cells import number_style
from velocast_cli.city.understanding.clocks.clock_changes import see_clock
from velocast_cli.city.understanding.clocks.dates import Formats, day_month_order, read_formats
from velocast_cli.city.understanding.layouts.totals import without_repeats
from velocast_cli.city.understanding.layouts.wide import name_counters
from velocast_cli.city.understanding.places import PlaceColumns
from velocast_cli.city.understanding.statuses import status_values
from velocast_cli.city.understanding.understand import understand
from velocast_cli.city.understanding.understood import NotUnderstood


def formats(*texts: str) -> Formats:
    found = read_formats(texts)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2024-05-01 00:00:00", "2024-05-01T13:15"], ("iso",)),
        (["13/05/2024 07:00", "1/5/2024 7:00"], ("%d/%m/%Y %H:%M",)),
        (["05/13/2024 07:00:00 PM"], ("%m/%d/%Y %I:%M:%S %p",)),
        (["13.05.24, 07:00"], ("%d.%m.%y, %H:%M",)),
        (["2024.05.13 07:00"], ("%Y.%m.%d %H:%M",)),
        (["20240513 07:00"], ("%Y%m%d %H:%M",)),
        (["202405130715"], ("%Y%m%d%H%M",)),
        (["November 01, 2009 05:00:00 PM"], ("%B %d, %Y %I:%M:%S %p",)),
        (["Mon 13/05/2024 07:00"], ("%a %d/%m/%Y %H:%M",)),
        (["13-May-2024 07:00"], ("%d-%b-%Y %H:%M",)),
        (["1715580000"], ("epoch_s",)),
        (["1715580000000"], ("epoch_ms",)),
        (["13.05.2024 07:00", "2024-05-14 07:00"], ("%d.%m.%Y %H:%M", "iso")),
    ],
)
def test_a_date_format_is_found_where_the_dates_show_it(
    texts: list[str], expected: tuple[str, ...]
) -> None:
    found = formats(*texts)
    assert set(found.ordered()) == set(expected)
    assert not found.ambiguous


@pytest.mark.parametrize(
    "texts", [["01/02/2024 07:00", "12/02/2024 07:00"], ["1.2.24"], ["03-04-2024"]]
)
def test_day_and_month_are_never_guessed(texts: list[str]) -> None:
    found = formats(*texts)
    assert found.ambiguous
    assert found.shown == texts[0]
    assert found.ordered("dmy") != found.ordered("mdy")


def test_dates_in_both_orders_are_a_contradiction() -> None:
    assert formats("13/01/2024 07:00", "01/14/2024 07:00").contradictory


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ("DD/MM/YYYY HH:MM", "dmy"),
        ("%m/%d/%Y %I:%M", "mdy"),
        ("dd.mm.", "dmy"),
        ("month first", "mdy"),
        ("YYYY", None),
    ],
)
def test_the_order_of_a_given_date_format(given: str, order: str | None) -> None:
    assert day_month_order(given) == order


@pytest.mark.parametrize("texts", [["seven o'clock"], ["12", "13"], ["99:99"]])
def test_what_is_no_date_is_none(texts: list[str]) -> None:
    assert read_formats(texts) is None


@pytest.mark.parametrize(
    ("cells", "decimal", "thousands"),
    [
        (["3,0", "12,0"], ",", None),
        (["3.0", "12.5"], ".", None),
        (["1,234", "12"], None, ","),
        (["1.234", "7,0"], ",", "."),
        (["1 234", "7"], None, " "),
        (["1'234", "7"], None, "'"),
        (["12", "7"], None, None),
    ],
)
def test_how_numbers_are_written(
    cells: list[str], decimal: str | None, thousands: str | None
) -> None:
    style = number_style([pd.Series(cells, dtype=object)])
    assert (style.decimal, style.thousands) == (decimal, thousands)


def numbers(**columns: list[float]) -> dict[str, np.ndarray]:
    return {
        name.replace("_", " "): np.array(values, dtype=float) for name, values in columns.items()
    }


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        # a total of one place beside its directions, in some languages
        (
            {
                "Brücke": [3, 5, 9, 4],
                "Brücke_einwärts": [1, 2, 4, 3],
                "Brücke_auswärts": [2, 3, 5, 1],
            },
            ["Brücke"],
        ),
        ({"Total": [3, 5, 9, 4], "Entrada": [1, 2, 4, 3], "Salida": [2, 3, 5, 1]}, ["Total"]),
        (
            {
                "Most_razem": [3, 5, 9, 4],
                "Most_północ": [1, 2, 4, 3],
                "Most_południe": [2, 3, 5, 1],
            },
            ["Most razem"],
        ),
        (
            {"Yhteensä": [3, 5, 9, 4], "keskustaan": [1, 2, 4, 3], "keskustasta": [2, 3, 5, 1]},
            ["Yhteensä"],
        ),
        # the sum of two places is nobody's counter
        ({"Kai": [1, 2, 4, 3], "Ring": [2, 3, 5, 1], "Gesamt": [3, 5, 9, 4]}, ["Kai", "Ring"]),
        # directions without a total are two counters
        ({"Kai_in": [1, 2, 4, 3], "Kai_out": [2, 3, 5, 1]}, ["Kai in", "Kai out"]),
        # a total under two names
        (
            {
                "Total": [3, 5, 9, 4],
                "Sum": [3, 5, 9, 4],
                "North": [1, 2, 4, 3],
                "South": [2, 3, 5, 1],
            },
            ["Total"],
        ),
        # a total of totals: both sites, each with directions
        (
            {
                "A_total": [3, 5, 9, 4],
                "A_in": [1, 2, 4, 3],
                "A_out": [2, 3, 5, 1],
                "B_total": [7, 8, 8, 2],
                "B_in": [3, 4, 1, 1],
                "B_out": [4, 4, 7, 1],
                "All": [10, 13, 17, 6],
            },
            ["A total", "B total"],
        ),
        # names look like directions, numbers say otherwise: three counters
        (
            {"Quai": [30, 50, 90, 4], "Quai_Nord": [1, 2, 4, 3], "Quai_Sud": [2, 3, 5, 1]},
            ["Quai", "Quai Nord", "Quai Sud"],
        ),
    ],
)
def test_nothing_is_counted_twice(columns: dict[str, list[float]], kept: list[str]) -> None:
    values = numbers(**columns)
    assert without_repeats(list(values), values).kept == kept


def test_a_total_that_is_often_blank_gives_way_to_its_parts() -> None:
    values = numbers(
        all=[3, np.nan, 9, np.nan, 5, 7], one=[1, 2, 4, 3, 2, 3], other=[2, 3, 5, 1, 3, 4]
    )
    assert without_repeats(list(values), values, one_place=True).kept == ["one", "other"]


@pytest.mark.parametrize(
    ("columns", "ids"),
    [
        (["compteur_100054073", "compteur_38"], ["100054073", "38"]),
        (
            ["300037405 (Promenade (westl. Hals))", "100034978 (Gartenstraße)"],
            ["300037405", "100034978"],
        ),
        (["Quai [1234]", "Pont [1235]"], ["1234", "1235"]),
        (["02-MI-JAN-N 01.04.2015", "03-MI-SAN-O 01.06.2015"], ["02-MI-JAN-N", "03-MI-SAN-O"]),
        (["Bridge 1", "Bridge 2"], ["Bridge 1", "Bridge 2"]),
        (
            ["Griffith Avenue (Lane Side)", "Grove Road (Removed for roadworks)"],
            ["Griffith Avenue (Lane Side)", "Grove Road (Removed for roadworks)"],
        ),
    ],
)
def test_ids_lose_their_decoration_where_they_have_one(columns: list[str], ids: list[str]) -> None:
    named, _ = name_counters(columns)
    assert [counter_id for counter_id, _ in named.values()] == ids


def test_a_remark_is_left_out_of_a_name() -> None:
    named, _ = name_counters(["Mall (Not On Site - Roadworks)", "Avenue (Lane Side)"])
    assert [name for _, name in named.values()] == ["Mall", None]


def around(change: str, inside: list[tuple[str, float]], zone: str = "Europe/Berlin") -> str | None:
    """Return what is seen of a change. inside: the rows of the hour; all other hours have 50 bikes."""
    day = pd.Timestamp(change).normalize()
    hour = pd.Timestamp(change)
    rows = [
        (at, 50.0)
        for days in range(-8, 9)
        for at in pd.date_range(day + pd.Timedelta(days=days), periods=24, freq="h")
        if at != hour
    ]
    rows += [(pd.Timestamp(at), value) for at, value in inside]
    counts = (
        pd.DataFrame(rows, columns=["at", "bike_count"])
        .sort_values("at", kind="stable")
        .assign(counter_id="a", file="f")
    )
    seen = see_clock(counts, ZoneInfo(zone))
    return seen.missing_hour or seen.repeated_hour


@pytest.mark.parametrize(
    ("inside", "seen"),
    [
        ([], "absent"),
        ([("2024-03-31 02:00", np.nan)], "blank"),
        ([("2024-03-31 02:00", 0.0)], "zero"),
    ],
)
def test_the_missing_hour(inside: list[tuple[str, float]], seen: str) -> None:
    assert around("2024-03-31 02:00", inside) == seen


@pytest.mark.parametrize(
    ("inside", "seen"),
    [
        ([], "absent"),
        ([("2024-10-27 02:00", np.nan)], "blank"),
        ([("2024-10-27 02:00", 0.0)], "zero"),
        ([("2024-10-27 02:00", 96.0)], "merged"),
        ([("2024-10-27 02:00", 52.0)], "once"),
        ([("2024-10-27 02:00", 48.0), ("2024-10-27 02:00", 44.0)], "twice"),
    ],
)
def test_the_repeated_hour(inside: list[tuple[str, float]], seen: str) -> None:
    assert around("2024-10-27 02:00", inside) == seen


def test_a_city_without_clock_changes_shows_none() -> None:
    assert around("2024-03-31 02:00", [("2024-03-31 02:00", 50.0)], zone="Asia/Tokyo") is None


def test_counts_in_the_hour_that_is_skipped_are_impossible() -> None:
    hours = pd.date_range("2024-03-30", periods=60, freq="h")
    counts = pd.DataFrame({"counter_id": "a", "at": hours, "bike_count": 50.0, "file": "f"})
    assert see_clock(counts, ZoneInfo("Europe/Berlin")).impossible == 1


@pytest.mark.parametrize(
    ("cells", "usable", "rest"),
    [
        (["0", "0", "4", None], ["", "0"], ["4"]),
        (["raw", "raw", "modified"], ["", "raw"], ["modified"]),
        (
            ["Fonctionnel", "Forte probabilité d'anomalie"],
            ["", "Fonctionnel"],
            ["Forte probabilité d'anomalie"],
        ),
        (["7", "7", "7", "9"], ["", "7"], ["9"]),
        ([None, None, "x"], [""], ["x"]),
    ],
)
def test_which_status_is_good(cells: list[str | None], usable: list[str], rest: list[str]) -> None:
    values, others = status_values([pd.Series(cells, dtype=object)])
    assert (values["usable"], others) == (usable, rest)


@pytest.mark.parametrize(
    ("extent", "zone", "crs"),
    [
        ((8.5, 8.6, 47.3, 47.4), "Europe/Zurich", "EPSG:4326"),
        ((2_682_278, 2_683_000, 1_247_000, 1_248_000), "Europe/Zurich", "EPSG:2056"),
        ((120_000, 125_000, 480_000, 490_000), "Europe/Amsterdam", "EPSG:28992"),
        ((120_000, 125_000, 480_000, 490_000), "Europe/Madrid", None),
    ],
)
def test_the_reference_system_of_positions(
    extent: tuple[float, float, float, float], zone: str, crs: str | None
) -> None:
    assert PlaceColumns(None, "y", "x", extent).crs(zone) == crs


def test_daily_totals_are_refused_with_the_reason() -> None:
    days = pd.date_range("2024-05-01", periods=30).strftime("%Y-%m-%d")
    with pytest.raises(
        NotUnderstood,
        match=r"d\.csv: its counts are daily totals; .* ask the city for hourly counts",
    ):
        understand([RawTable(pd.DataFrame({"date": days, "counter": "a", "count": 700}), "d.csv")])


def test_a_table_without_dates_is_refused() -> None:
    with pytest.raises(NotUnderstood, match=r"no time is found: list\.csv \(no column has dates\)"):
        understand([RawTable(pd.DataFrame({"id": ["1", "2"], "name": ["a", "b"]}), "list.csv")])


def test_a_table_without_bicycles_is_refused() -> None:
    hours = pd.date_range("2024-05-01", periods=30, freq="h").astype(str)
    table = pd.DataFrame(
        {"time": hours, "station": ["x", "y"] * 15, "temperature": np.linspace(1, 9, 30)}
    )
    with pytest.raises(NotUnderstood, match="no column has counts of bicycles"):
        understand([RawTable(table, "w.csv")])
