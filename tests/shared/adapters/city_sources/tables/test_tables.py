"""Files of every kind as tables: what is found by looking, what is read, and what is said of other files."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from velocast.adapters.city_sources.tables import csv_rows, json_records, look_at_file, read_tables
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityError, CityRefused, CityTruncated

ROWS = [["2024-01-01 00:00", "3"], ["2024-01-01 01:00", "4"]]
TEXT = "time,bridge\n2024-01-01 00:00,3\n2024-01-01 01:00,4\n"


def read(data: bytes | Path, **told: Any) -> list[list[Any]]:
    """Return the headings and the rows of all tables."""
    tables = list(read_tables(data, "city.csv", FileFormat(**told)))
    assert len({tuple(table.rows.columns) for table in tables}) == 1
    rows = [row for table in tables for row in table.rows.astype(object).to_numpy().tolist()]
    return [list(tables[0].rows.columns), *rows]


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, body in members.items():
            file.writestr(name.replace("__", "."), body)
    return out.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiter(self, delimiter: str) -> None:
        text = TEXT.replace(",", delimiter)

        assert look_at_file(text.encode()).delimiter == delimiter
        assert read(text.encode()) == [["time", "bridge"], *ROWS]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_encoding(self, encoding: str) -> None:
        body = "Zeit;Gänsemarkt Süd;Königstraße\n2024-01-01 00:00;3;4\n"

        assert read(body.encode(encoding))[0] == ["Zeit", "Gänsemarkt Süd", "Königstraße"]

    def test_an_umlaut_far_below_tells_the_encoding_too(self) -> None:
        lines = "".join(f"2024-01-01 {n % 24:02}:00;3;fine weather\n" for n in range(20_000))
        body = f"time;bridge;remark\n{lines}2024-02-01 00:00;3;Schnee auf der Brücke\n"
        assert len(lines) > 512_000

        assert read(body.encode("cp1252"))[-1][-1] == "Schnee auf der Brücke"

    def test_a_wrong_encoding_is_named(self) -> None:
        with pytest.raises(CityRefused, match=r"city.csv: not in the encoding utf-8: .*b'\\xe4'"):
            read("time;Gänse\n2024-01-01 00:00;3\n".encode("cp1252"), encoding="utf-8")

    @pytest.mark.parametrize(
        "titles",
        [
            "Bike counts of Testville\n",
            "Bike counts;\n\nExported;today\n",
            '"A title; with\na break";\n',
        ],
    )
    def test_titles_above_the_headings(self, titles: str) -> None:
        text = titles + "time;bridge\n" + "".join(";".join(row) + "\n" for row in ROWS)

        assert read(text.encode()) == [["time", "bridge"], *ROWS]
        assert look_at_file(text.encode()).header_line == 1 + titles.count("\n")

    def test_headings(self) -> None:
        text = ',"01\nBridge  North",Quay,Quay\n2024-01-01 00:00,1,2,3\n'

        assert read(text.encode())[0] == ["column 1", "01 Bridge North", "Quay", "Quay (2)"]

    @pytest.mark.parametrize(
        ("cells", "decimal", "thousands"),
        [
            ("3;4", None, None),
            ("3,5;4", ",", None),
            ("3.5;4", ".", None),
            ("1.234,5;4", ",", "."),
            ("1,234.5;4", ".", ","),
            ("1.234;3,5", ",", "."),
            ("1.234;4", None, None),
            ("1,234;4", None, None),
            ("1 234;4", None, " "),
            ("1'234;4", None, "'"),
        ],
    )
    def test_numbers(self, cells: str, decimal: str | None, thousands: str | None) -> None:
        found = look_at_file(f"time;a;b\n2024-01-01 00:00;{cells}\n".encode())

        assert (found.decimal, found.thousands) == (decimal, thousands)

    def test_rows_of_other_lengths(self) -> None:
        text = (
            "time,a,b\n2024-01-01 00:00,1\n\n2024-01-01 01:00,1,2,,\n2024-01-01 02:00,1,2,3\n,,\n"
        )
        text += "2024-01-01 03:00,1,2\n"

        (table,) = read_tables(text.encode(), "x", FileFormat())

        assert table.rows.isna().sum().sum() == 1
        assert len(table.rows) == 3
        assert [(r.reason, r.text) for r in table.unreadable] == [
            ("not_a_record", "2024-01-01 02:00,1,2,3")
        ]

    def test_rows_keep_their_text(self) -> None:
        text = 'time,bridge\r\n2024-01-01 00:00,"3"\r\n"2024-01-01\n01:00",4'

        (table,) = read_tables(text.encode(), "x", FileFormat())

        assert table.texts == [b'2024-01-01 00:00,"3"', b'"2024-01-01\n01:00",4']

    def test_what_is_told_holds(self) -> None:
        text = "about;this,file\ntime;a,b\n2024-01-01 00:00;1,2\n"

        assert read(text.encode(), delimiter=",", header_line=1)[0] == ["about;this", "file"]
        assert read(text.encode(), delimiter=";", header_line=2)[0] == ["time", "a,b"]

    def test_in_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv_rows, "CHUNK_CELLS", 4)
        text = "time,bridge\n" + "".join(f"2024-01-01 {n:02}:00,{n}\n" for n in range(5))

        tables = list(read_tables(text.encode(), "x", FileFormat()))

        assert [len(table.rows) for table in tables] == [2, 2, 1]


class TestJson:
    RECORDS = [{"id": "a", "n": 1}, {"id": "b", "n": None}]  # noqa: RUF012

    @pytest.mark.parametrize("path", ["", "results", "result.records"])
    def test_document(self, path: str) -> None:
        document: Any = self.RECORDS
        for key in reversed(path.split(".") if path else []):
            document = {"total": 2, key: document}
        body = json.dumps(document).encode()

        assert look_at_file(body).records == path
        assert read(body) == [["id", "n"], ["a", 1], ["b", None]]

    def test_features(self) -> None:
        point = {"type": "Point", "coordinates": [7.6, 51.9]}
        feature = {"type": "Feature", "properties": {"id": "a"}, "geometry": point}
        body = json.dumps({"type": "FeatureCollection", "features": [feature]}, indent=1).encode()

        assert read(body) == [["id", "geometry"], ["a", point]]

    def test_lines(self) -> None:
        body = b'{"id": "a", "at": "2024-01-01T00:00:00"}\n\n{"id": "b"}\n'

        assert look_at_file(body).kind == "json_lines"
        (table,) = read_tables(body, "x", FileFormat())
        assert table.rows["at"].tolist()[0] == "2024-01-01T00:00:00"  # as it was sent
        assert table.texts == [b'{"id": "a", "at": "2024-01-01T00:00:00"}', b'{"id": "b"}']

    def test_one_line_that_is_no_record_does_not_harm_the_others(self) -> None:
        lines = [
            b'{"id": "a", "n": 1}',
            b"oops",
            b"[1]",
            b"null",
            b'{"id": 7, "n": "2"}',
            b'{"n": NaN}',
        ]

        (table,) = json_records.tables_of_lines(lines, "x")

        assert table.rows.to_dict("list") == {"id": ["a", 7], "n": [1, "2"]}
        assert [(r.reason, r.text) for r in table.unreadable] == [
            ("not_json", "oops"),
            ("not_a_record", "[1]"),
            ("not_a_record", "null"),
            ("not_json", '{"n": NaN}'),
        ]

    @pytest.mark.parametrize("body", [b'[{"id": "a"}', b'{"results": [{"id": "a"'])
    def test_a_document_that_breaks_off(self, body: bytes) -> None:
        with pytest.raises(CityTruncated, match=r"city.csv: the JSON document broke off"):
            read(body)

    def test_a_document_without_records(self) -> None:
        with pytest.raises(CityRefused, match=r"city.csv: no list of records"):
            read(b'{"message": "too many requests"}', kind="json")


class TestColumnar:
    def test_parquet(self) -> None:
        frame = pd.DataFrame(
            {
                "id": pd.Categorical(["a", "b"]),
                "at": pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True),
                "n": [1, 2],
            }
        )

        (table,) = read_tables(parquet(frame), "x", FileFormat())

        assert look_at_file(parquet(frame)).kind == "parquet"
        assert table.rows["id"].tolist() == ["a", "b"]
        assert table.rows["at"].tolist()[0] == pd.Timestamp("2024-01-01", tz="UTC")
        assert table.rows["n"].tolist() == [1, 2]

    def test_parquet_that_breaks_off(self) -> None:
        body = parquet(pd.DataFrame({"a": range(1000)}))

        with pytest.raises(
            CityTruncated, match=r"city.csv: the Parquet file is damaged or broke off"
        ):
            read(body[:-100])


class TestPacked:
    @pytest.mark.parametrize(
        "body",
        [
            gzip.compress(TEXT.encode()),
            zipped(counts__csv=TEXT.encode(), readme__txt=b"Hello, reader", notes__pdf=b"%PDF"),
            zipped(counts__csv__gz=gzip.compress(TEXT.encode())),
            gzip.compress(zipped(counts__csv=TEXT.encode())),
        ],
        ids=["gz", "zip", "gz in zip", "zip in gz"],
    )
    def test_unpacked(self, body: bytes, tmp_path: Path) -> None:
        path = tmp_path / "a file with any name.bin"
        path.write_bytes(body)

        assert read(body) == [["time", "bridge"], *ROWS]
        assert read(path) == [["time", "bridge"], *ROWS]

    def test_all_files_of_a_zip_in_the_order_of_their_names(self) -> None:
        body = zipped(
            b__csv=b"time,b\n2024-01-02 00:00,2\n", a__csv=b"time,b\n2024-01-01 00:00,1\n"
        )

        tables = list(read_tables(body, "all.zip", FileFormat()))

        assert [(t.place, t.rows["b"].tolist()) for t in tables] == [
            ("all.zip/a.csv", ["1"]),
            ("all.zip/b.csv", ["2"]),
        ]

    @pytest.mark.parametrize(
        "body",
        [gzip.compress(TEXT.encode() * 2000)[:-60], zipped(a__csv=TEXT.encode() * 2000)[:-40]],
    )
    def test_broken_off(self, body: bytes) -> None:
        with pytest.raises(
            CityTruncated, match=r"city.csv: the packed file is damaged or broke off"
        ):
            read(body)

    def test_no_data_in_it(self) -> None:
        with pytest.raises(CityRefused, match=r"the zip holds no data file, but notes.pdf"):
            read(zipped(notes__pdf=b"%PDF"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "city.csv: the file is empty"),
        (b" \n\n", "city.csv: the file is empty"),
        (b"<!DOCTYPE html><html>", "city.csv: an HTML or XML page instead of data"),
        (b"\xef\xbb\xbf\n <html lang=fr>", "city.csv: an HTML or XML page instead of data"),
        (b"just some words\nand some more\n", "city.csv: none of .* separates columns"),
        (b"\x7fELF\x00\x00\x00", "city.csv: binary data of an unknown kind"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(body: bytes, message: str) -> None:
    with pytest.raises(CityError, match=message):
        read(body)


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(parquet(pd.DataFrame({"a": [1]})))

    assert look_at_file(path).kind == "parquet"
