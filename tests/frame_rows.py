"""Iterates over the rows of a frame for tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd


def named_rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield each row as a named tuple. The rows are Any, because pandas-stubs allows any scalar in any column."""
    yield from frame.itertuples()
