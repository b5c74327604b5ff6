"""Corrections of how bqemulator 1.4 binds the parameters of a query; each says what was wrong without it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from bqemulator.jobs import executor
from bqemulator.sql import parameters
from bqemulator.sql.parameters import bind_parameters

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext


def correct_parameters() -> None:
    """Replace functions of bqemulator in this process; call it once, before bqemulator starts."""
    _take_zones_from_parameters()
    _bind_parameters_in_code_only()
    _give_arrays_their_types()


def _take_zones_from_parameters() -> None:
    """Expressions such as `AT TIME ZONE @zone` were translated before parameters are bound, and need a literal.

    A STRING parameter whose value is the name of a time zone is therefore written into the query first.
    """
    run = executor._run_single_sql
    zones = available_timezones()

    async def run_with_zones(
        project_id: str,
        bq_sql: str,
        query_params: list[dict[str, Any]] | None,
        ctx: AppContext,
        *,
        caller: Any,
    ) -> Any:
        for parameter in query_params or []:
            value = parameter.get("parameterValue", {}).get("value")
            if parameter.get("name") and value in zones:
                bq_sql = re.sub(rf"@{parameter['name']}\b", f"'{value}'", bq_sql)
        return await run(project_id, bq_sql, query_params, ctx, caller=caller)

    executor._run_single_sql = run_with_zones


def _bind_parameters_in_code_only() -> None:
    """A parameter named in a comment or a text was bound there too, and DuckDB refused the surplus value."""
    not_code = re.compile(r"(/\*.*?\*/|--[^\n]*|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")", re.DOTALL)

    def bind_in_code(
        sql: str, query_parameters: list[dict[str, Any]] | None = None
    ) -> tuple[str, list[Any]]:
        if not query_parameters or not query_parameters[0].get("name"):
            return bind_parameters(sql, query_parameters)
        parts = not_code.split(sql)
        values: list[Any] = []
        for number in range(0, len(parts), 2):
            parts[number], bound = bind_parameters(parts[number], query_parameters)
            values += bound
        return "".join(parts), values

    # imported there without being exported
    executor.bind_parameters = bind_in_code  # type: ignore[attr-defined]


def _give_arrays_their_types() -> None:
    """DuckDB took the types of an array from its values: a field that is null in each struct was a number."""
    placeholder, simple_type = parameters._placeholder_for, parameters._bq_to_duckdb_type

    def duckdb_type(told: dict[str, Any]) -> str | None:
        if told.get("type") == "ARRAY":
            element = duckdb_type(told["arrayType"])
            return element and f"{element}[]"
        if told.get("type") == "STRUCT":
            kinds = {field["name"]: duckdb_type(field["type"]) for field in told["structTypes"]}
            fields = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
            return f"STRUCT({fields})" if all(kinds.values()) else None
        return simple_type(told)

    def typed_placeholder(value: Any, param: dict[str, Any]) -> str:
        kind = duckdb_type(param["parameterType"]) if isinstance(value, list) else None
        return f"CAST(? AS {kind})" if kind else placeholder(value, param)

    parameters._placeholder_for = typed_placeholder
