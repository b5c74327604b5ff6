"""The files that a person names: single ones, folders, and the tables in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from velocast.adapters.city_sources.tables import look_at_file, read_tables
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city.reading import FileFormat
from velocast.core.errors import CityRefused, CityTruncated

SUFFIXES = (
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".jsonl",
    ".ndjson",
    ".geojson",
    ".parquet",
    ".xlsx",
    ".xls",
    ".zip",
    ".gz",
)


class NoFiles(ValueError):
    """A folder without a file that could hold counts."""


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files named, and those in folders named, sorted. Raises NoFiles, FileNotFoundError."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such file or folder")
        found += _inside(path) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def _inside(folder: Path) -> list[Path]:
    files = sorted(
        p
        for p in folder.rglob("*")
        if p.is_file()
        and p.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )
    if not files:
        raise NoFiles(f"{folder}: no file in it ends with {', '.join(SUFFIXES)}")
    return files


def tables_of(
    files: Sequence[Path], formats: FileFormat, aside: dict[str, str]
) -> Iterator[RawTable]:
    """Give the tables of all files, all sheets of a workbook. A file or sheet that is no table is noted in `aside`.

    Raises CityRefused, CityTruncated where the only file cannot be read.
    """
    for path in files:
        sheets = _sheets(path)
        for sheet in sheets or (None,):
            place = str(path) if sheet is None else f"{path}#{sheet}"
            told = formats
            if sheet is not None:
                told = formats.model_copy(update={"sheet": f"^{re.escape(sheet)}$"})
            try:
                yield from read_tables(path, str(path), told)
            except (CityRefused, CityTruncated) as exc:
                if len(files) == 1 and len(sheets) < 2:
                    raise
                aside[place] = str(exc).removeprefix(f"{place}: ")


def _sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets; none for any other file."""
    if path.suffix.lower() not in (".xlsx", ".xls"):
        return []
    import python_calamine

    try:
        return list(python_calamine.CalamineWorkbook.from_path(str(path)).sheet_names)
    except (python_calamine.CalamineError, OSError):
        return []  # reading it will say what is wrong


def look_at_all(files: Sequence[Path]) -> list[FileFormat]:
    """Return the format of each file that can be read."""
    found = []
    for path in files:
        try:
            found.append(look_at_file(path))
        except (CityRefused, CityTruncated):
            continue
    return found
