"""Work that bqemulator 1.4 repeats for every statement, done once per statement text.

A statement was parsed about twenty times and translated on each call, which took longer than running it. Names such as
`staging_<32 hex digits>` differ on each call, so statements are compared with these names numbered.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache, wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import sqlglot
from bqemulator.catalog import ddl_sync
from bqemulator.domain.result import Ok
from bqemulator.jobs import ddl_result, executor, routine_ddl
from bqemulator.scripting import interpreter
from bqemulator.scripting.ast import SqlStmt
from bqemulator.sql.inner_query import rewrite_and_translate_statement
from bqemulator.sql.table_rewriter import rewrite_table_refs
from bqemulator.sql.translator import SQLTranslator
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

if TYPE_CHECKING:
    from bqemulator.api.dependencies import AppContext

REMEMBERED = 512  # statements

TableName = tuple[str, str, str]  # project, dataset, table

_STAGING = re.compile(r"\bstaging_[0-9a-f]{32}\b")
# What a statement with one of these reads is known only when it runs: the catalog, another time, a set of tables.
_MOVING = re.compile(r"INFORMATION_SCHEMA|SYSTEM_TIME|\*\s*`", re.IGNORECASE)
# The functions that look in each statement for a change to the catalog, and the kinds of statement in which they can
# find one.
_CATALOG_READERS: dict[str, tuple[type[exp.Expr], ...]] = {
    "assert_drop_schema_allowed": (exp.Drop,),
    "detect_drop_routine": (exp.Drop,),
    "sync_created_schema": (exp.Create,),
    "sync_created_table": (exp.Create, exp.Alter),
    "sync_created_view": (exp.Create,),
    "sync_dropped_object": (exp.Drop,),
}
_REMEMBERING = threading.Lock()  # jobs run in several threads
# What runs a statement: alone, or as a part of a script.
_RUNNERS = (executor, interpreter)
_IMMUTABLE = ("SNAPSHOT", "MATERIALIZED_VIEW")


def work_once_per_statement() -> None:
    """Replace functions of bqemulator in this process; call it once, before bqemulator starts."""
    _parse_once()
    _split_once()
    _translate_once()
    _rewrite_once()
    _sync_catalog_after_ddl_only()
    _look_for_targets_once()


@lru_cache(maxsize=REMEMBERED)
def _trees(dialect: type[Dialect], sql: str) -> list[exp.Expr | None]:
    return _DIALECT_PARSE(dialect(), sql)


_DIALECT_PARSE = Dialect.parse


def _shared_tree(sql: str, *, read: str = "bigquery") -> exp.Expr:
    """Return the tree of one statement, which the caller must not change; raises what sqlglot raises."""
    if (first := _trees(Dialect.get_or_raise(read).__class__, sql)[0]) is None:
        raise sqlglot.ParseError(f"No expression was parsed from {sql!r}")
    return first


def _shape(sql: str) -> exp.Expr | None:
    """Return the tree of a statement with numbered staging tables, or None if it is not one that sqlglot can parse."""
    try:
        return _shared_tree(_renamed(sql, _numbered_staging(sql)))
    except sqlglot.errors.SqlglotError:
        return None


def _head(sql: str, *, read: str = "bigquery") -> exp.Expr:
    """Return a tree to read a statement's kind, target and options from; raises what sqlglot raises.

    Of CREATE TABLE, which may name a new staging table on each call, it is the tree of the numbered text with the true
    target.
    """
    numbers = _numbered_staging(sql)
    tree = _shared_tree(_renamed(sql, numbers), read=read)
    if not numbers or not (isinstance(tree, exp.Create) and tree.kind == "TABLE"):
        return _shared_tree(sql, read=read) if numbers else tree
    names = {number: name for name, number in numbers.items()}
    target = tree.this.copy()
    for name in target.find_all(exp.Identifier):
        name.set("this", names.get(name.name, name.name))
    head = exp.Create(kind="TABLE")
    head.args = {**tree.args, "this": target}
    return head


def _parse_once() -> None:
    def parse_once(self: Dialect, sql: str, **options: Any) -> list[exp.Expr | None]:
        if options:
            return _DIALECT_PARSE(self, sql, **options)
        # Twice as fast as `tree.copy()`, with the same result.
        return [deepcopy(tree) for tree in _trees(type(self), sql)]

    _replace(Dialect, "parse", parse_once)
    _replace(executor, "_parse_for_classification", _shape)
    # These modules only read the kind of a statement, so they can share a tree; copying costs as much as parsing.
    looking = SimpleNamespace(**vars(sqlglot) | {"parse_one": _head})
    for module in (ddl_sync, ddl_result, routine_ddl):
        _replace(module, "sqlglot", looking)


def _split_once() -> None:
    """Remember texts that are one plain statement; this is all that bqemulator needs to know about them."""
    split = executor._parse_script_or_raise
    single: dict[str, Any] = {}

    def split_once(bq_sql: str) -> Any:
        text = _renamed(bq_sql, _numbered_staging(bq_sql))
        if (known := single.get(text)) is not None:
            return known
        script = split(bq_sql)
        if len(script.statements) == 1 and isinstance(script.statements[0], SqlStmt):
            _remember(single, text, script)
        return script

    _replace(executor, "_parse_script_or_raise", split_once)


def _translate_once() -> None:
    translate = SQLTranslator.translate
    any_translator = SQLTranslator()  # each script makes one; they differ in nothing

    @lru_cache(maxsize=REMEMBERED)
    def translated(sql: str, schema: str, caller: Any) -> Any:
        return translate(any_translator, sql, schema=json.loads(schema), caller=caller)

    @lru_cache(maxsize=REMEMBERED)
    def qualified(sql: str, project_id: str) -> str:
        return rewrite_table_refs(sql, project_id)

    def translate_once(
        self: SQLTranslator, bq_sql: str, *, schema: Any = None, caller: Any = None
    ) -> Any:
        numbers = _numbered_staging(bq_sql)
        told = translated(_renamed(bq_sql, numbers), _renamed(json.dumps(schema), numbers), caller)
        names = {number: name for name, number in numbers.items()}
        return Ok(_renamed(told.value, names)) if isinstance(told, Ok) else told

    def qualify_once(duckdb_sql: str, project_id: str) -> str:
        numbers = _numbered_staging(duckdb_sql)
        names = {number: name for name, number in numbers.items()}
        return _renamed(qualified(_renamed(duckdb_sql, numbers), project_id), names)

    _replace(SQLTranslator, "translate", translate_once)
    for module in _RUNNERS:
        _replace(module, "rewrite_table_refs", qualify_once)


def _rewrite_once() -> None:
    """Remember what a statement became in DuckDB's SQL, as long as its tables keep their columns.

    Only for statements on plain tables of a catalog without materialized views and row access policies.
    """
    known: dict[Any, str] = {}

    async def rewrite_once(
        bq_sql: str, *, project_id: str, ctx: AppContext, caller: Any, translator: Any
    ) -> str:
        async def anew() -> str:
            return await rewrite_and_translate_statement(
                bq_sql, project_id=project_id, ctx=ctx, caller=caller, translator=translator
            )

        catalog = ctx.catalog
        read = None if _MOVING.search(bq_sql) else _plain_tables(bq_sql, project_id, ctx)
        if (
            read is None
            or catalog.list_all_row_access_policies()
            or catalog.list_all_materialized_views()
        ):
            return await anew()
        numbers = _numbered_staging(bq_sql)
        key = (_renamed(bq_sql, numbers), project_id, read, caller)
        names = {number: name for name, number in numbers.items()}
        found = known.get(key)
        if found is None:
            found = _renamed(await anew(), numbers)
            _remember(known, key, found)
        return _renamed(found, names)

    for module in _RUNNERS:
        _replace(module, "rewrite_and_translate_statement", rewrite_once)


def _plain_tables(sql: str, project_id: str, ctx: AppContext) -> tuple[Any, ...] | None:
    """Return the columns of each table in a statement; None if one is not a plain table, or cannot be told."""
    numbers = _numbered_staging(sql)
    names = {number: name for name, number in numbers.items()}
    columns = []
    for project, dataset, table in _table_names(_renamed(sql, numbers), project_id):
        if not dataset and "." in table:  # a name that sqlglot did not take apart
            return None
        meta = ctx.catalog.get_table(project, dataset, names.get(table, table))
        if meta is not None and meta.table_type != "TABLE":
            return None
        columns.append(meta and tuple((f.name, f.type) for f in meta.schema_.fields))
    return tuple(columns)


@lru_cache(maxsize=REMEMBERED)
def _table_names(sql: str, project_id: str) -> tuple[TableName, ...]:
    try:
        tree = _shared_tree(sql)
    except sqlglot.errors.SqlglotError:
        return ()
    return tuple(
        (table.catalog or project_id, table.db, table.name) for table in tree.find_all(exp.Table)
    )


def _sync_catalog_after_ddl_only() -> None:
    """Queries and DML change no catalog, so nothing is looked for in them."""

    def only_after(kinds: tuple[type[exp.Expr], ...], function: Callable[..., Any]) -> Any:
        @wraps(function)
        def asked(bq_sql: str, *others: Any) -> Any:
            tree = _shape(bq_sql)
            return function(bq_sql, *others) if tree is None or isinstance(tree, kinds) else None

        return asked

    for module in _RUNNERS:
        for name, kinds in _CATALOG_READERS.items():
            if hasattr(module, name):
                _replace(module, name, only_after(kinds, getattr(module, name)))
    find_created = ddl_sync._detect_plain_create_table  # imported where it is called
    _replace(ddl_sync, "_detect_plain_create_table", only_after((exp.Create,), find_created))
    _replace(interpreter, "_is_row_producing", lambda sql: isinstance(_shape(sql), exp.Query))


def _look_for_targets_once() -> None:
    """The tables that a statement writes to were looked for twice, each time in a copy of its tree."""
    reject = executor._reject_dml_on_immutable

    def reject_dml_on_immutable(project_id: str, bq_sql: str, ctx: AppContext) -> None:
        metas = [ctx.catalog.get_table(*name) for name in _written(bq_sql, project_id)]
        if any(meta is not None and meta.table_type in _IMMUTABLE for meta in metas):
            reject(project_id, bq_sql, ctx)

    async def record_changes(project_id: str, bq_sql: str, ctx: AppContext) -> None:
        if not (written := _written(bq_sql, project_id)):
            return
        async with ctx.engine.write_lock():
            for name in written:
                if ctx.catalog.get_table(*name) is not None:
                    ctx.snapshots.record_change(*name)  # keeps no snapshot (corrections.py)

    _replace(executor, "_reject_dml_on_immutable", reject_dml_on_immutable)
    _replace(executor, "_capture_dml_snapshots", record_changes)


def _written(sql: str, project_id: str) -> list[TableName]:
    numbers = _numbered_staging(sql)
    names = {number: name for name, number in numbers.items()}
    return [
        (project, dataset, names.get(table, table))
        for project, dataset, table in _targets(_renamed(sql, numbers), project_id)
    ]


@lru_cache(maxsize=REMEMBERED)
def _targets(sql: str, project_id: str) -> tuple[TableName, ...]:
    try:
        tree = _shared_tree(sql)
    except sqlglot.errors.SqlglotError:
        return ()
    return tuple(executor._dml_target_tables(tree, project_id)) if executor._is_dml(tree) else ()


@lru_cache(maxsize=64)
def _numbered_staging(sql: str) -> dict[str, str]:
    """Return a numbered name of the same form for each staging table, in order of appearance."""
    return {
        name: f"staging_{number:032x}"
        for number, name in enumerate(dict.fromkeys(_STAGING.findall(sql)))
    }


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    with _REMEMBERING:
        while len(known) >= REMEMBERED:
            known.pop(next(iter(known)))
        known[key] = value


def _renamed(sql: str, names: dict[str, str]) -> str:
    return _STAGING.sub(lambda found: names.get(found[0], found[0]), sql) if names else sql


def _replace(module: Any, name: str, replacement: Any) -> None:
    setattr(module, name, replacement)
