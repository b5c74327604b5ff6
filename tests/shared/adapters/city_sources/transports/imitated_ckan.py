"""A CKAN portal as docs.ckan.org documents it: packages, a datastore that lowers limits, files."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.shared.adapters.city_sources.transports.imitation import Asked, Imitation, select

ALLOWED = {"substr", "count", "sum"}  # of the functions in CKAN's list, those that are used
SEARCH = {"resource_id", "limit", "offset", "sort", "fields", "records_format", "include_total"}


@dataclass
class Resource:
    """One resource: rows in the datastore, or a file."""

    name: str
    rows: list[dict[str, Any]] | None = None
    file: bytes | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = f"id-of-{self.name.replace(' ', '-')}"


class ImitatedCkan(Imitation):
    """One package. rows_max: the portal's setting; lost: rows that `total` counts and no page holds.

    knows_lists: whether it is CKAN 2.7 or later. answers_sql: `ckan.datastore.sqlsearch.enabled`, off by default.
    """

    def __init__(self, resources: list[Resource], rows_max: int = 32_000) -> None:
        super().__init__()
        self.resources = resources
        self.rows_max = rows_max
        self.lost = 0
        self.knows_lists = True
        self.answers_sql = False

    def answer(self, asked: Asked) -> Response:
        files = {f"/download/{each.id}.csv": each.file for each in self.resources}
        if files.get(asked.path) is not None:
            return Response(files[asked.path], media_type="text/csv")
        match asked.path.removeprefix("/api/3/action/"):
            case "package_show":
                return self._package(asked.query)
            case "datastore_search":
                return self._search(asked.query)
            case "datastore_search_sql" if self.answers_sql:
                return self._search_sql(asked.query["sql"])
        return _failed(400, "Bad request - Action name not known")

    def _package(self, query: dict[str, str]) -> Response:
        if query != {"id": "bike-counts"}:
            return _failed(404, "Not found", "Not Found Error")
        resources = [
            {
                "id": each.id,
                "name": each.name,
                "datastore_active": each.rows is not None,
                "url": f"{self.url}/download/{each.id}.csv",
            }
            for each in self.resources
        ]
        return _succeeded({"name": "bike-counts", "resources": resources})

    def _search_sql(self, sql: str) -> Response:
        """Answer as PostgreSQL would, but for casts; numbers are texts."""
        if wrong := set(re.findall(r"(\w+)\(", sql)) - ALLOWED:
            return _failed(403, f"Not authorized to call function {wrong}", "Authorization Error")
        names, table, rest = re.fullmatch(r'SELECT (.*) FROM "([^"]+)" (.*)', sql).groups()
        found = [each for each in self.resources if each.id == table]
        if not found or found[0].rows is None:
            return _failed(404, "Not found: Resource was not found.", "Not Found Error")
        names, rest = (re.sub("::(text|numeric)", "", part) for part in (names, rest))
        try:
            records = select(found[0].rows, names, rest)
        except sqlite3.Error as exc:
            return _failed(409, f"(ProgrammingError) {exc}", "Validation Error")
        texts = [{k: v if v is None else str(v) for k, v in each.items()} for each in records]
        return _succeeded({"records": texts, "fields": [], "sql": sql})

    def _search(self, query: dict[str, str]) -> Response:
        found = [each for each in self.resources if each.id == query.get("resource_id")]
        if not found or found[0].rows is None:
            return _failed(404, "Not found: Resource was not found.", "Not Found Error")
        rows = [{"_id": n + 1, **row} for n, row in enumerate(found[0].rows)]
        known = list(dict.fromkeys(name for row in rows for name in row))
        fields = query["fields"].split(",") if "fields" in query else known
        order = [part.split()[0].strip('"') for part in query.get("sort", "_id").split(",")]
        if wrong := [name for name in [*fields, *order] if name not in known]:
            error = {"fields": [f'field "{wrong[0]}" not in table'], "__type": "Validation Error"}
            return JSONResponse({"success": False, "error": error}, 409)
        if query.keys() - SEARCH:
            return _failed(409, "unknown parameter", "Validation Error")
        limit = min(int(query.get("limit", 100)), self.rows_max)
        names = ",".join(f"`{name}`" for name in fields)
        rest = f"ORDER BY {query.get('sort', '_id')} LIMIT {limit} OFFSET {query.get('offset', 0)}"
        records: list[Any] = select(rows, names, rest)
        if self.knows_lists and query.get("records_format") == "lists":
            records = [list(record.values()) for record in records]
        return _succeeded(
            {
                "fields": [{"id": name, "type": "text"} for name in fields],
                "records": records,
                "limit": limit,
                "total": len(rows) + self.lost,
                "total_was_estimated": False,
            }
        )


def _succeeded(result: dict[str, Any]) -> Response:
    # CKAN answers in JSON whose media type carries a charset
    text = json.dumps({"help": "...", "success": True, "result": result})
    return Response(text, media_type="application/json;charset=utf-8")


def _failed(status: int, message: str, kind: str = "Error") -> Response:
    error = {"message": message, "__type": kind}
    return JSONResponse({"help": "...", "success": False, "error": error}, status)
