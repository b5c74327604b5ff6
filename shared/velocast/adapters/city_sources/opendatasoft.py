"""The city's open-data API: Opendatasoft Explore API v2.1, one record a counter and hour (adapter `opendatasoft_long`).

An export that breaks off is a 200 with an error text in its body, so nothing is believed before as many records have
arrived as the API itself counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from velocast.adapters.city_sources.opendatasoft_answers import (
    TooManyRequests,
    failure,
    json_lines,
    unexpected,
)
from velocast.adapters.city_sources.records import (
    Count,
    CounterRecord,
    Reject,
    read_counter,
    read_record,
)
from velocast.core.city import City
from velocast.core.errors import CityError, CityRefused, CityTruncated, CityUnreachable
from velocast.core.telemetry import log

if TYPE_CHECKING:
    import pyarrow as pa

USER_AGENT = "velocast (+https://github.com/velocast/velocast; one export a day)"
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
RETRY_SECONDS = (1.0, 4.0)  # pauses between the tries of a whole window
BATCH_ROWS = 20_000

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Window:
    """Hours from `since` (None: from the first) up to, not including, `until`; aware."""

    since: datetime | None
    until: datetime

    def where(self, field_name: str) -> str:
        """Write the window in ODSQL. Literals are UTC, as the API reads them when no timezone is asked for."""
        half = f"{field_name} < date'{_literal(self.until)}'"
        if self.since is None:
            return half
        return f"{field_name} >= date'{_literal(self.since)}' AND {half}"

    def __str__(self) -> str:
        since = "the first" if self.since is None else _literal(self.since)
        return f"{since}..{_literal(self.until)}"


@dataclass(frozen=True)
class Harvest:
    """One complete answer.

    counts: Arrow columns counter_id, counted_at (UTC), bike_count and line (the record's own text), duplicates
    included. fetched: records in the answer, counts and rejects alike.
    """

    counts: pa.Table
    rejects: list[Reject]
    fetched: int
    unknown_fields: list[str]


class CitySource:
    """Reads one city; leave it by `with`, which closes its connections. `pause` waits so many seconds."""

    def __init__(
        self,
        city: City,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.city = city
        self._client = httpx.Client(
            timeout=TIMEOUT, headers={"User-Agent": USER_AGENT}, follow_redirects=True
        )
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read_counts(self, window: Window, *, as_of: datetime) -> Harvest:
        """Read all counts of a window, hours that `as_of` has not seen the end of being rejected.

        The whole window is tried again, twice, when the city fails or breaks off. Raises CityUnreachable (no answer,
        429, 5xx), CityTruncated (fewer records than the API counts), CityRefused (4xx, or no records at all).
        """
        return self._persistently(lambda: self._read_counts(window, as_of))

    def read_counters(self) -> list[CounterRecord]:
        """Read the counters' names, places and installation dates; records without an id are left out.

        Errors as `read_counts`.
        """
        return self._persistently(self._read_counters)

    def _read_counts(self, window: Window, as_of: datetime) -> Harvest:
        names = self.city.fields
        where = {"where": window.where(names.counted_at)}
        expected = self._count(self.city.counts_dataset, where)
        fields = ",".join((names.counter_id, names.counted_at, names.bike_count))
        gathered = _Gathered()
        with self._export(self.city.counts_dataset, {"select": fields, **where}) as lines:
            for line in lines:
                gathered.add(line, read_record(line, self.city, as_of=as_of))
        if gathered.fetched < expected:
            raise CityTruncated(
                f"{self.city.name} {self.city.counts_dataset} {window}: {gathered.fetched} records "
                f"arrived, the API counts {expected}; fetch the window again"
            )
        return gathered.harvest()

    def _read_counters(self) -> list[CounterRecord]:
        names = self.city.fields
        fields = (
            names.counter_id,
            names.counter_name,
            names.site_id,
            names.site_name,
            names.installed_on,
            names.position,
        )
        dataset = self.city.counters_dataset
        expected = self._count(dataset, {})
        with self._export(dataset, {"select": ",".join(fields)}) as lines:
            records = [read_counter(line, self.city) for line in lines]
        if len(records) < expected:
            raise CityTruncated(
                f"{self.city.name} {dataset}: {len(records)} records arrived, the API counts {expected}"
            )
        return [record for record in records if record is not None]

    def _count(self, dataset: str, where: dict[str, str]) -> int:
        with self._get(dataset, "records", {"limit": "1", **where}) as answer:
            answer.read()
            try:
                total = answer.json()["total_count"]
            except (ValueError, KeyError, TypeError) as exc:
                raise CityRefused(unexpected(answer, "a JSON object with total_count")) from exc
        if not isinstance(total, int) or total < 0:
            raise CityRefused(unexpected(answer, "a total_count of at least 0"))
        return total

    @contextmanager
    def _export(self, dataset: str, query: dict[str, str]) -> Iterator[Iterator[bytes]]:
        with self._get(dataset, "exports/jsonl", query) as answer:
            if "html" in answer.headers.get("content-type", ""):
                answer.read()
                raise CityRefused(unexpected(answer, "JSON lines"))
            yield json_lines(answer.iter_bytes(), f"{self.city.name} {dataset}")

    @contextmanager
    def _get(self, dataset: str, endpoint: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        path = f"/api/explore/v2.1/catalog/datasets/{dataset}/{endpoint}"
        with self._opened(path, query) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise failure(answer)
            try:
                yield answer
            except httpx.TransportError as exc:
                raise CityTruncated(f"{answer.url}: the answer broke off: {exc!r}") from exc

    @contextmanager
    def _opened(self, path: str, query: dict[str, str]) -> Iterator[httpx.Response]:
        """Ask the first address that can be connected to. Another one is tried for no other reason."""
        refusals = []
        for base in (self.city.base_url, *self.city.fallback_base_urls):
            request = self._client.build_request("GET", base.rstrip("/") + path, params=query)
            try:
                answer = self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
                refusals.append(f"{base}: {exc}")
                continue
            except httpx.TransportError as exc:
                raise CityUnreachable(f"{request.url}: no answer: {exc!r}") from exc
            try:
                yield answer
            finally:
                answer.close()
            return
        raise CityUnreachable(
            f"{self.city.name}: none of its addresses can be connected to: {'; '.join(refusals)}; "
            "check base_url in its file under cities/"
        )

    def _persistently(self, ask: Callable[[], AnswerT]) -> AnswerT:
        for pause in RETRY_SECONDS:
            try:
                return ask()
            except TooManyRequests:
                raise
            except CityError as exc:
                if not exc.retryable:
                    raise
                log("WARNING", f"asking the city again in {pause:g} s: {exc}", code=exc.code)
                self._pause(pause)
        return ask()


@dataclass
class _Gathered:
    """Records of one answer, packed into Arrow batch by batch so that their Python objects do not pile up."""

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

    return pa.schema(
        [
            ("counter_id", pa.string()),
            ("counted_at", pa.timestamp("us", tz="UTC")),
            ("bike_count", pa.int64()),
            ("line", pa.large_binary()),
        ]
    )


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
