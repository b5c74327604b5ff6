"""Counts of a city from Opendatasoft's Explore API v2.1, one record per counter and hour (adapter `opendatasoft_long`).

An export that breaks off still has status 200, with an error text in its body. So an answer is only accepted once it
has as many records as the API itself counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from velocast.adapters.city_sources.opendatasoft_answers import json_lines, reset_time
from velocast.adapters.city_sources.records import (
    Count,
    CounterRecord,
    Reject,
    read_counter,
    read_record,
)
from velocast.adapters.city_sources.transport import TimeRange, literal
from velocast.adapters.http_answer import HttpAnswer
from velocast.adapters.http_source import HttpSource, Limits, SourceErrors
from velocast.core.city import City
from velocast.core.errors import CityRefused, CityTruncated, CityUnreachable
from velocast.core.schemas import COUNTS, arrow

if TYPE_CHECKING:
    import pyarrow as pa

# The function `fetch` has 540 s: 330 s for the city, 120 s for the weather, and the rest for storing. A first run reads
# 13 months, about 130 MB for Paris, in one answer.
LIMITS = Limits(answer_seconds=270.0, total_seconds=330.0)
BATCH_ROWS = 20_000


@dataclass(frozen=True)
class Harvest:
    """One complete answer.

    counts: Arrow columns counter_id, counted_at (UTC), bike_count and line (the record as it was sent), with
    duplicates. fetched: the number of records in the answer, rejects included. unknown_fields: sorted names.
    """

    counts: pa.Table
    rejects: list[Reject]
    fetched: int
    unknown_fields: list[str]


class CitySource(HttpSource):
    """Reads one city."""

    errors = SourceErrors(CityUnreachable, CityTruncated, CityRefused)
    needs = "records"
    setting = "base_url"
    purpose = "one export a day"

    def __init__(
        self,
        city: City,
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(city.name, limits or LIMITS, sleep=sleep, clock=clock)
        self.city = city

    def read_counts(self, hours: TimeRange, *, as_of: datetime) -> Harvest:
        """Read all counts of a time range; those of hours that end after `as_of` become rejects.

        The whole range is read again, up to twice, when the city fails or its answer breaks off. Raises CityUnreachable
        (no answer, 429 or 5xx), CityTruncated (fewer records than the API counts, or an answer beyond LIMITS),
        CityRefused (any other 4xx, or an answer that is not records).
        """
        return self.ask(lambda: self._read_counts(hours, as_of))

    def read_counters(self) -> list[CounterRecord]:
        """Read the counters' names, places and installation dates; records without an id are left out.

        Errors as for `read_counts`.
        """
        return self.ask(self._read_counters)

    def describe_too_many(self, answer: HttpAnswer) -> str:
        """Return the message for a 429, with the time at which the API accepts requests again."""
        return f"{answer.place}: 429, too many requests; the API takes requests again at {reset_time(answer)}"

    def _read_counts(self, hours: TimeRange, as_of: datetime) -> Harvest:
        counts = self.city.counts
        dataset, time = counts.source.dataset, counts.layout.time.columns[0]
        condition = {"where": where(time, hours)}
        expected = self._count(dataset, condition)
        fields = ",".join((counts.layout.counter.id[0], time, counts.layout.values[0].column))
        gathered = _Gathered()
        with self._export(dataset, {"select": fields, **condition}) as lines:
            for line in lines:
                gathered.add(line, read_record(line, self.city, as_of=as_of))
        if gathered.fetched < expected:
            raise CityTruncated(
                f"{self.city.name} {dataset} {hours}: {gathered.fetched} records "
                f"arrived, the API counts {expected}; fetch the window again"
            )
        return gathered.harvest()

    def _read_counters(self) -> list[CounterRecord]:
        names = self.city.counters.fields
        fields = (
            names.id[0],
            names.name,
            names.site_id,
            names.site_name,
            names.installed_on,
            names.position,
        )
        dataset = self.city.counters.source.dataset
        expected = self._count(dataset, {})
        with self._export(dataset, {"select": ",".join(fields)}) as lines:
            records = [read_counter(line, self.city) for line in lines]
        if len(records) < expected:
            raise CityTruncated(
                f"{self.city.name} {dataset}: {len(records)} records arrived, the API counts {expected}; fetch again"
            )
        return [record for record in records if record is not None]

    def _count(self, dataset: str, query: dict[str, str]) -> int:
        with self._get(dataset, "records", {"limit": "1", **query}) as response:
            answer = self.read(response)
        try:
            total = answer.json()["total_count"]
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise CityRefused(answer.unexpected("a JSON object with total_count")) from exc
        if not isinstance(total, int) or total < 0:
            raise CityRefused(answer.unexpected("a total_count of at least 0"))
        return total

    @contextmanager
    def _export(self, dataset: str, query: dict[str, str]) -> Iterator[Iterator[bytes]]:
        with self._get(dataset, "exports/jsonl", query) as response:
            if "html" in response.headers.get("content-type", ""):
                raise CityRefused(self.read(response).unexpected("JSON lines"))
            yield json_lines(self.lines(response), f"{self.city.name} {dataset}")

    @contextmanager
    def _get(self, dataset: str, endpoint: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        path = f"/api/explore/v2.1/catalog/datasets/{dataset}/{endpoint}"
        source = self.city.counts.source
        bases = (source.base_url, *source.fallback_base_urls)
        with self.opened([base.rstrip("/") + path for base in bases], query) as response:
            yield response


@dataclass
class _Gathered:
    """The records of one answer, packed into Arrow in batches, which take less memory than Python objects."""

    fetched: int = 0
    rejects: list[Reject] = field(default_factory=list)
    unknown_fields: set[str] = field(default_factory=set)
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _counts: list[tuple[str, datetime, int, bytes]] = field(default_factory=list)

    def add(self, line: bytes, record: Count | Reject) -> None:
        self.fetched += 1
        if isinstance(record, Reject):
            self.rejects.append(record)
            return
        if record.unknown_fields:
            self.unknown_fields.update(record.unknown_fields)
        self._counts.append((record.counter_id, record.counted_at, record.bike_count, line))
        if len(self._counts) >= BATCH_ROWS:
            self._pack()

    def harvest(self) -> Harvest:
        import pyarrow as pa

        self._pack()
        counts = pa.Table.from_batches(self._batches, schema=_counts_schema())
        return Harvest(counts, self.rejects, self.fetched, sorted(self.unknown_fields))

    def _pack(self) -> None:
        import pyarrow as pa

        columns: Iterable[Any] = zip(*self._counts, strict=True) if self._counts else ((),) * 4
        schema = _counts_schema()
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        self._counts.clear()


def _counts_schema() -> pa.Schema:
    import pyarrow as pa

    read = arrow(COUNTS, ("counter_id", "counted_at", "bike_count"))
    return read.append(pa.field("line", pa.large_binary()))


def where(field_name: str, hours: TimeRange) -> str:
    """Return the range as an ODSQL condition. The API reads its literals as UTC unless a time zone is asked for."""
    half = f"{field_name} < date'{literal(hours.until)}'"
    if hours.since is None:
        return half
    return f"{field_name} >= date'{literal(hours.since)}' AND {half}"
