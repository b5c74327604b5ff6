"""What is read of a city besides counts: counters, and records that cannot be stored."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

REASONS = (
    "not_json",
    "not_a_record",
    "missing_id",
    "unreadable_id",
    "missing_count",
    "unreadable_count",
    "negative_count",
    "fractional_count",
    "absurd_count",
    "missing_time",
    "unreadable_time",
    "absurd_time",
    "not_on_the_hour",
    "not_on_the_step",
    "nonexistent_hour",
    "future_hour",
    "conflicting_duplicate",
)


class Reject(NamedTuple):
    """A rejected record: one of REASONS, and its original text."""

    reason: str
    text: str


class CounterRecord(NamedTuple):
    """What a city publishes about a counter. A field is None if it is missing or cannot be parsed."""

    counter_id: str
    counter_name: str | None
    site_id: str | None
    site_name: str | None
    installed_on: date | None
    latitude: float | None
    longitude: float | None
    outside_city: bool = False
