"""CSV as tables: rows of texts with the lines they were, in pieces."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from velocast.adapters.city_sources.records import Reject
from velocast.adapters.city_sources.tables.headings import usable_names
from velocast.adapters.city_sources.tables.unpacking import Member
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityRefused

if TYPE_CHECKING:
    import pandas as pd

CHUNK_CELLS = 1_000_000
FIELD_CHARACTERS = 1_000_000


def csv_tables(member: Member, file: FileFormat) -> Iterator[RawTable]:
    """Give the rows of a CSV. file: complete, as `looking.look_at` returns it.

    A row with fewer cells than headings is filled up with None; one with more becomes a reject, unless those are empty.
    Raises CityRefused for a text that is not in its encoding or without headings.
    """
    csv.field_size_limit(FIELD_CHARACTERS)
    with member.opened() as raw:
        text = io.TextIOWrapper(raw, encoding=file.encoding or "utf-8", newline="")
        try:
            yield from _tables(text, member.place, file)
        except UnicodeDecodeError as exc:
            raise CityRefused(
                f"{member.place}: not in the encoding {file.encoding}: {exc.reason} {exc.object[exc.start : exc.end]!r}"
                "; correct `encoding` of the file, or leave it out"
            ) from exc
        except csv.Error as exc:
            raise CityRefused(f"{member.place}: no CSV: {exc}") from exc


class _Recorded:
    """Lines of a text, remembering those taken since the last call of `take`."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def take(self) -> str:
        taken = self._taken[0] if len(self._taken) == 1 else "".join(self._taken)
        self._taken.clear()
        return taken.rstrip("\r\n")


def _tables(text: Iterator[str], place: str, file: FileFormat) -> Iterator[RawTable]:
    for _ in itertools.islice(text, (file.header_line or 1) - 1):
        pass
    lines = _Recorded(text)
    reader = csv.reader(lines, delimiter=file.delimiter or ",")
    names = usable_names(next(reader, []))
    lines.take()
    if not names:
        raise CityRefused(f"{place}: no headings on line {file.header_line}; correct `header_line`")
    size = max(1, CHUNK_CELLS // len(names))
    while (chunk := _chunk(itertools.islice(reader, size), lines, len(names))) is not None:
        rows, texts, bad = chunk
        yield RawTable(_frame(rows, names), place, texts, tuple(bad))


def _chunk(
    reader: Iterator[list[str]], lines: _Recorded, width: int
) -> tuple[list[list[str | None]], list[bytes], list[Reject]] | None:
    rows: list[list[str | None]] = []
    texts: list[bytes] = []
    bad: list[Reject] = []
    read = 0
    for row in reader:
        read += 1
        line = lines.take()
        if len(row) > width and not any(cell.strip() for cell in row[width:]):
            row = row[:width]
        if not any(row):
            continue
        if len(row) > width:
            bad.append(Reject("not_a_record", line))
            continue
        rows.append([*row, *[None] * (width - len(row))])
        texts.append(line.encode("utf-8", "surrogatepass"))
    return (rows, texts, bad) if read else None


def _frame(rows: list[list[str | None]], names: list[str]) -> pd.DataFrame:
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    arrays = [pa.array(column, pa.string()) for column in columns]
    frame: pd.DataFrame = pa.table(arrays, names=names).to_pandas()
    return frame
