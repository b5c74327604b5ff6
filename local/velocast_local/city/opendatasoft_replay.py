"""Opendatasoft's Explore API v2.1, replayed from a file of counts at the simulated time.

It follows the vendor's specification for the part that Velocast uses. Any other request is answered with 400, as by the
real API, never with a guess. POST /city/faults takes the fields of `Faults` (and `publication_delay_hours`) and injects
these faults from then on, instead of those before, of which it answers how many `times` are left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from velocast.core.city import City, load_city
from velocast.core.city.sources import Opendatasoft
from velocast.core.datetimes import local_date, start_of_local_day
from velocast_local.city.odsql import (
    BY_DAY,
    TOTALS,
    ExploreApiError,
    group_limit,
    order_of,
    page_of,
    selected,
    time_range,
)
from velocast_local.city.replayed_counts import CityFile

CHUNK_BYTES = 512 * 1024
INTERRUPTED = b"Streaming interrupted due to the following error: the search node went away"
CORRECTION_DELAY = timedelta(days=3)

FaultKind = Literal["truncated", "disconnected", "html", "unavailable", "too_many_requests"]


@dataclass
class Faults:
    """Faults to inject: the next `times` responses suffer `kind`, later ones are normal (-1: until cleared)."""

    kind: FaultKind | None = None
    times: int = -1
    endpoints: tuple[str, ...] = ("records", "exports")
    datasets: tuple[str, ...] = ("counts", "counters")
    reset_time: str = "2030-01-01T00:00:00Z"
    extra_lines: list[str] = field(default_factory=list)
    counters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def strike(self, dataset: str, endpoint: str) -> FaultKind | None:
        """Return the fault that this response suffers, and count it."""
        if (
            not self.kind
            or not self.times
            or dataset not in self.datasets
            or endpoint not in self.endpoints
        ):
            return None
        self.times -= 1
        return self.kind


class Replay:
    """One city's file, replayed at the simulated time.

    clock_now: returns the simulated time, aware. publication_delay: time from local midnight until a day's counts
    appear. corrections: about 1 in 2,000 values is first published with an error and corrected three days later.
    """

    def __init__(
        self,
        path: Path,
        clock_now: Callable[[], datetime],
        *,
        city: City | None = None,
        publication_delay: timedelta = timedelta(0),
        corrections: bool = False,
    ) -> None:
        self.city = city or load_city("demoville")
        self.file = CityFile(path)
        self.clock_now = clock_now
        self.publication_delay = publication_delay
        self.corrections = corrections
        self.faults = Faults()

    @property
    def first(self) -> datetime:
        """Oldest hour in the file (UTC)."""
        return self.file.first

    @property
    def last(self) -> datetime:
        """Newest hour in the file (UTC)."""
        return self.file.last

    def published_until(self) -> datetime:
        """Return the end (exclusive, UTC) of the published counts: complete local days only."""
        seen = self.clock_now() - self.publication_delay
        return start_of_local_day(local_date(seen, self.city.zone), self.city.zone)

    def rows(self, since: datetime | None, until: datetime | None) -> slice:
        """Return the published rows of a half-open time range, as a slice of the file."""
        end = self.published_until()
        return self.file.between(since, end if until is None else min(until, end))

    def lines(self, rows: slice | np.ndarray[Any, Any], names: tuple[str, ...] | None) -> bytes:
        """Encode rows of counts as JSON lines with the values known at the simulated time."""
        before = self.clock_now() - CORRECTION_DELAY if self.corrections else None
        return self.file.lines(rows, names, first_value_after=before)

    def day_totals(self, rows: slice) -> list[dict[str, Any]]:
        """Return the number of rows of each UTC day and the sum of their counts, as known at the simulated time."""
        lines = self.lines(rows, ("date", "sum_counts"))
        totals: dict[str, tuple[int, int]] = {}
        for text in lines.splitlines():
            record = json.loads(text)
            day = record["date"][:10]
            found, total = totals.get(day, (0, 0))
            totals[day] = (found + 1, total + (record.get("sum_counts") or 0))
        return [
            {"day": day, "found": found, "total": total}
            for day, (found, total) in sorted(totals.items())
        ]

    def counters(self) -> list[dict[str, Any]]:
        """Return the counters dataset: every counter with a published count, changed by `faults.counters`."""
        found = self.file.counters(self.rows(None, None))
        return [c | self.faults.counters.get(str(c["id_compteur"]), {}) for c in found]


def city_routes(replay: Replay) -> list[BaseRoute]:
    """Return the routes of the city's API, mounted under /city."""
    api = _Api(replay)

    async def set_faults(request: Request) -> Response:
        asked = await request.json()
        replay.publication_delay = timedelta(hours=asked.pop("publication_delay_hours", 0))
        before, replay.faults = replay.faults, Faults(**asked)
        return JSONResponse({"times": before.times})

    base = "/api/explore/v2.1/catalog/datasets/{dataset}"
    return [
        Mount(
            "/city",
            routes=[
                Route(f"{base}/records", api.records),
                Route(f"{base}/exports/{{format}}", api.exports),
                Route("/faults", set_faults, methods=["POST"]),
            ],
        )
    ]


