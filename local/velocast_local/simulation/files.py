"""Write a synthetic city's counts or weather to a file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write_city(rows: pd.DataFrame, out: Path) -> None:
    """Write counts or weather to a .parquet or .csv file. Raises ValueError for another suffix."""
    if out.suffix == ".parquet":
        rows.to_parquet(out, index=False)
    elif out.suffix == ".csv":
        rows.to_csv(out, index=False, date_format="%Y-%m-%dT%H:%M:%S+00:00")
    else:
        raise ValueError(f"{out}: ends in {out.suffix!r}, expected .parquet or .csv")
