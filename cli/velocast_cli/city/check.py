"""Read counts with a city's description, exactly as they would be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from velocast.core.city import City
from velocast_cli.city.files import files_of
from velocast_cli.city.summary import Summary, summarize

STORED = ("counter_id", "counted_at", "bike_count", "quality")


@dataclass(frozen=True)
class Checked:
    """The hours as they would be stored (columns STORED), and their figures."""

    stored: pd.DataFrame
    summary: Summary


def check_files(
    city: City, paths: Sequence[Path], *, as_of: datetime, aside: dict[str, str] | None = None
) -> Checked:
    """Read all of the files. aside: files that are known to hold no counts. Raises CityRefused, CityTruncated, OSError."""
    raise NotImplementedError