class _Api:
    def __init__(self, replay: Replay) -> None:
        self.replay = replay

    # Plain functions: Starlette runs them in threads, so a large export does not block other requests.
    def records(self, request: Request) -> Response:
        return self._answer(request, "records", self._records)

    def exports(self, request: Request) -> Response:
        return self._answer(request, "exports", self._exports)

    def _answer(
        self,
        request: Request,
        endpoint: str,
        answer: Callable[[Request, str, FaultKind | None], Response],
    ) -> Response:
        try:
            dataset = self._dataset(request.path_params["dataset"])
            fault = self.replay.faults.strike(dataset, endpoint)
            return _failure(fault, self.replay.faults) or answer(request, dataset, fault)
        except ExploreApiError as exc:
            return JSONResponse({"message": str(exc), "error_code": exc.error_code}, exc.status)

    def _dataset(self, name: str) -> str:
        city = self.replay.city
        for part, source in (("counts", city.counts.source), ("counters", city.counters.source)):
            if isinstance(source, Opendatasoft) and source.dataset == name:
                return part
        raise ExploreApiError(f"Dataset {name} doesn't exist", "DatasetNotFound", 404)

    def _records(self, request: Request, dataset: str, _fault: FaultKind | None) -> Response:
        query = request.query_params
        if "group_by" in query and dataset == "counts":
            return self._groups(request)
        limit, offset = page_of(query)
        body = self._counters(request) if dataset == "counters" else None
        if body is None:
            rows = self._window(request)
            names = selected(query, self.replay.file.names)
            order = order_of(
                query,
                {"date": self.replay.file.hours[rows], "id_compteur": self.replay.file.ids[rows]},
            )
            page = (np.arange(rows.start, rows.stop)[order])[offset : offset + limit]
            results = [json.loads(line) for line in self.replay.lines(page, names).splitlines()]
            total = rows.stop - rows.start + len(self.replay.faults.extra_lines)
            return JSONResponse({"total_count": total, "results": results})
        return JSONResponse({"total_count": len(body), "results": body[offset : offset + limit]})

    def _groups(self, request: Request) -> Response:
        query = request.query_params
        if query["group_by"] != BY_DAY or query.get("select") != TOTALS:
            raise ExploreApiError(
                f"the replay only supports group_by={BY_DAY} with select={TOTALS}", "ODSQLError"
            )
        limit = group_limit(query)
        days = self.replay.day_totals(self._window(request))
        return JSONResponse({"results": days[:limit]})

    def _exports(self, request: Request, dataset: str, fault: FaultKind | None) -> Response:
        kind = request.path_params["format"]
        if kind not in ("jsonl", "json"):
            raise ExploreApiError(f"Invalid export format: {kind}", "InvalidRESTParameterError")
        if dataset == "counters":
            lines = "".join(
                json.dumps(c, ensure_ascii=False) + "\n" for c in self._counters(request)
            ).encode()
        else:
            lines = self.replay.lines(
                self._window(request), selected(request.query_params, self.replay.file.names)
            )
            lines += "".join(line + "\n" for line in self.replay.faults.extra_lines).encode()
        if kind == "json":
            lines = b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]"
        media_type = "application/json" if kind == "json" else "application/jsonlines"
        return StreamingResponse(_chunks(lines, fault), media_type=f"{media_type}; charset=utf-8")

    def _window(self, request: Request) -> slice:
        return self.replay.rows(*time_range(request.query_params.get("where", "")))

    def _counters(self, request: Request) -> list[dict[str, Any]]:
        if request.query_params.get("where"):
            raise ExploreApiError("the replay does not support where for counters", "ODSQLError")
        found = self.replay.counters()
        names = selected(request.query_params, tuple(found[0]) if found else ())
        return [{n: c[n] for n in names} for c in found] if names else found


def _failure(fault: FaultKind | None, faults: Faults) -> Response | None:
    if fault == "html":
        return HTMLResponse("<!DOCTYPE html><html><body><h1>Maintenance</h1></body></html>")
    if fault == "unavailable":
        return HTMLResponse("<html><body>503 Service Unavailable</body></html>", 503)
    if fault == "too_many_requests":
        answer = {
            "errorcode": 10002,
            "reset_time": faults.reset_time,
            "limit_time_unit": "day",
            "call_limit": 10000,
            "error": "Too many requests on the domain. Please contact the domain administrator.",
        }
        return JSONResponse(answer, 429)
    return None


def _chunks(body: bytes, fault: FaultKind | None) -> Iterator[bytes]:
    """Split a body into chunks; a truncated one ends in mid-record, after the status 200 was sent."""
    end = len(body) * 2 // 3 if fault in ("truncated", "disconnected") else len(body)
    for start in range(0, end, CHUNK_BYTES):
        yield body[start : min(start + CHUNK_BYTES, end)]
    if fault == "truncated":
        yield INTERRUPTED
    if fault == "disconnected":
        raise ConnectionResetError("injected fault: the replayed city closes the connection")
