"""Parquet and spreadsheets as tables: cells are values of their own types."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from velocast.adapters.city_sources.tables.headings import find_header, usable_names
from velocast.adapters.city_sources.tables.unpacking import Member
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityRefused, CityTruncated

CHUNK_ROWS = 50_000
HEADER_ROWS = 60  # the headings are looked for in these


def parquet_tables(member: Member) -> Iterator[RawTable]:
    """Give the rows of a Parquet file. Raises CityTruncated for a file that breaks off."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    integers = {kind: pd.Int64Dtype() for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())}
    with member.opened() as raw:
        try:
            for batch in parquet.ParquetFile(_seekable(raw)).iter_batches(CHUNK_ROWS):
                table = pa.Table.from_batches([batch])
                for position, field in enumerate(table.schema):
                    if pa.types.is_dictionary(field.type):
                        plain = table.column(position).cast(field.type.value_type)
                        table = table.set_column(position, field.name, plain)
                rows = table.replace_schema_metadata(None).to_pandas(types_mapper=integers.get)
                yield RawTable(rows, member.place)
        except pa.ArrowException as exc:
            raise CityTruncated(
                f"{member.place}: the Parquet file is damaged or broke off: {exc}; get it again"
            ) from exc


def xlsx_tables(member: Member, file: FileFormat) -> Iterator[RawTable]:
    """Give the rows of a workbook's chosen sheets. Raises as `sheets`, and CityRefused for a sheet without headings."""
    import pandas as pd

    for name, rows in sheets(member, file.sheet):
        place = f"{member.place}#{name}"
        header = file.header_line - 1 if file.header_line else find_header(rows[:HEADER_ROWS])
        if header is None or header >= len(rows):
            raise CityRefused(
                f"{place}: no row of headings was found; give `header_line`, or `sheet` for another sheet"
            )
        names = usable_names(rows[header])
        for start in range(header + 1, len(rows), CHUNK_ROWS):
            cells = [
                row for row in rows[start : start + CHUNK_ROWS] if any(c is not None for c in row)
            ]
            columns = zip(*cells, strict=True) if cells else [()] * len(names)
            frame = pd.DataFrame(
                {n: pd.Series(list(c), dtype=object) for n, c in zip(names, columns, strict=True)}
            )
            yield RawTable(frame, place)


def sheets(member: Member, pattern: str | None) -> Iterator[tuple[str, list[list[Any]]]]:
    """Give the chosen sheets of a workbook: name and rows, where an empty cell is None.

    pattern: regular expression of the sheets' names; None for the first. Raises CityTruncated for a damaged workbook,
    CityRefused where no sheet is chosen.
    """
    import python_calamine

    with member.opened() as raw:
        try:
            book = python_calamine.CalamineWorkbook.from_filelike(_seekable(raw))
            names = book.sheet_names
            chosen = names[:1] if pattern is None else [n for n in names if re.search(pattern, n)]
            if not chosen:
                raise CityRefused(
                    f"{member.place}: no sheet matches {pattern!r}; its sheets are {', '.join(names)}"
                )
            for name in chosen:
                cells = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                yield name, [[None if cell == "" else cell for cell in row] for row in cells]
        except (python_calamine.CalamineError, OSError) as exc:
            raise CityTruncated(
                f"{member.place}: the workbook is damaged or broke off: {exc}; get it again"
            ) from exc


def first_rows(member: Member, pattern: str | None) -> list[list[Any]]:
    """Return the first rows of the first chosen sheet."""
    _, rows = next(iter(sheets(member, pattern)))
    return list(itertools.islice(rows, HEADER_ROWS))


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if file.seekable() else io.BytesIO(file.read())
