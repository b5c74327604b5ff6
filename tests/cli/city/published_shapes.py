"""One small city for each way of publishing that was seen: see `published_files`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyarrow import parquet

from tests.cli.city.published_files import (
    Interval,
    Published,
    by_time,
    gzipped,
    hours_of,
    intervals,
    local,
    long,
    table,
    wide,
    zipped,
)
from tests.shared.adapters.city_sources.spreadsheet import Cell, spreadsheet

ISO = "%Y-%m-%d %H:%M:%S"
SHAPES: list[Callable[[], Published]] = []


def shape(made: Callable[[], Published]) -> Callable[[], Published]:
    SHAPES.append(made)
    return made


def published(
    made: Callable[..., Any],
    content: Mapping[str, str | bytes],
    zone: str,
    counted: list[Interval],
    *answers: str,
) -> Published:
    files = {name: c.encode() if isinstance(c, str) else c for name, c in content.items()}
    return Published(made.__name__, files, zone, hours_of(counted, zone), answers)


@shape
def german_spreadsheet_export() -> Published:
    zone, counted = (
        "Europe/Berlin",
        intervals("Europe/Berlin", "2023-05-20", 5, counters=("Südbrücke", "Nordtor")),
    )
    rows = [
        [local(g[0], zone, "%d.%m.%Y"), local(g[0], zone, "%H:%M"), *[f"{i.total},0" for i in g]]
        for g in by_time(counted)
    ]
    text = "Zählstellen der Stadt\nStand: Mai 2023\n\n" + table(
        ["Datum", "Uhrzeit", "Südbrücke", "Nordtor"], rows, ";"
    )
    return published(german_spreadsheet_export, {"z.csv": text.encode("cp1252")}, zone, counted)


@shape
def tabs_and_a_byte_order_mark() -> Published:
    zone, counted = "Europe/Dublin", intervals("Europe/Dublin", "2023-05-20", 5)
    text = wide(zone, counted, "%d/%m/%Y %H:%M", "Time", "\t")
    return published(
        tabs_and_a_byte_order_mark, {"dub.txt": b"\xef\xbb\xbf" + text.encode()}, zone, counted
    )


@shape
def american_times_newest_first_with_an_index() -> Published:
    zone, counted = "America/Los_Angeles", intervals("America/Los_Angeles", "2018-10-20", 5)
    groups = list(by_time(counted))[::-1]
    rows = [
        [n, local(g[0], zone, "%m/%d/%Y %I:%M:%S %p"), *[i.total for i in g]]
        for n, g in enumerate(groups)
    ]
    text = table(["", "Date", "A1", "B2", "C3"], rows)
    return published(american_times_newest_first_with_an_index, {"s.csv": text}, zone, counted)


@shape
def hours_as_columns() -> Published:
    zone, ids = "Europe/Paris", ("0664", "0701")
    counted = intervals(zone, "2020-06-01", 6, counters=ids)
    days: dict[tuple[str, str], list[int]] = {}
    for each in counted:
        days.setdefault((each.counter, local(each, zone, "%Y-%m-%d")), []).append(each.total)
    header = [
        "Numéro de boucle",
        "Libellé",
        "Jour",
        *[f"{h:02}" for h in range(24)],
        "Total",
        "Probabilité de présence d'anomalies",
    ]
    rows = [
        [c, f"Pont {c} vers Nord", day, *values, sum(values), ""]
        for (c, day), values in days.items()
    ]
    return published(hours_as_columns, {"n.csv": table(header, rows, ";")}, zone, counted)


@shape
def hours_as_columns_from_one() -> Published:
    zone, counted = "Europe/Warsaw", intervals("Europe/Warsaw", "2020-06-13", 6, counters=("Most",))
    days: dict[str, list[int]] = {}
    for each in counted:
        days.setdefault(local(each, zone, "%d.%m.%Y"), []).append(each.total)
    header = ["Licznik", "Data", *[f"H{h}" for h in range(1, 25)]]
    return published(
        hours_as_columns_from_one,
        {"w.csv": table(header, [["Most", d, *v] for d, v in days.items()])},
        zone,
        counted,
    )


@shape
def records_as_json() -> Published:
    zone, counted = (
        "Europe/Paris",
        intervals("Europe/Paris", "2024-06-01", 4, counters=("100-1", "100-2")),
    )
    records = [
        {
            "id_compteur": i.counter,
            "nom_compteur": f"Quai {i.counter}",
            "sum_counts": i.total,
            "date": i.start.isoformat(),
            "coordinates": {"lon": 2.3 + len(i.counter) / 100, "lat": 48.85},
        }
        for i in counted
    ]
    return published(
        records_as_json,
        {"p.json": json.dumps({"total_count": len(records), "results": records})},
        zone,
        counted,
    )


@shape
def json_lines_in_utc() -> Published:
    zone, counted = "Europe/Berlin", intervals("Europe/Berlin", "2024-06-01", 4, 15)
    lines = [
        json.dumps(
            {
                "station": i.counter,
                "time_utc": i.start.strftime("%Y-%m-%dT%H:%M:%S"),
                "count": i.total,
            }
        )
        for i in counted
    ]
    return published(json_lines_in_utc, {"h.jsonl": "\n".join(lines)}, zone, counted)


@shape
def five_minutes_in_gzip() -> Published:
    zone, counted = "Europe/Brussels", intervals("Europe/Brussels", "2024-06-14", 2, 5)
    return published(
        five_minutes_in_gzip, {"five.csv.gz": gzipped(wide(zone, counted, ISO))}, zone, counted
    )


@shape
def half_hours_in_zip() -> Published:
    zone, counted = "Europe/London", intervals("Europe/London", "2024-06-14", 4, 30)
    text = long(
        zone,
        counted,
        ["Site", "Date", "Time", "Volume"],
        lambda i: [i.counter, local(i, zone, "%d/%m/%Y"), local(i, zone, "%H:%M"), i.total],
    )
    return published(half_hours_in_zip, {"half.zip": zipped({"half.csv": text})}, zone, counted)


@shape
def half_hour_zone_with_offsets() -> Published:
    zone, counted = "Australia/Adelaide", intervals("Australia/Adelaide", "2024-06-14", 4)
    text = long(
        zone,
        counted,
        ["counter_id", "timestamp", "bikes"],
        lambda i: [i.counter, i.start.astimezone(ZoneInfo(zone)).isoformat(), i.total],
    )
    return published(half_hour_zone_with_offsets, {"a.csv": text}, zone, counted)


@shape
def half_hour_zone_in_utc() -> Published:
    zone, counted = "America/St_Johns", intervals("America/St_Johns", "2024-06-14", 4, 15)
    text = long(
        zone,
        counted,
        ["counter_id", "timestamp", "bikes"],
        lambda i: [i.counter, i.start.strftime("%Y-%m-%dT%H:%M:%SZ"), i.total],
    )
    return published(half_hour_zone_in_utc, {"sj.csv": text}, zone, counted)


@shape
def cars_beside_bikes_in_rows() -> Published:
    zone, counted = "Europe/Zurich", intervals("Europe/Zurich", "2024-06-01", 4)
    rows = []
    for i in counted:
        rows += [
            [f"S{i.counter}", "Velo", local(i, zone, "%d.%m.%Y %H:%M"), i.total],
            [f"S{i.counter}", "Motorfahrzeug", local(i, zone, "%d.%m.%Y %H:%M"), 7 + i.total * 9],
        ]
    text = table(["Zählstelle", "Verkehrsmittel", "Datum", "Anzahl"], rows)
    counted = [Interval(f"S{i.counter}", i.start, i.one, i.other) for i in counted]
    return published(
        cars_beside_bikes_in_rows, {"v.csv": text}, zone, counted, "--date-format", "DD.MM.YYYY"
    )


@shape
def cars_beside_bikes_in_columns() -> Published:
    zone, counted = (
        "Europe/Vienna",
        intervals("Europe/Vienna", "2024-06-20", 4, counters=("Ring", "Kai")),
    )
    header = ["Zeit", "Ring Fahrräder", "Ring KFZ", "Kai Fahrräder", "Kai Fußgänger"]
    rows = [
        [local(g[0], zone, ISO), g[0].total, 1 + g[0].total * 8, g[1].total, g[1].one * 3]
        for g in by_time(counted)
    ]
    counted = [Interval(f"{i.counter} Fahrräder", i.start, i.one, i.other) for i in counted]
    return published(cars_beside_bikes_in_columns, {"w.csv": table(header, rows)}, zone, counted)


@shape
def zurich_like() -> Published:
    zone, ids = "Europe/Zurich", ("2977", "4241")
    counted = intervals(zone, "2024-03-05", 4, 15, ids)
    text = long(
        zone,
        counted,
        ["FK_STANDORT", "DATUM", "VELO_IN", "VELO_OUT", "FUSS_IN", "FUSS_OUT", "OST", "NORD"],
        lambda i: [
            i.counter,
            local(i, zone, "%Y-%m-%dT%H:%M"),
            i.one,
            i.other,
            "",
            "",
            2682278 + int(i.counter),
            1247900,
        ],
    )
    return published(zurich_like, {"z.csv": text}, zone, counted)


@shape
def toronto_like() -> Published:
    zone, ids = "America/Toronto", ("19", "20", "31")
    counted = intervals(zone, "2023-03-05", 4, 15, ids)
    text = long(
        zone,
        counted,
        ["_id", "location_dir_id", "datetime_bin", "bin_volume"],
        lambda i: [counted.index(i) + 1, i.counter, local(i, zone, "%Y-%m-%dT%H:%M:%S"), i.total],
    )
    return published(toronto_like, {"t.csv": text}, zone, counted)


@shape
def new_york_like() -> Published:
    zone, ids = "America/New_York", ("100005020", "100009428")
    counted = intervals(zone, "2024-04-05", 3, 15, ids)
    rows: list[list[object]] = []
    for i in counted:
        at = local(i, zone, "%Y-%m-%dT%H:%M:%S.000")
        rows += [
            [i.counter, "bike", "in", int(i.counter) + 1, at, "PT15M", i.one, "raw"],
            [i.counter, "bike", "out", int(i.counter) + 2, at, "PT15M", i.other, "raw"],
            [i.counter, "pedestrian", "in", int(i.counter) + 3, at, "PT15M", i.one + 40, "raw"],
        ]
    text = table(
        [
            "sensor_id",
            "travelmode",
            "direction",
            "flowid",
            "timestamp",
            "granularity",
            "counts",
            "status",
        ],
        rows,
    )
    return published(new_york_like, {"ny.csv": text}, zone, counted)


@shape
def basel_like() -> Published:
    zone, counted = (
        "Europe/Zurich",
        intervals("Europe/Zurich", "2024-06-20", 4, counters=("352", "403")),
    )
    rows: list[list[object]] = []
    for i in counted:
        when = [local(i, zone, "%d.%m.%Y"), local(i, zone, "%H:%M"), local(i, zone, "%H:%M", 60)]
        for lane, number, way in ((1, i.one, "Basel"), (2, i.other, "Riehen")):
            rows.append([i.counter, f"{i.counter} Brücke", way, lane, "Velo", *when, 1, 0, number])
        rows.append([i.counter, f"{i.counter} Brücke", "Basel", 3, "MIV", *when, 1, 0, 300 + i.one])
    header = [
        "SiteCode",
        "SiteName",
        "DirectionName",
        "LaneCode",
        "TrafficType",
        "Date",
        "TimeFrom",
        "TimeTo",
        "ValuesApproved",
        "ValuesEdited",
        "Total",
    ]
    return published(basel_like, {"b.csv": table(header, rows, ";")}, zone, counted)


@shape
def brussels_like() -> Published:
    zone, counted = (
        "Europe/Brussels",
        intervals("Europe/Brussels", "2024-06-20", 4, 15, ("CB2105",)),
    )
    rows = []
    for i in counted:
        at = i.start.astimezone(ZoneInfo(zone))
        rows.append([at.strftime("%Y/%m/%d"), at.hour * 4 + at.minute // 15 + 1, i.total, 17])
    text = table(["Date", "Time gap", "Count", "Average speed"], rows, ";")
    return published(brussels_like, {"CB2105.csv": text}, zone, counted)


@shape
def baden_wuerttemberg_like() -> Published:
    zone, counted = (
        "Europe/Berlin",
        intervals("Europe/Berlin", "2021-06-20", 4, counters=("100001", "100002")),
    )

    def row(i: Interval) -> list[object]:
        both = i.total if i.counter == "100001" else "na"
        return [
            "Stadt",
            f"Brücke {i.counter}",
            i.counter,
            i.start.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S%z"),
            i.one,
            i.other,
            both,
            8.4,
            48.9,
        ]

    text = long(
        zone,
        counted,
        [
            "domain_name",
            "counter_site",
            "counter_site_id",
            "iso_timestamp",
            "channels_in",
            "channels_out",
            "channels_all",
            "longitude",
            "latitude",
        ],
        row,
    )
    return published(baden_wuerttemberg_like, {"bw.csv.gz": gzipped(text)}, zone, counted)


@shape
def munich_like_two_formats_and_days() -> Published:
    zone, counted = (
        "Europe/Berlin",
        intervals("Europe/Berlin", "2023-05-30", 4, 15, ("Arnulf", "Olympia")),
    )
    header = [
        "datum",
        "uhrzeit_start",
        "uhrzeit_ende",
        "zaehlstelle",
        "richtung_1",
        "richtung_2",
        "gesamt",
    ]
    files = {}
    for name, month, form in (
        ("rad_2023_05_15min.csv", 5, "%d.%m.%Y"),
        ("rad_2023_06_15min.csv", 6, "%Y.%m.%d"),
    ):
        inside = [i for i in counted if i.start.astimezone(ZoneInfo(zone)).month == month]
        rows = [
            [
                local(i, zone, form),
                local(i, zone, "%H:%M"),
                local(i, zone, "%H:%M", 15),
                i.counter,
                *(i.one, i.other, i.total),
            ]
            for i in inside
        ]
        files[name] = table(header, rows)
    days = [["2023.06.01", "00:00", "23:59", c, 10, 20, 30] for c in ("Arnulf", "Olympia")]
    files["rad_2023_06_tage.csv"] = table(header, days)
    return published(munich_like_two_formats_and_days, files, zone, counted)


@shape
def status_columns() -> Published:
    zone, counted = (
        "Europe/Berlin",
        intervals("Europe/Berlin", "2024-05-20", 3, 15, ("100034978", "300037405")),
    )
    files = {}
    for counter in ("100034978", "300037405"):
        own = [i for i in counted if i.counter == counter]
        header = [
            "Datetime",
            f"{counter} (Tor)",
            f"{int(counter) + 1} (Tor einwärts)",
            f"{int(counter) + 2} (Tor auswärts)",
            f"{counter}-status",
            f"{int(counter) + 1}-status",
            f"{int(counter) + 2}-status",
        ]
        files[f"{counter}-2024-05.csv"] = table(
            header,
            [[local(i, zone, "%Y-%m-%d %H:%M"), i.total, i.one, i.other, 0, 0, 0] for i in own],
        )
    return published(status_columns, files, zone, counted)


def _total_and_directions(
    zone: str, time: str, total: str, one: str, other: str, ids: dict[str, str]
) -> tuple[str, list[Interval]]:
    counted = intervals(zone, "2024-05-20", 4, counters=tuple(ids))
    header = [time, *[text.format(place) for place in ids.values() for text in (total, one, other)]]
    rows = [
        [local(g[0], zone, ISO), *[n for i in g for n in (i.total, i.one, i.other)]]
        for g in by_time(counted)
    ]
    named = [Interval(total.format(ids[i.counter]), i.start, i.one, i.other) for i in counted]
    return table(header, rows), named


@shape
def polish_totals() -> Published:
    text, counted = _total_and_directions(
        "Europe/Warsaw",
        "Czas",
        "{} razem",
        "{} w stronę centrum",
        "{} z centrum",
        {"a": "Most Gdański", "b": "Aleje"},
    )
    return published(polish_totals, {"w.csv": text}, "Europe/Warsaw", counted)


@shape
def danish_totals() -> Published:
    text, counted = _total_and_directions(
        "Europe/Copenhagen",
        "Tidspunkt",
        "{}",
        "{} ind mod byen",
        "{} ud af byen",
        {"a": "Dronning Louises Bro", "b": "Langebro"},
    )
    return published(danish_totals, {"c.csv": text}, "Europe/Copenhagen", counted)


@shape
def spanish_totals_of_one_site() -> Published:
    zone, counted = (
        "Europe/Madrid",
        intervals("Europe/Madrid", "2024-05-20", 4, counters=("aforo",)),
    )
    rows = [[local(i, zone, "%d/%m/%Y %H:%M"), i.total, i.one, i.other] for i in counted]
    return published(
        spanish_totals_of_one_site,
        {"aforo.csv": table(["Fecha", "Total", "Entrada", "Salida"], rows)},
        zone,
        counted,
    )


@shape
def a_total_of_the_whole_city() -> Published:
    zone, counted = (
        "Europe/Vienna",
        intervals(
            "Europe/Vienna", "2024-05-20", 4, counters=("Donaukanal", "Praterstern", "Gürtel")
        ),
    )
    rows = [
        [local(g[0], zone, ISO), *[i.total for i in g], sum(i.total for i in g)]
        for g in by_time(counted)
    ]
    return published(
        a_total_of_the_whole_city,
        {"v.csv": table(["Zeit", "Donaukanal", "Praterstern", "Gürtel", "Gesamt"], rows)},
        zone,
        counted,
    )


@shape
def a_file_a_counter() -> Published:
    zone, counted = (
        "America/Montreal",
        intervals("America/Montreal", "2024-05-20", 4, counters=("007", "012")),
    )
    files = {
        f"counter/{c}_2024-05.csv": long(
            zone,
            [i for i in counted if i.counter == c],
            ["timestamp", "northbound", "southbound", "total"],
            lambda i: [local(i, zone, ISO), i.one, i.other, i.total],
        )
        for c in ("007", "012")
    }
    return published(a_file_a_counter, files, zone, counted)


@shape
def numbers_for_year_month_day_hour() -> Published:
    zone, counted = (
        "Australia/Melbourne",
        intervals("Australia/Melbourne", "2024-05-20", 4, counters=("4", "9")),
    )
    text = long(
        zone,
        counted,
        ["Sensor_ID", "Sensor_Name", "Year", "Month", "Mdate", "Hour", "Hourly_Counts"],
        lambda i: [
            i.counter,
            f"Place {i.counter}",
            *map(int, local(i, zone, "%Y %m %d %H").split()),
            f"{i.total:,}",
        ],
    )
    return published(numbers_for_year_month_day_hour, {"m.csv": text}, zone, counted)


@shape
def the_end_of_each_interval() -> Published:
    zone, counted = "Europe/Oslo", intervals("Europe/Oslo", "2024-05-20", 4, 15, ("Bro",))
    text = long(
        zone,
        counted,
        ["Punkt", "Fra", "Til", "Antall"],
        lambda i: [
            i.counter,
            local(i, zone, "%Y-%m-%dT%H:%M"),
            local(i, zone, "%Y-%m-%dT%H:%M", 15),
            i.total,
        ],
    )
    return published(the_end_of_each_interval, {"o.csv": text}, zone, counted)


@shape
def only_the_end_of_each_interval() -> Published:
    zone, counted = (
        "Europe/Helsinki",
        intervals("Europe/Helsinki", "2024-05-20", 4, counters=("Baana",)),
    )
    text = long(
        zone,
        counted,
        ["Piste", "end_time", "Count"],
        lambda i: [i.counter, local(i, zone, ISO, 60), i.total],
    )
    return published(only_the_end_of_each_interval, {"o.csv": text}, zone, counted)


@shape
def seconds_since_1970() -> Published:
    zone, counted = "Europe/Lisbon", intervals("Europe/Lisbon", "2024-05-20", 4)
    text = long(
        zone,
        counted,
        ["device", "ts", "value"],
        lambda i: [i.counter, int(i.start.timestamp()), i.total],
    )
    return published(seconds_since_1970, {"l.csv": text}, zone, counted)


@shape
def ambiguous_days_first() -> Published:
    zone, counted = "Europe/Rome", intervals("Europe/Rome", "2024-05-02", 4)
    text = wide(zone, counted, "%d/%m/%Y %H:%M", "Data")
    return published(
        ambiguous_days_first, {"r.csv": text}, zone, counted, "--date-format", "DD/MM/YYYY HH:MM"
    )


@shape
def ambiguous_months_first() -> Published:
    zone, counted = "America/Chicago", intervals("America/Chicago", "2024-05-02", 4)
    text = wide(zone, counted, "%m/%d/%Y %H:%M", "Date")
    return published(
        ambiguous_months_first, {"c.csv": text}, zone, counted, "--date-format", "MM/DD/YYYY"
    )


@shape
def a_total_among_the_directions_in_rows() -> Published:
    zone, counted = "Europe/Budapest", intervals("Europe/Budapest", "2024-05-20", 3)
    rows: list[list[object]] = []
    for i in counted:
        for way, number in (("befelé", i.one), ("kifelé", i.other), ("összesen", i.total)):
            rows.append([f"HU-{i.counter}", way, local(i, zone, "%Y.%m.%d %H:%M"), number])
    counted = [Interval(f"HU-{i.counter}", i.start, i.one, i.other) for i in counted]
    return published(
        a_total_among_the_directions_in_rows,
        {"b.csv": table(["szamlalo", "irany", "ido", "darab"], rows, ";")},
        zone,
        counted,
    )


@shape
def norwegian_lanes_and_their_total_in_rows() -> Published:
    zone, counted = "Europe/Oslo", intervals("Europe/Oslo", "2024-05-20", 3, counters=("27B", "9A"))
    rows: list[list[object]] = []
    for i in counted:
        at = i.start.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")
        for lane, number in (("1", i.one), ("2", i.other), ("Totalt", i.total)):
            rows.append([i.counter, f"Sted {i.counter}", at, at[:10], lane, number, "99,8"])
    header = ["Trafikkregistreringspunkt", "Navn", "Fra", "Dato", "Felt", "Volum", "Dekning (%)"]
    return published(
        norwegian_lanes_and_their_total_in_rows,
        {"n.csv": table(header, rows, ";").encode("cp1252")},
        zone,
        counted,
    )


@shape
def a_file_a_counter_with_a_word_before_its_number() -> Published:
    zone, counted = (
        "Europe/Madrid",
        intervals("Europe/Madrid", "2024-05-20", 3, counters=("01", "02")),
    )
    files = {
        f"aforo_{counter}.csv": table(
            ["fecha", "hora", "bicicletas"],
            [
                [local(i, zone, "%d/%m/%Y"), local(i, zone, "%H:%M"), i.total]
                for i in counted
                if i.counter == counter
            ],
        )
        for counter in ("01", "02")
    }
    return published(a_file_a_counter_with_a_word_before_its_number, files, zone, counted)


@shape
def corrected_counts_beside_the_raw_ones() -> Published:
    zone, counted = "Europe/Prague", intervals("Europe/Prague", "2024-05-20", 4)

    def row(i: Interval) -> list[object]:
        wrong = i.total > 0 and i.total % 7 == 0
        return [
            i.counter,
            local(i, zone, ISO),
            i.total * 10 if wrong else i.total,
            i.total if wrong else "",
        ]

    text = long(zone, counted, ["counter", "time", "count", "count_corrected"], row)
    return published(corrected_counts_beside_the_raw_ones, {"p.csv": text}, zone, counted)


@shape
def berlin_like_headings() -> Published:
    zone, counted = (
        "Europe/Berlin",
        intervals("Europe/Berlin", "2024-05-20", 4, counters=("02-MI-JAN-N", "03-MI-SAN-O")),
    )
    text = wide(
        zone,
        counted,
        "%d.%m.%Y %H:%M",
        "Zählstelle        Inneres Stadtgebiet",
        ";",
        "{}\n01.04.2015",
    )
    return published(berlin_like_headings, {"b.csv": text}, zone, counted)


@shape
def parquet_with_numbers_for_ids() -> Published:
    zone, counted = (
        "Europe/Paris",
        intervals("Europe/Paris", "2024-05-20", 4, counters=("17", "18")),
    )
    columns = {
        "counter_id": pa.array([int(i.counter) for i in counted]),
        "time": pa.array([i.start for i in counted], pa.timestamp("us", tz="UTC")),
        "count": pa.array([float(i.total) for i in counted]),
    }
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return published(parquet_with_numbers_for_ids, {"p.parquet": out.getvalue()}, zone, counted)


@shape
def a_workbook_with_a_sheet_a_year() -> Published:
    zone, ids = "Europe/Berlin", ("02-MI-JAN-N", "03-MI-SAN-O")
    counted = intervals(zone, "2022-12-30", 4, counters=ids)
    places: list[list[Cell]] = [
        ["Zählstelle", "Breitengrad", "Längengrad"],
        ["02-MI-JAN-N", 52.51, 13.41],
        ["03-MI-SAN-O", 52.53, 13.37],
    ]
    sheets: dict[str, list[list[Cell]]] = {
        "Legende": [["Diese Datei"], ["enthält Zählungen"]],
        "Standortdaten": places,
    }
    for year in (2022, 2023):
        header: list[Cell] = [
            "Zählstelle        Inneres Stadtgebiet",
            *[f"{c}\n01.04.2015" for c in ids],
        ]
        groups = [g for g in by_time(counted) if g[0].start.astimezone(ZoneInfo(zone)).year == year]
        rows: list[list[Cell]] = [
            [
                g[0].start.astimezone(ZoneInfo(zone)).replace(tzinfo=None),
                *[float(i.total) for i in g],
            ]
            for g in groups
        ]
        sheets[f"Jahresdatei_{year}"] = [header, *rows]
    return published(
        a_workbook_with_a_sheet_a_year, {"berlin.xlsx": spreadsheet(**sheets)}, zone, counted
    )


@shape
def unmarked_blanks_and_a_word_for_no_count() -> Published:
    zone, counted = "Europe/Vienna", intervals("Europe/Vienna", "2024-05-20", 4)
    silent = {i.start for i in counted if i.counter == "B2" and i.start.hour in (3, 4)}
    header = ["Zeit", "A1", "B2", "C3"]
    rows = [
        [
            local(g[0], zone, ISO),
            *["k.A." if i.start in silent and i.counter == "B2" else f"{i.total:,}" for i in g],
        ]
        for g in by_time(counted)
    ]
    known = [i for i in counted if not (i.counter == "B2" and i.start in silent)]
    return published(
        unmarked_blanks_and_a_word_for_no_count, {"v.csv": table(header, rows, ";")}, zone, known
    )


@shape
def stations_beside_places_that_are_written_with_commas() -> Published:
    zone, counted = (
        "Europe/Rome",
        intervals("Europe/Rome", "2024-05-20", 3, counters=("Ponte", "Piazza")),
    )
    text = long(
        zone,
        counted,
        [
            "stazione",
            "indirizzo",
            "latitudine",
            "longitudine",
            "data",
            "ora",
            "biciclette",
            "temperatura",
        ],
        lambda i: [
            i.counter,
            f"Via {i.counter}, 1",
            "44,4949",
            "11,3426",
            local(i, zone, "%d/%m/%Y"),
            local(i, zone, "%H:%M"),
            i.total,
            "21,5",
        ],
        ";",
    )
    return published(
        stations_beside_places_that_are_written_with_commas, {"i.csv": text}, zone, counted
    )


@shape
def hour_as_a_number_beside_the_date() -> Published:
    zone, counted = (
        "Europe/Madrid",
        intervals("Europe/Madrid", "2024-05-20", 3, counters=("PERM_1", "PERM_2")),
    )
    text = long(
        zone,
        counted,
        ["FECHA", "HORA", "IDENTIFICADOR", "BICICLETAS"],
        lambda i: [local(i, zone, "%d/%m/%Y"), int(local(i, zone, "%H")), i.counter, i.total],
        ";",
    )
    return published(hour_as_a_number_beside_the_date, {"madrid.csv": text}, zone, counted)


@shape
def pedestrians_in_columns_of_a_long_file() -> Published:
    zone, counted = (
        "Europe/London",
        intervals("Europe/London", "2024-05-20", 3, counters=("0012", "0013")),
    )
    header = [
        "Sensor ID",
        "Local Timestamp",
        "Cyclists In",
        "Cyclists Out",
        "Pedestrians In",
        "Pedestrians Out",
        "Total",
    ]
    text = long(
        zone,
        counted,
        header,
        lambda i: [
            i.counter,
            local(i, zone, "%Y-%m-%d %H:%M"),
            i.one,
            i.other,
            i.one + 3,
            i.other + 4,
            2 * i.total + 7,
        ],
    )
    return published(pedestrians_in_columns_of_a_long_file, {"uk.csv": text}, zone, counted)


@shape
def american_dates_with_years_of_two_digits() -> Published:
    zone, counted = (
        "America/Denver",
        intervals("America/Denver", "2023-08-20", 3, 15, ("Creek Trail", "Main St")),
    )
    text = wide(zone, counted, "%m/%d/%y %I:%M %p", "Time")
    return published(
        american_dates_with_years_of_two_digits,
        {"d.csv": "Eco-Counter export\n" + text},
        zone,
        counted,
    )


@shape
def daily_totals_of_one_counter_among_hours() -> Published:
    zone, counted = "Europe/Berlin", intervals("Europe/Berlin", "2024-05-20", 5)
    header = ["zaehlstelle", "zeit", "anzahl"]
    rows: list[list[object]] = [[i.counter, local(i, zone, ISO), i.total] for i in counted]
    rows += [["D4", f"2024-05-{day} 00:00:00", 900 + day] for day in range(20, 25)]
    text = table(header, rows)
    return published(daily_totals_of_one_counter_among_hours, {"d.csv": text}, zone, counted)


@shape
def a_column_of_daily_totals_among_hours() -> Published:
    zone, counted = "Europe/Berlin", intervals("Europe/Berlin", "2024-05-20", 5)
    rows = [
        [
            local(g[0], zone, ISO),
            *[i.total for i in g],
            900 if local(g[0], zone, "%H") == "00" else "",
        ]
        for g in by_time(counted)
    ]
    text = table(["zeit", "A1", "B2", "C3", "Rathaus"], rows)
    return published(a_column_of_daily_totals_among_hours, {"d.csv": text}, zone, counted)
