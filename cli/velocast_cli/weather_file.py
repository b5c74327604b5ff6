"""A Parquet or CSV file of observed weather, under Open-Meteo's names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from velocast_cli.backtesting.weather_perturbation import observed


def read_weather_file(path: Path) -> pd.DataFrame:
    """Return the observations in a file as the warehouse would have them; see `weather_perturbation.observed`.

    Raises ValueError, naming the file, when a column is missing or an hour comes twice.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{path}: ends in {path.suffix!r}, needs .parquet or .csv")
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    try:
        return observed(rows)
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
