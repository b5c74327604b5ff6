"""A Parquet or CSV file of observed weather, with Open-Meteo's variable names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from velocast_cli.backtesting.weather_perturbation import observed


def read_weather_file(path: Path) -> pd.DataFrame:
    """Return the observations in a file in the warehouse's columns and units; see `weather_perturbation.observed`.

    Raises ValueError, naming the file, when a column is missing or an hour is repeated.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{path}: ends in {path.suffix!r}, expected .parquet or .csv")
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    try:
        return observed(rows)
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
