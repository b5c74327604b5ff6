"""Gives the tables of a file, whatever kind it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from velocast.adapters.city_sources.tables.columnar import parquet_tables, xlsx_tables
from velocast.adapters.city_sources.tables.csv_rows import csv_tables
from velocast.adapters.city_sources.tables.json_records import tables_of_document, tables_of_lines
from velocast.adapters.city_sources.tables.looking import look_at
from velocast.adapters.city_sources.tables.unpacking import Member, members
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city.reading import FileFormat


def read_tables(data: bytes | Path, place: str, file: FileFormat) -> Iterator[RawTable]:
    """Give the rows of a file in pieces, all members of a zip one after the other.

    data: the file's bytes or path. place: its address or path, for messages and for counters that are named only there.
    file: what is known about it; the rest is found by looking. Only a piece is in memory at a time, but for JSON
    documents and spreadsheets. Raises CityRefused (empty, HTML, not what `file` says), CityTruncated (damaged).
    """
    for member in members(data, place):
        found = look_at(member, file)
        for table in _tables(member, found):
            yield replace(table, file=found)


def _tables(member: Member, file: FileFormat) -> Iterator[RawTable]:
    if file.kind == "csv":
        yield from csv_tables(member, file)
    elif file.kind == "json_lines":
        with member.opened() as lines:
            yield from tables_of_lines(lines, member.place)
    elif file.kind == "json":
        with member.opened() as raw:
            body = raw.read()
        yield from tables_of_document(body, member.place, file.records)
    elif file.kind == "parquet":
        yield from parquet_tables(member)
    else:
        yield from xlsx_tables(member, file)
