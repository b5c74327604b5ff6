"""Idempotent writes: a MERGE that inserts rows whose key is new and updates those that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from velocast.adapters.bigquery.failures import reporting
from velocast.adapters.bigquery.jobs import Jobs
from velocast.adapters.bigquery.merge_statements import Merge, partition_bounds
from velocast.adapters.bigquery.revisions import Remembering
from velocast.adapters.bigquery.sql_templates import quoted
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

    schema, total = schemas.table(table), 0
    plan, bounds = None, list[str]()
    dataset = table.split(".")[0]
    with jobs.scratch(dataset) as scratch, reporting(f"merge into {table}"):
        for part in [rows] if isinstance(rows, pa.Table) else rows:
            plan = Merge.of(schema, part.column_names, keys, update, insert_only, replaced)
            data = staged(schema, part, keys)
            if data.num_rows:
                if not total:
                    jobs.create(scratch, data.schema, hours=STAGING_HOURS)
                jobs.append(scratch, data)
                bounds.append(partition_bounds(schema, data))
                total += data.num_rows
        if plan is None or not total:
            return MergeResult(0, 0, 0)
        searched = " OR ".join(f"({each})" for each in dict.fromkeys(bounds))
        within = f"({searched})" if len(bounds) > 1 else bounds[0]
        names = (quoted(jobs.project, table), quoted(jobs.project, scratch), within)
        return _write(jobs, plan, names, total, history)


def _write(
    jobs: Jobs,
    plan: Merge,
    names: tuple[str, str, str],
    total: int,
    history: Remembering | None,
) -> MergeResult:
    # Counted first, because not every server reports how many rows a MERGE inserted and updated.
    counted = next(iter(jobs.run(plan.count_sql(*names), {})))
    if not counted["inserted"] and not counted["updated"]:
        return MergeResult(0, 0, total)
    inserted, updated = int(counted["inserted"]), int(counted["updated"])
    if history and updated:
        revisions = quoted(jobs.project, history.table)
        # a script does not tell how many rows it changed
        jobs.run(history.merge_sql(plan, *names, revisions), {})
        return MergeResult(inserted, updated, total - inserted - updated)
    # A row that another writer stored in between must not change without a revision: the next run changes it.
    changed = jobs.change(plan.merge_sql(*names, inserts_only=history is not None), {})
    # Another writer may have stored some of the rows in between.
    inserted = min(inserted, changed)
    return MergeResult(inserted, changed - inserted, total - changed)
