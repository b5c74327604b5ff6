"""Finds out what a file is by looking: its kind, encoding, delimiter, line of headings, and how it writes numbers.

What a city's file says about itself (`FileFormat`) is never questioned; only what it leaves open is looked for.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from velocast.adapters.city_sources.tables.headings import find_header, is_date_like
from velocast.adapters.city_sources.tables.json_records import find_records, is_json
from velocast.adapters.city_sources.tables.unpacking import Member, members
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityRefused

HEAD_BYTES = 256_000
SAMPLE_ROWS = 400
DELIMITERS = (",", ";", "\t", "|")
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SHOWN = 80
FileKind = Literal["csv", "json_lines", "json", "parquet", "xlsx"]


def look_at_file(data: bytes | Path, place: str | None = None) -> FileFormat:
    """Return what was found in a file, or in the first of a zip. place: its name in messages, by default the path.

    Raises CityRefused for a file that is empty, an HTML page, or binary of an unknown kind, CityTruncated for a damaged
    one.
    """
    name = place or (str(data) if isinstance(data, Path) else "the data")
    return look_at(members(data, name)[0], FileFormat())


def look_at(member: Member, told: FileFormat) -> FileFormat:
    """Return the format of an unpacked file: what was told, completed by what is found. Raises as `look_at_file`."""
    head = member.head(HEAD_BYTES)
    kind = told.kind or kind_of(head, member.place)
    found: dict[str, Any] = {"kind": kind}
    if kind == "csv":
        found |= _csv_format(member, head, told)
    elif kind == "json" and told.records is None:
        with member.opened() as file:
            found["records"] = find_records(file.read(), member.place)
    elif kind == "xlsx":
        from velocast.adapters.city_sources.tables.columnar import first_rows

        header = find_header(first_rows(member, told.sheet))
        found["header_line"] = None if header is None else header + 1
    given = told.model_dump(exclude_unset=True, exclude_none=True)
    return FileFormat(**(found | given))


def kind_of(head: bytes, place: str) -> FileKind:
    """Return the kind of a file from its first bytes. Raises CityRefused."""
    text = head.decode("utf-16" if _bom(head) == "utf-16" else "utf-8", "replace")
    text = text.lstrip("\ufeff \t\r\n")
    if not text:
        raise CityRefused(f"{place}: the file is empty; needs rows of counts")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "xlsx"
    if re.match(r"<(!doctype|html|\?xml|!--)", text, re.IGNORECASE):
        raise CityRefused(
            f"{place}: an HTML or XML page instead of data: {text[:_SHOWN]!r}; get the file, not the page about it"
        )
    if "\x00" in text:
        raise CityRefused(
            f"{place}: binary data of an unknown kind; needs CSV, JSON, JSON lines, Parquet or XLSX"
        )
    if text.startswith("["):
        return "json"
    return _kind_of_object(text) if text.startswith("{") else "csv"


def _kind_of_object(text: str) -> FileKind:
    first, _, rest = text.partition("\n")
    if not is_json(first):
        return "json"
    if rest.lstrip().startswith("{"):
        return "json_lines"
    # one object: an answer with a list of records, or a single record
    return "json" if find_records(first.encode(), "", required=False) is not None else "json_lines"


def _bom(head: bytes) -> str | None:
    return next((name for mark, name in _BOMS.items() if head.startswith(mark)), None)


def _csv_format(member: Member, head: bytes, told: FileFormat) -> dict[str, Any]:
    encoding = told.encoding or _encoding(member, head)
    text = head.decode(encoding, "replace")
    if len(head) == HEAD_BYTES:
        text = text[: text.rfind("\n") + 1]
    delimiter = told.delimiter or _delimiter(text, member.place)
    rows, lines = _rows(text, delimiter)
    header = find_header(rows)
    if header is None:
        raise CityRefused(
            f"{member.place}: {delimiter!r} separates no columns in it: {text[:_SHOWN]!r}; give its delimiter"
        )
    found: dict[str, Any] = {"encoding": encoding, "delimiter": delimiter}
    found["header_line"] = lines[header]
    return found | _numbers(rows[header + 1 :], delimiter, told)


def _encoding(member: Member, head: bytes) -> str:
    """Return the encoding of a text. The whole of it is decoded, because the first umlaut may be in the last line."""
    if bom := _bom(head):
        return bom
    decoder = codecs.getincrementaldecoder("utf-8")()
    with member.opened() as file:
        try:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as exc:
            return _guessed(chunk[max(0, exc.start - 2000) : exc.start + 100_000] or chunk)
    return "utf-8"


def _guessed(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=["cp1252", "cp1250", "cp1251", "mac_roman"]).best()
    return best.encoding if best else "cp1252"


def _delimiter(text: str, place: str) -> str:
    """Return the separator that gives most rows the same number of columns, with headings that are not values."""
    best, chosen = (0.0, 0.0, 0), None
    for each in DELIMITERS:
        rows, _ = _rows(text, each)
        header = find_header(rows)
        if header is None:
            continue
        width = len(rows[header])
        filled = [row for row in rows if any(row)]
        same = sum(len(row) == width for row in filled) / len(filled)
        named = sum(not is_date_like(c) and "," not in c for c in rows[header]) / width
        if (score := (round(named, 2), round(same, 2), width)) > best:
            best, chosen = score, each
    if chosen is None:
        raise CityRefused(
            f"{place}: none of {' '.join(map(repr, DELIMITERS))} separates columns in it: {text[:_SHOWN]!r}; "
            "give its delimiter, if it is a table of counts at all"
        )
    return chosen


def _rows(text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the first rows of a text and the number of the line (from 1) on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, lines, line = [], [], 1
    try:
        for row in itertools.islice(reader, SAMPLE_ROWS):
            rows.append(row)
            lines.append(line)
            line = reader.line_num + 1
    except csv.Error:
        pass  # a quotation mark that is not closed within the sample
    return rows, lines


_DECIMAL_COMMA = re.compile(r"-?\d+,(\d{1,2}|\d{4,})|-?\d{1,3}(\.\d{3})+,\d+")
_DECIMAL_POINT = re.compile(r"-?\d+\.(\d{1,2}|\d{4,})|-?\d{1,3}(,\d{3})+\.\d+")
_GROUPS = {
    " ": re.compile(r"-?\d{1,3}([ \u00a0\u202f]\d{3})+"),
    "'": re.compile(r"-?\d{1,3}(['\u2019]\d{3})+"),
    ",": re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?"),
    ".": re.compile(r"-?\d{1,3}(\.\d{3})+(,\d+)?"),
}


def _numbers(
    rows: Sequence[Sequence[str]], delimiter: str, told: FileFormat
) -> dict[str, str | None]:
    """Return how numbers are written, where their cells leave no doubt.

    1.234 is a fraction unless something else shows that the comma marks fractions. 1,234 is a thousand only where the
    comma also separates columns, or where something else shows that the point marks fractions.
    """
    cells = {cell.strip() for row in rows for cell in row}
    found: dict[str, str | None] = {}
    comma, point = _any(_DECIMAL_COMMA, cells), _any(_DECIMAL_POINT, cells)
    decimal = told.decimal or ("." if point else "," if comma and told.thousands != "," else None)
    for mark in (" ", "'", ",", "."):
        if not _any(_GROUPS[mark], cells) or mark == decimal:
            continue
        if mark == "." and decimal != ",":
            continue
        if mark == "," and decimal is None and delimiter != ",":
            continue
        found["thousands"] = mark
    return found | ({"decimal": decimal} if decimal else {})


def _any(pattern: re.Pattern[str], cells: Iterable[str]) -> bool:
    return any(pattern.fullmatch(cell) for cell in cells)
