"""What the imitated portals have in common: they note what they are asked, and can be told to fail first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gcp_emulators.core.http_server import HttpServer
from velocast.adapters.city_sources.transport import RawTable, TimeRange, Transport
from velocast.adapters.city_sources.transports.portal import LIMITS
from velocast.core.city.description import City
from velocast.core.city.loading import parse_city

QUICK = replace(LIMITS, first_pause_seconds=0.0, jitter_seconds=0.0)
LONG = {"shape": "long", "time": {"columns": "at"}, "counter": {"id": "id"}, "values": [{"column": "n"}]}  # fmt: skip
PAGE = HTMLResponse("<!DOCTYPE html><html><body>Sign in</body></html>")


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Imitation:
    """A portal on the loopback address. faults: what it answers first, None for the right answer."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.faults: list[Response | None] = []

    def answer(self, asked: Asked) -> Response:
        raise NotImplementedError

    def endpoint(self, request: Request) -> Response:
        asked = Asked(request.url.path, dict(request.query_params), dict(request.headers))
        self.asked.append(asked)
        fault = self.faults.pop(0) if self.faults else None
        return fault or self.answer(asked)


ImitationT = TypeVar("ImitationT", bound=Imitation)


class Stage:
    """One server for all tests: it serves whatever portal is shown."""

    def __init__(self) -> None:
        self._portal = Imitation()
        self.server = HttpServer([Route("/{path:path}", self._endpoint)])

    def show(self, portal: ImitationT) -> ImitationT:
        """Serve this portal from now on."""
        self._portal = portal
        portal.url = self.server.url
        return portal

    def _endpoint(self, request: Request) -> Response:
        return self._portal.endpoint(request)


def too_many(seconds: int) -> Response:
    return JSONResponse({"message": "slow down"}, 429, {"Retry-After": str(seconds)})


def a_city(
    source: dict[str, Any],
    *,
    zone: str = "America/New_York",
    times: str = "local",
    layout: dict[str, Any] = LONG,
    **more: Any,
) -> City:
    counts = {
        "source": source,
        "layout": layout,
        "clock": {"times": times},
        **more.pop("counts", {}),
    }
    return parse_city({"name": "Testtown", "time_zone": zone, "counts": counts, **more}, "test")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def tables(
    transport: Transport, hours: TimeRange | None, columns: tuple[str, ...] | None = None
) -> list[RawTable]:
    """Return all tables of one question, asked as `fetch` does: again after what passes."""
    with transport:
        return transport.ask(lambda: list(transport.tables(hours, columns)))


def records(found: Iterable[RawTable]) -> list[dict[str, Any]]:
    return [
        {str(name): value for name, value in row.items()}
        for table in found
        for row in table.rows.to_dict("records")
    ]


def select(rows: list[dict[str, Any]], names: str, rest: str) -> list[dict[str, Any]]:
    """Ask rows in SQLite, whose SQL is what the portals' languages come from. Raises sqlite3.Error as it does."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        database.create_function("date_trunc_ymd", 1, lambda at: at and f"{at[:10]}T00:00:00.000")
        database.execute(f"CREATE TABLE records ({', '.join(f'`{name}`' for name in columns)})")
        database.executemany(
            f"INSERT INTO records VALUES ({', '.join('?' * len(columns))})",
            [[row.get(name) for name in columns] for row in rows],
        )
        return [dict(row) for row in database.execute(f"SELECT {names} FROM records {rest}")]
