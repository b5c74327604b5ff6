"""Idempotent writes: a MERGE that inserts rows whose key is new and updates those that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.failures import reporting
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.bigquery.merge_statements import Merge, partition_bounds
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.bigquery.sql_templates import RowsParameter, are_few, quoted, unnested
from velocast.adapters.bigquery.staging import STAGING_HOURS, staged
from velocast.core import schemas

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class MergeResult:
    """The result of a merge, in rows; the three add up to the number of rows given."""

    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True)
class _Source:
    """Rows to merge. sql: what they are selected from; bounds: predicate on the partitions; rows: how many they are.

    passed: the parameters of the statement.
    """

    sql: str
    bounds: str
    rows: int
    passed: dict[str, RowsParameter]


def merge_rows(
    jobs: Jobs,
    table: str,
    rows: pa.Table | Iterable[pa.Table],
    *,
    keys: Sequence[str],
    update: Sequence[str] | None,
    insert_only: Sequence[str],
    replaced: Mapping[str, Sequence[str]] | None,
    history: Remembering | None,
) -> MergeResult:
    """Merge rows into a table; arguments and errors as for `Warehouse.merge`."""
    import pyarrow as pa

    schema = schemas.table(table)

    def checked(part: pa.Table) -> tuple[Merge, pa.Table]:
        plan = Merge.of(schema, part.column_names, keys, update, insert_only, replaced)
        return plan, staged(schema, part, keys)

    with reporting(f"merge into {table}"):
        # with a history, rows are usually many, and three statements read them
        if isinstance(rows, pa.Table) and history is None and are_few(rows):
            plan, data = checked(rows)
            if not data.num_rows:
                return MergeResult(0, 0, 0)
            given, within = unnested("rows", data.column_names), partition_bounds(schema, data)
            source = _Source(given, within, data.num_rows, {"rows": RowsParameter(data)})
            return _write(jobs, plan, source, None)
        total, bounds = 0, dict[str, None]()
        with jobs.scratch(table.split(".")[0]) as scratch:
            for part in [rows] if isinstance(rows, pa.Table) else rows:
                plan, data = checked(part)
                if not data.num_rows:
                    continue
                if not total:
                    jobs.create(scratch, data.schema, hours=STAGING_HOURS)
                jobs.append(scratch, data)
                bounds[partition_bounds(schema, data)] = None
                total += data.num_rows
            if not total:
                return MergeResult(0, 0, 0)
            within = " OR ".join(f"({each})" for each in bounds)
            within = f"({within})" if len(bounds) > 1 else within
            source = _Source(quoted(jobs.project, scratch), within, total, {})
            return _write(jobs, plan, source, history)


def _write(jobs: Jobs, plan: Merge, source: _Source, history: Remembering | None) -> MergeResult:
    names = (quoted(jobs.project, plan.table.name), source.sql, source.bounds)
    # Counted first, because not every server reports how many rows a MERGE inserted and updated.
    counted = next(iter(jobs.run(plan.count_sql(*names), source.passed)))
    inserted, updated = int(counted["inserted"]), int(counted["updated"])
    if not inserted and not updated:
        return MergeResult(0, 0, source.rows)
    if history and updated:
        revisions = quoted(jobs.project, history.table)
        # a script does not tell how many rows it changed
        jobs.run(history.merge_sql(plan, *names, revisions), {})
        return MergeResult(inserted, updated, source.rows - inserted - updated)
    # A row that another writer stored in between must not change without a revision: the next run changes it.
    merge = plan.merge_sql(*names, inserts_only=history is not None)
    changed = jobs.change(merge, source.passed)
    # Another writer may have stored some of the rows in between.
    inserted = min(inserted, changed)
    return MergeResult(inserted, changed - inserted, source.rows - changed)
