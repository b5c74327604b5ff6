"""The subset of ODSQL and of the Explore API v2.1 parameters that the replayed city supports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

MAX_LIMIT = 100
MAX_GROUPS = 20_000
TOTALS = "count(*) as found, sum(sum_counts) as total"
BY_DAY = "date_format(date, 'yyyy-MM-dd') as day"
MAX_WINDOW = 10_000
_COMPARISON = re.compile(
    r"""\s*date\s*(?P<sign>>=|<)\s*(?:date'(?P<a>[^']*)'|"(?P<b>[^"]*)")\s*""", re.IGNORECASE
)


class ExploreApiError(Exception):
    """An invalid request. error_code: Opendatasoft's name of the error; status: the HTTP status."""

    def __init__(self, message: str, error_code: str, status: int = 400) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.status = status


def time_range(where: str) -> tuple[datetime | None, datetime | None]:
    """Parse `date >= date'A' AND date < date'B'` (either half may be missing) into (since, until), UTC, half-open.

    Raises ExploreApiError ODSQLSyntaxError for anything else.
    """
    since: datetime | None = None
    until: datetime | None = None
    for part in re.split(r"\s+and\s+", where.strip(), flags=re.IGNORECASE) if where.strip() else []:
        found = _COMPARISON.fullmatch(part)
        if not found:
            raise ExploreApiError(
                f"ODSQL query is malformed: {part!r} in where", "ODSQLSyntaxError"
            )
        moment = _literal(found["a"] if found["a"] is not None else found["b"])
        if found["sign"] == ">=":
            since = moment if since is None else max(since, moment)
        else:
            until = moment if until is None else min(until, moment)
    return since, until


def _literal(text: str) -> datetime:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?", text):
        raise ExploreApiError(
            f"ODSQL query is malformed: {text!r} is not a date", "ODSQLSyntaxError"
        )
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as exc:
        raise ExploreApiError(
            f"ODSQL query is malformed: {text!r}: {exc}", "ODSQLSyntaxError"
        ) from exc


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """Parse limit (default 10, -1 to 100; -1 means 100) and offset; their sum is at most 10,000."""
    limit = _number(query, "limit", 10, -1, MAX_LIMIT)
    offset = _number(query, "offset", 0, 0, MAX_WINDOW)
    limit = MAX_LIMIT if limit < 0 else limit
    if limit + offset > MAX_WINDOW:
        raise ExploreApiError(
            f"Invalid value for offset API parameter: limit + offset is {limit + offset} but at most "
            f"{MAX_WINDOW} is expected. Use the export endpoints",
            "InvalidRESTParameterError",
        )
    return limit, offset


def group_limit(query: Mapping[str, str]) -> int:
    """Parse the limit of a request with group_by (default 10, at most 20,000)."""
    return _number(query, "limit", 10, 1, MAX_GROUPS)


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"-?\d+", text) or not least <= int(text) <= most:
        raise ExploreApiError(
            f"Invalid value for {name} API parameter: {text} was found but {least} <= {name} <= {most} is expected.",
            "InvalidRESTParameterError",
        )
    return int(text)


def selected(query: Mapping[str, str], known: tuple[str, ...]) -> tuple[str, ...] | None:
    """Parse `select` into field names; None means all. Raises ExploreApiError ODSQLError for an unknown field."""
    if query.get("timezone", "UTC") != "UTC":
        raise ExploreApiError(
            f"the replay supports only timezone UTC, not {query['timezone']}",
            "InvalidRESTParameterError",
        )
    text = query.get("select", "*").strip()
    if text in ("", "*"):
        return None
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if known and name not in known:
            raise ExploreApiError(f"Unknown field: {name}", "ODSQLError")
    return names


def order_of(
    query: Mapping[str, str], columns: Mapping[str, np.ndarray[Any, Any]]
) -> np.ndarray[Any, Any]:
    """Parse `order_by` and return the row order of `columns` as indices. Raises ExploreApiError ODSQLError."""
    keys = []
    for part in filter(None, query.get("order_by", "").split(",")):
        name, _, direction = part.strip().partition(" ")
        if name not in columns or direction.strip().lower() not in ("", "asc", "desc"):
            raise ExploreApiError(
                f"Unknown field or direction in order_by: {part.strip()}", "ODSQLError"
            )
        ranks = np.unique(columns[name], return_inverse=True)[1]
        keys.append(-ranks if direction.strip().lower() == "desc" else ranks)
    if not keys:
        return np.arange(len(next(iter(columns.values()))))
    return np.lexsort(keys[::-1])
