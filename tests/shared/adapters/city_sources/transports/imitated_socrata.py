"""A Socrata portal as dev.socrata.com documents it: SoQL, pages, floating timestamps, an empty field left out."""

from __future__ import annotations

import random
import sqlite3
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.shared.adapters.city_sources.transports.imitation import Asked, Imitation, select


class ImitatedSocrata(Imitation):
    """One data set. most: rows of an answer at most; lost: rows that count(*) counts and no page holds."""

    def __init__(self, rows: list[dict[str, Any]], most: int = 50_000) -> None:
        super().__init__()
        self.rows = [{":id": number, **row} for number, row in enumerate(rows)]
        self.most = most
        self.lost = 0

    def answer(self, asked: Asked) -> Response:
        query = asked.query
        if asked.path != "/resource/abcd-1234.json":
            return JSONResponse(
                {"code": "dataset.missing", "error": True, "message": "Not found"}, 404
            )
        if unknown := query.keys() - {"$select", "$where", "$group", "$order", "$limit", "$offset"}:
            return JSONResponse(
                {"error": True, "message": f"Unrecognized arguments {unknown}"}, 400
            )
        condition = f"WHERE {query['$where']}" if "$where" in query else ""
        condition += f" GROUP BY {query['$group']}" if "$group" in query else ""
        # without an order, rows come in any
        order = query["$order"].replace(":id", "`:id`") if "$order" in query else "random()"
        limit = min(int(query.get("$limit", 1000)), self.most)
        rest = f"{condition} ORDER BY {order} LIMIT {limit} OFFSET {query.get('$offset', 0)}"
        try:
            rows = select(self.rows, query.get("$select", "*"), rest)
        except sqlite3.Error as exc:
            message = f"Query coordinator error: query.soql.no-such-column; {exc}"
            code = "query.soql.no-such-column"
            return JSONResponse({"message": message, "errorCode": code, "data": {}}, 400)
        if "$group" in query:  # numbers are texts
            return JSONResponse(
                [{k: v if v is None else str(v) for k, v in r.items()} for r in rows]
            )
        if "count(" in query.get("$select", ""):
            return JSONResponse([{name: str(n + self.lost) for name, n in rows[0].items()}])
        return JSONResponse(
            [{k: v for k, v in row.items() if v is not None and k != ":id"} for row in rows]
        )


def shuffled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return random.Random(1).sample(rows, len(rows))
