"""stand-in"""
from __future__ import annotations
from collections.abc import Iterator
from pathlib import Path
import pandas as pd
from velocast.adapters.city_sources.transport import RawTable
from velocast.core.city.reading import FileFormat
def read_tables(content: bytes | Path, place: str, file: FileFormat) -> Iterator[RawTable]:
    yield RawTable(pd.read_csv(content, dtype=str), place)
