"""A difference between two runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from velocast_local.soak.evidence import Row


@dataclass(frozen=True)
class Difference:
    """Where two runs differ. because: the fault that explains it, None when none does."""

    what: str
    because: str | None


def differing_keys(clean: dict[Row, Row], faulty: dict[Row, Row]) -> list[Row]:
    """Return the keys whose values differ, or that only one run has."""
    keys: Iterable[Any] = clean.keys() | faulty.keys()
    return sorted((k for k in keys if clean.get(k) != faulty.get(k)), key=str)
