"""The jobs of a retraining, and the rows that each reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from benchmarks.steps.stages import Stages, stage
from velocast.adapters.bigquery.client import Warehouse
from velocast.adapters.gcs import Objects, read_address
from velocast.core.audit_row import AuditRow
from velocast.core.settings import JobSettings
from velocast.usecases.context import Run, Runtime, perform
from velocast.usecases.training.evaluate import EvaluateRequest, evaluate
from velocast.usecases.training.promote import PromoteRequest, promote
from velocast.usecases.training.train import TrainRequest, train


class CountingWarehouse(Warehouse):
    """The warehouse; `rows` counts what it returned, by SQL file or table."""

    def __init__(self, project: str, location: str) -> None:
        super().__init__(project, location)
        self.rows: Counter[str] = Counter()

    def query(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Query as the warehouse does."""
        return self._count(sql, super().query(sql, **named))

    def query_large(self, sql: str, /, **named: Any) -> pd.DataFrame:
        """Query as the warehouse does."""
        return self._count(sql, super().query_large(sql, **named))

    def read(self, table: str, **named: Any) -> pa.Table:
        """Read as the warehouse does."""
        rows = super().read(table, **named)
        self.rows[table] += rows.num_rows
        return rows

    def _count(self, sql: str, frame: pd.DataFrame) -> pd.DataFrame:
        self.rows[sql] += len(frame)
        return frame


def job(name: str, execution_id: str, as_of: str) -> dict[str, Any]:
    """Run one job of a retraining against the stack that the environment names.

    name: train, evaluate or promote, in this order for one execution_id. Figures: the rows read from BigQuery.
    """
    runtime = Runtime(JobSettings.load(read_address), component=name)
    warehouse = CountingWarehouse(runtime.settings.project, runtime.settings.location)
    runtime.__dict__["warehouse"] = warehouse  # in place of the cached property's own
    run = Run(runtime, datetime.fromisoformat(as_of), execution_id)
    stages: Stages = {}
    with stage(stages, name):
        perform(run, lambda: JOBS[name](run))
    return {"stages": stages, "rows": warehouse.rows}


def _trained_version(run: Run[JobSettings]) -> int:
    objects = Objects(run.settings.project, run.settings.models_bucket)
    return int(objects.read_json(f"runs/{run.execution_id}/train.json")[0]["version"])


JOBS: dict[str, Callable[[Run[JobSettings]], list[AuditRow]]] = {
    "train": lambda run: train(TrainRequest(force=True, reason="a benchmark"), run),
    "evaluate": lambda run: evaluate(EvaluateRequest(version=_trained_version(run)), run),
    "promote": lambda run: promote(PromoteRequest(version=_trained_version(run)), run),
}
