"""Every SQL file: it parses as BigQuery's SQL, and bounds the partitions of each partitioned table that it reads.

The emulator does not enforce require_partition_filter; BigQuery refuses such a query.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest
import sqlglot
from sqlglot import exp

from velocast.adapters.bigquery import sql_templates
from velocast.adapters.bigquery.revisions import Remembering
from velocast.core import schemas

NAMES = sorted(
    f.name.removesuffix(".sql")
    for f in files("velocast").joinpath("sql").iterdir()
    if f.name.endswith(".sql")
)
COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
PARTITIONED = {n.split(".")[1]: schemas.table(n).partition_field for n in schemas.TABLES}


def unbounded(sql: str) -> list[str]:
    """Return the partitioned tables that a statement reads without bounding their partition column."""
    parsed = sqlglot.parse_one(sql, dialect="bigquery")
    return [
        table.name
        for table in parsed.find_all(exp.Table)
        if (field := PARTITIONED.get(table.name)) and not _bounded(table, field)
    ]


def _bounded(table: exp.Table, field: str) -> bool:
    scope = table.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Merge)
    if scope is None:
        return False
    where = scope.args.get("on") if isinstance(scope, exp.Merge) else scope.args.get("where")
    if where is None:
        return False
    condition = where.this if isinstance(where, exp.Where) else where
    return any(_bounds(part, table.alias_or_name, field) for part in _conjuncts(condition))


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    if isinstance(condition, exp.Paren):
        return _conjuncts(condition.this)
    if isinstance(condition, exp.And):
        return [*_conjuncts(condition.left), *_conjuncts(condition.right)]
    return [condition]


def _bounds(part: exp.Expr, table: str, field: str) -> bool:
    """Whether a conjunct compares the bare column with something that is no column."""
    if not isinstance(part, COMPARISONS):
        return False
    sides = list(part.iter_expressions())
    columns = [s for s in sides if isinstance(s, exp.Column)]
    others = [s for s in sides if not isinstance(s, exp.Column)]
    return (
        len(columns) == 1
        and columns[0].name == field
        and columns[0].table in ("", table)
        and not any(s.find(exp.Column) for s in others)
    )


def test_there_are_sql_files():
    assert NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_bounds_the_partitions_it_reads(name: str):
    made = {n: f"bike_traffic_raw.{n}" for n in ("frozen", "kept", "made")}
    sql = sql_templates.statement(name, "p", tables=made)
    assert unbounded(sql) == []


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT bike_count FROM {counts}", ["counts"]),
        ("SELECT bike_count FROM {counts} WHERE counter_id = @id", ["counts"]),
        ("SELECT 1 AS a FROM {counts} WHERE counted_at >= @a OR counter_id = 'x'", ["counts"]),
        ("SELECT 1 AS a FROM {counts} WHERE DATE(counted_at) = ingested_at", ["counts"]),
        (
            "SELECT 1 AS a FROM {counts} AS c JOIN {forecasts} AS f USING (counter_id) WHERE c.counted_at >= @a",
            ["forecasts"],
        ),
        ("WITH x AS (SELECT * FROM {logs}) SELECT * FROM x WHERE timestamp > @a", ["logs"]),
        ("DELETE FROM {weather} WHERE TRUE", ["weather"]),
        ("SELECT counter_id FROM {counters}", []),
        ("SELECT 1 AS a FROM {counts} AS c WHERE c.counted_at BETWEEN @a AND @b", []),
        ("SELECT 1 AS a FROM {counts} WHERE counted_at < @a AND quality IS NULL AND TRUE", []),
        ("UPDATE {counts} SET quality = 'x' WHERE counted_at >= @a", []),
    ],
)
def test_the_check_finds_what_is_unbounded(
    sql: str, tables: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sql_templates, "text", lambda _: sql)
    assert unbounded(sql_templates.statement("made_up", "p")) == tables


def test_a_merge_bounds_its_target():
    import pyarrow as pa

    from velocast.adapters.bigquery import merge_statements

    table = schemas.table(schemas.COUNTS)
    plan = merge_statements.Merge.of(
        table, table.columns, ["counter_id", "counted_at"], None, (), {}
    )
    moments = pa.array([3_600_000_000, 7_200_000_000], pa.timestamp("us", "UTC"))
    bounds = merge_statements.partition_bounds(table, pa.table({"counted_at": moments}))
    assert bounds == (
        "T.counted_at >= TIMESTAMP '1970-01-01T01:00:00Z' AND T.counted_at <= TIMESTAMP '1970-01-01T02:00:00Z'"
    )
    names = ("`p.bike_traffic_raw.counts`", "`p.bike_traffic_raw.staging_1`", bounds)
    assert unbounded(plan.merge_sql(*names)) == []
    assert unbounded(plan.count_sql(*names)) == []
    assert unbounded(plan.merge_sql(*names[:2], "TRUE")) == ["counts"]

    history = Remembering(datetime(2026, 3, 1, tzinfo=UTC))
    script = history.merge_sql(plan, *names, "`p.bike_traffic_raw.revisions`")
    merges = [part for part in script.split(";\n") if part.startswith("MERGE")]
    assert [unbounded(part) for part in merges] == [[], []]
